"""Dependencies point one way: every import of the source is parsed and held against the order in ARCHITECTURE.md."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"locks", "work_sharing"}),
    frozenset({"dataclass"}),
    frozenset({"errors", "config", "generator_state", "messages", "thread_count"}),
    frozenset({"ir"}),
    frozenset({"ops"}),
    frozenset({"eager"}),
    frozenset({"interpreter", "rewrite", "pipeline", "instruments"}),
    frozenset(
        {
            "nn",
            "jit",
            "archive",
            "passes",
            "codegen",
            "amp",
            "autograd",
            "fft",
            "functional",
            "linalg",
            "masked",
            "profiler",
            "signal",
            "special",
        }
    ),
    frozenset({"interop", "runtime", "compiler"}),
    frozenset({"", "cli", "__main__"}),
)
"""The parts of optc, lowest first; a part imports from its own layer and from those below. "" is `optc` itself."""

ONLY: dict[str, frozenset[str]] = {
    "codegen": frozenset(
        {
            "dataclass",
            "errors",
            "config",
            "generator_state",
            "locks",
            "thread_count",
            "work_sharing",
            "ir",
            "ops",
            "codegen",
        }
    ),
    "passes": frozenset().union(*LAYERS[:7], {"passes"}),
}
"""Parts that see less than their layer allows: code generation never sees passes, nor passes the front ends."""

FENCED: dict[str, str] = {"llvmlite": "optc.codegen.machine.backend", "torch": "optc.interop"}
"""Third-party packages, and the only module (with all inside it) that imports them."""

CODE_GENERATION = ("llvm", "machine", "process", "entry", "kernels", "gemm", "driver", "operators", "")
"""The folders of code generation, lowest first; "" is what lies beside them."""

ALLOWED_PACKAGES = frozenset({"numpy", "ml_dtypes", "llvmlite", "torch"})
FOLDER_ALIASES = frozenset({"passes", "codegen"})


@dataclass(frozen=True)
class Import:
    """`importer` imports `imported`, at a line of a file."""

    importer: str
    imported: str
    place: str


def part_of(module: str) -> str:
    """The part of optc a module belongs to: "ir" for optc.ir.graph."""
    return (module.split(".") + [""])[1]


def module_name(path: Path) -> str:
    """The name under which a source file is imported."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] != "optc":
        parts.insert(0, "optc")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def source_files() -> list[Path]:
    """Every file of the package, the two linked folders once."""
    own = [path for path in (ROOT / "optc").rglob("*.py") if path.relative_to(ROOT).parts[1] not in FOLDER_ALIASES]
    return sorted([*own, *(ROOT / "passes").rglob("*.py"), *(ROOT / "codegen").rglob("*.py")])


def imports_of(text: str, importer: str, place: str) -> Iterator[Import]:
    """All imports of a source text, those inside functions included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = [f"optc.{alias.name}" for alias in node.names] if base == "optc" else [base]
        else:
            continue
        yield from (Import(importer, name, f"{place}:{node.lineno}") for name in names)


def layer_of(part: str) -> int:
    """The number of a part's layer. Raises LookupError for a part that has no place yet."""
    for number, parts in enumerate(LAYERS):
        if part in parts:
            return number
    raise LookupError(f"optc/{part} has no place in the order: add it to LAYERS and to ARCHITECTURE.md")


def folder_of(module: str) -> int:
    """How high the folder of a module of code generation is."""
    folder = (module.split(".") + [""])[2]
    return CODE_GENERATION.index(folder if folder in CODE_GENERATION else "")


def imported_part(imported: str) -> str:
    """The part that an import reaches; names of `optc` that are no modules (optc.Tensor) belong to optc itself."""
    part = part_of(imported)
    exists = (ROOT / "optc" / part).exists() or (ROOT / "optc" / f"{part}.py").exists()
    return part if exists else ""


def problem(edge: Import) -> str:
    """What is wrong with an import; empty when nothing is."""
    top = edge.imported.split(".")[0]
    if edge.imported.startswith("."):
        return "imports are absolute"
    if top in FOLDER_ALIASES:
        return f"would load a second copy: import optc.{edge.imported}"
    fence = FENCED.get(top)
    if fence is not None and edge.importer != fence and not edge.importer.startswith(f"{fence}."):
        return f"only {fence} imports {top}"
    if top != "optc":
        return ""
    mine, theirs = part_of(edge.importer), imported_part(edge.imported)
    if mine in ONLY and theirs not in ONLY[mine]:
        return f"optc.{mine} does not import {edge.imported}"
    if mine == theirs == "codegen" and folder_of(edge.imported) > folder_of(edge.importer):
        return f"{edge.importer} is below {edge.imported}"
    if layer_of(theirs) > layer_of(mine):
        return f"optc.{mine} is below {edge.imported}"
    return ""


