"""How long values are needed."""

from __future__ import annotations

from optc.ir.graph import Block, Node, Value
from optc.ir.types import DictType, ListType, OptionalType, TensorType, TupleType, Type


def last_readers(block: Block) -> dict[Node, list[Value]]:
    """For each node of the block, the values of the block that may hold tensors and that nobody reads after it."""
    block.number_nodes()
    result: dict[Node, list[Value]] = {}
    for node in block.nodes:
        if node.kind == "prim::Constant":
            continue
        for value in node.outputs:
            if not _may_hold_tensors(value.type):
                continue
            last = max(
                (use.node.standing_in(block) for use in value.uses), key=lambda reader: reader.position, default=node
            )
            if last is not block.return_node:
                result.setdefault(last, []).append(value)
    return result


def _may_hold_tensors(type_: Type) -> bool:
    """Whether freeing a value gives memory back."""
    return isinstance(type_, TensorType | ListType | TupleType | DictType | OptionalType)
