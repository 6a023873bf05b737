"""From text to running code, and the cache of objects between."""

import ctypes
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from optc.codegen.machine import effort, jit
from optc.codegen.machine.host import AVX2, AVX512, GENERIC, NEON, Target
from optc.codegen.machine.object_cache import ObjectCache
from optc.errors import InvalidIR

RETURNS = "define i32 @answer() {{\n  ret i32 {}\n}}\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has an object cache of its own."""
    monkeypatch.setenv("OPTC_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("OPTC_CACHE", raising=False)
    return tmp_path


def answer(library: jit.Library, symbol: str = "answer") -> int:
    return int(ctypes.CFUNCTYPE(ctypes.c_int32)(library.address(symbol))())


def test_compiled_code_runs() -> None:
    assert answer(jit.link([jit.compile_module(RETURNS.format(42))])) == 42


def test_objects_of_one_library_call_each_other_and_the_process() -> None:
    caller = (
        "declare i32 @answer()\ndeclare i32 @abs(i32)\ndefine i32 @twice() {\n  %x = call i32 @answer()\n"
        "  %y = call i32 @abs(i32 %x)\n  %z = mul i32 %y, 2\n  ret i32 %z\n}\n"
    )
    library = jit.link([jit.compile_module(caller), jit.compile_module(RETURNS.format(-21))])
    assert answer(library, "twice") == 42


def test_libraries_do_not_see_each_other() -> None:
    libraries = [jit.link([jit.compile_module(RETURNS.format(number))]) for number in range(20)]
    assert [answer(library) for library in libraries] == list(range(20))
    del libraries[::2]
    gc.collect()
    assert [answer(library) for library in libraries] == list(range(1, 20, 2))


def test_missing_and_doubled_symbols_are_errors() -> None:
    library = jit.link([jit.compile_module(RETURNS.format(1))])
    with pytest.raises(KeyError, match="nothing_like_it"):
        library.address("nothing_like_it")
    with pytest.raises(InvalidIR, match="answer"):
        jit.link([jit.compile_module(RETURNS.format(number)) for number in (1, 2)])
    dangling = "declare i32 @optc_nowhere()\ndefine i32 @answer() {\n  %x = call i32 @optc_nowhere()\n  ret i32 %x\n}\n"
    with pytest.raises((KeyError, InvalidIR)):
        jit.link([jit.compile_module(dangling)]).address("answer")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("define i32 @f() {\n  ret float 1.0\n}\n", "2 |   ret float 1.0"),
        ("define i32 @f() {\n  %x = add i32 %missing, 1\n  ret i32 %x\n}\n", "%missing"),
        ("define i32 @f() {\n  %y = add i32 %z, 1\n  %z = add i32 1, 1\n  ret i32 %y\n}\n", "2 |   %y = add i32 %z, 1"),
        ("define i32 @f() {\n", "LLVM refuses"),
        (
            (
                "declare float @llvm.sqrt.f64(double)\ndefine float @f(double %x) {\n"
                "  %r = call float @llvm.sqrt.f64(double %x)\n  ret float %r\n}\n"
            ),
            "LLVM refuses",
        ),
        ("total nonsense", "total nonsense"),
    ],
    ids=["type", "undefined", "dominance", "truncated", "intrinsic", "nonsense"],
)
def test_invalid_text_is_an_error_that_shows_the_line(text: str, shown: str) -> None:
    with pytest.raises(InvalidIR) as caught:
        jit.compile_module(text)
    assert shown in str(caught.value)


@pytest.mark.parametrize("target", [AVX512, AVX2, GENERIC, NEON], ids=lambda target: target.cpu)
def test_assembly_for_every_target(target: Target) -> None:
    lanes = target.lanes("float")
    text = (
        f"define <{lanes} x float> @f(<{lanes} x float> %x) {{\n  %y = fadd <{lanes} x float> %x, %x\n"
        f"  ret <{lanes} x float> %y\n}}\n"
    )
    register = {64: "%zmm0", 32: "%ymm0", 16: "%xmm0"}[target.vector_bytes] if target.is_x86 else "v0.4s"
    assert register in jit.assembly(text, target)


def test_the_host_target_describes_this_machine() -> None:
    host = jit.host_target()
    assert host.vector_bytes in (16, 32, 64)
    assert host.lanes("float") == host.vector_bytes // 4
    assert host.cpu


def test_the_pipeline_cleans_up() -> None:
    text = (
        "define i32 @f(i32 %x) {\n  %p = alloca i32\n  store i32 %x, ptr %p\n  %a = load i32, ptr %p\n"
        "  %b = load i32, ptr %p\n  %c = sub i32 %a, %b\n  ret i32 %c\n}\n"
    )
    assert "ret i32 0" in jit.optimized(text)
    assert "alloca" not in jit.optimized(text)


