"""Products and powers of matrices that are made of others: sums of products, chains, powers, exponentials, conditions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optc.ir.dims import Dim
from optc.ir.dtypes import BOOL
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedShape, normalize_dim, same_dim
from optc.ops.composite import declare_composite
from optc.ops.element_types import BOOLS, COMPLEXES, HALVES, WHOLE, check_type, expect_type, refusal, unimplemented
from optc.ops.hosted import declare_hosted, working
from optc.ops.matrices import check_fraction, check_matrix, check_square
from optc.ops.promotion import compute_type, operand_type, result_type
from optc.ops.reduction import narrowed
from optc.ops.shapes import expanded_shape, known_shape, require_same

Array = np.ndarray[Any, Any]


# A product and a sum -------------------------------------------------------------------------------------------------


def _weighted(b: Any, bias: Any, product: Any, beta: Any, alpha: Any) -> Any:
    """beta * bias + alpha * product, where beta = 0 means that the bias is not read."""
    dtype = b.type(product).dtype
    expanded_shape(b.shape(bias), b.shape(product), b.type(bias).dtype)
    if dtype is BOOL and b.type(bias).dtype is BOOL:
        return _truth_sum(b, bias, product, beta, alpha)
    if dtype.kind == "int":
        beta, alpha = int(beta), int(alpha)
    scaled = product if alpha == 1 else b("aten::mul.Scalar", product, alpha)
    if beta == 0:
        return scaled
    added = bias if beta == 1 else b("aten::mul.Scalar", bias, beta)
    return narrowed(b, b("aten::add.Tensor", scaled, added), result_type(b.type(bias), b.type(product)) or dtype)


def _truth_sum(b: Any, bias: Any, product: Any, beta: Any, alpha: Any) -> Any:
    scaled = product if alpha else b("aten::zeros_like", product)
    return b("aten::logical_or", scaled, bias) if beta else scaled


def _check_same_types(b: Any, *values: Any) -> None:
    dtypes = [operand_type(b.type(value)) for value in values]
    if len(set(dtypes)) != 1:
        raise RuntimeError("Expected all tensors to have the same dtype, but got " + ", ".join(d.label for d in dtypes))


def _wide(b: Any, value: Any) -> Any:
    return narrowed(b, value, compute_type(b.type(value).dtype))


def _build_addbmm(b: Any, bias: Any, x: Any, y: Any, beta: Any, alpha: Any) -> Any:
    dtype = b.type(x).dtype
    product = b("aten::sum.dim_IntList", _wide(b, b("aten::bmm", x, y)), [0], dtype=compute_type(dtype).code)
    return narrowed(b, _weighted(b, _wide(b, bias), product, beta, alpha), dtype)


def _build_addmv(b: Any, bias: Any, matrix: Any, vector: Any, beta: Any, alpha: Any) -> Any:
    dtype = b.type(matrix).dtype
    product = b("aten::mv", _wide(b, matrix), _wide(b, vector))
    return narrowed(b, _weighted(b, _wide(b, bias), product, beta, alpha), dtype)


def _build_addr(b: Any, bias: Any, x: Any, y: Any, beta: Any, alpha: Any) -> Any:
    """The bias counts as it is expanded: as a matrix, among the types that promote."""
    dtype = result_type(b.type(bias).with_shape((1, 1)), b.type(x), b.type(y))
    for name, number in (("beta", beta), ("alpha", alpha)):
        if dtype in WHOLE and not isinstance(number, int):
            raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
    given, work = b.type(bias).dtype, compute_type(dtype)
    product = b("aten::outer", narrowed(b, x, work), narrowed(b, y, work))
    expanded_shape(b.shape(bias), b.shape(product), given)
    return narrowed(b, _weighted(b, narrowed(b, bias, work), product, beta, alpha), dtype)


declare_composite(
    "aten::addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    _build_addbmm, inplace=True, out="out", refuses=unimplemented("addmm_impl_cpu_", BOOLS, takes_empty=True),
)  # fmt: skip
declare_composite(
    "aten::addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    _build_addmv, inplace=True, out="out",
)  # fmt: skip
declare_composite(
    "aten::addr(Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    _build_addr, inplace=True, out="out",
)  # fmt: skip


# Products ------------------------------------------------------------------------------------------------------------


declare_composite(
    "aten::linalg_matmul(Tensor self, Tensor other) -> Tensor", lambda b, x, y: b("aten::matmul", x, y), out="out"
)


def _build_vecdot(b: Any, x: Any, y: Any, dim: int) -> Any:
    check_fraction(b.type(x), "linalg.vecdot", low_precision=True)
    if b.type(x).dtype is not b.type(y).dtype:
        raise RuntimeError("linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
                           f"{b.type(x).dtype.label} and y of type {b.type(y).dtype.label} instead")  # fmt: skip
    conjugate = b("aten::conj_physical", x) if b.type(x).dtype.is_complex else x
    return b("aten::sum.dim_IntList", b("aten::mul.Tensor", conjugate, y), [dim])


declare_composite("aten::linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor", _build_vecdot, out="out")


def _chain_order(extents: list[Any]) -> dict[tuple[int, int], int]:
    """Where to split each range of a chain of products so that the fewest multiplications are done."""
    count = len(extents) - 1
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(2, count + 1):
        for start in range(count - length + 1):
            stop = start + length - 1
            options = {
                k: cost[start, k] + cost[k + 1, stop] + extents[start] * extents[k + 1] * extents[stop + 1]
                for k in range(start, stop)
            }
            split[start, stop] = min(options, key=lambda k, options=options: options[k])  # type: ignore[misc]
            cost[start, stop] = options[split[start, stop]]
    return split


def _build_chain(b: Any, tensors: Any, name: str) -> Any:
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    ranks = [len(b.shape(item)) for item in tensors]
    for place, rank in enumerate(ranks):
        if place in (0, len(ranks) - 1) and rank not in (1, 2):
            which = "first" if place == 0 else "last"
            raise RuntimeError(f"multi_dot(): the {which} tensor must be 1D or 2D but got {rank}D")
        if 0 < place < len(ranks) - 1 and rank != 2:
            raise RuntimeError(f"multi_dot(): tensor {place} must be 2D but got {rank}D")
    if len(tensors) == 2:
        return b("aten::matmul", *tensors)
    matrices = list(tensors)
    if ranks[0] == 1:
        matrices[0] = b("aten::unsqueeze", matrices[0], 0)
    if ranks[-1] == 1:
        matrices[-1] = b("aten::unsqueeze", matrices[-1], 1)
    extents = [b.shape(item)[0] for item in matrices] + [b.shape(matrices[-1])[1]]
    known = all(isinstance(extent, int) for extent in extents)
    order = _chain_order(extents) if known else {}

    def multiplied(start: int, stop: int) -> Any:
        if start == stop:
            return matrices[start]
        middle = order.get((start, stop), stop - 1)
        return b("aten::mm", multiplied(start, middle), multiplied(middle + 1, stop))

    found = multiplied(0, len(matrices) - 1)
    if ranks[0] == 1:
        found = b("aten::squeeze.dim", found, 0)
    return b("aten::squeeze.dim", found, -1) if ranks[-1] == 1 else found


declare_composite(
    "aten::linalg_multi_dot(Tensor[] tensors) -> Tensor", lambda b, tensors: _build_chain(b, tensors, "multi_dot")
)


def _build_old_chain(b: Any, matrices: Any) -> Any:
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for item in matrices:
        if len(b.shape(item)) != 2:
            raise RuntimeError(f"Tensor dimension is {len(b.shape(item))}, expected 2 instead.")
    return matrices[0] if len(matrices) == 1 else _build_chain(b, matrices, "chain_matmul")


declare_composite("aten::chain_matmul(Tensor[] matrices) -> Tensor", _build_old_chain)


# Powers --------------------------------------------------------------------------------------------------------------


def _build_power(b: Any, x: Any, n: int) -> Any:
    if not isinstance(n, int):
        raise UndecidedShape("the exponent of a matrix is needed before the program runs")
    check_square(b.type(x), "linalg.matrix_power")
    if n < 0:
        return _build_power(b, b("aten::linalg_inv", x), -n)
    if n == 0:
        extent = b.shape(x)[-1]
        eye = b("aten::eye", extent, dtype=b.type(x).dtype.code)
        return b("aten::clone", b("aten::expand", eye, list(b.shape(x))))
    if n == 1:
        return b("aten::clone", x)
    power, found = x, None
    while n:
        if n & 1:
            found = power if found is None else b("aten::matmul", found, power)
        n >>= 1
        power = b("aten::matmul", power, power) if n else power
    return found


for _name in ("linalg_matrix_power", "matrix_power"):
    declare_composite(f"aten::{_name}(Tensor self, int n) -> Tensor", _build_power, out="out")

_PADE = (64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
         10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0)  # fmt: skip
_PADE_LIMIT = 5.371920351148152


def _exponential(a: Array) -> Array:
    """exp of a matrix: scaling and squaring around the Pade approximant of order 13 (Higham 2005)."""
    if not a.size:
        return a.copy()
    work = a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)
    size = np.linalg.norm(work, 1, axis=(-2, -1))
    ratio = np.where(np.isfinite(size) & (size > _PADE_LIMIT), size / _PADE_LIMIT, 1.0)
    squarings = np.ceil(np.log2(ratio)).astype(np.int64)
    work = work / (2.0**squarings)[..., None, None]
    one = np.eye(a.shape[-1])
    second = work @ work
    fourth = second @ second
    sixth = second @ fourth
    p = _PADE
    odd = work @ (sixth @ (p[13] * sixth + p[11] * fourth + p[9] * second) + p[7] * sixth + p[5] * fourth
                  + p[3] * second + p[1] * one)  # fmt: skip
    even = (
        sixth @ (p[12] * sixth + p[10] * fourth + p[8] * second)
        + p[6] * sixth
        + p[4] * fourth
        + p[2] * second
        + p[0] * one
    )
    found = np.linalg.solve(even - odd, even + odd)
    for turn in range(int(np.max(squarings))):
        found = np.where((turn < squarings)[..., None, None], found @ found, found)
    return np.asarray(found)


def _infer_exponential(a: TensorType) -> TensorType:
    check_fraction(a, "linalg.matrix_exp", low_precision=True)
    check_square(a, "linalg.matrix_exp")
    return a.with_shape(known_shape(a))


for _name in ("linalg_matrix_exp", "matrix_exp"):
    declare_hosted(f"aten::{_name}(Tensor self) -> Tensor", _infer_exponential, lambda a: _exponential(working(a)))


def _build_vander(b: Any, x: Any, count: Dim | None) -> Any:
    dtype = operand_type(b.type(x))
    x = x if b.shape(x) else b("aten::unsqueeze", x, -1)
    columns = b.shape(x)[-1] if count is None else count
    if isinstance(columns, int) and columns <= 1:
        raise RuntimeError("N must be greater than 1.")
    base = narrowed(b, x, result_type(b.type(x), 1)) if dtype.kind == "int" else x
    spread = b("aten::expand", b("aten::unsqueeze", base, -1), [*b.shape(x), columns - 1])
    ones = b("aten::ones", [*b.shape(x), 1], dtype=b.type(base).dtype.code)
    return b("aten::cumprod", b("aten::cat", [ones, spread], -1), -1)


declare_composite(
    "aten::linalg_vander(Tensor x, *, int? N=None) -> Tensor",
    _build_vander,
    refuses=refusal(
        BOOLS | HALVES, "linalg.vander supports floating point, complex, and integer tensors, but got {label}"
    ),
)


# Conditions ----------------------------------------------------------------------------------------------------------


def _build_condition(b: Any, x: Any, order: Any) -> Any:
    batch, *extents = check_matrix(b.type(x), "linalg.cond")
    if 0 in extents and extents[0] == extents[1]:
        return b("aten::new_zeros", x, list(batch))
    if order is None or abs(order) == 2:
        values = b("aten::linalg_svdvals", x)
        largest, smallest = b("aten::amax", values, [-1]), b("aten::amin", values, [-1])
        first, second = (smallest, largest) if order == -2 else (largest, smallest)
        return b("aten::div.Tensor", first, second)
    check_fraction(b.type(x), "linalg.cond")
    check_square(b.type(x), f"linalg.cond(ord={_spelled(order)})")
    if abs(order) not in (1, math.inf):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {order}")
    return _condition(b, x, lambda value: b("aten::linalg_matrix_norm", value, order))


def _spelled(order: float) -> str:
    return str(int(order)) if abs(order) == 1 else str(order)


def _condition(b: Any, x: Any, norm: Any) -> Any:
    """|x| |x^-1|, infinite for singular matrices."""
    inverse, info = b("aten::linalg_inv_ex", x)
    singular = b("aten::ne.Scalar", info, 0)
    product = b("aten::mul.Tensor", norm(x), norm(inverse))
    return b("aten::where.ScalarSelf", singular, math.inf, product)


def _build_named_condition(b: Any, x: Any, order: str) -> Any:
    check_matrix(b.type(x), "linalg.cond")
    check_square(b.type(x), f"linalg.cond(ord={order})")
    if order not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {order}")
    return _condition(b, x, lambda value: b("aten::linalg_matrix_norm.str_ord", value, order))


declare_composite("aten::linalg_cond(Tensor self, Scalar? p=None) -> Tensor", _build_condition)
declare_composite("aten::linalg_cond.p_str(Tensor self, str p) -> Tensor", _build_named_condition)


# Distances between rows ----------------------------------------------------------------------------------------------


_NO_HALF_DISTANCE = unimplemented("cdist", HALVES)


def _build_distances(b: Any, x: Any, y: Any, p: float, mode: int | None = None) -> Any:
    left, right = b.shape(x), b.shape(y)
    for shape, name in ((left, "X1"), (right, "X2")):
        if len(shape) < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {len(shape)}D")
    require_same(left[-1], right[-1], f"X1 and X2 must have the same number of columns. X1: {left[-1]} X2: {right[-1]}")
    for item, name in ((x, "X1"), (y, "X2")):
        if b.type(item).dtype.kind != "float":
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {b.type(item).dtype.label}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if 0 not in (*left, *right):
        check_type(_NO_HALF_DISTANCE, b.type(x).dtype)
        expect_type(b.type(x).dtype, b.type(y).dtype)
    return _distances(b, x, y, p)


def _distances(b: Any, x: Any, y: Any, p: float) -> Any:
    """Of every row of x and every row of y."""
    difference = b("aten::sub.Tensor", b("aten::unsqueeze", x, -2), b("aten::unsqueeze", y, -3))
    if same_dim(b.shape(x)[-1], 0) is True and p == math.inf:
        return b("aten::sum.dim_IntList", difference, [-1])
    if p == 0:  # nan is no difference that could be counted
        apart = b("aten::clamp_max", b("aten::ceil", b("aten::abs", difference)), 1)
        return b("aten::sum.dim_IntList", apart, [-1])
    return b("aten::linalg_vector_norm", difference, p, [-1])


declare_composite(
    "aten::cdist(Tensor x1, Tensor x2, float p=2., int? compute_mode=None) -> Tensor",
    _build_distances,
)
declare_composite(
    "aten::_cdist_forward(Tensor x1, Tensor x2, float p, int? compute_mode) -> Tensor",
    _build_distances,
)


_STEPS_OF_PAIRS = 4  # with more there is less to compute, but the pieces get small


def _build_pairs(b: Any, x: Any, p: float) -> Any:
    shape = b.shape(x)
    if len(shape) != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {len(shape)}D")
    check_type(refusal(WHOLE | COMPLEXES, "pdist only supports floating-point dtypes"), b.type(x).dtype)
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    if shape[0] not in (0, 1) and shape[1] != 0:
        check_type(unimplemented("pdist", HALVES), b.type(x).dtype)
    if not isinstance(shape[0], int):
        raise UndecidedShape("the number of rows whose pairs are compared is needed before the program runs")
    # Some rows at a time against all that follow: nearly half of the distances are not asked for, but no row is copied.
    count, height = shape[0], max(1, -(-shape[0] // _STEPS_OF_PAIRS))
    starts = range(0, count, height)
    blocks = [b("aten::slice.Tensor", x, 0, start, count, 1) for start in starts]
    tops = [b("aten::slice.Tensor", block, 0, 0, min(height, count - start), 1) for start, block in zip(starts, blocks)]
    found = [b("aten::reshape", _distances(b, top, block, p), [-1]) for top, block in zip(tops, blocks)]
    rows, columns = np.triu_indices(count, 1)
    first = rows // height * height
    before = np.cumsum([0, *(min(height, count - start) * (count - start) for start in starts)])
    places = before[rows // height] + (rows - first) * (count - first) + columns - first
    if not found:
        return b("aten::zeros", [0], dtype=b.type(x).dtype.code)
    return b("aten::index_select", b("aten::cat", found, 0), 0, b.constant(places.astype(np.int64)))


declare_composite("aten::pdist(Tensor self, float p=2.) -> Tensor", _build_pairs)


def _build_renorm(b: Any, x: Any, p: Any, dim: int, limit: Any) -> Any:
    shape = b.shape(x)
    if len(shape) < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {len(shape)} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive norm not supported")
    if limit < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {limit:g}")
    place = normalize_dim(dim, len(shape))
    wide = _wide(b, x)
    others = [other for other in range(len(shape)) if other != place]
    size = b("aten::linalg_vector_norm", wide, p, others, True)
    scale = b("aten::mul.Scalar", b("aten::reciprocal", b("aten::add.Scalar", size, 1e-7)), limit)
    factor = b("aten::where.ScalarOther", b("aten::gt.Scalar", size, limit), scale, 1.0)
    return narrowed(b, b("aten::mul.Tensor", wide, factor), b.type(x).dtype)


declare_composite(
    "aten::renorm(Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor", _build_renorm, inplace=True, out="out"
)
