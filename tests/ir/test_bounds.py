"""What is proved not to be negative never is, in any turn of any loop."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from optc.ir.bounds import assuming, is_not_negative, turns_of
from optc.ir.dims import Dim, floordiv, maximum, minimum, modulo, substitute, symbol
from optc.ir.parser import parse_graph

N, I, J, U = symbol("s0"), symbol("outer"), symbol("inner"), symbol("u0")


def test_a_counter_stays_below_the_turns_of_its_loop() -> None:
    with assuming({"outer": N}):
        assert is_not_negative(I) and is_not_negative(N - I - 1)
        assert not is_not_negative(N - I - 2) and not is_not_negative(I - 1)
    assert not is_not_negative(I) and not is_not_negative(N - I - 1)


def test_a_counter_of_unknown_turns_is_not_negative_all_the_same() -> None:
    with assuming({"outer": None}):
        assert is_not_negative(I * 2 + 1) and not is_not_negative(N - I)


def test_windows_end_inside_what_they_are_counted_from() -> None:
    with assuming({"outer": floordiv(N - 16, 8) + 1}):
        assert is_not_negative(N - I * 8 - 16) and not is_not_negative(N - I * 8 - 17)


def test_inner_loops_may_run_as_often_as_outer_ones_say() -> None:
    with assuming({"outer": N, "inner": I + 1}):
        assert is_not_negative(I - J) and is_not_negative(N - J - 1) and not is_not_negative(N - J - 2)


def test_what_divisions_leave_is_counted() -> None:
    halves, rest = floordiv(N, 2) * 2 - N, modulo(N, 4)
    assert is_not_negative(halves + 1) and not is_not_negative(halves)
    assert is_not_negative(halves * -1) and not is_not_negative(halves * -1 - 1)
    assert is_not_negative(3 - rest) and not is_not_negative(2 - rest)


@st.composite
def dims(draw: st.DrawFn, depth: int = 3) -> Dim:
    """Sums of products of extents and counters, with divisions, remainders, maxima and minima inside."""
    if depth == 0:
        return draw(st.sampled_from([N, I, J, U, 0, 1, 3]))
    left = draw(dims(depth=depth - 1))
    match draw(st.integers(0, 6)):
        case 0:
            return left * draw(st.integers(-4, 4)) + draw(st.integers(-5, 5))
        case 1:
            return floordiv(left, draw(st.integers(1, 5)))
        case 2:
            return modulo(left, draw(st.integers(1, 5)))
        case 3:
            return maximum(left, draw(dims(depth=depth - 1)))
        case 4:
            return minimum(left, draw(dims(depth=depth - 1)))
        case 5:
            return left * draw(dims(depth=0))
        case _:
            return left + draw(dims(depth=depth - 1))


@settings(max_examples=200, deadline=None)
@given(dims(), st.integers(0, 3), st.integers(-6, 6))
def test_a_proof_holds_whatever_the_symbols_are(dim: Dim, step: int, u: int) -> None:
    inner = I * step + 1
    with assuming({"outer": N, "inner": inner}):
        proved = is_not_negative(dim)
    for n in range(7 if proved else 0):
        for i in range(n):
            for j in range(substitute(inner, {"outer": i})):
                assert substitute(dim, {"s0": n, "outer": i, "inner": j, "u0": u}) >= 0


def test_extents_that_tensors_tell_are_not_negative() -> None:
    graph = parse_graph("""
graph(%x : Float(u0, 3), %n : int(u1)):
  return (%x)
""")
    with assuming(turns_of(graph)):
        assert is_not_negative(symbol("u0") * 2) and not is_not_negative(symbol("u1"))
    assert not is_not_negative(symbol("u0"))
