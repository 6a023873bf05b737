"""Images of another size, as the code of archives from PyTorch 1.0 to 1.4 asks for it: one operator for all modes.

What it does is chosen by the rank of the image and the mode. A scale factor only tells the size of the result, unless
`recompute_scale_factor` is false: then it is also the step from place to place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optc.ir.dims import Dim
from optc.ops.abstract import UndecidedShape
from optc.ops.composite import declare_composite

_RANKS = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}
"""The modes that interpolate, and the rank of the images that they take."""

_SIZES, _SCALES = ("int? size=None", "int[]? size=None"), ("{0}? scale_factor=None", "{0}[]? scale_factor=None")
_FORMS = {
    "": (_SIZES[0], _SCALES[0]),
    ".size_list": (_SIZES[1], _SCALES[0]),
    ".scale_list": (_SIZES[0], _SCALES[1]),
    ".size_list_scale_list": (_SIZES[1], _SCALES[1]),
}


def _interpolated(
    b: Any, x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Any:  # fmt: skip
    shape = b.shape(x)
    spatial, is_interpolating = len(shape) - 2, mode not in ("nearest", "area")
    if align_corners is not None and not is_interpolating:
        raise RuntimeError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    _check_rank(len(shape), mode)
    sizes = _output_sizes(shape[2:], size, scale_factor)
    if mode == "area":
        return b(f"aten::adaptive_avg_pool{spatial}d", x, sizes)
    corners = [bool(align_corners)] if is_interpolating else []
    is_step = recompute_scale_factor is False and scale_factor is not None
    steps = [float(scale) for scale in _each(scale_factor, spatial)] if is_step else [-1.0] * spatial
    return b(f"aten::upsample_{mode}{spatial}d", x, sizes, *corners, *steps)


def _check_rank(rank: int, mode: str) -> None:
    """Raise RuntimeError where a mode does not take images of that rank."""
    wanted = _RANKS.get(mode)
    if not 3 <= rank <= 5 or (wanted is None and mode not in ("nearest", "area")):
        raise RuntimeError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported "
            f"(got {rank}D) for the modes: nearest | linear | bilinear | trilinear (got {mode})"
        )
    if wanted not in (None, rank):
        raise RuntimeError(f"Got {rank}D input, but {mode} mode needs {wanted}D input")


def _output_sizes(extents: Sequence[Dim], size: Any, scale_factor: Any) -> list[Any]:
    if size is not None:
        return size if isinstance(size, list) else _each(size, len(extents))
    if scale_factor is None:
        raise RuntimeError("Either size or scale_factor should be defined")
    scales = _each(scale_factor, len(extents))
    if not all(isinstance(extent, int) for extent in extents):
        raise UndecidedShape("scaling needs the extents before the program runs")
    return [math.floor(float(extent) * scale) for extent, scale in zip(extents, scales)]


def _each(value: Any, count: int) -> list[Any]:
    """One value for every spatial dimension; PyTorch does not mind more."""
    found = value[:count] if isinstance(value, list) else [value] * count
    if len(found) < count:
        raise RuntimeError(f"scale_factor needs {count} values, but has {len(found)}")
    return found


def _nearest(b: Any, x: Any, size: Any, scale_factor: Any) -> Any:
    return _interpolated(b, x, size, scale_factor, "nearest")


def _bilinear(b: Any, x: Any, size: Any, scale_factor: Any) -> Any:
    return _interpolated(b, x, size, scale_factor, "bilinear", True)


def _declare(name: str, overload: str, factor: str, build: Any, rest: str = "") -> None:
    size, scale = _FORMS[overload]
    declare_composite(f"aten::{name}{overload}(Tensor input, {size}, {scale.format(factor)}{rest}) -> Tensor", build)


for _overload in (".scale_list", ".size_list_scale_list", "", ".size_list"):
    _declare(
        "__interpolate", _overload, "float", _interpolated,
        ', str mode="nearest", bool? align_corners=None, bool? recompute_scale_factor=None, bool antialias=False',
    )  # fmt: skip
for _overload in ("", ".size_list"):
    _declare("__upsample_nearest", _overload, "int", _nearest)
    _declare("__upsample", _overload, "int", _interpolated, ', str mode="nearest", bool? align_corners=None')
for _overload in ("", ".size_list", ".scale_list", ".size_list_scale_list"):
    _declare("__upsample_bilinear", _overload, "int", _bilinear)
