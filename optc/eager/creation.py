"""Functions that make tensors: from data, filled, counted, random, like others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from optc.eager import (
    dispatch,
    dropout_operators,
    multinomial,
    random_binomial,
    random_distributions,
    random_gamma,
    random_operators,
)
from optc.eager.base import TensorBase
from optc.eager.conversion import checked_array, converted, to_tensor_array
from optc.eager.device import STRIDED, Device, Layout, MemoryFormat, require_cpu
from optc.eager.generator import Generator
from optc.eager.matching import as_dtype
from optc.eager.out_arguments import write_out
from optc.eager.tensor import Tensor
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ops import promotion

RANDOM_OPERATORS: Final = (
    random_operators, random_distributions, random_binomial, random_gamma, dropout_operators, multinomial,
)  # fmt: skip
"""Imported for its declarations: the random factories below call them."""


def tensor(
    data: Any,
    *,
    dtype: DType | None = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """A new tensor of numbers, nested sequences, arrays or tensors.

    Raises ValueError for ragged sequences, TypeError or RuntimeError for what is no number or does not fit `dtype`.
    """
    require_cpu(device)
    if isinstance(data, Tensor) and dispatch.current_recorder() is not None:
        return _finished(_recorded_copy(data, dtype), None, requires_grad)
    made = dispatch.note_constant(dispatch.wrap(to_tensor_array(data, as_dtype(dtype))), "torch.tensor", detach=True)
    return _finished(made, None, requires_grad)


def _recorded_copy(data: Tensor, dtype: DType | None) -> Any:
    """A copy of a tensor whose making a recorder can follow."""
    dispatch.note_conversion(data, "torch.tensor")
    code = (dtype or data.dtype).code
    copied = dispatch.call("aten::to", (data.detach(), "cpu", code, False, True, None))
    return copied.detach()


def from_numpy(array: npt.NDArray[Any]) -> Any:
    """A tensor that shares the memory of an array.

    Raises TypeError for no array or an element type without equivalent, ValueError for negative strides.
    """
    shared = _shared(array)
    dispatch.note_conversion(shared, "torch.from_numpy")
    return shared


def _shared(array: npt.NDArray[Any]) -> Any:
    checked = checked_array(array)
    if checked.base is None:
        return dispatch.wrap(checked)
    # A part of an array is a storage of its own: offsets count from its first element.
    return dispatch.wrap(np.lib.stride_tricks.as_strided(checked, writeable=checked.flags.writeable))


def as_tensor(data: Any, dtype: DType | None = None, device: Device | str | None = None) -> Any:
    """`data` as a tensor, sharing its memory where it is a tensor or an array of the right dtype."""
    require_cpu(device)
    if isinstance(data, Tensor):
        dispatch.note_conversion(data, "torch.as_tensor")
        return data.to("cpu", dtype or data.dtype)
    if isinstance(data, np.ndarray):
        made = dispatch.wrap(converted(_shared(data)._array, dtype))
    else:
        made = dispatch.wrap(to_tensor_array(data, dtype))
    return dispatch.note_constant(made, "torch.as_tensor")


def asarray(
    data: Any,
    *,
    dtype: DType | None = None,
    device: Device | str | None = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Any:
    """`as_tensor` with the choice to copy always (True), never (False: ValueError where needed) or if needed (None)."""
    made = tensor(data, dtype=dtype, device=device) if copy else as_tensor(data, dtype, device)
    if copy is False and isinstance(data, Tensor | np.ndarray):
        source = data._array if isinstance(data, Tensor) else data
        if not np.may_share_memory(made._array, source) and source.size:
            raise ValueError("can't alias tensor with the given arguments: a copy is needed")
    return made.requires_grad_() if requires_grad else made


def frombuffer(buffer: Any, *, dtype: DType, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Any:
    """A tensor over the memory of an object with the buffer protocol.

    Raises ValueError when the buffer is empty or too small, or not a whole number of elements.
    """
    flat = np.frombuffer(buffer, dtype.numpy, count, offset)
    return dispatch.wrap(flat).requires_grad_(requires_grad)


def from_dlpack(exporter: Any) -> Any:
    """A tensor that shares the memory of any CPU object with the DLPack protocol."""
    return dispatch.wrap(np.asarray(np.from_dlpack(exporter)))


def scalar_tensor(
    value: Any,
    *,
    dtype: DType | None = None,
    layout: Layout = STRIDED,
    device: Device | str | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """A 0-d tensor of one number, of the default dtype unless another is given."""
    require_cpu(device)
    options = {"dtype": _code(dtype, "scalar_tensor"), "layout": None, "device": "cpu", "pin_memory": pin_memory}
    return _finished(dispatch.call("aten::scalar_tensor", (value,), options), None, requires_grad)


def _finished(made: Any, out: Any, requires_grad: bool) -> Any:
    if requires_grad and made._array.dtype.kind in "biu":
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    if out is not None:
        write_out("", out, made._array)
        return out
    return made.requires_grad_() if requires_grad else made


def _code(dtype: DType | None, name: str) -> int | None:
    dtype = as_dtype(dtype)
    if dtype is not None and not isinstance(dtype, DType):
        raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}")
    return None if dtype is None else dtype.code


def _factory(name: str, documentation: str, default: DType | None = None) -> Callable[..., Any]:
    """A function that calls a factory operator the way PyTorch's Python layer does."""

    def make(
        *arguments: Any,
        out: Any = None,
        dtype: DType | None = None,
        layout: Layout | None = None,
        device: Device | str | None = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        generator: Generator | None = None,
        **keywords: Any,
    ) -> Any:
        require_cpu(device)
        options: dict[str, Any] = {} if generator is None else {"generator": generator}
        options.update(dtype=_code(dtype or default, name), layout=None, device="cpu", pin_memory=pin_memory)
        made = dispatch.call(f"aten::{name}", arguments, {**keywords, **options})
        return _finished(made, out, requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = documentation
    return make


zeros = _factory("zeros", "A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`.")
ones = _factory("ones", "A tensor of ones: `ones(2, 3)` or `ones((2, 3))`.")
empty = _factory("empty", "A tensor whose elements are whatever the memory held.")
empty_permuted = _factory(
    "empty_permuted", "An uninitialised tensor; `physical_layout` only says how it lies in memory."
)
full = _factory("full", "A tensor of one number: `full(size, number)`; its dtype is the number's.")
arange = _factory("arange", "Numbers from `start` (0) up to but not including `end`, `step` apart.")
linspace = _factory("linspace", "`steps` numbers from `start` to `end`, both included, evenly spaced.")
logspace = _factory("logspace", "`base` to the power of `steps` evenly spaced exponents from `start` to `end`.")
eye = _factory("eye", "Ones on the diagonal, zeros elsewhere: `eye(rows)` or `eye(rows, columns)`.")
rand = _factory("rand", "Uniform numbers of [0, 1).")
randn = _factory("randn", "Standard normal numbers.")
randint = _factory(
    "randint", "Whole numbers of [low, high): `randint(high, size)` or `randint(low, high, size)`.", dtypes.INT64
)
randperm = _factory("randperm", "A permutation of the numbers below `n`.", dtypes.INT64)
tril_indices = _factory("tril_indices", "Row and column numbers of the lower triangle.", dtypes.INT64)
triu_indices = _factory("triu_indices", "Row and column numbers of the upper triangle.", dtypes.INT64)


def _like_factory(name: str, documentation: str) -> Callable[..., Any]:
    """A function that calls an operator which makes a tensor like another one."""

    def make(
        input: Any,
        *arguments: Any,
        dtype: DType | None = None,
        layout: Layout | None = None,
        device: Device | str | None = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        memory_format: MemoryFormat | None = None,
        **keywords: Any,
    ) -> Any:
        require_cpu(device)
        options: dict[str, Any] = {
            "dtype": _code(dtype, name),
            "layout": None,
            "device": None,
            "pin_memory": pin_memory,
        }
        options["memory_format"] = None if memory_format is None else memory_format.code
        made = dispatch.call(f"aten::{name}", (input, *arguments), {**keywords, **options})
        return _finished(made, None, requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = documentation
    return make


zeros_like = _like_factory("zeros_like", "Zeros in the shape and dtype of `input`.")
ones_like = _like_factory("ones_like", "Ones in the shape and dtype of `input`.")
empty_like = _like_factory("empty_like", "A tensor of the shape and dtype of `input`, its elements not set.")
full_like = _like_factory("full_like", "One number in the shape and dtype of `input`.")
rand_like = _like_factory("rand_like", "Uniform numbers of [0, 1) in the shape and dtype of `input`.")
randn_like = _like_factory("randn_like", "Standard normal numbers in the shape and dtype of `input`.")
randint_like = _like_factory("randint_like", "Whole numbers of [low, high) in the shape and dtype of `input`.")


def _new_method(name: str, documentation: str) -> Callable[..., Any]:
    """A method that makes a tensor of the dtype of the one it is called on."""

    def make(
        self: Any,
        *arguments: Any,
        dtype: DType | None = None,
        device: Device | str | None = None,
        requires_grad: bool = False,
        layout: Layout | None = None,
        pin_memory: bool = False,
        **keywords: Any,
    ) -> Any:
        require_cpu(device)
        options: dict[str, Any] = {
            "dtype": _code(dtype, name),
            "layout": None,
            "device": None,
            "pin_memory": pin_memory,
        }
        made = dispatch.call(f"aten::{name}", (self, *arguments), {**keywords, **options}, is_method=True)
        return _finished(made, None, requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = documentation
    return make


def _new_tensor(
    self: Any,
    data: Any,
    *,
    dtype: DType | None = None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    layout: Layout = STRIDED,
    pin_memory: bool = False,
) -> Any:
    """A new tensor of `data`, of the dtype of this one unless another is given."""
    require_cpu(device)
    made = dispatch.wrap(to_tensor_array(data, dtype or self.dtype))
    return _finished(dispatch.note_constant(made, "", detach=True), None, requires_grad)


NEW_METHODS: Final = {
    "new_zeros": _new_method("new_zeros", "Zeros of this tensor's dtype."),
    "new_ones": _new_method("new_ones", "Ones of this tensor's dtype."),
    "new_empty": _new_method("new_empty", "A tensor of this dtype whose elements are not set."),
    "new_empty_strided": _new_method("new_empty_strided", "A tensor of this dtype whose elements are not set."),
    "new_full": _new_method("new_full", "One number, in this tensor's dtype."),
    "new_tensor": _new_tensor,
}


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Any = None,
    dtype: DType | None = None,
    layout: Layout | None = None,
    device: Device | str | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """Normal numbers: around a mean and with a deviation given as tensors, or as numbers with a `size`.

    Raises RuntimeError for a negative deviation.
    """
    require_cpu(device)
    if isinstance(mean, TensorBase) or isinstance(std, TensorBase):
        return _finished(dispatch.call("aten::normal", (mean, std), {"generator": generator}), out, requires_grad)
    options = {"dtype": _code(dtype, "normal"), "layout": None, "device": "cpu", "pin_memory": pin_memory}
    made = dispatch.call("aten::normal", (mean, std, size), {"generator": generator, **options})
    return _finished(made, out, requires_grad)


def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: DType | None = None,
    layout: Layout = STRIDED,
    device: Device | str | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """A tensor with the given strides (in elements) whose elements are not set."""
    require_cpu(device)
    if dispatch.current_recorder() is not None:
        options = {"dtype": _code(dtype, "empty_strided"), "layout": None, "device": "cpu", "pin_memory": pin_memory}
        return _finished(dispatch.call("aten::empty_strided", (size, stride), options), None, requires_grad)
    kind = (dtype or promotion.default_float()).numpy
    extent = 1 + sum((length - 1) * step for length, step in zip(size, stride)) if all(size) else 0
    flat = np.empty(extent, kind)
    strided = np.lib.stride_tricks.as_strided(flat, tuple(size), tuple(step * kind.itemsize for step in stride))
    return dispatch.wrap(strided).requires_grad_(requires_grad)
