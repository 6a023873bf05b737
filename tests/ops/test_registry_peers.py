"""Every operator against PyTorch: values, element types, shapes and the text of errors."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

import optc
from optc.ir import dtypes
from optc.ir.types import DEVICE, NUMBER, OptionalType, VariableType
from optc.ops.registry import Operator, all_operators
from tests.ops.samples import samples

torch = pytest.importorskip("torch")
torchvision_operators = pytest.importorskip("tests.models.torchvision_operators")
pytest.importorskip("torchvision")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
assert optc.__doc__ is not False  # importing optc declares the operators

CODES = {dtype.code: getattr(torch, dtype.name) for dtype in dtypes.ALL}
DTYPE_ARGUMENTS = ("dtype", "type1", "type2")


REFUSALS = (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError)


def to_torch(value: Any) -> Any:
    """An argument as PyTorch takes it."""
    if isinstance(value, np.ndarray):
        if not value.size:
            return torch.zeros(value.shape, dtype=getattr(torch, str(value.dtype)))
        if value.dtype.name == "bfloat16":
            return torch.from_numpy(value.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(value.copy() if value.flags.c_contiguous else value)
    return [to_torch(item) for item in value] if isinstance(value, list) else value


def from_torch(value: Any) -> Any:
    """A result of PyTorch as numpy arrays and Python values."""
    if isinstance(value, torch.Tensor):
        value = value.detach()
        if value.dtype is torch.bfloat16:
            return value.float().numpy().astype(dtypes.BFLOAT16.numpy)
        return value.resolve_conj().resolve_neg().numpy()
    if isinstance(value, torch.dtype):
        return next(code for code, known in CODES.items() if known is value)
    if isinstance(value, list | tuple):
        return type(value)(map(from_torch, value)) if type(value) in (list, tuple) else tuple(map(from_torch, value))
    return str(value) if isinstance(value, torch.device) else value


def peer_of(operator: Operator) -> Any:
    """PyTorch's operator of that name and overload, None when it cannot be called from Python."""
    namespace, _, name = operator.schema.name.partition("::")
    if namespace == "torchvision" and not torchvision_operators.COMPUTES:
        return None
    packet = getattr(getattr(torch.ops, namespace), name, None)
    return None if packet is None else getattr(packet, operator.schema.overload or "default", None)


def run_peer(operator: Operator, peer: Any, arguments: tuple[Any, ...]) -> Any:
    """PyTorch's result. `aten::set_grad_enabled` is among the operators: the mode is put back."""
    positional, keywords = [], {}
    for declared, argument in zip(operator.schema.arguments, arguments):
        value = to_torch(argument)
        if declared.name in DTYPE_ARGUMENTS and isinstance(value, int):
            value = CODES[value]
        inner = declared.type.element if isinstance(declared.type, OptionalType) else declared.type
        if inner is DEVICE and isinstance(value, str) and declared.name != "a":
            value = torch.device(value)
        if declared.keyword_only:
            keywords[declared.name] = value
        else:
            positional.append(value)
    with torch.enable_grad():
        return from_torch(peer(*positional, **keywords))


COMPUTED_NARROW = ("aten::istft",)
"""PyTorch transforms in the type of the spectrum, and only then widens to that of the window."""


def agree(mine: Any, other: Any, least_tolerance: float = 1e-12) -> bool:
    if isinstance(other, np.ndarray):
        if not isinstance(mine, np.ndarray) or mine.dtype != other.dtype or mine.shape != other.shape:
            return False
        if mine.dtype.kind in "iub":
            return bool(np.array_equal(mine, other))
        tolerance = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 3e-6, "complex64": 3e-6}.get(
            mine.dtype.name, least_tolerance
        )
        with np.errstate(all="ignore"):
            wide = np.complex128 if mine.dtype.kind == "c" else np.float64
            return bool(np.allclose(mine.astype(wide), other.astype(wide), tolerance, tolerance, True))
    if isinstance(other, list | tuple):
        return len(mine) == len(other) and all(map(agree, mine, other))
    if isinstance(other, float) and isinstance(mine, float):
        return mine == other or (math.isnan(mine) and math.isnan(other)) or abs(mine - other) <= 1e-12 * abs(other)
    if isinstance(other, complex) and isinstance(mine, complex):
        return agree(mine.real, other.real) and agree(mine.imag, other.imag)
    return type(mine) is type(other) and bool(mine == other)


CRASHES = {
    "aten::remainder.int": 0, "aten::__round_to_zero_floordiv.int": 0, "aten::fmod.int": 0, "aten::count": "",
}  # fmt: skip
"""PyTorch divides by the integer zero when the second argument is this one: the process dies of SIGFPE."""


DISPATCHER = "Could not run"
"""How PyTorch begins to tell that it has no kernel for such tensors, and all that it has instead."""


