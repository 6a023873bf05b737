"""Memory for intermediate tensors: one arena whose layout is decided while compiling, heap blocks for runtime sizes."""

from __future__ import annotations

from optc.codegen.llvm import Value
from optc.codegen.process.allocation import ALIGNMENT, PAGE, PAGED
from optc.dataclass import dataclass


@dataclass(eq=False)
class Slot:
    """The memory of one tensor: `bytes` at `offset` of the arena, or a heap block whose address is `owner`.

    What is `borrowed` is one of the buffers of a loop, which the loop itself gives back. What is `foreign` may be the
    memory of an argument or a constant, which nobody writes to.
    """

    bytes: int = 0
    offset: int = 0
    owner: Value | None = None
    borrowed: bool = False
    foreign: bool = False


class Arena:
    """Assigns arena offsets in program order.

    What is released is used again: the most recently released block of the right size, which is still in the cache,
    else the smallest that is large enough, else the end of the arena grows. Big slots start on pages; see `allocation`.
    """

    def __init__(self) -> None:
        self.size = 0
        self._free: list[tuple[int, int]] = []

    def allocate(self, bytes_: int) -> Slot:
        """A slot of at least one cache line."""
        wanted = max(ALIGNMENT, -(-bytes_ // ALIGNMENT) * ALIGNMENT)
        step = PAGE if wanted >= PAGED else ALIGNMENT
        wanted = -(-wanted // step) * step
        fitting = [block for block in self._free if _start(block, step) + wanted <= block[0] + block[1]]
        if not fitting:
            return Slot(wanted, self._grow(wanted, step))
        # `min` takes the first of several: the list goes from the least to the most recently released.
        chosen = min(reversed(fitting), key=lambda block: block[1])
        self._free.remove(chosen)
        offset = _start(chosen, step)
        self._put_aside(offset + wanted, chosen[0] + chosen[1])
        self._put_aside(chosen[0], offset)
        return Slot(wanted, offset)

    def _grow(self, wanted: int, step: int) -> int:
        """The offset of new memory at the end; a free block there becomes part of it."""
        last = next((block for block in self._free if block[0] + block[1] == self.size), (self.size, 0))
        if last in self._free:
            self._free.remove(last)
        offset = _start(last, step)
        self._put_aside(last[0], offset)
        self.size = offset + wanted
        return offset

    def _put_aside(self, start: int, stop: int) -> None:
        """What is left of a block goes to the front of the list: it is not what was used last."""
        if stop > start:
            self._free.insert(0, (start, stop - start))

    def release(self, slot: Slot) -> None:
        """Give a slot back; neighbouring free blocks become one."""
        offset, size = slot.offset, slot.bytes
        for block in list(self._free):
            if block[0] + block[1] == offset:
                self._free.remove(block)
                offset, size = block[0], block[1] + size
            elif offset + size == block[0]:
                self._free.remove(block)
                size += block[1]
        self._free.append((offset, size))


def _start(block: tuple[int, int], step: int) -> int:
    """The first offset in a block that is a multiple of `step`."""
    return -(-block[0] // step) * step
