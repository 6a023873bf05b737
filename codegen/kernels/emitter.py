"""Kernels as LLVM functions: `void name(ptr buffer..., i64 size...)`, scratch buffers included.

Kernels with units keep their scratch on the stack instead, so that every range has its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from optc.codegen.kernels import vector_math
from optc.codegen.kernels.expression import ExpressionEmitter, emit_abreast, from_memory, memory_type, to_memory
from optc.codegen.kernels.kernel import (
    Accumulate,
    Assign,
    Buffer,
    Define,
    Fetch,
    Fold,
    Kernel,
    Loop,
    Scan,
    Scatter,
    Statement,
    Store,
    Tile,
    changed,
    dims_of,
    groups_abreast,
    is_near,
    pairs_of_stores,
    stride_of,
)
from optc.codegen.llvm import NOALIAS, Builder, Function, Module, Parameter, Value
from optc.codegen.machine.host import Target
from optc.ir.dims import Apply, Atom, Dim, Symbol, Symbolic, symbols
from optc.ir.dtypes import DType
from optc.ops.scalar import Expr, function, nodes


def emit_kernel(kernel: Kernel, module: Module, target: Target) -> Function:
    """Define the kernel's function in `module`. The kernel has been verified and scheduled."""
    parameters = [Parameter("ptr", buffer.name, NOALIAS) for buffer in passed_buffers(kernel)]
    parameters += [Parameter("i64", size) for size in kernel.sizes]
    function = module.function(kernel.name, "void", parameters)
    emitter = _KernelEmitter(kernel, Builder(function), target)
    emitter.bind(function.arguments)
    emitter.body(kernel.body)
    emitter.b.ret()
    return function


def _without_nan(combine: Expr) -> Expr | None:
    """The cheap form of a maximum or minimum of two numbers, which may lose NaN; None for anything else."""
    cheap = {"maximum": "maxnum", "minimum": "minnum"}.get(combine.op)
    is_plain = combine.dtype.kind == "float" and all(arg.op == "input" for arg in combine.args)
    return function(cheap, *combine.args) if cheap is not None and is_plain else None


def passed_buffers(kernel: Kernel) -> list[Buffer]:
    """The buffers that the kernel's function takes as arguments."""
    return [buffer for buffer in kernel.buffers if buffer.role != "scratch" or kernel.units == 0]


def emit_dim(b: Builder, dim: Dim, names: dict[str, Value]) -> Value:
    """A dimension as an i64, computed from the values of its symbols. What is no polynomial is computed once."""
    if isinstance(dim, int):
        return b.constant("i64", dim)
    if dim.is_polynomial:
        return _emit_sum(b, dim, names)
    return _emit_once(b, dim, names, lambda: _emit_sum(b, dim, names))


def _emit_once(b: Builder, what: Symbolic | Apply, names: dict[str, Value], emit: Callable[[], Value]) -> Value:
    """What `emit` gives, or what it gave for the same values: deep extents have the same parts in many places."""
    key = str(what), *(names[name] for name in sorted(symbols(what)))
    known = b.computed.get(key)
    if known is None:
        known = b.computed[key] = emit()
    return known


def _emit_sum(b: Builder, dim: Symbolic, names: dict[str, Value]) -> Value:
    total: Value | None = None
    for monomial, coefficient in dim.terms:
        product: Value | None = None
        for atom in monomial:
            value = _emit_atom(b, atom, names)
            product = value if product is None else _once(b, b.mul, product, value)
        term = b.constant("i64", coefficient) if product is None else product
        if product is not None and coefficient != 1:
            term = _once(b, b.mul, product, b.constant("i64", coefficient))
        total = term if total is None else _once(b, b.add, total, term)
    assert total is not None
    return total


def _once(b: Builder, operation: Callable[[Value, Value, str], Value], left: Value, right: Value) -> Value:
    """A sum or product; indices of neighbouring elements differ in their last term only."""
    key = operation.__name__, left.name, right.name
    known = b.computed.get(key)
    if known is None:
        known = b.computed[key] = operation(left, right, "nsw")
    return known


