"""Losses and distances: a formula per element, then no reduction, the mean or the sum (`reduction` 0, 1, 2).

Every loss is written twice: over numpy arrays in double, for the reference, and over a `Builder`, for native code.
half and bfloat16 are computed in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.graph import Value
from optc.ir.types import STRING, TensorType
from optc.ops.abstract import UndecidedExtents, UndecidedShape, Unknown, same_dim
from optc.ops.composite import declare_composite
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, Refusals, check_type, refusal, unimplemented
from optc.ops.elementwise import array_type
from optc.ops.promotion import compute_type, exact_type, operand_type, result_type
from optc.ops.reduction import NO_MEAN, narrowed
from optc.ops.registry import check_castable, check_written_shape, define
from optc.ops.shapes import Shape, broadcast_shapes, format_shape, known_shape, reduced_shape

Array = np.ndarray[Any, Any]
NONE, MEAN, SUM = 0, 1, 2


def _tensors(arguments: tuple[Any, ...]) -> list[TensorType]:
    return [item for item in arguments if isinstance(item, TensorType)]


def _known(*numbers: Any) -> None:
    """Formulas compute with their margins and flags when they are built."""
    if any(isinstance(number, Unknown) for number in numbers):
        raise UndecidedShape("a number of a loss is needed before the program runs")


def _check_mean(x: TensorType) -> None:
    check_type(NO_MEAN, operand_type(x))


def _reduced_type(x: TensorType, reduction: int) -> TensorType:
    if reduction == NONE:
        return x
    if reduction == MEAN:
        _check_mean(x)
    return x.with_shape(())


def _reduced_array(x: Array, reduction: int) -> Array:
    if reduction == NONE:
        return x
    with np.errstate(all="ignore"):
        return np.asarray(np.sum(x) / np.float64(x.size) if reduction == MEAN else np.sum(x))


def _build_reduced(b: Any, x: Any, reduction: int) -> Any:
    return x if reduction == NONE else b("aten::mean" if reduction == MEAN else "aten::sum", x)


def _double(item: Any) -> Any:
    return item.astype(exact_type(operand_type(item)).numpy) if isinstance(item, np.ndarray) else item


# Operators the formulas are written with -----------------------------------------------------------------------------


def _add(b: Any, x: Any, y: Any) -> Any:
    return b("aten::add.Tensor" if isinstance(y, Value) else "aten::add.Scalar", x, y)


def _sub(b: Any, x: Any, y: Any) -> Any:
    if not isinstance(x, Value):
        return b("aten::rsub.Scalar", y, x)
    return b("aten::sub.Tensor" if isinstance(y, Value) else "aten::sub.Scalar", x, y)


def _mul(b: Any, x: Any, y: Any) -> Any:
    return b("aten::mul.Tensor" if isinstance(y, Value) else "aten::mul.Scalar", x, y)


def _log_above(b: Any, x: Any) -> Any:
    """max(log(x), -100)."""
    return b("aten::clamp_min", b("aten::log", x), -100)


# Losses of elements --------------------------------------------------------------------------------------------------


def _no_kernel(name: str) -> Refusals:
    return unimplemented(name, WHOLE | COMPLEXES)


def _declare_loss(
    schema: str,
    compute: Callable[..., Any],
    build: Callable[..., Any],
    check: Callable[..., None] | None = None,
    refuses: Refusals = (),
    typed_as: int | None = None,
) -> None:
    """Declare a loss from the two functions of its elements; they get all arguments but `reduction`. `typed_as` is the
    place of the argument that has the result's element type, where that is not what the arguments promote to.
    """
    names = [part.split()[1].partition("=")[0] for part in schema.partition("(")[2].partition(")")[0].split(", ")
             if part != "*"]  # fmt: skip
    place = names.index("reduction")

    def infer(*arguments: Any) -> TensorType:
        _known(*arguments)
        if check is not None:
            check(*arguments)
        tensors = _tensors(arguments)
        shape = broadcast_shapes(*map(known_shape, tensors))
        dtype = result_type(*tensors) if typed_as is None else operand_type(arguments[typed_as])
        return _reduced_type(TensorType(dtype, shape), arguments[place])

    def reference(*arguments: Any) -> Array:
        types = [array_type(item) if isinstance(item, np.ndarray) else item for item in arguments]
        dtype = operand_type(infer(*types))
        values = [_double(item) for index, item in enumerate(arguments) if index != place]
        with np.errstate(all="ignore"):
            elements = np.asarray(compute(*values))
            return _reduced_array(elements, arguments[place]).astype(dtype.numpy)

    def decompose(b: Any, *arguments: Any) -> Any:
        types = [b.type(item) for item in arguments if isinstance(item, Value)]
        dtype = result_type(*types)
        values = [
            narrowed(b, item, compute_type(dtype)) if isinstance(item, Value) else item
            for index, item in enumerate(arguments) if index != place
        ]  # fmt: skip
        if typed_as is not None:
            dtype = b.type(arguments[typed_as]).dtype
        return narrowed(b, _build_reduced(b, build(b, *values), arguments[place]), dtype)

    define(schema, infer=infer, reference=reference, decompose=decompose, refuses=refuses)


def _positive(name: str, argument: str, kind: str, allows_zero: bool) -> Callable[..., None]:
    def check(x: Any, target: Any, reduction: int, threshold: float) -> None:
        if threshold < 0 or (threshold == 0 and not allows_zero):
            raise RuntimeError(f"{name} does not support {kind} values for {argument}.")

    return check


def _check_huber(x: Any, target: Any, reduction: int, delta: float) -> None:
    """PyTorch makes the result as the input is, and only then looks for a kernel."""
    _positive("huber_loss", "delta", "non-positive", False)(x, target, reduction, delta)
    check_castable(result_type(x, target), operand_type(x))
    check_type(_no_kernel("huber_cpu"), result_type(x, target))


def _check_smooth(x: Any, target: Any, reduction: int, beta: float) -> None:
    _positive("smooth_l1_loss", "beta", "negative", True)(x, target, reduction, beta)
    if beta != 0:
        check_type(_no_kernel("smooth_l1_cpu"), result_type(x, target))


def _smooth(z: Array, beta: float) -> Array:
    return np.where(z < beta, 0.5 * z * z / (beta or 1), z - 0.5 * beta)


def _build_distance(b: Any, x: Any, y: Any) -> Any:
    return b("aten::abs", b("aten::sub.Tensor", x, y))


def _build_square(b: Any, x: Any, y: Any) -> Any:
    difference = b("aten::sub.Tensor", x, y)
    return b("aten::mul.Tensor", difference, difference)


def _build_smooth(b: Any, x: Any, y: Any, beta: float) -> Any:
    z = _build_distance(b, x, y)
    if beta == 0:
        return z
    near = b("aten::div.Scalar", _mul(b, _mul(b, z, z), 0.5), beta)
    return b("aten::where.self", b("aten::lt.Scalar", z, beta), near, _sub(b, z, 0.5 * beta))


def _build_huber(b: Any, x: Any, y: Any, delta: float) -> Any:
    z = _build_distance(b, x, y)
    far = _mul(b, _sub(b, z, 0.5 * delta), delta)
    return b("aten::where.self", b("aten::lt.Scalar", z, delta), _mul(b, _mul(b, z, z), 0.5), far)


def _huber(x: Array, y: Array, delta: float) -> Array:
    z = np.abs(x - y)
    return np.asarray(np.where(z < delta, 0.5 * z * z, delta * (z - 0.5 * delta)))


_declare_loss(
    "aten::mse_loss(Tensor self, Tensor target, int reduction=1) -> Tensor",
    lambda x, y: np.square(x - y), _build_square, refuses=_no_kernel("mse_cpu"),
)  # fmt: skip
declare_composite(
    "aten::l1_loss(Tensor self, Tensor target, int reduction=1) -> Tensor",
    lambda b, x, y, reduction: _build_reduced(b, _build_distance(b, x, y), reduction),
)
_declare_loss(
    "aten::smooth_l1_loss(Tensor self, Tensor target, int reduction=1, float beta=1.) -> Tensor",
    lambda x, y, beta: _smooth(np.abs(x - y), beta),
    _build_smooth,
    _check_smooth,
)
_declare_loss(
    "aten::huber_loss(Tensor self, Tensor target, int reduction=1, float delta=1.) -> Tensor",
    _huber,
    _build_huber,
    _check_huber,
    typed_as=0,
)


def _build_divergence(b: Any, x: Any, target: Any, log_target: bool) -> Any:
    if log_target:
        return _mul(b, b("aten::exp", target), _sub(b, target, x))
    return _sub(b, b("aten::xlogy.Tensor", target, target), _mul(b, target, x))


declare_composite(
    "aten::kl_div(Tensor self, Tensor target, int reduction=1, *, bool log_target=False) -> Tensor",
    # Here, too, PyTorch rounds halves after each operator.
    lambda b, x, target, reduction, log_target: _build_reduced(
        b, _build_divergence(b, x, target, log_target), reduction
    ),
    refuses=refusal(COMPLEXES, "kl_div: Complex inputs not supported.")
    + refusal(WHOLE, "kl_div: Integral inputs not supported.", of="self")
    + refusal(WHOLE, "kl_div: Integral inputs not supported.", of="target"),
)


def _softened(b: Any, x: Any, target: Any) -> Any:
    """log(1 + exp(-target x)) in the input's type and, as PyTorch computes in place, its shape."""
    dtype = b.type(x).dtype
    product = b("aten::mul.Tensor", b("aten::neg", narrowed(b, target, dtype)), x)
    check_written_shape(b.shape(x), b.shape(product))
    for computed in (result_type(b.type(x), b.type(target)), result_type(1.0, b.type(x))):
        check_castable(computed, dtype)
    return b("aten::log1p", b("aten::exp", product))


