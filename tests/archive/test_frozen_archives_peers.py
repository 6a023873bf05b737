"""PyTorch loads, runs and saves what optc froze and optimised, state that methods write included."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import optc
from optc.errors import UnsupportedError
from tests.archive.test_module_archive_peers import flat
from tests.jit.both import run_program

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

PROGRAMS = {
    "convolutions": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.drop = nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Dropout()
            self.second = nn.Conv2d(3, 4, 1)
            self.register_buffer("gain", torch.rand(4, 1, 1) + 1)

        def forward(self, x):
            y = torch.relu_(self.norm(self.first(x)))
            y += 1
            y = self.drop(y)
            return (self.second(y) * self.gain - 0.5) / 2
""",
    "state": """
    from typing import Dict, List

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("total", torch.zeros(6))
            self.register_buffer("tail", self.total[3:])
            self.seen: List[int] = [1]
            self.table: Dict[str, torch.Tensor] = {"a": torch.ones(6)}
            self.calls = 0

        def forward(self, x):
            self.total += x.sum()
            self.calls += 1
            self.seen.append(self.calls)
            return x + self.total + self.table["a"] + len(self.seen)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.layer = Part(), nn.Linear(6, 6)

        def forward(self, x):
            x = self.layer(self.part(x))
            return x, self.part.tail, self.part.calls
""",
    "a constant that a loop begins with": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("start", torch.zeros(6))

        def forward(self, x):
            total = self.start
            for i in range(x.size(0)):
                total = torch.tanh(x[i] + total)
            return total
""",
    "branches and loops": """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
            self.limit, self.mode = 3, "tanh"
            self.register_buffer("table", torch.arange(6.0))

        def forward(self, x):
            for layer in self.layers:
                x = torch.tanh(layer(x)) if self.mode == "tanh" else torch.relu(layer(x))
            count = 0
            while bool(x.sum() < 100) and count < self.limit:
                x = x + torch.sin(self.table) + torch.sin(self.table)
                x[0] += 1
                count += 1
            if bool(x.sum() < -1e9):
                raise ValueError("never")
            return x, count
""",
}


@pytest.mark.parametrize("optimize", [False, True], ids=["exact", "rounding"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_torch_reads_what_optc_froze(name: str, optimize: bool) -> None:
    library: Any = run_program(PROGRAMS[name], torch, f"frozen by optc: {name}")["Net"]().eval()
    scripted = torch.jit.script(library)
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    ours = optc.jit.freeze(optc.jit.load(io.BytesIO(buffer.getvalue())), optimize_numerics=optimize)
    theirs = torch.jit.load(io.BytesIO(ours.save_to_buffer()))
    assert theirs.code == ours.code
    again = io.BytesIO()
    torch.jit.save(theirs, again)
    again = torch.jit.load(io.BytesIO(again.getvalue()))
    assert again.code == ours.code
    x = torch.rand(2, 2, 6, 6)
    for _ in range(3):
        expected = flat(scripted(x))
        for found in (flat(theirs(x)), flat(again(x)), flat(ours(optc.from_numpy(x.numpy())))):
            for left, right in zip(expected, found, strict=True):
                np.testing.assert_allclose(right, left, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_stays_is_what_stays_in_torch(name: str) -> None:
    theirs = torch.jit.script(run_program(PROGRAMS[name], torch, f"frozen by torch: {name}")["Net"]().eval())
    ours = optc.jit.script(run_program(PROGRAMS[name], optc, f"frozen by optc too: {name}")["Net"]().eval())

    def saved(frozen: Any) -> Any:
        return torch.jit.load(io.BytesIO(frozen.save_to_buffer()))

    left, right = saved(torch.jit.freeze(theirs)), saved(optc.jit.freeze(ours))
    assert list(left.state_dict()) == list(right.state_dict())
    assert [name for name, _ in left.named_modules()] == [name for name, _ in right.named_modules()]


@pytest.mark.parametrize("enabled", [False, True])
def test_autocast_is_frozen_where_it_does_nothing(enabled: bool) -> None:
    text = f"""
    class Net(nn.Module):
        def forward(self, x):
            with torch.autocast(device_type="cpu", enabled={enabled}):
                y = torch.relu(x)
            return y
"""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(run_program(text, torch, f"autocast {enabled}")["Net"]().eval()), buffer)
    ours = optc.jit.load(io.BytesIO(buffer.getvalue()))
    if enabled:
        with pytest.raises(UnsupportedError, match="a method that enters autocast cannot be frozen"):
            optc.jit.freeze(ours)
        return
    theirs = torch.jit.load(io.BytesIO(optc.jit.freeze(ours).save_to_buffer()))
    assert theirs(torch.ones(2)).tolist() == [1.0, 1.0]
