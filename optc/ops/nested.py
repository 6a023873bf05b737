"""Nested tensors, which optc has not: what programs ask before they make one has an answer, making one is refused.

PyTorch's TransformerEncoder makes them of padded batches while it keeps no gradients.
"""

from __future__ import annotations

from typing import Any

from optc.errors import UnsupportedError
from optc.ir import dtypes
from optc.ir.types import TENSOR
from optc.ops.composite import declare_composite
from optc.ops.registry import define

REASON = "there are no nested tensors; PyTorch uses none with enable_nested_tensor=False"


def _build_left_aligned(b: Any, t: Any, mask: Any) -> Any:
    """True when every row of the mask (B, L) is true up to some place and false behind it."""
    lengths = b("aten::sum.dim_IntList", mask, [1], True)
    before = b("aten::lt.Tensor", b("aten::arange", b.shape(mask)[1], dtype=dtypes.INT64.code), lengths)
    return b("aten::Bool.Tensor", b("aten::all", b("aten::eq.Tensor", before, mask)))


declare_composite("aten::_nested_tensor_from_mask_left_aligned(Tensor t, Tensor mask) -> bool", _build_left_aligned)


def _refuse(*arguments: Any) -> Any:
    raise UnsupportedError(REASON)


for _schema in (
    "aten::_nested_tensor_from_mask(Tensor t, Tensor mask, bool mask_check=True) -> Tensor",
    "aten::to_padded_tensor(Tensor self, float padding, SymInt[]? output_size=None) -> Tensor",
):
    define(_schema, infer=lambda *arguments: TENSOR, reference=_refuse, interpreted=REASON, may_fail=True)
