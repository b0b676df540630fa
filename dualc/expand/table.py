"""Tables from which emitted code evaluates a_n(q) on the whole domain, and the series' bounds.

    a_n(q) = sigma(q) r^powers[n] g_n(t),  y = q/(1 - limit q),  s = sqrt(y/turn),  r = s/(1+s),
    sigma = (1+s)^degree exp(rate q),  t = log(1 + sqrt(y/scale)),

    g_n(t) = sum_k c_k cos(2 k asin(sqrt(t/T))),  T = log(1 + sqrt(y_high/scale)),
    rows[n] = (digits, 10^digits c_0, 10^digits c_1, ...),

interpolated at Chebyshev nodes of [0, T]. Measured: with scale = 1/16, 64 nodes give 1e-14 for
smooth phi as well as for a kink at 0 (softsign), where log(1 + q/scale) stalls at 1e-8 and 1e-4:
a_n is analytic in sqrt(q), not in q. Few powers are split off (r^4 at most): a_n q^(-n/2) spans
fifty orders of magnitude where Taylor's series of phi diverges early, and what is small near q = 0
is then noise at q = 1. Integers take two thirds of the text that decimals with exponents take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx

from dualc import ir
from dualc.expand.bounds import RHOS, added, bounds, sides, tolerances, upper
from dualc.expand.grid import Expansions, expansions
from dualc.expand.growth import growth, limiting_variance
from dualc.expand.hermite import Expansion, expansion
from dualc.expand.jumps import Jump, contributions, flat_within, is_whole, jumps
from dualc.expand.panels import Float, exact, pieces
from dualc.expand.polar import Quadrature, quadrature, served
from dualc.expand.shared import shared_expansions

_DOMAIN = 10**4
_POWERS = 4  # split off at most: E[phi''(u) phi''(v)] then needs no division by a variance
_FAR = 64  # highest automatic order with a kink away from 0 or oscillations that never end
_HIGHEST = 448  # otherwise
_ENOUGH = 256  # 0.9**256 is 2e-12: where quadrature serves near rho = +-1, or nothing does
_LEAST = 128  # where quadrature serves: with fewer it is wanted by many pairs (|rho| > 0.81)
_DIGITS, _SHARED_DIGITS = 26, 22
_BEYOND = 32  # degrees beyond the order, for bounds at |rho| < 1
# (nodes, log2 of scale), until one is good or, short of the hard ones, no better than the last.
_TRIALS = ((128, 0), (128, -4), (192, -5), (192, 0), (192, -10))
_HARD = 192  # nodes where phi is not of the kind that `shared` takes
_GOOD = 1000.0  # times what the table may add: 3e-13
_GAIN = 4.0  # more nodes must do that much better, for they cost a longer table
_NEAREST = 24  # y/q* at the upper end where E[phi^2] ends being finite: q = 0.96 q*
_LARGEST_EXPONENT = (
    128.0  # log E[phi^2] at the upper end of phi like exp(b x): beyond float32's range
)
_BITS = 62


@dataclass(frozen=True)
class _Goal:
    """Automatic order: what the relative L2 tails of phi and phi' may be at a variance."""

    variance: float
    dual: float
    dual_dot: float


# phi' at 100 would ask for a thousand degrees; the bounds say what is reached there.
_GOALS = (_Goal(1.0, 1e-12, 1e-12), _Goal(4.0, 5e-13, 5e-13), _Goal(100.0, 8e-7, 1.0))
# Where quadrature serves beyond: 1e-12 up to 4 and at the next variance that is looked at.
_NEAR_GOALS = (_Goal(4.6, 8e-13, 8e-13),)


@dataclass(frozen=True)
class Law:
    """How rows are read; the fields of the same names of `ir.SeriesTable`."""

    scale: Fraction
    turn: Fraction
    degree: int
    rate: float
    limit: Fraction
    high: Fraction  # of y

    def variances(self, angles: Sequence[Any]) -> list[Any]:
        """Q at t = T (1 + cos(angle))/2."""
        scale, high = exact(self.scale), exact(self.high)
        top = (1 + (high / scale).sqrt()).log()
        s = [(top * (1 - angle.cos()) / 2).expm1() for angle in angles]
        return [scale * v * v / (1 + exact(self.limit) * scale * v * v) for v in s]

    def split(self, q: Any, power: int) -> Any:
        """sigma(q) r^power."""
        y = q / (1 - exact(self.limit) * q)
        s = (y / exact(self.turn)).sqrt()
        return (1 + s) ** self.degree * (arb(self.rate) * q).exp() * (s / (1 + s)) ** power


