"""What Python has to know of an island: its graph, and how arguments and results lie in the words that native code passes.

Words are i64, value after value, arguments first. An argument that is a tensor: its address, its extents, its strides
in bytes. A result that is a tensor: its address and its extents; address 0 asks for memory of that context, to be
filled in with the extents. A number is one word, as `optc.codegen.process.context` says. An object that only Python holds is one word: its
place in `Context.objects`.
"""

from __future__ import annotations

from typing import Any

from optc.codegen.entry.signature import InputSpec, OutputSpec
from optc.dataclass import dataclass
from optc.errors import ParseError
from optc.ir.function import ScriptObject
from optc.ir.graph import Graph, Node


@dataclass(frozen=True)
class IslandPart:
    """An operator that an island exists for: what, why, and where it stands in the user's source."""

    operator: str
    reason: str
    source: str


@dataclass(eq=False)
class IslandCode:
    """One island of a program. The dimensions of results are known before the island runs where they are numbers."""

    graph: Graph
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    parts: tuple[IslandPart, ...]
    has_effects: bool = False
    follows_memory: bool = False
    """What it computes depends on the order of elements in the arguments' memory."""

    def __getstate__(self) -> dict[str, Any]:
        """The graph as its text. Raises TypeError for a graph that its text does not tell all of."""
        from optc.ir.text import HIDDEN_ATTRIBUTES, print_graph  # only programs with islands pay for it

        links = frozenset(HIDDEN_ATTRIBUTES) - {"Subgraph"}
        if any(node.attributes.keys() & links or _holds_object(node) for node in self.graph.walk()):
            raise TypeError("the island refers to other parts of the program")
        text = print_graph(self.graph, exact=True)
        if not _reads_back(text):
            raise TypeError("the island's graph has no text")
        return {**vars(self), "graph": text}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from optc.ir.parser import parse_graph

        vars(self).update(state, graph=parse_graph(state["graph"]))


def _reads_back(text: str) -> bool:
    """True for the text of a graph that gives the same graph; tensors of types without arithmetic have no such text."""
    from optc.ir.parser import parse_graph
    from optc.ir.text import print_graph

    try:
        return print_graph(parse_graph(text), exact=True) == text
    except ParseError:
        return False


def _holds_object(node: Node) -> bool:
    return node.kind == "prim::Constant" and isinstance(node.attributes.get("value"), ScriptObject)
