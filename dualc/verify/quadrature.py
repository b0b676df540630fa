"""Nodes and weights in balls, graded for functions that bend at scale 1 and weights of scale s.

A segment of the line is measured in a resolved coordinate t(x) = x/s + asinh(x - a) + asinh(x - b):
equal steps in t are steps of s where the Gaussian is what bends, and steps that grow with the
distance from the ends a and b where phi is. Smooth lines take the trapezoid rule in t (it converges
geometrically), pieces between kinks take Gauss-Legendre in t.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from flint import arb, ctx

Nodes = list[tuple[arb, arb]]  # (exact abscissa, weight)


@lru_cache(maxsize=512)
def _legendre(count: int, bits: int) -> tuple[tuple[arb, arb], ...]:
    """Gauss-Legendre on [-1, 1] at a precision: count nodes, symmetric."""
    half = [arb.legendre_p_root(count, k, weight=True) for k in range((count + 1) // 2)]
    mirror = half[: count // 2]
    return tuple([(-x, w) for x, w in mirror] + [(x, w) for x, w in reversed(half)])


@lru_cache(maxsize=64)
def gauss_hermite(count: int, bits: int) -> tuple[tuple[arb, arb], ...]:
    """(w, weight) with E[f(Z)] = sum weight f(w), exact to degree 2 count - 1.

    Newton in balls from numpy's roots; the weight is 1/(count h_{count-1}(w)^2), h normalised.
    """
    start, _ = np.polynomial.hermite_e.hermegauss(count)
    roots = [arb(n).sqrt() for n in range(count + 1)]
    rule = []
    for w0 in start:
        w = arb(float(w0))
        for step in range(2 + max(0, math.ceil(math.log2(bits / 45)))):
            before, value = arb(0), arb(1)
            for n in range(count):
                before, value = value, (w * value - roots[n] * before) / roots[n + 1]
            if step < 1 + max(0, math.ceil(math.log2(bits / 45))):
                w = (w - value / (roots[count] * before)).mid()
        rule.append((w, 1 / (count * before * before)))
    return tuple(rule)


class _Map:
    """t(x) = x/scale + the asinh terms of the graded ends, and its inverse."""

    def __init__(self, scale: arb, centres: tuple[arb, ...]):
        self.scale, self.centres = scale, centres
        self._rate = float(1 / scale)
        self._floats = [float(c) for c in centres]

    def floats(self, x: np.ndarray) -> np.ndarray:
        """t(x) in floats."""
        t = x * self._rate
        for c in self._floats:
            t = t + np.arcsinh(x - c)
        return t

    def exact(self, x: arb) -> tuple[arb, arb]:
        """(t(x), t'(x)) in balls."""
        t, rate = x / self.scale, 1 / self.scale
        for c in self.centres:
            d = x - c
            t += d.asinh()
            rate += (1 + d * d).rsqrt()
        return t, rate

    def inverse(self, targets: list[arb], low: float, high: float) -> Nodes:
        """[(x, dx/dt)] at the given t: bisection in floats, then Newton in balls."""
        if not self.centres:
            return [((t * self.scale).mid(), self.scale) for t in targets]
        wanted = np.array([float(t) for t in targets])
        a, b = np.full(len(wanted), low), np.full(len(wanted), high)
        for _ in range(60):
            m = (a + b) / 2
            below = self.floats(m) < wanted
            a, b = np.where(below, m, a), np.where(below, b, m)
        steps = max(
            1, math.ceil(math.log2(ctx.prec / 44))
        )  # floats give 44 bits, each step doubles
        nodes = []
        for x0, t in zip(m, targets, strict=True):
            x = arb(float(x0))
            for _ in range(steps):
                value, rate = self.exact(x)
                x = (x - (value - t) / rate).mid()
            nodes.append((x, 1 / rate))  # of the place before, which was right to half the digits
        return nodes


def _gauss_count(length: float, step: float) -> int:
    """Gauss-Legendre nodes: pi/2 times the trapezoid's density, plus what even a short piece needs.

    Strictly growing as the step shrinks by a fifth, so that a finer rule is finer on every piece.
    """
    return math.ceil(length * math.pi / (2 * step) + 7.5 / step + 2)


def piece(low: arb, high: arb, scale: arb, centres: tuple[arb, ...], step: float) -> Nodes:
    """Gauss-Legendre on [low, high] in the resolved coordinate."""
    grading = _Map(scale, centres)
    t0, t1 = grading.exact(low)[0], grading.exact(high)[0]
    half, middle = (t1 - t0) / 2, (t1 + t0) / 2
    rule = _legendre(_gauss_count(2 * float(half), step), ctx.prec)
    slack = 1e-9 * (1 + abs(float(high)) + abs(float(low)))
    inverted = grading.inverse(
        [middle + half * x for x, _ in rule], float(low) - slack, float(high) + slack
    )
    return [(x, w * half * rate) for (x, rate), (_, w) in zip(inverted, rule, strict=True)]


def line(low: arb, high: arb, scale: arb, centres: tuple[arb, ...], step: float) -> Nodes:
    """The trapezoid rule in the resolved coordinate, for an integrand negligible at both ends.

    The nodes (k + 1/2) step are symmetric about 0, where all centres lie, and none falls on it.
    """
    grading = _Map(scale, centres)
    t0, t1 = float(grading.exact(low)[0]), float(grading.exact(high)[0])
    first, last = math.ceil(t0 / step - 0.5), math.floor(t1 / step - 0.5)
    h, reach = arb(step), max(last, -1 - first)
    targets = [(k + arb(0.5)) * h for k in range(reach + 1)]
    far = max(abs(float(low)), abs(float(high)))
    right = [(x, rate * h) for x, rate in grading.inverse(targets, 0.0, far * 1.001)]
    left = [(-x, w) for x, w in right[: max(0, -first)]]
    return left[::-1] + right[: last + 1]


def length(low: arb, high: arb, scale: arb, centres: tuple[arb, ...]) -> float:
    """How long a segment is in the resolved coordinate."""
    grading = _Map(scale, centres)
    return float(grading.exact(high)[0] - grading.exact(low)[0])
