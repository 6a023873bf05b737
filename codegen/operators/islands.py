"""`prim::Island` in native code: a call of Python, with the addresses of tensors that lie in native memory."""

from __future__ import annotations

from collections.abc import Sequence

from optc.codegen.driver.driver import Driver
from optc.codegen.driver.driver import as_word as scalar_word
from optc.codegen.driver.frame import KernelRecord, Unsupported, tensor_type
from optc.codegen.driver.island_code import IslandCode, IslandPart
from optc.codegen.entry.signature import Dim as EntryDim
from optc.codegen.entry.signature import InputSpec, Kind, OutputSpec
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.expression import is_native_tensor
from optc.codegen.kernels.native import MemoryTensor, Scalar, contiguous_strides, fits_registers
from optc.codegen.kernels.work import Work
from optc.codegen.llvm import Value
from optc.codegen.process import context_code as calling
from optc.codegen.process.context import ISLAND_FAILED
from optc.ir.dims import Dim, product, symbols
from optc.ir.graph import Graph, Node
from optc.ir.graph import Value as IRValue
from optc.ir.symbols import plain_symbol
from optc.ir.text import print_graph
from optc.ir.types import BOOL, FLOAT, IntType, TensorType
from optc.ops.effects import follows_memory, has_effects


def emit(driver: Driver, node: Node) -> None:
    """Pass arguments, let Python run the island, and take what it gives. Raises Unsupported."""
    code = _code(driver, node)
    driver.takes_blocks = True  # for results whose extents only Python knows
    number = len(driver.islands)
    driver.islands.append(code)
    if code.has_effects:
        address = calling.field_address(driver.entry, driver.context, "effects")
        driver.entry.store(driver.entry.constant("i64", 0), address, 8)
    places = {value: _place(driver, value) for value in node.outputs}
    arguments = [word for value in node.inputs for word in _argument(driver, value)]
    results = [word for value in node.outputs for word in _result(driver, value, places[value])]
    b = driver.b
    words = b.alloca("i64", max(1, len(arguments) + len(results)), 8)
    for place, word in enumerate([*arguments, *results]):
        if word is not None:
            b.store(word, b.gep("i64", words, place), 8)
    name = f"island_{number}"
    operators = [part.operator for part in code.parts]
    with driver.timed(name, operators, lambda: Work(0, _bytes(driver, node))):
        failed = calling.call_island(b, driver.context, number, words)
    with b.if_then(b.icmp("ne", failed, 0), likely=False):
        driver.leave(ISLAND_FAILED)
    place = len(arguments)
    for value in node.outputs:
        _take(driver, value, places[value], b.gep("i64", words, place))
        place += _word_count(value)
    notes = [f"{part.operator} runs in the interpreter: {part.reason}" for part in code.parts]
    driver.kernels.append(KernelRecord(name, operators, print_graph(code.graph), notes))


# Arguments -----------------------------------------------------------------------------------------------------------


def _argument(driver: Driver, value: IRValue) -> list[Value]:
    """The words of an argument."""
    if not is_native_tensor(value.type):
        return [scalar_word(driver.b, driver.scalar(value))]
    memory = driver.in_memory(value)
    size = memory.dtype.itemsize
    dims: list[Dim] = [*memory.shape, *(stride * size for stride in memory.strides)]
    return [memory.pointer, *(emit_dim(driver.b, dim, driver.symbols) for dim in dims)]


# Results -------------------------------------------------------------------------------------------------------------


def _word_count(value: IRValue) -> int:
    return 1 + (len(tensor_type(value).shape or ()) if is_native_tensor(value.type) else 0)