declare_composite(
    "aten::soft_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor",
    # Not computed in wider numbers: PyTorch does one operator after the other, and rounds halves after each.
    lambda b, x, target, reduction: _build_reduced(b, _softened(b, x, target), reduction),
)


# Losses of probabilities ---------------------------------------------------------------------------------------------


def _binary(x: Array, target: Array, weight: Array | None) -> Array:
    if not np.all((x >= 0) & (x <= 1)):
        raise RuntimeError("all elements of input should be between 0 and 1")
    if not np.all((target >= 0) & (target <= 1)):
        raise RuntimeError("all elements of target should be between 0 and 1")
    loss = -(target * np.maximum(np.log(x), -100) + (1 - target) * np.maximum(np.log1p(-x), -100))
    return np.asarray(loss if weight is None else loss * weight)


def _build_binary(b: Any, x: Any, target: Any, weight: Any) -> Any:
    for name, value in (("input", x), ("target", target)):
        _refuse_improbable(b, value, f"all elements of {name} should be between 0 and 1")
    no = _mul(b, _sub(b, 1, target), b("aten::clamp_min", b("aten::log1p", b("aten::neg", x)), -100))
    loss = b("aten::neg", _add(b, _mul(b, target, _log_above(b, x)), no))
    return loss if weight is None else _mul(b, loss, weight)


