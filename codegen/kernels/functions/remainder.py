"""fmod."""

from __future__ import annotations

import math

from optc.codegen.kernels.functions.arithmetic import fma, magnitude, two_product, with_sign_of
from optc.codegen.machine.host import Target
from optc.ir.dtypes import FLOAT32
from optc.ops.scalar import Expr, function, rarely, select

_EXACT_QUOTIENT = {True: 2.0**22, False: 2.0**51}


def fmod(x: Expr, y: Expr, target: Target) -> Expr:
    """x - y trunc(x / y), exact. Quotients with more digits than the type has are left to the C library.

    So are infinite quotients, those that are not a number, and results where nothing else would be right.
    """
    size, divisor = magnitude(x), magnitude(y)
    quotient = size / divisor
    count = function("trunc", quotient)
    if target.fma:
        rest = fma(-count, divisor, size)
    else:
        product, lost = two_product(count, divisor, target)
        rest = (size - product) - lost
    rest = select(rest < 0.0, rest + divisor, rest)  # the quotient may have been rounded up to an integer
    usual = with_sign_of(select(size < divisor, size, rest), x)
    settled = (quotient < _EXACT_QUOTIENT[x.dtype is FLOAT32]) & (size < math.inf)
    return rarely(~settled, function("fmod", x, y), usual)
