"""The pickle layer: torch's dialect out, values and nothing else in."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

from optc.archive.pickle_reader import Callee, PickleError, PickleReader
from optc.archive.pickle_writer import PickleWriter, StoredTensor
from optc.eager.dispatch import wrap
from optc.ir.type_parser import parse_type


class Plain:
    """Globals that build lists as they are and refuse everything that is not TorchScript's."""

    def find(self, module: str, name: str) -> Any:
        if module == "torch.jit._pickle":
            return Callee(name, lambda value, *_: value)
        if (module, name) == ("builtins", "complex"):
            return Callee(name, complex)
        raise PickleError(f"{module}.{name} is not allowed")

    def persistent(self, identity: Any) -> Any:
        return identity

    def create(self, class_: Any, arguments: tuple[Any, ...]) -> Any:
        raise PickleError("no objects here")

    def set_state(self, target: Any, state: Any) -> Any:
        raise PickleError("no state here")


VALUES = [
    (None, "int?"), (True, "bool"), (0, "int"), (255, "int"), (256, "int"), (65536, "int"), (-1, "int"),
    (2**31, "int"), (-(2**63), "int"), (1.5, "float"), (-0.0, "float"), (math.inf, "float"), (1 + 2j, "complex"),
    ("", "str"), ("ünïcode\n", "str"), ([], "int[]"), ([1, 2], "int[]"), ([1.0], "float[]"), ([True], "bool[]"),
    ([[1], []], "int[][]"), ({"a": 1}, "Dict(str, int)"), ({}, "Dict(int, Tensor)"), ((1, "a"), "(int, str)"),
    (["a", None], "str?[]"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "type_text"), VALUES)
def test_values_come_back(value: Any, type_text: str) -> None:
    data = PickleWriter(lambda stored: "0").finish(value, parse_type(type_text))
    assert PickleReader(data, Plain()).read() == value


def test_pythons_own_pickles_of_plain_values_are_read() -> None:
    value = {"a": [1, 2, (3,)], "b": None, "c": 2**70, "d": -5, "e": 1.5}
    for protocol in (2, 3, 4, 5):
        assert PickleReader(pickle.dumps(value, protocol), Plain()).read() == value


def test_keys_of_all_kinds_are_read() -> None:
    value = {(1, ("a", 2)): 1, 1.5: 2, 2**70: 3, None: 4, True: 5, **{number: number for number in range(1000)}}
    assert PickleReader(pickle.dumps([value] * 200, 2), Plain()).read() == [value] * 200


def test_strings_and_shared_lists_are_written_once() -> None:
    shared = [1, 2, 3]
    data = PickleWriter(lambda stored: "0").finish(
        (shared, shared, "key", "key"), parse_type("(int[], int[], str, str)")
    )
    first, second, *_ = PickleReader(data, Plain()).read()
    assert first is second
    assert data.count(b"key") == 1


def test_views_share_one_storage() -> None:
    base = np.arange(12, dtype=np.float32)
    stored: list[StoredTensor] = []

    def store(tensor: StoredTensor) -> str:
        stored.append(tensor)
        return str(len(stored) - 1)

    halves = (wrap(base[:6]), wrap(base.reshape(3, 4).T))
    PickleWriter(store).finish(halves, parse_type("(Tensor, Tensor)"))
    assert len(stored) == 1
    assert stored[0].content() == base.tobytes()


def test_offset_and_strides_are_those_of_the_view() -> None:
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    stored = StoredTensor(base[1:, ::2])
    assert (stored.offset, stored.sizes, stored.strides, stored.count) == (4, (2, 2), (4, 2), 12)


def test_memory_that_is_no_whole_array_is_copied() -> None:
    stored = StoredTensor(np.arange(4, dtype=np.float32)[::-1])
    assert stored.content() == np.array([3, 2, 1, 0], np.float32).tobytes()


class Boom:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit",))


def doubled_tuple(levels: int) -> bytes:
    """A tuple of two references to a tuple of two references to ..., and the dictionary it is a key of."""
    body = b"".join(
        b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x86q" + bytes([level + 1]) for level in range(levels)
    )
    return b"\x80\x02)q\x00" + body + b"}h" + bytes([levels]) + b"K\x01s."


def alike_numbers(count: int) -> bytes:
    """A dictionary whose keys all have one hash: Python's hash of an integer is its rest modulo 2**61 - 1."""
    numbers = [((place + 1) * ((1 << 61) - 1) + 5).to_bytes(16, "little") for place in range(count)]
    return b"\x80\x02}(" + b"".join(b"\x8a\x10" + number + b"K\x01" for number in numbers) + b"u."


HOSTILE = {
    "a key that is nested without end": b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.",
    "a key that doubles": doubled_tuple(60),
    "keys that are all alike": alike_numbers(60_000),
    "a call": pickle.dumps(Boom(), 2),
    "an import": b"\x80\x02cos\nsystem\n.",
    "cut off": b"\x80\x02X\xff\xff\xff\xffabc",
    "no stop": b"\x80\x02N",
    "empty": b"",
    "an empty stack": b"\x80\x02.",
    "append to a number": b"\x80\x02K\x01K\x02a.",
    "an unknown reference": b"\x80\x02h\x07.",
    "no mark": b"\x80\x02t.",
    "a text opcode": b"\x80\x02I1\n.",
    "a call of a number": b"\x80\x02K\x01)R.",
    "an unhashable key": b"\x80\x02}]K\x01s.",
    "half an entry": b"\x80\x02}(K\x01u.",
    "wrong arguments": b"\x80\x02cbuiltins\ncomplex\nX\x01\x00\x00\x00x\x85R.",
    "protocol 9": b"\x80\x09N.",
    "a mark as value": b"\x80\x02(.",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_and_damaged_pickles_are_refused(data: bytes) -> None:
    with pytest.raises(PickleError):
        PickleReader(data, Plain()).read()
