"""Padding that repeats, mirrors or wraps what is there. Padding with a constant is `aten::constant_pad_nd`.

Padding lists start with the last dimension: (before, after) of the last, then of the one before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from optc.ir.dims import Dim, Symbolic
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, Unknown
from optc.ops.element_types import BOOLS, check_type, unimplemented
from optc.ops.promotion import operand_type
from optc.ops.registry import define, lookup
from optc.ops.shapes import Shape, format_shape, known, known_shape

Array = np.ndarray[Any, Any]

_MODES: dict[str, Literal["reflect", "edge", "wrap"]] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""torch's names of the modes and numpy's."""
_OPERATORS = {"reflect": "reflection_pad", "replicate": "replication_pad"}


def _pairs(mode: str, shape: Shape, pad: Sequence[Dim], spatial: int | None = None) -> list[tuple[Dim, Dim]]:
    """Before and after of every dimension, checked. `spatial` is the number that the operator's name says, if it does."""
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    count, rank = len(pad) // 2, len(shape)
    if not 1 <= count <= 3 or rank not in (count + 1, count + 2):
        _refuse_rank(shape, len(pad), spatial)
    pairs = [(pad[place], pad[place + 1]) for place in range(0, len(pad), 2)][::-1]
    for place, (before, after) in enumerate(reversed(pairs)):
        _check_extent(mode, shape, rank - 1 - place, before, after, 4 + 2 * place)
    return [(0, 0)] * (rank - count) + pairs


def _refuse_rank(shape: Shape, count: int, spatial: int | None) -> None:
    if spatial is None:
        raise NotImplementedError(f"Padding size {count} is not supported for {len(shape)}D input tensor.")
    raise RuntimeError(
        f"Expected {spatial + 1}D or {spatial + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero "
        f"dimensions for input, but got: {format_shape(shape)}"
    )


def _check_extent(mode: str, shape: Shape, dim: int, before: Dim, after: Dim, argument: int) -> None:
    extent = shape[dim]
    if isinstance(extent, Symbolic) or isinstance(before, Symbolic) or isinstance(after, Symbolic):
        if mode == "replicate":
            return
        raise UndecidedShape("is padding smaller than the padded dimension?")
    if mode == "reflect" and max(before, after) >= extent:
        raise RuntimeError(
            f"Argument #{argument}: Padding size should be less than the corresponding input dimension, but got: "
            f"padding ({before}, {after}) at dimension {dim} of input {format_shape(shape)}"
        )
    if mode == "circular" and max(before, after) > extent:
        raise RuntimeError("Padding value causes wrapping around more than once.")


def _refuse_bools(mode: str, dtype: DType, pad: Sequence[Any]) -> None:
    if mode in _OPERATORS:
        check_type(unimplemented(f"{_OPERATORS[mode]}{len(pad) // 2}d", BOOLS), dtype)


def _infer_mirrored(mode: str, x: TensorType, pad: Sequence[Dim], spatial: int | None = None) -> TensorType:
    shape = known_shape(x)
    pairs = _pairs(mode, shape, pad, spatial)
    _refuse_bools(mode, operand_type(x), pad)
    return x.with_shape(tuple(dim + before + after for dim, (before, after) in zip(shape, pairs)))


def _reference_mirrored(mode: str, x: Array, pad: Sequence[int], spatial: int | None = None) -> Array:
    pairs = [known(pair) for pair in _pairs(mode, x.shape, pad, spatial)]
    _refuse_bools(mode, operand_type(x), pad)
    if mode == "circular":
        cropped = x[tuple(slice(max(-a, 0), size - max(-b, 0)) for size, (a, b) in zip(x.shape, pairs))]
        return np.pad(cropped, [(max(a, 0), max(b, 0)) for a, b in pairs], mode="wrap")
    widened = np.pad(x, [(max(a, 0), max(b, 0)) for a, b in pairs], mode=_MODES[mode])
    kept = tuple(slice(max(-a, 0), size - max(-b, 0)) for size, (a, b) in zip(widened.shape, pairs))
    return np.ascontiguousarray(widened[kept])


def _decompose_mirrored(mode: str, b: Any, x: Any, pad: Sequence[Any]) -> Any:
    """The parts before and after are taken by index along one dimension after the other."""
    for dim, (before, after) in enumerate(_pairs(mode, b.shape(x), pad)):
        if before != 0 or after != 0:
            x = b("aten::index_select", x, dim, _places(mode, b, b.shape(x)[dim], before, after))
    return x


def _places(mode: str, b: Any, extent: Dim, before: Dim, after: Dim) -> Any:
    """Which element of the dimension each element of the padded dimension is."""
    if mode == "circular":
        return _wrapped_places(b, extent, before, after)
    places = b("aten::arange.start", -1 * before, extent + after)
    if mode == "replicate":
        return b("aten::clamp", places, 0, extent - 1)
    mirrored = b("aten::abs", places)
    return b("aten::rsub.Scalar", b("aten::abs", b("aten::rsub.Scalar", mirrored, extent - 1)), extent - 1)


def _wrapped_places(b: Any, extent: Any, before: Any, after: Any) -> Any:
    """What negative padding cuts off is gone before the rest goes round."""
    first, last = max(-before, 0), extent - max(-after, 0)
    places = b("aten::arange.start", -max(before, 0), last - first + max(after, 0))
    return b("aten::add.Scalar", b("aten::remainder.Scalar", places, last - first), first)


for _mode, _name in _OPERATORS.items():
    for _spatial in (1, 2, 3):
        define(
            f"aten::{_name}{_spatial}d(Tensor self, SymInt[{2 * _spatial}] padding) -> Tensor",
            infer=lambda x, pad, mode=_mode, spatial=_spatial: _infer_mirrored(mode, x, pad, spatial),
            reference=lambda x, pad, mode=_mode, spatial=_spatial: _reference_mirrored(mode, x, pad, spatial),
            decompose=lambda b, x, pad, mode=_mode: _decompose_mirrored(mode, b, x, pad),
        )
define(
    "aten::_pad_circular(Tensor self, SymInt[] pad) -> Tensor",
    infer=lambda x, pad: _infer_mirrored("circular", x, pad),
    reference=lambda x, pad: _reference_mirrored("circular", x, pad),
    decompose=lambda b, x, pad: _decompose_mirrored("circular", b, x, pad),
)


def _check_mode(mode: str, value: Any) -> None:
    if mode == "constant":
        return
    if value is not None and (isinstance(value, Unknown) or value != 0):
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")


def _infer_pad(x: TensorType, pad: Sequence[Dim], mode: str, value: Any) -> TensorType:
    _check_mode(mode, value)
    if mode != "constant":
        return _infer_mirrored(mode, x, pad)
    result: TensorType = _constant.infer(x, pad, 0 if value is None else value)
    return result


def _reference_pad(x: Array, pad: Sequence[int], mode: str, value: Any) -> Array:
    _check_mode(mode, value)
    if mode != "constant":
        return _reference_mirrored(mode, x, pad)
    result: Array = _constant.reference(x, pad, 0 if value is None else value)
    return result


def _decompose_pad(b: Any, x: Any, pad: Sequence[Any], mode: str, value: Any) -> Any:
    if mode == "constant":
        return b("aten::constant_pad_nd", x, pad, 0 if value is None else value)
    return _decompose_mirrored(mode, b, x, pad)


_found = lookup("aten::constant_pad_nd")
assert _found is not None
_constant = _found
define(
    'aten::pad(Tensor self, SymInt[] pad, str mode="constant", float? value=None) -> Tensor',
    infer=_infer_pad,
    reference=_reference_pad,
    decompose=_decompose_pad,
)
