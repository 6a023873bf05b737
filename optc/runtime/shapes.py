"""Which dimensions of the arguments are numbers and which are symbols.

The first call fixes every dimension, also of the tensors that the program keeps in attributes, and every truth value
among the arguments. One of these that later shows its other
value is told by the caller from then on. A dimension that later shows another value becomes a symbol (1 excepted: it means
broadcasting and always gets code of its own), and dimensions that have been equal in every call share one symbol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optc.dataclass import dataclass
from optc.ir.dims import Dim, symbol
from optc.ir.optimized import Slot
from optc.ir.structure import Literal
from optc.ir.types import IntType, TensorType, Type

Dynamic = bool | Mapping[int, Sequence[int]] | None
"""None: learn from the calls. True: every dimension but 1 is a symbol. False: never. A mapping names them by argument."""


FREEDOMS = (64, 1, 0)
"""How many leading dimensions of a tensor may become symbols: all; where that does not compile, the first; none."""


@dataclass(frozen=True)
class Wanted:
    """The types of arguments to compile for, and those of the state that shall not be as it is now."""

    arguments: tuple[Any, ...]
    state: tuple[tuple[Slot, Type], ...] = ()


PINNINGS = ("none", "steady", "all")
"""Which numbers among the arguments a version is made for: where it can be made for any none, else those that have been
the same in all calls, else all. State counts as well."""

NUMBERS_LIMIT = 8
"""A number in an attribute that has had more values than this, such as a count of calls, is no constant."""


class ShapeHistory:
    """The extents seen so far, for every dimension of every tensor inside the arguments (a `path` of places).

    What the program keeps in attributes (`state`) comes behind the arguments, once it is known.
    """

    def __init__(self, dynamic: Dynamic, arguments: int) -> None:
        self.dynamic = dynamic
        self._arguments = arguments
        self.freedom = FREEDOMS[0]
        self.pinning = PINNINGS[0]
        self._first: list[Any] = []
        self._changing: set[int] = set()
        self._seen: dict[tuple[Any, ...], list[int]] = {}
        self._flags: dict[int, set[bool]] = {}
        self.state: dict[tuple[Any, Any], Slot] = {}
        self._numbers: dict[int, set[int]] = {}

    def observe(self, types: Sequence[Any]) -> None:
        """Take note of one call. Raises ValueError where a dimension was named that its argument does not have."""
        if isinstance(self.dynamic, Mapping):
            _check_dimensions(self.dynamic, types)
        for place, extent in _extents(types):
            self._seen.setdefault(place, []).append(extent)

    def remember(self, held: Sequence[tuple[Slot, Any]]) -> None:
        """Take note of the state of a program that was compiled just now."""
        for slot, type_ in held:
            if slot.place in self.state:
                continue
            place = self._arguments + len(self.state)
            self.state[slot.place] = slot
            self._seen |= {(place, *axis): [extent] for axis, extent in _extents(type_)}

    def present_state(self) -> list[Any]:
        """What the state that is known holds now."""
        present = [slot.present for slot in self.state.values()]
        for place, value in enumerate(present):
            if type(value) in (int, bool):
                self._numbers.setdefault(place, set()).add(value)
        return present

    def forget(self, types: Sequence[Any]) -> None:
        """Take back the note of the last call, which failed: its extents say nothing of those to come."""
        for place, _ in _extents(types):
            self._seen[place].pop()

    def observe_numbers(self, values: Sequence[Any]) -> None:
        """Take note of the numbers of one call."""
        self._first = self._first or list(values)
        pairs = enumerate(zip(self._first, values))
        self._changing |= {place for place, (first, value) in pairs if is_number(value) and value != first}

    def pinned(self, types: Sequence[Any], values: Sequence[Any], pinning: str) -> list[Any]:
        """The types of arguments, with the values of numbers that a version is made for."""
        if pinning == "none":
            return list(types)
        kept = self._changing if pinning == "steady" else ()
        pairs = enumerate(zip(values, types))
        made = [type_ if place in kept else pinned_type(value, type_) for place, (value, type_) in pairs]
        return made + self._pinned_state(types[len(values) :], 1 if pinning == "steady" else NUMBERS_LIMIT)

    def _pinned_state(self, types: Sequence[Any], limit: int) -> list[Any]:
        """The types of state; of numbers that have had no more values than that, the present ones."""
        pairs = enumerate(zip(self.present_state(), types))
        return [
            pinned_type(value, type_) if len(self._numbers.get(place, ())) <= limit else type_
            for place, (value, type_) in pairs
        ]

    def with_flags(self, types: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        """The types of a call's arguments, a truth value that has been the same in all calls as a literal."""
        made = list(types)
        for place, value in enumerate(values):
            if type(value) is not bool:
                continue
            seen = self._flags.setdefault(place, set())
            seen.add(value)
            made[place] = Literal(value) if len(seen) == 1 else made[place]
        return made

    def is_dynamic(self, path: tuple[Any, ...], axis: int, extent: int, freedom: int) -> bool:
        """True when a dimension is to be a symbol."""
        if extent == 1 or self.dynamic is False or axis >= freedom:
            return False
        if path[0] >= self._arguments:
            return len(set(self._seen[(*path, axis)])) > 1
        if self.dynamic is True:
            return True
        if self.dynamic is not None:
            return axis in self.dynamic.get(path[0], ())
        return len(set(self._seen[(*path, axis)])) > 1

    def symbolic(self, types: Sequence[Any], freedom: int | None = None) -> Wanted:
        """The types to compile for; only the first `freedom` dimensions of a tensor may become symbols."""
        names: dict[tuple[int, ...], str] = {}
        limit = self.freedom if freedom is None else freedom
        shapes = {path: self._shape(path, type_, names, limit) for path, type_ in tensor_types(types)}
        made = [_with_shapes(type_, (place,), shapes) for place, type_ in enumerate(types)]
        state = zip(self.state.values(), made[self._arguments :])
        return Wanted(tuple(made[: self._arguments]), tuple(pair for pair in state if _is_open(pair[1])))

    def _shape(
        self, path: tuple[Any, ...], type_: TensorType, names: dict[tuple[int, ...], str], freedom: int
    ) -> tuple[Dim, ...]:
        return tuple(self._dim(path, axis, extent, names, freedom) for axis, extent in enumerate(type_.shape or ()))

    def _dim(
        self, path: tuple[Any, ...], axis: int, extent: Dim, names: dict[tuple[int, ...], str], freedom: int
    ) -> Dim:
        if not isinstance(extent, int) or not self.is_dynamic(path, axis, extent, freedom):
            return extent
        history = tuple(self._seen[(*path, axis)])
        return symbol(names.setdefault(history, f"s{len(names)}"))


