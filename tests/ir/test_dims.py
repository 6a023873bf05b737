"""Dimensions: what is kept of them for speed changes nothing of what they mean."""

from __future__ import annotations

import pickle

from optc.ir.dims import Symbolic, divisor, factor_of, floordiv, maximum, minimum, modulo, substitute, symbol, symbols


def deep(levels: int) -> Symbolic:
    """The extent behind so many layers that halve it."""
    dim = symbol("s0")
    for _ in range(levels):
        halved = floordiv(dim + 1, 2)
        assert isinstance(halved, Symbolic)
        dim = halved
    return dim


def test_equal_dimensions_have_equal_hashes_and_texts() -> None:
    assert deep(5) == deep(5) and hash(deep(5)) == hash(deep(5)) and str(deep(5)) == str(deep(5))
    assert deep(5) != deep(4)


def test_symbols_are_those_of_all_levels() -> None:
    assert symbols(maximum(deep(3), symbol("u1") * 2)) == {"s0", "u1"}


def test_substitution_leaves_what_it_does_not_concern() -> None:
    dim = deep(3) + symbol("s1")
    assert substitute(dim, {"s2": 5}) is dim
    assert substitute(dim, {"s1": 4}) == deep(3) + 4
    assert substitute(dim, {"s0": 16, "s1": 4}) == 6


def test_the_factor_of_a_symbol_is_how_far_a_dimension_moves_with_it() -> None:
    i, n = symbol("i"), symbol("n")
    dim = i * n * 3 + i * 2 + n * n + 7
    assert factor_of(dim, "i") == n * 3 + 2 == substitute(dim, {"i": i + 1}) - dim
    assert factor_of(dim, "n") is None
    assert factor_of(dim, "k") == 0 == factor_of(5, "k")
    assert factor_of(floordiv(i, 4) + n, "i") is None
    assert factor_of(modulo(n, 4) * i + floordiv(n, 4), "i") == modulo(n, 4)


def test_numbers_that_are_added_and_multiplied_stay_in_normal_form() -> None:
    dim = symbol("s0") * 2 + symbol("s1")
    assert dim + 3 - 3 == dim == 0 + dim == dim * 1
    assert (dim + 3) * 2 == dim * 2 + 6 == 6 + 2 * dim
    assert dim * 0 == 0
    assert str((1 + dim) * -1) == "-2*s0 + -1*s1 + -1"


def test_a_dimension_means_the_same_in_another_process() -> None:
    """Hashes of texts differ between processes, so what is kept for speed stays behind."""
    dim = deep(2)
    assert hash(dim) and str(dim) and symbols(dim)
    copied = pickle.loads(pickle.dumps(dim))
    assert copied == dim
    assert "_hash" in vars(dim) and "_hash" not in vars(pickle.loads(pickle.dumps(dim)))


def test_what_divides_a_dimension_divides_every_value_of_it() -> None:
    a, b = symbol("a"), symbol("b")
    dims = {
        12: 12, 0: a * 0, 8: a * 8 + b * 16, 1: a + 4, 6: a * b * 6, 4: minimum(a * 8, 20) - b * 4,
        32: maximum(a * 8, b * 16) * 4, 3: modulo(a * 9, 6), 5: floordiv(a, 2) * 5 + a * b * 10,
    }  # fmt: skip
    for expected, dim in dims.items():
        assert divisor(dim) == expected
        values = [substitute(dim, {"a": x, "b": y}) for x in range(1, 6) for y in range(1, 6)]
        assert all(isinstance(value, int) and (value % expected == 0 if expected else value == 0) for value in values)


def test_a_factor_of_several_terms_divides() -> None:
    height, width = floordiv(symbol("s0") - 1, 2) + 1, floordiv(symbol("s1") - 1, 2) + 1
    assert floordiv(15 * height * width, height * width) == 15
    assert floordiv((height + width) * (height - 2 * width), height + width) == height - 2 * width
    assert str(floordiv(height * width, height + width)).startswith("floordiv(")


def test_extremes_with_a_number_are_the_same_either_way_round() -> None:
    extent = symbol("u1") + 2
    for extreme in (maximum, minimum):
        assert extreme(extent, 1) == extreme(1, extent)
    assert minimum(extent, 1) - minimum(1, extent) + extent == extent
