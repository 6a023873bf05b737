"""Module types: what a Python module's attributes are, which modules share a type, and the objects made from them."""

from __future__ import annotations

import inspect
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeAlias

from optc.dataclass import dataclass
from optc.errors import ScriptError, SourceRange
from optc.ir.function import ClassAttribute, ClassType, Function, ScriptObject
from optc.ir.graph import Value
from optc.ir.types import ANY, NONE, TENSOR, DictType, ListType, OptionalType, Type
from optc.jit import markers, vocabulary
from optc.jit.annotations import CannotInfer, infer_type, script_object_of
from optc.jit.frontend.callables import FunctionValue
from optc.jit.frontend.modules import ContainerKind, ModuleValue
from optc.jit.frontend.python_source import PythonResolver, variables_of
from optc.jit.frontend.python_values import IgnoredFunction
from optc.jit.frontend.simple import BuiltinValue, MethodValue
from optc.jit.frontend.string_source import define_text_method
from optc.jit.frontend.values import SugaredValue
from optc.jit.names import NAMES, qualified_name
from optc.nn.modules.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from optc.nn.modules.module import Module

if TYPE_CHECKING:
    from optc.jit.recursive import Recursion

_NOT_ATTRIBUTES = frozenset(
    {
        "_version", "_parameters", "_buffers", "_non_persistent_buffers_set", "_backward_hooks",
        "_backward_pre_hooks", "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called", "_state_dict_hooks",
        "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks", "_modules",
        "_initializing", "dump_patches",
    }
)  # fmt: skip


PythonClass: TypeAlias = type


@dataclass(eq=False)
class ConcreteModuleType:
    """The type of one or more equal modules, with what only their Python class knows."""

    compiler: ModuleCompiler
    type: ClassType
    python_class: PythonClass | None = None
    container: ContainerKind = ContainerKind.NONE
    submodules: dict[str, ConcreteModuleType] = field(default_factory=dict)
    functions: dict[str, list[Function]] = field(default_factory=dict)
    builtins: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    overloads: dict[str, list[str]] = field(default_factory=dict)
    hooks: tuple[tuple[Any, ...], ...] = ()
    is_compiled: bool = False

    def signature(self) -> tuple[object, ...]:
        """What must be equal for two modules to share a type."""
        slots = tuple(
            (name, slot.type, slot.is_parameter, slot.is_buffer)
            for name, slot in self.type.attributes.items()
            if name not in self.submodules
        )
        constants = tuple((name, repr(value)) for name, value in self.type.constants.items())
        submodules = tuple((name, id(concrete)) for name, concrete in self.submodules.items())
        functions = tuple((name, tuple(map(id, found))) for name, found in self.functions.items())
        return (self.container, slots, constants, submodules, functions, tuple(self.builtins.items()), self.hooks)

    def submodule(self, name: str) -> ConcreteModuleType | None:
        """The submodule's type; None for interfaces."""
        return self.submodules.get(name)

    def why_missing(self, name: str) -> str:
        """Why an attribute of the Python module is not there."""
        if name in self.failures:
            return self.failures[name]
        return "attribute was ignored during compilation" if name in self.ignored else ""

    def python_attribute(self, self_: Value, name: str, source: SourceRange | None) -> SugaredValue | None:
        """A function kept as an attribute, an overloaded method, or a method of the class that is compiled now."""
        if name in self.overloads:
            return MethodValue(self_, self.overloads[name])
        if name in self.functions:
            return FunctionValue(*self.functions[name])
        if name in self.builtins:
            return BuiltinValue(self.builtins[name])
        if self.python_class is None:
            return None
        return self.compiler.python_method(self, self_, name)


