"""The functions of the namespace: `optc.add`, `optc.zeros`, `optc.allclose` ...

Functions that are operators are made from the registry when they are first asked for (`functions.relu`); those that
PyTorch's Python layer adds are written out here or come from the modules named below.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from optc.eager import (
    accelerators,
    device,
    dispatch,
    generator,
    gradient,
    numerics,
    optional_results,
    printing,
    seeding,
    settings,
)
from optc.eager.creation import (
    arange,
    as_tensor,
    asarray,
    empty,
    empty_like,
    empty_permuted,
    empty_strided,
    eye,
    from_dlpack,
    from_numpy,
    frombuffer,
    full,
    full_like,
    linspace,
    logspace,
    normal,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    scalar_tensor,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from optc.eager.methods import SPECIAL_METHODS, install, is_tensor
from optc.eager.out_arguments import write_out
from optc.eager.size import Size
from optc.eager.tensor import Tensor
from optc.ir import dtypes
from optc.ops.registry import overloads

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "empty_permuted", "empty_strided", "eye", "from_dlpack", "from_numpy",
    "frombuffer", "full", "full_like", "linspace", "logspace", "normal", "ones", "ones_like", "rand", "rand_like",
    "randint", "randint_like", "randn", "randn_like", "randperm", "scalar_tensor", "tensor", "tril_indices",
    "triu_indices", "zeros", "zeros_like", "is_tensor",
]  # fmt: skip

install()


def numel(input: Any) -> Any:
    """The number of elements."""
    return input.numel()


def is_floating_point(input: Any) -> bool:
    """True for a tensor of half, bfloat16, float or double."""
    return bool(input.is_floating_point())


def is_complex(input: Any) -> bool:
    """True for a tensor of a complex dtype."""
    return bool(input.is_complex())


def is_nonzero(input: Any) -> bool:
    """True when the only element is not zero. Raises RuntimeError unless there is exactly one."""
    return bool(input)


def broadcast_shapes(*shapes: Any) -> Size:
    """The common shape of several. Raises RuntimeError when there is none."""
    listed = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    common = [1] * max(map(len, listed), default=0)
    for place, shape in enumerate(listed):
        for axis in range(-1, -1 - len(shape), -1):
            if common[axis] == 1:
                common[axis] = shape[axis]
            elif shape[axis] not in (1, common[axis]):
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {shape[axis]} at {axis}! Mismatching argument at "
                    f"index {place} had {shape}; but expected shape should be broadcastable to {common}"
                )
    return Size(common)


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """The tensors expanded to their common shape."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else tensors
    return tuple(dispatch.call("aten::broadcast_tensors", (list(given),)))


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> Any:
    """Parts of one size along a dimension, or of the given sizes."""
    return SPECIAL_METHODS["split"](tensor, split_size_or_sections, dim)


def _tuple_function(name: str) -> Callable[..., Any]:
    method = SPECIAL_METHODS[name]

    def function(input: Any, *arguments: Any, **keywords: Any) -> Any:
        return method(input, *arguments, **keywords)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = method.__doc__
    return function


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
    """Coordinates of a grid from the coordinates along each of its axes; "xy" swaps the first two axes."""
    given = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else list(tensors)
    return tuple(dispatch.call("aten::meshgrid", (given,), {"indexing": indexing}))


def einsum(equation: Any, *operands: Any) -> Any:
    """Sums of products named by letters, or by lists of numbers after each operand (and one for the result)."""
    if isinstance(equation, str):
        given = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], list | tuple) else list(operands)
        return dispatch.call("aten::einsum", (equation, given))
    items = [equation, *operands]
    pairs = len(items) // 2
    written = ",".join(_letters(items[2 * place + 1]) for place in range(pairs))
    if len(items) % 2:
        written += f"->{_letters(items[-1])}"
    return dispatch.call("aten::einsum", (written, items[: 2 * pairs : 2]))


def _letters(numbers: Any) -> str:
    """A list of numbers as the letters of an equation. Raises ValueError beyond 51."""
    for number in numbers:
        if number is not Ellipsis and not 0 <= number < 52:
            raise ValueError(f"einsum(): subscript {number} is not within the valid range [0, 52)")
    return "".join("..." if number is Ellipsis else _ALPHABET[number] for number in numbers)


