"""Code for AArch64, run by qemu: products, row kernels and functions give what the kernel interpreter and numpy say.

Needs `qemu-aarch64` (Debian: qemu-user) and a linker with a C library for that machine (gcc-aarch64-linux-gnu).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optc
from optc.codegen.driver import frame
from optc.codegen.gemm.driver import product_modules
from optc.codegen.gemm.epilogue import BIAS
from optc.codegen.gemm.kernel import Order
from optc.codegen.gemm.plan import Shape, Source, plan_product
from optc.codegen.gemm.product import Gemm
from optc.codegen.gemm.weights import pack_panels
from optc.codegen.kernels.emitter import emit_kernel, passed_buffers
from optc.codegen.kernels.interpreter import interpret_kernel
from optc.codegen.kernels.kernel import START, Kernel, renamed
from optc.codegen.kernels.schedule import schedule
from optc.codegen.llvm import Module
from optc.codegen.machine import jit
from optc.codegen.machine.host import NEON
from optc.codegen.native_program import NativeProgram
from optc.nn import functional as F
from optc.runtime import shared_code

LINKER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which(LINKER) and shutil.which(EMULATOR)), reason=f"no {LINKER} or {EMULATOR}"),
]

Array = np.ndarray[Any, Any]


def call(folder: Path, texts: Sequence[str], name: str, arguments: Sequence[Array | int]) -> list[Array]:
    """The arrays among the arguments after `name` of the modules has been called, as a program of its own."""
    objects = []
    for number, text in enumerate(texts):
        objects.append(folder / f"{number}.o")
        objects[-1].write_bytes(jit.compile_module(text, NEON))
    source = folder / "main.c"
    source.write_text(program(name, arguments), encoding="utf-8")
    arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
    (folder / "in").write_bytes(b"".join(array.tobytes() for array in arrays))
    subprocess.run([LINKER, "-static", source, *objects, "-o", folder / "run", "-lm"], check=True)
    subprocess.run([EMULATOR, folder / "run"], cwd=folder, check=True)
    content, place, results = (folder / "out").read_bytes(), 0, []
    for array in arrays:
        results.append(np.frombuffer(content, array.dtype, array.size, place).reshape(array.shape))
        place += array.nbytes
    return results


def program(name: str, arguments: Sequence[Array | int]) -> str:
    """A C program that reads the arrays from a file, calls the function, and writes them to another."""
    kinds = ", ".join("void *" if isinstance(argument, np.ndarray) else "long" for argument in arguments)
    lines = ["#include <stdio.h>", "#include <stdlib.h>", f"void {name}({kinds});", "int main(void) {"]
    lines.append('FILE *file = fopen("in", "rb");')
    passed, sizes = [], []
    for number, argument in enumerate(arguments):
        if not isinstance(argument, np.ndarray):
            passed.append(f"{argument}L")
            continue
        passed.append(f"p{number}")
        sizes.append((f"p{number}", argument.nbytes))
        lines.append(f"void *p{number} = aligned_alloc(64, {argument.nbytes // 64 * 64 + 128});")
        lines.append(f"if (fread(p{number}, 1, {argument.nbytes}, file) != {argument.nbytes}) return 1;")
    lines += [f"{name}({', '.join(passed)});", 'file = fopen("out", "wb");']
    lines += [f"fwrite({pointer}, 1, {size}, file);" for pointer, size in sizes]
    return "\n".join([*lines, "return fclose(file);", "}"])


PRODUCTS: list[tuple[int, int, int, Source, Order]] = [
    (13, 49, 70, "rows", "rows"),
    (9, 17, 33, "rows", "columns"),
    (1, 100, 37, "rows", "rows"),
    (5, 30, 65, "columns", "rows"),
    (20, 3, 97, "columns", "rows"),
    (33, 50, 40, "packed", "rows"),
]


@pytest.mark.parametrize("element", ["float", "double"])
@pytest.mark.parametrize(("m", "n", "k", "source", "order"), PRODUCTS)
def test_products(m: int, n: int, k: int, source: Source, order: Order, element: str, tmp_path: Path) -> None:
    dtype = np.float32 if element == "float" else np.float64
    random = np.random.default_rng(m * n * k)
    a, b = random.standard_normal((m, k)).astype(dtype), random.standard_normal((k, n)).astype(dtype)
    bias, c = random.standard_normal(n).astype(dtype), np.zeros((m, n), dtype)
    plan = plan_product(NEON, Shape(element, m, n, k, order, source, narrow=n <= 4))
    gemm = Gemm(element, plan, m, n, k, order, source, BIAS)
    left = a if order == "rows" else np.ascontiguousarray(a.T)
    right = {
        "rows": b,
        "columns": np.ascontiguousarray(b.T),
        "packed": pack_panels(b, gemm.tile.columns, gemm.tile.lanes),
    }
    scratch_bytes = gemm.scratch_bytes(k)
    assert isinstance(scratch_bytes, int)
    scratch = np.zeros(scratch_bytes * gemm.groups + 64, np.uint8)
    arguments: list[Array | int] = [left, left.shape[1], right[source], right[source].shape[-1], c, n, m, n, k, scratch]
    texts = [str(module) for module in product_modules(gemm).values()]
    result = call(tmp_path, texts, gemm.name, [*arguments, bias, 0, gemm.groups])[2]
    np.testing.assert_allclose(result, a @ b + bias, rtol=1e-4, atol=1e-5)


ROWS: dict[str, Callable[[Any], Any]] = {
    "exp": lambda x: optc.exp(x),
    "log": lambda x: optc.log(optc.abs(x)),
    "tanh": lambda x: optc.tanh(x),
    "erf": lambda x: optc.erf(x),
    "sin": lambda x: optc.sin(x * 10),
    "pow": lambda x: optc.pow(optc.abs(x), 1.7),
    "choice": lambda x: optc.where(x > 0, x, -x),
    "half": lambda x: (x.half() * 2).float(),
    "softmax": lambda x: F.softmax(x, -1),
    "layer norm": lambda x: F.layer_norm(x, [75]),
    "columns": lambda x: x.sum(0),
    "running sum": lambda x: optc.cumsum(x, -1),
    "transposed": lambda x: x[:60, :60] + x[:60, :60].t(),
}


class _Generated(Exception):
    """A program's kernels are known; its code cannot be loaded here."""


