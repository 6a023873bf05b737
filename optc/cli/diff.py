"""Differences of graph texts that show what changed, not what was renumbered.

Values without names are numbered in the order of definition, so one node that goes renumbers all below it. Before the
two texts are compared, the values of the second get the numbers that the first gives to the values of the same lines;
values that are new get numbers the first does not use.
"""

from __future__ import annotations

import difflib
import re

_NUMBERED = re.compile(r"%(\d+)\b(?!\.)")
_SOURCE = re.compile(r"\s+# .*$")


def graph_diff(before: str, after: str, title: str, context: int = 3) -> str:
    """A unified diff of two graph texts, the second renumbered like the first."""
    old = before.splitlines()
    new = renumbered(old, after.splitlines())
    return "\n".join(difflib.unified_diff(old, new, "before", title, n=context, lineterm=""))


def renumbered(old: list[str], new: list[str]) -> list[str]:
    """The lines of `new`, its numbers replaced by those that `old` uses for the same values."""
    known = matching_numbers(old, new)
    used = {number for line in old for number in _NUMBERED.findall(line)}
    fresh = max(map(int, used), default=-1) + 1
    for line in new:
        for number in _NUMBERED.findall(line):
            if number not in known:
                known[number] = str(fresh)
                fresh += 1
    return [_NUMBERED.sub(lambda found: f"%{known[found[1]]}", line) for line in new]


def matching_numbers(old: list[str], new: list[str]) -> dict[str, str]:
    """Which number of `old` each number of `new` stands for, judged by the lines that define them."""
    matcher = difflib.SequenceMatcher(None, [_shape(line) for line in old], [_shape(line) for line in new], False)
    known: dict[str, str] = {}
    taken: set[str] = set()
    lines = [
        (new[block.b + offset], old[block.a + offset])
        for block in matcher.get_matching_blocks()
        for offset in range(block.size)
    ]
    for mine, theirs in (pair for line in lines for pair in zip(*map(_defined, line))):
        if mine not in known and theirs not in taken:
            known[mine] = theirs
            taken.add(theirs)
    return known


def _shape(line: str) -> str:
    """A line without what may differ between two texts of the same node."""
    code = _SOURCE.sub("", line)
    left, separator, right = code.partition(" = ")
    kind = re.sub(r" : .*", "", _NUMBERED.sub("%", left)) if separator else left
    return _NUMBERED.sub("%", f"{kind}{separator}{right}")


def _defined(line: str) -> list[str]:
    left, separator, _ = line.partition(" = ")
    return _NUMBERED.findall(left) if separator or left.lstrip().startswith(("graph(", "block", "%")) else []
