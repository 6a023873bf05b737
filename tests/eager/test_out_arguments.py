"""`out=`: what is written, what is refused, and what functions without an `out` of their own in scripts do."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import optc

X = [[3.0, 1.0, 2.0], [6.0, 5.0, 4.0]]


def programs(lib: Any) -> dict[str, Any]:
    """Calls by name; each gives what it has written."""
    x, places = lib.tensor(X), lib.tensor([[0, 2], [1, 0]])

    def written(function: Any, *shapes: Any) -> Any:
        outs = tuple(lib.zeros(shape, dtype=dtype) for shape, dtype in shapes)
        returned = function(out=outs if len(outs) > 1 else outs[0])
        assert returned is outs[0] or all(mine is other for mine, other in zip(returned, outs))
        return [out.tolist() for out in outs]

    real, whole, wide = lib.float32, lib.int64, lib.float64
    return {
        "sort": lambda: written(lambda out: lib.sort(x, 1, out=out), ((2, 3), real), ((2, 3), whole)),
        "topk": lambda: written(lambda out: lib.topk(x, 2, out=out), ((0,), real), ((0,), whole)),
        "max": lambda: written(lambda out: lib.max(x, 0, out=out), ((3,), real), ((3,), whole)),
        "aminmax": lambda: written(lambda out: lib.aminmax(x, dim=1, out=out), ((2,), real), ((2,), real)),
        "lerp": lambda: written(lambda out: lib.lerp(x, x, 0.5, out=out), ((0,), real)),
        "round": lambda: written(lambda out: lib.round(x, decimals=1, out=out), ((2, 3), real)),
        "ger": lambda: written(lambda out: lib.ger(x[0], x[1], out=out), ((3, 3), real)),
        "searchsorted": lambda: written(lambda out: lib.searchsorted(x[1].flip(0), x, out=out), ((0,), whole)),
        "bucketize": lambda: written(lambda out: lib.bucketize(x, x[1].flip(0), right=True, out=out), ((2, 3), whole)),
        "tensordot": lambda: written(lambda out: lib.tensordot(x, x[0], 1, out=out), ((0,), real)),
        "gather": lambda: written(lambda out: lib.gather(x, 1, places, out=out), ((2, 2), real)),
        "index_select": lambda: written(lambda out: lib.index_select(x, 1, places[0], out=out), ((2, 2), real)),
        "take": lambda: written(lambda out: lib.take(x, places, out=out), ((2, 2), real)),
        "masked_select": lambda: written(lambda out: lib.masked_select(x, x > 2, out=out), ((0,), real)),
        "clamp_min": lambda: written(lambda out: lib.clamp_min(x, lib.tensor(2.0), out=out), ((2, 3), wide)),
        "div": lambda: written(lambda out: lib.div(x, 2, rounding_mode="floor", out=out), ((2, 3), wide)),
        "sum": lambda: written(lambda out: lib.sum(x, 1, out=out), ((2,), wide)),
        "argmax": lambda: written(lambda out: lib.argmax(x, 1, out=out), ((2,), whole)),
        "multinomial": lambda: written(
            lambda out: lib.multinomial(lib.tensor([0.0, 1.0]), 3, True, out=out), ((3,), whole)
        ),
        "out that is None": lambda: lib.clamp_min(x, 2.0, out=None).tolist(),
        "wrong type of values": lambda: lib.sort(x, 1, out=(lib.zeros(2, 3, dtype=wide), lib.zeros(2, 3, dtype=whole))),
        "wrong type of gather": lambda: lib.gather(x, 1, places, out=lib.zeros(2, 2, dtype=wide)),
        "wrong type of index_select": lambda: lib.index_select(x, 1, places[0], out=lib.zeros(2, 2, dtype=wide)),
        "wrong type of multinomial": lambda: lib.multinomial(lib.tensor([0.0, 1.0]), 3, True, out=lib.zeros(3)),
        "wrong type of mm": lambda: lib.mm(x, x.t(), out=lib.zeros(2, 2, dtype=wide)),
        "wrong type of abs": lambda: lib.abs(x, out=lib.zeros(2, 3, dtype=wide)),
        "wrong type of amax": lambda: lib.amax(x, 1, out=lib.zeros(2, dtype=wide)),
        "wrong type of complex": lambda: lib.complex(x.double(), x.double(), out=lib.zeros(2, 3, dtype=lib.complex64)),
        "expanded": lambda: lib.masked_select(x[0], x[0] > 1, out=lib.zeros(1).expand(2)),
        "expanded values": lambda: lib.sort(x, 1, out=(lib.zeros(2, 1).expand(2, 3), lib.zeros(2, 3, dtype=whole))),
    }


TWICE = "unsupported operation: more than one element of the written-to tensor refers to a single memory location."
EXPECTED: dict[str, Any] = {
    "sort": [[[1, 2, 3], [4, 5, 6]], [[1, 2, 0], [2, 1, 0]]],
    "topk": [[[3, 2], [6, 5]], [[0, 2], [0, 1]]],
    "max": [[6, 5, 4], [1, 1, 1]],
    "aminmax": [[1, 4], [3, 6]],
    "gather": [[[3, 2], [5, 6]]],
    "index_select": [[[3, 2], [6, 4]]],
    "take": [[[3, 2], [1, 3]]],
    "masked_select": [[3, 6, 5, 4]],
    "clamp_min": [[[3, 2, 2], [6, 5, 4]]],
    "div": [[[1, 0, 1], [3, 2, 2]]],
    "sum": [[6, 15]],
    "argmax": [[0, 0]],
    "multinomial": [[1, 1, 1]],
    "out that is None": [[3, 2, 2], [6, 5, 4]],
    "wrong type of values": "Expected out tensor to have dtype float, but got double instead",
    "wrong type of gather": "Expected out tensor to have dtype float, but got double instead",
    "wrong type of index_select": "index_select(): self and result must have the same scalar type",
    "wrong type of multinomial": "multinomial expects Long tensor out, got: Float",
    "wrong type of mm": "Expected out tensor to have dtype float, but got double instead",
    "wrong type of abs": "Found dtype Double but expected Float",
    "wrong type of amax": "Expected the dtype for input and out to match, but got Float for input's dtype and Double for "
    "out's dtype.",
    "wrong type of complex": "Expected object of scalar type ComplexDouble but got scalar type ComplexFloat for argument "
    "'out'",
    "expanded": TWICE,
    "expanded values": TWICE,
}


def check(lib: Any, name: str) -> None:
    expected = EXPECTED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not isinstance(expected, str):
            assert programs(lib)[name]() == expected
            return
        with pytest.raises(RuntimeError) as raised:
            programs(lib)[name]()
    assert str(raised.value).startswith(expected)


@pytest.mark.parametrize("name", EXPECTED)
def test_out(name: str) -> None:
    check(optc, name)


@pytest.mark.peers
@pytest.mark.parametrize("name", EXPECTED)
def test_pytorch_agrees(name: str) -> None:
    check(pytest.importorskip("torch"), name)


def test_functions_that_have_no_out_refuse_it() -> None:
    with pytest.raises(TypeError, match="out"):
        optc.flatten(optc.ones(2), out=optc.ones(2))
