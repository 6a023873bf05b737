"""Products of windows that are read where they are: bit for bit those of a copy of the windows."""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.gemm.driver import product_modules
from optc.codegen.gemm.plan import Shape, plan_product
from optc.codegen.gemm.product import Gemm
from optc.codegen.gemm.windows import Windows, flat, levels_of, windows_of
from optc.codegen.machine import jit
from optc.codegen.machine.host import Target
from optc.nn import functional
from tests.codegen.test_gemm import BIAS_RELU, DTYPES, ON_EVERY_TARGET, TARGETS, can_run, guarded, multiply, pack
from tests.codegen.test_gemm_assembly import LONG

CASES: list[tuple[tuple[int, int, int, int], int, int, int]] = [
    ((1, 9, 11, 16), 3, 1, 40),  # two levels of rows, three runs
    ((3, 8, 7, 33), 3, 2, 17),  # three levels
    ((2, 9, 5, 150), 5, 1, 70),  # blocks of K that end within runs
    ((2, 6, 6, 64), 1, 1, 130),  # one run for all of K
]


def windows(tensor: np.ndarray[Any, Any], kernel: int, stride: int) -> np.ndarray[Any, Any]:
    """(batch, places, places, kernel, kernel, channels), in the tensor's memory."""
    found = np.lib.stride_tricks.sliding_window_view(tensor, (kernel, kernel), (1, 2))
    return found[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)


