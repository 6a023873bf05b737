"""Names of the values of one graph while it is built, unique in PyTorch's way: the newest value keeps the plain name.

Naming a second value `x` renames the first one to `x.1`.
"""

from __future__ import annotations

from optc.ir.graph import Value


class ValueNames:
    """Hands out the names of one graph's values."""

    def __init__(self) -> None:
        self._owners: dict[str, Value] = {}
        self._suffixes: dict[str, int] = {}

    def give(self, value: Value, name: str) -> None:
        """Name `value`; whichever value had the name gets a numbered one. An empty name takes the name away."""
        if value.name:
            self._owners.pop(value.name, None)
            value.name = ""
        if not name:
            return
        owner = self._owners.get(name)
        if owner is not None and owner is not value:
            del self._owners[name]
            owner.name = ""
            self.give(owner, self._numbered(name))
        self._owners[name] = value
        value.name = name

    def _numbered(self, name: str) -> str:
        base, dot, last = name.rpartition(".")
        suffix = 1
        if dot and last.isdigit():
            name, suffix = base, int(last)
        suffix = max(suffix, self._suffixes.get(name, 0) + 1)
        while f"{name}.{suffix}" in self._owners:
            suffix += 1
        self._suffixes[name] = suffix
        return f"{name}.{suffix}"


def attribute_value_name(name: str) -> str:
    """The name a value read from the attribute `name` gets: numbers come after an underscore."""
    return f"_{name}" if name.isascii() and name.isdigit() else name
