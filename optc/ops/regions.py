"""What torchvision reads of feature maps inside of boxes: `roi_align`, `roi_pool` and their position-sensitive kin.

Every box is cut into bins, and every bin has a number along the rows and one along the columns. So a bin is read at
rows times columns: two small tables per box and bin, one of places and one of how much they count. `prim::PatchSums`
adds up what such tables name, `prim::PatchMaxima` takes the largest; all four operators make tables for them. A place
of -1 names nothing: tables are as wide as the largest bin needs.

Formulas from torchvision 0.28, csrc/ops/cpu (roi_align_common.h, roi_align_kernel.cpp, roi_pool_kernel.cpp,
ps_roi_align_kernel.cpp, ps_roi_pool_kernel.cpp).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError, UndecidedShape, normalize_dim
from optc.ops.composite import require_settled
from optc.ops.promotion import compute_type, operand_type
from optc.ops.registry import define
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]

ENDLESS = 2.0**31
"""So many samples no bin has: boxes that are this large, or not a number, have none."""


# Reading by tables ---------------------------------------------------------------------------------------------------


def _infer_patch_sums(
    x: TensorType, images: TensorType, rows: TensorType, *tables: TensorType
) -> TensorType:  # fmt: skip
    boxes, high, _ = known_shape(rows)
    return TensorType(compute_type(operand_type(x)), (boxes, high, known_shape(tables[1])[1], known_shape(x)[-1]))


def _bins(x: Array, images: Array, rows: Array, columns: Array) -> Iterator[tuple[tuple[int, int, int], Array]]:
    """Every bin, and what it may read: (H, W, C). Raises IndexError for a box in no image."""
    for box, image in enumerate(images):
        if not 0 <= image < len(x):
            raise IndexError(f"box {box} lies in image {image} of {len(x)}")
        for i in range(rows.shape[1]):
            for j in range(columns.shape[1]):
                yield (box, i, j), x[image] if x.ndim == 4 else x[image][:, :, i, j]


def _reference_patch_sums(
    x: Array, images: Array, rows: Array, row_weights: Array, columns: Array, column_weights: Array
) -> Array:  # fmt: skip
    result = np.zeros((len(images), rows.shape[1], columns.shape[1], x.shape[-1]), compute_type(operand_type(x)).numpy)
    for (box, i, j), plane in _bins(x, images, rows, columns):
        down, across = rows[box, i] >= 0, columns[box, j] >= 0
        read = plane[rows[box, i, down]][:, columns[box, j, across]].astype(result.dtype)
        weights = np.outer(row_weights[box, i, down], column_weights[box, j, across]).astype(result.dtype)
        result[box, i, j] = (weights[..., None] * read).sum((0, 1))
    return result


define(
    "prim::PatchSums(Tensor x, Tensor images, Tensor rows, Tensor row_weights, Tensor columns, "
    "Tensor column_weights) -> Tensor",
    infer=_infer_patch_sums,
    reference=_reference_patch_sums,
    kernel="patch_sums",
    may_fail=True,
)
"""x (N, H, W, C), or (N, H, W, P, Q, C) with a plane for each of P times Q bins; images (K,), rows (K, P, S) and
columns (K, Q, T) of int64, weights of the same shapes -> sums (K, P, Q, C), in float32 where x is narrower."""


def _infer_patch_maxima(
    x: TensorType, images: TensorType, rows: TensorType, columns: TensorType
) -> tuple[TensorType, TensorType]:  # fmt: skip
    shape = (*known_shape(rows)[:2], known_shape(columns)[1], known_shape(x)[-1])
    return x.with_shape(shape), TensorType(dtypes.INT32, shape)


def lowest(dtype: DType) -> float:
    """What the largest element must exceed: the smallest float32, in float64 too."""
    return -np.inf if dtype is dtypes.FLOAT16 else float(np.finfo(np.float32).min)


def _reference_patch_maxima(x: Array, images: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    shape = (len(images), rows.shape[1], columns.shape[1], x.shape[-1])
    best, place = np.full(shape, lowest(operand_type(x)), x.dtype), np.full(shape, -1, np.int32)
    for (box, i, j), plane in _bins(x, images, rows, columns):
        for row in rows[box, i][rows[box, i] >= 0]:
            for column in columns[box, j][columns[box, j] >= 0]:
                better = plane[row, column] > best[box, i, j]
                best[box, i, j][better] = plane[row, column][better]
                place[box, i, j][better] = row * x.shape[2] + column
    return best, place


define(
    "prim::PatchMaxima(Tensor x, Tensor images, Tensor rows, Tensor columns) -> (Tensor, Tensor)",
    infer=_infer_patch_maxima,
    reference=_reference_patch_maxima,
    kernel="patch_maxima",
    may_fail=True,
)
"""As `prim::PatchSums`: the largest elements (K, P, Q, C), the first of equal ones, and row * W + column of each (-1
where a bin reads nothing that is larger than the smallest float32)."""


# What they have in common --------------------------------------------------------------------------------------------


def _check(x: Any, boxes: Any, name: str) -> None:
    """Raises what torchvision raises, with its text."""
    shapes = [given.shape if isinstance(given, np.ndarray) else known_shape(given) for given in (x, boxes)]
    mine, other = operand_type(x), operand_type(boxes)
    if mine is not other:
        raise RuntimeError(
            "Expected tensor for argument #1 'input' to have the same type as tensor for argument #2 'rois'; but type "
            f"torch.{mine.label}Tensor does not equal torch.{other.label}Tensor (while checking arguments for {name})"
        )
    normalize_dim(1, len(shapes[1]))
    if isinstance(shapes[1][1], int) and shapes[1][1] != 5:
        raise RuntimeError(
            f"{'Tensor rois should' if name.startswith('ps') else 'rois must'} have shape as Tensor[K, 5]"
        )
    normalize_dim(3, len(shapes[0]))
    if mine not in (dtypes.FLOAT32, dtypes.FLOAT64, dtypes.FLOAT16):
        raise NotImplementedError(f"\"{name}\" not implemented for '{mine.label}'")


def _planes(channels: Dim, height: int, width: int) -> Dim:
    """The channels of a position-sensitive result: each has an input channel for every bin."""
    if isinstance(channels, int) and (height * width == 0 or channels % (height * width)):
        raise ShapeError("input channels must be a multiple of pooling height * pooling width")
    return channels // (height * width)


def _pooled(x: TensorType, boxes: TensorType, height: int, width: int, apart: bool) -> tuple[Dim, ...]:
    channels = known_shape(x)[1]
    return known_shape(boxes)[0], _planes(channels, height, width) if apart else channels, height, width


def _last_channels(b: Any, x: Any) -> Any:
    """(N, C, H, W) as (N, H, W, C): what a bin reads of one place lies side by side."""
    return b("aten::permute", x, [0, 2, 3, 1])


def _last_planes(b: Any, x: Any, height: int, width: int) -> Any:
    """(N, C * P * Q, H, W) as (N, H, W, P, Q, C)."""
    batch, channels, rows, columns = b.shape(x)
    planes = b("aten::reshape", x, [batch, _planes(channels, height, width), height, width, rows, columns])
    return b("aten::permute", planes, [0, 4, 5, 2, 3, 1])


def _first_channels(b: Any, found: Any) -> Any:
    """(K, P, Q, C) as (K, C, P, Q)."""
    return b("aten::permute", found, [0, 3, 1, 2])


def _channel_numbers(b: Any, shape: tuple[Dim, ...]) -> Any:
    """Which input channel every element of a position-sensitive result comes from, as int32."""
    count = shape[1] * shape[2] * shape[3]
    numbers = b("aten::arange", count, dtype=dtypes.INT32.code)
    return b("aten::clone", b("aten::expand", b("aten::reshape", numbers, [1, *shape[1:]]), list(shape)))


def _images(b: Any, boxes: Any) -> Any:
    return b("aten::to.dtype", b("aten::select.int", boxes, 1, 0), dtypes.INT64.code)


def _largest(b: Any, counts: Any) -> Any:
    """The largest of some counts as an int, 0 where there are none or all are negative."""
    code = b.type(counts).dtype.code
    with_zero = b("aten::cat", [counts, b("aten::zeros", [1], dtype=code)], 0)
    return b("aten::Int.Tensor", b("aten::max", with_zero))


def _along(b: Any, per_box: Any) -> Any:
    """(K,) beside tables (K, P, S)."""
    return b("aten::unsqueeze", b("aten::unsqueeze", per_box, 1), 1)


# Averages of samples -------------------------------------------------------------------------------------------------


def _span(b: Any, boxes: Any, side: int, scale: Any, shift: float, least: float | None) -> tuple[Any, Any]:
    """Where boxes begin along a side (1: x, 2: y), and how long they are."""
    first, last = (
        b("aten::sub.Scalar", b("aten::mul.Scalar", b("aten::select.int", boxes, 1, place), scale), shift)
        for place in (side, side + 2)
    )
    size = b("aten::sub.Tensor", last, first)
    return first, size if least is None else b("aten::clamp", size, least)


def _sample_counts(b: Any, size: Any, bins: int, ratio: int) -> tuple[Any, Any]:
    """How many samples each bin of every box has along a side, as a tensor (K,), and the largest of these."""
    if ratio > 0:
        return b("aten::full_like", size, float(ratio)), ratio
    wanted = b("aten::ceil", b("aten::div.Scalar", size, bins))
    counts = b("aten::where.ScalarOther", b("aten::lt.Scalar", wanted, ENDLESS), wanted, 0.0)
    return counts, _largest(b, counts)


def _sample_tables(b: Any, first: Any, size: Any, bins: int, counts: Any, most: Any, extent: Dim) -> tuple[Any, Any]:
    """Places and weights (K, bins, 2 * most): for every sample the elements on both sides of it."""
    code = b.type(size).dtype.code
    step = _along(b, b("aten::div.Scalar", size, bins))
    numbers = b("aten::to.dtype", b("aten::arange", most), code)
    bin_numbers = b("aten::reshape", b("aten::arange", bins, dtype=code), [1, bins, 1])
    start = b("aten::add.Tensor", _along(b, first), b("aten::mul.Tensor", bin_numbers, step))
    inner = b("aten::mul.Tensor", b("aten::add.Scalar", numbers, 0.5), step)
    place = b("aten::add.Tensor", start, b("aten::div.Tensor", inner, _along(b, counts)))
    inside = b("aten::logical_and", b("aten::ge.Scalar", place, -1.0), b("aten::le.Scalar", place, extent))
    wanted = b("aten::logical_and", inside, b("aten::lt.Tensor", numbers, _along(b, counts)))
    clamped = b("aten::clamp", b("aten::where.ScalarOther", wanted, place, 0.0), 0, extent - 1)
    low = b("aten::floor", clamped)
    high = b("aten::clamp", b("aten::add.Scalar", low, 1), None, extent - 1)
    after = b("aten::sub.Tensor", clamped, low)
    sides = [
        b("aten::to.dtype", b("aten::where.ScalarOther", wanted, side, -1.0), dtypes.INT64.code) for side in (low, high)
    ]
    return b("aten::cat", sides, 2), b("aten::cat", [b("aten::rsub.Scalar", after, 1), after], 2)


def _decompose_samples(
    b: Any,
    x: Any,
    boxes: Any,
    scale: Any,
    height: int,
    width: int,
    ratio: int,
    shift: float,
    least: float | None,
    apart: bool,
) -> Any:
    """The average of linear interpolations inside of each bin: (K, C, height, width)."""
    rows, columns = (
        (*_span(b, boxes, side, scale, shift, least), bins, extent)
        for side, bins, extent in ((2, height, b.shape(x)[2]), (1, width, b.shape(x)[3]))
    )
    tables: list[Any] = []
    total = None
    for first, size, bins, extent in (rows, columns):
        counts, most = _sample_counts(b, size, bins, ratio)
        tables += _sample_tables(b, first, size, bins, counts, most, extent)
        total = counts if total is None else b("aten::mul.Tensor", total, counts)
    if not apart:
        total = b("aten::clamp", total, 1)
    planes = _last_planes(b, x, height, width) if apart else _last_channels(b, x)
    sums = b("prim::PatchSums", planes, _images(b, boxes), *tables)
    mean = b("aten::div.Tensor", sums, b("aten::unsqueeze", _along(b, total), 3))
    return b("aten::to.dtype", _first_channels(b, mean), b.type(x).dtype.code)


def _settled(*arguments: Any) -> None:
    """Bins and how they are sampled have to be known; the scale need not be."""
    require_settled(arguments)
    if not all(isinstance(argument, int) for argument in arguments):
        raise UndecidedShape("the number of bins is needed before the program runs")


def _infer_roi_align(
    x: TensorType, boxes: TensorType, scale: Any, height: Any, width: Any, ratio: Any, aligned: Any
) -> TensorType:
    _check(x, boxes, "roi_align_forward_kernel")
    _settled(height, width)
    return x.with_shape(_pooled(x, boxes, height, width, False))


def _decompose_roi_align(
    b: Any, x: Any, boxes: Any, scale: Any, height: Any, width: Any, ratio: Any, aligned: Any
) -> Any:
    _settled(height, width, ratio, aligned)
    shift, least = (0.5, None) if aligned else (0.0, 1.0)
    return _decompose_samples(b, x, boxes, scale, height, width, ratio, shift, least, False)


def _interpolated(plane: Array, y: Any, x: Any) -> Array:
    """(C, H, W) between pixels; nothing where more than a pixel outside."""
    height, width = plane.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(len(plane))
    kind = type(y)
    y, x = min(max(y, kind(0)), kind(height - 1)), min(max(x, kind(0)), kind(width - 1))
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - kind(top), x - kind(left)
    upper = plane[:, top, left] * ((1 - down) * (1 - across)) + plane[:, top, right] * ((1 - down) * across)
    lower = plane[:, bottom, left] * (down * (1 - across)) + plane[:, bottom, right] * (down * across)
    return np.asarray(upper + lower)


def _samples(first: Any, size: Any, bins: int, ratio: int) -> tuple[list[list[Any]], int]:
    """The places of samples in every bin along one side, and how many each has; places are numbers of the boxes' type."""
    kind = type(size)
    if ratio <= 0 and not float(np.ceil(size / kind(bins))) < ENDLESS:
        return [[] for _ in range(bins)], 0
    count = ratio if ratio > 0 else int(np.ceil(size / kind(bins)))
    step = size / kind(bins)
    places = [
        [first + kind(number) * step + kind(turn + 0.5) * step / kind(count) for turn in range(count)]
        for number in range(bins)
    ]
    return places, count


