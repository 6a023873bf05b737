"""Code printed from the graphs of PyTorch 2.13 against the code that PyTorch prints."""

from __future__ import annotations

from typing import Any

import pytest

import optc
from optc.ir.function import Function
from optc.ir.parser import parse_graph
from optc.ir.schema import Argument, FunctionSchema
from optc.jit.code_printer import print_function

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
assert optc.__doc__ is not False  # importing optc declares the operators
Tensor = torch.Tensor


def ours(name: str, graph: Any) -> str:
    parsed = parse_graph(str(graph))
    arguments = tuple(Argument(value.name.split(".")[0], value.type) for value in parsed.inputs)
    schema = FunctionSchema(name, "", arguments, (Argument("", parsed.outputs[0].type),))
    return print_function(Function(name, schema, parsed))[0]


def branches(x: Tensor, flag: bool) -> Tensor:
    if flag and x.sum() > 0:
        y = x * 2
        z = y + x
    elif x.dim() == 2:
        z = -x
    else:
        raise ValueError("no")
    return z


def loops(x: Tensor, n: int) -> Tensor:
    total = torch.zeros(2)
    for i in range(n):
        for j in range(i, n, 2):
            total = total + x[j] * i
            if bool(total.sum() > 3):
                break
    while bool(total.sum() < 10):
        total = total * 2 + 1
    return total


def optional(x: Tensor, y: Tensor | None) -> Tensor:
    if y is None:
        y = x.relu()
    assert y.size(0) == x.size(0), "sizes"
    return x.add(y, alpha=2)


def containers(x: Tensor, names: list[str]) -> tuple[list[Tensor], dict[str, int]]:
    parts: list[Tensor] = []
    counts: dict[str, int] = {}
    for name in names:
        parts.append(x)
        counts[name] = len(parts)
    return parts, counts


def order(x: Tensor, y: Tensor) -> Tensor:
    a = x.add_(1)
    return torch.sigmoid(torch.tanh(a * y) + torch.exp(y - x) * torch.relu(x.mul_(y)) - a.sum() / 3.5)


def assignment(x: Tensor, i: int) -> Tensor:
    x[0, 1:] = 3
    x[:, i] += 1.5
    lambda_ = x[..., None]
    return lambda_.view(-1, 2)


PROGRAMS = [branches, loops, optional, containers, order, assignment]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_scripted_functions(program: Any) -> None:
    scripted = torch.jit.script(program)
    assert ours(program.__name__, scripted.graph) == scripted.code


def test_a_long_trace() -> None:
    def chain(x: Any) -> Any:
        for place in range(200):
            x = torch.relu(x * place) + x.transpose(0, 1)
        first, second = x.chunk(2)
        return torch.cat([first, second], 1).view(-1, first.size(0) * 2)

    traced = torch.jit.trace(chain, torch.rand(4, 4))
    assert ours("chain", traced.graph) == traced.code
