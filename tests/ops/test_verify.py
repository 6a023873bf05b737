"""What the verifier demands of operators, and of functional and core graphs; each demand broken once."""

from __future__ import annotations

import pytest

import optc
from optc.errors import VerifyError
from optc.ir.parser import parse_graph
from optc.ir.text import print_graph
from optc.ops.verify import Form, verify

assert optc.__doc__ is not False  # importing optc declares the operators

GOOD = """\
graph(%x : Float(s0, 4),
      %n : int(s1)):
  %2 : int(1) = prim::Constant[value=1]()
  %3 : Float(s0, 4) = aten::add(%x, %x, %2)
  %4 : Float(4, s0) = aten::t(%3)
  %5 : int(2*s0) = prim::Dim[dim=2*s0]()
  return (%4, %5)
"""


@pytest.mark.parametrize("form", ["captured", "functional", "core"])
def test_a_good_graph_passes_and_stays_as_it_is(form: Form) -> None:
    graph = parse_graph(GOOD)
    verify(graph, form=form)
    before = print_graph(parse_graph(GOOD), exact=True).replace("aten::add(", "aten::add.Tensor(")
    assert print_graph(graph, exact=True) == before.replace("aten::t(", "aten::t.default(")


@pytest.mark.parametrize("form", ["captured", "functional", "core"])
def test_operators_that_optc_does_not_have_are_left_to_the_interpreter(form: Form) -> None:
    verify(parse_graph("graph(%x : Float(s0)):\n  %y : Float(2) = aten::no_such(%x)\n  return (%y)"), form=form)


@pytest.mark.parametrize(
    ("form", "node", "problem"),
    [
        ("captured", "%y = aten::relu(%n, %x)", r"no overload of aten::relu takes \(int, Float\(s0, 4\)\)"),
        ("captured", "%y = aten::relu(%n)", "no overload of aten::relu takes"),
        ("captured", "%y = aten::add.Strange(%x, %x, 1)", "there is no operator aten::add.Strange"),
        ("captured", "%y = aten::add.Tensor(%x, %n, 1)", "does not take"),
        ("captured", "%y, %z = aten::relu(%x)", "has 1 results"),
        (
            "captured",
            "%y : Double(s0, 4) = aten::relu(%x)",
            r"the type says Double\(s0, 4\), the operator's rule Float",
        ),
        ("captured", "%y : Float(s0) = aten::relu(%x)", "the operator's rule"),
        ("captured", "%y : Float(s0, 5) = aten::relu(%x)", "the operator's rule"),
        ("captured", "%y : Float(1, 4) = aten::relu(%x)", "the operator's rule"),
        ("functional", "%y = aten::relu_(%x)", "writes its argument"),
        ("functional", '%y = prim::GetAttr[name="w"](%m)', "prim::GetAttr has no place"),
        ("functional", '%y = prim::CallMethod[name="w"](%m)', "prim::CallMethod has no place"),
        ("core", "%y : Tensor = aten::relu(%x)", "the operator's rule"),
        ("core", "%y : Float(s0, s1) = aten::relu(%x)", "the operator's rule"),
        ("core", "%y : Float(s1, 4) = aten::relu(%x)", "the operator's rule"),
        ("core", "%y : Tensor = aten::no_such(%x)", "%y needs an element type and a rank"),
        ("core", "%y : int(3) = prim::Dim[dim=s0]()", "must be the int s0"),
    ],
)
def test_mistakes(form: Form, node: str, problem: str) -> None:
    text = f"graph(%x : Float(s0, 4), %n : int(s1), %m : Any):\n  {node}\n  return (%x)"
    with pytest.raises(VerifyError, match=problem):
        verify(parse_graph(text), form=form)


def test_what_a_stricter_form_refuses_another_may_allow() -> None:
    verify(parse_graph("graph(%x : Float(s0, 4)):\n  %y : Tensor = aten::relu_(%x)\n  return (%y)"), form="captured")
    verify(parse_graph("graph(%x : Float(s0, 4)):\n  %y : Tensor = aten::relu(%x)\n  return (%y)"), form="functional")


@pytest.mark.parametrize("place", ["input", "parameter"])
def test_core_graphs_take_typed_tensors(place: str) -> None:
    if place == "input":
        text = "graph(%x):\n  return (%x)"
    else:
        text = (
            "graph(%x : Float(4), %n : int):\n  %y = prim::Loop(%n, True, %x)\n    block0(%i : int, %z):\n"
            "      -> (True, %z)\n  return (%x)"
        )
    with pytest.raises(VerifyError, match="needs an element type and a rank"):
        verify(parse_graph(text), form="core")
