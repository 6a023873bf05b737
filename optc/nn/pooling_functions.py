"""The poolings of `optc.nn.functional`: the largest, or the mean, of windows of lines, images and volumes."""
# mypy: disable-error-code="no-any-return"

from typing import Any

from optc.eager import functions
from optc.eager.tensor import Tensor
from optc.jit.choices import chosen_by
from optc.jit.markers import annotate
from optc.nn.broadcasting import BroadcastingList1, BroadcastingList2, BroadcastingList3
from optc.nn.functional_names import of_functional

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]


@of_functional
def max_pool1d_with_indices(
    input: Tensor, kernel_size: BroadcastingList1[int], stride: BroadcastingList1[int] | None = None,
    padding: BroadcastingList1[int] = 0, dilation: BroadcastingList1[int] = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The largest elements of windows of (N, C, L), and where they were."""
    if stride is None:
        stride = annotate(list[int], [])
    return functions.max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


@of_functional
def _max_pool1d(
    input: Tensor, kernel_size: BroadcastingList1[int], stride: BroadcastingList1[int] | None = None,
    padding: BroadcastingList1[int] = 0, dilation: BroadcastingList1[int] = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:  # fmt: skip
    """The largest elements of windows of (N, C, L); with `return_indices` also where they were."""
    if stride is None:
        stride = annotate(list[int], [])
    return functions.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)


@of_functional
def max_pool2d_with_indices(
    input: Tensor, kernel_size: BroadcastingList2[int], stride: BroadcastingList2[int] | None = None,
    padding: BroadcastingList2[int] = 0, dilation: BroadcastingList2[int] = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The largest elements of windows of (N, C, H, W), and where they were in H * W."""
    if stride is None:
        stride = annotate(list[int], [])
    return functions.max_pool2d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


@of_functional
def _max_pool2d(
    input: Tensor, kernel_size: BroadcastingList2[int], stride: BroadcastingList2[int] | None = None,
    padding: BroadcastingList2[int] = 0, dilation: BroadcastingList2[int] = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:  # fmt: skip
    """The largest elements of windows of (N, C, H, W); with `return_indices` also where they were in H * W."""
    if stride is None:
        stride = annotate(list[int], [])
    return functions.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)


@of_functional
def max_pool3d_with_indices(
    input: Tensor, kernel_size: BroadcastingList3[int], stride: BroadcastingList3[int] | None = None,
    padding: BroadcastingList3[int] = 0, dilation: BroadcastingList3[int] = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The largest elements of windows of (N, C, D, H, W), and where they were in D * H * W."""
    if stride is None:
        stride = annotate(list[int], [])
    return functions.max_pool3d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


@of_functional
def _max_pool3d(
    input: Tensor, kernel_size: BroadcastingList3[int], stride: BroadcastingList3[int] | None = None,
    padding: BroadcastingList3[int] = 0, dilation: BroadcastingList3[int] = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:  # fmt: skip
    """The largest elements of windows of (N, C, D, H, W); with `return_indices` also where they were."""
    if stride is None:
        stride = annotate(list[int], [])
    return functions.max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode)


max_pool1d = chosen_by("return_indices", 6, max_pool1d_with_indices, _max_pool1d)
max_pool2d = chosen_by("return_indices", 6, max_pool2d_with_indices, _max_pool2d)
max_pool3d = chosen_by("return_indices", 6, max_pool3d_with_indices, _max_pool3d)


@of_functional
def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: BroadcastingList1[int], return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """The largest elements of so many windows of (N, C, L), and where they were."""
    return functions.adaptive_max_pool1d(input, output_size)


@of_functional
def _adaptive_max_pool1d(input: Tensor, output_size: BroadcastingList1[int], return_indices: bool = False) -> Tensor:
    """The largest elements of so many windows of (N, C, L); with `return_indices` also where they were."""
    return adaptive_max_pool1d_with_indices(input, output_size)[0]


@of_functional
def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: BroadcastingList2[int], return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """The largest elements of so many windows of (N, C, H, W), and where they were in H * W."""
    output_size = _list_with_default(output_size, input.size())
    return functions.adaptive_max_pool2d(input, output_size)


@of_functional
def _adaptive_max_pool2d(input: Tensor, output_size: BroadcastingList2[int], return_indices: bool = False) -> Tensor:
    """The largest elements of so many windows of (N, C, H, W); with `return_indices` also where they were."""
    return adaptive_max_pool2d_with_indices(input, output_size)[0]


@of_functional
def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: BroadcastingList3[int], return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """The largest elements of so many windows of (N, C, D, H, W), and where they were."""
    output_size = _list_with_default(output_size, input.size())
    return functions.adaptive_max_pool3d(input, output_size)


@of_functional
def _adaptive_max_pool3d(input: Tensor, output_size: BroadcastingList3[int], return_indices: bool = False) -> Tensor:
    """The largest elements of so many windows of (N, C, D, H, W); with `return_indices` also where they were."""
    return adaptive_max_pool3d_with_indices(input, output_size)[0]


adaptive_max_pool1d = chosen_by("return_indices", 2, adaptive_max_pool1d_with_indices, _adaptive_max_pool1d)
adaptive_max_pool2d = chosen_by("return_indices", 2, adaptive_max_pool2d_with_indices, _adaptive_max_pool2d)
adaptive_max_pool3d = chosen_by("return_indices", 2, adaptive_max_pool3d_with_indices, _adaptive_max_pool3d)


@of_functional
def _list_with_default(out_size: Any, defaults: list[int]) -> Any:
    """Extents of the result: where one is None, that of the input. ValueError for too few dimensions."""
    if isinstance(out_size, int):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(f"Input dimension should be at least {len(out_size) + 1}")
    return [v if v is not None else d for v, d in zip(out_size, defaults[-len(out_size) :])]


@of_functional
def adaptive_avg_pool2d(input: Tensor, output_size: BroadcastingList2[int]) -> Tensor:
    """The means of so many windows of (N, C, H, W)."""
    _output_size = _list_with_default(output_size, input.size())
    return functions.adaptive_avg_pool2d(input, _output_size)


@of_functional
def adaptive_avg_pool3d(input: Tensor, output_size: BroadcastingList3[int]) -> Tensor:
    """The means of so many windows of (N, C, D, H, W)."""
    _output_size = _list_with_default(output_size, input.size())
    return functions.adaptive_avg_pool3d(input, _output_size)
