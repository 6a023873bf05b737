"""Arguments to try transforms, windows and complex numbers with; see `tests.ops.samples`."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir import dtypes

Array = np.ndarray[Any, Any]
FLOAT64 = dtypes.FLOAT64.code


def _numbers(*shape: int, dtype: str = "float32", seed: int = 0) -> Array:
    numbers = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return np.asarray(numbers).astype(dtypes.BY_NAME[dtype].numpy)


def _complex(*shape: int, dtype: str = "complex64") -> Array:
    return np.asarray(_numbers(*shape) + 1j * _numbers(*shape, seed=1)).astype(dtype)


_SINGLE = [(_numbers(6),), (_numbers(2, 5, dtype="float64"), 4, 0), (_numbers(2, 5), 7, -1, "ortho"),
           (_numbers(5), None, -1, "forward"), (np.arange(6),), (_numbers(6, dtype="float16"),), (_numbers(6), 0),
           (_numbers(6), None, 1), (_numbers(6), None, -1, "x"), (_complex(2, 5),)]  # fmt: skip
_SEVERAL = [(_numbers(2, 3, 4),), (_numbers(2, 3, 4, dtype="float64"), [4, 2], [0, 2]), (_complex(3, 4), None, [0], "ortho"),
            (_numbers(3, 4), [2, 2, 2]), (_numbers(3, 4), None, [0, 0]), (_numbers(3, 4), [2], [0, 1])]  # fmt: skip
_PLANES = [(_numbers(2, 3, 4),), (_complex(3, 4), [2, 2])]
_SPECTRUM = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(_numbers(2, 40, seed=2), 8, -1)[:, ::2]).swapaxes(1, 2)
_WINDOW = np.hanning(10)[1:-1].astype(np.float32)

SIGNALS: dict[str, list[Any]] = {
    **{f"aten::fft_{kind}": _SINGLE for kind in ("fft", "ifft", "irfft", "hfft")},
    **{f"aten::fft_{kind}": _SINGLE[:-1] for kind in ("rfft", "ihfft")},
    **{f"aten::fft_{kind}": _SEVERAL for kind in ("fftn", "ifftn", "irfftn", "hfftn")},
    **{f"aten::fft_{kind}": [_SEVERAL[place] for place in (0, 1, 3, 4)] for kind in ("rfftn", "ihfftn")},
    **{f"aten::fft_{kind}": _PLANES for kind in ("fft2", "ifft2", "irfft2", "hfft2")},
    **{f"aten::fft_{kind}": _PLANES[:1] for kind in ("rfft2", "ihfft2")},
    "prim::FourierTransform": [
        (_numbers(3, 12), 1, "to_half", False, 1.0, None), (_numbers(12, 3), 0, "to_half", True, 0.5, None),
        (_numbers(3, 7, 2), 1, "from_half", True, 1.0, None), (_numbers(7, 3, 2), 0, "from_half", False, 2.0, None),
        (_numbers(3, 15, 2), 1, "complex", False, 0.5, None), (_numbers(2, 6, 3, 2, dtype="float64"), 1, "complex", True, 1.0, None),
        (_numbers(2, 4, 5, 2), 1, "complex", False, 1.0, _numbers(2, 4, 5)),
    ],
    "aten::fft_fftshift": [(_numbers(5, 4),), (_numbers(5, 4), [0]), (_numbers(5), [1])],
    "aten::fft_ifftshift": [(_numbers(5, 4),), (_numbers(5, 4), [0])],
    "aten::fft_fftfreq": [(5,), (4, 0.5), (3, 2.0, FLOAT64)], "aten::fft_rfftfreq": [(5,), (4, 0.5)],
    "aten::stft": [(_numbers(2, 40), 8, None, None, None, False, None, True), (_numbers(40), 8, 2, 6, _WINDOW[:6], True, False, False),
                   (_numbers(40), 8), (_numbers(40), 50, None, None, None, False, None, True), (_numbers(2, 2, 40), 8, None, None, None, False, None, True)],
    "aten::stft.center": [(_numbers(2, 40), 8, 4, 8, _WINDOW, True, "reflect", False, None, True)],
    "aten::istft": [(_SPECTRUM.astype(np.complex64), 8), (_SPECTRUM, 8, 2, 8, np.ones(8), False, False, None, 20),
                    (_SPECTRUM.astype(np.complex64), 8, 2, 8, 0 * _WINDOW), (_numbers(5, 17), 8)],
    **{f"aten::{name}_window": [(8,), (1,), (0,), (5, FLOAT64), (-1,)] for name in ("hann", "hamming", "blackman", "bartlett", "kaiser")},
    **{f"aten::{name}_window.periodic": [(8, False), (5, True)] for name in ("hann", "hamming", "blackman", "bartlett", "kaiser")},
    "aten::hamming_window.periodic_alpha": [(6, True, 0.5)], "aten::hamming_window.periodic_alpha_beta": [(6, False, 0.5, 0.4)],
    "aten::kaiser_window.beta": [(7, False, 8.6)],
    "aten::view_as_real": [_complex(2, 3), _complex(), _complex(4, 3).T, _numbers(3)],
    "aten::view_as_real_copy": [_complex(2, 3)],
    "aten::view_as_complex": [_numbers(3, 2), _numbers(2), _numbers(4, 3, 2, dtype="float64"), _numbers(3), _numbers()],
    "aten::view_as_complex_copy": [_numbers(3, 2)],
    **{f"aten::{name}": [_complex(2, 3), _complex(3, 2, dtype="complex128").T, _numbers(3)] for name in ("real", "imag", "conj_physical")},
    **{f"aten::{name}": [_complex(2, 3), _numbers(3)] for name in ("conj", "resolve_conj", "resolve_neg", "is_conj", "is_neg")},
    "aten::_conj": [_complex(2, 3)],
    "aten::isreal": [_complex(2, 3), _numbers(3), np.array([1 + 0j, 1j]), np.arange(3)],
    "aten::complex": [(_numbers(3), _numbers(2, 1)), (_numbers(3), _numbers(3, dtype="float64")), (np.arange(3), np.arange(3))],
    "aten::polar": [(_numbers(3), _numbers(2, 3, seed=1)), (np.arange(3), np.arange(3))],
}  # fmt: skip
