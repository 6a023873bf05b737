"""Arguments from the command line: numpy files, numbers, or random values of a shape."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optc.cli.target import Target, UsageError, require_file
from optc.eager.creation import from_numpy
from optc.ir import dtypes
from optc.ir.types import OptionalType, TensorType, Type

SEED = 0
"""Random arguments are the same in every run."""

INDEX_BOUND = 2
"""Random integers lie below this, so that they are valid indices of nearly everything."""

_SHAPE = re.compile(r"(\d+(?:x\d+)*|scalar)(?::(\w+))?")


def from_files(texts: Sequence[str]) -> list[Any]:
    """Tensors from `.npy` files; what looks like a number or a truth value is one. Raises UsageError."""
    return [_literal_or_file(text) for text in texts]


def _literal_or_file(text: str) -> Any:
    words: dict[str, Any] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return load_array(Path(text))


def load_array(path: Path) -> Any:
    """The tensor in a `.npy` file; nothing in the file is executed. Raises UsageError."""
    require_file(path)
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"cannot read {path} (one .npy file per argument is needed): {reason}") from error
    try:
        return from_numpy(array)
    except TypeError as error:
        raise UsageError(f"cannot use {path}: {error}") from error


def from_shapes(text: str, parameters: Sequence[Any] | None) -> list[Any]:
    """Random arguments for `3x4,5:int64,scalar`: a tensor for each shape; a number where the program wants one.

    `parameters` are the program's arguments, None when they are not known yet (before tracing). Raises UsageError.
    """
    generator = np.random.default_rng(SEED)
    result: list[Any] = []
    for place, item in enumerate(text.split(",")):
        wanted = parameters[place].type if parameters is not None and place < len(parameters) else None
        if wanted is not None and not _is_tensor(wanted):
            result.append(_number(item.strip(), wanted, place))
            continue
        found = _SHAPE.fullmatch(item.strip())
        if found is None:
            raise UsageError(f"{item!r} is no shape: write 3x4, 3x4:int64 or scalar")
        shape = () if found[1] == "scalar" else tuple(map(int, found[1].split("x")))
        result.append(random_tensor(shape, found[2] or "float32", generator))
    return result


def _is_tensor(type_: Type) -> bool:
    return isinstance(type_.element if isinstance(type_, OptionalType) else type_, TensorType)


def _number(text: str, wanted: Type, place: int) -> Any:
    readers: dict[str, Any] = {"int": int, "float": float, "number": float, "Scalar": float}
    if str(wanted) == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if str(wanted) not in readers:
        raise UsageError(f"an argument of type {wanted} cannot be made from {text!r}: call the program from Python")
    try:
        return readers[str(wanted)](text)
    except ValueError:
        raise UsageError(f"{text!r} is no {wanted}, as which argument {place + 1} is declared") from None


def random_tensor(shape: tuple[int, ...], dtype: str, generator: np.random.Generator) -> Any:
    """Uniform values in [-1, 1), small integers, or truth values. Raises UsageError for an unknown dtype."""
    known = {each.name: each for each in dtypes.ALL}
    if dtype not in known:
        raise UsageError(f"there is no dtype {dtype!r} (there are: {', '.join(known)})")
    storage = known[dtype].numpy
    if known[dtype].kind in ("float", "complex"):
        return from_numpy(np.asarray(generator.uniform(-1.0, 1.0, shape), storage))
    return from_numpy(np.asarray(generator.integers(0, INDEX_BOUND, shape), storage))


def from_trace(target: Target) -> list[Any] | None:
    """Random arguments of the shapes a trace has recorded; None when they were not recorded."""
    recorded = target.function.graph.inputs[0 if target.receiver is None else 1 :]
    generator = np.random.default_rng(SEED)
    result: list[Any] = []
    for value in recorded:
        type_ = value.type
        if not isinstance(type_, TensorType) or type_.dtype is None or type_.shape is None:
            return None
        if not all(isinstance(extent, int) for extent in type_.shape):
            return None
        shape = tuple(int(extent) for extent in type_.shape if isinstance(extent, int))
        result.append(random_tensor(shape, type_.dtype.name, generator))
    return result
