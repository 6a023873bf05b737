"""TorchScript's operators on lists. Rules compute with abstract elements where the length is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np

from optc.ir.dims import Symbolic, fresh
from optc.ir.stream_text import printed
from optc.ir.types import BOOL, FLOAT, INT, STRING, TENSOR, IntType, TensorType, Type
from optc.ops.abstract import UNKNOWN, Unknown, same_dim, unknown
from optc.ops.python_values import array_in, declare_host, is_concrete, unknown_of
from optc.ops.sorted_numbers import sort_numbers, sorted_numbers

_LONGEST = 1 << 16
"""Lists that are longer are not followed element by element."""

_LISTS = "it works on lists"


def _place(items: Any, index: int) -> int:
    if not -len(items) <= index < len(items):
        raise RuntimeError("list index out of range")
    return index


def _get(items: list[Any], index: int) -> Any:
    return items[_place(items, index)]


def _get_rule(items: Any, index: Any) -> Any:
    if isinstance(items, Unknown):
        element = getattr(items.type, "element", None)
        return UNKNOWN if element is None else element if isinstance(element, TensorType) else unknown_of(element)
    if isinstance(index, int) and -len(items) <= index < len(items):
        return items[index]
    return _common(items)


def _common(items: list[Any]) -> Any:
    """What all elements have in common. A list of a union, or of what may be None, has elements of several kinds."""
    kinds = set(map(_kind, items))
    if len(kinds) != 1:
        return UNKNOWN
    (kind,) = kinds
    if kind is TENSOR:
        return items[0] if all(item == items[0] for item in items) else TensorType()
    if isinstance(kind, IntType):
        return fresh()
    return UNKNOWN if kind is None else unknown(kind)


def _kind(item: Any) -> Type | None:
    """The type of one element without what is particular to it; None for others than tensors, numbers and text."""
    if isinstance(item, TensorType):
        return TENSOR
    if isinstance(item, int | Symbolic) and not isinstance(item, bool):
        return INT
    return {bool: BOOL, float: FLOAT, str: STRING}.get(type(item))


def _length_rule(items: Any) -> Any:
    return fresh() if isinstance(items, Unknown) else len(items)


def _slice(items: list[Any], start: int | None, end: int | None, step: int) -> list[Any]:
    if step == 0:
        raise ValueError("List slice should have non-zero step")
    return items[start:end:step]


def _slice_rule(items: Any, start: Any, end: Any, step: Any) -> Any:
    if isinstance(items, Unknown) or not all(is_concrete(bound) for bound in (start, end, step)):
        return items if isinstance(items, Unknown) else UNKNOWN
    return items[start:end:step]


def _joined_rule(left: Any, right: Any) -> Any:
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    return [*left, *right] if len(left) + len(right) <= _LONGEST else UNKNOWN


def _repeated_rule(items: Any, count: Any) -> Any:
    if isinstance(items, Unknown) or not isinstance(count, int):
        return items if isinstance(items, Unknown) else UNKNOWN
    return items * count if 0 <= len(items) * count <= _LONGEST else UNKNOWN


def _repeated(items: list[Any], count: int) -> list[Any]:
    if items and count < 0:
        raise RuntimeError("vector::reserve")
    return items * count


def _set(items: list[Any], index: int, value: Any) -> list[Any]:
    items[_place(items, index)] = value
    return items


def _append(items: list[Any], value: Any) -> list[Any]:
    items.append(value)
    return items


def _pop(items: list[Any], index: int) -> Any:
    if not items:
        raise RuntimeError("pop from empty list")
    return items.pop(_place(items, index))


def _extend_in_place(items: list[Any], other: list[Any]) -> list[Any]:
    items.extend(other)
    return items


def _delete(items: list[Any], index: int) -> None:
    del items[_place(items, index)]


def _repeat_in_place(items: list[Any], count: int) -> list[Any]:
    items *= count
    return items


def _whatever(*arguments: Any) -> Any:
    return UNKNOWN


declare_host("aten::len.t(t[] a) -> int", len, _LISTS, rule=_length_rule)
declare_host("aten::len.any(Any[] a) -> int", len, _LISTS, rule=_length_rule)
for _name in ("__getitem__", "select"):
    declare_host(f"aten::{_name}.t(t[](a) list, int idx) -> t(*)", _get, _LISTS, rule=_get_rule, may_fail=True)
declare_host(
    "aten::slice.t(t[] l, int? start=None, int? end=None, int step=1) -> t[]", _slice, _LISTS, rule=_slice_rule
)
declare_host("aten::add.t(t[] a, t[] b) -> t[]", lambda left, right: [*left, *right], _LISTS, rule=_joined_rule)
declare_host("aten::mul.left_t(t[] l, int n) -> t[]", _repeated, _LISTS, rule=_repeated_rule, may_fail=True)
declare_host("aten::mul.right_(int n, t[] l) -> t[]", lambda count, items: _repeated(items, count), _LISTS,
             rule=lambda count, items: _repeated_rule(items, count), may_fail=True)  # fmt: skip
declare_host("aten::list.t(t[] l) -> t[]", list, _LISTS, rule=lambda items: items)
declare_host("aten::copy.t(t[](a) self) -> t[]", list, _LISTS, rule=lambda items: items)
declare_host("aten::append.t(t[](a!) self, t(c -> *) el) -> t[](a!)", _append, _LISTS, rule=_whatever)
declare_host(
    "aten::_set_item.t(t[](a!) l, int idx, t(b -> *) el) -> t[](a!)", _set, _LISTS, rule=_whatever, may_fail=True
)
declare_host("aten::pop.t(t[](a!) self, int idx=-1) -> t(*)", _pop, _LISTS, rule=_get_rule, may_fail=True)
declare_host("aten::extend.t(t[](a!) self, t[] other) -> ()", lambda items, other: items.extend(other), _LISTS)
declare_host("aten::insert.t(t[](a!) self, int idx, t(b -> *) el) -> ()",
             lambda items, index, value: items.insert(index, value), _LISTS)  # fmt: skip
declare_host("aten::clear.t(t[](a!) self) -> ()", lambda items: items.clear(), _LISTS)
declare_host("aten::reverse.t(t[](a!) self) -> ()", lambda items: items.reverse(), _LISTS)
declare_host("aten::Delete.t(t[](a!) self, int idx) -> ()", _delete, _LISTS, may_fail=True)
declare_host("aten::add_.t(t[](a!) self, t[] b) -> t[]", _extend_in_place, _LISTS, rule=_whatever)
declare_host("aten::mul_.t(t[](a!) l, int n) -> t[](a!)", _repeat_in_place, _LISTS, rule=_whatever)


def _unordered(items: Any) -> Any:
    return items if isinstance(items, Unknown) else UNKNOWN


def _index(items: list[Any], element: Any) -> int:
    if element not in items:
        raise RuntimeError(f"'{printed(element)}' is not in list")
    return items.index(element)


def _remove(items: list[Any], element: Any) -> None:
    if element not in items:
        raise RuntimeError("list.remove(x): x not in list")
    items.remove(element)


def _extreme(name: str, choose: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    def reference(items: list[Any]) -> Any:
        if not items:
            raise RuntimeError(f"{name}() arg is an empty sequence")
        return choose(items)

    return reference


def _least(left: list[Any], right: list[Any]) -> list[Any]:
    return min(right, left)


def _greatest(left: list[Any], right: list[Any]) -> list[Any]:
    return max(right, left)


def _total(items: list[Any], start: Any) -> Any:
    """One addition after the other: Python's `sum` corrects its rounding errors from 3.12 on."""
    return reduce(add, items, start)


