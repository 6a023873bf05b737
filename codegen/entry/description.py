"""From an entry point to the description that the native entry's code reads."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import field
from itertools import accumulate

from optc.codegen.entry.calculation import Calculation
from optc.codegen.entry.layout import (
    ANY,
    BINDS,
    CONTAINER_KINDS,
    DESCRIPTION,
    EXACT,
    FAMILIES,
    FOLLOWS,
    INPUT_KINDS,
    JOIN_KINDS,
    OUTPUT,
    OUTPUT_KINDS,
    PART_KINDS,
    ROW_KINDS,
    SAME,
    SCRATCH,
    SOURCES,
    TARGETS,
    UPDATE_KINDS,
    rows,
)
from optc.codegen.entry.python_layout import slot_offset, weak_offset
from optc.codegen.entry.signature import (
    REQUIRED,
    Constant,
    Dim,
    EntryPoint,
    Hidden,
    InputSpec,
    InputTree,
    JoinedLists,
    NamedItems,
    OutputSpec,
    OutputTree,
    Passthrough,
    ResultDim,
    branches,
    numpy_dtype,
)
from optc.dataclass import dataclass

# DLPack's codes of element types: kind, bits.
_EXCHANGE_KINDS = {"i": 0, "u": 1, "f": 2, "V": 4, "c": 5, "b": 6}

_PART_CLASSES: dict[str, type] = {"tuple": tuple, "list": list, "dictionary": dict}


def exchange_dtype(name: str) -> int:
    """An element type as DLPack's word: kind, bits, one lane."""
    dtype = numpy_dtype(name)
    return _EXCHANGE_KINDS[dtype.kind] | 8 * dtype.itemsize << 8 | 1 << 16


@dataclass
class Records:
    """The words of a description by name, its tables, and the objects that it refers to."""

    point: EntryPoint
    words: dict[str, int] = field(default_factory=dict)
    kept: list[object] = field(default_factory=list)
    inputs: list[list[int]] = field(default_factory=list)
    parts: list[list[int]] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    containers: list[list[int]] = field(default_factory=list)
    placements: list[list[int]] = field(default_factory=list)
    joins: list[list[int]] = field(default_factory=list)
    symbols: dict[str, int] = field(default_factory=dict)
    values: int = 0
    computed: int = 0

    def address(self, value: object) -> int:
        """The address of an object that the description keeps alive."""
        self.kept.append(value)
        return id(value)

    def table(self, name: str, records: Sequence[Sequence[int]]) -> None:
        """A table of the description: `<name>s` and `<name>_count`."""
        made = rows(records)
        self.kept.append(made)
        self.words[f"{name}s"] = ctypes.addressof(made)
        if f"{name}_count" in DESCRIPTION:
            self.words[f"{name}_count"] = len(records)


def describe(point: EntryPoint) -> Records:
    """Everything the code has to know about an entry point."""
    records = Records(point)
    _describe_arguments(records)
    _describe_inputs(records)
    _describe_apart(records)
    outputs = _describe_outputs(records)
    _place_tree(records, point.signature.outputs, TARGETS["result"], 0)
    _describe_keeps(records)
    records.table("container", records.containers)
    records.table("placement", records.placements)
    records.table("join", records.joins)
    _describe_updates(records)
    _describe_wrapper(records)
    _lay_out_scratch(records, sum(spec.words for spec in point.signature.computed), outputs)
    records.words |= {
        "run": point.run,
        "contexts": 0,
        "idle": 0,
        "slow_path": records.address(point.slow_path),
        "failed": records.address(point.failed),
        "create_context": records.address(point.contexts.create_address),
        "drop_context": records.address(point.contexts.drop_address),
        "release_gil": int(point.release_gil),
        "in_rows": int(point.in_rows),
        "holds": int(point.release_gil or records.words["binds"]),
    }
    return records


# Arguments -------------------------------------------------------------------------------------------------------


def _describe_arguments(records: Records) -> None:
    parameters = records.point.parameters
    records.values = len(parameters)
    records.words["argument_count"] = len(parameters)
    for place, parameter in enumerate(parameters):
        _take_in(records, parameter.form, place)
    records.table("name", [[records.address(parameter.name)] for parameter in parameters])
    defaults = [0 if p.default is REQUIRED else records.address(p.default) for p in parameters]
    records.table("default", [[address] for address in defaults])
    states = []
    for state in records.point.state:
        place, records.values = records.values, records.values + 1
        states.append([records.address(state.holder), records.address(state.name), place])
        _take_in(records, state.form, place)
    records.table("part", records.parts)
    records.table("state", states)
    records.words["binds"] = int(bool(records.parts or states))


