"""Layers that find out how many channels they have, and the adaptive softmax: against PyTorch's, number by number."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import optc

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPES = {
    "LazyLinear(3)": (2, 5),
    "LazyLinear(3, bias=False)": (2, 4, 5),
    "LazyConv1d(4, 3, 2)": (2, 3, 9),
    "LazyConv2d(4, 3, padding=1, groups=2)": (2, 6, 5, 5),
    "LazyConv3d(2, 2, bias=False)": (1, 3, 4, 4, 4),
    "LazyConvTranspose1d(4, 3, 2)": (2, 3, 5),
    "LazyConvTranspose2d(4, 3, 2, 1, 1)": (2, 3, 5, 5),
    "LazyConvTranspose3d(2, 2)": (1, 3, 3, 3, 3),
    "LazyBatchNorm1d()": (4, 3),
    "LazyBatchNorm2d(affine=False)": (2, 3, 4, 4),
    "LazyBatchNorm3d(1e-3, None)": (2, 3, 2, 2, 2),
    "LazyInstanceNorm1d()": (2, 3, 6),
    "LazyInstanceNorm2d(affine=True, track_running_stats=True)": (2, 3, 4, 4),
    "LazyInstanceNorm3d()": (2, 3, 2, 2, 2),
}


def built(text: str, lib: Any) -> Any:
    return eval(f"lib.nn.{text}", {"lib": lib})


def numbers(*shape: int) -> Any:
    return np.random.default_rng([3, *shape]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("text", SHAPES)
def test_the_first_call_makes_an_ordinary_layer(text: str) -> None:
    layer, x = built(text, optc), optc.from_numpy(numbers(*SHAPES[text]))
    assert layer.has_uninitialized_params()
    first = layer(x)
    assert type(layer).__name__ == text.partition("(")[0].removeprefix("Lazy")
    assert first.shape == layer(x).shape
    compiled = optc.compile(layer.eval(), (x,))
    assert optc.allclose(compiled(x), layer(x), atol=1e-4)


def test_what_is_not_known_yet_says_so() -> None:
    layer = optc.nn.LazyLinear(3)
    assert repr(layer.weight) == "<UninitializedParameter>"
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        _ = layer.weight.shape
    with pytest.raises(RuntimeError, match="Expected 3D .unbatched. or 4D .batched. input to LazyConv2d"):
        optc.nn.LazyConv2d(3, 2)(optc.ones(2, 2))


def test_copies_and_loaded_numbers() -> None:
    layer = optc.nn.LazyLinear(3)
    twin = copy.deepcopy(layer)
    twin(optc.ones(2, 4))
    assert layer.has_uninitialized_params() and twin.in_features == 4
    layer.load_state_dict(twin.state_dict())
    assert not layer.has_uninitialized_params()
    assert optc.equal(layer(optc.ones(1, 4)), twin(optc.ones(1, 4))) and type(layer) is optc.nn.Linear


def test_adaptive_softmax_refuses_cutoffs_and_classes() -> None:
    for cutoffs in ([], [3, 2], [2, 2], [0, 3], [10]):
        with pytest.raises(ValueError, match="cutoffs should be a sequence"):
            optc.nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs)
    with pytest.raises(RuntimeError, match=r"Target values should be in \[0, 9\], but values in range \[0, 10\] were"):
        optc.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [4])(optc.ones(2, 8), optc.tensor([0, 10]))


@pytest.mark.peers
@pytest.mark.parametrize("text", SHAPES)
def test_pytorch_draws_and_computes_the_same(text: str) -> None:
    torch = pytest.importorskip("torch")
    x = numbers(*SHAPES[text])
    mine, other = built(text, optc), built(text, torch)
    optc.manual_seed(7)
    torch.manual_seed(7)
    for _ in range(2):
        found, expected = mine(optc.from_numpy(x)), other(torch.from_numpy(x)).detach()
        assert np.allclose(found.detach().numpy(), expected.numpy(), atol=1e-5)
    assert repr(mine) == repr(other)
    assert list(mine.state_dict()) == list(other.state_dict())
    for name, value in other.state_dict().items():
        assert np.allclose(mine.state_dict()[name].numpy(), value.numpy(), atol=1e-6)


@pytest.mark.peers
@pytest.mark.parametrize("options", ["[4, 7]", "[2, 5, 8], div_value=2.0, head_bias=True"])
def test_adaptive_softmax_is_pytorchs(options: str) -> None:
    torch = pytest.importorskip("torch")
    text, x, target = f"AdaptiveLogSoftmaxWithLoss(16, 10, {options})", numbers(12, 16), np.arange(12) % 10
    optc.manual_seed(7)
    torch.manual_seed(7)
    mine, other = built(text, optc), built(text, torch)
    given, theirs = optc.from_numpy(x), torch.from_numpy(x)
    with torch.no_grad():
        found, expected = mine(given, optc.from_numpy(target)), other(theirs, torch.from_numpy(target))
        assert np.allclose(found.output.detach().numpy(), expected.output.numpy(), atol=1e-5)
        assert np.allclose(found.loss.item(), expected.loss.item(), atol=1e-5)
        single = mine(given[0], optc.tensor(3)), other(theirs[0], torch.tensor(3))
        assert np.allclose(single[0].output.item(), single[1].output.item(), atol=1e-5)
        assert np.allclose(mine.log_prob(given).detach().numpy(), other.log_prob(theirs).numpy(), atol=1e-5)
        assert mine.predict(given).tolist() == other.predict(theirs).tolist()


@pytest.mark.peers
def test_triplets_with_a_distance_of_ones_own() -> None:
    torch = pytest.importorskip("torch")
    parts = [numbers(4, 6) + place for place in range(3)]
    for text in ("()", "(margin=2.0, swap=True, reduction='none')"):
        mine, other = (built(f"TripletMarginWithDistanceLoss{text}", lib) for lib in (optc, torch))
        found = mine(*map(optc.from_numpy, parts))
        assert np.allclose(found.numpy(), other(*map(torch.from_numpy, parts)).numpy(), atol=1e-5)
        assert repr(mine) == repr(other)
    own = optc.nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().amax(-1))
    theirs = torch.nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().amax(-1))
    assert np.allclose(own(*map(optc.from_numpy, parts)).item(), theirs(*map(torch.from_numpy, parts)).item())
    with pytest.raises(ValueError, match="expected margin to be greater than 0"):
        optc.nn.TripletMarginWithDistanceLoss(margin=0.0)
