"""Python and numpy data to arrays of a tensor's element types: what `optc.tensor` and `as_tensor` do.

Nested sequences become arrays of the smallest common type of what is in them (Python floats are of the default dtype,
ints are int64); ragged ones are refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from optc.eager.base import TensorBase
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ops import promotion
from optc.ops.elementwise import cast_array

Array = npt.NDArray[Any]

_SUPPORTED = "float64, float32, float16, complex64, complex128, int64, int32, int16, int8, uint8, and bool"


def checked_array(array: Any) -> Array:
    """An array that a tensor can share.

    Raises TypeError for no array or an element type without equivalent, ValueError for negative strides and foreign
    byte order; warns of an array that cannot be written.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
            "currently not supported."
        )
    if not dtypes.is_computed_with(array.dtype):
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{array.dtype.type.__name__}. "
            f"The only supported types are: {_SUPPORTED}."
        )
    if any(stride < 0 for stride in array.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
            "currently supported. (You can probably work around this by making a copy of your array  with "
            "array.copy().) "
        )
    if not array.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable: writing to the tensor that shares it will fail. Copy the array to "
            "protect its data or make it writable before making a tensor of it.",
            stacklevel=3,
        )
    return np.asarray(array)


def to_tensor_array(data: Any, dtype: DType | None = None) -> Array:
    """A new array of the elements of a number, an array, a tensor or nested sequences of them.

    Raises ValueError for ragged sequences, TypeError or RuntimeError for what is no number, RuntimeError for a number
    that `dtype` cannot hold.
    """
    if isinstance(data, TensorBase):
        return converted(data._array, dtype).copy()
    if isinstance(data, np.ndarray | np.generic):
        return converted(_supported(np.asarray(data)), dtype).copy()
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    shape = _shape_of(data)
    leaves = list(_leaves(data, shape, 0))
    inferred = dtype or _common_type(leaves)
    if inferred is None:
        inferred = promotion.default_float()
    return _filled(leaves, inferred).reshape(shape)


def converted(array: Array, dtype: DType | None) -> Array:
    """The array in another element type; itself where it has it already."""
    return array if dtype is None else cast_array(array, dtype.numpy)


def _supported(array: Array) -> Array:
    if not dtypes.is_computed_with(array.dtype) or any(stride < 0 for stride in array.strides):
        return checked_array(array)
    return array


def _is_sequence(data: Any) -> bool:
    if isinstance(data, str | bytes | dict | set):
        return False
    if isinstance(data, TensorBase):
        if data._array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return False
    return hasattr(data, "__len__") and hasattr(data, "__getitem__") and getattr(data, "shape", None) != ()


def _shape_of(data: Any) -> tuple[int, ...]:
    """The shape that the first elements announce; a tensor among them is one element."""
    shape = []
    while _is_sequence(data):
        shape.append(len(data))
        if not len(data):
            break
        data = data[0]
    return tuple(shape)


def _leaves(data: Any, shape: tuple[int, ...], depth: int) -> Iterator[Any]:
    if depth == len(shape):
        yield data
        return
    if not _is_sequence(data):
        raise TypeError("not a sequence")
    if len(data) != shape[depth]:
        raise ValueError(f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})")
    if depth + 1 == len(shape):
        if isinstance(data, np.ndarray):  # 0-d arrays keep the dtype, which a numpy float64 number would lose
            yield from (data[place, ...] for place in range(len(data)))
        else:
            yield from data
        return
    for item in data:
        yield from _leaves(item, shape, depth + 1)


def _common_type(leaves: list[Any]) -> DType | None:
    """The smallest type that holds all elements, None when there are none."""
    common: DType | None = None
    plain = set(map(type, leaves))
    if plain <= {bool, int, float, complex}:
        for kind in plain:
            dtype = promotion.number_type(kind())
            common = dtype if common is None else dtypes.promote(common, dtype)
        return common
    for leaf in leaves:
        dtype = _type_of(leaf)
        common = dtype if common is None else dtypes.promote(common, dtype)
    return common


def _type_of(leaf: Any) -> DType:
    if isinstance(leaf, bool | int | float | complex):
        return promotion.number_type(leaf)
    if isinstance(leaf, TensorBase):
        return dtypes.from_numpy(leaf._array.dtype)
    if isinstance(leaf, np.generic | np.ndarray):
        return dtypes.from_numpy(leaf.dtype)
    if isinstance(leaf, str):
        raise TypeError("new(): invalid data type 'str'")
    if _is_sequence(leaf):
        raise TypeError(f"'{type(leaf).__name__}' object cannot be interpreted as an integer")
    raise RuntimeError(f"Could not infer dtype of {type(leaf).__name__}")


