"""Arguments to try the operators of images with: transposed convolutions, pooling with places, resampling, folding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.ops.neural_samples import normal

IMAGE = normal(2, 3, 5, 6)
VOLUME = normal(1, 2, 4, 5, 4)
_LINE = normal(2, 3, 7)


def transposed(spatial: int) -> list[tuple[Any, ...]]:
    """Input, weight, bias, stride, padding, output padding, groups, dilation; the last ones are refused."""
    x, few = normal(2, 4, *[4, 3, 5][:spatial]), [1] * spatial
    return [
        (x, normal(4, 3, *[3] * spatial), normal(3)),
        (x, normal(4, 3, *[2] * spatial), None, [2] * spatial, few, few, 2, few),
        (x, normal(4, 2, *[3] * spatial), normal(2), [3] * spatial, few, [0] * spatial, 1, [2] * spatial),
        (x, normal(4, 2, *[5] * spatial), normal(4), [2] * spatial, [3] * spatial, few, 2),
        (
            x,
            normal(4, 2, *[3, 4, 2][:spatial]),
            None,
            [2, 1, 3][:spatial],
            [2, 1, 0][:spatial],
            [1, 0, 2][:spatial],
            1,
            [1, 2, 1][:spatial],
        ),
        (x[0], normal(4, 2, *[1] * spatial)),
        (x, normal(3, 2, *[3] * spatial)),
        (x, normal(4, 2, *[3] * spatial), None, few, [0] * spatial, few),
    ]


def resampled(spatial: int, corners: bool) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Arguments of both overloads: with sizes and scales, and with one of the two."""
    x = normal(2, 3, *[5, 4, 3][:spatial])
    for aligned in [(True,), (False,)] if corners else [()]:
        yield "", (x, [7, 3, 4][:spatial], *aligned, *[None] * spatial)
        yield "", (x, [9, 8, 6][:spatial], *aligned, *[1.7, 2.0, 2.0][:spatial])
        yield ".vec", (x, None, *aligned, [1.6, 0.5, 2.0][:spatial])
        yield ".vec", (x, [5, 8, 3][:spatial], *aligned, None)
        yield ".vec", (x, None, *aligned, None)
        yield "", (x[0], [7, 3, 4][:spatial], *aligned, *[None] * spatial)
        yield "", (x.astype(np.float64), [7, 3, 4][:spatial], *aligned, *[None] * spatial)
        yield "", ((x * 50 + 100).clip(0, 255).astype(np.uint8), [7, 3, 4][:spatial], *aligned, *[None] * spatial)
        yield "", ((x * 50).astype(np.int64), [7, 3, 4][:spatial], *aligned, *[None] * spatial)


