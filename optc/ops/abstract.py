"""Abstract values: what shape rules compute with.

| argument             | abstract value                                                          |
|----------------------|-------------------------------------------------------------------------|
| Tensor               | its `TensorType`                                                        |
| int                  | an int, or a `Symbolic` when only running tells (never UNKNOWN)         |
| float, bool, str ... | the Python value when constant, else an `Unknown` of that type           |
| None                 | None                                                                    |
| lists, tuples        | a list / tuple of abstract values; an `Unknown` when its length is unknown |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from optc.errors import OptcError
from optc.ir import dtypes
from optc.ir.dims import Dim, Symbolic, fresh, symbols
from optc.ir.dims import UndecidedExtents as UndecidedExtents  # noqa: PLC0414  rules import them from here
from optc.ir.dims import UndecidedShape as UndecidedShape  # noqa: PLC0414
from optc.ir.dtypes import DType
from optc.ir.graph import Value
from optc.ir.types import (
    ANY,
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    STRING,
    TENSOR,
    IntType,
    ListType,
    TensorType,
    TupleType,
    Type,
)


class ShapeError(OptcError):
    """Arguments that the operator refuses whenever it runs; the text is torch's."""


class Unknown:
    """The abstract value of which nothing but the type is known. Rules that need the value raise UndecidedShape."""

    __slots__ = ("type",)

    def __init__(self, type_: Type) -> None:
        self.type = type_

    def __repr__(self) -> str:
        return f"UNKNOWN {self.type}"

    def __bool__(self) -> bool:
        raise UndecidedShape(f"a value of type {self.type} is needed before the program runs")

    def __iter__(self) -> Iterator[Any]:
        raise UndecidedShape(f"a value of type {self.type} is needed before the program runs")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UndecidedShape(f"the {name} of a value of type {self.type} is needed before the program runs")

    def __len__(self) -> int:
        raise UndecidedShape(f"the length of a value of type {self.type} is needed before the program runs")


UNKNOWN = Unknown(ANY)
UNKNOWN_FLOAT = Unknown(FLOAT)
UNKNOWN_BOOL = Unknown(BOOL)


def unknown(type_: Type) -> Unknown:
    """The unknown value of a type."""
    simple: dict[Type, Unknown] = {FLOAT: UNKNOWN_FLOAT, BOOL: UNKNOWN_BOOL, ANY: UNKNOWN}
    found = simple.get(type_)
    return Unknown(type_) if found is None else found


def abstract(value: Value) -> Any:
    """The abstract value of an SSA value, from its type and, for constants and lists, its definition."""
    if value.is_constant:
        return abstract_constant(value.constant)
    type_ = value.type
    if isinstance(type_, TensorType):
        return type_
    if isinstance(type_, IntType):
        return unknown_int(value)
    if type_ is NONE:
        return None
    if value.node.kind == "prim::ListConstruct":
        return [abstract(item) for item in value.node.inputs]
    if value.node.kind == "prim::TupleConstruct":
        return tuple(abstract(item) for item in value.node.inputs)
    return unknown(type_)


def unknown_int(value: Value) -> Dim:
    """The dimension an int value stands for; one that has none yet gets a symbol of its own, kept in its type."""
    if not isinstance(value.type, IntType) or value.type.dim is None:
        value.type = IntType(fresh())
    assert isinstance(value.type, IntType) and value.type.dim is not None
    return value.type.dim


def abstract_constant(constant: Any) -> Any:
    """The abstract value of a constant: tensors become their types, lists are copied, the rest stays."""
    if isinstance(constant, np.ndarray):
        return tensor_type_of(constant)
    if isinstance(constant, list | tuple):
        plain = PLAIN_CLASSES.issuperset(map(type, constant))
        return type(constant)(constant if plain else map(abstract_constant, constant))
    return constant


PLAIN_CLASSES = frozenset((bool, int, float, complex, str, type(None)))
"""Classes whose values are abstract as they are."""


def tensor_type_of(array: np.ndarray[Any, Any]) -> TensorType:
    """The fully known type of an array."""
    return TensorType(dtypes.from_numpy(array.dtype), tuple(array.shape))


def concrete_type(value: Any) -> Type:
    """The IR type of an abstract value (the inverse of `abstract`, as far as it goes)."""
    if isinstance(value, TensorType):
        return value
    if isinstance(value, Unknown):
        return value.type
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int | Symbolic):
        return IntType(value)
    if isinstance(value, list):
        return ListType(concrete_type(value[0]) if value else TENSOR)
    if isinstance(value, tuple):
        return TupleType(tuple(concrete_type(item) for item in value))
    simple: dict[type, Type] = {float: FLOAT, str: STRING, complex: COMPLEX, type(None): NONE}
    return simple.get(type(value), INT)


def is_runtime(dim: Dim) -> bool:
    """True for a dimension with a symbol that data decides (`u…`), which may be 0 or 1 like any other number.

    Input symbols (`s…`) stand for every extent but 1: the entry point specialises on 1.
    """
    return any(not name.startswith("s") for name in symbols(dim))


def same_dim(left: Dim, right: Dim) -> bool | None:
    """True or False when it is certain that two dimensions are equal or differ, None when only running tells."""
    if left == right:
        return True
    if isinstance(left, int) and isinstance(right, int):
        return False
    if 1 in (left, right) and not is_runtime(left) and not is_runtime(right):
        other = right if left == 1 else left
        if isinstance(other, Symbolic) and len(other.terms) == 1 and other.terms[0][1] == 1:
            return False
    return None


def dtype_of_code(code: Dim | None, default: DType) -> DType:
    """The DType of a `ScalarType?` argument.

    Raises UndecidedShape for a code that only running the program tells, RuntimeError for a type that no tensor is made
    in without a scale.
    """
    if code is None:
        return default
    found = known_dtype(code)
    if found.is_quantized and found is not default:
        raise RuntimeError(f"a tensor cannot be made in, or converted to, {found}")
    return found


def known_dtype(code: Dim) -> DType:
    """The DType of a code.

    Raises UndecidedShape for one that only running the program tells, RuntimeError for one that nothing computes with.
    """
    if isinstance(code, Symbolic):
        raise UndecidedShape("an element type is needed before the program runs")
    found = dtypes.BY_CODE.get(code)
    if found is None:
        held = {each.code: each for each in dtypes.HELD}
        raise RuntimeError(f"a tensor cannot be made in, or converted to, {held.get(code, f'element type {code}')}")
    return found


def normalize_dim(dim: int, rank: int) -> int:
    """A dimension number counted from the front. Raises IndexError with torch's text."""
    extent = max(rank, 1)
    if not -extent <= dim < extent:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-extent}, {extent - 1}], but got {dim})"
        )
    return dim % extent


def normalize_dims(dims: Sequence[int] | int | None, rank: int) -> tuple[int, ...]:
    """Dimension numbers counted from the front; None and an empty list mean all of them. Raises as torch does.

    A 0-d tensor has none, though 0 and -1 are accepted.
    """
    if dims is None or (isinstance(dims, Sequence) and not dims):
        return tuple(range(rank))
    listed = (dims,) if isinstance(dims, int) else tuple(dims)
    normal = tuple(normalize_dim(dim, rank) for dim in listed)
    for place, dim in enumerate(normal):
        if dim in normal[:place]:
            raise RuntimeError(f"dim {dim} appears multiple times in the list of dims")
    return normal if rank else ()
