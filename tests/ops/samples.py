"""Arguments to try every operator with: a table for those that need particular ones, generated for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.types import BOOL, FLOAT, NUMBER, STRING, IntType, ListType, OptionalType, TensorType, VariableType
from optc.ops.registry import Operator, Pointwise
from tests.ops.arrangement_samples import ARRANGEMENTS, COPIES
from tests.ops.image_samples import IMAGES
from tests.ops.linear_samples import LINEAR
from tests.ops.loss_samples import LOSSES
from tests.ops.neural_samples import NEURAL
from tests.ops.region_samples import REGIONS
from tests.ops.signal_samples import SIGNALS
from tests.ops.special_samples import SPECIAL

Arguments = tuple[Any, ...]
HALF, FLOAT64, INT64, UINT8, TRUTH, COMPLEX128 = (
    dtypes.BY_NAME[name].code for name in ("float16", "float64", "int64", "uint8", "bool", "complex128")
)


def floats(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray[Any, Any]:
    """Normal numbers."""
    numbers = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return np.asarray(numbers).astype(dtypes.BY_NAME[dtype].numpy)


def special(dtype: str = "float32") -> np.ndarray[Any, Any]:
    """What breaks functions: zeros of both signs, infinities, nan, halves, large and tiny numbers."""
    numbers = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, 30.0, -30.0, 1e-4, 6.0]
    return np.array(numbers).astype(dtypes.BY_NAME[dtype].numpy)


def integers(*shape: int, dtype: str = "int64", low: int = -5, high: int = 6) -> np.ndarray[Any, Any]:
    """Small integers."""
    return np.asarray(np.random.default_rng(shape).integers(low, high, shape)).astype(dtypes.BY_NAME[dtype].numpy)


def truths(*shape: int) -> np.ndarray[Any, Any]:
    """Bools of both kinds."""
    return np.asarray(np.random.default_rng(shape).integers(0, 2, shape)).astype(bool)


def _unary_tensors() -> list[np.ndarray[Any, Any]]:
    return [
        floats(2, 3), special(), special("float64"), special("float16"), special("bfloat16"), floats(), floats(0, 3),
        integers(2, 3), integers(5, dtype="int8"), integers(4, dtype="uint8", low=0), truths(2, 3), floats(3, 4).T,
    ]  # fmt: skip


def _binary_tensors() -> list[tuple[Any, Any]]:
    left, right = np.meshgrid(special(), special())
    return [
        (floats(2, 3), floats(3, seed=1)), (floats(2, 1), floats(1, 4)), (left, right), (floats(2, 3), floats()),
        (floats(2, 3, dtype="float64"), floats(3)), (floats(3), floats(dtype="float64")), (integers(2, 3), floats(3)),
        (integers(2, 3), integers(3, low=1)), (integers(4, dtype="int8"), integers(4, dtype="int8", low=1)),
        (integers(4, dtype="uint8", low=0), integers(4, dtype="int8", low=1)), (truths(2, 3), truths(3)),
        (truths(3), integers(3, low=1)), (floats(3, dtype="float16"), floats(3, seed=1, dtype="float16")),
        (floats(3, dtype="float16"), floats(3, dtype="bfloat16")), (integers(3), floats(dtype="float64")),
        (floats(0, 3), floats(3)), (floats(2, 3), floats(4)), (integers(3), np.array([1, 0, 2])),
    ]  # fmt: skip


_NUMBERS = (2, 0.5, -3, True, 0)


def samples(operator: Operator) -> Iterator[Arguments]:
    """Complete argument tuples for the functional form of an operator."""
    name = operator.name
    arguments = operator.schema.arguments
    shared = bool(arguments) and isinstance(getattr(arguments[0].type, "element", arguments[0].type), TensorType)
    listed = TABLE.get(name, TABLE.get(name.partition(".")[0]) if shared else None)
    if listed is not None:
        for arguments in listed:
            yield _with_defaults(operator, arguments)
        return
    yield from _generated(operator)


def _with_defaults(operator: Operator, given: Any) -> Arguments:
    arguments = given if isinstance(given, tuple) else (given,)
    rest = operator.schema.arguments[len(arguments) :]
    return (*arguments, *(argument.default for argument in rest))


def _generated(operator: Operator) -> Iterator[Arguments]:
    required = [argument for argument in operator.schema.arguments if not argument.has_default]
    kinds = [argument.type for argument in required]
    if all(isinstance(kind, TensorType) for kind in kinds) and len(kinds) == 1:
        yield from (_with_defaults(operator, (tensor,)) for tensor in _unary_tensors())
    elif len(kinds) == 2 and all(isinstance(kind, TensorType) for kind in kinds):
        yield from (_with_defaults(operator, pair) for pair in _binary_tensors())
    elif len(kinds) == 2 and isinstance(kinds[0], TensorType) and kinds[1] is NUMBER:
        for tensor in _unary_tensors():
            yield from (_with_defaults(operator, (tensor, number)) for number in _NUMBERS)
    elif len(kinds) == 2 and isinstance(kinds[1], TensorType) and kinds[0] is NUMBER:
        yield from (_with_defaults(operator, (number, tensor)) for tensor in _unary_tensors() for number in _NUMBERS)
    elif kinds and all(_values_of(kind) for kind in kinds):
        yield from (_with_defaults(operator, values) for values in _product(kinds))


def _product(kinds: list[Any]) -> list[Arguments]:
    choices: list[Arguments] = [()]
    for place, kind in enumerate(kinds):
        values = _values_of(kind)
        choices = [(*choice, values[(step + place * step) % len(values)]) for step, choice in
                   enumerate(choice for choice in choices for _ in values)]  # fmt: skip
    return choices


def _values_of(kind: Any) -> list[Any]:
    if isinstance(kind, IntType):
        return [3, -7, 0, 2**62, 1]
    if kind is FLOAT:
        return [2.5, -0.0, -7.25, float("inf"), float("nan"), 0.5]
    if kind is BOOL:
        return [True, False]
    if kind is NUMBER:
        return [4, 2.5, -3]
    if kind is STRING:
        return ["ab cab", "b", "", "A1"]
    if isinstance(kind, OptionalType):
        return [None]
    if isinstance(kind, ListType) and not isinstance(kind.element, TensorType | VariableType):
        return [[value, other] for value, other in zip(_values_of(kind.element), _values_of(kind.element)[1:])]
    if isinstance(kind, ListType) and isinstance(kind.element, VariableType):
        return [[1, 2, 3], []]
    return []


def is_pointwise(operator: Operator) -> bool:
    """True for operators lowered to an expression per element."""
    return isinstance(operator.lowering, Pointwise)


_DIMS = [(floats(2, 3), 1), (floats(2, 3, 4), 0), (floats(2, 3), -1, True), (floats(), 0), (floats(2, 3), 2),
         (integers(3, 4), 0), (floats(4, 3, dtype="float16"), 1), (truths(3, 2), 0), (floats(0, 3), 1), (floats(2, 0), 1)]  # fmt: skip
_DIM_LISTS = [(floats(2, 3), [1]), (floats(2, 3, 4), [0, 2]), (floats(2, 3, 4), [-1], True), (floats(2, 3), []),
              (floats(3, 5, dtype="float64"), [0]), (floats(4, 6, dtype="float16"), [1]), (floats(), []),
              (floats(2, 3), [1, 1]), (integers(3, 4), [0]), (floats(3, 1), [1])]  # fmt: skip
_NAN_ROWS = np.array([[1.0, np.nan, 3.0], [3.0, 3.0, 1.0]], np.float32)
_MATRIX = floats(3, 4)
_WEIGHT = floats(4, seed=5)
_STATISTICS = (floats(4), np.abs(floats(4, seed=3)) + 0.5)
_INDEX = np.array([[0, 2, 1], [1, 0, 0]])
_BYTES = np.array([3, 127, 128, 200, 255], np.uint8)

TABLE: dict[str, list[Any]] = {
    **NEURAL,
    **LINEAR,
    **SIGNALS, **ARRANGEMENTS,
    **LOSSES,
    **SPECIAL,
    **SIGNALS,
    **IMAGES,
    **REGIONS,
    "aten::clamp": [(floats(2, 3), -0.5, 0.5), (floats(3), None, 1), (integers(4), -1, 2.5), (special(), 0, None),
                    (floats(3), None, None)],
    "aten::clip": [(floats(2, 3), -0.5, 0.5), (integers(4), 0, 2)],
    "aten::clamp.Tensor": [(floats(2, 3), floats(3), floats(3, seed=2)), (special(), None, special())],
    "aten::clip.Tensor": [(floats(2, 3), floats(3), floats(3, seed=2))],
    "aten::pow.Tensor_Scalar": [(tensor, power) for tensor in _unary_tensors() for power in (2, 3, 0, -1, 1.5, True)]
    + [(special(), 0.5), (special("float64"), -0.5), (integers(3), 0.5)],
    "aten::div.Tensor_mode": [(floats(2, 3), floats(3, seed=1), mode) for mode in (None, "floor", "trunc", "round")]
    + [(integers(2, 3), integers(3, low=1), mode) for mode in (None, "floor", "trunc")]
    + [(*np.meshgrid(special(), special()), "floor")],
    "aten::div.Scalar_mode": [(integers(9), -2, mode) for mode in (None, "floor", "trunc")] + [(floats(5), 0.3, "floor")],
    "aten::divide.Tensor_mode": [(floats(2, 3), floats(3, seed=1), mode) for mode in (None, "floor", "trunc")],
    "aten::divide.Scalar_mode": [(integers(9), -2, "floor")],
    "aten::round.decimals": [(floats(5), 2), (floats(5, dtype="float64"), -1), (floats(3), 0)],
    "aten::lerp.Scalar": [(floats(3), floats(3, seed=1), 0.25), (floats(3), floats(3, seed=1), 0.75),
                          (floats(3), floats(3, dtype="float64"), 0.5)],
    "aten::lerp.Tensor": [(floats(2, 3), floats(3, seed=1), floats(2, 1))],
    "aten::addcmul": [(floats(2, 3), floats(3), floats(2, 1), 0.5), (integers(3), integers(3), integers(3), 2)],
    "aten::addcdiv": [(floats(2, 3), floats(3), floats(2, 1), 0.5), (integers(3), integers(3), integers(3), 2)],
    "aten::where.self": [(truths(2, 3), floats(3), floats(2, 1)), (truths(3), integers(3), floats(3)),
                         (truths(), floats(2), floats()), (floats(3), floats(3), floats(3))],
    "aten::where.ScalarSelf": [(truths(2, 3), 0.5, floats(3)), (truths(3), 1.5, integers(3)), (truths(3), 2, truths(3))],
    "aten::where.ScalarOther": [(truths(2, 3), floats(3), -1), (truths(3), integers(3), 0.5)],
    "aten::where.Scalar": [(truths(2, 3), 1, 0.5), (truths(3), 1, 2), (truths(3), True, False)],
    "aten::masked_fill.Scalar": [(floats(2, 3), truths(3), 1j), (integers(3), truths(3), 1j),
                                 (floats(2, 3), truths(3), -np.inf), (integers(3), truths(2, 3), 7),
                                 (floats(3), integers(3), 1)],
    "aten::masked_fill.Tensor": [(floats(2, 3), truths(3), floats()), (floats(2), truths(2), floats(1))],
    "aten::isclose": [(special(), special()), (floats(3), floats(3) + 1e-6), (special(), special(), 1e-5, 1e-8, True)],
    "aten::nan_to_num": [(special(),), (special(), 1.0, 2.0, 3.0), (special("float16"),), (integers(3),)],
    "aten::logit": [(np.array([0.1, 0.5, 0.9, 1.2], np.float32),), (np.array([0.0, 0.5, 1.0]), 1e-3)],
    "aten::hardtanh": [(special(),), (floats(4), -0.5, 0.25)],
    "aten::threshold": [(special(), 0.5, 7.0), (floats(3, dtype="float16"), 0, -1)],
    "aten::gelu": [(special("float64"),), (special("float64"), "tanh"), (floats(9),), (floats(9), "tanh"), (floats(3, dtype="float16"), "tanh"), (floats(3), "x"), (integers(3),)],
    "aten::prelu": [(floats(2, 3), floats(3, seed=2)), (floats(2, 3, 4), floats(1)), (floats(5), floats(1)),
                    (floats(2, 3), floats(2))],
    "aten::_prelu_kernel": [(floats(2, 3), floats(1, 3))],
    "aten::celu": [(special(),), (floats(4), 0.5)],
    "aten::glu": [(floats(4, 6),), (floats(4, 6), 0), (floats(3, 5),)],
    "aten::rrelu": [(floats(5), 0.125, 0.25, False)],
    "aten::sum": [(floats(2, 3),), (integers(3),), (truths(2, 3),), (floats(3, dtype="float16"),), (floats(3), FLOAT64),
                  (floats(0),), (floats(),)],
    "aten::prod": [(floats(2, 3),), (integers(3),), (truths(2),), (floats(0),)],
    "aten::mean": [(floats(2, 3),), (floats(3, dtype="float16"),), (integers(3),), (integers(3), FLOAT64), (floats(0),)],
    "aten::sum.dim_IntList": [*_DIM_LISTS, (floats(2, 3), None), (integers(2, 3), [0], False, FLOAT64)],
    "aten::mean.dim": [*_DIM_LISTS, (floats(2, 3), None)],
    "aten::nansum": [(_NAN_ROWS,), (_NAN_ROWS, [1])],
    "aten::amax": [*_DIM_LISTS, (_NAN_ROWS, [1]), (floats(0, 3), [0]), (floats(0, 3), [])],
    "aten::amin": [*_DIM_LISTS, (_NAN_ROWS, [1])],
    "aten::aminmax": [(floats(2, 3),), (floats(2, 3), 1, True)],
    "aten::prod.dim_int": _DIMS, "aten::any.dim": _DIMS, "aten::all.dim": _DIMS,
    "aten::any.dims": _DIM_LISTS, "aten::all.dims": _DIM_LISTS,
    "aten::max.dim": [*_DIMS, (_NAN_ROWS, 1), (_NAN_ROWS, 0)], "aten::min.dim": [*_DIMS, (_NAN_ROWS, 1)],
    "aten::argmax": [*_DIMS, (_NAN_ROWS, 1), (floats(2, 3),), (floats(2, 3), None, True), (floats(0),)],
    "aten::argmin": [*_DIMS, (_NAN_ROWS, 0), (floats(2, 3),)],
    "aten::cumsum": [(floats(2, 3), 1), (integers(4, dtype="int8"), 0), (floats(), 0), (truths(3), 0)],
    "aten::cumprod": [(floats(2, 3), 1), (integers(4), 0)],
    "aten::cummax": [(_NAN_ROWS, 1), (integers(6), 0), (special(), 0), (floats(5, 20), 0), (floats(2, 3, 4).transpose(2, 0, 1), 1), (floats(), 0), (truths(4), 0), (floats(2, 0), 1), (special("float16"), 0)], "aten::cummin": [(_NAN_ROWS, 1), (integers(6), 0)],
    "aten::count_nonzero": [(integers(2, 3),), (integers(2, 3), 1), (truths(3),)],
    "aten::count_nonzero.dim_IntList": [(integers(2, 3), [1]), (integers(2, 3, 2), [0, 1])],
    "aten::var.dim": [(floats(2, 3), [1]), (floats(2, 3), [0], False), (floats(2, 3), [1], True, True), (floats(3, 1), [1])],
    "aten::std.dim": [(floats(2, 3), [1]), (floats(2, 5, dtype="float16"), [1], True, True)],
    "aten::var.correction": [(floats(2, 3), [1]), (floats(2, 6), [1], 0), (floats(2, 6), None, 2, True),
                             (floats(2, 6), [1], 0.5), (floats(2, 3), None, 6.5)],
    "aten::std.correction": [(floats(2, 3), [1], 0)],
    "aten::var_mean.dim": [(floats(2, 3), [1])], "aten::std_mean.dim": [(floats(2, 3), [1], True, True)],
    "aten::norm.Scalar": [(floats(2, 3), power) for power in (2, 1, np.inf, 0, 3)],
    "aten::norm.ScalarOpt_dim": [(floats(2, 3), 2, [1]), (floats(2, 3), None, [0], True), (floats(2, 3), 1.5, [])],
    "aten::norm.ScalarOpt_dtype": [(floats(2, 3), 2, FLOAT64)],
    "aten::norm.ScalarOpt_dim_dtype": [(floats(2, 3), 2, [1], False, FLOAT64)],
    "aten::linalg_vector_norm": [(floats(2, 3),), (floats(2, 3), -np.inf, [1]), (integers(3),), (floats(2, 3), 3, [0], True),
                                 (floats(2, 0), -1, [1]), (floats(2, 0), np.inf), (floats(2, 0), -1, [0])],
    "aten::frobenius_norm.dim": [(floats(2, 3), [1])],
    "aten::logsumexp": [(floats(2, 3), [1]), (floats(2, 3), [0, 1], True), (np.array([[-np.inf, -np.inf], [1, np.inf]]), [1])],
    "aten::special_logsumexp": [(floats(2, 3), [1])],
    "aten::trace": [(floats(3, 4),), (integers(3, 3),)],
    "aten::softmax.int": [(floats(2, 3), 1), (floats(2, 3), 0), (floats(4, dtype="float16"), -1), (special()[:9], 0),
                          (floats(2, 3), 1, FLOAT64), (floats(), 0), (floats(0, 3), 1), (integers(3), 0)],
    "aten::log_softmax.int": [(floats(2, 3), 1), (floats(4, dtype="bfloat16"), -1), (floats(), -1)],
    "aten::special_softmax": [(floats(2, 3), 1)], "aten::special_log_softmax": [(floats(2, 3), 1)],
    "aten::_softmax": [(floats(2, 3), 1, False)], "aten::_log_softmax": [(floats(2, 3), 1, False)],
    "aten::layer_norm": [(_MATRIX, [4]), (_MATRIX, [4], _WEIGHT, floats(4)), (floats(2, 3, 4), [3, 4]),
                         (floats(2, 4, dtype="float16"), [4]), (_MATRIX, [3])],
    "aten::native_layer_norm": [(_MATRIX, [4], _WEIGHT, None, 1e-5), (floats(2, 3, 4), [3, 4], None, None, 1e-5)],
    "aten::rms_norm": [(_MATRIX, [4]), (_MATRIX, [4], _WEIGHT, 1e-6)],
    "aten::group_norm": [(floats(2, 4, 3), 2, _WEIGHT, floats(4)), (floats(2, 4), 4), (floats(2, 4, 2, 2), 3)],
    "aten::batch_norm": [(floats(3, 4), _WEIGHT, floats(4), *_STATISTICS, False, 0.1, 1e-5, True),
                         (floats(2, 4, 3), None, None, None, None, True, 0.1, 1e-5, True),
                         (floats(3, 5), None, None, *_STATISTICS, False, 0.1, 1e-5, True)],
    "aten::native_batch_norm": [(floats(3, 4), _WEIGHT, floats(4), *_STATISTICS, False, 0.1, 1e-5),
                                (floats(2, 4, 3), None, None, None, None, True, 0.1, 1e-5)],
    "aten::bitwise_right_shift.Tensor": [(_BYTES, _BYTES // 40), (integers(2, 3), integers(3, low=0))],
    "aten::bitwise_right_shift.Tensor_Scalar": [(_BYTES, 3), (integers(2, 3), 1)],
    "aten::bitwise_right_shift.Scalar_Tensor": [(-9, _BYTES // 40), (-9, integers(3, low=0))],
    "aten::__rshift__.Scalar": [(_BYTES, 3), (integers(2, 3), 1)],
    "aten::__rshift__.Tensor": [(_BYTES, _BYTES // 40), (integers(2, 3), integers(3, low=0))],
    "aten::_native_batch_norm_legit": [(floats(3, 4), _WEIGHT, floats(4), *_STATISTICS, False, 0.1, 1e-5)],
    "aten::_batch_norm_with_update": [(floats(2, 4, 3), None, None, *_STATISTICS, 0.1, 1e-5)],
    "aten::_native_batch_norm_legit.no_stats": [(floats(2, 4, 3), _WEIGHT, floats(4), True, 0.1, 1e-5)],
    "aten::_native_batch_norm_legit_no_training": [(floats(3, 4), _WEIGHT, floats(4), *_STATISTICS, 0.1, 1e-5)],
    "aten::native_dropout_backward": [(floats(2, 3), integers(2, 3, low=0).astype(np.bool_), 1.25),
                                      (integers(2, 3), integers(2, 3, low=0).astype(np.bool_), 2.0)],
    "aten::_convert_indices_from_coo_to_csr": [(np.array([0, 0, 2, 3]), 5), (np.array([1, 1], np.int32), 3, True)],
    "aten::hash_tensor": [],
    "aten::instance_norm": [(floats(2, 4, 3), _WEIGHT, floats(4), None, None, True, 0.1, 1e-5, True)],
    "aten::mm": [(floats(2, 3), floats(3, 4)), (integers(2, 3), integers(3, 2)), (floats(2, 3), floats(4, 3)),
                 (floats(2, 3, dtype="float16"), floats(3, 2, dtype="float16")), (floats(0, 3), floats(3, 2)),
                 (floats(2, 0), floats(0, 2)), (floats(2, 3), floats(3, 4, dtype="float64")), (floats(3), floats(3, 4))],
    "aten::bmm": [(floats(2, 3, 4), floats(2, 4, 5)), (floats(2, 3, 4), floats(3, 4, 5)), (floats(3, 4), floats(3, 4))],
    "aten::addmm": [(floats(4), floats(2, 3), floats(3, 4)), (floats(2, 4), floats(2, 3), floats(3, 4), 0.5, 2.0),
                    (np.full((4,), np.nan, np.float32), floats(2, 3), floats(3, 4), 0, 1), (floats(3), floats(2, 3), floats(3, 4)),
                    (integers(2, 4), integers(2, 3), integers(3, 4), 2.6, 0.6)],
    "aten::_grouped_mm": [
        (floats(6, 8), floats(3, 8, 4), np.array([1, 4, 6], np.int32)),
        (floats(6, 8), floats(3, 8, 4), np.array([0, 6, 6], np.int32)),
        (floats(2, 4, 8), floats(2, 8, 4)),
        (floats(4, 8), floats(8, 4), np.array([4, 8], np.int32)),
        (floats(2, 4, 8), floats(8, 8), np.array([4, 8], np.int32)),
        (floats(6, 8), floats(3, 8, 4)),
        (floats(6, 8), floats(3, 8, 4), np.array([1, 4, 6])),
    ],
    "aten::baddbmm": [(floats(5), floats(2, 3, 4), floats(2, 4, 5)), (floats(2, 3, 5), floats(2, 3, 4), floats(2, 4, 5), 2, 0.5),
                      (integers(2, 3, 5), integers(2, 3, 4), integers(2, 4, 5), 0.2, -1.7)],
    "aten::mv": [(floats(2, 3), floats(3)), (floats(2, 3), floats(2))],
    "aten::dot": [(floats(3), floats(3, seed=1)), (floats(3), floats(4)), (floats(3, 2), floats(3))],
    "aten::vdot": [(floats(3), floats(3, seed=1))],
    "aten::outer": [(floats(3), floats(4)), (integers(3), floats(2)), (floats(3, 2), floats(3))],
    "aten::ger": [(floats(3), floats(4))],
    "aten::matmul": [(floats(*left), floats(*right)) for left, right in (
        ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
        ((5, 1, 3, 4), (2, 4, 5)), ((4,), (2, 4, 5)), ((2, 3, 4), (4,)), ((2, 3), (4, 5)), ((3, 4), (2, 4, 5)),
        ((3,), (4,)), ((), (3,)))],
    "aten::linear": [(floats(2, 3), floats(4, 3), floats(4)), (floats(2, 5, 3), floats(4, 3)), (floats(3), floats(4, 3), floats(4)),
                     (floats(2, 3), floats(3)), (floats(2, 3), floats(4, 5)), (floats(2, 5, 3), floats(4, 3), floats(4))],
    "aten::bilinear": [(floats(2, 3), floats(2, 4), floats(5, 3, 4), floats(5))],
    "aten::t": [floats(2, 3), floats(3), floats(), floats(2, 3, 4)],
    "aten::numpy_T": [floats(2, 3)], "aten::mT": [floats(2, 3, 4)], "aten::adjoint": [floats(2, 3)],
    "aten::permute": [(floats(2, 3, 4), [2, 0, 1]), (floats(2, 3), [-1, 0]), (floats(2, 3), [0, 0])],
    "aten::transpose.int": [(floats(2, 3, 4), 0, 2), (floats(2, 3), -1, 0), (floats(), 0, -1), (floats(2, 3), 0, 2)],
    "aten::swapaxes": [(floats(2, 3), 0, 1)], "aten::swapdims": [(floats(2, 3), 0, 1)],
    "aten::movedim.int": [(floats(2, 3, 4), 0, 2)], "aten::moveaxis.int": [(floats(2, 3, 4), -1, 0)],
    "aten::movedim.intlist": [(floats(2, 3, 4), [0, 1], [2, 0])], "aten::moveaxis.intlist": [(floats(2, 3, 4), [0], [1])],
    "aten::view": [(floats(2, 6), [3, 4]), (floats(2, 6), [-1]), (floats(4, 3).T, [3, 2, 2]), (floats(4, 3).T, [12]),
                   (floats(2, 3), [4, 2]), (floats(0, 3), [3, 0]), (floats(0, 3), [-1]), (floats(2, 3), [-1, -1]), (floats(), [1, 1]),
                   (floats(2, 3), [-2, 3])],
    "aten::reshape": [(floats(2, 6), [3, -1]), (floats(4, 3).T, [12]), (floats(), []), (floats(2, 3), [7])],
    "aten::view_as": [(floats(2, 6), floats(3, 4))], "aten::reshape_as": [(floats(2, 6), floats(3, 4))],
    "aten::flatten.using_ints": [(floats(2, 3, 4),), (floats(2, 3, 4), 1), (floats(),), (floats(2, 3), 1, 0)],
    "aten::ravel": [floats(2, 3)],
    "aten::unflatten.int": [(floats(2, 6), 1, [2, -1]), (floats(2, 6), 0, [2, 1]), (floats(2, 6), 1, [4, 2])],
    "aten::unsqueeze": [(floats(2, 3), 0), (floats(2, 3), -1), (floats(), 0), (floats(2), 3)],
    "aten::squeeze": [floats(2, 1, 3, 1), floats()], "aten::squeeze.dim": [(floats(2, 1), 1), (floats(2, 1), 0), (floats(), 0)],
    "aten::squeeze.dims": [(floats(2, 1, 1), [1, 2]), (floats(2, 1), [])],
    "aten::atleast_1d": [floats(), floats(3)], "aten::atleast_2d": [floats(), floats(3), floats(2, 3)],
    "aten::expand": [(floats(3), [2, 3]), (floats(2, 1), [2, 4]), (floats(2, 1), [5, -1, 4]), (floats(2, 3), [4, 3]),
                     (floats(2), []), (floats(2), [-1, 2])],
    "aten::broadcast_to": [(floats(3), [2, 3])], "aten::expand_as": [(floats(3), floats(2, 3))],
    "aten::select.int": [(floats(2, 3), 0, 1), (floats(2, 3), 1, -1), (floats(2, 3), -1, 0), (floats(2, 3), 0, 2), (floats(), 0, 0)],
    "aten::slice.Tensor": [(floats(6, 2), 0, 1, 5, 2), (floats(6), 0, None, None, 1), (floats(6), 0, -2, 2**63 - 1, 1),
                           (floats(3), 0, 2, 1, 1), (floats(2, 5), 1, -9, 9, 3), (floats(), 0, 0, 1, 1), (floats(3), 0, 0, 1, 0)],
    "aten::narrow": [(floats(5, 2), 0, 1, 3), (floats(5), 0, -2, 1), (floats(5), 0, 4, 3), (floats(5), 0, 0, 0)],
    "aten::narrow.Tensor": [(floats(5, 2), 0, np.array(1), 3), (floats(5), 0, np.array(-2), 1), (floats(5), 0, np.array(4), 3),
                            (floats(5), 0, np.array(1.5), 2), (floats(5), 0, np.array([1]), 2)],
    "aten::diagonal": [(floats(3, 4),), (floats(3, 4), 1), (floats(3, 4), -2), (floats(2, 3, 4), 0, 1, 2), (floats(3, 3), 7)],
    "aten::unfold": [(floats(7), 0, 3, 2), (floats(2, 6), 1, 2, 2), (floats(3), 0, 4, 1)],
    "aten::contiguous": [(floats(2, 3).T,), (floats(2, 3),)], "aten::clone": [(floats(2, 3).T,), (floats(),)],
    "aten::flip": [(floats(2, 3), [0]), (floats(2, 3), [0, 1]), (floats(2, 3), []), (floats(0, 2), [0])],
    "aten::flipud": [floats(3, 2)], "aten::fliplr": [floats(3, 2)],
    "aten::repeat": [(floats(2, 3), [2, 1]), (floats(3), [2, 2]), (floats(2, 3), [2]), (floats(2, 3), [0, 1])],
    "aten::tile": [(floats(2, 3), [2]), (floats(3), [2, 2])],
    "aten::repeat_interleave.self_int": [(floats(2, 3), 2), (floats(2, 3), 3, 1)],
    "aten::roll": [(floats(4, 3), [1], [0]), (floats(4, 3), [-1], []), (floats(4, 3), [1, 2], [0, 1]), (floats(4), [1], [0, 0])],
    "aten::size.int": [(floats(2, 3), 1), (floats(2, 3), -1), (floats(2, 3), 2)], "aten::sym_size.int": [(floats(2, 3), 1)],
    "aten::storage_offset": [(floats(2, 3),)], "aten::stride.int": [(floats(2, 3), 0)], "aten::is_contiguous.memory_format": [(floats(2, 3), 0)],
    "aten::cat": [([floats(2, 3), floats(1, 3)], 0), ([floats(2, 3), integers(2, 2)], 1), ([floats(0), floats(2, 3)], 1),
                  ([floats(2, 3), floats(3, 3)], 1), ([floats(2), floats(2, 2)], 0), ([floats(), floats()], 0), ([], 0)],
    "aten::concat": [([floats(2, 3), floats(1, 3)], 0)], "aten::concatenate": [([floats(2, 3), floats(1, 3)], 0)],
    "aten::stack": [([floats(2, 3), floats(2, 3)], 1), ([floats(), floats()], -1), ([floats(2), floats(3)], 0), ([], 0)],
    "aten::hstack": [([floats(2), floats(3)],), ([floats(2, 3), floats(2, 1)],)],
    **{f"aten::{name}": [([floats(3), floats(2, 3)],)] for name in ("vstack", "row_stack")},
    "aten::split.Tensor": [(floats(5, 2), 2), (floats(2, 4), 4, 1), (floats(5), 0), (floats(0, 2), 2)],
    "aten::split": [(floats(5, 2), [2, 3]), (floats(5), [2, 2])], "aten::split.sizes": [(floats(5, 2), [2, 3])],
    "aten::split_with_sizes": [(floats(5, 2), [1, 4]), (floats(5), [2, 2])],
    "aten::chunk": [(floats(5, 2), 2), (floats(2, 6), 4, 1), (floats(3), 5), (floats(3), 0)],
    "aten::tensor_split.sections": [(floats(7, 2), 3)], "aten::tensor_split.indices": [(floats(7, 2), [2, 5])],
    "aten::unbind.int": [(floats(2, 3),), (floats(2, 3), 1), (floats(),)],
    "aten::broadcast_tensors": [([floats(2, 1), floats(3)],)],
    "aten::meshgrid": [([floats(2), floats(3)],)],
    "aten::meshgrid.indexing": [([floats(2), floats(3)], "xy"), ([floats(2), floats(3), floats(4)], "ij")],
    "aten::constant_pad_nd": [(floats(2, 3), [1, 2], 0.5), (floats(2, 3), [0, 1, -1, 2]), (floats(2), [1, 1, 1, 1])],
    "aten::zeros": [([2, 3],), ([], INT64), ([2, -1],)], "aten::ones": [([2, 3],), ([2], TRUTH)], "aten::empty.memory_format": [],
    "aten::zeros_like": [(floats(2, 3),), (floats(2), INT64)], "aten::ones_like": [(integers(2, 3),)], "aten::empty_like": [],
    "aten::new_zeros": [(integers(2), [2, 3]), (floats(2), [2], TRUTH)], "aten::new_ones": [(floats(2), [3])],
    "aten::new_empty": [], "aten::empty_strided": [],
    "aten::full": [([2, 3], 1.5), ([2], 3), ([2], True), ([2], 1.5, INT64), ([2], 300, UINT8)],
    "aten::full_like": [(floats(2, 3), 2), (integers(2), 1.5)], "aten::new_full": [(integers(2), [3], 1.5)],
    "aten::fill.Scalar": [(floats(2, 3), 2)], "aten::fill.Tensor": [(floats(2, 3), floats())],
    "aten::arange": [(5,), (2.5,), (0,), (-1,), (5, FLOAT64)], "aten::arange.start": [(2, 7), (0.5, 3.0)],
    "aten::range": [(0, 5), (1.5, 3)], "aten::range.step": [(1, 2, 0.25), (5, 1, -2, INT64), (1, 5, 0), (5, 1, 1)],
    "aten::arange.start_step": [(2, 9, 3), (9, 2, -2), (0, 1, 0.25), (1, 5, 0)],
    "aten::linspace": [(0, 1, 5), (3.0, -1.0, 4), (0, 1, 1), (0, 1, 0), (0, 10, 5, INT64), (0, 1, -1)],
    "aten::linspace.Tensor_Tensor": [(np.array(0.5), np.array(2), 4), (np.array([0.5]), np.array([2]), 4)],
    "aten::linspace.Tensor_Scalar": [(np.array(0.5), 2, 4)], "aten::linspace.Scalar_Tensor": [(1, np.array(2.5), 3), (1, np.array([2]), 3)],
    "aten::logspace.Tensor_Tensor": [(np.array(0.5), np.array(2), 4)], "aten::logspace.Tensor_Scalar": [(np.array(0), 2, 4, 2.0)],
    "aten::logspace.Scalar_Tensor": [(1, np.array(2.5), 3), (1, np.array([2]), 3)],
    "aten::tensor_split.tensor_indices_or_sections": [(floats(6), np.array([2, 4])), (floats(5, 2), np.array(2)), (floats(6), np.array(1.5)),
                                                      (floats(6), np.array([[1]]))],
    "aten::_assert_async": [(np.array(True),), (np.array(0.0),), (floats(2),)],
    "aten::_assert_async.msg": [(np.array(2), "m"), (np.array(False), "m"), (floats(0), "m")],
    "aten::_assert_tensor_metadata": [(floats(2, 3), [2, 3], [3, 1], 6), (floats(2), [3]), (floats(2), None, [2]), (floats(2), None, None, 7)],
    "aten::eye": [(3,), (2, INT64)], "aten::eye.m": [(2, 3)],
    "aten::tril": [(floats(3, 4),), (floats(2, 3, 3), 1), (floats(3),)], "aten::triu": [(floats(3, 4), -1)],
    "aten::tensor": [([1, 2, 3],), ([[1.5, 2.0], [3.0, 4.0]],), ([True, False],), ([1, 2], HALF), ([],)],
    "aten::tensor.float": [(1.5,), (2.5, INT64)], "aten::tensor.int": [(3,), (3, HALF)], "aten::tensor.bool": [(True,)],
    "aten::tensor.complex": [(1.5 - 2j,), (0.3j, COMPLEX128)], "aten::as_tensor.complex": [(2j,)],
    "aten::as_tensor.list": [([1, 2],)],
    "aten::scalar_tensor": [(2.5,), (3, INT64)],
    "aten::embedding": [(floats(5, 3), _INDEX), (floats(5, 3), np.array([7])), (floats(5, 3), floats(2))],
    "aten::_no_grad_embedding_renorm_": [(floats(5, 3), _INDEX, 1.0, 2.0)],
    "aten::embedding_renorm": [(floats(5, 3), _INDEX, 1.0, 2.0), (floats(5, 3), _INDEX, 0.5, 1.0)],
    "prim::Largest": [(floats(2, 3), [1], True), (floats(2, 0), [1], True), (floats(0, 3), [1])],
    "aten::index_select": [(floats(3, 4), 0, np.array([2, 0])), (floats(3, 4), 1, np.array([3])), (floats(3), 0, np.array([3])),
                           (floats(3, 4), 0, np.array(1)), (floats(), 0, np.array([0]))],
    "aten::gather": [(floats(3, 4), 0, _INDEX), (floats(2, 3), 1, _INDEX), (floats(2, 3), 1, np.array([[5]]))],
    "aten::take": [(floats(3, 4), np.array([0, 11])), (floats(3), np.array([3])), (floats(3, 4).T, np.array([[-1, 2]])),
                   (floats(0), np.array([0])), (floats(0), integers(0))],
    "aten::take_along_dim": [(floats(2, 3), _INDEX, 1), (floats(2, 3), np.array([0, -5])), (floats(2, 3), np.array([[0, -1]]), 1),
                             (floats(1, 3), np.array([[0], [2]]), 1), (floats(2, 3), np.array([1]), 1)],
    "aten::index.Tensor": [(floats(3, 4), [np.array([2, 0])]), (floats(3, 4), [None, np.array([1, -1])]),
                           (floats(3, 4), [np.array([[0], [2]]), np.array([1, 3])]), (floats(3, 4), [truths(3)]),
                           (floats(2, 3, 4), [np.array([0, 1]), None, np.array([2, 2])]), (floats(3, 4), [truths(3, 4)]),
                           (floats(3), [np.array([3])]), (floats(3), [truths(4)]), (floats(3), [np.array([0]), np.array([0])])],
    "aten::index.Tensor_hacked_twin": [(floats(3, 4), [np.array([2, 0])])],
    "aten::index_put": [(floats(3, 4), [np.array([2, 0])], floats(4)), (floats(3), [np.array([0, 0])], floats(2), True),
                        (floats(3), [truths(3)], floats()), (floats(3), [np.array([0])], integers(1))],
    "aten::index_put.hacked_twin": [(floats(3, 4), [np.array([2, 0])], floats(4))],
    "aten::masked_select": [(floats(2, 3), truths(2, 3)), (floats(3), truths(2, 3))],
    "aten::masked_scatter": [(floats(2, 3), truths(2, 3), floats(6)), (floats(2, 3), truths(2, 3), floats(1)),
                             (floats(2, 3), truths(2, 3), integers(6)), (floats(3), integers(3), floats(6))],
    **{f"prim::{name}": [(floats(3, 4), [np.array([2, 0])], *rest), (floats(3, 4), [None, np.array([1, -1])], *more)]
       for name, rest, more in (("Index", (), ()), ("IndexPut", (floats(4), False), (floats(3, 1), True)))},
    "prim::TruePlaces": [truths(3, 4), truths(4, 3).T, np.zeros((2, 0), bool), np.array(True)],
    "aten::scatter.src": [(floats(3, 3), 0, _INDEX, floats(2, 3)), (floats(2, 3), 1, np.array([[9]]), floats(1, 1))],
    "aten::scatter.value": [(floats(3, 3), 0, _INDEX, 2.0), (floats(2, 3), 0, np.array([0]), 1.0), (floats(), 0, np.array([0]), 3),
                            (integers(3, 3), 0, _INDEX, 2.7), (floats(2, 3), 1, np.zeros((3, 2), np.int64), 1.0), (floats(4, 3).T, 0, _INDEX, 1)],
    "aten::scatter.reduce": [(floats(3, 3), 0, _INDEX, floats(2, 3), "add")],
    "aten::scatter.value_reduce": [(floats(3, 3), 0, _INDEX, 2.0, "multiply")],
    "aten::scatter_add": [(floats(3, 3), 0, _INDEX, floats(2, 3)), (floats(3, 3), 1, _INDEX.astype(np.int32), floats(3, 3).T),
                          (truths(3), 0, np.array([1, 1]), truths(2)), (floats(3, dtype="float16"), 0, np.array([1, 1, 1]), floats(3, dtype="float16"))],
    "prim::ScatterReduce": [(floats(3, 3), 0, _INDEX, floats(2, 3), how) for how in ("sum", "prod", "amax", "amin")],
    "prim::IndexReduce": [(floats(3, 4), 0, np.array([0, 0]), floats(2, 4), how) for how in ("sum", "prod", "amax", "amin")],
    "aten::index_reduce": [(floats(3, 4), 0, np.array([0, 0, 2]), floats(3, 4), how, own)
                           for how in ("prod", "mean", "amax", "amin") for own in (True, False)]
                          + [(integers(3, 4), 1, np.array([0, 0]), integers(3, 2), "mean"), (floats(3), 0, np.array([0]), floats(1), "sum")],
    "aten::put": [(floats(3, 4), np.array([[0, -1]]), floats(2)), (floats(3), np.array([1, 1, 0]), floats(3), True),
                  (floats(3), np.array([3]), floats(1)), (floats(3), np.array([0, 1]), floats(3)), (floats(4, 3).T, np.array([1]), floats())],
    "aten::scatter_reduce.two": [(floats(3, 3), 0, _INDEX, floats(2, 3), how, own)
                                 for how in ("sum", "prod", "mean", "amax", "amin") for own in (True, False)],
    "aten::index_add": [(floats(3, 4), 0, np.array([0, 0]), floats(2, 4), 2), (floats(3), 0, np.array([0, -1]), floats(2)),
                        (floats(3, 4), 1, np.array([1, 1], np.int32), floats(2, 3).T), (floats(3, 4), 0, np.array([1]), floats(1, 3)),
                        (integers(3), 0, np.array([1]), integers(1), 1.5), (truths(3), 0, np.array([1]), truths(1)), (floats(), 0, np.array([0]), floats())],
    "aten::index_copy": [(floats(3, 4), 1, np.array([3, 0]), floats(3, 2)), (floats(3), 0, np.array([-1]), floats(1)),
                         (floats(3), 0, np.array([1]), floats()), (floats(3, 4), 0, np.array([1]), floats(4)), (floats(3), 0, np.array([0]), integers(1))],
    "aten::index_fill.int_Scalar": [(floats(3, 4), 0, np.array([1]), 7), (floats(3, 4), 1, np.array([-1, 0]), 7), (floats(3), 0, np.array([-4]), 1),
                                    (integers(3), 0, np.array(0), 1.5), (floats(), 0, np.array([0]), 2)],
    "aten::index_fill.int_Tensor": [(floats(3, 4), 0, np.array([1]), floats())],
    "aten::select_scatter": [(floats(3, 4), floats(4), 0, 1)], "aten::slice_scatter": [(floats(5, 2), floats(2, 2), 0, 1, 5, 2)],
    "aten::sort": [(_NAN_ROWS, 1), (_NAN_ROWS, 1, True), (integers(6), 0), (floats(), 0), (special(), 0), (special("float16"), 0, True),
                   (special("bfloat16"), 0), (special("float64"), 0, True), (floats(3, 4).T, 0), (floats(2, 60, 2), 1), (floats(3, 60), 1, True),
                   (integers(9, dtype="int8"), 0, True), (floats(0, 3), 1), (floats(2, 0), 1)],
    "aten::sort.stable": [(integers(6), True, 0, True), (integers(3, 60), True, 1, True), (truths(5), True, 0, True), (integers(60, dtype="uint8", low=0), True)], "aten::argsort": [(_NAN_ROWS, 1, True)], "aten::argsort.stable": [(integers(6), True, 0, True)], "aten::msort": [floats(3, 2), integers(70)],
    "aten::topk": [(floats(2, 5), 2), (floats(5), 3, 0, False), (floats(2), 3), (floats(70, 2), 65, 0), (floats(3), 0), (_NAN_ROWS, 1, 0)],
    "aten::one_hot": [(np.array([0, 2, 1]), 4), (np.array([0, 2]), -1), (np.array([5]), 4), (np.array([[0, -1]]), 4), (integers(2, dtype="int32"), 4), (np.zeros(0, np.int64), 3), (np.zeros(0, np.int64), -1)],
    "aten::bincount": [(np.array([0, 2, 2]),), (np.array([1, 1]), floats(2), 4), (np.array([1, 1], np.uint8), integers(2), 1),
                       (np.array([1, -2]),), (floats(2),), (integers(2, 2, low=0),), (np.zeros(0, np.int64), None, 3)],
    "aten::histc": [(floats(20), 4), (floats(3, 7), 5, -1, 1), (special(), 4, -2, 2), (np.ones(3, np.float32), 4), (floats(0), 3),
                    (np.array([1, np.inf], np.float32), 4), (floats(3), 0), (floats(3), 3, 2, 1), (integers(3), 3), (floats(9, dtype="float64"), 7)],
    "aten::searchsorted.Tensor": [
        (np.array([1, 3, 5]), np.array([[0, 1], [2, 6]])), (np.array([1, 3, 3, 5]), np.array([3, 5]), True, True), (np.array([1, 3, 5]), np.array(3)),
        (np.array([[1, 3, 5], [2, 4, 6]]), np.array([[3], [4]]), False, False, "right"), (np.array([[1, 3, 5], [2, 4, 6]]), np.array([3, 4])),
        (np.array([5.0, 1.0, 3.0]), np.array([3.0, np.nan]), False, False, None, np.array([1, 2, 0])), (np.array([1, 3, 5]), np.array([2.5, 3.0], np.float32)),
        (np.array([1.0, np.nan]), np.array([np.nan, 3.0]), False, True), (np.array([1]), np.array([1]), False, True, "left"), (floats(0), floats(2)),
        (np.array([1]), np.array([1]), False, False, "middle"), (np.array(1), np.array([1])), (np.array([1, 2]), np.array([1]), False, False, None, np.array([0]))],
    "aten::searchsorted.Scalar": [(np.array([1, 3, 5]), 3), (np.array([1, 3, 5]), 2.5, True, True)],
    "aten::bucketize.Tensor": [(np.array([[3, 4]]), np.array([1, 3, 5])), (floats(5), np.array([-0.5, 0.0, 0.5], np.float32), True, True), (integers(2), np.array(1))],
    "aten::bucketize.Scalar": [(3.0, np.array([1, 3, 5]), False, True)],
    "prim::SortedPlaces": [(np.array([1.0, 3.0, 5.0]), np.array([[0.5, 3.0], [9.0, np.nan]]), right) for right in (False, True)],
    "aten::repeat_interleave.Tensor": [np.array([1, 0, 2]), np.array([1, 2], np.int32), np.array([1, -1]), integers(2, 2), floats(2), (np.array([1, 2]), 3),
                                       (np.array([1, 2]), 4), np.zeros(0, np.int64)],
    "aten::repeat_interleave.self_Tensor": [(floats(2, 3), np.array([1, 2]), 0), (floats(2), np.array([1, 2])), (floats(2, 3), np.array([2]), 1), (floats(2, 3), np.array(2), 1, 6),
                                            (floats(2, 2), np.array([1, 2])), (floats(2, 3), np.array([0, 0]), 0)],
    "aten::isin.Tensor_Tensor": [(integers(2, 3), np.array([1, 2])), (floats(3), floats(3)[1:], False, True), (integers(3), np.zeros((0,), np.int64))],
    "aten::isin.Tensor_Scalar": [(integers(2, 3), 2), (integers(3), 2, False, True)], "aten::isin.Scalar_Tensor": [(2, integers(2, 3)), (2, integers(4), False, True)],
    "aten::logcumsumexp": [(floats(2, 3), 1), (floats(3, 40), 0), (floats(2, 40), 1), (special()[:9], 0), (floats(), 0), (floats(3, dtype="float16"), 0), (integers(3), 0),
                           (np.array([-np.inf, -np.inf, 3, np.inf], np.float32), 0), (floats(2, 0), 1)],
    "aten::copy": [(floats(2, 3), floats(3)), (integers(2, 3), floats(2, 1)), (floats(3), floats(2, 3))],
    "aten::to.dtype": [(special()[:9], INT64), (special(), HALF), (floats(2), TRUTH), (special(), TRUTH), (integers(3), FLOAT64)],
    "aten::to.device": [(floats(2), "cpu", FLOAT64)], "aten::to.dtype_layout": [(floats(2), INT64)],
    "aten::to.other": [(floats(2), integers(2))], "aten::to.prim_Device": [(floats(2), "cpu", INT64)],
    "aten::to.prim_dtype": [(floats(2), INT64), (floats(2), None)], "aten::to.prim_other": [(floats(2),)],
    "aten::_to_copy": [(floats(2), INT64)], "aten::type_as": [(floats(2), integers(2)), (floats(2, 3), integers(4))],
    **{f"aten::{name}": [floats(), floats(1), integers(), truths(), floats(2), floats(3, dtype="float16")[0].reshape(1)]
       for name in ("item", "Int.Tensor", "Float.Tensor", "Bool.Tensor", "_local_scalar_dense", "ScalarImplicit", "IntImplicit",
                    "FloatImplicit", "is_nonzero")},
    "aten::promote_types": [(INT64, HALF)],
    "aten::result_type.Tensor": [(floats(2), floats(dtype="float64"))],
    "aten::__getitem__.t": [([1, 2, 3], -1), ([1], 3)], "aten::select.t": [([1, 2, 3], 0)],
    "aten::slice.t": [([1, 2, 3], 1, None, 1)], "aten::slice.str": [("abc", 1, None, 1)],
    "aten::__getitem__.str": [("abc", -1), ("abc", 5)], "prim::StringIndex": [("abc", 1)],
    "aten::index.str": [("abc", "c")], "aten::rindex": [("abcc", "c")], "aten::ord": ["a", "ab"], "aten::chr": [65],
    "aten::Int.str": ["12", "x"], "aten::Float.str": ["1.5", "x"],
    "aten::factorial.int": [5, -1], "aten::ldexp": [(1.5, 3)],
    "aten::__range_length": [(0, 10, 3), (10, 0, -3), (5, 5, 1), (0, 1, 0)], "aten::__derive_index": [(2, 10, -3)],
    "aten::__lshift__.int": [(1, 5), (1, 70)], "aten::__rshift__.int": [(-8, 1)],
    "aten::mul.left_t": [([1, 2], 2)], "aten::mul.right_": [(2, [1, 2])], "prim::rangelist": [3],
    "aten::center": [("ab", 6, "*")], "aten::ljust": [("ab", 6, "*")], "aten::rjust": [("ab", 6)], "aten::zfill": [("ab", 6)],
    "aten::expandtabs": ["a\tb"], "aten::replace": [("aXbX", "X", "yy")], "aten::join": [(",", ["a", "b"])],
    "aten::split.str": [("a b  c",), ("a,b", ",")], "aten::rsplit": [("a b c",)], "aten::partition": [("a=b", "=")],
    "aten::rpartition": [("a=b=c", "=")], "aten::warn": [], "aten::format": [], "aten::percentFormat": [],
    **{f"aten::{name}": [value] for name, value in (("device", "cpu"), ("Size", [1, 2]))}, "aten::device.with_index": [("cpu", 0)],
    "prim::type": [], "prim::index": [], "aten::hash.generic": [], "aten::eq.enum": [], "aten::ne.enum": [],
}  # fmt: skip
TABLE.update({f"aten::{copy}": TABLE[f"aten::{view}"] for copy, view in COPIES.items() if f"aten::{view}" in TABLE})
