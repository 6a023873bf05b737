"""Numbers about generated code that do not jitter: they are the same on every machine and in every run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from optc.codegen.machine.host import AVX2, AVX512, Target
from optc.codegen.machine.jit import assembly
from optc.codegen.native_program import NativeProgram
from optc.codegen.program import generate
from optc.ir.graph import Graph

OF_MACHINE_CODE = ("instructions in loops", "vector stack references in loops")
"""Counts that LLVM has a say in: they are the same only with the same version of it."""

TARGETS: dict[str, Target] = {"avx512": AVX512, "avx2": AVX2}
"""Code is counted for these processors, whatever the machine is."""

_LABEL = re.compile(r"^(\.?L?BB\d+_\d+|\.LBB\d+_\d+):")
_JUMP = re.compile(r"^\s+j\w+\s+(\.LBB\d+_\d+)")
_STACK = re.compile(r"\((?:%rsp|%rbp)\)")  # an index beside it says scratch
_VECTOR = re.compile(r"%[xyz]mm\d+")
_INSTRUCTION = re.compile(r"^\s+(?:%\S+ = |store |br |ret |call |tail call |switch |unreachable)")


def graph_nodes(graph: Graph) -> int:
    """Nodes of the optimised graph, those in nested blocks included."""
    return sum(1 for _ in graph.walk())


def llvm_instructions(text: str) -> int:
    """Instructions in the text of LLVM modules."""
    return sum(1 for line in text.splitlines() if _INSTRUCTION.match(line))


def loop_lines(text: str) -> Iterator[str]:
    """The instructions of an assembly text that lie between a label and a later jump back to it, each once."""
    lines = text.splitlines()
    labels: dict[str, int] = {}
    inside: set[int] = set()
    for number, line in enumerate(lines):
        label = _LABEL.match(line)
        if label is not None:
            labels[label[1]] = number
        jump = _JUMP.match(line)
        if jump is not None and jump[1] in labels:
            inside.update(range(labels[jump[1]], number + 1))
        if line.startswith(("\t.size", "\t.globl")):
            labels.clear()  # labels of one function say nothing in the next
    return (lines[number] for number in sorted(inside))


def vector_stack_references(text: str) -> int:
    """Instructions in loops that move vectors from or to the stack: spills, where the code hurts most."""
    return sum(1 for line in loop_lines(text) if _STACK.search(line) and _VECTOR.search(line))


def counts_of(graph: Graph) -> dict[str, dict[str, int]]:
    """All counts of an optimised graph, per target."""
    return {name: _counts_for(generate(graph, target, "counted"), target) for name, target in TARGETS.items()}


def _counts_for(program: NativeProgram, target: Target) -> dict[str, int]:
    machine_code = "\n".join(assembly(text, target) for text in program.texts.values())
    return {
        "graph nodes": graph_nodes(program.graph),
        "kernels": len(program.kernels),
        "LLVM instructions": llvm_instructions(program.llvm),
        "instructions in loops": sum(1 for line in loop_lines(machine_code) if line.startswith("\t")),
        "vector stack references in loops": vector_stack_references(machine_code),
        "arena bytes": program.arena_bytes,
    }


def llvm_version() -> str:
    """The version of llvmlite, which brings its own LLVM."""
    return version("llvmlite")


def grown(found: dict[str, Any], baseline: dict[str, Any], allowance: float) -> list[str]:
    """Which counts are larger than the baseline's by more than the allowed share."""
    return [
        f"{name}: {value}, was {baseline[name]}"
        for name, value in found.items()
        if name in baseline and value > baseline[name] * (1 + allowance)
    ]
