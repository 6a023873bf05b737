"""Bags of rows of a table: their sums, means or maxima, composed of lookups and scatters."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dtypes import FLOAT64, INT32, INT64
from optc.ops.composite import REFERENCES, declare_composite
from optc.ops.promotion import operand_type
from optc.ops.shapes import require_same

Array = np.ndarray[Any, Any]
SUM, MEAN, MAX = 0, 1, 2


def _check_types(b: Any, weight: Any, indices: Any, offsets: Any) -> None:
    for value, name, place in ((indices, "indices", 1), (offsets, "offsets", 1)):
        dtype = operand_type(b.type(value))
        if dtype not in (INT32, INT64):
            raise RuntimeError(
                f"Expected tensor for argument #{place} '{name}' to have one of the following scalar types: Long, Int; "
                f"but got torch.{dtype.label}Tensor instead (while checking arguments for embedding_bag)"
            )
    kind = operand_type(b.type(weight))
    if kind.kind != "float":
        shown = f"torch.{kind.label}Tensor" if kind.kind == "int" else f"CPU{kind.label}Type"
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, "
            f"Double; but got {shown} instead (while checking arguments for embedding_bag)"
        )


def _build(
    b: Any, weight: Any, indices: Any, offsets: Any, scale_by_frequency: bool, mode: int, sparse: bool,
    factors: Any, include_last: bool, padding: int | None = None,
) -> Any:  # fmt: skip
    _check_types(b, weight, indices, offsets)
    if factors is not None:
        if mode != SUM:
            raise RuntimeError("embedding_bag: per_sample_weights can only be used with mode='sum'")
        require_same(b.shape(factors)[0], b.shape(indices)[0], "expected one weight per index")
    count, width = b.shape(indices)[0], b.shape(weight)[1]
    bags = b.shape(offsets)[0] - (1 if include_last else 0)
    long = INT64.code
    # The bag of each index: how many bags have begun at it or before it.
    places = b("aten::to.dtype", offsets, long)
    if include_last:
        places = b("aten::slice.Tensor", places, 0, 0, bags, 1)
    begun = b("aten::zeros", [count + 1], dtype=long)
    begun = b("aten::index_add", begun, 0, places, b("aten::ones_like", places))
    ids = b("aten::sub.Scalar", b("aten::cumsum", b("aten::slice.Tensor", begun, 0, 0, count, 1), 0), 1)
    rows = b("aten::index_select", weight, 0, indices)
    if factors is not None:
        rows = b("aten::mul.Tensor", rows, b("aten::unsqueeze", factors, 1))
    taken = b("aten::ones", [count], dtype=long)
    if padding is not None:
        table = b.shape(weight)[0]
        kept = b("aten::ne.Scalar", indices, padding if padding >= 0 else padding + table)
        taken = b("aten::to.dtype", kept, long)
        rows = b("aten::where.ScalarOther", b("aten::unsqueeze", kept, 1), rows, -np.inf if mode == MAX else 0.0)
    counts = b("aten::index_add", b("aten::zeros", [bags], dtype=long), 0, ids, taken)
    empty = b("aten::zeros", [bags, width], dtype=b.type(weight).dtype.code)
    if mode == MAX:
        spread = b("aten::expand", b("aten::unsqueeze", ids, 1), [count, width])
        largest = b("aten::scatter_reduce.two", empty, 0, spread, rows, "amax", include_self=False)
        some = b("aten::unsqueeze", b("aten::gt.Scalar", counts, 0), 1)
        winners = b("aten::where.ScalarOther", some, _winners(b, rows, largest, ids, spread, indices), 0)
        return b("aten::where.self", some, largest, empty), ids, counts, winners
    if include_last and padding is None and b.type(weight).dtype is not FLOAT64:
        rows = _until_the_last(b, rows, offsets)
    total = b("aten::index_add", empty, 0, ids, rows)
    if mode == MEAN:
        divisor = b("aten::to.dtype", b("aten::clamp_min", counts, 1), b.type(weight).dtype.code)
        total = b("aten::div.Tensor", total, b("aten::unsqueeze", divisor, 1))
    return total, ids, counts, counts


def _until_the_last(b: Any, rows: Any, offsets: Any) -> Any:
    """Indices behind the last offset count for the size of the last bag, but not for its sum, in PyTorch's fast kernels."""
    last = b("aten::select.int", offsets, 0, b.shape(offsets)[0] - 1)
    inside = b("aten::lt.Tensor", b("aten::arange", b.shape(rows)[0]), last)
    return b("aten::where.ScalarOther", b("aten::unsqueeze", inside, 1), rows, 0.0)


def _winners(b: Any, rows: Any, largest: Any, ids: Any, spread: Any, indices: Any) -> Any:
    """The row of the table that each maximum comes from: the first of its bag."""
    count, width = b.shape(rows)
    bags = b.shape(largest)[0]
    equal = b("aten::eq.Tensor", rows, b("aten::index_select", largest, 0, ids))
    numbers = b("aten::unsqueeze", b("aten::arange", count), 1)
    places = b("aten::where.ScalarOther", equal, numbers, count - 1)
    start = b("aten::zeros", [bags, width], dtype=INT64.code)
    first = b("aten::scatter_reduce.two", start, 0, spread, places, "amin", include_self=False)
    found = b("aten::index_select", indices, 0, b("aten::reshape", first, [bags * width]))
    return b("aten::reshape", b("aten::to.dtype", found, INT64.code), [bags, width])


def _check(weight: Array, indices: Array, offsets: Array, *rest: Any) -> None:
    """Raise RuntimeError for bags and indices out of range."""
    _check_types(REFERENCES, weight, indices, offsets)
    if offsets.size and offsets[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
            f"However, got {offsets[0]}"
        )
    if offsets.size and offsets[-1] > indices.size:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {indices.size} but got offsets[-1] of {offsets[-1]}"
        )
    for place, index in enumerate(indices.tolist()):
        if not 0 <= index < weight.shape[0]:
            raise RuntimeError(
                f"Index {place} of input takes value {index} which is not in the valid range [0, {weight.shape[0]})"
            )


_TABLE = "Tensor weight, Tensor indices, Tensor offsets"
_RESULTS = "(Tensor, Tensor, Tensor, Tensor)"
for _name, _arguments in (
    (
        "embedding_bag",
        (
            "bool scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None, "
            "bool include_last_offset=False"
        ),
    ),
    (
        "embedding_bag.padding_idx",
        (
            "bool scale_grad_by_freq, int mode, bool sparse, Tensor? per_sample_weights, bool include_last_offset, "
            "int? padding_idx"
        ),
    ),
):
    declare_composite(f"aten::{_name}({_TABLE}, {_arguments}) -> {_RESULTS}", _build, check=_check, may_fail=True)
