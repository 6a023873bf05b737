"""Per-element expressions: what one element of a pointwise operator or reduction means.

An `Expr` is an immutable, hash-consed tree over a dozen primitive operations with a fixed element type each. Operators
declare themselves with functions over expressions (`scalar=lambda x: x * sigmoid(x)`), the kernel IR stores them, the
vector-math library rewrites `exp` and its kin into primitives, and the emitter turns primitives into instructions.
`evaluate` gives the numpy meaning, which the kernel interpreter and the tests use.

Arithmetic on integers wraps; `div` on integers truncates (`floor_divide` and `remainder` are built from it);
`maximum`/`minimum` propagate NaN; comparisons give BOOL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

import numpy as np

from optc.ir import dtypes
from optc.ir.dtypes import DType

UNARY_FUNCTIONS = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "tanh", "erf", "erfc", "sin", "cos", "tan", "asin",
    "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "lgamma", "digamma", "erfinv",
)  # fmt: skip
BINARY_FUNCTIONS = ("pow", "atan2", "fmod")
PRIMITIVES = frozenset(
    ("input", "const", "cast", "bitcast", "add", "sub", "mul", "div", "rem", "neg", "abs", "fma", "sqrt", "floor",
     "ceil", "trunc", "round", "minnum", "maxnum", "maximum", "minimum", "copysign", "eq", "ne", "lt", "le", "gt",
     "ge", "and", "or", "xor", "not", "shl", "shr", "lshr", "select", "rarely", "table", "scale", "exponent",
     "mantissa", "confine")
)  # fmt: skip
"""`minnum`/`maxnum`: the cheap machine versions, second operand wins on NaN. `round` is to nearest even. `shr` is
arithmetic, `lshr` logical. `bitcast` keeps the bits between types of one size. `rarely` is a `select` whose second
operand is only computed where some lane needs it; `table` picks one of the constants in `value`, its operand counts
modulo their number. `scale`, `exponent`, `mantissa` and `confine` only come from functions that were expanded for
AVX-512 (see `codegen.kernels.avx512`). Functions outside this set (UNARY_ and
BINARY_FUNCTIONS) are expanded by `codegen.kernels.vector_math` before emission."""

_interned: WeakValueDictionary[tuple[Any, ...], Expr] = WeakValueDictionary()

Operand: TypeAlias = "Expr | int | float | bool"


class Expr:
    """One expression: `op`, element type, operands, and `value` for `const` (the number) and `input` (its index)."""

    __slots__ = ("op", "dtype", "args", "value", "__weakref__")
    op: str
    dtype: DType
    args: tuple[Expr, ...]
    value: Any

    def __new__(cls, op: str, dtype: DType, args: tuple[Expr, ...] = (), value: Any = None) -> Expr:
        bits = np.array(value, dtype.numpy).tobytes() if op == "const" else value
        key = (op, dtype, tuple(map(id, args)), bits)
        found = _interned.get(key)
        if found is not None:
            return found
        expr = object.__new__(cls)
        expr.op, expr.dtype, expr.args, expr.value = op, dtype, args, value
        _interned[key] = expr
        return expr

    def _binary(self, op: str, other: Operand, swap: bool = False) -> Expr:
        right = literal(other, self.dtype)
        if right.dtype is not self.dtype:
            raise TypeError(f"{op} of {self.dtype} and {right.dtype}: cast first")
        return apply(op, right, self) if swap else apply(op, self, right)

    def __add__(self, other: Operand) -> Expr:
        return self._binary("add", other)

    def __radd__(self, other: Operand) -> Expr:
        return self._binary("add", other, swap=True)

    def __sub__(self, other: Operand) -> Expr:
        return self._binary("sub", other)

    def __rsub__(self, other: Operand) -> Expr:
        return self._binary("sub", other, swap=True)

    def __mul__(self, other: Operand) -> Expr:
        return self._binary("mul", other)

    def __rmul__(self, other: Operand) -> Expr:
        return self._binary("mul", other, swap=True)

    def __truediv__(self, other: Operand) -> Expr:
        return self._binary("div", other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return self._binary("div", other, swap=True)

    def __and__(self, other: Operand) -> Expr:
        return self._binary("and", other)

    def __or__(self, other: Operand) -> Expr:
        return self._binary("or", other)

    def __xor__(self, other: Operand) -> Expr:
        return self._binary("xor", other)

    def __lshift__(self, other: Operand) -> Expr:
        return self._binary("shl", other)

    def __rshift__(self, other: Operand) -> Expr:
        return self._binary("shr", other)

    def __neg__(self) -> Expr:
        return apply("neg", self)

    def __invert__(self) -> Expr:
        return apply("not", self)

    def __lt__(self, other: Operand) -> Expr:
        return self._binary("lt", other)

    def __le__(self, other: Operand) -> Expr:
        return self._binary("le", other)

    def __gt__(self, other: Operand) -> Expr:
        return self._binary("gt", other)

    def __ge__(self, other: Operand) -> Expr:
        return self._binary("ge", other)

    def equal(self, other: Operand) -> Expr:
        """self == other, a BOOL (`==` itself compares the expressions)."""
        return self._binary("eq", other)

    def not_equal(self, other: Operand) -> Expr:
        """self != other, a BOOL; `x.not_equal(x)` is the test for NaN."""
        return self._binary("ne", other)

    def cast(self, dtype: DType) -> Expr:
        """The value converted to another type as C does; from float to int it truncates and saturates."""
        return self if dtype is self.dtype else Expr("cast", dtype, (self,))

    def bitcast(self, dtype: DType) -> Expr:
        """The same bits read as another type of the same size."""
        return self if dtype is self.dtype else Expr("bitcast", dtype, (self,))

    def __repr__(self) -> str:
        if self.op == "input":
            return f"in{self.value}"
        if self.op == "const":
            return repr(self.value)
        if self.op in ("cast", "bitcast"):
            return f"{self.op}<{self.dtype.name}>({self.args[0]!r})"
        return f"{self.op}({', '.join(map(repr, self.args))})"


def literal(value: Operand, dtype: DType) -> Expr:
    """A constant of a type; expressions pass through."""
    if isinstance(value, Expr):
        return value
    return Expr("const", dtype, (), dtype.numpy.type(value).item() if dtype.kind != "float" else float(value))


def variable(index: int, dtype: DType) -> Expr:
    """Operand number `index` of the expression."""
    return Expr("input", dtype, (), index)


def apply(op: str, *args: Expr) -> Expr:
    """The application of a primitive or function; the result type follows from the operands."""
    comparison = op in ("eq", "ne", "lt", "le", "gt", "ge")
    dtype = dtypes.BOOL if comparison else args[-1].dtype
    return Expr(op, dtype, args)


def select(condition: Expr, if_true: Operand, if_false: Operand) -> Expr:
    """if_true where the BOOL condition holds, else if_false; both have one type, numbers take the other's."""
    if isinstance(if_true, Expr):
        return apply("select", condition, if_true, literal(if_false, if_true.dtype))
    if isinstance(if_false, Expr):
        return apply("select", condition, literal(if_true, if_false.dtype), if_false)
    raise TypeError("select needs an expression on one side to know the element type")


