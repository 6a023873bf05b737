"""What passes ask of nodes: does it do anything but compute, may it fail, may it be computed elsewhere or not at all."""

from __future__ import annotations

from optc.ir.dims import Symbolic
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import IntType, TensorType
from optc.ops.abstract import is_runtime
from optc.ops.registry import Layout, operator_of
from optc.ops.tensors_of_numbers import is_settled_list

_STRUCTURAL = frozenset(
    (
        "prim::Constant", "prim::Dim", "prim::ListConstruct", "prim::TupleConstruct", "prim::TupleUnpack",
        "prim::TupleIndex", "prim::TupleSlice", "prim::DictConstruct", "prim::ListOfLists", "prim::ListOfTuples", "prim::Uninitialized",
        "prim::unchecked_cast", "prim::isinstance", "prim::EnumName", "prim::EnumValue", "prim::GetAttr",
    )
)  # fmt: skip
"""Kinds that are no operators: they build, take apart and name values."""

_FAILING = frozenset(("prim::ListUnpack", "prim::tolist", "prim::unchecked_unwrap_optional", "prim::RaiseException"))


def has_effects(node: Node) -> bool:
    """True when the node, or one inside its blocks, does more than compute its outputs.

    Such a node may not be removed, repeated or moved across another. Unknown kinds are taken to have effects.
    """
    if node.blocks:
        return any(has_effects(inner) for block in node.blocks for inner in block.nodes)
    if node.kind == "prim::Island":
        body: Graph = node.attributes["Subgraph"]
        return any(map(has_effects, body.nodes))
    if node.kind in _STRUCTURAL or (node.kind in _FAILING and node.kind != "prim::RaiseException"):
        return False
    operator = operator_of(node)
    return operator is None or operator.has_effects or draws(node)


def follows_memory(node: Node) -> bool:
    """True for a node that draws random numbers for a tensor it is given, in the order in which its elements lie."""
    return draws(node) and any(map(has_memory_order, node.inputs))


def draws(node: Node) -> bool:
    """True for random operators, but for those that a flag of theirs, `train`, tells to do nothing, and for operators
    that draw for some of their arguments only."""
    operator = operator_of(node)
    if operator is None:
        return False
    if operator.draws_when is not None:
        return operator.draws_when(node)
    if not operator.random:
        return False
    flags = [value for argument, value in zip(operator.schema.arguments, node.inputs) if argument.name == "train"]
    return not any(flag.is_constant and flag.constant is False for flag in flags)


def has_memory_order(value: Value) -> bool:
    """True for tensors, but for those with at most one dimension that has more than one element, and lists of them."""
    if value.node.kind == "prim::ListConstruct":
        return any(map(has_memory_order, value.node.inputs))
    type_ = value.type
    return isinstance(type_, TensorType) and (type_.shape is None or sum(dim != 1 for dim in type_.shape) > 1)


def may_fail(node: Node) -> bool:
    """True when running the node can raise, as far as its types tell.

    A graph whose shapes are inferred has no shape errors left, so what remains are data-dependent failures: indices,
    divisors, unwrapped None. Views fail only for extents that are not known.
    """
    if node.blocks:
        return any(may_fail(inner) for block in node.blocks for inner in block.nodes)
    if node.kind in _STRUCTURAL:
        return False
    if node.kind == "prim::ListUnpack":
        source = node.inputs[0].node
        return source.kind != "prim::ListConstruct" or len(source.inputs) != len(node.outputs)
    if node.kind == "prim::tolist":
        return not is_settled_list(node)
    operator = operator_of(node)
    if operator is None:
        return True
    if operator.needs_elements and _may_be_empty(node.inputs[0]):
        return True
    if not operator.may_fail:
        return False
    return not (isinstance(operator.lowering, Layout) and all(map(_is_settled, node.inputs)))


def _may_be_empty(value: Value) -> bool:
    type_ = value.type
    return not isinstance(type_, TensorType) or type_.shape is None or any(isinstance(d, Symbolic) for d in type_.shape)


def _is_settled(value: Value) -> bool:
    """True for values about which shape inference knew everything a view may ask."""
    type_ = value.type
    if isinstance(type_, TensorType):
        return type_.shape is not None and not any(map(is_runtime, type_.shape))
    if value.is_constant:
        return True
    if value.node.kind == "prim::ListConstruct":
        return all(map(_is_settled, value.node.inputs))
    return isinstance(type_, IntType) and type_.dim is not None and not is_runtime(type_.dim)


def is_removable(node: Node) -> bool:
    """True when nobody notices if the node does not run (its outputs being unused)."""
    operator = operator_of(node)
    if operator is not None and operator.needs_elements:
        return True  # half of `max(dim)` is often unused; PyTorch drops unused extremes, of no elements too
    return not has_effects(node) and not may_fail(node) and not _may_miss(node)


def _may_miss(node: Node) -> bool:
    """True for views, such as `select`, of a place that a tensor has for some of the extents the code is made for."""
    operator = operator_of(node)
    if operator is None or not operator.may_fail or not isinstance(operator.lowering, Layout):
        return False
    shape = node.inputs[0].type.shape if node.inputs and isinstance(node.inputs[0].type, TensorType) else None
    dims = [value for argument, value in zip(operator.schema.arguments, node.inputs) if argument.name == "dim"]
    if shape is None or len(dims) != 1 or not dims[0].is_constant:
        return False
    place = dims[0].constant
    return -len(shape) <= place < len(shape) and isinstance(shape[place], Symbolic)


def is_repeatable(node: Node) -> bool:
    """True when running the node again with the same inputs gives an equal result and nothing else."""
    return not node.blocks and not has_effects(node)
