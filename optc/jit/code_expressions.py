"""The right-hand sides of printed statements: one expression per node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from optc.ir import types
from optc.ir.function import ClassType, Function, spelling
from optc.ir.graph import Node, Value
from optc.ir.schema import Argument, FunctionSchema, parse_schema
from optc.ir.types import DictType, ListType, OptionalType, TupleType, Type
from optc.jit.code_constants import ConstantTable, can_be_inferred, constant_text, expanded_default
from optc.jit.code_names import is_identifier, quoted_name
from optc.ops.registry import operator_of


class ScopeOfExpressions(Protocol):
    """What expressions need of the function they are printed in."""

    constants: ConstantTable
    is_importable: bool

    def use(self, value: Value) -> str:
        """The variable or expression that stands for a value."""

    def depends_on(self, dependency: Type | Function) -> None:
        """Note a class or function that the code refers to."""


def expression(node: Node, scope: ScopeOfExpressions) -> str:
    """The code that computes a node's output."""
    special = _SPECIAL.get(node.kind)
    return special(node, scope) if special is not None else _operator(node, scope)


def _listed(values: Sequence[Value], scope: ScopeOfExpressions) -> str:
    return ", ".join(map(scope.use, values))


def _operator(node: Node, scope: ScopeOfExpressions) -> str:
    namespace, _, name = node.kind.partition("::")
    prefix = OWN_NAMES.get(node.kind) or (f"torch.{name}" if namespace == "aten" else f"ops.{namespace}.{name}")
    return f"{prefix}({', '.join(_arguments(node, scope))})"


OWN_NAMES = {"aten::backward": "torch.autograd.backward", "aten::grad": "torch.autograd.grad"}
"""What code calls operators that do not have the name of their namespace."""

_RAISE = parse_schema("prim::RaiseException(str msg, str? cls=None) -> ()")


def _schema(node: Node) -> FunctionSchema | None:
    if node.kind == "prim::RaiseException":
        return _RAISE
    operator = operator_of(node)
    return operator.schema if operator is not None else None


def _arguments(node: Node, scope: ScopeOfExpressions) -> list[str]:
    """Arguments as calls write them: trailing ones that equal their defaults are left out, `out=` comes last."""
    schema = _schema(node)
    if schema is None:
        return _given_arguments(node, scope)
    if not schema.arguments:
        return []
    declared = schema.arguments
    if len(declared) < len(node.inputs):
        return list(map(scope.use, node.inputs))
    written = [argument for argument in declared if argument.is_written and argument.keyword_only]
    first_written = len(declared) - len(written)
    needed = _necessary(declared[:first_written], node.inputs)
    shown = [_argument(declared[place], node.inputs[place], scope) for place in range(needed)]
    return shown + [
        f"{declared[place].name}={scope.use(node.inputs[place])}" for place in range(first_written, len(declared))
    ]


def _given_arguments(node: Node, scope: ScopeOfExpressions) -> list[str]:
    """The arguments of an operator that does not exist, as the archive had them."""
    keywords: tuple[str, ...] = node.attributes.get("keywords", ())
    names = [""] * (len(node.inputs) - len(keywords)) + [f"{keyword}=" for keyword in keywords]
    return [name + scope.use(value) for name, value in zip(names, node.inputs)]


def _argument(argument: Argument, value: Value, scope: ScopeOfExpressions) -> str:
    return f"{argument.name}={scope.use(value)}" if argument.keyword_only else scope.use(value)


def _necessary(declared: Sequence[Argument], given: Sequence[Value]) -> int:
    """How many arguments cannot be left out."""
    for place in reversed(range(len(declared))):
        if not declared[place].has_default or not _is_default(declared[place], given[place]):
            return place + 1
    return 0


def _is_default(argument: Argument, value: Value) -> bool:
    """True for a constant equal to the default; a list that the program builds never counts as one."""
    if not value.is_constant or "function" in value.node.attributes:
        return False
    return _same(value.constant, expanded_default(argument))


def _same(value: Any, default: Any) -> bool:
    """Equality that tells 1 from 1.0 and from True."""
    if isinstance(value, list) and isinstance(default, list):
        return len(value) == len(default) and all(map(_same, value, default))
    return type(value) is type(default) and bool(value == default)


def _constant(node: Node, scope: ScopeOfExpressions) -> str:
    function = node.attributes.get("function")
    if isinstance(function, Function):
        scope.depends_on(function)
        return spelling(function)
    value = node.attributes.get("value")
    return "None" if value is None else constant_text(value, node.output.type, scope.constants)


def _annotated(node: Node, scope: ScopeOfExpressions) -> str:
    return f"annotate({node.output.type.annotation}, {scope.use(node.inputs[0])})"


def _called(name: str) -> Callable[[Node, ScopeOfExpressions], str]:
    return lambda node, scope: f"{name}({_listed(node.inputs, scope)})"


def _get_item(node: Node, scope: ScopeOfExpressions) -> str:
    container, index = map(scope.use, node.inputs)
    return f"{container}[{index}]" if is_identifier(container) else f"({container})[{index}]"


def _tuple(node: Node, scope: ScopeOfExpressions) -> str:
    type_ = node.output.type
    name = type_.annotation if isinstance(type_, TupleType) and type_.name is not None else ""
    comma = "," if len(node.inputs) == 1 else ""
    return f"{name}({_listed(node.inputs, scope)}{comma})"


