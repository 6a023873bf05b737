"""Calling compiled code from Python: both entries take what the signature says and hand everything else on."""

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optc.codegen.entry import python_layout
from optc.codegen.entry.function import entry_texts
from optc.codegen.entry.layout import ENTRY, PREFIX
from optc.codegen.entry.signature import (
    Constant,
    EntryPoint,
    InputSpec,
    OutputSpec,
    Passthrough,
    PythonEntry,
    Signature,
    Wrapper,
    make_entry,
)
from optc.codegen.llvm import Builder, Module, Value
from optc.codegen.machine import jit, loader
from optc.codegen.process import context, context_code
from optc.codegen.process.context import ContextPool, Failure
from optc.codegen.process.context_code import RUN_PARAMETERS

Body = Callable[[Builder, Value, Value, Value], None]


class Boxed:
    """Stands for an array, as `optc.Tensor` does."""

    __slots__ = ("_array", "label", "__weakref__")
    _array: Any
    label: object

    def __init__(self, array: Any) -> None:
        self._array = array
        self.label = "by hand"


BOX = Wrapper(Boxed, "_array", {"label": None})
MATRIX = InputSpec("tensor", "float32", (2, 2))
MATRIX_RESULT = OutputSpec("tensor", "float32", (2, 2))


@pytest.fixture(params=["native", "ctypes"])
def build(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Compiles a body and makes an entry of the kind under test."""
    if request.param == "native" and not python_layout.is_supported():
        pytest.skip("this interpreter has no native entry")

    def make(signature: Signature, body: Body, **options: Any) -> Any:
        module = Module("test")
        function = module.function("run", "i32", RUN_PARAMETERS)
        b = Builder(function)
        context_, inputs, outputs = function.arguments
        body(b, context_, inputs, outputs)
        library = jit.link([jit.compile_module(str(module))])
        options.setdefault("contexts", ContextPool())
        options.setdefault("on_failure", lambda failure, args: ("failed", failure, args))
        point = EntryPoint(
            library.address("run"),
            library,
            signature,
            slow_path=lambda *args, **keywords: ("slow", args, keywords),
            **options,
        )
        return make_entry(point, native=request.param == "native")

    return make


def add_four(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
    """outputs[0] = inputs[0] + inputs[1], two by two."""
    first = b.load("<4 x float>", b.load("ptr", inputs, 8))
    second = b.load("<4 x float>", b.load("ptr", b.gep("i64", inputs, 3), 8))
    b.store(b.fadd(first, second), b.load("ptr", outputs, 8))
    b.ret(0)


def copy_words(count: int) -> Body:
    """Copies words from the inputs to the outputs."""

    def body(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
        for position in range(count):
            b.store(b.load("i64", b.gep("i64", inputs, position)), b.gep("i64", outputs, position))
        b.ret(0)

    return body


def fill_ones(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
    """Allocates a vector with as many ones as the int argument says."""
    count = b.load("i64", inputs)
    data = context_code.call_allocate_output(b, context_, 0, b.mul(count, 4))
    b.store(data, outputs, 8)
    b.store(count, b.gep("i64", outputs, 1))
    with b.for_loop(0, count) as loop:
        b.store(b.constant("float", 1.0), b.gep("float", data, loop.index))
    b.ret(0)


ADD = Signature((MATRIX, MATRIX), MATRIX_RESULT)
ones = np.ones((2, 2), np.float32)


def test_layout_of_arrays_is_as_expected_on_this_interpreter() -> None:
    assert python_layout.is_supported() == (sys.implementation.name == "cpython")


def test_a_tensor_comes_back_in_a_fresh_array(build: Callable[..., Any]) -> None:
    add = build(ADD, add_four)
    first, second = add(ones, ones), add(ones, 2 * ones)
    assert first.tolist() == [[2, 2], [2, 2]]
    assert second.tolist() == [[3, 3], [3, 3]]
    assert first is not second
    assert first.flags.owndata
    assert first.flags.writeable


@pytest.mark.parametrize(
    "arguments",
    [
        (ones,),
        (ones, ones, ones),
        (ones, ones.astype(np.float64)),
        (ones, ones[0]),
        (ones, np.ones((2, 3), np.float32)),
        (ones, None),
        (ones, [[1, 1], [1, 1]]),
        (1, ones),
        (ones, np.ma.array(ones)),
        (ones, ones.astype(">f4")),
        (ones, np.frombuffer(b"x" * 17, np.uint8)[1:].view("f4")[:4]),
    ],
    ids=lambda arguments: "_".join(type(a).__name__ for a in arguments),
)
def test_what_does_not_fit_goes_to_the_slow_path(build: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    kind, passed, keywords = build(ADD, add_four)(*arguments)
    assert kind == "slow"
    assert all(given is got for given, got in zip(arguments, passed, strict=True))
    assert keywords == {}


def test_unknown_keyword_arguments_go_to_the_slow_path(build: Callable[..., Any]) -> None:
    assert build(ADD, add_four)(ones, other=ones) == ("slow", (ones,), {"other": ones})


def test_numbers_pass_through_the_words(build: Callable[..., Any]) -> None:
    signature = Signature(
        (InputSpec("int"), InputSpec("float"), InputSpec("bool")),
        (OutputSpec("int"), OutputSpec("float"), OutputSpec("bool")),
    )
    copy = build(signature, copy_words(3))
    assert copy(-1, -0.0, True) == (-1, 0.0, True)
    assert copy(-(1 << 63), float("inf"), False) == (-(1 << 63), float("inf"), False)
    assert [type(value) for value in copy(3, 2.5, False)] == [int, float, bool]
    assert copy(7, np.float64(1.0), True)[0] == "slow"
    for wrong in [(1 << 63, 1.0, True), (True, 1.0, True), (1, 1, True), (1, 1.0, 1), ("1", 1.0, True)]:
        assert copy(*wrong) == ("slow", wrong, {})


def test_nested_results_passthroughs_and_constants(build: Callable[..., Any]) -> None:
    tree = (OutputSpec("int"), [Passthrough(0), (Constant(None), OutputSpec("int"))], ())
    copy = build(Signature((InputSpec("int"), InputSpec("int")), tree), copy_words(2))
    assert copy(1000, 2000) == (1000, [1000, (None, 2000)], ())


def test_a_symbol_is_one_extent_everywhere_and_never_one(build: Callable[..., Any]) -> None:
    vector = InputSpec("tensor", "float32", ("s0",))
    same = build(Signature((vector, vector), OutputSpec("tensor", "float32", ("s0", 2))), _write_nothing)
    three = np.zeros(3, np.float32)
    assert same(three, three).shape == (3, 2)
    assert same(three[:0], three[:0]).shape == (0, 2)
    assert same(three, three[:2])[0] == "slow"
    assert same(three[:1], three[:1])[0] == "slow"


def _write_nothing(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
    b.ret(0)


def test_an_output_of_unknown_extent_is_allocated_by_the_native_code(build: Callable[..., Any]) -> None:
    fill = build(Signature((InputSpec("int"),), OutputSpec("tensor", "float32", ("u0",))), fill_ones)
    for count in (0, 1, 5, 100_000):
        result = fill(count)
        assert result.shape == (count,)
        assert (result == 1).all()


def test_an_error_code_reaches_the_handler_with_its_details(build: Callable[..., Any]) -> None:
    def body(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
        context_code.store_details(b, context_, [b.constant("i64", 11), b.load("i64", inputs)])
        b.ret(b.select(b.icmp("eq", b.load("i64", inputs), 0), b.constant("i32", 0), 7))

    pool = ContextPool()
    fails = build(Signature((InputSpec("int"),), MATRIX_RESULT), body, contexts=pool)
    kind, failure, arguments = fails(5)
    assert (kind, failure.code, failure.details[:2], arguments) == ("failed", 7, (11, 5), (5,))
    assert fails(0).shape == (2, 2)
    assert len(pool) == 1


def test_a_handler_that_raises_leaves_the_function_usable(build: Callable[..., Any]) -> None:
    def body(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
        b.ret(b.trunc(b.load("i64", inputs), "i32"))

    def refuse(failure: Failure, arguments: tuple[object, ...]) -> object:
        raise IndexError(f"code {failure.code}")

    pool = ContextPool()
    function = build(Signature((InputSpec("int"),), MATRIX_RESULT), body, contexts=pool, on_failure=refuse)
    for _ in range(3):
        with pytest.raises(IndexError, match="code 4"):
            function(4)
        with pytest.raises(MemoryError):
            function(context.OUT_OF_MEMORY)
    assert function(0).shape == (2, 2)
    assert len(pool) == 1


class Failing:
    """Islands of which every second run fails."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.seen: list[int | str] = []

    def run(self, context_: context.Context, number: int, words: int) -> None:
        self.seen.append(number)
        if len(self.seen) == 2:
            raise self.error

    def undo(self, context_: context.Context) -> object:
        self.seen.append("undone")
        return "what was shown"


def test_an_island_runs_python_and_its_error_reaches_the_handler(build: Callable[..., Any]) -> None:
    def body(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
        b.ret(context_code.call_island(b, context_, 42, inputs))

    islands = Failing(KeyError("the island"))
    function = build(Signature((), Constant("done")), body, contexts=ContextPool(islands=islands))
    assert function() == "done"
    kind, failure, arguments = function()
    assert (kind, failure.exception, failure.shown, arguments) == ("failed", islands.error, "what was shown", ())
    assert function() == "done"
    assert islands.seen == [42, 42, "undone", 42]


def test_an_interrupted_island_interrupts_the_call(build: Callable[..., Any]) -> None:
    def body(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
        b.ret(context_code.call_island(b, context_, 42, inputs))

    pool = ContextPool(islands=Failing(KeyboardInterrupt()))
    function = build(Signature((), Constant("done")), body, contexts=pool)
    assert function() == "done"
    with pytest.raises(KeyboardInterrupt):
        function()
    assert function() == "done"


def test_the_arena_grows_and_scratch_memory_is_aligned(build: Callable[..., Any]) -> None:
    def body(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
        bytes_ = b.load("i64", inputs)
        arena = context_code.call_grow_arena(b, context_, bytes_)
        b.memset(arena, 7, bytes_)
        scratch = context_code.call_allocate(b, context_, bytes_)
        b.store(b.intrinsic("ptrmask", "ptr", scratch, b.constant("i64", 63), overload=("ptr", "i64")), outputs, 8)
        b.store(context_code.load_field(b, context_, "arena_bytes"), b.gep("i64", outputs, 1))
        context_code.call_release(b, context_, scratch)
        b.ret(0)

    sizes = build(
        Signature((InputSpec("int"),), (OutputSpec("int"), OutputSpec("int"))),
        body,
        contexts=ContextPool(arena_bytes=128),
    )
    assert [sizes(size) for size in (64, 1000, 500, 100_000)] == [(0, 128), (0, 1000), (0, 1000), (0, 100_000)]


def test_constants_come_through_the_context(build: Callable[..., Any]) -> None:
    weights = [np.full(4, value, np.float32) for value in (3, 5)]

    def body(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
        vectors = [b.load("<4 x float>", context_code.constant_pointer(b, context_, index)) for index in (0, 1)]
        b.store(b.fsub(vectors[1], vectors[0]), b.load("ptr", outputs, 8))
        b.ret(0)

    pool = ContextPool([array.ctypes.data for array in weights], owner=weights)
    assert build(Signature((), MATRIX_RESULT), body, contexts=pool)().tolist() == [[2, 2], [2, 2]]


# Wrapped arrays


def test_results_are_wrapped_like_the_first_tensor_argument(build: Callable[..., Any]) -> None:
    add = build(ADD, add_four, wrapper=BOX)
    result = add(Boxed(ones), ones)
    assert type(result) is Boxed
    assert result.label is None
    assert result._array.tolist() == [[2, 2], [2, 2]]
    assert type(add(ones, Boxed(ones))) is np.ndarray


def test_a_wrapper_that_holds_something_else_goes_to_the_slow_path(build: Callable[..., Any]) -> None:
    add = build(ADD, add_four, wrapper=BOX)
    for held in (None, [1.0], np.ones((2, 2)), np.ma.array(ones)):
        assert add(Boxed(held), ones)[0] == "slow"
    assert add(object.__new__(Boxed), ones)[0] == "slow"
    assert build(ADD, add_four)(Boxed(ones), ones)[0] == "slow"


def test_without_tensor_arguments_the_entry_says_whether_to_wrap(build: Callable[..., Any]) -> None:
    signature = Signature((), MATRIX_RESULT)
    assert type(build(signature, _write_nothing, wrapper=BOX, default_family="wrapped")()) is Boxed
    assert type(build(signature, _write_nothing, wrapper=BOX)()) is np.ndarray


# Memory


def test_an_array_that_somebody_holds_is_never_written_again(build: Callable[..., Any]) -> None:
    add = build(ADD, add_four, wrapper=BOX)
    kept = [add(ones, np.float32(k) * ones) for k in range(10)]
    views = [add(ones, np.float32(k) * ones)[0] for k in range(10)]
    buffers = [memoryview(add(ones, np.float32(k) * ones)) for k in range(10)]
    boxes = [add(Boxed(ones), np.float32(k) * ones) for k in range(10)]
    for k in range(10):
        assert kept[k].tolist() == [[k + 1] * 2] * 2
        assert views[k].tolist() == [k + 1] * 2
        assert buffers[k].tolist() == [[k + 1] * 2] * 2
        assert boxes[k]._array.tolist() == [[k + 1] * 2] * 2


def test_an_array_that_was_changed_is_not_recycled(build: Callable[..., Any]) -> None:
    add = build(ADD, add_four)

    def check() -> None:
        result = add(ones, ones)
        assert (result.shape, result.dtype, result.flags.writeable) == ((2, 2), np.float32, True)
        assert result.tolist() == [[2, 2], [2, 2]]

    add(ones, ones).setflags(write=False)
    check()
    add(ones, ones).resize((4, 1), refcheck=False)
    check()
    add(ones, ones).resize((5, 1000), refcheck=False)
    check()
    watched = add(ones, ones)
    reference = weakref.ref(watched)
    del watched
    replacement = add(ones, ones)
    assert reference() is not replacement


def test_a_native_entry_recycles_what_nobody_holds() -> None:
    if not python_layout.is_supported():
        pytest.skip("this interpreter has no native entry")
    library, signature = _compiled(add_four), ADD
    add = make_entry(EntryPoint(library.address("run"), library, signature, ContextPool(), print, print))
    addresses = {add(ones, ones).ctypes.data for _ in range(50)}  # type: ignore[attr-defined]
    assert len(addresses) <= 2


def _compiled(body: Body) -> jit.Library:
    module = Module("test")
    function = module.function("run", "i32", RUN_PARAMETERS)
    context_, inputs, outputs = function.arguments
    body(Builder(function), context_, inputs, outputs)
    return jit.link([jit.compile_module(str(module))])


def test_calls_neither_leak_nor_lose_references(build: Callable[..., Any]) -> None:
    marker = object()
    tree = [MATRIX_RESULT, Constant(marker), (Passthrough(0),)]
    add = build(Signature((MATRIX, MATRIX), tree), add_four, wrapper=BOX)
    boxed, array = Boxed(ones), np.ones((2, 2), np.float32)
    dtype = np.dtype(np.float32)
    add(boxed, array)
    gc.collect()  # what other tests left must not be counted as given back by these calls
    before = [sys.getrefcount(o) for o in (marker, boxed, array, dtype, Boxed)]
    for _ in range(200):
        add(boxed, array)
        add(array, boxed)
        add(array, 5)
    gc.collect()
    after = [sys.getrefcount(o) for o in (marker, boxed, array, dtype, Boxed)]
    assert np.abs(np.subtract(after, before)).max() <= 2


def test_failed_calls_do_not_leak(build: Callable[..., Any]) -> None:
    def body(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
        b.store(context_code.call_allocate_output(b, context_, 1, b.constant("i64", 8)), b.gep("i64", outputs, 3), 8)
        b.ret(3)

    tree = (MATRIX_RESULT, OutputSpec("tensor", "float32", ("u0",)))
    fails = build(Signature((), tree), body, on_failure=lambda failure, arguments: failure.code)
    dtype = np.dtype(np.float32)
    assert fails() == 3
    before = sys.getrefcount(dtype)
    assert [fails() for _ in range(100)] == [3] * 100
    assert abs(sys.getrefcount(dtype) - before) <= 2


def test_an_entry_frees_everything_when_it_goes(build: Callable[..., Any]) -> None:
    pool = ContextPool(arena_bytes=64)
    add = build(ADD, add_four, contexts=pool)
    result = add(ones, ones)
    gone = weakref.ref(pool)
    del add, pool
    gc.collect()
    assert gone() is None
    assert result.tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize("release_gil", [False, True])
def test_many_threads_call_at_once(build: Callable[..., Any], release_gil: bool) -> None:
    """The body writes to its arena, waits a little, and reads back: two calls with one arena would mix values."""

    def body(b: Builder, context_: Value, inputs: Value, outputs: Value) -> None:
        value = b.load("i64", inputs)
        arena = context_code.load_field(b, context_, "arena")
        b.store(value, arena)
        with b.for_loop(0, 20_000):
            b.atomic("add", b.gep("i64", arena, 1), b.constant("i64", 1))
        b.store(b.load("i64", arena), outputs)
        b.ret(0)

    pool = ContextPool(arena_bytes=64)
    function = build(Signature((InputSpec("int"),), OutputSpec("int")), body, contexts=pool, release_gil=release_gil)
    wrong: list[int] = []

    def work(value: int) -> None:
        wrong.extend(value for _ in range(30) if function(value) != value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(pool) <= 6


def test_make_entry_falls_back_to_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_layout, "is_supported", lambda: False)
    library = _compiled(add_four)
    add = make_entry(EntryPoint(library.address("run"), library, ADD, ContextPool(), print, print))
    assert isinstance(add, PythonEntry)
    assert np.array_equal(add(ones, ones), 2 * ones)  # type: ignore[arg-type]


def test_slot_offset_refuses_what_is_no_slot() -> None:
    class Ordinary:
        value = 3

    with pytest.raises(TypeError, match="not a slot"):
        python_layout.slot_offset(Ordinary, "value")


def test_llvms_own_linker_takes_the_entry_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does elsewhere than on Linux, and may place the two modules far from each other."""
    monkeypatch.setattr(loader, "is_supported", lambda: False)
    rare, common, words = entry_texts.__wrapped__()
    assert "dso_local" not in common
    library = jit.link([jit.compile_module(text) for text in (rare, common)])
    assert library.address(ENTRY) and library.address("table")
    assert all(library.address(word) for word in words if word.startswith(PREFIX))
