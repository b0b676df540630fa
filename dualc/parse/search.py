"""The zeros of a function of x alone, by its changes of sign on a fine grid: the last resort."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

from dualc.parse import numeric
from dualc.parse.tree import Node, number, text_of

DIGITS = 100  # of a zero that has no radicals: far below every quadrature's error
ROOTS_LIMIT = 64
GRID_RADIUS = 1e3  # ten standard deviations at the largest variance, 1e4

_Points = list[tuple[float, Any]]


class Unlistable(Exception):
    """Roots that are too many, or that cannot be found for certain."""


def grid(radius: float = GRID_RADIUS, steps: int = 1500) -> list[float]:
    """Points of [-radius, radius], dense near 0 and including it."""
    top = math.asinh(radius)
    right = [math.sinh(top * k / steps) for k in range(1, steps)] + [radius]
    return [-x for x in reversed(right)] + [0.0] + right


def by_search(u: Node) -> list[Node]:
    """The zeros of u within |x| <= GRID_RADIUS, as rationals within 10**-DIGITS.

    Raises Unlistable if they are many, or if u seems to touch zero without crossing: such a zero
    has no change of sign to be found by.
    """
    points = _defined(u)
    found = [number(Fraction(x)) for x, value in points if value == 0]
    crossings = [(a, b) for (a, fa), (b, fb) in pairwise(points) if fa * fb < 0]
    if len(found) + len(crossings) > ROOTS_LIMIT:
        raise Unlistable(
            f"{text_of(u)} has more than {ROOTS_LIMIT} zeros for |x| <= {GRID_RADIUS:g}"
        )
    try:
        _refuse_touching(u, points)
    except numeric.TROUBLE:
        raise Unlistable(f"{text_of(u)} cannot be followed to its zeros") from None
    refined = [_bisect(u, a, b) for a, b in crossings]
    return found + [zero for zero in refined if zero is not None]


def _defined(u: Node) -> _Points:
    """The function on the grid, without the points where it is undefined or out of reach."""
    xs = grid()
    points: _Points = []
    for x, rough in zip(xs, numeric.evaluate(u, ({"x": x} for x in xs)), strict=True):
        value = rough
        if value == 0:  # it may be no more than lost digits
            (value,) = numeric.evaluate(u, [{"x": x}], floats=False)
        if value is not None and value != math.inf:
            points.append((x, value))
    return points


def _bisect(u: Node, low: float, high: float) -> Node | None:
    """The zero between two points of opposite sign, or None where the sign changes at a pole."""
    f = numeric.precise(u, 2 * DIGITS)
    a, b = numeric.real(2 * DIGITS, low), numeric.real(2 * DIGITS, high)
    try:
        rises = f({"x": b}) > 0
        while b - a > numeric.real(30, f"1e-{DIGITS + 5}"):
            middle = (a + b) / 2
            a, b = (a, middle) if (f({"x": middle}) > 0) == rises else (middle, b)
    except numeric.TROUBLE:  # a quotient's pole is a kink by the quotient's own rule
        return None
    scaled = a * numeric.real(2 * DIGITS, f"1e{DIGITS}")
    return number(Fraction(int(scaled), 10**DIGITS))  # round() would go through a float


def _refuse_touching(u: Node, points: _Points) -> None:
    for (x0, f0), (x1, f1), (x2, f2) in zip(points, points[1:], points[2:], strict=False):
        is_dip = abs(f1) < min(abs(f0), abs(f2)) and f0 * f1 > 0 and f1 * f2 > 0
        if is_dip and _touches_zero(u, x0, x2, abs(f1)):
            raise Unlistable(f"{text_of(u)} seems to touch zero without crossing near {x1:.6g}")


def _touches_zero(u: Node, low: float, high: float, scale: Any) -> bool:
    """Whether |u|, which dips between two points, goes down to nothing there."""
    try:  # floats are enough to see that most dips stay away from zero
        if _least(numeric.floating(u), low, high, 40) > 1e-6 * scale:
            return False
    except numeric.TROUBLE:
        pass
    least = _least(numeric.precise(u, 60), numeric.real(60, low), numeric.real(60, high), 120)
    return bool(least < 1e-30 * max(scale, 1e-300))


def _least(f: numeric.Function, a: Any, b: Any, steps: int) -> Any:
    """The least |f| between two points around a dip, by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(steps):
        left, right = b - ratio * (b - a), a + ratio * (b - a)
        a, b = (a, right) if abs(f({"x": left})) < abs(f({"x": right})) else (left, b)
    return abs(f({"x": (a + b) / 2}))
