"""The type of a value that comes from several paths: the results of branches, what loops carry.

Dimensions that differ get a symbol of the value's own. Where several values of one branch or loop differ in the same
dimensions, one symbol serves them all:

    %i, %h, %t = prim::Loop(...)             three tensors of 1 row each before the loop, and of 3 after every turn
    block(%i : (u0), %h : (u0, 16), %t : (u0, u1)):

For they are equal before the first turn, and equal after a turn when they were equal before it. When later turns turn
out to treat them in different ways, they part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from optc.dataclass import dataclass
from optc.ir.bounds import Turns
from optc.ir.dims import Dim, fresh, symbol, symbols
from optc.ir.graph import Node, Value
from optc.ir.symbols import plain_symbol, substitute_type, told_dims, type_symbols
from optc.ir.types import (
    NONE,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    UnionType,
    is_subtype,
    unrefined,
)

Pair = tuple[Dim, Dim]


@dataclass
class Meeting:
    """The end of a branch or of a loop's turn, where values of several paths meet.

    `carried` are the parameters of a loop that may still change. `common`: the symbol for extents that are one of a pair
    of dimensions, in the two branches or before the loop and after a turn.
    """

    carried: frozenset[Value] = frozenset()
    common: dict[Pair, Dim] = field(default_factory=dict)


@dataclass
class Place:
    """Where a joined type belongs: to a value, which had the types `olds` before, the latest of them first."""

    value: Value
    olds: tuple[Type, ...]
    meeting: Meeting
    start: Type | None = None
    """Of what a loop carries: the type before the first turn."""

    def pair(self, axis: int, mine: Dim, other: Dim) -> Pair:
        """What the extents of an axis are one of."""
        return _dim_of(self.start, axis, mine), other

    def old_dims(self, axis: int) -> list[Dim | None]:
        """What the value's number, or the extent of its axis, was before."""
        return [old.dim if isinstance(old, IntType) else _dim_of(old, axis, 0) for old in self.olds]


def _dim_of(type_: Type | None, axis: int, otherwise: Dim) -> Dim:
    """The dimension of an axis in a type, if the type has one."""
    shape = type_.shape if isinstance(type_, TensorType) else None
    return shape[axis] if shape is not None and axis < len(shape) else otherwise


_OWN = symbol("*")
"""In the type of a list: every element has an extent of its own."""

_SOME_INT = IntType(_OWN)


