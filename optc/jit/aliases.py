"""Operators with several names: traces and scripts show the usual one, whichever was called."""

from __future__ import annotations

from optc.ir.graph import Graph
from optc.ir.types import ListType, TensorType, Type

_ALIASES = {
    "absolute": "abs", "clip": "clamp", "linalg_det": "det", "ger": "outer", "arccos": "acos", "arcsin": "asin",
    "arctan": "atan", "arccosh": "acosh", "arcsinh": "asinh", "arctanh": "atanh", "fix": "trunc", "negative": "neg",
    "subtract": "sub", "greater_equal": "ge", "greater": "gt", "less_equal": "le", "less": "lt", "not_equal": "ne",
    "divide": "div", "multiply": "mul", "true_divide": "div", "row_stack": "vstack", "swapdims": "transpose",
    "swapaxes": "transpose", "moveaxis": "movedim", "degrees": "rad2deg", "radians": "deg2rad",
    "concat": "cat", "concatenate": "cat", "special_expit": "sigmoid", "special_psi": "digamma", "special_gammaln": "lgamma",
    "special_multigammaln": "mvlgamma", "linalg_matmul": "matmul",
    **{
        f"special_{name}": name
        for name in (
            "digamma", "exp2", "erf", "erfc", "erfinv", "expm1", "i0", "log1p", "log_softmax", "logit", "logsumexp",
            "polygamma", "round", "sinc", "softmax", "xlogy",
        )
    },
}  # fmt: skip


def normalize_operators(graph: Graph) -> None:
    """Give operators on tensors that have several names the usual one."""
    for node in graph.walk():
        bare = node.kind.removeprefix("aten::")
        stem = bare.removesuffix("_")
        if bare == node.kind or stem not in _ALIASES:
            continue
        if node.inputs and _holds_tensors(node.inputs[0].type):
            node.kind = f"aten::{_ALIASES[stem]}{bare[len(stem) :]}"
            node.overload = node.operator = None


def _holds_tensors(type_: Type) -> bool:
    return isinstance(type_.element if isinstance(type_, ListType) else type_, TensorType)
