"""optc: TorchScript, compiled, without PyTorch.

`import optc as torch` runs CPU inference code written for PyTorch: tensors, `nn`, `jit.trace`, `jit.script`,
`jit.save`, `jit.load`. `optc.compile` turns a program into native code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optc.runtime.collector import collector_paused as _collector_paused

with _collector_paused(is_import=True):
    import optc.ops  # noqa: F401 - declares the operators
    from optc import amp, autograd, errors, fft, functional, linalg, masked, nn, profiler, signal, special
    from optc.amp import autocast
    from optc.eager import functions as _functions
    from optc.eager.functions import NAMES as _NAMES
    from optc.functional import NAMES as _FUNCTIONAL

globals().update(_NAMES, **_FUNCTIONAL)

__version__ = "0.1.0"


def compile(
    module: Any = None,
    example_inputs: Any = None,
    *,
    dynamic: bool | Mapping[int, Sequence[int]] | None = None,
    threads: int | None = None,
    fallback: str = "warn",
    cache: bool = True,
    fullgraph: bool = False,
    mode: str | None = None,
) -> Any:
    """Compile a program to native code; the result is called like the original.

    A compiled module has the module's other methods too, which are compiled when they are first asked for, and its
    attributes.

    module: an `optc.nn.Module` or a method of one, a function, anything traced or scripted, the path of an archive, or
        a torch module where torch is installed. Without it, a decorator is returned.
    example_inputs: a tensor or tuple of arguments. A plain module or function is then traced (scripted submodules stay
        scripted) and compiled at once for these inputs; without them it is scripted and compiled when first called.
        Lists and dictionaries that are results of a trace have in every call the parts they had in this one.
    dynamic: None learns from the calls which dimensions change; True makes all of them symbols; False none; a
        mapping {argument number: dimensions} names them.
    threads: how many threads one call may use. None: what `optc.set_num_threads` or OPTC_NUM_THREADS say, else as many
        as the process has processors. Results are the same for every number, bit for bit; small work is not split.
    fallback: what to do when a part has no native form: "warn", "error" or "allow".
    cache: keep compiled objects on disk, and use those that are there.
    fullgraph: True is torch.compile's word for `fallback="error"`.
    mode: torch.compile's modes are taken and change nothing: there is one way to compile, without warm-up or search.

    Parameters are read when the program is compiled; later changes of the module do not reach the compiled code, but
    for what methods of the module write: that is state, which all its methods share.
    Raises ValueError for values that an option cannot have, TypeError for what cannot be compiled, and what tracing or
    scripting raises.
    """
    with _collector_paused(is_import=True):
        from optc.compiler import compile as compile_program  # imports the whole compiler: only on demand

    return compile_program(
        module,
        example_inputs,
        dynamic=dynamic,
        threads=threads,
        fallback=fallback,
        cache=cache,
        fullgraph=fullgraph,
        mode=mode,
    )


def __getattr__(name: str) -> Any:
    """`optc.jit`, `optc.save`, `optc.load` and operators, when first asked for. Raises AttributeError naming what is missing."""
    if name == "jit":
        with _collector_paused(is_import=True):
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