def _emit_atom(b: Builder, atom: Atom, names: dict[str, Value]) -> Value:
    if isinstance(atom, Symbol):
        return names[atom.name]
    return _emit_once(b, atom, names, lambda: _emit_apply(b, atom, names))


def _emit_apply(b: Builder, atom: Apply, names: dict[str, Value]) -> Value:
    left, right = emit_dim(b, atom.left, names), emit_dim(b, atom.right, names)
    if atom.operator in ("max", "min"):
        return b.intrinsic("smax" if atom.operator == "max" else "smin", "i64", left, right)
    divisor = atom.right
    if isinstance(divisor, int) and divisor > 0 and divisor & (divisor - 1) == 0:  # a shift rounds down by itself
        if atom.operator == "floordiv":
            return b.ashr(left, divisor.bit_length() - 1)
        return b.and_(left, divisor - 1)
    safe = b.select(b.icmp("eq", right, 0), b.constant("i64", 1), right)
    quotient, rest = b.sdiv(left, safe), b.srem(left, safe)
    wrong = b.and_(b.icmp("ne", rest, 0), b.icmp("slt", b.xor(rest, safe), 0))
    if atom.operator == "floordiv":
        return b.sub(quotient, b.zext(wrong, "i64"))
    return b.add(rest, b.select(wrong, safe, b.constant("i64", 0)))


