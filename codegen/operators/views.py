"""Views: a tensor in memory is looked at with other strides, a tensor in registers is shuffled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from optc.codegen.driver.driver import Driver, reads_windows
from optc.codegen.driver.frame import Unsupported, static, tensor_type
from optc.codegen.driver.memory import Slot
from optc.codegen.driver.registers import element_offsets
from optc.codegen.gemm.windows import turned, windows_of
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.expression import memory_type
from optc.codegen.kernels.native import Folded, MemoryTensor, RegisterTensor, contiguous_strides, fits_registers
from optc.codegen.llvm import Value
from optc.ir.dims import Dim, Symbolic, fresh, product
from optc.ir.graph import Node
from optc.ir.graph import Value as IRValue
from optc.ir.types import TensorType
from optc.ops.abstract import abstract, normalize_dim
from optc.ops.registry import Layout, Operator
from optc.ops.shapes import from_end


def emit(driver: Driver, node: Node, operator: Operator, lowering: Layout) -> None:
    """A view costs nothing in memory; in registers it is a shuffle."""
    source = node.inputs[0]
    native = driver.native(source)
    if isinstance(native, Folded) and tensor_type(node.output).shape == native.memory.shape:
        driver.define(node.output, native.memory)
        driver.share(node.output, source)
        return
    arguments = layout_arguments(driver, node, operator)
    static_view = all(not symbols_in(argument) for argument in arguments)
    if isinstance(native, RegisterTensor) and static_view and fits_registers(tensor_type(node.output)):
        register_view(driver, node, lowering, native, arguments)
        return
    memory = driver.in_memory(source)
    if memory.pointer.name in driver.early and source in driver.homes:
        memory = driver.homes[source]
    placed = lowering.function(memory.shape, memory.strides, 0, *arguments)
    copy = None
    if (
        placed is None
        and (rows := _folded_rows(node, lowering, memory, arguments))
        and _fold(driver, node, memory, rows)
    ):
        return
    if placed is None:
        copy, memory = _copied(driver, source, memory)
        placed = lowering.function(memory.shape, memory.strides, 0, *arguments)
    if placed is None:
        raise Unsupported(node, "the view needs a copy that cannot be made")
    _, strides, offset = placed
    sizes = tensor_type(node.output).shape or ()  # which may know more than what follows from the source alone
    is_constant = memory.pointer.name in driver.early and isinstance(offset, int)
    b = driver.entry if is_constant else driver.b
    pointer = b.gep(memory_type(memory.dtype), memory.pointer, emit_dim(b, offset, driver.symbols))
    if is_constant and isinstance(offset, int):
        driver.early.add(pointer.name)
        array, base = driver.constant_sources[memory.pointer.name]
        driver.constant_sources[pointer.name] = (array, base + offset)
    result = MemoryTensor(memory.dtype, pointer, sizes, strides)
    if fits_registers(tensor_type(node.output)) and not symbols_in(list(strides)):
        driver.define(node.output, driver.loaded(result))
        driver.copies += [copy] if copy is not None else []
        return
    driver.define(node.output, result)
    if copy is not None:
        driver.hold(node.output, copy)
    else:
        driver.share(node.output, source)


def _copied(driver: Driver, source: IRValue, memory: MemoryTensor) -> tuple[Slot, MemoryTensor]:
    """A copy without gaps of a tensor that lies in `memory`: where a result belongs that shows all of it, if nobody else
    looks at it."""
    if source not in driver.lent or len(source.uses) != 1:
        return driver.copied(memory)
    made = replace(memory, pointer=driver.destinations[source], strides=contiguous_strides(memory.shape))
    driver.copy(memory, made.pointer, TensorType(memory.dtype, memory.shape))
    return Slot(borrowed=True), made


def emit_at_border(driver: Driver, node: Node) -> None:
    """A complex argument is in memory as pairs of real numbers, and so is a complex result (see `complex-borders`)."""
    held = driver.native(node.inputs[0])
    if node.kind == "aten::view_as_real" and fits_registers(tensor_type(node.output)):
        held = driver.loaded(driver.in_memory(node.inputs[0]))
    driver.define(node.output, held)
    driver.share(node.output, node.inputs[0])


def _folded_rows(node: Node, lowering: Layout, memory: MemoryTensor, arguments: list[Any]) -> int:
    """How many dimensions are the rows of a matrix that one product reads; 0 for other views."""
    if len(node.output.uses) != 1 or fits_registers(tensor_type(node.output)):
        return 0
    product_node = node.output.uses[0].node
    if product_node.owner is not node.owner or not reads_windows(product_node, node.output):
        return 0
    placed = lowering.function(memory.shape, contiguous_strides(memory.shape), 0, *arguments)
    if placed is None or len(placed[0]) != 2 or tuple(placed[1]) != contiguous_strides(tuple(placed[0])):
        return 0
    splits = range(1, len(memory.shape))
    sizes = [(product(memory.shape[:rows]), product(memory.shape[rows:])) for rows in splits]
    return next((rows for rows, size in zip(splits, sizes) if size == tuple(placed[0])), 0)


def _fold(driver: Driver, node: Node, memory: MemoryTensor, rows: int) -> bool:
    """Leave the view to the product, of the tensor where it is or of a copy whose channels lie beside each other; False
    where the windows themselves have to be copied."""
    shape = tuple(tensor_type(node.output).shape or ())
    if windows_of(memory.shape, memory.strides, rows) is not None:
        driver.define(node.output, Folded(memory, rows, shape))
        driver.share(node.output, node.inputs[0])
        return True
    found = turned(memory.shape, memory.strides, rows)
    if found is None:
        return False
    (extents, distances), strides = zip(*found[0], strict=True), found[1]
    slot, copy = driver.copied(MemoryTensor(memory.dtype, memory.pointer, tuple(extents), tuple(distances)))
    driver.define(node.output, Folded(MemoryTensor(memory.dtype, copy.pointer, memory.shape, strides), rows, shape))
    driver.hold(node.output, slot)
    return True


def register_view(driver: Driver, node: Node, lowering: Layout, native: RegisterTensor, arguments: list[Any]) -> None:
    """A view of a tensor in registers: a shuffle."""
    placed = lowering.function(native.shape, contiguous_strides(native.shape), 0, *arguments)
    if placed is None:
        raise Unsupported(node, "the view needs a copy that cannot be made")
    sizes, strides, offset = static(placed[0]), static(placed[1]), placed[2]
    assert isinstance(offset, int)
    indices = [offset + place for place in element_offsets(sizes, strides)]
    driver.define(node.output, driver.registers.gather(native, indices, sizes))


def layout_arguments(driver: Driver, node: Node, operator: Operator) -> list[Any]:
    """Abstract arguments behind the tensor, checked where only the run tells; a runtime index counts from the front."""
    arguments = [abstract(value) for value in node.inputs[1:]]
    places = {argument.name: place for place, argument in enumerate(operator.schema.arguments[1:])}
    shape = tensor_type(node.inputs[0]).shape or ()
    if "index" in places:
        extent = shape[normalize_dim(arguments[0], len(shape))]
        index = arguments[places["index"]]
        if isinstance(index, Symbolic):
            arguments[places["index"]] = checked_index(driver, driver.scalar(node.inputs[1 + places["index"]]), extent)
        elif isinstance(extent, Symbolic):
            checked_index(driver, driver.b.constant("i64", index), extent)
    elif "length" in places:
        extent = shape[normalize_dim(arguments[0], len(shape))]
        start, length = arguments[places["start"]], arguments[places["length"]]
        require_at_most(driver, -extent, start)
        require_at_most(driver, start, extent)
        require_at_most(driver, 0, length)
        require_at_most(driver, from_end(start, extent) + length, extent)
    elif "dimension" in places and shape:
        require_at_most(driver, arguments[places["size"]], shape[normalize_dim(arguments[0], len(shape))])
    elif "step" in places:
        require_at_most(driver, 1, arguments[places["step"]])
    return arguments


def require_at_most(driver: Driver, small: Dim, large: Dim) -> None:
    """Leave the function unless small <= large; nothing where that is known."""
    if isinstance(small, int) and isinstance(large, int):
        return
    left, right = (emit_dim(driver.b, dim, driver.symbols) for dim in (small, large))
    driver.check(driver.b.icmp("sle", left, right))


def checked_index(driver: Driver, index: Value, extent: Dim) -> Dim:
    """A symbol for a run-time index into `extent` elements, after the check that Python makes."""
    limit = emit_dim(driver.b, extent, driver.symbols)
    normal = driver.b.select(driver.b.icmp("slt", index, 0), driver.b.add(index, limit), index)
    driver.check(driver.b.icmp("ult", normal, limit))
    named = fresh("i")
    driver.symbols[str(named)] = normal
    return named


def symbols_in(argument: Any) -> bool:
    """True when an abstract argument depends on the run."""
    if isinstance(argument, list | tuple):
        return any(map(symbols_in, argument))
    return isinstance(argument, Symbolic)
