"""PyTorch as the other side of a comparison: an archive as a callable of torch, frozen and optimised for inference."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import torch

from optc.eager.tensor import Tensor
from optc.interop.torch import quiet_torch, to_torch
from optc.thread_count import get_num_threads


def reference(archive: bytes, method: str, arguments: Sequence[Any]) -> Callable[[], Any]:
    """Load an archive into torch and call it with these arguments, without gradients, on as many threads as optc.

    The arguments share their memory with the given ones. Raises RuntimeError for what torch cannot load or run.
    """
    torch.set_num_threads(get_num_threads())
    converted = [to_torch(argument) if isinstance(argument, Tensor) else argument for argument in arguments]
    with quiet_torch():
        module = torch.jit.load(io.BytesIO(archive)).eval()
        if method == "forward":
            module = torch.jit.optimize_for_inference(torch.jit.freeze(module))
    function = module if method == "forward" else getattr(module, method)

    def run() -> Any:
        with torch.inference_mode():
            return function(*converted)

    for _ in range(4):  # the profiling executor specialises in its first calls
        run()
    return run
