"""Reads the text of graphs: torch's, and what `optc.ir.text.print_graph` writes.

Texts written by hand may be shorter than printed ones:

* `# ...` lines are comments, and so is what follows a node if it is no `file:line:column`;
* types may be left out: literals have theirs, everything else is a Tensor;
* literals may stand where values are read: `aten::add(%a, %b, 1)` makes a `prim::Constant` before the node;
* tensors are written `tensor([[1.0, 2.0], [3.0, 4.0]])`, with a dtype or a whole type where needed:
  `tensor([1, 2], Half)`, `tensor([], Float(0, 3))`;
* an overload may be named: `aten::add.Tensor(%a, %b, 1)`.

What torch's text does not say is lost: a constant `<Tensor>` becomes an `Elided` that prints the same, and names of
classes become `ClassType`s without attributes unless the caller knows them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from optc.errors import SourceRange
from optc.ir.function import ClassType
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.literal_parser import Cursor, as_declared, literal_type, parse_value
from optc.ir.types import TENSOR, Type

_NAME = re.compile(r"%([\w.]+)")
_KIND = re.compile(r"([A-Za-z_]\w*::\w+)(?:\.(\w+))?")
_PYTHON_KIND = re.compile(r"\^([\w.<>]+)")
_ATTRIBUTE = re.compile(r"([A-Za-z_]\w*)=")
_BLOCK = re.compile(r"block\d*\(")
_SOURCE = re.compile(r"# (.*):(\d+):(\d+)\s*$")
_SUBGRAPH = re.compile(r"with (\S+) = ")
_SCOPE = re.compile(r"[^#]*")


def parse_graph(text: str, classes: Mapping[str, Type] | None = None, filename: str = "<graph>") -> Graph:
    """The graph that a text describes.

    `classes` maps qualified names to types; other names become opaque classes. Raises ParseError with the line.
    """
    return _Parser(text, dict(classes or {}), filename).document()


class _Parser:
    def __init__(self, text: str, classes: dict[str, Type], filename: str) -> None:
        self.text = text
        self.filename = filename
        self.classes = classes
        self.lines = [
            Cursor(line, number, text, filename)
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip() and not line.lstrip().startswith("#")
        ]
        self.next_line = 0
        self.values: dict[str, Value] = {}
        self.visible: list[str] = []
        self.subgraph_nodes: dict[str, list[Node]] = {}
        self.subgraph_names = {found[1] for line in self.lines if (found := _SUBGRAPH.match(line.text))}

    def document(self) -> Graph:
        graph = self._graph()
        while (line := self._peek()) is not None:
            found = line.match(_SUBGRAPH)
            if found is None:
                raise line.error("expected the end of the text or 'with <name> = graph(...)'")
            waiting = self.subgraph_nodes.pop(found[1], [])
            subgraph = self._graph()
            for node in waiting:
                node.attributes["Subgraph"] = subgraph
        return graph

    def _peek(self) -> Cursor | None:
        return self.lines[self.next_line] if self.next_line < len(self.lines) else None

    def _take(self) -> Cursor:
        line = self._peek()
        if line is None:
            end = Cursor("", self.text.count("\n"), self.text, self.filename)
            raise end.error("the graph has no end: expected 'return (...)'")
        self.next_line += 1
        return line

    def _graph(self) -> Graph:
        self.values = {}
        self.visible = []
        graph = Graph()
        line = self._take()
        line.expect("graph(")
        self._parameters(line, graph.block)
        self._nodes(graph.block, "return")
        return graph

    def _declaration(self, line: Cursor) -> tuple[str, Type | None]:
        """`%x : Tensor` or `%x`."""
        found = line.match(_NAME)
        if found is None:
            raise line.error("expected a value such as %x")
        if found[1] in self.values:
            raise line.error(f"%{found[1]} is defined twice")
        return found[1], line.type(self._class) if line.accept(":") else None

    def _define(self, node: Node, name: str, type_: Type | None) -> Value:
        value = node.add_output(TENSOR if type_ is None else type_, name)
        self.values[name] = value
        self.visible.append(name)
        return value

    def _parameters(self, line: Cursor, block: Block) -> None:
        """`%x : Tensor, %y : int):`, maybe over several lines."""
        while not line.accept(")"):
            if line.at_end:
                line = self._take()
                continue
            self._define(block.param_node, *self._declaration(line))
            if not line.looks_at(")"):
                line.expect(",")
        line.expect(":")

    def _class(self, name: str) -> Type | None:
        if name not in self.classes and name.startswith("InterfaceType<"):
            self.classes[name] = ClassType(name[len("InterfaceType<") : -1], is_interface=True)
        if name not in self.classes:
            if "." not in name and not name.startswith("__torch__"):
                return None
            self.classes[name] = ClassType(name)
        return self.classes[name]

    def _nodes(self, block: Block, ending: str) -> None:
        """The nodes of a block up to its `-> (...)` or `return (...)`."""
        while True:
            line = self._take()
            if line.accept(ending):
                break
            self._node(line, block)
        for value in self._inputs(line, block):
            block.add_output(value)
        self._end(line, block.return_node)

    def _node(self, line: Cursor, block: Block) -> None:
        node = Node(block.graph, "")
        declared: list[tuple[str, Type | None]] = []
        while line.looks_at("%"):
            declared.append(self._declaration(line))
            if not line.accept(","):
                break
        line.expect("=")
        self._operator(line, node)
        for value in self._inputs(line, block):
            node.add_input(value)
        if line.accept(","):
            line.expect("scope:")
            found = line.match(_SCOPE)
            node.scope = found[0].strip() if found is not None else ""
        self._end(line, node)
        block.append(node)
        while (following := self._peek()) is not None and following.match(_BLOCK) is not None:
            self._block(self._take(), node)
        for name, type_ in declared:
            if name in self.values:
                raise line.error(f"%{name} is defined twice")
            self._define(node, name, type_)
        if node.kind == "prim::Constant" and len(declared) == 1:
            self._complete_constant(line, node, declared[0][1])

    def _block(self, line: Cursor, node: Node) -> None:
        outside = len(self.visible)
        block = node.add_block()
        self._parameters(line, block)
        self._nodes(block, "->")
        for name in self.visible[outside:]:
            del self.values[name]
        del self.visible[outside:]

    def _complete_constant(self, line: Cursor, node: Node, annotation: Type | None) -> None:
        value = node.attributes.get("value")
        if annotation is not None:
            if value is not None:
                node.attributes["value"] = as_declared(value, annotation)
            return
        try:
            node.output.type = literal_type(value)
        except ValueError as error:
            raise line.error(str(error)) from None

    def _operator(self, line: Cursor, node: Node) -> None:
        if (python := line.match(_PYTHON_KIND)) is not None:
            node.kind = "prim::PythonOp"
            node.attributes["name"] = python[1]
            line.accept("[]")
            line.expect("()")
            return
        found = line.match(_KIND)
        if found is None:
            raise line.error("expected an operator such as aten::add")
        node.kind = found[1]
        if found[2] is not None:
            node.overload = "" if found[2] == "default" else found[2]
        if found[0] in self.subgraph_names:
            node.kind = found[1].rpartition("_")[0]
            self.subgraph_nodes.setdefault(found[0], []).append(node)
        if line.accept("["):
            self._attributes(line, node)

    def _attributes(self, line: Cursor, node: Node) -> None:
        while not line.accept("]"):
            found = line.match(_ATTRIBUTE)
            if found is None:
                raise line.error("expected an attribute such as value=1")
            node.attributes[found[1]] = self._attribute(line, node, found[1])
            if not line.looks_at("]"):
                line.expect(",")

    def _attribute(self, line: Cursor, node: Node, name: str) -> Any:
        if name == "types":
            return self._types(line)
        if node.kind == "prim::Dim":
            return line.dim()
        if name.endswith("_type"):
            return line.type(self._class)
        return parse_value(line)

    def _types(self, line: Cursor) -> list[Type]:
        types: list[Type] = []
        line.expect("[")
        while not line.accept("]"):
            types.append(line.type(self._class))
            if not line.looks_at("]"):
                line.expect(",")
        return types

    def _inputs(self, line: Cursor, block: Block) -> list[Value]:
        """`(%a, 1, %b)`: values, and literals that become constants at the end of `block`."""
        line.expect("(")
        values: list[Value] = []
        while not line.accept(")"):
            values.append(self._reference(line) if line.looks_at("%") else self._literal(line, block))
            if not line.looks_at(")"):
                line.expect(",")
        return values

    def _reference(self, line: Cursor) -> Value:
        start = line.place
        found = line.match(_NAME)
        if found is not None and found[1] in self.values:
            return self.values[found[1]]
        line.place = start
        raise line.error(f"%{found[1] if found is not None else ''} is not defined here")

    def _literal(self, line: Cursor, block: Block) -> Value:
        value = parse_value(line)
        try:
            type_ = literal_type(value)
        except ValueError as error:
            raise line.error(str(error)) from None
        node = block.graph.create("prim::Constant", (), (type_,), {} if value is None else {"value": value})
        return block.append(node).output

    def _end(self, line: Cursor, node: Node) -> None:
        source = line.match(_SOURCE)
        if source is not None:
            node.source = SourceRange(source[1], int(source[2]), int(source[3]))
        elif not line.at_end and not line.looks_at("#"):
            raise line.error("expected the end of the line")
