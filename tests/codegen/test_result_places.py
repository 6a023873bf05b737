"""Results are computed where they belong, also where the program returns a view of what it computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optc
import optc as torch
from optc.codegen.driver.result_places import computed_as

ROWS = np.random.default_rng(0).standard_normal((30, 40)).astype(np.float32)


def folded(x):
    return x.exp().reshape(-1)


def joined(x):
    return torch.cat([x.exp(), x.sin()], 1)


def with_axes_of_one(x):
    return x.exp().unsqueeze(1).unsqueeze(0)


def product_in_four_dimensions(x):
    return torch.matmul(x, x.t()).view(1, x.size(0), 1, x.size(0))


def written_onto_zeros(x):
    return (x * 0.0).scatter(1, x.argmax(1, True), 1.0)


def row_written_onto_a_copy(x):
    y = x * 2.0
    y[3] = x[4]
    return y


def repeated_in_rows(x):
    return x.repeat(2, 3)


def turned_and_cut(x):
    return x.exp().t().reshape(-1, 5)


PROGRAMS = [repeated_in_rows, with_axes_of_one, product_in_four_dimensions, written_onto_zeros]


@pytest.mark.parametrize(
    ("program", "dynamic"),
    [
        *((program, dynamic) for program in PROGRAMS for dynamic in (False, True)),
        (joined, True),
        (folded, True),
        (folded, False),
        (turned_and_cut, False),
        (row_written_onto_a_copy, False),
    ],
)
def test_nothing_is_copied(program: Callable[..., Any], dynamic: bool) -> None:
    compiled = optc.compile(program, dynamic=dynamic)
    expected = program(optc.from_numpy(ROWS)).numpy()
    for _ in range(2):  # into new memory, and into memory that is used again
        np.testing.assert_allclose(compiled(ROWS), expected, rtol=1e-5, atol=1e-5)
    assert compiled.fallbacks == []
    assert "llvm.memcpy" not in compiled.llvm


@pytest.mark.parametrize("extent", [40, 2])
def test_extents_that_follow_from_those_of_arguments_are_no_reason_for_new_memory(extent: int) -> None:
    compiled = optc.compile(joined, dynamic=True)
    for rows in (3, 30):
        x = np.ones((rows, extent), np.float32)
        first = compiled(x)
        address = first.ctypes.data
        assert first.shape == (rows, 2 * extent)
        del first
        compiled(x)
        assert compiled(x).ctypes.data == address


def cut_off(x):
    return torch.constant_pad_nd(x, [-3, -4, -5, -6], 0.0) * 2.0


def test_extents_that_would_be_negative_are_refused_before_anything_is_written() -> None:
    """Two of them would have many elements together."""
    compiled = optc.compile(cut_off, dynamic=True, fallback="error")
    assert compiled(ROWS).shape == (19, 33)
    for shape in ((2, 3), (2, 30), (30, 3)):
        with pytest.raises(RuntimeError, match="length must be non-negative"):
            compiled(np.ones(shape, np.float32))
    assert compiled(np.ones((11, 8), np.float32)).shape == (0, 1)


def first_rows(x):
    return x.exp()[:2]


def turned(x):
    return x.exp().t()


def repeated(x):
    return x.exp().reshape(1, 30, 40).expand(3, 30, 40)


def with_its_source(x):
    y = x.exp()
    return y.reshape(-1), y


def read_again(x):
    y = x.exp()
    z = y.reshape(-1)
    return z, y + 1.0, z * 2.0


def source_of_two_writes(x):
    y = x.exp()
    return y.scatter(1, x.argmax(1, True), 0.0).view(-1), y.scatter(1, x.argmin(1, True), 9.0)


def written_after_it_was_shown(x):
    y = x.exp()
    shown = y.reshape(-1)
    return shown, torch.select_scatter(y, x[0], 0, 5)


def copied_twice_and_written(x):
    y = x.t().expand(2, 40, 30)
    return y.reshape(-1, 5), torch.select_scatter(y.reshape(-1), x[0, 0], 0, 5), y.reshape(2, -1)


def copied_and_written(x):
    y = x.t().reshape(-1)
    return y.view(-1, 5), torch.select_scatter(y, x[0, 0], 0, 5)


def view_of_an_argument(x):
    return x.reshape(-1)


def of_a_branch(x):
    if bool(x.sum() > 0):
        y = x.exp()
    else:
        y = x.sin()
    return y.reshape(-1)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    "program",
    [first_rows, turned, repeated, with_its_source, read_again, source_of_two_writes, written_after_it_was_shown,
     copied_twice_and_written, copied_and_written, view_of_an_argument, of_a_branch],
)  # fmt: skip
def test_views_that_are_not_the_whole_tensor_or_not_alone_show_the_right_elements(
    program: Callable[..., Any], dynamic: bool
) -> None:
    compiled = optc.compile(program, dynamic=dynamic)
    expected = program(optc.from_numpy(ROWS))
    for _ in range(2):
        for mine, other in zip(as_tuple(compiled(ROWS)), as_tuple(expected), strict=True):
            np.testing.assert_allclose(mine, other.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("program", "kind"),
    [(folded, "aten::exp"), (with_axes_of_one, "aten::exp"), (written_onto_zeros, "aten::mul"),
     (first_rows, "aten::slice"), (turned, "aten::t"), (repeated, "aten::expand"), (view_of_an_argument, "aten::reshape")],
)  # fmt: skip
def test_a_view_is_computed_as_the_tensor_of_which_it_shows_all(program: Callable[..., Any], kind: str) -> None:
    compiled = optc.compile(program)
    compiled(ROWS)
    assert computed_as(compiled.graph.outputs[0]).node.kind == kind


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
