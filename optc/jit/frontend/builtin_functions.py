"""Builtin operators that are small functions over others: numbers on the left of a tensor, and old spellings.

They take part in overload resolution after the operators of the same name and are inlined where they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from optc.dataclass import dataclass
from optc.errors import SourceRange
from optc.ir.graph import Value
from optc.ir.schema import FunctionSchema, parse_schema


class Writer(Protocol):
    """What a builtin function needs to emit its body."""

    def builtin(self, kind: str, args: Sequence[Value], *, source: SourceRange | None) -> Value:
        """Call an operator."""

    def constant(self, value: Any) -> Value:
        """A constant."""

    def raise_exception(self, message: Value, name: Value, source: SourceRange | None) -> Value:
        """Leave with an exception; None."""

    def fail_unless(self, condition: Value, message: Value, source: SourceRange | None) -> Value:
        """Raise an AssertionError unless the condition holds; None."""


Body = Callable[[Writer, Sequence[Value], SourceRange | None], Value]


@dataclass(frozen=True)
class BuiltinFunctionBody:
    """Schema and body of one builtin function, and the line that torch's graphs give for it (None: the call's)."""

    schema: FunctionSchema
    body: Body
    source: SourceRange | None

    def emit(self, writer: Writer, inputs: Sequence[Value], call: SourceRange | None) -> Value:
        """Insert the body."""
        return self.body(writer, inputs, self.source or call)


BUILTIN_FUNCTIONS: dict[str, list[BuiltinFunctionBody]] = {}


def _define(name: str, signature: str, body: Body, line: int | None, column: int = 9) -> None:
    bare = name.partition("::")[2]
    source = None if line is None else SourceRange("<string>", line, column)
    function = BuiltinFunctionBody(parse_schema(f"{bare}{signature}"), body, source)
    BUILTIN_FUNCTIONS.setdefault(name, []).append(function)


def _swapped(kind: str) -> Body:
    return lambda writer, inputs, source: writer.builtin(kind, [inputs[1], inputs[0]], source=source)


def _after(first: str, second: str) -> Body:
    def body(writer: Writer, inputs: Sequence[Value], source: SourceRange | None) -> Value:
        return writer.builtin(second, [writer.builtin(first, [inputs[1]], source=source), inputs[0]], source=source)

    return body


def _renamed(kind: str) -> Body:
    return lambda writer, inputs, source: writer.builtin(kind, inputs, source=source)


def _assert(writer: Writer, inputs: Sequence[Value], source: SourceRange | None) -> Value:
    message = inputs[1] if len(inputs) > 1 else writer.constant("")
    return writer.fail_unless(inputs[0], message, source)


def _contains(writer: Writer, inputs: Sequence[Value], source: SourceRange | None) -> Value:
    text, key = inputs
    end = writer.builtin("aten::len", [text], source=source and replace(source, column=29))
    place = writer.builtin("aten::find", [text, key, writer.constant(0), end], source=source)
    return writer.builtin("aten::ne", [place, writer.constant(-1)], source=source)


def _list_with_default(writer: Writer, inputs: Sequence[Value], source: SourceRange | None) -> Value:
    given, defaults = inputs
    lengths = [writer.builtin("aten::len", [value], source=source) for value in (defaults, given)]
    writer.fail_unless(writer.builtin("aten::gt", lengths, source=source), writer.constant(""), source)
    return given


def _raise(writer: Writer, inputs: Sequence[Value], source: SourceRange | None) -> Value:
    return writer.raise_exception(inputs[0], inputs[1], source)


_COMMUTED = {"mul": 3, "add": 5, "ne": 7, "eq": 9}
_MIRRORED = {"lt": ("gt", 3), "le": ("ge", 5), "gt": ("lt", 7), "ge": ("le", 9)}

for _scalar in ("float", "int", "complex"):
    _signature = f"({_scalar} a, Tensor b) -> Tensor"
    for _name, _line in _COMMUTED.items():
        _define(f"aten::{_name}", _signature, _swapped(f"aten::{_name}"), _line)
    _define("aten::sub", _signature, _after("aten::neg", "aten::add"), 11)
    _define("aten::div", _signature, _after("aten::reciprocal", "aten::mul"), 13)
for _scalar in ("float", "int"):
    for _name, (_operator, _line) in _MIRRORED.items():
        _define(f"aten::{_name}", f"({_scalar} a, Tensor b) -> Tensor", _swapped(f"aten::{_operator}"), _line)
for _right in ("Scalar", "Tensor"):
    _define("aten::floordiv", f"(Tensor a, {_right} b) -> Tensor", _renamed("aten::floor_divide"), 3)
_TYPE = "(Tensor self, int dtype, bool non_blocking=False, bool copy=False) -> Tensor"
_define("aten::type", _TYPE, _renamed("aten::to"), 2)
_define("aten::device", "(str type) -> Device", _renamed("aten::device"), 12)
_define("aten::_assert", "(bool condition, str message) -> NoneType", _assert, 8, 2)
_define("aten::_check", "(bool cond) -> NoneType", _assert, 8, 2)
_define("aten::_check", "(bool cond, str message) -> NoneType", _assert, 8, 2)
_define("aten::__contains__", "(str self, str key) -> bool", _contains, 5, 11)
_define("aten::_list_with_default", "(int[] out_size, int[] defaults) -> int[]", _list_with_default, 3, 2)
for _name in ("_single", "_pair", "_triple"):
    for _element in ("int", "float"):
        _define(f"aten::{_name}", f"({_element}[] x) -> {_element}[]", lambda writer, inputs, source: inputs[0], None)
_define("prim::RaiseException", "(str msg, str? cls=None) -> NoneType", _raise, None)
_define("prim::ndim", "(Tensor a) -> int", _renamed("aten::dim"), 3)
_define("prim::T", "(Tensor a) -> Tensor", _renamed("aten::numpy_T"), 5)
_define("prim::H", "(Tensor a) -> Tensor", _renamed("aten::matrix_H"), 7)
_define("prim::shape", "(Tensor a) -> int[]", _renamed("aten::size"), 13)
