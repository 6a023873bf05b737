"""What is in the lists that a short loop makes, item by item: found by going through its turns one after the other.

    %factors.0 : float[] = prim::ListConstruct()
    %factors : float[] = prim::Loop(%two, %true, %factors.0)      [2.0, 2.0]
      block(%i : int, %factors.1 : float[]):
        %factors.2 : float[] = prim::ListAppend(%factors.1, %factor)
        -> (%true, %factors.2)

Loops like this one are written out later. Inside of a loop that would be too late: how many items there are may decide
which rank the tensors have that the outer loop carries, and so how often this loop runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optc.ir.dims import Symbolic, symbols
from optc.ir.graph import Node, Value
from optc.ir.types import IntType, ListType, TensorType

if TYPE_CHECKING:
    from optc.passes.infer_shapes import Inference

_TURNS = 8
"""Loops that run more often are not followed: lists of sizes have an item for every dimension of a tensor."""


def followed_lists(loop: Node, inference: Inference) -> dict[Value, Any]:
    """The lists among the results of a loop of which every item is certain."""
    turns = _turns(loop, inference)
    if turns is None or not any(_is_list(output) for output in loop.outputs) or _computes_tensors(loop):
        return {}
    body = loop.blocks[0]
    values = [*body.inputs, *(output for node in body.walk() for output in node.outputs)]
    types = {value: value.type for value in values}
    ended = _follow(loop, turns, inference)
    for value, type_ in types.items():
        value.type = type_
        inference.facts.known.pop(value, None)
    outside = {name for name, owner in inference.owners.items() if owner not in types}
    return {
        output: fact
        for output, fact in zip(loop.outputs, ended)
        if _is_list(output) and isinstance(fact, list) and all(_is_certain(item, outside) for item in fact)
    }


def _follow(loop: Node, turns: int, inference: Inference) -> list[Any]:
    """What is known of the carried values after the last turn; nothing where the loop may end before."""
    body = loop.blocks[0]
    counter, *carried = body.inputs
    types = [value.type for value in loop.inputs[2:]]
    facts = [inference.facts.abstract(value) for value in loop.inputs[2:]]
    for turn in range(turns):
        counter.type = IntType(turn)
        for parameter, type_, fact in zip(carried, types, facts):
            parameter.type = type_
            inference.facts.known[parameter] = fact
        inference.block(body)
        if inference.facts.abstract(body.outputs[0]) is not True:
            return []
        types = [value.type for value in body.outputs[1:]]
        facts = [inference.facts.abstract(value) for value in body.outputs[1:]]
    return facts


def _turns(loop: Node, inference: Inference) -> int | None:
    """How often the loop runs at most, where that is certain and not often."""
    turns, begins = (inference.facts.abstract(value) for value in loop.inputs[:2])
    is_short = isinstance(turns, int) and not isinstance(turns, bool) and turns <= _TURNS
    return turns if is_short and begins is True else None


def _is_list(value: Value) -> bool:
    return isinstance(value.type, ListType) and not isinstance(value.type.element, TensorType)


def _computes_tensors(loop: Node) -> bool:
    outputs = (output for node in loop.blocks[0].walk() for output in node.outputs)
    return any(isinstance(value.type, TensorType) for value in [*outputs, *loop.blocks[0].inputs])


def _is_certain(item: Any, outside: set[str]) -> bool:
    """True for an item that is the same wherever it is written: a number, or an extent that is told before the loop."""
    if isinstance(item, Symbolic):
        return symbols(item) <= outside
    return isinstance(item, bool | int | float | str)
