"""`optc.jit.freeze`: a module whose methods are inlined and whose attributes have become constants of its graphs."""

from __future__ import annotations

from collections.abc import Sequence

from optc.errors import UnsupportedError
from optc.ir.function import ClassAttribute, ClassType, ScriptObject
from optc.ir.inline import inline_calls
from optc.jit.names import NAMES
from optc.jit.receivers import add_method
from optc.passes.freeze import freeze
from optc.pipeline import Context


def frozen_object(module: ScriptObject, preserved: Sequence[str]) -> ScriptObject:
    """A new object with `forward` and the preserved methods, frozen, and the preserved attributes as they are.

    Raises UnsupportedError for methods that change attributes of the module.
    """
    type_ = module.type
    result = ScriptObject(ClassType(NAMES.claim(type_.name), is_module=True))
    names = [name for name in ("forward", *preserved) if name in type_.methods]
    for name in preserved:
        if name in type_.attributes:
            attribute = type_.attributes[name]
            result.type.attributes[name] = ClassAttribute(attribute.type, attribute.is_parameter, attribute.is_buffer)
            result.values[name] = module.values[name]
        elif name not in names:
            raise RuntimeError(f"Module does not have a method or an attribute named '{name}'")
    for name in dict.fromkeys(names):
        _add_frozen_method(module, result, name)
    return result


def _add_frozen_method(module: ScriptObject, result: ScriptObject, name: str) -> None:
    method = module.type.methods[name]
    graph = method.graph.copy()
    inline_calls(graph)
    context = Context(module)
    freeze(graph, context=context)
    if context.slots:
        changed = ", ".join(sorted({slot.name for slot in context.slots}))
        raise UnsupportedError(f"{name} changes attributes of the module ({changed}): it cannot be frozen")
    schema = method.schema
    own = type(schema)(name, "", schema.arguments[1:], schema.returns)
    if graph.inputs and graph.inputs[0].type is module.type:
        raise UnsupportedError(f"{name} still uses the module as an object: it cannot be frozen")
    add_method(result.type, name, graph, own)
