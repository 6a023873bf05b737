"""Writes what documentation can be generated: `python docs/generate.py`; `--check` only says what is out of date.

`docs/operators.md`, `docs/passes.md` and `docs/environment.md` are written whole. In README.md the text between
`<!-- generated: NAME -->` and `<!-- end -->` is replaced by the output of a command. Times differ from run to run, so
the sections that show them are only written when they are named (`python docs/generate.py peers`), and `--check` leaves
them out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from optc import config
from optc.cli.main import main as run_command
from optc.ops.quantized_parts import works_on_integers
from optc.ops.registry import Interpreted, Operator, all_operators, lookup
from optc.passes import pipelines
from optc.pipeline import all_passes, named_pipelines

README = ROOT / "README.md"
LOWERINGS = {
    "Pointwise": "per element, fused",
    "Reduction": "loop, fused",
    "Layout": "view",
    "Kernel": "kernel of its own",
    "Decomposition": "by other operators",
    "Interpreted": "interpreter",
}
NOTE = "<!-- Written by docs/generate.py: edit that. -->"


def output_of(arguments: list[str]) -> str:
    """What the command prints, with paths relative to the repository."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        code = run_command(arguments)
    if code:
        raise SystemExit(f"optc {' '.join(arguments)} ended with exit code {code}")
    return relative(stream.getvalue())


def relative(text: str) -> str:
    """Paths without the place of this checkout."""
    return text.replace(f"{ROOT}/", "").rstrip()


