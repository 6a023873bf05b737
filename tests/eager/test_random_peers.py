"""Every distribution against PyTorch, many seeds, sizes and dtypes, calls interleaved on one generator."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import optc
from optc.eager import random
from optc.eager.generator import Generator

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

SIZES = [0, 1, 2, 7, 15, 16, 17, 31, 32, 33, 100, 1000, 1001]
FLOATS = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
INTEGERS = [np.int64, np.int32, np.int16, np.int8, np.uint8]


def torch_dtype(dtype: type) -> Any:
    return getattr(torch, {"bool_": "bool"}.get(np.dtype(dtype).name, np.dtype(dtype).name))


def as_double(tensor: Any) -> np.ndarray:
    return tensor.double().numpy()


class Draw:
    """One distribution, drawn by both."""

    def __init__(
        self,
        dtypes: list[type],
        torch_fill: Callable[[Any, Any], Any],
        fill: Callable[[Any, Any], None],
        ulp: float = 0,
    ) -> None:
        self.dtypes, self.torch_fill, self.fill, self.ulp = dtypes, torch_fill, fill, ulp


DRAWS = {
    "uniform": Draw(
        FLOATS, lambda t, g: t.uniform_(-0.3, 1.7, generator=g), lambda a, g: random.fill_uniform(a, -0.3, 1.7, g)
    ),
    "unit": Draw(FLOATS, lambda t, g: t.uniform_(generator=g), lambda a, g: random.fill_uniform(a, 0, 1, g)),
    "normal": Draw(FLOATS, lambda t, g: t.normal_(generator=g), lambda a, g: random.fill_normal(a, 0, 1, g), 2),
    "scaled normal": Draw(
        FLOATS, lambda t, g: t.normal_(100.0, 7.0, generator=g), lambda a, g: random.fill_normal(a, 100.0, 7.0, g), 2
    ),
    "random": Draw(
        [*INTEGERS, *FLOATS, np.bool_], lambda t, g: t.random_(generator=g), lambda a, g: random.fill_random(a, g)
    ),
    "range": Draw(
        [*INTEGERS, *FLOATS],
        lambda t, g: t.random_(3, 99, generator=g),
        lambda a, g: random.fill_random_range(a, 3, 99, g),
    ),
    "wide range": Draw(
        [np.int64, np.float64],
        lambda t, g: t.random_(-3, 2**40, generator=g),
        lambda a, g: random.fill_random_range(a, -3, 2**40, g),
    ),
    "full range": Draw(
        [np.int64],
        lambda t, g: t.random_(-(2**63), None, generator=g),
        lambda a, g: random.fill_random_range(a, -(2**63), 2**63, g),
    ),
    "bernoulli": Draw(
        FLOATS, lambda t, g: t.bernoulli_(0.3, generator=g), lambda a, g: random.fill_bernoulli(a, 0.3, g)
    ),
    "exponential": Draw(
        FLOATS, lambda t, g: t.exponential_(1.3, generator=g), lambda a, g: random.fill_exponential(a, 1.3, g), 2
    ),
    "geometric": Draw(
        FLOATS, lambda t, g: t.geometric_(0.2, generator=g), lambda a, g: random.fill_geometric(a, 0.2, g)
    ),
    "log_normal": Draw(
        FLOATS,
        lambda t, g: t.log_normal_(1.0, 0.5, generator=g),
        lambda a, g: random.fill_log_normal(a, 1.0, 0.5, g),
        4,
    ),
    "cauchy": Draw(
        FLOATS, lambda t, g: t.cauchy_(1.0, 2.0, generator=g), lambda a, g: random.fill_cauchy(a, 1, 2, g), 64
    ),
}


def on_intel() -> bool:
    with open("/proc/cpuinfo") as text:
        return "GenuineIntel" in text.read()


def agree(tensor: Any, array: np.ndarray, ulp: float) -> bool:
    theirs, ours = as_double(tensor), array.astype(np.float64)
    if ulp == 0:
        return np.array_equal(theirs, ours)
    resolution = np.finfo(array.dtype).eps if array.dtype != ml_dtypes.bfloat16 else 2.0**-7
    return bool(np.all(np.abs(theirs - ours) <= ulp * resolution * np.maximum(np.abs(theirs), 1.0)))


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 + 5, -7, 2**63, 2**64 - 1])
def test_interleaved_calls_give_the_numbers_and_the_state_of_torch(seed: int) -> None:
    theirs, ours = torch.Generator(), Generator().manual_seed(seed)
    theirs.manual_seed(seed)
    choose = np.random.default_rng(seed % 1000)
    names = [name for name in DRAWS if not (on_intel() and name in ("bernoulli", "exponential"))]
    for _ in range(200):
        name = str(choose.choice(names))
        draw, size = DRAWS[name], int(choose.choice(SIZES))
        dtype = draw.dtypes[choose.integers(len(draw.dtypes))]
        tensor, array = torch.empty(size, dtype=torch_dtype(dtype)), np.empty(size, dtype)
        draw.torch_fill(tensor, theirs)
        draw.fill(array, ours)
        assert agree(tensor, array, draw.ulp), (name, size, dtype)
        assert np.array_equal(theirs.get_state().numpy(), ours.state_bytes()), (name, size, dtype)
    assert ours.initial_seed() == theirs.initial_seed()


@pytest.mark.parametrize("mean, deviation", [(0.0, 1.0), (0.5, 0.02)])
def test_float32_normal_numbers_are_equal_bit_for_bit(mean: float, deviation: float) -> None:
    for seed in range(5):
        theirs, array = torch.Generator(), np.empty(200_003, np.float32)
        theirs.manual_seed(seed)
        random.fill_normal(array, mean, deviation, Generator().manual_seed(seed))
        expected = torch.empty(array.size).normal_(mean, deviation, generator=theirs).numpy()
        assert np.count_nonzero(array != expected) <= 1


LIKE: dict[str, Callable[[Any, Any], Any]] = {
    "rand_like": lambda library, x: library.rand_like(x),
    "randn_like": lambda library, x: library.randn_like(x),
    "randint_like": lambda library, x: library.randint_like(x, 100),
    "bernoulli": lambda library, x: library.bernoulli(x),
    "bernoulli.p": lambda library, x: library.bernoulli(x, 0.4),
    "dropout": lambda library, x: library.nn.functional.dropout(x + 1, 0.4, True),
    "dropout of a view": lambda library, x: library.nn.functional.dropout(x, 0.4, True),
    "native_dropout": lambda library, x: library.native_dropout(x, 0.4, True)[1].float(),
}
VIEWS: list[Callable[[Any], Any]] = [
    lambda x: x, lambda x: x.permute(2, 0, 1), lambda x: x[:1].expand(4, -1, -1), lambda x: x[:, ::2],
    lambda x: x[:, :1].expand(-1, 6, -1).transpose(0, 2), lambda x: x.unsqueeze(1).expand(-1, 3, -1, -1).permute(0, 3, 1, 2),
    lambda x: x.transpose(0, 1)[:, 1:], lambda x: x.reshape(1, -1).expand(3, -1),
]  # fmt: skip


@pytest.mark.parametrize("name", LIKE)
@pytest.mark.parametrize("view", VIEWS)
def test_tensors_like_others_are_drawn_in_the_order_of_their_memory(view: Callable[[Any], Any], name: str) -> None:
    numbers = torch.rand(3, 4, 5)
    torch.manual_seed(3)
    optc.manual_seed(3)
    expected = LIKE[name](torch, view(numbers)).numpy()
    found = LIKE[name](optc, view(optc.from_numpy(numbers.numpy())))
    np.testing.assert_allclose(found._array, expected, rtol=1e-6)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 17, 1000, 100_000])
def test_permutations(size: int) -> None:
    for seed in range(3):
        theirs = torch.Generator()
        theirs.manual_seed(seed)
        expected = torch.randperm(size, generator=theirs).tolist()
        assert random.permutation(size, Generator().manual_seed(seed)).tolist() == expected


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2), (2, 1, 0)])
@pytest.mark.parametrize("name", ["uniform", "normal", "random", "range", "bernoulli"])
@pytest.mark.parametrize("step", [1, 2])
def test_strided_memory_is_filled_in_the_order_of_torch(axes: tuple[int, ...], name: str, step: int) -> None:
    theirs, ours = torch.Generator(), Generator().manual_seed(3)
    theirs.manual_seed(3)
    tensor = torch.empty(4, 3, 10).permute(axes)[::step]
    array = np.empty((4, 3, 10), np.float32).transpose(axes)[::step]
    DRAWS[name].torch_fill(tensor, theirs)
    DRAWS[name].fill(array, ours)
    assert agree(tensor, array, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("samples, replacement", [(1, True), (1, False), (4, True), (4, False), (50, True)])
def test_multinomial(dtype: type, samples: int, replacement: bool) -> None:
    weights = np.random.default_rng(0).random((3, 20)).astype(dtype)
    for rows in (weights, weights[0]):
        theirs = torch.Generator()
        theirs.manual_seed(11)
        expected = torch.multinomial(torch.from_numpy(rows), samples, replacement, generator=theirs)
        drawn = random.multinomial(rows, samples, replacement, Generator().manual_seed(11))
        assert drawn.tolist() == expected.tolist()


@pytest.mark.parametrize("dtype", FLOATS)
def test_bernoulli_with_a_probability_for_each(dtype: type) -> None:
    theirs, ours = torch.Generator(), Generator().manual_seed(4)
    theirs.manual_seed(4)
    chances = np.linspace(0, 1, 999).astype(dtype)
    tensor = torch.tensor(chances.tolist(), dtype=torch_dtype(dtype))
    expected = torch.empty(999).bernoulli_(tensor, generator=theirs)
    drawn = np.empty(999, np.float32)
    random.fill_bernoulli_each(drawn, chances, ours)
    assert agree(expected, drawn, 0)


def test_states_can_be_exchanged() -> None:
    theirs, ours = torch.Generator(), Generator().manual_seed(8)
    ours.words(1000)
    random.fill_normal(np.empty(3), 0, 1, ours)
    theirs.set_state(torch.from_numpy(ours.state_bytes()))
    array = np.empty(100)
    random.fill_normal(array[:5], 0, 1, ours)
    assert agree(torch.empty(5, dtype=torch.float64).normal_(generator=theirs), array[:5], 1)
    ours.restore_bytes(theirs.get_state().numpy())
    random.fill_uniform(array, 0, 1, ours)
    assert agree(torch.empty(100, dtype=torch.float64).uniform_(generator=theirs), array, 0)


def test_poisson_numbers_are_pytorchs() -> None:
    rates = np.random.default_rng(0).uniform(0, 30, (6, 7)).astype(np.float32)
    rates[0], rates[1] = 0, rates[1] / 10
    torch.manual_seed(5)
    optc.manual_seed(5)
    assert np.array_equal(optc.poisson(optc.tensor(rates)).numpy(), torch.poisson(torch.tensor(rates)).numpy())
    assert optc.rand(1).item() == torch.rand(1).item()


def test_slopes_of_rrelu_in_training_are_pytorchs() -> None:
    values = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    torch.manual_seed(5)
    optc.manual_seed(5)
    expected = torch.nn.functional.rrelu(torch.tensor(values), 0.1, 0.3, training=True)
    assert np.array_equal(
        optc.nn.functional.rrelu(optc.tensor(values), 0.1, 0.3, training=True).numpy(), expected.numpy()
    )
    assert optc.rand(1).item() == torch.rand(1).item()
