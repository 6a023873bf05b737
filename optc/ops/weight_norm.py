"""Weight normalisation: a weight as a direction `v` with a length `g` for each entry of one dimension."""

from __future__ import annotations

from typing import Any

from optc.ops.abstract import normalize_dim
from optc.ops.composite import declare_composite


def _build_norm(b: Any, v: Any, power: int, dim: int) -> Any:
    """The norm over all dimensions but one (over all of them for -1), which stay with extent 1."""
    if dim == -1:
        return b("aten::norm.Scalar", v, power)
    kept = normalize_dim(dim, len(b.shape(v)))
    others = [other for other in range(len(b.shape(v))) if other != kept]
    return b("aten::norm.ScalarOpt_dim", v, power, others, True)


def _build_weight(b: Any, v: Any, g: Any, dim: int) -> Any:
    return b("aten::mul.Tensor", v, b("aten::div.Tensor", g, _build_norm(b, v, 2, dim)))


declare_composite("aten::norm_except_dim(Tensor v, int pow=2, int dim=0) -> Tensor", _build_norm)
declare_composite("aten::_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor", _build_weight)
declare_composite(
    "aten::_weight_norm_interface(Tensor v, Tensor g, int dim=0) -> (Tensor, Tensor)",
    lambda b, v, g, dim: (_build_weight(b, v, g, dim), _build_norm(b, v, 2, dim)),
)
