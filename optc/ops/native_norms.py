"""Batch normalisation and dropout as PyTorch's derivatives know them: with what the backward pass needs."""

from __future__ import annotations

from typing import Any

from optc.ir import dtypes
from optc.ops.composite import declare_composite
from optc.ops.promotion import compute_type


def _with_statistics(
    b: Any, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float, eps: float
) -> Any:
    """The norm, and in training mode the batch's means and inverse deviations; tensors without elements otherwise."""
    result = b("aten::batch_norm", x, weight, bias, mean, variance, training, momentum, eps, False)
    given = [b.type(one).dtype for one in (weight, bias, mean, variance) if one is not None]
    dtype = given[0] if given else b.type(x).dtype
    if not training:
        return result, *(b("aten::full", [0], 0, dtype=dtype.code) for _ in range(2))
    wide = b("aten::to.dtype", x, compute_type(b.type(x).dtype).code)
    places = [place for place in range(len(b.shape(x))) if place != 1]
    means = b("aten::mean.dim", wide, places)
    spread = b("aten::rsqrt", b("aten::add.Scalar", b("aten::var.correction", wide, places, correction=0), eps))
    return result, *(b("aten::to.dtype", one, dtype.code) for one in (means, spread))


def _without_running(b: Any, x: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float) -> Any:
    return _with_statistics(b, x, weight, bias, None, None, training, momentum, eps)


def _without_training(
    b: Any, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> Any:
    return _with_statistics(b, x, weight, bias, mean, variance, False, momentum, eps)


def _with_update(b: Any, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float) -> Any:
    """The last result is what cuDNN would keep for the backward pass: nothing, on processors."""
    results = _with_statistics(b, x, weight, bias, mean, variance, True, momentum, eps)
    return *results, b("aten::full", [0], 0, dtype=dtypes.UINT8.code)


_SCALES = "Tensor input, Tensor? weight, Tensor? bias"
_WRITTEN = "Tensor running_mean, Tensor running_var"
"""Marked in PyTorch's schemas; here what is marked is a result, and `passes/running_statistics.py` knows of these."""
declare_composite(
    f"aten::native_batch_norm({_SCALES}, Tensor? running_mean, Tensor? running_var, bool training, float momentum, "
    "float eps) -> (Tensor, Tensor, Tensor)",
    _with_statistics,
)
declare_composite(
    f"aten::_native_batch_norm_legit({_SCALES}, {_WRITTEN}, bool training, float momentum, float eps) "
    "-> (Tensor, Tensor, Tensor)",
    _with_statistics,
)
declare_composite(
    f"aten::_batch_norm_with_update({_SCALES}, {_WRITTEN}, float momentum, float eps) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    _with_update,
)
declare_composite(
    f"aten::_native_batch_norm_legit.no_stats({_SCALES}, bool training, float momentum, float eps) "
    "-> (Tensor, Tensor, Tensor)",
    _without_running,
)
declare_composite(
    f"aten::_native_batch_norm_legit_no_training({_SCALES}, Tensor running_mean, Tensor running_var, float momentum, "
    "float eps) -> (Tensor, Tensor, Tensor)",
    _without_training,
)
declare_composite(
    "aten::native_dropout_backward(Tensor grad_output, Tensor mask, float scale) -> Tensor",
    lambda b, gradient, mask, scale: b("aten::mul.Scalar", b("aten::mul.Tensor", gradient, mask), scale),
)
