"""Compiled methods of one module share its state: what one call leaves in attributes, the next call of another finds."""

from __future__ import annotations

from typing import Any, Dict, List, Optional  # noqa: UP035  the script language takes both

import pytest

import optc
from optc import Tensor, nn
from optc.errors import ScriptError
from optc.ir.function import Function


@optc.jit.script
class Ramp:
    def __init__(self, level: float):
        self.level = level

    def apply(self, x: Tensor) -> Tensor:
        return x * self.level


class Shared(nn.Module):
    stack: List[float]  # noqa: UP006
    table: Dict[str, float]  # noqa: UP006
    frames: List[Tensor]  # noqa: UP006
    last: Optional[Tensor]  # noqa: UP045
    ramp: Ramp

    def __init__(self) -> None:
        super().__init__()
        self.gain = 1.0
        self.enabled = False
        self.count = 0
        self.mode = "plain"
        self.stack = []
        self.table = {"low": 1.0, "high": 2.0}
        self.frames = []
        self.last = None
        self.ramp = Ramp(1.0)
        self.register_buffer("offset", optc.zeros(2))


class Knobs(Shared):
    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "double":
            x = x * 2
        if self.enabled:
            x = x * self.gain
        return x + self.table["low"] * self.table["high"] + self.offset

    @optc.jit.export
    def change(self, number: int) -> None:
        self.gain = self.gain + number
        self.enabled = number > 0
        self.table["low"] = self.gain * 0.5
        self.offset.add_(1)
        self.mode = "double" if number == 2 else "plain"


class Queues(Shared):
    def forward(self, x: Tensor) -> Tensor:
        for frame in self.frames:
            x = x + frame
        for number in self.stack:
            x = x * number
        return x

    @optc.jit.export
    def change(self, number: int) -> None:
        self.stack.append(float(number) + 0.5)
        self.frames.append(optc.full((2,), float(number)))


class Replaced(Shared):
    def forward(self, x: Tensor) -> Tensor:
        last = self.last
        return self.ramp.apply(x if last is None else x + last)

    @optc.jit.export
    def change(self, number: int) -> None:
        self.ramp = Ramp(self.ramp.level + number)
        self.last = optc.full((number + 1,), 2.0) if number != 2 else None


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.level = 0.0

    def forward(self, x: Tensor) -> Tensor:
        return x + self.level

    @optc.jit.export
    def put(self, level: float) -> None:
        self.level = level


class Enabled(Shared):
    """What `change` writes depends on what `enable` writes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.count

    @optc.jit.export
    def change(self, number: int) -> None:
        if self.mode == "on":
            self.count += 1
            self.inner.put(float(number))

    @optc.jit.export
    def enable(self) -> None:
        self.mode = "on"


@pytest.mark.parametrize("class_", [Knobs, Queues, Replaced, Enabled])
@pytest.mark.parametrize("is_compiled", [False, True])
def test_a_call_finds_what_another_method_has_left(class_: Any, is_compiled: bool) -> None:
    expected, module = optc.jit.script(class_()), optc.jit.script(class_())
    fast = optc.compile(module)
    change = optc.compile(module.change, fallback="allow") if is_compiled else module.change
    x = optc.tensor([0.5])
    for number in range(4):
        assert fast(x).tolist() == pytest.approx(expected(x).tolist())
        change(number)
        expected.change(number)
        if class_ is Enabled:
            module.enable()
            expected.enable()
    assert fast(x).tolist() == pytest.approx(expected(x).tolist())
    assert fast.fallbacks == []


class Turned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = 1.0
        self.linear = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.gain

    @optc.jit.export
    def turn(self, gain: float) -> None:
        self.gain = gain


def test_numbers_that_another_method_writes_are_read_when_the_call_begins() -> None:
    module = optc.jit.script(Turned())
    fast = optc.compile(module)
    for step in range(5):
        module.turn(step * 0.5)
        assert fast(optc.ones(2)).tolist() == pytest.approx(module(optc.ones(2)).tolist())
    assert len(fast.specializations) == 1
    assert [slot.name for slot in fast.specializations[0].program.state] == ["gain"], "weights are constants"


def test_a_method_that_cannot_be_compiled_may_write_everything() -> None:
    def refuse(function: Function) -> None:
        raise ScriptError("there is no such operator")

    module = optc.jit.script(Turned())
    module._c.type.methods["turn"] = Function("turn", define=refuse)
    fast = optc.compile(module)
    fast(optc.ones(2))
    module._c.values["gain"] = 3.0
    assert fast(optc.ones(2)).tolist() == pytest.approx(module(optc.ones(2)).tolist())


def test_plans_on_disk_are_for_modules_with_the_same_methods(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`forward` and the attributes are the same, so that only the other method tells the programs apart."""
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("OPTC_CACHE", raising=False)

    def make(*turning: Any) -> Any:
        class Model(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.gain = 1.0

            def forward(self, x: Tensor) -> Tensor:
                return x * self.gain

        for method in turning:
            Model.turn = method  # type: ignore[attr-defined]
        return optc.jit.script(Model())

    optc.compile(make())(optc.ones(2))
    module = make(Turned.turn)
    fast = optc.compile(module)
    fast(optc.ones(2))
    module.turn(3.0)
    assert fast(optc.ones(2)).tolist() == [3.0, 3.0]
