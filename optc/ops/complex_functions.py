"""Functions of complex numbers that are no tensors: what `cmath` and `complex(...)` of a script become."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ops import complex_scalars  # noqa: F401  overloads on tensors are tried first, those on real numbers last
from optc.ops.python_values import declare_host

_REASON = "complex numbers are computed by the interpreter"


def _computed(function: Callable[..., Any]) -> Callable[..., complex]:
    """As C++ computes: infinities and nan where Python raises."""

    def compute(*values: complex) -> complex:
        with np.errstate(all="ignore"):
            return complex(function(*map(np.complex128, values)))

    return compute


def _quotient_of_logarithms(x: Any, base: Any) -> Any:
    return np.log(x) / np.log(base)


def _from_polar(radius: float, angle: float) -> complex:
    return complex(radius * math.cos(angle), radius * math.sin(angle))


def _angle(value: complex) -> float:
    return math.nan if math.isnan(value.real) or math.isnan(value.imag) else cmath.phase(value)


def _angle_of_real(value: float) -> float:
    """0 or pi; PyTorch's answer for nan is 0."""
    return 0.0 if math.isnan(value) else cmath.phase(value)


def _angle_of_number(value: complex) -> float:
    """Of a number whose type only running tells: in float32, as PyTorch computes it."""
    angle = _angle(value) if isinstance(value, complex) else _angle_of_real(value)
    return float(np.float32(angle))


def _part(value: float) -> float:
    """A part of `complex(x, y)`: PyTorch passes ints on in 32 bits."""
    return (value + 2**31) % 2**32 - 2**31 if isinstance(value, int) else value


for _name, _function in (
    ("exp", np.exp), ("log", np.log), ("log10", np.log10), ("sqrt", np.sqrt), ("sin", np.sin), ("cos", np.cos),
    ("tan", np.tan), ("asin", np.arcsin), ("acos", np.arccos), ("atan", np.arctan), ("sinh", np.sinh),
    ("cosh", np.cosh), ("tanh", np.tanh), ("asinh", np.arcsinh), ("acosh", np.arccosh), ("atanh", np.arctanh),
    ("neg", np.negative),
):  # fmt: skip
    declare_host(f"aten::{_name}.complex(complex a) -> complex", _computed(_function), _REASON)
for _left, _right in (("complex", "complex"), ("int", "complex"), ("complex", "int"), ("float", "complex"),
                      ("complex", "float")):  # fmt: skip
    _overload = _left if _left == _right else f"{_left}_{_right}"
    _overload = "complex_complex" if _left == _right else _overload
    declare_host(
        f"aten::log.{_overload}({_left} a, {_right} b) -> complex", _computed(_quotient_of_logarithms), _REASON
    )
declare_host("prim::abs.complex(complex a) -> float", lambda a: float(np.abs(np.complex128(a))), _REASON)
for _name, _test in (("isnan", cmath.isnan), ("isinf", cmath.isinf), ("isfinite", cmath.isfinite)):
    declare_host(f"aten::{_name}.complex(complex a) -> bool", _test, _REASON)
for _type in ("int", "float"):
    declare_host(f"aten::angle.{_type}({_type} a) -> float", _angle_of_real, _REASON)
declare_host("aten::angle.complex(complex a) -> float", _angle, _REASON)
declare_host("aten::angle.Scalar(Scalar a) -> Scalar", _angle_of_number, _REASON)
for _left, _right in (("int", "int"), ("float", "float"), ("int", "float"), ("float", "int")):
    _overload = _left if _left == _right else f"{_left}_{_right}"
    declare_host(f"aten::polar.{_overload}({_left} a, {_right} b) -> complex", _from_polar, _REASON)
declare_host("aten::polar.Scalar_Scalar(Scalar a, Scalar b) -> Scalar", _from_polar, _REASON)
declare_host("aten::Complex.Scalar(Scalar a) -> complex", complex, _REASON)
for _left in ("int", "bool", "float"):
    for _right in ("int", "bool", "float"):
        declare_host(
            f"aten::Complex.{_left}_{_right}({_left} x, {_right} y) -> complex",
            lambda x, y: complex(_part(x), _part(y)),
            _REASON,
        )
