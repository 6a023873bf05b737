"""Code printed from graphs: PyTorch's text for the same graph, and what archives need beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc.errors import UnsupportedError
from optc.ir import types
from optc.ir.function import ClassAttribute, ClassType, Function
from optc.ir.graph import Graph
from optc.ir.parser import parse_graph
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import BOOL, FLOAT, INT, STRING, TENSOR, EnumType, ListType, OptionalType, TupleType
from optc.jit.code_constants import ConstantTable
from optc.jit.code_dependencies import Dependencies
from optc.jit.code_names import Names, wanted_name
from optc.jit.code_printer import print_class, print_function

assert optc.__doc__ is not False  # importing optc declares the operators


def function_of(graph: Graph, name: str = "f", defaults: dict[str, Any] | None = None) -> Function:
    given = defaults or {}
    arguments = tuple(
        Argument(base, value.type, base in given, given.get(base))
        for value in graph.inputs
        for base in [wanted_name(value.name)]
    )
    returned = graph.outputs[0].type if graph.outputs else types.NONE
    return Function(name, FunctionSchema(name, "", arguments, (Argument("", returned),)), graph)


def code(text: str, **defaults: Any) -> str:
    return print_function(function_of(parse_graph(text), defaults=defaults))[0]


CASES = {
    "expressions nest": (
        """
        graph(%x, %y):
          %2 = aten::mul(%x, %y)
          %3 = aten::add(%2, %x, 1)
          return (%3)
        """,
        "def f(x: Tensor,\n    y: Tensor) -> Tensor:\n  return torch.add(torch.mul(x, y), x)\n",
    ),
    "names are kept, and made unique": (
        """
        graph(%x.1):
          %x.3 = aten::relu(%x.1)
          %x.5 = aten::relu(%x.3)
          %6 = aten::mul(%x.5, %x.3)
          return (%6)
        """,
        "def f(x: Tensor) -> Tensor:\n  x0 = torch.relu(x)\n  x1 = torch.relu(x0)\n  return torch.mul(x1, x0)\n",
    ),
    "a value read twice needs a variable": (
        """
        graph(%x):
          %1 = aten::relu(%x)
          %2 = aten::mul(%1, %1)
          return (%2)
        """,
        "def f(x: Tensor) -> Tensor:\n  _0 = torch.relu(x)\n  return torch.mul(_0, _0)\n",
    ),
    "an expression does not pass another": (
        """
        graph(%x):
          %1 = aten::relu(%x)
          %2 = aten::neg(%x)
          %3 = aten::mul(%2, %1)
          return (%3)
        """,
        "def f(x: Tensor) -> Tensor:\n  _0 = torch.relu(x)\n  return torch.mul(torch.neg(x), _0)\n",
    ),
    "defaults are left out, keywords named": (
        """
        graph(%x):
          %1 = aten::add(%x, %x, 2)
          %2 = aten::sum(%1, None)
          return (%2)
        """,
        "def f(x: Tensor) -> Tensor:\n  return torch.sum(torch.add(x, x, alpha=2))\n",
    ),
    "long expressions are split, and those before them": (
        """
        graph(%first, %second):
          %2 = aten::neg(%first)
          %3 = aten::mul(%first, %second)
          %4 = aten::mul(%second, %first)
          %5 = aten::sub(%3, %4, 1)
          %6 = aten::mul(%2, %5)
          return (%6)
        """,
        (
            "def f(first: Tensor,\n    second: Tensor) -> Tensor:\n  _0 = torch.neg(first)\n"
            "  _1 = torch.sub(torch.mul(first, second), torch.mul(second, first))\n  return torch.mul(_0, _1)\n"
        ),
    ),
    "branches assign": (
        """
        graph(%x, %c : bool):
          %y : Tensor = prim::If(%c)
            block0():
              %3 = aten::neg(%x)
              -> (%3)
            block1():
              -> (%x)
          = prim::If(%c)
            block0():
              -> ()
            block1():
              = prim::RaiseException("AssertionError: no", None)
              -> ()
          return (%y)
        """,
        (
            "def f(x: Tensor,\n    c: bool) -> Tensor:\n  if c:\n    y = torch.neg(x)\n  else:\n    y = x\n"
            '  if c:\n    pass\n  else:\n    ops.prim.RaiseException("AssertionError: no")\n  return y\n'
        ),
    ),
    "for loops": (
        """
        graph(%x, %n : int):
          %y : Tensor = prim::Loop(%n, True, %x)
            block0(%i.1 : int, %y.3 : Tensor):
              %y.5 = aten::mul(%y.3, %i.1)
              -> (True, %y.5)
          return (%y)
        """,
        "def f(x: Tensor,\n    n: int) -> Tensor:\n  y = x\n  for i in range(n):\n    y = torch.mul(y, i)\n  return y\n",
    ),
    "while loops": (
        """
        graph(%x, %c : bool):
          %y : Tensor = prim::Loop(9223372036854775807, %c, %x)
            block0(%i.1 : int, %y.3 : Tensor):
              %y.5 = aten::neg(%y.3)
              %6 = aten::sum(%y.5, None)
              %7 : bool = aten::Bool(%6)
              -> (%7, %y.5)
          return (%y)
        """,
        (
            "def f(x: Tensor,\n    c: bool) -> Tensor:\n  y = x\n  i = c\n  while i:\n    y0 = torch.neg(y)\n"
            "    i, y = bool(torch.sum(y0)), y0\n  return y\n"
        ),
    ),
    "optional variables are annotated once": (
        """
        graph(%n : int):
          %y : int? = prim::Loop(%n, True, None)
            block0(%i : int, %y.3 : int?):
              -> (True, %i)
          return (%y)
        """,
        "def f(n: int) -> Optional[int]:\n  y: Optional[int] = None\n  for i in range(n):\n    y = i\n  return y\n",
    ),
    "containers": (
        """
        graph(%x, %n : int):
          %1 : Tensor[] = prim::ListConstruct(%x, %x)
          %2 : int[] = prim::ListConstruct()
          %3 : Tensor?[] = prim::ListConstruct(%x)
          %4 : (int) = prim::TupleConstruct(%n)
          %5 : Dict(str, int) = prim::DictConstruct("a", %n)
          %a : Tensor, %b : Tensor = prim::ListUnpack(%1)
          %c : int = prim::TupleIndex(%4, 0)
          = prim::Print(%2, %3, %5, %c)
          return (%b)
        """,
        (
            "def f(x: Tensor,\n    n: int) -> Tensor:\n  _0 = [x, x]\n  _1 = annotate(List[int], [])\n"
            '  _2 = annotate(List[Optional[Tensor]], [x])\n  _3 = (n,)\n  _4 = {"a": n}\n  a, b, = _0\n'
            "  c = (_3)[0]\n  print(_1, _2, _4, c)\n  return b\n"
        ),
    ),
    "constants": (
        """
        graph():
          %0 : float = prim::Constant[value=0.1]()
          %1 : Device = prim::Constant[value="cpu"]()
          %2 : int[] = prim::Constant[value=[1, 2]]()
          %3 : str = prim::Constant[value="it's a rather long text, longer than a line"]()
          %4 : (float, str, int, Device, int[], complex, bool) = prim::TupleConstruct(%0, %3, -1, %1, %2, 1j, True)
          return (%4)
        """,
        (
            "def f() -> Tuple[float, str, int, Device, List[int], complex, bool]:\n"
            '  _0 = "it\\\'s a rather long text, longer than a line"\n'
            '  _1 = (0.10000000000000001, _0, -1, torch.device("cpu"), [1, 2], 0.+1.j, True)\n  return _1\n'
        ),
    ),
    "types": (
        """
        graph(%x : int?, %u : Any):
          %2 : int = prim::unchecked_cast(%x)
          %3 : bool = prim::isinstance[types=[int, Tensor[]]](%u)
          %4 : int = prim::Uninitialized()
          %5 : int = prim::If(%3)
            block0():
              -> (%2)
            block1():
              -> (%4)
          return (%5)
        """,
        (
            "def f(x: Optional[int],\n    u: Any) -> int:\n  _0 = unchecked_cast(int, x)\n"
            "  _1 = isinstance(u, (int, List[Tensor]))\n  _2 = uninitialized(int)\n  if _1:\n    _3 = _0\n"
            "  else:\n    _3 = _2\n  return _3\n"
        ),
    ),
    "objects": (
        """
        graph(%m : __torch__.M, %x):
          %lin : __torch__.L = prim::GetAttr[name="lin"](%m)
          %_0 : __torch__.L = prim::GetAttr[name="0"](%lin)
          %4 = prim::CallMethod[name="forward"](%_0, %x)
          = prim::SetAttr[name="state"](%m, %4)
          return (%x)
        """,
        (
            'def f(m: __torch__.M,\n    x: Tensor) -> Tensor:\n  lin = m.lin\n  _0 = getattr(lin, "0")\n'
            "  m.state = (_0).forward(x, )\n  return x\n"
        ),
    ),
    "forks": (
        (
            "graph(%x):\n  %f.1 : Future[Tensor] = prim::fork_0(%x)\n  %2 : Tensor = aten::relu(%x)\n  return (%2)\n"
            "with prim::fork_0 = graph(%x):\n  %1 = aten::neg(%x)\n  return (%1)"
        ),
        (
            "def f(x: Tensor) -> Tensor:\n  def __forked_function():\n    return torch.neg(x)\n"
            "  f = fork(__forked_function)\n  return torch.relu(x)\n"
        ),
    ),
    "with statements": (
        """
        graph(%c : __torch__.Context, %x):
          %2 : int = prim::Enter(%c)
          %y = aten::mul(%x, %2)
          %4 : NoneType = prim::Exit(%c)
          %5 : NoneType = prim::Enter(%c)
          %6 : NoneType = prim::Exit(%c)
          return (%y)
        """,
        (
            "def f(c: __torch__.Context,\n    x: Tensor) -> Tensor:\n  with c as _0:\n    y = torch.mul(x, _0)\n"
            "  with c:\n    pass\n  return y\n"
        ),
    ),
    "python functions": (
        "graph(%x):\n  %y : Tensor = ^look[]()(%x)\n  return (%y)",
        "def f(x: Tensor) -> Tensor:\n  return ^look()(x)\n",
    ),
    "nothing": ("graph():\n  return ()", "def f() -> NoneType:\n  pass\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_functions(name: str) -> None:
    text, expected = CASES[name]
    assert code(text) == expected


def test_parameters_show_their_defaults() -> None:
    text = code("graph(%x : int?, %y : float, %z : int[], %s : str):\n  return (%y)", x=None, y=1.0, z=[1], s="a")
    assert text.splitlines()[:4] == [
        "def f(x: Optional[int]=None,",
        "    y: float=1.,",
        "    z: List[int]=[1],",
        '    s: str="a") -> float:',
    ]


def test_a_loop_with_both_a_count_and_a_condition_is_no_statement() -> None:
    text = """
    graph(%n : int, %c : bool):
      = prim::Loop(%n, %c)
        block0(%i : int):
          -> (%c)
      return (%n)
    """
    with pytest.raises(UnsupportedError, match="a loop with both"):
        code(text)


def test_a_chain_of_any_length_is_printed() -> None:
    lines = "".join(f"  %{place} = aten::relu(%{place - 1 or 'x'})\n" for place in range(1, 3000))
    assert code(f"graph(%x):\n{lines}  return (%2999)").count("torch.relu") == 2999


def test_called_functions_are_named_in_full() -> None:
    graph = parse_graph(
        'graph(%x):\n  %1 : Function = prim::Constant[name="g"]()\n  %2 : Tensor = prim::CallFunction(%1, %x)\n  return (%2)'
    )
    next(graph.nodes).attributes["function"] = Function("__torch__.a.g")
    assert print_function(function_of(graph))[0].splitlines()[1] == "  return __torch__.a.g(x, )"


def test_tensors_and_foreign_strings_become_numbered_constants() -> None:
    graph = parse_graph("""
        graph():
          %0 = prim::Constant[value=tensor([1, 2])]()
          %1 = prim::Constant[value=tensor([1, 2])]()
          %2 = prim::Constant[value=tensor([1, 2], Half)]()
          %3 : str = prim::Constant[value="ä"]()
          = prim::Print(%0, %1, %2, %3)
          return ()
    """)
    list(graph.nodes)[3].attributes["value"] = "ä"
    text, constants = print_function(function_of(graph))
    assert text.splitlines()[1] == "  print(CONSTANTS.c0, CONSTANTS.c0, CONSTANTS.c1, CONSTANTS.c2)"
    np.testing.assert_array_equal(constants[0], [1, 2])
    assert constants[1].dtype == np.float16
    assert constants[2] == "ä"


def test_names_avoid_keywords_and_each_other() -> None:
    names = Names()
    assert [names.unique(name) for name in ("x", "x", "x0", "lambda", "_", "_")] == [
        "x",
        "x0",
        "x00",
        "lambda0",
        "_0",
        "_1",
    ]
    assert [wanted_name(name) for name in ("x.1", "a.b.2", "12", "", "self.0.weight", "_0")] == [
        "x", "a_b", "_", "_", "self_0_weight", "_0",
    ]  # fmt: skip


# Classes.


def definition(item: Any, constants: ConstantTable | None = None) -> tuple[str, Dependencies]:
    dependencies = Dependencies()
    return print_class(item, constants or ConstantTable(), dependencies), dependencies


def method(owner: ClassType, name: str, text: str) -> Function:
    graph = parse_graph(text, {owner.name: owner})
    owner.methods[name] = function_of(graph, f"{owner.name}.{name}")
    return owner.methods[name]


def test_modules() -> None:
    inner = ClassType("__torch__.Inner", is_module=True)
    module = ClassType(
        "__torch__.a.Outer",
        is_module=True,
        attributes={
            "w": ClassAttribute(TENSOR, is_parameter=True),
            "b": ClassAttribute(TENSOR, is_buffer=True),
            "inner": ClassAttribute(inner),
            "0": ClassAttribute(inner),
        },
        constants={"k": 3, "names": ["a"]},
        constant_types={"k": INT, "names": ListType(STRING)},
    )
    method(module, "forward", """
        graph(%self : __torch__.a.Outer, %x):
          %w : Tensor = prim::GetAttr[name="w"](%self)
          %y = aten::mul(%x, %w)
          return (%y)
    """)  # fmt: skip
    text, dependencies = definition(module)
    assert text == (
        'class Outer(Module):\n  __parameters__ = ["w", ]\n  __buffers__ = ["b", ]\n  w : Tensor\n  b : Tensor\n'
        '  inner : __torch__.Inner\n  __annotations__["0"] = __torch__.Inner\n  k : Final[int] = 3\n'
        '  names : Final[List[str]] = ["a"]\n  def forward(self: __torch__.a.Outer,\n    x: Tensor) -> Tensor:\n'
        "    w = self.w\n    return torch.mul(x, w)\n"
    )
    assert dependencies.items == [inner, module]


def test_code_of_a_method_leaves_out_the_type_of_self() -> None:
    module = ClassType("__torch__.M", is_module=True)
    forward = method(module, "forward", "graph(%self : __torch__.M, %x):\n  return (%x)")
    assert print_function(forward)[0] == "def forward(self,\n    x: Tensor) -> Tensor:\n  return x\n"


def test_an_attribute_that_is_no_identifier_comes_with_its_dictionary() -> None:
    module = ClassType("__torch__.M", is_module=True, attributes={"0": ClassAttribute(INT)})
    assert definition(module)[0].splitlines()[3:] == ["  __annotations__ = []", '  __annotations__["0"] = int']


def test_hooks_are_listed_and_printed_once() -> None:
    module = ClassType("__torch__.M", is_module=True)
    hook = function_of(parse_graph("graph(%self : __torch__.M, %x):\n  return (%x)", {"__torch__.M": module}), "hook")
    module.forward_hooks.extend([hook, hook])
    module.forward_pre_hooks.append(hook)
    text = definition(module)[0]
    assert '  __forward_pre_hooks__ = ["hook", ]\n  __forward_hooks__ = ["hook", "hook", ]\n' in text
    assert text.count("def hook(self: __torch__.M,") == 1


def test_temporaries_are_counted_through_a_file() -> None:
    module = ClassType("__torch__.M", is_module=True)
    body = "graph(%self : __torch__.M, %x):\n  %1 = aten::relu(%x)\n  %2 = aten::mul(%1, %1)\n  return (%2)"
    method(module, "f", body)
    method(module, "g", body)
    numbers: dict[str, int] = {}
    texts = [print_class(module, ConstantTable(), Dependencies(), numbers) for _ in range(2)]
    assert [[f"_{place} = torch.relu(x)" in text for place in range(4)] for text in texts] == [
        [True, True, False, False],
        [False, False, True, True],
    ]


def test_other_definitions() -> None:
    tuple_type = TupleType((TENSOR, OptionalType(INT)), "__torch__.a.Pair", ("first", "second"))
    assert definition(tuple_type)[0] == "class Pair(NamedTuple):\n  first : Tensor\n  second : Optional[int]\n"
    numbers = EnumType("__torch__.Color", INT, (("RED", 1), ("BLUE", 2)))
    assert definition(numbers)[0] == "class Color(Enum):\n  RED = 1\n  BLUE = 2\n"
    words = EnumType("__torch__.Tag", STRING, (("A", "a"),))
    assert definition(words)[0] == 'class Tag(Enum):\n  A = "a"\n'
    interface = ClassType("__torch__.Shape", is_module=True, is_interface=True)
    arguments = (Argument("self", interface), Argument("x", TENSOR), Argument("n", FLOAT))
    schema = FunctionSchema("area", "", arguments, (Argument("", BOOL),))
    interface.methods["area"] = Function("__torch__.Shape.area", schema)
    assert definition(interface)[0] == (
        "class Shape(ModuleInterface):\n  def area(self, x: Tensor, n: float) -> bool:\n    pass\n"
    )


def test_archives_hold_no_python_functions() -> None:
    module = ClassType("__torch__.M", is_module=True)
    method(module, "forward", "graph(%self : __torch__.M, %x):\n  %y : Tensor = ^look[]()(%x)\n  return (%y)")
    with pytest.raises(UnsupportedError, match="Could not export Python function call 'look'"):
        definition(module)


def test_dependencies_are_found_inside_types() -> None:
    inner = ClassType("__torch__.Inner")
    dependencies = Dependencies()
    dependencies.add_type(OptionalType(ListType(TupleType((INT, inner)))))
    dependencies.add_type(inner)
    assert dependencies.items == [inner]
