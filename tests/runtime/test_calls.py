"""Calls of compiled programs that reach native code without a Python frame in between, and what they give back."""

import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import optc
from optc import errors, nn
from optc.codegen.entry import python_layout
from optc.runtime.compiled import CompiledFunction

pytestmark = pytest.mark.skipif(not python_layout.is_supported(), reason="this interpreter has no native entry")

X = np.arange(12, dtype=np.float32).reshape(3, 4) / 10
H = np.ones((3, 4), np.float32)


class Cell(nn.Module):
    def forward(self, x, h, scale: float = 2.0, mask: optc.Tensor | None = None):
        new = optc.tanh(x + h) * scale
        if mask is not None:
            new = new * mask
        return new, new + 1


class Steps(nn.Module):
    def forward(self, x, state: tuple[optc.Tensor, optc.Tensor]):
        h, c = state
        return x + h, (h * 2, c + x)


class Summing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", optc.zeros(4))
        self.latest = optc.zeros(4)
        self.count = 0

    def forward(self, x):
        self.total += x
        self.latest = x * 2
        self.count = self.count + 1
        return self.total * 1.0


def add_to(x, y):
    x.add_(y)
    return x.sum()


class SlowCalls:
    """How many calls went through Python."""

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowCalls]:
    calls = SlowCalls()
    dispatch = CompiledFunction._dispatch

    def counted(self: CompiledFunction, *arguments: Any, **keywords: Any) -> Any:
        calls.count += 1
        return dispatch(self, *arguments, **keywords)

    monkeypatch.setattr(CompiledFunction, "_dispatch", counted)
    return calls


def compiled(program: Any, *arguments: Any) -> Any:
    made = optc.compile(optc.jit.script(program))
    made(*arguments)
    return made


def expected(x: Any = X, h: Any = H, scale: float = 2.0) -> Any:
    return np.tanh(x + h) * scale


def test_keywords_and_defaults_stay_native(slow: SlowCalls) -> None:
    cell = compiled(Cell(), X, H)
    slow.count = 0
    for call in (
        lambda: cell(X, H), lambda: cell(X, h=H), lambda: cell(h=H, x=X), lambda: cell(X, H, 2.0),
        lambda: cell(X, H, mask=None),
    ):  # fmt: skip
        assert np.allclose(call()[0], expected())
    assert np.allclose(cell(X, H, scale=3.0)[0], expected(scale=3.0))
    assert slow.count == 0


def test_strided_arrays_stay_native(slow: SlowCalls) -> None:
    cell = compiled(Cell(), X, H)
    wide = np.repeat(X, 2, axis=1)
    slow.count = 0
    for x in (X[::-1], np.asfortranarray(X), wide[:, ::2], np.lib.stride_tricks.as_strided(X, (3, 4), (0, 4))):
        assert np.allclose(cell(x, H)[0], expected(x))
    assert slow.count == 0


def test_tensors_in_tensors_out(slow: SlowCalls) -> None:
    cell = compiled(Cell(), X, H)
    x, h = optc.from_numpy(X), optc.from_numpy(H)
    slow.count = 0
    kept = [cell(x * number, h)[0] for number in range(5)]
    assert all(np.allclose(tensor.numpy(), expected(X * number)) for number, tensor in enumerate(kept))
    assert type(cell(x, H)[0]) is optc.Tensor
    assert type(cell(X, h)[0]) is np.ndarray
    gradient = cell(x, h)[0]
    gradient.requires_grad = True
    del gradient
    assert not cell(x, h)[0].requires_grad
    assert slow.count == 0


def test_containers_stay_native(slow: SlowCalls) -> None:
    steps = compiled(Steps(), X, (H, X))
    slow.count = 0
    state: Any = (H, X)
    for _ in range(3):
        _, state = steps(X, state)
        _, state = steps(X, state=state)
    assert np.allclose(state[0], H * 64)
    assert np.allclose(state[1], X * 7)
    assert slow.count == 0
    with pytest.raises(RuntimeError, match="different number of elements"):
        steps(X, (H,))


