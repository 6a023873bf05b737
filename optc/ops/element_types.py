"""Which element types an operator refuses: declared with it, asked before its shape rule and before its reference.

    refuses=unimplemented("clamp_cpu", BOOLS)                     "clamp_cpu" not implemented for 'Bool'
    refuses=refusal(COMPLEXES, "fmax not implemented for complex tensors.")

The types are those that PyTorch's kernels lack, and the texts are PyTorch's. What decides is the type that tensors and
numbers promote to, or the type of the argument named `of` (a tensor, a list of them, or an element type).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.dataclass import dataclass
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.schema import FunctionSchema
from optc.ir.types import NUMBER, OptionalType, TensorType, Type
from optc.ops.abstract import UndecidedShape, tensor_type_of
from optc.ops.promotion import operand_type, result_type

BOOLS = frozenset((dtypes.BOOL,))
INTEGERS = frozenset(dtype for dtype in dtypes.ALL if dtype.kind == "int")
WHOLE = BOOLS | INTEGERS
HALVES = frozenset((dtypes.FLOAT16, dtypes.BFLOAT16))
FLOATS = frozenset(dtype for dtype in dtypes.ALL if dtype.kind == "float")
COMPLEXES = frozenset(dtype for dtype in dtypes.ALL if dtype.kind == "complex")


@dataclass(frozen=True)
class Refusal:
    """Element types that are refused, `takes_empty` says where there are elements. `{label}` in the message stands for the
    type's name.
    """

    refused: frozenset[DType]
    message: str
    error: type[Exception]
    of: str | None
    takes_empty: bool


Refusals = tuple[Refusal, ...]


def refusal(
    refused: frozenset[DType],
    message: str,
    error: type[Exception] = RuntimeError,
    of: str | None = None,
    takes_empty: bool = False,
) -> Refusals:
    """These element types are refused with this message."""
    return (Refusal(refused, message, error, of, takes_empty),)


def unimplemented(kernel: str, refused: frozenset[DType], of: str | None = None, takes_empty: bool = False) -> Refusals:
    """PyTorch's kernel of this name is not there for these element types."""
    message = f"\"{kernel}\" not implemented for '{{label}}'"
    return refusal(refused, message, NotImplementedError, of, takes_empty)


def expect_type(wanted: DType, found: DType) -> None:
    """Raises RuntimeError where an operator that promotes nothing gets tensors of two types."""
    if wanted is not found:
        raise RuntimeError(f"expected scalar type {wanted.label} but found {found.label}")


def check_type(refusals: Refusals, dtype: DType) -> None:
    """Raise what the refusals say of an element type, for rules that know better than a declaration what decides."""
    for each in refusals:
        if dtype in each.refused:
            raise each.error(each.message.format(label=dtype.label))


def guarded(
    schema: Callable[[], FunctionSchema], refusals: Refusals, function: Callable[..., Any], rule: Callable[..., Any]
) -> Callable[..., Any]:
    """A rule or reference that first raises what the refusals say of its arguments' element types.

    PyTorch looks for a kernel when shapes are known to fit: where none is found, what `rule` says of shapes comes first.
    """
    checks: list[Callable[[Sequence[Any]], None]] = []

    def run(*arguments: Any) -> Any:
        if not checks:
            checks.extend(_check(each, schema(), rule) for each in refusals)
        for check in checks:
            check(arguments)
        return function(*arguments)

    return run


def _check(refusal: Refusal, schema: FunctionSchema, rule: Callable[..., Any]) -> Callable[[Sequence[Any]], None]:
    if refusal.of is None:
        places = [
            place
            for place, argument in enumerate(schema.arguments)
            if not argument.keyword_only and _is_operand(argument.type)
        ]
    else:
        places = [[argument.name for argument in schema.arguments].index(refusal.of)]

    def check(arguments: Sequence[Any]) -> None:
        dtype = _deciding_type([arguments[place] for place in places if place < len(arguments)], refusal.of)
        if dtype not in refusal.refused or (refusal.takes_empty and any(map(_is_empty, arguments))):
            return
        if refusal.error is NotImplementedError:
            _raise_of_shapes(rule, arguments, places, refusal.refused)
        check_type((refusal,), dtype)

    return check


def _raise_of_shapes(
    rule: Callable[..., Any], arguments: Sequence[Any], places: Sequence[int], refused: frozenset[DType]
) -> None:
    """Raise what the rule says of shapes: what it says of a type that has a kernel, too, in the same words."""
    types = [tensor_type_of(each) if isinstance(each, np.ndarray) else each for each in arguments]
    error = _error_of(rule, types)
    if error is None:
        return
    taken = next((dtype for dtype in (dtypes.FLOAT32, dtypes.INT64, dtypes.BOOL) if dtype not in refused), None)
    for place in places:
        if place < len(types) and isinstance(types[place], TensorType):
            types[place] = TensorType(taken, types[place].shape)
    if str(_error_of(rule, types)) == str(error):
        raise error


def _error_of(rule: Callable[..., Any], types: Sequence[Any]) -> Exception | None:
    try:
        rule(*types)
    except (UndecidedShape, TypeError, AttributeError):
        return None
    except Exception as error:  # noqa: BLE001 - whatever it is, is compared or raised
        return error
    return None


def _is_empty(argument: Any) -> bool:
    """True for a tensor that certainly has no elements."""
    return isinstance(argument, TensorType | np.ndarray) and 0 in (argument.shape or ())


def _is_operand(declared: Type) -> bool:
    inner = declared.element if isinstance(declared, OptionalType) else declared
    return isinstance(inner, TensorType) or inner is NUMBER


def _deciding_type(operands: Sequence[Any], of: str | None) -> DType | None:
    given = [operand for operand in operands if operand is not None]
    if not given:
        return None
    if of is None:
        return operand_type(given[0]) if len(given) == 1 else result_type(*given)
    (only,) = given
    if isinstance(only, int):
        return dtypes.BY_CODE.get(only)
    if isinstance(only, list | tuple):
        return _deciding_type(only[:1], of)
    return operand_type(only) if isinstance(only, TensorType | np.ndarray) else None
