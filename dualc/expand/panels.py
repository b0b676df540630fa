"""Gauss-Legendre panels on which phi is bounded in the complex plane: rigorous integrals.

The line is cut at the kinks, at 0 and geometrically outwards, so that one set of nodes resolves the
density of N(0, q) for all q of a range. On every panel phi is bounded on the Bernstein ellipse of
sum of semi-axes `RHO` by ball arithmetic on boxes that cover it; the m-point rule then errs by at
most 64/15 * half * M * RHO**(-2 m) / (1 - RHO**-2) (Trefethen, Is Gauss quadrature better than
Clenshaw-Curtis?, 4.5), M bounding the whole integrand phi(x) h_n(x/sqrt q) exp(-x^2/(2 q)). The
Gaussian factor is bounded by Mehler's formula at a pair of conjugate points, all of whose terms are
positive: for every t in (0, 1), |h_n(a+ib) exp(-(a+ib)^2/2)| <= t^(-n/2) (1-t^2)^(-1/4)
exp(-a^2/(2(1+t)) + b^2/(2(1-t))).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from flint import acb, arb, ctx

from dualc import ir
from dualc.errors import NotSquareIntegrable
from dualc.expand.program import Program, build
from dualc.expand.program import kinks as kink_balls

RHO = 4.0  # a wider ellipse converges faster but meets the poles of phi sooner
_LONG, _SHORT = (RHO + 1 / RHO) / 2, (RHO - 1 / RHO) / 2  # semi-axes for half width 1
_GROWTH = 0.2  # half width over distance from 0: keeps the ellipse where |exp(-z^2)| < 1
STRIPS = 8  # vertical strips of an ellipse, each with its own bound
SLACK = 18.0  # natural log by which the bound on the ellipse may exceed phi on the panel: 8 digits
_DEPTH = 12  # bisections of a panel before the point is taken for a singularity
_LIMIT = 3000  # panels in all

Float = np.ndarray[Any, np.dtype[np.float64]]


def exact(value: Fraction) -> Any:
    """A rational at the working precision."""
    return arb(value.numerator) / value.denominator


@dataclass(frozen=True)
class Panel:
    """[centre - half, centre + half]; `log_bounds` bounds log|phi| on the ellipse, per strip."""

    centre: Any
    half: Any
    nodes: tuple[Any, ...]
    weights: tuple[Any, ...]
    values: tuple[Any, ...]
    slopes: tuple[Any, ...]
    log_bounds: tuple[float, ...]
    log_slope_bounds: tuple[float, ...]


@dataclass(frozen=True)
class Pieces:
    """phi cut at its kinks: `programs[i]` holds between `kinks[i-1]` and `kinks[i]`."""

    kinks: tuple[Any, ...]
    programs: tuple[Program, ...]

    def at(self, x: Any) -> Program:
        """The program of the piece that holds x, no kink itself."""
        return self.programs[sum(1 for kink in self.kinks if kink < x)]

    def value(self, x: Any) -> Any:
        """phi(x), x no kink."""
        return self.at(x).value(x)


def pieces(activation: ir.Activation) -> Pieces:
    """The smooth pieces of phi, at the present precision."""
    kinks = tuple(kink_balls(activation))
    if not kinks:
        return Pieces((), (build(activation, arb(1) / 3),))
    inner = [(a + b) / 2 for a, b in pairwise(kinks)]
    samples = [kinks[0] - 1, *inner, kinks[-1] + 1]
    found = [build(activation, sample.mid()) for sample in samples]
    # A kink of abs(x) inside a condition is none of phi: both sides are the same program.
    real = [i for i in range(len(kinks)) if not _is_same(found[i], found[i + 1])]
    return Pieces(tuple(kinks[i] for i in real), (found[0], *(found[i + 1] for i in real)))


def _is_same(left: Program, right: Program) -> bool:
    equal = left.steps == right.steps and left.result == right.result
    pairs = zip(left.constants, right.constants, strict=False)
    same_constants = len(left.constants) == len(right.constants)
    return equal and same_constants and all(a.overlaps(b) for a, b in pairs)


@lru_cache(maxsize=64)
def rule(points: int, precision: int) -> tuple[tuple[Any, Any], ...]:
    """(node, weight) of Gauss's rule on [-1, 1]."""
    with ctx.workprec(precision):
        return tuple(arb.legendre_p_root(points, k, weight=True) for k in range(points))


