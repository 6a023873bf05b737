"""The command, run in this process, and a file of programs to run it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from optc.cli import style
from optc.cli.main import main

PROGRAMS = """
import optc as torch

class Gate(torch.nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        else:
            return -x

class Scaled(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor

    @torch.jit.export
    def twice(self, x):
        return self.forward(x) * 2.0

class Steps(torch.nn.Module):
    def forward(self, x, count: int):
        for i in range(count):
            x = torch.tanh(x + 1.0)
        return x

class Checked(torch.nn.Module):
    def forward(self, x):
        assert x.dim() == 2, "a matrix is needed"
        return x + 1

class Counter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count.add_(1.0)
        return x + self.count

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 8)

    def forward(self, x):
        return torch.relu(self.linear(x)), x.size(0)

instance = Scaled(2.0)
traced = torch.jit.trace(Network(), (torch.rand(3, 4),))

def scripted():
    return torch.jit.script(Steps())

def add_one(x):
    return x + 1.0

def scaled(x, factor: float = 2.0):
    return x * factor

def broken(x):
    return x.no_such_method()

number = 7
"""


@dataclass(frozen=True)
class Outcome:
    """What a run of the command left behind."""

    code: int
    out: str
    error: str


Command = Callable[..., Outcome]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A Python file with programs in it."""
    path = tmp_path / "programs.py"
    path.write_text(PROGRAMS, encoding="utf-8")
    return path


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command; usage errors end in an exit code as they do in a shell."""
    monkeypatch.delenv("OPTC_DEBUG", raising=False)
    monkeypatch.setattr(style, "WAIT_SECONDS", 600.0)  # what a busy machine is slow with is no complaint

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        written = capsys.readouterr()
        return Outcome(code, written.out, written.err)

    return run
