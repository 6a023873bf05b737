"""What is asked of the analysis of memory for every value of a program."""

from __future__ import annotations

import sys
from typing import Any

from optc.ir.parser import parse_graph
from optc.passes.aliasing import Aliasing


def questions(writes: int) -> tuple[list[bool], int]:
    """Which values of a chain of tensors, every second of which is written to, may be written; how many calls it takes."""
    lines = ["graph(%x : Tensor):", "  %one : int = prim::Constant[value=1]()", "  %v0 : Tensor = aten::neg(%x)"]
    for number in range(writes):
        lines += [
            f"  %w{number} : Tensor = aten::add_(%v{number}, %x, %one)",
            f"  %u{number} : Tensor = aten::neg(%x)",
            f"  %v{number + 1} : Tensor = aten::neg(%w{number})",
        ]
    graph = parse_graph("\n".join([*lines, f"  return (%v{writes})"]))
    aliasing = Aliasing(graph)
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        answers = [aliasing.written(place.storage) for place in aliasing.places.values()]
    finally:
        sys.setprofile(None)
    return answers, calls


def test_asking_of_every_value_takes_time_in_proportion_to_their_number() -> None:
    (few, some), (many, more) = questions(40), questions(160)
    assert (sum(few), sum(many)) == (80, 320)
    assert len(many) - len(few) == 3 * 120
    assert more < 5 * some
