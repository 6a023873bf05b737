"""Which Python objects the frontend knows: operators, tensor classes, special forms, functions of `math`."""

from __future__ import annotations

import cmath
import collections
import inspect
import math
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

from optc.eager import functions
from optc.eager.device import Device, Layout, MemoryFormat
from optc.eager.generator import Generator
from optc.eager.tensor import Tensor
from optc.ir.dtypes import DType
from optc.jit import markers
from optc.ops.registry import overloads

_MATH = (
    "ceil", "copysign", "erf", "erfc", "exp", "expm1", "fabs", "floor", "gamma", "lgamma", "log", "log10", "log1p",
    "pow", "sqrt", "isnan", "asinh", "atanh", "cosh", "sinh", "tanh", "acos", "asin", "atan", "atan2", "cos", "sin",
    "tan", "acosh", "fmod", "modf", "factorial", "frexp", "isinf", "degrees", "radians", "ldexp", "gcd", "isfinite",
)  # fmt: skip

_CMATH = (
    "isnan", "isfinite", "isinf", "cos", "sin", "tan", "acos", "asin", "atan", "asinh", "acosh", "atanh", "cosh",
    "sinh", "tanh", "exp", "log", "log10", "sqrt",
)  # fmt: skip

_BUILTINS: dict[int, str] = {
    **{id(getattr(cmath, name)): f"aten::{name}" for name in _CMATH},
    id(cmath.phase): "aten::angle",
    id(cmath.rect): "aten::polar",
    **{id(getattr(math, name)): f"aten::{name}" for name in _MATH},
    id(math.remainder): "aten::mathremainder",
    id(warnings.warn): "aten::warn",
    id(markers.is_scripting): "aten::is_scripting",
    id(markers.wait): "aten::wait",
    id(markers.unwrap_optional): "aten::_unwrap_optional",
    id(Device): "aten::device",
    id(collections.OrderedDict): "aten::dict",
}

_BUILTIN_NAMES = {
    f"optc.nn.functional.{name}": f"aten::{name}"
    for name in (
        "_no_grad_embedding_renorm_", "assert_int_or_pair", "_list_with_default", "_single", "_pair", "_triple",
    )
} | {"optc.nn.functional._infer_size": "aten::broadcast_shapes"}  # fmt: skip

_SPECIAL_FORMS: dict[int, str] = {
    id(markers.annotate): "annotate",
    id(markers.isinstance): "isinstance",
    id(markers.fork): "fork",
}

_OPERATOR_NAMESPACES = {"linalg": "linalg_", "fft": "fft_", "special": "special_"}


def builtin_name(value: Any) -> str | None:
    """The operator that a Python function stands for (`aten::relu`), None when it is no operator."""
    found = _BUILTINS.get(id(value))
    if found is not None:
        return found
    name = getattr(value, "__name__", None)
    if not callable(value) or inspect.isclass(value) or not isinstance(name, str):
        return None
    by_name = _BUILTIN_NAMES.get(f"{getattr(value, '__module__', None)}.{name}")
    if by_name is not None:
        return by_name
    if not overloads(f"aten::{name}"):
        return None
    return f"aten::{name}" if value in (functions.NAMES.get(name), getattr(functions, name, None)) else None


def operator_in(module: ModuleType, name: str) -> str | None:
    """The operator of a namespace: `optc.linalg.norm` is `aten::linalg_norm`; None for other modules and names."""
    prefix = _OPERATOR_NAMESPACES.get(module.__name__.removeprefix("optc."))
    return None if prefix is None else f"aten::{prefix}{name}"


def operator_prefix(name: str) -> str | None:
    """What the operators of `optc.<name>` begin with (`linalg_`), None for names that are no namespace."""
    return _OPERATOR_NAMESPACES.get(name)


def is_operator_namespace(module: ModuleType) -> bool:
    """True for `optc` itself and the module its functions live in."""
    return module is sys.modules.get("optc") or module is functions


def special_form(value: Any) -> str | None:
    """The special form a Python function is, None for ordinary ones."""
    return _SPECIAL_FORMS.get(id(value))


def constant_of(value: Any) -> tuple[Any, str] | None:
    """Codes of dtypes, layouts and memory formats, text of devices, each with the name of its type in graphs."""
    if isinstance(value, DType | Layout | MemoryFormat):
        return value.code, "int"
    if isinstance(value, Device):
        return str(value), "Device"
    return None


def is_tensor(value: Any) -> bool:
    """True for tensors, parameters included."""
    return isinstance(value, Tensor)


TENSOR_CONSTRUCTORS = {
    "BoolTensor": 11, "LongTensor": 4, "ByteTensor": 0, "CharTensor": 1, "DoubleTensor": 7, "FloatTensor": 6,
    "IntTensor": 3, "ShortTensor": 2, "HalfTensor": 5,
}  # fmt: skip
"""The old constructors and the codes of their dtypes."""


def is_tensor_class(class_: type) -> bool:
    """True for the class of tensors and its subclasses."""
    return issubclass(class_, Tensor)


TENSOR_CLASS = Tensor
DEVICE_CLASS = Device
GENERATOR_CLASS = Generator
CODE_CLASSES: tuple[Callable[..., Any], ...] = (DType, Layout, MemoryFormat)
