"""Checks the structure of a graph: everything that can be checked without knowing what operators mean.

Links
1.  The nodes of a block are a list from its Param to its Return node: `next` and `previous` agree, `owner` is the
    block, and no node stands in two places.
2.  `value.node.outputs[value.offset]` is the value; the parameters of a block are the outputs of its Param node.
3.  A node that reads a value is among the value's uses with the right slot, and every use is such a reading.
4.  A value is read only after its definition: later in the same block, or in a block nested below a later node.

Blocks
5.  Only `prim::If` and `prim::Loop` own blocks.
6.  `prim::If` reads one bool and owns two blocks without parameters; each returns as many values as the node has
    outputs, of types that the outputs' types include.
7.  `prim::Loop` reads an int (how often at most), a bool (whether to start) and the carried values. Its block takes an
    int (the count so far) and the carried values and returns a bool (whether to go on) and the carried values; the
    node's outputs are the carried values. A parameter's type includes the types of the value that comes in first and
    of the value that comes back; so does the output's type.

Nodes without an operator
8.  `prim::Constant` reads nothing and has one output, whose type its value has: None is a NoneType (or the absent
    value of an Optional), a tensor's element type and shape are those of the type.
9.  Containers: the elements of `prim::ListConstruct`, `DictConstruct` and `TupleConstruct` have the types that the
    output's type says, `TupleUnpack`, `TupleIndex` and `TupleSlice` give the types of the tuple's elements,
    `ListUnpack` and `ListAppend` that of the list's.
10. `prim::GetAttr` and `prim::SetAttr` name an attribute of the object's class (which may be a class of which nothing
    is known) and have its type; `prim::CallMethod` names a method.

What operators demand, and the stricter forms, are checked by `optc.ops.verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.errors import VerifyError
from optc.ir import dtypes, types
from optc.ir.dims import Dim
from optc.ir.function import ClassType
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.literals import Elided
from optc.ir.text import excerpt
from optc.ir.types import DictType, IntType, ListType, OptionalType, TensorType, TupleType, Type, UnionType, is_subtype


def fail(node: Node, problem: str) -> VerifyError:
    """The error to raise for a node: what is wrong, and the graph around it."""
    return VerifyError(f"{problem}\n{excerpt(node)}", node.source if node.source and node.source.text else None)


def require(condition: bool, node: Node, problem: str) -> None:
    """Raise VerifyError about `node` unless the condition holds."""
    if not condition:
        raise fail(node, problem)


def includes(wide: Type, narrow: Type) -> bool:
    """True when a value of type `narrow` may be called a `wide`.

    Symbolic dimensions are not compared: two branches may give tensors whose extents have different names.
    """
    if isinstance(wide, TensorType) and isinstance(narrow, TensorType):
        if wide.dtype is not None and wide.dtype is not narrow.dtype:
            return False
        if wide.shape is None:
            return True
        if narrow.shape is None or len(wide.shape) != len(narrow.shape):
            return False
        return all(map(_may_be, wide.shape, narrow.shape))
    if isinstance(wide, ListType) and isinstance(narrow, ListType):
        return includes(wide.element, narrow.element)
    if isinstance(wide, OptionalType):
        inner = narrow.element if isinstance(narrow, OptionalType) else narrow
        return narrow is types.NONE or includes(wide.element, inner)
    if isinstance(wide, TupleType) and isinstance(narrow, TupleType):
        same_length = len(wide.elements) == len(narrow.elements)
        return same_length and all(map(includes, wide.elements, narrow.elements))
    return is_subtype(narrow, wide)


def _may_be(wide: Dim, narrow: Dim) -> bool:
    return not (isinstance(wide, int) and isinstance(narrow, int)) or wide == narrow


def verify_structure(graph: Graph) -> None:
    """Check the invariants listed above. Raises VerifyError with the graph around the guilty line."""
    _check_links(graph.block, None, set())
    _Visibility().block(graph.block)
    _check_uses(graph)
    for node in graph.walk():
        check = _CHECKS.get(node.kind)
        if check is None:
            require(not node.blocks, node, f"{node.kind} must not own blocks")
        else:
            check(node)
        subgraph = node.attributes.get("Subgraph")
        if isinstance(subgraph, Graph):
            verify_structure(subgraph)


def _check_links(block: Block, owning_node: Node | None, seen: set[Node]) -> None:
    """Invariants 1 and 2. The graph cannot be shown: printing walks the very links that may be broken."""
    if block.owning_node is not owning_node:
        raise VerifyError("a block does not name the node that owns it")
    previous: Node | None = None
    node: Node | None = block.param_node
    while node is not None:
        if node in seen:
            raise VerifyError(f"{node!r} stands in two places")
        seen.add(node)
        if node.previous is not previous:
            raise VerifyError(f"{node!r} follows {previous!r} but names {node.previous!r} as the node before it")
        if node.owner is not block:
            raise VerifyError(f"{node!r} does not name the block it stands in")
        for place, value in enumerate(node.outputs):
            if value.node is not node or value.offset != place:
                raise VerifyError(f"output {place} of {node!r} names another node or place as its definition")
        for nested in node.blocks:
            _check_links(nested, node, seen)
        previous, node = node, node.next
    if previous is not block.return_node:
        raise VerifyError(f"a block ends in {previous!r} instead of its prim::Return")


class _Visibility:
    """Invariant 4, in one walk: the set of values that may be read at the current place."""

    def __init__(self) -> None:
        self.visible: set[Value] = set()

    def block(self, block: Block) -> None:
        outside = set(self.visible)
        self.visible.update(block.inputs)
        for node in block.nodes:
            self.inputs(node)
            for nested in node.blocks:
                self.block(nested)
            self.visible.update(node.outputs)
        self.inputs(block.return_node)
        self.visible = outside

    def inputs(self, node: Node) -> None:
        for slot, value in enumerate(node.inputs):
            if value not in self.visible:
                raise fail(node, f"input {slot} of {node.kind} is read where it is not defined")


def _check_uses(graph: Graph) -> None:
    """Invariant 3."""
    readings = {
        (node, slot): value
        for block in graph.blocks()
        for node in (*block.nodes, block.return_node)
        for slot, value in enumerate(node.inputs)
    }
    for value in graph.values():
        for use in value.uses:
            if readings.pop((use.node, use.slot), None) is not value:
                raise fail(value.node, f"%{value.name} is said to be input {use.slot} of {use.node!r}, which it is not")
    for (node, slot), value in readings.items():
        raise fail(node, f"%{value.name}, input {slot} of {node.kind}, does not know that it is read here")


def _check_if(node: Node) -> None:
    require(len(node.inputs) == 1 and node.inputs[0].type is types.BOOL, node, "prim::If reads one bool")
    require(len(node.blocks) == 2, node, f"prim::If owns two blocks, not {len(node.blocks)}")
    for block in node.blocks:
        require(not block.inputs, node, "the blocks of prim::If take no parameters")
        require(
            len(block.outputs) == len(node.outputs),
            block.return_node,
            f"this block returns {len(block.outputs)} values for {len(node.outputs)} outputs of prim::If",
        )
        for output, value in zip(node.outputs, block.outputs):
            problem = f"a value of type {value.type} is returned for an output of type {output.type}"
            require(_merges(output.type, value), block.return_node, problem)


def _merges(wide: Type, value: Value) -> bool:
    """True when a branch may give this value; `prim::Uninitialized` is of whatever type is wanted."""
    return includes(wide, value.type) or value.node.kind == "prim::Uninitialized"


def _check_loop(node: Node) -> None:
    kinds = [value.type for value in node.inputs[:2]]
    is_int_and_bool = len(kinds) == 2 and isinstance(kinds[0], IntType) and kinds[1] is types.BOOL
    require(is_int_and_bool, node, "prim::Loop reads an int and a bool first")
    require(len(node.blocks) == 1, node, f"prim::Loop owns one block, not {len(node.blocks)}")
    block = node.blocks[0]
    carried = len(node.outputs)
    require(len(node.inputs) == carried + 2, node, f"prim::Loop reads {len(node.inputs)} values and gives {carried}")
    require(len(block.inputs) == carried + 1, node, f"the block takes {len(block.inputs)} values, not {carried + 1}")
    returns = block.return_node
    require(len(block.outputs) == carried + 1, returns, f"the block returns {len(block.outputs)}, not {carried + 1}")
    require(isinstance(block.inputs[0].type, IntType), node, "the block's first parameter counts: it is an int")
    require(block.outputs[0].type is types.BOOL, returns, "the block first returns whether to go on: a bool")
    for initial, parameter, returned, output in zip(node.inputs[2:], block.inputs[1:], block.outputs[1:], node.outputs):
        problem = "%{}, of type {}, comes into the loop as a {}"
        for value, place in ((initial, node), (returned, returns)):
            require(_merges(parameter.type, value), place, problem.format(value.name, value.type, parameter.type))
            wrong_result = f"the loop gives a {output.type} where a {value.type} comes out"
            comes_out = value is initial or not _has_no_turn(node)
            require(not comes_out or _merges(output.type, value), place, wrong_result)


def _has_no_turn(loop: Node) -> bool:
    """True where a loop's condition says that it is over before it begins."""
    begins = loop.inputs[1]
    return begins.is_constant and begins.constant is False


