"""What is timed: the tutorial's networks, a perceptron and a pointwise chain, with their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import optc
from examples import networks


@dataclass(frozen=True)
class Workload:
    """A program and the shapes of its arguments.

    `network` names a function of examples/networks.py, `eager` the class behind it for peers that want a plain module
    (it is made with the arguments that `eager_arguments` names).
    """

    name: str
    network: str
    shapes: tuple[tuple[int, ...], ...]
    eager: str
    eager_arguments: tuple[str, ...] = ()

    def program(self) -> Any:
        """The scripted or traced program, its weights seeded."""
        optc.manual_seed(0)
        return getattr(networks, self.network)()

    def arrays(self, seed: int = 0) -> list[np.ndarray[Any, Any]]:
        """Arguments, the same for every engine."""
        generator = np.random.default_rng(seed)
        return [generator.standard_normal(shape).astype(np.float32) for shape in self.shapes]

    def arguments(self, seed: int = 0) -> list[Any]:
        """The arguments as tensors."""
        return [optc.from_numpy(array) for array in self.arrays(seed)]

    def plain(self, module: Any) -> Any:
        """The plain module, made from a copy of examples/networks.py (optc's, or one where torch is imported)."""
        return getattr(module, self.eager)(*(getattr(module, name)() for name in self.eager_arguments)).eval()


WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("cell", "rnn_cell", ((3, 4), (3, 4)), "Cell", ("decision_gate",)),
        Workload("loop-10", "rnn_loop", ((10, 3, 4),), "RNNLoop"),
        Workload("loop-1000", "rnn_loop", ((1000, 3, 4),), "RNNLoop"),
        Workload("perceptron", "perceptron", ((64, 784),), "Perceptron"),
        Workload("chain", "chain", ((1024, 1024),), "Chain"),
    )
}


def chosen(names: Sequence[str]) -> list[Workload]:
    """The workloads of these names, all of them when there are none. Raises KeyError naming what there is."""
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise KeyError(f"no workload {', '.join(unknown)} (there are: {', '.join(WORKLOADS)})")
    return [WORKLOADS[name] for name in names or WORKLOADS]