def test_dictionaries_stay_native(slow: SlowCalls) -> None:
    def scaled(items: dict[str, optc.Tensor], boxes: list[dict[str, optc.Tensor]]) -> dict[str, optc.Tensor]:
        out: dict[str, optc.Tensor] = {}
        for key, value in items.items():
            out[key] = value * 2 if key in boxes[0] else value
        return out

    scale = compiled(scaled, {"a": X, "b": H}, [{"a": X}])
    slow.count = 0
    found = scale({"a": H, "b": X}, boxes=[{"a": H}])
    assert list(found) == ["a", "b"] and np.allclose(found["a"], H * 2) and found["b"] is X
    assert slow.count == 0
    assert list(scale({"b": H, "a": X}, [{"a": X}])) == ["b", "a"]
    assert slow.count == 1


def test_state_stays_native(slow: SlowCalls) -> None:
    module = optc.jit.script(Summing())
    summing = optc.compile(module)
    x = np.arange(4, dtype=np.float32)
    summing(x)
    slow.count = 0
    results = [summing(x) for _ in range(4)]
    assert [result.tolist() for result in results] == [(x * number).tolist() for number in (2, 3, 4, 5)]
    latest = module.latest
    summing(x * 10)
    assert slow.count == 0
    assert (module.count, module.total.tolist()) == (6, (x * 15).tolist())
    assert latest.tolist() == (x * 2).tolist()
    assert module.latest.tolist() == (x * 20).tolist()


def test_arguments_that_a_program_changes_are_changed(slow: SlowCalls) -> None:
    add = compiled(add_to, X.copy(), H)
    x = X.copy()
    slow.count = 0
    assert add(x, H) == pytest.approx(X.sum() + 12)
    assert np.array_equal(x, X + 1)
    assert slow.count == 0
    strided = np.zeros((3, 8), np.float32)[:, ::2]
    add(strided, H)
    assert np.array_equal(strided, H)


def test_a_program_that_fails_gets_its_bound_arguments() -> None:
    def take(x, place: int = 0, bias: optc.Tensor | None = None):
        return x[place]

    taken = compiled(take, X)
    assert np.array_equal(taken(X, place=2), X[2])
    with pytest.raises(errors.ExecutionError, match="out of range"):
        taken(X, place=7)
    with pytest.raises(errors.ExecutionError, match="out of range"):
        taken(x=X, place=-9)
    assert np.array_equal(taken(X), X[0])


def test_memory_and_references_stay_as_they_are() -> None:
    cell = compiled(Cell(), X, H)
    x, h, name = optc.from_numpy(X), optc.from_numpy(H), "h"

    def calls(times: int) -> None:
        for _ in range(times):
            cell(X, H)
            cell(x, **{name: h})
            cell(X[::-1], H)

    calls(100)
    gc.collect()
    watched = (X, H, x, h, x._array, name, optc.Tensor, np.dtype(np.float32))
    before, blocks = list(map(sys.getrefcount, watched)), sys.getallocatedblocks()
    calls(20_000)
    gc.collect()
    assert np.abs(np.subtract(list(map(sys.getrefcount, watched)), before)).max() <= 3
    assert sys.getallocatedblocks() - blocks < 500


