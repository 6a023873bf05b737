"""Discrete Fourier transforms as LLVM functions: as many transforms at once as a vector has lanes.

Every lane works on a transform of its own, so that all steps are the same for all lanes whatever the length. In scratch
memory a complex number is two vectors, its real parts and its imaginary parts, and a transform of n points is n of
those: it is loaded (transposed in registers where the points of a transform lie beside each other), goes through steps
of a few points each, in place (Gentleman and Sande's order: fewer and fewer points apart, factors behind each step),
the last of which puts the results in order, and is stored. A transform of 2n real numbers is one of n complex ones, of
which the even and the odd numbers are the parts; it is taken apart behind the last step, or put together before the
first.

Functions of one step are shared by transforms of all lengths; `Transform` names the function that calls them:
`void name(x, y, scratch, factors, order, strides of x and y, turns, inner, count, groups, start, stop)` transforms
`count` outer times `inner` rows, by groups of a vector's lanes of inner ones, in `groups` shares, of which a call does
those from `start` to `stop`, in the scratch memory of the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from optc.codegen.kernels.expression import memory_type
from optc.codegen.llvm import Builder, Declaration, Module, Parameter, Value, vector_of
from optc.codegen.machine.host import Target
from optc.codegen.operators.butterflies import Butterflies, Number
from optc.codegen.operators.fourier_tables import factor_places
from optc.dataclass import dataclass
from optc.ir.dtypes import DType

Kind = Literal["complex", "to_half", "from_half"]
Side = Literal["rows", "columns", "pairs"]
"""How the numbers of several transforms lie: those of each beside each other; beside each other what is at one place of
each, real numbers or pairs."""

_STRIDES = [f"{side}_{step}" for side in ("x", "y") for step in ("outer", "lane", "point")]
_PARAMETERS = [
    *(Parameter("ptr", name) for name in ("x", "y", "scratch", "factors", "order", "turns")),
    *(Parameter("i64", name) for name in (*_STRIDES, "inner", "count", "groups", "start", "stop")),
]


@dataclass(frozen=True)
class Lanes:
    """Element type and width of the vectors of one function."""

    dtype: DType
    count: int

    @staticmethod
    def of(dtype: DType, target: Target) -> Lanes:
        """The vectors of a processor."""
        return Lanes(dtype, target.lanes(memory_type(dtype)))

    @property
    def element(self) -> str:
        """The LLVM type of an element."""
        return memory_type(self.dtype)

    @property
    def vector(self) -> str:
        """The LLVM type of a vector."""
        return vector_of(self.element, self.count)

    @property
    def label(self) -> str:
        """The part of functions' names that says all this."""
        return f"{self.dtype.name}_{self.count}"


@dataclass(frozen=True)
class Piece:
    """A function that transforms are made of."""

    name: str
    parameters: tuple[Parameter, ...]
    write: Callable[[Builder, list[Value]], None]

    def declare(self, module: Module) -> Declaration:
        """Make it callable from a module."""
        return module.declare(self.name, "void", [parameter.type for parameter in self.parameters])

    def module(self) -> Module:
        """The module that defines it."""
        module = Module(self.name)
        function = module.function(self.name, "void", self.parameters)
        b = Builder(function)
        self.write(b, list(function.arguments))
        b.ret()
        return module


def _parameters(pointers: str, numbers: str) -> tuple[Parameter, ...]:
    return (*(Parameter("ptr", name) for name in pointers.split()), *(Parameter("i64", n) for n in numbers.split()))


@dataclass(frozen=True)
class _Scratch:
    """Access to complex numbers in scratch memory."""

    b: Builder
    lanes: Lanes

    def place(self, start: Value, vector: Value) -> Value:
        return self.b.gep(self.lanes.vector, start, vector)

    def read(self, start: Value, number: Value) -> Number:
        first = self.place(start, self.b.mul(number, 2))
        return self.load(first), self.load(self.place(first, self.b.constant("i64", 1)))

    def load(self, place: Value) -> Value:
        return self.b.load(self.lanes.vector, place)

    def write(self, value: Number, start: Value, number: Value) -> None:
        first = self.place(start, self.b.mul(number, 2))
        self.store(value[0], first)
        self.store(value[1], self.place(first, self.b.constant("i64", 1)))

    def store(self, value: Value, place: Value) -> None:
        self.b.store(value, place)

    def spread(self, table: Value, number: Value) -> Number:
        """A complex number of a table in all lanes."""
        b, count = self.b, self.lanes.count
        first = b.gep(self.lanes.element, table, b.mul(number, 2))
        second = b.gep(self.lanes.element, first, 1)
        return b.splat(b.load(self.lanes.element, first), count), b.splat(b.load(self.lanes.element, second), count)


