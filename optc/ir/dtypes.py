"""Element types. `optc.float32` and its siblings are the `DType` objects of this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np


class DType:
    """One element type: torch's names and codes, and numpy's equivalent.

    `code` is torch's ScalarType number, `label` the name in IR text (`Float`), `kind` one of "bool", "int",
    "float", "complex", "quantized", "held", `itemsize` in bytes. `numpy` is left out where ml_dtypes has the type, under
    the same name. Instances are singletons, compared by identity.
    """

    __slots__ = ("code", "itemsize", "kind", "label", "name", "numpy")

    numpy: np.dtype[Any]

    def __init__(
        self, name: str, label: str, code: int, kind: str, itemsize: int, numpy: np.dtype[Any] | None = None
    ) -> None:
        self.name, self.label, self.code, self.kind, self.itemsize = name, label, code, kind, itemsize
        if numpy is not None:
            self.numpy = numpy

    if not TYPE_CHECKING:

        def __getattr__(self, attribute: str) -> object:
            # Called for a slot that is empty. ml_dtypes is imported when first asked for: that takes several times as
            # long as the import of optc, and few programs need it.
            if attribute != "numpy":
                raise AttributeError(f"'DType' object has no attribute '{attribute}'")
            import ml_dtypes

            self.numpy = np.dtype(getattr(ml_dtypes, self.name))
            return self.numpy

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    __str__ = __repr__

    def __reduce__(self) -> str:
        return self.name.upper()

    @property
    def is_floating_point(self) -> bool:
        """True for half, bfloat16, float and double, and for what is held of eight bits."""
        return self.kind == "float" or (self.kind == "held" and self.name.startswith("float8"))

    @property
    def is_complex(self) -> bool:
        """True for the complex types."""
        return self.kind == "complex" or self.name == "complex32"

    @property
    def is_quantized(self) -> bool:
        """True for integers that stand for floats; `numpy` is then the type of the integers."""
        return self.kind == "quantized"

    @property
    def is_held(self) -> bool:
        """True for types that tensors are loaded and saved in and nothing computes with: see `HELD`."""
        return self.kind == "held"

    @property
    def is_signed(self) -> bool:
        """True when the type has negative values."""
        return self.name not in ("bool", "uint8", "quint8", "uint16", "uint32", "uint64", "float8_e8m0fnu")


UINT8 = DType("uint8", "Byte", 0, "int", 1, np.dtype(np.uint8))
INT8 = DType("int8", "Char", 1, "int", 1, np.dtype(np.int8))
INT16 = DType("int16", "Short", 2, "int", 2, np.dtype(np.int16))
INT32 = DType("int32", "Int", 3, "int", 4, np.dtype(np.int32))
INT64 = DType("int64", "Long", 4, "int", 8, np.dtype(np.int64))
FLOAT16 = DType("float16", "Half", 5, "float", 2, np.dtype(np.float16))
FLOAT32 = DType("float32", "Float", 6, "float", 4, np.dtype(np.float32))
FLOAT64 = DType("float64", "Double", 7, "float", 8, np.dtype(np.float64))
COMPLEX64 = DType("complex64", "ComplexFloat", 9, "complex", 8, np.dtype(np.complex64))
COMPLEX128 = DType("complex128", "ComplexDouble", 10, "complex", 16, np.dtype(np.complex128))
BOOL = DType("bool", "Bool", 11, "bool", 1, np.dtype(np.bool_))
BFLOAT16 = DType("bfloat16", "BFloat16", 15, "float", 2)

ALL = (
    UINT8, INT8, INT16, INT32, INT64, FLOAT16, FLOAT32, FLOAT64, COMPLEX64, COMPLEX128, BOOL, BFLOAT16,
)  # fmt: skip

QINT8 = DType("qint8", "QInt8", 12, "quantized", 1, np.dtype(np.int8))
QUINT8 = DType("quint8", "QUInt8", 13, "quantized", 1, np.dtype(np.uint8))
QINT32 = DType("qint32", "QInt32", 14, "quantized", 4, np.dtype(np.int32))

QUANTIZED = (QINT8, QUINT8, QINT32)
"""What only the operators of `optc.ops.quantization` know. How their arrays look: see `optc.ops.quantizers`."""

UINT16 = DType("uint16", "UInt16", 27, "held", 2, np.dtype(np.uint16))
UINT32 = DType("uint32", "UInt32", 28, "held", 4, np.dtype(np.uint32))
UINT64 = DType("uint64", "UInt64", 29, "held", 8, np.dtype(np.uint64))
FLOAT8_E5M2 = DType("float8_e5m2", "Float8_e5m2", 23, "held", 1)
FLOAT8_E4M3FN = DType("float8_e4m3fn", "Float8_e4m3fn", 24, "held", 1)
FLOAT8_E5M2FNUZ = DType("float8_e5m2fnuz", "Float8_e5m2fnuz", 25, "held", 1)
FLOAT8_E4M3FNUZ = DType("float8_e4m3fnuz", "Float8_e4m3fnuz", 26, "held", 1)
FLOAT8_E8M0FNU = DType("float8_e8m0fnu", "Float8_e8m0fnu", 44, "held", 1)
COMPLEX32 = DType("complex32", "ComplexHalf", 8, "held", 4, np.dtype([("real", np.float16), ("imag", np.float16)]))

HELD = (
    UINT16, UINT32, UINT64, FLOAT8_E5M2, FLOAT8_E4M3FN, FLOAT8_E5M2FNUZ, FLOAT8_E4M3FNUZ, FLOAT8_E8M0FNU, COMPLEX32,
)  # fmt: skip
"""What tensors are loaded and saved in; they convert to types of `ALL`, and nothing else computes with them. How their
arrays look: see `optc.ops.held`."""

_KNOWN = ALL + QUANTIZED
BY_CODE = {dtype.code: dtype for dtype in _KNOWN}
BY_LABEL = {dtype.label: dtype for dtype in _KNOWN}
BY_NAME = {dtype.name: dtype for dtype in _KNOWN + HELD}
_BY_NUMPY = {dtype.numpy: dtype for dtype in ALL if dtype is not BFLOAT16}


def _computing(dtype: np.dtype[Any]) -> DType | None:
    """The type of `ALL` that numpy's is, None if it is none."""
    return _BY_NUMPY.get(dtype) or (BFLOAT16 if dtype.name == BFLOAT16.name else None)


