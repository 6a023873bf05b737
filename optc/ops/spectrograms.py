"""Spectra of overlapping frames: `stft`, and `istft`, which adds the frames again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, same_dim
from optc.ops.composite import declare_composite
from optc.ops.hosted import declare_hosted
from optc.ops.promotion import operand_type, real_type, result_type
from optc.ops.shapes import known_shape

Array = np.ndarray[Any, Any]


def _known_numbers(*numbers: Any) -> None:
    if not all(number is None or isinstance(number, int | bool) for number in numbers):
        raise UndecidedShape("the numbers of a transform are needed before the program runs")


def _text(value: Any) -> str:
    """A flag or number as torch's messages write it."""
    return "None" if value is None else str(int(value))


def _tensor_text(x: TensorType | None, brackets: str = "{}") -> str:
    if x is None:
        return "None"
    left, right = ("{", "}") if brackets == "{}" else ("", "")
    return f"torch.{operand_type(x).label}Tensor{left}{list(known_shape(x))}{right}"


def _is_other_shape(shape: Sequence[Dim], win: int) -> bool:
    same = same_dim(shape[0], win) if len(shape) == 1 else False
    if same is None:
        raise UndecidedShape("has a window as many elements as its frames?")
    return not same


# Forwards ------------------------------------------------------------------------------------------------------------


def _window(b: Any, x: Any, window: Any, n_fft: int, win: int) -> Any:
    """The window of a frame, with zeros on both sides where it is shorter; None for all ones."""
    if window is None:
        if win == n_fft:
            return None
        window = b("aten::ones", [win], dtype=real_type(b.type(x).dtype).code)
    if win == n_fft:
        return window
    left = (n_fft - win) // 2
    return b("aten::constant_pad_nd", window, [left, n_fft - win - left])


def _check_frames(x: TensorType, n_fft: int, hop: int, win: int, window: TensorType | None, described: str) -> None:
    shape = known_shape(x)
    if operand_type(x).kind not in ("float", "complex"):
        raise RuntimeError(f"{described}: expected a tensor of floating point or complex values")
    if len(shape) not in (1, 2):
        raise RuntimeError(f"{described}: expected a 1D or 2D tensor")
    length = shape[-1]
    if isinstance(length, int) and not 0 < n_fft <= length:
        raise RuntimeError(f"{described}: expected 0 < n_fft < {length}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"{described}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < win <= n_fft:
        raise RuntimeError(f"{described}: expected 0 < win_length <= n_fft, but got win_length={win}")
    if window is not None and _is_other_shape(known_shape(window), win):
        raise RuntimeError(
            f"{described}: expected a 1D window tensor of size equal to win_length={win}, but got window with size "
            f"{list(known_shape(window))}"
        )


def _build_stft(
    b: Any, x: Any, n_fft: int, hop: int | None, win: int | None, window: Any, normalized: bool,
    onesided: bool | None, return_complex: bool | None, align: bool | None = None,
) -> Any:  # fmt: skip
    _known_numbers(n_fft, hop, win)
    hop, win = n_fft // 4 if hop is None else hop, n_fft if win is None else win
    taper_type = None if window is None else b.type(window)
    described = (
        f"stft({_tensor_text(b.type(x), '')}, n_fft={n_fft}, hop_length={hop}, win_length={win}, "
        f"window={_tensor_text(taper_type)}, normalized={int(normalized)}, onesided={_text(onesided)}, "
        f"return_complex={_text(return_complex)}, align_to_window={_text(align)}) "
    )
    is_complex = any(operand_type(b.type(item)).is_complex for item in (x, window) if item is not None)
    if return_complex is None and not is_complex:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs, and will further require that "
            "return_complex=True in a future PyTorch release."
        )
    _check_frames(b.type(x), n_fft, hop, win, taper_type, described)
    frames = b("aten::unfold", x, -1, n_fft, hop)
    taper = _window(b, x, window, n_fft, win)
    if taper is not None:
        frames = b("aten::mul.Tensor", frames, taper)
    single = not is_complex if onesided is None else onesided
    if single and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    kind = "aten::fft_rfft" if single else "aten::fft_fft"
    columns = b("aten::transpose.int", frames, -2, -1)
    spectrum = b(kind, columns, None, -2, "ortho" if normalized else None)
    keeps = is_complex if return_complex is None else return_complex
    return spectrum if keeps else b("aten::view_as_real", spectrum)


