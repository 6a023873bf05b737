"""The normalisations of `optc.nn.functional` that have an operator.

The script frontend compiles them from this source; see `optc.nn.functional` for what follows from that.
"""
# mypy: disable-error-code="no-any-return"

from optc.eager import functions
from optc.eager.tensor import Tensor
from optc.nn.functional_names import of_functional

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "rms_norm",
]


@of_functional
def _verify_batch_size(size: list[int]) -> None:
    size_prods = size[0]
    for i in range(len(size) - 2):
        size_prods *= size[i + 2]
    if size_prods == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")


@of_functional
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel (dimension 1), by the batch's statistics in training, by the running ones otherwise."""
    if training:
        _verify_batch_size(input.size())

    if training and eps <= 0.0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif eps < 0.0:  # noqa: RET506 - the printed code nests the second test
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")

    return functions.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, True)


@of_functional
def layer_norm(
    input: Tensor,
    normalized_shape: list[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last `len(normalized_shape)` dimensions."""
    return functions.layer_norm(input, normalized_shape, weight, bias, eps, True)


@of_functional
def rms_norm(
    input: Tensor,
    normalized_shape: list[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x**2) + eps) * weight over the last `len(normalized_shape)` dimensions."""
    return functions.rms_norm(input, normalized_shape, weight, eps)


@of_functional
def _verify_spatial_size(size: list[int]) -> None:
    size_prods = 1
    for i in range(2, len(size)):
        size_prods *= size[i]
    if size_prods == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {size}")


@of_functional
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every channel of every sample of (N, C, *)."""
    if use_input_stats:
        _verify_spatial_size(input.size())
    return functions.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, True)


@of_functional
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise (N, C, *) over each of `num_groups` groups of channels."""
    if input.dim() < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.dim()}")
    _verify_batch_size([input.size(0) * input.size(1) // num_groups, num_groups] + list(input.size()[2:]))
    return functions.group_norm(input, num_groups, weight, bias, eps, True)
