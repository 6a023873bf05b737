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


class WideCell(torch.nn.Module):
    """One step of a plain recurrent network: two products and a tanh."""

    def __init__(self, width):
        super().__init__()
        self.from_input = torch.nn.Linear(width, width)
        self.from_state = torch.nn.Linear(width, width)

    def forward(self, x, h):
        return torch.tanh(self.from_input(x) + self.from_state(h))


class WideLoop(torch.nn.Module):
    """A scripted cell, step by step over a sequence of any length; the last state."""

    def __init__(self, width=256):
        super().__init__()
        self.width = width
        self.cell = WideCell(width)

    def forward(self, xs):
        h = torch.zeros(xs.size(1), self.width)
        for i in range(xs.size(0)):
            h = self.cell(xs[i], h)
        return h


class LSTM(torch.nn.Module):
    """Two layers, over a whole sequence."""

    def __init__(self, width=256, layers=2):
        super().__init__()
        self.lstm = torch.nn.LSTM(width, width, layers)

    def forward(self, xs):
        ys, (h, c) = self.lstm(xs)
        return ys, h, c


class Softmax(torch.nn.Module):
    """The softmax of every row."""

    def forward(self, x):
        return torch.softmax(x, dim=-1)


class LayerNorm(torch.nn.Module):
    """Every row normalised, scaled and shifted."""

    def __init__(self, width=1024):
        super().__init__()
        self.norm = torch.nn.LayerNorm(width)

    def forward(self, x):
        return self.norm(x)


class Gelu(torch.nn.Module):
    """The exact gelu of every element."""

    def forward(self, x):
        return torch.nn.functional.gelu(x)


class Product(torch.nn.Module):
    """A matrix product with weights."""

    def __init__(self, inner=768, columns=768):
        super().__init__()
        self.linear = torch.nn.Linear(inner, columns, bias=False)

    def forward(self, x):
        return self.linear(x)


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


def wide_loop(width=256):
    """A plain recurrent network, scripted."""
    return torch.jit.script(WideLoop(width))


def lstm(width=256, layers=2):
    """The LSTM, scripted."""
    return torch.jit.script(LSTM(width, layers).eval())


def softmax():
    """The softmax, scripted."""
    return torch.jit.script(Softmax())


def layer_norm(width=1024):
    """The layer norm, scripted."""
    return torch.jit.script(LayerNorm(width).eval())


def gelu():
    """The gelu, scripted."""
    return torch.jit.script(Gelu())


def product(inner=768, columns=768):
    """The product with weights, scripted."""
    return torch.jit.script(Product(inner, columns).eval())
