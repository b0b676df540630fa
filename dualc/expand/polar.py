"""Quadrature in polar coordinates near rho = +-1, where a Hermite series converges slowly.

The integral over the angle is cut where u or v is 0, so that phi(u) phi(v) is smooth even if phi
has a kink at 0. What phi does at |x| ~ 1 is seen at any radius and at any angle down to 1/|x|: the
rules are Gauss's in the logarithm of the radius and of the angle from the cut, each shifted a
little. With h(alpha), h(beta) the sides of a sector of width W, half of it is alpha = W t/2:

    E[phi(u) phi(v)] = sum over sectors and halves of integral r exp(-r^2/2) dr W/(4 pi) dt phi phi.

Measured at variances from 1/100 to 10^4 and |rho| from 0.3 to 1 - 1e-9, for softsign, tanh with two
slopes, mish, phish, the tanh form of gelu: 16 x 20 nodes 4e-7, 40 x 44 nodes 5e-13 or better, of
sqrt(k11 k22). A function with a feature of its own away from 0 is not resolved: `polar` compares
E[phi^2] and E[phi'^2] with their enclosures first.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

from flint import arb, ctx

from dualc.expand.gauss import gauss, shortest, trapezoid
from dualc.expand.hermite import expansion
from dualc.expand.panels import exact, pieces
from dualc.ir import Activation, Bound, Polar, PolarRule, SeriesTable

Ball = Any  # arb: python-flint has no types

_SIZES = {  # numbers of radii and of angles
    "float32": ((14, 16), (18, 20), (22, 24), (26, 30), (30, 34)),
    "float64": ((32, 36), (36, 40), (40, 44), (44, 48), (52, 56), (60, 64)),
}
_WANTED = {"float32": 2.0**-25, "float64": 2.0**-52}
_MOST = 1e-12  # a rule that leaves more is none
_SHIFTS = {"float32": ("0.1", "0.003"), "float64": ("0.05", "0.002")}
_VARIANCES = ("1/100", "1", "10", "100", "10000")
_SERIES_SERVES = 1e-12  # a bound at |rho| = 1 below which nothing else is needed
_ROUNDING = 4e-15  # of sums of ten thousand terms


def polar(activation: Activation, table: SeriesTable, has_jump: bool) -> SeriesTable:
    """The table with rules near rho = +-1, and the bounds that hold there, where they serve.

    They do for a phi without jumps, with no kink but at 0, defined at all variances, that the rules
    resolve.
    """
    start = _start(table)
    away = any(k != "0" for k in activation.kinks)
    if start is None or has_jump or away or table.limit != "0.0" or table.rate != "0.0":
        return table
    with ctx.workprec(80):
        check = _Check(activation, start, float(table.q_high))
        rules, worst = [], 0.0
        for dtype, sizes in _SIZES.items():
            size, worst = shortest(sizes, partial(check.error, dtype), _WANTED[dtype])
            rules.append(_texts(dtype, size))
    if not worst <= _MOST:  # of float64
        return table
    bounds = tuple(_bound(b, start, max(worst, _ROUNDING)) for b in table.bounds)
    return replace(table, polar=Polar(repr(start), tuple(rules)), bounds=bounds)


def _start(table: SeriesTable) -> float | None:
    """The variance from which the series is not enough at |rho| = 1; None if it always is."""
    poor = [
        float(Fraction(b.q_low))
        for b in table.bounds
        if b.rho == "1" and (b.bound is None or float(b.bound) > _SERIES_SERVES)
    ]
    return min(poor, default=None)


def _bound(bound: Bound, start: float, worst: float) -> Bound:
    if bound.rho != "1" or float(Fraction(bound.q_low)) < start:
        return bound
    note = "near rho = +-1 by quadrature: compared with the enclosed E[phi^2] and E[phi'^2]"
    return replace(bound, bound=f"{worst:.1e}", note=note)


class _Check:
    """How wrong rules are at rho = 1, where the truth is enclosed."""

    def __init__(self, activation: Activation, start: float, high: float):
        self.cut = pieces(activation)
        self.known = []
        for text in _VARIANCES:
            q = exact(Fraction(text))
            if start <= float(q) <= high:
                found = expansion(activation, text, 0, 20)
                self.known.append((q, found.square, found.slope_square))

    def error(self, dtype: str, size: tuple[int, int]) -> float:
        """The largest relative error of E[phi^2] and E[phi'^2]."""
        radii, angles = rule(dtype, *size)
        worst = 0.0
        for q, square, slope_square in self.known:
            found, found_slope = arb(0), arb(0)
            for t, w in angles:
                reach = (t * arb.pi() / 2).sin() * q.sqrt()
                for r, weight in radii:
                    for x in (r * reach, -r * reach):
                        value, slope = self.cut.at(x.mid()).jet(x.mid())[:2]
                        found += w * weight * value * value
                        found_slope += w * weight * slope * slope
            for total, true in ((found, square), (found_slope, slope_square)):
                worst = max(worst, abs(float((total / 2 / true - 1).mid())))
        return worst


@lru_cache(maxsize=16)
def rule(dtype: str, radii: int, angles: int) -> tuple[list[tuple[Ball, Ball]], ...]:
    """Rows (radius, weight) of r exp(-r^2/2) on the half line, (angle, weight) on [0, 1]."""
    first, second = map(arb, _SHIFTS[dtype])

    def radius(t: Ball) -> tuple[Ball, Ball]:
        r = (t - (-t).exp()).exp()
        return (r + first).log(), r * (-r * r / 2).exp() * r * (1 + (-t).exp())

    def angle(t: Ball) -> tuple[Ball, Ball]:
        u = arb.pi() / 2 * t.sinh()
        place = 1 / (1 + (-2 * u).exp())
        return (place + second).log(), arb.pi() * t.cosh() * place / (1 + (2 * u).exp())

    with ctx.workdps(60):
        rows = (
            (gauss(*trapezoid("-4.9", "2.6", 600, radius), radii), first),
            (gauss(*trapezoid("-4.6", "4.6", 600, angle), angles), second),
        )
        return tuple([((x.exp() - shift).mid(), w) for x, w in found] for found, shift in rows)


def _texts(dtype: str, size: tuple[int, int]) -> PolarRule:
    """The rule as float64, correctly rounded."""
    radii, angles = (
        tuple((repr(float(x)), repr(float(w))) for x, w in rows) for rows in rule(dtype, *size)
    )
    return PolarRule(dtype, radii, angles)
