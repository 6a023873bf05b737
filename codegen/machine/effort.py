"""How much LLVM is asked to do for a module.

The pipeline is small on purpose: the emitter writes explicit vectors in SSA form, and the standard pipelines cost ten
times as much and unroll carefully sized loops into spills.
"""

import re

from optc.codegen.llvm import CALLS_ONLY, WRITTEN_OUT
from optc.codegen.machine.host import Target
from optc.dataclass import dataclass

PIPELINE = ("always-inliner", "sroa", "instcombine", "simplifycfg", "gvn", "instcombine", "simplifycfg", "dce")

TIDYING = ("always-inliner", "sroa", "simplifycfg")
"""For what the emitter writes out: the others cost a fifth of the time and change next to nothing."""

LARGE_TEXT = 1 << 20
"""Longer modules are drivers of many calls, where LLVM's value numbering finds nothing and takes gigabytes to do so."""

_DRIVER = re.compile(r'^define i32 @"?run_', re.MULTILINE)
_COMPUTES = re.compile(r"!llvm\.loop|<\d+ x |\bf(?:add|sub|mul|div|rem|neg) |@llvm\.fma")
"""What says that a driver does more than arithmetic on extents and calls."""


@dataclass(frozen=True, slots=True)
class Effort:
    """LLVM's passes for a module, and how well it selects instructions and allocates registers (0 to 2)."""

    passes: tuple[str, ...]
    level: int


def effort_for(text: str, target: Target) -> Effort:
    """What a module is worth: one that does nothing but call kernels is emitted as fast as possible, without passes, and
    so is, after them, a large driver, whose calls are many. The rest is not scheduled once more after registers are
    allocated (level 1): that takes LLVM a twentieth to a twelfth of its time, and changes that of kernels by some hundredths,
    either way.

    Not for Arm, where LLVM has another, younger selector for the first, and many processors work in order.
    """
    is_large = len(text) > LARGE_TEXT
    passes: tuple[str, ...] = TIDYING if WRITTEN_OUT in text else PIPELINE
    if is_large:
        passes = tuple(name for name in passes if name != "gvn")
    if not target.is_x86:
        return Effort(passes, 2)
    is_driver = _DRIVER.search(text) is not None
    if is_driver and is_large:
        return Effort(passes, 0)
    if is_driver and _COMPUTES.search(text) is None or CALLS_ONLY in text:
        return Effort((), 0)
    return Effort(passes, 1)