_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of one that is zero elsewhere."""
    return dispatch.call("aten::block_diag", (list(tensors),))


def cartesian_prod(*tensors: Any) -> Any:
    """All tuples of one element of each vector, one a row."""
    return dispatch.call("aten::cartesian_prod", (list(tensors),))


def _at_least(name: str) -> Callable[..., Any]:
    def function(*tensors: Any) -> Any:
        given = tensors[0] if len(tensors) == 1 else tensors
        if isinstance(given, list | tuple):
            return tuple(dispatch.call(f"aten::{name}", (tensor,)) for tensor in given)
        return dispatch.call(f"aten::{name}", (given,))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Tensors with {name[-2]} dimensions or more; a tuple where several are given."
    return function


def tensordot(a: Any, b: Any, dims: Any = 2, out: Any = None) -> Any:
    """Products summed over the last `dims` dimensions of `a` and the first of `b`, or over two lists of dimensions.

    Raises RuntimeError for a negative number of dimensions.
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist() if dims.numel() > 1 else dims.item()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims = (list(range(-dims, 0)), list(range(dims)))
    mine, other = dims
    found = dispatch.call("aten::tensordot", (a, b, list(mine), list(other)))
    if out is not None:
        write_out("aten::tensordot", out, found._array)
    return found if out is None else out


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """The coordinates, in a tensor of that shape, of places counted in row-major order.

    Raises TypeError for indices that are not whole numbers, ValueError for extents that are negative.
    """
    if indices.is_floating_point() or indices.is_complex() or indices.dtype is dtypes.BOOL:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(extent < 0 for extent in extents):
        raise ValueError(f"'shape' cannot have negative values, but got {extents}")
    steps = [math.prod(extents[place + 1 :]) for place in range(len(extents))]
    places = indices.to(dtypes.INT64)
    return tuple((places // max(step, 1)) % max(extent, 1) for step, extent in zip(steps, extents))


def _operator_function(name: str) -> Callable[..., Any]:
    qualified = f"aten::{name}"

    def function(*arguments: Any, **keywords: Any) -> Any:
        return dispatch.call(qualified, arguments, keywords)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "\n".join(str(operator.schema) for operator in overloads(qualified))
    return function


_made: dict[str, Callable[..., Any]] = {}
"""Functions by name. They do not become globals of this module: some have names of Python's own functions."""


def __getattr__(name: str) -> Any:
    """The function of an operator. Raises AttributeError where there is no such operator."""
    if name not in _made:
        if name.startswith("__") or not any(map(dispatch.concerns_tensors, overloads(f"aten::{name}"))):
            raise AttributeError(f"module 'optc' has no attribute '{name}'")
        _made[name] = _operator_function(name)
    return _made[name]


def in_namespace(namespace: str, name: str) -> Any:
    """`norm` of `optc.linalg`: the function of the operator `linalg_norm`. Raises AttributeError where there is none."""
    try:
        return getattr(sys.modules[__name__], f"{namespace}_{name}")
    except AttributeError:
        raise AttributeError(f"module 'optc.{namespace}' has no attribute '{name}'") from None


_DTYPE_ALIASES: Final = {
    "float": dtypes.FLOAT32, "double": dtypes.FLOAT64, "half": dtypes.FLOAT16, "long": dtypes.INT64,
    "int": dtypes.INT32, "short": dtypes.INT16, "cfloat": dtypes.COMPLEX64, "cdouble": dtypes.COMPLEX128,
}  # fmt: skip

NAMES: Final[dict[str, Any]] = {
    **{name: globals()[name] for name in __all__},
    **{dtype.name: dtype for dtype in (*dtypes.ALL, *dtypes.QUANTIZED, *dtypes.HELD)},
    **_DTYPE_ALIASES,
    **{
        name: globals()[name]
        for name in (
            "numel", "is_floating_point", "is_complex", "is_nonzero", "broadcast_shapes", "broadcast_tensors", "split",
            "meshgrid", "einsum", "block_diag", "cartesian_prod", "tensordot", "unravel_index",
        )
    },
    **{name: _at_least(name) for name in ("atleast_1d", "atleast_2d", "atleast_3d")},
    **{name: _tuple_function(name) for name in ("unbind", "chunk", "tensor_split", "hsplit", "vsplit", "dsplit", "norm", "gradient")},
    **{
        name: getattr(module, name)
        for module, names in (
            (gradient, ("no_grad", "enable_grad", "set_grad_enabled", "inference_mode", "is_grad_enabled",
                        "is_inference_mode_enabled")),
            (settings, ("get_default_dtype", "set_default_dtype", "get_num_threads", "set_num_threads",
                        "get_num_interop_threads", "set_num_interop_threads", "use_deterministic_algorithms",
                        "are_deterministic_algorithms_enabled")),
            (numerics, ("finfo", "iinfo", "result_type", "promote_types", "can_cast", "equal", "allclose")),
            (seeding, ("Generator", "manual_seed", "seed", "initial_seed", "get_rng_state", "set_rng_state")),
            (printing, ("set_printoptions",)),
            (optional_results, ("unique", "unique_consecutive", "nonzero", "lu")),
        )
        for name in names
    },
    "Tensor": Tensor,
    "Size": Size,
    "dtype": dtypes.DType,
    "device": device.Device,
    "layout": device.Layout,
    "memory_format": device.MemoryFormat,
    "strided": device.STRIDED,
    "contiguous_format": device.CONTIGUOUS_FORMAT,
    "preserve_format": device.PRESERVE_FORMAT,
    "channels_last": device.CHANNELS_LAST,
    "channels_last_3d": device.CHANNELS_LAST_3D,
    "cuda": accelerators.cuda,
    "mps": accelerators.mps,
    "xpu": accelerators.xpu,
    "backends": accelerators.backends,
    "default_generator": generator.default_generator,
    "inf": float("inf"),
    "nan": float("nan"),
    "pi": np.pi,
    "e": np.e,
    "newaxis": None,
}  # fmt: skip
"""What `optc` re-exports; every other operator name is found by `__getattr__`."""
