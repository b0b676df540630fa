"""What pages draw: phi between its kinks, and enclosed Hermite coefficients at a few variances.

Everything is ball arithmetic (`expand`), so that a figure can show how far it may be wrong: the
series kept, and a certified bound of the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from flint import arb, ctx

from dualc.describe import properties
from dualc.equations import formulas
from dualc.errors import DualcError, EntryError
from dualc.expand.grid import expansions
from dualc.expand.hermite import Expansion
from dualc.expand.panels import pieces
from dualc.ir import Activation, HermiteSeries, Record

ORDER = 48  # degrees kept: smooth phi need fewer, and with kinks the rest falls off slowly anyway
VARIANCES = tuple(2.0 ** (k / 2) for k in range(-8, 9))  # 1/16..16; floats, taken as exact
ALLOWANCE = 1e-12  # of E[phi^2]: radii and roundings of ORDER + 1 products, see `_enclosure`
_RADIUS = 1e-15  # of sqrt(E[phi^2]), for every coefficient; below it one is written as 0
_REACH, _POINTS = 5.0, 150  # phi is drawn on [-5, 5], from so many points and those it needs
_FINE, _HALVINGS = 7e-4, 5  # of its height: a tenth of a line's width

Point = tuple[float, float]


@dataclass(frozen=True)
class Enclosure:
    """a_0..a_N of phi(sqrt(q) Z) as doubles, and bounds of what a kernel made of them lacks.

    With k(rho) the sum of a_n(q11) a_n(q22) rho**n, and r = abs(rho), the dual differs by at most
    sqrt(tail(q11) tail(q22)) r**(N + 1) + ALLOWANCE sqrt(square(q11) square(q22)): Cauchy-Schwarz.
    So does q dual_dot, the sum of n a_n a_n rho**(n - 1), with `slope_tail`, r**N and
    ALLOWANCE sqrt of the products of square + slope_square.
    """

    q: float
    coefficients: tuple[float, ...]
    square: float  # E[phi(sqrt(q) Z)**2]
    tail: float  # an upper bound of square - sum of a_n**2
    slope_square: float | None = None  # q E[phi'(sqrt(q) Z)**2]; None: unknown, or phi jumps
    slope_tail: float | None = None  # an upper bound of slope_square - sum of n a_n**2


@dataclass(frozen=True)
class Recorded:
    """A coefficient of a record, as doubles."""

    value: float
    radius: float


@dataclass(frozen=True)
class Picture:
    """phi as one polyline between every two kinks, and its enclosures by ascending variance.

    `recorded` holds the record's own coefficients at variance 1, `tail` what they lack of E[phi^2].
    """

    phi: tuple[tuple[Point, ...], ...]
    enclosures: tuple[Enclosure, ...]
    recorded: tuple[Recorded, ...]
    tail: float

    def at(self, q: float) -> Enclosure | None:
        """The enclosure at that variance, if there is one."""
        return next((e for e in self.enclosures if e.q == q), None)


def picture(record: Record) -> Picture:
    """What the pages of an activation draw.

    A variance at which the engine gives no narrow enclosure is left out. An entry given by its dual
    has no phi and one variance, 1: what its record says.
    Raises EntryError if what should be numbers and a formula in the record is none.
    """
    try:
        formulas(record), properties(record)  # whatever pages say is readable, or none is made
        recorded, tail = _recorded(record.hermite)
        if record.activation.expression is None:
            return Picture((), (_of_record(recorded, tail),), recorded, tail)
        high = float(Decimal(record.plan.domain_high))
        entries = _expansions(record.activation, [q for q in VARIANCES if q <= high])
        phi = _phi(record.activation)
    except (ArithmeticError, LookupError, SyntaxError, TypeError, ValueError) as error:
        message = f"the record of {record.name} is damaged ({error})."
        raise EntryError(f"{message}  Run: dualc compile {record.name}") from None
    found = [_enclosure(e, q, bool(record.form.jumps)) for q, e in entries]
    return Picture(phi, tuple(e for e in found if e is not None), recorded, tail)


def _recorded(series: HermiteSeries) -> tuple[tuple[Recorded, ...], float]:
    """The coefficients and an upper bound of the tail; ValueError if one is no number to square."""
    numbers = [
        (float(ball.midpoint), float(ball.radius)) for ball in (*series.coefficients, series.tail)
    ]
    if not all(abs(number) < 1e150 for pair in numbers for number in pair):
        raise ValueError("a coefficient is not finite, or too large to be squared")
    *kept, (middle, radius) = numbers
    return tuple(Recorded(*pair) for pair in kept), max(0.0, middle + radius)


def _expansions(
    activation: Activation, variances: Sequence[float]
) -> tuple[tuple[float, Expansion], ...]:
    """The expansions, as far up as phi is square integrable and bounded well."""
    for count in range(len(variances), 0, -1):
        try:
            found = expansions(activation, [arb(q) for q in variances[:count]], ORDER, 20)
        except DualcError:
            continue
        return tuple(zip(variances, found.entries, strict=False))
    return ()


def _enclosure(found: Expansion, q: float, jumps: bool) -> Enclosure | None:
    """The enclosure at a variance; None if it is too wide for `ALLOWANCE` to speak for it.

    What is kept errs by 2e-15 sqrt(square) at most. So the sum of N + 1 products a_n b_n errs by
    4e-15 sqrt(N + 1) square, and of n a_n b_n by 4e-15 sqrt(N**3 / 3 + N**2) square: 8e-13 square.
    """
    with ctx.workprec(200):
        size = float(found.square.sqrt().mid())
        radii = [float(a.rad()) for a in (*found.coefficients, found.square / max(size, 1e-300))]
        if not 0 < size < math.inf or max(radii) > _RADIUS * size:
            return None
        kept = tuple(float(a.mid()) for a in found.coefficients)
        shown = tuple(a if abs(a) > _RADIUS * size else 0.0 for a in kept)
        slope, slope_tail = (None, None) if jumps else _slope(found, q)
        tail = _upper(found.tail())
        return Enclosure(q, shown, float(found.square.mid()), tail, slope, slope_tail)


def _slope(found: Expansion, q: float) -> tuple[float, float] | tuple[None, None]:
    """Upper bounds of q E[phi'**2] and of what the degrees kept lack of it."""
    square = arb(q) * found.slope_square
    rest = square - sum((n * a * a for n, a in enumerate(found.coefficients)), arb(0))
    if not rest.is_finite():
        return None, None
    return _upper(square), _upper(rest)


def _upper(ball: Any) -> float:
    """The least double that is no less than anything in the ball, and not below 0."""
    return max(0.0, math.nextafter(float(ball.upper()), math.inf))


def _of_record(recorded: Sequence[Recorded], tail: float) -> Enclosure:
    """At variance 1, from the record: E[phi^2] is the sum of squares and the tail."""
    kept = tuple(ball.value for ball in recorded)
    return Enclosure(1.0, kept, math.fsum([*(a * a for a in kept), tail]), tail)


def _phi(activation: Activation) -> tuple[tuple[Point, ...], ...]:
    """Polylines of phi on [-5, 5]; its limits at both sides of a kink are the ends of two.

    They are off by less than a line is wide; straight lines have two points.
    """
    with ctx.workdps(30):
        cut = pieces(activation)
        inner = [k for k in cut.kinks if abs(k) < _REACH]
        lines = []
        for low, high in pairwise([arb(-_REACH), *inner, arb(_REACH)]):
            program = cut.at((low + high) / 2)
            count = max(2, math.ceil(_POINTS * float(high - low) / (2 * _REACH)))
            places = [low + (high - low) * k / count for k in range(count + 1)]
            points = [(float(x), float(program.value(x))) for x in places]
            lines.append(([p for p in points if math.isfinite(p[1])], program))
        heights = [y for points, _ in lines for _, y in points]
        fine = _FINE * (max(heights) - min(heights)) if heights else 0.0
        drawn = (_refined(points, program.value, fine) for points, program in lines)
        return tuple(tuple(_straightened(line, fine)) for line in drawn if len(line) > 1)


def _refined(points: list[Point], value: Callable[[Any], Any], fine: float) -> list[Point]:
    """The points, and more where a line between two of them is off in its middle."""
    found = points[:1]
    for a, b in pairwise(points):
        found += _between_points(a, b, value, fine, _HALVINGS)
    return found


def _between_points(
    a: Point, b: Point, value: Callable[[Any], Any], fine: float, left: int
) -> list[Point]:
    x = (a[0] + b[0]) / 2
    y = float(value(arb(x)))
    if not left or not abs(y - (a[1] + b[1]) / 2) > fine:
        return [b]
    middle = (x, y)
    return [
        *_between_points(a, middle, value, fine, left - 1),
        *_between_points(middle, b, value, fine, left - 1),
    ]


def _straightened(points: list[Point], fine: float) -> list[Point]:
    """Without the points that a line passes within `fine`: slopes from the last one kept."""
    kept, (low, high) = points[:1], (-math.inf, math.inf)
    for before, point in pairwise(points):
        (x0, y0), (x, y) = kept[-1], point
        if not low <= (y - y0) / (x - x0) <= high:
            kept.append(before)
            (x0, y0), (low, high) = before, (-math.inf, math.inf)
        low = max(low, (y - fine - y0) / (x - x0))
        high = min(high, (y + fine - y0) / (x - x0))
    return [*kept, points[-1]]


def dual(e: Enclosure, rho: float) -> tuple[float, float]:
    """(low, high) around the dual at q11 = q22 = q."""
    squares = [a * a for a in e.coefficients]
    return _between(squares, e.tail, len(squares), ALLOWANCE * e.square, rho)


def slope_dual(e: Enclosure, rho: float) -> tuple[float, float] | None:
    """(low, high) around q times dual_dot at q11 = q22 = q; None if nothing bounds it."""
    if e.slope_square is None or e.slope_tail is None:
        return None
    terms = [n * a * a for n, a in enumerate(e.coefficients)][1:]
    slack = ALLOWANCE * (e.square + e.slope_square)
    return _between(terms, e.slope_tail, len(terms), slack, rho)


def _between(
    terms: Sequence[float], tail: float, degree: int, slack: float, rho: float
) -> tuple[float, float]:
    """Bounds of a power series from `terms` and the sum of its later, nonnegative coefficients."""
    kept = 0.0
    for term in reversed(terms):
        kept = kept * rho + term
    rest = tail * abs(rho) ** degree + slack
    return kept - (slack if rho >= 0 else rest), kept + rest
