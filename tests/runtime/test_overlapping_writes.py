"""Writing memory that is read as well, or that is several elements at once: as PyTorch, eager, interpreted and compiled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import optc
from optc import Tensor

READS = "some elements of the input tensor and the written-to tensor refer to a single memory location"
TWICE = "more than one element of the written-to tensor refers to a single memory location"
NUMBERS = [1.0, 2.0, -3.0, 4.0, 5.0]


def assigned(x: Tensor) -> Tensor:
    x[1:] = x[:-1]
    return x


def added(x: Tensor) -> Tensor:
    x[1:] += x[:-1]
    return x


def added_element(x: Tensor) -> Tensor:
    x.sub_(x[0])
    return x


def transposed(x: Tensor) -> Tensor:
    square = x.unsqueeze(0) * x.unsqueeze(1)
    square.add_(square.t())
    return square


def with_three_operands(x: Tensor) -> Tensor:
    x[1:].addcmul_(x[:-1], x[:-1])
    return x


def given_as_out(x: Tensor) -> Tensor:
    optc.exp(x[:-1], out=x[1:])
    return x


def joined(x: Tensor) -> Tensor:
    optc.cat([x[:2], x[1:4]], out=x)
    return x


def gathered(x: Tensor) -> Tensor:
    optc.gather(x, 0, optc.tensor([1, 0, 2, 3, 4]), out=x)
    return x


def indexed(x: Tensor) -> Tensor:
    x[optc.tensor([0, 1])] = x[1:3]
    return x


def scattered(x: Tensor) -> Tensor:
    x.scatter_(0, optc.tensor([0, 1]), x[1:3])
    return x


def expanded(x: Tensor) -> Tensor:
    y = x[:1].expand(5)
    y.add_(1)
    return y


def expanded_slice(x: Tensor) -> Tensor:
    y = x[:1].expand(5)
    y[1:3] = 2.0
    return y


def expanded_random(x: Tensor) -> Tensor:
    y = x[:1].expand(5)
    y.uniform_()
    return y


def windows(x: Tensor) -> Tensor:
    y = x.unfold(0, 3, 1)
    y.add_(1)
    return y


def itself(x: Tensor) -> Tensor:
    x.add_(x)
    return x


def itself_through_a_view(x: Tensor) -> Tensor:
    x[0:].mul_(x)
    return x


def element(x: Tensor) -> Tensor:
    x[0] = x[1]
    return x


def filled_with_its_own(x: Tensor) -> Tensor:
    x.fill_(x[1])
    return x


def apart(x: Tensor) -> Tensor:
    x[3:] = x[:2]
    return x


def reversed_copy(x: Tensor) -> Tensor:
    x.copy_(x.flip(0))
    return x


def expanded_fill(x: Tensor) -> Tensor:
    y = x[:1].expand(5)
    y.fill_(3.0)
    return y


def expanded_element(x: Tensor) -> Tensor:
    y = x[:1].expand(5)
    y[1] = 3.0
    return y


def expanded_mask(x: Tensor) -> Tensor:
    y = x[:1].expand(5)
    y.masked_fill_(x < 0, 7.0)
    return y


def expanded_places(x: Tensor) -> Tensor:
    y = x[:1].expand(5)
    y.index_fill_(0, optc.tensor([0, 1]), 2.0)
    return y


def expanded_to_one(x: Tensor) -> Tensor:
    y = x[:1].expand(1)
    y.add_(1)
    return y


REFUSED: dict[Callable[[Tensor], Tensor], str] = {
    **dict.fromkeys(
        (assigned, added, added_element, transposed, with_three_operands, given_as_out, joined, gathered, indexed,
         scattered), READS,
    ),
    **dict.fromkeys((expanded, expanded_slice, expanded_random), TWICE),
    windows: "optc does not change them in place",
}  # fmt: skip
"""PyTorch refuses these, except for `windows`, whose result there depends on the order of its loops."""

ALLOWED: dict[Callable[[Tensor], Tensor], list[float]] = {
    itself: [2, 4, -6, 8, 10],
    itself_through_a_view: [1, 4, 9, 16, 25],
    element: [2, 2, -3, 4, 5],
    filled_with_its_own: [2, 2, 2, 2, 2],
    apart: [1, 2, -3, 1, 2],
    reversed_copy: [5, 4, -3, 2, 1],
    expanded_fill: [3, 3, 3, 3, 3],
    expanded_element: [3, 3, 3, 3, 3],
    expanded_mask: [7, 7, 7, 7, 7],
    expanded_places: [2, 2, 2, 2, 2],
    expanded_to_one: [2],
}


def run(program: Callable[[Tensor], Tensor], mode: str) -> Any:
    x = optc.tensor(NUMBERS)
    if mode == "eager":
        return program(x)
    scripted = optc.jit.script(program)
    if mode == "interpreted":
        return scripted(x)
    return optc.compile(scripted, dynamic=mode == "dynamic")(x)


MODES = pytest.mark.parametrize("mode", ["eager", "interpreted", "static", "dynamic"])


@MODES
@pytest.mark.parametrize("program", REFUSED, ids=lambda program: program.__name__)
def test_refused(program: Callable[[Tensor], Tensor], mode: str) -> None:
    with warnings.catch_warnings(), pytest.raises(RuntimeError, match=REFUSED[program]):
        warnings.simplefilter("ignore")
        run(program, mode)


@MODES
@pytest.mark.parametrize("program", ALLOWED, ids=lambda program: program.__name__)
def test_allowed(program: Callable[[Tensor], Tensor], mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert run(program, mode).tolist() == ALLOWED[program]


@pytest.mark.peers
@pytest.mark.parametrize("program", [*REFUSED, *ALLOWED], ids=lambda program: program.__name__)
def test_pytorch_agrees(program: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    warnings.simplefilter("ignore")
    monkeypatch.setitem(program.__globals__, "optc", torch)
    if program is windows:
        return
    if program in ALLOWED:
        assert program(torch.tensor(NUMBERS)).tolist() == ALLOWED[program]
        return
    with pytest.raises(RuntimeError, match=REFUSED[program]):
        program(torch.tensor(NUMBERS))


def test_what_is_written_apart_from_what_is_read_stays_native() -> None:
    fast = optc.compile(optc.jit.script(apart), (optc.tensor(NUMBERS),))
    assert not fast.fallbacks and fast(optc.tensor(NUMBERS)).tolist() == ALLOWED[apart]
