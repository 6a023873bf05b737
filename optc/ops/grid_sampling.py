"""Images at given places: `grid_sampler`, and the places of affine maps.

Every place is a number per spatial dimension between the neighbours it lies between; the neighbours are gathered from
the image as one row per channel. Composed of other operators, so native code gathers and adds.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from optc.ir.dims import Dim
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedExtents, UndecidedShape, same_dim
from optc.ops.composite import declare_composite
from optc.ops.element_types import COMPLEXES, WHOLE, check_type, unimplemented
from optc.ops.promotion import operand_type
from optc.ops.shapes import format_shape

LINEAR, NEAREST, CUBIC = 0, 1, 2
ZEROS, BORDER, REFLECTION = 0, 1, 2
_CUBIC = -0.75


def _differ(left: Dim, right: Dim) -> bool:
    same = same_dim(left, right)
    if same is None:
        raise UndecidedExtents("do an image and a grid fit?", (left, right))
    return not same


def _check(x: TensorType, grid: TensorType, spatial: int, mode: int) -> None:
    shape, places = x.shape, grid.shape
    assert shape is not None and places is not None
    if operand_type(x) is not operand_type(grid):
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have same dtype, but input has {_torch(x)} and grid has "
            f"{_torch(grid)}"
        )
    if len(shape) != spatial + 2 or len(places) != spatial + 2:
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
            f"{format_shape(shape)} and grid with sizes {format_shape(places)}"
        )
    if _differ(shape[0], places[0]):
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{format_shape(shape)} and grid with sizes {format_shape(places)}"
        )
    if _differ(places[-1], spatial):
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {spatial} in last dimension, but got grid with sizes "
            f"{format_shape(places)}"
        )
    for extent in shape[2:]:
        if extent == 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
                f"{format_shape(shape)} with dimension {shape.index(extent)} being empty"
            )
    if mode == CUBIC and spatial == 3:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


def _torch(x: TensorType) -> str:
    return f"torch.{operand_type(x).name}"


def _scaled(b: Any, x: Any, factor: Any, addend: Any) -> Any:
    return b("aten::add.Scalar", b("aten::mul.Scalar", x, factor), addend)


def _place(b: Any, x: Any, extent: int, corners: bool) -> Any:
    """-1 ... 1 as the number of a pixel."""
    if corners:
        return b("aten::mul.Scalar", b("aten::add.Scalar", x, 1), (extent - 1) / 2)
    return b(
        "aten::div.Scalar", b("aten::sub.Scalar", b("aten::mul.Scalar", b("aten::add.Scalar", x, 1), extent), 1), 2
    )


def _clipped(b: Any, x: Any, extent: int) -> Any:
    """A place moved to the nearest pixel; what is no number is the first one, as in PyTorch."""
    return b("aten::clamp", b("aten::where.ScalarOther", b("aten::ge.Scalar", x, 0), x, 0.0), 0, extent - 1)


def _reflected(b: Any, x: Any, low: Any, high: Any) -> Any:
    """A place mirrored at the ends low / 2 and high / 2 as often as it takes to lie between them."""
    if low == high:
        return b("aten::zeros_like", x)
    least, span = low / 2, (high - low) / 2
    moved = b("aten::abs", b("aten::sub.Scalar", x, least))
    extra = b("aten::fmod.Scalar", moved, span)
    flips = b("aten::floor", b("aten::div.Scalar", moved, span))
    even = b("aten::eq.Scalar", b("aten::remainder.Scalar", flips, 2), 0)
    return b("aten::where.self", even, b("aten::add.Scalar", extra, least), b("aten::rsub.Scalar", extra, span + least))


def _padded(b: Any, x: Any, extent: int, padding: int, corners: bool) -> Any:
    """A place brought inside as the padding says; zeros stay where they are."""
    if padding == BORDER:
        return _clipped(b, x, extent)
    if padding == REFLECTION:
        mirrored = _reflected(b, x, 0, 2 * (extent - 1)) if corners else _reflected(b, x, -1, 2 * extent - 1)
        return _clipped(b, mirrored, extent)
    return x


def _numbered(b: Any, places: list[Any], extents: tuple[Dim, ...]) -> tuple[Any, Any]:
    """The numbers of the pixels at whole numbers (N, places), of the first one outside; and which lie inside."""
    index, inside = None, None
    for place, extent in zip(places, extents):
        here = b("aten::logical_and", b("aten::ge.Scalar", place, 0), b("aten::le.Scalar", place, extent - 1))
        safe = b("aten::where.ScalarOther", here, place, 0.0)
        whole = b("aten::to.dtype", safe, 4)
        index = whole if index is None else b("aten::add.Tensor", b("aten::mul.Scalar", index, extent), whole)
        inside = here if inside is None else b("aten::logical_and", inside, here)
    return index, inside


def _taken(b: Any, x: Any, index: Any) -> Any:
    """The pixels (N, C, places) with these numbers. `x` is (N, C, all pixels)."""
    batch, channels = b.shape(x)[:2]
    spread = b("aten::expand", b("aten::unsqueeze", index, 1), [batch, channels, b.shape(index)[-1]])
    return b("aten::gather", x, 2, spread)


def _visible(b: Any, taken: Any, inside: Any) -> Any:
    """Pixels, zero outside."""
    return b("aten::where.ScalarOther", b("aten::unsqueeze", inside, 1), taken, 0.0)


def _pixels(b: Any, x: Any, places: list[Any], extents: tuple[Dim, ...]) -> Any:
    """The pixels (N, C, places) at whole numbers, zero outside."""
    index, inside = _numbered(b, places, extents)
    return _visible(b, _taken(b, x, index), inside)


def _weighted(b: Any, x: Any, corners: list[tuple[list[Any], list[Any]]], extents: tuple[Dim, ...]) -> Any:
    """The sum of the pixels at some places, each with the product of its weights: (places, weights) of each.

    Everything that all channels share is worked out first, so that what is read is weighted and summed at once.
    """
    numbered = [_numbered(b, places, extents) for places, _ in corners]
    shared = [b("aten::unsqueeze", _product(b, weights), 1) for _, weights in corners]
    taken = [_taken(b, x, index) for index, _ in numbered]
    total = None
    for pixels, (_, inside), weight in zip(taken, numbered, shared):
        term = b("aten::mul.Tensor", _visible(b, pixels, inside), weight)
        total = term if total is None else b("aten::add.Tensor", total, term)
    return total


def _product(b: Any, weights: list[Any]) -> Any:
    weight = weights[0]
    for other in weights[1:]:
        weight = b("aten::mul.Tensor", weight, other)
    return weight


def interpolated(b: Any, x: Any, places: list[Any], extents: tuple[Dim, ...]) -> Any:
    """What lies at places (N, count) between the pixels of images (N, C, all pixels), zero outside: (N, C, count)."""
    lows = [b("aten::floor", place) for place in places]
    highs = [b("aten::add.Scalar", low, 1) for low in lows]
    upper = [b("aten::sub.Tensor", place, low) for place, low in zip(places, lows)]
    lower = [b("aten::sub.Tensor", high, place) for place, high in zip(places, highs)]
    corners = []
    for corner in product((0, 1), repeat=len(places)):
        at = [highs[axis] if side else lows[axis] for axis, side in enumerate(corner)]
        corners.append((at, [upper[axis] if side else lower[axis] for axis, side in enumerate(corner)]))
    return _weighted(b, x, corners, extents)


def _cubic_weights(b: Any, t: Any) -> list[Any]:
    """The weights of four neighbours, for a place `t` after the second (Keys' cubic convolution, a = -0.75)."""
    a = _CUBIC

    def near(x: Any) -> Any:
        inner = _scaled(b, x, a + 2, -(a + 3))
        return b("aten::add.Scalar", b("aten::mul.Tensor", b("aten::mul.Tensor", inner, x), x), 1)

    def far(x: Any) -> Any:
        inner = _scaled(b, x, a, -5 * a)
        inner = b("aten::add.Scalar", b("aten::mul.Tensor", inner, x), 8 * a)
        return b("aten::add.Scalar", b("aten::mul.Tensor", inner, x), -4 * a)

    rest = b("aten::rsub.Scalar", t, 1)
    return [far(b("aten::add.Scalar", t, 1)), near(t), near(rest), far(b("aten::add.Scalar", rest, 1))]


def _cubic(b: Any, x: Any, places: list[Any], extents: tuple[int, ...], padding: int, corners: bool) -> Any:
    lows = [b("aten::floor", place) for place in places]
    weights = [_cubic_weights(b, b("aten::sub.Tensor", place, low)) for place, low in zip(places, lows)]
    neighbours = []
    for corner in product(range(4), repeat=len(places)):
        at = [
            _padded(b, b("aten::add.Scalar", low, step - 1), extent, padding, corners)
            for low, step, extent in zip(lows, corner, extents)
        ]
        neighbours.append((at, [weights[axis][step] for axis, step in enumerate(corner)]))
    return _weighted(b, x, neighbours, extents)


def _sampler(spatial: int | None) -> Any:
    def build(b: Any, x: Any, grid: Any, mode: int, padding: int, corners: bool) -> Any:
        rank = len(b.shape(x)) - 2
        _check(b.type(x), b.type(grid), rank if spatial is None and rank in (2, 3) else spatial or 2, mode)
        if 0 not in b.shape(x):
            kernel = "grid_sampler3d_cpu" if rank == 3 else "grid_sampler_2d_cpu_kernel_impl"
            check_type(unimplemented(kernel, WHOLE | COMPLEXES), operand_type(b.type(x)))
        extents = b.shape(x)[2:]
        if not all(isinstance(extent, int) for extent in extents):
            raise UndecidedShape("the extents of an image are needed before its pixels are numbered")
        batch, channels = b.shape(x)[:2]
        outer = b.shape(grid)[1:-1]
        rows = b("aten::reshape", x, [batch, channels, _count(extents)])
        flat = b("aten::reshape", grid, [batch, _count(outer), rank])
        places = [
            _place(b, b("aten::select.int", flat, 2, rank - 1 - axis), extents[axis], corners) for axis in range(rank)
        ]
        if mode == CUBIC:
            found = _cubic(b, rows, places, extents, padding, corners)
        else:
            places = [_padded(b, place, extent, padding, corners) for place, extent in zip(places, extents)]
            rounded = [b("aten::round", place) for place in places] if mode == NEAREST else places
            found = (_pixels if mode == NEAREST else interpolated)(b, rows, rounded, extents)
        return b("aten::reshape", found, [batch, channels, *outer])

    return build


def _count(extents: Any) -> Any:
    total: Any = 1
    for extent in extents:
        total = total * extent
    return total


for _name, _spatial in (("grid_sampler", None), ("grid_sampler_2d", 2), ("grid_sampler_3d", 3)):
    declare_composite(
        f"aten::{_name}(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor",
        _sampler(_spatial),
    )


# The places of affine maps -------------------------------------------------------------------------------------------


def _steps(b: Any, extent: Dim, corners: bool, code: int) -> Any:
    """The centres of so many pixels (or, with corners, their ends) between -1 and 1."""
    if isinstance(extent, int) and extent <= 1:
        return b("aten::zeros", [extent], dtype=code)
    line = b("aten::linspace", -1, 1, extent, dtype=code)
    if corners:
        return line
    return b("aten::div.Scalar", b("aten::mul.Scalar", line, extent - 1), extent)


def _affine_grid(b: Any, theta: Any, size: Any, corners: bool) -> Any:
    if len(size) not in (4, 5):
        raise RuntimeError("AffineGridGenerator needs 4d (spatial) or 5d (volumetric) inputs.")
    extents = list(size[2:])
    code = b.type(theta).dtype.code
    axes = []
    for place, extent in enumerate(extents):
        line = _steps(b, extent, corners, code)
        spread = [1] * len(extents)
        spread[place] = extent
        axes.append(b("aten::expand", b("aten::reshape", line, spread), extents))
    ones = b("aten::ones", extents, dtype=code)
    base = b("aten::stack", [*reversed(axes), ones], -1)
    rows = b("aten::expand", b("aten::reshape", base, [1, _count(extents), len(extents) + 1]),
             [size[0], _count(extents), len(extents) + 1])  # fmt: skip
    placed = b("aten::bmm", rows, b("aten::transpose.int", theta, 1, 2))
    return b("aten::reshape", placed, [size[0], *extents, len(extents)])


declare_composite(
    "aten::affine_grid_generator(Tensor theta, SymInt[] size, bool align_corners) -> Tensor", _affine_grid
)