def _refuse_improbable(b: Any, x: Any, message: str) -> None:
    """Raise RuntimeError when the program runs and an element is not between 0 and 1."""
    inside = b("aten::logical_and", b("aten::ge.Scalar", x, 0), b("aten::le.Scalar", x, 1))
    graph = b.graph
    branch = graph.insert("prim::If", [b("aten::Bool.Tensor", b("aten::any", b("aten::logical_not", inside)))])
    raising = branch.add_block()
    branch.add_block()
    with graph.inserting(raising):
        graph.insert(
            "prim::RaiseException", [graph.insert_constant(text, STRING) for text in (message, "RuntimeError")]
        )


def _check_probability_target(x: Any, target: Any, weight: Any, reduction: int) -> None:
    if operand_type(x) is not operand_type(target):
        label, other = operand_type(x).label, operand_type(target).label
        raise RuntimeError(f"Found dtype {other} but expected {label}")


_declare_loss(
    "aten::binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=1) -> Tensor",
    _binary,
    _build_binary,
    _check_probability_target,
    unimplemented("binary_cross_entropy", WHOLE | COMPLEXES, of="self"),
)


def _check_binary_logits(x: Any, target: Any, weight: Any, positive: Any) -> None:
    """PyTorch computes in the memory of `1 - target`."""
    given = operand_type(target)
    check_type(unimplemented("log_sigmoid_cpu", WHOLE | COMPLEXES), operand_type(x))
    check_type(_NO_DIFFERENCE, given)
    check_castable(result_type(x, target), given)
    shapes = [known_shape(each) for each in (x, target, weight, positive) if each is not None]
    check_written_shape(known_shape(target), broadcast_shapes(*shapes))


