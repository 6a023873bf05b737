"""Python objects as sugared values: what a global, a closure variable or a module attribute means in scripted code."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from optc.errors import ScriptError, SourceRange
from optc.ir.function import ClassType, Function
from optc.ir.graph import Value
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import DEVICE, INT, NONE, TENSOR, Type
from optc.jit import markers, vocabulary
from optc.jit.annotations import Annotations, is_named_tuple
from optc.jit.choices import Choice, choice_of
from optc.jit.frontend.callables import (
    ClassValue,
    EnumClassValue,
    ExceptionValue,
    FunctionValue,
    NamedTupleConstructor,
    SliceValue,
)
from optc.jit.frontend.constants import MAX_INT, known
from optc.jit.frontend.library import library_choice
from optc.jit.frontend.resolver import OperatorNamespace, OperatorNamespaces
from optc.jit.frontend.simple import BuiltinValue, SimpleValue, SpecialForm
from optc.jit.frontend.values import SugaredValue
from optc.jit.frontend.writer import GraphWriter
from optc.jit.schema_matching import Arguments, NamedValue
from optc.jit.torch_objects import torch_advice

if TYPE_CHECKING:
    from optc.jit.recursive import Recursion


class PythonValue(SugaredValue):
    """A Python object that is no part of the language; functions marked `@ignore` can be called."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.kind = f"python value of type '{type(value).__name__}'"

    def as_value(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        raise ScriptError(
            f"{self.kind} cannot be used as a value. Perhaps it is a closed over global variable? If so, please "
            "consider passing it in as an argument or use a local variable instead.",
            source,
        )


class IgnoredFunction(SugaredValue):
    """A function that stays in Python; of a dropped one the call raises."""

    kind = "python function"

    def __init__(self, function: Any, signature: FunctionSchema, self_: Value | None = None) -> None:
        self.function = function
        self.signature = signature
        self.self_ = self_

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        given = [NamedValue(self.self_, "self"), *args] if self.self_ is not None else list(args)
        _, match = writer.match([self.signature], given, kwargs, source)
        result = match.returns[0]
        if markers.modifier_of(self.function) == markers.UNUSED:
            text = "This Python function is annotated to be ignored and cannot be run"
            message = writer.constant(text, source)
            writer.insert("prim::RaiseException", (message, writer.constant(None, source)), (), source)
            return SimpleValue(writer.uninitialized(result))
        attributes = {"name": self.function.__name__, "function": self.function}
        return SimpleValue(writer.insert("prim::PythonOp", match.values(), (result,), source, attributes).output)


class PythonModuleValue(SugaredValue):
    """An imported module: its attributes count as constants."""

    kind = "python module"

    def __init__(self, module: ModuleType, recursion: Recursion) -> None:
        self.module = module
        self.recursion = recursion

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        operator = vocabulary.operator_in(self.module, name)
        if operator is not None:
            return BuiltinValue(operator)
        if vocabulary.is_operator_namespace(self.module) and name == "ops":
            return OperatorNamespaces()
        try:
            member = getattr(self.module, name)
        except AttributeError:
            prefix = vocabulary.operator_prefix(name)
            if prefix is not None and vocabulary.is_operator_namespace(self.module):
                return OperatorNamespace("aten", prefix)
            if vocabulary.is_operator_namespace(self.module):
                return BuiltinValue(f"aten::{name}")
            raise ScriptError(f"object has no attribute {name}", source) from None
        if vocabulary.is_operator_namespace(self.module):
            return self._namespace_member(writer, source, name, member)
        return to_sugared(member, writer, source, self.recursion, is_constant=True)

    def _namespace_member(
        self, writer: GraphWriter, source: SourceRange | None, name: str, member: Any
    ) -> SugaredValue:
        """Callables of `optc` itself are operators, whether such an operator exists or not."""
        if name in vocabulary.TENSOR_CONSTRUCTORS:
            return SpecialForm(f"tensor:{vocabulary.TENSOR_CONSTRUCTORS[name]}")
        is_known = (
            vocabulary.special_form(member) or vocabulary.builtin_name(member) or self.recursion.is_library(member)
        )
        if callable(member) and not is_known and not inspect.ismodule(member):
            return BuiltinValue(f"aten::{name}")
        return to_sugared(member, writer, source, self.recursion, is_constant=True)


class ChoiceValue(SugaredValue):
    """One of two functions, by a flag that is known while compiling."""

    kind = "function"

    def __init__(self, choice: Choice, recursion: Recursion) -> None:
        self.choice = choice
        self.recursion = recursion

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        by_name = [value for value in kwargs if value.name == self.choice.argument]
        given = args[self.choice.place : self.choice.place + 1] or by_name
        flag = given[0].materialize(writer.graph) if given else None
        if flag is not None and known(flag, bool) is None:
            place = f"Keyword argument '{self.choice.argument}'" if by_name else "Argument"
            where = "position" if by_name else f"position {self.choice.place}"
            raise ScriptError(f"{place} for boolean dispatch at {where} was not constant", source)
        chosen = self.choice.when_true if flag is not None and flag.constant else self.choice.when_false
        return self._chosen(chosen, source).call(writer, source, args, kwargs)

    def _chosen(self, chosen: Any, source: SourceRange | None) -> SugaredValue:
        if isinstance(chosen, Choice):
            return ChoiceValue(chosen, self.recursion)
        return (
            FunctionValue(chosen) if isinstance(chosen, Function) else _function_value(chosen, source, self.recursion)
        )


class SliceClass(SugaredValue):
    """Python's `slice`."""

    kind = "Python slice class"

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        if kwargs:
            raise ScriptError("Slice does not accept any keyword arguments", source)
        if not 1 <= len(args) <= 3:
            raise ScriptError(f"slice accepts exactly 1, 2 or 3 arguments, got: {len(args)}", source)
        given: list[NamedValue | None] = [None, args[0], None] if len(args) == 1 else [*args, None][:3]

        def bound(arg: NamedValue | None, default: int) -> Value:
            if arg is None or arg.type is NONE:
                return writer.constant(default, source)
            return arg.materialize(writer.graph)

        return SliceValue(bound(given[0], 0), bound(given[1], MAX_INT), bound(given[2], 1))


class PythonClassValue(ClassValue):
    """A script class with its Python class: static methods are found there."""

    def __init__(self, type_: ClassType, class_: type, recursion: Recursion) -> None:
        super().__init__(type_)
        self.class_ = class_
        self.recursion = recursion

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        if name in self.type.static_methods:
            return FunctionValue(self.type.static_methods[name])
        member = getattr(self.class_, name, None)
        if member is not None and name != "__new__":
            return to_sugared(member, writer, source, self.recursion)
        return super().attribute(writer, source, name)

    def has_attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> bool:
        return hasattr(self.class_, name)


def constant_value(value: Any, writer: GraphWriter, source: SourceRange | None) -> Value | None:
    """A number, string, dtype, device or tuple of them as a constant; None for other objects."""
    if value is None or isinstance(value, bool | int | float | complex | str) and not isinstance(value, enum.Enum):
        return writer.constant(value, source)
    coded = vocabulary.constant_of(value)
    if coded is not None:
        return writer.constant(coded[0], source, DEVICE if coded[1] == "Device" else INT)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        parts = [constant_value(item, writer, source) for item in value]
        found = [part for part in parts if part is not None]
        return writer.make_tuple(found) if len(found) == len(parts) else None
    return None


def to_sugared(
    value: Any, writer: GraphWriter, source: SourceRange | None, recursion: Recursion, is_constant: bool = False
) -> SugaredValue:
    """What a Python object means. Numbers count only where `is_constant`: attributes of modules, not globals."""
    if is_constant:
        constant = constant_value(value, writer, source)
        if constant is not None:
            return SimpleValue(constant)
    compiled = recursion.compiled_function_of(value)
    if compiled is not None:
        return FunctionValue(*compiled)
    if isinstance(value, ModuleType):
        return PythonModuleValue(value, recursion)
    form = vocabulary.special_form(value)
    if form is not None:
        return SpecialForm(form)
    choice = choice_of(value) or library_choice(value)
    if choice is not None:
        return ChoiceValue(choice, recursion)
    builtin = vocabulary.builtin_name(value)
    if builtin is not None:
        return BuiltinValue(builtin)
    if inspect.isclass(value):
        return _class_value(value, source, recursion)
    if isinstance(value, enum.Enum):
        return SimpleValue(writer.constant(value, source))
    if recursion.is_module(value):
        raise ScriptError("Cannot call a ScriptModule that is not a submodule of the caller", source)
    if callable(value) and inspect.isfunction(inspect.unwrap(value)):
        return _function_value(value, source, recursion)
    if callable(value) and inspect.isbuiltin(value):
        advice = torch_advice(value)
        raise ScriptError(f"Python builtin {value} is currently not supported in Torchscript{advice}", source)
    return PythonValue(value)


def _class_value(class_: type, source: SourceRange | None, recursion: Recursion) -> SugaredValue:
    if issubclass(class_, BaseException):
        return ExceptionValue(f"{class_.__module__}.{class_.__qualname__}")
    if class_ is slice:
        return SliceClass()
    if is_named_tuple(class_):
        return named_tuple_constructor(class_, recursion.annotations)
    if issubclass(class_, enum.Enum):
        return EnumClassValue(class_)
    if vocabulary.is_tensor_class(class_):
        return BuiltinValue(f"aten::{class_.__name__}")
    if recursion.is_module_class(class_):
        return PythonModuleClass(class_, recursion)
    type_ = recursion.class_type(class_)
    if not isinstance(type_, ClassType):
        return PythonValue(class_)
    return PythonClassValue(type_, class_, recursion)


def named_tuple_constructor(class_: Any, annotations: Annotations) -> SugaredValue:
    """A NamedTuple class, its defaults included."""
    return NamedTupleConstructor(annotations.named_tuple(class_), list(getattr(class_, "_field_defaults", {}).values()))


class PythonModuleClass(SugaredValue):
    """The class of a module: its static methods can be called, instances not be made."""

    kind = "class"

    def __init__(self, class_: type, recursion: Recursion) -> None:
        self.class_ = class_
        self.recursion = recursion

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        member = inspect.getattr_static(self.class_, name, None)
        if isinstance(member, staticmethod):
            return to_sugared(member.__func__, writer, source, self.recursion)
        return super().attribute(writer, source, name)

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        raise ScriptError(f"Cannot instantiate class '{self.class_.__name__}' in a script function", source)


def _function_value(function: Any, source: SourceRange | None, recursion: Recursion) -> SugaredValue:
    if markers.modifier_of(function) in (markers.IGNORE, markers.UNUSED):
        return IgnoredFunction(function, recursion.ignored_signature(function))
    return FunctionValue(*recursion.compile_functions(function))


def ignored_schema(name: str, arguments: Sequence[tuple[str, Type]], returns: Type | None) -> FunctionSchema:
    """The signature by which calls of a Python function are checked; what is not annotated is a tensor."""
    declared = tuple(Argument(argument, type_) for argument, type_ in arguments)
    return FunctionSchema(name, "", declared, (Argument("", returns if returns is not None else TENSOR),))
