"""Initialisers: gains, fans, shapes; that their numbers are PyTorch's is tested in test_against_torch.py."""

import math

import pytest

import optc
from optc.nn import init


@pytest.mark.parametrize(
    ("arguments", "gain"),
    [(("linear",), 1), (("conv2d",), 1), (("sigmoid",), 1), (("tanh",), 5 / 3), (("relu",), math.sqrt(2)),
     (("leaky_relu",), math.sqrt(2 / (1 + 0.01**2))), (("leaky_relu", 3), math.sqrt(0.2)), (("selu",), 0.75)],
)  # fmt: skip
def test_gains(arguments: tuple[str, ...], gain: float) -> None:
    assert init.calculate_gain(*arguments) == gain


def test_unknown_gains() -> None:
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="negative_slope True not a valid number"):
        init.calculate_gain("leaky_relu", True)


def test_fans_count_the_receptive_field() -> None:
    assert init._calculate_fan_in_and_fan_out(optc.empty(8, 4, 3, 5)) == (60, 120)
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_uniform_(optc.empty(3))
    with pytest.raises(ValueError, match=r"Mode fan not supported, please use one of \['fan_in', 'fan_out'\]"):
        init.kaiming_normal_(optc.empty(2, 2), mode="fan")


def test_bounds() -> None:
    assert init.uniform_(optc.empty(1000), 2, 3).min().item() >= 2
    assert init.kaiming_uniform_(optc.empty(50, 3), a=math.sqrt(5)).abs().max().item() <= 1 / math.sqrt(3)
    assert init.xavier_uniform_(optc.empty(50, 4)).abs().max().item() <= math.sqrt(6 / 54)
    for arguments in ((0, 1, -1, 1), (0, 1, 1.5, 4)):
        values = init.trunc_normal_(optc.empty(1000), *arguments)
        assert values.min().item() >= arguments[2]
        assert values.max().item() <= arguments[3]


def test_constants() -> None:
    assert init.constant_(optc.empty(2), 3).tolist() == [3, 3]
    assert init.ones_(init.zeros_(optc.empty(1))).tolist() == [1]
    assert init.eye_(optc.ones(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert init.dirac_(optc.ones(4, 1, 3), groups=2)[:, 0].tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 2)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = init.orthogonal_(optc.empty(shape), gain=2).reshape(shape[0], -1)
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.t()
    assert optc.allclose(short @ short.t(), 4 * optc.eye(short.shape[0]), atol=1e-5)


def test_sparse_columns() -> None:
    matrix = init.sparse_(optc.empty(10, 4), 0.35)
    assert (matrix == 0).sum(0).tolist() == [4, 4, 4, 4]


def test_they_fill_parameters_in_place_without_gradient() -> None:
    parameter = optc.nn.Parameter(optc.ones(2, 2))
    assert init.normal_(parameter) is parameter
    assert parameter.requires_grad


def test_old_names_warn() -> None:
    with pytest.warns(FutureWarning, match="`nn.init.uniform` is now deprecated in favor of `nn.init.uniform_`"):
        init.uniform(optc.empty(2))


def test_empty_tensors_are_left_alone_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        init.kaiming_uniform_(optc.empty(0, 3))
