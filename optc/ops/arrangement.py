"""Tensors whose elements are put elsewhere: turned, on diagonals, in blocks, in all combinations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ops.abstract import ShapeError, UndecidedShape, normalize_dim
from optc.ops.composite import declare_composite
from optc.ops.promotion import result_type
from optc.ops.registry import always_shares
from optc.ops.shapes import format_shape, require_same

# Turning --------------------------------------------------------------------------------------------------------------


def _rot90(b: Any, x: Any, k: int, dims: Sequence[int]) -> Any:
    """A quarter turn reverses one dimension and swaps both."""
    rank = len(b.shape(x))
    first, second = _turned_dims(dims, rank)
    turns = k % 4
    if turns == 0:
        return b("aten::clone", x)
    if turns == 2:
        return b("aten::flip", x, [first, second])
    flipped = b("aten::flip", x, [second if turns == 1 else first])
    return b("aten::transpose.int", flipped, first, second)


def _turned_dims(dims: Sequence[int], rank: int) -> tuple[int, int]:
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if rank < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {rank}")
    first, second = normalize_dim(dims[0], rank), normalize_dim(dims[1], rank)
    if first == second:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    return first, second


declare_composite("aten::rot90(Tensor self, int k=1, int[] dims=[0, 1]) -> Tensor", _rot90)


# Diagonals ------------------------------------------------------------------------------------------------------------


def _off_diagonal(b: Any, rank: int, row: int, column: int, extents: tuple[Any, Any], offset: int) -> Any:
    """True where the position along `column` is not that along `row` plus `offset`; broadcasts against `rank` dims."""
    rows, columns = b("aten::arange", extents[0]), b("aten::arange", extents[1])
    down = b("aten::reshape", rows, [-1 if dim == row else 1 for dim in range(rank)])
    across = b("aten::reshape", columns, [-1 if dim == column else 1 for dim in range(rank)])
    return b("aten::ne.Tensor", b("aten::add.Scalar", down, offset), across)


def _diag_embed(b: Any, x: Any, offset: int, dim1: int, dim2: int) -> Any:
    """The last dimension on the diagonal of matrices that are zero elsewhere."""
    rank = len(b.shape(x)) + 1
    row, column = normalize_dim(dim1, rank), normalize_dim(dim2, rank)
    if row == column:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    padded = _padded(b, x, max(offset, 0), max(-offset, 0))
    extent = b.shape(padded)[-1]
    spread = b("aten::movedim.intlist", b("aten::unsqueeze", padded, -1), [-2, -1], [column, row])
    return b("aten::masked_fill.Scalar", spread, _off_diagonal(b, rank, row, column, (extent, extent), offset), 0)


def _padded(b: Any, x: Any, before: int, after: int) -> Any:
    """Zeros before and after the elements of the last dimension."""
    lead, code = b.shape(x)[:-1], b.type(x).dtype.code
    parts = [b("aten::zeros", [*lead, before], dtype=code)] if before else []
    parts.append(x)
    if after:
        parts.append(b("aten::zeros", [*lead, after], dtype=code))
    return b("aten::cat", parts, -1) if len(parts) > 1 else x


declare_composite("aten::diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor", _diag_embed)
declare_composite(
    "aten::diagflat(Tensor self, int offset=0) -> Tensor",
    lambda b, x, offset: _diag_embed(b, b("aten::reshape", x, [-1]), offset, -2, -1),
)


def _diagonal_scatter(b: Any, x: Any, source: Any, offset: int, dim1: int, dim2: int) -> Any:
    """The tensor with other elements on a diagonal."""
    shape, diagonal = b.shape(x), b.shape(b("aten::diagonal", x, offset, dim1, dim2))
    message = (
        f"expected src to have a size equal to the slice of self. src size = {format_shape(b.shape(source))}, "
        f"slice size = {format_shape(diagonal)}"
    )
    if len(b.shape(source)) != len(diagonal):
        raise ShapeError(message)
    for mine, other in zip(b.shape(source), diagonal):
        require_same(mine, other, message)
    row, column = normalize_dim(dim1, len(shape)), normalize_dim(dim2, len(shape))
    steps = b("aten::arange", diagonal[-1])
    places = [b("aten::add.Scalar", steps, before) for before in (max(-offset, 0), max(offset, 0))]
    values = b("aten::movedim.int", b("aten::to.dtype", source, b.type(x).dtype.code), -1, 0)
    matrices = b("aten::movedim.intlist", x, [row, column], [0, 1])
    written = b("prim::IndexPut", matrices, places, values, False)
    return b("aten::movedim.intlist", written, [0, 1], [row, column])


declare_composite(
    "aten::diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor",
    _diagonal_scatter,
)


# Blocks and combinations ----------------------------------------------------------------------------------------------


def _block_diag(b: Any, tensors: Sequence[Any]) -> Any:
    """Matrices along the diagonal, zeros elsewhere; vectors are rows."""
    if not tensors:
        raise ValueError("torch.block_diag expects at least one tensor")
    code = result_type(*(b.type(x) for x in tensors)).code
    blocks = [_block(b, x, place) for place, x in enumerate(tensors)]
    widths = [b.shape(block)[1] for block in blocks]
    total: Dim = 0
    for width in widths:
        total = total + width
    rows, left = [], 0
    for block, width in zip(blocks, widths):
        height = b.shape(block)[0]
        right = total - left - width
        parts = [b("aten::zeros", [height, left], dtype=code), b("aten::to.dtype", block, code),
                 b("aten::zeros", [height, right], dtype=code)]  # fmt: skip
        rows.append(b("aten::cat", parts, 1))
        left = left + width
    return b("aten::cat", rows, 0)


def _block(b: Any, x: Any, place: int) -> Any:
    rank = len(b.shape(x))
    if rank > 2:
        raise RuntimeError(
            f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {place} has {rank} dimensions"
        )
    return b("aten::atleast_2d", x)


declare_composite("aten::block_diag(Tensor[] tensors) -> Tensor", _block_diag)


def _check_vector(b: Any, x: Any) -> None:
    if len(b.shape(x)) != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {format_shape(b.shape(x))}")


def _cartesian_prod(b: Any, tensors: Sequence[Any]) -> Any:
    """All tuples of one element of each, one a row; a single vector stays as it is."""
    for x in tensors:
        _check_vector(b, x)
    if len(tensors) == 1:
        return tensors[0]
    lengths = [b.shape(x)[0] for x in tensors]
    columns = []
    for place, x in enumerate(tensors):
        along = [-1 if axis == place else 1 for axis in range(len(tensors))]
        columns.append(b("aten::reshape", b("aten::expand", b("aten::reshape", x, along), lengths), [-1]))
    return b("aten::stack", columns, 1)


declare_composite("aten::cartesian_prod(Tensor[] tensors) -> Tensor", _cartesian_prod, shares=always_shares)


def _combinations(b: Any, x: Any, r: int, with_replacement: bool) -> Any:
    """All choices of `r` elements, one a row, in the order of their places."""
    _check_vector(b, x)
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    extent = b.shape(x)[0]
    if r == 0:
        return b("aten::zeros", [0], dtype=b.type(x).dtype.code)
    if not isinstance(extent, int):
        raise UndecidedShape(f"the number of combinations depends on the extent {extent}")
    choose = combinations_with_replacement if with_replacement else combinations
    places = np.array(list(choose(range(extent), r)), np.int64).reshape(-1, r)
    chosen = b("aten::index_select", x, 0, b.constant(places.reshape(-1)))
    return b("aten::reshape", chosen, list(places.shape))


declare_composite("aten::combinations(Tensor self, int r=2, bool with_replacement=False) -> Tensor", _combinations)


def _sum_to_size(b: Any, x: Any, size: Sequence[Dim]) -> Any:
    """The sum over what broadcasting from `size` would have repeated."""
    shape = b.shape(x)
    message = f"size {{{format_shape(size)}}} is not expandable to size {{{format_shape(shape)}}}."
    missing = len(shape) - len(size)
    if missing < 0:
        raise ShapeError(message)
    if not size:
        return b("aten::sum", x)
    dims = list(range(missing))
    for dim, (mine, wanted) in enumerate(zip(shape[missing:], size), missing):
        if wanted == 1 and mine != 1:
            dims.append(dim)
        elif wanted != mine:
            require_same(wanted, mine, message)
    if not dims:
        return x
    return b("aten::reshape", b("aten::sum.dim_IntList", x, dims, True), list(size))


declare_composite("aten::sum_to_size(Tensor self, SymInt[] size) -> Tensor", _sum_to_size, shares=always_shares)