def _python_number(leaf: Any) -> Any:
    if isinstance(leaf, TensorBase):
        return leaf._array.item()
    if isinstance(leaf, np.generic | np.ndarray):
        return leaf.item()
    if isinstance(leaf, bool | int | float | complex):
        return leaf
    _type_of(leaf)
    raise TypeError(f"must be real number, not {type(leaf).__name__}")


def _filled(leaves: list[Any], dtype: DType) -> Array:
    if not set(map(type, leaves)) <= {bool, int, float, complex}:
        leaves = [_python_number(leaf) for leaf in leaves]
    if dtype.kind == "bool":
        return np.array([bool(leaf) for leaf in leaves], np.bool_)
    if dtype.kind == "int":
        return _filled_integers(leaves, dtype)
    if dtype.kind == "complex":
        return np.array(leaves, np.complex128).astype(dtype.numpy)
    if any(isinstance(leaf, complex) for leaf in leaves):
        raise TypeError("must be real number, not complex")
    with np.errstate(over="ignore"):
        return np.array(leaves, np.float64).astype(dtype.numpy)


def _filled_integers(leaves: list[Any], dtype: DType) -> Array:
    for leaf in leaves:
        if type(leaf) is int and not -(2**63) <= leaf < 2**63:
            raise ValueError("Overflow when unpacking long long")
    whole = _whole_numbers(leaves, dtype)
    if whole is None:
        raise RuntimeError(f"value cannot be converted to type {_TENSOR_NAMES.get(dtype, dtype.name)} without overflow")
    return whole


def _whole_numbers(leaves: list[Any], dtype: DType) -> Array | None:
    """The numbers without their fractions, None when one does not fit: it is compared before its fraction is cut.
    Negative integers wrap in unsigned dtypes.
    """
    limits = np.iinfo(dtype.numpy)
    lowest = -int(limits.max) if limits.min == 0 else int(limits.min)
    fractions = [leaf for leaf in leaves if not isinstance(leaf, int)]
    if not all(isinstance(leaf, float) and limits.min <= leaf <= limits.max for leaf in fractions):
        return None
    whole = [int(leaf) for leaf in leaves]
    if whole and not (lowest <= min(whole) and max(whole) <= limits.max):
        return None
    return np.array(whole, np.int64).astype(dtype.numpy)


_TENSOR_NAMES = {dtypes.INT64: "int64_t"}
"""What `optc.tensor` calls element types in its messages, where it is not the dtype's name."""

_FILL_NAMES = {
    dtypes.UINT8: "uint8_t", dtypes.INT8: "int8_t", dtypes.INT16: "int16_t", dtypes.INT32: "int",
    dtypes.INT64: "int64_t", dtypes.FLOAT32: "float", dtypes.FLOAT64: "double", dtypes.FLOAT16: "double",
    dtypes.BFLOAT16: "double", dtypes.COMPLEX64: "c10::complex<float>",
}  # fmt: skip
"""What filling calls them."""


def checked_number(value: Any, dtype: DType) -> Array:
    """A 0-d array of one number, for filling. Fractions are cut, half and bfloat16 overflow to infinity.

    Raises RuntimeError where `dtype` cannot hold the number.
    """
    number = _held_number(value, dtype)
    array = (
        None if number is None else _whole_numbers([number], dtype) if dtype.kind == "int" else _filled([number], dtype)
    )
    if array is None:
        raise RuntimeError(f"value cannot be converted to type {_FILL_NAMES.get(dtype, dtype.name)} without overflow")
    return array.reshape(())


def _held_number(value: Any, dtype: DType) -> Any:
    """The number without an imaginary part that is not needed, None where float or complex cannot hold it."""
    if isinstance(value, complex) and not dtype.is_complex and dtype.kind != "bool":
        if value.imag != 0:
            return None
        value = value.real
    if (
        dtype in (dtypes.FLOAT32, dtypes.COMPLEX64)
        and np.isfinite(value)
        and abs(value) > dtypes_maximum(dtypes.FLOAT32)
    ):
        return None
    return value


def dtypes_maximum(dtype: DType) -> float:
    """The largest finite number of a floating-point dtype."""
    return 3.3895313892515355e38 if dtype is dtypes.BFLOAT16 else float(np.finfo(dtype.numpy).max)
