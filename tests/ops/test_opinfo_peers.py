"""PyTorch's own samples of every operator: what the table says is equal stays equal, and nothing is wrong."""

from __future__ import annotations

import pytest

from tests.ops import opinfo

SAMPLES = 6
"""How many of an operator's samples CI tries for an element type: those that the table was made with."""

EAGER_SAMPLES = 4
"""How many are tried of types that are only called eagerly, which takes two minutes of one core."""


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


@pytest.mark.peers
def test_what_was_equal_eagerly_in_other_types_is_equal_and_failing_calls_fail() -> None:
    effort = opinfo.Effort(EAGER_SAMPLES, opinfo.MODES[:1], ("float64", "uint8", "bfloat16", "complex64", "errors"))
    lost = losses(effort)
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


def test_a_table_that_is_replaced_keeps_what_was_not_tried() -> None:
    before = {"add": {"float32": "ESD", "int64": "ESD"}, "sub": {"float32": "E"}}
    now = {"add": {"float32": "E"}, "sub": {"float32": "!"}, "mul": {"float32": "-"}}
    assert opinfo.replaced(before, now) == {
        "add": {"float32": "ESD", "int64": "ESD"}, "sub": {"float32": "!"}, "mul": {"float32": "-"},
    }  # fmt: skip


def test_failing_where_pytorch_fails_is_counted_apart() -> None:
    line = dict.fromkeys(opinfo.DTYPES, "-") | {"float32": "ESD"}
    table = {"add": {**line, "errors": "e"}, "sub": {**line, "errors": "!"}, "mul": line}
    text = opinfo.summary(table)
    assert "3 of 3 operators" in text and "0 wrong" in text and "1 of 2 fail where" in text


def test_an_operator_that_accepts_what_pytorch_refuses_is_wrong() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    from tests.ops import opinfo_judge

    found = opinfo_judge.judge("nonzero_static", 1, ["eager"], ["errors"])["errors"]
    refusing = opinfo_judge.judge("gather", 1, ["eager"], ["errors"])["errors"]["eager"]
    assert not found and refusing.equal and not refusing.wrong
