"""Emits scalar expressions as LLVM instructions, for one element or for a vector of lanes.

The same function serves register regions and kernels: the caller says what the leaves are and how many lanes there
are. Functions such as `exp` have been expanded by `vector_math` before; what has no expansion is called in libm lane
by lane. A truth value is an `i1` in registers and a byte in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256

from optc.codegen.kernels import avx512, extremes
from optc.codegen.kernels.cost import usual_operands
from optc.codegen.kernels.quotients import integer_division
from optc.codegen.kernels.truncation import truncated
from optc.codegen.llvm import Builder, Value, like, undefined, vector_of
from optc.codegen.machine.host import Target
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ir.types import TensorType, Type
from optc.ops.complex_numbers import is_complex
from optc.ops.scalar import BINARY_FUNCTIONS, UNARY_FUNCTIONS, Expr, nodes, ordered

_LLVM_TYPES = {
    dtypes.FLOAT32: "float", dtypes.FLOAT64: "double", dtypes.FLOAT16: "half", dtypes.BFLOAT16: "bfloat",
    dtypes.INT64: "i64", dtypes.INT32: "i32", dtypes.INT16: "i16", dtypes.INT8: "i8", dtypes.UINT8: "i8",
    dtypes.BOOL: "i1",
}  # fmt: skip

SUPPORTED_DTYPES = frozenset(_LLVM_TYPES)


def is_native_tensor(type_: Type) -> bool:
    """True for tensors that native code can hold: of known rank, and of a type of elements that LLVM has."""
    return isinstance(type_, TensorType) and type_.dtype in SUPPORTED_DTYPES and type_.shape is not None


def is_exchanged(type_: Type) -> bool:
    """True for tensors that native code takes from callers and gives them: complex ones as pairs of real numbers."""
    return is_native_tensor(type_) or is_complex(type_)


def register_type(dtype: DType, lanes: int = 0) -> str:
    """The LLVM type of an element, or of a vector of `lanes` of them."""
    return vector_of(_LLVM_TYPES[dtype], lanes)


def memory_type(dtype: DType, lanes: int = 0) -> str:
    """As `register_type`, but as stored: booleans are bytes."""
    return vector_of("i8" if dtype is dtypes.BOOL else _LLVM_TYPES[dtype], lanes)


def from_memory(b: Builder, value: Value, dtype: DType) -> Value:
    """A loaded value in its register form."""
    return b.icmp("ne", value, 0) if dtype is dtypes.BOOL else value


def to_memory(b: Builder, value: Value, dtype: DType) -> Value:
    """A value in the form it is stored in."""
    return b.zext(value, "i8") if dtype is dtypes.BOOL else value


class ExpressionEmitter:
    """Emits expressions with shared subexpressions emitted once.

    `leaf(expr)` gives the value of an `input`, `load`, `at`, `local` or `index` with the emitter's lanes;
    `known` are the values of expressions that have been emitted before. `reads_constants`: LLVM is to read them from
    memory where they are used, not to keep them in registers.
    """

    def __init__(
        self,
        b: Builder,
        lanes: int,
        leaf: Callable[[Expr], Value],
        target: Target,
        known: Mapping[Expr, Value] | None = None,
        reads_constants: bool = False,
    ) -> None:
        self.reads_constants = reads_constants
        self.b = b
        self.lanes = lanes
        self.leaf = leaf
        self.target = target
        self.done: dict[Expr, Value] = dict(known or {})

    def emit(self, expr: Expr) -> Value:
        """The value of an expression."""
        if expr.op == "const" and self.reads_constants:
            return self._constant(expr)  # read again for every use, or it would stay in a register from the first on
        if expr in self.done:
            return self.done[expr]
        for node in ordered(expr, self._first):
            if node not in self.done:
                self.done[node] = self._emit(node)
        return self.done[expr]

    def _first(self, expr: Expr) -> tuple[Expr, ...]:
        """What is emitted before an expression."""
        if expr in self.done or expr.op == "at":
            return ()
        return tuple(operand for operand in usual_operands(expr) if operand.op != "const")

    def _emit(self, expr: Expr) -> Value:
        if expr.op == "const":
            return self._constant(expr)
        if not expr.args or expr.op == "at":
            return self.leaf(expr)
        if expr.op == "rarely":
            return self._emit_rarely(*expr.args)
        args = [self.emit(arg) for arg in expr.args]
        if expr.op == "table":
            return self._look_up(expr, args[0])
        if expr.op in _AVX512:
            return _AVX512[expr.op](self.b, *args)
        if expr.op in UNARY_FUNCTIONS or expr.op in BINARY_FUNCTIONS:
            return call_library(self.b, expr.op, args)
        if expr.op == "bitcast":
            return self.b.bitcast(args[0], register_type(expr.dtype, self.lanes))
        if expr.op == "cast":
            return cast(self.b, args[0], expr.args[0].dtype, expr.dtype, self.target)
        if expr.op == "fma":
            return self._fused(args, expr.args[2])
        if expr.op in ("maximum", "minimum"):
            for place, bound in enumerate(expr.args):
                if _is_number(bound):
                    return _bounded(self.b, expr.op, args[1 - place], args[place])
            quick = extremes.extremum(self.b, expr.op, args[0], args[1], self.target)
            if quick is not None:
                return quick
        if expr.op in ("div", "rem") and expr.dtype.kind != "float":
            is_fixed = expr.args[1].op == "const"
            return integer_division(self.b, expr.op, args[0], args[1], expr.dtype, is_fixed)
        return primitive(self.b, expr.op, args, expr.args[0].dtype)

    def _constant(self, expr: Expr) -> Value:
        if self.reads_constants and self._fills_register(expr):
            return self._read_constant(expr)
        return self.b.constant(register_type(expr.dtype, self.lanes), expr.value)

    def _fills_register(self, constant: Expr) -> bool:
        is_float = constant.dtype.kind == "float"
        return is_float and self.lanes * constant.dtype.itemsize == self.target.vector_bytes

    def _read_constant(self, expr: Expr) -> Value:
        b, bytes_ = self.b, self.target.vector_bytes
        address = b.module.repeated_data(register_type(expr.dtype), expr.value, self.lanes, bytes_)
        return b.load(register_type(expr.dtype, self.lanes), address, bytes_)

    def _fused(self, args: list[Value], addend: Expr) -> Value:
        """args[0] * args[1] + args[2].

        Constants of polynomials are more than 16 registers hold, and LLVM would load them one by one: there, they are
        read by the instruction that adds them.
        """
        b, target = self.b, self.target
        if not target.fma:
            return b.fadd(b.fmul(args[0], args[1], ""), args[2], "")
        if addend.op != "const" or not target.has_few_registers or not self._fills_register(addend):
            return b.fma(*args)
        return b.fma(args[0], args[1], self._read_constant(addend))

    def _emit_rarely(self, condition: Expr, unusual: Expr, usual: Expr) -> Value:
        """The unusual case is computed lane by lane: it needs to be short, not fast."""
        b = self.b
        flags, common = self.emit(condition), self.emit(usual)
        for leaf in _leaves(unusual):
            self.emit(leaf)
        needed = b.reduce("or", flags) if self.lanes else flags
        with b.if_then_else(needed, likely=False) as (then, otherwise):
            with then:
                then.yield_([self._lane_by_lane(flags, unusual, common)])
            with otherwise:
                otherwise.yield_([common])
        return then.results[0]

    def _lane_by_lane(self, flags: Value, unusual: Expr, common: Value) -> Value:
        b = self.b
        if not self.lanes:
            return ExpressionEmitter(b, 0, self.leaf, self.target, self.done).emit(unusual)
        with b.for_loop(0, self.lanes, carried=[common], nonempty=True) as loop:
            lane = b.trunc(loop.index, "i32")
            known = {node: b.extractelement(self.done[node], lane) for node in _frontier(unusual, self.done)}
            inside = ExpressionEmitter(b, 0, self.leaf, self.target, known)
            changed = b.insertelement(loop.carried[0], inside.emit(unusual), lane)
            loop.yield_([b.select(b.extractelement(flags, lane), changed, loop.carried[0])])
        return loop.results[0]

    def _look_up(self, expr: Expr, index: Value) -> Value:
        element = register_type(expr.dtype)
        if self.target.avx512 and len(expr.value) in (64 // expr.dtype.itemsize, 128 // expr.dtype.itemsize):
            return avx512.look_up(self.b, index, expr.value, element)
        return _look_up_in_memory(self.b, index, expr.value, element)


def emit_abreast(emitters: Sequence[ExpressionEmitter], expressions: tuple[Expr, ...]) -> None:
    """Emit expressions of one form, one per emitter, each instruction of all of them before the next: what they compute
    takes its turns in the processor. Where their forms differ the rest is left to `emit`."""
    orders = [[node for node in ordered(expr, _read_operands) if node.op != "const"] for expr in expressions]
    if len(set(map(len, orders))) > 1:
        return
    for same in zip(*orders, strict=True):
        for emitter, expr in zip(emitters, same, strict=True):
            emitter.emit(expr)


def _read_operands(expr: Expr) -> tuple[Expr, ...]:
    """The operands that are emitted where the expression is."""
    return () if expr.op == "at" else usual_operands(expr)


def _frontier(expr: Expr, done: Mapping[Expr, Value]) -> list[Expr]:
    """The outermost parts of an expression that have been emitted, constants aside."""
    found = nodes(expr, lambda node: () if node in done else node.args)
    return [node for node in found if node in done and node.op != "const"]


def _leaves(expr: Expr) -> Iterator[Expr]:
    """What an expression reads."""
    found = nodes(expr, lambda node: () if node.op == "at" else node.args)
    return (node for node in found if node.op == "at" or (not node.args and node.op != "const"))


_AVX512: dict[str, Callable[..., Value]] = {
    "scale": avx512.scale,
    "exponent": avx512.exponent,
    "mantissa": avx512.mantissa,
    "confine": avx512.confine,
}


def _look_up_in_memory(b: Builder, index: Value, entries: tuple[float, ...], element: str) -> Value:
    """One load per lane."""
    digest = sha256(repr((element, entries)).encode()).hexdigest()[:16]
    data = b.module.constant_data(f"table.{digest}", element, entries)
    places = b.and_(index, len(entries) - 1)
    if not places.lanes:
        return b.load(element, b.gep(element, data, b.zext(places, "i64")), invariant=True)
    vector = undefined(vector_of(element, places.lanes))
    for lane in range(places.lanes):
        place = b.zext(b.extractelement(places, lane), "i64")
        vector = b.insertelement(vector, b.load(element, b.gep(element, data, place), invariant=True), lane)
    return vector


def call_library(b: Builder, name: str, args: list[Value]) -> Value:
    """A call of libm's function for every lane."""
    element = args[0].type if not args[0].lanes else args[0].type.split(" x ")[1][:-1]
    suffix = "f" if element == "float" else ""
    declared = b.module.declare(f"{name}{suffix}", element, [element] * len(args), "nounwind willreturn")
    if not args[0].lanes:
        return b.call(declared, *args)
    result = b.constant(args[0].type, 0.0)
    for lane in range(args[0].lanes):
        result = b.insertelement(result, b.call(declared, *(b.extractelement(arg, lane) for arg in args)), lane)
    return result


