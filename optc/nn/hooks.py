"""Hooks around a module's forward: the handle that removes one, and the hooks that hold for every module."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

Hook = Callable[..., Any]
Flags = Sequence[tuple[OrderedDict[int, bool], bool]]

global_forward_pre_hooks: OrderedDict[int, Hook] = OrderedDict()
global_forward_hooks: OrderedDict[int, Hook] = OrderedDict()
global_forward_hooks_with_kwargs: OrderedDict[int, bool] = OrderedDict()
global_forward_hooks_always_called: OrderedDict[int, bool] = OrderedDict()


class RemovableHandle:
    """Removes the hook it was returned for: by `remove()`, or at the end of a `with` block.

    Registries are held weakly, so that a handle keeps no module alive.
    """

    next_id: ClassVar[int] = 0

    def __init__(self, registry: OrderedDict[int, Any], flags: Iterable[OrderedDict[int, bool]] = ()) -> None:
        """`flags` are the further registries that may say something about the same hook."""
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        self._registries = [weakref.ref(registry), *(weakref.ref(flag) for flag in flags)]

    def remove(self) -> None:
        """Take the hook away; does nothing when it is gone already."""
        for reference in self._registries:
            registry = reference()
            if registry is not None:
                registry.pop(self.id, None)

    def __getstate__(self) -> dict[str, Any]:
        return {"id": self.id, "registries": [reference() for reference in self._registries]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.id = state["id"]
        registries = [OrderedDict() if registry is None else registry for registry in state["registries"]]
        self._registries = [weakref.ref(registry) for registry in registries]
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def add_hook(registry: OrderedDict[int, Hook], hook: Hook, flags: Flags = (), prepend: bool = False) -> RemovableHandle:
    """Register `hook`, first in line when `prepend`; `flags` pairs each flag registry with whether it is set."""
    handle = RemovableHandle(registry, [flag_registry for flag_registry, _ in flags])
    registry[handle.id] = hook
    for flag_registry, is_set in flags:
        if is_set:
            flag_registry[handle.id] = True
    if prepend:
        registry.move_to_end(handle.id, last=False)
    return handle


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """Call `hook(module, args)` before the forward of every module, before the module's own hooks."""
    return add_hook(global_forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after the forward of every module, before the module's own hooks.

    `with_kwargs`: the hook takes the keyword arguments between `args` and `output`.
    `always_call`: the hook runs even when forward, or an earlier hook, raises.
    """
    flags = ((global_forward_hooks_with_kwargs, with_kwargs), (global_forward_hooks_always_called, always_call))
    return add_hook(global_forward_hooks, hook, flags)
