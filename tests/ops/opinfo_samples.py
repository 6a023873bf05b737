"""PyTorch's own samples of arguments (`torch.testing`'s OpInfo), for PyTorch and for optc, and what counts as equal.

Needs torch; imported by the processes that `tests/ops/opinfo.py` starts.
"""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import optc
import optc.nn.functional
from optc.eager import dispatch
from optc.ir import dtypes
from optc.ops.held import is_held, numbers_of
from optc.ops.registry import overloads

DTYPES = ("float32", "float64", "int64", "int32", "uint8", "bool", "float16", "bfloat16", "complex64")
ERRORS = "errors"
"""What stands for an element type where PyTorch's samples of calls that fail are meant."""

SEED = 42

TOLERANCES = {
    "float16": 2e-3,
    "bfloat16": 1.6e-2,
    "float32": 1e-5,
    "complex64": 1e-5,
    "float64": 1e-9,
    "complex128": 1e-9,
}
"""Relative to the element, and to the largest one of the result (or 1)."""

OVERFLOWING = {"matrix_exp": ("float16", "bfloat16")}
"""Element types in which PyTorch's results are nan for numbers that are not: it computes in halves, optc does not."""

UNINITIALISED = ("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
                 "resize_", "resize_as_")  # fmt: skip
"""Operators whose result's elements are whatever was there."""

INFOS: dict[str, list[Any]] = {
    name: list(infos) for name, infos in itertools.groupby(sorted(op_db, key=lambda i: i.name), key=lambda i: i.name)
}
"""The declarations of PyTorch's tests, by the operator's name: variants differ in their samples."""


