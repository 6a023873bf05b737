"""`convolution`, which is a convolution or a transposed one by a flag: what traces record."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from optc.ops import convolution, transposed_convolution
from optc.ops.abstract import UndecidedShape, Unknown
from optc.ops.composite import declare_composite
from optc.ops.registry import define


def _chosen(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: Any, output_padding: Any,
    groups: Any, *flags: Any,
) -> tuple[ModuleType, tuple[Any, ...]]:  # fmt: skip
    """The family that does the work, and the arguments in its order."""
    if isinstance(transposed, Unknown):
        raise UndecidedShape("whether a convolution is transposed is needed before the program runs")
    if transposed:
        return transposed_convolution, (x, weight, bias, stride, padding, output_padding, groups, dilation)
    return convolution, (x, weight, bias, stride, padding, dilation, groups)


def _infer(*arguments: Any) -> Any:
    family, own = _chosen(*arguments)
    return family.infer(*own)


def _reference(*arguments: Any) -> Any:
    family, own = _chosen(*arguments)
    return family.reference(*own)


def _decompose(b: Any, *arguments: Any) -> Any:
    family, own = _chosen(*arguments)
    return family.decompose(b, *own)


_GENERAL = (
    "Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding, SymInt[] dilation, bool transposed, "
)
_FLAGS = "bool benchmark, bool deterministic, bool cudnn_enabled"
for _name, _rest in (
    ("_convolution", f"SymInt[] output_padding, SymInt groups, {_FLAGS}, bool allow_tf32"),
    ("_convolution.deprecated", f"int[] output_padding, SymInt groups, {_FLAGS}"),
    ("convolution", "SymInt[] output_padding, SymInt groups"),
):
    define(f"aten::{_name}({_GENERAL}{_rest}) -> Tensor", infer=_infer, reference=_reference, decompose=_decompose,
           in_rows=True)  # fmt: skip

define(
    "aten::_convolution_mode(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, str padding, SymInt[] dilation, "
    "SymInt groups) -> Tensor",
    infer=convolution.infer,
    reference=convolution.reference,
    decompose=convolution.decompose,
    in_rows=True,
)


def _conv_tbc(b: Any, x: Any, weight: Any, bias: Any, pad: int) -> Any:
    """Time, batch, channels; the weight is steps, input channels, output channels."""
    convolved = b("aten::conv1d", b("aten::permute", x, [1, 2, 0]), b("aten::permute", weight, [2, 1, 0]), bias,
                  [1], [pad], [1], 1)  # fmt: skip
    return b("aten::contiguous", b("aten::permute", convolved, [2, 0, 1]))


declare_composite("aten::conv_tbc(Tensor self, Tensor weight, Tensor bias, int pad=0) -> Tensor", _conv_tbc)
