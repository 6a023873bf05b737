"""The names that files of tensors may use, and what they stand for: what `torch.load` allows with `weights_only`."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from optc.archive.legacy_state import LegacyStorages
from optc.archive.other_files import refusal
from optc.archive.pickle_reader import Callee, Keys, PickleError
from optc.archive.storages import (
    UNTYPED,
    Storage,
    Storages,
    quantization_scheme,
    rebuild_quantized_tensor,
    rebuild_tensor,
    rebuild_tensor_of_type,
    rebuild_tensor_without_gradient,
    storage_class,
    why_refused,
)
from optc.eager.device import STRIDED, Device, Layout
from optc.eager.size import Size
from optc.eager.tensor import Tensor
from optc.ir import dtypes
from optc.nn.parameter import Parameter

_PYTHON_2 = {"__builtin__": "builtins"}
"""Modules as pickles of protocol 2 call them, which torch.save writes."""


class StateGlobals:
    """The names that files of tensors may use."""

    def __init__(self, storages: Storages | LegacyStorages) -> None:
        self._storages = storages
        self._known: dict[tuple[str, str], Any] = {
            ("torch._utils", "_rebuild_tensor_v2"): Callee("_rebuild_tensor_v2", rebuild_tensor),
            ("torch._utils", "_rebuild_tensor_v3"): Callee("_rebuild_tensor_v3", rebuild_tensor_of_type),
            ("torch._utils", "_rebuild_tensor"): Callee("_rebuild_tensor", rebuild_tensor_without_gradient),
            ("torch._utils", "_rebuild_qtensor"): Callee("_rebuild_qtensor", rebuild_quantized_tensor),
            ("torch._utils", "_rebuild_parameter"): Callee("_rebuild_parameter", _rebuild_parameter),
            ("torch._utils", "_rebuild_parameter_with_state"): Callee("_rebuild_parameter", _rebuild_parameter),
            ("torch._tensor", "_rebuild_from_type_v2"): Callee("_rebuild_from_type_v2", _rebuild_with_attributes),
            ("torch", "Tensor"): Callee("Tensor"),
            ("torch.storage", UNTYPED): Callee(UNTYPED),
            ("torch", UNTYPED): Callee(UNTYPED),
            ("torch.serialization", "_get_layout"): Callee("_get_layout", _layout),
            ("collections", "OrderedDict"): Callee("OrderedDict", _ordered),
            ("collections", "Counter"): Callee("Counter", _counter),
            ("builtins", "bytearray"): Callee("bytearray", _bytearray),
            ("builtins", "bytes"): Callee("bytes", _no_bytes),
            ("builtins", "complex"): Callee("complex", complex),
            ("builtins", "set"): Callee("set", _set),
            ("torch", "Size"): Callee("Size", Size),
            ("torch", "device"): Callee("device", Device),
            ("_codecs", "encode"): Callee("encode", _encode),
        }

    def find(self, module: str, name: str) -> Any:
        """The meaning of a name. Raises PickleError for all that are not listed."""
        found = self._known.get((_PYTHON_2.get(module, module), name))
        if found is None and module == "torch":
            found = dtypes.BY_NAME.get(name) or storage_class(name) or quantization_scheme(name)
        if found is None:
            raise PickleError(why_refused(module, name) or refusal(f"{module}.{name}"))
        return found

    def persistent(self, identity: Any) -> Any:
        """The storage of a tensor."""
        return self._storages.find(identity)

    def create(self, class_: Any, arguments: tuple[Any, ...]) -> Any:
        """Raises PickleError: there are no objects in files of tensors."""
        raise PickleError(f"objects of {class_!r} are not allowed in a file of tensors")

    def set_state(self, target: Any, state: Any) -> Any:
        """State dictionaries carry the versions of their modules in an attribute."""
        if not isinstance(target, OrderedDict) or not isinstance(state, dict) or set(state) - {"_metadata"}:
            raise PickleError("only state dictionaries may have attributes")
        vars(target).update(state)
        return target


def _rebuild_parameter(data: Any, requires_grad: Any, *_: Any) -> Parameter:
    if not isinstance(data, Tensor):
        raise PickleError("a parameter has no tensor")
    return Parameter(data, bool(requires_grad))


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    """An ordered dictionary: empty, as torch.save writes it, or of pairs, as Python 2 wrote it."""
    keys = Keys()
    return OrderedDict((keys.checked(key), value) for key, value in pairs)


def _counter(counts: Any = ()) -> Counter[Any]:
    if not isinstance(counts, dict):
        raise PickleError("a counter is made of something that is no dictionary")
    return Counter(counts)


def _rebuild_with_attributes(make: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    """A tensor whose Python object had attributes, which are not kept."""
    if not isinstance(make, Callee) or make.apply is None or not isinstance(arguments, tuple):
        raise PickleError("a tensor with attributes is damaged")
    made = make.apply(*arguments)
    if not isinstance(made, Tensor):
        raise PickleError("a tensor with attributes is none")
    return made


def _layout(name: Any) -> Layout:
    if name != repr(STRIDED):
        raise PickleError(f"the layout {name} is not known: tensors of optc are all {STRIDED}")
    return STRIDED


def _bytearray(content: Any = b"", encoding: Any = "latin-1") -> bytearray:
    return bytearray(content if isinstance(content, bytes) else _encode(content, str(encoding).replace("-", "")))


def _no_bytes() -> bytes:
    return b""


def _set(items: Any = ()) -> set[Any]:
    keys = Keys()
    return {keys.checked(item) for item in items}


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise PickleError("bytes are not encoded as expected")
    return text.encode("latin1")


def checked(value: Any) -> Any:
    """What was read. Raises PickleError where it holds what only tensors are made of: a storage, the name of a class."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Storage | Callee):
            what = "a storage without a tensor" if isinstance(part, Storage) else f"{part!r} itself"
            raise PickleError(f"{what} is not read from files of tensors")
        if isinstance(part, dict | list | tuple | set) and id(part) not in seen:
            seen.add(id(part))
            waiting.extend(part)
            waiting.extend(part.values() if isinstance(part, dict) else ())
            waiting.extend(vars(part).values() if isinstance(part, OrderedDict) else ())
    return value