def _reference_samples(
    x: Array,
    boxes: Array,
    scale: float,
    height: int,
    width: int,
    ratio: int,
    shift: float,
    least: float | None,
    apart: bool,
) -> Array:
    kind = x.dtype.type
    channels = int(_planes(x.shape[1], height, width)) if apart else x.shape[1]
    result = np.zeros((len(boxes), channels, height, width), x.dtype)
    for number, box in enumerate(boxes if result.size else ()):
        left, top, right, bottom = (kind(side * kind(scale) - kind(shift)) for side in box[1:])
        sizes = [kind(bottom - top), kind(right - left)]
        if least is not None:
            sizes = [kind(least) if size < least else size for size in sizes]
        rows, down = _samples(top, sizes[0], height, ratio)
        columns, across = _samples(left, sizes[1], width, ratio)
        count = down * across if apart else max(down * across, 1)
        image = _image_of(x, box[0]).astype(np.float64)
        for i, j in np.ndindex(height, width):
            plane = image.reshape(channels, height, width, *x.shape[2:])[:, i, j] if apart else image
            total = sum((_interpolated(plane, y, x_) for y in rows[i] for x_ in columns[j]), np.zeros(channels))
            with np.errstate(invalid="ignore"):
                result[number, :, i, j] = total / np.float64(count)
    return result


