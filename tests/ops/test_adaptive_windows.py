"""Adaptive pooling of pieces of images whose extents only running tells, as regions of detectors are pooled."""

from __future__ import annotations

import pytest

import optc as torch
from optc.nn import functional as F


@torch.jit.script
def pooled(x: torch.Tensor, box: torch.Tensor) -> list[torch.Tensor]:
    part = x[:, :, int(box[0]) : int(box[1]), int(box[2]) : int(box[3])]
    line, volume = part[0, :, 0], part.unsqueeze(0)
    largest, places = F.adaptive_max_pool2d_with_indices(part, [2, 3])
    in_line, places_in_line = F.adaptive_max_pool1d_with_indices(line, 4)
    in_volume, places_in_volume = F.adaptive_max_pool3d_with_indices(volume, [2, 1, 3])
    return [
        largest, places, in_line, places_in_line, in_volume, places_in_volume, F.adaptive_avg_pool2d(part, [2, 3]),
        F.adaptive_avg_pool1d(line, 4), F.adaptive_avg_pool3d(volume, [2, 1, 3]), F.adaptive_max_pool2d(part, [1, 1]),
    ]  # fmt: skip


def test_windows_over_extents_that_data_decide() -> None:
    fast = torch.compile(pooled, fallback="error")
    x = torch.randn(2, 3, 9, 11).mul(2).round()  # of many equal ones the first is found
    x[0, 0, 2, 3] = float("inf")
    for box in ([0, 5, 1, 9], [2, 3, 2, 4], [0, 9, 0, 11], [1, 7, 3, 4], [8, 9, 10, 11]):
        results = zip(fast(x, torch.tensor(box)), pooled(x, torch.tensor(box)), strict=True)
        assert all(torch.allclose(mine, other, 1e-5, 1e-6, equal_nan=True) for mine, other in results)
    with pytest.raises(RuntimeError, match="Expected input to have non-zero size"):
        fast(x, torch.tensor([3, 5, 2, 2]))
