"""Arguments to try operators with that put elements elsewhere, and sums over samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.neural_samples import normal

NUMBERS = np.arange(5)

ARRANGEMENTS: dict[str, list[Any]] = {
    "aten::rot90": [(normal(2, 3), turns) for turns in (0, 1, 2, 3, -1)] + [
        (normal(2, 3, 4), 1, [2, 0]), (normal(3), 1), (normal(2, 3), 1, [0, 0]), (normal(2, 3), 1, [0, 2]),
    ],
    "aten::diag_embed": [
        (normal(3),), (normal(2, 3), 1), (normal(2, 3), -2, 0, 2), (normal(2, 3), 1, 2, 0), (normal(2), 0, 1, 1),
        (NUMBERS > 2,),
    ],
    "aten::diagflat": [(normal(2, 2),), (normal(3), -1)],
    "aten::diagonal_scatter": [
        (normal(3, 4), normal(3)), (normal(3, 4), normal(3), 1), (normal(4, 3), normal(2), -2),
        (normal(2, 4, 3), normal(4, 2), 1, 2, 0), (normal(3, 4), normal(2)),
    ],
    "aten::block_diag": [
        ([normal(2, 3), normal(3), normal()],), ([normal(2, 2), NUMBERS],), ([normal(1, 2, 3)],),
    ],
    "aten::cartesian_prod": [([NUMBERS, NUMBERS[:2]],), ([normal(3)],), ([normal(2, 2)],)],
    "aten::combinations": [
        (NUMBERS,), (NUMBERS, 3), (NUMBERS, 2, True), (NUMBERS, 0), (NUMBERS, 6), (normal(2, 2),), (NUMBERS, -1),
    ],
    "aten::sum_to_size": [
        (normal(2, 3), [3]), (normal(2, 3), [2, 1]), (normal(4, 2, 3), [1, 3]), (normal(2, 3), []), (normal(2, 3), [2]),
        (normal(3), [1, 3]), (normal(2, 3), [2, 3]),
    ],
    "aten::column_stack": [([normal(2), normal(2, 3)],), ([normal(), normal()],)],
    "aten::dstack": [([normal(2), normal(2)],), ([normal(2, 3), normal(2, 3, 2)],), ([normal()],)],
    "aten::atleast_3d": [normal(), normal(3), normal(2, 3), normal(2, 3, 4)],
    "aten::hsplit.int": [(normal(4), 2), (normal(2, 4), 2), (normal(2, 3), 2), (normal(), 1), (normal(2, 3), 0)],
    "aten::hsplit.array": [(normal(4), [1, 3]), (normal(2, 5), [2])],
    "aten::vsplit.int": [(normal(4, 2), 2), (normal(4), 2)], "aten::vsplit.array": [(normal(4, 2), [1])],
    "aten::dsplit.int": [(normal(1, 2, 4), 2), (normal(4, 2), 2)], "aten::dsplit.array": [(normal(1, 2, 4), [3])],
    "aten::cov": [
        (normal(3, 5),), (normal(5),), (normal(3, 5), 0), (normal(3, 5), 1, NUMBERS + 1),
        (normal(3, 5), 1, None, np.abs(normal(5))), (normal(3, 5), 1, NUMBERS + 1, np.abs(normal(5))), (normal(2, 2, 2),),
        (NUMBERS > 2,),
    ],
    "aten::corrcoef": [normal(3, 5), normal(5), NUMBERS, normal(2, 2, 2)],
    "aten::_reshape_copy": [(normal(2, 6), [3, -1]), (normal(4, 3).T, [12])],
    "aten::as_strided_copy": [(normal(6), [2, 2], [1, 2]), (normal(6), [2], [2], 1)],
    "aten::as_strided_scatter": [(normal(6), normal(2, 2), [2, 2], [1, 2]), (normal(6), normal(2), [2], [2], 1)],
    "aten::tril_indices": [(3, 4), (3, 4, 1), (4, 3, -1), (0, 2)],
    "aten::triu_indices": [(3, 4), (3, 4, 1), (4, 3, -1), (0, 2)],
    "aten::empty_permuted": [], "aten::new_empty_strided": [],
    "aten::ldexp.Tensor": [(normal(2, 3), NUMBERS[:3]), (NUMBERS, normal(5))],
    "aten::gradient.scalarint": [
        (normal(4),), (normal(3, 4), 0.5), (normal(3, 4), None, -1), (normal(3, 4), 2.0, 0, 2), (normal(2, 3), None, 0, 2),
        (NUMBERS,), (NUMBERS.astype(np.uint8),), (normal(3), None, 0, 3), (normal(3), None, 1),
    ],
    "aten::gradient.scalararray": [(normal(3, 4), 2.0, [0, 1]), (normal(3, 4), 2.0, [1], 2), (normal(3, 4), 1.0, [0, 0])],
    "aten::gradient.array": [(normal(3, 4), [1, 0]), (normal(3, 4), [1], 2)],
    "aten::gradient.scalarrayint": [(normal(3, 4), [0.5, 2.0]), (normal(3, 4), [0.5], 1), (normal(3, 4), [0.5])],
    "aten::gradient.scalarrayarray": [(normal(3, 4), [0.5, 2.0], [1, 0]), (normal(3, 4), [0.5, 2.0], [1])],
    "aten::gradient.tensorarrayint": [
        (normal(3, 4), [np.array([0.0, 1.0, 4.0]), np.array([1.0, 2.0, 4.0, 8.0])]), (normal(3, 4), [np.arange(4) ** 2], 1, 2),
    ],
    "aten::gradient.tensorarray": [(normal(3, 4), [np.array([1.0, 2.0, 4.0, 8.0])], [1]),
                                   (normal(4, 4), [np.arange(4) ** 2, np.array([1.0, 2.0, 4.0, 8.0])], [1, 0], 2)],
    "aten::segment_reduce": [
        (normal(5), how, np.array([2, 0, 3]), None, None, 0, False, initial)
        for how in ("sum", "mean", "max", "min", "prod") for initial in (None, 2)
    ] + [
        (normal(2, 5, 3), "sum", np.array([[2, 0, 3], [1, 2, 2]]), None, None, 1),
        (normal(5, 2), "mean", None, None, np.array([0, 2, 2, 5])), (normal(5), "max", np.array([1, 2]), None, None, 0, True),
        (normal(5), "max", np.array([1, 2])), (normal(5), "least", np.array([5])), (NUMBERS, "sum", np.array([5])),
        (normal(5), "sum"), (normal(5), "sum", np.array([6, -1])),
    ],
    "aten::_chunk_cat": [
        ([normal(2, 3), normal(2, 5)], 1, 2), ([normal(3, 2), normal(1, 4)], 0, 2), ([normal(2, 3, 1), normal(2, 4)], 1, 3),
        ([normal(3)], 0, 0), ([normal(4)], -1, 2),
    ],
    "aten::nonzero_static": [(NUMBERS > 1, 2), (NUMBERS > 1, 5, -7), (normal(2, 3), 7), (normal(), 2), (NUMBERS, 0),
                             (NUMBERS, -1)],
    "aten::_unsafe_masked_index": [
        (normal(4), np.array([True, False, True]), [np.array([0, 9, -1])], 0.5),
        (normal(3, 4), np.array([True, False]), [None, np.array([1, -7])], 0), (normal(0), np.array([True]), [np.array([3])], 2),
        (normal(4), np.array([True]), [np.array([True, False, True, True])], 0),
    ],
    "aten::_unsafe_masked_index_put_accumulate": [
        (normal(4), np.array([True, False, True]), [np.array([1, 9, 1])], normal(3)),
        (normal(0), np.array([True]), [np.array([3])], normal(1)),
    ],
    "aten::frexp.Tensor": [normal(2, 3), np.array([0.0, np.inf, -1e-40, 1.0, -0.0]), normal(3).astype(np.float16), NUMBERS],
}  # fmt: skip
"""Operator -> argument tuples; some of them are refused."""
for _name in ("trapezoid", "trapz", "cumulative_trapezoid"):
    ARRANGEMENTS[f"aten::{_name}.x"] = [
        (normal(2, 4), normal(4)), (normal(3, 2), normal(3), 0), (normal(2, 4), normal(2, 4)), (NUMBERS, NUMBERS),
        (normal(2, 4), normal(3)),
    ]  # fmt: skip
    ARRANGEMENTS[f"aten::{_name}.dx"] = [(normal(2, 4),), (normal(3, 2), 0.5, 0), (NUMBERS, 2.0), (NUMBERS > 2,)]

COPIES = {
    "transpose_copy.int": "transpose.int", "permute_copy": "permute", "view_copy": "view", "view_copy.dtype": "view.dtype",
    "expand_copy": "expand",
    "unsqueeze_copy": "unsqueeze", "squeeze_copy": "squeeze", "squeeze_copy.dim": "squeeze.dim",
    "squeeze_copy.dims": "squeeze.dims", "select_copy.int": "select.int", "slice_copy.Tensor": "slice.Tensor",
    "narrow_copy": "narrow", "diagonal_copy": "diagonal", "unfold_copy": "unfold", "split_copy.Tensor": "split.Tensor",
    "split_with_sizes_copy": "split_with_sizes", "unbind_copy.int": "unbind.int",
}  # fmt: skip
"""Copies of views, and the views whose samples they share."""
