"""Cells, recurrent layers, attention, losses, padding, convolutions and pooling become native code as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
from optc import nn
from optc.nn import functional


class Unrolled(nn.Module):
    """A cell with one state, run over time."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: optc.Tensor, h: optc.Tensor) -> optc.Tensor:
        for step in range(x.size(0)):
            h = self.cell(x[step], h)
        return h


class UnrolledPair(nn.Module):
    """An LSTM cell run over time, which keeps what it showed."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(3, 5)

    def forward(self, x: optc.Tensor, h: optc.Tensor, c: optc.Tensor) -> tuple[optc.Tensor, optc.Tensor]:
        shown = []
        for step in range(x.size(0)):
            h, c = self.cell(x[step], (h, c))
            shown.append(h)
        return optc.stack(shown), c


def numbers(value: Any) -> list[Any]:
    """The tensors of a nested result as arrays."""
    if isinstance(value, tuple):
        return [array for item in value for array in numbers(item)]
    return [value.detach().numpy()]


def check_native(program: Any, *arguments: optc.Tensor) -> None:
    fast = optc.compile(optc.jit.script(program), fallback="error")
    for _ in range(2):
        for mine, expected in zip(numbers(fast(*arguments)), numbers(program(*arguments)), strict=True):
            np.testing.assert_allclose(mine, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    "cell", [nn.GRUCell(3, 5), nn.RNNCell(3, 5), nn.RNNCell(3, 5, bias=False, nonlinearity="relu")], ids=repr
)
@pytest.mark.parametrize("steps", [3, 12])
def test_loops_over_cells(cell: nn.Module, steps: int) -> None:
    check_native(Unrolled(cell).eval(), optc.randn(steps, 2, 3), optc.randn(2, 5))


def test_loops_over_lstm_cells() -> None:
    check_native(UnrolledPair().eval(), optc.randn(12, 2, 3), optc.randn(2, 5), optc.randn(2, 5))


@pytest.mark.parametrize(
    "layer",
    [nn.LSTM(3, 4), nn.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True), nn.RNN(3, 4, bias=False)],
    ids=repr,
)
def test_recurrent_layers(layer: nn.Module) -> None:
    check_native(layer.eval(), optc.randn(6, 2, 3))


def attend(x: optc.Tensor, wq: optc.Tensor, wk: optc.Tensor, wv: optc.Tensor) -> optc.Tensor:
    batch, steps, width = x.size(0), x.size(1), x.size(2)
    query = optc.matmul(x, wq).view(batch, steps, 2, width // 2).transpose(1, 2)
    key = optc.matmul(x, wk).view(batch, steps, 2, width // 2).transpose(1, 2)
    value = optc.matmul(x, wv).view(batch, steps, 2, width // 2).transpose(1, 2)
    weights = optc.softmax(optc.matmul(query, key.transpose(-2, -1)) * 0.5, -1)
    return optc.matmul(weights, value).transpose(1, 2).reshape(batch, steps, width)


def attend_causally(x: optc.Tensor) -> optc.Tensor:
    return functional.scaled_dot_product_attention(x, x, x, is_causal=True)


def attend_under_mask(x: optc.Tensor, mask: optc.Tensor) -> optc.Tensor:
    return functional.scaled_dot_product_attention(x, x, x, mask)


def classify(x: optc.Tensor, target: optc.Tensor) -> optc.Tensor:
    return functional.cross_entropy(x, target, label_smoothing=0.1)


def compare(x: optc.Tensor, y: optc.Tensor) -> optc.Tensor:
    return functional.cosine_similarity(x, y) + functional.pairwise_distance(x, y) + functional.mse_loss(x, y)


def mirror(x: optc.Tensor) -> optc.Tensor:
    return functional.pad(functional.pad(x, [2, 1], "reflect"), [1, 1], "circular")


def convolve(x: optc.Tensor, w: optc.Tensor, v: optc.Tensor) -> optc.Tensor:
    x = optc.max_pool2d(optc.relu(optc.conv2d(x, w, padding=1)), 2)
    return optc.adaptive_avg_pool2d(optc.conv2d(x, v, groups=2), [1, 1])


def name_dimensions(x: optc.Tensor, y: optc.Tensor) -> optc.Tensor:
    return optc.einsum("bij,bkj->bik", [x, y])


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (attend, [(2, 5, 8), (8, 8), (8, 8), (8, 8)]),
        (attend_causally, [(2, 5, 4)]),
        (compare, [(3, 4), (3, 4)]),
        (mirror, [(2, 3, 4)]),
        (convolve, [(2, 3, 8, 8), (4, 3, 3, 3), (6, 2, 2, 2)]),
        (name_dimensions, [(2, 3, 4), (2, 5, 4)]),
    ],
)
def test_functions(function: Callable[..., optc.Tensor], shapes: list[tuple[int, ...]]) -> None:
    check_native(function, *(optc.randn(*shape) for shape in shapes))


def test_masks_and_targets() -> None:
    check_native(attend_under_mask, optc.randn(2, 5, 4), optc.tensor([[True, False, True, True, False]] * 5))
    check_native(classify, optc.randn(3, 4), optc.tensor([0, -100, 3]))


def test_rows_that_may_see_nothing_attend_to_nothing() -> None:
    x = optc.randn(1, 2, 3)
    assert attend_under_mask(x, optc.zeros(2, 2) > 0).abs().max().item() == 0


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy_of_a_single_row_of_probabilities_is_a_tensor(reduction: str) -> None:
    numbers, target = optc.tensor([0.0, 0.0]), optc.tensor([0.25, 0.75])
    found = optc.nn.functional.cross_entropy(numbers, target, reduction=reduction)
    assert isinstance(found, optc.Tensor) and found.shape == ()
    assert found.item() == pytest.approx(math.log(2))


def test_binary_cross_entropy_refuses_what_is_no_probability() -> None:
    def loss(x: optc.Tensor) -> optc.Tensor:
        return optc.binary_cross_entropy(x, x)

    fast = optc.compile(optc.jit.script(loss), fallback="error")
    assert fast(optc.tensor([1.0, 0.0])).item() == 0
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        fast(optc.tensor([0.5, 1.5]))


def test_shapes_change_in_place() -> None:
    x = optc.zeros(2, 3)
    assert x.unsqueeze_(0) is x
    assert x.shape == (1, 2, 3)
    assert x.squeeze_(0).shape == (2, 3)


def test_dropout_between_layers_is_drawn_in_training() -> None:
    optc.manual_seed(0)
    layer, attention = nn.GRU(8, 8, num_layers=2, dropout=0.5), optc.scaled_dot_product_attention
    fast = optc.compile(optc.jit.trace(layer, (optc.zeros(5, 3, 8),), check_trace=False), fallback="error")
    weights = optc.compile(optc.jit.script(attends), fallback="error")
    x = optc.rand(5, 3, 8)
    for run, compiled in (
        (lambda: layer(x)[0], lambda: fast(x)[0]),
        (lambda: attention(x, x, x, None, 0.3), lambda: weights(x)),
    ):
        results = []
        for called in (run, compiled):
            optc.manual_seed(2)
            results.append((called(), optc.rand(3)))
        (expected, behind), (found, behind_too) = results
        np.testing.assert_allclose(found._array, expected._array, rtol=1e-5, atol=1e-6)
        assert (behind == behind_too).all()
        assert not np.allclose(run()._array, expected._array)
    layer.eval()
    assert (layer(x)[0] == layer(x)[0]).all()


def attends(x):
    return optc.scaled_dot_product_attention(x, x, x, None, 0.3)


@pytest.mark.parametrize("padding", ["border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_places_that_are_no_numbers_are_the_first_pixel(mode: str, padding: str) -> None:
    image, grid = optc.rand(1, 2, 3, 4), optc.full((1, 1, 1, 2), math.nan)
    fast = optc.compile(lambda x, g: functional.grid_sample(x, g, mode, padding, align_corners=False), (image, grid))
    np.testing.assert_array_equal(fast(image, grid)._array[..., 0, 0], image._array[..., 0, 0])
