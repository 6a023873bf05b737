"""Products of matrices, vectors and batches of them. Native code knows one kernel, "matmul"."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dims import product
from optc.ir.dtypes import DType, from_numpy
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError
from optc.ops.element_types import BOOLS, Refusals, check_type, unimplemented
from optc.ops.elementwise import array_type
from optc.ops.promotion import compute_type, operand_type, result_type
from optc.ops.registry import define
from optc.ops.shapes import Shape, broadcast_shapes, expanded_shape, known_shape, require_same

Array = np.ndarray[Any, Any]

_C_NAMES = {
    "float32": "float", "float64": "double", "float16": "c10::Half", "bfloat16": "c10::BFloat16", "int64": "long int",
    "int32": "int", "int16": "short int", "int8": "signed char", "uint8": "unsigned char", "bool": "bool",
    "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip


def c_name(dtype: DType) -> str:
    """The name of an element type in some of PyTorch's messages."""
    return _C_NAMES[dtype.name]


def _same_type(*tensors: TensorType) -> DType:
    first = operand_type(tensors[0])
    for tensor in tensors[1:]:
        other = operand_type(tensor)
        if other is not first:
            raise RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {_C_NAMES[first.name]} != {_C_NAMES[other.name]}"
            )
    return first


def _no_bool(kernel: str) -> Refusals:
    return unimplemented(kernel, BOOLS, takes_empty=True)


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _agree(left: Any, right: Any, message: str) -> None:
    require_same(left, right, message)


def product_array(left: Array, right: Array) -> Array:
    """np.matmul in the type torch accumulates in: half in float32, integers and bools exactly with wrap-around."""
    dtype = from_numpy(left.dtype)
    work = compute_type(dtype).numpy
    with np.errstate(all="ignore"):
        return np.asarray(np.matmul(left.astype(work, copy=False), right.astype(work, copy=False)), work)


# Two matrices --------------------------------------------------------------------------------------------------------


def _matrix_shape(x: TensorType, y: TensorType) -> Shape:
    left, right = known_shape(x), known_shape(y)
    if len(left) != 2:
        raise ShapeError("self must be a matrix")
    if len(right) != 2:
        raise ShapeError("mat2 must be a matrix")
    _agree(left[1], right[0], f"mat1 and mat2 shapes cannot be multiplied ({_times(left)} and {_times(right)})")
    return left[0], right[1]


def _infer_mm(x: TensorType, y: TensorType) -> TensorType:
    shape = _matrix_shape(x, y)
    return TensorType(_same_type(x, y), shape)


def _reference_mm(x: Array, y: Array) -> Array:
    _infer_mm(array_type(x), array_type(y))
    return product_array(x, y).astype(x.dtype, copy=False)


define("aten::mm(Tensor self, Tensor mat2) -> Tensor", infer=_infer_mm, reference=_reference_mm, kernel="matmul",
       out="out", refuses=_no_bool("addmm_impl_cpu_"))  # fmt: skip
define(
    "aten::_sparse_mm(Tensor sparse, Tensor dense) -> Tensor",
    infer=_infer_mm,
    reference=_reference_mm,
    decompose=lambda b, x, y: b("aten::mm", x, y),
)


def _batch_shape(x: TensorType, y: TensorType, first: str = "batch1", second: str = "batch2") -> Shape:
    left, right = known_shape(x), known_shape(y)
    if len(left) != 3:
        raise ShapeError(f"{first} must be a 3D tensor")
    if len(right) != 3:
        raise ShapeError(f"{second} must be a 3D tensor")
    for mine, other in ((left[0], right[0]), (left[2], right[1])):
        _agree(
            mine,
            other,
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{left[0]}, {left[2]}] but got: [{right[0]}, {right[1]}].",
        )
    return left[0], left[1], right[2]


def _infer_bmm(x: TensorType, y: TensorType) -> TensorType:
    shape = _batch_shape(x, y)
    return TensorType(_same_type(x, y), shape)


def _reference_bmm(x: Array, y: Array) -> Array:
    _infer_bmm(array_type(x), array_type(y))
    return product_array(x, y).astype(x.dtype, copy=False)


define("aten::bmm(Tensor self, Tensor mat2) -> Tensor", infer=_infer_bmm, reference=_reference_bmm, kernel="matmul",
       out="out", refuses=_no_bool("bmm"))  # fmt: skip


# A product and a sum -------------------------------------------------------------------------------------------------


def _infer_addmm(bias: TensorType, x: TensorType, y: TensorType, beta: Any, alpha: Any) -> TensorType:
    shape = _matrix_shape(x, y)
    expanded_shape(known_shape(bias), shape, operand_type(bias))
    dtype = _same_type(bias, x, y)
    return TensorType(dtype, shape)


