"""Programs with quantised tensors, computed with integers in native code: to the last integer what the references give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
from optc.ir import dtypes
from optc.ir.function import Function
from optc.ir.graph import Graph
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import TENSOR, TensorType
from optc.jit.module import ScriptFunction
from optc.ops.builder import Builder
from optc.ops.packed_parameters import CELL, native_object, pack_convolution, pack_embedding, pack_linear
from optc.ops.quantized_parts import RULES
from optc.ops.quantized_products import EXACT_FLOATS
from optc.ops.quantizers import Quantizer, per_tensor, with_quantizer

KINDS = {"quint8": (dtypes.QUINT8, 0.043, 117), "qint8": (dtypes.QINT8, 0.0371, -19)}

Build = Callable[..., Any]


def numbers(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return (3 * np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(np.float32)


def program(build: Build, *shape: int) -> ScriptFunction:
    """A function of one float32 tensor whose body `build(builder, x)` inserts."""
    graph = Graph()
    x = graph.add_input(TensorType(dtypes.FLOAT32, shape), "x")
    result = build(Builder(graph), x)
    graph.add_output(result)
    schema = FunctionSchema("f", "", (Argument("x", TENSOR),), (Argument("", result.type),))
    return ScriptFunction(Function("f", schema, graph))


def assert_exact(build: Build, *shape: int) -> None:
    """Compiled whole, and equal to what the interpreter computes, for several tensors."""
    function = program(build, *shape)
    compiled = optc.compile(function, fallback="error")
    for seed in range(3):
        x = optc.from_numpy(numbers(*shape, seed=seed))
        expected = function(x)
        found = compiled(x)
        assert found.dtype is expected.dtype
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


def quantised(b: Any, x: Any, kind: str = "quint8") -> Any:
    dtype, scale, zero_point = KINDS[kind]
    return b("aten::quantize_per_tensor", x, scale, zero_point, dtype.code)


def integers_of(b: Any, x: Any) -> Any:
    return b("aten::int_repr", x)


def weights(*shape: int, per_channel: bool = True, axis: int = 0) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(shape)
    held = random.integers(-127, 128, shape).astype(np.int8)
    if not per_channel:
        return with_quantizer(held, per_tensor(dtypes.QINT8, 0.0123, 0))
    scales = tuple((0.004 + 0.01 * random.random(shape[axis])).tolist())
    return with_quantizer(held, Quantizer(dtypes.QINT8, scales, (0,) * shape[axis], axis))


BIAS = np.linspace(-2, 2, 8).astype(np.float32)

LAYERS: dict[str, tuple[str, Any, tuple[int, ...]]] = {
    "linear": ("quantized::linear", pack_linear(weights(8, 12), BIAS), (3, 12)),
    "linear without bias": ("quantized::linear", pack_linear(weights(8, 12), None), (3, 12)),
    "linear of a batch": ("quantized::linear_relu", pack_linear(weights(8, 12), BIAS), (2, 3, 12)),
    "one scale": ("quantized::linear", pack_linear(weights(8, 12, per_channel=False), BIAS), (3, 12)),
    "long sums": ("quantized::linear", pack_linear(weights(8, 3000), BIAS), (2, 3000)),
    "conv1d": (
        "quantized::conv1d",
        pack_convolution(weights(8, 6, 1, 3), BIAS, [1, 1], [0, 1], [1, 1], 1),
        (2, 6, 11),
    ),
    "conv2d": (
        "quantized::conv2d.new",
        pack_convolution(weights(8, 6, 3, 3), BIAS, [2, 1], [1, 1], [1, 2], 1),
        (2, 6, 9, 8),
    ),
    "in groups": (
        "quantized::conv2d_relu.new",
        pack_convolution(weights(8, 4, 3, 3), BIAS, [1, 1], [1, 1], [1, 1], 2),
        (1, 8, 7, 8),
    ),
    "by channels": (
        "quantized::conv2d.new",
        pack_convolution(weights(8, 1, 3, 3), BIAS, [1, 1], [1, 1], [1, 1], 8),
        (1, 8, 7, 8),
    ),
    "conv3d": (
        "quantized::conv3d.new",
        pack_convolution(weights(8, 3, 3, 3, 3), BIAS, [1, 1, 1], [1, 0, 1], [1, 1, 1], 1),
        (1, 3, 5, 6, 4),
    ),
    "transposed": (
        "quantized::conv_transpose2d",
        pack_convolution(
            weights(6, 8, 3, 3, per_channel=False), BIAS, [2, 2], [1, 1], [1, 1], 1, [1, 1], True
        ),
        (1, 6, 5, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_the_integers_of_their_references(name: str, kind: str) -> None:
    operator, packed, shape = LAYERS[name]
    assert_exact(lambda b, x: integers_of(b, b(operator, quantised(b, x, kind), packed, 0.31, 9)), *shape)


def test_sums_that_float32_does_not_hold_are_exact() -> None:
    """All products are large and of one sign: a sum is odd and larger than all integers of float32."""
    held = np.full((1, 2000), 127, np.int8)
    held[0, 0] = 1
    packed = pack_linear(with_quantizer(held, per_tensor(dtypes.QINT8, 1.0, 0)), None)

    def build(b: Any, x: Any) -> Any:
        q = b("aten::quantize_per_tensor", x, 1.0, 0, dtypes.QUINT8.code)
        return integers_of(b, b("quantized::linear", q, packed, 1999 * 127.0 * 255 / 200.5, 0))

    assert EXACT_FLOATS < 1999 * 127 * 255 + 255
    function, x = program(build, 1, 2000), optc.full((1, 2000), 255.0)
    compiled = optc.compile(function, fallback="error")
    np.testing.assert_array_equal(compiled(x).numpy(), function(x).numpy())
    (product,) = [node for node in compiled.graph.walk() if node.kind == "aten::mm"]
    assert product.output.type == TensorType(dtypes.FLOAT64, (1, 1))


UNARY: dict[str, Build] = {
    "relu": lambda b, q: b("aten::relu", q),
    "relu6": lambda b, q: b("aten::relu6", q),
    "hardtanh": lambda b, q: b("aten::hardtanh", q, -1.0, 2.0),
    "clamp": lambda b, q: b("aten::clamp", q, None, 0.7),
    "sigmoid": lambda b, q: b("aten::sigmoid", q),
    "tanh": lambda b, q: b("aten::tanh", q),
    "hardsigmoid": lambda b, q: b("aten::hardsigmoid", q),
    "leaky_relu": lambda b, q: b("aten::leaky_relu", q, 0.1),
    "hardswish": lambda b, q: b("quantized::hardswish", q, 0.02, 11),
    "elu": lambda b, q: b("quantized::elu", q, 0.02, 11, 1.0),
    "plus a number": lambda b, q: b("quantized::add_scalar", q, 0.7),
    "plus a large number": lambda b, q: b("quantized::add_scalar", q, 70.0),
    "times a number": lambda b, q: b("quantized::mul_scalar_relu", q, -0.3),
    "max_pool2d": lambda b, q: b("aten::max_pool2d", q, [3, 3], [2, 2], [1, 1], [1, 1], True),
    "avg_pool2d": lambda b, q: b("aten::avg_pool2d", q, [2, 2], [2, 2], [0, 0], False, True, None),
    "adaptive_avg_pool2d": lambda b, q: b("aten::adaptive_avg_pool2d", q, [3, 2]),
    "pad": lambda b, q: b("aten::constant_pad_nd", q, [1, 0, 2, 1], 0.0),
    "nearest": lambda b, q: b("aten::upsample_nearest2d", q, [12, 16], None, None),
    "permute": lambda b, q: b("aten::clone", b("aten::permute", q, [0, 2, 3, 1])),
    "flatten": lambda b, q: b("aten::flatten.using_ints", q, 1, -1),
    "slice": lambda b, q: b("aten::slice.Tensor", q, 1, 1, 4, 2),
    "select": lambda b, q: b("aten::select.int", q, 1, 2),
    "stack": lambda b, q: b("aten::stack", [q, q], 1),
    "sum": lambda b, q: b("quantized::add", q, b("aten::relu", q), 0.083, 77),
    "relu of a sum": lambda b, q: b("quantized::add_relu", q, q, 0.083, 77),
    "product": lambda b, q: b("quantized::mul", q, b("aten::relu", q), 0.3, 10),
    "cat": lambda b, q: b("quantized::cat", [q, b("aten::sigmoid", q)], 1, 0.06, 90),
    "cat as the first": lambda b, q: b("aten::cat", [q, b("aten::relu", q)], -1),
    "layer_norm": lambda b, q: b("quantized::layer_norm", q, [8], None, None, 1e-5, 0.04, 100),
    "batch_norm": lambda b, q: b(
        "quantized::batch_norm2d", q, b.constant(np.full(6, 1.3, np.float32)), None,
        b.constant(np.full(6, 0.2, np.float32)), b.constant(np.full(6, 2.0, np.float32)), 1e-5, 0.05, 90,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", UNARY)
def test_operators_give_the_integers_of_their_references(name: str, kind: str) -> None:
    assert_exact(lambda b, x: integers_of(b, UNARY[name](b, quantised(b, x, kind))), 2, 6, 9, 8)


def test_parts_of_a_list_are_quantised_as_the_whole() -> None:
    def build(b: Any, x: Any) -> Any:
        parts = b("aten::chunk", quantised(b, x), 2, 1)
        first, second = b.graph.insert("prim::ListUnpack", [parts], [TensorType(), TensorType()]).outputs
        return integers_of(b, b("aten::cat", [second, first], 1))

    assert_exact(build, 2, 6, 5)


def test_numbers_come_back_and_tell_their_quantiser() -> None:
    def build(b: Any, x: Any) -> Any:
        q = b("aten::relu", quantised(b, x))
        shifted = b("aten::add.Scalar", b("aten::dequantize.self", q), b("aten::q_scale", q))
        return b("aten::add.Scalar", shifted, b("aten::q_zero_point", q))

    assert_exact(build, 4, 5)


def test_scales_may_be_constant_tensors() -> None:
    def build(b: Any, x: Any) -> Any:
        scale, point = b.constant(np.array([0.043], np.float32)), b.constant(np.array([117]))
        return integers_of(b, b("aten::quantize_per_tensor.tensor_qparams", x, scale, point, dtypes.QUINT8.code))

    assert_exact(build, 4, 5)


def test_what_is_no_number_becomes_the_largest_integer() -> None:
    function = program(lambda b, x: integers_of(b, quantised(b, x)), 5)
    x = optc.tensor([float("nan"), float("inf"), float("-inf"), -0.0, 1e-45])
    assert optc.compile(function, fallback="error")(x).tolist() == function(x).tolist() == [255, 255, 0, 117, 117]


DYNAMIC: dict[str, np.ndarray[Any, Any]] = {
    "both signs": numbers(3, 12),
    "positive": np.abs(numbers(3, 12)) + 5,
    "negative": -np.abs(numbers(3, 12)) - 5,
    "tiny": numbers(3, 12) * np.float32(1e-6),
    "denormal": numbers(3, 12) * np.float32(1e-42),
    "huge": numbers(3, 12) * np.float32(1e30),
    "zeros": np.zeros((3, 12), np.float32),
    "a batch": numbers(2, 3, 12),
    "nothing": np.zeros((0, 12), np.float32),
}


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("name", DYNAMIC)
def test_layers_that_quantise_what_comes_in(name: str, has_bias: bool) -> None:
    packed, given = pack_linear(weights(8, 12), BIAS if has_bias else None), DYNAMIC[name]
    for operator in ("quantized::linear_dynamic", "quantized::linear_relu_dynamic"):
        for reduce_range in (True, False):
            build = lambda b, x: b(operator, x, packed, reduce_range)  # noqa: B023
            function = program(build, *given.shape)
            x = optc.from_numpy(given)
            found, expected = optc.compile(function, fallback="error")(x), function(x)
            largest = float(np.abs(expected.numpy()).max(initial=0))
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6, atol=1e-6 * largest)


def cell_parameters(gates: int, inputs: int, is_half: bool) -> Any:
    """Of a recurrent layer with 5 units."""
    if is_half:
        random = np.random.default_rng(gates)
        held = [random.standard_normal((5 * gates, width)).astype(np.float32) for width in (inputs, 5)]
        return native_object(CELL, ("quantized_fp16", [], [], [], [pack_linear(matrix, None) for matrix in held]))
    bias = np.linspace(-1, 1, 5 * gates).astype(np.float32)
    packed = [pack_linear(weights(5 * gates, width), bias) for width in (inputs, 5)]
    return native_object(CELL, ("quantized_dynamic", [bias, bias], [], [1], packed))


@pytest.mark.parametrize("is_half", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_recurrent_layers_quantise_every_step(name: str, batch_first: bool, is_half: bool) -> None:
    """Two layers, in both directions."""
    states = 2 if name == "lstm" else 1
    layers = [cell_parameters(4 if name == "lstm" else 3, width, is_half) for width in (6, 6, 10, 10)]

    def build(b: Any, x: Any) -> Any:
        start = b.constant(numbers(4, 7 if batch_first else 3, 5, seed=1))
        hidden = [start] * states if states == 2 else start
        found = b(f"aten::quantized_{name}.input", x, hidden, layers, True, 2, 0.0, False, True, batch_first)
        flat = [b("aten::reshape", item, [-1]) for item in found]
        return b("aten::cat", flat, 0)

    function = program(build, 7, 3, 6)
    compiled = optc.compile(function, fallback="error")
    for seed in range(3):
        x = optc.from_numpy(numbers(7, 3, 6, seed=seed))
        # A state that is off by the last bit may become the integer next to its own.
        np.testing.assert_allclose(compiled(x).numpy(), function(x).numpy(), rtol=0, atol=1e-5 if is_half else 2e-2)


@pytest.mark.parametrize(("name", "gates"), [("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)])
def test_recurrent_cells_quantise_what_comes_in(name: str, gates: int) -> None:
    bias = np.linspace(-1, 1, 5 * gates).astype(np.float32)
    inputs, hidden = (pack_linear(weights(5 * gates, width), bias) for width in (6, 5))

    def build(b: Any, x: Any) -> Any:
        start = b.constant(numbers(3, 5, seed=1))
        given = [start, start] if name == "lstm" else start
        ignored = b.constant(bias)
        found = b(f"quantized::quantized_{name}_cell_dynamic", x, given, inputs, hidden, ignored, ignored)
        return b("aten::cat", list(found), 1) if name == "lstm" else found

    function, x = program(build, 3, 6), optc.from_numpy(numbers(3, 6))
    found = optc.compile(function, fallback="error")(x)
    np.testing.assert_allclose(found.numpy(), function(x).numpy(), rtol=1e-5, atol=1e-6)


def test_a_range_that_is_none_is_refused_when_running() -> None:
    packed = pack_linear(weights(8, 12), None)
    compiled = optc.compile(program(lambda b, x: b("quantized::linear_dynamic", x, packed), 2, 12), fallback="error")
    with pytest.raises(RuntimeError, match="min should be less than or equal to max"):
        compiled(optc.full((2, 12), float("nan")))


def test_rows_of_a_quantised_table() -> None:
    table = with_quantizer(
        np.arange(40, dtype=np.uint8).reshape(5, 8), Quantizer(dtypes.QUINT8, (0.5,) * 5, (3.0,) * 5, 0, True)
    )
    packed = pack_embedding(table)

    def build(b: Any, x: Any) -> Any:
        return b("quantized::embedding_byte", packed, b("aten::_to_copy", x, dtype=dtypes.INT64.code))

    function = program(build, 3)
    x = optc.tensor([4.0, 0.0, 2.0])
    np.testing.assert_array_equal(optc.compile(function, fallback="error")(x).numpy(), function(x).numpy())


def test_what_has_no_rule_gets_a_quantised_tensor_back() -> None:
    """A scale that only running tells, or an operator that says nothing: islands, between native code on either side."""

    def build(b: Any, x: Any) -> Any:
        q = b("aten::relu", quantised(b, x))
        values, _ = b("aten::sort", q, -1, False)
        return b("aten::add.Scalar", b("aten::dequantize.self", values), 1.0)

    function, x = program(build, 4, 9), optc.from_numpy(numbers(4, 9))
    compiled = optc.compile(function, fallback="allow")
    np.testing.assert_array_equal(compiled(x).numpy(), function(x).numpy())
    assert "aten::_make_per_tensor_quantized_tensor" in {fallback.operator for fallback in compiled.fallbacks}


def test_integers_of_32_bits_stay_as_they_are() -> None:
    def build(b: Any, x: Any) -> Any:
        q = b("aten::quantize_per_tensor", x, 1e-7, 0, dtypes.QINT32.code)
        return integers_of(b, b("aten::relu", b("aten::reshape", q, [-1])))

    function, x = program(build, 4, 9), optc.from_numpy(numbers(4, 9))
    compiled = optc.compile(function, fallback="allow")
    np.testing.assert_array_equal(compiled(x).numpy(), function(x).numpy())


def test_rules_are_for_operators_there_are() -> None:
    assert all(optc.ops.registry.lookup(name) is not None for name in RULES)
