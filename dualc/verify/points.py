"""Where emitted functions are judged: points (q12, q11, q22) exact in the judged dtype."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

PointTuple = tuple[float, float, float]

_NEAR = 1 - 2.0**-20
_GENERIC = (0.04, 0.11, 0.23, 0.37, 0.52, 0.68, 0.83, 0.955)  # of both signs: sixteen
# rho, q11, q22; variances are rounded to float32, so that both dtypes share them, and few: the
# oracle keeps what it knows of each. Where rho = +-1 sqrt(q11 q22) is exact.
_HARD = (
    (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 1.0, 1.0), (-1.0, 1.0, 1.0),
    (1.0, 1e4, 1e4), (1.0, 1e-6, 1e-6), (-1.0, 0.25, 1.0), (1.0, 0.25, 1.0), (1.0, 0.25, 1e4),
    (0.0, 1.0, 1.0), (0.0, 1e-6, 1e4), (1e-3, 1.0, 1.0), (-1e-3, 1e-6, 1e4),
    (_NEAR, 1.0, 1.0), (-_NEAR, 1.0, 1.0), (_NEAR, 1e4, 1e4), (-_NEAR, 1e-6, 1e-6),
    (-_NEAR, 0.25, 1.0), (_NEAR, 0.25, 1e4), (0.3, 1.0, 1.0), (-0.7, 1.0, 1.0), (0.9, 1.0, 2.3),
    (-0.93, 1.0, 2.3), (-0.5, 1e-2, 10.0), (0.6, 1e4, 1e4), (0.4, 1e-6, 1e-6), (-0.7, 1e-6, 1e4),
)  # fmt: skip
_FULL = (
    (1e-6, 1e-6), (1e-4, 1e-4), (1e-2, 1e-2), (0.3, 0.3), (1.0, 1.0), (4.0, 4.0), (100.0, 100.0),
    (1e4, 1e4), (1e-6, 1e-4), (0.25, 1.0), (1.0, 2.3), (1e-2, 10.0), (1.0, 1e4), (1e-6, 1e4),
)  # fmt: skip


def _single(value: float) -> float:
    return float(np.float32(value))


def _variance(q: float, high: float) -> float:
    """A variance inside the domain; what lies beyond its upper end moves to 3/4 of it."""
    return _single(q if q <= high else 0.75 * high)


def _point(rho: float, q11: float, q22: float, single: bool) -> PointTuple:
    """q12 = rho sqrt(q11 q22), rounded to the dtype; exactly +-q where rho = +-1 and q11 = q22.

    |q12| is rounded down where rho = +-1: beyond the square root there is no kernel to be right
    about, and what is judged at rho = +-1 could be no better than that rounding.
    """
    q12 = rho * (q11 if q11 == q22 else math.sqrt(q11 * q22))
    if not single:
        return q12, q11, q22
    q12 = _single(q12)
    if abs(rho) == 1 and Fraction(q12) ** 2 > Fraction(q11) * Fraction(q22):
        q12 = float(np.nextafter(np.float32(q12), np.float32(0)))
    return q12, q11, q22


def _next_to(value: Fraction, high: float) -> Iterable[tuple[float, float, float]]:
    """(rho, q11, q22) on both sides of a threshold: a variance, |rho| or sqrt(D)/|q12|."""
    for side in (1 - 2.0**-18, 1 + 2.0**-18):
        t = float(value) * side
        if 0 < t <= high:
            yield from ((0.6, t, t), (-0.6, t, t), (0.5, t, 1.0 if high >= 1 else t))
        if 0 < t < 1:
            yield from ((t, 1.0, 1.0), (-t, 1.0, 1.0))
        if t > 0:
            yield (-1 / math.sqrt(1 + t * t), 1.0, 1.0)


def _thresholds(texts: Sequence[str | float]) -> list[Fraction]:
    """The thresholds as numbers; "4/5" and "1e-3" are both read."""
    return sorted({Fraction(text) for text in texts})


def points(
    grid: str, dtype: str, *, high: float = 1e4, thresholds: Sequence[str | float] = ()
) -> tuple[PointTuple, ...]:
    """The points of a grid ("hard": about 30; "full": the whole) for "float32" or "float64".

    Variances are float32 numbers in both; in float64 generic q12 have full mantissas (otherwise
    q12^2 would be exact), so only the special points are common to both dtypes.
    """
    single = dtype == "float32"
    places: list[tuple[float, float, float]] = list(_HARD)
    if grid == "full":
        places += [(1.0, 1e-2, 0.0), (0.0, 1e4, 0.0), (0.0, 0.0, 1e-6)]
        for q11, q22 in _FULL:
            places += [(rho, q11, q22) for rho in (-1.0, -_NEAR, 0.0, _NEAR, 1.0)]
            places += [(sign * rho, q11, q22) for rho in _GENERIC for sign in (1, -1)]
    for value in _thresholds(thresholds):
        places += _next_to(value, high)
    found: dict[PointTuple, None] = {}
    for rho, q11, q22 in places:
        a, b = _variance(q11, high), _variance(q22, high)
        shared = single or 1e4 in (q11, q22) or abs(rho) in (0.0, 1.0, _NEAR)
        point = _point(0.0 if 0.0 in (a, b) else rho, a, b, shared)
        found.setdefault(point)
    return tuple(found)


def gap(point: PointTuple) -> Fraction:
    """D in exact arithmetic."""
    q12, q11, q22 = (Fraction(v) for v in point)
    return q11 * q22 - q12 * q12


def region(point: PointTuple) -> str:
    """boundary: rho = +-1 or a variance 0; edge: 1 - |rho| below 2^-13; generic: the rest."""
    d, scale = gap(point), Fraction(point[1]) * Fraction(point[2])
    if scale == 0 or d <= 0:
        return "boundary"
    return "edge" if d < scale / 2**12 else "generic"
