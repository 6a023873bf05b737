"""Extents that a kernel is given instead of computing them: what is no polynomial of its sizes becomes a size itself.

Extents behind many layers are deep: each call would compute them again, and kernels that differ in nothing else would
be compiled one by one. Extents that only running tells are named by their order, since their own names are different
in every program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from types import MappingProxyType

from optc.codegen.kernels.kernel import START, STOP, Kernel, StatementCopy
from optc.dataclass import dataclass
from optc.ir.dims import Apply, Atom, Dim, Symbol, add, applied, atom_dim, multiply, symbol, symbols


def with_given_extents(kernel: Kernel) -> tuple[Kernel, dict[str, Dim]]:
    """The kernel, and what its sizes are that the program has no symbols for."""
    if not kernel.sizes:
        return kernel, {}
    naming = _Naming(frozenset(kernel.sizes) - {START, STOP})
    copy = _Renaming(MappingProxyType({}), MappingProxyType({}), MappingProxyType({}), naming.dim)
    body = tuple(map(copy.statement, kernel.body))
    buffers = tuple(replace(buffer, size=naming.dim(buffer.size)) for buffer in kernel.buffers)
    units = naming.dim(kernel.units)
    if not naming.given:
        return kernel, {}
    kept = [size for size in kernel.sizes if size in naming.kept or size in (START, STOP)]
    return Kernel(kernel.name, buffers, (*naming.given, *kept), body, units), naming.given


@dataclass(frozen=True)
class _Renaming(StatementCopy):
    """A copy of statements with other dimensions."""

    change: Callable[[Dim], Dim]

    def dim(self, dim: Dim) -> Dim:
        return self.change(dim)


@dataclass
class _Naming:
    """Gives names to extents, in the order in which they are met."""

    sizes: frozenset[str]
    given: dict[str, Dim] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    done: dict[Atom, Dim] = field(default_factory=dict)

    def dim(self, dim: Dim) -> Dim:
        if isinstance(dim, int):
            return dim
        total: Dim = 0
        for monomial, coefficient in dim.terms:
            value: Dim = coefficient
            for atom in monomial:
                value = multiply(value, self.atom(atom))
            total = add(total, value)
        return total

    def atom(self, atom: Atom) -> Dim:
        if atom not in self.done:
            self.done[atom] = self.renamed(atom)
        return self.done[atom]

    def renamed(self, atom: Atom) -> Dim:
        whole = atom_dim(atom)
        if isinstance(atom, Apply) and not symbols(whole) <= self.sizes:  # a loop's counter is in it
            return applied(atom.operator, self.dim(atom.left), self.dim(atom.right))
        if isinstance(atom, Symbol) and not (atom.name in self.sizes and is_numbered(atom.name)):
            self.kept.add(atom.name)
            return whole
        name = f"n{len(self.given)}"
        self.given[name] = whole
        return symbol(name)


def is_numbered(name: str) -> bool:
    """True for the name of an extent that only running tells."""
    return name[0] == "u" and name[1:].isdigit()
