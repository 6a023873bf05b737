"""Which operators share a kernel, and why the others do not.

Nodes are offered in program order. The open group takes a node while the whole stays one loop nest over the group's
`domain`: pointwise operators over the domain, reductions over one set of `axes`, and pointwise operators on what is
reduced. A node that does not fit closes the group; the reason is kept for `optc dump --kernels`.
"""

from __future__ import annotations

from dataclasses import field

from optc.codegen.kernels.cost import operations
from optc.dataclass import dataclass
from optc.ir.dims import Dim
from optc.ir.graph import Node, Value
from optc.ir.types import TensorType
from optc.ops.abstract import abstract, normalize_dims
from optc.ops.elementwise import element_expression
from optc.ops.registry import Layout, Operator, Pointwise, Reduction, operator_of

FULL, ROW_KEPT, ROW_DROPPED, PART = "full", "row with kept dimensions", "row", "part of the columns"

MOST_OPERATIONS, MOST_BEHIND_PRODUCT = 1000, 200
"""What kernels do to one element at most, and to one of a product, of which each has many in registers. A kernel that
long gains nothing by more, and the time that LLVM takes grows with the square of its length."""


@dataclass
class Group:
    """Nodes that become one kernel: see the module. `frames` says over what each member's elements range."""

    domain: tuple[Dim, ...]
    axes: tuple[int, ...] | None = None
    nodes: list[Node] = field(default_factory=list)
    frames: dict[Value, str] = field(default_factory=dict)
    root: Node | None = None
    """A matrix product whose sums the other members work on before they are stored."""
    part: int = 0
    """The width of the parts into which members slice the columns of the product; 0 where none does."""
    places: dict[Value, int] = field(default_factory=dict)
    """Which part a slice is."""
    operations: int = 0
    """What the pointwise members do to an element."""

    @property
    def is_long(self) -> bool:
        """True when nothing more should join."""
        return self.operations >= (MOST_OPERATIONS if self.root is None else MOST_BEHIND_PRODUCT)

    @property
    def kept_shape(self) -> tuple[Dim, ...]:
        """The shape of a row value that keeps reduced dimensions as 1."""
        axes = self.axes or ()
        return tuple(1 if place in axes else extent for place, extent in enumerate(self.domain))

    @property
    def dropped_shape(self) -> tuple[Dim, ...]:
        """The shape of a row value without the reduced dimensions."""
        axes = self.axes or ()
        return tuple(extent for place, extent in enumerate(self.domain) if place not in axes)

    def add(self, node: Node, frame: str) -> None:
        """Take a node in."""
        self.nodes.append(node)
        self.frames[node.output] = frame
        self.operations += _operations(node)

    def outputs(self) -> list[Value]:
        """Members' values that are read outside the group, in program order."""
        members = set(map(id, self.nodes))
        return [node.output for node in self.nodes if any(id(use.node) not in members for use in node.output.uses)]

    def reads(self, node: Node) -> bool:
        """True when `node` reads a member's value, nested blocks included."""
        return any(value in self.frames for inner in node.walk() for value in _read_values(inner))


def _operations(node: Node) -> int:
    operator = operator_of(node)
    if operator is None or not isinstance(operator.lowering, Pointwise):
        return 0
    assert isinstance(node.output.type, TensorType) and node.output.type.dtype is not None
    return operations(element_expression(operator, [abstract(value) for value in node.inputs], node.output.type.dtype))


def _read_values(node: Node) -> list[Value]:
    values = list(node.inputs)
    for block in node.blocks:
        values.extend(block.outputs)
    return values


def start(node: Node, is_product: bool = False) -> Group | None:
    """A new group with `node` as its first member; None when the node is not of the fusible kind."""
    operator = operator_of(node)
    if operator is None or len(node.outputs) != 1 or not isinstance(node.output.type, TensorType):
        return None
    if isinstance(operator.lowering, Pointwise) or is_product:
        group = Group(_shape(node.output), root=node if is_product else None)
        group.add(node, FULL)
        return group
    if not isinstance(operator.lowering, Reduction):
        return None
    source = reduced_operand(node)
    group = Group(_shape(source))
    axes, kept = reduction_axes(node, operator)
    group.axes = axes
    group.add(node, ROW_KEPT if kept else ROW_DROPPED)
    return group


def explain(group: Group, node: Node) -> str:
    """Why a member of a group could join it."""
    operator = operator_of(node)
    if operator is not None and isinstance(operator.lowering, Reduction):
        return f"it reduces dimensions {', '.join(map(str, group.axes or ()))} of the same elements"
    if group.frames[node.output] == FULL:
        return "it works on the same elements"
    return "it works on what is left of reduced dimensions"


