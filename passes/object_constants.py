"""The pass `object-constants`, and how what an object holds is written into a graph."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

from optc.eager.tensor import Tensor
from optc.ir.function import ScriptObject
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import DictType, ListType, OptionalType, TensorType, TupleType, Type
from optc.ops.builder import constant_type
from optc.pipeline import graph_pass


@graph_pass(
    "object-constants",
    functional=True,
    after={"functionalize": "what is written through an object may not be taken for a constant"},
)
def object_constants(graph: Graph) -> bool:
    """Read the attributes of objects that are constants, such as the elements of a module's dictionaries."""
    if any(node.kind == "prim::SetAttr" for node in graph.walk()):
        return False
    reads = [node for node in graph.walk() if _is_read_of_constant(node)]
    replaced = [_replace(graph, node) for node in reads]
    return any(replaced)


def _is_read_of_constant(node: Node) -> bool:
    return (
        node.kind == "prim::GetAttr"
        and node.inputs[0].is_constant
        and isinstance(node.inputs[0].constant, ScriptObject)
        and node.attributes["name"] in node.inputs[0].constant.values
    )


def _replace(graph: Graph, node: Node) -> bool:
    held = node.inputs[0].constant.values[str(node.attributes["name"])]
    before = node.previous
    with graph.replacing(node):
        value = insert_held(graph, held, node.output.type)
    if value is None:
        while node.previous is not None and node.previous is not before:
            node.previous.destroy()
        return False
    node.output.replace_all_uses_with(value)
    node.destroy()
    return True


def insert_held(graph: Graph, held: Any, declared: Type) -> Value | None:
    """A value that holds what an attribute holds; None for objects the graph has no form for."""
    inner = declared.element if isinstance(declared, OptionalType) and held is not None else declared
    if isinstance(held, Tensor):
        return graph.insert_constant(held._array, constant_type(held._array))
    if held is None or isinstance(held, bool | int | float | str):
        return graph.insert_constant(held, constant_type(held))
    if isinstance(held, Enum):
        return graph.insert_constant(held, inner)
    if isinstance(held, tuple):
        types = inner.elements if isinstance(inner, TupleType) else tuple(constant_type(item) for item in held)
        return _insert_all(graph, "prim::TupleConstruct", zip(held, types), inner)
    if isinstance(held, list) and isinstance(inner, ListType):
        return _insert_all(graph, "prim::ListConstruct", ((item, inner.element) for item in held), inner)
    if isinstance(held, dict) and isinstance(inner, DictType):
        entries = [part for key, item in held.items() for part in ((key, inner.key), (item, inner.value))]
        return _insert_all(graph, "prim::DictConstruct", entries, inner)
    if isinstance(inner, TensorType) or not hasattr(held, "__dict__"):
        return graph.insert_constant(held, inner)
    return None


def _insert_all(graph: Graph, kind: str, items: Iterable[tuple[Any, Type]], type_: Type) -> Value | None:
    values = [insert_held(graph, item, declared) for item, declared in items]
    known = [value for value in values if value is not None]
    return graph.insert(kind, known, (type_,)).output if len(known) == len(values) else None
