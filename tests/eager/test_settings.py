"""Default dtype, threads, limits of dtypes, devices and sizes."""

from collections.abc import Iterator

import pytest

from optc.eager import functions as f
from optc.eager import settings
from optc.eager.device import Device
from optc.eager.numerics import can_cast, finfo, iinfo, promote_types, result_type
from optc.eager.size import Size
from optc.ir import dtypes


@pytest.fixture
def float64_by_default() -> Iterator[None]:
    settings.set_default_dtype(dtypes.FLOAT64)
    yield
    settings.set_default_dtype(dtypes.FLOAT32)


@pytest.mark.usefixtures("float64_by_default")
def test_the_default_dtype() -> None:
    assert f.zeros(2).dtype is dtypes.FLOAT64
    assert f.tensor(1.5).dtype is dtypes.FLOAT64
    assert repr(f.tensor([1.5])) == "tensor([1.5000])"


def test_the_default_dtype_is_a_float() -> None:
    with pytest.raises(TypeError, match="only floating-point types"):
        settings.set_default_dtype(dtypes.INT64)


def test_threads() -> None:
    before = settings.get_num_threads()
    settings.set_num_threads(1)
    assert settings.get_num_threads() == 1
    settings.set_num_threads(before)
    with pytest.raises(RuntimeError, match="expects a positive integer"):
        settings.set_num_threads(0)


def test_limits() -> None:
    assert finfo(dtypes.FLOAT32).eps == 2.0**-23
    assert finfo(dtypes.BFLOAT16).eps == 2.0**-7
    assert iinfo(dtypes.INT8).min == -128
    with pytest.raises(TypeError, match="iinfo"):
        finfo(dtypes.INT8)


def test_types_together() -> None:
    assert promote_types(dtypes.UINT8, dtypes.INT8) is dtypes.INT16
    assert result_type(f.arange(2), 1.5) is dtypes.FLOAT32
    assert can_cast(dtypes.INT64, dtypes.FLOAT32)
    assert not can_cast(dtypes.FLOAT32, dtypes.INT64)


def test_devices() -> None:
    assert Device("cuda:1") == Device("cuda", 1)
    assert str(Device("cpu")) == "cpu"
    with pytest.raises(RuntimeError, match="device type at start of device string: foo"):
        Device("foo")


def test_sizes() -> None:
    assert Size([2, 3]) == (2, 3)
    assert repr((1,) + Size([2]) + (3,)) == "torch.Size([1, 2, 3])"
    assert Size([2, 3]).numel() == 6


def test_closeness() -> None:
    x = f.ones(2)
    assert f.NAMES["allclose"](x, x + 1e-7)
    assert not f.NAMES["allclose"](x, x + 1e-3)
    assert f.NAMES["equal"](x, f.ones(2))
    assert not f.NAMES["equal"](x, f.ones(3))
