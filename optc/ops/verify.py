"""Checks graphs against what operators say of themselves. `verify` checks everything.

After the structure (invariants 1 to 10, see `optc.ir.verify`):

Operators, in every form
11. The arguments of an operator that optc has fit one of its overloads, the named one where the node names one.
    An operator that optc does not have is no mistake: it fails when it runs.
12. Types agree with the operator's own rule, which is applied again: an output's type may say less than the rule
    finds out, never something else.

Form "functional": a program without state
13. No attributes, objects, calls or context managers.
14. No operator that writes an argument.

Form "core": functional, and what code generation takes
15. Every tensor has an element type and a rank, unless the rule of the node that makes it cannot tell before the
    program runs (such a node is left to the interpreter).
16. Types say no less than the rule: element type, rank, and every extent that it knows as a number.
17. `prim::Dim` gives an int that is known to be its dimension.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from optc.errors import OptcError
from optc.ir import types
from optc.ir.dims import Dim, fresh, symbols
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import IntType, ListType, OptionalType, TensorType, Type, VariableType, is_subtype
from optc.ir.verify import fail, require, verify_structure
from optc.ops.abstract import abstract, abstract_constant, same_dim
from optc.ops.registry import Operator, lookup, operator_of, overloads

Form: TypeAlias = Literal["captured", "functional", "core"]

_STATEFUL = frozenset(
    (
        "prim::GetAttr", "prim::SetAttr", "prim::CallMethod", "prim::CallFunction", "prim::CreateObject", "prim::Enter",
        "prim::Exit", "prim::fork",
    )
)  # fmt: skip


def verify(graph: Graph, *, form: Form = "captured") -> None:
    """Check every invariant of a form. Raises VerifyError; its message shows the graph around the guilty line."""
    verify_structure(graph)
    if form == "core":
        for value in graph.inputs:
            _check_typed(value, graph.block.return_node)
    for node in graph.walk():
        operator = _checked_operator(node)
        if form != "captured":
            _check_functional(node, operator)
        known = _check_rule(node, operator, form) if operator is not None else True
        if form == "core" and known:
            _check_core(node)


def _checked_operator(node: Node) -> Operator | None:
    """Invariant 11."""
    if not overloads(node.kind):
        return None
    if node.overload is not None:
        name = f"{node.kind}.{node.overload}" if node.overload else node.kind
        require(lookup(name) is not None, node, f"there is no operator {name}")
    operator = operator_of(node)
    shown = ", ".join(str(value.type) for value in node.inputs)
    if operator is None:
        raise fail(node, f"no overload of {node.kind} takes ({shown})")
    declared = operator.schema.arguments
    fits = len(declared) == len(node.inputs) or operator.schema.is_variadic
    fits = fits and all(_accepts(argument.type, value.type) for argument, value in zip(declared, node.inputs))
    require(fits, node, f"{operator.schema} does not take ({shown})")
    if not operator.schema.is_variadic:
        returns = len(operator.schema.returns)
        require(len(node.outputs) in (returns, 0), node, f"{operator.name} has {returns} results")
    return operator


def _accepts(expected: Type, given: Type) -> bool:
    """True when an argument may be of a type: subtypes, and the conversions that traces and old archives rely on."""
    if isinstance(expected, VariableType) or expected is types.ANY or is_subtype(given, expected):
        return True
    if isinstance(expected, OptionalType):
        inner = given.element if isinstance(given, OptionalType) else given
        return given is types.NONE or _accepts(expected.element, inner)
    if isinstance(expected, ListType):
        return isinstance(given, ListType) and _accepts(expected.element, given.element)
    if _has_variable(expected):
        return type(expected) is type(given)
    if expected in (types.FLOAT, types.NUMBER):
        return isinstance(given, IntType) or given in (types.BOOL, types.FLOAT, types.COMPLEX, types.NUMBER)
    return expected is types.DEVICE and given is types.STRING


def _has_variable(type_: Type) -> bool:
    parts = [getattr(type_, name, None) for name in ("element", "key", "value")]
    parts += getattr(type_, "elements", ())
    return any(isinstance(part, VariableType) or (isinstance(part, Type) and _has_variable(part)) for part in parts)


def _check_functional(node: Node, operator: Operator | None) -> None:
    """Invariants 13 and 14."""
    require(node.kind not in _STATEFUL, node, f"{node.kind} has no place in a functional graph")
    if operator is not None:
        require(not operator.mutates, node, f"{operator.name} writes its argument, which a functional graph must not")


def _check_rule(node: Node, operator: Operator, form: Form) -> bool:
    """Invariants 12 and 16. Returns False when the rule cannot tell the results' types."""
    try:
        result = operator.infer(*(_abstract(value) for value in node.inputs))
    except (OptcError, IndexError, RuntimeError, ValueError, TypeError):
        return False  # the program fails here when it runs, or only running tells the shape
    results = (result,) if len(operator.schema.returns) == 1 else result
    known = True
    for output, inferred in zip(node.outputs, results):
        if isinstance(output.type, TensorType) and isinstance(inferred, TensorType):
            known = known and inferred.is_typed
            _check_tensor(node, output.type, inferred, form == "core")
        elif isinstance(output.type, IntType) and isinstance(inferred, int) and isinstance(output.type.dim, int):
            require(output.type.dim == inferred, node, f"the type says {output.type.dim}, the rule {inferred}")
    return known


