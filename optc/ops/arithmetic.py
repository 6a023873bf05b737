"""Arithmetic on two tensors, or a tensor and a number: sums, products, powers, extremes, interpolation; see `division`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, Refusals, check_type, refusal, unimplemented
from optc.ops.elementwise import Compute, declare_pointwise, is_constant, pointwise_reference, pointwise_rule
from optc.ops.number_limits import C_NAMES, check_number
from optc.ops.promotion import compute_type, operand_type, result_type
from optc.ops.registry import ScalarFunction, define, define_inplace
from optc.ops.scalar import Expr, apply, function, literal, select
from optc.ops.special import log_of_powers

Array = np.ndarray[Any, Any]


# Per element, over expressions ---------------------------------------------------------------------------------------


def _scaled(value: Expr, alpha: Expr) -> Expr:
    return value if is_constant(alpha, 1) else multiply(value, alpha)


def add(x: Expr, y: Expr, alpha: Expr) -> Expr:
    """x + alpha * y; on bools the logical or."""
    return x | _scaled(y, alpha) if x.dtype is dtypes.BOOL else x + _scaled(y, alpha)


def subtract(x: Expr, y: Expr, alpha: Expr) -> Expr:
    """x - alpha * y."""
    return x - _scaled(y, alpha)


def combine_sum(x: Expr, y: Expr) -> Expr:
    """x + y."""
    return x + y


def _sum_with_product(x: Expr, y: Expr, z: Expr) -> Expr:
    """x + y * z, rounded once."""
    return function("fma", y, z, x) if x.dtype.kind == "float" else x + y * z


def multiply(x: Expr, y: Expr) -> Expr:
    """x * y; on bools the logical and."""
    return x & y if x.dtype is dtypes.BOOL else x * y


def power(x: Expr, y: Expr) -> Expr:
    """x to the power of y; small constant powers are products and roots, but for roots of half, where PyTorch keeps to pow."""
    is_float = x.dtype.kind == "float"
    is_root = y.op == "const" and abs(y.value) == 0.5
    is_half = x.op == "cast" and x.args[0].dtype is dtypes.FLOAT16
    if is_root and is_half:
        return function("pow", x, y)
    if y.op == "const" and y.value in _CONSTANT_POWERS and (is_float or y.value >= 0):
        return _CONSTANT_POWERS[y.value](x)
    return function("pow", x, y) if is_float else _integer_power(x, y)


_CONSTANT_POWERS: dict[float, ScalarFunction] = {
    0: lambda x: literal(1, x.dtype),
    1: lambda x: x,
    2: lambda x: x * x,
    3: lambda x: x * x * x,
    0.5: lambda x: function("sqrt", x),
    -0.5: lambda x: 1.0 / function("sqrt", x),
    -1: lambda x: 1.0 / x,
    -2: lambda x: 1.0 / (x * x),
}


def _integer_power(x: Expr, y: Expr) -> Expr:
    """By repeated squaring over the bits of the exponent; negative powers are 0 but for bases 1 and -1."""
    if x.dtype is dtypes.BOOL:
        return x | ~y
    result, square = literal(1, x.dtype), x
    for bit in range(8 * x.dtype.itemsize - (1 if x.dtype.is_signed else 0)):
        result = select(((y >> bit) & 1).not_equal(0), result * square, result)
        square = square * square
    odd = (y & 1).not_equal(0)
    inverse = select(x.equal(1), literal(1, x.dtype), literal(0, x.dtype))
    if x.dtype.is_signed:
        inverse = select(x.equal(-1), select(odd, literal(-1, x.dtype), 1), inverse)
    return select(y < 0, inverse, result)


def maximum(x: Expr, y: Expr) -> Expr:
    """The larger, nan where one is nan."""
    return x | y if x.dtype is dtypes.BOOL else apply("maximum", x, y)


def minimum(x: Expr, y: Expr) -> Expr:
    """The smaller, nan where one is nan."""
    return x & y if x.dtype is dtypes.BOOL else apply("minimum", x, y)


def larger_number(x: Expr, y: Expr) -> Expr:
    """The larger, the number beside a nan; of zeros the first one."""
    return x | y if x.dtype is dtypes.BOOL else select((x < y) | x.not_equal(x), y, x)


def smaller_number(x: Expr, y: Expr) -> Expr:
    """The smaller, the number beside a nan; of zeros the first one."""
    return x & y if x.dtype is dtypes.BOOL else select((y < x) | x.not_equal(x), y, x)


def clamp(x: Expr, low: Expr | None, high: Expr | None) -> Expr:
    """min(max(x, low), high), nan where one of them is nan."""
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


def _log_of_sum(distance: Expr, scale: float) -> Expr:
    """What the smaller of two logarithms adds to the larger one; `scale` is the natural logarithm of their base."""
    if scale == 1.0:
        return function("log1p", function("exp", -distance))
    return function("log1p", function("exp", distance * -scale)) * (1.0 / scale)


def _hypotenuse(x: Expr, y: Expr) -> Expr:
    """sqrt(x*x + y*y) without overflow; infinite where one is, even beside a nan."""
    x, y = function("abs", x), function("abs", y)
    longer, shorter = maximum(x, y), minimum(x, y)
    ratio = select(longer.equal(0.0), 0.0, shorter / longer)
    infinite = x.equal(float("inf")) | y.equal(float("inf"))
    return select(infinite, float("inf"), longer * function("sqrt", 1.0 + ratio * ratio))


def lerp(start: Expr, end: Expr, weight: Expr) -> Expr:
    """Linear interpolation, computed from the nearer end."""
    near = function("abs", weight) < 0.5
    span = end - start
    return select(near, start + weight * span, end - span * (1.0 - weight))


# Per element, over arrays --------------------------------------------------------------------------------------------


def _add_arrays(x: Array, y: Array, alpha: Any) -> Array:
    return np.asarray(np.add(x, np.multiply(y, alpha)))


def _subtract_arrays(x: Array, y: Array, alpha: Any) -> Array:
    return np.asarray(np.subtract(x, np.multiply(y, alpha)))


def _sum_with_product_arrays(x: Array, y: Array, z: Array) -> Array:
    exact = {"f": np.longdouble}.get(x.dtype.kind, x.dtype.type)
    return np.asarray(np.add(x, np.multiply(y, z, dtype=exact))).astype(x.dtype)


def _power_arrays(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return _float_power_arrays(x, y)
    return _exact_power_arrays(x, y)


def _exact_power_arrays(x: Array, y: Array) -> Array:
    """Powers without an exponent that means something else; negative ones of integers are 0 but for 1 and -1."""
    if x.dtype.kind in "fc":
        return _numpy_power(x, y)
    negative = y < 0
    result = np.power(x, np.where(negative, 0, y))
    if x.dtype.kind == "u":
        return result
    inverse = np.where(x == 1, 1, np.where(x == -1, np.where(y % 2 == 0, 1, -1), 0))
    return np.where(negative, inverse, result)


def _float_power_arrays(x: Array, y: Array) -> Array:
    """Some exponents mean products and roots where all elements have them, which are exact and differ from pow's at
    -0.0 and -inf; numpy's powers depend on the processor in their last bit."""
    exact = _EXACT_POWERS.get(abs(float(y))) if y.ndim == 0 else None
    if exact is None:
        return _numpy_power(x, y)
    found = np.asarray(exact(x))
    return found if y > 0 else np.asarray(1 / found)


