"""PyTorch tensors in and out. Only this folder imports torch, and only once a torch object has been passed in."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from optc.eager.base import TensorBase
from optc.eager.creation import from_numpy
from optc.ir import dtypes


def from_torch(value: Any) -> Any:
    """A torch tensor as a Tensor over the same memory. Raises TypeError for what is not a dense CPU tensor."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"a torch.{type(value).__name__} is no argument of compiled code")
    if value.device.type != "cpu" or value.layout is not torch.strided:
        raise TypeError(f"compiled code takes dense CPU tensors, not one on {value.device} with layout {value.layout}")
    value = value.detach().resolve_conj().resolve_neg()
    if value.dtype == torch.bfloat16:  # numpy has no such type of its own
        return from_numpy(value.view(torch.int16).numpy().view(dtypes.BFLOAT16.numpy))
    return from_numpy(value.numpy())


def to_torch(value: TensorBase) -> Any:
    """A Tensor as a torch tensor over the same memory."""
    if value._array.dtype == dtypes.BFLOAT16.numpy:
        return torch.from_numpy(value._array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(value._array)


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Keep torch from telling optc's users that torch.jit is deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.", category=FutureWarning)
        yield