def join(group: Group, node: Node) -> str | None:
    """Add `node` to the group. Returns None when it fits, else the reason why it does not."""
    operator = operator_of(node)
    if operator is None or len(node.outputs) != 1 or not isinstance(node.output.type, TensorType):
        return "not an operator with one tensor result"
    if isinstance(operator.lowering, Pointwise):
        return _join_pointwise(group, node)
    if isinstance(operator.lowering, Reduction):
        return _join_reduction(group, node, operator)
    return f"{operator.name} is neither pointwise nor a reduction"


def _join_pointwise(group: Group, node: Node) -> str | None:
    shape = _shape(node.output)
    frames = {group.frames[value] for value in node.inputs if value in group.frames}
    if group.is_long:
        return f"there are {group.operations} operations on every element already"
    if group.root is not None and not frames:
        return "it does not use the product before it"
    if shape == group.domain and not frames & {ROW_DROPPED, PART}:
        group.add(node, FULL)
        return None
    if group.part and shape == (group.domain[0], group.part) and frames == {PART}:
        group.add(node, PART)
        return None
    if group.axes is None:
        return f"its shape {_text(shape)} is not the group's {_text(group.domain)}"
    if shape == group.kept_shape and frames == {ROW_KEPT}:
        group.add(node, ROW_KEPT)
        return None
    if shape == group.dropped_shape and frames == {ROW_DROPPED}:
        group.add(node, ROW_DROPPED)
        return None
    return f"its shape {_text(shape)} is neither the group's domain {_text(group.domain)} nor that of its rows"


def part_of(group: Group, node: Node) -> tuple[int, int] | None:
    """The width and the number of the part that a slice takes of a product's columns; None for other nodes."""
    operator = operator_of(node)
    if group.root is None or operator is None or not isinstance(operator.lowering, Layout) or len(group.domain) != 2:
        return None
    if group.frames.get(node.inputs[0]) != FULL:
        return None
    rows, columns = group.domain
    arguments = [abstract(value) for value in node.inputs[1:]]
    placed = operator.lowering.function(group.domain, (columns, 1), 0, *arguments)
    if placed is None or len(placed[0]) != 2:
        return None
    (taken, width), strides, first = placed
    if taken != rows or tuple(strides) != (columns, 1) or not all(isinstance(x, int) for x in (columns, width, first)):
        return None
    assert isinstance(columns, int) and isinstance(width, int) and isinstance(first, int)
    if not 0 < width < columns or columns % width or first % width or group.part not in (0, width):
        return None
    return width, first // width


def add_part(group: Group, node: Node, width: int, place: int) -> None:
    """Take in a slice that `part_of` has recognised."""
    group.part = width
    group.places[node.output] = place
    group.add(node, PART)


def joins_parts(group: Group, node: Node) -> bool:
    """Add a pointwise operator on parts of a product, however small they are; False for other nodes."""
    operator = operator_of(node)
    if operator is None or not isinstance(operator.lowering, Pointwise) or operator.may_fail or len(node.outputs) != 1:
        return False
    if not group.part or not isinstance(node.output.type, TensorType):
        return False
    return group.reads(node) and _join_pointwise(group, node) is None


def joins_rows(group: Group, node: Node) -> bool:
    """Add a pointwise operator on what a group reduces, however small that is: what follows over the whole domain then
    finds a row where it has just been. False for other nodes."""
    operator = operator_of(node)
    if operator is None or not isinstance(operator.lowering, Pointwise) or operator.may_fail or len(node.outputs) != 1:
        return False
    if group.axes is None or not isinstance(node.output.type, TensorType):
        return False
    return group.reads(node) and _join_pointwise(group, node) is None


def _join_reduction(group: Group, node: Node, operator: Operator) -> str | None:
    if group.root is not None:
        return "a product keeps only pointwise operators behind it"
    source = reduced_operand(node)
    axes, kept = reduction_axes(node, operator)
    if _shape(source) != group.domain or group.frames.get(source, FULL) != FULL:
        return "it reduces another shape"
    if group.axes is not None and group.axes != axes:
        return "it reduces other dimensions than the group"
    group.axes = axes
    group.add(node, ROW_KEPT if kept else ROW_DROPPED)
    return None


def reduced_operand(node: Node) -> Value:
    """The tensor that a reduction reduces: its first input."""
    return node.inputs[0]


def reduction_axes(node: Node, operator: Operator) -> tuple[tuple[int, ...], bool]:
    """The reduced dimensions, counted from the front and ascending, and whether they stay as extents of 1."""
    rank = len(_shape(reduced_operand(node)))
    positions = operator.schema.positions
    dims = abstract(node.inputs[positions["dim"]]) if "dim" in positions else None
    kept = abstract(node.inputs[positions["keepdim"]]) if "keepdim" in positions else False
    return tuple(sorted(normalize_dims(dims, rank))) if rank else (), bool(kept)


def _shape(value: Value) -> tuple[Dim, ...]:
    assert isinstance(value.type, TensorType) and value.type.shape is not None
    return value.type.shape


def _text(shape: tuple[Dim, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
