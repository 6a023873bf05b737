"""The emitter: what it writes is LLVM, and means what the method says."""

import ctypes
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from optc.codegen.llvm import NOALIAS, NOALIAS_READONLY, Builder, Module, Parameter, Value, constant, vector_of
from optc.codegen.machine import jit

C_TYPES: dict[str, Any] = {
    "i16": ctypes.c_uint16,
    "i32": ctypes.c_int32,
    "i64": ctypes.c_int64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "ptr": ctypes.c_void_p,
    "i1": ctypes.c_bool,
}


def run(return_type: str, types: Sequence[str], body: Callable[..., Value | None], *arguments: Any) -> Any:
    """Builds a function, compiles it and calls it."""
    module = Module("test")
    parameters = [Parameter(type_, f"x{position}") for position, type_ in enumerate(types)]
    function = module.function("f", return_type, parameters)
    b = Builder(function)
    result = body(b, *function.arguments)
    if not b.block.terminated:
        b.ret(result)
    library = jit.link([jit.compile_module(str(module))])
    prototype = ctypes.CFUNCTYPE(None if return_type == "void" else C_TYPES[return_type], *(C_TYPES[t] for t in types))
    return prototype(library.address("f"))(*arguments)


def vector_run(
    type_: str, result: str, body: Callable[..., Value], *arguments: np.ndarray[Any, Any], dtype: Any = None
) -> np.ndarray[Any, Any]:
    """The same for vectors, which are passed in memory."""

    def through_memory(b: Builder, *pointers: Value) -> None:
        b.store(body(b, *(b.load(type_, pointer) for pointer in pointers[1:])), pointers[0])
        b.ret()

    out = np.zeros(64, dtype or arguments[0].dtype)
    run("void", ["ptr"] * (1 + len(arguments)), through_memory, out.ctypes.data, *(a.ctypes.data for a in arguments))
    lanes = int(result[1:].split(" ")[0])
    return out[:lanes]


# Constants and types


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, 0.1, -3.5e38, 1e-45, math.pi, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("type_", ["float", "double"])
def test_float_constants_are_exact(type_: str, value: float) -> None:
    got = run(type_, [], lambda b: b.constant(type_, value))
    with np.errstate(over="ignore"):
        expected = float(np.float32(value)) if type_ == "float" else value
    assert math.isnan(got) if math.isnan(expected) else struct.pack("<d", got) == struct.pack("<d", expected)


@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        ("half", 1.5, "0xH3E00"),
        ("half", 1e6, "0xH7C00"),
        ("bfloat", 1.0, "16256"),
        ("bfloat", math.nan, "32704"),
        ("float", 0.1, "0x3FB99999A0000000"),
        ("i1", True, "true"),
        ("i8", 255, "255"),
        ("ptr", 0, "null"),
        ("<4 x i32>", 7, "splat (i32 7)"),
        ("<2 x i1>", [0, 1], "<i1 false, i1 true>"),
    ],
)
def test_constants_are_written_as(type_: str, value: Any, text: str) -> None:
    assert constant(type_, value) == Value(type_, text)


@pytest.mark.parametrize(("type_", "value"), [("i8", 256), ("i8", -129), ("i32", 0.5), ("ptr", 8), ("<2 x i8>", [1])])
def test_constants_that_do_not_fit_are_refused(type_: str, value: Any) -> None:
    with pytest.raises(ValueError):
        constant(type_, value)


# Arithmetic


INTEGER = [
    ("add", 7, -9, -2),
    ("sub", 7, 9, -2),
    ("mul", -7, 9, -63),
    ("sdiv", -7, 2, -3),
    ("srem", -7, 2, -1),
    ("udiv", 7, 2, 3),
    ("urem", 7, 4, 3),
    ("and_", 12, 10, 8),
    ("or_", 12, 10, 14),
    ("xor", 12, 10, 6),
    ("shl", 3, 4, 48),
    ("lshr", -1, 60, 15),
    ("ashr", -16, 2, -4),
]


@pytest.mark.parametrize(("method", "x", "y", "expected"), INTEGER)
def test_integer_arithmetic(method: str, x: int, y: int, expected: int) -> None:
    assert run("i64", ["i64", "i64"], lambda b, *args: getattr(b, method)(*args), x, y) == expected


