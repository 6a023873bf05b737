"""The LLVM IR emitter: the one place that knows how LLVM's text looks.  Pure text, no llvmlite.

A `Module` collects functions, constants and declarations, and `str(module)` is the text.  A `Builder` writes into one
function, at the end of its current block::

    module = Module("example")
    function = module.function("total", "float", [Parameter("ptr", "data", NOALIAS_READONLY), Parameter("i64", "count")])
    data, count = function.arguments
    b = Builder(function)
    with b.for_loop(0, count, carried=[b.constant("float", 0.0)]) as loop:
        element = b.load("float", b.gep("float", data, loop.index))
        loop.yield_([b.fadd(loop.carried[0], element)])
    b.ret(loop.results[0])

Values and types.  A `Value` is a type and the text of an operand; both are strings in LLVM's own spelling ("float",
"i64", "ptr", "<16 x float>").  Wherever a method takes an `Operand`, a Python number stands for a constant of the type
that the other operands (or the method's documentation) give it.  Operand types are checked when the instruction is
written, so a wrong type is a `TypeError` at the emitting line and not a parser message much later.

Control flow.  `for_loop`, `while_loop`, `if_then` and `if_then_else` are context managers; afterwards the builder stands
behind the construct.  Values that differ between paths go through `yield_` and come back as `results`::

    with b.if_then_else(condition) as (then, otherwise):
        with then:
            then.yield_([x])
        with otherwise:
            otherwise.yield_([y])
    merged, = then.results

Loops are written in rotated form (test at the bottom, guard before) and marked so that LLVM neither unrolls nor
vectorises them: the emitter decides both.

Floating point.  `fadd`, `fsub` and `fmul` carry `contract` unless told otherwise, so that LLVM may form fused
multiply-adds; `nnan` and `ninf` are refused, because infinities and NaNs are ordinary values here.  Reductions of
vectors carry `reassoc`.
"""

import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Self

NOALIAS_READONLY = "noalias readonly nonnull"
NOALIAS = "noalias nonnull"

_FLOAT_BITS = {"half": 16, "bfloat": 16, "float": 32, "double": 64}
_VECTOR = re.compile(r"<(\d+) x (.+)>")
_PLAIN_NAME = re.compile(r"[A-Za-z$._][A-Za-z0-9$._]*")
_ALLOWED_FLAGS = frozenset({"contract", "reassoc", "nsz", "arcp", "afn"})


@dataclass(frozen=True, slots=True)
class Value:
    """An operand: its LLVM type and its text (`%x.3`, `4.0` in hexadecimal, `@table`)."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type} {self.name}"

    @property
    def lanes(self) -> int:
        """How many lanes the value has; 0 for a scalar."""
        return vector_lanes(self.type)


Operand = Value | int | float | bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function: type, name, and attributes in LLVM's spelling (`noalias nonnull align 64`)."""

    type: str
    name: str
    attributes: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """A function that is defined elsewhere; what `Builder.call` needs to know of it."""

    name: str
    return_type: str
    parameter_types: tuple[str, ...]
    attributes: str = ""

    @property
    def pointer(self) -> Value:
        return Value("ptr", symbol(self.name))

    def __str__(self) -> str:
        attributes = f" {self.attributes}" if self.attributes else ""
        return f"declare {self.return_type} {symbol(self.name)}({', '.join(self.parameter_types)}){attributes}"


# Types -----------------------------------------------------------------------------------------------------------


@cache
def vector_lanes(type_: str) -> int:
    """The lanes of a vector type; 0 for a scalar type."""
    match = _VECTOR.fullmatch(type_)
    return int(match[1]) if match else 0


@cache
def element_type(type_: str) -> str:
    """The element type of a vector type; a scalar type is its own element type."""
    match = _VECTOR.fullmatch(type_)
    return match[2] if match else type_


def vector_of(element: str, lanes: int) -> str:
    """The vector type with `lanes` elements; the scalar type itself for `lanes == 0`."""
    return f"<{lanes} x {element}>" if lanes else element


def like(type_: str, element: str) -> str:
    """A type with the lanes of `type_` and the given element type."""
    return vector_of(element, vector_lanes(type_))


def is_float(type_: str) -> bool:
    return element_type(type_) in _FLOAT_BITS


@cache
def bit_width(type_: str) -> int:
    """The bits of one element of `type_`; a pointer counts 64."""
    element = element_type(type_)
    if element in _FLOAT_BITS:
        return _FLOAT_BITS[element]
    if element == "ptr":
        return 64
    return int(element[1:])


