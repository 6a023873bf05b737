"""optc: TorchScript, compiled, without PyTorch.

`import optc as torch` runs CPU inference code written for PyTorch: tensors, `nn`, `jit.trace`, `jit.script`,
`jit.save`, `jit.load`. `optc.compile` turns a program into native code.
"""

from __future__ import annotations

from typing import Any

import optc.ops  # noqa: F401 - declares the operators
from optc import amp, autograd, errors, fft, functional, linalg, masked, nn, profiler, signal, special
from optc.amp import autocast
from optc.eager import functions as _functions
from optc.eager.functions import NAMES as _NAMES
from optc.functional import NAMES as _FUNCTIONAL

globals().update(_NAMES, **_FUNCTIONAL)

__version__ = "0.1.0"


def compile(module: Any = None, example_inputs: Any = None, **options: Any) -> Any:
    """Compile a program to native code: see `optc.compiler.compile` for the arguments."""
    from optc.compiler import compile as compile_program  # imports the whole compiler: only on demand

    return compile_program(module, example_inputs, **options)


def __getattr__(name: str) -> Any:
    """`optc.jit`, `optc.save`, `optc.load` and operators, when first asked for. Raises AttributeError naming what is missing."""
    if name == "jit":
        import optc.jit

        return optc.jit
    if name in ("save", "load"):
        from optc.archive import state_dict

        return getattr(state_dict, name)
    return getattr(_functions, name)


__all__ = ["amp", "autocast", "autograd", "compile", "errors", "fft", "functional", "linalg", "masked", "nn"]
__all__ += ["profiler", "signal", "special"]
__all__ += list(_NAMES)
__all__ += list(_FUNCTIONAL)