def _tuple_index(node: Node, scope: ScopeOfExpressions) -> str:
    return f"({scope.use(node.inputs[0])})[{scope.use(node.inputs[1])}]"


def _tuple_slice(node: Node, scope: ScopeOfExpressions) -> str:
    return f"({scope.use(node.inputs[0])})[{node.attributes['beg']}:{node.attributes['end']}]"


def _list(node: Node, scope: ScopeOfExpressions) -> str:
    type_ = node.output.type
    text = f"[{_listed(node.inputs, scope)}]"
    is_clear = bool(node.inputs) and (not isinstance(type_, ListType) or can_be_inferred(type_.element))
    return text if is_clear else f"annotate({type_.annotation}, {text})"


def _dict(node: Node, scope: ScopeOfExpressions) -> str:
    type_ = node.output.type
    pairs = zip(node.inputs[::2], node.inputs[1::2])
    text = "{" + ", ".join(f"{scope.use(key)}: {scope.use(value)}" for key, value in pairs) + "}"
    is_clear = isinstance(type_, DictType) and can_be_inferred(type_.key) and can_be_inferred(type_.value)
    return text if node.inputs and is_clear else f"annotate({type_.annotation}, {text})"


def _create_object(node: Node, scope: ScopeOfExpressions) -> str:
    name = node.output.type.annotation
    return f"{name}.__new__({name})"


def _get_attribute(node: Node, scope: ScopeOfExpressions) -> str:
    owner, name = scope.use(node.inputs[0]), str(node.attributes["name"])
    return (
        f"{owner}.{name}"
        if is_identifier(name, scope.is_importable)
        else f"getattr({owner}, {quoted_name(name, scope.is_importable)})"
    )


def _call_function(node: Node, scope: ScopeOfExpressions) -> str:
    return f"{scope.use(node.inputs[0])}({_each_with_comma(node.inputs[1:], scope)})"


def _call_method(node: Node, scope: ScopeOfExpressions) -> str:
    receiver = node.inputs[0]
    if isinstance(receiver.type, ClassType):
        scope.depends_on(receiver.type)
    return f"({scope.use(receiver)}).{node.attributes['name']}({_each_with_comma(node.inputs[1:], scope)})"


def _each_with_comma(values: Sequence[Value], scope: ScopeOfExpressions) -> str:
    return "".join(f"{scope.use(value)}, " for value in values)


def _unwrap_optional(node: Node, scope: ScopeOfExpressions) -> str:
    value = node.inputs[0]
    is_none = value.type is types.NONE or (value.is_constant and value.constant is None)
    if not is_none:
        return f"torch._unwrap_optional({scope.use(value)})"
    annotation = OptionalType(node.output.type).annotation
    return f"torch._unwrap_optional(annotate({annotation}, {scope.use(value)}))"


def _unchecked_cast(node: Node, scope: ScopeOfExpressions) -> str:
    return f"unchecked_cast({node.output.type.annotation}, {scope.use(node.inputs[0])})"


def _isinstance(node: Node, scope: ScopeOfExpressions) -> str:
    names = [type_.annotation for type_ in node.attributes["types"]]
    shown = names[0] if len(names) == 1 else f"({', '.join(names)})"
    return f"isinstance({scope.use(node.inputs[0])}, {shown})"


def _to_list(node: Node, scope: ScopeOfExpressions) -> str:
    return f"annotate({node.output.type.annotation}, {scope.use(node.inputs[0])}.tolist())"


def _member(name: str) -> Callable[[Node, ScopeOfExpressions], str]:
    return lambda node, scope: f"({scope.use(node.inputs[0])}).{name}"


def _python(node: Node, scope: ScopeOfExpressions) -> str:
    return f"^{node.attributes.get('name', '')}()({_listed(node.inputs, scope)})"


def _uninitialized(node: Node, scope: ScopeOfExpressions) -> str:
    return f"uninitialized({node.output.type.annotation})"


_SPECIAL: dict[str, Callable[[Node, ScopeOfExpressions], str]] = {
    "prim::Constant": _constant,
    "prim::PythonOp": _python,
    "prim::Uninitialized": _uninitialized,
    "aten::ScalarImplicit": _annotated,
    "aten::FloatImplicit": _annotated,
    "aten::IntImplicit": _annotated,
    "aten::Int": _called("int"),
    "aten::Float": _called("float"),
    "aten::Bool": _called("bool"),
    "aten::str": _called("str"),
    "aten::sorted": _called("sorted"),
    "prim::Print": _called("print"),
    "aten::__getitem__": _get_item,
    "prim::TupleConstruct": _tuple,
    "prim::TupleIndex": _tuple_index,
    "prim::TupleSlice": _tuple_slice,
    "prim::ListConstruct": _list,
    "prim::DictConstruct": _dict,
    "prim::CreateObject": _create_object,
    "prim::GetAttr": _get_attribute,
    "prim::CallFunction": _call_function,
    "prim::CallMethod": _call_method,
    "aten::_unwrap_optional": _unwrap_optional,
    "prim::unchecked_unwrap_optional": _unchecked_cast,
    "prim::unchecked_cast": _unchecked_cast,
    "prim::isinstance": _isinstance,
    "prim::tolist": _to_list,
    "prim::EnumValue": _member("value"),
    "prim::EnumName": _member("name"),
}
