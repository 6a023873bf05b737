"""What `freeze` does first: branches on settings (`self.training`) are taken, so that what they leave out is gone
before anybody asks what the program writes. Works on captured graphs, where tensors and lists may still change."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.graph import Graph, Node
from optc.ir.types import BOOL
from optc.passes.branch_simplification import splice
from optc.passes.constant_folding import fold_node

_LARGEST = 4096
_IDENTITY = {"aten::__is__": True, "aten::__isnot__": False}
"""What questions for identity give for one and the same value: here, before copies are taken for what they copy."""


def take_settled_branches(graph: Graph) -> bool:
    """Fold operators on scalar constants and take the branches they decide, until nothing changes."""
    changed = False
    while _once(graph):
        changed = True
    return changed


def _once(graph: Graph) -> bool:
    changed = False
    for node in list(graph.walk()):
        if node.owner is None:
            continue
        if node.kind == "prim::If" and node.inputs[0].is_constant:
            taken = node.blocks[0 if node.inputs[0].constant else 1]
            splice(node, taken)
            changed = True
        elif node.kind in _IDENTITY and node.inputs[0] is node.inputs[1]:
            with graph.inserting(node):
                node.output.replace_all_uses_with(graph.insert_constant(_IDENTITY[node.kind], BOOL))
            node.destroy()
            changed = True
        elif _is_scalar(node):
            changed |= fold_node(graph, node, _LARGEST)
    return changed


def _is_scalar(node: Node) -> bool:
    """True for a node that computes on nothing that could be changed in place."""
    return bool(node.inputs) and all(value.is_constant and _is_immutable(value.constant) for value in node.inputs)


def _is_immutable(constant: Any) -> bool:
    return not isinstance(constant, np.ndarray | list | dict)
