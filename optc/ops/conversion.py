"""Conversions: between element types, from one-element tensors to numbers and back, and questions about types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import fresh, product
from optc.ir.dtypes import DType, from_numpy
from optc.ir.types import TensorType
from optc.ops.abstract import UNKNOWN, UNKNOWN_BOOL, UNKNOWN_FLOAT, Unknown, dtype_of_code
from optc.ops.elementwise import cast_array, truth
from optc.ops.held import is_held, numbers_of, record_of
from optc.ops.memory_formats import stays
from optc.ops.promotion import number_type, operand_type, result_type
from optc.ops.registry import Operator, Shares, always_shares, define
from optc.ops.scalar import Expr
from optc.ops.shapes import Shape, broadcast_shapes, known_shape

Array = np.ndarray[Any, Any]


# Element types -------------------------------------------------------------------------------------------------------


def converted(x: Array, dtype: DType, copy: bool = False) -> Array:
    """x in another type; x itself where nothing changes and no copy is asked for."""
    if is_held(x) and not dtype.is_held:
        x = numbers_of(x)
        return x.copy() if x.dtype == dtype.numpy else cast_array(x, dtype.numpy)
    kind = record_of(dtype)
    if x.dtype == kind and not copy:
        return x
    return cast_array(x, kind) if x.dtype != kind else x.copy(order="K")


CONVERSIONS: dict[str, Callable[..., bool]] = {}
"""By name of the operator: whether the arguments after the first one ask for a copy where the element type stays."""


def asks_for_copy(operator: Operator, arguments: Sequence[Any]) -> bool | None:
    """Whether a conversion to the element type that a tensor has is a copy; None where the arguments do not tell, among
    which `...` stands for what is not known, or may ask for another order of elements.
    """
    names = [argument.name for argument in operator.schema.arguments]
    if "memory_format" in names and arguments[names.index("memory_format")] is not None:
        return None
    copies = CONVERSIONS[operator.name](*arguments[1:])
    return copies if isinstance(copies, bool) else None


def _is_reordered(schema: str, x: Array, rest: Sequence[Any]) -> bool:
    """True where the elements have to lie in another order, which the last argument asks for."""
    return "memory_format" in schema and not stays(x, rest[-1])


def declare_cast(
    schema: str,
    dtype_of: Callable[..., DType],
    copies: Callable[..., bool] = lambda *rest: False,
    shares: Shares | None = None,
) -> None:
    """Declare a change of element type; `dtype_of(x's type, *arguments)` is the new one."""
    define(
        schema,
        infer=lambda x, *rest: TensorType(dtype_of(operand_type(x), *rest), x.shape),
        reference=lambda x, *rest: converted(
            x, dtype_of(operand_type(x), *rest), copies(*rest) or _is_reordered(schema, x, rest)
        ),
        scalar=lambda x, *rest: x,
        promotion="none",
        shares=shares,
    )
    CONVERSIONS[schema.partition("(")[0]] = copies


def declare_cast_like(
    schema: str, copies: Callable[..., bool] = lambda *rest: False, shares: Shares | None = None
) -> None:
    """Declare a change to the element type of a second tensor, the extents of which do not matter."""
    define(
        schema,
        infer=lambda x, other, *rest: TensorType(operand_type(other), x.shape),
        reference=lambda x, other, *rest: converted(
            x, operand_type(other), copies(*rest) or _is_reordered(schema, x, rest)
        ),
        decompose=lambda b, x, other, *rest: b("aten::to.dtype", x, operand_type(b.type(other)).code),
        shares=shares,
    )
    CONVERSIONS[schema.partition("(")[0]] = lambda other, *rest: copies(*rest)


_MOVE = "bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None"

declare_cast(
    f"aten::to.device(Tensor(a) self, Device device, ScalarType dtype, {_MOVE}) -> Tensor(a)",
    lambda mine, device, dtype, *rest: dtype_of_code(dtype, mine),
    lambda device, dtype, non_blocking, copy, *rest: copy,
)
declare_cast(
    f"aten::to.dtype(Tensor(a) self, ScalarType dtype, {_MOVE}) -> Tensor(a)",
    lambda mine, dtype, *rest: dtype_of_code(dtype, mine),
    lambda dtype, non_blocking, copy, *rest: copy,
)
declare_cast_like(
    f"aten::to.other(Tensor(a) self, Tensor other, {_MOVE}) -> Tensor(a)",
    lambda non_blocking, copy, *rest: copy,
)
declare_cast(
    "aten::to.dtype_layout(Tensor(a) self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
    f"bool? pin_memory=None, {_MOVE}) -> Tensor(a)",
    lambda mine, dtype, *rest: dtype_of_code(dtype, mine),
    lambda dtype, layout, device, pin_memory, non_blocking, copy, *rest: copy,
)
declare_cast(
    "aten::to.prim_Device(Tensor(a) self, Device? device, int? dtype=None, bool non_blocking=False, bool copy=False) "
    "-> Tensor(b|a)",
    lambda mine, device, dtype, *rest: dtype_of_code(dtype, mine),
    lambda device, dtype, non_blocking, copy: copy,
)
declare_cast(
    "aten::to.prim_dtype(Tensor(a) self, int? dtype=None, bool non_blocking=False, bool copy=False) -> Tensor(b|a)",
    lambda mine, dtype, *rest: dtype_of_code(dtype, mine),
    lambda dtype, non_blocking, copy: copy,
)
declare_cast(
    "aten::to.prim_other(Tensor(a) self, bool non_blocking=False, bool copy=False) -> Tensor(b|a)",
    lambda mine, *rest: mine,
    lambda non_blocking, copy: copy,
)
declare_cast(
    "aten::_to_copy(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
    "bool? pin_memory=None, bool non_blocking=False, MemoryFormat? memory_format=None) -> Tensor",
    lambda mine, dtype, *rest: dtype_of_code(dtype, mine),
    lambda *rest: True,
)
declare_cast_like("aten::type_as(Tensor self, Tensor other) -> Tensor", shares=always_shares)
declare_cast("aten::cpu(Tensor(a) self) -> Tensor(b|a)", lambda mine: mine)
declare_cast(
    "aten::as_tensor(Tensor(a) data, *, ScalarType? dtype=None, Device? device=None) -> Tensor(b|a)",
    lambda mine, dtype, *rest: dtype_of_code(dtype, mine),
)
for _label in ("Byte", "Char", "Short", "Int", "Long", "Half", "Float", "Double"):
    declare_cast(
        f"aten::_cast_{_label}(Tensor self, bool non_blocking=False) -> Tensor",
        lambda mine, non_blocking, label=_label: dtypes.BY_LABEL[label],
        shares=always_shares,
    )


def _infer_copy(target: TensorType, source: Any, *rest: Any) -> TensorType:
    if isinstance(source, TensorType):
        _check_copy(known_shape(target), known_shape(source))
    return target.with_shape(target.shape)


def _check_copy(target: Shape, source: Shape) -> None:
    if target != source and broadcast_shapes(target, source) != target:
        broadcast_shapes(target, source)
        raise RuntimeError(
            f"output with shape {list(target)} doesn't match the broadcast shape "
            f"{list(broadcast_shapes(target, source))}"
        )


def _reference_copy(target: Array, source: Any, *rest: Any) -> Array:
    values = cast_array(source, target.dtype)
    _check_copy(target.shape, values.shape)
    return np.array(np.broadcast_to(values, target.shape))


def _decompose_copy(b: Any, target: Any, source: Any, *rest: Any) -> Any:
    dtype = b.type(target).dtype
    if b.type(source).dtype is not dtype:
        source = b("aten::to.dtype", source, dtype.code)
    return source if b.shape(source) == b.shape(target) else b("aten::expand", source, list(b.shape(target)))


define(
    "aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor",
    infer=_infer_copy,
    reference=_reference_copy,
    decompose=_decompose_copy,
    inplace=True,
)


# Numbers -------------------------------------------------------------------------------------------------------------


def _check_single(shape: Shape) -> None:
    count = product(shape)
    if isinstance(count, int) and count != 1:
        raise RuntimeError(f"a Tensor with {count} elements cannot be converted to Scalar")


def _check_truth(shape: Shape) -> None:
    count = product(shape)
    if count == 0:
        raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
    if isinstance(count, int) and count != 1:
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")


def _number_of_kind(dtype: DType | None) -> Any:
    if dtype is None:
        return UNKNOWN
    unknown: dict[str, Any] = {"bool": UNKNOWN_BOOL, "float": UNKNOWN_FLOAT}
    return unknown[dtype.kind] if dtype.kind in unknown else fresh()


def _infer_item(x: TensorType) -> Any:
    _check_single(known_shape(x))
    return _number_of_kind(x.dtype)


def _item(x: Array) -> Any:
    _check_single(x.shape)
    value = x.item()
    return float(value) if from_numpy(x.dtype).kind == "float" else value


def _infer_truth(x: TensorType) -> Unknown:
    _check_truth(known_shape(x))
    return UNKNOWN_BOOL


def _truth(x: Array) -> bool:
    _check_truth(x.shape)
    return bool(x.item())


def _check_no_dims(x: Shape, name: str) -> None:
    if x:
        raise RuntimeError("Cannot input a tensor of dimension other than 0 as a scalar argument")


def _implicit(name: str, kind: str | None, convert: Callable[[Any], Any]) -> Callable[[Array], Any]:
    def reference(x: Array) -> Any:
        _check_no_dims(x.shape, name)
        if kind is not None:
            _check_kind(from_numpy(x.dtype), kind)
        return convert(x.item())

    return reference


def _check_kind(dtype: DType, kind: str) -> None:
    if dtype.kind != kind:
        wanted = "integral" if kind == "int" else "float"
        raise RuntimeError(f"Cannot input a tensor of type {dtype.label} as an {wanted} argument")


def _infer_implicit(x: TensorType, kind: str | None = None) -> Any:
    _check_no_dims(known_shape(x), "")
    if kind is not None and x.dtype is not None:
        _check_kind(x.dtype, kind)
    return _number_of_kind(x.dtype)


def _element(x: Expr) -> Expr:
    return x


for _name in ("item", "_local_scalar_dense"):
    define(
        f"aten::{_name}(Tensor self) -> Scalar",
        infer=_infer_item,
        reference=_item,
        scalar=_element,
        promotion="none",
        may_fail=True,
    )
define(
    "aten::ScalarImplicit(Tensor a) -> Scalar",
    infer=_infer_implicit,
    reference=_implicit("Scalar", None, lambda value: value),
    scalar=_element,
    promotion="none",
    may_fail=True,
)
define(
    "aten::IntImplicit(Tensor a) -> int", infer=lambda x: (_infer_implicit(x, "int"), fresh())[1],
    reference=_implicit("int", "int", int), scalar=_element, promotion="none", may_fail=True,
)  # fmt: skip
define(
    "aten::FloatImplicit(Tensor a) -> float", infer=lambda x: (_infer_implicit(x), UNKNOWN_FLOAT)[1],
    reference=_implicit("float", None, float), scalar=_element, promotion="none", may_fail=True,
)  # fmt: skip


def _check_integer(value: float) -> int:
    return int(np.float64(value).astype(np.int64)) if isinstance(value, float) else int(value)


define(
    "aten::Int.Tensor(Tensor a) -> int", infer=lambda x: (_infer_item(x), fresh())[1],
    reference=lambda x: _check_integer(_item(x)), scalar=_element, promotion="none", may_fail=True,
)  # fmt: skip
define(
    "aten::Float.Tensor(Tensor a) -> float", infer=lambda x: (_infer_item(x), UNKNOWN_FLOAT)[1],
    reference=lambda x: float(_item(x)), scalar=_element, promotion="none", may_fail=True,
)  # fmt: skip
for _name in ("Bool.Tensor", "is_nonzero"):
    define(
        f"aten::{_name}(Tensor {'a' if _name == 'Bool.Tensor' else 'self'}) -> bool", infer=_infer_truth,
        reference=_truth, scalar=truth, promotion="none", may_fail=True,
    )  # fmt: skip

for _overload, _type in (("Scalar", "Scalar"), ("bool", "bool")):
    define(
        f"prim::NumToTensor.{_overload}({_type} a) -> Tensor",
        infer=lambda value: TensorType(_tensor_type_of(value), ()),
        reference=lambda value: np.array(value, _tensor_type_of(value).numpy),
        decompose=lambda b, value: b("aten::full", [], value, dtype=_tensor_type_of(b.abstract(value)).code),
    )


def _tensor_type_of(value: Any) -> DType:
    """Numbers become 0-d tensors of their own precision: float64, int64, bool."""
    dtype = number_type(value) if not isinstance(value, Unknown) else operand_type(value)
    if isinstance(value, Unknown) and value is UNKNOWN_BOOL:
        return dtypes.BOOL
    return dtypes.FLOAT64 if dtype.kind == "float" else dtype


# Questions -----------------------------------------------------------------------------------------------------------


def declare_question(schema: str, answer: Callable[..., Any]) -> None:
    """Declare an operator whose result follows from its argument's element type and rank alone."""
    define(
        schema,
        infer=lambda x, *rest: answer(operand_type(x), *rest),
        reference=lambda x, *rest: answer(operand_type(x), *rest),
        decompose=lambda b, x, *rest: b.value(answer(b.type(x).dtype, *rest)),
    )


