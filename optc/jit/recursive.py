"""Scripting Python: functions, classes and modules become compiled ones, and so does everything they reach.

`compile_function`, `compile_module` and `compile_class` are what `jit.script` is made of; `compile_source` takes text.
"""

from __future__ import annotations

import ast
import inspect
import threading
from collections.abc import Mapping
from typing import Any

from optc.errors import ScriptError
from optc.ir.function import ClassType, Function, ScriptObject
from optc.ir.schema import FunctionSchema
from optc.ir.types import Type
from optc.jit import markers, vocabulary
from optc.jit.annotations import Annotations, script_object_of
from optc.jit.frontend.concrete import ModuleCompiler
from optc.jit.frontend.definitions import Compiling
from optc.jit.frontend.emitter import MakeSelf, emit_function
from optc.jit.frontend.library import library_choice, library_class, library_function
from optc.jit.frontend.python_source import PythonResolver, read_function, variables_of
from optc.jit.frontend.python_values import ignored_schema
from optc.jit.frontend.resolver import Resolver, StringResolver
from optc.jit.frontend.script_classes import ClassCompiler
from optc.jit.frontend.signatures import read_signature
from optc.jit.frontend.source import Source
from optc.jit.frontend.syntax import normalize
from optc.jit.frontend.type_expressions import TypeExpressions
from optc.jit.names import NAMES, qualified_name
from optc.nn.modules.module import Module

_UNUSED_BODY = ast.parse('raise RuntimeError("Cannot call @unused methods")').body


