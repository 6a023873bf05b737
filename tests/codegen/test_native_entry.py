"""What only the native entry does: keywords, defaults, containers, strided arrays, state, results used again."""

import gc
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from optc.codegen.entry import python_layout
from optc.codegen.entry.calculation import Calculation
from optc.codegen.entry.signature import (
    Argument,
    Constant,
    EntryPoint,
    InputSpec,
    NamedItems,
    OutputSpec,
    OutputTree,
    Passthrough,
    PythonEntry,
    Signature,
    State,
    Update,
    Wrapper,
    native_entry,
)
from optc.codegen.llvm import Builder, Module, Value
from optc.codegen.machine import jit
from optc.codegen.process.context import KEPT_CONTEXTS, ContextPool
from optc.codegen.process.context_code import RUN_PARAMETERS
from optc.ir.dims import Dim, Symbolic, maximum, minimum, substitute, symbol

pytestmark = pytest.mark.skipif(not python_layout.is_supported(), reason="this interpreter has no native entry")

Body = Callable[[Builder, Value, Value, Value], None]


class Box:
    """Stands for an array, as `optc.Tensor` does."""

    __slots__ = ("__weakref__", "_array", "label")
    _array: Any
    label: object

    def __init__(self, array: Any) -> None:
        self._array = array
        self.label = None


def tensor(*dims: int | str, dtype: str = "float32") -> InputSpec:
    return InputSpec("tensor", dtype, dims)


def result(*dims: int | str, dtype: str = "float32") -> OutputSpec:
    return OutputSpec("tensor", dtype, dims)


def compiled(body: Body) -> jit.Library:
    module = Module("test")
    function = module.function("run", "i32", RUN_PARAMETERS)
    context, inputs, outputs = function.arguments
    body(Builder(function), context, inputs, outputs)
    return jit.link([jit.compile_module(str(module))])


def make(signature: Signature, body: Body, **options: Any) -> Callable[..., Any]:
    library = compiled(body)
    point = EntryPoint(
        library.address("run"), library, signature, ContextPool(), lambda *a, **k: ("slow", a, k),
        lambda failure, arguments: ("failed", failure, arguments), wrapper=Wrapper(Box, "_array", {"label": None}),
        **options,
    )  # fmt: skip
    entry = native_entry(point)
    assert entry is not None
    return entry


def copies(sizes: Sequence[int]) -> Body:
    """Copies so many bytes of every input (a vector each) to the output of the same number."""

    def body(b: Builder, context: Value, inputs: Value, outputs: Value) -> None:
        for number, bytes_ in enumerate(sizes):
            source, target = (b.load("ptr", b.gep("i64", words, 2 * number), 8) for words in (inputs, outputs))
            b.memcpy(target, source, bytes_)
        b.ret(0)

    return body


def copies_words(count: int) -> Body:
    def body(b: Builder, context: Value, inputs: Value, outputs: Value) -> None:
        for place in range(count):
            b.store(b.load("i64", b.gep("i64", inputs, place)), b.gep("i64", outputs, place))
        b.ret(0)

    return body


INTS = tuple(InputSpec("int") for _ in range(3))
SAME_INTS: OutputTree = tuple(OutputSpec("int") for _ in range(3))
THREE = np.arange(3, dtype=np.float32)
same = Signature((tensor(3),), result(3))


# Keywords and defaults


@pytest.fixture(scope="module")
def named() -> Callable[..., Any]:
    arguments = (Argument(INTS[0], "first"), Argument(INTS[1], "second", 20), Argument(INTS[2], "third", 30))
    return make(Signature(INTS, SAME_INTS), copies_words(3), arguments=arguments)


