"""Arithmetic on complex numbers that are no tensors: the overloads that give `complex` instead of a number of any kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ops import arithmetic, comparison, division  # noqa: F401  overloads on tensors are tried first
from optc.ops.python_values import declare_host

_REASON = "complex numbers are computed by the interpreter"

_WITH_INTS = (
    ("complex", "complex"),
    ("int", "complex"),
    ("complex", "int"),
    ("float", "complex"),
    ("complex", "float"),
)
_WITH_FLOATS = (("complex", "complex"), ("float", "complex"), ("complex", "float"))


def _computed(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], complex]:
    """As C++ computes: infinities and nan where Python raises."""

    def compute(left: complex, right: complex) -> complex:
        with np.errstate(all="ignore"):
            return complex(function(np.complex128(left), np.complex128(right)))

    return compute


def _declare(name: str, pairs: tuple[tuple[str, str], ...], result: str, function: Callable[[Any, Any], Any]) -> None:
    for left, right in pairs:
        overload = left if left == right else f"{left}_{right}"
        declare_host(f"aten::{name}.{overload}({left} a, {right} b) -> {result}", function, _REASON)


_declare("add", _WITH_INTS, "complex", _computed(np.add))
_declare("sub", _WITH_INTS, "complex", _computed(np.subtract))
_declare("mul", _WITH_INTS, "complex", _computed(np.multiply))
_declare("pow", _WITH_FLOATS, "complex", _computed(np.power))
_declare("div", _WITH_FLOATS[:1], "complex", _computed(np.divide))
_declare("eq", _WITH_FLOATS, "bool", lambda left, right: complex(left) == complex(right))
_declare("ne", _WITH_FLOATS, "bool", lambda left, right: complex(left) != complex(right))