def _check_constant(node: Node) -> None:
    require(not node.inputs and len(node.outputs) == 1, node, "prim::Constant reads nothing and has one output")
    if "function" in node.attributes or node.output.type is types.FUNCTION:
        return
    value = node.attributes.get("value")
    require(has_type(value, node.output.type), node, f"the constant {type(value).__name__} is no {node.output.type}")


_VALUE_CLASSES: dict[Type, tuple[type, ...]] = {
    types.FLOAT: (float,),
    types.BOOL: (bool,),
    types.STRING: (str,),
    types.COMPLEX: (complex,),
    types.NUMBER: (int, float, complex),
    types.DEVICE: (str,),
}


def has_type(value: Any, type_: Type) -> bool:
    """True when a constant's value is of a type."""
    if isinstance(value, Elided) or type_ is types.ANY:
        return True
    if isinstance(type_, OptionalType):
        return value is None or has_type(value, type_.element)
    if isinstance(type_, UnionType):
        return any(has_type(value, member) for member in type_.members)
    if isinstance(type_, TensorType):
        return isinstance(value, np.ndarray) and _array_has_type(value, type_)
    if isinstance(type_, IntType):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(type_, ListType):
        return isinstance(value, list) and all(has_type(item, type_.element) for item in value)
    if isinstance(type_, TupleType):
        same_length = isinstance(value, tuple) and len(value) == len(type_.elements)
        return same_length and all(map(has_type, value, type_.elements))
    if type_ is types.NONE:
        return value is None
    return type_ not in _VALUE_CLASSES or isinstance(value, _VALUE_CLASSES[type_])