def test_arguments_come_by_position_by_name_or_by_default(named: Callable[..., Any]) -> None:
    assert named(1, 2, 3) == (1, 2, 3)
    assert named(1) == (1, 20, 30)
    assert named(1, third=3) == (1, 20, 3)
    assert named(third=3, first=1, second=2) == (1, 2, 3)
    assert named(**{"a first"[2:]: 1}) == (1, 20, 30)  # a name that is not interned


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [((), {}), ((), {"second": 2}), ((1, 2, 3, 4), {}), ((1,), {"first": 1}), ((1,), {"fourth": 4})],
)
def test_what_cannot_be_bound_goes_to_the_slow_path(
    named: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    assert named(*arguments, **keywords) == ("slow", arguments, keywords)


def test_a_failed_run_gets_the_bound_arguments() -> None:
    def body(b: Builder, context: Value, inputs: Value, outputs: Value) -> None:
        b.ret(7)

    arguments = (Argument(INTS[0], "first"), Argument(INTS[1], "second", 20))
    fails = make(Signature(INTS[:2], ()), body, arguments=arguments)
    for call in (lambda: fails(1, 2), lambda: fails(first=1, second=2)):
        assert call()[2] == (1, 2)
    kind, failure, given = fails(1)
    assert (kind, failure.code, given) == ("failed", 7, (1, 20))


def test_objects_and_numbers_can_be_fixed() -> None:
    spec = InputSpec("int", value=5)
    arguments = (Argument(Constant(None), "mask", None), Argument(spec, "dim", 5))
    fixed = make(Signature((spec,), OutputSpec("int")), copies_words(1), arguments=arguments)
    assert fixed() == fixed(None, 5) == fixed(dim=5) == 5
    assert fixed(0)[0] == fixed(None, 4)[0] == fixed(dim=True)[0] == "slow"


# Containers


def test_containers_are_taken_apart() -> None:
    arguments = (Argument(INTS[0], "x"), Argument([INTS[1], (INTS[2],)], "rest"))
    tree: OutputTree = (Passthrough(2), [OutputSpec("int"), OutputSpec("int")], OutputSpec("int"))
    flatten = make(Signature(INTS, tree), copies_words(3), arguments=arguments)
    assert flatten(1, [2, (3,)]) == flatten(1, rest=[2, (3,)]) == (3, [1, 2], 3)
    for wrong in ([2], [2, 3], (2, (3,)), [2, [3]], [2, (3, 4)], None, 5, [2, (None,)]):
        assert flatten(1, wrong)[0] == "slow"


def test_dictionaries_are_taken_apart_where_keys_and_their_order_are_the_expected_ones() -> None:
    given: dict[Any, Any] = {"a": INTS[0], 7: [INTS[1]], "b": INTS[2]}
    read = make(Signature(INTS, SAME_INTS), copies_words(3), arguments=(Argument(given, "items"),))
    assert read({"a": 1, 7: [2], "b": 3}) == read(items={"a bit"[:1]: 1, 7: [2], "b": 3}) == (1, 2, 3)
    for wrong in (
        {"a": 1, 7: [2]}, {"a": 1, 7: [2], "b": 3, "c": 4}, {"a": 1, 7: [2], "c": 3}, {7: [2], "a": 1, "b": 3},
        {"a": 1, 7.0: [2], "b": 3}, {"a": 1, 7: 2, "b": 3}, OrderedDict({"a": 1, 7: [2], "b": 3}), [1, [2], 3], None, {},
    ):  # fmt: skip
        assert read(wrong)[0] == "slow", wrong


@pytest.mark.parametrize("kind", ["int", "float", "bool"])
def test_rows_of_numbers_become_a_list(kind: Any) -> None:
    dtypes = {"int": ("int64",), "float": ("float64", "float32"), "bool": ("bool",)}
    for dtype in dtypes[kind]:
        size = 3 * np.dtype(dtype).itemsize
        read = make(
            Signature((tensor(3, dtype=dtype),), {"rows": OutputSpec("tensor", dtype, (3,), rows=kind)}), copies([size])
        )
        for numbers in ([0, 1, 2], [1, 0, 0]):
            expected = np.array(numbers, dtype).tolist()
            found = read(np.array(numbers, dtype))["rows"]
            assert type(found) is list and found == expected and set(map(type, found)) == set(map(type, expected))


def test_rows_that_are_tensors_have_memory_of_their_own() -> None:
    spec = OutputSpec("tensor", "float32", (2, 3), rows="tensor")
    read = make(Signature((tensor(2, 3),), (spec,)), copies([24]))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    first, second = read(x)[0], read(x + 1)[0]
    assert [row.tolist() for row in first] == x.tolist() and [row.tolist() for row in second] == (x + 1).tolist()
    assert all(type(row) is np.ndarray and row.base is None for row in first)
    boxes = read(Box(x))[0]
    assert all(type(box) is Box for box in boxes) and [box._array.tolist() for box in boxes] == x.tolist()
    empty = make(Signature((tensor(0, 3),), OutputSpec("tensor", "float32", (0, 3), rows="tensor")), copies([0]))
    assert empty(np.zeros((0, 3), np.float32)) == []


class Point(NamedTuple):
    x: int
    y: int


def test_dictionaries_and_named_tuples_are_put_together() -> None:
    tree: OutputTree = {
        "point": NamedItems(Point, (OutputSpec("int"), Passthrough(0))), 7: [OutputSpec("int")], "last": OutputSpec("int")
    }  # fmt: skip
    build = make(Signature(INTS, tree), copies_words(3))
    for _ in range(3):
        found = build(10, 20, 30)
        assert found == {"point": Point(10, 10), 7: [20], "last": 30}
        assert list(found) == ["point", 7, "last"] and type(found["point"]) is Point
    first, second = build(1, 2, 3), build(4, 5, 6)
    assert first["last"] == 3 and second["point"].x == 4


def test_a_container_that_loses_its_items_while_native_code_runs_does_no_harm() -> None:
    """What was read is held until the call is over, whoever else lets go of it."""
    items: list[Any] = [np.full(1000, 7, np.float32)]
    slow = make(
        Signature((tensor(1000),), result(1000)), _waits_and_copies, arguments=(Argument([tensor(1000)], "items"),),
        release_gil=True,
    )  # fmt: skip
    results: list[Any] = []
    for _ in range(5):
        items[:] = [np.full(1000, 7, np.float32)]
        thread = threading.Thread(target=lambda: results.append(slow(items)))
        thread.start()
        while thread.is_alive():
            items[:] = [np.full(1000, 8, np.float32)]
    assert all(set(array.tolist()) <= {7.0, 8.0} and len(set(array.tolist())) == 1 for array in results)


def _waits_and_copies(b: Builder, context: Value, inputs: Value, outputs: Value) -> None:
    counter = b.alloca("i64")
    b.store(b.constant("i64", 0), counter)
    with b.for_loop(0, 300_000):
        b.atomic("add", counter, b.constant("i64", 1))
    b.memcpy(b.load("ptr", outputs, 8), b.load("ptr", inputs, 8), 4000)
    b.ret(0)


# Arrays of any layout


@pytest.mark.parametrize("dtype", ["bool", "int16", "float32", "float64", "complex128"])
def test_arrays_with_gaps_are_copied(dtype: str) -> None:
    base = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(dtype)
    views = [base.transpose(2, 0, 1), base[::-1, ::2], base[:, :1, ::-2], base[1:2].T, base[:, :, 3], base[:0, ::2]]
    for view in views:
        signature = Signature((tensor(*view.shape, dtype=dtype),), result(*view.shape, dtype=dtype))

        def body(b: Builder, context: Value, inputs: Value, outputs: Value, bytes_: int = view.nbytes) -> None:
            b.memcpy(b.load("ptr", outputs, 8), b.load("ptr", inputs, 8), bytes_)
            b.ret(0)

        copied = make(signature, body)(view)
        assert copied.flags.c_contiguous
        assert np.array_equal(copied, view)


def test_unaligned_and_read_only_arrays_are_read() -> None:
    unaligned = np.frombuffer(b"x" + THREE.tobytes(), np.uint8)[1:].view(np.float32)
    copy = make(same, copies([12]))
    assert copy(unaligned).tolist() == copy(Box(unaligned))._array.tolist() == THREE.tolist()
    frozen = THREE.copy()
    frozen.setflags(write=False)
    assert copy(frozen).tolist() == THREE.tolist()
    assert copy(THREE.astype(">f4"))[0] == "slow"


# Results used again


def test_a_result_that_nobody_holds_is_used_again() -> None:
    copy = make(same, copies([12]))
    assert len({copy(THREE).ctypes.data for _ in range(50)}) <= 2
    box = Box(THREE)
    assert len({id(copy(box)) for _ in range(50)}) <= 2
    assert len({copy(box)._array.ctypes.data for _ in range(50)}) <= 2


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda box: box,
    "array": lambda box: box._array,
    "view": lambda box: box._array[1:],
    "view of a view": lambda box: box._array[1:][:1],
    "memoryview": lambda box: memoryview(box._array),
    "buffer": lambda box: np.frombuffer(box._array, np.float32),
    "exchange": lambda box: np.from_dlpack(box._array),
    "interface": lambda box: np.asarray(_Interface(box._array)),
    "list": lambda box: [box],
    "closure": lambda box: lambda: box,
}


