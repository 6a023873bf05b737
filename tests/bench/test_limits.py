"""What recurrent networks take at least: the memory that is read for it is that of the program."""

from __future__ import annotations

import numpy as np

import optc
from bench import limits


def test_the_weights_of_all_layers_are_found() -> None:
    compiled = optc.compile(optc.nn.LSTM(64, 64, limits.LAYERS).eval())
    compiled(np.ones((3, 1, 64), np.float32))
    assert len(limits.packed_weights(compiled, 4 * 64 * 64 * 4)) == 2 * limits.LAYERS


def test_a_row_tells_what_share_of_the_limit_is_reached() -> None:
    size, weights, *_, share = limits.row(64, rounds=2)
    assert (size, weights) == ("64", "64 KB")
    assert 10 < float(share.rstrip("%")) < 200
