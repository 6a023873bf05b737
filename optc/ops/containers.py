"""TorchScript's operators on lists, strings and dictionaries, and on values of any type.

They work on the host: the interpreter runs them. What shape inference and the passes need is what they do to lists
whose length is known, so rules compute with abstract elements.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from optc.ir.dims import Symbolic, fresh
from optc.ir.stream_text import printed
from optc.ir.types import BOOL, FLOAT, STRING, IntType, OptionalType, TensorType, Type
from optc.messages import say
from optc.ops.abstract import UNKNOWN, Unknown, concrete_type, same_dim, unknown
from optc.ops.registry import Operator, define

_LISTS = "it works on lists"
_STRINGS = "it works on strings"
_DICTS = "it works on dictionaries"
_VALUES = "it works on values of any type"


def is_concrete(value: Any) -> bool:
    """True for a Python value without anything unknown in it."""
    if isinstance(value, list | tuple):
        return all(map(is_concrete, value))
    return not isinstance(value, TensorType | Symbolic | Unknown)


def unknown_of(type_: Type) -> Any:
    """The abstract value of a type of which nothing is known."""
    return fresh() if isinstance(type_, IntType) else unknown(type_)


def declare_host(
    schema: str,
    reference: Callable[..., Any],
    reason: str,
    *,
    rule: Callable[..., Any] | None = None,
    pure: bool = True,
    may_fail: bool = False,
) -> Operator:
    """Declare an operator that runs on the host.

    Without a rule the result is computed where all arguments are known, and unknown otherwise. A failure on known
    arguments happens when the program runs, not before.
    """
    made: list[Operator] = []

    def infer(*arguments: Any) -> Any:
        returns = made[0].schema.returns
        if pure and not made[0].mutates and all(map(is_concrete, arguments)):
            try:
                return reference(*arguments)
            except (RuntimeError, ValueError):
                pass
        if len(returns) == 1:
            return unknown_of(returns[0].type)
        return tuple(unknown_of(declared.type) for declared in returns)

    made.append(define(schema, infer=rule or infer, reference=reference, interpreted=reason, pure=pure,
                       may_fail=may_fail, accepts_untyped=True))  # fmt: skip
    return made[0]


# Lists ---------------------------------------------------------------------------------------------------------------


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
    """What all elements have in common."""
    if not items:
        return UNKNOWN
    first = items[0]
    if all(item == first for item in items) and isinstance(first, TensorType):
        return first
    if isinstance(first, TensorType):
        return TensorType()
    if isinstance(first, int | Symbolic) and not isinstance(first, bool):
        return fresh()
    return unknown({bool: BOOL, float: FLOAT, str: STRING}.get(type(first), UNKNOWN.type))


def _length_rule(items: Any) -> Any:
    return fresh() if isinstance(items, Unknown) else len(items)


def _slice_rule(items: Any, start: Any, end: Any, step: Any) -> Any:
    if isinstance(items, Unknown) or not all(is_concrete(bound) for bound in (start, end, step)):
        return items if isinstance(items, Unknown) else UNKNOWN
    return items[start:end:step]


def _joined_rule(left: Any, right: Any) -> Any:
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return left if isinstance(left, Unknown) else right
    return [*left, *right]


def _repeated_rule(items: Any, count: Any) -> Any:
    if isinstance(items, Unknown) or not isinstance(count, int):
        return items if isinstance(items, Unknown) else UNKNOWN
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
declare_host("aten::len.str(str s) -> int", lambda text: len(text.encode()), _STRINGS)
for _name, _list in (("__getitem__", "list"), ("select", "list")):
    declare_host(f"aten::{_name}.t(t[](a) {_list}, int idx) -> t(*)", _get, _LISTS, rule=_get_rule, may_fail=True)
declare_host("aten::slice.t(t[] l, int? start=None, int? end=None, int step=1) -> t[]",
             lambda items, start, end, step: items[start:end:step], _LISTS, rule=_slice_rule)  # fmt: skip
declare_host("aten::add.t(t[] a, t[] b) -> t[]", lambda left, right: [*left, *right], _LISTS, rule=_joined_rule)
declare_host("aten::mul.left_t(t[] l, int n) -> t[]", lambda items, count: items * count, _LISTS, rule=_repeated_rule)
declare_host("aten::mul.right_(int n, t[] l) -> t[]", lambda count, items: items * count, _LISTS,
             rule=lambda count, items: _repeated_rule(items, count))  # fmt: skip
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
                 lambda items, reverse: items.sort(reverse=reverse), _LISTS)  # fmt: skip
    declare_host(f"aten::sorted.{_type}({_type}[](a) input) -> {_type}[]", sorted, _LISTS)
    if _type != "bool":
        declare_host(f"aten::__contains__.{_type}_list({_type}[] l, {_type} item) -> bool",
                     lambda items, item: item in items, _LISTS, rule=_contains_rule)  # fmt: skip
    if _type == "str":
        declare_host("aten::any.str(str[] self) -> bool", any, _LISTS)
        continue
    declare_host(f"aten::sum.{_type}({_type}[] self) -> {'float' if _type == 'float' else 'int'}",
                 lambda items, start=0.0 if _type == "float" else 0: sum(items, start), _LISTS)  # fmt: skip
    declare_host(f"aten::all.{_type}({_type}[] self) -> bool", all, _LISTS)
    declare_host(f"aten::any.{_type}({_type}[] self) -> bool", any, _LISTS)
    for _name, _choose in (("min", min), ("max", max)):
        declare_host(f"prim::{_name}.self_{_type}({_type}[] self) -> {_type}", _extreme(_name, _choose), _LISTS,
                     may_fail=True)  # fmt: skip
        declare_host(f"prim::{_name}.{_type}_list({_type}[] l, {_type}[] r) -> {_type}[]",
                     _least if _name == "min" else _greatest, _LISTS)  # fmt: skip
declare_host("prim::rangelist(int n) -> int[]", lambda count: list(range(count)), _LISTS)
declare_host("aten::sorted.any(t[](a) self) -> t[]", sorted, _LISTS, rule=lambda items: _unordered(items))
declare_host("aten::sort.any(t[](a!) self, bool reverse=False) -> ()",
             lambda items, reverse: items.sort(reverse=reverse), _LISTS)  # fmt: skip


def _unordered(items: Any) -> Any:
    return items if isinstance(items, Unknown) else UNKNOWN


# Strings -------------------------------------------------------------------------------------------------------------


def _character(text: str, index: int) -> str:
    if not -len(text) <= index < len(text):
        raise RuntimeError(f"basic_string::at: __n (which is {index % 2**64}) >= this->size() (which is {len(text)})")
    return text[index]


def _end(text: str, end: int) -> int | None:
    """TorchScript's default end of -1 stands for the end of the string."""
    return None if end == -1 else end


