"""The pass `returned-arguments`: which arguments and written memory may be results, or share memory with one, before
copies are simplified away. `own-results` needs to know in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optc.ir.graph import Graph, Value
from optc.passes.aliasing import Aliasing
from optc.pipeline import Context, graph_pass


@graph_pass("returned-arguments", functional=True, after={"functionalize": "what is written is another value then"})
def returned_arguments(graph: Graph, *, context: Context) -> bool:
    """Note which arguments, and which memory that is written, may be or share memory with results; the graph stays."""
    if context.returned is not None:
        return False
    aliasing = Aliasing(graph)
    results = [aliasing.places[value].storage for value in graph.outputs if value in aliasing.places]
    context.returned = {
        value for value in graph.inputs
        if value in aliasing.places and any(aliasing.places[value].storage.may_be(result) for result in results)
    }  # fmt: skip
    outputs = graph.outputs
    if outputs:
        context.written[None] = _written_in(outputs[0], context, outputs, aliasing)
    for kept in context.kept:
        if kept.output is not None:
            context.written[kept.owner, kept.name] = _written_in(outputs[kept.output], context, outputs, aliasing)
    return False


def _written_in(
    result: Value, context: Context, outputs: Sequence[Value], aliasing: Aliasing
) -> dict[tuple[int, ...], set[int]]:
    """For every place in a result, by its path: the slots whose last value may be there."""
    last = {id(slot): outputs[slot.output] for slot in context.slots if slot.output is not None}
    found: dict[tuple[int, ...], set[int]] = {}
    for path, value in _leaves(result, ()):
        place = aliasing.places.get(value)
        found[path] = {
            slot for slot, written in last.items()
            if place is not None and written in aliasing.places and aliasing.places[written].storage.may_be(place.storage)
        }  # fmt: skip
    return found


def _leaves(value: Value, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Value]]:
    """What is in tuples, lists and dictionaries that are seen to be put together, by their places as in a `Structure`."""
    kind = value.node.kind
    if kind not in ("prim::TupleConstruct", "prim::ListConstruct", "prim::DictConstruct", "prim::OptionalConstruct"):
        yield path, value
        return
    items = value.node.inputs[1::2] if kind == "prim::DictConstruct" else value.node.inputs
    for place, item in enumerate(items):
        yield from _leaves(item, (*path, place))
