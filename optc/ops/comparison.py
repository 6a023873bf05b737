"""Comparisons, logic, bits and choices, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import BOOL, DType, from_numpy
from optc.ir.types import TensorType
from optc.ops.abstract import UNKNOWN_BOOL, UndecidedShape, Unknown, same_dim
from optc.ops.arithmetic import declare_binary
from optc.ops.composite import REFERENCES, TYPES, declare_composite
from optc.ops.element_types import BOOLS, COMPLEXES, FLOATS, refusal, unimplemented
from optc.ops.elementwise import Compute, cast_array, declare_pointwise, truth
from optc.ops.number_limits import C_NAMES, check_number
from optc.ops.overlaps import Overlap
from optc.ops.promotion import float_result, operand_type, result_type
from optc.ops.registry import ScalarFunction, define
from optc.ops.scalar import Expr, apply, select
from optc.ops.shapes import broadcast_shapes, known_shape

Array = np.ndarray[Any, Any]

_name: str
_scalar: ScalarFunction
_compute: Compute
_alias: str | None
for _name, _alias, _scalar, _compute in (
    ("eq", None, lambda x, y: x.equal(y), np.equal),
    ("ne", "not_equal", lambda x, y: x.not_equal(y), np.not_equal),
    ("lt", "less", lambda x, y: x < y, np.less),
    ("le", "less_equal", lambda x, y: x <= y, np.less_equal),
    ("gt", "greater", lambda x, y: x > y, np.greater),
    ("ge", "greater_equal", lambda x, y: x >= y, np.greater_equal),
):
    for _spelling in (_name, _alias) if _alias else (_name,):
        _is_order = _name not in ("eq", "ne")
        declare_binary(
            _spelling, _scalar, _compute, result=dtypes.BOOL, commutative=not _is_order,
            refuses=unimplemented(f"{_name}_cpu", COMPLEXES) if _is_order else (),
        )  # fmt: skip


# Logic ---------------------------------------------------------------------------------------------------------------

for _name, _scalar, _compute in (
    ("and", lambda x, y: truth(x) & truth(y), np.logical_and),
    ("or", lambda x, y: truth(x) | truth(y), np.logical_or),
    ("xor", lambda x, y: truth(x).not_equal(truth(y)), np.logical_xor),
):
    declare_pointwise(
        f"aten::logical_{_name}(Tensor self, Tensor other) -> Tensor",
        _scalar, _compute, result=dtypes.BOOL, commutative=True, inplace=True, out="out",
    )  # fmt: skip

declare_pointwise(
    "aten::logical_not(Tensor self) -> Tensor",
    lambda x: ~truth(x), np.logical_not, result=dtypes.BOOL, inplace=True, out="out",
)  # fmt: skip

_NEVER_INTEGER: dict[str, tuple[ScalarFunction, Compute]] = {
    "isnan": (lambda x: x.not_equal(x), np.isnan),
    "isinf": (lambda x: x.equal(float("inf")) | x.equal(float("-inf")), np.isinf),
    "isposinf": (lambda x: x.equal(float("inf")), np.isposinf),
    "isneginf": (lambda x: x.equal(float("-inf")), np.isneginf),
}  # fmt: skip


def _false_for_integers(condition: ScalarFunction) -> ScalarFunction:
    return lambda x: condition(x) if x.dtype.kind == "float" else x.not_equal(x)


for _name, (_scalar, _compute) in _NEVER_INTEGER.items():
    declare_pointwise(f"aten::{_name}(Tensor self) -> Tensor", _false_for_integers(_scalar),
                      lambda x, compute=_compute: compute(x) if x.dtype.kind in "fc" else np.zeros(x.shape, bool),
                      result=dtypes.BOOL,
                      refuses=refusal(COMPLEXES, f"{_name} does not support complex inputs.")
                      if _name in ("isposinf", "isneginf") else ())  # fmt: skip
declare_pointwise(
    "aten::isfinite(Tensor self) -> Tensor",
    lambda x: (x - x).equal(x - x) if x.dtype.kind == "float" else x.equal(x),
    np.isfinite,
    result=dtypes.BOOL,
)
declare_pointwise(
    "aten::signbit(Tensor self) -> Tensor",
    lambda x: _sign_bit(x),
    lambda x: np.signbit(x) if x.dtype.kind == "f" else x < 0,
    result=dtypes.BOOL,
    refuses=refusal(COMPLEXES, "signbit is not implemented for complex tensors.", NotImplementedError),
)


def _sign_bit(x: Expr) -> Expr:
    if x.dtype.kind == "bool":
        return x.not_equal(x)
    bits = {dtypes.FLOAT32: dtypes.INT32, dtypes.FLOAT64: dtypes.INT64}
    return x.bitcast(bits.get(x.dtype, x.dtype)) < 0


def _isclose(b: Any, x: Any, y: Any, rtol: float, atol: float, equal_nan: bool) -> Any:
    """|x - y| <= atol + |rtol * y|, in the element type; equal infinities are close."""
    left, right = b.type(x).dtype, b.type(y).dtype
    if left is not right:
        raise RuntimeError(f"{left.label} did not match {right.label}")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    close = b("aten::eq.Tensor", x, y)
    if equal_nan and left.kind in ("float", "complex"):
        both = b("aten::logical_and", b("aten::ne.Tensor", x, x), b("aten::ne.Tensor", y, y))
        close = b("aten::logical_or", close, both)
    if rtol == 0 and atol == 0:
        return close
    x, y = (b("aten::to.dtype", item, float_result(left).code) for item in (x, y))
    allowed = b("aten::add.Scalar", b("aten::abs", b("aten::mul.Scalar", y, rtol)), atol)
    distance = b("aten::abs", b("aten::sub.Tensor", x, y))
    near = b("aten::logical_and", b("aten::isfinite", distance), b("aten::le.Tensor", distance, allowed))
    return b("aten::logical_or", close, near)


declare_composite(
    "aten::isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> Tensor",
    _isclose,
)


def _allclose(x: Array, y: Array, rtol: float, atol: float, equal_nan: bool) -> bool:
    return bool(np.all(_isclose(REFERENCES, x, y, rtol, atol, equal_nan)))


def _infer_allclose(x: TensorType, y: TensorType, *rest: Any) -> Unknown:
    _isclose(TYPES, x, y, *rest)
    return UNKNOWN_BOOL


define(
    "aten::allclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> bool",
    infer=_infer_allclose,
    reference=_allclose,
    interpreted="it makes one answer of two tensors",
)


def _decompose_equal(b: Any, x: Any, y: Any) -> Any:
    left, right = b.shape(x), b.shape(y)
    answers = [same_dim(mine, other) for mine, other in zip(left, right)]
    if len(left) != len(right) or False in answers:
        return b("aten::Bool.Tensor", b("aten::full", [], False, dtype=BOOL.code))
    if None in answers:
        raise UndecidedShape("do the tensors have one shape?")
    return b("aten::Bool.Tensor", b("aten::all", b("aten::eq.Tensor", x, y)))


define(
    "aten::equal(Tensor self, Tensor other) -> bool",
    infer=lambda x, y: UNKNOWN_BOOL,
    reference=lambda x, y: np.array_equal(x, y),
    decompose=_decompose_equal,
)


# Bits ----------------------------------------------------------------------------------------------------------------


def _shift_left(x: Expr, y: Expr) -> Expr:
    """Shifting by a negative amount or past the width gives 0."""
    width = 8 * x.dtype.itemsize
    return select((y < 0) | (y >= width), 0, x << (y & (width - 1)))


def _shift_right(x: Expr, y: Expr) -> Expr:
    """Shifting past the width leaves the sign."""
    width = 8 * x.dtype.itemsize
    outside = (y < 0) | (y >= width)
    amount = select(outside, width - 1, y)
    return x >> amount if x.dtype.is_signed else select(outside, 0, apply("lshr", x, amount))


def _shift_left_arrays(x: Array, y: Array) -> Array:
    width = 8 * x.dtype.itemsize
    outside = (y < 0) | (y >= width)
    return np.where(outside, 0, np.left_shift(x, np.where(outside, 0, y)))


def _shift_right_arrays(x: Array, y: Array) -> Array:
    width = 8 * x.dtype.itemsize
    outside = (y < 0) | (y >= width)
    return np.where(outside, np.where(x < 0, -1, 0).astype(x.dtype), np.right_shift(x, np.where(outside, 0, y)))


for _name, _scalar, _compute in (
    ("and", lambda x, y: x & y, np.bitwise_and),
    ("or", lambda x, y: x | y, np.bitwise_or),
    ("xor", lambda x, y: x ^ y, np.bitwise_xor),
):
    for _overload in ("Tensor", "Scalar"):
        for _spelling in (f"bitwise_{_name}", f"__{_name}__"):
            _inplace = _spelling.startswith("bitwise")
            declare_pointwise(
                f"aten::{_spelling}.{_overload}(Tensor self, {_overload} other) -> Tensor",
                _scalar, _compute, commutative=True, inplace=_inplace,
                refuses=unimplemented(f"bitwise_{_name}_cpu", FLOATS | COMPLEXES),
            )  # fmt: skip
    declare_pointwise(
        f"aten::bitwise_{_name}.Scalar_Tensor(Scalar self, Tensor other) -> Tensor",
        _scalar, _compute, commutative=True, refuses=unimplemented(f"bitwise_{_name}_cpu", FLOATS | COMPLEXES),
    )  # fmt: skip

for _name, _scalar, _compute in (
    ("left_shift", _shift_left, _shift_left_arrays),
    ("right_shift", _shift_right, _shift_right_arrays),
):
    _refused = unimplemented(f"{_name[0]}shift_cpu", BOOLS | FLOATS | COMPLEXES)
    _python = "__lshift__" if _name == "left_shift" else "__rshift__"
    for _overload, _suffix in (("Tensor", "Tensor"), ("Scalar", "Tensor_Scalar")):
        declare_pointwise(
            f"aten::bitwise_{_name}.{_suffix}(Tensor self, {_overload} other) -> Tensor",
            _scalar, _compute, refuses=_refused, inplace=True,
        )  # fmt: skip
        declare_pointwise(
            f"aten::{_python}.{_overload}(Tensor self, {_overload} other) -> Tensor",
            _scalar,
            _compute,
            refuses=_refused,
        )
    declare_pointwise(
        f"aten::bitwise_{_name}.Scalar_Tensor(Scalar self, Tensor other) -> Tensor", _scalar, _compute, refuses=_refused
    )

declare_pointwise(
    "aten::bitwise_not(Tensor self) -> Tensor",
    lambda x: ~x, np.invert, inplace=True, out="out", refuses=unimplemented("bitwise_not_cpu", FLOATS | COMPLEXES),
)  # fmt: skip


# Choices -------------------------------------------------------------------------------------------------------------


def _infer_where(condition: TensorType, x: Any, y: Any) -> TensorType:
    _check_condition(condition)
    shapes = [known_shape(item) for item in (condition, x, y) if isinstance(item, TensorType)]
    return TensorType(result_type(x, y), broadcast_shapes(*shapes))


def _check_condition(condition: Any) -> None:
    dtype = operand_type(condition)
    if dtype not in (dtypes.BOOL, dtypes.UINT8):
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {dtype.label}"
        )


def _reference_where(condition: Array, x: Any, y: Any) -> Array:
    _check_condition(condition)
    broadcast_shapes(*(item.shape for item in (condition, x, y) if isinstance(item, np.ndarray)))
    dtype = result_type(x, y).numpy
    return np.asarray(np.where(condition != 0, cast_array(x, dtype), cast_array(y, dtype)))


for _overload, _types in (
    ("self", ("Tensor", "Tensor")),
    ("ScalarSelf", ("Scalar", "Tensor")),
    ("ScalarOther", ("Tensor", "Scalar")),
    ("Scalar", ("Scalar", "Scalar")),
):
    define(
        f"aten::where.{_overload}(Tensor condition, {_types[0]} self, {_types[1]} other) -> Tensor",
        infer=_infer_where,
        reference=_reference_where,
        scalar=lambda condition, x, y: select(truth(condition), x, y),
        promotion="result",
        out="self_out" if _overload == "self" else None,
    )


def _infer_masked_fill(x: TensorType, mask: TensorType, value: Any) -> TensorType:
    _check_mask(mask, len(known_shape(value)) if isinstance(value, TensorType) else 0)
    _check_filling(operand_type(x), value)
    return TensorType(x.dtype, broadcast_shapes(known_shape(x), known_shape(mask)))


def _check_mask(mask: Any, value_rank: int) -> None:
    if operand_type(mask) is not dtypes.BOOL:
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {C_NAMES[operand_type(mask)]}"
        )
    if value_rank:
        raise RuntimeError(
            f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value_rank} dimension(s)."
        )


def _check_filling(dtype: DType, value: Any) -> None:
    """Imaginary parts are not forgotten, and numbers have to fit."""
    is_tensor = isinstance(value, TensorType | np.ndarray)
    check_number(1j if is_tensor and operand_type(value).is_complex and not dtype.is_complex else value, dtype)


def _reference_masked_fill(x: Array, mask: Array, value: Any) -> Array:
    _check_mask(mask, value.ndim if isinstance(value, np.ndarray) else 0)
    _check_filling(from_numpy(x.dtype), value.item() if isinstance(value, np.ndarray) else value)
    broadcast_shapes(x.shape, mask.shape)
    return np.asarray(np.where(mask, cast_array(value, from_numpy(x.dtype).numpy), x))


for _overload in ("Scalar", "Tensor"):
    define(
        f"aten::masked_fill.{_overload}(Tensor self, Tensor mask, {_overload} value) -> Tensor",
        infer=_infer_masked_fill,
        reference=_reference_masked_fill,
        scalar=lambda x, mask, value: select(truth(mask), value, x),
        promotion="result",
        inplace=True,
        overlap=Overlap.ANY,
    )