_EXACT_POWERS: dict[float, Callable[[Array], Array]] = {0.5: np.sqrt, 1: np.array, 2: np.square}
"""Powers with the same exponent for all elements that PyTorch does not take with `pow`, by the exponent's size."""


def _numpy_power(x: Array, exponent: Array) -> Array:
    """Powers by exponents that are there once for every element: of a single one numpy makes a root."""
    shape = np.broadcast_shapes(x.shape, exponent.shape)
    powers = np.power(x, np.array(np.broadcast_to(exponent, shape), order="C", ndmin=1))
    return np.asarray(powers).reshape(shape)


def raised(x: Array, low: Any) -> Array:
    """The larger; of zeros the first one, which is what a bound leaves alone."""
    larger = np.maximum(x, low)
    return np.asarray(larger if x.dtype.kind != "f" else np.where(x == low, x, larger))


def lowered(x: Array, high: Any) -> Array:
    """The smaller; of zeros the first one."""
    smaller = np.minimum(x, high)
    return np.asarray(smaller if x.dtype.kind != "f" else np.where(x == high, x, smaller))


def clamp_arrays(x: Array, low: Any, high: Any) -> Array:
    """Within bounds; a zero keeps its sign at a bound that is zero."""
    result = x.copy() if low is None else raised(x, low)
    return result if high is None else lowered(result, high)


def _lerp_arrays(start: Array, end: Array, weight: Array) -> Array:
    span = np.subtract(end, start)
    return np.asarray(np.where(np.abs(weight) < 0.5, start + weight * span, end - span * (1 - weight)))


