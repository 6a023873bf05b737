"""Distributions in native code: words of the generator as numbers, by the rules of the eager layer.

Every function fills `count` contiguous elements, in order: `void name(ptr state, ptr out, i64 count, ...)`; the caller
holds the generator's lock. What the eager layer takes from the C library (logarithms, sines and cosines of float64),
these functions call there; the logarithm, sine and cosine of float32 are the same polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from optc.codegen.kernels.expression import cast, memory_type, to_memory
from optc.codegen.llvm import Builder, Function, Module, Parameter, Value, vector_of
from optc.codegen.operators.random_words import state_address
from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dtypes import DType

_CHUNK = 512
"""Elements whose words are drawn at once."""

_LANES = 16

_BLOCK = 16
"""The numbers that vectorised Box-Muller makes together."""

INSIDE_OUT = (2**32 - 1) // 20
"""From so many places on, PyTorch shuffles inside out, with words of 64 bits."""

_STATE, _OUT, _COUNT = Parameter("ptr", "state"), Parameter("ptr", "out"), Parameter("i64", "count")


@dataclass(frozen=True)
class Fill:
    """A function that draws: of which distribution, and the element types of what it writes and reads."""

    distribution: str
    dtype: DType
    read: DType | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        read = "" if self.read is None else f"_{self.read.name}"
        return f"random_{self.distribution}_{self.dtype.name}{read}"

    @property
    def parameters(self) -> list[Parameter]:
        """State, memory and count, then what the distribution asks for."""
        return [_STATE, _OUT, _COUNT, *_DISTRIBUTIONS[self.distribution][0]]

    def module(self) -> Module:
        """The module that defines the function."""
        module = Module(self.name)
        function = module.function(self.name, "void", self.parameters)
        writer = _Writer(self, function)
        _DISTRIBUTIONS[self.distribution][1](writer, *function.arguments[3:])
        writer.b.ret()
        return module


class _Writer:
    """Writes one function."""

    def __init__(self, fill: Fill, function: Function) -> None:
        self.fill = fill
        self.dtype = fill.dtype
        self.read = fill.read
        self.module = function.module
        self.state, self.out, self.count = function.arguments[:3]
        self.b = Builder(function)
        self.element = memory_type(fill.dtype)

    # Words

    def draw(self, words: Value, count: Value) -> None:
        self.b.call(self.module.declare("random_words", "void", ["ptr", "ptr", "i64"]), self.state, words, count)

    def library(self, name: str, argument: Value) -> Value:
        """A function of the C library."""
        return self.b.call(self.module.declare(name, "double", ["double"]), argument)

    def unit_float(self, words: Value) -> Value:
        """24 bits of a word as a number of [0, 1)."""
        bits = self.b.and_(words, 0xFF_FFFF)
        return self.b.fmul(self.b.sitofp(bits, "float"), 2.0**-24, "")

    def unit_double(self, high: Value, low: Value) -> Value:
        """53 bits of two words as a number of [0, 1)."""
        b = self.b
        upper = b.sitofp(b.and_(high, 0x1F_FFFF), "double")
        return b.fmul(b.fma(upper, 2.0**32, b.uitofp(low, "double")), 2.0**-53, "")

    def one_double(self, words: Value) -> Value:
        """The next number of [0, 1), by way of memory for two words."""
        self.draw(words, self.b.constant("i64", 2))
        high, low = (self.b.load("i32", self.b.gep("i32", words, place)) for place in range(2))
        return self.unit_double(high, low)

    def long_word(self, words: Value) -> Value:
        """Two words as one of 64 bits, the high one first."""
        b = self.b
        high, low = (b.zext(b.load("i32", b.gep("i32", words, place)), "i64") for place in range(2))
        return b.or_(b.shl(high, 32), low)

    # Loops

    def chunks(self, words_each: int, write: Callable[[Value, Value, Value, Value], None]) -> None:
        """`write(words, first element, number of elements, memory for them)` for so many elements after another."""
        b = self.b
        words = b.alloca("i32", _CHUNK * words_each, 64)
        made = b.alloca(self.element, _CHUNK, 64)
        with b.for_loop(0, self.count, _CHUNK) as chunk:
            number = b.intrinsic("smin", "i64", b.sub(self.count, chunk.index), b.constant("i64", _CHUNK))
            self.draw(words, b.mul(number, words_each))
            write(words, chunk.index, number, made)
            size = b.mul(number, self.dtype.itemsize)
            b.memcpy(b.gep(self.element, self.out, chunk.index), made, size)

    def each(self, is_wide: bool, element: Callable[[Value], Value]) -> None:
        """Every element a function of a number of [0, 1), in vectors; what stands behind the last is never read."""
        b = self.b

        def write(words: Value, first: Value, number: Value, made: Value) -> None:
            with b.for_loop(0, number, _LANES, nonempty=True) as loop:
                unit = self.units(words, loop.index, is_wide)
                b.store(to_memory(b, element(unit), self.dtype), b.gep(self.element, made, loop.index), 8)

        self.chunks(2 if is_wide else 1, write)

    def units(self, words: Value, place: Value, is_wide: bool) -> Value:
        """A vector of numbers of [0, 1)."""
        b = self.b
        if not is_wide:
            return self.unit_float(b.load(vector_of("i32", _LANES), b.gep("i32", words, place), 4))
        pairs = b.load(vector_of("i32", 2 * _LANES), b.gep("i64", words, place), 4)
        high, low = (b.shuffle(pairs, None, range(start, 2 * _LANES, 2)) for start in range(2))
        return self.unit_double(high, low)

    def singly(self, words_each: int, element: Callable[[Value, Value], Value]) -> None:
        """Every element by itself: `element(its place, address of its words)`."""
        b = self.b

        def write(words: Value, first: Value, number: Value, made: Value) -> None:
            with b.for_loop(0, number, nonempty=True) as loop:
                mine = b.gep("i32", words, b.mul(loop.index, words_each))
                value = element(b.add(first, loop.index), mine)
                b.store(to_memory(b, value, self.dtype), b.gep(self.element, made, loop.index))

        self.chunks(words_each, write)

    def double_at(self, words: Value) -> Value:
        b = self.b
        return self.unit_double(b.load("i32", words), b.load("i32", b.gep("i32", words, 1)))

    def cast(self, value: Value, source: DType) -> Value:
        return cast(self.b, value, source, self.dtype)

    def from_double(self, value: Value) -> Value:
        """A float64 number in the element type; the short types are reached through float32, as PyTorch reaches them."""
        if self.dtype.kind != "float" or self.dtype.itemsize == 8:
            return self.cast(value, dtypes.FLOAT64)
        return self.cast(cast(self.b, value, dtypes.FLOAT64, dtypes.FLOAT32), dtypes.FLOAT32)


# Distributions -------------------------------------------------------------------------------------------------------


def _uniform(w: _Writer, low: Value, high: Value) -> None:
    """low + unit * (high - low), one rounding; what rounding carries to `high` becomes `low`."""
    b = w.b
    work = dtypes.FLOAT64 if w.dtype is dtypes.FLOAT64 else dtypes.FLOAT32
    first, last = (cast(b, bound, dtypes.FLOAT64, work) for bound in (low, high))
    # float64 bounds are subtracted as they are given, all others in float32
    scale = b.fsub(last, first, "")
    lowest, open_end = (cast(b, bound, dtypes.FLOAT64, w.dtype) for bound in (low, high))

    def element(unit: Value) -> Value:
        lanes = unit.lanes or 0
        value = w.cast(b.fma(unit, b.splat(scale, lanes), b.splat(first, lanes)), work)
        at_end = b.fcmp("oeq", value, b.splat(open_end, lanes))
        return b.select(at_end, b.splat(lowest, lanes), value)

    w.each(work is dtypes.FLOAT64, element)


def _bernoulli(w: _Writer, probability: Value) -> None:
    b = w.b
    w.each(True, lambda unit: w.cast(b.fcmp("olt", unit, b.splat(probability, unit.lanes or 0)), dtypes.BOOL))


def _bernoulli_each(w: _Writer, probabilities: Value) -> None:
    b, read = w.b, w.read
    assert read is not None
    is_wide = read is dtypes.FLOAT64
    work = dtypes.FLOAT64 if is_wide else dtypes.FLOAT32

    def element(place: Value, words: Value) -> Value:
        stored = b.load(memory_type(read), b.gep(memory_type(read), probabilities, place))
        given = b.icmp("ne", stored, 0) if read is dtypes.BOOL else stored
        unit = w.double_at(words) if is_wide else w.unit_float(b.load("i32", words))
        return w.cast(b.fcmp("olt", unit, cast(b, given, read, work)), dtypes.BOOL)

    w.singly(2 if is_wide else 1, element)


def _integers(w: _Writer, low: Value, range_: Value, is_wide: Value) -> None:
    """low + word % range; a range of 0 stands for 2^64. Words of 64 bits if `is_wide`."""
    b = w.b
    with b.if_then_else(is_wide) as (wide, narrow):
        with wide:
            divisor = b.select(b.icmp("eq", range_, 0), b.constant("i64", 1), range_)
            whole = b.icmp("eq", range_, 0)

            def long_number(place: Value, words: Value) -> Value:
                word = w.long_word(words)
                return w.cast(b.add(b.select(whole, word, b.urem(word, divisor)), low), dtypes.INT64)

            w.singly(2, long_number)
        with narrow, b.if_then_else(b.icmp("ult", range_, 1 << 32)) as (short, long):
            with short:
                part = b.trunc(range_, "i32")
                w.singly(1, lambda place, words: w.cast(
                    b.add(b.zext(b.urem(b.load("i32", words), part), "i64"), low), dtypes.INT64
                ))  # fmt: skip
            with long:  # no word is as large as that
                w.singly(1, lambda place, words: w.cast(
                    b.add(b.zext(b.load("i32", words), "i64"), low), dtypes.INT64
                ))  # fmt: skip


def _exponential(w: _Writer, rate: Value) -> None:
    b = w.b
    scale = b.fdiv(b.constant("double", -1.0), rate)

    def element(place: Value, words: Value) -> Value:
        logarithm = w.library("log1p", b.fneg(w.double_at(words)))
        return w.from_double(b.fmul(scale, logarithm, ""))

    w.singly(2, element)


def _geometric(w: _Writer, probability: Value) -> None:
    b = w.b
    divisor = w.library("log1p", b.fneg(probability))

    def element(place: Value, words: Value) -> Value:
        trials = b.fdiv(w.library("log", w.double_at(words)), divisor)
        return w.from_double(b.intrinsic("ceil", "double", trials))

    w.singly(2, element)


def _cauchy(w: _Writer, median: Value, scale: Value) -> None:
    b = w.b

    def element(place: Value, words: Value) -> Value:
        angle = b.fmul(b.fsub(w.double_at(words), 0.5, ""), math.pi, "")
        return w.from_double(b.fma(w.library("tan", angle), scale, median))

    w.singly(2, element)


def _slopes(w: _Writer, source: Value, low: Value, high: Value) -> None:
    """1 where the source is positive, else a number of [low, high); only these are drawn."""
    b, kind = w.b, w.dtype
    words = b.alloca("i32", 2, 8)
    # the bounds as the element type holds them
    first, last = (cast(b, cast(b, bound, dtypes.FLOAT64, kind), kind, dtypes.FLOAT64) for bound in (low, high))
    scale = b.fsub(last, first, "")
    one = cast(b, b.constant("double", 1.0), dtypes.FLOAT64, kind)
    with b.for_loop(0, w.count) as loop:
        x = cast(b, b.load(w.element, b.gep(w.element, source, loop.index)), kind, dtypes.FLOAT64)
        with b.if_then_else(b.fcmp("ole", x, 0.0)) as (below, above):
            with below:
                value = b.fma(w.one_double(words), scale, first)
                value = b.select(b.fcmp("oeq", value, last), first, value)
                below.yield_([w.from_double(value)])
            with above:
                above.yield_([one])
        b.store(below.results[0], b.gep(w.element, w.out, loop.index))


def _permutation(w: _Writer) -> None:
    """Fisher-Yates: every place but the last is swapped with one of those from it on; many places, inside out."""
    b = w.b
    words = b.alloca("i32", 2, 8)

    def swap(place: Value, other: Value) -> None:
        here, there = (b.gep(w.element, w.out, index) for index in (place, other))
        mine, theirs = b.load(w.element, here), b.load(w.element, there)
        b.store(mine, there)
        b.store(theirs, here)

    with b.for_loop(0, w.count) as loop:
        b.store(w.cast(loop.index, dtypes.INT64), b.gep(w.element, w.out, loop.index))
    with b.if_then_else(b.icmp("slt", w.count, INSIDE_OUT)) as (few, many):
        with few, b.for_loop(0, b.sub(w.count, 1)) as loop:
            w.draw(words, b.constant("i64", 1))
            left = b.trunc(b.sub(w.count, loop.index), "i32")
            swap(loop.index, b.add(loop.index, b.zext(b.urem(b.load("i32", words), left), "i64")))
        with many, b.for_loop(0, w.count) as loop:
            w.draw(words, b.constant("i64", 2))
            swap(loop.index, b.urem(w.long_word(words), b.add(loop.index, 1)))


# Normal numbers ------------------------------------------------------------------------------------------------------


def _normal(w: _Writer, mean: Value, deviation: Value) -> None:
    """Pairs for fewer than sixteen numbers, blocks of sixteen for more."""
    b = w.b
    with b.if_then_else(b.icmp("slt", w.count, _BLOCK)) as (few, many):
        with few:
            _normal_pairs(w, mean, deviation)
        with many:
            _normal_blocks(w, mean, deviation)


def _log_normal(w: _Writer, mean: Value, deviation: Value) -> None:
    _normal_pairs(w, mean, deviation, lambda number: w.library("exp", number))


def _normal_pairs(
    w: _Writer, mean: Value, deviation: Value, function: Callable[[Value], Value] = lambda number: number
) -> None:
    """A number that waits in the state comes first; of the last pair, one may have to wait there.

    `function` is applied to every number.
    """
    b = w.b
    words = b.alloca("i32", 4, 16)
    has_spare, spare = state_address(b, w.state, "has_spare"), state_address(b, w.state, "spare")
    with b.for_loop(0, w.count) as loop:
        with b.if_then_else(b.icmp("ne", b.load("i64", has_spare), 0)) as (kept, drawn):
            with kept:
                b.store(b.constant("i64", 0), has_spare)
                kept.yield_([b.load("double", spare)])
            with drawn:
                w.draw(words, b.constant("i64", 4))
                turns, radius = w.double_at(words), w.double_at(b.gep("i32", words, 2))
                length = _length(w, w.library("log1p", b.fneg(radius)))
                angle = b.fmul(turns, 2.0 * math.pi, "")
                b.store(b.fmul(length, w.library("sin", angle), ""), spare)
                b.store(b.constant("i64", 1), has_spare)
                drawn.yield_([b.fmul(length, w.library("cos", angle), "")])
        number = w.from_double(function(b.fma(kept.results[0], deviation, mean)))
        b.store(number, b.gep(w.element, w.out, loop.index))


def _length(w: _Writer, logarithm: Value) -> Value:
    product = w.b.fmul(logarithm, -2.0, "")
    return w.b.intrinsic("sqrt", product.type, product)


def _normal_blocks(w: _Writer, mean: Value, deviation: Value) -> None:
    """Blocks one after the other; where sixteen does not divide the count, the last sixteen places are drawn anew.

    float32 and float64 numbers had words of their own in the places that are drawn anew, the short types did not.
    """
    b = w.b
    is_double = w.dtype is dtypes.FLOAT64
    words_each = 2 if is_double else 1
    words = b.alloca("i32", _BLOCK * words_each, 64)
    if not is_double:
        mean, deviation = (cast(b, value, dtypes.FLOAT64, dtypes.FLOAT32) for value in (mean, deviation))
    block = _double_block if is_double else _float_block

    def write(place: Value) -> None:
        w.draw(words, b.constant("i64", _BLOCK * words_each))
        block(w, words, b.gep(w.element, w.out, place), mean, deviation)

    with b.for_loop(0, b.and_(w.count, -_BLOCK), _BLOCK, nonempty=True) as loop:
        write(loop.index)
    rest = b.and_(w.count, _BLOCK - 1)
    with b.if_then(b.icmp("ne", rest, 0)):
        if w.dtype.itemsize >= 4:
            w.draw(words, b.mul(rest, words_each))
        write(b.sub(w.count, _BLOCK))


def _double_block(w: _Writer, words: Value, out: Value, mean: Value, deviation: Value) -> None:
    b, half = w.b, _BLOCK // 2
    with b.for_loop(0, half, nonempty=True) as loop:
        unit = w.double_at(b.gep("i64", words, loop.index))
        angle = b.fmul(w.double_at(b.gep("i64", words, b.add(loop.index, half))), 2.0 * math.pi, "")
        length = _length(w, w.library("log", b.fsub(b.constant("double", 1.0), unit, "")))
        for place, name in ((loop.index, "cos"), (b.add(loop.index, half), "sin")):
            number = b.fma(b.fmul(length, w.library(name, angle), ""), deviation, mean)
            b.store(number, b.gep("double", out, place))


def _float_block(w: _Writer, words: Value, out: Value, mean: Value, deviation: Value) -> None:
    b, half = w.b, _BLOCK // 2
    type_ = vector_of("i32", half)
    unit, turns = (w.unit_float(b.load(type_, b.gep("i32", words, start), 4)) for start in (0, half))
    length = _length(w, _logarithm(b, b.fsub(b.constant(unit.type, 1.0), unit, "")))
    sine, cosine = _sine_and_cosine(b, b.fmul(turns, _single(2.0 * math.pi), ""))
    mean, deviation = (b.splat(value, half) for value in (mean, deviation))
    for start, wave in ((0, cosine), (half, sine)):
        number = b.fma(b.fmul(length, wave, ""), deviation, mean)
        b.store(w.cast(number, dtypes.FLOAT32), b.gep(w.element, out, start), w.dtype.itemsize)


def _single(number: float) -> float:
    return float(np.float32(number))


def _polynomial(b: Builder, argument: Value, coefficients: Sequence[float]) -> Value:
    """Horner's rule with fused steps, the leading coefficient first."""
    value = b.constant(argument.type, _single(coefficients[0]))
    for coefficient in coefficients[1:]:
        value = b.fma(value, argument, _single(coefficient))
    return value


