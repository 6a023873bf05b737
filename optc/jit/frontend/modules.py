"""Modules as sugared values: attribute access, submodules, containers that unroll, methods compiled on demand."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from optc.errors import ScriptError, SourceRange
from optc.ir.function import ClassType
from optc.ir.graph import Value
from optc.ir.types import TupleType, Type
from optc.jit.frontend.constants import known
from optc.jit.frontend.hooks import call_with_hooks
from optc.jit.frontend.simple import MethodValue, SimpleValue, SugaredTuple
from optc.jit.frontend.type_rules import why_not_implemented
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import Arguments

if TYPE_CHECKING:
    from optc.jit.frontend.writer import GraphWriter


class ContainerKind(enum.Enum):
    """Which container of modules (or parameters) a module is."""

    NONE = "no container"
    LIST = "Sequential or ModuleList"
    DICT = "ModuleDict"
    PARAMETER_LIST = "ParameterList"
    PARAMETER_DICT = "ParameterDict"


class ConcreteModule(Protocol):
    """What is known of a module's Python class beside its type; `recursive` implements it."""

    type: ClassType
    container: ContainerKind

    def submodule(self, name: str) -> ConcreteModule | None:
        """The submodule of that name; None when it is an interface."""

    def python_attribute(self, self_: Value, name: str, source: SourceRange | None) -> SugaredValue | None:
        """A function attribute or a method of the Python class, compiled if need be; None when there is none."""

    def why_missing(self, name: str) -> str:
        """A hint why an attribute that exists in Python is not there."""


def constant_attribute(writer: GraphWriter, source: SourceRange | None, value: Any, type_: Type) -> Value:
    """A constant attribute; tuples are built from their elements."""
    if isinstance(value, tuple) and isinstance(type_, TupleType):
        parts = [constant_attribute(writer, source, item, inner) for item, inner in zip(value, type_.elements)]
        return writer.make_tuple(parts)
    return writer.constant(value, source, type_)


