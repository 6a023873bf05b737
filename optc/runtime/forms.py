"""How many forms the lists and dictionaries in attributes have had: every form gets a version, as long as they are few."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optc.ir.function import ScriptObject
from optc.ir.optimized import Kept
from optc.ir.types import NONE

FORMS_LIMIT = 8
"""A container that has had more forms than this, such as a list that every call makes longer, is not taken apart."""


class FormHistory:
    """The forms that versions were made for, by attribute."""

    def __init__(self) -> None:
        self._seen: dict[tuple[ScriptObject, str], set[Any]] = {}

    def observe(self, kept: Iterable[Kept]) -> None:
        """Take note of one version."""
        for each in kept:
            if isinstance(each.given, list | dict):
                self._seen.setdefault((each.owner, each.name), set()).add(_outline(each.given))

    @property
    def uncounted(self) -> tuple[tuple[ScriptObject, str], ...]:
        """The attributes that have had too many forms."""
        return tuple(place for place, seen in self._seen.items() if len(seen) >= FORMS_LIMIT)


def _outline(given: Any) -> Any:
    """A form without what the types of its leaves are."""
    if isinstance(given, dict):
        return tuple((key, _outline(item)) for key, item in given.items())
    if isinstance(given, list | tuple):
        return tuple(map(_outline, given))
    return given is NONE