def log_magnitude(a: Any) -> float:
    """An upper bound of log|a| as a float, +-inf at 0 and at what is not finite."""
    size = a.abs_upper() if isinstance(a, arb) else abs(a).abs_upper()
    if not arb(size).is_finite():
        return math.inf
    return -math.inf if size == 0 else float(arb(size).log()) + 1e-9


def _strip(index: int) -> tuple[float, float, float]:
    """(left, right, height) of a vertical strip of the ellipse around [-1, 1]."""
    left = _LONG * (2 * index / STRIPS - 1)
    right = left + 2 * _LONG / STRIPS
    nearest = max(0.0, left, -right)
    return left, right, _SHORT * math.sqrt(1 - (nearest / _LONG) ** 2)


def boxes(centre: Any, half: Any, index: int, rows: int) -> Iterator[Any]:
    """Boxes over the upper half of a strip; phi is real on the line: the lower half mirrors it."""
    left, right, height = _strip(index)
    real = centre + half * arb((left + right) / 2, (right - left) / 2 * 1.000001)
    for row in range(rows):
        middle, reach = height * (row + 0.5) / rows, height / rows / 2 * 1.000001
        yield acb(real, half * arb(middle, reach))


Bounds = tuple[tuple[float, ...], tuple[float, ...]]


def _log_bounds(piece: Program, centre: Any, half: Any, most: float) -> Bounds | None:
    """Bounds of log|phi| and log|phi'| on the strips; None where log|phi| exceeds `most`.

    Strips, because an exponential phi and the Gaussian have their largest values at opposite ends.
    """
    values, slopes = [], []
    for index in range(STRIPS):
        for rows in (1, 3):
            jets = [piece.jet(box) for box in boxes(centre, half, index, rows)]
            value = max(log_magnitude(v) for v, _ in jets)
            slope = max(log_magnitude(d) for _, d in jets)
            if value < most and slope < math.inf:
                break
        else:
            return None
        values.append(value)
        slopes.append(slope)
    return tuple(values), tuple(slopes)


def edges(kinks: Sequence[Any], inner: float, outer: float, growth: float = _GROWTH) -> list[Any]:
    """Cuts at 0, at the kinks and outwards from 0 by steps of 2 inner at least, up to +-outer."""
    cuts = [0.0]
    while cuts[-1] < outer:
        cuts.append(max(cuts[-1] + 2 * inner, cuts[-1] * (1 + growth) / (1 - growth)))
    regular = [arb(-c) for c in cuts[:0:-1]] + [arb(c) for c in cuts]
    away = [c for c in regular if all(not kink.overlaps(c) for kink in kinks)]
    inside = [kink for kink in kinks if abs(kink) < outer]
    return sorted(away + inside, key=lambda c: float(c.mid()))


def _panel(piece: Program, left: Any, right: Any, points: int, bounds: Bounds) -> Panel:
    centre, half = (left + right) / 2, (right - left) / 2
    found = rule(points, ctx.prec)
    nodes = tuple(centre + half * x for x, _ in found)
    jets = [piece.jet(x) for x in nodes]
    values, slopes = tuple(v for v, _ in jets), tuple(d for _, d in jets)
    return Panel(centre, half, nodes, tuple(half * w for _, w in found), values, slopes, *bounds)


