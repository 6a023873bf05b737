"""How operators on Python numbers are declared: their rules, their overloads, the types they are computed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Symbolic, fresh
from optc.ops.abstract import UNKNOWN, UNKNOWN_BOOL, UNKNOWN_FLOAT, Unknown
from optc.ops.registry import ScalarFunction, define
from optc.ops.scalar import Expr

Number = Any
Reference = Callable[..., Any]

_UNKNOWN: dict[str, Callable[[], Any]] = {
    "int": fresh, "float": lambda: UNKNOWN_FLOAT, "bool": lambda: UNKNOWN_BOOL, "Scalar": lambda: UNKNOWN,
}  # fmt: skip
PAIRS = (("int", "int"), ("float", "float"), ("int", "float"), ("float", "int"))


def wrap(value: int) -> int:
    """An integer as 64 bits hold it."""
    return (value + 2**63) % 2**64 - 2**63


def is_known(value: Any) -> bool:
    """True for a number that is known before the program runs."""
    return isinstance(value, int | float | complex)


def number_rule(reference: Reference, kind: str, symbolic: Reference | None = None) -> Reference:
    """The rule of an operator on numbers: computed when all are known, with symbols where `symbolic` can.

    An operator that fails on known numbers fails when it runs, not before: dead code may hold it.
    """

    def infer(*arguments: Any) -> Any:
        if all(map(is_known, arguments)):
            try:
                return reference(*arguments)
            except RuntimeError:
                return _UNKNOWN[kind]()
        if symbolic is not None and all(isinstance(item, int | Symbolic) for item in arguments):
            result = symbolic(*arguments)
            return _UNKNOWN[kind]() if result is None else result
        if kind == "Scalar" and any(isinstance(item, Unknown) and item is UNKNOWN_FLOAT for item in arguments):
            return UNKNOWN_FLOAT
        return _UNKNOWN[kind]()

    return infer


def pair_rule(reference: Reference, kinds: tuple[str, str]) -> Reference:
    """The rule of an operator that gives two numbers."""

    def infer(*arguments: Any) -> Any:
        if all(map(is_known, arguments)):
            try:
                return reference(*arguments)
            except RuntimeError:
                pass
        return tuple(_UNKNOWN[kind]() for kind in kinds)

    return infer


def as_float(x: Expr) -> Expr:
    """The number as a float64."""
    return x.cast(dtypes.FLOAT64)


def together(function_of: ScalarFunction) -> ScalarFunction:
    """Both operands as floats unless both are ints."""

    def scalar(x: Expr, y: Expr) -> Expr:
        if dtypes.FLOAT64 in (x.dtype, y.dtype):
            return function_of(as_float(x), as_float(y))
        return function_of(x.cast(dtypes.INT64), y.cast(dtypes.INT64))

    return scalar


def in_float(function_of: ScalarFunction) -> ScalarFunction:
    """All operands as floats."""
    return lambda *operands: function_of(*map(as_float, operands))


def in_numpy(compute: Callable[..., Any]) -> Reference:
    """What numpy computes of float64, without its warnings."""

    def reference(*operands: Number) -> float:
        with np.errstate(all="ignore"):
            return float(compute(*map(np.float64, operands)))

    return reference


def declare_pairs(
    name: str,
    scalar: ScalarFunction | None,
    reference: Reference,
    *,
    results: tuple[str, str, str] = ("int", "float", "Scalar"),
    symbolic: Reference | None = None,
    interpreted: str | None = None,
    commutative: bool = False,
    may_fail: bool = False,
    generic: str = "",
    argument_names: tuple[str, str] = ("a", "b"),
) -> None:
    """The overloads `.int`, `.float`, `.int_float`, `.float_int` and the generic one on two Scalars.

    `results` are the result types for two ints, for a float among them, and for Scalars.
    """
    first, second = argument_names
    for left, right in (*PAIRS, ("Scalar", "Scalar")):
        overload = generic if left == "Scalar" else left if left == right else f"{left}_{right}"
        kind = results[0] if left == right == "int" else results[2] if left == "Scalar" else results[1]
        dotted = f".{overload}" if overload else ""
        define(
            f"{name}{dotted}({left} {first}, {right} {second}) -> {kind}",
            infer=number_rule(reference, kind, symbolic),
            reference=reference,
            scalar=scalar,
            interpreted=interpreted,
            promotion="none",
            commutative=commutative,
            may_fail=may_fail,
        )


def declare_function(
    name: str,
    scalar: ScalarFunction,
    reference: Reference,
    *,
    results: tuple[str, str, str] = ("float", "float", "Scalar"),
    symbolic: Reference | None = None,
    may_fail: bool = False,
) -> None:
    """The overloads `.int`, `.float` and `.Scalar` of a function of one number, with their result types."""
    for type_, kind in zip(("int", "float", "Scalar"), results):
        define(
            f"{name}.{type_}({type_} a) -> {kind}",
            infer=number_rule(reference, kind, symbolic if type_ == "int" else None),
            reference=reference,
            scalar=scalar,
            promotion="none",
            may_fail=may_fail,
        )
