"""Every operator: its declaration is complete, and its parts agree with each other.

An operator is one test, which makes all checks that concern it: collecting and reporting a test takes longer than most
checks do.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import optc
from optc.ir import dtypes
from optc.ir.dims import Symbolic, substitute
from optc.ir.schema import parse_schema
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, Unknown
from optc.ops.registry import (
    Decomposition,
    Interpreted,
    Kernel,
    Layout,
    Operator,
    Pointwise,
    Reduction,
    all_operators,
    lookup,
    overloads,
)
from tests.ops.evaluation import (
    Bindings,
    as_abstract,
    run_decomposition,
    run_expression,
    run_layout,
    run_reduction,
)
from tests.ops.samples import samples

assert optc.__doc__ is not False  # importing optc declares the operators

FAILURES = (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError)
OPERATORS = list(all_operators())
FUNCTIONAL = [operator for operator in OPERATORS if not operator.mutates and not operator.random]
Check = Callable[[Operator], None]
CHECKS: list[tuple[Check, frozenset[str]]] = []
"""The checks, and the names of the operators that they concern."""


def of(kind: type) -> list[Operator]:
    return [operator for operator in FUNCTIONAL if isinstance(operator.lowering, kind)]


def check(operators: list[Operator]) -> Callable[[Check], Check]:
    """Marks a check of these operators."""

    def add(function: Check) -> Check:
        CHECKS.append((function, frozenset(operator.name for operator in operators)))
        return function

    return add


@pytest.mark.parametrize("operator", OPERATORS, ids=[operator.name for operator in OPERATORS])
def test_the_parts_of_an_operator_agree(operator: Operator) -> None:
    failed: list[Exception] = []
    for function, names in CHECKS:
        if operator.name in names:
            try:
                function(operator)
            except Exception as error:  # noqa: BLE001
                error.add_note(function.__name__)
                failed.append(error)
    if failed:
        raise ExceptionGroup(f"{operator.name} fails {len(failed)} of its checks", failed)


def test_every_check_concerns_an_operator() -> None:
    assert len(CHECKS) == 13
    assert all(names for _, names in CHECKS)


def same(mine: Any, other: Any, tolerance: float = 2e-6) -> bool:
    """Equal up to rounding, of one type and shape."""
    if isinstance(mine, np.ndarray):
        if not isinstance(other, np.ndarray) or mine.shape != other.shape or mine.dtype != other.dtype:
            return False
        if mine.dtype.kind in "iub":
            return bool(np.array_equal(mine, other))
        if mine.dtype.itemsize == 2:
            tolerance = 1e-2 if mine.dtype.name == "bfloat16" else 2e-3
        with np.errstate(all="ignore"):
            wide = np.complex128 if mine.dtype.kind == "c" else np.float64
            return bool(np.allclose(mine.astype(wide), other.astype(wide), tolerance, tolerance, True))
    if isinstance(mine, list | tuple):
        return len(mine) == len(other) and all(same(*pair, tolerance) for pair in zip(mine, other))
    if isinstance(mine, float) and isinstance(other, float):
        return mine == other or (math.isnan(mine) and math.isnan(other)) or abs(mine - other) <= tolerance * abs(mine)
    if isinstance(mine, complex) and isinstance(other, complex):
        return same(mine.real, other.real, tolerance) and same(mine.imag, other.imag, tolerance)
    return type(mine) is type(other) and mine == other


@lru_cache(maxsize=1)
def outcomes(operator: Operator) -> list[tuple[tuple[Any, ...], Any]]:
    """The samples that succeed, with their results."""
    found = []
    for arguments in samples(operator):
        try:
            found.append((arguments, operator.reference(*arguments)))
        except FAILURES:
            continue
    return found


@check(OPERATORS)
def the_schema_survives_printing_and_parsing(operator: Operator) -> None:
    assert lookup(operator.name) is operator
    assert parse_schema(str(operator.schema)) == operator.schema
    assert operator.schema.full_name == operator.name


def test_overloads_on_tensors_are_tried_before_those_on_numbers() -> None:
    names = [operator.name for operator in overloads("aten::add")]
    assert names.index("aten::add.Tensor") < names.index("aten::add.int") < names.index("aten::add")


def _takes(function: Any, count: int) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return True
    positional = [item for item in parameters if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)]
    required = [item for item in positional if item.default is item.empty]
    variadic = any(item.kind == item.VAR_POSITIONAL for item in parameters)
    return len(required) <= count and (variadic or len(positional) >= count)


@check(FUNCTIONAL)
def every_part_takes_the_arguments_of_the_schema(operator: Operator) -> None:
    count = len(operator.schema.arguments)
    if operator.schema.is_variadic:
        return
    assert _takes(operator.rule, count)
    assert _takes(operator.reference, count)
    if isinstance(operator.lowering, Decomposition):
        assert _takes(operator.lowering.function, count + 1)
    if isinstance(operator.lowering, Pointwise):
        assert _takes(operator.lowering.function, count)
    if isinstance(operator.lowering, Layout):
        assert _takes(operator.lowering.function, count + 2)


UNTRIED = ("aten::empty", "aten::new_empty", "prim::", "aten::format", "aten::percentFormat", "aten::warn", "aten::hash",
           "aten::is_", "aten::has_torch_function", "aten::_get_tracing_state")  # fmt: skip


@check([operator for operator in FUNCTIONAL if not isinstance(operator.lowering, Interpreted)])
def every_operator_with_native_code_succeeds_on_a_sample(operator: Operator) -> None:
    if operator.name.startswith(UNTRIED):
        return
    assert outcomes(operator)


def check_inferred(inferred: Any, result: Any, bindings: Bindings) -> None:
    """What the rule found out holds for the real result."""
    if isinstance(inferred, Unknown) or result is None:
        return
    if isinstance(inferred, TensorType):
        assert inferred.dtype is dtypes.from_numpy(result.dtype)
        assert inferred.shape is not None and len(inferred.shape) == result.ndim
        found = [substitute(dim, bindings) for dim in inferred.shape]
        assert [dim for dim in found if isinstance(dim, int)] == [
            real for dim, real in zip(found, result.shape) if isinstance(dim, int)
        ]
    elif isinstance(inferred, list | tuple):
        assert len(inferred) == len(result)
        for item, real in zip(inferred, result):
            check_inferred(item, real, bindings)
    elif isinstance(inferred, Symbolic):
        known = substitute(inferred, bindings)
        assert isinstance(known, Symbolic) or known == result
    else:
        assert same(inferred, result)


def infer(operator: Operator, arguments: tuple[Any, ...], bindings: Bindings | None) -> Any:
    return operator.infer(*(as_abstract(argument, bindings) for argument in arguments))


@check(FUNCTIONAL)
def the_rule_agrees_with_the_result(operator: Operator) -> None:
    for arguments, result in outcomes(operator):
        try:
            check_inferred(infer(operator, arguments, None), result, {})
        except UndecidedShape:
            continue


@check(FUNCTIONAL)
def the_rule_agrees_with_the_result_for_symbolic_extents(operator: Operator) -> None:
    for arguments, result in outcomes(operator):
        bindings: Bindings = {}
        try:
            inferred = infer(operator, arguments, bindings)
        except UndecidedShape:
            continue
        check_inferred(inferred, result, bindings)


@check([operator for operator in FUNCTIONAL if any(
    isinstance(argument.type, TensorType) for argument in operator.schema.arguments)])  # fmt: skip
def the_rule_refuses_only_what_the_reference_refuses(operator: Operator) -> None:
    for arguments in samples(operator):
        try:
            infer(operator, arguments, None)
        except UndecidedShape:
            continue
        except FAILURES as refused:
            with pytest.raises(FAILURES) as raised:
                operator.reference(*arguments)
            assert str(raised.value) == str(refused)


@check([operator for operator in FUNCTIONAL if not operator.is_view and operator.shares is None])
def results_of_operators_that_are_no_views_own_their_memory(operator: Operator) -> None:
    for arguments, result in outcomes(operator):
        arrays = [item for item in arguments if isinstance(item, np.ndarray) and item.size]
        results = [
            item for item in (result if isinstance(result, tuple) else (result,)) if isinstance(item, np.ndarray)
        ]
        assert not any(np.shares_memory(array, item) for array in arrays for item in results)


@check(of(Pointwise))
def the_expression_means_what_the_reference_means(operator: Operator) -> None:
    for arguments, result in outcomes(operator):
        if isinstance(result, np.ndarray | bool | int | float):
            assert same(np.asarray(run_expression(operator, arguments, result)), np.asarray(result), 1e-5), arguments


@check(of(Reduction))
def the_reduction_means_what_the_reference_means(operator: Operator) -> None:
    for arguments, result in outcomes(operator):
        assert same(run_reduction(operator, arguments, result), result, 1e-5), arguments


@check(of(Layout))
def the_layout_means_what_the_reference_means(operator: Operator) -> None:
    for arguments, result in outcomes(operator):
        assert same(run_layout(operator, arguments), result), arguments


@check(of(Decomposition))
def the_decomposition_means_what_the_reference_means(operator: Operator) -> None:
    for arguments, result in outcomes(operator):
        try:
            assert same(run_decomposition(operator, arguments), result, 1e-5), arguments
        except UndecidedShape:
            continue


@check(of(Decomposition))
def the_decomposition_holds_for_symbolic_extents(operator: Operator) -> None:
    for arguments, result in outcomes(operator):
        try:
            assert same(run_decomposition(operator, arguments, {}), result, 1e-5), arguments
        except UndecidedShape:
            continue


KERNELS = {"matmul", "group_products", "gather", "concatenate", "fill", "arange", "arg_reduce", "cumulative", "scatter", "sort", "triangle",
           "copy", "index", "list_append", "select_scatter", "true_places", "sorted_places", "running_extreme", "pad",
           "matrix_solve", "matrix_triangular", "matrix_factor", "matrix_cholesky", "fourier_transform",
           "kept_boxes", "patch_sums", "patch_maxima", "rows", "new_like"}  # fmt: skip


@check(of(Kernel))
def kernels_have_known_names(operator: Operator) -> None:
    assert isinstance(operator.lowering, Kernel) and operator.lowering.name in KERNELS
