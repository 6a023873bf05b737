"""Threads that leave a processor."""

from __future__ import annotations

import ctypes
import os

import pytest

from optc.codegen.llvm import Builder, Module, Parameter
from optc.codegen.machine import jit
from optc.codegen.process.placement import Placement

TRIPLE = jit.host_target().triple


def leave(processor: int) -> int:
    """Leaves a processor and says where the thread is afterwards."""
    module = Module("test")
    placement = Placement(module, TRIPLE)
    b = Builder(module.function("leave", "i32", [Parameter("i32", "processor")]))
    placement.leave(b, b.function.arguments[0])
    b.ret(placement.processor(b))
    library = jit.link([jit.compile_module(str(module))])
    return int(ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(library.address("leave"))(processor))


@pytest.mark.skipif("linux" not in TRIPLE, reason="only Linux moves threads")
def test_a_thread_leaves_and_may_come_back_later() -> None:
    allowed = os.sched_getaffinity(0)
    for processor in sorted(allowed):
        assert leave(processor) != processor or len(allowed) == 1
        assert os.sched_getaffinity(0) == allowed


@pytest.mark.skipif("linux" not in TRIPLE, reason="only Linux moves threads")
def test_the_only_processor_is_not_left() -> None:
    allowed = os.sched_getaffinity(0)
    only = min(allowed)
    try:
        os.sched_setaffinity(0, {only})
        assert leave(only) == only
    finally:
        os.sched_setaffinity(0, allowed)


def test_elsewhere_nobody_knows() -> None:
    module = Module("test")
    b = Builder(module.function("leave", "i32", [Parameter("i32", "processor")]))
    placement = Placement(module, "arm64-apple-macosx")
    placement.leave(b, b.function.arguments[0])
    b.ret(placement.processor(b))
    assert "ret i32 -1" in str(module)
    assert "call" not in str(module)
