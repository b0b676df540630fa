"""Gauss-Legendre panels on which phi is known with a bound in the complex plane: rigorous integrals for every q.

The line is cut at the kinks, at 0 and geometrically outwards, so that one set of nodes resolves the density of
N(0, q) for all q of a range. On every panel phi is bounded on the Bernstein ellipse of sum of semi-axes
`RHO` by ball arithmetic on boxes that cover it; the m-point rule then errs by at most
64/15 * half * M * RHO**(-2 m) / (1 - RHO**-2) (Trefethen, Is Gauss quadrature better than Clenshaw-Curtis?, 4.5),
M bounding the whole integrand phi(x) h_n(x/sqrt q) exp(-x^2/(2 q)). The Gaussian factor is bounded by Mehler's
formula at a pair of conjugate points, all of whose terms are positive: for every t in (0, 1),
|h_n(a+ib) exp(-(a+ib)^2/2)| <= t^(-n/2) (1-t^2)^(-1/4) exp(-a^2/(2(1+t)) + b^2/(2(1-t))).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from flint import acb, arb, ctx

from dualc import ir
from dualc.errors import NotSquareIntegrable
from dualc.expand import program as programs

RHO = 4.0  # a wider ellipse converges faster but meets the poles of phi sooner
_LONG, _SHORT = (RHO + 1 / RHO) / 2, (RHO - 1 / RHO) / 2  # semi-axes for half width 1
_GROWTH = 0.2  # half width over distance from 0: keeps the ellipse where |exp(-z^2)| < 1
_SLACK = 18.0  # natural log by which the bound on the ellipse may exceed phi on the panel: 8 digits
_DEPTH = 12  # bisections of a panel before the point is taken for a singularity
_LIMIT = 3000  # panels in all

Float = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Panel:
    """phi on [centre - half, centre + half]; `log_bound` bounds log|phi| on the ellipse around it."""

    centre: Any
    half: Any
    nodes: tuple[Any, ...]
    weights: tuple[Any, ...]
    values: tuple[Any, ...]
    slopes: tuple[Any, ...]
    log_bound: float
    log_slope_bound: float


@dataclass(frozen=True)
class Pieces:
    """phi cut at its kinks: `programs[i]` holds between `kinks[i-1]` and `kinks[i]`."""

    kinks: tuple[Any, ...]
    programs: tuple[programs.Program, ...]

    def at(self, x: Any) -> programs.Program:
        """The program of the piece that holds x, no kink itself."""
        return self.programs[sum(1 for kink in self.kinks if kink < x)]

    def value(self, x: Any) -> Any:
        """phi(x), x no kink."""
        return self.at(x).value(x)


def pieces(activation: ir.Activation) -> Pieces:
    """The smooth pieces of phi, at the present precision."""
    kinks = tuple(programs.kinks(activation))
    if not kinks:
        return Pieces((), (programs.build(activation, arb(1) / 3),))
    inner = [(a + b) / 2 for a, b in zip(kinks, kinks[1:], strict=False)]
    samples = [kinks[0] - 1, *inner, kinks[-1] + 1]
    return Pieces(kinks, tuple(programs.build(activation, sample.mid()) for sample in samples))


@lru_cache(maxsize=16)
def _rule(points: int, precision: int) -> tuple[tuple[Any, Any], ...]:
    return tuple(arb.legendre_p_root(points, k, weight=True) for k in range(points))


def log_magnitude(a: Any) -> float:
    """An upper bound of log|a| as a float, +-inf at 0 and at what is not finite."""
    size = a.abs_upper() if isinstance(a, arb) else abs(a).abs_upper()
    if not arb(size).is_finite():
        return math.inf
    return -math.inf if size == 0 else float(arb(size).log()) + 1e-9


def _boxes(centre: Any, half: Any, strips: int, rows: int) -> Iterator[Any]:
    """Boxes that cover the upper half of the ellipse; phi is real on the line, so the lower half mirrors it."""
    width = _LONG / strips * 2
    for strip in range(strips):
        left = -_LONG + strip * width
        nearest = max(0.0, left, -(left + width))
        height = _SHORT * math.sqrt(max(0.0, 1 - (nearest / _LONG) ** 2)) / rows
        real = centre + half * arb(left + width / 2, width / 2 * 1.000001)
        for row in range(rows):
            yield acb(real, half * arb(height * (row + 0.5), height / 2 * 1.000001))


def _log_bounds(piece: programs.Program, centre: Any, half: Any, level: float) -> tuple[float, float]:
    """Bounds of log|phi| and log|phi'| on the ellipse; coarse boxes first, finer ones where they do not do."""
    best = (math.inf, math.inf)
    for strips, rows in ((2, 1), (6, 2)):
        found = [-math.inf, -math.inf]
        for box in _boxes(centre, half, strips, rows):
            for index, ball in enumerate(piece.jet(box)):
                found[index] = max(found[index], log_magnitude(ball))
            if found[0] > level + _SLACK:
                break
        best = (min(best[0], found[0]), min(best[1], found[1]))
        if max(best) < level + _SLACK:
            return best
    return best


