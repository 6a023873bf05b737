"""`Tensor.to` and its short names: dtype and device conversion, and what PyTorch records of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from optc.eager import dispatch
from optc.eager.base import TensorBase
from optc.eager.device import Device, MemoryFormat, require_cpu
from optc.eager.matching import as_dtype, value_text
from optc.ir import dtypes
from optc.ir.dtypes import DType


def to(tensor: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(other)``, then `non_blocking`, `copy`,
    `memory_format`.

    Raises TypeError for other arguments, RuntimeError for a device other than the CPU.
    """
    known = {"device", "dtype", "non_blocking", "copy", "memory_format", "other"}
    unknown = set(keywords) - known
    if unknown:
        raise TypeError(f"to() got an unexpected keyword argument '{min(unknown)}'")
    rest: list[Any] = list(arguments)
    device, dtype, other = (keywords.get(name) for name in ("device", "dtype", "other"))
    if rest and isinstance(rest[0], TensorBase):
        other = rest.pop(0)
    elif rest and isinstance(as_dtype(rest[0]), DType):
        dtype = as_dtype(rest.pop(0))
    elif rest and isinstance(rest[0], str | Device | None):
        device = rest.pop(0)
        dtype = _leading_dtype(rest) or dtype
    if other is not None:
        device, dtype = other.device, other.dtype
    options = _options(rest, keywords)
    dtype = as_dtype(dtype)
    if dtype is not None and not isinstance(dtype, DType):
        raise TypeError(f"to(): argument 'dtype' must be torch.dtype, not {value_text(dtype)}")
    require_cpu(device)
    return _converted(tensor, device, dtype, *options)


def _leading_dtype(rest: list[Any]) -> Any:
    """Take a dtype, or the None in its place, from the front."""
    return rest.pop(0) if rest and isinstance(rest[0], DType | None) else None


def _options(rest: list[Any], keywords: dict[str, Any]) -> tuple[bool, bool, int | None]:
    if len(rest) > 2 or any(not isinstance(item, bool) for item in rest):
        shown = ", ".join(type(item).__name__ for item in rest)
        raise TypeError(f"to() received an invalid combination of arguments - got ({shown})")
    non_blocking = rest[0] if rest else bool(keywords.get("non_blocking", False))
    copy = rest[1] if len(rest) > 1 else bool(keywords.get("copy", False))
    memory_format: MemoryFormat | None = keywords.get("memory_format")
    return non_blocking, copy, None if memory_format is None else memory_format.code


def _converted(
    tensor: Any, device: Any, dtype: DType | None, non_blocking: bool, copy: bool, memory_format: int | None
) -> Any:
    if device is None and dtype is None and not copy and memory_format is None:
        return tensor
    code = (tensor.dtype if dtype is None else dtype).code
    if device is None and dtype is not None:
        return dispatch.call("aten::to", (tensor, code, non_blocking, copy, memory_format))
    if dtype is None:
        options = {"dtype": code, "layout": 0, "device": "cpu", "pin_memory": None}
        return dispatch.call(
            "aten::to",
            (tensor,),
            {**options, "non_blocking": non_blocking, "copy": copy, "memory_format": memory_format},
        )
    return dispatch.call("aten::to", (tensor, "cpu", code, non_blocking, copy, memory_format))


def _cast_method(dtype: DType) -> Callable[..., Any]:
    def cast(self: Any, memory_format: MemoryFormat | None = None) -> Any:
        return _converted(self, None, dtype, False, False, None if memory_format is None else memory_format.code)

    cast.__doc__ = f"The tensor in {dtype}; itself when it has it already."
    return cast


CAST_METHODS: Final = {
    "double": _cast_method(dtypes.FLOAT64),
    "float": _cast_method(dtypes.FLOAT32),
    "half": _cast_method(dtypes.FLOAT16),
    "bfloat16": _cast_method(dtypes.BFLOAT16),
    "long": _cast_method(dtypes.INT64),
    "int": _cast_method(dtypes.INT32),
    "short": _cast_method(dtypes.INT16),
    "char": _cast_method(dtypes.INT8),
    "byte": _cast_method(dtypes.UINT8),
    "bool": _cast_method(dtypes.BOOL),
    "cfloat": _cast_method(dtypes.COMPLEX64),
    "cdouble": _cast_method(dtypes.COMPLEX128),
}
