"""The operators that draw random numbers, over the generator of random.py.

They are declared here, not in optc/ops, because they have state: the default generator, or the one they are given.
Argument checks and their texts are PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from optc.eager import random
from optc.eager.conversion import dtypes_maximum
from optc.eager.generator import Generator, default_generator
from optc.eager.memory import new_like
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import UNKNOWN, UndecidedShape, dtype_of_code
from optc.ops.element_types import BOOLS, COMPLEXES, WHOLE, Refusals, check_type, refusal, unimplemented
from optc.ops.number_limits import C_NAMES
from optc.ops.promotion import default_float
from optc.ops.registry import define

Array = npt.NDArray[Any]

_REASON = "it draws random numbers"
_OPTIONS = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
_LIKE_OPTIONS = _OPTIONS + ", MemoryFormat? memory_format=None"


def _chosen(generator: Generator | None) -> Generator:
    return default_generator if generator is None else generator


def _require_float(array: Array, kernel: str) -> None:
    if array.dtype.kind in "biu":
        label = dtypes.from_numpy(array.dtype).label
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{label}'")


def _parts(array: Array) -> Array:
    """The real and imaginary parts of complex elements as one array of floats; other arrays as they are."""
    if array.dtype.kind != "c":
        return array
    real = array.real
    return np.lib.stride_tricks.as_strided(real, (*real.shape, 2), (*real.strides, real.itemsize))


def uniform_(array: Array, low: float, high: float, generator: Generator | None) -> Array:
    """Fill with numbers of [low, high). Raises RuntimeError for bounds in the wrong order or too far apart."""
    _require_float(array, "check_uniform_bounds")
    parts = _parts(array)
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    dtype = dtypes.from_numpy(parts.dtype)
    if high - low > dtypes_maximum(dtype):
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{dtype.label}>::max(), but found to={high:g} and "
            f"from={low:g} which result in to-from to exceed the limit"
        )
    random.fill_uniform(parts, low, high, _chosen(generator))
    return array


NO_COMPLEX_DRAWS = unimplemented("bernoulli_scalar_cpu_", COMPLEXES, takes_empty=True)


def normal_(array: Array, mean: float, deviation: float, generator: Generator | None) -> Array:
    """Fill with normal numbers. Raises RuntimeError for a negative deviation."""
    if deviation < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {deviation:g}")
    if array.size:
        _require_float(array, "normal_kernel_cpu")
    scale = deviation / math.sqrt(2) if array.dtype.kind == "c" else deviation
    random.fill_normal(_parts(array), mean, scale, _chosen(generator))
    return array


def random_(array: Array, generator: Generator | None) -> Array:
    """Fill with whole numbers of the whole range of the dtype."""
    if array.size:
        random.fill_random(array, _chosen(generator))
    return array


_UNBOUNDED = refusal(COMPLEXES, "check_random_bounds handles only integral, floating-point and boolean types")


def random_from_to(array: Array, low: int, high: int | None, generator: Generator | None) -> Array:
    """Fill with whole numbers of [low, high), of [low, largest] without `high`.

    Raises RuntimeError for an empty range or bounds that the dtype cannot hold.
    """
    dtype = dtypes.from_numpy(array.dtype)
    check_type(_UNBOUNDED, dtype)
    if high is None:
        if low == -(2**63):
            random.fill_random_range(array, low, 2**63, _chosen(generator))
            return array
        high = _largest_drawn(dtype) + 1
    elif low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if dtype.is_floating_point:
        low, high = _representable_from(low, dtype), _representable_to(high, dtype)
        if low >= high:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, "
                f"but got from={low} >= to={high}"
            )
    _check_bounds(low, high - 1, dtype)
    random.fill_random_range(array, low, high, _chosen(generator))
    return array


def _largest_drawn(dtype: DType) -> int:
    if dtype.kind == "bool":
        return 1
    if dtype.kind == "int":
        return int(np.iinfo(dtype.numpy).max)
    return int(2 ** random.significand_bits(dtype.numpy))


def _rounded(number: int, dtype: DType) -> int:
    """The whole number that `number` becomes in `dtype`; what overflows becomes the smallest int64, as in C."""
    with np.errstate(over="ignore"):
        value = float(np.array(number, np.float64).astype(dtype.numpy))
    return int(value) if math.isfinite(value) else -(2**63)


def _representable_from(low: int, dtype: DType) -> int:
    """The smallest whole number from `low` on that the dtype holds exactly enough not to round below `low`."""
    above = _rounded(low + 1, dtype)
    if above >= low:
        return low
    return above + int(2 ** ((abs(low + 1)).bit_length() - random.significand_bits(dtype.numpy)))


def _representable_to(high: int, dtype: DType) -> int:
    """The largest bound up to `high` such that no number below it rounds up to `high`."""
    below = _rounded(high - 1, dtype)
    if below < high:
        return high
    return below - int(2 ** ((abs(high - 1)).bit_length() - random.significand_bits(dtype.numpy)))


def _check_bounds(low: int, last: int, dtype: DType) -> None:
    if dtype.is_floating_point:
        smallest, largest = -dtypes_maximum(dtype), dtypes_maximum(dtype)
    elif dtype.kind == "bool":
        smallest, largest = 0, 1
    else:
        limits = np.iinfo(dtype.numpy)
        smallest, largest = int(limits.min), int(limits.max)
    for name, value in (("from", low), ("to - 1", last)):
        if not smallest <= value <= largest:
            raise RuntimeError(f"{name} is out of bounds for {_scalar_name(dtype)}")


def _scalar_name(dtype: DType) -> str:
    names = {
        "uint8": "unsigned char", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long",
        "float16": "c10::Half", "bfloat16": "c10::BFloat16", "float32": "float", "float64": "double",
    }  # fmt: skip
    return names.get(dtype.name, dtype.name)


def bernoulli_(array: Array, probability: float, generator: Generator | None) -> Array:
    """Fill with ones of the given probability, and zeros. Raises RuntimeError unless it is in [0, 1]."""
    if not 0 <= probability <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={probability:g}")
    random.fill_bernoulli(array, probability, _chosen(generator))
    return array


def bernoulli_tensor_(array: Array, probabilities: Array, generator: Generator | None) -> Array:
    """Fill with ones of the probability at the same (broadcast) place, and zeros."""
    if array.size:
        random.fill_bernoulli_each(array, np.broadcast_to(probabilities, array.shape), _chosen(generator))
    return array


def _positive(name: str, parameter: str, value: float) -> None:
    if not value > 0:
        raise RuntimeError(f"{name} expects {parameter} > 0.0, but found {parameter}={value:g}")


def exponential_(array: Array, rate: float, generator: Generator | None) -> Array:
    """Fill with exponential numbers. Raises RuntimeError unless the rate is positive."""
    _positive("exponential_", "lambda", rate)
    random.fill_exponential(array, rate, _chosen(generator))
    return array


def geometric_(array: Array, probability: float, generator: Generator | None) -> Array:
    """Fill with numbers of trials. Raises RuntimeError unless the probability is in (0, 1)."""
    if not 0 < probability < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={probability:g}")
    random.fill_geometric(array, probability, _chosen(generator))
    return array


def log_normal_(array: Array, mean: float, deviation: float, generator: Generator | None) -> Array:
    """Fill with log-normal numbers. Raises RuntimeError unless the deviation is positive."""
    _positive("log_normal_", "std", deviation)
    random.fill_log_normal(array, mean, deviation, _chosen(generator))
    return array


def cauchy_(array: Array, median: float, scale: float, generator: Generator | None) -> Array:
    """Fill with Cauchy numbers. Raises RuntimeError unless the scale is positive."""
    _positive("cauchy_", "sigma", scale)
    random.fill_cauchy(array, median, scale, _chosen(generator))
    return array


def _written(array: Any, *_: Any) -> Any:
    return array


def _define_filling(
    schema: str,
    reference: Callable[..., Array],
    kernel: str | None = None,
    refuses: Refusals = (),
    is_elementwise: bool = False,
) -> None:
    """Declare an operator that fills a tensor, and `prim::uniform` for `aten::uniform_`, which makes a new one like it.

    `kernel` is the native form of the latter.
    """
    filling = define(
        schema, infer=_written, reference=reference, interpreted=_REASON, random=True, may_fail=True, refuses=refuses
    )
    filling.functional = define(
        schema.replace("aten::", "prim::").replace("_(", "(", 1).replace("_.", ".", 1).replace("(a!)", ""),
        infer=_written,
        reference=lambda array, *arguments: reference(new_like(array), *arguments),
        interpreted=None if kernel else _REASON,
        kernel=kernel,
        random=True,
        may_fail=True,
        refuses=refuses,
        is_elementwise=is_elementwise,
    )


def _continuous(name: str, spelled: dict[DType, str] | None = None, takes_empty: bool = False) -> Refusals:
    """Only floating-point tensors are filled; `spelled` is what the message calls the types, their usual names when None."""
    text = f"{name} distribution is a continuous probability distribution. dtype must be a floating point but you specified "
    return sum(
        (
            refusal(frozenset((dtype,)), text + (spelled[dtype] if spelled else dtype.label), takes_empty=takes_empty)
            for dtype in dtypes.ALL
            if dtype.kind != "float"
        ),
        (),
    )


_GENERATOR = "*, Generator? generator=None) -> Tensor(a!)"
_define_filling(
    f"aten::uniform_(Tensor(a!) self, float from=0., float to=1., {_GENERATOR}",
    uniform_,
    "draw_uniform",
    is_elementwise=True,
)
_define_filling(f"aten::normal_(Tensor(a!) self, float mean=0., float std=1., {_GENERATOR}", normal_, "draw_normal")
_define_filling(f"aten::random_.from(Tensor(a!) self, int from, int? to, {_GENERATOR}", random_from_to, "draw_integers")
_define_filling(
    f"aten::random_.to(Tensor(a!) self, int to, {_GENERATOR}",
    lambda array, high, generator: random_from_to(array, 0, high, generator),
    "draw_integers",
)
_define_filling(
    f"aten::random_(Tensor(a!) self, {_GENERATOR}", random_, "draw_integers",
    unimplemented("random_kernel_cpu", COMPLEXES, takes_empty=True),
)  # fmt: skip
_define_filling(
    f"aten::bernoulli_.Tensor(Tensor(a!) self, Tensor p, {_GENERATOR}",
    bernoulli_tensor_,
    "draw_bernoulli_each",
    unimplemented("bernoulli_tensor_cpu_self_", COMPLEXES, of="self", takes_empty=True),
)
_define_filling(f"aten::bernoulli_.float(Tensor(a!) self, float p=0.5, {_GENERATOR}", bernoulli_, "draw_bernoulli",
                NO_COMPLEX_DRAWS)  # fmt: skip
_define_filling(f"aten::exponential_(Tensor(a!) self, float lambd=1., {_GENERATOR}", exponential_, "draw_exponential",
                _continuous("Exponential", takes_empty=True))  # fmt: skip
_define_filling(f"aten::geometric_(Tensor(a!) self, float p, {_GENERATOR}", geometric_, "draw_geometric",
                unimplemented("geometric_cpu", BOOLS | COMPLEXES, takes_empty=True))  # fmt: skip
_define_filling(
    f"aten::log_normal_(Tensor(a!) self, float mean=1., float std=2., {_GENERATOR}",
    log_normal_,
    "draw_log_normal",
    unimplemented("log_normal_cpu", WHOLE | COMPLEXES, takes_empty=True),
)
_define_filling(f"aten::cauchy_(Tensor(a!) self, float median=0., float sigma=1., {_GENERATOR}", cauchy_, "draw_cauchy",
                _continuous("Cauchy", C_NAMES))  # fmt: skip


def _shape(size: Any) -> Any:
    return None if size is UNKNOWN else tuple(size)


def _empty(size: Sequence[int], dtype: int | None, default: DType) -> Array:
    if any(extent < 0 for extent in size):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(size)}: {list(size)}")
    return np.empty(tuple(size), dtype_of_code(dtype, default).numpy)


def _define_drawing(
    name: str, parameters: str, draw: Callable[..., Array], fill: Callable[..., Any],
    places: tuple[int, int, DType | None],
) -> None:  # fmt: skip
    """Declare `name` and its overload with a generator.

    `fill(builder, new tensor, *arguments before the size, generator)` is what it becomes.

    `draw(array, *arguments before the size, generator)` fills a new array; `places` are the positions of size and the
    number of arguments before the options, and the default dtype (None: the default float).
    """
    size_place, count, default = places

    def infer(*arguments: Any) -> TensorType:
        return TensorType(dtype_of_code(arguments[count], default or default_float()), _shape(arguments[size_place]))

    def reference(*arguments: Any) -> Array:
        array = _empty(arguments[size_place], arguments[count], default or default_float())
        return draw(array, *arguments[:size_place], None)

    def infer_generated(*arguments: Any) -> TensorType:
        return infer(*arguments[:count], *arguments[count + 1 :])

    def reference_generated(*arguments: Any) -> Array:
        array = _empty(arguments[size_place], arguments[count + 1], default or default_float())
        return draw(array, *arguments[:size_place], arguments[count])

    def decompose(b: Any, *arguments: Any) -> Any:
        return decompose_generated(b, *arguments[:count], None, *arguments[count:])

    def decompose_generated(b: Any, *arguments: Any) -> Any:
        new = _new(b, arguments[size_place], arguments[count + 1], default)
        return fill(b, new, *arguments[:size_place], arguments[count])

    overload = name.partition(".")[2]
    base = name.partition(".")[0]
    generated = f"{base}.{overload}_generator" if overload else f"{base}.generator"
    define(
        f"aten::{name}({parameters}, *, {_OPTIONS}) -> Tensor",
        infer=infer, reference=reference, decompose=decompose, random=True, may_fail=True,
    )  # fmt: skip
    define(
        f"aten::{generated}({parameters}, *, Generator? generator, {_OPTIONS}) -> Tensor",
        infer=infer_generated, reference=reference_generated, decompose=decompose_generated, random=True, may_fail=True,
    )  # fmt: skip


def _new(b: Any, size: Any, dtype: int | None, default: DType | None) -> Any:
    """A tensor to be filled, in a graph."""
    return b("aten::full", size, 0, dtype=dtype_of_code(dtype, default or default_float()).code)


def _fill_unit(b: Any, new: Any, generator: Any) -> Any:
    return b("prim::uniform", new, 0.0, 1.0, generator=generator)


def _fill_normal(b: Any, new: Any, generator: Any) -> Any:
    return b("prim::normal", new, 0.0, 1.0, generator=generator)


def _fill_integers(b: Any, new: Any, low: Any, high: Any, generator: Any) -> Any:
    return b("prim::random.from", new, low, high, generator=generator)


def _fill_below(b: Any, new: Any, high: Any, generator: Any) -> Any:
    return _fill_integers(b, new, 0, high, generator)


_define_drawing(
    "rand", "SymInt[] size", lambda array, generator: uniform_(array, 0, 1, generator), _fill_unit, (0, 1, None)
)
_define_drawing(
    "randn", "SymInt[] size", lambda array, generator: normal_(array, 0, 1, generator), _fill_normal, (0, 1, None)
)
_define_drawing(
    "randint",
    "SymInt high, SymInt[] size",
    lambda array, high, generator: random_from_to(array, 0, high, generator),
    _fill_below,
    (1, 2, dtypes.INT64),
)
_define_drawing(
    "randint.low", "SymInt low, SymInt high, SymInt[] size", random_from_to, _fill_integers, (2, 3, dtypes.INT64)
)


def _permutation(count: int, dtype: int | None, generator: Generator | None) -> Array:
    if count < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {count}: [{count}]")
    chosen = dtype_of_code(dtype, dtypes.INT64)
    if chosen.is_floating_point and count > 2 ** random.significand_bits(chosen.numpy) + 1:
        raise RuntimeError(
            f"n cannot be greater than 2^{random.significand_bits(chosen.numpy)}+1 for {chosen.label} type."
        )
    if chosen.kind == "int" and count > _largest_drawn(chosen):
        raise RuntimeError(f"n is too large for result tensor type: '{chosen}'")
    return random.permutation(count, _chosen(generator)).astype(chosen.numpy)


def _infer_permutation(count: Any, dtype: int | None) -> TensorType:
    return TensorType(dtype_of_code(dtype, dtypes.INT64), (count,))


define(
    f"aten::randperm(SymInt n, *, {_OPTIONS}) -> Tensor",
    refuses=unimplemented("randperm", BOOLS | COMPLEXES, of="dtype"),
    infer=lambda count, dtype, *_: _infer_permutation(count, dtype),
    reference=lambda count, dtype, *_: _permutation(count, dtype, None),
    kernel="draw_permutation",
    random=True,
    may_fail=True,
)
define(
    f"aten::randperm.generator(SymInt n, *, Generator? generator, {_OPTIONS}) -> Tensor",
    refuses=unimplemented("randperm", BOOLS | COMPLEXES, of="dtype"),
    infer=lambda count, generator, dtype, *_: _infer_permutation(count, dtype),
    reference=lambda count, generator, dtype, *_: _permutation(count, dtype, generator),
    kernel="draw_permutation",
    random=True,
    may_fail=True,
)


def _like(array: Array, dtype: int | None) -> Array:
    """A new array of the shape and the order of memory of `array`."""
    return new_like(array, dtype_of_code(dtype, dtypes.from_numpy(array.dtype)).numpy)


define(
    "prim::new_like(Tensor self, int dtype) -> Tensor",  # its elements are drawn next; nobody reads what they were
    infer=lambda like, code: TensorType(dtypes.BY_CODE[code], like.shape),
    reference=lambda array, code: _like(array, code),
    kernel="new_like",
)


def _define_like(name: str, parameters: str, count: int, draw: Callable[..., Array], fill: Callable[..., Any]) -> None:
    """Declare an operator that draws a tensor like its first argument; `count` arguments stand before the options."""

    def decompose(b: Any, x: Any, *arguments: Any) -> Any:
        dtype = dtype_of_code(arguments[count - 1], b.type(x).dtype)
        return fill(b, b("prim::new_like", x, dtype.code), *arguments[: count - 1], None)

    def infer(*arguments: Any) -> TensorType:
        like: TensorType = arguments[0]
        return TensorType(like.dtype if arguments[count] is None else dtypes.BY_CODE[arguments[count]], like.shape)

    def reference(*arguments: Any) -> Array:
        return draw(_like(arguments[0], arguments[count]), *arguments[1:count], None)

    define(
        f"aten::{name}(Tensor self{parameters}, *, {_LIKE_OPTIONS}) -> Tensor",
        infer=infer, reference=reference, decompose=decompose, random=True, may_fail=True,
    )  # fmt: skip


def _number_in(high: Array) -> int:
    if high.size != 1:
        raise RuntimeError("high must be a scalar tensor and on CPU")
    return int(high.item())


_define_like("rand_like", "", 1, lambda array, generator: uniform_(array, 0, 1, generator), _fill_unit)
_define_like("randn_like", "", 1, lambda array, generator: normal_(array, 0, 1, generator), _fill_normal)
_define_like(
    "randint_like",
    ", SymInt high",
    2,
    lambda array, high, generator: random_from_to(array, 0, high, generator),
    _fill_below,
)
_define_like(
    "randint_like.Tensor",
    ", Tensor high",
    2,
    lambda array, high, generator: random_from_to(array, 0, _number_in(high), generator),
    lambda b, new, high, generator: _fill_below(b, new, b("aten::Int.Tensor", high), generator),
)
_define_like("randint_like.low_dtype", ", SymInt low, SymInt high", 3, random_from_to, _fill_integers)


def _define_from_tensor(
    schema: str,
    reference: Callable[..., Array],
    infer: Callable[..., Any] = _written,
    decompose: Callable[..., Any] | None = None,
    refuses: Refusals = (),
) -> None:
    define(
        schema,
        infer=infer,
        reference=reference,
        interpreted=None if decompose else _REASON,
        decompose=decompose,
        random=True,
        may_fail=True,
        refuses=refuses,
    )


_define_from_tensor(
    "aten::bernoulli(Tensor self, *, Generator? generator=None) -> Tensor",
    lambda array, generator: bernoulli_tensor_(np.empty(array.shape, array.dtype), array, generator),
    decompose=lambda b, x, generator: b("prim::bernoulli.Tensor", _rows_like(b, x), x, generator=generator),
    refuses=unimplemented("bernoulli_tensor_cpu_p_", WHOLE, takes_empty=True)
    + unimplemented("bernoulli_tensor_cpu_self_", COMPLEXES, takes_empty=True),
)
_define_from_tensor(
    "aten::bernoulli.p(Tensor self, float p, *, Generator? generator=None) -> Tensor",
    lambda array, probability, generator: bernoulli_(np.empty(array.shape, array.dtype), probability, generator),
    decompose=lambda b, x, probability, generator: b(
        "prim::bernoulli.float", _rows_like(b, x), probability, generator=generator
    ),
    refuses=NO_COMPLEX_DRAWS,
)
_define_from_tensor(
    "aten::bernoulli.Tensor(Tensor self, Tensor p, *, Generator? generator=None) -> Tensor",
    lambda array, chances, generator: bernoulli_tensor_(np.empty(array.shape, array.dtype), chances, generator),
    decompose=lambda b, x, chances, generator: b(
        "prim::bernoulli.Tensor", _rows_like(b, x), chances, generator=generator
    ),
    refuses=NO_COMPLEX_DRAWS,
)


def _rows_like(b: Any, x: Any) -> Any:
    """A tensor to be filled of the type and shape of another, row by row whatever the order of that one's memory."""
    return b("aten::full", list(b.shape(x)), 0, dtype=b.type(x).dtype.code)


