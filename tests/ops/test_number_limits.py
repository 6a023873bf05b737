"""Numbers that a tensor is filled with have to fit its element type; negative ones count from above in unsigned types."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import optc
import optc.nn.functional
from optc.errors import ExecutionError

FILLS: dict[str, Callable[[Any, Any, float], Any]] = {
    "masked_fill": lambda lib, x, number: x.masked_fill(x > 0, number),
    "index_fill": lambda lib, x, number: x.index_fill(0, lib.tensor([1, 0]), number),
    "full_like": lambda lib, x, number: lib.full_like(x, number),
    "full": lambda lib, x, number: lib.full((2,), number, dtype=x.dtype),
    "fill_": lambda lib, x, number: x.clone().fill_(number),
    "threshold": lambda lib, x, number: lib.nn.functional.threshold(x, 1, number),
    "addcmul": lambda lib, x, number: lib.addcmul(x, x, x, value=number) if number == int(number) else x.clone(),
}
NUMBERS = (-1, 300, -300, -1.5, 2.5, 70000, -1e9, 1e300, 2**40)
DTYPES = ("uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32", "float64")


def outcome(lib: Any, fill: Callable[[Any, Any, float], Any], dtype: str, number: float) -> Any:
    try:
        return fill(lib, lib.ones(2, dtype=getattr(lib, dtype)), number).tolist()
    except RuntimeError as error:
        return str(error)


@pytest.mark.peers
@pytest.mark.parametrize("name", FILLS)
def test_numbers_are_refused_where_pytorch_refuses_them(name: str) -> None:
    torch = pytest.importorskip("torch")
    for dtype in DTYPES:
        for number in (*NUMBERS, math.inf) if name != "addcmul" else NUMBERS[:6]:
            if name == "addcmul" and dtype == "uint8" and number == -1:
                continue  # a factor is not converted as what is filled in is
            mine, other = (outcome(lib, FILLS[name], dtype, number) for lib in (optc, torch))
            assert mine == other, (dtype, number)


@pytest.mark.parametrize("name", ["masked_fill", "index_fill", "full_like", "threshold"])
def test_compiled_programs_refuse_them_too(name: str) -> None:
    x = optc.ones(2, dtype=optc.uint8)
    with pytest.raises(RuntimeError, match="value cannot be converted to type uint8_t without overflow"):
        FILLS[name](optc, x, 300)
    call = {"masked_fill": "x.masked_fill(x > 0, 300)", "index_fill": "x.index_fill(0, torch.tensor([1]), 300)",
            "full_like": "torch.full_like(x, 300)", "threshold": "torch.threshold(x, 1, 300)"}[name]  # fmt: skip
    program = optc.jit.CompilationUnit(f"def called(x: Tensor) -> Tensor:\n    return {call}\n").called
    for function in (program, optc.compile(program, fallback="allow")):
        with pytest.raises(ExecutionError, match="without overflow"):
            function(x)


def test_a_tensor_is_filled_by_copying_a_number() -> None:
    assert optc.zeros(2).copy_(3).tolist() == [3.0, 3.0]
