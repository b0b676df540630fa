"""How far out the Gaussian integrals must go: phi bounded on intervals, tails bounded by hand.

For z >= 2 sqrt(n) all zeros of He_n lie below, so 0 < He_n(z) <= z^n and int_z^inf |h_n| phi_N <=
z^(n+1) phi_N(z) / (sqrt(n!) (z^2 - n)). Beyond 2**40 nothing is evaluated: there
`growth.limiting_variance` has shown that phi^2 stays below the Gaussian.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from flint import arb, ctx

from dualc.expand.panels import Float, Pieces, log_magnitude
from dualc.expand.program import Program

_STEPS_PER_OCTAVE = 4
_FINE_STEPS = 64
_LOWEST, _HIGHEST = -30, 40  # octaves of |x|


@dataclass(frozen=True)
class Envelope:
    """log of sup|phi| and sup|phi'| on edges[k] <= |x| <= edges[k+1]."""

    edges: Float
    values: Float
    slopes: Float


def _log_sup(piece: Program, left: Any, right: Any, parts: int) -> tuple[float, float]:
    found = [-math.inf, -math.inf]
    for part in range(parts):
        middle = left + (right - left) * (2 * part + 1) / (2 * parts)
        box = middle + (right - left) / (2 * parts) * arb(0, 1)
        for index, ball in enumerate(piece.jet(box)):
            found[index] = max(found[index], log_magnitude(ball))
    return found[0], found[1]


def _log_sup_between(cut: Pieces, left: Any, right: Any) -> tuple[float, float]:
    inside = [kink for kink in cut.kinks if left < kink < right]
    marks = [left, *inside, right]
    found = [-math.inf, -math.inf]
    for a, b in pairwise(marks):
        piece = cut.at(((a + b) / 2).mid())
        for parts in (1, 8, 64):
            sup = _log_sup(piece, a, b, parts)
            if max(sup) < math.inf:
                break
        found = [max(found[0], sup[0]), max(found[1], sup[1])]
    return found[0], found[1]


def envelope(cut: Pieces) -> Envelope:
    """Bounds of phi and phi' by ball arithmetic on intervals, both signs of x together.

    Intervals are narrow where phi grows like exp(c x^2): its bound must not outgrow the Gaussian's
    decay.
    """
    coarse = _envelope(cut, _STEPS_PER_OCTAVE)
    is_steep = coarse.values[-1] > 1e-9 * coarse.edges[-1] ** 2
    return _envelope(cut, _FINE_STEPS) if is_steep else coarse


def _envelope(cut: Pieces, steps: int) -> Envelope:
    exponents = np.arange(_LOWEST * steps, _HIGHEST * steps + 1)
    marks = [float(2.0 ** (k / steps)) for k in exponents]
    values, slopes = [], []
    with ctx.workprec(64):  # suprema need no digits
        for a, b in pairwise(marks):
            left = _log_sup_between(cut, arb(-b), arb(-a))
            right = _log_sup_between(cut, arb(a), arb(b))
            values.append(max(left[0], right[0]))
            slopes.append(max(left[1], right[1]))
    return Envelope(np.array(marks), np.array(values), np.array(slopes))


def _log_sum(terms: Float) -> float:
    largest = float(terms.max(initial=-math.inf))
    return (
        largest if math.isinf(largest) else largest + math.log(float(np.exp(terms - largest).sum()))
    )


def log_tails(bounds: Envelope, q: float, order: int, start: int) -> tuple[float, float, float]:
    """Logs of what |x| > edges[start] adds at most to a_n (n <= order), E[phi^2] and E[phi'^2]."""
    z = bounds.edges[start:-1] / math.sqrt(q)
    gauss = -z * z / 2 - 0.5 * math.log(2 * math.pi) + math.log(2.0)  # two sides
    moment = gauss + (order + 1) * np.log(z) - 0.5 * math.lgamma(order + 1) - np.log(z * z - order)
    square = gauss - np.log(z)
    return (
        _log_sum(bounds.values[start:] + moment) + 1e-6,
        _log_sum(2 * bounds.values[start:] + square) + 1e-6,
        _log_sum(2 * bounds.slopes[start:] + square) + 1e-6,
    )


def window(bounds: Envelope, q: float, order: int, digits: float) -> int:
    """The first edge beyond which nothing adds more than 10**-digits of the size of phi."""
    lowest = int(np.searchsorted(bounds.edges, (2 * math.sqrt(order) + 1) * math.sqrt(q)))
    # E[phi^2]^(1/2) is about the largest |phi| exp(-x^2/(4 q)): phi may be 0 within sqrt q
    # (softshrink).
    fall = bounds.edges[1:] ** 2 / (4 * q)
    size, slope = float((bounds.values - fall).max()), float((bounds.slopes - fall).max())
    largest = -digits * math.log(10)

    def is_enough(start: int) -> bool:
        a, square, slope_square = log_tails(bounds, q, order, start)
        return max(a - size, square - 2 * size) < largest and not slope_square - 2 * slope > largest

    return bisect_left(range(len(bounds.edges) - 1), True, lo=lowest, key=is_enough)
