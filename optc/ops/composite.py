"""Operators that are nothing but other operators: one function says what they compute, what type it has and how it runs.

`build(b, *arguments)` is written once against the interface of a `Builder`. With a real one it writes nodes; with
`References` it computes with arrays, which is the operator's reference; with `Types` it computes with types, which is
its shape rule. Errors are those of the operators it calls, as in torch's own composite operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.ir.dims import Dim, Symbolic
from optc.ir.dtypes import from_numpy
from optc.ir.graph import Value
from optc.ir.types import IntType, ListType, TensorType
from optc.ops.abstract import UndecidedShape, Unknown, unknown_int
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

    def require(self, condition: Any, message: str) -> None:
        """A check of what the elements are. Raises RuntimeError where it does not hold."""
        if not condition:
            raise RuntimeError(message)


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

    def require(self, condition: TensorType, message: str) -> None:
        """Types say nothing of elements."""


def _completed(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Operator, list[Any]]:
    operator = lookup(name)
    if operator is None:
        raise KeyError(f"there is no operator {name}")
    return operator, Builder.complete(operator, arguments, keywords)


REFERENCES, TYPES = References(), Types()


def declare_composite(
    schema: str, build: Callable[..., Any], *, check: Callable[..., None] | None = None, **traits: Any
) -> Operator:
    """Declare an operator by what it is made of; `traits` are those of `define`.

    Numbers and flags that only running tells are left to the interpreter: `build` may branch on them. Extents in lists
    may be symbols. `check(*arguments)` looks at the elements of a reference's arguments first. Where the composition
    hands back an argument, the reference copies it unless the schema says that it is a view.
    """
    is_view = "(a)" in schema.partition("(")[2] or "shares" in traits

    def infer(*arguments: Any) -> Any:
        require_settled(arguments)
        return build(TYPES, *arguments)

    def reference(*arguments: Any) -> Any:
        if check is not None:
            check(*arguments)
        return _own(build(REFERENCES, *arguments), [] if is_view else arguments)

    def decompose(b: Any, *arguments: Any) -> Any:
        given = [_as_dims(argument) for argument in arguments]
        require_settled(given)
        return build(b, *given)

    return define(schema, infer=infer, reference=reference, decompose=decompose, **traits)


def require_settled(arguments: Sequence[Any]) -> None:
    """Raise UndecidedShape where a number, flag or text is not known before the program runs."""
    for argument in arguments:
        if isinstance(argument, Unknown | Symbolic):
            raise UndecidedShape(f"{argument} is needed before the program runs")
        if isinstance(argument, Value) and not isinstance(argument.type, TensorType | ListType):
            raise UndecidedShape(f"%{argument.name} is needed before the program runs")


def _as_dims(argument: Any) -> Any:
    """Lists of int values as lists of the dimensions they stand for."""
    if not isinstance(argument, list):
        return argument
    return [
        unknown_int(item) if isinstance(item, Value) and isinstance(item.type, IntType) else item for item in argument
    ]


def _own(result: Any, arguments: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(_own(item, arguments) for item in result)
    given = isinstance(result, np.ndarray) and any(result is argument for argument in arguments)
    return result.copy() if given else result
