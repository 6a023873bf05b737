"""The recorder of one trace: a graph that grows with every operator that runs, and what each tensor is called in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from optc.eager import dispatch
from optc.eager.base import TensorBase
from optc.eager.tensor import Tensor
from optc.ir.function import Function, ScriptObject
from optc.ir.graph import Block, Graph, Node, Value
from optc.ir.schema import Argument
from optc.ir.types import (
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    FUNCTION,
    INT,
    NONE,
    NUMBER,
    STRING,
    TENSOR,
    DictType,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    unrefined,
)
from optc.jit.recorded_forms import recorded_form
from optc.jit.trace_frames import name_of, python_source, warn_user
from optc.jit.trace_values import SIZE_TYPE, array_type, tensor_type
from optc.jit.value_names import ValueNames
from optc.ops.registry import Operator, lookup

DATA_FLOW_WARNING = (
    " might cause the trace to be incorrect. We can't record the data flow of Python values, so this value will be "
    "treated as a constant in the future. This means that the trace might not generalize to other inputs!"
)
CONSTRUCTOR_WARNING = (
    " results are registered as constants in the trace. You can safely ignore this warning if you use this function to "
    "create tensors out of constant variables that would be the same every time you call this function. In any other "
    "case, this might cause the trace to be incorrect."
)
CONTAINER_WARNING = (
    " might cause the trace to be incorrect, this is only valid if the container structure does not change based on the "
    "module's inputs. Consider using a constant container instead (e.g. for `list`, use a `tuple` instead. for `dict`, "
    "use a `NamedTuple` instead). If you absolutely need this and know the side effects, pass strict=False to trace() "
    "to allow this behavior."
)
_SPECIAL_WARNINGS = {
    "Python length": "Using len to get tensor shape might cause the trace to be incorrect. Recommended usage would be "
    "tensor.shape[0]. Passing a tensor of different shape might lead to errors or silently give incorrect results.",
    "Python iterator": "Iterating over a tensor might cause the trace to be incorrect. Passing a tensor of different "
    "shape won't change the number of iterations executed (and might lead to errors or silently give incorrect "
    "results).",
}
_UNTRACEABLE_OUTPUT = (
    "Only tensors, lists, tuples of tensors, or dictionary of tensors can be output from traced functions"
)
_CONSTANT_TYPES: dict[type, Type] = {bool: BOOL, int: INT, float: FLOAT, complex: COMPLEX, str: STRING}


class TraceState:
    """Implements `optc.eager.dispatch.Recorder`: what runs while it is installed becomes a node of `graph`."""

    def __init__(self, strict: bool) -> None:
        self.graph = Graph()
        self.names = ValueNames()
        self.strict = strict
        self._values: dict[int, Value] = {}
        self._kept: list[Any] = []
        self.scopes: dict[int, str] = {}

    # What tensors are called in the graph

    def set_value(self, item: Any, value: Value) -> None:
        """`item` is `value` from now on; containers are taken apart."""
        if isinstance(item, Tensor):
            self._bind(item, value)
            if isinstance(value.type, TensorType) and not value.type.is_static:
                value.type = tensor_type(item)
        elif isinstance(item, ScriptObject):
            self._bind(item, value)
        elif isinstance(item, tuple):
            declared = value.type.elements if isinstance(value.type, TupleType) else (TENSOR,) * len(item)
            self._set_parts(item, self.graph.insert("prim::TupleUnpack", (value,), declared))
        elif isinstance(item, list):
            element = value.type.element if isinstance(value.type, ListType) else TENSOR
            self._set_parts(item, self.graph.insert("prim::ListUnpack", (value,), [element] * len(item)))
        elif isinstance(item, dict):
            for key, entry in item.items():
                self.set_value(entry, self.dict_entry(value, key))
        else:
            raise RuntimeError(f"Tracer cannot set value trace for type {type(item).__name__}")  # noqa: TRY004

    def dict_entry(self, value: Value, key: Any) -> Value:
        """The value at a constant key of a dictionary."""
        element = value.type.value if isinstance(value.type, DictType) else TENSOR
        place = self.graph.insert_constant(key, _CONSTANT_TYPES[type(key)])
        return self.graph.insert("aten::__getitem__", (value, place), (element,)).output

    def _set_parts(self, items: Sequence[Any], node: Node) -> None:
        for item, part in zip(items, node.outputs):
            self.set_value(item, part)

    def _bind(self, item: Any, value: Value) -> None:
        self._kept.append(item)
        self._values[id(item)] = value

    def has_value(self, tensor: Tensor) -> bool:
        """True when the tensor is known to the trace."""
        return id(tensor) in self._values

    def value_of(self, item: Any) -> Value:
        """The value that stands for `item`; a tensor the trace has not seen becomes a constant.

        Raises RuntimeError for a tensor that requires a gradient and is no parameter of the traced module, and for
        modules that are not part of it.
        """
        if isinstance(item, Tensor):
            return self._tensor_value(item)
        if isinstance(item, list) and item and all(isinstance(entry, Tensor) for entry in item):
            return self._list([self.value_of(entry) for entry in item], TENSOR)
        if isinstance(item, tuple):
            parts = [self.value_of(entry) for entry in item]
            return self.graph.insert("prim::TupleConstruct", parts, (TupleType(tuple(p.type for p in parts)),)).output
        if isinstance(item, dict) and item:
            return self._dict({key: self.value_of(entry) for key, entry in item.items()})
        if isinstance(item, ScriptObject):
            return self._object_value(item)
        return self.constant(item)

    def _tensor_value(self, tensor: Tensor) -> Value:
        found = self._values.get(id(tensor))
        if found is not None:
            if not found.name:
                self.names.give(found, name_of(tensor))
            return found
        if tensor.requires_grad:
            dispatch.set_recorder(None)
            raise RuntimeError(
                "Cannot insert a Tensor that requires grad as a constant. Consider making it a parameter or input, or "
                f"detaching the gradient\nTensor:\n{tensor.detach()}"
            )
        constant = self.constant(tensor._array)
        self._bind(tensor, constant)
        return constant

    def _object_value(self, item: ScriptObject) -> Value:
        found = self._values.get(id(item))
        if found is None:
            raise RuntimeError(
                f"Tried to trace {item!r} but it is not part of the active trace. Modules that are called during a "
                "trace must be registered as submodules of the thing being traced."
            )
        return found

    def constant(self, item: Any, type_: Type | None = None) -> Value:
        """A constant with the line of Python it comes from (None has none, as in PyTorch)."""
        if item is None:
            return self.graph.insert_constant(None, NONE)
        if type_ is None:
            type_ = self._constant_type(item)
        value = self.graph.insert_constant(item, type_)
        value.node.source = python_source()
        return value

    @staticmethod
    def _constant_type(item: Any) -> Type:
        if isinstance(item, np.ndarray):
            return array_type(item)
        if isinstance(item, list | tuple):
            element = _CONSTANT_TYPES.get(type(item[0])) if item else INT
            if element is not None:
                return ListType(element)
        found = _CONSTANT_TYPES.get(type(item))
        if found is None:
            raise RuntimeError(
                f"Tracer cannot get value trace for type {type(item).__name__}. The below value could not be "
                f"materialized as a constant:\n{item}"
            )
        return found

    def _list(self, values: Sequence[Value], element: Type) -> Value:
        return self.graph.insert("prim::ListConstruct", values, (ListType(element),)).output

    def _dict(self, entries: dict[Any, Value]) -> Value:
        operands: list[Value] = []
        for key, value in entries.items():
            operands += [self.constant(key), value]
        type_ = DictType(operands[0].type, unrefined(operands[1].type))
        return self.graph.insert("prim::DictConstruct", operands, (type_,)).output

    def output_of(self, item: Any, number: int = 1) -> Value:
        """The value of a result of the traced function. Raises RuntimeError for what a trace cannot return."""
        if isinstance(item, Tensor):
            found = self._values.get(id(item))
            if found is None or found.is_constant:
                raise RuntimeError(
                    f"output {number} ({item}) of traced region did not have observable data dependence with trace "
                    "inputs; this probably indicates your program cannot be understood by the tracer."
                )
            return found
        if isinstance(item, tuple) and item:
            parts = [self.output_of(entry, number) for entry in item]
            type_ = TupleType(tuple(part.type for part in parts))
            return self.graph.insert("prim::TupleConstruct", parts, (type_,)).output
        if isinstance(item, list) and item:
            if self.strict:
                warn_user("Encountering a list at the output of the tracer" + CONTAINER_WARNING)
            parts = [self.output_of(entry, number) for entry in item]
            return self._list(parts, unrefined(parts[0].type))
        if isinstance(item, dict) and item:
            if self.strict:
                raise RuntimeError("Encountering a dict at the output of the tracer" + CONTAINER_WARNING)
            return self._dict({key: self.output_of(entry, number) for key, entry in item.items()})
        raise RuntimeError(_UNTRACEABLE_OUTPUT)

    # What dispatch tells

    def record(self, operator: Operator, arguments: Sequence[Any], result: Any) -> None:
        """Append the node of an operator that ran, and remember which tensors are its results."""
        if not _holds_tensors(result):
            return
        source = python_source()
        operator, arguments = recorded_form(*_as_written(operator, arguments))
        schema = operator.schema
        inputs = [self._argument(argument, value) for argument, value in zip(schema.arguments, arguments)]
        node = self.graph.insert(schema.name, inputs, (), overload=schema.overload)
        node.operator = operator
        node.source = source
        if len(schema.returns) == 1:
            results: Sequence[Any] = (result,)
        else:
            results = result
        for item, returned in zip(results, schema.returns):
            type_ = tensor_type(item) if isinstance(item, Tensor) else unrefined(returned.type)
            self.set_value(item, node.add_output(type_))

    def _argument(self, argument: Argument, value: Any) -> Value:
        type_ = argument.type
        if value is None:
            return self._none(type_)
        if isinstance(type_, OptionalType):
            type_ = type_.element
        if isinstance(type_, ListType):
            listed = value if isinstance(value, list | tuple) else [value] * (type_.size or 1)
            return self._list_argument(type_.element, listed)
        if isinstance(type_, TensorType):
            return self._tensor_value(value)
        return self._number(type_, value)

    def _none(self, type_: Type) -> Value:
        return self.constant(None)

    def _list_argument(self, element: Type, value: Any) -> Value:
        inner = element.element if isinstance(element, OptionalType) else element
        if isinstance(inner, TensorType):
            return self._list(
                [self._none(element) if item is None else self._tensor_value(item) for item in value], element
            )
        return self._list([self._number(inner, item) for item in value], IntType() if inner == INT else inner)

    def _number(self, type_: Type, value: Any) -> Value:
        if isinstance(value, Tensor):
            return self._converted_number(type_, value)
        if type_ == DEVICE:
            return self.constant(str(value), DEVICE)
        if type_ == FLOAT and isinstance(value, int):
            value = float(value)
        return self.constant(value)

    def _converted_number(self, type_: Type, tensor: Tensor) -> Value:
        """A number that came from a traced 0-d tensor; the conversion stands right after the tensor's node."""
        value = self._tensor_value(tensor)
        kind, result = {INT: ("aten::Int", INT), FLOAT: ("aten::Float", FLOAT), BOOL: ("aten::Bool", BOOL)}.get(
            type_, ("aten::ScalarImplicit", NUMBER)
        )
        place = value.node.next if value.node.kind != "prim::Param" else None
        with self.graph.inserting(place if place is not None else self.graph.insertion_point):
            return self.graph.insert(kind, (value,), (result,)).output

    def converted(self, tensor: TensorBase, target: str) -> None:
        """Warn that a tensor becomes a Python value, which a trace cannot follow."""
        special = _SPECIAL_WARNINGS.get(target)
        if special is not None:
            warn_user(special)
        elif target.startswith(("optc.", "torch.")):
            warn_user("torch." + target.partition(".")[2] + CONSTRUCTOR_WARNING)
        else:
            warn_user(f"Converting a tensor to a {target}{DATA_FLOW_WARNING}")

    def size(self, tensor: TensorBase, dim: int) -> Any:
        """The extent of a dimension as a 0-d tensor, so that what is computed from it is traced."""
        return self._measured(tensor, tensor._array.shape[dim], "aten::size", dim)

    def numel(self, tensor: TensorBase) -> Any:
        """The number of elements as a 0-d tensor."""
        return self._measured(tensor, tensor._array.size, "aten::numel")

    def _measured(self, tensor: TensorBase, number: int, kind: str, *arguments: int) -> Any:
        inputs = [self.value_of(tensor), *map(self.constant, arguments)]
        node = self.graph.insert(kind, inputs, (INT,), overload="int" if arguments else "")
        node.source = python_source()
        traced = self.graph.insert("prim::NumToTensor", (node.output,), (SIZE_TYPE,), overload="Scalar").output
        standing_for = dispatch.wrap(np.array(number, np.int64))
        self.set_value(standing_for, traced)
        return standing_for

    # Calls of compiled code, and modules

    def record_call(self, function: Function, target: ScriptObject | None, arguments: Sequence[Any]) -> Value:
        """The node that calls a compiled function or method; returns its result's value."""
        operands = [self.value_of(item) for item in arguments]
        result = unrefined(function.schema.returns[0].type)
        if target is not None:
            receiver = self.value_of(target)
            attributes = {"name": function.base_name}
            return self.graph.insert("prim::CallMethod", (receiver, *operands), (result,), attributes).output
        callee = self.graph.insert(
            "prim::Constant", (), (FUNCTION,), {"name": function.base_name, "function": function}
        ).output
        return self.graph.insert("prim::CallFunction", (callee, *operands), (result,)).output

    @contextmanager
    def inside(self, scope: str) -> Iterator[None]:
        """Record into the block of a `prim::TracedModuleForward` node while a submodule runs."""
        outer_scope, outer_point = self.graph.current_scope, self.graph.insertion_point
        self.graph.current_scope = f"{outer_scope}/{scope}" if outer_scope else scope
        node = self.graph.insert("prim::TracedModuleForward", (), (), {"scope": scope})
        self.graph.insertion_point = node.add_block().return_node
        try:
            yield
        finally:
            self.graph.current_scope, self.graph.insertion_point = outer_scope, outer_point

    @property
    def top(self) -> Block:
        """The graph's outermost block."""
        return self.graph.block