def tutorial() -> str:
    """The table of the main job."""
    finished = subprocess.run(
        [sys.executable, "examples/tutorial.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return f"```\n{relative(finished.stdout)}\n```"


def peers() -> str:
    """The table of peers, where they are installed; the table the README has, elsewhere."""
    if importlib.util.find_spec("torch") is None:
        found = section_of(README.read_text(encoding="utf-8"), "peers")
        return found.rstrip("\n")
    finished = subprocess.run(
        [sys.executable, "-m", "bench.peers"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return f"```\n{relative(finished.stdout)}\n```"


def optimised_loop() -> str:
    """The graph of the loop after the passes, without source places and constants' values."""
    text = output_of(["dump", "examples/networks.py:rnn_loop", "--shape", "10x3x4"])
    lines = [re.sub(r"(, scope: \S+)?\s*# \S+$", "", line) for line in text.splitlines()]
    kept = [line for line in lines if "prim::Constant" not in line]
    return "```\n$ optc dump examples/networks.py:rnn_loop --shape 10x3x4\n" + "\n".join(kept) + "\n```"


def kernel_decisions() -> str:
    """What became one kernel in the chain."""
    text = output_of(["dump", "--kernels", "examples/networks.py:chain", "--shape", "1024x1024"])
    titles = [re.sub(r"kernel_\w+", "kernel_...", line) for line in text.splitlines() if line.startswith("==")]
    return (
        "```\n$ optc dump --kernels examples/networks.py:chain --shape 1024x1024\n" + "\n".join(titles) + "\n...\n```"
    )


def operators() -> str:
    """Every operator, what native code does with it, and its in-place form."""
    functional = [operator for operator in all_operators() if operator.functional is None]
    written = {id(operator.functional) for operator in all_operators() if _is_inplace(operator)}
    native = [
        operator
        for operator in functional
        if works_on_integers(operator) or not isinstance(operator.lowering, Interpreted)
    ]
    lines = [
        NOTE,
        "# Operators",
        "",
        f"{len(functional)} overloads, {len(native)} of them native. The others appear in `fast.fallbacks`, with the reason.",
        "",
        "| operator | native code | in place |",
        "|---|---|---|",
    ]
    for operator in sorted(functional, key=lambda item: item.name):
        how = LOWERINGS[type(operator.lowering).__name__]
        reason = f": {operator.lowering.reason}" if isinstance(operator.lowering, Interpreted) else ""
        if works_on_integers(operator):
            how, reason = "with integers, where scales are constants", ""
        lines.append(f"| `{operator.schema}` | {how}{reason} | {'yes' if id(operator) in written else ''} |")
    return "\n".join(line.replace("|  |", "| |") for line in lines) + "\n"


def _is_inplace(operator: Operator) -> bool:
    base = operator.name.partition(".")[0]
    return operator.functional is not None and base.endswith("_") and lookup(operator.name) is operator


def passes() -> str:
    """Every pass with its sentence, and the named pipelines."""
    if not pipelines.PASSES:
        raise SystemExit("no pass is registered")
    lines = [NOTE, "# Passes", "", "| pass | short | what it does | options |", "|---|---|---|---|"]
    for item in all_passes():
        options = ", ".join(f"`{name}={value}`" for name, value in item.options.items())
        short = f"`{item.alias}`" if item.alias else ""
        lines.append(f"| `{item.name}` | {short} | {item.summary} | {options} |")
    lines += [
        "",
        'A pipeline is text: `optc opt graph.ir -p "canonicalize, repeat(cse, dce), loop-unrolling{trips=4}"`.',
        "",
    ]
    lines += ["| pipeline | stands for |", "|---|---|"]
    lines += [f"| `{name}` | `{text}` |" for name, text in named_pipelines().items()]
    return "\n".join(lines) + "\n"


def environment() -> str:
    """Every variable that optc reads."""
    lines = [
        NOTE,
        "# Environment variables",
        "",
        "Read when they are needed, so a session may set them at any time.",
        "",
    ]
    lines += ["| variable | default | what it does |", "|---|---|---|"]
    for variable in config.variables():
        default = "" if variable.default in ("", None) else f"`{_switch(variable.default)}`"
        lines.append(f"| `{variable.name}` | {default} | {variable.documentation} |")
    return "\n".join(lines) + "\n"


def _switch(value: object) -> object:
    return int(value) if isinstance(value, bool) else value


FILES: dict[str, Callable[[], str]] = {
    "docs/operators.md": operators,
    "docs/passes.md": passes,
    "docs/environment.md": environment,
}
SECTIONS: dict[str, Callable[[], str]] = {
    "loop": optimised_loop,
    "kernels": kernel_decisions,
    "tutorial": tutorial,
    "peers": peers,
}
TIMED = ("tutorial", "peers")


def section_of(text: str, name: str) -> str:
    """What a generated section holds now. Raises SystemExit when there is none."""
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    if found is None:
        raise SystemExit(f"README.md has no section <!-- generated: {name} -->")
    return found[1]


def with_section(text: str, name: str, content: str) -> str:
    """The text with one generated section replaced. Raises SystemExit when it has no such section."""
    marker = f"<!-- generated: {name} -->\n"
    return text.replace(f"{marker}{section_of(text, name)}<!-- end -->", f"{marker}{content}\n<!-- end -->")


def stale() -> list[str]:
    """The files and sections that no longer say what the code does."""
    found = [name for name, write in FILES.items() if not _says(ROOT / name, write())]
    text = README.read_text(encoding="utf-8")
    for name, write in SECTIONS.items():
        if name not in TIMED and with_section(text, name, write()) != text:
            found.append(f"README.md, {name}")
    return found


def _says(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def write_anew(names: Sequence[str]) -> None:
    """Write files and sections anew."""
    for name in names:
        if name in FILES:
            (ROOT / name).write_text(FILES[name](), encoding="utf-8")
            continue
        content = SECTIONS[name]()
        text = README.read_text(encoding="utf-8")
        README.write_text(with_section(text, name, content), encoding="utf-8")


def main() -> int:
    """Write, or check. Exit code 1 when something is out of date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = [*FILES, *SECTIONS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to write: {', '.join(known)} (default: all "
                        f"but the sections with times: {', '.join(TIMED)})")  # fmt: skip
    parser.add_argument("--check", action="store_true", help="write nothing, name what is out of date")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}")
    if not options.check:
        write_anew(options.names or [name for name in known if name not in TIMED])
        return 0
    found = stale()
    print("\n".join(f"out of date: {name} (run python docs/generate.py)" for name in found) or "up to date")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