def package_problem(edge: Import, standard: frozenset[str]) -> str:
    """The complaint about a package that is no dependency of optc; empty when there is none."""
    top = edge.imported.split(".")[0]
    known = top in ALLOWED_PACKAGES or top in standard or top in FOLDER_ALIASES | {"optc", "__future__", ""}
    return "" if known else f"{top} is no dependency of optc"


@cache
def all_imports() -> list[Import]:
    """Every import in the source."""
    found: list[Import] = []
    for path in source_files():
        place = str(path.relative_to(ROOT))
        found.extend(imports_of(path.read_text(encoding="utf-8"), module_name(path), place))
    return found


def test_no_import_points_upward() -> None:
    edges = all_imports()
    assert len(edges) > 200, "the source files were not found"
    complaints = [f"{edge.place}: {text}" for edge in edges if (text := problem(edge))]
    assert not complaints, "\n".join(complaints)


def test_only_declared_dependencies_are_imported() -> None:
    standard = frozenset(sys.stdlib_module_names)
    complaints = [f"{edge.place}: {text}" for edge in all_imports() if (text := package_problem(edge, standard))]
    assert not complaints, "\n".join(complaints)


def test_llvmlite_is_imported_by_one_file() -> None:
    importers = {edge.importer for edge in all_imports() if edge.imported.split(".")[0] == "llvmlite"}
    assert importers == {"optc.codegen.machine.backend"}


def test_every_part_is_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    parts = {part for layer in LAYERS for part in layer} - {"", "__main__"}
    missing = sorted(part for part in parts if part not in text)
    assert not missing, f"ARCHITECTURE.md does not mention {', '.join(missing)}"


@pytest.mark.parametrize(
    ("importer", "line", "complaint"),
    [
        ("optc.ir.graph", "from optc.ops.registry import define", "optc.ir is below optc.ops.registry"),
        ("optc.ops.shape", "import optc.eager.tensor", "optc.ops is below optc.eager.tensor"),
        ("optc.codegen.driver.driver", "from optc.passes.inline import inline", "does not import optc.passes.inline"),
        ("optc.codegen.driver.driver", "from optc.eager.tensor import Tensor", "does not import optc.eager.tensor"),
        ("optc.codegen.llvm.values", "from optc.codegen.machine import jit", "is below optc.codegen.machine"),
        ("optc.codegen.kernels.cost", "from optc.codegen.driver.frame import Frame", "is below optc.codegen.driver"),
        ("optc.codegen.driver.frame", "from optc.codegen.kernels.cost import operations", ""),
        ("optc.passes.inline", "from optc.jit.module import ScriptModule", "does not import optc.jit.module"),
        ("optc.nn.init", "from optc import compiler", "optc.nn is below optc.compiler"),
        ("optc.nn.init", "from optc import Tensor", "optc.nn is below optc.Tensor"),
        ("optc.runtime.native", "def f():\n    import torch", "only optc.interop imports torch"),
        ("optc.codegen.backends", "import llvmlite.binding", "only optc.codegen.machine.backend imports llvmlite"),
        ("optc.passes.inline", "import passes.inline", "second copy: import optc.passes.inline"),
        ("optc.passes.inline", "from .freeze import freeze", "imports are absolute"),
        ("optc.cli.main", "from optc.compiler import compile", ""),
        ("optc.interop.torch", "import torch", ""),
        ("optc.codegen.machine.backend", "from llvmlite import binding", ""),
    ],
)
def test_planted_imports_are_judged(importer: str, line: str, complaint: str) -> None:
    (edge,) = imports_of(line, importer, "planted")
    assert complaint in problem(edge)
    assert bool(complaint) == bool(problem(edge))


def test_undeclared_package_is_reported() -> None:
    (edge,) = imports_of("import requests", "optc.cli.main", "planted")
    assert package_problem(edge, frozenset({"os"})) == "requests is no dependency of optc"
