"""Convolutions and transposed convolutions over lines, images and volumes."""
# Scripts read the annotations of `_output_padding`, where tuples are lists.
# mypy: disable-error-code="no-any-return,arg-type"

import math
from typing import Any

from optc.eager.functions import empty
from optc.eager.tensor import Tensor
from optc.ir.dtypes import DType
from optc.jit.markers import annotate
from optc.nn import functional, init
from optc.nn.modules.module import Module
from optc.nn.modules.sizes import Numbers, named_or_repeated, repeated
from optc.nn.parameter import Parameter

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_PADDING_NAMES = ("same", "valid")
_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """Weights and numbers of a convolution. Both parameters are drawn from U(-k, k), k = 1 / sqrt(inputs per output)."""

    __constants__ = [
        "stride", "padding", "dilation", "groups", "padding_mode", "output_padding", "in_channels", "out_channels",
        "kernel_size",
    ]  # fmt: skip
    in_channels: int
    _reversed_padding_repeated_twice: list[int]
    out_channels: int
    weight: Tensor
    bias: Tensor | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: tuple[int, ...], stride: tuple[int, ...],
        padding: str | tuple[int, ...], dilation: tuple[int, ...], transposed: bool, output_padding: tuple[int, ...],
        groups: int, bias: bool, padding_mode: str, device: Any = None, dtype: DType | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        _check(in_channels, out_channels, stride, padding, groups, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        self._reversed_padding_repeated_twice = _frame(padding, kernel_size, dilation)
        outer, inner = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = Parameter(empty((outer, inner // groups, *kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        # With a = sqrt(5), kaiming_uniform_'s bound is 1 / sqrt(fan_in).
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        shown = [
            str(self.in_channels),
            str(self.out_channels),
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        if self.padding != (0,) * len(self.padding):
            shown.append(f"padding={self.padding}")
        if self.dilation != (1,) * len(self.dilation):
            shown.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * len(self.output_padding):
            shown.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            shown.append(f"groups={self.groups}")
        if self.bias is None:
            shown.append("bias=False")
        if self.padding_mode != "zeros":
            shown.append(f"padding_mode={self.padding_mode}")
        return ", ".join(shown)


def _check(
    in_channels: int, out_channels: int, stride: tuple[int, ...], padding: Any, groups: int, padding_mode: str
) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups != 0:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups != 0:
        raise ValueError("out_channels must be divisible by groups")
    if isinstance(padding, str) and padding not in _PADDING_NAMES:
        raise ValueError(f"Invalid padding string {padding!r}, should be one of {set(_PADDING_NAMES)}")
    if padding == "same" and any(step != 1 for step in stride):
        raise ValueError("padding='same' is not supported for strided convolutions")
    if padding_mode not in _PADDING_MODES:
        raise ValueError(f"padding_mode must be one of {set(_PADDING_MODES)}, but got padding_mode='{padding_mode}'")


def _frame(padding: Any, kernel_size: tuple[int, ...], dilation: tuple[int, ...]) -> list[int]:
    """The padding as `functional.pad` takes it: the last dimension first, before and after."""
    if not isinstance(padding, str):
        return [number for number in reversed(padding) for _ in range(2)]
    frame: list[int] = []
    for extent, gap in zip(reversed(kernel_size), reversed(dilation)):
        total = gap * (extent - 1) if padding == "same" else 0
        frame += [total // 2, total - total // 2]
    return frame


class _Plain(_ConvNd):
    """A convolution that is not transposed."""

    _spatial = 0

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Numbers, stride: Numbers = 1, padding: str | Numbers = 0,
        dilation: Numbers = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: DType | None = None,
    ) -> None:  # fmt: skip
        count = self._spatial
        super().__init__(
            in_channels, out_channels, repeated(kernel_size, count), repeated(stride, count),
            named_or_repeated(padding, count), repeated(dilation, count), False, (0,) * count, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip


class Conv1d(_Plain):
    """(N, in_channels, L) -> (N, out_channels, L'); also without N. `weight` is (out, in / groups, K)."""

    _spatial = 1

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode != "zeros":
            padded = functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            return functional.conv1d(padded, weight, bias, self.stride, (0,), self.dilation, self.groups)
        return functional.conv1d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)


class Conv2d(_Plain):
    """(N, in_channels, H, W) -> (N, out_channels, H', W'); also without N. `weight` is (out, in / groups, Kh, Kw)."""

    _spatial = 2

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode != "zeros":
            padded = functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            return functional.conv2d(padded, weight, bias, self.stride, (0, 0), self.dilation, self.groups)
        return functional.conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)


class Conv3d(_Plain):
    """(N, in_channels, D, H, W) -> (N, out_channels, D', H', W'); also without N."""

    _spatial = 3

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode != "zeros":
            padded = functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            return functional.conv3d(padded, weight, bias, self.stride, (0, 0, 0), self.dilation, self.groups)
        return functional.conv3d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution; `output_size` of a call chooses among the sizes that the numbers leave open."""

    _spatial = 0

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Numbers, stride: Numbers = 1, padding: Numbers = 0,
        output_padding: Numbers = 0, groups: int = 1, bias: bool = True, dilation: Numbers = 1,
        padding_mode: str = "zeros", device: Any = None, dtype: DType | None = None,
    ) -> None:  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {self.__class__.__name__}')
        count = self._spatial
        super().__init__(
            in_channels, out_channels, repeated(kernel_size, count), repeated(stride, count), repeated(padding, count),
            repeated(dilation, count), True, repeated(output_padding, count), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _output_padding(
        self, input: Tensor, output_size: list[int] | None, stride: list[int], padding: list[int],
        kernel_size: list[int], num_spatial_dims: int, dilation: list[int] | None = None,
    ) -> list[int]:  # fmt: skip
        """How many elements to add at the end of every dimension so that the result has `output_size`."""
        if output_size is None:
            ret = annotate(list[int], [])
            for number in self.output_padding:
                ret.append(number)
        else:
            has_batch_dim = input.dim() == num_spatial_dims + 2
            num_non_spatial_dims = 2 if has_batch_dim else 1
            if len(output_size) == num_non_spatial_dims + num_spatial_dims:
                output_size = output_size[num_non_spatial_dims:]
            if len(output_size) != num_spatial_dims:
                raise ValueError(
                    f"ConvTranspose{num_spatial_dims}D: for {input.dim()}D input, output_size must have {num_spatial_dims} "
                    f"or {num_non_spatial_dims + num_spatial_dims} elements (got {len(output_size)})"
                )
            min_sizes = annotate(list[int], [])
            max_sizes = annotate(list[int], [])
            for d in range(num_spatial_dims):
                gap = dilation[d] if dilation is not None else 1
                spread = (input.size(d + num_non_spatial_dims) - 1) * stride[d] - 2 * padding[d]
                dim_size = spread + gap * (kernel_size[d] - 1) + 1
                min_sizes.append(dim_size)
                max_sizes.append(min_sizes[d] + stride[d] - 1)
            for i in range(len(output_size)):
                if output_size[i] < min_sizes[i] or output_size[i] > max_sizes[i]:
                    raise ValueError(
                        f"requested an output size of {output_size}, but valid sizes range from {min_sizes} to "
                        f"{max_sizes} (for an input of {input.size()[2:]})"
                    )
            ret = annotate(list[int], [])
            for d in range(num_spatial_dims):
                ret.append(output_size[d] - min_sizes[d])
        return ret


class ConvTranspose1d(_ConvTransposeNd):
    """(N, in_channels, L) -> (N, out_channels, L'); also without N. `weight` is (in, out / groups, K)."""

    _spatial = 1

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        output_padding = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, 1, self.dilation
        )
        return functional.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )


class ConvTranspose2d(_ConvTransposeNd):
    """(N, in_channels, H, W) -> (N, out_channels, H', W'); also without N. `weight` is (in, out / groups, Kh, Kw)."""

    _spatial = 2

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        output_padding = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, 2, self.dilation
        )
        return functional.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )


class ConvTranspose3d(_ConvTransposeNd):
    """(N, in_channels, D, H, W) -> (N, out_channels, D', H', W'); also without N."""

    _spatial = 3

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        output_padding = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, 3, self.dilation
        )
        return functional.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )
