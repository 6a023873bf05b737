"""Where intermediate tensors lie in the arena: never two at one place, hot memory again, little of it."""

import random
from itertools import pairwise

import pytest

from optc.codegen.driver.memory import Arena, Slot
from optc.codegen.process.allocation import PAGE, PAGED


def test_what_was_released_last_is_used_first() -> None:
    arena = Arena()
    first, between, second, after = (arena.allocate(256) for _ in range(4))
    arena.release(first)
    arena.release(second)
    assert arena.allocate(256).offset == second.offset
    assert arena.allocate(256).offset == first.offset
    assert arena.size == after.offset + after.bytes
    assert between.offset == 256


def test_a_block_of_the_right_size_is_preferred_to_a_larger_one() -> None:
    arena = Arena()
    small, _, large, _ = (arena.allocate(size) for size in (256, 64, 1024, 64))
    arena.release(small)
    arena.release(large)
    assert arena.allocate(200).offset == small.offset
    assert arena.allocate(1000).offset == large.offset


def test_free_memory_at_the_end_grows() -> None:
    arena = Arena()
    arena.allocate(64)
    last = arena.allocate(256)
    arena.release(last)
    assert arena.allocate(1024).offset == last.offset
    assert arena.size == 64 + 1024


def test_neighbours_become_one() -> None:
    arena = Arena()
    slots = [arena.allocate(128) for _ in range(4)]
    for slot in (slots[0], slots[2], slots[1]):
        arena.release(slot)
    assert arena.allocate(384).offset == 0


def test_big_slots_start_on_pages() -> None:
    arena = Arena()
    sizes = [64, PAGED, 100, PAGED + 1, 5000, 3 * PAGED, 64]
    slots = [arena.allocate(size) for size in sizes]
    assert all(slot.offset % PAGE == 0 for slot, size in zip(slots, sizes) if size >= PAGED)
    assert arena.size <= sum(sizes) + 6 * PAGE


@pytest.mark.parametrize("seed", range(20))
def test_live_slots_never_overlap(seed: int) -> None:
    generator = random.Random(seed)
    arena = Arena()
    live: list[Slot] = []
    most = 0
    for _ in range(300):
        if live and generator.random() < 0.5:
            arena.release(live.pop(generator.randrange(len(live))))
            continue
        size = generator.choice([1, 64, 100, 4096, 5000, PAGED, PAGED + 1, 200_000])
        slot = arena.allocate(size)
        assert slot.bytes >= size
        assert slot.offset % 64 == 0
        assert slot.offset + slot.bytes <= arena.size
        live.append(slot)
        places = sorted((one.offset, one.offset + one.bytes) for one in live)
        assert all(stop <= start for (_, stop), (start, _) in pairwise(places))
        most = max(most, sum(one.bytes for one in live))
    for slot in live:
        arena.release(slot)
    assert arena.allocate(arena.size).offset == 0
    assert arena.size < 3 * most
