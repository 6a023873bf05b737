"""Extents that only running tells are taken as equal where an operator wants them so, and checked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import optc as torch


@torch.jit.script
def losses_of_shown(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    shown = x[x[:, 0] > 0]
    return torch.nn.functional.cross_entropy(shown, labels[labels > 0], reduction="none") / shown.size(0)


@torch.jit.script
def contracted(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ij,i->j", x[x[:, 0] > 0], labels[labels > 0].float())


@torch.jit.script
def solved(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    sides = x[x[:, 0] > 0]
    return torch.linalg.solve(sides @ sides.t() + torch.eye(sides.size(0)), labels[labels > 0].float())


@torch.jit.script
def sampled(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    images, places = x[x[:, 0] > 0].view(-1, 1, 1, 3), labels[labels > 0].float() / 4
    grid = places.view(-1, 1, 1, 1).expand(places.size(0), 2, 2, 2)
    return torch.nn.functional.grid_sample(images, grid, align_corners=False)


@torch.jit.script
def marked(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    result = torch.zeros_like(x)
    result[x[:, 0] > 0, labels[labels > 0]] = 1
    return result


@torch.jit.script
def picked(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return x[x[:, 0] > 0, labels[labels > 0]] + labels[labels > 0]


@pytest.mark.parametrize("program", [losses_of_shown, contracted, solved, sampled, marked, picked])
def test_extents_of_two_masks_are_equal_or_refused(program: Callable[..., torch.Tensor]) -> None:
    fast = torch.compile(program, fallback="error")
    x = torch.tensor([[1.0, 2, 3], [-1, 0, 1], [2, 0, 5], [4, 1, 0]])
    for labels in ([1, 2, 0, 1], [0, 2, 2, 2]):
        given = x, torch.tensor(labels)
        assert torch.allclose(fast(*given), program(*given), rtol=1e-4)
    with pytest.raises(RuntimeError) as mine:
        fast(x, torch.tensor([1, 2, 0, 0]))
    with pytest.raises(RuntimeError) as expected:
        program(x, torch.tensor([1, 2, 0, 0]))
    assert str(mine.value).splitlines()[-1] == str(expected.value).splitlines()[-1]


@torch.jit.script
def shown_twice(x: torch.Tensor) -> torch.Tensor:
    return x[x[:, 0] > 0, torch.tensor([0, 2])]


@torch.jit.script
def contracted_twice(x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ij,i->ij", x[x[:, 0] > 0], torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize("program", [shown_twice, contracted_twice])
def test_one_row_that_a_mask_shows_meets_all_the_others(program: Callable[..., torch.Tensor]) -> None:
    fast = torch.compile(program, fallback="allow")
    for x in ([[1.0, 2, 3], [4, 5, 6]], [[1.0, 2, 3], [-4, 5, 6]], [[1.0, 2, 3], [4, 5, 6]]):
        assert torch.equal(fast(torch.tensor(x)), program(torch.tensor(x)))
