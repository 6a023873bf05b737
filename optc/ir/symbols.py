"""Symbols in types: which ones a type mentions, putting dimensions in their place, which value binds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from optc.ir.dims import Dim, Symbolic, fresh, substitute, symbols
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import IntType, ListType, OptionalType, TensorType, TupleType, Type


def type_symbols(type_: Type) -> frozenset[str]:
    """The names of all symbols in a type."""
    if isinstance(type_, TensorType):
        return frozenset().union(*map(symbols, type_.shape or ()))
    if isinstance(type_, IntType):
        return frozenset() if type_.dim is None else symbols(type_.dim)
    if isinstance(type_, ListType | OptionalType):
        return type_symbols(type_.element)
    if isinstance(type_, TupleType):
        return frozenset().union(*map(type_symbols, type_.elements))
    return frozenset()


def substitute_type(type_: Type, bindings: Mapping[str, Dim]) -> Type:
    """The type with symbols replaced."""
    if not bindings or not type_symbols(type_) & bindings.keys():
        return type_
    if isinstance(type_, TensorType):
        return type_.with_shape(tuple(substitute(dim, bindings) for dim in type_.shape or ()))
    if isinstance(type_, IntType) and type_.dim is not None:
        return IntType(substitute(type_.dim, bindings))
    if isinstance(type_, ListType | OptionalType):
        return replace(type_, element=substitute_type(type_.element, bindings))
    if isinstance(type_, TupleType):
        return replace(type_, elements=tuple(substitute_type(element, bindings) for element in type_.elements))
    return type_


def plain_symbol(dim: Dim | None) -> str | None:
    """The name of a dimension that is one symbol and nothing else."""
    if not isinstance(dim, Symbolic) or len(dim.terms) != 1:
        return None
    names = symbols(dim)
    name = next(iter(names))
    return name if str(dim) == name or (name.startswith("*") and len(names) == 1) else None


def told_dims(value: Value) -> tuple[Dim, ...]:
    """The dimensions that can be read off a value while the program runs: extents of a tensor, an int itself."""
    if isinstance(value.type, TensorType):
        return value.type.shape or ()
    if value.is_constant and type(value.constant) is int:
        return (value.constant,)
    return () if value.node.kind == "prim::Dim" else told_dims_of(value.type)


def told_dims_of(type_: Type) -> tuple[Dim, ...]:
    """The dimensions that can be read off a value of a type."""
    if isinstance(type_, TensorType):
        return type_.shape or ()
    if isinstance(type_, IntType) and type_.dim is not None:
        return (type_.dim,)
    return ()


def binders(graph: Graph) -> dict[str, Value]:
    """For every symbol, the first value (outer blocks first) that tells what it is."""
    found: dict[str, Value] = {}
    for value in graph.values():
        if not isinstance(value.type, TensorType | IntType):
            continue
        for dim in told_dims(value):
            name = None if isinstance(dim, int) else plain_symbol(dim)
            if name is not None:
                found.setdefault(name, value)
    return found


def bind(bindings: dict[str, Dim], parameter: Type, argument: Type) -> None:
    """Add what follows for the parameter's symbols when it stands for a value of type `argument`."""
    if isinstance(parameter, IntType) and isinstance(argument, IntType):
        _bind_dim(bindings, parameter.dim, argument.dim)
    if not isinstance(parameter, TensorType) or not isinstance(argument, TensorType):
        return
    for mine, other in zip(parameter.shape or (), argument.shape or ()):
        _bind_dim(bindings, mine, other)


def _bind_dim(bindings: dict[str, Dim], parameter: Dim | None, argument: Dim | None) -> None:
    name = plain_symbol(parameter)
    if name is not None and argument is not None and argument != parameter:
        bindings.setdefault(name, argument)


def equate(graph: Graph, bindings: Mapping[str, Dim]) -> None:
    """Put dimensions in the place of symbols everywhere in a graph: they have turned out to be the same."""
    if not bindings:
        return
    for block in graph.blocks():
        for value in block.inputs:
            value.type = substitute_type(value.type, bindings)
    for node in graph.walk():
        _renew_node(node, bindings)


def replace_value(graph: Graph, old: Value, made: Value) -> None:
    """Let every user of `old` read `made`; symbols that `old` alone told become the dimensions of `made`."""
    replacements = Replacements(graph)
    replacements.replace(old, made)
    replacements.finish()


class Replacements:
    """Replacements of values whose symbols become dimensions together at last: a walk through a large graph for each of
    many takes long. Until then types mention these symbols, but for those of the nodes that are renewed.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._owners: dict[str, Value] | None = None
        self._bindings: dict[str, Dim] = {}

    def replace(self, old: Value, made: Value) -> None:
        """Let every user of `old` read `made`."""
        told = [name for name in map(plain_symbol, told_dims(old)) if name is not None and name.startswith("u")]
        if told and told_dims(old) != told_dims(made):
            self._note(told, old, made)
        old.replace_all_uses_with(made)

    def renew(self, node: Node) -> None:
        """Put the dimensions that are known by now in the place of symbols in the types of a node."""
        if self._bindings:
            _renew_node(node, self._bindings)

    def finish(self) -> None:
        """Put the dimensions in the place of symbols that the replaced values alone told."""
        equate(self._graph, self._bindings)
        self._bindings = {}

    def _note(self, told: list[str], old: Value, made: Value) -> None:
        if self._owners is None:
            self._owners = binders(self._graph)
        for mine, other in zip(told_dims(old), told_dims(made)):
            name = plain_symbol(mine)
            if name in told and mine != other and self._owners.get(name) is old:
                self._bind(name, substitute(other, self._bindings))

    def _bind(self, name: str, dim: Dim) -> None:
        for told, other in self._bindings.items():
            self._bindings[told] = substitute(other, {name: dim})
        self._bindings[name] = dim


def renew_symbols(nodes: Iterable[Node], introduced: Iterable[str], bindings: dict[str, Dim]) -> None:
    """Give copies of a block's nodes their own symbols.

    `bindings` says what the block's parameters stand for; `introduced` are the symbols that only values of the block
    tell, asked for before there were copies of these values: they get new names.
    """
    bindings = dict(bindings)
    for name in sorted(introduced):
        bindings.setdefault(name, fresh())
    for node in nodes:
        for inner in node.walk():
            _renew_node(inner, bindings)


def _renew_node(node: Node, bindings: Mapping[str, Dim]) -> None:
    if node.kind == "prim::Dim":
        node.attributes["dim"] = substitute(node.attributes["dim"], bindings)
    values = [*node.outputs, *(value for block in node.blocks for value in block.inputs)]
    for value in values:
        value.type = substitute_type(value.type, bindings)


def introduced_symbols(block: Block) -> set[str]:
    """Symbols that values of the block mention and no value outside of it tells."""
    inside: set[str] = set()
    for node in block.walk():
        for value in [*node.outputs, *(value for nested in node.blocks for value in nested.inputs)]:
            inside |= type_symbols(value.type)
    for value in block.inputs:
        inside |= type_symbols(value.type)
    known = {
        name
        for name, value in binders(block.graph).items()
        if not value.node.is_inside(block) and value.node is not block.param_node
    }
    return {name for name in inside - known if not name.startswith("s")}
