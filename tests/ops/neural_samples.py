"""Arguments to try the operators of neural networks with: cells, layers, losses, padding, attention, pooling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def normal(*shape: int, seed: int = 0) -> Array:
    """Normal numbers in float32."""
    return np.asarray(np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(np.float32)


def between(*shape: int, seed: int = 0) -> Array:
    """Numbers between 0 and 1."""
    return np.asarray(np.random.default_rng([seed, *shape]).random(shape)).astype(np.float32)


def signs(*shape: int) -> Array:
    """1 and -1."""
    return np.where(normal(*shape, seed=7) > 0, 1.0, -1.0).astype(np.float32)


def classes(*shape: int, count: int) -> Array:
    """Class numbers."""
    return np.random.default_rng(shape).integers(0, count, shape)


INPUT, HIDDEN, BATCH = 3, 4, 2


def cell(gates: int, pair: bool = False) -> Iterator[tuple[Any, ...]]:
    """Arguments of a cell's operator, those it refuses included."""
    state = normal(BATCH, HIDDEN, seed=1)
    hx = [state, normal(BATCH, HIDDEN, seed=2)] if pair else state
    matrices = normal(gates * HIDDEN, INPUT), normal(gates * HIDDEN, HIDDEN)
    biases = normal(gates * HIDDEN), normal(gates * HIDDEN, seed=1)
    yield normal(BATCH, INPUT), hx, *matrices, *biases
    yield normal(BATCH, INPUT), hx, *matrices
    yield normal(BATCH, INPUT + 1), hx, *matrices, *biases
    yield normal(BATCH + 1, INPUT), hx, *matrices, *biases


def layers(gates: int, pair: bool = False, packed: bool = False) -> Iterator[tuple[Any, ...]]:
    """Arguments of a layer's operator."""
    for count, directions, biased, batch_first in ((1, 1, True, False), (2, 2, True, True), (2, 1, False, False)):
        parameters = []
        for layer in range(count):
            for turn in range(directions):
                width = INPUT if layer == 0 else HIDDEN * directions
                parameters += [normal(gates * HIDDEN, width, seed=turn), normal(gates * HIDDEN, HIDDEN, seed=layer)]
                parameters += [normal(gates * HIDDEN, seed=layer + turn) for _ in range(2)] if biased else []
        state = normal(count * directions, BATCH, HIDDEN)
        hx = [state, normal(count * directions, BATCH, HIDDEN, seed=1)] if pair else state
        options = (parameters, biased, count, 0.5, False, directions == 2)
        if packed:
            yield normal(5, INPUT), np.array([2, 2, 1]), hx, *options
        else:
            yield normal(BATCH, 5, INPUT) if batch_first else normal(5, BATCH, INPUT), hx, *options, batch_first


def reductions(*arguments: Any) -> list[tuple[Any, ...]]:
    """The arguments with every reduction."""
    return [(*arguments, reduction) for reduction in (0, 1, 2)]


_LOGITS, _TARGET = normal(3, 4), classes(3, count=4)
_PAIR = (normal(2, 3), normal(2, 3, seed=1))
_IGNORED = np.array([1, -100, 3])
_TRIPLE = (normal(3, 4), normal(3, 4, seed=1), normal(3, 4, seed=2))
_WEIGHT = between(4, seed=3)
_DOUBLE = (normal(2, 3).astype(np.float64), normal(3, seed=1))
_NLL = [
    *((_LOGITS, _TARGET, None, reduction) for reduction in (0, 1, 2)), (_LOGITS, _IGNORED, _WEIGHT, 1),
    (_LOGITS, _IGNORED, _WEIGHT, 0), (_LOGITS, np.array([0, 9, 1])), (_LOGITS, classes(2, count=4)),
]  # fmt: skip
_MIRRORED = [(normal(2, 3, 4), pad) for pad in ([1, 2], [3, 0], [-1, 2], [5, 1], [0, 0])]
_FRAMES = [
    (normal(2, 3, 4), [1, 2, 0, 1]),
    (normal(1, 2, 3, 4), [-1, 2, 2, -1]),
    (normal(3, 4), [1, 1, 1, 1]),
    (normal(2, 3, 4), [0, 0, 4, 1]),
]
_HEADS = (normal(2, 2, 3, 4), normal(2, 2, 5, 4, seed=1), normal(2, 2, 5, 6, seed=2))
_SQUARE = (normal(2, 4, 3), normal(2, 4, 3, seed=1), normal(2, 4, 3, seed=2))
_GAPS = np.array([[1.0, np.nan, 3.0, 2.0], [4.0, 3.0, 1.0, 1.0]], np.float32)
_RUNS = np.array([[2, 2, 1, 1], [1, 3, 3, 2]])
_IMAGE, _FILTERS = normal(2, 3, 5, 6), normal(4, 3, 3, 2)
_CUBES = [(normal(2, 4, 3, 2), classes(2, 3, 2, count=4), _WEIGHT, reduction) for reduction in (0, 1, 2)]

