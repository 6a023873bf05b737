"""Compiled modules and functions as Python objects: attributes, state, calls and their mistakes."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest

import optc
from optc import nn


class Net(nn.Module):
    scale: float

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        self.register_buffer("offset", optc.zeros(3))
        self.scale = 2.0
        self.names = ["a", "b"]

    def forward(self, x: optc.Tensor, times: int = 1, bias: optc.Tensor | None = None) -> optc.Tensor:
        y = self.layers(x) * self.scale * times + self.offset
        if bias is not None:
            y = y + bias
        return y

    @optc.jit.export
    def double(self) -> None:
        self.scale = self.scale * 2

    @property
    def area(self) -> float:
        return self.scale * self.scale


@pytest.fixture
def net() -> Any:
    return optc.jit.script(Net())


def test_attributes_parameters_buffers_and_submodules(net: Any) -> None:
    assert (net.scale, net.names) == (2.0, ["a", "b"])
    assert list(net.state_dict()) == ["offset", "layers.0.weight", "layers.0.bias"]
    assert [name for name, _ in net.named_parameters()] == ["layers.0.weight", "layers.0.bias"]
    assert [name for name, _ in net.named_buffers()] == ["offset"]
    assert [name for name, _ in net.named_modules()] == ["", "layers", "layers.0", "layers.1"]
    assert net.layers is net.layers
    assert net.original_name == "Net"


def test_printing(net: Any) -> None:
    assert repr(net) == (
        "RecursiveScriptModule(\n  original_name=Net\n  (layers): RecursiveScriptModule(\n"
        "    original_name=Sequential\n    (0): RecursiveScriptModule(original_name=Linear)\n"
        "    (1): RecursiveScriptModule(original_name=ReLU)\n  )\n)"
    )


def test_assigning_an_attribute_changes_what_compiled_code_sees(net: Any) -> None:
    x = optc.ones(2)
    before = net(x)
    net.scale = 4.0
    assert optc.equal(net(x), before * 2)
    net.double()
    assert net.scale == 8.0


def test_assigning_the_wrong_type_is_refused(net: Any) -> None:
    with pytest.raises(RuntimeError, match=r"Could not cast attribute 'scale' to type float: Unable to cast"):
        net.scale = "much"
    with pytest.raises(
        RuntimeError, match=r"Could not cast attribute 'offset' to type Tensor: Unable to cast 3 to Tensor"
    ):
        net.offset = 3


def test_assigning_a_submodule_is_refused(net: Any) -> None:
    with pytest.raises(RuntimeError, match="Cannot re-assign modules in a ScriptModule"):
        net.layers = optc.jit.script(nn.ReLU())


def test_new_attributes_stay_in_python(net: Any) -> None:
    net.note = "mine"
    assert net.note == "mine"


def test_missing_attributes(net: Any) -> None:
    with pytest.raises(AttributeError, match="'RecursiveScriptModule' object has no attribute 'nothing'"):
        _ = net.nothing


def test_properties_run_compiled_code(net: Any) -> None:
    assert net.area == 4.0


def test_training_mode_reaches_submodules(net: Any) -> None:
    net.eval()
    assert not net.training
    assert not net.layers[0].training
    assert net.train().layers[1].training


def test_load_state_dict_copies_into_the_shared_tensors() -> None:
    module = Net()
    compiled: Any = optc.jit.script(module)
    state = {name: optc.full_like(value, 3.0) for name, value in module.state_dict().items()}
    compiled.load_state_dict(state)
    assert module.offset.tolist() == [3.0, 3.0, 3.0]


def test_copies(net: Any) -> None:
    twin = copy.deepcopy(net)
    twin.scale = 9.0
    twin.offset.fill_(1.0)
    assert net.scale == 2.0
    assert net.offset.tolist() == [0.0, 0.0, 0.0]
    assert copy.copy(net).offset is net.offset


def test_defaults_and_keywords(net: Any) -> None:
    x = optc.ones(2)
    assert optc.equal(net(x, times=3), net(x) * 3)
    assert optc.equal(net(x, bias=optc.ones(3)), net(x) + 1)


def test_the_numbered_submodules_of_a_sequential(net: Any) -> None:
    assert len(net.layers) == 2
    assert [layer.original_name for layer in net.layers] == ["Linear", "ReLU"]
    assert net.layers[-1] is net.layers[1]
    with pytest.raises(TypeError):
        len(net)


CALLS = {
    "f()": "f() is missing value for argument 'x'. Declaration: f(Tensor x, int n=3, float[] sizes=[]) -> Tensor",
    "f(x, 1, [], 4)": "f() expected at most 3 argument(s) but received 4 argument(s). "
    "Declaration: f(Tensor x, int n=3, float[] sizes=[]) -> Tensor",
    "f(3)": "f() Expected a value of type 'Tensor' for argument 'x' but instead found type 'int'.\nPosition: 0\n"
    "Value: 3\nDeclaration: f(Tensor x, int n=3, float[] sizes=[]) -> Tensor\n"
    "Cast error details: Unable to cast 3 to Tensor",
    "f(x, 'a')": "f() Expected a value of type 'int' for argument 'n' but instead found type 'str'.\nPosition: 1\n"
    "Value: 'a'\nDeclaration: f(Tensor x, int n=3, float[] sizes=[]) -> Tensor\n"
    "Cast error details: Unable to cast Python instance of type <class 'str'> to C++ type '?' "
    "(#define PYBIND11_DETAILED_ERROR_MESSAGES or compile in debug mode for details)",
    "f(x, m=3)": "Unknown keyword argument 'm' for operator 'f'. "
    "Schema: f(Tensor x, int n=3, float[] sizes=[]) -> Tensor",
}


@pytest.mark.parametrize("expression", CALLS)
def test_wrong_arguments(expression: str) -> None:
    unit = optc.jit.CompilationUnit(
        "def f(x: Tensor, n: int=3, sizes: List[float]=[]) -> Tensor:\n  return x + n + len(sizes)\n"
    )
    with pytest.raises(RuntimeError) as caught:
        eval(expression, {"f": unit.f, "x": optc.ones(1)})
    assert str(caught.value) == CALLS[expression]


def test_python_numbers_fit_float_lists() -> None:
    unit = optc.jit.CompilationUnit("def f(a: List[float], b: float) -> float:\n  return a[0] + b\n")
    assert unit.f((1, 2), 3) == 4.0


def test_lists_are_copied_at_the_border() -> None:
    unit = optc.jit.CompilationUnit("def f(a: List[int]) -> List[int]:\n  a.append(1)\n  return a\n")
    mine = [0]
    assert unit.f(mine) == [0, 1]
    assert mine == [0]


def test_functions() -> None:
    @optc.jit.script
    def f(x: optc.Tensor) -> optc.Tensor:
        """What f does."""
        return x + 1

    assert (f.name, f.__doc__) == ("f", "What f does.")
    assert str(f.schema) == "f(Tensor x) -> Tensor"
    assert f(optc.zeros(1)).tolist() == [1.0]


def test_attributes_with_a_declared_type() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.counts = optc.jit.Attribute({}, dict[str, int])

        def forward(self, x: optc.Tensor) -> optc.Tensor:
            self.counts["calls"] = self.counts.get("calls", 0) + 1
            return x

    table: Any = optc.jit.script(Table())
    table(optc.ones(1))
    table(optc.ones(1))
    assert table.counts == {"calls": 2}


@pytest.mark.parametrize("value, name", [(3, "int"), (3.0, "float"), (None, "none")])
def test_a_number_arrives_as_the_nearest_member_of_a_union(value: Any, name: str) -> None:
    unit = optc.jit.CompilationUnit(
        "def name_of(x: Union[int, float, None]) -> str:\n"
        "  if isinstance(x, int):\n    return 'int'\n"
        "  elif isinstance(x, float):\n    return 'float'\n"
        "  return 'none'\n"
    )
    assert unit.name_of(value) == name


@optc.jit.script
class Counted:
    def __init__(self, count: int, total: optc.Tensor):
        self.count = count
        self.total = total

    def add(self, x: optc.Tensor) -> optc.Tensor:
        self.count += 1
        self.total = self.total + x
        return self.total * self.count


def test_objects_of_script_classes_are_attributes() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = Counted(1, optc.ones(2))
            self.many = [Counted(2, optc.zeros(2))]

        def forward(self, x: optc.Tensor) -> optc.Tensor:
            y = self.one.add(x)
            for each in self.many:
                y = y + each.add(x)
            return y

    scripted, fast = optc.jit.script(Net()), optc.compile(optc.jit.script(Net()), fallback="allow")
    loaded = optc.jit.load(io.BytesIO(optc.jit.script(Net()).save_to_buffer()))
    for expected in (7.0, 17.0, 31.0):
        for program in (scripted, fast, loaded):
            assert program(optc.ones(2)).tolist() == [expected] * 2
