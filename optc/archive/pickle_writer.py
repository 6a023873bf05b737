"""Writes the pickles of TorchScript archives: protocol 2, the opcodes torch's reader knows, what torch's writer writes.

Python's own `pickle` cannot be used: it emits other opcodes and integers torch refuses. Lists and dictionaries carry
their types, as the loader cannot know them otherwise. A storage, a string, a list or an object that occurs twice is
written once and referred to, so that what was shared is shared again after loading.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import numpy as np

from optc import interpreter
from optc.eager.memory import without_repeats
from optc.eager.tensor import Tensor
from optc.ir import dtypes
from optc.ir.function import ClassType, ScriptObject
from optc.ir.types import (
    ANY,
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    NONE,
    STRING,
    TENSOR,
    DictType,
    EnumType,
    IntType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
)
from optc.ops.quantizers import Quantizer, quantizer_of

_SCALARS: dict[type, Type] = {bool: BOOL, int: IntType(), float: FLOAT, complex: COMPLEX, str: STRING, type(None): NONE}
_LIST_FUNCTIONS: dict[Type, str] = {
    IntType(): "build_intlist",
    FLOAT: "build_doublelist",
    BOOL: "build_boollist",
    TENSOR: "build_tensorlist",
}

STORAGE_NAMES = {dtype: f"{dtype.label}Storage" for dtype in dtypes.ALL + dtypes.HELD}
QUANTIZED_STORAGES = {dtype: f"{dtype.label}Storage" for dtype in dtypes.QUANTIZED}


class StoredTensor:
    """A tensor's storage (a flat array that owns its memory) and the part of it the tensor shows."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.dtype = dtypes.from_numpy(array.dtype)
        base, address = _owner(array)
        if base is None:
            base = np.array(without_repeats(array), order="C", ndmin=array.ndim)
            address = base.ctypes.data
            array = np.broadcast_to(base, array.shape)
        self.offset = (array.ctypes.data - address) // array.itemsize if array.size else 0
        self.sizes = array.shape
        self.strides = _strides(array)
        self.key = address if array.size else id(base)
        self.count = base.nbytes // array.itemsize
        self.base = base

    def content(self) -> memoryview:
        """The storage's bytes, where they are."""
        return self.base.reshape(-1).view(np.uint8).data