def cast(b: Builder, value: Value, source: DType, target: DType, processor: Target | None = None) -> Value:
    """C's conversion between element types; what does not fit an int is its smallest number, anything non-zero is true.

    `processor`: whose instructions may be used, None for none in particular."""
    if source is target:
        return value
    wanted = like(value.type, _LLVM_TYPES[target])
    if source is dtypes.BFLOAT16 and target.kind != "float":
        value, source = b.fpext(value, "float"), dtypes.FLOAT32
    if target is dtypes.BOOL:
        return b.fcmp("une", value, 0.0) if source.kind == "float" else b.icmp("ne", value, 0)
    if source.kind == "float" and target.kind == "float":
        return _cast_float(b, value, source, target)
    if source.kind == "float":
        return _float_to_integer(b, value, target, processor)
    if target.kind == "float":
        return _integer_to_float(b, value, source, target)
    if source.itemsize == target.itemsize and source is not dtypes.BOOL:
        return value
    if target.itemsize < source.itemsize:
        return b.trunc(value, wanted)
    return b.zext(value, wanted) if source in (dtypes.UINT8, dtypes.BOOL) else b.sext(value, wanted)


def _integer_to_float(b: Builder, value: Value, source: DType, target: DType) -> Value:
    """By way of float32 to the types of two bytes, as in PyTorch."""
    wide = value if source is not dtypes.BOOL else b.zext(value, "i32")
    convert = b.uitofp if source in (dtypes.UINT8, dtypes.BOOL) else b.sitofp
    if target.itemsize == 2:
        return b.fptrunc(convert(wide, "float"), _LLVM_TYPES[target])
    return convert(wide, _LLVM_TYPES[target])


