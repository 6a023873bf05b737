"""One method per LLVM instruction: what a `Builder` can write besides loops and branches."""

from collections.abc import Hashable, Mapping, Sequence

from optc.codegen.llvm.module import Block, Declaration, Function, Phi
from optc.codegen.llvm.values import (
    Operand,
    Value,
    bit_width,
    byte_size,
    constant,
    element_type,
    is_float,
    like,
    mangled,
    symbol,
    undefined,
    vector_lanes,
    vector_of,
)

_STACK_BYTES = 16  # how the stack is aligned when a function is called
_ALLOWED_FLAGS = frozenset({"contract", "reassoc", "nsz", "arcp", "afn"})


class InstructionWriter:
    """Writes instructions into a function.  A new builder of an empty function starts its entry block."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.module = function.module
        self.block = function.blocks[-1] if function.blocks else self.new_block("entry")
        self.computed: dict[Hashable, Value] = {}
        """What was computed where all that follows has run through: inside of a loop or branch, until its end."""

    def forget_since(self, count: int) -> None:
        """Keep the first `count` of `computed`: the code behind those may not have run."""
        while len(self.computed) > count:
            self.computed.popitem()

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
        left, right = self._pair(first, second)
        if _is_number(right, 0):
            return left
        if _is_number(left, 0):
            return right
        return self._binary(_wrapped("add", wrap), left, right, floating=False)

    def sub(self, first: Operand, second: Operand, wrap: str = "") -> Value:
        left, right = self._pair(first, second)
        if _is_number(right, 0):
            return left
        return self._binary(_wrapped("sub", wrap), left, right, floating=False)

    def mul(self, first: Operand, second: Operand, wrap: str = "") -> Value:
        left, right = self._pair(first, second)
        if _is_number(right, 1) or _is_number(left, 0):
            return left
        if _is_number(left, 1) or _is_number(right, 0):
            return right
        return self._binary(_wrapped("mul", wrap), left, right, floating=False)

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
        if element_type(left.type) == "bfloat":
            return self.fcmp(predicate, self.fpext(left, "float"), self.fpext(right, "float"))
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
        if element_type(value.type) != "bfloat":
            return self._cast("fpext", value, target)
        wide = self.shl(self.zext(self.bitcast(value, like(value.type, "i16")), "i32"), 16)
        return self._cast("fpext", self.bitcast(wide, like(value.type, "float")), target)

    def fptrunc(self, value: Value, target: str) -> Value:
        """Rounds to the nearest, ties to even."""
        if element_type(target) == "bfloat" != element_type(value.type):
            return self._rounded_to_bfloat(value)
        return self._cast("fptrunc", value, target)

    def _rounded_to_bfloat(self, value: Value) -> Value:
        """A float as bfloat16, which is sixteen bits: see `optc.codegen.llvm.module`."""
        bits = self.bitcast(value, like(value.type, "i32"))
        upper = self.lshr(bits, 16)
        rounded = self.lshr(self.add(self.add(bits, 0x7FFF), self.and_(upper, 1)), 16)
        chosen = self.select(self.fcmp("uno", value, value), self.or_(upper, 0x40), rounded)
        return self.bitcast(self.trunc(chosen, "i16"), like(value.type, "bfloat"))

    def sitofp(self, value: Value, target: str) -> Value:
        return self._cast("sitofp", value, target)

    def uitofp(self, value: Value, target: str) -> Value:
        return self._cast("uitofp", value, target)

    def fptosi(self, value: Value, target: str, *, saturating: bool = False) -> Value:
        """Rounds towards zero.  Out of range or NaN: the nearest limit or 0 if `saturating`, else undefined."""
        if not saturating:
            return self._cast("fptosi", value, target)
        target = like(value.type, element_type(target))
        return self.intrinsic("fptosi.sat", target, value, overload=(target, value.type))

    def bitcast(self, value: Value, target: str) -> Value:
        """Reinterprets the bits; unlike the other conversions `target` is the whole type."""
        if value.type == target:
            return value
        if max(1, value.lanes) * bit_width(value.type) != max(1, vector_lanes(target)) * bit_width(target):
            raise TypeError(f"bitcast from {value.type} to {target}")
        return self._result(target, f"bitcast {value} to {target}")

    # Memory

    def gep(self, element: str, pointer: Value, index: Operand, *, inbounds: bool = True) -> Value:
        """The address of element `index` (i64) of an array of `element`s; a vector of indices gives addresses."""
        lanes = index.lanes if isinstance(index, Value) else 0
        base, offset = self._operand("ptr", pointer), self._operand(vector_of("i64", lanes), index)
        if offset.name == "0":
            return base
        flag = "inbounds " if inbounds else ""
        return self._result(vector_of("ptr", lanes), f"getelementptr {flag}{element}, {base}, {offset}", "p")

    def load(
        self,
        type_: str,
        pointer: Value,
        align: int | None = None,
        *,
        mask: Value | None = None,
        passthrough: Operand | None = None,
        invariant: bool = False,
    ) -> Value:
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
        return self.intrinsic(
            "masked.gather", type_, pointers, bytes_, lanes, constant(type_, 0), overload=(type_, pointers.type)
        )

    def scatter(self, value: Value, pointers: Value, mask: Value | None = None, align: int | None = None) -> None:
        """Writes one element per lane through a vector of pointers, in the order of the lanes."""
        lanes = mask if mask is not None else constant(like(value.type, "i1"), 1)
        bytes_ = Value("i32", str(align or byte_size(element_type(value.type))))
        self.intrinsic("masked.scatter", "void", value, pointers, bytes_, lanes, overload=(value.type, pointers.type))

    def alloca(self, type_: str, count: int = 1, align: int | None = None) -> Value:
        """Stack memory for `count` values of `type_`, allocated once in the entry block."""
        value = Value("ptr", f"%{self.function.fresh('stack')}")
        bytes_ = align or max(8, byte_size(type_))
        self.function.has_vectors_on_stack |= bytes_ > _STACK_BYTES
        self.function.allocations.append(f"{value.name} = alloca [{count} x {type_}], align {bytes_}")
        return value

    def stack(self, words: Value) -> Value:
        """Stack memory for a number of 64-bit words known at run time, aligned to 16 bytes. Not to be used in loops."""
        return self._result("ptr", f"alloca i64, {self._operand('i64', words)}, align 16", "stack")

    def prefetch(self, pointer: Value, *, locality: int = 3, write: bool = False) -> None:
        """Asks for a cache line; `locality` 3 is the nearest cache, 2 the second."""
        self.intrinsic(
            "prefetch",
            "void",
            pointer,
            constant("i32", int(write)),
            constant("i32", locality),
            constant("i32", 1),
            overload=("ptr",),
        )

    def memcpy(self, target: Value, source: Value, bytes_: Operand) -> None:
        """Copies memory that does not overlap."""
        self.intrinsic(
            "memcpy",
            "void",
            target,
            source,
            self._operand("i64", bytes_),
            constant("i1", 0),
            overload=("ptr", "ptr", "i64"),
        )

    def memset(self, target: Value, byte: Operand, bytes_: Operand) -> None:
        self.intrinsic(
            "memset",
            "void",
            target,
            self._operand("i8", byte),
            self._operand("i64", bytes_),
            constant("i1", 0),
            overload=("ptr", "i64"),
        )

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
        return self.intrinsic(
            f"vector.reduce.{operation}", scalar, first, vector, overload=(vector.type,), flags="reassoc"
        )

    def turned(self, rows: Sequence[Value]) -> list[Value]:
        """The columns of a square of lanes: for each bit of a place, pairs of rows exchange the halves that it names."""
        size, result = len(rows), list(rows)
        bit = 1
        while bit < size:
            lower = [size + (lane ^ bit) if lane & bit else lane for lane in range(size)]
            upper = [size + lane if lane & bit else lane ^ bit for lane in range(size)]
            for place in (place for place in range(size) if not place & bit):
                pair = result[place], result[place | bit]
                result[place], result[place | bit] = self.shuffle(*pair, lower), self.shuffle(*pair, upper)
            bit *= 2
        return result

    # Calls

    def intrinsic(
        self, name: str, result_type: str, *arguments: Value, overload: Sequence[str] | None = None, flags: str = ""
    ) -> Value:
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
        result = self.open_phi(type_)
        for value, block in incoming:
            result.incoming.append((self._operand(type_, value), block.label))
        return result.result

    def open_phi(self, type_: str) -> Phi:
        """A phi whose incoming values follow later."""
        if any(not isinstance(line, Phi) for line in self.block.lines):
            raise ValueError(f"a phi must stand at the start of its block {self.block.label}")
        phi = Phi(Value(type_, f"%{self.function.fresh('phi')}"))
        self.block.lines.append(phi)
        return phi


def _is_number(value: Value, number: int) -> bool:
    """True for a constant of an integer type."""
    return value.name == str(number) and not is_float(value.type)


def _checked_flags(flags: str) -> str:
    words = flags.split()
    refused = [word for word in words if word not in _ALLOWED_FLAGS]
    if refused:
        raise ValueError(f"floating-point flag {refused[0]!r} would change results")
    return "".join(f" {word}" for word in words)


def _wrapped(operation: str, wrap: str) -> str:
    return f"{operation} {wrap}" if wrap else operation
