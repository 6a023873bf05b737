"""Nodes that are plain functions of their inputs, and no operators of the registry: what `prim::` nodes do.

The interpreter asks once per node for the function, and calls it whenever the node runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from optc.eager import gradient
from optc.eager.device import require_cpu
from optc.eager.generator import Generator
from optc.eager.script_values import (
    Future,
    dtype_code,
    is_instance,
    number_to_tensor,
    print_text,
    to_list,
    unpack_list,
    unwrap_optional,
)
from optc.ir.dtypes import BOOL as BOOL_ELEMENT
from optc.ir.dtypes import INT64
from optc.ir.function import ClassType, ScriptObject
from optc.ir.graph import Node
from optc.ir.structure import cut_at, make_tuple
from optc.ir.types import BOOL, IntType, ListType, TupleType
from optc.messages import say


class RaisedByProgram(Exception):
    """`prim::RaiseException`: the program's own `raise` or `assert`."""

    def __init__(self, message: str, class_name: str | None) -> None:
        super().__init__(message)
        self.text = f"{class_name or 'RuntimeError'}: {message}"


def _elided(node: Node) -> Callable[..., Any]:
    def fail() -> None:
        raise RuntimeError(f"the text this graph was read from does not say what {node.attributes['value']} is")

    return fail


def _get_attribute(node: Node) -> Callable[..., Any]:
    name = str(node.attributes["name"])

    def get(owner: ScriptObject) -> Any:
        try:
            return owner.values[name]
        except KeyError:
            raise AttributeError(f"{owner.type.name} has no value for its attribute {name}") from None

    return get


def _container_index(container: ScriptObject, key: Any) -> Any:
    """A member of a ModuleList or ModuleDict, which are attributes named `0`, `1` ... or by their keys."""
    if isinstance(key, str):
        return container.values[key]
    members = [value for name, value in container.values.items() if name.isdigit()]
    if not -len(members) <= key < len(members):
        raise RuntimeError("list index out of range")
    return members[key]


def _set_attribute(node: Node) -> Callable[..., Any]:
    name = str(node.attributes["name"])

    def set_(owner: ScriptObject, value: Any) -> None:
        owner.values[name] = value

    return set_


def _create_object(node: Node) -> Callable[..., Any]:
    type_ = node.output.type
    assert isinstance(type_, ClassType)
    return lambda: ScriptObject(type_)


def _raise_exception(node: Node) -> Callable[..., Any]:
    def fail(message: Any, class_name: Any = None) -> None:
        raise RaisedByProgram(print_text((message,)), class_name)

    return fail


def _print(node: Node) -> Callable[..., Any]:
    def write(*values: Any) -> None:
        text = print_text(values) + "\n"
        say(lambda: _write(text))

    return write


def _write(text: str) -> None:
    sys.stdout.write(text)


def _construct_dict(node: Node) -> Callable[..., Any]:
    return lambda *items: dict(zip(items[::2], items[1::2]))


def _construct_tuple(node: Node) -> Callable[..., Any]:
    type_ = node.output.type
    if isinstance(type_, TupleType) and type_.fields:
        return lambda *items: make_tuple(items, type_)
    return lambda *items: items


def _list_of_tuples(node: Node) -> Callable[..., Any]:
    type_ = node.output.type
    assert isinstance(type_, ListType)
    return lambda *columns: [make_tuple(items, type_.element) for items in zip(*columns)]


def _tuple_index(items: tuple[Any, ...], place: int) -> Any:
    if not -len(items) <= place < len(items):
        raise IndexError("Tuple list index out of range")
    return items[place]


def _slice_tuple(node: Node) -> Callable[..., Any]:
    first, last = node.attributes["beg"], node.attributes["end"]
    return lambda items: items[first:last]


def _test_type(node: Node) -> Callable[..., Any]:
    types = tuple(node.attributes["types"])
    return lambda value: any(is_instance(value, type_) for type_ in types)


