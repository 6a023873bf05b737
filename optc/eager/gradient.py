"""Gradient mode. optc has no autograd: the mode decides only whether results announce that they require gradients."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self


class _Mode(threading.local):
    enabled = True
    inference = False


_mode = _Mode()


def is_grad_enabled() -> bool:
    """True unless inside `no_grad`, `inference_mode` or `set_grad_enabled(False)`."""
    return _mode.enabled


def is_inference_mode_enabled() -> bool:
    """True inside `inference_mode`."""
    return _mode.inference


class _GradientContext:
    """A context manager that is a decorator too."""

    def __init__(self) -> None:
        self._before: list[tuple[bool, bool]] = []

    def _enter(self) -> None:
        raise NotImplementedError

    def _again(self) -> _GradientContext:
        return type(self)()

    def __enter__(self) -> Self:
        self._before.append((_mode.enabled, _mode.inference))
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _mode.enabled, _mode.inference = self._before.pop()

    def __call__(self, function: Callable[..., Any]) -> Any:
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def within(*arguments: Any, **keywords: Any) -> Any:
            with self._again():
                return function(*arguments, **keywords)

        return within

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def within(*arguments: Any, **keywords: Any) -> Any:
            generator = function(*arguments, **keywords)
            while True:
                with self._again():
                    try:
                        item = next(generator)
                    except StopIteration as stop:
                        return stop.value
                yield item

        return within


class _PlainContext(_GradientContext):
    """A context without arguments, which may stand as a decorator without brackets."""

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        if function is None:
            return super().__new__(cls)
        return cls()(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        super().__init__()


class no_grad(_PlainContext):
    """Results inside require no gradients."""

    def _enter(self) -> None:
        _mode.enabled = False


class enable_grad(_PlainContext):
    """Results inside require gradients where an operand does."""

    def _enter(self) -> None:
        _mode.enabled = True


class set_grad_enabled(_GradientContext):
    """Switch gradient mode: at once, and back at the end of a ``with``."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = bool(mode)
        self._outside = (_mode.enabled, _mode.inference)
        _mode.enabled = self.mode

    def _enter(self) -> None:
        self._before[-1] = self._outside
        _mode.enabled = self.mode

    def _again(self) -> _GradientContext:
        return set_grad_enabled(self.mode)

    def __call__(self, function: Callable[..., Any]) -> Any:
        _mode.enabled, _mode.inference = self._outside
        return super().__call__(function)


class inference_mode(_GradientContext):
    """Results inside require no gradients; `inference_mode(False)` undoes it."""

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        if callable(mode):
            return cls()(mode)
        return super().__new__(cls)

    def __init__(self, mode: bool | Callable[..., Any] = True) -> None:
        super().__init__()
        self.mode = bool(mode)

    def _enter(self) -> None:
        _mode.enabled = not self.mode
        _mode.inference = self.mode

    def _again(self) -> _GradientContext:
        context: _GradientContext = inference_mode(self.mode)
        return context