class ModuleValue(SugaredValue):
    """A module in a graph."""

    kind = "module"

    def __init__(self, value: Value, concrete: ConcreteModule) -> None:
        self.value = value
        self.concrete = concrete

    def as_value(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        return self.value

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        found = self.find(writer, source, name)
        if found is None and name in self.concrete.type.properties:
            getter, _ = self.concrete.type.properties[name]
            return MethodValue(self.value, (getter.base_name,)).call(writer, source, [], [])
        if found is None:
            raise ScriptError(
                f"Module '{self.concrete.type.name.rpartition('.')[2]}' has no attribute '{name}' "
                f"{self.concrete.why_missing(name)}",
                source,
            )
        return found

    def find(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue | None:
        """The attribute, None when there is none."""
        type_ = self.concrete.type
        if type_.is_interface:
            return SimpleValue(self.value).attribute(writer, source, name)
        slot = type_.attributes.get(name)
        if slot is not None and isinstance(slot.type, ClassType) and (slot.type.is_module or slot.type.is_interface):
            return self._submodule(writer, name)
        if slot is not None or name in type_.methods:
            return SimpleValue(self.value).attribute(writer, source, name)
        if name in type_.constants:
            return SimpleValue(constant_attribute(writer, source, type_.constants[name], type_.constant_types[name]))
        if self.concrete.container is ContainerKind.DICT and name in ("items", "keys", "values"):
            return self._members(writer, source, name)
        if name in ("named_modules", "modules", "children", "named_children", "named_buffers"):
            return self._members(writer, source, name)
        return self.concrete.python_attribute(self.value, name, source)

    def _submodule(self, writer: GraphWriter, name: str) -> SugaredValue:
        value = writer.get_attribute(self.value, name)
        concrete = self.concrete.submodule(name)
        return SimpleValue(value) if concrete is None else ModuleValue(value, concrete)

    def has_attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> bool:
        return self.find(writer, source, name) is not None

    def set_attribute(self, writer: GraphWriter, source: SourceRange | None, name: str, value: Value) -> None:
        SimpleValue(self.value).set_attribute(writer, source, name, value)

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        forward = self.attribute(writer, source, "forward")
        return call_with_hooks(
            writer, source, self.value, args, lambda given: forward.call(writer, source, given, kwargs)
        )

    def iterate(self, writer: GraphWriter, source: SourceRange | None) -> SugaredValue:
        kind = self.concrete.container
        if kind is ContainerKind.NONE:
            raise ScriptError(
                "Only constant Sequential, ModuleList, ModuleDict, or ParameterList can be used as an iterable", source
            )
        if kind in (ContainerKind.LIST, ContainerKind.PARAMETER_LIST):
            return SugaredTuple(self.elements(writer, source))
        return SugaredTuple([SimpleValue(writer.constant(name, source)) for name in self.names()])

    def names(self) -> list[str]:
        """Names of the submodules, of the parameters for containers of those."""
        type_ = self.concrete.type
        if self.concrete.container in (ContainerKind.PARAMETER_LIST, ContainerKind.PARAMETER_DICT):
            return [name for name, slot in type_.attributes.items() if slot.is_parameter]
        return [
            name
            for name, slot in type_.attributes.items()
            if isinstance(slot.type, ClassType) and (slot.type.is_module or slot.type.is_interface)
        ]

    def elements(self, writer: GraphWriter, source: SourceRange | None) -> list[SugaredValue]:
        """The submodules (or parameters), each read once."""
        if self.concrete.container in (ContainerKind.PARAMETER_LIST, ContainerKind.PARAMETER_DICT):
            return [SimpleValue(writer.get_attribute(self.value, name)) for name in self.names()]
        return [self._submodule(writer, name) for name in self.names()]

    def as_tuple_value(self, writer: GraphWriter, source: SourceRange | None) -> SugaredValue:
        """The modules as a tuple, which is what slicing needs."""
        if self.concrete.container is not ContainerKind.LIST:
            raise ScriptError("Only ModuleList or Sequential modules can be used as tuple", source)
        return SugaredTuple(self.elements(writer, source))

    def as_tuple(
        self, writer: GraphWriter, source: SourceRange | None, size: int | None = None
    ) -> Sequence[SugaredValue]:
        if self.concrete.container is not ContainerKind.LIST:
            return super().as_tuple(writer, source, size)
        return self.elements(writer, source)

    def item(
        self, writer: GraphWriter, source: SourceRange | None, index: Value, hint: Type | None = None
    ) -> SugaredValue:
        kind = self.concrete.container
        if kind is ContainerKind.NONE:
            raise ScriptError(
                "Only ModuleList, Sequential, ModuleDict, ParameterList, and ParameterDict modules are subscriptable",
                source,
            )
        is_dict = kind in (ContainerKind.DICT, ContainerKind.PARAMETER_DICT)
        if is_dict and known(index, str) is not None:
            return self._named_item(writer, source, index.constant)
        if hint is not None and isinstance(hint, ClassType):
            return self._item_of_interface(writer, source, index, hint)
        if is_dict:
            raise ScriptError(
                "Unable to extract string literal index. ModuleDict indexing is only supported with string literals. "
                "For example, 'i = \"a\"; self.layers[i](x)' will fail because i is not a literal. Enumeration of "
                "ModuleDict is supported, e.g. 'for k, v in self.items(): ...'",
                source,
            )
        return SugaredTuple(self.elements(writer, source)).item(writer, source, index)

    def _named_item(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        elements = dict(zip(self.names(), self.elements(writer, source)))
        if name not in elements:
            raise ScriptError(f"Key Error, {name}", source)
        return elements[name]

    def _item_of_interface(
        self, writer: GraphWriter, source: SourceRange | None, index: Value, interface: ClassType
    ) -> SugaredValue:
        for name in self.names():
            member = self.concrete.type.attributes[name].type
            assert isinstance(member, ClassType)
            reason = why_not_implemented(member, interface) if interface.is_interface else None
            if reason is not None or (not interface.is_interface and member is not interface):
                raise ScriptError(
                    f"Attribute {name} is not of annotated type {interface.annotation}: {reason or member.annotation}",
                    source,
                )
        return SimpleValue(writer.insert("prim::ModuleContainerIndex", (self.value, index), (interface,)).output)

    def _members(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        if name == "named_buffers":
            keys = [key for key, slot in self.concrete.type.attributes.items() if slot.is_buffer]
            buffers: list[SugaredValue] = [SimpleValue(writer.get_attribute(self.value, key)) for key in keys]
            return MembersMethod(name, _pairs(writer, source, keys, buffers))
        if name in ("named_modules", "modules"):
            names: list[str] = []
            modules: list[SugaredValue] = []
            self._walk(writer, source, "", names, modules)
        else:
            names, modules = self.names(), self.elements(writer, source)
        if name == "keys":
            return MembersMethod(name, SugaredTuple([SimpleValue(writer.constant(key, source)) for key in names]))
        if name in ("values", "children", "modules"):
            return MembersMethod(name, SugaredTuple(modules))
        return MembersMethod(name, _pairs(writer, source, names, modules))

    def _walk(
        self,
        writer: GraphWriter,
        source: SourceRange | None,
        prefix: str,
        names: list[str],
        modules: list[SugaredValue],
    ) -> None:
        names.append(prefix)
        modules.append(self)
        for name, module in zip(self.names(), self.elements(writer, source)):
            if isinstance(module, ModuleValue):
                module._walk(writer, source, f"{prefix}.{name}" if prefix else name, names, modules)


def _pairs(
    writer: GraphWriter, source: SourceRange | None, names: Sequence[str], values: Sequence[SugaredValue]
) -> SugaredTuple:
    return SugaredTuple(
        [SugaredTuple([SimpleValue(writer.constant(name, source)), value]) for name, value in zip(names, values)]
    )


class MembersMethod(SugaredValue):
    """`items`, `children` and the like, waiting to be called."""

    kind = "module dict method"

    def __init__(self, name: str, members: SugaredTuple) -> None:
        self.name = name
        self.members = members

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        if args or kwargs:
            raise ScriptError(f"{self.name} method does not accept any arguments", source)
        return self.members
