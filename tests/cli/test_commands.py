"""The subcommands on good input."""

from __future__ import annotations

import html.parser
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import optc
from tests.cli.conftest import Command

ROOT = Path(__file__).resolve().parent.parent.parent


def save(path: Path, values: object) -> Path:
    np.save(path, np.asarray(values, np.float32))
    return path


def test_version(command: Command) -> None:
    outcome = command("--version")
    assert (outcome.code, outcome.out) == (0, f"optc {optc.__version__}\n")


def test_help_names_every_command(command: Command) -> None:
    outcome = command("--help")
    assert outcome.code == 0
    assert all(name in outcome.out for name in ("dump", "run", "bench", "opt", "passes", "--shape"))


def test_passes_lists_sentences(command: Command) -> None:
    out = command("passes").out
    for name in ("constant-folding", "dead-code-elimination (dce)", "addmm-fusion", "loop-invariant-hoisting"):
        assert name in out
    assert "Compute equal expressions once" in out
    assert "default\n" in out


def test_dump_shows_the_optimised_graph(command: Command, programs: Path) -> None:
    outcome = command("dump", f"{programs}:Gate", "--shape", "3x4")
    assert outcome.code == 0
    assert outcome.out.startswith("== Gate: the optimised graph\ngraph(")
    assert "Float(3, 4" in outcome.out and "prim::If" in outcome.out


def test_dump_passes_shows_those_that_changed_something(command: Command, programs: Path) -> None:
    changed = command("dump", "--passes", f"{programs}:Gate", "--shape", "3x4").out
    assert "== before the first pass" in changed
    titles = re.findall(r"^== after pass \d+, ([\w-]+): ", changed, re.MULTILINE)
    assert titles == ["freeze", "infer-shapes"]
    assert "(unchanged)" not in changed
    every = command("dump", "--passes", "--all", f"{programs}:Gate", "--shape", "3x4").out
    assert "(unchanged)" in every
    assert every.count("== ") > changed.count("== ")


def test_dump_diff_shows_changed_lines(command: Command, programs: Path) -> None:
    out = command("dump", "--diff", f"{programs}:Gate", "--shape", "3x4").out
    assert any(line.startswith("-  ") for line in out.splitlines())
    assert any(line.startswith("+  ") for line in out.splitlines())
    assert "@@" in out


def test_dump_works_without_shapes(command: Command, programs: Path) -> None:
    outcome = command("dump", "--passes", f"{programs}:scripted")
    assert outcome.code == 0
    assert "prim::Loop" in outcome.out


def test_dump_lower_levels(command: Command, programs: Path) -> None:
    out = command("dump", "--kernels", "--llvm", "--asm", f"{programs}:add_one", "--shape", "64x64").out
    kernels, llvm, assembly = (out.index(title) for title in ("== kernel 1", "== LLVM", "== assembly"))
    assert kernels < llvm < assembly
    assert "aten::add" in out[kernels:llvm]
    assert "define i32 @run_" in out[llvm:assembly]
    assert ".globl" in out[assembly:]


def test_dump_has_no_code_of_a_program_that_always_fails(command: Command, programs: Path) -> None:
    out = command("dump", "--kernels", "--llvm", f"{programs}:Network", "--shape", "3x5").out
    assert out.count("none: the program fails for all arguments of these types") == 2


def test_traced_program_knows_its_shapes(command: Command, programs: Path) -> None:
    outcome = command("dump", "--llvm", f"{programs}:traced")
    assert outcome.code == 0
    assert "define i32 @run_" in outcome.out


def test_dump_writes_one_page(command: Command, programs: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert command("dump", f"{programs}:Gate", "--shape", "3x4", "--html", page).out == f"{page}\n"
    text = page.read_text(encoding="utf-8")
    html.parser.HTMLParser().feed(text)
    assert text.count("<details") > 4
    assert "prim::If" in text and "LLVM" in text
    assert "<script" not in text and "http" not in text.replace("http://www.w3.org", "")


def test_page_escapes_what_programs_say() -> None:
    from optc.cli.page import page
    from optc.cli.report import Section

    text = page("<b>", [Section("a<b>", "x < y & <script>", "graph", "passes"), Section("d", "+<i>", "diff", "passes")])
    assert "<script>" not in text and "<b>" not in text and "<i>" not in text
    assert "x &lt; y &amp; &lt;script&gt;" in text


def test_run_prints_results(command: Command, programs: Path, tmp_path: Path) -> None:
    outcome = command("run", f"{programs}:instance", "--input", save(tmp_path / "x.npy", [[1.0, 2.0]]))
    assert (outcome.code, outcome.error) == (0, "")
    assert outcome.out == "0: tensor([[2., 4.]])\n"


def test_arguments_that_are_left_out_have_their_defaults(command: Command, programs: Path) -> None:
    outcome = command("run", f"{programs}:scaled", "--shape", "2", "--compare")
    assert (outcome.code, outcome.error) == (0, "")
    missing = command("run", f"{programs}:scripted", "--shape", "2", "--compare")
    assert missing.code == 2 and "missing value for argument 'count'" in missing.error


def test_run_another_method(command: Command, programs: Path, tmp_path: Path) -> None:
    x = save(tmp_path / "x.npy", [1.0, 2.0])
    assert command("run", f"{programs}:instance", "--method", "twice", "--input", x).out == "0: tensor([4., 8.])\n"


def test_run_takes_numbers_and_saves_results(command: Command, programs: Path, tmp_path: Path) -> None:
    x = save(tmp_path / "x.npy", [0.0, 1.0])
    outcome = command("run", f"{programs}:scripted", "--input", x, "3", "--output", tmp_path / "out", "--compare")
    assert outcome.code == 0, outcome.error
    expected = np.array([0.0, 1.0], np.float32)
    for _ in range(3):
        expected = np.tanh(expected + 1)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "output_0.npy"), expected, rtol=1e-6)
    assert "0: equal to the interpreter" in outcome.out


