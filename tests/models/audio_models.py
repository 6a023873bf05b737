"""Programs for sound, as people script them: decoders of transducers, encoders that get their input piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

SYMBOLS = 12
SIZE = 8


class Joiner(nn.Module):
    """The scores of the next symbol, of what was heard and what was said so far."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * SIZE, SIZE)
        self.output = nn.Linear(SIZE, SYMBOLS)

    def forward(self, heard: Tensor, said: Tensor) -> Tensor:
        return self.output(torch.relu(self.hidden(torch.cat([heard, said], -1))))


class Predictor(nn.Module):
    """What may follow a symbol; before the first one there is neither a symbol nor a state."""

    def __init__(self) -> None:
        super().__init__()
        self.size = SIZE
        self.symbols = nn.Embedding(SYMBOLS, SIZE)
        self.cells = nn.LSTM(SIZE, SIZE)

    def forward(
        self, symbol: Tensor | None, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if symbol is None:
            embedded = torch.zeros(1, 1, self.size)
        else:
            embedded = self.symbols(symbol)
        said, state = self.cells(embedded, state)
        return said, state


class GreedyTransducer(nn.Module):
    """For every frame symbols until blank comes; the inner loop may be the first to have something to hand on."""

    def __init__(self) -> None:
        super().__init__()
        self.blank = 7  # symbols from here on are blanks of several lengths
        self.predictor = Predictor()
        self.joiner = Joiner()

    def forward(self, frames: Tensor) -> Tensor:
        found: list[int] = []
        symbol: Tensor | None = None
        state: tuple[Tensor, Tensor] | None = None
        for frame in range(frames.size(0)):
            heard = frames[frame : frame + 1].unsqueeze(0)
            count, going_on = 0, True
            while going_on and count < 4:
                said, following = self.predictor(symbol, state)
                best = int(self.joiner(heard, said).argmax(-1).item())
                if best >= self.blank:
                    going_on = False
                else:
                    found.append(best)
                    symbol, state = torch.tensor([[best]]), following
                count += 1
        return torch.tensor(found)


class BatchedTransducer(nn.Module):
    """Several utterances at once: those that have found blank keep their symbol and their state."""

    def __init__(self) -> None:
        super().__init__()
        self.blank = 5
        self.symbols = nn.Embedding(SYMBOLS, SIZE)
        self.cells = nn.LSTM(SIZE, SIZE, 2)
        self.joiner = Joiner()

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        counts = torch.zeros_like(lengths)
        state: tuple[Tensor, Tensor] | None = None
        last = torch.full((frames.size(0), 1), self.blank, dtype=torch.long)
        for frame in range(int(lengths.max())):
            silent = frame >= lengths
            count, going_on = 0, True
            while going_on and count < 3:
                said, following = self.cells(self.symbols(last).transpose(0, 1), state)
                best = self.joiner(frames[:, frame : frame + 1], said.transpose(0, 1)).argmax(-1).squeeze(1)
                silent = silent | (best >= self.blank)
                if bool(silent.all()):
                    going_on = False
                else:
                    if state is not None:
                        kept = silent.view(1, -1, 1)
                        following = (
                            torch.where(kept, state[0], following[0]),
                            torch.where(kept, state[1], following[1]),
                        )
                    last = torch.where(silent, last.squeeze(1), best).unsqueeze(1)
                    counts += (~silent).long()
                    state = following
                count += 1
        return last, counts


class LayeredTransducer(nn.Module):
    """A predictor of several layers, whose states are a list that is empty until the first symbol."""

    def __init__(self) -> None:
        super().__init__()
        self.blank = 7
        self.size = SIZE
        self.symbols = nn.Embedding(SYMBOLS, SIZE)
        self.layers = nn.ModuleList([nn.LSTMCell(SIZE, SIZE), nn.LSTMCell(SIZE, SIZE)])
        self.joiner = Joiner()

    def predict(
        self, symbol: Tensor, states: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        said = self.symbols(symbol)
        following: list[tuple[Tensor, Tensor]] = []
        for place, layer in enumerate(self.layers):
            if len(states) == 0:
                state = (torch.zeros(symbol.size(0), self.size), torch.zeros(symbol.size(0), self.size))
            else:
                state = states[place]
            said, memory = layer(said, state)
            following.append((said, memory))
        return said, following

    def forward(self, frames: Tensor) -> Tensor:
        states: list[tuple[Tensor, Tensor]] = []
        symbol = torch.tensor([self.blank])
        found: list[Tensor] = []
        for frame in range(frames.size(0)):
            count = 0
            while count < 4:
                said, following = self.predict(symbol, states)
                best = self.joiner(frames[frame : frame + 1], said).argmax(-1)
                if int(best) >= self.blank:
                    break
                found.append(best)
                symbol, states = best, following
                count += 1
        return torch.cat(found)


class ChunkedAttention(nn.Module):
    """Chunks attend to themselves and to a memory of what was before, which there is not at first."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)

    def forward(self, frames: Tensor) -> Tensor:
        memory: Tensor | None = None
        found: list[Tensor] = []
        for start in range(0, frames.size(1), 4):
            chunk = frames[:, start : start + 4]
            known = chunk if memory is None else torch.cat([memory, chunk], 1)
            attended, _ = self.attention(chunk, known, known, need_weights=False)
            found.append(self.norm(attended + chunk))
            memory = known[:, -6:]
        return torch.cat(found, 1)


class CausalConvolution(nn.Module):
    """A convolution over the past, whose end is kept for the next chunk."""

    def __init__(self, channels: int, results: int, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, results, 3, dilation=dilation)
        self.past = 2 * dilation

    def forward(self, chunk: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        if kept is None:
            kept = torch.zeros(chunk.size(0), chunk.size(1), self.past, dtype=chunk.dtype)
        chunk = torch.cat([kept, chunk], 2)
        return torch.tanh(self.convolution(chunk)), chunk[:, :, chunk.size(2) - self.past :]


class StreamingConvolutions(nn.Module):
    """A stack of causal convolutions that gets a signal piece by piece; the last piece is shorter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [CausalConvolution(4, 8, 1), CausalConvolution(8, 8, 2), CausalConvolution(8, 4, 4)]
        )

    def step(self, chunk: Tensor, kept: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        following: list[Tensor] = []
        for place, layer in enumerate(self.layers):
            mine: Tensor | None = None
            if kept is not None:
                mine = kept[place]
            chunk, end = layer(chunk, mine)
            following.append(end)
        return chunk, following

    def forward(self, signal: Tensor) -> Tensor:
        kept: list[Tensor] | None = None
        found: list[Tensor] = []
        place = 0
        while place < signal.size(2):
            chunk, kept = self.step(signal[:, :, place : place + 5], kept)
            found.append(chunk)
            place += 5
        return torch.cat(found, 2)


@dataclass(frozen=True)
class Program:
    """A module, and its inputs of two sizes."""

    make: Callable[[], Any]
    inputs: Callable[[int], tuple[Tensor, ...]]


def sound(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


PROGRAMS = {
    "attention to a memory": Program(ChunkedAttention, lambda turn: (sound(turn + 1, (12, 18)[turn], 16),)),
    "convolutions of pieces": Program(StreamingConvolutions, lambda turn: (sound(turn + 1, 4, (12, 17)[turn]),)),
    "transducer": Program(GreedyTransducer, lambda turn: (sound((5, 9)[turn], SIZE),)),
    "transducer of layers": Program(LayeredTransducer, lambda turn: (sound((5, 9)[turn], SIZE),)),
    "transducer of a batch": Program(
        BatchedTransducer,
        lambda turn: (sound(turn + 2, (5, 8)[turn], SIZE), torch.tensor([5, 3, 4][: turn + 2])),
    ),
}
