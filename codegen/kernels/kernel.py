"""The kernel IR: a loop language small enough to print, verify and interpret.

    kernel    = Kernel(name, buffers, sizes, body, units)
    statement = Loop(variable, start, stop, step, body, lanes, masked, abreast)
              | Define(name, value, lanes)                 a local: one element, or a vector of lanes
              | Assign(name, value)                        changes a local
              | Accumulate(name, combine, value)           local = combine(local, value)
              | Fold(name, source, combine, identity)      local = all lanes of a vector local combined
              | Scan(name, carry, combine, value)          a local: all values of the loop so far combined
              | Store(buffer, index, value)
              | Scatter(buffer, base, offset, value)         buffer[base + offset] = value
              | Tile(scratch, buffer, index, stride, size)  a square of the buffer, rows and columns exchanged
              | Fetch(buffer, index, written)              an element's cache line will be wanted; it need not exist

Expressions are `optc.ops.scalar.Expr` trees with three more leaves: `load(buffer, index)`, `local(name)` and
`index(dim)`, the integer value of a dimension; and `at(buffer, offset, base)`, an element at `offset` behind the place
that `base`, an int64 expression, computes from data. `Scatter` writes to such places, turn by turn: two turns may write
one place. Indices, bounds and strides are `Dim`s over the loop variables and the
kernel's `sizes` (its integer parameters); an index counts elements. Inside a loop with `lanes`, the variable stands
for the first of `lanes` consecutive values, and an access is a vector access where its index moves by one with the
variable, a broadcast where it does not move, a few vectors where it moves by little (`is_near`) and is read, else one
access per lane. In a `masked` loop the lanes at or beyond `stop` do nothing. `lanes == 1` marks a loop that
`optc.codegen.kernels.vectorise` is to widen. The body of a loop that works on several turns `abreast` has so many
statements of equal form in a row, none of which needs what another one of them does: their instructions may be mixed.

Everything is immutable: a schedule is a function from kernel to kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import TypeAlias

from optc.dataclass import dataclass
from optc.errors import VerifyError
from optc.ir import dtypes
from optc.ir.dims import Dim, factor_of, substitute, symbols
from optc.ir.dtypes import DType
from optc.ops.scalar import Expr, nodes, ordered, rewrite


@dataclass(frozen=True)
class Buffer:
    """Memory the kernel reads or writes. `role`: input, output or scratch (of `size` elements, private to a call)."""

    name: str
    dtype: DType
    role: str
    size: Dim = 0


@dataclass(frozen=True)
class Loop:
    """`for variable in range(start, stop, step)`; see the module for `lanes` and `masked`."""

    variable: str
    start: Dim
    stop: Dim
    step: int
    body: tuple[Statement, ...]
    lanes: int = 0
    masked: bool = False
    abreast: int = 1


@dataclass(frozen=True)
class Define:
    """A new local with its first value; `lanes` > 0 makes it a vector."""

    name: str
    value: Expr
    lanes: int = 0


@dataclass(frozen=True)
class Assign:
    """A new value for a local."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Accumulate:
    """local = combine(local, value): `combine` reads them as inputs 0 and 1 and is associative."""

    name: str
    combine: Expr
    value: Expr


@dataclass(frozen=True)
class Fold:
    """A new scalar local: the lanes of vector local `source`, combined."""

    name: str
    source: str
    combine: Expr


@dataclass(frozen=True)
class Scan:
    """carry = combine(carry, value), turn by turn; `name` is a new local with what it is then.

    In a loop with lanes `name` is a vector: every lane combines those before it too. `carry` is one as well, all lanes
    alike; behind a masked loop what it holds is unspecified.
    """

    name: str
    carry: str
    combine: Expr
    value: Expr


@dataclass(frozen=True)
class Store:
    """buffer[index] = value."""

    buffer: str
    index: Dim
    value: Expr


