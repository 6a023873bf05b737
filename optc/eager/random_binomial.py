"""Binomial numbers, drawn as PyTorch draws them: by counting waits between successes, or by W. Hoermann's rejection (1993)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from optc.eager.generator import Generator, default_generator
from optc.ir import dtypes
from optc.ir.types import TensorType
from optc.ops.registry import define
from optc.ops.shapes import broadcast_shapes, known

Array = npt.NDArray[Any]

_TAILS = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip
"""What Stirling's formula lacks of the logarithm of a factorial."""

_FEW = 10
"""So many successes, or more, are drawn by rejection."""


def _tail(count: float) -> float:
    if count < len(_TAILS):
        return _TAILS[int(count)]
    square = (count + 1) ** 2
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (count + 1)


def _by_waits(count: Any, chance: Any, generator: Generator) -> Any:
    """The number of successes whose waits fit into `count` trials."""
    trials, found, rate = 0.0, 0, float(np.log1p(-chance))
    while True:
        drawn = float(generator.uniform_doubles(1)[0])
        trials += math.ceil(math.log(drawn) / rate) if drawn > 0 else math.inf
        if trials > count:
            return count.dtype.type(found)
        found += 1


def _by_rejection(count: Any, chance: Any, generator: Generator) -> Any:
    """What is computed of numpy numbers is rounded to their type, as PyTorch's is; the rest is in double precision."""
    kind = count.dtype.type
    spread = float(np.sqrt(count * chance * (1 - chance)))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * float(chance)
    centre, odds = float(count * chance) + 0.5, float(chance / (1 - chance))
    quick, alpha = 0.92 - 4.2 / b, (2.83 + 5.1 / b) * spread
    mode, trials = math.floor((count + 1) * chance), float(count)
    while True:
        u = float(generator.uniform_doubles(1)[0]) - 0.5
        v = float(generator.uniform_doubles(1)[0])
        distance = 0.5 - abs(u)
        if distance == 0:  # what lies at infinity is no number of successes
            continue
        found = float(kind(math.floor((2 * a / distance + b) * u + centre)))
        if found < 0 or found > trials:
            continue
        if distance >= 0.07 and v <= quick:
            return kind(found)
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (trials - mode + 1)))
            + float(count + 1) * math.log((trials - mode + 1) / float(count - kind(found) + 1))
            + float(kind(found) + kind(0.5)) * math.log(odds * float(count - kind(found) + 1) / float(kind(found) + 1))
            + (_tail(mode) + _tail(trials - mode) - _tail(found) - _tail(trials - found))
        )
        scaled = v * alpha / (a / (distance * distance) + b)
        if scaled == 0 or math.log(scaled) <= bound:
            return kind(found)


def _binomial_number(count: Any, chance: Any, generator: Generator) -> Any:
    if count <= 0 or chance <= 0:
        return count.dtype.type(0)
    if chance >= 1:
        return count
    if np.isnan(chance):
        return chance
    rare = chance if chance <= 0.5 else chance.dtype.type(1 - chance)
    draw = _by_rejection if count * rare >= _FEW else _by_waits
    found = draw(count, rare, generator)
    return found if chance <= 0.5 else count - found


def _binomial(counts: Array, chances: Array, generator: Generator | None) -> Array:
    dtype, other = dtypes.from_numpy(counts.dtype), dtypes.from_numpy(chances.dtype)
    if dtype.kind != "float":
        raise ValueError(f"binomial only supports floating-point dtypes for count, got: {dtype.label}")
    if dtype is not other:
        raise RuntimeError(f"Found dtype {other.label} but expected {dtype.label}")
    if dtype not in (dtypes.FLOAT32, dtypes.FLOAT64):
        raise NotImplementedError(f"\"binomial_cpu\" not implemented for '{dtype.label}'")
    shape = known(broadcast_shapes(counts.shape, chances.shape))
    counts, chances = np.broadcast_to(counts, shape), np.broadcast_to(chances, shape)
    chosen = default_generator if generator is None else generator
    with chosen.lock:
        pairs = zip(counts.reshape(-1), chances.reshape(-1))
        drawn = [_binomial_number(count, chance, chosen) for count, chance in pairs]
    return np.array(drawn, counts.dtype).reshape(counts.shape)


def _infer(counts: TensorType, chances: TensorType, generator: Any) -> TensorType:
    if counts.shape is None or chances.shape is None:
        return counts.with_shape(None)
    return counts.with_shape(broadcast_shapes(counts.shape, chances.shape))


define(
    "aten::binomial(Tensor count, Tensor prob, Generator? generator=None) -> Tensor",
    infer=_infer,
    reference=_binomial,
    interpreted="it draws random numbers",
    random=True,
    may_fail=True,
)