_NO_DIFFERENCE = refusal(
    BOOLS,
    "Subtraction, the `-` operator, with two bool tensors is not supported. "
    "Use the `^` or `logical_xor()` operator instead.",
)


def _build_binary_logits(b: Any, x: Any, target: Any, weight: Any, positive: Any, reduction: int) -> Any:
    """Rounded where PyTorch computes in place: in the input's type, and then in the target's."""
    _check_binary_logits(*(None if each is None else b.type(each) for each in (x, target, weight, positive)))
    dtype = b.type(target).dtype
    likely = b("aten::log_sigmoid", x)
    if positive is not None:
        scale = _add(b, _mul(b, _sub(b, positive, 1), target), 1)
        check_written_shape(b.shape(x), broadcast_shapes(b.shape(x), b.shape(scale)))
        likely = narrowed(b, _mul(b, likely, scale), b.type(x).dtype)
    unlikely = narrowed(b, _mul(b, _sub(b, 1, target), x), dtype)
    loss = narrowed(b, _sub(b, unlikely, likely), dtype)
    weighted = loss if weight is None else narrowed(b, _mul(b, loss, weight), dtype)
    return _build_reduced(b, weighted, reduction)


declare_composite(
    "aten::binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, "
    "int reduction=1) -> Tensor",
    _build_binary_logits,
)


# Losses of classes ---------------------------------------------------------------------------------------------------


def _class_dim(shape: Shape) -> int:
    return 0 if len(shape) == 1 else 1


def _check_batches(x: TensorType, target: TensorType) -> None:
    """What only the general operators check, before the rest."""
    shape, wanted = known_shape(x), known_shape(target)
    if not shape:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if len(shape) > 1 and wanted and same_dim(shape[0], wanted[0]) is False:
        raise ValueError(f"Expected input batch_size ({shape[0]}) to match target batch_size ({wanted[0]}).")


def _check_classes(x: TensorType, target: TensorType, weight: TensorType | None) -> None:
    if operand_type(target) not in (dtypes.INT64, dtypes.UINT8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {operand_type(target).label}")
    shape, wanted = known_shape(x), known_shape(target)
    if not shape:
        raise RuntimeError("input tensor should be 1D or 2D")
    dim = _class_dim(shape)
    rest = shape[:dim] + shape[dim + 1 :]
    if len(rest) != len(wanted) or any(same_dim(mine, other) is False for mine, other in zip(rest, wanted)):
        if len(shape) <= 2:
            many = len(wanted) > 1
            raise RuntimeError(
                "0D or 1D target tensor expected, multi-target not supported" if many
                else f"size mismatch (got input: {format_shape(shape)}, target: {format_shape(wanted)})"
            )  # fmt: skip
        raise RuntimeError(f"Expected target size {format_shape(rest)}, got {format_shape(wanted)}")
    undecided = [pair for pair in zip(rest, wanted) if same_dim(*pair) is None]
    if undecided:
        raise UndecidedExtents("does every sample have one target?", *undecided)
    _check_class_weight(shape[dim], weight)


def _check_class_weight(classes: Any, weight: TensorType | None) -> None:
    if weight is None:
        return
    shape = known_shape(weight)
    if len(shape) != 1 or same_dim(shape[0], classes) is False:
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {format_shape(shape)}"
        )


