"""Elementwise functions stay within 4 units in the last place, over the whole range of both types, on every target.

Targets that this machine runs are run; the exact values come from numpy one type wider, for functions that numpy lacks
from `optc.ops.special` (float32) or from identities (float64).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from optc.codegen.kernels.cost import operations
from optc.codegen.kernels.expression import ExpressionEmitter, register_type
from optc.codegen.kernels.vector_math import FUNCTIONS, expand
from optc.codegen.llvm import Builder, Module, Parameter
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, AVX512, GENERIC, NEON, Target
from optc.ir.dtypes import FLOAT32, FLOAT64, DType
from optc.ops import special
from optc.ops.scalar import BINARY_FUNCTIONS, UNARY_FUNCTIONS, Expr, apply, evaluate, function, nodes, variable

Array = np.ndarray[Any, Any]
HOST = jit.host_target()
EXACT: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log10": np.log10,
    "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "erf": special.erf, "erfc": special.erfc, "erfinv": special.erfinv, "lgamma": special.lgamma,
    "digamma": special.digamma, "pow": np.power, "atan2": np.arctan2, "fmod": np.fmod,
}  # fmt: skip
UNARY = tuple(name for name in EXACT if name not in BINARY_FUNCTIONS)
IN_LONG_DOUBLE = tuple(name for name in UNARY if not hasattr(special, name))
TARGETS = {"avx512": AVX512, "avx2": AVX2, "generic": GENERIC}
RUNNABLE = {
    name: HOST if target is AVX512 else target
    for name, target in TARGETS.items()
    if HOST.is_x86 and target.vector_bytes <= HOST.vector_bytes and (HOST.fma or not target.fma)
}
SPECIAL = (0.0, 1.0, 0.5, 2.0, 3.0, 1.5, np.inf, 2.0**-149, 2.0**-126, 3.4028234663852886e38, 1e30, 7.0, 88.5, 709.5, 1e-7,
           2.0**24 + 2.0, 104.0, 0.75, 0.9999999, 1.0000001)  # fmt: skip
EDGES = np.array([*SPECIAL, *(-number for number in SPECIAL), np.nan])


@dataclass
class Compiled:
    """A loop over arrays that applies one function; `text` is its LLVM module."""

    text: str
    target: Target
    dtype: DType

    def __post_init__(self) -> None:
        self.library = jit.link([jit.compile_module(self.text, self.target)])
        self.function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(self.library.address("apply"))

    def __call__(self, *operands: Array) -> Array:
        count = operands[0].size
        padded = [np.append(operand, np.ones(-count % 64, self.dtype.numpy)) for operand in operands]
        result = np.empty_like(padded[0])
        self.function(padded[0].ctypes.data, padded[-1].ctypes.data, result.ctypes.data, result.size)
        return result[:count]


def module(build: Callable[..., Expr], dtype: DType, target: Target, lanes: int) -> str:
    """A function `apply(x, y, result, count)` over arrays whose length is a multiple of the lanes."""
    text = Module("functions")
    pointers = [Parameter("ptr", name) for name in ("x", "y", "result")]
    b = Builder(text.function("apply", "void", [*pointers, Parameter("i64", "count")]))
    *operands, result, count = b.function.arguments
    element, vector = register_type(dtype), register_type(dtype, lanes)
    expr = expand(build(variable(0, dtype), variable(1, dtype)), target)
    with b.for_loop(0, count, max(lanes, 1)) as loop:
        values = [b.load(vector, b.gep(element, operand, loop.index)) for operand in operands]
        value = ExpressionEmitter(b, lanes, lambda leaf: values[leaf.value], target).emit(expr)
        b.store(value, b.gep(element, result, loop.index))
        loop.yield_([])
    b.ret()
    return str(text)


def named(name: str) -> Callable[..., Expr]:
    return (lambda x, y: function(name, x, y)) if name in BINARY_FUNCTIONS else (lambda x, y: function(name, x))


@cache
def compiled(name: str, dtype: DType, target: str, lanes: int | None = None) -> Compiled:
    aimed = RUNNABLE[target]
    if lanes is None:
        lanes = aimed.vector_bytes // dtype.itemsize
    return Compiled(module(named(name), dtype, aimed, lanes), aimed, dtype)


def exact(name: str, *operands: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(EXACT[name](*operands))


def ulps(result: Array, wanted: Array) -> Array:
    """The distance in units of the last place of the exact value; nan and infinities must be where they belong."""
    with np.errstate(all="ignore"):
        rounded = wanted.astype(result.dtype)
        finite = np.isfinite(rounded)
        unit = np.maximum(np.abs(np.spacing(rounded[finite])), np.spacing(result.dtype.type(0)))
    np.testing.assert_array_equal(result[~finite], rounded[~finite])
    unit = np.where(np.isfinite(unit), unit, np.spacing(np.finfo(result.dtype).max / 2))
    return np.asarray(np.abs(result[finite].astype(wanted.dtype) - wanted[finite]) / unit)


def check(name: str, dtype: DType, target: str, *operands: Array, limit: float = 4.0) -> None:
    """Hold results against exact ones, computed one type wider."""
    with np.errstate(all="ignore"):
        given = [operand.astype(dtype.numpy) for operand in operands]
        wide = [operand.astype(np.float64 if dtype is FLOAT32 else np.longdouble) for operand in given]
    errors = ulps(compiled(name, dtype, target)(*given), exact(name, *wide))
    assert errors.max(initial=0.0) <= limit


def floats(first: int, step: int, count: int) -> Array:
    """Every `step`th float32 in the order of their bits."""
    return (first + step * np.arange(count, dtype=np.int64)).astype(np.uint32).view(np.float32)


def without_reflection(name: str, numbers: Array) -> Array:
    """Below zero the gamma functions cross zero between poles, where only the absolute error is small."""
    return numbers[~(numbers < 0)] if name in ("lgamma", "digamma") else numbers


def sample(name: str, seed: int) -> Array:
    """Doubles where functions bend, where they are steep, and over all magnitudes."""
    rng = np.random.default_rng(seed)
    parts = (
        rng.uniform(-1, 1, 4000), rng.normal(0, 1, 4000), rng.normal(0, 30, 4000), 1 + rng.normal(0, 0.1, 4000),
        np.exp(rng.uniform(-700, 13, 4000)), -np.exp(rng.uniform(-700, 13, 4000)), rng.uniform(0, 800, 2000),
        np.round(rng.uniform(-3e5, 3e5, 4000)) * (np.pi / 2),
    )  # fmt: skip
    return np.concatenate(parts)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", UNARY)
def test_a_sample_of_all_floats(name: str, target: str) -> None:
    slow_meaning = name in ("lgamma", "erfinv", "digamma")
    step = 1_000_003 if slow_meaning else 200_003
    check(name, FLOAT32, target, without_reflection(name, floats(0, step, 2**32 // step)))
    near = np.random.default_rng(1).normal(0, 2, 3000 if slow_meaning else 20_000)
    check(name, FLOAT32, target, without_reflection(name, near))


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", IN_LONG_DOUBLE)
def test_a_sample_of_doubles(name: str, target: str) -> None:
    check(name, FLOAT64, target, sample(name, 2))


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=["float32", "float64"])
def test_the_edges(name: str, dtype: DType, target: str) -> None:
    numbers = without_reflection(name, EDGES).astype(dtype.numpy)
    wanted = exact(name, numbers.astype(np.float64 if hasattr(special, name) else np.longdouble))
    result = compiled(name, dtype, target)(numbers)
    if not hasattr(special, name) or dtype is FLOAT32:
        assert ulps(result, wanted).max(initial=0.0) <= 4.0
    zero = (wanted == 0) & (numbers == 0)
    np.testing.assert_array_equal(np.signbit(result[zero]), np.signbit(wanted[zero]))


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", BINARY_FUNCTIONS)
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=["float32", "float64"])
def test_two_operands(name: str, dtype: DType, target: str) -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate(
        [rng.normal(0, 10, 20_000), np.exp(rng.uniform(-80, 80, 20_000)), np.exp(rng.normal(0, 0.01, 9000))]
    )
    y = np.concatenate([np.round(rng.normal(0, 5, 20_000)), rng.uniform(-1.1, 1.1, 20_000), rng.normal(0, 3000, 9000)])
    check(name, dtype, target, x, y, limit=0.0 if name == "fmod" else 4.0)
    edges = [grid.ravel() for grid in np.meshgrid(EDGES, EDGES)]
    check(name, dtype, target, *edges, limit=0.0 if name == "fmod" else 4.0)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_periods_of_huge_numbers_are_told_apart(name: str, target: str) -> None:
    check(name, FLOAT32, target, np.exp(np.random.default_rng(4).uniform(5, 88, 20_000)))
    check(name, FLOAT64, target, np.exp(np.random.default_rng(5).uniform(13, 709, 20_000)))
    # The double that comes nearest to a multiple of pi / 2, and its sine and cosine, from 400 digits.
    hardest, sine, cosine = 6381956970095103.0 * 2.0**797, 1.0, -4.68716592425462761112e-19
    wanted = {"sin": sine, "cos": cosine, "tan": sine / cosine}[name]
    np.testing.assert_allclose(compiled(name, FLOAT64, target)(np.array([hardest])), wanted, rtol=4 * 2.0**-52)


@pytest.mark.parametrize("target", RUNNABLE)
def test_error_functions_of_doubles(target: str) -> None:
    y = np.concatenate([np.linspace(-5.5, 5.5, 4001), np.linspace(0, 26, 2000)])
    np.testing.assert_allclose(compiled("erf", FLOAT64, target)(y), special.erf(y), rtol=2e-15)
    np.testing.assert_allclose(compiled("erfc", FLOAT64, target)(y), special.erfc(y), rtol=4e-15)
    x = np.concatenate([np.linspace(-0.999, 0.999, 4001), 1 - np.exp(np.linspace(-30, -1, 500))])
    inverse = compiled("erfinv", FLOAT64, target)(x)
    slope = 2 / np.sqrt(np.pi) * np.exp(-inverse * inverse)
    assert np.max(np.abs(special.erf(inverse) - x) / np.maximum(slope * np.abs(inverse), 2.0**-53)) < 8


def one_plus_erf(x: Expr, y: Expr) -> Expr:
    return function("erf", x) + 1.0


@pytest.mark.parametrize("target", RUNNABLE)
def test_one_and_an_error_function(target: str) -> None:
    """Four units in the last place where the sum is at least one, as much below, and nothing where nothing is left: it is
    a factor of numbers of any size."""
    aimed = RUNNABLE[target]
    program = Compiled(module(one_plus_erf, FLOAT32, aimed, aimed.vector_bytes // 4), aimed, FLOAT32)
    x = np.concatenate([np.linspace(-4, 4, 400_003, dtype=np.float32), floats(0, 200_003, 2**32 // 200_003)])
    found = program(x)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    with np.errstate(all="ignore"):
        assert np.nanmax(np.abs(found - special.erfc(-x.astype(np.float64)))) < 4 * 2.0**-23
    far = np.array([4.0, 5.0, 1e30, np.inf], np.float32)
    np.testing.assert_array_equal(program(np.concatenate([far, -far])), [2.0] * 4 + [0.0] * 4)


def gelu(x: Expr, y: Expr) -> Expr:
    return 0.5 * x * (1.0 + function("erf", x * math.sqrt(0.5)))


@pytest.mark.parametrize("target", RUNNABLE)
def test_numbers_times_the_normal_distribution_function(target: str) -> None:
    """An error below four units in the last place of the number, and none where the function is 0 or 1."""
    aimed = RUNNABLE[target]
    program = Compiled(module(gelu, FLOAT32, aimed, aimed.vector_bytes // 4), aimed, FLOAT32)
    x = np.concatenate([np.linspace(-6, 6, 400_003, dtype=np.float32), floats(0, 200_003, 2**32 // 200_003)])
    x = x[np.isfinite(x)]
    wide = x.astype(np.float64)
    error = np.abs(program(x) - 0.5 * wide * special.erfc(-wide * math.sqrt(0.5)))
    assert (error <= np.maximum(4 * 2.0**-24 * np.abs(wide), 2.0**-149)).all()
    far = np.array([6.0, 1e30, 3.4e38, np.inf, -0.0, 0.0, -6.0, -1e30, -np.inf, np.nan], np.float32)
    expected = [6.0, 1e30, 3.4e38, np.inf, -0.0, 0.0, -0.0, -0.0, np.nan, np.nan]
    np.testing.assert_array_equal(program(far), np.array(expected, np.float32))
    assert (np.signbit(program(far))[4:8] == [True, False, True, True]).all()


def test_of_a_normal_distribution_function_neither_the_half_nor_the_root_is_computed() -> None:
    x = variable(0, FLOAT32)
    assert operations(expand(gelu(x, x), AVX512)) < operations(expand(function("erf", x) + 1.0, AVX512)) + 1
    assert operations(expand(function("erf", x * math.sqrt(0.5)) + 1.0, AVX512)) < operations(
        expand(function("erf", x * 0.7) + 1.0, AVX512)
    )


def test_one_and_an_error_function_are_one_quotient_where_registers_are_few() -> None:
    for sum_ in (function("erf", variable(0, FLOAT32)) + 1.0, 1.0 + function("erf", variable(0, FLOAT32))):
        assert [node.op for node in nodes(expand(sum_, AVX2))].count("div") == 1
        assert operations(expand(sum_, AVX2)) < operations(expand(function("erf", variable(0, FLOAT32)), AVX2))
        for target in (AVX512, GENERIC, NEON):
            assert all(node.op != "div" for node in nodes(expand(sum_, target)))
    double = function("erf", variable(0, FLOAT64)) + 1.0
    assert expand(double, AVX2) == expand(function("erf", variable(0, FLOAT64)), AVX2) + 1.0


@pytest.mark.parametrize("target", RUNNABLE)
def test_gamma_functions_of_doubles(target: str) -> None:
    x = np.concatenate(
        [np.linspace(0.01, 12, 3001), np.exp(np.linspace(-30, 60, 500)), -np.arange(20) - 0.3, -np.arange(20) - 0.8]
    )
    lgamma, digamma = compiled("lgamma", FLOAT64, target), compiled("digamma", FLOAT64, target)
    np.testing.assert_allclose(lgamma(x), special.lgamma(x), rtol=2e-15, atol=5e-15)
    np.testing.assert_allclose(digamma(x), special.digamma(x), rtol=2e-14, atol=3e-14)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_number_alone_gets_what_it_gets_in_a_vector(name: str, dtype: DType) -> None:
    numbers = sample(name, 5)[::40].astype(dtype.numpy)
    others = numbers[::-1].copy()
    widest = next(iter(RUNNABLE))
    full = compiled(name, dtype, widest)(numbers, others)
    for lanes in (0, 2, 32):
        np.testing.assert_array_equal(full, compiled(name, dtype, widest, lanes)(numbers, others))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_expansions_mean_what_they_emit(name: str) -> None:
    numbers = np.random.default_rng(6).normal(0, 2, 512).astype(np.float32)
    others = numbers[::-1].copy()
    for target, aimed in RUNNABLE.items():
        expr = expand(named(name)(variable(0, FLOAT32), variable(1, FLOAT32)), aimed)
        meaning = evaluate(expr, {0: numbers, 1: others})
        np.testing.assert_allclose(compiled(name, FLOAT32, target)(numbers, others), meaning, rtol=3e-6)


@pytest.mark.parametrize("target", [AVX512, AVX2, GENERIC, NEON], ids=["avx512", "avx2", "generic", "neon"])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=["float32", "float64"])
def test_vectors_call_no_library(dtype: DType, target: Target) -> None:
    for name in (*UNARY_FUNCTIONS, *BINARY_FUNCTIONS):
        text = module(named(name), dtype, target, target.vector_bytes // dtype.itemsize)
        calls = {line.split("@")[1].split("(")[0] for line in text.splitlines() if line.startswith("declare")}
        unexpected = {call for call in calls if not call.startswith("llvm.")}
        assert unexpected <= ({"fmod", "fmodf"} if name == "fmod" else set())  # quotients beyond the type's digits


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=["float32", "float64"])
def test_code_for_arm_is_made(dtype: DType) -> None:
    def several(x: Expr, y: Expr) -> Expr:
        return apply(
            "add", function("tanh", x), apply("add", function("erf", x), function("pow", function("exp", x), y))
        )

    text = jit.assembly(module(several, dtype, NEON, 16 // dtype.itemsize), NEON)
    assert "fmla" in text and "\tbl\t" not in text


@pytest.mark.exhaustive
@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", UNARY)
def test_all_floats(name: str, target: str) -> None:
    for part in range(1024):
        check(name, FLOAT32, target, without_reflection(name, floats(part << 22, 1, 1 << 22)))
