"""Arithmetic on shapes, known or symbolic: broadcasting, reduction, strides, views, slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optc.ir.bounds import is_not_negative
from optc.ir.dims import Dim, Symbol, Symbolic, maximum, minimum, product
from optc.ir.dtypes import BFLOAT16, BOOL, FLOAT32, DType
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError, UndecidedExtents, UndecidedShape, normalize_dims, same_dim

Shape = tuple[Dim, ...]


def known_shape(tensor: TensorType) -> Shape:
    """The shape of a tensor whose rank is known. Raises UndecidedShape otherwise."""
    if tensor.shape is None:
        raise UndecidedShape("the rank of a tensor is not known")
    return tensor.shape


def known(shape: Sequence[Dim]) -> tuple[int, ...]:
    """A shape as plain numbers. Raises UndecidedShape when there is a symbol in it."""
    numbers = tuple(dim for dim in shape if isinstance(dim, int))
    if len(numbers) != len(shape):
        raise UndecidedShape(f"the extents {format_shape(shape)} are needed before the program runs")
    return numbers


def format_shape(shape: Sequence[Dim]) -> str:
    """`[3, s0]`."""
    return f"[{', '.join(map(str, shape))}]"


def broadcast_shapes(*shapes: Sequence[Dim]) -> Shape:
    """The common shape. Raises ShapeError with torch's text, UndecidedShape when extents may or may not agree."""
    result: Shape = ()
    for shape in shapes:
        if tuple(shape) != result:
            result = _broadcast_pair(result, tuple(shape))
    return result


def _broadcast_pair(left: Shape, right: Shape) -> Shape:
    rank = max(len(left), len(right))
    left_full = (1,) * (rank - len(left)) + left
    right_full = (1,) * (rank - len(right)) + right
    return tuple(_broadcast_dim(mine, other, place) for place, (mine, other) in enumerate(zip(left_full, right_full)))


def _broadcast_dim(left: Dim, right: Dim, place: int) -> Dim:
    if left == right or right == 1:
        return left
    if left == 1:
        return right
    if isinstance(left, int) and isinstance(right, int):
        raise ShapeError(
            f"The size of tensor a ({left}) must match the size of tensor b ({right}) at non-singleton dimension {place}"
        )
    raise UndecidedShape(f"are the extents {left} and {right} at dimension {place} equal?")


