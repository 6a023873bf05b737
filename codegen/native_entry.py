"""The native entry: a PyCFunction whose code checks the arguments, calls `run` and builds the results.

The code reads numpy's and CPython's objects at fixed offsets, which `python_layout.is_supported` verifies against real
objects once per process; where they do not hold (PyPy, free-threaded builds), there is no native entry.  It contains no
addresses: everything it refers to stands in a table of words that is filled after loading, so that its object can be
cached.

All of it runs under the GIL (but for `run` itself, if asked), so the free list of contexts and the recycled outputs
need no atomics.  An output array is written again when nobody but this entry refers to it: views, memoryviews and
DLPack capsules all hold references to their array.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from optc.codegen import jit
from optc.codegen.context import field_address, load_field, runtime
from optc.codegen.entry import (
    Constant,
    Dim,
    EntryPoint,
    InputSpec,
    OutputSpec,
    OutputTree,
    Passthrough,
    Wrapper,
    numpy_dtype,
)
from optc.codegen.llvm import Block, Builder, Function, Module, Parameter, Value
from optc.codegen.python_layout import (
    DATA,
    DESCR,
    DIMS,
    FLAGS,
    FRESH,
    HEADER,
    NEW_FROM_DESCR,
    OWNS_DATA,
    RANK,
    READABLE,
    TYPE,
    WEAK,
    WRITE_BACK,
    WRITEABLE,
    numpy_function,
    python_function,
    slot_offset,
)

_METHOD_FLAGS = 0x80 | 0x02  # METH_FASTCALL | METH_KEYWORDS
_RECYCLED_BYTES = 64 << 20  # larger results are left to the allocator, so that an idle function holds little memory

_PYTHON_FUNCTIONS = (
    "Py_IncRef",
    "Py_DecRef",
    "PyObject_Vectorcall",
    "PyLong_AsLongLong",
    "PyLong_FromLongLong",
    "PyLong_FromVoidPtr",
    "PyLong_AsVoidPtr",
    "PyFloat_FromDouble",
    "PyErr_Occurred",
    "PyErr_Clear",
    "PyTuple_New",
    "PyTuple_SetItem",
    "PyList_New",
    "PyList_SetItem",
    "PyType_GenericAlloc",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
)


# The table -------------------------------------------------------------------------------------------------------


class _Table:
    """The words that the code refers to, by name.  Which word stands where depends on the signature alone."""

    def __init__(self) -> None:
        self.positions: dict[str, int] = {}

    def address(self, b: Builder, name: str) -> Value:
        position = self.positions.setdefault(name, len(self.positions))
        return b.gep("i64", b.load("ptr", Value("ptr", "@table"), 8, invariant=True), position)

    def pair(self, b: Builder, name: str) -> Value:
        """The address of two words, one behind the other."""
        first, _ = self.address(b, f"{name}.0"), self.address(b, f"{name}.1")
        assert self.positions[f"{name}.1"] == self.positions[f"{name}.0"] + 1
        return first

    def pointer(self, b: Builder, name: str) -> Value:
        """A word that never changes once the code runs."""
        return b.load("ptr", self.address(b, name), 8, invariant=True)


# The code --------------------------------------------------------------------------------------------------------


class _Emitter:
    """Writes the entry of one signature."""

    def __init__(self, point: EntryPoint) -> None:
        self.point = point
        self.signature = point.signature
        self.table = _Table()
        self.module = Module("entry")
        parameters = [
            Parameter("ptr", "self"),
            Parameter("ptr", "arguments"),
            Parameter("i64", "count"),
            Parameter("ptr", "keywords"),
        ]
        self.function = self.module.function("entry", "ptr", parameters)
        self.b = Builder(self.function)
        self.slow = self.b.new_block("slow")
        self.cleanup = self.b.new_block("cleanup")
        self.symbols: dict[str, Value] = {}
        self.wraps: Value | None = None
        self.arrays: list[Value] = []
        self.objects: list[Value] = []

    def emit(self) -> str:
        """The text of the module; afterwards `table.positions` says what must stand where."""
        b = self.b
        _, arguments, count, keywords = self.function.arguments
        self.require(b.icmp("eq", keywords, 0))
        self.require(b.icmp("eq", count, len(self.signature.inputs)))
        inputs = b.alloca("i64", max(1, sum(spec.words for spec in self.signature.inputs)))
        outputs = b.alloca("i64", max(1, sum(spec.words for spec in self.signature.computed)))
        self.read_arguments(arguments, inputs)
        containers = _containers(self.signature.outputs)
        slots = [b.alloca("ptr") for _ in range(len(self.signature.computed) + len(containers))]
        for slot in slots:
            b.store(b.constant("ptr", 0), slot)
        self.objects = slots
        self.prepare_containers(containers, slots[len(self.signature.computed) :])
        self.prepare_outputs(outputs, slots)
        self.run(arguments, inputs, outputs)
        self.collect(outputs, slots)
        b.ret(
            self.assemble(
                self.signature.outputs,
                arguments,
                iter(slots[: len(self.signature.computed)]),
                iter(slots[len(self.signature.computed) :]),
            )
        )
        self.write_slow_path()
        self.write_cleanup()
        return f"@table = global ptr null, align 8\n\n{self.module}"

    # Small pieces

    def require(self, condition: Value) -> None:
        """Goes on if the condition holds, else to the slow path."""
        self.branch_unless(condition, self.slow)

    def branch_unless(self, condition: Value, otherwise: Block) -> None:
        following = self.b.new_block("ok")
        self.b.cond_br(condition, following, otherwise, self.module.branch_weights(likely=True))
        self.b.position_at_end(following)

    def not_null(self, pointer: Value) -> None:
        """Goes on unless the pointer is null, else cleans up and lets the pending exception out."""
        self.branch_unless(self.b.icmp("ne", pointer, 0), self.cleanup)

    def python(self, name: str, result: str, *arguments: Value) -> Value:
        return self.b.call_pointer(self.table.pointer(self.b, name), result, *arguments)

    def field(self, object_: Value, offset: int, type_: str = "ptr") -> Value:
        return self.b.load(type_, self.b.gep("i8", object_, offset), 4 if type_ == "i32" else 8)

    def integer(self, value: int) -> Value:
        return self.b.constant("i64", value)

    # Arguments

    def read_arguments(self, arguments: Value, inputs: Value) -> None:
        position = 0
        for index, spec in enumerate(self.signature.inputs):
            argument = self.b.load("ptr", self.b.gep("ptr", arguments, index), 8)
            target = self.b.gep("i64", inputs, position)
            position += spec.words
            if spec.kind == "tensor":
                self.read_tensor(argument, spec, target)
                continue
            self.b.store(self.read_number(argument, spec), target)

    def read_tensor(self, argument: Value, spec: InputSpec, target: Value) -> None:
        b = self.b
        array = self.unwrapped(argument)
        self.arrays.append(array)
        self.require(b.icmp("eq", self.field(array, DESCR), self.table.pointer(b, f"dtype.{spec.dtype}")))
        flags = self.field(array, FLAGS, "i32")
        self.require(b.icmp("eq", b.and_(flags, READABLE), READABLE))
        self.require(b.icmp("eq", self.field(array, RANK, "i32"), len(spec.dims)))
        b.store(self.field(array, DATA, "i64"), target)
        dims = self.field(array, DIMS)
        for axis, dim in enumerate(spec.dims):
            extent = b.load("i64", b.gep("i64", dims, axis), 8)
            self.check_dim(dim, extent)
            b.store(extent, b.gep("i64", target, 1 + axis))

    def check_dim(self, dim: Dim, extent: Value) -> None:
        if dim is None:
            return
        if isinstance(dim, int):
            self.require(self.b.icmp("eq", extent, dim))
            return
        if dim in self.symbols:
            self.require(self.b.icmp("eq", extent, self.symbols[dim]))
            return
        self.require(self.b.icmp("ne", extent, 1))
        self.symbols[dim] = extent

    def unwrapped(self, argument: Value) -> Value:
        """The array that an argument is or holds; everything else goes to the slow path."""
        b = self.b
        type_ = self.field(argument, TYPE)
        is_array = b.icmp("eq", type_, self.table.pointer(b, "ndarray"))
        wrapper = self.point.wrapper
        if wrapper is None:
            self.require(is_array)
            return argument
        if self.wraps is None:
            self.wraps = b.not_(is_array)
        with b.if_then_else(is_array) as (plain, wrapped):
            with plain:
                plain.yield_([argument])
            with wrapped:
                self.require(b.icmp("eq", type_, self.table.pointer(b, "wrapper")))
                held = self.field(argument, slot_offset(wrapper.wrapped, wrapper.array_slot))
                self.require(b.icmp("ne", held, 0))
                self.require(b.icmp("eq", self.field(held, TYPE), self.table.pointer(b, "ndarray")))
                wrapped.yield_([held])
        return plain.results[0]

    def read_number(self, argument: Value, spec: InputSpec) -> Value:
        b = self.b
        if spec.kind == "bool":
            is_true = b.icmp("eq", argument, self.table.pointer(b, "true"))
            is_false = b.icmp("eq", argument, self.table.pointer(b, "false"))
            self.require(b.or_(is_true, is_false))
            return b.zext(is_true, "i64")
        self.require(b.icmp("eq", self.field(argument, TYPE), self.table.pointer(b, spec.kind)))
        if spec.kind == "float":
            return self.field(argument, HEADER, "i64")
        value = self.python("PyLong_AsLongLong", "i64", argument)
        with b.if_then(b.icmp("eq", value, -1), likely=False):
            beyond = self.b.icmp("ne", self.python("PyErr_Occurred", "ptr"), 0)
            with b.if_then(beyond):
                self.python("PyErr_Clear", "void")
                b.br(self.slow)
        return value

    # Results before the call

    def prepare_containers(self, containers: Sequence[OutputTree], slots: Sequence[Value]) -> None:
        """Makes the tuples and lists first, so that nothing can fail while they are filled."""
        for container, slot in zip(containers, slots, strict=True):
            assert isinstance(container, tuple | list)
            name = "PyTuple_New" if isinstance(container, tuple) else "PyList_New"
            made = self.python(name, "ptr", self.integer(len(container)))
            self.b.store(made, slot)
            self.not_null(made)

    def prepare_outputs(self, outputs: Value, slots: Sequence[Value]) -> None:
        b = self.b
        position = 0
        for number, (spec, slot) in enumerate(zip(self.signature.computed, slots)):
            words = b.gep("i64", outputs, position)
            position += spec.words
            if not self.signature.is_preallocated(spec):
                b.store(self.integer(0), words)
                continue
            dims = [self.symbols[dim] if isinstance(dim, str) else self.integer(dim or 0) for dim in spec.dims]
            for axis, extent in enumerate(dims):
                b.store(extent, b.gep("i64", words, 1 + axis))
            array = b.call(
                self.obtain(),
                self.table.pair(b, f"recycled.{number}"),
                self.descriptor(spec),
                len(dims),
                b.gep("i64", words, 1),
                numpy_dtype(spec.dtype).itemsize,
            )
            b.store(array, slot)
            self.not_null(array)
            b.store(self.field(array, DATA, "i64"), words)

    def descriptor(self, spec: OutputSpec) -> Value:
        return self.table.pointer(self.b, f"dtype.{spec.dtype}")

    def obtain(self) -> Function:
        """`ptr obtain(places, dtype, rank, dims, itemsize)`: an output array with one reference for the caller.

        One of the last two arrays if nobody else refers to it, else a fresh one (null without memory).
        """
        if "obtain" in self.module.functions:
            return self.module.functions["obtain"]
        parameters = [
            Parameter("ptr", "places"),
            Parameter("ptr", "dtype"),
            Parameter("i32", "rank"),
            Parameter("ptr", "dims"),
            Parameter("i64", "itemsize"),
        ]
        is_free = self.is_free()
        function = self.module.function("obtain", "ptr", parameters, private=True)
        places, dtype, rank, dims, itemsize = function.arguments
        outer, self.b = self.b, Builder(function)
        b = self.b
        addresses = [places, b.gep("i64", places, 1)]
        known = [b.load("ptr", address, 8) for address in addresses]
        for array in known:
            with b.if_then(b.call(is_free, array, dtype, rank, dims)):
                self.python("Py_IncRef", "void", array)
                b.ret(array)
        self.python("Py_IncRef", "void", dtype)
        null = b.constant("ptr", 0)
        fresh = self.new_array(dtype, rank, dims, null, b.constant("i32", 0))
        with b.if_then(b.icmp("eq", fresh, 0), likely=False):
            b.ret(fresh)
        with b.for_loop(0, b.zext(rank, "i64"), carried=[itemsize]) as loop:
            loop.yield_([b.mul(loop.carried[0], b.load("i64", b.gep("i64", dims, loop.index), 8))])
        with b.if_then(b.icmp("ule", loop.results[0], _RECYCLED_BYTES)):
            self.python("Py_IncRef", "void", fresh)
            b.store(known[0], addresses[1], 8)
            b.store(fresh, addresses[0], 8)
            self.python("Py_DecRef", "void", known[1])
        b.ret(fresh)
        self.b = outer
        return function

    def new_array(self, dtype: Value, rank: Value, dims: Value, data: Value, flags: Value) -> Value:
        """PyArray_NewFromDescr, which takes a reference to the dtype from the caller."""
        null = self.b.constant("ptr", 0)
        class_ = self.table.pointer(self.b, "ndarray")
        return self.python("PyArray_NewFromDescr", "ptr", class_, dtype, rank, dims, null, data, flags, null)

    def is_free(self) -> Function:
        """`i1 is_free(array, dtype, rank, dims)`: the array fits, and only the table refers to it."""
        parameters = [
            Parameter("ptr", "array"),
            Parameter("ptr", "dtype"),
            Parameter("i32", "rank"),
            Parameter("ptr", "dims"),
        ]
        function = self.module.function("is_free", "i1", parameters, private=True)
        array, dtype, rank, dims = function.arguments
        outer, self.b = self.b, Builder(function)
        b = self.b
        no = b.new_block("no")
        self.branch_unless(b.icmp("ne", array, 0), no)
        # The count is the low half of the word in every version of CPython with a GIL.
        self.branch_unless(b.icmp("eq", b.load("i32", array, 4), 1), no)
        self.branch_unless(b.icmp("eq", self.field(array, DESCR), dtype), no)
        flags = b.and_(self.field(array, FLAGS, "i32"), FRESH | WRITE_BACK)
        self.branch_unless(b.icmp("eq", flags, FRESH), no)
        self.branch_unless(b.icmp("eq", self.field(array, WEAK), 0), no)
        self.branch_unless(b.icmp("eq", self.field(array, RANK, "i32"), rank), no)
        actual = self.field(array, DIMS)
        with b.for_loop(0, b.zext(rank, "i64")) as loop:
            wanted = b.load("i64", b.gep("i64", dims, loop.index), 8)
            self.branch_unless(b.icmp("eq", b.load("i64", b.gep("i64", actual, loop.index), 8), wanted), no)
        b.ret(True)
        b.position_at_end(no)
        b.ret(False)
        self.b = outer
        return function

    # The call

    def run(self, arguments: Value, inputs: Value, outputs: Value) -> None:
        b = self.b
        context = self.acquire_context()
        thread = self.release_gil() if self.point.release_gil else None
        code = b.call_pointer(self.table.pointer(b, "run"), "i32", context, inputs, outputs)
        if thread is not None:
            self.python("PyEval_RestoreThread", "void", thread)
            self.hold_arrays("Py_DecRef")
        with b.if_then(b.icmp("ne", code, 0), likely=False):
            b.store(b.sext(code, "i64"), field_address(b, context, "code"), 8)
            self.drop_outputs(outputs)
            result = self.call_failed(context, arguments)
            self.give_back(context)
            b.ret(result)
        self.give_back(context)

    def acquire_context(self) -> Value:
        b = self.b
        head = self.table.address(b, "contexts")
        first = b.load("ptr", head, 8)
        with b.if_then_else(b.icmp("ne", first, 0), likely=True) as (pop, create):
            with pop:
                b.store(load_field(b, first, "next"), head, 8)
                pop.yield_([first])
            with create:
                null = b.constant("ptr", 0)
                number = self.python(
                    "PyObject_Vectorcall", "ptr", self.table.pointer(b, "create_context"), null, self.integer(0), null
                )
                self.not_null(number)
                made = self.python("PyLong_AsVoidPtr", "ptr", number)
                self.python("Py_DecRef", "void", number)
                create.yield_([made])
        return pop.results[0]

    def give_back(self, context: Value) -> None:
        head = self.table.address(self.b, "contexts")
        self.b.store(self.b.load("ptr", head, 8), field_address(self.b, context, "next"), 8)
        self.b.store(context, head, 8)

    def release_gil(self) -> Value:
        """Other threads may now run, and replace the array inside a wrapper: the arrays are held meanwhile."""
        self.hold_arrays("Py_IncRef")
        return self.python("PyEval_SaveThread", "ptr")

    def hold_arrays(self, function: str) -> None:
        for array in self.arrays:
            self.python(function, "void", array)

    def drop_outputs(self, outputs: Value) -> None:
        """After a failure: everything that was made for the results goes."""
        b = self.b
        position = 0
        for spec in self.signature.computed:
            if spec.kind == "tensor" and not self.signature.is_preallocated(spec):
                self.python("free_output", "void", b.load("ptr", b.gep("i64", outputs, position), 8))
            position += spec.words
        self.drop_objects()

    def drop_objects(self) -> None:
        for slot in self.objects:
            self.python("Py_DecRef", "void", self.b.load("ptr", slot))

    def call_failed(self, context: Value, arguments: Value) -> Value:
        b = self.b
        count = len(self.signature.inputs)
        forwarded = b.alloca("ptr", count + 1)
        address = self.python("PyLong_FromVoidPtr", "ptr", context)
        with b.if_then(b.icmp("eq", address, 0), likely=False):
            self.give_back(context)
            b.ret(address)
        b.store(address, forwarded)
        for index in range(count):
            b.store(b.load("ptr", b.gep("ptr", arguments, index), 8), b.gep("ptr", forwarded, index + 1))
        result = self.python(
            "PyObject_Vectorcall",
            "ptr",
            self.table.pointer(b, "failed"),
            forwarded,
            self.integer(count + 1),
            b.constant("ptr", 0),
        )
        self.python("Py_DecRef", "void", address)
        return result

    # Results after the call

    def collect(self, outputs: Value, slots: Sequence[Value]) -> None:
        """Makes the Python object of every computed result."""
        b = self.b
        position = 0
        for spec, slot in zip(self.signature.computed, slots):
            words = b.gep("i64", outputs, position)
            position += spec.words
            if spec.kind == "tensor":
                self.collect_tensor(spec, words, slot)
                continue
            made = self.number(spec, words)
            b.store(made, slot)
            self.not_null(made)

    def collect_tensor(self, spec: OutputSpec, words: Value, slot: Value) -> None:
        b = self.b
        if not self.signature.is_preallocated(spec):
            array = self.adopt(spec, words)
            b.store(array, slot)
            self.not_null(array)
        wrapper = self.point.wrapper
        if wrapper is None:
            return
        wraps = self.wraps if self.wraps is not None else b.constant("i1", self.point.wrap_by_default)
        with b.if_then(wraps):
            self.wrap(wrapper, slot)

    def adopt(self, spec: OutputSpec, words: Value) -> Value:
        """An array that owns the memory the native code allocated."""
        b = self.b
        data = b.load("ptr", words, 8)
        dtype = self.descriptor(spec)
        self.python("Py_IncRef", "void", dtype)
        flags = b.constant("i32", READABLE | WRITEABLE)
        array = self.new_array(dtype, b.constant("i32", len(spec.dims)), b.gep("i64", words, 1), data, flags)
        with b.if_then_else(b.icmp("ne", array, 0), likely=True) as (made, failed):
            with made:
                place = b.gep("i8", array, FLAGS)
                b.store(b.or_(b.load("i32", place, 4), OWNS_DATA), place, 4)
            with failed:
                self.python("free_output", "void", data)
        return array

    def wrap(self, wrapper: Wrapper, slot: Value) -> None:
        """Replaces the array in `slot` by an instance that holds it."""
        b = self.b
        instance = self.python("PyType_GenericAlloc", "ptr", self.table.pointer(b, "wrapper"), self.integer(0))
        self.not_null(instance)
        b.store(b.load("ptr", slot), b.gep("i8", instance, slot_offset(wrapper.wrapped, wrapper.array_slot)), 8)
        for name in wrapper.constants:
            value = self.table.pointer(b, f"wrapper.{name}")
            self.python("Py_IncRef", "void", value)
            b.store(value, b.gep("i8", instance, slot_offset(wrapper.wrapped, name)), 8)
        b.store(instance, slot)

    def number(self, spec: OutputSpec, words: Value) -> Value:
        b = self.b
        if spec.kind == "float":
            return self.python("PyFloat_FromDouble", "ptr", b.load("double", words, 8))
        word = b.load("i64", words, 8)
        if spec.kind == "int":
            return self.python("PyLong_FromLongLong", "ptr", word)
        made = b.select(b.icmp("ne", word, 0), self.table.pointer(b, "true"), self.table.pointer(b, "false"))
        self.python("Py_IncRef", "void", made)
        return made

    def assemble(
        self, tree: OutputTree, arguments: Value, computed: Iterator[Value], containers: Iterator[Value]
    ) -> Value:
        """A new reference to what the tree describes.  Nothing can fail here."""
        b = self.b
        if isinstance(tree, OutputSpec):
            return b.load("ptr", next(computed))
        if isinstance(tree, tuple | list):
            container = b.load("ptr", next(containers))
            store = "PyTuple_SetItem" if isinstance(tree, tuple) else "PyList_SetItem"
            for position, branch in enumerate(tree):
                item = self.assemble(branch, arguments, computed, containers)
                self.python(store, "i32", container, self.integer(position), item)
            return container
        if isinstance(tree, Passthrough):
            value = b.load("ptr", b.gep("ptr", arguments, tree.index), 8)
        else:
            # By identity: the constants 0, 0.0 and False are equal.
            number = [constant is tree for constant in _constants(self.signature.outputs)].index(True)
            value = self.table.pointer(b, f"constant.{number}")
        self.python("Py_IncRef", "void", value)
        return value

    # Ends

    def write_slow_path(self) -> None:
        b = self.b
        b.position_at_end(self.slow)
        _, arguments, count, keywords = self.function.arguments
        b.ret(self.python("PyObject_Vectorcall", "ptr", self.table.pointer(b, "slow_path"), arguments, count, keywords))

    def write_cleanup(self) -> None:
        b = self.b
        b.position_at_end(self.cleanup)
        self.drop_objects()
        b.ret(b.constant("ptr", 0))


def _containers(tree: OutputTree) -> list[OutputTree]:
    """The tuples and lists of a tree, outer ones first."""
    if not isinstance(tree, tuple | list):
        return []
    return [tree, *(container for branch in tree for container in _containers(branch))]


def _constants(tree: OutputTree) -> list[OutputTree]:
    if isinstance(tree, Constant):
        return [tree]
    return [c for branch in tree for c in _constants(branch)] if isinstance(tree, tuple | list) else []


# Building --------------------------------------------------------------------------------------------------------


class _MethodDefinition(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    ]


class _Owner:
    """The `self` of a native entry: keeps its code and everything that the table refers to alive."""

    def __init__(self, point: EntryPoint, library: jit.Library, positions: dict[str, int]) -> None:
        self.point = point
        self.library = library
        self.kept: list[object] = []
        self.definition = _MethodDefinition(point.name.encode(), library.address("entry"), _METHOD_FLAGS, None)
        # The words stand outside of the library, because a garbage collection may free that before it gets to this.
        self.table = (ctypes.c_int64 * len(positions))()
        ctypes.c_void_p.from_address(library.address("table")).value = ctypes.addressof(self.table)
        self.recycled = [position for name, position in positions.items() if name.startswith("recycled.")]
        self._drop = python_function("Py_DecRef", None, ctypes.c_void_p)
        for name, position in positions.items():
            self.table[position] = self._value(name)

    def __del__(self) -> None:
        for position in getattr(self, "recycled", ()):
            self._drop(self.table[position])

    def _value(self, name: str) -> int:
        """The word for a name of the table."""
        kind, _, rest = name.partition(".")
        if kind == "recycled" or name == "contexts":
            return 0
        if name in _PYTHON_FUNCTIONS:
            return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0
        if name in ("run", "free_output", "PyArray_NewFromDescr"):
            return {
                "run": lambda: self.point.run,
                "free_output": lambda: runtime().address("free_output"),
                "PyArray_NewFromDescr": lambda: numpy_function(NEW_FROM_DESCR),
            }[name]()
        value = self._object(kind, rest)
        self.kept.append(value)
        return id(value)

    def _object(self, kind: str, rest: str) -> object:
        if kind == "dtype":
            return numpy_dtype(rest)
        if kind == "constant":
            constant = _constants(self.point.signature.outputs)[int(rest)]
            assert isinstance(constant, Constant)
            return constant.value
        wrapper = self.point.wrapper
        if kind == "wrapper" and wrapper is not None:
            return wrapper.constants[rest] if rest else wrapper.wrapped
        return {
            "ndarray": np.ndarray,
            "int": int,
            "float": float,
            "true": True,
            "false": False,
            "slow_path": self.point.slow_path,
            "failed": self.point.failed,
            "create_context": self.point.contexts.create_address,
        }[kind]


def build(point: EntryPoint) -> Callable[..., object]:
    """The native entry.  Only where `is_supported`.  Raises: TypeError for a wrapper that has no such slots."""
    emitter = _Emitter(point)
    library = jit.link([jit.compile_module(emitter.emit())])
    owner = _Owner(point, library, emitter.table.positions)
    create = python_function("PyCFunction_NewEx", ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    made: Callable[..., object] = create(ctypes.addressof(owner.definition), owner, None)
    return made