class _Interface:
    def __init__(self, array: Any) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_a_result_that_somebody_holds_is_never_written_again(hold: Callable[[Any], Any]) -> None:
    copy = make(same, copies([12]))
    kept, expected = [], []
    for number in range(6):
        held = hold(copy(Box(THREE + number)))
        kept.append(held)
        expected.append(_contents(held))
    assert list(map(_contents, kept)) == expected
    assert len({str(contents) for contents in expected}) == 6


def _contents(held: Any) -> Any:
    found = held()._array if callable(held) else held[0]._array if isinstance(held, list) else held
    return np.asarray(found._array if isinstance(found, Box) else found).tolist()


def test_a_weak_reference_keeps_a_result_from_being_used_again() -> None:
    copy = make(same, copies([12]))
    for given in (THREE, Box(THREE)):
        watched = copy(given)
        reference = weakref.ref(watched)
        del watched
        others = [copy(given) for _ in range(5)]
        assert all(reference() is not other for other in others)


CHANGES: dict[str, Callable[[Any], None]] = {
    "label": lambda box: setattr(box, "label", "mine"),
    "array": lambda box: setattr(box, "_array", np.zeros(3, np.float32)),
    "no array": lambda box: delattr(box, "_array"),
    "class": lambda box: setattr(box, "__class__", _OtherBox),
    "read only": lambda box: box._array.setflags(write=False),
    "shape": lambda box: box._array.resize((3, 1), refcheck=False),
    "size": lambda box: box._array.resize(7, refcheck=False),
    "dtype": lambda box: box._array.__setattr__("dtype", np.dtype(np.int32)),
}