@lru_cache(maxsize=4)
def _law(activation: ir.Activation) -> Law:
    """The law but for its scale, which `_TRIALS` names."""
    limiting = limiting_variance(activation)
    limit = Fraction(0) if limiting is None else 1 / Fraction(limiting)
    _, linear, degree = growth(activation)
    rate = linear * linear if not limit else 0.0
    high = Fraction(_DOMAIN) if not limit else _NEAREST / limit
    if rate:
        high = min(high, Fraction(_LARGEST_EXPONENT / (2 * rate)).limit_denominator(1000))
    turn = Fraction(1) if rate or limit else _turn(activation)
    return Law(Fraction(1), turn, round(degree), rate, limit, high)


def _turn(activation: ir.Activation) -> Fraction:
    """The power of 2 at which E[phi^2] passes from its power of q at 0 to that at infinity.

    Scaled by it, a_n is of one size at both ends, and rounding at one is none at the other.
    """
    places = (2.0**-20, 2.0**-18, 2.0**11, 2.0**13)
    logs = []
    for q in places:
        with ctx.workdps(30):
            square = expansion(activation, q, 0, 15).square
            if not square > 0:  # 0 around 0: no power
                return Fraction(1)
            logs.append(float(square.log()) / math.log(2))
    start, end = round((logs[1] - logs[0]) / 2), round((logs[3] - logs[2]) / 2)
    if start == end:
        return Fraction(1)
    crossing = (logs[3] - 13 * end - logs[0] - 20 * start) / (start - end)
    return Fraction(2) ** max(-10, min(10, round(crossing)))


def automatic_order(activation: ir.Activation, *, is_served: bool = False) -> int:
    """The smallest order that meets `_GOALS`; if none does, one that serves |rho| <= 9/10.

    The error of dual at rho = 1 is its relative L2 tail, that of dual_dot the tail of phi'.
    Where quadrature serves near rho = +-1 (`is_served`), the goals up to variance 4 are enough.
    """
    high = _law(activation).high
    slope = not _has_jump(activation)
    goals = [g for g in (_NEAR_GOALS if is_served else _GOALS) if g.variance <= high]
    variances = [goal.variance for goal in goals]
    found = shared_expansions(activation, variances, _HIGHEST, _SHARED_DIGITS, up_to=float(high))
    if found is None:
        found = expansions(activation, variances, _FAR, _SHARED_DIGITS)
        return _FAR if is_served else _order_of(found, goals, slope)
    order = _order_of(found, goals, slope)
    if is_served:
        return min(max(order, _LEAST), _ENOUGH)
    return _ENOUGH if order == _HIGHEST and activation.kinks else order


def _order_of(found: Expansions, goals: Sequence[_Goal], slope: bool) -> int:
    """The smallest order at which all tails are at most the goals, or all there is."""
    reached = 0
    with ctx.workdps(60):
        for q, entry, goal in zip(found.variances, found.entries, goals, strict=True):
            parts = [(entry.square, 0, goal.dual)]
            if slope:
                parts.append((entry.slope_square * q, 1, goal.dual_dot))
            for whole, power, most in parts:
                tail, n = whole, 0
                for n, a in enumerate(entry.coefficients):
                    tail -= n**power * a * a
                    if (tail / whole).abs_upper() <= most:
                        break
                reached = max(reached, n)
    return reached


def _powers(q: Sequence[Any], entries: Sequence[Expansion], order: int) -> tuple[int, ...]:
    """The powers of sqrt(q) that the a_n start with, read off at small nodes; 4 at most."""
    low, next_low = entries[0], entries[4]
    step = float((q[4] / q[0]).log()) / 2
    powers = []
    for n in range(order + 1):
        a, b = low.coefficients[n], next_low.coefficients[n]
        largest = _POWERS - (_POWERS - n) % 2 if n <= _POWERS else _POWERS - n % 2
        if a.contains(0) or b.contains(0):
            powers.append(largest)
            continue
        slope = round(float((abs(b) / abs(a)).log()) / step)
        powers.append(max(0, min(slope, _POWERS)))
    return tuple(powers)


