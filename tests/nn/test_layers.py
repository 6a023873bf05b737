"""What the layers print, what they compute, and what they refuse; their values are held against PyTorch elsewhere."""

import math
from collections.abc import Callable

import pytest

import optc
from optc import nn


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.Linear(4, 3), "Linear(in_features=4, out_features=3, bias=True)"),
        (nn.Linear(4, 3, bias=False), "Linear(in_features=4, out_features=3, bias=False)"),
        (nn.Identity(7, x=8), "Identity()"),
        (nn.Threshold(0.5, 2.0, True), "Threshold(threshold=0.5, value=2.0, inplace=True)"),
        (nn.ReLU(), "ReLU()"),
        (nn.ReLU(inplace=True), "ReLU(inplace=True)"),
        (nn.GELU("tanh"), "GELU(approximate='tanh')"),
        (nn.Softmax(-1), "Softmax(dim=-1)"),
        (nn.Dropout(0.25), "Dropout(p=0.25, inplace=False)"),
        (nn.LayerNorm((2, 3)), "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True, bias=True)"),
        (nn.LayerNorm(3, bias=False), "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=False)"),
        (nn.RMSNorm(3), "RMSNorm((3,), eps=None, elementwise_affine=True)"),
        (nn.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"),
        (nn.BatchNorm1d(2, momentum=None),
         "BatchNorm1d(2, eps=1e-05, momentum=None, affine=True, bias=True, track_running_stats=True)"),
        (nn.Embedding(4, 2, padding_idx=-1), "Embedding(4, 2, padding_idx=3)"),
        (nn.RNNCell(2, 3, bias=False, nonlinearity="relu"), "RNNCell(2, 3, bias=False, nonlinearity=relu)"),
        (nn.LSTMCell(2, 3), "LSTMCell(2, 3)"),
        (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (nn.Unflatten(1, (2, 2)), "Unflatten(dim=1, unflattened_size=(2, 2))"),
        (nn.MSELoss(), "MSELoss()"),
    ],
)  # fmt: skip
def test_repr_shows_the_arguments(layer: nn.Module, text: str) -> None:
    assert repr(layer) == text


