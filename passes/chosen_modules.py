"""What the pass `inline` does with modules that only running chooses from a `ModuleList` or `ModuleDict`.

    %m : Layer = prim::ModuleContainerIndex(%layers, %i)    =>    if i is 0 or -2: call `forward` of member "0",
    %y : Tensor = prim::CallMethod[name="forward"](%m, %x)        else if i is 1 or -1: of member "1", else raise

Every member becomes a branch of its own, in which it is known.
"""

from __future__ import annotations

from collections.abc import Sequence

from optc.ir.function import ClassType
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL, INT, STRING

_OUT_OF_RANGE = {INT: "list index out of range", STRING: "there is no module with this key"}


def call_chosen_modules(graph: Graph) -> bool:
    """Write the calls of modules that are chosen by a number or key as branches."""
    chosen = [node for node in graph.walk() if node.kind == "prim::ModuleContainerIndex" and _is_only_called(node)]
    for node in chosen:
        for use in list(node.output.uses):
            _branch(graph, node, use.node)
        node.destroy()
    return bool(chosen)


def _is_only_called(node: Node) -> bool:
    is_known = isinstance(node.inputs[0].type, ClassType) and node.inputs[1].type in _OUT_OF_RANGE
    calls = all(use.node.kind == "prim::CallMethod" and use.slot == 0 for use in node.output.uses)
    called_with = any(value is node.output for use in node.output.uses for value in use.node.inputs[1:])
    return is_known and calls and not called_with


def _members(container: ClassType, key: Value) -> list[str]:
    names = [name for name, item in container.attributes.items() if isinstance(item.type, ClassType)]
    return [name for name in names if name.isdigit()] if key.type == INT else names


def _branch(graph: Graph, choice: Node, call: Node) -> None:
    """Replace one call of the chosen module."""
    container = choice.inputs[0].type
    assert isinstance(container, ClassType)
    with graph.replacing(call):
        results = _choose(graph, choice, call, _members(container, choice.inputs[1]), 0)
    for output, result in zip(call.outputs, results):
        output.replace_all_uses_with(result)
    call.destroy()


def _choose(graph: Graph, choice: Node, call: Node, names: Sequence[str], place: int) -> Sequence[Value]:
    """Call the member at a place or one behind it, whichever is chosen."""
    if place == len(names):
        return _refuse(graph, choice, call)
    container, key = choice.inputs
    branch = graph.insert("prim::If", (_is_chosen(graph, key, names, place),), ())
    taken, other = branch.add_block(), branch.add_block()
    with graph.inserting(taken):
        type_ = container.type.attributes[names[place]].type  # type: ignore[attr-defined]
        member = graph.insert("prim::GetAttr", (container,), (type_,), {"name": names[place]}).output
        types = [output.type for output in call.outputs]
        called = graph.insert("prim::CallMethod", (member, *call.inputs[1:]), types, dict(call.attributes)).outputs
    with graph.inserting(other):
        others = _choose(graph, choice, call, names, place + 1)
    for block, results in ((taken, called), (other, others)):
        for result in results:
            block.add_output(result)
    return [branch.add_output(output.type, output.name) for output in call.outputs]


def _is_chosen(graph: Graph, key: Value, names: Sequence[str], place: int) -> Value:
    if key.type == STRING:
        name = graph.insert_constant(names[place], STRING)
        return graph.insert("aten::eq", (key, name), (BOOL,), overload="str").output
    numbers = [graph.insert_constant(number, INT) for number in (place, place - len(names))]
    either = [graph.insert("aten::eq", (key, number), (BOOL,), overload="int").output for number in numbers]
    return graph.insert("aten::__or__", either, (BOOL,), overload="bool").output


def _refuse(graph: Graph, choice: Node, call: Node) -> Sequence[Value]:
    texts = (_OUT_OF_RANGE[choice.inputs[1].type], "builtins.RuntimeError")
    graph.insert("prim::RaiseException", [graph.insert_constant(text, STRING) for text in texts], ())
    return [graph.insert("prim::Uninitialized", (), (output.type,)).output for output in call.outputs]
