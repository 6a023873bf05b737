"""`optc check`: what is in a program, and whether optc has everything it may run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, field
from typing import Any

from optc.cli.style import BOLD, GREEN, RED, YELLOW, Style
from optc.cli.target import Target
from optc.dataclass import dataclass
from optc.eager.node_functions import FUNCTIONS, PROCESS_STATE
from optc.eager.tensor import Tensor
from optc.errors import OptcError
from optc.interpreter import STRUCTURAL
from optc.ir.function import ClassType, Function, ScriptObject
from optc.ir.graph import Graph, Node
from optc.ir.schema import Argument
from optc.jit.frontend.type_rules import why_not_implemented
from optc.ops.packed_parameters import native_method
from optc.ops.quantized_parts import works_on_integers
from optc.ops.registry import Interpreted, operator_of
from optc.passes.inline import erase_types
from optc.pipeline import Context, run

NATIVE, INTERPRETED, MISSING, UNREACHED = "native", "interpreted", "missing", "missing, but never run"
REACHABLE = "inline, lower-tuples, freeze, repeat(canonicalize, constant-folding, branch-simplification, dce)"


@dataclass(frozen=True)
class OperatorUse:
    """How often a program's code mentions an operator, what becomes of it, and where the first place is."""

    operator: str
    count: int
    state: str
    reason: str = ""
    place: str = ""


@dataclass(frozen=True)
class TensorGroup:
    """Parameters or buffers: how many there are, their elements, and the bytes they take (shared memory once)."""

    count: int = 0
    elements: int = 0
    bytes: int = 0


@dataclass
class Contents:
    """What `optc check` found. `problems` are methods whose code cannot be read."""

    name: str
    methods: dict[str, str] = field(default_factory=dict)
    parameters: TensorGroup = TensorGroup()
    buffers: TensorGroup = TensorGroup()
    operators: list[OperatorUse] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def is_supported(self) -> bool:
        """True when nothing that can run is missing."""
        return not self.problems and all(use.state != MISSING for use in self.operators)

    def as_json(self) -> str:
        """All of it, for programs."""
        return json.dumps({**asdict(self), "supported": self.is_supported}, indent=2)


def contents(target: Target) -> Contents:
    """Look at all methods of a target, and at what they call."""
    methods = {target.function.base_name: target.function}
    if target.receiver is not None:
        methods = dict(target.receiver.type.methods)
    found = Contents(target.name)
    calls = CallGraph(target.receiver)
    readable: list[Function] = []
    for name, function in methods.items():
        try:
            found.methods[name] = signature(function, target.receiver is not None)
            if function.python_function is None:
                list(calls.functions(function))
                readable.append(function)
        except OptcError as error:
            found.problems[name] = error.message.strip().splitlines()[0]
    if target.receiver is not None:
        found.parameters, found.buffers = tensors_of(target.receiver)
    found.operators = operators_of(readable, calls, target.receiver)
    return found


def signature(function: Function, is_method: bool) -> str:
    """`(x: Tensor, scale: float=1.0) -> Tensor`."""
    schema = function.schema
    listed = ", ".join(map(_parameter, schema.arguments[1:] if is_method else schema.arguments))
    returned = schema.returns[0].type.annotation if schema.returns else "NoneType"
    return f"({listed}) -> {returned}"


def _parameter(argument: Argument) -> str:
    default = f"={argument.default!r}" if argument.has_default else ""
    return f"{argument.name}: {argument.type.annotation}{default}"


def tensors_of(module: ScriptObject) -> tuple[TensorGroup, TensorGroup]:
    """The parameters and the buffers of a module and its submodules."""
    groups: dict[bool, dict[int, Tensor]] = {True: {}, False: {}}
    for owner in objects_of(module):
        for name, attribute in owner.type.attributes.items():
            value = owner.values.get(name)
            if isinstance(value, Tensor) and (attribute.is_parameter or attribute.is_buffer):
                groups[attribute.is_parameter][id(value)] = value
    return _group(groups[True].values()), _group(groups[False].values())


def _group(tensors: Any) -> TensorGroup:
    arrays = [tensor._array for tensor in tensors]
    memory = {(array.ctypes.data, array.nbytes) for array in arrays}
    return TensorGroup(len(arrays), sum(array.size for array in arrays), sum(size for _, size in memory))


def objects_of(module: ScriptObject) -> Iterator[ScriptObject]:
    """The module and everything below it, each once."""
    seen: set[int] = set()
    waiting = [module]
    while waiting:
        owner = waiting.pop()
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        yield owner
        waiting.extend(value for value in owner.values.values() if isinstance(value, ScriptObject))