def is_computed_with(dtype: np.dtype[Any]) -> bool:
    """True for the numpy types that `ALL` has."""
    return _computing(dtype) is not None


def from_numpy(dtype: np.dtype[Any]) -> DType:
    """The DType of a numpy dtype. Raises TypeError for types that torch does not have."""
    found = _computing(dtype)
    if found is None and dtype.names is not None:
        found = BY_NAME.get(dtype.names[0].partition(" ")[0])
    if found is None:
        raise TypeError(f"can't convert a numpy array of dtype {dtype}: it has no tensor equivalent")
    return found


_ORDER = (UINT8, INT8, INT16, INT32, INT64, FLOAT16, BFLOAT16, FLOAT32, FLOAT64, COMPLEX64, COMPLEX128)


def promote(left: DType, right: DType) -> DType:
    """torch.promote_types: the smallest type that holds both, in torch's lattice."""
    if left is right:
        return left
    if left is BOOL or right is BOOL:
        return right if left is BOOL else left
    if left.kind == "int" and right.kind == "int":
        return _promote_integers(left, right)
    pair = {left, right}
    if pair == {FLOAT16, BFLOAT16}:
        return FLOAT32
    if pair == {FLOAT64, COMPLEX64}:
        return COMPLEX128
    return max(left, right, key=_ORDER.index)


def _promote_integers(left: DType, right: DType) -> DType:
    if UINT8 not in (left, right):
        return max(left, right, key=_ORDER.index)
    other = right if left is UINT8 else left
    return INT16 if other is INT8 else other