class ModuleCompiler:
    """Finds the types of modules, compiles their methods, and builds their objects."""

    def __init__(self, recursion: Recursion) -> None:
        self.recursion = recursion
        self.known: dict[type, list[ConcreteModuleType]] = {}
        self.by_type: dict[ClassType, ConcreteModuleType] = {}

    def compile(self, module: Module) -> ScriptObject:
        """The object of a module, its methods compiled. Raises ScriptError."""
        concrete = self.concrete_type(module)
        return self._object(module, concrete)

    def first_type(self, class_: type) -> ClassType | None:
        """The first type made for a module class."""
        found = self.known.get(class_)
        return found[0].type if found else None

    def concrete_type(self, module: Module) -> ConcreteModuleType:
        """The type of a module, shared with an equal one compiled before."""
        existing = script_object_of(module)
        if existing is not None:
            return self.of_compiled(existing.type)
        inferred = ModuleInference(self, module).infer()
        shared = self.known.setdefault(type(module), [])
        for candidate in shared:
            if candidate.signature() == inferred.signature():
                return candidate
        named = ConcreteModuleType(**{**inferred.__dict__, "type": _named(inferred.type, type(module))})
        shared.append(named)
        self.by_type[named.type] = named
        return named

    def of_compiled(self, type_: ClassType) -> ConcreteModuleType:
        """The concrete type of a module that is compiled already (scripted, traced or loaded)."""
        found = self.by_type.get(type_)
        if found is None:
            found = self.by_type[type_] = ConcreteModuleType(self, type_, is_compiled=True)
            for name, slot in type_.attributes.items():
                if isinstance(slot.type, ClassType) and slot.type.is_module:
                    found.submodules[name] = self.of_compiled(slot.type)
        return found

    def _object(self, module: Module, concrete: ConcreteModuleType) -> ScriptObject:
        existing = script_object_of(module)
        if existing is not None:
            return existing
        made = ScriptObject(concrete.type)
        for name, slot in concrete.type.attributes.items():
            value = getattr(module, name)
            if isinstance(value, Module):
                submodule = concrete.submodules.get(name)
                made.values[name] = self._object(value, submodule or self.concrete_type(value))
            else:
                made.values[name] = _slot_value(value, slot.type)
        if not concrete.is_compiled:
            concrete.is_compiled = True
            try:
                self._compile_methods(module, concrete)
            except Exception:
                self.known[type(module)].remove(concrete)
                raise
        return made

    def _compile_methods(self, module: Module, concrete: ConcreteModuleType) -> None:
        class_, type_ = type(module), concrete.type
        self._properties(class_, concrete)
        names = self._methods_to_compile(module, concrete)
        for name in names:
            self.add_method(concrete, name, getattr(class_, name))
        for name, declared in markers.method_overloads_of(class_).items():
            for overload, signature in zip(concrete.overloads[name], declared):
                self.add_method(concrete, overload, getattr(class_, name), signature)
        self._container_methods(module, concrete)
        self._hooks(module, concrete)
        for function in (*type_.forward_hooks, *type_.forward_pre_hooks):
            function.ensure_defined()
        for function in list(type_.methods.values()):
            function.ensure_defined()

    @staticmethod
    def _methods_to_compile(module: Module, concrete: ConcreteModuleType) -> list[str]:
        class_ = type(module)
        names: list[str] = []
        forward = getattr(class_, "forward", None)
        own_forward = forward is not None and forward is not Module.forward
        if own_forward and markers.modifier_of(forward) != markers.IGNORE and "forward" not in concrete.overloads:
            names.append("forward")
        for name, member in _members(class_).items():
            if callable(member) and name not in names and markers.modifier_of(member) == markers.EXPORT:
                names.append(name)
        return names

    def _container_methods(self, module: Module, concrete: ConcreteModuleType) -> None:
        type_ = concrete.type
        if isinstance(module, ModuleList | Sequential | ModuleDict) and "__len__" not in type_.methods:
            define_text_method(type_, f"def __len__(self):\n    return {len(module)}\n")
        if isinstance(module, ModuleDict) and "__contains__" not in type_.methods:
            keys = list(module.keys())
            test = f"key in {keys!r}" if keys else "False"
            define_text_method(type_, f"def __contains__(self, key: str):\n    return {test}\n")

    def _properties(self, class_: type, concrete: ConcreteModuleType) -> None:
        unused = getattr(class_, "__jit_unused_properties__", ())
        for name, member in _members(class_).items():
            if (
                not isinstance(member, property)
                or name in unused
                or markers.modifier_of(member.fget) in (markers.UNUSED, markers.IGNORE)
            ):
                continue
            getter = self._function(concrete, f"__{name}_getter", member.fget)
            setter = self._function(concrete, f"__{name}_setter", member.fset) if member.fset is not None else None
            concrete.type.properties[name] = (getter, setter)
            for function in (getter, setter):
                if function is not None:
                    concrete.type.methods[function.base_name] = function

    def _hooks(self, module: Module, concrete: ConcreteModuleType) -> None:
        type_ = concrete.type
        for hooks, target in (
            (module._forward_hooks, type_.forward_hooks),
            (module._forward_pre_hooks, type_.forward_pre_hooks),
        ):
            for hook in hooks.values():
                target.append(self._function(concrete, hook.__name__, hook))

    def _function(self, concrete: ConcreteModuleType, name: str, python: Any, signature_of: Any = None) -> Function:
        resolver = PythonResolver(variables_of(python), self.recursion)

        def make_self(value: Value) -> SugaredValue:
            return ModuleValue(value, concrete)

        def define(made: Function) -> None:
            self.recursion.define(made, python, resolver, concrete.type, make_self, signature_of)

        function = Function(f"{concrete.type.name}.{name}", define=define)
        function.documentation = getattr(python, "__doc__", None)
        return function

    def add_method(self, concrete: ConcreteModuleType, name: str, python: Any, signature_of: Any = None) -> Function:
        """Put a method on the type; its body compiles when it is needed."""
        function = self._function(concrete, name, python, signature_of)
        concrete.type.methods[name] = function
        return function

    def python_method(self, concrete: ConcreteModuleType, self_: Value, name: str) -> SugaredValue | None:
        """A method of the Python class that nobody has compiled yet; None when the class has none of that name."""
        assert concrete.python_class is not None
        member = inspect.getattr_static(concrete.python_class, name, None)
        if isinstance(member, staticmethod):
            return FunctionValue(*self.recursion.compile_functions(member.__func__))
        python = getattr(concrete.python_class, name, None)
        if python is None or not (inspect.isfunction(python) or inspect.ismethod(python)):
            return None
        if markers.modifier_of(python) in (markers.IGNORE, markers.UNUSED):
            return IgnoredFunction(python, self._ignored_signature(concrete, python), self_)
        self.add_method(concrete, name, getattr(python, "__func__", python))
        return MethodValue(self_, (name,))

    def _ignored_signature(self, concrete: ConcreteModuleType, python: Any) -> Any:
        schema = self.recursion.ignored_signature(python)
        first, *others = schema.arguments
        receiver = type(first)(first.name, concrete.type)
        return type(schema)(schema.name, "", (receiver, *others), schema.returns)


