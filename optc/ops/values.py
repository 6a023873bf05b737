"""TorchScript's operators on values of any type, and what programs ask of the system they run in."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

from optc.ir.dtypes import BFLOAT16, FLOAT16
from optc.ir.stream_text import printed
from optc.ir.types import ANY, BOOL, EnumType, OptionalType, TensorType
from optc.messages import say
from optc.ops.abstract import Unknown, concrete_type, unknown
from optc.ops.hashing import hash_of
from optc.ops.python_values import array_in, declare_host, unknown_of

MESSAGE = "it talks to the user"
"""The reason of operators that compute nothing: they run in the interpreter, and no code could do better."""

_VALUES = "it works on values of any type"


def _is(left: Any, right: Any) -> bool:
    """Equal numbers and texts are one object in TorchScript."""
    if left is right:
        return True
    return isinstance(left, bool | int | float | str) and type(left) is type(right) and left == right


def _identity_rule(negated: bool) -> Callable[..., Any]:
    def infer(left: Any, right: Any) -> Any:
        if left is None and right is None:
            return not negated
        certain = (left is None and _is_something(right)) or (right is None and _is_something(left))
        return negated if certain else unknown(BOOL)

    return infer


def _is_something(value: Any) -> bool:
    """True for what is certainly not None."""
    return value is not None and not isinstance(value, Unknown)


for _name, _negated in (("__is__", False), ("__isnot__", True)):
    declare_host(f"aten::{_name}(t1 self, t2 obj) -> bool",
                 lambda left, right, negated=_negated: _is(left, right) is not negated, _VALUES,
                 rule=_identity_rule(_negated))  # fmt: skip


def _unwrap(value: Any) -> Any:
    if value is None:
        raise RuntimeError("Unwrapping null optional")
    return value


def _unwrap_rule(value: Any) -> Any:
    if isinstance(value, Unknown) and isinstance(value.type, OptionalType):
        return value.type.element if isinstance(value.type.element, TensorType) else unknown_of(value.type.element)
    return value


def _value_rule(member: Any) -> Any:
    """What the members of an enumeration hold is part of its type."""
    if isinstance(member, Unknown):
        return unknown_of(member.type.value) if isinstance(member.type, EnumType) else unknown(ANY)
    return member.value


def _warn(message: str, stacklevel: int) -> None:
    say(lambda: warnings.warn(message, UserWarning, stacklevel=4))


def _optional_rule(is_there: Any, value: Any) -> Any:
    if isinstance(is_there, bool):
        return value if is_there else None
    return Unknown(OptionalType(concrete_type(value)))


declare_host("prim::OptionalConstruct(bool is_there, t value) -> t?", lambda is_there, value: value if is_there else None,
             "only running tells whether there is a value", rule=_optional_rule)  # fmt: skip
declare_host("aten::_unwrap_optional(t(a)? optional) -> t(a)", _unwrap, _VALUES, rule=_unwrap_rule, may_fail=True)
declare_host("prim::unchecked_unwrap_optional(t(a)? optional) -> t(a)", _unwrap, _VALUES, rule=_unwrap_rule,
             may_fail=True)  # fmt: skip
declare_host("aten::wait(Future(t) self) -> t", lambda future: future.wait(), _VALUES, pure=False, may_fail=True)
declare_host("aten::str(t elem) -> str", lambda value: printed(array_in(value)), _VALUES)
declare_host("aten::hash.generic(t value) -> int", lambda value: hash_of(array_in(value)), _VALUES)
declare_host("aten::eq.device(Device a, Device b) -> bool", lambda a, b: a == b, _VALUES)
declare_host("aten::ne.device(Device a, Device b) -> bool", lambda a, b: a != b, _VALUES)
declare_host("aten::eq.enum(AnyEnumType a, AnyEnumType b) -> bool", lambda a, b: a == b, _VALUES)
declare_host("aten::ne.enum(AnyEnumType a, AnyEnumType b) -> bool", lambda a, b: a != b, _VALUES)
declare_host("prim::EnumName(AnyEnumType enum) -> str", lambda member: member.name, _VALUES)
declare_host("prim::EnumValue(AnyEnumType enum) -> t", lambda member: member.value, _VALUES, rule=_value_rule)
declare_host("aten::device(str a) -> Device", lambda name: name, _VALUES)
declare_host("aten::device.with_index(str type, int index) -> Device", lambda kind, index: f"{kind}:{index}", _VALUES)
declare_host("prim::type(Device self) -> str", lambda device: str(device).partition(":")[0], _VALUES)
declare_host("prim::index(Device self) -> int?", lambda device: int(str(device).partition(":")[2])
             if ":" in str(device) else None, _VALUES)  # fmt: skip
declare_host("aten::warn(str message, int stacklevel=2) -> ()", _warn, MESSAGE, pure=False)
declare_host("aten::is_scripting() -> bool", lambda: True, _VALUES)
for _mode in ("is_grad_enabled", "is_autocast_enabled", "is_autocast_cpu_enabled"):
    declare_host(f"aten::{_mode}() -> bool", lambda: False, _VALUES, rule=lambda: False)
AUTOCAST = frozenset(f"__torch__.torch.{part}amp.autocast_mode.autocast" for part in ("", "cpu.", "cuda."))
"""The classes behind `with torch.autocast(...)` in archives; PyTorch knows them by these names too."""

AUTOCAST_REFUSED = "optc does not compute in another type under autocast for the CPU: save the program without it"

_AUTOCAST_TYPES = {
    **dict.fromkeys(("cpu", "hpu", "xla"), BFLOAT16),
    **dict.fromkeys(("cuda", "ipu", "mps", "mtia", "privateuseone", "xpu"), FLOAT16),
}


def _autocast_type(device: str) -> int:
    kind = device.partition(":")[0]
    if not device:
        raise RuntimeError("Device string must not be empty")
    if not re.fullmatch(r"[a-zA-Z_]+(:(0|[1-9][0-9]*))?", device):
        raise RuntimeError(f"Invalid device string: '{device}'")
    if kind not in _AUTOCAST_TYPES:
        expected = ", ".join(_AUTOCAST_TYPES)
        raise RuntimeError(f"Expected one of {expected} device type at start of device string: {kind}")
    return _AUTOCAST_TYPES[kind].code


declare_host(
    "aten::get_autocast_dtype(str device_type) -> ScalarType", _autocast_type, _VALUES, may_fail=True,
)  # fmt: skip
declare_host("aten::set_grad_enabled(bool val) -> ()", lambda mode: None, _VALUES, pure=False)
_GENERATORS = "generators of random numbers are objects of the interpreter"
declare_host("aten::Generator(*, Device? device=None, int? seed=None) -> Generator", lambda device, seed: None, _GENERATORS,
             pure=False)  # fmt: skip
declare_host("aten::manual_seed.generator(Generator(a!) self, int seed) -> Generator(a!)",
             lambda generator, seed: generator.manual_seed(seed), _GENERATORS, pure=False)  # fmt: skip
declare_host("aten::seed(Generator(a!) self) -> int", lambda generator: generator.seed(), _GENERATORS, pure=False)
declare_host("aten::initial_seed(Generator self) -> int", lambda generator: generator.initial_seed(), _GENERATORS,
             pure=False)  # fmt: skip
declare_host("aten::_get_tracing_state() -> bool", lambda: False, _VALUES)
declare_host("aten::has_torch_function(...) -> bool", lambda *values: False, _VALUES)
