"""Dropout in all its forms: elements, or whole features, are set to zero at random, and the others scaled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from optc.eager.memory import new_like
from optc.eager.random_operators import NO_COMPLEX_DRAWS, bernoulli_
from optc.ir import dtypes
from optc.ir.graph import Node, Value
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape
from optc.ops.dropping import is_constant
from optc.ops.element_types import check_type
from optc.ops.registry import define

Array = npt.NDArray[Any]


def _check_dropout(probability: float) -> None:
    if not 0 <= probability <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {probability:g}")


def _noise(array: Array, keep: float, whole_features: bool) -> Array:
    """Ones with probability `keep` and zeros, one for each element or for each feature of each sample."""
    if not whole_features:
        return bernoulli_(new_like(array), keep, None)
    if array.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return bernoulli_(np.empty((*array.shape[:2], *(1,) * (array.ndim - 2)), array.dtype), keep, None)


def _check_type(array: Array, whole_label: str = "") -> None:
    """Noise is written into tensors of the argument's type, which has to have a fraction."""
    dtype = dtypes.from_numpy(array.dtype)
    if dtype.kind in ("bool", "int"):
        label = whole_label if dtype.kind == "bool" and whole_label else dtype.label
        raise RuntimeError(f"result type Float can't be cast to the desired output type {label}")
    check_type(NO_COMPLEX_DRAWS, dtype)


def _dropout(array: Array, probability: float, train: bool, whole_features: bool = False) -> Array:
    """Elements set to zero with the given probability, the others scaled so that the mean stays."""
    _check_dropout(probability)
    if probability == 0 or not train or array.size == 0:
        return array
    if probability == 1:
        return np.asarray(array * np.zeros((), array.dtype))
    _check_type(array)
    keep = 1 - probability
    noise = _noise(array, keep, whole_features)
    return np.asarray(array * (noise / np.asarray(keep, array.dtype)).astype(array.dtype))


_ALPHA = 1.7580993408473766
"""The negative saturation value of SELU."""


def _alpha_scale(probability: float) -> float:
    return 1 / math.sqrt((_ALPHA * _ALPHA * probability + 1) * (1 - probability))


def _alpha_dropout(array: Array, probability: float, train: bool, whole_features: bool = False) -> Array:
    """Dropout that keeps mean and variance of SELU's outputs (Klambauer et al. 2017)."""
    _check_dropout(probability)
    if probability == 0 or not train or array.size == 0:
        return array
    if probability == 1:
        return np.asarray(array * np.zeros((), array.dtype))
    _check_type(array, "Long")
    scale = _alpha_scale(probability)
    noise = _noise(array, 1 - probability, whole_features)
    kind = array.dtype.type
    shift = (noise - kind(1)) * kind(_ALPHA * scale) + kind(_ALPHA * scale * probability)
    return np.asarray(array * (noise * kind(scale)) + shift)


def _may_drop_nothing(node: Node) -> bool:
    """True unless it is certain that elements are dropped: the result is the argument itself where none are."""
    _, probability, train = node.inputs
    drops = train.is_constant and train.constant is True and probability.is_constant
    return not (drops and probability.constant > 0)


def _draws(node: Node) -> bool:
    """False where it is certain that nothing, or everything, is dropped."""
    _, probability, train = node.inputs
    if is_constant(train, False) or is_constant(probability, 0):
        return False
    return not (is_constant(train, True) and is_constant(probability, 1))


def _decompose(b: Any, x: Any, probability: Any, train: Any, whole_features: bool, write: Callable[..., Any]) -> Any:
    """`write(b, x, noise, probability)` where there is something to draw. Raises UndecidedShape for what only a run tells."""
    dtype = b.type(x).dtype
    if isinstance(probability, Value) or isinstance(train, Value) or not 0 <= probability <= 1:
        raise UndecidedShape("how much is dropped is not known")
    if probability == 0 or not train:
        return x
    if dtype.kind != "float" or (whole_features and len(b.shape(x)) < 2):
        raise UndecidedShape(f"dropout of {b.type(x)}")
    if probability == 1:
        return b("aten::mul.Scalar", x, 0)
    if whole_features:
        rank = len(b.shape(x))
        new = b("aten::full", [*b.shape(x)[:2], *[1] * (rank - 2)], 0, dtype=dtype.code)
    else:
        new = b("prim::new_like", x, dtype.code)
    return write(b, x, b("prim::bernoulli.float", new, 1 - probability), probability)


def _write_dropout(b: Any, x: Any, noise: Any, probability: float) -> Any:
    return b("aten::mul.Tensor", x, b("aten::div.Scalar", noise, 1 - probability))


def _write_alpha_dropout(b: Any, x: Any, noise: Any, probability: float) -> Any:
    scale = _alpha_scale(probability)
    shift = b("aten::mul.Scalar", b("aten::sub.Scalar", noise, 1), _ALPHA * scale)
    shift = b("aten::add.Scalar", shift, _ALPHA * scale * probability)
    return b("aten::add.Tensor", b("aten::mul.Tensor", x, b("aten::mul.Scalar", noise, scale)), shift)


for _name, _reference, _features, _write in (
    ("dropout", _dropout, False, _write_dropout),
    ("feature_dropout", _dropout, True, _write_dropout),
    ("alpha_dropout", _alpha_dropout, False, _write_alpha_dropout),
    ("feature_alpha_dropout", _alpha_dropout, True, _write_alpha_dropout),
):
    define(
        f"aten::{_name}(Tensor input, float p, bool train) -> Tensor",
        infer=lambda x, *_: x,
        reference=lambda array, probability, train, _draw=_reference, _whole=_features: _draw(
            array, probability, train, _whole
        ),
        decompose=lambda b, x, probability, train, _whole=_features, _write=_write: _decompose(
            b, x, probability, train, _whole, _write
        ),
        random=True,
        draws_when=_draws,
        may_fail=True,
        inplace=True,
        shares=_may_drop_nothing,
        in_rows=True,
        is_elementwise=not _features,
    )


def _native_dropout(array: Array, probability: float, train: bool | None) -> tuple[Array, Array]:
    """The result, and where elements stay. Without `train`, it draws."""
    if train is False:
        return array.copy(), np.ones(array.shape, np.bool_)
    if array.dtype.kind in "biu":
        _check_type(array)
    keep = 1 - probability
    mask = bernoulli_(new_like(array, np.bool_), keep, None)
    kind = array.dtype.type
    return np.asarray(array * mask * kind(0 if keep == 0 else 1 / keep)), mask


def _decompose_native_dropout(b: Any, x: Any, probability: Any, train: Any) -> Any:
    if isinstance(probability, Value) or isinstance(train, Value):
        raise UndecidedShape("how much is dropped is not known")
    if train is False:
        shape = list(b.shape(x))
        return b("aten::clone", x), b("aten::full", shape, True, dtype=dtypes.BOOL.code)
    keep = 1 - probability
    mask = b("prim::bernoulli.float", b("prim::new_like", x, dtypes.BOOL.code), keep)
    return b("aten::mul.Scalar", b("aten::mul.Tensor", x, mask), 0 if keep == 0 else 1 / keep), mask


define(
    "aten::native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)",
    infer=lambda x, probability, train: (x, TensorType(dtypes.BOOL, x.shape)),
    reference=_native_dropout,
    decompose=_decompose_native_dropout,
    random=True,
    may_fail=True,
)
