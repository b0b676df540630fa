"""How wrong a series with tabulated coefficients is: tails, tolerances of the rows, bounds.

With relative sizes alpha_n(q) = |a_n|/S(q), S^2 = E[phi^2], and errors delta_n(q) of the table,
also over S, the series of order N at (q1, q2) errs, in units of S(q1) S(q2), by at most

    sqrt(t(q1) t(q2)) + sum_n delta_n(q1) alpha_n(q2) + alpha_n(q1) delta_n(q2) + delta_n delta_n,

t the sum over n > N of alpha_n^2 |rho|^n. High degrees matter only where the tail is long and rho
near 1, so rows of high degree need few digits: let T(q) = max(floor, share t(q)) be what the table
may add. t falls about like |rho|^N, so where |rho|^n has its say floor^(1-n/N) T^(n/N) = T_n is
left to row n, whose tolerance is eta_n = min_q sqrt(T_n)/kappa_n * min_q sqrt(T_n)/alpha_n /
(4 sqrt N), kappa_n being what its values are multiplied by. By Cauchy and Schwarz the sum of
delta_n(q1) alpha_n(q2) |rho|^n is at most E(q1) A(q2), E^2 = sum (delta_n/eta_n)^2 |rho|^n,
A^2 = sum (alpha_n eta_n)^2 |rho|^n, so with e, a, d the largest E, A and |delta| over sqrt(T) the
table adds at most (2 e a + d^2) sqrt(T(q1) T(q2)): a product of one factor for each variance, as
the truncation is. dual_dot alike, with n alpha^2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_UP, Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from flint import arb

from dualc import ir
from dualc.expand.hermite import Expansion
from dualc.expand.panels import Float

REGIONS = ("0", "1/100", "1", "4", "10", "100", "10000")
RHOS = ("1/2", "9/10", "1")
_FLOOR = 3e-16  # what the table may always add: below the 4 eps that every certificate allows
_SHARE = 1e-3  # the same in parts of the tail
_LOOSEST = 1e-10  # hermite(q) is of use by itself
_FULL = 13  # degrees below it keep all digits: hermite(q) again
_UP = 1 + 1e-9  # above the rounding of the float sums below


def upper(value: Any) -> float:
    """An upper bound of |value|, inf if it is not finite."""
    return float(arb(value.abs_upper())) * _UP if value.is_finite() else math.inf


def _lower(value: Any) -> float:
    return float(arb(value.abs_lower())) / _UP if value.is_finite() else 0.0


@dataclass(frozen=True)
class Side:
    """One function's sizes at the variances, dual or dual_dot: upper bounds."""

    function: str
    sizes: Float  # (degrees, variances): alpha_n
    weights: Float  # (degrees, variances): what turns an error of a_n into one like alpha_n
    tails: Float  # (RHOS, variances)

    def unknown_below(self, q: Sequence[Any], least: float) -> Side:
        """The same without bounds at smaller variances."""
        below = np.array([float(v) < least for v in q])
        return replace(self, tails=np.where(below, np.inf, self.tails))

    @property
    def targets(self) -> Float:
        """T(q), one row for each of `RHOS`."""
        return np.asarray(np.maximum(_FLOOR, np.minimum(self.tails, 1.0) * _SHARE))

    @property
    def fading(self) -> Float:
        """(RHOS, degrees): |rho|^n, or |rho|^(n-1) in dual_dot."""
        powers = np.maximum(np.arange(len(self.sizes)) - (self.function == "dual_dot"), 0)
        return np.array([float(Fraction(text)) ** powers for text in RHOS])


def sides(q: Sequence[Any], entries: Sequence[Expansion], order: int, jump: bool) -> list[Side]:
    """The sizes of dual, and of dual_dot where phi does not jump."""
    result = []
    for function in ("dual", "dual_dot")[: 1 if jump else 2]:
        slope = function == "dual_dot"
        columns = [_column(v, e, order, slope) for v, e in zip(q, entries, strict=True)]
        parts = [np.array(part).T for part in zip(*columns, strict=True)]
        result.append(Side(function, *parts))
    return result


def _column(
    q: Any, entry: Expansion, order: int, slope: bool
) -> tuple[list[float], list[float], list[float]]:
    """(alpha_n, n <= order; weights; tails) at one variance."""
    whole = entry.slope_square * q if slope else entry.square
    least = _lower(whole)
    if not least > 0:
        return [math.inf] * (order + 1), [math.inf] * (order + 1), [math.inf] * len(RHOS)
    roots = [math.sqrt(n / least if slope else 1 / least) * _UP for n in range(order + 1)]
    kept, beyond = entry.coefficients[: order + 1], entry.coefficients[order + 1 :]
    squares = [a * a * (n if slope else 1) for n, a in enumerate(entry.coefficients)]
    rest = whole - sum(squares[: order + 1], arb(0))
    last = upper(rest - sum(squares[order + 1 :], arb(0)))
    tails = []
    for text in RHOS[:-1]:
        rho, power = float(Fraction(text)), order + (not slope)
        terms = [upper(v) * rho ** (power + i) for i, v in enumerate(squares[order + 1 :])]
        tails.append((sum(terms) + last * rho ** (power + len(beyond))) / least * _UP)
    tails.append(upper(rest) / least * _UP)
    return [upper(a) * r for a, r in zip(kept, roots, strict=True)], roots, tails


