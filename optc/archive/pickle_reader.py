"""Reads pickles as data: a small stack machine that knows the opcodes of archives and asks a `Globals` for every name.

Nothing is imported and nothing is called but what `Globals` hands out, so a hostile pickle can build values and no
more. Damaged ones raise PickleError, which the archive's reader turns into an ArchiveError with file and entry.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol


class PickleError(Exception):
    """What is wrong with a pickle."""


class Callee:
    """What a global name stands for: something that can be applied to arguments, or a name to compare with.

    `takes_value`: it is applied to one value that no tuple needs to hold, as torch writes members of enumerations.
    """

    def __init__(self, name: str, apply: Callable[..., Any] | None = None, takes_value: bool = False) -> None:
        self.name = name
        self.apply = apply
        self.takes_value = takes_value

    def __repr__(self) -> str:
        return self.name


class Globals(Protocol):
    """Gives the names in a pickle their meaning."""

    def find(self, module: str, name: str) -> Any:
        """The meaning of a global name. Raises PickleError for every name that is not expected."""

    def persistent(self, identity: Any) -> Any:
        """The object outside of the pickle (a storage) that `identity` describes. Raises PickleError."""

    def create(self, class_: Any, arguments: tuple[Any, ...]) -> Any:
        """An empty object of a class that `find` gave. Raises PickleError."""

    def set_state(self, target: Any, state: Any) -> Any:
        """Fill an object; returns the object. Raises PickleError."""


_LONGEST_LINE = 4096
"""More bytes than any name of a module or class has."""

_MOST_PARTS, _MOST_ALIKE, _LARGE = 1000, 100, 1 << 63


class Keys:
    """Looks at what becomes a key before Python hashes it.

    Python hashes a tuple by hashing its parts: one that is nested without end overflows the stack, one that holds
    another twice, which holds another twice ..., takes for ever. And hashes of numbers can be chosen, so that a
    dictionary would have to be searched from end to end for every key.
    """

    def __init__(self) -> None:
        self._seen: set[Any] = set()
        self._hashes: Counter[int] = Counter()

    def checked(self, key: Any) -> Any:
        """The key. Raises PickleError for one that would do harm, TypeError for what cannot be a key."""
        if type(key) is str or (type(key) is int and -_LARGE <= key < _LARGE):  # 64 bits: nine may be alike
            return key
        if isinstance(key, tuple):
            _check_parts(key)
        if key in self._seen:
            return key
        self._seen.add(key)
        hashed = hash(key)
        self._hashes[hashed] += 1
        if self._hashes[hashed] > _MOST_ALIKE:
            raise PickleError(f"more than {_MOST_ALIKE} keys of dictionaries have the same hash")
        return key


def _check_parts(key: tuple[Any, ...]) -> None:
    """Raise PickleError for a tuple that is made of too much, whatever it holds counted as often as it is held."""
    waiting: list[Any] = [key]
    count = 0
    while waiting:
        part = waiting.pop()
        count += 1
        if count > _MOST_PARTS:
            raise PickleError(f"a key has more than {_MOST_PARTS} parts")
        if isinstance(part, tuple):
            waiting.extend(part[:_MOST_PARTS])


class _Mark:
    """Where a tuple, list or dictionary begins on the stack."""


_MARK = _Mark()


class PickleReader:
    """Reads one pickle: `PickleReader(data, globals).read()`."""

    def __init__(self, data: bytes | memoryview, names: Globals) -> None:
        self._data = memoryview(data)
        self._names = names
        self._position = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._keys = Keys()

    @property
    def position(self) -> int:
        """How many bytes have been read."""
        return self._position

    def read(self) -> Any:
        """The value. Raises PickleError."""
        data, actions = self._data, _ACTIONS
        while self._position < len(data):
            opcode = data[self._position]
            self._position += 1
            if opcode == 0x2E:  # STOP
                return self._pop()
            action = actions.get(opcode)
            if action is None:
                raise PickleError(f"opcode {opcode:#04x} at byte {self._position - 1} is not allowed")
            action(self)
        raise PickleError("the pickle is cut off")

    # Input

    def _take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise PickleError("the pickle is cut off")
        data = bytes(self._data[self._position : end])
        self._position = end
        return data

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        line = bytes(self._data[self._position : self._position + _LONGEST_LINE])
        length = line.find(b"\n")
        if length < 0:
            raise PickleError("the pickle is cut off, or a name in it is too long")
        self._position += length + 1
        return _decoded(line[:length])

    # Stack

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise PickleError("the pickle takes a value that is not there")
        return self._stack.pop()

    def _top(self, kind: type, what: str) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise PickleError(f"the pickle adds to something that is no {what}")
        return self._stack[-1]

    def _pop_to_mark(self) -> list[Any]:
        for place in reversed(range(len(self._stack))):
            if self._stack[place] is _MARK:
                items = self._stack[place + 1 :]
                del self._stack[place:]
                return items
        raise PickleError("the pickle ends a container that was not begun")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    # Opcodes

    def _protocol(self) -> None:
        version = self._take(1)[0]
        if version > 5:
            raise PickleError(f"protocol {version} is not known")

    def _frame(self) -> None:
        self._take(8)

    def _global(self) -> None:
        module, name = self._line(), self._line()
        self._push(self._names.find(module, name))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise PickleError("a global name is no text")
        self._push(self._names.find(module, name))

    def _text(self, layout: str) -> None:
        self._push(_decoded(self._take(self._number(layout))))

    def _long(self) -> None:
        self._push(int.from_bytes(self._take(self._take(1)[0]), "little", signed=True))

    def _put(self, layout: str) -> None:
        if not self._stack:
            raise PickleError("the pickle remembers a value that is not there")
        self._memo[self._number(layout)] = self._stack[-1]

    def _memoize(self) -> None:
        if not self._stack:
            raise PickleError("the pickle remembers a value that is not there")
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, layout: str) -> None:
        place = self._number(layout)
        if place not in self._memo:
            raise PickleError(f"the pickle refers to value {place}, which it never defined")
        self._push(self._memo[place])

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    def _append(self) -> None:
        item = self._pop()
        self._top(list, "list").append(item)

    def _appends(self) -> None:
        items = self._pop_to_mark()
        self._top(list, "list").extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._top(dict, "dictionary")
        if len(items) % 2:
            raise PickleError("a dictionary has a key without a value")
        for key, value in zip(items[::2], items[1::2]):
            try:
                target[self._keys.checked(key)] = value
            except TypeError as error:
                raise PickleError(f"a dictionary's key is {error}") from error

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _dict(self) -> None:
        items = self._pop_to_mark()
        self._push({})
        self._set_items(items)

    def _new_object(self) -> None:
        arguments, class_ = self._pop(), self._pop()
        if not isinstance(arguments, tuple):
            raise PickleError("an object is created with something that is no tuple")
        self._push(self._names.create(class_, arguments))

    def _reduce(self) -> None:
        arguments, callee = self._pop(), self._pop()
        if isinstance(callee, Callee) and callee.takes_value and not isinstance(arguments, tuple):
            arguments = (arguments,)
        if not isinstance(callee, Callee) or callee.apply is None or not isinstance(arguments, tuple):
            raise PickleError(f"{callee!r} cannot be called")
        try:
            self._push(callee.apply(*arguments))
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise PickleError(f"{callee.name} was given wrong arguments: {error}") from error

    def _build(self) -> None:
        state, target = self._pop(), self._pop()
        self._push(self._names.set_state(target, state))

    def _persistent(self) -> None:
        self._push(self._names.persistent(self._pop()))


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise PickleError("a text is not UTF-8") from error


_ACTIONS: dict[int, Callable[[PickleReader], None]] = {
    0x80: PickleReader._protocol,
    0x95: PickleReader._frame,
    ord("c"): PickleReader._global,
    0x93: PickleReader._stack_global,
    ord("q"): lambda reader: reader._put("<B"),
    ord("r"): lambda reader: reader._put("<I"),
    0x94: PickleReader._memoize,
    ord("h"): lambda reader: reader._get("<B"),
    ord("j"): lambda reader: reader._get("<I"),
    ord("("): lambda reader: reader._push(_MARK),
    ord(")"): lambda reader: reader._push(()),
    ord("t"): lambda reader: reader._push(tuple(reader._pop_to_mark())),
    0x85: lambda reader: reader._tuple(1),
    0x86: lambda reader: reader._tuple(2),
    0x87: lambda reader: reader._tuple(3),
    ord("]"): lambda reader: reader._push([]),
    ord("l"): lambda reader: reader._push(reader._pop_to_mark()),
    0x8F: lambda reader: reader._push(set()),
    ord("a"): PickleReader._append,
    ord("e"): PickleReader._appends,
    ord("}"): lambda reader: reader._push({}),
    ord("d"): PickleReader._dict,
    ord("s"): PickleReader._set_item,
    ord("u"): lambda reader: reader._set_items(reader._pop_to_mark()),
    ord("N"): lambda reader: reader._push(None),
    0x88: lambda reader: reader._push(True),
    0x89: lambda reader: reader._push(False),
    ord("K"): lambda reader: reader._push(reader._number("<B")),
    ord("M"): lambda reader: reader._push(reader._number("<H")),
    ord("J"): lambda reader: reader._push(reader._number("<i")),
    0x8A: PickleReader._long,
    ord("X"): lambda reader: reader._text("<I"),
    0x8C: lambda reader: reader._text("<B"),
    ord("G"): lambda reader: reader._push(reader._number(">d")),
    0x81: PickleReader._new_object,
    ord("b"): PickleReader._build,
    ord("R"): PickleReader._reduce,
    ord("Q"): PickleReader._persistent,
}
