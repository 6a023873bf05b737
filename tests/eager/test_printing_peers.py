"""`format_tensor` against PyTorch over tensors of every dtype, shape and magnitude."""

import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from optc.eager import printing
from optc.eager.printing import format_tensor

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

DTYPES = [
    "float32",
    "float64",
    "float16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
    "complex128",
]
SHAPES = [(), (0,), (0, 3), (2, 0), (1,), (7,), (40,), (3, 4), (2, 3, 4), (1, 2, 2, 3), (1001,), (40, 30), (7, 1, 200)]
SCALES = [1.0, 1e-6, 1e6, 1e12]


def both(array: np.ndarray) -> tuple[str, str]:
    return repr(torch.from_numpy(array)), format_tensor(array, dtype_name=array.dtype.name)


def sample(dtype: str, shape: tuple[int, ...], scale: float, whole: bool) -> np.ndarray:
    choose = np.random.default_rng([DTYPES.index(dtype), *shape, int(np.log10(scale)) + 10, whole])
    values = choose.standard_normal(shape) * scale
    if dtype.startswith("complex"):
        values = values + 1j * choose.standard_normal(shape)
    if whole or np.dtype(dtype).kind in "iub":
        values = np.round(values * 20) if dtype.startswith("complex") else np.trunc(values * 20)
    with np.errstate(all="ignore"):
        return np.asarray(values).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    for scale in SCALES:
        for whole in (False, True):
            theirs, ours = both(sample(dtype, shape, scale, whole))
            assert ours == theirs


@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.float16, np.complex64, np.int64]),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    )
)
@settings(max_examples=500)
def test_any_values(array: np.ndarray) -> None:
    theirs, ours = both(array)
    assert ours == theirs


@given(st.lists(st.floats(width=16), max_size=12))
@settings(max_examples=100)
def test_bfloat16(values: list[float]) -> None:
    tensor = torch.tensor(values, dtype=torch.bfloat16)
    array = np.array(values, np.float32).astype(ml_dtypes.bfloat16)
    assert format_tensor(array, dtype_name="bfloat16") == repr(tensor)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": 2},
        {"precision": 8},
        {"threshold": 5},
        {"threshold": 5, "edgeitems": 1},
        {"threshold": 5, "edgeitems": 0},
        {"linewidth": 40},
        {"linewidth": 120},
        {"sci_mode": True},
        {"sci_mode": False},
        {"profile": "short"},
        {"profile": "full"},
    ],
    ids=str,
)
def test_print_options(options: dict[str, Any]) -> None:
    before = torch._tensor_str.get_printoptions()
    try:
        torch.set_printoptions(**options)
        with printing.printoptions(**options):
            for dtype, shape in itertools.product(("float32", "int64", "complex64"), SHAPES):
                theirs, ours = both(sample(dtype, shape, 1e4, False))
                assert ours == theirs
    finally:
        torch.set_printoptions(**before)


@pytest.mark.parametrize("default", ["float32", "float64"])
def test_the_default_dtype_is_not_shown(default: str) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, default))
    try:
        for dtype in DTYPES:
            for shape in ((2,), (0,)):
                array = sample(dtype, shape, 1.0, True)
                ours = format_tensor(array, dtype_name=dtype, default_dtype_name=default)
                assert ours == repr(torch.from_numpy(array))
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("shape", [(2,), (20,), (13, 2), (0,)])
def test_requires_grad_and_parameters(shape: tuple[int, ...]) -> None:
    array = sample("float32", shape, 1.0, False)
    tensor = torch.from_numpy(array).requires_grad_()
    assert format_tensor(array, dtype_name="float32", requires_grad=True) == repr(tensor)
    parameter = torch.nn.Parameter(tensor)
    assert format_tensor(array, dtype_name="float32", requires_grad=True, parameter=True) == repr(parameter)
