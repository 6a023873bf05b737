"""torch objects go straight in: modules, scripted modules, tensors, without copies."""

from __future__ import annotations

import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 5)

    def forward(self, x, scale: float = 1.0):  # type: ignore[no-untyped-def]
        if x.sum() > 0:
            return torch.relu(self.linear(x)) * scale
        return torch.tanh(self.linear(x)) * scale


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_torch_module_is_scripted(sign: float) -> None:
    net, x = Net(), torch.rand(3, 8) * sign
    result = optc.compile(net, fallback="error")(x)
    assert isinstance(result, torch.Tensor)
    torch.testing.assert_close(result, net(x).detach())


def test_a_scripted_torch_module_is_taken_as_it_is() -> None:
    net = torch.jit.script(Net())
    x = torch.rand(2, 8)
    torch.testing.assert_close(optc.compile(net, fallback="error")(x, 2.5), net(x, 2.5).detach())


def test_with_example_inputs_a_torch_module_is_traced() -> None:
    net, x = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh()), torch.rand(3, 4)
    fast = optc.compile(net, (x,), fallback="error")
    assert len(fast.specializations) == 1
    torch.testing.assert_close(fast(x), net(x).detach())


def test_tensors_that_need_gradients_and_strided_ones_are_taken() -> None:
    net = Net()
    fast = optc.compile(net)
    x = torch.rand(8, 3, requires_grad=True).t()
    torch.testing.assert_close(fast(x), net(x).detach())


def test_a_sparse_tensor_is_refused_by_name() -> None:
    fast = optc.compile(Net())
    with pytest.raises(TypeError, match="dense CPU tensors"):
        fast(torch.rand(3, 8).to_sparse())


@pytest.mark.parametrize("verb", ["trace", "script"])
def test_capturing_a_torch_module_says_what_to_do_instead(verb: str) -> None:
    module = torch.nn.Linear(2, 2)
    arguments = (torch.ones(1, 2),) if verb == "trace" else ()
    with pytest.raises(TypeError, match=rf"optc.compile\(module, example_inputs\).*torch.jit.{verb}"):
        getattr(optc.jit, verb)(module, *arguments)
