"""Arguments to try the operators of torchvision with: boxes, what lies inside of them, kernels pulled out of shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.neural_samples import normal

_BOXES = np.array([[0, 0, 4, 4], [1, 1, 5, 5], [0, 1, 4, 4], [8, 8, 9, 9], [8, 8, 9, 10]], np.float32)
_SCORES = np.array([0.3, 0.9, 0.3, 0.5, 0.7], np.float32)
_REGIONS = np.array(
    [
        [0, 1, 2, 9, 7], [1, -3, 0, 4, 4], [1, 2, 2, 2, 2], [0, 0, 0, 14, 12], [1, 300, 300, 310, 310], [0, 5, 5, 1, 1],
        [1, 2.5, 1.5, 8.5, 6.5],
    ],
    np.float32,
)  # fmt: skip
"""Image and corners: inside, partly and wholly outside, of no size, all of the image, the wrong way round, of halves."""
_IMAGES, _DEEP = normal(2, 3, 6, 7), normal(2, 12, 6, 7)
_TABLE = np.array([[[0, 2, -1], [3, 3, 5]], [[1, -1, -1], [-1, -1, -1]]])
_REFUSED = [(_DEEP, _REGIONS.astype(np.float64)), (_DEEP, _REGIONS[:, :4]), (_DEEP[0], _REGIONS), (_DEEP, _REGIONS[0])]
"""Images and boxes that do not fit together."""


def _deformed(
    groups: int, parts: int, stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int], masked: bool
) -> tuple[Any, ...]:
    """Images (2, 4, 6, 7) and kernels of 3 x 2."""
    rows = (6 + 2 * padding[0] - 2 * dilation[0] - 1) // stride[0] + 1
    columns = (7 + 2 * padding[1] - dilation[1] - 1) // stride[1] + 1
    mask = normal(2, parts * 6, rows, columns) if masked else np.zeros((2, 1), np.float32)
    offset = 2 * normal(2, parts * 12, rows, columns)
    sides = (*stride, *padding, *dilation)
    return (normal(2, 4, 6, 7), normal(6, 4 // groups, 3, 2), offset, mask, normal(6), *sides, groups, parts, masked)


_DEFORMED = _deformed(2, 2, (2, 1), (1, 0), (1, 2), True)

REGIONS: dict[str, Any] = {
    "prim::KeptBoxes": [(_BOXES, 0.5), (_BOXES, 0.1), (_BOXES[:0], 0.5)],
    "torchvision::nms": [(_BOXES, _SCORES, 0.5), (_BOXES, _SCORES, 0.1), (_BOXES[:0], _SCORES[:0], 0.5)],
    "prim::PatchSums": [
        (normal(2, 6, 7, 9), np.array([1, 0]), _TABLE, normal(2, 2, 3), _TABLE, normal(2, 2, 3)),
        (normal(1, 6, 7, 2, 2, 3), np.array([0, 0]), _TABLE, normal(2, 2, 3), _TABLE, normal(2, 2, 3)),
        (normal(1, 6, 7, 3), np.array([0, 1]), _TABLE, normal(2, 2, 3), _TABLE, normal(2, 2, 3)),
    ],
    "prim::PatchMaxima": [
        (normal(2, 6, 7, 9), np.array([1, 0]), _TABLE, _TABLE), (normal(1, 6, 7, 3), np.array([0, -1]), _TABLE, _TABLE),
        (np.full((1, 6, 7, 2), np.nan, np.float32), np.array([0, 0]), _TABLE, _TABLE),
    ],
    "torchvision::roi_align": [
        *((_IMAGES, _REGIONS, 0.5, 2, 3, ratio, aligned) for ratio in (-1, 0, 2) for aligned in (False, True)),
        *((normal(2, 3, 6, 7).astype(kind), _REGIONS.astype(kind), 1.0, 2, 2, -1, True) for kind in ("float16", "float64")),
        (_IMAGES, _REGIONS[:0], 1.0, 2, 2, -1, True),
        *((images, boxes, 1.0, 2, 2, -1, True) for images, boxes in _REFUSED),
    ],
    "torchvision::ps_roi_align": [
        *((_DEEP, _REGIONS, 0.5, 2, 3, ratio) for ratio in (-1, 2)), (_DEEP, _REGIONS[:0], 1.0, 2, 2, 1),
        *((images, boxes, 1.0, 2, 2, 1) for images, boxes in (*_REFUSED, (_IMAGES, _REGIONS))),
    ],
    "torchvision::roi_pool": [
        (_IMAGES, _REGIONS, 0.5, 2, 3), (_IMAGES, _REGIONS[:0], 1.0, 2, 2),
        *((_IMAGES.astype(kind), _REGIONS.astype(kind), 1.0, 3, 3) for kind in ("float16", "float64")),
    ],
    "torchvision::ps_roi_pool": [(_DEEP, _REGIONS, 0.5, 2, 3), (_DEEP, _REGIONS, 1.0, 1, 2), (_DEEP, _REGIONS[:0], 1.0, 2, 2)],
    "torchvision::deform_conv2d": [
        _DEFORMED, _deformed(1, 1, (1, 1), (0, 2), (1, 1), False), (*_DEFORMED[:2], _DEFORMED[2][:, :12], *_DEFORMED[3:]),
        (*_DEFORMED[:3], _DEFORMED[3][:, :, 1:], *_DEFORMED[4:]),
    ],
}  # fmt: skip
