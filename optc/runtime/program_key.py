"""What a compiled program depends on, as one digest: two programs with one key have the same native code.

The key covers the graphs of the function, of everything it may call and of other methods that write attributes, the
object it is a method of with the contents of all its tensors, the types of the arguments, and the options. Where a
program holds something that cannot be put down exactly, it has no key.

A program whose code is still as it was written down, in an archive, has a second key with the text in the place of the
graphs: whoever finds its plan by that need not compile the text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np

from optc.codegen.process import content_digest
from optc.dataclass import dataclass
from optc.eager.base import NO_GRADIENT, TensorBase
from optc.eager.memory import without_repeats
from optc.errors import OptcError
from optc.ir.dims import Symbolic
from optc.ir.dtypes import DType
from optc.ir.function import ClassType, Function, ScriptObject, WrittenCode
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.schema import FunctionSchema
from optc.ir.types import Type
from optc.passes.other_methods import writing_methods
from optc.work_sharing import share_out, threads_for

_CHUNK_BYTES = 2 << 20
_MANGLED = ".___torch_mangle_"


@dataclass(frozen=True)
class ProgramKey:
    """A digest, and what it is made of in the order in which it was met: the same in every process."""

    text: str
    objects: tuple[Any, ...]
    arrays: tuple[np.ndarray[Any, Any], ...]
    contents: dict[int, list[bytes]]
    """The digests of arrays, by identity, as far as they are known."""

    @cached_property
    def digest(self) -> str:
        """The digest, which covers the arrays' contents at the time of the first question."""
        digest = hashlib.sha256(self.text.encode("utf-8", "surrogatepass"))
        self.contents.update(_digests([array for array in self.arrays if id(array) not in self.contents]))
        for array in self.arrays:
            for content in self.contents[id(array)]:
                digest.update(content)
        return digest.hexdigest()

    def is_new(self) -> bool:
        """True where nothing can have been stored under the digest: what makes it has never been compiled here."""
        return any(content_digest.is_native(array.nbytes) for array in self.arrays) and not content_digest.is_compiled()


class _NoKey(Exception):
    """Something that cannot be put down exactly."""


def program_key(
    function: Function,
    receiver: ScriptObject | None,
    types: Sequence[Any],
    others: Sequence[Any],
    *options: str,
    known: ProgramKey | None = None,
) -> ProgramKey | None:
    """The key of a program for these argument types (`others`: the arguments that have none); None when it has none.

    `known` is another key of the same program, whose digests of arrays are used again.
    """
    writer = _Writer()
    beside = [] if receiver is None else list(writing_methods(receiver, function))
    parts = (*options, list(types), list(others), receiver, function, beside)
    return _key(writer, parts, {} if known is None else known.contents)


def written_key(
    function: Function, receiver: ScriptObject | None, types: Sequence[Any], others: Sequence[Any], *options: str
) -> ProgramKey | None:
    """The key by the text that the function is written in; None where a graph may say something else."""
    written = function.written
    if written is None or not written.is_untouched():
        return None
    writer = _Writer(written)
    parts = (*options, list(types), list(others), receiver, written.digest, written.constants, function)
    return _key(writer, parts, {})


def _key(writer: _Writer, parts: tuple[Any, ...], known: dict[int, list[bytes]]) -> ProgramKey | None:
    try:
        writer.value(parts)
        writer.pending_bodies()
    except (_NoKey, OptcError, ValueError, RecursionError):
        return None
    return ProgramKey("\0".join(writer.parts), tuple(writer.objects), tuple(writer.arrays), known)


