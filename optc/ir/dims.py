"""Symbolic integers: the dimensions of tensors.

A dimension is an `int` when it is known and a `Symbolic` otherwise. A `Symbolic` is a polynomial with integer
coefficients over atoms; an atom is a named symbol (`s0`) or an opaque application (`floordiv(s0 + 1, 2)`).
Sums and products are kept in one normal form, so two expressions that are equal as polynomials compare equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import cached_property
from math import gcd, prod
from typing import NoReturn, TypeAlias
from weakref import WeakValueDictionary

from optc.dataclass import dataclass
from optc.errors import OptcError


class UndecidedShape(OptcError):
    """A shape rule cannot be decided before the program runs (for instance: is this runtime extent 1?)."""


class UndecidedExtents(UndecidedShape):
    """Extents have to be equal, pair by pair, and only running tells whether they are."""

    def __init__(self, message: str, *pairs: tuple[Dim, Dim]) -> None:
        super().__init__(message)
        self.pairs = pairs


@dataclass(frozen=True, slots=True, order=True)
class Symbol:
    """A named dimension, bound where the program starts (an input's extent) or by the node that makes it.

    Text that says only "some extent" (`Float(*, 3)`) is read as symbols named `*0`, `*1` ..., which print as `*`.
    """

    name: str

    def __str__(self) -> str:
        return "*" if self.name.startswith("*") else self.name


@dataclass(frozen=True)
class Apply:
    """`floordiv`, `mod`, `max` or `min` of two dimensions that cannot be written as a polynomial.

    Extents behind many layers are deep trees that are looked at very often: text, symbols and hash are kept, and equal
    applications are one object, so that comparing trees that share most of their parts does not walk each of them.
    """

    operator: str
    left: Dim
    right: Dim

    @cached_property
    def _text(self) -> str:
        return f"{self.operator}({self.left}, {self.right})"

    @cached_property
    def _hash(self) -> int:
        return hash((self.operator, self.left, self.right))

    @cached_property
    def _symbols(self) -> frozenset[str]:
        return symbols(self.left) | symbols(self.right)

    @cached_property
    def _divisor(self) -> int:
        return 1 if self.operator == "floordiv" else gcd(divisor(self.left), divisor(self.right))

    def __str__(self) -> str:
        return self._text

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Callable[[str, Dim, Dim], Apply], tuple[str, Dim, Dim]]:
        return _applied, (self.operator, self.left, self.right)  # the hash of a text is another one in another process


Atom: TypeAlias = Symbol | Apply
Monomial: TypeAlias = tuple[Atom, ...]


@dataclass(frozen=True, repr=False)
class Symbolic:
    """A polynomial: `terms` maps sorted products of atoms to non-zero coefficients. Never a plain number."""

    terms: tuple[tuple[Monomial, int], ...]

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    @cached_property
    def _symbols(self) -> frozenset[str]:
        names: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                names |= {atom.name} if isinstance(atom, Symbol) else atom._symbols
        return frozenset(names)

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Symbolic], tuple[tuple[tuple[Monomial, int], ...]]]:
        return Symbolic, (self.terms,)

    @cached_property
    def is_polynomial(self) -> bool:
        """True where it is made of named symbols alone."""
        return all(isinstance(atom, Symbol) for monomial, _ in self.terms for atom in monomial)

    @cached_property
    def _text(self) -> str:
        shown = []
        for monomial, coefficient in self.terms:
            factors = [str(atom) for atom in monomial]
            if coefficient != 1 or not factors:
                factors.insert(0, str(coefficient))
            shown.append("*".join(factors))
        return " + ".join(shown)

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__

    def __add__(self, other: Dim) -> Dim:
        return add(self, other)

    __radd__ = __add__

    def _undecided(self, *_: object) -> NoReturn:
        raise UndecidedShape(f"the number {self} is needed before the program runs")

    __lt__ = __le__ = __gt__ = __ge__ = __index__ = __int__ = __float__ = _undecided

    def __neg__(self) -> Dim:
        return multiply(self, -1)

    def __sub__(self, other: Dim) -> Dim:
        return add(self, multiply(other, -1))

    def __rsub__(self, other: Dim) -> Dim:
        return add(other, multiply(self, -1))

    def __mul__(self, other: Dim) -> Dim:
        return multiply(self, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return modulo(self, other)

    def __rmod__(self, other: Dim) -> Dim:
        return modulo(other, self)


Dim: TypeAlias = int | Symbolic

_counter = itertools.count()


def symbol(name: str) -> Symbolic:
    """The dimension called `name`."""
    return Symbolic((((Symbol(name),), 1),))


def fresh(prefix: str = "u") -> Symbolic:
    """A dimension unlike any other: an extent that only running the program tells."""
    return symbol(f"{prefix}{next(_counter)}")


def _terms(dim: Dim) -> dict[Monomial, int]:
    if isinstance(dim, Symbolic):
        return dict(dim.terms)
    return {(): dim} if dim else {}


def _normal(terms: Mapping[Monomial, int]) -> Dim:
    kept = {monomial: coefficient for monomial, coefficient in terms.items() if coefficient}
    if not kept:
        return 0
    if len(kept) == 1 and () in kept:
        return kept[()]
    ordered = sorted(kept.items(), key=lambda item: (not item[0], [str(atom) for atom in item[0]]))
    return Symbolic(tuple(ordered))


def add(left: Dim, right: Dim) -> Dim:
    """left + right."""
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    if isinstance(right, int):
        return _moved(left, right)
    if isinstance(left, int):
        return _moved(right, left)
    terms = _terms(left)
    for monomial, coefficient in _terms(right).items():
        terms[monomial] = terms.get(monomial, 0) + coefficient
    return _normal(terms)


def _moved(dim: Dim, number: int) -> Dim:
    """dim + number: most sums are of this kind, and the number is the last term."""
    assert isinstance(dim, Symbolic)
    monomial, constant = dim.terms[-1]
    kept = dim.terms if monomial else dim.terms[:-1]
    total = number if monomial else number + constant
    return Symbolic((*kept, ((), total))) if total else Symbolic(kept)


def _scaled(dim: Dim, number: int) -> Dim:
    """dim * number: most products are of this kind, and the order of the terms stays."""
    assert isinstance(dim, Symbolic)
    if number in (0, 1):
        return dim if number else 0
    return Symbolic(tuple((monomial, coefficient * number) for monomial, coefficient in dim.terms))


def multiply(left: Dim, right: Dim) -> Dim:
    """left * right."""
    if isinstance(left, int) and isinstance(right, int):
        return left * right
    if isinstance(right, int):
        return _scaled(left, right)
    if isinstance(left, int):
        return _scaled(right, left)
    terms: dict[Monomial, int] = {}
    for left_atoms, left_coefficient in _terms(left).items():
        for right_atoms, right_coefficient in _terms(right).items():
            monomial = tuple(sorted(left_atoms + right_atoms, key=str))
            terms[monomial] = terms.get(monomial, 0) + left_coefficient * right_coefficient
    return _normal(terms)


def floordiv(left: Dim, right: Dim) -> Dim:
    """left // right, exact where every coefficient divides or `right` is a factor of `left`."""
    if isinstance(left, int) and isinstance(right, int):
        return left // right
    if left == right:
        return 1
    if isinstance(right, int):
        if right == 1:
            return left
        terms = _terms(left)
        if all(coefficient % right == 0 for coefficient in terms.values()):
            return _normal({monomial: coefficient // right for monomial, coefficient in terms.items()})
    elif (quotient := _quotient(left, right)) is not None:
        return quotient
    return _apply("floordiv", left, right)


def _quotient(left: Dim, right: Symbolic) -> Dim | None:
    """The polynomial that times `right` is `left`, None where there is none: long division, by leading terms."""
    divisor, rest = _terms(right), _terms(left)
    if len(rest) > _LONGEST_DIVIDEND:
        return None
    leading = min(divisor, key=_rank)
    result: dict[Monomial, int] = {}
    while rest:
        monomial = min(rest, key=_rank)
        factor, remainder = _without(monomial, leading), rest[monomial] % divisor[leading]
        if factor is None or remainder:
            return None
        result[factor] = rest[monomial] // divisor[leading]
        for other, coefficient in divisor.items():
            place = tuple(sorted(factor + other, key=str))
            rest[place] = rest.get(place, 0) - result[factor] * coefficient
            if not rest[place]:
                del rest[place]
    return _normal(result)


_LONGEST_DIVIDEND = 64
"""Sums of more terms are not divided by others."""


def _rank(monomial: Monomial) -> tuple[int, list[str]]:
    """Where a monomial stands in an order that products keep: of higher degree first, then by the names of its atoms."""
    return -len(monomial), [str(atom) for atom in monomial]


def _without(monomial: Monomial, factor: Monomial) -> Monomial | None:
    """monomial / factor, None where the factor is not in it."""
    rest = list(monomial)
    for atom in factor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)


def modulo(left: Dim, right: Dim) -> Dim:
    """left % right."""
    if isinstance(left, int) and isinstance(right, int):
        return left % right
    if right == 1 or left == right:
        return 0
    if isinstance(right, int) and all(coefficient % right == 0 for coefficient in _terms(left).values()):
        return 0
    return _apply("mod", left, right)


def maximum(left: Dim, right: Dim) -> Dim:
    """max(left, right)."""
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    return left if left == right else _apply("max", *_in_order(left, right))


def minimum(left: Dim, right: Dim) -> Dim:
    """min(left, right)."""
    if isinstance(left, int) and isinstance(right, int):
        return min(left, right)
    return left if left == right else _apply("min", *_in_order(left, right))


def _in_order(left: Dim, right: Dim) -> tuple[Dim, Dim]:
    """A pair that means the same either way round: a number stands in front, wherever it was given."""
    return (right, left) if isinstance(right, int) else (left, right)


def _apply(operator: str, left: Dim, right: Dim) -> Symbolic:
    return Symbolic((((_applied(operator, left, right),), 1),))


def _applied(operator: str, left: Dim, right: Dim) -> Apply:
    """The one object for an application."""
    key = operator, left, right
    known = _applications.get(key)
    return known if known is not None else _applications.setdefault(key, Apply(operator, left, right))


_applications: WeakValueDictionary[tuple[str, Dim, Dim], Apply] = WeakValueDictionary()


def product(dims: tuple[Dim, ...] | list[Dim]) -> Dim:
    """The number of elements of a shape."""
    result: Dim = 1
    for dim in dims:
        result = multiply(result, dim)
    return result


def symbols(dim: Dim | Apply) -> frozenset[str]:
    """The names of all symbols in a dimension."""
    return frozenset() if isinstance(dim, int) else dim._symbols


def factor_of(dim: Dim, name: str) -> Dim | None:
    """What the symbol `name` is multiplied by in a dimension; None where the dimension is not linear in it."""
    if isinstance(dim, int) or name not in dim._symbols:
        return 0
    total: Dim = 0
    for monomial, factor in dim.terms:
        rest = tuple(atom for atom in monomial if name not in _symbols_of(atom))
        if len(rest) == len(monomial):
            continue
        if len(rest) + 1 < len(monomial) or Symbol(name) not in monomial:
            return None
        total = add(total, Symbolic(((rest, factor),)) if rest else factor)
    return total


def divisor(dim: Dim) -> int:
    """The largest number that is known to divide a dimension, whatever its symbols are; 0 for the dimension 0."""
    if isinstance(dim, int):
        return abs(dim)
    parts = (prod(1 if isinstance(atom, Symbol) else atom._divisor for atom in monomial) for monomial, _ in dim.terms)
    return gcd(*(factor * part for part, (_, factor) in zip(parts, dim.terms, strict=True)))


def _symbols_of(atom: Atom) -> frozenset[str]:
    return frozenset((atom.name,)) if isinstance(atom, Symbol) else atom._symbols


_FOLD: dict[str, Callable[[Dim, Dim], Dim]] = {
    "floordiv": floordiv,
    "mod": modulo,
    "max": maximum,
    "min": minimum,
}


def applied(operator: str, left: Dim, right: Dim) -> Dim:
    """`floordiv`, `mod`, `max` or `min` of two dimensions."""
    return _FOLD[operator](left, right)


def atom_dim(atom: Atom) -> Symbolic:
    """The dimension that is an atom alone."""
    return Symbolic((((atom,), 1),))


def substitute(dim: Dim, bindings: Mapping[str, Dim]) -> Dim:
    """The dimension with every symbol in `bindings` replaced; an int once all symbols are bound to ints."""
    return dim if isinstance(dim, int) else _substitute(dim, bindings, {})


def _substitute(dim: Dim, bindings: Mapping[str, Dim], done: dict[Apply, Dim]) -> Dim:
    """`done`: what has become of applications; deep trees have the same ones in many places."""
    if isinstance(dim, int) or dim._symbols.isdisjoint(bindings):
        return dim
    total: Dim = 0
    for monomial, coefficient in dim.terms:
        value: Dim = coefficient
        for atom in monomial:
            value = multiply(value, _substitute_atom(atom, bindings, done))
        total = add(total, value)
    return total


def _substitute_atom(atom: Atom, bindings: Mapping[str, Dim], done: dict[Apply, Dim]) -> Dim:
    if isinstance(atom, Symbol):
        return bindings.get(atom.name, atom_dim(atom))
    if atom._symbols.isdisjoint(bindings):
        return atom_dim(atom)
    known = done.get(atom)
    if known is None:
        sides = (_substitute(side, bindings, done) for side in (atom.left, atom.right))
        known = done[atom] = applied(atom.operator, *sides)
    return known