def test_numbers_that_change_nothing_are_not_written() -> None:
    def program(b: Builder, x: Value, y: Value) -> Value:
        zero = b.constant("i64", 0)
        same = [b.add(x, 0), b.add(zero, x), b.sub(x, 0), b.mul(x, 1), b.mul(1, x)]
        assert [value.name for value in same] == [x.name] * 5
        assert b.mul(x, 0).name == b.mul(zero, x).name == "0"
        assert b.sub(zero, x).name != x.name
        return y

    assert run("i64", ["i64", "i64"], program, 2, 3) == 3


FLOATING = [
    ("fadd", 1.5, 2.25, 3.75),
    ("fsub", 1.5, 2.25, -0.75),
    ("fmul", 1.5, 2.0, 3.0),
    ("fdiv", 1.0, -0.0, -math.inf),
    ("frem", -7.5, 2.0, -1.5),
]


@pytest.mark.parametrize(("method", "x", "y", "expected"), FLOATING)
def test_float_arithmetic(method: str, x: float, y: float, expected: float) -> None:
    assert run("double", ["double", "double"], lambda b, *args: getattr(b, method)(*args), x, y) == expected


def test_fma_rounds_once() -> None:
    x = 1.0 + 2.0**-30
    assert run("double", ["double"], lambda b, v: b.fma(v, v, -1.0 - 2.0**-29), x) == 2.0**-60


def test_python_numbers_take_the_type_of_the_other_operand() -> None:
    assert run("float", ["float"], lambda b, x: b.fadd(2, b.fmul(x, 0.5)), 3.0) == 3.5
    with pytest.raises(TypeError, match="two Python numbers"):
        run("i64", [], lambda b: b.add(1, 2))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda b, x, n: b.fadd(x, n),
        lambda b, x, n: b.add(x, x),
        lambda b, x, n: b.fadd(n, n),
        lambda b, x, n: b.select(n, x, x),
        lambda b, x, n: b.icmp("eq", x, x),
        lambda b, x, n: b.load("float", n),
        lambda b, x, n: b.bitcast(x, "i64"),
        lambda b, x, n: b.ret(n),
        lambda b, x, n: b.call(b.function, x),
    ],
)
def test_wrong_types_are_refused_where_they_are_written(wrong: Callable[..., Value]) -> None:
    with pytest.raises(TypeError):
        run("float", ["float", "i64"], wrong, 1.0, 1)


def test_flags_that_change_results_are_refused() -> None:
    for flag in ("nnan", "ninf", "fast", "contract nnan"):
        with pytest.raises(ValueError, match="would change results"):
            run("float", ["float"], lambda b, x, flag=flag: b.fadd(x, x, flags=flag), 1.0)


def test_casts() -> None:
    assert run("i64", ["double"], lambda b, x: b.fptosi(x, "i64", saturating=True), 1e300) == (1 << 63) - 1
    assert run("i64", ["double"], lambda b, x: b.fptosi(x, "i64", saturating=True), math.nan) == 0
    assert run("i64", ["double"], lambda b, x: b.fptosi(x, "i64"), -2.9) == -2
    assert run("float", ["i64"], lambda b, n: b.sitofp(n, "float"), -3) == -3.0
    assert run("double", ["i64"], lambda b, n: b.uitofp(n, "double"), -1) == 2.0**64
    assert run("i64", ["i32"], lambda b, n: b.sext(n, "i64"), -5) == -5
    assert run("i64", ["i32"], lambda b, n: b.zext(n, "i64"), -1) == 0xFFFFFFFF
    assert run("i32", ["float"], lambda b, x: b.bitcast(x, "i32"), 1.0) == 0x3F800000
    assert run("float", ["double"], lambda b, x: b.fptrunc(x, "float"), 0.1) == np.float32(0.1)


