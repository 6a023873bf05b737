"""Tensor's methods and properties that are more than one call of an operator of their name.

All other methods are operators of the registry; `Tensor` finds them itself (`operators.operator_method`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from optc.eager import dispatch, numerics, optional_results
from optc.eager.base import TensorBase, is_number
from optc.eager.casts import CAST_METHODS
from optc.eager.creation import NEW_METHODS
from optc.eager.device import Device, require_cpu
from optc.eager.tensor import Tensor
from optc.ir import dtypes


def _property(name: str) -> property:
    qualified = f"aten::{name}"
    return property(lambda self: dispatch.call(qualified, (self,)), doc=f"The operator {qualified} of this tensor.")


def _to_cpu(self: Any, memory_format: Any = None) -> Any:
    """The tensor on the CPU: where it is."""
    return self.to("cpu") if memory_format is None else self.to("cpu", memory_format=memory_format)


def _to_accelerator(self: Any, device: Device | str | None = None, **options: Any) -> Any:
    """Raises RuntimeError: there is no accelerator."""
    require_cpu("cuda")


def _split(self: Any, split_size: Any, dim: int = 0) -> Any:
    """Parts of `split_size` along a dimension, or of the given sizes."""
    name = "aten::split_with_sizes" if isinstance(split_size, list | tuple) else "aten::split"
    return tuple(dispatch.call(name, (self, split_size, dim)))


def _parts(name: str) -> Callable[..., Any]:
    """A method whose operator returns a list, which Python gets as a tuple."""

    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return tuple(dispatch.call(f"aten::{name}", (self, *arguments), keywords, is_method=True))

    method.__name__ = name
    method.__doc__ = f"The parts that the operator aten::{name} gives."
    return method


def _tensor_split(self: Any, indices_or_sections: Any, dim: int = 0) -> Any:
    """A number of parts as equal as can be, or parts that begin at the given places (numbers, or a tensor of them)."""
    given = indices_or_sections
    if isinstance(given, Tensor) and given.dim() == 0 and given.dtype is dtypes.INT64:
        # How many results there are, a trace can only say for this number.
        given = given.item()
    return tuple(dispatch.call("aten::tensor_split", (self, given, dim), is_method=True))


def _copy(self: Any, src: Any, non_blocking: bool = False) -> Any:
    """Write the elements of `src`, a tensor or a number, into this tensor, as far as they have to be repeated."""
    if is_number(src):
        return dispatch.call("aten::fill_", (self, src))
    return dispatch.call("aten::copy_", (self, src, non_blocking))


def _norm(self: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The vector norm of order `p` over `dim` (all dimensions when absent); "nuc" is the nuclear norm of matrices."""
    code = None if dtype is None else dtype.code
    dims = [dim] if isinstance(dim, int) else dim
    if p == "nuc":
        planes = [0, 1] if dims is None else dims
        return dispatch.call("aten::linalg_matrix_norm", (self, p, planes, keepdim), {"dtype": code})
    if p not in ("fro", None) and not is_number(p):
        raise RuntimeError(f"only valid string values are 'fro' and 'nuc', found {p}")
    order = 2 if p in ("fro", None) else p
    return dispatch.call("aten::linalg_vector_norm", (self, order, dims, keepdim), {"dtype": code})


def _stft(
    self: Any, n_fft: int, hop_length: Any = None, win_length: Any = None, window: Any = None, center: bool = True,
    pad_mode: str = "reflect", normalized: bool = False, onesided: Any = None, return_complex: Any = None,
) -> Any:  # fmt: skip
    """The spectra of overlapping frames."""
    given = (self, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided, return_complex)
    return dispatch.call("aten::stft", given)


def _same(self: Any, *arguments: Any, **keywords: Any) -> Any:
    """The tensor as it is."""
    return self


def _retain_grad(self: Any) -> None:
    """Nothing to do: there is no autograd."""


def _where(self: Any, condition: Any, other: Any) -> Any:
    """This tensor's elements where `condition` holds, those of `other` elsewhere."""
    return dispatch.call("aten::where", (condition, self, other))


PROPERTIES: Final = {
    "T": "numpy_T",
    "mT": "mT",
    "H": "matrix_H",
    "mH": "mH",
    "real": "real",
    "imag": "imag",
}

SPECIAL_METHODS: Final[dict[str, Callable[..., Any]]] = {
    **CAST_METHODS,
    **NEW_METHODS,
    "cpu": _to_cpu,
    "cuda": _to_accelerator,
    "split": _split,
    "unbind": _parts("unbind"),
    "chunk": _parts("chunk"),
    "tensor_split": _tensor_split,
    **{name: _parts(name) for name in ("hsplit", "vsplit", "dsplit", "gradient")},
    "copy_": _copy,
    "norm": _norm,
    "unique": optional_results.unique,
    "unique_consecutive": optional_results.unique_consecutive,
    "nonzero": optional_results.nonzero,
    "lu": optional_results.lu,
    "stft": _stft,
    "where": _where,
    "pin_memory": _same,
    "share_memory_": _same,
    "retain_grad": _retain_grad,
    "equal": numerics.equal,
    "allclose": numerics.allclose,
}


def install() -> None:
    """Give `Tensor` the methods and properties of this module."""
    for name, method in SPECIAL_METHODS.items():
        setattr(Tensor, name, method)
    for name, operator in PROPERTIES.items():
        setattr(Tensor, name, _property(operator))


def is_tensor(value: Any) -> bool:
    """True for a tensor."""
    return isinstance(value, TensorBase)
