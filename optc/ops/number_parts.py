"""What numbers are made of: bits, exponents and divisors; and powers computed in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.types import TensorType
from optc.ops.composite import declare_composite
from optc.ops.element_types import BOOLS, COMPLEXES, FLOATS, WHOLE, check_type, unimplemented
from optc.ops.elementwise import pointwise_reference, pointwise_rule
from optc.ops.promotion import operand_type, result_type
from optc.ops.reduction import narrowed
from optc.ops.registry import define, define_inplace
from optc.ops.shapes import broadcast_shapes, known

Array = np.ndarray[Any, Any]


# Floating-point numbers -----------------------------------------------------------------------------------------------


def _reference_next(x: Array, y: Array) -> Array:
    dtype = result_type(x, y)
    shape = known(broadcast_shapes(x.shape, y.shape))
    moved = np.nextafter(x.astype(dtype.numpy), y.astype(dtype.numpy))
    return np.asarray(moved).astype(dtype.numpy).reshape(shape)


define(
    "aten::nextafter(Tensor self, Tensor other) -> Tensor",
    infer=pointwise_rule(),
    reference=_reference_next,
    refuses=unimplemented("nextafter_cpu", WHOLE | COMPLEXES),
    interpreted="neighbours of half numbers are not those of the floats they are computed as",
    inplace=True,
)


def _infer_parts(x: TensorType) -> tuple[TensorType, TensorType]:
    if operand_type(x).kind != "float":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return x.with_shape(x.shape), TensorType(dtypes.INT32, x.shape)


def _reference_parts(x: Array) -> tuple[Array, Array]:
    _infer_parts(TensorType(operand_type(x), x.shape))
    mantissa, exponent = np.frexp(x.astype(np.float32) if x.dtype.itemsize == 2 else x)
    return np.asarray(mantissa).astype(x.dtype), np.asarray(exponent, np.int32)


define(
    "aten::frexp.Tensor(Tensor self) -> (Tensor mantissa, Tensor exponent)",
    infer=_infer_parts,
    reference=_reference_parts,
    interpreted="native code has no loop with two results per element",
)


def _build_ldexp(b: Any, x: Any, exponent: Any) -> Any:
    """x 2^exponent, of the type of `x` where that has fractions and the exponent is whole: no power overflows that the
    product does not.
    """
    dtype, steps = b.type(x).dtype, b.type(exponent).dtype
    if dtype.kind != "float" or steps not in WHOLE:
        return b("aten::mul.Tensor", x, b("aten::pow.Scalar", 2.0, exponent))
    check_type(unimplemented("ldexp_cpu_exp", BOOLS), steps)
    left = narrowed(b, narrowed(b, exponent, dtypes.INT32), dtypes.FLOAT64)  # PyTorch counts in C's int
    scaled = narrowed(b, x, dtypes.FLOAT64)
    for _ in range(2):
        step = b("aten::clamp", left, -969, 1023)
        scaled = b("aten::mul.Tensor", scaled, b("aten::pow.Scalar", 2.0, step))
        left = b("aten::sub.Tensor", left, step)
    return narrowed(b, scaled, dtype)


declare_composite("aten::ldexp.Tensor(Tensor self, Tensor other) -> Tensor", _build_ldexp, inplace=True)


def _is_complex(b: Any, x: Any) -> bool:
    return isinstance(x, complex) if isinstance(x, int | float | complex) else b.type(x).dtype.is_complex


def _wide(b: Any, x: Any) -> Any:
    if isinstance(x, int | float | complex):
        return x if isinstance(x, complex) else float(x)
    return b("aten::to.dtype", x, (dtypes.COMPLEX128 if _is_complex(b, x) else dtypes.FLOAT64).code)


for _overload, _base, _exponent in (
    ("Tensor_Tensor", "Tensor", "Tensor"), ("Tensor_Scalar", "Tensor", "Scalar"), ("Scalar", "Scalar", "Tensor"),
):  # fmt: skip
    declare_composite(
        f"aten::float_power.{_overload}({_base} self, {_exponent} exponent) -> Tensor",
        lambda b, x, exponent, power=f"aten::pow.{_overload}": b(power, _wide(b, x), _wide(b, exponent)),
    )


def _float_power_in_place(power: str) -> Callable[..., Any]:
    def build(b: Any, x: Any, exponent: Any) -> Any:
        given = b.type(x).dtype
        needed = dtypes.COMPLEX128 if _is_complex(b, x) or _is_complex(b, exponent) else dtypes.FLOAT64
        if given != needed:
            raise RuntimeError(
                f"the base given to float_power_ has dtype {given.label} but the operation's result requires dtype "
                f"{needed.label}"
            )
        return b(power, x, exponent)

    return build


for _overload, _exponent in (("Tensor", "Tensor"), ("Scalar", "Scalar")):
    _float_power = declare_composite(
        f"prim::float_power_in_place.{_overload}(Tensor self, {_exponent} exponent) -> Tensor",
        _float_power_in_place(f"aten::float_power.Tensor_{_overload}"),
        may_fail=True,
    )
    define_inplace(_float_power, _overload, "aten::float_power_")


# Whole numbers --------------------------------------------------------------------------------------------------------


def _greatest_divisors(x: Any, y: Any) -> Any:
    """Greatest common divisors. The lowest number of a type has no absolute value there: what is left of divisions by
    or of it stays negative, as it does in C.
    """
    a, b = np.broadcast_arrays(np.abs(x), np.abs(y))
    if not (a < 0).any() and not (b < 0).any():
        return np.gcd(a, b)
    while a.any():
        rest = np.where(a == 0, 0, np.fmod(b, np.where(a == 0, 1, a)))
        a, b = rest, np.where(a == 0, b, a)
    return b


for _name, _compute in (("gcd", _greatest_divisors), ("lcm", np.lcm)):
    define(
        f"aten::{_name}(Tensor self, Tensor other) -> Tensor",
        infer=pointwise_rule(),
        reference=pointwise_reference(_compute),
        refuses=unimplemented(f"{_name}_cpu", BOOLS | FLOATS | COMPLEXES),
        interpreted="how many divisions an element takes depends on its value",
        commutative=True,
        inplace=True,
    )
