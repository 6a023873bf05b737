"""Recurrent layers, packed sequences included, and attention against PyTorch's modules with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc import nn

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


def numbers(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return [array for item in value for array in numbers(item)]
    return [value.detach().numpy()]


def agree(mine: Any, other: Any) -> None:
    for left, right in zip(numbers(mine), numbers(other), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-5, atol=2e-6)


def pair_of(name: str, inputs: int = 3, hidden: int = 4, **options: Any) -> tuple[Any, Any]:
    """The module of both libraries with the same numbers."""
    peer = getattr(torch.nn, name)(inputs, hidden, **options).eval()
    layer = getattr(nn, name)(inputs, hidden, **options).eval()
    layer.load_state_dict({key: optc.from_numpy(value.numpy()) for key, value in peer.state_dict().items()})
    return layer, peer


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
        {"bias": False, "num_layers": 2},
        {"bidirectional": True},
    ],
    ids=repr,
)
def test_layers(name: str, options: dict[str, Any]) -> None:
    layer, peer = pair_of(name, **options)
    x = torch.randn(5, 2, 3)
    expected = peer(x)
    agree(layer(optc.from_numpy(x.numpy())), expected)
    agree(optc.compile(optc.jit.script(layer), fallback="error")(optc.from_numpy(x.numpy())), expected)


@pytest.mark.parametrize("seed", range(30))
def test_compiled_layers_of_any_size(seed: int) -> None:
    generator = np.random.default_rng(seed)
    steps, batch = int(generator.integers(1, 12)), int(generator.integers(1, 9))
    inputs, hidden = (int(generator.choice([3, 5, 8, 16, 17, 33, 64, 100, 256])) for _ in range(2))
    options = {name: bool(generator.integers(2)) for name in ("bias", "bidirectional", "batch_first")}
    name = str(generator.choice(["LSTM", "GRU", "RNN"]))
    double = bool(generator.integers(2))
    layer, peer = pair_of(name, inputs, hidden, num_layers=int(generator.integers(1, 4)), **options)
    if double:
        layer, peer = layer.double(), peer.double()
    x = torch.randn(steps, batch, inputs, dtype=torch.float64 if double else torch.float32)
    expected, given = peer(x), optc.from_numpy(x.numpy())
    for dynamic in (False, True):
        compiled = optc.compile(optc.jit.script(layer), fallback="error", dynamic=dynamic)
        agree(compiled(given), expected)
        agree(compiled(given), expected)


def test_projections() -> None:
    layer, peer = pair_of("LSTM", proj_size=2, bidirectional=True, num_layers=2)
    x = torch.randn(5, 2, 3)
    agree(layer(optc.from_numpy(x.numpy())), peer(x))
    agree(optc.compile(optc.jit.script(layer), fallback="error")(optc.from_numpy(x.numpy())), peer(x))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_packed_sequences(name: str) -> None:
    layer, peer = pair_of(name, num_layers=2, bidirectional=True)
    x, sizes = torch.randn(9, 3), torch.tensor([3, 3, 2, 1])
    expected, *states = peer(torch.nn.utils.rnn.PackedSequence(x, sizes))
    packed = nn.utils.rnn.PackedSequence(optc.from_numpy(x.numpy()), optc.from_numpy(sizes.numpy()))
    found, *mine = layer(packed)
    agree(found.data, expected.data)
    agree(tuple(mine), tuple(states))


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_scripted_loops_over_cells(name: str) -> None:
    cell, peer = pair_of(name)
    x = torch.randn(10, 2, 3)

    class Unrolled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: optc.Tensor, h: optc.Tensor) -> optc.Tensor:
            for step in range(x.size(0)):
                h = self.cell(x[step], h)
            return h

    class UnrolledPair(Unrolled):
        def forward(self, x: optc.Tensor, h: optc.Tensor) -> optc.Tensor:
            c = h
            for step in range(x.size(0)):
                h, c = self.cell(x[step], (h, c))
            return h

    state = torch.randn(2, 4)
    program = (UnrolledPair if name == "LSTMCell" else Unrolled)()
    fast = optc.compile(optc.jit.script(program), fallback="error")
    expected = (state, state) if name == "LSTMCell" else state
    for step in x:
        expected = peer(step, expected)
    shown = expected[0] if name == "LSTMCell" else expected
    agree(fast(optc.from_numpy(x.numpy()), optc.from_numpy(state.numpy())), shown)
