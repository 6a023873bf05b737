"""Compiled programs and threads: the same results on any number of them, calls side by side, forks, and the end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc as torch
from optc.errors import ExecutionError

F = torch.nn.functional


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(300, 500)
        self.second = torch.nn.Linear(500, 70)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


def chain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    normal = F.layer_norm(x, (x.shape[-1],))
    return torch.softmax(F.gelu(normal) * 0.5 + x, -1) + torch.sigmoid(y)


def gathered(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.cat([x[1:], y * 2], 1).cumsum(1).flip(0)


def image(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(1).standard_normal(shape, np.float32))


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "pointwise": (lambda x: torch.exp(x) + 1, (image(77, 1003),)),
    "transposed": (lambda x: x.t() * 2 + torch.sin(x.t()), (image(501, 303),)),
    "broadcast": (lambda x, y: x * y + x, (image(40, 1, 300), image(30, 300))),
    "rows": (chain, (image(257, 300), image(257, 300))),
    "long rows": (chain, (image(3, 70_001), image(3, 70_001))),
    "columns": (lambda x: x.sum(0) + x.amax(0), (image(403, 900),)),
    "few columns": (lambda x: x.sum(0), (image(50_003, 5),)),
    "everything": (lambda x: x.sum() + x.amax(), (image(1_000_003),)),
    "places": (lambda x: torch.argmax(x, 1), (image(200, 600),)),
    "copies": (lambda x, y: gathered(x, y[1:]), (image(301, 200), image(301, 200))),
    "products": (Network(), (image(65, 300),)),
    "one row": (Network(), (image(1, 300),)),
    "batches": (lambda x, y: torch.matmul(x, y.transpose(-1, -2)), (image(12, 40, 64), image(12, 50, 64))),
    "double": (lambda x: torch.softmax(x.double(), -1), (image(200, 333),)),
}


def bits(result: Any) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = result.numpy()
    return array.view(f"i{array.itemsize}")


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_do_not_depend_on_the_number_of_threads(name: str) -> None:
    program, inputs = PROGRAMS[name]
    alone = torch.compile(program, inputs, threads=1)
    expected = bits(alone(*inputs))
    for number in (2, 4):
        together = torch.compile(program, inputs, threads=number)
        for _ in range(5):
            np.testing.assert_array_equal(bits(together(*inputs)), expected)


def test_the_number_of_threads_can_be_changed_at_any_time() -> None:
    before = torch.get_num_threads()
    x = image(200, 1000)
    fast = torch.compile(lambda x: torch.exp(x) * 2, (x,))
    try:
        results = []
        for number in (1, 3, 2):
            torch.set_num_threads(number)
            assert torch.get_num_threads() == number
            results.append(bits(fast(x)))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def side_by_side(*calls: Callable[[], Any]) -> None:
    """Run calls in threads of their own, at once. Raises what one of them raises."""
    failures: list[BaseException] = []

    def guarded(call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_long_calls_let_other_threads_run() -> None:
    x = image(3000, 1000)
    fast = torch.compile(lambda x: torch.exp(torch.sin(x)), (x,), threads=1)
    fast(x)
    turns = 0
    done = threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0)

    counter = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)  # nobody is asked to let go: only who releases the lock gives others a turn
    try:
        counter.start()
        before = after = turns
        for _ in range(100):  # on a busy machine the other thread may not be there in time
            fast(x)
            after = turns
            if after > before:
                break
        done.set()
    finally:
        sys.setswitchinterval(interval)
        done.set()
        counter.join()
    assert after > before


def indexed(x: torch.Tensor, place: int) -> torch.Tensor:
    return torch.exp(x[place]) + x.sum(0)


@pytest.mark.parametrize("number", [1, 2])
def test_eight_threads_call_several_programs_at_once(number: int) -> None:
    inputs = [image(rows, 300) for rows in (3, 40, 90)]
    exact = [torch.compile(Network(), (x,), threads=number) for x in inputs]
    rows = torch.compile(chain, threads=number, dynamic=True)
    failing = torch.compile(torch.jit.script(indexed), threads=number, dynamic=True)
    expected = [bits(fast(x)) for fast, x in zip(exact, inputs)]
    row_results = [bits(rows(x, x)) for x in inputs]

    def call(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(40):
            which = int(random.integers(3))
            x = inputs[which]
            np.testing.assert_array_equal(bits(exact[which](x)), expected[which])
            np.testing.assert_array_equal(bits(rows(x, x)), row_results[which])
            with pytest.raises(ExecutionError, match="index 1000 out of range"):
                failing(x, 1000)

    side_by_side(*(lambda seed=seed: call(seed) for seed in range(8)))


def fresh_process(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    preamble = """
        import os, sys, threading, time, atexit, warnings
        import numpy as np
        import optc as torch
        x = torch.from_numpy(np.ones((1000, 1000), np.float32))
        fast = torch.compile(lambda x: torch.softmax(torch.exp(x), -1), (x,), threads=2)
        fast(x)
    """
    program = textwrap.dedent(preamble) + textwrap.dedent(code)
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-c", program], check=False, env=environment, capture_output=True, text=True, timeout=60
    )


ENDS = {
    "at the end of the program": "",
    "with calls in daemon threads": """
        def call():
            while True:
                fast(x)
        for _ in range(3):
            threading.Thread(target=call, daemon=True).start()
        time.sleep(0.1)
    """,
    "with calls at exit": "atexit.register(lambda: fast(x))",
    "with an exception": "sys.exit(fast(x).shape[0] - 1000)",
    "with the compiled function gone": "del fast",
}


@pytest.mark.parametrize("name", ENDS)
def test_a_process_ends_quietly(name: str) -> None:
    finished = fresh_process(ENDS[name])
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_computes_with_threads_of_its_own() -> None:
    finished = fresh_process("""
        warnings.simplefilter("ignore")
        expected = fast(x).numpy()
        stop = False
        def call():
            while not stop:
                fast(x)
        busy = threading.Thread(target=call)
        busy.start()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                right = all((fast(x).numpy() == expected).all() for _ in range(20))
                other = torch.compile(lambda x: x.sum(0), (x,), threads=2)
                os._exit(0 if right and float(other(x)[0]) == 1000 else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop = True
        busy.join()
        assert (fast(x).numpy() == expected).all()
    """)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_can_compile_while_its_parent_does() -> None:
    finished = fresh_process("""
        warnings.simplefilter("ignore")
        stop = False
        def compile_on():
            number = 0
            while not stop:
                number += 1
                factor = number / 7
                torch.compile(lambda x: torch.exp(x) * factor, (x,), cache=False)
        torch.compile(lambda x: x - 1, (x,), cache=False)  # imports everything: a fork during an import would hang
        busy = threading.Thread(target=compile_on, daemon=True)
        busy.start()
        for _ in range(5):
            time.sleep(0.03)
            child = os.fork()
            if child == 0:
                other = torch.compile(lambda x: x + 4, (x,), cache=False)
                os._exit(0 if float(other(x)[0, 0]) == 5 else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop = True
        busy.join()
    """)
    assert (finished.returncode, finished.stderr) == (0, "")
