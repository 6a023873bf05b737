"""What `isinstance` answers where types tell: in captured programs (`settled-branches`) and in core ones (`canonicalize`)."""

from __future__ import annotations

from optc.ir.graph import Graph, Node
from optc.ir.types import ANY, NONE, OptionalType, Type, UnionType, is_subtype


def answer_type(graph: Graph, node: Node) -> bool:
    """isinstance(x, T), where the type of x tells. True when the node is gone."""
    told = belongs(node.inputs[0].type, node.attributes["types"])
    if told is None:
        return False
    with graph.inserting(node):
        answer = graph.insert_constant(told, node.output.type)
    node.output.replace_all_uses_with(answer)
    node.destroy()
    return True


def belongs(type_: Type, wanted: list[Type]) -> bool | None:
    """Whether values of a type are of one of the wanted types; None where some are, or may be, and others not."""
    if type_ is ANY:
        return None
    if isinstance(type_, OptionalType | UnionType):
        members = type_.members if isinstance(type_, UnionType) else (type_.element, NONE)
        answers = {belongs(member, wanted) for member in members}
        return answers.pop() if len(answers) == 1 else None
    if any(is_subtype(type_, other) for other in wanted):
        return True
    return None if any(is_subtype(other, type_) for other in wanted) else False
