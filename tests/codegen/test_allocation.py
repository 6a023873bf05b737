"""Memory of native code: aligned, handed out again, refused when it cannot be."""

import ctypes
import sys
from collections.abc import Callable, Iterator

import pytest

from optc.codegen.process.allocation import ALIGNMENT, PAGE, PAGED
from optc.codegen.process.context import Context, runtime


@pytest.fixture
def context() -> Iterator[Context]:
    yield Context(0, 0, 0)


def take(context: Context, bytes_: int) -> int:
    function = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(context["allocate"])
    return int(function(context.address, bytes_) or 0)


def give(context: Context, block: int) -> None:
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(context["release"])(context.address, block)


def test_memory_is_aligned_and_may_be_written(context: Context) -> None:
    for bytes_ in (0, 1, 63, 64, 65, 255, 256, 257, 1000, 4096, 70_000, 3 << 20):
        block = take(context, bytes_)
        assert block % 64 == 0
        ctypes.memset(block, 0xAB, bytes_)
        other = take(context, bytes_)
        assert abs(other - block) >= bytes_
        ctypes.memset(other, 0xCD, bytes_)
        assert ctypes.string_at(block, bytes_) == b"\xab" * bytes_
        give(context, block)
        give(context, other)


def test_a_block_is_big_enough_for_every_size_of_its_class(context: Context) -> None:
    """A block that was made for a small size of its class must hold the largest one."""
    for bytes_ in [*range(200, 2200, 7), *(1 << k for k in range(9, 24)), *((1 << k) + 1 for k in range(9, 24))]:
        give(context, take(context, bytes_))
        larger = _largest(bytes_)
        block = take(context, larger)
        _check_room(block, larger)
        give(context, block)


def _largest(bytes_: int) -> int:
    """Sizes are rounded up to four steps per power of two."""
    below = max(bytes_, 256) - 1
    shift = below.bit_length() - 3
    return (below >> shift) + 1 << shift


def _check_room(block: int, bytes_: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    usable: Callable[[int], int] = ctypes.CDLL(None).malloc_usable_size
    usable.restype, usable.argtypes = ctypes.c_size_t, [ctypes.c_void_p]  # type: ignore[attr-defined]
    front = PAGE if bytes_ > PAGED else ALIGNMENT
    assert block % front == 0
    assert usable(block - front) >= bytes_ + front


def test_what_was_given_back_last_is_handed_out_first(context: Context) -> None:
    first, second = take(context, 1000), take(context, 1000)
    give(context, first)
    give(context, second)
    assert [take(context, 900), take(context, 1000)] == [second, first]
    give(context, 0)


def test_blocks_in_use_go_back_in_one_call(context: Context) -> None:
    blocks = [take(context, 1000) for _ in range(5)]
    for block in (blocks[1], blocks[4], blocks[0]):
        give(context, block)
    runtime().give_blocks(context.address)
    runtime().give_blocks(context.address)
    assert sorted(take(context, 1000) for _ in blocks) == sorted(blocks)
    for block in blocks:
        give(context, block)


def test_what_is_not_there_is_refused(context: Context) -> None:
    for bytes_ in (-1, 1 << 62, 1 << 50, (1 << 63) - 1):
        assert take(context, bytes_) == 0
    with pytest.raises(MemoryError, match="bytes of scratch memory"):
        Context(0, 1 << 50, 0)


def test_free_blocks_go_back_to_the_system_with_their_context(context: Context) -> None:
    blocks = [take(context, 1000) for _ in range(5)]
    for block in blocks:
        give(context, block)
    runtime().drop_blocks(context.address)
    given = take(context, 1000)
    assert given
    give(context, given)
