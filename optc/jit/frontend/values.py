"""Sugared values: everything an expression may stand for. Most become graph values; all know what `.`, `()` and
iteration mean for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optc.errors import ScriptError, SourceRange
from optc.ir.graph import Value
from optc.ir.types import Type
from optc.jit.schema_matching import Arguments

if TYPE_CHECKING:
    from optc.jit.frontend.writer import GraphWriter


class SugaredValue:
    """What a name or expression stands for. Every operation it does not have raises ScriptError."""

    kind = "value"
    static_length: int | None = None

    def as_value(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        """The graph value."""
        raise ScriptError(f"{self.kind} cannot be used as a value", source)

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        """`value.name`."""
        raise ScriptError(f"attribute lookup is not defined on {self.kind}", source)

    def has_attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> bool:
        """`hasattr(value, "name")`."""
        raise ScriptError(f"hasattr's first argument must be an object, got {self.kind} instead", source)

    def set_attribute(self, writer: GraphWriter, source: SourceRange | None, name: str, value: Value) -> None:
        """`value.name = ...`."""
        raise ScriptError(f"attribute assignment is not defined on {self.kind}", source)

    def as_tuple(
        self, writer: GraphWriter, source: SourceRange | None, size: int | None = None
    ) -> Sequence[SugaredValue]:
        """The elements, where their number is known; `size` is how many are wanted."""
        raise ScriptError(f"{self.kind} cannot be used as a tuple", source)

    def discard(self) -> None:
        """An expression gave this, and nobody takes it."""

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        """`value(...)`; `kwargs` have names."""
        raise ScriptError(f"cannot call a {self.kind}", source)

    def iterate(self, writer: GraphWriter, source: SourceRange | None) -> SugaredValue:
        """What `for` goes through: has `length` and `item`."""
        raise ScriptError(f"{self.kind} cannot be used as iterable", source)

    def length(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        """The number of items of an iterable, as a graph value."""
        raise ScriptError(f"'{self.kind}' object is not iterable", source)

    def item(
        self, writer: GraphWriter, source: SourceRange | None, index: Value, hint: Type | None = None
    ) -> SugaredValue:
        """`value[index]`."""
        raise ScriptError(f"'{self.kind}' object is not subscriptable", source)
