"""PyTorch loads and runs what optc saves, and the other way round."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import optc
from tests.jit.both import run_program
from tests.jit.test_trace_peers import CELL, MODULES

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

SCRIPTED = {
    "attributes of many types": """
    from typing import Dict, List, NamedTuple, Optional, Tuple

    class Net(nn.Module):
        words: Dict[str, List[int]]
        maybe: Optional[torch.Tensor]

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.words = {"a": [1, 2], "b": []}
            self.maybe = None
            self.pair = (1, 0.5)
            self.big = 2**40
            self.text = "abc"
            self.numbers = [1.5, 2.5]
            self.register_buffer("steps", torch.zeros(1))

        def forward(self, x, scale: float = 2.0):
            self.steps += 1
            total = self.big
            for value in self.words["a"]:
                total += value
            y = self.linear(x) * scale * self.pair[1] + self.numbers[0]
            if len(self.text) > 2:
                y = torch.relu(y) / 3
            return y, total, self.steps

    traced = torch.jit.script(Net())
""",
    "control flow": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

        def forward(self, x):
            kept = []
            for layer in self.layers:
                x = torch.tanh(layer(x))
                if bool(x.sum() > 0):
                    kept.append(x * 2)
                else:
                    kept.append(x - 1)
            i = 0
            while i < 3:
                i += 1
                if i == 2:
                    break
            assert i == 2, "two"
            return torch.stack(kept), i

    traced = torch.jit.script(Net())
""",
    "scripted cell": CELL + "\n    traced = torch.jit.script(Cell(torch.jit.script(Gate())))",
}
PROGRAMS = {**MODULES, **SCRIPTED}


def inputs_for(module: Any) -> list[np.ndarray[Any, Any]]:
    """Arrays for the tensor arguments without default: the programs take matrices, indices, or a sequence."""
    random = np.random.default_rng(0)
    arguments = [each for each in module.forward.schema.arguments[1:] if not each.has_default]
    arrays = [random.standard_normal((3, 4), np.float32) for _ in arguments]
    for place, each in enumerate(arguments):
        if each.name == "i":
            arrays[place] = np.array([1, 2, 3])
        if each.name == "xs":
            arrays[place] = random.standard_normal((5, 3, 4), np.float32)
    return arrays


def flat(value: Any) -> list[Any]:
    if isinstance(value, tuple | list):
        return [item for part in value for item in flat(part)]
    return [value.detach().numpy() if hasattr(value, "detach") else value]


def check_same_results(theirs: Any, ours: Any) -> None:
    arrays = inputs_for(ours)
    expected = flat(theirs(*map(torch.from_numpy, arrays)))
    actual = flat(ours(*map(optc.from_numpy, arrays)))
    assert len(actual) == len(expected)
    for left, right in zip(actual, expected):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PROGRAMS)
def test_torch_loads_what_optc_saves(name: str) -> None:
    ours = run_program(PROGRAMS[name], optc, f"saved by optc: {name}")["traced"]
    buffer = io.BytesIO()
    optc.jit.save(ours, buffer)
    theirs = torch.jit.load(io.BytesIO(buffer.getvalue()))
    assert str(theirs) == str(optc.jit.load(io.BytesIO(buffer.getvalue())))
    check_same_results(theirs, ours)
    assert list(theirs.state_dict()) == list(ours.state_dict())


@pytest.mark.parametrize("name", PROGRAMS)
def test_optc_loads_what_torch_saves(name: str) -> None:
    theirs = run_program(PROGRAMS[name], torch, f"saved by torch: {name}")["traced"]
    buffer = io.BytesIO()
    torch.jit.save(theirs, buffer)
    ours = optc.jit.load(io.BytesIO(buffer.getvalue()))
    again = torch.jit.load(io.BytesIO(buffer.getvalue()))
    assert str(ours) == str(again)
    assert ours.code == again.code
    check_same_results(theirs, ours)


@pytest.mark.parametrize("name", PROGRAMS)
def test_code_of_captured_modules_is_the_same(name: str) -> None:
    theirs, ours = (run_program(PROGRAMS[name], library, f"code: {name}")["traced"] for library in (torch, optc))
    assert ours.code == theirs.code


def test_torch_freezes_what_optc_saves() -> None:
    module = optc.jit.script(optc.nn.Sequential(optc.nn.Linear(3, 2), optc.nn.ReLU()).eval())
    theirs = torch.jit.freeze(torch.jit.load(io.BytesIO(module.save_to_buffer())).eval())
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(theirs(torch.from_numpy(x)).numpy(), module(optc.from_numpy(x)).detach().numpy(), 1e-5)


def test_optc_loads_what_torch_froze() -> None:
    frozen = torch.jit.freeze(torch.jit.script(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()).eval()))
    buffer = io.BytesIO()
    torch.jit.save(frozen, buffer)
    x = np.ones((2, 3), np.float32)
    ours = optc.jit.load(io.BytesIO(buffer.getvalue()))
    np.testing.assert_allclose(ours(optc.from_numpy(x)).numpy(), frozen(torch.from_numpy(x)).numpy(), 1e-5)
