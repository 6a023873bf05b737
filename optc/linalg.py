"""Linear algebra: the operators that begin with `linalg_`, under the names of torch.linalg."""

from __future__ import annotations

from typing import Any

from optc.eager import functions
from optc.ops.matrices import LinAlgError

__all__ = ["LinAlgError"]


def __getattr__(name: str) -> Any:
    """The function of an operator. Raises AttributeError where there is no such operator."""
    return functions.in_namespace("linalg", name)
