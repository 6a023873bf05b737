"""From a compiled `run` function to a Python callable.

A `Signature` says what the callable takes and returns.  `make_entry` builds it in one of two ways that behave alike:

- `PythonEntry`: Python and ctypes, works everywhere, for leaves given by position;
- the native entry (`optc.codegen.entry.native_entry`): a PyCFunction made by the JIT, twenty times faster, on CPython. It also
  takes keywords, defaults, containers, torch tensors and strided arrays, and keeps state.

Both hand every call that does not fit, untouched, to `slow_path`: other types, dtypes, shapes, integers beyond 64 bits.
When `run` returns an error code, `on_failure(failure, args)` raises (or returns the result after all).
"""

import ctypes
import itertools
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, TypeVar

import numpy as np

from optc.codegen.entry import python_layout
from optc.codegen.entry.calculation import Calculation
from optc.codegen.process.context import OUT_OF_MEMORY, Context, ContextPool, Failure, runtime
from optc.dataclass import dataclass
from optc.ir import dtypes

Kind = Literal["tensor", "int", "float", "bool", "object"]
"""What words stand for. An "object" is something only Python can hold: the word says which of `Context.objects`."""
Dim = int | str | None
"""An extent: a number, a symbol (any extent but 1, equal wherever the symbol appears), or None (anything)."""
ResultDim = Dim | Calculation
"""An extent of a result: it may follow from symbols."""

FailureHandler = Callable[[Failure, tuple[object, ...]], object]


@dataclass(frozen=True)
class InputSpec:
    """One argument: a tensor with a numpy dtype name and extents, or a Python number (an int may have to be `value`)."""

    kind: Kind
    dtype: str = ""
    dims: tuple[Dim, ...] = ()
    value: int | None = None

    @property
    def words(self) -> int:
        """How many words of the inputs array the argument takes."""
        return 1 + len(self.dims)


@dataclass(frozen=True)
class OutputSpec:
    """One computed result.  Symbols of the inputs, and what follows from them, are known before the call; None and other
    symbols are not.

    With `rows`, what is returned is a list of the tensor's rows, which are such things.
    """

    kind: Kind
    dtype: str = ""
    dims: tuple[ResultDim, ...] = ()
    rows: Kind | None = None

    @property
    def words(self) -> int:
        return 1 + len(self.dims)


@dataclass(frozen=True)
class Passthrough:
    """A result that is an argument, the same object."""

    index: int


@dataclass(frozen=True)
class Constant:
    """A result that is always the same object, such as None."""

    value: object


@dataclass(frozen=True)
class Hidden:
    """Hidden result number `result`, in what state becomes."""

    result: int


@dataclass(frozen=True)
class NamedItems:
    """A tuple of a class of its own, such as a NamedTuple's."""

    kind: Callable[..., tuple[object, ...]]
    items: tuple["OutputTree", ...]


@dataclass(frozen=True)
class JoinedLists:
    """A list made of others: tuples (of class `kind`) of what is at one place of `lists`, or, without a class, the lists
    that begin at the places which the second list names in the first one; the last of these places is where they end."""

    lists: tuple["OutputTree", ...]
    kind: type | None = None


OutputTree = (
    OutputSpec | Passthrough | Constant | Hidden | NamedItems | JoinedLists | tuple["OutputTree", ...] | list["OutputTree"]
    | dict[object, "OutputTree"]
)  # fmt: skip
InputTree = InputSpec | Constant | tuple["InputTree", ...] | list["InputTree"] | dict[Any, "InputTree"]
"""An argument taken apart: leaves, objects that must be passed as they are (None), and containers of them."""

REQUIRED: object = object()


@dataclass(frozen=True)
class Argument:
    """A parameter of the callable: what it takes, its name, and its default if it has one."""

    form: InputTree
    name: str = ""
    default: object = REQUIRED


@dataclass(frozen=True)
class State:
    """What no argument gives, but `holder[name]` when the call begins: one input of the native code, or a container
    of such."""

    form: InputTree
    holder: dict[str, object]
    name: str


@dataclass(frozen=True)
class Update:
    """What a successful run does with hidden result number `result`.

    It becomes `state.holder[state.name]` (a wrapper), or is copied into the memory of tensor input number `input`.
    """

    result: int
    state: State | None = None
    input: int | None = None


