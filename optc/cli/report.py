"""What there is to see of a program: its passes, graph, kernels, LLVM and assembly, as sections of text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import field
from typing import Any

from optc.cli.diff import graph_diff
from optc.cli.style import Style, duration
from optc.cli.target import Target, UsageError, usage_errors
from optc.dataclass import dataclass
from optc.passes.pipelines import optimize
from optc.pipeline import PassRecord

LEVELS = ("passes", "kernels", "llvm", "asm")

TITLES = {"kernels": "kernels", "llvm": "LLVM", "asm": "assembly"}

ALWAYS_FAILS = "none: the program fails for all arguments of these types; the optimised graph says how"

NOTHING_SHOWN = "(only what this text leaves out, such as dimensions known of ints: optc opt prints them)"


@dataclass(frozen=True)
class Section:
    """One piece of a dump: a title, a text, and what kind of text it is (graph, diff, code or text)."""

    title: str
    text: str
    kind: str
    level: str

    def shown(self, style: Style) -> str:
        """The section for a terminal or a pipe."""
        painted = {"graph": style.graph, "diff": style.diff, "code": style.code}.get(self.kind, str)
        return f"{style.heading(self.title)}\n{painted(self.text.rstrip())}\n"


@dataclass
class Inspection:
    """A program after the pipeline, and its native code where arguments were given."""

    name: str
    records: list[PassRecord]
    graph: str
    fallbacks: list[str]
    kernels: list[Any] = field(default_factory=list)
    is_native: bool = True
    llvm: str = ""
    assembly: str = ""


def inspect_program(target: Target, arguments: Sequence[Any] | None, levels: Collection[str]) -> Inspection:
    """Run the pipeline, and code generation where a level below the passes is wanted.

    Without arguments the program is optimised for the types it declares, and nothing is known of shapes.
    Raises UsageError when code is wanted but the arguments are missing or wrong.
    """
    if arguments is None:
        return _inspect_declared(target, levels)
    compiled = target.compiled()
    with usage_errors(f"cannot compile {target.text}"):
        compiled.prepare(*arguments)
    fallbacks = [str(fallback) for fallback in compiled.fallbacks]
    shown = compiled.specializations[0]
    graph = "" if shown.graph is None else str(shown.graph)
    is_native = shown.native is not None
    inspection = Inspection(target.name, compiled.passes, graph, fallbacks, compiled.kernels, is_native)
    if "llvm" in levels:
        inspection.llvm = compiled.llvm
    if "asm" in levels:
        inspection.assembly = compiled.assembly
    return inspection


def _inspect_declared(target: Target, levels: Collection[str]) -> Inspection:
    below = [level for level in LEVELS[1:] if level in levels]
    if below:
        raise UsageError(f"--{below[0]} needs the arguments' shapes: give --shape 3x4,... or --input FILE.npy")
    with usage_errors(f"cannot optimise {target.text}"):
        program = optimize(target.function, target.receiver)
    islands = [f"{island.reason} ({island.source})" if island.source else island.reason for island in program.islands]
    return Inspection(target.name, program.records, str(program.graph or ""), islands)


def sections_of(
    inspection: Inspection, levels: Collection[str], *, every: bool = False, as_diff: bool = False
) -> Iterator[Section]:
    """The sections of a dump. `every` shows passes that changed nothing too, `as_diff` what changed instead of graphs.

    Without any level: the optimised graph.
    """
    if "passes" in levels:
        yield from pass_sections(inspection.records, every, as_diff)
    if not levels:
        yield Section(f"{inspection.name}: the optimised graph", inspection.graph, "graph", "graph")
    if inspection.fallbacks:
        yield Section("runs in the interpreter", "\n".join(inspection.fallbacks), "text", "fallbacks")
    if not inspection.is_native:
        reason = "none: the interpreter runs all of it" if inspection.fallbacks else ALWAYS_FAILS
        yield from (Section(TITLES[level], reason, "text", level) for level in LEVELS[1:] if level in levels)
        return
    if "kernels" in levels:
        yield from kernel_sections(inspection.kernels)
    if "llvm" in levels:
        yield Section(TITLES["llvm"], inspection.llvm, "code", "llvm")
    if "asm" in levels:
        yield Section(TITLES["asm"], inspection.assembly, "code", "asm")


def pass_sections(records: Sequence[PassRecord], every: bool, as_diff: bool) -> Iterator[Section]:
    """The captured graph, then one section per run of a pass."""
    if records:
        yield Section("before the first pass", records[0].before, "graph", "passes")
    for number, record in enumerate(records, 1):
        if record.changed and as_diff:
            changes = graph_diff(record.before, record.after, f"after {record.name}") or NOTHING_SHOWN
            yield Section(pass_title(number, record), changes, "diff", "passes")
        elif record.changed:
            yield Section(pass_title(number, record), record.after, "graph", "passes")
        elif every:
            yield Section(pass_title(number, record), "(unchanged)", "text", "passes")


def pass_title(number: int, record: PassRecord) -> str:
    """`after pass 7, canonicalize: 0.81 ms, 3 rewrites (mul-one 2, neg-neg 1)`."""
    rewrites = ", ".join(f"{name} {count}" for name, count in record.rewrites.items())
    total = sum(record.rewrites.values())
    counted = f", {total} {'rewrite' if total == 1 else 'rewrites'} ({rewrites})" if total else ""
    return f"after pass {number}, {record.name}: {duration(record.seconds)}{counted}"


def kernel_sections(kernels: Sequence[Any]) -> Iterator[Section]:
    """One section per kernel: what it computes, its loops, and why it is not larger."""
    if not kernels:
        text = "no kernel of its own: all of it is scalars and small tensors in registers (see --llvm)"
        yield Section(TITLES["kernels"], text, "text", "kernels")
    for number, kernel in enumerate(kernels, 1):
        notes = "".join(f"\n; {note}" for note in kernel.notes)
        yield Section(
            f"kernel {number}, {kernel.name}: {', '.join(kernel.operators)}", f"{kernel.text}{notes}", "code", "kernels"
        )
