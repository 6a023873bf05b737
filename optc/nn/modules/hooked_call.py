"""Calls of modules that somebody watches: hooks before and after `forward`, and the tracer around it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from optc.nn import hooks

if TYPE_CHECKING:
    from optc.nn.modules.module import Module


class ForwardInterceptor(Protocol):
    """Stands between a module's hooks and its forward: how the tracer learns which module it is in."""

    def __call__(
        self, module: Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], /
    ) -> Any: ...


class _Interception(threading.local):
    interceptor: ForwardInterceptor | None = None


_interception = _Interception()


def intercept_forward(interceptor: ForwardInterceptor | None) -> ForwardInterceptor | None:
    """Route the forward of modules called on this thread through `interceptor` (None: call it directly).

    Returns the interceptor there was before.
    """
    before, _interception.interceptor = _interception.interceptor, interceptor
    return before


def is_watched(module: Module) -> bool:
    """True for a module whose call is more than its `forward`."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or hooks.global_forward_hooks
        or hooks.global_forward_pre_hooks
        or _interception.interceptor is not None
    )


class HookedCall:
    """One call of a module that has hooks: what the arguments and the result are by now, and which hooks ran."""

    def __init__(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.module = module
        self.args = args
        self.kwargs = kwargs
        self.result: Any = None
        self.called: set[int] = set()

    def run(self) -> Any:
        try:
            self._run_pre_hooks()
            self._run_forward()
            for identity, hook in (*hooks.global_forward_hooks.items(), *self.module._forward_hooks.items()):
                self._run_hook(identity, hook)
        except Exception:
            self._run_remaining_always_called()
            raise
        return self.result

    def _run_forward(self) -> None:
        forward = self.module.forward
        interceptor = _interception.interceptor
        if interceptor is None:
            self.result = forward(*self.args, **self.kwargs)
        else:
            self.result = interceptor(self.module, forward, self.args, self.kwargs)

    def _run_pre_hooks(self) -> None:
        module = self.module
        for identity, hook in (*hooks.global_forward_pre_hooks.items(), *module._forward_pre_hooks.items()):
            if identity not in module._forward_pre_hooks_with_kwargs:
                args = hook(module, self.args)
                if args is not None:
                    self.args = args if isinstance(args, tuple) else (args,)
                continue
            replaced = hook(module, self.args, self.kwargs)
            if replaced is None:
                continue
            if not (isinstance(replaced, tuple) and len(replaced) == 2):
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
                )
            self.args, self.kwargs = replaced

    def _run_hook(self, identity: int, hook: Callable[..., Any]) -> None:
        self.called.add(identity)
        takes_kwargs = (
            identity in self.module._forward_hooks_with_kwargs or identity in hooks.global_forward_hooks_with_kwargs
        )
        arguments = (self.args, self.kwargs, self.result) if takes_kwargs else (self.args, self.result)
        replaced = hook(self.module, *arguments)
        if replaced is not None:
            self.result = replaced

    def _run_remaining_always_called(self) -> None:
        registries = (
            ("global module", hooks.global_forward_hooks, hooks.global_forward_hooks_always_called),
            ("module", self.module._forward_hooks, self.module._forward_hooks_always_called),
        )
        for kind, registry, always_called in registries:
            for identity, hook in registry.items():
                if identity not in always_called or identity in self.called:
                    continue
                try:
                    self._run_hook(identity, hook)
                except Exception as error:  # noqa: BLE001 - the error under way is the one the user has to see
                    warnings.warn(
                        f"{kind} forward hook with ``always_call=True`` raised an exception that was silenced as "
                        f"another error was raised in forward: {error}",
                        stacklevel=4,
                    )
