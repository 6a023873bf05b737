"""The pass `canonicalize`: one form for what can be written in several ways.

`RULES` are equations (see `optc.rewrite`), valid for floats with nan, inf and -0.0. What is no equation between
expressions (constants go right, values that loops carry for nothing) is done by the small functions below them. No
rule makes the program slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from optc.ir.dims import Dim
from optc.ir.graph import Graph, Node, Value
from optc.ir.types import NONE, IntType, OptionalType, TensorType
from optc.ops.promotion import compute_type
from optc.ops.registry import Operator, Pointwise, operator_of
from optc.passes.type_questions import answer_type, belongs
from optc.pipeline import graph_pass
from optc.rewrite import (
    Anything,
    Call,
    Computed,
    Dims,
    Int,
    Ints,
    Match,
    Number,
    Pair,
    RuleSet,
    Tensor,
    apply_rules,
    aten,
    is_default,
    rule,
)

RULES = RuleSet("canonicalize")
BOOLS = ("bool", (2, 3))
INTS = ("int64", (2, 3))


@graph_pass(
    "canonicalize",
    functional=True,
    after={"infer-shapes": "rules compare element types and dimensions"},
)
def canonicalize(graph: Graph) -> bool:
    """Simplify by equations, put constants right, and drop what loops carry for nothing."""
    changed = False
    while _simplify(graph) or apply_rules(graph, RULES):
        changed = True
    return changed


@rule(RULES, examples=[{"x": (2, 3)}, {"x": INTS}])
def multiply_by_one(x: Tensor) -> Pair:
    """x * 1 = x"""
    return x * 1, x


@rule(RULES, examples=[{"x": (2, 3)}])
def divide_by_one(x: Tensor) -> Pair:
    """x / 1 = x"""
    return x / 1, x


@rule(RULES, examples=[{"x": (2, 3)}, {"x": INTS}])
def subtract_zero(x: Tensor) -> Pair:
    """x - 0 = x"""
    return x - 0, x


@rule(RULES, examples=[{"x": (2, 3)}])
def add_negative_zero(x: Tensor) -> Pair:
    """x + -0.0 = x  (x + 0.0 would turn -0.0 into 0.0)"""
    return x + -0.0, x


def _is_integer(match: Match) -> bool | str:
    dtype = match.type("x").dtype
    return (dtype is not None and dtype.kind == "int") or "-0.0 + 0 is 0"


@rule(RULES, when=_is_integer, examples=[{"x": INTS}])
def add_zero_to_integer(x: Tensor) -> Pair:
    """x + 0 = x  for integers"""
    return x + 0, x


@rule(RULES, examples=[{"x": (2, 3)}, {"x": INTS}])
def first_power(x: Tensor) -> Pair:
    """x ** 1 = x"""
    return x**1, x


@rule(RULES, examples=[{"x": (2, 3)}, {"x": INTS}])
def second_power(x: Tensor) -> Pair:
    """x ** 2 = x * x"""
    return x**2, x * x


def _has_exact_reciprocal(match: Match) -> bool | str:
    number = float(match.constant("c"))
    if number == 0 or not math.isfinite(number) or math.frexp(abs(number))[0] != 0.5:
        return "1 / c is not exact"
    return 2.0**-14 <= abs(number) <= 2.0**14 or "1 / c may leave the range of small element types"


@rule(RULES, when=_has_exact_reciprocal, examples=[{"x": (2, 3), "c": 4.0}, {"x": (2, 3), "c": -0.5}])
def divide_by_power_of_two(x: Tensor, c: Number) -> Pair:
    """x / 2^k = x * 2^-k"""
    return x / c, x * Computed(lambda match: 1.0 / float(match.constant("c")))


@rule(RULES, examples=[{"x": (2, 3)}, {"x": INTS}])
def negate_twice(x: Tensor) -> Pair:
    """-(-x) = x"""
    return aten.neg(aten.neg(x)), x


@rule(RULES, examples=[{"x": (2, 3), "y": (3,)}, {"x": INTS, "y": INTS}])
def add_negation(x: Tensor, y: Tensor) -> Pair:
    """x + -y = x - y"""
    return x + -y, x - y


@rule(RULES, examples=[{"x": (2, 3), "y": (3,)}, {"x": INTS, "y": INTS}])
def subtract_negation(x: Tensor, y: Tensor) -> Pair:
    """x - -y = x + y"""
    return x - -y, x + y


@rule(RULES, examples=[{"x": (2, 3)}])
def relu_twice(x: Tensor) -> Pair:
    """relu(relu(x)) = relu(x)"""
    return aten.relu(aten.relu(x)), aten.relu(x)


@rule(RULES, examples=[{"x": (2, 3)}, {"x": INTS}])
def abs_twice(x: Tensor) -> Pair:
    """abs(abs(x)) = abs(x)"""
    return aten.abs(aten.abs(x)), aten.abs(x)


@rule(RULES, examples=[{"x": (2, 3)}, {"x": INTS}])
def abs_of_negation(x: Tensor) -> Pair:
    """abs(-x) = abs(x)"""
    return aten.abs(-x), aten.abs(x)


@rule(RULES, examples=[{"x": BOOLS}])
def logical_not_twice(x: Tensor) -> Pair:
    """not (not x) = x  for bools"""
    return aten.logical_not(aten.logical_not(x)), x


@rule(RULES, examples=[{"x": BOOLS}, {"x": INTS}])
def bitwise_not_twice(x: Tensor) -> Pair:
    """~~x = x"""
    return aten.bitwise_not(aten.bitwise_not(x)), x


@rule(RULES, examples=[{"c": BOOLS, "x": (2, 3)}])
def where_same(c: Tensor, x: Tensor) -> Pair:
    """where(c, x, x) = x"""
    return aten.where(c, x, x), x


@rule(RULES, examples=[{"c": BOOLS, "x": (2, 3), "y": (3,)}])
def where_not(c: Tensor, x: Tensor, y: Tensor) -> Pair:
    """where(not c, x, y) = where(c, y, x)"""
    return aten.where(aten.logical_not(c), x, y), aten.where(c, y, x)


@rule(RULES, examples=[{"x": (2, 3)}])
def maximum_same(x: Tensor) -> Pair:
    """maximum(x, x) = x"""
    return aten.maximum(x, x), x


@rule(RULES, examples=[{"x": (2, 3)}])
def minimum_same(x: Tensor) -> Pair:
    """minimum(x, x) = x"""
    return aten.minimum(x, x), x


@rule(RULES, examples=[{"x": (2, 3)}])
def t_twice(x: Tensor) -> Pair:
    """t(t(x)) = x"""
    return aten.t(aten.t(x)), x


def _same_dims(match: Match) -> bool:
    rank = match.type("x").rank or 1
    inner = {match.constant("a") % rank, match.constant("b") % rank}
    return inner == {match.constant("c") % rank, match.constant("d") % rank}


@rule(RULES, when=_same_dims, examples=[{"x": (2, 3, 4), "a": 0, "b": 2, "c": -1, "d": 0}])
def transpose_twice(x: Tensor, a: Int, b: Int, c: Int, d: Int) -> Pair:
    """transpose(transpose(x, a, b), a, b) = x"""
    return aten.transpose(aten.transpose(x, a, b), c, d), x


@rule(
    RULES,
    when=lambda match: (match.constant("a") - match.constant("b")) % (match.type("x").rank or 1) == 0,
    examples=[{"x": (2, 3), "a": 1, "b": -1}],
)
def transpose_same(x: Tensor, a: Int, b: Int) -> Pair:
    """transpose(x, a, a) = x"""
    return aten.transpose(x, a, b), x


def _composed(match: Match) -> list[int]:
    inner, outer = match.constant("a"), match.constant("b")
    return [inner[place % len(inner)] % len(inner) for place in outer]


@rule(RULES, examples=[{"x": (2, 3, 4), "a": [2, 0, 1], "b": [0, 2, 1]}])
def permute_twice(x: Tensor, a: Ints, b: Ints) -> Pair:
    """permute(permute(x, a), b) = permute(x, a[b])"""
    return aten.permute(aten.permute(x, a), b), aten.permute(x, Computed(_composed))


def _is_identity(match: Match) -> bool:
    dims = match.constant("a")
    return [dim % len(dims) for dim in dims] == list(range(len(dims)))


@rule(RULES, when=_is_identity, examples=[{"x": (2, 3), "a": [0, -1]}])
def permute_nothing(x: Tensor, a: Ints) -> Pair:
    """permute(x, [0, 1, ...]) = x"""
    return aten.permute(x, a), x


@rule(RULES, examples=[{"x": (2, 3), "rest": [6]}])
def convert_nothing(x: Tensor) -> Pair:
    """to(x, the type it has) = x"""
    return aten.to(x, ...), x


@rule(RULES, examples=[{"x": (2, 3)}])
def contiguous_value(x: Tensor) -> Pair:
    """contiguous(x) = x"""
    return aten.contiguous(x, ...), x


@rule(RULES, examples=[{"x": (2, 3)}])
def clone_value(x: Tensor) -> Pair:
    """clone(x) = x"""
    return aten.clone(x, ...), x


@rule(RULES, examples=[{"x": (2, 3)}])
def detach_value(x: Tensor) -> Pair:
    """detach(x) = x"""
    return aten.detach(x), x


@rule(RULES, examples=[{"x": (2, 3)}])
def detached_value(x: Tensor) -> Pair:
    """detach_(x) = x"""
    return aten.detach_(x), x


def _may_require_gradients(match: Match) -> bool | str:
    dtype = match.type("x").dtype
    return (dtype is not None and dtype.kind in ("float", "complex")) or "integers refuse gradients"


@rule(RULES, when=_may_require_gradients, examples=[{"x": (2, 3)}])
def value_with_gradient(x: Tensor) -> Pair:
    """requires_grad_(x) = x"""
    return aten.requires_grad_(x, ...), x


@rule(RULES, examples=[{"x": (2, 3)}])
def alias_value(x: Tensor) -> Pair:
    """alias(x) = x"""
    return aten.alias(x), x


@rule(RULES, examples=[{"x": (2, 3)}])
def data_value(x: Tensor) -> Pair:
    """x.data = x"""
    return Call("prim::data", (x,)), x


@rule(RULES, examples=[{"x": (2, 3)}])
def positive_value(x: Tensor) -> Pair:
    """+x = x"""
    return aten.positive(x), x


@rule(RULES, examples=[{"x": (2, 3), "rest": [[2, 3]]}])
def expand_nothing(x: Tensor) -> Pair:
    """expand(x, its sizes) = x"""
    return aten.expand(x, ...), x


@rule(RULES, examples=[{"x": (2, 1), "rest": [[2, 3]], "sizes": [4, 2, 3]}])
def expand_twice(x: Tensor, sizes: Dims) -> Pair:
    """expand(expand(x, a), b) = expand(x, b)"""
    return aten.expand(aten.expand(x, ...), sizes), aten.expand(x, sizes)


@rule(RULES, examples=[{"x": (2, 3), "rest": [[2, -1]]}])
def view_nothing(x: Tensor) -> Pair:
    """view(x, its sizes) = x"""
    return aten.view(x, ...), x


@rule(RULES, examples=[{"x": (2, 3), "rest": [[2, -1]]}])
def reshape_nothing(x: Tensor) -> Pair:
    """reshape(x, its sizes) = x"""
    return aten.reshape(x, ...), x


@rule(RULES, examples=[{"x": (2, 3), "rest": [[6]], "sizes": [3, 2]}])
def view_twice(x: Tensor, sizes: Dims) -> Pair:
    """view(view(x, a), b) = view(x, b)"""
    return aten.view(aten.view(x, ...), sizes), aten.view(x, sizes)


@rule(RULES, examples=[{"x": (2, 3), "rest": [[6]], "sizes": [3, 2]}])
def reshape_twice(x: Tensor, sizes: Dims) -> Pair:
    """reshape(reshape(x, a), b) = reshape(x, b)"""
    return aten.reshape(aten.reshape(x, ...), sizes), aten.reshape(x, sizes)


@rule(RULES, examples=[{"x": (2, 3), "rest": [[6]], "sizes": [3, 2]}])
def reshape_of_view(x: Tensor, sizes: Dims) -> Pair:
    """reshape(view(x, a), b) = reshape(x, b)"""
    return aten.reshape(aten.view(x, ...), sizes), aten.reshape(x, sizes)


@rule(RULES, examples=[{"x": (6,), "rest": [0]}])
def flatten_nothing(x: Tensor) -> Pair:
    """flatten(x) = x  where there is nothing to flatten"""
    return aten.flatten(x, ...), x


@rule(RULES, examples=[{"x": (2, 3), "rest": []}])
def squeeze_nothing(x: Tensor) -> Pair:
    """squeeze(x) = x  where no dimension goes away"""
    return aten.squeeze(x, ...), x


@rule(RULES, examples=[{"x": (2, 3), "a": 1, "b": 1}, {"x": (2, 3), "a": -1, "b": 2}])
def squeeze_of_unsqueeze(x: Tensor, a: Int, b: Int) -> Pair:
    """squeeze(unsqueeze(x, a), a) = x"""
    return aten.squeeze(aten.unsqueeze(x, a), b), x


@rule(RULES, examples=[{"x": (2, 3), "rest": [0, 0, 2, 1]}])
def slice_everything(x: Tensor) -> Pair:
    """x[:] = x"""
    return aten.slice(x, ...), x


@rule(RULES, examples=[{"x": (2, 3), "p": 0.5}])
def dropout_in_evaluation(x: Tensor, p: Anything) -> Pair:
    """dropout(x, p, train=False) = x"""
    return aten.dropout(x, p, False), x


@rule(RULES, examples=[{"x": (2, 3), "y": (2, 3)}])
def store_same_type(x: Tensor, y: Tensor) -> Pair:
    """storing a result of the argument's own type leaves the result"""
    return Call("prim::StoreResult", (x, y)), y


