"""Models of other libraries as archives: every weight made to matter, traced or scripted by PyTorch, saved with inputs
and PyTorch's own results beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

Inputs = tuple[Any, ...]


def randomise(module: Any, seed: int = 0) -> None:
    """Give every parameter and statistic numbers that show in the result: no zeros, no ones, signals neither die nor
    explode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            normal = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
            if parameter.dim() > 1:
                parameter.copy_(normal / max(1.0, parameter[0].numel() ** 0.5))
            else:
                parameter.copy_(0.1 * normal + (1.0 if name.endswith("weight") else 0.0))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


def tensors(value: Any) -> list[Any]:
    """The tensors in a result, in order: tuples, lists and dictionaries are walked, numbers and None left out."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [item for part in value for item in tensors(part)] if isinstance(value, list | tuple) else []


SEED = 0
"""What numbers are drawn from, in both processes: some models choose among their patches."""


def export(program: Any, inputs: Sequence[Inputs], folder: Path) -> int:
    """Save `program` (a ScriptModule), each set of inputs, and what PyTorch's own run of the archive gives for it.

    Returns how many sets PyTorch accepts: a trace may have fixed the size of its example.
    """
    archive = folder / "model.pt"
    torch.jit.save(program, archive)
    loaded = torch.jit.load(archive)
    for place, given in enumerate(inputs):
        with torch.no_grad():
            try:
                torch.manual_seed(SEED)
                results = tensors(loaded(*given))
            except RuntimeError:
                return place
        np.savez(folder / f"inputs{place}.npz", *[tensor.numpy() for tensor in given])
        np.savez(folder / f"results{place}.npz", *[tensor.numpy() for tensor in results])
        np.savez(folder / f"errors{place}.npz", *own_errors(archive, given, results))
    return len(inputs)


def own_errors(archive: Path, inputs: Inputs, results: Sequence[Any]) -> list[float]:
    """How far PyTorch's own results are from those in double precision; 0 where a program does not run in it."""
    precise = torch.jit.load(archive).double()
    doubles = [item.double() if item.is_floating_point() else item for item in inputs]
    with torch.no_grad():
        try:
            torch.manual_seed(SEED)
            expected = tensors(precise(*doubles))
        except RuntimeError:
            return [0.0] * len(results)
    pairs = zip(results, expected)
    return [
        float((mine.double() - other).abs().max()) if other.dtype == torch.float64 and other.numel() else 0.0
        for mine, other in pairs
    ]