class _OtherBox(Box):
    __slots__ = ()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_result_that_was_changed_is_not_used_again(change: Callable[[Any], None]) -> None:
    copy = make(same, copies([12]))
    for _ in range(4):
        change(copy(Box(THREE)))
        fresh = copy(Box(THREE))
        assert (type(fresh), fresh.label, fresh._array.flags.writeable) == (Box, None, True)
        assert (fresh._array.shape, fresh._array.dtype) == ((3,), np.float32)
        assert fresh._array.tolist() == THREE.tolist()


def test_results_of_one_call_never_share_memory() -> None:
    twice = make(Signature((tensor(3), tensor(3)), (result(3), result(3))), copies([12, 12]))
    for given in (THREE, Box(THREE)):
        for _ in range(4):
            first, second = twice(given, THREE + 1)
            arrays = [getattr(value, "_array", value) for value in (first, second)]
            assert not np.shares_memory(*arrays)
            assert [array.tolist() for array in arrays] == [[0, 1, 2], [1, 2, 3]]


def test_a_result_may_be_the_next_argument() -> None:
    def body(b: Builder, context: Value, inputs: Value, outputs: Value) -> None:
        value = b.load("float", b.load("ptr", inputs, 8))
        b.store(b.fadd(value, b.constant("float", 1.0)), b.load("ptr", outputs, 8))
        b.ret(0)

    increment = make(Signature((tensor(1),), result(1)), body)
    for value in (np.zeros(1, np.float32), Box(np.zeros(1, np.float32))):
        state: Any = value
        for _ in range(100):
            state = increment(state)
        assert np.asarray(getattr(state, "_array", state)).tolist() == [100]


