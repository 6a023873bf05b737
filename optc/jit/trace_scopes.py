"""Turns the scopes of a trace into methods of the traced module's submodules.

While tracing, a submodule's forward records into the block of a `prim::TracedModuleForward` node, and members of the
modules are `prim::TracedAttr` nodes known by their path (`__module.layers.0.weight`). Here, in this order:

1. every such block gets `self`, and paths become `prim::GetAttr` chains in the block that owns them; members of
   modules further out are handed in as arguments;
2. values used outside the block that computes them become results of it;
3. several results of a block become one tuple;
4. values of outer blocks become arguments, the block becomes the graph of a method (`forward`, `forward1`, ...) and
   the node a `prim::CallMethod`.

A traced function has no module to own methods: its blocks are put back in line.
"""

from __future__ import annotations

from collections.abc import Iterator

from optc.ir.function import ClassType, Function, ScriptObject
from optc.ir.graph import Block, Graph, Node, Value, copy_node
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import NONE, TupleType, unrefined
from optc.jit.trace_cleanup import clean_trace
from optc.jit.value_names import ValueNames, attribute_value_name

FORWARD = "prim::TracedModuleForward"
ATTRIBUTE = "prim::TracedAttr"


def scopes_to_methods(graph: Graph, names: ValueNames, module: ScriptObject) -> None:
    """Rewrite the raw trace of a method of `module`; submodules' classes gain the methods that are called."""
    _Attributes(graph, names).resolve()
    _lift_results(graph.block)
    _pack_results(graph.block)
    _lift_arguments(graph.block)
    _create_methods(graph)
    _clean_methods(module)
    clean_trace(graph)


def traced_schema(name: str, graph: Graph) -> FunctionSchema:
    """The signature of a traced graph: arguments carry the names of its inputs, types lose their shapes."""
    arguments = tuple(
        Argument(value.name.partition(".")[0] or f"argument_{place}", unrefined(value.type))
        for place, value in enumerate(graph.inputs)
    )
    return FunctionSchema(name, "", arguments, tuple(Argument("", unrefined(value.type)) for value in graph.outputs))


class _Attributes:
    """Step 1: `prim::TracedAttr` values become attribute reads."""

    def __init__(self, graph: Graph, names: ValueNames) -> None:
        self.graph = graph
        self.names = names
        self.values = {node.attributes["scope"]: node.output for node in graph.nodes if node.kind == ATTRIBUTE}

    def resolve(self) -> None:
        self._add_self(self.graph.block)
        self._resolve(self.graph.block, "__module", self.graph.inputs[0])
        for node in self.graph.block.reversed_nodes:
            if node.kind == ATTRIBUTE:
                node.destroy()

    def _add_self(self, block: Block) -> None:
        for node in block.nodes:
            if node.kind != FORWARD:
                continue
            module = self.values[node.attributes["scope"]]
            node.add_input(module)
            own = node.blocks[0]
            self.names.give(own.add_input(module.type), "self")
            self._add_self(own)

    def _resolve(self, block: Block, prefix: str, self_value: Value) -> list[Value]:
        """Replace attributes read in `block`; returns those that belong to modules further out."""
        missing: list[Value] = []
        local: dict[Value, Value] = {}
        for node in (*block.nodes, block.return_node):
            if node.kind == FORWARD:
                own = node.blocks[0]
                for value in self._resolve(own, node.attributes["scope"], own.inputs[0]):
                    node.add_input(value)
            for slot, value in enumerate(node.inputs):
                if value.node.kind != ATTRIBUTE:
                    continue
                if value not in local:
                    local[value] = self._read(block, prefix, self_value, value, missing)
                node.set_input(slot, local[value])
        return missing

    def _read(self, block: Block, prefix: str, self_value: Value, attribute: Value, missing: list[Value]) -> Value:
        path = attribute.node.attributes["scope"].split(".")
        depth = len(prefix.split("."))
        if path[:depth] != prefix.split("."):
            missing.append(attribute)
            captured = block.add_input(attribute.type)
            self.names.give(captured, attribute.name)
            return captured
        value = self_value
        point = block.param_node.next
        assert point is not None
        for name in path[depth:]:
            value = self._get(point, value, name)
        return value

    def _get(self, point: Node, owner: Value, name: str) -> Value:
        assert isinstance(owner.type, ClassType)
        type_ = owner.type.attributes[name].type
        node = self.graph.create("prim::GetAttr", (owner,), (type_,), {"name": name})
        node.scope, node.source = "", None
        node.insert_before(point)
        self.names.give(node.output, attribute_value_name(name))
        return node.output


