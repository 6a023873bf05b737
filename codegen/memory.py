"""Memory for intermediate tensors: one arena whose layout is decided while compiling, heap blocks for runtime sizes."""

from __future__ import annotations

from dataclasses import dataclass

from optc.codegen.llvm import Value

ALIGNMENT = 64


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
    """Assigns arena offsets in program order; what is released is used again, most recently released first."""

    def __init__(self) -> None:
        self.size = 0
        self._free: list[tuple[int, int]] = []

    def allocate(self, bytes_: int) -> Slot:
        """A slot of at least one cache line."""
        wanted = max(ALIGNMENT, -(-bytes_ // ALIGNMENT) * ALIGNMENT)
        for place in reversed(range(len(self._free))):
            offset, size = self._free[place]
            if size >= wanted:
                self._free.pop(place)
                if size > wanted:
                    self._free.append((offset + wanted, size - wanted))
                return Slot(wanted, offset)
        slot = Slot(wanted, self.size)
        self.size += wanted
        return slot

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
