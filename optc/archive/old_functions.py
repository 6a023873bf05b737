"""Operators that PyTorch writes in Python by now: in the code of archives they become calls of these functions."""

from __future__ import annotations

from optc.errors import SourceRange
from optc.jit.frontend.callables import FunctionValue
from optc.jit.frontend.missing_operators import ArchivedNamespace
from optc.jit.frontend.values import SugaredValue
from optc.jit.frontend.writer import GraphWriter
from optc.jit.recursive import RECURSION


class ArchivedTorch(ArchivedNamespace):
    """`torch` in the code of an archive."""

    def __init__(self, archive: str, version: int) -> None:
        super().__init__("aten", archive, version)

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        if name != "__interpolate":
            return super().attribute(writer, source, name)
        from optc.nn.functional import interpolate  # only what PyTorch 1.0 to 1.4 compiled needs it

        return FunctionValue(*RECURSION.compile_functions(interpolate))
