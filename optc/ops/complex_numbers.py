"""Complex numbers: their parts, and making them of parts.

Two operators see the same memory as pairs of numbers or as complex ones; the others are made of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.errors import UnsupportedError
from optc.ir.dtypes import BFLOAT16, BOOL, FLOAT16
from optc.ir.graph import Node
from optc.ir.types import TensorType, Type
from optc.ops.abstract import UndecidedShape, same_dim
from optc.ops.composite import declare_composite
from optc.ops.promotion import complex_type, operand_type, real_type
from optc.ops.registry import always_shares, define
from optc.ops.shape import check_matrices
from optc.ops.shapes import broadcast_shapes, known_shape

Array = np.ndarray[Any, Any]

_REASON = "native code has no complex numbers"


# Where programs begin and end ----------------------------------------------------------------------------------------


def is_complex(type_: Type) -> bool:
    """True for complex tensors of known rank."""
    return isinstance(type_, TensorType) and type_.is_typed and type_.dtype is not None and type_.dtype.is_complex


def pairs_type(type_: TensorType) -> TensorType:
    """The type of a complex tensor's pairs of real and imaginary parts."""
    return TensorType(real_type(operand_type(type_)), (*known_shape(type_), 2))


def is_at_border(node: Node) -> bool:
    """True for a view of a complex argument as pairs, and for one of pairs as a complex result, which nothing else reads.

    Native code has such arguments and results: in memory they are pairs.
    """
    if node.kind == "aten::view_as_real":
        argument = node.inputs[0]
        return is_complex(argument.type) and argument.is_parameter and argument.node.block.owning_node is None
    if node.kind != "aten::view_as_complex" or not is_complex(node.output.type):
        return False
    readers = {use.node for use in node.output.uses}
    return len(readers) == 1 and all(
        reader.kind == "prim::Return" and reader.block.owning_node is None for reader in readers
    )


# Pairs of numbers and complex numbers --------------------------------------------------------------------------------


def _infer_pairs(x: TensorType) -> TensorType:
    dtype = operand_type(x)
    if not dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return pairs_type(x)


def _pairs(x: Array) -> Array:
    _infer_pairs(TensorType(operand_type(x), x.shape))
    return x[..., None].view(real_type(operand_type(x)).numpy)


def _infer_joined(x: TensorType) -> TensorType:
    dtype, shape = operand_type(x), known_shape(x)
    if dtype is FLOAT16:
        raise UnsupportedError("there are no complex numbers of half precision")
    if dtype.kind != "float" or dtype is BFLOAT16:
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
            f"{dtype.label}"
        )
    if not shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    same = same_dim(shape[-1], 2)
    if same is None:
        raise UndecidedShape("is the last dimension of extent 2?")
    if not same:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    return TensorType(complex_type(dtype), shape[:-1])


