"""Operators whose meaning changed: in archives older than the change they are replaced by what they meant then.

Sources: the versions and rules PyTorch documents for its format (caffe2/serialize/versions.h). The program that stands
for the old meaning is TorchScript, compiled like any other and put in the place of the operator.
"""

from __future__ import annotations

from functools import cache

from optc.ir.function import Function
from optc.ir.graph import Graph, Node
from optc.ir.inline import replace_by_body
from optc.jit.frontend.string_source import compile_text
from optc.ops.registry import operator_of

_OLD_DIVISION = """
def {name}(self: Tensor, other: {type}{out}) -> Tensor:
  if {is_float}:
    return torch.{divide}(self, other{pass_out})
  return torch.{divide}(self, other, rounding_mode="trunc"{pass_out})
"""
_TENSORS = {"type": "Tensor", "is_float": "torch.is_floating_point(self) or torch.is_floating_point(other)"}
_SCALARS = {"type": "number", "is_float": "torch.is_floating_point(self) or isinstance(other, float)"}
_PLAIN = {"out": "", "pass_out": ""}

_OLD_FULL = """
def full(size: List[int], fill_value: number, dtype: Optional[int]=None, layout: Optional[int]=None,
         device: Optional[Device]=None, pin_memory: Optional[bool]=None) -> Tensor:
  if dtype is None:
    return torch.full(size, float(fill_value), dtype=dtype, layout=layout, device=device, pin_memory=pin_memory)
  return torch.full(size, fill_value, dtype=dtype, layout=layout, device=device, pin_memory=pin_memory)
"""

_UPGRADERS: dict[str, tuple[int, str]] = {
    "aten::div.Tensor": (4, _OLD_DIVISION.format(name="div", divide="div", **_TENSORS, **_PLAIN)),
    "aten::div.Scalar": (4, _OLD_DIVISION.format(name="div", divide="div", **_SCALARS, **_PLAIN)),
    "aten::div_.Tensor": (4, _OLD_DIVISION.format(name="div_", divide="div_", **_TENSORS, **_PLAIN)),
    "aten::div_.Scalar": (4, _OLD_DIVISION.format(name="div_", divide="div_", **_SCALARS, **_PLAIN)),
    "aten::div.out": (
        4,
        _OLD_DIVISION.format(name="div", divide="div", **_TENSORS, out=", out: Tensor", pass_out=", out=out"),
    ),
    "aten::full": (5, _OLD_FULL),
}
"""Operator -> the first version with today's meaning, and what it meant before."""


def upgrade(graph: Graph, version: int) -> None:
    """Give operators in a graph from an archive of this version the meaning they had."""
    if version >= max(since for since, _ in _UPGRADERS.values()):
        return
    for node in list(graph.walk()):
        name = _upgradable(node, version)
        if name is not None:
            replace_by_body(node, _program(name), node.inputs)


def _upgradable(node: Node, version: int) -> str | None:
    operator = operator_of(node)
    if operator is None or operator.name not in _UPGRADERS or version >= _UPGRADERS[operator.name][0]:
        return None
    return operator.name


@cache
def _program(name: str) -> Function:
    (function,) = compile_text(_UPGRADERS[name][1]).values()
    return function