def _abstract(value: Value) -> Any:
    """Like `abstract`, which notes a symbol in the types of ints it does not know; a check must not change the graph."""
    if value.is_constant:
        return abstract_constant(value.constant)
    if isinstance(value.type, IntType):
        return fresh() if value.type.dim is None else value.type.dim
    if not value.is_parameter and value.node.kind in ("prim::ListConstruct", "prim::TupleConstruct"):
        items = [_abstract(item) for item in value.node.inputs]
        return items if value.node.kind == "prim::ListConstruct" else tuple(items)
    return abstract(value)


def _check_tensor(node: Node, declared: TensorType, inferred: TensorType, exactly: bool) -> None:
    problem = f"the type says {declared}, the operator's rule {inferred}"
    if declared.dtype is not None and inferred.dtype is not None:
        require(declared.dtype is inferred.dtype, node, problem)
    if declared.shape is not None and inferred.shape is not None:
        require(len(declared.shape) == len(inferred.shape), node, problem)
        for mine, other in zip(declared.shape, inferred.shape):
            require(_agrees(mine, other, exactly), node, problem)
    if exactly and inferred.is_typed:
        require(declared.is_typed, node, problem)


def _agrees(declared: Dim, inferred: Dim, exactly: bool) -> bool:
    """True when an extent may be what the rule says; extents that only running tells may be anything."""
    if same_dim(declared, inferred) is False:
        return False
    if declared == inferred or not _is_certain(inferred):
        return True
    if isinstance(inferred, int):
        return not exactly
    return not _is_certain(declared)


def _is_certain(dim: Dim) -> bool:
    return all(name.startswith("s") for name in symbols(dim))


def _check_core(node: Node) -> None:
    """Invariants 15 and 17."""
    if node.kind == "prim::Dim":
        type_ = node.output.type
        is_noted = isinstance(type_, IntType) and type_.dim == node.attributes["dim"]
        require(is_noted, node, f"the type of prim::Dim must be the int {node.attributes['dim']}")
    if node.kind == "prim::Uninitialized":
        return
    for value in node.outputs:
        _check_typed(value, node)
    for block in node.blocks:
        for value in block.inputs:
            _check_typed(value, node)


def _check_typed(value: Value, node: Node) -> None:
    if isinstance(value.type, TensorType):
        require(value.type.is_typed, node, f"%{value.name} needs an element type and a rank, not just {value.type}")
