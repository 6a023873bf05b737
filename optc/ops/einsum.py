"""Sums of products over named dimensions: `einsum`, `tensordot`, `inner`, `kron`.

Two operands are contracted by one batched matrix product: dimensions are permuted into (shared, own, summed), merged,
multiplied, and taken apart again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optc.ir.dims import Dim, product
from optc.ir.dtypes import DType, promote
from optc.ir.graph import Node
from optc.ir.types import TensorType
from optc.ops.abstract import UndecidedExtents, UndecidedShape, Unknown, is_runtime, normalize_dims, same_dim
from optc.ops.element_types import BOOLS, check_type, unimplemented
from optc.ops.elementwise import array_type
from optc.ops.promotion import compute_type, operand_type, result_type, sum_type
from optc.ops.reduction import narrowed
from optc.ops.registry import define
from optc.ops.shapes import Shape, format_shape, known, known_shape

Array = np.ndarray[Any, Any]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


# Equations -----------------------------------------------------------------------------------------------------------


def _parse(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The letters of every operand and of the result; dimensions under an ellipsis get digits. Raises as torch does."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) < len(ranks):
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    if len(terms) > len(ranks):
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    for term in (*terms, right):
        _check_term(term)
    hidden = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks)]
    for place, (term, rank, extra) in enumerate(zip(terms, ranks, hidden)):
        if extra < 0 or (extra > 0 and "..." not in term):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({rank - extra}) "
                + (f"is more than the number of dimensions ({rank})" if "..." in term
                   else f"does not match the number of dimensions ({rank})")
                + f" for operand {place} and no ellipsis was given" * ("..." not in term)
            )  # fmt: skip
    widest = max([extra for extra, term in zip(hidden, terms) if "..." in term], default=0)
    digits = "0123456789"[:widest]
    full = [term.replace("...", digits[widest - extra :] if extra else "") for term, extra in zip(terms, hidden)]
    if not arrow:
        letters = "".join(full)
        right = digits + "".join(letter for letter in _LETTERS if letters.count(letter) == 1)
    else:
        right = right.replace("...", digits)
    _check_result(right, full)
    return full, right


def _check_term(term: str) -> None:
    for letter in term.replace("...", ""):
        if letter not in _LETTERS:
            raise RuntimeError(
                "einsum(): invalid subscript given at index 0 in the equation string, subscripts must be in [a-zA-Z]"
            )


def _check_result(result: str, terms: list[str]) -> None:
    for letter in result:
        if result.count(letter) > 1:
            raise RuntimeError(f"einsum(): output subscript {letter} appears more than once in the output")
        if not any(letter in term for term in terms):
            raise RuntimeError(
                f"einsum(): output subscript {letter} does not appear in the equation for any input operand"
            )


def _extents(terms: list[str], shapes: Sequence[Shape]) -> dict[str, Dim]:
    """The extent of every letter; 1 broadcasts. Raises RuntimeError when they differ."""
    found: dict[str, Dim] = {}
    for place, (term, shape) in enumerate(zip(terms, shapes)):
        for letter, extent in zip(term, shape):
            known = found.setdefault(letter, extent)
            if known == extent or extent == 1:
                continue
            if known == 1:
                found[letter] = extent
            elif same_dim(known, extent) is None:
                question = f"are the extents {known} and {extent} of subscript {letter} equal?"
                if is_runtime(known) and is_runtime(extent):
                    raise UndecidedExtents(question, (known, extent))
                raise UndecidedShape(question)
            else:
                raise RuntimeError(
                    f"einsum(): subscript {letter} has size {extent} for operand {place} which does not broadcast with "
                    f"previously seen size {known}"
                )
    return found


def _infer_einsum(equation: str | Unknown, tensors: Sequence[TensorType], path: Any) -> TensorType:
    if isinstance(equation, Unknown):
        raise UndecidedShape("the equation of einsum is needed before the program runs")
    shapes = [known_shape(tensor) for tensor in tensors]
    if not shapes:
        raise RuntimeError("einsum(): must provide at least one operand")
    terms, result = _parse(equation, [len(shape) for shape in shapes])
    extents = _extents(terms, shapes)
    dtype = _einsum_type([operand_type(tensor) for tensor in tensors], terms, result)
    return TensorType(dtype, tuple(extents[letter] for letter in result))


def _einsum_type(dtypes: Sequence[DType], terms: list[str], result: str) -> DType:
    """Letters that one operand has alone are summed first, which makes small integers int64; what is then multiplied
    element by element is promoted. Raises RuntimeError where a matrix product would be one of different types.
    """
    current, letters = dtypes[0], terms[0]
    for place in range(1, len(terms)):
        later = set("".join(terms[place + 1 :]) + result)
        mine = current if set(letters) <= later | set(terms[place]) else sum_type(current)
        other = dtypes[place] if set(terms[place]) <= later | set(letters) else sum_type(dtypes[place])
        contracted = any(letter in terms[place] and letter not in later for letter in letters)
        if mine is not other and contracted:
            raise RuntimeError(f"expected scalar type {mine.label} but found {other.label}")
        current, letters = promote(mine, other), "".join(letter for letter in letters + terms[place] if letter in later)
    return current if set(letters) <= set(result) else sum_type(current)


def _reference_einsum(equation: str, tensors: Sequence[Array], path: Any) -> Array:
    inferred = _infer_einsum(equation, [array_type(tensor) for tensor in tensors], path)
    terms, result = _parse(equation, [tensor.ndim for tensor in tensors])
    numbers = {letter: place for place, letter in enumerate(sorted(set("".join(terms))))}
    if len(tensors) == 1 and set(terms[0]) == set(result):  # a view: nothing is summed
        moved: Array = np.einsum(tensors[0], [numbers[letter] for letter in terms[0]], [numbers[x] for x in result])
        return moved
    dtype = operand_type(inferred)
    work = np.float64 if dtype.kind == "float" else dtype.numpy
    extents = _extents(terms, [tensor.shape for tensor in tensors])
    arguments: list[Any] = []
    for term, tensor in zip(terms, tensors):
        whole = np.broadcast_to(tensor.astype(work), known([extents[letter] for letter in term]))
        arguments += [whole, [numbers[letter] for letter in term]]
    with np.errstate(all="ignore"):
        found = np.einsum(*arguments, [numbers[letter] for letter in result])
    return np.asarray(found).astype(dtype.numpy).copy()


def _decompose_einsum(b: Any, equation: str, tensors: Sequence[Any], path: Any) -> Any:
    """Operands are joined from left to right; letters that nothing later mentions are summed."""
    values = [b.value(tensor) for tensor in tensors]
    shapes = [b.shape(value) for value in values]
    terms, result = _parse(equation, [len(shape) for shape in shapes])
    extents = _extents(terms, shapes)
    current, letters = _diagonal(b, values[0], terms[0])
    for place in range(1, len(values)):
        later = set("".join(terms[place + 1 :]) + result)
        other, names = _diagonal(b, values[place], terms[place])
        current, letters = _contract(b, current, letters, other, names, later, extents)
    current, letters = _summed(b, current, letters, set(result))
    if letters != result:
        current = b("aten::permute", current, [letters.index(letter) for letter in result])
    return b("aten::clone", current) if len(values) == 1 else current


def _diagonal(b: Any, x: Any, letters: str) -> tuple[Any, str]:
    """Each letter once: a repeated one means the diagonal."""
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            x = b("aten::diagonal", x, 0, first, second)
            letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :] + letter
    return x, letters


def _summed(b: Any, x: Any, letters: str, kept: set[str]) -> tuple[Any, str]:
    gone = [place for place, letter in enumerate(letters) if letter not in kept]
    if not gone:
        return x, letters
    return b("aten::sum.dim_IntList", x, gone, False), "".join(letter for letter in letters if letter in kept)


def _contract(
    b: Any, x: Any, mine: str, y: Any, other: str, later: set[str], extents: dict[str, Dim]
) -> tuple[Any, str]:
    x, mine = _summed(b, x, mine, later | set(other))
    y, other = _summed(b, y, other, later | set(mine))
    shared = [letter for letter in mine if letter in other and letter in later]
    summed = [letter for letter in mine if letter in other and letter not in later]
    rows = [letter for letter in mine if letter not in other]
    columns = [letter for letter in other if letter not in mine]
    left = _as_matrices(b, x, mine, (shared, rows, summed), extents)
    right = _as_matrices(b, y, other, (shared, summed, columns), extents)
    dtype = promote(b.type(left).dtype, b.type(right).dtype)
    left, right = narrowed(b, left, dtype), narrowed(b, right, dtype)
    letters = "".join((*shared, *rows, *columns))
    multiplied = b("aten::bmm" if shared else "aten::mm", left, right)
    return b("aten::reshape", multiplied, [extents[letter] for letter in letters]), letters


def _as_matrices(b: Any, x: Any, letters: str, groups: Sequence[list[str]], extents: dict[str, Dim]) -> Any:
    """A matrix, or a batch of them when the first group is not empty."""
    order = [letters.index(letter) for group in groups for letter in group]
    turned = x if order == list(range(len(order))) else b("aten::permute", x, order)
    wanted = [extents[letter] for group in groups for letter in group]
    if list(b.shape(turned)) != wanted:
        turned = b("aten::expand", turned, wanted)
    sizes = [product([extents[letter] for letter in group]) for group in groups]
    return b("aten::reshape", turned, sizes if groups[0] else sizes[1:])


def _is_of_one(node: Node) -> bool:
    """True for an equation on a single tensor, which may only move its dimensions; two are multiplied."""
    listed = node.inputs[1].node
    return listed.kind != "prim::ListConstruct" or len(listed.inputs) == 1


def _gives_rows(node: Node) -> bool:
    """True where PyTorch multiplies two matrices, or batches of them, and has nothing to permute in the product.

    Dimensions of extent 1 are no dimensions to it, so nothing may be 1 for one operand alone, or in what is summed.
    """
    equation, listed = node.inputs[0], node.inputs[1].node
    if not equation.is_constant or listed.kind != "prim::ListConstruct" or len(listed.inputs) != 2:
        return False
    operands, arrow, result = equation.constant.replace(" ", "").partition("->")
    mine, _, other = operands.partition(",")
    shapes = [value.type.shape for value in listed.inputs if isinstance(value.type, TensorType)]
    if not arrow or len(set(mine)) != len(mine) or len(set(other)) != len(other):
        return False
    if "." in operands or [len(shape or ()) for shape in shapes] != [len(mine), len(other)]:
        return False
    first, second = dict(zip(mine, shapes[0] or ())), dict(zip(other, shapes[1] or ()))
    both = [letter for letter in mine if letter in second]
    summed = [letter for letter in both if letter not in result]
    extents = [first[letter] for letter in summed]
    if not summed or any(extent == 1 or is_runtime(extent) for extent in extents):
        return False
    if any(first[letter] != second[letter] for letter in both) or set(mine + other) - set(summed) != set(result):
        return False
    return list(result) == sorted(result, key=lambda letter: 0 if letter in both else 1 if letter in first else 2)


define(
    "aten::einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor",
    infer=_infer_einsum,
    reference=_reference_einsum,
    decompose=_decompose_einsum,
    shares=_is_of_one,
    makes_rows=_gives_rows,
)


# Without equations ---------------------------------------------------------------------------------------------------


def _tensordot_dims(x: Shape, y: Shape, mine: Sequence[int], other: Sequence[int]) -> tuple[list[int], list[int]]:
    if len(mine) != len(other):
        raise RuntimeError("both dimension lists should have same length")
    left = list(normalize_dims(mine, len(x))) if mine else []
    right = list(normalize_dims(other, len(y))) if other else []
    for first, second, given, wanted in zip(left, right, mine, other):
        if same_dim(x[first], y[second]) is False and 1 not in (x[first], y[second]):
            raise RuntimeError(
                "contracted dimensions need to match, but first has size "
                f"{x[first]} in dim {given} and second has size {y[second]} in dim {wanted}"
            )
    return left, right


def _infer_tensordot(x: TensorType, y: TensorType, mine: Sequence[int], other: Sequence[int]) -> TensorType:
    left, right = known_shape(x), known_shape(y)
    if operand_type(x) is not operand_type(y):
        raise RuntimeError("both inputs should have same dtype")
    gone, lost = _tensordot_dims(left, right, mine, other)
    if 0 not in (*left, *right):
        check_type(unimplemented("addmm_impl_cpu_", BOOLS), operand_type(x))
    kept = [dim for place, dim in enumerate(left) if place not in gone]
    return TensorType(operand_type(x), (*kept, *(dim for place, dim in enumerate(right) if place not in lost)))


def _reference_tensordot(x: Array, y: Array, mine: Sequence[int], other: Sequence[int]) -> Array:
    _infer_tensordot(array_type(x), array_type(y), mine, other)
    gone, lost = _tensordot_dims(x.shape, y.shape, mine, other)
    work = compute_type(operand_type(x)).numpy
    x, y = _matched(x, gone, y, lost), _matched(y, lost, x, gone)
    return np.asarray(np.tensordot(x.astype(work), y.astype(work), (gone, lost))).astype(x.dtype)


def _matched(x: Array, mine: Sequence[int], y: Array, other: Sequence[int]) -> Array:
    """The sum over dimensions that meet one of extent 1."""
    alone = tuple(dim for dim, place in zip(mine, other) if x.shape[dim] != 1 and y.shape[place] == 1)
    return x.sum(alone, x.dtype, keepdims=True) if alone else x


def _decompose_tensordot(b: Any, x: Any, y: Any, mine: Sequence[int], other: Sequence[int]) -> Any:
    left, right = b.shape(x), b.shape(y)
    gone, lost = _tensordot_dims(left, right, mine, other)
    first = [_LETTERS[place] for place in range(len(left))]
    second = [_LETTERS[len(left) + place] for place in range(len(right))]
    for place, position in zip(gone, lost):
        second[position] = first[place]
    result = [letter for letter in (*first, *second) if (letter in first) != (letter in second)]
    return b("aten::einsum", f"{''.join(first)},{''.join(second)}->{''.join(result)}", [x, y])


define(
    "aten::tensordot(Tensor self, Tensor other, int[] dims_self, int[] dims_other) -> Tensor",
    infer=_infer_tensordot,
    reference=_reference_tensordot,
    decompose=_decompose_tensordot,
)


def _kron_shape(x: Shape, y: Shape) -> list[Dim]:
    rank = max(len(x), len(y))
    return [*(a * c for a, c in zip((1,) * (rank - len(x)) + x, (1,) * (rank - len(y)) + y))]


def _decompose_kron(b: Any, x: Any, y: Any) -> Any:
    left, right = b.shape(x), b.shape(y)
    rank = max(len(left), len(right))
    mine = [size for extent in (1,) * (rank - len(left)) + left for size in (extent, 1)]
    other = [size for extent in (1,) * (rank - len(right)) + right for size in (1, extent)]
    spread = b("aten::mul.Tensor", b("aten::reshape", x, mine), b("aten::reshape", y, other))
    return b("aten::reshape", spread, _kron_shape(left, right))


def _infer_kron(x: TensorType, y: TensorType) -> TensorType:
    """A tensor without dimensions beside one that has some counts as one that has, too."""
    rank = max(len(known_shape(x)), len(known_shape(y)))
    promoted = result_type(*(each.with_shape((1,) * rank) for each in (x, y)))
    return TensorType(promoted, tuple(_kron_shape(known_shape(x), known_shape(y))))


def _reference_kron(x: Array, y: Array) -> Array:
    dtype = operand_type(_infer_kron(array_type(x), array_type(y)))
    return np.asarray(np.kron(x.astype(dtype.numpy), y.astype(dtype.numpy))).copy()


define(
    "aten::kron(Tensor self, Tensor other) -> Tensor",
    infer=_infer_kron,
    reference=_reference_kron,
    decompose=_decompose_kron,
)


def _infer_inner(x: TensorType, y: TensorType) -> TensorType:
    left, right = known_shape(x), known_shape(y)
    if not left or not right:
        return TensorType(result_type(x, y), left or right)
    if same_dim(left[-1], right[-1]) is False:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {format_shape(left)} and "
            f"{format_shape(right)}"
        )
    if operand_type(x) is not operand_type(y):
        raise RuntimeError("both inputs should have same dtype")
    if left and right and 0 not in (*left, *right):
        kernel = "dot" if len(left) == 1 and len(right) == 1 else "addmm_impl_cpu_"
        check_type(unimplemented(kernel, BOOLS), operand_type(x))
    return TensorType(operand_type(x), (*left[:-1], *right[:-1]))


def _reference_inner(x: Array, y: Array) -> Array:
    result = _infer_inner(array_type(x), array_type(y))
    work = compute_type(operand_type(result)).numpy
    return np.asarray(np.inner(x.astype(work), y.astype(work))).astype(operand_type(result).numpy)


define(
    "aten::inner(Tensor self, Tensor other) -> Tensor",
    infer=_infer_inner,
    reference=_reference_inner,
    decompose=lambda b, x, y: b("aten::tensordot", x, y, [-1], [-1]) if b.shape(x) and b.shape(y)
    else b("aten::mul.Tensor", x, y),
)  # fmt: skip
