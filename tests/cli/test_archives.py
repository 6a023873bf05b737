"""`optc check` and `optc convert`: what an archive holds, what is missing, and another archive made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import optc
from optc import nn
from tests.archive.handmade import archive
from tests.cli.conftest import Command

CODE = """class M(Module):
  flag : bool
  def forward(self: __torch__.M,
    x: Tensor) -> Tensor:
    if {condition}:
      y, z, = ops.vendor.split(x, 2, axis=1)
    else:
      y = torch.relu(x)
    return y
"""

WITHOUT_FLAG = b"\x80\x02c__torch__\nM\n)\x81}X\x04\x00\x00\x00flag\x89sb."
"""The pickle of an object whose `flag` is False."""


def saved(path: Path, condition: str) -> Path:
    path.write_bytes(archive({"__torch__.py": CODE.format(condition=condition)}, WITHOUT_FLAG))
    return path


def test_check_lists_methods_tensors_and_operators(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    optc.jit.script(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU())).save(path)
    outcome = command("check", str(path))
    assert outcome.code == 0
    assert "forward(input: Tensor) -> Tensor" in outcome.out
    assert "4 parameters: 24 elements, 96 bytes" in outcome.out
    assert "3 buffers: 9 elements, 40 bytes" in outcome.out
    assert "aten::linear native" in " ".join(outcome.out.split())
    assert outcome.out.rstrip().endswith("all of it is supported")


def test_modules_without_forward_are_shown_and_converted(command: Command, tmp_path: Path) -> None:
    code = "class M(Module):\n  def other(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return torch.relu(x)\n"
    path, copy = tmp_path / "model.pt", tmp_path / "copy.pt"
    path.write_bytes(archive({"__torch__.py": code}, b"\x80\x02c__torch__\nM\n)\x81}b."))
    outcome = command("check", str(path))
    assert outcome.code == 0 and "other(x: Tensor) -> Tensor" in outcome.out
    assert command("convert", str(path), str(copy)).code == 0
    assert "def other" in optc.jit.load(copy).other.code
    assert "no method forward to compile (its methods: other)" in command("run", str(path), "--shape", "2").error
    assert command("run", str(path), "--method", "other", "--shape", "2").code == 0


def test_check_fails_for_an_operator_that_may_run(command: Command, tmp_path: Path) -> None:
    outcome = command("check", str(saved(tmp_path / "model.pt", "bool(torch.gt(torch.sum(x), 0))")))
    assert outcome.code == 1
    assert "vendor::split" in outcome.out and "missing (code/__torch__.py:6:" in outcome.out
    assert outcome.out.rstrip().endswith("operators that are missing: 1")


def test_check_passes_where_the_operator_is_never_reached(command: Command, tmp_path: Path) -> None:
    outcome = command("check", str(saved(tmp_path / "model.pt", "self.flag")))
    assert outcome.code == 0
    assert "missing, but never run" in outcome.out


def test_check_as_json(command: Command, tmp_path: Path) -> None:
    found = json.loads(command("check", "--json", str(saved(tmp_path / "model.pt", "self.flag"))).out)
    assert found["supported"] is True
    assert found["methods"] == {"forward": "(x: Tensor) -> Tensor"}
    states = {use["operator"]: use["state"] for use in found["operators"]}
    assert states == {"vendor::split": "missing, but never run", "aten::relu": "native"}


@pytest.mark.parametrize("options", [[], ["--freeze"], ["--optimize"]], ids=["as it is", "frozen", "optimised"])
def test_convert_writes_an_archive_that_computes_the_same(command: Command, tmp_path: Path, options: list[str]) -> None:
    source, target = tmp_path / "in.pt", tmp_path / "out.pt"
    module = optc.jit.script(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()).eval())
    module.save(source)
    assert command("convert", str(source), str(target), *options).code == 0
    loaded = optc.jit.load(target)
    assert optc.equal(loaded(optc.ones(2, 3)), module(optc.ones(2, 3)))
    assert bool(list(loaded.parameters())) != bool(options)


def test_convert_optimises(command: Command, tmp_path: Path) -> None:
    source, target = tmp_path / "in.pt", tmp_path / "out.pt"
    module = optc.jit.script(nn.Sequential(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2), nn.Dropout()).eval())
    module.save(source)
    for option, is_folded in (("--freeze", False), ("--optimize", True)):
        assert command("convert", str(source), str(target), option).code == 0
        loaded = optc.jit.load(target)
        assert ("batch_norm" not in loaded.code) == is_folded
        assert "dropout" not in loaded.code
        assert optc.allclose(loaded(optc.ones(2, 1, 3)), module(optc.ones(2, 1, 3)))


def test_a_module_without_forward_is_frozen_by_the_methods_to_keep(command: Command, tmp_path: Path) -> None:
    source, target = tmp_path / "in.pt", tmp_path / "out.pt"
    optc.jit.script(nn.RNN(3, 4).eval()).save(source)
    outcome = command("convert", str(source), str(target), "--freeze")
    assert (outcome.code, target.exists()) == (2, False)
    assert "has no method forward: say with --keep which others to freeze (forward__0, forward__1, " in outcome.error
    assert command("convert", str(source), str(target), "--freeze", "--keep", "forward__0").code == 0
    assert command("check", str(target)).out.count("forward__0(input: Tensor") == 1


def test_convert_names_what_is_wrong(command: Command, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"PK")
    outcome = command("convert", str(broken), str(tmp_path / "out.pt"))
    assert outcome.code == 2
    assert str(broken) in outcome.error
    folder = command("convert", str(broken), str(tmp_path))
    assert (folder.code, folder.error) == (2, f"optc convert: error: cannot write {tmp_path}: it is a folder\n")
