"""The pass `inline`."""

from __future__ import annotations

from optc.ir.function import ClassType
from optc.ir.graph import Graph, Node, Value
from optc.ir.inline import inline_calls
from optc.ir.types import BOOL, NONE, STRING, unrefined
from optc.ops.values import AUTOCAST, AUTOCAST_REFUSED
from optc.passes.chosen_modules import call_chosen_modules
from optc.passes.forks import run_forks
from optc.pipeline import graph_pass


@graph_pass("inline")
def inline(graph: Graph) -> bool:
    """Replace calls of functions, methods and submodules by their bodies, what `with` calls and forks run likewise."""
    changed = False
    while call_context_methods(graph) or run_forks(graph) or call_chosen_modules(graph) or inline_calls(graph):
        changed = True
    if changed:
        erase_types(graph)
    return changed


def call_context_methods(graph: Graph) -> bool:
    """Write `__enter__` and `__exit__` as the calls they are.

    When the body of a `with` fails, the program runs once more in the interpreter, which leaves the object then.
    """
    found = [node for node in graph.walk() if node.kind in ("prim::Enter", "prim::Exit") and _is_of_script(node)]
    for node in found:
        with graph.replacing(node):
            if node.kind == "prim::Enter" and node.inputs[0].type.annotation in AUTOCAST:
                refuse_autocast(graph, node.inputs[0])
            leaves = node.kind == "prim::Exit"
            nothing = [graph.insert_constant(None, NONE) for _ in range(3 if leaves else 0)]
            method = {"name": "__exit__" if leaves else "__enter__"}
            call = graph.insert("prim::CallMethod", [node.inputs[0], *nothing], [node.output.type], method)
        node.output.replace_all_uses_with(call.output)
        node.destroy()
    return bool(found)


def refuse_autocast(graph: Graph, context: Value) -> None:
    """Raise where the program enters `autocast` for the CPU, which would compute in another type."""
    is_enabled = graph.insert("prim::GetAttr", (context,), (BOOL,), {"name": "_enabled"}).output
    device = graph.insert("prim::GetAttr", (context,), (STRING,), {"name": "device"}).output
    is_cpu = graph.insert("aten::eq", (device, graph.insert_constant("cpu", STRING)), (BOOL,), overload="str").output
    both = graph.insert("aten::__and__", (is_enabled, is_cpu), (BOOL,), overload="bool").output
    guard = graph.insert("prim::If", (both,), ())
    refusing, _ = guard.add_block(), guard.add_block()
    with graph.inserting(refusing):
        texts = [graph.insert_constant(text, STRING) for text in (AUTOCAST_REFUSED, "builtins.RuntimeError")]
        graph.insert("prim::RaiseException", texts, ())


def _is_of_script(node: Node) -> bool:
    """True for objects of classes whose methods are known."""
    type_ = node.inputs[0].type
    return isinstance(type_, ClassType) and not type_.is_interface and "__enter__" in type_.methods


def erase_types(graph: Graph) -> None:
    """Forget the dimensions a trace has recorded: they are those of its example, not of this call."""
    for value in graph.values():
        if not value.is_constant and value.node is not graph.block.param_node:
            value.type = unrefined(value.type)