class Joins:
    """Joins types; `owners` says which value tells a symbol, `extents` which ones are extents; both learn of new ones."""

    def __init__(self, owners: dict[str, Value], extents: Turns | None = None) -> None:
        self.owners = owners
        self.extents = {} if extents is None else extents

    def all(self, types: Iterable[Type]) -> Type | None:
        """The most precise type of the elements of a list; None for no elements."""
        result: Type | None = None
        settled: Type | None = None
        for type_ in types:
            if type_ is settled:
                continue  # it changed nothing a moment ago: long lists are of one type
            joined = type_ if result is None else self.join(result, type_)
            settled = type_ if joined == result else None
            result = joined
        return result

    def join(self, left: Type, right: Type, place: Place | None = None) -> Type:
        """The most precise type of a value that is one of two; in a list every element has its own extents, `*`.

        Of what a loop carries, `left` is what is taken to be true before a turn.
        """
        if isinstance(left, TensorType) and isinstance(right, TensorType):
            return self._join_tensors(left, right, place)
        if isinstance(left, IntType) and isinstance(right, IntType):
            return self._join_ints(left, right, place)
        if isinstance(left, ListType) and isinstance(right, ListType):
            return ListType(self.join(left.element, right.element))
        if isinstance(left, TupleType) and isinstance(right, TupleType) and len(left.elements) == len(right.elements):
            pairs = zip(left.elements, right.elements)
            return TupleType(tuple(self.join(mine, other) for mine, other in pairs), left.name, left.fields)
        if is_subtype(left, right):
            return right
        if is_subtype(right, left):
            return left
        if NONE in (left, right):
            other = right if left is NONE else left
            return other if isinstance(other, OptionalType) else OptionalType(unrefined(other))
        mine = _alternatives(left)
        return UnionType((*mine, *(each for each in _alternatives(right) if each not in mine)))

    def handed_on(self, type_: Type, known: frozenset[str], place: Place) -> Type:
        """The type that a value of one turn of a loop has in the next, and after the loop.

        What only the turn tells is not `known` there, and the next turn tells something else: such dimensions get symbols
        of the place's own.
        """
        if isinstance(type_, IntType):
            return type_ if type_.dim is None else IntType(self._handed_on_dim(type_.dim, known, place, 0))
        if not isinstance(type_, TensorType) or type_.shape is None:
            return substitute_type(type_, dict.fromkeys(type_symbols(type_) - known, _OWN))
        return type_.with_shape(
            tuple(self._handed_on_dim(dim, known, place, axis) for axis, dim in enumerate(type_.shape))
        )

    def _handed_on_dim(self, dim: Dim, known: frozenset[str], place: Place, axis: int) -> Dim:
        if symbols(dim) <= known:
            return dim
        common = place.meeting.common
        if (dim, dim) not in common:
            common[dim, dim] = self._own_dim(place, axis)
        return common[dim, dim]

    def _join_ints(self, left: IntType, right: IntType, place: Place | None) -> Type:
        if place is None:
            return left if left is _SOME_INT or (left.dim is not None and left.dim == right.dim) else _SOME_INT
        if left.dim is not None and (left.dim == right.dim or self._is_own(left.dim, place)):
            return left
        return IntType(self._own_dim(place, 0))

    def _join_tensors(self, left: TensorType, right: TensorType, place: Place | None) -> Type:
        dtype = left.dtype if left.dtype is right.dtype else None
        if left.shape is None or right.shape is None or len(left.shape) != len(right.shape):
            return TensorType(dtype)
        pairs = enumerate(zip(left.shape, right.shape))
        return TensorType(dtype, tuple(self._join_dims(mine, other, place, axis) for axis, (mine, other) in pairs))

    def _join_dims(self, mine: Dim, other: Dim, place: Place | None, axis: int) -> Dim:
        if place is None:
            return mine if mine == other else _OWN
        common = place.meeting.common
        pair = place.pair(axis, mine, other)
        if self._is_own(mine, place):
            common.setdefault(pair, mine)
            return mine
        if mine == other and self.owners.get(plain_symbol(mine) or "") not in place.meeting.carried:
            return mine
        if pair not in common:
            common[pair] = self._own_dim(place, axis)
        return common[pair]

    def _is_own(self, dim: Dim, place: Place) -> bool:
        """True for a symbol that a parameter of a loop tells: it covers whatever the parameter may be."""
        return place.value in place.meeting.carried and self.owners.get(plain_symbol(dim) or "") is place.value

    def _own_dim(self, place: Place, axis: int) -> Dim:
        """A symbol that the place's value tells: the one it had, or a new one."""
        for old in place.old_dims(axis):
            name = plain_symbol(old)
            if name is not None and old is not None and tells(place.value, self.owners.get(name), name):
                return old
        made = fresh()
        self.owners[str(made)] = place.value
        if isinstance(place.value.type, TensorType):
            self.extents[str(made)] = None
        return made


def _alternatives(type_: Type) -> tuple[Type, ...]:
    return type_.members if isinstance(type_, UnionType) else (unrefined(type_),)


def tells(output: Value, owner: Value | None, name: str) -> bool:
    """True where the value that tells a symbol is an output, an element that is taken out of it, or what a branch
    around it hands on."""
    if owner is None or owner is output:
        return owner is output
    if owner.node.kind == "prim::If":
        return _first_inside(owner.node, name) is output
    taken = not owner.is_parameter and owner.node.kind in ("aten::__getitem__", "prim::ListUnpack")
    return taken and owner.node.inputs[0] is output


def _first_inside(branch: Node, name: str) -> Value | None:
    values = (value for block in branch.blocks for node in block.walk() for value in node.outputs)
    return next((value for value in values if name in map(plain_symbol, told_dims(value))), None)
