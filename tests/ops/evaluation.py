"""Runs what declarations say, with numpy: graphs of operators through their references, lowerings by their meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, Symbolic, substitute, symbol
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import TensorType
from optc.ops.abstract import normalize_dims
from optc.ops.builder import Builder
from optc.ops.elementwise import element_expression, stored_type
from optc.ops.memory_formats import element_strides
from optc.ops.promotion import compute_type
from optc.ops.registry import Layout, Operator, Reduction, operator_of
from optc.ops.scalar import evaluate, variable

Bindings = dict[str, Dim]


def as_abstract(argument: Any, bindings: Bindings | None = None) -> Any:
    """The abstract value of an argument; with `bindings`, extents other than 1 become symbols bound there."""
    if isinstance(argument, np.ndarray):
        shape: tuple[Dim, ...] = argument.shape
        if bindings is not None:
            shape = tuple(dim if dim == 1 else _symbol_for(dim, bindings) for dim in argument.shape)
        return TensorType(dtypes.from_numpy(argument.dtype), shape)
    if isinstance(argument, list):
        return [as_abstract(item, bindings) for item in argument]
    return argument


def _symbol_for(extent: int, bindings: Bindings) -> Symbolic:
    """Equal extents share a symbol, as the entry point arranges when it specialises."""
    bindings[f"s{extent}"] = extent
    return symbol(f"s{extent}")


def run_decomposition(operator: Operator, arguments: Sequence[Any], bindings: Bindings | None = None) -> Any:
    """What the decomposition gives for these arguments, every operator in it computed by its reference."""
    graph = Graph()
    given: dict[Value, Any] = {}

    def pass_in(argument: Any) -> Any:
        if isinstance(argument, np.ndarray):
            value = graph.add_input(as_abstract(argument, bindings))
            given[value] = argument
            return value
        return [pass_in(item) for item in argument] if isinstance(argument, list) else argument

    passed = [pass_in(argument) for argument in arguments]
    result = operator.lowering.function(Builder(graph), *passed)  # type: ignore[union-attr]
    return _resolve(run_graph(graph, given, bindings or {}), result, bindings or {})


def _resolve(values: Mapping[Value, Any], result: Any, bindings: Bindings) -> Any:
    if isinstance(result, Value):
        return values[result]
    if isinstance(result, list | tuple):
        return type(result)(_resolve(values, item, bindings) for item in result)
    return substitute(result, bindings) if isinstance(result, Symbolic) else result


def run_graph(graph: Graph, given: Mapping[Value, Any], bindings: Bindings) -> dict[Value, Any]:
    """The value of everything in a graph."""
    values: dict[Value, Any] = dict(given)
    _run_block(graph.block, values, bindings)
    return values


def _run_block(block: Block, values: dict[Value, Any], bindings: Bindings) -> None:
    for node in block.nodes:
        inputs = [values[value] for value in node.inputs]
        if node.kind == "prim::Constant":
            values[node.output] = node.output.constant
        elif node.kind == "prim::ListConstruct":
            values[node.output] = inputs
        elif node.kind == "prim::Dim":
            values[node.output] = substitute(node.attributes["dim"], bindings)
        elif node.kind == "prim::RaiseException":
            raise RuntimeError(inputs[0])
        elif node.kind == "prim::If":
            _run_block(node.blocks[0 if inputs[0] else 1], values, bindings)
        elif node.kind == "prim::Loop":
            _run_loop(node, inputs, values, bindings)
        else:
            operator = operator_of(node)
            assert operator is not None, node
            result = operator.reference(*inputs)
            for output, item in zip(node.outputs, result if len(node.outputs) > 1 else (result,)):
                values[output] = item


def _run_loop(loop: Node, inputs: list[Any], values: dict[Value, Any], bindings: Bindings) -> None:
    """A loop that counts; its condition stays true."""
    body, carried = loop.blocks[0], inputs[2:]
    for turn in range(inputs[0]):
        values.update(zip(body.inputs, [turn, *carried]))
        _run_block(body, values, bindings)
        carried = [values[value] for value in body.outputs[1:]]
    values.update(zip(loop.outputs, carried))


def run_expression(operator: Operator, arguments: Sequence[Any], result: Any) -> Any:
    """A pointwise operator by its expression, evaluated with numpy."""
    known = [as_abstract(argument) for argument in arguments]
    target = stored_type(result if isinstance(result, bool | int | float) else as_abstract(result))
    expr = element_expression(operator, known, target)
    inputs = {place: argument for place, argument in enumerate(arguments) if isinstance(argument, np.ndarray)}
    value = np.asarray(evaluate(expr, inputs))
    if isinstance(result, np.ndarray):
        return np.broadcast_to(value, result.shape)
    return value.reshape(()).item()


def run_reduction(operator: Operator, arguments: Sequence[Any], result: np.ndarray[Any, Any]) -> Any:
    """A reduction element by element, as its declaration says."""
    lowering = operator.lowering
    assert isinstance(lowering, Reduction)
    x, positions = arguments[0], operator.schema.positions
    dims = arguments[positions["dim"]] if "dim" in positions else None
    axes = normalize_dims(dims, x.ndim)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    count = math.prod(x.shape[axis] for axis in axes)
    rows = x.transpose([*axes, *kept]).reshape(count, *(x.shape[axis] for axis in kept))
    target = dtypes.from_numpy(result.dtype)
    accumulation = lowering.accumulate(target)
    source = dtypes.from_numpy(x.dtype)
    prepared = lowering.prepare(variable(0, source).cast(compute_type(source))).cast(accumulation)
    combined = lowering.combine(variable(0, accumulation), variable(1, accumulation))
    total: Any = np.full(rows.shape[1:], lowering.identity(accumulation), accumulation.numpy)
    for row in rows:
        total = evaluate(combined, {0: total, 1: evaluate(prepared, {0: row})})
    return np.asarray(total).astype(target.numpy).reshape(result.shape)


def run_layout(operator: Operator, arguments: Sequence[Any]) -> Any:
    """A view of the first argument's storage, contiguous first where the layout needs it."""
    lowering = operator.lowering
    assert isinstance(lowering, Layout)
    x = arguments[0]
    for source in (x, x.copy(order="C")):
        found = lowering.function(source.shape, element_strides(source), 0, *arguments[1:])
        if found is not None:
            break
    else:
        raise RuntimeError("the view needs a copy that cannot be made")
    sizes, strides, offset = found
    storage = np.lib.stride_tricks.as_strided(source, (_span(source),), (source.itemsize,)) if source.size else source
    places = np.full(sizes, offset, np.int64)
    for axis, stride in enumerate(strides):
        shape = [1] * len(sizes)
        shape[axis] = -1
        places = places + (np.arange(sizes[axis]) * stride).reshape(shape)
    return np.asarray(storage[places]) if source.size else np.empty(sizes, x.dtype)


def _span(x: np.ndarray[Any, Any]) -> int:
    return 1 + sum((size - 1) * stride // x.itemsize for size, stride in zip(x.shape, x.strides))
