"""The subcommands: what each does with its parsed arguments. Every one returns the exit code."""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optc.cli import inputs, report, results
from optc.cli.check import as_text, contents
from optc.cli.opt import describe_passes, optimize_text
from optc.cli.page import page
from optc.cli.style import GREEN, RED, YELLOW, Style, waiting
from optc.cli.target import Target, UsageError, load_target, one_line, usage_errors
from optc.eager.seeding import manual_seed
from optc.errors import OptcError
from optc.jit.api import freeze
from optc.runtime.collector import collector_paused

DIFFERENT = 1
"""Exit code when results that should be equal are not."""


def dump(options: argparse.Namespace) -> int:
    """`optc dump`: show what the compiler made of a program."""
    levels = [level for level in report.LEVELS if getattr(options, level)]
    if options.diff and "passes" not in levels:
        levels.insert(0, "passes")
    if options.html is not None and not levels:
        levels = ["passes"] if not _has_arguments(options) else list(report.LEVELS)
    target, arguments = program_and_arguments(options)
    if options.html is not None and arguments is not None and levels == ["passes"]:
        levels = list(report.LEVELS)
    with waiting(f"compiling {options.target}"):
        inspection = report.inspect_program(target, arguments, levels)
        sections = list(report.sections_of(inspection, levels, every=options.all, as_diff=options.diff))
    if options.html is not None:
        return write_page(Path(options.html), f"optc: {target.name}", sections)
    style = Style.of(sys.stdout)
    print("\n".join(section.shown(style) for section in sections), end="")
    return 0


def write_page(path: Path, title: str, sections: Sequence[report.Section]) -> int:
    """Write the HTML page. Raises UsageError."""
    try:
        path.write_text(page(title, sections), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    print(path)
    return 0


def _has_arguments(options: argparse.Namespace) -> bool:
    return bool(options.shape or options.input)


def program_and_arguments(options: argparse.Namespace) -> tuple[Target, list[Any] | None]:
    """The captured program and its arguments; None when the command line and the program tell none."""
    given = inputs.from_files(options.input) if options.input else None
    example = given
    if options.trace and example is None:
        if not options.shape:
            raise UsageError("--trace needs arguments to call the program with: give --shape or --input")
        example = inputs.from_shapes(options.shape, None)
    with waiting(f"capturing {options.target}"):
        target = load_target(options.target, options.method, example if options.trace else None)
    if given is not None:
        return target, given
    if options.shape:
        return target, inputs.from_shapes(options.shape, target.parameters)
    return target, inputs.from_trace(target)


def required_arguments(options: argparse.Namespace) -> tuple[Target, list[Any]]:
    """The captured program and the arguments to run it with. Raises UsageError when there are none."""
    target, arguments = program_and_arguments(options)
    if arguments is None:
        wanted = ", ".join(f"{parameter.name}: {parameter.type}" for parameter in target.parameters)
        raise UsageError(f"{options.target} takes ({wanted}): give --input FILE.npy ... or --shape 3x4,...")
    return target, arguments


def run(options: argparse.Namespace) -> int:
    """`optc run`: run a compiled program once; print or save what it returns."""
    target, arguments = required_arguments(options)
    compiled = target.compiled()
    expected = interpreted(target.twin(), arguments) if options.compare else None
    with waiting(f"compiling and running {options.target}"), usage_errors(f"{options.target} failed"):
        manual_seed(inputs.SEED)
        result = compiled(*arguments)
    note_fallbacks(compiled.fallbacks)
    if options.output is not None:
        print("\n".join(str(path) for path in results.save(result, Path(options.output))))
    else:
        print("\n".join(f"{name}: {leaf}" for name, leaf in results.leaves(result)))
    if not options.compare:
        return 0
    return print_comparison(results.compare(result, expected, options.tolerance))


def interpreted(target: Target, arguments: Sequence[Any]) -> Any:
    """What the interpreter gives for the same arguments; a program may write into them, so it gets copies."""
    with waiting(f"interpreting {target.text}"), usage_errors(f"{target.text} failed"):
        manual_seed(inputs.SEED)
        return target.interpret(copy.deepcopy(list(arguments)))


def print_comparison(differences: Sequence[results.Difference]) -> int:
    """Print how far every result is from the interpreter's; the exit code."""
    style = Style.of(sys.stdout)
    for difference in differences:
        verdict = style.paint("equal", GREEN) if difference.is_equal else style.paint("DIFFERENT", RED)
        print(f"{difference.name}: {verdict} to the interpreter ({difference.text})")
    return 0 if all(difference.is_equal for difference in differences) else DIFFERENT


def note_fallbacks(fallbacks: Sequence[Any]) -> None:
    """Say on stderr what is not native."""
    style = Style.of(sys.stderr)
    for fallback in fallbacks:
        print(style.paint(f"optc: runs in the interpreter: {fallback}", YELLOW), file=sys.stderr)


def check(options: argparse.Namespace) -> int:
    """`optc check`: what is in a program; exit code 1 when something that can run is missing."""
    with waiting(f"reading {options.target}"), collector_paused():
        found = contents(load_target(options.target, is_for_show=True))
    print(found.as_json() if options.json else as_text(found, Style.of(sys.stdout)))
    return 0 if found.is_supported else DIFFERENT


def convert(options: argparse.Namespace) -> int:
    """`optc convert`: read an archive or program, freeze and optimise it if asked, write an archive."""
    is_frozen = options.freeze or options.optimize
    if options.keep and not is_frozen:
        raise UsageError("--keep says what --freeze keeps, or --optimize: give one of them, too")
    folder = Path(options.output).parent
    if not folder.is_dir():
        raise UsageError(f"cannot write {options.output}: there is no folder {folder}")
    if Path(options.output).is_dir():
        raise UsageError(f"cannot write {options.output}: it is a folder")
    with waiting(f"reading {options.target}"), collector_paused():
        target = load_target(options.target, is_for_show=True)
    if is_frozen:
        require_something_to_freeze(target, options.keep)
    with usage_errors(f"cannot convert {options.target}"):
        program = target.program()
        if is_frozen:
            program = freeze(program.eval(), options.keep, optimize_numerics=options.optimize)
        program.save(options.output)
    return 0


def require_something_to_freeze(target: Target, kept: Sequence[str]) -> None:
    """Raise UsageError for a function, and for a module of which nothing would be left."""
    if target.receiver is None:
        raise UsageError(f"{target.text} is a function: only modules have something to freeze")
    methods = target.receiver.type.methods
    if not any(name in methods for name in ("forward", *kept)):
        raise UsageError(
            f"{target.text} has no method forward: say with --keep which others to freeze ({', '.join(methods)})"
        )


def opt(options: argparse.Namespace) -> int:
    """`optc opt`: run passes on graph text."""
    text = read_text(options.file)
    try:
        output, records = optimize_text(text, options.passes, options.file, options.verify)
    except OptcError as error:
        raise UsageError(f"{options.file}: {one_line(error)}") from error
    if options.records:
        for number, record in enumerate(records, 1):
            state = "" if record.changed else ", unchanged"
            print(f"optc: {report.pass_title(number, record)}{state}", file=sys.stderr)
    print(Style.of(sys.stdout).graph(output.rstrip()))
    return 0


def read_text(path: str) -> str:
    """The text of a file, or what comes in where `-` is given. Raises UsageError."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: it is no text") from error


def passes(options: argparse.Namespace) -> int:
    """`optc passes`: list what there is to put into a pipeline."""
    print(describe_passes())
    return 0
