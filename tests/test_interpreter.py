"""The interpreter runs graphs on run-time values: control flow, calls, attributes, containers, aliasing, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc.errors import ExecutionError, SourceRange
from optc.interpreter import run
from optc.ir.function import ClassAttribute, ClassType, Function, ScriptObject
from optc.ir.parser import parse_graph
from optc.ir.types import TENSOR


def tensor(*numbers: float) -> Any:
    return optc.tensor(list(numbers))


def run_text(text: str, *arguments: Any) -> Any:
    return run(parse_graph(text), arguments)


def test_straight_line_code() -> None:
    result = run_text("graph(%x, %y):\n  %z = aten::mul(%x, %y)\n  %w = aten::add(%z, %x, 2)\n  return (%w)",
                      tensor(1, 2), tensor(3, 4))  # fmt: skip
    np.testing.assert_array_equal(result, [5, 12])


def test_several_outputs_come_as_a_tuple() -> None:
    assert run_text("graph(%x : int, %y : int):\n  return (%y, %x)", 1, 2) == (2, 1)
    assert run_text("graph(%x : int):\n  return ()", 1) == ()


BRANCH = """
graph(%c : bool, %x : int, %y : int):
  %a : int, %b : int = prim::If(%c)
    block0():
      -> (%x, %y)
    block1():
      %n : int = aten::neg(%x)
      -> (%n, 0)
  return (%a, %b)
"""


@pytest.mark.parametrize(("condition", "expected"), [(True, (3, 4)), (False, (-3, 0))])
def test_if_runs_one_of_its_blocks(condition: bool, expected: tuple[int, int]) -> None:
    assert run_text(BRANCH, condition, 3, 4) == expected


FIBONACCI = """
graph(%n : int):
  %a : int, %b : int = prim::Loop(%n, True, 0, 1)
    block0(%i : int, %a.1 : int, %b.1 : int):
      %c : int = aten::add(%a.1, %b.1)
      -> (True, %b.1, %c)
  return (%a)