# Steps ---------------------------------------------------------------------------------------------------------------


def step(lanes: Lanes, radix: int, sign: int) -> Piece:
    """In place: `blocks` blocks of `radix * turns` numbers; the results of every turn are multiplied by its factors."""

    def write(b: Builder, arguments: list[Value]) -> None:
        numbers, factors, blocks, turns = arguments
        scratch, butterflies = _Scratch(b, lanes), Butterflies(b, sign)
        length = b.mul(turns, radix)
        with b.for_loop(0, turns, nonempty=True) as turn:
            own = b.mul(turn.index, radix - 1)
            with b.for_loop(0, blocks, nonempty=True) as block:
                first = b.add(b.mul(block.index, length), turn.index)
                places = [b.add(first, b.mul(turns, k)) for k in range(radix)]
                results = butterflies.transform([scratch.read(numbers, place) for place in places])
                scratch.write(results[0], numbers, places[0])
                for k in range(1, radix):
                    factor = scratch.spread(factors, b.add(own, k - 1))
                    scratch.write(butterflies.multiply(results[k], factor), numbers, places[k])

    return Piece(
        f"fourier_step_{radix}_{_way(sign)}_{lanes.label}", _parameters("numbers factors", "blocks turns"), write
    )


def last_step(lanes: Lanes, radix: int, sign: int) -> Piece:
    """From scratch to scratch: of the numbers from order[q] on, result number q * `step` and those `distance` further;
    all scaled."""

    def write(b: Builder, arguments: list[Value]) -> None:
        numbers, results, order, scale, turns, step, distance = arguments
        scratch, butterflies = _Scratch(b, lanes), Butterflies(b, sign)
        factor = b.splat(b.load(lanes.element, scale), lanes.count)
        with b.for_loop(0, turns, nonempty=True) as turn:
            first = b.load("i64", b.gep("i64", order, turn.index))
            points = [scratch.read(numbers, b.add(first, k)) for k in range(radix)]
            place = b.mul(turn.index, step)
            for k, (real, imaginary) in enumerate(butterflies.transform(points)):
                scaled = b.fmul(real, factor), b.fmul(imaginary, factor)
                scratch.write(scaled, results, b.add(place, b.mul(distance, k)))

    return Piece(
        f"fourier_last_{radix}_{_way(sign)}_{lanes.label}",
        _parameters("numbers results order scale", "turns step distance"), write,
    )  # fmt: skip


def _way(sign: int) -> str:
    return "back" if sign > 0 else "forth"


def halves(lanes: Lanes, kind: Kind) -> Piece:
    """In place, what makes a transform of 2n real numbers of one of n complex ones ("to_half"), or the other way round.

    With a = z[k], c = conj(z[n - k]) and the factor f, z[k] becomes s (a + c) + f (a - c), and z[n - k] the conjugate
    of s (a + c) - f (a - c).
    """
    apart = kind == "to_half"

    def write(b: Builder, arguments: list[Value]) -> None:
        numbers, factors, n = arguments
        scratch, arithmetic = _Scratch(b, lanes), Butterflies(b, 1)
        start, zero = b.constant("i64", 0), b.constant(lanes.vector, 0)
        first = scratch.read(numbers, start)
        other = first[1] if apart else scratch.read(numbers, n)[0]
        total, difference = b.fadd(first[0], other), b.fsub(first[0], other)
        scratch.write((total, zero if apart else difference), numbers, start)
        if apart:
            scratch.write((difference, zero), numbers, n)
        with b.for_loop(1, b.add(b.udiv(n, 2), 1)) as loop:
            mirror = b.sub(n, loop.index)
            a, (real, imaginary) = scratch.read(numbers, loop.index), scratch.read(numbers, mirror)
            c = real, b.fneg(imaginary)
            mean = arithmetic.add(a, c)
            if apart:
                mean = b.fmul(mean[0], 0.5), b.fmul(mean[1], 0.5)
            turned = arithmetic.multiply(arithmetic.subtract(a, c), scratch.spread(factors, loop.index))
            real, imaginary = arithmetic.subtract(mean, turned)
            scratch.write((real, b.fneg(imaginary)), numbers, mirror)
            scratch.write(arithmetic.add(mean, turned), numbers, loop.index)

    return Piece(f"fourier_{kind}_{lanes.label}", _parameters("numbers factors", "n"), write)


# Into scratch memory and out of it -----------------------------------------------------------------------------------


