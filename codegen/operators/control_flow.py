"""How `prim::` nodes become native: branches, loops, tuples and lists whose length is known, failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import FAILED, Unsupported, tensor_type
from optc.codegen.driver.memory import Slot
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.native import Aggregate, MemoryTensor, Native, NoneValue, Scalar
from optc.codegen.llvm import Arm, Value
from optc.codegen.operators import islands
from optc.codegen.operators.carried import carried
from optc.codegen.operators.merging import (
    Moved,
    Mover,
    flatten,
    form,
    merged,
    needs_memory,
    open_axes,
    rebuild,
    wants_place,
)
from optc.ir.graph import Block, Node
from optc.ir.graph import Value as IRValue


def emit_if(driver: Driver, node: Node) -> None:
    """Both sides stay native: numbers and small tensors merge in registers, larger ones by their addresses."""
    branch = _Branch(driver, node)
    with driver.b.if_then_else(driver.scalar(node.inputs[0])) as arms:
        for arm, block in zip(arms, node.blocks):
            with arm, driver.scope():
                branch.side(arm, block)
    if arms[0].incoming or arms[1].incoming:
        branch.define(arms[0].results)


class _Branch:
    """How the results of two sides become one: in memory that both write, by address, or in registers."""

    def __init__(self, driver: Driver, node: Node) -> None:
        self.driver = driver
        self.node = node
        self.memories = {output: driver.allocate(output) for output in node.outputs if _has_one_place(driver, output)}
        self.axes = {output: open_axes(driver, output) for output in node.outputs if needs_memory(output)}
        self.lenders: dict[IRValue, list[Slot]] = {output: [] for output in node.outputs}
        self.models: list[Native] = []

    def side(self, arm: Arm, block: Block) -> None:
        """Emit one side, which hands over the values it ends with; one that never comes to its end has none."""
        driver = self.driver
        heap = list(driver.heap)
        mover = Mover(driver, block)
        _give_places(driver, block, self.node, self.memories)
        driver.block(block)
        if driver.b.block.terminated:
            return
        shown: list[Value] = []
        natives: list[Native] = []
        for result, output in zip(block.outputs, self.node.outputs):
            if output in self.memories:
                _put(driver, result, output, self.memories[output])
            elif output in self.axes:
                moved, slots = mover.lend(result, self.axes[output], output)
                self.lenders[output] += slots
                shown += moved.values()
            else:
                natives.append(merged(driver, result, output))
                shown += flatten(natives[-1])
        _end_scope(driver, block, heap, [slot for slots in self.lenders.values() for slot in slots])
        self.models = self.models or natives
        _require_same_form(self.node, self.models, natives)
        arm.yield_(shown)

    def define(self, results: Sequence[Value]) -> None:
        """The outputs of the node, from the merged values."""
        values, forms = iter(results), iter(self.models)
        for output in self.node.outputs:
            if output in self.memories:
                self.driver.define(output, self.memories[output])
            elif output in self.axes:
                Moved.take(self.axes[output], values).define(self.driver, output, self.lenders[output])
            else:
                self.driver.define(output, rebuild(next(forms), values))


def _has_one_place(driver: Driver, output: IRValue) -> bool:
    """True for a result that both sides write to the same memory: where somebody waits for it, or both compute it."""
    if not needs_memory(output) or open_axes(driver, output):
        return False
    return output in driver.destinations or wants_place(output)


def _give_places(driver: Driver, block: Block, node: Node, memories: dict[IRValue, MemoryTensor]) -> None:
    """Results are computed where the merged value lies."""
    for result, output in zip(block.outputs, node.outputs):
        if output in memories and result.node.owner is block and not result.is_parameter:
            driver.destinations.setdefault(result, memories[output].pointer)


def _put(driver: Driver, result: IRValue, output: IRValue, memory: MemoryTensor) -> None:
    """A side's result where the merged value lies."""
    native = merged(driver, result, output)
    is_there = isinstance(native, MemoryTensor) and native.pointer == memory.pointer and native.is_contiguous
    if not isinstance(native, NoneValue) and not is_there:
        driver.copy(native, memory.pointer, tensor_type(output))


def _require_same_form(node: Node, models: list[Native], natives: list[Native]) -> None:
    for model, native in zip(models, natives):
        if form(model) != form(native):
            raise Unsupported(node, "its two sides give lists or tuples that differ in more than their elements")


