"""The LLVM IR emitter: the one place that knows how LLVM's text looks.  Pure text, no llvmlite.

A `Module` collects functions, constants and declarations, and `str(module)` is the text.  A `Builder` writes into one
function, at the end of its current block::

    module = Module("example")
    parameters = [Parameter("ptr", "data", NOALIAS_READONLY), Parameter("i64", "count")]
    function = module.function("total", "float", parameters)
    data, count = function.arguments
    b = Builder(function)
    with b.for_loop(0, count, carried=[b.constant("float", 0.0)]) as loop:
        element = b.load("float", b.gep("float", data, loop.index))
        loop.yield_([b.fadd(loop.carried[0], element)])
    b.ret(loop.results[0])

Values and types.  A `Value` is a type and the text of an operand; both are strings in LLVM's own spelling ("float",
"i64", "ptr", "<16 x float>").  Wherever a method takes an `Operand`, a Python number stands for a constant of the type
that the other operands (or the method's documentation) give it.  Operand types are checked when the instruction is
written, so a wrong type is a `TypeError` at the emitting line and not a parser message much later.

Control flow.  `for_loop`, `while_loop`, `if_then` and `if_then_else` are context managers; afterwards the builder is
behind the construct.  Values that differ between paths go through `yield_` and come back as `results`::

    with b.if_then_else(condition) as (then, otherwise):
        with then:
            then.yield_([x])
        with otherwise:
            otherwise.yield_([y])
    merged, = then.results

Where each path is but one value, `choose` says it in a line: `merged = b.choose(condition, lambda: x, lambda: y)`.

Loops are written in rotated form (test at the bottom, guard before) and marked so that LLVM neither unrolls nor
vectorises them: the emitter decides both.

Floating point.  `fadd`, `fsub` and `fmul` carry `contract` unless told otherwise, so that LLVM may form fused
multiply-adds; `nnan` and `ninf` are refused, because infinities and NaNs are ordinary values here.  Reductions of
vectors carry `reassoc`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from optc.codegen.llvm.instructions import InstructionWriter
from optc.codegen.llvm.module import CALLS_ONLY, WRITTEN_OUT, Block, Declaration, Function, Module, Parameter
from optc.codegen.llvm.values import (
    Operand,
    Value,
    bit_width,
    byte_size,
    constant,
    element_type,
    is_float,
    like,
    mangled,
    symbol,
    undefined,
    vector_lanes,
    vector_of,
)

__all__ = [
    "CALLS_ONLY",
    "NOALIAS",
    "NOALIAS_READONLY",
    "WRITTEN_OUT",
    "Arm",
    "Block",
    "Builder",
    "Declaration",
    "ForLoop",
    "Function",
    "Module",
    "Operand",
    "Parameter",
    "Value",
    "WhileLoop",
    "bit_width",
    "byte_size",
    "constant",
    "element_type",
    "is_float",
    "like",
    "mangled",
    "symbol",
    "undefined",
    "vector_lanes",
    "vector_of",
]

NOALIAS_READONLY = "noalias readonly nonnull"
NOALIAS = "noalias nonnull"


# Constructs ------------------------------------------------------------------------------------------------------


class _Yielding:
    """What loops and arms share: values handed over once, types checked."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._yielded: list[Value] | None = None

    def yield_(self, values: Sequence[Value]) -> None:
        """Hand over the values that the next iteration, or the code behind the construct, continues with.

        Raises: ValueError on a second call.
        """
        if self._yielded is not None:
            raise ValueError(f"{self._what} yields twice")
        self._yielded = list(values)


class ForLoop(_Yielding):
    """A counted loop; see `Builder.for_loop`."""

    def __init__(self, index: Value, carried: list[Value]) -> None:
        super().__init__("a for loop")
        self.index = index
        self.carried = carried
        self._results: list[Value] | None = None

    @property
    def results(self) -> list[Value]:
        """The carried values after the loop.  Raises: ValueError inside of it."""
        if self._results is None:
            raise ValueError("the results of a loop exist only behind it")
        return self._results


