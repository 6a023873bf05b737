"""Which emitter takes which node."""

from __future__ import annotations

from optc.codegen.driver.driver import Driver, Handlers, has_groups
from optc.codegen.driver.frame import Unsupported
from optc.codegen.driver.grouping import Group
from optc.codegen.operators import (
    control_flow,
    gated_products,
    group_products,
    memory_operators,
    products,
    register_operators,
    views,
)
from optc.ir.graph import Node
from optc.ops.complex_numbers import is_at_border
from optc.ops.registry import Kernel, Layout, operator_of


def emit_node(driver: Driver, node: Node) -> None:
    """Emit one node at the driver's position. Raises Unsupported."""
    handler = control_flow.HANDLERS.get(node.kind)
    if handler is not None:
        handler(driver, node)
        return
    operator = operator_of(node)
    if operator is None:
        raise Unsupported(node, "there is no such operator")
    lowering = operator.lowering
    if is_at_border(node):
        views.emit_at_border(driver, node)
    elif isinstance(lowering, Layout):
        views.emit(driver, node, operator, lowering)
    elif driver.is_small(node) and register_operators.emit(driver, node, operator):
        return
    elif isinstance(lowering, Kernel):
        memory_operators.emit(driver, node, operator, lowering)
    else:
        raise Unsupported(node, getattr(lowering, "reason", "it was not decomposed"))


def emit_product(driver: Driver, group: Group) -> None:
    """Emit a product and what follows it. Raises Unsupported."""
    emitter = group_products if has_groups(group.nodes[0]) else products
    emitter.emit_group(driver, group)


HANDLERS = Handlers(emit_node, emit_product, gated_products.emit_group, gated_products.takes_parts)
