"""`optc.manual_seed` and its siblings, and `optc.Generator`, whose state is a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from optc.eager import dispatch, generator
from optc.eager.device import CPU, Device, require_cpu
from optc.eager.generator import default_generator


class Generator(generator.Generator):
    """A source of random numbers with a state of its own: PyTorch's CPU generator."""

    __slots__ = ()

    def __init__(self, device: Device | str = "cpu") -> None:
        require_cpu(device)
        super().__init__()

    @property
    def device(self) -> Device:
        """Always the CPU."""
        return CPU

    def get_state(self) -> Any:
        """The state as a tensor of bytes."""
        return dispatch.wrap(self.state_bytes())

    def set_state(self, state: Any) -> None:
        """Continue from a state that `get_state` gave. Raises TypeError or RuntimeError for what is none."""
        self.restore_bytes(state._array)

    def clone_state(self) -> Any:
        """An independent generator that will produce what this one would."""
        return self.clone()

    def __repr__(self) -> str:
        return "<optc.Generator on the CPU>"


def manual_seed(seed: int) -> generator.Generator:
    """Start the default generator again from `seed`: the numbers that follow are PyTorch's.

    Raises ValueError for a seed outside 64 bits.
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator from a number of the operating system, and return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed the default generator was last started with."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator as a tensor of bytes."""
    return dispatch.wrap(default_generator.state_bytes())


def set_rng_state(new_state: Any) -> None:
    """Continue from a state that `get_rng_state`, or PyTorch's, gave."""
    default_generator.restore_bytes(np.asarray(new_state._array))


@contextmanager
def fork_rng(enabled: bool = True) -> Iterator[None]:
    """Draw inside without moving the default generator outside."""
    state = default_generator.state_bytes()
    try:
        yield
    finally:
        if enabled:
            default_generator.restore_bytes(state)
