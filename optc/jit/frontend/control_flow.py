"""`if`, loops, `with`, `raise`, `assert`: nodes with blocks, whose variables become outputs later (see `ssa`)."""

from __future__ import annotations

import ast
from collections.abc import Callable

from optc.errors import ScriptError, SourceRange
from optc.ir.function import ClassType
from optc.ir.graph import Block, Node, Value
from optc.ir.types import ANY, INT, NUMBER, STRING, TENSOR, OptionalType, Type, UnionType
from optc.jit.frontend.base import LoopStatus
from optc.jit.frontend.callables import AssertionErrorValue, ExceptionValue, RaisedException
from optc.jit.frontend.conditions import Conditions
from optc.jit.frontend.constants import MAX_INT
from optc.jit.frontend.environment import Frame
from optc.jit.frontend.refinement import Condition, RefinementSet
from optc.jit.frontend.simple import SimpleValue
from optc.jit.frontend.type_rules import unify
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import NamedValue

Branch = Callable[[], None]


class ControlFlow(Conditions):
    """The part of the emitter for statements that decide which others run."""

    def assign_target(self, target: ast.expr, value: SugaredValue, source: SourceRange) -> None:
        """Assign to any target (`assignments` implements it; loops need it)."""
        raise NotImplementedError

    def emit_if(self, node: ast.If) -> None:
        """`if test: ... else: ...`."""
        condition = self.condition(node.test)
        self.branch(
            self.range(node),
            condition,
            lambda: self.emit_statements(node.body),
            lambda: self.emit_statements(node.orelse),
        )

    def branch(self, source: SourceRange, condition: Condition, when_true: Branch, when_false: Branch) -> None:
        """An if statement; of a static one only the branch that runs is compiled."""
        refinements = condition.refinements
        if condition.static is not None:
            self.refine(source, refinements if condition.static else refinements.negated())
            (when_true if condition.static else when_false)()
            return
        node = self.insert_if(condition, source)
        true_frame = self._branch_block(node.add_block(), source, refinements, when_true)
        false_frame = self._branch_block(node.add_block(), source, refinements.negated(), when_false)
        if true_frame.block in self.exits and false_frame.block in self.exits:
            self.exits.add(node.block)
            return
        self._join(node, source, true_frame, false_frame)

    def _branch_block(self, block: Block, source: SourceRange, refinements: RefinementSet, emit: Branch) -> Frame:
        self.push_frame(block)
        with self.graph.inserting(block):
            self.refine(source, refinements)
            emit()
        return self.pop_frame()

    def _join(self, node: Node, source: SourceRange, true_frame: Frame, false_frame: Frame) -> None:
        """Variables assigned in both branches, or in one while the other leaves, go on existing."""
        escaping: set[str] = set()
        for frame, other, label in ((true_frame, false_frame, "false"), (false_frame, true_frame, "true")):
            for name in frame.assigned():
                if other.knows(name) or other.block in self.exits:
                    escaping.add(name)
                else:
                    self.frame.reasons[name] = self._reason(f"{name} is not defined in the {label} branch", source)
        for name in sorted(escaping):
            self._join_variable(name, source, true_frame, false_frame)

    @staticmethod
    def _reason(text: str, source: SourceRange) -> Callable[[], str]:
        return lambda: f"{text}:\n{source.excerpt()}\n"

    def _join_variable(self, name: str, source: SourceRange, true_frame: Frame, false_frame: Frame) -> None:
        true_type = self._type_at_end(name, true_frame, source)
        false_type = self._type_at_end(name, false_frame, source)
        if true_type is None or false_type is None:
            known = true_type if true_type is not None else false_type
            left = true_frame if true_type is None else false_frame
            assert known is not None
            self._store_uninitialized(name, left, known)
            true_type = false_type = known
        outer = self.frame.find(name)
        outer_type = outer.value.type if isinstance(outer, SimpleValue) else None
        to_union = isinstance(outer_type, UnionType | OptionalType) or outer_type is NUMBER
        unified = unify(true_type, false_type, default_to_union=to_union)
        if unified is not None:
            self.frame.types[name] = unified
            self.frame.values.pop(name, None)
            return
        text = (
            f"Type mismatch: {name} is set to type {true_type.annotation} in the true branch and type "
            f"{false_type.annotation} in the false branch"
        )
        if self.frame.knows(name):
            raise ScriptError(text, source)
        self.frame.reasons[name] = self._reason(text, source)

    def _type_at_end(self, name: str, frame: Frame, source: SourceRange) -> Type | None:
        """The variable's type at the end of a branch, None for a branch that leaves."""
        if frame.block in self.exits:
            return None
        with self.graph.inserting(frame.block):
            found = frame.find(name)
            assert found is not None
            return found.as_value(self.writer, source).type

    def _store_uninitialized(self, name: str, frame: Frame, type_: Type) -> None:
        with self.graph.inserting(frame.block):
            value = self.writer.uninitialized(type_)
            self.writer.insert("prim::Store", (value,), (), None, {"name": name})

    def emit_while(self, node: ast.While) -> None:
        """`while test: ...`."""
        self._loop(self.range(node), lambda: self.emit_statements(node.body), None, None, node.test)

    def emit_for(self, target: ast.expr, iterable: ast.expr, source: SourceRange, body: Branch) -> None:
        """`for target in iterable: ...`; a fixed number of sugared items is unrolled."""
        items = self.emit_sugared(iterable).iterate(self.writer, source)
        self.for_each(target, items, source, body)

    def for_each(self, target: ast.expr, items: SugaredValue, source: SourceRange, body: Branch) -> None:
        """Run `body` for every item."""
        if items.static_length is None:
            self._loop(source, body, items, target, None)
            return
        saved, self.loop = self.loop, LoopStatus.UNROLLED
        for place in range(items.static_length):
            index = self.writer.literal(place, source)
            self.assign_target(target, items.item(self.writer, source, index), source)
            body()
        self.loop = saved

    def _loop(
        self,
        source: SourceRange,
        body: Branch,
        items: SugaredValue | None,
        target: ast.expr | None,
        test: ast.expr | None,
    ) -> None:
        """`prim::Loop(trip count)` with a body block and a block for the condition, which `ssa` moves."""
        if items is not None:
            trips = items.length(self.writer, source)
        else:
            trips = self.writer.literal(MAX_INT, source)
        node = self.writer.insert("prim::Loop", (), (), source)
        body_block = node.add_block()
        self._loop_condition(node, node.add_block(), source, test)
        node.add_input(trips)
        saved, self.loop = self.loop, LoopStatus.LOOP
        index = body_block.add_input(INT)
        self.push_frame(body_block)
        with self.graph.inserting(body_block):
            if items is not None and target is not None:
                element = items.item(self.writer, source, index).as_value(self.writer, source)
                self.assign_target(target, SimpleValue(element), source)
            body()
        self.pop_frame()
        self.loop = saved

    def _loop_condition(self, node: Node, block: Block, source: SourceRange, test: ast.expr | None) -> None:
        self.push_frame(block)
        if test is None:
            with self.graph.inserting(node):
                value = self.writer.constant(True, source)
        else:
            with self.graph.inserting(block):
                value = self.to_bool(self.range(test), self.emit(test))
        block.add_output(value)
        self.pop_frame()

    def emit_jump(self, node: ast.Break | ast.Continue) -> None:
        """`break` and `continue`."""
        word = "break" if isinstance(node, ast.Break) else "continue"
        if self.loop is LoopStatus.NONE:
            raise ScriptError(f"SyntaxError: '{word}' outside loop", self.range(node))
        if self.loop is LoopStatus.UNROLLED:
            raise ScriptError(
                "Because we emit iteration over modulelists or tuples as unrolled loops, we do not support break or "
                "continue inside the body of these loops",
                self.range(node),
            )
        kind = "prim::BreakStmt" if isinstance(node, ast.Break) else "prim::ContinueStmt"
        self.writer.insert(kind, (), (), self.range(node))

    def emit_with(self, node: ast.With) -> None:
        """`with object as name: ...`: `prim::Enter` and `prim::Exit` around the body."""
        entered: list[Value] = []
        for item in node.items:
            source = self.range(item.context_expr)
            object_ = self.emit(item.context_expr)
            enter = self.writer.insert("prim::Enter", (object_,), (ANY,))
            entered.append(object_)
            enter.output.type = self._enter_type(object_, source)
            if isinstance(item.optional_vars, ast.Name):
                name = item.optional_vars
                self.frame.assign(self.range(name), name.id, SimpleValue(enter.output))
        self.emit_statements(node.body)
        for object_ in reversed(entered):
            self.writer.insert("prim::Exit", (object_,), (TENSOR,))

    @staticmethod
    def _enter_type(object_: Value, source: SourceRange) -> Type:
        type_ = object_.type
        if not isinstance(type_, ClassType):
            raise ScriptError("With item expression must return an object", source)
        if "__enter__" not in type_.methods or "__exit__" not in type_.methods:
            raise ScriptError(
                "Object returned by with item expression does not define __enter__ and __exit__ methods", source
            )
        enter, leave = type_.methods["__enter__"].schema, type_.methods["__exit__"].schema
        if len(enter.arguments) != 1:
            raise ScriptError("__enter__ must have only one argument and one return value", source)
        if len(leave.arguments) != 4:
            raise ScriptError("__exit__ must have four arguments", source)
        for place, argument in enumerate(leave.arguments[1:], 1):
            if argument.type is not ANY:
                raise ScriptError(
                    f"argument {place} of __exit__ must have Any type; TorchScript does not currently support passing "
                    "exception type, value, or traceback to the __exit__ function.",
                    source,
                )
        return enter.returns[0].type

    def emit_raise(self, node: ast.Raise) -> None:
        """`raise exception`."""
        assert node.exc is not None
        self.raise_exception(self.emit_sugared(node.exc), self.range(node))

    def raise_exception(self, exception: SugaredValue, source: SourceRange) -> None:
        """Leave the function with an exception."""
        if isinstance(exception, AssertionErrorValue | ExceptionValue):
            message, name = self.writer.constant("", source), None
        elif isinstance(exception, RaisedException):
            message, name = exception.message, exception.name
        else:
            raise ScriptError("exceptions must derive from BaseException", source)
        if message.type is not STRING:
            message = self.writer.builtin("aten::str", [message])
        class_name = name if name is not None else self.writer.constant(None, source)
        self.writer.insert("prim::RaiseException", (message, class_name), (), source)
        self.exits.add(self.frame.block)

    def emit_assert(self, node: ast.Assert) -> None:
        """`assert test, message`: an if that raises."""
        source = self.range(node)

        def fail() -> None:
            message = self.emit(node.msg) if node.msg is not None else self.writer.constant("", source)
            error = AssertionErrorValue().call(self.writer, source, [NamedValue(message)], [])
            self.raise_exception(error, source)

        self.branch(source, self.condition(node.test), lambda: None, fail)