def _cast_float(b: Builder, value: Value, source: DType, target: DType) -> Value:
    wanted = like(value.type, _LLVM_TYPES[target])
    if source.itemsize == target.itemsize:
        return _narrowed(b, b.fpext(value, like(value.type, "float")), wanted)
    if source.itemsize == 8 and target.itemsize == 2:
        return _narrowed(b, _rounded_to_odd(b, value), wanted)
    return b.fpext(value, wanted) if target.itemsize > source.itemsize else _narrowed(b, value, wanted)


def _narrowed(b: Builder, value: Value, wanted: str) -> Value:
    """The nearest number of a narrower type. For few bfloat16 numbers LLVM would call a library that is not there."""
    if not wanted.endswith(("bfloat", "bfloat>")) or (value.lanes or 0) >= 8:
        return b.fptrunc(value, wanted)
    bits = b.bitcast(value, like(value.type, "i32"))
    last = b.and_(b.lshr(bits, 16), 1)
    rounded = b.add(bits, b.add(last, 0x7FFF))
    quiet = b.select(b.fcmp("uno", value, value), b.or_(bits, 0x400000), rounded)
    return b.bitcast(b.trunc(b.lshr(quiet, 16), like(value.type, "i16")), wanted)


def _rounded_to_odd(b: Builder, value: Value) -> Value:
    """A double as a float whose last bit is set when it is inexact: rounding it again gives what rounding once does."""
    single = b.fptrunc(value, like(value.type, "float"))
    back = b.fpext(single, value.type)
    bits = b.bitcast(single, like(value.type, "i32"))
    grown = b.fcmp("ogt", b.intrinsic("fabs", value.type, back), b.intrinsic("fabs", value.type, value))
    toward_zero = b.sub(bits, b.zext(grown, bits.type))
    odd = b.or_(toward_zero, b.zext(b.fcmp("one", back, value), bits.type))
    return b.bitcast(odd, single.type)


