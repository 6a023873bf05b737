"""The pass `first-turns`.

%k, %x = prim::Loop(%n, True, %empty, %prompt)         %k1, %x1 = the first turn, of %empty and %prompt
  block0(%i, %k0, %x0):                           =>   %k, %x = prim::Loop(%n - 1, True, %k1, %x1)
    -> (True, cat(%k0, %x0), last(%x0))                  block0(%j, %k0, %x0):
                                                           -> (True, cat(%k0, %x0), last(%x0))

where the first turn settles what the others carry: a rank, an element type, whether there is a value. A loop that need
not have a turn stands in a branch with its first one. Where it is certain after every turn that there is another one,
or none, as in a loop that gives a tensor more and more dimensions, a few turns are written out before it settles.
Whether it helps is tried on a copy of the graph.
"""

from __future__ import annotations

from optc import pipeline
from optc.ir.dims import add, fresh
from optc.ir.graph import Graph, Node, Value
from optc.ir.symbols import equate, introduced_symbols
from optc.ir.types import DictType, IntType, ListType, OptionalType, TensorType, TupleType, Type
from optc.ops.builder import Builder
from optc.passes.loop_invariant_hoisting import runs_at_least_once
from optc.passes.loop_unrolling import insert_turn
from optc.pipeline import Context, graph_pass

_ENDLESS = 2**62
"""Loops that may have as many turns as this go on while a condition holds: nobody counts their turns."""
_MOST_TURNS = 8
_WORTH_A_TURN = 1.25


@graph_pass(
    "first-turns",
    functional=True,
    after={
        "infer-shapes": "it says what a loop carries",
        "loop-unrolling": "short loops need no first turn of their own",
    },
)
def first_turns(graph: Graph, *, context: Context, nodes: int = 2048) -> bool:
    """Write out the first turn of loops where more is known of what the others carry than of what it begins with."""
    for number, loop in enumerate(_loops(graph)):
        size = sum(1 for _ in loop.blocks[0].walk())
        if size > nodes or _is_over(loop) or not any(map(_is_open, _values_in(loop))):
            continue
        if _helps(graph, number, context):
            _write_first_turn(loop)
            return True
    return False


def _loops(graph: Graph) -> list[Node]:
    return [node for node in graph.walk() if node.kind == "prim::Loop"]


def _is_over(loop: Node) -> bool:
    """True for a loop that certainly has no turn; unrolling takes it away."""
    begins = loop.inputs[1]
    return begins.is_constant and begins.constant is False


def _helps(graph: Graph, number: int, context: Context) -> bool:
    """True where fewer values are open once the first turn of a loop is written out, or the first few certain ones."""
    trial = graph.copy()
    loop = _loops(trial)[number]
    before = _open_in(loop)
    for _ in range(_MOST_TURNS):
        was_certain = runs_at_least_once(loop)
        _write_first_turn(loop)
        pipeline.run(trial, "infer-shapes", context=context, keep_graphs=False)
        if not was_certain and not _is_settled(_open_in(loop), before):
            return False  # nothing that it carries is known any better, which is what other passes would go by
        pipeline.run(trial, "simplify", context=context, keep_graphs=False)
        if _is_settled(_open_in(loop), before) and _count_open(trial) < _count_open(graph):
            return True
        if loop.owner is None or not runs_at_least_once(loop):
            return False
    return False


def _open_in(loop: Node) -> tuple[int, int]:
    """How many values are open that a loop carries, and in its turns."""
    if loop.owner is None or _is_over(loop):
        return 0, 0
    return sum(map(_is_open, loop.blocks[0].inputs)), sum(map(_is_open, _values_in(loop)))


def _is_settled(now: tuple[int, int], before: tuple[int, int]) -> bool:
    """True where a turn of its own was worth it: it settles something that the others carry, or much of what they do.

    Each costs a copy of the loop's turn, and what only leaves the loop is no matter of its turns.
    """
    return now[0] < before[0] or now[1] * _WORTH_A_TURN <= before[1]


def _count_open(graph: Graph) -> int:
    return sum(map(_is_open, graph.values()))


def _values_in(loop: Node) -> list[Value]:
    body = loop.blocks[0]
    return [*body.inputs, *(value for node in body.walk() for value in node.outputs)]


def _is_open(value: Value) -> bool:
    return _is_open_type(value.type)


def _is_open_type(type_: Type) -> bool:
    """True for what native code cannot hold as long as nobody knows more."""
    if isinstance(type_, TensorType):
        return not type_.is_typed
    if isinstance(type_, ListType):
        return _is_open_type(type_.element)
    if isinstance(type_, TupleType):
        return any(map(_is_open_type, type_.elements))
    return isinstance(type_, OptionalType | DictType)


# The first turn ------------------------------------------------------------------------------------------------------


def _write_first_turn(loop: Node) -> None:
    if not runs_at_least_once(loop):
        _put_into_branch(loop)
    results = insert_turn(loop, introduced_symbols(loop.blocks[0]), 0, list(loop.inputs[2:]))
    with loop.graph.inserting(loop):
        left = _one_less(Builder(loop.graph), loop.inputs[0])
    loop.set_inputs([left, *results])
    _count_from_one(loop)


def _put_into_branch(loop: Node) -> None:
    """Let a branch ask whether a loop has a turn: where it has none, it gives what it begins with."""
    graph, (turns, begins, *starts) = loop.graph, loop.inputs
    with graph.inserting(loop):
        b = Builder(graph)
        some = b("aten::gt.int", turns, 0)
        is_certain = begins.is_constant and begins.constant is True
        asked = some if is_certain else b("aten::__and__.bool", some, begins)
        branch = graph.insert("prim::If", [asked])
    first, none = branch.add_block(), branch.add_block()
    for output, start in zip(loop.outputs, starts):
        output.replace_all_uses_with(branch.add_output(output.type, output.name))
        first.add_output(output)
        none.add_output(start)
    loop.move_before(first.return_node)


def _one_less(b: Builder, turns: Value) -> Value:
    if turns.is_constant:
        return turns if turns.constant > _ENDLESS else b.value(turns.constant - 1)
    left: Value = b("aten::sub.int", turns, 1)
    return left


def _count_from_one(loop: Node) -> None:
    """The turns that are left have the numbers from 1."""
    graph, body = loop.graph, loop.blocks[0]
    counter = body.inputs[0]
    before = counter.type.dim if isinstance(counter.type, IntType) else None
    turn = fresh()
    counter.type = IntType(turn)
    uses = list(counter.uses)
    with graph.inserting(next(body.nodes, body.return_node)):
        number = Builder(graph)("aten::add.int", counter, 1)
    for use in uses:
        use.node.set_input(use.slot, number)
    if before is not None:
        equate(graph, {str(before): add(turn, 1)})
