"""What scripting, tracing and loading give back: modules, methods and functions whose bodies are graphs.

A `ScriptModule` is an `nn.Module` over a `ScriptObject` (its `_c`): parameters, buffers and attributes live in the
object, where compiled code reads and writes them; submodules are wrapped in turn.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, NoReturn

import numpy as np

from optc.archive import writer
from optc.eager.dispatch import wrap
from optc.eager.tensor import Tensor
from optc.ir.function import ClassAttribute, ClassType, Function, ScriptObject
from optc.ir.graph import Graph
from optc.ir.schema import FunctionSchema
from optc.ir.types import Type
from optc.jit.annotations import python_class_of
from optc.jit.arguments import WrongType, convert
from optc.jit.calls import call_function
from optc.jit.code_printer import print_function
from optc.jit.devices import with_devices
from optc.jit.inlined_graphs import inlined
from optc.jit.names import base_name
from optc.nn.modules.module import Module
from optc.ops.byte_strings import bytes_of


class ConstMap:
    """The constants `c0`, `c1` ... that `.code_with_constants` refers to as `CONSTANTS.c0`."""

    def __init__(self, const_mapping: dict[str, Any]) -> None:
        self.const_mapping = const_mapping

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.const_mapping:
            raise AttributeError(name)
        return self.const_mapping[name]


class _Compiled:
    """What functions and methods share."""

    _function: Function

    @property
    def name(self) -> str:
        """The name without the module it is in."""
        return self._function.base_name

    @property
    def qualified_name(self) -> str:
        """The name with everything around it."""
        return self._function.name

    @property
    def schema(self) -> FunctionSchema:
        """Arguments and result."""
        return self._function.schema

    @property
    def graph(self) -> Graph:
        """The captured graph."""
        return self._function.graph

    @property
    def inlined_graph(self) -> Graph:
        """A copy of the graph with all calls inlined."""
        return inlined(self._function.graph)

    @property
    def code(self) -> str:
        """The graph as TorchScript source; constants that source cannot write are `CONSTANTS.cN`."""
        return self.code_with_constants[0]

    @property
    def code_with_constants(self) -> tuple[str, ConstMap]:
        """The source and its constants."""
        text, constants = print_function(self._function)
        return text, ConstMap({f"c{place}": _as_tensor(value) for place, value in enumerate(constants)})


def _as_tensor(value: Any) -> Any:
    return wrap(value) if isinstance(value, np.ndarray) else value


class ScriptFunction(_Compiled):
    """A compiled function. Calling it runs its graph in the interpreter."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self.__doc__ = function.documentation
        self.__name__ = "ScriptFunction"

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return to_python(call_function(self._function, None, arguments, keywords), self._function.result_type)

    def graph_for(self, *arguments: Any, **keywords: Any) -> Graph:
        """The graph that runs for these arguments: the interpreter runs the inlined one, whatever they are."""
        return self.inlined_graph

    def save(self, f: Any, _extra_files: dict[str, Any] | None = None) -> None:
        """Write an archive with a module whose `forward` is this function."""
        writer.save_function(self._function, f, _extra_files)

    def save_to_buffer(self) -> bytes:
        """The archive as bytes."""
        return writer.function_to_bytes(self._function)

    def __repr__(self) -> str:
        return f"<torch.jit.ScriptFunction object at {id(self):#x}>"


class ScriptMethod(_Compiled):
    """A method bound to the object it runs on."""

    def __init__(self, owner: ScriptObject, function: Function) -> None:
        self.owner = owner
        self._function = function
        self.__doc__ = function.documentation

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return to_python(call_function(self._function, self.owner, arguments, keywords), self._function.result_type)

    def graph_for(self, *arguments: Any, **keywords: Any) -> Graph:
        """The graph that runs for these arguments: the interpreter runs the inlined one, whatever they are."""
        return self.inlined_graph

    def __repr__(self) -> str:
        return f"<torch.ScriptMethod object at {id(self):#x}>"