"""


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (-3, 0), (1, 1), (10, 55)])
def test_loop_carries_values(count: int, expected: int) -> None:
    assert run_text(FIBONACCI, count) == expected


def test_numbers_of_a_long_loop_wrap_around_as_those_of_64_bits_do() -> None:
    last, following = 0, 1
    for _ in range(5000):
        last, following = following, last + following
    assert run_text(FIBONACCI, 5000) == (last + 2**63) % 2**64 - 2**63


def test_loop_stops_when_its_condition_turns_false() -> None:
    text = """
    graph(%x : int):
      %start : bool = aten::lt(%x, 100)
      %y : int, %trips : int = prim::Loop(9223372036854775807, %start, %x, 0)
        block0(%i : int, %y.1 : int, %t : int):
          %y.2 : int = aten::mul(%y.1, 2)
          %more : bool = aten::lt(%y.2, 100)
          -> (%more, %y.2, %i)
      return (%y, %trips)
    """
    assert run_text(text, 3) == (192, 5)
    assert run_text(text, 100) == (100, 0)


CONTAINERS = [
    ("graph(%x, %y):\n  %l : int[] = prim::ListConstruct(%x, %y)\n  return (%l)", (1, 2), [1, 2]),
    ("graph(%l : int[]):\n  %a : int, %b : int = prim::ListUnpack(%l)\n  return (%b, %a)", ([1, 2],), (2, 1)),
    ("graph(%l : int[]):\n  %m : int[] = prim::ListAppend(%l, 7)\n  return (%l, %m)", ([1],), ([1], [1, 7])),
    ("graph(%x, %y):\n  %t : (int, int) = prim::TupleConstruct(%x, %y)\n  return (%t)", (1, 2), (1, 2)),
    ("graph(%t : (int, str)):\n  %a : int, %b : str = prim::TupleUnpack(%t)\n  return (%b, %a)", ((1, "a"),), ("a", 1)),
    ("graph(%t : (int, int), %i : int):\n  %a : int = prim::TupleIndex(%t, %i)\n  return (%a)", ((1, 2), -1), 2),
    ("graph(%t : (int, int, int)):\n  %a : (int, int) = prim::TupleSlice[beg=1, end=3]()\n  return (%a)", None, None),
    ("graph(%k : str, %v : int):\n  %d : Dict(str, int) = prim::DictConstruct(%k, %v)\n  return (%d)",
     ("a", 1), {"a": 1}),
    ("graph(%x : Any):\n  %r : bool = prim::isinstance[types=[int, str[]]](%x)\n  return (%r)", (3,), True),
    ("graph(%x : Any):\n  %r : bool = prim::isinstance[types=[int, str[]]](%x)\n  return (%r)", (["a"],), True),
    ("graph(%x : Any):\n  %r : bool = prim::isinstance[types=[int, str[]]](%x)\n  return (%r)", ([1],), False),
    ("graph(%x : Any):\n  %r : bool = prim::isinstance[types=[int, str[]]](%x)\n  return (%r)", (True,), False),
    ("graph(%x : int?):\n  %r : int = prim::unchecked_cast(%x)\n  return (%r)", (4,), 4),
    ("graph():\n  %r : int = prim::Uninitialized()\n  return (%r)", (), None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "arguments", "expected"), [case for case in CONTAINERS if case[1] is not None])
def test_nodes_that_build_take_apart_and_test_values(text: str, arguments: tuple[Any, ...], expected: Any) -> None:
    result = run_text(text, *arguments)
    assert result == expected
    assert type(result) is type(expected)


def test_a_slice_of_a_tuple() -> None:
    text = "graph(%t : (int, int, int)):\n  %a : (int, int) = prim::TupleSlice[beg=1, end=3](%t)\n  return (%a)"
    assert run_text(text, (1, 2, 3)) == (2, 3)


@pytest.mark.parametrize(("number", "dtype"), [(3, "int64"), (2.5, "float64"), (True, "bool")])
def test_numbers_become_tensors_of_the_widest_type(number: Any, dtype: str) -> None:
    result = run_text("graph(%n : Scalar):\n  %t : Tensor = prim::NumToTensor(%n)\n  return (%t)", number)
    assert (np.asarray(result).dtype, np.asarray(result).shape) == (np.dtype(dtype), ())


def test_writing_through_a_view_reaches_its_base() -> None:
    text = """
    graph(%x):
      %row : Tensor = aten::select(%x, 0, 1)
      %written : Tensor = aten::add_(%row, %row, 1)
      return (%row, %written)
    """
    x = optc.ones(2, 3)
    row, written = run_text(text, x)
    assert row is written
    np.testing.assert_array_equal(x, [[1, 1, 1], [2, 2, 2]])


def test_a_list_of_tensors_holds_the_tensors_themselves() -> None:
    text = """
    graph(%l : Tensor[], %x):
      %r : Tensor[] = aten::append(%l, %x)
      %first : Tensor = aten::__getitem__(%l, -1)
      return (%r, %first)
    """
    items: list[Any] = []
    x = tensor(1, 2)
    result, first = run_text(text, items, x)
    assert result is items
    assert items[0] is x
    assert first is x


def test_constants_are_tensors_lists_and_strings() -> None:
    text = """
    graph():
      %t = prim::Constant[value=tensor([1.5, 2.5])]()
      %l = prim::Constant[value=[1, 2]]()
      %d : Device = prim::Constant[value="cpu"]()
      return (%t, %l, %d, None)
    """
    constant, numbers, device, none = run_text(text)
    assert isinstance(constant, optc.Tensor)
    assert (constant.tolist(), numbers, device, none) == ([1.5, 2.5], [1, 2], "cpu", None)


def method(owner: ClassType, name: str, text: str) -> Function:
    function = Function(f"{owner.name}.{name}", graph=parse_graph(text, {owner.name: owner}))
    owner.methods[name] = function
    return function


@pytest.fixture
def counter() -> ScriptObject:
    owner = ClassType("__torch__.Counter", attributes={"total": ClassAttribute(TENSOR)})
    method(owner, "add", """
        graph(%self : __torch__.Counter, %x):
          %old : Tensor = prim::GetAttr[name="total"](%self)
          %new : Tensor = aten::add(%old, %x, 1)
          = prim::SetAttr[name="total"](%self, %new)
          return (%new)
    """)  # fmt: skip
    method(owner, "twice", """
        graph(%self : __torch__.Counter, %x):
          %first : Tensor = prim::CallMethod[name="add"](%self, %x)
          %second : Tensor = prim::CallMethod[name="add"](%self, %x)
          return (%second)
    """)  # fmt: skip
    return ScriptObject(owner, {"total": tensor(0)})


def test_methods_read_and_write_attributes(counter: ScriptObject) -> None:
    result = run(counter.type.methods["twice"], [counter, tensor(5)])
    assert result.tolist() == [10]
    assert counter.values["total"] is result


def test_objects_are_created_empty() -> None:
    owner = ClassType("__torch__.Pair")
    graph = parse_graph(
        "graph(%x):\n  %p : __torch__.Pair = prim::CreateObject()\n"
        '  = prim::SetAttr[name="first"](%p, %x)\n  return (%p)',
        {"__torch__.Pair": owner},
    )
    pair = run(graph, [3])
    assert (pair.type, pair.values) == (owner, {"first": 3})


def call_graph(function: Function) -> Any:
    graph = parse_graph(
        'graph(%x):\n  %f : Function = prim::Constant[name="f"]()\n'
        "  %r : Tensor = prim::CallFunction(%f, %x)\n  return (%r)"
    )
    next(graph.nodes).attributes["function"] = function
    return graph


def test_functions_are_called() -> None:
    negate = Function("__torch__.negate", graph=parse_graph("graph(%x):\n  %y = aten::neg(%x)\n  return (%y)"))
    assert run(call_graph(negate), [tensor(3)]).tolist() == [-3]


def test_ignored_functions_run_in_python() -> None:
    ignored = Function("__torch__.ignored")
    ignored.python_function = lambda x: x.tolist()
    assert run(call_graph(ignored), [tensor(3)]) == [3]
    graph = parse_graph("graph(%x):\n  %r : int = ^ignored[]()(%x)\n  return (%r)")
    next(graph.nodes).attributes["function"] = lambda x: x + 1
    assert run(graph, [3]) == 4


def test_forks_run_at_once_and_are_waited_for() -> None:
    text = """\
