"""Overload resolution, what a recorder is told, and the errors of calls that fit nothing."""

from typing import Any

import numpy as np
import pytest

from optc.eager import dispatch
from optc.eager import functions as f
from optc.ir import dtypes


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any], Any]] = []
        self.conversions: list[str] = []

    def record(self, operator: Any, arguments: Any, result: Any) -> None:
        self.calls.append((operator.name, list(arguments), result))

    def converted(self, tensor: Any, target: str) -> None:
        self.conversions.append(target)

    def size(self, tensor: Any, dim: int) -> Any:
        return tensor._array.shape[dim] + 100

    def numel(self, tensor: Any) -> Any:
        return tensor._array.size + 100


@pytest.fixture
def recorder() -> Any:
    installed = Recorder()
    dispatch.set_recorder(installed)
    yield installed
    dispatch.set_recorder(None)


@pytest.mark.parametrize(
    "call, operator",
    [
        (lambda x: x + x, "aten::add.Tensor"),
        (lambda x: x + 1, "aten::add.Scalar"),
        (lambda x: 1 - x, "aten::rsub.Scalar"),
        (lambda x: x**2, "aten::pow.Tensor_Scalar"),
        (lambda x: 2**x, "aten::pow.Scalar"),
        (lambda x: x**x, "aten::pow.Tensor_Tensor"),
        (lambda x: x.view(3, 2), "aten::view"),
        (lambda x: x.view([3, 2]), "aten::view"),
        (lambda x: x.permute(1, 0), "aten::permute"),
        (lambda x: x.add_(x), "aten::add_.Tensor"),
        (lambda x: f.zeros(2, 3), "aten::zeros"),
        (lambda x: f.arange(5), "aten::arange"),
        (lambda x: f.arange(1, 5), "aten::arange.start"),
        (lambda x: x.to(dtypes.FLOAT64), "aten::to.dtype"),
    ],
    ids=range(14),
)
def test_overloads(recorder: Recorder, call: Any, operator: str) -> None:
    call(f.ones(2, 3))
    assert recorder.calls[-1][0] == operator


def test_a_recorder_gets_every_argument_in_the_order_of_the_schema(recorder: Recorder) -> None:
    x = f.ones(2)
    y = f.add(other=x, input=x, alpha=2)
    operator, arguments, result = recorder.calls[-1]
    assert operator == "aten::add.Tensor"
    assert arguments[0] is x and arguments[1] is x and arguments[2] == 2
    assert result is y


def test_dtypes_are_codes_and_devices_names(recorder: Recorder) -> None:
    f.zeros(2, dtype=dtypes.INT64, device="cpu")
    assert recorder.calls[-1][1] == [[2], 4, None, "cpu", False]


def test_a_number_from_a_tensor_stays_a_tensor_for_the_recorder(recorder: Recorder) -> None:
    place = f.tensor(1)
    f.ones(3)[place]
    assert recorder.calls[-1][1][2] is place


def test_conversions_to_python_are_told(recorder: Recorder) -> None:
    x = f.ones(1)
    bool(x), int(x), float(x), x.item(), x.tolist(), x.numpy()
    assert recorder.conversions == [
        "Python boolean", "Python integer", "Python float", "Python number", "Python list", "NumPy array",
    ]  # fmt: skip


def test_the_recorder_answers_for_sizes(recorder: Recorder) -> None:
    assert f.ones(2, 3).shape == (102, 103)
    assert f.ones(2, 3).size(1) == 103
    assert f.ones(2, 3).numel() == 106


def test_data_made_into_a_tensor_is_told_and_recorded(recorder: Recorder) -> None:
    made = f.tensor([1, 2])
    assert recorder.conversions == ["torch.tensor"]
    assert [name for name, _, _ in recorder.calls] == ["aten::to.device", "aten::detach"]
    assert recorder.calls[-1][2] is made


def test_recording_is_per_thread(recorder: Recorder) -> None:
    import threading

    thread = threading.Thread(target=lambda: f.ones(2) + 1)
    thread.start()
    thread.join()
    assert recorder.calls == []


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda x: x.unsqueeze("a"), r"unsqueeze\(\): argument 'dim' \(position 1\) must be int, not str"),
        (lambda x: x.unsqueeze(True), r"unsqueeze\(\): argument 'dim' \(position 1\) must be int, not bool"),
        (lambda x: x.unsqueeze(), r'unsqueeze\(\) missing 1 required positional arguments: "dim"'),
        (lambda x: f.relu(x, 2), r"relu\(\) takes 1 positional argument but 2 were given"),
        (lambda x: f.relu(np.ones(2)), r"relu\(\): argument 'input' \(position 1\) must be Tensor, not numpy.ndarray"),
        (lambda x: x.relu(foo=1), r"relu\(\) got an unexpected keyword argument 'foo'"),
        (lambda x: f.add(x, "a"), r"add\(\): argument 'other' \(position 2\) must be Tensor, not str"),
        (lambda x: f.pow(x, "a"), r"pow\(\) received an invalid combination of arguments - got \(Tensor, str\)"),
        (lambda x: x.view("a"), r"view\(\)"),
    ],
    ids=range(9),
)
def test_calls_that_fit_no_overload(call: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        call(f.ones(2))


def test_an_operator_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_operator'"):
        f.no_such_operator
    with pytest.raises(AttributeError, match="no attribute 'append'"):
        f.append  # an operator of the script language's lists
    with pytest.raises(AttributeError, match="optc has no operator aten::no_such_operator"):
        dispatch.call("aten::no_such_operator", ())


def test_several_results_carry_their_names() -> None:
    result = f.ones(2, 3).max(1)
    assert result.indices.tolist() == [0, 0]
    assert repr(result) == "torch.return_types.max(\nvalues=tensor([1., 1.]),\nindices=tensor([0, 0]))"
    values, _ = result
    assert values is result.values


def test_functions_named_like_those_of_python_leave_them_alone() -> None:
    tensor = f.tensor([1.0, 2.0])
    assert f.any(tensor) and f.all(tensor)
    assert float(f.max(tensor)) == 2.0 and float(f.sum(tensor)) == 3.0
    assert f.broadcast_shapes((2, 1), (3,)) == (2, 3)
    assert f.log_softmax(tensor, 0).shape == (2,)
