"""Types as programs write them: annotations, the first argument of `annotate`, the second of `isinstance`."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from optc.errors import ScriptError
from optc.ir import types
from optc.ir.types import (
    DictType,
    FutureType,
    ListType,
    OptionalType,
    TupleType,
    Type,
)
from optc.jit.frontend.source import Source
from optc.jit.frontend.type_rules import make_union

if TYPE_CHECKING:
    from optc.jit.frontend.resolver import Resolver

SIMPLE_NAMES: dict[str, Type] = {
    "Tensor": types.TENSOR,
    "int": types.INT,
    "float": types.FLOAT,
    "bool": types.BOOL,
    "complex": types.COMPLEX,
    "str": types.STRING,
    "Device": types.DEVICE,
    "Generator": types.GENERATOR,
    "Stream": types.STREAM,
    "number": types.NUMBER,
    "None": types.NONE,
    "NoneType": types.NONE,
    "Any": types.ANY,
    "Capsule": types.CAPSULE,
    "Storage": types.STORAGE,
    "list": types.ANY_LIST,
    "tuple": types.ANY_TUPLE,
    "torch.Tensor": types.TENSOR,
    "torch.device": types.DEVICE,
    "torch.dtype": types.INT,
    "torch.layout": types.INT,
    "torch.memory_format": types.INT,
    "torch.Generator": types.GENERATOR,
    "torch.Stream": types.STREAM,
}


class TypeExpressions:
    """Reads the types in one definition."""

    def __init__(self, resolver: Resolver, source: Source) -> None:
        self.resolver = resolver
        self.source = source

    def parse(self, node: ast.expr) -> Type:
        """The type an expression writes. Raises ScriptError for anything that is no type."""
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return make_union((self.parse(node.left), self.parse(node.right)))
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.Name | ast.Attribute):
            return self._named(node)
        raise self._unknown(node)

    def _unknown(self, node: ast.expr) -> ScriptError:
        return ScriptError(f"Unknown type name '{ast.unparse(node)}'", self.source.range(node))

    def _constant(self, node: ast.Constant) -> Type:
        if node.value is None:
            return types.NONE
        if not isinstance(node.value, str):
            raise self._unknown(node)
        inner = ast.parse(node.value.strip(), mode="eval").body
        for child in ast.walk(inner):
            ast.copy_location(child, node)
        return self.parse(inner)

    def _named(self, node: ast.Name | ast.Attribute) -> Type:
        name = dotted_name(node)
        if name is None:
            raise self._unknown(node)
        found = self.resolver.type(name, self.source.range(node))
        if found is None:
            found = SIMPLE_NAMES.get(name)
        if found is None:
            raise self._unknown(node)
        return found

    def _subscript(self, node: ast.Subscript) -> Type:
        name = dotted_name(node.value)
        constructor = _CONSTRUCTORS.get(name.rpartition(".")[2]) if name is not None else None
        if constructor is None:
            raise ScriptError(f"Unknown type constructor {ast.unparse(node.value)}", self.source.range(node))
        index = node.slice
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        made = constructor([self.parse(part) for part in parts])
        if made is None:
            raise ScriptError(
                f"{ast.unparse(node.value)} does not take {len(parts)} type arguments", self.source.range(node)
            )
        return made


def dotted_name(node: ast.expr) -> str | None:
    """`a.b.c` of names and attributes, None for other expressions."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted_name(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return None


def _one(make: Callable[[Type], Type]) -> Callable[[list[Type]], Type | None]:
    return lambda parts: make(parts[0]) if len(parts) == 1 else None


def _dict(parts: list[Type]) -> Type | None:
    return DictType(parts[0], parts[1]) if len(parts) == 2 else None


def _optional(type_: Type) -> Type:
    return type_ if isinstance(type_, OptionalType) else make_union((type_, types.NONE))


_CONSTRUCTORS: dict[str, Callable[[list[Type]], Type | None]] = {
    "List": _one(ListType),
    "list": _one(ListType),
    "Dict": _dict,
    "dict": _dict,
    "Tuple": lambda parts: TupleType(tuple(parts)),
    "tuple": lambda parts: TupleType(tuple(parts)),
    "Optional": _one(_optional),
    "Union": make_union,
    "Future": _one(FutureType),
    **{f"BroadcastingList{size}": _one(lambda type_, size=size: ListType(type_, size)) for size in range(1, 7)},  # type: ignore[misc]
}