@dataclass(frozen=True)
class Scatter:
    """buffer[base + offset] = value: `base` is computed from data and must have been checked.

    In a loop with lanes all lanes have one base and write side by side.
    """

    buffer: str
    base: Expr
    offset: Dim
    value: Expr


@dataclass(frozen=True)
class Tile:
    """scratch[r * size + c] = buffer[index + r + c * stride] for all r and c below `size`, a power of two."""

    scratch: str
    buffer: str
    index: Dim
    stride: Dim
    size: int


@dataclass(frozen=True)
class Fetch:
    """Brings the cache line of buffer[index] nearer, to be `written` or to be read. Changes nothing; beyond the buffer
    it does nothing."""

    buffer: str
    index: Dim
    written: bool = False


Statement: TypeAlias = Loop | Define | Assign | Accumulate | Fold | Scan | Store | Scatter | Tile | Fetch


NEAR = 4
"""Elements at most this far from each other are picked out of whole vectors."""

START, STOP = "range.start", "range.stop"
"""The sizes that say which units a call runs."""


@dataclass(frozen=True)
class Kernel:
    """A loop nest: `sizes` are the names of its integer parameters, in order.

    A kernel with `units` runs in ranges: its last two sizes are `START` and `STOP`, between 0 and `units`, and ranges
    may run in any order or at the same time. Scratch is then private to a range.
    """

    name: str
    buffers: tuple[Buffer, ...]
    sizes: tuple[str, ...]
    body: tuple[Statement, ...]
    units: Dim = 0

    def buffer(self, name: str) -> Buffer:
        """The buffer of that name. Raises KeyError."""
        for buffer in self.buffers:
            if buffer.name == name:
                return buffer
        raise KeyError(name)

    def __str__(self) -> str:
        return print_kernel(self)


def groups_abreast(loop: Loop) -> list[tuple[Statement, ...]]:
    """The statements of a loop's body in groups whose members do not need each other, `Fetch`es one by one."""
    fetches = [(statement,) for statement in loop.body if isinstance(statement, Fetch)]
    rest = [statement for statement in loop.body if not isinstance(statement, Fetch)]
    return [*fetches, *(tuple(rest[start : start + loop.abreast]) for start in range(0, len(rest), loop.abreast))]


def load(buffer: Buffer, index: Dim) -> Expr:
    """buffer[index]."""
    return Expr("load", buffer.dtype, (), (buffer.name, index))


def at(buffer: Buffer, base: Expr, offset: Dim) -> Expr:
    """buffer[base + offset]; `base` is computed from data and must have been checked."""
    return Expr("at", buffer.dtype, (base,), (buffer.name, offset))


def local(name: str, dtype: DType) -> Expr:
    """The value of a local."""
    return Expr("local", dtype, (), name)


def index_value(dim: Dim) -> Expr:
    """A dimension as an int64 element."""
    return Expr("index", dtypes.INT64, (), dim)


def stride_of(index: Dim, variable: str) -> Dim | None:
    """How far an index moves when the variable grows by one; None when the index is not linear in it."""
    return factor_of(index, variable)


def is_near(stride: Dim | None) -> bool:
    """True where the elements of neighbouring lanes lie so near each other that whole vectors hold several of them."""
    return isinstance(stride, int) and 1 < stride <= NEAR


def pairs_of_stores(loop: Loop) -> dict[tuple[str, Dim], Dim]:
    """Places that the turns of a loop write with a gap between them which other stores of its body fill: buffer and index
    of the first ones, and the indices of the second ones."""
    stored = {(s.buffer, s.index) for s in loop.body if isinstance(s, Store) and stride_of(s.index, loop.variable) == 2}
    read = {
        leaf.value[0] for s in loop.body for value in values_of(s) for leaf in nodes(value) if leaf.op in ("load", "at")
    }
    kept = {place for place in stored if place[0] not in read}
    return {
        (name, index): index + 1 for name, index in kept if (name, index + 1) in kept and (name, index - 1) not in kept
    }


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """All statements, nested ones included, in program order."""
    for statement in body:
        yield statement
        if isinstance(statement, Loop):
            yield from statements(statement.body)