def _infer_nll(x: TensorType, target: TensorType, weight: Any, reduction: int, ignore_index: int) -> TensorType:
    _known(reduction)
    _check_classes(x, target, weight)
    kernel = "nll_loss2d_forward_out_frame" if len(known_shape(x)) > 2 else "nll_loss_out_frame"
    check_type(_no_kernel(kernel), operand_type(x))
    return TensorType(operand_type(x), known_shape(target) if reduction == NONE else ())


def _checked_targets(target: Array, classes: int, ignore_index: int) -> Array:
    outside = target[(target != ignore_index) & ((target < 0) | (target >= classes))]
    if outside.size:
        raise IndexError(f"Target {outside.flat[0]} is out of bounds.")
    return np.where(target == ignore_index, 0, target)


def _nll_parts(x: Array, target: Array, weight: Array | None, ignore_index: int) -> tuple[Array, Array]:
    """The loss of every sample and its weight, which is 0 for ignored ones; in double."""
    dim = _class_dim(x.shape)
    places = _checked_targets(target, x.shape[dim], ignore_index)
    wide = x.astype(np.float64) if x.shape[dim] else np.zeros((*x.shape[:dim], 1, *x.shape[dim + 1 :]))
    picked = np.take_along_axis(wide, np.expand_dims(places, dim), dim).squeeze(dim)
    scale = np.ones(target.shape) if weight is None else weight.astype(np.float64)[places]
    scale = np.where(target == ignore_index, 0.0, scale)
    return np.where(target == ignore_index, 0.0, -picked * scale), scale


def _weighted_mean(total: Array, weights: Array, reduction: int) -> Array:
    if reduction == NONE:
        return total
    with np.errstate(all="ignore"):
        return np.asarray(np.sum(total) / np.sum(weights) if reduction == MEAN else np.sum(total))


def _infer_nll_nd(x: TensorType, target: TensorType, *rest: Any) -> TensorType:
    _check_batches(x, target)
    return _infer_nll(x, target, *rest)


def _reference_nll(x: Array, target: Array, weight: Array | None, reduction: int, ignore_index: int) -> Array:
    weight_type = None if weight is None else array_type(weight)
    _infer_nll(array_type(x), array_type(target), weight_type, reduction, ignore_index)
    return _weighted_mean(*_nll_parts(x, target, weight, ignore_index), reduction).astype(x.dtype)


def _reference_nll_nd(x: Array, target: Array, *rest: Any) -> Array:
    _check_batches(array_type(x), array_type(target))
    return _reference_nll(x, target, *rest)


def _build_nll_parts(b: Any, x: Any, target: Any, weight: Any, ignore_index: Any) -> tuple[Any, Any]:
    dim, dtype = _class_dim(b.shape(x)), b.type(x).dtype
    ignored = b("aten::eq.Scalar", target, ignore_index)
    if b.shape(x)[dim] == 0:  # no target is a class
        b.require(b("aten::all", ignored), "Target is out of bounds.")
        nothing = b("aten::zeros_like", target, dtype=dtype.code)
        return nothing, nothing
    places = b("aten::masked_fill.Scalar", target, ignored, 0)
    picked = b("aten::squeeze.dim", b("aten::gather", x, dim, b("aten::unsqueeze", places, dim)), dim)
    if weight is None:
        scale = b("aten::to.dtype", b("aten::logical_not", ignored), dtype.code)
    else:
        rows = b("aten::gather", narrowed(b, weight, dtype), 0, b("aten::reshape", places, [-1]))
        scale = b("aten::masked_fill.Scalar", b("aten::reshape", rows, list(b.shape(target))), ignored, 0)
    loss = b("aten::neg", _mul(b, picked, scale))
    return b("aten::masked_fill.Scalar", loss, ignored, 0), scale


