"""Conditions: truth values with what they say about types, short circuits, `is None`, `isinstance`, `hasattr`."""

from __future__ import annotations

import ast
from collections.abc import Callable

from optc.errors import ScriptError, SourceRange
from optc.ir.graph import Block, Node, Value
from optc.ir.types import ANY, BOOL, NONE, OptionalType, Type, UnionType
from optc.jit.frontend.base import EmitterBase
from optc.jit.frontend.constants import known, must_be_none
from optc.jit.frontend.refinement import NOTHING, Condition, RefinementSet
from optc.jit.frontend.resolver import BUILTINS
from optc.jit.frontend.simple import SimpleValue, SpecialForm
from optc.jit.frontend.type_rules import make_union, standardized, subtype, unify, union_members
from optc.jit.schema_matching import NamedValue

_ALWAYS, _MAYBE, _NEVER = "always", "maybe", "never"


def _none_status(value: Value) -> str:
    if must_be_none(value):
        return _ALWAYS
    is_choice = isinstance(value.type, OptionalType | UnionType)
    return _MAYBE if is_choice and NONE in union_members(value.type) else _NEVER


def _is_none_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


class Conditions(EmitterBase):
    """The part of the emitter that decides what branches are compiled and what is known inside them."""

    def condition(self, node: ast.expr) -> Condition:
        """An expression as a condition."""
        if isinstance(node, ast.BoolOp):
            return self._short_circuit(self.range(node), node.values[0], node.values[1], isinstance(node.op, ast.Or))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self._negation(node)
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot):
            return self._identity(node, isinstance(node.ops[0], ast.Is))
        if isinstance(node, ast.Call):
            special = self._special_condition(node)
            if special is not None:
                return special
        value = self.to_bool(self.range(node), self.emit(node))
        static: bool | None = known(value, bool)
        if value.node.kind == "aten::is_scripting":
            static = True
        elif value.node.kind == "aten::has_torch_function":
            static = False
        return Condition(value, NOTHING, static)

    def _special_condition(self, node: ast.Call) -> Condition | None:
        form = self._condition_form(node.func)
        if form is None:
            return None
        name = ast.unparse(node.func)
        if len(node.args) != 2:
            raise ScriptError(f"{name} expected exactly 2 arguments but found {len(node.args)}", self.range(node))
        if node.keywords:
            raise ScriptError(f"{name} takes no keyword arguments", self.range(node))
        if form == "isinstance":
            return self.is_instance(node.args[0], node.args[1])
        return self.has_attribute(node.args[0], node.args[1])

    def _condition_form(self, callee: ast.expr) -> str | None:
        """`isinstance` or `hasattr` when that is what is called; `torch.jit.isinstance` counts too."""
        if isinstance(callee, ast.Name):
            return callee.id if callee.id in ("isinstance", "hasattr") and not self.frame.knows(callee.id) else None
        if isinstance(callee, ast.Attribute) and callee.attr == "isinstance":
            found = self.emit_sugared(callee)
            return "isinstance" if isinstance(found, SpecialForm) and found.form == "isinstance" else None
        return None

    def _negation(self, node: ast.UnaryOp) -> Condition:
        inner = self.condition(node.operand)
        value = self.writer.builtin("aten::__not__", [inner.value], source=self.range(node))
        static = None if inner.static is None else not inner.static
        return Condition(value, inner.refinements.negated(), static)

    def _identity(self, node: ast.Compare, is_: bool) -> Condition:
        left_node, right_node = node.left, node.comparators[0]
        left, right = self.emit(left_node), self.emit(right_node)
        source = self.range(node)
        statuses = {_none_status(left), _none_status(right)}
        if statuses == {_ALWAYS}:
            return self._static(is_, source)
        if statuses == {_ALWAYS, _NEVER}:
            return self._static(not is_, source)
        kind = "aten::__is__" if is_ else "aten::__isnot__"
        value = self.writer.builtin(kind, [left, right], source=source)
        if _is_none_literal(left_node) and not _is_none_literal(right_node):
            left_node, left, right_node = right_node, right, left_node
        if not isinstance(left_node, ast.Name) or not _is_none_literal(right_node):
            return Condition(value)
        if _none_status(left) != _MAYBE:
            return Condition(value)
        present = {left_node.id: make_union(member for member in union_members(left.type) if member is not NONE)}
        return Condition(value, RefinementSet({}, present) if is_ else RefinementSet(present, {}))

    def _static(self, truth: bool, source: SourceRange, refinements: RefinementSet = NOTHING) -> Condition:
        return Condition(self.writer.constant(truth, source), refinements, truth)

    def to_bool(self, source: SourceRange, value: Value) -> Value:
        """`bool(value)`. Raises ScriptError where the type has no truth value."""
        try:
            result = BUILTINS["bool"].call(self.writer, source, [NamedValue(value)], [])
        except ScriptError:
            raise ScriptError(f"Could not cast value of type {value.type.annotation} to bool", source) from None
        assert isinstance(result, SimpleValue)
        if not subtype(result.value.type, BOOL):
            raise ScriptError(
                f"expected a bool expression for condition but found {result.value.type.annotation}", source
            )
        return result.value

    def _short_circuit(self, source: SourceRange, first: ast.expr, second: ast.expr, is_or: bool) -> Condition:
        left = self.condition(first)
        rest: list[Condition] = []

        def decided() -> Value:
            return self.writer.constant(is_or, source)

        def undecided() -> Value:
            rest.append(self.condition(second))
            return rest[0].value

        branches = (decided, undecided) if is_or else (undecided, decided)
        value = self.branch_expression(source, left, *branches)
        right = rest[0]
        combine = left.refinements.either if is_or else left.refinements.both
        statics = (left.static, right.static)
        static: bool | None = None
        if is_or in statics:
            static = is_or
        elif None not in statics:
            static = not is_or
        return Condition(value, combine(right.refinements), static, is_short_circuit=True)

    def insert_if(self, condition: Condition, source: SourceRange) -> Node:
        """A `prim::If` without blocks; one that tests an `and` or `or` continues the if made for it."""
        node = self.writer.insert("prim::If", (condition.value,), (), source)
        if condition.is_short_circuit:
            self.continued.add(node)
        return node

    def branch_expression(
        self, source: SourceRange, condition: Condition, when_true: Callable[[], Value], when_false: Callable[[], Value]
    ) -> Value:
        """An if with one result. Raises ScriptError where the branches' types cannot be unified."""
        node = self.insert_if(condition, source)
        refinements = condition.refinements
        true_type = self._expression_block(node.add_block(), refinements, when_true, source)
        false_type = self._expression_block(node.add_block(), refinements.negated(), when_false, source)
        unified = unify(true_type, false_type)
        if unified is None:
            raise ScriptError(
                f"if-expression's true branch has type {true_type.annotation} but false branch has type "
                f"{false_type.annotation}",
                source,
            )
        return node.add_output(unified)

    def _expression_block(
        self, block: Block, refinements: RefinementSet, emit: Callable[[], Value], source: SourceRange
    ) -> Type:
        self.push_frame(block)
        with self.graph.inserting(block):
            self.refine(source, refinements)
            value = emit()
            block.add_output(value)
        self.pop_frame()
        return value.type

    def refine(self, source: SourceRange, refinements: RefinementSet) -> None:
        """Give variables the types they have where the condition holds."""
        for name, type_ in refinements.when_true.items():
            value = self.variable(name, source)
            self.frame.assign(source, name, SimpleValue(self.writer.unchecked_cast(value, type_)))

    def has_attribute(self, object_: ast.expr, name: ast.expr) -> Condition:
        """`hasattr(object, "name")`, decided while compiling."""
        found = self.emit_sugared(object_)
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            raise ScriptError("hasattr's second argument must be a string literal", self.range(name))
        source = self.range(object_)
        return self._static(found.has_attribute(self.writer, source, name.value), source)

    def is_instance(self, object_: ast.expr, classes: ast.expr) -> Condition:
        """`isinstance(object, classes)`: decided while compiling where the types tell."""
        value = self.emit(object_)
        wanted = standardized(self._gather_classes(classes))
        kept, excluded, certain = _split_instance_types(standardized([value.type]), wanted)
        refinements = NOTHING
        if isinstance(object_, ast.Name):
            refinements = RefinementSet(
                {object_.id: make_union(kept)} if kept else {},
                {object_.id: make_union(excluded)} if excluded else {},
            )
        source = self.range(object_)
        if certain:
            return self._static(True, source, refinements)
        if not kept:
            return self._static(False, source, refinements)
        result = self.writer.insert("prim::isinstance", (value,), (BOOL,), None, {"types": wanted}).output
        return Condition(result, refinements)

    def _gather_classes(self, classes: ast.expr) -> list[Type]:
        if isinstance(classes, ast.Tuple):
            return [type_ for element in classes.elts for type_ in self._gather_classes(element)]
        return [self.types.parse(classes)]


def _split_instance_types(given: list[Type], wanted: list[Type]) -> tuple[list[Type], list[Type], bool]:
    """The types a value has if it is an instance, those it has if not, and whether it certainly is one."""
    kept: list[Type] = []
    excluded: list[Type] = []
    certain = True
    for type_ in given:
        if type_ is ANY:
            kept.extend(wanted)
            return kept, [ANY], certain and kept == [ANY]
        found: Type | None = None
        for candidate in wanted:
            if subtype(type_, candidate):
                found = type_
            elif subtype(candidate, type_):
                found = candidate if found is None else unify(found, candidate, default_to_union=True)
        if found is None:
            excluded.append(type_)
            certain = False
        else:
            kept.append(found)
    return kept, excluded, certain
