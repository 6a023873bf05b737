"""Operators on tensors in the blocked memory of oneDNN, which `torch.utils.mkldnn` puts modules into.

Here all tensors are strided: what goes there is a copy, what comes from there another, and what is computed there is what
the ordinary operators compute.
"""

from __future__ import annotations

from typing import Any

from optc.ops.composite import declare_composite


def _copied(b: Any, x: Any, dtype: int | None = None, *_: Any) -> Any:
    return b("aten::clone", x) if dtype is None else b("aten::to.dtype", x, dtype, False, True)


def _reordered(b: Any, weight: Any, *_: Any) -> Any:
    return b("aten::clone", weight)


def _convolved(
    b: Any, x: Any, weight: Any, bias: Any, padding: Any, stride: Any, dilation: Any, groups: int
) -> Any:  # fmt: skip
    nothing = [0] * len(padding)
    return b("aten::convolution", x, weight, bias, stride, padding, dilation, False, nothing, groups)


declare_composite("aten::to_mkldnn(Tensor self, ScalarType? dtype=None) -> Tensor", _copied)
declare_composite(
    "aten::to_dense(Tensor self, ScalarType? dtype=None, *, bool? masked_grad=None) -> Tensor", _copied,
)  # fmt: skip
declare_composite(
    "aten::mkldnn_linear(Tensor self, Tensor weight, Tensor? bias=None) -> Tensor",
    lambda b, *arguments: b("aten::linear", *arguments),
)
declare_composite(
    "aten::mkldnn_convolution(Tensor self, Tensor weight, Tensor? bias, SymInt[] padding, SymInt[] stride, "
    "SymInt[] dilation, SymInt groups) -> Tensor",
    _convolved,
)
for _spatial in (2, 3):
    _zeros, _ones = f"[{', '.join('0' * _spatial)}]", f"[{', '.join('1' * _spatial)}]"
    declare_composite(
        f"aten::mkldnn_reorder_conv{_spatial}d_weight(Tensor self, SymInt[{_spatial}] padding={_zeros}, "
        f"SymInt[{_spatial}] stride={_ones}, SymInt[{_spatial}] dilation={_ones}, SymInt groups=1, "
        "SymInt[]? input_size=None) -> Tensor",
        _reordered,
    )
    declare_composite(
        f"aten::mkldnn_max_pool{_spatial}d(Tensor self, int[{_spatial}] kernel_size, int[{_spatial}] stride=[], "
        f"int[{_spatial}] padding=0, int[{_spatial}] dilation=1, bool ceil_mode=False) -> Tensor",
        lambda b, *arguments, _name=f"aten::max_pool{_spatial}d": b(_name, *arguments),
    )
declare_composite(
    "aten::mkldnn_adaptive_avg_pool2d(Tensor self, int[2] output_size) -> Tensor",
    lambda b, *arguments: b("aten::adaptive_avg_pool2d", *arguments),
)
