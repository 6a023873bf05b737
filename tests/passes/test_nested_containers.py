"""Lists and dictionaries that are changed after another container holds them: whoever reads that one sees the change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import optc
from optc import Tensor


def appended_in_a_dictionary(x: Tensor, key: str) -> dict[str, list[Tensor]]:
    r: dict[str, list[Tensor]] = {"a": [x]}
    r["a"].append(x)
    return r


def appended_after_it_was_stored(x: Tensor, key: str) -> list[list[Tensor]]:
    inner = [x]
    outer = [inner]
    inner.append(x)
    return outer


def numbers_in_a_list(x: Tensor, key: str) -> list[list[int]]:
    inner = [1]
    outer = [inner, [3]]
    inner.append(x.size(0))
    outer[0][0] = 7
    return outer


def appended_in_a_tuple(x: Tensor, key: str) -> tuple[list[int], int]:
    inner = [1]
    t = (inner, 3)
    inner.append(x.size(0))
    return t


def read_again_from_a_dictionary(x: Tensor, key: str) -> Tensor:
    d = {"a": [1]}
    l = d["a"]
    l.append(x.size(0))
    return x * d["a"][-1] + len(d["a"])


def dictionaries_in_a_dictionary(x: Tensor, key: str) -> Tensor:
    d: dict[str, dict[str, int]] = {"a": {"b": 1}}
    d["a"]["b"] += 3
    e = d["a"]
    e["c"] = 5
    return x * d["a"]["b"] + d["a"]["c"]


def appended_in_a_loop(x: Tensor, key: str) -> Tensor:
    ls = [[1], [2]]
    for l in ls:
        l.append(3)
    n = 0
    for l in ls:
        n += len(l)
    return x * n


def moved_in_a_branch(x: Tensor, key: str) -> Tensor:
    ls = [[x], [x]]
    m = ls[0]
    if float(x.sum()) > 1:
        m.append(x * 2)
    else:
        ls[1] = m
    m[0] = x * 5
    t = x
    for l in ls:
        for q in l:
            t = t + q
    return t


def optional_elements(x: Tensor, key: str) -> Tensor:
    a = [1]
    o: list[list[int] | None] = [a, None]
    a.append(4)
    b = o[0]
    n = 0
    if b is not None:
        n = len(b)
    return x * n


def collected_in_a_loop(x: Tensor, key: str) -> tuple[Tensor, list[list[Tensor]]]:
    q: list[list[Tensor]] = []
    cur: list[Tensor] = []
    for i in range(4):
        cur.append(x * i)
        if len(cur) == 2:
            q.append(cur)
            cur = []
    return optc.stack([optc.stack(c) for c in q]), q


def twice_in_a_tuple(x: Tensor, key: str) -> Tensor:
    a = [x]
    t = (a, a)
    t[0].append(x * 2)
    y = t[1][-1]
    y.add_(1)
    return optc.stack(a)


def a_tensor_in_a_dictionary(x: Tensor, key: str) -> Tensor:
    a = x.clone()
    d = {"a": a}
    a.add_(3)
    return d["a"] * 2


def a_list_in_a_tuple_in_a_list(x: Tensor, key: str) -> list[tuple[list[int], int]]:
    a = [1]
    o = [(a, 2)]
    a.append(3)
    return o


def held_twice_and_appended_in_a_loop(x: Tensor, key: str) -> tuple[Tensor, dict[str, list[int]]]:
    a = [1]
    d = {"p": a, "q": a}
    for i in range(3):
        a.append(i * 2)
    if float(x.sum()) > 1:
        a.append(9)
    return x * len(d["q"]), d


def a_tuple_of_a_tensor_and_a_list(x: Tensor, key: str) -> tuple[tuple[Tensor, list[Tensor]], Tensor]:
    l = [x]
    t = (x, l)
    l.append(x + 1)
    x.add_(1)
    l[0].mul_(3)
    return t, l[1]


def a_dictionary_stored_before_it_grows(x: Tensor, key: str) -> dict[str, dict[str, Tensor]]:
    d: dict[str, dict[str, Tensor]] = {}
    e = {"z": x}
    d["e"] = e
    e["y"] = x * 2
    e["z"].add_(1)
    return d


def stored_in_a_branch(x: Tensor, key: str) -> list[list[int]] | None:
    a = [1]
    r: list[list[int]] | None = None
    if float(x.sum()) > 1:
        r = [a]
    a.append(2)
    return r


def extended_in_place(x: Tensor, key: str) -> list[Tensor]:
    a = [x]
    outer = [a]
    a2 = outer[0]
    a2 += [x * 2]
    return a


def rows_that_are_filled_first(x: Tensor, key: str) -> tuple[list[list[int]], list[list[Tensor]]]:
    rows: list[list[int]] = []
    tensors: list[list[Tensor]] = []
    for i in range(int(x.sum() * 2)):
        row = [i]
        mine = [x]
        for j in range(i):
            row.append(i * j)
            mine.append(x * j)
        rows.append(row)
        tensors.append(mine)
    return rows, tensors


def lists_that_replace_each_other(x: Tensor, key: str) -> list[tuple[list[int], float]]:
    kept = [([0], 0.0)]
    for i in range(int(x.sum() * 2)):
        new: list[tuple[list[int], float]] = []
        for numbers, score in kept:
            new.append((numbers + [i], score + float(x[0])))
            new.append((numbers, score))
        kept = new
    return kept


def rows_that_change_when_they_are_stored(x: Tensor, key: str) -> tuple[list[list[int]], list[int]]:
    rows: list[list[int]] = []
    row = [0]
    for i in range(int(x.sum() * 2)):
        rows.append(row)
        row.append(i)
        if i % 2 == 0:
            row = [100 + i]
        row.append(-i)
    return rows, row


def rows_of_which_a_branch_stores_some(x: Tensor, key: str) -> list[list[int]]:
    rows: list[list[int]] = []
    for i in range(int(x.sum() * 2)):
        row = [i]
        row.append(1)
        if i % 2 == 0:
            rows.append(row)
        row.append(2)
    return rows


def one_of_two_names(x: Tensor, key: str) -> tuple[list[int], list[int], list[list[int]]]:
    a = [1]
    b = a
    rows = [[5]]
    for i in range(int(x.sum() * 2)):
        c = [i]
        if i > 1:
            b = c
        b.append(i)
        c.append(50)
    rows.append(a)
    a.append(7)
    return a, b, rows


PRIVATE = [rows_that_are_filled_first, lists_that_replace_each_other]
PROGRAMS = [
    *PRIVATE,
    rows_that_change_when_they_are_stored,
    rows_of_which_a_branch_stores_some,
    one_of_two_names,
    appended_in_a_dictionary,
    appended_after_it_was_stored,
    numbers_in_a_list,
    appended_in_a_tuple,
    read_again_from_a_dictionary,
    dictionaries_in_a_dictionary,
    appended_in_a_loop,
    moved_in_a_branch,
    optional_elements,
    collected_in_a_loop,
    twice_in_a_tuple,
    a_tensor_in_a_dictionary,
    a_list_in_a_tuple_in_a_list,
    held_twice_and_appended_in_a_loop,
    a_tuple_of_a_tensor_and_a_list,
    a_dictionary_stored_before_it_grows,
    stored_in_a_branch,
    extended_in_place,
]


def plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("number", [1.0, 0.25])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_holders_see_what_changes(program: Callable[..., Any], number: float) -> None:
    x = optc.full((2,), number)
    scripted = optc.jit.script(program)
    expected = plain(program(x.clone(), "a"))
    assert plain(scripted(x.clone(), "a")) == expected
    fast = optc.compile(scripted, fallback="allow")
    for _ in range(2):
        assert plain(fast(x.clone(), "a")) == expected


NATIVE = (appended_in_a_dictionary, appended_after_it_was_stored, appended_in_a_tuple, a_list_in_a_tuple_in_a_list)


@pytest.mark.parametrize("program", NATIVE, ids=lambda program: program.__name__)
def test_what_is_changed_beside_its_holder_stays_native(program: Callable[..., Any]) -> None:
    fast = optc.compile(optc.jit.script(program), fallback="error")
    assert plain(fast(optc.ones(2), "a")) == plain(program(optc.ones(2), "a"))


@pytest.mark.parametrize("program", PRIVATE, ids=lambda program: program.__name__)
def test_what_nothing_holds_yet_may_change(program: Callable[..., Any]) -> None:
    fast = optc.compile(optc.jit.script(program), fallback="allow")
    assert plain(fast(optc.ones(2), "a")) == plain(program(optc.ones(2), "a"))
    assert fast.specializations[-1].native is not None
