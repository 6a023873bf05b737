"""Operators whose meaning changed: in archives older than the change they are replaced by what they meant then.

Sources: the versions and rules PyTorch documents for its format (caffe2/serialize/versions.h). The program that stands
for the old meaning is TorchScript, compiled like any other and put in the place of the operator. Three more operators
have newer versions (gelu, and linspace and logspace without steps): these only had fewer arguments, which
`optc.jit.frontend.missing_operators` supplies.
"""

from __future__ import annotations

from functools import cache

from optc.ir.function import Function
from optc.ir.graph import Graph, Node
from optc.ir.inline import replace_by_body
from optc.jit.frontend.cleanup import simplify
from optc.jit.frontend.constants import is_known
from optc.jit.frontend.string_source import compile_text
from optc.ops.registry import operator_of

_OLD_DIVISION = """
def {name}(self: Tensor, other: {type}) -> Tensor:
  if {is_float}:
    return torch.{name}(self, other)
  return torch.{name}(self, other, rounding_mode="trunc")
"""
_TENSORS = {"type": "Tensor", "is_float": "torch.is_floating_point(self) or torch.is_floating_point(other)"}
_SCALARS = {"type": "number", "is_float": "torch.is_floating_point(self) or isinstance(other, float)"}

_OLD_DIVISION_INTO = """
def div(self: Tensor, other: Tensor, out: Tensor) -> Tensor:
  if torch.is_floating_point(self) or torch.is_floating_point(other) or torch.is_floating_point(out):
    return torch.div(self, other, out=out)
  return torch.copy_(out, torch.div(self, other, rounding_mode="trunc"))
"""

_OLD_FULL = """
def full(size: List[int], fill_value: number, dtype: Optional[int]=None, layout: Optional[int]=None,
         device: Optional[Device]=None, pin_memory: Optional[bool]=None) -> Tensor:
  if dtype is None:
    fill_value = float(fill_value)
  return torch.full(size, fill_value, dtype=dtype, layout=layout, device=device, pin_memory=pin_memory)
"""

_UPGRADERS: dict[str, tuple[int, str]] = {
    "aten::div.Tensor": (4, _OLD_DIVISION.format(name="div", **_TENSORS)),
    "aten::div.Scalar": (4, _OLD_DIVISION.format(name="div", **_SCALARS)),
    "aten::div_.Tensor": (4, _OLD_DIVISION.format(name="div_", **_TENSORS)),
    "aten::div_.Scalar": (4, _OLD_DIVISION.format(name="div_", **_SCALARS)),
    "aten::div.out": (4, _OLD_DIVISION_INTO),
    "aten::full": (5, _OLD_FULL),
}
"""Operator -> the first version with today's meaning, and what it meant before."""


def upgrade(graph: Graph, version: int) -> None:
    """Give operators in a graph from an archive of this version the meaning they had."""
    if version >= max(since for since, _ in _UPGRADERS.values()):
        return
    changed = False
    for node in list(graph.walk()):
        name = _upgradable(node, version)
        if name is not None:
            for output in node.outputs:
                output.name = ""  # as PyTorch does
            replace_by_body(node, _program(name), node.inputs)
            changed = True
    if changed:
        _use_constants_as_they_are(graph)
        simplify(graph)  # what the arguments decide already, as in code that was just compiled


def _use_constants_as_they_are(graph: Graph) -> None:
    """A constant has its own type, whatever an argument may be."""
    for node in list(graph.walk()):
        if node.kind == "prim::unchecked_cast" and is_known(node.inputs[0]):
            node.output.replace_all_uses_with(node.inputs[0])
            node.destroy()


def _upgradable(node: Node, version: int) -> str | None:
    operator = operator_of(node)
    if operator is None or operator.name not in _UPGRADERS or version >= _UPGRADERS[operator.name][0]:
        return None
    return operator.name


@cache
def _program(name: str) -> Function:
    (function,) = compile_text(_UPGRADERS[name][1]).values()
    return function
