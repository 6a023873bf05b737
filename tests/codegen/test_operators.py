"""Every operator, compiled alone, gives what its reference gives, with known and with unknown extents."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from optc.eager.base import TensorBase
from optc.eager.device import Device
from optc.errors import ExecutionError, OptcWarning
from optc.ir.function import Function
from optc.ir.graph import Graph, Value
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import BOOL, COMPLEX, FLOAT, NONE, STRING, TENSOR, IntType, ListType, TupleType, Type
from optc.ops.registry import Interpreted, Operator, all_operators
from optc.runtime.compiled import make_compiled
from tests.ops.samples import samples
from tests.ops.test_registry import FAILURES, same

CONTIGUOUS = np.zeros(1).flags

CANDIDATES = [
    operator
    for operator in all_operators()
    if not operator.mutates and not operator.random and not isinstance(operator.lowering, Interpreted)
]


def calling(operator: Operator, cases: list[tuple[Any, ...]]) -> tuple[Function, list[Any]]:
    """A function that applies an operator to every case and gives a tuple of the results; and its arguments."""
    graph = Graph()
    arrays: list[Any] = []
    inputs: list[Value] = []

    def pass_in(argument: Any) -> Value:
        if isinstance(argument, np.ndarray):
            arrays.append(argument)
            inputs.append(graph.add_input(TENSOR))
            return inputs[-1]
        if isinstance(argument, list):
            items = [pass_in(item) for item in argument]
            return graph.insert("prim::ListConstruct", items, (ListType(items[0].type if items else TENSOR),)).output
        return graph.insert_constant(argument, type_of_constant(argument))

    passed = [[pass_in(argument) for argument in case] for case in cases]
    name, _, overload = operator.name.partition(".")
    results: list[Value] = []
    for case in passed:
        returned = [result.type for result in operator.schema.returns]
        node = graph.insert(name, case, tuple(returned), overload=overload)
        results.extend(node.outputs)
    kind = TupleType(tuple(result.type for result in results))
    graph.add_output(graph.insert("prim::TupleConstruct", results, (kind,)).output)
    arguments = tuple(Argument(f"x{place}", TENSOR) for place in range(len(arrays)))
    schema = FunctionSchema("f", "", arguments, (Argument("", kind),))
    return Function("f", schema, graph), arrays


def type_of_constant(argument: Any) -> Type:
    if argument is None:
        return NONE
    return {bool: BOOL, int: IntType(), float: FLOAT, complex: COMPLEX, str: STRING}[type(argument)]


def split(operator: Operator) -> tuple[list[tuple[Any, ...]], list[Any], list[tuple[Any, ...]]]:
    """The samples that succeed, their results, and the samples that fail."""
    good, results, bad = [], [], []
    for case in samples(operator):
        try:
            with np.errstate(all="ignore"):
                result = operator.reference(*case)
        except FAILURES:
            bad.append(case)
            continue
        good.append(case)
        results.extend(result if len(operator.schema.returns) > 1 else [result])
    return good, results, bad


def unwrapped(value: Any) -> Any:
    if isinstance(value, TensorBase):
        return value._array
    if isinstance(value, Device):
        return str(value)
    return [unwrapped(item) for item in value] if isinstance(value, list) else value


RULES_THAT_ALLOW_MORE = ("aten::IntImplicit", "aten::full", "aten::layer_norm", "aten::pow")
"""Their rules do not refuse all that their references refuse; native code follows the rules."""

BOTH = pytest.mark.parametrize("dynamic", [False, True], ids=["known", "symbolic"])


def by_name(operators: list[Operator]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operator", operators, ids=[operator.name for operator in operators])


SOME = [(operator, place % 2 == 1) for place, operator in enumerate(CANDIDATES[::9])]


@pytest.mark.parametrize(
    ("operator", "dynamic"),
    SOME,
    ids=[f"{operator.name}-{('known', 'symbolic')[dynamic]}" for operator, dynamic in SOME],
)
def test_compiled_operators_mean_what_their_references_mean(operator: Operator, dynamic: bool) -> None:
    compare(operator, dynamic)


@pytest.mark.slow
@BOTH
@by_name(CANDIDATES)
def test_all_compiled_operators_mean_what_their_references_mean(operator: Operator, dynamic: bool) -> None:
    compare(operator, dynamic)


def compare_results(operator: Operator, cases: Sequence[Any], expected: Sequence[Any], dynamic: bool) -> None:
    """All cases in one program, called twice: the second call goes through the native entry."""
    function, arrays = calling(operator, cases)
    compiled = make_compiled(function, None, dynamic=dynamic, fallback="allow")
    for _ in range(2):
        for mine, theirs in zip(compiled(*arrays), expected, strict=True):
            assert same(unwrapped(mine), theirs, 1e-5), (mine, theirs)


def compare(operator: Operator, dynamic: bool) -> None:
    good, expected, bad = split(operator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", OptcWarning)
        if good:
            compare_results(operator, good, expected, dynamic)
        # Arguments with gaps are copied before they reach native code: there every view of them is possible.
        plain = [case for case in bad if all(getattr(item, "flags", CONTIGUOUS).c_contiguous for item in case)]
        for case in [] if operator.schema.name in RULES_THAT_ALLOW_MORE else plain[:2]:
            function, arrays = calling(operator, [case])
            with pytest.raises((ExecutionError, *FAILURES)):
                make_compiled(function, None, dynamic=dynamic, fallback="allow")(*arrays)
