"""Objects placed in memory without LLVM: calls, data, sharing, and what the loader leaves to LLVM's linker."""

import ctypes
import gc
import math
from pathlib import Path

import pytest

from optc.codegen.machine import jit, loader
from optc.codegen.machine.elf import UnknownObject, read_object
from optc.codegen.machine.host import AVX512, NEON
from optc.errors import InvalidIR

pytestmark = pytest.mark.skipif(not loader.is_supported(), reason="LLVM's linker loads objects here")

ANSWER = "define i32 @answer() {\n  ret i32 42\n}\n"
TWICE = (
    "declare i32 @answer()\ndefine i32 @twice() {\n  %x = call i32 @answer()\n  %y = mul i32 %x, 2\n  ret i32 %y\n}\n"
)
TABLE = """@table = internal constant [4 x double] [double 1.0, double 2.0, double 4.0, double 8.0]
define double @entry(i64 %i) {
  %p = getelementptr double, ptr @table, i64 %i
  %x = load double, ptr %p
  ret double %x
}
"""
COUNTER = """@count = internal global i32 7
define i32 @next() {
  %x = load i32, ptr @count
  %y = add i32 %x, 1
  store i32 %y, ptr @count
  ret i32 %y
}
"""
POINTERS = """@first = global i64 11
@second = global ptr @first
define i64 @through() {
  %p = load ptr, ptr @second
  %x = load i64, ptr %p
  ret i64 %x
}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path))


def loaded(*texts: str) -> jit.Library:
    library = jit.link([jit.compile_module(text) for text in texts])
    assert type(library) is jit.Library, "LLVM's linker was asked"
    return library


def integer(library: jit.Library, symbol: str) -> int:
    return int(ctypes.CFUNCTYPE(ctypes.c_int32)(library.address(symbol))())


def test_objects_call_each_other_in_any_order() -> None:
    assert integer(loaded(ANSWER, TWICE), "twice") == integer(loaded(TWICE, ANSWER), "twice") == 84


def test_the_process_is_called() -> None:
    library = loaded("declare double @cos(double)\ndefine double @f(double %x) {\n"
                     "  %y = call double @cos(double %x)\n  %z = fadd double %y, 1.0\n  ret double %z\n}\n")  # fmt: skip
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(library.address("f"))(0.5) == math.cos(0.5) + 1


def test_an_address_of_the_process_is_data_too() -> None:
    library = loaded("declare i32 @abs(i32)\ndefine ptr @f() {\n  ret ptr @abs\n}\n")
    assert ctypes.CFUNCTYPE(ctypes.c_void_p)(library.address("f"))() == loader.process_symbol("abs")


def test_constants_variables_and_addresses_in_data() -> None:
    entry = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)
    library = loaded(TABLE)
    assert [entry(library.address("entry"))(place) for place in range(4)] == [1, 2, 4, 8]
    library = loaded(COUNTER)
    assert [integer(library, "next") for _ in range(3)] == [8, 9, 10]
    library = loaded(POINTERS)
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("through"))() == 11


def test_equal_objects_are_in_memory_once() -> None:
    one, other = loaded(ANSWER, TWICE), loaded(TABLE, TWICE, ANSWER)
    assert one.address("twice") == other.address("twice")


def test_the_same_code_around_another_function_is_not_shared() -> None:
    one, other = loaded(ANSWER, TWICE), loaded(ANSWER.replace("42", "5"), TWICE)
    assert (integer(one, "twice"), integer(other, "twice")) == (84, 10)


def test_writable_data_is_not_shared() -> None:
    one, other = loaded(COUNTER), loaded(COUNTER)
    assert [integer(one, "next"), integer(one, "next"), integer(other, "next")] == [8, 9, 8]


def test_code_lives_as_long_as_one_user_and_no_longer() -> None:
    one, other = loaded(ANSWER, TWICE), loaded(ANSWER, TWICE)
    address = one.address("twice")
    del one
    gc.collect()
    assert integer(other, "twice") == 84
    assert is_mapped(address)
    del other
    gc.collect()
    assert not is_mapped(address)


def is_mapped(address: int) -> bool:
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, _, last = line.split()[0].partition("-")
        if int(first, 16) <= address < int(last, 16):
            return True
    return False


def test_code_cannot_be_written() -> None:
    address = loaded(ANSWER).address("answer")
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, rights, *_ = line.split()
        first, _, last = bounds.partition("-")
        if int(first, 16) <= address < int(last, 16):
            assert "w" not in rights


def test_missing_and_doubled_symbols_are_named() -> None:
    with pytest.raises(InvalidIR, match="answer"):
        loaded(TWICE)
    with pytest.raises(InvalidIR, match="answer"):
        loaded(ANSWER, ANSWER.replace("42", "1"))


def test_what_is_no_object_of_this_machine_is_refused() -> None:
    good = jit.compile_module(ANSWER)
    for content in (b"", b"\x7fELF", good[:100], good[: len(good) // 2], jit.compile_module(ANSWER, NEON)):
        with pytest.raises(UnknownObject):
            read_object(content)
    assert read_object(jit.compile_module(ANSWER, AVX512)).defined


def test_what_the_loader_cannot_do_llvm_does() -> None:
    ping = (
        "declare i32 @pong(i32)\ndefine i32 @ping(i32 %n) {\n  %z = icmp eq i32 %n, 0\n  br i1 %z, label %e, label %r\n"
    )
    ping += "e:\n  ret i32 9\nr:\n  %m = sub i32 %n, 1\n  %x = call i32 @pong(i32 %m)\n  ret i32 %x\n}\n"
    pong = ping.replace("pong", "gnip").replace("ping", "pong").replace("gnip", "ping")
    library = jit.link([jit.compile_module(ping), jit.compile_module(pong)])
    assert type(library) is not jit.Library
    assert ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(library.address("ping"))(7) == 9
