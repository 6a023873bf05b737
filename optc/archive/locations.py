"""`map_location`: where the caller wants what is loaded. All of it is on the CPU, wherever it was when it was saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optc.eager.device import Device, require_cpu

MapLocation = str | Device | Mapping[str, str] | Callable[..., Any] | None


def check_location(map_location: Any) -> None:
    """For `optc.load`. Raises RuntimeError where tensors of the CPU are wanted elsewhere, TypeError for no location.

    Functions, which place one storage after the other, have nothing to choose from and are not asked.
    """
    if isinstance(map_location, Mapping):
        require_cpu(map_location.get("cpu"))
    elif is_device(map_location):
        require_cpu(map_location)
    elif map_location is not None and not callable(map_location):
        raise TypeError(
            f"map_location is a device, its name, a dictionary or a function, no {type(map_location).__name__}"
        )


def check_module_location(map_location: Any) -> None:
    """For `optc.jit.load`. Raises RuntimeError for another device than the CPU, ValueError for what is no device."""
    if map_location is not None and not is_device(map_location):
        raise ValueError(
            f"map_location should be either None, string or torch.device, but got type: {type(map_location)}"
        )
    require_cpu(map_location)


def is_device(value: Any) -> bool:
    """True for the name of a device, for optc's devices and for those of PyTorch."""
    kind = type(value)
    return isinstance(value, str | Device) or (kind.__module__, kind.__name__) == ("torch", "device")
