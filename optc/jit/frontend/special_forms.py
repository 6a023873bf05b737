"""Calls whose arguments are not simply evaluated: `annotate`, `getattr`, `range`, `zip`, `list`, `dict`, `fork` ..."""

from __future__ import annotations

import ast

from optc.errors import ScriptError, SourceRange
from optc.ir.graph import Value
from optc.ir.types import (
    INT,
    NONE,
    STRING,
    TENSOR,
    DictType,
    FutureType,
    IntType,
    ListType,
    OptionalType,
    TupleType,
    Type,
    UnionType,
)
from optc.jit.frontend.base import LoopStatus, ReturnTypes
from optc.jit.frontend.callables import ClassValue, ClosureValue
from optc.jit.frontend.constants import MAX_INT
from optc.jit.frontend.containers import Containers
from optc.jit.frontend.indexing import Indexing
from optc.jit.frontend.iterables import IterableTree, RangeValue
from optc.jit.frontend.simple import SimpleValue, SpecialForm
from optc.jit.frontend.type_rules import subtype, union_members
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import NamedValue, convert_value


class SpecialForms(Containers, Indexing):
    """The part of the emitter for calls with rules of their own."""

    def special_form(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        """Emit the call of a special form."""
        emit = _FORMS.get(form.form)
        if emit is None:
            raise ScriptError(f"torch.jit.{form.form} is not supported in TorchScript", self.range(node))
        return emit(self, form, node, hint)

    def _check_arguments(self, node: ast.Call, least: int, most: int | None = None) -> None:
        most = least if most is None else most
        name = ast.unparse(node.func)
        found = len(node.args)
        if not least <= found <= most:
            expected = f"exactly {least} arguments" if least == most else f"between {least} and {most} arguments"
            raise ScriptError(f"{name} expected {expected} but found {found}", self.range(node))
        if node.keywords:
            raise ScriptError(f"{name} takes no keyword arguments", self.range(node))

    def _annotate(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        self._check_arguments(node, 2)
        source = self.range(node)
        wanted = self.types.parse(node.args[0])
        value = convert_value(self.graph, source, self.emit(node.args[1], wanted), wanted)
        if not subtype(value.type, wanted):
            raise ScriptError(
                f"expected an expression of type {wanted.annotation} but found {value.type.annotation}\n", source
            )
        if isinstance(wanted, OptionalType | UnionType) and value.type is NONE and NONE in union_members(wanted):
            value = self.writer.constant(None, source, wanted)
        return SimpleValue(value)

    def _unchecked_cast(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        self._check_arguments(node, 2)
        wanted = self.types.parse(node.args[0])
        value = self.emit(node.args[1])
        if value.node.kind != "prim::unchecked_cast" or value.type != wanted:
            value = self.writer.unchecked_cast(value, wanted)
        return SimpleValue(value)

    def _uninitialized(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        self._check_arguments(node, 1)
        return SimpleValue(self.writer.uninitialized(self.types.parse(node.args[0])))

    def _getattr(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        self._check_arguments(node, 2, 3)
        source = self.range(node)
        object_ = self.emit_sugared(node.args[0])
        selector = node.args[1]
        if not isinstance(selector, ast.Constant) or not isinstance(selector.value, str):
            raise ScriptError("getattr's second argument must be a string literal", source)
        if len(node.args) == 3 and not object_.has_attribute(self.writer, source, selector.value):
            return self.emit_sugared(node.args[2])
        return object_.attribute(self.writer, source, selector.value)

    def _hasattr(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        self._check_arguments(node, 2)
        return SimpleValue(self.has_attribute(node.args[0], node.args[1]).value)

    def _isinstance(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        self._check_arguments(node, 2)
        return SimpleValue(self.is_instance(node.args[0], node.args[1]).value)

    def _tuple(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        self._check_arguments(node, 1)
        source = self.range(node)
        parts = self.emit_sugared(node.args[0]).as_tuple(self.writer, source)
        return SimpleValue(self.writer.make_tuple([part.as_value(self.writer, source) for part in parts]))

    def _range(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        if node.keywords:
            raise ScriptError("range takes no keyword arguments", self.range(node))
        inputs = [value.materialize(self.graph) for value in self.values_of(node.args)]
        return RangeValue(self.writer, self.range(node), inputs)

    def _enumerate(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        source = self.range(node)
        given = len(node.args) + len(node.keywords)
        if not node.args or given > 2:
            limit = "at least 1 arguments" if not node.args else "at most 2 arguments"
            raise ScriptError(f"enumerate expected {limit}, got {given}", source)
        start_node = node.args[1] if len(node.args) == 2 else None
        for keyword in node.keywords:
            if keyword.arg != "start":
                raise ScriptError(f"enumerate expected kwarg name 'start', got '{keyword.arg}'", source)
            start_node = keyword.value
        start = [] if start_node is None else [self.emit(start_node)]
        end = self.writer.literal(MAX_INT, source)
        items = self.emit_sugared(node.args[0]).iterate(self.writer, source)
        tree = IterableTree()
        tree.add(source, RangeValue(self.writer, source, [*start, end], items.static_length))
        tree.add(source, items)
        return tree

    def _zip(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        source = self.range(node)
        if not node.args:
            raise ScriptError("zip expected at least 1 arguments, got 0", source)
        tree = IterableTree()
        for argument in node.args:
            tree.add(source, self.emit_sugared(argument).iterate(self.writer, source))
        return tree

    def _list(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        source = self.range(node)
        if not node.args:
            wanted = hint if hint is not None else ListType(TENSOR)
            if not isinstance(wanted, ListType):
                raise ScriptError(f"Expected list type annotation for list(), found {wanted.annotation}", source)
            return SimpleValue(self.writer.make_list(wanted.element, []))
        self._check_arguments(node, 1)
        items = self.emit_sugared(node.args[0])
        if isinstance(items, SimpleValue) and (isinstance(items.value.type, ListType) or items.value.type is STRING):
            return SimpleValue(self.writer.builtin("aten::list", [items.value], source=source))
        element = self._temporary_target(node, "$_elem")
        return SimpleValue(
            self.build_list(
                node,
                hint,
                element,
                lambda: items.iterate(self.writer, source),
                lambda: self.variable(element.id, source),
            )
        )

    def _temporary_target(self, node: ast.Call, prefix: str) -> ast.Name:
        return ast.copy_location(ast.Name(self.temporary_name(prefix), ast.Store()), node)

    def _dict(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        source = self.range(node)
        argument = node.args[0] if node.args else None
        if len(node.args) > 1:
            raise ScriptError(f"dict expected exactly 1 arguments but found {len(node.args)}", source)
        if argument is None or isinstance(argument, ast.Dict | ast.DictComp) or _is_empty_list(argument):
            return SimpleValue(self._dict_of_literal(argument, node, hint))
        items = self.emit_sugared(argument)
        if isinstance(items, SimpleValue) and isinstance(items.value.type, DictType):
            made = self.writer.builtin("aten::dict", [items.value], source=source)
        else:
            key, value = self._temporary_target(node, "$_key"), self._temporary_target(node, "$_value")
            target = ast.copy_location(ast.Tuple([key, value], ast.Store()), node)
            made = self.build_dict(
                node,
                hint,
                target,
                lambda: items.iterate(self.writer, source),
                lambda: (self.variable(key.id, source), self.variable(value.id, source)),
            )
        self._add_keywords(made, node)
        return SimpleValue(made)

    def _dict_of_literal(self, argument: ast.expr | None, node: ast.Call, hint: Type | None) -> Value:
        if isinstance(argument, ast.DictComp):
            made = self.emit_dict_comprehension(argument, hint)
            self._add_keywords(made, node)
            return made
        pairs = argument if isinstance(argument, ast.Dict) else ast.Dict([], [])
        names = [ast.copy_location(ast.Constant(keyword.arg), keyword.value) for keyword in node.keywords]
        merged = ast.Dict([*pairs.keys, *names], [*pairs.values, *(keyword.value for keyword in node.keywords)])
        return self.emit_dict(ast.copy_location(merged, node), hint)

    def _add_keywords(self, made: Value, node: ast.Call) -> None:
        for keyword in node.keywords:
            source = self.range(keyword.value)
            key = self.writer.constant(keyword.arg, source)
            args = [NamedValue(made, "self"), NamedValue(key), NamedValue(self.emit(keyword.value))]
            self.writer.builtin("aten::_set_item", args, source=source)

    def _to_list(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        source = self.range(node)
        if hint is None or form.self_ is None:
            raise ScriptError("Expected type hint for result of tolist()", source)
        depth, element = 0, hint
        while isinstance(element, ListType):
            depth, element = depth + 1, element.element
        codes = {"int": 0, "float": 1, "bool": 2, "complex": 3}
        if str(element) not in codes:
            raise ScriptError(
                f"Only int, bool, float and complex elements are allowed in tolist(), found {hint.annotation}", source
            )
        inputs = [form.self_, self.writer.constant(depth, source), self.writer.constant(codes[str(element)], source)]
        return SimpleValue(self.writer.insert("prim::tolist", inputs, (hint,)).output)

    def _get_item(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        source = self.range(node)
        if len(node.args) != 1 or form.self_ is None:
            raise ScriptError(f"__getitem__ expected exactly 1 arguments, got {len(node.args)}", source)
        index = self.emit(node.args[0])
        indices = self.writer.unpack(index) if isinstance(index.type, TupleType) else [index]
        return SimpleValue(self.index_with_tensors(source, form.self_, indices))

    def _new(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        source = self.range(node)
        if len(node.args) != 1:
            raise ScriptError("Only one argument to __new__ allowed", source)
        class_ = self.emit_sugared(node.args[0])
        if not isinstance(class_, ClassValue):
            raise ScriptError(f"Expected class value as argument to __new__, got {class_.kind} instead", source)
        return SimpleValue(self.writer.insert("prim::CreateObject", (), (class_.type,), source).output)

    def _fork(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        source = self.range(node)
        if not node.args:
            raise ScriptError("Expected at least one argument to fork()", source)
        callee = self.emit_sugared(node.args[0])
        args = self.values_of(node.args[1:])
        kwargs = self.keywords_of(node)
        fork = self.writer.insert("prim::forkClosure", (), (NONE,), source)
        block = fork.add_block()
        saved, self.loop = self.loop, LoopStatus.NONE
        self.push_frame(block)
        self.returns.append(ReturnTypes())
        with self.graph.inserting(block):
            if isinstance(callee, ClosureValue):
                result = self._closure_body(callee.definition)
            else:
                result = callee.call(self.writer, source, args, kwargs).as_value(self.writer, source)
            block.add_output(result)
        self.returns.pop()
        self.pop_frame()
        self.loop = saved
        fork.output.type = FutureType(result.type)
        return SimpleValue(fork.output)

    def _closure_body(self, node: ast.FunctionDef) -> Value:
        """The statements of a forked closure; a placeholder of the type it returns."""
        self.emit_statements(node.body)
        self.finish_body(node)
        merged = self.returns[-1].merged
        assert merged is not None
        return self.writer.uninitialized(merged)

    def keywords_of(self, node: ast.Call) -> list[NamedValue]:
        """The keyword arguments of a call."""
        return [
            NamedValue(self.emit(keyword.value), keyword.arg or "", self.range(keyword.value))
            for keyword in node.keywords
        ]

    def _tensor_constructor(self, form: SpecialForm, node: ast.Call, hint: Type | None) -> SugaredValue:
        """`torch.LongTensor(2, 3)` and its siblings: a size, or the data."""
        source: SourceRange = self.range(node)
        code = int(form.form.rpartition(":")[2])
        args = [value.materialize(self.graph) for value in self.values_of(node.args)]
        dtype = [NamedValue(self.writer.constant(code, source), "dtype")]
        if all(isinstance(arg.type, IntType) for arg in args):
            kind = "aten::empty" if args else "aten::tensor"
            return SimpleValue(self.writer.builtin(kind, [self.writer.make_list(INT, args)], dtype, source=source))
        if len(args) != 1:
            raise ScriptError("Got multiple positional arguments that were not all integers", source)
        return SimpleValue(self.writer.builtin("aten::tensor", args, dtype, source=source))


_FORMS = {
    "annotate": SpecialForms._annotate,
    "unchecked_cast": SpecialForms._unchecked_cast,
    "uninitialized": SpecialForms._uninitialized,
    "getattr": SpecialForms._getattr,
    "hasattr": SpecialForms._hasattr,
    "isinstance": SpecialForms._isinstance,
    "tuple": SpecialForms._tuple,
    "range": SpecialForms._range,
    "enumerate": SpecialForms._enumerate,
    "zip": SpecialForms._zip,
    "list": SpecialForms._list,
    "dict": SpecialForms._dict,
    "tolist": SpecialForms._to_list,
    "__getitem__": SpecialForms._get_item,
    "__new__": SpecialForms._new,
    "fork": SpecialForms._fork,
    "_fork": SpecialForms._fork,
}


def _is_empty_list(node: ast.expr) -> bool:
    return isinstance(node, ast.List) and not node.elts