@dataclass(frozen=True)
class Keep:
    """What a successful run lets `state.holder[state.name]` be: a new container, or (`in_place`) the one that is there,
    with other items."""

    state: State
    tree: "OutputTree"
    in_place: bool = False


Computed = TypeVar("Computed")


def leaves(tree: OutputTree) -> Iterator[OutputSpec]:
    """The computed results in the order of the outputs array."""
    if isinstance(tree, OutputSpec):
        yield tree
    for branch in branches(tree):
        yield from leaves(branch)


def branches(tree: OutputTree) -> Sequence[OutputTree]:
    """What a container holds; nothing for leaves."""
    if isinstance(tree, dict):
        return list(tree.values())
    if isinstance(tree, NamedItems):
        return tree.items
    if isinstance(tree, JoinedLists):
        return tree.lists
    return tree if isinstance(tree, tuple | list) else ()


@dataclass(frozen=True)
class Signature:
    """What a compiled function takes and returns."""

    inputs: tuple[InputSpec, ...]
    outputs: OutputTree
    hidden: tuple[OutputSpec, ...] = ()
    """Results behind the others that are not returned but kept as state."""

    @property
    def computed(self) -> tuple[OutputSpec, ...]:
        return (*leaves(self.outputs), *self.hidden)

    @property
    def symbols(self) -> set[str]:
        """The symbols that the arguments determine."""
        return {dim for spec in self.inputs for dim in spec.dims if isinstance(dim, str)}

    def is_preallocated(self, spec: OutputSpec) -> bool:
        """Whether the entry knows the extents of a result before the call and allocates it."""
        known = self.symbols
        return spec.kind == "tensor" and all(isinstance(dim, int | Calculation) or dim in known for dim in spec.dims)


@dataclass(frozen=True)
class Wrapper:
    """A class whose instances stand for arrays: `array_slot` holds the array, `constants` fill its other slots.

    The class must be a Python class whose instances need nothing but these slots.
    """

    wrapped: type
    array_slot: str
    constants: Mapping[str, object] = field(default_factory=dict)

    def unwrap(self, value: object) -> object:
        return getattr(value, self.array_slot, None) if type(value) is self.wrapped else value

    def wrap(self, array: object) -> object:
        instance: object = object.__new__(self.wrapped)
        setattr(instance, self.array_slot, array)
        for name, value in self.constants.items():
            setattr(instance, name, value)
        return instance


@dataclass(frozen=True)
class EntryPoint:
    """Everything an entry is made of.

    run: address of the compiled function.  owner: whatever keeps its code alive.  slow_path(*args, **kwargs): takes
    the calls that do not fit.  on_failure: see the module.  wrapper: the class that is accepted and returned besides
    plain arrays; results are of the `FAMILIES` (`layout`) of the first tensor argument, or, with no tensor among
    the arguments, of `default_family`.  release_gil: other Python threads may run meanwhile (worth it above some 20 microseconds).
    arguments: how the inputs are passed, by default each by its position.  state, updates: inputs that follow those of
    the arguments and are found in dictionaries, and what becomes of the hidden results; keeps: those of containers.
    Only the native entry takes containers, defaults and state.  in_rows: tensors that do not lie row by row, which the code would
    get copies of, go to the slow path.  sites: what the code allocates, by the numbers it gives when there is no memory.
    apart: inputs that must not share memory, by their positions; the native entry sees to it.
    """

    run: int
    owner: object
    signature: Signature
    contexts: ContextPool
    slow_path: Callable[..., object]
    on_failure: FailureHandler
    wrapper: Wrapper | None = None
    default_family: str = "numpy"
    release_gil: bool = False
    name: str = "compiled"
    arguments: tuple[Argument, ...] | None = None
    state: tuple[State, ...] = ()
    updates: tuple[Update, ...] = ()
    keeps: tuple[Keep, ...] = ()
    sites: tuple[Callable[[], str], ...] = ()
    in_rows: bool = False
    apart: tuple[tuple[int, int], ...] = ()

    @property
    def parameters(self) -> tuple[Argument, ...]:
        """The parameters of the callable, in order."""
        return tuple(map(Argument, self.signature.inputs)) if self.arguments is None else self.arguments

    def failed(self, address: int, *arguments: object) -> object:
        """Deals with a run that returned an error; `address` is that of its context."""
        failure = self.contexts.failure(address)
        if failure.code == OUT_OF_MEMORY:
            bytes_, site = failure.details[:2]
            raise MemoryError(f"{self.name}: no {bytes_} bytes for {self.sites[site]() if self.sites else 'a tensor'}")
        return self.on_failure(failure, arguments)


