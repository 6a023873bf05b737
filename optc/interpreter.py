"""The reference interpreter: runs captured and core graphs on run-time values.

A graph is prepared once: every value gets a register, every node a function of the registers with everything that
does not depend on data already looked up. Running is a loop over these functions. Operators go through
`optc.eager.dispatch`, so views, in-place writes and aliasing are those of eager tensors.

Values at run time: see ARCHITECTURE.md. Devices are their names, enumeration values are members of Python enums,
functions are `Function`s, NamedTuples are named tuples of a class made from their type.

An operator's reference that works on containers of anything (a type variable in its schema, or a list or dict that it
writes) gets the run-time values themselves, tensors included, so that what it stores is what was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cmp_to_key
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np

from optc.eager import dispatch
from optc.eager.budget import Budget, current_budget
from optc.eager.failures import Failure, PythonError
from optc.eager.node_functions import FUNCTIONS, MADE_OF_LISTS, PROCESS_STATE, list_element_code, with_dtype
from optc.eager.script_values import Future, as_run_time_value
from optc.errors import ExecutionError, UnsupportedError
from optc.ir.dims import Dim, Symbol, Symbolic, substitute, symbols
from optc.ir.function import ClassType, Function, ScriptObject
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.lifetimes import last_readers
from optc.ir.literals import Elided
from optc.ir.types import IntType, ListType, TensorType, Type, VariableType
from optc.ops.effort import CALL, STEP
from optc.ops.number_constants import has_number_constants, take_number_constants
from optc.ops.packed_parameters import native_method
from optc.ops.registry import Operator, operator_of
from optc.ops.values import AUTOCAST, AUTOCAST_REFUSED

Registers: TypeAlias = list[Any]
Step: TypeAlias = Callable[[Registers], None]
Gather: TypeAlias = Callable[[Registers], Sequence[Any]]


def run(program: Graph | Function, arguments: Sequence[Any]) -> Any:
    """Run a graph or function. Returns its output, or a tuple of them when there is not exactly one.

    Raises ExecutionError, with the places in the user's source, when an operator fails or the program raises.
    A function's graph is prepared on its first run and must not change afterwards.
    """
    prepared = Program(program, "") if isinstance(program, Graph) else program_of(program)
    try:
        return prepared.call(arguments)
    except Failure as failure:
        raise ExecutionError(failure.text()) from failure.error


def program_of(function: Function) -> Program:
    """The function's graph, prepared for running."""
    found: Program | None = function.prepared
    if found is None or found.graph is not function.graph:
        found = function.prepared = Program(_with_numbers(function.graph), function.base_name)
        found.graph = function.graph
    return found


def _with_numbers(captured: Graph) -> Graph:
    """The graph as PyTorch's interpreter takes it: see `optc.ops.number_constants`."""
    if not has_number_constants(captured):
        return captured
    graph = captured.copy()
    take_number_constants(graph)
    return graph


class _Code:
    """The steps of one block and, for errors, the node behind each."""

    __slots__ = ("function", "nodes", "slots", "steps")

    def __init__(self, function: str, slots: dict[Value, int]) -> None:
        self.function = function
        self.slots = slots
        self.steps: list[Step] = []
        self.nodes: dict[Step, Node] = {}

    def execute(self, registers: Registers) -> None:
        """Run the steps. Raises Failure for whatever they raise."""
        budget = current_budget()
        step: Step | None = None
        try:
            for step in self.steps:
                if budget is not None:
                    self._spend(budget, step, registers)
                step(registers)
        except (Failure, Warning):
            raise
        except Exception as error:
            assert step is not None
            raise Failure(error, self.nodes[step], self.function) from error

    def _spend(self, budget: Budget, step: Step, registers: Registers) -> None:
        node = self.nodes.get(step)
        if node is not None:
            budget.spend_on(node, [registers[self.slots[value]] for value in node.inputs])


