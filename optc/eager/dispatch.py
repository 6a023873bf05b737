"""Every operator call of eager code passes here: overload resolution, the reference, and a tensor around the result.

`call(name, arguments, keywords)` resolves the overload; `run(operator, arguments)` executes one and tells the
recorder of this thread, if there is one. Nothing else in eager knows about tracing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from optc.eager import gradient
from optc.eager.base import COMPUTED, LEAF, NO_GRADIENT, TensorBase, array_of, is_number
from optc.eager.matching import Signature, combination_message, value_text
from optc.eager.memory import in_operand_order, refuse_overlaps, refuse_repeats
from optc.eager.out_arguments import called_with_out, takes_out, write_out
from optc.eager.result_order import ORDERS, Order
from optc.ir import dtypes
from optc.ir.types import ListType, OptionalType, TensorType, Type
from optc.ops import promotion
from optc.ops.held import is_held
from optc.ops.memory_formats import PRESERVE, in_format
from optc.ops.overlaps import Overlap
from optc.ops.registry import Layout, Operator, Pointwise, overloads
from optc.ops.storage import RESHAPED_IN_PLACE

NUMBERS_AS_TENSORS: Final = frozenset(
    base + suffix
    for base in ("add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "floor_divide")
    for suffix in ("", "_")
)
"""Operators whose number operand PyTorch's Python layer turns into a tensor: a trace records `.Tensor` for `.Scalar`."""

_WITHOUT_DERIVATIVE: Final = frozenset(
    f"aten::{name}"
    for name in (
        "detach", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "randint_like",
        "new_zeros", "new_ones", "new_full", "new_empty", "bernoulli", "floor_divide", "normal",
    )
)  # fmt: skip

_NEVER_ITSELF: Final = frozenset(("aten::detach", "aten::alias", "aten::view_as", "aten::expand", "aten::view"))
"""Views that are a new tensor even where nothing changes; the others may return their operand."""

_SCRIPT_ONLY: Final = frozenset(("aten::bernoulli.Tensor",))
"""Overloads on tensors that PyTorch's Python layer does not have."""

_MOVING: Final = frozenset(
    f"aten::{name}"
    for name in (
        "clone", "contiguous", "detach", "flip", "type_as", "to", "size", "sym_size", "dim", "ndimension", "numel",
        "len", "stride", "is_contiguous", "is_same_size", "is_floating_point", "is_complex", "is_signed",
        "element_size", "is_conj", "is_neg",
    )
)  # fmt: skip
"""Operators that have no layout rule and do not look at the elements they move or tell something about."""


class Recorder(Protocol):
    """What tracing installs: it is told of every operator that runs and of every value that leaves the graph."""

    def record(self, operator: Operator, arguments: Sequence[Any], result: Any) -> None:
        """`operator` ran. Arguments are in schema order: tensors, Python values, lists of them; dtypes are codes."""

    def converted(self, tensor: TensorBase, target: str) -> None:
        """A tensor became a Python value: `target` is "Python boolean", "Python integer", "NumPy array" ..."""

    def size(self, tensor: TensorBase, dim: int) -> Any:
        """The extent of a dimension, as the value that stands for it."""

    def numel(self, tensor: TensorBase) -> Any:
        """The number of elements, as the value that stands for it."""


class _Recording(threading.local):
    recorder: Recorder | None = None


_recording = _Recording()


def current_recorder() -> Recorder | None:
    """The recorder of this thread, None when nothing is traced."""
    return _recording.recorder


def set_recorder(recorder: Recorder | None) -> Recorder | None:
    """Install a recorder for this thread, None to stop recording. Returns the one before."""
    before, _recording.recorder = _recording.recorder, recorder
    return before


def note_conversion(tensor: TensorBase, target: str) -> None:
    """Tell the recorder that a tensor becomes a Python value."""
    if _recording.recorder is not None:
        _recording.recorder.converted(tensor, target)


def note_constant(tensor: Any, function: str, detach: bool = False) -> Any:
    """Record what PyTorch records of a tensor made from data: a conversion to its own dtype, and a detach.

    `function` ("torch.tensor") is what the recorder warns of, empty for none. Returns the tensor that was recorded.
    """
    if _recording.recorder is None:
        return tensor
    if function:
        _recording.recorder.converted(tensor, function)
    code = dtypes.from_numpy(tensor._array.dtype).code
    recorded = call("aten::to", (tensor, "cpu", code, False, False, None))
    return call("aten::detach", (recorded,)) if detach else recorded


