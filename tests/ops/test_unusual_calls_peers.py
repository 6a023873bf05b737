"""Calls that are seldom made, against PyTorch: dimensions that numbers have not, tensors of nothing, lists left out.

Both results and refusals are PyTorch's, eager; results that are tensors are those of compiled programs as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
import optc.nn.functional
from tests.ops.opinfo_samples import difference, plain, to_mine

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

NUMBER = torch.tensor(2.0)
MATRIX = torch.linspace(-3, 3, 20).reshape(4, 5)
IMAGES = torch.linspace(-3, 3, 378).reshape(2, 3, 7, 9)
LARGEST = torch.iinfo(torch.int64).max
F = "L.nn.functional"


def _empty(*shape: int) -> Any:
    return torch.empty(shape)


DIMS_OF_NUMBERS = [
    (f"x.{call}", [NUMBER]) for call in (
        "squeeze(5)", "squeeze((0, 1))", "squeeze((0, -1))", "squeeze(0)", "flatten(1, 0)", "flatten(0, 5)", "flatten()",
        "flip(0, 0)", "flip(5)", "flip(0)", "unflatten(0, (2, -1))", "unfold(0, -1, 1)", "roll(1, 0)", "roll(3, 5)",
        "count_nonzero(3)", "count_nonzero(-1)",
    )
]  # fmt: skip
LEFT_OUT = [
    *((f"{F}.avg_pool{n}d(x, {kernel}, None, 1)", [_empty(2, 3, *[6] * n).fill_(0.5)]) for n in (1, 2, 3)
      for kernel in (2, 3)),
    *((f"L.{name}(x, dim=None)", [MATRIX]) for name in ("amax", "amin", "flip", "logsumexp")),
    *((f"L.{name}(x, [])", [MATRIX]) for name in ("amax", "logsumexp", "special.logsumexp")),
]  # fmt: skip
WINDOWS = [
    *((f"{F}.{name}_pool2d(x, {numbers})", [IMAGES]) for name in ("max", "avg")
      for numbers in ("(1, 2, 3)", "1, (1, 2, 3)", "1, 1, (0, 0, 0)", "0, 1", "-1, 1", "2, 0")),
    *((f"{F}.{name}_pool3d(x, {numbers})", [IMAGES[None]]) for name in ("max", "avg")
      for numbers in ("(1, 2)", "1, (1, 2)", "1, 1, (0, 0)", "0, 1", "2, 0")),
    (f"{F}.max_pool2d(x, 1, 1, 0, (1, 1, 1))", [IMAGES]), (f"{F}.max_pool3d(x, 1, 1, 0, (1, 1))", [IMAGES[None]]),
    *((f"{F}.avg_pool1d(x, {numbers})", [MATRIX]) for numbers in ("(1, 2)", "1, (1, 2)", "1, 1, (0, 0)")),
    *((f"{F}.adaptive_max_pool{n}d(x, 0, True)", [_empty(2, *[3] * n).fill_(1)]) for n in (1, 2, 3)),
]  # fmt: skip
NOTHING_IN_WINDOWS = [
    *((f"{F}.{name}_pool{n}d(x, 1)", [_empty(*shape)]) for name in ("max", "avg", "adaptive_max", "adaptive_avg")
      for n, shape in ((1, (2, 3, 0)), (2, (2, 3, 7, 0)), (2, (2, 0, 7, 3)), (3, (2, 3, 0, 3, 3)))
      if not (name == "max" and n == 3 or name == "adaptive_avg" and n > 1)),
    *((f"{F}.unfold(x, 1, 1, 1)", [_empty(*shape)]) for shape in ((2, 3, 7, 0), (2, 0, 7, 2), (3, 0, 2), (0, 3, 7, 2))),
    *((f"{F}.conv{n}d(x, y, None, 1, 1)", [_empty(*shape), _empty(6, shape[-n - 1], *[1] * n)])
      for n, shape in ((1, (1, 2, 0)), (1, (2, 0)), (2, (1, 2, 0, 6)), (3, (1, 2, 5, 6, 0)), 
                       (2, (0, 2, 3, 6)))),
    *((f"{F}.conv_transpose{n}d(x, y)", [_empty(*shape), _empty(shape[-n - 1], 6, *[3] * n)])
      for n, shape in ((1, (1, 2, 0)), (2, (2, 3, 7, 0)), (3, (1, 2, 5, 6, 0)))),
]  # fmt: skip
PADS = [
    *((f"{F}.pad(x, {pad})", [_empty(3, 2).fill_(1)]) for pad in ("[-1, -2]", "[-3, 9]", "[2, -3]", "[1, -2]", "[-1, -1]")),
    (f"{F}.pad(x, [-1, 9], value=2)", [_empty(3, 0)]),
]  # fmt: skip
PLACES = [
    *((f"L.tensor_split(x, y{end})", [MATRIX, torch.tensor([2, 3])])
      for end in ("", ".int()", ".bool()", ".float()", ".reshape(1, 2)", "[0]")),
    *((f"L.take_along_dim(x, y{end})", [MATRIX, torch.tensor([[2], [3]])]) for end in (".int()", ".int(), 1", "")),
    *(("L.index_add(x, 0, y, x[:1])", [MATRIX, torch.tensor([place])]) for place in (4, -1)),
    ("L.index_select(x, 2, y)", [MATRIX, torch.tensor([0.0])]), 
    *((f"x.movedim({source}, {target})", [MATRIX]) for source, target in (((0, 0), (0, 1)), ((0, 1), (1, 1)), ((0, 1), (1, 0)))),
    *((f"x.narrow(0, {start}, 0)", [MATRIX]) for start in (5, -5, 4)), ("x.roll(3, 5)", [_empty(0, 5)]),
]  # fmt: skip
NUMBERS = [
    *((f"L.pow(x, {power})", [MATRIX.to(dtype)]) for dtype, power in (
        (torch.int8, 300), (torch.uint8, 300), (torch.int8, 2), (torch.int32, 2**40), (torch.float16, 2**40),
        (torch.int8, 300.0), (torch.float16, "float('inf')"))),
    *((f"L.{name}(x)", [torch.tensor([LARGEST, LARGEST, 3, 4])]) for name in ("trapezoid", "cumulative_trapezoid")),
    *((f"L.{name}(x, dx=0.5)", [MATRIX]) for name in ("trapezoid", "cumulative_trapezoid", "trapz")),
    *((f"L.nanmean(x, dim=0, dtype=L.{kind})", [MATRIX]) for kind in ("int64", "bool", "complex64", "float64")),
    *((f"L.{name}(x)", [torch.tensor([1e308, float("inf"), 2.5])]) for name in ("lgamma", "digamma")),
    ("L.lgamma(x)", [torch.tensor([1.7e308, 3e305, 0.5], dtype=torch.float64)]),
    *(("L.mvlgamma(x, 2)", [torch.tensor([3, 4]).to(dtype)]) for dtype in (torch.int64, torch.bool)),
    *((f"L.polygamma({order}, x)", [numbers.to(dtype)]) for order in (1, 2) for dtype in (torch.float32, torch.float64)
      for numbers in [torch.tensor([0.3, 2.5, 40.0, 0.0, float("inf"), -0.7, -3.3])]),
    ("L.polygamma(1, x)", [torch.tensor([-1.0, -2.0])]), ("L.polygamma(2, x)", [torch.tensor([-2147483648.0, 3.0])]),
    *((f"L.{name}(x, 1)", [torch.tensor([[0.0, -0.0], [-0.0, 0.0]]).to(dtype)]) for name in ("max", "min")
      for dtype in (torch.float32, torch.float16)),
    *((f"L.{name}(x)", [torch.tensor([-0.0, -0.0]).to(dtype)]) for name in ("sum", "mean", "nansum")
      for dtype in (torch.float32, torch.float64, torch.bfloat16)),
    *(("L.sum(x, 1)", [torch.full(shape, -0.0)]) for shape in ((3, 1), (3, 2), (3, 70))),
    *(("L.xlogy(x, y)", [torch.tensor([-0.0, 0.0, -0.0]).to(dtype), torch.tensor([2.0, 0.0, float("nan")]).to(dtype)])
      for dtype in (torch.float32, torch.float16)),
]  # fmt: skip
CLASSES = [
    (f"{F}.cross_entropy(x, y, reduction='{reduction}', label_smoothing={smoothing}, ignore_index={ignored})", [x, y])
    for reduction in ("mean", "none") for smoothing in (0.0, 0.1) for ignored in (-100, 0)
    for x, y in ((_empty(2, 0), _empty(2, 0)), (_empty(0, 0), _empty(0, 0)), (_empty(2, 0), torch.tensor([0, 0])),
                 (_empty(2, 0, 3), _empty(2, 0, 3)), (_empty(0, 0), torch.tensor([], dtype=torch.int64)))
]  # fmt: skip
KINDS_OF_TARGETS = [
    (f"{F}.{name}(x, y{end})", [MATRIX, torch.tensor([0, 2, 4, 1])]) for name in ("cross_entropy", "nll_loss")
    for end in (".int()", ".char()", ".bool()", ".float()", ".byte()", "")
]  # fmt: skip
CALLS = [
    *DIMS_OF_NUMBERS,
    *LEFT_OUT,
    *WINDOWS,
    *NOTHING_IN_WINDOWS,
    *PADS,
    *PLACES,
    *NUMBERS,
    *CLASSES,
    *KINDS_OF_TARGETS,
]


def evaluated(call: str, library: Any, tensors: list[Any]) -> Any:
    return eval(call, {"L": library, **dict(zip("xy", tensors))})


def outcome(call: str, library: Any, tensors: list[Any]) -> Any:
    """The result, or what an error says: the kind that programs can catch, and its first line."""
    try:
        return plain(evaluated(call, library, tensors))
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        kind = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
        return f"{kind.__name__}: {str(error).splitlines()[0]}"


def unequal(mine: Any, other: Any) -> str:
    """What differs: texts, elements, or signs of zeros."""
    if isinstance(mine, str) or isinstance(other, str):
        return "" if isinstance(mine, str) and mine == other else f"{mine} instead of {other}"
    return difference(mine, other) or ("" if _signs(mine) == _signs(other) else f"{mine} instead of {other}")


def _signs(result: Any) -> Any:
    """Where there are zeros below zero."""
    if not isinstance(result, np.ndarray):
        return list(map(_signs, result)) if isinstance(result, list) else None
    if result.dtype.kind in "iubc":
        return None
    wide = result.astype(np.float64)
    return (np.signbit(wide) & (wide == 0)).tolist()


@pytest.mark.parametrize("case", CALLS, ids=lambda case: f"{case[0]} {[list(each.shape) for each in case[1]]}")
def test_results_and_refusals_are_those_of_pytorch(case: tuple[str, list[Any]]) -> None:
    call, tensors = case
    assert not unequal(outcome(call, optc, list(map(to_mine, tensors))), outcome(call, torch, tensors))


@pytest.mark.parametrize("mode", ["static", "dynamic"])
def test_compiled_results_are_those_of_pytorch(mode: str) -> None:
    found = [(call, tensors, outcome(call, torch, tensors)) for call, tensors in CALLS]
    chosen = [(call, tensors, result) for call, tensors, result in found if isinstance(result, np.ndarray)]
    given = tuple(to_mine(tensor) for _, tensors, _ in chosen for tensor in tensors)

    def program(*tensors: Any) -> list[Any]:
        rest = iter(tensors)
        return [evaluated(call, optc, [next(rest) for _ in held]) for call, held, _ in chosen]

    compiled = optc.compile(program, given, dynamic=mode == "dynamic", fallback="allow", cache=False)
    texts = [
        f"{call}: {text}" for (call, _, expected), result in zip(chosen, compiled(*given))
        if (text := unequal(plain(result), expected))
    ]  # fmt: skip
    assert not texts, "\n".join(texts)