def _named(type_: ClassType, class_: type) -> ClassType:
    """The type under its unique name."""
    return ClassType(
        NAMES.claim(qualified_name(class_)),
        is_module=True,
        attributes=type_.attributes,
        constants=type_.constants,
        constant_types=type_.constant_types,
    )


def is_typed_attribute(value: Any) -> bool:
    """True for `jit.Attribute(value, type)`."""
    return isinstance(value, tuple) and getattr(value, "_fields", ()) == ("value", "type")


def _slot_value(value: Any, type_: Type) -> Any:
    """A Python attribute as compiled code sees it."""
    if is_typed_attribute(value):
        return _slot_value(value.value, type_)
    if isinstance(value, markers.Attribute):
        value = value.value
    coded = vocabulary.constant_of(value)
    if coded is not None:
        return coded[0]
    object_ = script_object_of(value)
    if object_ is not None:
        return object_
    if isinstance(type_, OptionalType):
        return None if value is None else _slot_value(value, type_.element)
    if isinstance(value, list) and isinstance(type_, ListType):
        return [_slot_value(item, type_.element) for item in value]
    if isinstance(value, dict) and isinstance(type_, DictType) and isinstance(type_.value, ClassType):
        return {key: _slot_value(item, type_.value) for key, item in value.items()}
    if isinstance(type_, ClassType) and type_.attributes and not type_.is_interface:
        return _object_of(value, type_)
    return value


