"""Checks a trace: it is run beside the function it was made from, and made a second time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.eager import gradient
from optc.eager.tensor import Tensor
from optc.ir.graph import Graph, Node
from optc.ir.text import print_node
from optc.ir.types import unrefined
from optc.jit.inlined_graphs import inlined
from optc.jit.trace_frames import warn_user
from optc.ops.registry import operator_of

_ABSOLUTE_TOLERANCE = {"float32": 1e-5, "float64": 1e-7, "float16": 1e-5, "bfloat16": 1e-5}


class TracingCheckError(Exception):
    """A trace that is not the same when it is made again, or that fails where the function does not."""

    def __init__(
        self, graph_diff_error: str | None, tensor_compare_error: str | None, extra_msg: str | None = None
    ) -> None:
        self.message = "Tracing failed sanity checks!\n"
        if extra_msg is not None:
            self.message += extra_msg + "\n"
        if graph_diff_error is not None:
            self.message += "ERROR: Graphs differed across invocations!\n" + indent(graph_diff_error) + "\n"
        if tensor_compare_error is not None:
            self.message += (
                "ERROR: Tensor-valued Constant nodes differed in value across invocations. This often indicates that the "
                "tracer has encountered untraceable code.\n" + indent(tensor_compare_error) + "\n"
            )
        super().__init__(self.message)


def indent(text: str) -> str:
    """The text with every line moved right by a tab."""
    return "\n".join("\t" + line for line in text.splitlines())


def check_trace_of(
    traced: Any,
    function: Callable[..., Any],
    trace_again: Callable[[Any], Any],
    inputs: Any,
    tolerance: float,
) -> None:
    """Compare a trace with its function and with a second trace, on the given inputs.

    Results that differ are warned about (TracerWarning); TracingCheckError for graphs that differ and for failures.
    """
    with gradient.no_grad():
        again = trace_again(cloned(inputs))
        check = _Check(traced, again, tolerance)
        check.run(function, inputs)


class _Check:
    def __init__(self, traced: Any, again: Any, tolerance: float) -> None:
        self.traced = traced
        self.again = again
        self.tolerance = tolerance
        self.warned = False

    def run(self, function: Callable[..., Any], inputs: Any) -> None:
        traced_results = self._results(self.traced, inputs, "trace")
        results = self._results(function, inputs, "Python function")
        if self._compare(traced_results, results, "Python function"):
            self._compare(traced_results, self._results(self.again, inputs, "repeated trace"), "repeated trace")
        differences = self._graph_differences()
        if any(text is not None for text in differences):
            raise TracingCheckError(*differences)

    def _results(self, function: Callable[..., Any], inputs: Any, what: str) -> list[Tensor]:
        try:
            given = cloned(inputs)
            returned = function(**given) if isinstance(given, dict) else function(*given)
        except Exception as error:
            message = (
                f"encountered an exception while running the {what} with test inputs.\nException:\n{indent(str(error))}"
            )
            raise TracingCheckError(*self._graph_differences(), extra_msg=message) from error
        returned = returned if isinstance(returned, tuple) else (returned,)
        return [item for item in returned if isinstance(item, Tensor)]

    def _compare(self, results: list[Tensor], references: list[Tensor], what: str) -> bool:
        all_close = True
        for number, (result, reference) in enumerate(zip(results, references), 1):
            absolute = _ABSOLUTE_TOLERANCE.get(result.dtype.name, 0.0)
            report = difference_report(result._array, reference._array, self.tolerance, absolute)
            if report is None:
                continue
            self._warn_of_randomness()
            warn_user(
                f"Output nr {number}. of the traced function does not match the corresponding output of the {what}. "
                f"Detailed error:\n{report}"
            )
            all_close = False
        return all_close

    def _warn_of_randomness(self) -> None:
        if self.warned:
            return
        self.warned = True
        random = [node for node in self.traced.graph.nodes if _is_random(node)]
        if random:
            shown = "\n".join(indent(print_node(node)) for node in random[:20])
            warn_user(
                "Trace had nondeterministic nodes. Did you forget call .eval() on your model? Nodes:\n"
                f"{shown}\nThis may cause errors in trace checking. To disable trace checking, pass check_trace=False "
                "to torch.jit.trace()"
            )

    def _graph_differences(self) -> tuple[str | None, str | None]:
        graphs = [_comparable(compiled.graph) for compiled in (self.traced, self.again)]
        return _text_difference(*graphs), _constant_difference(*graphs)


def _is_random(node: Node) -> bool:
    operator = operator_of(node)
    return operator is not None and operator.random


def cloned(item: Any) -> Any:
    """Copies of all tensors in tuples, lists and dictionaries, so that in-place operators do no harm."""
    if isinstance(item, Tensor):
        copied = Tensor.__new__(Tensor)
        copied._array, copied._gradient = item._array.copy(order="K"), item._gradient
        return copied
    if isinstance(item, dict):
        return {key: cloned(value) for key, value in item.items()}
    if isinstance(item, tuple | list):
        return type(item)(map(cloned, item))
    return item


def _comparable(graph: Graph) -> Graph:
    """The inlined graph without value names and shapes: what two traces of the same function share."""
    plain = inlined(graph)
    for block in plain.blocks():
        for node in (block.param_node, *block.nodes):
            for value in node.outputs:
                value.name = ""
                value.type = unrefined(value.type)
    return plain


def _unmangled(text: str) -> str:
    return re.sub(r"___torch_mangle_[0-9]+\.", "", text)


def _text_difference(graph: Graph, other: Graph) -> str | None:
    text, other_text = _unmangled(str(graph)), _unmangled(str(other))
    if text == other_text:
        return None
    lines = difflib.ndiff(text.splitlines(True), other_text.splitlines(True))
    report = "Graph diff:\n" + indent("".join(lines)) + "\n"
    for node, twin in zip(graph.nodes, other.nodes):
        shown, twin_shown = _unmangled(print_node(node)), _unmangled(print_node(twin))
        if shown == twin_shown:
            continue
        difference = difflib.ndiff([shown + "\n"], [twin_shown + "\n"])
        report += "First diverging operator:\nNode diff:\n" + indent("".join(difference)) + "\n"
        for label, diverging in (("Trace", node), ("Check", twin)):
            if diverging.source is not None:
                report += f"{label} source location:\n{indent(diverging.source.text)}\n"
        break
    return report


def _constant_difference(graph: Graph, other: Graph) -> str | None:
    for node, twin in zip(graph.nodes, other.nodes):
        if node.kind != twin.kind:
            return None
        value, twin_value = node.attributes.get("value"), twin.attributes.get("value")
        if not isinstance(value, np.ndarray) or not isinstance(twin_value, np.ndarray):
            continue
        report = difference_report(value, twin_value, 1.3e-6, _ABSOLUTE_TOLERANCE.get(str(value.dtype), 0.0))
        if report is not None:
            source = f"Source Location:\n{indent(node.source.text)}\n" if node.source is not None else ""
            return f"Node:\n{indent(print_node(node))}\n{source}Comparison exception: {indent(report)}"
    return None


def difference_report(
    result: np.ndarray[Any, Any], reference: np.ndarray[Any, Any], relative: float, absolute: float
) -> str | None:
    """How far two arrays differ, in the words of PyTorch's assert_close; None when they are close enough."""
    if result.shape != reference.shape:
        return f"The values for attribute 'shape' do not match: {_shape(result)} != {_shape(reference)}."
    wide = np.complex128 if result.dtype.kind == "c" or reference.dtype.kind == "c" else np.float64
    left, right = result.astype(wide), reference.astype(wide)
    close = np.isclose(left, right, rtol=relative, atol=absolute, equal_nan=True)
    if close.all():
        return None
    with np.errstate(all="ignore"):
        distance = np.where(close, 0, np.abs(left - right))
        quotient = np.where(close, 0, distance / np.abs(right))
    if result.ndim == 0:
        return (
            f"Scalars are not {'equal' if relative == absolute == 0 else 'close'}!\n\nExpected {right[()]} but got "
            f"{left[()]}.\nAbsolute difference: {distance[()]} (up to {absolute} allowed)\n"
            f"Relative difference: {quotient[()]} (up to {relative} allowed)"
        )
    wrong = int((~close).sum())
    farthest = [np.unravel_index(int(np.argmax(each)), each.shape) for each in (distance, quotient)]
    at = [tuple(int(part) for part in index) for index in farthest]
    return (
        f"Tensor-likes are not close!\n\nMismatched elements: {wrong} / {close.size} ({wrong / close.size:.1%})\n"
        f"Greatest absolute difference: {distance[farthest[0]]} at index {at[0]} (up to {absolute} allowed)\n"
        f"Greatest relative difference: {quotient[farthest[1]]} at index {at[1]} (up to {relative} allowed)"
    )


def _shape(array: np.ndarray[Any, Any]) -> str:
    return f"torch.Size([{', '.join(map(str, array.shape))}])"
