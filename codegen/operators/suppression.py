"""Boxes that are kept: in order, each unless it overlaps too much with one that was kept before it."""

from __future__ import annotations

from optc.codegen.driver.driver import Driver
from optc.codegen.kernels.kernel import Accumulate, Buffer, Define, Kernel, Loop, Statement, Store, load, local
from optc.ir import dtypes
from optc.ir.dims import Dim, symbol, symbols
from optc.ir.graph import Node
from optc.ops.promotion import compute_type
from optc.ops.registry import Operator
from optc.ops.scalar import Expr, function, literal, variable


def kept_boxes(driver: Driver, node: Node, operator: Operator) -> None:
    """`prim::KeptBoxes` over boxes of two corners each."""
    boxes, threshold = driver.contiguous(node.inputs[0]), driver.in_memory(node.inputs[1])
    result = driver.allocate(node.output)
    given = Buffer("boxes", boxes.dtype, "input")
    limit = Buffer("threshold", threshold.dtype, "input")
    kept = Buffer("out0", result.dtype, "output")
    work = compute_type(boxes.dtype)
    mine, other = ([load(given, symbol(name) * 4 + side).cast(work) for side in range(4)] for name in ("i0", "i1"))
    corners = [local(f"side{side}", work) for side in range(4)]
    beaten = (_overlap(corners, other).cast(dtypes.FLOAT64) > local("limit", dtypes.FLOAT64)) & load(kept, symbol("i1"))
    turn: tuple[Statement, ...] = (
        *(Define(f"side{side}", value) for side, value in enumerate(mine)),
        Define("dropped", literal(False, dtypes.BOOL)),
        Loop("i1", 0, symbol("i0"), 1, (Accumulate("dropped", _either(), beaten),)),
        Store("out0", symbol("i0"), ~local("dropped", dtypes.BOOL)),
    )
    count: Dim = boxes.shape[0]
    body = (Define("limit", load(limit, 0).cast(dtypes.FLOAT64)), Loop("i0", 0, count, 1, turn))
    kernel = Kernel("kernel", (given, limit, kept), tuple(sorted(symbols(count))), body)
    driver.call_kernel(kernel, [boxes.pointer, threshold.pointer, result.pointer], [node.kind])
    driver.define(node.output, result)


def _either() -> Expr:
    return variable(0, dtypes.BOOL) | variable(1, dtypes.BOOL)


def _overlap(box: list[Expr], other: list[Expr]) -> Expr:
    """The intersection of two boxes over their union."""
    zero = literal(0, box[0].dtype)
    sides = [
        function("maxnum", function("minnum", box[2 + k], other[2 + k]) - function("maxnum", box[k], other[k]), zero)
        for k in (0, 1)
    ]
    inside = sides[0] * sides[1]
    return inside / (_area(box) + _area(other) - inside)


def _area(box: list[Expr]) -> Expr:
    return (box[2] - box[0]) * (box[3] - box[1])
