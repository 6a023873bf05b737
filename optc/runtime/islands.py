"""The Python side of islands: the interpreter runs their graphs on tensors that lie in native memory.

A run that fails is run again by the interpreter, from the start, so that the user sees the exact error. What islands and
native code have done to the process by then is taken back: the generator of random numbers gets the state it had when
the call first drew, and what the program has said is not said again. (Numbers that other threads have drawn meanwhile
from the same generator may then come a second time.)
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from typing import Any

import numpy as np

from optc import interpreter
from optc.codegen.driver.island_code import IslandCode
from optc.codegen.entry.signature import InputSpec, OutputSpec, numpy_dtype
from optc.codegen.native_program import NativeProgram
from optc.codegen.process.context import DRAWN_BY_ISLANDS, DRAWN_NATIVELY, Context, ContextPool
from optc.dataclass import dataclass
from optc.eager import dispatch
from optc.eager.base import TensorBase
from optc.eager.generator import Generator, Snapshot, default_generator
from optc.errors import OptcError
from optc.messages import repeating, said


@dataclass
class Journal:
    """What the islands of one run have done to the process: messages shown, and what generators held before."""

    messages: int = 0
    generators: dict[Generator, Snapshot] = field(default_factory=dict)


class Islands:
    """The islands of one program; every call has a context of its own."""

    def __init__(self, codes: Sequence[IslandCode]) -> None:
        self._codes = codes
        self._programs: list[interpreter.Program | None] = [None] * len(codes)
        self._journals: dict[int, Journal] = {}

    def run(self, context: Context, number: int, words: int) -> None:
        """Run an island on the words at an address. Raises what the interpreter raises."""
        code = self._codes[number]
        program = self._programs[number]
        if program is None:
            program = self._programs[number] = interpreter.Program(code.graph, "")
        reader = _Words(words)
        keeps = any(spec.kind == "object" for spec in code.outputs)
        arguments = [_argument(spec, reader, context, keeps) for spec in code.inputs]
        if code.has_effects:
            with self._noted(context, arguments):
                results = program.call(arguments)
        else:
            results = program.call(arguments)
        values = results if len(code.outputs) != 1 else (results,)
        extents: dict[str, int] = {}
        for spec, value in zip(code.outputs, values, strict=True):
            _put(spec, value, reader, context, extents)

    @contextmanager
    def _noted(self, context: Context, arguments: Sequence[Any]) -> Iterator[None]:
        """Keep what a second run of the program has to know of what happens inside."""
        if not context["effects"]:
            self._journals[context.address] = Journal()
        context["drawn"] = context["drawn"] or DRAWN_BY_ISLANDS
        context["effects"] += 1
        journal, before = self._journals[context.address], said()
        for generator in (default_generator, *(value for value in arguments if isinstance(value, Generator))):
            if generator not in journal.generators:
                journal.generators[generator] = generator.snapshot()
        try:
            yield
        finally:
            journal.messages += said() - before

    def undo(self, context: Context) -> Journal | None:
        """Generators go back to where the failed run began to draw. Returns what was said."""
        journal = self._journals.pop(context.address, None)
        has_effects = journal is not None and bool(context["effects"])
        if journal is not None and has_effects:
            for generator, state in journal.generators.items():
                generator.go_back(state)
        if context["drawn"] == DRAWN_NATIVELY:  # before any island did
            default_generator.go_back_to_copy(context["before"])
        return journal if has_effects else None


def contexts_of(native: NativeProgram, threads: int) -> ContextPool:
    """The contexts of a loaded program, with its islands and the generator that it draws from."""
    islands = Islands(native.islands) if native.islands or native.draws else None
    generator = ctypes.addressof(default_generator.state) if native.draws else 0
    return native.contexts(islands, threads, generator)


@contextmanager
def second_run(journal: object) -> Iterator[None]:
    """Inside, the program runs again whose run before left `journal` behind (None: nothing)."""
    with repeating(journal.messages if isinstance(journal, Journal) else 0):
        yield


@contextmanager
def unnoticed() -> Iterator[None]:
    """Inside, programs run that nobody asked for: they say nothing, and the numbers they draw are drawn again."""
    state = default_generator.snapshot()
    try:
        with repeating(sys.maxsize):
            yield
    finally:
        default_generator.go_back(state)


# Native memory -------------------------------------------------------------------------------------------------------


class _Words:
    """Reads and writes one word after the other."""

    def __init__(self, address: int) -> None:
        self._address = address

    def take(self, count: int) -> tuple[int, ...]:
        """The next words."""
        words = self.peek(count)
        self._address += 8 * count
        return words

    def peek(self, count: int) -> tuple[int, ...]:
        """The next words, which stay the next ones."""
        return tuple((ctypes.c_int64 * count).from_address(self._address))

    def put(self, words: Sequence[int]) -> None:
        """Replace the next words."""
        (ctypes.c_int64 * len(words)).from_address(self._address)[:] = list(words)
        self._address += 8 * len(words)


class _Memory:
    """Native memory as numpy sees it."""

    def __init__(self, interface: dict[str, Any]) -> None:
        self.__array_interface__ = interface


def _array(dtype: np.dtype[Any], address: int, shape: tuple[int, ...], strides: tuple[int, ...] | None,
           is_read: bool) -> np.ndarray[Any, Any]:  # fmt: skip
    """An array over native memory."""
    if 0 in shape:
        return np.empty(shape, dtype)
    words = np.dtype(f"V{dtype.itemsize}")
    interface = {"data": (address, is_read), "shape": shape, "strides": strides, "typestr": words.str, "version": 3}
    return np.asarray(_Memory(interface)).view(dtype)


def _argument(spec: InputSpec, words: _Words, context: Context, is_kept: bool) -> Any:
    """A value that enters; `is_kept`: it may be seen after the call, when native memory holds something else."""
    if spec.kind == "tensor":
        rank = len(spec.dims)
        address, *dims = words.take(1 + 2 * rank)
        array = _array(numpy_dtype(spec.dtype), address, tuple(dims[:rank]), tuple(dims[rank:]), True)
        return dispatch.wrap(array.copy() if is_kept else array)
    (word,) = words.take(1)
    if spec.kind == "object":
        value = context.objects[word]
        return dispatch.wrap(value) if isinstance(value, np.ndarray) else value
    if spec.kind == "float":
        return struct.unpack("<d", struct.pack("<q", word))[0]
    return bool(word) if spec.kind == "bool" else word


def _put(spec: OutputSpec, value: Any, words: _Words, context: Context, extents: dict[str, int]) -> None:
    """Hand a result over. Raises OptcError for one that is not what native code was made for."""
    if spec.kind == "tensor":
        _put_tensor(spec, value, words, context, extents)
        return
    if spec.kind == "object":
        words.put([context.keep(value)])
        return
    wanted = {"int": int, "float": float, "bool": bool}[spec.kind]
    if type(value) is not wanted:
        raise OptcError(f"an island gave {type(value).__name__} instead of {spec.kind}")
    (word,) = struct.unpack("<q", struct.pack("<d" if wanted is float else "<q", value))
    words.put([word])


def _put_tensor(spec: OutputSpec, value: Any, words: _Words, context: Context, extents: dict[str, int]) -> None:
    dtype = numpy_dtype(spec.dtype)
    array = value._array if isinstance(value, TensorBase) else None
    if array is None or array.dtype != dtype or not _fits(array.shape, spec, extents):
        found = type(value).__name__ if array is None else f"{array.dtype}{list(array.shape)}"
        raise OptcError(f"an island gave {found} instead of {spec.dtype}{list(spec.dims)}")
    address, *dims = words.peek(1 + array.ndim)
    if not address:
        address = context.take_block(array.nbytes)
    elif tuple(dims) != array.shape:
        raise OptcError(f"an island gave {list(array.shape)} instead of {dims}")
    words.put([address, *array.shape])
    np.copyto(_array(dtype, address, array.shape, None, False), array)


def _fits(shape: tuple[int, ...], spec: OutputSpec, extents: dict[str, int]) -> bool:
    """True for the extents that were known before, one number for every symbol."""
    return len(shape) == len(spec.dims) and all(
        extents.setdefault(dim, extent) == extent if isinstance(dim, str) else dim in (None, extent)
        for dim, extent in zip(spec.dims, shape)
    )
