"""The code of scripted layers and functional forms is PyTorch's, to the letter."""

import types
from typing import Any

import pytest

import optc
from optc.jit.choices import choice_of
from optc.jit.markers import overloads_of
from optc.nn import _reduction, functional

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

LAYERS = [
    "Linear(4, 4)", "Linear(4, 4, bias=False)", "Bilinear(2, 3, 4)", "Identity()", "Softmax(-1)", "Softmax()",
    "Softmin(1)", "LogSoftmax(1)", "Softmax2d()", "ReLU()", "ReLU(True)", "GELU()", "GELU('tanh')", "Hardtanh()",
    "ReLU6()", "Softplus()", "PReLU()", "GLU()", "Tanhshrink()", "LogSigmoid()", "Threshold(1., 2.)", "RReLU()",
    "Hardsigmoid()", "SiLU()", "Mish()", "Hardswish()", "ELU()", "CELU()", "SELU()", "Hardshrink()", "LeakyReLU()",
    "Softshrink()", "Softsign()", "Sigmoid()", "Tanh()", "LayerNorm(4)", "LayerNorm((2, 4), elementwise_affine=False)",
    "LayerNorm(4, bias=False)", "RMSNorm(4)", "GroupNorm(2, 4)", "BatchNorm1d(4)", "BatchNorm1d(4, momentum=None)",
    "BatchNorm2d(4, affine=False)", "BatchNorm3d(4, track_running_stats=False)", "Dropout(0.5)", "Dropout1d()",
    "Dropout2d()", "Dropout3d()", "AlphaDropout()", "FeatureAlphaDropout()", "Embedding(4, 4)",
    "Embedding(4, 4, padding_idx=-1)", "Flatten()", "Unflatten(1, (2, 2))", "RNNCell(4, 4)",
    "RNNCell(4, 4, nonlinearity='relu')", "LSTMCell(4, 4)", "GRUCell(3, 4, bias=False)", "MSELoss()", "L1Loss()",
    "BCELoss()", "BCEWithLogitsLoss()", "KLDivLoss()", "HuberLoss()", "PoissonNLLLoss()", "SoftMarginLoss()",
    "HingeEmbeddingLoss()", "MarginRankingLoss()", "CosineEmbeddingLoss()", "MultiMarginLoss()", "MultiLabelMarginLoss()",
    "MultiLabelSoftMarginLoss()", "TripletMarginLoss()", "CTCLoss()", "PairwiseDistance()", "CosineSimilarity()",
    "Fold(4, 2)", "Unfold(2)", "ChannelShuffle(2)", "LocalResponseNorm(2)", "EmbeddingBag(4, 4)",
    "SmoothL1Loss()", "CrossEntropyLoss()", "NLLLoss()", "Sequential(N.Linear(4, 4), N.Sequential(N.Tanh()))",
]  # fmt: skip

RECURRENT = [
    "LSTM(2, 3)", "LSTM(2, 3, 2, batch_first=True, bidirectional=True, proj_size=2)", "GRU(2, 3)", "RNN(2, 3)",
    "RNN(2, 3, nonlinearity='relu', num_layers=2)",
]  # fmt: skip

NOT_SCRIPTED = (
    "gaussian_nll_loss", "triplet_margin_with_distance_loss", "lp_pool1d", "lp_pool2d", "lp_pool3d", "upsample",
    "upsample_nearest", "upsample_bilinear", "multi_head_attention_forward", "linear_cross_entropy",
)  # fmt: skip
"""PyTorch does not compile these either, or compiles them as unions and overloads that have no text of their own; or
they are made of other functions here."""

FUNCTIONS = [
    name for name in (*functional.__all__, "_verify_batch_size", "_verify_spatial_size", "_get_softmax_dim")
    if isinstance(vars(functional).get(name), types.FunctionType) and name not in functional._OPERATORS
    and name not in NOT_SCRIPTED and choice_of(vars(functional)[name]) is None and not overloads_of(vars(functional)[name])
]  # fmt: skip


def script(package: Any, expression: str) -> Any:
    return package.jit.script(eval(expression, {**vars(package.nn), "N": package.nn}))


@pytest.mark.parametrize("expression", LAYERS)
def test_layers(expression: str) -> None:
    assert script(optc, expression).code == script(torch, expression).code


@pytest.mark.parametrize("expression", RECURRENT)
def test_recurrent_layers_have_one_forward_per_signature(expression: str) -> None:
    ours, theirs = script(optc, expression), script(torch, expression)
    for name in ("forward__0", "forward__1", "check_forward_args", "permute_hidden"):
        assert getattr(ours, name).code == getattr(theirs, name).code


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    ours = optc.jit.script(getattr(functional, name))
    theirs = torch.jit.script(getattr(torch.nn.functional, name))
    assert ours.code == theirs.code
    if name not in ("fold", "unfold", "max_unpool1d", "max_unpool2d", "max_unpool3d"):  # PyTorch fails to print these
        assert str(ours.schema) == str(theirs.schema)


@pytest.mark.parametrize("name", ["get_enum", "legacy_get_string", "legacy_get_enum"])
def test_reductions(name: str) -> None:
    ours = optc.jit.script(getattr(_reduction, name))
    assert ours.code == torch.jit.script(getattr(torch.nn._reduction, name)).code
