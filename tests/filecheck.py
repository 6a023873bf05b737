"""File tests: a graph, the passes to run on it, and what must come out, in one file a stranger can read.

    # RUN: opt -p "canonicalize, dce"
    graph(%x : Float(3)):
      # CHECK-NOT: aten::mul
      %y : Tensor = aten::mul(%x, 1)
      # CHECK: return (%x)
      return (%y)

`CHECK` lines must be found in the output in this order (runs of blanks count as one); `CHECK-NEXT` on the very next
line; `CHECK-NOT` nowhere before the next match. `{{...}}` is a regular expression, `[[NAME:...]]` one whose text is
kept, and `[[NAME]]` that text again. `# ERROR: text` says that the passes must fail with this text.
`python tests/filecheck.py --bless FILE ...` rewrites the CHECK lines: the whole output but for its constants, each line
beside the input line that defines the same value.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import optc.passes.pipelines  # noqa: F401  (registers the passes)
from optc.instruments import Verify
from optc.ir.graph import Graph
from optc.ir.parser import parse_graph
from optc.ir.text import print_graph
from optc.pipeline import PassRecord, run

DIRECTIVE = re.compile(r"#\s*(CHECK(?:-NEXT|-NOT)?|ERROR):\s*(.*?)\s*$")
PIECE = re.compile(r"\{\{(.*?)\}\}|\[\[(\w+):(.*?)\]\]|\[\[(\w+)\]\]")


class CheckFailure(AssertionError):
    """An expectation that the output does not meet."""


@dataclass
class FileTest:
    """One file: its pipeline, the graph's text, and (kind, pattern, line number) for every directive."""

    path: Path
    pipeline: str
    text: str
    directives: list[tuple[str, str, int]]

    @staticmethod
    def read(path: Path) -> FileTest:
        """Parse a file. Raises CheckFailure when it has no RUN line or checks nothing."""
        text = path.read_text(encoding="utf-8")
        found = re.search(r"#\s*RUN:\s*opt\s+(.*)", text)
        if found is None:
            raise CheckFailure(f"{path.name} has no '# RUN: opt -p ...' line")
        arguments = shlex.split(found[1])
        directives = [
            (match[1], match[2], number)
            for number, line in enumerate(text.splitlines(), 1)
            if (match := DIRECTIVE.search(line))
        ]
        if not directives:
            raise CheckFailure(f"{path.name} checks nothing")
        return FileTest(path, arguments[arguments.index("-p") + 1], text, directives)

    def graph(self) -> Graph:
        """The input graph."""
        return parse_graph(self.text, filename=self.path.name)

    def run(self, graph: Graph) -> list[PassRecord]:
        """Run the file's pipeline, verified after every pass."""
        return run(graph, self.pipeline, [Verify(2)], keep_graphs=False)

    def check(self) -> None:
        """Run and compare. Raises CheckFailure."""
        graph = self.graph()
        expected = [pattern for kind, pattern, _ in self.directives if kind == "ERROR"]
        try:
            self.run(graph)
        except Exception as error:
            if not expected or expected[0] not in str(error):
                raise
            return
        if expected:
            raise CheckFailure(f"{self.path.name}: no error, but expected: {expected[0]}")
        check_output(printed(graph), self.directives, self.path.name)

    def bless(self) -> None:
        """Rewrite the CHECK lines from the present output."""
        graph = self.graph()
        self.run(graph)
        output = checkable(printed(graph))
        kept = [line for line in self.text.splitlines() if not line.lstrip().startswith("# CHECK")]
        places = {name: number for number, line in enumerate(kept) for name in defined(line)}
        beside: dict[int, list[str]] = {}
        place = next(number for number, line in enumerate(kept) if line.startswith("graph("))
        for line in output:
            found = [places[name] for name in defined(line) if name in places and places[name] >= place]
            if line.strip().startswith(("return", "->")):
                found = [n for n, text in enumerate(kept) if n >= place and text.strip().startswith(line.split()[0])][
                    :1
                ]
            place = found[0] if found else place
            beside.setdefault(place, []).append(line)
        result: list[str] = []
        for number, line in enumerate(kept):
            indent = " " * (len(line) - len(line.lstrip()))
            result.extend(f"{indent}# CHECK: {text.strip()}" for text in beside.get(number, []))
            result.append(line)
        self.path.write_text("\n".join(result) + "\n", encoding="utf-8")


