"""Parameter and Buffer: tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any, Self

from optc.eager.base import LEAF, NO_GRADIENT
from optc.eager.functions import empty
from optc.eager.tensor import Tensor

__all__ = ["Buffer", "Parameter"]


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
