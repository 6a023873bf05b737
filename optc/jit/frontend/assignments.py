"""Assignments: to names, attributes, subscripts and nested targets, plain and augmented; `del`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from optc.errors import ScriptError, SourceRange
from optc.ir.function import ClassType
from optc.ir.graph import Value
from optc.ir.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    NUMBER,
    TENSOR,
    DictType,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
)
from optc.jit.frontend.callables import MagicMethod
from optc.jit.frontend.control_flow import ControlFlow
from optc.jit.frontend.indexing import Indexing
from optc.jit.frontend.simple import BuiltinValue, MethodValue, SimpleValue
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import NamedValue

_AUGMENTED: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("aten::add", "aten::add_"),
    ast.Sub: ("aten::sub", "aten::sub_"),
    ast.Div: ("aten::div", "aten::div_"),
    ast.Mult: ("aten::mul", "aten::mul_"),
    ast.Mod: ("aten::fmod", "aten::fmod_"),
    ast.BitOr: ("aten::__or__", "aten::bitwise_or"),
    ast.BitAnd: ("aten::__and__", "aten::bitwise_and"),
    ast.BitXor: ("aten::__xor__", "aten::bitwise_xor"),
    ast.LShift: ("aten::__lshift__", "aten::__ilshift__"),
    ast.RShift: ("aten::__rshift__", "aten::__irshift__"),
    ast.Pow: ("aten::pow", "aten::pow"),
}

_AUGMENTED_METHODS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("__iadd__", "__add__"),
    ast.Sub: ("__isub__", "__sub__"),
    ast.Div: ("__itruediv__", "__truediv__"),
    ast.Mult: ("__imul__", "__mul__"),
    ast.Mod: ("__imod__", "__mod__"),
}


class Assignments(ControlFlow, Indexing):
    """The part of the emitter that binds names and changes objects."""

    def emit_assign(self, node: ast.Assign) -> None:
        """`a = b = value`: the value once, then the targets from left to right."""
        if len(node.targets) == 1:
            self._assign_expression(node, node.targets[0], node.value, None)
            return
        source = self.range(node.value)
        name = self.temporary_name("$tmp_assign_")
        self.frame.assign(source, name, self.emit_sugared(node.value))
        temporary = ast.copy_location(ast.Name(name, ast.Load()), node.value)
        for target in node.targets:
            self._assign_expression(node, target, temporary, None)

    def emit_annotated_assign(self, node: ast.AnnAssign) -> None:
        """`name: type = value`."""
        assert node.value is not None
        self._assign_expression(node, node.target, node.value, self.types.parse(node.annotation))

    def _assign_expression(
        self, statement: ast.Assign | ast.AnnAssign, target: ast.expr, value: ast.expr, annotated: Type | None
    ) -> None:
        source = self.range(statement)
        if isinstance(target, ast.Name):
            emitted = self.emit_sugared(value, annotated)
            self.frame.assign(self.range(target), target.id, emitted, annotated)
        elif isinstance(target, ast.Tuple | ast.List):
            self._assign_tuple(target, self.emit_sugared(value), self.range(value))
        elif isinstance(target, ast.Attribute):
            owner = self.emit_sugared(target.value)
            emitted_value = self.emit_sugared(value, annotated).as_value(self.writer, self.range(value))
            owner.set_attribute(self.writer, source, target.attr, emitted_value)
        elif isinstance(target, ast.Subscript):
            self._assign_subscript(target, self.emit(value), source)
        else:
            raise ScriptError("unexpected expression on left-hand side of assignment", self.range(target))

    def assign_target(self, target: ast.expr, value: SugaredValue, source: SourceRange) -> None:
        """Assign an emitted value to a target."""
        if isinstance(target, ast.Name):
            self.frame.assign(self.range(target), target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            self._assign_tuple(target, value, source)
        elif isinstance(target, ast.Attribute):
            owner = self.emit_sugared(target.value)
            owner.set_attribute(self.writer, source, target.attr, value.as_value(self.writer, source))
        elif isinstance(target, ast.Subscript):
            self._assign_subscript(target, value.as_value(self.writer, source), source)
        else:
            raise ScriptError("lhs of assignment must be a variable, subscript, or starred expression", source)

    def _assign_tuple(self, target: ast.Tuple | ast.List, value: SugaredValue, source: SourceRange) -> None:
        starred = _starred_place(target, self.range(target))
        wanted = len(target.elts) - (starred is not None)
        parts = value.as_tuple(self.writer, source, None if starred is not None else wanted)
        if len(parts) < wanted:
            at_least = "at least " if starred is not None else ""
            raise ScriptError(
                f"need {at_least}{wanted} values to unpack but found only {len(parts)}", self.range(target)
            )
        if len(parts) > wanted and starred is None:
            raise ScriptError(f"too many values to unpack: need {wanted} but found {len(parts)}", self.range(target))
        taken = 0
        for element in target.elts:
            if isinstance(element, ast.Starred):
                count = len(parts) - wanted
                self._assign_starred(element, parts[taken : taken + count], source)
                taken += count
            else:
                self.assign_target(element, parts[taken], source)
                taken += 1

    def _assign_starred(self, target: ast.Starred, parts: Sequence[SugaredValue], source: SourceRange) -> None:
        if not isinstance(target.value, ast.Name):
            raise ScriptError("Cannot pack a tuple into a non-variable", self.range(target))
        packed = self.writer.make_tuple([part.as_value(self.writer, source) for part in parts])
        self.frame.assign(self.range(target.value), target.value.id, SimpleValue(packed))

    def _assign_subscript(self, target: ast.Subscript, value: Value, source: SourceRange) -> None:
        """`container[index] = value`."""
        container = self.emit(target.value)
        indices = subscripts(target)
        if isinstance(container.type, TensorType):
            self._assign_tensor_items(target, container, value, source)
            return
        if len(indices) != 1 or isinstance(indices[0], ast.Slice):
            raise ScriptError(
                "Sliced expression not yet supported for subscripted assignment. File a bug if you want this",
                self.range(target),
            )
        if isinstance(container.type, TupleType):
            raise ScriptError(
                f"{container.type.annotation} does not support subscripted assignment", self.range(target)
            )
        index = self.emit(indices[0])
        setter = MagicMethod("__setitem__", BuiltinValue("aten::_set_item"))
        args = [NamedValue(container, "self"), NamedValue(index, "idx"), NamedValue(value)]
        setter.call(self.writer, source, args, [])

    def _assign_tensor_items(self, target: ast.Subscript, tensor: Value, value: Value, source: SourceRange) -> None:
        sliced, tensor_indices = self.slice_tensor(self.range(target), tensor, subscripts(target))
        value = self._as_tensor(value, sliced, source)
        if not tensor_indices:
            self.writer.builtin("aten::copy_", [sliced, value], source=source)
            return
        indices = self.writer.make_list(OptionalType(TENSOR), tensor_indices)
        self.writer.builtin("aten::index_put_", [sliced, indices, value], source=source)

    def _as_tensor(self, value: Value, like: Value, source: SourceRange) -> Value:
        """A number becomes a tensor of the dtype of the one it is written to."""
        is_number = isinstance(value.type, IntType) or value.type in (BOOL, FLOAT, COMPLEX, NUMBER)
        if not is_number:
            return value
        dtype = self.writer.builtin("prim::dtype", [like])
        device = self.writer.builtin("prim::device", [like])
        keywords = [NamedValue(dtype, "dtype"), NamedValue(device, "device")]
        return self.writer.builtin("aten::tensor", [value], keywords)

    def emit_augmented_assign(self, node: ast.AugAssign) -> None:
        """`target += value` and its siblings: in place for tensors and lists."""
        target, source = node.target, self.range(node)
        if isinstance(target, ast.Name):
            result = self._augmented(node, self.emit(ast.copy_location(ast.Name(target.id, ast.Load()), target)))
            self.frame.assign(self.range(target), target.id, SimpleValue(result))
        elif isinstance(target, ast.Attribute):
            owner = self.emit_sugared(target.value)
            current = owner.attribute(self.writer, source, target.attr).as_value(self.writer, source)
            owner.set_attribute(self.writer, source, target.attr, self._augmented(node, current))
        else:
            self._augment_subscript(node, target)

    def _augmented(self, node: ast.AugAssign, left: Value) -> Value:
        source = self.range(node)
        if isinstance(left.type, ClassType):
            return self._augmented_object(node, left, left.type)
        right = self.emit(node.value)
        return self.writer.builtin(_augmented_operator(node, left.type), [left, right], source=source)

    def _augmented_object(self, node: ast.AugAssign, left: Value, type_: ClassType) -> Value:
        source = self.range(node)
        names = _AUGMENTED_METHODS.get(type(node.op), ())
        right = self.emit(node.value)
        for name in names:
            if name in type_.methods:
                result = MethodValue(left, (name,)).call(self.writer, source, [NamedValue(right)], [])
                return result.as_value(self.writer, source)
        raise ScriptError(
            f"Cannot emit inplace op on {type_.annotation} since it does not define an "
            f"{' or '.join(names) or 'in-place'} method",
            source,
        )

    def _augment_subscript(self, node: ast.AugAssign, target: ast.Subscript) -> None:
        container = self.emit(target.value)
        if not isinstance(container.type, TensorType):
            self._augment_item(node, target, container)
            return
        source = self.range(node)
        sliced, tensor_indices = self.slice_tensor(self.range(target), container, subscripts(target))
        operator = _augmented_operator(node, container.type)
        right = self.emit(node.value)
        if not tensor_indices:
            self.writer.builtin(operator, [right], (), NamedValue(sliced, "self"), source)
            return
        indices = self.writer.make_list(OptionalType(TENSOR), tensor_indices)
        indexed = self.writer.builtin("aten::index", [sliced, indices], source=source)
        changed = self.writer.builtin(operator, [right], (), NamedValue(indexed, "self"), source)
        self.writer.builtin("aten::index_put_", [sliced, indices, changed], source=source)

    def _augment_item(self, node: ast.AugAssign, target: ast.Subscript, container: Value) -> None:
        type_, indices, source = container.type, subscripts(target), self.range(node)
        if len(indices) != 1:
            raise ScriptError(
                f"Sliced expression not yet supported for {type_.annotation} augmented assignment. "
                "File a bug if you want this",
                self.range(target),
            )
        if isinstance(type_, ListType):
            element = type_.element
        elif isinstance(type_, DictType):
            element = type_.key
        else:
            raise ScriptError(f"{type_.annotation} does not support augmented assignment.", self.range(target))
        index = self.emit(indices[0])
        right = self.emit(node.value)
        current = self.writer.builtin("aten::__getitem__", [container, index], source=source)
        changed = self.writer.builtin(_augmented_operator(node, element), [current, right], source=source)
        self.writer.builtin("aten::_set_item", [container, index, changed], source=source)

    def emit_delete(self, node: ast.Delete) -> None:
        """`del name`, `del container[index]`."""
        for target in node.targets:
            if isinstance(target, ast.Name):
                if not self.frame.remove(target.id):
                    raise ScriptError(f"undefined value {target.id}", self.range(target))
            elif isinstance(target, ast.Subscript):
                self._delete_item(target, self.range(target))
            else:
                raise ScriptError(
                    "del statements are only supported for deleting list and dict items and variables",
                    self.range(target),
                )

    def _delete_item(self, target: ast.Subscript, source: SourceRange) -> None:
        if isinstance(target.slice, ast.Slice):
            raise ScriptError(
                "del statements only support deletion at a single index, slicing is not supported", self.range(target)
            )
        container = self.emit(target.value)
        index = self.emit(target.slice)
        if not isinstance(container.type, ClassType):
            self.writer.builtin("aten::Delete", [container, index], source=source)
            return
        if "__delitem__" not in container.type.methods:
            raise ScriptError("Class does not define __delitem__", self.range(target))
        MethodValue(container, ("__delitem__",)).call(self.writer, source, [NamedValue(index)], [])


def subscripts(node: ast.Subscript) -> list[ast.expr]:
    """The indices between the brackets."""
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _augmented_operator(node: ast.AugAssign, type_: Type) -> str:
    plain, in_place = _AUGMENTED[type(node.op)]
    return in_place if isinstance(type_, TensorType | ListType) else plain


def _starred_place(target: ast.Tuple | ast.List, source: SourceRange) -> int | None:
    """Which element is starred. Raises ScriptError for several and for a lone one."""
    places = [place for place, element in enumerate(target.elts) if isinstance(element, ast.Starred)]
    if len(places) > 1:
        raise ScriptError("Only one starred expression is allowed on the lhs", source)
    if places and len(target.elts) == 1:
        raise ScriptError(
            "A Starred expression may only appear on the lhs within the presence of another non-starred expression",
            source,
        )
    return places[0] if places else None
