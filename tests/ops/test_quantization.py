"""Quantised tensors: integers that stand for numbers, and refuse to be taken for numbers."""

from __future__ import annotations

import numpy as np
import pytest

import optc


def quantised(numbers: list[float], scale: float = 0.5, zero_point: int = 3) -> optc.Tensor:
    return optc.quantize_per_tensor(optc.tensor(numbers), scale, zero_point, optc.quint8)


def test_numbers_become_the_nearest_integers_and_back() -> None:
    found = quantised([-1.5, 0.0, 0.7, 1.0, 1000.0])
    assert found.is_quantized and found.dtype is optc.quint8
    assert (found.q_scale(), found.q_zero_point()) == (0.5, 3)
    assert found.int_repr().tolist() == [0, 3, 4, 5, 255]
    assert found.dequantize().tolist() == [-1.5, 0.0, 0.5, 1.0, 126.0]


def test_the_zero_point_is_added_before_halves_are_rounded() -> None:
    assert quantised([2.5], 0.2, 1).int_repr().tolist() == [14]  # 12.5 + 1 rounds to 14, 12.5 to 12


def test_not_a_number_becomes_the_largest_integer() -> None:
    assert quantised([float("nan"), float("inf"), float("-inf")]).int_repr().tolist() == [255, 255, 0]


def test_views_copies_and_rows_keep_the_quantiser() -> None:
    x = quantised([0.0, 1.0, 2.0, 3.0]).view(2, 2)
    for found in (x[1], x.t(), x.clone(), x.flatten(), optc.cat([x, x]), x.unsqueeze(0)):
        assert (found.q_scale(), found.q_zero_point()) == (0.5, 3)
    assert x.t().contiguous().dequantize().tolist() == [[0.0, 2.0], [1.0, 3.0]]


@pytest.mark.parametrize("use", [
    lambda x: x + x, lambda x: x.float(), lambda x: x.exp(), lambda x: x.sum(), lambda x: x @ x,
    lambda x: optc.nn.functional.conv1d(x.view(1, 1, 2), optc.ones(1, 1, 1)),
])  # fmt: skip
def test_what_would_take_the_integers_for_numbers_is_refused(use: object) -> None:
    with pytest.raises((TypeError, RuntimeError, ValueError)):
        use(quantised([1.0, 2.0]))  # type: ignore[operator]


def test_each_channel_may_have_a_quantiser_of_its_own() -> None:
    numbers = optc.tensor([[1.0, 2.0], [1.0, 2.0]])
    found = optc.quantize_per_channel(numbers, optc.tensor([0.5, 0.25]), optc.tensor([0, 1]), 0, optc.qint8)
    assert found.int_repr().tolist() == [[2, 4], [5, 9]]
    assert found.q_per_channel_scales().tolist() == [0.5, 0.25] and found.q_per_channel_axis() == 0
    with pytest.raises(RuntimeError, match="kPerTensorAffine"):
        found.q_scale()


def test_pretending_rounds_numbers_to_those_that_integers_stand_for() -> None:
    found = optc.fake_quantize_per_tensor_affine(optc.tensor([-9.0, 0.3, 9.0]), 0.5, 0, -4, 3)
    assert found.tolist() == [-2.0, 0.5, 1.5]


def test_a_quantised_tensor_prints_its_numbers_and_its_quantiser() -> None:
    assert str(quantised([0.0, 1.0])) == (
        "tensor([0., 1.], size=(2,), dtype=torch.quint8,\n"
        "       quantization_scheme=torch.per_tensor_affine, scale=0.5, zero_point=3)"
    )


def test_the_integers_lie_where_they_lay() -> None:
    x = quantised([0.0, 1.0])
    assert x[1:].untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert np.shares_memory(x._array, x[1:]._array)


def test_means_of_windows_that_lie_between_two_integers_become_the_even_one() -> None:
    numbers = optc.tensor([[[[1.0, 2.0, 2.0, 3.0, 5.0, 6.0]]]]) * 0.0549
    for zero_point, wanted in ((0, [2, 2, 6]), (7, [8, 10, 12])):  # 1.5, 2.5, 5.5 and 8.5, 9.5, 12.5
        x = optc.quantize_per_tensor(numbers, 0.0549, zero_point, optc.quint8)
        assert optc.nn.functional.avg_pool2d(x, (1, 2)).int_repr().flatten().tolist() == wanted
        assert optc.nn.functional.adaptive_avg_pool2d(x, (1, 3)).int_repr().flatten().tolist() == wanted
