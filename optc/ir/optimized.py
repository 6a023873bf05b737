"""An optimised program: its core graph, and how arguments, results and state relate to the graph's inputs and outputs."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from optc.dataclass import dataclass
from optc.errors import SourceRange
from optc.ir.function import ScriptObject
from optc.ir.graph import Graph, Node
from optc.ir.structure import Structure
from optc.ir.types import Type


@dataclass(frozen=True)
class Parts:
    """What is in a container that an attribute holds, as a `Slot`'s owner whose names are paths of places and keys."""

    owner: ScriptObject
    name: str

    def part(self, path: tuple[int, ...]) -> Any:
        """What lies at a place now; None where there is nothing."""
        held: Any = self.owner.values.get(self.name)
        for place in path:
            try:
                held = held[place]
            except (LookupError, TypeError):
                return None
        return held


@dataclass
class Slot:
    """A place outside the graph that the program writes: state the graph takes as an input and gives back.

    `kind` is "attribute" (rebind `name` of `owner` to the output), "buffer" (copy the output into the tensor that the
    attribute holds) or "argument" (copy the output into argument number `input`). `output` is None until some pass
    found out that the slot is written, and for attributes whose last value is `Kept`.
    """

    kind: str
    name: Any
    input: int
    output: int | None = None
    owner: ScriptObject | Parts | None = None
    type: Type | None = None

    @property
    def present(self) -> Any:
        """What its owner holds now; None where it has none, or the owner nothing of that name."""
        if isinstance(self.owner, Parts):
            return self.owner.part(self.name)
        return None if self.owner is None else self.owner.values.get(self.name)

    @property
    def place(self) -> tuple[Any, Any]:
        """What tells it from other state: whose it is, and its name there."""
        return self.owner, self.name

    @property
    def path(self) -> str:
        """The attribute, for messages."""
        if not isinstance(self.owner, Parts):
            return str(self.name)
        return self.owner.name + "".join(f"[{place!r}]" for place in self.name)

    def rebind(self, value: Any) -> None:
        """Let its owner hold another value."""
        assert isinstance(self.owner, ScriptObject)
        self.owner.values[self.name] = value


@dataclass(frozen=True, eq=False)
class Held:
    """What is a constant of the code: this very object, or as many numbers and texts that are equal."""

    value: Any

    def fits(self, value: Any) -> bool:
        """True for a value that the code is right for."""
        if isinstance(self.value, list | tuple) and type(value) is type(self.value):
            return len(value) == len(self.value) and all(Held(each).fits(item) for each, item in zip(self.value, value))
        is_plain = isinstance(self.value, bool | int | float | str) and type(value) is type(self.value)
        return value is self.value or (is_plain and bool(value == self.value))


@dataclass
class Kept:
    """An attribute that may be None, a tuple, list or dictionary, and that the program writes.

    The code is for what it holds now: `given` has the types, nested like the value (NONE for None), whose leaves are
    `Slot`s; or it is what the attribute must go on to hold (`Held`). When the program ends, it holds what `structure`
    says, made of the outputs from `output` on, None when that is what it held: the very list or dictionary that it held
    where the program changes that (`in_place`). `buffers` has for every such output the number of the slot whose memory
    it is, None for others.
    """

    owner: ScriptObject
    name: str
    given: Any
    output: int | None
    structure: Structure = field(default_factory=lambda: Structure("leaf"))
    buffers: tuple[int | None, ...] = ()
    in_place: bool = False

    @property
    def present(self) -> Any:
        """What the attribute holds now."""
        return self.owner.values.get(self.name)

    @property
    def count(self) -> int:
        """How many outputs it has."""
        return 0 if self.output is None else self.structure.leaf_count


@dataclass
class Island:
    """A part that the interpreter has to run, and why.

    `node` is a `prim::Island`, which native code leaves to it, or something that makes it run the whole program (None
    where that has no one node).
    """

    reason: str
    source: SourceRange | None = None
    node: Node | None = None

    @property
    def is_partial(self) -> bool:
        """True when the rest of the program can be native."""
        return self.node is not None and self.node.kind == "prim::Island"


@dataclass
class OptimizedProgram:
    """What `optc.passes.pipelines.optimize` made of a captured function.

    `records` says what every pass did (`optc.pipeline.PassRecord`). `graph` is in core form, None when the whole program has to
    be interpreted (then `islands` says why). Its inputs
    are the leaves of the arguments (`input_structures`, one per argument) followed by the state (`state`); its outputs
    the leaves of the result (`output_structure`) followed by the state's new values.
    """

    graph: Graph | None
    records: list[Any]
    state: list[Slot] = field(default_factory=list)
    islands: list[Island] = field(default_factory=list)
    input_structures: list[Structure] = field(default_factory=list)
    output_structure: Structure | None = None
    compares_arguments: bool = False
    """What the program does depends on which of its tensor arguments are one object."""
    kept: list[Kept] = field(default_factory=list)
    needs_rows: bool = False
    """The program is only right for arguments whose elements lie row by row without gaps."""
