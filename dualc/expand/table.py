"""Tables from which emitted code evaluates a_n(q) on the whole domain, and the series' bounds.

    a_n(q) = sigma(q) r^powers[n] g_n(t),  y = q/(1 - limit q),  s = sqrt(y/turn),  r = s/(1+s),
    sigma = (1+s)^degree exp(rate q),  t = log(1 + sqrt(y/scale)),

    g_n(t) = sum_k rows[n][k] cos(2 k asin(sqrt(t/T))),  T = log(1 + sqrt(y_high/scale)),

interpolated at Chebyshev nodes of [0, T]. Measured: with scale = 1/16, 64 nodes give 1e-14 for
smooth phi as well as for a kink at 0 (softsign), where log(1 + q/scale) stalls at 1e-8 and 1e-4:
a_n is analytic in sqrt(q), not in q. Few powers are split off (r^4 at most): a_n q^(-n/2) spans
fifty orders of magnitude where Taylor's series of phi diverges early, and what is small near q = 0
is then noise at q = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_UP, Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from flint import arb, arb_mat, ctx, fmpz

from dualc import ir
from dualc.expand.grid import Expansions, expansions
from dualc.expand.growth import growth, limiting_variance
from dualc.expand.hermite import Expansion, expansion
from dualc.expand.jumps import Jump, contributions, is_whole, jumps
from dualc.expand.panels import pieces

_DOMAIN = 10**4
_POWERS = 4  # split off at most: E[phi''(u) phi''(v)] then needs no division by a variance
_HIGHEST = 64  # automatic order: tails that still matter there (softsign) fall by powers of n
_GOAL = 1e-6  # automatic order: relative L2 tail at q = 1, what float32 resolves a few times over
_DIGITS = 26
# (nodes, log2 of scale), until one is good. Measured with 192: 5e-16 for kinks anywhere and for
# sinc.
_TRIALS = ((96, -4), (192, -5), (192, 0), (192, -10))
_GOOD = 1e-13
_NEAREST = 24  # y/q* at the upper end where E[phi^2] ends being finite: q = 0.96 q*
_LARGEST_EXPONENT = (
    128.0  # log E[phi^2] at the upper end of phi like exp(b x): beyond float32's range
)
_REGIONS = ("0", "1/100", "1", "10", "100", "10000")
_BITS = (
    62  # rows are rounded to 2**-62 of the largest entry, far below what float64 keeps of their sum
)


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
        scale, high = _exact(self.scale), _exact(self.high)
        top = (1 + (high / scale).sqrt()).log()
        s = [(top * (1 - angle.cos()) / 2).expm1() for angle in angles]
        return [scale * v * v / (1 + _exact(self.limit) * scale * v * v) for v in s]

    def split(self, q: Any, power: int) -> Any:
        """sigma(q) r^power."""
        y = q / (1 - _exact(self.limit) * q)
        s = (y / _exact(self.turn)).sqrt()
        return (1 + s) ** self.degree * (arb(self.rate) * q).exp() * (s / (1 + s)) ** power


def _exact(value: Fraction) -> Any:
    return arb(value.numerator) / value.denominator


def _law(activation: ir.Activation, log_scale: int) -> Law:
    limiting = limiting_variance(activation)
    limit = Fraction(0) if limiting is None else 1 / Fraction(limiting)
    _, linear, degree = growth(activation)
    rate = linear * linear if not limit else 0.0
    high = Fraction(_DOMAIN) if not limit else _NEAREST / limit
    if rate:
        high = min(high, Fraction(_LARGEST_EXPONENT / (2 * rate)).limit_denominator(1000))
    turn = Fraction(1) if rate or limit else _turn(activation)
    return Law(Fraction(2) ** log_scale, turn, round(degree), rate, limit, high)


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


def automatic_order(activation: ir.Activation) -> int:
    """The smallest order whose relative L2 tail at q = 1 is at most 1e-6, 64 at most.

    The dual's error at rho = 1 is that tail, so up to variance 1 the series is right to 1e-6 of the
    diagonal.
    """
    found = expansion(activation, 1, _HIGHEST, 24)
    with ctx.workdps(40):
        tail = found.square
        for n, a in enumerate(found.coefficients):
            tail -= a * a
            if (tail / found.square).abs_upper() <= _GOAL:
                return n
    return _HIGHEST


def _float(value: Any) -> Fraction:
    """The midpoint of a ball, exactly."""
    mantissa, exponent = value.mid().man_exp()
    return Fraction(int(fmpz(mantissa))) * Fraction(2) ** int(exponent)


def _powers(found: Expansions, order: int) -> tuple[int, ...]:
    """The powers of sqrt(q) that the a_n start with, read off at small nodes; 4 at most."""
    low, next_low = found.entries[0], found.entries[4]
    step = float((found.variances[4] / found.variances[0]).log()) / 2
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


def _rows(found: Expansions, angles: Sequence[Any], law: Law, powers: Sequence[int]) -> Any:
    """Chebyshev coefficients of every g_n, as balls: (order + 1, nodes)."""
    count = len(angles)
    values = [
        [
            e.coefficients[n] / law.split(q, p)
            for q, e in zip(found.variances, found.entries, strict=True)
        ]
        for n, p in enumerate(powers)
    ]
    cosines = [
        [(m * angle).cos() * (2 if m else 1) / count for m in range(count)] for angle in angles
    ]
    return arb_mat(values) * arb_mat(cosines)


def _without(found: tuple[Jump, ...], whole: bool, q: Any, entry: Expansion) -> Expansion:
    """The expansion less what kinks away from 0 give: smooth in sqrt(q)."""
    if not found:
        return entry
    given = contributions(found, q, len(entry.coefficients) - 1, whole)
    return replace(
        entry, coefficients=tuple(a - g for a, g in zip(entry.coefficients, given, strict=True))
    )


def _rounded(rows: Any) -> tuple[tuple[float, ...], ...]:
    """Rows as floats, rounded to 2**-62 of the largest entry, trailing noise dropped."""
    table = [[_float(value) for value in row] for row in rows.table()]
    largest = max(abs(value) for row in table for value in row)
    quantum = Fraction(2) ** (math.frexp(float(largest))[1] - _BITS)
    result = []
    for row in table:
        kept = [float(round(value / quantum) * quantum) for value in row]
        while len(kept) > 1 and abs(kept[-1]) <= 16 * float(quantum):
            kept.pop()
        result.append(tuple(kept))
    return tuple(result)


@dataclass(frozen=True)
class _Error:
    """At one variance, all relative to sqrt(E[phi^2]) or sqrt(E[phi'^2]): upper bounds."""

    q: float
    tail: float
    slope_tail: float
    table: float
    slope_table: float


def _interpolated(rows: Sequence[Sequence[float]], angles: Sequence[Any], count: int) -> Any:
    """(order + 1, angles): the rows' Chebyshev sums."""
    full = [[arb(c) for c in row] + [arb(0)] * (count - len(row)) for row in rows]
    return arb_mat(full) * arb_mat([[(m * a).cos() for a in angles] for m in range(count)])


def _errors(
    found: Expansions,
    smooth: Sequence[Expansion] | None,
    table: Any,
    law: Law,
    powers: Sequence[int],
    order: int,
) -> list[_Error]:
    result = []
    for j, (q, entry) in enumerate(zip(found.variances, found.entries, strict=True)):
        a = entry.coefficients
        # Where the exact terms are everything, the table is 0 and so is its error.
        wrong = [arb(0)] * len(powers)
        if smooth is not None:
            b = smooth[j].coefficients
            wrong = [table[n, j] * law.split(q, p) - b[n] for n, p in enumerate(powers)]
        kept = range(order + 1)
        tail = entry.square - sum((a[n] * a[n] for n in kept), arb(0))
        slope_tail = entry.slope_square - sum((n * a[n] * a[n] for n in kept), arb(0)) / q
        table_error = sum((wrong[n] * wrong[n] for n in kept), arb(0))
        slope_error = sum((n * wrong[n] * wrong[n] for n in kept), arb(0)) / q
        result.append(
            _Error(
                float(q),
                _root(tail / entry.square),
                _root(slope_tail / entry.slope_square),
                _root(table_error / entry.square),
                _root(slope_error / entry.slope_square),
            )
        )
    return result


def _root(value: Any) -> float:
    """An upper bound of the square root of a number that is not negative; inf if not finite."""
    upper = arb(value.abs_upper()) if value.is_finite() else arb.pos_inf()
    return float(upper.sqrt()) * (1 + 1e-12) if upper.is_finite() else math.inf


def _has_jump(activation: ir.Activation) -> bool:
    with ctx.workprec(200):
        cut = pieces(activation)
        return any(
            not cut.programs[i].value(kink).overlaps(cut.programs[i + 1].value(kink))
            for i, kink in enumerate(cut.kinks)
        )


_NOTE = (
    "{unit}; ball arithmetic at {count} variances from {low:.2g} to {high:.2g}, the region's and"
    " one neighbour on either side, between them by continuity; the truncation"
    " part falls like |rho|**{power}"
)


def _bounds(
    activation: ir.Activation, errors: Sequence[_Error], order: int, high: float
) -> tuple[ir.Bound, ...]:
    """One bound per function and region: tail^2 + 2 table + table^2, worst over its variances."""
    jump = _has_jump(activation)
    result = []
    ordered = _certified(sorted(errors, key=lambda e: e.q))
    for low, top in pairwise(_REGIONS):
        if float(Fraction(low)) >= high:
            break
        top = top if float(Fraction(top)) < high else repr(high)
        inside = [i for i, e in enumerate(ordered) if Fraction(low) <= e.q <= Fraction(top)]
        if not inside:
            continue
        if len(ordered) < len(errors):
            low = repr(max(float(Fraction(low)), ordered[0].q))
        chosen = ordered[max(inside[0] - 1, 0) : inside[-1] + 2]
        for function in ("dual", "dual_dot"):
            slope = function == "dual_dot"
            tail = max(e.slope_tail if slope else e.tail for e in chosen)
            table = max(e.slope_table if slope else e.table for e in chosen)
            unit = (
                "in units of sqrt(dual_dot_diag(q11) dual_dot_diag(q22))"
                if slope
                else "in units of sqrt(k11 k22)"
            )
            note = _NOTE.format(
                unit=unit,
                count=len(chosen),
                low=chosen[0].q,
                high=chosen[-1].q,
                power=order + (not slope),
            )
            bound = tail * tail + 2 * table + table * table
            text: str | None = None if not math.isfinite(bound) else _up(bound)
            if slope and jump:
                text, note = (
                    None,
                    "uncertified: phi jumps, so dual_dot is no convergent series at rho = +-1",
                )
            result.append(ir.Bound(function, low, top, "1", text, note))
    return tuple(result)


def _certified(ordered: Sequence[_Error]) -> Sequence[_Error]:
    """From the first variance on from which every tail is known to two digits.

    Below it phi is 0 within so many sqrt(q) (softshrink) that E[phi^2] is beneath the quadrature's
    radius.
    """
    first = 0
    for i, error in enumerate(ordered):
        if not max(error.tail, error.slope_tail) <= 1.01:
            first = i + 1
    return ordered[first:]


def _up(value: float) -> str:
    """Three digits, rounded up."""
    return format(Decimal(value).normalize(Context(prec=3, rounding=ROUND_UP)), "E")


def series_table(activation: ir.Activation, order: int | None) -> ir.SeriesTable:
    """Rows for a_0(q)..a_{order+2}(q) on the domain, and bounds of dual and dual_dot per region.

    Two rows more than `order`: d/dq of E[phi(u) phi(v)] is E[phi''(u) phi(v)]/2, whose series
    reaches two degrees further. `order` None chooses it (`automatic_order`).
    """
    highest = automatic_order(activation) if order is None else order
    best: tuple[float, ir.SeriesTable] | None = None
    flat = any(kink != "0" for kink in activation.kinks)  # exp(-c^2/(2 q)) defeats the first trial
    for nodes, log_scale in _TRIALS[flat:]:
        worst, table = _trial(activation, highest, nodes, _law(activation, log_scale))
        if best is None or worst < best[0]:
            best = worst, table
        if worst <= _GOOD:
            break
    if best is None:
        raise AssertionError("there is a first trial")
    return best[1]


def _trial(
    activation: ir.Activation, order: int, nodes: int, law: Law
) -> tuple[float, ir.SeriesTable]:
    """The table of one law, and its worst error between the nodes relative to sqrt(E[phi^2])."""
    rows_order = order + 2
    with ctx.workprec(int(3.33 * _DIGITS) + 2 * rows_order + 80):
        cut = pieces(activation)
        found_jumps = jumps(cut)
        whole = is_whole(cut, found_jumps)
        # Chebyshev nodes at odd multiples of pi/(2 nodes), checks half way between them and at the
        # upper end.
        both = [arb.pi() * k / (2 * nodes) for k in range(1, 2 * nodes + 1)]
        found = expansions(activation, law.variances(both), rows_order, _DIGITS)
        smooth = [
            _without(found_jumps, whole, q, e)
            for q, e in zip(found.variances, found.entries, strict=True)
        ]
        at_nodes = Expansions(found.variances[::2], tuple(smooth[::2]))
        powers = _powers(at_nodes, rows_order)
        rows: tuple[tuple[float, ...], ...] = ((0.0,),) * (rows_order + 1)
        if not whole:
            rows = _rounded(_rows(at_nodes, both[::2], law, powers))
        table_values = _interpolated(rows, both, nodes)
        errors = _errors(found, None if whole else smooth, table_values, law, powers, order)
        high = law.high / (1 + law.limit * law.high)
    table = ir.SeriesTable(
        order=order,
        nodes=nodes,
        powers=powers,
        rows=tuple(tuple(repr(c) for c in row) for row in rows),
        bounds=_bounds(activation, errors, order, float(high)),
        scale=repr(float(law.scale)),
        turn=repr(float(law.turn)),
        degree=law.degree,
        rate=repr(law.rate),
        limit=repr(float(law.limit)),
        q_high=repr(float(high)),
        kinks=tuple(
            tuple(repr(float(_float(v))) for v in (j.place, *j.sizes)) for j in found_jumps
        ),
        whole=whole,
    )
    return 0.0 if whole else max(e.table for e in errors), table
