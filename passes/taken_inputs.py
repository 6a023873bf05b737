"""Values of a nested structure made from inputs of a graph, one for every leaf: arguments and state taken apart."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from optc.dataclass import dataclass
from optc.ir.graph import Graph, Value
from optc.ir.structure import Literal, Structure
from optc.ir.types import ANY, NONE, TENSOR, DictType, ListType, OptionalType, TupleType, Type, UnionType
from optc.ops.builder import constant_type


@dataclass
class Taken:
    """What is found while arguments are taken in: narrowed ones, and the leaves of the present one."""

    narrowed: list[tuple[Value, Type]]
    leaves: list[Value] = field(default_factory=list)


def take_in(graph: Graph, name: str, given: Any, declared: Type, taken: Taken) -> tuple[Value, Structure]:
    """A value of the given structure made from new inputs."""
    value, structure = _take_in_as_given(graph, name, given, declared, taken)
    if isinstance(given, Literal) or isinstance(declared, OptionalType | UnionType) or declared is ANY:
        taken.narrowed.append((value, declared))
    return value, structure


def _take_in_as_given(graph: Graph, name: str, given: Any, declared: Type, taken: Taken) -> tuple[Value, Structure]:
    if isinstance(declared, OptionalType) and given is not NONE and not isinstance(given, OptionalType):
        declared = declared.element
    if given is NONE:
        return graph.insert_constant(None, NONE), Structure("none")
    if isinstance(given, Literal):
        return graph.insert_constant(given.value, constant_type(given.value)), Structure("text", keys=(given.value,))
    if isinstance(given, TupleType):
        given = tuple(given.elements)
    if isinstance(given, tuple | list | dict):
        return _take_in_parts(graph, name, given, declared, taken)
    leaf = Value(graph.block.param_node, 0, given, name)
    taken.leaves.append(leaf)
    return leaf, Structure("leaf", type=given)


def _take_in_parts(graph: Graph, name: str, given: Any, declared: Type, taken: Taken) -> tuple[Value, Structure]:
    parts = list(given.values()) if isinstance(given, dict) else list(given)
    elements = _element_types(declared, len(parts))
    made = [
        take_in(graph, f"{name}.{place}" if name else "", part, element, taken)
        for place, (part, element) in enumerate(zip(parts, elements))
    ]
    values, structures = [value for value, _ in made], tuple(structure for _, structure in made)
    if isinstance(given, dict):
        keys = [graph.insert_constant(key, constant_type(key)) for key in given]
        pairs = [value for pair in zip(keys, values) for value in pair]
        mapping = declared if isinstance(declared, DictType) else DictType(keys[0].type, values[0].type)
        return graph.insert("prim::DictConstruct", pairs, (mapping,)).output, Structure(
            "dict", structures, tuple(given)
        )
    if isinstance(given, list):
        type_ = declared if isinstance(declared, ListType) else ListType(values[0].type if values else TENSOR)
        return graph.insert("prim::ListConstruct", values, (type_,)).output, Structure("list", structures)
    kind = TupleType(tuple(value.type for value in values))
    named = TupleType(kind.elements, declared.name, declared.fields) if isinstance(declared, TupleType) else kind
    return graph.insert("prim::TupleConstruct", values, (named,)).output, Structure("tuple", structures, type=declared)


def _element_types(declared: Type, count: int) -> list[Type]:
    if isinstance(declared, TupleType):
        return list(declared.elements)
    if isinstance(declared, ListType):
        return [declared.element] * count
    return [declared.value if isinstance(declared, DictType) else TENSOR] * count
