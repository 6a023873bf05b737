"""Images of another size, where they differ from one form to the next."""

import numpy as np
import pytest

import optc
from optc.nn import functional


def test_the_exact_nearest_places_are_those_of_the_centres() -> None:
    x = optc.arange(4.0).view(1, 1, 4)
    assert functional.interpolate(x, size=2, mode="nearest-exact").tolist() == [[[1, 3]]]
    assert functional.interpolate(x, size=2, mode="nearest").tolist() == [[[0, 2]]]


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialiased_images_keep_their_mean(mode: str) -> None:
    x = optc.ones(1, 1, 6, 6)
    assert optc.allclose(functional.interpolate(x, size=[3, 4], mode=mode, antialias=True), optc.ones(1, 1, 3, 4))


def test_bytes_are_rounded_after_every_dimension() -> None:
    # Halfway between 1 and 2 is 2 along each row, halfway between 2 and 2 is 2: in one go 1.5 and 1.75 would meet at 1.625.
    x = optc.from_numpy(np.array([[[[1, 2], [1, 2]]]], np.uint8))
    program = optc.compile(lambda image: functional.interpolate(image, size=[1, 1], mode="bilinear"), (x,), cache=False)
    for found in (functional.interpolate(x, size=[1, 1], mode="bilinear"), program(x)):
        assert found.tolist() == [[[[2]]]]


def test_places_in_images_of_doubles_are_doubles() -> None:
    x = optc.arange(7, dtype=optc.float64).view(1, 1, 7)
    found = functional.interpolate(x, size=5, mode="linear")
    assert np.allclose(found.numpy()[0, 0], (np.arange(5) + 0.5) * 7 / 5 - 0.5, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_only_fractions_and_bytes_are_resampled(dtype: str) -> None:
    x = optc.ones(1, 1, 4, 4, dtype=getattr(optc, dtype))
    with pytest.raises(NotImplementedError, match="not implemented for"):
        functional.interpolate(x, size=[2, 2], mode="bilinear")
