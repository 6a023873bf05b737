"""The pass `layout`.

    y = permute(x, p)               y = relu(x)
    z = relu(y)               =>    z = permute(y, p)

Convolutions compute rows of channels, and say so with a permutation and a reshape behind the product. Here these move
behind everything that works element by element, along one dimension, or on parts: products take such operators into
their epilogues, and a permutation that reaches the inverse one of the next convolution disappears with it.

A permutation only passes an operator whose other tensors can be had in the order that stands before it for nothing:
those that were permuted the same way, numbers, what is broadcast, and constants. So no pass of one undoes another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from optc.errors import OptcError
from optc.ir.dims import Dim, product, symbol
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import TensorType
from optc.ops.abstract import abstract, normalize_dim, normalize_dims
from optc.ops.builder import Builder
from optc.ops.effects import draws
from optc.ops.group_products import MATRIX_PRODUCTS
from optc.ops.joining import pad_pairs
from optc.ops.registry import Kernel, Layout, Operator, Pointwise, Reduction, operator_of
from optc.ops.shapes import contiguous_strides
from optc.pipeline import graph_pass

Permutation = tuple[int, ...]


@graph_pass(
    "layout",
    functional=True,
    after={"decompose": "convolutions become products there, with a permutation on either side"},
)
def layout(graph: Graph) -> bool:
    """Move permutations, and reshapes of products, behind operators that do not care, until they meet their inverse."""
    changed, moved = False, True
    while moved:
        moved = sum(_move(graph, node) for node in list(graph.walk()) if len(node.outputs) == 1) > 0
        changed |= moved
    return changed


def _move(graph: Graph, node: Node) -> bool:
    operator = operator_of(node)
    if operator is None or draws(node) or not _is_typed(node.output):
        return False
    for rewrite in (_permuted_result, _flat_result):
        result = _rewritten(graph, node, operator, rewrite)
        if result is not None:
            result.name = result.name or node.output.name
            node.output.replace_all_uses_with(result)
            node.destroy()
            return True
    return False


def _rewritten(graph: Graph, node: Node, operator: Operator, rewrite: Callable[..., Value | None]) -> Value | None:
    """What stands in for the node; None, and nothing left behind, where the rewrite does not apply."""
    before = node.previous
    with graph.replacing(node):
        try:
            result = rewrite(Builder(graph), node, operator)
        except OptcError:
            result = None
    while result is None and node.previous is not None and node.previous is not before:
        node.previous.destroy()
    return result


def _is_typed(value: Value) -> bool:
    return isinstance(value.type, TensorType) and value.type.is_typed


def _shape(value: Value) -> tuple[Dim, ...]:
    assert isinstance(value.type, TensorType) and value.type.shape is not None
    return value.type.shape


# Permutations --------------------------------------------------------------------------------------------------------


def _permutation(value: Value) -> tuple[Value, Permutation] | None:
    """What a value is a permutation of, and how: dimension i of the value is dimension p[i] of the other."""
    lowering = _lowering(value)
    if not isinstance(lowering, Layout) or not _is_typed(value.node.inputs[0]):
        return None
    source = value.node.inputs[0]
    order = _order(lowering.function, _shape(source), tuple(_frozen(abstract(item)) for item in value.node.inputs[1:]))
    return None if order is None or order == tuple(range(len(order))) else (source, order)


@lru_cache(maxsize=4096)
def _order(function: Callable[..., Any], shape: tuple[Dim, ...], arguments: tuple[Any, ...]) -> Permutation | None:
    """How a view permutes the dimensions of a tensor, None where it does something else: layers ask the same again."""
    strides = tuple(symbol(f"stride{place}") for place in range(len(shape)))
    placed = function(shape, strides, 0, *map(_thawed, arguments))
    if placed is None or placed[2] != 0 or len(placed[1]) != len(strides) or not set(strides).issubset(placed[1]):
        return None
    return tuple(strides.index(stride) for stride in placed[1])


def _frozen(value: Any) -> Any:
    """Lists as what can be a key, each element with its type: 1 is not True."""
    if isinstance(value, list):
        return ("list", *map(_frozen, value))
    return type(value), value


def _thawed(value: Any) -> Any:
    return [*map(_thawed, value[1:])] if value[0] == "list" else value[1]


def _inverse(order: Sequence[int]) -> Permutation:
    return tuple(order.index(place) for place in range(len(order)))


def _permuted_result(b: Builder, node: Node, operator: Operator) -> Value | None:
    """The node's result as a permutation of what it computes in the order before; None where it has to stay."""
    lowering = operator.lowering
    if isinstance(lowering, Pointwise):
        return _permuted_pointwise(b, node, operator)
    if isinstance(lowering, Kernel) and lowering.name == "concatenate":
        return _permuted_concatenation(b, node, operator)
    if not node.inputs or (found := _permutation(node.inputs[0])) is None:
        return None
    source, order = found
    if isinstance(lowering, Reduction):
        return _permuted_reduction(b, node, operator, source, order)
    if isinstance(lowering, Kernel) and lowering.name == "pad":
        return _permuted_pad(b, node, operator, source, order)
    return _permuted_view(b, node, operator, source, order) if isinstance(lowering, Layout) else None


