"""Discrete Fourier transforms over one and several dimensions, with numpy's transforms behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, Unknown, dtype_of_code, normalize_dim, normalize_dims
from optc.ops.composite import declare_composite
from optc.ops.hosted import declare_hosted
from optc.ops.promotion import complex_type, default_float, float_result, operand_type, real_type
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]
Extents = Sequence[Dim] | None
_OPTIONS = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"


def _check_norm(norm: Any) -> None:
    if isinstance(norm, Unknown):
        raise UndecidedShape("the scale of a transform is needed before the program runs")
    if norm not in (None, "forward", "backward", "ortho"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')


def _promoted(x: TensorType, to_complex: bool) -> DType:
    dtype = float_result(operand_type(x))
    if dtype.itemsize == 2:
        raise RuntimeError(f"Unsupported dtype {dtype.label}")
    return complex_type(dtype) if to_complex else dtype


def _only_real(x: TensorType, name: str) -> DType:
    dtype = operand_type(x)
    if dtype.is_complex:
        raise RuntimeError(f"{name} expects a real input tensor, but got {dtype.label}")
    return _promoted(x, False)


def _check_points(count: Dim) -> None:
    if isinstance(count, int) and count < 1:
        raise RuntimeError(f"Invalid number of data points ({count}) specified")


def half_extent(count: Dim) -> Dim:
    """How many numbers the transform of `count` real ones has."""
    return count // 2 + 1


# Over one dimension --------------------------------------------------------------------------------------------------

_KINDS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")


def _infer_single(kind: str) -> Any:
    name = f"fft_{kind}" if kind in ("fft", "ifft") else kind

    def infer(x: TensorType, n: Dim | None, dim: int, norm: str | None) -> TensorType:
        _check_norm(norm)
        real_input, real_result = kind in ("rfft", "ihfft"), kind in ("irfft", "hfft")
        dtype = _only_real(x, name) if real_input else _promoted(x, True)
        shape = known_shape(x)
        if not shape:
            normalize_dim(dim, 0)
            shape_text = "Dimension specified as " + str(dim) + " but tensor has no dimensions"
            raise IndexError(shape_text)
        place = normalize_dim(dim, len(shape))
        count: Dim = shape[place] if n is None else n
        if real_result and n is None:
            count = (count - 1) * 2
        _check_points(count)
        extent = half_extent(count) if real_input else count
        result = real_type(dtype) if real_result else complex_type(dtype)
        return TensorType(result, (*shape[:place], extent, *shape[place + 1 :]))

    return infer


def _prepared(x: Array) -> Array:
    return x.astype(float_result(operand_type(x)).numpy, copy=False)


def _compute_single(kind: str) -> Any:
    transform = getattr(np.fft, kind)
    return lambda x, n, dim, norm: transform(_prepared(x), n, dim, norm)


for _kind in _KINDS:
    declare_hosted(
        f"aten::fft_{_kind}(Tensor self, int? n=None, int dim=-1, str? norm=None) -> Tensor",
        _infer_single(_kind),
        _compute_single(_kind),
        symbolic=True,
        out="out",
    )


# Over several dimensions ---------------------------------------------------------------------------------------------


def transformed_places(shape: Sequence[Dim], s: Extents, dims: Any, last_doubles: bool) -> tuple[list[int], list[Dim]]:
    """The transformed dimensions and how many points each has. Raises RuntimeError with torch's texts."""
    rank = len(shape)
    listed = None if dims is None else [dims] if isinstance(dims, int) else list(dims)
    if listed is not None:
        places = [normalize_dim(dim, rank) for dim in listed]
        if len(set(places)) != len(places):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(places):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > rank:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {rank} dimensions.")
        places = list(range(rank - len(s), rank))
    else:
        places = list(range(rank))
    counts = [shape[place] for place in places]
    if last_doubles and counts and (s is None or s[-1] == -1):
        counts[-1] = (counts[-1] - 1) * 2
    if s is not None:
        counts = [count if size == -1 else size for count, size in zip(counts, s)]
    for count in counts:
        _check_points(count)
    return places, counts


