"""Special functions: the operators that begin with `special_`, under the names of torch.special."""

from __future__ import annotations

from typing import Any

from optc.eager import functions


def __getattr__(name: str) -> Any:
    """The function of an operator. Raises AttributeError where there is no such operator."""
    return functions.in_namespace("special", name)
