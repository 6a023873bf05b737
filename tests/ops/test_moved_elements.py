"""Operators that are composed of others move about as many elements as they have to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
import optc.nn.functional as F
from optc import nn
from optc.ir.dims import product
from optc.ir.types import TensorType

Array = np.ndarray[Any, Any]


def pairs(x):  # type: ignore[no-untyped-def]  # compiled from this source
    return F.pdist(x)


def pairs_of_sums(x):  # type: ignore[no-untyped-def]
    return F.pdist(x, 1.0)


def runs(x):  # type: ignore[no-untyped-def]
    return optc.unique_consecutive(x, return_inverse=True, return_counts=True)


def side_by_side(x):  # type: ignore[no-untyped-def]
    return F.fold(x, [8, 12], [2, 3], stride=[2, 3])


def overlapping(x):  # type: ignore[no-untyped-def]
    return F.fold(x, [9, 10], [3, 2], dilation=[1, 3], padding=[2, 1], stride=[2, 3])


def far_apart(x):  # type: ignore[no-untyped-def]
    return F.fold(x, [9, 10], [2, 1], stride=[4, 3])


def moved(function: Callable[..., Any], kind: str) -> list[int]:
    """How many elements each node of this kind gives in the compiled program."""
    types = [node.output.type for node in function.graph.walk() if node.kind == kind]  # type: ignore[attr-defined]
    counts = [product(type_.shape) for type_ in types if isinstance(type_, TensorType) and type_.shape is not None]
    return [count for count in counts if isinstance(count, int)]


def folded(x: Array, extents: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Array:
    """What `fold` means, one block at a time."""
    edges = [extent + 2 * edge for extent, edge in zip(extents, padding, strict=True)]
    spans = [gap * (size - 1) + 1 for size, gap in zip(kernel, dilation, strict=True)]
    rows, columns = ((edge - span) // step + 1 for edge, span, step in zip(edges, spans, stride, strict=True))
    blocks = x.reshape(x.shape[0], -1, *kernel, rows, columns)
    image = np.zeros((*blocks.shape[:2], *edges), x.dtype)
    for place in np.ndindex(*kernel, rows, columns):
        at = [place[n] * dilation[n] + place[2 + n] * stride[n] for n in range(2)]
        image[:, :, at[0], at[1]] += blocks[(slice(None), slice(None), *place)]
    return image[:, :, padding[0] : padding[0] + extents[0], padding[1] : padding[1] + extents[1]]


@pytest.mark.parametrize("rows", [2, 3, 9, 33])
@pytest.mark.parametrize(("function", "order"), [(pairs, 2), (pairs_of_sums, 1)])
def test_distances_of_pairs_copy_no_rows(function: Callable[..., Any], order: int, rows: int) -> None:
    x = np.random.default_rng(rows).standard_normal((rows, 7), np.float32)
    first, second = np.triu_indices(rows, 1)
    fast = optc.compile(function)
    expected = np.linalg.norm(x[first].astype(np.float64) - x[second], order, axis=1)
    np.testing.assert_allclose(fast(x), expected, rtol=1e-5)
    assert moved(fast, "aten::index_select") == [rows * (rows - 1) // 2]


@pytest.mark.parametrize("dynamic", [False, True])
def test_neighbours_are_compared_where_they_are(dynamic: bool) -> None:
    fast = optc.compile(runs, dynamic=dynamic)
    for count in (40, 2, 1, 0, 17):
        x = np.random.default_rng(count).integers(0, 3, count)
        starts = np.flatnonzero(np.r_[np.ones(min(count, 1), bool), x[1:] != x[:-1]])
        values, places, counts = fast(x)
        assert np.array_equal(values, x[starts]) and np.array_equal(counts, np.diff([*starts, count]))
        assert np.array_equal(np.asarray(values)[np.asarray(places)], x)
    kinds = [node.kind for node in fast.graph.walk()]
    assert kinds.count("aten::index_select") == 1 and "aten::arange" not in kinds


@pytest.mark.parametrize(
    ("function", "numbers"),
    [
        (side_by_side, ((8, 12), (2, 3), (1, 1), (0, 0), (2, 3))),
        (overlapping, ((9, 10), (3, 2), (1, 3), (2, 1), (2, 3))),
        (far_apart, ((9, 10), (2, 1), (1, 1), (0, 0), (4, 3))),
    ],
)
def test_blocks_are_added_where_they_meet(function: Callable[..., Any], numbers: Any) -> None:
    """No image of zeros for every element of a block: what is filled up is as large as a phase of the stride."""
    extents, kernel, dilation, padding, stride = numbers
    spans = [gap * (size - 1) + 1 for size, gap in zip(kernel, dilation, strict=True)]
    counts = [(e + 2 * p - s) // t + 1 for e, p, s, t in zip(extents, padding, spans, stride, strict=True)]
    shape = (2, 4 * kernel[0] * kernel[1], counts[0] * counts[1])
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    fast = optc.compile(function)
    np.testing.assert_allclose(fast(x), folded(x, *numbers), rtol=1e-5, atol=1e-6)
    phase = 2 * 4 * -(-extents[0] // stride[0]) * -(-extents[1] // stride[1])
    lengthened = phase * stride[1] * stride[0]  # once, where the extents are no multiples of the strides
    assert sum(moved(fast, "aten::constant_pad_nd")) <= kernel[0] * kernel[1] * phase + lengthened
    assert function is not side_by_side or not moved(fast, "aten::constant_pad_nd")


@pytest.mark.parametrize(
    ("channels", "outputs", "kernel", "kind"),
    [
        (3, 8, 3, "aten::sum"), (2, 6, 2, "aten::sum"), (4, 3, 2, "aten::sum"), (2, 16, 3, "aten::bmm"),
        (2, 2, 1, "aten::bmm"), (4, 4, 1, "prim::GroupProducts"), (8, 8, 3, "prim::GroupProducts"),
        (4, 16, 3, "prim::GroupProducts"),
    ],
)  # fmt: skip
def test_groups_of_few_channels_fill_vectors(channels: int, outputs: int, kernel: int, kind: str) -> None:
    """All outputs of all groups are lanes; a product for each group would have as many as a group has outputs."""
    groups, random = 3, np.random.default_rng(channels * outputs)
    network = nn.Conv2d(groups * channels, groups * outputs, kernel, stride=2, padding=1, dilation=1, groups=groups)
    x = random.standard_normal((2, groups * channels, 9, 8)).astype(np.float32)
    x[0, 0, 4, 4] = np.inf  # other groups see nothing of it
    fast = optc.compile(network)
    weight, bias = (np.asarray(value.detach().numpy(), np.float64) for value in (network.weight, network.bias))
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))[:, :, ::2, ::2]
    parts = [
        np.einsum(
            "nchwij,ocij->nohw", windows[:, group * channels :][:, :channels], weight[group * outputs :][:outputs]
        )
        for group in range(groups)
    ]
    np.testing.assert_allclose(fast(x), np.concatenate(parts, 1) + bias[:, None, None], rtol=1e-4, atol=1e-5)
    assert kind in [node.kind for node in fast.graph.walk()]