def _holds_tensors(result: Any) -> bool:
    if isinstance(result, list | tuple):
        return any(isinstance(item, Tensor) for item in result)
    return isinstance(result, Tensor)


def _as_written(operator: Operator, arguments: Sequence[Any]) -> tuple[Operator, list[Any]]:
    """The overload and arguments that PyTorch's Python layer would have passed on for the same call.

    Number operands of arithmetic become tensors, and factory functions name the CPU and unpinned memory.
    """
    given = list(arguments)
    schema = operator.schema
    base = schema.name.partition("::")[2]
    if base in dispatch.NUMBERS_AS_TENSORS and schema.overload.startswith("Scalar"):
        with_tensor = lookup(f"{schema.name}.{schema.overload.replace('Scalar', 'Tensor')}")
        if with_tensor is not None:
            operator = with_tensor
            if not isinstance(given[1], Tensor):
                given[1] = _number_tensor(given[1])
    positions = schema.positions
    if "pin_memory" in positions and given[positions["pin_memory"]] is None:
        given[positions["pin_memory"]] = False
        takes_tensor = bool(schema.arguments) and isinstance(schema.arguments[0].type, TensorType)
        if not takes_tensor and "device" in positions and given[positions["device"]] is None:
            given[positions["device"]] = "cpu"
    return operator, given


def _number_tensor(number: Any) -> Any:
    dtypes: dict[type, type] = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}
    return dispatch.wrap(np.array(number, dtypes[type(number)]))
