"""The thread pool as LLVM code: `parallel` splits work among the caller and workers that spin, then sleep.

    void parallel(ptr context, ptr task, ptr arguments, i64 count, i64 operations, i64 together)

calls `task(arguments, start, stop)` for ranges that make up 0 to `count`, and returns when all are done. A thread's range
is only cut into ranges of `together` units or more, for tasks that have something to do at the beginning of each. Every thread
has a *seat*: a cache line in which the caller lays down a job, its number (the generation) and how many chunks of the
seat's range have not begun. A chunk is claimed by compare-and-swap on generation and rest together, by the seat's
owner or by whoever has finished its own range, so a worker that the system has not let run costs its help and no more,
and one that wakes up late finds another generation and takes nothing. The same range lies in the same seat every time:
what it touches stays in that core's cache.

The caller can run everything by itself, so correctness never depends on a worker that is awake: a missed wake-up costs
time only. One job runs at a time. A second caller runs its work alone, and `inside` counts callers so that each takes
a share of the threads.

Nothing here allocates. The pool's memory is one block that lives as long as the process (`optc.codegen.process.threads`).
"""

from optc.codegen.llvm import CALLS_ONLY, Block, Builder, Function, Module, Operand, Parameter, Value
from optc.codegen.process.context_code import field_address, load_field
from optc.codegen.process.parking import Parking
from optc.codegen.process.placement import Placement
from optc.codegen.process.pool_layout import HEADER, OPERATIONS_PER_MICROSECOND, SEAT, SEAT_BYTES, SEATS

_THREAD_WORTH = 1_500 * OPERATIONS_PER_MICROSECOND // 1000
"""One more thread takes part for each 1.5 microseconds of work."""

_WAKE_WORTH = 10 * OPERATIONS_PER_MICROSECOND
"""A call with less work than 10 microseconds does not wake threads that sleep."""

_CHUNK_WORTH = 10 * OPERATIONS_PER_MICROSECOND
_MOST_CHUNKS = 8
"""A thread's range is claimed in up to eight chunks of at least 10 microseconds, all of about as many units."""

_LATE, _LATE_LIMIT = 8, 32
"""A job whose workers were stopped adds 8 to the score, any other takes 1 away; at 32 the pool rests."""

_REST, _REST_WORTH = 500, 40 * OPERATIONS_PER_MICROSECOND
"""The next 500 jobs run alone, or fewer: every 40 microseconds of work count as one more. A job can lose what the system
gives another thread at once, some milliseconds, and a rest must not cost more than that."""

_SETTLED, _SETTLED_WORTH = 200, 10 * OPERATIONS_PER_MICROSECOND
"""A worker that has moved to another processor stays for 200 jobs, or fewer: 10 microseconds of work count as one."""

_STACK_BYTES = 2 << 20
"""A worker's stack. Kernels keep scratch there (`parallelise.STACK_BYTES`), and some systems give threads very little."""


def pool_module(triple: str) -> Module:
    """The module with `parallel`, `spin` (to find out how long a turn takes), `prepare` and `stop`."""
    return _PoolModule(triple).module


