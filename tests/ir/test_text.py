"""Graph text: what print_graph writes, parse_graph reads, in torch's form and in the shorter form of file tests."""

from __future__ import annotations

import numpy as np
import pytest

from optc.errors import ParseError
from optc.ir import types
from optc.ir.dims import symbol
from optc.ir.graph import Graph
from optc.ir.parser import parse_graph
from optc.ir.text import print_graph, print_node
from optc.ir.types import IntType, ListType, TensorType

LOOP = """\
graph(%x.1 : Tensor,
      %n.1 : int):
  %2 : bool = prim::Constant[value=1]() # f.py:2:4
  %3 : NoneType = prim::Constant()
  %y : Tensor, %i : int = prim::Loop(%n.1, %2, %x.1, %n.1) # f.py:3:4
    block0(%7 : int, %y.5 : Tensor, %i.5 : int):
      %10 : Tensor = aten::sum(%y.5, %3), scope: __module.lin # f.py:4:11
      %11 : bool = aten::Bool(%10)
      %y.9 : Tensor = prim::If(%11)
        block0():
          -> (%y.5)
        block1():
          %13 : Tensor = aten::neg(%y.5)
          -> (%13)
      -> (%2, %y.9, %7)
   = prim::Print(%i)
  return (%y)
"""

FORK = """\
graph(%x.1 : Tensor):
  %f.1 : Future[Tensor] = prim::fork_0(%x.1)
  %2 : Tensor = aten::wait(%f.1)
  return (%2)
with prim::fork_0 = graph(%x.1 : Tensor):
  %1 : Tensor = ^scale[]()(%x.1)
  return (%1)
"""


@pytest.mark.parametrize("text", [LOOP, FORK], ids=["loop", "fork"])
def test_a_parsed_graph_prints_as_it_was_written(text: str) -> None:
    assert str(parse_graph(text)) == text


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("int", "9223372036854775807"),
        ("int", "-3"),
        ("bool", "1"),
        ("float", "1.0000000000000001e-05"),
        ("float", "-0."),
        ("float", "10000000000"),
        ("float", "nan"),
        ("float", "-inf"),
        ("complex", "0.+1.j"),
        ("complex", "-1.5-2.j"),
        ("str", r'"q\"\n\t\\\001"'),
        ("str", r'"\0)+\/.)"'),
        ("Device", '"cuda:0"'),
        ("int[]", "[1, -2]"),
        ("int[][]", "[[1], []]"),
        ("(int, str, float)", '(1, "a", 2.)'),
        ("(int)", "(1,)"),
        ("(NoneType, bool)", "(None, True)"),
        ("Dict(str, int)", '{"a": 1}'),
        ("Long(requires_grad=0, device=cpu)", "{5}"),
        ("Tensor", "{0.333333}"),
        ("ComplexFloat()", "{(1,2)}"),
        ("Float(2)", " 1  2 [ CPUFloatType{2} ]"),
        ("Long(2)", "    1 -2000 [ CPULongType{2} ]"),
        ("Float(3)", " 1.5000     nan     inf [ CPUFloatType{3} ]"),
        ("Float(2, 2)", " 1.0000  2.0000  3.0000  0.0010 [ CPUFloatType{2,2} ]"),
        ("Long(1, 2, 2)", "(1,.,.) =   1  2   3  4 [ CPULongType{1,2,2} ]"),
        ("Float(2)", " 1.0000e-08  1.0000e+00 [ CPUFloatType{2} ]"),
        ("Float(0, 3)", "[ CPUFloatType{0,3} ]"),
        ("Float(3, 4)", "<Tensor>"),
        ("Tensor[]", "[<Tensors>]"),
        ("(Float(2), int)", "( 1  1 [ CPUFloatType{2} ], 1)"),
        ("Enum<__torch__.Color>", "__torch__.Color.RED"),
    ],
)
def test_constants_keep_torch_s_spelling(type_: str, value: str) -> None:
    text = f"graph():\n  %0 : {type_} = prim::Constant[value={value}]()\n  return (%0)\n"
    assert str(parse_graph(text)) == text


def test_values_without_a_name_are_numbered_by_position() -> None:
    graph = Graph()
    x = graph.add_input(name="x")
    first = graph.insert("aten::relu", [x], [types.TENSOR]).output
    named = graph.insert("aten::relu", [first], [types.TENSOR]).output
    named.name = "x"
    graph.add_output(graph.insert("aten::relu", [named], [types.TENSOR]).output)
    assert str(graph) == (
        "graph(%x : Tensor):\n  %1 : Tensor = aten::relu(%x)\n  %x.1 : Tensor = aten::relu(%1)\n"
        "  %3 : Tensor = aten::relu(%x.1)\n  return (%3)\n"
    )


def test_a_number_that_serves_as_a_name_is_not_given_twice() -> None:
    graph = parse_graph("graph(%1 : Tensor):\n  %0 = aten::relu(%1)\n  return (%0)")
    graph.block.prepend(graph.create("aten::relu", [graph.inputs[0]], [types.TENSOR]))
    assert "%2 : Tensor = aten::relu(%1)" in str(graph)


def test_sources_can_be_left_out() -> None:
    assert "#" not in print_graph(parse_graph(LOOP), sources=False)