def _image_of(x: Array, number: Any) -> Array:
    """The image that a box lies in. Raises IndexError where there is none."""
    if not 0 <= number < len(x):
        raise IndexError(f"a box lies in image {number} of {len(x)}")
    return np.asarray(x[int(number)])


def _reference_roi_align(
    x: Array, boxes: Array, scale: float, height: int, width: int, ratio: int, aligned: bool
) -> Array:  # fmt: skip
    _check(x, boxes, "roi_align_forward_kernel")
    shift, least = (0.5, None) if aligned else (0.0, 1.0)
    return _reference_samples(x, boxes, scale, height, width, ratio, shift, least, False)


define(
    "torchvision::roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
    infer=_infer_roi_align,
    reference=_reference_roi_align,
    decompose=_decompose_roi_align,
    may_fail=True,
)


def _infer_ps_roi_align(
    x: TensorType, boxes: TensorType, scale: Any, height: Any, width: Any, ratio: Any
) -> tuple[TensorType, TensorType]:
    _check(x, boxes, "ps_roi_align_forward_kernel")
    return _apart_types(x, boxes, height, width)


def _apart_types(x: TensorType, boxes: TensorType, height: Any, width: Any) -> tuple[TensorType, TensorType]:
    _settled(height, width)
    shape = _pooled(x, boxes, height, width, True)
    return x.with_shape(shape), TensorType(dtypes.INT32, shape)


