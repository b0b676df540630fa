"""How phi grows: its degree at infinity, and where E[phi(sqrt(q) Z)^2] ends being finite."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from flint import arb, arb_mat, ctx

from dualc import ir
from dualc.errors import NotSquareIntegrable
from dualc.expand.panels import pieces
from dualc.expand.program import Program

_LARGE = 10**4  # variances of interest end here
_FAR = 28  # log2 of the largest |x| at which growth is read off
_PRECISION = 400


def _log(piece: Program, x: int) -> Any:
    """log|phi(x)| as a ball, -inf for 0; of an upper bound where phi is not told from 0."""
    value = piece.value(arb(x))
    if value == 0 or not value.is_finite():
        return arb.neg_inf() if value == 0 else arb.nan()
    return (arb(value.abs_upper()) if value.contains(0) else abs(value)).log()


def _fit(piece: Program, sign: int, far: int) -> tuple[Any, Any, Any] | None:
    """(c, b, d) of log|phi| = c x^2 + b |x| + d log|x| + e at four points; None if phi is 0."""
    places = [2 ** (far - k) for k in range(4)]
    logs = [_log(piece, sign * x) for x in places]
    if any(not value.is_finite() for value in logs):
        return None if all(value == arb.neg_inf() for value in logs) else (arb.nan(),) * 3
    system = arb_mat([[arb(x) ** 2, arb(x), arb(x).log(), arb(1)] for x in places])
    found = system.solve(arb_mat([[value] for value in logs]))
    return found[0, 0], found[1, 0], found[2, 0]


def growth(activation: ir.Activation) -> tuple[float, float, float]:
    """(c, b, d): |phi| grows like |x|^d exp(c x^2 + b |x|) on the faster side; c inf if faster."""
    with ctx.workprec(_PRECISION):
        cut = pieces(activation)
        sides = [(cut.programs[0], -1), (cut.programs[-1], 1)]
        found = [side for piece, sign in sides if (side := _side(piece, sign)) is not None]
    return max(found, default=(0.0, 0.0, 0.0))


def _side(piece: Program, sign: int) -> tuple[float, float, float] | None:
    """The growth on one side; decay counts as none, since what is bounded needs no allowance."""
    fit = _fit(piece, sign, _FAR)
    if fit is None:
        return None
    if not all(value.is_finite() for value in fit):  # exp(exp(x)): too large for a ball at 2**28
        fit = _fit(piece, sign, 8)
        if fit is None or not all(value.is_finite() for value in fit) or fit[0] > 1:
            return math.inf, 0.0, 0.0
    earlier = _fit(piece, sign, _FAR // 2)
    c, b, d = (float(value) for value in fit)
    if earlier is not None and earlier[0].is_finite() and c > 1e-9 and c > 1.5 * float(earlier[0]):
        return math.inf, 0.0, 0.0  # exp(x^4): the quadratic coefficient itself grows
    if c < -1e-9:
        return 0.0, 0.0, 0.0
    c = 0.0 if c < 1e-9 else c
    b = 0.0 if abs(b) < 1e-6 else b
    return (c, b, d) if c or b > 0 else (0.0, 0.0, max(0.0, d) if b == 0 else 0.0)


def limiting_variance(activation: ir.Activation) -> str | None:
    """The variance at which E[phi(sqrt(q) Z)^2] becomes infinite, None if beyond [0, 1e4].

    exp(x**2) has "1/4", exp(x**4) "0". Raises NotSquareIntegrable, naming it, if it is at most 1.
    """
    if activation.expression is None:
        return None
    c = growth(activation)[0]
    if c == 0.0 or 1 / (4 * c) > _LARGE:
        return None
    if math.isinf(c):
        limit = Fraction(0)
    else:
        limit = 1 / (4 * Fraction(c).limit_denominator(10**4))
        if abs(float(limit) * 4 * c - 1) > 1e-11:  # no simple rational: rounded down
            limit = Fraction(math.floor((1 - 1e-9) / (4 * c) * 10**9), 10**9)
    if limit <= 1:
        raise NotSquareIntegrable(
            f"{activation.name}: E[phi(sqrt(q) Z)^2] is infinite from q = {limit} on;"
            " variance 1 is needed: scale the argument down"
        )
    return str(limit)
