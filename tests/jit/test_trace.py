"""What a trace records, what it warns about, and how it is checked."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest

import optc
from optc import nn
from optc.errors import ExecutionError, TracerWarning
from tests.jit.both import canonical


class Gate(nn.Module):
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dg = Gate()
        self.linear = nn.Linear(4, 4)
        self.linear.weight.detach().fill_(-1.0)

    def forward(self, x: Any, h: Any) -> Any:
        new_h = optc.tanh(self.dg(self.linear(x)) + h)
        return new_h, new_h


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", optc.zeros(1))

    def forward(self, x: Any) -> Any:
        self.count.add_(1)
        return x + self.count

    def twice(self, x: Any) -> Any:
        return x * 2


ONES = optc.ones(3, 4)


@pytest.mark.filterwarnings("ignore::optc.errors.TracerWarning")
def test_the_tutorials_cell() -> None:
    traced = optc.jit.trace(Cell(), (ONES, ONES))
    assert canonical(traced.graph) == (
        "graph(%self#0 : __torch__.tests.jit.test_trace.Cell,\n"
        "      %x#1 : Float(3, 4, strides=[4, 1], requires_grad=0, device=cpu),\n"
        "      %h#2 : Float(3, 4, strides=[4, 1], requires_grad=0, device=cpu)):\n"
        '  %dg#3 : __torch__.tests.jit.test_trace.Gate = prim::GetAttr[name="dg"](%self#0)\n'
        '  %linear#4 : __torch__.torch.nn.modules.linear.Linear = prim::GetAttr[name="linear"](%self#0)\n'
        '  %#5 : Tensor = prim::CallMethod[name="forward"](%linear#4, %x#1)\n'
        '  %#6 : Tensor = prim::CallMethod[name="forward"](%dg#3, %#5)\n'
        "  %#7 : Float(3, 4, strides=[4, 1], requires_grad=1, device=cpu) = aten::add(%#6, %h#2, <int[value=1]>)\n"
        "  %#8 : Float(3, 4, strides=[4, 1], requires_grad=1, device=cpu) = aten::tanh(%#7)\n"
        "  %#9 : (Float(3, 4, strides=[4, 1], requires_grad=1, device=cpu), "
        "Float(3, 4, strides=[4, 1], requires_grad=1, device=cpu)) = prim::TupleConstruct(%#8, %#8)\n"
        "  return (%#9)"
    )


@pytest.mark.filterwarnings("ignore::optc.errors.TracerWarning")
def test_a_traced_module_prints_the_classes_it_was_made_of() -> None:
    assert repr(optc.jit.trace(Cell(), (ONES, ONES))) == (
        "Cell(\n  original_name=Cell\n  (dg): Gate(original_name=Gate)\n  (linear): Linear(original_name=Linear)\n)"
    )


def test_nodes_point_at_the_line_that_called_them() -> None:
    traced = optc.jit.trace(lambda x: x.relu(), (ONES,))
    (node,) = traced.graph.nodes
    assert node.source is not None
    assert node.source.filename == __file__
    assert f"{__file__}:{node.source.line}:0" in str(traced.graph)


def test_control_flow_of_scripted_functions_is_kept() -> None:
    @optc.jit.script
    def shrink(x: optc.Tensor) -> optc.Tensor:
        while bool(x.sum() > 1):
            x = x / 2
        return x

    traced = optc.jit.trace(lambda x: shrink(x) + 1, (optc.ones(2),))
    for start in (0.1, 3.0, 100.0):
        x = optc.full((2,), start)
        assert optc.equal(traced(x), shrink(x) + 1)


def test_sizes_are_computed_from_the_input() -> None:
    traced = optc.jit.trace(lambda x: x.reshape(x.shape[0] * x.size(1)), (ONES,))
    assert traced(optc.ones(5, 7)).shape == (35,)


def test_expand_as_follows_the_input() -> None:
    traced = optc.jit.trace(lambda x, y: y.expand_as(x), (optc.rand(1, 3), optc.rand(3)))
    assert traced(optc.rand(5, 3), optc.rand(3)).shape == (5, 3)


def test_buffers_that_are_written_stay_written() -> None:
    traced = optc.jit.trace(Counter(), (optc.ones(1),), check_trace=False)
    before = float(traced.count)
    assert float(traced(optc.ones(1))) == before + 2
    assert float(traced.count) == before + 1


def test_several_methods_of_a_module() -> None:
    traced = optc.jit.trace_module(Counter(), {"forward": optc.ones(1), "twice": optc.ones(2)}, check_trace=False)
    assert traced.twice(optc.full((2,), 3.0)).tolist() == [6.0, 6.0]


def test_parameters_are_shared_with_the_module() -> None:
    module = nn.Linear(2, 2)
    traced = optc.jit.trace(module, (optc.ones(2),))
    assert traced.weight is module.weight
    with optc.no_grad():
        module.bias.fill_(5.0)
        module.weight.zero_()
    assert traced(optc.ones(2)).tolist() == [5.0, 5.0]


def test_keyword_inputs() -> None:
    traced = optc.jit.trace(lambda a, b: a - b, example_kwarg_inputs={"b": optc.ones(1), "a": optc.zeros(1)})
    assert [argument.name for argument in traced.schema.arguments] == ["a", "b"]
    assert float(traced(a=optc.ones(1), b=optc.full((1,), 3.0))) == -2.0


def test_branches_on_tensors_are_warned_about_at_the_users_line() -> None:
    def f(x: Any) -> Any:
        return x if x.sum() > 0 else -x

    with pytest.warns(TracerWarning, match="Converting a tensor to a Python boolean") as caught:
        optc.jit.trace(f, (ONES,), check_trace=False)
    assert caught[0].filename == __file__


def test_what_optcs_own_modules_do_with_sizes_is_not_warned_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optc.jit.trace(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Softmax(-1)), (ONES,))


def test_the_check_reports_random_operators() -> None:
    with pytest.warns(TracerWarning) as caught:
        optc.jit.trace(lambda x: x + optc.rand(3, 4), (ONES,))
    texts = [str(each.message) for each in caught]
    assert texts[0].startswith(
        "Trace had nondeterministic nodes. Did you forget call .eval() on your model? Nodes:\n\t%"
    )
    assert texts[1].startswith(
        "Output nr 1. of the traced function does not match the corresponding output of the Python function. "
        "Detailed error:\nTensor-likes are not close!\n\nMismatched elements: 12 / 12 (100.0%)\n"
    )


def test_the_check_refuses_traces_that_differ() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return x + 1 if len(calls) == 1 else x * 5

    with pytest.raises(optc.jit.TracingCheckError, match="Graphs differed across invocations!\n\tGraph diff:"), \
         pytest.warns(TracerWarning):  # fmt: skip
        optc.jit.trace(f, (ONES,))


def test_the_check_compares_captured_tensors() -> None:
    constants = iter([optc.full((1,), float(number)) for number in range(9)])

    def f(x: Any) -> Any:
        return x + next(constants)

    with pytest.raises(optc.jit.TracingCheckError, match="Tensor-valued Constant nodes differed in value"), \
         pytest.warns(TracerWarning):  # fmt: skip
        optc.jit.trace(f, (ONES,))


def test_check_inputs_are_tried() -> None:
    def f(x: Any) -> Any:
        return x * 2 if len(x._array) > 2 else x

    with pytest.warns(TracerWarning, match="does not match"), pytest.raises(optc.jit.TracingCheckError):
        optc.jit.trace(f, (ONES,), check_inputs=[(optc.ones(1, 4),)])


def test_a_failing_forward_leaves_no_recorder_behind() -> None:
    def fails(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        optc.jit.trace(fails, (ONES,))
    assert not optc.jit.is_tracing()
    assert optc.jit.trace(lambda x: x + 1, (ONES,))(ONES).shape == (3, 4)


def test_other_threads_are_not_recorded() -> None:
    def f(x: Any) -> Any:
        worker = threading.Thread(target=lambda: nn.Linear(2, 2)(optc.ones(2)).relu())
        worker.start()
        worker.join()
        return x * 2

    assert [node.kind for node in optc.jit.trace(f, (ONES,)).graph.nodes] == ["prim::Constant", "aten::mul"]


def test_parameters_of_foreign_modules_cannot_be_captured() -> None:
    linear = nn.Linear(4, 4)
    with pytest.raises(RuntimeError, match="Cannot insert a Tensor that requires grad as a constant"):
        optc.jit.trace(lambda x: linear(x), (ONES,))


def test_errors_inside_a_trace_show_the_traced_stack() -> None:
    traced = optc.jit.trace(lambda x: x + ONES, (optc.zeros(3, 4),))
    with pytest.raises(ExecutionError, match=rf"{__file__}\(\d+\): <lambda>"):
        traced(optc.ones(5, 5))


def test_views_and_writes_through_them_are_recorded() -> None:
    def f(x: Any) -> Any:
        y = x.clone()
        y[0] = 7
        y[:, 1] += 1
        return y

    traced = optc.jit.trace(f, (ONES,))
    x = np.random.default_rng(0).standard_normal((3, 4), np.float32)
    np.testing.assert_array_equal(traced(optc.from_numpy(x)).numpy(), f(optc.from_numpy(x)).numpy())


def test_tracing_a_compiled_module_returns_it() -> None:
    traced = optc.jit.trace(nn.ReLU(), (ONES,))
    with pytest.warns(UserWarning, match="already a ScriptModule, tracing it is a no-op"):
        assert optc.jit.trace(traced, (ONES,)) is traced