_tensor_class: list[type[TensorBase]] = []


def register_tensor_class(kind: type[TensorBase]) -> None:
    """Name the class of results. Called once, by the module that defines it."""
    _tensor_class[:] = [kind]


def wrap(array: npt.NDArray[Any], gradient_state: int = NO_GRADIENT) -> Any:
    """A tensor around an array, sharing its memory."""
    kind = _tensor_class[0]
    tensor = kind.__new__(kind)
    tensor._array = array
    tensor._gradient = gradient_state
    return tensor


_signatures: dict[str, list[Signature]] = {}


def signatures_of(name: str) -> list[Signature]:
    """The overloads of `aten::add` that have to do with tensors, ready for matching.

    Raises AttributeError when there are none: `aten::sum.int`, for lists, is for the script language only.
    """
    found = _signatures.get(name)
    if found is None:
        asked = sorted(overloads(name), key=lambda operator: not operator.asked_first)
        found = [
            Signature(operator)
            for operator in asked
            if concerns_tensors(operator) and operator.name not in _SCRIPT_ONLY
        ]
        if not found:
            raise AttributeError(f"optc has no operator {name}")
        _signatures[name] = found
    return found


def concerns_tensors(operator: Operator) -> bool:
    """True when an argument or a result is a tensor."""
    return any(_contains_tensor(value.type) for value in (*operator.schema.arguments, *operator.schema.returns))


def _contains_tensor(type_: Type) -> bool:
    if isinstance(type_, OptionalType | ListType):
        return _contains_tensor(type_.element)
    return isinstance(type_, TensorType)


def call(name: str, arguments: Sequence[Any], keywords: dict[str, Any] | None = None, is_method: bool = False) -> Any:
    """Run the overload of `name` (`aten::add`) that fits the arguments.

    `is_method` says that the first argument is the tensor the method was called on: messages do not count it, and ints
    after it may be gathered into a list. Raises TypeError when no overload fits.
    """
    keywords = {} if keywords is None else keywords
    signatures = signatures_of(name)
    for tensors_as_numbers in (False, True):
        for signature in signatures:
            values = signature.match(arguments, keywords, is_method, tensors_as_numbers)
            if values is not None:
                return run(signature.operator, values)
    if "out" in keywords and not is_method and takes_out(name, keywords["out"]):
        rest = {key: value for key, value in keywords.items() if key != "out"}
        if keywords["out"] is None:
            return call(name, arguments, rest)
        operands = _operands([*arguments, *rest.values()])
        return called_with_out(
            name, lambda: call(name, arguments, rest), keywords["out"], operands, _recording.recorder is not None
        )
    if name.partition("::")[2] in NUMBERS_AS_TENSORS and any(map(is_number, arguments)):
        return call(name, [_number_as_tensor(value) for value in arguments], keywords, is_method)
    raise TypeError(_complaint(name, arguments, keywords, is_method))


def _number_as_tensor(value: Any) -> Any:
    """A number as a 0-d tensor; anything else as it is."""
    return wrap(np.array(value, promotion.number_type(value).numpy)) if is_number(value) else value


def _complaint(name: str, arguments: Sequence[Any], keywords: dict[str, Any], is_method: bool) -> str:
    candidates = [each for each in signatures_of(name) if not _has_out(each)]
    base = name.partition("::")[2]
    if base in NUMBERS_AS_TENSORS:
        candidates = candidates[:1]
    plausible = [each for each in candidates if each.takes(len(arguments) + len(keywords))]
    for only in (candidates, plausible):
        if len(only) == 1:
            return only[0].complaint(base, arguments, keywords, is_method)
    return combination_message(base, candidates, arguments, keywords, is_method)


def _has_out(signature: Signature) -> bool:
    return any(argument.is_written and argument.keyword_only for argument in signature.arguments)


class _Plan(NamedTuple):
    """What `run` needs to know about an operator, derived from its schema once."""

    unwrap: tuple[Callable[[Any], Any], ...]
    written: int | None
    in_place: bool
    changes_elements: bool
    returns_alias: bool
    differentiable: bool
    pointwise: bool
    formatted: bool
    order: Order | None
    takes_held: bool
    field_names: tuple[str, ...]


_plans: dict[Operator, _Plan] = {}


