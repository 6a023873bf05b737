"""Functions of one number: rounding, roots, exponentials, logarithms, trigonometry, error functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ops import special
from optc.ops.abstract import UndecidedShape
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, Refusals, refusal, unimplemented
from optc.ops.elementwise import Compute, Result, declare_pointwise
from optc.ops.promotion import compute_type, default_float, float_result, operand_type, real_type, result_type
from optc.ops.registry import ScalarFunction, define
from optc.ops.scalar import Expr, function, literal, select

Array = np.ndarray[Any, Any]


def declare_unary(
    name: str,
    scalar: ScalarFunction,
    compute: Compute,
    *,
    promotion: str = "common",
    check: Any = None,
    result: Result = None,
    aliases: tuple[str, ...] = (),
    refuses: Refusals = (),
) -> None:
    """`name`, its in-place form, its `out=` form, and the same under other names."""
    for spelling in (name, *aliases):
        declare_pointwise(
            f"aten::{spelling}(Tensor self) -> Tensor",
            scalar, compute, promotion=promotion, check=check, result=result, inplace=not spelling.startswith("special"),
            out="out", refuses=refuses,
        )  # fmt: skip


def _named(name: str) -> ScalarFunction:
    return lambda x: function(name, x)


# Functions with a fraction: integers become the default float ------------------------------------------------------

_name: str
_compute: Compute
_aliases: tuple[str, ...]
for _name, _compute, _aliases in (
    ("exp", np.exp, ()),
    ("exp2", np.exp2, ("special_exp2",)),
    ("expm1", np.expm1, ("special_expm1",)),
    ("log", np.log, ()),
    ("log2", np.log2, ()),
    ("log10", np.log10, ()),
    ("log1p", np.log1p, ("special_log1p",)),
    ("sin", np.sin, ()),
    ("cos", np.cos, ()),
    ("tan", np.tan, ()),
    ("asin", np.arcsin, ("arcsin",)),
    ("acos", np.arccos, ("arccos",)),
    ("atan", np.arctan, ("arctan",)),
    ("sinh", np.sinh, ()),
    ("cosh", np.cosh, ()),
    ("tanh", np.tanh, ()),
    ("asinh", np.arcsinh, ("arcsinh",)),
    ("acosh", np.arccosh, ("arccosh",)),
    ("atanh", np.arctanh, ("arctanh",)),
    ("sqrt", np.sqrt, ()),
):
    declare_unary(_name, _named(_name), _compute, promotion="float", aliases=_aliases)
for _name, _kernel, _compute, _aliases in (
    ("erf", "erf_vml_cpu", special.erf, ("special_erf",)),
    ("erfc", "erfc_vml_cpu", special.erfc, ("special_erfc",)),
    ("erfinv", "erfinv_vml_cpu", special.erfinv, ("special_erfinv",)),
    ("lgamma", "lgamma_vml_cpu", special.lgamma, ()),
    ("digamma", "digamma", special.digamma, ("special_digamma",)),
):
    declare_unary(
        _name, _named(_name), _compute, promotion="float", aliases=_aliases, refuses=unimplemented(_kernel, COMPLEXES)
    )


def sigmoid(x: Expr) -> Expr:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + function("exp", -x))


def sigmoid_array(x: Array) -> Array:
    """The logistic function in the array's type; exp of large arguments overflows to the right limit."""
    return 1 / (1 + np.exp(-x))


declare_unary("rsqrt", lambda x: 1.0 / function("sqrt", x), lambda x: 1 / np.sqrt(x), promotion="float")
declare_unary("reciprocal", lambda x: 1.0 / x, lambda x: 1 / x, promotion="float")
declare_unary("sigmoid", sigmoid, sigmoid_array, promotion="float", aliases=("special_expit",))
declare_unary(
    "deg2rad",
    lambda x: x * (math.pi / 180.0),
    lambda x: x * x.dtype.type(math.pi / 180.0),
    promotion="float",
    refuses=refusal(COMPLEXES, "deg2rad is not supported for complex tensors."),
)
declare_unary(
    "rad2deg",
    lambda x: x * (180.0 / math.pi),
    lambda x: x * x.dtype.type(180.0 / math.pi),
    promotion="float",
    refuses=refusal(COMPLEXES, "rad2deg is not supported for complex tensors."),
)
declare_unary(
    "sinc",
    lambda x: select(x.equal(0.0), literal(1.0, x.dtype), function("sin", x * math.pi) / (x * math.pi)),
    lambda x: np.where(x == 0, x.dtype.type(1), np.sin(x * x.dtype.type(np.pi)) / (x * x.dtype.type(np.pi))),
    promotion="float",
)


