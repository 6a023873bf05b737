"""Indices drawn in proportion to weights: with replacement by searching running sums, else by ranking."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from optc.eager import random
from optc.eager.generator import Generator, default_generator
from optc.ir import dtypes
from optc.ir.graph import Value
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape
from optc.ops.registry import define

Array = npt.NDArray[Any]


def _multinomial(weights: Array, samples: int, replacement: bool, generator: Generator | None) -> Array:
    """Indices in proportion to the weights of each row. Raises RuntimeError with PyTorch's texts."""
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if weights.dtype.kind in "biuc":
        label = dtypes.from_numpy(weights.dtype).label
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {label}")
    if samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and samples > weights.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if weights.size == 0:
        return np.empty((*weights.shape[:-1], samples), np.int64)
    return random.multinomial(weights, samples, replacement, default_generator if generator is None else generator)


def _infer_multinomial(weights: TensorType, samples: Any, *_: Any) -> TensorType:
    return TensorType(dtypes.INT64, None if weights.shape is None else (*weights.shape[:-1], samples))


def _decompose(b: Any, weights: Any, samples: Any, replacement: Any, generator: Any) -> Any:
    dtype, shape = b.type(weights).dtype, b.shape(weights)
    if len(shape) not in (1, 2) or dtype.kind != "float" or 0 in shape:
        raise UndecidedShape(f"are there indices of {b.type(weights)}?")
    if isinstance(samples, Value) or isinstance(replacement, Value) or samples <= 0:
        raise UndecidedShape("how many samples are drawn is not known")
    if not replacement:
        are_enough = b("aten::ge.int", b.value(shape[-1]), samples)
        b.require(are_enough, "cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    is_weight = b("aten::logical_and", b("aten::isfinite", weights), b("aten::ge.Scalar", weights, 0))
    b.require(b("aten::all", is_weight), "probability tensor contains either `inf`, `nan` or element < 0")
    is_positive = b("aten::any.dim", b("aten::gt.Scalar", weights, 0), -1, False)
    b.require(b("aten::all", is_positive), "invalid multinomial distribution (sum of probabilities <= 0)")
    if replacement and samples > 1:
        return _search_running_sums(b, weights, samples, generator)
    new = b("prim::new_like", weights, dtype.code)
    ranked = b("aten::div.Tensor", weights, b("prim::exponential", new, 1.0, generator=generator))
    return b("aten::topk", ranked, samples, -1, True, True)[1]


def _search_running_sums(b: Any, weights: Any, samples: int, generator: Any) -> Any:
    shape, is_double = b.shape(weights), b.type(weights).dtype is dtypes.FLOAT64
    work = dtypes.FLOAT64 if is_double else dtypes.FLOAT32
    sums = b("aten::cumsum", b("aten::to.dtype", weights, work.code), -1)
    shares = b("aten::div.Tensor", sums, b("aten::slice.Tensor", sums, -1, -1, None, 1))
    drawn = b("aten::full", [*shape[:-1], samples], 0, dtype=dtypes.FLOAT64.code)
    drawn = b("prim::uniform", drawn, 0.0, 1.0, generator=generator)
    places = b("aten::searchsorted.Tensor", b("aten::to.dtype", shares, dtypes.FLOAT64.code), drawn)
    return b("aten::clamp_max", places, b("aten::sub.int", b.value(shape[-1]), 1))  # rounding may leave 1 behind


define(
    "aten::multinomial(Tensor self, SymInt num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor",
    infer=_infer_multinomial,
    reference=_multinomial,
    decompose=_decompose,
    random=True,
    may_fail=True,
)
