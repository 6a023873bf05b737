"""Variables while a function is emitted: one frame per block, first-class values as stores and loads.

`a = 1; print(a)` becomes `prim::Store[name="a"](%a.1)` and `%a = prim::Load[name="a"]()`; `ssa` removes them later.
Values that are no graph values (functions, modules, iterators) are kept in a table of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from optc.errors import ScriptError, SourceRange
from optc.ir.graph import Block, Graph, Value
from optc.ir.types import ListType, Type, unrefined
from optc.jit.frontend.simple import SimpleValue
from optc.jit.frontend.type_rules import subtype
from optc.jit.frontend.values import SugaredValue
from optc.jit.schema_matching import convert_value
from optc.jit.value_names import ValueNames


def is_meaningful(name: str) -> bool:
    """False for names that say nothing (`_`, `_3`, `$tmp`): their values keep a number instead."""
    if not name or name.startswith("$"):
        return False
    return not name.startswith("_") or any(not character.isdigit() for character in name[1:])


class Frame:
    """The variables assigned in one block; lookups go on in `parent`."""

    def __init__(self, graph: Graph, names: ValueNames, block: Block, parent: Frame | None = None) -> None:
        self.graph = graph
        self.names = names
        self.block = block
        self.parent = parent
        self.types: dict[str, Type] = {}
        self.values: dict[str, SugaredValue] = {}
        self.reasons: dict[str, Callable[[], str]] = parent.reasons if parent is not None else {}

    def assigned(self) -> list[str]:
        """Names of first-class variables that this block assigns, sorted."""
        return sorted(self.types)

    def find_here(self, name: str) -> SugaredValue | None:
        """The variable as this frame knows it; a first-class one is loaded at the insertion point."""
        if name in self.values:
            return self.values[name]
        if name in self.types:
            return self._load(name, self.types[name])
        return None

    def find(self, name: str) -> SugaredValue | None:
        """The variable in this frame or an outer one."""
        frame: Frame | None = self
        while frame is not None:
            found = frame.find_here(name)
            if found is not None:
                return found
            frame = frame.parent
        return None

    def find_outside(self, name: str) -> SugaredValue | None:
        """The variable in an outer frame."""
        return self.parent.find(name) if self.parent is not None else None

    def knows(self, name: str) -> bool:
        """True when the variable is defined here or outside; loads nothing."""
        frame: Frame | None = self
        while frame is not None:
            if name in frame.values or name in frame.types:
                return True
            frame = frame.parent
        return False

    def _load(self, name: str, type_: Type) -> SimpleValue:
        value = self.graph.insert("prim::Load", (), (type_,), {"name": name}).output
        if is_meaningful(name):
            self.names.give(value, name)
        return SimpleValue(value)

    def store(self, name: str, source: SourceRange | None, value: Value, type_: Type) -> None:
        """Assign a graph value; `type_` may be wider than the value's own type."""
        node = self.graph.insert("prim::Store", (value,), (), {"name": name})
        node.source = source
        self.types[name] = type_

    def assign(self, source: SourceRange | None, name: str, value: SugaredValue, annotated: Type | None = None) -> None:
        """Assign a variable. Raises ScriptError where an outer block knows it with another type."""
        simple = value.value if isinstance(value, SimpleValue) else None
        if simple is not None and not simple.name and is_meaningful(name) and simple.node.owner is self.block:
            self.names.give(simple, name)
        if self.parent is not None and self.parent.knows(name):
            simple = self._fit_outer(source, name, value, simple, annotated)
        if simple is None:
            self.values[name] = value
            self.types.pop(name, None)
            return
        if annotated is not None and not subtype(simple.type, annotated):
            raise ScriptError(
                f"Variable '{name}' is annotated with type {annotated.annotation} but is being assigned to a value "
                f"of type {simple.type.annotation}",
                source,
            )
        self.store(name, source, simple, annotated if annotated is not None else simple.type)
        self.values.pop(name, None)

    def _fit_outer(
        self, source: SourceRange | None, name: str, value: SugaredValue, simple: Value | None, annotated: Type | None
    ) -> Value:
        if annotated is not None:
            raise ScriptError(
                f"Attempting to declare and annotate the type of variable '{name}' but it is already defined in an "
                "outer block",
                source,
            )
        outer = self.find_outside(name)
        if simple is None or not isinstance(outer, SimpleValue):
            because = f"{name} is not a first-class value" if simple is None else f"it has type {value.kind}"
            raise ScriptError(
                f"Cannot re-assign '{name}' to a value of type {value.kind} because {because}.  "
                "Only reassignments to first-class values are allowed",
                source,
            )
        wanted = unrefined(outer.value.type)
        simple = convert_value(self.graph, source, simple, wanted)
        if not subtype(simple.type, wanted):
            hint = ""
            if isinstance(wanted, ListType) and isinstance(simple.type, ListType):
                hint = (
                    "\nEmpty lists default to List[Tensor]. Add a variable annotation to the assignment to create an "
                    "empty list of another type (torch.jit.annotate(List[T, []]) where T is the type of elements in "
                    "the list for Python 2)"
                )
            raise ScriptError(
                f"Variable '{name}' previously had type {outer.value.type.annotation} but is now being assigned to a "
                f"value of type {simple.type.annotation}{hint}\n",
                source,
            )
        return simple

    def remove(self, name: str) -> bool:
        """Forget a variable in all frames. Returns whether it was known."""
        removed = False
        frame: Frame | None = self
        while frame is not None:
            removed |= frame.types.pop(name, None) is not None or frame.values.pop(name, None) is not None
            frame = frame.parent
        return removed
