"""The pass `checked-expansions`.

                                              prim::If((u0 - u1) * (u0 - 1) == 0): else raise
%y : Tensor = aten::expand(%x, [%u1, 4])  =>  %places : Long(u1) = aten::clamp(aten::arange(%u1), 0, u0 - 1)
                                              %a : Float(u1, 1) = aten::index_select(%x, 0, %places)
                                              %y : Float(u1, 4) = aten::expand(%a, [%u1, 4])

where %x has u0 rows, and only running tells whether they are u1, or one that is repeated. Operands of pointwise
operators are expanded to the extents they have in common in the same way, and what is written to those of its target:
in `x += y`, to which x keeps its own extents.

A loop that carries an operand loses its rank where the result is what it carries. Such operands have as many dimensions
as where they are met first, and the extents that the program asks them for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from optc.ir.dims import Dim, Symbolic, fresh
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import TENSOR, IntType, TensorType
from optc.ops.abstract import UndecidedShape, abstract, is_runtime
from optc.ops.builder import Builder
from optc.ops.common_extents import common_extent
from optc.ops.registry import Pointwise, operator_of
from optc.ops.shape import expanded_sizes, fits_second_to_first
from optc.ops.writes import is_stored_in_first
from optc.passes.checked_views import is_open
from optc.passes.infer_shapes import Shapes, undecided_extents
from optc.pipeline import Context, graph_pass


@graph_pass(
    "checked-expansions",
    functional=True,
    after={"infer-shapes": "it says which extents are not known to be equal"},
)
def checked_expansions(graph: Graph, *, context: Context) -> bool:
    """Let the program check that extents are equal, or one of them 1, where one is to be expanded to the other."""
    changed = False
    for node in list(graph.walk()):
        changed |= _check(node) or _check_operands(node) or _check_source(node)
    if changed or not any(node.kind == "prim::Loop" for node in graph.walk()):
        return changed
    for node, undecided in undecided_extents(graph, context).items():
        changed |= _check_met_operands(node, undecided.shapes)
    return changed


def _check(node: Node) -> bool:
    operator = operator_of(node)
    sizes_of = None if operator is None else expanded_sizes(operator)
    if sizes_of is None or not is_open(node):
        return False
    shape = abstract(node.inputs[0]).shape
    try:
        sizes = list(sizes_of(*(abstract(value) for value in node.inputs[1:])))
    except (UndecidedShape, TypeError):
        return False
    if len(sizes) < len(shape) or not all(isinstance(size, int | Symbolic) for size in sizes):
        return False
    with node.graph.replacing(node):
        b = Builder(node.graph)
        x = _of_equal_extents(b, node.inputs[0], shape, sizes)
        node.output.replace_all_uses_with(b("aten::expand", x, sizes))
    node.destroy()
    return True


def _check_operands(node: Node) -> bool:
    """Expand the operands of a pointwise operator, where data decides whether they have the same extents."""
    if not _is_open_pointwise(node):
        return False
    types = [value.type for value in node.inputs if isinstance(value.type, TensorType)]
    shapes = [type_.shape for type_ in types if type_.dtype is not None and type_.shape is not None]
    target = _target(node)
    kept = target.type.shape if target is not None and isinstance(target.type, TensorType) else None
    common = _common_extents(shapes, kept) if len(shapes) == len(types) else None
    if common is None:
        return False
    with node.graph.inserting(node):
        b = Builder(node.graph)
        node.set_inputs([_expanded(b, value, common) for value in node.inputs])
    return True


def _is_open_pointwise(node: Node) -> bool:
    operator = operator_of(node)
    if operator is None or not isinstance(operator.lowering, Pointwise) or operator.has_effects:
        return False
    return isinstance(node.output.type, TensorType) and node.output.type.shape is None


def _target(node: Node) -> Value | None:
    """The operand that a pointwise operator is certain to write its result to."""
    for use in node.output.uses:
        operator = operator_of(use.node)
        if operator is None or not is_stored_in_first(operator) or use.slot != 1 or use.node.block is not node.block:
            continue
        target = use.node.inputs[0]
        return target if target in node.inputs else None
    return None


def _check_met_operands(node: Node, shapes: Shapes) -> bool:
    """Expand the operands of a pointwise operator in a loop, which have as many dimensions as where they are met first."""
    operands = [value for value in node.inputs if isinstance(value.type, TensorType)]
    if not _is_open_pointwise(node) or any(value not in shapes for value in operands):
        return False
    axes = _open_axes([shapes[value] for value in operands])
    if not axes or all(isinstance(value.type, TensorType) and value.type.shape is not None for value in operands):
        return False
    expanded = {value: value for value in operands}
    target = _target(node)
    with node.graph.inserting(node):
        b = Builder(node.graph)
        for axis in axes:
            having = [value for value in expanded if len(shapes[value]) >= -axis and shapes[value][axis] != 1]
            extents = {value: _extent(b, value, axis) for value in having}
            model = target if target in extents else _longest({value: shapes[value][axis] for value in having})
            common = reduce(common_extent, extents.values()) if model is None else extents.pop(model)
            for value, extent in extents.items():
                places = _places(b, extent, common)
                inputs = [expanded[value], b.value(axis), places]
                expanded[value] = b.graph.insert("aten::index_select", inputs, (TENSOR,)).output
        node.set_inputs([expanded.get(value, value) for value in node.inputs])
    return True


def _longest(extents: dict[Value, Dim]) -> Value | None:
    """The value that has the extent which all have in common, where one of them certainly does."""
    common = reduce(common_extent, extents.values())
    return next((value for value, extent in extents.items() if extent == common), None)


def _open_axes(shapes: Sequence[Sequence[Dim]]) -> list[int]:
    """The axes, counted from the end, at which only running tells whether extents agree; none where some cannot."""
    axes: list[int] = []
    for axis in range(-max(map(len, shapes), default=0), 0):
        extents = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(extents) > 1 and not any(map(is_runtime, extents)):
            return []
        axes += [axis] if len(extents) > 1 else []
    return axes


def _extent(b: Builder, value: Value, axis: int) -> Dim:
    """What the program finds an extent to be."""
    extent = fresh()
    b.graph.insert("aten::size", [value, b.value(axis)], (IntType(extent),), overload="int")
    return extent


def _check_source(node: Node) -> bool:
    """Expand what is to be written over a tensor, where data decides whether it fits."""
    operator = operator_of(node)
    if operator is None or not fits_second_to_first(operator) or not is_open(node):
        return False
    target, source = abstract(node.inputs[0]).shape, node.inputs[1].type
    if not isinstance(source, TensorType) or not source.is_typed or len(source.shape or ()) > len(target):
        return False
    with node.graph.inserting(node):
        fitted = _expanded(Builder(node.graph), node.inputs[1], target)
        changed = fitted is not node.inputs[1]
        node.set_inputs([node.inputs[0], fitted, *node.inputs[2:]])
    return changed


def _common_extents(shapes: Sequence[Sequence[Dim]], kept: Sequence[Dim] | None) -> list[Dim] | None:
    """The extents of a result, once it is checked that those of operands are these or 1; None where nothing is open.

    It is written to an operand that has the `kept` ones.
    """
    rank, is_open = max(map(len, shapes), default=0), False
    common: list[Dim] = [1] * rank if kept is None else list(kept)
    if rank > len(common):
        return None
    for shape in shapes:
        for place, extent in enumerate(shape, rank - len(shape)):
            known = common[place]
            if extent == 1 or extent == known:
                continue
            if known != 1 and not is_runtime(known) and not is_runtime(extent):
                return None
            is_open |= known != 1 or kept is not None
            if kept is None:
                common[place] = extent if known == 1 else common_extent(known, extent)
    return common if is_open else None


def _expanded(b: Builder, value: Value, common: Sequence[Dim]) -> Value:
    shape = value.type.shape if isinstance(value.type, TensorType) else None
    if shape is None:
        return value
    sizes = common[len(common) - len(shape) :]
    result: Value = _of_equal_extents(b, value, shape, sizes)
    return result


def _of_equal_extents(b: Builder, x: Any, shape: Sequence[Dim], sizes: Sequence[Dim]) -> Any:
    """The tensor with the extents that are asked for, once the program has checked that it has these or single ones."""
    for place, (extent, size) in enumerate(zip(shape, sizes[len(sizes) - len(shape) :])):
        if size == -1 or size == extent or extent == 1:
            continue
        x = b("aten::index_select", x, place, _places(b, extent, size))
    return x


def _places(b: Builder, extent: Dim, size: Dim) -> Value:
    """Where the elements are that so many places get, once it is checked that there are as many, or one for all."""
    fits = b("aten::eq.int", (extent - size) * (extent - 1), 0)
    b.require(fits, "the expanded size of the tensor must match the existing size")
    places: Value = b("aten::clamp", b("aten::arange", size), 0, extent - 1)
    return places
