"""How Python calls a native program: parameters with names and defaults, containers, state. What the entry is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from optc.codegen.entry.signature import (
    REQUIRED,
    Argument,
    Constant,
    EntryPoint,
    Hidden,
    InputSpec,
    InputTree,
    JoinedLists,
    Keep,
    Kind,
    NamedItems,
    OutputSpec,
    OutputTree,
    State,
    Update,
)
from optc.ir.dims import Symbolic
from optc.ir.function import ScriptObject
from optc.ir.optimized import Held, Kept, OptimizedProgram, Parts, Slot
from optc.ir.schema import Argument as Parameter
from optc.ir.structure import Literal, Structure, class_of_tuples
from optc.ir.types import ANY, BOOL, FLOAT, NONE, IntType, ListType, TensorType, TupleType, Type

_ELEMENTS: dict[Type, Kind] = {FLOAT: "float", BOOL: "bool"}

# What the entry compares: keys whose comparison runs no code of somebody else's.
_KEYS = (str, int, float, bool)


def with_python_form(
    point: EntryPoint, program: OptimizedProgram, parameters: Sequence[Parameter]
) -> EntryPoint | None:
    """The entry point of the leaves (arguments, then state) as one that is called like the program itself.

    None when only the slow path can take or build what the program does: results that may be None, objects,
    dictionaries with keys that are neither text nor numbers, text of bytes that are no characters.
    """
    signature, results = point.signature, point.signature.outputs
    assert isinstance(results, tuple)
    if any(
        isinstance(spec, InputSpec | OutputSpec) and spec.kind == "object" for spec in (*signature.inputs, *results)
    ):
        return None
    if any(isinstance(spec, Constant) and _is_of_bytes(spec.value) for spec in results):
        return None
    tree_of_result = output_tree(results, program.output_structure)
    count = sum(structure.leaf_count for structure in program.input_structures)
    leaves = iter(signature.inputs[:count])
    forms = [_form(structure, leaves) for structure in program.input_structures]
    shown = [form for form in forms if form is not None]
    if tree_of_result is None or len(shown) != len(forms):
        return None
    arguments = tuple(
        Argument(form, parameter.name, parameter.default if parameter.has_default else REQUIRED)
        for form, parameter in zip(shown, parameters, strict=True)
    )
    visible = 1 if program.output_structure is None else program.output_structure.leaf_count
    hidden: dict[int, OutputSpec] = {}
    for place, spec in enumerate(results):
        if place >= visible and isinstance(spec, OutputSpec):
            hidden[place] = spec
    numbers = {place: number for number, place in enumerate(hidden)}
    held = [_of_value(spec, slot.type) for slot, spec in zip(_owned(program), signature.inputs[count:], strict=True)]
    states = held_state(program, held)
    if states is None:
        return None
    updates: list[Update] = []
    keeps: list[Keep] = []
    for slot in program.state:
        last = None if slot.output is None else results[slot.output]
        if isinstance(last, Constant) and slot.kind == "attribute" and slot.owner is not None:
            keeps.append(Keep(states[_place_of(slot)], last))
        elif slot.output in hidden:
            updates.append(_update(slot, numbers, states))
        elif slot.output is not None:
            return None
    for kept in program.kept:
        if kept.output is None:
            continue
        state, given = states[kept.owner, kept.name], results[kept.output : kept.output + kept.count]
        made = _tree(iter(given), kept.structure)
        places = iter([place for place in hidden if kept.output <= place < kept.output + kept.count])
        tree = None if made is None else _hide(made, places, hidden, numbers)
        if isinstance(tree, Hidden) and kept.buffers == (None,) and not kept.in_place:
            updates.append(Update(tree.result, state=state))
        elif tree is None or not _is_placed(kept, hidden.get(kept.output)):
            return None
        else:
            keeps.append(Keep(state, tree, kept.in_place))
    if any(spec.rows == "tensor" for spec in hidden.values()):
        return None
    inputs = (*(spec for form in shown for spec in _specs(form)), *held)
    return replace(
        point, signature=replace(signature, inputs=inputs, outputs=tree_of_result, hidden=tuple(hidden.values())),
        arguments=arguments, state=tuple(states.values()), updates=tuple(updates), keeps=tuple(keeps),
    )  # fmt: skip


def _is_of_bytes(value: object) -> bool:
    """True for text, or something with text in it, where single bytes stand for parts of characters."""
    if isinstance(value, str):
        return any("\udc80" <= character <= "\udcff" for character in value)
    return isinstance(value, list | tuple) and any(map(_is_of_bytes, value))


def _hide(
    tree: OutputTree, places: Iterator[int], hidden: dict[int, OutputSpec], numbers: Mapping[int, int]
) -> OutputTree:
    """What state becomes, made of hidden results; takes note of lists that these are the rows of."""
    if isinstance(tree, OutputSpec):
        place = next(places)
        hidden[place] = tree
        return Hidden(numbers[place])
    if isinstance(tree, NamedItems):
        return NamedItems(tree.kind, tuple(_hide(item, places, hidden, numbers) for item in tree.items))
    if isinstance(tree, JoinedLists):
        return JoinedLists(tuple(_hide(part, places, hidden, numbers) for part in tree.lists), tree.kind)
    if isinstance(tree, dict):
        return {key: _hide(item, places, hidden, numbers) for key, item in tree.items()}
    if isinstance(tree, tuple | list):
        items = [_hide(item, places, hidden, numbers) for item in tree]
        return items if isinstance(tree, list) else tuple(items)
    return tree


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
    if structure.kind == "optional" or len(present) != len(items) or not present:
        return None
    if structure.kind in ("zipped", "ragged"):
        assert isinstance(type_, ListType)
        return JoinedLists(tuple(present), class_of_tuples(type_.element) if structure.kind == "zipped" else None)
    if structure.kind == "dict":
        return dict(zip(structure.keys, present))
    if isinstance(type_, TupleType) and class_of_tuples(type_) is not tuple:
        return NamedItems(class_of_tuples(type_), tuple(present))
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
        is_unknown = isinstance(structure.type, IntType) and isinstance(structure.type.dim, Symbolic)
        return None if is_unknown else _of_value(spec, structure.type)
    if structure.kind in ("none", "text"):
        return Constant(structure.keys[0] if structure.keys else None)
    items = [_form(item, leaves) for item in structure.items]
    present = [item for item in items if item is not None]
    if len(present) != len(items):
        return None
    if structure.kind == "dict":
        return dict(zip(structure.keys, present)) if all(type(key) in _KEYS for key in structure.keys) else None
    return present if structure.kind == "list" else tuple(present)


def _of_value(spec: InputSpec, type_: Type | None) -> InputSpec:
    """A leaf, of one value where its type says so."""
    fixed = type_.dim if isinstance(type_, IntType) else None
    return replace(spec, value=fixed) if isinstance(fixed, int) else spec


def _specs(form: InputTree) -> Iterator[InputSpec]:
    """The leaves of what may be passed, in order; those of numbers that must have one value say so."""
    if isinstance(form, InputSpec):
        yield form
    elif not isinstance(form, Constant):
        for item in form.values() if isinstance(form, dict) else form:
            yield from _specs(item)


Place: TypeAlias = tuple[ScriptObject, str]


def _owned(program: OptimizedProgram) -> list[Slot]:
    """The state that attributes hold, in the order of the inputs behind the arguments."""
    return [slot for slot in program.state if slot.owner is not None]


def held_state(program: OptimizedProgram, specs: Sequence[InputSpec]) -> dict[Place, State] | None:
    """What attributes must hold when a call begins, in the order of the inputs that are made of it.

    None when the native entry cannot tell.
    """
    kept = {(each.owner, each.name): each for each in program.kept if each.given is not ANY}
    groups: dict[Place, list[InputSpec]] = {}
    for slot, spec in zip(_owned(program), specs, strict=True):
        place = _place_of(slot)
        if place in groups and place != next(reversed(groups)):
            return None
        groups.setdefault(place, []).append(spec)
    states: dict[Place, State] = {}
    for owner, name in [*groups, *(place for place in kept if place not in groups)]:
        leaves, known = iter(groups.get((owner, name), ())), kept.get((owner, name))
        form = next(leaves) if known is None else _held_form(known.given, leaves)
        if form is None or next(leaves, None) is not None:
            return None
        states[owner, name] = State(form, owner.values, name)
    return states


def _place_of(slot: Slot) -> Place:
    """The attribute that a slot is, or is in."""
    if isinstance(slot.owner, Parts):
        return slot.owner.owner, slot.owner.name
    assert slot.owner is not None
    return slot.owner, str(slot.name)


def _held_form(given: Any, leaves: Iterator[InputSpec]) -> InputTree | None:
    """What an attribute must hold; takes its leaves from `leaves`. Lists that must be equal are compared in Python."""
    if isinstance(given, Literal):
        return Constant(given.value)
    if isinstance(given, Held):
        return None if isinstance(given.value, list | tuple) else Constant(given.value)
    if given is NONE:
        return Constant(None)
    if not isinstance(given, tuple | list | dict):
        return next(leaves, None)
    items = [_held_form(item, leaves) for item in (given.values() if isinstance(given, dict) else given)]
    present = [item for item in items if item is not None]
    if len(present) != len(items):
        return None
    if isinstance(given, dict):
        return dict(zip(given, present)) if all(type(key) in _KEYS for key in given) else None
    return present if isinstance(given, list) else tuple(present)


def _is_placed(kept: Kept, first: OutputSpec | None) -> bool:
    """True where the entry may put a container together: no tensor in it stays the same object, and a list or
    dictionary that stays has as many items as before, so that nothing can fail. `first` is its first leaf."""
    if any(number is not None for number in kept.buffers):
        return False
    structure, given = kept.structure, kept.given
    if not kept.in_place:
        return True
    if structure.kind == "rows":
        return first is not None and isinstance(given, list) and first.dims[:1] == (len(given),)
    if isinstance(given, dict):
        return structure.kind == "dict" and structure.keys == tuple(given)
    return structure.kind == "list" and len(structure.items) == len(given)


def _update(slot: Slot, numbers: Mapping[int, int], states: Mapping[Place, State]) -> Update:
    assert slot.output is not None
    number = numbers[slot.output]
    if slot.kind == "attribute" and slot.owner is not None:
        return Update(number, state=states[_place_of(slot)])
    return Update(number, input=slot.input)
