"""One compiled version of a program, for one set of argument types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from optc.dataclass import dataclass
from optc.eager.base import NO_GRADIENT, TensorBase
from optc.eager.generator import Generator
from optc.eager.tensor import Tensor
from optc.ir.dims import Symbolic
from optc.ir.function import ScriptObject
from optc.ir.graph import Graph
from optc.ir.optimized import Held, OptimizedProgram, Slot
from optc.ir.structure import Literal
from optc.ir.types import GENERATOR, NONE, IntType, TensorType, Type
from optc.runtime.sharing import overlaps, sharing_of


@dataclass(frozen=True)
class Fallback:
    """A part of the program that the interpreter runs: what, why, and where it stands in the user's source."""

    operator: str
    reason: str
    source: str

    def __str__(self) -> str:
        place = f" ({self.source})" if self.source else ""
        return f"{self.operator}: {self.reason}{place}"


@dataclass(repr=False)
class Specialization:
    """Compiled code with the types it was compiled for. `native` is None when the interpreter runs all of it."""

    types: tuple[Any, ...]
    others: tuple[Any, ...] = ()
    """The arguments without a native type (strings ...), which must come again; None elsewhere."""
    extents: dict[str, int] = field(default_factory=dict)
    """What the symbols stood for in the call that asked for this version."""
    program: OptimizedProgram | None = None
    native: Any = None
    entry: Callable[..., Any] | None = None
    checked: Callable[..., Any] | None = None
    fallbacks: list[Fallback] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    follows_memory: bool = False
    """Results depend on the order of elements in memory: only arguments that lie row by row go to native code."""
    sharing: tuple[int, ...] = ()
    """For every tensor of the call, the first that is the same object (see `optc.runtime.sharing`)."""
    open_state: tuple[tuple[Slot, Type], ...] = ()
    """State that this version takes otherwise than it is at first: with symbols for extents, numbers as constants."""
    whole: tuple[tuple[ScriptObject, str], ...] = ()
    """The attributes whose lists and dictionaries are not taken apart: they have had too many forms."""
    depends_on_sharing: bool = False
    is_overlapping: bool = False
    """For calls in which what is written shares memory with something else, and which the interpreter therefore runs."""
    held: tuple[tuple[Slot, Type], ...] = ()
    """The tensors and numbers that are read from attributes, and the types that the code was compiled for."""

    @property
    def graph(self) -> Graph | None:
        """The core graph."""
        return None if self.program is None else self.program.graph

    @property
    def always_fails(self) -> bool:
        """True where the program fails for all arguments of these types: the interpreter says how."""
        if self.native is not None or self.graph is None:
            return False
        return any(node.kind == "prim::RaiseException" for node in self.graph.nodes)

    @property
    def passes(self) -> list[Any]:
        """What every pass did."""
        return [] if self.program is None else self.program.records

    def accepts(self, values: Sequence[Any]) -> bool:
        """True when the code is right for these arguments and for the state as it is now."""
        symbols: dict[str, int] = {}
        return (
            len(values) == len(self.types)
            and all(fits(value, type_, other, symbols) for value, type_, other in zip(values, self.types, self.others))
            and (self._accepts_state(symbols) if self.native is not None else self._accepts_none())
            and (not self.depends_on_sharing or self._accepts_sharing(values))
        )

    def _accepts_sharing(self, values: Sequence[Any]) -> bool:
        assert self.program is not None
        return sharing_of(values) == self.sharing and overlaps(self.program, values) == self.is_overlapping

    def _accepts_state(self, symbols: dict[str, int]) -> bool:
        """Tensors that programs assign to attributes may have another shape or type in the next call."""
        assert self.program is not None
        return all(_holds(kept.present, kept.given, symbols) for kept in self.program.kept) and all(
            fits(slot.present, type_, None, symbols) for slot, type_ in self.held if slot.owner is not None
        )

    def _accepts_none(self) -> bool:
        """What cannot be compiled while an attribute holds None may be when it holds something."""
        kept = [] if self.program is None else self.program.kept
        return all((each.given is NONE) == (each.present is None) for each in kept)

    def __repr__(self) -> str:
        return f"<Specialization {self}>"

    def __str__(self) -> str:
        shown = [show(other if type_ is None else type_) for type_, other in zip(self.types, self.others)]
        state = [f"{slot.path}: {show(type_)}" for slot, type_ in self.open_state]
        return f"({', '.join(shown)})" + (f" with {', '.join(state)}" if state else "")


