"""Expands the transcendental functions in an expression into primitives; `codegen/kernels/functions` holds the expansions."""

from __future__ import annotations

from collections.abc import Callable

from optc.codegen.kernels.functions.error_function import erf, erfc, erfinv, half_of_one_plus_erf, one_plus_erf
from optc.codegen.kernels.functions.exponential import exp, exp2, expm1
from optc.codegen.kernels.functions.gamma import digamma, lgamma
from optc.codegen.kernels.functions.hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from optc.codegen.kernels.functions.logarithm import log, log1p, log2, log10
from optc.codegen.kernels.functions.power import power
from optc.codegen.kernels.functions.remainder import fmod
from optc.codegen.kernels.functions.trigonometry import acos, asin, atan, atan2, cos, sin, tan
from optc.codegen.machine.host import Target
from optc.ir.dtypes import FLOAT32, FLOAT64
from optc.ops.scalar import Expr, nodes, rewrite

FUNCTIONS: dict[str, Callable[..., Expr]] = {
    "exp": exp, "exp2": exp2, "expm1": expm1, "log": log, "log2": log2, "log10": log10, "log1p": log1p, "pow": power,
    "sin": sin, "cos": cos, "tan": tan, "asin": asin, "acos": acos, "atan": atan, "atan2": atan2, "sinh": sinh,
    "cosh": cosh, "tanh": tanh, "asinh": asinh, "acosh": acosh, "atanh": atanh, "erf": erf, "erfc": erfc,
    "erfinv": erfinv, "lgamma": lgamma, "digamma": digamma, "fmod": fmod,
}  # fmt: skip
"""By name: functions of one or two operands of one type, and the target."""


def expand(expr: Expr, target: Target) -> Expr:
    """The expression with every function of float32 or float64 replaced by what it is made of on the target."""

    def change(node: Expr) -> Expr | None:
        if node.op not in FUNCTIONS or node.dtype not in (FLOAT32, FLOAT64):
            return None
        return FUNCTIONS[node.op](*node.args, target)

    return rewrite(_joined_sums(expr, target), change)


def _joined_sums(expr: Expr, target: Target) -> Expr:
    """The expression with error functions and the one that is added to them in one step, and half of that, as in gelu."""
    if all(node.op != "erf" for node in nodes(expr)):
        return expr

    def halved(node: Expr) -> Expr | None:
        return _times_half_of_sum(node) if target.avx512 else None

    def joined(node: Expr) -> Expr | None:
        function = _added_to_one(node)
        return None if function is None else one_plus_erf(function.args[0], target)

    return rewrite(rewrite(expr, halved), joined)


def _times_half_of_sum(node: Expr) -> Expr | None:
    """What is halved and multiplied by the sum of an error function and one, times half of that sum instead."""
    for halved, sum_ in (node.args, node.args[::-1]) if node.op == "mul" else ():
        function = _added_to_one(sum_)
        number = _doubled(halved)
        if function is not None and number is not None:
            return number * half_of_one_plus_erf(function.args[0])
    return None


def _doubled(node: Expr) -> Expr | None:
    """The number that is multiplied by a half."""
    for factor, number in (node.args, node.args[::-1]) if node.op == "mul" else ():
        if factor.op == "const" and factor.value == 0.5:
            return number
    return None


def _added_to_one(node: Expr) -> Expr | None:
    """The error function in a sum of it and one."""
    if node.op != "add" or node.dtype is not FLOAT32:
        return None
    for one, other in (node.args, node.args[::-1]):
        if one.op == "const" and one.value == 1.0 and other.op == "erf":
            return other
    return None
