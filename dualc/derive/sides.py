"""The two sides of an expectation: a sum of atoms as smooth components, and masses at 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dualc.derive import algebra
from dualc.derive.algebra import Constant
from dualc.derive.atoms import Sum


class Component(NamedTuple):
    """p(x) exp(a x**2 + b x) * link, y = kappa x + tau.

    The link is "" (none), "+" (Phi(y)), "-" (Phi(-y)) or "o" (Phi(y) - 1/2); with zeta 0 a step
    stands for Phi.
    """

    a: Constant
    b: Constant
    link: str
    kappa: Constant
    zeta: int
    polynomial: tuple[tuple[int, Constant], ...]
    parity: int = 0  # of all tilted components with +-b together: 1 even, -1 odd, 0 neither
    tau: Constant = algebra.ZERO


class Mass(NamedTuple):
    """height * delta(x), or height * delta'(x)."""

    height: Constant
    order: int = 0


@dataclass(frozen=True)
class Side:
    """One side of an expectation: smooth components and masses at 0."""

    components: tuple[Component, ...]
    masses: tuple[Mass, ...] = ()


def side(terms: Sum, defaults: Mapping[Any, Any], *masses: Mass) -> Side:
    """A side from a sum of atoms and the masses that differentiation left."""
    return Side(components(terms, defaults), tuple(m for m in masses if m.height != 0))


def constants(*sides: Side) -> list[Constant]:
    """Every constant that the pairs of these sides can produce factors of."""
    out: list[Constant] = []
    for s in sides:
        out += [m.height for m in s.masses]
        for c in s.components:
            out += [c.a, c.b, c.kappa, c.kappa**2, *(v for _, v in c.polynomial)]
    kappas = sorted({c.kappa for s in sides for c in s.components if c.kappa != 0}, key=str)
    return out + [algebra.tidy(x * y) for x in kappas for y in kappas]


# (link, s, sign) with Phi = s + sign * link.
_LINKS = (("+", algebra.ZERO, 1), ("o", algebra.ONE / 2, 1), ("-", algebra.ONE, -1))


def components(terms: Sum, defaults: Mapping[Any, Any]) -> tuple[Component, ...]:
    """The sum with each link in the form that leaves the fewest plain monomials beside it.

    Of Phi(kappa x), Phi(-kappa x) = 1 - Phi and Phi - 1/2 the one is taken after which the plain
    part is shortest at the default parameters: an odd link stays odd (erf), a one-sided function
    one-sided (gelu, min(x, 0)).
    """
    plain = {key: dict(row) for key, row in terms.items() if key.link is None}
    out = []
    for key, row in terms.items():
        if key.link is None:
            continue
        bare = key._replace(link=None)
        beside = plain.get(bare, {})
        lengths = [_length(_sum(beside, row, shift), defaults) for _, shift, _ in _LINKS]
        link, shift, sign = _LINKS[lengths.index(min(lengths))]
        plain[bare] = _sum(beside, row, shift)
        polynomial = tuple((i, sign * c) for i, c in row.items())
        item = Component(key.a, key.b, link, key.link.kappa, key.link.zeta, polynomial)
        out.append(item._replace(tau=key.link.tau))
    for key, row in plain.items():
        if row:
            mirror = plain.get(key._replace(b=algebra.tidy(-key.b)), {})
            item = Component(key.a, key.b, "", algebra.ZERO, 0, tuple(row.items()))
            out.append(item._replace(parity=_parity(row, mirror)))
    return tuple(sorted(out, key=str))


def _sum(
    p: Mapping[int, Constant], q: Mapping[int, Constant], factor: Constant
) -> dict[int, Constant]:
    """The polynomial p + factor * q."""
    total = {
        i: algebra.tidy(p.get(i, algebra.ZERO) + factor * q.get(i, algebra.ZERO))
        for i in sorted(set(p) | set(q))
    }
    return {i: c for i, c in total.items() if c != 0}


def _length(row: Mapping[int, Constant], defaults: Mapping[Any, Any]) -> tuple[int, int]:
    """How many monomials are there at the default parameters, and how many summands in all."""
    present = sum(algebra.tidy(c.subs(dict(defaults))) != 0 for c in row.values())
    return present, sum(algebra.size(c) for c in row.values())


def _parity(row: Mapping[int, Constant], mirror: Mapping[int, Constant]) -> int:
    """1 if p(x) exp(bx) + m(x) exp(-bx) is even, -1 if odd, 0 if neither."""
    for sign in (1, -1):
        image = {j: algebra.tidy(sign * (-1) ** j * c) for j, c in row.items()}
        if image == mirror:
            return sign
    return 0
