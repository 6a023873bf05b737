"""PyTorch tensors in and out. Only this folder imports torch, and only once a torch object has been passed in."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from optc.eager import device
from optc.eager.base import TensorBase
from optc.eager.creation import from_numpy
from optc.eager.device import Device
from optc.eager.dispatch import wrap
from optc.ir import dtypes
from optc.ops.held import record_of

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def from_torch(value: Any) -> Any:
    """A torch tensor as a Tensor over the same memory; a dtype, device, layout or memory format as optc's.

    Raises TypeError for what is not a dense CPU tensor, and for other objects.
    """
    if isinstance(value, torch.dtype):
        name = str(value).removeprefix("torch.")
        if name not in dtypes.BY_NAME:
            raise TypeError(f"optc has no element type {value}")
        return dtypes.BY_NAME[name]
    if isinstance(value, torch.device):
        return Device(str(value))
    if isinstance(value, torch.layout | torch.memory_format) and hasattr(device, _constant(value)):
        return getattr(device, _constant(value))
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"a torch.{type(value).__name__} is no argument of compiled code")
    if value.device.type != "cpu" or value.layout is not torch.strided:
        raise TypeError(f"compiled code takes dense CPU tensors, not one on {value.device} with layout {value.layout}")
    value = value.detach().resolve_conj().resolve_neg()
    if value.dtype == torch.bfloat16:  # numpy has no such type of its own
        return from_numpy(value.view(torch.int16).numpy().view(dtypes.BFLOAT16.numpy))
    if dtypes.BY_NAME.get(str(value.dtype).removeprefix("torch."), dtypes.FLOAT32).is_held:
        dtype = dtypes.BY_NAME[str(value.dtype).removeprefix("torch.")]
        return wrap(value.view(_INTEGERS[dtype.itemsize]).numpy().view(record_of(dtype)))
    return from_numpy(value.numpy())


def _constant(value: Any) -> str:
    """What optc's constant for a layout or a memory format is called."""
    return str(value).removeprefix("torch.").upper()


def to_torch(value: TensorBase | Device) -> Any:
    """A Tensor as a torch tensor over the same memory; a device as torch's."""
    if isinstance(value, Device):
        return torch.device(str(value))
    dtype = dtypes.from_numpy(value._array.dtype)
    if dtype.is_held:
        integers = value._array.view(f"i{dtype.itemsize}")
        return torch.from_numpy(integers).view(getattr(torch, dtype.name))
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
