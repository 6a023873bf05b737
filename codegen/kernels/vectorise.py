"""The schedule that turns loops marked `lanes == 1` into vectors: main loop, tail, accumulators that are folded."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from optc.codegen.kernels.cost import FUNCTION, body_operations, operations, values_in_use
from optc.codegen.kernels.kernel import (
    Accumulate,
    Assign,
    Define,
    Fold,
    Kernel,
    Loop,
    Scan,
    Scatter,
    Statement,
    Store,
    accesses,
    copied,
    defined,
    is_near,
    leaves,
    local,
    pairs_of_stores,
    statements,
    stride_of,
    values_of,
    with_loops,
)
from optc.codegen.kernels.native import REGISTER_ELEMENTS
from optc.codegen.kernels.vector_math import expand
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass
from optc.ir.dims import Dim, divisor, symbol
from optc.ir.dtypes import FLOAT32
from optc.ops.scalar import Expr, nodes, variable

LIGHT, MEDIUM = 8, 20
"""Sums in loops with bodies of at most so many instructions go into 4 and 2 vectors, so that no addition waits for the
one before. Turns without sums are independent anyway: the processor overlaps them without being told."""
ABREAST = 4
"""Where constants are read from memory because registers are few, a function keeps a processor waiting: what it has begun
and not finished fills its registers (Zen 3: some 6 vectors of an exponential, each of which takes 57 cycles). Turns that
go abreast share what they read, so that more of them have begun, and half as many do where a turn keeps much: on a Zen 1
functions take 0.65 to 0.95 of the time of turns alone."""
LONG_TURN = 150
"""A turn of more instructions goes with one other at most, as compiling takes its time."""
ABREAST_OF_MANY = 4
"""With many registers constants stay there, but what has begun fills the queues of instructions that wait instead. On a
Zen 4 functions take 0.74 to 0.95 of the time when so many turns go abreast, most of that already with two."""
WAITING_REGISTERS = 8
"""So many of the values of turns abreast may wait in memory: one more load beside several steps of a polynomial takes no
time, and waiting for those does."""
MANY_REGISTERS = 32
"""With fewer, the constants of one exponential fill them."""
SHORT_ROW = 16
"""Rows of at most so many vectors are worked on side by side where registers are many, so their turns need not be."""
FEWEST_LANES = 4
"""Vectors of fewer are no quicker, and not known to every instruction."""
LONG_ROW = 4
"""Vectors that every accumulator must get at least; shorter rows are worked on side by side (see `interleave`)."""


def vectorise(kernel: Kernel, target: Target) -> Kernel:
    """Widen every loop marked `lanes == 1` to the target's vectors: several at once, the rest one by one, a tail."""
    return replace(kernel, body=_Vectoriser(kernel, target).body(kernel.body, {}))


