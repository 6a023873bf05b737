"""`trace` and `trace_module`: run a function or a module once on example inputs and keep what it computed."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from optc.eager import dispatch
from optc.eager.tensor import Tensor
from optc.ir.function import Function, ScriptObject
from optc.ir.graph import Graph, Value
from optc.ir.types import DictType, ListType, TensorType, TupleType, Type
from optc.jit.module import ScriptFunction, ScriptMethod, ScriptModule
from optc.jit.names import NAMES, qualified_name
from optc.jit.torch_objects import refuse_torch
from optc.jit.trace_check import check_trace_of
from optc.jit.trace_scopes import ATTRIBUTE, inline_scopes, scopes_to_methods, traced_schema
from optc.jit.trace_state import TraceState
from optc.jit.trace_values import check_traceable
from optc.jit.traced_module import traced_module
from optc.nn.modules.hooked_call import intercept_forward
from optc.nn.modules.module import Module


def is_tracing() -> bool:
    """True while this thread records a trace."""
    return isinstance(dispatch.current_recorder(), TraceState)


def trace(
    func: Any,
    example_inputs: Any = None,
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Sequence[Any] | None = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    *,
    example_kwarg_inputs: dict[str, Any] | None = None,
) -> Any:
    """Run `func` on the example inputs and return what was recorded: a ScriptFunction, or a ScriptModule for a module.

    Only what happens to tensors is recorded: Python branches and loops are followed as this one run took them, with a
    TracerWarning where they depended on a tensor. Scripted functions and modules called on the way stay calls, control
    flow included.

    `check_trace`: run the trace, the function and a second trace on `check_inputs` (the example inputs by default) and
    warn where results differ by more than `check_tolerance`; raise TracingCheckError where the graphs differ.
    `strict=False` allows lists and dictionaries as results.
    `example_kwarg_inputs`: example inputs by name, instead of `example_inputs`.
    Raises RuntimeError for inputs and results that are no tensors or containers of them.
    """
    if optimize is not None:
        warnings.warn("`optimize` is deprecated and has no effect.", FutureWarning, stacklevel=2)
    if isinstance(func, ScriptModule):
        warnings.warn(
            "The input to trace is already a ScriptModule, tracing it is a no-op. Returning the object as is.",
            stacklevel=2,
        )
        return func
    refuse_torch(func, "trace")
    options = TraceOptions(check_trace, check_tolerance, strict)
    module = _module_of(func)
    if module is not None:
        inputs = _module_inputs(example_inputs, example_kwarg_inputs)
        checks = None if check_inputs is None else [{"forward": given} for given in check_inputs]
        return _trace_methods(module, {"forward": inputs}, checks, options, example_kwarg_inputs is not None)
    owner = getattr(func, "__self__", None)
    if isinstance(owner, Module):
        message = "trace doesn't support compiling individual module's functions.\nPlease use trace_module"
        raise AttributeError(message)  # noqa: TRY004  PyTorch's choice, as below
    return _trace_function(func, example_inputs, example_kwarg_inputs, check_inputs, options)


def trace_module(
    mod: Module,
    inputs: dict[str, Any],
    optimize: Any = None,
    check_trace: bool = True,
    check_inputs: Sequence[dict[str, Any]] | None = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    *,
    example_inputs_is_kwarg: bool = False,
) -> ScriptModule:
    """Trace several methods of a module: `inputs` gives the example inputs of each by its name. See `trace`."""
    if optimize is not None:
        warnings.warn("`optimize` is deprecated and has no effect.", FutureWarning, stacklevel=2)
    if not isinstance(mod, Module):
        raise AttributeError("expected torch.nn.Module as the first argument")  # noqa: TRY004
    if not isinstance(inputs, dict):
        raise AttributeError("expected a dictionary of (method_name, input) pairs")  # noqa: TRY004
    options = TraceOptions(check_trace, check_tolerance, strict)
    return _trace_methods(mod, inputs, check_inputs, options, example_inputs_is_kwarg)


class TraceOptions:
    """How a trace is made and checked."""

    def __init__(self, check: bool, tolerance: float, strict: bool) -> None:
        self.check = check
        self.tolerance = tolerance
        self.strict = strict

    def unchecked(self) -> TraceOptions:
        """The same without a check: what the check itself uses."""
        return TraceOptions(False, self.tolerance, self.strict)


def _module_of(func: Any) -> Module | None:
    if isinstance(func, Module):
        return func
    owner = getattr(func, "__self__", None)
    return owner if isinstance(owner, Module) and func.__name__ == "forward" else None


def _module_inputs(example_inputs: Any, example_kwarg_inputs: dict[str, Any] | None) -> Any:
    if example_inputs is not None:
        return example_inputs
    if not isinstance(example_kwarg_inputs, dict):
        raise RuntimeError("example_kwarg_inputs should be a dict")  # noqa: TRY004
    return example_kwarg_inputs


def _as_tuple(inputs: Any) -> tuple[Any, ...]:
    """A lone tensor or dictionary is one input; any other iterable lists them."""
    if isinstance(inputs, Tensor | dict):
        return (inputs,)
    return inputs if isinstance(inputs, tuple) else tuple(inputs)


# Functions


def _trace_function(
    func: Callable[..., Any],
    example_inputs: Any,
    keywords: dict[str, Any] | None,
    check_inputs: Sequence[Any] | None,
    options: TraceOptions,
) -> ScriptFunction:
    name = func.qualified_name if isinstance(func, ScriptFunction) else qualified_name(func)
    names = argument_names(func)
    given = keywords if keywords is not None else _as_tuple(example_inputs)

    def trace_once(inputs: Any) -> ScriptFunction:
        call = _Call(func, names, inputs)
        state = _record(call, None, {}, options.strict)
        inline_scopes(state.graph)
        claimed = NAMES.claim(name)
        function = Function(claimed, None, state.graph)
        function.schema = traced_schema(function.base_name, state.graph)
        return ScriptFunction(function)

    traced = trace_once(given)
    if options.check:
        for inputs in [given] if check_inputs is None else check_inputs:
            inputs = inputs if isinstance(inputs, dict) and keywords is not None else _as_tuple(inputs)
            check_trace_of(traced, func, trace_once, inputs, options.tolerance)
    return traced


class _Call:
    """A function together with example inputs, positional or by name."""

    def __init__(self, function: Callable[..., Any], names: list[str], inputs: Any) -> None:
        self.function = function
        self.keywords: list[str] = []
        if isinstance(inputs, dict):
            _check_names(inputs, names)
            self.keywords = [name for name in names if name in inputs]
            self.inputs = tuple(inputs[name] for name in self.keywords)
            self.names = self.keywords
        else:
            self.inputs = inputs
            self.names = names if len(names) >= len(inputs) else []

    def run(self, values: Sequence[Any]) -> Any:
        if self.keywords:
            return self.function(**dict(zip(self.keywords, values)))
        return self.function(*values)


def _check_names(inputs: Mapping[str, Any], names: list[str]) -> None:
    for key in inputs:
        if key not in names:
            raise NameError(
                f"'{key}' is not in forward() method's arguments,\n"
                f"                         valid arguments name are [{','.join(names)}]"
            )


def argument_names(function: Callable[..., Any]) -> list[str]:
    """The names of the parameters that can be passed by position; none for callables without a signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]


