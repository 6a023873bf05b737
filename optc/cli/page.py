"""The dump as one HTML page that needs nothing else: no scripts, no fonts, no network."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from optc.cli.report import Section

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #8889; --kind: light-dark(#0550ae, #79c0ff);
        --plus: light-dark(#116329, #7ee787); --minus: light-dark(#a40e26, #ff9492); }
body { margin: 0; font: 14px/1.45 system-ui, sans-serif; display: grid; grid-template-columns: 19rem 1fr; }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; border-right: 1px solid var(--line); padding: 1rem; }
nav a { display: block; color: inherit; text-decoration: none; padding: .1rem 0; white-space: nowrap;
        overflow: hidden; text-overflow: ellipsis; }
nav a:hover { text-decoration: underline; }
main { padding: 1rem 1.5rem; min-width: 0; }
h1 { font-size: 1.2rem; } details { border: 1px solid var(--line); border-radius: 6px; margin: .6rem 0; }
summary { cursor: pointer; padding: .4rem .8rem; font-weight: 600; }
pre { margin: 0; padding: .6rem .8rem; overflow: auto; border-top: 1px solid var(--line);
      font: 12.5px/1.5 ui-monospace, monospace; tab-size: 4; }
.kind { color: var(--kind); } .note { color: var(--dim); } .plus { color: var(--plus); } .minus { color: var(--minus); }
@media (max-width: 60rem) { body { display: block; } nav { position: static; height: auto; } }
"""

_KIND = re.compile(r"\b(?:aten|prim)::\w+(?:\.\w+)?")
_NOTE = re.compile(r"\s(?:#|;) .*$", re.MULTILINE)


def page(title: str, sections: Sequence[Section]) -> str:
    """The whole page; everything that comes from the program is escaped."""
    links = "\n".join(
        f'<a href="#s{number}">{html.escape(section.title)}</a>' for number, section in enumerate(sections)
    )
    bodies = "\n".join(_details(number, section) for number, section in enumerate(sections))
    shown = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{shown}</title>\n<style>{_STYLE}</style>\n'
        f"<nav><h1>{shown}</h1>\n{links}\n</nav>\n<main>\n{bodies}\n</main>\n</html>\n"
    )


def _details(number: int, section: Section) -> str:
    opened = "" if section.level in ("llvm", "asm") else " open"
    body = _diff(section.text) if section.kind == "diff" else _highlighted(html.escape(section.text))
    return (
        f'<details id="s{number}"{opened}><summary>{html.escape(section.title)}</summary>\n<pre>{body}</pre></details>'
    )


def _highlighted(escaped: str) -> str:
    marked = _KIND.sub(lambda kind: f'<span class="kind">{kind[0]}</span>', escaped)
    return _NOTE.sub(lambda note: f'<span class="note">{note[0]}</span>', marked)


def _diff(text: str) -> str:
    classes = {"+": "plus", "-": "minus", "@": "note"}
    return "\n".join(
        f'<span class="{classes[line[0]]}">{html.escape(line)}</span>' if line[:1] in classes else html.escape(line)
        for line in text.splitlines()
    )
