"""How types relate while scripting: unification, unions, subtyping with interfaces, conversion to lists."""

from __future__ import annotations

from collections.abc import Iterable

from optc.ir.function import ClassType
from optc.ir.types import (
    ANY,
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    GENERATOR,
    INT,
    NONE,
    NUMBER,
    STRING,
    DictType,
    EnumType,
    FutureType,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    UnionType,
    is_subtype,
    unrefined,
)

_KINDS: tuple[object, ...] = (
    ANY, EnumType, TensorType, TupleType, ListType, DictType, NUMBER, FLOAT, COMPLEX, FutureType, IntType, NONE, STRING,
    GENERATOR, BOOL, OptionalType, DEVICE, ClassType,
)  # fmt: skip


def subtype(left: Type, right: Type) -> bool:
    """True when a value of type `left` may stand for `right`; a class that has all methods fits an interface."""
    if is_subtype(left, right):
        return True
    if isinstance(right, OptionalType):
        inner = left.element if isinstance(left, OptionalType) else left
        return subtype(inner, right.element)
    if isinstance(left, ClassType) and isinstance(right, ClassType) and right.is_interface:
        return why_not_implemented(left, right) is None
    if isinstance(left, UnionType):
        return all(subtype(member, right) for member in left.members)
    if isinstance(left, OptionalType) and isinstance(right, UnionType):
        return subtype(NONE, right) and subtype(left.element, right)
    if isinstance(right, UnionType):
        return any(subtype(left, member) for member in right.members)
    return False


def why_not_implemented(left: ClassType, interface: ClassType) -> str | None:
    """None when the class has every method of the interface, else the reason."""
    if interface.is_module and not left.is_module:
        return f"Interface '{interface.name}' is a module interface but '{left.name}' is no module"
    for name, wanted in interface.methods.items():
        found = left.methods.get(name)
        if found is None:
            return (
                f"Class '{left.name}' does not have method '{name}' which is required by interface '{interface.name}'"
            )
        mine, other = found.schema, wanted.schema
        compatible = len(mine.arguments) == len(other.arguments) and all(
            subtype(theirs.type, own.type) for own, theirs in zip(mine.arguments[1:], other.arguments[1:])
        )
        returns_fit = all(subtype(own.type, theirs.type) for own, theirs in zip(mine.returns, other.returns))
        if not compatible or not returns_fit:
            return f"Method '{name}' of class '{left.name}' is not compatible with interface '{interface.name}'"
    return None


def unwrap_optional(type_: Type) -> Type:
    """T for Optional[T]."""
    return type_.element if isinstance(type_, OptionalType) else type_


def union_members(type_: Type) -> tuple[Type, ...]:
    """The alternatives of a type, itself when it has none."""
    if isinstance(type_, OptionalType):
        return (*union_members(type_.element), NONE)
    if isinstance(type_, UnionType):
        return tuple(inner for member in type_.members for inner in union_members(member))
    if type_ is NUMBER:
        return (INT, FLOAT, COMPLEX)
    return (type_,)


def standardized(types: Iterable[Type]) -> list[Type]:
    """The alternatives flattened, without those that another one covers, in torch's order."""
    flat: list[Type] = []
    for type_ in types:
        for member in union_members(type_):
            if not any(subtype(member, other) for other in flat):
                flat = [other for other in flat if not subtype(other, member)]
                flat.append(member)
    return sorted(flat, key=_union_order)


def make_union(types: Iterable[Type]) -> Type:
    """Union[...] in its shortest form: T, Optional[T], Scalar or a union."""
    members = standardized(types)
    if len(members) == 1:
        return members[0]
    if set(members) == {INT, FLOAT, COMPLEX}:
        return NUMBER
    if NONE in members:
        others = [member for member in members if member is not NONE]
        if len(others) == 1:
            return OptionalType(others[0])
        if set(others) == {INT, FLOAT, COMPLEX}:
            return OptionalType(NUMBER)
    return UnionType(tuple(members))


def _union_order(type_: Type) -> tuple[int, str]:
    for place, kind in enumerate(_KINDS):
        if type_ is kind or (isinstance(kind, type) and isinstance(type_, kind)):
            return place, str(type_)
    return len(_KINDS), str(type_)


def unify(left: Type, right: Type, default_to_union: bool = False, hint: Type | None = None) -> Type | None:
    """The type that holds both, None when there is none (and no union is wanted)."""
    unified = _unify(left, right, default_to_union, hint)
    if unified is None and default_to_union:
        return make_union((left, right))
    return unified


def _unify(left: Type, right: Type, default_to_union: bool, hint: Type | None) -> Type | None:
    if subtype(left, right):
        return right
    if subtype(right, left):
        return left
    if isinstance(left, TensorType) and isinstance(right, TensorType):
        return unrefined(left)
    if left is NONE or right is NONE:
        return OptionalType(right if left is NONE else left)
    if isinstance(left, TupleType) and isinstance(right, TupleType):
        return _unify_tuples(left, right)
    if isinstance(left, FutureType) and isinstance(right, FutureType):
        element = unify(left.element, right.element)
        return None if element is None else FutureType(element)
    plain_left, plain_right = unrefined(left), unrefined(right)
    if (plain_left, plain_right) != (left, right) and subtype(plain_left, plain_right):
        return plain_right
    if hint is not None and subtype(left, hint) and subtype(right, hint):
        return hint
    return None


def _unify_tuples(left: TupleType, right: TupleType) -> Type | None:
    if len(left.elements) != len(right.elements):
        return None
    elements = [unify(mine, other) for mine, other in zip(left.elements, right.elements)]
    found = [element for element in elements if element is not None]
    return TupleType(tuple(found)) if len(found) == len(elements) else None


def unify_all(types: Iterable[Type], default_to_union: bool = False, hint: Type | None = None) -> Type | None:
    """`unify` over a non-empty list of types."""
    result: Type | None = None
    for position, type_ in enumerate(types):
        result = type_ if position == 0 else unify(result, type_, default_to_union, hint) if result else None
    return result


def convertible_to_list(type_: Type, wanted: Type) -> bool:
    """True for a list of the wanted type and for tuples whose elements all fit it."""
    if not isinstance(wanted, ListType):
        return False
    if subtype(type_, wanted):
        return True
    return isinstance(type_, TupleType) and all(subtype(element, wanted.element) for element in type_.elements)


def is_mutable(type_: Type) -> bool:
    """True for types whose values can change in place: tensors, lists, dicts, objects and what contains them."""
    if isinstance(type_, TensorType | ListType | DictType | ClassType | FutureType) or type_ is ANY:
        return True
    if isinstance(type_, OptionalType):
        return is_mutable(type_.element)
    if isinstance(type_, TupleType):
        return any(map(is_mutable, type_.elements))
    return isinstance(type_, UnionType) and any(map(is_mutable, type_.members))


def contains_type(type_: Type, wanted: Type) -> bool:
    """True when `wanted` is the type itself, an element of it or an attribute reached from it."""
    if type_ == wanted:
        return True
    inner: list[Type] = []
    if isinstance(type_, ListType | OptionalType | FutureType):
        inner = [type_.element]
    elif isinstance(type_, TupleType):
        inner = list(type_.elements)
    elif isinstance(type_, DictType):
        inner = [type_.key, type_.value]
    elif isinstance(type_, UnionType):
        inner = list(type_.members)
    elif isinstance(type_, ClassType):
        inner = [attribute.type for attribute in type_.attributes.values()]
    return any(contains_type(element, wanted) for element in inner)
