"""What PyTorch writes in Python on top of its operators: torch.functional.

The script frontend compiles these functions from the source below, as PyTorch does; their bodies therefore keep to the
script language, and use the operators, the order and the variable names that show up in the code PyTorch prints.
"""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import Any

from optc.eager import functions
from optc.eager.tensor import Tensor

__all__ = ["cdist", "stft"]


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The distances of order `p` between all rows of two tensors. Raises ValueError for an unknown mode."""
    if compute_mode == "use_mm_for_euclid_dist_if_necessary":
        return functions.cdist(x1, x2, p, None)
    if compute_mode == "use_mm_for_euclid_dist":
        return functions.cdist(x1, x2, p, 1)
    if compute_mode == "donot_use_mm_for_euclid_dist":
        return functions.cdist(x1, x2, p, 2)
    raise ValueError(f"{compute_mode} is not a valid value for compute_mode")


def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The spectra of overlapping frames. Raises RuntimeError for numbers that do not fit, or a missing `return_complex`."""
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if center:
        signal_dim = input.dim()
        extended_shape = [1] * (3 - signal_dim) + list(input.size())
        pad = int(n_fft // 2)
        input = functions.pad(input.view(extended_shape), [pad, pad], pad_mode)
        input = input.view(input.shape[-signal_dim:])
    return functions.stft(
        input, n_fft, hop_length, win_length, window, normalized, onesided, return_complex, align_to_window
    )


NAMES: dict[str, Any] = {name: globals()[name] for name in __all__}
"""What `optc` exports of this module."""
