"""The networks of the examples and benchmarks, written for torch: only the import differs.

Every function below returns a program that `optc` takes: `optc dump --passes examples/networks.py:rnn_loop --shape 10x3x4`.
"""

import optc as torch


class DecisionGate(torch.nn.Module):
    """Passes its input on, or its negative: a branch on data."""

    def forward(self, x):
        if x.sum() > 0:
            return x
        else:
            return -x


class Cell(torch.nn.Module):
    """One step of a recurrent network, with a gate inside."""

    def __init__(self, gate):
        super().__init__()
        self.gate = gate
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x, h):
        new_h = torch.tanh(self.gate(self.linear(x)) + h)
        return new_h, new_h


class RNNLoop(torch.nn.Module):
    """The cell, over a sequence of any length: a traced cell with a scripted gate, in a scripted loop."""

    def __init__(self):
        super().__init__()
        self.cell = torch.jit.trace(Cell(decision_gate()), (torch.rand(3, 4), torch.rand(3, 4)))

    def forward(self, xs):
        h, y = torch.zeros(3, 4), torch.zeros(3, 4)
        for i in range(xs.size(0)):
            y, h = self.cell(xs[i], h)
        return y, h


class WrappedRNN(torch.nn.Module):
    """A scripted loop inside a traced module."""

    def __init__(self):
        super().__init__()
        self.loop = rnn_loop()

    def forward(self, xs):
        y, h = self.loop(xs)
        return torch.relu(y)


class Perceptron(torch.nn.Module):
    """784 pixels, two hidden layers, 10 classes."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(784, 1024), torch.nn.ReLU(),
            torch.nn.Linear(1024, 1024), torch.nn.ReLU(),
            torch.nn.Linear(1024, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


class Chain(torch.nn.Module):
    """A chain of pointwise operators and row reductions: nothing but memory traffic if it is not fused."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(1024)

    def forward(self, x):
        mixed = torch.nn.functional.gelu(self.norm(x)) * 0.5 + x
        return torch.softmax(mixed, dim=-1) + torch.sigmoid(x) * torch.tanh(x)


def decision_gate():
    """The gate, scripted."""
    return torch.jit.script(DecisionGate())


def rnn_cell():
    """The cell, scripted, with its gate."""
    return torch.jit.script(Cell(decision_gate()))


def traced_cell():
    """The cell, traced: the scripted gate keeps its branch."""
    return torch.jit.trace(Cell(decision_gate()), (torch.rand(3, 4), torch.rand(3, 4)))


def rnn_loop():
    """The loop, scripted around a traced cell."""
    return torch.jit.script(RNNLoop())


def wrapped_rnn():
    """The loop, traced from outside."""
    return torch.jit.trace(WrappedRNN(), (torch.rand(10, 3, 4),))


def perceptron():
    """The perceptron, traced with 64 rows."""
    return torch.jit.trace(Perceptron().eval(), (torch.rand(64, 784),), check_trace=False)


def chain():
    """The chain, scripted."""
    return torch.jit.script(Chain().eval())
