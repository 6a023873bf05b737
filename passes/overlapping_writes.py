"""The pass `overlapping-writes`: programs that write memory which they read shifted are left to the interpreter.

    x[1:] += x[:-1]

PyTorch refuses this when it runs, by where the two views lie. As values both sides would be what they were before, and
the program would run to its end. Where the views lie is worked out as in `settled-memory`; extents that are only known
in a call are tried with a few numbers, because a program that the interpreter runs needlessly is still right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from optc.errors import UnsupportedError
from optc.ir.dims import Dim, substitute, symbols
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import TensorType
from optc.ops.overlaps import Overlap, Region, is_refused
from optc.ops.registry import Layout, Operator, operator_of
from optc.passes.aliasing import Aliasing, Place, written_argument
from optc.passes.settled_memory import twins_with_types
from optc.passes.strides import FAILURES, LaidTensors, rows_of, shape_of
from optc.pipeline import Context, graph_pass, writes_memory

TRIED = ((5, 7, 11, 13), (16, 16, 16, 16))
"""What the extents of arguments are taken to be, in turn."""


class _Pair(NamedTuple):
    """A node that writes, where it writes, and the place of something that it reads."""

    node: Node
    written: Place
    read: Place


@graph_pass(
    "overlapping-writes",
    after={"settled-memory": "`reshape` and `contiguous` are views or copies there"},
)
def overlapping_writes(graph: Graph, *, context: Context) -> bool:
    """Refuse programs in which an operator reads other places of the memory that it writes."""
    if not any(map(writes_memory, graph.walk())):
        return False
    aliasing = Aliasing(graph)
    pairs = [pair for write in aliasing.writes for pair in _pairs(write.node, aliasing)]
    types = twins_with_types(graph, aliasing, certain=False) if pairs else None
    if types is None:
        return False
    placing = _Placing(types, LaidTensors(types.values(), {slot.input for slot in context.slots}))
    for pair in pairs:
        if any(placing.is_refused(pair, numbers) for numbers in TRIED):
            raise UnsupportedError(f"{pair.node.kind} writes to memory that it reads in other places", pair.node.source)
    return False


def _pairs(node: Node, aliasing: Aliasing) -> Iterator[_Pair]:
    target, operator = written_argument(node), operator_of(node)
    if target is None or operator is None or not isinstance(target.type, TensorType):
        return
    written = aliasing.places[target]
    for value in _operands(node, operator):
        read = aliasing.places.get(value)
        if read is None or read.storage is not written.storage:
            continue
        if read != written or operator.overlap is Overlap.APART:
            yield _Pair(node, written, read)


def _operands(node: Node, operator: Operator) -> Iterator[Value]:
    """What a node reads besides what it writes, and the elements of lists that are written in place."""
    for argument, value in zip(operator.schema.arguments, node.inputs):
        if argument.is_written:
            continue
        if value.node.kind == "prim::ListConstruct":
            yield from value.node.inputs
        else:
            yield value


class _Placing:
    """Where places of a program lie."""

    def __init__(self, twins: dict[Value, Value], laid: LaidTensors) -> None:
        self.twins = twins
        self.laid = laid

    def is_refused(self, pair: _Pair, numbers: tuple[int, ...]) -> bool:
        """True where PyTorch refuses the write, with these numbers for extents of arguments. False where nobody knows."""
        operator = operator_of(pair.node)
        assert operator is not None
        written, read = self.region(pair.written, numbers), self.region(pair.read, numbers)
        return written is not None and read is not None and is_refused(operator.overlap, written, read)

    def region(self, place: Place, numbers: tuple[int, ...]) -> Region | None:
        """The elements of a place, counted from the beginning of its storage; its tensor is taken to lie in rows if unknown."""
        base = self.twins[place.storage.value]
        if not isinstance(base.type, TensorType) or base.type.shape is None:
            return None
        laid = self.laid.of(base)
        extents, strides = shape_of(base), rows_of(base) if laid is None else laid.strides
        offset: Dim = 0
        try:
            for view in place.chain:
                twin = self.twins[view.output].node
                operator = operator_of(twin)
                if operator is None or not isinstance(operator.lowering, Layout):
                    return None
                placed = self.laid.viewed(twin, operator, (extents, strides, offset))
                if placed is None:
                    return None
                extents, strides, offset = placed
        except FAILURES:
            return None
        return _numbered(extents, strides, offset, numbers)


def _numbered(
    extents: tuple[Dim, ...], strides: tuple[Dim, ...], offset: Dim, numbers: tuple[int, ...]
) -> Region | None:
    """A region with numbers for the symbols of arguments' extents; None where others take part."""
    dims = (*extents, *strides, offset)
    names = sorted(set().union(*map(symbols, dims)))
    if not all(name.startswith("s") for name in names):
        return None
    bindings: dict[str, Dim] = {name: numbers[place % len(numbers)] for place, name in enumerate(names)}
    known = [substitute(dim, bindings) for dim in dims]
    rank = len(extents)
    if not all(isinstance(dim, int) for dim in known):
        return None
    found = [int(dim) for dim in known if isinstance(dim, int)]
    return Region(tuple(found[:rank]), tuple(found[rank : 2 * rank]), found[-1], 1)
