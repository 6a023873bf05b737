"""Losses of classes with margins."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dtypes import INT64
from optc.ir.types import TensorType
from optc.ops.composite import REFERENCES, declare_composite
from optc.ops.element_types import COMPLEXES, HALVES, WHOLE, check_type, unimplemented
from optc.ops.hosted import declare_hosted
from optc.ops.promotion import operand_type
from optc.ops.shapes import format_shape, known_shape

Array = np.ndarray[Any, Any]
NONE, MEAN, SUM = 0, 1, 2


# One class -----------------------------------------------------------------------------------------------------------


def _check_shapes(b: Any, x: Any, target: Any, name: str) -> None:
    shape = b.shape(x)
    if len(shape) > 2 or (len(shape) == 2 and shape[1] == 0):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: " + format_shape(shape)
        )
    frames = shape[0] if len(shape) == 2 else 1
    places = b.shape(target)
    if len(places) > 1 or (
        isinstance(frames, int) and len(places) == 1 and isinstance(places[0], int) and places[0] != frames
    ):
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
            f"Expected target size [{frames}], but got {format_shape(places)}. Input has shape {format_shape(shape)}."
        )
    if 0 not in shape:
        check_type(unimplemented(f"{name}_cpu_kernel", WHOLE | HALVES | COMPLEXES), operand_type(b.type(x)))
    if b.type(target).dtype is not INT64:
        raise RuntimeError(f"expected scalar type Long but found {operand_type(b.type(target)).label}")


def _build_margin(b: Any, x: Any, target: Any, p: Any, margin: Any, weight: Any, reduction: int) -> Any:
    if p not in (1, 2):
        raise RuntimeError("only p == 1 and p == 2 supported")
    _check_shapes(b, x, target, "multi_margin_loss")
    rank = len(b.shape(x))
    rows = x if rank == 2 else b("aten::reshape", x, [1, b.shape(x)[0] if rank else 1])
    frames, classes = b.shape(rows)
    labels = b("aten::reshape", target, [frames, 1])
    gaps = b("aten::sub.Tensor", b("aten::add.Scalar", rows, margin), b("aten::gather", rows, 1, labels))
    gaps = b("aten::clamp_min", gaps, 0)
    gaps = b("aten::mul.Tensor", gaps, gaps) if p == 2 else gaps
    if weight is not None:
        scale = b(
            "aten::reshape", b("aten::index_select", weight, 0, b("aten::reshape", target, [frames])), [frames, 1]
        )
        gaps = b("aten::mul.Tensor", gaps, scale)
    numbers = b("aten::unsqueeze", b("aten::arange", classes), 0)
    gaps = b("aten::where.ScalarOther", b("aten::ne.Tensor", numbers, labels), gaps, 0)
    losses = b("aten::div.Scalar", b("aten::sum.dim_IntList", gaps, [1]), classes)
    if reduction == NONE:
        return losses if b.shape(target) else b("aten::reshape", losses, [])
    return b("aten::mean" if reduction == MEAN else "aten::sum", losses)


def _check_target(x: Array, target: Array, *rest: Any) -> None:
    _check_shapes(REFERENCES, x, target, "multi_margin_loss")
    if np.any((target < 0) | (target >= (x.shape[-1] if x.ndim else 1))):
        raise RuntimeError("target out of range")


declare_composite(
    "aten::multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar margin=1, Tensor? weight=None, "
    "int reduction=1) -> Tensor",
    _build_margin,
    check=_check_target,
    may_fail=True,
)


# Several classes -----------------------------------------------------------------------------------------------------


def _infer_labels(x: TensorType, target: TensorType, reduction: int) -> TensorType:
    shape = known_shape(x)
    if len(shape) > 2 or shape[-1:] == (0,):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: " + format_shape(shape)
        )
    if known_shape(target) != shape:
        raise RuntimeError(
            f"inconsistent target size: {format_shape(known_shape(target))} for input of size: {format_shape(shape)}"
        )
    if target.dtype is not INT64:
        raise RuntimeError(f"expected scalar type Long but found {operand_type(target).label}")
    return x.with_shape(shape[:-1] if reduction == NONE else ())


def _label_losses(x: Array, target: Array, reduction: int) -> Array:
    rows = x.reshape(-1, x.shape[-1] if x.ndim else 1).astype(np.float64)
    labels = target.reshape(rows.shape)
    if np.any((labels < -1) | (labels >= rows.shape[1])):
        raise RuntimeError("target out of range")
    losses = np.zeros(len(rows))
    for place, (row, listed) in enumerate(zip(rows, labels)):
        ends = np.flatnonzero(listed < 0)
        mine = listed[: ends[0]] if ends.size else listed
        others = np.delete(row, mine)
        losses[place] = np.sum(np.maximum(1 - row[mine][:, None] + others[None], 0)) / row.size
    if reduction == NONE:
        return losses.reshape(x.shape[:-1])
    return np.asarray(np.mean(losses) if reduction == MEAN else np.sum(losses))


declare_hosted(
    "aten::multilabel_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor",
    _infer_labels,
    _label_losses,
    may_fail=True,
    refuses=unimplemented(
        "multilabel_margin_loss_forward_out_frame", WHOLE | HALVES | COMPLEXES, of="self", takes_empty=True
    ),
)
