"""`optc.cuda` and `optc.backends`: what scripts ask about hardware before they settle for the CPU.

There is no accelerator. Questions are answered so, seeds and switches are accepted without effect, and what needs an
accelerator raises RuntimeError.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final


class NoAccelerator:
    """The namespace of a device type that is not there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def is_available(self) -> bool:
        """False."""
        return False

    def is_built(self) -> bool:
        """False."""
        return False

    def is_initialized(self) -> bool:
        """False."""
        return False

    def is_bf16_supported(self) -> bool:
        """False."""
        return False

    def device_count(self) -> int:
        """0."""
        return 0

    def manual_seed(self, seed: int) -> None:
        """Without effect."""

    def manual_seed_all(self, seed: int) -> None:
        """Without effect."""

    def empty_cache(self) -> None:
        """Without effect."""

    def _refuse(self, *arguments: Any, **keywords: Any) -> Any:
        raise RuntimeError(f"optc computes on the CPU: there is no {self._name} device")

    current_device = get_device_name = get_device_properties = set_device = synchronize = _refuse


cuda: Final = NoAccelerator("cuda")
mps: Final = NoAccelerator("mps")
xpu: Final = NoAccelerator("xpu")


def _switches(**switches: Any) -> SimpleNamespace:
    return SimpleNamespace(is_available=lambda: False, is_built=lambda: False, **switches)


backends: Final = SimpleNamespace(
    cuda=_switches(matmul=SimpleNamespace(allow_tf32=False)),
    cudnn=_switches(enabled=False, benchmark=False, deterministic=False, allow_tf32=False),
    mps=_switches(),
    mkl=_switches(),
    mkldnn=_switches(enabled=False),
    openmp=_switches(),
)
"""Switches of libraries that optc does not use: they can be read and set, and nothing follows."""
