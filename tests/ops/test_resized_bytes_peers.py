"""Images of bytes that are resized as fractions and rounded: what lies half-way becomes the byte it is in PyTorch."""

from __future__ import annotations

import pytest

import optc
from optc.nn import functional

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@optc.jit.script
def resized(x: optc.Tensor, height: int, width: int) -> optc.Tensor:
    return functional.interpolate(x, [height, width], mode="bilinear", antialias=True)


@optc.jit.script
def resized_to(x: optc.Tensor, extents: optc.Tensor) -> optc.Tensor:
    size = [int(extents[0]), int(extents[1])]
    return functional.interpolate(x, size, mode="bilinear", antialias=True)


@pytest.mark.parametrize(
    ("shape", "size"), [((40, 48), (32, 40)), ((40, 48), (40, 30)), ((20, 24), (60, 48)), ((20, 9), (10, 30))]
)
def test_rounds_as_pytorch_does(shape: tuple[int, int], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 256, (1, 3, *shape)).float()
    expected = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True).round()
    mine = optc.from_numpy(x.numpy())
    extents = optc.tensor(size)
    found = [
        resized(mine, *size),
        optc.compile(resized, fallback="error")(mine, *size),
        optc.compile(resized_to, fallback="error")(mine, extents),
    ]
    for result in found:
        assert (result.round().numpy() == expected.numpy()).all()
