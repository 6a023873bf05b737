"""Settings of the eager layer: the default dtype and the number of threads."""

from __future__ import annotations

from optc import thread_count
from optc.ir.dtypes import DType
from optc.ops import promotion

_interop_threads: int | None = None
_deterministic = False


def get_default_dtype() -> DType:
    """The dtype of floats without one of their own: float32 unless `set_default_dtype` said otherwise."""
    return promotion.default_float()


def set_default_dtype(dtype: DType) -> None:
    """Set the dtype that Python floats become. Raises TypeError unless it is a floating-point dtype."""
    if not isinstance(dtype, DType):
        raise TypeError("invalid dtype object")
    promotion.set_default_float(dtype)


def get_num_threads() -> int:
    """The number of threads a call of compiled code may use: by default the cores this process may run on."""
    return thread_count.get_num_threads()


def set_num_threads(count: int) -> None:
    """Set the number of threads a call of compiled code may use. Raises RuntimeError unless it is positive."""
    thread_count.set_num_threads(_positive(count, "set_num_threads"))


def get_num_interop_threads() -> int:
    """What `set_num_interop_threads` set; optc does not run operators of one program side by side."""
    return thread_count.usable_processors() if _interop_threads is None else _interop_threads


def set_num_interop_threads(count: int) -> None:
    """Accepted and remembered, without effect. Raises RuntimeError unless it is positive."""
    global _interop_threads
    _interop_threads = _positive(count, "set_num_interop_threads")


def _positive(count: int, name: str) -> int:
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"{name} expects an int, but got {type(count).__name__}")
    if count <= 0:
        raise RuntimeError(f"{name} expects a positive integer")
    return count


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted and remembered: everything optc computes is deterministic already."""
    global _deterministic
    _deterministic = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` set."""
    return _deterministic
