"""The activations of `optc.nn.functional`."""
# mypy: disable-error-code="no-any-return"

import warnings

from optc.eager import device, functions
from optc.eager.tensor import Tensor
from optc.ir.dtypes import DType
from optc.nn.functional_names import of_functional

__all__ = [
    "celu",
    "elu",
    "glu",
    "gumbel_softmax",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]


@of_functional
def _threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value."""
    if inplace:
        result = functions.threshold_(input, threshold, value)
    else:
        result = functions.threshold(input, threshold, value)
    return result


# An argument has the function's name; PyTorch prints the function as `_threshold`.
threshold = _threshold


@of_functional
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, x)."""
    if inplace:
        result = functions.relu_(input)
    else:
        result = functions.relu(input)
    return result


@of_functional
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of `dim` times the sigmoid of the second half."""
    if input.dim() == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    return functions.glu(input, dim)


@of_functional
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x clamped to [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if inplace:
        result = functions.hardtanh_(input, min_val, max_val)
    else:
        result = functions.hardtanh(input, min_val, max_val)
    return result


@of_functional
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x), 6)."""
    if inplace:
        result = functions.relu6_(input)
    else:
        result = functions.relu6(input)
    return result


@of_functional
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha * (exp(x) - 1)."""
    if inplace:
        result = functions.elu_(input, alpha)
    else:
        result = functions.elu(input, alpha)
    return result


@of_functional
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * (x where x > 0, else alpha * (exp(x) - 1)), with the constants of the SELU paper."""
    if inplace:
        result = functions.selu_(input)
    else:
        result = functions.selu(input)
    return result


@of_functional
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    if inplace:
        result = functions.celu_(input, alpha)
    else:
        result = functions.celu(input, alpha)
    return result


@of_functional
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    if inplace:
        result = functions.leaky_relu_(input, negative_slope)
    else:
        result = functions.leaky_relu(input, negative_slope)
    return result


@of_functional
def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Leaky ReLU with a slope drawn from U(lower, upper) in training, their mean otherwise."""
    if inplace:
        result = functions.rrelu_(input, lower, upper, training)
    else:
        result = functions.rrelu(input, lower, upper, training)
    return result


@of_functional
def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - input.tanh()


@of_functional
def softsign(input: Tensor) -> Tensor:
    """x / (abs(x) + 1)."""
    return input / (input.abs() + 1)


@of_functional
def tanh(input: Tensor) -> Tensor:
    """tanh(x)."""
    return input.tanh()


@of_functional
def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return input.sigmoid()


@of_functional
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x + 3), 6) / 6."""
    if inplace:
        return functions.hardsigmoid_(input)
    return functions.hardsigmoid(input)


@of_functional
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x)."""
    if inplace:
        return functions.silu_(input)
    return functions.silu(input)


@of_functional
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x))."""
    if inplace:
        return functions.mish_(input)
    return functions.mish(input)


@of_functional
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * min(max(0, x + 3), 6) / 6."""
    if inplace:
        return functions.hardswish_(input)
    return functions.hardswish(input)


# Softmax -------------------------------------------------------------------------------------------------------------


@of_functional
def _get_softmax_dim(name: str, ndim: int, stacklevel: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    if ndim == 0 or ndim == 1 or ndim == 3:
        ret = 0
    else:
        ret = 1
    return ret


@of_functional
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """softmax(-x) along `dim`."""
    if dim is None:
        dim = _get_softmax_dim("softmin", input.dim(), _stacklevel)
    if dtype is None:
        ret = (-input).softmax(dim)
    else:
        ret = (-input).softmax(dim, dtype=dtype)
    return ret


@of_functional
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`, computed in `dtype` when that is given."""
    if dim is None:
        dim = _get_softmax_dim("softmax", input.dim(), _stacklevel)
    if dtype is None:
        ret = input.softmax(dim)
    else:
        ret = input.softmax(dim, dtype=dtype)
    return ret


@of_functional
def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax((logits + Gumbel noise) / tau); `hard` makes it one-hot. `eps` has no effect (Jang et al., 2016)."""
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)

    gumbels = -functions.empty_like(logits, memory_format=device.CONTIGUOUS_FORMAT).exponential_().log()
    gumbels = (logits + gumbels) / tau
    y_soft = gumbels.softmax(dim)

    if hard:
        index = y_soft.max(dim, keepdim=True)[1]
        y_hard = functions.zeros_like(logits, memory_format=device.CONTIGUOUS_FORMAT).scatter_(dim, index, 1.0)
        ret = y_hard - y_soft.detach() + y_soft
    else:
        ret = y_soft
    return ret


@of_functional
def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """log(softmax(x)) along `dim`, computed in `dtype` when that is given."""
    if dim is None:
        dim = _get_softmax_dim("log_softmax", input.dim(), _stacklevel)
    if dtype is None:
        ret = input.log_softmax(dim)
    else:
        ret = input.log_softmax(dim, dtype=dtype)
    return ret
