"""The pass `lower-containers`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import replace_value
from optc.ir.types import BOOL, FLOAT, NONE, TENSOR, IntType, ListType, TensorType, TupleType, Type
from optc.ops.builder import Builder, constant_type
from optc.ops.tensors_of_numbers import is_settled_list
from optc.pipeline import graph_pass
from optc.rewrite import same_value


@graph_pass(
    "lower-containers",
    functional=True,
    after={"functionalize": "a list is what it was built from only if nobody changes it"},
)
def lower_containers(graph: Graph) -> bool:
    """See through lists and dictionaries that are built, changed and taken apart in the graph."""
    changed = False
    while _simplify(graph):
        changed = True
    return changed


def _simplify(graph: Graph) -> bool:
    changed = False
    for node in graph.walk():
        simplify = SIMPLIFIERS.get(node.kind)
        if simplify is None or node.owner is None:
            continue
        if node.kind in _READ_ITEMS:
            _spell_out(graph, node)
        changed |= simplify(graph, node)
    return changed


def _spell_out(graph: Graph, node: Node) -> None:
    """Constant lists that a node takes apart are built from their items."""
    for slot, value in enumerate(node.inputs):
        if not (value.is_constant and isinstance(value.constant, list) and isinstance(value.type, ListType)):
            continue
        with graph.replacing(value.node, before=node):
            items = [graph.insert_constant(item, constant_type(item)) for item in value.constant]
            node.set_input(slot, graph.insert("prim::ListConstruct", items, (value.type,)).output)


def _replace(node: Node, value: Value) -> bool:
    replace_value(node.graph, node.output, value)
    node.destroy()
    return True


def _get_item(graph: Graph, node: Node) -> bool:
    """[a, b, c][1] = b, and {"k": a}["k"] = a."""
    source, index = node.inputs
    if not index.is_constant:
        return False
    if source.node.kind == "prim::ListConstruct":
        items = source.node.inputs
        inside = isinstance(index.constant, int) and -len(items) <= index.constant < len(items)
        return inside and _replace(node, items[index.constant])
    if source.node.kind == "prim::DictConstruct":
        return _get_key(node, source.node, index)
    return False


def _get_key(node: Node, made: Node, key: Value) -> bool:
    found = _entry(made, key)
    return found is not None and _replace(node, found[1])


def entries_of(made: Node) -> list[tuple[Value, Value]] | None:
    """The keys and values of a dictionary that is put together with constant keys, all different; else None."""
    if made.kind != "prim::DictConstruct":
        return None
    keys, values = made.inputs[::2], made.inputs[1::2]
    if not all(key.is_constant for key in keys) or len({(type(key.constant), key.constant) for key in keys}) < len(
        keys
    ):
        return None
    return list(zip(keys, values))


def _entry(made: Node, key: Value) -> tuple[int, Value] | None:
    """The place and the value of a key in a dictionary; None where it is not known, or not there."""
    entries = entries_of(made)
    if entries is None or not key.is_constant:
        return None
    return next(((place, value) for place, (known, value) in enumerate(entries) if same_value(known, key)), None)


def _new_dictionary(graph: Graph, node: Node, entries: list[tuple[Value, Value]]) -> bool:
    with graph.replacing(node):
        pairs = [value for entry in entries for value in entry]
        made = graph.insert("prim::DictConstruct", pairs, (node.output.type,)).output
    return _replace(node, made)


def _set_key(graph: Graph, node: Node) -> bool:
    """{"k": a} with "l" set to b = {"k": a, "l": b}."""
    made, key, value = node.inputs[0].node, node.inputs[1], node.inputs[2]
    entries = entries_of(made)
    if entries is None or not key.is_constant:
        return False
    found = _entry(made, key)
    if found is None:
        return _new_dictionary(graph, node, [*entries, (key, value)])
    place, _ = found
    return _new_dictionary(graph, node, [*entries[:place], (entries[place][0], value), *entries[place + 1 :]])


def _drop_key(graph: Graph, node: Node) -> bool:
    """{"k": a, "l": b} without "k" = {"l": b}."""
    made, key = node.inputs[0].node, node.inputs[1]
    entries, found = entries_of(made), _entry(made, key)
    if entries is None or found is None:
        return False
    return _new_dictionary(graph, node, [*entries[: found[0]], *entries[found[0] + 1 :]])


def _update(graph: Graph, node: Node) -> bool:
    """{"k": a} with {"k": b, "l": c} = {"k": b, "l": c}."""
    mine, others = (entries_of(value.node) for value in node.inputs)
    if mine is None or others is None:
        return False
    merged = {(type(key.constant), key.constant): (key, value) for key, value in mine}
    for key, value in others:
        name = (type(key.constant), key.constant)
        merged[name] = (merged[name][0] if name in merged else key, value)
    return _new_dictionary(graph, node, list(merged.values()))


def _has_key(graph: Graph, node: Node) -> bool:
    """Whether "k" is in {"k": a} is known."""
    made, key = node.inputs[0].node, node.inputs[1]
    if entries_of(made) is None or not key.is_constant:
        return False
    with graph.inserting(node):
        return _replace(node, graph.insert_constant(_entry(made, key) is not None, node.output.type))


def _get_or_default(graph: Graph, node: Node) -> bool:
    """{"k": a}.get("l", b) = b."""
    made, key = node.inputs[0].node, node.inputs[1]
    if entries_of(made) is None or not key.is_constant:
        return False
    found = _entry(made, key)
    if found is not None:
        return _replace(node, found[1])
    if len(node.inputs) == 3:
        return _replace(node, node.inputs[2])
    with graph.inserting(node):
        return _replace(node, graph.insert_constant(None, NONE))


def _dictionary_parts(graph: Graph, node: Node) -> bool:
    """keys({"k": a}) = ["k"], values({"k": a}) = [a], items({"k": a}) = [("k", a)]."""
    entries = entries_of(node.inputs[0].node)
    if entries is None:
        return False
    if node.kind != "aten::items":
        return _new_list(graph, node, [entry[node.kind == "aten::values"] for entry in entries])
    with graph.replacing(node):
        kinds = [TupleType((key.type, value.type)) for key, value in entries]
        items = [graph.insert("prim::TupleConstruct", entry, (kind,)).output for entry, kind in zip(entries, kinds)]
    return _new_list(graph, node, items)


def _dictionary_call(graph: Graph, node: Node) -> bool:
    """dict() = {}, dict([("k", a)]) = {"k": a}, and dict({"k": a}) = {"k": a}, as nobody changes either."""
    if node.inputs and node.inputs[0].node.kind == "prim::ListConstruct":
        return _dictionary_of_pairs(graph, node, [value.node for value in node.inputs[0].node.inputs])
    if node.inputs:
        return node.inputs[0].type == node.output.type and _replace(node, node.inputs[0])
    with graph.inserting(node):
        return _replace(node, graph.insert("prim::DictConstruct", (), (node.output.type,)).output)


def _dictionary_of_pairs(graph: Graph, node: Node, pairs: list[Node]) -> bool:
    if not all(pair.kind == "prim::TupleConstruct" and len(pair.inputs) == 2 for pair in pairs):
        return False
    keys = [pair.inputs[0] for pair in pairs]
    if not all(key.is_constant for key in keys):
        return False
    entries = {(type(key.constant), key.constant): (key, pair.inputs[1]) for key, pair in zip(keys, pairs)}
    return _new_dictionary(graph, node, list(entries.values()))


def _length(graph: Graph, node: Node) -> bool:
    """len([a, b, c]) = 3, len({"k": a}) = 1."""
    made = node.inputs[0].node
    items = made.inputs if made.kind == "prim::ListConstruct" else entries_of(made)
    if items is None:
        return False
    with graph.inserting(node):
        return _replace(node, graph.insert_constant(len(items), IntType(len(items))))


def _unpack_list(graph: Graph, node: Node) -> bool:
    """a, b = [x, y]."""
    made = node.inputs[0].node
    if made.kind == "aten::unbind":
        return _unpack_rows(graph, node, *made.inputs)
    if made.kind != "prim::ListConstruct" or len(made.inputs) != len(node.outputs):
        return False
    return _unpacked(graph, node, made.inputs)


def _unpacked(graph: Graph, node: Node, items: Sequence[Value]) -> bool:
    for output, value in zip(node.outputs, items):
        replace_value(graph, output, value)
    node.destroy()
    return True


def _unpack_rows(graph: Graph, node: Node, x: Value, along: Value) -> bool:
    """a, b = x.unbind(0) is x[0] and x[1], and fails where x does not turn out to have two rows."""
    shape = x.type.shape if isinstance(x.type, TensorType) else None
    axis = along.constant if along.is_constant else None
    if shape is None or axis is None or not -len(shape) <= axis < len(shape) or isinstance(shape[axis], int):
        return False
    count = len(node.outputs)
    with graph.replacing(node):
        b = Builder(graph)
        is_right = b("aten::eq.int", b("aten::size.int", x, axis), count)
        b.require(is_right, f"Expected {count} elements in a list but found another number")
        rows = [b("aten::select.int", x, axis, place) for place in range(count)]
    return _unpacked(graph, node, rows)


def _append(graph: Graph, node: Node) -> bool:
    """[a, b] with c appended = [a, b, c]."""
    made = node.inputs[0].node
    if made.kind != "prim::ListConstruct":
        return False
    return _new_list(graph, node, [*made.inputs, node.inputs[1]])


def _set_list_item(graph: Graph, node: Node) -> bool:
    """[a, b] with item 1 replaced by c = [a, c]."""
    made, index, item = node.inputs[0].node, node.inputs[1], node.inputs[2]
    if made.kind != "prim::ListConstruct" or not index.is_constant:
        return False
    if not -len(made.inputs) <= index.constant < len(made.inputs):
        return False
    items = list(made.inputs)
    items[index.constant] = item
    return _new_list(graph, node, items)


def _insert_list_item(graph: Graph, node: Node) -> bool:
    """[a, b] with c inserted at 0 = [c, a, b]."""
    made, index, item = node.inputs[0].node, node.inputs[1], node.inputs[2]
    if made.kind != "prim::ListConstruct" or not index.is_constant:
        return False
    items = list(made.inputs)
    items.insert(index.constant, item)
    return _new_list(graph, node, items)


def _drop_list_item(graph: Graph, node: Node) -> bool:
    """[a, b] without item 0 = [b]."""
    made, index = node.inputs[0].node, node.inputs[1]
    if made.kind != "prim::ListConstruct" or not index.is_constant:
        return False
    if not -len(made.inputs) <= index.constant < len(made.inputs):
        return False
    items = list(made.inputs)
    del items[index.constant]
    return _new_list(graph, node, items)


def _new_list(graph: Graph, node: Node, items: list[Value]) -> bool:
    with graph.replacing(node):
        made = graph.insert("prim::ListConstruct", items, (node.output.type,)).output
    return _replace(node, made)


def _slice(graph: Graph, node: Node) -> bool:
    """[a, b, c][1:] = [b, c]."""
    if node.overload != "t" or node.inputs[0].node.kind != "prim::ListConstruct":
        return False
    bounds = node.inputs[1:]
    if not all(value.is_constant for value in bounds) or bounds[2].constant == 0:
        return False
    return _new_list(graph, node, list(node.inputs[0].node.inputs[slice(*(value.constant for value in bounds))]))


def _copy(graph: Graph, node: Node) -> bool:
    """list([a]) = [a], as nobody changes either."""
    source = node.inputs[0]
    return len(node.inputs) == 1 and source.type == node.output.type and _replace(node, source)


def _repeat(graph: Graph, node: Node) -> bool:
    """[a] * 2 = [a, a]."""
    if node.overload not in ("left_t", "right_"):
        return False
    items, count = node.inputs if node.overload == "left_t" else reversed(node.inputs)
    if items.node.kind != "prim::ListConstruct" or not count.is_constant:
        return False
    if len(items.node.inputs) * count.constant > LONGEST:
        return False
    return _new_list(graph, node, list(items.node.inputs) * count.constant)


def _add(graph: Graph, node: Node) -> bool:
    """[a] + [b] = [a, b]."""
    makers = [value.node for value in node.inputs[:2]]
    if len(node.inputs) != 2 or any(made.kind != "prim::ListConstruct" for made in makers):
        return False
    return _new_list(graph, node, [*makers[0].inputs, *makers[1].inputs])


def _fold(graph: Graph, node: Node) -> bool:
    """min([a, b, c]) = min(min(a, b), c) for ints; so are max, sum, and any and all of truth values."""
    operation = _FOLDED.get(f"{node.kind}.{node.overload}")
    made = node.inputs[0].node
    if operation is None or made.kind != "prim::ListConstruct" or not made.inputs:
        return False
    result, *rest = made.inputs
    with graph.replacing(node):
        kind, _, overload = operation.partition(".")
        type_ = IntType() if isinstance(node.output.type, IntType) else node.output.type
        for value in rest:
            result = graph.insert(kind, (result, value), (type_,), overload=overload).output
    return _replace(node, result)


_FOLDED = {
    "prim::min.self_int": "prim::min.int",
    "prim::max.self_int": "prim::max.int",
    "aten::sum.int": "aten::add.int",
    "aten::any.bool": "aten::__or__.bool",
    "aten::all.bool": "aten::__and__.bool",
}


def _compare(graph: Graph, node: Node) -> bool:
    """[a, b] == [c, d] = (a == c) and (b == d); lists of different lengths are not equal."""
    left, right = (value.node for value in node.inputs)
    item = _COMPARED.get(node.overload or "")
    if item is None or not left.kind == right.kind == "prim::ListConstruct":
        return False
    negated = node.kind == "aten::ne"
    both = "aten::__or__" if negated else "aten::__and__"
    with graph.replacing(node):
        if len(left.inputs) != len(right.inputs) or not left.inputs:
            result = graph.insert_constant((len(left.inputs) != len(right.inputs)) == negated, BOOL)
            return _replace(node, result)
        pairs = zip(left.inputs, right.inputs)
        result, *rest = [graph.insert(node.kind, pair, (BOOL,), overload=item).output for pair in pairs]
        for other in rest:
            result = graph.insert(both, (result, other), (BOOL,), overload="bool").output
    return _replace(node, result)


_COMPARED = {"int_list": "int", "float_list": "float", "bool_list": "bool"}
"""Comparisons of lists, and of their items."""


def _concatenate(graph: Graph, node: Node) -> bool:
    """cat([x], dim) = x."""
    made = node.inputs[0].node
    if made.kind != "prim::ListConstruct" or len(made.inputs) != 1 or made.inputs[0].type != node.output.type:
        return False
    type_ = node.output.type
    return isinstance(type_, TensorType) and type_.is_typed and _replace(node, made.inputs[0])


def _tensor_of_lists(graph: Graph, node: Node) -> bool:
    """tensor([a, b]) = stack([tensor(a), tensor(b)]), where a list is among a and b whose items are not all known."""
    made, *options = node.inputs
    if made.node.kind != "prim::ListConstruct" or not any(map(_is_open_list, made.node.inputs)):
        return False
    with graph.replacing(node):
        rows = [
            graph.insert(node.kind, [row, *options], (TENSOR,), overload=node.overload).output
            for row in made.node.inputs
        ]
        listed = graph.insert("prim::ListConstruct", rows, (ListType(TENSOR),)).output
        zero = graph.insert_constant(0, IntType(0))
        return _replace(node, graph.insert("aten::stack", [listed, zero], (node.output.type,)).output)


def _is_open_list(value: Value) -> bool:
    """True for a list whose items, or the items of lists in it, only running tells."""
    if not isinstance(value.type, ListType) or value.is_constant:
        return False
    return value.node.kind != "prim::ListConstruct" or any(map(_is_open_list, value.node.inputs))


def _tensor_to_list(graph: Graph, node: Node) -> bool:
    """tensor.tolist() = [int(tensor[0]), int(tensor[1])], where the extents are known."""
    x, _, element = node.inputs
    type_ = x.type
    if not is_settled_list(node) or not isinstance(type_, TensorType):
        return False
    extents = [dim for dim in type_.shape or () if isinstance(dim, int)]
    if len(extents) != type_.rank or math.prod(extents) > LONGEST:
        return False
    with graph.replacing(node):
        return _replace(node, _items_of(graph, x, extents, node.output.type, *_NUMBERS[element.constant]))


_NUMBERS: dict[int, tuple[str, Type]] = {
    0: ("aten::Int", IntType()),
    1: ("aten::Float", FLOAT),
    2: ("aten::Bool", BOOL),
}
"""By the code that `prim::tolist` has for elements: how one becomes a number of which type."""


def _items_of(graph: Graph, x: Value, extents: list[int], type_: Type, conversion: str, number: Type) -> Value:
    """The elements of a tensor in lists in lists, one level for each of its extents."""
    if not extents:
        return graph.insert(conversion, [x], (number,), overload="Tensor").output
    assert isinstance(type_, ListType)
    zero, items = graph.insert_constant(0, IntType(0)), []
    for index in range(extents[0]):
        place = graph.insert_constant(index, IntType(index))
        row = graph.insert("aten::select", [x, zero, place], (TENSOR,), overload="int").output
        items.append(_items_of(graph, row, extents[1:], type_.element, conversion, number))
    return graph.insert("prim::ListConstruct", items, (type_,)).output


SIMPLIFIERS: dict[str, Callable[[Graph, Node], bool]] = {
    "aten::__getitem__": _get_item,
    "aten::len": _length,
    "aten::add": _add,
    "aten::slice": _slice,
    "aten::list": _copy,
    "aten::copy": _copy,
    "aten::mul": _repeat,
    "aten::cat": _concatenate,
    "prim::min": _fold,
    "prim::max": _fold,
    "aten::sum": _fold,
    "aten::any": _fold,
    "aten::all": _fold,
    "aten::eq": _compare,
    "aten::ne": _compare,
    "aten::__contains__": _has_key,
    "aten::dict": _dictionary_call,
    "aten::keys": _dictionary_parts,
    "aten::values": _dictionary_parts,
    "aten::items": _dictionary_parts,
    "aten::get": _get_or_default,
    "prim::DictSet": _set_key,
    "prim::DictUpdate": _update,
    "prim::DictWithout": _drop_key,
    "prim::ListUnpack": _unpack_list,
    "prim::tolist": _tensor_to_list,
    "aten::tensor": _tensor_of_lists,
    "aten::as_tensor": _tensor_of_lists,
    "prim::ListAppend": _append,
    "prim::ListSet": _set_list_item,
    "prim::ListInsert": _insert_list_item,
    "prim::ListWithout": _drop_list_item,
}

_READ_ITEMS = frozenset(
    ("aten::__getitem__", "aten::add", "aten::slice", "aten::mul", "aten::eq", "aten::ne", "prim::ListUnpack",
     "prim::ListAppend", "prim::ListSet", "prim::ListInsert", "prim::ListWithout")
)  # fmt: skip
"""Kinds that see single items of the lists they read."""

LONGEST = 4096
"""Longer lists are not written out."""
