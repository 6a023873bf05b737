"""What tests against PyTorch share: a function of a namespace, called with torch and with optc.

Values, dtype, shape, strides and gradient flags must agree, and where PyTorch refuses, the exception and its text.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optc.eager import functions
from optc.eager.base import TensorBase

torch = pytest.importorskip("torch")


class Namespace:
    """optc's functions under torch's names."""

    def __getattr__(self, name: str) -> Any:
        return functions.NAMES[name] if name in functions.NAMES else getattr(functions, name)


OPTC = Namespace()


def described(value: Any) -> Any:
    """What must agree of a result."""
    if isinstance(value, TensorBase | torch.Tensor):
        if isinstance(value, TensorBase):
            elements: Any = value._array
        else:
            elements = (value.float() if value.dtype is torch.bfloat16 else value).detach().numpy()
        if elements.dtype.name == "bfloat16":
            elements = elements.astype(np.float32)
        return str(value.dtype), value.stride(), value.requires_grad, value.is_leaf, elements
    if isinstance(value, tuple | list) and type(value).__name__ != "Size":
        return [described(item) for item in value]
    return repr(value)


def outcome(function: Callable[[Any], Any], namespace: Any) -> Any:
    """What a function gives, or how it is refused."""
    try:
        return described(function(namespace))
    except Exception as error:  # noqa: BLE001 - the exception is the outcome
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return "raises", kinds[kinds.index("RuntimeError") :] if "RuntimeError" in kinds else kinds, str(error)


def agree(theirs: Any, ours: Any) -> bool:
    """True for equal outcomes, up to rounding; kernels that only PyTorch lacks are none of optc's business."""
    if isinstance(theirs, tuple) and theirs[:1] == ("raises",) and "\" not implemented for '" in theirs[2]:
        return True
    if isinstance(theirs, str) and isinstance(ours, str):
        return re.sub(r"torch\.\w+Tensor\{", "torch.FloatTensor{", theirs) == ours  # shape rules know no dtype
    if isinstance(theirs, np.ndarray):
        return isinstance(ours, np.ndarray) and theirs.shape == ours.shape and np.allclose(
            theirs, ours, rtol=2e-6, atol=1e-7, equal_nan=True
        )  # fmt: skip
    if isinstance(theirs, list | tuple):
        return type(theirs) is type(ours) and len(theirs) == len(ours) and all(map(agree, theirs, ours))
    return bool(theirs == ours)


def assert_same(function: Callable[[Any], Any]) -> None:
    """Asserts that both namespaces give the same, or refuse in the same words."""
    theirs, ours = outcome(function, torch), outcome(function, OPTC)
    assert agree(theirs, ours), f"optc: {ours} torch: {theirs}"