def _maximum_number(x: Array, y: Array) -> Array:
    return np.where(np.isnan(x), y, np.where(np.isnan(y), x, raised(x, y)))


def _minimum_number(x: Array, y: Array) -> Array:
    return np.where(np.isnan(x), y, np.where(np.isnan(y), x, lowered(x, y)))


def _power_reference(check: Callable[..., None] | None = None) -> Callable[..., Array]:
    usual = pointwise_reference(_power_arrays, check=check)
    of_halves = pointwise_reference(_exact_power_arrays, check=check)
    return lambda x, y: (of_halves if result_type(x, y) is dtypes.FLOAT16 else usual)(x, y)


# Refusals ------------------------------------------------------------------------------------------------------------


def check_alpha(dtype: DType, *arguments: Any) -> None:
    """`alpha` may not change the kind of the result."""
    alpha = operand_type(arguments[-1])
    if alpha is dtypes.BOOL and dtype is not dtypes.BOOL:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if alpha.kind == "float" and dtype.kind in ("bool", "int"):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")


def check_subtraction(dtype: DType, *arguments: Any) -> None:
    """Bools are not subtracted."""
    kinds = [operand_type(argument) is dtypes.BOOL for argument in arguments[:2]]
    if all(kinds):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. "
            "Use the `^` or `logical_xor()` operator instead."
        )
    if any(kinds):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    check_alpha(dtype, *arguments)


def _check_negative_power(dtype: DType, base: Any, exponent: Any) -> None:
    if dtype.kind == "int" and isinstance(exponent, int) and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")


def _check_power(dtype: DType, base: Any, exponent: Any) -> None:
    """Exponents are numbers of the element type of what is raised."""
    if dtype is operand_type(base):
        check_number(exponent, dtype)
    _check_negative_power(dtype, base, exponent)


def _check_bounds(dtype: DType, value: Any, low: Any, high: Any) -> None:
    if low is None and high is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if low is not None and high is not None and isinstance(low, TensorType | np.ndarray):
        check_type(unimplemented("clamp_cpu", BOOLS), dtype)


def _check_integer_division(dtype: DType, *arguments: Any) -> None:
    if all(operand_type(argument).kind not in ("float", "complex") for argument in arguments[1:3]):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a "
            "true division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as "
            "(input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as "
            "(input + value * tensor1 / tensor2) for float inputs. The future addcdiv behavior is just the latter "
            "implementation: (input + value * tensor1 / tensor2), for all dtypes."
        )


def _check_lerp(kernel: str) -> Callable[..., None]:
    """PyTorch compares types before it looks for a kernel."""

    def check(dtype: DType, start: Any, end: Any, weight: Any) -> None:
        first = operand_type(start)
        for name, given in (("end", end), ("weight", weight)):
            second = operand_type(given)
            if first is not second and not (name == "weight" and _is_number(given)):
                raise RuntimeError(f"expected dtype {C_NAMES[first]} for `{name}` but got dtype {C_NAMES[second]}")
        check_type(unimplemented(kernel, WHOLE), first)

    return check


def _is_number(value: Any) -> bool:
    """True for numbers and tensors without dimensions."""
    return not isinstance(value, TensorType | np.ndarray) or value.shape == ()


def _check_product_value(dtype: DType, x: Any, y: Any, z: Any, value: Any) -> None:
    """`value` becomes a number of the type that is computed in, without its fraction where that has none."""
    check_number(value, compute_type(dtype))


def _check_heaviside(dtype: DType, x: Any, values: Any) -> None:
    if operand_type(x) is not operand_type(values):
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


# Declarations --------------------------------------------------------------------------------------------------------


_PLAIN = ("mul", "div", "copysign")
_OUT_NAMES = {
    (name, overload): "out" if name in _PLAIN and overload == "Tensor" else f"{overload}_out"
    for name in (*_PLAIN, "remainder", "fmod", "eq", "ne", "lt", "le", "gt", "ge")
    for overload in ("Tensor", "Scalar")
}


