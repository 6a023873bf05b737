"""What torchvision's detectors do with boxes: suppression of those that overlap.

Formulas from torchvision 0.28, csrc/ops/cpu (nms_kernel.cpp).
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