def _infer_baddbmm(bias: TensorType, x: TensorType, y: TensorType, beta: Any, alpha: Any) -> TensorType:
    shape = _batch_shape(x, y)
    expanded_shape(known_shape(bias), shape, operand_type(bias))
    dtype = _same_type(bias, x, y)
    return TensorType(dtype, shape)


def _scaled_sum(bias: Array, beta: Any, alpha: Any, multiplied: Array) -> Array:
    """beta * bias + alpha * product, where beta = 0 means that the bias is not read (its nans do not count)."""
    work = multiplied.dtype.type
    with np.errstate(all="ignore"):
        scaled = multiplied if alpha == 1 else multiplied * work(alpha)
        if beta == 0:
            return scaled.astype(bias.dtype)
        added = bias.astype(work) if beta == 1 else bias.astype(work) * work(beta)
        return np.asarray(scaled + added).astype(bias.dtype)


def _reference_addmm(bias: Array, x: Array, y: Array, beta: Any, alpha: Any) -> Array:
    _infer_addmm(array_type(bias), array_type(x), array_type(y), beta, alpha)
    return _scaled_sum(bias, beta, alpha, product_array(x, y))


def _reference_baddbmm(bias: Array, x: Array, y: Array, beta: Any, alpha: Any) -> Array:
    _infer_baddbmm(array_type(bias), array_type(x), array_type(y), beta, alpha)
    return _scaled_sum(bias, beta, alpha, product_array(x, y))


define(
    "aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    infer=_infer_addmm,
    reference=_reference_addmm,
    kernel="matmul",
    inplace=True,
    out="out",
    refuses=_no_bool("addmm_impl_cpu_"),
)
define(
    "aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    infer=_infer_baddbmm,
    reference=_reference_baddbmm,
    kernel="matmul",
    inplace=True,
    out="out",
    refuses=_no_bool("baddbmm"),
)


# Vectors -------------------------------------------------------------------------------------------------------------


def _infer_mv(x: TensorType, vector: TensorType) -> TensorType:
    left, right = known_shape(x), known_shape(vector)
    if len(left) != 2 or len(right) != 1:
        raise ShapeError(f"vector + matrix @ vector expected, got 1, {len(left)}, {len(right)}")
    _agree(left[1], right[0], f"size mismatch, got input ({left[0]}), mat ({_times(left)}), vec ({right[0]})")
    return TensorType(_same_type(x, vector), (left[0],))


def _infer_dot(x: TensorType, y: TensorType) -> TensorType:
    left, right = known_shape(x), known_shape(y)
    if len(left) != 1 or len(right) != 1:
        raise ShapeError(f"1D tensors expected, but got {len(left)}D and {len(right)}D tensors")
    dtype, other = operand_type(x), operand_type(y)
    if dtype is not other:
        raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {dtype.label} and {other.label}")
    _agree(
        left[0],
        right[0],
        "inconsistent tensor size, expected tensor "
        f"[{left[0]}] and src [{right[0]}] to have the same number of elements, but got {left[0]} and {right[0]} "
        "elements respectively",
    )
    return TensorType(dtype, ())


def _infer_outer(x: TensorType, y: TensorType) -> TensorType:
    left, right = known_shape(x), known_shape(y)
    if len(left) != 1:
        raise ShapeError(f"outer: Expected 1-D argument self, but got {len(left)}-D")
    if len(right) != 1:
        raise ShapeError(f"outer: Expected 1-D argument vec2, but got {len(right)}-D")
    return TensorType(result_type(x, y), (left[0], right[0]))


def _reference_mv(x: Array, vector: Array) -> Array:
    _infer_mv(array_type(x), array_type(vector))
    return product_array(x, vector).astype(x.dtype)


def _reference_dot(x: Array, y: Array) -> Array:
    _infer_dot(array_type(x), array_type(y))
    return product_array(x, y).astype(x.dtype)


def _reference_outer(x: Array, y: Array) -> Array:
    dtype = operand_type(_infer_outer(array_type(x), array_type(y)))
    work = compute_type(dtype).numpy
    return np.asarray(np.multiply(x.astype(work)[:, None], y.astype(work)[None])).astype(dtype.numpy)


def _column(b: Any, x: Any) -> Any:
    return b("aten::unsqueeze", x, 1)