# Rounding: integers stay as they are ---------------------------------------------------------------------------------


def _keeps_integers(name: str) -> ScalarFunction:
    return lambda x: function(name, x) if x.dtype.kind == "float" else x


def _keeps_integer_arrays(compute: Compute) -> Compute:
    return lambda x: compute(x) if x.dtype.kind == "f" else x.copy()


for _name, _primitive, _compute, _aliases in (
    ("floor", "floor", np.floor, ()),
    ("ceil", "ceil", np.ceil, ()),
    ("round", "round", np.rint, ()),
    ("trunc", "trunc", np.trunc, ("fix",)),
):
    _no_complex = refusal(COMPLEXES, f"{_name} is not supported for complex inputs", NotImplementedError)
    declare_unary(
        _name,
        _keeps_integers(_primitive),
        _keeps_integer_arrays(_compute),
        aliases=_aliases,
        refuses=(() if _name == "round" else _no_complex) + unimplemented(f"{_name}_vml_cpu", BOOLS | COMPLEXES),
    )

declare_unary(
    "frac",
    lambda x: x - function("trunc", x),
    lambda x: x - np.trunc(x),
    refuses=unimplemented("frac_cpu", WHOLE | COMPLEXES),
)


def _round_decimals(b: Any, x: Any, decimals: int) -> Any:
    if decimals == 0:
        return b("aten::round", x)
    dtype = b.type(x).dtype
    scale = 10.0 ** abs(decimals)
    # Halves are scaled in single precision, as numbers that do not fit a half when they are scaled do when rounded.
    work = b("aten::to.dtype", x, compute_type(dtype).code)
    scaled = b("aten::mul.Scalar" if decimals > 0 else "aten::div.Scalar", work, scale)
    rounded = b("aten::div.Scalar" if decimals > 0 else "aten::mul.Scalar", b("aten::round", scaled), scale)
    return b("aten::to.dtype", rounded, dtype.code)


def _round_decimals_reference(x: Array, decimals: int) -> Array:
    work = x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind != "i" else x
    scale = work.dtype.type(10.0 ** abs(decimals))
    rounded = np.rint(work * scale) / scale if decimals > 0 else np.rint(work / scale) * scale
    return np.asarray(rounded).astype(x.dtype)


define(
    "aten::round.decimals(Tensor self, *, int decimals) -> Tensor",
    infer=lambda x, decimals: x.with_shape(x.shape),
    reference=_round_decimals_reference,
    decompose=_round_decimals,
    refuses=unimplemented("round_cpu", WHOLE | COMPLEXES),
    inplace=True,
    out="decimals_out",
)


# Sign and size -------------------------------------------------------------------------------------------------------


def _check_negation(dtype: DType, *arguments: Any) -> None:
    if dtype is dtypes.BOOL:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


def _absolute(x: Expr) -> Expr:
    if not x.dtype.is_signed:
        return x
    return function("abs", x)


def sign(x: Expr) -> Expr:
    """-1, 0 or 1; 0 for nan."""
    if x.dtype is dtypes.BOOL:
        return x
    positive = (x > 0).cast(x.dtype)
    return positive - (x < 0).cast(x.dtype) if x.dtype.is_signed else positive


def _check_positive(dtype: DType, *arguments: Any) -> None:
    if dtype is dtypes.BOOL:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")


declare_unary("abs", _absolute, np.abs, aliases=("absolute",), result=real_type,
              refuses=unimplemented("abs_cpu", BOOLS))  # fmt: skip
declare_unary("neg", lambda x: -x, np.negative, check=_check_negation, aliases=("negative",))
declare_unary(
    "sign",
    sign,
    lambda x: (x > 0).astype(x.dtype) if x.dtype.kind in "ub" else np.where(np.isnan(x), 0, np.sign(x)),
    refuses=refusal(
        COMPLEXES,
        "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.",
        NotImplementedError,
    ),
)