def _decompose_nll(b: Any, x: Any, target: Any, weight: Any, reduction: int, ignore_index: Any) -> Any:
    dtype = b.type(x).dtype
    loss, scale = _build_nll_parts(b, narrowed(b, x, compute_type(dtype)), target, weight, ignore_index)
    if reduction != NONE:
        loss = b("aten::sum", loss)
    if reduction == MEAN:
        loss = b("aten::div.Tensor", loss, b("aten::sum", scale))
    return narrowed(b, loss, dtype)


for _name, _infer, _reference in (
    ("nll_loss_nd", _infer_nll_nd, _reference_nll_nd),
    ("nll_loss", _infer_nll, _reference_nll),
    ("nll_loss2d", _infer_nll, _reference_nll),
):
    define(
        f"aten::{_name}(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt ignore_index=-100) "
        "-> Tensor",
        infer=_infer,
        reference=_reference,
        decompose=_decompose_nll,
        may_fail=True,
    )


def _has_probabilities(x: TensorType, target: TensorType) -> bool:
    """Targets of the input's shape are probabilities of classes, others the numbers of classes."""
    if len(known_shape(x)) != len(known_shape(target)):
        return False
    same = [same_dim(mine, other) for mine, other in zip(known_shape(x), known_shape(target))]
    if None in same and False not in same:
        raise UndecidedShape("do targets have the shape of the input?")
    return all(same)


def _infer_cross_entropy(
    x: TensorType, target: TensorType, weight: Any, reduction: int, ignore_index: int, smoothing: float
) -> TensorType:
    _known(reduction, smoothing)
    if not 0 <= smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing:g}")
    if not _has_probabilities(x, target):
        kernel = "log_softmax_kernel_impl" if len(known_shape(x)) > 2 else "log_softmax_lastdim_kernel_impl"
        if 0 not in known_shape(x):
            check_type(_no_kernel(kernel), operand_type(x))
        return _infer_nll_nd(x, target, weight, reduction, ignore_index)
    if operand_type(target).kind != "float":
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {operand_type(target).label}"
        )
    if isinstance(ignore_index, int) and ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    shape = known_shape(x)
    dim = _class_dim(shape)
    _check_class_weight(shape[dim], weight)
    return TensorType(result_type(x, target), reduced_shape(shape, [dim], False) if reduction == NONE else ())


def _log_softmax(x: Array, dim: int) -> Array:
    shifted = x.astype(np.float64) - x.astype(np.float64).max(axis=dim, keepdims=True, initial=-np.inf)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True)))


def _reference_cross_entropy(
    x: Array, target: Array, weight: Array | None, reduction: int, ignore_index: int, smoothing: float
) -> Array:
    weight_type = None if weight is None else array_type(weight)
    dtype = operand_type(
        _infer_cross_entropy(array_type(x), array_type(target), weight_type, reduction, ignore_index, smoothing)
    )
    dim = _class_dim(x.shape)
    classes, logs = x.shape[dim], _log_softmax(x, dim)
    with np.errstate(all="ignore"):  # there may be no class
        share, count = np.float64(smoothing) / classes if smoothing else 0.0, np.float64(x.size) / classes
    scales = np.ones(classes) if weight is None else weight.astype(np.float64)
    scales = scales.reshape([-1 if axis == dim else 1 for axis in range(x.ndim)])
    if _has_probabilities(array_type(x), array_type(target)):
        wanted = target.astype(np.float64) * (1 - smoothing) + share
        loss = np.asarray(-np.sum(logs * wanted * scales, axis=dim))  # 0-d for a single row
        return _weighted_mean(loss, np.asarray(count), reduction).astype(dtype.numpy)
    loss, sizes = _nll_parts(logs, target, weight, ignore_index)
    if not smoothing:  # classes that are ruled out, whose logarithms are infinite, are not asked for
        return _weighted_mean(loss, sizes, reduction).astype(dtype.numpy)
    spread = np.where(target == ignore_index, 0.0, -np.sum(logs * scales, axis=dim))
    hard, soft = (_weighted_mean(item, sizes, reduction) for item in (loss, spread))
    return np.asarray((1 - smoothing) * hard + share * soft).astype(dtype.numpy)