# The cache


def stored(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.bin"))


def test_a_second_compilation_comes_from_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = jit.compile_module(RETURNS.format(5))
    assert len(stored(cache)) == 1
    monkeypatch.setattr(jit, "_emit", _must_not_run)
    assert jit.compile_module(RETURNS.format(5)) == first
    with pytest.raises(AssertionError, match="compiled again"):
        jit.compile_module(RETURNS.format(6))


def _must_not_run(*arguments: object) -> object:
    raise AssertionError("compiled again")


def test_target_version_and_pipeline_are_part_of_the_key(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = RETURNS.format(5)
    for target in (AVX2, GENERIC, None):
        jit.compile_module(text, target)
    monkeypatch.setattr(jit, "CODEGEN_VERSION", -1)
    jit.compile_module(text)
    monkeypatch.setattr(effort, "PIPELINE", ("dce",))
    jit.compile_module(text)
    assert len(stored(cache)) == 5


@pytest.mark.parametrize("damage", [b"", b"garbage", None], ids=["empty", "garbage", "flipped bit"])
def test_a_damaged_entry_is_compiled_again(cache: Path, damage: bytes | None) -> None:
    first = jit.compile_module(RETURNS.format(5))
    (path,) = stored(cache)
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]) if damage is None else damage)
    assert jit.compile_module(RETURNS.format(5)) == first
    assert path.read_bytes() == good


def test_the_cache_can_be_turned_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTC_CACHE", "0")
    assert answer(jit.link([jit.compile_module(RETURNS.format(5))])) == 5
    assert stored(cache) == []


def test_a_directory_that_cannot_be_used_costs_nothing_but_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("not a directory")
    monkeypatch.setenv("OPTC_CACHE_DIR", str(cache / "file"))
    assert answer(jit.link([jit.compile_module(RETURNS.format(5))])) == 5


def test_the_cache_stays_within_its_limit_and_drops_the_oldest(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "small", limit=10_000)
    for number in range(40):
        cache.put(f"{number:064x}", bytes(1000))
        path = Path(cache._path(f"{number:064x}"))
        if path.exists():
            os.utime(path, (number, number))
    assert sum(path.stat().st_size for path in stored(tmp_path)) <= 10_000
    assert cache.get(f"{39:064x}") == bytes(1000)
    assert cache.get(f"{0:064x}") is None


def test_processes_share_the_cache(cache: Path) -> None:
    program = f"from optc.codegen.machine import jit; jit.compile_module({RETURNS.format(5)!r})"
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(stored(cache)) == 2, "the object, and what LLVM says of the processor"


def test_threads_compile_and_link_at_once() -> None:
    results: dict[int, int] = {}

    def work(number: int) -> None:
        results[number] = answer(jit.link([jit.compile_module(RETURNS.format(number % 4))]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: number % 4 for number in range(12)}


def test_modules_are_compiled_side_by_side_and_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [RETURNS.format(number) for number in (3, 1, 3, 2)]
    alone = [jit.compile_module(text, cached=False) for text in texts]
    for threads in (1, 3):
        monkeypatch.setattr(jit, "get_num_threads", lambda threads=threads: threads)
        assert jit.compile_modules(texts, cached=False) == alone
    assert jit.compile_modules(texts) == alone
    monkeypatch.setattr(jit, "_emit_all", lambda texts, target: [_must_not_run() for _ in texts])
    assert jit.compile_modules(texts) == alone


def test_the_first_bad_module_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "get_num_threads", lambda: 2)
    texts = [RETURNS.format(number) for number in range(6)]
    with pytest.raises(InvalidIR):
        jit.compile_modules([*texts, "define i32 @broken() {\n  ret i64 1\n}\n"])
    assert len(jit.compile_modules(texts)) == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded")
def test_a_fork_waits_for_threads_that_compile() -> None:
    compiling = threading.Thread(
        target=lambda: [jit.compile_module(RETURNS.format(n), cached=False) for n in range(40)]
    )
    compiling.start()
    children = []
    for _ in range(5):
        child = os.fork()
        if child == 0:
            os._exit(0 if jit.compile_module(RETURNS.format(7), cached=False) else 1)
        children.append(child)
    compiling.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 5


def test_shared_code_is_written_once(cache: Path) -> None:
    written: list[int] = []

    def write() -> tuple[str, list[str]]:
        written.append(1)
        return RETURNS.format(11), ["word"]

    found: list[tuple[bytes, dict[str, int]]] = []
    threads = [
        threading.Thread(target=lambda: found.append(jit.compile_generated(f"test {cache}", write))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 1
    assert found == [found[0]] * 4
    assert found[0][1] == {"word": 0}