def _sign_array(x: Array) -> Array:
    if x.dtype.kind == "c":
        return np.asarray(np.where(x == 0, 0, x / np.abs(x)))
    return (x > 0).astype(x.dtype) if x.dtype.kind in "ub" else np.where(np.isnan(x), 0, np.sign(x))


declare_unary("sgn", sign, _sign_array)
declare_pointwise("aten::positive(Tensor(a) self) -> Tensor(a)", lambda x: x, lambda x: x, check=_check_positive)


def _infer_square(x: Any) -> Any:
    return type(x)(result_type(x, 2), x.shape)


def _reference_square(x: Array) -> Array:
    dtype = result_type(x, 2).numpy
    work = x.astype(np.float32 if dtype.itemsize == 2 and dtype.kind not in "iu" else dtype)
    return np.asarray(work * work).astype(dtype)


define(
    "aten::square(Tensor self) -> Tensor",
    infer=_infer_square,
    reference=_reference_square,
    scalar=lambda x: x * x,
    promotion="result",
    inplace=True,
    out="out",
)


# Replacing what is not a number --------------------------------------------------------------------------------------


def _limits(dtype: DType, posinf: float | None, neginf: float | None) -> tuple[float, float]:
    largest = {dtypes.FLOAT16: 65504.0, dtypes.BFLOAT16: 3.3895313892515355e38, dtypes.FLOAT32: 3.4028234663852886e38}
    limit = largest.get(dtype, 1.7976931348623157e308)
    return limit if posinf is None else posinf, -limit if neginf is None else neginf


def _nan_to_num(b: Any, x: Any, nan: float | None, posinf: float | None, neginf: float | None) -> Any:
    dtype = b.type(x).dtype
    if dtype is None:
        raise UndecidedShape("the element type of nan_to_num's argument is not known")
    if dtype.kind != "float":
        return b("aten::clone", x)
    high, low = _limits(dtype, posinf, neginf)
    result = b("aten::where.ScalarSelf", b("aten::isnan", x), 0.0 if nan is None else nan, x)
    result = b("aten::where.ScalarSelf", b("aten::isposinf", x), high, result)
    return b("aten::where.ScalarSelf", b("aten::isneginf", x), low, result)


def _nan_to_num_reference(x: Array, nan: float | None, posinf: float | None, neginf: float | None) -> Array:
    if operand_type(x).kind != "float":
        return x.copy()
    high, low = _limits(operand_type(x), posinf, neginf)
    result = np.where(np.isnan(x), x.dtype.type(nan or 0.0), x)
    result = np.where(x == np.inf, x.dtype.type(high), result)
    return np.asarray(np.where(x == -np.inf, x.dtype.type(low), result)).astype(x.dtype)


define(
    "aten::nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor",
    infer=lambda x, nan, posinf, neginf: x.with_shape(x.shape),
    reference=_nan_to_num_reference,
    decompose=_nan_to_num,
    inplace=True,
)


def _logit(b: Any, x: Any, eps: float | None) -> Any:
    result = float_result(operand_type(b.type(x)))
    work = b("aten::to.dtype", x, compute_type(result).code)
    if eps is not None:
        work = b("aten::clamp", work, eps, 1.0 - eps)
    odds = b("aten::div.Tensor", work, b("aten::rsub.Scalar", work, 1.0))
    return b("aten::to.dtype", b("aten::log", odds), result.code)


def _logit_reference(x: Array, eps: float | None) -> Array:
    dtype = x.dtype if x.dtype.kind not in "iub" else default_float().numpy
    work = x.astype(np.float32 if dtype.itemsize == 2 else dtype)
    if eps is not None:
        work = np.clip(work, work.dtype.type(eps), work.dtype.type(1.0 - eps))
    with np.errstate(all="ignore"):
        return np.asarray(np.log(work / (1 - work))).astype(dtype)


define(
    "aten::logit(Tensor self, float? eps=None) -> Tensor",
    infer=lambda x, eps: type(x)(x.dtype if x.dtype.kind == "float" else default_float(), x.shape),
    reference=_logit_reference,
    decompose=_logit,
    refuses=unimplemented("logit_cpu", COMPLEXES),
    inplace=True,
)