def _decompose_ps_roi_align(b: Any, x: Any, boxes: Any, scale: Any, height: Any, width: Any, ratio: Any) -> Any:
    _settled(height, width, ratio)
    found = _decompose_samples(b, x, boxes, scale, height, width, ratio, 0.5, None, True)
    return found, _channel_numbers(b, b.shape(found))


def _reference_numbers(found: Array) -> tuple[Array, Array]:
    numbers = np.arange(found[:1].size, dtype=np.int32) if found.size else np.zeros(0, np.int32)
    return found, np.broadcast_to(numbers.reshape(-1, *found.shape[1:]), found.shape).copy()


def _reference_ps_roi_align(
    x: Array, boxes: Array, scale: float, height: int, width: int, ratio: int
) -> tuple[Array, Array]:  # fmt: skip
    _check(x, boxes, "ps_roi_align_forward_kernel")
    return _reference_numbers(_reference_samples(x, boxes, scale, height, width, ratio, 0.5, None, True))


define(
    "torchvision::ps_roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio) -> (Tensor, Tensor)",
    infer=_infer_ps_roi_align,
    reference=_reference_ps_roi_align,
    decompose=_decompose_ps_roi_align,
    may_fail=True,
)


# Bins of whole elements ----------------------------------------------------------------------------------------------


