"""The types of SSA values: TorchScript's own, with symbolic dimensions on tensors.

`str(type)` is the text of graphs (`int[]`, `Tensor?`, `Float(3, 4)`); `type.annotation` is the text of code
(`List[int]`, `Optional[Tensor]`). Types are immutable and compare by structure, except that a known dimension on an
`IntType` and the details of a `TensorType` never make two types incompatible: see `is_subtype`.
"""

from __future__ import annotations

from dataclasses import field, replace

from optc.dataclass import dataclass
from optc.ir.dims import Dim
from optc.ir.dtypes import DType


@dataclass(frozen=True)
class Type:
    """Base of all types; the simple ones are told apart by `name` alone."""

    @property
    def annotation(self) -> str:
        """The type as TorchScript code writes it."""
        return str(self)


@dataclass(frozen=True)
class SimpleType(Type):
    """A type without parameters: `graph_text` in graphs, `code_text` in code."""

    graph_text: str
    code_text: str

    def __str__(self) -> str:
        return self.graph_text

    @property
    def annotation(self) -> str:
        return self.code_text


FLOAT = SimpleType("float", "float")
BOOL = SimpleType("bool", "bool")
STRING = SimpleType("str", "str")
COMPLEX = SimpleType("complex", "complex")
NONE = SimpleType("NoneType", "NoneType")
NUMBER = SimpleType("Scalar", "number")
ANY = SimpleType("Any", "Any")
DEVICE = SimpleType("Device", "Device")
GENERATOR = SimpleType("Generator", "Generator")
STREAM = SimpleType("Stream", "Stream")
FUNCTION = SimpleType("Function", "Function")
ANY_LIST = SimpleType("list", "list")
ANY_TUPLE = SimpleType("tuple", "tuple")
ANY_ENUM = SimpleType("AnyEnumType", "AnyEnumType")
CAPSULE = SimpleType("Capsule", "Capsule")
STORAGE = SimpleType("Storage", "Storage")
NATIVE_CLASSES = "__torch__.torch.classes."
"""How the names of classes begin that are written in C++ and that no archive defines: known by their names alone."""

UNKNOWN = SimpleType("Unknown", "Any")
"""What an operator that does not exist returns: it fits everywhere, because it is never there."""


@dataclass(frozen=True)
class VariableType(Type):
    """A type variable of a generic schema, such as the `t` of `append(t[] self, t el)`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class IntType(Type):
    """A 64-bit integer; `dim` is its value in terms of the program's symbols where shape inference knows it."""

    dim: Dim | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return "int"


INT = IntType()


@dataclass(frozen=True)
class TensorType(Type):
    """A tensor of which nothing, something or everything is known.

    `shape` is None when not even the rank is known; its entries are ints or symbols. `strides`, `requires_grad` and
    `device` are what a trace recorded; None when unknown, and never used to decide whether types are compatible.
    """

    dtype: DType | None = None
    shape: tuple[Dim, ...] | None = None
    strides: tuple[int, ...] | None = field(default=None, compare=False)
    requires_grad: bool | None = field(default=None, compare=False)
    device: str | None = field(default=None, compare=False)

    @property
    def rank(self) -> int | None:
        """Number of dimensions, None when unknown."""
        return None if self.shape is None else len(self.shape)

    @property
    def is_static(self) -> bool:
        """True when dtype and every dimension are known numbers."""
        return self.dtype is not None and self.shape is not None and all(isinstance(dim, int) for dim in self.shape)

    @property
    def is_typed(self) -> bool:
        """True when dtype and rank are known: what core form demands of every tensor."""
        return self.dtype is not None and self.shape is not None

    def with_shape(self, shape: tuple[Dim, ...] | None) -> TensorType:
        """The same element type in another shape (recorded strides are dropped)."""
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: DType | None) -> TensorType:
        """The same shape with another element type."""
        return replace(self, dtype=dtype)

    def __str__(self) -> str:
        head = self.dtype.label if self.dtype is not None else "Tensor"
        details: list[str] = []
        if self.shape is None:
            head += "Tensor" if self.dtype is not None else ""
        else:
            details = [str(dim) for dim in self.shape]
        if self.shape and self.strides:
            details.append(f"strides=[{', '.join(map(str, self.strides))}]")
        if self.requires_grad is not None:
            details.append(f"requires_grad={int(self.requires_grad)}")
        if self.device is not None:
            details.append(f"device={self.device}")
        return head if self.shape is None and not details else f"{head}({', '.join(details)})"

    @property
    def annotation(self) -> str:
        return "Tensor"


TENSOR = TensorType()


@dataclass(frozen=True)
class ListType(Type):
    """A list of `element`s. `size` is the schema's `int[2]` (a scalar is accepted and repeated)."""

    element: Type
    size: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.element}[]"

    @property
    def annotation(self) -> str:
        return f"List[{self.element.annotation}]"


@dataclass(frozen=True)
class OptionalType(Type):
    """`element` or None."""

    element: Type

    def __str__(self) -> str:
        return f"{self.element}?"

    @property
    def annotation(self) -> str:
        return f"Optional[{self.element.annotation}]"