class WhileLoop(_Yielding):
    """A loop that runs while a condition holds; see `Builder.while_loop`."""

    def __init__(self, builder: InstructionWriter, carried: list[Value], exit_block: Block) -> None:
        super().__init__("a while loop")
        self._builder = builder
        self._exit = exit_block
        self._tested = False
        self.carried = carried

    @property
    def results(self) -> list[Value]:
        """The carried values as they were when the condition failed."""
        return self.carried

    def while_(self, condition: Value) -> None:
        """Leave the loop unless `condition` (i1) holds.  Must be called exactly once, before `yield_`."""
        if self._tested:
            raise ValueError("a while loop tests twice")
        self._tested = True
        body = self._builder.new_block("while.body")
        self._builder.cond_br(condition, body, self._exit)
        self._builder.position_at_end(body)


class Arm(_Yielding):
    """One side of `Builder.if_then_else`; a context manager."""

    def __init__(self, builder: InstructionWriter, block: Block, merge: Block) -> None:
        super().__init__("an arm")
        self._builder = builder
        self._block = block
        self._merge = merge
        self._entered = False
        self._count = 0
        self.incoming: list[tuple[list[Value], str]] = []
        self.other: Arm | None = None
        self._results: list[Value] | None = None

    def __enter__(self) -> Self:
        self._entered = True
        self._count = len(self._builder.computed)
        self._builder.position_at_end(self._block)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._builder.forget_since(self._count)
        if kind is not None or self._builder.block.terminated:
            return
        self.incoming.append((self._yielded or [], self._builder.block.label))
        self._builder.br(self._merge)

    @property
    def entered(self) -> bool:
        return self._entered

    @property
    def results(self) -> list[Value]:
        """The merged values behind the construct (the same from both arms)."""
        if self._results is None:
            raise ValueError("the results of an if exist only behind it")
        return self._results

    def merge_results(self, results: list[Value]) -> None:
        self._results = results


# Builder ---------------------------------------------------------------------------------------------------------