class _Writer:
    """Writes everything a program consists of as a list of texts, every shared object once.

    Of functions that are part of `written`, only the names: that text is known.
    """

    def __init__(self, written: WrittenCode | None = None) -> None:
        self._written = written
        self.parts: list[str] = []
        self.objects: list[Any] = []
        self.arrays: list[np.ndarray[Any, Any]] = []
        self._numbers: dict[int, int] = {}
        self._types: dict[int, str] = {}
        self._kept: list[Any] = []
        self._memory: dict[int, int] = {}
        self._functions: list[Function] = []
        self._done: set[int] = set()
        self._called: set[str] = set()

    # Values

    def value(self, value: Any) -> None:
        """Write any value that a program may hold. Raises _NoKey."""
        kind = type(value)
        if value is None or kind in (bool, int, float, str, bytes, complex):
            self.parts.append(f"{kind.__name__} {value!r}")
        elif kind in (list, tuple):
            self.parts.append(f"{kind.__name__} {len(value)}")
            for item in value:
                self.value(item)
        elif kind is dict:
            self.parts.append(f"dict {len(value)}")
            for name, item in value.items():
                self.value(name)
                self.value(item)
        else:
            self.thing(value)

    def thing(self, value: Any) -> None:
        if isinstance(value, np.ndarray):
            self.array(value)
        elif isinstance(value, TensorBase):
            if self.shared(value):
                self.parts.append(f"gradient {value._gradient != NO_GRADIENT}")  # programs may ask for it
                self.array(value._array)
        elif isinstance(value, ScriptObject):
            if self.shared(value):
                self.value(value.type)
                self.value(value.values)
        elif isinstance(value, Type):
            self.parts.append(self.type(value))
        elif isinstance(value, Function):
            if self.shared(value):
                self.function(value)
        elif isinstance(value, FunctionSchema):
            self.parts.append(str(value))
        elif isinstance(value, DType):
            self.parts.append(value.name)
        elif isinstance(value, Symbolic):
            self.parts.append(repr(value.terms))
        else:
            raise _NoKey(type(value).__name__)

    def shared(self, value: Any) -> bool:
        """Writes which object it is; True when it is met for the first time."""
        number = self._numbers.setdefault(id(value), len(self.objects))
        self.parts.append(f"object {number}")
        if number < len(self.objects):
            return False
        self.objects.append(value)
        return True

    def array(self, array: np.ndarray[Any, Any]) -> None:
        """Element type, shape, strides and whose memory it is; the contents are hashed at the end."""
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        place = self._memory.setdefault(id(owner), len(self._memory))
        offset = array.ctypes.data - owner.ctypes.data
        self.parts.append(f"array {array.dtype} {array.shape} {array.strides} {place} {offset}")
        self.arrays.append(array)
        self._kept.append(owner)

    # Types

    def type(self, type_: Type) -> str:
        known = self._types.get(id(type_))
        if known is None:
            known = self.class_(type_) if isinstance(type_, ClassType) else self.parameters(type_)
            self._types[id(type_)] = known
            self._kept.append(type_)
        return known

    def parameters(self, type_: Type) -> str:
        shown = [self.parameter(getattr(type_, item.name)) for item in fields(type_)]
        return f"{type(type_).__name__}({', '.join(shown)})"

    def parameter(self, value: Any) -> str:
        if isinstance(value, Type):
            return self.type(value)
        if isinstance(value, tuple):
            return f"({', '.join(map(self.parameter, value))})"
        if isinstance(value, Symbolic):
            return repr(value.terms)
        if value is None or isinstance(value, bool | int | float | str | DType):
            return repr(value)
        raise _NoKey(type(value).__name__)

    def class_(self, class_: ClassType) -> str:
        if self._written is not None and not self._is_known(class_):
            raise _NoKey(class_.name)
        number = self._numbers.get(id(class_))
        if number is not None:
            return f"class {number}"
        number = self._numbers[id(class_)] = len(self.objects)
        self.objects.append(class_)
        head = f"class {number} {_plain(class_.name)} {class_.is_module} {class_.is_interface}"
        self._types[id(class_)] = f"class {number}"
        members = [
            f"{name} {self.type(item.type)} {item.is_parameter} {item.is_buffer}"
            for name, item in class_.attributes.items()
        ]
        self.parts.append("\n".join([head, *members]))
        self.value(class_.constants)
        return f"class {number}"

    def _is_known(self, class_: ClassType) -> bool:
        """The text says what the methods of a class do: those of an interface belong to the classes of objects."""
        assert self._written is not None
        return class_.is_interface or class_.is_native or class_ in self._written.classes

    # Graphs

    def function(self, function: Function) -> None:
        if function.python_function is not None:
            raise _NoKey(function.name)
        self.parts.append(_plain(function.name))
        if self._written is None:
            self._functions.append(function)
        elif function.written is not self._written:
            raise _NoKey(function.name)

    def pending_bodies(self) -> None:
        """Write the graphs of all functions that were met, and the methods of classes that some graph calls by name."""
        while True:
            waiting = [item for item in self._functions if id(item) not in self._done]
            for function in waiting:
                self._done.add(id(function))
                self.value(_plain(str(function.schema)))
                self.graph(function.graph)
            found = self.methods()
            if not waiting and not found:
                return

    def methods(self) -> bool:
        """Queue methods that may be called. True when there was one that is new."""
        before = len(self._functions)
        for class_ in [item for item in self.objects if isinstance(item, ClassType)]:
            for name in sorted(self._called & class_.methods.keys()):
                method = class_.methods[name]
                if id(method) not in self._numbers and method.python_function is None:
                    self.parts.append(f"{_plain(class_.name)}.{name}")
                    self.thing(method)
        return len(self._functions) > before

    def graph(self, graph: Graph) -> None:
        self.block(graph.block, {})

    def block(self, block: Block, values: dict[Value, int]) -> None:
        parameters = [self.defined(value, values) for value in block.inputs]
        self.parts.append(f"block {' '.join(parameters)}")
        for node in block.nodes:
            self.node(node, values)
        self.parts.append(f"return {' '.join(str(values[value]) for value in block.outputs)}")

    def defined(self, value: Value, values: dict[Value, int]) -> str:
        values[value] = len(values)
        return self.type(value.type)

    def node(self, node: Node, values: dict[Value, int]) -> None:
        read = " ".join([str(values[value]) for value in node.inputs])
        made = " ".join([self.defined(value, values) for value in node.outputs])
        self.parts.append(f"{node.kind} {node.overload} {read}: {made}; {len(node.blocks)}")
        if node.kind == "prim::CallMethod":
            self._called.add(node.attributes["name"])
        for name in sorted(node.attributes):
            self.parts.append(name)
            self.value(node.attributes[name])
        for block in node.blocks:
            self.block(block, values)


def _plain(name: str) -> str:
    """A qualified name without the number that tells classes of one name apart: it counts what the process has seen."""
    return re.sub(rf"{re.escape(_MANGLED)}\d+", "", name) if _MANGLED in name else name


def _digests(arrays: Sequence[np.ndarray[Any, Any]]) -> dict[int, list[bytes]]:
    """Digests of all contents by the arrays' identities, in chunks of bounded size, on two threads where it is worth it."""
    chunks: list[memoryview] = []
    results: dict[int, list[bytes]] = {}
    places: list[tuple[list[bytes], int]] = []
    for array in arrays:
        flat = memoryview(np.ascontiguousarray(without_repeats(array)).reshape(-1).view(np.uint8).data)
        parts = [flat[start : start + _CHUNK_BYTES] for start in range(0, max(1, len(flat)), _CHUNK_BYTES)]
        results[id(array)] = [b""] * len(parts)
        places += [(results[id(array)], number) for number in range(len(parts))]
        chunks += parts

    def work(place: int) -> None:
        digests, number = places[place]
        digests[number] = content_digest.content_digest(chunks[place])

    share_out(work, len(chunks), threads_for(sum(map(len, chunks))))
    return results
