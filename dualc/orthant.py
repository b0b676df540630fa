"""E[max(u, 0)**m max(+-v, 0)**n] in elementary terms: arc-cosine kernels, unequal powers too."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cache

_MOMENT = re.compile(r"E\[max\(u, 0\)\*\*(\d+)\*max\((-?)v, 0\)\*\*(\d+)\]")
_MOST = 12  # degrees in all; nobody reads more
_Powers = tuple[int, int, int, int]  # of q12, q11, q22 and D
_Polynomial = Mapping[_Powers, Fraction]


def with_orthants(text: str) -> str:
    """The formula with every such moment of even degree written out."""
    return _MOMENT.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    m, n, is_opposite = int(found[1]), int(found[3]), found[2] == "-"
    if (m + n) % 2 or m + n > _MOST:
        return found[0]
    angle, root = (_text(p, "(-q12)" if is_opposite else "q12") for p in _moment(m, n))
    run = "q12" if is_opposite else "-q12"
    return f"(({angle})*atan2(sqrt(D), {run}) + ({root})*sqrt(D))/(2*pi)"


@cache
def _moment(m: int, n: int) -> tuple[_Polynomial, _Polynomial]:
    """(A, B) of E[max(u, 0)**m max(v, 0)**n] = (A atan2(sqrt(D), -q12) + B sqrt(D))/(2 pi).

    Stein's identity: E[u g] = q11 E[dg/du] + q12 E[dg/dv]; the derivative of a step is a mass.
    """
    if (m, n) == (0, 0):
        return {(0, 0, 0, 0): Fraction(1)}, {}
    if (m, n) == (1, 1):
        return {(1, 0, 0, 0): Fraction(1)}, {(0, 0, 0, 0): Fraction(1)}
    if m < 2:
        a, b = ({(i, k, j, d): c for (i, j, k, d), c in p.items()} for p in _moment(n, m))
        return a, b
    angle, root = (_times(p, (0, 1, 0, 0), m - 1) for p in _moment(m - 2, n))
    if n:
        other = [_times(p, (1, 0, 0, 0), n) for p in _moment(m - 1, n - 1)]
        return _sum(angle, other[0]), _sum(root, other[1])
    half = m // 2 - 1  # q12 E[max(u, 0)**(m - 1) delta(v)], u given v = 0 of variance D/q22
    mass = Fraction(2**half * math.factorial(half))
    return angle, _sum(root, {(1, 0, -half - 1, half): mass})


def _times(p: _Polynomial, powers: _Powers, factor: int) -> _Polynomial:
    a, b, c, d = powers
    return {(i + a, j + b, k + c, m + d): factor * x for (i, j, k, m), x in p.items()}


def _sum(p: _Polynomial, q: _Polynomial) -> _Polynomial:
    return {key: p.get(key, Fraction(0)) + q.get(key, Fraction(0)) for key in (*p, *q)}


def _text(p: _Polynomial, q12: str) -> str:
    names = (q12, "q11", "q22", "D")
    rows = [
        "*".join([str(c), *(f"{name}**{power}" for name, power in zip(names, key, strict=True))])
        for key, c in p.items()
    ]
    return " + ".join(rows) or "0"