# Modules


def _trace_methods(
    module: Module,
    inputs: dict[str, Any],
    check_inputs: Sequence[dict[str, Any]] | None,
    options: TraceOptions,
    by_name: bool,
) -> ScriptModule:
    traced = traced_module(module)
    target: ScriptObject = traced._c
    for method, example in inputs.items():
        function = module if method == "forward" else getattr(module, method)
        names = argument_names(getattr(module, method))
        _trace_method(target, module, method, _Call(function, names, _method_inputs(example, by_name)), options)
        if not options.check:
            continue
        for checked in [inputs] if check_inputs is None else check_inputs:

            def trace_again(cloned: Any, method: str = method) -> ScriptMethod:
                again = _trace_methods(module, {method: cloned}, None, options.unchecked(), by_name)
                return ScriptMethod(again._c, again._c.type.methods[method])

            bound = ScriptMethod(target, target.type.methods[method])
            check_trace_of(bound, function, trace_again, _method_inputs(checked[method], by_name), options.tolerance)
    return traced


def _method_inputs(example: Any, by_name: bool) -> Any:
    return example if by_name and isinstance(example, dict) else _as_tuple(example)


def _trace_method(target: ScriptObject, module: Module, method: str, call: _Call, options: TraceOptions) -> None:
    scopes: dict[int, str] = {}
    _name_scopes(module, "__module", scopes)
    state = _record(call, target, scopes, options.strict)
    scopes_to_methods(state.graph, state.names, target)
    function = Function(f"{target.type.name}.{method}", traced_schema(method, state.graph), state.graph)
    target.type.methods[method] = function


