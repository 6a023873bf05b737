"""Script classes and interfaces: plain Python classes whose methods are compiled."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from optc.errors import ScriptError
from optc.ir.function import ClassType, Function
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import NONE, Type
from optc.jit.annotations import SCRIPT_CLASSES
from optc.jit.frontend.data_classes import Method, made_methods
from optc.jit.frontend.library import library_class
from optc.jit.frontend.python_source import PythonResolver, read_function, variables_of
from optc.jit.frontend.signatures import read_signature
from optc.jit.frontend.simple import SimpleValue
from optc.jit.frontend.source import Source
from optc.jit.frontend.type_expressions import TypeExpressions
from optc.jit.names import NAMES, qualified_name

if TYPE_CHECKING:
    from optc.jit.recursive import Recursion


class ClassCompiler:
    """Compiles classes once each."""

    def __init__(self, recursion: Recursion) -> None:
        self.recursion = recursion
        self.types = SCRIPT_CLASSES

    def type_of(self, class_: type) -> Type | None:
        """The class's type, compiled now if the class can be: own `__init__`, no builtin."""
        if class_ in self.types:
            return self.types[class_]
        from_library = library_class(class_)
        if from_library is not None:
            return from_library
        return self.compile(class_) if can_compile(class_) else None

    def compile(self, class_: type) -> ClassType:
        """Compile a class. Raises ScriptError for what script classes do not have."""
        if class_ in self.types:
            return self.types[class_]
        if getattr(class_, "__torch_script_interface__", False):
            return self.interface(class_)
        type_ = ClassType(NAMES.claim(qualified_name(class_)))
        self.types[class_] = type_
        try:
            self._define_members(class_, type_)
        except Exception:
            del self.types[class_]
            raise
        return type_

    def _define_members(self, class_: type, type_: ClassType) -> None:
        for name, member in vars(class_).items():
            if isinstance(member, staticmethod):
                function = self.recursion.compile_function(member.__func__)
                type_.static_methods[name] = function
            elif inspect.isfunction(member) and _is_synthesized(class_, name):
                made = made_methods(class_).get(name)
                if made is not None:
                    self._made_method(class_, type_, name, made)
            elif inspect.isfunction(member):
                self._method(type_, name, member)
            elif isinstance(member, property):
                self._property(type_, name, member)
        for name in ("__init__", *type_.methods):
            if name in type_.methods:
                type_.methods[name].ensure_defined()

    def _method(self, type_: ClassType, name: str, python: Any) -> Function:
        resolver = PythonResolver(
            {**variables_of(python), type_.name.rpartition(".")[2]: _class_of(self, type_)}, self.recursion
        )
        function = Function(
            f"{type_.name}.{name}",
            define=lambda made: self.recursion.define(made, python, resolver, type_, SimpleValue),
        )
        type_.methods[name] = function
        return function

    def _made_method(self, class_: type, type_: ClassType, name: str, made: Method) -> None:
        resolver = PythonResolver({**vars(inspect.getmodule(class_)), **made.types}, self.recursion)
        definition = ast.parse(made.text).body[0]
        assert isinstance(definition, ast.FunctionDef)

        def define(function: Function) -> None:
            self.recursion.define_tree(
                function, definition, Source(made.text), resolver, made.defaults, type_, SimpleValue
            )

        type_.methods[name] = Function(f"{type_.name}.{name}", define=define)

    def _property(self, type_: ClassType, name: str, member: property) -> None:
        getter = self._method(type_, f"__{name}_getter", member.fget)
        setter = self._method(type_, f"__{name}_setter", member.fset) if member.fset is not None else None
        type_.properties[name] = (getter, setter)

    def interface(self, class_: type) -> ClassType:
        """The type of a class marked `@interface`: the signatures of its methods."""
        if class_ in self.types:
            return self.types[class_]
        type_ = ClassType(NAMES.claim(qualified_name(class_)), is_module=False, is_interface=True)
        self.types[class_] = type_
        for name, member in vars(class_).items():
            if inspect.isfunction(member):
                type_.methods[name] = self._interface_method(type_, name, member)
        return type_

    def _interface_method(self, type_: ClassType, name: str, python: Any) -> Function:
        node, source = read_function(python)
        if node.returns is None:
            raise ScriptError("interface declarations must have a return type annotated.", source.range(node))
        if not isinstance(node.body[-1], ast.Pass | ast.Expr):
            raise ScriptError("interfaces declarations should contain 'pass' statement.", source.range(node))
        types = TypeExpressions(PythonResolver(variables_of(python), self.recursion), source)
        signature = read_signature(node, source.text, types, True, {})
        arguments = (Argument(signature.arguments[0].name, type_), *signature.arguments[1:])
        returns = signature.returns if signature.returns is not None else NONE
        return Function(f"{type_.name}.{name}", FunctionSchema(name, "", arguments, (Argument("", returns),)))


def _is_synthesized(class_: type, name: str) -> bool:
    """True for methods that `@dataclass` made, or took from its own module (`__replace__` from Python 3.13 on)."""
    if not dataclasses.is_dataclass(class_):
        return False
    file = inspect.unwrap(vars(class_)[name]).__code__.co_filename
    return not file.endswith(".py") or file == dataclasses.__file__


def _class_of(compiler: ClassCompiler, type_: ClassType) -> type | None:
    return next((class_ for class_, known in compiler.types.items() if known is type_), None)


def can_compile(class_: type) -> bool:
    """True for classes that may be compiled without being asked: their `__init__` has Python source."""
    if class_.__module__ in ("builtins", "typing") or getattr(class_, "__flags__", 0) & (1 << 9) == 0:
        return False
    if getattr(class_, "__torch_script_interface__", False) or issubclass(class_, BaseException):
        return False
    if class_.__module__.partition(".")[0] == "optc" or issubclass(class_, tuple | list):
        return False
    if dataclasses.is_dataclass(class_):
        return True
    return "__init__" in vars(class_) and _has_source(vars(class_)["__init__"])


def _has_source(function: Any) -> bool:
    try:
        read_function(function)
    except ScriptError:
        return False
    return True
