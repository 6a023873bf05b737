"""Windows for signals: what their functions refuse."""

from __future__ import annotations

import pytest

import optc


def test_a_symmetric_exponential_window_has_its_centre_in_the_middle() -> None:
    with pytest.raises(ValueError, match="Center must be None for symmetric windows"):
        optc.signal.windows.exponential(3, center=1, sym=True)
    found = optc.signal.windows.exponential(3, center=0.0, sym=False, dtype=optc.float64)
    assert optc.allclose(found, optc.exp(-optc.arange(3.0, dtype=optc.float64)))
