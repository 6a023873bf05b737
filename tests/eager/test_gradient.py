"""Gradient modes as contexts, decorators and switches."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from optc.eager.gradient import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)


def test_contexts_nest_and_restore() -> None:
    with no_grad():
        assert not is_grad_enabled()
        with enable_grad():
            assert is_grad_enabled()
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_restored_after_an_exception() -> None:
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()


@pytest.mark.parametrize(
    "make",
    [lambda: no_grad, no_grad, lambda: inference_mode, inference_mode, lambda: set_grad_enabled(False)],
    ids=range(5),
)
def test_decorators(make: Callable[[], Any]) -> None:
    @make()
    def inside() -> bool:
        return is_grad_enabled()

    assert inside() is False
    assert inside.__name__ == "inside"
    assert is_grad_enabled()


def test_a_decorated_generator_runs_inside_and_yields_outside() -> None:
    @no_grad()
    def inside() -> Iterator[bool]:
        yield is_grad_enabled()
        yield is_grad_enabled()

    for seen in inside():
        assert not seen
        assert is_grad_enabled()


def test_set_grad_enabled_works_at_once_and_as_a_context() -> None:
    set_grad_enabled(False)
    assert not is_grad_enabled()
    set_grad_enabled(True)
    with set_grad_enabled(False):
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_inference_mode() -> None:
    with inference_mode():
        assert is_inference_mode_enabled()
        assert not is_grad_enabled()
        with inference_mode(False):
            assert is_grad_enabled()
    assert not is_inference_mode_enabled()
