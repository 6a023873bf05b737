"""Memory for constants: aligned, zero, nobody else's, and on huge pages where the system has them."""

import gc
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from optc.codegen.process.constant_memory import HUGE_PAGE, ConstantMemory, constant_zeros

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is mapped on Linux")


def test_memory_is_aligned_zero_and_of_the_type_that_was_asked_for() -> None:
    for count in (1, 100, 16_384, 100_001, 3 << 20):
        for dtype in (np.dtype(np.float32), np.dtype(np.int8)):
            array = constant_zeros(count, dtype)
            assert (array.size, array.dtype, array.ctypes.data % 64) == (count, dtype, 0)
            assert not array.any()


@LINUX
def test_no_two_pieces_share_memory() -> None:
    memory = ConstantMemory()
    pieces = [memory.zeros(size) for size in (1, 64, 65, HUGE_PAGE - 64, HUGE_PAGE, HUGE_PAGE + 1, 5 << 20, 100)]
    for number, piece in enumerate(pieces):
        assert not piece.any()
        piece[:] = number + 1
    assert all((piece == number + 1).all() for number, piece in enumerate(pieces))


@LINUX
def test_small_pieces_share_what_is_mapped_and_outlive_each_other() -> None:
    memory = ConstantMemory()
    first, second = memory.zeros(1000), memory.zeros(1000)
    assert second.ctypes.data - first.ctypes.data == 1024
    second[:] = 7
    del first
    memory.zeros(HUGE_PAGE)
    gc.collect()
    assert (second == 7).all()


@LINUX
def test_threads_get_pieces_of_their_own() -> None:
    memory, pieces = ConstantMemory(), []

    def take() -> None:
        pieces.extend(memory.zeros(4096) for _ in range(300))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({piece.ctypes.data for piece in pieces}) == 1200


@LINUX
def test_memory_is_given_back() -> None:
    def mapped() -> int:
        return int(Path("/proc/self/statm").read_text().split()[0]) * 4096

    memory = ConstantMemory()
    before = mapped()
    piece = memory.zeros(100 << 20)
    assert mapped() - before >= 100 << 20
    del piece
    memory.zeros(HUGE_PAGE)
    gc.collect()
    assert mapped() - before < 16 << 20


@LINUX
def test_too_much_is_refused_by_name() -> None:
    with pytest.raises(MemoryError, match="bytes of constants"):
        ConstantMemory().zeros(1 << 60)


@LINUX
@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage/enabled").exists()
    or "[never]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(),
    reason="this system has no huge pages for the asking",
)
def test_memory_asks_for_huge_pages() -> None:
    piece = ConstantMemory().zeros(8 << 20)
    address = piece.ctypes.data
    flags, inside = "", False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first:
            start, stop = (int(part, 16) for part in first.split("-"))
            inside = start <= address < stop
        elif inside and first == "VmFlags:":
            flags = line
    assert "hg" in flags.split()