def _contains_rule(items: Any, element: Any) -> Any:
    if isinstance(items, Unknown) or not is_concrete(element) or not all(map(is_concrete, items)):
        return unknown(BOOL)
    return element in items


def _equal_lists(left: Any, right: Any) -> bool | None:
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return None
    if len(left) != len(right):
        return False
    verdicts = [_equal_items(mine, other) for mine, other in zip(left, right)]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _equal_items(left: Any, right: Any) -> bool | None:
    if isinstance(left, int | Symbolic) and isinstance(right, int | Symbolic):
        return same_dim(left, right)
    return bool(left == right) if is_concrete(left) and is_concrete(right) else None


def _equality_rule(negated: bool) -> Callable[..., Any]:
    def infer(left: Any, right: Any) -> Any:
        verdict = _equal_lists(left, right)
        return unknown(BOOL) if verdict is None else verdict is not negated

    return infer


for _type in ("int", "float", "bool", "str"):
    _negations: tuple[tuple[str, bool, Callable[..., bool]], ...] = (
        ("eq", False, lambda a, b: a == b), ("ne", True, lambda a, b: a != b),
    )  # fmt: skip
    for _name, _negated, _compare in _negations:
        declare_host(f"aten::{_name}.{_type}_list({_type}[] a, {_type}[] b) -> bool", _compare, _LISTS,
                     rule=_equality_rule(_negated))  # fmt: skip
    declare_host(f"aten::index.list_{_type}({_type}[] self, {_type} el) -> int", _index, _LISTS, may_fail=True)
    declare_host(f"aten::count.{_type}({_type}[] self, {_type} el) -> int", lambda items, el: items.count(el), _LISTS)
    declare_host(f"aten::remove.{_type}({_type}[](a!) self, {_type} el) -> ()", _remove, _LISTS, may_fail=True)
    declare_host(f"aten::sort.{_type}({_type}[](a!) self, bool reverse=False) -> ()",
                 sort_numbers if _type == "float" else lambda items, reverse: items.sort(reverse=reverse), _LISTS)  # fmt: skip
    declare_host(f"aten::sorted.{_type}({_type}[](a) input) -> {_type}[]",
                 sorted_numbers if _type == "float" else sorted, _LISTS)  # fmt: skip
    declare_host(f"prim::SortedDescending.{_type}({_type}[] self) -> {_type}[]",
                 partial(sorted_numbers if _type == "float" else sorted, reverse=True), _LISTS)  # fmt: skip
    if _type != "bool":
        declare_host(f"aten::__contains__.{_type}_list({_type}[] l, {_type} item) -> bool",
                     lambda items, item: item in items, _LISTS, rule=_contains_rule)  # fmt: skip
    if _type == "str":
        declare_host("aten::any.str(str[] self) -> bool", any, _LISTS)
        continue
    declare_host(f"aten::sum.{_type}({_type}[] self) -> {'float' if _type == 'float' else 'int'}",
                 partial(_total, start=0.0 if _type == "float" else 0), _LISTS)  # fmt: skip
    declare_host(f"aten::all.{_type}({_type}[] self) -> bool", all, _LISTS)
    declare_host(f"aten::any.{_type}({_type}[] self) -> bool", any, _LISTS)
    for _name, _choose in (("min", min), ("max", max)):
        declare_host(f"prim::{_name}.self_{_type}({_type}[] self) -> {_type}", _extreme(_name, _choose), _LISTS,
                     may_fail=True)  # fmt: skip
        declare_host(f"prim::{_name}.{_type}_list({_type}[] l, {_type}[] r) -> {_type}[]",
                     _least if _name == "min" else _greatest, _LISTS)  # fmt: skip