def _place(driver: Driver, value: IRValue) -> MemoryTensor | None:
    """The memory for a result whose extents are known before the island runs; None for others and for numbers."""
    if not is_native_tensor(value.type):
        return None
    type_ = tensor_type(value)
    assert type_.dtype is not None and type_.shape is not None
    if any(symbols(dim) - driver.symbols.keys() for dim in type_.shape):
        return None
    if fits_registers(type_):
        pointer = driver.b.alloca("i8", max(1, _elements(type_)) * type_.dtype.itemsize, 64)
        return MemoryTensor(type_.dtype, pointer, type_.shape, contiguous_strides(type_.shape))
    return driver.allocate(value)


def _elements(type_: TensorType) -> int:
    count = product(type_.shape or ())
    assert isinstance(count, int)
    return count


def _result(driver: Driver, value: IRValue, memory: MemoryTensor | None) -> Sequence[Value | None]:
    """The words of a result before the island runs: where to put it; None for words that need not be set."""
    if not is_native_tensor(value.type):
        return [None]
    if memory is None:
        return [driver.b.constant("ptr", 0), *[None] * (_word_count(value) - 1)]
    return [memory.pointer, *(emit_dim(driver.b, dim, driver.symbols) for dim in memory.shape)]


def _take(driver: Driver, value: IRValue, memory: MemoryTensor | None, words: Value) -> None:
    """Define a result from its words."""
    b = driver.b
    if not is_native_tensor(value.type):
        driver.define(value, Scalar(_scalar(driver, value, words)))
        return
    type_ = tensor_type(value)
    if memory is not None:
        driver.define(value, driver.loaded(memory) if fits_registers(type_) else memory)
        return
    assert type_.dtype is not None and type_.shape is not None
    pointer = b.load("ptr", words, 8)
    for place, dim in enumerate(type_.shape):
        if not symbols(dim) - driver.symbols.keys():
            continue
        name = plain_symbol(dim)
        if name is None:
            raise Unsupported(value.node, f"the extent {dim} is not known where it is needed")
        driver.symbols[name] = b.load("i64", b.gep("i64", words, 1 + place), 8)
    driver.adopt_block(value, pointer)
    driver.define(value, MemoryTensor(type_.dtype, pointer, type_.shape, contiguous_strides(type_.shape)))


def _scalar(driver: Driver, value: IRValue, word: Value) -> Value:
    if value.type is FLOAT:
        return driver.b.load("double", word, 8)
    loaded = driver.b.load("i64", word, 8)
    return driver.b.icmp("ne", loaded, 0) if value.type is BOOL else loaded


def _bytes(driver: Driver, node: Node) -> Dim:
    """What the island reads and writes, as far as that is known before it runs."""
    total: Dim = 0
    for value in (*node.inputs, *node.outputs):
        if isinstance(value.type, TensorType) and value.type.dtype is not None:
            count = product(value.type.shape or ())
            total = total if symbols(count) - driver.symbols.keys() else total + count * value.type.dtype.itemsize
    return total


# What Python has to know ---------------------------------------------------------------------------------------------


def _code(driver: Driver, node: Node) -> IslandCode:
    body: Graph = node.attributes["Subgraph"]
    inputs = tuple(InputSpec(*_spec(value)) for value in node.inputs)
    outputs = tuple(OutputSpec(*_spec(value)) for value in node.outputs)
    parts = tuple(IslandPart(*part) for part in node.attributes["parts"])
    return IslandCode(body, inputs, outputs, parts, has_effects(node), any(map(follows_memory, body.walk())))


def _spec(value: IRValue) -> tuple[Kind, str, tuple[EntryDim, ...]]:
    """Kind, element type and dimensions of what is handed over."""
    type_ = value.type
    if is_native_tensor(type_):
        tensor = tensor_type(value)
        assert tensor.dtype is not None and tensor.shape is not None
        return "tensor", tensor.dtype.name, tuple(dim if isinstance(dim, int) else str(dim) for dim in tensor.shape)
    if isinstance(type_, IntType):
        return "int", "", ()
    return ("float" if type_ is FLOAT else "bool" if type_ is BOOL else "object"), "", ()
