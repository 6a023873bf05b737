"""Programs that draw random numbers, captured by PyTorch and compiled: its numbers, and its generator's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

nn, functional = torch.nn, torch.nn.functional


class Layers(nn.Module):
    """Every layer that drops something."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.planes = nn.Dropout(0.3), nn.Dropout2d(0.4)
        self.alpha, self.features = nn.AlphaDropout(0.2), nn.FeatureAlphaDropout(0.2)
        self.slopes = nn.RReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.slopes(self.features(self.alpha(self.planes(self.plain(x))))) + self.plain(x)


class Encoder(nn.Module):
    """The middle of a variational autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.spread, self.decoder = nn.Linear(12, 20), nn.Linear(12, 20), nn.Linear(20, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, deviation = self.mean(x), torch.exp(self.spread(x) * 0.5)
        return self.decoder(torch.randn_like(deviation) * deviation + mean)


class StochasticDepth(nn.Module):
    """Rows of a batch that leave a block out."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        survival = 0.8
        noise = torch.empty([x.shape[0], 1, 1, 1], dtype=x.dtype).bernoulli_(survival).div_(survival)
        return x + self.block(x) * noise


class Gumbel(nn.Module):
    """Samples from a distribution, soft and hard."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return functional.gumbel_softmax(x, 0.7), functional.gumbel_softmax(x, 1.0, True)


class Attention(nn.Module):
    """Dropout of what is attended to, and of masks made of random places."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = functional.dropout(torch.softmax(x @ x.transpose(-2, -1), -1), 0.1, True)
        order = torch.randperm(x.size(1))
        return (weights @ x)[:, order] + torch.rand(x.size(1), 1)


class Noise(nn.Module):
    """Numbers of several types."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [
            torch.randint(0, 10, (5, 7)), torch.randint(-3, 3, [40], dtype=torch.int32), torch.randn(3, 3),
            torch.rand(5, dtype=torch.float64), torch.normal(x, x.abs()), torch.bernoulli(torch.sigmoid(x)),
            torch.native_dropout(x, 0.5, True)[1], torch.empty(33).exponential_(),
            torch.multinomial(torch.softmax(x, -1), 2), torch.multinomial(x.abs(), 50, True),
        ]  # fmt: skip


class Scaled(nn.Module):
    """Attention that drops weights itself."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (
            functional.scaled_dot_product_attention(x, x, x, None, 0.2),
            functional.scaled_dot_product_attention(x, x, x, None, 0.4, True),
        )


class Recurrent(nn.Module):
    """Layers with dropout between them, and none behind the last."""

    def __init__(self) -> None:
        super().__init__()
        self.long = nn.LSTM(10, 6, 3, dropout=0.3, batch_first=True)
        self.gated, self.plain = nn.GRU(12, 5, 2, dropout=0.4, bidirectional=True), nn.RNN(10, 4, 2, dropout=0.5)
        self.single = nn.LSTM(12, 6, 1)
        self.widen = nn.Linear(6, 12)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shown = self.single(self.widen(self.long(x)[0]))[0]
        return self.gated(self.widen(shown))[0], self.plain(x)[0]


class Pictures(nn.Module):
    """Dropout of what convolutions give, and of what is laid out in other orders."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)
        self.norm, self.drop, self.last = nn.BatchNorm2d(8), nn.Dropout(0.4), nn.Linear(4 * 9, 5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.drop(functional.relu(self.norm(self.first(x))))
        turned = x.transpose(1, 2)
        others = self.drop(turned) + self.drop(turned.contiguous()), self.drop(x.permute(0, 2, 3, 1))
        x = functional.max_pool2d(self.second(x), 2).flatten(1)
        return self.last(self.drop(x)), *others


class Encoding(nn.TransformerEncoderLayer):
    """Attention, whose result is turned."""

    def __init__(self) -> None:
        super().__init__(16, 2, 32, 0.2, batch_first=True)


MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "layers": (Layers, (4, 6, 5, 5)),
    "encoder": (Encoder, (9, 12)),
    "depth": (StochasticDepth, (6, 3, 8, 8)),
    "gumbel": (Gumbel, (30, 10)),
    "attention": (Attention, (2, 7, 16)),
    "noise": (Noise, (6, 30)),
    "pictures": (Pictures, (2, 3, 8, 8)),
    "encoding": (Encoding, (2, 5, 16)),
    "scaled": (Scaled, (2, 3, 9, 8)),
    "recurrent": (Recurrent, (4, 7, 10)),
}
CAPTURES: dict[str, Callable[[Any, Any], Any]] = {
    "script": lambda module, x: torch.jit.script(module),
    "trace": lambda module, x: torch.jit.trace(module, (x,), check_trace=False),
}


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("name", MODULES)
def test_numbers_and_state_are_those_of_pytorch(name: str, capture: str) -> None:
    make, shape = MODULES[name]
    torch.manual_seed(1)
    module, x = make(), torch.randn(shape)
    captured = CAPTURES[capture](module, x)
    fast = optc.compile(captured, fallback="error")
    for seed in (0, 1, 77):
        torch.manual_seed(seed)
        optc.manual_seed(seed)
        for _ in range(3):
            with torch.no_grad():  # for gradients, PyTorch draws masks in a way of its own from the second run on
                expected, found = captured(x), fast(x)
            for theirs, mine in zip(_tuple(expected), _tuple(found), strict=True):
                assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
                np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=2e-5, atol=2e-6)
            assert torch.equal(torch.get_rng_state(), torch.from_numpy(optc.get_rng_state()._array))


def _tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def unread(x: torch.Tensor) -> torch.Tensor:
    """The first is dropped by PyTorch when it compiles the function; the others are drawn."""
    dropped = torch.rand_like(x)  # noqa: F841
    for _ in range(int(x.size(0))):
        z = torch.empty(3).normal_()
        if bool(z.sum() > 0):
            x = x + torch.rand(3)
    return x


def test_what_nobody_reads_is_drawn_when_pytorch_draws_it() -> None:
    captured = torch.jit.script(unread)
    fast = optc.compile(captured, fallback="error")
    for seed in range(4):
        torch.manual_seed(seed)
        optc.manual_seed(seed)
        for _ in range(4):
            np.testing.assert_array_equal(fast(torch.zeros(3)).numpy(), captured(torch.zeros(3)).numpy())
            assert torch.equal(torch.get_rng_state(), torch.from_numpy(optc.get_rng_state()._array))
