"""Parameter and Buffer: tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any, Self

from optc.eager.base import LEAF, NO_GRADIENT
from optc.eager.functions import empty
from optc.eager.tensor import Tensor

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]


class Parameter(Tensor):
    """A tensor that is a module's parameter; it shares the memory of `data`, and what is computed from it is a Tensor.

    RuntimeError if gradients are required of a tensor that is not floating point; AttributeError if `data` is none.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Self:
        source = empty(0) if data is None else data.detach()
        if requires_grad and not (source.is_floating_point() or source.is_complex()):
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        parameter = super().__new__(cls)
        parameter._array = source._array
        parameter._gradient = LEAF if requires_grad else NO_GRADIENT
        return parameter

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        """Everything happens in `__new__`."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        copied: Self = memo[id(self)]
        return copied

    def __repr__(self) -> str:
        return self._text(parameter=True)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self.detach(), self.requires_grad)


class Buffer(Tensor):
    """A tensor that becomes a buffer when it is assigned to a module; `persistent` ones enter the state_dict."""

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Self:
        source = empty(0) if data is None else data
        buffer = super().__new__(cls)
        buffer._array = source._array
        buffer._gradient = LEAF if source.requires_grad else NO_GRADIENT
        buffer.persistent = persistent
        return buffer

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        """Everything happens in `__new__`."""

    def __repr__(self) -> str:
        return repr(self.data)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_buffer, (self.detach(), self.persistent)


def _rebuild_buffer(data: Tensor, persistent: bool) -> Buffer:
    return Buffer(data, persistent=persistent)


_UNKNOWN = (
    "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when "
    "trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters "
    "before accessing their attributes."
)


class UninitializedParameter(Parameter):
    """A parameter of a lazy module, whose shape its first input tells."""

    @property
    def shape(self) -> Any:
        """Raises RuntimeError."""
        raise RuntimeError(_UNKNOWN)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedBuffer(Tensor):
    """A buffer of a lazy module, whose shape its first input tells."""

    def __new__(cls) -> Self:
        buffer = super().__new__(cls)
        buffer._array, buffer._gradient = empty(0)._array, NO_GRADIENT
        return buffer

    def __init__(self) -> None:
        """Everything happens in `__new__`."""

    @property
    def shape(self) -> Any:
        """Raises RuntimeError."""
        raise RuntimeError(_UNKNOWN)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
