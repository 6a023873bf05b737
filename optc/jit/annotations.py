"""Python's annotations and values as types: `Optional[int]`, `list[Tensor]`, NamedTuples, enums, classes."""

from __future__ import annotations

import collections
import enum
import inspect
import types as python_types
import typing
from collections.abc import Callable
from typing import Any

from optc.errors import ScriptError
from optc.ir import types
from optc.ir.function import ClassType, ScriptObject
from optc.ir.types import DictType, FutureType, ListType, TupleType, Type
from optc.jit import markers, vocabulary
from optc.jit.frontend.enumerations import enum_type
from optc.jit.frontend.type_rules import make_union, unify
from optc.jit.names import qualified_name

ClassCompiler = Callable[[type], Type | None]

_SIMPLE: dict[Any, Type] = {
    None: types.NONE,
    type(None): types.NONE,
    int: types.INT,
    float: types.FLOAT,
    bool: types.BOOL,
    str: types.STRING,
    complex: types.COMPLEX,
    Any: types.ANY,
    list: types.ANY_LIST,
    tuple: types.ANY_TUPLE,
    vocabulary.TENSOR_CLASS: types.TENSOR,
    vocabulary.DEVICE_CLASS: types.DEVICE,
    vocabulary.GENERATOR_CLASS: types.GENERATOR,
    **dict.fromkeys(vocabulary.CODE_CLASSES, types.INT),
}


class Annotations:
    """Turns annotations into types; `compile_class` gives the type of a Python class that is to be scripted."""

    def __init__(self, compile_class: ClassCompiler, resolve: Callable[[str], Any] | None = None) -> None:
        self.compile_class = compile_class
        self.resolve = resolve

    def resolving(self, resolve: Callable[[str], Any]) -> Annotations:
        """The same, with a way to look up the names in annotations that are text."""
        return Annotations(self.compile_class, resolve)

    def type_of(self, annotation: Any) -> Type | None:
        """The type an annotation stands for, None when it stands for none."""
        simple = self._simple(annotation)
        if simple is not None:
            return simple
        if isinstance(annotation, str | typing.ForwardRef):
            return self._forward(annotation if isinstance(annotation, str) else annotation.__forward_arg__)
        origin = typing.get_origin(annotation)
        if origin is not None:
            return self._generic(origin, typing.get_args(annotation), annotation)
        return self._class(annotation) if inspect.isclass(annotation) else None

    @staticmethod
    def _simple(annotation: Any) -> Type | None:
        try:
            return _SIMPLE.get(annotation)
        except TypeError:  # unhashable: no annotation at all
            return None

    def _forward(self, text: str) -> Type | None:
        found = self.resolve(text) if self.resolve is not None else None
        return None if found is None or isinstance(found, str) else self.type_of(found)

    def _generic(self, origin: Any, arguments: tuple[Any, ...], annotation: Any) -> Type | None:
        if origin is tuple and (arguments == ((),) or not arguments):
            return TupleType(())
        inner = [self.type_of(argument) for argument in arguments]
        found = [type_ for type_ in inner if type_ is not None]
        if len(found) != len(inner):
            return None
        if origin is list:
            return ListType(found[0])
        if origin is dict:
            return DictType(found[0], found[1])
        if origin is tuple:
            return TupleType(tuple(found))
        if origin in (typing.Union, python_types.UnionType):
            return make_union(found)
        if origin is markers.Awaitable:
            return FutureType(found[0])
        return found[0] if origin is typing.Final else None

    def _class(self, class_: type) -> Type | None:
        if vocabulary.is_tensor_class(class_):
            return types.TENSOR
        if is_named_tuple(class_):
            return self.named_tuple(class_)
        if issubclass(class_, enum.Enum):
            return enum_type(class_)
        return self.compile_class(class_)

    def named_tuple(self, class_: type) -> TupleType:
        """The type of a NamedTuple class; fields without annotation are tensors."""
        hints = _evaluated_hints(class_)
        fields: tuple[str, ...] = class_._fields  # type: ignore[attr-defined]
        elements = [self.type_of(hints[name]) if name in hints else types.TENSOR for name in fields]
        if None in elements:
            unknown = fields[elements.index(None)]
            raise RuntimeError(f"Unknown type annotation: '{hints[unknown]}' in NamedTuple {class_.__name__}.")
        return TupleType(tuple(element for element in elements if element), qualified_name(class_), fields)


