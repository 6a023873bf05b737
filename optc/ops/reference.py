"""Operators applied to arrays and Python values by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ops.registry import lookup


def apply_operator(name: str, *arguments: Any) -> Any:
    """What the operator `aten::add.Tensor` gives for numpy arrays and Python values.

    Raises KeyError when there is no such operator, and what its reference raises.
    """
    operator = lookup(name)
    if operator is None:
        raise KeyError(name)
    with np.errstate(all="ignore"):
        return operator.reference(*arguments)
