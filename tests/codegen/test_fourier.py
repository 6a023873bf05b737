"""Fourier transforms in native code: what they are by definition, and what follows from it, for lengths of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc.ops.fourier_transform import unit_roots

Array = np.ndarray[Any, Any]
LENGTHS = (1, 2, 12, 64, 77, 130, 400, 512)
"""Steps of all sizes, alone and behind each other."""
LARGE_PRIMES = (37, 131, 254)
"""By a matrix and by convolution, odd and even."""
TAKEN_APART = (1250,)
SINGLE = {"float32": "complex64", "float64": "complex128"}


def numbers(*shape: int, dtype: str = "float32") -> Array:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(dtype)


def complex_numbers(*shape: int, dtype: str = "float32") -> Array:
    parts = numbers(*shape, 2, dtype="float64")
    return np.asarray((parts[..., 0] + 1j * parts[..., 1]).astype(SINGLE[dtype]))


def run(function: Any, *arrays: Array) -> Any:
    """The results of native code; nothing may be left to the interpreter."""
    given = tuple(optc.from_numpy(array) for array in arrays)
    found = optc.compile(optc.jit.trace(function, given), fallback="error")(*given)
    return [item.numpy() for item in found] if isinstance(found, tuple) else found.numpy()


def defined(x: Array, sign: int = -1) -> Array:
    """The transform along the last dimension, by definition."""
    count = x.shape[-1]
    matrix = unit_roots(count, sign)[np.arange(count)[:, None] * np.arange(count) % count]
    return np.asarray(x.astype(np.complex128) @ matrix)


def assert_near(found: Array, expected: Array, size: float = 3.0) -> None:
    """The error of a good transform grows like the logarithm of its length: here, a few roundings on the average."""
    assert found.shape == expected.shape
    rounding = np.finfo(found.real.dtype).eps * np.sqrt(np.mean(np.abs(expected) ** 2))
    assert np.sqrt(np.mean(np.abs(found - expected) ** 2)) <= size * rounding


@pytest.mark.parametrize("count", [*LENGTHS, *LARGE_PRIMES, *TAKEN_APART])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transforms_are_what_they_are_by_definition(count: int, dtype: str) -> None:
    x, z = numbers(3, count, dtype=dtype), complex_numbers(3, count, dtype=dtype)

    def transforms(x: Any, z: Any) -> Any:
        fft = optc.fft
        return fft.rfft(x), fft.fft(z), fft.ifft(z), fft.irfft(z[:, : count // 2 + 1], count)

    half, whole, back, real = run(transforms, x, z)
    size = 3.0 if count not in LARGE_PRIMES else 8.0
    assert_near(half, defined(x)[:, : count // 2 + 1], size)
    assert_near(whole, defined(z), size)
    assert_near(back, defined(z, 1) / count, size)
    assert_near(real, np.fft.irfft(z.astype(np.complex128)[:, : count // 2 + 1], count), size)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (8,), (9,), (17,), (2, 8), (3, 19)])
@pytest.mark.parametrize("count", [12, 96])
def test_batches_fill_vectors_or_do_not(batch: tuple[int, ...], count: int) -> None:
    x, z = numbers(*batch, count), complex_numbers(*batch, count)
    half, whole = run(lambda x, z: (optc.fft.rfft(x), optc.fft.fft(z)), x, z)
    assert_near(half, defined(x)[..., : count // 2 + 1])
    assert_near(whole, defined(z))


@pytest.mark.parametrize("shape", [(12, 1), (12, 5), (20, 16), (2, 12, 19), (2, 20, 2, 5), (3, 4, 2, 8)])
@pytest.mark.parametrize("dim", [0, 1])
def test_transforms_along_other_dimensions(shape: tuple[int, ...], dim: int) -> None:
    x, z = numbers(*shape), complex_numbers(*shape)

    def transforms(x: Any, z: Any) -> Any:
        half = optc.fft.rfft(x, dim=dim)
        return half, optc.fft.fft(z, dim=dim), optc.fft.irfft(half, x.shape[dim], dim=dim)

    half, whole, back = run(transforms, x, z)
    kept = range(shape[dim] // 2 + 1)
    assert_near(half, np.moveaxis(defined(np.moveaxis(x, dim, -1))[..., kept], -1, dim))
    assert_near(whole, np.moveaxis(defined(np.moveaxis(z, dim, -1)), -1, dim))
    assert_near(back, x.astype(np.complex128).real)


@pytest.mark.parametrize("name", ["transposed", "every other", "broadcast", "overlapping"])
def test_transforms_of_views(name: str) -> None:
    views = {
        "transposed": lambda x: x.transpose(0, 2), "every other": lambda x: x[:, ::2, ::3],
        "broadcast": lambda x: x[:, :1].expand(4, 9, 24), "overlapping": lambda x: x.unfold(2, 12, 4),
    }  # fmt: skip
    x, z = numbers(4, 6, 24), complex_numbers(4, 6, 24)
    view = views[name]

    def transforms(x: Any, z: Any) -> Any:
        return optc.fft.rfft(view(x)), optc.fft.fft(view(z)), view(x), view(z)

    half, whole, seen, seen_pairs = run(transforms, x, z)
    assert_near(half, defined(seen)[..., : seen.shape[-1] // 2 + 1])
    assert_near(whole, defined(seen_pairs))


@pytest.mark.parametrize("count", [9, 48, 200, 262])
def test_a_transform_and_its_inverse(count: int) -> None:
    x, z = numbers(5, count), complex_numbers(5, count)

    def there_and_back(x: Any, z: Any) -> Any:
        fft = optc.fft
        real = fft.irfft(fft.rfft(x), count), fft.hfft(fft.ihfft(x), count)
        return *real, fft.ifft(fft.fft(z)), fft.fft(fft.ifft(z, norm="ortho"), norm="ortho")

    *real, first, second = run(there_and_back, x, z)
    for found in real:
        assert_near(found, x.astype(np.float64), 8)
    for found in (first, second):
        assert_near(found, z.astype(np.complex128), 8)


@pytest.mark.parametrize("count", [15, 64, 134])
def test_transforms_are_linear_and_keep_energy(count: int) -> None:
    x, y = complex_numbers(3, count, dtype="float64"), complex_numbers(9, 3, count, dtype="float64")[0]

    def transforms(x: Any, y: Any) -> Any:
        return optc.fft.fft(x), optc.fft.fft(y), optc.fft.fft(x * 2 - y), optc.fft.fft(x, norm="ortho")

    first, second, both, scaled = run(transforms, x, y)
    assert_near(both, 2 * first - second, 20)
    np.testing.assert_allclose((np.abs(scaled) ** 2).sum(-1), (np.abs(x) ** 2).sum(-1), rtol=1e-13)


def test_what_is_shifted_is_turned() -> None:
    z = complex_numbers(2, 48, dtype="float64")
    found, shifted = run(lambda z: (optc.fft.fft(z), optc.fft.fft(z.roll(5, -1))), z)
    assert_near(shifted, found * unit_roots(48, -1)[5 * np.arange(48) % 48], 20)


def test_numbers_that_are_not_finite_reach_all_results_of_their_transform_only() -> None:
    x = numbers(20, 32)
    x[3, 5] = np.nan
    found = run(lambda x: optc.view_as_real(optc.fft.rfft(x)), x)
    assert np.isnan(found[3, 1:-1]).all()
    assert np.isfinite(np.delete(found, 3, 0)).all()


def test_ends_of_a_half_have_no_imaginary_part() -> None:
    """What stands there is not looked at, and comes out as zero."""
    z = complex_numbers(3, 17)
    other = z.copy()
    other[:, [0, -1]] += 5j
    first, second = (run(lambda z: optc.fft.irfft(z), each) for each in (z, other))
    np.testing.assert_array_equal(first, second)
    for count in (24, 25, 262, 2048):
        half = run(lambda x: optc.fft.rfft(x), numbers(9, count))
        ends = half.imag[:, [0, -1] if count % 2 == 0 else [0]]
        np.testing.assert_array_equal(ends, 0)


@pytest.mark.parametrize("hop", [5, 16])
def test_frames_and_back(hop: int) -> None:
    x, window = numbers(2, 300), np.hanning(48).astype(np.float32) + np.float32(0.1)

    def there_and_back(x: Any, window: Any) -> Any:
        spectra = optc.stft(x, 48, hop, window=window, return_complex=True)
        return spectra, optc.istft(spectra, 48, hop, window=window, length=300)

    spectra, back = run(there_and_back, x, window)
    frames = (
        np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), (24, 24)], "reflect"), 48, -1)[:, ::hop] * window
    )
    assert_near(spectra, np.swapaxes(defined(frames)[..., :25], 1, 2))
    covered = slice(0, 300 - 48)
    np.testing.assert_allclose(back[:, covered], x[:, covered], atol=2e-5)


@pytest.mark.parametrize("dims", [(0, 1), (1, 2), (0, 1, 2)])
def test_several_dimensions(dims: tuple[int, ...]) -> None:
    x = numbers(6, 16, 10)

    def transforms(x: Any) -> Any:
        half = optc.fft.rfftn(x, dim=dims)
        return half, optc.fft.irfftn(half, [x.shape[dim] for dim in dims], dim=dims), optc.fft.fftn(x, dim=dims)

    half, back, whole = run(transforms, x)
    wide = x.astype(np.float64)
    assert_near(half, np.fft.rfftn(wide, axes=dims))
    assert_near(back, wide)
    assert_near(whole, np.fft.fftn(wide, axes=dims))


def test_batches_of_any_size_share_code() -> None:
    fast = optc.compile(optc.jit.trace(lambda x: optc.fft.irfft(optc.fft.rfft(x) * 2), (optc.rand(2, 40),)),
                        fallback="error")  # fmt: skip
    for batch in (2, 9, 31, 64):
        x = numbers(batch, 40)
        assert_near(fast(optc.from_numpy(x)).numpy(), 2 * x.astype(np.float64), 6)
    assert len(fast.specializations) == 2
