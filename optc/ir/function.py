"""Functions and classes of a program: what `prim::CallMethod`, `prim::CallFunction` and `prim::GetAttr` refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from types import MappingProxyType
from typing import Any

from optc.dataclass import dataclass
from optc.ir.graph import Graph
from optc.ir.schema import FunctionSchema
from optc.ir.types import NATIVE_CLASSES, NONE, Type


class Function:
    """A compiled function or method: qualified name, schema (with defaults) and graph.

    Scripting compiles on demand: `define` builds the graph when it is first asked for, so functions may refer to each
    other in any order; `declare` gives the schema alone, where the declaration tells all of it (else None).
    `python_function` is set for `@ignore`d functions, which run in Python.
    """

    def __init__(
        self,
        name: str,
        schema: FunctionSchema | None = None,
        graph: Graph | None = None,
        define: Callable[[Function], None] | None = None,
        declare: Callable[[], FunctionSchema | None] | None = None,
        written: WrittenCode | None = None,
    ) -> None:
        self.name = name
        self._schema = schema
        self._graph = graph
        self._define = define
        self._declare = declare
        self.written = written
        """The code that the body is part of, where all of it is known."""
        if written is not None:
            written.functions.append(self)
        self.python_function: Callable[..., Any] | None = None
        self.documentation: str | None = None
        self.prepared: Any = None
        """What the interpreter made of the graph. Kept here so that both go together: a graph refers to functions."""

    @property
    def is_defined(self) -> bool:
        """True once there is a graph, which whoever has it may change."""
        return self._define is None

    def ensure_defined(self) -> None:
        """Compile the function now if that has not happened yet."""
        define, self._define = self._define, None
        if define is None:
            return
        try:
            define(self)
        except BaseException:
            self._define = define
            raise

    @property
    def graph(self) -> Graph:
        """The captured graph. Raises ValueError for a function that has none (an ignored one)."""
        self.ensure_defined()
        if self._graph is None:
            raise ValueError(f"{self.name} has no graph")
        return self._graph

    @graph.setter
    def graph(self, graph: Graph) -> None:
        self._graph = graph

    @property
    def schema(self) -> FunctionSchema:
        """Arguments (self included for methods) and return."""
        if self._schema is None and self._declare is not None:
            self._schema = self._declare()
        if self._schema is None:
            self.ensure_defined()
        if self._schema is None:
            raise ValueError(f"{self.name} has no schema")
        return self._schema

    @schema.setter
    def schema(self, schema: FunctionSchema) -> None:
        self.ensure_defined()  # which would set its own
        self._schema = schema

    @property
    def result_type(self) -> Type:
        """The type of what a call returns."""
        return self.schema.returns[0].type if self.schema.returns else NONE

    @property
    def base_name(self) -> str:
        """The last part of the qualified name."""
        return self.name.rpartition(".")[2]

    def __repr__(self) -> str:
        return f"<Function {self.name}>"


@dataclass(eq=False)
class WrittenCode:
    """A body of code whose functions are compiled on demand, by nothing but its text and the constants it names."""

    digest: str = ""
    """Of all of the text; empty where it is not known."""
    constants: tuple[Any, ...] = ()
    functions: list[Function] = field(default_factory=list)
    classes: set[ClassType] = field(default_factory=set)

    def is_untouched(self) -> bool:
        """True while nobody has seen a graph, and all methods are the code's own: the text says what they do."""
        return (
            bool(self.digest)
            and not any(function.is_defined for function in self.functions)
            and all(method.written is self for class_ in self.classes for method in class_.bodies())
        )


_SPELLINGS: ContextVar[Mapping[Any, str]] = ContextVar("_SPELLINGS", default=MappingProxyType({}))


@contextmanager
def spelled(names: Mapping[Any, str]) -> Iterator[None]:
    """While this lasts, code calls the classes and functions in `names` by other names than their own."""
    token = _SPELLINGS.set(names)
    try:
        yield
    finally:
        _SPELLINGS.reset(token)


def spelling(item: Any) -> str:
    """What code calls a class or function, in the place where it is being printed."""
    name: str = item.name
    return _SPELLINGS.get().get(item, name)


@dataclass(eq=False)
class ClassAttribute:
    """A slot of a class: its type and what kind of module member it is."""

    type: Type
    is_parameter: bool = False
    is_buffer: bool = False


@dataclass(frozen=True, eq=False)
class ClassType(Type):
    """A module type, script class or interface. Compared by identity; `name` is qualified (`__torch__.a.B`)."""

    name: str
    is_module: bool = False
    is_interface: bool = False
    attributes: dict[str, ClassAttribute] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    constant_types: dict[str, Type] = field(default_factory=dict)
    methods: dict[str, Function] = field(default_factory=dict)
    static_methods: dict[str, Function] = field(default_factory=dict)
    properties: dict[str, tuple[Function, Function | None]] = field(default_factory=dict)
    forward_hooks: list[Function] = field(default_factory=list)
    forward_pre_hooks: list[Function] = field(default_factory=list)

    def __str__(self) -> str:
        return f"InterfaceType<{self.name.rpartition('.')[2]}>" if self.is_interface else self.name

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def annotation(self) -> str:
        return spelling(self)

    def bodies(self) -> Iterator[Function]:
        """All functions that code may reach through the class."""
        yield from self.methods.values()
        yield from self.static_methods.values()
        yield from self.forward_hooks
        yield from self.forward_pre_hooks
        for read, write in self.properties.values():
            yield from filter(None, (read, write))

    @property
    def is_native(self) -> bool:
        """True for a class written in C++: its objects can be kept and passed on, not used."""
        return self.name.startswith(NATIVE_CLASSES)

    @property
    def is_hooked(self) -> bool:
        """True for a module whose call does more than its `forward`."""
        return bool(self.forward_pre_hooks or self.forward_hooks)


class ScriptObject:
    """An instance of a `ClassType`: a module or script-class object, its attributes in declaration order."""

    __slots__ = ("type", "values", "__weakref__")

    def __init__(self, type_: ClassType, values: dict[str, Any] | None = None) -> None:
        self.type = type_
        self.values: dict[str, Any] = {} if values is None else values

    def __repr__(self) -> str:
        return f"<ScriptObject {self.type.name}>"