@rule(RULES, examples=[{"x": (2, 3), "y": (2, 3)}])
def copy_same_type(x: Tensor, y: Tensor) -> Pair:
    """copy(x, y) = y  where they have one type and shape"""
    return aten.copy(x, y, ...), y


@rule(RULES, examples=[{"x": (2, 3), "y": (3,), "d": 0, "i": 1}])
def select_what_was_stored(x: Tensor, y: Tensor, d: Anything, i: Anything) -> Pair:
    """select(select_scatter(x, y, d, i), d, i) = y"""
    return aten.select(aten.select_scatter(x, y, d, i), d, i), y


@rule(RULES, examples=[{"x": (2, 3), "d": 0, "i": 1}])
def store_what_was_selected(x: Tensor, d: Anything, i: Anything) -> Pair:
    """select_scatter(x, select(x, d, i), d, i) = x"""
    return aten.select_scatter(x, aten.select(x, d, i), d, i), x


@rule(RULES, examples=[{"x": (4, 3), "y": (2, 3), "d": 0, "a": 1, "b": 3, "c": 1}])
def slice_what_was_stored(x: Tensor, y: Tensor, d: Anything, a: Anything, b: Anything, c: Anything) -> Pair:
    """slice(slice_scatter(x, y, d, a, b, c), d, a, b, c) = y"""
    return aten.slice(aten.slice_scatter(x, y, d, a, b, c), d, a, b, c), y


