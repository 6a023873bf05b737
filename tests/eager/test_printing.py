"""Tensors print as PyTorch prints them: known texts here, any tensor in test_printing_peers."""

from collections.abc import Iterator

import numpy as np
import pytest

from optc.eager.printing import format_tensor, get_printoptions, printoptions, set_printoptions


@pytest.fixture(autouse=True)
def default_options() -> Iterator[None]:
    yield
    set_printoptions(profile="default")


def text(values: object, dtype: str = "float32", **options: object) -> str:
    return format_tensor(np.array(values, dtype), dtype_name=dtype, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values, dtype, expected",
    [
        (3.0, "float32", "tensor(3.)"),
        ([1.5, -2.25, 0], "float32", "tensor([ 1.5000, -2.2500,  0.0000])"),
        ([1.0, 2.0], "float32", "tensor([1., 2.])"),
        ([1.0, 1e-5], "float32", "tensor([1.0000e+00, 1.0000e-05])"),
        ([1e9, 2.0], "float32", "tensor([1.0000e+09, 2.0000e+00])"),
        ([float("nan"), float("inf"), -0.0], "float32", "tensor([nan, inf, -0.])"),
        ([1.5, float("-inf")], "float32", "tensor([1.5000,   -inf])"),
        ([], "float32", "tensor([])"),
        (np.empty((0, 3)), "int64", "tensor([], size=(0, 3), dtype=torch.int64)"),
        ([1, -20], "int64", "tensor([  1, -20])"),
        ([1, 2], "int32", "tensor([1, 2], dtype=torch.int32)"),
        ([True, False], "bool", "tensor([ True, False])"),
        ([1.5], "float16", "tensor([1.5000], dtype=torch.float16)"),
        ([1.5], "float64", "tensor([1.5000], dtype=torch.float64)"),
        ([1 + 2j, -0.5j], "complex64", "tensor([1.+2.0000j, -0.-0.5000j])"),
    ],
)
def test_texts(values: object, dtype: str, expected: str) -> None:
    assert text(values, dtype) == expected


def test_matrices_put_rows_on_lines_and_align_columns() -> None:
    assert text([[1.0, -2.0], [10.0, 3.0]]) == "tensor([[ 1., -2.],\n        [10.,  3.]])"


def test_more_than_a_thousand_elements_are_summarised() -> None:
    assert text(np.arange(1001), "int64") == "tensor([   0,    1,    2,  ...,  998,  999, 1000])"


def test_parameters_and_gradients_are_announced() -> None:
    assert text([1.0], requires_grad=True, parameter=True) == "Parameter containing:\ntensor([1.], requires_grad=True)"


def test_a_suffix_that_does_not_fit_goes_on_the_next_line() -> None:
    line = text(np.arange(17), "int32")
    assert line.endswith("14, 15, 16],\n       dtype=torch.int32)")


def test_options_hold_for_the_body_of_a_with() -> None:
    before = get_printoptions()
    with printoptions(precision=2, sci_mode=True):
        assert text([1.2345]) == "tensor([1.23e+00])"
    assert get_printoptions() == before


def test_profiles() -> None:
    set_printoptions(profile="short")
    assert text([1.23456]) == "tensor([1.23])"
    set_printoptions(profile="full")
    assert "..." not in text(np.arange(2000), "int64")
