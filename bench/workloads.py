"""What is timed: networks of the examples with their inputs, how many operations they are, and what they should reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import optc
from examples import networks


@dataclass(frozen=True)
class Workload:
    """A program and the shapes of its arguments.

    `network` names a function of examples/networks.py, `eager` the class behind it for peers that want a plain module;
    both get `sizes`, the class also what the functions that `parts` names return. `reach`: how many times as fast as
    the best peer optc should be, by number of threads. `flops`: the floating-point operations of a product, 0 for
    others.
    """

    name: str
    network: str
    shapes: tuple[tuple[int, ...], ...]
    eager: str
    sizes: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()
    reach: Mapping[int, float] = field(default_factory=dict, hash=False)
    flops: int = 0

    def program(self) -> Any:
        """The scripted or traced program, its weights seeded."""
        optc.manual_seed(0)
        return getattr(networks, self.network)(*self.sizes)

    def arrays(self, seed: int = 0) -> list[np.ndarray[Any, Any]]:
        """Arguments, the same for every engine."""
        generator = np.random.default_rng(seed)
        return [generator.standard_normal(shape, np.float32) for shape in self.shapes]

    def arguments(self, seed: int = 0) -> list[Any]:
        """The arguments as tensors."""
        return [optc.from_numpy(array) for array in self.arrays(seed)]

    def plain(self, module: Any) -> Any:
        """The plain module, made from a copy of examples/networks.py (optc's, or one where torch is imported)."""
        return getattr(module, self.eager)(*(getattr(module, name)() for name in self.parts), *self.sizes).eval()


ELEMENTS = 1 << 20
"""What the row kernels work on, whatever the length of a row."""

ROW_LENGTHS = (64, 1024, 8192, 65536)
PRODUCTS = ((128, 768, 768), (128, 3072, 768), (64, 1024, 1024), (512, 512, 512), (2048, 2048, 2048))
"""Rows, columns and summed extent of matrix products with weights."""

SHARE_OF_PEAK = 0.93
"""What a product should reach of the multiply-adds that the machine can do."""


def _rows() -> list[Workload]:
    """Softmax, layer norm and gelu alone, for short and long rows of the same number of elements."""
    kinds = (("softmax", "softmax", "Softmax"), ("layernorm", "layer_norm", "LayerNorm"), ("gelu", "gelu", "Gelu"))
    return [
        Workload(
            f"{name}-{length}", network, ((ELEMENTS // length, length),), eager,
            sizes=(length,) if name == "layernorm" else (), reach={1: 1.3, 2: 1.3},
        )
        for name, network, eager in kinds
        for length in ROW_LENGTHS
    ]  # fmt: skip


def _products() -> list[Workload]:
    return [
        Workload(f"gemm-{m}x{n}x{k}", "product", ((m, k),), "Product", sizes=(k, n), flops=2 * m * n * k)
        for m, n, k in PRODUCTS
    ]


WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("cell", "rnn_cell", ((3, 4), (3, 4)), "Cell", parts=("decision_gate",), reach={1: 35}),
        Workload("loop-10", "rnn_loop", ((10, 3, 4),), "RNNLoop", reach={1: 100}),
        Workload("loop-1000", "rnn_loop", ((1000, 3, 4),), "RNNLoop", reach={1: 60}),
        Workload("rnn-200", "wide_loop", ((200, 1, 256),), "WideLoop", reach={1: 2.2}),
        Workload("lstm", "lstm", ((50, 1, 256),), "LSTM", reach={1: 1.6, 2: 1.6}),
        Workload("mlp-1", "perceptron", ((1, 784),), "Perceptron", reach={1: 1.05, 2: 1.05}),
        Workload("mlp-64", "perceptron", ((64, 784),), "Perceptron", reach={1: 1.0, 2: 1.0}),
        Workload("chain", "chain", ((1024, 1024),), "Chain", reach={1: 3.3, 2: 3.0}),
        *_rows(),
        *_products(),
    )
}

GUARDED = (
    "cell", "loop-10", "loop-1000", "rnn-200", "lstm", "mlp-1", "mlp-64", "chain", "softmax-1024", "layernorm-64",
    "gemm-128x768x768",
)  # fmt: skip
"""The workloads whose speed the regression check holds: one of every kind."""


def chosen(names: Sequence[str]) -> list[Workload]:
    """The workloads of these names (or the start of one, as in `softmax-`); all of them when there are no names.

    Raises KeyError naming what there is.
    """
    found = [workload for name in names for workload in WORKLOADS.values() if _is_meant(workload.name, name)]
    unknown = [name for name in names if not any(_is_meant(known, name) for known in WORKLOADS)]
    if unknown:
        raise KeyError(f"no workload {', '.join(unknown)} (there are: {', '.join(WORKLOADS)})")
    return list(dict.fromkeys(found)) if names else list(WORKLOADS.values())


def _is_meant(name: str, text: str) -> bool:
    return name == text or (text.endswith("-") and name.startswith(text))
