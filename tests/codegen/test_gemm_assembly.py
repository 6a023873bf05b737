"""The code of products keeps its sums in registers: what LLVM makes of every tile that is chosen."""

import re
from dataclasses import replace

import pytest

from optc.codegen.gemm.epilogue import BIAS, PLAIN, then
from optc.codegen.gemm.kernel import Kernel, Order
from optc.codegen.gemm.plan import Shape, plan_product
from optc.codegen.gemm.tiles import Tile, choose_tile
from optc.codegen.llvm import Builder, Value
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, AVX512, GENERIC, NEON, Target


def hot_loop(assembly: str, multiply_add: str) -> list[str]:
    """The instructions of the innermost loop with the most multiply-adds, from its label to the jump back."""
    lines = [line.strip() for line in assembly.splitlines() if not line.strip().startswith(("#", "//"))]
    labels = {line.split(":")[0]: number for number, line in enumerate(lines) if re.match(r"\.?L?BB\S*:", line)}
    loops = []
    for number, line in enumerate(lines):
        jump = re.match(r"(?:j\w+|b\.\w+|cb\w+.*,|b)\s+(\S*BB\S+)$", line)
        if jump and labels.get(jump[1], number) < number:
            loops.append((labels[jump[1]], number + 1))
    inner = [
        lines[start:stop] for start, stop in loops
        if not any((start, stop) != other and start <= other[0] and other[1] <= stop for other in loops)
    ]  # fmt: skip
    return max(inner, key=lambda loop: (sum(multiply_add in line for line in loop), -len(loop)))


FOREIGN = [AVX512, AVX2, GENERIC, NEON]


def far_away(b: Builder, value: Value) -> Value:
    """Something long, as an activation may be, without multiply-adds."""
    total = value
    for step in range(1, 20):
        total = b.fadd(b.select(b.fcmp("ogt", total, float(step)), value, total), float(step))
    return total


LONG = then(BIAS, "far away", far_away, operations=40)

MULTIPLY_ADD = {"skylake-avx512": "vfmadd", "haswell": "vfmadd", "x86-64": "mulps", "neoverse-n1": "fmla"}


def stack_traffic(loop: list[str]) -> list[str]:
    """The instructions that move vectors between registers and the stack."""
    return [line for line in loop if re.search(r"[xyz]mm\d+.*\(%rsp|\(%rsp.*[xyz]mm\d+|q\d+.*\[sp", line)]


def hot_loop_of(kernel: Kernel, target: Target) -> list[str]:
    return hot_loop(jit.assembly(str(kernel.module()), target), MULTIPLY_ADD[target.cpu])


def chosen_tiles(target: Target) -> list[Tile]:
    """The tiles that products of many shapes are computed with."""
    rows, columns = (1, 2, 3, 4, 5, 6, 7, 8, 13, 49, 64, 128, None), (10, 48, 100, 256, 768, 1024, None)
    chosen = [choose_tile(target, "float", m, n, packed) for m in rows for n in columns for packed in (False, True)]
    return list(dict.fromkeys(tile for tile in chosen if tile.lanes == target.lanes("float")))


@pytest.mark.parametrize("target", FOREIGN, ids=lambda target: target.cpu)
def test_the_k_loop_keeps_its_sums_in_registers(target: Target) -> None:
    for tile in chosen_tiles(target):
        order: Order = "rows" if tile.rows <= 8 else "columns"
        kernels = [
            Kernel("float", tile, PLAIN, order),
            Kernel("float", tile, BIAS, order, blocked=True, prefetch=1, cut=True),
            Kernel("float", tile, LONG, order, batched=True),
            Kernel("float", tile, BIAS, order, streams=4096, cut=True),
        ]
        if tile.rows > 1:
            kernels.append(Kernel("float", tile, BIAS, order, copies=True, prefetch=1))
        if order == "rows":
            kernels.append(Kernel("float", tile, PLAIN, windows=1))
            kernels.append(Kernel("float", tile, LONG, blocked=True, prefetch=1, cut=True, windows=3, places=2))
        if target is not AVX512 and tile.vectors in (2, 3):
            adding = Kernel("float", tile, BIAS, order, floats=True, blocked=True, prefetch=1, adds=True)
            kernels += [replace(adding, clamped=order == "rows"), Kernel("float", tile, LONG, order, floats=True)]
        if target.masks and target is AVX512 or tile.vectors < 3:
            kernels.append(Kernel("float", tile, PLAIN, order, masked=True, ragged=target.masks))
        for kernel in kernels:
            loop = hot_loop_of(kernel, target)
            assert sum(MULTIPLY_ADD[target.cpu] in line for line in loop) == tile.rows * tile.vectors, kernel.name
            assert stack_traffic(loop) == [], kernel.name


@pytest.mark.parametrize("target", FOREIGN, ids=lambda target: target.cpu)
def test_columns_are_transposed_in_registers(target: Target) -> None:
    for m in range(1, 7):
        plan = plan_product(target, Shape("float", m, 100, 100, "rows", "columns"))
        if plan.transposes:
            for cut in (False, True):
                loop = hot_loop_of(Kernel("float", plan.tile, PLAIN, b="columns", cut=cut), target)
                assert stack_traffic(loop) == [], plan.tile


@pytest.mark.parametrize("target", FOREIGN, ids=lambda target: target.cpu)
@pytest.mark.parametrize(("m", "n"), [(1, 100), (1, 5), (100, 2), (100, 3), (100, 4)])
def test_vectors_along_k_stay_in_registers(m: int, n: int, target: Target) -> None:
    plan = plan_product(target, Shape("float", m, n, 100, "rows", "columns", narrow=True))
    loop = hot_loop_of(Kernel("float", plan.tile, PLAIN, b="columns", along=plan.along), target)
    assert sum(MULTIPLY_ADD[target.cpu] in line for line in loop) == plan.tile.rows * plan.tile.lanes
    assert stack_traffic(loop) == [], plan.tile


@pytest.mark.parametrize("target", [AVX2, AVX512], ids=["avx2", "avx512"])
def test_sums_that_wait_on_the_stack_do_not_cross_cache_lines(target: Target) -> None:
    """Wherever the stack begins: processes would be fast or slow by chance."""
    kernel = Kernel("float", choose_tile(target, "float", None, None), PLAIN, blocked=True, cut=True)
    lines = jit.assembly(str(kernel.module()), target).splitlines()
    assert any(f"$-{target.vector_bytes}, %rsp" in line for line in lines if "and" in line)
    waiting = stack_traffic(lines)
    assert waiting and not any("movu" in line for line in waiting)


def test_an_oversized_tile_is_seen_to_spill() -> None:
    """The checks above can fail: 8 x 4 sums of 16 lanes do not fit into 32 registers."""
    assert stack_traffic(hot_loop_of(Kernel("float", Tile(8, 4, 16), PLAIN), AVX512))
