"""How Python calls a native program: parameters with names and defaults, containers, state. What the entry is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from optc.codegen.entry.signature import (
    REQUIRED,
    Argument,
    Constant,
    EntryPoint,
    InputSpec,
    InputTree,
    Kind,
    NamedItems,
    OutputSpec,
    OutputTree,
    Signature,
    State,
    Update,
)
from optc.ir.function import ScriptObject
from optc.ir.optimized import Held, Kept, OptimizedProgram, Slot
from optc.ir.schema import Argument as Parameter
from optc.ir.structure import Structure, tuple_class
from optc.ir.types import BOOL, FLOAT, NONE, IntType, ListType, TensorType, TupleType, Type

_ELEMENTS: dict[Type, Kind] = {FLOAT: "float", BOOL: "bool"}

# What the entry compares: keys whose comparison runs no code of somebody else's.
_KEYS = (str, int, float, bool)


def with_python_form(
    point: EntryPoint, program: OptimizedProgram, parameters: Sequence[Parameter]
) -> EntryPoint | None:
    """The entry point of the leaves (arguments, then state) as one that is called like the program itself.

    None when only the slow path can take or build what the program does: results that may be None, objects, lists as
    state, dictionaries with keys that are neither text nor numbers.
    """
    signature, results = point.signature, point.signature.outputs
    assert isinstance(results, tuple)
    if any(
        isinstance(spec, InputSpec | OutputSpec) and spec.kind == "object" for spec in (*signature.inputs, *results)
    ):
        return None
    tree = output_tree(results, program.output_structure)
    count = sum(structure.leaf_count for structure in program.input_structures)
    leaves = iter(signature.inputs[:count])
    forms = [_form(structure, leaves) for structure in program.input_structures]
    shown = [form for form in forms if form is not None]
    if tree is None or len(shown) != len(forms):
        return None
    arguments = tuple(
        Argument(form, parameter.name, parameter.default if parameter.has_default else REQUIRED)
        for form, parameter in zip(shown, parameters, strict=True)
    )
    held = [slot for slot in program.state if slot.owner is not None]
    if not all(_is_whole(kept) for kept in program.kept):
        return None
    states = {id(slot): _state(slot, spec) for slot, spec in zip(held, signature.inputs[count:], strict=True)}
    visible = 1 if program.output_structure is None else program.output_structure.leaf_count
    hidden = [spec for spec in results[visible:] if isinstance(spec, OutputSpec)]
    if len(hidden) != len(results) - visible:
        return None
    written = [slot for slot in program.state if slot.output is not None]
    updates = [_update(slot, visible, states.get(id(slot)), signature) for slot in written]
    for kept in program.kept:
        if kept.output is not None:
            (state,) = [state for state in states.values() if _is_state_of(state, kept)]
            updates.append(Update(kept.output - visible, state=state))
    inputs = (*(spec for form in shown for spec in _specs(form)), *signature.inputs[count:])
    return replace(
        point, signature=replace(signature, inputs=inputs, outputs=tree, hidden=tuple(hidden)), arguments=arguments,
        state=tuple(states.values()), updates=tuple(updates),
    )  # fmt: skip


def output_tree(leaves: OutputTree, structure: Structure | None) -> OutputTree | None:
    """The results put together as the program returns them; None when the entry cannot (what may be None)."""
    assert isinstance(leaves, tuple)
    if structure is None:
        return leaves[0] if len(leaves) == 1 else None
    return _tree(iter(leaves), structure)


def _tree(leaves: Iterator[OutputTree], structure: Structure) -> OutputTree | None:
    if structure.kind == "leaf":
        return next(leaves)
    if structure.kind == "rows":
        return _list_of_rows(next(leaves), structure.type)
    if structure.kind == "none":
        return Constant(None)
    items = [_tree(leaves, item) for item in structure.items]
    present = [item for item in items if item is not None]
    type_ = structure.type
    if structure.kind in ("optional", "zipped") or len(present) != len(items) or not present:
        return None
    if structure.kind == "dict":
        return dict(zip(structure.keys, present))
    if isinstance(type_, TupleType) and type_.fields and type_.name is not None:
        return NamedItems(tuple_class(type_), tuple(present))
    return present if structure.kind == "list" else tuple(present)


def _list_of_rows(tensor: OutputTree, type_: Type | None) -> OutputTree | None:
    """None for lists in lists."""
    assert isinstance(type_, ListType)
    element = type_.element
    kind: Kind | None = "int" if isinstance(element, IntType) else _ELEMENTS.get(element)
    kind = "tensor" if isinstance(element, TensorType) else kind
    return replace(tensor, rows=kind) if isinstance(tensor, OutputSpec) and kind is not None else None


def _form(structure: Structure, leaves: Iterator[InputSpec]) -> InputTree | None:
    """What may be passed for a parameter; takes its leaves from `leaves` in any case."""
    if structure.kind == "leaf":
        spec = next(leaves)
        fixed = structure.type.dim if isinstance(structure.type, IntType) else None
        return replace(spec, value=fixed) if isinstance(fixed, int) else spec if fixed is None else None
    if structure.kind in ("none", "text"):
        return Constant(structure.keys[0] if structure.keys else None)
    items = [_form(item, leaves) for item in structure.items]
    present = [item for item in items if item is not None]
    if len(present) != len(items):
        return None
    if structure.kind == "dict":
        return dict(zip(structure.keys, present)) if all(type(key) in _KEYS for key in structure.keys) else None
    return present if structure.kind == "list" else tuple(present)


def _specs(form: InputTree) -> Iterator[InputSpec]:
    """The leaves of what may be passed, in order; those of numbers that must have one value say so."""
    if isinstance(form, InputSpec):
        yield form
    elif not isinstance(form, Constant):
        for item in form.values() if isinstance(form, dict) else form:
            yield from _specs(item)


def _is_whole(kept: Kept) -> bool:
    """True where an attribute holds one tensor or number before and after, and not that of a buffer."""
    is_simple = not isinstance(kept.given, tuple | list | dict | Held) and kept.given is not NONE
    return is_simple and (kept.output is None or kept.structure.kind == "leaf" and kept.buffers == (None,))


def _is_state_of(state: State, kept: Kept) -> bool:
    return state.holder is kept.owner.values and state.name == kept.name


def _state(slot: Slot, spec: InputSpec) -> State:
    assert isinstance(slot.owner, ScriptObject)
    return State(spec, slot.owner.values, slot.name)


def _update(slot: Slot, visible: int, state: State | None, signature: Signature) -> Update:
    assert slot.output is not None
    if slot.kind == "attribute" and state is not None:
        return Update(slot.output - visible, state=state)
    return Update(slot.output - visible, input=slot.input)
