"""What programs write around and inside code to be scripted: `@ignore`, `@export`, `annotate`, `is_scripting` ...

In ordinary Python these do next to nothing; the frontend recognises them.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

__all__ = [
    "Attribute", "Final", "annotate", "export", "fork", "ignore", "interface", "is_scripting", "isinstance", "overload",
    "overload_method", "script_if_tracing", "unused", "unwrap_optional", "wait",
]  # fmt: skip

Anything = TypeVar("Anything")

_MODIFIER = "_torchscript_modifier"

DEFAULT: Final = "default (compile if called from a exported function / forward)"
EXPORT: Final = "export (compile this function even if nothing calls it)"
IGNORE: Final = "ignore (leave as a call to Python, cannot be torch.jit.save'd)"
UNUSED: Final = "unused (ignored and replaced with raising of an exception)"

overloaded_functions: dict[str, list[Callable[..., Any]]] = {}
overloaded_methods: dict[tuple[str, str], dict[str, list[Callable[..., Any]]]] = {}


class Attribute(typing.NamedTuple):
    """A value together with its script type, for attributes whose type their value does not show."""

    value: Any
    type: Any


class Awaitable(typing.Generic[Anything]):
    """The result of a fork that ran at once."""

    def __init__(self, value: Anything) -> None:
        self._value = value

    def wait(self) -> Anything:
        """The value."""
        return self._value

    def value(self) -> Anything:
        """The value."""
        return self._value

    def done(self) -> bool:
        """True: there is nothing to wait for."""
        return True


Future = Awaitable


def modifier_of(function: Any) -> str:
    """How the frontend treats a Python function: DEFAULT, EXPORT, IGNORE or UNUSED."""
    target = inspect.unwrap(function) if callable(function) else function
    target = getattr(target, "__func__", target)
    found: str = getattr(target, _MODIFIER, DEFAULT)
    own: str = getattr(function, _MODIFIER, found)
    return own


def export(fn: Anything) -> Anything:
    """Compile the method although `forward` does not reach it."""
    setattr(fn, _MODIFIER, EXPORT)
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Leave the function in Python: compiled code calls it there. `drop=True` makes the call raise instead."""
    if callable(drop):
        setattr(drop, _MODIFIER, IGNORE)
        return drop
    if not typing.cast(object, drop).__class__ is bool:
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")

    def mark(fn: Any) -> Any:
        setattr(fn, _MODIFIER, UNUSED if drop or kwargs.get("drop_on_export") else IGNORE)
        return fn

    return mark


def unused(fn: Any) -> Any:
    """Do not compile the function: calling it from compiled code raises."""
    if fn.__class__ is property:
        for part in (fn.fget, fn.fset):
            if part is not None:
                setattr(part, _MODIFIER, UNUSED)
        return fn
    setattr(fn, _MODIFIER, UNUSED)
    return fn


def annotate(the_type: Any, the_value: Anything) -> Anything:
    """Tell the frontend the type of a value; in Python the value itself."""
    return the_value


def is_scripting() -> bool:
    """True in compiled code, so that `else` branches are not compiled."""
    return False


def isinstance(obj: Any, target_type: Any) -> bool:
    """`isinstance` that understands `List[int]` and the like, element types included."""
    origin, arguments = typing.get_origin(target_type), typing.get_args(target_type)
    kind = obj.__class__
    if origin is None:
        if target_type.__class__ is tuple:
            return any(isinstance(obj, alternative) for alternative in target_type)
        return issubclass(kind, target_type)
    if origin is typing.Union:
        return any(isinstance(obj, alternative) for alternative in arguments)
    if not issubclass(kind, origin):
        return False
    if origin is list:
        return all(isinstance(item, arguments[0]) for item in obj)
    if origin is dict:
        return all(isinstance(key, arguments[0]) and isinstance(value, arguments[1]) for key, value in obj.items())
    if origin is tuple:
        return len(obj) == len(arguments) and all(map(isinstance, obj, arguments))
    return True


def unwrap_optional(x: Anything | None) -> Anything:
    """The value, which must not be None."""
    assert x is not None, "Unwrapping null optional"
    return x


def fork(func: Callable[..., Anything], *args: Any, **kwargs: Any) -> Awaitable[Anything]:
    """Run `func`; compiled code may run it beside the caller."""
    return Awaitable(func(*args, **kwargs))


def wait(future: Awaitable[Anything]) -> Anything:
    """The result of a fork."""
    return future.wait()


def interface(obj: Any) -> Any:
    """Declare a class whose methods (bodies `pass`) other classes implement."""
    if not inspect.isclass(obj):
        raise RuntimeError("interface must be applied to a class")
    obj.__torch_script_interface__ = True  # type: ignore[attr-defined]
    return obj


def script_if_tracing(fn: Anything) -> Anything:
    """Compile the function when it is reached by a trace, so that its control flow is kept."""
    original: Any = fn

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    wrapper.__script_if_tracing_wrapper = True  # type: ignore[attr-defined]
    wrapper.__original_fn = original  # type: ignore[attr-defined]
    return typing.cast(Anything, wrapper)


def overload(func: Any) -> Any:
    """Declare one signature of a function whose body follows."""
    overloaded_functions.setdefault(_key(func), []).append(func)
    return func


def overload_method(func: Any) -> Any:
    """Declare one signature of a method whose body follows."""
    owner = func.__qualname__.rpartition(".")[0]
    methods = overloaded_methods.setdefault((func.__module__, owner), {})
    methods.setdefault(func.__name__, []).append(func)
    return func


def _key(func: Any) -> str:
    return f"{func.__module__}.{func.__qualname__}"


def overloads_of(func: Any) -> list[Callable[..., Any]]:
    """The signatures declared for a function."""
    name = getattr(func, "__qualname__", None)
    return overloaded_functions.get(_key(func), []) if name is not None else []


def method_overloads_of(class_: type) -> dict[str, Sequence[Callable[..., Any]]]:
    """The signatures declared for methods of a class, its own and inherited ones, by name."""
    found: dict[str, Sequence[Callable[..., Any]]] = {}
    for base in reversed(class_.__mro__):
        for name, member in vars(base).items():
            declared = getattr(member, "__script_overloads__", None)
            if declared:
                found[name] = declared
        found.update(overloaded_methods.get((base.__module__, base.__qualname__), {}))
    return found
