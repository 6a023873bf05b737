"""PyTorch's own samples of every operator: what the table says is equal stays equal, and nothing is wrong."""

from __future__ import annotations

import pytest

from tests.ops import opinfo

SAMPLES = 8
"""How many of an operator's samples CI tries for an element type; a divisor of what the table was made with, so that they
are among those."""


def assert_still_equal(samples: int) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    table = opinfo.read_table()
    now = {name: opinfo.cells(outcomes) for name, outcomes in opinfo.sweep(list(table), opinfo.Effort(samples)).items()}
    print(opinfo.table_text(now))
    lost = opinfo.losses(table, now)
    assert not lost, "\n".join(lost)


@pytest.mark.peers
def test_what_was_equal_to_pytorch_is_equal() -> None:
    assert_still_equal(SAMPLES)


@pytest.mark.peers
@pytest.mark.exhaustive
def test_all_samples_of_what_was_equal_are_equal() -> None:
    assert_still_equal(1_000_000)


def test_a_letter_that_is_lost_is_a_loss() -> None:
    line = dict.fromkeys(opinfo.DTYPES, "-")
    before = {"add": {**line, "float32": "ESD", "int64": "Esd", "bool": "E!."}}
    for cell in ("ES.", "ESd", "ES!", "..."):
        assert opinfo.losses(before, {"add": {**before["add"], "float32": cell}}) == [f"add float32: ESD -> {cell}"]
    better = {"add": {**line, "float32": "ESD", "int64": "ESD", "bool": "ESD"}}
    assert not opinfo.losses(before, better)
    assert opinfo.added(before, better) == better
