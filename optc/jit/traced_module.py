"""The modules a trace gives back: the class and object of an `nn.Module`'s tensors and submodules, and their wrappers."""

from __future__ import annotations

from typing import Any, NoReturn

from optc.eager.tensor import Tensor
from optc.ir.function import ClassAttribute, ClassType, ScriptObject
from optc.ir.types import BOOL, TENSOR, OptionalType
from optc.jit.module import ObjectModule, ScriptModule
from optc.jit.names import NAMES, qualified_name
from optc.nn.modules.module import Module


class TopLevelTracedModule(ObjectModule):
    """A traced module: it prints under the name of the class it was made from."""

    def _get_name(self) -> str:
        return self.original_name


class TracedModule(TopLevelTracedModule):
    """A submodule of a traced module. Its methods are only what the trace of the whole calls."""

    @property
    def forward(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError("Trace submodules cannot be called.")

    def __call__(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise RuntimeError("Trace submodules cannot be called.")


def traced_module(module: Module, kind: type[TopLevelTracedModule] = TopLevelTracedModule) -> ScriptModule:
    """A script module with the tensors and submodules of `module`, and no methods yet.

    Modules that are scripted already are used as they are. Raises ValueError when one module holds a tensor twice.
    """
    if isinstance(module, ScriptModule):
        return module
    tensors = _own_tensors(module)
    children = {
        name: traced_module(child, TracedModule) for name, child in module._modules.items() if child is not None
    }
    class_ = ClassType(NAMES.claim(qualified_name(type(module))), is_module=True)
    target = ScriptObject(class_)
    for name, tensor, is_parameter in tensors:
        _add(target, name, ClassAttribute(TENSOR, is_parameter, not is_parameter), tensor)
    _add(target, "training", ClassAttribute(BOOL), module.training)
    _add(target, "_is_full_backward_hook", ClassAttribute(OptionalType(BOOL)), None)
    for name, child in children.items():
        _add(target, name, ClassAttribute(child._c.type), child._c)
    return kind(target, dict(children))


def _add(target: ScriptObject, name: str, attribute: ClassAttribute, value: Any) -> None:
    target.type.attributes[name] = attribute
    target.values[name] = value


def _own_tensors(module: Module) -> list[tuple[str, Tensor, bool]]:
    found: list[tuple[str, Tensor, bool]] = []
    for members, is_parameter in ((module._parameters, True), (module._buffers, False)):
        for name, tensor in members.items():
            if tensor is not None:
                found.append((name, tensor, is_parameter))
    if len({id(tensor) for _, tensor, _ in found}) != len(found):
        raise ValueError("TracedModules don't support parameter sharing between modules")
    return found
