"""Numbers that operators seldom meet, against PyTorch: signs of zero, infinities, what does not fit, what is rounded twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
import optc.nn.functional
from tests.ops.opinfo_samples import option, plain, to_mine

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
