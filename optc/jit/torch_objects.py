"""What `trace` and `script` say to objects of torch, which have a way of their own."""

from __future__ import annotations

from typing import Any


def refuse_torch(value: Any, verb: str) -> None:
    """Raise TypeError for a module or function of torch: its classes are not optc's, so capturing it is torch's work."""
    if not any(base.__module__.partition(".")[0] == "torch" for base in type(value).__mro__):
        return
    name = type(value).__name__
    raise TypeError(
        f"optc.jit.{verb} captures modules of optc.nn, and this {name} is one of torch: give it to "
        "optc.compile(module, example_inputs), which takes torch's modules as they are, or save "
        f"torch.jit.{verb}(...) and read the archive with optc.jit.load; with `import optc as torch` the module "
        "is made of optc's own layers"
    )