def test_bfloat_is_rounded_to_even_on_every_processor() -> None:
    ties = [1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, -1.01, 3.3961e38, 1e-40, 0.0, -0.0]
    numbers = np.array([*ties, math.inf, -math.inf, math.nan, 0.1], np.float32)
    rounded = vector_run(
        f"<{len(numbers)} x float>", f"<{len(numbers)} x i16>",
        lambda b, p: b.bitcast(b.fptrunc(p, "bfloat"), f"<{len(numbers)} x i16>"), numbers, dtype=np.uint16,
    )  # fmt: skip
    expected = numbers.astype(ml_dtypes.bfloat16)
    assert np.array_equal(rounded.view(ml_dtypes.bfloat16), expected, equal_nan=True)
    assert np.array_equal(np.signbit(rounded.view(ml_dtypes.bfloat16)), np.signbit(expected))
    one = run("i16", ["float"], lambda b, x: b.bitcast(b.fptrunc(x, "bfloat"), "i16"), 0.1)
    assert one == int(expected[-1].view(np.uint16))


def test_compares_with_nan() -> None:
    for predicate, expected in [("oeq", 0), ("une", 1), ("olt", 0), ("ult", 1), ("uno", 1), ("ord", 0)]:
        assert run("i1", ["float"], lambda b, x, p=predicate: b.fcmp(p, x, 1.0), math.nan) == bool(expected)


# Vectors and memory


def test_vector_arithmetic_select_and_shuffle() -> None:
    x, y = np.arange(8, dtype=np.float32), np.full(8, 3.5, np.float32)
    larger = vector_run("<8 x float>", "<8 x float>", lambda b, p, q: b.select(b.fcmp("ogt", p, q), p, q), x, y)
    assert np.array_equal(larger, np.maximum(x, y))
    backwards = vector_run("<8 x float>", "<8 x float>", lambda b, p: b.shuffle(p, None, range(7, -1, -1)), x)
    assert np.array_equal(backwards, x[::-1])
    halves = vector_run("<8 x float>", "<4 x float>", lambda b, p, q: b.shuffle(p, q, [0, 8, 1, 9]), x, y)
    assert halves.tolist() == [0, 3.5, 1, 3.5]
    numbers = vector_run("<8 x float>", "<8 x i32>", lambda b, p: b.fptosi(b.fadd(p, 1), "i32"), x, dtype=np.int32)
    assert numbers.tolist() == list(range(1, 9))
    set_lane = vector_run("<8 x float>", "<8 x float>", lambda b, p: b.insertelement(p, b.extractelement(p, 5), 0), x)
    assert set_lane.tolist() == [5, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("operation", "expected"), [("fadd", 36), ("fmul", 40320), ("fmaximum", 8), ("fminimum", 1)])
def test_reductions(operation: str, expected: float) -> None:
    x = np.arange(1, 9, dtype=np.float32)
    assert run("float", ["ptr"], lambda b, p: b.reduce(operation, b.load("<8 x float>", p)), x.ctypes.data) == expected


def test_splats_of_constants_and_values() -> None:
    assert run("float", ["float"], lambda b, x: b.reduce("fadd", b.splat(x, 4)), 2.5) == 10
    assert run("float", [], lambda b: b.reduce("fadd", b.splat(b.constant("float", 2.5), 4))) == 10
    assert run("float", ["float"], lambda b, x: b.splat(x, 0), 2.5) == 2.5


@pytest.mark.parametrize("count", [-3, 0, 1, 5, 8, 9, 1 << 40])
def test_masked_memory_touches_only_the_first_lanes(count: int) -> None:
    x, out = np.arange(1, 9, dtype=np.float32), np.full(8, -1, np.float32)

    def body(b: Builder, source: Value, target: Value, number: Value) -> None:
        mask = b.lane_mask(number, 8)
        b.store(b.load("<8 x float>", source, mask=mask), target, mask=mask)
        b.ret()

    run("void", ["ptr", "ptr", "i64"], body, x.ctypes.data, out.ctypes.data, count)
    kept = min(max(count, 0), 8)
    assert out.tolist() == [*x[:kept], *[-1] * (8 - kept)]


