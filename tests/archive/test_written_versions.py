"""Archives carry the oldest version whose readers take every operator for what it is."""

from __future__ import annotations

import io
import zipfile

import pytest

import optc

BODIES = {
    "x + 1": 3,
    "x * (7 / len(x.size()))": 3,
    "x / 2": 4,
    "torch.div(x, x, rounding_mode='floor')": 4,
    "x.div_(2)": 4,
    "torch.full([2], 3)": 5,
    "torch.linspace(0, 1, 3)": 8,
    "torch.linspace(x, x, 3)": 3,
    "torch.logspace(0, 1, 3)": 9,
    "torch.gelu(x)": 10,
}


@pytest.mark.parametrize("body", BODIES)
def test_version_is_the_oldest_that_is_right(body: str) -> None:
    assert version_of(optc.jit.CompilationUnit(f"def f(x):\n    return {body}\n").f) == BODIES[body]


def halved_in_a_fork(x: optc.Tensor) -> optc.Tensor:
    return optc.jit.wait(optc.jit.fork(optc.div, x, 2))


def test_what_forks_compute_counts() -> None:
    assert version_of(optc.jit.script(halved_in_a_fork)) == 4


def version_of(function: optc.jit.ScriptFunction) -> int:
    with zipfile.ZipFile(io.BytesIO(function.save_to_buffer())) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/version"))
        return int(archive.read(name))
