"""Calls in every element type: what PyTorch refuses is refused, in its words, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optc
import optc.nn.functional

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

CALLS = [
    line
    for line in Path(__file__).with_name("element_type_calls.txt").read_text().splitlines()
    if not line.startswith("#")
]
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64",
          "complex128")  # fmt: skip


def outcome(library: Any, call: str, dtype: str) -> str:
    """The exception that a call ends with, empty when there is none."""
    names = {
        "torch": library, "d": getattr(library, dtype), "I": library.int64, "F": library.float32,
        "T": lambda d, *shape: library.ones(*(shape or (3,)), dtype=d),
    }  # fmt: skip
    library.manual_seed(0)
    try:
        with np.errstate(all="ignore"):
            eval(call, names)
    except Exception as error:  # noqa: BLE001 - what it is, is compared
        kind = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
        return f"{kind.__name__}: {(str(error).splitlines() or [''])[0]}"
    return ""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(4))
def test_calls_are_refused_by_element_type_as_pytorch_refuses_them(part: int) -> None:
    unequal = []
    with torch.no_grad():
        for call in CALLS[part::4]:
            for dtype in DTYPES:
                mine, other = (outcome(library, call, dtype) for library in (optc, torch))
                if mine != other:
                    unequal.append(f"{call} of {dtype}: {mine or 'a result'} instead of {other or 'a result'}")
    assert not unequal, "\n".join(unequal)
