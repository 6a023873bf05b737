"""Iterables that are no graph values: ranges, and `zip` and `enumerate` as trees of other iterables."""

from __future__ import annotations

from collections.abc import Sequence

from optc.errors import ScriptError, SourceRange
from optc.ir.graph import Value
from optc.ir.types import INT, IntType, Type
from optc.jit.frontend.simple import SimpleValue, SugaredTuple
from optc.jit.frontend.values import SugaredValue
from optc.jit.frontend.writer import GraphWriter


class RangeValue(SugaredValue):
    """`range(...)`; `static_length` is given where it runs beside an unrolled iterable."""

    kind = "range"

    def __init__(
        self,
        writer: GraphWriter,
        source: SourceRange | None,
        inputs: Sequence[Value],
        static_length: int | None = None,
    ) -> None:
        for place, value in enumerate(inputs):
            if not isinstance(value.type, IntType):
                raise ScriptError(
                    f"all inputs of range must be ints, found {value.type.annotation} in argument {place}", source
                )
        if not 1 <= len(inputs) <= 3:
            limit = "at least 1 arguments, got 0" if not inputs else f"at most 3 arguments, got {len(inputs)}"
            raise ScriptError(f"range expected {limit}", source)
        self.static_length = static_length
        self.end_only = len(inputs) == 1
        self.start = writer.constant(0, source) if self.end_only else inputs[0]
        self.end = inputs[0] if self.end_only else inputs[1]
        self.step = inputs[2] if len(inputs) == 3 else writer.constant(1, source)

    def iterate(self, writer: GraphWriter, source: SourceRange | None) -> SugaredValue:
        return self

    def length(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        if self.static_length is not None:
            return writer.constant(self.static_length, source)
        if self.end_only:
            return self.end
        return writer.builtin("aten::__range_length", [self.start, self.end, self.step], source=source)

    def item(
        self, writer: GraphWriter, source: SourceRange | None, index: Value, hint: Type | None = None
    ) -> SugaredValue:
        if self.end_only:
            return SimpleValue(index)
        return SimpleValue(writer.builtin("aten::__derive_index", [index, self.start, self.step], source=source))


class IterableTree(SugaredValue):
    """`zip(...)`, `enumerate(...)`: several iterables walked together."""

    kind = "iterabletree"

    def __init__(self) -> None:
        self.children: list[SugaredValue] = []

    def add(self, source: SourceRange | None, child: SugaredValue) -> None:
        """One more iterable; unrolled ones and others do not mix. Raises ScriptError."""
        if not self.children:
            self.static_length = child.static_length
        elif (self.static_length is None) != (child.static_length is None):
            raise ScriptError(
                "Can not iterate over a module list or tuple with a value that does not have a statically "
                "determinable length\n",
                source,
            )
        elif self.static_length is not None and child.static_length is not None:
            self.static_length = min(self.static_length, child.static_length)
        self.children.append(child)

    def leaves(self) -> list[SugaredValue]:
        """The iterables at the bottom of the tree."""
        return [
            leaf for child in self.children for leaf in (child.leaves() if isinstance(child, IterableTree) else [child])
        ]

    def iterate(self, writer: GraphWriter, source: SourceRange | None) -> SugaredValue:
        return self

    def length(self, writer: GraphWriter, source: SourceRange | None) -> Value:
        lengths = writer.make_list(INT, [leaf.length(writer, source) for leaf in self.leaves()])
        return writer.builtin("prim::min", [lengths], source=source)

    def item(
        self, writer: GraphWriter, source: SourceRange | None, index: Value, hint: Type | None = None
    ) -> SugaredValue:
        return SugaredTuple([child.item(writer, source, index) for child in self.children])
