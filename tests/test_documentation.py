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


@pytest.mark.parametrize("folder", ["codegen", "passes"])
def test_the_page_of_a_folder_names_every_file_that_is_no_pass(folder: str) -> None:
    page = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    patterns = re.findall(r"`([\w*]+\.py)`", page)
    files = [file for file in (ROOT / folder).glob("*.py") if "@graph_pass(" not in file.read_text(encoding="utf-8")]
    unnamed = [file.name for file in files if not any(map(file.match, [*patterns, "__init__.py"]))]
    assert unnamed == []
