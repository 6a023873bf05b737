"""Every invariant of the verifier, broken once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optc.errors import VerifyError
from optc.ir import types
from optc.ir.function import ClassAttribute, ClassType
from optc.ir.graph import Graph, Node
from optc.ir.parser import parse_graph
from optc.ir.verify import verify_structure

LOOP = """
graph(%x : Tensor, %n : int, %c : bool):
  %l : Tensor[] = prim::ListConstruct(%x, %x)
  %a : Tensor, %b : Tensor = prim::ListUnpack(%l)
  %t : (Tensor, int) = prim::TupleConstruct(%a, %n)
  %y : Tensor, %k : int = prim::Loop(%n, %c, %x, %n)
    block0(%i : int, %y.1 : Tensor, %k.1 : int):
      %z : Tensor = prim::If(%c)
        block0():
          %z.1 : Tensor = aten::relu(%y.1)
          -> (%z.1)
        block1():
          %u : Tensor = prim::Uninitialized()
          -> (%u)
      -> (%c, %z, %i)
  return (%y, %k)
"""


def test_a_good_graph_passes() -> None:
    verify_structure(parse_graph(LOOP))


def find(graph: Graph, kind: str) -> Node:
    return next(node for node in graph.walk() if node.kind == kind)


def break_next(graph: Graph) -> None:
    first, second = list(graph.nodes)[:2]
    second.previous = graph.block.param_node
    del first


def break_owner(graph: Graph) -> None:
    find(graph, "aten::relu").owner = graph.block


def two_places(graph: Graph) -> None:
    node = find(graph, "prim::If")
    node.blocks.append(node.blocks[0])


def break_offset(graph: Graph) -> None:
    find(graph, "prim::ListUnpack").outputs.reverse()


def forget_use(graph: Graph) -> None:
    graph.inputs[0]._uses.popitem()


def invent_use(graph: Graph) -> None:
    relu = find(graph, "aten::relu")
    graph.inputs[0]._uses.update(relu.inputs[0]._uses)


def move_down(graph: Graph) -> None:
    find(graph, "prim::ListConstruct").move_before(graph.block.return_node)


def read_from_inside(graph: Graph) -> None:
    graph.block.return_node.set_input(0, find(graph, "aten::relu").output)


def own_block(graph: Graph) -> None:
    find(graph, "aten::relu").add_block()


def if_parameter(graph: Graph) -> None:
    find(graph, "prim::If").blocks[0].add_input()


def if_condition(graph: Graph) -> None:
    find(graph, "prim::If").set_input(0, graph.inputs[1])


def if_blocks(graph: Graph) -> None:
    del find(graph, "prim::If").blocks[1]


def if_results(graph: Graph) -> None:
    find(graph, "prim::If").blocks[0].add_output(graph.inputs[0])


def if_type(graph: Graph) -> None:
    find(graph, "prim::If").blocks[0].return_node.set_input(0, graph.inputs[1])


def loop_inputs(graph: Graph) -> None:
    find(graph, "prim::Loop").set_input(0, graph.inputs[2])


def loop_count(graph: Graph) -> None:
    find(graph, "prim::Loop").remove_input(3)


def loop_parameter(graph: Graph) -> None:
    find(graph, "prim::Loop").blocks[0].add_input()


def loop_return(graph: Graph) -> None:
    find(graph, "prim::Loop").blocks[0].return_node.remove_input(2)


def loop_counter(graph: Graph) -> None:
    find(graph, "prim::Loop").blocks[0].inputs[0].type = types.FLOAT


def loop_condition(graph: Graph) -> None:
    find(graph, "prim::Loop").blocks[0].return_node.set_input(0, graph.inputs[1])


def loop_initial(graph: Graph) -> None:
    find(graph, "prim::Loop").set_input(2, graph.inputs[1])


def loop_back(graph: Graph) -> None:
    find(graph, "prim::Loop").blocks[0].return_node.set_input(1, graph.inputs[1])


def loop_output(graph: Graph) -> None:
    find(graph, "prim::Loop").outputs[1].type = types.FLOAT


BREAKS: list[tuple[Callable[[Graph], None], str]] = [
    (break_next, "as the node before it"),
    (break_owner, "does not name the block it stands in"),
    (two_places, "stands in two places"),
    (break_offset, "names another node or place as its definition"),
    (forget_use, "does not know that it is read here"),
    (invent_use, "is said to be input 0 of"),
    (move_down, "input 0 of prim::ListUnpack is read where it is not defined"),
    (read_from_inside, "input 0 of prim::Return is read where it is not defined"),
    (own_block, "aten::relu must not own blocks"),
    (if_parameter, "take no parameters"),
    (if_condition, "reads one bool"),
    (if_blocks, "owns two blocks, not 1"),
    (if_results, "returns 2 values for 1 outputs"),
    (if_type, "a value of type int is returned for an output of type Tensor"),
    (loop_inputs, "reads an int and a bool first"),
    (loop_count, "reads 3 values and gives 2"),
    (loop_parameter, "the block takes 4 values, not 3"),
    (loop_return, "the block returns 2, not 3"),
    (loop_counter, "first parameter counts"),
    (loop_condition, "first returns whether to go on"),
    (loop_initial, "of type int, comes into the loop as a Tensor"),
    (loop_back, "of type int, comes into the loop as a Tensor"),
    (loop_output, "the loop gives a float where a int comes out"),
]


@pytest.mark.parametrize(("damage", "problem"), BREAKS, ids=lambda item: getattr(item, "__name__", ""))
def test_structure(damage: Callable[[Graph], None], problem: str) -> None:
    graph = parse_graph(LOOP)
    damage(graph)
    with pytest.raises(VerifyError, match=problem):
        verify_structure(graph)


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        ("%r : Tensor[] = prim::ListConstruct(%x, %n)", "%n is a int, where a Tensor belongs"),
        ("%r : int = prim::ListConstruct(%n)", "makes a list"),
        ("%r : int = prim::ListUnpack(%l)", "an element of Tensor\\[\\] is called a int"),
        ("%r : int = prim::ListUnpack(%x)", "reads a list"),
        ("%r : Tensor[] = prim::ListAppend(%l, %n)", "%n is a int, where a Tensor belongs"),
        ("%r : int[] = prim::ListAppend(%l, %x)", "a Tensor\\[\\] is called a int\\[\\]"),
        ("%r : (Tensor, int) = prim::TupleConstruct(%x)", "has 1 elements, its type 2"),
        ("%r : (Tensor, int) = prim::TupleConstruct(%x, %x)", "%x is a Tensor, where a int belongs"),
        ("%r : Tensor = prim::TupleUnpack(%t)", "the tuple has 2 elements"),
        ("%r : int, %s : int = prim::TupleUnpack(%t)", "an element of type Tensor is called a int"),
        ("%r : int = prim::TupleIndex(%t, 0)", "an element of type Tensor is called a int"),
        ("%r : int = prim::TupleIndex(%t, 2)", "the tuple has no element 2"),
        ("%r : int = prim::TupleIndex(%l, 0)", "reads a tuple"),
        ("%r : (int, int) = prim::TupleSlice[beg=0, end=2](%t)", "a \\(Tensor, int\\) is called a \\(int, int\\)"),
        ("%r : Dict(str, int) = prim::DictConstruct(%n, %n)", "%n is a int, where a str belongs"),
        ("%r : Dict(str, int) = prim::DictConstruct(%n)", "pairs keys and values"),
        ("%r : int = prim::Constant(%n)", "reads nothing"),
        ("%r : int = prim::Constant()", "the constant NoneType is no int"),
        ('%r : int = prim::Constant[value="a"]()', "the constant str is no int"),
        ("%r : int[] = prim::Constant[value=[1, 2.5]]()", "the constant list is no int"),
        ("%r : Float(2) = prim::Constant[value=1]()", "the constant int is no Float"),
        ("%r : Tensor = prim::GetAttr[name=\"w\"](%n)", "reads an object, not a int"),
        ("%r : Tensor = prim::GetAttr[name=\"v\"](%m)", "__torch__.M has no attribute v"),
        ("%r : int = prim::GetAttr[name=\"w\"](%m)", "the attribute w is a Tensor"),
        ("= prim::SetAttr[name=\"w\"](%m, %n)", "the attribute w is a Tensor"),
        ("%r : int = prim::CallMethod[name=\"f\"](%m)", "__torch__.M has no method f"),
    ],
)  # fmt: skip
def test_nodes(node: str, problem: str) -> None:
    owner = ClassType("__torch__.M", attributes={"w": ClassAttribute(types.TENSOR)})
    text = f"graph(%x, %n : int, %l : Tensor[], %t : (Tensor, int), %m : __torch__.M):\n  {node}\n  return (%x)"
    with pytest.raises(VerifyError, match=problem):
        verify_structure(parse_graph(text, {owner.name: owner}))


@pytest.mark.parametrize("array", [np.zeros(2, np.float64), np.zeros(3, np.float32), np.zeros((1, 2), np.float32)])
def test_a_tensor_constant_has_the_type_it_says(array: np.ndarray[Any, Any]) -> None:
    graph = parse_graph("graph():\n  %r : Float(2) = prim::Constant[value=tensor([1, 2], Float)]()\n  return (%r)")
    verify_structure(graph)
    next(graph.nodes).attributes["value"] = array
    with pytest.raises(VerifyError, match="the constant ndarray is no Float"):
        verify_structure(graph)


def test_graphs_inside_nodes_are_checked_too() -> None:
    graph = parse_graph(
        "graph(%x):\n  %f : Future[Tensor] = prim::fork_0(%x)\n  return (%f)\n"
        "with prim::fork_0 = graph(%x):\n  %r : int = prim::TupleIndex(%x, 0)\n  return (%r)"
    )
    with pytest.raises(VerifyError, match="reads a tuple"):
        verify_structure(graph)


def test_the_message_shows_the_graph_with_a_mark() -> None:
    graph = parse_graph(LOOP)
    if_type(graph)
    with pytest.raises(VerifyError) as caught:
        verify_structure(graph)
    lines = str(caught.value).splitlines()
    assert "-->           -> (%n)" in lines
    assert "              %z.1 : Tensor = aten::relu(%y.1)" in lines
