"""Scripted programs against PyTorch: the same graphs, the same code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import optc
import optc.jit
from tests.jit.both import canonical
from tests.jit.script_programs import PROGRAMS, load

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


def comparable(text: str) -> str:
    """Without the numbers of mangled names and without the folders of files."""
    text = re.sub(r"___torch_mangle_\d+\.", "", text)
    return re.sub(r"# \S*?(\w+\.py|<string>):", r"# \1:", text).replace("torch_program.py", "optc_program.py")


@pytest.mark.parametrize("name", PROGRAMS)
def test_graph_and_code_equal_torchs(name: str, tmp_path: Path) -> None:
    mine, theirs = (library.jit.script(load(name, library, tmp_path)["program"]) for library in (optc, torch))
    assert canonical(comparable(str(mine.graph)), sources=True) == canonical(
        comparable(str(theirs.graph)), sources=True
    )
    assert comparable(mine.code) == comparable(theirs.code)


MODULES = [
    "nn.Linear(4, 3)", "nn.Linear(4, 3, bias=False)", "nn.ReLU(inplace=True)", "nn.GELU('tanh')", "nn.Softmax(-1)",
    "nn.LeakyReLU()", "nn.Hardtanh()", "nn.GLU()", "nn.PReLU()", "nn.Dropout()", "nn.LayerNorm(4)", "nn.GroupNorm(2, 4)",
    "nn.BatchNorm1d(4)", "nn.Flatten()", "nn.Bilinear(2, 3, 4)",
]  # fmt: skip


@pytest.mark.parametrize("text", MODULES)
def test_modules_of_nn_compile_to_torchs_code(text: str) -> None:
    mine, theirs = (library.jit.script(eval(text, {"nn": library.nn})) for library in (optc, torch))
    assert canonical(mine.graph) == canonical(theirs.graph)
    assert comparable(mine.code) == comparable(theirs.code)


def test_the_same_modules_share_types_as_in_torch() -> None:
    patterns = []
    for library in (optc, torch):
        nn = library.nn
        inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        plain = nn.Linear(2, 2, bias=False)
        module = nn.Sequential(inner, plain, nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
        types = re.findall(r"= prim::GetAttr|: (__torch__\S+) = prim::GetAttr", str(library.jit.script(module).graph))
        patterns.append([types.index(name) for name in types])
    assert patterns[0] == patterns[1]
    assert patterns[0] == [0, 1, 2, 0]
