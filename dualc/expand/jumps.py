"""What a kink away from 0 gives to a_n(q), exactly: it oscillates in q too fast to interpolate.

Integrating by parts with h_n phi_N = -(h_{n-1} phi_N)'/sqrt(n): where phi^(i) jumps by J_i at c,
a_n gains q^(i/2) sqrt((n-1-i)!/n!) J_i h_{n-1-i}(c/sqrt q) phi_N(c/sqrt q), i < n. For piecewise
polynomials these terms are all there is beyond the polynomial's degree. Where phi is moreover 0
around 0 (softshrink), it is a sum of J_i (x - c)_+^i/i! outwards, and the degrees n <= i too are
exact: q^(i/2) I_{i-n}(c/sqrt q)/sqrt(n!), with I_{-1} = phi_N, I_0 = Q, m I_m(z) = I_{m-2}(z) - z
I_{m-1}(z). There E[phi^2] falls like exp(-c^2/(2 q)), and nothing but the exact terms stays right
relative to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from flint import acb, arb

from dualc.expand.panels import Pieces
from dualc.expand.program import Program

_CIRCLE = 32  # points on the circle that gives Taylor coefficients; errs by (radius/convergence)^32
_RADIUS = 1 / 64
_POLYNOMIAL = 4  # highest degree of the polynomials recognised
_ZERO = 1e-25


@dataclass(frozen=True)
class Jump:
    """At `place`, phi^(i) rises by sizes[i]; balls."""

    place: Any
    sizes: tuple[Any, ...]


def _derivatives(piece: Program, place: Any, count: int) -> list[Any]:
    """phi^(i)(place), i < count, by Cauchy's formula on a circle."""
    turns = [acb(0, 2 * arb.pi() * k / _CIRCLE).exp() for k in range(_CIRCLE)]
    values = [piece.value(place + _RADIUS * turn) for turn in turns]
    found, factorial = [], arb(1)
    for i in range(count):
        total = sum((v * turns[-i * k % _CIRCLE] for k, v in enumerate(values)), acb(0))
        found.append((total / _CIRCLE).real * factorial / arb(_RADIUS) ** i)
        factorial *= i + 1
    return found


def jumps(cut: Pieces) -> tuple[Jump, ...]:
    """The jumps of phi and its derivatives at every kink but 0, whole for piecewise polynomials.

    Elsewhere those of phi and phi' only: further terms grow like q^(i/2), which the table would
    have to cancel.
    """
    raw = []
    for index, place in enumerate(cut.kinks):
        sides = [_derivatives(cut.programs[index + k], place, _CIRCLE // 2) for k in (0, 1)]
        raw.append((place, [b - a for a, b in zip(*sides, strict=True)]))
    away = [(place, sizes) for place, sizes in raw if not place.contains(0)]
    scale = max([1.0, *(float(abs(s).mid()) for _, sizes in away for s in sizes[:2])])
    zero = [[not abs(s) > _ZERO * scale for s in sizes] for _, sizes in away]
    polynomial = all(all(flags[_POLYNOMIAL + 1 : 12]) for flags in zero)
    count = _POLYNOMIAL + 1 if polynomial else 2
    result = []
    for (place, sizes), flags in zip(away, zero, strict=True):
        kept = [arb(0) if none else size for size, none in zip(sizes[:count], flags, strict=False)]
        while kept and kept[-1] == 0:
            kept.pop()
        if kept:
            result.append(Jump(place, tuple(kept)))
    return tuple(result)


def flat_within(cut: Pieces) -> float:
    """The distance from 0 of the nearest kink if phi is 0 as far as that; else 0."""
    if not cut.kinks or any(kink.contains(0) for kink in cut.kinks):
        return 0.0
    nearest = min(abs(float(kink)) for kink in cut.kinks)
    inside = [arb(sign * part * nearest) for sign in (-1, 1) for part in (0.3, 0.9)]
    return nearest if all(cut.value(x) == 0 for x in inside) else 0.0


def is_whole(cut: Pieces, found: tuple[Jump, ...]) -> bool:
    """Whether phi is a piecewise polynomial that is 0 around 0: then the jumps are all of it."""
    if not found or not flat_within(cut):
        return False
    places = [cut.kinks[0] - 3 / arb(2), cut.kinks[-1] + 3 / arb(2)]
    places += [(2 * a + b) / 3 for a, b in pairwise(cut.kinks)]
    return all(_is_sum(cut, found, x.mid()) for x in places)


def _is_sum(cut: Pieces, found: tuple[Jump, ...], x: Any) -> bool:
    """Whether phi(x) is what its jumps between 0 and x make of a function that is 0 around 0."""
    total, sign = arb(0), 1 if x > 0 else -1
    for jump in found:
        if 0 < sign * jump.place < sign * x:
            terms = [s * (x - jump.place) ** i for i, s in enumerate(jump.sizes)]
            total += sign * sum((t / math.factorial(i) for i, t in enumerate(terms)), arb(0))
    return bool(abs(cut.value(x) - total) < _ZERO * 1e5 * (1 + abs(total)))


def _outward(jump: Jump, q: Any, order: int) -> list[Any]:
    """The degrees n <= i of the outward terms J_i (x - c)_+^i/i!."""
    totals = [arb(0)] * (order + 1)
    z = abs(jump.place) / q.sqrt()
    integrals = [(-z * z / 2).exp() / (2 * arb.pi()).sqrt(), (z / arb(2).sqrt()).erfc() / 2]
    for m in range(1, len(jump.sizes)):
        integrals.append((integrals[m - 1] - z * integrals[m]) / m)
    for i, size in enumerate(jump.sizes):
        for n in range(min(i, order) + 1):
            sign = 1 if jump.place > 0 else -((-1) ** (i + n))
            root = arb(math.factorial(n)).sqrt()
            totals[n] += sign * size * q.sqrt() ** i * integrals[i - n + 1] / root
    return totals


def contributions(found: tuple[Jump, ...], q: Any, order: int, whole: bool) -> list[Any]:
    """The sum of the terms above, for n = 0..order."""
    totals = [arb(0)] * (order + 1)
    for jump in found:
        if whole:
            totals = [a + b for a, b in zip(totals, _outward(jump, q, order), strict=True)]
        z = jump.place / q.sqrt()
        before, here = arb(0), (-z * z / 2).exp() / (2 * arb.pi()).sqrt()
        for m in range(order):
            weight = here / arb(m + 1).sqrt()  # sqrt(m!/n!) h_m(z) phi_N(z) for n = m + 1 + i
            for i, size in enumerate(jump.sizes):
                n = m + 1 + i
                if n <= order:
                    totals[n] += size * q.sqrt() ** i * weight
                    weight /= arb(n + 1).sqrt()
            before, here = here, (z * here - arb(m).sqrt() * before) / arb(m + 1).sqrt()
    return totals
