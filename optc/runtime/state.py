"""Runs a native program on run-time values: takes arguments apart, hands in state, puts results and state back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.eager.creation import from_numpy
from optc.ir.graph import Graph
from optc.ir.optimized import Kept, OptimizedProgram, Parts, Slot
from optc.ir.structure import Structure, leaves_of, rebuild
from optc.ir.types import NONE
from optc.runtime.specialization import native_form


class RunFailed(Exception):
    """Native code returned an error code; `failure` says which. Never leaves `optc.runtime`."""

    def __init__(self, failure: Any) -> None:
        super().__init__(failure)
        self.failure = failure


def run_program(program: OptimizedProgram, run: Callable[..., Any], values: Sequence[Any]) -> Any:
    """Call `run` (which takes and gives leaves) on arguments. Raises RunFailed."""
    leaves = [
        leaf for value, structure in zip(values, program.input_structures) for leaf in leaves_of(value, structure)
    ]
    held = [current(slot, leaves) for slot in program.state if slot.owner is not None]
    given = [*leaves, *held]
    forms = [native_form(leaf) for leaf in given]
    known = {id(form): leaf for form, leaf in zip(forms, given) if isinstance(form, np.ndarray)}
    results = [known[id(result)] if id(result) in known else tensor_of(result) for result in run(*forms)]
    for slot in program.state:
        if slot.output is not None:
            put_back(slot, results[slot.output], leaves)
    for kept in program.kept:
        if kept.output is not None:
            keep(kept, program, results)
    if program.output_structure is None:
        return results[0] if results else None
    return rebuild(results[: program.output_structure.leaf_count], program.output_structure)


def settle(program: OptimizedProgram) -> None:
    """What remains to be said about state when a program is optimised."""
    drop_unwritten(program)
    drop_unchanged(program)
    return_written(program)
    find_buffers(program)


def drop_unwritten(program: OptimizedProgram) -> None:
    """Forget state that the optimised program gives back as it came."""
    graph = program.graph
    if graph is None:
        return
    for slot in list(program.state):
        if slot.output is None or graph.outputs[slot.output] is not graph.inputs[slot.input]:
            continue
        _remove_output(program, graph, slot.output)
        slot.output = None
        if slot.owner is None:
            program.state.remove(slot)


def _remove_output(program: OptimizedProgram, graph: Graph, place: int) -> None:
    graph.block.return_node.remove_input(place)
    written: list[Slot | Kept] = [*program.state, *program.kept]
    for other in written:
        if other.output is not None and other.output > place:
            other.output -= 1


def drop_unchanged(program: OptimizedProgram) -> None:
    """Leave attributes alone that hold at the end, however deep, what they held."""
    graph = program.graph
    for kept in program.kept if graph is not None else ():
        if graph is None or kept.output is None:
            continue
        slots = [slot for slot in program.state if _is_part(slot, kept)]
        last = list(graph.outputs[kept.output : kept.output + kept.count])
        if not _is_like(kept.structure, kept.given) or last != [graph.inputs[slot.input] for slot in slots]:
            continue
        place, count, kept.output = kept.output, kept.count, None
        for number in reversed(range(place, place + count)):
            _remove_output(program, graph, number)


def _is_part(slot: Slot, kept: Kept) -> bool:
    if isinstance(slot.owner, Parts):
        return slot.owner.owner is kept.owner and slot.owner.name == kept.name
    return slot.owner is kept.owner and slot.name == kept.name


def _is_like(structure: Structure, given: Any) -> bool:
    """True for the structure of what has these nested types."""
    if isinstance(given, dict):
        same = structure.kind == "dict" and structure.keys == tuple(given)
        return same and all(map(_is_like, structure.items, given.values()))
    if isinstance(given, tuple | list):
        same = structure.kind in ("tuple", "list") and len(structure.items) == len(given)
        return same and all(map(_is_like, structure.items, given))
    return structure.kind == ("none" if given is NONE else "leaf")


def find_buffers(program: OptimizedProgram) -> None:
    """Which last values of attributes are tensors that the program has changed in place: the very objects stay."""
    graph = program.graph
    if graph is None:
        return
    memory = {graph.outputs[slot.output]: number for number, slot in enumerate(program.state)
              if slot.kind == "buffer" and slot.output is not None}  # fmt: skip
    for kept in program.kept:
        if kept.output is not None:
            last = list(graph.outputs[kept.output : kept.output + kept.count])
            kept.buffers = tuple(memory.get(value) for value in last)


def keep(kept: Kept, program: OptimizedProgram, results: Sequence[Any]) -> None:
    """Let an attribute hold what the program left in it."""
    assert kept.output is not None
    leaves = list(results[kept.output : kept.output + kept.count])
    for place, number in enumerate(kept.buffers):
        if number is not None:
            leaves[place] = program.state[number].present
    value, held = rebuild(leaves, kept.structure), kept.present
    if not kept.in_place:
        kept.owner.values[kept.name] = value
    elif isinstance(held, list):
        held[:] = value
    else:
        held.clear()
        held.update(value)


def return_written(program: OptimizedProgram) -> None:
    """Let results that are what the program last wrote into an argument be that argument, which holds it then."""
    graph = program.graph
    if graph is None:
        return
    written = {
        graph.outputs[slot.output]: graph.inputs[slot.input]
        for slot in program.state
        if slot.kind == "argument" and slot.output is not None
    }
    hidden = {slot.output for slot in program.state}
    for kept in program.kept:
        if kept.output is not None:
            hidden |= set(range(kept.output, kept.output + kept.count))
    for place, value in enumerate(list(graph.outputs)):
        if place not in hidden and value in written and written[value].type == value.type:
            graph.block.return_node.set_input(place, written[value])


def current(slot: Slot, leaves: Sequence[Any]) -> Any:
    """What the state holds before the run."""
    return leaves[slot.input] if slot.owner is None else slot.present


def put_back(slot: Slot, value: Any, leaves: Sequence[Any]) -> None:
    """Make the program's last value of a slot visible: rebind the attribute, or copy into the object it holds."""
    if slot.kind == "attribute" and slot.owner is not None:
        slot.rebind(value)
        return
    held = current(slot, leaves)
    if held is value:
        return
    if isinstance(held, list):
        held[:] = value
    elif isinstance(held, dict):
        items = dict(value)
        held.clear()
        held.update(items)
    else:
        held._array[...] = value._array


def tensor_of(value: Any) -> Any:
    """A leaf of the native results as a run-time value."""
    return from_numpy(value) if isinstance(value, np.ndarray) else value