def _rounded(b: Any, x: Any) -> Any:
    """To the nearest integer, halves away from zero, as C's `round`."""
    whole = b("aten::trunc", x)
    is_more = b("aten::ge.Scalar", b("aten::abs", b("aten::sub.Tensor", x, whole)), 0.5)
    return b("aten::add.Tensor", whole, b("aten::where.ScalarOther", is_more, b("aten::sign", x), 0.0))


def _bin_tables(b: Any, boxes: Any, side: int, scale: Any, bins: int, more: int, last: Dim) -> tuple[Any, Any]:
    """Places (K, bins, S) and how many each bin has (K, bins); bins end before `last`, boxes are `more` longer."""
    code = b.type(boxes).dtype.code
    first, end = (
        _rounded(b, b("aten::mul.Scalar", b("aten::select.int", boxes, 1, place), scale)) for place in (side, side + 2)
    )
    size = b("aten::clamp", b("aten::add.Scalar", b("aten::sub.Tensor", end, first), more), 1)
    step = b("aten::unsqueeze", b("aten::div.Scalar", size, bins), 1)
    numbers = b("aten::arange", bins, dtype=code)
    edges = [
        b("aten::floor", b("aten::mul.Tensor", numbers, step)),
        b("aten::ceil", b("aten::mul.Tensor", b("aten::add.Scalar", numbers, 1), step)),
    ]
    begin, stop = (
        b("aten::to.dtype", b("aten::clamp", b("aten::add.Tensor", edge, b("aten::unsqueeze", first, 1)), 0, last), 4)
        for edge in edges
    )
    counts = b("aten::clamp", b("aten::sub.Tensor", stop, begin), 0)
    most = _largest(b, b("aten::reshape", counts, [b.shape(boxes)[0] * bins]))
    steps = b("aten::arange", most)
    places = b("aten::add.Tensor", b("aten::unsqueeze", begin, 2), steps)
    there = b("aten::lt.Tensor", steps, b("aten::unsqueeze", counts, 2))
    return b("aten::where.ScalarOther", there, places, -1), counts


