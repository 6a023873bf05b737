# ruff: noqa: UP006, UP035, UP045, B007
"""Scripted programs through the whole default pipeline, compared with the interpreter after every pass."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pytest

import optc
import optc as torch
from optc import nn
from optc.eager.tensor import Tensor
from optc.instruments import Compare, Verify
from optc.interpreter import run
from optc.ir import dtypes
from optc.ir.dims import symbol
from optc.ir.graph import Graph
from optc.ir.types import BOOL, FLOAT, INT, NONE, STRING, ListType, TensorType
from optc.ops.abstract import UNKNOWN_BOOL
from optc.passes.constant_folding import constant_argument
from optc.passes.object_constants import object_constants
from optc.passes.pipelines import OptimizedProgram, optimize


def type_of(value: Any, symbolic: bool) -> Any:
    if isinstance(value, Tensor):
        array = value._array
        rows = [symbol("s0")] if symbolic and array.ndim and array.shape[0] != 1 else array.shape[:1]
        return TensorType(dtypes.from_numpy(array.dtype), (*rows, *array.shape[1:]))
    if isinstance(value, list | tuple):
        return type(value)(type_of(item, symbolic) for item in value)
    if isinstance(value, dict):
        return {key: type_of(item, symbolic) for key, item in value.items()}
    return {bool: BOOL, int: INT, float: FLOAT, str: STRING, type(None): NONE}[type(value)]


def optimized(program: Any, *arguments: Any, symbolic: bool = False) -> OptimizedProgram:
    """Script and optimise, verified and compared with the interpreter after every pass."""
    scripted = program if isinstance(program, torch.jit.ScriptModule) else torch.jit.script(program)
    types = [type_of(argument, symbolic) for argument in arguments]
    watching = [Verify(2), Compare(arguments, 1e-4)]
    if isinstance(scripted, torch.jit.ScriptFunction):
        return optimize(scripted._function, None, types, instruments=watching)
    return optimize(scripted._forward_method._function, scripted._c, types, instruments=watching)


def graph_of(program: OptimizedProgram) -> Graph:
    assert program.graph is not None, program.islands
    assert program.islands == []
    return program.graph


def kinds(graph: Graph) -> list[str]:
    return [node.kind for node in graph.walk() if node.kind != "prim::Constant"]


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    made: Tensor = torch.rand(3, 4)
    return made


def writes_through_views(x):
    y = x.clone()
    y[0] = 1.0
    y[:, 1:3] += 2
    y.mul_(3).relu_()
    z = y.t()
    z[0].zero_()
    return y, z


def writes_in_a_loop(x, n: int):
    y = torch.zeros(3, 4)
    for i in range(n):
        y[i % 3] += x[i % 3] * i
    return y


def writes_in_a_branch(x, n: int):
    y = x * 2
    row = y[1]
    if n > 2:
        row.add_(1)
    else:
        y[1:3].zero_()
    return y, row


def list_of_fixed_length(x):
    out: List[torch.Tensor] = []
    for i in range(3):
        out.append(x[i] * 2)
    out[0] = out[1] + out[2]
    out.insert(0, x[0])
    last = out.pop()
    return torch.cat(out), last, len(out)


def dictionary(x):
    parts: Dict[str, torch.Tensor] = {}
    parts["a"] = x + 1
    parts["b"] = parts["a"] * 2
    if "a" in parts:
        parts["a"] = parts["b"] - x
    return parts


def nested_arguments(state: Tuple[torch.Tensor, torch.Tensor], terms: List[torch.Tensor]):
    a, b = state
    for term in terms:
        a = a + term
    return (a, b), [a, b]


def optional_argument(x, m: Optional[torch.Tensor]):
    if m is not None:
        x = x * m
    else:
        x = x + 1
    return x


def leaves_the_loop(x):
    for i in range(10):
        x = x + 1
        if bool(x.sum() > 50.0):
            return x * 2
    return x


def skips_and_stops(x, n: int):
    for i in range(n):
        if i == 3:
            continue
        if i > 5:
            break
        x = x + i
    return x


def counts_while(x):
    i = 0
    while bool(x.sum() < 100.0):
        x = x * 2
        i += 1
    return x, i


def grows(x, n: int):
    y = x
    for _ in range(n):
        y = torch.cat([y, x])
    return y, y.size(0)


def sizes(x, n: int):
    a = x.size(0) * x.size(1) // 2 + n
    return x.reshape(-1)[:a], a, float(a) / 3


def checks(x, i: int):
    assert x.dim() == 2, "a matrix is needed"
    if i > 2:
        raise ValueError("too large")
    return x[i]


def swaps(x, y, n: int):
    for _ in range(n):
        x, y = y, x * 2
    return x, y


def writes_its_argument(x):
    x += 1
    return x * 2


def collects(xs):
    h = torch.zeros(4)
    hidden = []
    sums = []
    for i in range(xs.size(0)):
        h = torch.tanh(h + xs[i])
        hidden.append(h)
        sums.append(h.sum())
    return torch.cat(hidden), torch.stack(hidden), torch.stack(hidden, 1), torch.stack(sums, -1), len(hidden), hidden[1]


PROGRAMS: list[tuple[Any, list[Any]]] = [
    (writes_through_views, []),
    (writes_in_a_loop, [5]),
    (writes_in_a_branch, [1]),
    (writes_in_a_branch, [4]),
    (list_of_fixed_length, []),
    (dictionary, []),
    (optional_argument, [None]),
    (leaves_the_loop, []),
    (skips_and_stops, [8]),
    (counts_while, []),
    (grows, [3]),
    (sizes, [1]),
    (checks, [1]),
    (checks, [5]),
    (writes_its_argument, []),
]


@pytest.mark.parametrize("symbolic", [False, True], ids=["numbers", "symbols"])
@pytest.mark.parametrize(("program", "rest"), PROGRAMS, ids=lambda item: getattr(item, "__name__", ""))
def test_program_means_the_same_after_every_pass(program: Any, rest: list[Any], symbolic: bool, x: Tensor) -> None:
    graph_of(optimized(program, x, *rest, symbolic=symbolic))


def test_nested_arguments_and_results_are_leaves(x: Tensor) -> None:
    program = optimized(nested_arguments, (x, x), [x, x, x])
    assert len(graph_of(program).inputs) == 5
    assert [structure.kind for structure in program.input_structures] == ["tuple", "list"]
    assert program.output_structure is not None
    assert [item.kind for item in program.output_structure.items] == ["tuple", "list"]
    assert program.output_structure.leaf_count == 4


def test_argument_that_is_written_is_given_back(x: Tensor) -> None:
    program = optimized(writes_its_argument, x)
    assert [(slot.kind, slot.input, slot.output) for slot in program.state] == [("argument", 0, 1)]


def test_none_leaves_only_the_branch_it_takes(x: Tensor) -> None:
    assert kinds(graph_of(optimized(optional_argument, x, None))) == ["aten::add"]
    assert kinds(graph_of(optimized(optional_argument, x, x))) == ["aten::mul"]


def test_certain_shape_error_raises_where_it_is_reached(x: Tensor) -> None:
    def multiplies(x):
        return torch.mm(x, x)

    graph = graph_of(optimized(multiplies, x))
    assert kinds(graph) == ["prim::Uninitialized", "prim::RaiseException"]


@pytest.mark.parametrize("symbolic", [False, True], ids=["numbers", "symbols"])
def test_lists_that_loops_fill_become_tensors(symbolic: bool) -> None:
    graph = graph_of(optimized(collects, torch.rand(20, 4), symbolic=symbolic))
    assert not {"prim::ListAppend", "aten::stack", "aten::cat"} & set(kinds(graph))


def test_joining_a_list_that_stayed_empty_is_the_error_of_the_program() -> None:
    graph_of(optimized(collects, torch.rand(0, 4), symbolic=True))


def returns_a_list(xs):
    hidden = []
    for i in range(xs.size(0)):
        hidden.append(xs[i] * 2)
    return hidden


def test_list_of_known_length_is_returned_row_by_row() -> None:
    program = optimized(returns_a_list, torch.rand(20, 4))
    assert len(graph_of(program).outputs) == 20
    assert program.output_structure is not None and program.output_structure.kind == "list"


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 0
        self.register_buffer("total", torch.zeros(4))
        self.register_buffer("last", torch.zeros(3, 4))

    def forward(self, x):
        self.count += 1
        self.total += x.sum(0)
        self.last = x * 2
        return x + self.total, self.count


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.counter = Counter()

    def forward(self, x, n: int):
        for _ in range(n):
            if bool(x.sum() > 0.0):
                x, _c = self.counter(x)
        return x


class Cache(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.zeros(5, 4))

    def forward(self, x, i: int):
        self.cache[i] = x[0]
        self.cache[0:2] = x[1:3]
        return self.cache.sum(0)


def test_attributes_that_are_assigned_or_written_become_state(x: Tensor) -> None:
    program = optimized(Counter(), x)
    graph = graph_of(program)
    assert sorted((slot.kind, slot.name) for slot in program.state) == [
        ("attribute", "count"),
        ("attribute", "last"),
        ("buffer", "total"),
    ]
    assert len(graph.inputs) == 4 and len(graph.outputs) == 5


def test_state_of_submodules_goes_through_branches_and_loops(x: Tensor) -> None:
    program = optimized(Outer(), x, 3)
    graph_of(program)
    assert {slot.name for slot in program.state} == {"count", "total", "last"}
    for slot in program.state:
        assert slot.owner is not None and slot.name in slot.owner.values


def test_cache_is_written_in_place(x: Tensor) -> None:
    program = optimized(Cache(), x, 3)
    assert [(slot.kind, slot.name) for slot in program.state] == [("buffer", "cache")]


def test_running_with_state_gives_the_state_the_module_would_have(x: Tensor) -> None:
    module = torch.jit.script(Counter())
    program = optimized(module, x)
    graph = graph_of(program)
    held: list[Any] = [None] * len(graph.inputs)
    held[0] = x
    for slot in program.state:
        assert slot.owner is not None
        held[slot.input] = slot.owner.values[slot.name]
    results = optc.interpreter.run(graph, held)
    module(x)
    for slot in program.state:
        assert slot.owner is not None and slot.output is not None
        expected, found = slot.owner.values[slot.name], results[slot.output]
        assert np.allclose(getattr(expected, "_array", expected), getattr(found, "_array", found)), slot.name


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("whole", torch.zeros(4))
        self.register_buffer("part", self.whole[:2])

    def forward(self, x):
        self.whole += 1
        return x[:, :2] + self.part


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(4))
        self.weight = nn.Parameter(torch.rand(4))

    def forward(self, x):
        self.total += 1
        return x * self.weight + self.total


def test_only_what_is_written_is_state(x: Tensor) -> None:
    program = optimized(Scaled(), x)
    assert [slot.name for slot in program.state] == ["total"]


def test_written_memory_shared_between_attributes_is_refused(x: Tensor) -> None:
    program = optimized(Shared(), x)
    assert program.graph is None
    assert "whole is written and shares memory with part" in program.islands[0].reason


def joins_unknown_memory(x, c: bool):
    y = x * 2
    if c:
        z = y
    else:
        z = x + 1
    z += 1
    return y, z


def test_program_that_cannot_be_functional_is_refused_with_the_line(x: Tensor) -> None:
    program = optimized(joins_unknown_memory, x, True)
    assert program.graph is None
    (island,) = program.islands
    assert "is read after aten::add_" in island.reason and island.source is not None
    assert island.source.filename.endswith("test_optimize.py")


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(8, 2))

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize("capture", ["trace", "script"])
def test_layers_become_products_with_bias(capture: str, x: Tensor) -> None:
    module = Perceptron().eval()
    captured = torch.jit.trace(module, x) if capture == "trace" else torch.jit.script(module)
    graph = graph_of(optimized(captured, x, symbolic=True))
    assert kinds(graph) == ["aten::addmm", "aten::relu", "aten::addmm"]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.input = nn.Linear(4, 4)
        self.hidden = nn.Linear(4, 4, bias=False)

    def forward(self, xs, h):
        fixed = xs[0]
        for i in range(xs.size(0)):
            h = torch.tanh(self.input(fixed) + self.hidden(h) + xs[i])
        return h


def test_invariant_work_leaves_the_loop(x: Tensor) -> None:
    xs = torch.rand(20, 3, 4)
    graph = graph_of(optimized(Recurrent(), xs, x, symbolic=False))
    loop = next(node for node in graph.walk() if node.kind == "prim::Loop")
    inside = [node.kind for node in loop.blocks[0].nodes]
    assert inside.count("aten::addmm") == 1 and "aten::mm" not in inside and "aten::t" not in inside
    before = [node.kind for node in graph.nodes if not node.is_after(loop)]
    assert "aten::addmm" in before


def test_unknown_stays_unknown() -> None:
    with pytest.raises(Exception, match="needed before the program runs"):
        bool(UNKNOWN_BOOL)


@torch.jit.script
class Recipe:
    def __init__(self, order: List[int], scale: float):
        self.order = order
        self.scale = scale


@torch.jit.script
def make_recipe() -> Recipe:
    return Recipe([2, 0, 1], 2.0)


def test_attributes_of_constant_objects_are_read() -> None:
    recipe = run(make_recipe.graph, [])
    graph = Graph()
    with graph.inserting(graph.block):
        held = graph.insert_constant(recipe, recipe.type)
        order = graph.insert("prim::GetAttr", [held], [ListType(INT)], {"name": "order"}).output
        scale = graph.insert("prim::GetAttr", [held], [FLOAT], {"name": "scale"}).output
    graph.add_output(order)
    graph.add_output(scale)
    assert object_constants(graph)
    assert [constant_argument(value) for value in graph.outputs] == [[2, 0, 1], 2.0]


class Places(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        sizes: List[int] = []
        for axis, place in enumerate([2, 0, 1]):
            if place == 1:
                continue
            sizes.append(x.size(place) * axis)
        return x + sizes[0] + len(sizes)


def test_loops_with_continue_fold_away() -> None:
    x = torch.rand(2, 3, 5)
    module = torch.jit.script(Places())
    assert set(kinds(graph_of(optimized(module, x, symbolic=False)))) == {"aten::add"}
    fast = torch.compile(module, fallback="error")
    np.testing.assert_array_equal(fast(x).numpy(), module(x).numpy())


class Attention(nn.Module):
    def attend(self, query, key):
        if query is key:
            return query.relu()
        return query @ key

    def forward(self, x):
        return self.attend(x, x)


def test_one_value_is_itself() -> None:
    scripted = torch.jit.script(Attention())
    program = optimize(scripted._forward_method._function, scripted._c, [TensorType(dtypes.FLOAT32, (3, 3))])
    assert program.graph is not None
    assert [node.kind for node in program.graph.nodes] == ["aten::relu"]


def test_lists_that_are_rearranged_are_known_item_by_item() -> None:
    @optc.jit.script
    def program(x: optc.Tensor) -> optc.Tensor:
        rows = [x[0], x[1] * 2, x[2]]
        rows.reverse()
        del rows[0]
        return optc.stack(rows)

    x = optc.rand(3, 4)
    fast = optc.compile(program, fallback="error")
    assert fast(x).tolist() == program(x).tolist()
