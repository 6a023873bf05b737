"""Quantised arrays: integers q that stand for the numbers (q - zero_point) * scale.

The quantiser is part of the array's numpy dtype, a record of one integer whose field is called
`quint8 {"scale": 0.1, "zero_point": 10}`. So every view and every copy carries it, no arithmetic takes the integers
for numbers by accident (a second field, of no bytes, keeps numpy from converting the record), and arrays of different
quantisers do not mix. An array quantised per channel has a list of
scales and zero points and the axis they belong to; it may be moved as a whole, not cut or turned.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dtypes import DType

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Quantizer:
    """How numbers become integers of `dtype`: one scale and zero point, or one each per index along `axis`."""

    dtype: DType
    scales: tuple[float, ...]
    zero_points: tuple[float, ...]
    axis: int | None = None
    has_float_points: bool = False
    """Zero points are floats, lower or higher than any integer of the type: `per_channel_affine_float_qparams`."""

    @property
    def scale(self) -> float:
        """The scale. Raises RuntimeError for per-channel quantisation."""
        if self.axis is not None:
            raise RuntimeError("Expected quantizer->qscheme() == kPerTensorAffine to be true, but got false.")
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point. Raises RuntimeError for per-channel quantisation."""
        if self.axis is not None:
            raise RuntimeError("Expected quantizer->qscheme() == kPerTensorAffine to be true, but got false.")
        return int(self.zero_points[0])

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest integer."""
        info = np.iinfo(self.dtype.numpy)
        return int(info.min), int(info.max)

    def along_axis(self, numbers: tuple[float, ...], rank: int, dtype: Any) -> Array:
        """Scales or zero points in a shape that broadcasts with arrays of this rank."""
        found = np.array(numbers, dtype)
        if self.axis is None:
            return found.reshape(())
        return found.reshape([-1 if dim == self.axis else 1 for dim in range(rank)])


def per_tensor(dtype: DType, scale: float, zero_point: int) -> Quantizer:
    """The quantiser of a whole tensor. Raises RuntimeError for a zero point that is no integer of the type."""
    quantizer = Quantizer(dtype, (float(scale),), (int(zero_point),))
    low, high = quantizer.bounds
    if zero_point > high:
        raise RuntimeError(f"quantize_tensor_per_tensor_affine zero_point {zero_point} is above upper bound.")
    if zero_point < low:
        raise RuntimeError(f"quantize_tensor_per_tensor_affine zero_point {zero_point} is below lower bound.")
    return quantizer


@lru_cache(maxsize=4096)
def _numpy_dtype(quantizer: Quantizer) -> np.dtype[Any]:
    about: dict[str, Any] = {"scale": quantizer.scales, "zero_point": quantizer.zero_points}
    if quantizer.axis is None:
        about = {name: numbers[0] for name, numbers in about.items()}
    else:
        about |= {"axis": quantizer.axis, "has_float_points": quantizer.has_float_points}
    return np.dtype([(f"{quantizer.dtype.name} {json.dumps(about)}", quantizer.dtype.numpy), ("guard", "V0")])


@lru_cache(maxsize=4096)
def _quantizer(field: str) -> Quantizer:
    name, _, text = field.partition(" ")
    about = json.loads(text)
    if "axis" not in about:
        return Quantizer(dtypes.BY_NAME[name], (about["scale"],), (about["zero_point"],))
    scales, points = tuple(about["scale"]), tuple(about["zero_point"])
    return Quantizer(dtypes.BY_NAME[name], scales, points, about["axis"], about["has_float_points"])


_HELD = frozenset(dtype.name for dtype in dtypes.HELD)


def is_quantized(array: Any) -> bool:
    """True for a quantised array."""
    return isinstance(array, np.ndarray) and array.dtype.names is not None and array.dtype.names[0] not in _HELD


def quantizer_of(array: Array) -> Quantizer:
    """The quantiser of a quantised array. Raises RuntimeError for other arrays."""
    if not is_quantized(array):
        raise RuntimeError("the operator takes a quantized tensor")
    assert array.dtype.names is not None
    return _quantizer(array.dtype.names[0])


def integers_of(array: Array) -> Array:
    """The integers of a quantised array, in the same memory."""
    assert array.dtype.names is not None
    return np.asarray(array[array.dtype.names[0]])


def with_quantizer(integers: Array, quantizer: Quantizer) -> Array:
    """An array of integers, which stay where they are, as a quantised array."""
    return np.asarray(integers).view(_numpy_dtype(quantizer))


def dequantized(array: Array) -> Array:
    """The numbers of a quantised array, in float32."""
    quantizer = quantizer_of(array)
    integers = integers_of(array)
    scales = quantizer.along_axis(quantizer.scales, array.ndim, np.float32)
    if quantizer.has_float_points:
        points = quantizer.along_axis(quantizer.zero_points, array.ndim, np.float32)
        return np.asarray((integers.astype(np.float32) - points) * scales)
    points = quantizer.along_axis(quantizer.zero_points, array.ndim, np.int64)
    return np.asarray((integers.astype(np.int64) - points).astype(np.float32) * scales)


def quantized(numbers: Array, quantizer: Quantizer) -> Array:
    """Numbers, as float32, as the nearest integers of the quantiser, ties to even; nan becomes the largest.

    The zero point is added before rounding, as `quantize_per_tensor` does.
    """
    points = quantizer.along_axis(quantizer.zero_points, numbers.ndim, np.float32)
    with np.errstate(all="ignore"):
        found = np.rint(_scaled(numbers, quantizer) + points)
    return _stored(found, quantizer)


def quantized_result(numbers: Array, quantizer: Quantizer) -> Array:
    """The same for what an operator computed: the zero point is added after rounding."""
    with np.errstate(all="ignore"):
        found = np.rint(_scaled(numbers, quantizer)) + np.float64(quantizer.zero_point)
    return _stored(found, quantizer)


def _scaled(numbers: Array, quantizer: Quantizer) -> Array:
    scales = quantizer.along_axis(quantizer.scales, numbers.ndim, np.float32)
    return np.asarray(numbers.astype(np.float32, copy=False) * (np.float32(1) / scales))


def _stored(found: Array, quantizer: Quantizer) -> Array:
    low, high = quantizer.bounds
    found = np.where(np.isnan(found), low if quantizer.dtype is dtypes.QINT32 else high, found)
    clipped = np.clip(found.astype(np.float64), low, high)
    return with_quantizer(clipped.astype(quantizer.dtype.numpy), quantizer)