def _row_starts(b: Builder, lanes: Lanes, start: Value, stride: Value, rows: Value) -> list[Value]:
    """Where the row of every lane begins; lanes without one share the last."""
    last = b.sub(rows, 1)
    numbers = [b.intrinsic("smin", "i64", b.constant("i64", lane), last) for lane in range(lanes.count)]
    return [b.gep(lanes.element, start, b.mul(number, stride)) for number in numbers]


def _tiles(b: Builder, lanes: Lanes, width: Value, tile: Callable[[Value], None], one: Callable[[Value], None]) -> None:
    """Whole tiles of a row, the last of which may overlap the one before; single elements where there is no tile."""
    with b.if_then_else(b.icmp("slt", width, lanes.count)) as (short, long):
        with short, b.for_loop(0, width) as loop:
            one(loop.index)
        with long:
            with b.for_loop(0, b.sub(width, lanes.count - 1), lanes.count) as loop:
                tile(loop.index)
            with b.if_then(b.icmp("ne", b.and_(width, lanes.count - 1), 0)):
                tile(b.sub(width, lanes.count))


def load(lanes: Lanes, side: Side) -> Piece:
    """`width` vectors into scratch memory, of `rows` transforms; what other lanes hold is unspecified."""
    if side == "rows":
        write = _rows_loader(lanes)
    else:
        write = _columns_loader(lanes, side == "pairs")
    return Piece(f"fourier_load_{side}_{lanes.label}", _parameters("x numbers", "lane point width rows"), write)


def _rows_loader(lanes: Lanes) -> Callable[[Builder, list[Value]], None]:
    def write(b: Builder, arguments: list[Value]) -> None:
        x, numbers, stride, _, width, rows = arguments
        scratch = _Scratch(b, lanes)
        starts = _row_starts(b, lanes, x, stride, rows)

        def tile(place: Value) -> None:
            vectors = [b.load(lanes.vector, b.gep(lanes.element, start, place)) for start in starts]
            for number, vector in enumerate(b.turned(vectors)):
                scratch.store(vector, scratch.place(numbers, b.add(place, number)))

        def one(place: Value) -> None:
            vector = b.constant(lanes.vector, 0)
            for lane, start in enumerate(starts):
                vector = b.insertelement(vector, b.load(lanes.element, b.gep(lanes.element, start, place)), lane)
            scratch.store(vector, scratch.place(numbers, place))

        _tiles(b, lanes, width, tile, one)

    return write


def _columns_loader(lanes: Lanes, in_pairs: bool) -> Callable[[Builder, list[Value]], None]:
    count = lanes.count

    def write(b: Builder, arguments: list[Value]) -> None:
        x, numbers, _, stride, width, rows = arguments
        scratch = _Scratch(b, lanes)
        masks = [b.lane_mask(b.sub(b.mul(rows, 2), count * part), count) for part in (0, 1)]
        mask = b.lane_mask(rows, count)

        def single(place: Value, is_whole: bool) -> None:
            address = b.gep(lanes.element, x, b.mul(place, stride))
            value = b.load(lanes.vector, address, mask=None if is_whole else mask)
            scratch.store(value, scratch.place(numbers, place))

        def pair(place: Value, is_whole: bool) -> None:
            address = b.gep(lanes.element, x, b.mul(place, stride))
            both = []
            for part in (0, 1):
                half = b.gep(lanes.element, address, count * part)
                both.append(b.load(lanes.vector, half, mask=None if is_whole else masks[part]))
            parts = [b.shuffle(both[0], both[1], range(part, 2 * count, 2)) for part in (0, 1)]
            scratch.write((parts[0], parts[1]), numbers, place)

        steps = b.udiv(width, 2) if in_pairs else width
        _whole_or_part(b, lanes, rows, steps, pair if in_pairs else single)

    return write


def _whole_or_part(b: Builder, lanes: Lanes, rows: Value, steps: Value, body: Callable[[Value, bool], None]) -> None:
    """A loop for all lanes, and one for fewer."""
    with b.if_then_else(b.icmp("sge", rows, lanes.count)) as arms:
        for arm, is_whole in zip(arms, (True, False)):
            with arm, b.for_loop(0, steps) as loop:
                body(loop.index, is_whole)


def store(lanes: Lanes, side: Side, turns: bool = False) -> Piece:
    """`width` vectors out of scratch memory, of `rows` transforms; with `turns`, pairs are multiplied by the numbers of
    a table that lie as the results do: real parts, and imaginary parts `apart` further."""
    if side == "rows":
        write = _rows_storer(lanes)
    else:
        write = _columns_storer(lanes, side == "pairs", turns)
    return Piece(
        f"fourier_store_{side}{'_turned' if turns else ''}_{lanes.label}",
        _parameters("y numbers turns", "lane point width rows apart"), write,
    )  # fmt: skip


