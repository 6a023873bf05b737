"""Whether a dimension is certainly not negative, by what is known of its symbols.

Extents (`s...`, and those that a tensor tells) and indices (`i...`) are not negative. A loop's counter is less than the
number of its turns, which whoever interprets the loop says with `assuming`. A proof replaces one atom after the other by
what makes the sum least: a counter by the first or the last turn, a division with remainder by the fraction, a maximum by
each of its sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

from optc.ir.dims import Apply, Atom, Dim, Symbol, Symbolic, add, factor_of, multiply, substitute, symbols
from optc.ir.graph import Graph, Value
from optc.ir.symbols import binders
from optc.ir.types import IntType, TensorType

Turns = dict[str, Dim | None]
"""The symbols of extents and of loops' counters: the number of turns that a counter stays below, None for others."""

_MOST_STEPS = 8
"""Atoms that a proof replaces: there are two ways to replace a maximum."""

_NONE: Turns = {}
_turns: ContextVar[Turns] = ContextVar("turns", default=_NONE)


def turns_of(graph: Graph) -> Turns:
    """What the types of a graph say of extents, and of its loops' counters, outer loops first."""
    loops = [node for node in graph.walk() if node.kind == "prim::Loop"]
    return extents_of(binders(graph)) | {
        str(number_of(loop.blocks[0].inputs[0])): number_of(loop.inputs[0]) for loop in loops
    }


def number_of(value: Value) -> Dim | None:
    """The number that an int is, where its type tells it."""
    return value.type.dim if isinstance(value.type, IntType) else None


def extents_of(owners: Mapping[str, Value]) -> Turns:
    """The symbols that are extents of tensors, where `owners` are the values that tell what symbols are."""
    return {name: None for name, value in owners.items() if name[0] == "u" and isinstance(value.type, TensorType)}


@contextmanager
def assuming(turns: Turns) -> Iterator[None]:
    """Let proofs use what is known of loops' counters. The mapping may be changed meanwhile."""
    token = _turns.set(turns)
    try:
        yield
    finally:
        _turns.reset(token)


def is_not_negative(dim: Dim, steps: int = _MOST_STEPS) -> bool:
    """True when a dimension is certainly not negative; False when it may be, or when nobody sees that it is not."""
    if isinstance(dim, int):
        return dim >= 0
    return _is_proved(dim, steps, tuple(_turns.get().items()))


@lru_cache(1 << 14)
def _is_proved(dim: Symbolic, steps: int, turns: tuple[tuple[str, Dim | None], ...]) -> bool:
    """The same is asked again and again, by every pass and in every part of a proof; `turns` is what is assumed."""
    if all(factor > 0 and all(map(_is_atom_not_negative, atoms)) for atoms, factor in dim.terms):
        return True
    if steps == 0:
        return False
    for atoms, factor in dim.terms:
        if len(atoms) == 1 and isinstance(atoms[0], Apply):
            return any(
                all(is_not_negative(case, steps - 1) for case in cases) for cases in _least(dim, atoms[0], factor)
            )
    return _is_not_negative_in_any_turn(dim, steps)


def _is_atom_not_negative(atom: Atom) -> bool:
    if isinstance(atom, Symbol):
        return atom.name[0] in "si" or atom.name in _turns.get()
    if atom.operator == "max":
        return is_not_negative(atom.left, 1) or is_not_negative(atom.right, 1)
    if atom.operator == "mod":
        return isinstance(atom.right, int) and atom.right > 0
    return is_not_negative(atom.left, 1) and is_not_negative(atom.right, 1)


def _least(dim: Symbolic, atom: Apply, factor: int) -> list[list[Dim]]:
    """Ways to bound a sum from below without one of its atoms: all cases of one way must not be negative."""
    rest = add(dim, multiply(Symbolic((((atom,), 1),)), -factor))
    if atom.operator in ("max", "min"):
        sides = [add(rest, multiply(side, factor)) for side in (atom.left, atom.right)]
        return [[side] for side in sides] if (atom.operator == "max") == (factor > 0) else [sides]
    divisor = atom.right
    if not isinstance(divisor, int) or divisor <= 0:
        return []
    if atom.operator == "mod":
        return [[add(rest, min(0, factor * (divisor - 1)))]]
    numerator = atom.left if factor < 0 else add(atom.left, 1 - divisor)
    return [[add(multiply(rest, divisor), multiply(numerator, factor))]]


def _is_not_negative_in_any_turn(dim: Symbolic, steps: int) -> bool:
    """The counter of the innermost loop first: the turns of inner loops are counted by those of outer ones."""
    turns = _turns.get()
    name = next((name for name in reversed(turns) if name in symbols(dim)), None)
    factor = None if name is None else factor_of(dim, name)
    if name is None or factor is None:
        return False
    if is_not_negative(factor, steps - 1):
        return is_not_negative(substitute(dim, {name: 0}), steps - 1)
    count = turns[name]
    if count is None or not is_not_negative(multiply(factor, -1), steps - 1):
        return False
    return is_not_negative(substitute(dim, {name: add(count, -1)}), steps - 1)
