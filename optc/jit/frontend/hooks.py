"""Forward hooks and pre-hooks: compiled functions that run around a module's `forward` when the module is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from optc.errors import SourceRange
from optc.ir.function import ClassType, Function
from optc.ir.graph import Graph, Value
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import NONE, TupleType
from optc.jit.frontend.simple import MethodValue, SimpleValue
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import Arguments, NamedValue
from optc.jit.value_names import ValueNames

if TYPE_CHECKING:
    from optc.jit.frontend.writer import GraphWriter


def call_with_hooks(
    writer: GraphWriter,
    source: SourceRange | None,
    module: Value,
    args: Arguments,
    forward: Callable[[Arguments], SugaredValue],
) -> SugaredValue:
    """`forward(args)` between the hooks of the module's class: they may replace the arguments and the result."""
    type_ = module.type
    assert isinstance(type_, ClassType)
    if not type_.is_hooked:
        return forward(args)
    inputs = writer.make_tuple([arg.materialize(writer.graph) for arg in args])
    if type_.forward_pre_hooks:
        for hook in type_.forward_pre_hooks:
            returned = writer.call_compiled(hook, [module, inputs], source)
            if returned.type is not NONE:
                inputs = returned if isinstance(returned.type, TupleType) else writer.make_tuple([returned])
        if args:
            args = [NamedValue(value) for value in writer.unpack(inputs)]
    result = forward(args)
    if not type_.forward_hooks:
        return result
    output = result.as_value(writer, source)
    for hook in type_.forward_hooks:
        returned = writer.call_compiled(hook, [module, inputs, output], source)
        output = output if returned.type is NONE else returned
    return SimpleValue(output)


def function_with_hooks(forward: Function, class_: ClassType) -> Function:
    """What calling a module of a class with hooks does: its `forward`, and the hooks around it."""
    # Imported here because writing graphs needs sugared values, of which modules, and so hooks, are some.
    from optc.jit.frontend.writer import GraphWriter

    graph = Graph()
    called = Function(forward.name, graph=graph)
    writer = GraphWriter(called, graph, ValueNames())
    inputs = [graph.add_input(value.type, value.name) for value in forward.graph.inputs]
    module, *arguments = inputs
    method = MethodValue(module, [forward.base_name])
    result = call_with_hooks(
        writer, None, module, list(map(NamedValue, arguments)), lambda args: method.call(writer, None, args, [])
    ).as_value(writer, None)
    graph.add_output(result)
    called.schema = FunctionSchema(forward.base_name, "", forward.schema.arguments, (Argument("", result.type),))
    return called