@dataclass(frozen=True)
class _Vectoriser:
    kernel: Kernel
    target: Target

    def body(self, body: tuple[Statement, ...], outer: dict[str, Expr]) -> tuple[Statement, ...]:
        """`outer` holds the first values (neutral elements) of locals that enclosing bodies define."""
        known = outer | {statement.name: statement.value for statement in body if isinstance(statement, Define)}

        def change(loop: Loop) -> list[Statement]:
            nest = _nest(loop)
            if nest and (len(nest) == 1 or _accumulators(nest[-1])):
                return self.widened(nest, known)
            return [replace(loop, body=self.body(loop.body, known))]

        return with_loops(body, change)

    def widened(self, nest: list[Loop], known: dict[str, Expr]) -> list[Statement]:
        """The widened form of the innermost loop inside the others; accumulators are folded once, behind them all."""
        loop = nest[-1]
        is_built = _is_scattered(loop) and body_operations(loop.body) <= LIGHT  # vectors would be built by lane
        if is_built or not _is_linear(loop) or _stores_in_place(loop):
            return _inside(nest[:-1], [replace(loop, lanes=0)])
        accumulators = _accumulators(loop)
        lanes = self.lanes(loop)
        if accumulators:
            lanes = _filled(lanes, loop)
        if not _is_dense(loop):
            lanes = _whole(lanes, loop)
        scans = [statement for statement in loop.body if isinstance(statement, Scan)]
        vectors = {name: f"{name}.v" for name in (*(a.name for a in accumulators), *(s.carry for s in scans))}
        wide = replace(loop, body=tuple(_renamed(s, vectors) for s in loop.body), lanes=lanes, step=lanes)
        unrolled = _vectors_at_once(loop, lanes, self.target)
        before = [
            Define(_part(vectors[a.name], number), known[a.name], lanes)
            for number in range(unrolled) for a in accumulators
        ]  # fmt: skip
        before += [Define(vectors[scan.carry], known[scan.carry], lanes) for scan in scans]
        inner: list[Statement] = []
        start = loop.start
        go_abreast = unrolled > 1 and _abreast(loop, self.target) > 1
        if unrolled > 1:
            stop = _rounded(start, loop.stop, lanes * unrolled)
            sums = {vectors[accumulator.name] for accumulator in accumulators}
            main = replace(wide, stop=stop, abreast=unrolled if go_abreast else 1)
            _append_loop(inner, turns_in_one(main, unrolled, sums))
            start = stop
        wide, scalar = replace(wide, start=start), replace(loop, start=start, lanes=0)
        if go_abreast and self.target.avx512 and _rounded(start, loop.stop, lanes) != loop.stop:
            inner.append(replace(wide, masked=True))  # long bodies, of which another copy would have to be compiled
        else:
            self.append_rest(inner, wide, scalar, scans)
        return [*before, *_inside(nest[:-1], inner), *_folds(accumulators, vectors, unrolled)]

    def append_rest(self, inner: list[Statement], wide: Loop, scalar: Loop, scans: list[Scan]) -> None:
        """Whole vectors, and what does not fill one: masked where that is an instruction, else one by one."""
        stop = _rounded(wide.start, wide.stop, wide.lanes)
        _append_loop(inner, replace(wide, stop=stop))
        if self.has_masks(wide.lanes) and _is_dense(wide):
            _append_loop(inner, replace(wide, start=stop, masked=True))
            return
        for scan in scans if stop != scalar.stop else ():
            last, dtype = f"{scan.carry}.last", scan.value.dtype
            inner.append(Fold(last, f"{scan.carry}.v", variable(0, dtype)))
            inner.append(Assign(scan.carry, local(last, dtype)))
        if not scans and not _accumulators(wide):
            stop = _append_narrower(inner, replace(wide, start=stop))
        _append_loop(inner, replace(scalar, start=stop))

    def has_masks(self, lanes: int) -> bool:
        """Whether so many lanes can be masked: those of narrow elements only where that is one instruction too."""
        return self.target.masks and (self.target.avx512 or lanes * 4 <= self.target.vector_bytes)

    def lanes(self, loop: Loop) -> int:
        """As many elements as fill a register, counting four-byte elements unless all are wider, or all narrower."""
        values = (value for statement in statements(loop.body) for value in values_of(statement))
        widest = max((node.dtype.itemsize for value in values for node in nodes(value)), default=4)
        if widest < 4:
            return self.target.vector_bytes // widest
        written = [s.buffer for s in statements(loop.body) if isinstance(s, Store | Scatter)]
        sizes = [self.kernel.buffer(buffer).dtype.itemsize for buffer in written]
        for statement in statements(loop.body):
            for value in values_of(statement):
                sizes.extend(leaf.dtype.itemsize for leaf in leaves(value) if leaf.op in ("load", "local"))
        return self.target.vector_bytes // (8 if sizes and min(sizes) >= 8 else 4)


def _filled(lanes: int, loop: Loop) -> int:
    """As many lanes as a row that is shorter than a vector fills: what is left of it becomes one element in fewer steps,
    by the same additions."""
    length = loop.stop - loop.start
    while lanes > FEWEST_LANES and isinstance(length, int) and length <= lanes // 2:
        lanes //= 2
    return lanes


