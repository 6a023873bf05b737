"""The TorchScript tutorial's modules and variants of them, written once for whichever library `torch` is.

`library(torch)` gives a namespace of classes and functions; tests run it with optc, and with PyTorch where that is
installed. Sources stay plain Python, because both libraries compile them from this file.
"""

from __future__ import annotations

import atexit
import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType

FILES = tempfile.TemporaryDirectory(prefix="optc-tutorial-")
"""Where the programs lie while tests run: both libraries read their sources from files."""
atexit.register(FILES.cleanup)

SOURCE = '''
from typing import List, Tuple


class MyDecisionGate(torch.nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        else:
            return -x


class MyCell(torch.nn.Module):
    def __init__(self, dg, size=4):
        super(MyCell, self).__init__()
        self.dg = dg
        self.linear = torch.nn.Linear(size, size)

    def forward(self, x, h):
        new_h = torch.tanh(self.dg(self.linear(x)) + h)
        return new_h, new_h


class PlainCell(torch.nn.Module):
    def __init__(self):
        super(PlainCell, self).__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x, h):
        new_h = torch.tanh(self.linear(x) + h)
        return new_h, new_h


class MyRNNLoop(torch.nn.Module):
    def __init__(self, gate):
        super(MyRNNLoop, self).__init__()
        self.cell = torch.jit.trace(MyCell(gate), (torch.rand(3, 4), torch.rand(3, 4)))

    def forward(self, xs):
        h, y = torch.zeros(3, 4), torch.zeros(3, 4)
        for i in range(xs.size(0)):
            y, h = self.cell(xs[i], h)
        return y, h


class WrapRNN(torch.nn.Module):
    def __init__(self, gate):
        super(WrapRNN, self).__init__()
        self.loop = torch.jit.script(MyRNNLoop(gate))

    def forward(self, xs):
        y, h = self.loop(xs)
        return torch.relu(y)


class NestedGate(torch.nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            if x.max() > 1:
                return x * 2
            return x
        elif x.min() < -1:
            return -x
        return torch.zeros_like(x)


class GateLoop(torch.nn.Module):
    """A gate inside a loop inside a gate."""

    def __init__(self):
        super(GateLoop, self).__init__()
        self.gate = NestedGate()

    def forward(self, x, n: int):
        if x.sum() > 0:
            for i in range(n):
                x = self.gate(x) - 0.25
        else:
            x = torch.relu(x)
        return x


class ListLoop(torch.nn.Module):
    """A loop that returns a list."""

    def __init__(self):
        super(ListLoop, self).__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, xs) -> List[torch.Tensor]:
        outputs = []
        for i in range(xs.size(0)):
            outputs.append(torch.tanh(self.linear(xs[i])))
        return outputs


class EarlyReturn(torch.nn.Module):
    """A return out of a loop."""

    def forward(self, xs, limit: float) -> Tuple[torch.Tensor, int]:
        total = torch.zeros_like(xs[0])
        for i in range(xs.size(0)):
            total = total + xs[i]
            if total.sum() > limit:
                return total, i
        return total, -1


class Perceptron(torch.nn.Module):
    def __init__(self, inner=32):
        super(Perceptron, self).__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(20, inner), torch.nn.ReLU(), torch.nn.Linear(inner, inner), torch.nn.ReLU(),
            torch.nn.Linear(inner, 10),
        )

    def forward(self, x):
        return self.layers(x)


class Chain(torch.nn.Module):
    def __init__(self, size=48):
        super(Chain, self).__init__()
        self.norm = torch.nn.LayerNorm(size)

    def forward(self, x):
        y = torch.nn.functional.gelu(self.norm(x)) * 0.5 + x
        return torch.softmax(y, dim=-1) + torch.sigmoid(x) * torch.tanh(x)


def programs():
    """Name, captured program, example arguments; all drawn from one seed."""
    torch.manual_seed(0)
    x, h = torch.rand(3, 4), torch.rand(3, 4)
    gate = torch.jit.script(MyDecisionGate())
    yield "traced plain cell", torch.jit.trace(PlainCell(), (x, h)), (x, h)
    yield "scripted gate", gate, (x - 0.5,)
    yield "scripted cell", torch.jit.script(MyCell(gate)), (x, h)
    yield "traced cell with scripted gate", torch.jit.trace(MyCell(gate), (x, h)), (x, h)
    yield "rnn loop", torch.jit.script(MyRNNLoop(gate)), (torch.rand(10, 3, 4),)
    yield "wrapped rnn", torch.jit.trace(WrapRNN(gate), (torch.rand(10, 3, 4),)), (torch.rand(10, 3, 4),)
    yield "cell of 7", torch.jit.script(MyCell(gate, 7)), (torch.rand(5, 7), torch.rand(5, 7))
    yield "nested gate", torch.jit.script(NestedGate()), (torch.rand(2, 3),)
    yield "gate in loop in gate", torch.jit.script(GateLoop()), (torch.rand(2, 3), 4)
    yield "loop that returns a list", torch.jit.script(ListLoop()), (torch.rand(6, 3, 4),)
    yield "early return", torch.jit.script(EarlyReturn()), (torch.rand(9, 2, 2), 7.0)
    yield "scripted perceptron", torch.jit.script(Perceptron()), (torch.rand(5, 20),)
    yield "traced perceptron", torch.jit.trace(Perceptron(), (torch.rand(5, 20),)), (torch.rand(5, 20),)
    yield "scripted chain", torch.jit.script(Chain()), (torch.randn(6, 48),)
    yield "traced chain", torch.jit.trace(Chain(), (torch.randn(6, 48),)), (torch.randn(6, 48),)
'''

NAMES = (
    "traced plain cell", "scripted gate", "scripted cell", "traced cell with scripted gate", "rnn loop", "wrapped rnn",
    "cell of 7", "nested gate", "gate in loop in gate", "loop that returns a list", "early return",
    "scripted perceptron", "traced perceptron", "scripted chain", "traced chain",
)  # fmt: skip


def library(name: str) -> ModuleType:
    """The programs with `torch` standing for the module called `name` ("optc" or "torch")."""
    path = Path(FILES.name) / f"{name}_tutorial.py"
    path.write_text(f"import {name} as torch\n{SOURCE}")
    spec = importlib.util.spec_from_file_location("tutorial", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tutorial"] = module
    spec.loader.exec_module(module)
    return module