def with_loops(body: Iterable[Statement], change: Callable[[Loop], Iterable[Statement]]) -> tuple[Statement, ...]:
    """A body with what `change` makes of each of its loops in the loop's place."""
    changed = (change(statement) if isinstance(statement, Loop) else (statement,) for statement in body)
    return tuple(chain.from_iterable(changed))


def values_of(statement: Statement) -> tuple[Expr, ...]:
    """The expressions a statement evaluates."""
    if isinstance(statement, Define | Assign | Store | Accumulate | Scan):
        return (statement.value,)
    return (statement.base, statement.value) if isinstance(statement, Scatter) else ()


def renamed_stores(body: Iterable[Statement], moved: Mapping[str, tuple[Buffer, Dim]]) -> tuple[Statement, ...]:
    """A body that stores into other buffers, further behind."""
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop):
            statement = replace(statement, body=renamed_stores(statement.body, moved))
        elif isinstance(statement, Store) and statement.buffer in moved:
            buffer, distance = moved[statement.buffer]
            statement = Store(buffer.name, statement.index + distance, statement.value)
        result.append(statement)
    return tuple(result)


def defined(body: Iterable[Statement]) -> set[str]:
    """The locals that statements define, nested ones included."""
    found = list(body)
    return {s.name for s in statements(tuple(found)) if isinstance(s, Define | Fold | Scan)}


def changed(body: Iterable[Statement]) -> set[str]:
    """The locals that statements give new values, nested ones included."""
    inside = list(statements(tuple(body)))
    named = {s.name for s in inside if isinstance(s, Assign | Accumulate)}
    return named | {s.carry for s in inside if isinstance(s, Scan)}


def leaves(expr: Expr) -> Iterator[Expr]:
    """The leaves of an expression, each once."""
    return (node for node in nodes(expr) if not node.args)


def dims_of(expr: Expr) -> Iterator[Dim]:
    """The dimensions an expression uses: indices of its accesses, and integer values."""
    for node in nodes(expr):
        if node.op in ("load", "at"):
            yield node.value[1]
        elif node.op == "index":
            yield node.value


def accesses(body: tuple[Statement, ...]) -> list[Dim]:
    """Every dimension that statements use as an index or as a value, nested ones included."""
    found: list[Dim] = []
    for statement in statements(body):
        if isinstance(statement, Store):
            found.append(statement.index)
        elif isinstance(statement, Scatter):
            found.append(statement.offset)
        for value in values_of(statement):
            found.extend(dims_of(value))
    return found


def copied(
    body: tuple[Statement, ...],
    names: Mapping[str, str],
    variables: Mapping[str, Dim],
    places: Mapping[str, Dim] = MappingProxyType({}),
) -> tuple[Statement, ...]:
    """A copy of statements: other names for locals, other dimensions for variables, buffers that start further behind."""
    return tuple(map(StatementCopy(names, variables, places).statement, body))