def _areas(b: Any, down: Any, across: Any) -> Any:
    """How many elements every bin has: (K, height, width)."""
    return b("aten::mul.Tensor", b("aten::unsqueeze", down, 2), b("aten::unsqueeze", across, 1))


def _decompose_roi_pool(b: Any, x: Any, boxes: Any, scale: Any, height: Any, width: Any) -> Any:
    _settled(height, width)
    rows, down = _bin_tables(b, boxes, 2, scale, height, 1, b.shape(x)[2])
    columns, across = _bin_tables(b, boxes, 1, scale, width, 1, b.shape(x)[3])
    best, places = b("prim::PatchMaxima", _last_channels(b, x), _images(b, boxes), rows, columns)
    is_empty = b("aten::eq.Scalar", b("aten::unsqueeze", _areas(b, down, across), 3), 0)
    found = b("aten::where.ScalarSelf", is_empty, 0.0, best)
    return _first_channels(b, b("aten::to.dtype", found, b.type(x).dtype.code)), _first_channels(b, places)


def _decompose_ps_roi_pool(b: Any, x: Any, boxes: Any, scale: Any, height: Any, width: Any) -> Any:
    """Bins end one before the last row and column, as torchvision has it."""
    _settled(height, width)
    code = b.type(x).dtype.code
    rows, down = _bin_tables(b, boxes, 2, scale, height, 0, b.shape(x)[2] - 1)
    columns, across = _bin_tables(b, boxes, 1, scale, width, 0, b.shape(x)[3] - 1)
    weights = [b("aten::ones_like", table, dtype=code) for table in (rows, columns)]
    planes = _last_planes(b, x, height, width)
    sums = b("prim::PatchSums", planes, _images(b, boxes), rows, weights[0], columns, weights[1])
    areas = b("aten::clamp", b("aten::unsqueeze", _areas(b, down, across), 3), 1)
    found = _first_channels(b, b("aten::div.Tensor", sums, areas))
    return found, _channel_numbers(b, b.shape(found))


def _edges(first: int, end: int, bins: int, kind: Any, last: int) -> list[range]:
    """The elements of every bin along one side, `end` excluded."""
    step = kind(max(end - first, 1)) / kind(bins)
    sides = [
        [int(edge(kind(number) * step)) + first for edge, number in ((np.floor, n), (np.ceil, n + 1))]
        for n in range(bins)
    ]
    return [range(*(min(max(side, 0), last) for side in pair)) for pair in sides]


