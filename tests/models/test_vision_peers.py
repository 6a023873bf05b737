"""Models of torchvision: traced and scripted by PyTorch, loaded and compiled without it.

Every model runs in processes of its own: whole (nothing falls back), equal to PyTorch, and with nothing left of what
scripted programs ask about their arguments.
"""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

import tests.models.torchvision_operators  # noqa: F401

pytest.importorskip("torchvision")

from tests.models.vision_models import MODELS, build
from tests.models.whole import QUESTIONS, found_whole

USUAL = (
    "ResNet-18", "ResNet-50", "SqueezeNet", "DenseNet-121", "GoogLeNet", "Inception", "MobileNetV2", "MobileNetV3", "ShuffleNetV2",
    "EfficientNet", "RegNet", "ConvNeXt", "ViT", "Swin", "DeepLabV3", "LR-ASPP", "SSDLite", "R3D",
)  # fmt: skip
"""One of each kind; the others are tried by `pytest -m "peers and slow"`."""
UNTRACEABLE = ("RAFT", "SSDLite")
"""Traced with loops over Python numbers, which is the same program many times over, or for what one image holds."""


@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_compiles_whole_and_is_equal(name: str, tmp_path: Path) -> None:
    module, inputs = build(MODELS[name])
    with torch.no_grad():
        scripted = found_whole(torch.jit.script(module), inputs, tmp_path / "scripted")
        if name in UNTRACEABLE:
            return
        traced = torch.jit.trace(module, inputs[0], check_trace=False, strict=False)
        traced = found_whole(traced, inputs, tmp_path / "traced")
    assert not QUESTIONS & (set(scripted["kinds"]) - set(traced["kinds"]))