def _end_scope(driver: Driver, block: Block, heap: list[Slot], kept: Sequence[Slot] = ()) -> None:
    """Give back what a block allocated, except for slots that are `kept`."""
    for value in dict.fromkeys(block.outputs):
        if value.node.owner is not block:
            continue
        for slot in driver.slots.pop(value, ()):
            driver.aliases[slot].discard(value)
            if not driver.aliases[slot] and slot not in kept:
                driver.release(slot)
    for slot in [slot for slot in driver.heap if slot not in heap and slot not in kept]:
        driver.release(slot)


def emit_loop(driver: Driver, node: Node) -> None:
    """`prim::Loop`: trip count and condition in registers; `optc.codegen.operators.carried` says how values are carried."""
    (block,) = node.blocks
    places = [carried(driver, node, place) for place in range(len(node.outputs))]
    limit, first = driver.scalar(node.inputs[0]), driver.scalar(node.inputs[1])
    starts = [value for place in places for value in place.start()]
    b = driver.b
    with b.while_loop([b.constant("i64", 0), first, *starts]) as loop, driver.scope():
        index, condition, *rest = loop.carried
        loop.while_(b.and_(condition, b.icmp("slt", index, limit)))
        values = iter(rest)
        heap = list(driver.heap)
        driver.define(block.inputs[0], Scalar(index))
        for place in places:
            place.enter(values)
        outer, driver.turn = driver.turn, index
        driver.block(block)
        driver.turn = outer
        if driver.b.block.terminated:
            raise Unsupported(node, "every turn of the loop raises")
        following = [value for place in places for value in place.follow()]
        for place in places:
            place.finish()
        _end_scope(driver, block, heap)
        again = driver.scalar(block.outputs[0])
        loop.yield_([b.add(index, 1, "nsw"), again, *following])
    values = iter(loop.results[2:])
    for place in places:
        place.leave(values)


def emit_construct(driver: Driver, node: Node) -> None:
    """Tuples and lists of known length exist only while compiling."""
    items = tuple(driver.native(value) for value in node.inputs)
    driver.define(node.output, Aggregate(items, node.kind == "prim::ListConstruct"))
    driver.share(node.output, *node.inputs)


def emit_unpack(driver: Driver, node: Node) -> None:
    """Take a tuple or list apart."""
    native = driver.native(node.inputs[0])
    if not isinstance(native, Aggregate) or len(native.items) != len(node.outputs):
        raise Unsupported(node, "the length of the list is only known at run time")
    for output, item in zip(node.outputs, native.items):
        driver.define(output, item)
        driver.share(output, node.inputs[0])


def emit_index(driver: Driver, node: Node) -> None:
    """One item of a tuple."""
    native = driver.native(node.inputs[0])
    place = node.inputs[1]
    if not isinstance(native, Aggregate) or not place.is_constant:
        raise Unsupported(node, "the index is only known at run time")
    driver.define(node.output, native.items[place.constant])
    driver.share(node.output, node.inputs[0])


def emit_dim_node(driver: Driver, node: Node) -> None:
    """An int that is a dimension of the program."""
    driver.define(node.output, Scalar(emit_dim(driver.b, node.attributes["dim"], driver.symbols)))


def emit_raise(driver: Driver, node: Node) -> None:
    """Leave the function; the interpreter then says what went wrong."""
    driver.leave(FAILED)


def emit_same(driver: Driver, node: Node) -> None:
    """A node that only changes what the compiler knows."""
    driver.define(node.output, driver.native(node.inputs[0]))


def emit_nothing(driver: Driver, node: Node) -> None:
    """A value that nobody reads: merges make one up where they need it."""


HANDLERS: dict[str, Callable[[Driver, Node], None]] = {
    "prim::If": emit_if,
    "prim::Island": islands.emit,
    "prim::Loop": emit_loop,
    "prim::TupleConstruct": emit_construct,
    "prim::ListConstruct": emit_construct,
    "prim::TupleUnpack": emit_unpack,
    "prim::ListUnpack": emit_unpack,
    "prim::TupleIndex": emit_index,
    "prim::Dim": emit_dim_node,
    "prim::RaiseException": emit_raise,
    "prim::unchecked_cast": emit_same,
    "prim::Uninitialized": emit_nothing,
}
