"""Modules, functions and blocks of LLVM IR, as text that grows."""

import re
from collections.abc import Sequence
from dataclasses import field

from optc.codegen.llvm.values import Value, scalar_constant, symbol
from optc.dataclass import dataclass


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


_BFLOAT = re.compile(r"\bbfloat\b")
"""To LLVM a bfloat16 is sixteen bits. Of its own type LLVM makes calls of a library that is not there, wherever the
processor has no instructions for it, and where it has, they take small numbers for zero."""


CALLS_ONLY = "; calls what takes far longer than itself"
WRITTEN_OUT = "; written out: passes would find next to nothing"
"""Remarks: lines of a module's text that say how little LLVM need do for it."""


class Module:
    """Functions, constants and declarations that are compiled together.  `str()` gives the text.

    remark: CALLS_ONLY where its time goes to the functions of other modules that it calls, WRITTEN_OUT where it is as it
    should be.
    """

    def __init__(self, name: str = "optc") -> None:
        self.name = name
        self.remark = ""
        self.functions: dict[str, Function] = {}
        self._globals: dict[str, str] = {}
        self._declarations: dict[str, Declaration] = {}
        self._metadata: list[str] = []

    def function(
        self,
        name: str,
        return_type: str,
        parameters: Sequence[Parameter],
        *,
        private: bool = False,
        attributes: str = "nounwind",
    ) -> "Function":
        """Start the definition of a function.  `private` keeps the symbol inside the object.

        Raises: ValueError when the name is taken.
        """
        if name in self.functions:
            raise ValueError(f"function {name!r} is defined twice")
        function = Function(self, name, return_type, tuple(parameters), "internal" if private else "", attributes)
        self.functions[name] = function
        return function

    def declare(
        self, name: str, return_type: str, parameter_types: Sequence[str], attributes: str = "nounwind"
    ) -> Declaration:
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
        elements = ", ".join(f"{type_} {scalar_constant(type_, value)}" for value in values)
        return self._global(name, f"[{len(values)} x {type_}] [{elements}]", "constant", align)

    def repeated_data(self, type_: str, value: float, lanes: int, align: int) -> Value:
        """A vector with `value` in all lanes, in memory; returns its address, another one every time.

        Nothing ever writes to it, but LLVM is not told: what it knows to be constant, or to have loaded before, it
        would rather keep in a register.
        """
        element = f"{type_} {scalar_constant(type_, value)}"
        name = f"repeated.{len(self._globals)}"
        return self._global(name, f"[{lanes} x {type_}] [{', '.join([element] * lanes)}]", "global", align)

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
            self._metadata += [
                '!0 = !{!"llvm.loop.unroll.disable"}',
                '!1 = !{!"llvm.loop.vectorize.enable", i1 false}',
                '!2 = !{!"branch_weights", i32 2000, i32 1}',
                '!3 = !{!"branch_weights", i32 1, i32 2000}',
            ]
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
        sections = [
            [f"; module {self.name}", *filter(None, [self.remark])],
            list(self._globals.values()),
            declarations,
            [str(function) for function in self.functions.values()],
            self._metadata,
        ]
        text = "\n\n".join("\n".join(section) for section in sections if section) + "\n"
        return _BFLOAT.sub("i16", text) if "bfloat" in text else text


@dataclass(eq=False, slots=True)
class Phi:
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
        self.lines: list[str | Phi] = []
        self.terminated = False

    def __str__(self) -> str:
        return "\n".join([f"{self.label}:", *(f"  {line}" for line in self.lines)])


class Function:
    """A function being written.  `arguments` are its parameters as values; the blocks come from a `Builder`."""

    def __init__(
        self,
        module: Module,
        name: str,
        return_type: str,
        parameters: tuple[Parameter, ...],
        linkage: str,
        attributes: str,
    ) -> None:
        self.module = module
        self.name = name
        self.return_type = return_type
        self.parameters = parameters
        self.linkage = linkage
        self.attributes = attributes
        self.arguments = [Value(parameter.type, f"%{parameter.name}") for parameter in parameters]
        self.blocks: list[Block] = []
        self.allocations: list[str] = []
        self.has_vectors_on_stack = False
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
        # Memory that LLVM turns into registers may come back to the stack, where vectors cross cache lines unless the
        # function was told beforehand: by where the process's stack begins, products took 1.0 or 1.5 times the time.
        realign = '"stackrealign"' if self.has_vectors_on_stack else ""
        attributes = "".join(f" {text}" for text in (self.attributes, realign) if text)
        return f"{head} {symbol(self.name)}({parameters}){attributes} {{\n" + "\n".join(blocks) + "\n}\n"
