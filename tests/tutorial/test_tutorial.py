"""The tutorial's programs, compiled: right on random inputs, on both sides of every branch, for every length."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import optc
from tests.tutorial.programs import NAMES, library


@pytest.fixture(scope="module")
def tutorial() -> dict[str, tuple[Any, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {title: (program, arguments) for title, program, arguments in library("optc").programs()}


def like(argument: Any, random: np.random.Generator) -> Any:
    """A random argument of the same type and shape."""
    if isinstance(argument, optc.Tensor):
        return optc.from_numpy(random.normal(0.0, 1.0, argument.shape).astype(np.float32))
    return argument


def compare(result: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert type(result) is type(expected) and len(result) == len(expected)
        for one, two in zip(result, expected):
            compare(one, two)
    elif isinstance(expected, optc.Tensor):
        np.testing.assert_allclose(result.numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    else:
        assert result == expected


@pytest.mark.parametrize("title", NAMES)
def test_compiled_equals_interpreted(title: str, tutorial: Any) -> None:
    program, arguments = tutorial[title]
    fast = optc.compile(program, fallback="error")
    random = np.random.default_rng(0)
    for _ in range(20):
        given = [like(argument, random) for argument in arguments]
        compare(fast(*given), program(*given))
    assert fast.fallbacks == []


@pytest.mark.slow
@pytest.mark.parametrize("title", NAMES)
def test_compiled_equals_interpreted_a_thousand_times(title: str, tutorial: Any) -> None:
    program, arguments = tutorial[title]
    fast = optc.compile(program, fallback="error")
    random = np.random.default_rng(1)
    for _ in range(1000):
        given = [like(argument, random) for argument in arguments]
        compare(fast(*given), program(*given))


def test_every_length_runs_with_three_specialisations(tutorial: Any) -> None:
    program, _ = tutorial["rnn loop"]
    for lengths in ([0, 1, 2, 10, 1000], [1000, 10, 2, 1, 0], [2, 0, 10, 1, 1000]):
        fast = optc.compile(program, fallback="error")
        for length in lengths:
            xs = optc.randn(length, 3, 4)
            compare(fast(xs), program(xs))
        assert len(fast.specializations) <= 3


def test_both_sides_of_a_branch(tutorial: Any) -> None:
    gate = optc.compile(tutorial["scripted gate"][0])
    ones = optc.ones(3, 4)
    assert optc.equal(gate(ones), ones)
    assert optc.equal(gate(-ones), ones)
    assert optc.equal(gate(optc.zeros(3, 4)), -optc.zeros(3, 4))


def test_nan_in_a_predicate_takes_the_other_side(tutorial: Any) -> None:
    program, _ = tutorial["scripted gate"]
    x = optc.full((3, 4), float("nan"))
    assert str(optc.compile(program)(x)) == str(program(x))


def test_the_first_call_is_quick(tutorial: Any) -> None:
    import time

    program, arguments = tutorial["scripted cell"]
    optc.compile(tutorial["scripted gate"][0])(arguments[0])
    started = time.perf_counter()
    optc.compile(program)(*arguments)
    assert time.perf_counter() - started < 0.5
