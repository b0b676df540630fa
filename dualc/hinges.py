"""Functions with kinks as sums of hinges, and expectations of their products, as texts.

phi(x) = offset + the sum of c y**i exp(a y), each where y = side*(x - s) > 0. A pair of summands
has a moment, an expectation over u > s, v > t at the covariance r: T in general, R where both are
max(y, 0), L where both are steps; one summand has M, m or P.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from dualc.ir import Piecewise
from dualc.tidy import tidied

_MOST = 20  # pairs that are written out; a sum over pairs stands for more


@dataclass(frozen=True)
class Hinge:
    """height * y**power * exp(rate*y) for y = side*(x - place) > 0, 0 elsewhere."""

    height: str
    side: int  # 1 or -1
    place: str
    power: int
    rate: str = "0"

    @property
    def turned(self) -> str:
        """The place on the axis on which the hinge opens to the right."""
        return tidied(f"{self.side}*({self.place})")

    def text(self) -> str:
        """The summand as a function of x."""
        y = tidied(f"{self.side}*(x - ({self.place}))")
        factors = [f"({self.height})", f"max({y}, 0)**{self.power}"]
        if self.power == 0:
            factors[1] = f"heaviside({y})"
        return "*".join([*factors, f"exp(({self.rate})*({y}))"])


@dataclass(frozen=True)
class Hinges:
    """offset + the sum of the parts."""

    offset: str
    parts: tuple[Hinge, ...]

    @property
    def moments(self) -> str:
        """The letters of the moments: of a pair, and of one summand."""
        powers = {h.power for h in self.parts}
        is_plain = len(powers) == 1 and not self.has_rates
        return {0: "LP", 1: "Rm"}.get(powers.pop(), "TM") if is_plain else "TM"

    @property
    def has_places(self) -> bool:
        """Whether a hinge is elsewhere than at 0."""
        return any(h.place != "0" for h in self.parts)

    @property
    def has_rates(self) -> bool:
        """Whether an exponential is among the summands."""
        return any(h.rate != "0" for h in self.parts)

    def text(self) -> str:
        """The function of x."""
        return _total([self.offset, *(h.text() for h in self.parts)])

    def expectation(self) -> str | None:
        """E[f(u) f(v)] in terms of m and R, L or T; None if nobody would read so many terms."""
        if len(self.parts) ** 2 > _MOST and len({*self._pairs()}) > _MOST:
            return None
        c, mean = f"({self.offset})", self.moments[1]
        means = [
            f"{c}*({h.height})*{mean}({self._key(h)}, {q})" for h in self.parts for q in _VARIANCES
        ]
        return _total([f"{c}**2", *means, *self._pairs()])

    def _pairs(self) -> Iterator[str]:
        for a in self.parts:
            for b in self.parts:
                r = "q12" if a.side == b.side else "-q12"
                moment = f"{self.moments[0]}({self._key(a)}, {self._key(b)}, {r})"
                yield f"({a.height})*({b.height})*{moment}"

    def _key(self, h: Hinge) -> str:
        """What of a hinge its moment depends on."""
        if self.moments != "TM":
            return h.turned
        rate, place = [h.rate] * self.has_rates, [h.turned] * self.has_places
        return ", ".join([str(h.power), *rate, *place])


_VARIANCES = ("q11", "q22")


def hinges(f: Piecewise) -> Hinges | None:
    """The function as hinges; None if it has masses, or a polynomial beside its tails."""
    if f.masses or f.dipoles:
        return None
    if f.tails:
        offset = f.polynomials[0]
        if any(c != "0" for c in offset[1:]):
            return None
        parts = [
            Hinge(tidied(c), tail.side, tail.place, n, tidied(rate))
            for tail in f.tails
            for c, n, rate in tail.rows
        ]
        return Hinges(offset[0], tuple(parts))
    return _between_places(f)


def _between_places(f: Piecewise) -> Hinges:
    """Outwards from a piece that is constant, or from a point where there is none."""
    pieces, places = list(f.polynomials), list(f.places)
    constant = [i for i, p in enumerate(pieces) if all(c == "0" for c in p[1:])]
    level = min(constant, key=lambda i: pieces[i][0] != "0", default=None)  # 0 before others
    if level is None:
        middle = len(places) // 2
        level = middle + 1
        pieces.insert(level, (_taylor(pieces[level], places[middle], 1, 0),))
        places.insert(middle, places[middle])
    parts = []
    for i, (place, (left, right)) in enumerate(zip(places, pairwise(pieces), strict=True)):
        side = 1 if i >= level else -1
        inner, outer = (left, right) if side > 0 else (right, left)
        for power in range(max(len(inner), len(outer))):
            change = [_taylor(p, place, side, power) for p in (outer, inner)]
            height = tidied(f"({change[0]}) - ({change[1]})")
            if height != "0":
                parts.append(Hinge(height, side, place, power))
    return Hinges(pieces[level][0], tuple(parts))


def _taylor(p: tuple[str, ...], place: str, side: int, power: int) -> str:
    """The coefficient of y**power in p(place + side*y)."""
    terms = [
        f"{side**power * math.comb(k, power)}*({c})*({place})**{k - power}"
        for k, c in enumerate(p)
        if k >= power
    ]
    return tidied(" + ".join(terms) or "0")


def _total(terms: Iterable[str]) -> str:
    return tidied(" + ".join(f"({term})" for term in terms))
