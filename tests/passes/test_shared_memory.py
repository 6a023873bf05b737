"""What is written to a result shows in the argument, and the other way round, wherever PyTorch gives the memory of the
argument back: also where the operator's schema does not say so. Compiled code may refuse such a program, never err."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import optc

Program = Callable[[Any, Any], Any]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same numbers in every run."""
    optc.manual_seed(0)


OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "type_as": lambda lib, x, y: x.type_as(y),
    "dropout that drops nothing": lambda lib, x, y: lib.nn.functional.dropout(x, 0.5, False),
    "feature dropout that drops nothing": lambda lib, x, y: lib.feature_dropout(x, 0.5, False),
    "atleast_1d": lambda lib, x, y: lib.atleast_1d(x),
    "atleast_2d": lambda lib, x, y: lib.atleast_2d(x),
    "atleast_3d": lambda lib, x, y: lib.atleast_3d(x),
    "broadcast_tensors": lambda lib, x, y: lib.broadcast_tensors(x, y)[0],
    "einsum of one": lambda lib, x, y: lib.einsum("ij->ji", x),
    "einsum of two": lambda lib, x, y: lib.einsum("ij,kj->ik", x, y),
    "sum_to_size": lambda lib, x, y: x.sum_to_size(3, 4),
    "conj_physical": lambda lib, x, y: lib.conj_physical(x),
    "reshape": lambda lib, x, y: x.reshape(-1),
    "reshape that copies": lambda lib, x, y: x.t().reshape(-1),
    "ravel": lambda lib, x, y: x.ravel(),
    "ravel that copies": lambda lib, x, y: x[:, 0].ravel(),
    "to the same type": lambda lib, x, y: x.to(y),
    "contiguous": lambda lib, x, y: x.contiguous(),
}


def writes_result(lib: Any, name: str) -> Program:
    def program(x: Any, y: Any) -> Any:
        doubled = x * 2.0
        result = OPERATIONS[name](lib, doubled, y)
        result.add_(1.0)
        return doubled, result

    return program


def writes_argument(lib: Any, name: str) -> Program:
    def program(x: Any, y: Any) -> Any:
        doubled = x * 2.0
        result = OPERATIONS[name](lib, doubled, y)
        doubled.add_(1.0)
        return doubled, result

    return program


@pytest.mark.parametrize("written", [writes_result, writes_argument])
@pytest.mark.parametrize("name", OPERATIONS)
def test_compiled_code_shares_what_eager_code_shares(name: str, written: Callable[[Any, str], Program]) -> None:
    program, x, y = written(optc, name), optc.randn(3, 4), optc.randn(3, 4)
    fast = optc.compile(optc.jit.trace(program, (x, y), check_trace=False), fallback="allow")
    for mine, other in zip(fast(x, y), program(x, y), strict=True):
        assert optc.allclose(mine, other)


SETTLED = ("type_as", "reshape", "reshape that copies", "to the same type")
"""Where types and strides tell what shares memory."""


@pytest.mark.parametrize("written", [writes_result, writes_argument])
@pytest.mark.parametrize("name", SETTLED)
def test_what_types_settle_is_native(name: str, written: Callable[[Any, str], Program]) -> None:
    program, x, y = written(optc, name), optc.randn(3, 4), optc.randn(3, 4)
    fast = optc.compile(optc.jit.trace(program, (x, y), check_trace=False), fallback="error")
    for given in (x, optc.randn(4, 3).t()):
        for mine, other in zip(fast(given, y), program(given, y), strict=True):
            assert optc.allclose(mine, other)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("written", [writes_result, writes_argument])
@pytest.mark.parametrize("name", OPERATIONS)
def test_archives_share_what_pytorch_shares(name: str, written: Callable[[Any, str], Program], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    program, x, y = written(torch, name), torch.randn(3, 4), torch.randn(3, 4)
    torch.jit.save(torch.jit.trace(program, (x, y), check_trace=False), str(tmp_path / "program.pt"))
    expected = program(x, y)
    loaded = optc.jit.load(tmp_path / "program.pt")
    given = [optc.from_numpy(tensor.numpy()) for tensor in (x, y)]
    for run in (loaded, optc.compile(loaded, fallback="allow")):
        for mine, other in zip(run(*given), expected, strict=True):
            assert optc.allclose(mine, optc.from_numpy(other.numpy()), atol=1e-5)


def test_long_chains_of_sums_are_followed_once() -> None:
    """Every sum reads the one before it twice: following each reading would take 2 ** 60 steps."""

    def program(x: Any) -> Any:
        for _ in range(60):
            x = x + x.relu()
        y = x.reshape(-1)
        y.add_(1.0)
        return x, y

    x = optc.randn(3, 4) / 2**60
    fast = optc.compile(optc.jit.trace(program, (x,)))
    assert all(optc.equal(mine, expected) for mine, expected in zip(fast(x), program(x), strict=True))
    assert not fast.fallbacks
