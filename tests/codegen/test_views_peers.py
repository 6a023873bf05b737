"""Random programs of views, writes through them, indices and masks, against PyTorch: every alias sees every write."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import optc
from optc import jit
from optc.errors import OptcWarning

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

VIEWS = ("{x}[{k}]", "{x}.t()", "{x}[1:3]", "{x}[:, ::2]", "{x}.diagonal()", "{x}.swapaxes(0, 1)", "{x}.movedim(0, 1)",
         "{x}.diagonal({k})[:2]", "{x}[i]", "{x}.unsqueeze(0)[0]", "{x}.narrow(1, 1, 2)")  # fmt: skip
VECTORS = (0, 4, 7)
"""The views that have one dimension."""
WRITES = ("{x}.add_({k})", "{x}[{x} > {k}.0] = {k}.0", "{x}[i] = {k}.0", "{x}[i] += {x}[j]", "{x}[i] = {x}[j]",
          "{x}.index_put_([i], {x}[j], True)", "{x}.index_add_(0, i, {x}[j])", "{x}.index_fill_(0, i, {k})",
          "{x}.index_copy_(0, i, {x}[j])", "{x}.masked_fill_({x} > 3, -1.0)", "{x}[{x} > 2] *= 2.0",
          "{x}.copy_({x} * 2)", "{x}.masked_scatter_({x} > 1, y)", "{x}[-1] = {x}[0]")  # fmt: skip


def program(random: np.random.Generator) -> str:
    """A function of x, y, i and j that gives everything it has made."""
    lines, names = ["a = x.clone()", "b = y.clone()"], {"a": 2, "b": 2}
    for step in range(random.integers(3, 9)):
        name = str(random.choice(list(names)))
        number = int(random.integers(0, 2))
        if names[name] == 2 and random.integers(8) == 0:
            lines.append(f"u{step}, v{step} = {name}.chunk(2)")
            names |= {f"u{step}": 2, f"v{step}": 2}
        elif names[name] == 2 and random.integers(3) == 0:
            kind = int(random.integers(len(VIEWS)))
            lines.append(f"v{step} = " + VIEWS[kind].format(x=name, k=number))
            names[f"v{step}"] = 1 if kind in VECTORS else 2
        else:
            lines.append(str(random.choice(WRITES)).format(x=name, k=number))
    lines.append("return " + ", ".join(f"{name} + 0" for name in names))
    return "def f(x, y, i, j):\n" + "".join(f"    {line}\n" for line in lines)


def arguments(random: np.random.Generator) -> list[np.ndarray[Any, Any]]:
    """Two matrices, places that differ, and places that may count from the end."""
    rows, columns = random.integers(3, 6, 2)
    matrices = [random.integers(-5, 9, shape).astype(np.float32) for shape in ((rows, columns), (columns, rows))]
    return [*matrices, random.permutation(3)[:2], random.integers(-2, 2, 2)]


def outcome(function: Any, given: list[Any]) -> Any:
    try:
        return [np.asarray(result) for result in function(*given)]
    except (RuntimeError, IndexError, ValueError, optc.errors.ExecutionError):
        return None


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 400))])
def test_writes_reach_every_view(seed: int) -> None:
    random = np.random.default_rng(seed)
    text, given = program(random), arguments(random)
    spaces: dict[str, Any] = {}
    exec(text, spaces)  # noqa: S102 - the text is made here
    expected = outcome(spaces["f"], [torch.from_numpy(array.copy()) for array in given])
    fast = optc.compile(jit.CompilationUnit(text).f, dynamic=bool(seed % 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", OptcWarning)
        if expected is None:  # the second half of a single row is refused by the interpreter, to which it is left
            warnings.filterwarnings("ignore", ".*prim::ListUnpack", OptcWarning)
        found = outcome(fast, given)
    assert (found is None) == (expected is None), text
    for mine, other in zip(found or (), expected or ()):
        assert np.array_equal(mine, other), text
