"""The methods that `@dataclass` makes: Python keeps no source of them, so here it is, as PyTorch writes it."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, NamedTuple, get_type_hints

from optc.errors import ScriptError


class Method(NamedTuple):
    """The text of a method, what the names of types in it mean, and default values."""

    text: str
    types: dict[str, Any]
    defaults: dict[str, Any]


def made_methods(class_: type) -> dict[str, Method]:
    """The methods of a dataclass by name. Raises ScriptError for what script classes do not have."""
    compared = [field.name for field in dataclasses.fields(class_) if field.compare]
    methods = {"__init__": _initializer(class_), "__repr__": _representation(class_)}
    methods["__eq__"] = _comparison(
        class_, "__eq__", [f"if self.{name} != other.{name}:\n      return False" for name in compared], True
    )
    for name, (sign, is_true_when_equal) in _ORDERS.items():
        steps = [
            f"if self.{field} {sign} other.{field}:\n      return True\n"
            f"    elif other.{field} {sign} self.{field}:\n      return False"
            for field in compared
        ]
        methods[name] = _comparison(class_, name, steps, is_true_when_equal)
    return methods


_ORDERS = {"__lt__": ("<", False), "__le__": ("<", True), "__gt__": (">", False), "__ge__": (">", True)}
"""How each comparison asks about a field, and what it says when all fields are equal."""


def _initializer(class_: type) -> Method:
    """`__init__` assigns the fields; what is only there to begin with goes to `__post_init__`."""
    fields = {field.name: field for field in dataclasses.fields(class_)}
    if any(field.default_factory is not dataclasses.MISSING for field in fields.values()):
        raise ScriptError("Default factory initializers are not supported in TorchScript dataclasses")
    given = [one for one in inspect.signature(class_.__init__).parameters.values() if one.name != "self"]  # type: ignore[misc]
    lines = [f"self.{one.name} = {one.name}" for one in given if one.name in fields]
    if hasattr(class_, "__post_init__"):
        lines.append(f"self.__post_init__({', '.join(one.name for one in given if one.name not in fields)})")
    parameters = ", ".join(["self", *(f"{one.name}: _type_{one.name}" for one in given)])
    body = "".join(f"    {line}\n" for line in lines or ["pass"])
    meant = _meant_types(class_)
    types = {f"_type_{one.name}": _type_of(meant.get(one.name, one.annotation)) for one in given}
    defaults = {one.name: one.default for one in given if one.default is not inspect.Parameter.empty}
    return Method(f"def __init__({parameters}):\n{body}", types, defaults)


def _meant_types(class_: type) -> dict[str, Any]:
    """What annotations mean that Python keeps as text; nothing where they name what is not there yet."""
    try:
        return get_type_hints(class_)
    except NameError:
        return {}


def _type_of(annotation: Any) -> Any:
    return annotation.type if isinstance(annotation, dataclasses.InitVar) else annotation


def _representation(class_: type) -> Method:
    """What PyTorch's says: the names of the fields, not what they hold."""
    shown = ", ".join(f"{field.name}=self.{field.name}" for field in dataclasses.fields(class_) if field.repr)
    return Method(f"def __repr__(self) -> str:\n    return '{class_.__name__}({shown})'\n", {}, {})


def _comparison(class_: type, name: str, steps: list[str], is_true_when_equal: bool) -> Method:
    body = "".join(f"    {step}\n" for step in steps) + f"    return {is_true_when_equal}\n"
    return Method(f"def {name}(self, other: _type_other) -> bool:\n{body}", {"_type_other": class_}, {})
