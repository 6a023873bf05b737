"""Complex numbers in native code: what comes from real numbers and ends in real numbers is computed from parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc

Function = Callable[..., Any]


def _pairs(seed: int, *shape: int) -> Any:
    return optc.from_numpy(np.random.default_rng(seed).standard_normal((*shape, 2)).astype(np.float32))


def _check(function: Function, *inputs: Any, tolerance: float = 3e-6) -> None:
    """Compiled code computes what eager code does, all of it natively."""
    expected = function(*inputs)
    fast = optc.compile(optc.jit.trace(function, inputs), fallback="error")
    for got, wanted in zip(_list(fast(*inputs)), _list(expected), strict=True):
        assert got.dtype == wanted.dtype
        scale = max(1.0, float(np.abs(wanted.numpy()).max()))
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=0, atol=tolerance * scale)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple | list) else [value]


UNARY: dict[str, Function] = {
    "absolute": lambda x: x.abs(),
    "angle": lambda x: optc.angle(x),
    "parts": lambda x: (x.real, x.imag),
    "conjugate": lambda x: optc.view_as_real(x.conj() * x),
    "exponential": lambda x: optc.view_as_real(x.exp()),
    "logarithm": lambda x: optc.view_as_real(x.log()),
    "reciprocal": lambda x: optc.view_as_real(x.reciprocal()),
    "power": lambda x: optc.view_as_real(x**2),
    "number": lambda x: optc.view_as_real(2.5 - x * 2 + 1j) + optc.view_as_real(x / 4),
    "complex number": lambda x: optc.view_as_real(x * (1 + 2j)),
    "equal": lambda x: (x == x.conj(), x != 0),
    "moved": lambda x: optc.view_as_real(optc.cat([x.transpose(0, 1)[1:], x.t().flip([1])[:1]]).reshape(-1)),
    "padded": lambda x: optc.view_as_real(optc.nn.functional.pad(x, (1, 2))),
    "stacked": lambda x: optc.view_as_real(optc.stack([x, -x]).roll(1, 0)),
    "selected": lambda x: optc.view_as_real(x[:, [2, 0]]).sum(),
    "sums": lambda x: (x.sum(0).real, x.mean().imag, optc.view_as_real(x.cumsum(1))),
    "wider": lambda x: optc.view_as_real(x.to(optc.complex128) * 3),
    "masked": lambda x: optc.view_as_real(optc.where(x.real > 0, x, 0)),
}


@pytest.mark.parametrize("name", UNARY)
def test_what_is_done_to_one_tensor(name: str) -> None:
    _check(lambda pairs: UNARY[name](optc.view_as_complex(pairs)), _pairs(1, 3, 4))


BINARY: dict[str, Function] = {
    "sum": lambda x, y: x + y,
    "difference": lambda x, y: optc.sub(x, y, alpha=2),
    "product": lambda x, y: x * y,
    "quotient": lambda x, y: x / y,
    "real factor": lambda x, y: x * y.real + y.imag * x,
    "real divisor": lambda x, y: x / y.real,
    "real dividend": lambda x, y: x.real / y,
    "matrices": lambda x, y: x @ y.mH,
    "sum of products": lambda x, y: optc.einsum("ij,kj->ki", x, y),
    "polar": lambda x, y: optc.polar(x.abs(), y.real),
    "complex": lambda x, y: optc.complex(x.real, y.imag),
    "real beside complex": lambda x, y: optc.cat([x.real, y, x.imag.double()]).to(optc.complex64),
    "real on top of complex": lambda x, y: optc.stack([x, y.real]),
    "a real tensor made complex": lambda x, y: ((x.real + 0j).flip([0]) * y)[1:],
}


@pytest.mark.parametrize("name", BINARY)
def test_what_is_done_to_two_tensors(name: str) -> None:
    def run(first: Any, second: Any) -> Any:
        return optc.view_as_real(BINARY[name](optc.view_as_complex(first), optc.view_as_complex(second)))

    _check(run, _pairs(2, 3, 4), _pairs(3, 3, 4))


def test_quotients_of_numbers_whose_squares_are_too_large() -> None:
    def run(pairs: Any) -> Any:
        x = optc.view_as_complex(pairs)
        return optc.view_as_real(x / (x * 2))

    _check(run, _pairs(4, 5) * 1e30)


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("count", [1, 2, 7, 12, 64, 150, 256, 257])
def test_transforms_of_known_length(count: int, norm: str | None) -> None:
    def run(x: Any, pairs: Any) -> Any:
        z, transforms = optc.view_as_complex(pairs), optc.fft
        found = [transforms.rfft(x, norm=norm), transforms.fft(z, norm=norm), transforms.ifft(z, norm=norm)]
        found += [transforms.ihfft(x, norm=norm), transforms.fft(x, norm=norm)]
        backwards = [transforms.irfft(found[0], count, norm=norm), transforms.hfft(found[3], count, norm=norm)]
        return tuple([optc.view_as_real(item) for item in found] + backwards)

    x = optc.from_numpy(np.random.default_rng(5).standard_normal((3, count)).astype(np.float32))
    _check(run, x, _pairs(6, 3, count))


def test_transforms_along_several_dimensions_with_other_extents() -> None:
    def run(x: Any) -> Any:
        spectrum = optc.fft.rfftn(x, s=(6, 10), dim=(1, 2))
        back = optc.fft.irfft2(spectrum * 0.5, s=(6, 8), dim=(1, 2))
        return optc.fft.fft2(x).abs(), back, optc.fft.ifftn(optc.fft.fftn(x)).real, optc.fft.rfft(x, 5, dim=0).real

    _check(run, optc.from_numpy(np.random.default_rng(7).standard_normal((4, 5, 8)).astype(np.float32)))


def test_what_has_no_imaginary_part_gets_none() -> None:
    """The angle of a negative number is pi or -pi by the sign of nothing."""

    def run(x: Any) -> Any:
        return optc.angle(optc.fft.rfft(x))

    x = -optc.ones(2, 300)
    fast = optc.compile(optc.jit.trace(run, (x,)), fallback="error")
    assert (fast(x).numpy()[:, 0] == np.float32(np.pi)).all()


def test_spectrograms_and_back() -> None:
    def run(x: Any) -> Any:
        window = optc.hann_window(32)
        spectrum = optc.stft(x, 32, 8, window=window, return_complex=True)
        return spectrum.abs(), optc.istft(spectrum, 32, 8, window=window)

    _check(run, optc.from_numpy(np.random.default_rng(8).standard_normal((2, 200)).astype(np.float32)), tolerance=2e-5)


def test_other_batches_run_in_the_same_code() -> None:
    def run(x: Any) -> Any:
        return optc.fft.irfft(optc.fft.rfft(x) * 2)

    fast = optc.compile(optc.jit.trace(run, (optc.rand(2, 16),)), fallback="error")
    for batch in (2, 3, 5, 7):
        x = optc.rand(batch, 16)
        np.testing.assert_allclose(fast(x).numpy(), run(x).numpy(), rtol=0, atol=1e-5)
    assert len(fast.specializations) == 2


def test_spectra_that_are_put_into_others() -> None:
    def run(x: Any) -> Any:
        spectrum = optc.zeros(x.shape[0], 9, dtype=optc.complex64)
        spectrum[:, :4] = optc.fft.rfft(x)[:, :4] * 2
        return optc.fft.irfft(spectrum)

    fast = optc.compile(optc.jit.trace(run, (optc.rand(2, 16),)), fallback="error")
    for batch in (2, 3):
        x = optc.rand(batch, 16)
        np.testing.assert_allclose(fast(x).numpy(), run(x).numpy(), rtol=0, atol=1e-5)


def _complex(seed: int, *shape: int, dtype: Any = np.complex64) -> Any:
    generator = np.random.default_rng(seed)
    numbers = generator.standard_normal(shape) + 1j * generator.standard_normal(shape)
    return optc.from_numpy(numbers.astype(dtype))


def _check_script(function: Function, *calls: tuple[Any, ...]) -> None:
    """Compiled code does to its arguments, and gives, what the interpreter does, all of it natively."""
    scripted = optc.jit.script(function)
    fast = optc.compile(scripted, fallback="error")
    for arguments in calls:
        mine, other = [[item.clone() if hasattr(item, "clone") else item for item in arguments] for _ in range(2)]
        found, expected = [*_list(fast(*mine)), *mine], [*_list(scripted(*other)), *other]
        for got, wanted in zip(found, expected, strict=True):
            if isinstance(wanted, optc.Tensor):
                assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
                np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-5, atol=1e-5)
    assert all(version.entry is not None for version in fast.specializations)


def test_complex_arguments_and_results_are_native() -> None:
    def run(x, y):
        return x * y, x, (x - y).abs(), y.t(), x.sum(), optc.tensor(2j)

    wide = np.complex128
    _check_script(
        run,
        (_complex(1, 3, 4), _complex(2, 3, 4)),
        (_complex(3, 5, 4), _complex(4, 5, 4)),
        (_complex(5, 50, 70).t(), _complex(6, 70, 50)),
        (_complex(7, 6, 9)[::2, ::2], _complex(8, 3, 5)),
        (_complex(9, 0, 4), _complex(10, 0, 4)),
        (_complex(11, 3, 4, dtype=wide), _complex(12, 3, 4)),
    )


def test_complex_arguments_are_written_in_place() -> None:
    def run(x):
        x.mul_(2j)
        return x.real

    _check_script(run, (_complex(1, 3),), (_complex(2, 5),), (_complex(3, 80, 70),))


def test_loops_and_branches_carry_complex_tensors() -> None:
    def run(x, n: int):
        z = x
        for _ in range(n):
            if bool(z.abs().max() > 2.0):
                z = z / 4
            else:
                z = z * z + x
        return z, optc.angle(z)

    _check_script(run, (_complex(1, 3), 4), (_complex(2, 5), 6), (_complex(3, 700), 3), (_complex(4, 3), 0))


def test_what_no_operator_of_parts_can_do_stays_with_python() -> None:
    fast = optc.compile(
        optc.jit.trace(lambda x: x.sinh() * 2, (optc.zeros(3, dtype=optc.complex64),)), fallback="allow"
    )
    x = optc.from_numpy(np.array([1 + 2j, 3, 4j], np.complex64))
    np.testing.assert_array_equal(fast(x).numpy(), np.sinh(x.numpy()) * 2)
    assert [fallback.operator for fallback in fast.fallbacks] == ["aten::sinh", "aten::mul.Scalar"]