graph(%x):
  %f : Future[Tensor] = prim::fork_0(%x)
  %r : Tensor = aten::wait(%f)
  return (%r)
with prim::fork_0 = graph(%x):
  %y = aten::neg(%x)
  return (%y)
"""
    assert run_text(text, tensor(2)).tolist() == [-2]


def test_print_writes_as_a_script_does(capsys: pytest.CaptureFixture[str]) -> None:
    text = "graph(%x):\n  = prim::Print(%x, 1, 2.0, True, None)\n  = prim::Print()\n  return ()"
    run_text(text, tensor(0.5, 1))
    assert capsys.readouterr().out == " 0.5000\n 1.0000\n[ CPUFloatType{2} ] 1 2. True None\n\n"


def test_a_dimension_is_read_from_the_tensor_that_has_it() -> None:
    text = """
    graph(%x : Float(s0, 4), %n : int(s1)):
      %r : int = prim::Dim[dim=2*s0 + s1]()
      return (%r)
    """
    assert run_text(text, optc.zeros(3, 4), 10) == 16


def test_a_dimension_nothing_tells_is_an_error() -> None:
    with pytest.raises(ExecutionError, match="the dimension u7 has no value here"):
        run_text("graph(%x : Float(s0, 4)):\n  %r : int = prim::Dim[dim=u7]()\n  return (%r)", optc.zeros(3, 4))


class Context:
    def __init__(self) -> None:
        self.events: list[str] = []

    def __enter__(self) -> Context:
        self.events.append("enter")
        return self

    def __exit__(self, *_: object) -> None:
        self.events.append("exit")


WITH = """
graph(%c : Any, %fails : bool):
  %e : Any = prim::Enter(%c)
  = prim::If(%fails)
    block0():
      = prim::RaiseException("stop", None)
      -> ()
    block1():
      -> ()
  %x : Any = prim::Exit(%c)
  return (%e)