def _is_equal(left: Any, right: Any) -> bool:
    """Whether two tensors hold one equal number each. Raises RuntimeError where they hold several."""
    found = np.equal(array_in(left), array_in(right))
    if found.size != 1:
        count = "no values" if found.size == 0 else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {count} is ambiguous")
    return bool(found)


def _are_equal(left: list[Any], right: list[Any]) -> bool:
    return len(left) == len(right) and all(map(_is_equal, left, right))


def _place_of(items: list[Any], tensor: Any) -> int | None:
    return next((place for place, item in enumerate(items) if _is_equal(item, tensor)), None)


def _index_of_tensor(items: list[Any], tensor: Any) -> int:
    place = _place_of(items, tensor)
    if place is None:
        raise RuntimeError(f"'{tensor}' is not in list")
    return place


def _remove_tensor(items: list[Any], tensor: Any) -> None:
    place = _place_of(items, tensor)
    if place is None:
        raise RuntimeError("list.remove(x): x not in list")
    del items[place]


for _schema, _function in (
    ("aten::eq.Tensor_list(Tensor[] a, Tensor[] b) -> bool", _are_equal),
    ("aten::ne.Tensor_list(Tensor[] a, Tensor[] b) -> bool", lambda a, b: not _are_equal(a, b)),
    ("aten::index.list_Tensor(Tensor[] self, Tensor el) -> int", _index_of_tensor),
    ("aten::count.Tensor(Tensor[] self, Tensor el) -> int", lambda a, el: sum(_is_equal(item, el) for item in a)),
    ("aten::remove.Tensor(Tensor[](a!) self, Tensor el) -> ()", _remove_tensor),
):
    declare_host(_schema, _function, "a list's tensors are compared by the interpreter", may_fail=True)

declare_host("prim::rangelist(int n) -> int[]", lambda count: list(range(count)), _LISTS)
declare_host("aten::sorted.any(t[](a) self) -> t[]", sorted, _LISTS, rule=_unordered)
declare_host("prim::SortedDescending.any(t[] self) -> t[]", partial(sorted, reverse=True), _LISTS, rule=_unordered)
declare_host("aten::sort.any(t[](a!) self, bool reverse=False) -> ()",
             lambda items, reverse: items.sort(reverse=reverse), _LISTS)  # fmt: skip
declare_host("aten::Size(int[] sizes) -> int[]", lambda sizes: sizes, _LISTS, rule=lambda sizes: sizes)