class _PoolModule:
    """Writes the pool's functions."""

    def __init__(self, triple: str) -> None:
        self.is_x86 = triple.startswith("x86_64")
        self.is_arm = triple.startswith(("aarch64", "arm64"))
        self.module = Module("thread_pool")
        self.module.remark = CALLS_ONLY
        self.parking = Parking.of(triple, self.module, HEADER["lock"], HEADER["condition"])
        self.placement = Placement(self.module, triple)
        self.spin()
        self.run_chunks = self.write_run_chunks()
        self.ring = self.write_ring()
        self.worker = self.write_worker()
        self.start = self.write_start()
        self.hire = self.write_hire()
        self.conduct = self.write_conduct()
        self.parallel()
        self.prepare()
        self.stop()

    # Small pieces

    def begin(self, name: str, result: str, *parameters: str, private: bool = True) -> tuple[Builder, list[Value]]:
        """A new function; each parameter is "type name"."""
        made = [Parameter(*parameter.split()) for parameter in parameters]
        function = self.module.function(name, result, made, private=private)
        return Builder(function), function.arguments

    def pause(self, b: Builder) -> None:
        """Tells the processor that this is a loop that waits."""
        if self.is_x86:
            b.intrinsic("x86.sse2.pause", "void", overload=())
        elif self.is_arm:
            b.intrinsic("aarch64.hint", "void", b.constant("i32", 1), overload=())

    def seat(self, b: Builder, pool: Value, number: Operand) -> Value:
        first = b.gep("i8", pool, SEATS)
        return b.gep("i8", first, b.mul(b.constant("i64", SEAT_BYTES), number))

    def save_float_mode(self, b: Builder, seat: Value) -> None:
        place = b.gep("i8", seat, SEAT["float_mode"])
        if self.is_x86:
            b.intrinsic("x86.sse.stmxcsr", "void", place, overload=())
        elif self.is_arm:
            b.store(b.intrinsic("aarch64.get.fpcr", "i64", overload=()), place)

    def load_float_mode(self, b: Builder, seat: Value) -> None:
        """A thread computes as the caller does, whatever denormal or rounding mode that has set."""
        place = b.gep("i8", seat, SEAT["float_mode"])
        if self.is_x86:
            b.intrinsic("x86.sse.ldmxcsr", "void", place, overload=())
        elif self.is_arm:
            b.intrinsic("aarch64.set.fpcr", "void", b.load("i64", place), overload=())

    def spin(self) -> None:
        b, (turns, word) = self.begin("spin", "void", "i64 turns", "ptr word", private=False)
        with b.for_loop(0, turns) as loop:
            with b.if_then(b.icmp("ne", b.atomic_load("i64", word), 0), likely=False):
                b.ret()
            self.pause(b)
            loop.yield_([])
        b.ret()

    # Working

    def write_run_chunks(self) -> Function:
        """`i64 run_chunks(pool, seat, generation)`: runs chunks of a seat until none is left; how many it ran."""
        b, (pool, seat, generation) = self.begin("run_chunks", "i64", "ptr pool", "ptr seat", "i64 generation")
        claim = b.gep("i8", seat, SEAT["claim"])
        with b.while_loop([b.constant("i64", 0)]) as loop:
            word = b.atomic_load("i64", claim)
            rest = b.and_(word, 0xFFFFFFFF)
            is_current = b.icmp("eq", b.lshr(word, 32), generation)
            loop.while_(b.and_(is_current, b.icmp("ne", rest, 0)))
            _, claimed = b.compare_exchange(claim, word, b.sub(word, 1))
            with b.if_then_else(claimed, likely=True) as (mine, lost):
                with mine:
                    self.run_chunk(b, pool, seat, rest)
                    mine.yield_([b.add(loop.carried[0], 1)])
                with lost:
                    lost.yield_([loop.carried[0]])
            loop.yield_(mine.results)
        b.ret(loop.results[0])
        return b.function

    def run_chunk(self, b: Builder, pool: Value, seat: Value, rest: Value) -> None:
        """Runs a chunk that has been claimed. The job cannot end before, so the seat's fields hold still."""
        start, stop, chunks = (self.field(b, seat, name) for name in ("start", "stop", "chunks"))
        number = b.sub(chunks, rest)
        length = b.sub(stop, start)
        first = b.add(start, b.udiv(b.mul(length, number), chunks))
        last = b.add(start, b.udiv(b.mul(length, b.add(number, 1)), chunks))
        b.call_pointer(self.field(b, seat, "task", "ptr"), "void", self.field(b, seat, "arguments", "ptr"), first, last)
        done = b.gep("i8", seat, SEAT["done"])
        b.atomic("add", done, b.constant("i64", 1), "seq_cst")
        waits = b.atomic_load("i64", b.gep("i8", pool, HEADER["waiting"]), "seq_cst")
        with b.if_then(b.icmp("ne", waits, 0), likely=False):
            self.parking.wake(b, pool, done)

    def field(self, b: Builder, seat: Value, name: str, type_: str = "i64") -> Value:
        return b.load(type_, b.gep("i8", seat, SEAT[name]), 8)

    def run_seats(self, b: Builder, pool: Value, seats: Value, generation: Value) -> Value:
        """Runs what has not begun, wherever it lies; how many chunks that was."""
        with b.for_loop(0, seats, carried=[b.constant("i64", 0)]) as loop:
            ran = b.call(self.run_chunks, pool, self.seat(b, pool, loop.index), generation)
            loop.yield_([b.add(loop.carried[0], ran)])
        return loop.results[0]

    # Workers

    def write_worker(self) -> Function:
        """`ptr worker(seat)`: the body of a thread."""
        await_job = self.write_await_job()
        b, (seat,) = self.begin("worker", "ptr", "ptr seat")
        self.parking.block_signals(b)
        pool = self.field(b, seat, "pool", "ptr")
        with b.while_loop([b.constant("i64", 0), b.constant("i64", 0)]) as loop:
            seen, settled = loop.carried
            generation = b.call(await_job, pool, seat, seen)
            loop.while_(b.icmp("ne", generation, -1))
            self.load_float_mode(b, seat)
            b.call(self.run_chunks, pool, seat, generation)
            self.run_seats(b, pool, self.field(b, seat, "seats"), generation)
            loop.yield_([generation, self.place(b, seat, settled)])
        b.ret(b.constant("ptr", 0))
        return b.function

    def place(self, b: Builder, seat: Value, settled: Value) -> Value:
        """Leaves the caller's processor, but not again for some jobs; how many that still are."""
        fewer = self.less(b, settled, self.field(b, seat, "operations"), _SETTLED_WORTH)
        callers = self.field(b, seat, "processor", "i32")
        shared = b.icmp("eq", self.placement.processor(b), callers)
        with b.if_then_else(b.and_(shared, b.icmp("eq", settled, 0)), likely=False) as (leave, stay):
            with leave:
                self.placement.leave(b, callers)
                leave.yield_([b.constant("i64", _SETTLED)])
            with stay:
                stay.yield_([fewer])
        return leave.results[0]

    def less(self, b: Builder, left: Value, operations: Value, worth: int) -> Value:
        """What is left of a number of jobs behind one of so many operations."""
        return b.intrinsic("usub.sat", "i64", left, b.add(b.udiv(operations, worth), 1))

    def write_await_job(self) -> Function:
        """`i64 await_job(pool, seat, seen)`: a generation other than `seen`, -1 when the pool stops."""
        b, (pool, seat, seen) = self.begin("await_job", "i64", "ptr pool", "ptr seat", "i64 seen")
        bell = b.gep("i8", pool, HEADER["bell"])
        with b.while_loop() as forever:
            forever.while_(b.constant("i1", True))
            with b.for_loop(0, b.load("i64", b.gep("i8", pool, HEADER["spins"]))) as spinning:
                self.leave_with_job(b, seat, seen)
                self.pause(b)
                spinning.yield_([])
            before = b.atomic_load("i32", bell)
            b.atomic("add", b.gep("i8", pool, HEADER["parked"]), b.constant("i64", 1), "seq_cst")
            self.leave_with_job(b, seat, seen)
            stopping = b.atomic_load("i64", b.gep("i8", pool, HEADER["stopping"]), "seq_cst")
            with b.if_then(b.icmp("ne", stopping, 0)):
                b.ret(-1)
            self.parking.wait(b, pool, bell, before)
            forever.yield_([])
        b.unreachable()
        return b.function

    def leave_with_job(self, b: Builder, seat: Value, seen: Value) -> None:
        generation = b.lshr(b.atomic_load("i64", b.gep("i8", seat, SEAT["claim"])), 32)
        with b.if_then(b.icmp("ne", generation, seen), likely=False):
            b.ret(generation)

    def write_ring(self) -> Function:
        """`void ring(pool)`: wakes every worker. Who is about to sleep has read the bell before it counts itself."""
        b, (pool,) = self.begin("ring", "void", "ptr pool")
        b.atomic("xchg", b.gep("i8", pool, HEADER["parked"]), b.constant("i64", 0), "seq_cst")
        bell = b.gep("i8", pool, HEADER["bell"])
        b.atomic("add", bell, b.constant("i32", 1), "seq_cst")
        self.parking.wake(b, pool, bell)
        b.ret()
        return b.function

    def write_start(self) -> Function:
        """`i64 start(pool, workers)`: makes threads until there are so many or the system has no more; their number."""
        create = self.module.declare("pthread_create", "i32", ["ptr", "ptr", "ptr", "ptr"])
        initialise = self.module.declare("pthread_attr_init", "i32", ["ptr"])
        set_stack = self.module.declare("pthread_attr_setstacksize", "i32", ["ptr", "i64"])
        b, (pool, workers) = self.begin("start", "i64", "ptr pool", "i64 workers")
        started = b.gep("i8", pool, HEADER["started"])
        present = b.load("i64", started)
        with b.if_then(b.icmp("uge", present, workers), likely=True):
            b.ret(present)
        attributes = b.alloca("i64", 16)
        b.call(initialise, attributes)
        b.call(set_stack, attributes, _STACK_BYTES)
        with b.while_loop([present]) as loop:
            (number,) = loop.carried
            loop.while_(b.icmp("ult", number, workers))
            following = b.add(number, 1)
            seat = self.seat(b, pool, following)
            b.store(pool, b.gep("i8", seat, SEAT["pool"]))
            code = b.call(create, b.gep("i8", seat, SEAT["thread"]), attributes, self.worker.pointer, seat)
            with b.if_then(b.icmp("ne", code, 0)):
                b.ret(number)
            b.store(following, started)
            loop.yield_([following])
        b.ret(loop.results[0])
        return b.function

    # The caller

    def parallel(self) -> None:
        parameters = ("ptr context", "ptr task", "ptr arguments", "i64 count", "i64 operations", "i64 together")
        b, (context, task, arguments, count, operations, least) = self.begin(
            "parallel", "void", *parameters, private=False
        )
        pool = load_field(b, context, "pool")
        own = load_field(b, context, "threads")
        common = b.load("i64", b.load("ptr", b.gep("i8", pool, HEADER["count"])))
        limit = b.select(b.icmp("eq", own, 0), common, own)
        worth = b.add(b.udiv(operations, _THREAD_WORTH), 1)
        wanted = b.intrinsic("umin", "i64", b.intrinsic("umin", "i64", limit, worth), count)
        with b.if_then(b.icmp("ule", wanted, 1)):
            b.call_pointer(task, "void", arguments, b.constant("i64", 0), count)
            b.ret()
        inside = b.gep("i8", pool, HEADER["inside"])
        callers = b.add(b.atomic("add", inside, b.constant("i64", 1)), 1)
        share = b.intrinsic("umin", "i64", wanted, b.udiv(limit, callers))
        crew = b.call(self.hire, context, pool, share, operations)
        with b.if_then_else(b.icmp("ule", crew, 1)) as (alone, together):
            with alone:
                b.call_pointer(task, "void", arguments, b.constant("i64", 0), count)
            with together:
                b.call(self.conduct, pool, crew, task, arguments, count, operations, least)
                b.atomic_store(b.constant("i64", 0), b.gep("i8", pool, HEADER["busy"]))
        b.atomic("sub", inside, b.constant("i64", 1))
        b.ret()

    def write_hire(self) -> Function:
        """`i64 hire(context, pool, wanted, operations)`: how many threads take the job; with more than one, the pool is
        held for it."""
        parameters = ("ptr context", "ptr pool", "i64 wanted", "i64 operations")
        b, (context, pool, wanted, operations) = self.begin("hire", "i64", *parameters)
        busy = b.gep("i8", pool, HEADER["busy"])
        with b.if_then(b.icmp("ule", wanted, 1)):
            b.ret(1)
        _, taken = b.compare_exchange(busy, b.constant("i64", 0), 1)
        with b.if_then(b.not_(taken), likely=False):
            b.ret(1)
        alone = b.new_block("alone")
        rest = b.gep("i8", pool, HEADER["rest"])
        resting = b.load("i64", rest)
        with b.if_then(b.icmp("ne", resting, 0), likely=False):
            b.store(self.less(b, resting, operations, _REST_WORTH), rest)
            b.br(alone)
        started = b.load("i64", b.gep("i8", pool, HEADER["started"]))
        workers = b.sub(wanted, 1)
        parked = b.atomic_load("i64", b.gep("i8", pool, HEADER["parked"]))
        asleep = b.or_(b.icmp("ne", parked, 0), b.icmp("ult", started, workers))
        with b.if_then(asleep, likely=False):
            self.wake(b, context, pool, operations, alone)
        present = b.call(self.start, pool, workers)
        b.cond_br(b.icmp("eq", present, 0), alone, found := b.new_block("found"))
        b.position_at_end(found)
        b.ret(b.add(b.intrinsic("umin", "i64", present, workers), 1))
        b.position_at_end(alone)
        b.atomic_store(b.constant("i64", 0), busy)
        b.ret(1)
        return b.function

    def wake(self, b: Builder, context: Value, pool: Value, operations: Value, alone: Block) -> None:
        """Rings if the call has enough work; else its work adds up, and this job is run by the caller."""
        place = field_address(b, context, "split_operations")
        expected = b.load("i64", place)
        with b.if_then(b.icmp("ult", b.add(expected, operations), _WAKE_WORTH)):
            b.store(b.add(expected, operations), place)
            b.br(alone)
        b.store(b.constant("i64", 1), b.gep("i8", pool, HEADER["woken"]))
        b.call(self.ring, pool)

    def write_conduct(self) -> Function:
        """`void conduct(pool, crew, task, arguments, count, operations, together)`: one job from first to last."""
        join = self.write_join()
        parameters = (
            "ptr pool",
            "i64 crew",
            "ptr task",
            "ptr arguments",
            "i64 count",
            "i64 operations",
            "i64 together",
        )
        b, (pool, crew, task, arguments, count, operations, together) = self.begin("conduct", "void", *parameters)
        place = b.gep("i8", pool, HEADER["generation"])
        generation = b.and_(b.add(b.load("i64", place), 1), 0xFFFFFFFF)
        b.store(generation, place)
        each = b.udiv(count, crew)
        by_work = b.intrinsic("umin", "i64", b.udiv(b.udiv(operations, crew), _CHUNK_WORTH), b.udiv(each, together))
        least = b.intrinsic(
            "umax", "i64", b.intrinsic("umin", "i64", by_work, b.constant("i64", _MOST_CHUNKS)), b.constant("i64", 1)
        )
        units = b.udiv(b.add(each, b.sub(least, 1)), least)
        chunks = b.udiv(b.add(each, b.sub(units, 1)), units)
        processor = self.placement.processor(b)
        with b.for_loop(0, crew) as loop:
            number = b.sub(b.sub(crew, 1), loop.index)  # the workers first, they have the longer way
            seat = self.seat(b, pool, number)
            words = {
                "task": task,
                "arguments": arguments,
                "start": b.udiv(b.mul(count, number), crew),
                "stop": b.udiv(b.mul(count, b.add(number, 1)), crew),
                "chunks": chunks,
                "seats": crew,
                "operations": operations,
            }
            for name, word in words.items():
                b.store(word, b.gep("i8", seat, SEAT[name]), 8)
            self.save_float_mode(b, seat)
            b.store(processor, b.gep("i8", seat, SEAT["processor"]))
            due = b.gep("i8", seat, SEAT["due"])
            b.store(b.add(b.load("i64", due), chunks), due)
            claim = b.or_(b.shl(generation, 32), chunks)
            b.atomic_store(claim, b.gep("i8", seat, SEAT["claim"]))
            loop.yield_([])
        ran = self.run_seats(b, pool, crew, generation)
        with b.for_loop(0, crew, carried=[b.constant("i64", 0)]) as joining:
            waited = b.call(join, pool, self.seat(b, pool, joining.index))
            joining.yield_([b.or_(joining.carried[0], waited)])
        self.judge(b, pool, operations, ran, b.mul(crew, chunks), chunks, joining.results[0])
        b.ret()
        return b.function

    def write_join(self) -> Function:
        """`i64 join(pool, seat)`: returns when the seat's chunks are done; 1 if spinning did not suffice."""
        b, (pool, seat) = self.begin("join", "i64", "ptr pool", "ptr seat")
        due, done = self.field(b, seat, "due"), b.gep("i8", seat, SEAT["done"])
        with b.for_loop(0, b.load("i64", b.gep("i8", pool, HEADER["spins"]))) as spinning:
            with b.if_then(b.icmp("eq", b.atomic_load("i64", done), due)):
                b.ret(0)
            self.pause(b)
            spinning.yield_([])
        waiting = b.gep("i8", pool, HEADER["waiting"])
        b.atomic("xchg", waiting, b.constant("i64", 1), "seq_cst")
        with b.while_loop() as sleeping:
            now = b.atomic_load("i64", done, "seq_cst")
            sleeping.while_(b.icmp("ne", now, due))
            self.parking.wait(b, pool, done, b.trunc(now, "i32"))
            sleeping.yield_([])
        b.atomic_store(b.constant("i64", 0), waiting)
        b.ret(1)
        return b.function

    def judge(
        self, b: Builder, pool: Value, operations: Value, ran: Value, total: Value, chunks: Value, waited: Value
    ) -> None:
        """Keeps the score of jobs for which the caller had to wait because the system did not let a worker run; too
        high, and the pool rests. Workers that never came cost nothing.

        It had to wait when a chunk took longer than spinning lasts, and either the whole job should have been shorter or
        the caller ran all the other chunks, which is no wonder where the workers have just been woken.
        """
        alone = b.and_(b.icmp("ugt", chunks, 1), b.icmp("uge", b.add(ran, 1), total))
        is_short = b.and_(b.icmp("eq", chunks, 1), b.icmp("ult", operations, 4 * _CHUNK_WORTH))
        woken = b.gep("i8", pool, HEADER["woken"])
        awake = b.icmp("eq", b.load("i64", woken), 0)
        b.store(b.constant("i64", 0), woken)
        is_late = b.and_(b.icmp("ne", waited, 0), b.or_(is_short, b.and_(alone, awake)))
        place = b.gep("i8", pool, HEADER["late"])
        late = b.load("i64", place)
        less = b.intrinsic("usub.sat", "i64", late, b.constant("i64", 1))
        score = b.select(is_late, b.add(late, _LATE), less)
        b.store(score, place)
        with b.if_then(b.icmp("uge", score, _LATE_LIMIT), likely=False):
            b.store(b.constant("i64", _REST), b.gep("i8", pool, HEADER["rest"]))
            b.store(b.constant("i64", _LATE_LIMIT - _LATE), place)

    # Beginning and end

    def prepare(self) -> None:
        """`void prepare(pool)`: makes the zeroed memory of a pool ready."""
        b, (pool,) = self.begin("prepare", "void", "ptr pool", private=False)
        self.parking.prepare(b, pool)
        b.ret()

    def stop(self) -> None:
        """`void stop(pool)`: ends all workers, once the job that runs is done; afterwards every caller works alone."""
        join = self.module.declare("pthread_join", "i32", ["ptr", "ptr"])
        b, (pool,) = self.begin("stop", "void", "ptr pool", private=False)
        busy = b.gep("i8", pool, HEADER["busy"])
        with b.while_loop() as loop:
            _, taken = b.compare_exchange(busy, b.constant("i64", 0), 1)
            loop.while_(b.not_(taken))
            self.parking.give_way(b)
            loop.yield_([])
        b.atomic("xchg", b.gep("i8", pool, HEADER["stopping"]), b.constant("i64", 1), "seq_cst")
        b.call(self.ring, pool)
        started = b.gep("i8", pool, HEADER["started"])
        with b.for_loop(0, b.load("i64", started)) as joining:
            seat = self.seat(b, pool, b.add(joining.index, 1))
            b.call(join, self.field(b, seat, "thread", "ptr"), 0)
            joining.yield_([])
        b.store(b.constant("i64", 0), started)
        b.ret()
