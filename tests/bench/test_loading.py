"""Loading maps weights from the file: it takes no time and no memory that grow with them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.loading import loading, write_archive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
MEGABYTES = 40


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("loading")
    large, small = folder / "large.pt", folder / "small.pt"
    write_archive(large, MEGABYTES)
    write_archive(small, 1)
    return large, small


def test_no_second_copy_of_the_weights(archives: tuple[Path, Path]) -> None:
    _, own = loading("optc", *archives, turns=1)
    assert own < MEGABYTES * 1e6 / 10


@pytest.mark.peers
def test_five_times_as_fast_as_pytorch(archives: tuple[Path, Path]) -> None:
    pytest.importorskip("torch")
    mine, _ = loading("optc", *archives, turns=3)
    theirs, _ = loading("torch", *archives, turns=3)
    assert theirs > 5 * mine