def is_number(value: Any) -> bool:
    """True for an int, and for tuples of ints."""
    return type(value) is int or (type(value) is tuple and all(map(is_number, value)))


def pinned_type(value: Any, type_: Any) -> Any:
    """The type of an argument with its value where that is an int or a bool: element types, sizes and flags."""
    if type(value) is int:
        return IntType(value)
    if type(value) is bool:
        return Literal(value)
    return tuple(map(pinned_type, value, type_)) if isinstance(type_, tuple) else type_


def _check_dimensions(dynamic: Mapping[int, Sequence[int]], types: Sequence[Any]) -> None:
    for argument, dimensions in dynamic.items():
        ranks = [len(type_.shape or ()) for _, type_ in tensor_types(types[argument])]
        if ranks and max(dimensions, default=-1) >= max(ranks):
            raise ValueError(
                f"dynamic names dimension {max(dimensions)} of argument {argument}, which has {max(ranks)}"
            )


def _is_open(type_: Any) -> bool:
    """True for a tensor's type with a symbol among its extents, and for a number that is a constant."""
    if isinstance(type_, Literal) or (isinstance(type_, IntType) and type_.dim is not None):
        return True
    return isinstance(type_, TensorType) and not all(isinstance(extent, int) for extent in type_.shape or ())


def tensor_types(types: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], TensorType]]:
    """All tensor types inside nested argument types, with the way to them."""
    if isinstance(types, TensorType):
        yield path, types
    elif isinstance(types, list | tuple):
        for place, item in enumerate(types):
            yield from tensor_types(item, (*path, place))
    elif isinstance(types, dict):
        for key, item in types.items():
            yield from tensor_types(item, (*path, key))


def _extents(types: Any) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The known extents of all tensors, each with the way to its dimension."""
    for path, type_ in tensor_types(types):
        for axis, extent in enumerate(type_.shape or ()):
            if isinstance(extent, int):
                yield (*path, axis), extent


def _with_shapes(type_: Any, path: tuple[Any, ...], shapes: Mapping[tuple[Any, ...], tuple[Dim, ...]]) -> Any:
    if isinstance(type_, TensorType):
        return type_.with_shape(shapes[path])
    if isinstance(type_, dict):
        return {key: _with_shapes(item, (*path, key), shapes) for key, item in type_.items()}
    if isinstance(type_, list | tuple):
        items = [_with_shapes(item, (*path, place), shapes) for place, item in enumerate(type_)]
        return items if isinstance(type_, list) else tuple(items)
    return type_