@dataclass
class Sample:
    """One call: arguments as PyTorch takes them, and the function they are for, by PyTorch and by optc (None: missing)."""

    name: str
    peer: Callable[..., Any]
    mine: Callable[..., Any] | None
    arguments: tuple[Any, ...]
    keywords: dict[str, Any] = field(default_factory=dict)

    def tensors(self) -> list[torch.Tensor]:
        """All tensors inside the arguments, in order."""
        found: list[torch.Tensor] = []
        replace_tensors((self.arguments, self.keywords), lambda tensor: found.append(tensor))
        return found

    def with_tensors(self, tensors: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with other tensors in their places."""
        rest = iter(tensors)
        replaced: tuple[tuple[Any, ...], dict[str, Any]] = replace_tensors(
            (self.arguments, self.keywords), lambda _: next(rest)
        )
        return replaced

    def text(self) -> str:
        """The call, with shapes for tensors."""
        shown, named = self.with_tensors([_shown(tensor) for tensor in self.tensors()])
        return ", ".join([*map(str, shown), *(f"{name}={value}" for name, value in named.items())])


def _shown(tensor: torch.Tensor) -> str:
    usual = tensor.layout is torch.strided and tensor.is_contiguous()
    return f"{str(tensor.dtype)[6:]}{list(tensor.shape)}{'' if usual else chr(39)}"


def replace_tensors(value: Any, function: Callable[[torch.Tensor], Any]) -> Any:
    """A structure of arguments with every tensor replaced."""
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: replace_tensors(item, function) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(replace_tensors(item, function) for item in value)
    return value


def samples(name: str, dtype: str) -> Iterator[Sample]:
    """Every sample PyTorch has for an operator and an element type."""
    kind = getattr(torch, dtype)
    if dtype in OVERFLOWING.get(name, ()):
        return
    for info in INFOS[name]:
        if kind not in info.supported_dtypes("cpu"):
            continue
        peer, mine = functions_of(info)
        torch.manual_seed(SEED)
        np.random.seed(SEED)
        for sample in info.sample_inputs("cpu", kind):
            yield Sample(name, peer, mine, (sample.input, *sample.args), sample.kwargs)


def error_samples(name: str) -> Iterator[Sample]:
    """Every call that PyTorch's tests know to fail."""
    for info in INFOS[name]:
        if info.error_inputs_func is None:
            continue
        peer, mine = functions_of(info)
        torch.manual_seed(SEED)
        for error in info.error_inputs("cpu"):
            given = error.sample_input
            sample = Sample(name, peer, mine, (given.input, *given.args), given.kwargs)
            if all(tensor.device.type == "cpu" for tensor in sample.tensors()):
                yield sample


# The same function of optc --------------------------------------------------------------------------------------------


def functions_of(info: Any) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """PyTorch's function and optc's. Where PyTorch's tests wrap one in Python, optc takes torch's place in the wrapper."""
    written_in_tests = isinstance(info.op, types.FunctionType) and info.op.__module__.startswith("torch.testing")
    if written_in_tests:
        return _rebound(info.op, torch), _rebound(info.op, optc)
    if info.name == "slice":
        return info.op, lambda *arguments, **keywords: dispatch.call("aten::slice", arguments, keywords)
    return info.op, _by_name(info.name) or _by_name(info.aten_name)


def is_missing(name: str) -> bool:
    """True where optc has no function of that name."""
    return all(functions_of(info)[1] is None for info in INFOS[name])


def _rebound(function: types.FunctionType, library: Any) -> Callable[..., Any]:
    """The wrapper with `library` for torch. Seeds are the caller's business (see `judge`)."""
    names = {
        **function.__globals__,
        "torch": library,
        "wrapper_set_seed": lambda op, *given, **named: op(*given, **named),
    }
    made = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _by_name(name: str) -> Callable[..., Any] | None:
    """`optc.NAME`, a method of Tensor, or an operator of the registry that has no function (`__and__`)."""
    path = name.removeprefix("torch.ops.aten.").removesuffix(".default").split(".")
    found: Any = optc
    for part in path:
        found = getattr(found, part, None)
    if not callable(found) and len(path) == 1:  # `optc.cfloat` is an element type
        found = getattr(optc.Tensor, path[0], None)
    if found is None and overloads(f"aten::{path[-1]}") and len(path) == 1:
        return lambda *arguments, **keywords: dispatch.call(f"aten::{path[0]}", arguments, keywords)
    return found if callable(found) else None


# Arguments and results ------------------------------------------------------------------------------------------------


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the same strides in memory of its own."""
    if tensor.layout is not torch.strided:
        return tensor.detach().clone()
    plain = tensor.detach().resolve_conj().resolve_neg()
    memory = torch.empty(0, dtype=plain.dtype).set_(plain.untyped_storage()).clone()
    return memory.as_strided(plain.shape, plain.stride(), plain.storage_offset())


def to_mine(tensor: torch.Tensor) -> Any:
    """A tensor of PyTorch as one of optc: the same place in memory of the same contents. Raises TypeError for tensors that
    are not strided.
    """
    if tensor.layout is not torch.strided:
        raise TypeError(f"optc has no {tensor.layout} tensors")
    plain = copied(tensor)
    memory = torch.empty(0, dtype=plain.dtype).set_(plain.untyped_storage())
    if plain.dtype is torch.bfloat16:
        held = optc.from_numpy(memory.view(torch.int16).numpy().view(dtypes.BFLOAT16.numpy))
    else:
        held = optc.from_numpy(memory.numpy())
    if plain.is_contiguous() and plain.numel() == memory.numel():
        return held.view(plain.shape)
    return held.as_strided(plain.shape, plain.stride(), plain.storage_offset())


def option(value: Any) -> Any:
    """Element types, devices, layouts ... of PyTorch as those of optc."""
    if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
        return getattr(optc, str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return optc.device(str(value))
    if isinstance(value, torch.Generator):
        return optc.default_generator
    if isinstance(value, torch.Size):
        return optc.Size(value)
    if value is torch.strided:
        return optc.strided
    if isinstance(value, dict):
        return {key: option(item) for key, item in value.items()}
    return type(value)(map(option, value)) if type(value) in (list, tuple) else value


def plain(value: Any) -> Any:
    """A result of either side as numpy arrays, Python values, and lists of them."""
    if isinstance(value, torch.Tensor):
        value = value.detach().to_dense() if value.layout is not torch.strided else value.detach()
        value = value.resolve_conj().resolve_neg()
        if value.dtype is torch.bfloat16:
            return value.contiguous().view(torch.int16).numpy().view(dtypes.BFLOAT16.numpy).copy()
        return value.numpy().copy()
    if isinstance(value, optc.Tensor):
        return (numbers_of(value._array) if is_held(value._array) else value._array).copy()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, torch.dtype | torch.device | optc.dtype) else value


TIES = ("kthvalue", "topk", "sort", "argsort", "median", "nanmedian", "mode", "msort")
"""Operators that say where elements were, which is anywhere among equal ones unless the call asks for a stable order."""


def comparable(sample: Sample, result: Any) -> Any:
    """What of a result the operator's definition fixes: not the signs of eigenvectors, nor places among equal elements."""
    if sample.name in FACTORS:
        return FACTORS[sample.name](result)
    if sample.name in UNINITIALISED:
        return np.zeros_like(result)
    if sample.name not in TIES or sample.keywords.get("stable"):
        return result
    if isinstance(result, list) and len(result) == 2:
        return [result[0], np.zeros_like(result[1])]
    return np.zeros_like(result) if sample.name == "argsort" else result


def _eigenvalues(values: Any) -> Any:
    rounded = np.round(values.astype(np.complex128), 4)
    return np.take_along_axis(values, np.lexsort((rounded.imag, rounded.real), axis=-1), -1)


def _hermitian(result: Any) -> Any:
    values, vectors = result
    return [values, (vectors * values[..., None, :]) @ np.conj(np.swapaxes(vectors, -1, -2))]


def _diagonalised(result: Any) -> Any:
    values, vectors = result
    return [_eigenvalues(values), (vectors * values[..., None, :]) @ np.linalg.pinv(vectors)]


def _singular(result: Any) -> Any:
    left, values, right = result
    count = values.shape[-1]
    return [values, (left[..., :count] * values[..., None, :]) @ np.conj(np.swapaxes(right[..., :count], -1, -2))]


def _single(result: Any) -> Any:
    """PyTorch's own values are only right to seven digits."""
    return result.astype(np.float32) if result.dtype == np.float64 else result


FACTORS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("special.airy_ai", *(f"special.bessel_{kind}{order}" for kind in "jy" for order in "01")), _single),
    "linalg.cholesky_ex": lambda result: result if not result[1].any() else result[1:],
    "linalg.eigvals": _eigenvalues, "linalg.eigh": _hermitian, "linalg.eig": _diagonalised,
    "linalg.svd": lambda result: _singular([*result[:2], np.conj(np.swapaxes(result[2], -1, -2))]), "svd": _singular, "svd_lowrank": _singular, "pca_lowrank": _singular,
}  # fmt: skip


