"""Factories and conversions from data; seeding."""

from typing import Any

import numpy as np
import pytest

from optc.eager import functions as f
from optc.eager import seeding
from optc.ir import dtypes


@pytest.mark.parametrize(
    "data, dtype",
    [
        ([1, 2], dtypes.INT64),
        ([1, 2.5, True], dtypes.FLOAT32),
        ([True, False], dtypes.BOOL),
        ([1 + 2j], dtypes.COMPLEX64),
        ([], dtypes.FLOAT32),
        (np.ones(2), dtypes.FLOAT64),
        ([np.float32(1), 2], dtypes.FLOAT32),
        ([np.ones(2), np.ones(2)], dtypes.FLOAT64),
        ([np.int32(1)], dtypes.INT32),
        (range(3), dtypes.INT64),
        (2.5, dtypes.FLOAT32),
        (np.float64(2.5), dtypes.FLOAT64),
    ],
    ids=str,
)
def test_the_dtype_of_data(data: Any, dtype: dtypes.DType) -> None:
    made = f.tensor(data)
    assert made.dtype is dtype
    assert made.shape == np.shape(data)


@pytest.mark.parametrize(
    "data, dtype, error, text",
    [
        ([[1, 2], [3]], None, ValueError, r"expected sequence of length 2 at dim 1 \(got 1\)"),
        ("a", None, TypeError, "invalid data type 'str'"),
        (None, None, RuntimeError, "Could not infer dtype of NoneType"),
        ([{}], None, RuntimeError, "Could not infer dtype of dict"),
        (2**63, None, ValueError, "Overflow when unpacking long long"),
        (300, dtypes.UINT8, RuntimeError, "value cannot be converted to type uint8 without overflow"),
        (float("inf"), dtypes.INT32, RuntimeError, "value cannot be converted to type int32 without overflow"),
        (1j, dtypes.FLOAT32, TypeError, "must be real number, not complex"),
        (np.array(["a"]), None, TypeError, "can't convert np.ndarray of type numpy.str_"),
    ],
    ids=str,
)
def test_data_that_is_refused(data: Any, dtype: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        f.tensor(data, dtype=dtype)


def test_factories() -> None:
    assert f.zeros(2, 3).tolist() == f.zeros((2, 3)).tolist() == [[0, 0, 0]] * 2
    assert f.ones(2, dtype=dtypes.INT8).dtype is dtypes.INT8
    assert f.full((2,), 7).tolist() == [7, 7]
    assert f.arange(1, 6, 2).tolist() == [1, 3, 5]
    assert f.linspace(0, 1, 3).tolist() == [0, 0.5, 1]
    assert f.eye(2).tolist() == [[1, 0], [0, 1]]
    assert f.zeros_like(f.arange(2)).dtype is dtypes.INT64
    assert f.arange(3).new_ones(2).dtype is dtypes.INT64
    assert f.empty_strided((2, 3), (1, 2)).stride() == (1, 2)
    assert f.zeros(2, requires_grad=True).requires_grad


def test_only_the_cpu_is_there() -> None:
    with pytest.raises(RuntimeError, match="device 'cuda' is not available"):
        f.zeros(2, device="cuda")


def test_only_floats_can_require_gradients() -> None:
    with pytest.raises(RuntimeError, match="Only Tensors of floating point and complex dtype"):
        f.tensor([1], requires_grad=True)


def test_manual_seed_repeats_the_numbers_pytorch_draws() -> None:
    seeding.manual_seed(0)
    first = f.rand(2).tolist(), f.randn(2).tolist(), f.randint(0, 10, (3,)).tolist(), f.randperm(4).tolist()
    seeding.manual_seed(0)
    again = f.rand(2).tolist(), f.randn(2).tolist(), f.randint(0, 10, (3,)).tolist(), f.randperm(4).tolist()
    assert first == again
    assert first[0] == pytest.approx([0.49625659, 0.76822180])


def test_a_generator_of_its_own() -> None:
    generator = seeding.Generator().manual_seed(4)
    expected = f.rand(3, generator=generator).tolist()
    state = generator.get_state()
    generator.manual_seed(4)
    assert f.rand(3, generator=generator).tolist() == expected
    generator.set_state(state)
    assert f.rand(3, generator=generator).tolist() != expected
    assert generator.initial_seed() == 4


def test_the_default_generator_can_be_saved_and_forked() -> None:
    state = seeding.get_rng_state()
    expected = f.rand(2).tolist()
    seeding.set_rng_state(state)
    with seeding.fork_rng():
        assert f.rand(2).tolist() == expected
    assert f.rand(2).tolist() == expected


@pytest.mark.parametrize(
    "draw, text",
    [
        (lambda: f.ones(2).uniform_(1, -1), "uniform_ expects to return"),
        (lambda: f.ones(2).normal_(0, -1), "normal expects std >= 0.0"),
        (lambda: f.ones(2).bernoulli_(2.0), "bernoulli_ expects p to be in"),
        (lambda: f.arange(2).random_(3, 3), "'from' to be less than 'to'"),
        (lambda: f.randint(0, 300, (2,), dtype=dtypes.UINT8), "out of bounds for unsigned char"),
        (lambda: f.arange(2).uniform_(), "not implemented for 'Long'"),
        (lambda: f.multinomial(f.ones(2), 3), "without replacement"),
        (lambda: f.dropout(f.ones(2), 1.5, True), "dropout probability"),
    ],
    ids=range(8),
)
def test_refused_distributions(draw: Any, text: str) -> None:
    with pytest.raises(RuntimeError, match=text):
        draw()