def make_entry(point: EntryPoint, *, native: bool = True) -> Callable[..., object]:
    """A callable for leaves by position: the native entry where it is possible (and `native` asks for it), else ctypes."""
    return (native_entry(point) if native else None) or PythonEntry(point)


def native_entry(point: EntryPoint) -> Callable[..., object] | None:
    """The native entry, None where this interpreter does not allow it."""
    # The native entry is written in terms of this module, so the import has to wait until here.
    from optc.codegen.entry.native_entry import build

    return build(point) if python_layout.is_supported() else None


def numpy_dtype(name: str) -> "np.dtype[Any]":
    """The numpy dtype of the element type with that name."""
    return dtypes.BY_NAME[name].numpy


class PythonEntry:
    """The entry in Python: checks the arguments, calls `run` through ctypes, returns fresh arrays."""

    def __init__(self, point: EntryPoint) -> None:
        self._point = point
        self._signature = point.signature
        self._dtypes = [numpy_dtype(spec.dtype) if spec.dtype else None for spec in point.signature.inputs]
        self._output_words = sum(spec.words for spec in point.signature.computed)
        make_prototype = ctypes.CFUNCTYPE if point.release_gil else ctypes.PYFUNCTYPE
        self._run = make_prototype(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(point.run)
        self.__name__ = point.name

    def __call__(self, *arguments: object, **keywords: object) -> object:
        values = [self._point.wrapper.unwrap(a) for a in arguments] if self._point.wrapper else list(arguments)
        symbols: dict[str, int] = {}
        if keywords or not self._fits(values, symbols):
            return self._point.slow_path(*arguments, **keywords)
        return self._call(arguments, values, symbols)

    def _fits(self, values: list[Any], symbols: dict[str, int]) -> bool:
        specs = self._signature.inputs
        if len(values) != len(specs):
            return False
        return all(
            self._argument_fits(value, spec, dtype, symbols)
            for value, spec, dtype in zip(values, specs, self._dtypes, strict=True)
        )

    def _argument_fits(
        self, value: Any, spec: InputSpec, dtype: "np.dtype[Any] | None", symbols: dict[str, int]
    ) -> bool:
        if spec.kind == "object":
            return True
        if spec.kind == "int":
            return type(value) is int and -(1 << 63) <= value < (1 << 63) and spec.value in (None, value)
        if spec.kind != "tensor":
            return type(value) is {"float": float, "bool": bool}[spec.kind]
        if type(value) is not np.ndarray or value.dtype != dtype or value.ndim != len(spec.dims):
            return False
        if not (value.flags.c_contiguous and value.flags.aligned):
            return False
        return all(_dim_fits(dim, extent, symbols) for dim, extent in zip(spec.dims, value.shape, strict=True))

    def _call(self, arguments: tuple[object, ...], values: list[Any], symbols: dict[str, int]) -> object:
        inputs = (ctypes.c_int64 * max(1, sum(spec.words for spec in self._signature.inputs)))()
        outputs = (ctypes.c_int64 * max(1, self._output_words))()
        arrays = self._allocate(outputs, symbols)
        context = self._point.contexts.acquire()
        try:
            words = itertools.chain.from_iterable(map(_input_words, self._handed_on(values, context)))
            for position, word in enumerate(words):
                inputs[position] = word
            code = self._run(context.address, ctypes.addressof(inputs), ctypes.addressof(outputs))
            context["code"] = code
            if code:
                self._free_outputs(outputs, arrays)
                return self._point.failed(context.address, *arguments)
            computed = list(self._results(outputs, arrays, self._wraps(arguments), context))
        finally:
            self._point.contexts.give_back(context)
        return _assemble(self._signature.outputs, arguments, iter(computed))

    def _handed_on(self, values: list[Any], context: Context) -> Iterator[Any]:
        """The arguments, with numbers for objects."""
        for value, spec in zip(values, self._signature.inputs, strict=True):
            yield context.keep(value) if spec.kind == "object" else value

    def _wraps(self, arguments: tuple[object, ...]) -> bool:
        for argument, spec in zip(arguments, self._signature.inputs, strict=True):
            if spec.kind == "tensor":
                return type(argument) is not np.ndarray
        return self._point.default_family == "wrapped"

    def _allocate(self, outputs: "ctypes.Array[ctypes.c_int64]", symbols: dict[str, int]) -> list[Any]:
        """An array for each computed result whose extents are known, None for the others."""
        arrays: list[Any] = []
        position = 0
        for spec in self._signature.computed:
            array = None
            if self._signature.is_preallocated(spec):
                array = np.empty([_extent(dim, symbols) for dim in spec.dims], numpy_dtype(spec.dtype))
                for offset, word in enumerate(_input_words(array)):
                    outputs[position + offset] = word
            arrays.append(array)
            position += spec.words
        return arrays

    def _free_outputs(self, outputs: "ctypes.Array[ctypes.c_int64]", arrays: list[Any]) -> None:
        position = 0
        for spec, array in zip(self._signature.computed, arrays, strict=True):
            if spec.kind == "tensor" and array is None and outputs[position]:
                runtime().free_output(outputs[position])
            position += spec.words

    def _results(
        self, outputs: "ctypes.Array[ctypes.c_int64]", arrays: list[Any], wraps: bool, context: Context
    ) -> Iterator[object]:
        position = 0
        for spec, array in zip(self._signature.computed, arrays, strict=True):
            words = outputs[position : position + spec.words]
            position += spec.words
            if spec.kind != "tensor":
                yield context.objects[words[0]] if spec.kind == "object" else _scalar(spec.kind, words[0])
                continue
            result = _take_over(spec, words) if array is None else array
            yield self._point.wrapper.wrap(result) if wraps and self._point.wrapper else result


def _dim_fits(dim: Dim, extent: int, symbols: dict[str, int]) -> bool:
    if isinstance(dim, str):
        return extent != 1 and symbols.setdefault(dim, extent) == extent
    return dim is None or dim == extent


def _extent(dim: ResultDim, symbols: dict[str, int]) -> int:
    if isinstance(dim, Calculation):
        return dim.value(symbols)
    return symbols[dim] if isinstance(dim, str) else dim or 0


def _input_words(value: Any) -> list[int]:
    if isinstance(value, np.ndarray):
        return [value.ctypes.data, *value.shape]
    if isinstance(value, float):
        return [struct.unpack("<q", struct.pack("<d", value))[0]]
    return [int(value)]


def _scalar(kind: Kind, word: int) -> int | float | bool:
    if kind == "float":
        return float(struct.unpack("<d", struct.pack("<q", word))[0])
    return bool(word) if kind == "bool" else word


def _take_over(spec: OutputSpec, words: list[int]) -> "np.ndarray[Any, Any]":
    """An array with the contents of memory that native code allocated, which is freed."""
    dtype = numpy_dtype(spec.dtype)
    shape = tuple(words[1:])
    array: np.ndarray[Any, Any] = np.empty(shape, dtype)
    ctypes.memmove(array.ctypes.data, words[0], array.nbytes)
    runtime().free_output(words[0])
    return array


def _assemble(tree: OutputTree, arguments: tuple[object, ...], computed: Iterator[object]) -> object:
    """The results in the form of the tree."""
    if isinstance(tree, OutputSpec):
        return next(computed)
    if isinstance(tree, Passthrough):
        return arguments[tree.index]
    if isinstance(tree, Constant):
        return tree.value
    items: list[object] = [_assemble(branch, arguments, computed) for branch in branches(tree)]
    if isinstance(tree, dict):
        return dict(zip(tree, items, strict=True))
    if isinstance(tree, NamedItems):
        return tree.kind(*items)
    return tuple(items) if isinstance(tree, tuple) else items