SETTLED_ANSWERS: dict[str, bool | int] = {}
"""What is answered alike for every tensor, by the name of the question: none is sparse, none on another device."""


def _declare_settled(name: str, kind: str, answer: bool | int) -> None:
    SETTLED_ANSWERS[name] = answer
    declare_question(f"{name}(Tensor a) -> {kind}", lambda dtype: answer)


declare_question("aten::is_floating_point(Tensor self) -> bool", lambda dtype: dtype.kind == "float")
declare_question("aten::is_complex(Tensor self) -> bool", lambda dtype: dtype.is_complex)
declare_question("aten::is_signed(Tensor self) -> bool", lambda dtype: dtype.is_signed)
declare_question("aten::element_size(Tensor self) -> int", lambda dtype: dtype.itemsize)
declare_question("prim::dtype(Tensor a) -> int", lambda dtype: dtype.code)
declare_question("prim::itemsize(Tensor a) -> int", lambda dtype: dtype.itemsize)
declare_question("prim::device(Tensor a) -> Device", lambda dtype: "cpu")
declare_question("prim::requires_grad(Tensor a) -> bool", lambda dtype: False)  # compiled code computes no gradients
declare_question("aten::is_leaf(Tensor self) -> bool", lambda dtype: True)
declare_question("prim::is_cpu(Tensor a) -> bool", lambda dtype: True)
declare_question("prim::is_quantized(Tensor a) -> bool", lambda dtype: dtype.is_quantized)
for _device in ("cuda", "ipu", "maia", "meta", "mkldnn", "mps", "mtia", "sparse", "sparse_csr", "vulkan",
                "xla", "xpu"):  # fmt: skip
    _declare_settled(f"prim::is_{_device}", "bool", False)
_declare_settled("prim::layout", "Layout", 0)
declare_question("prim::is_nested(Tensor a) -> bool", lambda dtype: False)  # `optc.ops.nested` tells which are

define(
    "aten::result_type.Tensor(Tensor tensor, Tensor other) -> ScalarType",
    infer=lambda x, y: result_type(x, y).code,
    reference=lambda x, y: result_type(x, y).code,
    decompose=lambda b, x, y: b.value(result_type(b.type(x), b.type(y)).code),
)
define(
    "aten::promote_types(ScalarType type1, ScalarType type2) -> ScalarType",
    infer=lambda x, y: dtypes.promote(dtypes.BY_CODE[x], dtypes.BY_CODE[y]).code,
    reference=lambda x, y: dtypes.promote(dtypes.BY_CODE[x], dtypes.BY_CODE[y]).code,
    decompose=lambda b, x, y: b.value(dtypes.promote(dtypes.BY_CODE[x], dtypes.BY_CODE[y]).code),
)
