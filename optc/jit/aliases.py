"""Operators with several names: traces and scripts show the usual one, whichever was called."""

from __future__ import annotations

from optc.ir.graph import Graph, Node
from optc.ir.types import ListType, TensorType, Type
from optc.ops.registry import operator_of

_ALIASES = {
    "absolute": "abs", "clip": "clamp", "det": "linalg_det", "ger": "outer", "arccos": "acos", "arcsin": "asin",
    "arctan": "atan", "arctan2": "atan2", "arccosh": "acosh", "arcsinh": "asinh", "arctanh": "atanh", "fix": "trunc", "negative": "neg",
    "subtract": "sub", "greater_equal": "ge", "greater": "gt", "less_equal": "le", "less": "lt", "not_equal": "ne",
    "divide": "div", "multiply": "mul", "true_divide": "div", "row_stack": "vstack", "swapdims": "transpose",
    "swapaxes": "transpose", "moveaxis": "movedim", "degrees": "rad2deg", "radians": "deg2rad",
    "concat": "cat", "concatenate": "cat", "special_expit": "sigmoid", "special_psi": "digamma", "special_gammaln": "lgamma",
    "special_multigammaln": "mvlgamma", "linalg_matmul": "matmul", "matrix_exp": "linalg_matrix_exp",
    "special_gammainc": "igamma",
    "special_gammaincc": "igammac", "matrix_power": "linalg_matrix_power", "inverse": "linalg_inv", "orgqr": "linalg_householder_product", "adjoint": "mH",
    **{
        f"special_{name}": name
        for name in (
            "digamma", "exp2", "erf", "erfc", "erfinv", "expm1", "i0", "log1p", "log_softmax", "logit", "logsumexp",
            "polygamma", "round", "sinc", "softmax", "xlogy",
        )
    },
}  # fmt: skip


def normalize_operators(graph: Graph) -> None:
    """Give operators on tensors that have several names the usual one; `rsub(x, y)` is `sub(y, x)`."""
    for node in graph.walk():
        if node.kind == "aten::rsub" and all(isinstance(value.type, TensorType) for value in node.inputs[:2]):
            x, y = node.inputs[:2]
            node.set_input(0, y)
            node.set_input(1, x)
            _rename(node, "aten::sub")
            continue
        bare = node.kind.removeprefix("aten::")
        stem = bare.removesuffix("_")
        if bare == node.kind or stem not in _ALIASES:
            continue
        if any(_holds_tensors(value.type) for value in node.inputs):
            _rename(node, f"aten::{_ALIASES[stem]}{bare[len(stem) :]}")


def _rename(node: Node, usual: str) -> None:
    """Give a node the usual name, unless only the other one has such an overload."""
    before = node.kind, node.overload, operator_of(node)
    node.kind, node.overload, node.operator = usual, None, None
    if before[2] is not None and operator_of(node) is None:
        node.kind, node.overload, node.operator = before


def _holds_tensors(type_: Type) -> bool:
    return isinstance(type_.element if isinstance(type_, ListType) else type_, TensorType)