@dataclass(frozen=True)
class StatementCopy:
    """Rewrites statements; see `copied`."""

    names: Mapping[str, str]
    variables: Mapping[str, Dim]
    places: Mapping[str, Dim]

    def statement(self, statement: Statement) -> Statement:
        match statement:
            case Loop(_, start, stop, _, body):
                bounds = self.dim(start), self.dim(stop)
                return replace(statement, start=bounds[0], stop=bounds[1], body=tuple(map(self.statement, body)))
            case Fold(name, source):
                return replace(statement, name=self.name(name), source=self.name(source))
            case Scan(name, carry, _, value):
                names = self.name(name), self.name(carry)
                return replace(statement, name=names[0], carry=names[1], value=rewrite(value, self.node))
            case Store(buffer, index, value):
                return Store(buffer, self.place(buffer, index), rewrite(value, self.node))
            case Scatter(buffer, base, offset, value):
                place = self.place(buffer, offset)
                return Scatter(buffer, rewrite(base, self.node), place, rewrite(value, self.node))
            case Tile(_, buffer, index, stride):
                return replace(statement, index=self.place(buffer, index), stride=self.dim(stride))
            case Fetch(buffer, index, written):
                return Fetch(buffer, self.place(buffer, index), written)
            case Define(name, value) | Assign(name, value) | Accumulate(name, _, value):
                return replace(statement, name=self.name(name), value=rewrite(value, self.node))

    def name(self, name: str) -> str:
        return self.names.get(name, name)

    def dim(self, dim: Dim) -> Dim:
        return substitute(dim, self.variables)

    def place(self, buffer: str, index: Dim) -> Dim:
        return self.dim(index) + self.places.get(buffer, 0)

    def node(self, node: Expr) -> Expr | None:
        if node.op in ("load", "at"):
            buffer, index = node.value
            return Expr(node.op, node.dtype, node.args, (buffer, self.place(buffer, index)))
        if node.op == "index":
            return Expr("index", node.dtype, (), self.dim(node.value))
        if node.op == "local":
            return local(self.name(node.value), node.dtype)
        return None


def print_kernel(kernel: Kernel) -> str:
    """The kernel as text."""
    shown = [f"{b.dtype.name}* {b.name}" for b in kernel.buffers if b.role != "scratch"]
    lines = [f"kernel {kernel.name}({', '.join([*shown, *kernel.sizes])}):"]
    if kernel.units != 0:
        lines.append(f"  units: {kernel.units}")
    lines += [f"  scratch {b.name}: {b.dtype.name}[{b.size}]" for b in kernel.buffers if b.role == "scratch"]
    _print_body(kernel.body, "  ", lines)
    return "\n".join(lines)


def _print_body(body: tuple[Statement, ...], indent: str, lines: list[str]) -> None:
    for statement in body:
        lines.append(indent + _print_statement(statement))
        if isinstance(statement, Loop):
            _print_body(statement.body, indent + "  ", lines)


def _print_statement(statement: Statement) -> str:
    match statement:
        case Loop(variable, start, stop, step, _, lanes, masked, abreast):
            kind = f" lanes {lanes}" if lanes else ""
            bounds = f"{start}..{stop}" + (f" step {step}" if step != 1 else "")
            kind += " masked" if masked else f" abreast {abreast}" if abreast > 1 else ""
            return f"for {variable} in {bounds}{kind}:"
        case Define(name, value, lanes):
            return f"{name}{f'<{lanes}>' if lanes else ''} = {show(value)}"
        case Assign(name, value):
            return f"{name} := {show(value)}"
        case Accumulate(name, combine, value):
            return f"{name} {_combination(combine)}= {show(value)}"
        case Fold(name, source, combine):
            return f"{name} = fold {combine.op} {source}"
        case Scan(name, carry, combine, value):
            return f"{name} = {carry} {_combination(combine)}= {show(value)}"
        case Store(buffer, index, value):
            return f"{buffer}[{index}] = {show(value)}"
        case Scatter(buffer, base, offset, value):
            return f"{buffer}[{show(base)} + {offset}] = {show(value)}"
        case Tile(scratch, buffer, index, stride, size):
            return f"{scratch} = {size} x {size} of {buffer}[{index}], columns {stride} apart"
        case Fetch(buffer, index, written):
            return f"fetch {buffer}[{index}]{' to write' if written else ''}"


def _combination(combine: Expr) -> str:
    """The operator's name where it is one operator, else the whole expression."""
    return combine.op if all(arg.op == "input" for arg in combine.args) else f"({show(combine)})"


_SHOWN_WHOLE = 60
"""An expression with more terms is shown with its shared parts named."""
_SHOWN_DEPTH = 32
"""And with names for what is so deep in it."""


