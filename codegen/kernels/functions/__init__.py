"""Transcendental functions as expressions over primitives, so that a vector of lanes costs little more than one element.

Every function takes its operands and the target, is branch-free but for `rarely`, works for float32 and float64, and
takes inf, nan, denormals and signed zeros as C's function of the name does. Where a docstring states an error, it is
the largest found, in units of the last place, by the sweeps of `tests/codegen/test_vector_math.py`.

Polynomials are weighted minimax fits made for these files: Remez' exchange (in 45 digits) or Lawson's iteration on
Chebyshev nodes, the coefficients rounded one after the other from the lowest power, with the rest fitted again.
"""
