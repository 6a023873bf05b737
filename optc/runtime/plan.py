"""Plans: what another process needs to run a program again without passes and without code generation.

A plan names the objects of the code, which lie in the disk cache by themselves, and says how the constants come about:
which of the program's own tensors they are, or by which calls they are made of those. It is found by the program's key
(`program_key`), which covers the contents of all tensors. What a plan does not hold (graphs, kernels, LLVM text) is
worked out when somebody asks for it.
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from optc.codegen.machine import jit
from optc.codegen.native_program import NativeProgram
from optc.eager.base import TensorBase
from optc.ir import types
from optc.ir.function import ClassType, Function, ScriptObject
from optc.ir.graph import Graph, Node, Value
from optc.ir.optimized import OptimizedProgram
from optc.ir.origins import Origin, Origins
from optc.runtime.program_key import ProgramKey
from optc.runtime.specialization import Specialization
from optc.work_sharing import share_out, threads_for

_INLINE_BYTES = 1 << 16
_ALIGNMENT = 64
_SINGLE_TYPES = {id(value): name for name, value in vars(types).items() if isinstance(value, types.Type)}
_WORKED_OUT = frozenset({"graph", "texts", "kernels", "library", "seconds", "clock", "target", "constants"})


class _NoPlan(Exception):
    """Something in the program that a plan cannot hold."""


# Programs whose graph and kernels are worked out on demand ---------------------------------------------------------


class PlannedProgram(OptimizedProgram):
    """An optimised program that came from a plan; `complete` gives the whole of it."""

    complete: Callable[[], OptimizedProgram]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "complete":
            raise AttributeError(name)
        whole = self.complete()
        self.graph, self.records = whole.graph, whole.records
        return getattr(whole, name)


class PlannedNative(NativeProgram):
    """A native program that came from a plan; `complete` gives the whole of it, not loaded."""

    complete: Callable[[], NativeProgram]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "complete":
            raise AttributeError(name)
        found = getattr(self.complete(), name)
        setattr(self, name, found)
        return found


# Constants ---------------------------------------------------------------------------------------------------------


class _Recipes:
    """How constants are made: a list of steps, each of which may use the arrays of the ones before it."""

    def __init__(self, key: ProgramKey, origins: Origins) -> None:
        self.steps: list[tuple[Any, ...]] = []
        self.origins = origins
        self.families: dict[int, list[np.ndarray[Any, Any]]] = {}
        for array in (*key.arrays, *filter(self.is_made_anew, origins)):
            self.families.setdefault(id(_owner(array)), []).append(array)
        self.places: dict[int, int] = {}
        for number, array in enumerate(key.arrays):
            self.places.setdefault(id(array), self.add("own", number))

    def add(self, *step: Any) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    def place(self, array: np.ndarray[Any, Any]) -> int:
        """The step that makes an array, behind the steps that make what it needs. Raises _NoPlan."""
        pending = [array]
        while pending:
            current = pending[-1]
            missing = [item for item in self.needed(current) if id(item) not in self.places]
            if missing and id(current) not in self.places:
                pending += missing
                continue
            pending.pop()
            if id(current) not in self.places:
                self.places[id(current)] = self.new(current)
        return self.places[id(array)]

    def needed(self, array: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        """The arrays that the step of an array takes."""
        origin = self.origins.of(array)
        if origin is not None:
            return list(_arrays(origin.arguments))
        base = self.base(array)
        return [] if base is None else [base]

    def is_made_anew(self, array: np.ndarray[Any, Any]) -> bool:
        """The array is no view of what it was made of: that may be looked for in it, and would wait for itself."""
        origin = self.origins.of(array)
        return origin is None or all(_owner(item) is not _owner(array) for item in _arrays(origin.arguments))

    def base(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
        """An array that has a step of its own and holds all of this one."""
        for base in self.families.get(id(_owner(array)), ()):
            (first, last), (start, stop) = _bounds(base), _bounds(array)
            if first <= start and stop <= last and base.flags.c_contiguous:
                return base
        return None

    def new(self, array: np.ndarray[Any, Any]) -> int:
        origin = self.origins.of(array)
        if origin is not None:
            return self.add("call", *self.call(origin))
        base = self.base(array)
        if base is not None:
            offset = array.ctypes.data - base.ctypes.data
            return self.add("view", self.places[id(base)], offset, array.dtype, array.shape, array.strides)
        if array.nbytes <= _INLINE_BYTES:
            return self.add("content", np.array(array))
        raise _NoPlan(f"an array of {array.nbytes} bytes that nobody said how to make")

    def call(self, origin: Origin) -> tuple[Any, ...]:
        function = origin.function
        module, name = function.__module__, function.__qualname__
        owner = getattr(function, "__self__", None)
        if owner is None and getattr(importlib.import_module(module), name, None) is not function:
            raise _NoPlan(f"{module}.{name} cannot be imported")
        return module, name, [self.argument(item) for item in origin.arguments], origin.result

    def argument(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return "array", self.places[id(value)]
        if isinstance(value, list | tuple):
            return type(value).__name__, [self.argument(item) for item in value]
        return "value", value


def _arrays(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """The arrays in a value made of lists and tuples."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _arrays(item)


