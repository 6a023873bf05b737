"""Tensors made of Python's numbers and of lists of them: `torch.tensor`, `as_tensor`, `scalar_tensor`; and `tolist`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, fresh
from optc.ir.dtypes import DType
from optc.ir.graph import Node
from optc.ir.types import FLOAT, ListType, TensorType, unrefined
from optc.ops.abstract import UNKNOWN, UndecidedShape, Unknown, dtype_of_code, known_dtype, unknown
from optc.ops.creation import OPTIONS
from optc.ops.elementwise import cast_array
from optc.ops.promotion import complex_type, default_float, number_type, operand_type
from optc.ops.registry import define
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


def _tensor_type(data: Any, code: int | None) -> DType:
    return known_dtype(code) if code is not None else number_type(_leaf(data))


def _leaf(data: Any) -> Any:
    """A number that decides the type: floats before ints before bools; the default float for no numbers at all."""
    if not isinstance(data, list | tuple):
        number = _element_of(data)
        return data if number is None else number
    if not data:
        return 0.0
    classes = set(map(type, data))
    if classes.issubset(_NUMBER_CLASSES):  # a long list is not gone through number by number
        return max(classes, key=_NUMBER_CLASSES.index)()
    return max(map(_leaf, data), key=lambda leaf: ("bool", "int", "float", "complex").index(operand_type(leaf).kind))


_NUMBER_CLASSES = (bool, int, float, complex)
"""Python's numbers, what decides least first."""


def _nested_shape(data: Any) -> tuple[Dim, ...]:
    if isinstance(data, TensorType):
        return known_shape(data)
    if isinstance(data, Unknown) and _element_of(data) is not None:
        return (fresh(),)
    if isinstance(data, Unknown) and data.type is not FLOAT and not _is_number(data):
        raise UndecidedShape("the length of a list is not known")
    if not isinstance(data, list | tuple):
        return ()
    return (len(data), *(_nested_shape(data[0]) if data else ()))


def _element_of(data: Any) -> Any:
    """Some number of a list of which only the type is known; None for what is no such list."""
    type_ = data.type if isinstance(data, Unknown) else None
    return None if not isinstance(type_, ListType) else _SOME_NUMBERS.get(str(unrefined(type_.element)))


_SOME_NUMBERS: dict[str, Any] = {"int": 0, "float": 0.0, "bool": False}


def _is_number(value: Unknown) -> bool:
    return unknown(value.type) is value and value is not UNKNOWN


def _reference_tensor(data: Any, code: int | None, *rest: Any) -> Array:
    """The numbers as a tensor. In TorchScript floats become the default type first, even on their way to float64."""
    dtype = _tensor_type(data, code).numpy
    try:
        array = np.array(data)
    except ValueError:
        raise ValueError("Expected sequence of equal-length lists") from None
    if array.dtype.kind == "O":
        raise RuntimeError("Overflow when unpacking long long")
    if array.dtype.kind in "fc":
        rounded = default_float() if array.dtype.kind == "f" else complex_type(default_float())
        array = array.astype(rounded.numpy)
    return cast_array(array, dtype).copy()


for _type in ("float", "int", "bool", "complex"):
    for _name, _rest in (("tensor", ", bool requires_grad=False"), ("as_tensor", "")):
        define(
            f"aten::{_name}.{_type}({_type} t, *, ScalarType? dtype=None, Device? device=None{_rest}) -> Tensor",
            infer=lambda value, dtype, *rest: TensorType(_tensor_type(value, dtype), ()),
            reference=_reference_tensor,
            decompose=lambda b, value, dtype, *rest, type_=_type: _decompose_number(
                b, value, _SCALAR_TYPES[type_]().code, dtype
            ),
        )


def _decompose_number(b: Any, value: Any, own: int, code: int | None) -> Any:
    """A number as a tensor of its own type, or of another one by way of it where that is seen: floats are rounded."""
    target = own if code is None else code
    if own not in (default_float().code, complex_type(default_float()).code) or target == own:
        return b("aten::full", [], value, dtype=target)
    return b("aten::to.dtype", b("aten::full", [], value, dtype=own), target)


_SCALAR_TYPES: dict[str, Callable[[], DType]] = {
    "float": default_float, "int": lambda: dtypes.INT64, "bool": lambda: dtypes.BOOL,
    "complex": lambda: complex_type(default_float()),
}  # fmt: skip


def _decompose_tensor(b: Any, data: Any, dtype: int | None, *rest: Any) -> Any:
    """A constant where all numbers are known, a stack of scalars otherwise."""
    if _is_constant(data):
        return b.value(_reference_tensor(data, dtype))
    if not isinstance(data, list):
        raise UndecidedShape("the length of the list is needed before the program runs")
    if any(isinstance(getattr(item, "type", None), ListType) for item in data):
        raise UndecidedShape("the length of a list in the list is needed before the program runs")
    items = [_decompose_tensor(b, item, dtype) if isinstance(item, list) else _scalar(b, item, dtype) for item in data]
    return b("aten::stack", items, 0)


def _scalar(b: Any, item: Any, dtype: int | None) -> Any:
    own = number_type(item if not hasattr(item, "type") else _zero_of(item)).code
    return _decompose_number(b, item, own, dtype)


def _zero_of(value: Any) -> Any:
    return {"float": 0.0, "bool": False}.get(str(value.type), 0)


def _is_constant(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return all(map(_is_constant, data))
    return isinstance(data, int | float | bool | complex)


define(
    "aten::tensor(t[] data, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False) -> Tensor",
    infer=lambda data, dtype, *rest: TensorType(_tensor_type(data, dtype), _nested_shape(data)),
    reference=_reference_tensor,
    decompose=_decompose_tensor,
)
define(
    "aten::as_tensor.list(t[] data, *, ScalarType? dtype=None, Device? device=None) -> Tensor",
    infer=lambda data, dtype, device: TensorType(_tensor_type(data, dtype), _nested_shape(data)),
    reference=_reference_tensor,
    decompose=_decompose_tensor,
)
define(
    f"aten::scalar_tensor(Scalar s, {OPTIONS}) -> Tensor",
    infer=lambda value, dtype, *rest: TensorType(dtype_of_code(dtype, default_float()), ()),
    reference=lambda value, dtype, *rest: cast_array(value, dtype_of_code(dtype, default_float()).numpy),
    decompose=lambda b, value, dtype, *rest: b(
        "aten::full", [], value, dtype=dtype_of_code(dtype, default_float()).code
    ),
)


# Numbers of tensors --------------------------------------------------------------------------------------------------


def fits_list(dtype: DType, element: int) -> bool:
    """Whether `prim::tolist` makes such elements (int, float, bool or complex: 0, 1, 2, 3) of tensors of this type."""
    return dtype == dtypes.INT64 if element == 0 else dtype.kind[0] == "ifbc"[element]


def is_settled_list(node: Node) -> bool:
    """True for a `prim::tolist` that the types say will not fail, and whose numbers native code can hold."""
    tensor, rank, element = node.inputs
    type_ = tensor.type
    if not isinstance(type_, TensorType) or type_.dtype is None or not (rank.is_constant and element.is_constant):
        return False
    if type_.rank != rank.constant or type_.dtype.kind == "complex" or type_.dtype in (dtypes.FLOAT16, dtypes.BFLOAT16):
        return False
    return fits_list(type_.dtype, element.constant)
