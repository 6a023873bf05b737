"""List and dict literals and comprehensions, and the element types they get."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Sequence

from optc.errors import ScriptError, SourceRange
from optc.ir.graph import Value
from optc.ir.types import (
    ANY,
    ANY_LIST,
    STRING,
    TENSOR,
    DictType,
    ListType,
    OptionalType,
    Type,
    UnionType,
)
from optc.jit.frontend.control_flow import ControlFlow
from optc.jit.frontend.type_rules import subtype, unify, unify_all, union_members
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import NamedValue


class Containers(ControlFlow):
    """The part of the emitter that makes lists and dicts."""

    def values_of(self, nodes: Sequence[ast.expr]) -> list[NamedValue]:
        """Expressions as arguments; `*tuple` gives its elements."""
        values: list[NamedValue] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                source = self.range(node)
                entries = self.emit_sugared(node.value).as_tuple(self.writer, source)
                values.extend(NamedValue(entry.as_value(self.writer, source), "", source) for entry in entries)
            else:
                values.append(NamedValue(self.emit(node), "", self.range(node)))
        return values

    def _container_hint(self, hint: Type | None, node: ast.expr, wanted: type[Type], word: str) -> Type | None:
        """The list (or dict) type that an annotation allows. Raises ScriptError when it allows none or several."""
        if hint is None or hint is ANY or isinstance(hint, wanted):
            return None if hint is ANY else hint
        if hint is ANY_LIST and wanted is ListType:
            return None
        candidates = [member for member in union_members(hint) if isinstance(member, wanted)]
        if isinstance(hint, OptionalType | UnionType) and candidates:
            if len(candidates) > 1 and not getattr(node, "elts", None) and not getattr(node, "keys", None):
                raise ScriptError(
                    f"Cannot assign an empty {word.lower()} to a variable annotated to be type {hint.annotation} "
                    f"because there are multiple possible {word} type candidates in the Union annotation",
                    self.range(node),
                )
            return candidates[0] if len(candidates) == 1 else None
        raise ScriptError(
            f"Expected an annotation of type {word} but got {hint.annotation}"
            if not isinstance(hint, UnionType | OptionalType)
            else f"Expected an Union type annotation with an inner {word} type, but got {hint.annotation}",
            self.range(node),
        )

    def _as_union(self, value: Value, hint: Type | None) -> Value:
        """Where an annotation is a union, the container is one of its members and seen as the union."""
        return self.writer.unchecked_cast(value, hint) if isinstance(hint, UnionType | OptionalType) else value

    def emit_list(self, node: ast.List, hint: Type | None) -> Value:
        """`[a, b]`; an empty one without a hint fits any list type where it is passed directly."""
        values = [value.materialize(self.graph) for value in self.values_of(node.elts)]
        if not values and hint is None:
            return self.writer.insert("prim::EmptyListLiteral", (), (ListType(TENSOR),)).output
        wanted = self._container_hint(hint, node, ListType, "List")
        element = wanted.element if isinstance(wanted, ListType) else None
        if values:
            unified = unify_all([value.type for value in values], default_to_union=True, hint=element)
            assert unified is not None
            if element is not None and not subtype(unified, element):
                assert wanted is not None
                raise ScriptError(
                    f"List type annotation `{wanted.annotation}` did not match the types of the given list elements, "
                    f"which were unified to {unified.annotation}",
                    self.range(node),
                )
            if element is None:
                self._warn_of_union(unified, "List", self.range(node))
                element = unified
        made = self.writer.make_list(element if element is not None else TENSOR, values)
        return self._as_union(made, hint)

    @staticmethod
    def _warn_of_union(type_: Type, word: str, source: SourceRange) -> None:
        if not isinstance(type_, UnionType):
            return
        warnings.warn(
            f"{word} consists of heterogeneous types, which means that it has been typed as containing "
            f"{type_.annotation}. To use any of the values in this {word}, it will be necessary to add an "
            f"`assert isinstance` statement before first use to trigger type refinement.\n{source.excerpt()}",
            stacklevel=2,
        )

    def emit_dict(self, node: ast.Dict, hint: Type | None) -> Value:
        """`{key: value}`."""
        pairs: list[Value] = []
        key_type: Type | None = None
        value_type: Type | None = None
        for key_node, value_node in zip(node.keys, node.values):
            assert key_node is not None
            key, value = self.emit(key_node), self.emit(value_node)
            if key_type is not None and key.type != key_type:
                raise ScriptError(
                    f"Dict keys must contain only a single type. Expected: {key_type.annotation} but found "
                    f"{key.type.annotation} instead",
                    self.range(key_node),
                )
            key_type = key.type
            value_type = value.type if value_type is None else unify(value_type, value.type, default_to_union=True)
            pairs += [key, value]
        wanted = self._container_hint(hint, node, DictType, "Dict")
        if not isinstance(wanted, DictType):
            if value_type is not None:
                self._warn_of_union(value_type, "Dict", self.range(node))
            wanted = DictType(key_type or STRING, value_type or TENSOR)
        if key_type is not None and value_type is not None:
            self._check_dict(wanted, key_type, value_type, self.range(node))
        made = self.writer.insert("prim::DictConstruct", pairs, (wanted,)).output
        return self._as_union(made, hint)

    @staticmethod
    def _check_dict(wanted: DictType, key: Type, value: Type, source: SourceRange) -> None:
        if wanted.key != key:
            raise ScriptError(
                f"Type annotation was inferred to be {wanted.annotation} but the type of keys given by the dict "
                f"literal is {key.annotation}",
                source,
            )
        if not subtype(value, wanted.value):
            raise ScriptError(
                f"Type annotation was inferred to be `{wanted.annotation}`, but the type of values given by the dict "
                f"literal is {value.annotation}",
                source,
            )

    def emit_list_comprehension(self, node: ast.ListComp, hint: Type | None) -> Value:
        """`[element for target in iterable]`."""
        generator = node.generators[0]
        items = generator.iter

        def iterate() -> SugaredValue:
            return self.emit_sugared(items).iterate(self.writer, self.range(node))

        return self.build_list(node, hint, generator.target, iterate, lambda: self.emit(node.elt))

    def build_list(
        self,
        node: ast.expr,
        hint: Type | None,
        target: ast.expr,
        iterate: Callable[[], SugaredValue],
        element: Callable[[], Value],
    ) -> Value:
        """A list filled by a loop in a scope of its own."""
        source = self.range(node)
        made = self.writer.insert("prim::ListConstruct", (), (ListType(TENSOR),)).output
        wanted = self._container_hint(hint, node, ListType, "List")
        if wanted is not None:
            made.type = wanted
        chosen: list[Type] = [wanted] if wanted is not None else []

        def append() -> None:
            value = element()
            list_type = chosen[0] if chosen else ListType(value.type)
            assert isinstance(list_type, ListType)
            unified = unify(list_type.element, value.type, default_to_union=True, hint=list_type.element)
            if unified is None or not subtype(unified, list_type.element):
                raise ScriptError(
                    f"List type annotation `{list_type.annotation}` did not match the types of the given list "
                    f"elements, which were unified to {value.type.annotation}",
                    source,
                )
            chosen[:] = [list_type]
            made.type = list_type
            self.writer.builtin("aten::append", [NamedValue(value)], (), NamedValue(made, "self"), source)

        self._in_comprehension_scope(source, target, iterate, append)
        return self._as_union(made, hint)

    def emit_dict_comprehension(self, node: ast.DictComp, hint: Type | None) -> Value:
        """`{key: value for target in iterable}`."""
        generator = node.generators[0]
        items = generator.iter
        return self.build_dict(
            node,
            hint,
            generator.target,
            lambda: self.emit_sugared(items).iterate(self.writer, self.range(node)),
            lambda: (self.emit(node.key), self.emit(node.value)),
        )

    def build_dict(
        self,
        node: ast.expr,
        hint: Type | None,
        target: ast.expr,
        iterate: Callable[[], SugaredValue],
        pair: Callable[[], tuple[Value, Value]],
    ) -> Value:
        """A dict filled by a loop in a scope of its own."""
        source = self.range(node)
        made = self.writer.insert("prim::DictConstruct", (), (DictType(STRING, TENSOR),)).output
        wanted = self._container_hint(hint, node, DictType, "Dict")
        if wanted is not None:
            made.type = wanted
        chosen: list[Type] = [wanted] if wanted is not None else []

        def set_item() -> None:
            key, value = pair()
            dict_type = chosen[0] if chosen else DictType(key.type, value.type)
            assert isinstance(dict_type, DictType)
            if not subtype(key.type, dict_type.key) or not subtype(value.type, dict_type.value):
                raise ScriptError(
                    f"Dict type annotation `{dict_type.annotation}` did not match the types of an actual key and "
                    f"value: `{key.type.annotation}` and `{value.type.annotation}`",
                    source,
                )
            chosen[:] = [dict_type]
            made.type = dict_type
            args = [NamedValue(made, "self"), NamedValue(key), NamedValue(value)]
            self.writer.builtin("aten::_set_item", args, source=source)

        self._in_comprehension_scope(source, target, iterate, set_item)
        return self._as_union(made, hint)

    def _in_comprehension_scope(
        self,
        source: SourceRange,
        target: ast.expr,
        iterate: Callable[[], SugaredValue],
        body: Callable[[], None],
    ) -> None:
        block = self.writer.insert("prim::ComprehensionScope", (), (), source).add_block()
        self.push_frame(block)
        with self.graph.inserting(block):
            self.for_each(target, iterate(), source, body)
        self.pop_frame()
