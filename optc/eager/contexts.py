"""Context managers of PyTorch for which optc has nothing to do: marks for profilers, and autocast that is switched off."""

from __future__ import annotations

from typing import Any, Self

from optc.errors import UnsupportedError
from optc.ops.values import AUTOCAST_REFUSED


class record_function:
    """A mark for a profiler: there is none, so it comes to nothing."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name
        self.args = args

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None


class autocast:
    """Computing in another type than the tensors': optc does not, so it has to be switched off, or for another device.

    Raises UnsupportedError when it is entered.
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        self.device = device_type
        self.fast_dtype = dtype
        self._enabled = enabled

    def __enter__(self) -> Self:
        if self._enabled and self.device == "cpu":
            raise UnsupportedError(AUTOCAST_REFUSED)
        return self

    def __exit__(self, *exception: object) -> None:
        return None
