"""Random numbers: calls of the functions that draw them, in the order of the program.

What the operators check, the code checks before it draws: a run that fails draws again in the interpreter, which says
what is wrong. The numbers of a tensor are drawn one after the other by one thread, as the generator gives them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from optc.codegen.driver.checks import require
from optc.codegen.driver.driver import Driver
from optc.codegen.driver.frame import KernelRecord, Unsupported, tensor_type
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.native import MemoryTensor, NoneValue, contiguous_strides, fits_registers
from optc.codegen.kernels.work import Work
from optc.codegen.llvm import Value
from optc.codegen.operators.random_numbers import Fill
from optc.codegen.operators.random_words import MODULE, words_module
from optc.codegen.process import context_code as calling
from optc.ir import dtypes
from optc.ir.dims import Dim, product
from optc.ir.dtypes import DType
from optc.ir.graph import Node
from optc.ops.effects import follows_memory
from optc.ops.registry import Operator
from optc.ops.scalar import variable

_SIGNIFICANDS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}

_LARGEST = {"float16": 65504.0, "bfloat16": 2.0**128 - 2.0**120, "float32": 2.0**128 - 2.0**104,
            "float64": float(np.finfo(np.float64).max)}  # fmt: skip
"""The largest number of a type."""

_WIDE = frozenset((dtypes.INT64, dtypes.FLOAT64, dtypes.FLOAT32, dtypes.BFLOAT16))
"""Types whose elements take 64 bits each where a range has 2^32 numbers or more."""


def uniform(driver: Driver, node: Node, operator: Operator) -> None:
    """Numbers of [from, to)."""
    low, high = _Arguments(driver, node, operator).doubles("from", "to")
    b = driver.b
    largest = _LARGEST[_floating(node).name]
    driver.check(b.fcmp("ule", low, high))
    driver.check(b.fcmp("ule", b.fsub(high, low), largest))
    _fill(driver, node, "uniform", [low, high])


def normal(driver: Driver, node: Node, operator: Operator) -> None:
    """Normal numbers."""
    _floating(node)
    mean, deviation = _Arguments(driver, node, operator).doubles("mean", "std")
    driver.check(driver.b.fcmp("uge", deviation, 0.0))
    _fill(driver, node, "normal", [mean, deviation])


def bernoulli(driver: Driver, node: Node, operator: Operator) -> None:
    """Ones of one probability, and zeros."""
    (probability,) = _Arguments(driver, node, operator).doubles("p")
    driver.check(driver.b.fcmp("oge", probability, 0.0))
    driver.check(driver.b.fcmp("ole", probability, 1.0))
    _fill(driver, node, "bernoulli", [probability])


def exponential(driver: Driver, node: Node, operator: Operator) -> None:
    """Exponential numbers."""
    _floating(node)
    (rate,) = _Arguments(driver, node, operator).doubles("lambd")
    driver.check(driver.b.fcmp("ogt", rate, 0.0))
    _fill(driver, node, "exponential", [rate])


def geometric(driver: Driver, node: Node, operator: Operator) -> None:
    """Numbers of trials."""
    (probability,) = _Arguments(driver, node, operator).doubles("p")
    driver.check(driver.b.fcmp("ogt", probability, 0.0))
    driver.check(driver.b.fcmp("olt", probability, 1.0))
    _fill(driver, node, "geometric", [probability])


def log_normal(driver: Driver, node: Node, operator: Operator) -> None:
    """Log-normal numbers."""
    _floating(node)
    mean, deviation = _Arguments(driver, node, operator).doubles("mean", "std")
    driver.check(driver.b.fcmp("ogt", deviation, 0.0))
    _fill(driver, node, "log_normal", [mean, deviation])


def cauchy(driver: Driver, node: Node, operator: Operator) -> None:
    """Cauchy numbers."""
    _floating(node)
    median, scale = _Arguments(driver, node, operator).doubles("median", "sigma")
    driver.check(driver.b.fcmp("ogt", scale, 0.0))
    _fill(driver, node, "cauchy", [median, scale])


def slopes(driver: Driver, node: Node, operator: Operator) -> None:
    """A number of [lower, upper) for every element that is not positive, else 1."""
    _floating(node)
    low, high = _Arguments(driver, node, operator).doubles("lower", "upper")
    source = driver.contiguous(node.inputs[0])
    _fill(driver, node, "slopes", [source.pointer, low, high])


def permutation(driver: Driver, node: Node, operator: Operator) -> None:
    """The numbers below n in any order."""
    type_ = tensor_type(node.output)
    if type_.dtype is None or type_.dtype.kind != "int":
        raise Unsupported(node, f"a permutation of type {type_}")
    arguments = _Arguments(driver, node, operator)
    count = driver.scalar(node.inputs[operator.schema.positions["n"]])
    driver.check(driver.b.icmp("ule", count, int(np.iinfo(type_.dtype.numpy).max)))
    arguments.require_default_generator()
    _fill(driver, node, "permutation", [])


def integers(driver: Driver, node: Node, operator: Operator) -> None:
    """Whole numbers of [from, to), of [0, to), or of all that the type has."""
    arguments = _Arguments(driver, node, operator)
    dtype = tensor_type(node.output).dtype
    b = driver.b
    assert dtype is not None
    if "to" not in arguments.positions:
        arguments.require_default_generator()
        numbers = [b.constant("i64", 0), b.constant("i64", _numbers_of(dtype))]
        is_wide = b.constant("i1", dtype in (dtypes.INT64, dtypes.FLOAT64))
        _fill(driver, node, "integers", [*numbers, is_wide])
        return
    if dtype.kind == "float":
        arguments.require_exact_bounds(dtype)
    low = arguments.integer("from") if "from" in arguments.positions else b.constant("i64", 0)
    smallest, largest = _bounds(dtype)
    last = b.sub(arguments.integer("to"), 1) if arguments.has("to") else b.constant("i64", largest)
    driver.check(b.icmp("sle", low, last))
    driver.check(b.icmp("sge", low, smallest))
    driver.check(b.icmp("sle", last, largest))
    count = b.add(b.sub(last, low), 1)  # 0 for all numbers of 64 bits, which words are as they come
    low = b.select(b.icmp("eq", count, 0), b.constant("i64", 0), low)
    is_large = b.or_(b.icmp("uge", count, 1 << 32), b.icmp("eq", count, 0))
    _fill(driver, node, "integers", [low, count, b.and_(b.constant("i1", dtype in _WIDE), is_large)])


def bernoulli_each(driver: Driver, node: Node, operator: Operator) -> None:
    """Ones of a probability each, and zeros."""
    arguments = _Arguments(driver, node, operator)
    arguments.require_default_generator()
    given = driver.in_memory(node.inputs[arguments.positions["p"]])
    shape = tensor_type(node.output).shape
    assert shape is not None
    probabilities = driver.without_gaps(_expanded(driver, given, shape))
    number = variable(0, probabilities.dtype).cast(dtypes.FLOAT64)
    require(driver, probabilities, (number >= 0.0) & (number <= 1.0), f"{node.kind} (probabilities)")
    _fill(driver, node, "bernoulli_each", [probabilities.pointer], probabilities.dtype)


def _expanded(driver: Driver, memory: MemoryTensor, shape: tuple[Dim, ...]) -> MemoryTensor:
    """A tensor read as one of a larger shape; leaves the function where an extent is neither 1 nor the same."""
    b, added = driver.b, len(shape) - len(memory.shape)
    strides: list[Dim] = [0] * added
    for extent, stride, wide in zip(memory.shape, memory.strides, shape[added:]):
        strides.append(0 if extent == 1 else stride)
        if extent not in (1, wide):
            driver.check(b.icmp("eq", *(emit_dim(b, dim, driver.symbols) for dim in (extent, wide))))
    return replace(memory, shape=shape, strides=tuple(strides))


class _Arguments:
    """The numbers that a node is given."""

    def __init__(self, driver: Driver, node: Node, operator: Operator) -> None:
        self.driver = driver
        self.node = node
        self.positions = operator.schema.positions

    def require_default_generator(self) -> None:
        """Raises Unsupported for a generator that the program names."""
        place = self.positions.get("generator")
        if place is not None and self.has("generator"):
            raise Unsupported(self.node, "it draws from a generator of its own")

    def doubles(self, *names: str) -> list[Value]:
        """Numbers as float64."""
        self.require_default_generator()
        values = [self.driver.scalar(self.node.inputs[self.positions[name]]) for name in names]
        return [value if value.type == "double" else self.driver.b.sitofp(value, "double") for value in values]

    def has(self, name: str) -> bool:
        """True unless it is None."""
        return not isinstance(self.driver.native(self.node.inputs[self.positions[name]]), NoneValue)

    def require_exact_bounds(self, dtype: DType) -> None:
        """Raises Unsupported unless every whole number between the bounds is known to be exact in a type of floats."""
        bounds = [self.node.inputs[self.positions[name]] for name in ("from", "to") if name in self.positions]
        limit = 2 ** _SIGNIFICANDS[dtype.name]
        for value in bounds:
            if not (value.is_constant and (value.constant is None or -limit <= value.constant <= limit)):
                raise Unsupported(self.node, f"its bounds may have to be rounded to {dtype.name}")

    def integer(self, name: str) -> Value:
        """A whole number."""
        self.require_default_generator()
        return self.driver.scalar(self.node.inputs[self.positions[name]])


def _floating(node: Node) -> DType:
    dtype = tensor_type(node.output).dtype
    if dtype is None or dtype.kind != "float":
        raise Unsupported(node, f"it draws numbers of type {dtype}")
    return dtype


def _numbers_of(dtype: DType) -> int:
    if dtype is dtypes.BOOL:
        return 2
    if dtype.kind == "float":
        return int(2 ** _SIGNIFICANDS[dtype.name]) + 1
    return int(np.iinfo(dtype.numpy).max) + 1


def _bounds(dtype: DType) -> tuple[int, int]:
    """The smallest and the largest whole number that may be drawn."""
    if dtype is dtypes.BOOL:
        return 0, 1
    if dtype.kind == "float":
        return -(2 ** _SIGNIFICANDS[dtype.name]), 2 ** _SIGNIFICANDS[dtype.name]
    limits = np.iinfo(dtype.numpy)
    return int(limits.min), int(limits.max)


# Calls ---------------------------------------------------------------------------------------------------------------


def _fill(driver: Driver, node: Node, distribution: str, arguments: Sequence[Value], read: DType | None = None) -> None:
    """Draw the elements of a new tensor."""
    if os.name != "posix":
        raise Unsupported(node, "there are no POSIX threads, whose locks draws need")
    begin_drawing(driver, node)
    type_ = tensor_type(node.output)
    assert type_.dtype is not None and type_.shape is not None
    memory = _memory(driver, node)
    fill = Fill(distribution, type_.dtype, read)
    for name, make in ((MODULE, words_module), (fill.name, fill.module)):
        if name not in driver.modules:
            driver.modules[name] = make()
    b, module = driver.b, driver.module
    count = emit_dim(b, product(type_.shape), driver.symbols)
    size = product(type_.shape) * type_.dtype.itemsize
    function = module.declare(fill.name, "void", [parameter.type for parameter in fill.parameters])
    with driver.timed(fill.name, [node.kind], lambda: Work(0, size)):
        state = b.call(module.declare("random_begin", "ptr", ["ptr"]), driver.context)
        b.call(function, state, memory.pointer, count, *arguments)
        b.call(module.declare("random_end", "void", ["ptr"]), state)
    driver.kernels.append(KernelRecord(fill.name, [node.kind], f"{fill.name}({product(type_.shape)} numbers)"))
    driver.define(node.output, driver.loaded(memory) if fits_registers(type_) else memory)


def begin_drawing(driver: Driver, node: Node) -> None:
    """Note that the code draws: at the start of a run, nothing has been drawn."""
    driver.follows_memory |= follows_memory(node)
    if not driver.draws:
        driver.draws = True
        address = calling.field_address(driver.entry, driver.context, "drawn")
        driver.entry.store(driver.entry.constant("i64", 0), address, 8)


def _memory(driver: Driver, node: Node) -> MemoryTensor:
    type_ = tensor_type(node.output)
    if not fits_registers(type_):
        return driver.allocate(node.output)
    count = product(type_.shape or ())
    assert isinstance(count, int) and type_.dtype is not None and type_.shape is not None
    pointer = driver.b.alloca("i8", count * type_.dtype.itemsize, 64)
    return MemoryTensor(type_.dtype, pointer, type_.shape, contiguous_strides(type_.shape))


def new_like(driver: Driver, node: Node, operator: Operator) -> None:
    """A tensor whose elements are drawn next."""
    memory = _memory(driver, node)
    driver.define(node.output, driver.loaded(memory) if fits_registers(tensor_type(node.output)) else memory)


KERNELS: dict[str, Callable[[Driver, Node, Operator], None]] = {
    "new_like": new_like,
    "draw_uniform": uniform,
    "draw_normal": normal,
    "draw_bernoulli": bernoulli,
    "draw_bernoulli_each": bernoulli_each,
    "draw_exponential": exponential,
    "draw_integers": integers,
    "draw_geometric": geometric,
    "draw_log_normal": log_normal,
    "draw_cauchy": cauchy,
    "draw_slopes": slopes,
    "draw_permutation": permutation,
}
