"""Quadrature in polar coordinates near rho = +-1, where a Hermite series converges slowly.

The integral over the angle is cut where u or v is 0, so that phi(u) phi(v) is smooth even if phi
has a kink at 0. What phi does at |x| ~ 1 is seen at any radius and at any angle down to 1/|x|: the
rules are Gauss's in the logarithm of the radius and of the angle from the cut, each shifted a
little. With h(alpha), h(beta) the sides of a sector of width W, half of it is alpha = W t/2:

    E[phi(u) phi(v)] = sum over sectors and halves of integral r exp(-r^2/2) dr W/(4 pi) dt phi phi.

Measured at variances from 1/100 to 10^4 and |rho| from 0.3 to 1 - 1e-9, for softsign, tanh with two
slopes, mish, phish, the tanh form of gelu: 16 x 20 nodes 4e-7, 40 x 44 nodes 5e-13 or better, of
sqrt(k11 k22).

Kinks off 0. Along a ray the integrand is smooth between the radii at which u or v meets a kink, and
means along rays are between the angles at which they meet kinks together: cut there too, the rules
of both are those of [0, 1], and a radius ends at 9.2 (float32: 6.6). Measured as above and for -1,
elish with a hard sigmoid, max(x - 1, 0) tanh(x), a softsign cut off at 1 and a sigmoid between -2
and 4: 20 x 24 nodes of a part 3e-7 or better, 36 x 48 5e-12, 48 x 60 4e-13.

Oscillations. sin(x) at variance 100 turns thirty times, which asks for nodes at even distances:
shifts of a half and a fiftieth, and variances up to 100, where 1e-6 is promised. Measured, rho = 1:
sinc, sin(x) tanh(x), sin(x) softplus(x), sin(3x)/(1+x^2) 90 x 96 nodes 4e-6 or better at 100 and
1e-11 at 10. A function with a narrow feature of its own away from 0 is not resolved: E[phi^2] and
E[phi'^2] are compared with their enclosures first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

from flint import arb, ctx

from dualc.expand.gauss import gauss, shortest, trapezoid
from dualc.expand.hermite import expansion
from dualc.expand.jumps import flat_within
from dualc.expand.panels import exact, pieces
from dualc.ir import Activation, Bound, Polar, PolarRule, SeriesTable

Ball = Any  # arb: python-flint has no types
Size = tuple[int, int]  # numbers of radii and of angles

_CLOSE = 4.0  # the variance up to which 1e-12 is promised; 1e-6 beyond
_MOST_KINKS = 3  # distances of kinks off 0: the work grows like their number cubed
_SERIES_SERVES = {"float32": 3e-8, "float64": 1e-12}  # bounds at |rho| = 1 that need nothing else
_SHORT = 27.0  # -order log|rho| below which a pair is integrated, in float64 (`emit.support_polar`)
_ROUNDING = 4e-15  # of sums of ten thousand terms
_NOTE = "near rho = +-1 by quadrature: compared with the enclosed E[phi^2] and E[phi'^2]"
_END = "9.2"  # of a radius that is cut
_STEPS = 600  # of the trapezoid rule that a measure is discretised by


@dataclass(frozen=True)
class _Scheme:
    """Rules of one kind: per dtype shifts of radius and angle, sizes, what these may leave.

    Errors are told apart at variances up to `_CLOSE` and beyond; `most`: float64 rules that leave
    more are none.
    """

    variances: tuple[str, ...]  # at which they are compared with the truth; up to the last of use
    shifts: dict[str, tuple[str, str]]
    sizes: dict[str, tuple[Size, ...]]
    wanted: dict[str, tuple[float, float]]
    most: tuple[float, float]


_ANYWHERE = ("1/100", "1", "10", "100", "10000")
_EXACT = {"float32": (2.0**-25, 2.0**-25), "float64": (2.0**-52, 2.0**-52)}
_WAVES = {"float32": (2.0**-25, 2.0**-23), "float64": (2.0**-50, 1e-8)}
_SMOOTH = (
    _Scheme(
        _ANYWHERE,
        {"float32": ("0.1", "0.003"), "float64": ("0.05", "0.002")},
        {
            "float32": ((14, 16), (18, 20), (22, 24), (26, 30), (30, 34)),
            "float64": ((32, 36), (36, 40), (40, 44), (44, 48), (52, 56), (60, 64)),
        },
        _EXACT,
        (1e-12, 1e-12),
    ),
    _Scheme(
        ("1/100", "4", "100"),
        {"float32": ("0.5", "0.02"), "float64": ("0.5", "0.02")},
        {
            "float32": ((40, 44), (56, 60), (72, 76), (96, 100)),
            "float64": ((60, 64), (90, 96), (120, 124), (160, 164)),
        },
        _WAVES,
        (1e-12, 1e-6),
    ),
)
_KINKED = (
    _Scheme(
        _ANYWHERE,
        {"float32": ("0.03", "0.003"), "float64": ("0.02", "0.001")},
        {
            "float32": ((14, 18), (18, 22), (20, 26), (24, 30), (28, 36)),
            "float64": ((36, 48), (44, 60), (52, 72)),
        },
        {"float32": (2.0**-25, 2.0**-23), "float64": (2.0**-45, 1e-12)},
        (1e-12, 1e-10),
    ),
    _Scheme(
        ("1/100", "4", "100"),
        {"float32": ("0.1", "0.02"), "float64": ("0.1", "0.02")},
        {"float32": ((40, 44), (72, 76)), "float64": ((64, 72), (96, 100), (128, 132))},
        _WAVES,
        (1e-12, 1e-6),
    ),
)


@dataclass(frozen=True)
class Quadrature:
    """Rules that resolve phi, for every dtype, and the relative errors of those of float64.

    `errors`: (variance, the largest error up to it).
    """

    polar: Polar
    errors: tuple[tuple[float, float], ...]

    def error(self, q: float) -> float:
        """The largest relative error at variances up to q."""
        return next(error for variance, error in self.errors if variance >= q)


def quadrature(activation: Activation) -> Quadrature | None:
    """Rules for a phi without jumps or growth beyond powers; None where they do not resolve it."""
    with ctx.workprec(80):
        cut = pieces(activation)
        kinks = _distances(cut.kinks)
        if len(kinks) > _MOST_KINKS:
            return None
        for scheme in _KINKED if kinks else _SMOOTH:
            check = _Check(activation, scheme, kinks)
            found = _chosen(check)
            if found is not None:
                return found
    return None


def served(table: SeriesTable, found: Quadrature) -> SeriesTable:
    """The table with rules near rho = +-1, and the bounds that hold there, where it needs them."""
    end = float(found.polar.end)
    starts = {dtype: _start(table, most, end) for dtype, most in _SERIES_SERVES.items()}
    start = starts["float64"]
    if start == end:
        return table
    rules = tuple(replace(rule, start=repr(starts[rule.dtype])) for rule in found.polar.rules)
    bounds = list(table.bounds)
    for i, b in enumerate(table.bounds):
        inside = start <= _number(b.q_low) and _number(b.q_high) <= end
        if inside and _number(b.rho) > _reach(table):
            most = max(found.error(_number(b.q_high)), _ROUNDING, _left(table, b))
            bounds[i] = replace(b, bound=f"{most:.1e}", note=_NOTE)
    return replace(table, polar=replace(found.polar, rules=rules), bounds=tuple(bounds))


def _reach(table: SeriesTable) -> float:
    """The largest |rho| at which the series is used beside a quadrature."""
    return math.exp(-_SHORT / max(table.order, 1))


def _left(table: SeriesTable, bound: Bound) -> float:
    """What the series leaves there: its bound at a larger |rho|, or at 1 and what fades since."""
    same = [b for b in table.bounds if (b.function, b.q_low) == (bound.function, bound.q_low)]
    known = [(_number(b.rho), float(b.bound)) for b in same if b.bound is not None]
    fading = [value for rho, value in known if rho >= _reach(table)]
    return min([1.0, *fading, *(value * math.exp(-_SHORT) for rho, value in known if rho == 1)])


def _start(table: SeriesTable, most: float, end: float) -> float:
    """The variance from which the series is not enough at |rho| = 1; `end` if it always is."""
    poor = [
        _number(b.q_low)
        for b in table.bounds
        if b.rho == "1" and (b.bound is None or float(b.bound) > most)
    ]
    return min([*poor, end])


def _distances(kinks: Sequence[Ball]) -> list[Ball]:
    """From 0, of those off 0, each once."""
    found: list[Ball] = []
    for size in sorted((abs(k) for k in kinks if not k.contains(0)), key=float):
        if not any(size.overlaps(other) for other in found):
            found.append(size)
    return found


def _chosen(check: _Check) -> Quadrature | None:
    """The shortest rules of a scheme that leave what is wanted; None if too much is left."""
    scheme, q = check.scheme, [_number(text) for text in check.variances]
    longest = check.errors("float64", scheme.sizes["float64"][-1])
    if any(not error <= scheme.most[v > _CLOSE] for v, error in zip(q, longest, strict=True)):
        return None
    sizes = {d: shortest(s, partial(check.excess, d), 1.0)[0] for d, s in scheme.sizes.items()}
    rules = [check.texts(dtype, size) for dtype, size in sizes.items()]
    so_far = itertools.accumulate(check.errors("float64", sizes["float64"]), max)
    kinks = tuple(repr(float(kink)) for kink in check.kinks)
    polar = Polar(repr(q[-1]), kinks, check.is_flat, tuple(rules))
    return Quadrature(polar, tuple(zip(q, so_far, strict=True)))


def _number(text: str) -> float:
    return float(Fraction(text))


class _Check:
    """How wrong the rules of a scheme are at rho = 1, where the truth is enclosed."""

    def __init__(self, activation: Activation, scheme: _Scheme, kinks: Sequence[Ball]):
        self.scheme, self.kinks = scheme, kinks
        self.cut = pieces(activation)
        nearest = flat_within(self.cut)
        self.is_flat = nearest > 0
        # What is 0 within c is nothing in floating point where the variance is far below c^2.
        least = nearest**2 / 200
        self.variances = [text for text in scheme.variances if _number(text) > least]
        self.known = []
        for text in self.variances:
            found = expansion(activation, text, 0, 20)
            self.known.append((exact(Fraction(text)), found.square, found.slope_square))
        self.seen: dict[tuple[str, Size], tuple[float, ...]] = {}

    def excess(self, dtype: str, size: Size) -> float:
        """The largest error in multiples of what is wanted."""
        wanted = self.scheme.wanted[dtype]
        pairs = zip(self.variances, self.errors(dtype, size), strict=True)
        return max(error / wanted[_number(q) > _CLOSE] for q, error in pairs)

    def errors(self, dtype: str, size: Size) -> tuple[float, ...]:
        """The relative errors of E[phi^2] or E[phi'^2], the larger, at the scheme's variances."""
        if (dtype, size) not in self.seen:
            rows = self._rows(dtype, size)
            self.seen[dtype, size] = tuple(self._error(rows, *known) for known in self.known)
        return self.seen[dtype, size]

    def _rows(self, dtype: str, size: Size) -> tuple[tuple[tuple[Ball, Ball], ...], ...]:
        shifts = self.scheme.shifts[dtype]
        radius = unit_rule if self.kinks else radius_rule
        return radius(size[0], shifts[0]), unit_rule(size[1], shifts[1])

    def _error(self, rows: Any, q: Ball, square: Ball, slope_square: Ball) -> float:
        """Along every ray phi^2 and phi'^2, in their parts."""
        radii, angles = rows
        found, found_slope = arb(0), arb(0)
        for t, w in angles:
            reach = (t * arb.pi() / 2).sin() * q.sqrt()
            for r, weight in self._radii(radii, reach):
                for x in (r * reach, -r * reach):
                    value, slope = self.cut.at(x.mid()).jet(x.mid())[:2]
                    found += w * weight * value * value
                    found_slope += w * weight * slope * slope
        pairs = ((found, square), (found_slope, slope_square))
        return max(abs(float((total / 2 / true - 1).mid())) for total, true in pairs)

    def _radii(self, rule: Sequence[tuple[Ball, Ball]], reach: Ball) -> list[tuple[Ball, Ball]]:
        """(radius, weight) along a ray, cut where x = radius * reach meets a kink."""
        if not self.kinks:
            return list(rule)
        meets = [kink / reach for kink in self.kinks]
        end = arb(_END)
        if self.is_flat:
            end = (end * end + meets[0] * meets[0]).sqrt()
        cuts = [arb(0), *(m for m in meets if m < end), end]
        found = []
        for low, high in pairwise(cuts):
            for t, w in rule:
                r = low + (high - low) * t
                found.append((r, w * (high - low) * r * (-r * r / 2).exp()))
        return found

    def texts(self, dtype: str, size: Size) -> PolarRule:
        """The rule as float64, correctly rounded."""
        radii, angles = (
            tuple((repr(float(x)), repr(float(w))) for x, w in rows)
            for rows in self._rows(dtype, size)
        )
        return PolarRule(dtype, "0.0", radii, angles)


@lru_cache(maxsize=32)
def radius_rule(count: int, shift: str) -> tuple[tuple[Ball, Ball], ...]:
    """(radius, weight) of r exp(-r^2/2) on the half line, Gauss's in log(r + shift)."""

    def radius(t: Ball) -> tuple[Ball, Ball]:
        r = (t - (-t).exp()).exp()
        return (r + arb(shift)).log(), r * (-r * r / 2).exp() * r * (1 + (-t).exp())

    with ctx.workdps(60):
        found = gauss(*trapezoid("-4.9", "2.6", _STEPS, radius), count)
        return tuple([((x.exp() - arb(shift)).mid(), w) for x, w in found])


@lru_cache(maxsize=32)
def unit_rule(count: int, shift: str) -> tuple[tuple[Ball, Ball], ...]:
    """(place, weight) on [0, 1], Gauss's in log(place + shift)."""

    def node(t: Ball) -> tuple[Ball, Ball]:
        u = arb.pi() / 2 * t.sinh()
        place = 1 / (1 + (-2 * u).exp())
        return (place + arb(shift)).log(), arb.pi() * t.cosh() * place / (1 + (2 * u).exp())

    with ctx.workdps(60):
        found = gauss(*trapezoid("-4.6", "4.6", _STEPS, node), count)
        return tuple([((x.exp() - arb(shift)).mid(), w) for x, w in found])