"""


def test_with_statements_enter_and_exit() -> None:
    context = Context()
    assert run_text(WITH, context, False) is context
    assert context.events == ["enter", "exit"]


def test_a_failing_program_leaves_its_with_statements() -> None:
    context = Context()
    with pytest.raises(ExecutionError, match="stop"):
        run_text(WITH, context, True)
    assert context.events == ["enter", "exit"]


SOURCE = """\
def inner(x):
    y = x + 1
    return torch.mm(x, y)

def outer(x):
    return inner(x)
"""


def failing_program() -> Any:
    inner = parse_graph("graph(%x):\n  %y = aten::add(%x, %x, 1)\n  %z = aten::mm(%x, %y)\n  return (%z)")
    list(inner.nodes)[-1].source = SourceRange("f.py", 3, 11, SOURCE, end_column=19)
    graph = call_graph(Function("__torch__.inner", graph=inner))
    list(graph.nodes)[-1].source = SourceRange("f.py", 6, 11, SOURCE, function="outer", end_column=16)
    return graph


def test_errors_show_the_way_to_the_failing_line() -> None:
    with pytest.raises(ExecutionError) as caught:
        run(failing_program(), [optc.zeros(2, 3)])
    assert str(caught.value) == (
        "The following operation failed in the TorchScript interpreter.\n"
        "Traceback of TorchScript (most recent call last):\n"
        '  File "f.py", line 6, in outer\n'
        "    return torch.mm(x, y)\n\ndef outer(x):\n    return inner(x)\n           ~~~~~ <--- HERE\n"
        '  File "f.py", line 3, in inner\n'
        "def inner(x):\n    y = x + 1\n    return torch.mm(x, y)\n           ~~~~~~~~ <--- HERE\n"
        "\ndef outer(x):\n    return inner(x)\n"
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"
    )
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ('graph():\n  = prim::RaiseException("too big", "builtins.ValueError")\n  return ()', (), "builtins.ValueError: too big"),
        ('graph():\n  = prim::RaiseException("AssertionError: no", None)\n  return ()', (), "RuntimeError: AssertionError: no"),
        ("graph(%l : int[]):\n  %a : int, %b : int = prim::ListUnpack(%l)\n  return (%a)", ([1],),
         "RuntimeError: Expected 2 elements in a list but found 1"),
        ("graph(%x : int?):\n  %y : int = prim::unchecked_unwrap_optional(%x)\n  return (%y)", (None,),
         "RuntimeError: Unwrapping null optional"),
        ("graph(%x):\n  %y = aten::no_such(%x)\n  return (%y)", (1,), "RuntimeError: optc has no operator aten::no_such(Tensor)"),
        ("graph():\n  %y : Tensor = prim::Constant[value=<Tensor>]()\n  return (%y)", (), "does not say what <Tensor> is"),
    ],
)  # fmt: skip
def test_failures(text: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ExecutionError) as caught:
        run_text(text, *arguments)
    assert message in str(caught.value).splitlines()[-1]


def test_an_unknown_operator_in_a_branch_not_taken_does_no_harm() -> None:
    text = """
    graph(%c : bool, %x):
      %r = prim::If(%c)
        block0():
          %y = aten::no_such(%x)
          -> (%y)
        block1():
          -> (%x)
      return (%r)
    """
    assert run_text(text, False, 3) == 3


def test_python_s_errors_tell_where_they_come_from() -> None:
    def boom(x: Any) -> None:
        raise KeyError("key")

    ignored = Function("__torch__.boom")
    ignored.python_function = boom
    with pytest.raises(
        ExecutionError, match=r"RuntimeError: KeyError: 'key'\n\nAt:\n  .*test_interpreter.py\(\d+\): boom"
    ):
        run(call_graph(ignored), [1])


def test_the_wrong_number_of_arguments_is_refused() -> None:
    with pytest.raises(TypeError, match="takes 1 arguments, not 2"):
        run_text("graph(%x):\n  return (%x)", 1, 2)


def test_a_changed_graph_is_prepared_anew() -> None:
    graph = parse_graph("graph(%x):\n  %y = aten::neg(%x)\n  return (%y)")
    assert run(graph, [tensor(1)]).tolist() == [-1]
    graph.block.return_node.set_input(0, graph.inputs[0])
    assert run(graph, [tensor(1)]).tolist() == [1]


def test_intermediate_tensors_are_released_as_soon_as_nobody_reads_them() -> None:
    import weakref

    seen: list[Any] = []
    graph = parse_graph(
        "graph(%x):\n  %y = aten::neg(%x)\n  %z = aten::neg(%y)\n  %n : int = ^look[]()(%z)\n  return (%z)"
    )
    nodes = list(graph.nodes)
    first = graph.create("prim::PythonOp", [nodes[0].output], [], {"function": lambda y: seen.append(weakref.ref(y))})
    first.insert_after(nodes[0])
    nodes[2].attributes["function"] = lambda z: seen[0]()
    assert run(graph, [tensor(1)]).tolist() == [1]
    assert seen[0]() is None


@pytest.mark.parametrize(
    ("node", "argument"),
    [("%r : int = prim::ListUnpack(%x)", [7]), ("%r : int = prim::TupleUnpack(%x)", (7,))],
)
def test_a_single_element_is_unpacked_too(node: str, argument: Any) -> None:
    kind = "int[]" if isinstance(argument, list) else "(int)"
    assert run_text(f"graph(%x : {kind}):\n  {node}\n  return (%r)", argument) == 7


def test_members_of_module_containers_are_found_by_place_or_key() -> None:
    owner = ClassType("__torch__.List")
    graph = parse_graph(
        "graph(%l : __torch__.List, %i : int):\n  %r : int = prim::ModuleContainerIndex(%l, %i)\n  return (%r)",
        {owner.name: owner},
    )
    members = ScriptObject(owner, {"training": True, "0": 5, "1": 6})
    assert [run(graph, [members, place]) for place in (0, 1, -1)] == [5, 6, 6]
    with pytest.raises(ExecutionError, match="list index out of range"):
        run(graph, [members, 2])
    assert run(graph, [ScriptObject(owner, {"a": 1}), "a"]) == 1


def test_objects_are_sorted_by_their_own_comparison() -> None:
    owner = ClassType("__torch__.Point")
    method(owner, "__lt__", """
        graph(%self : __torch__.Point, %other : __torch__.Point):
          %a : int = prim::GetAttr[name="x"](%self)
          %b : int = prim::GetAttr[name="x"](%other)
          %r : bool = aten::lt(%a, %b)
          return (%r)
    """)  # fmt: skip
    points = [ScriptObject(owner, {"x": x}) for x in (3, 1, 2)]
    text = "graph(%l : __torch__.Point[]):\n  %r : __torch__.Point[] = aten::sorted(%l)\n  return (%r)"
    result = run(parse_graph(text, {owner.name: owner}), [points])
    assert [point.values["x"] for point in result] == [1, 2, 3]


def test_tensors_are_made_from_lists() -> None:
    text = "graph(%l : int[]):\n  %t : Tensor = aten::tensor(%l, None, None, False)\n  return (%t)"
    result = run_text(text, [1, 2])
    assert isinstance(result, optc.Tensor)
    assert result.tolist() == [1, 2]


def test_the_gradient_mode_is_afterwards_what_it_was() -> None:
    """The mode that `with torch.no_grad()` puts back is that of the run, not one of when the program was read."""

    def program(x: optc.Tensor) -> optc.Tensor:
        with optc.no_grad():
            x = x * 2
        return x + 1

    scripted = optc.jit.script(program)
    for runs in (scripted, optc.compile(scripted, fallback="error")):
        for mode in (True, False):
            with optc.set_grad_enabled(mode):
                assert optc.equal(runs(optc.ones(2)), optc.full((2,), 3.0))
                assert optc.is_grad_enabled() is mode
