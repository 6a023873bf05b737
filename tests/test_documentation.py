"""What the documentation promises exists: links, commands, sections."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def command(name: str) -> str:
    """The shell command the README gives under a marker, which .ci/run takes from there too."""
    found = re.findall(rf"<!-- command: {name} -->\n```sh\n(.*?)\n```", README, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize("name", ["run", "test"])
def test_commands_are_one_line_each(name: str) -> None:
    assert "\n" not in command(name)
    assert command(name).startswith("python3 -m venv .venv && ")
    assert "torch" not in command(name)


def test_files_that_commands_run_exist() -> None:
    assert (ROOT / "examples" / "tutorial.py").exists()
    assert "examples/tutorial.py" in command("run")
    assert "pytest" in command("test")


def test_every_generated_section_is_filled() -> None:
    sections = re.findall(r"<!-- generated: (\w+) -->\n(.*?)<!-- end -->", README, re.DOTALL)
    assert {name for name, _ in sections} == {"loop", "tutorial", "kernels", "peers"}
    assert all(text.startswith("```") for _, text in sections)


def test_script_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "run_readme_command test" in script and "run_readme_command run" in script
    assert script.index("run_readme_command test") < script.index("-m mypy")


DECLARATION = re.compile(r"@graph_pass\(|\"[a-z_]+::[^\"(]*\(")
"""A pass, or the schema of an operator: a file that has one is found by its name."""


@pytest.mark.parametrize("folder", ["codegen", "passes", "optc/ops", "optc/jit"])
def test_the_page_of_a_folder_names_every_file_that_declares_nothing(folder: str) -> None:
    page = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    patterns = re.findall(r"`([\w*]+\.py)`", page)
    found = [file for file in (ROOT / folder).rglob("*.py") if file.parent.name != "functions"]
    declares = folder in ("passes", "optc/ops")
    files = [file for file in found if not (declares and DECLARATION.search(file.read_text(encoding="utf-8")))]
    unnamed = [file.name for file in files if not any(map(file.match, [*patterns, "__init__.py"]))]
    assert unnamed == []


@pytest.mark.parametrize("folder", ["codegen", "passes", "optc/ops", "optc/jit"])
def test_the_page_of_a_folder_names_no_file_that_is_not_there(folder: str) -> None:
    page = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"`([\w*]+\.py)`", page)
    assert [name for name in names if not any((ROOT / folder).rglob(name))] == []
