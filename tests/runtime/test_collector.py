"""The garbage collector rests while programs are compiled, and is as before afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

import optc
from optc.runtime import compiled
from optc.runtime.collector import collector_paused


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_rests_inside_also_when_nested() -> None:
    with collector_paused():
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_comes_back_after_an_error() -> None:
    with pytest.raises(KeyError), collector_paused():
        raise KeyError
    assert gc.isenabled()


def test_whoever_turned_it_off_keeps_it_off() -> None:
    gc.disable()
    with collector_paused():
        pass
    assert not gc.isenabled()


def test_compiling_pauses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = compiled.program_key

    def watched(*arguments: Any, **keywords: Any) -> object:
        seen.append(gc.isenabled())
        return original(*arguments, **keywords)

    monkeypatch.setenv("OPTC_CACHE", "1")
    monkeypatch.setattr(compiled, "program_key", watched)
    optc.compile(lambda x: x + 3, optc.ones(7))
    assert seen == [False]
    assert gc.isenabled()


def test_what_is_imported_counts_as_old_at_once() -> None:
    with collector_paused(is_import=True):
        made: list[Any] = []
        made.append(made)
    assert not any(one is made for young in (0, 1) for one in gc.get_objects(young))
    assert any(one is made for one in gc.get_objects(2))
    assert not gc.get_freeze_count()


def test_what_somebody_has_frozen_stays_frozen() -> None:
    gc.freeze()
    try:
        with collector_paused(is_import=True):
            pass
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