def _find(text: str, part: str, start: int, end: int) -> int:
    return text.find(part, start, _end(text, end))


def _find_or_raise(text: str, part: str, start: int, end: int) -> int:
    place = _find(text, part, start, end)
    if place < 0:
        raise RuntimeError("ValueError: substring not found")
    return place


def _find_last(text: str, part: str, start: int, end: int) -> int:
    return text.rfind(part, start, _end(text, end))


def _find_last_or_raise(text: str, part: str, start: int, end: int) -> int:
    place = _find_last(text, part, start, end)
    if place < 0:
        raise RuntimeError("ValueError: substring not found")
    return place


def _single_character(width: int, fill: str) -> str:
    if len(fill) != 1:
        raise RuntimeError("TypeError: The fill character must be exactly one character long")
    return fill


def format_text(template: str, *values: Any) -> str:
    """`template.format(*values)` as TorchScript has it: only `{}` means something, everything else is itself."""
    parts = template.split("{}")
    if len(parts) - 1 > len(values):
        raise RuntimeError(f"Too few arguments for format string: {template}")
    filled = [part + printed(_array(value)) for part, value in zip(parts, values)]
    return "".join(filled[: len(parts) - 1]) + parts[-1]


def _array(value: Any) -> Any:
    """The array inside a run-time tensor, also inside lists and tuples."""
    if isinstance(value, list | tuple):
        return type(value)(map(_array, value))
    return getattr(value, "_array", value)


