"""The named pipelines, and `optimize`: from a captured function to an optimised core graph.

Importing this module registers every pass.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from optc import config, pipeline
from optc.errors import UnsupportedError
from optc.instruments import instruments_from_environment
from optc.ir.function import ClassType, Function, ScriptObject
from optc.ir.graph import Graph, Value
from optc.ir.optimized import Island, OptimizedProgram, Slot
from optc.ir.structure import Structure
from optc.ir.types import TensorType, Type
from optc.passes import (
    addmm_fusion,
    agreeing_ranks,
    branch_simplification,
    canonicalize,
    checked_expansions,
    checked_extents,
    checked_views,
    chosen_items,
    common_subexpressions,
    complex_borders,
    constant_folding,
    container_loops,
    dead_code_elimination,
    decompose,
    draw_order,
    drop_messages,
    empty_lists,
    first_turns,
    flatten_outputs,
    fold_convolutions,
    freeze,
    frozen_simplification,
    functionalize,
    gradient_modes,
    growing_lists,
    handed_lists,
    idle_dropout,
    infer_shapes,
    inline,
    layout,
    list_buffers,
    local_containers,
    loop_batching,
    loop_invariant_hoisting,
    loop_trip_counts,
    loop_unrolling,
    lower_containers,
    lower_tuples,
    nested_questions,
    nested_tensors,
    number_constants,
    object_constants,
    objects_as_tuples,
    outline_islands,
    overlapping_writes,
    own_results,
    ragged_lists,
    returned_arguments,
    scalar_replacement,
    settled_branches,
    settled_memory,
    shapes_in_place,
    simple_changes,
    split_complex,
    split_dictionaries,
    split_lists,
    split_optionals,
    split_quantized,
    strided_rows,
    tensor_lengths,
    unpack_views,
)
from optc.passes.inline import erase_types
from optc.passes.outline_islands import name_of, reason_of
from optc.passes.taken_inputs import Taken, take_in

PASSES = (
    inline, number_constants, simple_changes, lower_tuples, scalar_replacement, objects_as_tuples, gradient_modes,
    nested_questions, freeze, local_containers, settled_branches, tensor_lengths, container_loops, shapes_in_place,
    unpack_views, settled_memory, overlapping_writes, functionalize, returned_arguments, infer_shapes, draw_order,
    nested_tensors, strided_rows, lower_containers, split_dictionaries, handed_lists, empty_lists, chosen_items,
    split_optionals, object_constants, canonicalize, constant_folding, branch_simplification, common_subexpressions,
    dead_code_elimination, split_quantized, agreeing_ranks, loop_trip_counts,
    loop_unrolling, first_turns, checked_views, checked_expansions, checked_extents, split_lists, ragged_lists, growing_lists,
    list_buffers, flatten_outputs, decompose,
    complex_borders, split_complex, layout, loop_invariant_hoisting, loop_batching, addmm_fusion, drop_messages, own_results,
    outline_islands, idle_dropout, frozen_simplification, fold_convolutions,
)  # fmt: skip
"""The modules that declare passes, in the order a program usually meets them."""

pipeline.name_pipeline(
    "capture",
    "inline, number-constants, simple-changes, lower-tuples, scalar-replacement, objects-as-tuples, lower-tuples, "
    "gradient-modes, nested-questions, freeze, scalar-replacement, lower-tuples, "
    "repeat(local-containers, scalar-replacement, settled-branches, tensor-lengths, "
    "repeat(container-loops, lower-tuples, local-containers, scalar-replacement, settled-branches)), "
    "shapes-in-place, unpack-views, settled-memory, overlapping-writes, functionalize, returned-arguments",
)
pipeline.name_pipeline(
    "simplify",
    "repeat(infer-shapes, lower-containers, split-dictionaries, handed-lists, empty-lists, chosen-items, split-optionals, "
    "object-constants, lower-tuples, canonicalize, constant-folding, branch-simplification, common-subexpressions, "
    "dead-code-elimination)",
)
pipeline.name_pipeline(
    "default",
    "capture, infer-shapes, draw-order, simplify, repeat(split-quantized, agreeing-ranks, simplify), "
    "repeat(loop-trip-counts, loop-unrolling, strided-rows, simplify), "
    "repeat(first-turns, simplify, agreeing-ranks, loop-unrolling), repeat(checked-expansions, simplify), "
    "repeat(first-turns, simplify, agreeing-ranks, loop-unrolling), "
    "repeat(nested-tensors, checked-views, simplify), "
    "repeat(split-lists, lower-tuples, ragged-lists, dead-code-elimination), growing-lists, list-buffers, "
    "flatten-outputs, draw-order, repeat(decompose, checked-views, simplify), "
    "repeat(decompose, checked-views, checked-expansions, checked-extents, simplify, agreeing-ranks), list-buffers, "
    "repeat(decompose, checked-views, checked-expansions, checked-extents, simplify, agreeing-ranks), "
    "complex-borders, split-complex, repeat(decompose, simplify), "
    "layout, simplify, loop-invariant-hoisting, loop-batching, "
    "addmm-fusion, simplify, drop-messages, dead-code-elimination, own-results, outline-islands, dead-code-elimination",
)
FROZEN, WITH_ROUNDING = "frozen", "frozen, fold-convolutions, frozen"
"""What `optc.jit.freeze` does to methods, which stay TorchScript; without and with changes of rounding."""
pipeline.name_pipeline(FROZEN, "repeat(settled-branches, lower-tuples, idle-dropout, frozen-simplification)")


def optimize(
    program: Function | Graph,
    self_object: ScriptObject | None = None,
    input_types: Sequence[Any] | None = None,
    *,
    text: str | None = None,
    sharing: Sequence[int] = (),
    open_state: Sequence[tuple[Slot, Type]] = (),
    whole: Collection[tuple[ScriptObject, str]] = (),
    instruments: Sequence[pipeline.Instrument] = (),
) -> OptimizedProgram:
    """Bring a captured function into core form and optimise it; the function itself stays as it is.

    `input_types` has one entry per argument (self excluded): a type (NONE and `Literal` make it a constant), or a list,
    tuple or dictionary of such for arguments that are taken apart; None, for one argument or all, keeps what is
    declared. `text` replaces the default pipeline. `sharing` says for every tensor among the arguments' leaves which
    one of them it is (the first that is the same object); without it, all are different objects. `open_state` has
    types for state that are to say less than what is there now, or which number is there; the containers in the attributes of `whole` are not
    taken apart."""
    function = program if isinstance(program, Function) else None
    known: dict[Any, Type] = {slot.place: type_ for slot, type_ in open_state}
    context = pipeline.Context(self_object, function, whole, known)
    graph = program.graph if isinstance(program, Function) else program
    made = _optimize(graph.copy(), context, input_types, text, sharing, instruments)
    containers = {(kept.owner, kept.name) for kept in context.kept if isinstance(kept.given, list | dict)}
    if made.graph is not None or not containers:
        return made
    context = pipeline.Context(self_object, function, {*whole, *containers}, known)
    again = _optimize(graph.copy(), context, input_types, text, sharing, instruments)
    return made if again.graph is None else again


def _optimize(
    graph: Graph,
    context: pipeline.Context,
    input_types: Sequence[Any] | None,
    text: str | None,
    sharing: Sequence[int],
    instruments: Sequence[pipeline.Instrument],
) -> OptimizedProgram:
    structures = specialize_inputs(graph, input_types, context.narrowed)
    _share_inputs(graph, sharing)
    watching = [*instruments_from_environment(), *instruments]
    records: list[pipeline.PassRecord] = []
    try:
        pipeline.run(graph, text or config.PASSES() or "default", watching, context, records=records)
    except UnsupportedError as error:
        why = [Island(error.message, error.source)]
        return OptimizedProgram(None, records, [], why, structures, kept=context.kept)
    if any(isinstance(value.type, ClassType) for value in graph.inputs):
        # Islands that need the module itself see its state where native code does not keep it: all of it is interpreted.
        why = islands_of(graph) or [Island("the state of an object is needed that native code does not keep", None)]
        return OptimizedProgram(None, records, [], why, structures)
    return OptimizedProgram(
        graph,
        records,
        context.slots,
        islands_of(graph),
        structures,
        context.output_structure,
        context.compares_arguments,
        context.kept,
        context.needs_rows,
    )


def specialize_inputs(
    graph: Graph, input_types: Sequence[Any] | None, narrowed: list[tuple[Value, Type]] | None = None
) -> list[Structure]:
    """Give the graph's inputs the types of a call; nested arguments become one input per leaf.

    `narrowed` gets what stands for arguments that may be something else in another call, and their declared types.
    Raises TypeError when the number of types is not the number of arguments.
    """
    erase_types(graph)
    arguments = [value for value in graph.inputs if not isinstance(value.type, ClassType)]
    given: list[Any] = [value.type for value in arguments] if input_types is None else list(input_types)
    if len(given) != len(arguments):
        raise TypeError(f"the program takes {len(arguments)} arguments, {len(given)} types were given")
    taken = Taken([] if narrowed is None else narrowed)
    return [
        _specialize(graph, value, value.type if type_ is None else type_, taken)
        for value, type_ in zip(arguments, given)
    ]


def _share_inputs(graph: Graph, sharing: Sequence[int]) -> None:
    """Make one value of the inputs that are one tensor."""
    tensors = [value for value in graph.inputs if isinstance(value.type, TensorType)]
    for value, first in zip(tensors, sharing):
        if tensors[first] is not value:
            value.replace_all_uses_with(tensors[first])


def _specialize(graph: Graph, value: Value, given: Any, taken: Taken) -> Structure:
    leaves = taken.leaves = []
    declared = value.type
    with graph.inserting(next(graph.nodes, graph.block.return_node)):
        made, structure = take_in(graph, value.name, given, declared, taken)
    value.replace_all_uses_with(made)
    place = value.offset
    graph.block.param_node.remove_output(place)
    graph.block.param_node.outputs[place:place] = leaves
    for offset, parameter in enumerate(graph.inputs):
        parameter.offset = offset
    return structure


def islands_of(graph: Graph) -> list[Island]:
    """What has no native form in an optimised graph: nodes that stand for islands, and nodes that could be in none."""
    found: list[Island] = []
    for node in graph.walk():
        if node.kind == "prim::Island":
            parts = "; ".join(f"{operator}: {reason}" for operator, reason, _ in node.attributes["parts"])
            found.append(Island(parts, node.source, node))
            continue
        reason = reason_of(node)
        if reason is not None:
            found.append(Island(f"{name_of(node)}: {reason}", node.source, node))
    return found
