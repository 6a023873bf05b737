"""What `infer-shapes` is certain of beyond types, and how it writes that into the graph."""

from __future__ import annotations

from typing import Any

from optc.errors import OptcError
from optc.ir.bounds import number_of
from optc.ir.dims import Dim, Symbolic, symbols
from optc.ir.dtypes import FLOAT32
from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import binders, type_symbols
from optc.ir.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    STRING,
    IntType,
    ListType,
    TensorType,
    TupleType,
    Type,
)
from optc.ops.abstract import Unknown, abstract
from optc.ops.registry import operator_of
from optc.passes.branch_simplification import drop_unreachable, splice


class Facts:
    def __init__(self) -> None:
        self.known: dict[Value, Any] = {}
        """Bools, floats, strings, None, and lists item by item."""
        self.sizes: dict[Value, Dim] = {}
        """What the 0-d tensors hold in which a trace computes with sizes."""
        self.failed: dict[Node, Exception] = {}
        """Operators that fail whenever they run."""

    def abstract(self, value: Value) -> Any:
        """What is known of a value: see `optc.ops.abstract`."""
        if value in self.known:
            return self.known[value]
        if not value.is_parameter and value.node.kind in ("prim::ListConstruct", "prim::TupleConstruct"):
            items = [self.abstract(item) for item in value.node.inputs]
            return items if value.node.kind == "prim::ListConstruct" else tuple(items)
        return abstract(value)


def is_fact(fact: Any) -> bool:
    """True for certain knowledge that its type does not hold already."""
    if isinstance(fact, Unknown | TensorType | Symbolic):
        return False
    return isinstance(fact, bool) or not isinstance(fact, int)


def is_same_fact(left: Any, right: Any) -> bool:
    """True for equal values of one type; nan is nan here, and 0.0 is not -0.0."""
    return type(left) is type(right) and repr(left) == repr(right)


def type_of(item: Any) -> Type | None:
    """The type of an abstract value; None where the value does not tell it, as an empty list."""
    simple = _SIMPLE.get(type(item))
    if simple is not None:
        return simple
    if isinstance(item, TensorType):
        return item
    if isinstance(item, Unknown):
        return item.type
    if isinstance(item, list | tuple):
        types = [type_ for part in item if (type_ := type_of(part)) is not None]
        if len(types) < len(item) or not types:
            return None
        return TupleType(tuple(types)) if isinstance(item, tuple) else ListType(types[0])
    if isinstance(item, Symbolic):
        return INT
    return None


_SIMPLE: dict[type, Type] = {bool: BOOL, int: INT, float: FLOAT, complex: COMPLEX, str: STRING, type(None): NONE}


def write_facts(graph: Graph, facts: Facts) -> bool:
    """Turn certain results into constants and `prim::Dim`, certain failures into raises. True when anything changed."""
    writer = _Writer(graph, facts)
    changed = _write_numbers(graph)
    for node in list(graph.walk()):
        if node.owner is not None:
            changed |= writer.node(node)
    return changed


def _write_numbers(graph: Graph) -> bool:
    """Inputs that are one certain number become constants. True when there were any."""
    numbers = [value for value in graph.inputs if value.has_uses and type(number_of(value)) is int]
    for value in numbers:
        with graph.inserting(next(graph.block.nodes, graph.block.return_node)):
            value.replace_all_uses_with(graph.insert_constant(number_of(value), value.type))
    return bool(numbers)


