"""The operator registry: one `define` per operator, everything optc knows about it in that one place.

A declaration gives the schema (torch's text), the shape and dtype rule, the numpy reference (what it means), and
exactly one lowering (how native code does it). In-place and `out=` variants come from their functional form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from optc.dataclass import dataclass
from optc.ir import types
from optc.ir.dims import Dim, fresh
from optc.ir.dtypes import DType, from_numpy
from optc.ir.graph import Node
from optc.ir.schema import Argument, FunctionSchema, parse_schema
from optc.ir.types import (
    ANY,
    FLOAT,
    NONE,
    NUMBER,
    STRING,
    TENSOR,
    DictType,
    FutureType,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    Type,
    VariableType,
    is_subtype,
)
from optc.ops.abstract import PLAIN_CLASSES, UNKNOWN, ShapeError, UndecidedShape, Unknown, same_dim
from optc.ops.element_types import Refusals, guarded
from optc.ops.overlaps import Overlap
from optc.ops.scalar import Expr

ScalarFunction: TypeAlias = Callable[..., Expr]


@dataclass(frozen=True)
class Pointwise:
    """Each output element is `function` of the input elements at the same (broadcast) place.

    `function` gets one Expr per schema argument that is a tensor or number (other arguments, such as rounding modes,
    arrive as Python values; absent optional tensors as None). Before the call all Exprs are cast by `promotion`:
    "common" (torch's promotion of all operands), "float" (the same, integers then become the default float),
    "result" (the inferred element type) or "none". The result is cast
    to the inferred element type. half and bfloat16 are computed in float32, from operands that were rounded to them:
    a single number among `exact` operands (places among all arguments) is not. `optc.ops.elementwise.element_expression`
    does all of this.
    """

    function: ScalarFunction
    promotion: str = "common"
    exact: Sequence[int] = ()


@dataclass(frozen=True)
class Reduction:
    """Elements along `dim` (all of them when absent) are combined; the schema's `dim` and `keepdim` say how.

    `prepare` maps an input element first (in the input's type); what it gives is cast to `accumulate(result dtype)`,
    the type in which `combine(accumulator, element)`, which is associative, works; `identity(accumulation type)` is
    its neutral element. The accumulated value is cast to the result's type.
    """

    combine: ScalarFunction
    identity: Callable[[DType], int | float | bool]
    prepare: ScalarFunction = lambda x: x
    accumulate: Callable[[DType], DType] = lambda dtype: dtype


@dataclass(frozen=True)
class Layout:
    """A view: the same storage with other sizes, strides and offset (all in elements, symbolic where unknown).

    `function(sizes, strides, offset, *arguments)` returns the new triple, or None when these strides need a copy
    first (as `view` of a transposed tensor does).
    """

    function: Callable[..., tuple[tuple[Dim, ...], tuple[Dim, ...], Dim] | None]


@dataclass(frozen=True)
class Kernel:
    """A loop nest of its own, known to code generation by `name` (contraction, gather, concatenate ...)."""

    name: str


@dataclass(frozen=True)
class Decomposition:
    """The operator is a function over other operators: `function(builder, *arguments) -> Value or tuple`.

    Tensor arguments and unknown numbers arrive as `Value`s, known numbers, lists of them, strings and None as Python
    values (known dimensions as ints, symbolic ones as int Values).
    """

    function: Callable[..., Any]


@dataclass(frozen=True)
class Interpreted:
    """No native form: the interpreter runs it, for the reason given."""

    reason: str


Lowering: TypeAlias = Pointwise | Reduction | Layout | Kernel | Decomposition | Interpreted


Shares: TypeAlias = Callable[[Node], bool]


def always_shares(node: Node) -> bool:
    """For operators whose results may always be memory of an argument."""
    return True


class Operator:
    """Everything about one overload of an operator.

    `infer(*arguments)` works on abstract arguments (see `optc.ops.abstract`) and returns an abstract result;
    `reference(*arguments)` works on numpy arrays and Python values, one per schema argument (dtypes as torch's
    integer codes), and returns the same. `accepts_untyped`: the rule copes with tensors of unknown type or rank
    (others are not asked about them). `needs_elements`: fails where a dimension `dim` (all of them when absent) has
    extent 0. `needs_strides`: its result depends on how the arrays of the caller lie in memory, which only the interpreter
    keeps when it runs the whole program. `shares(node)`: a result may be memory of an argument, though torch's schema
    says that it is not. `draws_when(node)`: it draws random numbers, where not every node of it does. `in_rows`: a result
    of tensors whose elements lie row by row lies so too in PyTorch, however native code computes it; `makes_rows`: it
    does whatever it is given, or a node of it does. `is_elementwise`: what is drawn for an element has nothing to do with the shape of its
    tensor. `asked_first`: eager code tries it before the overloads declared before it, which scripts do not. `overlap` says what
    may share memory when it writes. `refuses` names element types that it does not take
    (`optc.ops.element_types`). `functional` is the operator without mutation, for in-place and `out=` forms. `parts` says how it works on
    real and imaginary parts (`optc.ops.complex_parts`).
    The schema's text is parsed when it is first asked for: importing all declarations stays fast.
    """

    __slots__ = (
        "name", "rule", "reference", "lowering", "pure", "commutative", "may_fail", "random", "functional", "draws_when",
        "in_rows", "makes_rows", "is_elementwise", "asked_first", "accepts_untyped", "needs_elements", "needs_strides", "shares",
        "parts", "overlap",
        "_make_schema", "_schema",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        schema: Callable[[], FunctionSchema],
        rule: Callable[..., Any],
        reference: Callable[..., Any],
        lowering: Lowering,
        *,
        pure: bool = True,
        commutative: bool = False,
        may_fail: bool = False,
        random: bool = False,
        functional: Operator | None = None,
        accepts_untyped: bool = False,
        needs_elements: bool = False,
        needs_strides: bool = False,
        shares: Shares | None = None,
        draws_when: Shares | None = None,
        in_rows: bool = False,
        makes_rows: bool | Shares = False,
        is_elementwise: bool = False,
        asked_first: bool = False,
        overlap: Overlap = Overlap.ALIGNED,
        refuses: Refusals = (),
    ) -> None:
        self.name = name
        self.rule = guarded(schema, refuses, rule, rule) if refuses else rule
        self.reference = guarded(schema, refuses, reference, rule) if refuses else reference
        self.lowering = lowering
        self.pure = pure
        self.commutative = commutative
        self.may_fail = may_fail
        self.random = random
        self.functional = functional
        self.accepts_untyped = accepts_untyped
        self.needs_elements = needs_elements
        self.needs_strides = needs_strides
        self.shares = shares
        self.draws_when = draws_when
        self.in_rows = in_rows
        self.makes_rows = makes_rows
        self.is_elementwise = is_elementwise
        self.asked_first = asked_first
        self.overlap = overlap
        self.parts: Callable[..., Any] | None = None
        self._make_schema = schema
        self._schema: FunctionSchema | None = None

    @property
    def schema(self) -> FunctionSchema:
        """Torch's schema."""
        if self._schema is None:
            self._schema = self._make_schema()
        return self._schema

    def infer(self, *arguments: Any) -> Any:
        """The abstract result. Tensors without known dtype and rank give results of which nothing is known.

        Raises ShapeError, IndexError, TypeError ... with torch's text for arguments that must fail, UndecidedShape
        when only running the program tells.
        """
        if not self.accepts_untyped and any(map(_is_untyped, arguments)):
            results = tuple(_unknown_result(declared.type) for declared in self.schema.returns)
            return results[0] if len(results) == 1 else results
        return self.rule(*arguments)

    @property
    def mutates(self) -> bool:
        """True when it writes an argument."""
        return self.schema.is_mutable

    @property
    def is_view(self) -> bool:
        """True when a result may share memory with an argument."""
        return not self.mutates and any(value.alias for value in self.schema.returns)

    @property
    def has_effects(self) -> bool:
        """True when it may not be removed, duplicated or reordered even if its result is unused."""
        return self.mutates or self.random or not self.pure

    def __repr__(self) -> str:
        return f"<Operator {self.name}>"


def _is_untyped(argument: Any) -> bool:
    if isinstance(argument, TensorType):
        return not argument.is_typed
    if isinstance(argument, Unknown):
        return argument.type is types.UNKNOWN
    if not isinstance(argument, list | tuple) or PLAIN_CLASSES.issuperset(map(type, argument)):
        return False
    return any(map(_is_untyped, argument))


def _unknown_result(declared: Type) -> Any:
    if isinstance(declared, TensorType):
        return TENSOR
    return fresh() if isinstance(declared, IntType) else UNKNOWN


_operators: dict[str, Operator] = {}
_overloads: dict[str, list[Operator]] = {}


def define(
    schema: str,
    *,
    infer: Callable[..., Any],
    reference: Callable[..., Any],
    scalar: ScalarFunction | None = None,
    promotion: str = "common",
    exact: Sequence[int] = (),
    reduce: Reduction | None = None,
    layout: Callable[..., Any] | None = None,
    kernel: str | None = None,
    decompose: Callable[..., Any] | None = None,
    interpreted: str | None = None,
    pure: bool = True,
    commutative: bool = False,
    may_fail: bool = False,
    random: bool = False,
    inplace: bool = False,
    out: str | None = None,
    accepts_untyped: bool = False,
    needs_elements: bool = False,
    needs_strides: bool = False,
    shares: Shares | None = None,
    draws_when: Shares | None = None,
    in_rows: bool = False,
    makes_rows: bool | Shares = False,
    is_elementwise: bool = False,
    asked_first: bool = False,
    overlap: Overlap = Overlap.ALIGNED,
    refuses: Refusals = (),
) -> Operator:
    """Declare an operator. Exactly one of scalar, reduce, layout, kernel, decompose, interpreted is given.

    `inplace=True` also declares `name_`; `out="out"` also declares the overload of that name with an `out` argument.
    Raises ValueError when the declaration is incomplete or the operator exists.
    """
    given: list[Lowering] = []
    if scalar is not None:
        given.append(Pointwise(scalar, promotion, exact))
    if reduce is not None:
        given.append(reduce)
    if layout is not None:
        given.append(Layout(layout))
    if kernel is not None:
        given.append(Kernel(kernel))
    if decompose is not None:
        given.append(Decomposition(decompose))
    if interpreted is not None:
        given.append(Interpreted(interpreted))
    if len(given) != 1:
        raise ValueError(f"{schema}: exactly one lowering is needed, {len(given)} given")
    operator = Operator(
        schema.partition("(")[0],
        partial(parse_schema, schema),
        infer,
        reference,
        given[0],
        pure=pure,
        commutative=commutative,
        may_fail=may_fail,
        random=random,
        accepts_untyped=accepts_untyped,
        needs_elements=needs_elements,
        needs_strides=needs_strides,
        shares=shares,
        draws_when=draws_when,
        in_rows=in_rows,
        makes_rows=makes_rows,
        is_elementwise=is_elementwise,
        asked_first=asked_first,
        overlap=overlap,
        refuses=refuses,
    )
    _register(operator)
    if inplace:
        name, dot, overload = operator.name.partition(".")
        _register(_variant(operator, f"{name}_{dot}{overload}", _inplace_schema))
    if out is not None:
        _register(_variant(operator, f"{operator.name.partition('.')[0]}.{out}", _out_schema))
    return operator


def define_inplace(functional: Operator, overload: str, name: str | None = None) -> Operator:
    """Declare `name_.overload` for an operator whose in-place form has an overload name of its own (`pow_.Scalar`).

    `name` replaces the part before the dot (`aten::__ilshift__`).
    """
    written = name or f"{functional.name.partition('.')[0]}_"
    return _register(_variant(functional, f"{written}.{overload}" if overload else written, _inplace_schema))


def _register(operator: Operator) -> Operator:
    if operator.name in _operators:
        raise ValueError(f"{operator.name} is declared twice")
    _operators[operator.name] = operator
    _overloads.setdefault(operator.name.partition(".")[0], []).append(operator)
    return operator


def _variant(base: Operator, name: str, make_schema: Callable[[FunctionSchema, str], FunctionSchema]) -> Operator:
    """The mutating form of an operator: compute, then copy into the written argument."""
    written = 0 if make_schema is _inplace_schema else -1

    def functional_arguments(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return arguments if written == 0 else arguments[:-1]

    def infer(*arguments: Any) -> Any:
        result, target = base.infer(*functional_arguments(arguments)), arguments[written]
        if not (isinstance(result, TensorType) and result.is_typed):
            return target
        check_castable(result.dtype, target.dtype)
        if written == 0:
            check_written_shape(target.shape, result.shape)
            return target
        return target.with_shape(result.shape)

    def reference(*arguments: Any) -> Any:
        result, target = base.reference(*functional_arguments(arguments)), arguments[written]
        check_castable(from_numpy(result.dtype), from_numpy(target.dtype))
        check_written_shape(target.shape, result.shape)
        _write(target, result, base.overlap)
        return target

    return Operator(
        name,
        lambda: make_schema(base.schema, name),
        infer,
        reference,
        base.lowering,
        pure=base.pure,
        commutative=base.commutative,
        may_fail=True,
        random=base.random,
        functional=base,
        overlap=base.overlap,
    )


def _write(target: Any, result: Any, overlap: Overlap) -> None:
    """Write a result; where elements share a place, one that stays as it was does not undo what another became."""
    if overlap is Overlap.ANY and 0 in target.strides:
        changed = target != result
        target[changed] = result[changed]
    else:
        target[...] = result


def check_castable(result: DType | None, target: DType | None) -> None:
    """A result may be written into a tensor of its kind or a wider one. Raises RuntimeError with torch's text."""
    if result is None or target is None:
        return
    order = ("bool", "int", "float", "complex", "quantized")
    if order.index(result.kind) > order.index(target.kind):
        raise RuntimeError(f"result type {result.label} can't be cast to the desired output type {target.label}")


def check_written_shape(target: Sequence[Dim] | None, result: Sequence[Dim] | None) -> None:
    """An in-place operator keeps its argument's shape. Raises ShapeError with torch's text when it certainly changes."""
    if target is None or result is None or tuple(target) == tuple(result):
        return
    certain = len(target) != len(result) or any(same_dim(mine, other) is False for mine, other in zip(target, result))
    if certain:
        raise ShapeError(f"output with shape {list(target)} doesn't match the broadcast shape {list(result)}")
    raise UndecidedShape(f"is {list(target)} the same shape as {list(result)}?")


def _inplace_schema(schema: FunctionSchema, name: str) -> FunctionSchema:
    first = schema.arguments[0]
    written = Argument(first.name, first.type, alias="a!")
    returned = Argument("", TENSOR, alias="a!")
    name, _, overload = name.partition(".")
    return FunctionSchema(name, overload, (written, *schema.arguments[1:]), (returned,))


def _out_schema(schema: FunctionSchema, name: str) -> FunctionSchema:
    written = Argument("out", TENSOR, keyword_only=True, alias="a!")
    returned = Argument("", TENSOR, alias="a!")
    return FunctionSchema(schema.name, name.partition(".")[2], (*schema.arguments, written), (returned,))


def lookup(name: str) -> Operator | None:
    """The operator called `aten::add.Tensor`, None when there is none."""
    return _operators.get(name)


def overloads(name: str) -> list[Operator]:
    """All overloads of `aten::add`, in order of declaration (which is the order of overload resolution)."""
    return _overloads.get(name, [])


def all_operators() -> Iterator[Operator]:
    """Every operator, in order of declaration."""
    return iter(list(_operators.values()))


def operator_of(node: Node) -> Operator | None:
    """The operator a node stands for (resolved by overload name or by its inputs' types), None for prim nodes."""
    found: Operator | None = node.operator
    if found is not None:
        return found
    if node.kind not in _overloads:
        return None
    if node.overload is not None:
        node.operator = lookup(f"{node.kind}.{node.overload}" if node.overload else node.kind)
    if node.operator is None:
        node.operator = _match_node(node)
        if node.operator is not None:
            node.overload = node.operator.schema.overload
    return node.operator  # type: ignore[no-any-return]


def _match_node(node: Node) -> Operator | None:
    types = [value.type for value in node.inputs]
    for accepts in (is_subtype, _accepts_conversion):
        for operator in overloads(node.kind):
            arguments = operator.schema.arguments
            count_fits = len(arguments) == len(types) or (operator.schema.is_variadic and len(arguments) < len(types))
            if count_fits and all(map(lambda t, a: _fits(t, a.type, accepts), types, arguments)):
                return operator
    return None


def _fits(type_: Type, expected: Type, accepts: Callable[[Type, Type], bool]) -> bool:
    if isinstance(expected, VariableType):
        return True
    if isinstance(expected, ListType) and isinstance(type_, ListType):
        return type_ == expected or _fits(type_.element, expected.element, accepts)
    if isinstance(expected, OptionalType):
        inner = type_.element if isinstance(type_, OptionalType) else type_
        return type_ is NONE or _fits(inner, expected.element, accepts)
    if isinstance(expected, DictType) and isinstance(type_, DictType):
        return _fits(type_.key, expected.key, accepts) and _fits(type_.value, expected.value, accepts)
    if isinstance(expected, FutureType) and isinstance(type_, FutureType):
        return _fits(type_.element, expected.element, accepts)
    return accepts(type_, expected)


def _accepts_conversion(type_: Type, expected: Type) -> bool:
    """Loads of old archives and traces pass ints for floats, and numbers or strings for Scalars and devices."""
    if is_subtype(type_, expected):
        return True
    if isinstance(type_, IntType):
        return expected in (FLOAT, NUMBER) or expected is ANY
    return type_ is STRING
