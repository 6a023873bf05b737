"""Schedules: functions from kernel to kernel that decide how loops run, never what they compute.

Lowering gives a naive loop nest; what it says about vectors, unrolling and the order of loops is decided here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from optc.codegen.kernels.block_maxima import block_maxima
from optc.codegen.kernels.blocks import block_reductions
from optc.codegen.kernels.columns import stream_columns
from optc.codegen.kernels.fetches import fetch_ahead
from optc.codegen.kernels.fused_sums import fuse_sums
from optc.codegen.kernels.hoist import hoist_invariants
from optc.codegen.kernels.interleave import interleave
from optc.codegen.kernels.kernel import Kernel, verify_kernel
from optc.codegen.kernels.overlap import overlap
from optc.codegen.kernels.parallelise import parallelise
from optc.codegen.kernels.reorder import reorder
from optc.codegen.kernels.tall_columns import split_tall_columns
from optc.codegen.kernels.transposes import tile_transposes
from optc.codegen.kernels.unroll import unroll
from optc.codegen.kernels.vectorise import vectorise
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass

SCHEDULES: dict[str, Callable[[Kernel, Target], Kernel]] = {
    "fuse sums": fuse_sums,
    "reorder": lambda kernel, target: reorder(kernel),
    "parallelise": parallelise,
    "block maxima": block_maxima,
    "block reductions": lambda kernel, target: block_reductions(kernel),
    "tile transposes": tile_transposes,
    "hoist": lambda kernel, target: hoist_invariants(kernel),
    "stream columns": stream_columns,
    "tall columns": split_tall_columns,
    "vectorise": vectorise,
    "interleave": interleave,
    "fetch ahead": fetch_ahead,
    "overlap": overlap,
    "unroll": unroll,
}
"""In the order in which they are applied."""


@dataclass(frozen=True)
class Scheduled:
    """A kernel that is ready to be emitted, and the names of the schedules that changed it."""

    kernel: Kernel
    applied: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """The kernel as text."""
        return str(self.kernel)


def schedule(kernel: Kernel, target: Target) -> Scheduled:
    """Apply every schedule; the kernel is verified before and after each. Raises VerifyError."""
    verify_kernel(kernel)
    applied: list[str] = []
    for name, change in SCHEDULES.items():
        changed = change(kernel, target)
        if changed != kernel:
            verify_kernel(changed)
            applied.append(name)
        kernel = changed
    return Scheduled(kernel, tuple(applied))


def content_name(kernel: Kernel, target: Target) -> str:
    """A name that says the content, so that equal kernels are compiled once."""
    digest = hashlib.sha256(f"{replace(kernel, name='')}\0{target}".encode()).hexdigest()
    return f"kernel_{digest[:16]}"
