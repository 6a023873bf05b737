"""Expressions: operators, literals, names, attributes, calls."""

from __future__ import annotations

import ast
from typing import Any

from optc.errors import ScriptError, UnsupportedNodeError
from optc.ir.graph import Value
from optc.ir.types import ANY, STRING, TupleType, Type
from optc.jit.frontend.callables import MagicMethod
from optc.jit.frontend.constants import is_known
from optc.jit.frontend.simple import BuiltinValue, SimpleValue, SpecialForm
from optc.jit.frontend.special_forms import SpecialForms
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import NamedValue

_BEYOND_MAX_INT = 2**63
"""May be written behind a minus only."""

_BINARY: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("aten::add", "__add__"),
    ast.Sub: ("aten::sub", "__sub__"),
    ast.Mult: ("aten::mul", "__mul__"),
    ast.Pow: ("aten::pow", "__pow__"),
    ast.Div: ("aten::div", "__truediv__"),
    ast.Mod: ("aten::remainder", "__mod__"),
    ast.BitAnd: ("aten::__and__", "__and__"),
    ast.BitOr: ("aten::__or__", "__or__"),
    ast.BitXor: ("aten::__xor__", "__xor__"),
    ast.LShift: ("aten::__lshift__", "__lshift__"),
    ast.RShift: ("aten::__rshift__", "__rshift__"),
}

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("aten::eq", "__eq__"),
    ast.NotEq: ("aten::ne", "__ne__"),
    ast.Lt: ("aten::lt", "__lt__"),
    ast.LtE: ("aten::le", "__le__"),
    ast.Gt: ("aten::gt", "__gt__"),
    ast.GtE: ("aten::ge", "__ge__"),
}


class Expressions(SpecialForms):
    """The part of the emitter that turns expressions into values."""

    def emit(self, node: ast.expr, hint: Type | None = None) -> Value:
        value = self.emit_sugared(node, hint).as_value(self.writer, self.range(node))
        if hint is ANY and value.type is not ANY:
            value = self.writer.unchecked_cast(value, ANY)
        return value

    def emit_sugared(self, node: ast.expr, hint: Type | None = None) -> SugaredValue:
        if isinstance(node, ast.Name):
            return self.look_up(node.id, self.range(node))
        if isinstance(node, ast.Attribute):
            return self.emit_sugared(node.value).attribute(self.writer, self.range(node), node.attr)
        if isinstance(node, ast.Call):
            return self._call(node, hint)
        if isinstance(node, ast.Subscript):
            return self.emit_subscript(node, hint)
        return SimpleValue(self._simple(node, hint))

    def _call(self, node: ast.Call, hint: Type | None) -> SugaredValue:
        callee = self.emit_sugared(node.func)
        if isinstance(callee, SpecialForm):
            if callee.form.startswith("tensor:"):
                return self._tensor_constructor(callee, node, hint)
            return self.special_form(callee, node, hint)
        args = self.values_of(node.args)
        kwargs = self.keywords_of(node)
        return callee.call(self.writer, self.range(node.func), args, kwargs)

    def _simple(self, node: ast.expr, hint: Type | None) -> Value:
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.BoolOp):
            return self.condition(node).value
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.IfExp):
            return self._if_expression(node, hint)
        if isinstance(node, ast.Tuple):
            return self._tuple_literal(node, hint)
        if isinstance(node, ast.List):
            return self.emit_list(node, hint)
        if isinstance(node, ast.Dict):
            return self.emit_dict(node, hint)
        if isinstance(node, ast.ListComp):
            return self.emit_list_comprehension(node, hint)
        if isinstance(node, ast.DictComp):
            return self.emit_dict_comprehension(node, hint)
        raise UnsupportedNodeError(f"{type(node).__name__} aren't supported", self.range(node))

    def _constant(self, node: ast.Constant) -> Value:
        value: Any = node.value
        if isinstance(value, int) and not isinstance(value, bool) and value >= _BEYOND_MAX_INT:
            raise ScriptError("Integral constant out of range (must fit in a signed 64 bit integer)", self.range(node))
        if isinstance(value, int | float | complex) and not isinstance(value, bool):
            return self.writer.literal(value, self.range(node))
        return self.writer.constant(value, self.range(node))

    def _tuple_literal(self, node: ast.Tuple, hint: Type | None) -> Value:
        values = [value.materialize(self.graph) for value in self.values_of(node.elts)]
        return self.writer.make_tuple(values)

    def _if_expression(self, node: ast.IfExp, hint: Type | None) -> Value:
        condition = self.condition(node.test)
        if condition.static is not None:
            return self.emit(node.body if condition.static else node.orelse, hint)
        return self.branch_expression(
            self.range(node), condition, lambda: self.emit(node.body, hint), lambda: self.emit(node.orelse, hint)
        )

    def _binary(self, node: ast.BinOp) -> Value:
        source = self.range(node)
        left, right = self.emit(node.left), self.emit(node.right)
        if isinstance(node.op, ast.FloorDiv):
            return self.writer.builtin("aten::floordiv", [left, right], source=source)
        if isinstance(node.op, ast.MatMult):
            return self.writer.builtin("aten::matmul", [left, right], source=source)
        if isinstance(node.op, ast.Mod) and left.type is STRING:
            return self.writer.insert("aten::percentFormat", (left, right), (STRING,), source).output
        if isinstance(node.op, ast.Add) and isinstance(left.type, TupleType) and isinstance(right.type, TupleType):
            return self.writer.make_tuple([*self.writer.unpack(left), *self.writer.unpack(right)])
        return self._magic(*_BINARY[type(node.op)], [left, right], node)

    def _magic(self, operator: str, method: str, args: list[Value], node: ast.expr) -> Value:
        callee = MagicMethod(method, BuiltinValue(operator))
        source = self.range(node)
        return callee.call(self.writer, source, list(map(NamedValue, args)), []).as_value(self.writer, source)

    def _compare(self, node: ast.Compare) -> Value:
        comparison = node.ops[0]
        if isinstance(comparison, ast.Is | ast.IsNot):
            return self.condition(node).value
        left, right = self.emit(node.left), self.emit(node.comparators[0])
        if isinstance(comparison, ast.In):
            return self._magic("aten::__contains__", "__contains__", [right, left], node)
        return self._magic(*_COMPARISONS[type(comparison)], [left, right], node)

    def _unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return self.condition(node).value
        if isinstance(node.op, ast.USub):
            if isinstance(node.operand, ast.Constant) and node.operand.value == _BEYOND_MAX_INT:
                return self.writer.literal(-_BEYOND_MAX_INT, self.range(node))
            return self._fold(self._magic("aten::neg", "__neg__", [self.emit(node.operand)], node), node)
        if isinstance(node.op, ast.Invert):
            return self._magic("aten::bitwise_not", "__invert__", [self.emit(node.operand)], node)
        raise ScriptError("unsupported unary operator: UAdd", self.range(node))

    def _fold(self, value: Value, node: ast.UnaryOp) -> Value:
        """A negated number is a constant of its own."""
        inputs = value.node.inputs
        if value.node.kind != "aten::neg" or not is_known(inputs[0]):
            return value
        number = inputs[0].constant
        if not isinstance(number, int | float | complex):
            return value
        return self.writer.constant(-number, self.range(node))