def _normal_around(mean: Any, deviation: Any, generator: Generator | None) -> Array:
    """Normal numbers of a mean, a deviation, or both for each element: standard ones scaled and shifted."""
    if np.min(deviation, initial=0) < 0:
        if isinstance(deviation, np.ndarray):
            raise RuntimeError("normal expects all elements of std >= 0.0")
        raise RuntimeError(f"normal expects std >= 0.0, but found std {deviation:g}")
    dtype = mean.dtype if isinstance(mean, np.ndarray) else deviation.dtype
    standard = np.empty(np.broadcast_shapes(np.shape(mean), np.shape(deviation)), dtype)
    if not isinstance(deviation, np.ndarray):
        return np.asarray(normal_(standard, 0, deviation, generator) + mean)
    drawn = normal_(standard, 0, 1, generator)
    return np.asarray((drawn * deviation).astype(dtype) + np.asarray(mean, dtype))


def _decompose_around(b: Any, mean: Any, deviation: Any, generator: Any) -> Any:
    tensors = [value for value in (mean, deviation) if isinstance(b.abstract(value), TensorType)]
    shape, dtype = b.abstract(tensors[0]).shape, b.abstract(tensors[0]).dtype
    if any(b.shape(value) != shape for value in tensors):
        raise UndecidedShape("are mean and deviation of one shape?")
    new = b("aten::full", list(shape), 0, dtype=dtype.code)
    if deviation not in tensors:
        return b("aten::add.Tensor", b("prim::normal", new, 0.0, deviation, generator=generator), mean)
    is_negative = b("aten::lt.Scalar", deviation, 0)
    b.require(b("aten::logical_not", b("aten::any", is_negative)), "normal expects all elements of std >= 0.0")
    drawn = b("prim::normal", new, 0.0, 1.0, generator=generator)
    scaled = b("aten::to.dtype", b("aten::mul.Tensor", drawn, deviation), dtype.code)
    if mean in tensors:
        return b("aten::add.Tensor", scaled, b("aten::to.dtype", mean, dtype.code))
    return b("aten::add.Scalar", scaled, mean)


