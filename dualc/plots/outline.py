"""phi, its kinks and its dual at variance 1 from a record alone: plain floats, quickly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dualc.ir import Activation, HermiteSeries, Record
from dualc.parse.grammar import read
from dualc.parse.numeric import TROUBLE, floating
from dualc.parse.tree import Node, X

Curve = tuple[tuple[float, float], ...]  # (x, y), y may be NaN where there is nothing to draw
RESOLUTION = 0.02  # of the span of the dual: a third of a row of dots in a chart of eight lines
_REACH = 4.0  # standard deviations of a variance 1


@dataclass(frozen=True)
class Outline:
    """What a small picture shows."""

    phi: Curve  # empty for an entry given by its dual
    dual: Curve  # over rho, at variance 1; NaN where the coefficients do not settle it


def outline(record: Record, points: int = 161) -> Outline:
    """The curves of phi and of the dual, (x, y) at so many places.

    Accuracy: phi to rounding; the dual within RESOLUTION times its span, by the certified tail.
    """
    phi = function_of(record.activation)
    reach = span_of(record.activation)
    xs = [reach * (2 * i / (points - 1) - 1) for i in range(points)]
    curve = tuple((x, phi(x)) for x in xs) if phi else ()
    rhos = [2 * i / (points - 1) - 1 for i in range(points)]
    return Outline(curve, tuple(_mehler(record.hermite, rhos)))


def _mehler(series: HermiteSeries, rhos: list[float]) -> list[tuple[float, float]]:
    """(rho, sum of a_n^2 rho^n); NaN where the tail may come to more than RESOLUTION * span.

    The rest of the series is at most tail |rho|^(order + 1); at rho = 1 it is the tail itself.
    """
    squares = [float(ball.midpoint) ** 2 for ball in series.coefficients]
    tail = float(series.tail.midpoint) + float(series.tail.radius)
    allowed = RESOLUTION * (sum(squares[1:]) + tail)
    found = []
    for rho in rhos:
        value = sum(square * rho**n for n, square in enumerate(squares))
        rest = tail * abs(rho) ** (series.order + 1)
        if rho == 1:
            value += tail
        found.append((rho, value if rest <= allowed or rho == 1 else math.nan))
    return found


def function_of(activation: Activation) -> Callable[[float], float] | None:
    """The function phi at default parameters, NaN where not finite; None if there is no phi."""
    if activation.expression is None:
        return None
    evaluate = floating(read(activation.expression, {"x": X, **_defaults(activation)}, "phi"))

    def phi(x: float) -> float:
        try:
            return float(evaluate({"x": x}))
        except TROUBLE:
            return math.nan

    return phi


def _defaults(activation: Activation) -> dict[str, Node]:
    """What the names of the parameters stand for."""
    return {p.name: read(p.default, {}, p.name) for p in activation.parameters}


def places_of(activation: Activation, places: tuple[str, ...]) -> tuple[float, ...]:
    """Kinks or jumps as floats, at the default parameters."""
    names = _defaults(activation)
    return tuple(float(floating(read(place, names, "place"))({})) for place in places)


def span_of(activation: Activation) -> float:
    """Half the width of the interval around 0 on which phi is worth drawing: its kinks inside."""
    return max([_REACH, *(1.25 * abs(place) for place in places_of(activation, activation.kinks))])