def _same(node: Node) -> Callable[..., Any]:
    return lambda value: value


def _set_grad_enabled(mode: bool) -> None:
    gradient.set_grad_enabled(mode)


def _constantly(value: Any) -> Callable[[Node], Callable[..., Any]]:
    return lambda node: lambda *arguments: value


def _plain(function: Callable[..., Any]) -> Callable[[Node], Callable[..., Any]]:
    return lambda node: function


def _spread(node: Node, function: Callable[[Any], Any]) -> Callable[..., Any]:
    """The items for several outputs; the only one for a single output, which is stored as it is."""
    return (lambda items: function(items)[0]) if len(node.outputs) == 1 else function


def _generator(device: str | None, seed: int | None) -> Generator:
    require_cpu(device)
    return Generator() if seed is None else Generator().manual_seed(seed)


MADE_OF_LISTS = ("aten::tensor", "aten::as_tensor")
"""Operators whose result has the element type that the program declares for the list, also when that is empty."""


def list_element_code(node: Node) -> int | None:
    """The code of the element type that a list of integers or bools gives a tensor; None for other lists."""
    type_ = node.inputs[0].type
    if not isinstance(type_, ListType):
        return None
    while isinstance(type_, ListType):
        type_ = type_.element
    return BOOL_ELEMENT.code if type_ is BOOL else INT64.code if isinstance(type_, IntType) else None


def with_dtype(arguments: Sequence[Any], code: int) -> list[Any]:
    """Arguments (data, dtype, ...) with the element type where none is asked for."""
    data, asked, *rest = arguments
    return [data, code if asked is None else asked, *rest]


PROCESS_STATE: dict[str, Callable[..., Any]] = {
    "aten::Generator": _generator,
    "aten::is_grad_enabled": gradient.is_grad_enabled,
    "aten::set_grad_enabled": _set_grad_enabled,
    "prim::requires_grad": lambda tensor: tensor.requires_grad,
}
"""Operators on the state of this process, and of tensors, which their declarations know nothing of."""

FUNCTIONS: dict[str, Callable[[Node], Callable[..., Any]]] = {
    "prim::Constant": _elided,
    "prim::GetAttr": _get_attribute,
    "prim::ModuleContainerIndex": _plain(_container_index),
    "prim::SetAttr": _set_attribute,
    "prim::CreateObject": _create_object,
    "prim::ListConstruct": _plain(lambda *items: list(items)),
    "prim::ListUnpack": lambda node: _spread(node, lambda items: unpack_list(items, len(node.outputs))),
    "prim::ListOfLists": _plain(cut_at),
    "prim::ListOfTuples": _list_of_tuples,
    "prim::ListAppend": _plain(lambda items, item: [*items, item]),
    "prim::TupleConstruct": _construct_tuple,
    "prim::TupleUnpack": lambda node: _spread(node, lambda items: items),
    "prim::TupleIndex": _plain(_tuple_index),
    "prim::TupleSlice": _slice_tuple,
    "prim::DictConstruct": _construct_dict,
    "prim::RaiseException": _raise_exception,
    "prim::Print": _print,
    "prim::isinstance": _test_type,
    "prim::unchecked_cast": _same,
    "prim::Uninitialized": _constantly(None),
    "prim::unchecked_unwrap_optional": _plain(unwrap_optional),
    "aten::_unwrap_optional": _plain(unwrap_optional),
    "aten::wait": _plain(Future.wait),
    "prim::NumToTensor": _plain(number_to_tensor),
    "prim::tolist": _plain(to_list),
    "prim::dtype": _plain(dtype_code),
    "prim::device": _constantly("cpu"),
    "prim::layout": _constantly(0),
    "prim::requires_grad": _plain(lambda tensor: bool(tensor._gradient)),
    "prim::grad": _constantly(None),
}
"""Nodes that are plain functions of their inputs, and no operators of the registry."""
