"""Where values live while native code runs.

A tensor is either in registers (small, shape known: `RegisterTensor`) or in memory (`MemoryTensor`: any shape, any
strides, extents known or computed). Scalars are single LLVM values; tuples and lists whose length is known are Python
tuples of native values.
"""

from __future__ import annotations

from typing import TypeAlias

from optc.codegen.llvm import Value
from optc.dataclass import dataclass
from optc.ir.dims import Dim, multiply, product
from optc.ir.dtypes import DType
from optc.ir.types import TensorType


@dataclass(frozen=True)
class Scalar:
    """An int (i64), float (double) or bool (i1)."""

    value: Value


@dataclass(frozen=True)
class RegisterTensor:
    """A row-major tensor in vector registers: `lanes` elements per vector, the last vector padded.

    `lanes` is 0 for a single element held as a scalar; what the padding holds is unspecified.
    """

    dtype: DType
    shape: tuple[int, ...]
    lanes: int
    vectors: tuple[Value, ...]

    @property
    def count(self) -> int:
        """The number of elements."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


@dataclass(frozen=True)
class MemoryTensor:
    """A strided tensor in memory; sizes and strides are in elements, numbers or symbols of the program."""

    dtype: DType
    pointer: Value
    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]

    @property
    def is_contiguous(self) -> bool:
        """True when the elements lie row-major without gaps, whatever the symbols are."""
        return all(
            stride == expected or extent == 1
            for extent, stride, expected in zip(self.shape, self.strides, contiguous_strides(self.shape))
        )


@dataclass(frozen=True)
class Folded:
    """A matrix whose rows are the first `rows` dimensions of a tensor in memory, and its columns the others: a view
    that strides cannot say, and a product can read (see `codegen/gemm/windows.py`). Whoever else wants it gets a copy."""

    memory: MemoryTensor
    rows: int
    shape: tuple[Dim, ...]


@dataclass(frozen=True)
class NoneValue:
    """The value None."""


@dataclass(frozen=True)
class Aggregate:
    """A tuple, or a list whose length is known while compiling."""

    items: tuple[Native, ...]
    is_list: bool = False


@dataclass(frozen=True)
class Text:
    """A string constant; only error messages use it."""

    value: str


Native: TypeAlias = Scalar | RegisterTensor | MemoryTensor | Folded | NoneValue | Aggregate | Text


def contiguous_strides(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """Row-major strides."""
    strides: list[Dim] = []
    step: Dim = 1
    for extent in reversed(shape):
        strides.append(step)
        step = multiply(step, extent)
    return tuple(reversed(strides))


REGISTER_ELEMENTS = 64
"""A tensor with at most so many elements may live in registers."""


def fits_registers(type_: TensorType) -> bool:
    """True for tensors small enough, and known well enough, to live in registers."""
    if not type_.is_static or type_.shape is None:
        return False
    count = product(type_.shape)
    return isinstance(count, int) and 0 < count <= REGISTER_ELEMENTS


def register_lanes(count: int) -> int:
    """How many lanes the vectors of a tensor of `count` elements have: a power of two up to 16, 0 for one element."""
    if count == 1:
        return 0
    return min(16, 1 << (count - 1).bit_length())
