"""Prints functions and classes as code, as PyTorch's `.code` and archives have it.

The order of the printed statements is the order of the nodes. A node becomes part of the expression that reads it when
that does not change the order in which things happen (see `optc.jit.inlining`). An expression that grows long gets a
line and a name (`_0`, `_1` ...) after all, and so does every expression that runs before it and waits to be printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from optc.errors import SourceRange, UnsupportedError
from optc.ir import types
from optc.ir.function import ClassType, Function, spelling
from optc.ir.graph import Block, Node, Value
from optc.ir.types import EnumType, OptionalType, TupleType, Type, UnionType
from optc.jit.code_constants import ConstantTable, constant_text, default_text
from optc.jit.code_dependencies import Dependencies
from optc.jit.code_expressions import expression
from optc.jit.code_names import Names, is_identifier, quoted_name, wanted_name
from optc.jit.code_sources import SourceMarks, visible_length
from optc.jit.inlining import Inlining

_LONG = 40
_MAX_INT = 2**63 - 1


def print_function(function: Function) -> tuple[str, list[Any]]:
    """The code of a function or method, and the constants it calls `CONSTANTS.c0`, `CONSTANTS.c1` ..."""
    printer = CodePrinter()
    printer.function(function, types_first_argument=not is_method(function))
    return printer.text, printer.constants.values


def print_class(
    item: Type | Function,
    constants: ConstantTable,
    dependencies: Dependencies,
    numbers: dict[str, int] | None = None,
    marks: SourceMarks | None = None,
) -> str:
    """The definition of a class, interface, NamedTuple, enum or function, as an archive's code has it.

    All definitions of an archive share the two tables, to which what this one needs is added; those of one file share
    the `numbers` of temporaries, a dictionary that starts empty. With `marks` the text tells where it comes from.
    Raises UnsupportedError for what an archive cannot hold, such as calls of Python functions.
    """
    printer = CodePrinter(constants, dependencies, is_importable=True, numbers=numbers, marks=marks)
    printer.named(item)
    return printer.text


def is_method(function: Function) -> bool:
    """True when a function belongs to the class of its first argument."""
    arguments = function.schema.arguments
    owner = arguments[0].type if arguments else None
    if not isinstance(owner, ClassType):
        return False
    own = (owner.methods.get(function.base_name), *owner.forward_hooks, *owner.forward_pre_hooks)
    return any(method is function for method in own)


class CodePrinter:
    """Collects the text of functions and classes, the constants they need and what they depend on.

    `is_importable` refuses what archives cannot hold, such as calls of Python functions. The files of an archive share
    one table of constants and one list of dependencies.
    """

    def __init__(
        self,
        constants: ConstantTable | None = None,
        dependencies: Dependencies | None = None,
        is_importable: bool = False,
        numbers: dict[str, int] | None = None,
        marks: SourceMarks | None = None,
    ) -> None:
        self.constants = ConstantTable() if constants is None else constants
        self.dependencies = Dependencies() if dependencies is None else dependencies
        self.is_importable = is_importable
        self.numbers: dict[str, int] = {} if numbers is None else numbers
        self._marks = marks
        self._source: SourceRange | None = None
        self._parts: list[str] = []
        self._level = 0

    @property
    def text(self) -> str:
        """Everything printed so far."""
        return "".join(self._parts)

    def write(self, line: str) -> None:
        """Add a line at the current depth."""
        self._parts.append(f"{'  ' * self._level}{self.marked(line, self._source)}\n")

    def marked(self, text: str, source: SourceRange | None) -> str:
        """The text with marks of where it comes from, if anybody wants to know."""
        return text if self._marks is None else self._marks.around(text, source)

    @contextmanager
    def lines_of(self, source: SourceRange | None) -> Iterator[None]:
        """What is written inside comes from this source."""
        outer, self._source = self._source, source
        yield
        self._source = outer

    @property
    def width(self) -> int:
        """The columns that indentation takes."""
        return 2 * self._level

    def indent(self, levels: int = 1) -> None:
        """Write deeper from now on, or less deep."""
        self._level += levels

    # Functions.

    def function(self, function: Function, *, types_first_argument: bool = True) -> None:
        """Print a function or method. `.code` leaves out the type of a method's first argument."""
        _FunctionBody(self).print(function, types_first_argument)

    # Types that have a definition.

    def named(self, item: Type | Function) -> None:
        """Print the definition of something that code refers to by name. Raises UnsupportedError for other types."""
        if isinstance(item, Function):
            self.function(item)
        elif isinstance(item, ClassType) and item.is_interface:
            self._interface(item)
        elif isinstance(item, ClassType):
            self._class(item)
        elif isinstance(item, TupleType) and item.name is not None:
            self._named_tuple(item)
        elif isinstance(item, EnumType):
            self._enum(item)
        else:
            raise UnsupportedError(f"the type {item} has no definition to print")

    def _class(self, class_: ClassType) -> None:
        self.write(f"class {_last_part(class_.annotation)}{'(Module)' if class_.is_module else ''}:")
        self.indent()
        if class_.is_module:
            self._module_members(class_)
        for place, (name, attribute) in enumerate(class_.attributes.items()):
            self.dependencies.add_type(attribute.type)
            self._attribute(place, name, attribute.type.annotation)
        for name, value in class_.constants.items():
            type_ = class_.constant_types[name]
            self.write(f"{name} : Final[{type_.annotation}] = {constant_text(value, type_, self.constants)}")
        hooks = {hook.base_name: hook for hook in reversed((*class_.forward_hooks, *class_.forward_pre_hooks))}
        methods = [*class_.methods.values(), *reversed(hooks.values())]
        for method in dict.fromkeys(methods):
            if method.python_function is None:
                self.function(method)
        self.indent(-1)

    def _module_members(self, class_: ClassType) -> None:
        members = class_.attributes.items()
        self._names("__parameters__", [name for name, attribute in members if attribute.is_parameter])
        self._names("__buffers__", [name for name, attribute in members if attribute.is_buffer])
        for title, hooks in (
            ("__forward_pre_hooks__", class_.forward_pre_hooks),
            ("__forward_hooks__", class_.forward_hooks),
        ):
            if hooks:
                self._names(title, [hook.base_name for hook in hooks])

    def _names(self, title: str, names: Sequence[str]) -> None:
        listed = "".join(f"{quoted_name(name, self.is_importable)}, " for name in names)
        self.write(f"{title} = [{listed}]")

    def _attribute(self, place: int, name: str, annotation: str) -> None:
        if is_identifier(name, self.is_importable):
            self.write(f"{name} : {annotation}")
            return
        if place == 0:
            self.write("__annotations__ = []")
        self.write(f"__annotations__[{quoted_name(name, self.is_importable)}] = {annotation}")

    def _named_tuple(self, type_: TupleType) -> None:
        self.write(f"class {_last_part(type_.name or '')}(NamedTuple):")
        for name, element in zip(type_.fields, type_.elements):
            self.dependencies.add_type(element)
            self.write(f"  {name} : {element.annotation}")

    def _interface(self, class_: ClassType) -> None:
        kind = "ModuleInterface" if class_.is_module else "Interface"
        self.write(f"class {_last_part(class_.annotation)}({kind}):")
        for method in class_.methods.values():
            returned = method.schema.returns[0].type
            arguments = method.schema.arguments[1:]
            for type_ in (*(argument.type for argument in arguments), returned):
                self.dependencies.add_type(type_)
            listed = "".join(f", {argument.name}: {argument.type.annotation}" for argument in arguments)
            self.write(f"  def {method.base_name}(self{listed}) -> {returned.annotation}:")
            self.write("    pass")

    def _enum(self, type_: EnumType) -> None:
        self.write(f"class {_last_part(type_.name)}(Enum):")
        for name, value in type_.members:
            self.write(f"  {name} = {constant_text(value, type_.value, self.constants)}")


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


