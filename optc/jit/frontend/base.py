"""The state of one function's emission, shared by the parts of the emitter."""

from __future__ import annotations

import ast
import enum
from collections.abc import Sequence

from optc.dataclass import dataclass
from optc.errors import ScriptError, SourceRange
from optc.ir.function import Function
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.types import Type
from optc.jit.frontend.environment import Frame
from optc.jit.frontend.resolver import BUILTINS, Resolver
from optc.jit.frontend.source import Source
from optc.jit.frontend.type_expressions import TypeExpressions
from optc.jit.frontend.values import SugaredValue
from optc.jit.frontend.writer import GraphWriter
from optc.jit.value_names import ValueNames


class LoopStatus(enum.Enum):
    """What `break` and `continue` would leave."""

    NONE = "outside any loop"
    LOOP = "in a loop"
    UNROLLED = "in a loop that is unrolled while compiling"


@dataclass
class ReturnTypes:
    """The annotated return type of a definition and the one its return statements have agreed on."""

    declared: Type | None = None
    merged: Type | None = None


class EmitterBase:
    """State and the two entry points every part needs: `emit` and `emit_sugared`."""

    def __init__(self, function: Function, source: Source, resolver: Resolver) -> None:
        self.graph = Graph()
        self.names = ValueNames()
        self.writer = GraphWriter(function, self.graph, self.names)
        self.source = source
        self.resolver = resolver
        self.types = TypeExpressions(resolver, source)
        self.frame = Frame(self.graph, self.names, self.graph.block)
        self.exits: set[Block] = set()
        self.continued: set[Node] = set()
        self.loop = LoopStatus.NONE
        self.returns = [ReturnTypes()]
        self._temporaries = 0

    def range(self, node: ast.AST) -> SourceRange:
        """Where a syntax tree stands in the user's file."""
        return self.source.range(node)

    def emit_sugared(self, node: ast.expr, hint: Type | None = None) -> SugaredValue:
        """What an expression stands for; `hint` is the type wanted where an empty container cannot tell."""
        raise NotImplementedError

    def emit(self, node: ast.expr, hint: Type | None = None) -> Value:
        """An expression as a graph value."""
        raise NotImplementedError

    def emit_statements(self, statements: Sequence[ast.stmt]) -> None:
        """A list of statements, up to the first one after which nothing can run."""
        raise NotImplementedError

    def finish_body(self, node: ast.FunctionDef) -> None:
        """Return None where the end of a body may be reached."""
        raise NotImplementedError

    def push_frame(self, block: Block) -> Frame:
        """Open a scope for a block."""
        self.frame = Frame(self.graph, self.names, block, self.frame)
        return self.frame

    def pop_frame(self) -> Frame:
        """Close the innermost scope."""
        closed = self.frame
        assert closed.parent is not None
        self.frame = closed.parent
        return closed

    def temporary_name(self, prefix: str) -> str:
        """A variable name that no program can write."""
        self._temporaries += 1
        return f"{prefix}{self._temporaries - 1}"

    def look_up(self, name: str, source: SourceRange | None) -> SugaredValue:
        """The variable or global of that name. Raises ScriptError."""
        found = self.frame.find(name) or BUILTINS.get(name) or self.resolver.value(name, self.writer, source)
        if found is not None:
            return found
        reason = self.frame.reasons.get(name)
        if reason is not None:
            raise ScriptError(f"{reason()} and was used here", source)
        raise ScriptError(f"undefined value {name}", source)

    def variable(self, name: str, source: SourceRange | None) -> Value:
        """A variable as a graph value."""
        return self.look_up(name, source).as_value(self.writer, source)
