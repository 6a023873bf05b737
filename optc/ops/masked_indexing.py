"""Lookups whose indices only count where a mask holds: what decompositions of PyTorch write for padded gathers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optc.ir.dtypes import INT32, INT64
from optc.ops.abstract import UndecidedShape
from optc.ops.composite import declare_composite
from optc.ops.promotion import operand_type


def _is_empty(b: Any, x: Any) -> bool:
    """Raises UndecidedShape where only running tells whether a tensor has elements."""
    if not all(isinstance(extent, int) for extent in b.shape(x)):
        raise UndecidedShape("has a tensor that is indexed any elements?")
    return 0 in b.shape(x)


def _clamped(b: Any, x: Any, indices: Sequence[Any]) -> list[Any]:
    """The indices, brought into the tensor."""
    found = []
    for index, extent in zip(indices, b.shape(x)):
        if index is not None and operand_type(b.type(index)) not in (INT32, INT64):
            raise RuntimeError(
                "_unsafe_masked_index found unexpected index type "
                f"{operand_type(b.type(index)).label.replace('bool', 'Bool')}"
            )
        found.append(None if index is None else b("aten::clamp", index, -extent, extent - 1))
    return found


def _build_lookup(b: Any, x: Any, mask: Any, indices: Sequence[Any], fill: Any) -> Any:
    clamped = _clamped(b, x, indices)
    if _is_empty(b, x):
        x = b("aten::full", [extent or 1 for extent in b.shape(x)], fill, dtype=b.type(x).dtype.code)
        clamped = [None if index is None else b("aten::zeros_like", index) for index in indices]
    found = b("aten::index.Tensor", x, clamped)
    return b("aten::masked_fill.Scalar", found, b("aten::logical_not", mask), fill)


def _build_sum(b: Any, x: Any, mask: Any, indices: Sequence[Any], values: Any) -> Any:
    if _is_empty(b, x):
        return b("aten::clone", x)
    kept = b("aten::masked_fill.Scalar", values, b("aten::logical_not", mask), 0)
    return b("aten::index_put", x, _clamped(b, x, indices), kept, True)


declare_composite(
    "aten::_unsafe_masked_index(Tensor self, Tensor mask, Tensor?[] indices, Scalar fill) -> Tensor",
    _build_lookup,
    may_fail=True,
)
declare_composite(
    "aten::_unsafe_masked_index_put_accumulate(Tensor self, Tensor mask, Tensor?[] indices, Tensor values) -> Tensor",
    _build_sum,
    may_fail=True,
)
