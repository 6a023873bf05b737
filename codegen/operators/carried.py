"""What a loop carries from turn to turn: numbers and small tensors in registers, larger tensors in memory.

A tensor in memory has one buffer where every turn writes into the last turn's contents, and two that take turns where
it is computed anew: the turn's result is written straight into the spare one. A tensor whose extents change is carried
as its address, its extents and the heap block that holds it.
"""

from __future__ import annotations

from collections.abc import Iterator

from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import tensor_type
from optc.codegen.kernels.native import MemoryTensor, contiguous_strides
from optc.codegen.llvm import Value
from optc.codegen.operators.merging import Moved, Mover, flatten, merged, needs_memory, open_axes, rebuild, wants_place
from optc.codegen.operators.writes import is_overwritten, writes_every_row
from optc.codegen.process import context_code as calling
from optc.ir.graph import Node


class Carried:
    """One carried value: `initial` outside, `inside` the parameter of the body, `result` of a turn, `output` at the end.

    The emitter of the loop calls, in this order: `start` for the values that the loop carries, `enter` with them in
    the body, `follow` for those of the next turn, `finish` when all of them are there, `leave` behind the loop.
    """

    def __init__(self, driver: Driver, loop: Node, place: int) -> None:
        (self.body,) = loop.blocks
        self.driver = driver
        self.loop = loop
        self.initial = loop.inputs[2 + place]
        self.inside = self.body.inputs[1 + place]
        self.result = self.body.outputs[1 + place]
        self.output = loop.outputs[place]
        self.model = merged(driver, self.initial, self.inside) if not needs_memory(self.output) else None

    def start(self) -> list[Value]:
        """The values with which the loop begins."""
        assert self.model is not None
        return flatten(self.model)

    def enter(self, values: Iterator[Value]) -> None:
        """Define the body's parameter."""
        assert self.model is not None
        self.driver.define(self.inside, rebuild(self.model, values))

    def follow(self) -> list[Value]:
        """The values of the next turn."""
        return flatten(merged(self.driver, self.result, self.inside))

    def finish(self) -> None:
        """Give back what the turn is done with."""

    def leave(self, values: Iterator[Value]) -> None:
        """Define the loop's output."""
        assert self.model is not None
        self.driver.define(self.output, rebuild(self.model, values))


class Buffered(Carried):
    """A tensor in memory whose extents stay the same."""

    def memory(self, pointer: Value) -> MemoryTensor:
        """The tensor at an address."""
        type_ = tensor_type(self.output)
        assert type_.dtype is not None and type_.shape is not None
        return MemoryTensor(type_.dtype, pointer, type_.shape, contiguous_strides(type_.shape))

    def fill(self, pointer: Value) -> None:
        """Put the first value in its place, unless nobody looks at it."""
        if self.initial.node.kind == "prim::Uninitialized" or writes_every_row(self.loop, self.output.offset):
            return
        self.driver.copy(self.driver.native(self.initial), pointer, tensor_type(self.output))


class Overwritten(Buffered):
    """Every turn writes parts of the tensor, in place."""

    def start(self) -> list[Value]:
        self.buffer = self.driver.allocate(self.output)
        self.fill(self.buffer.pointer)
        return []

    def enter(self, values: Iterator[Value]) -> None:
        self.driver.define(self.inside, self.buffer)
        self.driver.lend(self.inside)

    def follow(self) -> list[Value]:
        return []

    def leave(self, values: Iterator[Value]) -> None:
        self.driver.define(self.output, self.buffer)


class Alternating(Buffered):
    """Two buffers: the present contents and the next turn's."""

    def start(self) -> list[Value]:
        pointers = self.driver.allocate_pair(self.output, tensor_type(self.output))
        self.fill(pointers[0])
        return list(pointers)

    def enter(self, values: Iterator[Value]) -> None:
        self.current, self.spare = next(values), next(values)
        self.driver.define(self.inside, self.memory(self.current))
        self.driver.lend(self.inside)
        if self.result.node.owner is self.body and wants_place(self.result):
            self.driver.destinations.setdefault(self.result, self.spare)

    def follow(self) -> list[Value]:
        driver = self.driver
        native = merged(driver, self.result, self.output)
        if isinstance(native, MemoryTensor) and native.is_contiguous and native.pointer == self.current:
            return [self.current, self.spare]
        if isinstance(native, MemoryTensor) and native.pointer == self.spare:
            return [self.spare, self.current]
        if not isinstance(native, MemoryTensor) or not native.is_contiguous:
            driver.copy(native, self.spare, tensor_type(self.output))
            return [self.spare, self.current]
        b = driver.b
        stays = b.icmp("eq", native.pointer, self.current)
        with b.if_then(b.not_(stays)):
            driver.copy(native, self.spare, tensor_type(self.output))
        return [b.select(stays, self.current, self.spare), b.select(stays, self.spare, self.current)]

    def leave(self, values: Iterator[Value]) -> None:
        self.driver.define(self.output, self.memory(next(values)))
        next(values)


class Resized(Carried):
    """A tensor whose extents differ from turn to turn: address, owner of the memory, extents.

    The memory is the loop's own, so that turns may write in it.
    """

    def start(self) -> list[Value]:
        driver = self.driver
        self.axes = open_axes(driver, self.output)
        if self.initial.node.kind == "prim::Uninitialized":
            return Moved.nothing(driver, self.axes, self.output).values()
        mover = Mover(driver, self.body)
        return mover.copied(self.initial, driver.in_memory(self.initial), self.axes).values()

    def enter(self, values: Iterator[Value]) -> None:
        driver = self.driver
        self.current = Moved.take(self.axes, values)
        self.current.define(driver, self.inside)
        (self.slot,) = driver.slots[self.inside]
        self.mover = Mover(driver, self.body)

    def follow(self) -> list[Value]:
        is_alive = self.slot in self.driver.aliases and self.slot in self.driver.heap
        moved, self.stays = self.mover.own(self.result, self.axes, self.current if is_alive else None)
        return moved.values()

    def finish(self) -> None:
        driver, b = self.driver, self.driver.b
        if self.slot not in driver.heap:
            return
        self.mover.take(self.slot)
        owner = self.current.owner
        if self.stays is not None:
            owner = b.select(self.stays, b.constant("ptr", 0), owner)
        calling.call_release(b, driver.context, owner)

    def leave(self, values: Iterator[Value]) -> None:
        Moved.take(self.axes, values).define(self.driver, self.output)


def carried(driver: Driver, loop: Node, place: int) -> Carried:
    """How a loop carries one of its values."""
    output = loop.outputs[place]
    if not needs_memory(output):
        return Carried(driver, loop, place)
    if open_axes(driver, output):
        return Resized(driver, loop, place)
    body = loop.blocks[0]
    if is_overwritten(body.inputs[1 + place], body.outputs[1 + place]):
        return Overwritten(driver, loop, place)
    return Alternating(driver, loop, place)
