"""Where things stand in the thread pool's memory, for its code (`thread_pool`) and for Python (`threads`)."""

from optc.thread_count import MOST_THREADS

OPERATIONS_PER_MICROSECOND = 80_000
"""What a core does with 64-byte vectors, more than one instruction a cycle; narrower vectors count accordingly more."""

HEADER = (
    # Only touched by who holds `busy`.
    {"busy": 0, "generation": 8, "started": 16, "late": 24, "rest": 32, "woken": 40}
    | {"inside": 128}
    | {"bell": 256, "parked": 264, "stopping": 272}
    | {"waiting": 384}
    | {"spins": 512, "count": 520}
    | {"lock": 640, "condition": 768}
)
"""Byte offsets; what different threads write lies in different pairs of cache lines."""

SEATS = 1024
SEAT_BYTES = 256
SEAT = {
    "claim": 0,  # generation << 32 | chunks that have not begun
    "task": 8,
    "arguments": 16,
    "start": 24,
    "stop": 32,
    "chunks": 40,
    "seats": 48,  # how many seats take part in the job
    "float_mode": 56,  # how the caller rounds and treats denormals
    "processor": 64,  # where the caller runs
    "operations": 72,  # how much work the job is
    "done": 128,  # chunks ever finished; whoever runs one adds to it
    "due": 192,  # what `done` will be when the job is finished; only the caller's
    "pool": 200,
    "thread": 208,
}

POOL_BYTES = SEATS + MOST_THREADS * SEAT_BYTES
RESET_BYTES = HEADER["spins"]
"""In a forked child everything in front of `spins`, and all seats, start from zero again."""

SPINS, COUNT = HEADER["spins"], HEADER["count"]
"""What `optc.codegen.process.threads` fills in: how many turns a wait spins, and the address of the number of threads."""

STARTED, REST, PARKED = HEADER["started"], HEADER["rest"], HEADER["parked"]
"""What it reads: the number of workers, what is left of the pool's rest, and the number of workers that sleep."""
