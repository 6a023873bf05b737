"""`Tensor`: PyTorch's tensor over a numpy array.

What a tensor computes is in the operator registry; here is what makes it a Python object: conversions, attributes,
operators, printing, exchange with numpy. Methods named after operators are added from the registry by methods.py.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from optc.eager import casts, dispatch, indexing
from optc.eager.base import LEAF, NO_GRADIENT, TensorBase, is_number
from optc.eager.conversion import to_tensor_array
from optc.eager.device import CHANNELS_LAST, CONTIGUOUS_FORMAT, CPU, STRIDED, Device, Layout, MemoryFormat
from optc.eager.memory import Storage, is_channels_last, storage_of, strides_of
from optc.eager.operators import OPERATORS, operator_method
from optc.eager.printing import format_tensor
from optc.eager.size import Size
from optc.errors import UnsupportedError
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.ops import promotion
from optc.ops.held import is_held, numbers_of
from optc.ops.quantizers import dequantized, quantizer_of

_LEGACY_NAMES = {
    "float64": "Double", "float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "uint8": "Byte",
    "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long", "bool": "Bool",
    "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip


class _OperatorMethods(type):
    """Finds the operators that are methods when they are first asked for: `Tensor.relu`."""

    def __getattr__(cls, name: str) -> Any:
        method = operator_method(name)
        setattr(Tensor, name, method)
        return method


class Tensor(TensorBase, metaclass=_OperatorMethods):
    """An array of one element type.

    `Tensor(2, 3)` is an uninitialised tensor of that shape, `Tensor([1, 2])` one of these numbers, both of the default
    dtype; `optc.tensor` is the function to prefer.
    """

    __slots__ = ()
    __array_priority__: ClassVar[int] = 1000
    _printed_name: ClassVar[str] = "tensor"

    def __init_subclass__(cls) -> None:
        if not cls.__module__.startswith("optc."):
            cls._printed_name = cls.__name__

    def __getattr__(self, name: str) -> Any:
        return getattr(type(self), name).__get__(self)

    def __init__(self, *data: Any) -> None:
        dtype = promotion.default_float()
        if len(data) == 1 and not isinstance(data[0], int | Size):
            self._array = to_tensor_array(data[0], dtype)
        else:
            sizes = data[0] if len(data) == 1 and isinstance(data[0], Size) else data or (0,)
            self._array = np.empty(sizes, dtype.numpy)
        self._gradient = NO_GRADIENT
        dispatch.note_constant(self, "torch.Tensor")

    @classmethod
    def _make_subclass(cls, data: Tensor, requires_grad: bool = False) -> Self:
        """A tensor of this class that shares the memory of `data`."""
        tensor = cls.__new__(cls)
        tensor._array = data._array
        tensor._gradient = NO_GRADIENT
        if requires_grad:
            tensor.requires_grad = True
        return tensor

    # What a tensor is.

    @property
    def shape(self) -> Size:
        """The extent of every dimension."""
        recorder = dispatch.current_recorder()
        if recorder is None:
            return Size(self._array.shape)
        return Size(recorder.size(self, dim) for dim in range(self._array.ndim))

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the extent of one dimension. Raises IndexError for a dimension that is not there."""
        if dim is None:
            return self.shape
        if isinstance(dim, bool) or not isinstance(dim, int | np.integer | Tensor):
            raise TypeError(f"size(): argument 'dim' (position 1) must be int, not {type(dim).__name__}")
        place = self._checked_dim(int(dim))
        recorder = dispatch.current_recorder()
        return self._array.shape[place] if recorder is None else recorder.size(self, place)

    def _checked_dim(self, dim: int) -> int:
        rank = max(self._array.ndim, 1)
        if not -rank <= dim < rank or self._array.ndim == 0:
            if self._array.ndim == 0:
                raise IndexError("Dimension specified as 0 but tensor has no dimensions")
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {dim})"
            )
        return dim % rank

    @property
    def dtype(self) -> DType:
        """The element type."""
        return dtypes.from_numpy(self._array.dtype)

    @property
    def device(self) -> Device:
        """Always the CPU."""
        return CPU

    @property
    def layout(self) -> Layout:
        """Always strided."""
        return STRIDED

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    def dim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    ndimension = dim

    def numel(self) -> Any:
        """The number of elements."""
        recorder = dispatch.current_recorder()
        return self._array.size if recorder is None else recorder.numel(self)

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element."""
        return self._array.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.nbytes

    def stride(self, dim: int | None = None) -> Any:
        """Elements from one index to the next, of every dimension or of one."""
        strides = strides_of(self._array)
        return strides if dim is None else strides[self._checked_dim(int(dim))]

    def storage_offset(self) -> int:
        """Elements between the start of the memory and the first element."""
        return storage_of(self._array).offset_of(self._array)

    def untyped_storage(self) -> Storage:
        """The memory this tensor and its views share."""
        return storage_of(self._array)

    def data_ptr(self) -> int:
        """The address of the first element."""
        return 0 if self._array.size == 0 else self._array.ctypes.data

    def is_contiguous(self, memory_format: MemoryFormat = CONTIGUOUS_FORMAT) -> bool:
        """True when the elements lie one after the other in the given order of dimensions."""
        if memory_format is CHANNELS_LAST:
            return is_channels_last(self._array)
        return bool(self._array.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        """True for half, bfloat16, float and double."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """True for the complex types."""
        return self.dtype.is_complex

    def is_signed(self) -> bool:
        """True when the element type has negative values."""
        return self.dtype.is_signed

    is_cuda = is_sparse = is_meta = is_mkldnn = is_nested = is_mps = is_xpu = False

    @property
    def is_quantized(self) -> bool:
        """True where integers stand for the numbers: see `optc.quantize_per_tensor`."""
        return self.dtype.is_quantized

    def is_pinned(self) -> bool:
        """False: nothing is pinned."""
        return False

    def is_shared(self) -> bool:
        """False: memory is not shared between processes."""
        return False

    def is_inference(self) -> bool:
        """False: tensors made in inference mode are like others."""
        return False

    def get_device(self) -> int:
        """-1, PyTorch's number for the CPU."""
        return -1

    def type(self, dtype: DType | str | None = None, non_blocking: bool = False) -> Any:
        """The name of the type (``torch.FloatTensor``), or the tensor converted to a dtype or named type."""
        if dtype is None:
            return f"torch.{_LEGACY_NAMES.get(self.dtype.name, self.dtype.label)}Tensor"
        if isinstance(dtype, str):
            dtype = _dtype_of_legacy_name(dtype)
        return self.to(dtype, non_blocking)

    # Gradients, of which there are none.

    @property
    def requires_grad(self) -> bool:
        """True for a tensor the user asked gradients of, and for what was computed from one. There is no autograd."""
        return self._gradient != NO_GRADIENT

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._array.dtype.kind in "biu":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if not value and self._gradient not in (NO_GRADIENT, LEAF):
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if not self.requires_grad or not value:
            self._gradient = LEAF if value else NO_GRADIENT

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """False for what was computed from a tensor that requires gradients."""
        return self._gradient in (NO_GRADIENT, LEAF)

    @property
    def grad(self) -> None:
        """None: there is no autograd."""
        return None

    @grad.setter
    def grad(self, value: None) -> None:
        if value is not None:
            raise UnsupportedError("optc has no autograd: a tensor's grad can only be None")

    @property
    def grad_fn(self) -> None:
        """None: there is no autograd."""
        return None

    def backward(self, *arguments: Any, **keywords: Any) -> None:
        """Raises UnsupportedError: there is no autograd."""
        raise UnsupportedError("optc has no autograd: backward() does not exist")

    def detach_(self) -> Self:
        """Forget that gradients are required, and return the tensor."""
        self._gradient = NO_GRADIENT
        return self

    @property
    def data(self) -> Any:
        """The same elements without gradient; assigning replaces the elements of this tensor."""
        return dispatch.wrap(self._array)

    @data.setter
    def data(self, value: Tensor) -> None:
        self._array = value._array

    # To Python.

    def item(self) -> Any:
        """The only element as a Python number. Raises RuntimeError unless there is exactly one."""
        if self._array.size != 1:
            raise RuntimeError(f"a Tensor with {self._array.size} elements cannot be converted to Scalar")
        dispatch.note_conversion(self, "Python number")
        return self._numbers().item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers; a number for a tensor without dimensions."""
        dispatch.note_conversion(self, "Python list")
        return self._numbers().tolist()

    def _numbers(self) -> npt.NDArray[Any]:
        if self._array.dtype.names is None:
            return self._array
        return dequantized(self._array) if self.is_quantized else numbers_of(self._array)

    def __bool__(self) -> bool:
        if self._array.size != 1:
            count = "no values" if self._array.size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {count} is ambiguous")
        dispatch.note_conversion(self, "Python boolean")
        return bool(self._numbers().item())

    def _single(self, target: str) -> Any:
        if self._array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        dispatch.note_conversion(self, target)
        return self._numbers().item()

    def __int__(self) -> int:
        return int(self._single("Python integer"))

    def __float__(self) -> float:
        number = self._single("Python float")
        if self.is_complex():
            raise RuntimeError("value cannot be converted to type double without overflow")
        return float(number)

    def __complex__(self) -> complex:
        return complex(self._single("Python complex"))

    def __index__(self) -> int:
        if self._array.size != 1 or self._array.dtype.kind not in "biu":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._single("Python index"))

    def __len__(self) -> int:
        if self._array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        dispatch.note_conversion(self, "Python length")
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        if self._array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        dispatch.note_conversion(self, "Python iterator")
        return iter(dispatch.call("aten::unbind", (self, 0)))

    def __reversed__(self) -> Any:
        return self if self._array.ndim == 0 else dispatch.call("aten::flip", (self, [0]))

    def __contains__(self, element: Any) -> bool:
        if not isinstance(element, Tensor) and not is_number(element):
            raise RuntimeError(
                f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
            )
        return bool(dispatch.call("aten::any", (dispatch.call("aten::eq", (self, element)),)))

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return self._text()

    def _text(self, parameter: bool = False) -> str:
        """What `repr` shows; `parameter` announces a parameter."""
        return format_tensor(
            self._numbers(),
            dtype_name=self.dtype.name,
            default_dtype_name=promotion.default_float().name,
            requires_grad=self._gradient == LEAF,
            parameter=parameter,
            type_name=self._printed_name,
            quantizer=self._quantizer_text(),
        )

    def _quantizer_text(self) -> list[str]:
        """What `repr` says of the quantiser: nothing for other tensors."""
        if not self.is_quantized:
            return []
        found = quantizer_of(self._array)
        if found.axis is None:
            numbers = [f"scale={found.scale}", f"zero_point={found.zero_point}"]
            return ["quantization_scheme=torch.per_tensor_affine", *numbers]
        scales, points = (repr(dispatch.wrap(np.array(each))) for each in (found.scales, found.zero_points))
        scheme = "per_channel_affine" + "_float_qparams" * found.has_float_points
        return [f"quantization_scheme=torch.{scheme}", f"scale={scales}", f"zero_point={points}", f"axis={found.axis}"]

    def __format__(self, specification: str) -> str:
        if self._array.ndim == 0:
            return format(self.item(), specification)
        return object.__format__(self, specification)

    # To and from numpy.

    def numpy(self, *, force: bool = False) -> npt.NDArray[Any]:
        """The elements as an array that shares the memory.

        Raises RuntimeError for a tensor that requires gradients, unless `force`.
        """
        if self.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        dispatch.note_conversion(self, "NumPy array")
        return numbers_of(self._array) if is_held(self._array) else self._array

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        array = self.numpy()
        if dtype is not None and np.dtype(dtype) != array.dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_wrap__(self, array: npt.NDArray[Any], context: Any = None, return_scalar: bool = False) -> Any:
        return dispatch.wrap(array)

    def __dlpack__(self, **keywords: Any) -> Any:
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self._array.__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    # Copies.

    def __copy__(self) -> Any:
        shared = type(self).__new__(type(self))
        shared._array, shared._gradient = self._array, self._gradient
        return shared

    def __deepcopy__(self, memory: dict[int, Any]) -> Any:
        if id(self) in memory:
            return memory[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
            )
        twin = type(self).__new__(type(self))
        twin._array, twin._gradient = self._array.copy(order="K"), self._gradient
        if hasattr(self, "__dict__"):
            twin.__dict__.update(copy.deepcopy(self.__dict__, memory))
        memory[id(self)] = twin
        return twin

    def __reduce__(self) -> Any:
        state = self.__dict__ if hasattr(self, "__dict__") else None
        return _rebuild, (type(self), self._array, self._gradient), state

    def to(self, *arguments: Any, **keywords: Any) -> Any:
        """The tensor in another dtype (or that of another tensor); itself when nothing changes.

        Takes ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(other)``, then `non_blocking`, `copy` and
        `memory_format`. Raises RuntimeError for a device other than the CPU.
        """
        return casts.to(self, arguments, keywords)

    # Indexing.

    def __getitem__(self, index: Any) -> Any:
        return indexing.get_item(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        indexing.set_item(self, index, value)

    def __delitem__(self, index: Any) -> None:
        raise TypeError("Tensor does not support deleting items")

    # Python's operators; see operators.py.

    __add__ = OPERATORS["__add__"]
    __radd__ = OPERATORS["__radd__"]
    __iadd__ = OPERATORS["__iadd__"]
    __sub__ = OPERATORS["__sub__"]
    __rsub__ = OPERATORS["__rsub__"]
    __isub__ = OPERATORS["__isub__"]
    __mul__ = OPERATORS["__mul__"]
    __rmul__ = OPERATORS["__rmul__"]
    __imul__ = OPERATORS["__imul__"]
    __truediv__ = OPERATORS["__truediv__"]
    __rtruediv__ = OPERATORS["__rtruediv__"]
    __rdiv__ = __rtruediv__
    __itruediv__ = OPERATORS["__itruediv__"]
    __floordiv__ = OPERATORS["__floordiv__"]
    __rfloordiv__ = OPERATORS["__rfloordiv__"]
    __ifloordiv__ = OPERATORS["__ifloordiv__"]
    __mod__ = OPERATORS["__mod__"]
    __rmod__ = OPERATORS["__rmod__"]
    __imod__ = OPERATORS["__imod__"]
    __pow__ = OPERATORS["__pow__"]
    __rpow__ = OPERATORS["__rpow__"]
    __ipow__ = OPERATORS["__ipow__"]
    __matmul__ = OPERATORS["__matmul__"]
    __rmatmul__ = OPERATORS["__rmatmul__"]
    __and__ = OPERATORS["__and__"]
    __rand__ = OPERATORS["__rand__"]
    __iand__ = OPERATORS["__iand__"]
    __or__ = OPERATORS["__or__"]
    __ror__ = OPERATORS["__ror__"]
    __ior__ = OPERATORS["__ior__"]
    __xor__ = OPERATORS["__xor__"]
    __rxor__ = OPERATORS["__rxor__"]
    __ixor__ = OPERATORS["__ixor__"]
    __lshift__ = OPERATORS["__lshift__"]
    __rlshift__ = OPERATORS["__rlshift__"]
    __ilshift__ = OPERATORS["__ilshift__"]
    __rshift__ = OPERATORS["__rshift__"]
    __rrshift__ = OPERATORS["__rrshift__"]
    __irshift__ = OPERATORS["__irshift__"]
    __eq__ = OPERATORS["__eq__"]
    __ne__ = OPERATORS["__ne__"]
    __lt__ = OPERATORS["__lt__"]
    __le__ = OPERATORS["__le__"]
    __gt__ = OPERATORS["__gt__"]
    __ge__ = OPERATORS["__ge__"]
    __neg__ = OPERATORS["__neg__"]
    __pos__ = OPERATORS["__pos__"]
    __abs__ = OPERATORS["__abs__"]
    __invert__ = OPERATORS["__invert__"]


def _rebuild(kind: type[Tensor], array: npt.NDArray[Any], gradient_state: int) -> Tensor:
    """What unpickling calls."""
    tensor = kind.__new__(kind)
    tensor._array, tensor._gradient = array, gradient_state
    return tensor


def _dtype_of_legacy_name(name: str) -> DType:
    """float32 for ``torch.FloatTensor``. Raises ValueError for a name that is none."""
    for dtype_name, label in _LEGACY_NAMES.items():
        if name in (f"torch.{label}Tensor", f"optc.{label}Tensor"):
            return dtypes.BY_NAME[dtype_name]
    raise ValueError(f"invalid type: '{name}'")


dispatch.register_tensor_class(Tensor)
