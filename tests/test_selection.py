"""Which files a run of the tests reads."""

from __future__ import annotations

import pytest

from tests.conftest import leaves_peers_out


@pytest.mark.parametrize(
    "expression", ["not peers", "not peers and not slow", "slow and not peers", "slow and not  peers"]
)
def test_a_run_without_peers_is_known(expression: str) -> None:
    assert leaves_peers_out(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "peers", "peers and not slow", "not (peers)", "not slow or not peers", "not (slow and not peers)"],
)
def test_a_run_that_may_have_peers_reads_everything(expression: str) -> None:
    assert not leaves_peers_out(expression)
