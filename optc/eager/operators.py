"""Python's operators and the registry's as methods of a tensor.

A Python operator is one call of the operator PyTorch records for it; an operand of a type no overload takes gives
NotImplemented, so that Python tries the other operand. Every operator of the registry whose first argument is a tensor
named `self` is a method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from optc.eager import dispatch
from optc.eager.base import TensorBase, is_number
from optc.eager.conversion import checked_array
from optc.ir import dtypes
from optc.ir.types import TensorType
from optc.ops import promotion
from optc.ops.registry import Operator, overloads


def operator_method(name: str) -> Callable[..., Any]:
    """The method `name`, which calls the operator `aten::name`. Raises AttributeError when it is no method."""
    qualified = f"aten::{name}"
    declared = overloads(qualified) if not name.startswith("_") or name.startswith("__") else []
    if not any(map(_takes_self, declared)):
        raise AttributeError(f"'Tensor' object has no attribute '{name}'")

    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return dispatch.call(qualified, (self, *arguments), keywords, is_method=True)

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = "\n".join(str(operator.schema) for operator in declared)
    return method


def _takes_self(operator: Operator) -> bool:
    first = operator.schema.arguments[:1]
    return bool(first) and first[0].name == "self" and isinstance(first[0].type, TensorType)


def _is_operand(value: Any) -> bool:
    return isinstance(value, TensorBase) or is_number(value)


def _binary(name: str) -> Callable[[Any, Any], Any]:
    def operate(self: Any, other: Any) -> Any:
        return dispatch.call(name, (self, other)) if _is_operand(other) else NotImplemented

    return operate


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    """The operator with the number on the left."""

    def operate(self: Any, other: Any) -> Any:
        return dispatch.call(name, (other, self)) if _is_operand(other) else NotImplemented

    return operate


def _unary(name: str) -> Callable[[Any], Any]:
    def operate(self: Any) -> Any:
        return dispatch.call(name, (self,))

    return operate


def _right_subtract(self: Any, other: Any) -> Any:
    return dispatch.call("aten::rsub", (self, other)) if _is_operand(other) else NotImplemented


def _right_divide(self: Any, other: Any) -> Any:
    """An array of numpy's may stand on the left: numpy multiplies it with the tensor."""
    # PyTorch's function is Python without variables, and a trace names values by these.
    if _is_array(other):
        return dispatch.call("aten::reciprocal", (self,)) * other
    if not _is_operand(other):
        return NotImplemented
    return dispatch.call("aten::mul", (dispatch.call("aten::reciprocal", (self,)), other))


def _equal(self: Any, other: Any) -> Any:
    """The one comparison that takes numpy's arrays: Python would call a tensor and an array unequal, as objects."""
    if _is_array(other):
        other = dispatch.wrap(checked_array(other))
    return dispatch.call("aten::eq", (self, other)) if _is_operand(other) else NotImplemented


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufc"


def _as_tensor_like(self: Any, other: Any) -> Any:
    """A number as a 0-d tensor: of the dtype of `self` where that can hold it, else of the number's own."""
    if isinstance(other, TensorBase):
        return other
    own, number = dtypes.from_numpy(self._array.dtype), promotion.number_type(other)
    kind = own if own.kind == number.kind != "int" else number
    return dispatch.wrap(np.array(other, kind.numpy))


def _floor_divide(self: Any, other: Any) -> Any:
    """Traces of PyTorch hold the divisor as a tensor. A 0-d tensor of another dtype would change the result's."""
    if not _is_operand(other):
        return NotImplemented
    divisor = _as_tensor_like(self, other)
    means_the_same = self._array.ndim > 0 or divisor._array.dtype == self._array.dtype
    return dispatch.call("aten::floor_divide", (self, divisor if means_the_same else other))


def _right_floor_divide(self: Any, other: Any) -> Any:
    if not _is_operand(other):
        return NotImplemented
    return dispatch.call("aten::floor_divide", (_as_tensor_like(self, other), self))


def _right_shift_of(name: str) -> Callable[[Any, Any], Any]:
    def operate(self: Any, other: Any) -> Any:
        return dispatch.call(name, (_as_tensor_like(self, other), self)) if _is_operand(other) else NotImplemented

    return operate


OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    "__add__": _binary("aten::add"),
    "__radd__": _binary("aten::add"),
    "__iadd__": _binary("aten::add_"),
    "__sub__": _binary("aten::sub"),
    "__rsub__": _right_subtract,
    "__isub__": _binary("aten::sub_"),
    "__mul__": _binary("aten::mul"),
    "__rmul__": _binary("aten::mul"),
    "__imul__": _binary("aten::mul_"),
    "__truediv__": _binary("aten::div"),
    "__rtruediv__": _right_divide,
    "__itruediv__": _binary("aten::div_"),
    "__floordiv__": _floor_divide,
    "__rfloordiv__": _right_floor_divide,
    "__ifloordiv__": _binary("aten::floor_divide_"),
    "__mod__": _binary("aten::remainder"),
    "__rmod__": _reflected("aten::remainder"),
    "__imod__": _binary("aten::remainder_"),
    "__pow__": _binary("aten::pow"),
    "__rpow__": _reflected("aten::pow"),
    "__ipow__": _binary("aten::pow_"),
    "__matmul__": _binary("aten::matmul"),
    "__rmatmul__": _reflected("aten::matmul"),
    "__and__": _binary("aten::__and__"),
    "__rand__": _binary("aten::__and__"),
    "__iand__": _binary("aten::__iand__"),
    "__or__": _binary("aten::__or__"),
    "__ror__": _binary("aten::__or__"),
    "__ior__": _binary("aten::__ior__"),
    "__xor__": _binary("aten::__xor__"),
    "__rxor__": _binary("aten::__xor__"),
    "__ixor__": _binary("aten::__ixor__"),
    "__lshift__": _binary("aten::__lshift__"),
    "__rlshift__": _right_shift_of("aten::__lshift__"),
    "__ilshift__": _binary("aten::__ilshift__"),
    "__rshift__": _binary("aten::__rshift__"),
    "__rrshift__": _right_shift_of("aten::__rshift__"),
    "__irshift__": _binary("aten::__irshift__"),
    "__eq__": _equal,
    "__ne__": _binary("aten::ne"),
    "__lt__": _binary("aten::lt"),
    "__le__": _binary("aten::le"),
    "__gt__": _binary("aten::gt"),
    "__ge__": _binary("aten::ge"),
    "__neg__": _unary("aten::neg"),
    "__pos__": _unary("aten::positive"),
    "__abs__": _unary("aten::abs"),
    "__invert__": _unary("aten::bitwise_not"),
}