def _rows(
    sampled: _Sampled,
    smooth: Sequence[Expansion],
    split: dict[int, list[Any]],
    powers: Sequence[int],
) -> Any:
    """Chebyshev coefficients of every g_n, as balls: (order + 1, nodes)."""
    entries, angles = sampled.nodes(smooth), sampled.nodes(sampled.angles)
    scales = {p: sampled.nodes(values) for p, values in split.items()}
    count = len(angles)
    values = [
        [e.coefficients[n] / s for s, e in zip(scales[p], entries, strict=True)]
        for n, p in enumerate(powers)
    ]
    cosines = [
        [(m * angle).cos() * (2 if m else 1) / count for m in range(count)] for angle in angles
    ]
    return arb_mat(values) * arb_mat(cosines)


def _without(found: tuple[Jump, ...], whole: bool, q: Any, entry: Expansion, top: int) -> Expansion:
    """The expansion to degree `top` less what kinks away from 0 give: smooth in sqrt(q)."""
    kept = entry.coefficients[: top + 1]
    if found:
        given = contributions(found, q, top, whole)
        kept = tuple(a - g for a, g in zip(kept, given, strict=True))
    return replace(entry, coefficients=kept)


def _rounded(rows: Any, eta: Float) -> tuple[tuple[int, ...], ...]:
    """Rows as decimals of a fixed number of digits, (digits, entries without their point).

    Wrong by eta/8 an entry at most, trailing zeros dropped.

    Never finer than 2**-62 of the largest entry, far below what float64 keeps of their sum.
    """
    table = [[value.mid() for value in row] for row in rows.table()]
    largest = max(abs(float(value)) for row in table for value in row)
    finest = math.floor(-math.log10(largest * 2.0**-_BITS)) if largest else 0
    result = []
    for row, tolerance in zip(table, eta, strict=True):
        digits = min(finest, math.ceil(-math.log10(tolerance)))
        unit = arb(10) ** digits
        kept = [int((value * unit + 0.5).mid().floor().unique_fmpz()) for value in row]
        while kept and abs(kept[-1]) <= (16 if digits == finest else 0):
            kept.pop()
        result.append((digits if kept else 0, *kept))
    return tuple(result)


def _table_errors(
    rows: Sequence[Sequence[int]],
    sampled: _Sampled,
    smooth: Sequence[Expansion],
    factors: Sequence[Sequence[Any]],
) -> Float:
    """(order + 1, angles): how much the rows' Chebyshev sums times `factors` are wrong at most."""
    count = max(1, *(len(row) - 1 for row in rows))
    full = []
    for digits, *row in rows:
        unit = arb(10) ** -digits
        full.append([c * unit for c in row] + [arb(0)] * (count - len(row)))
    sums = arb_mat(full) * arb_mat([[(m * a).cos() for a in sampled.angles] for m in range(count)])
    return np.array(
        [
            [upper(v * f - e.coefficients[n]) for v, f, e in zip(row, scale, smooth, strict=True)]
            for n, (row, scale) in enumerate(zip(sums.table(), factors, strict=True))
        ]
    )


def _has_jump(activation: ir.Activation) -> bool:
    with ctx.workprec(200):
        cut = pieces(activation)
        return any(
            not cut.programs[i].value(kink).overlaps(cut.programs[i + 1].value(kink))
            for i, kink in enumerate(cut.kinks)
        )


def series_table(activation: ir.Activation, order: int | None) -> ir.SeriesTable:
    """Rows for a_0(q)..a_{order+2}(q) on the domain, and bounds of dual and dual_dot per region.

    Two rows more than `order`: d/dq of E[phi(u) phi(v)] is E[phi''(u) phi(v)]/2, whose series
    reaches two degrees further. `order` None chooses it (`automatic_order`), and what serves near
    rho = +-1 (`quadrature`).
    """
    near = _quadrature(activation) if order is None else None
    highest = automatic_order(activation, is_served=bool(near)) if order is None else order
    table = _table(activation, highest)
    return table if near is None else served(table, near)


def _quadrature(activation: ir.Activation) -> Quadrature | None:
    """What serves near rho = +-1: nothing where phi jumps or grows like an exponential."""
    law = _law(activation)
    return None if law.limit or law.rate or _has_jump(activation) else quadrature(activation)