class _Members(MutableMapping[str, Any]):
    """The parameters, or the buffers, of a script object: a live view under their names."""

    def __init__(self, target: ScriptObject, belongs: Callable[[ClassAttribute], bool], kind: str) -> None:
        self._target = target
        self._belongs = belongs
        self._kind = kind

    def _has(self, name: object) -> bool:
        attribute = self._target.type.attributes.get(name) if isinstance(name, str) else None
        return attribute is not None and self._belongs(attribute)

    def __getitem__(self, name: str) -> Any:
        if not self._has(name):
            raise KeyError(name)
        return self._target.values.get(name)

    def __setitem__(self, name: str, value: Any) -> None:
        if not self._has(name):
            raise RuntimeError(f"Can't add a new {self._kind} after ScriptModule construction. Tried to add '{name}")
        self._target.values[name] = value

    def __delitem__(self, name: str) -> NoReturn:
        raise RuntimeError(f"cannot delete {self._kind}s of ScriptModule or call del self._parameters['{name}']")

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._target.type.attributes if self._has(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return self._has(name)


def is_module_attribute(attribute: ClassAttribute) -> bool:
    """True for the slot of a submodule."""
    return isinstance(attribute.type, ClassType) and attribute.type.is_module


class ScriptModule(Module):
    """Base of modules whose methods are graphs. Attributes are those of the script object; new ones stay in Python."""

    _c: ScriptObject

    @property
    def original_name(self) -> str:
        """The class's name in Python."""
        return base_name(self._c.type.name)

    def extra_repr(self) -> str:
        return f"original_name={self.original_name}"


class ObjectModule(ScriptModule):
    """A module over a script object. `submodules` gives wrappers that exist already, by the name of the slot."""

    def __init__(self, target: ScriptObject, submodules: dict[str, Module] | None = None) -> None:
        super().__init__()
        known = submodules or {}
        own = self.__dict__
        del own["training"]
        own["_c"] = target
        own["_methods"] = {}
        own["_parameters"] = _Members(target, lambda attribute: attribute.is_parameter, "parameter")
        own["_buffers"] = _Members(target, lambda attribute: attribute.is_buffer, "buffer")
        modules: dict[str, Any] = {}
        for name, attribute in target.type.attributes.items():
            value = target.values.get(name)
            if is_module_attribute(attribute) and isinstance(value, ScriptObject):
                modules[name] = known.get(name) or RecursiveScriptModule(value)
        own["_modules"] = modules
        for name in target.type.methods:
            if name != "forward" and hasattr(ObjectModule, name):  # the compiled method hides nn.Module's
                own[name] = self._method(target, name)
        for function in target.type.forward_pre_hooks:
            self.register_forward_pre_hook(_hook(target, function))
        for function in target.type.forward_hooks:
            self.register_forward_hook(_hook(target, function))

    def __getattr__(self, name: str) -> Any:
        target: ScriptObject | None = self.__dict__.get("_c")
        if target is None:
            raise AttributeError(f"'RecursiveScriptModule' object has no attribute '{name}'")
        if name in self._modules:
            return self._modules[name]
        if name in target.type.attributes:
            return to_python(target.values.get(name), target.type.attributes[name].type)
        method = self._method(target, name)
        if method is not None:
            return method
        if name in target.type.properties:
            getter = target.type.properties[name][0]
            return to_python(call_function(getter, target, (), {}), getter.result_type)
        if name in target.type.constants:
            return target.type.constants[name]
        raise AttributeError(f"'RecursiveScriptModule' object has no attribute '{name}'")

    def _method(self, target: ScriptObject, name: str) -> ScriptMethod | None:
        function = target.type.methods.get(name)
        if function is None:
            return None
        known: dict[str, ScriptMethod] = self.__dict__["_methods"]
        if name not in known or known[name]._function is not function:
            known[name] = ScriptMethod(target, function)
        return known[name]

    def __setattr__(self, name: str, value: Any) -> None:
        target: ScriptObject | None = self.__dict__.get("_c")
        if target is None or not self._is_compiled(target, name):
            object.__setattr__(self, name, value)
            return
        attribute = target.type.attributes.get(name)
        if attribute is None:
            self._set_other(target, name, value)
        elif is_module_attribute(attribute):
            raise RuntimeError(
                f"Cannot re-assign modules in a ScriptModule with non-scripted module, tried to replace existing module "
                f"'{name}': {value}"
            )
        else:
            target.values[name] = self._fitting(name, attribute, value)

    @staticmethod
    def _is_compiled(target: ScriptObject, name: str) -> bool:
        type_ = target.type
        return name in type_.attributes or name in type_.constants or name in type_.properties

    @staticmethod
    def _fitting(name: str, attribute: ClassAttribute, value: Any) -> Any:
        try:
            return convert(value, attribute.type)
        except WrongType as detail:
            raise RuntimeError(
                f"Could not cast attribute '{name}' to type {attribute.type.annotation}: {detail}"
            ) from None

    @staticmethod
    def _set_other(target: ScriptObject, name: str, value: Any) -> None:
        setter = target.type.properties[name][1] if name in target.type.properties else None
        if setter is None:
            raise AttributeError(f"Cannot mutate TorchScript constant value: '{name}'. Value: '{value}'")
        call_function(setter, target, (value,), {})

    def train(self, mode: bool = True) -> Any:
        """Set training mode here and below, where the module has one (a frozen module has none)."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")  # noqa: TRY004  PyTorch's choice
        if "training" in self._c.type.attributes:
            self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    @property
    def forward(self) -> ScriptMethod:  # type: ignore[override]
        """The compiled `forward`."""
        return self._forward_method

    @property
    def graph(self) -> Graph:
        """The graph of `forward`."""
        return self._forward_method.graph

    @property
    def inlined_graph(self) -> Graph:
        """The graph of `forward` with all calls inlined."""
        return self._forward_method.inlined_graph

    @property
    def code(self) -> str:
        """The source of `forward`."""
        return self._forward_method.code

    @property
    def code_with_constants(self) -> tuple[str, ConstMap]:
        """The source of `forward` and the constants it names."""
        return self._forward_method.code_with_constants

    @property
    def _forward_method(self) -> ScriptMethod:
        method = self._method(self._c, "forward")
        if method is None:
            raise AttributeError("'RecursiveScriptModule' object has no attribute 'forward'")
        return method

    def graph_for(self, *arguments: Any, **keywords: Any) -> Graph:
        """The graph that runs for these arguments."""
        return self._forward_method.graph_for(*arguments, **keywords)

    def save(self, f: Any, _extra_files: dict[str, Any] | None = None) -> None:
        """Write a TorchScript archive to a path or a binary file object."""
        writer.save_module(self._c, f, _extra_files)

    def save_to_buffer(self, _extra_files: dict[str, Any] | None = None) -> bytes:
        """The archive as bytes."""
        return writer.module_to_bytes(self._c, _extra_files)

    def get_debug_state(self) -> NoReturn:
        """Raises NotImplementedError: there is no profiling executor to look into."""
        raise NotImplementedError("optc's interpreter keeps no execution plans")

    def __dir__(self) -> list[str]:
        type_ = self._c.type
        names = (*dir(type(self)), *self.__dict__, *type_.attributes, *type_.methods, *type_.constants)
        return sorted({name for name in names if not name[0].isdigit()})

    def __copy__(self) -> ObjectModule:
        target = self._c
        return RecursiveScriptModule(ScriptObject(target.type, dict(target.values)))

    def __deepcopy__(self, memo: dict[int, Any]) -> ObjectModule:
        return RecursiveScriptModule(_deep_copy(self._c, memo))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise RuntimeError("ScriptModules cannot be pickled: save them with torch.jit.save")


class RecursiveScriptModule(ObjectModule):
    """A scripted or loaded module. What was a Sequential or ModuleList has a length and can be indexed."""

    def __len__(self) -> int:
        return len(self._numbered_modules())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._numbered_modules())

    def __getitem__(self, place: int) -> Any:
        return self._numbered_modules()[place]

    def __bool__(self) -> bool:
        return True

    def _numbered_modules(self) -> list[Any]:
        """The submodules of what was a Sequential or ModuleList. Raises TypeError for other modules."""
        if list(self._modules) != [str(place) for place in range(len(self._modules))]:
            raise TypeError(f"object of type '{type(self).__name__}' has no len()")
        return list(self._modules.values())


def _hook(target: ScriptObject, function: Function) -> Callable[..., Any]:
    def run(_: Module, *arguments: Any) -> Any:
        return to_python(call_function(function, target, arguments, {}), function.result_type)

    return run


def _deep_copy(target: ScriptObject, memo: dict[int, Any]) -> ScriptObject:
    if id(target) in memo:
        found: ScriptObject = memo[id(target)]
        return found
    twin = memo[id(target)] = ScriptObject(target.type)
    for name, value in target.values.items():
        twin.values[name] = _deep_copy(value, memo) if isinstance(value, ScriptObject) else copy.deepcopy(value, memo)
    return twin


class RecursiveScriptClass:
    """An instance of a script class seen from Python: attributes and methods of the object."""

    def __init__(self, target: ScriptObject) -> None:
        self.__dict__["_c"] = target

    def __getattr__(self, name: str) -> Any:
        target: ScriptObject = self.__dict__["_c"]
        if name in target.type.attributes:
            return to_python(target.values.get(name), target.type.attributes[name].type)
        function = target.type.methods.get(name)
        if function is not None:
            return ScriptMethod(target, function)
        if name in target.type.properties:
            getter = target.type.properties[name][0]
            return to_python(call_function(getter, target, (), {}), getter.result_type)
        raise AttributeError(f"'{base_name(target.type.name)}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        target: ScriptObject = self.__dict__["_c"]
        attribute = target.type.attributes.get(name)
        if attribute is None:
            raise AttributeError(f"'{base_name(target.type.name)}' object has no attribute '{name}'")
        target.values[name] = ObjectModule._fitting(name, attribute, value)

    def __repr__(self) -> str:
        return f"<torch.ScriptObject object of {self.__dict__['_c'].type.name}>"


def to_python(value: Any, type_: Type) -> Any:
    """A result of compiled code, of a declared type, as Python sees it: objects get their wrappers.

    Raises UnicodeDecodeError for a string that is a part of a character.
    """
    return with_devices(_with_wrappers(value), type_)


def _instance(value: ScriptObject) -> Any:
    """An instance of the object's class in Python with what the object holds, as PyTorch makes it."""
    class_ = python_class_of(value.type)
    if class_ is None:
        return RecursiveScriptClass(value)
    made: Any = object.__new__(class_)
    for name, attribute in value.type.attributes.items():
        setattr(made, name, to_python(value.values[name], attribute.type))
    return made


def _with_wrappers(value: Any) -> Any:
    if isinstance(value, ScriptObject):
        return RecursiveScriptModule(value) if value.type.is_module else _instance(value)
    if isinstance(value, Tensor) or value is None or isinstance(value, int | float | complex):
        return value
    if isinstance(value, str):
        return value if value.isascii() else bytes_of(value).decode()
    if isinstance(value, tuple):
        items = [_with_wrappers(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [_with_wrappers(item) for item in value]
    if isinstance(value, dict):
        return {_with_wrappers(key): _with_wrappers(item) for key, item in value.items()}
    return value
