"""Callables that are no graph values: functions, casts, classes, named tuples, exceptions, `print`."""

from __future__ import annotations

import ast
import enum
from collections.abc import Sequence

from optc.errors import ScriptError, SourceRange
from optc.ir.function import ClassType, Function
from optc.ir.graph import Value
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import BOOL, NONE, STRING, DictType, ListType, TupleType, Type
from optc.jit.frontend.definitions import compiled_for_call
from optc.jit.frontend.enumerations import enum_type
from optc.jit.frontend.simple import BuiltinValue, MethodValue, SimpleValue, SpecialForm
from optc.jit.frontend.type_rules import subtype
from optc.jit.frontend.values import SugaredValue
from optc.jit.frontend.writer import GraphWriter
from optc.jit.schema_matching import Arguments, NamedValue


class NoneResult(SugaredValue):
    """What a statement-like call (`print`) evaluates to."""

    kind = "None"


class PrintValue(SugaredValue):
    """`print`."""

    kind = "print"

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        if kwargs:
            raise ScriptError("print doesn't accept any keyword arguments", source)
        writer.insert("prim::Print", [arg.materialize(writer.graph) for arg in args], (), source)
        return NoneResult()


class FunctionValue(SugaredValue):
    """Compiled functions; several are overloads."""

    kind = "function"

    def __init__(self, *callees: Function) -> None:
        self.callees = callees

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        schemas = [compiled_for_call(callee, writer.function, source) for callee in self.callees]
        place, match = writer.match(schemas, args, kwargs, source)
        result = match.returns[0] if match.returns else NONE
        return SimpleValue(writer.call_function(self.callees[place], match.values(), result, source))


class CastValue(BuiltinValue):
    """`int`, `float`, `bool`, `str`: nothing to do for a value of the type; containers are true unless empty."""

    def __init__(self, type_: Type, name: str) -> None:
        super().__init__(name)
        self.type = type_

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        if len(args) == 1 and not kwargs:
            value = args[0].materialize(writer.graph)
            if subtype(value.type, self.type):
                return SimpleValue(value)
            if self.type is BOOL and (isinstance(value.type, ListType | DictType) or value.type is STRING):
                length = writer.builtin("aten::len", [value], source=source)
                return SimpleValue(writer.builtin("aten::gt", [length, writer.constant(0)], source=source))
            args = [NamedValue(value)]
        return super().call(writer, source, args, kwargs)


class MagicMethod(SugaredValue):
    """A builtin that objects of script classes may define themselves (`len` is `__len__`)."""

    def __init__(self, method: str, base: SugaredValue) -> None:
        self.method = method
        self.base = base
        self.kind = method

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        if args:
            value = args[0].materialize(writer.graph)
            args = [NamedValue(value, args[0].name, args[0].source), *args[1:]]
            if isinstance(value.type, ClassType):
                method = SimpleValue(value).attribute(writer, source, self.method)
                return method.call(writer, source, args[1:], kwargs)
        return self.base.call(writer, source, args, kwargs)


class ClassValue(SugaredValue):
    """A script class: calling it makes an object."""

    kind = "class"

    def __init__(self, type_: ClassType) -> None:
        self.type = type_

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        if "__init__" not in self.type.methods:
            raise ScriptError(f"Class {self.type.name} does not have an __init__ function defined", source)
        made = writer.insert("prim::CreateObject", (), (self.type,), source).output
        MethodValue(made, ("__init__",)).call(writer, source, args, kwargs)
        return SimpleValue(made)

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        for hook in (*self.type.forward_hooks, *self.type.forward_pre_hooks):
            if hook.base_name == name:
                return FunctionValue(hook)
        if name in self.type.static_methods:
            return FunctionValue(self.type.static_methods[name])
        if name != "__new__":
            raise ScriptError(f"Tried to lookup unknown attribute on class {self.type.annotation}", source)
        return SpecialForm("__new__")


class NamedTupleConstructor(SugaredValue):
    """A NamedTuple class."""

    kind = "named tuple constructor"

    def __init__(self, type_: TupleType, defaults: Sequence[object] = ()) -> None:
        self.type = type_
        first = len(type_.fields) - len(defaults)
        arguments = tuple(
            Argument(name, element, place >= first, defaults[place - first] if place >= first else None)
            for place, (name, element) in enumerate(zip(type_.fields, type_.elements))
        )
        self.schema = FunctionSchema(type_.name or "", "", arguments, (Argument("", type_),))

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        _, match = writer.match([self.schema], args, kwargs, source)
        made = writer.insert("prim::TupleConstruct", match.values(), (self.type,), source)
        return SimpleValue(made.output)


class AssertionErrorValue(SugaredValue):
    """`AssertionError`: its name is part of the message, so that assertions need no class at run time."""

    kind = "exception"

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        message = writer.constant("AssertionError: ", source)
        for arg in args:
            text = arg.materialize(writer.graph)
            if text.type is not STRING:
                text = writer.builtin("aten::str", [text], source=source)
            message = writer.builtin("aten::add", [message, text], source=source)
        return RaisedException(message, None)


class ExceptionValue(SugaredValue):
    """An exception class; `name` is qualified (`builtins.ValueError`)."""

    kind = "exception"

    def __init__(self, name: str) -> None:
        self.name = name

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        if not args:
            message = writer.constant("", source)
        elif len(args) == 1:
            message = args[0].materialize(writer.graph)
        else:
            message = writer.make_tuple([arg.materialize(writer.graph) for arg in (*args, *kwargs)])
        return RaisedException(message, writer.constant(self.name, source))


class RaisedException(SugaredValue):
    """An exception with its message, ready for `raise`."""

    kind = "exception message"

    def __init__(self, message: Value, name: Value | None) -> None:
        self.message = message
        self.name = name


class EnumClassValue(SugaredValue):
    """An enumeration: its members are constants."""

    kind = "EnumClass"

    def __init__(self, class_: type[enum.Enum]) -> None:
        self.class_ = class_
        self.type = enum_type(class_)

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        if name not in self.class_.__members__:
            raise ScriptError(f"{self.type.annotation}' has no attribute '{name}'", source)
        return SimpleValue(writer.constant(self.class_[name], source, self.type))

    def iterate(self, writer: GraphWriter, source: SourceRange | None) -> SugaredValue:
        return SimpleValue(writer.constant(list(self.class_), source, ListType(self.type)))


class ClosureValue(SugaredValue):
    """A function defined inside another one, which only `fork` may run."""

    kind = "closure"

    def __init__(self, definition: ast.FunctionDef) -> None:
        self.definition = definition


class SliceValue(SugaredValue):
    """`slice(...)`."""

    kind = "Python slice value"

    def __init__(self, start: Value, stop: Value, step: Value) -> None:
        self.start = start
        self.stop = stop
        self.step = step