define(
    "aten::mv(Tensor self, Tensor vec) -> Tensor",
    infer=_infer_mv,
    reference=_reference_mv,
    decompose=lambda b, x, vector: b("aten::squeeze.dim", b("aten::mm", x, _column(b, vector)), 1),
    out="out",
    refuses=_no_bool("addmv_impl_cpu"),
)
define(
    "aten::dot(Tensor self, Tensor tensor) -> Tensor",
    infer=_infer_dot,
    reference=_reference_dot,
    decompose=lambda b, x, y: b(
        "aten::reshape", b("aten::mm", b("aten::unsqueeze", x, 0), b("aten::unsqueeze", y, 1)), []
    ),
    refuses=unimplemented("dot", BOOLS),
)
define(
    "aten::vdot(Tensor self, Tensor other) -> Tensor",
    infer=_infer_dot,
    reference=lambda x, y: _reference_dot(np.conj(x) if x.dtype.kind == "c" else x, y),
    decompose=lambda b, x, y: b("aten::dot", b("aten::conj_physical", x), y),
    refuses=unimplemented("dot", BOOLS),
)
for _name in ("outer", "ger"):
    define(
        f"aten::{_name}(Tensor self, Tensor vec2) -> Tensor",
        infer=_infer_outer,
        reference=_reference_outer,
        decompose=lambda b, x, y: b("aten::mul.Tensor", b("aten::unsqueeze", x, 1), b("aten::unsqueeze", y, 0)),
        out="out",
    )


# Any ranks -----------------------------------------------------------------------------------------------------------


def _matmul_shape(left: Shape, right: Shape) -> Shape:
    """The shape of `left @ right`; vectors count as a row on the left and a column on the right."""
    if not left or not right:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {len(left)}D and {len(right)}D"
        )
    rows, columns = left if len(left) > 1 else (1, *left), right if len(right) > 1 else (*right, 1)
    _agree(rows[-1], columns[-2], _mismatch(left, right))
    batch = broadcast_shapes(rows[:-2], columns[:-2])
    return (*batch, *((rows[-2],) if len(left) > 1 else ()), *((columns[-1],) if len(right) > 1 else ()))


def _mismatch(left: Shape, right: Shape) -> str:
    if len(left) == 1 and len(right) == 1:
        return (
            f"inconsistent tensor size, expected tensor [{left[0]}] and src [{right[0]}] to have the same number of "
            f"elements, but got {left[0]} and {right[0]} elements respectively"
        )
    if len(left) == 2 and len(right) == 1:
        return f"size mismatch, got input ({left[0]}), mat ({_times(left)}), vec ({right[0]})"
    if len(left) >= 3 and len(right) >= 3:
        batch = product(left[:-2])
        return (
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{batch}, {left[-1]}] but got: [{batch}, {right[-2]}]."
        )
    folded = (product(left[:-1]), left[-1])
    return f"mat1 and mat2 shapes cannot be multiplied ({_times(folded)} and {_times(right)})"


def _infer_matmul(x: TensorType, y: TensorType) -> TensorType:
    left, right = known_shape(x), known_shape(y)
    shape = _matmul_shape(left, right)
    if 0 not in (*left, *right):
        check_type(_no_bool(_product_kernel(len(left), len(right))), operand_type(x))
    return TensorType(_same_type(x, y), shape)


def _product_kernel(left: int, right: int) -> str:
    """What PyTorch calls the kernel that multiplies tensors of these ranks."""
    if right == 1:
        return "dot" if left == 1 else "addmv_impl_cpu"
    return "bmm" if right > 2 else "addmm_impl_cpu_"


def _reference_matmul(x: Array, y: Array) -> Array:
    _infer_matmul(array_type(x), array_type(y))
    return product_array(x, y).astype(x.dtype)


def _decompose_matmul(b: Any, x: Any, y: Any) -> Any:
    left, right = b.shape(x), b.shape(y)
    shape = _matmul_shape(left, right)
    if len(left) == 1:
        x = b("aten::unsqueeze", x, 0)
    if len(right) == 1:
        y = b("aten::unsqueeze", y, 1)
    whole = _matrix_product(b, x, y)
    return whole if len(left) > 1 and len(right) > 1 else b("aten::reshape", whole, list(shape))


def _matrix_product(b: Any, x: Any, y: Any) -> Any:
    left, right = b.shape(x), b.shape(y)
    if len(left) == 2 and len(right) == 2:
        return b("aten::mm", x, y)
    if len(right) == 2:
        flat = b("aten::mm", b("aten::reshape", x, [product(left[:-1]), left[-1]]), y)
        return b("aten::reshape", flat, [*left[:-1], right[-1]])
    batch = broadcast_shapes(left[:-2], right[:-2])
    flat = b("aten::bmm", _as_batch(b, x, batch), _as_batch(b, y, batch))
    return b("aten::reshape", flat, [*batch, left[-2], right[-1]])


def _as_batch(b: Any, x: Any, batch: Shape) -> Any:
    shape = b.shape(x)
    if shape[:-2] != batch:
        x = b("aten::expand", x, [*batch, *shape[-2:]])
    return b("aten::reshape", x, [product(batch), *shape[-2:]])


