"""Attributes that are only assigned where they are None, which they are not: what is computed once and then kept.

if self.scales is None:
    self.scales = setup(x)          # holds [0.25, 0.125]: this never runs
use(self.scales)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import NONE

Key = tuple[int, str]
"""What tells attributes apart."""


def unreached_writes(
    graph: Graph, is_access: Callable[[Node, str], bool], key_of: Callable[[Node], Key], held: Mapping[Key, Any]
) -> set[Key]:  # fmt: skip
    """The attributes no assignment of which can run as long as those among them hold what they hold now.

    `is_access(node, kind)` is true of the reads and assignments of attributes that are known, `held` says what they hold.
    """
    writes = [node for node in graph.walk() if is_access(node, "prim::SetAttr")]
    kept = {key_of(node) for node in writes if held.get(key_of(node)) is not None}

    def is_kept(value: Value) -> bool:
        return is_access(value.node, "prim::GetAttr") and key_of(value.node) in kept

    while True:
        reached = {key_of(node) for node in writes if key_of(node) in kept and _may_run(node, is_kept)}
        if not reached:
            return kept
        kept -= reached


def _may_run(node: Node, is_kept: Callable[[Value], bool]) -> bool:
    """False for a node inside of a branch that is not taken."""
    block = node.block
    while block.owning_node is not None:
        outer = block.owning_node
        answer = _truth(outer.inputs[0], is_kept) if outer.kind == "prim::If" else None
        if answer is not None and block is outer.blocks[1 if answer else 0]:
            return False
        block = outer.block
    return True


def _truth(condition: Value, is_kept: Callable[[Value], bool]) -> bool | None:
    """What a condition is while attributes hold what they hold: questions for None, joined by `and`, `or` and `not`."""
    node = condition.node
    if condition.is_constant:
        return bool(condition.constant)
    if node.kind in ("aten::__is__", "aten::__isnot__"):
        left, right = node.inputs
        is_answer = (right.type is NONE and is_kept(left)) or (left.type is NONE and is_kept(right))
        return node.kind == "aten::__isnot__" if is_answer else None
    if node.kind == "aten::__not__":
        answer = _truth(node.inputs[0], is_kept)
        return None if answer is None else not answer
    if node.kind != "prim::If" or condition.is_parameter:
        return None
    chosen = _truth(node.inputs[0], is_kept)
    if chosen is None:
        return None
    return _truth(node.blocks[0 if chosen else 1].outputs[condition.offset], is_kept)
