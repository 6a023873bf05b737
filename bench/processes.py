"""Engines in processes of their own, one of which runs at a time.

Engines keep threads that wait for work by spinning, so in one process the idle ones take the processors of the one that
is timed. Here every engine lives in a process that is stopped (SIGSTOP) unless it has been asked something; where there
is no such signal (Windows), engines only get time to fall asleep.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from bench.workloads import WORKLOADS
from optc.cli.timing import Times, calls_per_sample, sample
from optc.runtime.collector import collector_paused

PREPARATION_SECONDS = 60
SETTLING_SECONDS = 0.02
"""How long the threads of an engine are given to go to sleep where processes cannot be stopped."""

FIRST_CALLS = 4
"""Calls before results count: TorchScript's executor specialises in its first ones."""

Arrays = list[np.ndarray[Any, Any]]


class EngineError(Exception):
    """An engine could not do what it was asked; the message is its own, or says that it took too long."""


class EngineProcess:
    """An engine with a number of threads. Everything it does is asked for through a pipe."""

    def __init__(self, engine: str, threads: int) -> None:
        self.engine = engine
        self._threads = threads
        self._folder = tempfile.TemporaryDirectory(prefix="optc-bench-")
        self._start()

    def _start(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._connection, theirs = spawning.Pipe()
        arguments = theirs, self.engine, self._threads, self._folder.name
        self._process = spawning.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._answer(PREPARATION_SECONDS)
        self._pause()

    def prepare(self, workload: str, seconds: float = PREPARATION_SECONDS) -> tuple[Arrays, int]:
        """Get a workload ready: its results, and how many calls make a sample.

        Raises EngineError where the engine fails or needs more than `seconds`; it can be asked again.
        """
        try:
            results, calls = self._ask("prepare", workload, seconds)
        except TimeoutError:
            self._kill()
            self._start()
            raise EngineError(f"not ready after {seconds:.0f} s") from None
        return results, calls

    @property
    def number(self) -> int:
        """The number by which the system knows the process."""
        return self._process.pid or 0

    def sample(self, calls: int) -> float:
        """Seconds per call over so many calls of what was prepared, behind one that is not timed."""
        taken: float = self._ask("sample", calls, PREPARATION_SECONDS)
        return taken

    def close(self) -> None:
        """End the process."""
        self._kill()
        self._folder.cleanup()

    def _ask(self, question: str, argument: object, seconds: float) -> Any:
        self._resume()
        self._connection.send((question, argument))
        answer = self._answer(seconds)
        self._pause()
        return answer

    def _answer(self, seconds: float) -> Any:
        if not self._connection.poll(seconds):
            raise TimeoutError
        is_good, answer = self._connection.recv()
        if not is_good:
            self._pause()
            raise EngineError(answer)
        return answer

    def _kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _pause(self) -> None:
        if hasattr(signal, "SIGSTOP"):
            os.kill(self.number, signal.SIGSTOP)
            os.waitpid(self.number, os.WUNTRACED)
        else:
            time.sleep(SETTLING_SECONDS)

    def _resume(self) -> None:
        if hasattr(signal, "SIGCONT"):
            os.kill(self.number, signal.SIGCONT)


def in_turn(
    engines: Mapping[EngineProcess, int], rounds: int, others: Mapping[str, Callable[[], Any]]
) -> dict[str, Times]:
    """Seconds per call of prepared engines (with the calls that make a sample) and of functions of this process, each
    sampled once per round, so that all of them see the same moods of the machine."""
    taken: dict[str, list[float]] = {name: [] for name in (*(process.engine for process in engines), *others)}
    calls = {name: calls_per_sample(run) for name, run in others.items()}
    for _ in range(rounds):
        for process, count in engines.items():
            taken[process.engine].append(process.sample(count))
        for name, run in others.items():
            taken[name].append(sample(run, calls[name]))
    return {name: Times(tuple(samples)) for name, samples in taken.items()}


def _serve(connection: Connection, engine: str, threads: int, folder: str) -> None:
    """Answer until the process is ended. Files of the engine go to `folder`."""
    tempfile.tempdir = folder
    from bench import engines  # and with it all the peers: the process that asks needs none of them

    tempfile.tempdir = None
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    engines.use_threads(threads)
    serving = _Serving(lambda workload: engines.ENGINES[engine](WORKLOADS[workload], threads), engines.as_arrays)
    connection.send((True, None))
    with engines.inference_mode():
        while True:
            connection.send(serving.answer(*connection.recv()))


class _Serving:
    """What an engine's process does when it is asked: prepare a workload, and run it."""

    def __init__(self, prepare: Callable[[str], Callable[[], Any]], as_arrays: Callable[[Any], Arrays]) -> None:
        self.prepare = prepare
        self.as_arrays = as_arrays
        self.run: Callable[[], Any] | None = None

    def answer(self, question: str, argument: Any) -> tuple[bool, Any]:
        """Whether it went well, and the result or the error in one line."""
        try:
            return True, self._answer(question, argument)
        except Exception as error:  # noqa: BLE001 - whatever it is, the process that asked shows it
            text = str(error).strip() or "no message"
            return False, f"{type(error).__name__}: {text.splitlines()[0][:150]}"

    def _answer(self, question: str, argument: Any) -> Any:
        if question == "prepare":
            self.run = None  # two workloads need not fit the memory
            self.run = self.prepare(argument)
            return _prepared(self.run, self.as_arrays)
        assert self.run is not None
        return _sampled(self.run, argument)


def _prepared(run: Callable[[], Any], as_arrays: Callable[[Any], Arrays]) -> tuple[Arrays, int]:
    for _ in range(FIRST_CALLS):
        result = run()
    return as_arrays(result), calls_per_sample(run)


def _sampled(run: Callable[[], Any], calls: int) -> float:
    run()
    with collector_paused():
        return sample(run, calls)
