"""Archives remember the user's own lines: they come back from saving, loading and saving again."""

from __future__ import annotations

import io
import zipfile

import pytest

import optc
from optc import nn
from optc.archive.debug_information import DebugInformation
from optc.archive.debug_writer import debug_information
from optc.errors import ArchiveError, ExecutionError, SourceRange
from optc.jit.code_sources import Place, SourceMarks, visible_length


class Cell(nn.Module):
    def forward(self, x: optc.Tensor) -> optc.Tensor:
        y = optc.relu(optc.neg(x) + 1)  # each operator has a line of its own: ünïcode counts in bytes
        return y.view(7, 3)


def reloaded(module: optc.jit.ScriptModule) -> optc.jit.ScriptModule:
    return optc.jit.load(io.BytesIO(module.save_to_buffer()))


def sources(module: optc.jit.ScriptModule) -> dict[str, str]:
    return {node.kind: str(node.source) for node in module.graph.nodes if not node.kind.startswith("prim::")}


def test_a_scripted_module_keeps_its_lines_however_often_it_is_saved() -> None:
    scripted = optc.jit.script(Cell())
    once = reloaded(scripted)
    assert sources(scripted) == sources(once) == sources(reloaded(once))
    assert sources(once)["aten::add"].startswith(__file__)


def test_errors_quote_the_users_line_and_the_archive() -> None:
    with pytest.raises(ExecutionError) as caught:
        reloaded(reloaded(optc.jit.script(Cell())))(optc.ones(2, 2))
    text = str(caught.value)
    assert "serialized code (most recent call last):" in text and "return torch.view(y, [7, 3])" in text
    assert f'File "{__file__}"' in text and "        return y.view(7, 3)\n               ~~~~~~ <--- HERE" in text


def test_a_trace_shows_the_stack_of_the_call_that_was_traced() -> None:
    traced = optc.jit.trace(Cell(), optc.ones(7, 3))
    with pytest.raises(ExecutionError) as caught:
        reloaded(reloaded(traced))(optc.ones(2, 2))
    assert f"original code (most recent call last):\n{__file__}(" in str(caught.value)
    assert "): forward\n" in str(caught.value)


def test_saving_again_writes_the_same_bytes() -> None:
    once = reloaded(optc.jit.script(Cell()))
    first, second = (zipfile.ZipFile(io.BytesIO(module.save_to_buffer())) for module in (once, reloaded(once)))
    (name,) = (name for name in first.namelist() if name.endswith(".debug_pkl"))
    assert first.read(name) == second.read(name)


def test_marks_tell_the_innermost_source_of_every_byte() -> None:
    outer, inner = (
        SourceRange("a.py", 1, 0, "f(g)", 1, end_column=4),
        SourceRange("a.py", 1, 2, "f(g)", 1, end_column=3),
    )
    marks = SourceMarks()
    text = "é " + marks.around("f(" + marks.around("g", inner) + ")", outer) + "\n"
    assert visible_length(text) == 7
    assert marks.resolve(text) == (
        "é f(g)\n",
        [Place(0, None), Place(3, outer), Place(5, inner), Place(6, outer), Place(7, None)],
    )


def test_what_is_written_is_read() -> None:
    text = "def f(x):\n    ü = x\n    return g(x)\n"
    place = SourceRange("some/file.py", 12, 11, text, 10, end_line=12, end_column=12)
    data = debug_information([Place(0, None), Place(4, place), Place(9, None)])
    assert data is not None
    read = DebugInformation("one\ntwo three\n", lambda: data)
    assert read.original(2, 0) == place
    assert read.original(1, 0) is None and read.original(2, 6) is None


def test_nothing_is_written_of_code_without_sources() -> None:
    assert debug_information([Place(0, None)]) is None


@pytest.mark.parametrize("lines", [2, 20_000])
def test_a_source_is_only_put_together_while_it_is_of_a_bearable_size(lines: int) -> None:
    """A table of lines may be referred to without end: here is one line of a megabyte."""

    def text(value: str) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value.encode()

    table = b"(" + text("a" * (1 << 20)) + text("user.py") + b"t"
    source = b"(](" + b"K\x00" * lines + b"eK\x01K\x01t"
    data = b"\x80\x02(" + text("FORMAT_WITH_STRING_TABLE") + table + b"((K\x00" + source + b"K\x00K\x05ttt."
    found = DebugInformation("x = 1\n", lambda: data).original(1, 0)
    assert (found is not None) == (lines == 2)


def test_debug_information_that_cannot_be_read_is_none() -> None:
    def read() -> bytes:
        raise ArchiveError("the entry is encrypted")

    assert DebugInformation("x = 1\n", read).original(1, 0) is None