def _decompose_cross_entropy(
    b: Any, x: Any, target: Any, weight: Any, reduction: int, ignore_index: Any, smoothing: float
) -> Any:
    shape, dtype = b.shape(x), b.type(x).dtype
    dim = _class_dim(shape)
    logs = b("aten::log_softmax.int", narrowed(b, x, compute_type(dtype)), dim)
    scales = None if weight is None else narrowed(b, weight, compute_type(dtype))
    shaped = (
        scales
        if scales is None
        else b("aten::reshape", scales, [-1 if axis == dim else 1 for axis in range(len(shape))])
    )
    if _has_probabilities(b.type(x), b.type(target)):
        return _build_soft_targets(
            b, logs, target, shaped, reduction, smoothing, dim, result_type(b.type(x), b.type(target))
        )
    hard, sizes = _build_nll_parts(b, logs, target, scales, ignore_index)
    if smoothing == 0:
        return narrowed(b, _build_weighted_mean(b, hard, sizes, reduction), dtype)
    spread = b("aten::neg", b("aten::sum.dim_IntList", logs if shaped is None else _mul(b, logs, shaped), [dim]))
    spread = b("aten::masked_fill.Scalar", spread, b("aten::eq.Scalar", target, ignore_index), 0)
    part = b(
        "aten::div.Scalar", _mul(b, _build_weighted_mean(b, spread, sizes, reduction), smoothing), b.dim(shape[dim])
    )
    whole = _add(b, _mul(b, _build_weighted_mean(b, hard, sizes, reduction), 1 - smoothing), part)
    return narrowed(b, whole, dtype)


def _build_weighted_mean(b: Any, loss: Any, sizes: Any, reduction: int) -> Any:
    if reduction == NONE:
        return loss
    total = b("aten::sum", loss)
    return b("aten::div.Tensor", total, b("aten::sum", sizes)) if reduction == MEAN else total


def _build_soft_targets(
    b: Any, logs: Any, target: Any, scales: Any, reduction: int, smoothing: float, dim: int, dtype: Any
) -> Any:
    if smoothing:
        share = b(
            "aten::div.Scalar", b("aten::full", [], smoothing, dtype=b.type(logs).dtype.code), b.dim(b.shape(logs)[dim])
        )
        target = _add(b, _mul(b, target, 1 - smoothing), share)
    weighted = _mul(b, logs, target)
    weighted = weighted if scales is None else _mul(b, weighted, scales)
    loss = b("aten::neg", b("aten::sum.dim_IntList", weighted, [dim]))
    if reduction == MEAN and b.shape(logs)[dim] == 0:  # PyTorch divides by the number of elements per class
        return narrowed(b, b("aten::full", [], math.nan, dtype=b.type(logs).dtype.code), dtype)
    return narrowed(b, _build_reduced(b, loss, reduction), dtype)


define(
    "aten::cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, "
    "SymInt ignore_index=-100, float label_smoothing=0.) -> Tensor",
    infer=_infer_cross_entropy,
    reference=_reference_cross_entropy,
    decompose=_decompose_cross_entropy,
    may_fail=True,
)
