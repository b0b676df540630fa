"""Moments of half-line powers near rho = 0: the product of two means, and what they differ by it.

scale relu(x)^2 + bias has mean 0 at variance 1 by design. There, near rho = 0, its dual is much
smaller than the moments that add up to it. Less the product of the means nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sympy as sp

from dualc.derive import algebra
from dualc.derive.algebra import Constant
from dualc.derive.field import Field
from dualc.derive.sides import Component, Side
from dualc.ir import Formula, Term

SWITCH = "4*rho"  # the series in rho of what is left serves for |rho| < 1/4


class _HalfLines(NamedTuple):
    """A constant, and the coefficients of max(x, 0)**i (sign 1) and max(-x, 0)**i (-1)."""

    constant: Constant
    powers: dict[tuple[int, int], Constant]  # (sign, i)


def near_independence(
    found: Formula, pairs: Sequence[tuple[Side, Side]], k: Field, defaults: Mapping[Any, Any]
) -> Formula:
    """The formula, the sum over pairs of E[f(u) g(v)], with a form near rho = 0 if it needs one.

    It does where a mean changes sign with the variance. Law: both forms are the same function.
    """
    sides = [tuple(map(_half_lines, pair)) for pair in pairs]
    known = [(f, g) for f, g in sides if f is not None and g is not None]
    if found.near or len(known) < len(sides):
        return found
    if not any(c.link for pair in pairs for side in pair for c in side.components):
        return found  # polynomials, by Hermite degree already
    if not any(_may_vanish(x, defaults) for pair in known for x in pair):
        return found
    products, apart = [], dict[tuple[int, int, int], Constant]()
    for f, g in known:
        products.append(_product(f, g))
        for (s, i), a in f.powers.items():
            for (t, j), b in g.powers.items():
                key = i, j, s * t
                apart[key] = algebra.tidy(apart.get(key, algebra.ZERO) + a * b)
    near = [
        Term(k.text(k.normal(k.element(c))), "", "", "excess", (str(i), str(j), str(sign)))
        for (i, j, sign), c in sorted(apart.items())
        if c != 0
    ]
    return Formula(found.name, found.terms, (*products, *near), SWITCH)


def _half_lines(side: Side) -> _HalfLines | None:
    """A polynomial with a kink at 0 by its half lines; None for anything else."""
    if side.masses or not all(map(_is_plain, side.components)):
        return None
    constant, powers = algebra.ZERO, dict[tuple[int, int], Constant]()
    for c in side.components:
        for i, value in c.polynomial:
            if not c.link and i == 0:
                constant += value
                continue
            for sign in (1, -1):
                weight = _weight(c.link, sign) * (-1 if sign < 0 and i % 2 else 1)
                total = powers.get((sign, i), algebra.ZERO) + weight * value
                powers[sign, i] = algebra.tidy(total)
    return _HalfLines(algebra.tidy(constant), {key: c for key, c in powers.items() if c != 0})


def _is_plain(c: Component) -> bool:
    return c.a == 0 and c.b == 0 and c.tau == 0 and not (c.link and c.zeta)


def _weight(link: str, sign: int) -> Constant:
    """What a step is on the side of that sign."""
    if link == "o":
        return algebra.ONE / 2 * sign
    return algebra.ONE if link in ("", "+" if sign > 0 else "-") else algebra.ZERO


def _mean_rows(f: _HalfLines) -> dict[int, Constant]:
    """E[f(u)] as coefficients of powers of the standard deviation."""
    rows = {0: f.constant}
    for (_, i), c in f.powers.items():
        moment = sp.sqrt(2) ** i * sp.gamma(sp.Rational(i + 1, 2)) / (2 * sp.sqrt(sp.pi))
        rows[i] = algebra.tidy(rows.get(i, algebra.ZERO) + c * moment)
    return {i: c for i, c in sorted(rows.items()) if c != 0}


def _may_vanish(f: _HalfLines, defaults: Mapping[Any, Any]) -> bool:
    """Whether the mean has terms of both signs at the default parameters."""
    return len({algebra.real_value(c, defaults) > 0 for c in _mean_rows(f).values()}) > 1


def _product(f: _HalfLines, g: _HalfLines) -> Term:
    """E[f(u)] E[g(v)]; without parameters 1 - sqrt(q) times a number, which vanishes exactly."""
    (one, left), (two, right) = (_monic(_mean_rows(x)) for x in (f, g))
    means = _text(left, "q11"), _text(right, "q22")
    return Term(algebra.text(one * two), "", "", "product", means)


def _monic(rows: dict[int, Constant]) -> tuple[Constant, dict[int, Constant]]:
    """A number, and the rows over it."""
    if not rows or any(c.free_symbols for c in rows.values()):
        return algebra.ONE, rows
    first = next(iter(rows.values()))
    return first, {i: algebra.short(c / first) for i, c in rows.items()}


def _text(rows: dict[int, Constant], q: str) -> str:
    """A sum over powers of sqrt(q) as rows "shape;coefficient;exponent", see ir.Term."""
    out = []
    for i, c in rows.items():
        factors = [f"({algebra.text(c)})", *([f"{q}**{i // 2}"] if i > 1 else [])]
        out += ["root" if i % 2 else "", "*".join(factors), q if i % 2 else "0"]
    return ";".join(out)