def _joined(x: Array) -> Array:
    dtype = operand_type(_infer_joined(TensorType(operand_type(x), x.shape))).numpy
    if x.size and x.strides[-1] != x.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(stride % (2 * x.itemsize) for stride in x.strides[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return np.asarray(x.view(dtype)[..., 0]) if x.size else np.zeros(x.shape[:-1], dtype)


for _name, _infer, _view in (("view_as_real", _infer_pairs, _pairs), ("view_as_complex", _infer_joined, _joined)):
    define(f"aten::{_name}(Tensor(a) self) -> Tensor(a)", infer=_infer, reference=_view, interpreted=_REASON)
    define(
        f"aten::{_name}_copy(Tensor self) -> Tensor",
        infer=_infer,
        reference=lambda x, view=_view: view(x).copy(),
        interpreted=_REASON,
    )


# Parts ---------------------------------------------------------------------------------------------------------------


def _is_complex(b: Any, x: Any) -> bool:
    return bool(operand_type(b.type(x)).is_complex)


def _part(b: Any, x: Any, place: int) -> Any:
    return b("aten::select.int", b("aten::view_as_real", x), -1, place)


def _imaginary(b: Any, x: Any) -> Any:
    if not _is_complex(b, x):
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return _part(b, x, 1)


declare_composite("aten::real(Tensor(a) self) -> Tensor(a)", lambda b, x: _part(b, x, 0) if _is_complex(b, x) else x)
declare_composite("aten::imag(Tensor(a) self) -> Tensor(a)", _imaginary)


def _whole(b: Any, real: Any, imaginary: Any) -> Any:
    return b("aten::view_as_complex", b("aten::stack", [real, imaginary], -1))


def _conjugate(b: Any, x: Any) -> Any:
    if not _is_complex(b, x):
        return x
    return _whole(b, _part(b, x, 0), b("aten::neg", _part(b, x, 1)))


declare_composite(
    "aten::conj_physical(Tensor self) -> Tensor", _conjugate, inplace=True, out="out", shares=always_shares
)
declare_composite("aten::conj(Tensor(a) self) -> Tensor(a)", _conjugate)
declare_composite("aten::_conj(Tensor(a) self) -> Tensor(a)", _conjugate)


def _adjoint(name: str) -> Callable[..., Any]:
    """The conjugate of the transposed matrices of a batch. Raises RuntimeError for vectors."""

    def build(b: Any, x: Any) -> Any:
        check_matrices(name, len(b.shape(x)))
        return _conjugate(b, b("aten::mT", x))

    return build


def _matrix_adjoint(b: Any, x: Any) -> Any:
    rank = len(b.shape(x))
    if rank not in (0, 2):
        hint = " For batches of matrices, consider using tensor.mH" if rank > 2 else ""
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {rank}-D tensor.{hint}")
    return _conjugate(b, b("aten::t", x))


declare_composite("aten::adjoint(Tensor(a) self) -> Tensor(a)", _adjoint("adjoint()"))
declare_composite("aten::mH(Tensor(a) self) -> Tensor(a)", _adjoint("mH"))
declare_composite("aten::matrix_H(Tensor(a) self) -> Tensor(a)", _matrix_adjoint)
for _name in ("resolve_conj", "resolve_neg"):
    declare_composite(f"aten::{_name}(Tensor(a) self) -> Tensor(a)", lambda b, x: x)
for _name in ("is_conj", "is_neg"):
    declare_composite(f"aten::{_name}(Tensor self) -> bool", lambda b, x: False)


def _angle(b: Any, x: Any) -> Any:
    if _is_complex(b, x):
        return b("aten::atan2", _part(b, x, 1), _part(b, x, 0))
    turned = b("aten::where.ScalarSelf", b("aten::lt.Scalar", x, 0), math.pi, b("aten::zeros_like", x))
    if operand_type(b.type(x)).kind != "float":
        return turned
    return b("aten::where.self", b("aten::isnan", x), x, turned)


declare_composite("aten::angle(Tensor self) -> Tensor", _angle, out="out")


def _is_real(b: Any, x: Any) -> Any:
    if _is_complex(b, x):
        return b("aten::eq.Scalar", _part(b, x, 1), 0)
    return b("aten::ones_like", x, dtype=BOOL.code)


declare_composite("aten::isreal(Tensor self) -> Tensor", _is_real)


# Numbers from parts --------------------------------------------------------------------------------------------------


def _check_parts(b: Any, real: Any, imaginary: Any) -> None:
    first, second = operand_type(b.type(real)), operand_type(b.type(imaginary))
    if first.kind != "float" or second.kind != "float" or first.name == "bfloat16" or second.name == "bfloat16":
        raise RuntimeError(
            f"Expected both inputs to be Half, Float or Double tensors but got {first.label} and {second.label}"
        )
    if first is not second:
        raise RuntimeError(
            f"Expected object of scalar type {first.label} but got scalar type {second.label} for second argument"
        )


def _complex(b: Any, real: Any, imaginary: Any) -> Any:
    _check_parts(b, real, imaginary)
    shape = list(broadcast_shapes(b.shape(real), b.shape(imaginary)))
    return _whole(b, b("aten::expand", real, shape), b("aten::expand", imaginary, shape))


def _polar(b: Any, size: Any, angle: Any) -> Any:
    _check_parts(b, size, angle)
    real = b("aten::mul.Tensor", size, b("aten::cos", angle))
    return _whole(b, real, b("aten::mul.Tensor", size, b("aten::sin", angle)))


declare_composite("aten::complex(Tensor real, Tensor imag) -> Tensor", _complex, out="out")
declare_composite("aten::polar(Tensor abs, Tensor angle) -> Tensor", _polar, out="out")
declare_composite("prim::abs(Tensor x) -> Tensor", lambda b, x: b("aten::abs", x))