def printed(graph: Graph) -> str:
    """The output that patterns are compared with."""
    return print_graph(graph, sources=False, exact=True)


def checkable(output: str) -> list[str]:
    """The lines of an output worth checking, with variables for the numbers of nameless values and of symbols."""
    lines = output.splitlines()
    body = lines[next(number for number, line in enumerate(lines) if line.rstrip().endswith("):")) + 1 :]
    constants = {name for line in body if "prim::Constant" in line for name in defined(line) if name.isdigit()}
    seen: set[str] = set()

    def shown(match: re.Match[str]) -> str:
        name = match[1]
        if name in constants:
            return r"%{{\d+}}"
        if name in seen:
            return f"%[[V{name}]]"
        seen.add(name)
        return rf"%[[V{name}:\d+]]"

    def symbol(match: re.Match[str]) -> str:
        name = match[0]
        if name in seen:
            return f"[[{name.upper()}]]"
        seen.add(name)
        return rf"[[{name.upper()}:u\d+]]"

    kept = [line for line in body if not (defined(line) and set(defined(line)) <= constants)]
    return [re.sub(r"\bu\d+\b", symbol, re.sub(r"%(\d+)(?![.\w])", shown, line)) for line in kept]


def defined(line: str) -> list[str]:
    """The names of the values a line of graph text defines."""
    return re.findall(r"%([\w.]+) :", line.partition("= ")[0] if "= " in line else line)


def pattern_to_regex(pattern: str, variables: dict[str, str]) -> str:
    """The regular expression of a CHECK pattern."""
    result = []
    place = 0
    for piece in PIECE.finditer(pattern):
        result.append(_literal(pattern[place : piece.start()]))
        if piece[1] is not None:
            result.append(f"(?:{piece[1]})")
        elif piece[2] is not None:
            result.append(f"(?P<{piece[2]}>{piece[3]})")
        else:
            result.append(re.escape(variables[piece[4]]) if piece[4] in variables else f"(?P={piece[4]})")
        place = piece.end()
    result.append(_literal(pattern[place:]))
    return "".join(result)


def _literal(text: str) -> str:
    return re.sub(r"(\\ )+", r"\\s+", re.escape(re.sub(r"\s+", " ", text)))


def check_output(output: str, directives: list[tuple[str, str, int]], name: str) -> None:
    """Hold output against directives. Raises CheckFailure naming the file and the line of the directive."""
    lines = output.splitlines()
    variables: dict[str, str] = {}
    position = -1
    forbidden: list[tuple[str, int]] = []
    for kind, pattern, number in directives:
        if kind == "CHECK-NOT":
            forbidden.append((pattern, number))
            continue
        candidates = [position + 1] if kind == "CHECK-NEXT" else range(position + 1, len(lines))
        regex = pattern_to_regex(pattern, variables)
        found = next(((n, match) for n in candidates if n < len(lines) and (match := re.search(regex, lines[n]))), None)
        if found is None:
            raise CheckFailure(f"{name}:{number}: {kind} {pattern!r} not found after line {position + 1} of:\n{output}")
        _check_absent(forbidden, lines[position + 1 : found[0]], variables, name, output)
        forbidden = []
        position = found[0]
        variables.update(found[1].groupdict())
    _check_absent(forbidden, lines[position + 1 :], variables, name, output)


def _check_absent(
    forbidden: list[tuple[str, int]], lines: list[str], variables: dict[str, str], name: str, output: str
) -> None:
    for pattern, number in forbidden:
        regex = pattern_to_regex(pattern, variables)
        for line in lines:
            if re.search(regex, line):
                raise CheckFailure(f"{name}:{number}: CHECK-NOT {pattern!r} matches {line.strip()!r} in:\n{output}")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        if argument != "--bless":
            test = FileTest.read(Path(argument))
            test.bless() if "--bless" in sys.argv else test.check()
