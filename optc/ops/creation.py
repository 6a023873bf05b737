"""Tensors from nothing: constants, ranges, triangles, tensors from Python values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from optc.ir import dtypes
from optc.ir.dims import Dim, Symbolic, fresh
from optc.ir.dtypes import DType
from optc.ir.types import TensorType
from optc.ops.abstract import ShapeError, UndecidedShape, Unknown, dtype_of_code, known_dtype
from optc.ops.element_types import BOOLS, COMPLEXES, FLOATS, INTEGERS, check_type, unimplemented
from optc.ops.elementwise import cast_array
from optc.ops.number_limits import check_number
from optc.ops.overlaps import Overlap
from optc.ops.promotion import compute_type, default_float, number_type, operand_type
from optc.ops.registry import Operator, define, lookup
from optc.ops.shapes import known, known_shape

Array = np.ndarray[Any, Any]

OPTIONS = "*, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
LIKE_OPTIONS = OPTIONS + ", MemoryFormat? memory_format=None"


def _check_zeros(size: list[Dim] | tuple[Dim, ...]) -> tuple[Dim, ...]:
    if any(isinstance(extent, int) and extent < 0 for extent in size):
        raise ShapeError("zeros: Dimension size must be non-negative.")
    return tuple(size)


def check_size(size: list[Dim] | tuple[Dim, ...]) -> tuple[Dim, ...]:
    """A requested shape. Raises RuntimeError for negative extents."""
    for extent in size:
        if isinstance(extent, int) and extent < 0:
            raise ShapeError(f"Trying to create tensor with negative dimension {extent}: [{', '.join(map(str, size))}]")
    return tuple(size)


def fill_type(value: Any, code: int | None) -> DType:
    """The type of a tensor full of `value`."""
    return known_dtype(code) if code is not None else number_type(value)


def _filled(size: Any, value: Any, dtype: DType) -> Array:
    array = np.empty(known(check_size(size)), dtype.numpy)
    check_number(value, dtype)
    array[...] = cast_array(value, dtype.numpy)
    return array


def _infer_full(size: Any, value: Any, code: int | None, *rest: Any) -> TensorType:
    dtype = fill_type(value, code)
    check_number(value, dtype)
    return TensorType(dtype, check_size(size))


# Constant tensors ----------------------------------------------------------------------------------------------------

for _name, _value in (("zeros", 0), ("ones", 1), ("empty", 0)):
    _extra = ", MemoryFormat? memory_format=None" if _name == "empty" else ""
    _overload = ".memory_format" if _name == "empty" else ""
    _check = _check_zeros if _name == "zeros" else check_size

    def _decompose_constant(b: Any, size: Any, dtype: int | None, *rest: Any, value: int = _value) -> Any:
        return b("aten::full", size, value, dtype=default_float().code if dtype is None else dtype)

    def _decompose_like(b: Any, x: Any, dtype: int | None, *rest: Any, value: int = _value) -> Any:
        chosen = dtype_of_code(dtype, b.type(x).dtype)
        return b("aten::full", list(b.shape(x)), value, dtype=chosen.code)

    def _decompose_new(b: Any, x: Any, size: Any, dtype: int | None, *rest: Any, value: int = _value) -> Any:
        return b("aten::full", size, value, dtype=dtype_of_code(dtype, b.type(x).dtype).code)

    define(
        f"aten::{_name}{_overload}(SymInt[] size, {OPTIONS}{_extra}) -> Tensor",
        infer=lambda size, dtype, *rest, check=_check: TensorType(dtype_of_code(dtype, default_float()), check(size)),
        reference=lambda size, dtype, *rest, value=_value, check=_check: _filled(
            check(size), value, dtype_of_code(dtype, default_float())
        ),
        decompose=_decompose_constant,
    )
    define(
        f"aten::{_name}_like(Tensor self, {LIKE_OPTIONS}) -> Tensor",
        infer=lambda x, dtype, *rest: TensorType(dtype_of_code(dtype, x.dtype), x.shape),
        reference=lambda x, dtype, *rest, value=_value: _filled(x.shape, value, dtype_of_code(dtype, operand_type(x))),
        decompose=_decompose_like,
    )
    define(
        f"aten::new_{_name}(Tensor self, SymInt[] size, {OPTIONS}) -> Tensor",
        infer=lambda x, size, dtype, *rest: TensorType(dtype_of_code(dtype, x.dtype), check_size(size)),
        reference=lambda x, size, dtype, *rest, value=_value: _filled(
            size, value, dtype_of_code(dtype, operand_type(x))
        ),
        decompose=_decompose_new,
    )

define(
    f"aten::full(SymInt[] size, Scalar fill_value, {OPTIONS}) -> Tensor",
    infer=_infer_full,
    reference=lambda size, value, dtype, *rest: _filled(size, value, fill_type(value, dtype)),
    kernel="fill",
)
define(
    f"aten::full_like(Tensor self, Scalar fill_value, {LIKE_OPTIONS}) -> Tensor",
    infer=lambda x, value, dtype, *rest: TensorType(dtype_of_code(dtype, x.dtype), x.shape),
    reference=lambda x, value, dtype, *rest: _filled(x.shape, value, dtype_of_code(dtype, operand_type(x))),
    decompose=lambda b, x, value, dtype, *rest: b(
        "aten::full", list(b.shape(x)), value, dtype=dtype_of_code(dtype, b.type(x).dtype).code
    ),
)
define(
    f"aten::new_full(Tensor self, SymInt[] size, Scalar fill_value, {OPTIONS}) -> Tensor",
    infer=lambda x, size, value, dtype, *rest: TensorType(dtype_of_code(dtype, x.dtype), check_size(size)),
    reference=lambda x, size, value, dtype, *rest: _filled(size, value, dtype_of_code(dtype, operand_type(x))),
    decompose=lambda b, x, size, value, dtype, *rest: b(
        "aten::full", size, value, dtype=dtype_of_code(dtype, b.type(x).dtype).code
    ),
)
for _overload in ("Scalar", "Tensor"):
    define(
        f"aten::fill.{_overload}(Tensor self, {_overload} value) -> Tensor",
        infer=lambda x, value: x.with_shape(x.shape),
        reference=lambda x, value: _filled(
            x.shape, value.item() if isinstance(value, np.ndarray) else value, operand_type(x)
        ),
        decompose=(
            (lambda b, x, value: b("aten::full", list(b.shape(x)), value, dtype=b.type(x).dtype.code))
            if _overload == "Scalar"
            else (
                lambda b, x, value: b(
                    "aten::expand", b("aten::to.dtype", value, b.type(x).dtype.code), list(b.shape(x))
                )
            )
        ),
        inplace=True,
        overlap=Overlap.ANY if _overload == "Scalar" else Overlap.ONCE,
    )
define(
    "aten::zero(Tensor self) -> Tensor",
    infer=lambda x: x.with_shape(x.shape),
    reference=np.zeros_like,
    decompose=lambda b, x: b("aten::full", list(b.shape(x)), 0, dtype=b.type(x).dtype.code),
    inplace=True,
    overlap=Overlap.ANY,
)
define(
    f"aten::empty_strided(SymInt[] size, SymInt[] stride, {OPTIONS}) -> Tensor",
    infer=lambda size, stride, dtype, *rest: TensorType(dtype_of_code(dtype, default_float()), check_size(size)),
    reference=lambda size, stride, dtype, *rest: _filled(size, 0, dtype_of_code(dtype, default_float())),
    decompose=lambda b, size, stride, dtype, *rest: b(
        "aten::full", size, 0, dtype=default_float().code if dtype is None else dtype
    ),
)
define(
    f"aten::new_empty_strided(Tensor self, SymInt[] size, SymInt[] stride, {OPTIONS}) -> Tensor",
    infer=lambda x, size, stride, dtype, *rest: TensorType(dtype_of_code(dtype, x.dtype), check_size(size)),
    reference=lambda x, size, stride, dtype, *rest: _filled(size, 0, dtype_of_code(dtype, operand_type(x))),
    decompose=lambda b, x, size, stride, dtype, *rest: b(
        "aten::full", size, 0, dtype=dtype_of_code(dtype, b.type(x).dtype).code
    ),
)


def _permuted_size(size: Any, order: Any) -> tuple[Dim, ...]:
    if len(size) != len(order):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = {len(size)} "
            f"is not equal to len(physical_layout) = {len(order)}"
        )
    if sorted(order) != list(range(len(size))):
        raise RuntimeError("Duplicate dim not allowed" if len(set(order)) < len(order) else "Dimension out of range")
    return check_size(size)


define(
    f"aten::empty_permuted(SymInt[] size, int[] physical_layout, {OPTIONS}) -> Tensor",
    infer=lambda size, order, dtype, *rest: TensorType(
        dtype_of_code(dtype, default_float()), _permuted_size(size, order)
    ),
    reference=lambda size, order, dtype, *rest: _filled(
        _permuted_size(size, order), 0, dtype_of_code(dtype, default_float())
    ),
    decompose=lambda b, size, order, dtype, *rest: b(
        "aten::full", size, 0, dtype=default_float().code if dtype is None else dtype
    ),
)


# Ranges --------------------------------------------------------------------------------------------------------------


def _range_type(code: int | None, *bounds: Any) -> DType:
    if code is not None:
        return known_dtype(code)
    return dtypes.INT64 if all(number_type(bound).kind in ("int", "bool") for bound in bounds) else default_float()


def _counted_bounds(dtype: DType, *bounds: Any) -> tuple[Any, ...]:
    """Bounds as they are, for int64 with their fractions cut off: torch counts the elements of all other types so."""
    if dtype is not dtypes.INT64:
        return bounds
    return tuple(int(bound) if isinstance(bound, float) and math.isfinite(bound) else bound for bound in bounds)


def _range_length(start: Any, end: Any, step: Any) -> Dim:
    if isinstance(step, int | float):
        if step == 0:
            raise RuntimeError("step must be nonzero")
        if isinstance(start, int | float) and isinstance(end, int | float):
            if not (math.isfinite(start) and math.isfinite(end)):
                raise RuntimeError(f"unsupported range: {start:g} -> {end:g}")
            if (end - start) * step < 0:
                raise RuntimeError("upper bound and lower bound inconsistent with step sign")
            if all(isinstance(bound, int) for bound in (start, end, step)):
                return -int((start - end) // step)
            return math.ceil((end - start) / step)
    if is_told_by_running(start, end, step):
        return fresh()
    if isinstance(step, Symbolic):
        backwards: Dim = (start - end) // step
        return -backwards
    length: Dim = end - start if step == 1 else (end - start + step + (-1 if step > 0 else 1)) // step
    return length


def is_told_by_running(start: Any, end: Any, step: Any) -> bool:
    """True where the length of a range is no dimension: it is counted in fractions that only running tells."""
    bounds = (start, end, step)
    return any(isinstance(bound, Unknown | float) for bound in bounds) and not all(
        isinstance(bound, int | float) for bound in bounds
    )


def _infer_arange(start: Any, end: Any, step: Any, code: int | None) -> TensorType:
    dtype = _range_type(code, start, end, step)
    if is_told_by_running(start, end, step) and dtype.kind != "float":
        raise UndecidedShape("the length of arange depends on numbers that only running tells")
    return TensorType(dtype, (_range_length(*_counted_bounds(dtype, start, end, step)),))


def _reference_arange(start: Any, end: Any, step: Any, code: int | None) -> Array:
    dtype = _range_type(code, start, end, step)
    count = _range_length(*_counted_bounds(dtype, start, end, step))
    places = np.arange(known((count,))[0], dtype=np.int64 if dtype.kind == "int" else np.float64)
    if dtype.kind == "int":
        return np.asarray(int(start) + places * int(step)).astype(dtype.numpy)
    return np.asarray(float(start) + np.multiply(places, float(step))).astype(dtype.numpy)


_NO_RANGE = unimplemented("arange_cpu", BOOLS | COMPLEXES, of="dtype")
define(
    f"aten::arange(Scalar end, {OPTIONS}) -> Tensor",
    infer=lambda end, dtype, *rest: _infer_arange(0, end, 1, dtype),
    refuses=_NO_RANGE,
    reference=lambda end, dtype, *rest: _reference_arange(0, end, 1, dtype),
    decompose=lambda b, end, dtype, *rest: b("aten::arange.start_step", 0, end, 1, dtype=dtype),
)
define(
    f"aten::arange.start(Scalar start, Scalar end, {OPTIONS}) -> Tensor",
    infer=lambda start, end, dtype, *rest: _infer_arange(start, end, 1, dtype),
    refuses=_NO_RANGE,
    reference=lambda start, end, dtype, *rest: _reference_arange(start, end, 1, dtype),
    decompose=lambda b, start, end, dtype, *rest: b("aten::arange.start_step", start, end, 1, dtype=dtype),
)
define(
    f"aten::arange.start_step(Scalar start, Scalar end, Scalar step=1, {OPTIONS}) -> Tensor",
    infer=lambda start, end, step, dtype, *rest: _infer_arange(start, end, step, dtype),
    refuses=_NO_RANGE,
    reference=lambda start, end, step, dtype, *rest: _reference_arange(start, end, step, dtype),
    kernel="arange",
    may_fail=True,
)


def _reference_linspace(start: float, end: float, steps: int, code: int | None, *rest: Any) -> Array:
    """Counted from both ends, in the element type, as torch does: halves are rounded in every step, the products and
    sums of wider types together.
    """
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    dtype = dtype_of_code(code, default_float()).numpy
    if dtype == np.bool_:
        return _two_truths(start, end, steps)
    if dtype.kind in "iu":
        return _whole_linspace(int(start), int(end), steps).astype(dtype)
    work = np.dtype(np.float32) if dtype.itemsize == 2 else dtype

    def rounded(value: Any) -> Array:
        return np.asarray(value, work).astype(dtype).astype(work)

    with np.errstate(all="ignore"):
        first, last = rounded(start), rounded(end)
        step = rounded(rounded(last - first) / work.type(steps - 1)) if steps > 1 else work.type(0)
        places = np.arange(steps)
        exact = np.dtype(np.longdouble)
        product = rounded if dtype.itemsize == 2 else exact.type
        rising = first + product(step.astype(exact) * places.astype(work))
        falling = last - product(step.astype(exact) * (steps - 1 - places).astype(work))
    return np.where(places < max(steps // 2, 1 if steps == 1 else 0), rising, falling).astype(dtype)


def _two_truths(start: float, end: float, steps: int) -> Array:
    """Up to one bool is no sequence of numbers, and needs no kernel."""
    if steps > 1:
        check_type(unimplemented("linspace_cpu", BOOLS), dtypes.BOOL)
    return np.full(steps, bool(start))


def _whole_linspace(start: int, end: int, steps: int) -> Array:
    """Between whole numbers in double precision, products and sums rounded together; the fraction is cut off."""
    step = np.longdouble((end - start) / (steps - 1)) if steps > 1 else np.longdouble(0)
    places = np.arange(steps)
    rising = (start + step * places).astype(np.float64)
    falling = (end - step * places[::-1]).astype(np.float64)
    return np.trunc(np.where(places < max(steps // 2, 1), rising, falling))


CONSTANT_LENGTH = 4096
"""Up to how many numbers that are known are stored instead of computed by every run."""


def are_few_numbers(*numbers: Any) -> bool:
    """True when all are known, and small where they are lengths."""
    return all(isinstance(number, float | int) for number in numbers) and numbers[2] <= CONSTANT_LENGTH


def _decompose_linspace(b: Any, start: Any, end: Any, steps: int, code: int | None, *rest: Any) -> Any:
    dtype = dtype_of_code(code, default_float())
    if are_few_numbers(start, end, steps):
        return b.constant(_reference_linspace(start, end, steps, dtype.code))
    if isinstance(start, complex) or isinstance(end, complex):
        raise UndecidedShape("complex numbers are not counted")
    count = b.abstract(steps)
    if not isinstance(count, int):
        b.require(b("aten::ge.int", count, 0), "number of steps must be non-negative")
    kind = compute_type(dtype) if dtype.kind == "float" else dtypes.FLOAT64
    is_half = dtype.kind == "float" and dtype is not kind

    def rounded(x: Any) -> Any:
        """As numbers of the element type: halves are rounded in every step, and whole numbers begin as such."""
        return b("aten::to.dtype", b("aten::to.dtype", x, dtype.code), kind.code)

    def counted(begin: Any, places: Any) -> Any:
        if is_half:
            return b("aten::add.Tensor", begin, rounded(b("aten::mul.Tensor", places, rounded(step))))
        return b("aten::addcmul", begin, places, step)

    first, last = (rounded(b("aten::full", [], value, dtype=dtypes.FLOAT64.code)) for value in (start, end))
    number = b("aten::full", [], count, dtype=kind.code)
    turns = b("aten::sub.Scalar", number, 1)
    span = rounded(b("aten::sub.Tensor", last, first))
    step = b("aten::div.Tensor", span, b("aten::clamp", turns, 1))
    places = b("aten::arange", count, dtype=kind.code)
    rising, falling = counted(first, places), counted(last, b("aten::sub.Tensor", places, turns))
    middle = b("aten::clamp", b("aten::floor", b("aten::mul.Scalar", number, 0.5)), 1)
    lower = b("aten::lt.Tensor", places, middle)
    return b("aten::to.dtype", b("aten::where.self", lower, rising, falling), dtype.code)


define(
    f"aten::linspace(Scalar start, Scalar end, int steps, {OPTIONS}) -> Tensor",
    infer=lambda start, end, steps, dtype, *rest: TensorType(dtype_of_code(dtype, default_float()), (steps,)),
    reference=_reference_linspace,
    decompose=_decompose_linspace,
)


def ends_with_tensors(name: str, steps: str, of_numbers: Callable[..., Array]) -> None:
    """Declare the overloads of `linspace` and `logspace` whose start or end, or both, are tensors of one number.

    `steps` are the schema's arguments between the ends and the options, `of_numbers` the reference for numbers.
    """

    def reference(start: Any, end: Any, *rest: Any) -> Array:
        wrong = [
            f"{which} with {value.ndim} dimension(s)"
            for which, value in (("start", start), ("end", end))
            if isinstance(value, np.ndarray) and value.ndim
        ]
        if wrong:
            raise RuntimeError(
                f"{name} only supports 0-dimensional start and end tensors, but got {' and '.join(wrong)}."
            )
        return of_numbers(*(value.item() if isinstance(value, np.ndarray) else value for value in (start, end)), *rest)

    def infer(start: Any, end: Any, count: Dim, *rest: Any) -> TensorType:
        return TensorType(dtype_of_code(rest[-4], default_float()), (count,))

    for first, last in (("Tensor", "Tensor"), ("Tensor", "Scalar"), ("Scalar", "Tensor")):
        define(
            f"aten::{name}.{first}_{last}({first} start, {last} end, {steps}, {OPTIONS}) -> Tensor",
            infer=infer, reference=reference, interpreted="its ends are only known when it runs", may_fail=True,
        )  # fmt: skip


ends_with_tensors("linspace", "int steps", _reference_linspace)


def _reference_eye(rows: int, columns: int, code: int | None) -> Array:
    for extent, name in ((rows, "n"), (columns, "m")):
        if extent < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {extent}")
    return np.eye(rows, columns, dtype=dtype_of_code(code, default_float()).numpy)


def _decompose_eye(b: Any, rows: Any, columns: Any, code: int | None) -> Any:
    down = b("aten::unsqueeze", b("aten::arange", rows), 1)
    across = b("aten::unsqueeze", b("aten::arange", columns), 0)
    return b("aten::to.dtype", b("aten::eq.Tensor", down, across), dtype_of_code(code, default_float()).code)


define(
    f"aten::eye(SymInt n, {OPTIONS}) -> Tensor",
    infer=lambda n, dtype, *rest: TensorType(dtype_of_code(dtype, default_float()), (n, n)),
    reference=lambda n, dtype, *rest: _reference_eye(n, n, dtype),
    decompose=lambda b, n, dtype, *rest: _decompose_eye(b, n, n, dtype),
)
define(
    f"aten::eye.m(SymInt n, SymInt m, {OPTIONS}) -> Tensor",
    infer=lambda n, m, dtype, *rest: TensorType(dtype_of_code(dtype, default_float()), (n, m)),
    reference=lambda n, m, dtype, *rest: _reference_eye(n, m, dtype),
    decompose=lambda b, n, m, dtype, *rest: _decompose_eye(b, n, m, dtype),
)


# Triangles -----------------------------------------------------------------------------------------------------------


def _check_matrix(name: str, shape: tuple[Any, ...]) -> None:
    if len(shape) < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


def _infer_triangle(name: str) -> Callable[..., TensorType]:
    def infer(x: TensorType, diagonal: int) -> TensorType:
        _check_matrix(name, known_shape(x))
        return x.with_shape(x.shape)

    return infer


def _reference_triangle(name: str, compute: Callable[..., Array]) -> Callable[..., Array]:
    def reference(x: Array, diagonal: int) -> Array:
        _check_matrix(name, x.shape)
        return compute(x, diagonal)

    return reference


for _name, _compute in (("tril", np.tril), ("triu", np.triu)):
    define(
        f"aten::{_name}(Tensor self, SymInt diagonal=0) -> Tensor",
        infer=_infer_triangle(_name),
        reference=_reference_triangle(_name, _compute),
        kernel="triangle",
        inplace=True,
    )


def _triangle_indices(name: str, rows: int, columns: int, offset: int, code: int | None) -> Array:
    for extent, what in ((rows, "row"), (columns, "col")):
        if extent < 0:
            raise RuntimeError(f"{what} must be non-negative, got{extent}")
    places = (np.tril_indices if name == "tril" else np.triu_indices)(rows, offset, columns)
    return np.stack(places).astype(dtype_of_code(code, dtypes.INT64).numpy)


def _infer_triangle_indices(name: str, rows: Dim, columns: Dim, offset: Dim, code: int | None) -> TensorType:
    if not (isinstance(rows, int) and isinstance(columns, int) and isinstance(offset, int)):
        raise UndecidedShape("how many elements a triangle has depends on numbers that only running tells")
    found = _triangle_indices(name, rows, columns, offset, code)
    return TensorType(dtype_of_code(code, dtypes.INT64), tuple(found.shape))


for _name in ("tril", "triu"):
    define(
        f"aten::{_name}_indices(int row, int col, int offset=0, {OPTIONS}) -> Tensor",
        infer=lambda rows, columns, offset, dtype, *rest, name=_name: _infer_triangle_indices(
            name, rows, columns, offset, dtype
        ),
        reference=lambda rows, columns, offset, dtype, *rest, name=_name: _triangle_indices(
            name, rows, columns, offset, dtype
        ),
        decompose=lambda b, rows, columns, offset, dtype, *rest, name=_name: b.constant(
            _triangle_indices(name, rows, columns, offset, dtype)
        ),
        refuses=unimplemented(
            f"{_name}_indices", BOOLS | FLOATS | COMPLEXES | INTEGERS - {dtypes.INT32, dtypes.INT64}, of="dtype"
        ),
    )


# Into a tensor that is there -----------------------------------------------------------------------------------------


def _declare_out(schema: str, base: str, count: int) -> None:
    """The form of a creating operator that fills the tensor given as `out`, in that tensor's element type.

    `count` arguments say what is made; the options that follow them in the base's schema are the tensor's.
    """

    def reference(*arguments: Any) -> Array:
        operator = lookup(base)
        assert operator is not None
        target, code = arguments[-1], dtypes.from_numpy(arguments[-1].dtype).code
        made = operator.reference(*arguments[:count], code, None, None, None, *_order_of(operator))
        if made.shape != target.shape:
            return np.ascontiguousarray(made)
        target[...] = made
        filled: Array = target
        return filled

    define(
        schema,
        infer=lambda *arguments: TensorType(arguments[-1].dtype, None),
        reference=reference,
        interpreted="it changes the shape of a tensor that is there",
        may_fail=True,
    )


def _order_of(operator: Operator) -> tuple[None, ...]:
    """The memory format that some of these operators take last."""
    return (None,) if operator.schema.arguments[-1].name == "memory_format" else ()


_OUT = "*, Tensor(a!) out) -> Tensor(a!)"
for _base, _overload, _made in (
    ("full", "out", "SymInt[] size, Scalar fill_value"),
    ("zeros", "out", "SymInt[] size"),
    ("ones", "out", "SymInt[] size"),
    ("linspace", "out", "Scalar start, Scalar end, int steps"),
    ("logspace", "out", "Scalar start, Scalar end, int steps, float base=10.0"),
    ("arange", "out", "Scalar end"),
    ("eye", "out", "SymInt n"),
    ("eye", "m_out", "SymInt n, SymInt m"),
):
    _functional = f"aten::{_base}" + (".m" if _overload == "m_out" else "")
    _declare_out(f"aten::{_base}.{_overload}({_made}, {_OUT}", _functional, _made.count(",") + 1)
_declare_out(f"aten::arange.start_out(Scalar start, Scalar end, Scalar step=1, {_OUT}", "aten::arange.start_step", 3)
