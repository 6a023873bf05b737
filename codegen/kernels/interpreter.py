"""Runs kernels in Python, element by element and lane by lane: the oracle for schedules and for emitted code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optc.codegen.kernels.kernel import (
    START,
    STOP,
    Accumulate,
    Assign,
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
)
from optc.ir.dims import Dim, substitute
from optc.ops.scalar import Expr, evaluate, ordered
from optc.ops.shapes import known


def interpret_kernel(kernel: Kernel, buffers: Mapping[str, np.ndarray[Any, Any]], sizes: Mapping[str, int]) -> None:
    """Run a kernel on flat arrays (one per input and output buffer; outputs are written in place).

    Without a range among the sizes, a kernel with units runs one unit at a time, the last one first.
    Raises IndexError when an access leaves its buffer: negative indices do not wrap here.
    """
    if kernel.units != 0 and START not in sizes:
        (units,) = known([substitute(kernel.units, dict(sizes))])
        for unit in reversed(range(units)):
            interpret_kernel(kernel, buffers, {**sizes, START: unit, STOP: unit + 1})
        return
    memory = dict(buffers)
    for buffer in kernel.buffers:
        if buffer.role == "scratch":
            memory[buffer.name] = np.zeros(known([substitute(buffer.size, dict(sizes))]), buffer.dtype.numpy)
    _Machine(memory, dict(sizes)).run(kernel.body)


class _Machine:
    """Locals are arrays of lanes (scalars have one element); `active` counts the lanes that are on."""

    def __init__(self, memory: dict[str, np.ndarray[Any, Any]], dims: dict[str, int]) -> None:
        self.memory = memory
        self.dims: dict[str, Dim] = dict(dims)
        self.locals: dict[str, np.ndarray[Any, Any]] = {}
        self.variable = ""
        self.lanes = 0
        self.active = 1

    def run(self, body: tuple[Statement, ...]) -> None:
        for statement in body:
            self.step(statement)

    def step(self, statement: Statement) -> None:
        match statement:
            case Loop():
                self.loop(statement)
            case Define(name, value, lanes):
                result = np.broadcast_to(self.value(value), (lanes or self.lanes or 1,))
                self.locals[name] = result.copy()
            case Assign(name, value):
                self.change(name, self.value(value))
            case Accumulate(name, combine, value):
                self.change(name, evaluate(combine, {0: self.locals[name], 1: self.value(value)}))
            case Fold(name, source, combine):
                vector = self.locals[source]
                total = vector[:1]
                for lane in range(1, len(vector)):
                    total = evaluate(combine, {0: total, 1: vector[lane : lane + 1]})
                self.locals[name] = total
            case Scan(name, carry, combine, value):
                values = np.broadcast_to(self.value(value), (self.lanes or 1,))
                total, totals = self.locals[carry][:1], []
                for lane in range(len(values)):
                    total = evaluate(combine, {0: total, 1: values[lane : lane + 1]})
                    totals.append(total)
                self.locals[name] = np.concatenate(totals)
                self.locals[carry] = np.broadcast_to(total, self.locals[carry].shape).copy()
            case Tile():
                self.tile(statement)
            case Fetch():
                pass
            case Scatter():
                self.scatter(statement)
            case Store(buffer, index, value):
                values = np.broadcast_to(self.value(value), (self.lanes or 1,))
                for lane in range(self.active):
                    self.memory[buffer][self.place(buffer, index, lane)] = values[lane]

    def scatter(self, scatter: Scatter) -> None:
        lanes = self.lanes or 1
        bases, values = (np.broadcast_to(self.value(part), (lanes,)) for part in (scatter.base, scatter.value))
        for lane in range(self.active):
            place = int(bases[lane]) + self.number(scatter.offset, lane)
            if not 0 <= place < self.memory[scatter.buffer].size:
                raise IndexError(f"{scatter.buffer}[{place}] of {self.memory[scatter.buffer].size} elements")
            self.memory[scatter.buffer][place] = values[lane]

    def tile(self, tile: Tile) -> None:
        stride = self.number(tile.stride)
        for row in range(tile.size):
            for column in range(tile.size):
                place = self.place(tile.buffer, tile.index + row + column * stride, 0)
                self.memory[tile.scratch][row * tile.size + column] = self.memory[tile.buffer][place]

    def change(self, name: str, value: Any) -> None:
        kept = self.locals[name].copy()
        wide = np.broadcast_to(value, kept.shape)
        active = self.active if self.lanes else len(kept)
        kept[:active] = wide[:active]
        self.locals[name] = kept

    def loop(self, loop: Loop) -> None:
        outer = self.variable, self.lanes, self.active
        start, stop = (self.number(bound) for bound in (loop.start, loop.stop))
        for position in range(start, stop, loop.step):
            if loop.lanes:
                self.variable, self.lanes = loop.variable, loop.lanes
                self.active = min(loop.lanes, stop - position) if loop.masked else loop.lanes
            self.dims[loop.variable] = position
            self.run(loop.body)
        self.dims.pop(loop.variable, None)
        self.variable, self.lanes, self.active = outer

    def number(self, dim: Dim, lane: int = 0) -> int:
        bindings = self.dims
        if lane:
            bindings = {**bindings, self.variable: bindings[self.variable] + lane}
        value = substitute(dim, bindings)
        assert isinstance(value, int)
        return value

    def place(self, buffer: str, index: Dim, lane: int) -> int:
        place = self.number(index, lane)
        if not 0 <= place < self.memory[buffer].size:
            raise IndexError(f"{buffer}[{place}] of {self.memory[buffer].size} elements")
        return place

    def value(self, expr: Expr) -> Any:
        leaves: dict[int, Any] = {}

        def read(node: Expr) -> Expr:
            if node.op == "const":
                return node
            if node.op != "at" and node.args:
                return Expr(node.op, node.dtype, tuple(done[arg] for arg in node.args), node.value)
            leaves[len(leaves)] = self.indexed(node) if node.op == "at" else self.leaf(node)
            return Expr("input", node.dtype, (), len(leaves) - 1)

        done: dict[Expr, Expr] = {}
        for node in ordered(expr, lambda node: () if node.op == "at" else node.args):
            done[node] = read(node)
        return evaluate(done[expr], leaves)

    def indexed(self, node: Expr) -> Any:
        """`at`: an element per lane, at a place that data decides."""
        buffer, offset = node.value
        bases = np.broadcast_to(self.value(node.args[0]), (self.lanes or 1,))
        values = []
        for lane in range(self.active):
            place = int(bases[lane]) + self.number(offset, lane)
            if not 0 <= place < self.memory[buffer].size:
                raise IndexError(f"{buffer}[{place}] of {self.memory[buffer].size} elements")
            values.append(self.memory[buffer][place])
        padded = values + [values[0]] * ((self.lanes or 1) - len(values))
        return np.array(padded, node.dtype.numpy)

    def leaf(self, node: Expr) -> Any:
        if node.op == "local":
            return self.locals[node.value]
        lanes = range(self.active)
        if node.op == "index":
            values = [self.number(node.value, lane) for lane in lanes]
        else:
            buffer, index = node.value
            values = [self.memory[buffer][self.place(buffer, index, lane)] for lane in lanes]
        padded = values + [values[0]] * ((self.lanes or 1) - len(values))
        return np.array(padded, node.dtype.numpy)
