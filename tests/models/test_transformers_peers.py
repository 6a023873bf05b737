"""Models of the transformers library in small: traced and saved by PyTorch, loaded and compiled without it.

Every model runs in a process of its own, for two sizes of its inputs: whole (nothing falls back), and equal to PyTorch.
"""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

from tests.models.exporting import randomise
from tests.models.generation_steps import STEPS
from tests.models.transformers_models import FIXED_SIZE, MODELS, build
from tests.models.whole import found_whole

USUAL = (
    "BERT", "DistilBERT", "RoBERTa", "DeBERTa", "GPT-2", "Llama", "T5", "Blenderbot", "ViT", "DINOv2", "CLIP", "Whisper",
    "wav2vec 2.0",
)  # fmt: skip
"""One of each kind; the others are tried by `pytest -m "peers and slow"`."""


@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_compiles_whole_and_is_equal(name: str, tmp_path: Path) -> None:
    program, inputs = build(MODELS[name])
    randomise(program)
    with torch.no_grad():
        traced = torch.jit.trace(program, inputs[0], check_trace=False)
    found_whole(traced, inputs, tmp_path / "traced", sets=1 if name in FIXED_SIZE else 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_generation_compiles_whole_and_is_equal(name: str, tmp_path: Path) -> None:
    make, inputs_of = STEPS[name]
    program, inputs = make(), [inputs_of(0), inputs_of(1)]
    randomise(program)
    with torch.no_grad():
        traced = torch.jit.trace(program, inputs[0], check_trace=False)
    found_whole(traced, inputs, tmp_path / "traced", sets=2)
