"""Forward hooks: order, replacement, keyword arguments, always_call, handles, and the tracer's place."""

from typing import Any

import pytest

import optc
from optc import nn
from optc.nn.hooks import RemovableHandle, register_module_forward_hook, register_module_forward_pre_hook
from optc.nn.modules.hooked_call import intercept_forward


class AddScaled(nn.Module):
    def forward(self, x: int, scale: int = 1) -> int:
        if x > 100:
            raise ValueError("too large")
        return x + scale


def test_hooks_run_in_order_and_prepended_ones_first() -> None:
    module, log = AddScaled(), list[str]()
    for name in ("a", "b"):
        module.register_forward_pre_hook(lambda m, args, name=name: log.append("pre " + name))
        module.register_forward_hook(lambda m, args, out, name=name: log.append("post " + name))
    module.register_forward_pre_hook(lambda m, args: log.append("pre first"), prepend=True)
    module.register_forward_hook(lambda m, args, out: log.append("post first"), prepend=True)
    assert module(1) == 2
    assert log == ["pre first", "pre a", "pre b", "post first", "post a", "post b"]


def test_hooks_replace_arguments_and_output() -> None:
    module = AddScaled()
    module.register_forward_pre_hook(lambda m, args: args[0] * 10)
    module.register_forward_hook(lambda m, args, out: (args, out))
    assert module(1) == ((10,), 11)


def test_hooks_with_kwargs() -> None:
    module = AddScaled()
    module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"scale": 5}), with_kwargs=True)
    module.register_forward_hook(lambda m, args, kwargs, out: (kwargs, out), with_kwargs=True)
    assert module(1, scale=2) == ({"scale": 5}, 6)
    module.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kwargs\), but got 3."):
        module(1)


def test_always_called_hooks_run_after_a_failure_once() -> None:
    module, log = AddScaled(), list[Any]()
    module.register_forward_hook(lambda m, args, out: log.append("plain"))
    module.register_forward_hook(lambda m, args, out: log.append(out), always_call=True)
    with pytest.raises(ValueError, match="too large"):
        module(101)
    assert log == [None]
    assert module(1) == 2
    assert log == [None, "plain", 2]


def test_always_called_hooks_do_not_run_twice_when_a_later_hook_fails() -> None:
    module, log = AddScaled(), list[Any]()
    module.register_forward_hook(lambda m, args, out: log.append(out), always_call=True)
    module.register_forward_hook(lambda m, args, out: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        module(1)
    assert log == [2]


def test_a_failing_always_called_hook_does_not_hide_the_error() -> None:
    module = AddScaled()
    module.register_forward_hook(lambda m, args, out: 1 / 0, always_call=True)
    with pytest.warns(UserWarning, match="was silenced as another error was raised"), pytest.raises(ValueError):
        module(101)


def test_handles_remove_once_and_at_the_end_of_with() -> None:
    module, log = AddScaled(), list[str]()
    with module.register_forward_hook(lambda m, args, out: log.append("in"), with_kwargs=False) as handle:
        module(1)
    module(1)
    handle.remove()
    assert log == ["in"]
    assert isinstance(handle, RemovableHandle)


def test_global_hooks_run_before_the_modules_own() -> None:
    module, log = AddScaled(), list[str]()
    module.register_forward_pre_hook(lambda m, args: log.append("own pre"))
    module.register_forward_hook(lambda m, args, out: log.append("own"))
    with (
        register_module_forward_pre_hook(lambda m, args: log.append("global pre")),
        register_module_forward_hook(lambda m, args, out: log.append("global")),
    ):
        module(1)
    module(1)
    assert log == ["global pre", "own pre", "global", "own", "own pre", "own"]


def test_interceptor_sees_every_module_inside_its_hooks() -> None:
    net, log = nn.Sequential(nn.ReLU()), list[str]()

    def interceptor(module: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        log.append("enter " + type(module).__name__)
        result = forward(*args, **kwargs)
        log.append("leave " + type(module).__name__)
        return result

    net.register_forward_pre_hook(lambda m, args: log.append("hook"))
    before = intercept_forward(interceptor)
    try:
        net(optc.ones(1))
    finally:
        intercept_forward(before)
    net(optc.ones(1))
    assert log == ["hook", "enter Sequential", "enter ReLU", "leave ReLU", "leave Sequential", "hook"]