def _rows_storer(lanes: Lanes) -> Callable[[Builder, list[Value]], None]:
    def write(b: Builder, arguments: list[Value]) -> None:
        y, numbers, _, stride, _, width, rows, _ = arguments
        scratch = _Scratch(b, lanes)
        starts = _row_starts(b, lanes, y, stride, rows)

        # Backwards: what lanes without a row write is written over.
        def tile(place: Value) -> None:
            vectors = [scratch.load(scratch.place(numbers, b.add(place, number))) for number in range(lanes.count)]
            for start, vector in reversed(list(zip(starts, b.turned(vectors)))):
                b.store(vector, b.gep(lanes.element, start, place))

        def one(place: Value) -> None:
            vector = scratch.load(scratch.place(numbers, place))
            for lane, start in reversed(list(enumerate(starts))):
                b.store(b.extractelement(vector, lane), b.gep(lanes.element, start, place))

        _tiles(b, lanes, width, tile, one)

    return write


def _columns_storer(lanes: Lanes, in_pairs: bool, turns: bool) -> Callable[[Builder, list[Value]], None]:
    count = lanes.count

    def write(b: Builder, arguments: list[Value]) -> None:
        y, numbers, table, _, stride, width, rows, apart = arguments
        scratch, arithmetic = _Scratch(b, lanes), Butterflies(b, 1)
        masks = [b.lane_mask(b.sub(b.mul(rows, 2), count * part), count) for part in (0, 1)]
        mask = b.lane_mask(rows, count)
        line = b.udiv(stride, 2)

        def single(place: Value, is_whole: bool) -> None:
            address = b.gep(lanes.element, y, b.mul(place, stride))
            b.store(scratch.load(scratch.place(numbers, place)), address, mask=None if is_whole else mask)

        def pair(place: Value, is_whole: bool) -> None:
            address = b.gep(lanes.element, y, b.mul(place, stride))
            value = scratch.read(numbers, place)
            if turns:
                factor = b.gep(lanes.element, table, b.mul(place, line))
                sides = factor, b.gep(lanes.element, factor, apart)
                loaded = [b.load(lanes.vector, side, mask=None if is_whole else mask) for side in sides]
                value = arithmetic.multiply(value, (loaded[0], loaded[1]))
            for part in (0, 1):
                first = count // 2 * part
                picked = [lane // 2 + first + count * (lane % 2) for lane in range(count)]
                place_of_part = b.gep(lanes.element, address, count * part)
                b.store(b.shuffle(*value, picked), place_of_part, mask=None if is_whole else masks[part])

        steps = b.udiv(width, 2) if in_pairs else width
        _whole_or_part(b, lanes, rows, steps, pair if in_pairs else single)

    return write


# Transforms ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Transform:
    """One function: transforms of `steps`' product complex numbers, or of twice as many real ones."""

    lanes: Lanes
    kind: Kind
    sign: int
    scale: float
    steps: tuple[int, ...]
    source: Side
    target: Side
    turns: bool = False

    @property
    def points(self) -> int:
        """The length of the complex transform."""
        return math.prod(self.steps)

    @property
    def name(self) -> str:
        """The function's name."""
        sides = f"{self.source}_{self.target}{'_turned' if self.turns else ''}"
        steps = "x".join(map(str, self.steps))
        scale = self.scale.hex().replace(".", "_").replace("+", "").replace("-", "m")
        return f"fourier_{self.kind}_{_way(self.sign)}_{steps}_{sides}_{scale}_{self.lanes.label}"

    @property
    def parameter_types(self) -> list[str]:
        """The types of the function's arguments."""
        return [parameter.type for parameter in _PARAMETERS]

    @property
    def scratch_elements(self) -> int:
        """What one share needs: two places for the numbers, and what a row has more."""
        return 4 * (self.points + 1) * self.lanes.count

    @property
    def pieces(self) -> list[Piece]:
        """The functions it calls."""
        lanes, sign = self.lanes, self.sign
        pieces = [
            load(lanes, self.source),
            store(lanes, self.target, self.turns),
            last_step(lanes, self.steps[-1], sign),
        ]
        pieces += [step(lanes, radix, sign) for radix in self.steps[:-1]]
        return pieces if self.kind == "complex" else [*pieces, halves(lanes, self.kind)]

    def module(self) -> Module:
        """The module that defines the function."""
        module = Module(self.name)
        function = module.function(self.name, "void", _PARAMETERS)
        given = dict(zip((parameter.name for parameter in _PARAMETERS), function.arguments))
        _Writer(self, Builder(function), given).write()
        return module


class _Writer:
    def __init__(self, transform: Transform, b: Builder, given: dict[str, Value]) -> None:
        self.transform = transform
        self.b = b
        self.given = given
        self.lanes = transform.lanes
        n = transform.points
        numbers = {"complex": (n, n), "to_half": (n, n + 1), "from_half": (n + 1, n)}[transform.kind]
        self.widths = [b.constant("i64", 2 * count) for count in numbers]

    def write(self) -> None:
        b, given, lanes = self.b, self.given, self.lanes
        share = b.mul(given["start"], self.transform.scratch_elements)
        self.before = b.gep(lanes.element, given["scratch"], share)
        self.behind = b.gep(lanes.element, self.before, 2 * (self.transform.points + 1) * lanes.count)
        self.scale = b.alloca(lanes.element)
        b.store(b.constant(lanes.element, self.transform.scale), self.scale)
        parts = b.udiv(b.add(given["inner"], lanes.count - 1), lanes.count)
        units = b.mul(parts, given["count"])
        first, last = (b.udiv(b.mul(units, given[name]), given["groups"]) for name in ("start", "stop"))
        with b.for_loop(first, last) as unit:
            outer = b.udiv(unit.index, parts)
            lane = b.mul(b.sub(unit.index, b.mul(outer, parts)), lanes.count)
            rows = b.intrinsic("smin", "i64", b.sub(given["inner"], lane), b.constant("i64", lanes.count))
            self.unit(outer, lane, rows)
        b.ret()

    def unit(self, outer: Value, lane: Value, rows: Value) -> None:
        """As many transforms as there are lanes, or the rest of them."""
        b, given, transform = self.b, self.given, self.transform
        x, y = (self.address(side, outer, lane) for side in ("x", "y"))
        self.call(load(self.lanes, transform.source), x, self.before, *self.strides("x"), self.widths[0], rows)
        ends = factor_places(transform.steps)
        points = b.constant("i64", transform.points)
        if transform.kind == "from_half":
            self.call(halves(self.lanes, "from_half"), self.before, self.factors(ends[-1]), points)
        self.steps(ends)
        if transform.kind == "to_half":
            self.call(halves(self.lanes, "to_half"), self.behind, self.factors(ends[-1]), points)
        turns = b.gep(self.lanes.element, given["turns"], lane) if transform.turns else given["turns"]
        apart = b.mul(given["inner"], points)
        piece = store(self.lanes, transform.target, transform.turns)
        self.call(piece, y, self.behind, turns, *self.strides("y"), self.widths[1], rows, apart)

    def steps(self, places: list[int]) -> None:
        """The first step goes over all numbers; its blocks are finished one by one, so that they stay in the cache."""
        b, transform, lanes = self.b, self.transform, self.lanes
        steps, sign = transform.steps, transform.sign
        one = b.constant("i64", 1)
        first = steps[0] if len(steps) > 1 else 1
        size = transform.points // first
        if first > 1:
            self.call(step(lanes, first, sign), self.before, self.factors(0), one, b.constant("i64", size))
        with b.for_loop(0, first) as block:
            numbers = b.gep(lanes.vector, self.before, b.mul(block.index, 2 * size))
            results = b.gep(lanes.vector, self.behind, b.mul(block.index, 2))
            blocks, length = 1, size
            for radix, place in zip(steps[1:-1], places[1:]):
                length //= radix
                counts = b.constant("i64", blocks), b.constant("i64", length)
                self.call(step(lanes, radix, sign), numbers, self.factors(place), *counts)
                blocks *= radix
            numbers_of = b.constant("i64", blocks), b.constant("i64", first), b.constant("i64", blocks * first)
            piece = last_step(lanes, steps[-1], sign)
            self.call(piece, numbers, results, self.given["order"], self.scale, *numbers_of)

    def call(self, piece: Piece, *arguments: Value) -> None:
        self.b.call(piece.declare(self.b.module), *arguments)

    def factors(self, place: int) -> Value:
        return self.b.gep(self.lanes.element, self.given["factors"], place)

    def strides(self, side: str) -> tuple[Value, Value]:
        return self.given[f"{side}_lane"], self.given[f"{side}_point"]

    def address(self, side: str, outer: Value, lane: Value) -> Value:
        b, given = self.b, self.given
        offset = b.add(b.mul(outer, given[f"{side}_outer"]), b.mul(lane, given[f"{side}_lane"]))
        return b.gep(self.lanes.element, given[side], offset)
