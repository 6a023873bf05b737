"""Order along a dimension: sorting, and the largest or smallest elements.

Native code knows the kernels "sort" and "top": stable, nan counts as the largest number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim
from optc.ops.element_types import BOOLS, COMPLEXES, refusal
from optc.ops.registry import define
from optc.ops.shapes import Shape, known_shape

Array = np.ndarray[Any, Any]


def sorted_places(x: Array, place: int, descending: bool) -> Array:
    """The stable order along a dimension; nan counts as the largest number."""
    keys = x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x
    if not descending:
        return np.argsort(keys, axis=place, kind="stable")
    turned = np.argsort(np.flip(keys, place), axis=place, kind="stable")
    return np.asarray(x.shape[place] - 1 - np.flip(turned, place))


def _sort(x: Array, dim: int, descending: bool) -> tuple[Array, Array]:
    place = normalize_dim(dim, x.ndim)
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    order = sorted_places(x, place, descending)
    return np.take_along_axis(x, order, place), order


def _infer_sort(x: TensorType, dim: int, *rest: Any) -> tuple[TensorType, TensorType]:
    normalize_dim(dim, len(known_shape(x)))
    return x.with_shape(x.shape), TensorType(dtypes.INT64, x.shape)


_NO_COMPLEX = refusal(COMPLEXES, " Sort does not support complex dtypes on CPU")
"""The space is PyTorch's."""

define("aten::sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)",
       infer=_infer_sort, reference=_sort, kernel="sort", refuses=_NO_COMPLEX)  # fmt: skip
define("aten::sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) "
       "-> (Tensor values, Tensor indices)", infer=lambda x, stable, dim, descending: _infer_sort(x, dim),
       reference=lambda x, stable, dim, descending: _sort(x, dim, descending), kernel="sort",
       refuses=_NO_COMPLEX)  # fmt: skip
define("aten::argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor",
       infer=lambda x, *rest: _infer_sort(x, *rest)[1], reference=lambda x, *rest: _sort(x, *rest)[1],
       decompose=lambda b, x, dim, descending: b("aten::sort", x, dim, descending)[1], refuses=_NO_COMPLEX)  # fmt: skip
define("aten::argsort.stable(Tensor self, *, bool stable, int dim=-1, bool descending=False) -> Tensor",
       infer=lambda x, stable, *rest: _infer_sort(x, *rest)[1], reference=lambda x, stable, *rest: _sort(x, *rest)[1],
       decompose=lambda b, x, stable, dim, descending: b("aten::sort", x, dim, descending)[1],
       refuses=_NO_COMPLEX)  # fmt: skip
define("aten::msort(Tensor self) -> Tensor", infer=lambda x: _infer_sort(x, 0)[0],
       reference=lambda x: _sort(x, 0, False)[0], decompose=lambda b, x: b("aten::sort", x, 0)[0],
       refuses=_NO_COMPLEX)  # fmt: skip


def _top_shape(shape: Shape, k: Any, dim: int) -> tuple[int, Shape]:
    place = normalize_dim(dim, len(shape))
    extent = shape[place] if shape else 1
    if isinstance(k, int) and (k < 0 or (isinstance(extent, int) and k > extent)):
        raise RuntimeError("selected index k out of range")
    return place, (*shape[:place], k, *shape[place + 1 :]) if shape else ()


def _infer_topk(x: TensorType, k: Any, dim: int, *rest: Any) -> tuple[TensorType, TensorType]:
    shape = _top_shape(known_shape(x), k, dim)[1]
    return x.with_shape(shape), TensorType(dtypes.INT64, shape)


def _reference_topk(x: Array, k: int, dim: int, largest: bool, is_sorted: bool) -> tuple[Array, Array]:
    place, _ = _top_shape(x.shape, k, dim)
    values, places = _sort(x, dim, largest)
    if not x.ndim:
        return values, places
    chosen = (slice(None),) * place + (slice(0, k),)
    return values[chosen].copy(), places[chosen].copy()


define(
    "aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) "
    "-> (Tensor values, Tensor indices)",
    infer=_infer_topk,
    reference=_reference_topk,
    kernel="sort",
    may_fail=True,
    refuses=refusal(BOOLS, "topk does not support bool dtypes on CPU")
    + refusal(COMPLEXES, " topk does not support complex dtypes on CPU"),
)