def _array_has_type(array: np.ndarray[Any, Any], type_: TensorType) -> bool:
    if type_.dtype is not None and dtypes.from_numpy(array.dtype) is not type_.dtype:
        return False
    return type_.shape is None or (len(type_.shape) == array.ndim and all(map(_may_be, type_.shape, array.shape)))


def _check_elements(node: Node, values: Sequence[Value], wanted: Sequence[Type]) -> None:
    require(len(values) == len(wanted), node, f"{node.kind} has {len(values)} elements, its type {len(wanted)}")
    for value, type_ in zip(values, wanted):
        require(_merges(type_, value), node, f"%{value.name} is a {value.type}, where a {type_} belongs")


def _check_list(node: Node) -> None:
    type_ = node.output.type
    require(isinstance(type_, ListType), node, "prim::ListConstruct makes a list")
    assert isinstance(type_, ListType)
    _check_elements(node, node.inputs, [type_.element] * len(node.inputs))


def _check_list_unpack(node: Node) -> None:
    type_ = node.inputs[0].type if node.inputs else None
    require(isinstance(type_, ListType), node, "prim::ListUnpack reads a list")
    assert isinstance(type_, ListType)
    for value in node.outputs:
        require(includes(value.type, type_.element), node, f"an element of {type_} is called a {value.type}")


def _check_list_append(node: Node) -> None:
    require(len(node.inputs) == 2, node, "prim::ListAppend reads a list and an element")
    type_ = node.inputs[0].type
    require(isinstance(type_, ListType), node, "prim::ListAppend reads a list first")
    assert isinstance(type_, ListType)
    before = node.inputs[0].node
    is_empty = before.kind == "prim::ListConstruct" and not before.inputs
    require(is_empty or includes(node.output.type, type_), node, f"a {type_} is called a {node.output.type}")
    _check_elements(node, node.inputs[1:], [getattr(node.output.type, "element", type_.element)])


