"""Operators that ask how a tensor lies in memory, for tensors whose elements lie row by row: views and numbers, then.

The pass `strided-rows` asks for this. What a rule raises says that the node stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from optc.ir.dims import Dim, product
from optc.ops.abstract import UndecidedShape, normalize_dim

Rule = Callable[..., Any]


def _numbers(dims: Sequence[Dim]) -> list[int]:
    known = [dim for dim in dims if isinstance(dim, int)]
    if len(known) != len(dims):
        raise UndecidedShape("sizes that only running tells")
    return known


def _strided(b: Any, x: Any, size: Sequence[Dim], stride: Sequence[Dim], offset: Any) -> Any:
    """Windows of windows of the elements in a row: `stride[d]` apart, and as long as what the dimensions behind d span."""
    sizes = _numbers(size)
    # Nobody walks a dimension of extent 1: its stride may be any number, and one that only running tells.
    steps = _numbers([0 if extent == 1 else step for extent, step in zip(sizes, stride)])
    spans = [1 + sum((extent - 1) * step for extent, step in zip(sizes[d:], steps[d:])) for d in range(len(sizes) + 1)]
    (elements,) = _numbers([product(b.shape(x))])
    # An offset counts from the beginning of the storage, of which this tensor may be a part.
    if (
        offset is not None
        or 0 in sizes
        or min(steps, default=0) < 0
        or len(sizes) != len(stride)
        or spans[0] > elements
    ):
        raise UndecidedShape("it may ask for what lies around the tensor")
    found = b("aten::narrow", b("aten::reshape", x, [-1]), 0, 0, spans[0])
    for place, (extent, step) in enumerate(zip(sizes, steps)):
        if step:
            found = b("aten::unfold", found, -1, spans[place + 1], step)
            continue
        found = b("aten::unsqueeze", found, -2)
        found = b("aten::expand", found, [*sizes[:place], extent, spans[place + 1]])
    return b("aten::select.int", found, -1, 0)


def _stride(b: Any, x: Any, dim: int) -> Any:
    shape = _numbers(b.shape(x))
    place = normalize_dim(dim, len(shape))
    if shape[place] == 1 or 0 in shape:
        raise UndecidedShape("PyTorch keeps any stride for an extent of 1, and where there are no elements")
    return b.value(math.prod(shape[place + 1 :]))


def _strides(b: Any, x: Any) -> Any:
    return b.value([_stride(b, x, dim) for dim in range(len(b.shape(x)))])


FOR_ROWS: dict[str, Rule] = {"aten::as_strided": _strided, "aten::stride.int": _stride, "aten::stride": _strides}
"""By name of the operator: a rule that gets a builder and the arguments, as decompositions do."""
