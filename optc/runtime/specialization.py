"""One compiled version of a program, for one set of argument types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optc.eager.base import NO_GRADIENT, TensorBase
from optc.eager.creation import from_numpy
from optc.eager.tensor import Tensor
from optc.ir.dims import Symbolic
from optc.ir.graph import Graph
from optc.ir.types import TensorType, Type
from optc.pipeline import PassRecord


@dataclass(frozen=True)
class Fallback:
    """A part of the program that the interpreter runs: what, why, and where it stands in the user's source."""

    operator: str
    reason: str
    source: str

    def __str__(self) -> str:
        place = f" ({self.source})" if self.source else ""
        return f"{self.operator}: {self.reason}{place}"


@dataclass
class Specialization:
    """Compiled code with the types it was compiled for. `native` is None when the interpreter runs all of it."""

    types: tuple[Type | None, ...]
    constants: tuple[Any, ...]
    graph: Graph | None = None
    passes: list[PassRecord] = field(default_factory=list)
    native: Any = None
    entry: Callable[..., Any] | None = None
    checked: Callable[..., Any] | None = None
    fallbacks: list[Fallback] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def accepts(self, values: Sequence[Any]) -> bool:
        """True when the code is right for these arguments."""
        symbols: dict[str, int] = {}
        return len(values) == len(self.types) and all(
            _fits(value, type_, constant, symbols)
            for value, type_, constant in zip(values, self.types, self.constants)
        )

    def __str__(self) -> str:
        shown = [str(constant if type_ is None else type_) for type_, constant in zip(self.types, self.constants)]
        return f"({', '.join(shown)})"


def _fits(value: Any, type_: Type | None, constant: Any, symbols: dict[str, int]) -> bool:
    if type_ is None:
        return type(value) is type(constant) and bool(value == constant)
    if not isinstance(type_, TensorType):
        return {int: "int", float: "float", bool: "bool"}.get(type(value)) == str(type_)
    if not isinstance(value, TensorBase) or type_.shape is None or type_.dtype is None:
        return False
    array = value._array
    if array.dtype != type_.dtype.numpy or array.ndim != len(type_.shape):
        return False
    return all(_dim_fits(dim, extent, symbols) for dim, extent in zip(type_.shape, array.shape))


def _dim_fits(dim: Any, extent: int, symbols: dict[str, int]) -> bool:
    if isinstance(dim, Symbolic):
        return extent != 1 and symbols.setdefault(str(dim), extent) == extent
    return bool(dim == extent)


def native_form(value: Any) -> Any:
    """An argument as native code reads it: tensors as C-contiguous, aligned arrays."""
    if not isinstance(value, TensorBase):
        return value
    array = value._array
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.ascontiguousarray(array)


def wrapped(value: Any) -> Any:
    """A result of native code as run-time values: arrays become Tensors."""
    return from_numpy(value) if isinstance(value, np.ndarray) else value


WRAPPED_CLASS = Tensor
WRAPPED_SLOTS = {"_gradient": NO_GRADIENT}