def tolerances(found: Sequence[Side], factors: Float) -> Float:
    """eta_n for absolute errors of row n; `factors` (rows, variances): sigma r^power."""
    count = found[0].sizes.shape[0]
    best = np.full(count, _LOOSEST)
    for side in found:
        usable = np.isfinite(side.tails[-1])
        if not usable.any():
            continue
        grown = side.targets[-1, usable] / _FLOOR
        reach = np.sqrt(_FLOOR * grown ** (np.arange(count)[:, None] / count))
        kappa = (factors[:count] * side.weights)[:, usable]
        with np.errstate(divide="ignore"):
            own = (reach / kappa).min(axis=1)
            other = (reach / side.sizes[:, usable]).min(axis=1)
        spread = math.sqrt(count)
        best = np.minimum(best, np.minimum(own * other / (4 * spread), own / (4 * spread)))
    best[:_FULL] = np.minimum(best[:_FULL], 1e-16)
    return np.concatenate([best, np.full(len(factors) - count, best[-1])])


def added(side: Side, errors: Float, eta: Float) -> tuple[float, ...]:
    """2 e a + d^2 for each of `RHOS`: what the table adds at most, in multiples of T.

    `errors`: |a_n| is wrong by.
    """
    usable = np.isfinite(side.tails[-1])
    if not usable.any():
        return (math.inf,) * len(RHOS)
    scale = eta[: len(side.sizes), None]
    wrong = (errors[: len(side.sizes)] * side.weights)[:, usable]
    # (RHOS, variances) sums of squares
    e, a, d = (
        (np.sqrt(side.fading @ (part * part) / side.targets[:, usable])).max(axis=1) * _UP
        for part in (wrong / scale, side.sizes[:, usable] * scale, wrong)
    )
    return tuple(float(value) for value in 2 * e * a + d * d)


_NOTE = (
    "in units of sqrt({unit}); ball arithmetic at {count} variances from {low:.2g} to {high:.2g},"
    " the region's and one neighbour on either side, between them by continuity"
)
_UNITS = {"dual": "k11 k22", "dual_dot": "dual_dot_diag(q11) dual_dot_diag(q22)"}
_JUMP = "uncertified: phi jumps, so dual_dot is no convergent series at rho = +-1"


def bounds(
    found: Sequence[Side], extra: Sequence[Sequence[float]], q: Float, high: float
) -> tuple[ir.Bound, ...]:
    """One bound per function, region and |rho|: tail + extra T, the worst of the region."""
    result = []
    # From the first variance on from which every tail is known to two digits: below it phi is 0
    # within so many sqrt(q) (softshrink) that E[phi^2] is beneath the quadrature's radius.
    unknown = np.any([~(side.tails[-1] <= 1.02) for side in found], axis=0)
    first = int(np.flatnonzero(unknown).max(initial=-1)) + 1
    for low, top in pairwise(REGIONS):
        if float(Fraction(low)) >= high:
            break
        top = top if float(Fraction(top)) < high else repr(high)
        inside = [i for i in range(first, len(q)) if Fraction(low) <= q[i] <= Fraction(top)]
        if not inside:
            continue
        if first:
            low = repr(max(float(Fraction(low)), float(q[first])))
        chosen = slice(max(inside[0] - 1, first), inside[-1] + 2)
        note = {"count": len(q[chosen]), "low": q[chosen][0], "high": q[chosen][-1]}
        for side, more in zip(found, extra, strict=True):
            for rho, tail, part, most in zip(RHOS, side.tails, more, side.targets, strict=True):
                worst = float((tail + part * most)[chosen].max())
                text = _up(worst) if math.isfinite(worst) else None
                words = _NOTE.format(unit=_UNITS[side.function], **note)
                result.append(ir.Bound(side.function, low, top, rho, text, words))
        if len(found) == 1:
            result.append(ir.Bound("dual_dot", low, top, "1", None, _JUMP))
    return tuple(result)


def _up(value: float) -> str:
    """Three digits, rounded up."""
    return format(Decimal(value).normalize(Context(prec=3, rounding=ROUND_UP)), "E")
