"""Loops and branches, compiled: tensors whose extents change, results written in place, memory that is given back."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
from optc import jit


def grow(xs):
    h = xs[0]
    for t in range(1, xs.size(0)):
        h = optc.cat([h, xs[t]])
    return h


def cut(x, n: int):
    if x.sum() > 0:
        x = x[:n]
    return x * 2


def grow_or_cut(x, n: int):
    for _ in range(n):
        if x.sum() > 40.0:
            x = x[1:]
        else:
            x = optc.cat([x, x + 1.0])
    return x


def keep_or_replace(x, n: int):
    y = x
    for i in range(n):
        y = y if i % 2 == 0 else optc.cat([x, y * 0.5])
    return y, y.sum()


def one_behind(x, n: int):
    y = x
    z = x
    for _ in range(n):
        z = y
        y = optc.cat([z, x])
    return y, z


def halve(x):
    n = 0
    while x.size(0) > 1:
        x = x[::2] + 1.0
        n += 1
    return x, n


def swap(x, n: int):
    a = x
    b = x[:3]
    for _ in range(n):
        a, b = b, a
    return a, b


def swap_equal(x, n: int):
    a = x * 2
    b = x + 1
    for _ in range(n):
        a, b = b, a
    return a, b


def table(x, n: int):
    t = optc.zeros(n + 2, 70)
    t[0] = x[0]
    for i in range(n):
        t[i + 1] = t[i] * 0.5 + x[1]
    return t


def some_rows(x, n: int):
    t = optc.zeros(n, 70)
    for i in range(n):
        if i % 3 == 1:
            t[i] = x[0] * i
    return t


def rows_that_are_read(x, n: int):
    t = optc.zeros(n, 70)
    s = optc.zeros(70)
    for i in range(n):
        t[i] = x[0]
        s = s + t.sum(0)
    return t, s


def matrix(x, n: int):
    t = optc.zeros(n, n, 70)
    for i in range(n):
        for j in range(n):
            t[i, j] = x[0] * (i + 10 * j)
    return t


def small_rows(x, n: int):
    t = optc.zeros(4, 3)
    for i in range(n):
        t[i % 4] = t[i % 4] + x[i, :3]
        t[-1] = x[0, 0:3]
    return t


def columns(x):
    t = optc.zeros(6, x.size(0))
    for i in range(x.size(0)):
        t[:, i] = x[i, :6]
    return t


def overwrite_argument(x, n: int):
    """`x * 1` is the argument itself once the program is simplified; it must not be written to for all that."""
    y = x * 1
    for i in range(n):
        y = y * 1 if i == 0 else optc.cat([y, x])
        y[0] = 1.0 * i
    return y, x.sum()


def overwrite_one_of_two(x, n: int):
    y = x * 1 if n > 2 else optc.cat([x, x])
    y[0] = 3.0
    z = x * 1 if n > 2 else x * 2
    z[1] = 4.0
    return y, z, x.sum()


def swap_and_grow(x, n: int):
    a = x * 1
    b = x[:3] * 1
    for i in range(n):
        a, b = b * 1, optc.cat([a, x[:1]])
        b[0] = a[0] + i
    return a, b


def shortest_paths(x):
    """One row and one column, cut out as slices that cannot reach over the end."""
    d = optc.abs(x)
    for k in range(x.size(0)):
        d = optc.minimum(d, d[:, k : k + 1] + d[k : k + 1, :])
    return d


def windows(x):
    out: list[optc.Tensor] = []
    for i in range((x.size(0) - 4) // 3 + 1):
        out.append(x[i * 3 : i * 3 + 4] * 2)
    return optc.stack(out)


def levinson(x, order: int):
    """Slices that may reach over the end of `x`, as far as anybody knows, beside some that cannot."""
    r = x[0]
    a = optc.zeros(order + 1)
    a[0] = 1.0
    error = r[0] + 9.0
    for i in range(1, order + 1):
        k = -(a[:i] * r[1 : i + 1].flip(0)).sum() / error
        before = a.clone()
        a[1:i] = before[1:i] + k * before[1:i].flip(0)
        a[i] = k
        error = error * (1 - k * k)
    return a, error


def tensor(*shape: int, shift: float = 0.0) -> Any:
    values = np.random.default_rng(len(shape)).standard_normal(shape) + shift
    return optc.from_numpy(values.astype(np.float32))


def one_value_twice(x, y):
    """A branch gives the same tensor for two results; the first is read no more before the second is."""
    if x.sum() > 0:
        first, second = y, x
    else:
        doubled = x * 2
        first, second = doubled, doubled
    total = first.sum()
    return optc.cumsum(x * 3, 1).sum(), total, second[3:]


def beam(x, n: int):
    """The tensors have one row before the first turn and three behind it, all of them."""
    scores, rows, path = optc.zeros(1), x[:1], optc.zeros(1, 1)
    for t in range(n):
        rows = optc.tanh(rows + path[:, -1].unsqueeze(1))
        scores, places = (scores.unsqueeze(1) + rows).view(-1).topk(3)
        chosen = optc.div(places, rows.size(1), rounding_mode="floor")
        rows = rows[chosen]
        path = optc.cat([path[chosen], scores.unsqueeze(1) * t], 1)
    return scores, rows, path


def first_with_many(x, limit: int):
    """What the turn before has found, and how many, is not what this one finds."""
    for i in range(x.size(0)):
        found = (x[i] > 0).nonzero()
        if found.size(0) > limit:
            return found * found.size(0), i, found.size(0)
    return (x[0] > 100).nonzero(), -1, 0


def remembered(x, n: int):
    """The cache has a rank of its own while it is empty."""
    cache = optc.zeros(0)
    for i in range(n):
        cache = x if cache.numel() == 0 else optc.cat([cache, x[:1] * i])
        x = optc.tanh(x + cache.sum(0))
    return x


def begun_by_a_flag(x):
    """Endless, as far as anybody can tell; what the loop carries are placeholders."""
    state = optc.zeros(1)
    weights = optc.zeros(1)
    first = True
    steps = 0
    while True:
        if first:
            state = x[0]
            weights = x[:1] * 0.5
            first = False
        else:
            state = optc.tanh(state + x[1])
            weights = optc.cat([weights, state.unsqueeze(0)])
        steps += 1
        if steps > 5 or state.sum() > 1000.0:
            break
    return state, weights, steps


def attend(x, past: tuple[optc.Tensor, optc.Tensor] | None):
    keys, values = x * 0.5, x - 1.0
    if past is not None:
        keys = optc.cat([past[0], keys])
        values = optc.cat([past[1], values])
    return optc.softmax(x @ keys.t(), 1) @ values, (keys, values)


def generate(x, n: int):
    """Many rows in the first turn, one in each of the others, and what all of them had in a list of two caches."""
    past: list[tuple[optc.Tensor, optc.Tensor] | None] = [None, None]
    row = x
    for _ in range(n):
        h = row
        present: list[tuple[optc.Tensor, optc.Tensor] | None] = []
        for place in range(2):
            h, pair = attend(h, past[place])
            present.append(pair)
        past = present
        row = optc.tanh(h[-1]).unsqueeze(0)
    return row.sum(0)


def two_before(x, n: int):
    outputs: list[optc.Tensor | None] = [None, None]
    for i in range(n):
        outputs[0] = outputs[1]
        outputs[1] = x * i
        before = outputs[0]
        x = x - 0.1 * (x if before is None else before)
    return x


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (grow, (tensor(7, 5, 20),)),
    (grow, (tensor(1, 5, 20),)),
    (cut, (tensor(40, 8, shift=1.0), 5)),
    (cut, (tensor(40, 8, shift=-1.0), 5)),
    (grow_or_cut, (tensor(3, 30), 8)),
    *((keep_or_replace, (tensor(10, 20), n)) for n in (0, 1, 5)),
    *((one_behind, (tensor(10, 20), n)) for n in (0, 1, 5)),
    *((one_value_twice, (tensor(30, 40, shift=shift), tensor(30, 40))) for shift in (-1.0, 1.0)),
    *((beam, (tensor(3, 20), n)) for n in (0, 1, 5)),
    (halve, (tensor(130, 20),)),
    *((remembered, (tensor(3, 20), n)) for n in (0, 1, 60)),
    (begun_by_a_flag, (tensor(3, 20),)),
    *((generate, (tensor(3, 20), n)) for n in (0, 1, 60)),
    *((two_before, (tensor(3, 20), n)) for n in (0, 1, 60)),
    *((swap, (tensor(10, 20), n)) for n in (0, 3, 4)),
    *((swap_equal, (tensor(10, 20), n)) for n in (0, 3, 4)),
    *((overwrite_argument, (tensor(10, 20), n)) for n in (0, 1, 5)),
    *((overwrite_one_of_two, (tensor(10, 20), n)) for n in (0, 5, 9)),
    *((swap_and_grow, (tensor(10, 20), n)) for n in (0, 1, 5)),
    *((table, (tensor(2, 70), n)) for n in (0, 9)),
    *((some_rows, (tensor(2, 70), n)) for n in (0, 10)),
    (rows_that_are_read, (tensor(2, 70), 9)),
    (matrix, (tensor(2, 70), 4)),
    (small_rows, (tensor(9, 70), 9)),
    (columns, (tensor(9, 70),)),
    (shortest_paths, (tensor(9, 9),)),
    (shortest_paths, (tensor(41, 41),)),
    (windows, (tensor(20, 50),)),
    *((levinson, (tensor(2, 9), order)) for order in (1, 5)),
    *((first_with_many, (optc.tensor([[-1.0, -2.0, 1.0], [1.0, -1.0, 1.0]]), n)) for n in (0, 1, 2)),
]


def same(mine: Any, other: Any) -> bool:
    if isinstance(mine, tuple | list):
        return len(mine) == len(other) and all(map(same, mine, other))
    if not isinstance(mine, optc.Tensor):
        return bool(mine == other)
    return mine.shape == other.shape and np.allclose(mine.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dynamic", [None, True, False], ids=["default", "symbolic", "known"])
@pytest.mark.parametrize(("function", "arguments"), CASES, ids=[case[0].__name__ for case in CASES])
def test_loops_stay_native(function: Callable[..., Any], arguments: tuple[Any, ...], dynamic: bool | None) -> None:
    scripted = jit.script(function)
    compiled = optc.compile(scripted, fallback="error", dynamic=dynamic)
    expected = scripted(*(item.clone() if isinstance(item, optc.Tensor) else item for item in arguments))
    for _ in range(3):
        given = [item.clone() if isinstance(item, optc.Tensor) else item for item in arguments]
        assert same(compiled(*given), expected)


def test_extents_of_the_first_turn_are_not_those_of_later_ones() -> None:
    """Only Python can hold a tensor whose rank nobody knows; the numbers that native code reads from it are its own."""

    def turned(x, n: int):
        total = 0
        for _ in range(n):
            rows, columns = x.shape
            total += 10 * columns + rows
            x = x[x[:, 0] > 0].squeeze().t()
        return total

    assert optc.compile(jit.script(turned), fallback="allow")(optc.ones(2, 3), 9) == 5 * 32 + 4 * 23


def test_memory_of_tensors_that_grow_is_given_back() -> None:
    compiled = optc.compile(jit.script(grow), fallback="error")
    xs = tensor(40, 10, 300)
    compiled(xs)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        compiled(xs)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000  # kilobytes; all turns of one call together make nine megabytes


def test_memory_is_given_back_when_a_later_turn_fails() -> None:
    def fail(x, n: int):
        y = x
        for i in range(n):
            y = optc.cat([y, x])
            if i == 30:
                y = y[:1] + y[y.size(0) + 3]
        return y

    compiled = optc.compile(jit.script(fail), fallback="error")
    x = tensor(10, 300)
    compiled(x, 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(40):
        with pytest.raises(optc.errors.ExecutionError):
            compiled(x, 40)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


def test_a_row_is_written_in_place() -> None:
    scripted = jit.script(table)
    compiled = optc.compile(scripted, fallback="error")
    compiled(tensor(2, 70), 9)
    body = compiled.llvm.split("while.body", 1)[1].split("while.end", 1)[0]
    assert "memcpy" not in body


def test_weights_that_lie_transposed_are_read_before_the_first_of_several_loops() -> None:
    """What one loop has read into registers is there in the next one too, which the first need not have run for."""

    class Twice(optc.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = optc.nn.GRU(4, 4)

        def forward(self, xs, ys):
            return self.cell(xs)[0], self.cell(ys)[0]

    xs, ys = (optc.from_numpy(np.random.default_rng(n).standard_normal((5, 2, 4), np.float32)) for n in (1, 2))
    scripted = jit.script(Twice())
    for result, expected in zip(optc.compile(scripted, fallback="error")(xs, ys), scripted(xs, ys)):
        np.testing.assert_allclose(result.numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
