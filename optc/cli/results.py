"""Results of programs: their leaves, how far two of them are apart, and files of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from optc.cli.target import UsageError
from optc.dataclass import dataclass
from optc.eager.tensor import Tensor


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Everything inside nested tuples, lists and dictionaries, with the path to it (`0`, `1.state`)."""
    if isinstance(value, dict):
        children = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        children = [(str(place), item) for place, item in enumerate(value)]
    else:
        yield name or "0", value
        return
    for key, item in children:
        yield from leaves(item, f"{name}.{key}" if name else key)


@dataclass(frozen=True)
class Difference:
    """How far a result is from what it should be: the largest error, and whether that is too much."""

    name: str
    largest: float
    text: str
    is_equal: bool


def compare(found: Any, expected: Any, tolerance: float) -> list[Difference]:
    """Hold two results against each other, leaf by leaf. `tolerance` is relative, and absolute below 1."""
    mine, theirs = list(leaves(found)), list(leaves(expected))
    if [name for name, _ in mine] != [name for name, _ in theirs]:
        return [Difference("0", float("inf"), "the results have different structures", False)]
    return [_leaf_difference(name, left, right, tolerance) for (name, left), (_, right) in zip(mine, theirs)]


def _leaf_difference(name: str, found: Any, expected: Any, tolerance: float) -> Difference:
    if not isinstance(found, Tensor) or not isinstance(expected, Tensor):
        same = type(found) is type(expected) and (found == expected or (_is_nan(found) and _is_nan(expected)))
        return Difference(name, 0.0 if same else float("inf"), f"{found!r} and {expected!r}", same)
    mine, right = found.detach().numpy(), expected.detach().numpy()
    if mine.dtype != right.dtype or mine.shape != right.shape:
        text = f"{mine.dtype}{list(mine.shape)} instead of {right.dtype}{list(right.shape)}"
        return Difference(name, float("inf"), text, False)
    exact = mine.dtype.kind in "biu"
    wide = np.complex128 if mine.dtype.kind == "c" else np.float64
    left, wanted = mine.astype(wide), right.astype(wide)
    bound = 0.0 if exact else tolerance
    close = np.isclose(left, wanted, rtol=bound, atol=bound, equal_nan=True)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(left - wanted)
    largest = float(np.nanmax(gaps)) if gaps.size and not np.all(np.isnan(gaps)) else 0.0
    return Difference(name, largest, f"largest difference {largest:.3g}", bool(np.all(close)))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def save(value: Any, folder: Path) -> list[Path]:
    """Write every tensor and number of a result as `output_<path>.npy`. Raises UsageError."""
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, leaf in leaves(value):
            path = folder / f"output_{name}.npy"
            np.save(path, leaf.detach().numpy() if isinstance(leaf, Tensor) else np.asarray(leaf), allow_pickle=False)
            written.append(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write to {folder}: {error}") from error
    return written
