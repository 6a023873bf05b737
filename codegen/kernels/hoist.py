"""The schedule that computes what a loop does not change once before the loop."""

from __future__ import annotations

from dataclasses import field, replace

from optc.codegen.kernels.kernel import (
    Accumulate,
    Assign,
    Define,
    Fetch,
    Fold,
    Kernel,
    Loop,
    Scan,
    Scatter,
    Statement,
    Store,
    Tile,
    changed,
    defined,
    dims_of,
    local,
    statements,
    with_loops,
)
from optc.dataclass import dataclass
from optc.ir.dims import symbols
from optc.ops.scalar import Expr, nodes, ordered


def hoist_invariants(kernel: Kernel) -> Kernel:
    """Move every part of an expression out of all loops that do not change it.

    A loop that does not turn at all computes them too: they are loads of operands that exist whenever the loops around
    them turn, and arithmetic that cannot trap.
    """
    return replace(kernel, body=_Hoisting().body(kernel.body))


class _Hoisting:
    def __init__(self) -> None:
        self.names = 0

    def body(self, body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return with_loops(body, self.loop)

    def loop(self, loop: Loop) -> list[Statement]:
        """The loop behind the definitions of what it does not change."""
        changing = _Changing.of(loop)
        moved: dict[Expr, str] = {}
        body = tuple(self.without(statement, changing, moved) for statement in loop.body)
        definitions: list[Statement] = [Define(name, value) for value, name in moved.items()]
        return [*definitions, replace(loop, body=self.body(body))]

    def without(self, statement: Statement, changing: _Changing, moved: dict[Expr, str]) -> Statement:
        match statement:
            case Loop():
                return replace(statement, body=tuple(self.without(s, changing, moved) for s in statement.body))
            case Define(_, value) | Assign(_, value) | Accumulate(_, _, value) | Store(_, _, value) | Scan(value=value):
                return replace(statement, value=self.value(value, changing, moved))
            case Scatter(_, base, _, value):
                places = self.value(base, changing, moved)
                return replace(statement, base=places, value=self.value(value, changing, moved))
            case Fold() | Tile() | Fetch():
                return statement

    def value(self, expr: Expr, changing: _Changing, moved: dict[Expr, str]) -> Expr:
        """The expression with its invariant parts, each as large as possible, replaced by locals."""

        def is_moved(node: Expr) -> bool:
            return _is_work(node) and not changing.touches(node)

        done: dict[Expr, Expr] = {}
        for node in ordered(expr, lambda node: () if is_moved(node) else node.args):
            if is_moved(node):
                done[node] = self.replaced(node, moved)
            else:
                done[node] = Expr(node.op, node.dtype, tuple(done[arg] for arg in node.args), node.value)
        return done[expr]

    def replaced(self, node: Expr, moved: dict[Expr, str]) -> Expr:
        if node not in moved:
            moved[node] = f"fixed{self.names}"
            self.names += 1
        return local(moved[node], node.dtype)


def _is_work(node: Expr) -> bool:
    """False for constants, locals and what is computed from constants only: LLVM folds that."""
    return node.op == "load" or bool(node.args) and any(part.op in ("load", "local", "index") for part in nodes(node))


@dataclass
class _Changing:
    """What changes while a loop turns: variables, locals, and buffers that it writes."""

    variables: set[str]
    locals: set[str]
    buffers: set[str]
    known: dict[Expr, bool] = field(default_factory=dict)

    @staticmethod
    def of(loop: Loop) -> _Changing:
        inside = list(statements(loop.body))
        return _Changing(
            {loop.variable, *(s.variable for s in inside if isinstance(s, Loop))},
            defined(loop.body) | changed(loop.body),
            {s.scratch if isinstance(s, Tile) else s.buffer for s in inside if isinstance(s, Store | Scatter | Tile)},
        )

    def touches(self, expr: Expr) -> bool:
        """True when an expression may have another value in another turn."""
        for node in ordered(expr, lambda node: () if node in self.known else node.args):
            if node not in self.known:
                self.known[node] = self._changes(node) or any(self.known[arg] for arg in node.args)
        return self.known[expr]

    def _changes(self, node: Expr) -> bool:
        if node.op == "local":
            return node.value in self.locals
        if node.op == "at":  # its place is checked data: read only where the program reads it
            return True
        if node.op == "load" and node.value[0] in self.buffers:
            return True
        return any(symbols(dim) & self.variables for dim in dims_of(node)) if node.op in ("load", "index") else False