def _plan(operator: Operator) -> _Plan:
    found = _plans.get(operator)
    if found is not None:
        return found
    schema = operator.schema
    written = [place for place, argument in enumerate(schema.arguments) if argument.is_written]
    made = _Plan(
        tuple(_unwrapper(argument.type) for argument in schema.arguments),
        written[0] if written else None,
        bool(written) and not schema.arguments[written[0]].keyword_only,
        bool(written) and not schema.arguments[written[0]].keyword_only and _changes_elements(operator),
        any(returned.alias for returned in schema.returns) or operator.shares is not None,
        schema.name not in _WITHOUT_DERIVATIVE,
        isinstance(operator.lowering, Pointwise),
        bool(schema.arguments) and schema.arguments[-1].name == "memory_format",
        ORDERS.get(schema.name),
        _takes_held(operator),
        tuple(returned.name for returned in schema.returns) if len(schema.returns) > 1 else (),
    )
    _plans[operator] = made
    return made


def _changes_elements(operator: Operator) -> bool:
    """True for an in-place operator whose results come from the elements it writes over."""
    functional = operator.functional
    if functional is None or operator.random or operator.overlap in (Overlap.ONCE, Overlap.ANY):
        return False
    return functional.name != "aten::copy"


def _takes_held(operator: Operator) -> bool:
    """True for what moves elements, converts them or tells about them, and does not compute with them."""
    lowering = operator.lowering
    if isinstance(lowering, Layout) or operator.schema.name in _MOVING:
        return True
    makes_tensor = any(_contains_tensor(returned.type) for returned in operator.schema.returns)
    if isinstance(lowering, Pointwise) and makes_tensor:
        return lowering.promotion == "none" and not operator.mutates
    return operator.schema.name.startswith("prim::") and not makes_tensor


def _unwrapper(type_: Type) -> Callable[[Any], Any]:
    if isinstance(type_, OptionalType):
        type_ = type_.element
    if isinstance(type_, TensorType):
        return array_of
    if isinstance(type_, ListType):
        element = _unwrapper(type_.element)
        return lambda value: [element(item) for item in value] if isinstance(value, list | tuple) else value
    return _number


def _number(value: Any) -> Any:
    return value._array.item() if isinstance(value, TensorBase) else array_of(value)


def run(operator: Operator, arguments: Sequence[Any]) -> Any:
    """Execute one operator on arguments in the schema's order, and record it.

    Raises what the reference raises; for operators that write, RuntimeError when the result does not fit the tensor
    that is written.
    """
    plan = _plan(operator)
    values = [unwrap(value) for unwrap, value in zip(plan.unwrap, arguments)]
    for value in values:
        if value.__class__ is np.ndarray and value.dtype.names is not None and not plan.takes_held:
            _refuse_held(operator, value)
    if plan.written is None:
        with np.errstate(all="ignore"):
            result = _wrapped(operator, plan, operator.reference(*values), arguments)
    else:
        result = _run_writing(operator, plan, plan.written, values, arguments)
    if _recording.recorder is not None:
        _recording.recorder.record(operator, arguments, result)
    return result


def _refuse_held(operator: Operator, array: npt.NDArray[Any]) -> None:
    """Raise NotImplementedError for an array of a type that nothing computes with."""
    if is_held(array):
        raise NotImplementedError(
            f"\"{operator.name}\" not implemented for '{dtypes.from_numpy(array.dtype).label}': "
            "convert the tensor with .to(dtype) first"
        )


def _requires_gradient(arguments: Sequence[Any]) -> bool:
    for value in arguments:
        if isinstance(value, TensorBase):
            if value._gradient:
                return True
        elif isinstance(value, list | tuple) and _requires_gradient(value):
            return True
    return False


def _wrapped(operator: Operator, plan: _Plan, result: Any, arguments: Sequence[Any]) -> Any:
    requires = plan.differentiable and gradient.is_grad_enabled() and _requires_gradient(arguments)
    if isinstance(result, np.ndarray):
        keeps_order = plan.pointwise
        if plan.formatted:
            keeps_order = arguments[-1] is None or arguments[-1] == PRESERVE
        if plan.formatted and not keeps_order:
            result = _in_format(result, arguments)
        if plan.order is not None and result.ndim > 1:
            result = plan.order(result, _operands(arguments))
        elif keeps_order and result.ndim > 1:
            result = _laid_out(result, arguments)
        return _wrapped_array(operator, plan, result, arguments, requires)
    if isinstance(result, tuple | list) and any(isinstance(item, np.ndarray) for item in result):
        if plan.order is not None:
            operands = _operands(arguments)
            result = type(result)(plan.order(item, operands) if item.ndim > 1 else item for item in result)
        items = [_wrapped_array(operator, plan, item, arguments, requires) for item in result]
        if isinstance(result, tuple):
            return _named_result(operator, plan.field_names, items)
        return items
    return result


