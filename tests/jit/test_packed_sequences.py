"""Programs that pack sequences of different lengths, and take them apart again."""

from __future__ import annotations

import pytest

import optc
from optc import nn
from optc.errors import ExecutionError


def pack_and_pad(x: optc.Tensor, lengths: optc.Tensor, is_sorted: bool):
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=is_sorted)
    padded, found = nn.utils.rnn.pad_packed_sequence(packed, total_length=6, padding_value=-1.0)
    return padded, found, packed.batch_sizes


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(2, 3, batch_first=True)

    def forward(self, x: optc.Tensor, lengths: optc.Tensor):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, state = self.cells(packed)
        return nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0], state[0]


@pytest.mark.parametrize(("lengths", "is_sorted"), [([5, 3, 1], True), ([2, 5, 3], False)])
def test_scripted_and_compiled_they_compute_what_python_computes(lengths: list[int], is_sorted: bool) -> None:
    x = optc.arange(30.0).view(3, 5, 2)
    expected = pack_and_pad(x, optc.tensor(lengths), is_sorted)
    assert expected[1].tolist() == lengths
    scripted = optc.jit.script(pack_and_pad)
    for program in (scripted, optc.compile(scripted, fallback="error")):
        found = program(x, optc.tensor(lengths), is_sorted)
        assert [tensor.tolist() for tensor in found] == [tensor.tolist() for tensor in expected]


def test_layers_take_them() -> None:
    module, x, lengths = Recurrent().eval(), optc.arange(30.0).view(3, 5, 2), optc.tensor([2, 5, 3])
    for found, expected in zip(optc.jit.script(module)(x, lengths), module(x, lengths), strict=True):
        assert optc.allclose(found, expected)


def test_lengths_that_grow_are_refused() -> None:
    with pytest.raises(ExecutionError, match="must be sorted in decreasing order"):
        optc.jit.script(pack_and_pad)(optc.ones(3, 5, 2), optc.tensor([2, 5, 3]), True)