def _table(activation: ir.Activation, highest: int) -> ir.SeriesTable:
    """The best of the laws that `_TRIALS` names."""
    law = _law(activation)
    best: tuple[float, ir.SeriesTable] | None = None
    trials = _TRIALS if activation.kinks else sorted(_TRIALS, key=lambda t: (t[0], t[1] < 0))
    for nodes, log_scale in trials:  # kinks want nodes near q = 0, oscillations do not
        outcome = _trial(activation, highest, nodes, replace(law, scale=Fraction(2) ** log_scale))
        if outcome is None:
            continue
        gain = math.inf if best is None else best[0] / outcome[0]
        if best is None or gain > (1.0 if nodes == best[1].nodes else _GAIN):
            best = outcome
        if outcome[0] <= _GOOD or (gain < _GAIN and nodes < _HARD):
            break
    if best is None:
        raise AssertionError("there is a first trial")
    return best[1]


def _trial(
    activation: ir.Activation, order: int, nodes: int, law: Law
) -> tuple[float, ir.SeriesTable] | None:
    """The table of one law, and what it adds to the bounds in multiples of what it may add.

    None where phi needs more nodes: kinks away from 0 or oscillations far out.
    """
    # Chebyshev nodes at odd multiples of pi/(2 nodes), checks between every other two of them and
    # at the upper end.
    steps = [k for k in range(1, 2 * nodes + 1) if k % 2 or k % 4 == 0]
    with ctx.workprec(200):
        angles = [arb.pi() * k / (2 * nodes) for k in steps]
        variances = law.variances(angles)
    found = shared_expansions(
        activation, variances, order + 2 + _BEYOND, _SHARED_DIGITS, up_to=float(law.high)
    )
    precision = 160
    if found is None:
        if nodes < _HARD:
            return None
        found = expansions(activation, variances, order + 2, _DIGITS)
        precision = int(3.33 * _DIGITS) + 2 * order + 84
    with ctx.workprec(precision):
        return _fitted(activation, order, _Sampled(law, steps, angles, found))


@dataclass(frozen=True)
class _Sampled:
    """Expansions at angles, multiples (`steps`) of half the distance of nodes: odd ones are."""

    law: Law
    steps: Sequence[int]
    angles: Sequence[Any]
    found: Expansions

    def nodes(self, values: Sequence[Any]) -> list[Any]:
        """Of values at all angles those at the nodes."""
        return [v for k, v in zip(self.steps, values, strict=True) if k % 2]


def _fitted(
    activation: ir.Activation, order: int, sampled: _Sampled
) -> tuple[float, ir.SeriesTable]:
    cut = pieces(activation)
    found_jumps = jumps(cut)
    whole = is_whole(cut, found_jumps)
    law, q = sampled.law, sampled.found.variances
    entries = sampled.found.entries
    smooth = [
        _without(found_jumps, whole, v, e, order + 2) for v, e in zip(q, entries, strict=True)
    ]
    powers = _powers(sampled.nodes(q), sampled.nodes(smooth), order + 2)
    sizes = sides(q, entries, order, _has_jump(activation))
    if not whole:  # rows have no digits where phi is 0 within four deviations
        least = flat_within(cut) ** 2 / 16
        sizes = [side.unknown_below(q, least) for side in sizes]
    rows: tuple[tuple[int, ...], ...] = ((0,),) * (order + 3)
    # where the exact terms are everything, the table is 0, so its error
    extra: list[tuple[float, ...]] = [(0.0,) * len(RHOS)] * len(sizes)
    if not whole:
        split = {p: [law.split(v, p) for v in q] for p in sorted(set(powers))}
        factors = np.array([[float(s) for s in split[p]] for p in powers])
        eta = tolerances(sizes, factors)
        rows = _rounded(_rows(sampled, smooth, split, powers), eta)
        errors = _table_errors(rows, sampled, smooth, [split[p] for p in powers])
        extra = [added(side, errors, eta) for side in sizes]
    high = float(law.high / (1 + law.limit * law.high))
    table = ir.SeriesTable(
        order=order,
        nodes=len(sampled.nodes(q)),
        powers=powers,
        rows=tuple(tuple(str(c) for c in row) for row in rows),
        bounds=bounds(sizes, extra, np.array([float(v) for v in q]), high),
        scale=repr(float(law.scale)),
        turn=repr(float(law.turn)),
        degree=law.degree,
        rate=repr(law.rate),
        limit=repr(float(law.limit)),
        q_high=repr(high),
        kinks=tuple(tuple(repr(float(v.mid())) for v in (j.place, *j.sizes)) for j in found_jumps),
        whole=whole,
    )
    return max(side[-1] for side in extra), table
