"""What transforms look up: how their length is taken apart, factors, and the order of what comes out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.codegen.process.constant_memory import constant_zeros
from optc.ops.fourier_transform import unit_roots

Array = np.ndarray[Any, Any]


def radices(count: int, few_registers: bool) -> tuple[int, ...]:
    """The steps of a transform of `count` points, whose product it is: large powers of two first, as many points as
    registers hold; then the odd factors."""
    found: list[int] = []
    while count % 2 == 0:
        power = count & -count
        largest = 4 if few_registers or power in (4, 16) else 8
        found.append(min(power, largest))
        count //= found[-1]
    factor = 3
    while count > 1:
        while count % factor == 0:
            found.append(factor)
            count //= factor
        factor += 2
    return tuple(found) or (1,)


def factor_places(steps: tuple[int, ...]) -> list[int]:
    """Where the factors of each step but the last begin, counted in numbers, and where they all end."""
    places, length = [0], math.prod(steps)
    for radix in steps[:-1]:
        places.append(places[-1] + length // radix * (radix - 1) * 2)
        length //= radix
    return places


def factors(steps: tuple[int, ...], sign: int, half: str, dtype: str) -> Array:
    """The factors of all steps but the last, one after the other: of every turn p of a step those of its results 1, 2
    ..., each as two numbers. Behind them those that take real transforms apart (`half` "apart") or put them together
    ("together"), for the places up to half of the length."""
    count = length = math.prod(steps)
    roots = unit_roots(2 * count, sign)
    parts = []
    for radix in steps[:-1]:
        turns = np.arange(length // radix)[:, None] * np.arange(1, radix)[None, :]
        parts.append(roots[turns * (2 * count // length)].ravel())
        length //= radix
    if half:
        parts.append(roots[: count // 2 + 1] * (-0.5j if half == "apart" else 1j))
    whole = np.concatenate([*parts, np.zeros(0, np.complex128)]).view(np.float64)
    result = constant_zeros(max(1, whole.size), np.dtype(dtype))
    result[: whole.size] = whole
    return result


def order(steps: tuple[int, ...]) -> Array:
    """Where the last step finds the numbers of which result q, and those whole multiples of the number of places further,
    are made."""
    places = np.zeros(1, np.int64)
    count = length = math.prod(steps)
    for radix in steps[:-1]:
        length //= radix
        places = (places[None, :] + length * np.arange(radix)[:, None]).ravel()
    assert places.size * steps[-1] == count
    return places