def _infer_several(kind: str) -> Any:
    def infer(x: TensorType, s: Extents, dims: Any, norm: str | None) -> TensorType:
        _check_norm(norm)
        real_input, real_result = kind in ("rfftn", "ihfftn"), kind in ("irfftn", "hfftn")
        dtype = _only_real(x, kind) if real_input else _promoted(x, True)
        shape = list(known_shape(x))
        places, counts = transformed_places(shape, s, dims, real_result)
        if (real_input or real_result) and not places:
            raise RuntimeError(f"{kind} must transform at least one axis")
        for place, count in zip(places, counts):
            shape[place] = count
        if real_input:
            shape[places[-1]] = half_extent(counts[-1])
        return TensorType(real_type(dtype) if real_result else complex_type(dtype), tuple(shape))

    return infer


def _compute_several(kind: str) -> Any:
    def compute(x: Array, s: Extents, dims: Any, norm: str | None) -> Array:
        real_result = kind in ("irfftn", "hfftn")
        places, counts = transformed_places(x.shape, s, dims, real_result)
        values = _prepared(x)
        if not places:
            return values.copy()
        if kind in ("fftn", "ifftn", "rfftn", "irfftn"):
            return np.asarray(getattr(np.fft, kind)(values, counts, places, norm))
        single = "ihfft" if kind == "ihfftn" else "hfft"
        others = "ifft" if kind == "ihfftn" else "fft"
        steps = [(others, place, count) for place, count in zip(places[:-1], counts[:-1])]
        steps.insert(0 if kind == "ihfftn" else len(steps), (single, places[-1], counts[-1]))
        for name, place, count in steps:
            values = getattr(np.fft, name)(values, count, place, norm)
        return values

    return compute


for _kind in _KINDS:
    _several = f"{_kind}n"
    for _name, _dims in ((_several, "int[1]? dim=None"), (f"{_kind}2", "int[1] dim=[-2, -1]")):
        declare_hosted(
            f"aten::fft_{_name}(Tensor self, int[1]? s=None, {_dims}, str? norm=None) -> Tensor",
            _infer_several(_several),
            _compute_several(_several),
            out="out",
        )


# Frequencies and their order -----------------------------------------------------------------------------------------


def _shift(b: Any, x: Any, dims: Any, forwards: bool) -> Any:
    shape = b.shape(x)
    places = normalize_dims(dims, len(shape)) if dims is None or len(dims) else ()
    if not places:
        return b("aten::clone", x)
    shifts = [shape[place] // 2 if forwards else (shape[place] + 1) // 2 for place in places]
    return b("aten::roll", x, shifts, list(places))


for _name, _forwards in (("fft_fftshift", True), ("fft_ifftshift", False)):
    declare_composite(
        f"aten::{_name}(Tensor self, int[1]? dim=None) -> Tensor",
        lambda b, x, dims, forwards=_forwards: _shift(b, x, dims, forwards),
    )


def _frequencies(half: bool) -> Any:
    def infer(n: Dim, d: float, code: int | None, *rest: Any) -> TensorType:
        return TensorType(dtype_of_code(code, default_float()), (half_extent(n) if half else n,))

    def compute(n: int, d: float, code: int | None, *rest: Any) -> Array:
        dtype = dtype_of_code(code, default_float()).numpy
        numbers = np.arange(n // 2 + 1 if half else n)
        numbers = numbers if half else np.where(numbers < (n + 1) // 2, numbers, numbers - n)
        return np.asarray(numbers.astype(dtype) * dtype.type(1.0 / (n * d)))

    return infer, compute


for _name, _half in (("fft_fftfreq", False), ("fft_rfftfreq", True)):
    _infer, _compute = _frequencies(_half)
    declare_hosted(f"aten::{_name}(int n, float d=1., *, {_OPTIONS}) -> Tensor", _infer, _compute, symbolic=True)
