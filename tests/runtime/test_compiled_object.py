"""What a compiled function is among other objects of Python: where it comes from, what it shows, where it warns."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
from typing import Any

import pytest

import optc as torch
from optc.errors import OptcWarning


class Affine(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return torch.relu(self.linear(x))

    @torch.jit.export
    def raw(self, x):  # type: ignore[no-untyped-def]
        return self.linear(x)

    def unmarked(self, x):  # type: ignore[no-untyped-def]
        return x


def test_methods_of_modules_are_programs() -> None:
    module, x = Affine(), torch.rand(2, 4)
    assert torch.allclose(torch.compile(module.forward, fallback="error")(x), module(x))
    assert torch.allclose(torch.compile(module.raw, fallback="error")(x), module.raw(x))
    with pytest.raises(TypeError, match="Affine.unmarked is not scripted with its module: mark it with"):
        torch.compile(module.unmarked)


class Adding:
    def __call__(self, x):  # type: ignore[no-untyped-def]
        return x + 1


@pytest.mark.parametrize("program", [functools.partial(torch.add, other=1), Adding()])
def test_what_has_no_name_must_be_called_in_a_function(program: Any) -> None:
    for example_inputs in (None, torch.ones(2)):
        with pytest.raises(TypeError, match="not (partial|Adding): call it in a function written with def"):
            torch.compile(program, example_inputs)


def test_a_lambda_is_traced_and_not_scripted() -> None:
    x = torch.ones(2)
    assert torch.compile(lambda x: x + 1, (x,))(x).tolist() == [2.0, 2.0]
    with pytest.raises(TypeError, match="write a function with def, or give example_inputs to trace it"):
        torch.compile(lambda x: x + 1)


@torch.compile
def doubled(x, times: int = 2):  # type: ignore[no-untyped-def]
    """Some times as much."""
    return x * times


def test_a_decorated_function_shows_what_it_was() -> None:
    assert list(inspect.signature(doubled).parameters) == ["x", "times"]
    assert (doubled.__name__, doubled.__doc__) == ("doubled", "Some times as much.")


@pytest.mark.parametrize("attempt", [copy.copy, copy.deepcopy, pickle.dumps])
def test_compiled_code_is_neither_copied_nor_pickled(attempt: Any) -> None:
    with pytest.raises(TypeError, match="doubled is compiled code of this process, which cannot be copied or pickled"):
        attempt(doubled)


@torch.jit.script
def speak(x):  # type: ignore[no-untyped-def]
    print("speaking")
    return x + 1


def test_warnings_show_the_line_that_called(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(OptcWarning, match="prim::Print") as caught:
        torch.compile(speak)(torch.ones(2))
    assert caught[0].filename == __file__
    assert capsys.readouterr().out == "speaking\n"


class Counting(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x):  # type: ignore[no-untyped-def]
        self.count += 1
        return self.linear(x) * self.count

    @torch.jit.export
    def reset(self, count: int = 0) -> None:
        self.count = count


def test_a_compiled_module_has_the_other_methods_compiled_and_the_attributes(tmp_path: Any) -> None:
    path, x = str(tmp_path / "counting.pt"), torch.ones(2, 4)
    torch.jit.save(torch.jit.script(Counting()), path)
    module = torch.jit.load(path)
    for fast in (torch.compile(module, fallback="error"), torch.compile(path, fallback="error")):
        once, twice = fast(x), fast(x)
        assert torch.allclose(once * 2, twice)
        fast.reset()
        assert torch.allclose(fast(x), once)
        fast.reset(count=1)
        assert torch.allclose(fast(x), twice)
        assert fast.reset is fast.reset and len(fast.reset.specializations) == 1, "it is compiled once"
        assert list(fast.state_dict()) == ["linear.weight", "linear.bias"] and fast.count == 2
        with pytest.raises(AttributeError, match="has no attribute 'missing'"):
            _ = fast.missing


def test_a_compiled_function_and_a_compiled_method_have_no_members() -> None:
    for fast in (torch.compile(torch.jit.script(Affine()).raw), torch.compile(Affine().forward)):
        with pytest.raises(AttributeError, match="'CompiledFunction' object has no attribute 'linear'"):
            _ = fast.linear
