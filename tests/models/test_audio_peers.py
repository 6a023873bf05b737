"""Programs for sound, scripted and saved by PyTorch, loaded and compiled without it: whole, and equal to PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

from tests.models.audio_models import PROGRAMS
from tests.models.exporting import randomise
from tests.models.whole import found_whole


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiles_whole_and_is_equal(name: str, tmp_path: Path) -> None:
    program = PROGRAMS[name]
    module = program.make().eval()
    randomise(module)
    inputs = [program.inputs(0), program.inputs(1)]
    found_whole(torch.jit.script(module), inputs, tmp_path / "scripted", sets=2)