class Recursion:
    """Everything that was compiled from Python so far, so that each thing is compiled once."""

    def __init__(self) -> None:
        self.functions: dict[Any, list[Function]] = {}
        self.annotations = Annotations(self.class_type)
        self.classes = ClassCompiler(self)
        self.modules = ModuleCompiler(self)

    def compile_function(self, function: Any) -> Function:
        """The compiled form of a Python function. Raises ScriptError."""
        return self.compile_functions(function)[0]

    def compile_functions(self, function: Any) -> list[Function]:
        """The compiled forms of a function: one per declared overload, usually one. Bodies compile when needed."""
        compiled = self.compiled_function_of(function)
        if compiled is not None:
            return compiled
        if getattr(function, "__script_if_tracing_wrapper", False):
            return self.compile_functions(getattr(function, "__original_fn"))
        from_library = library_function(function)
        if from_library is not None:
            return [from_library]
        overloads = markers.overloads_of(function)
        if overloads:
            made = [self._new_function(function, overload) for overload in overloads]
        else:
            made = [self._new_function(function, None)]
        self.functions[function] = made
        return made

    def compiled_function_of(self, value: Any) -> list[Function] | None:
        """The compiled functions behind a Python object, None when it is not compiled."""
        inner = getattr(value, "_function", None) if not inspect.isclass(value) else None
        if isinstance(inner, Function):
            return [inner]
        try:
            return self.functions.get(value)
        except TypeError:  # unhashable: no function
            return None

    def _new_function(self, python: Any, signature_of: Any) -> Function:
        name = NAMES.claim(qualified_name(python))
        resolver = PythonResolver(variables_of(python), self)
        function = Function(name, define=lambda made: self.define(made, python, resolver, signature_of=signature_of))
        function.documentation = python.__doc__
        return function

    def define(
        self,
        function: Function,
        python: Any,
        resolver: Resolver,
        self_type: Type | None = None,
        make_self: MakeSelf | None = None,
        signature_of: Any = None,
    ) -> None:
        """Compile the body of a Python function into `function`; `signature_of` is an overload's declaration."""
        node, source = read_function(python)
        node.name = function.base_name
        if markers.modifier_of(python) == markers.UNUSED:
            node.body = [ast.copy_location(statement, node) for statement in _UNUSED_BODY]
            for statement in node.body:
                for child in ast.walk(statement):
                    ast.copy_location(child, node)
        defaults = self.default_arguments(python)
        for name, value in defaults.items():
            if isinstance(value, list | dict | set):
                raise ScriptError(f"{_MUTABLE} Found {type(value)} on parameter {name}", source.range(node))
        self.define_tree(function, node, source, resolver, defaults, self_type, make_self, signature_of)

    def define_tree(
        self,
        function: Function,
        node: ast.FunctionDef,
        source: Source,
        resolver: Resolver,
        defaults: Mapping[str, Any],
        self_type: Type | None = None,
        make_self: MakeSelf | None = None,
        signature_of: Any = None,
    ) -> None:
        """Compile a syntax tree into `function`."""
        is_method = self_type is not None
        with Compiling(function, source.range(node)):
            if is_method and not node.args.args:
                raise ScriptError("methods must have a self argument", source.range(node))
            declaration, declared_in = node, source
            if signature_of is not None:
                declaration, declared_in = read_function(signature_of)
                defaults = {**self.default_arguments(signature_of), **defaults}
            normalize(node, source, nested_definitions=isinstance(resolver, StringResolver))
            types = TypeExpressions(resolver, declared_in)
            signature = read_signature(declaration, declared_in.text, types, is_method, defaults)
            emit_function(function, node, source, resolver, signature, self_type, make_self)

    @staticmethod
    def default_arguments(python: Any) -> dict[str, Any]:
        """Default values by argument name, dtypes and devices as graphs write them."""
        parameters = inspect.signature(python).parameters.values()
        given = {
            parameter.name: parameter.default
            for parameter in parameters
            if parameter.default is not inspect.Parameter.empty
        }
        return {name: _graph_value(value) for name, value in given.items()}

    def ignored_signature(self, python: Any) -> FunctionSchema:
        """The signature of a function that stays in Python, from its annotations."""
        node, source = read_function(python)
        resolver = PythonResolver(variables_of(python), self)
        types = TypeExpressions(resolver, source)
        is_method = bool(node.args.args) and node.args.args[0].arg == "self"
        signature = read_signature(node, source.text, types, is_method, {})
        arguments = [(argument.name, argument.type) for argument in signature.arguments]
        return ignored_schema(python.__name__, arguments, signature.returns)

    def class_type(self, class_: type) -> Type | None:
        """The type of a Python class: compiled as a script class if it can be, None for modules and others."""
        if getattr(class_, "__torch_script_interface__", False):
            return self.classes.interface(class_)
        if self.is_module_class(class_):
            return None
        return self.classes.type_of(class_)

    def module_type_of(self, class_: type) -> ClassType | None:
        """The type of a module class that has been compiled, for `isinstance`."""
        return self.modules.first_type(class_) if self.is_module_class(class_) else None

    @staticmethod
    def is_library(value: Any) -> bool:
        """True for Python functions and classes of optc that stand for code of their own in scripts."""
        if inspect.isfunction(value) and value.__module__ == "optc.functional":
            return True
        is_function = library_function(value) is not None or library_choice(value) is not None
        return is_function or (inspect.isclass(value) and library_class(value) is not None)

    @staticmethod
    def is_module_class(class_: type) -> bool:
        """True for `nn.Module` and its subclasses."""
        return issubclass(class_, Module)

    @staticmethod
    def is_module(value: Any) -> bool:
        """True for modules."""
        return isinstance(value, Module)


_MUTABLE = (
    "Mutable default parameters are not supported because Python binds them to the function and they persist across "
    "function calls.\n As a workaround, make the default None and instantiate the default parameter within the body of "
    "the function."
)


def _graph_value(value: Any) -> Any:
    coded = vocabulary.constant_of(value)
    return coded[0] if coded is not None else value


RECURSION = Recursion()
"""What this process has compiled."""

_lock = threading.RLock()


def compile_function(function: Any) -> Function:
    """Compile a Python function and what it calls. Raises ScriptError with the user's line."""
    with _lock:
        compiled = RECURSION.compile_function(function)
        try:
            compiled.ensure_defined()
        except Exception:
            RECURSION.functions.pop(function, None)
            raise
        return compiled


def compile_module(module: Any) -> ScriptObject:
    """Compile a module: its type, `forward`, exported methods, and the object that shares its tensors.

    Raises ScriptError with the user's line.
    """
    existing = script_object_of(module)
    if existing is not None:
        return existing
    with _lock:
        return RECURSION.modules.compile(module)


def compile_class(class_: type) -> ClassType:
    """Compile a Python class as a script class. Raises ScriptError."""
    if len(class_.__mro__) > 2:
        raise ScriptError(
            "TorchScript classes does not support inheritance yet. Please directly inherit from 'object'."
        )
    with _lock:
        return RECURSION.classes.compile(class_)
