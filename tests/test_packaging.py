"""What is installed, and what importing it costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINKED = {"optc.passes": "passes", "optc.codegen": "codegen"}

IMPORT = """
import sys, time
start = time.process_time()
import numpy
numpy_seconds = time.process_time() - start
import optc
seconds = time.process_time() - start
print(seconds / numpy_seconds, *sorted({name.partition(".")[0] for name in sys.modules} & {"llvmlite", "ml_dtypes", "torch"}))
"""


def folders_with_code() -> set[str]:
    """The dotted name of every folder that holds an `__init__.py`."""
    own = {path.parent.relative_to(ROOT) for path in (ROOT / "optc").rglob("__init__.py")}
    linked = {
        Path("optc") / path.parent.relative_to(ROOT)
        for name in LINKED.values()
        for path in (ROOT / name).rglob("__init__.py")
    }
    return {".".join(folder.parts) for folder in own | linked}


def run_python(code: str, bytecode: Path) -> str:
    """What a new interpreter prints that keeps compiled modules, as an installed one does, in a folder."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return finished.stdout


def test_every_folder_with_code_is_installed() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders_with_code()


def test_every_folder_of_source_is_a_package() -> None:
    folders = {path.parent for top in ("optc", "passes", "codegen") for path in (ROOT / top).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("name", LINKED.values())
def test_links_point_at_the_folders(name: str) -> None:
    link = ROOT / "optc" / name
    assert os.path.realpath(link) == str(ROOT / name)


def test_mapping_installs_the_linked_folders() -> None:
    assert PROJECT["tool"]["setuptools"]["package-dir"] == LINKED


def test_import_is_fast_and_light(tmp_path: Path) -> None:
    found = [run_python(IMPORT, tmp_path).split() for _ in range(3)]
    assert all(modules == [] for _, *modules in found), "import optc loads what only compilation needs"
    assert min(float(ratio) for ratio, *_ in found) < 3.5, "import optc takes too many times as long as numpy alone"


def test_import_needs_neither_llvmlite_nor_torch(tmp_path: Path) -> None:
    blocked = "import sys; sys.modules['llvmlite'] = sys.modules['torch'] = None; import optc; print('imported')"
    assert run_python(blocked, tmp_path).strip() == "imported"


COMPILE_FLOATS = """
import sys
import optc
module = optc.nn.Linear(3, 4)
optc.compile(module, fallback="error")(optc.ones(2, 3))
print("ml_dtypes" in sys.modules, optc.ones(2, dtype=optc.bfloat16).numpy().dtype)
"""


def test_only_programs_with_its_types_import_ml_dtypes(tmp_path: Path) -> None:
    assert run_python(COMPILE_FLOATS, tmp_path).split() == ["False", "bfloat16"]


@pytest.mark.slow
def test_wheel_works_without_the_source(tmp_path: Path) -> None:
    source = tmp_path / "source"  # setuptools writes into the folder it builds
    ignored = shutil.ignore_patterns(".*", "build", "venv", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path), str(source)], check=True
    )
    (wheel,) = tmp_path.glob("optc-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"optc", wheel.name.split("-py3")[0] + ".dist-info"}
    assert {"optc/py.typed", "optc/passes/inline.py", "optc/codegen/machine/jit.py"} <= set(names)

    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([scripts / "python", "-m", "pip", "install", "-q", str(wheel)], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "codegen.py").write_text("raise ImportError('the wrong codegen')\n", encoding="utf-8")
    command = "import optc; print(optc.compile(lambda x: x + 1, (optc.ones(2, 3),))(optc.zeros(2, 3)).sum().item())"
    finished = subprocess.run(
        [scripts / "python", "-c", command], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "6.0"
    listing = subprocess.run([scripts / "optc", "--version"], cwd=elsewhere, capture_output=True, text=True, check=True)
    assert listing.stdout.strip() == f"optc {PROJECT['project']['version']}"
