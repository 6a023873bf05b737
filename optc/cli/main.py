"""The command `optc`: reads its arguments, runs a subcommand, and turns what the user got wrong into one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from optc import __version__, config
from optc.cli import benchmark, cache, commands
from optc.cli.target import UsageError, one_line
from optc.errors import OptcError

BAD_USAGE = 2

TARGET_HELP = (
    "an archive (model.pt), or path/to/file.py:name: a module, a class that needs no arguments, something traced, "
    "scripted or compiled, a function, or a function without arguments that returns one of these"
)
EPILOG = (
    "Arguments of the program: --input takes one .npy file or number per argument; --shape makes random ones, a shape "
    "for each tensor (`scalar` for one without dimensions) and a number for each number: --shape 3x4,5:int64,scalar,7. "
    "A traced program knows its shapes. "
    "OPTC_DEBUG=1 shows the traceback of an error; `optc passes` lists the passes."
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(prog="optc", description="TorchScript, compiled, without PyTorch.", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"optc {__version__}")
    names = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_dump(names.add_parser("dump", help="show what the compiler makes of a program", epilog=EPILOG))
    _add_run(names.add_parser("run", help="run a program; print or save the results", epilog=EPILOG))
    _add_bench(names.add_parser("bench", help="time interpreter, compiled code, and torch if installed", epilog=EPILOG))
    _add_check(names.add_parser("check", help="what is in a program, and whether all of it is supported"))
    _add_convert(names.add_parser("convert", help="read a program or archive and write an archive"))
    _add_opt(names.add_parser("opt", help="run passes on the text of a graph"))
    _add_cache(names.add_parser("cache", help="what lies in the disk cache of compiled code"))
    listing = names.add_parser("passes", help="list passes and pipelines")
    listing.set_defaults(action=commands.passes)
    return parser


def _add_program(parser: argparse.ArgumentParser, is_needed: bool = True) -> None:
    parser.add_argument("target", metavar="TARGET", nargs=None if is_needed else "?", default="", help=TARGET_HELP)
    parser.add_argument("--method", default="", metavar="NAME", help="another method than forward")
    parser.add_argument("--trace", action="store_true", help="trace a plain module or function instead of scripting it")
    values = parser.add_mutually_exclusive_group()
    values.add_argument("--input", nargs="+", action="extend", metavar="FILE.npy", help="the program's arguments")
    values.add_argument("--shape", default="", metavar="3x4,...", help="random arguments of these shapes")


def _add_dump(parser: argparse.ArgumentParser) -> None:
    _add_program(parser)
    parser.add_argument("--passes", action="store_true", help="the graph after every pass that changed it")
    parser.add_argument(
        "--kernels", action="store_true", help="the loops that run, and why they were not fused further"
    )
    parser.add_argument("--llvm", action="store_true", help="the LLVM code")
    parser.add_argument("--asm", action="store_true", help="the machine code")
    parser.add_argument("--diff", action="store_true", help="what passes changed, instead of whole graphs")
    parser.add_argument("--all", action="store_true", help="also the passes that changed nothing")
    parser.add_argument("--html", metavar="FILE", help="write one page with all of it")
    parser.set_defaults(action=commands.dump)


def _add_tolerance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tolerance", type=float, default=1e-4, help="for comparing floats (default: %(default)s)")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_program(parser)
    parser.add_argument("--output", metavar="DIR", help="save the results as .npy files instead of printing them")
    parser.add_argument("--compare", action="store_true", help="hold the results against the interpreter's")
    _add_tolerance(parser)
    parser.set_defaults(action=commands.run)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    _add_program(parser, is_needed=False)
    parser.add_argument("--rounds", type=_count, default=100, help="samples per engine (default: %(default)s)")
    parser.add_argument("--profile", action="store_true", help="say where the time goes instead, kernel by kernel")
    parser.add_argument("--roofs", action="store_true", help="measure what this machine can do at most, and show it")
    _add_tolerance(parser)
    parser.set_defaults(action=benchmark.bench)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help=TARGET_HELP)
    parser.add_argument("--json", action="store_true", help="for programs to read")
    parser.set_defaults(action=commands.check)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="IN", help=TARGET_HELP)
    parser.add_argument("output", metavar="OUT", help="the archive to write")
    parser.add_argument("--freeze", action="store_true", help="inline submodules, make attributes constants, simplify")
    parser.add_argument(
        "--optimize", action="store_true", help="freeze, and let convolutions do what follows them (changes rounding)"
    )
    parser.add_argument("--keep", nargs="+", default=[], metavar="NAME", help="methods and attributes to keep")
    parser.set_defaults(action=commands.convert)


def _add_opt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.ir", help="the text of a graph; - for standard input")
    parser.add_argument("-p", "--passes", required=True, metavar="PASSES", help='such as "canonicalize, cse, dce"')
    parser.add_argument(
        "--verify", type=int, choices=(0, 1, 2), default=1, help="as OPTC_VERIFY (default: %(default)s)"
    )
    parser.add_argument("--records", action="store_true", help="say on stderr what every pass did")
    parser.set_defaults(action=commands.opt)


def _add_cache(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--info", action="store_true", help="say where it is and what is in it (the default)")
    what.add_argument("--clear", action="store_true", help="delete what optc has stored")
    parser.set_defaults(action=cache.run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0, 1 (results differ) or 2 (bad usage or input)."""
    options = make_parser().parse_args(arguments)
    try:
        code: int = options.action(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has seen enough; nothing must be written when Python closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UsageError, OptcError) as error:
        if config.DEBUG():
            raise
        said = str(error) if isinstance(error, UsageError) else one_line(error)
        print(f"optc {options.command}: error: {said}", file=sys.stderr)
        return BAD_USAGE
    return code
