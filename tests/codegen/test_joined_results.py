"""Results that the native entry puts together of lists: tuples of what is at one place, lists cut out of one."""

import gc
import weakref
from typing import NamedTuple

import numpy as np
import pytest

from optc.codegen.entry import python_layout
from optc.codegen.entry.signature import Constant, JoinedLists, OutputSpec, OutputTree, Passthrough, Signature
from tests.codegen.test_native_entry import copies, make, tensor

pytestmark = pytest.mark.skipif(not python_layout.is_supported(), reason="this interpreter has no native entry")

ITEMS = np.array([10, 11, 12, 13, 14])
LABELS = np.array([0.5, 1.5, 2.5, 3.5, 4.5])
STARTS = np.array([0, 2, 2, 5])


class Labelled(NamedTuple):
    number: int
    label: float


def listed(count: int, dtype: str = "int64", kind: str = "int") -> OutputSpec:
    return OutputSpec("tensor", dtype, (count,), rows=kind)  # type: ignore[arg-type]


def test_lists_are_cut_out_of_one() -> None:
    tree: OutputTree = (Passthrough(0), JoinedLists((listed(5), listed(4))), Constant("end"))
    cut = make(Signature((tensor(5, dtype="int64"), tensor(4, dtype="int64")), tree), copies([40, 32]))
    for starts, expected in (
        (STARTS, [[10, 11], [], [12, 13, 14]]),
        (np.array([0, 0, 0, 5]), [[], [], [*range(10, 15)]]),
    ):
        given, lists, text = cut(ITEMS, starts)
        assert given is ITEMS and text == "end"
        assert type(lists) is list and lists == expected and all(type(part) is list for part in lists)


@pytest.mark.parametrize("kind", [tuple, Labelled])
def test_tuples_are_made_of_what_is_at_one_place(kind: type) -> None:
    inputs = (tensor(5, dtype="int64"), tensor(5, dtype="float64"))
    tree = JoinedLists((listed(5), listed(5, "float64", "float")), kind)
    pairs = make(Signature(inputs, tree), copies([40, 40]))(ITEMS, LABELS)
    assert pairs == list(zip(ITEMS.tolist(), LABELS.tolist())) and all(type(pair) is kind for pair in pairs)


def test_joined_lists_are_parts_of_others() -> None:
    inputs = (tensor(5, dtype="int64"), tensor(5, dtype="float64"), tensor(4, dtype="int64"))
    pairs = JoinedLists((listed(5), listed(5, "float64", "float")), Labelled)
    body = copies([40, 40, 32])
    groups = make(Signature(inputs, {"groups": JoinedLists((pairs, listed(4)))}), body)(ITEMS, LABELS, STARTS)["groups"]
    assert [[pair.number for pair in group] for group in groups] == [[10, 11], [], [12, 13, 14]]


def test_nothing_keeps_items_alive_but_the_result() -> None:
    inputs = (tensor(5, dtype="int64"), tensor(4, dtype="int64"))
    cut = make(Signature(inputs, JoinedLists((listed(5, kind="tensor"), listed(4)))), copies([40, 32]))
    lists = cut(ITEMS, STARTS)
    kept = [weakref.ref(array) for part in lists for array in part]
    assert [int(array) for part in lists for array in part] == ITEMS.tolist()
    del lists
    gc.collect()
    assert [reference() for reference in kept] == [None] * 5
