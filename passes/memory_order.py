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
from typing import Any, TypeAlias

import numpy as np

from optc.eager.result_order import ORDERS, in_rows
from optc.ir.dims import Dim, substitute, symbol, symbols
from optc.ir.graph import Node, Value
from optc.ir.types import TensorType
from optc.ops.abstract import abstract
from optc.ops.effects import has_memory_order
from optc.ops.group_products import MATRIX_PRODUCTS
from optc.ops.memory_formats import PRESERVE
from optc.ops.registry import Decomposition, Layout, Operator, Pointwise, operator_of
from optc.ops.shapes import known
from optc.ops.writes import VIEWS

_ALIASES = frozenset((*VIEWS, "aten::reshape", "aten::flatten.using_ints"))
"""What PyTorch makes without a copy wherever memory allows it: operators of native code that only name elements anew may
copy them there."""


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
    if makes_rows(node) or isinstance(operator, Operator) and _always_gives_rows(node, operator):
        return True
    if node.kind == "prim::OutOfRows":
        return False
    if operator is not None and isinstance(operator.lowering, Decomposition) and not _gives_rows(operator):
        return False
    if operator is not None and "memory_format" in operator.schema.positions and not _keeps_format(node):
        return False
    if _is_view(node):
        return _lies(value, _are_rows, assumed)
    return all(is_in_order(item, assumed) for item in node.inputs)


def is_in_order(value: Value, assumed: set[Value]) -> bool:
    """True for what certainly lies row by row, gaps or not, if the values in `assumed` do."""
    if value in assumed or not has_memory_order(value):
        return True
    if value.is_constant or value.is_parameter or not _is_view(value.node):
        return is_in_rows(value, assumed)
    return _lies(value, _are_ordered, assumed)


def _is_view(node: Node) -> bool:
    operator = operator_of(node)
    return operator is not None and isinstance(operator.lowering, Layout)


def makes_rows(node: Node) -> bool:
    """True for what puts elements into rows, whatever order they were in."""
    if node.kind not in ("aten::contiguous", "aten::clone"):
        return node.kind == "prim::InRows"
    return len(node.inputs) > 1 and node.inputs[1].is_constant and node.inputs[1].constant == 0


def _keeps_format(node: Node) -> bool:
    """True unless a node is told to lay memory out otherwise than row by row."""
    operator = operator_of(node)
    assert operator is not None
    given = node.inputs[operator.schema.positions["memory_format"]]
    return given.is_constant and given.constant in (None, 0, 1)


def _always_gives_rows(node: Node, operator: Operator) -> bool:
    """True for products, and for what brings its results into rows whatever order its arguments have, as softmax does."""
    is_product = operator.lowering in MATRIX_PRODUCTS
    makes_rows = operator.makes_rows
    does = makes_rows(node) if callable(makes_rows) else makes_rows
    return is_product or does or ORDERS.get(operator.schema.name) is in_rows


def source_of_order(value: Value) -> Value:
    """The tensor whose order in memory a new one has, gaps closed: that of `x` for `x * 2`, and for `zeros_like(x)`, which
    is decomposed into what knows nothing of `x`; the value itself where it is not known to follow another.
    """
    leader = None if operator_of(value.node) is None else _leader(value.node)
    return value if leader is None else source_of_order(leader)


def _leader(node: Node) -> Value | None:
    """The argument whose order a result takes."""
    operator = operator_of(node)
    assert operator is not None
    tensors = [value for value in node.inputs if has_memory_order(value)]
    if not tensors or operator.schema.name in ORDERS or operator.in_rows or not _is_alike(tensors[0], node.output):
        return None
    if isinstance(operator.lowering, Pointwise):
        return tensors[0]
    place = operator.schema.positions.get("memory_format")
    if place is None or not isinstance(operator.lowering, Decomposition) or tensors[0] is not node.inputs[0]:
        return None
    given = node.inputs[place]
    return tensors[0] if given.is_constant and given.constant in (None, PRESERVE) else None


def _gives_rows(operator: Operator) -> bool:
    """True when a result of tensors in rows is in rows in PyTorch, whatever it is made of here."""
    return operator.in_rows or operator.schema.name in ORDERS


def _is_alike(value: Value, other: Value) -> bool:
    """True for two tensors of one shape."""
    first, second = value.type, other.type
    return (
        isinstance(first, TensorType)
        and isinstance(second, TensorType)
        and first.shape is not None
        and first.shape == second.shape
    )


def permutation_of(value: Value) -> tuple[Value, tuple[int, ...]] | None:
    """What a view is a permutation of, and how: dimension i of the view is dimension order[i] of the other."""
    operator = operator_of(value.node)
    source = value.node.inputs[0] if value.node.inputs else value
    shape = source.type.shape if isinstance(source.type, TensorType) else None
    if operator is None or not isinstance(operator.lowering, Layout) or shape is None:
        return None
    strides = tuple(symbol(f"stride{place}") for place in range(len(shape)))
    placed = operator.lowering.function(shape, strides, 0, *map(abstract, value.node.inputs[1:]))
    if placed is None or placed[2] != 0 or len(placed[1]) != len(strides) or not set(strides).issubset(placed[1]):
        return None
    order = tuple(strides.index(stride) for stride in placed[1])
    return (source, order) if tuple(placed[0]) == tuple(shape[place] for place in order) else None


def _is_parameter_in_rows(value: Value, assumed: set[Value]) -> bool:
    loop = value.node.block.owning_node
    if loop is None:
        return True
    return is_in_rows(loop.inputs[value.offset + 1], assumed) and is_in_rows(
        loop.blocks[0].outputs[value.offset], assumed
    )


_Holds: TypeAlias = Callable[[Sequence[int], Sequence[int]], bool]
"""What is asked about the extents and steps of a tensor."""


def _lies(value: Value, holds: _Holds, assumed: set[Value]) -> bool:
    """True where something certainly holds for a view; extents that are not known are made up."""
    numbers: dict[str, Dim] = {name: 3 + 2 * place for place, name in enumerate(sorted(_names(value)))}
    placed = _placed(value, numbers, assumed)
    return placed is not None and holds(*placed)


def _names(value: Value) -> frozenset[str]:
    """The symbols in the extents of a tensor, and of all that it is a view of."""
    shape = value.type.shape if isinstance(value.type, TensorType) else None
    names = frozenset().union(*map(_symbols, (shape or (), *map(abstract, value.node.inputs[1:]))))
    return names | _names(value.node.inputs[0]) if _is_view(value.node) else names


def _placed(value: Value, numbers: dict[str, Dim], assumed: set[Value]) -> tuple[Any, Any] | None:
    """The extents and steps of a tensor, of a view of a view too: `x.t().reshape(-1)` is a copy, and so in rows."""
    node, operator = value.node, operator_of(value.node)
    shape = value.type.shape if isinstance(value.type, TensorType) else None
    if shape is None:
        return None
    sizes = tuple(_number(dim, numbers) for dim in shape)
    if value.is_constant or value.is_parameter or operator is None or not isinstance(operator.lowering, Layout):
        return (sizes, _rows(sizes)) if is_in_rows(value, assumed) else None
    source = _placed(node.inputs[0], numbers, assumed)
    if source is None or operator.name not in _ALIASES and not _are_rows(*source):
        return None
    try:
        arguments = [_number(abstract(item), numbers) for item in node.inputs[1:]]
        placed = operator.lowering.function(*source, 0, *arguments)
    except Exception:  # noqa: BLE001 - the made-up extents do not fit the view
        return None
    return (sizes, _rows(sizes)) if placed is None else (known(placed[0]), known(placed[1]))


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