def _build_centred_stft(
    b: Any, x: Any, n_fft: int, hop: int | None, win: int | None, window: Any, center: bool, pad_mode: str,
    normalized: bool, onesided: bool | None, return_complex: bool | None, align: bool | None,
) -> Any:  # fmt: skip
    if center:
        rank = len(b.shape(x))
        extended = b("aten::reshape", x, [1] * (3 - rank) + list(b.shape(x)))
        padded = b("aten::pad", extended, [n_fft // 2, n_fft // 2], pad_mode)
        x = b("aten::reshape", padded, list(b.shape(padded))[3 - rank :])
    return _build_stft(b, x, n_fft, hop, win, window, normalized, onesided, return_complex, align)


_FRAMES = "Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None"
_CHOICES = "bool normalized=False, bool? onesided=None, bool? return_complex=None, bool? align_to_window=None"
declare_composite(f"aten::stft({_FRAMES}, {_CHOICES}) -> Tensor", _build_stft)
declare_composite(
    f'aten::stft.center({_FRAMES}, bool center=True, str pad_mode="reflect", {_CHOICES}) -> Tensor',
    _build_centred_stft,
)


# Backwards -----------------------------------------------------------------------------------------------------------


def _istft_text(
    x: TensorType, n_fft: int, hop: int, win: int, window: TensorType | None, center: bool, normalized: bool,
    onesided: bool | None, length: Dim | None, return_complex: bool,
) -> str:  # fmt: skip
    return (
        f"istft(CPU{operand_type(x).label}Type{list(known_shape(x))}, n_fft={n_fft}, hop_length={hop}, "
        f"win_length={win}, window={_tensor_text(window)}, center={int(center)}, normalized={int(normalized)}, "
        f"onesided={_text(onesided)}, length={'None' if length is None else length}, "
        f"return_complex={int(return_complex)}) "
    )


def _infer_istft(
    x: TensorType, n_fft: int, hop: int | None, win: int | None, window: TensorType | None, center: bool,
    normalized: bool, onesided: bool | None, length: Dim | None, return_complex: bool,
) -> TensorType:  # fmt: skip
    _known_numbers(n_fft, hop, win)
    dtype, shape = operand_type(x), known_shape(x)
    if not dtype.is_complex:
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    hop, win = n_fft // 4 if hop is None else hop, n_fft if win is None else win
    described = _istft_text(x, n_fft, hop, win, window, center, normalized, onesided, length, return_complex)
    if len(shape) not in (2, 3):
        raise RuntimeError(f"{described}: expected a tensor with 2 or 3 dimensions, but got {len(shape) + 1}")
    rows, frames = shape[-2:]
    single = rows != n_fft if onesided is None else onesided
    if isinstance(rows, int) and rows != (n_fft // 2 + 1 if single else n_fft):
        wanted = "n_fft / 2 + 1 when onesided=True" if single else "n_fft when onesided=False"
        raise RuntimeError(
            f"{described}: expected the frequency dimension (3rd to the last) of the input tensor to match {wanted}, but "
            f"got {rows}"
        )
    if not 0 < hop <= win:
        raise RuntimeError(f"{described}: expected 0 < hop_length <= win_length")
    if not 0 < win <= n_fft:
        raise RuntimeError(f"{described}: expected 0 < win_length <= n_fft")
    if window is not None and _is_other_shape(known_shape(window), win):
        raise RuntimeError(f"{described}: Invalid window shape. window has to be 1D and length of `win_length`")
    count = n_fft + hop * (frames - 1) - (n_fft // 2 * 2 if center else 0) if length is None else length
    promoted = dtype if window is None else result_type(x, window)
    return TensorType(promoted if return_complex else real_type(promoted), (*shape[:-2], count))


def _frames_in_time(x: Array, n_fft: int, normalized: bool, onesided: bool | None, return_complex: bool) -> Array:
    """One row per frame."""
    spectra = np.swapaxes(x if x.ndim == 3 else x[None], 1, 2)
    norm = "ortho" if normalized else None
    single = x.shape[-2] != n_fft if onesided is None else onesided
    if return_complex and not single:
        return np.asarray(np.fft.ifft(spectra, n_fft, -1, norm))  # type: ignore[arg-type]
    return np.asarray(np.fft.irfft(spectra[..., : n_fft // 2 + 1], n_fft, -1, norm))  # type: ignore[arg-type]


def _istft(
    x: Array, n_fft: int, hop: int | None, win: int | None, window: Array | None, center: bool, normalized: bool,
    onesided: bool | None, length: int | None, return_complex: bool,
) -> Array:  # fmt: skip
    """Every frame back in time, weighted by the window, added where frames overlap, over the sum of squared windows."""
    hop, win = n_fft // 4 if hop is None else hop, n_fft if win is None else win
    left = (n_fft - win) // 2
    taper = np.pad(np.ones(win, x.real.dtype) if window is None else window, (left, n_fft - win - left))
    frames = _frames_in_time(x, n_fft, normalized, onesided, return_complex) * taper
    whole = np.zeros((frames.shape[0], n_fft + hop * (frames.shape[1] - 1)), frames.dtype)
    envelope = np.zeros(whole.shape[1], taper.dtype)
    for place in range(frames.shape[1]):
        here = slice(place * hop, place * hop + n_fft)
        whole[:, here] += frames[:, place]
        envelope[here] += taper * taper
    start = n_fft // 2 if center else 0
    stop = whole.shape[1] - start if length is None else min(start + length, whole.shape[1])
    covered = envelope[start:stop]
    if not covered.size or not float(np.abs(covered).min()) > 1e-11:
        types = [None if item is None else TensorType(operand_type(item), item.shape) for item in (x, window)]
        assert types[0] is not None
        described = _istft_text(
            types[0], n_fft, hop, win, types[1], center, normalized, onesided, length, return_complex
        )
        raise RuntimeError(f"{described}window overlap add min: 1\n[ CPUBoolType{{}} ]")
    result = whole[:, start:stop] / covered
    missing = 0 if length is None else length - result.shape[1]
    result = np.pad(result, ((0, 0), (0, missing)))
    return result if x.ndim == 3 else np.asarray(result[0])


declare_hosted(
    f"aten::istft({_FRAMES}, bool center=True, bool normalized=False, bool? onesided=None, int? length=None, "
    "bool return_complex=False) -> Tensor",
    _infer_istft,
    _istft,
    may_fail=True,
)
