"""Random programs of views, writes, products, reductions, branches and loops mean compiled what they mean interpreted."""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from optc import interpreter
from optc.codegen.machine import jit
from optc.codegen.machine.host import AVX2, GENERIC
from optc.eager.dispatch import wrap
from optc.errors import OptcWarning
from optc.ir.function import Function
from optc.ir.graph import Block, Graph, Value
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import BOOL, FLOAT, INT, NONE, TENSOR, ListType, TupleType
from optc.runtime.compiled import make_compiled
from tests.passes.test_random_programs import Program

Shape = tuple[int, ...]
SHAPES: list[Shape] = [(3, 4), (1, 5), (2, 15), (5, 16), (4, 17), (7, 33), (16, 16), (40, 70), (3, 2, 9), (20, 3, 31)]


@dataclass
class Computation(Program):
    """Adds what kernels are made of: reductions, softmax, products, concatenation, comparisons."""

    def nested(self, block: Block, length: int) -> Program:
        inner = replace(self, pool=list(self.pool), depth=self.depth + 1)
        with self.graph.inserting(block):
            for _ in range(length):
                inner.statement()
        return inner

    def compute(self) -> None:
        choose = self.choices.choice((super().compute, self.reduce, self.softmax, self.product, self.join, self.select))
        choose()

    def none(self) -> Value:
        return self.graph.insert_constant(None, NONE)

    def listed(self, *items: Value) -> Value:
        return self.graph.insert("prim::ListConstruct", items, (ListType(items[0].type),)).output

    def reduce(self) -> None:
        value, shape = self.pick()
        if not shape or 0 in shape:
            return
        dim, kept = self.choices.randrange(len(shape)), self.choices.random() < 0.5
        kind = self.choices.choice(("sum", "mean", "amax"))
        inputs = [value, self.listed(self.number(dim)), self.graph.insert_constant(kept, BOOL)]
        made = self.insert(f"aten::{kind}", inputs + ([] if kind == "amax" else [self.none()]))
        self.pool.append((made, (*shape[:dim], *((1,) if kept else ()), *shape[dim + 1 :])))

    def softmax(self) -> None:
        value, shape = self.pick()
        if shape:
            dim = self.number(self.choices.randrange(len(shape)))
            self.pool.append((self.insert("aten::softmax", [value, dim, self.none()]), shape))

    def product(self) -> None:
        value, shape = self.pick()
        if len(shape) < 2:
            return
        turned = self.insert("aten::transpose", [value, self.number(-1), self.number(-2)])
        made = self.insert("aten::matmul", [value, turned])
        scale = self.graph.insert_constant(1.0 / shape[-1], FLOAT)
        scaled = self.insert("aten::mul", [made, scale])
        self.pool.append((self.insert("aten::tanh", [scaled]), (*shape[:-2], shape[-2], shape[-2])))

    def join(self) -> None:
        value, shape = self.pick()
        if shape and shape[0] < 50:
            made = self.insert("aten::cat", [self.listed(value, self.pick(shape)[0]), self.number(0)])
            self.pool.append((made, (2 * shape[0], *shape[1:])))

    def select(self) -> None:
        value, shape = self.pick()
        other = self.pick(shape)[0]
        condition = self.insert("aten::gt", [value, other])
        self.pool.append((self.insert("aten::where", [condition, value, self.pick(shape)[0]]), shape))


def random_function(
    choices: random.Random, shape: Shape, length: int, writes: float, kind_of_program: type[Computation] = Computation
) -> Function:
    """A function of two tensors, a condition and a trip count that returns up to four tensors."""
    graph = Graph()
    x, y = graph.add_input(TENSOR, "x"), graph.add_input(TENSOR, "y")
    condition, count = graph.add_input(BOOL, "c"), graph.add_input(INT, "n")
    program = kind_of_program(graph, choices, [], condition, count, writes=writes)
    program.pool = [(program.insert("aten::clone", [value, program.none()]), shape) for value in (x, y)]
    for _ in range(length):
        program.statement()
    results = [value for value, _ in program.pool[-4:]]
    kind = TupleType((TENSOR,) * len(results))
    graph.add_output(graph.insert("prim::TupleConstruct", results, (kind,)).output)
    arguments = (Argument("x", TENSOR), Argument("y", TENSOR), Argument("c", BOOL), Argument("n", INT))
    return Function("f", FunctionSchema("f", "", arguments, (Argument("", kind),)), graph)


def arguments_for(seed: int, shape: Shape) -> list[Any]:
    generator = np.random.default_rng(seed)
    tensors = [wrap(generator.standard_normal(shape).astype(np.float32)) for _ in range(2)]
    return [*tensors, bool(generator.integers(2)), int(generator.integers(4))]


def compare(seed: int) -> None:
    choices = random.Random(seed)
    shape = choices.choice(SHAPES)
    function = random_function(choices, shape, choices.randrange(1, 13), choices.choice((0.0, 0.2)))
    compiled = make_compiled(function, None, dynamic=choices.random() < 0.4, fallback="allow")
    with warnings.catch_warnings():
        warnings.simplefilter("error", OptcWarning)
        for turn in range(3):
            arguments = arguments_for(seed + turn, shape)
            expected = interpreter.run(function, arguments)
            for mine, theirs in zip(compiled(*arguments), expected, strict=True):
                text = f"seed {seed}: {function.graph}"
                np.testing.assert_allclose(mine._array, theirs._array, 2e-4, 2e-4, err_msg=text)


@pytest.mark.parametrize("part", range(6))
def test_compiled_programs_mean_what_they_mean_interpreted(part: int) -> None:
    for seed in range(8 * part, 8 * part + 8):
        compare(seed)


@pytest.mark.parametrize("target", [AVX2, GENERIC], ids=["avx2", "generic"])
def test_programs_for_smaller_machines_mean_the_same(target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "host_target", lambda: target)
    for seed in range(1000, 1012):
        compare(seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(40))
def test_many_compiled_programs(part: int) -> None:
    for seed in range(10_000 + 25 * part, 10_000 + 25 * part + 25):
        compare(seed)
