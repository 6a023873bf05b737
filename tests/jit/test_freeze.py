"""optc.jit.freeze: attributes become constants, calls go away, results stay."""

from __future__ import annotations

import numpy as np
import pytest

import optc
from optc import nn


def frozen() -> tuple[nn.Module, optc.jit.ScriptModule]:
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    return module, optc.jit.freeze(optc.jit.trace(module, (optc.ones(2, 4),)))


def test_results_stay_the_same() -> None:
    module, fast = frozen()
    x = optc.full((2, 4), 0.5)
    np.testing.assert_array_equal(fast(x).detach().numpy(), module(x).detach().numpy())


def test_nothing_but_operators_and_constants_is_left() -> None:
    _, fast = frozen()
    kinds = {node.kind for node in fast.graph.walk()}
    assert kinds == {"prim::Constant", "aten::linear", "aten::relu"}
    assert list(fast.parameters()) == []


def test_a_module_in_training_mode_is_refused() -> None:
    with pytest.raises(RuntimeError, match="only implemented for modules in eval mode"):
        optc.jit.freeze(optc.jit.trace(nn.Linear(2, 2), (optc.ones(2),)))


def test_a_plain_module_is_refused() -> None:
    with pytest.raises(RuntimeError, match="expects a ScriptModule"):
        optc.jit.freeze(nn.Linear(2, 2).eval())


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", optc.zeros(2))
        self.register_buffer("tail", self.total[:1])
        self.calls, self.names = 0, ["a"]
        self.scale = 2.0
        self.weight = nn.Parameter(optc.ones(2))

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        self.total += x
        self.calls += 1
        return self.total * self.weight * self.scale + self.calls + self.tail + len(self.names)


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.counter, self.layer = Counter(), nn.Linear(2, 2)

    def forward(self, x: optc.Tensor) -> optc.Tensor:
        return self.layer(self.counter(x))

    @optc.jit.export
    def scaled(self, x: optc.Tensor) -> optc.Tensor:
        return x * self.counter.scale


def test_what_is_written_stays_an_attribute_and_what_shares_memory_with_it() -> None:
    module = optc.jit.script(Outer().eval())
    fast = optc.jit.freeze(module)
    assert list(fast.counter._c.values) == ["total", "tail", "calls"]
    assert list(fast._c.values) == ["counter"]
    before = optc.jit.script(Outer().eval())
    before.load_state_dict(module.state_dict())
    for _ in range(3):
        np.testing.assert_array_equal(fast(optc.ones(2)).detach().numpy(), before(optc.ones(2)).detach().numpy())
    assert fast.counter.calls == 3


def test_attributes_and_methods_that_are_asked_for_stay() -> None:
    fast = optc.jit.freeze(optc.jit.script(Outer().eval()), ["counter.scale", "scaled"])
    fast.counter.scale = 5.0
    assert fast.scaled(optc.ones(2)).tolist() == [5.0, 5.0]
    with pytest.raises(RuntimeError, match="Unknown name: counter.speed"):
        optc.jit.freeze(optc.jit.script(Outer().eval()), ["counter.speed"])


def test_a_setting_that_another_method_changes_decides_nothing() -> None:
    class Switch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.is_on = False

        def forward(self, x: optc.Tensor) -> optc.Tensor:
            return x + 1 if self.is_on else x

        @optc.jit.export
        def turn_on(self) -> None:
            self.is_on = True

    fast = optc.jit.freeze(optc.jit.script(Switch().eval()), ["turn_on"])
    assert fast(optc.zeros(1)).item() == 0.0
    fast.turn_on()
    assert fast(optc.zeros(1)).item() == 1.0


def test_convolutions_take_in_what_follows_them() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3)
            self.second, self.gain = nn.Conv2d(3, 4, 1), nn.Parameter(optc.rand(4, 1, 1) + 1)
            self.norm.running_mean.normal_()
            self.norm.running_var.uniform_(0.5, 2.0)

        def forward(self, x: optc.Tensor) -> optc.Tensor:
            x = optc.relu_(self.norm(self.first(x)))
            return (self.second(x) * self.gain - 0.5) / 2

    module = optc.jit.script(Net().eval())
    x = optc.randn(2, 2, 6, 6)
    expected = module(x).detach().numpy()
    for rounding, left in ((True, []), (False, ["batch_norm", "mul", "sub", "div"])):
        fast = optc.jit.freeze(module, optimize_numerics=rounding)
        kinds = [node.kind for node in fast.graph.walk()]
        assert [name for name in ("batch_norm", "mul", "sub", "div") if f"aten::{name}" in kinds] == left
        np.testing.assert_allclose(fast(x).detach().numpy(), expected, 1e-4, 1e-5)
    optc.jit.run_frozen_optimizations(fast)
    assert "aten::batch_norm" not in str(fast.graph)
    np.testing.assert_allclose(fast(x).detach().numpy(), expected, 1e-4, 1e-5)


def test_a_convolution_whose_result_somebody_else_reads_stays() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv1d(1, 1, 1)

        def forward(self, x: optc.Tensor) -> tuple[optc.Tensor, optc.Tensor]:
            y = self.layer(x)
            return y, y * 2

    fast = optc.jit.freeze(optc.jit.script(Net().eval()))
    assert "aten::mul" in str(fast.graph)


class Choice(nn.Module):
    """Two long tensors that differ where a text of them would show nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("first", optc.zeros(2000))
        self.register_buffer("second", (optc.arange(2000) == 1000).float())

    def forward(self, x: optc.Tensor, flag: bool):
        if flag:
            chosen = self.first
        else:
            chosen = self.second
        return (x + chosen).sum()


def test_branches_that_give_long_tensors_stay_apart() -> None:
    module = optc.jit.freeze(optc.jit.script(Choice().eval()))
    assert module(optc.zeros(1), True).item() == 0
    assert module(optc.zeros(1), False).item() == 1