def _lift_results(block: Block, lifted: dict[Value, Value] | None = None) -> None:
    """Step 2."""
    lifted = {} if lifted is None else lifted
    for node in (*block.nodes, block.return_node):
        for slot, original in enumerate(node.inputs):
            value = lifted.get(original, original)
            if value.node.block is not block:
                value = lifted[original] = _lifted_into(value, block)
            node.set_input(slot, value)
        if node.kind == FORWARD:
            _lift_results(node.blocks[0], lifted)


def _lifted_into(value: Value, block: Block) -> Value:
    """Hand a value out of its block, and of the blocks around it, until it can be seen from `block`."""
    seen_from = set(_enclosing(block))
    while value.node.block not in seen_from:
        own = value.node.block
        own.add_output(value)
        owner = own.owning_node
        assert owner is not None
        value = owner.add_output(value.type)
    return value


def _enclosing(block: Block) -> Iterator[Block]:
    current: Block | None = block
    while current is not None:
        yield current
        current = current.owning_node.block if current.owning_node is not None else None


def _pack_results(block: Block) -> None:
    """Step 3; a block without results returns None."""
    for node in block.nodes:
        if node.kind != FORWARD:
            continue
        own = node.blocks[0]
        _pack_results(own)
        graph = block.graph
        if not own.outputs:
            with graph.inserting(own):
                own.add_output(graph.insert_constant(None, NONE))
            node.add_output(NONE)
        elif len(own.outputs) > 1:
            _pack(node, own)


def _pack(node: Node, own: Block) -> None:
    graph = own.graph
    type_ = TupleType(tuple(value.type for value in own.outputs))
    with graph.inserting(own):
        packed = graph.insert("prim::TupleConstruct", own.outputs, (type_,)).output
    own.return_node.set_inputs([packed])
    parts = list(node.outputs)
    unpack = graph.create("prim::TupleUnpack", (), [value.type for value in parts])
    for value, part in zip(parts, unpack.outputs):
        value.replace_all_uses_with(part)
    for place in reversed(range(len(parts))):
        node.remove_output(place)
    unpack.add_input(node.add_output(type_))
    unpack.insert_after(node)


def _lift_arguments(block: Block) -> None:
    """Step 4, first half: blocks become graphs whose inputs include what they read from outside."""
    for node in block.nodes:
        if node.kind == FORWARD:
            _lift_arguments(node.blocks[0])
            node.attributes["Subgraph"] = _closed_graph(node, node.blocks[0])
            node.blocks.pop().destroy()


def _closed_graph(node: Node, block: Block) -> Graph:
    graph = Graph()
    values = {value: graph.add_input(value.type, value.name) for value in block.inputs}
    for value in _read_from_outside(block):
        values[value] = graph.add_input(value.type, value.name)
        node.add_input(value)
    for nested in block.nodes:
        graph.block.append(copy_node(nested, graph, values))
    for value in block.outputs:
        graph.add_output(values[value])
    return graph


def _read_from_outside(block: Block) -> list[Value]:
    found: dict[Value, None] = {}
    for node in (*block.nodes, block.return_node):
        for value in node.inputs:
            if value.node.owner is not block:
                found[value] = None
    return list(found)


def _create_methods(graph: Graph) -> None:
    """Step 4, second half: the graphs become methods and are called."""
    for node in graph.nodes:
        if node.kind != FORWARD:
            continue
        body: Graph = node.attributes["Subgraph"]
        class_ = node.inputs[0].type
        assert isinstance(class_, ClassType)
        _create_methods(body)
        name = _unused_method_name(class_)
        function = Function(f"{class_.name}.{name}", traced_schema(name, body), body)
        class_.methods[name] = function
        returned = function.schema.returns[0].type
        call = graph.create("prim::CallMethod", node.inputs, (returned,), {"name": name})
        call.scope, call.source = "", None
        call.insert_before(node)
        node.output.replace_all_uses_with(call.output)
        node.destroy()


def _unused_method_name(class_: ClassType) -> str:
    number = 0
    while (name := f"forward{number or ''}") in class_.methods:
        number += 1
    return name


def _clean_methods(module: ScriptObject) -> None:
    for value in module.values.values():
        if isinstance(value, ScriptObject) and value.type.is_module:
            _clean_methods(value)
    for function in module.type.methods.values():
        clean_trace(function.graph)


def inline_scopes(graph: Graph) -> None:
    """For a traced function: put the nodes of submodules' blocks in line, so that the graph is flat."""
    _lift_results(graph.block)
    _flatten(graph.block)
    clean_trace(graph)


def _flatten(block: Block) -> None:
    for node in block.nodes:
        if node.kind != FORWARD:
            continue
        own = node.blocks[0]
        _flatten(own)
        node.give_way_to(own)
