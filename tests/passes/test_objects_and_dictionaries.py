# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Objects, dictionaries and text that stay inside a program leave nothing for the interpreter to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import optc
from optc import jit, pipeline
from optc.errors import ExecutionError
from optc.ir.parser import parse_graph
from optc.passes.pipelines import optimize


@jit.script
class Sum:
    def __init__(self, start: optc.Tensor):
        self.total = start
        self.count = 0

    def add(self, other: optc.Tensor) -> None:
        self.total = self.total + other
        self.count += 1


@jit.script
class Held:
    def __init__(self, inner: Sum):
        self.inner = inner


def an_object(x):
    held = Sum(x)
    held.add(x * 2)
    return held.total, held.count


def an_object_in_a_loop(x):
    held = Sum(x)
    for i in range(x.size(0)):
        held.add(x * float(i))
    return held.total, held.count


def an_object_in_a_branch(x):
    held = Sum(x)
    if bool(x.sum() > 0):
        held.add(x)
        if bool(x.sum() > 1):
            held.total = held.total * 2
    return held.total, held.count


def an_object_made_in_a_loop(x):
    for i in range(3):
        held = Sum(x)
        held.add(x * float(i))
        x = held.total
    return x


def an_object_inside_an_object(x):
    held = Held(Sum(x))
    held.inner.add(x)
    return held.inner.total


def objects_in_a_list(x):
    held = [Sum(x), Sum(x * 2), Sum(x * 3)]
    total = held[0].total
    for one in held:
        total = total + one.total * (one.count + 1)
    return total


def an_object_that_a_loop_replaces(x):
    held = Sum(x)
    while bool(held.total.sum() < 30):
        more = Sum(held.total + 1)
        more.add(x.abs())
        held = more
    return held.total, held.count


def an_object_of_a_branch(x):
    if bool(x.sum() > 0):
        held = Sum(x)
    else:
        held = Sum(x * 2)
    return held.total


def objects_in_a_dictionary(x):
    held = {"a": Held(Sum(x)), "b": Held(Sum(x * 2))}
    total = x
    for value in held.values():
        total = total + value.inner.total
    return total * held["b"].inner.total


def objects_that_change_in_a_list(x):
    held = [Sum(x), Sum(x * 2)]
    for one in held:
        one.add(x)
    held[0].count = 7
    return held[0].total + held[1].total, held[0].count


def an_end_inside_a_loop_in_a_loop(x):
    for i in range(4):
        if bool(x.sum() > 100):
            return x * i
        for j in range(i):
            if j > 2:
                break
            x = x + j
    return x - 1


def a_dictionary_in_a_branch(x):
    d = {"a": x, "b": x + 1}
    if bool(x.sum() > 0):
        d["a"] = x * 2
    return d["a"] + d["b"]


def a_dictionary_in_a_loop(x):
    d = {"a": x, "b": x}
    for i in range(x.size(0)):
        d["a"] = d["a"] + float(i)
        if i == 2:
            d["b"] = d["a"]
    return d["a"], d["b"], len(d)


def a_dictionary_that_both_sides_make(x):
    if bool(x.sum() > 0):
        d = {1: x, 2: x * 2}
    else:
        d = {1: -x, 2: x}
    return d[1] - d[2]


def entries_of_a_dictionary(x):
    d = {"a": x, "b": x * 2}
    total = optc.zeros_like(x)
    names: list[str] = []
    for name, value in d.items():
        total = total + value
        names.append(name + "!")
    return total * len("".join(names))


def entries_that_come_and_go(x):
    d = {"a": x, "b": x * 2}
    y = d.pop("a")
    d.update({"c": y * 3, "b": y})
    del d["b"]
    return d.get("a", x * 5), d["c"], "a" in d, d


def an_entry_by_default(x):
    d = {"a": x}
    d["a"] = d.setdefault("a", x * 7) + 1
    y = d.setdefault("b", x * 2)
    name, first = d.popitem()
    return first + len(name), y, d.pop("c", x * 3), len(d)


def a_list_that_is_extended(x):
    items = [x, x + 1]
    same = items
    items += [x * 2]
    items += same
    d = {"a": x}
    d.clear()
    return items[2] + items[5], len(same), len(d)


def text_of_a_check(x):
    if x.dim() != 1:
        raise ValueError(f"a vector was expected, not {x.shape}")
    assert x.sum() > -100, f"the sum is {x.sum()}"
    return x + 1


PROGRAMS = [
    an_object, an_object_in_a_loop, an_object_in_a_branch, an_object_made_in_a_loop, an_object_inside_an_object,
    objects_in_a_list, an_object_that_a_loop_replaces, an_object_of_a_branch, objects_in_a_dictionary,
    objects_that_change_in_a_list, an_end_inside_a_loop_in_a_loop,
    a_dictionary_in_a_branch, a_dictionary_in_a_loop, a_dictionary_that_both_sides_make, entries_of_a_dictionary,
    entries_that_come_and_go, an_entry_by_default, a_list_that_is_extended, text_of_a_check,
]  # fmt: skip


@jit.interface
class Adds:
    def add(self, other: optc.Tensor) -> None:
        pass


def objects_behind_an_interface(x):
    for one in optc.jit.annotate(list[Adds], [Sum(x), Sum(x * 2)]):
        one.add(x)
    return x + 1


def an_object_that_is_another(x):
    held = [Sum(x), Sum(x)]
    return x if held[0] is held[1] else x * held[0].total


