"""Expands the transcendental functions in an expression into primitives; `codegen/kernels/functions` holds the expansions."""

from __future__ import annotations

from collections.abc import Callable

from optc.codegen.kernels.functions.error_function import erf, erfc, erfinv, one_plus_erf
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
    """The expression with error functions and the one that is added to them in one step, as in gelu."""
    if all(node.op != "erf" for node in nodes(expr)):
        return expr

    def change(node: Expr) -> Expr | None:
        function = _added_to_one(node)
        return None if function is None else one_plus_erf(function.args[0], target)

    return rewrite(expr, change)


def _added_to_one(node: Expr) -> Expr | None:
    """The error function in a sum of it and one."""
    if node.op != "add" or node.dtype is not FLOAT32:
        return None
    for one, other in (node.args, node.args[::-1]):
        if one.op == "const" and one.value == 1.0 and other.op == "erf":
            return other
    return None
