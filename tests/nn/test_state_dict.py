"""state_dict and load_state_dict: names, sharing, reports."""

from collections import OrderedDict
from typing import Any

import pytest

import optc
from optc import nn


def linear() -> nn.Linear:
    return nn.Linear(2, 2)


def test_keys_and_metadata() -> None:
    net = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2))
    state = net.state_dict()
    assert list(state) == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
    ]  # fmt: skip
    assert state._metadata == {"": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}}  # type: ignore[attr-defined]
    assert isinstance(state, OrderedDict)


def test_entries_share_memory_and_are_detached() -> None:
    layer = linear()
    state = layer.state_dict()
    state["bias"].zero_()
    assert layer.bias.tolist() == [0, 0]
    assert not state["bias"].requires_grad
    assert layer.state_dict(keep_vars=True)["bias"] is layer.bias


def test_round_trip_copies_values() -> None:
    source, target = linear(), linear()
    report = target.load_state_dict(source.state_dict())
    assert repr(report) == "<All keys matched successfully>"
    assert optc.equal(target.weight, source.weight)
    assert target.weight is not source.weight


def test_all_mismatches_are_reported_at_once() -> None:
    layer = linear()
    with pytest.raises(RuntimeError) as caught:
        layer.load_state_dict({"weight": optc.ones(3), "extra": optc.ones(1)})
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Linear:\n"
        '\tMissing key(s) in state_dict: "bias". \n'
        '\tUnexpected key(s) in state_dict: "extra". \n'
        "\tsize mismatch for weight: copying a param with shape torch.Size([3]) from checkpoint, the shape in current "
        "model is torch.Size([2, 2])."
    )


def test_other_objects_are_refused() -> None:
    with pytest.raises(RuntimeError, match='named "bias", expected torch.Tensor or Tensor-like object from checkpoint'):
        linear().load_state_dict({"weight": optc.ones(2, 2), "bias": 5})
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>."):
        linear().load_state_dict([1])  # type: ignore[arg-type]


def test_not_strict_returns_the_keys() -> None:
    report = linear().load_state_dict({"weight": optc.ones(2, 2), "z": optc.ones(1)}, strict=False)
    assert report.missing_keys == ["bias"]
    assert report.unexpected_keys == ["z"]
    assert repr(report) == "_IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['z'])"


def test_dtype_of_the_model_wins_unless_assigned() -> None:
    layer = linear()
    double = {name: value.double() for name, value in layer.state_dict().items()}
    layer.load_state_dict(double)
    assert layer.weight.dtype is optc.float32
    layer.load_state_dict(double, assign=True)
    assert layer.weight.dtype is optc.float64
    assert isinstance(layer.weight, nn.Parameter)


def test_one_element_vectors_load_into_scalars() -> None:
    module = nn.Module()
    module.scale = nn.Parameter(optc.tensor(0.0))
    module.load_state_dict({"scale": optc.tensor([3.0])})
    assert module.scale.item() == 3


def test_batch_norm_accepts_states_from_before_the_counter() -> None:
    layer = nn.BatchNorm1d(2)
    state = {name: value for name, value in layer.state_dict().items() if name != "num_batches_tracked"}
    layer.load_state_dict(state)
    assert layer.num_batches_tracked.item() == 0


class Stateful(nn.Module):
    state: Any = 1

    def get_extra_state(self) -> Any:
        return self.state

    def set_extra_state(self, state: Any) -> None:
        self.state = state


def test_extra_state_travels() -> None:
    net = nn.Sequential(Stateful())
    assert dict(net.state_dict()) == {"0._extra_state": 1}
    net.load_state_dict({"0._extra_state": "new"})
    assert net[0].state == "new"
    with pytest.raises(RuntimeError, match='Missing key\\(s\\) in state_dict: "0._extra_state"'):
        net.load_state_dict({})
    with pytest.raises(RuntimeError, match='Unexpected key\\(s\\) in state_dict: "_extra_state"'):
        nn.ReLU().load_state_dict({"_extra_state": 1})


def test_hooks_around_saving_and_loading() -> None:
    layer = linear()
    log: list[str] = []
    layer.register_state_dict_pre_hook(lambda module, prefix, keep_vars: log.append("pre"))
    layer.register_state_dict_post_hook(lambda module, state, prefix, metadata: state.__delitem__("bias"))
    layer.register_load_state_dict_pre_hook(lambda module, state, *rest: state.update(bias=optc.ones(2)))
    handle = layer.register_load_state_dict_post_hook(lambda module, keys: log.append(str(keys)))
    state = layer.state_dict()
    assert list(state) == ["weight"]
    layer.load_state_dict(state)
    assert layer.bias.tolist() == [1, 1]
    assert log == ["pre", "<All keys matched successfully>"]
    handle.remove()
    layer.load_state_dict(state)
    assert len(log) == 2


class Renamed(nn.Module):
    """As model code of PyTorch takes states of older versions of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(optc.ones(2))
        self._register_load_state_dict_pre_hook(self.rename)

    def rename(self, state: dict[str, Any], prefix: str, *_: Any) -> None:
        if f"{prefix}old" in state:
            state[f"{prefix}weight"] = state.pop(f"{prefix}old")


def test_hooks_of_pytorchs_own_code_are_called_without_their_module() -> None:
    net = nn.Sequential(Renamed())
    assert repr(net.load_state_dict({"0.old": optc.zeros(2)})) == "<All keys matched successfully>"
    assert net[0].weight.tolist() == [0, 0]
    seen: list[Any] = []
    with net._register_load_state_dict_pre_hook(lambda module, *_: seen.append(module), with_module=True):
        net.load_state_dict(net.state_dict())
    assert seen == [net]


def test_only_pytorchs_own_kind_of_hook_may_replace_the_state() -> None:
    layer = linear()
    with layer._register_state_dict_hook(lambda module, state, prefix, metadata: {"only": 1}):
        assert layer.state_dict() == {"only": 1}
    layer.register_state_dict_post_hook(lambda module, state, prefix, metadata: {"only": 1})
    with pytest.raises(RuntimeError, match="post-hook must return None"):
        layer.state_dict()