def edges(kinks: Sequence[Any], inner: float, outer: float, growth: float = _GROWTH) -> list[Any]:
    """Cuts at 0, at the kinks and outwards from 0 by steps of 2 inner at least, up to +-outer."""
    cuts = [0.0]
    while cuts[-1] < outer:
        cuts.append(max(cuts[-1] + 2 * inner, cuts[-1] * (1 + growth) / (1 - growth)))
    regular = [arb(-c) for c in cuts[:0:-1]] + [arb(c) for c in cuts]
    away = [c for c in regular if all(not kink.overlaps(c) for kink in kinks)]
    inside = [kink for kink in kinks if abs(kink) < outer]
    return sorted(away + inside, key=lambda c: float(c.mid()))


def _panel(piece: programs.Program, left: Any, right: Any, points: int, bounds: Any) -> Panel:
    centre, half = (left + right) / 2, (right - left) / 2
    rule = _rule(points, ctx.prec)
    nodes = tuple(centre + half * x for x, _ in rule)
    jets = [piece.jet(x) for x in nodes]
    values, slopes = tuple(v for v, _ in jets), tuple(d for _, d in jets)
    return Panel(centre, half, nodes, tuple(half * w for _, w in rule), values, slopes, *bounds)


def cover(
    activation: ir.Activation, inner: float, outer: float, points: int, growth: float = _GROWTH
) -> list[Panel]:
    """Panels over [-outer, outer], from left to right; panels bisected until phi is bounded near them.

    Raises NotSquareIntegrable where phi has no bound: a pole, as in 1/x.
    """
    cut = pieces(activation)
    marks = edges(cut.kinks, inner, outer, growth)
    level = _levels(cut, marks)
    result: list[Panel] = []
    queue = [(a, b, 0) for a, b in zip(marks, marks[1:], strict=False)][::-1]
    while queue:
        left, right, depth = queue.pop()
        centre = ((left + right) / 2).mid()
        piece = cut.at(centre)
        usual = max(level(float(abs(centre))), log_magnitude(piece.value(centre)))
        bounds = _log_bounds(piece, centre, (right - left) / 2, usual)
        good = bounds[0] < usual + _SLACK
        if not good and depth < _DEPTH:
            queue += [(centre, right, depth + 1), (left, centre, depth + 1)]
            continue
        if max(bounds) == math.inf or len(result) > _LIMIT:
            raise NotSquareIntegrable(
                f"{activation.name}: phi has no finite bound near x = {float(centre):.6g};"
                " split it there with where(...), or use sinc(x) for sin(x)/x"
            )
        result.append(_panel(piece, left, right, points, bounds))
    return result


def _levels(cut: Pieces, marks: Sequence[Any]) -> Any:
    """|x| to the log of the largest |phi| within |x|: what a bound near x is compared with."""
    centres = [((a + b) / 2).mid() for a, b in zip(marks, marks[1:], strict=False)]
    sizes = sorted((float(abs(c)), log_magnitude(cut.value(c))) for c in centres)
    places = np.array([place for place, _ in sizes])
    largest = np.maximum.accumulate([max(size, -600.0) for _, size in sizes])
    return lambda x: float(largest[min(int(np.searchsorted(places, x)), len(places) - 1)])


_TILTS = np.array([0.02, 0.1, 0.3, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99])


def log_gauss_bounds(panels: Sequence[Panel], q: Float, order: int) -> Float:
    """log of sup over the ellipse of |h_n(z) exp(-z^2/2)|, z = x/sqrt q, any n <= order: (panels, variances)."""
    turns = np.linspace(0, math.pi / 2, 9)  # arcs of the first quadrant of the ellipse
    centre = np.array([abs(float(p.centre.mid())) for p in panels])[:, None]
    half = np.array([float(p.half.abs_upper()) for p in panels])[:, None]
    inward = np.maximum(0.0, centre - half * _LONG * np.cos(turns[:-1]))  # nearest to 0 on each arc
    height = half * _SHORT * np.sin(turns[1:])
    outward = centre + 0 * inward  # the other half of the ellipse lies beyond the centre
    a2 = np.minimum(inward, outward)[:, None, :] ** 2 / q[None, :, None]
    b2 = height[:, None, :] ** 2 / q[None, :, None]
    best = np.full((len(panels), len(q), 1), np.inf)
    for t in _TILTS if order else (0.0,):
        size = -a2 / (2 * (1 + t)) + b2 / (2 * (1 - t)) - 0.25 * math.log1p(-t * t)
        size += -order / 2 * math.log(t) if order else 0.0
        best = np.minimum(best, size.max(axis=2, keepdims=True))
    return np.asarray(best[:, :, 0] + 1e-9)


def log_rule_error(panels: Sequence[Panel], points: int) -> Float:
    """log of what the Gauss rule's error is at most, for an integrand bounded by 1 on each panel's ellipse."""
    half = np.array([float(p.half.abs_upper()) for p in panels])
    return np.asarray(np.log(64 / 15 * half / (1 - RHO**-2)) - 2 * points * math.log(RHO) + 1e-9)
