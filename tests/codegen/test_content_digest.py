"""Digests of large contents: every byte counts, and vectors of every width give the same."""

from __future__ import annotations

import ctypes
import hashlib

import numpy as np
import pytest

from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, GENERIC, Target
from optc.codegen.process.content_digest import BLOCK_BYTES, KEY_BYTES, SUMS, content_digest
from optc.codegen.process.content_sums import content_sums_module

SIZE = (64 << 10) + 3 * BLOCK_BYTES + 17
CONTENT = np.random.default_rng(0).integers(0, 256, SIZE, np.uint8)
KEY = np.frombuffer(hashlib.shake_256(b"content_sums").digest(KEY_BYTES), np.uint32)


def digest_with(place: int, value: int) -> bytes:
    changed = CONTENT.copy()
    changed[place] = value
    return content_digest(changed.data)


@pytest.mark.parametrize("place", [0, 1, 7, 8, 1023, 1024, 40_000, SIZE - 18, SIZE - 17, SIZE - 1])
def test_every_byte_counts(place: int) -> None:
    original = content_digest(CONTENT.data)
    assert content_digest(CONTENT.copy().data) == original
    assert all(digest_with(place, int(CONTENT[place]) ^ (1 << bit)) != original for bit in range(8))


def test_blocks_and_words_that_change_places_count() -> None:
    blocks = CONTENT[: 64 * BLOCK_BYTES].reshape(64, BLOCK_BYTES)
    words = blocks.view(np.uint32)
    orders = [blocks, blocks[::-1], words[:, ::-1], words.reshape(64, -1, 2)[:, :, ::-1], words[:, np.r_[2:256, :2]]]
    assert len({content_digest(np.ascontiguousarray(order).reshape(-1).view(np.uint8).data) for order in orders}) == 5


def test_lengths_count() -> None:
    zeros = np.zeros(SIZE + 3000, np.uint8)
    assert len({content_digest(zeros[:length].data) for length in range(SIZE, SIZE + 3000, 500)}) == 6


def sums_by_definition(data: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    words = data.view(np.uint32).reshape(-1, BLOCK_BYTES // 8, 2)
    keys = KEY.reshape(SUMS, BLOCK_BYTES // 8, 2)
    masked = (words[:, None] + keys[None]).astype(np.uint64)
    return (masked[..., 0] * masked[..., 1]).sum(-1).reshape(-1)


@pytest.mark.parametrize("target", [jit.host_target(), AVX2, GENERIC], ids=["host", "avx2", "generic"])
def test_sums_are_those_of_the_definition_on_every_processor(target: Target) -> None:
    data = CONTENT[1 : 1 + 5 * BLOCK_BYTES]  # not aligned
    library = jit.link([jit.compile_module(str(content_sums_module()), target)])
    found = np.empty(5 * SUMS, np.uint64)
    pointer = ctypes.c_void_p
    function = ctypes.CFUNCTYPE(None, pointer, ctypes.c_int64, pointer, pointer)(library.address("content_sums"))
    function(data.ctypes.data, 5, KEY.ctypes.data, found.ctypes.data)
    np.testing.assert_array_equal(found, sums_by_definition(data.copy()))