def _take_in(records: Records, form: InputTree, source: int) -> None:
    """Note where the leaves of an argument come from, and the containers around them."""
    if isinstance(form, InputSpec):
        records.sources.append(source)
        return
    if isinstance(form, Constant):
        wanted = PART_KINDS["equal" if type(form.value) in (str, int) else "object"]
        records.parts.append([wanted, source, records.address(form.value), 0, 0, 0])
        return
    kind, class_ = next((kind, class_) for kind, class_ in _PART_CLASSES.items() if isinstance(form, class_))
    first, records.values = records.values, records.values + len(form)
    keys = rows([[records.address(key) for key in form]] if isinstance(form, dict) else [])
    records.kept.append(keys)
    row = [PART_KINDS[kind], source, records.address(class_), len(form), first, ctypes.addressof(keys)]
    records.parts.append(row)
    for offset, item in enumerate(form.values() if isinstance(form, dict) else form):
        _take_in(records, item, first + offset)


def _describe_inputs(records: Records) -> None:
    point = records.point
    written = {update.input for update in point.updates}
    for number, (spec, source) in enumerate(zip(point.signature.inputs, records.sources, strict=True)):
        kind = "pinned" if spec.value is not None else spec.kind
        dims = [word for dim in spec.dims for word in _input_dim(records, dim)]
        dtype, exchange, itemsize = _element(records, spec.dtype)
        fixed = spec.value or 0
        rank = len(spec.dims)
        row = [INPUT_KINDS[kind], source, dtype, exchange, itemsize, rank, int(number in written), fixed, *dims]
        records.inputs.append(row)
    records.table("input", records.inputs)


def _describe_apart(records: Records) -> None:
    inputs = records.point.signature.inputs
    starts = list(accumulate((spec.words for spec in inputs), initial=0))
    sizes = [
        (start, len(spec.dims), numpy_dtype(spec.dtype).itemsize if spec.dtype else 0)
        for start, spec in zip(starts, inputs)
    ]
    records.table("apart", [[*sizes[first], *sizes[second]] for first, second in records.point.apart])


def _element(records: Records, name: str) -> tuple[int, int, int]:
    """The dtype object, DLPack's code and the bytes of an element."""
    if not name:
        return 0, 0, 0
    dtype = numpy_dtype(name)
    return records.address(dtype), exchange_dtype(name), dtype.itemsize


def _input_dim(records: Records, dim: Dim) -> tuple[int, int]:
    if dim is None:
        return ANY, 0
    if isinstance(dim, int):
        return EXACT, dim
    known = dim in records.symbols
    return SAME if known else BINDS, records.symbols.setdefault(dim, len(records.symbols))


# Results ---------------------------------------------------------------------------------------------------------


def _describe_outputs(records: Records) -> list[list[int]]:
    point = records.point
    visible = len(point.signature.computed) - len(point.signature.hidden)
    rebound = {update.result for update in point.updates if update.state is not None}
    rebound |= {number for keep in point.keeps for number in _hidden_in(keep.tree)}
    outputs = []
    for number, spec in enumerate(point.signature.computed):
        family = "caller" if spec.rows is None else "numpy"
        if number >= visible:
            family = "wrapped" if spec.rows is None and number - visible in rebound else "numpy"
        dtype, exchange, itemsize = _element(records, spec.dtype)
        known = point.signature.is_preallocated(spec)
        dims = [word for dim in spec.dims for word in _output_dim(records, dim)]
        row = [OUTPUT_KINDS[spec.kind], dtype, exchange, itemsize, len(spec.dims), int(known), FAMILIES[family]]
        outputs.append([*row, ROW_KINDS[spec.rows or "whole"], 0, 0, 0, 0, *dims])
    records.table("output", outputs)
    return outputs


def _output_dim(records: Records, dim: ResultDim) -> tuple[int, int]:
    if isinstance(dim, Calculation):
        steps = [(step, records.symbols[item] if isinstance(item, str) else item) for step, item in dim.steps]
        made = rows([[len(steps)], *steps])
        records.kept.append(made)
        return FOLLOWS, ctypes.addressof(made)
    if isinstance(dim, str) and dim in records.symbols:
        return SAME, records.symbols[dim]
    return EXACT, dim if isinstance(dim, int) else 0


