"""Builtin operators that are small functions over others: numbers on the left of a tensor, and old spellings.

They take part in overload resolution after the operators of the same name and are inlined where they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from optc.errors import SourceRange
from optc.ir.graph import Value
from optc.ir.schema import FunctionSchema, parse_schema


class Writer(Protocol):
    """What a builtin function needs to emit its body."""

    def builtin(self, kind: str, args: Sequence[Value]) -> Value:
        """Call an operator."""


Body = Callable[[Writer, Sequence[Value]], Value]


@dataclass(frozen=True)
class BuiltinFunctionBody:
    """Schema and body of one builtin function."""

    schema: FunctionSchema
    body: Body

    def emit(self, writer: Writer, inputs: Sequence[Value], source: SourceRange | None) -> Value:
        """Insert the body."""
        return self.body(writer, inputs)


BUILTIN_FUNCTIONS: dict[str, list[BuiltinFunctionBody]] = {}


def _define(name: str, signature: str, body: Body) -> None:
    bare = name.partition("::")[2]
    function = BuiltinFunctionBody(parse_schema(f"{bare}{signature}"), body)
    BUILTIN_FUNCTIONS.setdefault(name, []).append(function)


def _swapped(kind: str) -> Body:
    return lambda writer, inputs: writer.builtin(kind, [inputs[1], inputs[0]])


def _after(first: str, second: str) -> Body:
    return lambda writer, inputs: writer.builtin(second, [writer.builtin(first, [inputs[1]]), inputs[0]])


def _renamed(kind: str) -> Body:
    return lambda writer, inputs: writer.builtin(kind, inputs)


_COMMUTED = {"mul": "mul", "add": "add", "ne": "ne", "eq": "eq"}
_MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}

for _scalar in ("float", "int", "complex"):
    _signature = f"({_scalar} a, Tensor b) -> Tensor"
    for _name, _operator in _COMMUTED.items():
        _define(f"aten::{_name}", _signature, _swapped(f"aten::{_operator}"))
    _define("aten::sub", _signature, _after("aten::neg", "aten::add"))
    _define("aten::div", _signature, _after("aten::reciprocal", "aten::mul"))
for _scalar in ("float", "int"):
    for _name, _operator in _MIRRORED.items():
        _define(f"aten::{_name}", f"({_scalar} a, Tensor b) -> Tensor", _swapped(f"aten::{_operator}"))
for _right in ("Scalar", "Tensor"):
    _define("aten::floordiv", f"(Tensor a, {_right} b) -> Tensor", _renamed("aten::floor_divide"))
_define("aten::type", "(Tensor self, int dtype, bool non_blocking=False, bool copy=False) -> Tensor", _renamed("aten::to"))
_define("aten::device", "(str type) -> Device", _renamed("aten::device"))
_define("prim::ndim", "(Tensor a) -> int", _renamed("aten::dim"))
_define("prim::T", "(Tensor a) -> Tensor", _renamed("aten::numpy_T"))
_define("prim::H", "(Tensor a) -> Tensor", _renamed("aten::matrix_H"))
_define("prim::shape", "(Tensor a) -> int[]", _renamed("aten::size"))
