"""Random numbers that native code draws: those of the eager layer, from the same generator."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optc
import optc as torch
from optc import jit, nn
from optc.codegen.operators import random_numbers
from optc.eager import random
from optc.eager.generator import default_generator
from optc.errors import ExecutionError

SIZES = (0, 1, 2, 15, 16, 17, 31, 32, 33, 1000, 1001)
FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")

FILLS: dict[str, tuple[tuple[str, ...], str]] = {
    "uniform": (FLOATS, "x.uniform_(-0.3, 1.7)"),
    "rand_like": (FLOATS, "torch.rand_like(x)"),
    "normal": (FLOATS, "x.normal_(100.0, 7.0)"),
    "randn_like": (FLOATS, "torch.randn_like(x)"),
    "bernoulli": ((*FLOATS, *INTEGERS, "bool"), "x.bernoulli_(0.3)"),
    "bernoulli_each": (FLOATS, "torch.bernoulli((x + 1) / 3)"),
    "bernoulli_spread": (FLOATS, "torch.cat([x, x]).view(2, -1).bernoulli_((x.double() + 1) / 3)"),
    "exponential": (FLOATS, "x.exponential_(1.3)"),
    "geometric": ((*FLOATS, *INTEGERS), "x.geometric_(0.2)"),
    "log_normal": (FLOATS, "x.log_normal_(1.0, 0.5)"),
    "cauchy": (FLOATS, "x.cauchy_(1.0, 2.0)"),
    "random": ((*FLOATS, *INTEGERS, "bool"), "x.random_()"),
    "range": ((*FLOATS, *INTEGERS), "x.random_(3, 99)"),
    "wide_range": (("int64", "float64"), "x.random_(-3, 8589934592)"),
    "open_range": (INTEGERS, "x.random_(5, None)"),
    "full_range": (("int64",), "x.random_(-9223372036854775808, None)"),
    "randint_like": ((*FLOATS, *INTEGERS), "torch.randint_like(x, 7, 120)"),
    "randperm": (("int64", "int32", "int16", "uint8"), "torch.randperm(min(len(x), 200), dtype=x.dtype)"),
    "slopes": (("float32", "float64", "bfloat16"), "torch.rrelu(x, 0.1, 0.3, True)"),  # PyTorch has none of halves
}
TOLERANCES = {"normal": 1e-15, "randn_like": 1e-15, "exponential": 1e-15, "log_normal": 1e-15, "cauchy": 1e-12}
"""Of float64 numbers, for which the eager layer has numpy's logarithms and sines, native code those of the C library."""

CASES = [(name, dtype) for name, (dtypes, _) in FILLS.items() for dtype in dtypes]
QUICK = {
    ("uniform", "float32"),
    ("normal", "float32"),
    ("bernoulli", "float32"),
    ("bernoulli_spread", "float32"),
    ("range", "int64"),
    ("normal", "float64"),
}


def program_of(name: str, folder: Path) -> Any:
    """A function that draws, in a file of its own."""
    text = f"import optc as torch\ndef program(x):\n    x = x.clone()\n    return {FILLS[name][1]}\n"
    path = folder / f"fill_{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module.program


def values(tensor: Any) -> np.ndarray:
    return np.asarray(tensor._array).astype(np.float64)


def same(found: Any, expected: Any, tolerance: float = 0.0) -> None:
    if isinstance(expected, tuple):
        for mine, other in zip(found, expected, strict=True):
            same(mine, other, tolerance)
        return
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_allclose(values(found), values(expected), rtol=tolerance, atol=tolerance)


def after_seed(seed: int, program: Callable[..., Any], *arguments: Any) -> tuple[Any, bytes]:
    """What a program gives, and the generator's state behind it."""
    optc.manual_seed(seed)
    result = program(*arguments)
    return result, optc.get_rng_state()._array.tobytes()


def agrees(fast: Any, program: Callable[..., Any], *arguments: Any, tolerance: float = 0.0) -> None:
    for seed in (0, 2**33 + 5):
        (found, mine), (expected, theirs) = (after_seed(seed, run, *arguments) for run in (fast, program))
        same(found, expected, tolerance)
        assert mine == theirs
    assert not fast.fallbacks