@pytest.mark.parametrize(
    ("construct", "error", "message"),
    [
        (lambda: nn.Dropout(1.5), ValueError, "dropout probability has to be between 0 and 1, but got 1.5"),
        (lambda: nn.GroupNorm(3, 4), ValueError, "num_channels (4) must be divisible by num_groups (3)"),
        (lambda: nn.Embedding(4, 2, padding_idx=4), AssertionError, "Padding_idx must be within num_embeddings"),
        (lambda: nn.Embedding.from_pretrained(optc.ones(3)), AssertionError,
         "Embeddings parameter is expected to be 2-dimensional"),
        (lambda: nn.Unflatten(1, 3), TypeError, "unflattened_size must be a tuple of ints, but found type int"),
        (lambda: nn.Unflatten(1, (1, "a")), TypeError,
         "unflattened_size must be tuple of ints, but found element of type str at pos 1"),
        (lambda: nn.Hardtanh(1, -1), AssertionError, "max_val (-1) must be greater than min_val (1)"),
        (lambda: nn.BatchNorm1d(2)(optc.ones(2)), ValueError, "expected 2D or 3D input (got 1D input)"),
        (lambda: nn.BatchNorm1d(2)(optc.ones(1, 2)), ValueError,
         "Expected more than 1 value per channel when training, got input size torch.Size([1, 2])"),
        (lambda: nn.RNNCell(2, 2)(optc.ones(1, 1, 2)), ValueError,
         "RNNCell: Expected input to be 1D or 2D, got 3D instead"),
        (lambda: nn.RNNCell(2, 2, nonlinearity="sin")(optc.ones(2)), RuntimeError, "Unknown nonlinearity: sin"),
        (lambda: nn.Softmax2d()(optc.ones(2)), ValueError, "Softmax2d: expected input to be 3D or 4D, got 1D instead"),
    ],
)  # fmt: skip
def test_wrong_uses(construct: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        construct()
    assert str(caught.value) == message


def test_linear_is_an_affine_map() -> None:
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": optc.tensor([[2.0, 3.0]]), "bias": optc.tensor([1.0])})
    assert layer(optc.tensor([[1.0, 1.0], [0.0, 1.0]])).tolist() == [[6], [4]]


def test_module_construction_draws_pytorchs_numbers() -> None:
    optc.manual_seed(0)
    layer = nn.Linear(2, 2)
    expected = [-0.005293981, 0.379322886, -0.581980765, -0.520387471]
    assert layer.weight.flatten().tolist() == pytest.approx(expected, rel=1e-6)


def test_dropout_only_in_training() -> None:
    layer, x = nn.Dropout(0.5), optc.ones(1000)
    dropped = layer(x)
    assert set(dropped.tolist()) == {0.0, 2.0}
    assert optc.equal(layer.eval()(x), x)


def test_batch_norm_averages_in_training_and_uses_the_averages_in_evaluation() -> None:
    layer = nn.BatchNorm1d(1, momentum=0.5)
    x = optc.tensor([[0.0], [2.0]])
    y = layer(x)
    assert y.flatten().tolist() == pytest.approx([-1, 1], abs=1e-4)
    assert layer.running_mean.item() == 0.5
    assert layer.running_var.item() == 1.5
    assert layer.num_batches_tracked.item() == 1
    assert layer.eval()(x)[0].item() == pytest.approx(-0.5 / math.sqrt(1.5 + 1e-5))
    layer.reset_running_stats()
    assert layer.running_mean.item() == 0


def test_cumulative_average_when_momentum_is_none() -> None:
    layer = nn.BatchNorm1d(1, momentum=None)
    layer(optc.tensor([[0.0], [2.0]]))
    layer(optc.tensor([[2.0], [4.0]]))
    assert layer.running_mean.item() == 2


def test_embedding_rows() -> None:
    table = nn.Embedding(3, 2, padding_idx=0)
    assert table.weight[0].tolist() == [0, 0]
    assert table(optc.tensor([[0, 2]])).shape == (1, 2, 2)
    data = optc.tensor([[3.0, 4.0], [0.3, 0.4]])
    shared = nn.Embedding.from_pretrained(data, max_norm=1.0)
    assert not shared.weight.requires_grad
    assert shared(optc.tensor([0, 1])).flatten().tolist() == pytest.approx([0.6, 0.8, 0.3, 0.4])
    assert data[0].tolist() == pytest.approx([0.6, 0.8])


def test_cells_start_from_zeros_and_take_single_samples() -> None:
    for cell in (nn.RNNCell(2, 3), nn.GRUCell(2, 3)):
        x = optc.rand(4, 2)
        assert optc.equal(cell(x), cell(x, optc.zeros(4, 3)))
        assert cell(x[0]).shape == (3,)
    h, c = nn.LSTMCell(2, 3)(optc.rand(2))
    assert h.shape == c.shape == (3,)


def test_implicit_softmax_dim_warns() -> None:
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax has been deprecated"):
        assert nn.Softmax()(optc.zeros(2, 4))[0, 0].item() == 0.25


def test_inplace_activations_write_their_input() -> None:
    x = optc.tensor([-1.0, 1.0])
    assert nn.ReLU(inplace=True)(x) is x
    assert x.tolist() == [0, 1]


def test_losses_reduce() -> None:
    x, y = optc.tensor([1.0, 3.0]), optc.tensor([0.0, 1.0])
    assert nn.MSELoss()(x, y).item() == 2.5
    assert nn.L1Loss(reduction="sum")(x, y).item() == 3
    assert nn.SmoothL1Loss(reduction="none")(x, y).tolist() == [0.5, 1.5]
    with pytest.warns(UserWarning, match="please use reduction='none' instead"):
        assert nn.MSELoss(reduce=False)(x, y).tolist() == [1, 4]
    with pytest.raises(ValueError, match="most is not a valid value for reduction"):
        nn.L1Loss(reduction="most")(x, y)
    logits = optc.zeros(2, 4)
    assert nn.CrossEntropyLoss()(logits, optc.tensor([0, 3])).item() == pytest.approx(math.log(4))
    assert nn.NLLLoss(ignore_index=3)(logits, optc.tensor([0, 3])).item() == 0
