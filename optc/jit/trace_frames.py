"""Where in the user's Python a traced operator was called, and what the user calls the tensors there."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any

from optc.dataclass import dataclass
from optc.errors import SourceRange, TracerWarning

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NATIVE_FOLDERS = tuple(_PACKAGE + folder + os.sep for folder in ("eager", "ops", "ir", "jit"))
_FUNCTIONAL = os.path.join(_PACKAGE, "nn", "functional")

_WRITTEN_IN_PYTHON = frozenset((
    "__rsub__", "__rdiv__", "__rtruediv__", "__pow__", "__rpow__", "__ipow__", "__floordiv__", "__rfloordiv__",
    "__rmod__", "__rmatmul__", "__rlshift__", "__rrshift__", "__iter__", "__reversed__", "__contains__", "split",
    "unflatten", "norm", "stft", "istft", "unique",
    "_floor_divide", "_right_floor_divide", "_right_subtract", "_right_divide",
))  # fmt: skip
"""Tensor methods that are Python functions in PyTorch: there the values have the names of their parameters."""

_NATIVE_FUNCTIONALS = frozenset((
    "linear", "bilinear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "conv_tbc", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "gelu", "softplus", "softshrink",
    "hardshrink", "logsigmoid", "relu_", "selu_", "celu_", "elu_", "leaky_relu_", "rrelu_", "threshold_", "hardtanh_",
    "prelu", "pairwise_distance", "pdist", "cosine_similarity", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
    "native_channel_shuffle", "one_hot", "scaled_dot_product_attention",
))  # fmt: skip
"""Functions of `nn.functional` that are native in PyTorch, so that a trace shows the line that calls them."""


@dataclass(frozen=True, slots=True)
class TraceRange(SourceRange):
    """The line a traced operator came from; an error shows the whole stack of the call that was traced."""

    def extent(self) -> tuple[int, int]:
        """All of the text, by which PyTorch tells a stack from source."""
        return 0, len(self.text.encode())

    def excerpt(self, context: int = 3, message: str = "") -> str:
        """The stack, innermost call first, one `file(line): function` per line, as PyTorch shows it."""
        return self.text.rstrip("\n")


def python_frames(start: FrameType | None) -> Iterator[FrameType]:
    """The frames a reader of PyTorch's traces would see, innermost first: eager's own machinery is left out."""
    frame = start
    while frame is not None:
        if not _is_native(frame):
            yield frame
        frame = frame.f_back


def _is_native(frame: FrameType) -> bool:
    filename = frame.f_code.co_filename
    if not filename.startswith(_PACKAGE):
        return False
    if filename.startswith(_FUNCTIONAL):
        return frame.f_code.co_name in _NATIVE_FUNCTIONALS
    return filename.startswith(_NATIVE_FOLDERS)


def python_source() -> SourceRange | None:
    """The innermost line of Python code outside of eager, with the stack as its text."""
    frames = list(python_frames(sys._getframe(1)))
    if not frames:
        return None
    text = "".join(f"{frame.f_code.co_filename}({frame.f_lineno}): {frame.f_code.co_name}\n" for frame in frames)
    innermost = frames[0]
    code = innermost.f_code
    return TraceRange(code.co_filename, innermost.f_lineno, 0, text, innermost.f_lineno, code.co_name)


def name_of(tensor: Any) -> str:
    """What the innermost Python function calls a tensor; empty when it has no name there, or when it is `self`."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_native(frame) and frame.f_code.co_name not in _WRITTEN_IN_PYTHON:
        frame = frame.f_back
    if frame is None:
        return ""
    for name, value in frame.f_locals.items():
        if value is tensor:
            return "" if name == "self" else name
    return ""


def warn_user(message: str) -> None:
    """Give a TracerWarning at the user's line. What optc's own layers do with tensors is not the user's business."""
    frame = next(python_frames(sys._getframe(1)), None)
    if frame is None or frame.f_globals.get("__name__", "").startswith("optc."):
        return
    warnings.warn_explicit(
        message,
        TracerWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )
