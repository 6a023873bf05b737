"""Resampling to extents, and of extents, that only running tells: places and weights are computed in native code."""

from __future__ import annotations

import pytest

import optc as torch
from optc.nn import functional as F


@torch.jit.script
def resampled(x: torch.Tensor, extents: torch.Tensor) -> list[torch.Tensor]:
    size = [int(extents[0]), int(extents[1])]
    return [
        F.interpolate(x, size, mode="nearest"),
        F.interpolate(x, size, mode="nearest-exact"),
        F.interpolate(x, size, mode="bilinear", align_corners=False),
        F.interpolate(x, size, mode="bilinear", align_corners=True),
        F.interpolate(x, size, mode="bicubic", align_corners=False),
        F.interpolate(x, size, mode="bicubic", align_corners=True),
    ]


@torch.jit.script
def averaged(x: torch.Tensor, extents: torch.Tensor) -> list[torch.Tensor]:
    size = [int(extents[0]), int(extents[1])]
    return [
        F.interpolate(x, size, mode="bilinear", antialias=True),
        F.interpolate(x, size, mode="bilinear", align_corners=True, antialias=True),
        F.interpolate(x, size, mode="bicubic", antialias=True),
    ]


@torch.jit.script
def shown(x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x[:, :, keep], [4], mode="linear", align_corners=False)


def test_extents_that_data_decide() -> None:
    fast = torch.compile(resampled, fallback="error")
    x = torch.rand(2, 3, 7, 9)
    x[0, 0, 2, 3] = float("inf")
    for extents in ([7, 9], [14, 18], [1, 5], [3, 27], [20, 1]):
        results = zip(fast(x, torch.tensor(extents)), resampled(x, torch.tensor(extents)))
        assert all(torch.allclose(mine, other, 1e-5, 1e-6, equal_nan=True) for mine, other in results)
    with pytest.raises(RuntimeError, match="Input and output sizes should be greater than 0"):
        fast(x, torch.tensor([0, 4]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_averages_over_windows_that_data_decide(dtype: torch.dtype) -> None:
    fast = torch.compile(averaged, fallback="error")
    x = (255 * torch.rand(2, 3, 7, 9)).to(dtype)
    for extents in ([7, 9], [14, 18], [1, 5], [3, 27], [4, 3]):
        for mine, other in zip(fast(x, torch.tensor(extents)), averaged(x, torch.tensor(extents))):
            assert mine.dtype == dtype
            assert torch.allclose(mine, other, 1e-5, 1e-3 if dtype.is_floating_point else 0)


def test_infinity_is_seen_by_its_neighbours_alone() -> None:
    x = torch.zeros(1, 1, 1, 8)
    x[0, 0, 0, 0] = float("inf")
    for result in resampled(x, torch.tensor([1, 16])):
        assert result[0, 0, 0, 8:].tolist() == [0] * 8


def test_images_of_which_data_decide_how_large_they_are() -> None:
    fast = torch.compile(shown, fallback="error")
    x = torch.rand(1, 2, 9, dtype=torch.float64)
    for count in (9, 4, 1):
        assert torch.allclose(fast(x, torch.arange(9) < count), shown(x, torch.arange(9) < count), 1e-12, 1e-12)


@torch.jit.script
def cropped(x: torch.Tensor, extents: torch.Tensor) -> torch.Tensor:
    height, width = int(extents[0]), int(extents[1])
    return F.interpolate(x[:, :, :height, :width], [4, 5], mode="bilinear", antialias=True)


def test_averages_of_crops_that_data_decide() -> None:
    fast = torch.compile(cropped, fallback="error")
    x = torch.rand(1, 3, 12, 13)
    for extents in ([3, 4], [9, 10], [1, 13]):
        mine, other = fast(x, torch.tensor(extents)), cropped(x, torch.tensor(extents))
        assert torch.allclose(mine, other, 1e-5, 1e-6)
