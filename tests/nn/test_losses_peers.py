"""Losses, distances, folding and local response normalisation against PyTorch's modules, in every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


def normal(*shape: int) -> Any:
    return np.random.default_rng([5, *shape]).standard_normal(shape).astype(np.float32)


def between(*shape: int) -> Any:
    return np.random.default_rng([6, *shape]).random(shape).astype(np.float32)


def signs(*shape: int) -> Any:
    return np.where(normal(*shape) > 0, 1, -1).astype(np.float32)


CASES: list[tuple[str, list[Any]]] = [
    ("KLDivLoss(reduction='batchmean')", [normal(3, 4), between(3, 4)]),
    ("KLDivLoss(reduction='sum', log_target=True)", [normal(3, 4), normal(3, 4) - 1]),
    ("BCELoss()", [between(3, 4), between(3, 4) / 2]),
    ("BCEWithLogitsLoss(reduction='sum')", [normal(3, 4), between(3, 4)]),
    ("HingeEmbeddingLoss(0.5)", [normal(3, 4), signs(3, 4)]),
    ("HuberLoss(delta=0.3)", [normal(3, 4), between(3, 4)]),
    ("SoftMarginLoss()", [normal(3, 4), signs(3, 4)]),
    ("CosineEmbeddingLoss(0.1)", [normal(3, 4), between(3, 4), signs(3)]),
    ("MarginRankingLoss(0.1)", [normal(3), between(3), signs(3)]),
    ("MultiLabelSoftMarginLoss()", [normal(3, 4), (signs(3, 4) + 1) / 2]),
    ("PoissonNLLLoss(full=True)", [normal(3, 4), between(3, 4) * 4]),
    ("GaussianNLLLoss(full=True)", [normal(3, 4), between(3, 4), between(3, 1)]),
    ("GaussianNLLLoss(reduction='none')", [normal(3, 4), between(3, 4), between(3)]),
    ("TripletMarginLoss(swap=True)", [normal(3, 4), between(3, 4), signs(3, 4)]),
    ("CosineSimilarity()", [normal(3, 4), between(3, 4)]),
    ("PairwiseDistance(1.0, keepdim=True)", [normal(3, 4), between(3, 4)]),
    ("Fold((5, 6), (2, 3))", [normal(2, 12, 16)]),
    ("Unfold(2, padding=1, stride=2)", [normal(2, 3, 5, 6)]),
    ("LocalResponseNorm(3, k=2.0)", [normal(2, 5, 4, 3)]),
    ("LocalResponseNorm(4)", [normal(2, 5, 4)]),
    ("MultiMarginLoss(p=2)", [normal(3, 4), np.array([0, 3, 1])]),
    ("MultiLabelMarginLoss()", [normal(2, 4), np.array([[3, 0, -1, 1], [1, -1, 0, 0]])]),
    ("CTCLoss()", [normal(6, 2, 4), np.array([[1, 2], [3, 1]]), np.array([6, 5]), np.array([2, 1])]),
    ("ChannelShuffle(2)", [normal(2, 4, 3, 3)]),
    ("LPPool1d(2, 3)", [between(2, 3, 9)]),
    ("LPPool2d(3.0, (2, 3), stride=1)", [between(2, 3, 5, 6)]),
    ("MaxUnpool2d(2)", [normal(1, 1, 2, 2), np.array([[[[0, 3], [9, 14]]]])]),
]


INTERPRETED = ("MultiLabelMarginLoss", "CTCLoss", "MaxUnpool2d")
"""Modules of operators that the interpreter runs."""


@pytest.mark.parametrize(("expression", "inputs"), CASES)
def test_is_the_module_of_pytorch(expression: str, inputs: list[Any]) -> None:
    theirs, ours = (eval(expression, vars(package.nn)) for package in (torch, optc))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    expected = theirs(*map(torch.from_numpy, inputs)).numpy()
    given = [optc.from_numpy(item) for item in inputs]
    engines = [ours]
    fallback: Any = "allow" if expression.startswith(INTERPRETED) else "error"
    if not expression.startswith("Gaussian"):  # nor does PyTorch compile its source
        scripted = optc.jit.script(ours)
        engines += [scripted, optc.compile(scripted, fallback=fallback)]
    for engine in engines:
        np.testing.assert_allclose(engine(*given).numpy(), expected, rtol=1e-5, atol=1e-6)


FRACTIONAL = (
    ("FractionalMaxPool2d(2, output_ratio=0.5)", (2, 3, 8, 6)),
    ("FractionalMaxPool2d((2, 3), 4, return_indices=True)", (3, 8, 6)),
    ("FractionalMaxPool3d(2, output_size=(2, 3, 2))", (2, 2, 5, 6, 4)),
)


@pytest.mark.parametrize(("expression", "shape"), FRACTIONAL)
def test_pools_at_drawn_places_as_pytorch(expression: str, shape: tuple[int, ...]) -> None:
    theirs, ours = (eval(expression, vars(package.nn)) for package in (torch, optc))
    assert repr(ours) == repr(theirs)
    x = normal(*shape)
    torch.manual_seed(3)
    expected = theirs(torch.from_numpy(x))
    for engine in (ours, optc.jit.script(ours), optc.compile(optc.jit.script(ours), fallback="allow")):
        optc.manual_seed(3)
        found = engine(optc.from_numpy(x))
        for mine, other in zip(*([one] if not isinstance(one, tuple) else one for one in (found, expected))):
            assert mine.tolist() == other.tolist()


@pytest.mark.parametrize("arguments", [{}, {"output_size": 2, "output_ratio": 0.5}, {"output_ratio": (0.5, 1.5)}])
def test_pools_at_drawn_places_refuse_what_pytorch_refuses(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as expected:
        torch.nn.FractionalMaxPool2d(2, **arguments)
    with pytest.raises(ValueError) as refused:
        optc.nn.FractionalMaxPool2d(2, **arguments)
    assert str(refused.value) == str(expected.value)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_soft_margin_loss_of_halves_is_rounded_after_every_step(name: str) -> None:
    numbers = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    x, y = (torch.from_numpy(row).to(getattr(torch, name)) for row in numbers)
    mine = [optc.from_numpy(row).to(getattr(optc, name)) for row in numbers]
    expected = torch.nn.functional.soft_margin_loss(x, y, reduction="none").float().numpy()
    found = optc.nn.functional.soft_margin_loss(*mine, reduction="none").float().numpy()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("classes", [(5,), (5, 2)])
def test_cross_entropy_of_a_linear_layer(classes: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    x, w, bias = (random.normal(size=shape).astype(np.float32) for shape in ((3, 4), (*classes, 4), classes))
    target = random.integers(0, 5, (3, *classes[1:]))
    target.flat[0] = 1

    def loss(functional: Any, *given: Any) -> Any:
        return functional.linear_cross_entropy(*given[:3], linear_bias=given[3], ignore_index=1)

    given = (x, w, target, bias)
    expected = loss(torch.nn.functional, *map(torch.from_numpy, given)).numpy()
    mine = tuple(map(optc.from_numpy, given))

    def program(*given: Any) -> Any:
        return loss(optc.nn.functional, *given)

    compiled = optc.compile(program, mine, fallback="error")
    for function in (program, compiled):
        np.testing.assert_allclose(function(*mine).numpy(), expected, 1e-5)
    with pytest.raises(RuntimeError, match="expected linear_weight with dimensionality at least 2, got 1"):
        optc.nn.functional.linear_cross_entropy(mine[0], mine[1].reshape(-1), mine[2])
