"""`fork`: the block of what runs in parallel becomes a graph of its own, the values it reads become its inputs."""

from __future__ import annotations

from optc.ir.graph import Graph, Node, Value, copy_block


def lift_forks(graph: Graph) -> list[Graph]:
    """Replace every `prim::forkClosure` by a `prim::fork` with a `Subgraph`, innermost first; the new graphs."""
    return [_lift(node) for node in reversed([node for node in graph.walk() if node.kind == "prim::forkClosure"])]


def _lift(node: Node) -> Graph:
    subgraph = Graph()
    captured: dict[Value, Value] = {}
    for value in _read_from_outside(node):
        captured[value] = subgraph.add_input(value.type, value.name)
    values: dict[Value, Value] = dict(captured)
    copy_block(node.blocks[0], subgraph.block, values)
    fork = node.graph.create("prim::fork", captured, (node.output.type,), {"Subgraph": subgraph})
    fork.source = node.source
    fork.insert_before(node)
    fork.output.name, node.output.name = node.output.name, ""
    node.output.replace_all_uses_with(fork.output)
    node.destroy()
    return subgraph


def _read_from_outside(node: Node) -> list[Value]:
    block = node.blocks[0]
    found: dict[Value, None] = {}
    readers = [*block.walk(), *(inner.return_node for owner in block.walk() for inner in owner.blocks)]
    for reader in (*readers, block.return_node):
        for value in reader.inputs:
            if value.node is not block.param_node and not value.node.is_inside(block):
                found[value] = None
    return list(found)
