"""Writing as values: the operators that functional graphs use where captured ones write to memory.

`aten::select_scatter` and `aten::slice_scatter` give a whole tensor in which one view has new contents;
`prim::StoreResult` is what an in-place operator leaves in its argument; `prim::List...` and `prim::DictSet` give changed
lists and dictionaries. `VIEWS` tells how to write through each view operator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir.dims import Dim, symbol
from optc.ir.dtypes import from_numpy
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import INT, TENSOR, IntType, ListType, TensorType
from optc.ops.abstract import ShapeError, UndecidedShape, Unknown, abstract, normalize_dim, same_dim
from optc.ops.builder import Builder
from optc.ops.registry import Operator, check_castable, check_written_shape, define
from optc.ops.shapes import format_shape, known_shape, slice_bounds, slice_length

Array = np.ndarray[Any, Any]


def _cast(b: Builder, value: Value, like: Value) -> Value:
    """The value in the element type of `like`."""
    dtype = b.type(like).dtype
    if dtype is None or dtype is b.type(value).dtype:
        return value
    cast: Value = b("aten::to.dtype", value, dtype.code)
    return cast


def _infer_stored(self: TensorType, result: TensorType) -> TensorType:
    check_castable(result.dtype, self.dtype)
    check_written_shape(self.shape, result.shape)
    return self


def _stored_reference(self: Array, result: Array) -> Array:
    check_castable(from_numpy(result.dtype), from_numpy(self.dtype))
    check_written_shape(self.shape, result.shape)
    with np.errstate(all="ignore"):
        return result.astype(self.dtype)


def _decompose_stored(b: Builder, self: Value, result: Value) -> Value:
    return _cast(b, result, self)


define(
    "prim::StoreResult(Tensor self, Tensor result) -> Tensor",
    infer=_infer_stored,
    reference=_stored_reference,
    decompose=_decompose_stored,
)


def is_stored_in_first(operator: Operator) -> bool:
    """For operators that write their second tensor over the first, which has its shape."""
    return operator.name == "prim::StoreResult"


def _check_source(expected: tuple[Dim, ...], source: TensorType, what: str) -> None:
    """Refuse a source that cannot fit. Of what shape one is that nobody knows yet makes no difference to the result's."""
    if source.shape is None:
        return
    given = known_shape(source)
    if len(given) != len(expected) or any(same_dim(mine, other) is False for mine, other in zip(given, expected)):
        raise ShapeError(
            f"expected src to have a size equal to the {what} of self. src size = {format_shape(given)}, "
            f"{what} size = {format_shape(expected)}"
        )


def _infer_select_scatter(self: TensorType, source: TensorType, dim: int, index: Dim) -> TensorType:
    shape = known_shape(self)
    place = normalize_dim(dim, len(shape))
    extent = shape[place]
    if isinstance(index, int) and isinstance(extent, int) and not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {format_shape(shape)} at dimension {dim}"
        )
    _check_source(shape[:place] + shape[place + 1 :], source, "slice")
    return self


def _select_scatter_reference(self: Array, source: Array, dim: int, index: int) -> Array:
    _infer_select_scatter(_type(self), _type(source), dim, index)
    result = self.copy()
    place: list[Any] = [slice(None)] * self.ndim
    place[dim] = index
    with np.errstate(all="ignore"):
        result[tuple(place)] = source
    return result


def _type(array: Array) -> TensorType:
    return TensorType(from_numpy(array.dtype), array.shape)


def positions_along(b: Builder, self: Value, place: int) -> Value:
    """0, 1, 2 ... along one dimension, shaped to broadcast against `self`."""
    shape = b.shape(self)
    sizes: list[Dim] = [1] * len(shape)
    sizes[place] = shape[place]
    numbers: Value = b("aten::arange", shape[place])
    shaped: Value = b("aten::view", numbers, sizes)
    return shaped


def choose(b: Builder, condition: Value, source: Value, self: Value) -> Value:
    """where(condition, source, self), in the element type of `self`."""
    chosen: Value = b("aten::where.self", condition, _cast(b, source, self), self)
    return chosen


define(
    "aten::select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> Tensor",
    infer=_infer_select_scatter,
    reference=_select_scatter_reference,
    kernel="select_scatter",
    may_fail=True,
    accepts_untyped=True,
)


def _infer_slice_scatter(
    self: TensorType, source: TensorType, dim: int, start: Dim | None, end: Dim | None, step: Dim
) -> TensorType:
    shape = known_shape(self)
    place = normalize_dim(dim, len(shape))
    first, last = slice_bounds(shape[place], start, end)
    _check_source((*shape[:place], slice_length(first, last, step), *shape[place + 1 :]), source, "slice")
    return self


def _slice_scatter_reference(
    self: Array, source: Array, dim: int, start: int | None, end: int | None, step: int
) -> Array:
    result = self.copy()
    place: list[Any] = [slice(None)] * self.ndim
    place[dim] = slice(start, end, step)
    with np.errstate(all="ignore"):
        result[tuple(place)] = source
    return result


