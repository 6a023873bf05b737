"""Losses of what a linear layer makes of its input.

The script frontend compiles them from this source; see `optc.nn.functional` for what follows from that.
"""
# mypy: disable-error-code="no-any-return"

import math

from optc.eager import functions
from optc.eager.tensor import Tensor
from optc.nn.loss_functions import cross_entropy

__all__ = ["linear_cross_entropy"]


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target), for weights of shape (classes, ..., features).

    Raises RuntimeError for shapes that do not fit, and for `ignore_index` with targets that are probabilities.
    """
    if input.dim() < 1 or input.dim() > 2:
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}")
    if input.shape[-1] != linear_weight.shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), "
            f"got {input.shape[-1]} and {linear_weight.shape[-1]}, respectively"
        )
    classes, features = list(linear_weight.shape[:-1]), linear_weight.shape[-1]
    if linear_bias is not None and list(linear_bias.shape) != classes:
        raise RuntimeError(f"expected linear_bias shape {tuple(classes)}, got {tuple(linear_bias.shape)}")
    if len(classes) > 1 and input.dim() == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires"
            f" batched input, (N, {features}), got unbatched input with shape {tuple(input.shape)}"
        )
    wanted = list(input.shape[:-1]) + classes
    if ignore_index is not None and list(target.shape) == wanted:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    count = math.prod(classes)
    bias = None if linear_bias is None else linear_bias.reshape(count)
    logits = functions.linear(input, linear_weight.reshape(count, features), bias).reshape(wanted)
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(
        logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing
    )