def test_run_shape_makes_the_same_values_every_time(command: Command, programs: Path) -> None:
    first = command("run", f"{programs}:scripted", "--shape", "2x3,4")
    assert first.code == 0, first.error
    assert first.out == command("run", f"{programs}:scripted", "--shape", "2x3,4").out


def test_run_an_archive(command: Command, programs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "model.pt"
    model = optc.jit.trace(optc.nn.Linear(4, 2), (optc.rand(3, 4),))
    model.save(str(archive))
    outcome = command("run", archive, "--shape", "3x4", "--compare")
    assert outcome.code == 0, outcome.error
    assert "0: equal to the interpreter" in outcome.out


def test_compare_starts_both_engines_from_the_same_state(command: Command, programs: Path) -> None:
    outcome = command("run", f"{programs}:Counter", "--shape", "3", "--compare")
    assert outcome.code == 0, outcome.out + outcome.error


@pytest.mark.peers
def test_torch_modules_are_programs_too(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "model.py"
    path.write_text("import torch\nmodel = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Tanh())\n")
    outcome = command("run", f"{path}:model", "--shape", "3x4", "--compare")
    assert outcome.code == 0, outcome.out + outcome.error


def test_compare_reports_a_difference(command: Command, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from optc.cli import commands

    monkeypatch.setattr(commands, "interpreted", lambda *arguments: optc.ones(2, 3))
    outcome = command("run", f"{programs}:add_one", "--shape", "2x3", "--compare")
    assert outcome.code == 1
    assert "0: DIFFERENT to the interpreter" in outcome.out


def test_opt_reads_and_writes_graphs(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "graph.ir"
    path.write_text(
        "graph(%x : Float(3, 4), %w : Float(4, 5), %b : Float(5)):\n"
        "  %p : Float(3, 5) = aten::mm(%x, %w)\n"
        "  %r : Float(3, 5) = aten::add(%p, %b, 1)\n"
        "  return (%r)\n",
        encoding="utf-8",
    )
    outcome = command("opt", path, "-p", "addmm-fusion, dce", "--records")
    assert outcome.code == 0, outcome.error
    assert "aten::addmm.default(%b, %x, %w" in outcome.out
    assert "after pass 1, addmm-fusion" in outcome.error
    again = tmp_path / "again.ir"
    again.write_text(outcome.out, encoding="utf-8")
    assert command("opt", again, "-p", "dce").out == outcome.out


def test_opt_leaves_constants_alone_that_the_text_does_not_show(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "graph.ir"
    path.write_text(
        "graph(%x : Float(3, 4)):\n"
        "  %w : Float(4, 4) = prim::Constant[value=<Tensor>]()\n"
        "  %v : Float(4, 4) = prim::Constant[value=<Tensor>]()\n"
        "  %p : Float(3, 4) = aten::mm(%x, %w)\n"
        "  %q : Float(3, 4) = aten::mm(%p, %v)\n"
        "  return (%q)\n",
        encoding="utf-8",
    )
    outcome = command("opt", path, "-p", "simplify")
    assert outcome.code == 0, outcome.error
    assert outcome.out.count("prim::Constant[value=<Tensor>]") == 2  # nobody knows whether they are equal
    assert "aten::mm.default(%p, %v)" in outcome.out


def test_pipe_that_closes_early_is_no_error(programs: Path) -> None:
    code = f"import sys; from optc.cli.main import main; sys.exit(main(['dump', '--passes', '{programs}:Gate']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    error = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 0
    assert error == ""


def test_module_form_of_the_command() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "optc", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert finished.stdout == f"optc {optc.__version__}\n"