def _slice_scatter(b: Builder, self: Value, source: Value, dim: int, start: Any, end: Any, step: Any) -> Value:
    """where(position is in the slice, the source's element for this position, self)."""
    shape = b.shape(self)
    place = normalize_dim(dim, len(shape))
    length = b.shape(source)[place]
    if length == 0:
        return self
    if length == shape[place] and step == 1:
        return _cast(b, source, self)
    first, _ = slice_bounds(shape[place], _known(start), _known(end))
    relative = b("aten::sub.Scalar", positions_along(b, self, place), first)
    slot = b("aten::floor_divide.Scalar", relative, step)
    here = b("aten::eq.Tensor", b("aten::mul.Scalar", slot, step), relative)
    here = b("aten::logical_and", here, b("aten::ge.Scalar", relative, 0))
    here = b("aten::logical_and", here, b("aten::lt.Scalar", slot, length))
    if length == 1:
        return choose(b, here, source, self)
    if step == 1 and not isinstance(length, int):
        return choose(b, here, _padded(b, source, place, first, shape[place]), self)
    flat = b("aten::view", b("aten::clamp", slot, 0, length - 1), [shape[place]])
    return choose(b, here, b("aten::index_select", source, place, flat), self)


def _padded(b: Builder, source: Value, place: int, first: Dim, extent: Dim) -> Value:
    """The source moved to where the slice begins, which works where it has no elements: there is nothing to look up."""
    shape = b.shape(source)
    behind = 2 * (len(shape) - place - 1)
    pads: list[Dim] = [*([0] * behind), first, extent - first - shape[place]]
    padded: Value = b("aten::constant_pad_nd", source, pads, 0)
    return padded


def _known(bound: Any) -> Any:
    return abstract(bound) if isinstance(bound, Value) else bound


define(
    "aten::slice_scatter(Tensor self, Tensor src, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) "
    "-> Tensor",
    infer=_infer_slice_scatter,
    reference=_slice_scatter_reference,
    decompose=_slice_scatter,
    accepts_untyped=True,
)


def _append(items: Any, item: Any) -> Any:
    return _with_item(items, item) if isinstance(items, Unknown) else [*items, item]


def _with_item(items: Unknown, item: Any) -> Any:
    """A list of which only the type of its elements is known, with another one, which may be unlike them."""
    element = items.type.element if isinstance(items.type, ListType) else None
    if not isinstance(element, TensorType) or element == item:
        return items
    return Unknown(ListType(_either(element, item if isinstance(item, TensorType) else TENSOR)))


def _either(left: TensorType, right: TensorType) -> TensorType:
    """What is known of a tensor that is one of two; where their extents differ, each element of a list has its own."""
    dtype = left.dtype if left.dtype is right.dtype else None
    if left.shape is None or right.shape is None or len(left.shape) != len(right.shape):
        return TensorType(dtype)
    pairs = zip(left.shape, right.shape)
    return TensorType(dtype, tuple(mine if mine == other else symbol("*") for mine, other in pairs))


def _insert(items: list[Any], place: int, item: Any) -> list[Any]:
    result = list(items)
    result.insert(place, item)
    return result


_WHERE = "only running tells which place in the list is meant"


def _infer_insert(items: Any, place: Dim, item: Any) -> Any:
    if isinstance(items, Unknown):
        return _append(items, item)
    if not isinstance(place, int):
        raise UndecidedShape(_WHERE)
    return _insert(items, place, item)


def _set(items: list[Any], place: int, item: Any) -> list[Any]:
    if not -len(items) <= place < len(items):
        raise IndexError("list index out of range")
    result = list(items)
    result[place] = item
    return result


def _infer_set(items: Any, place: Dim, item: Any) -> Any:
    if isinstance(items, Unknown):
        return _with_item(items, item)
    if not isinstance(place, int):
        raise UndecidedShape(_WHERE)
    return _set(items, place, item)


def _without(items: list[Any], place: int) -> list[Any]:
    if not -len(items) <= place < len(items):
        raise IndexError("pop from empty list" if not items else "pop index out of range")
    result = list(items)
    del result[place]
    return result


def _infer_without(items: Any, place: Dim) -> Any:
    if isinstance(items, Unknown):
        return items
    if not isinstance(place, int):
        raise UndecidedShape(_WHERE)
    return _without(items, place)


define(
    "prim::ListAppend(t[] self, t el) -> t[]",
    infer=_append,
    accepts_untyped=True,
    reference=lambda items, item: [*items, item],
    kernel="list_append",
)
define(
    "prim::ListInsert(t[] self, int idx, t el) -> t[]",
    infer=_infer_insert,
    accepts_untyped=True,
    reference=_insert,
    interpreted="inserting into a list whose length only running tells",
)
define(
    "prim::ListSet(t[] self, int idx, t el) -> t[]",
    infer=_infer_set,
    accepts_untyped=True,
    reference=_set,
    may_fail=True,
    interpreted="replacing an element of a list whose length only running tells",
)
define(
    "prim::ListWithout(t[] self, int idx) -> t[]",
    infer=_infer_without,
    reference=_without,
    may_fail=True,
    interpreted="removing an element of a list whose length only running tells",
)