def _object_of(value: Any, type_: ClassType) -> ScriptObject:
    """A Python object of a class that is compiled, with copies of its attributes as PyTorch makes them.

    Raises ScriptError for one that lacks an attribute.
    """
    lacking = [name for name in type_.attributes if not hasattr(value, name)]
    if lacking:
        raise ScriptError(f"an object of type {type(value).__name__} has no attribute {lacking[0]} of {type_.name}")
    attributes = type_.attributes.items()
    return ScriptObject(type_, {name: _slot_value(getattr(value, name), each.type) for name, each in attributes})


_CONTAINERS: list[tuple[Any, ContainerKind]] = [
    ((ModuleList, Sequential), ContainerKind.LIST),
    (ModuleDict, ContainerKind.DICT),
    (ParameterList, ContainerKind.PARAMETER_LIST),
    (ParameterDict, ContainerKind.PARAMETER_DICT),
]


class ModuleInference:
    """Reads one Python module: parameters, buffers, submodules, constants, then everything else it holds."""

    def __init__(self, compiler: ModuleCompiler, module: Module) -> None:
        self.compiler = compiler
        self.module = module
        self.class_ = type(module)
        self.annotations = compiler.recursion.annotations
        self.hints = self._class_hints()
        ignored = {name for name, hint in self.hints.items() if getattr(hint, "__name__", "") == "_Ignored"}
        ignored |= set(getattr(module, "__jit_ignored_attributes__", ()))
        self.concrete = ConcreteModuleType(compiler, ClassType("", is_module=True), self.class_)
        self.concrete.ignored = frozenset(ignored)
        self.slots = self.concrete.type.attributes

    def _class_hints(self) -> dict[str, Any]:
        hints: dict[str, Any] = {}
        for base in reversed(self.class_.__mro__):
            if base is not Module and issubclass(base, Module):
                hints.update(_evaluated_hints(base))
        return hints

    def infer(self) -> ConcreteModuleType:
        """The module's own concrete type, not yet shared or named."""
        module = self.module
        for classes, kind in _CONTAINERS:
            if isinstance(module, classes):
                self.concrete.container = kind
        for name, tensor in module._parameters.items():
            self._slot(name, tensor, is_parameter=True)
        for name, buffer in module._buffers.items():
            self._slot(name, buffer, is_buffer=True)
        constants = self._constants()
        modules = self._submodules()
        for name, value in module.__dict__.items():
            known = name in self.slots or name in modules or name in constants or name in _NOT_ATTRIBUTES
            if not known and name not in self.concrete.ignored:
                self._attribute(name, value)
        for name, (concrete, type_) in modules.items():
            self.slots[name] = ClassAttribute(type_)
            if concrete is not None:
                self.concrete.submodules[name] = concrete
        self._overloads()
        self.concrete.hooks = (tuple(module._forward_hooks.values()), tuple(module._forward_pre_hooks.values()))
        return self.concrete

    def _hinted(self, name: str) -> Type | None:
        if name not in self.hints:
            return None
        return self.annotations.type_of(self.hints[name])

    def _type(self, name: str, value: Any) -> Type:
        if is_typed_attribute(value):
            declared = self.annotations.type_of(value.type)
            if declared is not None:
                return declared
        hinted = self._hinted(name)
        if hinted is not None and hinted is not ANY:
            return hinted
        if isinstance(value, markers.Attribute):
            declared = self.annotations.type_of(value.type)
            if declared is None:
                raise CannotInfer(f"'{value.type}' is no type of the language")
            return declared
        return infer_type(value, self.annotations)

    def _slot(self, name: str, tensor: Any, is_parameter: bool = False, is_buffer: bool = False) -> None:
        if name in self.concrete.ignored:
            return
        type_ = self._type(name, tensor)
        self.slots[name] = ClassAttribute(type_, is_parameter, is_buffer)

    def _submodules(self) -> dict[str, tuple[ConcreteModuleType | None, Type]]:
        found: dict[str, tuple[ConcreteModuleType | None, Type]] = {}
        for name, module in self.module._modules.items():
            if name in self.concrete.ignored:
                continue
            if module is None:
                self.slots[name] = ClassAttribute(self._hinted(name) or NONE)
                continue
            hinted = self._hinted(name)
            if isinstance(hinted, ClassType) and hinted.is_interface:
                found[name] = (None, hinted)
                self.compiler.concrete_type(module)
                continue
            concrete = self.compiler.concrete_type(module)
            found[name] = (concrete, concrete.type)
        return found

    def _constants(self) -> set[str]:
        names = [name for name, hint in self.hints.items() if _is_final(hint)]
        names += [name for name in getattr(self.module, "__constants__", ()) if name not in names]
        found: set[str] = set()
        for name in names:
            if name in self.slots or name in self.module._modules or not hasattr(self.module, name):
                continue
            value = getattr(self.module, name)
            if self._constant(name, value):
                found.add(name)
        return found

    def _constant(self, name: str, value: Any) -> bool:
        if inspect.isroutine(value):
            return False
        coded = vocabulary.constant_of(value)
        plain = coded[0] if coded is not None else _as_tuples(value)
        try:
            type_ = infer_type(value if coded is not None else plain, self.annotations)
        except CannotInfer:
            return False
        if type_ is TENSOR:
            return False
        self.concrete.type.constants[name] = plain
        self.concrete.type.constant_types[name] = type_
        return True

    def _attribute(self, name: str, value: Any) -> None:
        if inspect.isfunction(value):
            self._function_attribute(name, value)
            return
        builtin = vocabulary.builtin_name(value)
        if builtin is not None:
            self.concrete.builtins[name] = builtin
            return
        compiled = self.compiler.recursion.compiled_function_of(value)
        if compiled is not None:
            self.concrete.functions[name] = compiled
            return
        try:
            self.slots[name] = ClassAttribute(self._type(name, value))
        except CannotInfer as reason:
            hint = " Its type was inferred; try adding a type annotation for the attribute."
            self.concrete.failures[name] = (
                "(This attribute exists on the Python module, but we failed to convert Python type: "
                f"'{type(value).__name__}' to a TorchScript type. {reason}.{hint})"
            )

    def _function_attribute(self, name: str, value: Any) -> None:
        builtin = vocabulary.builtin_name(value)
        if builtin is not None:
            self.concrete.builtins[name] = builtin
            return
        try:
            functions = self.compiler.recursion.compile_functions(value)
            for function in functions:
                function.ensure_defined()
        except ScriptError as error:
            self.compiler.recursion.functions.pop(value, None)
            self.concrete.failures[name] = (
                "(This function exists as an attribute on the Python module, but we failed to compile it to a "
                f"TorchScript function. \nThe error stack is reproduced here:\n{error})"
            )
            return
        self.concrete.functions[name] = functions

    def _overloads(self) -> None:
        for name, declared in markers.method_overloads_of(self.class_).items():
            self.concrete.overloads[name] = [f"{name}__{place}" for place in range(len(declared))]


