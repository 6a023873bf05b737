"""Load the archive of a folder in a process without PyTorch, compile it, and hold its results against the saved ones.

    python tests/models/run_archive.py FOLDER

Prints one line of JSON: how far results are off, in shares of the output's scale, what fell back, how long it took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import optc

ABSOLUTE, RELATIVE = 1e-5, 1e-4
SEED = 0  # of `exporting.py`, which needs PyTorch


def arrays(value: Any) -> list[Any]:
    """The tensors in a result, in order."""
    if isinstance(value, optc.Tensor):
        return [value.detach().numpy()]
    if isinstance(value, dict):
        value = list(value.values())
    return [item for part in value for item in arrays(part)] if isinstance(value, list | tuple) else []


def difference(mine: Any, other: Any, error: float) -> str | None:
    """How two arrays differ, None when they are equal up to rounding; `error` is the other's own distance from exact
    results, which deep networks amplify in their own ways: mine may be as far on the other side.
    """
    if mine.shape != other.shape or mine.dtype != other.dtype:
        return f"{mine.dtype}{list(mine.shape)} instead of {other.dtype}{list(other.shape)}"
    if mine.dtype.kind not in "fc":
        return None if np.array_equal(mine, other) else f"{int((mine != other).sum())} of {other.size} differ"
    finite = np.abs(other[np.isfinite(other)])
    scale = float(finite.max()) if finite.size else 1.0
    if np.allclose(mine, other, rtol=RELATIVE, atol=ABSOLUTE * max(scale, 1e-3) + 2 * error, equal_nan=True):
        return None
    return f"off by {np.nanmax(np.abs(mine - other)) / max(scale, 1e-30):.2g} of the scale"


def load(path: Path) -> list[Any]:
    """The arrays that `numpy.savez` put there, in order."""
    with np.load(path) as saved:
        return [saved[f"arr_{place}"] for place in range(len(saved.files))]


def run(folder: Path) -> dict[str, Any]:
    """Compile the archive and run every set of inputs."""
    began = time.perf_counter()
    fast = optc.compile(folder / "model.pt", fallback="allow")
    problems: list[str] = []
    times: list[float] = []
    for path in sorted(folder.glob("inputs*.npz")):
        given = [optc.from_numpy(array) for array in load(path)]
        optc.manual_seed(SEED)
        results = arrays(fast(*given))
        times.append(time.perf_counter() - began)
        expected, errors = (load(path.with_name(path.name.replace("inputs", kind))) for kind in ("results", "errors"))
        if len(results) != len(expected):
            problems.append(f"{path.stem}: {len(results)} results instead of {len(expected)}")
        differences = [(place, difference(*pair)) for place, pair in enumerate(zip(results, expected, errors))]
        problems += [f"{path.stem}, result {place}: {text}" for place, text in differences if text]
    fallbacks = [str(fallback) for fallback in fast.fallbacks]
    kinds = sorted({node.kind for node in fast.graph.walk()})
    found = {"problems": problems, "fallbacks": fallbacks, "seconds": times, "kinds": kinds}
    return {**found, "torch": "torch" in sys.modules}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