class CallGraph:
    """Which functions may be run by which. A call through an interface may reach every class that implements it."""

    def __init__(self, receiver: ScriptObject | None) -> None:
        self.classes = [] if receiver is None else list(dict.fromkeys(owner.type for owner in objects_of(receiver)))

    def functions(self, function: Function, seen: set[Function] | None = None) -> Iterator[Function]:
        """A function and all that it may call, each once. Raises ArchiveError for code that cannot be read."""
        known = seen if seen is not None else set()
        if function in known or function.python_function is not None:
            return
        known.add(function)
        yield function
        for node in walk(function.graph):
            for callee in self.callees(node):
                yield from self.functions(callee, known)

    def callees(self, node: Node) -> list[Function]:
        """The functions a node may run: the method it calls, or the function it names."""
        function = node.attributes.get("function")
        if isinstance(function, Function):
            return [function]
        owner = node.inputs[0].type if node.kind == "prim::CallMethod" else None
        if not isinstance(owner, ClassType):
            return []
        name = str(node.attributes["name"])
        classes = [owner]
        if owner.is_interface:
            classes = [class_ for class_ in self.classes if why_not_implemented(class_, owner) is None]
        return [class_.methods[name] for class_ in classes if name in class_.methods]


def walk(graph: Graph) -> Iterator[Node]:
    """All nodes, those of forked graphs included."""
    for node in graph.walk():
        yield node
        if "Subgraph" in node.attributes:
            yield from walk(node.attributes["Subgraph"])


def operators_of(functions: Sequence[Function], calls: CallGraph, receiver: ScriptObject | None) -> list[OperatorUse]:
    """Every operator that the functions mention, the missing ones first, then by how often they occur."""
    counts: Counter[str] = Counter()
    samples: dict[str, Node] = {}
    seen: set[Function] = set()
    for function in functions:
        for reached in calls.functions(function, seen):
            for node in filter(_is_operator, walk(reached.graph)):
                name = name_of(node)
                counts[name] += 1
                samples.setdefault(name, node)
    missing = {name for name, node in samples.items() if state_of(node)[0] == MISSING}
    needed = reachable(functions, calls, receiver) if missing else set()
    uses = [_use(name, count, samples[name], name in needed) for name, count in counts.items()]
    return sorted(uses, key=lambda use: (use.state != MISSING, -use.count, use.operator))


def _use(name: str, count: int, node: Node, is_needed: bool) -> OperatorUse:
    state, reason = state_of(node)
    if state == MISSING and not is_needed:
        state = UNREACHED
    return OperatorUse(name, count, state, reason, str(node.source or ""))


def _is_operator(node: Node) -> bool:
    return not node.kind.startswith("prim::") or state_of(node)[0] == MISSING


def name_of(node: Node) -> str:
    """The operator with its overload; a method of a native class with the class."""
    if node.kind == "prim::CallMethod":
        return f"{node.inputs[0].type.annotation}.{node.attributes['name']}"
    operator = operator_of(node)
    return node.kind if operator is None else operator.name


def state_of(node: Node) -> tuple[str, str]:
    """NATIVE, INTERPRETED or MISSING, and the reason for what is not native."""
    operator = operator_of(node)
    if operator is not None:
        lowering = operator.lowering
        if isinstance(lowering, Interpreted) and not works_on_integers(operator):
            return INTERPRETED, lowering.reason
        return NATIVE, ""
    if node.kind == "prim::CallMethod":
        owner = node.inputs[0].type
        if native_method(str(owner), str(node.attributes["name"])) is not None:
            return INTERPRETED, "its class is written in C++"
        is_native = isinstance(owner, ClassType) and owner.is_native
        return (MISSING, "its class is written in C++") if is_native else (NATIVE, "")
    known = node.kind in STRUCTURAL or node.kind in FUNCTIONS or node.kind in PROCESS_STATE
    return (NATIVE, "") if known else (MISSING, "")


def reachable(functions: Sequence[Function], calls: CallGraph, receiver: ScriptObject | None) -> set[str]:
    """The operators that are left when attributes are constants and branches that are never taken are gone."""
    left: set[str] = set()
    for function in functions:
        graph = function.graph.copy()
        try:
            erase_types(graph)
            run(graph, REACHABLE, (), Context(receiver))
        except OptcError:
            graph = function.graph
            left.update(name_of(node) for each in calls.functions(function) for node in walk(each.graph))
        left.update(map(name_of, walk(graph)))
    return left


def as_text(found: Contents, style: Style) -> str:
    """The contents for people to read."""
    lines = [style.heading(found.name)]
    lines += [f"{style.paint(name, BOLD)}{text}" for name, text in found.methods.items()]
    lines += [style.paint(f"{name} cannot be read: {reason}", RED) for name, reason in found.problems.items()]
    for title, group in (("parameters", found.parameters), ("buffers", found.buffers)):
        lines.append(f"{group.count} {title}: {group.elements:,} elements, {group.bytes:,} bytes")
    if found.operators:
        lines.append("")
    width = max((len(use.operator) for use in found.operators), default=0)
    lines += [f"{use.count:6}  {use.operator:{width}}  {_described(use, style)}" for use in found.operators]
    missing = sum(use.state == MISSING for use in found.operators)
    verdict = "all of it is supported" if found.is_supported else f"operators that are missing: {missing}"
    lines += ["", style.paint(verdict, GREEN if found.is_supported else RED)]
    return "\n".join(lines)


def _described(use: OperatorUse, style: Style) -> str:
    colour = {NATIVE: GREEN, MISSING: RED}.get(use.state, YELLOW)
    more = ", ".join(filter(None, (use.reason, use.place if use.state == MISSING else "")))
    return style.paint(use.state, colour) + (f" ({more})" if more else "")
