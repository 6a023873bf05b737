"""What the user gets wrong: exit code 2 and one line that says what; a traceback only for those who ask."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from optc import thread_count
from optc.errors import OptcError
from tests.cli.conftest import Command, Outcome


def only_line(outcome: Outcome) -> str:
    """The one line of complaint."""
    assert outcome.code == 2
    assert outcome.out == ""
    assert len(outcome.error.splitlines()) == 1, outcome.error
    assert "Traceback" not in outcome.error
    return outcome.error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("frobnicate",), "invalid choice: 'frobnicate'"),
        (("dump",), "the following arguments are required: TARGET"),
        (("dump", "missing.pt"), "there is no file missing.pt"),
        (("dump", "missing.py:model"), "there is no file missing.py"),
        (("dump", "{programs}"), "say which object is meant"),
        (("dump", "{programs}:absent"), "defines no 'absent' (it defines:"),
        (("dump", "{programs}:number"), "is no module or function but of type int"),
        (("check", "/"), "is a folder, not a file"),
        (("dump", "{programs}:Scaled"), "needs arguments to be made (factor)"),
        (("dump", "{programs}:instance", "--method", "thrice"), "has no method 'thrice' (it has: forward, twice)"),
        (("dump", "--kernels", "{programs}:Gate"), "--kernels needs the arguments' shapes"),
        (("dump", "{programs}:Gate", "--shape", "3x"), "'3x' is no shape"),
        (("dump", "{programs}:Gate", "--shape", "3:float31"), "there is no dtype 'float31'"),
        (("dump", "{programs}:Gate", "--shape", "3,4"), "cannot compile"),
        (("dump", "--trace", "{programs}:Gate"), "--trace needs arguments"),
        (("dump", "{programs}:broken"), "no_such_method"),
        (("dump", "{programs}:Gate", "--shape", "3", "--input", "4"), "not allowed with argument"),
        (("run", "{programs}:Gate"), "takes (x: Tensor): give --input"),
        (("run", "{programs}:Gate", "--input", "absent.npy"), "there is no file absent.npy"),
        (("run", "{programs}:scripted", "--shape", "3,many"), "'many' is no int, as which argument 2 is declared"),
        (("run", "{programs}:Checked", "--shape", "3"), "a matrix is needed"),
        (("bench", "{programs}:Gate", "--shape", "3", "--rounds", "0"), "'0' is not a number above 0"),
        (("convert", "{programs}:Gate", "no_folder/gate.pt"), "cannot write no_folder/gate.pt: there is no folder"),
        (("convert", "{programs}:Gate", "gate.pt", "--keep", "scale"), "--keep says what --freeze keeps"),
        (("convert", "--freeze", "{programs}:add_one", "add_one.pt"), "add_one is a function: only modules have"),
        (("opt", "absent.ir", "-p", "dce"), "cannot read absent.ir: No such file or directory"),
        (("opt", "{programs}", "-p", "dce"), "programs.py"),
    ],
)
def test_complaint(command: Command, programs: Path, arguments: tuple[str, ...], said: str) -> None:
    filled = [argument.replace("{programs}", str(programs)) for argument in arguments]
    assert said in only_line(command(*filled))


def test_file_that_is_no_archive(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"not a zip file")
    line = only_line(command("run", path, "--shape", "3"))
    assert line.startswith(f"optc run: error: cannot load {path}: this is no zip file")


def test_file_that_is_no_array(command: Command, programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(b"nothing")
    said = f"cannot read {path} (one .npy file per argument is needed)"
    assert said in only_line(command("run", f"{programs}:Gate", "--input", path))


def test_pickled_array_is_not_loaded(command: Command, programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([object()]), allow_pickle=True)
    assert "allow_pickle=False" in only_line(command("run", f"{programs}:Gate", "--input", path))


def test_python_file_that_fails(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "failing.py"
    path.write_text("x = 1\ny = undefined\n", encoding="utf-8")
    line = only_line(command("dump", f"{path}:x"))
    assert "NameError: name 'undefined' is not defined (line 2)" in line


def test_script_error_names_the_users_line(command: Command, programs: Path) -> None:
    line = next(n for n, text in enumerate(programs.read_text().splitlines(), 1) if "no_such_method" in text)
    assert f"programs.py:{line}:" in only_line(command("dump", f"{programs}:broken"))


@pytest.mark.parametrize(("passes", "said"), [
    ("dead-code", "there is no pass 'dead-code'; did you mean dead-code-elimination?"),
    ("dce,,", "expected a pass, not ','"),
    ("loop-unrolling{limit=many}", "limit"),
])  # fmt: skip
def test_bad_pipeline(command: Command, tmp_path: Path, passes: str, said: str) -> None:
    path = tmp_path / "graph.ir"
    path.write_text("graph(%x : Tensor):\n  return (%x)\n", encoding="utf-8")
    assert said in only_line(command("opt", path, "-p", passes))


@pytest.mark.parametrize(("variable", "value", "said"), [
    ("OPTC_PRINT", "changed,foldings", "there is no pass 'foldings'"),
    ("OPTC_PASS_LIMIT", "canonical=3", "there is no pass 'canonical'; did you mean canonicalize?"),
    ("OPTC_WHY", "negate_thrice", "there is no rule 'negate_thrice'; did you mean negate_twice"),
    ("OPTC_NUM_THREADS", "many", "a number is needed"),
])  # fmt: skip
def test_bad_variable(
    command: Command, programs: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setattr(thread_count, "_count", ctypes.c_int64(0))  # as when nobody has asked yet
    monkeypatch.setenv(variable, value)
    line = only_line(command("dump", f"{programs}:Gate", "--shape", "3"))
    assert f"{variable}={value!r} is not valid: {said}" in line


def test_graph_text_with_a_mistake_names_its_line(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "graph.ir"
    path.write_text("graph(%x : Tensor):\n  %y = aten::neg(%z)\n  return (%y)\n", encoding="utf-8")
    assert "graph.ir:2" in only_line(command("opt", path, "-p", "dce"))


def test_debug_shows_the_traceback(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "graph.ir"
    path.write_text("graph(%x : Tensor):\n  return (%x)\n", encoding="utf-8")
    from optc.cli import main as command_line

    parser = command_line.make_parser()
    assert parser.prog == "optc"
    monkeypatch.setenv("OPTC_DEBUG", "1")
    with pytest.raises(Exception, match="there is no pass") as caught:
        command_line.main(["opt", str(path), "-p", "nonsense"])
    assert isinstance(caught.value.__cause__, OptcError)
