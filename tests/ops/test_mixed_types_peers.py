"""Calls with arguments of two element types, against PyTorch: the result's type and elements, or the error's text."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import optc
import optc.nn.functional
import optc.special

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

DTYPES = ("bool", "uint8", "int8", "int64", "float16", "bfloat16", "float32", "float64")

CALLS = [
    "t.nn.functional.huber_loss(a, b, reduction='none')",
    "t.nn.functional.binary_cross_entropy_with_logits(a, b, reduction='none')",
    "t.nn.functional.soft_margin_loss(a, b, reduction='none')",
    "t.nn.functional.kl_div(a, b)",
    "t.addr(a, b[0], b[1])",
    "t.addr(a[0, 0], b[0], b[1], beta=2, alpha=3)",
    "t.addr(a, b[0], b[1], alpha=1.5)",
    "t.addr(a[None], b[0], b[1])",
    "t.addcmul(a, b, b, value=2.5)",
    "t.addcmul(a, b, b, value=-300)",
    "t.lerp(a, b, 0.5)",
    "t.lerp(a, a, b)",
    "t.ldexp(a, b)",
    "t.special.xlogy(3, a) + t.special.xlogy(b, 2.5)",
    "t.kron(a[0, 0], b)",
    "t.inner(a, b)",
    "t.tensordot(a, b, 1)",
    "t.tensordot(a, b[0, 0], 1)",
    "t.diff(a, append=b[0])",
    "t.nn.functional.prelu(a, b[0])",
    "t.bucketize(a, b.flatten().sort()[0])",
    "t.bitwise_and(5, a) | t.bitwise_xor(True, b)",
    "t.bitwise_left_shift(1, a) + t.bitwise_right_shift(90, b)",
]  # fmt: skip
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 5e-3, "float64": 5e-3}
"""Where halves stand beside wider numbers, PyTorch rounds at every step."""


def given(library: Any, dtype: str, seed: int) -> Any:
    """The same nine elements for both."""
    numbers = np.random.default_rng(seed).random((3, 3)) * (2 if dtype == "bool" else 5 if dtype[0] in "iu" else 1)
    return library.from_numpy(numbers).to(getattr(library, dtype))


def outcome(library: Any, call: str, left: str, right: str) -> tuple[str, Any]:
    """A text that says type or error, and the elements."""
    scope = {"t": library, "a": given(library, left, 1), "b": given(library, right, 2)}
    try:
        with np.errstate(all="ignore"):
            result = eval(call, scope)
    except Exception as error:  # noqa: BLE001 - what it is, is compared
        kind = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
        return f"{kind.__name__}: {str(error).splitlines()[0]}", None
    return str(result.dtype).removeprefix("torch."), np.array(result.to(library.float64))


def difference(call: str, left: str, right: str, mine: tuple[str, Any], other: tuple[str, Any]) -> str:
    tolerance = max(TOLERANCE.get(left, 0.0), TOLERANCE.get(right, 0.0))
    same = mine[0] == other[0] and (mine[1] is None or np.allclose(mine[1], other[1], tolerance, tolerance, True))
    return "" if same else f"{call} of {left} and {right}: {mine} instead of {other}"


@pytest.mark.parametrize("call", CALLS)
def test_results_and_errors_of_two_types_are_pytorchs(call: str) -> None:
    unequal = [
        difference(call, left, right, outcome(optc, call, left, right), outcome(torch, call, left, right))
        for left, right in itertools.product(DTYPES, DTYPES)
    ]
    assert not any(unequal), "\n".join(filter(None, unequal))


@pytest.mark.parametrize(("left", "right"), [("float16", "float64"), ("int64", "float32"), ("float32", "uint8")])
def test_compiled_results_of_two_types_are_pytorchs(left: str, right: str) -> None:
    for call in CALLS:
        expected = outcome(torch, call, left, right)
        if expected[1] is None:
            continue
        arguments = (given(optc, left, 1), given(optc, right, 2))
        fast = optc.compile(eval(f"lambda a, b: {call}", {"t": optc, "__name__": __name__}), arguments, dynamic=True)
        result = fast(*arguments)
        found = str(result.dtype).removeprefix("torch."), np.array(result.to(optc.float64))
        assert not fast.fallbacks and not difference(call, left, right, found, expected), call


def test_powers_of_two_do_not_overflow_before_their_products() -> None:
    numbers = [1.0, 0.75, -0.0, float("inf"), 6e-8, 1e-40, 5e-324]
    for dtype, steps in itertools.product(("float16", "float32", "float64"), (3, -20, 140, -150, 1500, -1074)):
        mine, other = (
            library.ldexp(library.tensor(numbers, dtype=getattr(library, dtype)), library.tensor([steps])).tolist()
            for library in (optc, torch)
        )
        assert mine == other, (dtype, steps)


@pytest.mark.parametrize("decimals", [1, 3, -2])
def test_halves_are_rounded_to_decimals_as_wider_numbers(decimals: int) -> None:
    numbers = [65504.0, 123.4375, 0.34521484375, -9999.0]
    x = optc.tensor(numbers, dtype=optc.float16)
    expected = torch.round(torch.tensor(numbers, dtype=torch.float16), decimals=decimals).tolist()

    def program(x: Any) -> Any:
        return optc.round(x, decimals=decimals)

    for function in (program, optc.compile(program, (x,))):
        assert function(x).tolist() == expected
