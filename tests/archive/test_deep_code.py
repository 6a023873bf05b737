"""Chains of `elif`s become branches inside of branches: code in archives is deeper than Python's parser goes."""

from __future__ import annotations

import ast
import io

import pytest

import optc
from optc.archive.deep_code import parse
from optc.errors import ArchiveError, ExecutionError
from tests.archive.handmade import EMPTY_OBJECT, archive

HEAD = "class M(Module):\n  def forward(self: __torch__.M,\n    n: int) -> int:\n"


def chain(length: int) -> str:
    """Branches for 0, 1, 2 ..., each in the other side of the one before; the last side raises."""
    lines = []
    for number in range(length):
        indent = "    " + "  " * number
        lines += [f"{indent}if torch.eq(n, {number}):", f"{indent}  r{number} = torch.mul(n, 10)", f"{indent}else:"]
    deepest = "    " + "  " * length
    lines += [f'{deepest}ops.prim.RaiseException("no such number")', f"{deepest}r{length} = n"]
    for number in reversed(range(length)):
        lines.append(f"{'    ' + '  ' * number}  r{number} = r{number + 1}")
    return "\n".join([*lines, "    return r0", ""])


def loaded(length: int) -> optc.jit.ScriptModule:
    return optc.jit.load(io.BytesIO(archive({"__torch__.py": HEAD + chain(length)}, EMPTY_OBJECT)))


@pytest.mark.parametrize("length", [20, 85, 130])
def test_chains_of_any_length_run_and_go_back(length: int) -> None:
    module = loaded(length)
    again = optc.jit.load(io.BytesIO(module.save_to_buffer()))
    for number in (0, length // 2, length - 1):
        assert module(number) == again(number) == 10 * number


def test_errors_name_the_place_in_the_whole_text() -> None:
    with pytest.raises(ExecutionError, match=f"line {3 + 3 * 130 + 1}, in forward"):
        loaded(130)(500)


def test_places_are_those_of_the_whole_text() -> None:
    text = "def f(n):\n" + "\n".join(f"{'  ' * depth}if n:" for depth in range(1, 99)) + f"\n{'  ' * 99}n = other(n)\n"
    with pytest.raises(IndentationError):
        ast.parse(f"{text}{'  ' * 99}if n:\n{'  ' * 100}pass\n")
    tree = parse(f"{text}{'  ' * 99}if n:\n{'  ' * 100}pass\n")
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    assert (call.lineno, call.col_offset, call.end_col_offset) == (100, 2 * 99 + 4, 2 * 99 + 12)


def test_what_is_too_deep_for_anything_is_refused() -> None:
    for text in (chain(900), chain(120) + "__cut_out_7\n"):
        with pytest.raises((ArchiveError, IndentationError)):
            optc.jit.load(io.BytesIO(archive({"__torch__.py": HEAD + text}, EMPTY_OBJECT)))(1)
