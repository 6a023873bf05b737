"""Strings of TorchScript are bytes: every operator on text does what PyTorch's does, beyond ASCII too."""

from __future__ import annotations

import random
from typing import Any

import pytest

import optc
from optc.ops import registry
from optc.ops.registry import Operator

PROGRAM = """
def characters(x: str) -> str:
    kept: List[str] = []
    for c in x:
        kept.append(c)
    assert len(kept) == len(x)
    return "".join(kept) + "{}".format(list(x)[0])
def first(x: str) -> str:
    return x[0]
def counted(x: str) -> int:
    return len(x) + ord(x[-1])
def repeated(n: int) -> List[bool]:
    return [True] * n
"""


def test_characters_are_bytes_and_are_text_again_when_joined() -> None:
    unit = optc.jit.CompilationUnit(PROGRAM)
    for program in (unit.characters, optc.compile(unit.characters, fallback="allow")):
        assert program("aé日") == "aé日a"
    assert unit.counted("é") == 2 + 0xA9


def test_a_part_of_a_character_is_no_text_for_python() -> None:
    unit = optc.jit.CompilationUnit(PROGRAM)
    for program in (unit.first, optc.compile(unit.first, fallback="allow")):
        assert program("ab") == "a"
        for _ in range(2):
            with pytest.raises(UnicodeDecodeError):
                program("é")


def test_a_list_is_not_repeated_less_than_never() -> None:
    unit = optc.jit.CompilationUnit(PROGRAM)
    for program in (unit.repeated, optc.compile(unit.repeated, fallback="allow")):
        assert program(2) == [True, True]
        with pytest.raises(optc.errors.ExecutionError, match="vector::reserve"):
            program(-1)


ASCII, BEYOND = "abAB01 \t\n\r._-%{}\x0b\x0c\x1c\x1f\x7f", "aé€😀ß \u2028\x85B\n"
SAMPLES = {
    "Int": ["1", " 2", "3 ", "1.5", "0x10", "1_0", "", "-4", "+4", "12abc", str(2**63 - 1), str(2**63), "--1"],
    "Float": ["1", " 2", "3 ", ".5", "5.", "0x1p3", "1e400", "1e-400", "-inf", "NaN", "1.5abc", "1_0", ""],
    "ord": ["a", "é", "", "ab"],
}
FILLED = ("center", "ljust", "rjust")
SEARCHING = ("find", "rfind", "index", "rindex", "count", "startswith", "endswith", "split", "rsplit", "replace",
             "partition", "rpartition")  # fmt: skip


def text_operators() -> list[Operator]:
    known = {"str", "int", "bool", "Optional[int]", "Optional[str]", "List[str]"}
    return [
        operator
        for operator in registry.all_operators()
        if operator.schema.name.startswith("aten::")
        and operator.schema.name not in ("aten::device", "aten::warn")
        and [argument.type.annotation for argument in operator.schema.arguments][:1] == ["str"]
        and {argument.type.annotation for argument in operator.schema.arguments} <= known
        and not operator.schema.is_variadic
    ]


def sample(operator: Operator, draw: random.Random, alphabet: str) -> list[Any]:
    name = operator.schema.name.removeprefix("aten::")
    if name in SAMPLES:
        return [draw.choice(SAMPLES[name])]
    makers = {
        "str": lambda: "".join(draw.choices(alphabet, k=draw.choice([0, 1, 1, 2, 3, 5, 8]))),
        "int": lambda: draw.choice([-3, -1, -1, 0, 1, 2, 3, 5, 10]),
        "bool": lambda: draw.random() < 0.5,
        "Optional[int]": lambda: draw.choice([None, -2, 0, 1, 3]),
        "Optional[str]": lambda: draw.choice([None, "a", " ", "b0"]),
        "List[str]": lambda: ["".join(draw.choices(alphabet, k=2)) for _ in range(draw.choice([0, 1, 2, 3]))],
    }
    values = [makers[argument.type.annotation]() for argument in operator.schema.arguments]
    if name in FILLED:
        values[1:] = [abs(values[1]), draw.choice(["x", " ", "é", "xy", ""])]
    if name in SEARCHING and isinstance(values[1], str):
        values[1] = draw.choice(["a", "B", "aa", "0", "é", " ", values[1] or "b", values[0][:2] or "c"])
    return values


def outcome(function: Any, values: list[Any]) -> Any:
    """The result, as bytes; an error is an error whatever it says."""
    try:
        result = function(*values)
    except UnicodeDecodeError:
        return "a part of a character"
    except (RuntimeError, IndexError, ValueError):
        return "error"
    try:
        str(result).encode()
    except UnicodeEncodeError:
        return "a part of a character"
    pieces = "".join(result) if isinstance(result, list | tuple) else result if isinstance(result, str) else ""
    return "a part of a character" if any("\udc80" <= c <= "\udcff" for c in pieces) else repr(result)


@pytest.mark.peers
@pytest.mark.parametrize("operator", text_operators(), ids=lambda operator: operator.name)
def test_every_operator_on_text_does_what_torchs_does(operator: Operator) -> None:
    torch = pytest.importorskip("torch")
    theirs = getattr(getattr(torch.ops.aten, operator.schema.name.removeprefix("aten::")),
                     operator.schema.overload or "default")  # fmt: skip
    draw = random.Random(operator.name)
    for alphabet in (ASCII, BEYOND):
        for _ in range(60):
            values = sample(operator, draw, alphabet)
            assert outcome(operator.reference, values) == outcome(theirs, values), values
