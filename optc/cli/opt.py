"""`optc opt`: passes on graph text."""

from __future__ import annotations

from optc.instruments import Verify, instruments_from_environment
from optc.ir.parser import parse_graph
from optc.ir.text import print_graph
from optc.ops.verify import verify
from optc.passes.pipelines import PASSES
from optc.pipeline import PassRecord, all_passes, named_pipelines, run


def optimize_text(
    text: str, passes: str, filename: str = "<graph>", verify_level: int = 1
) -> tuple[str, list[PassRecord]]:
    """Read a graph, run passes, print the graph with every detail; and what each pass did.

    Raises ParseError for the text, PipelineError for the passes, VerifyError for a graph that was or becomes invalid.
    """
    graph = parse_graph(text, filename=filename)
    verify(graph, form="captured")
    watching = [*instruments_from_environment(), Verify(verify_level)]
    records = run(graph, passes, watching)
    return print_graph(graph, sources=False, exact=True), records


def describe_passes() -> str:
    """Every pass with its sentence and options, and what the named pipelines stand for."""
    lines = [f"{len(PASSES)} passes:"]
    for item in all_passes():
        options = ", ".join(f"{name.replace('_', '-')}={value}" for name, value in item.options.items())
        name = item.name + (f" ({item.alias})" if item.alias else "") + (f" {{{options}}}" if options else "")
        lines.append(f"  {name}\n      {item.summary}")
    lines.append("\npipelines:")
    lines.extend(f"  {name}\n      {text}" for name, text in named_pipelines().items())
    return "\n".join(lines)
