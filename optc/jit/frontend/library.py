"""What PyTorch writes in Python and compiles when a program uses it, as the text that is compiled here."""

from __future__ import annotations

from typing import Any

from optc.ir.function import ClassAttribute, ClassType, Function
from optc.ir.types import BOOL, INT, STRING, OptionalType, Type
from optc.jit.choices import Choice
from optc.jit.frontend.string_source import compile_text, define_text_method
from optc.jit.names import NAMES

_NO_GRAD = """\
def __init__(self):
    self.prev = False
def __enter__(self) -> None:
    pass
def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
    pass
"""
"""Compiled code records no gradients, so there is no mode to switch."""

_RECORD_FUNCTION = """\
def __init__(self, name: str, args: Optional[str]=None):
    self.name = name
    self.args = args
def __enter__(self) -> None:
    pass
def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
    pass
"""

_AUTOCAST = """\
def __init__(self, device_type: str, dtype: Optional[int]=None, enabled: bool=True, cache_enabled: Optional[bool]=None):
    self.device = device_type
    self.fast_dtype = torch.get_autocast_dtype(device_type) if dtype is None else dtype
    self._enabled = enabled
def __enter__(self) -> None:
    pass
def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
    pass
"""
"""The interpreter knows the class by its name, and refuses to enter what would compute in another type."""

_CLASSES: dict[str, tuple[str, dict[str, Type], str]] = {
    "optc.eager.gradient.no_grad": ("__torch__.torch.autograd.grad_mode.no_grad", {"prev": BOOL}, _NO_GRAD),
    "optc.eager.contexts.record_function": (
        "__torch__.torch.autograd.profiler.record_function",
        {"name": STRING, "args": OptionalType(STRING)},
        _RECORD_FUNCTION,
    ),
    "optc.eager.contexts.autocast": (
        "__torch__.torch.amp.autocast_mode.autocast",
        {"fast_dtype": INT, "_enabled": BOOL, "device": STRING},
        _AUTOCAST,
    ),
}

_FUNCTIONS: dict[str, tuple[str, str]] = {
    "optc.jit.tracing.is_tracing": ("__torch__.torch.jit._trace", "def is_tracing():\n    return False\n"),
}

_UNIQUE = """\
def _unique_impl(input, sorted: bool=True, return_inverse: bool=False, return_counts: bool=False, dim: Optional[int]=None):
    if dim is not None:
        output, inverse_indices, counts = torch.unique_dim(input, dim, sorted, return_inverse, return_counts)
    else:
        output, inverse_indices, counts = torch._unique2(input, sorted, return_inverse, return_counts)
    return output, inverse_indices, counts
def _return_output(input, sorted: bool=True, return_inverse: bool=False, return_counts: bool=False, dim: Optional[int]=None):
    output, _, _ = _unique_impl(input, sorted, return_inverse, return_counts, dim)
    return output
def _return_counts(input, sorted: bool=True, return_inverse: bool=False, return_counts: bool=False, dim: Optional[int]=None):
    output, _, counts = _unique_impl(input, sorted, return_inverse, return_counts, dim)
    return output, counts
def _return_inverse(input, sorted: bool=True, return_inverse: bool=False, return_counts: bool=False, dim: Optional[int]=None):
    output, inverse_indices, _ = _unique_impl(input, sorted, return_inverse, return_counts, dim)
    return output, inverse_indices
def _return_inverse_and_counts(input, sorted: bool=True, return_inverse: bool=False, return_counts: bool=False,
                               dim: Optional[int]=None):
    return _unique_impl(input, sorted, return_inverse, return_counts, dim)
"""

_UNIQUE_CONSECUTIVE = """\
def _unique_consecutive_impl(input, return_inverse: bool=False, return_counts: bool=False, dim: Optional[int]=None):
    output, inverse_indices, counts = torch.unique_consecutive(input, return_inverse, return_counts, dim)
    return output, inverse_indices, counts
def _consecutive_return_output(input, return_inverse: bool=False, return_counts: bool=False, dim: Optional[int]=None):
    output, _, _ = _unique_consecutive_impl(input, return_inverse, return_counts, dim)
    return output
def _consecutive_return_counts(input, return_inverse: bool=False, return_counts: bool=False, dim: Optional[int]=None):
    output, _, counts = _unique_consecutive_impl(input, return_inverse, return_counts, dim)
    return output, counts
def _consecutive_return_inverse(input, return_inverse: bool=False, return_counts: bool=False, dim: Optional[int]=None):
    output, inverse_indices, _ = _unique_consecutive_impl(input, return_inverse, return_counts, dim)
    return output, inverse_indices
def _consecutive_return_inverse_and_counts(input, return_inverse: bool=False, return_counts: bool=False,
                                           dim: Optional[int]=None):
    return _unique_consecutive_impl(input, return_inverse, return_counts, dim)
"""

_CHOSEN: dict[str, tuple[str, str, int]] = {
    "optc.eager.optional_results.unique": (_UNIQUE, "_return", 2),
    "optc.eager.optional_results.unique_consecutive": (_UNIQUE_CONSECUTIVE, "_consecutive_return", 1),
}
"""Functions whose flags `return_inverse` and `return_counts`, the first in the given place, say how many results there
are: the text of all forms, and what the forms' names begin with."""

_made_chosen: dict[str, Choice] = {}
_made_classes: dict[str, ClassType] = {}
_made_functions: dict[str, Function] = {}


def _python_name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def library_class(class_: type) -> ClassType | None:
    """The script class that stands for a Python class of optc, None when there is none."""
    name = _python_name(class_)
    if name not in _CLASSES:
        return None
    if name not in _made_classes:
        qualified, attributes, text = _CLASSES[name]
        made = ClassType(
            NAMES.claim(qualified), attributes={key: ClassAttribute(attributes[key]) for key in attributes}
        )
        for method in text.split("def ")[1:]:
            define_text_method(made, f"def {method}")
        _made_classes[name] = made
    return _made_classes[name]


def library_choice(function: Any) -> Choice | None:
    """The compiled functions that stand for a Python function of optc, and the flags that choose one; or None."""
    name = _python_name(function)
    if name not in _CHOSEN:
        return None
    if name not in _made_chosen:
        text, prefix, place = _CHOSEN[name]
        made = compile_text(text, "__torch__.torch.functional")
        with_inverse = Choice(
            "return_counts", place + 1, made[f"{prefix}_inverse_and_counts"], made[f"{prefix}_inverse"]
        )
        without = Choice("return_counts", place + 1, made[f"{prefix}_counts"], made[f"{prefix}_output"])
        _made_chosen[name] = Choice("return_inverse", place, with_inverse, without)
    return _made_chosen[name]


def library_function(function: Any) -> Function | None:
    """The compiled function that stands for a Python function of optc, None when there is none."""
    name = _python_name(function)
    if name not in _FUNCTIONS:
        return None
    if name not in _made_functions:
        prefix, text = _FUNCTIONS[name]
        (_made_functions[name],) = compile_text(text, prefix).values()
    return _made_functions[name]