def _dict_without(items: dict[Any, Any], key: Any) -> dict[Any, Any]:
    """Raises KeyError."""
    rest = dict(items)
    del rest[key]
    return rest


define(
    "prim::DictSet(Dict(t, tVal) self, t key, tVal value) -> Dict(t, tVal)",
    infer=lambda items, key, value: items,
    reference=lambda items, key, value: {**items, key: value},
    interpreted="changing a dictionary whose keys only running tells",
)
define(
    "prim::DictWithout(Dict(t, tVal) self, t key) -> Dict(t, tVal)",
    infer=lambda items, key: items,
    reference=_dict_without,
    may_fail=True,
    interpreted="changing a dictionary whose keys only running tells",
)
define(
    "prim::DictUpdate(Dict(t, tVal) self, Dict(t, tVal) to_add) -> Dict(t, tVal)",
    infer=lambda items, others: items,
    reference=lambda items, others: {**items, **others},
    interpreted="changing a dictionary whose keys only running tells",
)

WriteThrough = Callable[[Graph, Node, Value, Value], Value | None]
"""(graph, view node, base, new contents of the view) -> the base with these contents; None: cannot be written."""


def _insert_node(graph: Graph, kind: str, overload: str, *inputs: Value) -> Value:
    return graph.insert(kind, inputs, (TENSOR,), overload=overload).output


def _write_select(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    return _insert_node(graph, "aten::select_scatter", "", base, new, *view.inputs[1:])


def _write_slice(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    return _insert_node(graph, "aten::slice_scatter", "", base, new, *view.inputs[1:])


def _write_narrow(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    dim, start, length = view.inputs[1:]
    end = graph.insert("aten::add", [start, length], (IntType(),), overload="int").output
    one = graph.insert_constant(1, INT)
    return _insert_node(graph, "aten::slice_scatter", "", base, new, dim, start, end, one)


def _write_same(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    """Views that undo themselves: t, transpose."""
    return _insert_node(graph, view.kind, view.overload or "", new, *view.inputs[1:])


def _write_permute(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    dims = view.inputs[1]
    items = dims.constant if dims.is_constant else [value.constant for value in dims.node.inputs if value.is_constant]
    if dims.is_constant is False and len(items) != len(dims.node.inputs):
        return None
    inverse = [int(place) for place in np.argsort([dim % len(items) for dim in items])]
    back = [graph.insert_constant(place, INT) for place in inverse]
    listed = graph.insert("prim::ListConstruct", back, (ListType(INT),)).output
    return _insert_node(graph, "aten::permute", "", new, listed)


def _write_reshaped(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    """Views that only regroup dimensions: unsqueeze, squeeze, view."""
    size = graph.insert("aten::size", [base], (ListType(INT),), overload="").output
    return _insert_node(graph, "aten::reshape", "", new, size)


def _write_moved(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    """movedim: the dimensions go back where they came from."""
    source, destination = view.inputs[1:]
    return _insert_node(graph, view.kind, view.overload or "", new, destination, source)


def _write_diagonal(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    return _insert_node(graph, "aten::diagonal_scatter", "", base, new, *view.inputs[1:])


def _refuse(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    """Views in which one element of memory shows in several places are only read."""
    return None


def _write_alias(graph: Graph, view: Node, base: Value, new: Value) -> Value | None:
    return new


SAME_TENSOR = frozenset(("aten::detach_", "aten::requires_grad_"))
"""Views that are their argument, the very object."""

VIEWS: dict[str, WriteThrough] = {
    "aten::select.int": _write_select,
    "aten::slice.Tensor": _write_slice,
    "aten::narrow": _write_narrow,
    "aten::t": _write_same,
    "aten::transpose.int": _write_same,
    **dict.fromkeys(("aten::swapaxes", "aten::swapdims", "aten::numpy_T", "aten::mT", "aten::adjoint"), _write_same),
    "aten::permute": _write_permute,
    "aten::movedim.int": _write_moved,
    "aten::movedim.intlist": _write_moved,
    "aten::moveaxis.int": _write_moved,
    "aten::moveaxis.intlist": _write_moved,
    "aten::diagonal": _write_diagonal,
    "aten::linalg_diagonal": _write_diagonal,
    "aten::unsqueeze": _write_reshaped,
    "aten::squeeze": _write_reshaped,
    "aten::squeeze.dim": _write_reshaped,
    "aten::squeeze.dims": _write_reshaped,
    "aten::view": _write_reshaped,
    "aten::view_as": _write_reshaped,
    "aten::unflatten.int": _write_reshaped,
    **dict.fromkeys(("aten::expand", "aten::expand_as", "aten::broadcast_to", "aten::unfold"), _refuse),
    **dict.fromkeys(("aten::detach", "aten::alias", "aten::lift_fresh", "prim::data"), _write_alias),
    **dict.fromkeys(SAME_TENSOR, _write_alias),
}
"""Views that are always the memory of their first argument, and how to write through them."""
