"""Prints graphs as PyTorch 2.13 prints them; `optc.ir.parser` reads the text back.

    graph(%x.1 : Tensor,
          %n.1 : int):
      %2 : int = prim::Constant[value=1]() # model.py:7:15
      %y.1 : Tensor = aten::add(%x.1, %n.1, %2) # model.py:7:11
      return (%y.1)

Values keep their names (a name that is taken gets a suffix `.N`); the others are numbered in the order of definition,
as torch does. Core graphs have no counterpart in torch: their dimensions may be symbols (`Float(s0, 4)`).

`exact=True` adds what torch leaves out, so that reading the text gives the same graph in every detail: overloads
(`aten::add.Tensor`, `aten::relu.default`), the dimension an int is known to be (`int(2*s0)`) and all elements of
tensor constants.

Some attributes are links into the program and are not part of the text: `function` (the `Function` that a
`prim::Constant` of type Function or the Python callable that a `prim::PythonOp` stands for).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.literals import attribute_text
from optc.ir.types import IntType, Type

HIDDEN_ATTRIBUTES = ("function", "Subgraph", "archive", "keywords")

_NUMBERED = re.compile(r"(.+?)\.(\d+)$")


def print_graph(graph: Graph, *, sources: bool = True, exact: bool = False) -> str:
    """The text of a graph. `sources=False` leaves out the `# file:line:column` at the ends of lines."""
    return _Printer(graph, sources, exact).text()


def print_node(node: Node, *, sources: bool = True) -> str:
    """The text of one node and its blocks, with the names the whole graph gives its values."""
    printer = _Printer(node.graph, sources, exact=False)
    printer.node(node, 0)
    return "\n".join(printer.lines)


def excerpt(node: Node, context: int = 5) -> str:
    """The lines of the graph's text around a node, the node's own marked with an arrow."""
    printer = _Printer(node.graph, sources=True, exact=True)
    lines = printer.text().splitlines()
    marked = printer.line_numbers.get(node, 0)
    first = max(0, marked - context)
    shown = enumerate(lines[first : marked + context + 1], first)
    return "\n".join(("--> " if number == marked else "    ") + line for number, line in shown)


def value_names(graph: Graph) -> dict[Value, str]:
    """The name of every value in the graph's text."""
    values = list(_values(graph.block))
    names: dict[Value, str] = {}
    taken: set[str] = set()
    for value in values:
        if value.name and (value.name not in taken or not value.name.isdigit()):
            names[value] = _unused(value.name, taken)
            taken.add(names[value])
    number = 0
    for position, value in enumerate(values):
        if value in names:
            continue
        number = max(number, position)
        while str(number) in taken:
            number += 1
        names[value] = str(number)
        number += 1
    return names


def _values(block: Block) -> Iterable[Value]:
    yield from block.inputs
    for node in block.nodes:
        yield from node.outputs
        for nested in node.blocks:
            yield from _values(nested)


def _unused(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    numbered = _NUMBERED.match(name)
    base, number = (numbered[1], int(numbered[2])) if numbered else (name, 0)
    while name in taken:
        number += 1
        name = f"{base}.{number}"
    return name


class _Printer:
    def __init__(self, graph: Graph, sources: bool, exact: bool) -> None:
        self.graph = graph
        self.sources = sources
        self.exact = exact
        self.names = value_names(graph)
        self.lines: list[str] = []
        self.line_numbers: dict[Node, int] = {}
        self.subgraphs: list[tuple[str, Graph]] = []

    def text(self) -> str:
        inputs = ",\n      ".join(map(self._declaration, self.graph.inputs))
        self.lines.extend(f"graph({inputs}):".split("\n"))
        for node in self.graph.nodes:
            self.node(node, 1)
        self.line_numbers[self.graph.block.return_node] = len(self.lines)
        self.lines.append(f"  return ({self._references(self.graph.outputs)})")
        text = "\n".join(self.lines) + "\n"
        for name, subgraph in self.subgraphs:
            text += f"with {name} = {print_graph(subgraph, sources=self.sources, exact=self.exact)}"
        return text

    def node(self, node: Node, level: int) -> None:
        outputs = ", ".join(map(self._declaration, node.outputs))
        line = f"{'  ' * level}{outputs} = {self._operator(node)}({self._references(node.inputs)})"
        if node.scope:
            line += f", scope: {node.scope}"
        if self.sources and node.source is not None and node.source.filename:
            line += f" # {node.source}"
        self.line_numbers[node] = len(self.lines)
        self.lines.append(line)
        for number, block in enumerate(node.blocks):
            inputs = ", ".join(map(self._declaration, block.inputs))
            self.line_numbers[block.param_node] = len(self.lines)
            self.lines.append(f"{'  ' * (level + 1)}block{number}({inputs}):")
            for nested in block.nodes:
                self.node(nested, level + 2)
            self.line_numbers[block.return_node] = len(self.lines)
            self.lines.append(f"{'  ' * (level + 2)}-> ({self._references(block.outputs)})")

    def _operator(self, node: Node) -> str:
        subgraph = node.attributes.get("Subgraph")
        if node.kind == "prim::PythonOp":
            return f"^{node.attributes.get('name', '')}[]()"
        if isinstance(subgraph, Graph):
            name = f"{node.kind}_{len(self.subgraphs)}"
            self.subgraphs.append((name, subgraph))
            return name + (self._attributes(node) if len(node.attributes) > 1 else "")
        overload = f".{node.overload or 'default'}" if self.exact and node.overload is not None else ""
        return node.kind + overload + self._attributes(node)

    def _attributes(self, node: Node) -> str:
        shown = [f"{name}={self._attribute(node, name)}" for name in node.attributes if name not in HIDDEN_ATTRIBUTES]
        return f"[{', '.join(shown)}]" if shown else ""

    def _attribute(self, node: Node, name: str) -> str:
        value = node.attributes[name]
        if isinstance(value, list | tuple) and value and all(isinstance(item, Type) for item in value):
            return f"[{', '.join(map(str, value))}]"
        type_ = node.outputs[0].type if node.outputs else None
        return attribute_text(value, type_, self.exact)

    def _declaration(self, value: Value) -> str:
        type_ = value.type
        known = f"({type_.dim})" if self.exact and isinstance(type_, IntType) and type_.dim is not None else ""
        return f"%{self._name(value)} : {type_}{known}"

    def _references(self, values: Iterable[Value]) -> str:
        return ", ".join(f"%{self._name(value)}" for value in values)

    def _name(self, value: Value) -> str:
        """A broken graph may read a value that is defined nowhere; its text must still show the place."""
        return self.names.get(value) or f"<undefined {value.name}>"