def test_big_results_start_on_pages_and_belong_to_numpy() -> None:
    count = 1 << 20
    signature = Signature((tensor("s0"),), result("s0"))
    copy = make(signature, _writes_nothing)
    given = np.zeros(count, np.float32)
    kept = [copy(given) for _ in range(4)]
    assert all(array.ctypes.data % 4096 == 0 and array.flags.owndata for array in kept)
    kept[0].resize(10, refcheck=False)
    assert kept[0].shape == (10,)


def _writes_nothing(b: Builder, context: Value, inputs: Value, outputs: Value) -> None:
    b.ret(0)


def test_a_result_beyond_memory_is_refused() -> None:
    vector = tensor("s0")
    outer = make(Signature((vector,), result("s0", "s0", "s0", "s0")), _writes_nothing)
    with pytest.raises((MemoryError, ValueError)):
        outer(np.zeros(1 << 16, np.float32))
    with pytest.raises(MemoryError):
        make(Signature((vector,), result("s0", 1 << 40)), _writes_nothing)(np.zeros(1 << 18, np.float32))
    assert outer(np.zeros(2, np.float32)).shape == (2, 2, 2, 2)


# State


def test_state_is_found_copied_into_and_rebound() -> None:
    buffer, count = Box(np.zeros(3, np.float32)), Box(np.ones(3, np.float32))
    holder: dict[str, object] = {"buffer": buffer, "latest": count}
    spec = tensor(3)
    states = (State(spec, holder, "buffer"), State(spec, holder, "latest"))

    def body(b: Builder, context: Value, inputs: Value, outputs: Value) -> None:
        x, old, latest = (b.load("ptr", b.gep("i64", inputs, place), 8) for place in (0, 2, 4))
        targets = [b.load("ptr", b.gep("i64", outputs, place), 8) for place in (0, 2, 4)]
        with b.for_loop(0, 3) as loop:
            a, c, d = (b.load("float", b.gep("float", source, loop.index)) for source in (x, old, latest))
            for target, value in zip(targets, (b.fadd(c, d), b.fadd(a, c), a)):
                b.store(value, b.gep("float", target, loop.index))
        b.ret(0)

    accumulate = make(
        Signature((spec, spec, spec), result(3), hidden=(result(3), result(3))), body,
        arguments=(Argument(spec, "x"),), state=states, updates=(Update(0, input=1), Update(1, state=states[1])),
    )  # fmt: skip
    memory = buffer._array
    assert accumulate(THREE).tolist() == [1, 1, 1]
    assert accumulate(THREE + 1).tolist() == [0, 2, 4]
    assert holder["buffer"] is buffer
    assert buffer._array is memory
    assert memory.tolist() == [1, 3, 5]
    latest = holder["latest"]
    assert isinstance(latest, Box)
    assert latest._array.tolist() == [1, 2, 3]
    for number in range(20):
        accumulate(x=THREE + number)
    assert latest._array.tolist() == [1, 2, 3]
    memory.setflags(write=False)
    assert accumulate(THREE)[0] == "slow"
    del holder["buffer"]
    assert accumulate(THREE)[0] == "slow"


# References


def test_calls_of_every_kind_neither_leak_nor_lose_references() -> None:
    marker = object()
    arguments = (Argument([tensor(3), (tensor(3),)], "pair"), Argument(Constant(marker), "marker", marker))
    tree: OutputTree = [result(3), Constant(marker), (Passthrough(1), result(3))]
    call = make(Signature((tensor(3), tensor(3)), tree), copies([12, 12]), arguments=arguments)
    box, array, strided = Box(THREE), THREE.copy(), np.zeros((3, 2), np.float32)[:, 0]
    watched = (marker, box, array, strided, np.dtype(np.float32), Box, "pair")
    pair, strided_pair = [box, (array,)], [array, (strided,)]

    def calls() -> None:
        call(pair)
        call(pair=pair, marker=marker)
        call(strided_pair)
        call([array, (box,)], 5)
        call([array, (None,)])

    calls()
    gc.collect()
    before = list(map(sys.getrefcount, watched))
    for _ in range(300):
        calls()
    gc.collect()
    after = list(map(sys.getrefcount, watched))
    assert np.abs(np.subtract(after, before)).max() <= 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow() -> None:
    count = 1 << 14
    call = make(Signature((tensor(count),), (result(count), [result(count)])), _writes_nothing)
    array, strided = np.zeros(count, np.float32), np.zeros((count, 2), np.float32)[:, 0]

    def calls(times: int) -> None:
        for _ in range(times):
            call(array)
            call(Box(strided))
            kept = [call(array) for _ in range(3)]
            del kept

    calls(50)
    before = _resident()
    calls(2000)
    assert _resident() - before < 8 << 20


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def test_an_entry_gives_its_last_results_back_when_it_goes() -> None:
    for given in (THREE, Box(THREE)):
        copy = make(same, copies([12]))
        last = copy(given)
        references = sys.getrefcount(last)
        del copy
        gc.collect()
        assert sys.getrefcount(last) == references - 1


