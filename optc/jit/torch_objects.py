"""Objects of torch, told without importing it, and what `trace` and `script` say to them: they have a way of their own."""

from __future__ import annotations

from typing import Any


def is_torch(value: Any) -> bool:
    """True for an object of a class of torch, or of one derived from such a class."""
    return any(base.__module__.partition(".")[0] == "torch" for base in type(value).__mro__)


def torch_advice(function: Any) -> str:
    """What to add to an error about a function written in C: something for those of torch."""
    owner = getattr(function, "__self__", None)
    places = (getattr(each, "__module__", None) for each in (function, owner))
    if not any(str(place).partition(".")[0] == "torch" for place in places):
        return ""
    return (
        " (it is PyTorch's: optc.compile takes functions that call it, and `import optc as torch` makes it optc's own)"
    )


def refuse_torch(value: Any, verb: str) -> None:
    """Raise TypeError for a module or function of torch: its classes are not optc's, so capturing it is torch's work."""
    if not is_torch(value):
        return
    name = type(value).__name__
    raise TypeError(
        f"optc.jit.{verb} takes modules of optc, and this {name} is one of torch: give it to "
        "optc.compile(module, example_inputs), which takes torch's modules as they are, or save "
        f"torch.jit.{verb}(...) and read the archive with optc.jit.load; with `import optc as torch` the module "
        "is made of optc's own layers"
    )
