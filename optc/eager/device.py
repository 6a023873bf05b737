"""Devices, layouts and memory formats: the words for where and how a tensor lies in memory.

There is one device, the CPU, and one layout, strided; other devices can be named, but no tensor can be put there.
"""

from __future__ import annotations

from typing import Final

from optc.dataclass import dataclass

_DEVICE_TYPES: Final = ("cpu", "cuda", "ipu", "xpu", "mkldnn", "hip", "vulkan", "mps", "meta", "hpu", "mtia", "xla")


class Device:
    """A device by type and index: ``device("cpu")``, ``device("cuda:0")``, ``device("cuda", 0)``.

    Raises RuntimeError for a type that PyTorch does not have.
    """

    __slots__ = ("index", "type")

    def __init__(self, type: str | Device, index: int | None = None) -> None:
        kind, colon, number = str(type).partition(":")
        if kind not in _DEVICE_TYPES:
            expected = ", ".join(_DEVICE_TYPES)
            raise RuntimeError(f"Expected one of {expected} device type at start of device string: {kind}")
        if colon and not number.isdigit():
            raise RuntimeError(f"Invalid device string: '{type}'")
        if colon and index is not None:
            raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {type}")
        self.type: str = kind
        self.index: int | None = int(number) if colon else index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type='{self.type}'" + (f", index={self.index})" if self.index is not None else ")")

    def __enter__(self) -> Device:
        require_cpu(self)
        return self

    def __exit__(self, *exception: object) -> None:
        return None


CPU: Final = Device("cpu")


def require_cpu(device: Device | str | None) -> None:
    """Raise RuntimeError unless `device` is absent or the CPU."""
    if device is not None and Device(device).type != "cpu":
        raise RuntimeError(f"optc computes on the CPU; device {str(device)!r} is not available")


@dataclass(frozen=True, eq=False)
class Layout:
    """How the elements are stored; `code` is torch's number."""

    name: str
    code: int

    def __repr__(self) -> str:
        return f"torch.{self.name}"


@dataclass(frozen=True, eq=False)
class MemoryFormat:
    """In which order the dimensions lie in memory; `code` is torch's number."""

    name: str
    code: int

    def __repr__(self) -> str:
        return f"torch.{self.name}"


STRIDED: Final = Layout("strided", 0)
CONTIGUOUS_FORMAT: Final = MemoryFormat("contiguous_format", 0)
PRESERVE_FORMAT: Final = MemoryFormat("preserve_format", 1)
CHANNELS_LAST: Final = MemoryFormat("channels_last", 2)
CHANNELS_LAST_3D: Final = MemoryFormat("channels_last_3d", 3)