class _KernelEmitter:
    """Walks the statements; `names` holds sizes and loop variables, `locals` the current value of each local."""

    def __init__(self, kernel: Kernel, b: Builder, target: Target) -> None:
        self.kernel = kernel
        self.b = b
        self.target = target
        self.names: dict[str, Value] = {}
        self.buffers: dict[str, Value] = {}
        self.locals: dict[str, Value] = {}
        self.lanes = 0
        self.variable = ""
        self.mask: Value | None = None
        self.remaining: Value = b.constant("i64", 0)
        self.pairs: dict[tuple[str, Dim], Dim] = {}
        self.waiting: dict[tuple[str, Dim], Value] = {}
        self.active = 0  # how many lanes the mask sets, where that is known and storing under it takes long

    def bind(self, arguments: list[Value]) -> None:
        """Name the function's arguments."""
        passed = passed_buffers(self.kernel)
        for buffer, argument in zip(passed, arguments):
            self.buffers[buffer.name] = argument
        for size, argument in zip(self.kernel.sizes, arguments[len(passed) :]):
            self.names[size] = argument
        for buffer in self.kernel.buffers:
            if buffer not in passed:
                assert isinstance(buffer.size, int)
                self.buffers[buffer.name] = self.b.alloca("i8", buffer.size * buffer.dtype.itemsize, 64)

    def body(self, body: tuple[Statement, ...]) -> None:
        """Emit statements; consecutive ones share subexpressions until a store or loop may change memory."""
        for statement in body:
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        match statement:
            case Loop():
                self.loop(statement)
            case Define(name, value, lanes) if lanes:
                self.locals[name] = self.b.splat(self.value(value, 0), lanes)
            case Define(value=value) | Assign(value=value) | Store(value=value):
                self.finish(statement, self.value(value, self.lanes))
            case Accumulate(name, _, value):
                self.finish(statement, self.value(value, self.locals[name].lanes))
            case Fold(name, source, combine):
                self.locals[name] = self.fold(self.locals[source], combine)
            case Scan():
                self.scan(statement)
            case Tile():
                self.tile(statement)
            case Fetch(buffer, index, written):
                element = memory_type(self.kernel.buffer(buffer).dtype)
                place = emit_dim(self.b, index, self.names)
                address = self.b.gep(element, self.buffers[buffer], place, inbounds=False)
                self.b.prefetch(address, locality=2, write=written)
            case Scatter(buffer, base, offset, value):
                stored = self.value(value, self.lanes)
                element = memory_type(self.kernel.buffer(buffer).dtype)
                start = self.b.gep(element, self.buffers[buffer], self.value(base, 0))
                self.store(start, buffer, offset, stored)

    def finish(self, statement: Define | Assign | Accumulate | Store, value: Value) -> None:
        """What a statement does with its value."""
        match statement:
            case Define(name):
                self.locals[name] = value
            case Assign(name):
                self.assign(name, value)
            case Accumulate(name, combine):
                self.assign(name, self.combined(combine, self.locals[name], value))
            case Store(buffer, index) if self.is_paired(buffer, index):
                self.store_paired(buffer, index, value)
            case Store(buffer, index):
                self.store(self.buffers[buffer], buffer, index, value)

    def is_paired(self, buffer: str, index: Dim) -> bool:
        """Whether the gaps between the lanes of a store are filled by another one."""
        return (buffer, index) in self.pairs or self.pairs.get((buffer, index - 1)) == index

    def store_paired(self, buffer: str, index: Dim, value: Value) -> None:
        """The first of two stores that fill each other's gaps waits for the second; then whole vectors are written."""
        first = index if (buffer, index) in self.pairs else index - 1
        self.waiting[buffer, index] = to_memory(self.b, value, self.kernel.buffer(buffer).dtype)
        if not {(buffer, first), (buffer, first + 1)} <= self.waiting.keys():
            return
        b, lanes = self.b, self.lanes
        sides = self.waiting.pop((buffer, first)), self.waiting.pop((buffer, first + 1))
        element = memory_type(self.kernel.buffer(buffer).dtype)
        start = b.gep(element, self.buffers[buffer], emit_dim(b, first, self.names))
        for part in (0, 1):
            lane = lanes // 2 * part
            picked = [lane + place // 2 + lanes * (place % 2) for place in range(lanes)]
            b.store(b.shuffle(*sides, picked), b.gep(element, start, lanes * part))

    def together(self, group: tuple[Statement, ...]) -> None:
        """Statements of one form: each step of all of their expressions before the next one."""
        plain = [statement for statement in group if isinstance(statement, Define | Assign | Accumulate | Store)]
        if len(plain) < max(2, len(group)):
            self.body(group)
            return
        expressions = tuple(vector_math.expand(statement.value, self.target) for statement in plain)
        constants = {node for expression in expressions for node in nodes(expression) if node.op == "const"}
        many = len(constants) > self.target.vector_registers
        emitters = [self.emitter(self.lanes, many) for _ in plain]
        emit_abreast(emitters, expressions)
        values = [emitter.emit(expression) for emitter, expression in zip(emitters, expressions, strict=True)]
        for statement, value in zip(plain, values, strict=True):
            self.finish(statement, value)

    def assign(self, name: str, value: Value) -> None:
        old = self.locals[name]
        self.locals[name] = self.b.select(self.mask, value, old) if self.mask is not None else value

    def combined(self, combine: Expr, left: Value, right: Value) -> Value:
        def leaf(node: Expr) -> Value:
            return (left, right)[node.value]

        return ExpressionEmitter(self.b, left.lanes, leaf, self.target).emit(combine)

    def fold(self, vector: Value, combine: Expr) -> Value:
        """All lanes into one by halving; the same order on every target width keeps results reproducible.

        Whether one is NaN is asked once for all of them, not at every step of a maximum."""
        quick = _without_nan(combine)
        if quick is None:
            return self.halved(vector, combine)
        largest, is_nan = self.halved(vector, quick), self.b.fcmp("uno", vector, vector)
        return self.b.select(self.b.reduce("or", is_nan), self.b.constant(largest.type, math.nan), largest)

    def halved(self, vector: Value, combine: Expr) -> Value:
        width = vector.lanes
        while width > 1:
            width //= 2
            lower = self.b.shuffle(vector, None, range(width))
            upper = self.b.shuffle(vector, None, range(width, 2 * width))
            vector = self.combined(combine, lower, upper)
        return self.b.extractelement(vector, 0)

    def scan(self, scan: Scan) -> None:
        """Halves of 2, 4, 8 ... lanes: the end of the lower one into all of the upper one. The carry of the next vector
        waits for one operation only."""
        carry, value = self.locals[scan.carry], self.value(scan.value, self.lanes)
        if not self.lanes:
            self.locals[scan.name] = self.locals[scan.carry] = self.combined(scan.combine, carry, value)
            return
        half = 1
        while half < self.lanes:
            upper = [bool(lane & half) for lane in range(self.lanes)]
            ends = [(lane & ~(2 * half - 1)) + half - 1 if upper[lane] else -1 for lane in range(self.lanes)]
            more = self.combined(scan.combine, self.b.shuffle(value, None, ends), value)
            value = self.b.select(self.b.constant(f"<{self.lanes} x i1>", upper), more, value)
            half *= 2
        self.locals[scan.name] = self.combined(scan.combine, carry, value)
        last = self.b.shuffle(value, None, [self.lanes - 1] * self.lanes)
        self.locals[scan.carry] = self.combined(scan.combine, carry, last)

    def tile(self, tile: Tile) -> None:
        """Columns are read as vectors, and written as rows."""
        dtype = self.kernel.buffer(tile.buffer).dtype
        element, vector = memory_type(dtype), memory_type(dtype, tile.size)
        first = self.b.gep(element, self.buffers[tile.buffer], emit_dim(self.b, tile.index, self.names))
        stride = emit_dim(self.b, tile.stride, self.names)
        vectors = [
            self.b.load(vector, self.b.gep(element, first, self.b.mul(stride, column)), dtype.itemsize)
            for column in range(tile.size)
        ]
        for row, value in enumerate(self.b.turned(vectors)):
            self.b.store(value, self.b.gep(element, self.buffers[tile.scratch], row * tile.size), dtype.itemsize)

    def loop(self, loop: Loop) -> None:
        assigned = changed(loop.body)
        carried = [name for name in self.locals if name in assigned]
        start, stop = emit_dim(self.b, loop.start, self.names), emit_dim(self.b, loop.stop, self.names)
        outer = self.variable, self.lanes, self.mask, self.active, self.pairs
        inside = dict(self.locals)
        with self.b.for_loop(start, stop, loop.step, carried=[self.locals[name] for name in carried]) as emitted:
            self.locals.update(zip(carried, emitted.carried))
            self.names[loop.variable] = emitted.index
            if loop.lanes > 1:
                self.variable, self.lanes = loop.variable, loop.lanes
                remaining = self.b.sub(stop, emitted.index)
                self.mask = self.b.lane_mask(remaining, loop.lanes) if loop.masked else None
                self.remaining = remaining
                self.active = self.active_lanes(loop)
                self.pairs = {} if loop.masked else pairs_of_stores(loop)
            for group in groups_abreast(loop):
                self.together(group)
            emitted.yield_([self.locals[name] for name in carried])
        self.locals = {**inside, **dict(zip(carried, emitted.results))}
        self.variable, self.lanes, self.mask, self.active, self.pairs = outer

    def active_lanes(self, loop: Loop) -> int:
        """How many lanes of a masked loop do something, 0 where a store under a mask is one quick instruction anyway, or
        only running tells. (Zen 3 takes 42 operations for one of eight elements.)"""
        count = loop.stop - loop.start
        is_known = loop.masked and isinstance(count, int) and 0 < count < loop.lanes
        return count if is_known and isinstance(count, int) and not self.target.avx512 else 0

    def value(self, expr: Expr, lanes: int) -> Value:
        return self.emitter(lanes).emit(vector_math.expand(expr, self.target))

    def emitter(self, lanes: int, reads_constants: bool = False) -> ExpressionEmitter:
        leaf: Callable[[Expr], Value] = lambda leaf: self.leaf(leaf, lanes)
        return ExpressionEmitter(self.b, lanes, leaf, self.target, reads_constants=reads_constants)

    def leaf(self, leaf: Expr, lanes: int) -> Value:
        if leaf.op == "local":
            value = self.locals[leaf.value]
            return value if value.lanes == lanes else self.b.splat(value, lanes)
        if leaf.op == "index":
            return self.index(leaf.value, lanes)
        buffer, index = leaf.value
        if leaf.op == "at":
            return self.load_at(buffer, leaf.args[0], index, lanes)
        return self.load(self.kernel.buffer(buffer).dtype, self.buffers[buffer], index, lanes)

    def load_at(self, name: str, base: Expr, offset: Dim, lanes: int) -> Value:
        """An element at a place that data decides: one vector where only the offset moves with the lanes."""
        dtype = self.kernel.buffer(name).dtype
        element = memory_type(dtype)
        if not lanes or self.is_uniform(base):
            start = self.b.gep(element, self.buffers[name], self.value(base, 0))
            return self.load(dtype, start, offset, lanes)
        places = self.b.add(self.value(base, lanes), self.index(offset, lanes))
        if self.mask is not None:
            places = self.b.select(self.mask, places, 0)
        vector = self.b.constant(memory_type(dtype, lanes), 0)
        for lane in range(lanes):
            address = self.b.gep(element, self.buffers[name], self.b.extractelement(places, lane))
            vector = self.b.insertelement(vector, self.b.load(element, address), lane)
        return from_memory(self.b, vector, dtype)

    def is_uniform(self, expr: Expr) -> bool:
        """True when all lanes compute the same value."""
        moving = any(stride_of(dim, self.variable) != 0 for dim in dims_of(expr))
        vectors = any(node.op == "local" and self.locals[node.value].lanes for node in nodes(expr))
        return not moving and not vectors

    def index(self, dim: Dim, lanes: int) -> Value:
        first = emit_dim(self.b, dim, self.names)
        stride = stride_of(dim, self.variable) if lanes else 0
        if not lanes or stride == 0:
            return self.b.splat(first, lanes)
        steps = self.b.splat(emit_dim(self.b, stride or 0, self.names), lanes)
        return self.b.add(self.b.splat(first, lanes), self.b.mul(steps, self.b.lane_numbers(f"<{lanes} x i64>")))

    def load(self, dtype: DType, start: Value, index: Dim, lanes: int) -> Value:
        element = memory_type(dtype)
        address = self.b.gep(element, start, emit_dim(self.b, index, self.names))
        stride = stride_of(index, self.variable) if lanes else 0
        if stride == 0:
            value = from_memory(self.b, self.b.load(element, address), dtype)
            return self.b.splat(value, lanes)
        if stride == 1:
            return from_memory(self.b, self.b.load(memory_type(dtype, lanes), address, mask=self.mask), dtype)
        if stride == -1:
            address, mask = self.backward(element, address, lanes)
            return from_memory(self.b, self.turned(self.b.load(memory_type(dtype, lanes), address, mask=mask)), dtype)
        if is_near(stride) and self.mask is None:
            assert isinstance(stride, int)
            return from_memory(self.b, self.picked(dtype, address, stride, lanes), dtype)
        vector = self.b.constant(memory_type(dtype, lanes), 0)
        for lane, place in enumerate(self.lane_addresses(address, element, stride, lanes)):
            vector = self.b.insertelement(vector, self.b.load(element, place), lane)
        return from_memory(self.b, vector, dtype)

    def picked(self, dtype: DType, first: Value, stride: int, lanes: int) -> Value:
        """Every `stride`-th element out of whole vectors, the last of which ends with the last lane's element."""
        b, element, vector = self.b, memory_type(dtype), memory_type(dtype, lanes)
        span = (lanes - 1) * stride + 1
        result: Value | None = None
        for start in (*range(0, span - lanes, lanes), span - lanes):
            part = b.load(vector, b.gep(element, first, start), dtype.itemsize)
            inside = {lane: lane * stride - start for lane in range(lanes) if 0 <= lane * stride - start < lanes}
            if result is None:
                result = b.shuffle(part, None, [inside.get(lane, -1) for lane in range(lanes)])
            else:
                result = b.shuffle(
                    result, part, [lanes + inside[lane] if lane in inside else lane for lane in range(lanes)]
                )
        assert result is not None
        return result

    def store(self, start: Value, name: str, index: Dim, value: Value) -> None:
        dtype = self.kernel.buffer(name).dtype
        element = memory_type(dtype)
        stored = to_memory(self.b, value, dtype)
        address = self.b.gep(element, start, emit_dim(self.b, index, self.names))
        stride = stride_of(index, self.variable) if self.lanes else 0
        if not self.lanes:
            self.b.store(stored, address)
        elif stride == 1 and self.active:
            self.store_part(stored, element, address, 0)
        elif stride == 1 and self.mask is not None and not self.target.avx512:
            self.store_rest(stored, element, address)
        elif stride == 1:
            self.b.store(stored, address, mask=self.mask)
        elif stride == -1:
            address, mask = self.backward(element, address, self.lanes)
            if self.active:
                self.store_part(self.turned(stored), element, address, self.lanes - self.active)
                return
            self.b.store(self.turned(stored), address, mask=mask)
        else:
            for lane, place in enumerate(self.lane_addresses(address, element, stride, self.lanes)):
                self.b.store(self.b.extractelement(stored, lane), place)

    def store_part(self, vector: Value, element: str, address: Value, first: int) -> None:
        """The active lanes, which begin with the first one given, by vectors of 4, 2 and 1."""
        stop = first + self.active
        while first < stop:
            width = 1 << (stop - first).bit_length() - 1
            part = self.b.shuffle(vector, None, range(first, first + width)) if width > 1 else None
            place = self.b.gep(element, address, first, inbounds=False)
            self.b.store(part or self.b.extractelement(vector, first), place)
            first += width

    def store_rest(self, vector: Value, element: str, address: Value) -> None:
        """As many lanes as remain, one of which does: half of them, a quarter, each where it is part of the number."""
        b, lanes = self.b, vector.lanes
        with b.if_then_else(b.icmp("sge", self.remaining, lanes), likely=False) as (whole, rest):
            with whole:
                b.store(vector, address)
            with rest:
                width = lanes // 2
                while width:
                    with b.if_then_else(b.icmp("ne", b.and_(self.remaining, width), 0)) as (written, kept):
                        with written:
                            part = b.shuffle(vector, None, range(width)) if width > 1 else b.extractelement(vector, 0)
                            b.store(part, address)
                            behind = [lane + width if lane + width < lanes else -1 for lane in range(lanes)]
                            written.yield_([b.shuffle(vector, None, behind), b.gep(element, address, width)])
                        with kept:
                            kept.yield_([vector, address])
                    vector, address = written.results
                    width //= 2

    def backward(self, element: str, first: Value, lanes: int) -> tuple[Value, Value | None]:
        """Where a vector begins whose first lane is its last in memory, and which of its elements exist."""
        mask = None if self.mask is None else self.turned(self.mask)
        return self.b.gep(element, first, 1 - lanes, inbounds=False), mask

    def turned(self, vector: Value) -> Value:
        """The lanes in the other order."""
        return self.b.shuffle(vector, None, list(reversed(range(vector.lanes))))

    def lane_addresses(self, first: Value, element: str, stride: Dim | None, lanes: int) -> list[Value]:
        """Where each lane of a strided access lies; masked loops have none (see `schedule`)."""
        assert stride is not None
        step = emit_dim(self.b, stride, self.names)
        return [self.b.gep(element, first, self.b.mul(step, lane)) for lane in range(lanes)]