def _whole(lanes: int, loop: Loop) -> int:
    """As many lanes as fill a vector at least once, where what does not fill one is done one by one."""
    length = loop.stop - loop.start
    while lanes > FEWEST_LANES and isinstance(length, int) and length < lanes:
        lanes //= 2
    return lanes


def _nest(loop: Loop) -> list[Loop] | None:
    """Loops that hold each other and definitions before that, down to one to be widened; None where there is none."""
    nest = [loop]
    while nest[-1].lanes != 1:
        *definitions, inner = nest[-1].body
        if not isinstance(inner, Loop) or not all(isinstance(statement, Define) for statement in definitions):
            return None
        nest.append(inner)
    return nest


def _inside(nest: list[Loop], body: list[Statement]) -> list[Statement]:
    for loop in reversed(nest):
        body = [replace(loop, body=(*loop.body[:-1], *body))]
    return body


def _accumulators(loop: Loop) -> list[Accumulate]:
    own = {s.name for s in loop.body if isinstance(s, Define)}
    return [s for s in loop.body if isinstance(s, Accumulate) and s.name not in own]


def _folds(accumulators: list[Accumulate], vectors: dict[str, str], unrolled: int) -> list[Statement]:
    """Each accumulator's vectors into one, its lanes into one element, that into the accumulator."""
    result: list[Statement] = []
    for accumulator in accumulators:
        name, dtype = vectors[accumulator.name], accumulator.value.dtype
        apart = 1
        while apart < unrolled:  # pairs of pairs: half as many steps as one behind the other
            for number in range(0, unrolled, 2 * apart):
                other = local(_part(name, number + apart), dtype)
                result.append(Accumulate(_part(name, number), accumulator.combine, other))
            apart *= 2
        part = f"{accumulator.name}.part"
        result.append(Fold(part, name, accumulator.combine))
        result.append(replace(accumulator, value=local(part, dtype)))
    return result


def _part(name: str, number: int) -> str:
    return f"{name}{number}" if number else name


def _append_loop(body: list[Statement], loop: Loop) -> None:
    if loop.start != loop.stop:
        body.append(loop)


def _append_narrower(inner: list[Statement], rest: Loop) -> Dim:
    """What does not fill a vector in vectors of half the lanes, of a quarter; where they end."""
    start, lanes = rest.start, rest.lanes // 2
    while lanes >= FEWEST_LANES and isinstance(rest.stop - start, int):
        stop = _rounded(start, rest.stop, lanes)
        _append_loop(inner, replace(rest, start=start, stop=stop, lanes=lanes, step=lanes))
        start, lanes = stop, lanes // 2
    return start


def _rounded(start: Dim, stop: Dim, step: int) -> Dim:
    """The last place at or before `stop` that lies a multiple of `step` behind `start`."""
    length = stop - start
    return stop if divisor(length) % step == 0 else start + length // step * step


def _vectors_at_once(loop: Loop, lanes: int, target: Target) -> int:
    """How many vectors one turn of the main loop takes, a power of two: few in heavy bodies and for short rows."""
    abreast = _abreast(loop, target)
    if not (_accumulators(loop) or abreast > 1) or not _is_dense(loop):
        return 1
    cost = body_operations(loop.body)
    count = 4 if cost <= LIGHT else 2 if cost <= MEDIUM and target.vector_registers >= MANY_REGISTERS else 1
    count = abreast if abreast > 1 else count
    length = loop.stop - loop.start
    if isinstance(length, int) and length <= REGISTER_ELEMENTS:
        return 1  # the order in which `registers` adds up a row that is alone
    while count > 1 and isinstance(length, int) and length < lanes * count * LONG_ROW:
        count //= 2
    return count


