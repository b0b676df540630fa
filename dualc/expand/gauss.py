"""Gauss rules of any measure, from a discretised one: nodes and weights in balls.

Stieltjes' procedure gives the recurrence of the orthogonal polynomials, the eigenvalues of its
Jacobi matrix 15 digits of the nodes, Newton's method the rest.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
from flint import arb

Ball = Any  # arb: python-flint has no types
Size = TypeVar("Size")


def gauss(points: Sequence[Ball], weights: Sequence[Ball], count: int) -> list[tuple[Ball, Ball]]:
    """(node, weight) of the rule with `count` nodes, ascending, at the working precision."""
    diagonal, beside = _recurrence(points, weights, count)
    rows = []
    for start in _eigenvalues(diagonal, beside):
        x = arb(start)
        for _ in range(3):  # to 30 and 60 digits, and the weight there
            value, rate, weight = _polynomials(x, diagonal, beside)
            x = (x - value / rate).mid()
        rows.append((x, weight))
    return rows


def shortest(
    sizes: Sequence[Size], error: Callable[[Size], float], wanted: float
) -> tuple[Size, float]:
    """The first size whose error is at most `wanted`, or the last, and its error.

    By bisection: errors fall from one size to the next.
    """
    known = cache(error)
    if not known(sizes[-1]) <= wanted:
        return sizes[-1], known(sizes[-1])
    first = bisect_left(sizes, -wanted, key=lambda size: -known(size))
    size = sizes[min(first, len(sizes) - 1)]
    return size, known(size)


def trapezoid(
    low: str, high: str, steps: int, node: Callable[[Ball], tuple[Ball, Ball]]
) -> tuple[list[Ball], list[Ball]]:
    """Points and weights from t -> (point, density times its rate in t), t from low to high."""
    width = (arb(high) - arb(low)) / steps
    rows = [node(arb(low) + width * i) for i in range(steps + 1)]
    return [x.mid() for x, _ in rows], [(w * width).mid() for _, w in rows]


def _recurrence(
    points: Sequence[Ball], weights: Sequence[Ball], count: int
) -> tuple[list[Ball], list[Ball]]:
    """The coefficients of the orthogonal polynomials' recurrence, by Stieltjes' procedure."""
    before, here = [arb(0)] * len(points), [arb(1)] * len(points)
    diagonal: list[Ball] = []
    beside: list[Ball] = []
    norm = arb(1)
    for k in range(count):
        dense = [(w * h * h).mid() for w, h in zip(weights, here, strict=True)]
        square = sum(dense, arb(0)).mid()
        mean = sum((x * d for x, d in zip(points, dense, strict=True)), arb(0)) / square
        diagonal.append(mean.mid())
        beside.append((square / norm).mid())
        norm, shift = square, (beside[k] if k else arb(0))
        after = [
            ((x - diagonal[k]) * h - shift * b).mid()
            for x, h, b in zip(points, here, before, strict=True)
        ]
        before, here = here, after
    return diagonal, beside


def _eigenvalues(diagonal: Sequence[Ball], beside: Sequence[Ball]) -> list[float]:
    """Those of the Jacobi matrix, to about 15 digits."""
    roots = [float(b) ** 0.5 for b in beside[1:]]
    matrix = np.diag([float(a) for a in diagonal]) + np.diag(roots, 1) + np.diag(roots, -1)
    return [float(x) for x in np.linalg.eigvalsh(matrix)]


def _polynomials(
    x: Ball, diagonal: Sequence[Ball], beside: Sequence[Ball]
) -> tuple[Ball, Ball, Ball]:
    """The last polynomial at x up to a factor, its derivative, and Christoffel's weight."""
    roots = [b.sqrt() for b in beside] + [arb(1)]
    before, here, rate_before, rate = arb(0), 1 / roots[0], arb(0), arb(0)
    total = arb(0)
    for k, a in enumerate(diagonal):
        total += here * here
        back = roots[k] if k else arb(0)
        after = ((x - a) * here - back * before) / roots[k + 1]
        rate_after = ((x - a) * rate + here - back * rate_before) / roots[k + 1]
        before, here, rate_before, rate = here, after.mid(), rate, rate_after.mid()
    return here, rate, (1 / total).mid()
