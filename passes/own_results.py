"""The pass `own-results`: a result that is a copy of an argument is memory of its own.

Simplification makes `x` of `x.clone()` and of `x * 1`, which is right as long as only values count. A result that is an
argument is given back as the same object, though: right for `return x`, wrong where the program returned a copy, and
where the argument, or the state of a module, holds other numbers when the call has ended. `returned-arguments` looks at
which arguments may be results before anything is simplified, and here the others are copied again. So are copies of
what the program writes into an argument or a buffer: `x.mul_(2); return x.clone()` does not return `x`.
"""

from __future__ import annotations

from collections.abc import Iterator

from optc.ir.graph import Graph, Value
from optc.ir.optimized import Slot
from optc.ir.structure import Structure, paths_of
from optc.ir.types import INT, TensorType
from optc.ops.builder import Builder
from optc.ops.complex_numbers import is_complex
from optc.pipeline import Context, graph_pass


@graph_pass("own-results", functional=True, after={"canonicalize": "copies are taken for what they copy there"})
def own_results(graph: Graph, *, context: Context) -> bool:
    """Copy arguments that are results, where PyTorch's results are not these arguments."""
    copied = _copy_arguments(graph, context)
    return _copy_what_is_written(graph, context) or copied


def _copy_arguments(graph: Graph, context: Context) -> bool:
    outputs = list(graph.outputs)
    changed = {graph.inputs[slot.input] for slot in context.slots if _is_written(slot, graph)}
    unchanged = {slot.output for slot in context.slots if not _is_written(slot, graph) and slot.kind != "attribute"}
    copies: dict[Value, Value] = {}
    for place, value in enumerate(outputs):
        if place in unchanged or value not in graph.inputs or not isinstance(value.type, TensorType):
            continue
        if value not in changed and (context.returned is None or value in context.returned):
            continue
        if value not in copies:
            copies[value] = _copied(graph, value)
        outputs[place] = copies[value]
    graph.block.return_node.set_inputs(outputs)
    return bool(copies)


def _copy_what_is_written(graph: Graph, context: Context) -> bool:
    outputs = list(graph.outputs)
    written: dict[Value, set[int]] = {}
    for slot in context.slots:
        if slot.output is not None and _is_written(slot, graph):
            written.setdefault(outputs[slot.output], set()).add(id(slot))
    copied = False
    for place, slots in _places(context):
        if outputs[place] in written and not written[outputs[place]] & slots:
            outputs[place] = _copied(graph, outputs[place])
            copied = True
    graph.block.return_node.set_inputs(outputs)
    return copied


def _places(context: Context) -> Iterator[tuple[int, set[int]]]:
    """The places of results, and of what attributes hold in the end, each with the slots whose last value may be there."""
    result = Structure("leaf") if context.output_structure is None else context.output_structure
    groups = [(context.written.get(None, {}), result, 0)]
    for kept in context.kept:
        if kept.output is not None:
            groups.append((context.written.get((kept.owner, kept.name), {}), kept.structure, kept.output))
    for found, structure, first in groups:
        for offset, path in enumerate(paths_of(structure)):
            known = [found[path[:length]] for length in range(len(path), -1, -1) if path[:length] in found]
            if known:
                yield first + offset, known[0]


def _is_written(slot: Slot, graph: Graph) -> bool:
    """True where the numbers in the memory of an input change, in place."""
    if slot.output is None or slot.kind == "attribute":
        return False
    return graph.outputs[slot.output] is not graph.inputs[slot.input]


def _copied(graph: Graph, value: Value) -> Value:
    """A copy; of complex numbers the pairs are copied, which native code can."""
    b = Builder(graph)
    with graph.inserting(graph.block.return_node):
        if not is_complex(value.type):
            rows = graph.insert_constant(0, INT)
            return graph.insert("aten::clone", (value, rows), (value.type,), overload="").output
        is_joined = value.node.kind == "aten::view_as_complex"
        pairs = value.node.inputs[0] if is_joined else b("aten::view_as_real", value)
        copied: Value = b("aten::view_as_complex", b("aten::clone", pairs, 0))
        return copied
