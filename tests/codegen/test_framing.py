"""What only padding reads is written where it belongs in the padded tensor; else it is copied there. The frame is filled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
from optc import Tensor, nn
from optc.nn import functional

PADS = [(1, 1, 1, 1), (0, 2, 3, 0), (2, 0), (0, 0, 0, 0, 1, 2), (0, 0, 2, 1, 1, 0)]


def check(program: Any, x: Any, copies: int, dynamic: bool = False) -> Any:
    """The compiled program gives what the program gives, and so many kernels of padding read what they write."""
    fast = optc.compile(program, (x,), dynamic=dynamic, fallback="error", cache=False)
    expected = program(x).detach().numpy()
    np.testing.assert_allclose(fast(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    padding = [kernel for kernel in fast.kernels if kernel.operators == ["aten::constant_pad_nd"]]
    assert sum("float32* in0" in kernel.text for kernel in padding) == copies
    return fast


def image(*shape: int) -> Any:
    return optc.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("value", [0, -0.0, 1.5, float("-inf"), float("nan")])
def test_a_frame_is_filled_around_a_copy(value: float) -> None:
    x = image(3, 4, 7, 17)
    for pads in (*PADS, (-1, 2, 1, -1)):
        program = optc.jit.trace(lambda x, pads=pads: functional.pad(x, pads, value=value), (x,))
        fast = check(program, x, copies=1)
        found, expected = fast(x).numpy(), functional.pad(x, pads, value=value).numpy()
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def padded_by(x: Tensor, before: int, after: int) -> Tensor:
    return functional.pad(x, [0, 0, before, after], value=2.0)


def test_numbers_of_a_run_take_away_as_they_add() -> None:
    fast = optc.compile(optc.jit.script(padded_by), fallback="error", cache=False)
    x = image(2, 7, 17)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for before, after in ((1, 2), (-1, -2), (3, -2), (-4, 6), (-7, 0), (-7, 9), (0, 0)):
            np.testing.assert_array_equal(fast(x, before, after).numpy(), padded_by(x, before, after).numpy())
    with pytest.raises(RuntimeError, match="narrow"):
        fast(x, -8, 9)


def test_a_frame_is_one_kernel_that_leaves_the_inside_alone() -> None:
    x = image(2, 50, 60, 16)
    fast = check(lambda x: functional.pad(x * 2, (0, 0, 1, 1, 1, 1)), x, copies=0)
    (frame,) = [kernel for kernel in fast.kernels if kernel.operators == ["aten::constant_pad_nd"]]
    assert not any(f"in 0..{count}:" in frame.text for count in (50 * 60 * 16, 2 * 52 * 62 * 16))
    assert any("is written into its frame" in note for kernel in fast.kernels for note in kernel.notes)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("pads", [pads for pads in PADS if pads[:2] == (0, 0)], ids=str)
def test_kernels_write_into_a_frame(pads: tuple[int, ...], dynamic: bool) -> None:
    check(lambda x: functional.pad(optc.relu(x) + 1, pads) * 2, image(3, 6, 7, 17), 0, dynamic)


class Layers(nn.Module):
    """Products, a norm and activations, each convolution behind the first one with a frame of its own."""

    def __init__(self, *kernels: int) -> None:
        super().__init__()
        optc.manual_seed(0)
        made: list[nn.Module] = [nn.Conv2d(5, 24, 1)]
        for kernel in kernels:
            made += [nn.BatchNorm2d(24), nn.SiLU(), nn.Conv2d(24, 24, kernel, padding=kernel // 2)]
        self.layers = nn.Sequential(*made)

    def forward(self, x: Any) -> Any:
        return self.layers(x)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_products_write_into_a_frame(dynamic: bool) -> None:
    layers = Layers(3, 5, 3).eval()
    fast = check(layers, image(2, 5, 9, 7), 0, dynamic)
    assert sum("places" in kernel.name for kernel in fast.kernels) == 3
    for shape in ((1, 5, 9, 7), (3, 5, 4, 11)):
        x = image(*shape)
        np.testing.assert_allclose(fast(x).detach().numpy(), layers(x).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_images_have_the_same_bits_alone_and_on_several_threads() -> None:
    layers, x = Layers(3, 3).eval(), image(4, 5, 40, 40)
    fast = optc.compile(layers, (x,), dynamic=True, fallback="error", threads=2)
    expected = fast(x).detach().numpy()
    one = optc.compile(layers, (x,), dynamic=True, fallback="error", threads=1)
    np.testing.assert_array_equal(one(x).detach().numpy(), expected)
    for count in (1, 3):
        few = optc.from_numpy(x.numpy()[:count].copy())
        np.testing.assert_array_equal(fast(few).detach().numpy(), expected[:count])


def read_elsewhere(x: Any) -> Any:
    y = x * 2
    return functional.pad(y, (0, 0, 1, 1)).sum() + y


def padded_twice(x: Any) -> Any:
    y = x * 2
    return functional.pad(y, (0, 0, 1, 1)).sum() + functional.pad(y, (0, 0, 2, 1))


def cut(x: Any) -> Any:
    return functional.pad(x * 2, (0, 0, -1, 2))


REFUSED: dict[str, tuple[Callable[[Any], Any], int]] = {
    "read elsewhere": (read_elsewhere, 1),
    "padded twice": (padded_twice, 2),
    "cut": (cut, 1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_needed_otherwise_is_copied(name: str) -> None:
    program, copies = REFUSED[name]
    check(program, image(3, 6, 7, 17), copies)


def test_a_frame_is_an_ordinary_value() -> None:
    def nested(x: Any) -> Any:
        return functional.pad(functional.pad(x.exp(), (0, 0, 1, 1)) * 3, (0, 0, 2, 1, 1, 1))

    def returned(x: Any) -> Any:
        return functional.pad(x.exp(), (0, 0, 1, 1))

    def joined(x: Any) -> Any:
        return functional.pad(optc.cat([x + 1, x * 2], 1), (0, 0, 1, 1))

    for program in (nested, returned, joined):
        check(program, image(3, 6, 7, 17), 1 if program is joined else 0)


def test_branches_and_loops_have_frames_of_their_own() -> None:
    class Program(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(int(x.shape[0])):
                if x.sum() > 0:
                    x = functional.pad(x * 0.5, (0, 0, 1, 1))[:, :, 1:-1] - 0.1
                else:
                    x = functional.pad(x.exp(), (0, 0, 2, 1), value=2.0)[:, :, 1:-2]
            return x

    scripted = optc.jit.script(Program())
    x = image(4, 6, 7, 17)
    fast = optc.compile(scripted, (x,), fallback="error")
    np.testing.assert_allclose(fast(x).numpy(), scripted(x).numpy(), rtol=1e-4, atol=1e-5)
