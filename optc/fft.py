"""Discrete Fourier transforms: the operators that begin with `fft_`, under the names of torch.fft."""

from __future__ import annotations

from typing import Any

from optc.eager import functions


def __getattr__(name: str) -> Any:
    """The function of an operator. Raises AttributeError where there is no such operator."""
    return functions.in_namespace("fft", name)