def _float_to_integer(b: Builder, value: Value, target: DType, processor: Target | None) -> Value:
    """As the machine (and numpy, and torch) does it: what does not fit, and NaN, gives the smallest number."""
    width = 32 if target.itemsize < 8 else 64
    number = truncated(b, value, width, processor) if processor is not None else None
    if number is None:
        number = b.fptosi(value, like(value.type, f"i{width}"), saturating=True)
        fits = b.fcmp("olt", value, 2.0 ** (width - 1))
        number = b.select(fits, number, b.constant(number.type, -(2 ** (width - 1))))
    return number if target.itemsize >= 4 else b.trunc(number, like(value.type, _LLVM_TYPES[target]))


_COMPARISONS = {
    "eq": ("oeq", "eq", "eq"), "ne": ("une", "ne", "ne"), "lt": ("olt", "slt", "ult"), "le": ("ole", "sle", "ule"),
    "gt": ("ogt", "sgt", "ugt"), "ge": ("oge", "sge", "uge"),
}  # fmt: skip
_INTRINSICS = {"sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "roundeven"}
_FLOAT_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "rem": "frem"}
_INTEGER_ARITHMETIC = {"add": "add", "sub": "sub", "mul": "mul", "and": "and_", "or": "or_", "xor": "xor",
                       "shl": "shl", "shr": "ashr", "lshr": "lshr"}  # fmt: skip


