"""Which element types operators refuse, and that eager calls, scripts and compiled programs refuse them alike."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import optc
from optc.errors import ExecutionError
from optc.ir import dtypes
from optc.ir.schema import parse_schema
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, check_type, refusal, unimplemented
from optc.ops.registry import Interpreted, Operator, lookup

CALLS = [
    ("torch.floor(x)", optc.bool, "\"floor_vml_cpu\" not implemented for 'Bool'"),
    ("x < x", optc.complex64, "\"lt_cpu\" not implemented for 'ComplexFloat'"),
    ("torch.clamp(x, 0, 1)", optc.complex128, "clamp is not supported for complex types"),
    ("torch.prelu(x, x)", optc.int64, "\"prelu_cpu\" not implemented for 'Long'"),
    ("torch.lerp(x, x, 0.5)", optc.int32, "\"lerp_kernel_scalar\" not implemented for 'Int'"),
    ("torch.addcmul(x, x, x)", optc.bool, "\"addcmul_cpu_out\" not implemented for 'Bool'"),
    ("torch.igamma(x, x)", optc.int16, "\"igamma_cpu\" not implemented for 'Short'"),
    ("torch.sort(x)[0]", optc.complex64, " Sort does not support complex dtypes on CPU"),
    ("torch.median(x)", optc.bool, "\"median_cpu\" not implemented for 'Bool'"),
    ("torch.cumsum(x, 0, dtype=11)", optc.int64, "\"cumsum_out_cpu\" not implemented for 'Bool'"),
]


@pytest.mark.parametrize(("expression", "dtype", "message"), CALLS)
def test_eager_calls_scripts_and_compiled_programs_refuse_with_pytorchs_words(
    expression: str, dtype: Any, message: str
) -> None:
    x = optc.ones(3).to(dtype)
    kind = RuntimeError if message.startswith(" Sort") else NotImplementedError
    with pytest.raises(kind) as raised:
        eval(expression, {"torch": optc, "x": x})
    assert str(raised.value) == message
    program = optc.jit.CompilationUnit(f"def called(x: Tensor) -> Tensor:\n    return {expression}\n").called
    for function in (program, optc.compile(program, fallback="allow")):
        with pytest.raises(ExecutionError, match=re.escape(message)) as failed:
            function(x)
        assert isinstance(failed.value.__cause__, kind)


def test_what_promotes_to_a_type_with_a_kernel_is_taken() -> None:
    truths = optc.ones(2, dtype=optc.bool)
    assert optc.clamp(truths, 0, 1).dtype is optc.int64
    assert (truths // 2).dtype is optc.int64
    with pytest.raises(NotImplementedError, match="div_floor_cpu"):
        truths // truths


def test_kernels_that_are_not_reached_without_elements_refuse_nothing() -> None:
    assert optc.mm(optc.ones(0, 3, dtype=optc.bool), optc.ones(3, 2, dtype=optc.bool)).shape == (0, 2)
    with pytest.raises(NotImplementedError, match="addmm_impl_cpu_"):
        optc.mm(optc.ones(1, 3, dtype=optc.bool), optc.ones(3, 2, dtype=optc.bool))
    with pytest.raises(NotImplementedError, match="floor_vml_cpu"):
        optc.floor(optc.ones(0, dtype=optc.bool))


def test_rules_and_references_ask_before_they_work() -> None:
    def fails(*arguments: Any) -> Any:
        raise AssertionError("it must not come to this")

    def same_shapes(self: TensorType, other: TensorType, *rest: Any) -> TensorType:
        if self.shape != other.shape:
            raise ShapeError("other shapes")
        return self

    schema = parse_schema(
        "test::refusing(Tensor self, Tensor other, *, Scalar alpha=1, ScalarType? dtype=None) -> Tensor"
    )
    refuses = unimplemented("one", COMPLEXES) + refusal(BOOLS, "no {label}", of="dtype")
    operator = Operator("test::refusing", lambda: schema, same_shapes, fails, Interpreted("never run"), refuses=refuses)
    whole, complex_ = np.ones(2, np.int64), np.ones(2, np.complex64)
    for given in ((whole, complex_), (TensorType(dtypes.INT64, (2,)), TensorType(dtypes.COMPLEX64, (2,)))):
        function = operator.reference if given[0] is whole else operator.infer
        with pytest.raises(NotImplementedError, match="\"one\" not implemented for 'ComplexFloat'"):
            function(*given, 1, None)
        with pytest.raises(RuntimeError, match="no Bool"):
            function(given[0], given[0], 1, dtypes.BOOL.code)
    with pytest.raises(AssertionError):
        operator.reference(whole, whole, True, None)
    with pytest.raises(ShapeError, match="other shapes"):  # PyTorch looks for a kernel when shapes fit
        operator.reference(whole, np.ones(3, np.complex64), 1, None)


def test_a_rule_may_ask_by_itself() -> None:
    check_type(unimplemented("kernel", WHOLE), dtypes.FLOAT32)
    with pytest.raises(NotImplementedError, match="\"kernel\" not implemented for 'Byte'"):
        check_type(unimplemented("kernel", WHOLE), dtypes.UINT8)


def test_operands_of_an_unknown_type_are_left_to_the_run() -> None:
    operator = lookup("aten::floor")
    assert operator is not None
    assert not operator.infer(TensorType(None, None)).is_typed


def test_masked_reductions_and_places_name_the_types_they_do_not_take() -> None:
    x, mask = optc.ones(2, dtype=optc.complex64), optc.tensor([True, False])
    with pytest.raises(TypeError, match=re.escape("torch.iinfo() requires an integer input type")):
        optc.masked.amax(x, 0, mask=mask)
    with pytest.raises(NotImplementedError, match="\"max_values_cpu\" not implemented for 'ComplexFloat'"):
        optc.masked.amax(x, 0)
    with pytest.raises(AssertionError, match="input must be floating point, got torch.complex64"):
        optc.masked.norm(x, -float("inf"), 0, mask=mask)
    with pytest.raises(TypeError, match="expected 'indices' to be integer dtype, but got torch.float32"):
        optc.unravel_index(optc.ones(1), (2, 3))


def test_up_to_one_bool_of_a_sequence_needs_no_kernel() -> None:
    assert (
        optc.linspace(1, 2, 1, dtype=optc.bool).tolist() == optc.logspace(0, 1, 1, dtype=optc.bool).tolist() == [True]
    )
    with pytest.raises(NotImplementedError, match="linspace_cpu"):
        optc.linspace(0, 1, 2, dtype=optc.bool)
