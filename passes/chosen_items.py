"""The pass `chosen-items`.

    name = ["a", "b"][i]             number = [0, 1][i]
    if name == "b": ...        =>    if number == 1: ...
    x = {"a": y, "b": z}[name]       x = y if number == 0 else z

Native code has no text, but text that a number chooses is known up to that number: so is what it is compared with, and
what it chooses itself. Tensors of one kind are chosen among first, so that one branch remains where kinds differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optc.ir.graph import Graph, Node, Use, Value
from optc.ir.types import BOOL, INT, STRING, ListType, TensorType, Type
from optc.passes.lower_containers import entries_of
from optc.pipeline import graph_pass


@graph_pass(
    "chosen-items",
    functional=True,
    after={
        "functionalize": "a list has the items it was made with only if nobody changes it",
        "infer-shapes": "it says which tensors have the same rank",
    },
)
def chosen_items(graph: Graph) -> bool:
    """Let numbers stand for text that a number chooses from a list, where it is compared or chooses itself."""
    changed = False
    for node in list(graph.walk()):
        texts = _texts(node)
        uses = [use for use in node.output.uses if _is_answered(use)] if texts else []
        if uses:
            _answer(graph, node, texts, uses)
            changed = True
    return changed


def _texts(node: Node) -> list[str]:
    """What a node that takes an item of a list by a number may give; nothing for other nodes."""
    if node.kind != "aten::__getitem__" or node.overload != "t" or node.inputs[1].is_constant:
        return []
    made = node.inputs[0].node
    if node.output.type != STRING or made.kind != "prim::ListConstruct":
        return []
    return [item.constant for item in made.inputs] if all(item.is_constant for item in made.inputs) else []


def _is_answered(use: Use) -> bool:
    node = use.node
    if node.kind in ("aten::eq", "aten::ne") and node.overload == "str":
        return node.inputs[1 - use.slot].is_constant
    is_key = node.kind == "aten::__getitem__" and node.overload == "Dict_str" and use.slot == 1
    return is_key and entries_of(node.inputs[0].node) is not None


def _answer(graph: Graph, choice: Node, texts: Sequence[str], uses: Sequence[Use]) -> None:
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    with graph.inserting(choice):
        numbers = [graph.insert_constant(places[text], INT) for text in texts]
        made = graph.insert("prim::ListConstruct", numbers, (ListType(INT),)).output
        number = graph.insert("aten::__getitem__", (made, choice.inputs[1]), (INT,), overload="t").output
    for use in uses:
        with graph.replacing(use.node):
            if use.node.overload == "str":
                found = _compared(graph, use, number, places)
            else:
                found = _looked_up(graph, use.node, number, places)
        use.node.output.replace_all_uses_with(found)
        use.node.destroy()
    with graph.replacing(choice):
        constants: list[tuple[int, Value | None]]
        constants = [(place, graph.insert_constant(text, STRING)) for text, place in places.items()]
        choice.output.replace_all_uses_with(_choose(graph, constants, number, STRING))  # which cannot fail any more
    choice.destroy()


def _compared(graph: Graph, use: Use, number: Value, places: Mapping[str, int]) -> Value:
    place = places.get(use.node.inputs[1 - use.slot].constant)
    if place is None:
        return graph.insert_constant(use.node.kind == "aten::ne", BOOL)
    known = graph.insert_constant(place, INT)
    return graph.insert(use.node.kind, (number, known), (BOOL,), overload="int").output


def _looked_up(graph: Graph, lookup: Node, number: Value, places: Mapping[str, int]) -> Value:
    """The value that the dictionary has for the chosen key."""
    found = {key.constant: value for key, value in entries_of(lookup.inputs[0].node) or []}
    groups: dict[object, dict[int, Value | None]] = {}
    for text, place in places.items():
        value = found.get(text)
        groups.setdefault(None if value is None else _kinds(value), {})[place] = value
    return _choose_group(graph, list(groups.values()), number, lookup.output.type)


def _kinds(value: Value) -> tuple[Any, ...]:
    """The ranks and element types of the tensors in a value, which may be a tuple."""
    parts = value.node.inputs if value.node.kind == "prim::TupleConstruct" else (value,)
    types = [part.type for part in parts if isinstance(part.type, TensorType)]
    return tuple((None if type_.shape is None else len(type_.shape), type_.dtype) for type_ in types)


def _choose_group(graph: Graph, groups: Sequence[Mapping[int, Value | None]], number: Value, type_: Type) -> Value:
    if len(groups) == 1:
        return _choose(graph, list(groups[0].items()), number, type_)
    branch = graph.insert("prim::If", (_is_one_of(graph, number, list(groups[0])),), ())
    for part in (groups[:1], groups[1:]):
        block = branch.add_block()
        with graph.inserting(block):
            block.add_output(_choose_group(graph, part, number, type_))
    return branch.add_output(type_)


def _choose(graph: Graph, items: Sequence[tuple[int, Value | None]], number: Value, type_: Type) -> Value:
    place, value = items[0]
    if len(items) == 1 or value is None:
        return _missing(graph, type_) if value is None else value
    branch = graph.insert("prim::If", (_is_one_of(graph, number, [place]),), ())
    branch.add_block().add_output(value)
    block = branch.add_block()
    with graph.inserting(block):
        block.add_output(_choose(graph, items[1:], number, type_))
    return branch.add_output(type_)


def _is_one_of(graph: Graph, number: Value, places: Sequence[int]) -> Value:
    known = [graph.insert_constant(place, INT) for place in places]
    equal = [graph.insert("aten::eq", (number, place), (BOOL,), overload="int").output for place in known]
    result = equal[0]
    for other in equal[1:]:
        result = graph.insert("aten::__or__", (result, other), (BOOL,), overload="bool").output
    return result


def _missing(graph: Graph, type_: Type) -> Value:
    """A key that the dictionary does not have; the interpreter says which."""
    texts = ("there is no such key", "builtins.RuntimeError")
    graph.insert("prim::RaiseException", [graph.insert_constant(text, STRING) for text in texts], ())
    return graph.insert("prim::Uninitialized", (), (type_,)).output