class Program:
    """A graph prepared for running."""

    def __init__(self, graph: Graph, function: str) -> None:
        self.graph = graph
        self.function = function
        self.registers: Registers = []
        self._slots: dict[Value, int] = {}
        self._contexts: int | None = None
        self._dims = _DimSources() if any(node.kind == "prim::Dim" for node in graph.walk()) else None
        for value in graph.inputs:
            self._define(value)
        self._count = len(graph.inputs)
        self._code = self._block(graph.block)
        self._results = self._gather(graph.outputs)
        self._is_single = len(graph.outputs) == 1

    def call(self, arguments: Sequence[Any]) -> Any:
        """Run on these arguments. Raises Failure, and TypeError for a wrong number of arguments."""
        if len(arguments) != self._count:
            raise TypeError(f"{self.function or 'the graph'} takes {self._count} arguments, not {len(arguments)}")
        registers = self.registers.copy()
        registers[: self._count] = arguments
        if self._contexts is None:
            self._code.execute(registers)
        else:
            self._execute_with_contexts(registers, self._contexts)
        results = self._results(registers)
        return results[0] if self._is_single else tuple(results)

    def _execute_with_contexts(self, registers: Registers, slot: int) -> None:
        """A failing program leaves the `with` statements it is in, as Python would, so that their state is restored."""
        entered: list[Any] = []
        registers[slot] = entered
        try:
            self._code.execute(registers)
        except Failure:
            while entered:
                _call_special(entered.pop(), "__exit__", None, None, None)
            raise

    # Registers.

    def _new_slot(self, initial: Any = None) -> int:
        self.registers.append(initial)
        return len(self.registers) - 1

    def _define(self, value: Value) -> int:
        slot = self._slots[value] = self._new_slot()
        if self._dims is not None:
            self._dims.note(value, slot)
        return slot

    def _gather(self, values: Sequence[Value]) -> Gather:
        slots = [self._slots[value] for value in values]
        if len(slots) >= 2:
            return itemgetter(*slots)
        if not slots:
            return lambda registers: ()
        slot = slots[0]
        return lambda registers: (registers[slot],)

    # Blocks and nodes.

    def _block(self, block: Block) -> _Code:
        code = _Code(self.function, self._slots)
        freed = last_readers(block)
        for node in block.nodes:
            if node.kind == "prim::Constant" and not isinstance(node.attributes.get("value"), Elided):
                self._constant(node)
                continue
            step = self._node(node)
            code.steps.append(step)
            code.nodes[step] = node
            slots = [self._slots[value] for value in freed.get(node, ())]
            if self._dims is not None:
                slots = [slot for slot in slots if not self._dims.reads(slot)]
            if slots:
                code.steps.append(_forget(slots))
        return code

    def _constant(self, node: Node) -> None:
        attributes = node.attributes
        value = attributes["function"] if "function" in attributes else attributes.get("value")
        self._slots[node.output] = self._new_slot(as_run_time_value(value))

    def _node(self, node: Node) -> Step:
        structural = STRUCTURAL.get(node.kind)
        if structural is not None:
            return structural(self, node)
        if node.kind in _SORTING and _holds_objects(node.inputs[0].type):
            return self._apply(node, _SORTING[node.kind])
        if node.kind in PROCESS_STATE:
            return self._apply(node, PROCESS_STATE[node.kind])
        operator = operator_of(node)
        if operator is not None:
            return self._operator(node, operator)
        make = FUNCTIONS.get(node.kind)
        if make is not None:
            return self._apply(node, make(node))
        return self._apply(node, _unsupported(node))

    def _operator(self, node: Node, operator: Operator) -> Step:
        if not _works_on_values(operator):
            execute = dispatch.run
            code = list_element_code(node) if node.kind in MADE_OF_LISTS else None
            if code is not None:
                return self._apply_to_list(node, lambda arguments: execute(operator, with_dtype(arguments, code)))
            return self._apply_to_list(node, lambda arguments: execute(operator, arguments))
        return self._apply(node, operator.reference)

    def _apply(self, node: Node, function: Callable[..., Any]) -> Step:
        """A step that stores `function(*inputs)`."""
        inputs = [self._slots[value] for value in node.inputs]
        if len(node.outputs) != 1 or len(inputs) not in (1, 2):
            return self._apply_to_list(node, lambda arguments: function(*arguments))
        output = self._define(node.output)
        if len(inputs) == 1:
            (only,) = inputs

            def step(registers: Registers) -> None:
                registers[output] = function(registers[only])

            return step
        left, right = inputs

        def binary_step(registers: Registers) -> None:
            registers[output] = function(registers[left], registers[right])

        return binary_step

    def _apply_to_list(self, node: Node, function: Callable[[Sequence[Any]], Any]) -> Step:
        """A step that stores `function(inputs)`, spread over the outputs when there are several."""
        gather = self._gather(node.inputs)
        outputs = [self._define(value) for value in node.outputs]
        if len(outputs) == 1:
            output = outputs[0]

            def step(registers: Registers) -> None:
                registers[output] = function(gather(registers))

            return step

        def spreading_step(registers: Registers) -> None:
            result = function(gather(registers))
            for slot, item in zip(outputs, result if outputs else ()):
                registers[slot] = item

        return spreading_step

    # Control flow.

    def _nested(self, block: Block) -> tuple[_Code, Gather]:
        before = self._dims.snapshot() if self._dims is not None else None
        for value in block.inputs:
            self._define(value)
        code, results = self._block(block), self._gather(block.outputs)
        if self._dims is not None and before is not None:
            self._dims.restore(before)
        return code, results

    def if_step(self, node: Node) -> Step:
        condition = self._slots[node.inputs[0]]
        (when_true, true_results), (when_false, false_results) = map(self._nested, node.blocks)
        outputs = [self._define(value) for value in node.outputs]

        def step(registers: Registers) -> None:
            if registers[condition]:
                when_true.execute(registers)
                results = true_results(registers)
            else:
                when_false.execute(registers)
                results = false_results(registers)
            for slot, value in zip(outputs, results):
                registers[slot] = value

        return step

    def loop_step(self, node: Node) -> Step:
        trip_count, condition = (self._slots[value] for value in node.inputs[:2])
        initial = self._gather(node.inputs[2:])
        body, results = self._nested(node.blocks[0])
        counter, *carried = (self._slots[value] for value in node.blocks[0].inputs)
        outputs = [self._define(value) for value in node.outputs]

        def step(registers: Registers) -> None:
            limit, proceeds = registers[trip_count], registers[condition]
            values: Sequence[Any] = initial(registers)
            count = 0
            budget = current_budget()
            while proceeds and count < limit:
                if budget is not None:
                    budget.spend(STEP)
                registers[counter] = count
                for slot, value in zip(carried, values):
                    registers[slot] = value
                body.execute(registers)
                proceeds, *values = results(registers)
                count += 1
            for slot, value in zip(outputs, values):
                registers[slot] = value

        return step

    # Calls.

    def call_method_step(self, node: Node) -> Step:
        name = str(node.attributes["name"])
        receiver = node.inputs[0].type
        native = native_method(str(receiver), name) if len(node.inputs) == 1 else None
        if native is not None:
            compute = native.function
            return self._apply(node, lambda owner: _with_tensors(compute(owner)))
        method = receiver.methods.get(name) if isinstance(receiver, ClassType) and not receiver.is_interface else None
        if method is not None:
            return self._call(node, node.inputs, lambda arguments: method)
        return self._call(node, node.inputs, lambda arguments: _method_of(arguments[0], name))

    def call_function_step(self, node: Node) -> Step:
        function = self._slots[node.inputs[0]]
        constant = self.registers[function]
        if isinstance(constant, Function):
            return self._call(node, node.inputs[1:], lambda arguments: constant)
        return self._apply(node, _unsupported(node))

    def _call(self, node: Node, inputs: Sequence[Value], callee: Callable[[Sequence[Any]], Function]) -> Step:
        gather = self._gather(inputs)
        outputs = [self._define(value) for value in node.outputs]
        caller = self.function

        def step(registers: Registers) -> None:
            arguments = gather(registers)
            function = callee(arguments)
            budget = current_budget()
            if budget is not None:
                budget.spend(CALL)
            try:
                result = _call_function(function, arguments)
            except Failure as failure:
                failure.passed(node, caller)
                raise
            if len(outputs) == 1:
                registers[outputs[0]] = result
            else:
                for slot, item in zip(outputs, result if outputs else ()):
                    registers[slot] = item

        return step

    def python_step(self, node: Node) -> Step:
        function = node.attributes.get("function")
        if function is None:
            return self._apply(node, _unsupported(node))
        return self._apply_to_list(node, lambda arguments: _call_python(function, arguments))

    def fork_step(self, node: Node) -> Step:
        program = Program(node.attributes["Subgraph"], self.function)

        def fork(arguments: Sequence[Any]) -> Future:
            try:
                return Future(program.call(arguments))
            except Failure as failure:
                return Future(error=failure)

        return self._apply_to_list(node, fork)

    def island_step(self, node: Node) -> Step:
        program = Program(node.attributes["Subgraph"], self.function)
        return self._apply_to_list(node, program.call)

    # The `with` statement.

    def enter_step(self, node: Node) -> Step:
        if self._contexts is None:
            self._contexts = self._new_slot()
        contexts, context = self._contexts, self._slots[node.inputs[0]]
        output = self._define(node.output)

        def step(registers: Registers) -> None:
            _refuse_autocast(registers[context])
            registers[output] = _call_special(registers[context], "__enter__")
            registers[contexts].append(registers[context])

        return step

    def exit_step(self, node: Node) -> Step:
        context, output = self._slots[node.inputs[0]], self._define(node.output)

        def step(registers: Registers) -> None:
            entered = registers[self._contexts] if self._contexts is not None else []
            if entered:
                entered.pop()
            registers[output] = _call_special(registers[context], "__exit__", None, None, None)

        return step

    def dim_step(self, node: Node) -> Step:
        """`prim::Dim`: the dimension's value, from tensors and ints whose types mention its symbols."""
        dim: Dim = node.attributes["dim"]
        assert self._dims is not None
        sources = {name: self._dims.source(name) for name in symbols(dim)}
        output = self._define(node.output)

        def step(registers: Registers) -> None:
            bound: dict[str, Dim] = {}
            for name, source in sources.items():
                if source is None:
                    raise RuntimeError(f"the dimension {name} has no value here: no tensor has it as an extent")
                slot, axis = source
                bound[name] = registers[slot] if axis is None else registers[slot]._array.shape[axis]
            registers[output] = substitute(dim, bound)

        return step


