"""Arguments to try losses, bags of rows, sampling of images and the way back from maxima with."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


_X, _Y, _SIGNS = _numbers(4, 3), _numbers(4, 3, seed=1), np.array([1, -1, 1, -1], np.float32)
_LOGS = _numbers(7, 2, 4) - 2
_ROWS, _INDEX = _numbers(6, 3), np.array([1, 2, 2, 5, 0])
_IMAGE, _GRID = _numbers(2, 3, 5, 6), _numbers(2, 4, 3, 2, seed=1)
_VOLUME, _PLACES = _numbers(1, 2, 3, 4, 5), _numbers(1, 2, 3, 2, 3, seed=1)
_BOX = np.array([[[1, 3], [8, 10]]])

LOSSES: dict[str, list[Any]] = {
    "aten::multi_margin_loss": [(_X, np.array([0, 2, 1, 1])), (_X, np.array([0, 2, 1, 1]), 2, 0.5, _numbers(3), 0),
                                (_X[0], np.array(2)), (_X, np.array([0, 3, 1, 1])), (_X, np.array([0]))],
    "aten::multilabel_margin_loss": [(_X, np.array([[0, 2, -1], [1, -1, 0], [-1, 0, 0], [2, 1, 0]]), reduction) for reduction in (0, 1, 2)]
    + [(_X[0], np.array([1, -1, 2]))],
    "aten::ctc_loss.IntList": [(_LOGS, np.array([[1, 2, 2], [3, 1, 0]]), [7, 6], [3, 2], 0, reduction) for reduction in (0, 1, 2)]
    + [(_LOGS, np.array([1, 2, 3, 1]), [7, 3], [3, 1], 0, 0, True), (_LOGS[:2], np.array([[1, 1], [2, 2]]), [2, 2], [2, 2], 0, 0, True),
       (_LOGS, np.array([[1], [2]]), [9, 6], [1, 1])],
    "aten::ctc_loss.Tensor": [(_LOGS[:, 0], np.array([1, 2]), np.array(7), np.array(2))],
    "aten::embedding_bag": [(_ROWS, _INDEX, np.array([0, 2, 2]), False, mode) for mode in (1, 2)]
    + [(_ROWS, np.array([9]), np.array([0]), False, 1), (_ROWS, _INDEX, np.array([1]), False, 1)],
    "aten::embedding_bag.padding_idx": [(_ROWS, _INDEX, np.array([0, 2]), False, 1, False, None, False, 2)],
    "aten::grid_sampler": [(_IMAGE, _GRID, mode, padding, corners) for mode in (0, 1, 2) for padding in (0, 1, 2) for corners in (False, True)]
    + [(_IMAGE, _GRID[:1], 0, 0, False), (_IMAGE, _GRID[..., :1], 0, 0, False), (_VOLUME, _PLACES, 2, 0, False)],
    "aten::grid_sampler_2d": [(_IMAGE, _GRID, 0, 0, False)],
    "aten::grid_sampler_3d": [(_VOLUME, _PLACES, mode, padding, False) for mode in (0, 1) for padding in (0, 2)],
    "aten::affine_grid_generator": [(_numbers(2, 2, 3), [2, 3, 4, 5], corners) for corners in (False, True)]
    + [(_numbers(1, 3, 4), [1, 2, 2, 1, 3], False)],
    "aten::max_unpool2d": [(_numbers(1, 2, 2), _BOX, [3, 4]), (_numbers(1, 2, 2), _BOX + 2, [3, 4]), (_numbers(1, 2, 2), _BOX, [3])],
    "aten::max_unpool3d": [(_numbers(1, 1, 2, 2), _BOX[None], [2, 3, 4], [1, 1, 1], [0, 0, 0])],
    "aten::fractional_max_pool2d": [(_IMAGE, [2, 2], [3, 2], np.abs(_numbers(2, 3, 2)) % 1), (_IMAGE[0], [2, 3], [4, 4], np.zeros((1, 3, 2), "f4")),
                                    (_IMAGE, [3, 3], [9, 9], _numbers(2, 3, 2))],
    "aten::fractional_max_pool3d": [(_VOLUME, [2, 2, 2], [1, 2, 3], np.abs(_numbers(1, 2, 3)) % 1), (_VOLUME[:0], [2, 2, 2], [1, 2, 3], np.zeros((0, 2, 3), "f4")),
                                   (_VOLUME[:, :0], [2, 2, 2], [1, 2, 3], np.zeros((1, 0, 3), "f4"))],
    "aten::channel_shuffle": [(_numbers(2, 6, 3), 3), (_numbers(2, 6, 3), 4), (_numbers(6, 3), 2)],
    "aten::native_channel_shuffle": [(_numbers(2, 6, 3), 2)],
    "aten::broadcast_shapes": [([2, 1], [3])], "aten::_infer_size": [([2, 1], [3])],
    "aten::pairwise_distance": [(_X, _Y), (_X, _Y[:1], 1.0, 1e-6, True), (_X, _Y, np.inf), (np.arange(3), np.arange(3))],
    "aten::triplet_margin_loss": [(_X, _Y, _numbers(4, 3, seed=2)), (_X, _Y, _numbers(4, 3, seed=2), 0.5, 1.0, 1e-6, True, 0), (_X, _Y, _Y[0])],
    "aten::cosine_embedding_loss": [(_X, _Y, _SIGNS), (_X, _Y, _SIGNS, 0.5, 0), (_X[0], _Y[0], np.array(1)), (_X, _Y, _X)],
    "aten::hinge_embedding_loss": [(_X, np.sign(_Y)), (_X, np.sign(_Y), 0.5, 0)],
    "aten::margin_ranking_loss": [(_X, _Y, np.sign(_X)), (np.arange(3), np.arange(3), np.arange(3), 0.5, 2)],
    "aten::poisson_nll_loss": [(_X, np.abs(_Y) * 3, log, full, 1e-8, 1) for log in (True, False) for full in (True, False)],
}  # fmt: skip
