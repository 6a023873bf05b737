"""What programs write around code that is to be scripted: decorators, annotations and questions.

Most only leave a mark that the script frontend reads; outside of scripting they do nothing or the obvious thing.
"""

from __future__ import annotations

import builtins
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, NamedTuple, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

__all__ = [
    "Attribute", "Final", "Future", "Modifier", "annotate", "export", "fork", "ignore", "interface", "is_scripting",
    "isinstance", "modifier_of", "script_method", "strict_fusion", "unused", "wait",
]  # fmt: skip


class Modifier(Enum):
    """How scripting treats a function or method; kept in its attribute `_torchscript_modifier`."""

    DEFAULT = "default (compile if called from a exported function / forward)"
    EXPORT = "export (compile this function even if nothing calls it)"
    IGNORE = "ignore (leave as a call to Python, cannot be torch.jit.save'd)"
    UNUSED = "unused (ignored and replaced with raising of an exception)"


def modifier_of(function: Any) -> Modifier:
    """The mark of a function or bound method."""
    function = getattr(function, "__func__", function)
    found: Modifier = getattr(function, "_torchscript_modifier", Modifier.DEFAULT)
    return found


def _mark(function: F, modifier: Modifier) -> F:
    target: Any = function
    if builtins.isinstance(target, property):
        for accessor in (target.fget, target.fset):
            if accessor is not None:
                accessor._torchscript_modifier = modifier
    else:
        target._torchscript_modifier = modifier
    return function


def export(fn: F) -> F:
    """Compile this method even if `forward` does not call it."""
    return _mark(fn, Modifier.EXPORT)


@overload
def ignore(drop: F) -> F: ...
@overload
def ignore(drop: bool = False) -> Callable[[F], F]: ...
def ignore(drop: Any = False) -> Any:
    """Leave this function as a call into Python; with `drop=True` as `unused` does."""
    if callable(drop):
        return _mark(drop, Modifier.IGNORE)
    if not builtins.isinstance(drop, bool):
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")  # noqa: TRY004
    return lambda fn: _mark(fn, Modifier.UNUSED if drop else Modifier.IGNORE)


def unused(fn: F) -> F:
    """Do not compile this function: calling it from compiled code raises."""
    return _mark(fn, Modifier.UNUSED)


def script_method(fn: F) -> F:
    """Compile this method of a ScriptModule; the same as `export`."""
    return _mark(fn, Modifier.EXPORT)


def interface(cls: type[T]) -> type[T]:
    """Declare a class whose methods say what a module or object offers; compiled code may then hold any that does."""
    if not builtins.isinstance(cls, type):
        raise RuntimeError("interface must be applied to a class")  # noqa: TRY004
    cls.__torch_script_interface__ = True  # type: ignore[attr-defined]
    return cls


class Attribute(NamedTuple):
    """A value together with its script type, for attributes whose type their value does not show."""

    value: Any
    type: Any


def annotate(the_type: Any, the_value: T) -> T:
    """`the_value`; scripting takes it as being of type `the_type`."""
    return the_value


def is_scripting() -> bool:
    """False: only scripted code sees True."""
    return False


def isinstance(obj: Any, target_type: Any) -> bool:
    """`isinstance` that understands `List[int]`, `Dict[str, Tensor]`, `Optional[...]` and the like."""
    if builtins.isinstance(target_type, tuple):
        return any(isinstance(obj, each) for each in target_type)
    origin = typing.get_origin(target_type)
    arguments = typing.get_args(target_type)
    if origin is None:
        return obj is None if target_type is None else builtins.isinstance(obj, target_type)
    if origin is typing.Union or origin is types.UnionType:
        return any(obj is None if each is type(None) else isinstance(obj, each) for each in arguments)
    if not builtins.isinstance(obj, origin):
        return False
    if origin is dict:
        return all(isinstance(key, arguments[0]) and isinstance(value, arguments[1]) for key, value in obj.items())
    if origin is tuple:
        return len(obj) == len(arguments) and all(map(isinstance, obj, arguments))
    return all(isinstance(item, arguments[0]) for item in obj)


class Future:
    """The result of `fork`. optc runs forks where they are written, so it is always there."""

    def __init__(self, value: Any = None) -> None:
        self._value = value

    def wait(self) -> Any:
        """The result."""
        return self._value

    value = wait

    def done(self) -> bool:
        """True."""
        return True

    def then(self, callback: Callable[[Future], Any]) -> Future:
        """A future of what `callback` makes of this one."""
        return Future(callback(self))


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
    """Run `func` and return a Future of its result."""
    return Future(func(*args, **kwargs))


def wait(future: Any) -> Any:
    """The result of a future."""
    return future.wait()


class strict_fusion:
    """Context manager that compiled code may stand in; interpreted code is not fused."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None
