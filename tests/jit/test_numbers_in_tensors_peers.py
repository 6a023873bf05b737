"""Overloads that take numbers from tensors are what PyTorch has in traces, scripts and archives; so is `rsub`."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

import optc
from tests.jit.both import canonical

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

TRACED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "narrow": lambda library, x, t: x.narrow(0, t, 2),
    "linspace between tensors": lambda library, x, t: library.linspace(t, t + 3, 4),
    "linspace from a tensor": lambda library, x, t: library.linspace(t, 3, 4),
    "linspace to a tensor": lambda library, x, t: library.linspace(0, t, 4),
    "logspace": lambda library, x, t: library.logspace(t, t, 3),
    "tensor_split": lambda library, x, t: x.tensor_split((t + 1).reshape(1)),
    "randint_like": lambda library, x, t: library.randint_like(x, t + 4),
    "rsub": lambda library, x, t: library.rsub(x, x + 1),
    "assertions": lambda library, x, t: (library._assert_async(t), library._assert_tensor_metadata(x, [4]), x * 2)[2],
}

SCRIPT = """
def f(x, t):
    a = torch.narrow(x, 0, t, 2)
    b = torch.linspace(t, t, 4), torch.linspace(t, 2, 4), torch.linspace(2, t, 4), torch.logspace(t, 2, 4, 2.0)
    c = torch.tensor_split(x, t), torch.randint_like(x, t), torch.bernoulli(x, x)
    return a, b, c, torch.rsub(x, x, alpha=2), x.rsub(2)
"""


@pytest.mark.parametrize("name", TRACED)
def test_traces_are_the_same(name: str) -> None:
    made = TRACED[name]

    def trace(library: Any) -> Any:
        example = library.ones(4), library.tensor(1)
        return library.jit.trace(lambda x, t: made(library, x, t), example, check_trace=False)

    theirs, ours = trace(torch), trace(optc)
    assert canonical(ours.graph) == canonical(theirs.graph)
    assert ours.code == theirs.code


def test_scripts_and_archives_are_the_same() -> None:
    theirs = torch.jit.CompilationUnit(SCRIPT).f
    assert canonical(optc.jit.CompilationUnit(SCRIPT).f.graph) == canonical(theirs.graph)
    buffer = io.BytesIO()
    torch.jit.save(theirs, buffer)
    ours = optc.jit.load(io.BytesIO(buffer.getvalue()))
    again = torch.jit.load(io.BytesIO(ours.save_to_buffer()))
    assert ours.code == again.code == torch.jit.load(io.BytesIO(buffer.getvalue())).code
    torch.manual_seed(0)
    optc.manual_seed(0)
    x = torch.rand(4)
    expected = theirs(x, torch.tensor(2))
    assert optc.equal(optc.rand(4), optc.from_numpy(x.numpy()))
    assert str(ours(optc.from_numpy(x.numpy()), optc.tensor(2))) == str(expected)


def test_assertions_fail_with_their_texts() -> None:
    calls: list[Callable[[Any], Any]] = [
        lambda library: library._assert_async(library.tensor(False)),
        lambda library: library._assert_async(library.tensor(False), "text"),
        lambda library: library._assert_async(library.ones(2)),
        lambda library: library._assert_tensor_metadata(library.ones(2, 3), [2, 2]),
        lambda library: library._assert_tensor_metadata(library.ones(2, 3), [2, 3], [3, 2]),
        lambda library: library._assert_tensor_metadata(library.ones(2, 3), dtype=library.float64),
        lambda library: library._assert_tensor_metadata(library.ones(2, 3), device="cuda:1"),
    ]
    for call in calls:
        with pytest.raises(RuntimeError) as theirs:
            call(torch)
        with pytest.raises(RuntimeError) as ours:
            call(optc)
        assert str(ours.value) == str(theirs.value)
    assert optc._assert_async(optc.tensor(1)) is None


def test_a_part_that_begins_where_a_tensor_says_can_be_written() -> None:
    text = "def f(x, t):\n    y = torch.neg(x)\n    torch.narrow(y, 0, t, 2).add_(10)\n    return y\n"
    ours = optc.compile(optc.jit.CompilationUnit(text).f, fallback="error")
    x, t = torch.rand(4), torch.tensor(1)
    expected = torch.jit.CompilationUnit(text).f(x, t)
    assert ours(optc.from_numpy(x.numpy()), optc.tensor(1)).tolist() == expected.tolist()
