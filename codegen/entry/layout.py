"""What the native entry's code finds in memory: the description of one compiled function, as words.

The code is the same for all functions (it is compiled once per machine); a description says what this one takes and
returns. Everything is 64-bit words: addresses of Python objects, numbers, addresses of arrays of records.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

PREFIX = "entry_"
"""What the names of the code's functions begin with: those that one module has of the other are not the process's."""

ENTRY = f"{PREFIX}entry"
"""The function that Python calls."""


def _positions(names: str) -> dict[str, int]:
    return {name: position for position, name in enumerate(names.split())}


DESCRIPTION = _positions(
    "run contexts idle slow_path failed create_context drop_context release_gil holds "
    "argument_count names defaults binds part_count parts state_count states "
    "input_count inputs output_count outputs container_count containers placement_count placements "
    "update_count updates join_count joins apart_count aparts in_rows "
    "wrapper array_slot weak_slot constant_count constants default_family "
    "scratch_words inputs_at outputs_at objects_at made_containers_at blocks_at held_at copies_at symbols_at"
)
"""Words of a description. Those that end in `_at` are places in the scratch memory of a call."""

SCRATCH = _positions("held copies family prepared address values")
"""The first words of the scratch memory; `values` starts the arguments, then parts of containers, then state."""

PART = _positions("kind source object length target keys")
"""A value that is a container (its items become further values; `keys` are a dictionary's) or must be a certain object."""

STATE = _positions("holder key target")
"""A value that is looked up in a dictionary."""

INPUT = _positions("kind source dtype exchange_dtype itemsize rank written fixed dims")
"""A leaf of the arguments; `dims` starts two words per dimension: how the extent is checked, and against what."""

OUTPUT = _positions(
    "kind dtype exchange_dtype itemsize rank preallocated family rows plain0 plain1 wrapped0 wrapped1 dims"
)
"""A computed result, with the last two arrays (and wrappers) that were returned; `dims` as for inputs."""

CONTAINER = _positions("kind length model")
"""A container of the result; `model` is the class of a named tuple, or a dictionary with the keys."""

PLACEMENT = _positions("container position source item")
"""Where a result goes: item `position` of a container (its key in a dictionary), or one of `TARGETS`.

For state, `position` is the address of a record: a dictionary, and a key in it.
"""

JOIN = _positions("kind model count parts")
"""A list that is made of other results, which are lists; `parts` starts their numbers. It takes the place of the first.

`model` is the class of the tuples in it.
"""

UPDATE = _positions("kind output holder key record words input")
"""What becomes of a result that is the new value of some state: an entry of a dictionary, or a copy into an input.

`record`, `words` and `input` are places of the output's record, its words and the input's words.
"""

APART = _positions("first first_rank first_itemsize second second_rank second_itemsize")
"""Two inputs that must not share memory: where their words begin, and what tells their size."""

PART_KINDS = _positions("tuple list dictionary object equal")
INPUT_KINDS = _positions("tensor int float bool pinned")
OUTPUT_KINDS = _positions("tensor int float bool")
ROW_KINDS = _positions("whole tensor int float bool")
CONTAINER_KINDS = _positions("tuple list named dictionary")
JOIN_KINDS = _positions("zip cut")
TARGETS = {"result": -1, "rebind": -2, "refill_list": -3, "refill_dictionary": -4}
"""What a placement names that is in no container: the result itself, or what an entry of a dictionary becomes."""
SOURCES = _positions("computed value object container")
UPDATE_KINDS = _positions("rebind copy")
FAMILIES = _positions("numpy wrapped torch caller")
"""Whose tensors: numpy's, the wrapper's, torch's; `caller`: those of the first tensor argument."""

EXACT, ANY, BINDS, SAME, FOLLOWS = range(5)
"""How an extent is checked: a number, anything, a symbol's first occurrence (never 1), a symbol seen before. That of a
result may follow from symbols: the number then is the address of a calculation, the count of its steps before them."""


def rows(records: Sequence[Sequence[int]]) -> ctypes.Array[ctypes.c_int64]:
    """Records one behind the other, as an array of words."""
    words = [word for record in records for word in record]
    return (ctypes.c_int64 * max(1, len(words)))(*words)
