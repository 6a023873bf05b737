"""Our text of a graph against the text of PyTorch 2.13."""

from __future__ import annotations

import pytest

from optc.ir.literals import tensor_text
from optc.ir.parser import parse_graph
from optc.ir.stream_text import stream_text

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

TENSORS = {
    "integers": [1, -2000], "digits": [[1.0, 2.0], [3.0, 0.001]], "tiny": [1e-8, 1.0], "huge": [1e12, 1.25],
    "scaled": [123456.5, 234567.25], "small": [0.00123, 0.0045], "minute": [1.2e-9, 4.5e-9], "empty": [], "one": [0.1], "bools": [True, False],
    "wide": [[1e-8, 1.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0]], "nan": [1.5, float("nan"), -float("inf")],
    "deep": [[[0.5, 1.0], [1.5, 2.0]], [[2.5, 3.0], [3.5, 4.0]]], "zero-d": 7, "big integers": [2**40, 3],
    "column": [[1000000.5], [3000000.5]], "extreme": [1e-30, 1e300], "signs": [-0.0, 0.5], "complex": [1 + 2j, 2.5],
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
def test_tensor_constants(name: str) -> None:
    graph = torch._C.Graph()
    tensor = torch.tensor(TENSORS[name], dtype=torch.float64 if name == "extreme" else None)
    graph.registerOutput(graph.insertConstant(tensor))
    assert str(parse_graph(str(graph))) == str(graph)
    assert f"[value={tensor_text(tensor.numpy())}]" in str(graph)


def show(x: torch.Tensor) -> None:
    print(x)


@pytest.mark.parametrize("name", [*TENSORS, "broad", "broad and deep"])
def test_tensors_printed_by_a_script(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    numbers = TENSORS.get(name, [[0.25] * 30] * 2 if name == "broad" else [[[123456.5] * 20] * 2] * 2)
    tensor = torch.tensor(numbers, dtype=torch.float64 if name == "extreme" else None)
    torch.jit.script(show)(tensor)
    assert capfd.readouterr().out == stream_text(tensor.numpy()) + "\n"


@pytest.mark.parametrize("value", [1e-5, 0.1, 1e10, 123456789.5, 1e22, -0.0, 3.0, 1.5 - 2j, "ä\x00\"'\a", [1.0, 2.5]])
def test_printed_constants_read_back_as_themselves(value: object) -> None:
    graph = torch._C.Graph()
    graph.registerOutput(graph.insertConstant(value))
    ours = parse_graph(str(graph))
    assert str(ours) == str(graph)
    assert ours.outputs[0].constant == value


class Gate(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x
        return -x


class Cell(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = torch.jit.script(Gate())
        self.linear = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh())

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        new = torch.tanh(self.gate(self.linear(x)) + h)
        return new, new


def test_traced_and_scripted_modules() -> None:
    inputs = torch.rand(3, 4), torch.rand(3, 4)
    for module in (torch.jit.trace(Cell(), inputs), torch.jit.script(Cell())):
        for graph in (module.graph, module.inlined_graph, torch.jit.freeze(module.eval()).graph):
            assert str(parse_graph(str(graph))) == str(graph)


def test_torch_reads_our_text() -> None:
    text = str(parse_graph("graph(%x, %n : int):\n  %y = aten::add(%x, %n, 1)\n  %z = aten::relu(%y)\n  return (%z)"))
    assert str(torch._C.parse_ir(text)).count("aten::") == 2
