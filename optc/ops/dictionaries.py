"""TorchScript's operators on dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optc.ir.stream_text import printed
from optc.ops.python_values import declare_host

_DICTS = "it works on dictionaries"


def _lookup(items: dict[Any, Any], key: Any) -> Any:
    if key not in items:
        raise RuntimeError(f"KeyError: {printed(key)}")
    return items[key]


def _take(items: dict[Any, Any], key: Any) -> Any:
    _lookup(items, key)
    return items.pop(key)


def _take_first(items: dict[Any, Any]) -> tuple[Any, Any]:
    if not items:
        raise RuntimeError("popitem(): dictionary is empty")
    first = next(iter(items))
    return first, items.pop(first)


def _drop(items: dict[Any, Any], key: Any) -> None:
    _lookup(items, key)
    del items[key]


def _store(items: dict[Any, Any], key: Any, value: Any) -> None:
    items[key] = value


_DICT_OPERATORS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("len.Dict_{k}(Dict({k}, t) self) -> int", len),
    ("keys.{k}(Dict({k}, t) self) -> {k}[](*)", list),
    ("values.{k}(Dict({k}, t) self) -> t[](*)", lambda items: list(items.values())),
    ("items.{k}(Dict({k}, t) self) -> (({k}, t)[])", lambda items: list(items.items())),
    ("__getitem__.Dict_{k}(Dict({k}, t) self, {k} key) -> t(*)", _lookup),
    ("__contains__.{k}(Dict({k}, t) dict, {k} key) -> bool", lambda items, key: key in items),
    ("get.{k}(Dict({k}, t) self, {k} key) -> t(*)?", lambda items, key: items.get(key)),
    ("get.default_{k}(Dict({k}, t) self, {k} key, t default_value) -> t(*)",
     lambda items, key, default: items.get(key, default)),
    ("_set_item.{k}(Dict({k}, t)(a!) l, {k}(b -> *) idx, t(c -> *) v) -> ()", _store),
    ("Delete.Dict_{k}(Dict({k}, t)(a!) self, {k} key) -> ()", _drop),
    ("pop.Dict_{k}(Dict({k}, t)(a!) self, {k} key) -> t(*)", _take),
    ("pop.Dict_default_{k}(Dict({k}, t)(a!) self, {k} key, t default_value) -> t(*)",
     lambda items, key, default: items.pop(key, default)),
    ("popitem.{k}(Dict({k}, t)(a!) self) -> (({k}, t))", _take_first),
    ("setdefault.{k}(Dict({k}, t)(a!) self, {k}(b -> *) key, t(c -> *) default_value) -> t(*)",
     lambda items, key, default: items.setdefault(key, default)),
    ("clear.{k}(Dict({k}, t)(a!) self) -> ()", lambda items: items.clear()),
    ("update.{k}(Dict({k}, t)(a!) self, Dict({k}, t)(a!) to_add) -> ()", lambda items, other: items.update(other)),
    ("copy.Dict_{k}(Dict({k}, t)(a) self) -> Dict({k}, t)", dict),
    ("dict.Dict_{k}(Dict({k}, t)(a) self) -> Dict({k}, t)", dict),
    ("dict.{k}(({k}, tVal)[] inputs) -> Dict({k}, tVal)", dict),
)  # fmt: skip
_MAY_FAIL = ("__getitem__", "Delete", "pop.Dict_{k}", "popitem")
for _key in ("str", "int", "bool", "float", "complex", "Tensor"):
    for _schema, _use in _DICT_OPERATORS:
        declare_host(f"aten::{_schema.replace('{k}', _key)}", _use, _DICTS, may_fail=_schema.startswith(_MAY_FAIL))
declare_host("aten::dict() -> Dict(str, Tensor)", dict, _DICTS)
