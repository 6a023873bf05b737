"""Strides of results are PyTorch's: of operators that keep the order of their first tensor, make rows, or channels last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import optc

PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {
    "flip": lambda lib, x: x.flip(1),
    "rsub": lambda lib, x: (lib.rsub(x, lib.ones(x.shape)), lib.rsub(lib.ones(x.shape), x), 1 - x),
    "sort": lambda lib, x: x.sort(1),
    "softmax": lambda lib, x: x.softmax(1),
    "cumsum": lambda lib, x: x.cumsum(2),
    "masked_fill": lambda lib, x: x.masked_fill(x > 0, 1.0),
    "select_scatter": lambda lib, x: x.select_scatter(x[0] * 2, 0, 1),
    "cat": lambda lib, x: lib.cat([x, x], 1),
    "conv2d": lambda lib, x: lib.nn.functional.conv2d(x, lib.ones(5, 3, 2, 2)),
    "max_pool2d": lambda lib, x: lib.nn.functional.max_pool2d(x, 2),
    "avg_pool2d": lambda lib, x: lib.nn.functional.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x, 2),
    "interpolate": lambda lib, x: lib.nn.functional.interpolate(x, scale_factor=2.0),
    "group_norm": lambda lib, x: lib.nn.functional.group_norm(x, 1),
    "pad": lambda lib, x: lib.nn.functional.pad(x, [1, 1, 1, 1]),
    "relu": lambda lib, x: x.relu(),
    "to channels last": lambda lib, x: (
        x.to(memory_format=lib.channels_last),
        x.double(memory_format=lib.channels_last),
    ),
    "to rows": lambda lib, x: (
        x.to(lib.float64, memory_format=lib.contiguous_format),
        x.clone(memory_format=lib.contiguous_format),
    ),
    "contiguous channels last": lambda lib, x: (
        x.contiguous(memory_format=lib.channels_last),
        x.clone(memory_format=lib.channels_last),
    ),
    "like channels last": lambda lib, x: (
        lib.zeros_like(x, memory_format=lib.channels_last),
        x[:, :1].expand(2, 3, 4, 6).clone(),
    ),
    "volumes": lambda lib, x: x[None].contiguous(memory_format=lib.channels_last_3d),
}


def arranged(lib: Any, order: str) -> Any:
    x = (lib.arange(2 * 3 * 4 * 6) % 7 - 3.0).reshape(2, 3, 4, 6)
    if order == "channels last":
        return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    return x.transpose(2, 3).contiguous().transpose(2, 3) if order == "columns" else x


@pytest.mark.peers
@pytest.mark.parametrize("order", ["rows", "channels last", "columns"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_strides_are_those_of_pytorch(name: str, order: str) -> None:
    torch = pytest.importorskip("torch")
    results = [PROGRAMS[name](lib, arranged(lib, order)) for lib in (optc, torch)]
    mine, other = (list(result) if isinstance(result, tuple) else [result] for result in results)
    assert [tensor.stride() for tensor in mine] == [tensor.stride() for tensor in other]


def images_of_tokens(lib: Any) -> Any:
    """An image made of rows of channels, as attention over pixels leaves it: the step of its one batch is that of a pixel."""
    return lib.arange(60.0).reshape(1, 20, 3).transpose(1, 2).reshape(1, 3, 4, 5) + lib.ones(1, 3, 4, 5)


LAID_OUT: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "sum": (images_of_tokens, (3, 1, 15, 3)),
    "convolution": (lambda lib: lib.nn.functional.conv2d(images_of_tokens(lib), lib.ones(5, 3, 1, 1)), (100, 20, 5, 1)),
    "one column": (lambda lib: lib.ones(2, 4, 1, 3).permute(0, 3, 1, 2) * 2 + lib.ones(2, 3, 4, 1), (12, 1, 3, 3)),
    "groups": (
        lambda lib: lib.nn.functional.group_norm(lib.ones(2, 4, 5, 3).permute(0, 3, 1, 2), 1),
        (60, 1, 15, 3),
    ),
}


@pytest.mark.parametrize("name", LAID_OUT)
def test_steps_of_single_elements_decide_what_is_channels_last(name: str) -> None:
    program, strides = LAID_OUT[name]
    assert program(optc).stride() == strides


@pytest.mark.peers
@pytest.mark.parametrize("name", LAID_OUT)
def test_pytorch_says_the_same_of_steps_of_single_elements(name: str) -> None:
    torch = pytest.importorskip("torch")
    program, strides = LAID_OUT[name]
    assert program(torch).stride() == strides


CONVERSIONS: list[Callable[[Any], Any]] = [
    lambda x: x.contiguous(memory_format=optc.channels_last),
    lambda x: x.to(memory_format=optc.channels_last),
    lambda x: x.float(memory_format=optc.channels_last),
]


@pytest.mark.parametrize("order", ["rows", "channels last"])
@pytest.mark.parametrize("convert", CONVERSIONS)
def test_what_has_to_lie_in_another_order_is_a_copy(convert: Callable[[Any], Any], order: str) -> None:
    def program(x: Any) -> Any:
        convert(x).add_(1)
        return x * 1

    untouched = arranged(optc, order)
    expected = untouched if order == "rows" else untouched + 1
    for engine in (program, optc.compile(program, (arranged(optc, order),), fallback="allow")):
        assert engine(arranged(optc, order)).equal(expected)


def test_formats_are_for_tensors_of_their_rank() -> None:
    with pytest.raises(RuntimeError, match="required rank 4 tensor to use channels_last format"):
        optc.ones(2, 3).contiguous(memory_format=optc.channels_last)
    with pytest.raises(RuntimeError, match="preserve memory format is unsupported by the contiguous operator"):
        optc.ones(2, 3).contiguous(memory_format=optc.preserve_format)
    assert not optc.ones(2, 3, 4, 5).is_contiguous(memory_format=optc.channels_last)


def test_a_flipped_transposed_matrix_is_copied_by_reshape() -> None:
    flipped = optc.arange(6).reshape(2, 3).t().flip(0)
    flat = flipped.reshape(-1)
    flat.zero_()
    assert flipped.tolist() == [[2, 5], [1, 4], [0, 3]]