def byte_size(type_: str) -> int:
    """The bytes that a value of `type_` takes in memory (an `i1` takes one)."""
    return max(1, vector_lanes(type_)) * max(1, bit_width(type_) // 8)


@cache
def mangled(type_: str) -> str:
    """The spelling of a type inside the name of an overloaded intrinsic."""
    lanes = vector_lanes(type_)
    if lanes:
        return f"v{lanes}{mangled(element_type(type_))}"
    if type_ == "ptr":
        return "p0"
    if type_ == "bfloat":
        return "bf16"
    return f"f{_FLOAT_BITS[type_]}" if type_ in _FLOAT_BITS else type_


def symbol(name: str) -> str:
    """A global name as an operand, quoted where LLVM needs it."""
    if _PLAIN_NAME.fullmatch(name):
        return f"@{name}"
    escaped = name.replace("\\", "\\5C").replace('"', "\\22")
    return f'@"{escaped}"'


# Constants -------------------------------------------------------------------------------------------------------


def constant(type_: str, value: float | Sequence[float]) -> Value:
    """A constant.  A number for a vector type is a splat, a sequence gives the lanes one by one.

    Floats are printed exactly: the value is rounded to the element type first, infinities become themselves.
    Raises: ValueError for an integer that does not fit its type.
    """
    if isinstance(value, Sequence):
        return _vector_constant(type_, value)
    lanes = vector_lanes(type_)
    if not lanes:
        return Value(type_, _scalar_constant(type_, value))
    element = element_type(type_)
    return Value(type_, f"splat ({element} {_scalar_constant(element, value)})")


def _vector_constant(type_: str, values: Sequence[float]) -> Value:
    if len(values) != vector_lanes(type_):
        raise ValueError(f"{len(values)} elements for a constant of type {type_}")
    element = element_type(type_)
    return Value(type_, "<" + ", ".join(f"{element} {_scalar_constant(element, value)}" for value in values) + ">")


def _scalar_constant(type_: str, value: float) -> str:
    if type_ in _FLOAT_BITS:
        return _float_constant(type_, float(value))
    if type_ == "ptr":
        if value != 0:
            raise ValueError("the only constant pointer is null: addresses must come in at run time")
        return "null"
    if type_ == "i1":
        return "true" if value else "false"
    integer = int(value)
    bits = bit_width(type_)
    if integer != value or not -(1 << (bits - 1)) <= integer < (1 << bits):
        raise ValueError(f"{value!r} does not fit {type_}")
    return str(integer)


def _float_constant(type_: str, value: float) -> str:
    if type_ == "half":
        return f"0xH{_packed('<e', value):04X}"
    if type_ == "bfloat":
        return f"0xR{_bfloat_bits(value):04X}"
    if type_ == "float":
        value = struct.unpack("<f", struct.pack("<I", _packed("<f", value)))[0]
    return f"0x{_packed('<d', value):016X}"


def _packed(code: str, value: float) -> int:
    """The bits of `value` in the format of struct code `code`; what is too large becomes infinite."""
    try:
        data = struct.pack(code, value)
    except OverflowError:
        data = struct.pack(code, math.copysign(math.inf, value))
    return int.from_bytes(data, "little")


def _bfloat_bits(value: float) -> int:
    bits = _packed("<f", value)
    if math.isnan(value):
        return (bits >> 16) | 0x40
    return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16


def undefined(type_: str) -> Value:
    """A value that nobody may look at (LLVM's poison): lanes that are filled in later."""
    return Value(type_, "poison")


# Module and function ---------------------------------------------------------------------------------------------


class Module:
    """Functions, constants and declarations that are compiled together.  `str()` gives the text."""

    def __init__(self, name: str = "optc") -> None:
        self.name = name
        self.functions: dict[str, Function] = {}
        self._globals: dict[str, str] = {}
        self._declarations: dict[str, Declaration] = {}
        self._metadata: list[str] = []

    def function(self, name: str, return_type: str, parameters: Sequence[Parameter], *,
                 private: bool = False, attributes: str = "nounwind") -> "Function":
        """Start the definition of a function.  `private` keeps the symbol inside the object.

        Raises: ValueError when the name is taken.
        """
        if name in self.functions:
            raise ValueError(f"function {name!r} is defined twice")
        function = Function(self, name, return_type, tuple(parameters), "internal" if private else "", attributes)
        self.functions[name] = function
        return function

    def declare(self, name: str, return_type: str, parameter_types: Sequence[str],
                attributes: str = "nounwind") -> Declaration:
        """Declare a function that is defined in another object, in the process or by LLVM (intrinsics).

        Declaring the same again is free; declaring it differently raises ValueError.
        """
        declaration = Declaration(name, return_type, tuple(parameter_types), attributes)
        known = self._declarations.setdefault(name, declaration)
        if (known.return_type, known.parameter_types) != (return_type, declaration.parameter_types):
            raise ValueError(f"{name} was declared as {known} and now as {declaration}")
        return known

    def constant_data(self, name: str, type_: str, values: Sequence[float], align: int = 64) -> Value:
        """A read-only array of `values` with elements of a scalar type; returns its address.

        The name may be used again for the same contents.  Raises: ValueError for other contents.
        """
        elements = ", ".join(f"{type_} {_scalar_constant(type_, value)}" for value in values)
        return self._global(name, f"[{len(values)} x {type_}] [{elements}]", "constant", align)

    def variable(self, name: str, type_: str, align: int = 8) -> Value:
        """A zero-initialised mutable global, private to the module; returns its address."""
        return self._global(name, f"{type_} zeroinitializer", "global", align)

    def _global(self, name: str, initializer: str, kind: str, align: int) -> Value:
        text = f"{symbol(name)} = private unnamed_addr {kind} {initializer}, align {align}"
        if kind == "global":
            text = text.replace("unnamed_addr ", "")
        if self._globals.setdefault(name, text) != text:
            raise ValueError(f"global {name!r} already has other contents")
        return Value("ptr", symbol(name))

    def loop_metadata(self) -> str:
        """A fresh loop identity that forbids unrolling and vectorising."""
        if not self._metadata:
            self._metadata += ['!0 = !{!"llvm.loop.unroll.disable"}',
                               '!1 = !{!"llvm.loop.vectorize.enable", i1 false}',
                               '!2 = !{!"branch_weights", i32 2000, i32 1}',
                               '!3 = !{!"branch_weights", i32 1, i32 2000}']
        number = len(self._metadata)
        self._metadata.append(f"!{number} = distinct !{{!{number}, !0, !1}}")
        return f"!llvm.loop !{number}"

    def branch_weights(self, likely: bool) -> str:
        """Metadata that says which way a branch usually goes."""
        if not self._metadata:
            self.loop_metadata()
        return "!prof !2" if likely else "!prof !3"

    def __str__(self) -> str:
        declarations = [str(d) for name, d in self._declarations.items() if name not in self.functions]
        sections = [[f"; module {self.name}"], list(self._globals.values()), declarations,
                    [str(function) for function in self.functions.values()], self._metadata]
        return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


@dataclass(eq=False, slots=True)
class _Phi:
    """A phi whose incoming values are still being collected."""

    result: Value
    incoming: list[tuple[Value, str]] = field(default_factory=list)

    def __str__(self) -> str:
        pairs = ", ".join(f"[ {value.name}, %{label} ]" for value, label in self.incoming)
        return f"{self.result.name} = phi {self.result.type} {pairs}"


class Block:
    """A basic block: a label and its instructions."""

    __slots__ = ("label", "lines", "terminated")

    def __init__(self, label: str) -> None:
        self.label = label
        self.lines: list[str | _Phi] = []
        self.terminated = False

    def __str__(self) -> str:
        return "\n".join([f"{self.label}:", *(f"  {line}" for line in self.lines)])


class Function:
    """A function being written.  `arguments` are its parameters as values; the blocks come from a `Builder`."""

    def __init__(self, module: Module, name: str, return_type: str, parameters: tuple[Parameter, ...],
                 linkage: str, attributes: str) -> None:
        self.module = module
        self.name = name
        self.return_type = return_type
        self.parameters = parameters
        self.linkage = linkage
        self.attributes = attributes
        self.arguments = [Value(parameter.type, f"%{parameter.name}") for parameter in parameters]
        self.blocks: list[Block] = []
        self.allocations: list[str] = []
        self._counter = 0

    @property
    def pointer(self) -> Value:
        return Value("ptr", symbol(self.name))

    @property
    def parameter_types(self) -> tuple[str, ...]:
        return tuple(parameter.type for parameter in self.parameters)

    def fresh(self, hint: str) -> str:
        """A name that this function has not used: `hint` and a number."""
        self._counter += 1
        return f"{hint}.{self._counter}"

    def declaration(self) -> Declaration:
        """What another module needs to call this function."""
        return Declaration(self.name, self.return_type, self.parameter_types, self.attributes)

    def __str__(self) -> str:
        parameters = ", ".join(" ".join(filter(None, (p.type, p.attributes, f"%{p.name}"))) for p in self.parameters)
        head = " ".join(filter(None, ("define", self.linkage, self.return_type)))
        blocks = [str(block) for block in self.blocks]
        if self.allocations:
            label, _, rest = blocks[0].partition("\n")
            blocks[0] = "\n".join([label, *(f"  {line}" for line in self.allocations), rest])
        attributes = f" {self.attributes}" if self.attributes else ""
        return f"{head} {symbol(self.name)}({parameters}){attributes} {{\n" + "\n".join(blocks) + "\n}\n"


# Control flow ----------------------------------------------------------------------------------------------------


class _Yielding:
    """What loops and arms share: values handed over once, types checked."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._yielded: list[Value] | None = None

    def yield_(self, values: Sequence[Value]) -> None:
        """Hand over the values that the next iteration, or the code behind the construct, continues with.

        Raises: ValueError on a second call.
        """
        if self._yielded is not None:
            raise ValueError(f"{self._what} yields twice")
        self._yielded = list(values)


class ForLoop(_Yielding):
    """A counted loop; see `Builder.for_loop`."""

    def __init__(self, index: Value, carried: list[Value]) -> None:
        super().__init__("a for loop")
        self.index = index
        self.carried = carried
        self._results: list[Value] | None = None

    @property
    def results(self) -> list[Value]:
        """The carried values after the loop.  Raises: ValueError inside of it."""
        if self._results is None:
            raise ValueError("the results of a loop exist only behind it")
        return self._results


class WhileLoop(_Yielding):
    """A loop that runs while a condition holds; see `Builder.while_loop`."""

    def __init__(self, builder: "Builder", carried: list[Value], exit_block: Block) -> None:
        super().__init__("a while loop")
        self._builder = builder
        self._exit = exit_block
        self._tested = False
        self.carried = carried

    @property
    def results(self) -> list[Value]:
        """The carried values as they were when the condition failed."""
        return self.carried

    def while_(self, condition: Value) -> None:
        """Leave the loop unless `condition` (i1) holds.  Must be called exactly once, before `yield_`."""
        if self._tested:
            raise ValueError("a while loop tests twice")
        self._tested = True
        body = self._builder.new_block("while.body")
        self._builder.cond_br(condition, body, self._exit)
        self._builder.position_at_end(body)


class Arm(_Yielding):
    """One side of `Builder.if_then_else`; a context manager."""

    def __init__(self, builder: "Builder", block: Block, merge: Block) -> None:
        super().__init__("an arm")
        self._builder = builder
        self._block = block
        self._merge = merge
        self._entered = False
        self.incoming: list[tuple[list[Value], str]] = []
        self.other: Arm | None = None
        self._results: list[Value] | None = None

    def __enter__(self) -> Self:
        self._entered = True
        self._builder.position_at_end(self._block)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is not None or self._builder.block.terminated:
            return
        self.incoming.append((self._yielded or [], self._builder.block.label))
        self._builder.br(self._merge)

    @property
    def entered(self) -> bool:
        return self._entered

    @property
    def results(self) -> list[Value]:
        """The merged values behind the construct (the same from both arms)."""
        if self._results is None:
            raise ValueError("the results of an if exist only behind it")
        return self._results

    def merge_results(self, results: list[Value]) -> None:
        self._results = results


# Builder ---------------------------------------------------------------------------------------------------------


class Builder:
    """Writes instructions into a function.  A new builder of an empty function starts its entry block."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.module = function.module
        self.block = function.blocks[-1] if function.blocks else self.new_block("entry")

    # Blocks

    def new_block(self, hint: str = "block") -> Block:
        """A new block at the end of the function; the builder does not move."""
        block = Block(self.function.fresh(hint))
        self.function.blocks.append(block)
        return block

    def position_at_end(self, block: Block) -> None:
        """Continue at the end of `block`."""
        self.block = block
        blocks = self.function.blocks
        if block.lines or block is blocks[0]:
            return
        # Blocks print in the order in which they are first written, so that the text reads like the program.
        blocks.remove(block)
        blocks.append(block)

    def _line(self, line: str) -> None:
        if self.block.terminated:
            raise ValueError(f"instruction behind the end of block {self.block.label}: {line}")
        self.block.lines.append(line)

    def _terminate(self, line: str) -> None:
        self._line(line)
        self.block.terminated = True

    def _result(self, type_: str, text: str, hint: str = "v") -> Value:
        value = Value(type_, f"%{self.function.fresh(hint)}")
        self._line(f"{value.name} = {text}")
        return value

    def comment(self, text: str) -> None:
        """A comment line in the text."""
        self._line("; " + text.replace("\n", " "))

    # Constants

    def constant(self, type_: str, value: float | Sequence[float]) -> Value:
        """See `constant`."""
        return constant(type_, value)

    def _operand(self, type_: str, operand: Operand) -> Value:
        if not isinstance(operand, Value):
            return constant(type_, operand)
        if operand.type != type_:
            raise TypeError(f"expected an operand of type {type_}, got {operand}")
        return operand

    def _pair(self, first: Operand, second: Operand) -> tuple[Value, Value]:
        if isinstance(first, Value):
            return first, self._operand(first.type, second)
        if isinstance(second, Value):
            return self._operand(second.type, first), second
        raise TypeError(f"two Python numbers have no LLVM type: {first!r}, {second!r}")

    # Arithmetic

    def _binary(self, operation: str, first: Operand, second: Operand, *, floating: bool) -> Value:
        left, right = self._pair(first, second)
        if is_float(left.type) != floating or left.type == "ptr":
            raise TypeError(f"{operation} of {left.type}")
        return self._result(left.type, f"{operation} {left.type} {left.name}, {right.name}")

    def _float(self, operation: str, first: Operand, second: Operand, flags: str) -> Value:
        return self._binary(operation + _checked_flags(flags), first, second, floating=True)

    def fadd(self, first: Operand, second: Operand, flags: str = "contract") -> Value:
        return self._float("fadd", first, second, flags)

    def fsub(self, first: Operand, second: Operand, flags: str = "contract") -> Value:
        return self._float("fsub", first, second, flags)

    def fmul(self, first: Operand, second: Operand, flags: str = "contract") -> Value:
        return self._float("fmul", first, second, flags)

    def fdiv(self, first: Operand, second: Operand, flags: str = "") -> Value:
        return self._float("fdiv", first, second, flags)

    def frem(self, first: Operand, second: Operand) -> Value:
        """C's fmod (sign of the dividend).  On vectors LLVM turns it into one library call per lane."""
        return self._float("frem", first, second, "")

    def fneg(self, value: Value) -> Value:
        if not is_float(value.type):
            raise TypeError(f"fneg of {value.type}")
        return self._result(value.type, f"fneg {value}")

    def fma(self, first: Operand, second: Operand, third: Operand) -> Value:
        """first * second + third, rounded once."""
        model = next((x for x in (first, second, third) if isinstance(x, Value)), None)
        if model is None:
            raise TypeError("fma of three Python numbers")
        return self.intrinsic("fma", model.type, *(self._operand(model.type, x) for x in (first, second, third)))

    def add(self, first: Operand, second: Operand, wrap: str = "") -> Value:
        """`wrap`: "nuw", "nsw" or "nuw nsw" where overflow is known not to happen."""
        return self._binary(_wrapped("add", wrap), first, second, floating=False)

    def sub(self, first: Operand, second: Operand, wrap: str = "") -> Value:
        return self._binary(_wrapped("sub", wrap), first, second, floating=False)

    def mul(self, first: Operand, second: Operand, wrap: str = "") -> Value:
        return self._binary(_wrapped("mul", wrap), first, second, floating=False)

    def sdiv(self, first: Operand, second: Operand) -> Value:
        """Quotient rounded towards zero; the divisor must not be 0, nor -1 with the smallest dividend."""
        return self._binary("sdiv", first, second, floating=False)

    def udiv(self, first: Operand, second: Operand) -> Value:
        return self._binary("udiv", first, second, floating=False)

    def srem(self, first: Operand, second: Operand) -> Value:
        """Remainder with the sign of the dividend; same conditions as `sdiv`."""
        return self._binary("srem", first, second, floating=False)

    def urem(self, first: Operand, second: Operand) -> Value:
        return self._binary("urem", first, second, floating=False)

    def and_(self, first: Operand, second: Operand) -> Value:
        return self._binary("and", first, second, floating=False)

    def or_(self, first: Operand, second: Operand) -> Value:
        return self._binary("or", first, second, floating=False)

    def xor(self, first: Operand, second: Operand) -> Value:
        return self._binary("xor", first, second, floating=False)

    def not_(self, value: Value) -> Value:
        return self.xor(value, True if element_type(value.type) == "i1" else -1)

    def shl(self, first: Operand, second: Operand) -> Value:
        """Shift left; a count of the bit width or more gives an undefined value, as for the other shifts."""
        return self._binary("shl", first, second, floating=False)

    def lshr(self, first: Operand, second: Operand) -> Value:
        return self._binary("lshr", first, second, floating=False)

    def ashr(self, first: Operand, second: Operand) -> Value:
        return self._binary("ashr", first, second, floating=False)

    # Comparison and selection

    def icmp(self, predicate: str, first: Operand, second: Operand) -> Value:
        """Predicates: eq ne slt sle sgt sge ult ule ugt uge.  Pointers compare too."""
        left, right = self._pair(first, second)
        if is_float(left.type):
            raise TypeError(f"icmp of {left.type}")
        return self._result(like(left.type, "i1"), f"icmp {predicate} {left}, {right.name}")

    def fcmp(self, predicate: str, first: Operand, second: Operand) -> Value:
        """Predicates: o.. is false and u.. is true when a NaN takes part: oeq ogt oge olt ole one ord, ueq .. uno."""
        left, right = self._pair(first, second)
        if not is_float(left.type):
            raise TypeError(f"fcmp of {left.type}")
        return self._result(like(left.type, "i1"), f"fcmp {predicate} {left}, {right.name}")

    def select(self, condition: Value, first: Operand, second: Operand) -> Value:
        """`first` where the condition (i1, or a vector of them) holds, else `second`."""
        left, right = self._pair(first, second)
        if condition.type not in ("i1", like(left.type, "i1")):
            raise TypeError(f"select of {left.type} by {condition.type}")
        return self._result(left.type, f"select {condition}, {left}, {right}")

    # Conversions: `target` is a scalar type or has the lanes of the value; scalars spread over the lanes by themselves

    def _cast(self, operation: str, value: Value, target: str) -> Value:
        target = like(value.type, element_type(target))
        if target == value.type:
            return value
        return self._result(target, f"{operation} {value} to {target}")

    def trunc(self, value: Value, target: str) -> Value:
        return self._cast("trunc", value, target)

    def zext(self, value: Value, target: str) -> Value:
        return self._cast("zext", value, target)

    def sext(self, value: Value, target: str) -> Value:
        return self._cast("sext", value, target)

    def fpext(self, value: Value, target: str) -> Value:
        return self._cast("fpext", value, target)

    def fptrunc(self, value: Value, target: str) -> Value:
        return self._cast("fptrunc", value, target)

    def sitofp(self, value: Value, target: str) -> Value:
        return self._cast("sitofp", value, target)

    def uitofp(self, value: Value, target: str) -> Value:
        return self._cast("uitofp", value, target)

    def fptosi(self, value: Value, target: str, *, saturating: bool = False) -> Value:
        """Rounds towards zero.  Out of range or NaN: the nearest limit or 0 if `saturating`, else undefined."""
        return self._float_to_integer("fptosi", value, target, saturating)

    def fptoui(self, value: Value, target: str, *, saturating: bool = False) -> Value:
        return self._float_to_integer("fptoui", value, target, saturating)

    def _float_to_integer(self, operation: str, value: Value, target: str, saturating: bool) -> Value:
        target = like(value.type, element_type(target))
        if not saturating:
            return self._cast(operation, value, target)
        return self.intrinsic(f"{operation}.sat", target, value, overload=(target, value.type))

    def bitcast(self, value: Value, target: str) -> Value:
        """Reinterprets the bits; unlike the other conversions `target` is the whole type."""
        if value.type == target:
            return value
        if max(1, value.lanes) * bit_width(value.type) != max(1, vector_lanes(target)) * bit_width(target):
            raise TypeError(f"bitcast from {value.type} to {target}")
        return self._result(target, f"bitcast {value} to {target}")

    # Memory

    def gep(self, element: str, pointer: Value, index: Operand, *, inbounds: bool = True) -> Value:
        """The address of element `index` (i64) of an array of `element`s."""
        base, offset = self._operand("ptr", pointer), self._operand("i64", index)
        if offset.name == "0":
            return base
        flag = "inbounds " if inbounds else ""
        return self._result("ptr", f"getelementptr {flag}{element}, {base}, {offset}", "p")

    def load(self, type_: str, pointer: Value, align: int | None = None, *, mask: Value | None = None,
             passthrough: Operand | None = None, invariant: bool = False) -> Value:
        """Reads a value.  `align` is in bytes and defaults to the size of one element.

        `mask`: only lanes that are set are read; the others come from `passthrough` (default 0).
        `invariant`: the memory never changes while the code can run (constants), so the load may move freely.
        """
        self._operand("ptr", pointer)
        bytes_ = align or byte_size(element_type(type_))
        if mask is not None:
            other = self._operand(type_, 0 if passthrough is None else passthrough)
            arguments = (pointer, Value("i32", str(bytes_)), self._operand(like(type_, "i1"), mask), other)
            return self.intrinsic("masked.load", type_, *arguments, overload=(type_, "ptr"))
        metadata = ", !invariant.load !{}" if invariant else ""
        return self._result(type_, f"load {type_}, {pointer}, align {bytes_}{metadata}")

    def store(self, value: Value, pointer: Value, align: int | None = None, *, mask: Value | None = None) -> None:
        """Writes a value; `align` and `mask` as for `load`."""
        self._operand("ptr", pointer)
        bytes_ = align or byte_size(element_type(value.type))
        if mask is None:
            self._line(f"store {value}, {pointer}, align {bytes_}")
            return
        arguments = (value, pointer, Value("i32", str(bytes_)), self._operand(like(value.type, "i1"), mask))
        self.intrinsic("masked.store", "void", *arguments, overload=(value.type, "ptr"))

    def gather(self, type_: str, pointers: Value, mask: Value | None = None, align: int | None = None) -> Value:
        """Reads one element per lane through a vector of pointers; unset lanes are 0."""
        lanes = mask if mask is not None else constant(like(type_, "i1"), 1)
        bytes_ = Value("i32", str(align or byte_size(element_type(type_))))
        return self.intrinsic("masked.gather", type_, pointers, bytes_, lanes, constant(type_, 0),
                              overload=(type_, pointers.type))

    def alloca(self, type_: str, count: int = 1, align: int | None = None) -> Value:
        """Stack memory for `count` values of `type_`, allocated once in the entry block."""
        value = Value("ptr", f"%{self.function.fresh('stack')}")
        bytes_ = align or max(8, byte_size(type_))
        self.function.allocations.append(f"{value.name} = alloca [{count} x {type_}], align {bytes_}")
        return value

    def prefetch(self, pointer: Value, *, locality: int = 3, write: bool = False) -> None:
        """Asks for a cache line; `locality` 3 is the nearest cache, 2 the second."""
        self.intrinsic("prefetch", "void", pointer, constant("i32", int(write)), constant("i32", locality),
                       constant("i32", 1), overload=("ptr",))

    def memcpy(self, target: Value, source: Value, bytes_: Operand) -> None:
        """Copies memory that does not overlap."""
        self.intrinsic("memcpy", "void", target, source, self._operand("i64", bytes_), constant("i1", 0),
                       overload=("ptr", "ptr", "i64"))

    def memset(self, target: Value, byte: Operand, bytes_: Operand) -> None:
        self.intrinsic("memset", "void", target, self._operand("i8", byte), self._operand("i64", bytes_),
                       constant("i1", 0), overload=("ptr", "i64"))

    def atomic_load(self, type_: str, pointer: Value, ordering: str = "acquire") -> Value:
        return self._result(type_, f"load atomic {type_}, {pointer} {ordering}, align {byte_size(type_)}")

    def atomic_store(self, value: Value, pointer: Value, ordering: str = "release") -> None:
        self._line(f"store atomic {value}, {pointer} {ordering}, align {byte_size(value.type)}")

    def atomic(self, operation: str, pointer: Value, value: Value, ordering: str = "acq_rel") -> Value:
        """Read-modify-write (add, sub, and, or, xor, xchg, max ...); returns the old value."""
        return self._result(value.type, f"atomicrmw {operation} {pointer}, {value} {ordering}")

    def compare_exchange(self, pointer: Value, expected: Value, desired: Operand) -> tuple[Value, Value]:
        """Stores `desired` if the memory holds `expected`; returns the old value and whether it did (i1)."""
        new = self._operand(expected.type, desired)
        pair = Value(f"{{ {expected.type}, i1 }}", f"%{self.function.fresh('pair')}")
        self._line(f"{pair.name} = cmpxchg {pointer}, {expected}, {new} acq_rel acquire")
        return (self._result(expected.type, f"extractvalue {pair}, 0"), self._result("i1", f"extractvalue {pair}, 1"))

    # Vectors

    def splat(self, scalar: Value, lanes: int) -> Value:
        """The scalar in every lane; the scalar itself for `lanes == 0`.

        The shape insertelement + shufflevector is the one that x86 folds into broadcasting loads.
        """
        if not lanes:
            return scalar
        if not scalar.name.startswith(("%", "@")):
            return Value(vector_of(scalar.type, lanes), f"splat ({scalar})")
        type_ = vector_of(scalar.type, lanes)
        single = self._result(type_, f"insertelement {type_} poison, {scalar}, i32 0")
        return self._result(type_, f"shufflevector {single}, {type_} poison, <{lanes} x i32> zeroinitializer")

    def insertelement(self, vector: Value, scalar: Operand, lane: int | Value) -> Value:
        element = self._operand(element_type(vector.type), scalar)
        position = lane if isinstance(lane, Value) else constant("i32", lane)
        return self._result(vector.type, f"insertelement {vector}, {element}, {position}")

    def extractelement(self, vector: Value, lane: int | Value) -> Value:
        position = lane if isinstance(lane, Value) else constant("i32", lane)
        return self._result(element_type(vector.type), f"extractelement {vector}, {position}")

    def shuffle(self, first: Value, second: Value | None, indices: Sequence[int]) -> Value:
        """Lanes picked from `first` (0..lanes-1) and `second` (lanes..); -1 is a lane nobody looks at."""
        other = undefined(first.type) if second is None else self._operand(first.type, second)
        picks = ", ".join("i32 poison" if index < 0 else f"i32 {index}" for index in indices)
        type_ = vector_of(element_type(first.type), len(indices))
        return self._result(type_, f"shufflevector {first}, {other}, <{len(indices)} x i32> <{picks}>")

    def lane_numbers(self, type_: str) -> Value:
        """0, 1, 2 ... as a vector of `type_`."""
        return constant(type_, range(vector_lanes(type_)))

    def lane_mask(self, count: Operand, lanes: int) -> Value:
        """A mask whose first `count` (i64, may exceed `lanes` or be negative) lanes are set."""
        limit = self._operand("i64", count)
        positive = self.intrinsic("smax", "i64", limit, constant("i64", 0))
        short = self.trunc(self.intrinsic("umin", "i64", positive, constant("i64", lanes)), "i32")
        numbers = self.lane_numbers(vector_of("i32", lanes))
        return self.icmp("ult", numbers, self.splat(short, lanes))

    def reduce(self, operation: str, vector: Value, start: Operand | None = None) -> Value:
        """Folds the lanes: fadd, fmul (any order), fmin, fmax, fminimum, fmaximum, add, mul, and, or, xor, smin ...

        `start` is only for fadd and fmul and defaults to the neutral value.
        """
        scalar = element_type(vector.type)
        if operation not in ("fadd", "fmul"):
            return self.intrinsic(f"vector.reduce.{operation}", scalar, vector, overload=(vector.type,))
        neutral = -0.0 if operation == "fadd" else 1.0
        first = self._operand(scalar, neutral if start is None else start)
        return self.intrinsic(f"vector.reduce.{operation}", scalar, first, vector, overload=(vector.type,),
                              flags="reassoc")

    # Calls

    def intrinsic(self, name: str, result_type: str, *arguments: Value, overload: Sequence[str] | None = None,
                  flags: str = "") -> Value:
        """Calls `llvm.<name>`, which is declared on the way.

        `overload`: the types that LLVM appends to the name; by default the result type, () for names without.
        Returns a value of type void (never to be used) where the intrinsic returns nothing.
        """
        types = (result_type,) if overload is None else overload
        full = ".".join((f"llvm.{name}", *(mangled(type_) for type_ in types)))
        declaration = self.module.declare(full, result_type, [a.type for a in arguments], "")
        return self._call(declaration.pointer.name, result_type, arguments, _checked_flags(flags))

    def call(self, callee: Function | Declaration, *arguments: Operand) -> Value:
        """Calls a function of this module or a declared one.  Raises: TypeError for wrong arguments."""
        types = callee.parameter_types
        if len(types) != len(arguments):
            raise TypeError(f"{callee.name} takes {len(types)} arguments, {len(arguments)} given")
        if isinstance(callee, Function) and callee.module is not self.module:
            callee = self.module.declare(callee.name, callee.return_type, types)
        values = [self._operand(type_, argument) for type_, argument in zip(types, arguments, strict=True)]
        return self._call(symbol(callee.name), callee.return_type, values)

    def call_pointer(self, pointer: Value, return_type: str, *arguments: Value) -> Value:
        """Calls through a function pointer; the argument types are those of the values."""
        return self._call(self._operand("ptr", pointer).name, return_type, arguments)

    def _call(self, callee: str, return_type: str, arguments: Sequence[Value], flags: str = "") -> Value:
        text = f"call{flags} {return_type} {callee}({', '.join(str(argument) for argument in arguments)})"
        if return_type != "void":
            return self._result(return_type, text)
        self._line(text)
        return Value("void", "")

    # Terminators

    def ret(self, value: Operand | None = None) -> None:
        """Returns from the function; without a value from a void function."""
        if value is None:
            self._terminate("ret void")
            return
        self._terminate(f"ret {self._operand(self.function.return_type, value)}")

    def br(self, target: Block) -> None:
        self._terminate(f"br label %{target.label}")

    def cond_br(self, condition: Value, then: Block, otherwise: Block, metadata: str = "") -> None:
        test = self._operand("i1", condition)
        suffix = f", {metadata}" if metadata else ""
        self._terminate(f"br {test}, label %{then.label}, label %{otherwise.label}{suffix}")

    def switch(self, value: Value, default: Block, cases: Mapping[int, Block]) -> None:
        targets = " ".join(f"{constant(value.type, key)}, label %{block.label}" for key, block in cases.items())
        self._terminate(f"switch {value}, label %{default.label} [ {targets} ]")

    def unreachable(self) -> None:
        self._terminate("unreachable")

    def phi(self, type_: str, incoming: Sequence[tuple[Value, Block]]) -> Value:
        """Merges values by the block that control came from; must stand at the start of a block."""
        result = self._open_phi(type_)
        for value, block in incoming:
            result.incoming.append((self._operand(type_, value), block.label))
        return result.result

    def _open_phi(self, type_: str) -> _Phi:
        if any(not isinstance(line, _Phi) for line in self.block.lines):
            raise ValueError(f"a phi must stand at the start of its block {self.block.label}")
        phi = _Phi(Value(type_, f"%{self.function.fresh('phi')}"))
        self.block.lines.append(phi)
        return phi

    # Structured control flow

    @contextmanager
    def for_loop(self, start: Operand, stop: Operand, step: Operand = 1, *, carried: Sequence[Value] = (),
                 nonempty: bool = False) -> Iterator[ForLoop]:
        """`for index in range(start, stop, step)` over i64, `step` > 0 (a negative Python number counts down).

        `carried` are the values that change: `loop.carried` inside, `loop.yield_` once at the end of the body,
        `loop.results` behind.  `nonempty` promises at least one iteration and saves the guard.
        `stop + step` must not overflow.
        """
        first, last, stride = (self._operand("i64", operand) for operand in (start, stop, step))
        predicate = "sgt" if isinstance(step, int) and step < 0 else "slt"
        body, after = self.new_block("for"), self.new_block("for.end")
        skipped = self._enter_loop(predicate, first, last, body, after, nonempty)
        before = self.block
        self.position_at_end(body)
        index = self._open_phi("i64")
        phis = [self._open_phi(value.type) for value in carried]
        loop = ForLoop(index.result, [phi.result for phi in phis])
        yield loop
        yielded = self._yielded(loop, carried)
        following = self.add(index.result, stride, wrap="nsw")
        again = self.icmp(predicate, following, last)
        latch = self.block
        index.incoming += [(first, before.label), (following, latch.label)]
        for phi, initial, value in zip(phis, carried, yielded, strict=True):
            phi.incoming += [(initial, before.label), (value, latch.label)]
        self.cond_br(again, body, after, self.module.loop_metadata())
        self.position_at_end(after)
        loop._results = [self._loop_result(initial, value, before if skipped else None, latch)
                         for initial, value in zip(carried, yielded, strict=True)]

    def _enter_loop(self, predicate: str, first: Value, last: Value, body: Block, after: Block,
                    nonempty: bool) -> bool:
        """Branches into the loop; returns whether the loop may be skipped."""
        if nonempty or _known_nonempty(predicate, first, last):
            self.br(body)
            return False
        self.cond_br(self.icmp(predicate, first, last), body, after)
        return True

    def _loop_result(self, initial: Value, value: Value, before: Block | None, latch: Block) -> Value:
        phi = self._open_phi(value.type)
        if before is not None:
            phi.incoming.append((initial, before.label))
        phi.incoming.append((value, latch.label))
        return phi.result

    def _yielded(self, construct: _Yielding, carried: Sequence[Value]) -> list[Value]:
        yielded = construct._yielded if construct._yielded is not None else []
        if [value.type for value in yielded] != [value.type for value in carried]:
            raise TypeError(f"{construct._what} carries {[str(v) for v in carried]} "
                            f"and yields {[str(v) for v in yielded]}")
        return yielded

    @contextmanager
    def while_loop(self, carried: Sequence[Value] = ()) -> Iterator[WhileLoop]:
        """A loop with its test anywhere: compute a condition, `loop.while_(condition)`, body, `loop.yield_(...)`."""
        header, after = self.new_block("while"), self.new_block("while.end")
        before = self.block
        self.br(header)
        self.position_at_end(header)
        phis = [self._open_phi(value.type) for value in carried]
        loop = WhileLoop(self, [phi.result for phi in phis], after)
        yield loop
        if not loop._tested:
            raise ValueError("a while loop without a test")
        yielded = self._yielded(loop, carried)
        for phi, initial, value in zip(phis, carried, yielded, strict=True):
            phi.incoming += [(initial, before.label), (value, self.block.label)]
        self._terminate(f"br label %{header.label}, {self.module.loop_metadata()}")
        self.position_at_end(after)

    @contextmanager
    def if_then(self, condition: Value, *, likely: bool | None = None) -> Iterator[None]:
        """Runs the body where `condition` (i1) holds.  The body may end with a terminator of its own."""
        then, after = self.new_block("then"), self.new_block("end")
        self.cond_br(condition, then, after, "" if likely is None else self.module.branch_weights(likely))
        self.position_at_end(then)
        yield
        if not self.block.terminated:
            self.br(after)
        self.position_at_end(after)

    @contextmanager
    def if_then_else(self, condition: Value, *, likely: bool | None = None) -> Iterator[tuple[Arm, Arm]]:
        """Two arms, each to be entered with `with`; what both yield is merged into `results`."""
        blocks = [self.new_block(hint) for hint in ("then", "else", "endif")]
        self.cond_br(condition, blocks[0], blocks[1], "" if likely is None else self.module.branch_weights(likely))
        then, otherwise = Arm(self, blocks[0], blocks[2]), Arm(self, blocks[1], blocks[2])
        yield then, otherwise
        for arm in (then, otherwise):
            if not arm.entered:
                with arm:
                    pass
        self.position_at_end(blocks[2])
        self._merge([*then.incoming, *otherwise.incoming], then, otherwise)

    def _merge(self, incoming: list[tuple[list[Value], str]], then: Arm, otherwise: Arm) -> None:
        if not incoming:
            self.unreachable()
            return
        shapes = [[value.type for value in values] for values, _ in incoming]
        if shapes[0] != shapes[-1]:
            raise TypeError(f"the arms of an if yield {shapes[0]} and {shapes[-1]}")
        results: list[Value] = []
        for position, type_ in enumerate(shapes[0]):
            phi = self._open_phi(type_)
            phi.incoming += [(values[position], label) for values, label in incoming]
            results.append(phi.result)
        then.merge_results(results)
        otherwise.merge_results(results)


def _checked_flags(flags: str) -> str:
    words = flags.split()
    refused = [word for word in words if word not in _ALLOWED_FLAGS]
    if refused:
        raise ValueError(f"floating-point flag {refused[0]!r} would change results")
    return "".join(f" {word}" for word in words)


def _wrapped(operation: str, wrap: str) -> str:
    return f"{operation} {wrap}" if wrap else operation


def _known_nonempty(predicate: str, first: Value, last: Value) -> bool:
    try:
        start, stop = int(first.name), int(last.name)
    except ValueError:
        return False
    return start > stop if predicate == "sgt" else start < stop