def _as_tuples(value: Any) -> Any:
    """A constant, which nobody can change: tuples in place of lists."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list | tuple) else value


def _is_final(hint: Any) -> bool:
    text = hint if isinstance(hint, str) else str(hint)
    return text.startswith(("typing.Final", "Final", "torch.jit.Final", "jit.Final"))


def _evaluated_hints(class_: type) -> dict[str, Any]:
    """The class's annotations; those written as strings are evaluated where that is possible."""
    hints = inspect.get_annotations(class_)
    found: dict[str, Any] = {}
    for name, hint in hints.items():
        found[name] = hint
        if isinstance(hint, str):
            evaluated = _evaluated(hint, class_)
            found[name] = hint if evaluated is None else evaluated
    return found


def _evaluated(hint: str, class_: type) -> Any:
    try:
        return inspect.get_annotations(
            type("_", (), {"__annotations__": {"x": hint}, "__module__": class_.__module__}), eval_str=True
        )["x"]
    except NameError:
        return None


def _members(class_: type) -> dict[str, Any]:
    """What a class of modules and its bases define, by name in order, but for what all modules have."""
    bases = [base for base in reversed(class_.__mro__) if base not in (object, Module)]
    found = {name: member for base in bases for name, member in vars(base).items()}
    return dict(sorted(found.items()))
