"""Module: registries, attribute access, walking the tree, modes, conversions, copies."""

import copy
import pickle
import sys

import pytest

import optc
from optc import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.scale = nn.Parameter(optc.ones(1))
        self.register_buffer("count", optc.zeros(2))
        self.register_buffer("scratch", optc.zeros(2), persistent=False)
        self.second = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        return self.second(self.first(x)) * self.scale


@pytest.fixture
def net() -> Net:
    return Net()


def test_assignment_decides_the_registry(net: Net) -> None:
    assert list(net._parameters) == ["scale"]
    assert list(net._buffers) == ["count", "scratch"]
    assert list(net._modules) == ["first", "second"]
    assert "scale" not in net.__dict__


def test_walks_are_depth_first_in_order_of_assignment(net: Net) -> None:
    assert [name for name, _ in net.named_parameters()] == [
        "scale", "first.weight", "first.bias", "second.0.weight", "second.0.bias",
    ]  # fmt: skip
    assert [name for name, _ in net.named_buffers(prefix="p")] == ["p.count", "p.scratch"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "second", "second.0", "second.1"]
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["scale"]


def test_shared_members_appear_once_unless_asked_for(net: Net) -> None:
    net.again = net.first
    assert "again" not in dict(net.named_children())
    assert "again.weight" not in dict(net.named_parameters())
    assert "again.weight" in dict(net.named_parameters(remove_duplicate=False))
    assert len(list(net.modules())) == 5


def test_none_declares_a_name_without_a_value() -> None:
    layer = nn.Linear(2, 2, bias=False)
    assert layer.bias is None
    assert "bias" in layer._parameters
    layer.bias = nn.Parameter(optc.ones(2))
    assert list(dict(layer.named_parameters())) == ["weight", "bias"]


def test_assigning_a_parameter_or_module_moves_the_name(net: Net) -> None:
    net.note = 3
    net.note = nn.Parameter(optc.ones(1))
    assert "note" not in net.__dict__
    net.count = nn.ReLU()
    assert "count" not in net._buffers
    assert "count" in net._modules


def test_assigning_to_a_buffer_keeps_its_persistence(net: Net) -> None:
    net.scratch = optc.ones(2)
    assert list(net.state_dict())[:2] == ["scale", "count"]
    assert "scratch" not in net.state_dict()
    net.register_buffer("scratch", optc.ones(2))
    assert "scratch" in net.state_dict()
    net.other = nn.Buffer(optc.ones(1), persistent=False)
    assert "other" in net._buffers
    assert "other" not in net.state_dict()


