"""Runs a native program on run-time values: takes arguments apart, hands in state, puts results and state back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.eager.creation import from_numpy
from optc.ir.optimized import OptimizedProgram, Slot
from optc.ir.structure import leaves_of, rebuild
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
    if program.output_structure is None:
        return results[0] if results else None
    return rebuild(results[: program.output_structure.leaf_count], program.output_structure)


def settle(program: OptimizedProgram) -> None:
    """What remains to be said about state when a program is optimised."""
    drop_unwritten(program)
    return_written(program)


def drop_unwritten(program: OptimizedProgram) -> None:
    """Forget state that the optimised program gives back as it came."""
    graph = program.graph
    if graph is None:
        return
    for slot in list(program.state):
        if slot.output is None or graph.outputs[slot.output] is not graph.inputs[slot.input]:
            continue
        graph.block.return_node.remove_input(slot.output)
        for other in program.state:
            if other.output is not None and other.output > slot.output:
                other.output -= 1
        slot.output = None
        if slot.owner is None:
            program.state.remove(slot)


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