def difference(mine: Any, other: Any) -> str:
    """What is not equal about two results, empty when nothing is."""
    if isinstance(other, list):
        if not isinstance(mine, list) or len(mine) != len(other):
            return f"{type(mine).__name__} instead of a list of {len(other)}"
        return next(filter(None, map(difference, mine, other)), "")
    if not isinstance(other, np.ndarray):
        same = type(mine) is type(other) and (mine == other or _close(mine, other))
        return "" if same else f"{mine!r} instead of {other!r}"
    if not isinstance(mine, np.ndarray):
        return f"{type(mine).__name__} instead of a tensor"
    if mine.dtype != other.dtype or mine.shape != other.shape:
        return f"{mine.dtype}{list(mine.shape)} instead of {other.dtype}{list(other.shape)}"
    return _different_elements(mine, other)


def _close(mine: Any, other: Any) -> bool:
    return isinstance(other, float | complex) and bool(np.isclose(mine, other, 1e-5, 1e-5, equal_nan=True))


def _different_elements(mine: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> str:
    tolerance = TOLERANCES.get(other.dtype.name)
    with np.errstate(all="ignore"):
        if tolerance is None:
            unequal = mine != other
        else:
            wide = np.complex128 if other.dtype.kind == "c" else np.float64
            mine, other = mine.astype(wide), other.astype(wide)
            finite = np.abs(other[np.isfinite(other)])
            scale = min(float(finite.max()), 1e3) if finite.size else 0.0
            unequal = ~np.isclose(mine, other, tolerance, tolerance * max(scale, 1.0), equal_nan=True)
    if not unequal.any():
        return ""
    place = tuple(int(axis) for axis in np.argwhere(unequal)[0])
    return f"{mine[place]} instead of {other[place]} at {list(place)}, {int(unequal.sum())} of {unequal.size} elements"


def second_size(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor whose every extent but 0 and 1 is greater by one: the same numbers and, where they have a fraction, others
    close to them (matrices with equal rows have no inverse). Whole numbers in order stay in order: where bags begin, say;
    PyTorch's sums of bags that begin before the last one are whatever was in memory.
    """
    is_whole = not tensor.is_floating_point() and not tensor.is_complex()
    if is_whole and tensor.dim() == 1 and tensor.numel() > 1 and bool((tensor[1:] >= tensor[:-1]).all()):
        return torch.cat([tensor, tensor[-1:]])
    shape = [extent + 1 if extent > 1 else extent for extent in tensor.shape]
    count = math.prod(shape)
    if tensor.numel() == 0:
        return torch.empty(shape, dtype=tensor.dtype)
    flat = tensor.detach().reshape(-1)
    numbers = flat.repeat(-(-count // flat.numel()))[:count].clone()
    if tensor.is_floating_point():
        numbers[flat.numel() :] *= (1 + 0.1 * torch.arange(flat.numel(), count).sin()).to(tensor.dtype)
    return numbers.reshape(shape)
