"""What torchvision's detectors compute with boxes: suppression of those that overlap, and crops of feature maps.

Formulas from torchvision 0.28, csrc/ops/cpu (nms_kernel.cpp, roi_align_kernel.cpp).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import fresh
from optc.ir.types import TensorType
from optc.ops.masks import true_places
from optc.ops.registry import define
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


# Suppression ---------------------------------------------------------------------------------------------------------


def _check_boxes(boxes: TensorType, scores: TensorType) -> None:
    shape, others = known_shape(boxes), known_shape(scores)
    if len(shape) != 2:
        raise RuntimeError(f"boxes should be a 2d tensor, got {len(shape)}D")
    if isinstance(shape[1], int) and shape[1] != 4:
        raise RuntimeError(f"boxes should have 4 elements in dimension 1, got {shape[1]}")
    if len(others) != 1:
        raise RuntimeError(f"scores should be a 1d tensor, got {len(others)}D")
    if isinstance(shape[0], int) and isinstance(others[0], int) and shape[0] != others[0]:
        raise RuntimeError(
            "boxes and scores should have same number of elements in dimension 0, got "
            f"{shape[0]} and {others[0]}"
        )  # fmt: skip


def _infer_nms(boxes: TensorType, scores: TensorType, threshold: Any) -> TensorType:
    _check_boxes(boxes, scores)
    return TensorType(dtypes.INT64, (fresh(),))


def _overlaps(box: Array, others: Array) -> Array:
    """The intersection of one box with others over their union."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    sides = np.maximum(high - low, 0)
    inside = sides[:, 0] * sides[:, 1]
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(inside / (area + areas - inside))


def _reference_kept(boxes: Array, threshold: float) -> Array:
    kept = np.ones(len(boxes), bool)
    for place, box in enumerate(boxes):
        if kept[place]:
            kept[place + 1 :] &= ~(_overlaps(box, boxes[place + 1 :]) > threshold)
    return kept


define(
    "prim::KeptBoxes(Tensor boxes, float iou_threshold) -> Tensor",
    infer=lambda boxes, threshold: TensorType(dtypes.BOOL, known_shape(boxes)[:1]),
    reference=_reference_kept,
    kernel="kept_boxes",
)


def _reference_nms(boxes: Array, scores: Array, threshold: float) -> Array:
    order = np.argsort(-scores, kind="stable")
    kept: Array = order[_reference_kept(boxes[order], threshold)].astype(np.int64)
    return kept


def _decompose_nms(b: Any, boxes: Any, scores: Any, threshold: Any) -> Any:
    """Boxes in the order of their scores, without those that overlap with a better one that stays."""
    order = b("aten::argsort.stable", scores, stable=True, dim=0, descending=True)
    kept = b("prim::KeptBoxes", b("aten::index_select", boxes, 0, order), threshold)
    return b("aten::index_select", order, 0, true_places(b, kept))


define(
    "torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    infer=_infer_nms,
    reference=_reference_nms,
    decompose=_decompose_nms,
)


# Crops ---------------------------------------------------------------------------------------------------------------


def _infer_crops(
    x: TensorType, boxes: TensorType, scale: Any, height: Any, width: Any, ratio: Any, aligned: Any
) -> TensorType:
    shape, found = known_shape(x), known_shape(boxes)
    if len(found) != 2 or (isinstance(found[1], int) and found[1] != 5):
        raise RuntimeError("rois must have shape as Tensor[K, 5]")
    return TensorType(x.dtype, (found[0], shape[1], height, width))


def _samples(start: float, size: float, count: int, ratio: int) -> Array:
    """Where along one side samples are taken: count bins, and as many places in each as `ratio` or the size says."""
    grid = ratio if ratio > 0 else int(np.ceil(size / count))
    steps = (np.arange(max(grid, 0)) + 0.5) * (size / count) / max(grid, 1)
    return np.asarray(start + np.arange(count)[:, None] * (size / count) + steps)


def _shares(places: Array, extent: int) -> Array:
    """Matrices of linear interpolation: for every bin and sample, how much of each element it takes."""
    inside = (places >= -1.0) & (places <= extent)
    clamped = np.clip(places, 0, extent - 1)
    low = np.minimum(np.floor(clamped).astype(np.int64), extent - 1)
    high = np.minimum(low + 1, extent - 1)
    part = clamped - low
    numbers = np.arange(extent)
    found = (1 - part)[..., None] * (numbers == low[..., None]) + part[..., None] * (numbers == high[..., None])
    return np.asarray(found * inside[..., None])


def _reference_crops(
    x: Array, boxes: Array, scale: float, height: int, width: int, ratio: int, aligned: bool
) -> Array:  # fmt: skip
    result = np.zeros((len(boxes), x.shape[1], height, width), np.float64)
    shift = 0.5 if aligned else 0.0
    for place, box in enumerate(boxes.astype(np.float64)):
        left, top, right, bottom = box[1:] * scale - shift
        wide, high = right - left, bottom - top
        if not aligned:
            wide, high = max(wide, 1.0), max(high, 1.0)
        rows = _samples(top, high, height, ratio)
        columns = _samples(left, wide, width, ratio)
        if not rows.size or not columns.size:
            continue
        down, across = _shares(rows, x.shape[2]).mean(1), _shares(columns, x.shape[3]).mean(1)
        result[place] = np.einsum("cyx,iy,jx->cij", x[int(box[0])].astype(np.float64), down, across, optimize=True)
    return result.astype(x.dtype)


define(
    "torchvision::roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
    infer=_infer_crops,
    reference=_reference_crops,
    interpreted="where it samples depends on the boxes",
)
