"""Devices on their way out of a program: inside they are names, which Python sees as `Device`s.

A name says nothing of what it names, so the declared type of a result decides.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from optc.eager.device import Device
from optc.ir.types import DEVICE, STRING, DictType, ListType, OptionalType, TupleType, Type, UnionType


@cache
def holds_devices(type_: Type) -> bool:
    """True when a device can be in a value of this type."""
    return type_ is DEVICE or any(map(holds_devices, _parts(type_)))


def with_devices(value: Any, type_: Type) -> Any:
    """A value of the declared type with `Device`s for the names of devices."""
    if value is None or not holds_devices(type_):
        return value
    if isinstance(value, str):
        return value if isinstance(type_, UnionType) and STRING in type_.members else Device(value)
    if isinstance(type_, ListType) and isinstance(value, list):
        return [with_devices(item, type_.element) for item in value]
    if isinstance(type_, TupleType) and isinstance(value, tuple):
        items = [with_devices(item, element) for item, element in zip(value, type_.elements, strict=True)]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(type_, DictType) and isinstance(value, dict):
        return {with_devices(key, type_.key): with_devices(item, type_.value) for key, item in value.items()}
    return with_devices(value, type_.element) if isinstance(type_, OptionalType) else value


def _parts(type_: Type) -> tuple[Type, ...]:
    if isinstance(type_, ListType | OptionalType):
        return (type_.element,)
    if isinstance(type_, TupleType):
        return type_.elements
    if isinstance(type_, DictType):
        return type_.key, type_.value
    return type_.members if isinstance(type_, UnionType) else ()
