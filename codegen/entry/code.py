"""What the parts of the native entry are written with: functions of two modules, Python's C API, words of records.

The code contains no addresses: whatever it calls stands in a table that is filled after loading, so that its object can
be cached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from optc.codegen.entry.layout import PREFIX
from optc.codegen.entry.python_layout import HEADER
from optc.codegen.llvm import CALLS_ONLY, WRITTEN_OUT, Block, Builder, Function, Module, Parameter, Value
from optc.codegen.machine import loader


class Code:
    """The modules that are being written, and the function in one of them.

    `rare` holds what only some calls need: without effort, LLVM takes a tenth of the time for it.
    """

    def __init__(self) -> None:
        self.common, self.rare = Module("entry"), Module("entry_rare")
        self.common.remark, self.rare.remark = WRITTEN_OUT, CALLS_ONLY
        self.table: dict[str, int] = {}
        self.b: Builder
        self.refused: Block
        self.functions: dict[str, Function] = {}

    @contextmanager
    def define(
        self, name: str, result: str, *parameters: str, inline: bool = False, rare: bool = False
    ) -> Iterator[list[Value]]:
        """Write a function; a parameter is `type name`. `refused` then is a block that returns 0."""
        attributes = "nounwind alwaysinline" if inline else "nounwind"
        typed = [Parameter(*parameter.split()) for parameter in parameters]
        module = self.rare if rare else self.common
        function = module.function(f"{PREFIX}{name}", result, typed, private=True, attributes=attributes)
        self.b = Builder(function)
        self.refused = self.b.new_block("refused")
        self.functions[name] = function
        yield function.arguments
        assert self.b.block.terminated
        self.b.position_at_end(self.refused)
        self.b.ret(None if result == "void" else self.b.constant(result, 0))

    def call(self, name: str, *arguments: Value) -> Value:
        """Call a function of either module. What is rare finds the others in the table, for it is loaded first."""
        callee, module = self.functions[name], self.b.function.module
        if callee.module is module:
            return self.b.call(callee, *arguments)
        callee.linkage = ""
        if module is self.rare:
            return self.python(callee.name, callee.return_type, *arguments)
        return self.b.call(module.declare(callee.name, callee.return_type, callee.parameter_types), *arguments)

    def texts(self) -> tuple[str, str]:
        """The text of both modules, `rare` first, which has the table."""
        self.functions["entry"].linkage = ""
        size = f"[{len(self.table)} x i64]"
        near = "dso_local " if loader.is_supported() else ""  # LLVM's linker may place the modules far from each other
        return (
            f"@table = global {size} zeroinitializer, align 64\n\n{self.rare}",
            f"@table = external {near}global {size}, align 64\n\n{self.common}",
        )

    # The table

    def entry_of_table(self, name: str) -> Value:
        """The address of a word of the table."""
        return self.b.gep("i64", Value("ptr", "@table"), self.table.setdefault(name, len(self.table)))

    def known(self, name: str) -> Value:
        """A word of the table that never changes once the code runs."""
        return self.b.load("ptr", self.entry_of_table(name), 8, invariant=True)

    def python(self, name: str, result: str, *arguments: Value) -> Value:
        """Call a function of Python's C API, or another one of the table."""
        return self.b.call_pointer(self.known(name), result, *arguments)

    # Memory

    def word(self, record: Value, layout: Mapping[str, int], name: str, type_: str = "i64") -> Value:
        """A word of a record."""
        return self.b.load(type_, self.place(record, layout, name), 8)

    def place(self, record: Value, layout: Mapping[str, int], name: str) -> Value:
        return self.b.gep("i64", record, layout[name])

    def set_word(self, record: Value, layout: Mapping[str, int], name: str, value: Value) -> None:
        self.b.store(value, self.place(record, layout, name), 8)

    def region(self, scratch: Value, description: Value, layout: Mapping[str, int], name: str) -> Value:
        """A part of the scratch memory whose place the description says."""
        return self.b.gep("i64", scratch, self.word(description, layout, name))

    def field(self, object_: Value, offset: int, type_: str = "ptr") -> Value:
        """A field of a Python object."""
        return self.b.load(type_, self.b.gep("i8", object_, offset), 4 if type_ == "i32" else 8)

    def items_of_tuple(self, object_: Value) -> Value:
        return self.b.gep("i8", object_, tuple.__basicsize__)

    def items_of_list(self, object_: Value) -> Value:
        return self.field(object_, HEADER + 8)

    # Control

    def require(self, condition: Value) -> None:
        """Go on if the condition holds, else return 0."""
        self.branch_unless(condition, self.refused)

    def branch_unless(self, condition: Value, otherwise: Block) -> None:
        following = self.b.new_block("ok")
        self.b.cond_br(condition, following, otherwise, self.b.function.module.branch_weights(likely=True))
        self.b.position_at_end(following)

    def is_null(self, pointer: Value) -> Value:
        return self.b.icmp("eq", pointer, 0)

    def is_set(self, pointer: Value) -> Value:
        return self.b.icmp("ne", pointer, 0)

    # References
    #
    # The count is the low half of the first word in every version of CPython with a GIL. Arrays, wrappers and what else
    # is counted here is never immortal.

    def count_of(self, object_: Value) -> Value:
        return self.b.load("i32", object_, 4)

    def hold(self, object_: Value) -> None:
        """One more reference to an object that is not immortal."""
        self.b.store(self.b.add(self.count_of(object_), 1), object_, 4)

    def let_go(self, object_: Value) -> None:
        """One reference less; the last one is Python's business."""
        count = self.count_of(object_)
        with self.b.if_then_else(self.b.icmp("eq", count, 1), likely=False) as (last, others):
            with last:
                self.python("Py_DecRef", "void", object_)
            with others:
                self.b.store(self.b.sub(count, 1), object_, 4)
