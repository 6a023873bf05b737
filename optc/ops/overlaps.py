"""Memory that an operator writes while it reads it too, or writes more than once: what of that PyTorch refuses."""

from __future__ import annotations

from enum import Enum
from typing import Final

from optc.dataclass import dataclass


class Overlap(Enum):
    """What an operator that writes allows: of the memory it reads, and of elements that share a place."""

    ALIGNED = "what it reads is elsewhere, or the very elements it writes, and every place is written once"
    APART = "what it reads is elsewhere, and every place is written once"
    ONCE = "every place is written once"
    ANY = "anything"


READS_WRITTEN: Final = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
    "location. Please clone() the tensor before performing the operation."
)
WRITES_TWICE: Final = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)


@dataclass(frozen=True, slots=True)
class Region:
    """Where the elements of a tensor lie: strides in elements, the first byte, the bytes of an element."""

    extents: tuple[int, ...]
    strides: tuple[int, ...]
    start: int
    width: int

    @property
    def has_no_gaps(self) -> bool:
        """True where the elements lie next to each other, in whatever order of dimensions."""
        expected = 1
        for stride, extent in sorted((s, e) for s, e in zip(self.strides, self.extents) if e != 1):
            if stride != expected:
                return False
            expected *= extent
        return True

    @property
    def stop(self) -> int:
        """The byte behind the last element, where there are no gaps."""
        count = 1
        for extent in self.extents:
            count *= extent
        return self.start + count * self.width


def is_refused(overlap: Overlap, written: Region, read: Region) -> bool:
    """True where PyTorch refuses to read one region while it writes the other. It looks at regions without gaps only."""
    if overlap in (Overlap.ONCE, Overlap.ANY) or 0 in written.extents or 0 in read.extents:
        return False
    if not (written.has_no_gaps and read.has_no_gaps):
        return False
    if written.start >= read.stop or read.start >= written.stop:
        return False
    return overlap is Overlap.APART or not _are_the_same(written, read)


def _are_the_same(one: Region, other: Region) -> bool:
    if one.start != other.start or one.stop != other.stop or len(one.extents) != len(other.extents):
        return False
    pairs = zip(one.strides, other.strides, one.extents, other.extents)
    return all(mine == theirs for mine, theirs, *extents in pairs if extents != [1, 1])


def may_repeat(strides: tuple[int, ...], extents: tuple[int, ...]) -> bool:
    """True where several elements may share a place although no stride is 0: windows that overlap."""
    reach = 0
    for stride, extent in sorted((abs(s), e) for s, e in zip(strides, extents) if e > 1):
        if stride <= reach:
            return True
        reach += stride * (extent - 1)
    return False
