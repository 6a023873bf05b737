"""Functions of `optc.nn.functional` stand in several files; this is what makes them functions of that module."""

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""All of them by name, those that PyTorch keeps for itself included."""


def of_functional(function: Function) -> Function:
    """Scripts, archives and programs know the function by the name it has in `nn.functional`."""
    function.__module__ = "optc.nn.functional"
    FUNCTIONS[function.__name__] = function
    return function
