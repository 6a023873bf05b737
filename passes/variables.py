"""Attributes as variables in SSA form: reads become values, branches and loops hand on what is assigned inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from optc.dataclass import dataclass
from optc.ir.graph import Block, Node, Value
from optc.ir.types import Type


@dataclass(frozen=True)
class Variable:
    """One attribute of one object: `is_access` is true of the `prim::GetAttr` and `prim::SetAttr` nodes that mean it.

    `type` is what branches and loops give, `name` a hint for their results.
    """

    is_access: Callable[[Node], bool]
    type: Type
    name: str = ""

    def promote(self, nodes: Iterable[Node], value: Value) -> Value:
        """Replace all accesses by nodes of a block, before which the variable is `value`; returns what it is behind."""
        for node in nodes:
            if node.blocks:
                value = self._through(node, value)
            elif self.is_access(node):
                if node.kind == "prim::SetAttr":
                    value = node.inputs[1]
                else:
                    node.output.replace_all_uses_with(value)
                node.destroy()
        return value

    def _through(self, node: Node, value: Value) -> Value:
        if not any(map(self.is_access, node.walk())):
            return value
        if node.kind == "prim::Loop":
            return self._through_loop(node, node.blocks[0], value)
        ends = [self.promote(block.nodes, value) for block in node.blocks]
        if all(end is value for end in ends):
            return value
        for block, end in zip(node.blocks, ends):
            block.add_output(end)
        return node.add_output(self.type, self.name)

    def _through_loop(self, node: Node, body: Block, value: Value) -> Value:
        parameter = body.add_input(self.type, self.name)
        end = self.promote(body.nodes, parameter)
        if end is parameter:
            parameter.replace_all_uses_with(value)
            body.param_node.remove_output(parameter.offset)
            return value
        node.add_input(value)
        body.add_output(end)
        return node.add_output(self.type, self.name)
