"""What `freeze` does before it asks what is written: batch and instance norms in training mode write their running
statistics.

    y = batch_norm(x, w, b, mean, variance, True, 0.1)   =>   mean.copy_(RunningMean(x, mean, 0.1))
                                                              variance.copy_(RunningVariance(x, variance, 0.1))
                                                              y = batch_norm(x, w, b, None, None, True, 0.1)

The operators' schemas say nothing of it, in PyTorch neither, but for two.
"""

from __future__ import annotations

from optc.ir.graph import Graph, Node, Value
from optc.ir.types import BOOL, NONE, TENSOR
from optc.ops.registry import operator_of

_BATCH = {"running_mean": "prim::RunningMean", "running_var": "prim::RunningVariance"}
_WRITTEN = {
    "aten::batch_norm": _BATCH,
    "aten::native_batch_norm": _BATCH,
    "aten::_native_batch_norm_legit": _BATCH,
    "aten::_batch_norm_with_update": _BATCH,
    "aten::instance_norm": {"running_mean": "prim::RunningMean", "running_var": "prim::RunningInstanceVariance"},
}


def write_running_statistics(graph: Graph) -> bool:
    """Spell out what batch and instance norms in training mode write."""
    found = [node for node in graph.walk() if node.kind in _WRITTEN and _updates(node)]
    for node in found:
        _spell_out(graph, node)
    return bool(found)


def _arguments(node: Node) -> dict[str, Value]:
    operator = operator_of(node)
    assert operator is not None
    return {argument.name: value for argument, value in zip(operator.schema.arguments, node.inputs)}


def _updates(node: Node) -> bool:
    """True for a norm that certainly updates statistics."""
    given = _arguments(node)
    training = given.get("training", given.get("use_input_stats"))
    is_certain = training is None or (training.is_constant and training.constant is True)
    return is_certain and any(_is_there(given[name]) for name in ("running_mean", "running_var") if name in given)


def _is_there(value: Value) -> bool:
    return value.type is not NONE and not (value.is_constant and value.constant is None)


def _spell_out(graph: Graph, node: Node) -> None:
    given = _arguments(node)
    with graph.replacing(node):
        nothing = graph.insert_constant(None, NONE)
        for name, kind in _WRITTEN[node.kind].items():
            running = given[name]
            if not _is_there(running):
                continue
            new = graph.insert(kind, [given["input"], running, given["momentum"]], (TENSOR,), overload="").output
            graph.insert("aten::copy_", [running, new, graph.insert_constant(False, BOOL)], (TENSOR,), overload="")
            node.set_input(list(given).index(name), nothing)
