"""The thread pool: who runs what, and what happens when threads are late, busy, forked away or gone."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from optc.codegen.kernels.splitting import SPLIT_WORTH
from optc.codegen.llvm import Builder, Module, Parameter
from optc.codegen.machine import jit
from optc.codegen.process.context import Context, ContextPool
from optc.codegen.process.pool_layout import OPERATIONS_PER_MICROSECOND
from optc.codegen.process.threads import ThreadPool

MUCH = 10**12
"""Operations that are worth every thread."""

CONDITION_VARIABLES = jit.host_target().triple.replace("linux", "bsd")
"""A system whose threads sleep on a condition variable instead of a futex; this one has those too."""


@cache
def tasks() -> jit.Library:
    """`count_units`: adds 1 to each of an array's units and notes the thread behind it; `slow_units`: the same, each
    unit taking some time; `stopped_units`: the same, far longer on other threads than the noted one; `long_units`: about a microsecond of arithmetic per unit; `product`: 1e-30f * 1e-10f, which is 0 where denormals are flushed."""
    module = Module("tasks")
    parameters = [Parameter("ptr", "words"), Parameter("i64", "start"), Parameter("i64", "stop")]
    thread = module.declare("pthread_self", "i64", [])
    sleep = module.declare("usleep", "i32", ["i32"])
    for name in ("count_units", "slow_units", "measured_units", "stopped_units"):
        b = Builder(module.function(name, "void", parameters))
        words, start, stop = b.function.arguments
        with b.for_loop(start, stop) as loop:
            unit = b.gep("i64", words, b.mul(loop.index, 2))
            owner = b.gep("i64", unit, 1)
            if name == "slow_units":
                b.call(sleep, 200)
            if name == "stopped_units":
                is_owner = b.icmp("eq", b.load("i64", owner), b.call(thread))
                b.call(sleep, b.select(is_owner, b.constant("i32", 200), b.constant("i32", 3000)))
            b.store(b.add(b.load("i64", unit), 1), unit)
            b.store(b.sub(stop, start) if name == "measured_units" else b.call(thread), owner)
            loop.yield_([])
        b.ret()
    b = Builder(module.function("long_units", "void", parameters))
    words, start, stop = b.function.arguments
    with b.for_loop(start, stop) as loop:
        unit = b.gep("double", words, b.mul(loop.index, 1024))
        with b.for_loop(0, 1000, carried=[b.load("double", unit)]) as squaring:
            squaring.yield_([b.fmul(squaring.carried[0], squaring.carried[0])])
        b.store(squaring.results[0], unit)
        loop.yield_([])
    b.ret()
    b = Builder(module.function("product", "void", parameters))
    words, start, stop = b.function.arguments
    with b.for_loop(start, stop) as loop:
        unit = b.gep("float", words, loop.index)
        b.store(b.fmul(b.load("float", unit), b.constant("float", 1e-10)), unit)
        loop.yield_([])
    b.ret()
    return jit.link([jit.compile_module(str(module))])


@dataclass
class Caller:
    """Calls `parallel` as compiled code does."""

    pool: ThreadPool
    context: Context

    def run(self, task: str, units: np.ndarray, count: int, operations: int = MUCH, together: int = 1) -> None:
        prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 3)
        address = tasks().address(task)
        parallel = prototype(self.context["parallel"])
        parallel(self.context.address, address, units.ctypes.data, count, operations, together)

    def counts(self, count: int, operations: int = MUCH, task: str = "count_units") -> tuple[list[int], list[int]]:
        """How often each unit ran, and on which thread."""
        units = np.zeros((count, 2), np.int64)
        self.run(task, units, count, operations)
        return units[:, 0].tolist(), units[:, 1].tolist()


@pytest.fixture(params=["futex", "condition variable"])
def make_caller(request: pytest.FixtureRequest) -> Iterator[Callable[[int], Caller]]:
    """Makes callers of one pool, by number of threads."""
    host = jit.host_target().triple
    pool = ThreadPool.load(host if request.param == "futex" else CONDITION_VARIABLES)
    yield lambda number: Caller(pool, ContextPool(threads=pool.threads(number)).create())
    pool.stop()


Make = Callable[[int], Caller]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 100, 1001])
def test_every_unit_runs_once(make_caller: Make, number: int, count: int) -> None:
    caller = make_caller(number)
    for _ in range(20):
        assert caller.counts(count)[0] == [1] * count


@pytest.mark.alone
def test_the_same_thread_gets_the_same_range(make_caller: Make) -> None:
    """Unless it comes late: who is free takes what others have not begun."""
    caller = make_caller(2)
    runs = [caller.counts(8, task="slow_units")[1] for _ in range(20)]
    first, last = ([run[unit] for run in runs] for unit in (0, 4))
    me = threading.get_ident()
    worker = next(thread for thread in last if thread != me)
    assert first.count(me) > 5
    assert last.count(worker) > 5


@pytest.mark.parametrize(("count", "lengths"), [(24, {2}), (16, {1}), (34, {2, 3}), (200, {12, 13})])
def test_ranges_that_are_claimed_have_as_many_units_each(make_caller: Make, count: int, lengths: set[int]) -> None:
    """At most eight for each thread, and as few as that many units make."""
    assert set(make_caller(2).counts(count, task="measured_units")[1]) == lengths


@pytest.mark.parametrize(("together", "lengths"), [(1, {2}), (3, {3}), (5, {6}), (12, {12}), (24, {12})])
def test_units_that_go_together_are_claimed_at_once(make_caller: Make, together: int, lengths: set[int]) -> None:
    units = np.zeros((24, 2), np.int64)
    make_caller(2).run("measured_units", units, 24, together=together)
    assert set(units[:, 1].tolist()) == lengths


def test_no_thread_is_made_for_little_work(make_caller: Make) -> None:
    caller = make_caller(2)
    assert set(caller.counts(100, operations=1000)[1]) == {threading.get_ident()}
    assert caller.pool.workers == 0


def test_sleeping_threads_are_left_alone_for_some_microseconds_of_work(make_caller: Make) -> None:
    caller = make_caller(2)
    caller.counts(100)
    assert caller.pool.workers == 1
    time.sleep(0.05)
    assert set(caller.counts(100, operations=300_000, task="slow_units")[1]) == {threading.get_ident()}


def test_threads_wake_when_small_jobs_of_one_call_add_up(make_caller: Make) -> None:
    caller = make_caller(2)
    caller.counts(100)
    time.sleep(0.05)
    owners: list[int] = []
    while 2 not in owners and len(owners) < 500:  # the second processor may be busy with another test
        owners.append(len(set(caller.counts(10, operations=300_000, task="slow_units")[1])))
    assert owners[0] == 1
    assert 2 in owners


def test_a_thread_that_does_not_come_costs_nothing_but_its_help(make_caller: Make) -> None:
    """The pool believes that its workers are awake, but they sleep: the caller runs everything."""
    caller = make_caller(3)
    caller.counts(10)
    time.sleep(0.05)
    caller.pool.forget_sleepers()
    counts, threads = caller.counts(30)
    assert counts == [1] * 30
    assert set(threads) == {threading.get_ident()}


def test_two_callers_at_once_are_both_right(make_caller: Make) -> None:
    wrong: list[object] = []

    def call() -> None:
        caller = make_caller(2)
        wrong.extend(count for _ in range(300) for count in caller.counts(50)[0] if count != 1)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert not wrong


def test_workers_treat_denormals_as_the_caller_does(make_caller: Make) -> None:
    caller = make_caller(2)
    values = np.full(64, 1e-30, np.float32)
    caller.run("product", values, 64)
    assert (values == np.float32(1e-30) * np.float32(1e-10)).all()
    assert values[0] != 0


def test_the_pool_rests_when_its_workers_are_stopped_in_the_middle(make_caller: Make) -> None:
    caller = make_caller(2)
    caller.counts(10)
    for _ in range(100):
        units = np.full((2, 2), threading.get_ident())
        caller.run("stopped_units", units, 2, operations=SPLIT_WORTH)
        if caller.pool.resting:
            break
    else:
        pytest.fail("the pool does not rest")
    left = caller.pool.resting
    caller.counts(10, operations=SPLIT_WORTH)
    assert 0 < caller.pool.resting < left
    caller.counts(10, operations=20_000 * OPERATIONS_PER_MICROSECOND)  # a long job is all of a rest
    assert caller.pool.resting == 0


def test_after_stop_calls_run_on_their_own_thread() -> None:
    pool = ThreadPool.load(jit.host_target().triple)
    caller = Caller(pool, ContextPool(threads=pool.threads(2)).create())
    caller.counts(10)
    pool.stop()
    assert pool.workers == 0
    assert set(caller.counts(100, task="count_units")[1]) == {threading.get_ident()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_its_own_workers(make_caller: Make) -> None:
    caller = make_caller(2)
    caller.counts(10)
    child = os.fork()
    if child == 0:
        caller.pool.forget_workers()
        before = caller.pool.workers
        runs = [caller.counts(20, task="slow_units") for _ in range(20)]
        is_right = all(counts == [1] * 20 for counts, _ in runs) and any(len(set(owners)) == 2 for _, owners in runs)
        os._exit(0 if before == 0 and is_right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert caller.counts(10)[0] == [1] * 10


def round_trip() -> float:
    """Seconds that a cache line takes to another processor and back, with nothing done there; the median of many."""
    module = Module("bounces")
    parameters = [Parameter("ptr", "word"), Parameter("i64", "first"), Parameter("i64", "turns")]
    b = Builder(module.function("bounce", "void", parameters))
    word, first, turns = b.function.arguments
    with b.for_loop(0, turns) as loop:
        mine = b.add(b.mul(loop.index, 2), first)
        with b.while_loop() as waiting:
            waiting.while_(b.icmp("ne", b.atomic_load("i64", word), mine))
            waiting.yield_([])
        b.atomic_store(b.add(mine, 1), word)
        loop.yield_([])
    b.ret()
    library = jit.link([jit.compile_module(str(module))])
    bounce = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 2)(library.address("bounce"))

    def seconds(turns: int = 1000) -> float:
        line = np.zeros(16, np.int64)
        other = threading.Thread(target=bounce, args=(line.ctypes.data, 1, turns))
        other.start()
        bounce(line.ctypes.data, 0, 10)  # the other thread runs
        started = time.perf_counter()
        bounce(line.ctypes.data, 20, turns - 10)
        taken = time.perf_counter() - started
        other.join()
        return taken / (turns - 10)

    return sorted(seconds() for _ in range(31))[15]


@pytest.mark.alone
def test_a_fork_and_a_join_take_less_than_half_a_microsecond() -> None:
    """Two units of work side by side, against half the time of both on one thread; medians over rounds in turn.

    Processors that are far from each other may take as long as four lines there and back: the job, its claim, the
    result, and a look at the seat of the other. On an Emerald Rapids a line takes 0.18 to 0.22 microseconds, and a fork
    and a join 0.47 to 0.66, which is not less than half a microsecond.
    """
    module = Module("rounds")
    parameters = [Parameter("ptr", name) for name in ("context", "parallel", "task", "words")]
    b = Builder(module.function("rounds", "void", [*parameters, Parameter("i64", "count")]))
    context, parallel, task, words, count = b.function.arguments
    with b.for_loop(0, count) as loop:
        two, operations = b.constant("i64", 2), b.constant("i64", SPLIT_WORTH)
        b.call_pointer(parallel, "void", context, task, words, two, operations, b.constant("i64", 1))
        loop.yield_([])
    b.ret()
    library = jit.link([jit.compile_module(str(module))])
    rounds = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, ctypes.c_int64)(library.address("rounds"))
    pool = ThreadPool.load(jit.host_target().triple)
    together, alone = (ContextPool(threads=threads).create() for threads in (pool.threads(2), None))
    units = np.ones(2 * 1024, np.float64)

    def seconds(context: Context, count: int = 1000) -> float:
        started = time.perf_counter()
        address = tasks().address("long_units")
        rounds(context.address, context["parallel"], address, units.ctypes.data, count)
        return (time.perf_counter() - started) / count

    Caller(pool, together).counts(10)  # wakes the worker
    costs = sorted(seconds(together) - seconds(alone) / 2 for _ in range(101))
    pool.stop()
    assert costs[50] < max(0.5e-6, 4 * round_trip())