LISTING = "Expected one of cpu, cuda"
"""How it begins to list the devices that it knows; optc knows fewer."""


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0].removeprefix("Error: ").rstrip() if str(error) else ""


def is_callable(operator: Operator) -> bool:
    """PyTorch's Python binding cannot make lists of anything, and takes other overloads for numbers of any kind."""
    kinds = [argument.type for argument in operator.schema.arguments]
    generic = any(isinstance(getattr(kind, "element", kind), VariableType) for kind in kinds)
    only_numbers = all(kind is NUMBER for kind in kinds) or operator.name == "aten::pow.int_to_int"
    return not generic and not only_numbers and peer_of(operator) is not None and operator.name not in UNREACHABLE


UNREACHABLE = ("aten::_nested_tensor_from_mask", "aten::device.with_index", "aten::sum.int", "aten::sum.bool", "aten::sum.float", "aten::_local_scalar_dense",
               "aten::_no_grad_embedding_renorm_", "aten::divmod.int_float", "aten::divmod.float_int",
               "profiler::_record_function_enter", "profiler::_record_function_exit", "aten::to_mkldnn",
               "aten::mkldnn_linear", "aten::mkldnn_reorder_conv2d_weight", "aten::mkldnn_reorder_conv3d_weight",
               "aten::mkldnn_max_pool2d", "aten::mkldnn_max_pool3d", "aten::mkldnn_adaptive_avg_pool2d")  # fmt: skip
"""The Python binding takes another overload for these, or checks nothing, or takes or makes what optc has not."""

OTHER_WORDS = (
    "aten::clamp_",
    "aten::clamp_min_",
    "aten::clamp_max_",
    "aten::addmm_",
    "aten::baddbmm_",
    "aten::cumsum_",
    "aten::addbmm_",
    "aten::addr_",
    "aten::mvlgamma_",
    "aten::_sparse_mm",
)
"""Forms with checks, and words for them, of their own in PyTorch."""
FUNCTIONAL = [operator for operator in all_operators() if not operator.mutates and not operator.random]
TRIED = [operator for operator in FUNCTIONAL if is_callable(operator) and next(samples(operator), None) is not None]


def test_running_an_operator_of_pytorch_leaves_its_gradient_mode() -> None:
    switch = next(operator for operator in TRIED if operator.name == "aten::set_grad_enabled")
    for mode in (True, False):
        with torch.set_grad_enabled(mode):
            run_peer(switch, peer_of(switch), (not mode,))
            assert torch.is_grad_enabled() is mode


@pytest.mark.parametrize("operator", TRIED, ids=[operator.name for operator in TRIED])
def test_results_and_refusals_are_those_of_pytorch(operator: Operator) -> None:
    peer = peer_of(operator)
    for arguments in samples(operator):
        if operator.name in CRASHES and arguments[1] == CRASHES[operator.name]:
            continue
        try:
            expected = run_peer(operator, peer, arguments)
        except REFUSALS as refusal:
            with pytest.raises(REFUSALS) as refused:
                operator.reference(*arguments)
            if not first_line(refusal).startswith((DISPATCHER, LISTING)) and operator.name not in OTHER_WORDS:
                assert first_line(refused.value) == first_line(refusal), arguments
            continue
        if isinstance(expected, torch.ScriptObject):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = operator.reference(*arguments)
        is_narrow = operator.name in COMPUTED_NARROW and arguments[0].dtype.name in ("float32", "complex64")
        least_tolerance = 3e-6 if is_narrow else 1e-12
        assert agree(result, expected, least_tolerance), (arguments, result, expected)


PAIRED = [operator for operator in all_operators() if operator.functional is not None and operator.name.split(".")[0].endswith("_")
          and not operator.random and peer_of(operator) is not None and next(samples(operator.functional), None) is not None]  # fmt: skip


@pytest.mark.parametrize("operator", PAIRED, ids=[operator.name for operator in PAIRED])
def test_in_place_forms_write_what_pytorch_writes(operator: Operator) -> None:
    assert operator.functional is not None
    peer = peer_of(operator)
    for arguments in samples(operator.functional):
        written = arguments[0].copy()
        try:
            expected = run_peer(operator, peer, arguments)
        except REFUSALS as refusal:
            with pytest.raises(REFUSALS) as refused:
                operator.reference(written, *arguments[1:])
            by_the_functional_form = "not implemented for" in str(refused.value) or "ZeroDivision" in str(refused.value)
            assert (
                by_the_functional_form
                or operator.name in OTHER_WORDS
                or first_line(refused.value) == first_line(refusal)
            ), arguments
            continue
        result = operator.reference(written, *arguments[1:])
        assert result is written
        assert agree(written, expected), (arguments, written, expected)