def multiply_windows(
    gemm: Gemm, target: Target, found: np.ndarray[Any, Any], lies: Windows, b: Any, bias: Any, ranges: int
) -> np.ndarray[Any, Any]:
    """Compiles and runs the product of windows in some ranges of groups."""
    library = jit.link([jit.compile_module(str(module), target) for module in product_modules(gemm).values()])
    types = [ctypes.c_void_p if parameter.type == "ptr" else ctypes.c_int64 for parameter in gemm.parameters]
    function = ctypes.CFUNCTYPE(None, *types)(library.address(gemm.name))
    m, k = int(np.prod(found.shape[:3])), int(np.prod(found.shape[3:]))
    (c, whole), packed, table = guarded((m, b.shape[1]), b.dtype), pack(b, gemm.tile), np.array(lies.table, np.int64)
    for start, stop in itertools.pairwise(gemm.groups * part // ranges for part in range(ranges + 1)):
        function(
            found.ctypes.data, 1, packed.ctypes.data, 0, c.ctypes.data, whole.shape[1], m, b.shape[1], k, None,
            table.ctypes.data, bias.ctypes.data, start, stop,
        )  # fmt: skip
    result = c.copy()
    c[:] = 77
    assert (whole == 77).all()
    return result


@ON_EVERY_TARGET
@pytest.mark.parametrize("case", CASES, ids=str)
def test_windows_give_the_bits_of_their_copies(
    case: tuple[tuple[int, int, int, int], int, int, int], element: str, name: str
) -> None:
    target, (shape, kernel, stride, outputs) = TARGETS[name], case
    if not can_run(target):
        pytest.skip("the processor cannot run this")
    random = np.random.default_rng(outputs)
    tensor = random.standard_normal(shape).astype(DTYPES[element])
    found = windows(tensor, kernel, stride)
    lies = windows_of(found.shape, [step // found.itemsize for step in found.strides], 3)
    assert lies is not None
    rows = found.reshape(int(np.prod(found.shape[:3])), -1)
    m, k = rows.shape
    b = random.standard_normal((k, outputs)).astype(tensor.dtype)
    bias = random.standard_normal(outputs).astype(tensor.dtype)
    for extents in ((m, outputs, k), (None, outputs, None)):
        plan = replace(plan_product(target, Shape(element, *extents, "rows", "packed", 1)), packs_a=False)
        plain = Gemm(element, plan, *extents, epilogue=BIAS_RELU)
        there = replace(plain, windows=len(lies.levels))
        expected = multiply(plain, target, rows, b, bias)
        for ranges in (1, 3):
            np.testing.assert_array_equal(multiply_windows(there, target, found, lies, b, bias, ranges), expected)


@ON_EVERY_TARGET
@pytest.mark.parametrize(
    ("places", "n", "k"), [((1, 5, 9), 40, 33), ((3, 5, 4), 17, 700), ((2, 3, 7, 5), 70, 64)], ids=str
)
def test_results_lie_in_a_frame(places: tuple[int, ...], n: int, k: int, element: str, name: str) -> None:
    target, m = TARGETS[name], int(np.prod(places))
    if not can_run(target):
        pytest.skip("the processor cannot run this")
    random = np.random.default_rng(n)
    a, b = (random.standard_normal(shape).astype(DTYPES[element]) for shape in ((m, k), (k, n)))
    bias = random.standard_normal(n).astype(a.dtype)
    for extents, epilogue in (((m, n, k), BIAS_RELU), ((None, n, None), BIAS_RELU), ((m, n, k), LONG)):
        plain = Gemm(
            element, plan_product(target, Shape(element, *extents, "rows", "packed", k)), *extents, epilogue=epilogue
        )
        whole = np.full([extent + 3 for extent in places] + [n], 77, a.dtype)
        inside = whole[tuple(slice(1, 1 + extent) for extent in places)]
        levels = levels_of(places, [stride // a.itemsize for stride in inside.strides[:-1]])
        framed = replace(plain, places=len(levels))
        library = jit.link([jit.compile_module(str(module), target) for module in product_modules(framed).values()])
        types = [ctypes.c_void_p if parameter.type == "ptr" else ctypes.c_int64 for parameter in framed.parameters]
        function = ctypes.CFUNCTYPE(None, *types)(library.address(framed.name))
        packed, table, scratch_bytes = pack(b, framed.tile), np.array(flat(levels), np.int64), framed.scratch_bytes(k)
        assert isinstance(scratch_bytes, int)
        scratch = np.zeros(scratch_bytes * framed.groups + 64, np.uint8)
        aligned = scratch.ctypes.data + -scratch.ctypes.data % 64
        function(
            a.ctypes.data, k, packed.ctypes.data, 0, inside.ctypes.data, n, m, n, k, aligned, table.ctypes.data,
            bias.ctypes.data, 0, framed.groups,
        )  # fmt: skip
        np.testing.assert_array_equal(inside.reshape(m, n), multiply(plain, target, a, b, bias))
        inside[:] = 77
        assert (whole == 77).all()


def test_windows_are_described_by_as_few_numbers_as_possible() -> None:
    # A batch of 2 x 4 x 5 places, 3 x 3 x 8 elements each, of a tensor of lines of 7 places.
    lies = windows_of((2, 4, 5, 3, 3, 8), (336, 56, 8, 56, 8, 1), 3)
    assert lies == Windows(((5, 8), (4, 56), (2, 336)), 24, (0, 56, 112))
    # Lines that follow each other are one level, and windows of one line are one run.
    assert windows_of((4, 5, 3, 8), (40, 8, 8, 1), 2) == Windows(((20, 8),), 24, (0,))
    # Not where channels are apart, or runs are too short.
    assert windows_of((4, 5, 3, 8), (40, 8, 8, 2), 2) is None
    assert windows_of((4, 5, 3, 3, 1), (7, 1, 7, 1, 1), 2) is None


PROGRAMS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "conv2d": ((3, 8, 9, 12), (20, 8, 3, 3), {"padding": 1}),
    "with steps": ((3, 8, 9, 12), (20, 8, 3, 3), {"stride": 2, "padding": 1}),
    "with gaps": ((3, 8, 9, 12), (20, 8, 3, 3), {"dilation": 2, "padding": 2}),
    "of few channels": ((3, 3, 15, 14), (20, 3, 5, 5), {"stride": 2, "padding": 2}),
    "conv1d": ((3, 16, 40), (20, 16, 5), {"padding": 2}),
    "conv3d": ((3, 8, 5, 6, 7), (20, 8, 3, 3, 3), {"padding": 1}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_padded_convolution_copies_no_windows(name: str) -> None:
    shape, filters, arguments = PROGRAMS[name]
    random = np.random.default_rng(0)
    x = optc.from_numpy(random.standard_normal(shape).astype(np.float32))
    weight = optc.from_numpy(random.standard_normal(filters).astype(np.float32))
    function = getattr(functional, f"conv{len(shape) - 2}d")

    class Program(optc.nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return optc.relu(function(x, weight, **arguments))

    program = Program()
    compiled = optc.compile(program, (x,), fallback="error")
    expected = program(x).numpy()
    found = compiled(x).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert any("windows" in kernel.name for kernel in compiled.kernels)
    copied = [kernel for kernel in compiled.kernels if kernel.operators == ["copy"]]
    assert len(copied) <= 1  # of the result, whose channels come first
    for count in (1, 2):  # other extents, and the same bits
        np.testing.assert_array_equal(compiled(optc.from_numpy(x.numpy()[:count].copy())).numpy(), found[:count])
    longer = optc.from_numpy(
        random.standard_normal((2, *(extent + 1 for extent in shape[1:]))).astype(np.float32)[:, : shape[1]].copy()
    )
    np.testing.assert_allclose(compiled(longer).numpy(), program(longer).numpy(), rtol=1e-4, atol=1e-4)
    assert any("windows" in kernel.name for kernel in compiled.kernels)


UNPADDED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], bool]] = {
    "conv2d": ((3, 4, 9, 12), (20, 4, 3, 3), {}, True),
    "with steps": ((3, 3, 15, 14), (20, 3, 7, 7), {"stride": 2}, True),
    "of lines": ((3, 8, 9, 12), (20, 8, 3, 1), {}, True),
    "conv3d": ((3, 8, 5, 6, 7), (20, 8, 3, 3, 3), {}, True),
    "apart": ((3, 8, 9, 12), (20, 8, 3, 3), {"stride": 3}, False),
}


@pytest.mark.parametrize("name", UNPADDED)
def test_windows_of_planes_are_those_of_a_turned_copy(name: str) -> None:
    """Channels that come first are put last once, where windows share what they read; else windows are copied."""
    shape, filters, arguments, is_turned = UNPADDED[name]
    random = np.random.default_rng(0)
    x = optc.from_numpy(random.standard_normal(shape).astype(np.float32))
    weight = optc.from_numpy(random.standard_normal(filters).astype(np.float32))
    function = getattr(functional, f"conv{len(shape) - 2}d")

    class Program(optc.nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return function(x, weight, **arguments)

    program = Program()
    compiled = optc.compile(program, (x,), fallback="error")
    np.testing.assert_allclose(compiled(x).numpy(), program(x).numpy(), rtol=1e-4, atol=1e-4)
    for batch, longer in ((1, 0), (2, 1), (4, 3)):
        places = (batch, shape[1], *(extent + longer for extent in shape[2:]))
        other = optc.from_numpy(random.standard_normal(places).astype(np.float32))
        np.testing.assert_allclose(compiled(other).numpy(), program(other).numpy(), rtol=1e-4, atol=1e-4)
        assert any("windows" in kernel.name for kernel in compiled.kernels) == is_turned


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("outputs", [20, 3])
def test_filters_may_be_arguments(name: str, outputs: int) -> None:
    """Windows are read where they are whatever they are multiplied with, but for very few columns."""
    shape, filters, arguments = PROGRAMS[name]
    random = np.random.default_rng(0)
    weight = optc.from_numpy(random.standard_normal((outputs, *filters[1:])).astype(np.float32))
    function = getattr(functional, f"conv{len(shape) - 2}d")

    def program(x, weight):  # type: ignore[no-untyped-def]
        return optc.relu(function(x, weight, **arguments))

    x = optc.from_numpy(random.standard_normal(shape).astype(np.float32))
    compiled = optc.compile(program, (x, weight), fallback="error")
    found = compiled(x, weight).numpy()
    np.testing.assert_allclose(found, program(x, weight).numpy(), rtol=1e-4, atol=1e-4)
    assert any("windows" in kernel.name for kernel in compiled.kernels) == (outputs > 4)
    for count in (1, 2):
        few = optc.from_numpy(x.numpy()[:count].copy())
        np.testing.assert_array_equal(compiled(few, weight).numpy(), found[:count])
    small = optc.from_numpy(random.standard_normal((1, shape[1], *filters[2:])).astype(np.float32))
    alone = optc.compile(program, (small, weight), fallback="error")
    np.testing.assert_allclose(alone(small, weight).numpy(), program(small, weight).numpy(), rtol=1e-4, atol=1e-4)