define("aten::matmul(Tensor self, Tensor other) -> Tensor", infer=_infer_matmul, reference=_reference_matmul,
       decompose=_decompose_matmul, out="out", makes_rows=True)  # fmt: skip
define("aten::__matmul__(Tensor self, Tensor other) -> Tensor", infer=_infer_matmul, reference=_reference_matmul,
       decompose=_decompose_matmul)  # fmt: skip


# Layers --------------------------------------------------------------------------------------------------------------


def _infer_linear(x: TensorType, weight: TensorType, bias: TensorType | None) -> TensorType:
    shape, matrix = known_shape(x), known_shape(weight)
    if len(matrix) not in (1, 2):
        raise ShapeError(f"linear(): weight must be 1D or 2D, got {len(matrix)}D")
    if not shape:
        raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are 0D and {len(matrix)}D")
    folded = (product(shape[:-1]), shape[-1])
    turned = matrix[::-1]
    _agree(shape[-1], matrix[-1], f"mat1 and mat2 shapes cannot be multiplied ({_times(folded)} and {_times(turned)})")
    result = (*shape[:-1], *matrix[:-1])
    if bias is not None:
        expanded_shape(known_shape(bias), result, operand_type(bias))
    return TensorType(_same_type(x, weight, *((bias,) if bias is not None else ())), result)


def _reference_linear(x: Array, weight: Array, bias: Array | None) -> Array:
    _infer_linear(array_type(x), array_type(weight), None if bias is None else array_type(bias))
    multiplied = product_array(x, weight.T)
    if bias is not None:
        multiplied = multiplied + bias
    return np.asarray(multiplied).astype(x.dtype, copy=False)


def _decompose_linear(b: Any, x: Any, weight: Any, bias: Any) -> Any:
    """A product and a sum: `addmm-fusion` joins them unless one of them leaves a loop."""
    shape = b.shape(x)
    if len(b.shape(weight)) == 1:
        return _plus(b, b("aten::matmul", x, weight), bias)
    rows = x if len(shape) == 2 else b("aten::reshape", x, [product(shape[:-1]), shape[-1]])
    turned = b("aten::t", weight)
    flat_bias = bias is not None and len(b.shape(bias)) <= 1
    result = _plus(b, b("aten::mm", rows, turned), bias if flat_bias else None)
    if len(shape) != 2:
        result = b("aten::reshape", result, [*shape[:-1], b.shape(weight)[0]])
    return result if flat_bias else _plus(b, result, bias)


def _plus(b: Any, x: Any, bias: Any) -> Any:
    return x if bias is None else b("aten::add.Tensor", x, bias)


define("aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", infer=_infer_linear,
       reference=_reference_linear, decompose=_decompose_linear, makes_rows=True,
       refuses=_no_bool("addmm_impl_cpu_"))  # fmt: skip


def _infer_bilinear(x: TensorType, y: TensorType, weight: TensorType, bias: TensorType | None) -> TensorType:
    left, right, cube = known_shape(x), known_shape(y), known_shape(weight)
    _agree(left[-1], cube[1], "bilinear(): input1 size does not match weight size: "
           f"got {left[-1]} but expected {cube[1]}")  # fmt: skip
    _agree(right[-1], cube[2], "bilinear(): input2 size does not match weight size: "
           f"got {right[-1]} but expected {cube[2]}")  # fmt: skip
    return TensorType(_same_type(x, y, weight), (*left[:-1], cube[0]))


def _decompose_bilinear(b: Any, x: Any, y: Any, weight: Any, bias: Any) -> Any:
    left, right, cube = b.shape(x), b.shape(y), b.shape(weight)
    rows = product(left[:-1])
    flat = b("aten::reshape", weight, [cube[0] * cube[1], cube[2]])
    half = b("aten::mm", b("aten::reshape", y, [rows, right[-1]]), b("aten::t", flat))
    cubes = b("aten::reshape", half, [rows, cube[0], cube[1]])
    column = b("aten::reshape", x, [rows, left[-1], 1])
    result = b("aten::reshape", b("aten::bmm", cubes, column), [*left[:-1], cube[0]])
    return _plus(b, result, bias)


def _reference_bilinear(x: Array, y: Array, weight: Array, bias: Array | None) -> Array:
    _infer_bilinear(array_type(x), array_type(y), array_type(weight), None)
    work = compute_type(operand_type(x)).numpy
    result = np.einsum("...i,oij,...j->...o", x.astype(work), weight.astype(work), y.astype(work))
    return np.asarray(result if bias is None else result + bias).astype(x.dtype)


define("aten::bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor",
       infer=_infer_bilinear, reference=_reference_bilinear, decompose=_decompose_bilinear, refuses=_no_bool("bmm"))  # fmt: skip