def _name_scopes(module: Module, prefix: str, scopes: dict[int, str]) -> None:
    for name, child in module.named_children():
        scopes[id(child)] = f"{prefix}.{name}"
        _name_scopes(child, f"{prefix}.{name}", scopes)


# Recording


def _record(call: _Call, target: ScriptObject | None, scopes: dict[int, str], strict: bool) -> TraceState:
    if is_tracing():
        raise RuntimeError("Tracing can't be nested")
    state = TraceState(strict)
    if target is not None:
        self_value = state.graph.add_input(target.type)
        state.names.give(self_value, "self")
        _add_members(state, self_value, target, "__module")
    types = check_traceable(call.inputs)
    values: list[Any] = []
    for place, (item, type_) in enumerate(zip(call.inputs, types)):
        value = state.graph.add_input(type_)
        if call.names:
            state.names.give(value, call.names[place])
        values.append(_add_input(state, item, value))
    with _recording(state, scopes):
        result = call.run(values)
        if result is None:
            raise RuntimeError(
                "The traced function didn't return any values! Side-effects are not captured in traces, so it would be "
                "a no-op."
            )
        state.graph.add_output(state.output_of(result))
    return state


def _add_members(state: TraceState, owner: Value, target: ScriptObject, prefix: str) -> None:
    """Every member of a module becomes a value known by its path."""
    state.set_value(target, owner)
    for name, attribute in target.type.attributes.items():
        path = f"{prefix}.{name}"
        value = state.graph.insert(ATTRIBUTE, (), (attribute.type,), {"scope": path}).output
        item = target.values.get(name)
        if isinstance(item, Tensor):
            if state.has_value(item):
                _note_alias(state, item)
            else:
                state.set_value(item, value)
        elif isinstance(item, ScriptObject) and item.type.is_module:
            _add_members(state, value, item, path)


def _note_alias(state: TraceState, tensor: Tensor) -> None:
    """A tensor that has two names is known by the first; PyTorch reads it there once, before anything else."""
    first = state.value_of(tensor)
    state.graph.insert("aten::view", (first,), (first.type,))


def _add_input(state: TraceState, item: Any, value: Value) -> Any:
    """Make an example input known to the trace; returns what the traced code gets in its place."""
    if isinstance(item, Tensor):
        if state.has_value(item):
            item = dispatch.wrap(item._array, item._gradient)
        state.set_value(item, value)
        return item
    graph: Graph = state.graph
    if isinstance(item, tuple):
        node = graph.insert("prim::TupleUnpack", (value,), _parts(value.type))
        return tuple(_add_input(state, part, place) for part, place in zip(item, node.outputs))
    if isinstance(item, list):
        element = value.type.element if isinstance(value.type, ListType) else TensorType()
        node = graph.insert("prim::ListUnpack", (value,), [element] * len(item))
        return [_add_input(state, part, place) for part, place in zip(item, node.outputs)]
    assert isinstance(item, dict) and isinstance(value.type, DictType)
    return {key: _add_input(state, part, state.dict_entry(value, key)) for key, part in item.items()}


def _parts(type_: Type) -> tuple[Type, ...]:
    assert isinstance(type_, TupleType)
    return type_.elements


_traces_lock = threading.Lock()
_running_traces = 0


@contextmanager
def _recording(state: TraceState, scopes: dict[int, str]) -> Iterator[None]:
    """Install the recorder on this thread, and the interceptor that tells it which module is running."""
    state.scopes = scopes
    _count_traces(1)
    dispatch.set_recorder(state)
    try:
        yield
    finally:
        dispatch.set_recorder(None)
        _count_traces(-1)


def _count_traces(change: int) -> None:
    global _running_traces
    with _traces_lock:
        _running_traces += change
        if (change, _running_traces) in ((1, 1), (-1, 0)):
            intercept_forward(_enter_scope if change == 1 else None)


def _enter_scope(
    module: Module, forward: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any], /
) -> Any:
    recorder = dispatch.current_recorder()
    if not isinstance(recorder, TraceState) or isinstance(forward, ScriptMethod):
        return forward(*arguments, **keywords)
    scope = recorder.scopes.get(id(module))
    if scope is None:
        return forward(*arguments, **keywords)
    with recorder.inside(scope):
        return forward(*arguments, **keywords)