def _whole(number: Any) -> int:
    """C's `round`, of a number that fits."""
    return int(np.trunc(number)) + (int(np.sign(number)) if abs(number - np.trunc(number)) >= 0.5 else 0)


def _reference_bins(
    x: Array, boxes: Array, scale: float, height: int, width: int, more: int, less: int
) -> Iterator[tuple[tuple[int, int, int], Array, range, range]]:
    """Box and bin, the image, and which of its rows and columns; boxes end `more` behind, bins `less` before the end."""
    kind = x.dtype.type
    for number, box in enumerate(boxes):
        left, top, right, bottom = (_whole(side * kind(scale)) for side in box[1:])
        rows = _edges(top, bottom + more, height, kind, x.shape[2] - less)
        columns = _edges(left, right + more, width, kind, x.shape[3] - less)
        image = _image_of(x, box[0])
        for i, j in np.ndindex(height, width):
            yield (number, i, j), image, rows[i], columns[j]


def _infer_roi_pool(
    x: TensorType, boxes: TensorType, scale: Any, height: Any, width: Any
) -> tuple[TensorType, TensorType]:  # fmt: skip
    _check(x, boxes, "roi_pool_forward_kernel")
    _settled(height, width)
    shape = _pooled(x, boxes, height, width, False)
    return x.with_shape(shape), TensorType(dtypes.INT32, shape)


def _reference_roi_pool(x: Array, boxes: Array, scale: float, height: int, width: int) -> tuple[Array, Array]:
    _check(x, boxes, "roi_pool_forward_kernel")
    shape = (len(boxes), x.shape[1], height, width)
    found, places = np.zeros(shape, x.dtype), np.full(shape, -1, np.int32)
    if not found.size:
        return found, places
    for (number, i, j), image, rows, columns in _reference_bins(x, boxes, scale, height, width, 1, 0):
        for channel, plane in enumerate(image):
            found[number, channel, i, j], places[number, channel, i, j] = _largest_of(plane, rows, columns)
    return found, places


def _largest_of(plane: Array, rows: range, columns: range) -> tuple[Any, int]:
    """The largest element of a bin of a plane (H, W), and row * W + column of the first of equal ones."""
    if not rows or not columns:
        return 0.0, -1
    best, place = lowest(operand_type(plane)), -1
    for row, column in product(rows, columns):
        if plane[row, column] > best:
            best, place = plane[row, column], row * plane.shape[1] + column
    return best, place


define(
    "torchvision::roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width) "
    "-> (Tensor, Tensor)",
    infer=_infer_roi_pool,
    reference=_reference_roi_pool,
    decompose=_decompose_roi_pool,
    may_fail=True,
)


def _infer_ps_roi_pool(
    x: TensorType, boxes: TensorType, scale: Any, height: Any, width: Any
) -> tuple[TensorType, TensorType]:  # fmt: skip
    _check(x, boxes, "ps_roi_pool_forward_kernel")
    return _apart_types(x, boxes, height, width)


def _reference_ps_roi_pool(x: Array, boxes: Array, scale: float, height: int, width: int) -> tuple[Array, Array]:
    _check(x, boxes, "ps_roi_pool_forward_kernel")
    channels = int(_planes(x.shape[1], height, width))
    found = np.zeros((len(boxes), channels, height, width), x.dtype)
    if not found.size:
        return _reference_numbers(found)
    for (number, i, j), image, rows, columns in _reference_bins(x, boxes, scale, height, width, 0, 1):
        if rows and columns:
            planes = image.reshape(channels, height, width, *x.shape[2:])[:, i, j]
            part = planes[:, rows.start : rows.stop, columns.start : columns.stop]
            found[number, :, i, j] = part.mean((1, 2), dtype=np.float64)
    return _reference_numbers(found)


define(
    "torchvision::ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width) -> (Tensor, Tensor)",
    infer=_infer_ps_roi_pool,
    reference=_reference_ps_roi_pool,
    decompose=_decompose_ps_roi_pool,
    may_fail=True,
)
