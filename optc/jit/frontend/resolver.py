"""What global names mean: the one thing that differs between Python source, archives and strings."""

from __future__ import annotations

import math
from collections.abc import Mapping

from optc.errors import SourceRange
from optc.ir.function import ClassType, Function
from optc.ir.types import BOOL, COMPLEX, FLOAT, INT, STRING, EnumType, TupleType, Type
from optc.jit.frontend.callables import (
    AssertionErrorValue,
    CastValue,
    ClassValue,
    EnumClassValue,
    FunctionValue,
    MagicMethod,
    NamedTupleConstructor,
    PrintValue,
)
from optc.jit.frontend.enumerations import enum_class
from optc.jit.frontend.simple import BuiltinValue, SimpleValue, SpecialForm
from optc.jit.frontend.values import SugaredValue
from optc.jit.frontend.writer import GraphWriter


class Resolver:
    """Looks up names that are no local variables."""

    def value(self, name: str, writer: GraphWriter, source: SourceRange | None) -> SugaredValue | None:
        """What the name stands for, None when it is unknown."""
        raise NotImplementedError

    def type(self, name: str, source: SourceRange | None) -> Type | None:
        """The type that a (dotted) name stands for, None when it is none."""
        raise NotImplementedError


def _magic(method: str, base: SugaredValue) -> SugaredValue:
    return MagicMethod(method, base)


BUILTINS: Mapping[str, SugaredValue] = {
    "print": PrintValue(),
    "float": _magic("__float__", CastValue(FLOAT, "aten::Float")),
    "int": _magic("__int__", CastValue(INT, "aten::Int")),
    "bool": _magic("__bool__", CastValue(BOOL, "aten::Bool")),
    "complex": _magic("__complex__", CastValue(COMPLEX, "aten::Complex")),
    "str": _magic("__str__", CastValue(STRING, "aten::str")),
    "len": _magic("__len__", BuiltinValue("aten::len")),
    "hex": _magic("__hex__", BuiltinValue("aten::hex")),
    "oct": _magic("__oct__", BuiltinValue("aten::oct")),
    "round": _magic("__round__", BuiltinValue("aten::round")),
    "AssertionError": AssertionErrorValue(),
    **{
        name: SpecialForm(name)
        for name in ("tuple", "getattr", "hasattr", "isinstance", "list", "dict", "range", "zip", "enumerate")
    },
    **{
        name: BuiltinValue(f"aten::{name}")
        for name in ("hash", "all", "any", "divmod", "sum", "ord", "chr", "bin", "pow", "sorted")
    },
    **{name: BuiltinValue(f"prim::{name}") for name in ("id", "min", "max", "abs", "rangelist")},
}
"""Names that mean the same everywhere."""


class OperatorNamespace(SugaredValue):
    """`torch` or `ops.prim` in archives and strings: attributes are operators."""

    kind = "builtin module"

    def __init__(self, space: str, prefix: str = "") -> None:
        self.space = space
        self.prefix = prefix

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        if self.space == "aten" and name == "jit":
            return SpecialForms()
        return BuiltinValue(f"{self.space}::{self.prefix}{name}")


class OperatorNamespaces(SugaredValue):
    """`ops`: its attributes are namespaces of operators."""

    kind = "ops"

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        return OperatorNamespace(name)


class SpecialForms(SugaredValue):
    """`torch.jit` in strings."""

    kind = "jit"

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        return SpecialForm(name)


_NUMBERS = {
    "inf": math.inf,
    "nan": math.nan,
    "infj": complex(0, math.inf),
    "nanj": complex(0, math.nan),
}


class StringResolver(Resolver):
    """The environment of strings and archives, with the functions and types defined beside the text."""

    def __init__(
        self, functions: Mapping[str, Function] | None = None, types: Mapping[str, Type] | None = None
    ) -> None:
        self.functions = functions if functions is not None else {}
        self.types = types if types is not None else {}

    def value(self, name: str, writer: GraphWriter, source: SourceRange | None) -> SugaredValue | None:
        if name in self.functions:
            return FunctionValue(self.functions[name])
        if name == "torch":
            return OperatorNamespace("aten")
        if name == "ops":
            return OperatorNamespaces()
        if name in ("annotate", "unchecked_cast", "uninitialized", "fork"):
            return SpecialForm(name)
        if name in _NUMBERS:
            return SimpleValue(writer.constant(_NUMBERS[name], source))
        return value_of_type(self.types.get(name))

    def type(self, name: str, source: SourceRange | None) -> Type | None:
        return self.types.get(name)


def value_of_type(type_: Type | None) -> SugaredValue | None:
    """What the name of a type stands for in an expression: a constructor or an enumeration."""
    if isinstance(type_, ClassType):
        return ClassValue(type_)
    if isinstance(type_, TupleType) and type_.fields:
        return NamedTupleConstructor(type_)
    return EnumClassValue(enum_class(type_)) if isinstance(type_, EnumType) else None
