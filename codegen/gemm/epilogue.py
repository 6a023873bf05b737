"""What happens to the sums of a matrix product between the last multiply-add and the only store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field

from optc.codegen.llvm import Builder, Parameter, Value, element_type
from optc.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column of accumulators belongs: the first row and column in C (i64), `rows` vectors below each other.

    `mask` says which lanes exist (None: all); `extra` are the values of the epilogue's own parameters; `batch` is the
    number of the product in a batch of them (None: there is only one).
    """

    row: Value
    column: Value
    mask: Value | None
    extra: Sequence[Value]
    batch: Value | None = None


Emit = Callable[[Builder, list[Value], Place], list[Value]]


@dataclass(frozen=True)
class Epilogue:
    """What happens to the accumulators before they are stored.

    key: says everything that decides the emitted code, because kernels are shared by it.  parameters: what kernel and
    driver take besides their own arguments.  emit: gets one vector of columns, an accumulator per row, and returns
    the values to store, as they are in memory.  result: the element type of C, "" for that of the matrices.
    operations: roughly how many instructions it takes per vector.
    """

    key: str
    parameters: tuple[Parameter, ...]
    emit: Emit = field(compare=False)
    result: str = ""
    operations: int = field(default=1, compare=False)


PLAIN = Epilogue("", (), lambda b, sums, place: sums, operations=0)
"""Stores the product as it is."""


def _add_bias(b: Builder, sums: list[Value], place: Place) -> list[Value]:
    type_ = sums[0].type
    bias = b.load(type_, b.gep(element_type(type_), place.extra[0], place.column), mask=place.mask)
    return [b.fadd(value, bias, flags="") for value in sums]


BIAS = Epilogue("bias", (Parameter("ptr", "bias", "readonly"),), _add_bias)
"""Adds a row vector; its address is the extra argument."""


def then(first: Epilogue, key: str, function: Callable[[Builder, Value], Value], operations: int = 1) -> Epilogue:
    """`first`, and then a function of every value (an activation)."""

    def emit(b: Builder, sums: list[Value], place: Place) -> list[Value]:
        return [function(b, value) for value in first.emit(b, sums, place)]

    return Epilogue(
        f"{first.key}+{key}", first.parameters, emit, first.result, first.operations + operations
    )  # fmt: skip
