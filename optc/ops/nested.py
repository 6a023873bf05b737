"""Nested tensors: rows of different lengths, which PyTorch's TransformerEncoder makes of padded batches while it keeps
no gradients.

optc has only what they are made of: the padded tensor, and a mask. The pass `nested-tensors` lets these stand for a
nested tensor where all that is done with it has a form with a mask: `pad` knows them. The rest is refused.
"""

from __future__ import annotations

from typing import Any

from optc.errors import UnsupportedError
from optc.ir import dtypes
from optc.ir.graph import Node, Value
from optc.ir.types import TensorType
from optc.ops.builder import Builder
from optc.ops.composite import declare_composite
from optc.ops.registry import Operator, define, operator_of

REASON = "there are no nested tensors; PyTorch uses none with enable_nested_tensor=False"


def _filled(b: Any, mask: Any) -> Any:
    """The mask (B, L) whose rows have as many elements as those of `mask`, all of them at the beginning."""
    lengths = b("aten::sum.dim_IntList", mask, [1], True)
    return b("aten::lt.Tensor", b("aten::arange", b.shape(mask)[1], dtype=dtypes.INT64.code), lengths)


def _build_left_aligned(b: Any, t: Any, mask: Any) -> Any:
    """True when every row of the mask (B, L) is true up to some place and false behind it."""
    return b("aten::Bool.Tensor", b("aten::all", b("aten::eq.Tensor", _filled(b, mask), mask)))


declare_composite("aten::_nested_tensor_from_mask_left_aligned(Tensor t, Tensor mask) -> bool", _build_left_aligned)


def _refuse(*arguments: Any) -> Any:
    raise UnsupportedError(REASON)


def _padded_type(tensor: Any, padding: float, size: Any) -> TensorType:
    return TensorType(tensor.dtype, None if size is None else tuple(size))


_MAKE = define(
    "aten::_nested_tensor_from_mask(Tensor t, Tensor mask, bool mask_check=True) -> Tensor",
    infer=lambda tensor, mask, check: tensor,  # the type of what stands for it
    reference=_refuse,
    interpreted=REASON,
    may_fail=True,
)
_PAD = define(
    "aten::to_padded_tensor(Tensor self, float padding, SymInt[]? output_size=None) -> Tensor",
    infer=_padded_type,
    reference=_refuse,
    interpreted=REASON,
    may_fail=True,
)
_LAYER = "aten::_transformer_encoder_layer_fwd"


def makes_nested(operator: Operator | None) -> bool:
    """The operator's result is a nested tensor, whatever its arguments are."""
    return operator is _MAKE


def asks_for_nested(operator: Operator | None) -> bool:
    """The operator tells whether its argument is a nested tensor."""
    return operator is not None and operator.name == "prim::is_nested"


def may_be_nested(value: Value) -> bool:
    """True for nested tensors, and for what comes from branches where one of them gives a nested tensor."""
    node = value.node
    if node.kind == "prim::If":
        return any(may_be_nested(block.outputs[value.offset]) for block in node.blocks)
    operator = operator_of(node)
    return makes_nested(operator) or (
        operator is not None and operator.name == _LAYER and may_be_nested(node.inputs[0])
    )


def pad(node: Node) -> bool:
    """Let a layer of a nested tensor be one of a padded tensor, and its padded form what the mask leaves of that.

    True when the node was one of these, of the result of the operator that makes nested tensors.
    """
    operator = operator_of(node)
    if operator is None or not node.inputs or not makes_nested(operator_of(node.inputs[0].node)):
        return False
    made = node.inputs[0].node
    tensor, mask, check = made.inputs
    if not (check.is_constant and check.constant is False and _is_mask_of(mask, tensor)):
        return False
    is_layer = operator.name == _LAYER
    if not (_pad_layer(node, tensor, mask) if is_layer else operator is _PAD and _hide(node, tensor, mask)):
        return False
    if not made.output.has_uses:
        made.destroy()
    return True


def _is_mask_of(mask: Value, tensor: Value) -> bool:
    flags, padded = mask.type, tensor.type
    if not (isinstance(flags, TensorType) and isinstance(padded, TensorType)):
        return False
    if flags.dtype is not dtypes.BOOL or flags.shape is None or padded.shape is None:
        return False
    return len(padded.shape) == 3 and flags.shape == padded.shape[:2]


def _pad_layer(node: Node, tensor: Value, mask: Value) -> bool:
    """A layer masks what is no element: which numbers stand there is told by nobody."""
    *settings, own_mask, kind = node.inputs[1:]
    if not all(value.is_constant and value.constant is None for value in (own_mask, kind)):
        return False
    with node.graph.replacing(node):
        b = Builder(node.graph)
        hidden = b("aten::logical_not", _filled(b, mask))
        layer = b(_LAYER, tensor, *settings, hidden, 1)
        node.output.replace_all_uses_with(b(_MAKE.name, layer, mask, False))
    node.destroy()
    return True


def _hide(node: Node, tensor: Value, mask: Value) -> bool:
    if node.output.type != tensor.type:
        return False
    with node.graph.replacing(node):
        b = Builder(node.graph)
        hidden = b("aten::unsqueeze", b("aten::logical_not", _filled(b, mask)), -1)
        node.output.replace_all_uses_with(b("aten::masked_fill.Scalar", tensor, hidden, node.inputs[1]))
    node.destroy()
    return True