_WORDS = normal(2, 3, 4)
_PROJECTIONS = (normal(12, 4), normal(12), normal(4, 4), normal(4))
_SELF = (_WORDS, _WORDS, _WORDS, 4, 2, *_PROJECTIONS)
_ENDS = np.array([[False, False, True], [False, True, True]])
_PAST, _BLIND = ~np.tri(3, dtype=bool), np.ones((3, 3), bool)
_FEEDING = (*(normal(4, seed=seed) for seed in range(4)), normal(6, 4), normal(6), normal(4, 6), normal(4, seed=9))


_BLIND = np.array([[0.0, 1.0, -np.inf], [-np.inf, -np.inf, -np.inf]], np.float32)

NEURAL: dict[str, list[Any]] = {
    **{f"aten::{name}_cell": list(cell(gates, name == "lstm"))
       for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1))},
    **{f"aten::{name}.{overload}": list(layers(gates, name == "lstm", overload == "data"))
       for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)) for overload in ("input", "data")},
    "aten::_safe_softmax": [(_BLIND, 1), (_BLIND, 0, 7), (_BLIND.astype(np.float16), -1), (np.arange(4), 0)],
    "aten::_softmax_backward_data": [(normal(2, 3), np.abs(normal(2, 3)), 1, 6), (normal(3), np.abs(normal(3)), 0, 6)],
    "aten::native_group_norm": [
        (normal(2, 4, 3), normal(4), normal(4), 2, 4, 3, 2, 1e-5), (normal(2, 4, 3), None, None, 2, 4, 3, 4, 1e-2),
        (normal(1, 4, 2, 3).astype(np.float16), None, None, 1, 4, 6, 1, 1e-5), (normal(2, 4, 3), None, None, 2, 4, 3, 3, 1e-5),
    ],
    "aten::reflection_pad1d": [*_MIRRORED, (normal(4), [1, 1])], "aten::replication_pad1d": [*_MIRRORED, (normal(4), [1, 1])],
    "aten::reflection_pad2d": _FRAMES, "aten::replication_pad2d": _FRAMES,
    "aten::reflection_pad3d": [(normal(2, 3, 3, 4), [1, 2, 0, 1, 1, 1])], "aten::replication_pad3d": [(normal(2, 3, 3, 4), [1, 2, 0, 1, 3, 1])],
    "aten::_pad_circular": [(normal(2, 3, 4), [1, 4]), (normal(2, 3, 4), [5, 0]), (normal(2, 3, 4), [1, 2, 3, 0]),
                           (normal(2, 3, 4), [-1, 2]), (normal(2, 3, 4), [2, -1, -1, 1])],
    "aten::pad": [(normal(2, 3), [1, 2]), (normal(2, 3), [1, 2, 0, 1], "constant", 0.5), (normal(2, 3), [1, -1]),
                  *((normal(2, 3, 4), [1, 2], mode) for mode in ("reflect", "replicate", "circular", "round")),
                  (normal(4), [1, 1], "reflect"), (normal(2, 3), [1, 1], "reflect", 1.0), (normal(2, 3), [1, 1, 1], "reflect")],
    "aten::scaled_dot_product_attention": [
        _HEADS, (*_HEADS, normal(3, 5)), (*_HEADS, normal(3, 5) > 0), (*_HEADS, np.zeros((3, 5), bool)), (*_SQUARE, None, 0.0, True),
        (*_SQUARE, None, 0.0, False, 0.25), (*_SQUARE, np.ones((4, 4), bool), 0.0, True), (_SQUARE[0], _HEADS[1], _HEADS[2]),
        (*_SQUARE[:2], _SQUARE[2].astype(np.float64)), (normal(1, 4, 3, 2), normal(1, 2, 3, 2), normal(1, 2, 3, 2, seed=1), None, 0.0, False, None, True)],
    "aten::_native_multi_head_attention": [
        _SELF, (*_SELF, None, False), (*_SELF, None, True, False), (_WORDS, normal(2, 3, 4, seed=1), normal(2, 3, 4, seed=2), *_SELF[3:]),
        (*_SELF, _PAST, True, True, 0), (*_SELF, _BLIND, True, True, 0), (*_SELF, _ENDS, True, False, 1), (*_SELF, _ENDS.astype(np.float32), False, True, 1),
        (*_SELF, np.broadcast_to(_PAST, (2, 2, 3, 3))), (*_SELF, _PAST), (*_SELF, _ENDS, True, True, 0), (*_SELF, _PAST, True, True, 1), (*_SELF, _PAST, True, True, 3),
        (*_SELF[:3], 5, *_SELF[4:]), (*_SELF[:4], 3, *_SELF[5:]), (*_SELF[:2], _WORDS[:1], *_SELF[3:]), (*_SELF[:2], _WORDS[0], *_SELF[3:]),
        (*_SELF[:5], _PROJECTIONS[0][:6], *_SELF[6:]), (*_SELF[:6], _PROJECTIONS[1][:6], *_SELF[7:])],
    "aten::_pack_padded_sequence": [
        *((normal(4, 3, 2), np.array(lengths), False) for lengths in ([4, 2, 1], [3, 3, 1], [1, 1, 1], [4, 5, 1], [4, 2], [4, 2, 0])),
        (normal(3, 4, 2), np.array([4, 2, 1]), True), (normal(3, 4), np.array([4, 2, 1]), True), (normal(4, 3, 2), np.array([5, 2, 1]), False),
        (normal(4, 3, 2), np.array([4, 2, 1], np.int32), False), (normal(0, 3, 2), np.array([4, 2, 1]), False)],
    "aten::_pad_packed_sequence": [
        (normal(7, 2), np.array([3, 2, 1, 1]), False, -1.0, 0), (normal(7, 2), np.array([3, 2, 1, 1]), True, 0.5, -1),
        (normal(7), np.array([3, 2, 1, 1]), True, 0.5, 6), (normal(7, 2), np.array([3, 2, 1, 1]), False, 0.5, 3), (normal(3, 2, 1), np.array([3]), False, 0.0, 1)],
    "aten::pad_sequence": [
        *(([normal(2, 3), normal(4, 3), normal(1, 3)], first, 0.5, side) for first in (False, True) for side in ("right", "left")),
        ([normal(3), normal(2, seed=1), normal(0)],), ([normal(2), np.arange(3)], True), ([np.arange(3), np.arange(2)], True, -1.0),
        ([normal(2, 3), normal(2, 4)],), ([normal()],), ([],), ([normal(2)], False, 0.0, "x")],
    "aten::_nested_tensor_from_mask_left_aligned": [(_WORDS, ~_ENDS), (_WORDS, _ENDS), (_WORDS, np.array([[True, False, True], [True, True, True]]))],
    "aten::norm_except_dim": [(normal(3, 4, 2),), *((normal(3, 4, 2), 2, dim) for dim in (-1, 0, 1, 2))],
    "aten::_weight_norm": [(normal(3, 4, 2), normal(3, 1, 1), 0), (normal(3, 4, 2), normal(1, 1, 2), 2), (normal(3, 4), normal(1, 4), 1)],
    "aten::_weight_norm_interface": [(normal(3, 4, 2), normal(3, 1, 1), 0), (normal(3, 4, 2), normal(1, 1, 2), 2)],
    "aten::_transformer_encoder_layer_fwd": [
        (_WORDS, 4, 2, *_PROJECTIONS, gelu, first, 1e-5, *_FEEDING, *mask)
        for gelu in (False, True) for first in (False, True) for mask in ((), (_ENDS, 1), (_PAST, 0))],
    "aten::einsum": [(equation, [normal(*shape, seed=place) for place, shape in enumerate(shapes)]) for equation, *shapes in (
        ("ij,jk->ik", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("i,j", (3,), (4,)), ("ii->i", (3, 3)), ("ii", (3, 3)),
        ("ij->", (2, 3)), ("...ij,...jk", (5, 2, 3), (5, 3, 4)), ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)), ("ij,ij->", (2, 3), (2, 3)),
        ("ab,bc,cd->ad", (2, 3), (3, 4), (4, 5)), ("b i , b o -> b o i", (2, 3), (2, 4)), ("ij,jk->ki", (2, 3), (3, 4)), ("ij,j->i", (2, 3), (1,)),
        ("i...->...i", (2, 3, 4)), ("ij,kl->ik", (2, 3), (4, 5)), ("ij,jk->ik", (2, 3), (4, 4)), ("ij", (2, 3), (3, 4)), ("ij->k", (2, 3)),
        ("ij,jk->ii", (2, 3), (3, 4)), ("ijk->i", (2, 3)))] + [
        ("i,j->ij", [np.array([0, 1, 2]), normal(4)]), ("i,i->i", [normal(3), np.array([2, 3, 4])]), ("i,j->i", [np.array([2, 3]), normal(3)])],
    "aten::tensordot": [(normal(2, 3, 4), normal(4, 3, 5), [1, 2], [1, 0]), (normal(2, 3), normal(4), [], []), (normal(2, 3), normal(4, 3), [0], [0])],
    "aten::kron": [(normal(2, 3), normal(3, 2)), (normal(3), normal(2, 2)), (normal(2), np.array([1, 2]))],
    "aten::median": [normal(5), normal(4, 2), _GAPS, np.array([3, 1, 2, 0])], "aten::nanmedian": [normal(4), _GAPS, np.array([3, 1, 2, 0])],
    "aten::median.dim": [(normal(3, 4), 1), (normal(3, 4), 0, True), (_GAPS, 1), (_GAPS, 0)], "aten::nanmedian.dim": [(_GAPS, 1), (_GAPS, 0)],
    "aten::kthvalue": [(normal(3, 4), 2), (normal(3, 4), 3, 0, True), (normal(3), 4), (normal(90), 70), (normal(), 1), (normal(0, 3), 1, 0), (normal(0, 3), 1, 1)],
    "aten::mode": [(_RUNS,), (_RUNS, 0, True), (_GAPS, 1), (normal(), 0), (normal(0, 3), 0), (normal(0, 3), 1), (np.array([[1, 1, 2], [2, 2, 1]], bool), 1)],
    "aten::_unique2": [(_RUNS,), (_RUNS, True, True, True), (normal(2, 3),), (_GAPS, True, True, True), (normal(0), True, True, True), (normal(), True, True, True)],
    "aten::_unique": [(_RUNS, True, True), (_RUNS,)],
    "aten::unique_consecutive": [(_RUNS,), (_RUNS, True, True), (_RUNS, True, True, 1), (_GAPS, True, True), (normal(0), True, True)],
    "aten::unique_dim": [(np.array([[1, 2], [0, 1], [1, 2]]), 0, True, True, True), (np.array([[3, 1, 3]]), 1), (_GAPS, 0), (normal(0, 3), 0), (normal(3, 0), 0),
                         (np.tile([1, 2, 3, 4, 5, 6], (3, 1)), 0), (np.array([[1, 0, 1, 0, 1, 0], [0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0]]), 0)],
    "aten::unique_dim_consecutive": [(np.array([[1, 2], [1, 2], [0, 1], [1, 2]]), 0), (np.array([[3, 1, 3]]), 1, True, True)],
    "aten::as_strided": [(normal(12), [2, 3], [1, 2]), (normal(12), [2, 3], [4, 1], 3), (normal(3), [2, 3], [4, 1]), (normal(3), [2], [1, 1])],
    "aten::view.dtype": [(normal(2, 3), 3), (normal(2, 4), 7), (normal(2, 3), 7), (normal(2, 3), 5), (np.array(1.0, np.float32), 7)],
    "aten::diag": [(normal(3),), (normal(3), 1), (normal(3), -2), (normal(3, 4), 1), (normal(2, 3, 4),)],
    "aten::cross": [(normal(2, 3), normal(2, 3, seed=1)), (normal(3, 2), normal(3, 2, seed=1), 0), (normal(2, 2), normal(2, 2))],
    "aten::linalg_cross": [(normal(2, 3), normal(1, 3)), (normal(2, 2), normal(2, 2))],
    "aten::diff": [(normal(2, 4),), (normal(2, 4), 2, 0), (normal(4), 5), (normal(4), 1, -1, normal(1), normal(2)), (normal(3) > 0,), (normal(3), -1)],
    "aten::nanmean": [(_GAPS,), (_GAPS, [1], True), (_RUNS,)],
    "aten::logspace": [(0, 2, 5), (0.5, -1, 4, 2.0), (0, 1, 1), (0, 3, 4, 2.0, 4)],
    "aten::conv_tbc": [(normal(7, 2, 3), normal(3, 3, 4), normal(4)), (normal(5, 1, 2), normal(2, 2, 3), normal(3), 1)],
    "aten::conv1d": [(normal(2, 3, 7), normal(4, 3, 3), normal(4)), (normal(2, 4, 7), normal(6, 2, 3), None, [2], [1], [2], 2), (normal(3, 7), normal(4, 3, 1)),
                     (normal(2, 3, 7), normal(4, 2, 3)), (normal(2, 3, 2), normal(4, 3, 3)), (normal(2, 3, 7), normal(4, 3, 3), normal(3)), (normal(7), normal(4, 3, 3))],
    "aten::conv2d": [(_IMAGE, _FILTERS, normal(4)), (_IMAGE, _FILTERS, None, [2, 1], [1, 2], [1, 2]), (_IMAGE, normal(6, 1, 3, 3), normal(6), [1, 1], [1, 1], [1, 1], 3),
                     (_IMAGE[0], _FILTERS), (_IMAGE, _FILTERS, None, [1, 1], [0, 0], [1, 1], 2)],
    "prim::GroupProducts": [(normal(5, 24), normal(2, 12, 3), 3), (normal(40, 64), normal(4, 16, 9), 1)],
    "aten::conv3d": [(normal(1, 2, 4, 5, 4), normal(3, 2, 2, 3, 2), normal(3), [1, 2, 1], [1, 0, 1])],
    "aten::conv1d.padding": [(normal(2, 3, 7), normal(4, 3, 4), normal(4), [1], "same"), (normal(2, 3, 7), normal(4, 3, 3)), (normal(2, 3, 7), normal(4, 3, 3), None, [2], "same")],
    "aten::conv2d.padding": [(_IMAGE, _FILTERS, normal(4), [1, 1], "same", [2, 1])], "aten::conv3d.padding": [(normal(1, 2, 4, 5, 4), normal(3, 2, 2, 3, 2))],
    "aten::convolution": [(_IMAGE, _FILTERS, normal(4), [1, 1], [1, 1], [1, 1], False, [0, 0], 1)],
    "aten::_convolution": [(_IMAGE, _FILTERS, normal(4), [1, 1], [1, 1], [1, 1], False, [0, 0], 1, False, False, True, True)],
    "aten::_convolution.deprecated": [(_IMAGE, _FILTERS, normal(4), [1, 1], [1, 1], [1, 1], False, [0, 0], 1, False, False, True)],
    "aten::max_pool1d": [(normal(2, 3, 7), [3]), (normal(2, 3, 7), [3], [2], [1], [1], True), (normal(3, 7), [2], [1], [0], [2])],
    "aten::max_pool2d": [(_IMAGE, [2, 2]), (_IMAGE, [3, 2], [2, 1], [1, 0], [1, 1], True), (_IMAGE[0], [2], [1], [1], [2])],
    "aten::avg_pool1d": [(normal(2, 3, 7), [3]), (normal(2, 3, 7), [3], [2], [1], True), (normal(2, 3, 7), [3], [2], [1], False, False)],
    "aten::avg_pool2d": [(_IMAGE, [2, 2]), (_IMAGE, [3, 2], [2, 2], [1, 1], True), (_IMAGE, [3, 3], [2], [1], True, False), (_IMAGE, [3, 3], [1], [1], False, True, 5)],
    "aten::adaptive_avg_pool1d": [(normal(2, 3, 7), [3]), (normal(3, 6), [2]), (normal(2, 3, 4), [6])],
    "aten::adaptive_avg_pool2d": [(_IMAGE, [1, 1]), (_IMAGE, [2, 4]), (_IMAGE[0], [3])], "aten::_adaptive_avg_pool2d": [(_IMAGE, [2, 3])],
    "aten::inner": [(normal(3), normal(3, seed=1)), (normal(2, 3), normal(4, 3)), (normal(2, 3), normal()), (normal(2, 3), normal(2))],
    "aten::linalg_norm": [(normal(2, 3),), (normal(2, 3), 1), (normal(2, 3), float("-inf")), (normal(2, 3, 4), float("inf"), [0, 2], True),
                          (normal(2, 3), 3, [1]), (normal(3), 0), (normal(2, 3, 4), None, [0, 1]), (normal(2, 3, 4), 1), (_RUNS,)],
    "aten::mse_loss": [*reductions(*_PAIR), _DOUBLE],
    "aten::l1_loss": [*reductions(*_PAIR), _DOUBLE],
    "aten::smooth_l1_loss": [*reductions(*_PAIR), (*_PAIR, 1, 0.25), (*_PAIR, 1, 0.0), (*_PAIR, 1, -1.0)],
    "aten::huber_loss": [*reductions(*_PAIR), (*_PAIR, 1, 0.25), (*_PAIR, 1, 0.0)],
    "aten::kl_div": [*reductions(normal(2, 3), between(2, 3)), (*_PAIR, 1, True), (normal(3), np.zeros(3, np.float32))],
    "aten::soft_margin_loss": reductions(normal(2, 3), signs(2, 3)),
    "aten::hinge_embedding_loss": [(normal(2, 3), signs(2, 3), 0.5, reduction) for reduction in (0, 1, 2)],
    "aten::margin_ranking_loss": [(*_PAIR, signs(2, 3), 0.5, reduction) for reduction in (0, 1, 2)],
    "aten::poisson_nll_loss": [(between(2, 3), between(2, 3, seed=2) * 4, log, full, 1e-8, 1)
                               for log in (True, False) for full in (True, False)],
    "aten::binary_cross_entropy": [*((between(2, 3), between(2, 3, seed=1), None, reduction) for reduction in (0, 1, 2)),
                                   (between(2, 3), between(2, 3, seed=1), between(2, 3, seed=2)), (*_PAIR,),
                                   (np.array([0.0, 1.0], np.float32), np.array([1.0, 1.0], np.float32))],
    "aten::binary_cross_entropy_with_logits": [(normal(2, 3), between(2, 3)), (normal(2, 3), between(2, 3), between(3), None, 0),
                                               (normal(2, 3) * 50, between(2, 3), None, between(3) * 3, 2)],
    "aten::nll_loss": [*_NLL, (normal(4), np.array(2)), (normal(2, 3), classes(2, 2, count=3))],
    "aten::nll_loss_nd": [*_NLL, *_CUBES, (normal(2, 4, 3), classes(2, 3, count=4)), (normal(2, 4, 3), classes(2, 5, count=4))],
    "aten::nll_loss2d": _CUBES,
    "aten::cross_entropy_loss": [*_NLL, *_CUBES, (_LOGITS, _IGNORED, _WEIGHT, 1, -100, 0.1), (_LOGITS, _IGNORED, None, 0, -100, 0.1),
                                 (_LOGITS, between(3, 4)), (_LOGITS, between(3, 4), _WEIGHT, 1, -100, 0.2),
                                 (_LOGITS, between(3, 4), None, 0), (normal(4), np.array(2)), (_LOGITS, _TARGET, None, 1, -100, 2.0)],
    "aten::cosine_similarity": [_PAIR, (*_PAIR, 0), (normal(2, 3, 4), normal(4), -1), (normal(2, 3), np.zeros((2, 3), np.float32)),
                                (classes(2, 3, count=4), classes(2, 3, count=4))],
    "aten::pairwise_distance": [_PAIR, (*_PAIR, 1.0), (*_PAIR, float("inf"), 1e-6, True), (*_PAIR, 3.0), (normal(3), normal(2, 3))],
    "aten::triplet_margin_loss": [(*_TRIPLE, 1.0, 2.0, 1e-6, swap, reduction) for swap in (True, False) for reduction in (0, 1, 2)],
    "aten::cosine_embedding_loss": [(normal(3, 4), normal(3, 4, seed=1), signs(3), 0.1, reduction) for reduction in (0, 1, 2)],
}  # fmt: skip
