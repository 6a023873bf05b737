"""In which order the elements of tensors lie in memory, where that is seen: random numbers are drawn in that order.

PyTorch gives the result of an operator the order of its operands, so that the numbers of `dropout(x.t())` come column by
column, and has a rule of its own for memory with gaps. Native code keeps rows everywhere. A tensor is *in rows* when its
elements lie row by row without gaps: arguments are taken to be (`optc.runtime` looks), results of operators on such
tensors are, views may not be. A view *in order* lies row by row, with gaps perhaps, as one half of all columns does:
results of operators on it have no gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from optc.ir.dims import Dim, substitute, symbols
from optc.ir.graph import Node, Value
from optc.ir.types import TensorType
from optc.ops.abstract import abstract
from optc.ops.effects import has_memory_order
from optc.ops.registry import Kernel, Layout, operator_of
from optc.ops.shapes import known


def draws_in_rows(node: Node) -> bool:
    """True when the tensors of a node that draws are certain to be in rows."""
    return all(is_in_rows(value, set()) for value in node.inputs)


def is_in_rows(value: Value, assumed: set[Value]) -> bool:
    """True for what is certain to be in rows, if the values in `assumed` are."""
    if value in assumed or not has_memory_order(value):
        return True
    assumed.add(value)
    node = value.node
    if node.kind == "prim::Param":
        return _is_parameter_in_rows(value, assumed)
    if node.kind == "prim::Constant":
        return isinstance(value.constant, np.ndarray) and bool(value.constant.flags.c_contiguous)
    if node.kind == "prim::If":
        return all(is_in_rows(block.outputs[value.offset], assumed) for block in node.blocks)
    if node.kind == "prim::Loop":
        carried = (node.inputs[value.offset + 2], node.blocks[0].outputs[value.offset + 1])
        return all(is_in_rows(item, assumed) for item in carried)
    operator = operator_of(node)
    if operator is not None and isinstance(operator.lowering, Kernel) and operator.lowering.name == "matmul":
        return True
    if _is_view(node):
        return _keeps(node, _are_rows) and is_in_rows(node.inputs[0], assumed)
    return all(_is_in_order(item, assumed) for item in node.inputs)


def _is_in_order(value: Value, assumed: set[Value]) -> bool:
    """True for what certainly lies row by row, gaps or not, if the values in `assumed` do."""
    if value in assumed or not has_memory_order(value):
        return True
    if value.is_constant or value.is_parameter or not _is_view(value.node):
        return is_in_rows(value, assumed)
    return _keeps(value.node, _are_ordered) and _is_in_order(value.node.inputs[0], assumed)


def _is_view(node: Node) -> bool:
    operator = operator_of(node)
    return operator is not None and isinstance(operator.lowering, Layout)


def _is_parameter_in_rows(value: Value, assumed: set[Value]) -> bool:
    loop = value.node.block.owning_node
    if loop is None:
        return True
    return is_in_rows(loop.inputs[value.offset + 1], assumed) and is_in_rows(
        loop.blocks[0].outputs[value.offset], assumed
    )


def _keeps(node: Node, holds: Callable[[Sequence[int], Sequence[int]], bool]) -> bool:
    """True for a view of which something holds when its operand is in rows; extents are made up."""
    operator = operator_of(node)
    shape = node.inputs[0].type.shape if isinstance(node.inputs[0].type, TensorType) else None
    if operator is None or not isinstance(operator.lowering, Layout) or shape is None:
        return False
    arguments = [abstract(value) for value in node.inputs[1:]]
    names = sorted(set().union(*map(_symbols, (*shape, *arguments))))
    numbers: dict[str, Dim] = {name: 3 + 2 * place for place, name in enumerate(names)}
    sizes = tuple(_number(dim, numbers) for dim in shape)
    try:
        placed = operator.lowering.function(sizes, _rows(sizes), 0, *(_number(item, numbers) for item in arguments))
    except Exception:  # noqa: BLE001 - the made-up extents do not fit the view
        return False
    return placed is None or holds(known(placed[0]), known(placed[1]))


def _are_rows(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    return all(extent == 1 or mine == rows for extent, mine, rows in zip(sizes, strides, _rows(sizes)))


def _are_ordered(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    moving = [stride for extent, stride in zip(sizes, strides) if extent != 1]
    return all(following > 0 for following in moving) and all(first > second for first, second in pairwise(moving))


def _rows(sizes: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(np.prod(sizes[place + 1 :])) for place in range(len(sizes)))


def _symbols(item: Any) -> frozenset[str]:
    if isinstance(item, list | tuple):
        return frozenset().union(*map(_symbols, item))
    return symbols(item) if isinstance(item, Dim) else frozenset()


def _number(item: Any, numbers: dict[str, Dim]) -> Any:
    if isinstance(item, list | tuple):
        return type(item)(_number(part, numbers) for part in item)
    return substitute(item, numbers) if isinstance(item, Dim) and not isinstance(item, bool) else item