@rule(RULES, examples=[{"x": (4, 3), "d": 0, "a": 1, "b": 3, "c": 1}])
def store_what_was_sliced(x: Tensor, d: Anything, a: Anything, b: Anything, c: Anything) -> Pair:
    """slice_scatter(x, slice(x, d, a, b, c), d, a, b, c) = x"""
    return aten.slice_scatter(x, aten.slice(x, d, a, b, c), d, a, b, c), x


def _simplify(graph: Graph) -> bool:
    changed = False
    for node in graph.walk():
        if node.owner is None:
            continue
        simplify = _SIMPLIFIERS.get(node.kind, _constants_right)
        changed |= simplify(graph, node)
    return changed


def _constants_right(graph: Graph, node: Node) -> bool:
    """f(constant, x) = f(x, constant) for commutative f."""
    operator = operator_of(node)
    if operator is None or not operator.commutative or len(node.inputs) < 2:
        return False
    first, second = node.inputs[:2]
    tensors = isinstance(first.type, TensorType) and isinstance(second.type, TensorType)
    rest = zip(operator.schema.arguments[2:], node.inputs[2:])
    if not first.is_constant or second.is_constant or not (tensors or first.type == second.type):
        return False
    if not all(is_default(value, argument) for argument, value in rest) or _rounds_the_first(operator, node):
        return False
    node.set_inputs([second, first, *node.inputs[2:]])
    return True