class _FunctionBody:
    """One function on its way to text: the names and expressions that stand for its values."""

    def __init__(self, printer: CodePrinter) -> None:
        self.printer = printer
        self.constants = printer.constants
        self.is_importable = printer.is_importable
        self._names = Names(printer.numbers)
        self._inlined = Inlining()
        self._variables: dict[Value, str] = {}
        self._expressions: dict[Value, str] = {}
        self._annotated: set[Value] = set()
        self._split_up_to: dict[Node, int] = {}

    # Values.

    def use(self, value: Value) -> str:
        """The variable or expression that stands for a value."""
        found = self._variables.get(value)
        return self._expressions[value] if found is None else found

    def depends_on(self, dependency: Type | Function) -> None:
        """Note a class or function that the code refers to."""
        self.printer.dependencies.add(dependency)

    def _name(self, values: Sequence[Value]) -> None:
        for value in values:
            self._variables[value] = self._names.unique(wanted_name(value.name))

    def _listed(self, values: Sequence[Value]) -> str:
        return ", ".join(map(self.use, values))

    # The function and its blocks.

    def print(self, function: Function, types_first_argument: bool) -> None:
        schema, graph = function.schema, function.graph
        parameters = []
        for place, (argument, value) in enumerate(zip(schema.arguments, graph.inputs)):
            self.printer.dependencies.add_type(argument.type)
            name = self._names.unique(argument.name)
            text = name
            if place > 0 or types_first_argument:
                text += f": {argument.type.annotation}"
                self._annotated.add(value)
            if argument.has_default:
                text += f"={default_text(argument, self.constants)}"
            parameters.append(text)
            self._variables[value] = name
        returned = schema.returns[0].type if schema.returns else types.NONE
        break_ = ",\n    "
        self.printer.write(f"def {_last_part(spelling(function))}({break_.join(parameters)}) -> {returned.annotation}:")
        self.printer.dependencies.add_type(returned)
        self._body(graph.block)

    def _body(self, block: Block) -> None:
        self._inlined.scan_block(block)
        self.printer.indent()
        for constant in _constants(block):
            self._node_or_expression(constant)
        self._block(block, has_more=bool(block.outputs))
        self._node(block.return_node)
        self.printer.indent(-1)

    def _block(self, block: Block, has_more: bool) -> None:
        if not has_more and next(block.nodes, None) is None:
            self.printer.write("pass")
        for node in block.nodes:
            self._node(node)

    def _node(self, node: Node) -> None:
        for value in (*node.inputs, *node.outputs):
            self.printer.dependencies.add_type(value.type)
        statement = _STATEMENTS.get(node.kind)
        if statement is not None:
            with self.printer.lines_of(node.source):
                statement(self, node)
        elif node.kind != "prim::Constant":
            self._node_or_expression(node)

    def _node_or_expression(self, node: Node) -> None:
        """A line for the node, or an expression for its reader."""
        if node.kind == "prim::PythonOp" and self.printer.is_importable:
            name = node.attributes.get("name", "")
            raise UnsupportedError(
                f"Could not export Python function call '{name}'. Remove calls to Python functions before export."
            )
        text = self.printer.marked(expression(node, self), node.source)
        if node not in self._inlined or (node.kind == "prim::Constant" and self._is_long(text)):
            self._define(node, text)
            return
        self._expressions[node.output] = text
        if self._is_long(text):
            self._split(node.output)

    def _is_long(self, text: str) -> bool:
        return visible_length(text) + self.printer.width >= _LONG

    def _define(self, node: Node, text: str) -> None:
        self._name(node.outputs)
        target = f"{self._listed(node.outputs)} = " if node.outputs else ""
        with self.printer.lines_of(node.source):
            self.printer.write(target + text)

    def _split(self, value: Value) -> None:
        """Print an expression that has grown long, and all that run before it and wait inside other expressions."""
        waiting: list[Value] = []
        use = value.uses[0]
        reader, slot = use.node, use.slot
        while True:
            done = self._split_up_to.get(reader)
            first = 0 if done is None else done + 1
            for place in range(slot, first - 1, -1):
                argument = reader.inputs[place]
                if argument.node.kind != "prim::Constant" and argument.node in self._inlined:
                    waiting.append(argument)
            self._split_up_to[reader] = slot
            if done is not None or reader not in self._inlined:
                break
            use = reader.output.uses[0]
            reader, slot = use.node, use.slot - 1  # the reader itself is still being put together
        for argument in reversed(waiting):
            self._define(argument.node, self.use(argument))

    # Statements.

    def _assign(self, targets: Sequence[Value], sources: Sequence[Value]) -> None:
        if not targets:
            return
        annotation = ""
        if len(targets) == 1:
            (target,) = targets
            is_open = isinstance(target.type, UnionType | OptionalType)
            if is_open and target not in self._annotated and target not in self._expressions:
                annotation = f" : {target.type.annotation}"
                self._annotated.add(target)
        self.printer.write(f"{self._listed(targets)}{annotation} = {self._listed(sources)}")

    def return_(self, node: Node) -> None:
        if node.inputs:
            self.printer.write(f"return {self._listed(node.inputs)}")

    def if_(self, node: Node) -> None:
        self._name(node.outputs)
        for head, block in zip((f"if {self.use(node.inputs[0])}:", "else:"), node.blocks):
            self.printer.write(head)
            self.printer.indent()
            self._block(block, has_more=bool(node.outputs))
            self._assign(node.outputs, block.outputs)
            self.printer.indent(-1)

    def loop(self, node: Node) -> None:
        """Carried values live in the variables of the loop's outputs, which each trip assigns anew."""
        body = node.blocks[0]
        is_for = _is_for_loop(node)
        self._name(node.outputs)
        for parameter, output in zip(body.inputs[1:], node.outputs):
            self._expressions[parameter] = self._variables[output]
        for output, initial in zip(node.outputs, node.inputs[2:]):
            annotation = f": {output.type.annotation}" if self._needs_annotation(output, initial) else ""
            self.printer.write(f"{self.use(output)}{annotation} = {self.use(initial)}")
        counter = body.inputs[0]
        self._name([counter])
        if is_for:
            self.printer.write(f"for {self.use(counter)} in range({self.use(node.inputs[0])}):")
        else:
            self._assign([counter], [node.inputs[1]])
            self.printer.write(f"while {self.use(counter)}:")
        self.printer.indent()
        first = 1 if is_for else 0
        carried = body.inputs[first:]
        self._block(body, has_more=bool(carried))
        self._assign(carried, body.outputs[first:])
        self.printer.indent(-1)

    def _needs_annotation(self, target: Value, source: Value) -> bool:
        if not isinstance(target.type, UnionType | OptionalType):
            return target.type != source.type
        is_first = target not in self._annotated
        self._annotated.add(target)
        return is_first

    def unpack(self, node: Node) -> None:
        """`a, b, = x`: the comma makes the reader unpack even a single value."""
        self._name(node.outputs)
        targets = f"{self._listed(node.outputs)}, = " if node.outputs else ""
        self.printer.write(targets + self.use(node.inputs[0]))

    def set_attribute(self, node: Node) -> None:
        owner, value = map(self.use, node.inputs)
        self.printer.write(f"{owner}.{node.attributes['name']} = {value}")

    def fork(self, node: Node) -> None:
        name = self._names.unique("__forked_function")
        graph = node.attributes["Subgraph"]
        self.printer.write(f"def {name}():")
        for parameter, value in zip(graph.inputs, node.inputs):
            self._expressions[parameter] = self.use(value)
        self._body(graph.block)
        self._define(node, f"fork({name})")

    def enter(self, node: Node) -> None:
        line = f"with {self.use(node.inputs[0])}"
        if node.output.has_uses:
            self._name(node.outputs)
            line += f" as {self.use(node.output)}"
        self.printer.write(f"{line}:")
        self.printer.indent()

    def exit(self, node: Node) -> None:
        if node.previous is not None and node.previous.kind == "prim::Enter":
            self.printer.write("pass")
        self.printer.indent(-1)

    def container_index(self, node: Node) -> None:
        self._name(node.outputs)
        container, key = map(self.use, node.inputs)
        self.printer.write(f"{self.use(node.output)} : {node.output.type.annotation} = {container}[{key}]")


