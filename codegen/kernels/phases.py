"""One long row on several threads: a kernel without a loop that ranges could share, taken apart.

`in_phases` makes kernels that run one behind the other: the blocks of a long loop as units, which leave what they
reduce in memory, and between those, on one thread, what combines the blocks in order and goes on. Locals that a later
phase needs are carried in memory too. The order of every sum is that of `blocks`, and exponentials are lowered as by
`block_maxima`, so results are the same bit for bit as those of the kernel in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace

from optc.codegen.kernels.block_maxima import block_maxima
from optc.codegen.kernels.blocks import (
    MOST_BLOCKS,
    accumulators,
    block_count,
    block_variable,
    first_values,
    is_long,
    part_name,
    reduced_block,
)
from optc.codegen.kernels.dependences import shared_scratch, turns_are_independent
from optc.codegen.kernels.kernel import (
    START,
    STOP,
    Accumulate,
    Buffer,
    Define,
    Fold,
    Kernel,
    Loop,
    Scan,
    Scatter,
    Statement,
    Store,
    changed,
    defined,
    load,
    local,
    statements,
    stride_of,
    values_of,
)
from optc.codegen.kernels.parallelise import kernel_operations
from optc.codegen.kernels.splitting import is_worth_splitting
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass
from optc.ir.dims import Dim, symbol
from optc.ir.dtypes import DType
from optc.ops.scalar import Expr, nodes


def scatters(kernel: Kernel) -> bool:
    """True when data decides where a kernel writes."""
    return any(isinstance(statement, Scatter) for statement in statements(kernel.body))


@dataclass(frozen=True)
class Phase:
    """A kernel, and the same work as the loops were before: for estimates."""

    kernel: Kernel
    measured: Kernel


@dataclass(frozen=True)
class Phases:
    """Kernels in the order in which they run, and the memory they share besides the buffers of the whole."""

    phases: tuple[Phase, ...]
    temporary: tuple[Buffer, ...]


def in_phases(kernel: Kernel, target: Target) -> Phases | None:
    """The phases of a kernel; None where that is not worth it, or no loop of it can be shared."""
    if (
        kernel.units != 0
        or len(kernel.body) == 1
        or scatters(kernel)
        or not is_worth_splitting(kernel_operations(kernel), target)
    ):
        return None
    kernel = block_maxima(kernel, target)
    known = first_values(kernel.body)
    if not any(isinstance(statement, Loop) and _is_shareable(kernel, statement, known) for statement in kernel.body):
        return None
    return _Cutting(kernel, known).phases()


def _goes_over_blocks(kernel: Kernel, loop: Loop) -> bool:
    """Whether a loop goes over blocks already, which have nothing to do with each other."""
    return loop.lanes == 0 and turns_are_independent(kernel, loop) and not shared_scratch(kernel, loop)


def _is_shareable(kernel: Kernel, loop: Loop, known: dict[str, Expr]) -> bool:
    """True when the blocks of a loop neither read nor write what others write."""
    if _goes_over_blocks(kernel, loop):
        return loop.start == 0 and loop.step == 1 and loop.stop != 1
    if not is_long(loop):
        return False
    reduced = {accumulator.name for accumulator in accumulators(loop, known)}
    if changed(loop.body) - defined(loop.body) - reduced or any(known[name].op != "const" for name in reduced):
        return False
    stores = [statement for statement in loop.body if isinstance(statement, Store)]
    places = {store.buffer: store.index for store in stores}
    if len(places) < len({(store.buffer, store.index) for store in stores}):
        return False
    if any(stride_of(index, loop.variable) in (None, 0) for index in places.values()):
        return False
    return all(
        node.op == "load" and node.value[1] == places[node.value[0]]
        for statement in loop.body for value in values_of(statement) for node in nodes(value)
        if node.op in ("load", "at") and node.value[0] in places
    )  # fmt: skip


@dataclass
class _Piece:
    """A phase in the making. `measured`: the statements as they were in the whole."""

    body: list[Statement]
    measured: list[Statement]
    units: Dim = 0


@dataclass
class _Cutting:
    kernel: Kernel
    known: dict[str, Expr]
    pieces: list[_Piece] = field(default_factory=list)
    temporary: dict[str, Buffer] = field(default_factory=dict)
    carried: set[str] = field(default_factory=set)

    def phases(self) -> Phases:
        for buffer in self.kernel.buffers:
            if buffer.role == "scratch":
                self.temporary[buffer.name] = replace(buffer, role="output")
        glue = _Piece([], [])
        for statement in self.kernel.body:
            if not isinstance(statement, Loop) or not _is_shareable(self.kernel, statement, self.known):
                glue.body.append(statement)
                glue.measured.append(statement)
                continue
            self.pieces += [glue, self.shared(statement)]
            glue = _Piece(list(self.combination(statement)), [])
        self.pieces.append(glue)
        made = [self.phase(number) for number in range(len(self.pieces))]
        return Phases(tuple(phase for phase in made if phase is not None), tuple(self.temporary.values()))

    def shared(self, loop: Loop) -> _Piece:
        """The blocks of a loop as units; what each reduces goes to its place in memory."""
        if loop.lanes == 0:
            return _Piece([replace(loop, start=symbol(START), stop=symbol(STOP))], [loop], loop.stop)
        body = reduced_block(loop, self.known)
        number = symbol(block_variable(loop))
        for accumulator in accumulators(loop, self.known):
            parts = self.parts(accumulator, loop)
            body.append(Store(parts.name, number, local(part_name(accumulator), accumulator.value.dtype)))
        blocks = Loop(block_variable(loop), symbol(START), symbol(STOP), 1, tuple(body))
        definitions: list[Statement] = [Define(a.name, self.known[a.name]) for a in accumulators(loop, self.known)]
        return _Piece([blocks], [*definitions, loop], block_count(loop))

    def combination(self, loop: Loop) -> Iterable[Statement]:
        """The blocks' results into the accumulators, in order."""
        if loop.lanes == 0:
            return []
        reduced = accumulators(loop, self.known)
        number = symbol(block_variable(loop))
        body = tuple(replace(a, value=load(self.parts(a, loop), number)) for a in reduced)
        return [Loop(block_variable(loop), 0, block_count(loop), 1, body)] if body else []

    def parts(self, accumulator: Accumulate, loop: Loop) -> Buffer:
        count = block_count(loop)
        size = count if isinstance(count, int) else MOST_BLOCKS
        name = f"{accumulator.name}.parts"
        return self.temporary.setdefault(name, Buffer(name, accumulator.value.dtype, "output", size))

    # Locals across phases

    def phase(self, number: int) -> Phase | None:
        """Piece `number` as a kernel that loads what it needs and leaves what later ones need; None for no work."""
        piece = self.pieces[number]
        given = [self.given(name) for name in sorted(_needed(piece.body))]
        left = [name for name in sorted(self.left(piece.body)) if self.is_needed_behind(name, number)]
        stores = [Store(self.carry(name).name, 0, local(name, self.dtype(name))) for name in left]
        self.carried.update(left)
        if not stores and all(isinstance(statement, Define) for statement in piece.body):
            return None
        kernel = self.made((*given, *piece.body, *stores), piece.units)
        return Phase(kernel, self.made((*given, *piece.measured), 0))

    def given(self, name: str) -> Define:
        return Define(name, load(self.carry(name), 0) if name in self.carried else self.known[name])

    def left(self, body: list[Statement]) -> set[str]:
        """Locals that a piece gives a value which nobody could know without running it."""
        fresh = {s.name for s in body if isinstance(s, Define | Fold | Scan)}
        constant = {name for name in fresh if name in self.known and self.known[name].op == "const"}
        return fresh - constant | changed(body)

    def is_needed_behind(self, name: str, number: int) -> bool:
        return any(name in _needed(piece.body) for piece in self.pieces[number + 1 :])

    def carry(self, name: str) -> Buffer:
        place = f"{name}.carried"
        return self.temporary.setdefault(place, Buffer(place, self.dtype(name), "output", 1))

    def dtype(self, name: str) -> DType:
        return self.known[name].dtype

    def made(self, body: tuple[Statement, ...], units: Dim) -> Kernel:
        """A kernel with the buffers that its body uses; those that the phases share are memory like any other."""
        used = {s.buffer for s in statements(body) if isinstance(s, Store)}
        used |= {
            node.value[0] for statement in statements(body) for value in values_of(statement) for node in nodes(value)
            if node.op in ("load", "at")
        }  # fmt: skip
        plain = [buffer for buffer in self.kernel.buffers if buffer.role != "scratch"]
        buffers = [buffer for buffer in (*plain, *self.temporary.values()) if buffer.name in used]
        sizes = self.kernel.sizes if units == 0 else (*self.kernel.sizes, START, STOP)
        return Kernel(self.kernel.name, tuple(buffers), sizes, body, units)


def _needed(body: Iterable[Statement]) -> set[str]:
    """The locals that statements use and do not define."""
    inside = list(statements(tuple(body)))
    used = {node.value for s in inside for value in values_of(s) for node in nodes(value) if node.op == "local"}
    used |= {s.source for s in inside if isinstance(s, Fold)}
    return (used | changed(inside)) - defined(inside)