def _common_order(values: Sequence[Value], rank: int) -> Permutation | None:
    """The permutation that all values have which have one at all."""
    orders = {found[1] for value in values if (found := _permutation(value)) is not None and len(found[1]) == rank}
    return orders.pop() if len(orders) == 1 else None


def _permuted_pointwise(b: Builder, node: Node, operator: Operator) -> Value | None:
    tensors = [value for value in node.inputs if isinstance(value.type, TensorType)]
    shape = _shape(node.output)
    order = _common_order([value for value in tensors if _is_typed(value) and _shape(value) == shape], len(shape))
    if order is None or not all(map(_is_typed, tensors)):
        return None
    if all(_turns_lanes(use.node, order) for use in node.output.uses):
        return None  # the permutation would stay between this operator and the reduction that it belongs to
    moved = {value: _in_order(b, value, shape, order) for value in tensors}
    if any(value is None for value in moved.values()):
        return None
    result = b(operator.name, *(moved.get(value, value) for value in node.inputs))
    return _permuted(b, result, order)


def _in_order(b: Builder, value: Value, shape: tuple[Dim, ...], order: Permutation) -> Value | None:
    """An operand of a result of `shape` as it stands before the permutation; None where that is not free."""
    found = _permutation(value)
    if found is not None and found[1] == order and _shape(value) == shape:
        return found[0]
    own = _shape(value)
    if all(extent == 1 for extent in own):
        return value if len(own) <= len(shape) else None
    if own == shape and not value.is_constant:
        return None
    wide = (1,) * (len(shape) - len(own)) + own
    if len(wide) > len(own):
        value = b("aten::reshape", value, list(wide))
    return _permuted(b, value, _inverse(order))


def _permuted(b: Builder, value: Value, order: Permutation) -> Value:
    if order == tuple(range(len(order))):
        return value
    result: Value = b("aten::permute", value, list(order))
    return result


def _permuted_concatenation(b: Builder, node: Node, operator: Operator) -> Value | None:
    listed = node.inputs[0].node
    if listed.kind != "prim::ListConstruct" or not all(map(_is_typed, listed.inputs)):
        return None
    rank = len(_shape(node.output))
    parts = [_permutation(value) for value in listed.inputs]
    order = _common_order(listed.inputs, rank)
    dim = abstract(node.inputs[1])
    if order is None or not isinstance(dim, int) or any(part is None or part[1] != order for part in parts):
        return None
    sources = [part[0] for part in parts if part is not None]
    return _permuted(b, b(operator.name, sources, order[normalize_dim(dim, rank)]), order)


def _permuted_reduction(
    b: Builder, node: Node, operator: Operator, source: Value, order: Permutation
) -> Value | None:  # fmt: skip
    positions = operator.schema.positions
    arguments: list[Any] = list(node.inputs[1:])
    if "dim" not in positions:
        return b(operator.name, source, *arguments) if not _shape(node.output) else None
    dims = abstract(node.inputs[positions["dim"]])
    kept = abstract(node.inputs[positions["keepdim"]]) if "keepdim" in positions else False
    if not _is_known(dims) or not isinstance(kept, bool):
        return None
    if _turns_lanes(node, order):
        return None
    reduced = normalize_dims(dims, len(order))
    moved = [order[dim] for dim in reduced]
    arguments[positions["dim"] - 1] = moved if isinstance(dims, list | tuple) or dims is None else moved[0]
    result = b(operator.name, source, *arguments)
    if kept:
        return _permuted(b, result, order)
    left = [place for dim, place in enumerate(order) if dim not in reduced]
    return _permuted(b, result, tuple(sorted(left).index(place) for place in left))


def _turns_lanes(node: Node, order: Permutation) -> bool:
    """True for a reduction that keeps the last dimension, along which lanes run, but before the permutation would not."""
    operator = operator_of(node)
    if operator is None or not isinstance(operator.lowering, Reduction) or "dim" not in operator.schema.positions:
        return False
    dims = abstract(node.inputs[operator.schema.positions["dim"]])
    if not _is_known(dims):
        return False
    reduced = normalize_dims(dims, len(order))
    return len(order) - 1 in [order[dim] for dim in reduced] and len(order) - 1 not in reduced


def _is_known(dims: Any) -> bool:
    listed = dims if isinstance(dims, list | tuple) else [dims]
    return dims is None or all(isinstance(dim, int) for dim in listed)


def _permuted_pad(b: Builder, node: Node, operator: Operator, source: Value, order: Permutation) -> Value | None:
    pads = abstract(node.inputs[1])
    if not _is_known(pads) or not any(_permutation(use.node.output) for use in node.output.uses if use.node.outputs):
        return None  # padding copies anyway, in whatever order
    pairs = pad_pairs(_shape(node.inputs[0]), pads)
    moved = [pairs[order.index(place)] for place in range(len(order))]
    listed = [number for pair in reversed(moved) for number in pair]
    return _permuted(b, b(operator.name, source, listed, node.inputs[2]), order)