def _owner(array: np.ndarray[Any, Any]) -> Any:
    """The object whose memory it is; numpy puts other objects between a strided view and its array."""
    owner: Any = array
    while getattr(owner, "base", None) is not None:
        owner = owner.base
    return owner


def _bounds(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    """The addresses of the first byte and behind the last."""
    steps = [(extent - 1) * stride for extent, stride in zip(array.shape, array.strides)]
    first = array.ctypes.data + sum(step for step in steps if step < 0)
    return first, array.ctypes.data + sum(step for step in steps if step > 0) + array.itemsize


def made(steps: Sequence[tuple[Any, ...]], own: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """The arrays that steps make from a program's own ones. Threads share what is only made for the program, most of
    which is weights that are packed."""
    arrays: list[Any] = [None] * len(steps)
    needed = {place for step in steps for place in _referred(step)}
    last = [place for place, (kind, *_) in enumerate(steps) if kind == "call" and place not in needed]

    def make(place: int) -> None:
        kind, *rest = steps[place]
        arrays[place] = _STEPS[kind](rest, arrays, own)

    for place in sorted(set(range(len(steps))) - set(last)):
        make(place)
    read = sum(arrays[place].nbytes for made_last in last for place in _referred(steps[made_last]))
    share_out(lambda number: make(last[number]), len(last), threads_for(read))
    return arrays


def _referred(step: tuple[Any, ...]) -> Iterator[int]:
    """The places of the arrays that a step reads."""
    kind, *rest = step
    if kind == "view":
        yield rest[0]
    pending = [*rest[2]] if kind == "call" else []
    while pending:
        sort, content = pending.pop()
        if sort == "array":
            yield content
        elif sort != "value":
            pending.extend(content)


def _content(rest: Sequence[Any], arrays: Sequence[Any], own: Sequence[Any]) -> np.ndarray[Any, Any]:
    (stored,) = rest
    memory = np.empty(stored.nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    array: np.ndarray[Any, Any] = memory[start : start + stored.nbytes].view(stored.dtype).reshape(stored.shape)
    array[...] = stored
    return array


def _view(rest: Sequence[Any], arrays: Sequence[Any], own: Sequence[Any]) -> np.ndarray[Any, Any]:
    base, offset, dtype, shape, strides = rest
    return np.ndarray(shape, dtype, arrays[base].reshape(-1).view(np.uint8), offset, strides)


def _called(rest: Sequence[Any], arrays: Sequence[Any], own: Sequence[Any]) -> np.ndarray[Any, Any]:
    module, name, arguments, result = rest
    function = getattr(importlib.import_module(module), name)
    values = function(*(_value(argument, arrays) for argument in arguments))
    array: np.ndarray[Any, Any] = values if result is None else values[result]
    return array


def _value(argument: tuple[str, Any], arrays: Sequence[Any]) -> Any:
    kind, content = argument
    if kind == "array":
        return arrays[content]
    if kind == "value":
        return content
    items = [_value(item, arrays) for item in content]
    return tuple(items) if kind == "tuple" else items


_STEPS: dict[str, Callable[..., np.ndarray[Any, Any]]] = {
    "own": lambda rest, arrays, own: own[rest[0]],
    "content": _content,
    "view": _view,
    "call": _called,
}


# Storing -----------------------------------------------------------------------------------------------------------


class _Pickler(pickle.Pickler):
    """Writes what belongs to the program by its place in the key, and graphs not at all."""

    def __init__(self, file: io.BytesIO, key: ProgramKey) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.objects = {id(item): number for number, item in enumerate(key.objects)}

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, types.Type) and id(value) in _SINGLE_TYPES:
            return "type", _SINGLE_TYPES[id(value)]
        if isinstance(value, ScriptObject | ClassType | Function):
            if id(value) not in self.objects:
                raise _NoPlan(f"{value} is not part of the program")
            return "object", self.objects[id(value)]
        if isinstance(value, TensorBase):
            raise _NoPlan("a tensor that an attribute must go on to hold")
        if isinstance(value, Graph | Node | Value):
            raise _NoPlan("a part of a graph")
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, key: ProgramKey) -> None:
        super().__init__(file)
        self.key = key

    def persistent_load(self, name: Any) -> Any:
        kind, which = name
        return self.key.objects[which] if kind == "object" else getattr(types, which)


def store(key: ProgramKey, specialization: Specialization, origins: Origins) -> bool:
    """Keep the plan of a specialisation that has just been compiled; False when it cannot be kept."""
    cache, native, program = jit.disk_cache(), specialization.native, specialization.program
    if cache is None or program is None or not native.object_keys:
        return False
    try:
        recipes = _Recipes(key, origins)
        places = [recipes.place(array) for array in native.constants]
        details = {item.name: getattr(native, item.name) for item in fields(native) if item.name not in _WORKED_OUT}
        content = {
            "native": details,
            "program": {name: getattr(program, name) for name in _PROGRAM_PARTS},
            "held": specialization.held,
            "steps": recipes.steps,
            "constants": places,
        }
        file = io.BytesIO()
        _Pickler(file, key).dump(content)
    except (_NoPlan, pickle.PicklingError, AttributeError, TypeError):
        return False
    cache.put(_name(key), file.getvalue())
    return True


_PROGRAM_PARTS = ("state", "kept", "input_structures", "output_structure", "compares_arguments", "needs_rows")


def restore(
    key: ProgramKey, specialization: Specialization, complete: Callable[[], tuple[OptimizedProgram, NativeProgram]]
) -> NativeProgram | None:
    """Fill in a specialisation from its plan, but for the entries; None when there is no plan, or not all of it.

    `complete` compiles the program anew, for those who ask for its graph or kernels.
    """
    cache = jit.disk_cache()
    stored = cache.get(_name(key)) if cache else None
    if cache is None or stored is None:
        return None
    content = _Unpickler(io.BytesIO(stored), key).load()
    objects = [cache.get(name) for name in content["native"]["object_keys"]]
    present = [item for item in objects if item is not None]
    if len(present) != len(objects):
        return None
    jit.counts.from_cache += len(present)
    jit.counts.plans += 1
    arrays = made(content["steps"], key.arrays)
    native = object.__new__(PlannedNative)
    vars(native).update(content["native"], seconds={}, library=jit.link(present), clock=None)
    native.constants = [arrays[place] for place in content["constants"]]
    native.complete = lambda: complete()[1]
    program = object.__new__(PlannedProgram)
    vars(program).update(content["program"])
    program.complete = lambda: complete()[0]
    specialization.program = program
    specialization.held = content["held"]
    return native


def _name(key: ProgramKey) -> str:
    return jit.digest_of("plan", key.digest)
