"""Containers: list and dict behaviour, names, and their text."""

from collections import OrderedDict

import pytest

import optc
from optc import nn


def names(module: nn.Module) -> list[str]:
    return [f"{name}:{type(child).__name__}" for name, child in module.named_children()]


def row() -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())


def test_sequential_composes() -> None:
    assert nn.Sequential(nn.Flatten(0), nn.ReLU())(optc.tensor([[-1.0, 2.0]])).tolist() == [0, 2]


def test_sequential_from_names_keeps_them_in_slices() -> None:
    net = nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh(), c=nn.Sigmoid()))
    assert names(net[1:]) == ["b:Tanh", "c:Sigmoid"]
    assert net.b is net[-2]


def test_sequential_grows_and_shrinks() -> None:
    net = row().append(nn.GELU()).extend([nn.ELU()]).insert(1, nn.SELU())
    assert names(net) == ["0:ReLU", "1:SELU", "2:Tanh", "3:Sigmoid", "4:GELU", "5:ELU"]
    del net[1]
    assert isinstance(net.pop(-1), nn.ELU)
    assert names(net) == ["0:ReLU", "1:Tanh", "2:Sigmoid", "3:GELU"]
    del net[1:3]
    assert names(net) == ["0:ReLU", "1:GELU"]
    net[0] = nn.Mish()
    assert names(net) == ["0:Mish", "1:GELU"]


def test_sequential_arithmetic() -> None:
    assert names(nn.Sequential(nn.ReLU()) + nn.Sequential(nn.Tanh())) == ["0:ReLU", "1:Tanh"]
    assert names(2 * nn.Sequential(nn.ReLU(), nn.Tanh())) == ["0:ReLU", "2:ReLU"][:1] + ["1:Tanh"]
    assert len(nn.Sequential(nn.ReLU()) * 3) == 3
    net = nn.Sequential(nn.ReLU())
    net *= 2
    net += net
    assert len(net) == 4
    with pytest.raises(ValueError, match="add operator supports only objects of Sequential class"):
        net + [nn.ReLU()]  # type: ignore[operator]
    with pytest.raises(ValueError, match="Non-positive multiplication factor 0"):
        net * 0


@pytest.mark.parametrize("container", [row(), nn.ModuleList(row())])
def test_positions_are_checked(container: nn.Sequential) -> None:
    assert container[-1] is container[2]
    with pytest.raises(IndexError, match="index 3 is out of range"):
        container[3]
    with pytest.raises(TypeError, match="object cannot be interpreted as an integer"):
        container["a"]


def test_module_list_is_a_list() -> None:
    modules = nn.ModuleList([nn.ReLU()])
    modules += [nn.Tanh()]
    modules.insert(0, nn.GELU())
    modules.append(nn.ELU()).extend(nn.ModuleList([nn.SELU()]))
    assert names(modules) == ["0:GELU", "1:ReLU", "2:Tanh", "3:ELU", "4:SELU"]
    assert names(modules[1:3]) == ["0:ReLU", "1:Tanh"]
    assert names(modules[:1] + [nn.Mish()]) == ["0:GELU", "1:Mish"]
    assert isinstance(modules.pop(0), nn.GELU)
    assert [type(module).__name__ for module in modules] == ["ReLU", "Tanh", "ELU", "SELU"]
    with pytest.raises(TypeError, match="ModuleList.extend should be called with an iterable, but got int"):
        modules.extend(3)  # type: ignore[arg-type]


def test_module_dict_is_a_dict() -> None:
    modules = nn.ModuleDict({"b": nn.ReLU(), "a": nn.Tanh()})
    modules.update([("c", nn.GELU())])
    modules["b"] = nn.ELU()
    assert names(modules) == ["b:ELU", "a:Tanh", "c:GELU"]
    assert list(modules.keys()) == list(modules) == ["b", "a", "c"]
    assert "a" in modules
    assert len(modules.values()) == len(modules) == 3
    assert isinstance(modules.pop("a"), nn.Tanh)
    modules.clear()
    assert not list(modules.items())


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        (3, TypeError, "ModuleDict.update should be called with an iterable of key/value pairs, but got int"),
        ([3], TypeError, "ModuleDict update sequence element #0 should be Iterable; isint"),
        ([(1, 2, 3)], ValueError, "ModuleDict update sequence element #0 has length 3; 2 is required"),
        ({1: nn.ReLU()}, TypeError, "module name should be a string. Got int"),
    ],
)
def test_module_dict_refuses_other_things(argument: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        nn.ModuleDict(argument)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_parameter_list() -> None:
    parameters = nn.ParameterList([optc.ones(2, 3), nn.Parameter(optc.ones(2)), 3])
    assert [name for name, _ in parameters.named_parameters()] == ["0", "1"]
    assert parameters[2] == parameters[-1] == 3
    assert len(parameters[:2]) == 2
    parameters[0] = optc.zeros(1)
    assert isinstance(parameters[0], nn.Parameter)
    assert repr(parameters) == (
        "ParameterList(\n    (0): Parameter containing: [torch.float32 of size 1]\n"
        "    (1): Parameter containing: [torch.float32 of size 2]\n    (2): Object of type: int\n)"
    )
    with pytest.raises(RuntimeError, match="ParameterList should not be called."):
        parameters(1)


def test_parameter_dict() -> None:
    parameters = nn.ParameterDict({"b": optc.ones(2), "a": optc.ones(1)})
    assert list(parameters) == ["a", "b"]
    parameters["c"] = 4
    assert repr(parameters) == (
        "ParameterDict(\n    (a): Parameter containing: [torch.FloatTensor of size 1]\n"
        "    (b): Parameter containing: [torch.FloatTensor of size 2]\n    (c): Object of type: int\n)"
    )
    assert parameters.popitem() == ("c", 4)
    assert parameters.get("z", 5) == parameters.setdefault("z", 5) == 5
    joined = parameters | nn.ParameterDict({"y": optc.ones(1)})
    assert list(joined) == ["a", "b", "z", "y"]
    parameters.clear()
    assert len(parameters) == 0


def test_neighbours_that_print_alike_are_counted() -> None:
    blocks = [nn.Sequential(nn.Linear(1, 1), nn.ReLU()) for _ in range(3)]
    assert repr(nn.ModuleList([*blocks, nn.ReLU()])) == (
        "ModuleList(\n"
        "  (0-2): 3 x Sequential(\n"
        "    (0): Linear(in_features=1, out_features=1, bias=True)\n"
        "    (1): ReLU()\n"
        "  )\n"
        "  (3): ReLU()\n"
        ")"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"
    assert repr(nn.Sequential()) == "Sequential()"
