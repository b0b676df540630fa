"""Coefficients of exp(a + c) and exp(a - c) written so that nothing meets that cancels.

In up exp(a + c) + down exp(a - c) the factors are moments about the tilted means of u and v. Over
the covariance they are sums of large terms where the means are small: at rho = 1 that of
x cos(x) is q11 - q12, and up = q12 + (q11 - q12)(q22 - q12). Near q12 = 0 it is up and down that
cancel; what is left begins with a power of q12 times E[f^(n)(u)] E[g^(n)(v)], a product that is
shown as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mpmath import mp

from dualc.derive.field import Element, Field, Polynomial

Centre = tuple[Element, Element]


def pair(
    k: Field,
    c: Element,
    centres: Sequence[Centre | None],
    both: tuple[Element, Element],
    defaults: Mapping[Any, Any],
) -> tuple[str, ...]:
    """The arguments of a term "pair" after (a, c), `both` being (up, down).

    They are start, x, y, and four each for up and down: x cosh(c) + y sinh(c) is the sum, start =
    x + c y, "" where that may be added as it stands. up and down are (numerator, denominator, mean,
    mean), and in a numerator q11 and q22 stand for the means of u and v where those are given.
    """
    x, y = k.normal(both[0] + both[1]), k.normal(both[0] - both[1])
    sides = [
        _side(k, value, centre, defaults, sign)
        for value, centre, sign in zip(both, centres, (1, -1), strict=True)
    ]
    return _start(k, k.normal(x + c * y)), k.text(x), k.text(y), *sides[0], *sides[1]


# ---- near q12 = 0


def _start(k: Field, value: Element) -> str:
    """The value, its lowest power of q12 as a product of functions of one variance each.

    "" where no such function vanishes, and where the rest would be long.
    """
    apart = k.q11 * k.q22 - k.q12**2
    above, below = (_composed(k, p, {3: apart}).numer for p in (value.numer, value.denom))
    if above == 0:
        return ""
    power = min(m[0] for m in above.monoms())
    first = k.field(_lowest(k, above, power)) / k.field(_lowest(k, below, 0))
    rest = k.normal(value - first)
    if not _may_vanish(k, first.numer) or len(rest.numer) > _LONG:
        return ""
    return k.text(first) if rest == 0 else f"{k.text(first)} + {k.text(rest)}"


_LONG = 24  # summands


def _lowest(k: Field, p: Polynomial, power: int) -> Polynomial:
    """The part of a polynomial that goes with that power of q12."""
    terms = (k.ring.term_new(m, c) for m, c in p.terms() if m[0] == power)
    return sum(terms, k.ring.zero)


def _may_vanish(k: Field, p: Polynomial) -> bool:
    """Whether a polynomial is a product in which a sum of one variance has both signs."""
    factors = [f for f, _ in p.factor_list()[1] if len(f) > 1]
    apart = all(not (f.degree(k.ring.gens[1]) and f.degree(k.ring.gens[2])) for f in factors)
    return apart and any(len({c > 0 for c in f.coeffs()}) > 1 for f in factors)


# ---- far from q12 = 0


def _side(
    k: Field, value: Element, centre: Centre | None, defaults: Mapping[Any, Any], sign: int
) -> tuple[str, str, str, str]:
    """Numerator, denominator, and the means that q11 and q22 stand for above, "" for none."""
    value = k.normal(value)
    plain = k.text(k.field(value.numer)), k.text(k.field(value.denom)), "", ""
    evaluate = k.evaluator(defaults)
    if centre is None or _loss(evaluate, value.numer, (k.q11, k.q22), sign) <= _TOLERATED:
        return plain
    apart = _composed(k, value.numer, {3: k.q11 * k.q22 - k.q12**2}).numer
    away = {1: 2 * k.q11 - centre[0], 2: 2 * k.q22 - centre[1]}  # q11 as mean + the rest
    others = [_composed(k, p, away).numer for p in (value.numer, apart)]
    best = min(others, key=lambda p: _loss(evaluate, p, centre, sign))
    return k.text(k.field(best)), plain[1], k.text(centre[0]), k.text(centre[1])


_TOLERATED = 2.0


def _loss(evaluate: Callable[..., Any], p: Polynomial, means: Centre, sign: int) -> float:
    """The geometric mean of sum of absolute values over absolute value, rho = sign * 1/2 .. 1."""
    product, field = mp.mpf(1), p.ring.to_field()
    sizes = p.ring.from_dict({m: abs(c) for m, c in p.terms()})
    with mp.workdps(50):
        for q11, q22, rho in _PLACES:
            q12 = sign * rho * mp.sqrt(mp.mpf(q11) * q22)
            d = q11 * q22 - q12 * q12
            place = q12, *(evaluate(m, q12, mp.mpf(q11), mp.mpf(q22), d) for m in means), d
            total = abs(evaluate(field(p), *place))
            product *= abs(evaluate(field(sizes), *map(abs, place))) / total if total else 1
    return float(mp.root(product, len(_PLACES)))


_PLACES = tuple(
    (q11, q22, rho)
    for q11, q22 in ((1, 1), (1, 2), (100, 100), (10000, 10000))
    for rho in (mp.mpf(1) / 2, 1 - mp.mpf(1) / 2**20)
)


def _composed(k: Field, p: Polynomial, values: Mapping[int, Element]) -> Element:
    """The polynomial with some generators, by number, replaced by elements."""
    if all(x.denom == 1 for x in values.values()):  # no common factors to look for
        return k.field(_replaced(p, k.ring, {i: x.numer for i, x in values.items()}))
    return _replaced(p, k.field, values)


def _replaced(p: Polynomial, onto: Any, values: Mapping[int, Any]) -> Any:
    """The same in a ring or a field."""
    powers: dict[tuple[int, int], Any] = {}
    total = onto.zero
    for monomial, c in p.terms():
        bare = [0 if i in values else e for i, e in enumerate(monomial)]
        term = onto(p.ring.term_new(tuple(bare), c))
        for i, x in values.items():
            if monomial[i]:
                key = i, monomial[i]
                powers.setdefault(key, x ** monomial[i])
                term *= powers[key]
        total += term
    return total
