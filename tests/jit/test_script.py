"""Scripting: what compiled programs compute, what is shared, what graphs look like."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import optc
import optc.jit
from optc.errors import ScriptError
from optc.jit.recursive import compile_function, compile_module
from tests.jit.both import run_program
from tests.jit.script_programs import PROGRAMS, load


def same(left: Any, right: Any) -> bool:
    if isinstance(left, optc.Tensor):
        return isinstance(right, optc.Tensor) and optc.allclose(left, right) and left.dtype is right.dtype
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "static conditions"])
def test_a_scripted_program_computes_what_python_computes(name: str, tmp_path: Path) -> None:
    """Python runs a second copy of the program: modules have state."""
    space, twin = (load(name, optc, tmp_path) for _ in range(2))
    arguments, others = (eval(f"({PROGRAMS[name].arguments},)", each) for each in (space, twin))
    scripted = optc.jit.script(space["program"])
    assert same(scripted(*arguments), twin["program"](*others))


def test_graph_text(tmp_path: Path) -> None:
    space = load("gate", optc, tmp_path)
    graph = str(optc.jit.script(space["program"]).graph).replace(str(tmp_path / "optc_program.py"), "gate.py")
    graph = re.sub(r"___torch_mangle_\d+\.", "", graph)
    assert graph.splitlines() == [
        "graph(%self : __torch__.test_graph_text0.Gate,",
        "      %x.1 : Tensor):",
        "  %2 : int = prim::Constant[value=0]() # gate.py:10:21",
        "  %3 : NoneType = prim::Constant() # gate.py:10:11",
        "  %4 : Tensor = aten::sum(%x.1, %3) # gate.py:10:11",
        "  %5 : Tensor = aten::gt(%4, %2) # gate.py:10:11",
        "  %6 : bool = aten::Bool(%5) # gate.py:10:11",
        "  %7 : Tensor = prim::If(%6) # gate.py:10:8",
        "    block0():",
        "      -> (%x.1)",
        "    block1():",
        "      %8 : Tensor = aten::neg(%x.1) # gate.py:13:19",
        "      -> (%8)",
        "  return (%7)",
    ]


def test_a_module_shares_its_tensors_with_the_compiled_one() -> None:
    layer = optc.nn.Linear(2, 2)
    compiled = compile_module(layer)
    assert compiled.values["weight"] is layer.weight
    unmangled = re.sub(r"___torch_mangle_\d+\.", "", compiled.type.name)
    assert unmangled == "__torch__.torch.nn.modules.linear.Linear"
    assert compiled.type.attributes["weight"].is_parameter


def test_equal_modules_share_a_type() -> None:
    first, second = compile_module(optc.nn.Linear(2, 2)), compile_module(optc.nn.Linear(3, 5))
    other = compile_module(optc.nn.Linear(2, 2, bias=False))
    assert first.type.attributes.keys() == other.type.attributes.keys()
    assert first.type is not second.type, "in_features is a constant of the type"
    assert compile_module(optc.nn.Linear(2, 2)).type is first.type
    assert other.type is not first.type
    assert "___torch_mangle_" in other.type.name


def test_functions_compile_once(tmp_path: Path) -> None:
    space = load("functions calling functions", optc, tmp_path)
    assert compile_function(space["program"]) is compile_function(space["program"])


def test_only_reached_and_exported_methods_compile(tmp_path: Path) -> None:
    compiled = compile_module(load("attributes", optc, tmp_path)["program"])
    assert list(compiled.type.methods) == ["forward", "reset", "helper"]
    assert compiled.type.constants == {"scale": 0.5}


def test_a_failed_function_can_be_compiled_again() -> None:
    space = run_program("def program(x):\n    return helper(x)\n", optc, "retry")
    with pytest.raises(ScriptError, match="undefined value helper"):
        optc.jit.script(space["program"])
    again = run_program("def helper(x):\n    return x + 1\n", optc, "retry helper")
    space["helper"] = again["helper"]
    assert same(optc.jit.script(space["program"])(optc.ones(1)), optc.ones(1) + 1)


def test_text_compiles_without_python() -> None:
    unit = optc.jit.CompilationUnit(
        """
def double(x: Tensor, times: int=2) -> Tensor:
    return x * times

def program(x: Tensor) -> Tensor:
    y = double(x)
    return torch.relu(y).sum(dim=0)
"""
    )
    assert float(unit.program(optc.ones(3))) == 6
    assert unit.double.schema.arguments[1].default == 2


def test_an_ignored_method_runs_in_python() -> None:
    seen: list[float] = []

    class Model(optc.nn.Module):
        @optc.jit.ignore
        def note(self, x: optc.Tensor) -> optc.Tensor:
            seen.append(float(x.sum()))
            return x + 1

        def forward(self, x: optc.Tensor) -> optc.Tensor:
            return self.note(x) * 2

    compiled = compile_module(Model())
    kinds = [node.kind for node in compiled.type.methods["forward"].graph.walk()]
    assert "prim::PythonOp" in kinds
    assert seen == []


def test_booleans_of_the_program_are_not_merged_with_the_ifs_that_test_them() -> None:
    """As in PyTorch: only the flags of early returns, breaks and continues are."""
    first = "  if torch.eq(x, 3):\n    z = True\n  else:\n    z = False\n"
    source = (
        "def f(x: int, y: Tensor) -> Tensor:\n"
        f"{first}  if z:\n    return torch.neg(y)\n  else:\n    pass\n  return torch.relu(y)\n"
    )
    code = optc.jit.CompilationUnit(source).f.code
    assert first + "  if z:\n    _0 = torch.neg(y)\n  else:\n    _0 = torch.relu(y)\n  return _0\n" in code


def test_an_if_that_tests_an_and_continues_the_if_made_for_it() -> None:
    unit = optc.jit.CompilationUnit(
        "def f(b: bool, y: Tensor) -> Tensor:\n  return torch.neg(y) if b and True else y\n"
    )
    assert "  if b:\n    _0 = torch.neg(y)\n  else:\n    _0 = y\n" in unit.f.code


@optc.jit.script
class Counter:
    def __init__(self, count: int, seen: optc.Tensor):
        self.count = count
        self.seen = seen

    def twice(self) -> int:
        return self.count * 2


def counted(counters: list[Counter], last: Counter) -> int:
    last.count += 1
    last.seen.add_(1)
    return sum([counter.count for counter in counters]) + last.twice()


def test_instances_of_a_class_in_python_are_taken_as_objects_that_hold_the_same() -> None:
    program = optc.jit.script(counted)
    first, last = Counter(1, optc.zeros(1)), Counter(5, optc.zeros(1))
    assert program([first, last], last) == 1 + 5 + 12
    assert (last.count, last.seen.tolist()) == (5, [1.0])  # PyTorch makes new objects too, of the same tensors
    assert optc.compile(program, fallback="allow")([first], last) == 1 + 12
    del last.seen
    with pytest.raises(RuntimeError, match="has no attribute seen"):
        program([first], last)