def test_threads_get_results_of_their_own() -> None:
    copy = make(Signature((tensor(1000),), result(1000)), _waits_and_copies, release_gil=True)
    wrong: list[int] = []

    def work(number: int) -> None:
        given = np.full(1000, number, np.float32)
        wrong.extend(number for _ in range(10) if not (copy(given) == number).all())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("name", ["DATA", "RANK", "DESCR", "FLAGS", "BASE", "TYPE"])
def test_the_layout_test_notices_what_does_not_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_layout, name, getattr(python_layout, name) + 8)
    assert not python_layout.is_supported.__wrapped__()


def test_the_layout_test_notices_other_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_layout, "HEADER", 24)
    assert not python_layout._reference_counts_hold()


def test_contexts_of_a_burst_are_given_up_again() -> None:
    pool = ContextPool(arena_bytes=1 << 16)
    library = compiled(_waits_and_copies)
    point = EntryPoint(
        library.address("run"), library, Signature((tensor(1000),), result(1000)), pool, print, print, release_gil=True
    )  # fmt: skip
    copy = native_entry(point)
    assert copy is not None
    given, most = np.zeros(1000, np.float32), []
    start = threading.Barrier(3 * KEPT_CONTEXTS)

    def work() -> None:
        start.wait()
        for _ in range(10):
            copy(given)
            most.append(len(pool))

    threads = [threading.Thread(target=work) for _ in range(3 * KEPT_CONTEXTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) <= 3 * KEPT_CONTEXTS
    assert 1 <= len(pool) <= KEPT_CONTEXTS
    assert copy(given) is not None


@pytest.mark.parametrize("given", [(2, 3), (7, 5), (12, 9), (0, 6)])
def test_extents_of_results_follow_from_those_of_arguments(given: tuple[int, int]) -> None:
    x, y = symbol("x"), symbol("y")
    dims = (2 * x * y + 3, (x + y) // 4, (3 * x - 1) % y, minimum(x, y), maximum(5, x * x), x // (y - 3), x - y)
    calculations = tuple(Calculation.of(dim) for dim in dims if isinstance(dim, Symbolic))
    outputs = OutputSpec("tensor", "uint8", calculations)
    signature = Signature((InputSpec("tensor", "float32", ("x", "y")),), outputs)
    assert signature.is_preallocated(outputs)
    bound = [substitute(dim, {"x": given[0], "y": given[1]}) for dim in (*dims[:5], dims[6])]
    *known, last = (max(0, extent) for extent in bound if isinstance(extent, int))
    expected = (*known, given[0] // (given[1] - 3 or 1), last)

    def body(b: Builder, context: Value, inputs: Value, outputs: Value) -> None:
        b.ret(0)

    argument = np.zeros(given, np.float32)
    for _ in range(2):
        assert make(signature, body)(argument).shape == expected
    library = compiled(body)
    plain = EntryPoint(library.address("run"), library, signature, ContextPool(), _refused, _refused)
    assert PythonEntry(plain)(argument).shape == expected


def _refused(*arguments: object, **keywords: object) -> object:
    raise AssertionError(arguments)


def test_long_calculations_are_left_to_native_code() -> None:
    extent: Dim = symbol("x")
    for _ in range(20):
        extent = (extent + 1) // 2
    assert isinstance(extent, Symbolic) and Calculation.of(extent) is None
