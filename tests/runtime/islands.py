"""What tests of islands share: programs compiled with parts left to Python, and results held against each other."""

from __future__ import annotations

from typing import Any

import numpy as np

import optc


def compiled(program: Any, **options: Any) -> Any:
    """The program; parts without native form are no reason for a warning."""
    return optc.compile(program, fallback="allow", **options)


def agree(found: Any, expected: Any) -> None:
    """Asserts equal structure and types, and equal numbers up to rounding."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, tuple | list):
        assert type(found) is type(expected) and len(found) == len(expected)
        for mine, other in zip(found, expected):
            agree(mine, other)
    elif isinstance(expected, optc.Tensor):
        assert found.dtype == expected.dtype and found.shape == expected.shape
        np.testing.assert_allclose(found._array, expected._array, rtol=1e-5, atol=1e-6)
    else:
        assert type(found) is type(expected) and found == expected


def is_partly_native(fast: Any) -> bool:
    """True when the version made last has native code and islands."""
    return fast.specializations[-1].native is not None and bool(fast.fallbacks)
