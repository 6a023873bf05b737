"""Modules of torch.nn, scripted by PyTorch, which ask a lot about their arguments: loaded and compiled without it.

Each runs for two sizes of its inputs, whole, and equal to PyTorch; nothing is left of what it asks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

from tests.models.exporting import randomise
from tests.models.whole import QUESTIONS, found_whole


class Attention(torch.nn.Module):
    """Queries and keys from different places, which the module tells by asking whether they are one object."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(16, 4)

    def forward(self, query: torch.Tensor, key: torch.Tensor) -> Any:
        return self.attention(query, key, key)


class PackedRecurrence(torch.nn.Module):
    """Sequences of different lengths, which are compared with lists of sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = torch.nn.GRU(6, 8, 2)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Any:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths)
        results, state = self.cells(packed)
        padded, lengths = torch.nn.utils.rnn.pad_packed_sequence(results, total_length=6)
        return padded, lengths, state


class PaddedEncoder(torch.nn.Module):
    """An encoder that leaves out padding where it is all behind the words: PyTorch makes nested tensors then."""

    def __init__(self) -> None:
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = torch.nn.TransformerEncoder(layer, 2, norm=torch.nn.LayerNorm(16))

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        return self.encoder(x, src_key_padding_mask=padding)


def padded(turn: int) -> Any:
    """Words of 3 to 6, the second time with padding between them."""
    lengths = torch.tensor([5, 3, 6])[: 2 + turn]
    padding = torch.arange(6) >= lengths[:, None]
    padding[0, 1] |= turn == 1
    return torch.randn(2 + turn, 6, 16), padding


MODULES: dict[str, tuple[Callable[[], Any], Callable[[int], Any]]] = {
    "attention": (Attention, lambda turn: (torch.randn(5 + turn, 2 + turn, 16), torch.randn(7, 2 + turn, 16))),
    "decoder layer": (
        lambda: torch.nn.TransformerDecoderLayer(16, 2, 32, batch_first=True),
        lambda turn: (torch.randn(2 + turn, 5 + turn, 16), torch.randn(2 + turn, 7, 16)),
    ),
    "encoder with padding": (PaddedEncoder, padded),
    "packed recurrence": (
        PackedRecurrence,
        lambda turn: (torch.randn(4 + turn, 3, 6), torch.tensor([4 + turn, 3, 1])),
    ),
}


UNTRACEABLE = ("packed recurrence",)
"""A trace fixes the lengths of its example."""

DECIDING = {"encoder with padding": {"prim::If", "aten::eq", "aten::ne"}}
"""What these ask of what is in their arguments."""


@pytest.mark.parametrize("name", MODULES)
def test_compiles_whole_and_is_equal(name: str, tmp_path: Path) -> None:
    make, inputs = MODULES[name]
    torch.manual_seed(0)
    module = make().eval()
    randomise(module)
    examples = [inputs(0), inputs(1)]
    with torch.no_grad():
        scripted = found_whole(torch.jit.script(module), examples, tmp_path / "scripted", sets=2)
        if name in UNTRACEABLE:
            return
        traced = torch.jit.trace(module, examples[0], check_trace=False)
        traced = found_whole(traced, examples[:1], tmp_path / "traced")
    left = QUESTIONS & (set(scripted["kinds"]) - set(traced["kinds"]))
    assert left <= DECIDING.get(name, set())