def test_gather_memcpy_memset_and_stack() -> None:
    x, out = np.arange(10, dtype=np.float32), np.zeros(8, np.float32)

    def body(b: Builder, source: Value, target: Value) -> None:
        pointers = b.gep("float", source, b.constant("<4 x i64>", [9, 0, 3, 3]))
        stack = b.alloca("float", 4)
        b.store(b.gather("<4 x float>", pointers), stack)
        b.memcpy(target, stack, 16)
        b.memset(b.gep("float", target, 4), 0xFF, 8)
        b.scatter(b.constant("<2 x float>", [5, 6]), b.gep("float", target, b.constant("<2 x i64>", [7, 6])))
        b.ret()

    run("void", ["ptr", "ptr"], body, x.ctypes.data, out.ctypes.data)
    assert out[:4].tolist() == [9, 0, 3, 3]
    assert np.isnan(out[4:6]).all()
    assert out[6:].tolist() == [6, 5]


def test_atomics() -> None:
    cell = np.array([5], np.int64)

    def body(b: Builder, pointer: Value) -> Value:
        old = b.atomic("add", pointer, b.constant("i64", 3))
        _, done = b.compare_exchange(pointer, b.constant("i64", 8), 100)
        b.atomic_store(b.add(b.atomic_load("i64", pointer), b.zext(done, "i64")), pointer)
        return old

    assert run("i64", ["ptr"], body, cell.ctypes.data) == 5
    assert cell[0] == 101


def test_intrinsics_are_declared_by_themselves() -> None:
    for name, x, expected in [("sqrt", 9.0, 3.0), ("fabs", -2.0, 2.0), ("floor", -1.5, -2.0), ("roundeven", 2.5, 2.0)]:
        assert run("double", ["double"], lambda b, v, n=name: b.intrinsic(n, "double", v), x) == expected
    assert run("i64", ["i64"], lambda b, n: b.intrinsic("ctpop", "i64", n), 255) == 8


# Control flow


@pytest.mark.parametrize(
    ("start", "stop", "step"), [(0, 10, 1), (3, 10, 3), (5, 5, 1), (7, 3, 1), (10, 0, -1), (9, 0, -3)]
)
def test_for_loops_count_as_range_does(start: int, stop: int, step: int) -> None:
    def body(b: Builder, first: Value, last: Value) -> Value:
        with b.for_loop(first, last, step, carried=[b.constant("i64", 1)]) as loop:
            loop.yield_([b.add(b.mul(loop.carried[0], 3), loop.index)])
        return loop.results[0]

    expected = 1
    for index in range(start, stop, step):
        expected = expected * 3 + index
    assert run("i64", ["i64", "i64"], body, start, stop) == expected


def branched(b: Builder, condition: Value, value: Callable[[], Value], other: Callable[[], Value]) -> Value:
    with b.if_then_else(condition) as (then, otherwise):
        with then:
            then.yield_([value()])
        with otherwise:
            otherwise.yield_([other()])
    return then.results[0]


@pytest.mark.parametrize("choose", [branched, Builder.choose])
def test_nested_loops_and_branches(choose: Callable[..., Value]) -> None:
    def body(b: Builder, n: Value) -> Value:
        with b.for_loop(0, n, carried=[b.constant("i64", 0)]) as outer:
            with b.for_loop(0, outer.index, carried=[outer.carried[0]]) as inner:
                index, total = inner.index, inner.carried[0]
                even = b.icmp("eq", b.and_(index, 1), 0)
                inner.yield_([choose(b, even, lambda: b.add(total, index), lambda: b.sub(total, 1))])
            outer.yield_(inner.results)
        return outer.results[0]

    expected = sum(j if j % 2 == 0 else -1 for i in range(9) for j in range(i))
    assert run("i64", ["i64"], body, 9) == expected


def test_while_loops_test_anywhere() -> None:
    def body(b: Builder, n: Value) -> Value:
        with b.while_loop([n, b.constant("i64", 0)]) as loop:
            value, steps = loop.carried
            loop.while_(b.icmp("ne", value, 1))
            odd = b.icmp("ne", b.and_(value, 1), 0)
            following = b.select(odd, b.add(b.mul(value, 3), 1), b.lshr(value, 1))
            loop.yield_([following, b.add(steps, 1)])
        return loop.results[1]

    assert run("i64", ["i64"], body, 27) == 111
    assert run("i64", ["i64"], body, 1) == 0