def kernels_of(function: Callable[[Any], Any], x: Any, monkeypatch: pytest.MonkeyPatch) -> list[Kernel]:
    """The kernels of a program before they are scheduled."""
    found: dict[str, Kernel] = {}

    def note(kernel: Kernel, target: Any) -> Any:
        found[str(kernel)] = kernel
        return schedule(kernel, target)

    def stop(self: NativeProgram, cached: bool = True) -> None:
        raise _Generated

    with monkeypatch.context() as patch, pytest.raises(_Generated):
        patch.setattr(jit, "host_target", lambda: NEON)
        patch.setattr(frame, "schedule", note)
        patch.setattr(shared_code, "begin", lambda: None)
        patch.setattr(NativeProgram, "load", stop)
        optc.compile(function, (x,), dynamic=False, fallback="error", cache=False)
    return list(found.values())


@pytest.mark.parametrize("name", ROWS)
def test_row_kernels(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(len(name))
    x = optc.from_numpy(random.standard_normal((100, 75)).astype(np.float32))
    kernels = kernels_of(ROWS[name], x, monkeypatch)
    assert kernels
    for kernel in kernels:
        scheduled = renamed(schedule(kernel, NEON).kernel, "kernel_of_test")
        module = Module("test")
        emit_kernel(scheduled, module, NEON)
        arrays = {
            buffer.name: (random.standard_normal(7500) * 2).astype(buffer.dtype.numpy)
            for buffer in passed_buffers(scheduled)
        }
        assert isinstance(scheduled.units, int)
        sizes = [0 if size == START else scheduled.units for size in scheduled.sizes]
        results = call(tmp_path, [str(module)], "kernel_of_test", [*arrays.values(), *sizes])
        interpret_kernel(kernel, arrays, {})
        for buffer, result in zip(passed_buffers(scheduled), results, strict=True):
            if buffer.role == "output":
                np.testing.assert_allclose(result, arrays[buffer.name], rtol=1e-4, atol=1e-4)