class _DimSources:
    """Where to read the value of a symbol: an axis of a tensor in a register, or an int."""

    def __init__(self) -> None:
        self._sources: dict[str, tuple[int, int | None]] = {}
        self._slots: set[int] = set()

    def note(self, value: Value, slot: int) -> None:
        """Add what the type of a value tells."""
        if isinstance(value.type, IntType):
            self._note(value.type.dim, slot, None)
        elif isinstance(value.type, TensorType):
            for axis, dim in enumerate(value.type.shape or ()):
                self._note(dim, slot, axis)

    def _note(self, dim: Dim | None, slot: int, axis: int | None) -> None:
        if not isinstance(dim, Symbolic) or len(dim.terms) != 1:
            return
        atoms, coefficient = dim.terms[0]
        if coefficient == 1 and len(atoms) == 1 and isinstance(atoms[0], Symbol):
            self._sources.setdefault(atoms[0].name, (slot, axis))
            self._slots.add(slot)

    def source(self, name: str) -> tuple[int, int | None] | None:
        """Register and axis (None for an int) of a symbol, None when nothing has told."""
        return self._sources.get(name)

    def reads(self, slot: int) -> bool:
        """True when a dimension may be read from this register, which then stays filled."""
        return slot in self._slots

    def snapshot(self) -> dict[str, tuple[int, int | None]]:
        """What is known now; values of a nested block are unknown after it."""
        return self._sources.copy()

    def restore(self, before: dict[str, tuple[int, int | None]]) -> None:
        """Forget what was noted since the snapshot."""
        self._sources = before