class Builder(InstructionWriter):
    """Writes instructions into a function.  A new builder of an empty function starts its entry block.

    `InstructionWriter` has the instructions; here are the loops and branches.
    """

    @contextmanager
    def for_loop(
        self, start: Operand, stop: Operand, step: Operand = 1, *, carried: Sequence[Value] = (), nonempty: bool = False
    ) -> Iterator[ForLoop]:
        """`for index in range(start, stop, step)` over i64, `step` > 0 (a negative Python number counts down).

        `carried` are the values that change: `loop.carried` inside, `loop.yield_` once at the end of the body,
        `loop.results` behind.  `nonempty` promises at least one iteration and saves the guard.
        `stop + step` must not overflow.
        """
        first, last, stride = (self._operand("i64", operand) for operand in (start, stop, step))
        predicate = "sgt" if isinstance(step, int) and step < 0 else "slt"
        body, after = self.new_block("for"), self.new_block("for.end")
        skipped = self._enter_loop(predicate, first, last, body, after, nonempty)
        before = self.block
        self.position_at_end(body)
        count = len(self.computed)
        index = self.open_phi("i64")
        phis = [self.open_phi(value.type) for value in carried]
        loop = ForLoop(index.result, [phi.result for phi in phis])
        yield loop
        yielded = self._yielded(loop, carried)
        following = self.add(index.result, stride, wrap="nsw")
        again = self.icmp(predicate, following, last)
        latch = self.block
        index.incoming += [(first, before.label), (following, latch.label)]
        for phi, initial, value in zip(phis, carried, yielded, strict=True):
            phi.incoming += [(initial, before.label), (value, latch.label)]
        self.cond_br(again, body, after, self.module.loop_metadata())
        self.forget_since(count)
        self.position_at_end(after)
        loop._results = [
            self._loop_result(initial, value, before if skipped else None, latch)
            for initial, value in zip(carried, yielded, strict=True)
        ]

    def _enter_loop(self, predicate: str, first: Value, last: Value, body: Block, after: Block, nonempty: bool) -> bool:
        """Branches into the loop; returns whether the loop may be skipped."""
        if nonempty or _known_nonempty(predicate, first, last):
            self.br(body)
            return False
        self.cond_br(self.icmp(predicate, first, last), body, after)
        return True

    def _loop_result(self, initial: Value, value: Value, before: Block | None, latch: Block) -> Value:
        phi = self.open_phi(value.type)
        if before is not None:
            phi.incoming.append((initial, before.label))
        phi.incoming.append((value, latch.label))
        return phi.result

    def _yielded(self, construct: _Yielding, carried: Sequence[Value]) -> list[Value]:
        yielded = construct._yielded if construct._yielded is not None else []
        if [value.type for value in yielded] != [value.type for value in carried]:
            raise TypeError(
                f"{construct._what} carries {[str(v) for v in carried]} and yields {[str(v) for v in yielded]}"
            )
        return yielded

    @contextmanager
    def while_loop(self, carried: Sequence[Value] = ()) -> Iterator[WhileLoop]:
        """A loop with its test anywhere: compute a condition, `loop.while_(condition)`, body, `loop.yield_(...)`."""
        header, after = self.new_block("while"), self.new_block("while.end")
        before = self.block
        self.br(header)
        self.position_at_end(header)
        count = len(self.computed)
        phis = [self.open_phi(value.type) for value in carried]
        loop = WhileLoop(self, [phi.result for phi in phis], after)
        yield loop
        if not loop._tested:
            raise ValueError("a while loop without a test")
        yielded = self._yielded(loop, carried)
        for phi, initial, value in zip(phis, carried, yielded, strict=True):
            phi.incoming += [(initial, before.label), (value, self.block.label)]
        self._terminate(f"br label %{header.label}, {self.module.loop_metadata()}")
        self.forget_since(count)
        self.position_at_end(after)

    @contextmanager
    def if_then(self, condition: Value, *, likely: bool | None = None) -> Iterator[None]:
        """Runs the body where `condition` (i1) holds.  The body may end with a terminator of its own."""
        then, after = self.new_block("then"), self.new_block("end")
        self.cond_br(condition, then, after, "" if likely is None else self.module.branch_weights(likely))
        self.position_at_end(then)
        count = len(self.computed)
        yield
        self.forget_since(count)
        if not self.block.terminated:
            self.br(after)
        self.position_at_end(after)

    @contextmanager
    def if_then_else(self, condition: Value, *, likely: bool | None = None) -> Iterator[tuple[Arm, Arm]]:
        """Two arms, each to be entered with `with`; what both yield is merged into `results`."""
        blocks = [self.new_block(hint) for hint in ("then", "else", "endif")]
        self.cond_br(condition, blocks[0], blocks[1], "" if likely is None else self.module.branch_weights(likely))
        then, otherwise = Arm(self, blocks[0], blocks[2]), Arm(self, blocks[1], blocks[2])
        yield then, otherwise
        for arm in (then, otherwise):
            if not arm.entered:
                with arm:
                    pass
        self.position_at_end(blocks[2])
        self._merge([*then.incoming, *otherwise.incoming], then, otherwise)

    def choose(
        self,
        condition: Value,
        value: Callable[[], Value],
        other: Callable[[], Value],
        *,
        likely: bool | None = None,
    ) -> Value:
        """What `value` emits where the condition holds, what `other` emits where it does not; the rest does not run."""
        with self.if_then_else(condition, likely=likely) as (then, otherwise):
            with then:
                then.yield_([value()])
            with otherwise:
                otherwise.yield_([other()])
        return then.results[0]

    def _merge(self, incoming: list[tuple[list[Value], str]], then: Arm, otherwise: Arm) -> None:
        if not incoming:
            self.unreachable()
            return
        shapes = [[value.type for value in values] for values, _ in incoming]
        if shapes[0] != shapes[-1]:
            raise TypeError(f"the arms of an if yield {shapes[0]} and {shapes[-1]}")
        results: list[Value] = []
        for position, type_ in enumerate(shapes[0]):
            phi = self.open_phi(type_)
            phi.incoming += [(values[position], label) for values, label in incoming]
            results.append(phi.result)
        then.merge_results(results)
        otherwise.merge_results(results)


def _known_nonempty(predicate: str, first: Value, last: Value) -> bool:
    try:
        start, stop = int(first.name), int(last.name)
    except ValueError:
        return False
    return start > stop if predicate == "sgt" else start < stop
