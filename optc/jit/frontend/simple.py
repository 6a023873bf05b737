"""Graph values as sugared values: attributes, methods, builtin methods, indexing and iteration by type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optc.errors import ScriptError, SourceRange
from optc.ir import dtypes
from optc.ir.function import ClassType
from optc.ir.graph import Value
from optc.ir.types import (
    ANY_TUPLE,
    DEVICE,
    NONE,
    STRING,
    UNKNOWN,
    DictType,
    EnumType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
)
from optc.jit.frontend.definitions import compiled_for_call
from optc.jit.frontend.type_rules import subtype
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import Arguments, Mismatch, NamedValue, bind_variables, substitute
from optc.ops.packed_parameters import native_method
from optc.ops.registry import overloads

if TYPE_CHECKING:
    from optc.jit.frontend.writer import GraphWriter

_CASTS = {
    "byte": dtypes.UINT8,
    "char": dtypes.INT8,
    "double": dtypes.FLOAT64,
    "float": dtypes.FLOAT32,
    "cfloat": dtypes.COMPLEX64,
    "cdouble": dtypes.COMPLEX128,
    "int": dtypes.INT32,
    "long": dtypes.INT64,
    "short": dtypes.INT16,
    "half": dtypes.FLOAT16,
}

_TENSOR_PROPERTIES = {
    **dict.fromkeys(
        (
            "dtype", "device", "grad", "data", "shape", "is_cuda", "is_cpu", "is_xla", "is_xpu", "is_sparse",
            "is_sparse_csr", "is_mkldnn", "is_mps", "is_mtia", "is_quantized", "is_vulkan", "is_ipu", "is_meta",
            "is_nested", "requires_grad", "layout", "T", "H", "is_maia", "itemsize", "nbytes", "ndim", "name",
        ),
        "prim",
    ),
    **dict.fromkeys(("is_leaf", "mT", "mH", "real", "imag", "retains_grad"), "aten"),
}  # fmt: skip


class SimpleValue(SugaredValue):
    """A graph value."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def as_value(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        return self.value

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        if isinstance(self.value.type, ClassType) and self.value.type.is_native:
            return NativeMethod(self.value, name)
        found = self._property(writer, source, name) or self._member(writer, source, name)
        if found is None:
            found = self._builtin_method(source, name)
        if found is None:
            raise ScriptError(self._no_attribute(name), source)
        return found

    def _no_attribute(self, name: str) -> str:
        text = f"'{self.value.type.annotation}' object has no attribute or method '{name}'."
        if isinstance(self.value.type, ClassType):
            text += " Did you forget to initialize an attribute in __init__()?"
        return text

    def _property(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue | None:
        type_ = self.value.type
        space: str | None = None
        if isinstance(type_, TensorType):
            if name in _CASTS:
                return TensorCast(self.value, _CASTS[name].code)
            space = _TENSOR_PROPERTIES.get(name)
        elif (
            type_ is DEVICE
            and name in ("type", "index")
            or isinstance(type_, OptionalType)
            and name == "unchecked_unwrap_optional"
        ):
            space = "prim"
        if space is None:
            return None
        return SimpleValue(writer.builtin(f"{space}::{name}", [self.value]))

    def _member(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue | None:
        type_ = self.value.type
        if isinstance(type_, TupleType) and name in type_.fields:
            place = type_.fields.index(name)
            index = writer.constant(place, source)
            return SimpleValue(writer.tuple_index(self.value, index, type_.elements[place]))
        if isinstance(type_, EnumType) and name in ("name", "value"):
            kind, result = ("prim::EnumName", STRING) if name == "name" else ("prim::EnumValue", type_.value)
            return SimpleValue(writer.insert(kind, (self.value,), (result,)).output)
        if isinstance(type_, ClassType):
            return self._class_member(type_, writer, source, name)
        return None

    def _class_member(
        self, type_: ClassType, writer: GraphWriter, source: SourceRange | None, name: str
    ) -> SugaredValue | None:
        if name in type_.methods:
            return MethodValue(self.value, (name,))
        if name in type_.attributes:
            return SimpleValue(writer.get_attribute(self.value, name))
        if name in type_.properties:
            getter, _ = type_.properties[name]
            return MethodValue(self.value, (getter.base_name,)).call(writer, source, [], [])
        if name in type_.constants:
            return SimpleValue(writer.constant(type_.constants[name], source, type_.constant_types.get(name)))
        return None

    def _builtin_method(self, source: SourceRange | None, name: str) -> SugaredValue | None:
        self_ = NamedValue(self.value, "self", source)
        for kind in ("aten::to",) * (name == "type") + (f"aten::{name}",):
            if takes_self(kind, self.value.type):
                return BuiltinValue(kind, self_)
        if isinstance(self.value.type, TensorType) and name in ("tolist", "__getitem__"):
            return SpecialForm(name, self.value)
        return None

    def has_attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> bool:
        type_ = self.value.type
        if isinstance(type_, ClassType):
            return name in type_.methods or name in type_.attributes or name in type_.constants
        if isinstance(type_, TupleType) and type_.fields:
            return name in type_.fields
        what = "but got a normal Tuple " if isinstance(type_, TupleType) else "got "
        raise ScriptError(
            f"hasattr's first argument must be an object or NamedTuple, {what}{type_.annotation} instead",
            source,
        )

    def set_attribute(self, writer: GraphWriter, source: SourceRange | None, name: str, value: Value) -> None:
        type_ = self.value.type
        if not isinstance(type_, ClassType):
            raise ScriptError(f"Tried to set an attribute: {name} on a non-class: {type_.annotation}", source)
        attribute = type_.attributes.get(name)
        if attribute is None:
            if not writer.declares_attributes_of(type_):
                self._set_property(type_, writer, source, name, value)
                return
            writer.declare_attribute(type_, name, value, source)
            expected = value.type
        else:
            expected = attribute.type
        if not subtype(value.type, expected):
            raise ScriptError(
                f"Wrong type for attribute assignment. Expected {expected.annotation} but got {value.type.annotation}",
                source,
            )
        writer.insert("prim::SetAttr", (self.value, value), (), None, {"name": name})

    def _set_property(
        self, type_: ClassType, writer: GraphWriter, source: SourceRange | None, name: str, value: Value
    ) -> None:
        if name not in type_.properties:
            raise ScriptError(
                f"Tried to set nonexistent attribute: {name}. Did you forget to initialize it in __init__()?", source
            )
        _, setter = type_.properties[name]
        if setter is None:
            raise ScriptError(f"Tried to set read-only attribute: {name}", source)
        MethodValue(self.value, (setter.base_name,)).call(writer, source, [NamedValue(value)], [])

    def as_tuple(
        self, writer: GraphWriter, source: SourceRange | None, size: int | None = None
    ) -> Sequence[SugaredValue]:
        type_ = self.value.type
        if isinstance(type_, TupleType):
            return [SimpleValue(value) for value in writer.unpack(self.value)]
        if isinstance(type_, ListType):
            if size is None:
                raise ScriptError("cannot statically infer the expected size of a list in this context", source)
            node = writer.insert("prim::ListUnpack", (self.value,), [type_.element] * size)
            return [SimpleValue(value) for value in node.outputs]
        if type_ is UNKNOWN and size is not None:
            node = writer.insert("prim::TupleUnpack", (self.value,), [UNKNOWN] * size)
            return [SimpleValue(value) for value in node.outputs]
        if type_ is ANY_TUPLE:
            raise ScriptError(
                "Provided tuple is not fully defined/refined including its element types, please provide a value of "
                "type like Tuple[int, int]",
                source,
            )
        raise ScriptError(f"{type_.annotation} cannot be used as a tuple", source)

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        type_ = self.value.type
        if isinstance(type_, ClassType):
            method = "forward" if type_.is_module and "__call__" not in type_.methods else "__call__"
            return self.attribute(writer, source, method).call(writer, source, args, kwargs)
        return super().call(writer, source, args, kwargs)

    def iterate(self, writer: GraphWriter, source: SourceRange | None) -> SugaredValue:
        type_ = self.value.type
        if isinstance(type_, ListType | TensorType) or type_ is STRING:
            return self
        if isinstance(type_, DictType):
            return SimpleValue(writer.builtin("aten::keys", [self.value], source=source))
        if isinstance(type_, TupleType):
            return SugaredTuple([SimpleValue(value) for value in writer.unpack(self.value)])
        raise ScriptError(f"'{type_.annotation}' object is not iterable", source)

    def length(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        type_ = self.value.type
        if isinstance(type_, ListType | TensorType) or type_ is STRING:
            return writer.builtin("aten::len", [self.value], source=source)
        raise ScriptError(f"'{type_.annotation}' object is not iterable", source)

    def item(
        self, writer: GraphWriter, source: SourceRange | None, index: Value, hint: Type | None = None
    ) -> SugaredValue:
        type_ = self.value.type
        if isinstance(type_, ListType | DictType) or type_ is STRING:
            return SimpleValue(writer.builtin("aten::__getitem__", [self.value, index], source=source))
        if isinstance(type_, TensorType):
            zero = writer.constant(0, source)
            return SimpleValue(writer.builtin("aten::select", [self.value, zero, index], source=source))
        if type_ is UNKNOWN:
            return SimpleValue(writer.insert("aten::__getitem__", (self.value, index), (UNKNOWN,), source).output)
        if isinstance(type_, ClassType) and type_.is_module and isinstance(hint, ClassType) and hint.is_interface:
            return SimpleValue(writer.insert("prim::ModuleContainerIndex", (self.value, index), (hint,)).output)
        if isinstance(type_, ClassType):
            getter = self.attribute(writer, source, "__getitem__")
            return getter.call(writer, source, [NamedValue(index)], [])
        raise ScriptError(f"'{type_.annotation}' object is not subscriptable", source)


def takes_self(kind: str, type_: Type) -> bool:
    """True when some overload of the operator has a `self` argument that takes the type: then it is a method."""
    for operator in overloads(kind):
        place = operator.schema.positions.get("self")
        if place is None:
            continue
        formal = operator.schema.arguments[place].type
        bindings: dict[str, Type] = {}
        try:
            bind_variables(formal, type_, bindings)
        except Mismatch:
            continue
        wanted = substitute(formal, bindings)
        if wanted is not None and subtype(type_, wanted):
            return True
    return False


class BuiltinValue(SugaredValue):
    """An operator by name, with the object it is a method of."""

    kind = "builtin"

    def __init__(self, name: str, self_: NamedValue | None = None) -> None:
        self.name = name
        self.self_ = self_

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        return SimpleValue(writer.builtin(self.name, args, kwargs, self.self_, source))


class TensorCast(SugaredValue):
    """`x.float()` and its siblings."""

    kind = "builtin"

    def __init__(self, value: Value, dtype: int) -> None:
        self.value = value
        self.dtype = dtype

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        if args or kwargs:
            raise ScriptError("casts of tensors take no arguments", source)
        dtype = NamedValue(writer.constant(self.dtype, source), "dtype")
        self_ = NamedValue(self.value, "self")
        return SimpleValue(writer.builtin("aten::to", [], [self_, dtype], source=source))


class MethodValue(SugaredValue):
    """A method of an object; several names are overloads."""

    kind = "method"

    def __init__(self, self_: Value, names: Sequence[str]) -> None:
        self.self_ = self_
        self.names = names

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        type_ = self.self_.type
        assert isinstance(type_, ClassType)
        schemas = [compiled_for_call(type_.methods[name], writer.function, source, "method") for name in self.names]
        place, match = writer.match(schemas, [NamedValue(self.self_), *args], kwargs, source)
        result = match.returns[0] if match.returns else NONE
        return SimpleValue(writer.call_method(self.names[place], match.values(), result, source))


class NativeMethod(SugaredValue):
    """A method of an object whose class is written in C++: one that optc does not know fails when it runs."""

    kind = "native method"

    def __init__(self, self_: Value, name: str) -> None:
        self.self_ = self_
        self.name = name

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        values = [value.materialize(writer.graph) for value in (*args, *kwargs)]
        known = native_method(str(self.self_.type), self.name)
        returns = UNKNOWN if known is None or values else known.returns
        return SimpleValue(writer.call_method(self.name, [self.self_, *values], returns, source))


class SugaredTuple(SugaredValue):
    """A fixed number of sugared values, such as the modules of a list: `for` over it is unrolled."""

    kind = "Tuple"

    def __init__(self, elements: Sequence[SugaredValue]) -> None:
        self.elements = elements
        self.static_length = len(elements)

    def as_tuple(
        self, writer: GraphWriter, source: SourceRange | None, size: int | None = None
    ) -> Sequence[SugaredValue]:
        return self.elements

    def as_value(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        return writer.make_tuple([element.as_value(writer, source) for element in self.elements])

    def iterate(self, writer: GraphWriter, source: SourceRange | None) -> SugaredValue:
        return self

    def length(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        return writer.constant(len(self.elements), source)

    def item(
        self, writer: GraphWriter, source: SourceRange | None, index: Value, hint: Type | None = None
    ) -> SugaredValue:
        place = index.constant if index.is_constant else None
        if not isinstance(place, int):
            raise ScriptError(
                "Expected integer literal for index but got a variable or non-integer. ModuleList/Sequential indexing is only supported with integer "
                "literals. For example, 'i = 4; self.layers[i](x)' will fail because i is not a literal. Enumeration "
                "is supported, e.g. 'for index, v in enumerate(self): out = v(inp)'",
                source,
            )
        adjusted = place + len(self.elements) if place < 0 else place
        if not 0 <= adjusted < len(self.elements):
            raise ScriptError(
                f"Out of bounds index: {place} is not within -{len(self.elements)} and {len(self.elements) - 1}", source
            )
        return self.elements[adjusted]


class SpecialForm(SugaredValue):
    """A name whose call has its own rules for evaluating arguments (`range`, `annotate`, `getattr`, `fork` ...)."""

    kind = "special form"

    def __init__(self, form: str, self_: Value | None = None) -> None:
        self.form = form
        self.self_ = self_
