"""Every program of the tutorial, and variants, print and compute what PyTorch 2.13 prints and computes."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

import optc
from tests.tutorial.programs import NAMES, library

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


def captured(name: str) -> dict[str, tuple[Any, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {title: (program, arguments) for title, program, arguments in library(name).programs()}


@pytest.fixture(scope="module")
def ours() -> dict[str, tuple[Any, Any]]:
    return captured("optc")


@pytest.fixture(scope="module")
def theirs() -> dict[str, tuple[Any, Any]]:
    return captured("torch")


def without_gradients(text: str) -> str:
    return re.sub(r",?\s*grad_fn=<\w+>", "", text)


def canonical_graph(text: str) -> list[str]:
    """Graph text up to numbering, place of constants, paths and gradient flags; nested graphs stay in place."""
    numbers: dict[str, str] = {}
    constants: dict[str, str] = {}
    lines = []
    for line in text.splitlines():
        line = re.sub(r"(, scope: \S+)? # .*$", "", line)
        line = re.sub(r"requires_grad=[01], ", "", line)
        constant = re.match(r"\s*(%[\w.]+) : (\S+) = prim::Constant(.*)$", line)
        if constant:
            constants[constant[1]] = f"{constant[2]}{constant[3]}"
            continue
        line = re.sub(r"%[\w.]+", lambda m: constants.get(m[0]) or numbers.setdefault(m[0], f"%{len(numbers)}"), line)
        lines.append(re.sub(r"___torch_mangle_\d+\.", "", line))
    return lines


@pytest.mark.parametrize("title", NAMES)
def test_code_is_pytorch_text(title: str, ours: Any, theirs: Any) -> None:
    assert ours[title][0].code == theirs[title][0].code


@pytest.mark.parametrize("title", NAMES)
def test_print_is_pytorch_text(title: str, ours: Any, theirs: Any) -> None:
    assert str(ours[title][0]) == str(theirs[title][0])


@pytest.mark.parametrize("attribute", ["graph", "inlined_graph"])
@pytest.mark.parametrize("title", NAMES)
def test_graphs_are_pytorch_graphs(title: str, attribute: str, ours: Any, theirs: Any) -> None:
    mine, other = (str(getattr(side[title][0], attribute)) for side in (ours, theirs))
    assert canonical_graph(mine) == canonical_graph(other)


@pytest.mark.parametrize("title", NAMES)
def test_printed_values_are_pytorch_values(title: str, ours: Any, theirs: Any) -> None:
    (mine, arguments), (other, other_arguments) = ours[title], theirs[title]
    assert without_gradients(str(mine(*arguments))) == without_gradients(str(other(*other_arguments)))


@pytest.mark.parametrize("title", NAMES)
def test_compiled_code_computes_pytorch_values(title: str, ours: Any, theirs: Any) -> None:
    (mine, arguments), (other, other_arguments) = ours[title], theirs[title]
    result = optc.compile(mine, fallback="error")(*arguments)
    with torch.no_grad():
        expected = other(*other_arguments)
    compare(result, expected)


def compare(result: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert type(result) is type(expected) and len(result) == len(expected)
        for one, two in zip(result, expected):
            compare(one, two)
    elif isinstance(expected, torch.Tensor):
        torch.testing.assert_close(torch.from_numpy(result.numpy()), expected, rtol=1e-5, atol=1e-6)
    else:
        assert result == expected
