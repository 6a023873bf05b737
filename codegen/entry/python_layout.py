"""How CPython and numpy lay out the objects that the native entry reads: offsets, and a test that they hold here."""

import ctypes
import sys
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

HEADER = object.__basicsize__
TYPE = HEADER - 8
# The public part of PyArrayObject_fields, behind the object header.
DATA, RANK, DIMS, STRIDES, BASE, DESCR, FLAGS, WEAK, HANDLER = (
    HEADER + offset for offset in (0, 8, 16, 24, 32, 40, 48, 56, 72)
)
CONTIGUOUS, OWNS_DATA, ALIGNED, WRITEABLE, WRITE_BACK = 0x1, 0x4, 0x100, 0x400, 0x2000
READABLE = CONTIGUOUS | ALIGNED
FRESH = READABLE | OWNS_DATA | WRITEABLE
NEW_FROM_DESCR = 94  # position in numpy's C API, part of its ABI


def _is_free_threaded() -> bool:
    if hasattr(sys, "abiflags"):
        return "t" in sys.abiflags
    import sysconfig  # takes a few milliseconds

    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@cache
def is_supported() -> bool:
    """Whether the offsets this module relies on hold here.  Tested on real objects, once."""
    if sys.implementation.name != "cpython" or _is_free_threaded():
        return False
    if ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return False
    samples: list[np.ndarray[Any, Any]] = [
        np.zeros((2, 3, 5), np.float32),
        np.zeros((4, 6), np.int64)[:, ::2],
        np.zeros(7, np.bool_),
    ]
    layouts = (_float_layout_holds, _reference_counts_hold, _containers_hold, _structures_hold, _allocation_works)
    return all(map(_layout_holds, samples)) and all(holds() for holds in layouts)


def _word(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def _layout_holds(array: "np.ndarray[Any, Any]") -> bool:
    address = id(array)
    rank = ctypes.c_int32.from_address(address + RANK).value
    if (_word(address + TYPE), _word(address + DATA), rank) != (id(np.ndarray), array.ctypes.data, array.ndim):
        return False
    dims = _word(address + DIMS)
    flags = ctypes.c_int32.from_address(address + FLAGS).value
    return (
        tuple(_word(dims + 8 * axis) for axis in range(rank)) == array.shape
        and _word(address + DESCR) == id(array.dtype)
        and flags == array.flags.num
        and _word(address + WEAK) == 0
        and _word(address + BASE) == (0 if array.base is None else id(array.base))
        and tuple(_word(_word(address + STRIDES) + 8 * axis) for axis in range(rank)) == array.strides
    )


def _float_layout_holds() -> bool:
    sample = 1234.5
    return ctypes.c_double.from_address(id(sample) + HEADER).value == sample


def _reference_counts_hold() -> bool:
    sample = np.zeros(1)
    before = ctypes.c_int32.from_address(id(sample)).value
    other = sample
    return HEADER == 16 and ctypes.c_int32.from_address(id(other)).value == before + 1


def _containers_hold() -> bool:
    items = (object(), object())
    listed = list(items)
    first = _word(id(listed) + HEADER + 8)
    return (
        _word(id(items) + HEADER) == _word(id(listed) + HEADER) == len(items)
        and [_word(id(items) + tuple.__basicsize__ + 8 * place) for place in (0, 1)] == list(map(id, items))
        and [_word(first + 8 * place) for place in (0, 1)] == list(map(id, items))
    )


class _Structure(ctypes.Structure):
    _fields_ = [("word", ctypes.c_int64)]


def _structures_hold() -> bool:
    sample = _Structure(7)
    return _word(id(sample) + HEADER) == ctypes.addressof(sample)


def _allocation_works() -> bool:
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_void_p,
    )
    descr = np.dtype(np.float32)
    python_function("Py_IncRef", None, ctypes.py_object)(descr)  # the function takes a reference over
    dims = (ctypes.c_int64 * 2)(3, 4)
    array = prototype(numpy_function(NEW_FROM_DESCR))(
        id(np.ndarray), id(descr), 2, ctypes.addressof(dims), None, None, 0, None
    )
    return (
        type(array) is np.ndarray
        and array.shape == (3, 4)
        and array.dtype is descr
        and array.flags.num & FRESH == FRESH
    )


@cache
def memory_handler() -> int:
    """The address of the object that numpy gives to arrays which own memory of its allocator, 0 where there is none."""
    if np.ndarray.__basicsize__ < HANDLER + 8:
        return 0
    sample = np.empty(3)
    address = _word(id(sample) + HANDLER)
    capsule = type(_numpy_core()._ARRAY_API)
    return address if address and _word(address + TYPE) == id(capsule) else 0


def _numpy_core() -> Any:
    return sys.modules.get("numpy._core._multiarray_umath") or sys.modules["numpy.core._multiarray_umath"]


@cache
def numpy_function(position: int) -> int:
    """The address of a function of numpy's C API."""
    get = python_function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return _word(get(_numpy_core()._ARRAY_API, None) + 8 * position)


def python_function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function of the C API; a prototype of its own, because those of `ctypes.pythonapi` belong to everybody."""
    function: Callable[..., Any] = ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))
    return function


def slot_offset(class_: type, name: str) -> int:
    """Where instances of `class_` hold the value of one of its `__slots__`.  Raises: TypeError if it is not a slot."""
    descriptor: Any = next((vars(base)[name] for base in class_.__mro__ if name in vars(base)), None)
    if type(descriptor).__name__ != "member_descriptor":
        raise TypeError(f"{class_.__name__}.{name} is not a slot")
    # PyMemberDescrObject: header, type, name, qualified name, PyMemberDef*; PyMemberDef: name, type, offset ...
    definition = _word(id(descriptor) + HEADER + 24)
    offset = _word(definition + 16)
    probe: object = object.__new__(class_)
    marker = object()
    descriptor.__set__(probe, marker)
    if _word(id(probe) + offset) != id(marker):
        raise TypeError(f"{class_.__name__}.{name} is not where its descriptor says")
    return offset


def weak_offset(class_: type) -> int:
    """Where instances of `class_` hold their weak references, 0 for classes whose instances have none.

    Raises: TypeError if they are not where the class says.
    """
    offset = class_.__weakrefoffset__
    if offset == 0:
        return 0
    probe: Any = object.__new__(class_)
    before = _word(id(probe) + offset)
    reference = weakref.ref(probe)
    if before != 0 or _word(id(probe) + offset) != id(reference):
        raise TypeError(f"weak references to {class_.__name__} are not where the class says")
    return offset
