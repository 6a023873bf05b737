"""Operators that optc does not have, as the code of archives may call them: they fail when they run, not before.

Scripted models carry branches that are never taken, so an archive that mentions such an operator is still of use. The
node keeps everything that was written, names of keyword arguments included, so that saving it again loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optc.errors import ScriptError, SourceRange
from optc.ir.types import NONE, UNKNOWN
from optc.jit.code_expressions import OWN_NAMES
from optc.jit.frontend.simple import BuiltinValue, SimpleValue
from optc.jit.frontend.values import SugaredValue
from optc.jit.frontend.writer import GraphWriter
from optc.jit.schema_matching import Arguments, NamedValue
from optc.ops.registry import overloads

_NEEDS_STEPS_SINCE = {"aten::linspace": 8, "aten::logspace": 9}
"""Operators whose number of steps was 100 where it was not given, and the archive version since which it must be."""


_NO_OPERATORS = frozenset(
    f"prim::{name}"
    for name in (
        "CallFunction", "CallMethod", "Constant", "CreateObject", "DictConstruct", "Dim", "EmptyListLiteral", "Enter", "Exit",
        "GetAttr", "If", "Island", "ListAppend", "ListConstruct", "ListOfLists", "ListOfTuples", "ListUnpack", "Load", "Loop",
        "ModuleContainerIndex", "Param", "Print", "PythonOp", "Return", "SetAttr", "Store", "TupleConstruct", "TupleIndex",
        "TupleSlice", "TupleUnpack", "Uninitialized", "fork", "isinstance", "tolist", "unchecked_cast",
    )
)  # fmt: skip
"""Nodes that code writes otherwise than as calls of `ops.prim`: most have blocks or attributes, which no call gives them."""

_MOST_OF_RAISE = 2
"""What `ops.prim.RaiseException` takes: a message, and the class of the exception."""


class ArchivedOperator(BuiltinValue):
    """An operator in the code of `archive`. A call that fits no overload becomes a node of unknown result."""

    def __init__(self, name: str, archive: str, version: int) -> None:
        super().__init__(name)
        self.archive = archive
        self.version = version

    def call(self, writer: GraphWriter, source: SourceRange | None, args: Arguments, kwargs: Arguments) -> SugaredValue:
        if self.version < _NEEDS_STEPS_SINCE.get(self.name, 0):
            args, kwargs = _with_steps(args, kwargs)
        try:
            result = super().call(writer, source, args, kwargs)
        except ScriptError:
            self._check_name(len(args), source)
            values = [value.materialize(writer.graph) for value in (*args, *kwargs)]
            attributes: dict[str, Any] = {"archive": self.archive}
            if kwargs:
                attributes["keywords"] = tuple(value.name for value in kwargs)
            return MissingResult(writer.insert(self.name, values, (UNKNOWN,), source, attributes).output)
        if isinstance(result, SimpleValue) and self._is_guess(args, kwargs):
            result.value.type = UNKNOWN
        return result

    def _is_guess(self, args: Arguments, kwargs: Arguments) -> bool:
        """True where what a missing operator returns fits overloads that return different things."""
        returned = {tuple(each.type for each in found.schema.returns) for found in overloads(self.name)}
        return len(returned) > 1 and any(argument.type is UNKNOWN for argument in (*args, *kwargs))

    def _check_name(self, count: int, source: SourceRange | None) -> None:
        """Raise ScriptError for what cannot be an operator that optc does not have."""
        if self.name in _NO_OPERATORS:
            raise ScriptError(f"{self.name} is no operator that can be called", source)
        if self.name == "prim::RaiseException" and not 1 <= count <= _MOST_OF_RAISE:
            raise ScriptError(f"prim::RaiseException takes a message and a class, not {count} arguments", source)


class MissingResult(SimpleValue):
    """What a missing operator returns. Only the code that takes it tells how many values that are."""

    def as_tuple(
        self, writer: GraphWriter, source: SourceRange | None, size: int | None = None
    ) -> Sequence[SugaredValue]:
        if size is None:
            return super().as_tuple(writer, source, size)
        node = self.value.node
        node.remove_output(0)
        return [SimpleValue(node.add_output(UNKNOWN)) for _ in range(size)]

    def discard(self) -> None:
        self.value.node.remove_output(0)


def _with_steps(args: Arguments, kwargs: Arguments) -> tuple[Arguments, Arguments]:
    """The arguments, with 100 steps where there were none."""
    steps = next((argument for argument in kwargs if argument.name == "steps"), None)
    if len(args) < 2 or (steps is not None and steps.type is not NONE):
        return args, kwargs
    if len(args) > 2 and args[2].type is not NONE:
        return args, kwargs
    others = [argument for argument in kwargs if argument is not steps]
    return [*args[:2], NamedValue(None, constant=100), *args[3:]], others


class ArchivedNamespace(SugaredValue):
    """`torch`, or `ops.quantized`, in the code of `archive`: its attributes are operators."""

    kind = "builtin module"

    def __init__(self, space: str, archive: str, version: int) -> None:
        self.space = space
        self.archive = archive
        self.version = version

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        return ArchivedOperator(f"{self.space}::{name}", self.archive, self.version)


class ArchivedTorch(ArchivedNamespace):
    """`torch` in the code of an archive, where `torch.autograd` has two operators of its own."""

    def __init__(self, archive: str, version: int) -> None:
        super().__init__("aten", archive, version)

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        return _Autograd(self) if name == "autograd" else super().attribute(writer, source, name)


class _Autograd(SugaredValue):
    """`torch.autograd`."""

    kind = "builtin module"

    def __init__(self, torch: ArchivedTorch) -> None:
        self.torch = torch

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        if f"torch.autograd.{name}" not in OWN_NAMES.values():
            return super().attribute(writer, source, name)
        return self.torch.attribute(writer, source, name)


class ArchivedNamespaces(SugaredValue):
    """`ops` in the code of `archive`."""

    kind = "ops"

    def __init__(self, archive: str, version: int) -> None:
        self.archive = archive
        self.version = version

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        return ArchivedNamespace(name, self.archive, self.version)
