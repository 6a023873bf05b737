"""Gives a function's graph a `self` it does not use, so that it can be the method of a class."""

from __future__ import annotations

from optc.ir.function import ClassType, Function
from optc.ir.graph import Graph, Value, copy_node
from optc.ir.schema import Argument, FunctionSchema


def add_method(class_: ClassType, name: str, graph: Graph, schema: FunctionSchema) -> Function:
    """Make `graph`, whose inputs are the arguments of `schema`, the method `name` of a class. The graph is copied."""
    body = Graph()
    body.add_input(class_, "self")
    values: dict[Value, Value] = {value: body.add_input(value.type, value.name) for value in graph.inputs}
    for node in graph.nodes:
        body.block.append(copy_node(node, body, values))
    for value in graph.outputs:
        body.add_output(values[value])
    arguments = (Argument("self", class_), *schema.arguments)
    method = Function(f"{class_.name}.{name}", FunctionSchema(name, "", arguments, schema.returns), body)
    class_.methods[name] = method
    return method