def function(name: str, *args: Expr) -> Expr:
    """Any of the primitives or transcendental functions by name: `function("exp", x)`."""
    if name not in PRIMITIVES and name not in UNARY_FUNCTIONS and name not in BINARY_FUNCTIONS:
        raise ValueError(f"there is no scalar function {name!r}")
    return apply(name, *args)


def table(index: Expr, entries: Sequence[float], dtype: DType) -> Expr:
    """entries[index modulo their number], which is a power of two; the index is an integer."""
    return Expr("table", dtype, (index,), tuple(entries))


def rarely(condition: Expr, unusual: Expr, usual: Expr) -> Expr:
    """`unusual` where the condition holds, else `usual`: for cases that are dear and do not come up."""
    return apply("rarely", condition, unusual, usual)


def nodes(expr: Expr, parts: Callable[[Expr], Iterable[Expr]] = lambda node: node.args) -> Iterator[Expr]:
    """Every node of an expression, each once; `parts` says which arguments of a node are looked at."""
    seen: set[Expr] = set()
    pending = [expr]
    while pending:
        node = pending.pop()
        if node not in seen:
            seen.add(node)
            pending.extend(parts(node))
            yield node


def ordered(expr: Expr, parts: Callable[[Expr], Iterable[Expr]] | None = None) -> Iterator[Expr]:
    """Every node of an expression, each once and behind its parts (`parts` of it, or all), however deep it is."""
    seen: set[Expr] = set()
    begun: set[Expr] = set()
    pending = [expr]
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        missing = () if node in begun else tuple(node.args if parts is None else parts(node))
        if missing:
            begun.add(node)
            pending.append(node)
            pending.extend(reversed(missing))
            continue
        seen.add(node)
        yield node


def inputs_of(expr: Expr) -> set[int]:
    """The indices of the operands an expression reads."""
    return {node.value for node in nodes(expr) if node.op == "input"}


def substitute(expr: Expr, inputs: Mapping[int, Expr]) -> Expr:
    """The expression with its inputs replaced."""
    done: dict[Expr, Expr] = {}
    for node in ordered(expr):
        is_input = node.op == "input"
        done[node] = inputs[node.value] if is_input else _with_parts(node, [done[arg] for arg in node.args])
    return done[expr]


def _with_parts(node: Expr, parts: Sequence[Expr]) -> Expr:
    return Expr(node.op, node.dtype, tuple(parts), node.value)


