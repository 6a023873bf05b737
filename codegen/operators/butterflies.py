"""Transforms of a few points in registers: every number is two vectors, its real and its imaginary part.

Powers of two go by halves; odd numbers of points use that results k and -k have the same sums, but for a sign.
"""

from __future__ import annotations

import math

from optc.codegen.llvm import Builder, Value
from optc.dataclass import dataclass

Number = tuple[Value, Value]


@dataclass(frozen=True)
class Butterflies:
    """Writes transforms with exp(`sign` 2 pi i j k / points), unscaled."""

    b: Builder
    sign: int

    def transform(self, points: list[Number]) -> list[Number]:
        """The transform of some points, in order."""
        if len(points) == 1:
            return points
        return self._halves(points) if len(points) % 2 == 0 else self._pairs(points)

    def add(self, x: Number, y: Number) -> Number:
        """x + y."""
        return self.b.fadd(x[0], y[0]), self.b.fadd(x[1], y[1])

    def subtract(self, x: Number, y: Number) -> Number:
        """x - y."""
        return self.b.fsub(x[0], y[0]), self.b.fsub(x[1], y[1])

    def multiply(self, x: Number, y: Number) -> Number:
        """x y."""
        b = self.b
        real = b.fsub(b.fmul(x[0], y[0]), b.fmul(x[1], y[1]))
        return real, b.fadd(b.fmul(x[0], y[1]), b.fmul(x[1], y[0]))

    def _scaled(self, x: Number, factor: float) -> Number:
        return self.b.fmul(x[0], factor), self.b.fmul(x[1], factor)

    def _halves(self, points: list[Number]) -> list[Number]:
        """Results of even number are a transform of sums, those of odd number one of differences times roots."""
        half = len(points) // 2
        pairs = list(zip(points[:half], points[half:]))
        even = self.transform([self.add(x, y) for x, y in pairs])
        odd = self.transform([self._turned(self.subtract(x, y), k, 2 * half) for k, (x, y) in enumerate(pairs)])
        return [item for pair in zip(even, odd) for item in pair]

    def _turned(self, x: Number, k: int, count: int) -> Number:
        """x exp(sign 2 pi i k / count), by as few operations as quarters and eighths of turns need."""
        eighths, rest = divmod(8 * k, count)
        if rest:
            angle = self.sign * 2 * math.pi * k / count
            return self.multiply(x, (self._constant(x, math.cos(angle)), self._constant(x, math.sin(angle))))
        for _ in range(eighths // 2):
            x = self._quarter(x)
        if eighths % 2:
            quarter = self._quarter(x)
            x = self._scaled(self.add(x, quarter), math.sqrt(0.5))
        return x

    def _quarter(self, x: Number) -> Number:
        real, imaginary = x
        return (self.b.fneg(imaginary), real) if self.sign > 0 else (imaginary, self.b.fneg(real))

    def _constant(self, x: Number, value: float) -> Value:
        return self.b.constant(x[0].type, value)

    def _pairs(self, points: list[Number]) -> list[Number]:
        """An odd number of points."""
        count = len(points)
        half = count // 2
        sums = [self.add(points[j], points[count - j]) for j in range(1, half + 1)]
        differences = [self.subtract(points[j], points[count - j]) for j in range(1, half + 1)]
        total = points[0]
        for item in sums:
            total = self.add(total, item)
        results = [total] * count
        for k in range(1, half + 1):
            angles = [2 * math.pi * (j * k % count) / count for j in range(1, half + 1)]
            even, odd = points[0], None
            for angle, item, difference in zip(angles, sums, differences):
                even = self.add(even, self._scaled(item, math.cos(angle)))
                part = self._scaled(difference, self.sign * math.sin(angle))
                odd = part if odd is None else self.add(odd, part)
            assert odd is not None
            results[k] = self.b.fsub(even[0], odd[1]), self.b.fadd(even[1], odd[0])
            results[count - k] = self.b.fadd(even[0], odd[1]), self.b.fsub(even[1], odd[0])
        return results