def in_rows(value: Any) -> bool:
    """True when the tensors in an argument lie row by row without gaps."""
    if isinstance(value, dict):
        return all(map(in_rows, value.values()))
    if isinstance(value, list | tuple):
        return all(map(in_rows, value))
    return not isinstance(value, TensorBase) or bool(value._array.flags.c_contiguous)


def extents_of(values: Sequence[Any], types: Sequence[Any]) -> dict[str, int]:
    """What the symbols in the types of arguments stand for."""
    found: dict[str, int] = {}
    for value, type_ in zip(values, types):
        fits(value, type_, None, found)
    return found


def show(type_: Any) -> str:
    """Nested argument types as text."""
    if isinstance(type_, tuple | list):
        text = ", ".join(map(show, type_))
        return f"[{text}]" if isinstance(type_, list) else f"({text})"
    if isinstance(type_, dict):
        return "{" + ", ".join(f"{key!r}: {show(item)}" for key, item in type_.items()) + "}"
    if isinstance(type_, IntType) and type_.dim is not None:
        return f"int = {type_.dim}"
    return str(type_)


def fits(value: Any, type_: Any, other: Any, symbols: dict[str, int]) -> bool:
    """True when a value has the type, symbols bound consistently."""
    if type_ is None:
        if isinstance(value, TensorBase) and isinstance(other, TensorBase):  # of a type that nothing computes with
            return value._array.dtype == other._array.dtype and value._array.shape == other._array.shape
        return type(value) is type(other) and bool(value == other)
    if isinstance(type_, list | tuple):
        same = isinstance(value, list if isinstance(type_, list) else tuple) and len(value) == len(type_)
        return same and all(fits(item, part, None, symbols) for item, part in zip(value, type_))
    if isinstance(type_, dict):
        same = isinstance(value, dict) and list(value) == list(type_)
        return same and all(fits(value[key], part, None, symbols) for key, part in type_.items())
    if type_ is GENERATOR:
        return isinstance(value, Generator)
    if isinstance(type_, Literal):
        return type(value) is type(type_.value) and bool(value == type_.value)
    if isinstance(type_, IntType) and type_.dim is not None:
        return type(value) is int and bool(value == type_.dim)
    if not isinstance(type_, TensorType):
        names = {int: "int", float: "float", bool: "bool", type(None): "NoneType"}
        return names.get(type(value)) == str(type_)
    if not isinstance(value, TensorBase) or type_.shape is None or type_.dtype is None:
        return False
    array = value._array
    if array.dtype != type_.dtype.numpy or array.ndim != len(type_.shape):
        return False
    return all(_dim_fits(dim, extent, symbols) for dim, extent in zip(type_.shape, array.shape))


def _holds(value: Any, given: Any, symbols: dict[str, int]) -> bool:
    """True when an attribute holds what the code was compiled for: None where it was, as many tensors of such types."""
    if isinstance(given, Held):
        return given.fits(value)
    if isinstance(given, dict):
        same = isinstance(value, dict) and list(value) == list(given)
        return same and all(_holds(value[key], part, symbols) for key, part in given.items())
    if isinstance(given, tuple | list):
        same = isinstance(value, type(given) if isinstance(given, list) else tuple) and len(value) == len(given)
        return same and all(_holds(item, part, symbols) for item, part in zip(value, given))
    if given is NONE or value is None:
        return given is NONE and value is None
    return not isinstance(given, TensorType | Literal) or fits(value, given, None, symbols)


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
    return array.copy()


WRAPPED_CLASS = Tensor
WRAPPED_SLOTS = {"_gradient": NO_GRADIENT}