@pytest.mark.parametrize(
    "name, dtype", [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_native_numbers_are_those_of_the_eager_layer(name: str, dtype: str, tmp_path: Path) -> None:
    program = program_of(name, tmp_path)
    fast = optc.compile(jit.script(program), dynamic=True)
    tolerance = TOLERANCES.get(name, 0.0) if dtype == "float64" else 0.0
    for size in SIZES:
        x = (
            optc.zeros(size, dtype=getattr(optc, dtype))
            if name != "slopes"
            else optc.randn(size).to(getattr(optc, dtype))
        )
        agrees(fast, program, x, tolerance=tolerance)


def test_large_permutations_are_shuffled_inside_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_numbers, "INSIDE_OUT", 100)
    monkeypatch.setattr(random, "INSIDE_OUT", 100)
    program = program_of("randperm", tmp_path)
    fast = optc.compile(jit.script(program), dynamic=True, cache=False)
    for size in (99, 100, 180):
        agrees(fast, program, optc.zeros(size, dtype=optc.int64))


def draws_of_all_kinds(x):
    y = nn.functional.dropout(optc.tanh(x), 0.3, True) + optc.rand(40)
    z = nn.functional.alpha_dropout(x, 0.2, True) + nn.functional.rrelu(x, training=True)
    return y * optc.bernoulli(optc.sigmoid(x)), z, optc.randn_like(x), optc.randint(0, 9, (4,)), optc.randperm(5)


def features(x):
    return (
        nn.functional.dropout2d(x, 0.4, True), nn.functional.feature_alpha_dropout(x, 0.4, True),
        *optc.native_dropout(x, 0.3, None), nn.functional.dropout(x, 1.0, True), nn.functional.dropout(x, 0.0, True),
    )  # fmt: skip


def around(x):
    deviations = x.abs()
    return (
        optc.normal(x, deviations), optc.normal(x, 2.0), optc.normal(1.0, deviations), optc.normal(0.5, 2.0, (3, 7)),
    )  # fmt: skip


def choices(x):
    weights = optc.softmax(x, -1)
    return (
        optc.multinomial(weights, 1), optc.multinomial(weights, 5), optc.multinomial(weights, 9, True),
        optc.multinomial(weights[1], 40, True),
    )  # fmt: skip


def in_loops_and_branches(x):
    for turn in range(5):
        if optc.rand(1).item() > 0.5:
            x = x + optc.randn(40)
        else:
            x = x * optc.bernoulli(optc.full((40,), 0.5)) + turn
    return x


def of_sizes_that_data_decides(x):
    places = optc.nonzero(x > 0)
    noise = optc.rand_like(x[x > 0])
    return noise, optc.randn(places.size(0), 3), optc.randperm(places.size(0))


def in_the_order_of_memory(x):
    turned = x.permute(1, 2, 0)
    return (
        optc.zeros_like(turned).uniform_(), optc.empty_like(turned, dtype=optc.float64).uniform_(),
        optc.zeros_like(turned * x[:1, :1, 0] + 1).uniform_(), optc.zeros_like(x[:, ::2]).normal_(),
        nn.functional.dropout(optc.ones_like(turned), 0.5, True), nn.functional.dropout(optc.relu(turned), 0.5, True),
        optc.zeros_like(turned, memory_format=optc.contiguous_format).uniform_(),
    )  # fmt: skip


def of_what_comes_into_rows(x):
    turned = x.permute(2, 0, 1)
    scores, chosen = optc.softmax(turned, -1), turned.argmax(-1)
    return (
        nn.functional.dropout(scores, 0.5, True), optc.rand_like(nn.functional.one_hot(chosen, 8).to(optc.float32)),
        optc.randn_like(turned.masked_fill(turned > 0, 1.0)), optc.rand_like(optc.cumsum(turned, 0)),
        optc.rand_like(x.transpose(0, 1).reshape(-1, 5) + 1), optc.rand_like(turned.permute(1, 2, 0) + 1),
        optc.rand_like(turned.flatten(1).t() + 1),
        optc.rand_like(optc.einsum("nij,nkj->nik", x, x) + 1), optc.rand_like(optc.einsum("ijk,kl->ijl", x, x[0, :5]) + 1),
    )  # fmt: skip


@pytest.mark.parametrize(
    "program, shape",
    [(draws_of_all_kinds, (40,)), (features, (3, 4, 5, 6)), (around, (6, 7)), (choices, (6, 20)), (in_loops_and_branches, (40,)),
     (of_sizes_that_data_decides, (70,)), (in_the_order_of_memory, (4, 6, 5)),
     (of_what_comes_into_rows, (4, 6, 5))],
)  # fmt: skip
def test_programs_draw_what_eager_code_draws(program: Callable[..., Any], shape: tuple[int, ...]) -> None:
    optc.manual_seed(5)
    fast = optc.compile(jit.script(program))
    agrees(fast, program, optc.randn(shape), tolerance=1e-6)
    assert fast.specializations[-1].entry is not None


def normal_in_columns(x):
    return optc.zeros_like(x.t() * 2.0).normal_()


def integers_in_columns(x):
    return optc.full_like(x.t(), 3.0).random_(0, 9)


@pytest.mark.parametrize("program", [normal_in_columns, integers_in_columns])
def test_orders_that_native_code_does_not_draw_in_are_left_to_python(program: Callable[..., Any]) -> None:
    fast = optc.compile(jit.script(program), fallback="allow")
    x = optc.ones(4, 7)
    same(after_seed(5, fast, x)[0], after_seed(5, program, x)[0])
    assert "order of memory" in str(fast.fallbacks[0])


def test_draws_of_native_and_eager_code_alternate() -> None:
    program = jit.script(draws_of_all_kinds)
    fast = optc.compile(program)
    x = optc.ones(40)

    def alternate(run: Callable[..., Any]) -> tuple[Any, ...]:
        results: list[Any] = []
        for turn in range(6):
            results += [optc.randn(turn), *run(x), optc.rand(700)]  # an odd number leaves half of a pair behind
        return tuple(results)

    (found, mine), (expected, theirs) = (
        after_seed(3, lambda: alternate(fast)),
        after_seed(3, lambda: alternate(program)),
    )
    same(found, expected, 1e-6)
    assert mine == theirs
    held = optc.get_rng_state()
    first = fast(x)
    optc.set_rng_state(held)
    same(fast(x), first)


def fails_behind_draws(x, index: int):
    noise = optc.rand(40) + optc.randn(3).sum()
    return (x + noise)[index] + optc.randn(1)


def fails_behind_an_island(x, index: int):
    noise = optc.rand(40) if index != 41 else x
    counts = optc.poisson(optc.abs(x) + noise)
    return (counts + optc.rand(40))[index] + optc.randn(1)


@pytest.mark.parametrize("program", [fails_behind_draws, fails_behind_an_island])
@pytest.mark.filterwarnings("ignore::optc.errors.OptcWarning")
def test_a_failing_run_draws_its_numbers_once(program: Callable[..., Any]) -> None:
    scripted = jit.script(program)
    fast = optc.compile(scripted, fallback="allow")
    x = optc.rand(40)

    def run(called: Callable[..., Any], index: int) -> tuple[Any, bytes]:
        optc.manual_seed(7)
        optc.randn(1)
        try:
            result = values(called(x, index)).tolist()
        except ExecutionError as error:
            result = str(error)
        return result, optc.get_rng_state()._array.tobytes()

    for index in (3, 400, 5, -41, 41, -40):
        found, expected = run(fast, index), run(scripted, index)
        assert found[1] == expected[1]
        assert found[0] == (expected[0] if isinstance(expected[0], str) else pytest.approx(expected[0]))


def refused(x, p: float, low: float):
    return optc.empty_like(x).bernoulli_(p), optc.empty(3).uniform_(low, 1.0), optc.empty(3).normal_(0.0, p)


def test_arguments_are_checked_before_numbers_are_drawn() -> None:
    fast = optc.compile(jit.script(refused))
    x = optc.ones(20)
    agrees(fast, refused, x, 0.25, -1.0)
    for p, low, message in ((1.5, 0.0, "p to be in"), (0.5, 2.0, "from=2 > to=1"), (-0.5, 0.0, "p to be in")):
        with pytest.raises(ExecutionError, match=message):
            fast(x, p, low)
    probabilities = optc.compile(jit.script(of_probabilities))
    for bad in (1.5, -0.1, float("nan")):
        with pytest.raises(ExecutionError, match="p_in"):
            probabilities(optc.full((200,), bad))


@pytest.mark.parametrize("weights", [[1.0, -1.0, 2.0], [0.0, 0.0, 0.0], [1.0, float("nan"), 1.0], [1.0, 2.0]])
def test_weights_are_checked_before_numbers_are_drawn(weights: list[float]) -> None:
    fast = optc.compile(jit.script(three_of_all), dynamic=True)
    agrees(fast, three_of_all, optc.ones(2, 4))
    optc.manual_seed(3)
    before = optc.get_rng_state()._array.tobytes()
    with pytest.raises(ExecutionError, match=r"probability tensor|invalid multinomial|n_sample >"):
        fast(optc.tensor([weights]))
    assert optc.get_rng_state()._array.tobytes() == before


def three_of_all(x):
    return optc.multinomial(x, 3)


def of_probabilities(x):
    return optc.bernoulli(x)


def with_a_generator(x, generator: torch.Generator):
    return optc.rand(40, generator=generator) + x


@pytest.mark.filterwarnings("ignore::optc.errors.OptcWarning")
def test_other_generators_are_left_to_python() -> None:
    fast = optc.compile(jit.script(with_a_generator), fallback="allow")
    x = optc.zeros(40)
    before = optc.get_rng_state()._array.tobytes()
    found = fast(x, optc.Generator().manual_seed(4))
    same(found, with_a_generator(x, optc.Generator().manual_seed(4)))
    assert optc.get_rng_state()._array.tobytes() == before


def many(x):
    return optc.rand(2000) + x, optc.bernoulli(optc.full((300,), 0.5))


def test_threads_get_different_numbers() -> None:
    fast = optc.compile(jit.script(many))
    x = optc.zeros(2000)
    fast(x)
    optc.manual_seed(11)
    expected = optc.rand(5 * 4 * 2000)
    found: list[np.ndarray] = []

    def call(draw: Callable[[], Any]) -> None:
        found.extend(values(draw()).copy() for _ in range(20))

    runs = [lambda: fast(x)[0], lambda: optc.rand(2000)] * 2
    threads = [threading.Thread(target=call, args=(run,)) for run in runs]
    optc.manual_seed(11)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = np.concatenate(found)
    # all of them are numbers of one stream, none twice
    assert len(found) == 80 and len(np.unique(numbers.round(9))) > 0.99 * numbers.size
    assert set(values(expected)[:2000]) & set(numbers.tolist())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_forked_child_finds_the_generator_open() -> None:
    fast = optc.compile(jit.script(many))
    x = optc.zeros(2000)
    fast(x)
    with default_generator.lock:
        child = os.fork()
        if child == 0:
            try:
                fast(x)
                optc.rand(3)
            except BaseException:  # noqa: BLE001
                os._exit(1)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_profile_leaves_the_generator_as_it_was() -> None:
    fast = optc.compile(jit.script(many))
    x = optc.zeros(2000)
    fast(x)
    optc.manual_seed(2)
    before = optc.get_rng_state()._array.tobytes()
    profile = fast.profile(x)
    assert optc.get_rng_state()._array.tobytes() == before
    assert "random_uniform_float32" in str(profile)


_IN_ANOTHER_PROCESS = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np
import optc
from test_draws import draws_of_all_kinds as program
fast = optc.compile(optc.jit.script(program))
optc.manual_seed(3)
found = fast(optc.ones(40))
np.savez({outputs!r}, *(item._array for item in found))
print(fast.specializations[-1].seconds.get("restore") is not None, len(fast.fallbacks), "llvmlite" in sys.modules)
"""


def test_a_plan_draws_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("OPTC_CACHE", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    expected, _ = after_seed(3, draws_of_all_kinds, optc.ones(40))
    said = []
    for number in range(2):
        outputs = str(tmp_path / f"{number}.npz")
        text = _IN_ANOTHER_PROCESS.format(folder=str(Path(__file__).parent), outputs=outputs)
        run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        said.append(run.stdout.split())
        for mine, other in zip(np.load(outputs).values(), expected, strict=True):
            np.testing.assert_allclose(mine, other._array, rtol=1e-6, atol=1e-6)
    assert said == [["False", "0", "True"], ["True", "0", "False"]]


def test_results_are_written_again_with_new_numbers() -> None:
    fast = optc.compile(jit.script(many))
    x = optc.zeros(2000)
    optc.manual_seed(9)
    expected = [tuple(map(values, many(x))) for _ in range(5)]
    optc.manual_seed(9)
    for numbers in expected:
        found = fast(x)  # nobody keeps what came before
        assert all(np.array_equal(values(mine), other) for mine, other in zip(found, numbers))