def _forget(slots: list[int]) -> Step:
    def step(registers: Registers) -> None:
        for slot in slots:
            registers[slot] = None

    return step


def _with_tensors(value: Any) -> Any:
    """What a method of a native object gives, with tensors for arrays."""
    if isinstance(value, tuple):
        return tuple(map(_with_tensors, value))
    return dispatch.wrap(value) if isinstance(value, np.ndarray) else value


def _call_function(function: Function, arguments: Sequence[Any]) -> Any:
    if function.python_function is not None:
        return _call_python(function.python_function, arguments)
    return program_of(function).call(arguments)


def _call_python(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    try:
        return function(*arguments)
    except Warning:
        raise
    except Exception as error:
        raise PythonError(error) from error


def _method_of(receiver: Any, name: str) -> Function:
    if not isinstance(receiver, ScriptObject) or name not in receiver.type.methods:
        kind = receiver.type.name if isinstance(receiver, ScriptObject) else type(receiver).__name__
        raise AttributeError(f"{kind} has no method {name}")
    return receiver.type.methods[name]


def _refuse_autocast(context: Any) -> None:
    if isinstance(context, ScriptObject) and context.type.name in AUTOCAST:
        values = context.values
        if values.get("_enabled") and values.get("device") == "cpu":
            raise UnsupportedError(AUTOCAST_REFUSED)


def _call_special(context: Any, name: str, *arguments: Any) -> Any:
    """`__enter__` or `__exit__` of a script object or of a Python context manager."""
    if isinstance(context, ScriptObject):
        return _call_function(_method_of(context, name), (context, *arguments))
    return getattr(context, name)(*arguments)


def _holds_objects(type_: Type) -> bool:
    return isinstance(type_, ListType) and isinstance(type_.element, ClassType)


def _compare_objects(left: ScriptObject, right: ScriptObject) -> int:
    """What sorting asks of two objects, answered by the `__lt__` of their class."""
    if "__lt__" not in left.type.methods:
        name = left.type.name
        raise RuntimeError(
            f"To sort a list of {name} it must define a __lt__ method with two inputs of type {name} that returns a bool"
        )
    return -1 if _call_function(_method_of(left, "__lt__"), (left, right)) else 1


def _sort_objects(items: list[ScriptObject], reverse: bool = False) -> None:
    items.sort(key=cmp_to_key(_compare_objects), reverse=reverse)


def _sorted_objects(items: list[ScriptObject]) -> list[ScriptObject]:
    return sorted(items, key=cmp_to_key(_compare_objects))


def _works_on_values(operator: Operator) -> bool:
    """True when the reference is called with run-time values as they are: nothing in the schema is a tensor, or it
    handles containers of anything."""
    schema = operator.schema
    if any(isinstance(value.type, TensorType) for value in schema.returns):
        return False
    if schema.is_variadic or any(_mentions(argument.type, VariableType) for argument in schema.arguments):
        return True
    if any(argument.is_written and not isinstance(argument.type, TensorType) for argument in schema.arguments):
        return True
    return not any(_mentions(value.type, TensorType) for value in (*schema.arguments, *schema.returns))


def _mentions(type_: Type, wanted: type[Type]) -> bool:
    if isinstance(type_, wanted):
        return True
    inner = [getattr(type_, name, None) for name in ("element", "key", "value")]
    inner += getattr(type_, "elements", ())
    return any(isinstance(item, Type) and _mentions(item, wanted) for item in inner)


def _unsupported(node: Node) -> Callable[..., Any]:
    """Operators that optc does not have fail when they run: a branch that is never taken may mention them."""
    types = ", ".join(str(value.type) for value in node.inputs)
    archive = node.attributes.get("archive")
    caller = f", which {archive} calls" if archive else ""

    def fail(*arguments: Any) -> Any:
        raise UnsupportedError(f"optc has no operator {node.kind}({types}){caller}")

    return fail


STRUCTURAL: dict[str, Callable[[Program, Node], Step]] = {
    "prim::If": Program.if_step,
    "prim::Loop": Program.loop_step,
    "prim::CallMethod": Program.call_method_step,
    "prim::CallFunction": Program.call_function_step,
    "prim::PythonOp": Program.python_step,
    "prim::fork": Program.fork_step,
    "prim::Island": Program.island_step,
    "prim::Enter": Program.enter_step,
    "prim::Exit": Program.exit_step,
    "prim::Dim": Program.dim_step,
}
"""Nodes that need more than the values of their inputs."""

_SORTING: dict[str, Callable[..., Any]] = {"aten::sort": _sort_objects, "aten::sorted": _sorted_objects}
"""Operators that compare elements: objects are compared by a method of theirs, which the program defines."""
