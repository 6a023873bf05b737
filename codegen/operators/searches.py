"""Binary searches: for every element, where it lies among numbers in order."""

from __future__ import annotations

from optc.codegen.driver.copies import nest, place_of
from optc.codegen.driver.driver import Driver
from optc.codegen.kernels.emitter import emit_dim
from optc.codegen.kernels.kernel import (
    Assign,
    Buffer,
    Define,
    Kernel,
    Loop,
    Statement,
    Store,
    at,
    index_value,
    load,
    local,
)
from optc.ir import dtypes
from optc.ir.dims import Dim, fresh, symbols
from optc.ir.graph import Node
from optc.ir.symbols import plain_symbol
from optc.ops.abstract import abstract
from optc.ops.promotion import compute_type
from optc.ops.registry import Operator
from optc.ops.scalar import literal, select


def sorted_places(driver: Driver, node: Node, operator: Operator) -> None:
    """As many halvings as the number of boundaries has binary digits leave one place."""
    boundaries, values = driver.contiguous(node.inputs[0]), driver.in_memory(node.inputs[1])
    right = abstract(node.inputs[2])
    result = driver.allocate(node.output)
    extent, lead = boundaries.shape[-1], boundaries.strides[:-1]
    work = compute_type(boundaries.dtype)
    among, given = Buffer("boundaries", boundaries.dtype, "input"), Buffer("values", values.dtype, "input")
    low, high, middle = (local(name, dtypes.INT64) for name in ("low", "high", "middle"))
    value = local("value", work)
    inside = select(middle < index_value(extent), middle, index_value(extent - 1))
    found = at(among, inside, place_of(lead)).cast(work)
    behind = found > value if right else found >= value
    narrow, further = local("narrow", dtypes.BOOL), local("further", dtypes.BOOL)
    halving: tuple[Statement, ...] = (
        Define("middle", (low + high) >> 1),
        Define("narrow", low < high),
        Define("further", narrow & ~behind),
        Assign("high", select(narrow & ~further, middle, high)),
        Assign("low", select(further, middle + 1, low)),
    )
    turn: tuple[Statement, ...] = (
        Define("value", load(given, place_of(values.strides)).cast(work)),
        Define("low", literal(0, dtypes.INT64)),
        Define("high", index_value(extent)),
        Loop("step", 0, _halvings(driver, extent), 1, halving),
        Store("out0", place_of(result.strides), low),
    )
    body = nest(values.shape, turn, lanes=False)
    steps = {name for loop in turn if isinstance(loop, Loop) for name in symbols(loop.stop)}
    names = {name for dim in (extent, *values.shape, *values.strides, *result.strides, *lead) for name in symbols(dim)}
    kernel = Kernel(
        "kernel", (among, given, Buffer("out0", result.dtype, "output")), tuple(sorted(names | steps)), body
    )
    driver.call_kernel(kernel, [boundaries.pointer, values.pointer, result.pointer], [node.kind])
    driver.define(node.output, result)


def _halvings(driver: Driver, extent: Dim) -> Dim:
    """The number of binary digits of an extent; computed by the program where only running tells."""
    if isinstance(extent, int):
        return extent.bit_length()
    steps = fresh()
    name = plain_symbol(steps)
    assert name is not None
    number = emit_dim(driver.b, extent, driver.symbols)
    zeros = driver.b.intrinsic("ctlz", "i64", number, driver.b.constant("i1", 0), overload=("i64",))
    driver.symbols[name] = driver.b.sub(64, zeros)
    return steps