_LOGARITHM = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COSINE = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_QUARTER_PI = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)


def _logarithm(b: Builder, argument: Value) -> Value:
    """Natural logarithm of positive normal numbers: Cephes' `logf` (see `optc.eager.random`)."""
    bits = b.bitcast(argument, vector_of("i32", argument.lanes or 0))
    mantissa = b.bitcast(b.or_(b.and_(bits, 0x7F_FFFF), 0x3F00_0000), argument.type)
    whole = b.sitofp(b.sub(b.lshr(bits, 23), 126), "float")
    small = b.fcmp("olt", mantissa, _single(math.sqrt(0.5)))
    zero = b.constant(argument.type, 0.0)
    exponent = b.fsub(whole, b.select(small, b.constant(argument.type, 1.0), zero), "")
    reduced = b.fadd(b.fsub(mantissa, 1.0, ""), b.select(small, mantissa, zero), "")
    square = b.fmul(reduced, reduced, "")
    value = b.fmul(_polynomial(b, reduced, _LOGARITHM), reduced, "")
    value = b.fma(value, square, b.fmul(exponent, _single(-2.12194440e-4), ""))
    value = b.fma(square, -0.5, value)
    return b.fma(exponent, 0.693359375, b.fadd(reduced, value, ""))


def _sine_and_cosine(b: Builder, angle: Value) -> tuple[Value, Value]:
    """Sine and cosine of numbers in [0, 2 pi]: Cephes' `sinf` (see `optc.eager.random`)."""
    octant = b.and_(b.add(b.fptosi(b.fmul(angle, _single(4.0 / math.pi), ""), "i32"), 1), -2)
    turns = b.sitofp(octant, "float")
    reduced = angle
    for part in _QUARTER_PI:
        reduced = b.fma(turns, _single(part), reduced)
    square = b.fmul(reduced, reduced, "")
    cosine = b.fmul(_polynomial(b, square, _COSINE), square, "")
    cosine = b.fadd(b.fma(cosine, square, b.fmul(square, -0.5, "")), 1.0, "")
    sine = b.fma(b.fmul(_polynomial(b, square, _SINE), square, ""), reduced, reduced)
    straight = b.icmp("eq", b.and_(octant, 2), 0)
    turned, other = b.select(straight, sine, cosine), b.select(straight, cosine, sine)
    below = b.icmp("ne", b.and_(octant, 4), 0)
    left = b.icmp("ne", b.and_(b.add(octant, 2), 4), 0)
    return b.select(below, b.fneg(turned), turned), b.select(left, b.fneg(other), other)


_DISTRIBUTIONS: dict[str, tuple[list[Parameter], Callable[..., None]]] = {
    "uniform": ([Parameter("double", "low"), Parameter("double", "high")], _uniform),
    "normal": ([Parameter("double", "mean"), Parameter("double", "deviation")], _normal),
    "bernoulli": ([Parameter("double", "probability")], _bernoulli),
    "bernoulli_each": ([Parameter("ptr", "probabilities")], _bernoulli_each),
    "integers": ([Parameter("i64", "low"), Parameter("i64", "range"), Parameter("i1", "is_wide")], _integers),
    "log_normal": ([Parameter("double", "mean"), Parameter("double", "deviation")], _log_normal),
    "geometric": ([Parameter("double", "probability")], _geometric),
    "cauchy": ([Parameter("double", "median"), Parameter("double", "scale")], _cauchy),
    "exponential": ([Parameter("double", "rate")], _exponential),
    "slopes": ([Parameter("ptr", "source"), Parameter("double", "low"), Parameter("double", "high")], _slopes),
    "permutation": ([], _permutation),
}
