"""Which dimensions of the arguments are numbers and which are symbols.

The first call fixes every dimension. A dimension that later shows another value becomes a symbol (1 excepted: it means
broadcasting and always gets code of its own), and dimensions that have been equal in every call share one symbol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optc.ir.dims import Dim, symbol
from optc.ir.types import TensorType

Dynamic = bool | Mapping[int, Sequence[int]] | None
"""None: learn from the calls. True: every dimension but 1 is a symbol. False: never. A mapping names them by argument."""


class ShapeHistory:
    """The extents seen so far, per argument and dimension."""

    def __init__(self, dynamic: Dynamic = None) -> None:
        self.dynamic = dynamic
        self.pinned: set[tuple[int, int]] = set()
        self._seen: dict[tuple[int, int, int], list[int]] = {}

    def observe(self, types: Sequence[object]) -> None:
        """Take note of one call."""
        for place, type_ in enumerate(types):
            if isinstance(type_, TensorType):
                for axis, extent in enumerate(type_.shape or ()):
                    if isinstance(extent, int):
                        self._seen.setdefault((place, len(type_.shape or ()), axis), []).append(extent)

    def pin(self) -> None:
        """Specialise on numbers from now on: some symbol turned out to decide what the program does."""
        self.pinned = {(place, axis) for place, _, axis in self._seen}

    def is_dynamic(self, place: int, rank: int, axis: int, extent: int) -> bool:
        """True when a dimension is to be a symbol."""
        if extent == 1 or self.dynamic is False or (place, axis) in self.pinned:
            return False
        if self.dynamic is True:
            return True
        if self.dynamic is not None:
            return axis in self.dynamic.get(place, ())
        return len(set(self._seen[place, rank, axis])) > 1

    def symbolic(self, types: Sequence[object]) -> list[object]:
        """The argument types to compile for."""
        names: dict[tuple[int, ...], str] = {}
        result: list[object] = []
        for place, type_ in enumerate(types):
            if not isinstance(type_, TensorType) or type_.shape is None:
                result.append(type_)
                continue
            dims = [self._dim(place, type_.shape, axis, names) for axis in range(len(type_.shape))]
            result.append(type_.with_shape(tuple(dims)))
        return result

    def _dim(self, place: int, shape: tuple[Dim, ...], axis: int, names: dict[tuple[int, ...], str]) -> Dim:
        extent = shape[axis]
        if not isinstance(extent, int) or not self.is_dynamic(place, len(shape), axis, extent):
            return extent
        history = tuple(self._seen[place, len(shape), axis])
        return symbol(names.setdefault(history, f"s{len(names)}"))
