"""Operators that numpy computes where they stand: factorisations, transforms and other algorithms over whole tensors.

Few have a native form, which is then named. `infer` gives the result's types and torch's errors, `compute` the arrays; the
frame here checks first and casts what comes out to the types that were announced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.composite import require_settled
from optc.ops.elementwise import array_type
from optc.ops.promotion import compute_type, operand_type
from optc.ops.registry import Operator, define

Array = np.ndarray[Any, Any]

REASON = "numpy computes it as a whole"


def types_of(arguments: Any) -> list[Any]:
    """The abstract values of a reference's arguments."""
    return [_type_of(argument) for argument in arguments]


def _type_of(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return array_type(argument)
    return types_of(argument) if isinstance(argument, list | tuple) else argument


def working(x: Array) -> Array:
    """The array in the type it is computed in: half and bfloat16 in float32."""
    return x.astype(compute_type(operand_type(x)).numpy, copy=False)


def declare_hosted(
    schema: str,
    infer: Callable[..., Any],
    compute: Callable[..., Any],
    *,
    reason: str = REASON,
    symbolic: bool = False,
    kernel: str | None = None,
    decompose: Callable[..., Any] | None = None,
    **traits: Any,
) -> Operator:
    """Declare an operator that numpy computes; `traits` are those of `define`. With a `kernel`, or where it can be
    decomposed, native code does the same.

    `symbolic`: the rule copes with numbers that are symbols. Others are not asked about them.
    """

    def rule(*arguments: Any) -> Any:
        if not symbolic:
            require_settled(arguments)
        return infer(*arguments)

    def reference(*arguments: Any) -> Any:
        result = infer(*types_of(arguments))
        with np.errstate(all="ignore"):
            values = compute(*arguments)
            if isinstance(result, tuple):
                return tuple(_stored(value, type_) for value, type_ in zip(values, result, strict=True))
            return _stored(values, result)

    interpreted = reason if kernel is None and decompose is None else None
    return define(
        schema, infer=rule, reference=reference, interpreted=interpreted, kernel=kernel, decompose=decompose, **traits
    )


def _stored(value: Any, type_: Any) -> Any:
    if not isinstance(type_, TensorType):
        return value
    return np.asarray(value).astype(operand_type(type_).numpy, copy=False)
