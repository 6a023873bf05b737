"""PyTorch's own samples of every operator: what the table says is equal stays equal, and nothing is wrong."""

from __future__ import annotations

import pytest

from tests.ops import opinfo

SAMPLES = 6
"""How many of an operator's samples CI tries for an element type: those that the table was made with."""


def losses(effort: opinfo.Effort) -> list[str]:
    """What the table has and a sweep has not; prints what the sweep found."""
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    table = opinfo.read_table()
    now = {name: opinfo.cells(outcomes) for name, outcomes in opinfo.sweep(list(table), effort).items()}
    print(opinfo.table_text(now))
    return opinfo.losses(table, now)


@pytest.mark.peers
def test_what_was_equal_to_pytorch_is_equal() -> None:
    lost = losses(opinfo.Effort(SAMPLES, dtypes=opinfo.REQUIRED))
    assert not lost, "\n".join(lost)


@pytest.mark.exhaustive
def test_no_sample_of_any_type_is_wrong() -> None:
    wrong = [lost for lost in losses(opinfo.Effort(1_000_000)) if "!" in lost]
    assert not wrong, "\n".join(wrong)


def test_a_letter_that_is_lost_is_a_loss() -> None:
    line = dict.fromkeys(opinfo.DTYPES, "-")
    before = {"add": {**line, "float32": "ESD", "int64": "Esd", "bool": "E!."}}
    for cell in ("ES.", "ESd", "ES!", "..."):
        assert opinfo.losses(before, {"add": {**before["add"], "float32": cell}}) == [f"add float32: ESD -> {cell}"]
    better = {"add": {**line, "float32": "ESD", "int64": "ESD", "bool": "ESD"}}
    assert not opinfo.losses(before, better)
    assert opinfo.added(before, better) == better
