"""Python values as graph constants."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from optc.errors import SourceRange
from optc.ir.function import ScriptObject
from optc.ir.graph import Graph, Value
from optc.ir.types import (
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    STRING,
    TENSOR,
    DictType,
    ListType,
    TupleType,
    Type,
)
from optc.jit.frontend.enumerations import enum_type

_SIMPLE: dict[type, Type] = {
    bool: BOOL,
    int: INT,
    float: FLOAT,
    complex: COMPLEX,
    str: STRING,
    type(None): NONE,
}

MAX_INT = 2**63 - 1


def constant_type(value: Any) -> Type:
    """The type of a Python value that may be a constant. Raises TypeError for anything else."""
    found = _SIMPLE.get(type(value))
    if found is not None:
        return found
    if isinstance(value, enum.Enum):
        return enum_type(type(value))
    if isinstance(value, np.ndarray):
        return TENSOR
    if isinstance(value, ScriptObject):
        return value.type
    if isinstance(value, tuple):
        return TupleType(tuple(constant_type(item) for item in value))
    if isinstance(value, list):
        return ListType(constant_type(value[0]) if value else TENSOR)
    if isinstance(value, dict) and value:
        key, item = next(iter(value.items()))
        return DictType(constant_type(key), constant_type(item))
    raise TypeError(f"{type(value).__name__} is no constant of a graph")


def insert_constant(graph: Graph, value: Any, source: SourceRange | None = None, type_: Type | None = None) -> Value:
    """A `prim::Constant` at the insertion point."""
    result = graph.insert_constant(value, type_ if type_ is not None else constant_type(value))
    result.node.source = source
    return result


def is_known(value: Value) -> bool:
    """True when the value is known while compiling; a reference to a function is no such value."""
    return value.is_constant and "function" not in value.node.attributes


def known(value: Value, expected: type) -> Any:
    """The constant of the given Python type that a value is, None when it is not one."""
    if not is_known(value):
        return None
    constant = value.constant
    if expected is int and isinstance(constant, bool):
        return None
    return constant if isinstance(constant, expected) else None


def must_be_none(value: Value) -> bool:
    """True when the value is certainly None."""
    return value.type is NONE or (value.is_constant and is_known(value) and value.constant is None)
