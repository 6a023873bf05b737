"""Tensors over the storages of an archive: memory is mapped from the file, and every extent is checked first."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

import numpy as np

from optc.archive.pickle_reader import Callee, PickleError
from optc.archive.pickle_writer import QUANTIZED_STORAGES, STORAGE_NAMES
from optc.archive.zip_reader import ZipReader
from optc.eager.base import LEAF, NO_GRADIENT
from optc.eager.dispatch import wrap
from optc.ir.dtypes import UINT8, DType
from optc.ops.held import record_of
from optc.ops.quantizers import Quantizer, per_tensor, with_quantizer

_DTYPES = {name: dtype for dtype, name in STORAGE_NAMES.items()}
UNTYPED = "UntypedStorage"
"""Storages that only the tensors over them give a type."""

_QUANTIZED = {name: dtype for dtype, name in QUANTIZED_STORAGES.items()}
_SCHEMES = ("per_tensor_affine", "per_channel_affine", "per_channel_affine_float_qparams")


def storage_class(name: str) -> Callee | None:
    """The global `torch FloatStorage` and its siblings; None for other names."""
    return Callee(name) if name in _DTYPES or name in _QUANTIZED else None


def storage_dtype(name: str) -> DType | None:
    """The type of the elements in a storage of class `FloatStorage`; None for classes that do not exist."""
    return UINT8 if name == UNTYPED else _DTYPES.get(name) or _QUANTIZED.get(name)


def quantization_scheme(name: str) -> Callee | None:
    """The global `torch per_tensor_affine` and its siblings; None for other names."""
    return Callee(name) if name in _SCHEMES else None


_WITHOUT_EQUIVALENT = {
    ("torch._utils", "_rebuild_sparse_tensor"): "a sparse tensor",
    ("torch._utils", "_rebuild_nested_tensor"): "a nested tensor",
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): "a tensor without numbers, on the device meta,",
    ("torch._utils", "_rebuild_wrapper_subclass"): "a tensor of a class of its own",
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): "a tensor of another device",
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): "a tensor of another device",
}
"""What torch.load reads as well, and what to call it."""

_ELEMENT_TYPE = re.compile(r"(float|bits|q?u?int)\d\w*")


def why_refused(module: str, name: str) -> str:
    """Why a global that PyTorch knows cannot be read; empty for others."""
    what = _WITHOUT_EQUIVALENT.get((module, name), "")
    if module == "torch" and name.endswith("Storage"):
        what = f"a tensor of {name.removesuffix('Storage')}"
    elif module == "torch" and _ELEMENT_TYPE.fullmatch(name):
        what = f"a tensor of {name}"
    return f"{what} cannot be read: optc has none ({module}.{name})" if what else ""


class Storage:
    """The elements of one storage. `is_foreign`: bytes whose order, once they are elements, is not this machine's."""

    def __init__(self, dtype: DType, elements: np.ndarray[Any, Any], kind: str, is_foreign: bool = False) -> None:
        self.dtype = dtype
        self.elements = elements
        self.kind = kind
        self._is_foreign = is_foreign
        self._typed: dict[DType, Storage] = {}

    def tensor(self, offset: Any, sizes: Any, strides: Any, requires_grad: Any) -> Any:
        """The tensor that shows a part of this storage. Raises PickleError when it would reach outside."""
        sizes, strides = _checked(sizes), _checked(strides)
        if type(offset) is not int or offset < 0 or len(sizes) != len(strides):
            raise PickleError("a tensor's offset, sizes and strides do not belong together")
        count = math.prod(sizes)
        last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides))
        if count and last >= len(self.elements):
            raise PickleError(
                f"a tensor of sizes {list(sizes)} and strides {list(strides)} at {offset} reaches outside of its "
                f"storage of {len(self.elements)} elements"
            )
        kind = record_of(self.dtype)
        itemsize = self.dtype.itemsize
        steps = tuple(stride * itemsize for stride in strides)
        array = np.ndarray(
            sizes, kind, self.elements if count else bytearray(), offset * itemsize if count else 0, steps
        )
        wants_gradient = bool(requires_grad) and self.dtype.kind not in ("int", "bool")
        return wrap(array, LEAF if wants_gradient else NO_GRADIENT)

    def of_type(self, dtype: DType) -> Storage:
        """The same bytes as elements of another type: one storage for all that ask for the type."""
        if dtype not in self._typed:
            data = self.elements.view(np.uint8)
            elements = data[: len(data) // dtype.itemsize * dtype.itemsize].view(dtype.numpy)
            self._typed[dtype] = Storage(dtype, elements.byteswap() if self._is_foreign else elements, self.kind)
        return self._typed[dtype]


def _checked(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, tuple | list) or not all(type(number) is int and number >= 0 for number in numbers):
        raise PickleError("a tensor's sizes or strides are no list of natural numbers")
    if math.prod(max(number, 1) for number in numbers) >= 1 << 62:
        raise PickleError("a tensor's sizes or strides are too large")
    return tuple(numbers)


class Storages:
    """The storages in one folder of an archive (below its `top`), each mapped once.

    Those of a machine with the other byte order are copied and turned around. Raises ArchiveError for an order that does
    not exist.
    """

    def __init__(self, archive: ZipReader, top: str, folder: str) -> None:
        self._archive = archive
        self._folder = f"{top}{folder}"
        self._is_foreign = _byte_order(archive, f"{top}byteorder") != sys.byteorder
        self._known: dict[tuple[str, str], Storage] = {}

    def find(self, identity: Any) -> Storage:
        """The storage a persistent id `("storage", class, key, device, count)` describes. Raises PickleError."""
        if not (isinstance(identity, tuple) and len(identity) >= 5 and identity[0] == "storage"):
            raise PickleError("a persistent id describes no storage")
        _, kind, key, device, count = identity[:5]
        name = kind.name if isinstance(kind, Callee) else str(kind)
        dtype = storage_dtype(name)
        if dtype is None:
            raise PickleError(f"storages of kind {name} are not supported")
        if not isinstance(key, str) or type(count) is not int or count < 0:
            raise PickleError("a persistent id describes no storage")
        if device == "meta":
            raise PickleError("a tensor without numbers, on the device meta, cannot be read: optc has none")
        found = self._known.get((key, name))
        if found is None:
            elements = self._elements(dtype, key, count)
            is_untyped = self._is_foreign and name == UNTYPED
            found = self._known[key, name] = Storage(dtype, elements, name, is_untyped)
        return found

    def _elements(self, dtype: DType, key: str, count: int) -> np.ndarray[Any, Any]:
        if count == 0:
            return np.empty(0, dtype.numpy)
        name = f"{self._folder}{key}"
        data = self._archive.map(name)
        if data.nbytes < count * dtype.itemsize:
            raise PickleError(f"{name} has {data.nbytes} bytes, too few for {count} elements of {dtype.name}")
        elements = np.frombuffer(data, dtype.numpy, count)
        return elements.byteswap() if self._is_foreign else elements


def _byte_order(archive: ZipReader, entry: str) -> str:
    """In which order an archive has the bytes of numbers: what does not say so was written on little-endian machines."""
    if entry not in archive.entries:
        return "little"
    order = bytes(archive.read(entry)[:20]).decode("ascii", "replace")
    if order not in ("little", "big"):
        raise archive.fail(entry, f"{order!r} is no order of bytes")
    return order


def rebuild_tensor(
    storage: Any, offset: Any, sizes: Any, strides: Any, requires_grad: Any, hooks: Any = None, metadata: Any = None
) -> Any:
    """`torch._utils._rebuild_tensor_v2`."""
    if not isinstance(storage, Storage):
        raise PickleError("a tensor has no storage")
    return _as_shown(storage.tensor(offset, sizes, strides, requires_grad), metadata)


def rebuild_tensor_of_type(
    storage: Any,
    offset: Any,
    sizes: Any,
    strides: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Any:
    """`torch._utils._rebuild_tensor_v3`: the tensor, not its storage, has a type."""
    if not isinstance(storage, Storage) or not isinstance(dtype, DType) or dtype.is_quantized:
        raise PickleError("a tensor has no storage, or no element type")
    return _as_shown(storage.of_type(dtype).tensor(offset, sizes, strides, requires_grad), metadata)


def _as_shown(tensor: Any, metadata: Any) -> Any:
    """The tensor that torch shows where it stores numbers to be conjugated or negated when they are read."""
    if not metadata:
        return tensor
    if not isinstance(metadata, dict) or not set(metadata) <= {"conj", "neg"}:
        raise PickleError("a tensor says of itself what is not known")
    array = tensor._array
    if metadata.get("conj"):
        array = np.conj(array)
    if metadata.get("neg"):
        array = np.negative(array)
    return wrap(np.asarray(array), tensor._gradient)


def rebuild_quantized_tensor(
    storage: Any, offset: Any, sizes: Any, strides: Any, quantizer: Any, requires_grad: Any, *_: Any
) -> Any:
    """`torch._utils._rebuild_qtensor`."""
    if not isinstance(storage, Storage) or storage.kind not in _QUANTIZED:
        raise PickleError("a quantised tensor has no storage of integers")
    if not isinstance(quantizer, tuple) or not quantizer or not isinstance(quantizer[0], Callee):
        raise PickleError("a quantised tensor has no scheme")
    integers = storage.tensor(offset, sizes, strides, False)._array
    try:
        how = _quantizer(_QUANTIZED[storage.kind], quantizer[0].name, *quantizer[1:])
    except (TypeError, ValueError, RuntimeError) as error:
        raise PickleError(f"the scheme of a quantised tensor is damaged: {error}") from error
    if how.axis is not None and not (0 <= how.axis < integers.ndim and integers.shape[how.axis] == len(how.scales)):
        raise PickleError("a quantised tensor has other scales than its axis needs")
    return wrap(with_quantizer(integers, how))


def _quantizer(dtype: DType, scheme: str, scales: Any, zero_points: Any, axis: Any = None) -> Quantizer:
    if scheme == "per_tensor_affine":
        return per_tensor(dtype, scales, zero_points)
    if type(axis) is not int or len(scales) != len(zero_points):
        raise ValueError("scales, zero points and axis do not belong together")
    points = tuple(zero_points.tolist())
    has_float_points = scheme.endswith("float_qparams") or zero_points.is_floating_point()  # torch.save writes either
    return Quantizer(dtype, tuple(scales.tolist()), points, axis, has_float_points)


def rebuild_tensor_without_gradient(storage: Any, offset: Any, sizes: Any, strides: Any) -> Any:
    """`torch._utils._rebuild_tensor`, which the oldest files use."""
    return rebuild_tensor(storage, offset, sizes, strides, False)