def _percent_format(template: str, *values: Any) -> str:
    """`template % values` with the conversions %s %d %i %f and %%. Raises RuntimeError as torch does."""
    given = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
    pieces: list[str] = []
    place = used = 0
    while (mark := template.find("%", place)) >= 0:
        pieces.append(template[place:mark])
        if mark + 1 >= len(template):
            raise RuntimeError("Incomplete format specifier")
        kind = template[mark + 1]
        place = mark + 2
        if kind == "%":
            pieces.append("%")
            continue
        if used >= len(given):
            raise RuntimeError("Too few arguments for format string")
        pieces.append(_percent_piece(kind, given[used]))
        used += 1
    if used < len(given):
        raise RuntimeError("Too many arguments for format string")
    return "".join(pieces) + template[place:]


def _percent_piece(kind: str, value: Any) -> str:
    if kind in ("d", "i"):
        if isinstance(value, str | bool) or not isinstance(value, int | float):
            raise RuntimeError(f"%{kind} requires a number for formatting, but got {type(value).__name__}")
        return str(int(value))
    if kind == "f":
        if not isinstance(value, int | float):
            raise RuntimeError(f"%{kind} requires a number for formatting, but got {type(value).__name__}")
        return f"{value:f}"
    if kind != "s":
        raise RuntimeError(f"The specifier %{kind} is not supported in TorchScript format strings")
    return printed(_array(value))


def _parse_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RuntimeError("stoll") from None


def _parse_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RuntimeError("stod") from None


def _ordinal(text: str) -> int:
    if len(text) != 1:
        raise RuntimeError(f"String for ord() must be 1 character, found {len(text)}")
    return ord(text)


def _split(text: str, separator: str | None, maximum: int) -> list[str]:
    if separator == "":
        raise RuntimeError("ValueError: empty separator")
    return text.split(separator, maximum)


