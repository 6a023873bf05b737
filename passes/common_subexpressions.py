"""The pass `common-subexpressions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir.dims import symbol
from optc.ir.graph import Block, Graph, Node
from optc.ir.symbols import Replacements, plain_symbol, substitute_type
from optc.ir.types import TensorType, Type
from optc.ops.effects import is_repeatable
from optc.pipeline import graph_pass

_SMALL_BYTES = 4096


@graph_pass("common-subexpressions", functional=True, alias="cse")
def common_subexpressions(graph: Graph) -> bool:
    """Compute equal expressions once; nested blocks reuse what was computed around them."""
    return share_equal(graph)


def share_equal(graph: Graph, may_share: Callable[[Node], bool] = lambda node: True) -> bool:
    """Compute equal nodes of a graph once; `may_share` leaves nodes out."""
    replacements = Replacements(graph)
    changed = _share_in(graph.block, {}, may_share, replacements)
    replacements.finish()
    return changed


def _share_in(
    block: Block, outer: dict[Any, Node], may_share: Callable[[Node], bool], replacements: Replacements
) -> bool:
    """Compute equal nodes of a block once, `outer` being those around it."""
    known = dict(outer)
    changed = False
    for node in block.nodes:
        replacements.renew(node)
        for nested in node.blocks:
            changed |= _share_in(nested, known, may_share, replacements)
        if node.blocks or not node.outputs or not is_repeatable(node) or _is_empty_list(node) or not may_share(node):
            continue
        key = _key(node)
        first = known.setdefault(key, node)
        if first is node:
            continue
        for mine, other in zip(node.outputs, first.outputs):
            replacements.replace(mine, other)
        node.destroy()
        changed = True
    return changed


def _is_empty_list(node: Node) -> bool:
    """Empty lists that grow into lists of different types only look alike."""
    return node.kind == "prim::ListConstruct" and not node.inputs


def _key(node: Node) -> tuple[Any, ...]:
    attributes = tuple((name, literal_key(value)) for name, value in sorted(node.attributes.items()))
    types = tuple(str(_without_own_symbols(value.type)) for value in node.outputs)
    return node.kind, node.overload, tuple(map(id, node.inputs)), attributes, types


def _without_own_symbols(type_: Type) -> Type:
    """The type, extents that only running tells left out: equal nodes have equal ones, under whatever names."""
    if not isinstance(type_, TensorType) or type_.is_static:
        return type_  # what an int is does not show in the text of its type
    names = [plain_symbol(dim) for dim in type_.shape or ()]
    return substitute_type(type_, {name: symbol("*") for name in names if name is not None and name[0] == "u"})


def literal_key(value: Any) -> Any:
    """A hashable stand-in that tells 1 from 1.0 and True, 0.0 from -0.0, and every NaN alike."""
    if isinstance(value, bool | int | float | str) or value is None:
        return type(value).__name__, repr(value)
    if isinstance(value, np.ndarray):
        small = value.nbytes <= _SMALL_BYTES
        # Random numbers are drawn for a constant in the order of its memory.
        content = value.tobytes() if small else id(value)
        return "array", str(value.dtype), value.shape, value.flags.c_contiguous, content
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(map(literal_key, value))
    return type(value).__name__, str(value) if type(value).__module__ == "optc.ir.dims" else id(value)
