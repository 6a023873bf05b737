"""How property tests draw: the same examples every time; `pytest --hypothesis-profile=explore` draws others.

Files that are all about peers are not even read where a run leaves those out: importing peers takes seconds, in every
process that runs tests.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("repeatable")

_ABOUT_PEERS = re.compile(r"^pytestmark = .*\bpytest\.mark\.peers\b", re.MULTILINE)
_ALTERNATIVES = re.compile(r"\bor\b|\(")


def leaves_peers_out(expression: str) -> bool:
    """True when `-m` asks for several things at once, one of which is that a test is not for peers."""
    return re.search(r"\bnot +peers\b", expression) is not None and not _ALTERNATIVES.search(expression)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.suffix != ".py" or not leaves_peers_out(config.option.markexpr):
        return None
    return True if _ABOUT_PEERS.search(collection_path.read_text()) else None
