"""Certified Hermite coefficients at one variance: Gauss panels, every error inside the radius."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from flint import arb, arb_series, ctx

from dualc import ir
from dualc.errors import NotSquareIntegrable
from dualc.expand import program as programs
from dualc.expand.panels import (
    RHO,
    SLACK,
    Panel,
    cover,
    log_integrand_bounds,
    log_rule_error,
    pieces,
)
from dualc.expand.window import envelope, log_tails, window

_DIGITS = 40  # absolute, relative to sup|phi| near 1; more where a coefficient is small
_MOST = 320  # a coefficient that is not seen at this many digits is reported as a ball around 0
_WANTED = 32  # correct digits of every coefficient that is not zero


@dataclass(frozen=True)
class Expansion:
    """Balls of a_0..a_N, of E[phi^2] and of the almost-everywhere E[phi'^2] at one variance."""

    coefficients: tuple[Any, ...]
    square: Any
    slope_square: Any

    def tail(self) -> Any:
        """E[phi^2] minus the sum of squares of the kept coefficients."""
        return self.square - sum((a * a for a in self.coefficients), arb(0))


def ball_of_size(logs: Any) -> Any:
    """The ball around 0 with the sum of exp(logs) as radius."""
    return arb(0, 1) * sum((arb(float(x)).exp() for x in logs if x > -math.inf), arb(0))


def _errors(panels: Sequence[Panel], q: float, order: int, points: int) -> list[Any]:
    """Balls around 0: the Gauss rules' error in a_n (any n <= order), E[phi^2], E[phi'^2]."""
    logs = log_integrand_bounds(panels, np.array([q]), order)[:, :, 0]
    return [ball_of_size(row + log_rule_error(panels, points)) for row in logs]


def _sums(panels: Sequence[Panel], q: Any, order: int) -> Expansion:
    """The Gauss sums, without their error."""
    scale, roots = 1 / q.sqrt(), [arb(n).sqrt() for n in range(order + 1)]
    unit = scale / (2 * arb.pi()).sqrt()
    totals = [arb(0)] * (order + 1)
    square, slope_square = arb(0), arb(0)
    for panel in panels:
        for x, w, value, slope in zip(
            panel.nodes, panel.weights, panel.values, panel.slopes, strict=True
        ):
            z = x * scale
            weight = w * unit * (-z * z / 2).exp()
            weighted = weight * value
            square += weighted * value
            slope_square += weight * slope * slope
            before, here = arb(0), weighted
            for n in range(order):
                totals[n] += here
                before, here = here, (z * here - roots[n] * before) / roots[n + 1]
            totals[order] += here
    return Expansion(tuple(totals), square, slope_square)


def expansion(
    activation: ir.Activation, q: Any, order: int, digits: int, *, slack: float = 0.0
) -> Expansion:
    """The expansion at variance q, radii about 10**-digits of the size of phi near sqrt q.

    `slack`, a natural logarithm, is wanted where phi is a difference far below its parts.
    The precision covers the recurrence of h_n, which in balls loses n/2 bits under the Gaussian.
    """
    with ctx.workprec(int(digits * 3.33) + order // 2 + 60):
        variance = arb(q)
        size = float(variance)
        bounds = envelope(pieces(activation))
        start = window(bounds, size, order, digits + 1)
        tails = log_tails(bounds, size, order, start)
        if not max(tails[:2]) < math.inf:
            raise NotSquareIntegrable(
                f"{activation.name}: E[phi(sqrt(q) Z)^2] could not be bounded at q = {q}"
            )
        slack = max(
            SLACK, digits / 2, slack
        )  # with many digits wide panels pay, though phi grows around
        points = math.ceil((digits * math.log(10) + slack) / (2 * math.log(RHO))) + 6
        # h_n oscillates: narrower panels and no growth outwards where n is large.
        half, growth = min(1.0, 8 / math.sqrt(order + 1)), (0.2 if order <= 72 else 0.0)
        outer = float(bounds.edges[start])
        inner = half * math.sqrt(size)
        panels = cover(activation, inner, outer, points, growth=growth, slack=slack)
        sums = _sums(panels, variance, order)
        errors = _errors(panels, size, order, points)
        errors = [e + ball_of_size([t]) for e, t in zip(errors, tails, strict=True)]
        return Expansion(
            tuple(a + errors[0] for a in sums.coefficients),
            sums.square + errors[1],
            sums.slope_square + errors[2],
        )


def coefficients(
    activation: ir.Activation, q: Any, order: int, digits: int = 30
) -> tuple[Any, ...]:
    """Balls of a_0(q)..a_order(q), radii about 10**-digits; (phi(0), 0, ...) at q = 0.

    Any order up to 1000 (where a few seconds are needed).
    """
    if arb(q) == 0:
        with ctx.workdps(digits + 10):
            return (at_zero(activation), *([arb(0)] * order))
    return expansion(activation, q, order, digits).coefficients


def at_zero(activation: ir.Activation) -> Any:
    """phi(0), the mean of both sides where phi jumps there."""
    cut = pieces(activation)
    touching = {sum(1 for k in cut.kinks if k < 0), sum(1 for k in cut.kinks if not k > 0)}
    values = [cut.programs[index].value(arb(0)) for index in sorted(touching)]
    return sum(values, arb(0)) / len(values)


def _text(ball: Any) -> ir.Ball:
    """Decimal text, the radius twice the ball's: a much narrower ball of the number lies inside."""
    doubled = ball + 2 * (ball - ball.mid())
    middle, radius, exponent = doubled.mid_rad_10exp(60)
    if radius == 0:
        return ir.Ball(f"{int(middle)}e{int(exponent)}" if middle else "0", "0")
    keep = max(
        0, len(str(int(radius))) - 3
    )  # digits of the midpoint far below the radius say nothing
    short = (int(middle) + (10**keep) // 2) // 10**keep
    wide = (int(radius) + 10**keep) // 10**keep + 2
    exponent = int(exponent) + keep
    return ir.Ball(f"{short}e{exponent}" if short else "0", f"{wide}e{exponent}")


def _polynomial_parities(activation: ir.Activation) -> set[int]:
    """Parities (0 even, 1 odd) whose part of phi looks like a polynomial of degree below 20.

    gelu's odd part is x/2: a_3, a_5, ... are 0. This decides about effort only, never about a
    radius.
    """
    with ctx.workdps(80):
        cut = pieces(activation)
        found = set()
        for parity in (0, 1):
            places = [arb(k) / 3 + arb(1) / 64 for k in range(1, 24)]
            values = [cut.value(x) + (-1) ** parity * cut.value(-x) for x in places]
            for _ in range(20):
                values = [b - a for a, b in pairwise(values)]
            if all(v.contains(0) for v in values):
                found.add(parity)
        return found


def _lacking(values: Sequence[Any], zero: set[int], digits: int) -> int:
    """Digits that the worst coefficient lacks; those of the parities in `zero` may be 0."""
    bits = [int(a.rel_accuracy_bits()) for a in values if not a.contains(0)]
    hidden = any(a.contains(0) and n % 2 not in zero for n, a in enumerate(values))
    lacking = max([0, *(math.ceil(_WANTED - b / 3.33) for b in bits)])
    return max(lacking, digits) if hidden and digits < _MOST else lacking


def _from_dual(activation: ir.Activation, order: int) -> ir.HermiteSeries:
    """An entry given by its dual: a_n = sqrt of the coefficient of rho^n at unit variances."""
    if activation.dual is None:
        raise ValueError("neither phi nor a dual")
    with ctx.workdps(2 * _WANTED + order):
        names = programs.parameter_values(activation) | {
            "q11": arb(1),
            "q22": arb(1),
            "pi": arb.pi(),
        }
        previous, ctx.cap = ctx.cap, order + 1
        try:
            series = ir.fold(activation.dual, _SERIES, names | {"rho": arb_series([0, 1])})
            squares = [arb_series([1]) * series][0]
            terms = [squares[n] for n in range(order + 1)]
        finally:
            ctx.cap = previous
        total = ir.fold(activation.dual, _SERIES, names | {"rho": arb(1)})
        tail = total - sum(terms, arb(0))
        return ir.HermiteSeries(order, tuple(_text(t.sqrt()) for t in terms), _text(tail))


_SERIES: dict[str, Callable[..., Any]] = {
    "number": arb,
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a ** (int(b.unique_fmpz()) if b.is_integer() else b),
    "exp": lambda a: a.exp(),
    "log": lambda a: a.log(),
    "sqrt": lambda a: a.sqrt(),
    "sin": lambda a: a.sin(),
    "cos": lambda a: a.cos(),
    "atan": lambda a: a.atan(),
}


def hermite_series(activation: ir.Activation, order: int) -> ir.HermiteSeries:
    """a_n = E[phi(Z) h_n(Z)] for n = 0..order and the tail, as certified decimal balls.

    Every coefficient that is not zero has 30 correct digits or more. Radii are twice what the ball
    arithmetic gives, so that a computation of wider precision nests. Raises NotSquareIntegrable if
    E[phi(Z)^2] diverges. Law: the sum of a_n^2 over all n is E[phi(Z)^2]; `tail` is what the kept
    ones lack.
    """
    if activation.expression is None:
        return _from_dual(activation, order)
    digits = _DIGITS
    found = expansion(activation, 1, order, digits)
    zero = _polynomial_parities(activation)
    for _ in range(3):
        lacking = _lacking(found.coefficients, zero, digits)
        if lacking == 0:
            break
        digits += lacking + 2
        found = expansion(activation, 1, order, digits)
    with ctx.workdps(digits + 30):
        texts = tuple(_text(a) for a in found.coefficients)
        return ir.HermiteSeries(order, texts, _text(found.tail()))
