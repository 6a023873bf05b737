"""From a core graph to something one can call: code, constants, contexts, and the signature of the entry."""

from __future__ import annotations

import time

import numpy as np

from optc.codegen.driver.driver import Driver, is_taken
from optc.codegen.driver.frame import Unsupported
from optc.codegen.entry.calculation import extent_from
from optc.codegen.entry.signature import Constant, Dim, InputSpec, OutputSpec, OutputTree, Passthrough, Signature
from optc.codegen.estimate import graph_operations
from optc.codegen.kernels.expression import is_exchanged, is_native_tensor
from optc.codegen.kernels.splitting import scaled
from optc.codegen.machine import jit
from optc.codegen.machine.host import Target
from optc.codegen.native_program import NativeProgram
from optc.codegen.operators.emitters import HANDLERS
from optc.ir import types
from optc.ir.bounds import assuming, turns_of
from optc.ir.dims import Dim as IRDim
from optc.ir.graph import Graph, Value
from optc.ir.symbols import plain_symbol
from optc.ir.types import IntType, ListType, TensorType
from optc.ops.complex_numbers import is_at_border


def generate(
    graph: Graph, target: Target | None = None, name: str = "graph", is_profiled: bool = False
) -> NativeProgram:
    """The code of a core graph, not yet compiled by LLVM. A profiled program measures its kernels (see `clock`).

    Raises Unsupported.
    """
    started = time.perf_counter()
    chosen = target or jit.host_target()
    signature = signature_of(graph)
    with assuming(turns_of(graph)):
        code = Driver(graph, chosen, name, HANDLERS, is_profiled).compile()
    texts = {module_name: str(module) for module_name, module in code.modules.items()}
    program = NativeProgram(
        graph, chosen, signature, code.symbol, texts, code.kernels, code.constants, code.arena_bytes
    )
    program.clock, program.sites, program.islands = code.clock, tuple(code.sites), tuple(code.islands)
    program.draws, program.follows_memory = code.draws, code.follows_memory
    program.operations = graph_operations(graph) * scaled(1, chosen)
    program.seconds["codegen"] = time.perf_counter() - started
    return program


def signature_of(graph: Graph) -> Signature:
    """What the code takes and gives, leaf by leaf. Raises Unsupported for types that have no native form."""
    inputs = tuple(map(_input, graph.inputs))
    known = {dim for spec in inputs for dim in spec.dims if isinstance(dim, str)}
    return Signature(inputs, tuple(_output(value, graph, known) for value in graph.outputs))


def _dims(shape: tuple[IRDim, ...]) -> tuple[Dim, ...]:
    return tuple(dim if isinstance(dim, int) else plain_symbol(dim) for dim in shape)


def _input(value: Value) -> InputSpec:
    type_ = value.type
    if isinstance(type_, TensorType) and type_.dtype is not None and type_.shape is not None and is_taken(value):
        return InputSpec("tensor", type_.dtype.name, _dims(type_.shape))
    if isinstance(type_, IntType):
        return InputSpec("int")
    if type_ is types.FLOAT:
        return InputSpec("float")
    if type_ is types.BOOL:
        return InputSpec("bool")
    for use in value.uses:
        if use.node.kind not in ("prim::Island", "prim::Return"):
            raise Unsupported(use.node, f"an argument of type {type_}")
    return InputSpec("object")


def _output(value: Value, graph: Graph, known: set[str]) -> OutputTree:
    if value.is_constant and not isinstance(value.constant, np.ndarray):
        return Constant(value.constant)
    if value in graph.inputs and is_exchanged(value.type):
        return Passthrough(graph.inputs.index(value))
    type_ = value.type
    is_given = is_native_tensor(type_) or is_at_border(value.node)
    if isinstance(type_, TensorType) and type_.dtype is not None and type_.shape is not None and is_given:
        return OutputSpec("tensor", type_.dtype.name, tuple(extent_from(dim, known) for dim in type_.shape))
    if isinstance(type_, IntType):
        return OutputSpec("int")
    if type_ in (types.FLOAT, types.BOOL):
        return OutputSpec("float" if type_ is types.FLOAT else "bool")
    if value.node.kind == "prim::Island" or value in graph.inputs:
        return OutputSpec("object")
    described = "a list whose length is only known at run time" if isinstance(type_, ListType) else str(type_)
    raise Unsupported(value.node, f"a result of type {described}")
