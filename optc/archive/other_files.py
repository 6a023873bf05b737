"""What a file is that is not of the kind that was asked for, and what reads it."""

from __future__ import annotations

from collections.abc import Collection


def describe(names: Collection[str], folder: str) -> str:
    """What the archive with these entries below `folder` is, for a message: "this is ..."."""
    if any(name.startswith(f"{folder}code/") for name in names):
        return "this is a TorchScript archive: read it with optc.jit.load"
    if f"{folder}model.json" in names:
        return "archives of PyTorch 1.0 and 1.1 (model.json) are not supported"
    if f"{folder}models/model.json" in names:
        return (
            "this is a program of torch.export: load it in PyTorch, and give program.module() and example inputs to "
            "optc.compile"
        )
    if f"{folder}data.pkl" in names:
        return (
            "this is no TorchScript archive (it has no code/) but a file of torch.save: read a state_dict with optc.load; "
            "a module is saved with torch.jit.script(module).save(path)"
        )
    return "this is no TorchScript archive (it has no code/) and no file of torch.save (it has no data.pkl)"


def refusal(class_name: str) -> str:
    """Why an object of this class is not read from a file of tensors, and what to save instead."""
    return (
        f"{class_name} is not allowed in a file of tensors, containers and plain values: in PyTorch, save the "
        "state_dict() of a module (for optc.load), or torch.jit.script(module).save(path) (for optc.jit.load)"
    )