def test_arms_may_leave_the_function() -> None:
    def body(b: Builder, n: Value) -> Value:
        with b.if_then(b.icmp("slt", n, 0), likely=False):
            b.ret(-1)
        with b.if_then_else(b.icmp("eq", n, 0)) as (then, otherwise):
            with then:
                b.ret(100)
            with otherwise:
                otherwise.yield_([b.add(n, 1)])
        return then.results[0]

    assert [run("i64", ["i64"], body, n) for n in (-5, 0, 7)] == [-1, 100, 8]


def test_switch_phi_and_blocks_by_hand() -> None:
    def body(b: Builder, n: Value) -> Value:
        cases = {key: b.new_block(f"case{key}") for key in (1, 2)}
        other, end = b.new_block("other"), b.new_block("end")
        b.switch(n, other, cases)
        incoming = []
        for key, block in {**cases, 0: other}.items():
            b.position_at_end(block)
            incoming.append((b.mul(n, 10 * key), block))
            b.br(end)
        b.position_at_end(end)
        return b.phi("i64", incoming)

    assert [run("i64", ["i64"], body, n) for n in (1, 2, 3)] == [10, 40, 0]


def test_mistakes_in_control_flow_are_refused() -> None:
    def no_yield(b: Builder, n: Value) -> None:
        with b.for_loop(0, n, carried=[n]):
            pass

    def uneven(b: Builder, n: Value) -> None:
        with b.if_then_else(b.icmp("eq", n, 0)) as (then, _), then:
            then.yield_([n])

    def no_test(b: Builder, n: Value) -> None:
        with b.while_loop():
            pass

    def after_the_end(b: Builder, n: Value) -> None:
        b.ret(n)
        b.add(n, 1)

    for body, error in [(no_yield, TypeError), (uneven, TypeError), (no_test, ValueError), (after_the_end, ValueError)]:
        with pytest.raises(error):
            run("i64", ["i64"], body, 1)


def test_loops_are_left_alone_by_llvm() -> None:
    module = Module("test")
    function = module.function("f", "void", [Parameter("ptr", "p", NOALIAS), Parameter("ptr", "q", NOALIAS_READONLY)])
    b = Builder(function)
    with b.for_loop(0, 64) as loop:
        b.store(
            b.fadd(b.load("float", b.gep("float", function.arguments[1], loop.index)), 1.0),
            b.gep("float", function.arguments[0], loop.index),
        )
    b.ret()
    text = str(module)
    assert "llvm.loop.unroll.disable" in text
    assert jit.assembly(text).count("addss") == 1


# Modules


def test_calls_between_functions_modules_and_pointers() -> None:
    module = Module("test")
    square = module.function("square", "i64", [Parameter("i64", "x")], private=True)
    b = Builder(square)
    b.ret(b.mul(square.arguments[0], square.arguments[0]))
    other = Module("other")
    triple = other.function("triple it", "i64", [Parameter("i64", "x")])
    b = Builder(triple)
    b.ret(b.mul(triple.arguments[0], 3))
    main = module.function("main", "i64", [Parameter("i64", "x")])
    b = Builder(main)
    tripled = b.call(triple, b.call(square, main.arguments[0]))
    b.ret(b.call_pointer(square.pointer, "i64", tripled))
    library = jit.link([jit.compile_module(str(m)) for m in (module, other)])
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("main"))(2) == 144


def test_constant_tables() -> None:
    def body(b: Builder, index: Value) -> Value:
        table = b.module.constant_data("table", "float", [1.5, 2.5, 3.5])
        assert b.module.constant_data("table", "float", [1.5, 2.5, 3.5]) == table
        return b.load("float", b.gep("float", table, index), invariant=True)

    assert run("float", ["i64"], body, 2) == 3.5


def test_names_are_taken_once() -> None:
    module = Module("test")
    module.function("f", "void", [])
    module.declare("g", "void", ["i64"])
    module.constant_data("t", "i8", [1])
    with pytest.raises(ValueError, match="defined twice"):
        module.function("f", "void", [])
    with pytest.raises(ValueError, match="was declared as"):
        module.declare("g", "void", ["i32"])
    with pytest.raises(ValueError, match="other contents"):
        module.constant_data("t", "i8", [2])


def test_vector_of_no_lanes_is_the_scalar() -> None:
    assert (vector_of("float", 0), vector_of("float", 4)) == ("float", "<4 x float>")
