# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Branches that give tensors of different ranks are native, as long as one rank comes of it in the end."""

from __future__ import annotations

import numpy as np

import optc
from optc import jit


def boxes(x):
    if bool(x.sum() > 0):
        y = x.view(x.size(0), -1, 4)
    else:
        y = x
    low, high = y[..., 0::2], y[..., 1::2]
    clipped = optc.stack((low.clamp(min=0.0), high.clamp(max=1.0)), dim=y.dim())
    return clipped.reshape(y.shape).reshape(-1, 4)


def test_it_is_native_and_means_the_same() -> None:
    scripted = jit.script(boxes)
    fast = optc.compile(scripted)
    generator = np.random.default_rng(0)
    for rows in (2, 3):
        for sign in (1.0, -1.0):
            x = optc.from_numpy(sign * np.abs(generator.standard_normal((rows, 8))).astype("float32"))
            assert np.array_equal(fast(x).numpy(), boxes(x).numpy())
    assert not fast.fallbacks


def drawn(x):
    y = optc.rand(2, 3) if bool(x.sum() > 0) else optc.rand(6)
    z = optc.rand(2)
    return y.sum() + z, y.reshape(-1)


def test_what_a_branch_draws_is_drawn_before_what_follows() -> None:
    scripted = jit.script(drawn)
    fast = optc.compile(scripted, fallback="allow")
    for x in (optc.ones(3), -optc.ones(3)):
        found = []
        for program in (fast, scripted):
            optc.manual_seed(0)
            found.append([item.numpy() for item in program(x)])
        assert all(map(np.array_equal, *found))


def chosen(x):
    table = {"low": (optc.linspace(0, 1, 5), True), "none": (optc.tensor(0.0), False), "high": (x[0], False)}
    name = list(table.keys())[int(optc.randint(3, (1,)).item())]
    numbers, is_signed = table[name]
    number = float(numbers[optc.randint(len(numbers), (1,))].item()) if numbers.ndim > 0 else 0.0
    if is_signed and optc.randint(2, (1,)):
        number *= -1.0
    if name == "low":
        return x + number
    if name == "none":
        return x * 2
    if name == "high":
        return x - number
    raise ValueError(f"no {name}")


def test_what_drawn_text_chooses_is_native() -> None:
    scripted = jit.script(chosen)
    fast = optc.compile(scripted, fallback="error")
    x = optc.arange(6.0).reshape(2, 3)
    for seed in range(12):
        found = []
        for program in (fast, scripted):
            optc.manual_seed(seed)
            found.append((program(x).tolist(), optc.rand(1).tolist()))
        assert found[0] == found[1]
