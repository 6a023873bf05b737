"""Layers for images against PyTorch: same text, same initial values, same results in every engine, same printed code."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import optc

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

MANGLED = re.compile(r"___torch_mangle_\d+\.")
"""What a process adds to names that it has compiled before."""

LINE, IMAGE, VOLUME = (2, 4, 9), (2, 4, 9, 8), (1, 4, 4, 5, 4)

LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("Conv1d", (4, 6, 3), {}, LINE),
    ("Conv1d", (4, 6, 3), {"padding": "same", "dilation": 2}, LINE),
    ("Conv2d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2, "bias": False}, IMAGE),
    ("Conv2d", (4, 6, (3, 2)), {"padding": (1, 2), "padding_mode": "reflect"}, IMAGE),
    ("Conv2d", (4, 4, 3), {"padding": "valid", "groups": 4}, IMAGE),
    ("Conv3d", (4, 3, 2), {}, VOLUME),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2}, LINE),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "output_padding": 1, "groups": 2}, IMAGE),
    ("ConvTranspose3d", (4, 3, 2), {"dilation": 2}, VOLUME),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, LINE),
    ("MaxPool2d", (2,), {}, IMAGE),
    ("MaxPool2d", ((3, 2), 1), {"dilation": 2, "ceil_mode": True}, IMAGE),
    ("MaxPool3d", (2,), {}, VOLUME),
    ("AvgPool1d", (3,), {"padding": 1, "count_include_pad": False}, LINE),
    ("AvgPool2d", (2,), {"ceil_mode": True}, IMAGE),
    ("AvgPool2d", (3, 2), {"divisor_override": 5}, IMAGE),
    ("AvgPool3d", (2,), {}, VOLUME),
    ("AdaptiveMaxPool1d", (3,), {}, LINE),
    ("AdaptiveMaxPool2d", ((3, 2),), {}, IMAGE),
    ("AdaptiveMaxPool3d", (2,), {}, VOLUME),
    ("AdaptiveAvgPool1d", (3,), {}, LINE),
    ("AdaptiveAvgPool2d", ((3, 2),), {}, IMAGE),
    ("AdaptiveAvgPool3d", (1,), {}, VOLUME),
    ("ConstantPad1d", (2, 0.5), {}, LINE),
    ("ConstantPad2d", ((1, 2, 0, 1), 0.5), {}, IMAGE),
    ("ConstantPad3d", (1, 2.0), {}, VOLUME),
    ("ZeroPad1d", (1,), {}, LINE),
    ("ZeroPad2d", ((1, 0, 2, 1),), {}, IMAGE),
    ("ZeroPad3d", (1,), {}, VOLUME),
    ("ReflectionPad1d", (2,), {}, LINE),
    ("ReflectionPad2d", ((1, 2, 0, 1),), {}, IMAGE),
    ("ReflectionPad3d", (1,), {}, VOLUME),
    ("ReplicationPad1d", (2,), {}, LINE),
    ("ReplicationPad2d", ((1, 2, 0, 1),), {}, IMAGE),
    ("ReplicationPad3d", (1,), {}, VOLUME),
    ("CircularPad1d", (2,), {}, LINE),
    ("CircularPad2d", ((1, 2, 0, 1),), {}, IMAGE),
    ("CircularPad3d", (1,), {}, VOLUME),
    ("PixelShuffle", (2,), {}, IMAGE),
    ("PixelUnshuffle", (2,), {}, (1, 2, 4, 6)),
    ("InstanceNorm1d", (4,), {}, LINE),
    ("InstanceNorm2d", (4,), {"affine": True}, IMAGE),
    ("InstanceNorm3d", (4,), {"affine": True, "bias": False}, VOLUME),
    ("Upsample", (), {"scale_factor": 2}, IMAGE),
    ("Upsample", (), {"scale_factor": (1.5, 2.0), "mode": "bilinear"}, IMAGE),
    ("Upsample", ((7, 5),), {"mode": "bicubic", "align_corners": True}, IMAGE),
    ("Upsample", (5,), {"mode": "linear"}, LINE),
    ("UpsamplingNearest2d", (), {"size": (4, 5)}, IMAGE),
    ("UpsamplingBilinear2d", (), {"scale_factor": 3}, IMAGE),
]


def pair(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    torch.manual_seed(0)
    optc.manual_seed(0)
    return getattr(torch.nn, name)(*arguments, **options), getattr(optc.nn, name)(*arguments, **options)


@pytest.mark.parametrize(("name", "arguments", "options", "shape"), LAYERS)
def test_is_the_layer_of_pytorch(name: str, arguments: Any, options: Any, shape: tuple[int, ...]) -> None:
    theirs, ours = pair(name, arguments, options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values()):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    tensor = optc.from_numpy(x)
    scripted = optc.jit.script(ours)
    engines = [
        ours,
        scripted,
        optc.compile(ours, (tensor,), fallback="error"),
        optc.compile(scripted, fallback="error"),
    ]
    for engine in engines:
        np.testing.assert_allclose(engine(tensor).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert MANGLED.sub("", scripted.code) == MANGLED.sub("", torch.jit.script(theirs).code)


@pytest.mark.parametrize(
    ("name", "arguments", "options", "shape"), [case for case in LAYERS if "padding_mode" not in case[2]]
)
def test_traces_show_the_same_code(name: str, arguments: Any, options: Any, shape: tuple[int, ...]) -> None:
    theirs, ours = pair(name, arguments, options)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    traced = optc.jit.trace(ours, (optc.from_numpy(x),))
    assert traced.code == torch.jit.trace(theirs, torch.from_numpy(x)).code