def an_object_that_changes_somewhere(x):
    held = [Sum(x), Sum(x * 2)]
    for i in range(x.size(0)):
        held[i % 2].add(x)
    return held[0].total, held[1].total, held[0].count


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "program", [objects_behind_an_interface, an_object_that_is_another, an_object_that_changes_somewhere]
)
def test_objects_that_are_more_than_what_they_hold_stay_objects(program: Callable[..., Any]) -> None:
    scripted = jit.script(program)
    fast = optc.compile(scripted, fallback="allow")
    for x in (optc.rand(6), optc.ones(6)):
        assert repr(fast(x)) == repr(scripted(x))
    assert not any("report" in str(fallback) for fallback in fast.fallbacks)


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_native_and_means_the_same(program: Callable[..., Any]) -> None:
    scripted = jit.script(program)
    fast = optc.compile(scripted, fallback="error")
    for x in (optc.rand(6), -optc.rand(6), optc.ones(6)):
        assert repr(fast(x)) == repr(scripted(x))


def test_the_text_of_an_error_is_still_the_programs() -> None:
    scripted = jit.script(text_of_a_check)
    fast = optc.compile(scripted, fallback="error")
    with pytest.raises(ExecutionError) as expected:
        scripted(-optc.ones(600))
    with pytest.raises(ExecutionError) as found:
        fast(-optc.ones(600))
    assert str(found.value) == str(expected.value)
    assert "the sum is" in str(found.value)


def an_object_that_is_returned(x):
    held = Sum(x)
    held.add(x)
    return held


def keys_that_data_decides(x):
    d: dict[str, optc.Tensor] = {}
    if bool(x.sum() > 0):
        d["positive"] = x
    else:
        d["negative"] = x
    return d


def an_order_that_data_decides(x):
    if bool(x.sum() > 0):
        d = {"a": x, "b": x * 2}
    else:
        d = {"b": x * 2, "a": x}
    return d


@pytest.mark.parametrize("program", [keys_that_data_decides, an_order_that_data_decides])
def test_what_only_running_tells_stays(program: Callable[..., Any]) -> None:
    scripted = jit.script(program)
    fast = optc.compile(scripted, fallback="allow")
    for x in (optc.rand(6), -optc.rand(6)):
        assert repr(fast(x)) == repr(scripted(x))


def test_an_object_that_leaves_stays_an_object() -> None:
    assert optimize(jit.script(an_object_that_is_returned)._function).graph is None


def by_text(x, names: list[str], mode: str = "sum"):
    if mode == "sum":
        return x.sum() * len(names)
    if "b" in names:
        return x.mean()
    return x * 2


def test_text_arguments_are_constants_of_their_version() -> None:
    scripted = jit.script(by_text)
    fast = optc.compile(scripted, fallback="error")
    x = optc.rand(4)
    a, b = ["a"], ["b"]
    calls = [(x, a), (x, a, "summary"[:3]), (x, a, "mean"), (x, b, "mean"), (x, ["b", "c"], "mean"), (x, a, "mean")]
    for arguments in calls:
        assert repr(fast(*arguments)) == repr(scripted(*arguments))
    assert len(fast.specializations) == 4


def boxes_by_image(images: list[optc.Tensor], names: list[str]):
    """As detectors do: lists of images, of their sizes, of dictionaries, changed in place."""
    sizes: list[list[int]] = []
    for i in range(len(images)):
        image = images[i]
        if image.dim() != 2:
            raise ValueError(f"images have two dimensions, not {image.dim()}")
        sizes.append([image.size(0), image.size(1)])
        images[i] = image * 2
    largest = sizes[0]
    for size in sizes[1:]:
        for place, extent in enumerate(size):
            largest[place] = max(largest[place], extent)
    whole = images[0].new_zeros([len(images), largest[0], largest[1]])
    for i in range(whole.size(0)):
        whole[i, : images[i].size(0), : images[i].size(1)].copy_(images[i])
    result: list[dict[str, optc.Tensor]] = []
    for row in images:
        result.append({"sum": row.sum(), "whole": whole.sum()})
    for i, (found, name) in enumerate(zip(result, names)):
        result[i]["sum"] = found["sum"] + whole[i].max()
        if name in found:
            result[i][name] = found[name] - 1
    return result, whole


def test_lists_of_dictionaries_are_seen_through() -> None:
    scripted = jit.script(boxes_by_image)
    fast = optc.compile(scripted, fallback="error")
    for shapes in ([(3, 5), (4, 2)], [(3, 6), (5, 2)]):
        given = [optc.rand(*shape) for shape in shapes]
        expected = scripted([item.clone() for item in given], ["whole", "other"])
        assert repr(fast(list(given), ["whole", "other"])) == repr(expected)


class Anchors(optc.nn.Module):
    """Holds a list of tensors that a call assigns anew."""

    cells: list[optc.Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.cells = [optc.arange(4.0).reshape(2, 2), optc.ones(3)]

    def forward(self, x):
        self.cells = [cell.to(x.dtype) + x.sum() for cell in self.cells]
        return self.cells[0] + x


def test_a_list_of_tensors_is_state() -> None:
    mine, other = jit.script(Anchors()), jit.script(Anchors())
    fast = optc.compile(mine, fallback="error")
    for _ in range(3):
        x = optc.rand(2, 2)
        assert repr(fast(x)) == repr(other(x))
        assert repr(mine.cells) == repr(other.cells)


PAIRS = """
graph(%x : Tensor, %key : str):
  %a : str = prim::Constant[value="a"]()
  %first : (str, Tensor) = prim::TupleConstruct(%a, %x)
  %second : (str, Tensor) = prim::TupleConstruct(%key, %x)
  %pairs : (str, Tensor)[] = prim::ListConstruct(%first, %second)
  %d : Dict(str, Tensor) = aten::dict.str(%pairs)
  return (%d)
"""


def test_pairs_with_keys_that_are_not_known_come_to_an_end() -> None:
    graph = parse_graph(PAIRS)
    before = str(graph)
    pipeline.run(graph, "local-containers")
    assert str(graph) == before