@dataclass(frozen=True)
class TupleType(Type):
    """A tuple; `name` and `fields` are given for NamedTuples, `defaults` for their last fields."""

    elements: tuple[Type, ...]
    name: str | None = None
    fields: tuple[str, ...] = ()
    defaults: tuple[object, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        if self.name is not None:
            shown = [f"{name} : {element}" for name, element in zip(self.fields, self.elements)]
            for place, default in enumerate(self.defaults, len(shown) - len(self.defaults)):
                shown[place] += f" = {default}"
            return f"NamedTuple({', '.join(shown)})"
        return f"({', '.join(map(str, self.elements))})"

    @property
    def annotation(self) -> str:
        if self.name is not None:
            return self.name
        if not self.elements:
            return "Tuple[()]"
        return f"Tuple[{', '.join(element.annotation for element in self.elements)}]"


@dataclass(frozen=True)
class DictType(Type):
    """A dictionary from `key` to `value`."""

    key: Type
    value: Type

    def __str__(self) -> str:
        return f"Dict({self.key}, {self.value})"

    @property
    def annotation(self) -> str:
        return f"Dict[{self.key.annotation}, {self.value.annotation}]"


@dataclass(frozen=True)
class UnionType(Type):
    """One of several types."""

    members: tuple[Type, ...]

    def __str__(self) -> str:
        return f"Union({', '.join(map(str, self.members))})"

    @property
    def annotation(self) -> str:
        return f"Union[{', '.join(member.annotation for member in self.members)}]"


@dataclass(frozen=True)
class FutureType(Type):
    """The result of a fork."""

    element: Type

    def __str__(self) -> str:
        return f"Future[{self.element}]"

    @property
    def annotation(self) -> str:
        return f"Future[{self.element.annotation}]"


@dataclass(frozen=True)
class EnumType(Type):
    """An enumeration: qualified name, type of the values, and (name, value) pairs."""

    name: str
    value: Type
    members: tuple[tuple[str, object], ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"Enum<{self.name}>"

    @property
    def annotation(self) -> str:
        return self.name


def is_subtype(left: Type, right: Type) -> bool:
    """True when a value of type `left` may stand where `right` is expected (TorchScript's rule, no conversions)."""
    if left == right or right is ANY or left is UNKNOWN:
        return True
    if isinstance(left, SimpleType) or isinstance(right, SimpleType):
        text = str(right)
        if text.startswith(NATIVE_CLASSES) and not isinstance(right, OptionalType):
            return str(left) == text
    if isinstance(left, TensorType) and isinstance(right, TensorType):
        return refines(left, right)
    if isinstance(right, OptionalType):
        inner = left.element if isinstance(left, OptionalType) else left
        return left is NONE or is_subtype(inner, right.element)
    if isinstance(right, UnionType):
        members = left.members if isinstance(left, UnionType) else _alternatives(left)
        return all(any(is_subtype(member, other) for other in right.members) for member in members)
    if right is NUMBER:
        return isinstance(left, IntType) or left in (FLOAT, COMPLEX)
    if right is ANY_LIST:
        return isinstance(left, ListType)
    if right is ANY_ENUM:
        return isinstance(left, EnumType)
    if right is ANY_TUPLE:
        return isinstance(left, TupleType)
    if isinstance(left, TupleType) and isinstance(right, TupleType):
        return _is_tuple_subtype(left, right)
    if isinstance(left, ListType) and isinstance(right, ListType):
        if str(right.element).startswith(NATIVE_CLASSES):
            return is_subtype(left.element, right.element)
        tensors = isinstance(left.element, TensorType) and isinstance(right.element, TensorType)
        return tensors and is_subtype(left.element, right.element)
    return isinstance(left, FutureType) and isinstance(right, FutureType) and is_subtype(left.element, right.element)


def _alternatives(type_: Type) -> tuple[Type, ...]:
    return (type_.element, NONE) if isinstance(type_, OptionalType) else (type_,)


def _is_tuple_subtype(left: TupleType, right: TupleType) -> bool:
    if len(left.elements) != len(right.elements) or (right.name is not None and left.name != right.name):
        return False
    return all(is_subtype(mine, other) for mine, other in zip(left.elements, right.elements))


def refines(left: TensorType, right: TensorType) -> bool:
    """True when everything `right` says of a tensor holds for `left` too."""
    if right.dtype is not None and left.dtype is not right.dtype:
        return False
    return right.shape is None or left.shape == right.shape


def unrefined(type_: Type) -> Type:
    """The type without tensor details or known integers: what TorchScript's own annotations can say."""
    if isinstance(type_, TensorType):
        return TENSOR
    if isinstance(type_, IntType):
        return INT
    if isinstance(type_, ListType):
        return ListType(unrefined(type_.element))
    if isinstance(type_, OptionalType):
        return OptionalType(unrefined(type_.element))
    if isinstance(type_, TupleType):
        return replace(type_, elements=tuple(unrefined(element) for element in type_.elements))
    if isinstance(type_, DictType):
        return DictType(unrefined(type_.key), unrefined(type_.value))
    if isinstance(type_, FutureType):
        return FutureType(unrefined(type_.element))
    if isinstance(type_, UnionType):
        return UnionType(tuple(unrefined(member) for member in type_.members))
    return type_