IMAGES: dict[str, Any] = {
    "aten::conv_transpose1d": transposed(1),
    "aten::conv_transpose2d.input": transposed(2),
    "aten::conv_transpose3d.input": transposed(3),
    "aten::_convolution_mode": [(_LINE, normal(4, 3, 3), normal(4), [1], "same", [2], 1), (IMAGE, normal(4, 3, 3, 2), None, [2, 1], "valid", [1, 1], 1)],
    "aten::mkldnn_convolution": [
        (IMAGE, normal(4, 3, 3, 2), normal(4), [1, 0], [2, 1], [1, 2], 1), (_LINE, normal(4, 3, 3), None, [1], [1], [1], 1),
    ],
    "aten::mkldnn_max_pool2d": [(IMAGE, [2, 2]), (IMAGE, [3, 2], [2, 1], [1, 0], [1, 1], True)],
    "aten::mkldnn_max_pool3d": [(VOLUME, [2, 2, 2])],
    "aten::mkldnn_adaptive_avg_pool2d": [(IMAGE, [2, 3])],
    "aten::max_pool3d": [(VOLUME, [2, 2, 2]), (VOLUME, [2], [1], [1], [2])],
    "aten::avg_pool3d": [(VOLUME, [2, 2, 2]), (VOLUME, [2], [1], [1], True, False)],
    "aten::adaptive_avg_pool3d": [(VOLUME, [2, 3, 1])],
    "aten::_adaptive_avg_pool3d": [(VOLUME, [1, 1, 1])],
    "aten::max_pool1d_with_indices": [(_LINE, [3]), (_LINE, [3], [2], [1], [1], True)],
    "aten::max_pool2d_with_indices": [(IMAGE, [2, 2]), (IMAGE, [3, 2], [2, 1], [1, 0], [1, 1], True), (IMAGE[0], [3])],
    "aten::max_pool3d_with_indices": [(VOLUME, [2, 2, 2]), (VOLUME, [2], [1], [1], [2])],
    "aten::adaptive_max_pool1d": [(_LINE, [3]), (_LINE[0], [7])],
    "aten::adaptive_max_pool2d": [(IMAGE, [2, 4]), (IMAGE[0], [3, 3]), (IMAGE[0], [3]), (IMAGE, [2, -1])],
    "aten::adaptive_max_pool3d": [(VOLUME, [2, 3, 3])],
    "aten::pixel_shuffle": [(normal(2, 8, 3, 4), 2), (normal(9, 2, 2), 3), (normal(2, 7, 3, 4), 2), (normal(4, 4), 2)],
    "aten::pixel_unshuffle": [(normal(2, 3, 4, 6), 2), (normal(1, 3, 6), 3), (normal(2, 3, 5, 6), 2)],
    "aten::im2col": [(IMAGE, [2, 3], [1, 1], [0, 0], [1, 2]), (IMAGE[0], [3, 3], [2, 1], [1, 1], [1, 1]),
                     (IMAGE, [9, 9], [1, 1], [0, 0], [1, 1])],
    "aten::col2im": [(normal(2, 12, 20), [5, 6], [2, 2], [1, 1], [0, 0], [1, 1]),
                     (normal(8, 12), [5, 6], [2, 2], [2, 1], [1, 1], [2, 2]), (normal(8, 12), [5, 6], [2, 2], [1, 1], [1, 1], [2, 2]),
                     (normal(2, 9, 20), [5, 6], [2, 2], [1, 1], [0, 0], [1, 1])],
    "aten::unsafe_split.Tensor": [(normal(5, 2), 2), (normal(2, 6), 4, 1)],
    "aten::unsafe_split_with_sizes": [(normal(5, 2), [2, 3]), (normal(5, 2), [2, 2])],
    "aten::unsafe_chunk": [(normal(5, 2), 2), (normal(2, 6), 3, 1)],
}  # fmt: skip
for _overload, _size, _scale in (
    ("", 5, None), (".size_list", [7, 3], None), (".scale_list", None, [1.7, 2.0]), (".size_list_scale_list", None, [2.0, 0.5]),
):  # fmt: skip
    _whole = _scale and [int(_factor) + 1 for _factor in _scale]
    IMAGES[f"aten::__interpolate{_overload}"] = [
        (IMAGE, _size, _scale, "nearest", None, None, False), (IMAGE, _size, _scale, "bilinear", True, False, False),
        (IMAGE, _size, _scale, "area", None, True, False), (IMAGE, _size, _scale, "linear", None, None, False),
    ]  # fmt: skip
    IMAGES[f"aten::__upsample_bilinear{_overload}"] = [(IMAGE, _size, _whole)]
    if not _scale:
        IMAGES[f"aten::__upsample_nearest{_overload}"] = [(IMAGE, _size, None), (IMAGE, None, 2)]
        IMAGES[f"aten::__upsample{_overload}"] = [
            (IMAGE, _size, None, "bicubic", False),
            (IMAGE, None, 2, "nearest", None),
        ]
for _name, _spatial, _corners in (
    *((f"{_form}{_spatial}d", _spatial, False) for _form in ("upsample_nearest", "_upsample_nearest_exact") for _spatial in (1, 2, 3)),
    ("upsample_linear1d", 1, True), ("upsample_bilinear2d", 2, True), ("upsample_trilinear3d", 3, True),
    ("upsample_bicubic2d", 2, True), ("_upsample_bilinear2d_aa", 2, True), ("_upsample_bicubic2d_aa", 2, True),
    ("_upsample_lanczos2d_aa", 2, True),
):  # fmt: skip
    for _overload, _arguments in resampled(_spatial, _corners):
        IMAGES.setdefault(f"aten::{_name}{_overload}", []).append(_arguments)
