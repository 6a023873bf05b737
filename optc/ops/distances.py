"""Similarities and distances of vectors, and the losses made of them; composed as PyTorch composes them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dim
from optc.ops.composite import declare_composite
from optc.ops.elementwise import array_type
from optc.ops.promotion import compute_type, operand_type, result_type
from optc.ops.reduction import narrowed
from optc.ops.registry import define
from optc.ops.shapes import broadcast_shapes, format_shape, known_shape, reduced_shape

Array = np.ndarray[Any, Any]
MEAN, SUM = 1, 2


# Similarity and distance ---------------------------------------------------------------------------------------------


def _infer_similarity(x: TensorType, y: TensorType, dim: int, eps: float) -> TensorType:
    dtype = result_type(x, y)
    if dtype.kind != "float":
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {dtype.label}")
    shape = broadcast_shapes(known_shape(x), known_shape(y))
    return TensorType(dtype, reduced_shape(shape, [normalize_dim(dim, len(shape))] if shape else [], False))


def _reference_similarity(x: Array, y: Array, dim: int, eps: float) -> Array:
    dtype = operand_type(_infer_similarity(array_type(x), array_type(y), dim, eps)).numpy
    left, right = np.broadcast_arrays(x.astype(np.float64), y.astype(np.float64))
    if not left.ndim:
        left, right, dim = left.reshape(1), right.reshape(1), 0
    with np.errstate(all="ignore"):
        sizes = [np.maximum(np.sqrt(np.square(item).sum(dim, keepdims=True)), eps) for item in (left, right)]
        return np.asarray(np.sum(left / sizes[0] * (right / sizes[1]), dim)).astype(dtype)


def _decompose_similarity(b: Any, x: Any, y: Any, dim: int, eps: Any) -> Any:
    dtype = result_type(b.type(x), b.type(y))
    shape = list(broadcast_shapes(b.shape(x), b.shape(y)))
    directions = []
    for item in (x, y):
        whole = b("aten::expand", narrowed(b, item, compute_type(dtype)), shape)
        size = b("aten::clamp_min", b("aten::linalg_vector_norm", whole, 2, [dim], True), eps)
        directions.append(b("aten::div.Tensor", whole, size))
    return narrowed(b, b("aten::sum.dim_IntList", b("aten::mul.Tensor", *directions), [dim]), dtype)


define(
    "aten::cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor",
    infer=_infer_similarity,
    reference=_reference_similarity,
    decompose=_decompose_similarity,
)


def _distance(b: Any, x: Any, y: Any, p: float, eps: float, keepdim: bool = False) -> Any:
    difference = b("aten::add.Scalar", b("aten::sub.Tensor", x, y), eps)
    return b("aten::norm.ScalarOpt_dim", difference, p, [-1] if b.shape(difference) else [], keepdim)


declare_composite(
    "aten::pairwise_distance(Tensor x1, Tensor x2, float p=2., float eps=9.9999999999999995e-07, bool keepdim=False) "
    "-> Tensor",
    _distance,
)


# Losses --------------------------------------------------------------------------------------------------------------


def _reduced(b: Any, loss: Any, reduction: int) -> Any:
    if reduction == MEAN:
        return b("aten::mean", loss)
    return b("aten::sum", loss) if reduction == SUM else loss


def _build_triplet(
    b: Any, anchor: Any, positive: Any, negative: Any, margin: float, p: float, eps: float, swap: bool, reduction: int
) -> Any:
    ranks = [len(b.shape(item)) for item in (anchor, positive, negative)]
    if len(set(ranks)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {ranks[0]}D, positive {ranks[1]}D, and negative {ranks[2]}D inputs"
        )
    near, far = _distance(b, anchor, positive, p, eps), _distance(b, anchor, negative, p, eps)
    if swap:
        far = b("aten::minimum", far, _distance(b, positive, negative, p, eps))
    apart = b("aten::sub.Tensor", b("aten::add.Scalar", near, margin), far)
    return _reduced(b, b("aten::clamp_min", apart, 0), reduction)


declare_composite(
    "aten::triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1., float p=2., "
    "float eps=9.9999999999999995e-07, bool swap=False, int reduction=1) -> Tensor",
    _build_triplet,
)

_TINY = 1e-12
"""Added to squared lengths in cosine_embedding_loss, as PyTorch does."""


def _check_cosine_loss(b: Any, x: Any, y: Any, target: Any) -> None:
    rank = len(b.shape(target))
    if rank > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if len(b.shape(x)) != rank + 1 or len(b.shape(y)) != rank + 1:
        raise RuntimeError(
            f"{rank}D target tensor expects {rank + 1}D input tensors, but found inputs with sizes "
            f"{format_shape(b.shape(x))} and {format_shape(b.shape(y))}."
        )


def _build_cosine_loss(b: Any, x: Any, y: Any, target: Any, margin: float, reduction: int) -> Any:
    _check_cosine_loss(b, x, y, target)
    products = b("aten::sum.dim_IntList", b("aten::mul.Tensor", x, y), [-1])
    lengths = [
        b("aten::add.Scalar", b("aten::sum.dim_IntList", b("aten::mul.Tensor", item, item), [-1]), _TINY)
        for item in (x, y)
    ]
    cosine = b("aten::div.Tensor", products, b("aten::sqrt", b("aten::mul.Tensor", *lengths)))
    zeros = b("aten::zeros_like", cosine)
    apart = b("aten::clamp_min", b("aten::sub.Scalar", cosine, margin), 0)
    alike = b("aten::where.self", b("aten::eq.Scalar", target, 1), b("aten::rsub.Scalar", cosine, 1), zeros)
    loss = b("aten::add.Tensor", alike, b("aten::where.self", b("aten::eq.Scalar", target, -1), apart, zeros))
    return _reduced(b, loss, reduction)


declare_composite(
    "aten::cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=1) -> Tensor",
    _build_cosine_loss,
)


def _build_hinge(b: Any, x: Any, target: Any, margin: float, reduction: int) -> Any:
    zeros = b("aten::zeros_like", x)
    close = b("aten::clamp_min", b("aten::sub.Tensor", b("aten::full", [], margin, dtype=b.type(x).dtype.code), x), 0)
    apart = b("aten::where.self", b("aten::ne.Scalar", target, 1), close, zeros)
    loss = b("aten::add.Tensor", apart, b("aten::where.self", b("aten::ne.Scalar", target, -1), x, zeros))
    return _reduced(b, loss, reduction)


declare_composite(
    "aten::hinge_embedding_loss(Tensor self, Tensor target, float margin=1., int reduction=1) -> Tensor", _build_hinge
)


def _build_ranking(b: Any, x: Any, y: Any, target: Any, margin: float, reduction: int) -> Any:
    gap = b("aten::mul.Tensor", b("aten::neg", target), b("aten::sub.Tensor", x, y))
    return _reduced(b, b("aten::clamp_min", b("aten::add.Scalar", gap, margin), 0), reduction)


declare_composite(
    "aten::margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=1) -> Tensor",
    _build_ranking,
)


def _build_poisson(b: Any, x: Any, target: Any, log_input: bool, full: bool, eps: float, reduction: int) -> Any:
    if log_input:
        loss = b("aten::sub.Tensor", b("aten::exp", x), b("aten::mul.Tensor", target, x))
    else:
        logs = b("aten::log", b("aten::add.Scalar", x, eps))
        loss = b("aten::sub.Tensor", x, b("aten::mul.Tensor", target, logs))
    if full:
        stirling = b("aten::sub.Tensor", b("aten::mul.Tensor", target, b("aten::log", target)), target)
        half = b("aten::mul.Scalar", b("aten::log", b("aten::mul.Scalar", target, 2 * math.pi)), 0.5)
        stirling = b("aten::add.Tensor", stirling, half)
        few = b("aten::le.Scalar", target, 1)
        loss = b("aten::add.Tensor", loss, b("aten::masked_fill.Scalar", stirling, few, 0))
    return _reduced(b, loss, reduction)


declare_composite(
    "aten::poisson_nll_loss(Tensor input, Tensor target, bool log_input, bool full, float eps, int reduction) -> Tensor",
    _build_poisson,
)
