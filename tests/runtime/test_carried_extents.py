"""What loops carry keeps native code where its extents meet others that only running tells."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import optc as torch
from optc import Tensor

Program = Callable[[Tensor, Tensor, int], Tensor]


@torch.jit.script
def summed(x: Tensor, y: Tensor, turns: int) -> Tensor:
    total, other, turn = torch.zeros_like(x[x > 0]), y[y > 0], 0
    while turn < turns:
        total += other.softmax(0)
        turn += 1
    return total


@torch.jit.script
def attended(x: Tensor, y: Tensor, turns: int) -> Tensor:
    keys, mask = x[x > 0], y[y > 0] > 1
    weights, total = torch.zeros_like(keys), torch.zeros_like(keys)
    for _ in range(turns):
        energies = torch.stack([weights, total]).sum(0) + keys
        weights = energies.masked_fill(mask, -1e4).softmax(0)
        total += weights
    return total


@torch.jit.script
def listed(x: Tensor, y: Tensor, turns: int) -> Tensor:
    keys, other = x[x > 0], y[y > 0]
    total = torch.zeros_like(keys)
    found: list[Tensor] = []
    while len(found) < turns:
        total += other
        found.append(total * 1)
    return torch.stack(found)


@torch.jit.script
def stacked(x: Tensor, y: Tensor, turns: int) -> Tensor:
    shown, other = x[x > 0], y[y > 0]
    found: list[Tensor] = []
    while len(found) < turns:
        shown = torch.sigmoid(shown + other)
        found.append(shown)
    return torch.stack(found, 1)


@torch.jit.script
def stacked_before(x: Tensor, y: Tensor, turns: int) -> Tensor:
    shown, other = x[x > 0], y[y > 0]
    found: list[Tensor] = []
    while len(found) < turns:
        found.append(shown)
        shown = shown + other
    return torch.stack(found)


@pytest.mark.parametrize("program", [stacked, stacked_before])
def test_what_is_stacked_is_as_long_as_the_first(program: Program) -> None:
    fast = torch.compile(program, fallback="error")
    x, y = torch.tensor([1.0, -1, 2, 3]), torch.tensor([0.5, 2, 3, -1, -2])
    for given in ((x, y, 3), (torch.cat([x, x]), torch.cat([y, y]), 9), (x, torch.tensor([2.0, -1]), 2)):
        assert torch.allclose(fast(*given), program(*given))
    for refused in ((x, y, 0), (x, torch.tensor([1.0, 2, 3, 4, 5]), 2)):
        with pytest.raises(RuntimeError) as mine:
            fast(*refused)
        with pytest.raises(RuntimeError) as expected:
            program(*refused)
        assert str(mine.value).splitlines()[-1] == str(expected.value).splitlines()[-1]


def test_one_that_is_repeated_is_not_as_long_as_the_others() -> None:
    fast = torch.compile(stacked_before, fallback="error")
    one, y = torch.tensor([1.0, -1, -1, -1]), torch.tensor([0.5, 2, 3, -1, -2])
    assert torch.equal(fast(one, y, 1), stacked_before(one, y, 1))
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        fast(one, y, 2)


@pytest.mark.parametrize("program", [summed, attended, listed])
def test_what_is_added_in_place_has_the_extents_of_its_target(program: Program) -> None:
    fast = torch.compile(program, fallback="error")
    x, y = torch.tensor([1.0, -1, 2, 3]), torch.tensor([0.5, 2, 3, -1, -2])
    for given in ((x, y, 3), (torch.cat([x, x]), torch.cat([y, y]), 2), (x, torch.tensor([2.0, -1]), 2)):
        assert torch.allclose(fast(*given), program(*given))
    for refused in ((x, torch.tensor([1.0, 2, 3, 4, 5]), 2), (torch.tensor([-1.0, 1]), y, 2)):
        with pytest.raises(RuntimeError) as mine:
            fast(*refused)
        with pytest.raises(RuntimeError) as expected:
            program(*refused)
        assert str(mine.value).splitlines()[-1] == str(expected.value).splitlines()[-1]


class Decoder(torch.nn.Module):
    """Greedy decoding of growing prefixes, whose mask only running tells to be causal."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(9, 8)
        self.positions = torch.nn.Parameter(torch.randn(6, 8))
        self.attention = torch.nn.Linear(8, 24)
        self.last = torch.nn.Linear(8, 9)

    def forward(self, tokens: Tensor, turns: int) -> Tensor:
        for _ in range(turns):
            rows = tokens.size(1)
            mask: Tensor | None = torch.triu(torch.full((rows, rows), float("-inf")), 1)
            if mask is not None:
                causal = bool((mask == torch.triu(torch.full((rows, rows), float("-inf")), 1)).all())
                mask = None if causal else mask
            embedded = self.embedding(tokens) + self.positions[:rows]
            q, k, v = self.attention(embedded).chunk(3, -1)
            seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, mask)
            best = self.last(seen[:, -1]).argmax(-1, keepdim=True)
            tokens = torch.cat([tokens, best], 1)
            if bool((best == 2).all()):
                break
        return tokens


def test_prefixes_that_grow_meet_their_positions() -> None:
    torch.manual_seed(0)
    module = torch.jit.script(Decoder().eval())
    fast = torch.compile(module, fallback="error")
    for rows, turns in ((2, 3), (2, 5), (3, 4)):
        tokens = torch.arange(rows).reshape(rows, 1) + 3
        assert torch.equal(fast(tokens, turns), module(tokens, turns))
    with pytest.raises(RuntimeError, match="must match the size of tensor b"):
        fast(torch.arange(6, dtype=torch.int64).reshape(2, 3) + 3, 9)