def expanded_shape(shape: Shape, sizes: Sequence[Dim], dtype: DType = FLOAT32) -> Shape:
    """The shape of `expand(sizes)` of a tensor of `dtype`; -1 keeps an extent. Raises ShapeError with torch's text."""
    missing = len(sizes) - len(shape)
    if missing < 0:
        kind = f"CPU{dtype.label}Type" if dtype in (BOOL, BFLOAT16) else f"torch.{dtype.label}Tensor"
        raise ShapeError(
            f"expand({kind}{{{list(shape)}}}, size={list(sizes)}): the number of sizes provided ({len(sizes)}) "
            f"must be greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    result: list[Dim] = []
    for place, size in reversed(list(enumerate(sizes))):  # the last dimension that does not fit is told
        result.append(_expanded_dim(shape, sizes, place, missing) if place >= missing else _new_dim(sizes, size, place))
    return tuple(reversed(result))


def _new_dim(sizes: Sequence[Dim], size: Dim, place: int) -> Dim:
    if size == -1:
        raise ShapeError(
            f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {place}"
        )
    return size


def _expanded_dim(shape: Shape, sizes: Sequence[Dim], place: int, missing: int) -> Dim:
    extent, size = shape[place - missing], sizes[place]
    if size == -1 or size == extent:
        return extent
    if extent == 1:
        return size
    if isinstance(extent, int) and isinstance(size, int):
        raise ShapeError(
            f"The expanded size of the tensor ({size}) must match the existing size ({extent}) at non-singleton "
            f"dimension {place}.  Target sizes: {format_shape(sizes)}.  Tensor sizes: {format_shape(shape)}"
        )
    raise UndecidedShape(f"may dimension {place} of extent {extent} be expanded to {size}?")


def reduced_shape(shape: Shape, dims: Sequence[int] | int | None, keepdim: bool) -> Shape:
    """The shape after combining `dims` (all of them for None or an empty list)."""
    gone = normalize_dims(dims, len(shape))
    if keepdim:
        return tuple(1 if place in gone else dim for place, dim in enumerate(shape))
    return tuple(dim for place, dim in enumerate(shape) if place not in gone)


def contiguous_strides(shape: Sequence[Dim]) -> tuple[Dim, ...]:
    """Row-major strides in elements; an extent of 0 counts as 1, as in torch."""
    strides: list[Dim] = []
    stride: Dim = 1
    for dim in reversed(shape):
        strides.append(stride)
        stride = stride * (dim if dim != 0 else 1)
    return tuple(reversed(strides))


def resolve_view(shape: Shape, sizes: Sequence[Dim]) -> Shape:
    """The sizes of `view`/`reshape` with -1 replaced. Raises as torch does."""
    count = product(shape)
    unknown = [place for place, size in enumerate(sizes) if size == -1]
    if len(unknown) > 1:
        raise ShapeError("only one dimension can be inferred")
    for size in sizes:
        if isinstance(size, int) and size < -1:
            place = sizes.index(size)
            raise ShapeError(f"invalid shape dimension {size} at index {place} of shape {format_shape(sizes)}")
    known = product([size for size in sizes if size != -1])
    if not unknown:
        _check_count(count, known, sizes)
        return tuple(sizes)
    if known == 0:
        if count != 0:
            _check_count(count, 0, sizes)
        raise ShapeError(
            f"cannot reshape tensor of 0 elements into shape {format_shape(sizes)} because the unspecified dimension "
            "size -1 can be any value and is ambiguous"
        )
    inferred = count // known
    if inferred * known != count:
        _check_count(count, inferred * known, sizes)
    return tuple(inferred if size == -1 else size for size in sizes)


def _check_count(count: Dim, wanted: Dim, sizes: Sequence[Dim]) -> None:
    if count == wanted:
        return
    if isinstance(count, int) and isinstance(wanted, int):
        raise ShapeError(f"shape '{format_shape(sizes)}' is invalid for input of size {count}")
    raise UndecidedShape(f"does shape {format_shape(sizes)} fit {count} elements?")


def view_strides(shape: Shape, strides: Sequence[Dim], sizes: Shape) -> tuple[Dim, ...] | None:
    """The strides of the same storage seen in another shape, None when that needs a copy.

    Dimensions are merged into the longest runs that are contiguous in memory; each run must be split exactly by some
    of the new sizes.
    """
    if shape == sizes:
        return tuple(strides)
    if product(shape) == 0:
        return contiguous_strides(sizes)
    result: list[Dim] = [1] * len(sizes)
    place = len(sizes) - 1
    for extent, stride in reversed(_contiguous_runs(shape, strides)):
        taken: Dim = 1
        while place >= 0 and (taken != extent or sizes[place] == 1):
            result[place] = stride * taken
            taken = taken * sizes[place]
            place -= 1
            if isinstance(taken, int) and isinstance(extent, int) and taken > extent:
                return None
        if taken != extent:
            return None
    return tuple(result) if place < 0 else None


def _contiguous_runs(shape: Shape, strides: Sequence[Dim]) -> list[tuple[Dim, Dim]]:
    """Runs of dimensions that lie behind each other in memory, as (elements, stride of the last)."""
    runs: list[tuple[Dim, Dim]] = []
    for extent, stride in zip(shape, strides):
        if extent == 1:
            continue
        if runs and runs[-1][1] == extent * stride:
            runs[-1] = (runs[-1][0] * extent, stride)
        else:
            runs.append((extent, stride))
    return runs or [(1, 1)]


def is_negative(value: Dim) -> Dim:
    """1 when a number is negative, else 0, as a dimension."""
    if isinstance(value, int):
        return int(value < 0)
    return 0 if is_not_negative(value) else maximum(0, minimum(1, value * -1))


def is_extent(value: Dim) -> bool:
    """True when a dimension is certainly not negative: sums of products of extents (`s…`) and indices (`i…`)."""
    if isinstance(value, int):
        return value >= 0
    return all(
        coefficient > 0 and all(isinstance(atom, Symbol) and atom.name[0] in "si" for atom in monomial)
        for monomial, coefficient in value.terms
    )


def from_end(index: Dim, extent: Dim) -> Dim:
    """A Python index counted from the front: negative ones count from the end."""
    return index + is_negative(index) * extent


def slice_bounds(extent: Dim, start: Dim | None, end: Dim | None) -> tuple[Dim, Dim]:
    """The first and the past-the-last element of `[start:end]`, clamped as Python does, with first <= last."""
    first = _clamp(from_end(0 if start is None else start, extent), extent)
    if end is None or (isinstance(end, int) and end >= 2**62) or end == extent:
        return first, extent
    last = _clamp(from_end(end, extent), extent)
    return first, last if first == 0 or is_not_negative(last - first) else maximum(first, last)


def _clamp(value: Dim, extent: Dim) -> Dim:
    """min(max(value, 0), extent)."""
    if value == 0 or value == extent:
        return value
    difference = value - extent
    if isinstance(difference, int) and difference > 0:
        return extent
    positive = value if is_not_negative(value) else maximum(value, 0)
    return positive if is_not_negative(difference * -1) else minimum(positive, extent)


def slice_length(first: Dim, last: Dim, step: Dim) -> Dim:
    """The number of elements from `first` up to `last` in steps."""
    return (last - first + step - 1) // step


def require(condition: bool | None, message: str) -> None:
    """Raise ShapeError when a condition is certainly false, UndecidedShape when it is not known."""
    if condition is False:
        raise ShapeError(message)
    if condition is None:
        raise UndecidedShape(message)


def require_same(left: Dim, right: Dim, message: str) -> None:
    """Two extents must agree. Raises ShapeError with the message, UndecidedExtents when only running tells."""
    same = same_dim(left, right)
    if same is None:
        raise UndecidedExtents(message, (left, right))
    require(same, message)


def is_known(dims: Sequence[Any]) -> bool:
    """True when all are plain numbers."""
    return not any(isinstance(dim, Symbolic) for dim in dims)