def test_a_single_node_prints_with_its_blocks() -> None:
    node = next(node for node in parse_graph(LOOP).walk() if node.kind == "prim::If")
    assert print_node(node).splitlines()[0] == "%y.9 : Tensor = prim::If(%11)"
    assert "    -> (%y.5)" in print_node(node).splitlines()


CORE = """\
graph(%x : Float(s0, 4),
      %n : int(s1)):
  %2 : int(2*s0) = prim::Dim[dim=2*s0]()
  %3 : Float(3) = prim::Constant[value=tensor([1.0, 0.1, nan], Float(3))]()
  %4 : Long(0, 2) = prim::Constant[value=tensor([], Long(0, 2))]()
  %5 : BFloat16() = prim::Constant[value=tensor([0.100098], BFloat16())]()
  %6 : int(1) = prim::Constant[value=1]()
  %7 : Float(s0, 4) = aten::add.Tensor(%x, %x, %6)
  %8 : Float(s0, 4) = aten::relu.default(%7)
  return (%8)
"""


def test_exact_text_keeps_overloads_dimensions_and_elements() -> None:
    graph = parse_graph(CORE)
    assert print_graph(graph, exact=True) == CORE
    dim, array = (node.output for node in list(graph.nodes)[:2])
    assert isinstance(dim.type, IntType)
    assert dim.type.dim == 2 * symbol("s0")
    np.testing.assert_array_equal(array.constant, np.array([1.0, 0.1, np.nan], np.float32))
    assert list(graph.nodes)[5].overload == "Tensor"
    assert list(graph.nodes)[6].overload == ""


def test_plain_text_of_a_core_graph_is_torch_s() -> None:
    lines = str(parse_graph(CORE)).splitlines()
    assert lines[2] == "  %2 : int = prim::Dim[dim=2*s0]()"
    assert lines[7] == "  %7 : Float(s0, 4) = aten::add(%x, %x, %6)"


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "bool", "complex64"])
def test_exact_tensors_come_back_bit_for_bit(dtype: str) -> None:
    data = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.complex128 if dtype == "complex64" else float)
    array = data.astype(dtype)
    graph = Graph()
    graph.add_output(graph.insert_constant(array, types.TENSOR))
    read = parse_graph(print_graph(graph, exact=True)).outputs[0].constant
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_types_and_constants_may_be_left_out() -> None:
    graph = parse_graph("""
        # a comment
        graph(%x, %n : int):
          %c = prim::Constant[value=2.5]()   # not a place in a file
          %t = prim::Constant[value=tensor([[1, 2], [3, 4]])]()
          %y = aten::add(%x, %c, 1)
          return (%y, None)
    """)
    constant, tensor, one, add, none = graph.nodes
    assert constant.output.type is types.FLOAT
    assert tensor.output.type == TensorType(tensor.output.type.dtype, (2, 2))
    assert add.inputs[2] is one.output
    assert one.output.type == types.INT
    assert none.output.type is types.NONE
    assert graph.outputs == (add.output, none.output)


def test_literal_lists_become_constants() -> None:
    graph = parse_graph('graph(%x):\n  %y = aten::mean(%x, [1, -1], True, None)\n  = prim::Print("a")\n  return (%y)')
    literals = [node for node in graph.nodes if node.kind == "prim::Constant"]
    assert [node.attributes.get("value") for node in literals] == [[1, -1], True, None, "a"]
    assert literals[0].output.type == ListType(types.INT)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("graph(%x):\n  %y = aten::relu(%z)\n  return (%y)", 2, "%z is not defined here"),
        ("graph(%x):\n  %y = aten::relu(%y)\n  return (%y)", 2, "%y is not defined here"),
        ("graph(%x):\n  %x = aten::relu(%x)\n  return (%x)", 2, "%x is defined twice"),
        ("graph(%x):\n  %y, %y = aten::f(%x)\n  return (%x)", 2, "%y is defined twice"),
        ("graph(%x : Tensr):\n  return (%x)", 1, "unknown type 'Tensr'"),
        ("graph(%x):\n  %y : int = prim::Constant[value=](1)\n  return (%x)", 2, "expected a value"),
        ("graph(%x):\n\n  %y = relu(%x)\n  return (%x)", 3, "expected an operator"),
        ("graph(%x):\n  %y = aten::relu(%x\n  return (%x)", 2, "expected ','"),
        ("graph(%x):\n  %y = aten::relu(%x) %x\n  return (%x)", 2, "expected the end of the line"),
        ("graph(%x):\n  %y = aten::relu(%x)\n", 2, "the graph has no end"),
        ("graph(%x):\n  return (%x)\n  %y = aten::relu(%x)\n", 3, "expected the end of the text"),
        ('graph():\n  = prim::Print("abc)\n  return ()', 2, "the string has no end"),
        ("graph():\n  %t = prim::Constant[value=tensor([1, 2], Float(3))]()\n  return ()", 2, "do not fit its type"),
        (
            "graph(%c : bool):\n  = prim::If(%c)\n    block0():\n      %y = aten::f()\n      -> ()\n  return (%y)",
            6,
            "%y",
        ),
    ],
)
def test_mistakes_are_reported_with_their_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(ParseError, match="graph") as caught:
        parse_graph(text)
    assert reason in str(caught.value)
    assert caught.value.source is not None
    assert caught.value.source.line == line