class _Writer:
    def __init__(self, graph: Graph, facts: Facts) -> None:
        self.graph = graph
        self.facts = facts
        self.shape_symbols = {name for value in graph.values() for name in _tensor_symbols(value.type)}
        self.number_symbols = {name for name, value in binders(graph).items() if isinstance(value.type, IntType)}

    def node(self, node: Node) -> bool:
        """Write what is known of one node. True when that changed the graph."""
        if node.kind in ("prim::Constant", "prim::Loop"):
            return False
        if node in self.facts.failed:
            self.fail(node, self.facts.failed[node])
            return True
        if node.kind == "prim::If" and self.take_branch(node):
            return True
        if any(output in self.facts.sizes for output in node.outputs):
            return self.fold_size(node)
        if not self.foldable(node):
            return False
        folded = [self.fold(node, output) for output in node.outputs]
        return any(folded)

    def foldable(self, node: Node) -> bool:
        if node.kind in ("prim::ListConstruct", "prim::TupleConstruct"):
            return False
        if node.kind in ("prim::If", "prim::Dim", "prim::ListUnpack", "prim::unchecked_cast"):
            return True
        operator = operator_of(node)
        return operator is not None and not operator.has_effects

    def fail(self, node: Node, error: Exception) -> None:
        """The operator raises whenever it runs: say so, with the text it would raise with; nothing after it runs."""
        with self.graph.replacing(node):
            message = error.message if isinstance(error, OptcError) else str(error)
            text = self.graph.insert_constant(message, STRING)
            name = self.graph.insert_constant("IndexError" if isinstance(error, IndexError) else "RuntimeError", STRING)
            raising = self.graph.insert("prim::RaiseException", [text, name])
            for output in node.outputs:
                made = self.graph.insert("prim::Uninitialized", (), (_placeholder_type(output.type),)).output
                output.replace_all_uses_with(made)
        node.destroy()
        drop_unreachable(raising)

    def fold_size(self, node: Node) -> bool:
        """Arithmetic on sizes that a trace did with 0-d tensors: the result is a dimension, and cannot fail.

        Sizes that are still numbers of their own may turn out to be others, which a `prim::Dim` would not notice.
        """
        size = self.facts.sizes[node.output]
        if node.kind in ("prim::NumToTensor", "aten::full", "prim::Dim") or not self.is_shape(size):
            return False
        if isinstance(size, Symbolic) and symbols(size) & self.number_symbols:
            return False
        is_tensor = isinstance(node.output.type, TensorType)
        with self.graph.replacing(node):
            made = self.write(size, INT)
            if is_tensor:
                made = self.graph.insert("prim::NumToTensor", (made,), (node.output.type,), overload="Scalar").output
        made.name = node.output.name
        node.output.replace_all_uses_with(made)
        node.destroy()
        return True

    def take_branch(self, node: Node) -> bool:
        """A branch whose condition is certain is taken now: the other one's types need not fit."""
        condition = self.facts.abstract(node.inputs[0])
        if not isinstance(condition, bool):
            return False
        splice(node, node.blocks[0 if condition else 1])
        return True

    def fold(self, node: Node, output: Value) -> bool:
        if not output.has_uses:
            return False
        known = self.facts.known.get(output, _NOTHING)
        if isinstance(output.type, IntType) and output.type.dim is not None:
            known = output.type.dim
            if isinstance(known, Symbolic) and not _reads_shape(node):
                return False
        if known is _NOTHING or not _is_writable(known) or not self.is_shape(known):
            return False
        with self.graph.replacing(node):
            value = self.write(known, output.type)
        value.name = output.name
        output.replace_all_uses_with(value)
        return True

    def is_shape(self, known: Any) -> bool:
        """True when every symbol is an extent of some tensor: then `prim::Dim` can tell it wherever it is read."""
        items = known if isinstance(known, list) else [known]
        return all(symbols(item) <= self.shape_symbols for item in items if isinstance(item, Symbolic))

    def write(self, known: Any, type_: Type) -> Value:
        if isinstance(known, list):
            return self.graph.insert("prim::ListConstruct", [self.write(item, INT) for item in known], (type_,)).output
        if isinstance(known, Symbolic):
            return self.graph.insert("prim::Dim", (), (IntType(known),), {"dim": known}).output
        if isinstance(known, int) and not isinstance(known, bool):
            return self.graph.insert_constant(known, IntType(known))
        return self.graph.insert_constant(known, type_of(known) or type_)


def _tensor_symbols(type_: Type) -> frozenset[str]:
    """The symbols in the extents of a tensor; none for other types."""
    return type_symbols(type_) if isinstance(type_, TensorType) else frozenset()


def _placeholder_type(type_: Type) -> Type:
    """The type of a value that is never made; core form wants some element type and rank for every tensor."""
    return TensorType(FLOAT32, ()) if isinstance(type_, TensorType) and not type_.is_typed else type_


_NOTHING = object()


def _is_writable(known: Any) -> bool:
    if isinstance(known, list):
        return bool(known) and all(isinstance(item, int | Symbolic) and not isinstance(item, bool) for item in known)
    return known is None or isinstance(known, bool | int | float | str | Symbolic)


def _reads_shape(node: Node) -> bool:
    """Symbolic results become `prim::Dim` where they came out of a tensor or list; int arithmetic stays."""
    if node.kind == "prim::Dim" or node.blocks:
        return False
    return any(not isinstance(value.type, IntType) for value in node.inputs) and not _tells_data(node)


def _tells_data(node: Node) -> bool:
    """True when the output itself binds a symbol of its dimension: an int read from a tensor's elements."""
    read: set[str] = set()
    for value in node.inputs:
        read |= type_symbols(value.type)
        if not value.is_parameter and value.node.kind == "prim::ListConstruct":
            read |= set().union(*(type_symbols(item.type) for item in value.node.inputs))
    type_ = node.outputs[0].type
    return isinstance(type_, IntType) and type_.dim is not None and not symbols(type_.dim) <= read