def _owner(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any] | None, int]:
    """The contiguous array that owns the memory of `array` and its address; None when there is no such thing."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    aligned = (array.ctypes.data - owner.ctypes.data) % array.itemsize == 0
    whole = all(stride % array.itemsize == 0 and stride >= 0 for stride in array.strides)
    if not (owner.flags.c_contiguous and whole and aligned and owner.nbytes % array.itemsize == 0):
        return None, 0
    return owner, owner.ctypes.data


def _strides(array: np.ndarray[Any, Any]) -> tuple[int, ...]:
    return tuple(Tensor.stride(_viewed(array)))


def _viewed(array: np.ndarray[Any, Any]) -> Tensor:
    tensor = Tensor.__new__(Tensor)
    tensor._array, tensor._gradient = array, 0
    return tensor


class PickleWriter:
    """Pickles one value. `store(tensor)` keeps a storage's bytes and returns its key in the archive.

    `class_name` gives the qualified name a class has in this archive.
    """

    def __init__(
        self, store: Callable[[StoredTensor], str], class_name: Callable[[Any], str] = lambda type_: str(type_.name)
    ) -> None:
        self._store = store
        self._class_name = class_name
        self._out = bytearray(b"\x80\x02")
        self._memo: dict[Any, int] = {}
        self._kept: list[Any] = []

    def finish(self, value: Any, type_: Type) -> bytes:
        """The pickle of `value`, of the declared type `type_`."""
        self.write(value, type_)
        return bytes(self._out) + b"."

    # Values

    def write(self, value: Any, type_: Type) -> None:
        """Append a value. Raises TypeError for what an archive cannot hold."""
        if isinstance(type_, OptionalType):
            type_ = type_.element
        if value is None:
            self._out += b"N"
        elif isinstance(value, Tensor):
            self._tensor(value)
        elif isinstance(value, np.ndarray):
            self._tensor(_viewed(value))
        elif isinstance(value, ScriptObject):
            self._object(value)
        elif isinstance(value, Enum):
            self._enum(value, type_)
        elif isinstance(value, bool):
            self._out += b"\x88" if value else b"\x89"
        elif isinstance(value, int):
            self._int(value)
        elif isinstance(value, float):
            self._out += b"G" + struct.pack(">d", value)
        elif isinstance(value, complex):
            self._global("builtins", "complex")
            self._out += b"G" + struct.pack(">d", value.real) + b"G" + struct.pack(">d", value.imag) + b"\x86R"
        elif isinstance(value, str):
            self._text(value, type_)
        else:
            self._container(value, type_)

    def _text(self, value: str, type_: Type) -> None:
        if type_ is not DEVICE:
            self._string(value)
            return
        self._global("torch", "device")
        self._string(value)
        self._out += b"\x85R"

    def _int(self, value: int) -> None:
        if 0 <= value < 1 << 8:
            self._out += b"K" + struct.pack("<B", value)
        elif 0 <= value < 1 << 16:
            self._out += b"M" + struct.pack("<H", value)
        elif -(1 << 31) <= value < 1 << 31:
            self._out += b"J" + struct.pack("<i", value)
        else:
            self._out += b"\x8a\x08" + struct.pack("<q", value)

    def _container(self, value: Any, type_: Type) -> None:
        if isinstance(value, tuple):
            self._tuple(value, type_)
        elif isinstance(value, list):
            self._shared(value, lambda: self._list(value, type_))
        elif isinstance(value, dict):
            self._shared(value, lambda: self._dict(value, type_))
        else:
            self._other(value)

    def _other(self, value: Any) -> None:
        raise TypeError(f"a value of type {type(value).__name__} cannot be saved in an archive")

    def _tuple(self, value: tuple[Any, ...], type_: Type) -> None:
        if not value:
            self._out += b")"
            return
        types = type_.elements if isinstance(type_, TupleType) else tuple(map(type_of_value, value))
        self._out += b"("
        for item, element in zip(value, types):
            self.write(item, element)
        self._out += b"t"

    def _list(self, value: list[Any], type_: Type) -> None:
        if not isinstance(type_, ListType):
            type_ = type_of_value(value)
        assert isinstance(type_, ListType)
        element = TENSOR if isinstance(type_.element, TensorType) else type_.element
        function = _LIST_FUNCTIONS.get(element)
        self._global("torch.jit._pickle", function or "restore_type_tag")
        self._out += b"(]"
        if value:
            self._out += b"("
            for item in value:
                self.write(item, element)
            self._out += b"e"
        if function is None:
            self._string(self._annotation(type_))
        self._out += b"tR"

    def _dict(self, value: Mapping[Any, Any], type_: Type) -> None:
        if not isinstance(type_, DictType):
            type_ = type_of_value(value)
        assert isinstance(type_, DictType)
        self._global("torch.jit._pickle", "restore_type_tag")
        self._out += b"(}"
        if value:
            self._out += b"("
            for key, item in value.items():
                self.write(key, type_.key)
                self.write(item, type_.value)
            self._out += b"u"
        self._string(self._annotation(type_))
        self._out += b"tR"

    def _annotation(self, type_: Type) -> str:
        """The type as the loader reads it; classes under the names they have in this archive."""
        if isinstance(type_, ListType):
            return f"List[{self._annotation(type_.element)}]"
        if isinstance(type_, DictType):
            return f"Dict[{self._annotation(type_.key)}, {self._annotation(type_.value)}]"
        if isinstance(type_, OptionalType):
            return f"Optional[{self._annotation(type_.element)}]"
        if isinstance(type_, TupleType) and type_.name is None and type_.elements:
            return f"Tuple[{', '.join(map(self._annotation, type_.elements))}]"
        if isinstance(type_, ClassType | EnumType) or (isinstance(type_, TupleType) and type_.name is not None):
            return self._class_name(type_)
        return type_.annotation

    def _enum(self, value: Enum, type_: Type) -> None:
        if not isinstance(type_, EnumType):
            raise TypeError(f"the enumeration {type(value).__name__} has no type in the archive")
        self._class(type_)
        self.write(value.value, type_.value)
        self._out += b"R"

    def _object(self, value: ScriptObject) -> None:
        self._shared(value, lambda: self._object_state(value))

    def _object_state(self, value: ScriptObject) -> None:
        self._class(value.type)
        self._out += b")\x81"
        get_state = value.type.methods.get("__getstate__")
        if value.type.is_native:
            self._state(value.values["state"], ANY)
        elif get_state is not None:
            self._state(interpreter.run(get_state, [value]), get_state.schema.returns[0].type)
        else:
            self._attributes(value)

    def _state(self, state: Any, type_: Type) -> None:
        self.write(state, type_)
        self._kept.append(state)  # its address stands for it in the memo
        self._out += b"b"

    def _attributes(self, value: ScriptObject) -> None:
        self._out += b"}("
        for name, attribute in value.type.attributes.items():
            self._string(name)
            self.write(value.values.get(name), attribute.type)
        self._out += b"ub"

    def _tensor(self, tensor: Tensor) -> None:
        stored = StoredTensor(tensor._array)
        if stored.dtype.is_quantized:
            quantizer = quantizer_of(tensor._array)
            self._shared(tensor, lambda: self._quantized(stored, quantizer))
            return
        self._shared(tensor, lambda: self._stored(stored, tensor.requires_grad and tensor.is_leaf))

    def _stored(self, stored: StoredTensor, requires_grad: bool) -> None:
        self._global("torch._utils", "_rebuild_tensor_v2")
        self._out += b"("
        self._storage(stored, STORAGE_NAMES[stored.dtype])
        self._extents(stored)
        self._out += b"\x88" if requires_grad else b"\x89"
        self._global("collections", "OrderedDict")
        self._out += b")RtR"

    def _extents(self, stored: StoredTensor) -> None:
        self._int(stored.offset)
        for numbers in (stored.sizes, stored.strides):
            self._out += b"("
            for number in numbers:
                self._int(number)
            self._out += b"t"

    def _quantized(self, stored: StoredTensor, quantizer: Quantizer) -> None:
        self._global("torch._utils", "_rebuild_qtensor")
        self._out += b"("
        self._storage(stored, QUANTIZED_STORAGES[stored.dtype])
        self._extents(stored)
        self._out += b"("
        if quantizer.axis is None:
            self._global("torch", "per_tensor_affine")
            self.write(quantizer.scale, ANY)
            self.write(quantizer.zero_point, ANY)
        else:
            self._global("torch", f"per_channel_affine{'_float_qparams' * quantizer.has_float_points}")
            point_type = np.float32 if quantizer.has_float_points else np.int64
            scale_type = np.float32 if quantizer.has_float_points else np.float64
            for numbers, kind in ((quantizer.scales, scale_type), (quantizer.zero_points, point_type)):
                parameter = np.array(numbers, kind)
                self._kept.append(parameter)  # its address stands for it in the memo
                self.write(parameter, ANY)
            self.write(quantizer.axis, ANY)
        self._out += b"t\x89"
        self._global("collections", "OrderedDict")
        self._out += b")RtR"

    def _storage(self, stored: StoredTensor, kind: str, module: str = "torch", count: int | None = None) -> None:
        memo = ("storage", stored.key, kind)
        if self._refer(memo):
            return
        key = self._store(stored)
        self._out += b"("
        self._string("storage")
        self._global(module, kind)
        self._string(key)
        self._string("cpu")
        self._int(stored.count if count is None else count)
        self._out += b"tQ"
        self._remember(memo)

    # The memo

    def _class(self, type_: Any) -> None:
        module, _, name = self._class_name(type_).rpartition(".")
        self._global(module, name)

    def _global(self, module: str, name: str) -> None:
        memo = ("global", module, name)
        if not self._refer(memo):
            self._out += f"c{module}\n{name}\n".encode()
            self._remember(memo)

    def _string(self, text: str) -> None:
        memo = ("string", text)
        if not self._refer(memo):
            data = text.encode("utf-8", "surrogatepass")
            self._out += b"X" + struct.pack("<I", len(data)) + data
            self._remember(memo)

    def _shared(self, value: Any, write: Callable[[], None]) -> None:
        memo = ("object", id(value))
        if not self._refer(memo):
            self._kept.append(value)
            write()
            self._remember(memo)

    def _refer(self, memo: Any) -> bool:
        place = self._memo.get(memo)
        if place is None:
            return False
        self._out += b"h" + struct.pack("<B", place) if place < 256 else b"j" + struct.pack("<I", place)
        return True

    def _remember(self, memo: Any) -> None:
        place = self._memo[memo] = len(self._memo)
        self._out += b"q" + struct.pack("<B", place) if place < 256 else b"r" + struct.pack("<I", place)


def type_of_value(value: Any) -> Type:
    """The type of a container that is stored where any type is allowed. Raises TypeError when it has none."""
    from_scalar = _SCALARS.get(type(value))
    if from_scalar is not None:
        return from_scalar
    if isinstance(value, Tensor | np.ndarray):
        return TENSOR
    if isinstance(value, tuple):
        return TupleType(tuple(map(type_of_value, value)))
    if isinstance(value, list):
        return ListType(type_of_value(value[0]) if value else TENSOR)
    if isinstance(value, dict):
        key, item = next(iter(value.items()), ("", None))
        return DictType(type_of_value(key), type_of_value(item) if value else TENSOR)
    if isinstance(value, ScriptObject):
        return value.type
    raise TypeError(f"a value of type {type(value).__name__} cannot be saved in an archive")