def show(expr: Expr) -> str:
    """An expression as text, loads as `buffer[index]`; parts of a large one that occur often are named behind it."""
    sizes: dict[Expr, int] = {}
    depths: dict[Expr, int] = {}
    counts: dict[Expr, int] = {}
    for node in ordered(expr):
        sizes[node] = 1 + sum(sizes[arg] for arg in node.args)
        depths[node] = 1 + max((depths[arg] for arg in node.args), default=0)
        for arg in node.args:
            counts[arg] = counts.get(arg, 0) + 1
    names: dict[Expr, str] = {}
    if sizes[expr] > _SHOWN_WHOLE:
        named = [node for node in depths if node.args and (counts.get(node, 0) > 1 or depths[node] % _SHOWN_DEPTH == 0)]
        named = [node for node in named if node is not expr]
        names = {node: f"e{number}" for number, node in enumerate(named)}
    parts = [f"{name} = {_show(node, names)}" for node, name in names.items()]
    text = _show(expr, names)
    return f"{text} where {'; '.join(parts)}" if parts else text


def _show(expr: Expr, names: dict[Expr, str]) -> str:
    def inner(arg: Expr) -> str:
        return names[arg] if arg in names else _show(arg, names)

    if expr.op == "load":
        return f"{expr.value[0]}[{expr.value[1]}]"
    if expr.op in ("local", "index"):
        return str(expr.value)
    if expr.op == "at":
        return f"{expr.value[0]}[{inner(expr.args[0])} + {expr.value[1]}]"
    if not expr.args:
        return repr(expr)
    name = f"{expr.op}<{expr.dtype.name}>" if expr.op in ("cast", "bitcast") else expr.op
    return f"{name}({', '.join(map(inner, expr.args))})"


def verify_kernel(kernel: Kernel) -> None:
    """Check every invariant. Raises VerifyError with the kernel's text.

    - every buffer, size, loop variable and local is known where it is used, and defined once;
    - what is stored has the buffer's element type, what is assigned the local's; inputs are never written;
    - a vector local is only read inside loops of its lanes or by `Fold`; a loop with lanes holds no other loop with
      lanes and steps by a multiple of its lanes, by exactly them when masked;
    - a kernel with units has the sizes of a range, last.
    """
    _Verifier(kernel).check()