def _check_tuple(node: Node) -> None:
    type_ = node.output.type
    require(isinstance(type_, TupleType), node, "prim::TupleConstruct makes a tuple")
    assert isinstance(type_, TupleType)
    _check_elements(node, node.inputs, type_.elements)


def _tuple_read(node: Node) -> TupleType:
    type_ = node.inputs[0].type if node.inputs else None
    require(isinstance(type_, TupleType), node, f"{node.kind} reads a tuple")
    assert isinstance(type_, TupleType)
    return type_


def _check_tuple_unpack(node: Node) -> None:
    elements = _tuple_read(node).elements
    require(len(node.outputs) == len(elements), node, f"the tuple has {len(elements)} elements")
    for value, element in zip(node.outputs, elements):
        require(includes(value.type, element), node, f"an element of type {element} is called a {value.type}")


def _check_tuple_index(node: Node) -> None:
    elements = _tuple_read(node).elements
    require(len(node.inputs) == 2 and isinstance(node.inputs[1].type, IntType), node, "a tuple's index is an int")
    if not node.inputs[1].is_constant:
        return
    index = node.inputs[1].constant
    require(-len(elements) <= index < len(elements), node, f"the tuple has no element {index}")
    problem = f"an element of type {elements[index]} is called a {node.output.type}"
    require(includes(node.output.type, elements[index]), node, problem)


def _check_tuple_slice(node: Node) -> None:
    elements = _tuple_read(node).elements
    sliced = TupleType(elements[node.attributes["beg"] : node.attributes["end"]])
    require(includes(node.output.type, sliced), node, f"a {sliced} is called a {node.output.type}")


def _check_dict(node: Node) -> None:
    type_ = node.output.type
    require(
        isinstance(type_, DictType) and len(node.inputs) % 2 == 0, node, "prim::DictConstruct pairs keys and values"
    )
    assert isinstance(type_, DictType)
    _check_elements(node, node.inputs, [type_.key, type_.value] * (len(node.inputs) // 2))


def _owner_class(node: Node) -> ClassType | None:
    """The class of the object a node works on; None when nothing is known of it."""
    require(bool(node.inputs), node, f"{node.kind} needs an object")
    require("name" in node.attributes, node, f"{node.kind} needs a name")
    owner = node.inputs[0].type
    if not isinstance(owner, ClassType):
        require(owner is types.ANY, node, f"{node.kind} reads an object, not a {owner}")
        return None
    return owner if owner.attributes or owner.methods or owner.constants else None


def _check_get_attribute(node: Node) -> None:
    owner = _owner_class(node)
    name = node.attributes["name"]
    if owner is None:
        return
    require(name in owner.attributes, node, f"{owner.name} has no attribute {name}")
    declared = owner.attributes[name].type
    require(includes(node.output.type, declared), node, f"the attribute {name} is a {declared}")


def _check_set_attribute(node: Node) -> None:
    owner = _owner_class(node)
    require(len(node.inputs) == 2, node, "prim::SetAttr reads an object and a value")
    name = node.attributes["name"]
    if owner is None:
        return
    require(name in owner.attributes, node, f"{owner.name} has no attribute {name}")
    declared = owner.attributes[name].type
    require(_merges(declared, node.inputs[1]), node, f"the attribute {name} is a {declared}")


def _check_call_method(node: Node) -> None:
    owner = _owner_class(node)
    if owner is not None:
        name = node.attributes["name"]
        require(name in owner.methods, node, f"{owner.name} has no method {name}")


_CHECKS: dict[str, Callable[[Node], None]] = {
    "prim::If": _check_if,
    "prim::Loop": _check_loop,
    "prim::Constant": _check_constant,
    "prim::ListConstruct": _check_list,
    "prim::ListUnpack": _check_list_unpack,
    "prim::ListAppend": _check_list_append,
    "prim::TupleConstruct": _check_tuple,
    "prim::TupleUnpack": _check_tuple_unpack,
    "prim::TupleIndex": _check_tuple_index,
    "prim::TupleSlice": _check_tuple_slice,
    "prim::DictConstruct": _check_dict,
    "prim::GetAttr": _check_get_attribute,
    "prim::SetAttr": _check_set_attribute,
    "prim::CallMethod": _check_call_method,
}