def cover(
    activation: ir.Activation,
    inner: float,
    outer: float,
    points: int,
    *,
    growth: float = _GROWTH,
    slack: float = SLACK,
) -> list[Panel]:
    """Panels over [-outer, outer], left to right, bisected until phi is bounded around them.

    Raises NotSquareIntegrable where phi has no bound: a pole, as in 1/x.
    """
    cut = pieces(activation)
    marks = edges(cut.kinks, inner, outer, growth)
    level = _levels(cut, marks)
    result: list[Panel] = []
    queue = [(a, b, 0) for a, b in pairwise(marks)][::-1]
    while queue:
        left, right, depth = queue.pop()
        centre = ((left + right) / 2).mid()
        piece = cut.at(centre)
        usual = max(level(float(abs(centre))), log_magnitude(piece.value(centre)))
        bounds = _log_bounds(piece, centre, (right - left) / 2, usual + slack)
        if bounds is not None:
            result.append(_panel(piece, left, right, points, bounds))
        elif depth < _DEPTH and len(result) < _LIMIT:
            queue += [(centre, right, depth + 1), (left, centre, depth + 1)]
        else:
            raise NotSquareIntegrable(
                f"{activation.name}: phi could not be bounded near x = {float(centre):.6g}:"
                " a pole, or too many oscillations; sin(x)/x is sinc(x)"
            )
    return result


def _levels(cut: Pieces, marks: Sequence[Any]) -> Any:
    """|x| to the log of the largest |phi| within |x|: what a bound near x is compared with."""
    centres = [((a + b) / 2).mid() for a, b in pairwise(marks)]
    sizes = sorted((float(abs(c)), log_magnitude(cut.value(c))) for c in centres)
    places = np.array([place for place, _ in sizes])
    largest = np.maximum.accumulate([max(size, -600.0) for _, size in sizes])
    seen = largest[largest > -600.0]
    largest = np.maximum(largest, seen[0] if len(seen) else 0.0)  # where phi is 0 around 0
    return lambda x: float(largest[np.searchsorted(places, max(x, places[0]), side="right") - 1])


_TILTS = np.array([0.02, 0.1, 0.3, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99])


def log_gauss_bounds(panels: Sequence[Panel], q: Float, order: int) -> Float:
    """Logs of sup|h_n(z) exp(-z^2/2)|, z = x/sqrt q, n <= order: (panels, variances, strips)."""
    centre = np.array([float(p.centre.mid()) for p in panels])[:, None]
    half = np.array([float(p.half.abs_upper()) for p in panels])[:, None]
    left, right, height = (np.array(side) for side in zip(*map(_strip, range(STRIPS)), strict=True))
    low, high = centre + half * left, centre + half * right
    nearest = np.maximum(0.0, np.maximum(low, -high))
    a2 = (nearest**2)[:, None] / q[None, :, None]
    b2 = ((half * height) ** 2)[:, None] / q[None, :, None]
    best = np.full(a2.shape, np.inf)
    for t in _TILTS if order else (0.0,):
        size = -a2 / (2 * (1 + t)) + b2 / (2 * (1 - t)) - 0.25 * math.log1p(-t * t)
        size -= order / 2 * math.log(t) if order else 0.0
        best = np.minimum(best, size)
    return np.asarray(best + 1e-9)


def log_integrand_bounds(panels: Sequence[Panel], q: Float, order: int) -> Float:
    """(3, panels, variances): logs of bounds of phi h_n g (n <= order), phi^2 g, phi'^2 g."""
    value = np.array([p.log_bounds for p in panels])[:, None, :]
    slope = np.array([p.log_slope_bounds for p in panels])[:, None, :]
    weighted, plain = log_gauss_bounds(panels, q, order), log_gauss_bounds(panels, q, 0)
    together = np.stack([value + weighted, 2 * value + plain, 2 * slope + plain])
    return np.asarray(together.max(axis=3) - 0.5 * np.log(2 * math.pi * q))


def log_rule_error(panels: Sequence[Panel], points: Any) -> Float:
    """Logs of the Gauss rules' largest error for an integrand bounded by 1 on the ellipse.

    `points`: one number for all panels, or an array of one for each.
    """
    half = np.array([float(p.half.abs_upper()) for p in panels])
    return np.asarray(np.log(64 / 15 * half / (1 - RHO**-2)) - 2 * points * math.log(RHO) + 1e-9)
