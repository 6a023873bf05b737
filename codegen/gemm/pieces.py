"""The pieces that the driver of a matrix product goes through: what it hands from one loop to the next."""

from __future__ import annotations

from optc.codegen.llvm import Value
from optc.dataclass import dataclass


@dataclass(frozen=True)
class Following:
    """The next panel, to be fetched into the second-level cache while this one is used.

    Every step of K asks for lines at `pointer`, moved by `apart` from step to step; the next tile goes on at `part`.
    """

    pointer: Value
    apart: Value
    part: Value


@dataclass(frozen=True)
class Block:
    """A chunk of rows and a block of K: where they begin, how long they are, and the operands of this batch."""

    batch: Value | None
    a: Value
    b: Value
    c: Value
    start: Value
    stop: Value
    k: Value
    steps: Value
    flags: tuple[Value, ...]


@dataclass(frozen=True)
class Panel:
    """Some columns of B as kernels read them.

    `columns`: how many of them exist, None for all. `floats`: as for kernels. `packed`: more may be read than exist.
    `is_along_k`: vectors run along K.
    """

    pointer: Value
    stride: Value
    column: Value
    vectors: int
    columns: Value | None
    following: Following | None
    lanes: int
    floats: bool = False
    packed: bool = False
    is_along_k: bool = False
