"""The pass `checked-views`.

                                             prim::If(u0 == 9): else raise
%y : Tensor = aten::view(%x, [3, 3])   =>    %a : Float(9) = aten::narrow(%x, 0, 0, 9)
                                             %y : Float(3, 3) = aten::reshape(%a, [3, 3])

where %x has u0 elements, and only running tells how many that are; and %x split into [u1, u2] rows becomes %x, checked
to have u1 + u2 rows, split. The number that a tensor holds is read where it has been checked to hold one.
"""

from __future__ import annotations

from collections.abc import Sequence

from optc.ir.dims import Dim, Symbolic, product
from optc.ir.graph import Graph, Node
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, abstract
from optc.ops.builder import Builder
from optc.ops.joining import splits_by_sizes
from optc.ops.registry import Pointwise, operator_of
from optc.ops.shape import asked_shape
from optc.ops.shapes import is_extent
from optc.pipeline import graph_pass


@graph_pass(
    "checked-views",
    functional=True,
    after={
        "infer-shapes": "it says which shapes are not known to fit",
        "loop-unrolling": "a size that differs between turns of a loop is known in each of them",
    },
)
def checked_views(graph: Graph) -> bool:
    """Let the program check that as many elements, or rows, as it finds fit the sizes that it asks for."""
    changed = False
    for node in list(graph.walk()):
        changed |= _check(node) or _check_parts(node) or _check_element(node)
    return changed


def _check(node: Node) -> bool:
    operator = operator_of(node)
    asked = None if operator is None else asked_shape(operator)
    if operator is None or asked is None or not is_open(node):
        return False
    arguments = [abstract(value) for value in node.inputs]
    shape: Sequence[Dim] = arguments[0].shape
    try:
        sizes = list(asked(shape, *arguments[1:]))
    except (UndecidedShape, RuntimeError, TypeError, IndexError):
        return False
    if sizes.count(-1) > 1 or any(isinstance(size, int) and size < -1 for size in sizes):
        return False
    with node.graph.replacing(node):
        b = Builder(node.graph)
        sizes = _filled_in(b, product(tuple(shape)), sizes)
        flat = b("aten::reshape", node.inputs[0], [-1])
        node.output.replace_all_uses_with(b("aten::reshape", b("aten::narrow", flat, 0, 0, product(sizes)), sizes))
    node.destroy()
    return True


def _check_parts(node: Node) -> bool:
    operator = operator_of(node)
    if operator is None or not splits_by_sizes(operator):
        return False
    tensor, sizes, dim = map(abstract, node.inputs)
    if not isinstance(sizes, list) or not all(isinstance(size, int | Symbolic) for size in sizes):
        return False
    try:
        operator.infer(tensor, sizes, dim)
    except UndecidedShape:
        return _with_checked_rows(node, sizes, dim)
    except (RuntimeError, TypeError, IndexError):
        return False
    return False


def _with_checked_rows(node: Node, sizes: Sequence[Dim], dim: int) -> bool:
    """Split a tensor of which the program has checked that it has as many rows as its parts."""
    total: Dim = 0
    for size in sizes:
        total = total + size
    with node.graph.inserting(node):
        b = Builder(node.graph)
        for size in sizes:
            if not isinstance(size, int) and not is_extent(size):
                b.require(b("aten::ge.int", size, 0), "split_with_sizes expects non-negative sizes")
        extent = b("aten::size.int", node.inputs[0], dim)
        b.require(b("aten::eq.int", extent, total), "split_with_sizes expects sizes that sum to the extent")
        node.set_input(0, b("aten::narrow", node.inputs[0], dim, 0, total))
    return True


def _check_element(node: Node) -> bool:
    """Read the number of a tensor of which only running tells how many it holds."""
    operator = operator_of(node)
    if operator is None or not isinstance(operator.lowering, Pointwise) or len(node.inputs) != 1:
        return False
    given = node.inputs[0].type
    if not isinstance(given, TensorType) or not given.is_typed or isinstance(node.output.type, TensorType):
        return False
    count = product(given.shape or ())
    if isinstance(count, int):
        return False
    with node.graph.inserting(node):
        b = Builder(node.graph)
        b.require(b("aten::eq.int", count, 1), "a Tensor with other than 1 element cannot be converted to Scalar")
        node.set_input(0, b("aten::narrow", b("aten::reshape", node.inputs[0], [-1]), 0, 0, 1))
    return True


def is_open(node: Node) -> bool:
    """What a view is taken of has a known shape, what comes of it has none yet."""
    given, made = node.inputs[0].type, node.output.type
    if not (isinstance(given, TensorType) and isinstance(made, TensorType)):
        return False
    return given.dtype is not None and given.shape is not None and made.shape is None


def _filled_in(b: Builder, count: Dim, sizes: list[Dim]) -> list[Dim]:
    """The sizes, with the one that is left open, of which the program has checked that so many elements fit."""
    known = product([size for size in sizes if size != -1])
    for size in sizes:
        if not isinstance(size, int) and not is_extent(size):
            b.require(b("aten::ge.int", size, 0), "invalid shape dimension")
    if -1 in sizes:
        b.require(b("aten::ne.int", known, 0), "cannot reshape tensor of 0 elements")
        sizes = [count // known if size == -1 else size for size in sizes]
    b.require(b("aten::eq.int", count, product(sizes)), "the shape is invalid for an input of this size")
    return sizes