def rewrite(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """Rebuild bottom-up; `change` gets each rebuilt node and returns its replacement, or None to keep it."""
    done: dict[Expr, Expr] = {}
    for node in ordered(expr):
        rebuilt = _with_parts(node, [done[arg] for arg in node.args])
        changed = change(rebuilt)
        done[node] = rebuilt if changed is None else changed
    return done[expr]


def _integer_divide(x: Any, y: Any) -> Any:
    safe = np.where(y == 0, np.ones_like(y), y)
    quotient = np.abs(x) // np.abs(safe)
    return np.where((x < 0) != (safe < 0), -quotient, quotient).astype(x.dtype)


def _divide(x: Any, y: Any) -> Any:
    return _integer_divide(x, y) if np.asarray(x).dtype.kind in "iu" else x / y


def _remainder(x: Any, y: Any) -> Any:
    return x - _integer_divide(x, y) * y if np.asarray(x).dtype.kind in "iu" else np.fmod(x, y)


def _arithmetic_shift(x: Any, y: Any) -> Any:
    signed = np.dtype(f"i{x.dtype.itemsize}")
    return (x.view(signed) >> y.astype(signed)).view(x.dtype)


def _logical_shift(x: Any, y: Any) -> Any:
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    return (x.view(unsigned) >> y.astype(unsigned)).view(x.dtype)


def _scale(x: Any, exponent: Any) -> Any:
    limit = 2.0 * np.finfo(x.dtype).maxexp + 100.0
    steps = np.clip(np.nan_to_num(np.floor(exponent)), -limit, limit).astype(np.int32)
    scaled = np.where(np.isnan(exponent), exponent, np.ldexp(x, steps))
    unbounded = np.where(exponent > 0, np.inf, 0.0)
    return np.where(np.isinf(exponent), np.where(np.isnan(x), unbounded, np.copysign(unbounded, x)), scaled)


def _exponent(x: Any) -> Any:
    exponent = np.where((x == 0) | np.isinf(x), np.where(x == 0, -np.inf, np.inf), np.frexp(x)[1] - 1.0)
    return np.where(np.isnan(x), x, exponent)


def _mantissa(x: Any) -> Any:
    half = np.frexp(x)[0]
    mantissa = np.where(half < 0.75, 2 * half, half)
    mantissa = np.where((x == 0) | np.isinf(x), 1.0, mantissa)
    return np.where((x < 0) | np.isnan(x), np.nan, mantissa)


def _confine(x: Any, bound: Any) -> Any:
    return np.where(np.abs(x) <= bound, x, np.copysign(bound, np.where(np.isnan(x), 1.0, x)))


def _invert(x: Any) -> Any:
    return np.logical_not(x) if np.asarray(x).dtype == np.bool_ else np.invert(x)


_NUMPY: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": _divide, "rem": _remainder, "neg": np.negative,
    "abs": np.abs, "sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint,
    "fma": lambda x, y, z: (x.astype(np.float64) * y + z).astype(x.dtype),
    "minnum": lambda x, y: np.where(x < y, x, y), "maxnum": lambda x, y: np.where(x > y, x, y),
    "maximum": np.maximum, "minimum": np.minimum, "copysign": np.copysign, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor, "not": _invert, "shl": np.left_shift, "shr": _arithmetic_shift,
    "lshr": _logical_shift, "select": np.where, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log,
    "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "tanh": np.tanh, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "pow": np.power, "atan2": np.arctan2,
    "fmod": np.fmod, "rarely": np.where, "scale": _scale, "exponent": _exponent, "mantissa": _mantissa,
    "confine": _confine,
}  # fmt: skip


def register_numpy(name: str, meaning: Callable[..., Any]) -> None:
    """Give the numpy meaning of a function that numpy itself lacks (erf, lgamma ...); `optc.ops` does at import."""
    _NUMPY[name] = meaning


def evaluate(expr: Expr, inputs: Mapping[int, Any]) -> Any:
    """The value on numpy arrays (broadcast together), in the types the expression says. Silent about overflow."""
    done: dict[Expr, Any] = {}

    def compute(node: Expr, args: list[Any]) -> Any:
        if node.op == "input":
            return inputs[node.value]
        if node.op == "const":
            return np.asarray(node.value, node.dtype.numpy)
        if node.op == "cast":
            return np.asarray(args[0]).astype(node.dtype.numpy)
        if node.op == "table":
            return np.asarray(node.value, node.dtype.numpy)[args[0] & (len(node.value) - 1)]
        if node.op == "bitcast":
            return np.asarray(args[0]).view(node.dtype.numpy)
        return np.asarray(_NUMPY[node.op](*map(np.asarray, args))).astype(node.dtype.numpy)

    with np.errstate(all="ignore"):
        for node in ordered(expr):
            done[node] = compute(node, [done[arg] for arg in node.args])
    return done[expr]
