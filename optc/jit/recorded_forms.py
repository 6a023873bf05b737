"""What a trace records in place of the operator that was called: the operators below it, as PyTorch's traces have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from optc.ops.registry import Operator, lookup

Form = tuple[str, list[Any]]

_FLAGS = [False, False, True, True]
"""benchmark, deterministic, cudnn_enabled and allow_tf32, as they are in a fresh process."""


def recorded_form(operator: Operator, arguments: Sequence[Any]) -> tuple[Operator, list[Any]]:
    """The operator that stands in traces for this one, with its arguments; most stand for themselves."""
    make = _FORMS.get(operator.name)
    if make is None:
        return operator, list(arguments)
    name, given = make(arguments)
    found = lookup(name)
    assert found is not None
    return found, given


def _each(numbers: Any, spatial: int) -> list[Any]:
    listed = list(numbers) if isinstance(numbers, Sequence) else [numbers]
    return listed * spatial if len(listed) == 1 else listed


def _convolution(arguments: Sequence[Any]) -> Form:
    x, weight, bias, stride, padding, dilation, groups = arguments
    spatial = weight.dim() - 2
    numbers = [_each(item, spatial) for item in (stride, padding, dilation)]
    return "aten::_convolution", [x, weight, bias, *numbers, False, [0] * spatial, groups, *_FLAGS]


def _convolution_mode(arguments: Sequence[Any]) -> Form:
    x, weight, bias, stride, padding, dilation, groups = arguments
    spatial = weight.dim() - 2
    return "aten::_convolution_mode", [
        x, weight, bias, _each(stride, spatial), padding, _each(dilation, spatial), groups,
    ]  # fmt: skip


def _transposed(arguments: Sequence[Any]) -> Form:
    x, weight, bias, stride, padding, output_padding, groups, dilation = arguments
    spatial = weight.dim() - 2
    numbers = [_each(item, spatial) for item in (stride, padding, dilation)]
    return "aten::_convolution", [x, weight, bias, *numbers, True, _each(output_padding, spatial), groups, *_FLAGS]


_FORMS: dict[str, Callable[[Sequence[Any]], Form]] = {
    **{f"aten::conv{spatial}d": _convolution for spatial in (1, 2, 3)},
    **{f"aten::conv{spatial}d.padding": _convolution_mode for spatial in (1, 2, 3)},
    "aten::conv_transpose1d": _transposed,
    "aten::conv_transpose2d.input": _transposed,
    "aten::conv_transpose3d.input": _transposed,
}
