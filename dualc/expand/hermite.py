"""Certified Hermite coefficients at one variance: Gauss panels, every error inside the radius."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, ctx

from dualc import ir
from dualc.errors import NotSquareIntegrable
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