def _rounds_the_first(operator: Operator, node: Node) -> bool:
    """True where the first operand is rounded to a half, and would not be as the second."""
    lowering, result, first = operator.lowering, node.output.type, node.inputs[0].type
    if not isinstance(lowering, Pointwise) or not isinstance(result, TensorType) or not isinstance(first, TensorType):
        return False
    halves = result.dtype is not None and compute_type(result.dtype) is not result.dtype
    return bool(lowering.exact) and halves and first.dtype is not result.dtype


def _replace(node: Node, value: Value) -> bool:
    node.output.replace_all_uses_with(value)
    node.destroy()
    return True


def _unwrap(graph: Graph, node: Node) -> bool:
    """Unwrapping what cannot be None changes nothing."""
    source = node.inputs[0]
    if isinstance(source.type, OptionalType) or source.type is NONE:
        return False
    return source.type == node.output.type and _replace(node, source)


def _select_joined(graph: Graph, node: Node) -> bool:
    """select(cat([x, y], d), d, i) is a row of x or of y, which is what was joined where that has only one."""
    source = node.inputs[0]
    rank = len(_shape(source))
    if source.node.kind != "aten::cat" or not rank or not all(value.is_constant for value in node.inputs[1:]):
        return False
    pieces, joining = source.node.inputs
    if pieces.node.kind != "prim::ListConstruct" or not joining.is_constant:
        return False
    dim, index = node.inputs[1:]
    place = dim.constant % rank
    found = _piece(pieces.node.inputs, source, place, index.constant) if joining.constant % rank == place else None
    if found is None:
        return False
    piece, offset = found
    made, direction = piece.node, piece.node.inputs[1:]
    was_row = made.kind == "aten::unsqueeze" and direction[0].is_constant and direction[0].constant % rank == place
    if was_row and made.inputs[0].type == node.output.type:
        return _replace(node, made.inputs[0])
    with graph.inserting(node):
        row = graph.insert_constant(offset, IntType(offset))
        inputs = [piece, dim, row]
        return _replace(node, graph.insert("aten::select", inputs, (node.output.type,), overload="int").output)


