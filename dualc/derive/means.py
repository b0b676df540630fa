"""Exact Hermite coefficients at variance 1: univariate moments of atoms under N(0, 1)."""

from __future__ import annotations

from math import factorial

from dualc.derive import algebra
from dualc.derive.algebra import Constant
from dualc.derive.atoms import Key, Sum

_SHOWN = 5  # a_0 .. a_4


def hermite(phi: Sum) -> tuple[str, ...]:
    """a_n = E[phi(Z) He_n(Z)] / sqrt(n!) for n = 0..4, as text in the parameters."""
    out = []
    for n in range(_SHOWN):
        total = sum(
            (
                c * weight * _moment(key, power + k)
                for key, row in phi.items()
                for power, c in row.items()
                for k, weight in _hermite_polynomial(n)
            ),
            algebra.ZERO,
        )
        real, _ = algebra.complex_parts(total / algebra.sqrt(factorial(n)))
        out.append(algebra.text(algebra.short(real)))
    return tuple(out)


def _hermite_polynomial(n: int) -> list[tuple[int, int]]:
    """(power, coefficient) of the probabilists' He_n."""
    return [
        (n - 2 * j, (-1) ** j * factorial(n) // (2**j * factorial(j) * factorial(n - 2 * j)))
        for j in range(n // 2 + 1)
    ]


def _moment(key: Key, power: int) -> Constant:
    """E[Z^power exp(a Z^2 + b Z) link(Z)]: the tilt moves Z to N(m, s2); links only where m = 0."""
    s2 = 1 / (1 - 2 * key.a)
    mean = key.b * s2
    size = algebra.sqrt(s2) * algebra.exp(key.b * mean / 2)
    if key.link is None:
        return size * _gaussian(power, mean, s2)
    if key.b != 0:
        return algebra.undefined()
    v = key.link.kappa**2 * s2 + key.link.zeta
    density = key.link.kappa / algebra.sqrt(2 * algebra.PI * v)
    given = s2 * key.link.zeta / v
    values = [algebra.ONE / 2, s2 * density]
    for k in range(2, power + 1):
        edge = s2 * density * _gaussian(k - 1, algebra.ZERO, given)
        values.append(s2 * (k - 1) * values[k - 2] + edge)
    return size * values[power]


def _gaussian(power: int, mean: Constant, variance: Constant) -> Constant:
    """E[X^power], X ~ N(mean, variance)."""
    values = [algebra.ONE, mean]
    for k in range(2, power + 1):
        values.append(mean * values[k - 1] + variance * (k - 1) * values[k - 2])
    return values[power]