def test_deletion(net: Net) -> None:
    del net.first, net.scale, net.count
    assert list(net._modules) == ["second"]
    assert [name for name, _ in net.named_parameters()] == ["second.0.weight", "second.0.bias"]
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'first'"):
        _ = net.first


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", 3, "cannot assign 'int' as parameter 'scale' (torch.nn.Parameter or None expected)"),
        ("count", nn.ReLU, "cannot assign 'torch.nn.modules.activation.ReLU' as buffer 'count' (torch.nn.Buffer, torch.Tensor or None expected)"),
        ("first", "x", "cannot assign 'str' as child module 'first' (torch.nn.Module or None expected)"),
        ("count", 1.5, "cannot assign 'float' as buffer 'count' (torch.nn.Buffer, torch.Tensor or None expected)"),
    ],
)  # fmt: skip
def test_wrong_assignments_are_type_errors(net: Net, name: str, value: object, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        setattr(net, name, value)
    assert str(caught.value) == message


def test_tensor_is_no_parameter(net: Net) -> None:
    with pytest.raises(TypeError, match="cannot assign 'torch.FloatTensor' as parameter 'scale'"):
        net.scale = optc.ones(1)


@pytest.mark.parametrize(
    ("register", "error", "message"),
    [
        (lambda net: net.register_buffer("scale", None), KeyError, "attribute 'scale' already exists"),
        (lambda net: net.register_buffer("a.b", None), KeyError, 'buffer name can\'t contain "."'),
        (lambda net: net.register_parameter("", None), KeyError, 'parameter name can\'t be empty string ""'),
        (lambda net: net.register_parameter(1, None), TypeError, "parameter name should be a string. Got int"),
        (lambda net: net.add_module("x", 3), TypeError, "int is not a Module subclass"),
        (lambda net: net.add_module("a.b", None), KeyError, "module name can't contain \".\", got: a.b"),
        (lambda net: net.register_buffer("x", 3), TypeError,
         "cannot assign 'int' object to buffer 'x' (torch Tensor or None required)"),
    ],
)  # fmt: skip
def test_wrong_registrations(net: Net, register, error: type[Exception], message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        register(net)
    assert caught.value.args == (message,)


def test_members_before_init_are_refused() -> None:
    class Early(nn.Module):
        def __init__(self, member: object) -> None:
            self.member = member

    Early(3)
    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call"):
        Early(nn.ReLU())
    with pytest.raises(AttributeError, match=r"cannot assign parameters before Module.__init__\(\) call"):
        Early(nn.Parameter(optc.ones(1)))


def test_init_takes_no_arguments_unless_asked_to() -> None:
    class Plain(nn.Module):
        pass

    with pytest.raises(TypeError, match=r"Plain.__init__\(\) takes 1 positional argument but 2 were given"):
        Plain(1)
    with pytest.raises(TypeError, match=r"Plain.__init__\(\) got an unexpected keyword argument 'a'"):
        Plain(a=1)


def test_missing_forward() -> None:
    with pytest.raises(NotImplementedError, match=r'Module \[ModuleList\] is missing the required "forward" function'):
        nn.ModuleList()(1)


def test_dotted_lookups(net: Net) -> None:
    assert net.get_submodule("second.0") is net.second[0]
    assert net.get_submodule("") is net
    assert net.get_parameter("second.0.weight") is net.second[0].weight
    assert net.get_buffer("count") is net.count
    net.set_submodule("second.1", nn.Tanh())
    assert isinstance(net.second[1], nn.Tanh)
    for lookup, message in [
        (lambda: net.get_submodule("nope.x"), "Net has no attribute `nope`"),
        (lambda: net.get_submodule("scale"), "`scale` is not an nn.Module"),
        (lambda: net.get_parameter("count"), "`count` is not an nn.Parameter"),
        (lambda: net.get_buffer("scale"), "`scale` is not a buffer"),
    ]:
        with pytest.raises(AttributeError) as caught:
            lookup()
        assert str(caught.value) == message


def test_modes_reach_every_module(net: Net) -> None:
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train(1)  # type: ignore[arg-type]


def test_apply_visits_children_first(net: Net) -> None:
    visited: list[str] = []
    net.apply(lambda module: visited.append(type(module).__name__))
    assert visited == ["Linear", "Linear", "ReLU", "Sequential", "Net"]


def test_conversions_keep_the_parameter_objects_and_integer_buffers(net: Net) -> None:
    net.register_buffer("steps", optc.tensor(3))
    before = net.first.weight
    assert net.double() is net
    assert net.first.weight is before
    assert {parameter.dtype for parameter in net.parameters()} == {optc.float64}
    assert net.count.dtype is optc.float64
    assert net.steps.dtype is optc.int64
    assert net.to(optc.float16).scale.dtype is optc.float16
    assert net.to(optc.ones(1)).scale.dtype is optc.float32
    assert net.to("cpu", optc.float64).scale.dtype is optc.float64
    assert net.float().half().bfloat16().scale.dtype is optc.bfloat16
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_to_refuses_integers_and_nonsense(net: Net) -> None:
    with pytest.raises(
        TypeError, match="only accepts floating point or complex dtypes, but got desired dtype=torch.int32"
    ):
        net.to(optc.int32)
    with pytest.raises(TypeError, match=r"invalid combination of arguments - got \(torch.dtype, torch.dtype\)"):
        net.to(optc.float32, optc.float32)
    with pytest.raises(TypeError, match=r"invalid combination of arguments - got \(speed=int\)"):
        net.to(speed=1)


def test_requires_grad_is_carried(net: Net) -> None:
    assert net.requires_grad_(False) is net
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_backward_hooks_say_that_there_is_no_autograd(net: Net) -> None:
    with pytest.raises(NotImplementedError, match="no autograd"):
        net.register_full_backward_hook(lambda *_: None)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_equal_and_independent(net: Net, duplicate) -> None:  # type: ignore[no-untyped-def]
    twin = duplicate(net)
    x = optc.rand(4, 2)
    assert optc.equal(twin(x), net(x))
    assert isinstance(twin.first.weight, nn.Parameter)
    assert twin.first.weight.requires_grad
    with optc.no_grad():
        twin.scale.fill_(7)
    assert net.scale.item() == 1
    assert repr(twin) == repr(net)


def test_dir_lists_members(net: Net) -> None:
    assert {"first", "scale", "count", "forward"} <= set(dir(net))
    assert "0" not in dir(net.second)


def test_parameter_shares_memory_and_computes_tensors() -> None:
    data = optc.zeros(2)
    parameter = nn.Parameter(data)
    data.add_(1)
    assert parameter.tolist() == [1, 1]
    assert repr(parameter) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert not isinstance(parameter + 1, nn.Parameter)
    assert not isinstance(parameter.detach(), nn.Parameter)
    assert isinstance(parameter, optc.Tensor)
    with pytest.raises(RuntimeError, match="Only Tensors of floating point and complex dtype can require gradients"):
        nn.Parameter(optc.ones(1, dtype=optc.int64))
    assert nn.Parameter(optc.ones(1, dtype=optc.int64), requires_grad=False).dtype is optc.int64


LAYERS = [thing for name in dir(nn) if isinstance(thing := getattr(nn, name), type) and issubclass(thing, nn.Module)]


def test_every_layer_is_found_where_it_says_it_is() -> None:
    """Pickle and archives look classes up by module and name, whichever file they stand in."""
    lost = [layer for layer in LAYERS if getattr(sys.modules[layer.__module__], layer.__qualname__, None) is not layer]
    assert not lost


def test_a_layer_that_names_another_module_is_pickled() -> None:
    attention = pickle.loads(pickle.dumps(nn.MultiheadAttention(4, 2)))
    assert type(attention) is nn.MultiheadAttention


def test_nn_functional_has_every_name_it_lists() -> None:
    missing = [name for name in nn.functional.__all__ if not hasattr(nn.functional, name)]
    assert not missing


@pytest.mark.parametrize(
    "name", ["max_pool2d_with_indices", "fractional_max_pool3d_with_indices", "_pair", "dropout1d"]
)
def test_nn_functional_has_what_its_files_declare(name: str) -> None:
    assert getattr(nn.functional, name).__module__ == "optc.nn.functional"