def _shape(value: Value) -> tuple[Dim, ...]:
    """The extents of a tensor whose element type is known, else nothing."""
    return value.type.shape or () if isinstance(value.type, TensorType) and value.type.is_typed else ()


def _piece(pieces: Sequence[Value], joined: Value, place: int, offset: int) -> tuple[Value, int] | None:
    """Which of the joined tensors has row `offset`, and which of its rows that is."""
    if not all(_is_like(piece, joined) for piece in pieces):
        return None
    extents = [_shape(piece)[place] for piece in pieces]
    known = [extent for extent in extents if isinstance(extent, int)]
    if offset < 0 and len(known) == len(extents):
        offset += sum(known)
    for piece, extent in zip(pieces, extents):
        if offset < 0 or not isinstance(extent, int):
            return None
        if offset < extent:
            return piece, offset
        offset -= extent
    return None


def _is_like(value: Value, other: Value) -> bool:
    """True for tensors of one element type and rank."""
    same = len(_shape(value)) == len(_shape(other))
    return (
        same
        and isinstance(value.type, TensorType)
        and isinstance(other.type, TensorType)
        and value.type.dtype is other.type.dtype
    )


def _compare_identity(graph: Graph, node: Node) -> bool:
    """x is None, where the type of x tells."""
    first, second = node.inputs
    is_none = belongs(first.type, [NONE])
    if second.type is not NONE or is_none is None:
        return False
    with graph.inserting(node):
        return _replace(node, graph.insert_constant(is_none == (node.kind == "aten::__is__"), node.output.type))


def _carried(graph: Graph, loop: Node) -> bool:
    """What a loop carries without change, or twice, need not be carried."""
    body = loop.blocks[0]
    changed = False
    first: dict[tuple[Value, Value], int] = {}
    for place in range(len(loop.outputs)):
        start, parameter, result = loop.inputs[place + 2], body.inputs[place + 1], body.outputs[place + 1]
        output = loop.outputs[place]
        if result is parameter or result is start:
            changed |= _forward_invariant(start, parameter, output)
            continue
        twin = first.setdefault((start, result), place)
        if twin != place and (parameter.has_uses or output.has_uses):
            parameter.replace_all_uses_with(body.inputs[twin + 1])
            output.replace_all_uses_with(loop.outputs[twin])
            changed = True
    return changed


def _forward_invariant(start: Value, parameter: Value, output: Value) -> bool:
    """The parameter always is the value the loop started with; its own return is the use that stays."""
    uses = [use for use in parameter.uses if use.node is not parameter.node.block.return_node]
    if not uses and not output.has_uses:
        return False
    for use in uses:
        use.node.set_input(use.slot, start)
    output.replace_all_uses_with(start)
    return True


_SIMPLIFIERS: dict[str, Callable[[Graph, Node], bool]] = {
    "aten::select": _select_joined,
    "prim::unchecked_cast": _unwrap,
    "prim::unchecked_unwrap_optional": _unwrap,
    "aten::_unwrap_optional": _unwrap,
    "aten::__is__": _compare_identity,
    "aten::__isnot__": _compare_identity,
    "prim::Loop": _carried,
    "prim::isinstance": answer_type,
}