def _permuted_view(b: Builder, node: Node, operator: Operator, source: Value, order: Permutation) -> Value | None:
    """Views that work along one dimension: a slice, a window, a single place."""
    name = next((name for name in ("dim", "dimension") if name in operator.schema.positions), None)
    if name is None or _permutation(node.output) is not None:
        return None
    place = operator.schema.positions[name]
    dim = abstract(node.inputs[place])
    if not isinstance(dim, int) or not order:
        return None
    arguments = [abstract(value) for value in node.inputs[1:]]
    strides = tuple(symbol(f"stride{number}") for number in range(len(order)))
    lowering = operator.lowering
    assert isinstance(lowering, Layout)
    permuted = lowering.function(_shape(node.inputs[0]), tuple(strides[place] for place in order), 0, *arguments)
    moved_dim = order[dim % len(order)]
    arguments[place - 1] = moved_dim
    moved = lowering.function(_shape(source), strides, 0, *arguments)
    if permuted is None or moved is None or permuted[2] != moved[2]:
        return None
    dimensions = list(zip(moved[0], moved[1]))
    wanted = list(zip(permuted[0], permuted[1]))
    if len(set(moved[1])) != len(moved[1]) or len(wanted) != len(dimensions) or set(wanted) != set(dimensions):
        return None
    inputs = [source, *node.inputs[1:]]
    result = b(operator.name, *inputs[:place], moved_dim, *inputs[place + 1 :])
    return _permuted(b, result, tuple(dimensions.index(dimension) for dimension in wanted))


# Reshapes of products ------------------------------------------------------------------------------------------------


def _rows(value: Value) -> Value | None:
    """The matrix that a value folds into more dimensions, the last of which stays."""
    view = _lowering(value)
    if not isinstance(view, Layout) or not _is_typed(value) or not _is_typed(value.node.inputs[0]):
        return None
    matrix, shape = value.node.inputs[0], _shape(value)
    if len(_shape(matrix)) != 2 or len(shape) < 3 or shape[-1] != _shape(matrix)[1]:
        return None
    placed = view.function(_shape(matrix), (shape[-1], 1), 0, *map(abstract, value.node.inputs[1:]))
    if placed is None or placed[2] != 0 or tuple(placed[1]) != contiguous_strides(shape):
        return None
    lowering = _lowering(matrix)
    is_product = lowering in MATRIX_PRODUCTS
    return matrix if is_product or isinstance(lowering, Pointwise | Reduction) else None


def _lowering(value: Value) -> Any:
    """How the operator behind a value is lowered; None for arguments and constants."""
    operator = None if value.is_parameter or value.is_constant else operator_of(value.node)
    return None if operator is None else operator.lowering


def _flat_result(b: Builder, node: Node, operator: Operator) -> Value | None:
    """The node's result as a reshape of what it computes from matrices; None where it has to stay."""
    if isinstance(operator.lowering, Pointwise):
        return _flat_pointwise(b, node, operator)
    if isinstance(operator.lowering, Reduction):
        return _flat_reduction(b, node, operator)
    return None


def _flat_pointwise(b: Builder, node: Node, operator: Operator) -> Value | None:
    tensors = [value for value in node.inputs if isinstance(value.type, TensorType)]
    shape = _shape(node.output)
    if not all(map(_is_typed, tensors)) or not any(_shape(v) == shape and _rows(v) is not None for v in tensors):
        return None
    moved: dict[Value, Value] = {}
    for value in tensors:
        flat = _flattened(b, value, shape)
        if flat is None:
            return None
        moved[value] = flat
    result = b(operator.name, *(moved.get(value, value) for value in node.inputs))
    folded: Value = b("aten::reshape", result, list(shape))
    return folded


def _flattened(b: Builder, value: Value, shape: tuple[Dim, ...]) -> Value | None:
    """An operand of a result of `shape` as one of its matrix of rows; None where that is not free."""
    own = _shape(value)
    if own == shape and (matrix := _rows(value)) is not None:
        return matrix
    if all(extent == 1 for extent in own):
        return b("aten::reshape", value, [1] * min(len(own), 2)) if len(own) > 2 else value
    if all(extent == 1 for extent in own[:-1]):
        return b("aten::reshape", value, [own[-1]]) if len(own) > 1 else value
    if own[:-1] != shape[:-1] or own[-1] not in (1, shape[-1]):
        return None
    flat: Value = b("aten::reshape", value, [product(own[:-1]), own[-1]])
    return flat


def _flat_reduction(b: Builder, node: Node, operator: Operator) -> Value | None:
    """A reduction of every row."""
    matrix = _rows(node.inputs[0])
    positions = operator.schema.positions
    if matrix is None or "dim" not in positions:
        return None
    dims = abstract(node.inputs[positions["dim"]])
    rank = len(_shape(node.inputs[0]))
    if not _is_known(dims) or normalize_dims(dims, rank) != (rank - 1,):
        return None
    arguments: list[Any] = list(node.inputs[1:])
    arguments[positions["dim"] - 1] = [1] if isinstance(dims, list | tuple) else 1
    result: Value = b("aten::reshape", b(operator.name, matrix, *arguments), list(_shape(node.output)))
    return result
