"""Numbers that operators seldom meet, against PyTorch: signs of zero, infinities, what does not fit, what is rounded twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
import optc.nn.functional
from tests.ops.opinfo_samples import difference, option, plain, to_mine

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

ZEROS = torch.tensor([0.0, -0.0, 1.0, -0.0, float("inf"), -float("inf")])
LARGE = torch.tensor([2e19, 2e20, 1e19, 3e19])
LOGITS = torch.linspace(-3, 3, 7)
PARTS = torch.linspace(0.1, 0.9, 7)
HALVES = (torch.float16, torch.bfloat16)

CALLS: list[tuple[str, list[Any]]] = [
    *((f"L.{name}", [ZEROS]) for name in ("relu(x)", "cumsum(x[:2] * -1 * x[:2], 0)", "clamp(x, 0.0)", "clamp(x, -0.0)",
                                          "clamp(x, max=0.0)", "nn.functional.hardtanh(x, 0.0, 0.0)")),
    *((f"L.{name}(x, y)", [ZEROS, ZEROS.flip(0)]) for name in ("fmax", "fmin")),
    *((f"x ** {power}", [ZEROS.to(dtype)]) for power in (0.5, -0.5) for dtype in (torch.float32, *HALVES)),
    *((f"L.{call}", [torch.tensor([[0.0, float("nan")], [1.0, 1e-40]])])
      for call in ("cdist(x, x, 0.0)", "nn.functional.pdist(x, 0.0)")),
    ("x ** y", [ZEROS, torch.tensor([0.5])]),
    ("L.addcmul(-1e38 * x / x, x, x, value=0.5)", [LARGE]),
    ("L.addcdiv(-1e38 * x / x, x * 1e18, x / 1e20, value=0.5)", [LARGE]),
    *(("L.gcd(x, y)", [torch.tensor([lowest, lowest, lowest, 0, 6, -4], dtype=dtype),
                       torch.tensor([0, lowest, 6, lowest, lowest, 6], dtype=dtype)])
      for dtype in (torch.int8, torch.int16, torch.int32, torch.int64) for lowest in [torch.iinfo(dtype).min]),
    *((f"L.nn.functional.binary_cross_entropy_with_logits({given}, reduction='none')", [LOGITS.to(one), PARTS.to(two)])
      for given in ("x, y", "x, y, weight=y", "x, y, pos_weight=y")
      for one in HALVES for two in (torch.float32, one)),
    *(("L.nn.functional.kl_div(x, y, reduction='none', log_target=True)", [LOGITS.to(dtype), LOGITS.flip(0).to(dtype)])
      for dtype in HALVES),
]  # fmt: skip


def _empty(*shape: int) -> Any:
    return torch.empty(shape)


def evaluated(call: str, library: Any, tensors: list[Any]) -> Any:
    return eval(call, {"L": library, **dict(zip("xy", tensors))})


def bits(array: Any) -> Any:
    """The elements, and the signs of the zeros among them."""
    wide = array.astype(np.float64)
    return wide, np.signbit(wide) & (wide == 0)


@pytest.mark.parametrize("mode", ["eager", "static", "dynamic"])
def test_results_are_those_of_pytorch(mode: str) -> None:
    expected = [plain(evaluated(call, torch, tensors)) for call, tensors in CALLS]
    given = [to_mine(tensor) for _, tensors in CALLS for tensor in tensors]

    def program(*tensors: Any) -> list[Any]:
        rest = iter(tensors)
        return [evaluated(call, optc, [next(rest) for _ in held]) for call, held in CALLS]

    function = program
    if mode != "eager":
        function = optc.compile(program, tuple(given), dynamic=mode == "dynamic", fallback="allow", cache=False)
    for (call, _), mine, other in zip(CALLS, function(*given), expected):
        assert plain(mine).dtype == other.dtype, call
        for one, two in zip(bits(plain(mine)), bits(other)):
            np.testing.assert_allclose(one, two, 1e-6 if other.dtype == np.float32 else 0, err_msg=call)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("number", [-1, -1.5, -0.5, 2.5, 127.5, 255.5, 300, float("nan")])
@pytest.mark.parametrize(
    "call", ["x[0].fill_(n)", "L.tensor([n], dtype=t)", "L.full([1], n, dtype=t)", "written(x, n)"]
)
def test_numbers_that_do_not_fit_are_refused(dtype: str, number: float, call: str) -> None:
    def outcome(library: Any) -> Any:
        def written(x: Any, n: float) -> Any:
            x[0] = n
            return x

        kind = option(getattr(torch, dtype)) if library is optc else getattr(torch, dtype)
        names = {"L": library, "n": number, "t": kind, "x": library.zeros([2], dtype=kind), "written": written}
        try:
            return str(plain(eval(call, names)))
        except RuntimeError as error:
            return str(error)

    assert outcome(optc) == outcome(torch)


F = "L.nn.functional"
IMAGE = torch.linspace(0, 1, 112).reshape(1, 2, 7, 8)
IMAGE[0, 0, 2, 3], IMAGE[0, 1, 5, 5] = float("inf"), float("nan")
POOLED = [f"{F}.adaptive_avg_pool2d(x, {size})" for size in ((3, 3), (2, 5), (14, 16), (40, 33))]
RESAMPLED = [
    f"{F}.interpolate(x, size={size}, mode='{mode}')" for size in ((3, 3), (4, 4), (14, 16))
    for mode in ("bilinear", "bicubic")
]  # fmt: skip


@pytest.mark.parametrize("call", [*POOLED, *RESAMPLED])
def test_what_is_not_finite_stays_in_its_windows(call: str) -> None:
    expected, given = plain(evaluated(call, torch, [IMAGE])), to_mine(IMAGE)
    compiled = optc.compile(lambda x: evaluated(call, optc, [x]), (given,), fallback="error", cache=False)
    for function in (lambda x: evaluated(call, optc, [x]), compiled):
        np.testing.assert_allclose(plain(function(given)), expected, 1e-4, 1e-6)


@pytest.mark.parametrize("shape", [(3, 0, 4), (3, 4, 0), (0, 4, 4), (2, 0, 4, 4), (0, 3, 4, 4)])
@pytest.mark.parametrize("spatial", [2, 3])
@pytest.mark.parametrize("size", [1, 2])
def test_windows_without_elements_have_no_mean(shape: tuple[int, ...], spatial: int, size: int) -> None:
    def outcome(library: Any, x: Any) -> str:
        try:
            return str(list(evaluated(f"{F}.adaptive_avg_pool{spatial}d(x, {size})", library, [x]).shape))
        except RuntimeError as error:
            return str(error)

    given = _empty(*shape[: 5 - spatial], *[4] * (spatial - 2), *shape[5 - spatial :])
    assert outcome(optc, to_mine(given)) == outcome(torch, given)


EMPTIES: list[tuple[str, list[Any]]] = [
    *(("L.linalg.cond(x)", [_empty(*shape)]) for shape in ((0, 0), (2, 0, 0), (0, 2, 2))),
    *(("L.linalg.lu(x)", [_empty(*shape)]) for shape in ((0, 5), (3, 0), (2, 0, 4), (0, 3, 3))),
    *((f"{F}.adaptive_avg_pool1d(x, 1)", [_empty(*shape)]) for shape in ((3, 0, 0), (0, 3, 4))),
    (f"{F}.adaptive_avg_pool2d(x, 2)", [_empty(0, 3, 4, 4)]),
    (f"{F}.cross_entropy(x, y)", [_empty(0, 3), _empty(0, 3)]),
    *((f"{F}.scaled_dot_product_attention(x, y, y)", [_empty(*query), _empty(*key)])
      for query, key in (((4, 3, 0), (4, 6, 0)), ((0, 3, 2), (0, 6, 2)), ((2, 3, 2), (2, 0, 2)))),
]  # fmt: skip


@pytest.mark.parametrize("case", EMPTIES, ids=lambda case: f"{case[0]} {[list(each.shape) for each in case[1]]}")
def test_tensors_without_elements_have_results(case: tuple[str, list[Any]]) -> None:
    call, tensors = case
    expected, given = plain(evaluated(call, torch, tensors)), [to_mine(each) for each in tensors]
    program = optc.compile(lambda *each: evaluated(call, optc, list(each)), tuple(given), fallback="allow", cache=False)
    for function in (lambda *each: evaluated(call, optc, list(each)), program):
        assert not difference(plain(function(*given)), expected)


KINDS = ("bool", "int64", "float16", "float32", "float64", "complex64")


@pytest.mark.parametrize("call", ["L.linalg.cross(x, y)", "L.isin(x, y)", "L.cdist(x, y)", "L.cdist(x, y, 0.0)"])
@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
def test_operators_that_promote_nothing_refuse_two_types(call: str, left: str, right: str) -> None:
    def outcome(library: Any, tensors: list[Any]) -> str:
        try:
            return str(plain(evaluated(call, library, tensors)))
        except RuntimeError as error:
            return f"{type(error).__name__}: {error}"

    given = [torch.ones(2, 3).to(getattr(torch, kind)) for kind in (left, right)]
    assert outcome(optc, list(map(to_mine, given))) == outcome(torch, given)