_SPACE = '" \\n\\t\\f\\v"'
_TEXT_OPERATORS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("aten::add.str(str a, str b) -> str", lambda a, b: a + b),
    ("aten::eq.str(str a, str b) -> bool", lambda a, b: a == b),
    ("aten::ne.str(str a, str b) -> bool", lambda a, b: a != b),
    ("aten::lt.str(str a, str b) -> bool", lambda a, b: a < b),
    ("aten::le.str(str a, str b) -> bool", lambda a, b: a <= b),
    ("aten::gt.str(str a, str b) -> bool", lambda a, b: a > b),
    ("aten::ge.str(str a, str b) -> bool", lambda a, b: a >= b),
    ("aten::slice.str(str string, int? start=None, int? end=None, int step=1) -> str", lambda s, a, b, c: s[a:b:c]),
    ("aten::list(str t) -> str[]", list),
    ("aten::Int.str(str a) -> int", _parse_int),
    ("aten::Float.str(str a) -> float", _parse_float),
    ("aten::ord(str string) -> int", _ordinal),
    ("aten::chr(int i) -> str", chr),
    ("aten::bin(int i) -> str", bin),
    ("aten::hex(int i) -> str", hex),
    ("aten::oct(int i) -> str", oct),
    ("aten::upper(str self) -> str", str.upper),
    ("aten::lower(str self) -> str", str.lower),
    ("aten::capitalize(str self) -> str", str.capitalize),
    ("aten::title(str self) -> str", str.title),
    ("aten::swapcase(str self) -> str", str.swapcase),
    ("aten::isalnum(str self) -> bool", str.isalnum),
    ("aten::isalpha(str self) -> bool", str.isalpha),
    ("aten::isdecimal(str self) -> bool", str.isdecimal),
    ("aten::isdigit(str self) -> bool", str.isdigit),
    ("aten::isidentifier(str self) -> bool", str.isidentifier),
    ("aten::islower(str self) -> bool", str.islower),
    ("aten::isnumeric(str self) -> bool", str.isnumeric),
    ("aten::isprintable(str self) -> bool", str.isprintable),
    ("aten::isspace(str self) -> bool", str.isspace),
    ("aten::istitle(str self) -> bool", str.istitle),
    ("aten::isupper(str self) -> bool", str.isupper),
    ("aten::join(str self, str[] values) -> str", str.join),
    ("aten::replace(str self, str old, str new, int max=-1) -> str", str.replace),
    ("aten::split.str(str self, str? separator=None, int max=-1) -> str[]", _split),
    ('aten::rsplit(str self, str separator=" ", int max=-1) -> str[]', str.rsplit),
    ("aten::splitlines(str self, bool keepends=False) -> str[]", str.splitlines),
    ("aten::partition(str self, str separator) -> (str, str, str)", str.partition),
    ("aten::rpartition(str self, str separator) -> (str, str, str)", str.rpartition),
    (f"aten::strip(str self, str chars={_SPACE}) -> str", str.strip),
    (f"aten::lstrip(str self, str chars={_SPACE}) -> str", str.lstrip),
    (f"aten::rstrip(str self, str chars={_SPACE}) -> str", str.rstrip),
    ("aten::startswith(str self, str substr, int start=0, int end=-1) -> bool",
     lambda s, part, start, end: s.startswith(part, start, _end(s, end))),
    ("aten::endswith(str self, str substr, int start=0, int end=-1) -> bool",
     lambda s, part, start, end: s.endswith(part, start, _end(s, end))),
    ("aten::find(str self, str substr, int start=0, int end=-1) -> int", _find),
    ("aten::rfind(str self, str substr, int start=0, int end=-1) -> int", _find_last),
    ("aten::index.str(str self, str substr, int start=0, int end=-1) -> int", _find_or_raise),
    ("aten::rindex(str self, str substr, int start=0, int end=-1) -> int", _find_last_or_raise),
    ("aten::count(str self, str substr, int start=0, int end=-1) -> int",
     lambda s, part, start, end: s.count(part, start, _end(s, end))),
    ("aten::zfill(str self, int width) -> str", str.zfill),
    ("aten::expandtabs(str self, int tabsize=8) -> str", str.expandtabs),
    ('aten::center(str self, int width, str fillchar=" ") -> str',
     lambda s, width, fill: s.center(width, _single_character(width, fill))),
    ('aten::ljust(str self, int width, str fillchar=" ") -> str',
     lambda s, width, fill: s.ljust(width, _single_character(width, fill))),
    ('aten::rjust(str self, int width, str fillchar=" ") -> str',
     lambda s, width, fill: s.rjust(width, _single_character(width, fill))),
)  # fmt: skip
for _schema, _text in _TEXT_OPERATORS:
    declare_host(_schema, _text, _STRINGS)
declare_host("aten::__getitem__.str(str s, int index) -> str", _character, _STRINGS, may_fail=True)
declare_host("prim::StringIndex(str string, int index) -> str", _character, _STRINGS, may_fail=True)
declare_host("aten::format(str self, ...) -> str", format_text, _STRINGS)
declare_host("aten::percentFormat(str self, ...) -> str", _percent_format, _STRINGS, may_fail=True)
declare_host("aten::str(t elem) -> str", lambda value: printed(_array(value)), _VALUES)


# Dictionaries --------------------------------------------------------------------------------------------------------


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
for _key in ("str", "int", "bool", "float"):
    for _schema, _use in _DICT_OPERATORS:
        declare_host(f"aten::{_schema.replace('{k}', _key)}", _use, _DICTS, may_fail=_schema.startswith(_MAY_FAIL))
declare_host("aten::dict() -> Dict(str, Tensor)", dict, _DICTS)
for _key in ("complex", "Tensor"):
    declare_host(f"aten::len.Dict_{_key}(Dict({_key}, t) self) -> int", len, _DICTS)


# Values of any type --------------------------------------------------------------------------------------------------


def _is(left: Any, right: Any) -> bool:
    return left is right if left is None or right is None else left is right or (
        isinstance(left, bool | int | float | str) and type(left) is type(right) and left == right
    )  # fmt: skip


def _identity_rule(negated: bool) -> Callable[..., Any]:
    def infer(left: Any, right: Any) -> Any:
        if left is None and right is None:
            return not negated
        certain = (left is None and _is_something(right)) or (right is None and _is_something(left))
        return negated if certain else unknown(BOOL)

    return infer


