"""Every `.ir` file under `tests/` is a test: see `tests/filecheck.py`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from optc.ir.parser import parse_graph
from optc.ir.text import print_graph

HERE = Path(__file__).parent


def load_filecheck() -> ModuleType:
    specification = importlib.util.spec_from_file_location("filecheck", HERE / "filecheck.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    import sys

    sys.modules["filecheck"] = module
    specification.loader.exec_module(module)
    return module


filecheck = load_filecheck()
FILES = sorted(HERE.glob("passes/*.ir"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_gives_what_it_checks(path: Path) -> None:
    filecheck.FileTest.read(path).check()


def succeeding() -> list[Path]:
    return [path for path in FILES if "# ERROR" not in path.read_text()]


@pytest.mark.parametrize("path", succeeding(), ids=lambda path: path.stem)
def test_running_the_passes_again_changes_nothing(path: Path) -> None:
    test = filecheck.FileTest.read(path)
    graph = test.graph()
    test.run(graph)
    if "functionalize" in test.pipeline:
        return
    again = test.run(graph)
    assert [record.name for record in again if record.changed] == []


@pytest.mark.parametrize("path", succeeding(), ids=lambda path: path.stem)
def test_the_text_of_the_result_reads_back(path: Path) -> None:
    test = filecheck.FileTest.read(path)
    graph = test.graph()
    test.run(graph)
    text = print_graph(graph, exact=True)
    assert print_graph(parse_graph(text), exact=True) == text


@pytest.mark.parametrize("path", succeeding(), ids=lambda path: path.stem)
def test_every_expectation_matters(path: Path) -> None:
    """A file whose output loses its lines one after the other must stop passing."""
    test = filecheck.FileTest.read(path)
    graph = test.graph()
    test.run(graph)
    for place, (kind, pattern, number) in enumerate(test.directives):
        if kind == "CHECK-NOT":
            continue
        broken = list(test.directives)
        broken[place] = (kind, pattern + " of another kind", number)
        with pytest.raises(filecheck.CheckFailure):
            filecheck.check_output(filecheck.printed(graph), broken, path.name)


def directives(*pairs: tuple[str, str]) -> list[tuple[str, str, int]]:
    return [(kind, pattern, number) for number, (kind, pattern) in enumerate(pairs, 1)]


def test_checks_are_found_in_order() -> None:
    filecheck.check_output("a\nb\nc", directives(("CHECK", "a"), ("CHECK", "c")), "t")
    with pytest.raises(filecheck.CheckFailure, match="t:2"):
        filecheck.check_output("a\nb\nc", directives(("CHECK", "c"), ("CHECK", "a")), "t")


def test_next_means_the_next_line() -> None:
    filecheck.check_output("a\nb", directives(("CHECK", "a"), ("CHECK-NEXT", "b")), "t")
    with pytest.raises(filecheck.CheckFailure):
        filecheck.check_output("a\nx\nb", directives(("CHECK", "a"), ("CHECK-NEXT", "b")), "t")


def test_not_forbids_up_to_the_next_match() -> None:
    filecheck.check_output("a\nb\nc", directives(("CHECK", "b"), ("CHECK-NOT", "a")), "t")
    with pytest.raises(filecheck.CheckFailure, match="CHECK-NOT"):
        filecheck.check_output("a\nb\nc", directives(("CHECK-NOT", "b"), ("CHECK", "c")), "t")


def test_variables_keep_what_they_matched() -> None:
    pattern = directives(("CHECK", r"%[[X:\d+]] ="), ("CHECK", "(%[[X]])"))
    filecheck.check_output("%7 = a\nuse(%7)", pattern, "t")
    with pytest.raises(filecheck.CheckFailure):
        filecheck.check_output("%7 = a\nuse(%8)", pattern, "t")
