"""Where the references of random operators get their numbers.

The eager layer, which stands above this one, installs its generator here; operators ask `source()`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


class RandomSource(Protocol):
    """What `optc.eager.random` offers: rules that fill an array in place, in PyTorch's order."""

    default_generator: Any

    def fill_uniform(self, array: Array, low: float, high: float, generator: Any) -> None: ...

    def fill_normal(self, array: Array, mean: float, deviation: float, generator: Any) -> None: ...

    def fill_random(self, array: Array, generator: Any) -> None: ...

    def fill_random_range(self, array: Array, low: int, high: int, generator: Any) -> None: ...

    def fill_bernoulli(self, array: Array, probability: float, generator: Any) -> None: ...

    def fill_bernoulli_each(self, array: Array, probabilities: Array, generator: Any) -> None: ...

    def fill_exponential(self, array: Array, rate: float, generator: Any) -> None: ...

    def permutation(self, count: int, generator: Any) -> Array: ...

    def multinomial(self, weights: Array, samples: int, replacement: bool, generator: Any) -> Array: ...


_source: RandomSource | None = None


def install(source: Any) -> None:
    """Use `source` (a module or object with the functions of `RandomSource`) from now on."""
    global _source
    _source = source


def source() -> RandomSource:
    """The installed source. Raises RuntimeError when there is none."""
    if _source is None:
        raise RuntimeError("random operators need optc.eager: import optc first")
    return _source