def declare_binary(
    name: str,
    scalar: ScalarFunction,
    compute: Compute,
    *,
    promotion: str = "common",
    result: DType | None = None,
    commutative: bool = False,
    may_fail: bool = False,
    check: Callable[..., None] | None = None,
    second: str = "other",
    exact: Sequence[int] = (),
    refuses: Refusals = (),
) -> None:
    """The usual pair of overloads, `name.Tensor` and `name.Scalar`, each with its in-place form."""
    for overload, type_ in (("Tensor", "Tensor"), ("Scalar", "Scalar")):
        declare_pointwise(
            f"aten::{name}.{overload}(Tensor self, {type_} {second}) -> Tensor",
            scalar,
            compute,
            promotion=promotion,
            result=result,
            commutative=commutative,
            may_fail=may_fail,
            check=check,
            exact=exact,
            inplace=True,
            out=_OUT_NAMES.get((name, overload)),
            refuses=refuses,
        )


_name: str
_scalar: ScalarFunction
_compute: Compute
_check: Callable[..., None]
for _name, _scalar, _compute, _check in (
    ("add", add, _add_arrays, check_alpha),
    ("sub", subtract, _subtract_arrays, check_subtraction),
    ("subtract", subtract, _subtract_arrays, check_subtraction),
):
    declare_pointwise(
        f"aten::{_name}.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
        _scalar, _compute, promoting=2, exact=(), check=_check, inplace=True, out="out",
    )  # fmt: skip
    declare_pointwise(
        f"aten::{_name}.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor",
        _scalar, _compute, promoting=2, exact=(), check=_check, inplace=True, out="Scalar_out",
    )  # fmt: skip