def _is_something(value: Any) -> bool:
    """True for what is certainly not None."""
    return value is not None and not isinstance(value, Unknown)


for _name, _negated in (("__is__", False), ("__isnot__", True)):
    declare_host(f"aten::{_name}(t1 self, t2 obj) -> bool",
                 lambda left, right, negated=_negated: _is(left, right) is not negated, _VALUES,
                 rule=_identity_rule(_negated))  # fmt: skip


def _unwrap(value: Any) -> Any:
    if value is None:
        raise RuntimeError("Unwrapping null optional")
    return value


def _unwrap_rule(value: Any) -> Any:
    if isinstance(value, Unknown) and isinstance(value.type, OptionalType):
        return value.type.element if isinstance(value.type.element, TensorType) else unknown_of(value.type.element)
    return value


def _hash(value: Any) -> int:
    return hash(_array(value) if not hasattr(_array(value), "tobytes") else _array(value).tobytes())


def _warn(message: str, stacklevel: int) -> None:
    say(lambda: warnings.warn(message, UserWarning, stacklevel=4))


def _optional_rule(is_there: Any, value: Any) -> Any:
    if isinstance(is_there, bool):
        return value if is_there else None
    return Unknown(OptionalType(concrete_type(value)))


declare_host("prim::OptionalConstruct(bool is_there, t value) -> t?", lambda is_there, value: value if is_there else None,
             "only running tells whether there is a value", rule=_optional_rule)  # fmt: skip
declare_host("aten::_unwrap_optional(t(a)? optional) -> t(a)", _unwrap, _VALUES, rule=_unwrap_rule, may_fail=True)
declare_host("prim::unchecked_unwrap_optional(t(a)? optional) -> t(a)", _unwrap, _VALUES, rule=_unwrap_rule,
             may_fail=True)  # fmt: skip
declare_host("aten::wait(Future(t) self) -> t", lambda future: future.wait(), _VALUES, pure=False, may_fail=True)
declare_host("aten::hash.generic(t value) -> int", _hash, _VALUES)
declare_host("aten::eq.device(Device a, Device b) -> bool", lambda a, b: a == b, _VALUES)
declare_host("aten::ne.device(Device a, Device b) -> bool", lambda a, b: a != b, _VALUES)
declare_host("aten::eq.enum(AnyEnumType a, AnyEnumType b) -> bool", lambda a, b: a == b, _VALUES)
declare_host("aten::ne.enum(AnyEnumType a, AnyEnumType b) -> bool", lambda a, b: a != b, _VALUES)
declare_host("aten::device(str a) -> Device", lambda name: name, _VALUES)
declare_host("aten::device.with_index(str type, int index) -> Device", lambda kind, index: f"{kind}:{index}", _VALUES)
declare_host("prim::type(Device self) -> str", lambda device: str(device).partition(":")[0], _VALUES)
declare_host("prim::index(Device self) -> int?", lambda device: int(str(device).partition(":")[2])
             if ":" in str(device) else None, _VALUES)  # fmt: skip
MESSAGE = "it talks to the user"
"""The reason of operators that compute nothing: they run in the interpreter, and no code could do better."""
declare_host("aten::warn(str message, int stacklevel=2) -> ()", _warn, MESSAGE, pure=False)
declare_host("aten::is_scripting() -> bool", lambda: True, _VALUES)
for _mode in ("is_grad_enabled", "is_autocast_enabled", "is_autocast_cpu_enabled"):
    declare_host(f"aten::{_mode}() -> bool", lambda: False, _VALUES, rule=lambda: False)
declare_host("aten::set_grad_enabled(bool val) -> ()", lambda mode: None, _VALUES, pure=False)
declare_host("aten::_get_tracing_state() -> bool", lambda: False, _VALUES)
declare_host("aten::has_torch_function(...) -> bool", lambda *values: False, _VALUES)
declare_host("aten::Size(int[] sizes) -> int[]", lambda sizes: sizes, _LISTS, rule=lambda sizes: sizes)
