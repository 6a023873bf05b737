"""How operators on complex tensors are computed from real and imaginary parts, which are what native code can hold.

The pass `split-complex` asks for this. A rule gets `Parts` for every complex tensor, other arguments as decompositions
get them, and gives `Parts` for a complex result. What it raises says that the node stays complex.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from optc.errors import UnsupportedError
from optc.ir.dtypes import DType
from optc.ir.graph import Value
from optc.ir.types import TensorType
from optc.ops.abstract import known_dtype
from optc.ops.promotion import complex_type, default_complex, operand_type, real_type, result_type
from optc.ops.registry import lookup


class Parts(NamedTuple):
    """A complex tensor: two real tensors of one shape and type, or numbers."""

    real: Any
    imaginary: Any


Rule = Callable[..., Any]


def declare_parts(name: str, rule: Rule) -> None:
    """Say how an operator works on parts."""
    operator = lookup(name)
    if operator is None or operator.parts is not None:
        raise ValueError(f"{name} is not declared, or its parts are declared twice")
    operator.parts = rule


def on_each(name: str) -> Rule:
    """For operators that move elements, or add them up: the same for both parts."""

    def rule(b: Any, *arguments: Any) -> Parts:
        arguments = tuple(_together(b, item) if isinstance(item, list) else item for item in arguments)
        return Parts(*(b(name, *(_side(item, place) for item in arguments)) for place in (0, 1)))

    return rule


def _together(b: Any, items: list[Any]) -> list[Any]:
    """Tensors that one operator puts together: where some are complex, the real ones among them become so."""
    if not any(isinstance(item, Parts) for item in items):
        return items
    dtype = _common(b, *items)
    return [as_tensors(b, _promoted(b, item, dtype)) for item in items]


def as_tensors(b: Any, parts: Parts) -> Parts:
    """Parts of which one may still be a number, as that of a real tensor is, as two tensors."""
    tensor = parts.real if _is_tensor(parts.real) else parts.imaginary
    return Parts(*(part if _is_tensor(part) else b("aten::full_like", tensor, part) for part in parts))


def parts_of_pairs(b: Any, pairs: Any) -> Parts:
    """The first and the second numbers of pairs: what these were put together from, where that is seen."""
    node = pairs.node
    if node.kind == "aten::stack" and node.inputs[1].is_constant and node.inputs[1].constant == -1:
        items = node.inputs[0].node.inputs if node.inputs[0].node.kind == "prim::ListConstruct" else ()
        if len(items) == 2:
            return Parts(*items)
    return Parts(*(b("aten::select.int", pairs, -1, place) for place in (0, 1)))


def pairs_of(b: Any, parts: Parts) -> Any:
    """Parts side by side as `[..., 2]`: the tensor that they were taken from, where that is seen."""
    nodes = [part.node for part in parts]
    last = len(b.shape(parts.real))
    if all(node.kind == "aten::select" and node.inputs[1].is_constant and node.inputs[2].is_constant for node in nodes):
        places = [(node.inputs[1].constant, node.inputs[2].constant) for node in nodes]
        pairs = nodes[0].inputs[0]
        is_same = nodes[1].inputs[0] is pairs and b.shape(pairs)[-1] == 2
        if is_same and [place for _, place in places] == [0, 1] and {dim for dim, _ in places} <= {-1, last}:
            return pairs
    return b("aten::stack", list(parts), -1)


def _side(item: Any, place: int) -> Any:
    if isinstance(item, Parts):
        return item[place]
    return [_side(inner, place) for inner in item] if isinstance(item, list) else item


# Operands ------------------------------------------------------------------------------------------------------------


def type_of_parts(b: Any, parts: Parts) -> TensorType:
    """The type of the complex tensor."""
    real = b.type(parts.real)
    return TensorType(complex_type(operand_type(real)), real.shape)


def _common(b: Any, *operands: Any) -> DType:
    """The type of the parts of a result of operands that are promoted."""
    types = [
        type_of_parts(b, item) if isinstance(item, Parts) else b.abstract(item) for item in operands if item is not None
    ]
    return real_type(result_type(*types))


def _promoted(b: Any, operand: Any, dtype: DType) -> Parts:
    """An operand as parts of a type; numbers stay numbers."""
    if isinstance(operand, Parts):
        return Parts(*(_cast(b, part, dtype) for part in operand))
    if isinstance(operand, complex):
        return Parts(operand.real, operand.imag)
    return Parts(_cast(b, operand, dtype), 0.0)


def _cast(b: Any, x: Any, dtype: DType) -> Any:
    if not _is_tensor(x) or b.type(x).dtype is dtype:
        return x
    return b("aten::_to_copy", x, dtype=dtype.code)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, Value) and isinstance(x.type, TensorType)


def _apply(b: Any, name: str, x: Any, y: Any) -> Any:
    """A sum, difference or product of tensors and numbers."""
    if _is_tensor(x):
        return b(f"aten::{name}.{'Tensor' if _is_tensor(y) else 'Scalar'}", x, y)
    if _is_tensor(y):
        if name == "sub":
            return b("aten::add.Scalar", b("aten::neg", y), x)
        return b(f"aten::{name}.Scalar", y, x)
    if isinstance(x, Value) or isinstance(y, Value):
        raise UnsupportedError("arithmetic of complex numbers that only running tells")
    return {"add": x + y, "sub": x - y, "mul": x * y}[name]


# Arithmetic ----------------------------------------------------------------------------------------------------------


def _sum(name: str) -> Rule:
    def rule(b: Any, x: Any, y: Any, alpha: Any = 1) -> Parts:
        dtype = _common(b, x, y)
        left, right = _promoted(b, x, dtype), _promoted(b, y, dtype)
        if alpha != 1:
            right = Parts(*(_apply(b, "mul", part, alpha) for part in right))
        return Parts(*(_apply(b, name, mine, other) for mine, other in zip(left, right)))

    return rule


def _reversed_difference(b: Any, x: Any, y: Any, alpha: Any = 1) -> Any:
    return _sum("sub")(b, y, x, alpha)


def multiplied(b: Any, x: Any, y: Any) -> Parts:
    """The product of two operands, of which one may be real."""
    dtype = _common(b, x, y)
    left, right = _promoted(b, x, dtype), _promoted(b, y, dtype)
    products = [[_apply(b, "mul", mine, other) for other in right] for mine in left]
    return Parts(
        _apply(b, "sub", products[0][0], products[1][1]), _apply(b, "add", products[0][1], products[1][0])
    )  # fmt: skip


def _quotient(b: Any, x: Any, y: Any) -> Parts:
    """The divisor is brought to a size near 1 first: its square may be more than a number can hold."""
    dtype = _common(b, x, y)
    left, right = _promoted(b, x, dtype), _promoted(b, y, dtype)
    if not any(map(_is_tensor, right)):
        return _multiplied_by_inverse(b, left, right)
    real, imaginary = (part if _is_tensor(part) else b("aten::zeros_like", right.real) for part in right)
    largest = b("aten::maximum", b("aten::abs", real), b("aten::abs", imaginary))
    real, imaginary = b("aten::div.Tensor", real, largest), b("aten::div.Tensor", imaginary, largest)
    square = b("aten::add.Tensor", b("aten::mul.Tensor", real, real), b("aten::mul.Tensor", imaginary, imaginary))
    product = multiplied(b, left, Parts(real, b("aten::neg", imaginary)))
    return Parts(*(b("aten::div.Tensor", b("aten::div.Tensor", part, square), largest) for part in product))


def _multiplied_by_inverse(b: Any, x: Parts, divisor: Parts) -> Parts:
    if isinstance(divisor.real, Value) or divisor.imaginary:
        raise UnsupportedError("a complex number as a divisor")
    return Parts(*(b("aten::div.Scalar", part, divisor.real) for part in x))


def _reciprocal(b: Any, x: Parts) -> Parts:
    return _quotient(b, Parts(b("aten::ones_like", x.real), b("aten::zeros_like", x.real)), x)


def _product_of_matrices(name: str) -> Rule:
    def rule(b: Any, x: Parts, y: Parts) -> Parts:
        products = [[b(name, mine, other) for other in y] for mine in x]
        return Parts(
            b("aten::sub.Tensor", products[0][0], products[1][1]),
            b("aten::add.Tensor", products[0][1], products[1][0]),
        )

    return rule


def _exponential(b: Any, x: Parts) -> Parts:
    size = b("aten::exp", x.real)
    return Parts(*(b("aten::mul.Tensor", size, b(f"aten::{name}", x.imaginary)) for name in ("cos", "sin")))


def _logarithm(b: Any, x: Parts) -> Parts:
    return Parts(b("aten::log", _absolute(b, x)), b("aten::atan2", x.imaginary, x.real))


def _absolute(b: Any, x: Parts) -> Any:
    return b("aten::hypot", x.real, x.imaginary)


def _equality(name: str, joined: str) -> Rule:
    def rule(b: Any, x: Any, y: Any) -> Any:
        dtype = _common(b, x, y)
        left, right = _promoted(b, x, dtype), _promoted(b, y, dtype)
        compared = [_compare(b, name, mine, other) for mine, other in zip(left, right)]
        return b(joined, *compared)

    return rule


def _compare(b: Any, name: str, x: Any, y: Any) -> Any:
    if not _is_tensor(x):
        x, y = y, x
    return b(f"aten::{name}.{'Tensor' if _is_tensor(y) else 'Scalar'}", x, y)


for _name in ("add", "sub"):
    for _overload in ("Tensor", "Scalar"):
        declare_parts(f"aten::{_name}.{_overload}", _sum(_name))
for _overload in ("Tensor", "Scalar"):
    declare_parts(f"aten::rsub.{_overload}", _reversed_difference)
    declare_parts(f"aten::mul.{_overload}", multiplied)
    declare_parts(f"aten::div.{_overload}", _quotient)
    declare_parts(f"aten::eq.{_overload}", _equality("eq", "aten::logical_and"))
    declare_parts(f"aten::ne.{_overload}", _equality("ne", "aten::logical_or"))
declare_parts("aten::reciprocal", _reciprocal)
declare_parts("aten::exp", _exponential)
declare_parts("aten::log", _logarithm)
declare_parts("aten::abs", _absolute)
for _name in ("aten::mm", "aten::bmm"):
    declare_parts(_name, _product_of_matrices(_name))


# Elements that are moved, and added up -------------------------------------------------------------------------------


def _choice(b: Any, condition: Any, x: Any, y: Any) -> Parts:
    dtype = _common(b, x, y)
    sides = []
    for mine, other in zip(_promoted(b, x, dtype), _promoted(b, y, dtype)):
        name = "self" if _is_tensor(other) else "ScalarOther"
        if not _is_tensor(mine):
            name = "ScalarSelf" if _is_tensor(other) else "Scalar"
        chosen = b(f"aten::where.{name}", condition, mine, other)
        sides.append(_cast(b, chosen, dtype))
    return Parts(*sides)


def _padded(b: Any, x: Parts, padding: Any, value: Any = 0) -> Parts:
    filled = value if isinstance(value, complex) else complex(value)
    sides = zip(x, (filled.real, filled.imag))
    return Parts(*(b("aten::constant_pad_nd", part, padding, number) for part, number in sides))


def _added_up(name: str) -> Rule:
    """Sums, whose last argument may ask for a type."""

    def rule(b: Any, *arguments: Any) -> Any:
        *others, code = arguments
        if code is not None:
            code = real_type(known_dtype(code)).code
        return on_each(name)(b, *others, code)

    return rule


for _name in ("aten::neg", "aten::cat", "aten::clone", "aten::contiguous", "aten::index_select", "aten::gather",
              "prim::Index", "aten::flip", "aten::roll"):  # fmt: skip
    declare_parts(_name, on_each(_name))
for _name in ("aten::sum", "aten::sum.dim_IntList", "aten::cumsum"):
    declare_parts(_name, _added_up(_name))
for _overload in ("self", "ScalarSelf", "ScalarOther", "Scalar"):
    declare_parts(f"aten::where.{_overload}", _choice)
declare_parts("aten::constant_pad_nd", _padded)


def _filled(b: Any, size: Any, value: Any, code: Any, *others: Any) -> Parts:
    """A tensor of one number; without a type it has that of complex numbers."""
    dtype = default_complex() if code is None else known_dtype(code)
    if not dtype.is_complex or isinstance(value, Value):
        raise UnsupportedError("no complex numbers, or one that only running tells")
    number = complex(value)
    return Parts(*(b("aten::full", size, side, real_type(dtype).code, *others) for side in (number.real, number.imag)))


declare_parts("aten::full", _filled)


# Pairs of numbers ----------------------------------------------------------------------------------------------------


def _joined(b: Any, pairs: Any) -> Parts:
    return Parts(*(b("aten::select.int", pairs, -1, place) for place in (0, 1)))


def _pairs(b: Any, x: Parts) -> Any:
    return b("aten::stack", list(x), -1)


for _suffix in ("", "_copy"):
    declare_parts(f"aten::view_as_complex{_suffix}", _joined)
    declare_parts(f"aten::view_as_real{_suffix}", _pairs)


def _converted(name: str) -> Rule:
    """To another type: a real one keeps the real part, as PyTorch does; real numbers get imaginary parts of 0."""
    operator = lookup(name)
    assert operator is not None
    names = [argument.name for argument in operator.schema.arguments]
    place = names.index("dtype")

    def rule(b: Any, x: Any, *others: Any) -> Any:
        code = others[place - 1]
        dtype = None if code is None else known_dtype(code)
        others = (*others[: place - 1], None if dtype is None else real_type(dtype).code, *others[place:])
        if dtype is not None and not dtype.is_complex:
            return b(name, x.real, *others)
        parts = x if isinstance(x, Parts) else Parts(x, b("aten::zeros_like", x))
        return Parts(*(b(name, part, *others) for part in parts))

    return rule


for _name in ("_to_copy", "to.device", "to.dtype", "to.dtype_layout", "to.prim_Device", "to.prim_dtype"):
    declare_parts(f"aten::{_name}", _converted(f"aten::{_name}"))