def _reversed(difference: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y, alpha: difference(y, x, alpha)


for _overload, _type, _star in (("Tensor", "Tensor", "*, "), ("Scalar", "Scalar", "")):
    define(
        f"aten::rsub.{_overload}(Tensor self, {_type} other, {_star}Scalar alpha=1) -> Tensor",
        infer=_reversed(pointwise_rule(check=check_subtraction, promoting=2)),
        reference=_reversed(pointwise_reference(_subtract_arrays, check=check_subtraction, promoting=2)),
        scalar=_reversed(subtract),
        promotion="result",
    )

for _name in ("mul", "multiply"):
    declare_binary(_name, multiply, np.multiply, commutative=True, exact=(1,))
_power_tensor = define(
    "aten::pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor",
    infer=pointwise_rule(),
    reference=_power_reference(),
    scalar=power,
    promotion="common",
    refuses=unimplemented("pow", BOOLS),
    out="Tensor_Tensor_out",
)
define_inplace(_power_tensor, "Tensor")
_power_scalar = define(
    "aten::pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor",
    infer=pointwise_rule(check=_check_power),
    reference=_power_reference(_check_power),
    scalar=power,
    promotion="common",
    out="Tensor_Scalar_out",
)
define_inplace(_power_scalar, "Scalar")
declare_pointwise("aten::pow.Scalar(Scalar self, Tensor exponent) -> Tensor", power, _power_arrays,
                  refuses=unimplemented("pow", BOOLS))  # fmt: skip

for _name, _said, _scalar, _compute in (
    ("maximum", "maximum", maximum, np.maximum),
    ("minimum", "minimum", minimum, np.minimum),
    ("max.other", "maximum", maximum, np.maximum),
    ("min.other", "minimum", minimum, np.minimum),
    ("fmax", "fmax", larger_number, _maximum_number),
    ("fmin", "fmin", smaller_number, _minimum_number),
):
    declare_pointwise(
        f"aten::{_name}(Tensor self, Tensor other) -> Tensor", _scalar, _compute, commutative=True,
        refuses=refusal(COMPLEXES, f"{_said} not implemented for complex tensors."),
    )  # fmt: skip

NO_COMPLEX_CLAMP = refusal(COMPLEXES, "clamp is not supported for complex types", NotImplementedError)
_NO_CLAMP = NO_COMPLEX_CLAMP + unimplemented("clamp_scalar_cpu", BOOLS)

declare_pointwise(
    "aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor",
    clamp, clamp_arrays, check=_check_bounds, refuses=_NO_CLAMP, inplace=True, out="out",
)  # fmt: skip
declare_pointwise(
    "aten::clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor",
    clamp, clamp_arrays, check=_check_bounds, refuses=NO_COMPLEX_CLAMP, inplace=True, out="Tensor_out",
)  # fmt: skip
declare_pointwise(
    "aten::clip(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor",
    clamp, clamp_arrays, check=_check_bounds, refuses=_NO_CLAMP, inplace=True,
)  # fmt: skip
declare_pointwise(
    "aten::clip.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor",
    clamp, clamp_arrays, check=_check_bounds, refuses=NO_COMPLEX_CLAMP, inplace=True,
)  # fmt: skip
for _bound, _scalar, _compute in (("min", maximum, raised), ("max", minimum, lowered)):
    _of_numbers = NO_COMPLEX_CLAMP + unimplemented(f"clamp_{_bound}_scalar_cpu", BOOLS)
    _of_tensors = unimplemented("maximum_cpu" if _bound == "min" else "minimum_cpu", COMPLEXES)
    for _dot, _type in (("", "Scalar"), (".Tensor", "Tensor")):
        declare_pointwise(
            f"aten::clamp_{_bound}{_dot}(Tensor self, {_type} {_bound}) -> Tensor",
            _scalar,
            _compute,
            inplace=True,
            refuses=_of_tensors if _dot else _of_numbers,
        )

for _type in ("Scalar", "Tensor"):
    declare_pointwise(
        f"aten::lerp.{_type}(Tensor self, Tensor end, {_type} weight) -> Tensor",
        lerp, _lerp_arrays, check=_check_lerp(f"lerp_kernel_{_type.lower()}"), exact=(2,), inplace=True, out=f"{_type}_out",
    )  # fmt: skip

declare_pointwise(
    "aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    lambda x, y, z, value: _sum_with_product(x, _scaled(y, value), z),
    lambda x, y, z, value: _sum_with_product_arrays(x, value * y, z),
    promoting=3,
    check=_check_product_value,
    inplace=True,
    out="out",
    refuses=unimplemented("addcmul_cpu_out", BOOLS),
)
declare_pointwise(
    "aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    lambda x, y, z, value: x + _scaled(y, value) / z,
    lambda x, y, z, value: x + value * y / z,
    promoting=3,
    check=_check_integer_division,
    inplace=True,
    out="out",
)

declare_pointwise(
    "aten::atan2(Tensor self, Tensor other) -> Tensor",
    lambda x, y: function("atan2", x, y), np.arctan2, promotion="float", inplace=True, out="out",
    refuses=unimplemented("atan2_cpu", COMPLEXES),
)  # fmt: skip
declare_pointwise(
    "aten::arctan2(Tensor self, Tensor other) -> Tensor",
    lambda x, y: function("atan2", x, y), np.arctan2, promotion="float", inplace=True,
    refuses=unimplemented("atan2_cpu", COMPLEXES),
)  # fmt: skip
declare_pointwise(
    "aten::hypot(Tensor self, Tensor other) -> Tensor",
    _hypotenuse, np.hypot, commutative=True, inplace=True, refuses=unimplemented("hypot_cpu", WHOLE | COMPLEXES),
)  # fmt: skip
declare_binary(
    "copysign", lambda x, y: function("copysign", x, y), np.copysign, promotion="float",
    refuses=unimplemented("copysign_cpu", COMPLEXES),
)  # fmt: skip
for _name, _compute, _inverse_log, _refused in (
    ("logaddexp", log_of_powers, 1.0, WHOLE),
    ("logaddexp2", np.logaddexp2, math.log(2.0), WHOLE | COMPLEXES),
):
    declare_pointwise(
        f"aten::{_name}(Tensor self, Tensor other) -> Tensor",
        lambda x, y, scale=_inverse_log: select(
            x.equal(y) & (function("abs", x) > 3.4e38),
            x,
            maximum(x, y) + _log_of_sum(function("abs", x - y), scale),
        ),
        _compute,
        refuses=unimplemented(f"{_name}_cpu", _refused),
        commutative=True,
    )
for _overload, _operands in (
    ("Tensor", "Tensor self, Tensor other"),
    ("Scalar_Other", "Tensor self, Scalar other"),
    ("Scalar_Self", "Scalar self, Tensor other"),
):
    declare_pointwise(
        f"aten::xlogy.{_overload}({_operands}) -> Tensor",
        lambda x, y: select(y.not_equal(y), y, select(x.equal(0.0), 0.0, x * function("log", y))),
        lambda x, y: np.where(np.isnan(y), y, np.where(x == 0, 0, x * np.log(y))),
        promotion="float",
        inplace=_overload != "Scalar_Self",
        refuses=unimplemented("xlogy_cpu", COMPLEXES),
    )
declare_pointwise(
    "aten::heaviside(Tensor self, Tensor values) -> Tensor",
    lambda x, values: select(x.equal(0), values, (x > 0).cast(x.dtype)),
    lambda x, values: np.where(x == 0, values, (x > 0).astype(values.dtype)),
    check=_check_heaviside,
    inplace=True,
    refuses=refusal(COMPLEXES, "heaviside is not yet implemented for complex tensors."),
)