def _place_tree(records: Records, tree: OutputTree, container: int, position: int) -> None:
    """Say where every part of the result goes; containers come before their items, the whole last."""
    if isinstance(tree, OutputSpec | Hidden | JoinedLists):
        records.placements.append([container, position, SOURCES["computed"], _computed(records, tree)])
    elif isinstance(tree, Passthrough):
        records.placements.append([container, position, SOURCES["value"], records.sources[tree.index]])
    elif isinstance(tree, Constant):
        records.placements.append([container, position, SOURCES["object"], records.address(tree.value)])
    else:
        number = len(records.containers)
        items = branches(tree)
        kind, model = _container(tree)
        records.containers.append([CONTAINER_KINDS[kind], len(items), records.address(model)])
        places = map(records.address, tree) if isinstance(tree, dict) else range(len(items))
        for place, branch in zip(places, items):
            _place_tree(records, branch, number, place)
        records.placements.append([container, position, SOURCES["container"], number])


def _computed(records: Records, tree: OutputTree) -> int:
    """The number of the result that native code computes, or that joined lists take the place of."""
    if isinstance(tree, Hidden):
        signature = records.point.signature
        return len(signature.computed) - len(signature.hidden) + tree.result
    if isinstance(tree, JoinedLists):
        kind = JOIN_KINDS["cut" if tree.kind is None else "zip"]
        parts = [_computed(records, part) for part in tree.lists]
        records.joins.append([kind, records.address(tree.kind), len(parts), *parts])
        return parts[0]
    records.computed += 1
    return records.computed - 1


def _describe_keeps(records: Records) -> None:
    """Containers that become state are put together behind the result."""
    for keep in records.point.keeps:
        entry = rows([[records.address(keep.state.holder), records.address(keep.state.name)]])
        records.kept.append(entry)
        refill = "refill_dictionary" if isinstance(keep.tree, dict) else "refill_list"
        target = TARGETS[refill if keep.in_place else "rebind"]
        _place_tree(records, keep.tree, target, ctypes.addressof(entry))


def _hidden_in(tree: OutputTree) -> Iterator[int]:
    if isinstance(tree, Hidden):
        yield tree.result
    for branch in branches(tree):
        yield from _hidden_in(branch)


def _container(tree: OutputTree) -> tuple[str, object]:
    """What kind of container, and what it is made from."""
    if isinstance(tree, dict):
        return "dictionary", dict.fromkeys(tree)
    if isinstance(tree, NamedItems):
        return "named", tree.kind
    return ("tuple" if isinstance(tree, tuple) else "list"), None


def _describe_updates(records: Records) -> None:
    signature = records.point.signature
    visible = len(signature.computed) - len(signature.hidden)
    starts = list(accumulate((spec.words for spec in signature.inputs), initial=0))
    words = list(accumulate((spec.words for spec in signature.computed), initial=0))
    places = list(accumulate((len(OUTPUT) - 1 + 2 * len(spec.dims) for spec in signature.computed), initial=0))
    updates = []
    for update in records.point.updates:
        number = visible + update.result
        if update.state is not None:
            holder, key = records.address(update.state.holder), records.address(update.state.name)
            updates.append([UPDATE_KINDS["rebind"], number, holder, key, 0, 0, 0])
        elif update.input is not None:
            source, target = places[number], starts[update.input]
            updates.append([UPDATE_KINDS["copy"], number, 0, 0, source, words[number], target])
    records.table("update", updates)


def _describe_wrapper(records: Records) -> None:
    wrapper = records.point.wrapper
    family = FAMILIES[records.point.default_family]
    records.words |= {"wrapper": 0, "array_slot": 0, "weak_slot": 0, "default_family": family}
    pairs: list[list[int]] = []
    if wrapper is not None:
        class_ = wrapper.wrapped
        records.words["wrapper"] = records.address(class_)
        records.words["array_slot"] = slot_offset(class_, wrapper.array_slot)
        records.words["weak_slot"] = weak_offset(class_)
        pairs = [[slot_offset(class_, name), records.address(value)] for name, value in wrapper.constants.items()]
    records.table("constant", pairs)


def _lay_out_scratch(records: Records, output_words: int, outputs: list[list[int]]) -> None:
    inputs = records.point.signature.inputs
    place = SCRATCH["values"]
    sizes = {
        "values": records.values,
        "inputs_at": sum(spec.words for spec in inputs),
        "outputs_at": output_words,
        "held_at": len(inputs),
        "copies_at": len(inputs),
        "symbols_at": len(records.symbols),
        "objects_at": len(outputs),
        "made_containers_at": len(records.containers),
        "blocks_at": len(outputs),
    }
    for name, size in sizes.items():
        if name in DESCRIPTION:
            records.words[name] = place
        place += size
    records.words["scratch_words"] = place
    records.words["value_count"] = records.values