def test_threads_share_a_program() -> None:
    cell = compiled(Cell(), X, H)
    wrong: list[int] = []

    def work(number: int) -> None:
        x = X * number
        for _ in range(300):
            kept = [cell(x, H)[0], cell(optc.from_numpy(x), h=H)[0].numpy()]
            wrong.extend(number for result in kept if not np.allclose(result, expected(x)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# torch


@pytest.mark.peers
def test_torch_tensors_stay_native(slow: SlowCalls) -> None:
    torch = pytest.importorskip("torch")

    cell = compiled(Cell(), X, H)
    x, h = torch.from_numpy(X), torch.from_numpy(H)
    cell(x, h)
    slow.count = 0
    kept = [cell(x * number, h=h)[0] for number in range(5)]
    assert all(type(tensor) is torch.Tensor and tensor.is_contiguous() for tensor in kept)
    assert all(np.allclose(tensor.numpy(), expected(X * number)) for number, tensor in enumerate(kept))
    assert type(cell(X, h)[0]) is np.ndarray
    assert type(cell(x, H)[0]) is torch.Tensor
    assert slow.count == 0
    held = cell(x, h)[0][1:].numpy()
    values = held.copy()
    for number in range(5):
        cell(x + number, h)
    assert np.array_equal(held, values)


@pytest.mark.peers
def test_torch_tensors_that_are_more_than_memory_take_the_slow_path(slow: SlowCalls) -> None:
    torch = pytest.importorskip("torch")

    cell = compiled(Cell(), X, H)
    x, h = torch.from_numpy(X), torch.from_numpy(H)
    cell(x, h)
    slow.count = 0
    assert np.allclose(cell(x.t().contiguous().t(), h)[0].numpy(), expected())
    assert slow.count == 0
    assert np.allclose(cell(torch.nn.Parameter(x), h)[0].numpy(), expected())
    assert slow.count == 1
    for wrong in (x.to("meta"), x.to_sparse()):
        with pytest.raises(TypeError):
            cell(wrong, h)
    negative = torch.complex(h, -x).conj().imag
    assert np.allclose(cell(negative, h)[0].numpy(), expected())


@pytest.mark.peers
def test_torch_results_outlive_the_program() -> None:
    torch = pytest.importorskip("torch")

    cell = compiled(Cell(), X, H)
    x, h = torch.from_numpy(X), torch.from_numpy(H)
    results = [cell(x, h) for _ in range(3)]
    del cell
    gc.collect()
    assert all(np.allclose(first.numpy(), expected()) for first, _ in results)


@pytest.mark.peers
def test_a_recycled_array_is_left_to_the_torch_tensor_that_shares_it() -> None:
    torch = pytest.importorskip("torch")

    cell = compiled(Cell(), X, H)
    shared = torch.from_numpy(cell(X, H)[0])
    values = shared.clone()
    for number in range(5):
        cell(X + number, H)
    assert torch.equal(shared, values)


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float64", "int64", "int32", "uint8", "bool", "bfloat16", "float16"])
def test_torch_tensors_of_all_types(dtype: str) -> None:
    torch = pytest.importorskip("torch")

    def flip(x):
        return x.flip(0), x[0]

    x = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype))
    flipped = compiled(flip, x)
    for _ in range(3):
        first, second = flipped(x)
        assert first.dtype == second.dtype == x.dtype
        assert torch.equal(first, x.flip(0))
        assert torch.equal(second, x[0])


# Memory that is not there


def made_of(n: int, m: int):
    return optc.ones(n, m).sum() + 0.0, optc.ones(n, m)


@pytest.mark.parametrize("sizes", [(1 << 32, 1 << 32), (1 << 31, 1 << 31), (1 << 62, 4), (-1, 4)])
def test_sizes_that_cannot_be_counted_are_refused(sizes: tuple[int, int]) -> None:
    """The bytes of the first three are a multiple of 2**64, which is 0 in a machine word."""
    made = optc.compile(optc.jit.script(made_of))
    for few in ((3, 4), (5, 6)):
        assert made(*few)[1].shape == few
    with pytest.raises(errors.ExecutionError):
        made(*sizes)
    assert made(2, 7)[0] == 14


def test_memory_that_is_not_there_is_an_error_with_size_and_place() -> None:
    made = optc.compile(optc.jit.script(made_of))
    made(3, 4)
    with pytest.raises(MemoryError, match=r"made_of: no 4398046511104 bytes for .*aten::full.*test_calls\.py"):
        made(1 << 20, 1 << 20)
    assert made(2, 7)[0] == 14


def test_the_users_source_is_not_looked_for_while_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only messages need it, and to read what an archive says of it takes a while."""

    def fail(source: errors.SourceRange) -> str:
        raise AssertionError(f"asked for {source.filename}")

    fast = optc.compile(squared, dynamic=True, cache=False, fallback="error")
    with monkeypatch.context() as patched:
        patched.setattr(errors.SourceRange, "original", fail)
        fast.prepare(np.ones(5, np.float32))
    assert np.array_equal(fast(np.ones(5, np.float32)), squared(optc.ones(5)).numpy())


def squared(x):
    return (x[:, None] + x[None, :]).cumsum(0).cumsum(1)


def test_a_failing_allocation_in_the_middle_leaves_the_program_usable() -> None:
    program = optc.compile(optc.jit.script(squared), dynamic=True)
    x = np.ones(5, np.float32)
    wanted = program(x)
    with pytest.raises(MemoryError):
        program(np.ones(1 << 21, np.float32))
    for _ in range(3):
        assert np.array_equal(program(x), wanted)