def _abreast(loop: Loop, target: Target) -> int:
    """How many turns should go abreast, a power of two: several where one is so long a chain of instructions that the
    processor waits, and registers suffice for that."""
    is_plain = all(isinstance(statement, Define | Accumulate | Store) for statement in loop.body)
    if not (target.has_few_registers or target.avx512) or not is_plain or body_operations(loop.body) < FUNCTION:
        return 1
    values = [expand(value, target) for statement in loop.body for value in values_of(statement)]
    most = max(map(values_in_use, values))
    if target.has_few_registers:
        return _abreast_of_few(loop, values, most, target)
    length = loop.stop - loop.start
    if isinstance(length, int) and length * FLOAT32.itemsize <= SHORT_ROW * target.vector_bytes:
        return 1
    inside = {node for value in values for node in nodes(value)}
    if any(node.op == "rarely" for node in inside):
        return 1  # a branch in every turn, around which nothing is mixed
    entries = {node.value for node in inside if node.op == "table"}
    tables = sum(len(entry) * FLOAT32.itemsize // target.vector_bytes for entry in entries)
    count = ABREAST_OF_MANY
    while count > 1 and count * most + tables > target.vector_registers:
        count //= 2
    return count


def _abreast_of_few(loop: Loop, values: list[Expr], most: int, target: Target) -> int:
    """How many turns go abreast whose expanded values keep at most so many others, where registers are few."""
    own = len(_accumulators(loop))
    inside = {node for value in values for node in nodes(value) if node.op == "local"}
    around = sum(node.value not in defined(loop.body) for node in inside)
    count = ABREAST if sum(map(operations, values)) <= LONG_TURN else 2
    while count > 1 and count * (most + own) + around > target.vector_registers + WAITING_REGISTERS:
        count //= 2
    return count


def turns_in_one(wide: Loop, count: int, vectors: set[str]) -> Loop:
    """`count` turns in one, each with locals and accumulators of its own, side by side if they go abreast."""
    turns: list[tuple[Statement, ...]] = []
    own = defined(wide.body) | vectors
    for number in range(count):
        names = {name: _part(name, number) if name in vectors else f"{name}.{number}" for name in own}
        variables = {wide.variable: symbol(wide.variable) + number * wide.lanes}
        turns.append(copied(wide.body, names, variables) if number else wide.body)
    body = zip(*turns, strict=True) if wide.abreast > 1 else turns
    return replace(wide, step=wide.lanes * count, body=tuple(chain.from_iterable(body)))


def _renamed(statement: Statement, names: dict[str, str]) -> Statement:
    """The statement with its accumulator or carry renamed."""
    if isinstance(statement, Scan):
        return replace(statement, carry=names[statement.carry])
    if not isinstance(statement, Accumulate):
        return statement
    return replace(statement, name=names.get(statement.name, statement.name))


def _is_linear(loop: Loop) -> bool:
    return all(stride_of(index, loop.variable) is not None for index in accesses(loop.body))


def _stores_in_place(loop: Loop) -> bool:
    """True when turns write the same element: the last one counts, which lanes do not say."""
    inside = list(statements(loop.body))
    places = [s.index for s in inside if isinstance(s, Store)] + [s.offset for s in inside if isinstance(s, Scatter)]
    return any(stride_of(place, loop.variable) == 0 for place in places)


def _is_scattered(loop: Loop) -> bool:
    """True when an access has neither all its lanes beside each other, or in one place, nor reads them out of vectors.

    What is done once for all turns of a loop inside does not count beside those."""
    inner = tuple(statement for statement in loop.body if isinstance(statement, Loop))
    body = inner or loop.body
    read = {node.value[1] for s in statements(body) for value in values_of(s) for node in nodes(value)
            if node.op in ("load", "at")}  # fmt: skip
    written = {statement.index for statement in statements(body) if isinstance(statement, Store)}
    near = {index for index in read - written if is_near(stride_of(index, loop.variable))}
    for (_, first), second in pairs_of_stores(loop).items():
        near |= {first, second}
    return not _are_dense([index for index in accesses(body) if index not in near], loop.variable)


def _are_dense(indices: list[Dim], variable: str) -> bool:
    strides = [stride_of(index, variable) for index in indices]
    return all(isinstance(stride, int) and stride in (-1, 0, 1) for stride in strides)


def _is_dense(loop: Loop) -> bool:
    """True when every access moves by one element, either way, or not at all: then a masked tail needs no lane alone."""
    return _are_dense(accesses(loop.body), loop.variable)