def _operands(arguments: Sequence[Any]) -> list[npt.NDArray[Any]]:
    """The arrays of the tensors among the arguments, those in lists included."""
    items = [item for value in arguments for item in (value if isinstance(value, list | tuple) else (value,))]
    return [item._array for item in items if isinstance(item, TensorBase)]


def _in_format(result: npt.NDArray[Any], arguments: Sequence[Any]) -> npt.NDArray[Any]:
    """The result in the memory order that the last argument asks for, unless it is an operand that stays."""
    is_operand = any(result is operand for operand in _operands(arguments))
    return result if is_operand else in_format(result, arguments[-1])


def _laid_out(result: npt.NDArray[Any], arguments: Sequence[Any]) -> npt.NDArray[Any]:
    """The result of an element-by-element or `_like` operator in the memory order of its operands."""
    operands = [value._array for value in arguments if isinstance(value, TensorBase)]
    if result.flags.c_contiguous and all(operand.flags.c_contiguous for operand in operands):
        return result
    if any(result is operand for operand in operands):
        return result
    return in_operand_order(result, operands)


def _wrapped_array(operator: Operator, plan: _Plan, array: Any, arguments: Sequence[Any], requires: bool) -> Any:
    if isinstance(array, list):
        return [_wrapped_array(operator, plan, item, arguments, requires) for item in array]
    if not isinstance(array, np.ndarray):
        return array
    for value in arguments:
        if isinstance(value, TensorBase) and value._array is array:
            if not plan.returns_alias:
                array = array.copy()
            elif operator.schema.name not in _NEVER_ITSELF:
                return value
            else:
                array = array.view()
            break
    return wrap(array, COMPUTED if requires and array.dtype.kind not in "biu" else NO_GRADIENT)


_result_types: dict[tuple[str, tuple[str, ...]], Any] = {}


def _named_result(operator: Operator, names: tuple[str, ...], items: list[Any]) -> Any:
    """A tuple whose fields carry the names of the schema's returns, where they have names."""
    if not names or not all(names):
        return tuple(items)
    key = (operator.schema.name.partition("::")[2], names)
    kind = _result_types.get(key)
    if kind is None:
        kind = _result_types[key] = _result_type(*key)
    return kind(*items)


def _result_type(name: str, names: tuple[str, ...]) -> Any:
    fields = NamedTuple(name, [(field, Any) for field in names])  # type: ignore[misc]

    def text(self: Any) -> str:
        shown = ",\n".join(f"{field}={getattr(self, field)!r}" for field in names)
        return f"torch.return_types.{name}(\n{shown})"

    return type(name, (fields,), {"__slots__": (), "__repr__": text, "__module__": "torch.return_types"})


def _run_writing(operator: Operator, plan: _Plan, place: int, values: list[Any], arguments: Sequence[Any]) -> Any:
    target = arguments[place]
    if not isinstance(target, TensorBase):
        raise TypeError(f"{operator.name} writes a tensor, not {value_text(target)}")
    enabled = gradient.is_grad_enabled()
    if enabled and target._gradient == LEAF:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    writes_results = (plan.in_place or operator.functional is not None) and operator.name not in RESHAPED_IN_PLACE
    others = [*arguments[:place], *arguments[place + 1 :]]
    if writes_results:
        refuse_overlaps(operator.overlap, target._array, _operands(others))
    if plan.changes_elements and not target._array.flags.c_contiguous:
        refuse_repeats(target._array)
    with np.errstate(all="ignore"):
        if plan.in_place or operator.functional is None:
            result = operator.reference(*values)
            if operator.functional is None and isinstance(result, np.ndarray):
                target._array = result
        else:
            result = operator.functional.reference(*values[:place], *values[place + 1 :])
            write_out(operator.functional.schema.name, target, result)
    if enabled and target._array.dtype.kind not in "biu" and _requires_gradient(others):
        target._gradient = COMPUTED
    return target
