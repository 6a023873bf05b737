"""Operators that are nothing but other operators: one function says what they compute, what type it has and how it runs.

`build(b, *arguments)` is written once against the interface of a `Builder`. With a real one it writes nodes; with
`References` it computes with arrays, which is the operator's reference; with `Types` it computes with types, which is
its shape rule. Errors are those of the operators it calls, as in torch's own composite operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.dtypes import from_numpy
from optc.ir.types import TensorType
from optc.ops.builder import Builder
from optc.ops.registry import Operator, define, lookup


class References:
    """A `Builder` whose values are arrays and Python values: every operator is computed by its reference."""

    def __call__(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """The operator's result."""
        operator, given = _completed(name, arguments, keywords)
        with np.errstate(all="ignore"):
            return operator.reference(*given)

    def type(self, value: Any) -> TensorType:
        """The type of an array."""
        return TensorType(from_numpy(value.dtype), tuple(value.shape))

    def shape(self, value: Any) -> tuple[int, ...]:
        """The shape of an array."""
        return tuple(value.shape)

    def constant(self, array: np.ndarray[Any, Any]) -> Any:
        """A tensor that is always the same."""
        return array


class Types:
    """A `Builder` whose values are abstract: every operator is its shape rule."""

    def __call__(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """The operator's abstract result."""
        operator, given = _completed(name, arguments, keywords)
        return operator.infer(*given)

    def type(self, value: TensorType) -> TensorType:
        """The type itself."""
        return value

    def shape(self, value: TensorType) -> tuple[Dim, ...]:
        """The dimensions of a tensor of known rank."""
        assert value.shape is not None
        return value.shape

    def constant(self, array: np.ndarray[Any, Any]) -> Any:
        """The type of a tensor that is always the same."""
        return TensorType(from_numpy(array.dtype), tuple(array.shape))


def _completed(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Operator, list[Any]]:
    operator = lookup(name)
    if operator is None:
        raise KeyError(f"there is no operator {name}")
    return operator, Builder.complete(operator, arguments, keywords)


_REFERENCES, _TYPES = References(), Types()


def declare_composite(schema: str, build: Callable[..., Any], **traits: Any) -> Operator:
    """Declare an operator by what it is made of; `traits` are those of `define`.

    Where the composition hands back an argument, the reference copies it unless the schema says that it is a view.
    """
    is_view = "(a)" in schema.partition("(")[2]

    def reference(*arguments: Any) -> Any:
        return _own(build(_REFERENCES, *arguments), [] if is_view else arguments)

    return define(
        schema,
        infer=lambda *arguments: build(_TYPES, *arguments),
        reference=reference,
        decompose=build,
        **traits,
    )


def _own(result: Any, arguments: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(_own(item, arguments) for item in result)
    given = isinstance(result, np.ndarray) and any(result is argument for argument in arguments)
    return result.copy() if given else result
