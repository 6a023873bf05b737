"""Layers that add elements at the ends of the last dimensions: constants, mirrored, repeated, or from the other end."""
# Scripts read the annotations of the functions below, where tuples of ints are lists.
# mypy: disable-error-code="no-any-return,arg-type"

from collections.abc import Sequence

from optc.eager.tensor import Tensor
from optc.nn import functional
from optc.nn.modules.module import Module
from optc.nn.modules.sizes import Numbers, repeated

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _ConstantPadNd(Module):
    __constants__ = ["padding", "value"]
    value: float
    padding: Sequence[int]

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return functional.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pads the last dimension with `value`: `padding` is (left, right) or one number for both."""

    padding: tuple[int, int]

    def __init__(self, padding: Numbers, value: float) -> None:
        super().__init__(value)
        self.padding = repeated(padding, 2)  # type: ignore[assignment]


class ConstantPad2d(_ConstantPadNd):
    """Pads the last two dimensions with `value`: (left, right, top, bottom)."""

    __constants__ = ["padding", "value"]
    padding: tuple[int, int, int, int]

    def __init__(self, padding: Numbers, value: float) -> None:
        super().__init__(value)
        self.padding = repeated(padding, 4)  # type: ignore[assignment]


class ConstantPad3d(_ConstantPadNd):
    """Pads the last three dimensions with `value`: (left, right, top, bottom, front, back)."""

    padding: tuple[int, int, int, int, int, int]

    def __init__(self, padding: Numbers, value: float) -> None:
        super().__init__(value)
        self.padding = repeated(padding, 6)  # type: ignore[assignment]


class ZeroPad1d(ConstantPad1d):
    """Pads the last dimension with zeros."""

    padding: tuple[int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Pads the last two dimensions with zeros."""

    padding: tuple[int, int, int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Pads the last three dimensions with zeros."""

    padding: tuple[int, int, int, int, int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPadNd(Module):
    __constants__ = ["padding"]
    padding: Sequence[int]

    def _check_input_dim(self, input: Tensor) -> None:
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return functional.pad(input, self.padding, "circular")

    def extra_repr(self) -> str:
        return f"{self.padding}"


class CircularPad1d(_CircularPadNd):
    """Pads the last dimension of (N, C, L) or (C, L) with elements from its other end."""

    padding: tuple[int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__()
        self.padding = repeated(padding, 2)  # type: ignore[assignment]

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 2 and input.dim() != 3:
            raise ValueError(f"expected 2D or 3D input (got {input.dim()}D input)")


class CircularPad2d(_CircularPadNd):
    """Pads the last two dimensions of (N, C, H, W) or (C, H, W) with elements from their other ends."""

    padding: tuple[int, int, int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__()
        self.padding = repeated(padding, 4)  # type: ignore[assignment]

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 3 and input.dim() != 4:
            raise ValueError(f"expected 3D or 4D input (got {input.dim()}D input)")


class CircularPad3d(_CircularPadNd):
    """Pads the last three dimensions of (N, C, D, H, W) or (C, D, H, W) with elements from their other ends."""

    padding: tuple[int, int, int, int, int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__()
        self.padding = repeated(padding, 6)  # type: ignore[assignment]

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 4 and input.dim() != 5:
            raise ValueError(f"expected 4D or 5D input (got {input.dim()}D input)")


class _ReflectionPadNd(Module):
    __constants__ = ["padding"]
    padding: Sequence[int]

    def forward(self, input: Tensor) -> Tensor:
        return functional.pad(input, self.padding, "reflect")

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ReflectionPad1d(_ReflectionPadNd):
    """Mirrors the last dimension at its ends."""

    padding: tuple[int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__()
        self.padding = repeated(padding, 2)  # type: ignore[assignment]


class ReflectionPad2d(_ReflectionPadNd):
    """Mirrors the last two dimensions at their ends."""

    padding: tuple[int, int, int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__()
        self.padding = repeated(padding, 4)  # type: ignore[assignment]


class ReflectionPad3d(_ReflectionPadNd):
    """Mirrors the last three dimensions at their ends."""

    padding: tuple[int, int, int, int, int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__()
        self.padding = repeated(padding, 6)  # type: ignore[assignment]


class _ReplicationPadNd(Module):
    __constants__ = ["padding"]
    padding: Sequence[int]

    def forward(self, input: Tensor) -> Tensor:
        return functional.pad(input, self.padding, "replicate")

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ReplicationPad1d(_ReplicationPadNd):
    """Repeats the first and last elements of the last dimension."""

    padding: tuple[int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__()
        self.padding = repeated(padding, 2)  # type: ignore[assignment]


class ReplicationPad2d(_ReplicationPadNd):
    """Repeats the first and last elements of the last two dimensions."""

    padding: tuple[int, int, int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__()
        self.padding = repeated(padding, 4)  # type: ignore[assignment]


class ReplicationPad3d(_ReplicationPadNd):
    """Repeats the first and last elements of the last three dimensions."""

    padding: tuple[int, int, int, int, int, int]

    def __init__(self, padding: Numbers) -> None:
        super().__init__()
        self.padding = repeated(padding, 6)  # type: ignore[assignment]