def primitive(b: Builder, op: str, args: list[Value], dtype: DType) -> Value:
    """One primitive on operands of element type `dtype` (of the first operand)."""
    if op in _COMPARISONS:
        return _compare(b, op, args, dtype)
    if op == "select":
        return b.select(args[0], args[1], args[2])
    if op == "not":
        return b.not_(args[0])
    if op in ("maximum", "minimum", "maxnum", "minnum"):
        return _extremum(b, op, args, dtype)
    if dtype.kind == "float":
        return _float_primitive(b, op, args)
    return _integer_primitive(b, op, args, dtype)


def _compare(b: Builder, op: str, args: list[Value], dtype: DType) -> Value:
    ordered, signed, unsigned = _COMPARISONS[op]
    if dtype.kind == "float":
        return b.fcmp(ordered, args[0], args[1])
    return b.icmp(signed if dtype.is_signed else unsigned, args[0], args[1])


def _is_number(expr: Expr) -> bool:
    """True for a constant of floating point that is not NaN."""
    return expr.op == "const" and expr.dtype.kind == "float" and not math.isnan(expr.value)


def _bounded(b: Builder, op: str, value: Value, bound: Value) -> Value:
    """`maximum` or `minimum` of a value and a number: one instruction on x86, which returns its second operand on NaN."""
    return b.select(b.fcmp("ogt" if op == "maximum" else "olt", bound, value), bound, value)


def _extremum(b: Builder, op: str, args: list[Value], dtype: DType) -> Value:
    """The machine's max/min returns its second operand on NaN. `maximum` and `minimum` look at the right one, and take
    the left one of two zeros, as `extremes` does: a lane gets what an element alone gets."""
    left, right = args
    greater = op.startswith("max")
    if dtype.kind != "float":
        return b.select(_compare(b, "gt" if greater else "lt", args, dtype), left, right)
    if op in ("maxnum", "minnum"):
        return b.select(b.fcmp("ogt" if greater else "olt", left, right), left, right)
    chosen = b.select(b.fcmp("ogt" if greater else "olt", right, left), right, left)
    return b.select(b.fcmp("uno", right, right), right, chosen)


def _float_primitive(b: Builder, op: str, args: list[Value]) -> Value:
    if op in _FLOAT_ARITHMETIC:
        if op == "rem":
            return b.frem(*args)
        # Never contracted: which product LLVM fuses with a sum depends on the code around, and with it the last bit.
        result: Value = getattr(b, _FLOAT_ARITHMETIC[op])(*args, flags="")
        return result
    if op == "neg":
        return b.fneg(args[0])
    if op == "fma":
        return b.fma(args[0], args[1], args[2])
    if op == "abs":
        return b.intrinsic("fabs", args[0].type, args[0])
    if op == "copysign":
        return b.intrinsic("copysign", args[0].type, *args)
    return b.intrinsic(_INTRINSICS[op], args[0].type, args[0])


def _integer_primitive(b: Builder, op: str, args: list[Value], dtype: DType) -> Value:
    if op in _INTEGER_ARITHMETIC:
        result: Value = getattr(b, _INTEGER_ARITHMETIC[op])(*args)
        return result
    if op == "neg":
        return b.sub(0, args[0])
    if op == "abs":
        if not dtype.is_signed:
            return args[0]
        return b.select(b.icmp("slt", args[0], 0), b.sub(0, args[0]), args[0])
    return args[0]  # floor, ceil, trunc and round of an integer