_STATEMENTS = {
    "prim::Return": _FunctionBody.return_,
    "prim::If": _FunctionBody.if_,
    "prim::Loop": _FunctionBody.loop,
    "prim::TupleUnpack": _FunctionBody.unpack,
    "prim::ListUnpack": _FunctionBody.unpack,
    "prim::SetAttr": _FunctionBody.set_attribute,
    "prim::fork": _FunctionBody.fork,
    "prim::Enter": _FunctionBody.enter,
    "prim::Exit": _FunctionBody.exit,
    "prim::ModuleContainerIndex": _FunctionBody.container_index,
}


def _constants(block: Block) -> list[Node]:
    """The constants that a function reads, in the order in which it first does."""
    readers = (reader for node in (*block.nodes, block.return_node) for reader in _readers(node))
    found = (value.node for reader in readers for value in reader.inputs)
    return list(dict.fromkeys(node for node in found if node.kind == "prim::Constant"))


def _readers(node: Node) -> list[Node]:
    """A node, the nodes in its blocks and the returns of these blocks, in order."""
    result = [node]
    for block in node.blocks:
        for inner in (*block.nodes, block.return_node):
            result.extend(_readers(inner))
    return result


def _is_for_loop(node: Node) -> bool:
    """True when a loop runs a given number of times, False when a condition ends it.

    Raises UnsupportedError when both do: no statement says that.
    """
    body = node.blocks[0]
    always = all(value.is_constant and value.constant is True for value in (node.inputs[1], body.outputs[0]))
    trips = node.inputs[0]
    is_counted = not trips.is_constant or trips.constant != _MAX_INT or body.inputs[0].has_uses
    if not always and is_counted:
        raise UnsupportedError("a loop with both a number of trips and a condition cannot be printed as code")
    return is_counted if always else False