def _infer_around(mean: Any, deviation: Any, *_: Any) -> TensorType:
    tensors = [value for value in (mean, deviation) if isinstance(value, TensorType)]
    return tensors[0] if len(tensors) == 1 or tensors[0].shape == tensors[1].shape else TensorType(tensors[0].dtype)


for _overload, _parameters in (
    ("Tensor_Tensor", "Tensor mean, Tensor std"),
    ("Tensor_float", "Tensor mean, float std=1."),
    ("float_Tensor", "float mean, Tensor std"),
):
    _define_from_tensor(
        f"aten::normal.{_overload}({_parameters}, *, Generator? generator=None) -> Tensor",
        _normal_around,
        _infer_around,
        _decompose_around,
        refusal(COMPLEXES, "normal expects standard deviation to be non-complex", of="std")
        if "Tensor std" in _parameters
        else (),
    )
define(
    f"aten::normal.float_float(float mean, float std, SymInt[] size, *, Generator? generator=None, {_OPTIONS}) -> Tensor",
    infer=lambda mean, deviation, size, generator, dtype, *_: TensorType(
        dtype_of_code(dtype, default_float()), _shape(size)
    ),
    reference=lambda mean, deviation, size, generator, dtype, *_: normal_(
        _empty(size, dtype, default_float()), mean, deviation, generator
    ),
    decompose=lambda b, mean, deviation, size, generator, dtype, *_: b(
        "prim::normal", _new(b, size, dtype, None), mean, deviation, generator=generator
    ),
    random=True,
    may_fail=True,
)


def _reference_manual_seed(seed: int) -> None:
    default_generator.manual_seed(seed)


define("aten::manual_seed(int seed) -> ()", infer=lambda seed: (), reference=_reference_manual_seed,
       interpreted="it sets the state of the random numbers", pure=False)  # fmt: skip