@dataclass
class _Verifier:
    kernel: Kernel

    def check(self) -> None:
        names = [buffer.name for buffer in self.kernel.buffers]
        if len(set(names)) != len(names):
            self.fail("two buffers have one name")
        if self.kernel.units != 0 and self.kernel.sizes[-2:] != (START, STOP):
            self.fail(f"it has {self.kernel.units} units, but no range of them among its sizes")
        self.known = set(self.kernel.sizes)
        if self.kernel.units != 0:
            self.dim(self.kernel.units)
        self.locals: dict[str, tuple[DType, int]] = {}
        self.body(self.kernel.body, 0)

    def fail(self, message: str) -> None:
        raise VerifyError(f"kernel {self.kernel.name}: {message}\n{self.kernel}")

    def body(self, body: tuple[Statement, ...], lanes: int) -> None:
        outer = dict(self.locals)
        for statement in body:
            width = self.locals.get(statement.name, ("", 0))[1] if isinstance(statement, Accumulate) else 0
            for value in values_of(statement):
                self.expression(value, lanes or width)
            self.statement(statement, lanes)
        self.locals = outer

    def statement(self, statement: Statement, lanes: int) -> None:
        match statement:
            case Loop():
                self.loop(statement, lanes)
            case Define(name, value, width):
                if name in self.locals:
                    self.fail(f"local {name} is defined twice")
                self.locals[name] = (value.dtype, width or lanes)
            case Assign(name, value) | Accumulate(name, _, value):
                if self.local(name)[0] is not value.dtype:
                    self.fail(f"{name} changes its element type to {value.dtype.name}")
            case Fold(name, source, _):
                dtype, width = self.local(source)
                if not width or lanes:
                    self.fail(f"{source} is no vector to fold here")
                self.locals[name] = (dtype, 0)
            case Scan(name, carry, _, value):
                if self.local(carry) != (value.dtype, lanes if lanes > 1 else 0):
                    self.fail(f"{carry} does not have the lanes and the element type of what it sums up")
                self.locals[name] = (value.dtype, lanes)
            case Store(buffer, index, value):
                self.access(buffer, index)
                target = self.kernel.buffer(buffer)
                if target.role == "input" or target.dtype is not value.dtype:
                    self.fail(f"{value.dtype.name} is stored into {target.role} {buffer} of {target.dtype.name}")
            case Scatter(buffer, base, offset, value):
                self.access(buffer, offset)
                target = self.kernel.buffer(buffer)
                if target.role == "input" or target.dtype is not value.dtype or base.dtype is not dtypes.INT64:
                    self.fail(f"{value.dtype.name} is scattered into {target.role} {buffer} by {base.dtype.name}")
            case Tile():
                self.tile(statement, lanes)
            case Fetch(buffer, index):
                self.access(buffer, index)

    def loop(self, loop: Loop, lanes: int) -> None:
        if loop.variable in self.known:
            self.fail(f"loop variable {loop.variable} is not new")
        if (lanes and loop.lanes) or (loop.lanes and loop.step % loop.lanes) or loop.step < 1:
            self.fail(f"loop {loop.variable} has {loop.lanes} lanes inside {lanes} and steps by {loop.step}")
        if loop.masked and loop.step != loop.lanes:
            self.fail(f"masked loop {loop.variable} must step by its lanes")
        if any(len({type(statement) for statement in group}) != 1 for group in groups_abreast(loop)):
            self.fail(f"the statements of loop {loop.variable} are not {loop.abreast} abreast")
        for bound in (loop.start, loop.stop):
            self.dim(bound)
        self.known.add(loop.variable)
        self.body(loop.body, loop.lanes or lanes)
        self.known.discard(loop.variable)

    def tile(self, tile: Tile, lanes: int) -> None:
        self.access(tile.scratch, 0)
        self.access(tile.buffer, tile.index)
        self.dim(tile.stride)
        scratch, source = self.kernel.buffer(tile.scratch), self.kernel.buffer(tile.buffer)
        if scratch.role != "scratch" or scratch.dtype is not source.dtype or scratch.size != tile.size**2 or lanes:
            self.fail(f"{tile.scratch} is no place for a tile of {tile.buffer}")

    def local(self, name: str) -> tuple[DType, int]:
        if name not in self.locals:
            self.fail(f"local {name} is not defined here")
        return self.locals[name]

    def dim(self, dim: Dim) -> None:
        unknown = symbols(dim) - self.known
        if unknown:
            self.fail(f"{min(unknown)} in {dim} is neither a size nor a loop variable here")

    def access(self, buffer: str, index: Dim) -> None:
        if all(known.name != buffer for known in self.kernel.buffers):
            self.fail(f"there is no buffer {buffer}")
        self.dim(index)

    def expression(self, expr: Expr, lanes: int) -> None:
        for node in nodes(expr):
            if node.op in ("load", "at"):
                self.access(*node.value)
            elif node.op == "index":
                self.dim(node.value)
            elif node.op == "local":
                self.read(node, lanes)
            elif not node.args and node.op != "const":
                self.fail(f"{node!r} is no leaf of a kernel")
            if node.op == "at" and node.args[0].dtype is not dtypes.INT64:
                self.fail(f"{node.value[0]} is indexed by {node.args[0].dtype.name}")

    def read(self, leaf: Expr, lanes: int) -> None:
        dtype, width = self.local(leaf.value)
        if dtype is not leaf.dtype or (width and width != lanes):
            self.fail(f"local {leaf.value} is read with other lanes or type than it has")


def renamed(kernel: Kernel, name: str) -> Kernel:
    """The same kernel under another name."""
    return replace(kernel, name=name)