def _evaluated_hints(class_: type) -> dict[str, Any]:
    """The class's annotations; those written as strings are looked up in its module where that is possible."""
    try:
        return typing.get_type_hints(class_)
    except NameError:
        return inspect.get_annotations(class_)


def is_named_tuple(class_: Any) -> bool:
    """True for classes made by `NamedTuple` or `collections.namedtuple`."""
    return inspect.isclass(class_) and issubclass(class_, tuple) and hasattr(class_, "_fields")


SCRIPT_CLASSES: dict[type, ClassType] = {}
"""The classes that have been compiled, with their types."""


def python_class_of(type_: ClassType) -> type | None:
    """The Python class of a script class, found by its name as in PyTorch; None for one that only an archive has."""
    return next((class_ for class_, known in SCRIPT_CLASSES.items() if known.name == type_.name), None)


class CannotInfer(Exception):
    """Why the type of a Python value cannot be told."""


def infer_type(value: Any, annotations: Annotations) -> Type:
    """The type of a Python value, as attributes of modules and default arguments get it. Raises CannotInfer."""
    if vocabulary.is_tensor(value):
        return types.TENSOR
    coded = vocabulary.constant_of(value)
    if coded is not None:
        return types.DEVICE if coded[1] == "Device" else types.INT
    simple = _SIMPLE.get(type(value)) if not isinstance(value, list | tuple) else None
    if simple is not None:
        return simple
    if isinstance(value, enum.Enum):
        return enum_type(type(value))
    if isinstance(value, tuple):
        return _infer_tuple(value, annotations)
    if isinstance(value, list):
        return _infer_list(value, annotations)
    if isinstance(value, dict | collections.OrderedDict):
        return _infer_dict(value, annotations)
    object_ = script_object_of(value)
    if object_ is not None:
        return object_.type
    compiled = _class_of(value, annotations)
    if compiled is not None:
        return compiled
    raise CannotInfer(
        "Only tensors and (possibly nested) tuples of tensors, lists, or dicts are supported as inputs or outputs of "
        f"traced functions, but instead got value of type {type(value).__name__}."
    )


def _class_of(value: Any, annotations: Annotations) -> Type | None:
    """The type of an object of a class that is compiled, or can be."""
    try:
        return annotations.compile_class(type(value))
    except ScriptError:
        return None


def script_object_of(value: Any) -> ScriptObject | None:
    """The object behind a compiled module or an instance of a script class."""
    if isinstance(value, ScriptObject):
        return value
    try:
        inner = object.__getattribute__(value, "__dict__").get("_c")
    except AttributeError:
        return None
    return inner if isinstance(inner, ScriptObject) else None


def _infer_tuple(value: tuple[Any, ...], annotations: Annotations) -> Type:
    if is_named_tuple(type(value)):
        return annotations.named_tuple(type(value))
    return TupleType(tuple(infer_type(item, annotations) for item in value))


def _infer_list(value: list[Any], annotations: Annotations) -> Type:
    if not value:
        raise CannotInfer("List trace inputs must have elements")
    element = infer_type(value[0], annotations)
    for item in value[1:]:
        other = infer_type(item, annotations)
        unified = unify(element, other)
        if unified is None:
            raise CannotInfer(
                f"List inputs to traced functions must have consistent element type. Found {element.annotation} and "
                f"{other.annotation}"
            )
        element = unified
    return ListType(element)


def _infer_dict(value: dict[Any, Any], annotations: Annotations) -> Type:
    if not value:
        raise CannotInfer("Dictionary inputs must have entries")
    first_key, first_value = next(iter(value.items()))
    key, element = infer_type(first_key, annotations), infer_type(first_value, annotations)
    for other_key, other_value in value.items():
        unified_key = unify(key, infer_type(other_key, annotations))
        unified = unify(element, infer_type(other_value, annotations))
        if unified_key is None or unified is None:
            raise CannotInfer("Dictionary inputs to traced functions must have consistent type")
        key, element = unified_key, unified
    return DictType(key, element)
