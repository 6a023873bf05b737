"""The text of definitions, read off the tree of their file, is what `inspect` reads."""

import functools
import importlib.util
import inspect
import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from optc.errors import ScriptError
from optc.jit.frontend import python_source
from optc.jit.frontend.python_source import read_function, read_source

TEXT = '''
import functools

def keep(function):
    return function

def wrapped(function):
    @functools.wraps(function)
    def call(*arguments):
        return function(*arguments)
    return call

def plain(x):
    return x

@keep
@keep
def decorated(
    x,
    y=(1,
       2),
):
    """Text
with a line that is not indented
    """
    if x:
        return y
    # a last word

    return x


def outer():
    def inner(x):
        y = x
        # said at the end

        return y
    return inner

class Thing:
    @keep
    def method(self, x): return x

    def other(self, x):
        return (x,
                x)

one_line = plain; two = lambda x: x

@wrapped
def unwrapped(x):
    return x
'''


def module_of(path: Path, text: str) -> ModuleType:
    path.write_text(text)
    linecache.checkcache(str(path))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # classes are looked for there
    spec.loader.exec_module(module)
    return module


def definitions(module: ModuleType) -> list[Any]:
    thing = module.Thing
    return [module.plain, module.decorated, module.outer(), thing, thing.method, thing().other, module.unwrapped]


def test_the_lines_are_those_that_inspect_gives(tmp_path: Path) -> None:
    for thing in definitions(module_of(tmp_path / "written.py", TEXT)):
        lines, first = inspect.getsourcelines(thing)
        _, source = read_source(thing)
        assert (source.text, source.first_line) == ("".join(lines), first), thing


def test_a_long_file_is_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_source, "_MOST_LINES", 10)
    module = module_of(tmp_path / "long.py", TEXT)
    assert read_source(module.decorated)[1].text == inspect.getsource(module.decorated)


def test_a_file_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "again.py"
    first = module_of(path, "def f(x):\n    return x\n")
    assert read_source(first.f)[1].text.count("\n") == 2
    second = module_of(path, "\n\ndef f(x):\n    y = x + 1\n    return y + 20\n")
    _, source = read_source(second.f)
    assert (source.text.count("\n"), source.first_line) == (3, 3)


@pytest.mark.parametrize("thing", [len, functools.partial(len), eval(compile("lambda x: x", "<nowhere>", "eval"))])
def test_what_has_no_source_is_refused(thing: Callable[..., Any]) -> None:
    with pytest.raises(ScriptError, match="Can't get source for"):
        read_source(thing)


def test_a_lambda_is_no_function_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="single top-level function|no definition of its own"):
        read_function(module_of(tmp_path / "short.py", TEXT).two)
