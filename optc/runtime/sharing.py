"""Which tensors of a call are one object, and which lie in the same memory.

Most programs need not know. One that writes to a tensor it was given, or asks whether two of them are one, is compiled
for what it was called with: tensors that are one object are one value, all others are taken to lie apart. Calls with
tensors that only overlap are left to the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np

from optc.eager.base import TensorBase
from optc.ir.optimized import OptimizedProgram
from optc.ir.structure import Structure, leaves_of
from optc.ir.types import TensorType

_LARGEST_SEARCH = 10_000
"""Steps that numpy may take to find out whether two strided tensors have an element in common."""


def tensors_in(value: Any) -> Iterator[TensorBase]:
    """The tensors in arguments, in the order of the inputs of a core graph."""
    if isinstance(value, TensorBase):
        yield value
    elif isinstance(value, tuple | list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(item)


def sharing_of(values: Sequence[Any]) -> tuple[int, ...]:
    """For every tensor in the arguments, the position of the first one that is the same object."""
    first: dict[int, int] = {}
    return tuple(first.setdefault(id(tensor), place) for place, tensor in enumerate(tensors_in(tuple(values))))


def is_apart(sharing: Sequence[int]) -> bool:
    """True when no two tensors are one object."""
    return all(place == first for place, first in enumerate(sharing))


Pairs = tuple[tuple[int, int], ...]


def written_pairs(program: OptimizedProgram) -> Pairs:
    """The pairs of a program's inputs (arguments' leaves, then state) of which one is written and could be the other."""
    arguments = _tensor_arguments(program)
    tensors = [*arguments, *(slot.input for slot in program.state if slot.owner is not None)]
    written = [slot.input for slot in program.state if slot.output is not None and slot.kind != "attribute"]
    return tuple(
        (one, other) for one in written for other in (tensors if one in arguments else arguments) if one != other
    )


def compared_pairs(program: OptimizedProgram) -> Pairs:
    """The pairs of tensor arguments of which the program asks, or may ask, whether they are one object."""
    return tuple(combinations(_tensor_arguments(program), 2)) if program.compares_arguments else ()


def _tensor_arguments(program: OptimizedProgram) -> list[int]:
    types = [type_ for structure in program.input_structures for type_ in _leaf_types(structure)]
    return [place for place, type_ in enumerate(types) if isinstance(type_, TensorType)]


def overlaps(program: OptimizedProgram, values: Sequence[Any]) -> bool:
    """True when the program writes to a tensor that shares memory with another one without being the same object."""
    leaves = [
        leaf for value, structure in zip(values, program.input_structures) for leaf in leaves_of(value, structure)
    ]
    arguments = len(leaves)
    leaves += [slot.present for slot in program.state if slot.owner is not None]
    return any(
        not (leaves[one] is leaves[other] and max(one, other) < arguments) and _may_share(leaves[one], leaves[other])
        for one, other in written_pairs(program)
    )


def _may_share(one: Any, other: Any) -> bool:
    """True when a tensor of one shares memory with one of the other; either may be a container that state holds."""
    return any(_tensors_may_share(*pair) for pair in product(tensors_in(one), tensors_in(other)))


def _tensors_may_share(one: TensorBase, other: TensorBase) -> bool:
    try:
        return bool(np.shares_memory(one._array, other._array, max_work=_LARGEST_SEARCH))  # type: ignore[arg-type]  # numpy's stubs allow two values
    except np.exceptions.TooHardError:
        return True


def _leaf_types(structure: Structure) -> Iterator[Any]:
    if structure.kind == "leaf":
        yield structure.type
    for item in structure.items:
        yield from _leaf_types(item)
