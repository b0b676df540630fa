"""Rational functions in q12, q11, q22, D and an activation's constants, and their normal form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sympy as sp
from mpmath import mp
from sympy.polys.fields import field
from sympy.polys.orderings import lex

from dualc.derive import algebra

Element = Any  # of the field
Polynomial = Any  # of its ring


class Field:
    """QQ(q12, q11, q22, D, constants), the field that all coefficients of one activation lie in.

    Irrational constants are generators; those that are roots, and i, obey their square's relation.
    """

    def __init__(self, constants: Iterable[algebra.Constant]):
        """Collect every irrational part of the constants as a generator."""
        q = sp.symbols("q12 q11 q22 D", real=True)
        found: set[Any] = {sp.sqrt(2), sp.sqrt(sp.pi), sp.pi, sp.I}
        for c in constants:
            _collect(sp.expand(c), found)
        self.generators = (*q, *sorted(found, key=lambda g: (g.count_ops(), str(g))))
        self.field = field(self.generators, sp.QQ, lex)[0]
        self.ring = self.field.ring
        self.q12, self.q11, self.q22, self.d = (self.field(g) for g in self.ring.gens[:4])
        self.one, self.zero = self.field(1), self.field(0)
        self._relations = self._squares()

    def _squares(self) -> list[tuple[int, Polynomial]]:
        """(index, square) of every generator that is a root or i."""
        out = []
        for k, g in enumerate(self.generators):
            if g == sp.I or (g.is_Pow and g.exp == sp.Rational(1, 2)):
                out.append((k, self.field.from_expr(g**2).numer))
        return out

    def element(self, c: algebra.Constant) -> Element:
        """A constant as an element."""
        return self.field.from_expr(sp.expand(c))

    def is_short(self, *elements: Element) -> bool:
        """Whether numerators are short, and far from overflow in float32 at variances of 1e4."""
        return all(len(x.numer) <= _SHORT and _degree(x.numer) <= _LOW for x in elements)

    def normal(self, x: Element) -> Element:
        """The unique form: numerator and denominator reduced, the latter keeping its q11 q22."""
        if x == 0:
            return x
        numerator = self.reduce(x.numer)
        below = self.reduce(x.denom, variances=False)
        if numerator == 0:
            return self.zero
        found = self.field(numerator) / self.field(below)
        shorter = self._cancelled(numerator, below)
        if shorter is not None and len(shorter.denom) < len(found.denom):
            return self.normal(shorter)
        return found

    def _cancelled(self, above: Polynomial, below: Polynomial) -> Element | None:
        """The quotient with q12**2 written as q11 q22 - D, which shows every common factor."""
        if len(below) < 2 or len(above) > _SHORT:
            return None
        above, below = self._without_squares(above), self._without_squares(below)
        return self.field(above) / self.field(below)

    def _without_squares(self, p: Polynomial) -> Polynomial:
        """A polynomial with q12**2 replaced."""
        _, q11, q22, d = self.ring.gens[:4]
        square, total = q11 * q22 - d, self.ring.zero
        for (q12, *rest), c in p.terms():
            half, odd = divmod(q12, 2)
            total += self.ring.term_new((odd, *rest), c) * square**half
        return total

    def reduce(self, p: Polynomial, variances: bool = True) -> Polynomial:
        """A polynomial modulo i**2 = -1, the squares of roots, and q11 q22 = D + q12**2.

        The last only if `variances`.
        """
        q12, _, _, d = self.ring.gens[:4]
        substitute = d + q12**2
        total = self.ring.zero
        for monomial, c in p.terms():
            exponents = list(monomial)
            k = min(exponents[1], exponents[2]) if variances else 0
            exponents[1] -= k
            exponents[2] -= k
            factor = substitute**k
            for index, square in self._relations:
                half, exponents[index] = divmod(exponents[index], 2)
                factor = factor * square**half
            total += self.ring.term_new(tuple(exponents), c) * factor
        return total if total == p else self.reduce(total, variances)

    def uncorrelated(self, x: Element) -> Element:
        """The value of x at q12 = 0 (its denominator being free of q12)."""
        numerator = self.ring.zero
        for (q12, q11, q22, d, *rest), c in x.numer.terms():
            if q12 == 0:  # D is q11 q22 there
                numerator += self.ring.term_new((0, q11 + d, q22 + d, 0, *rest), c)
        return self.field(numerator) / self.field(x.denom)

    def at_zero(self, x: Element) -> Element:
        """The value of x at q12 = q11 = q22 = D = 0, for a polynomial in them."""
        numerator = self.ring.zero
        for monomial, c in x.numer.terms():
            if not any(monomial[:4]):
                numerator += self.ring.term_new(monomial, c)
        return self.field(numerator) / self.field(x.denom)

    def parity(self, x: Element) -> tuple[Element, Element]:
        """The parts of x even and odd in q12 (denominators are even)."""
        even, odd = self.ring.zero, self.ring.zero
        for monomial, c in x.numer.terms():
            term = self.ring.term_new(monomial, c)
            even, odd = (even, odd + term) if monomial[0] % 2 else (even + term, odd)
        below = self.field(x.denom)
        return self.field(even) / below, self.field(odd) / below

    def complex_parts(self, x: Element) -> tuple[Element, Element]:
        """Real and imaginary part."""
        index = self.generators.index(sp.I)
        real, imag = self.ring.zero, self.ring.zero
        for monomial, c in self.reduce(x.numer).terms():
            bare = list(monomial)
            bare[index] = 0
            term = self.ring.term_new(tuple(bare), c)
            real, imag = (real, imag + term) if monomial[index] else (real + term, imag)
        below = self.field(x.denom)
        return self.field(real) / below, self.field(imag) / below

    def inverse_root(self, x: Element) -> tuple[Element, Polynomial]:
        """x**(-1/2) as (element, radicand): element / sqrt(radicand), squares taken out."""
        radicand = x.numer * x.denom
        outside = self.field(x.denom)
        content, factors = radicand.factor_list()
        square = _square_part(int(content.numerator)), _square_part(int(content.denominator))
        inside = self.ring(content) / (square[0] ** 2) * square[1] ** 2
        outside = outside * square[1] / square[0]
        if content.denominator > square[1] ** 2:  # sqrt(p/q) = sqrt(p q)/q
            q = int(content.denominator) // square[1] ** 2
            inside, outside = inside * q * q, outside * q
        for factor, power in factors:
            keep = power
            if self._is_positive(factor):
                outside, keep = outside / self.field(factor) ** (power // 2), power % 2
            elif power >= 4:
                outside, keep = outside / self.field(factor) ** (2 * (power // 4)), power % 4
            inside = inside * factor**keep
        largest = max(abs(c) for c in inside.coeffs())
        if largest > _HUGE:  # decimals make huge integers: keep what is under the root near 1
            scale = 2 ** (int(largest).bit_length() // 2)
            inside, outside = inside * self.ring.domain(1, scale**2), outside / scale
        return outside, self.reduce(inside)

    def _is_positive(self, p: Polynomial) -> bool:
        """Whether a polynomial is seen to be nonnegative: such generators and coefficients only."""
        signs = [bool(g.is_nonnegative) for g in self.generators]
        signs[1] = signs[2] = signs[3] = True
        return all(
            c > 0 and all(e % 2 == 0 or signs[k] for k, e in enumerate(m)) for m, c in p.terms()
        )

    def divide_out(self, x: Element, radicand: Polynomial) -> Element | None:
        """The quotient x / radicand where the numerator is divisible, else None."""
        quotient, remainder = divmod(self.reduce(x.numer), radicand)
        if remainder != 0:
            return None
        return self.field(quotient) / self.field(x.denom)

    def evaluator(self, defaults: Mapping[Any, Any]) -> Callable[..., Any]:
        """The function (element, q12, q11, q22, D) -> value at default parameters, by mpmath."""
        constants = [
            mp.mpc(0, 1) if g == sp.I else mp.mpf(sp.N(g.subs(dict(defaults)), mp.dps))
            for g in self.generators[4:]
        ]

        def polynomial(p: Polynomial, values: Sequence[Any]) -> Any:
            total = mp.zero
            for monomial, c in p.terms():
                term = mp.mpf(int(c.numerator)) / int(c.denominator)
                for value, power in zip(values, monomial, strict=True):
                    if power:
                        term *= value**power
                total += term
            return total

        def evaluate(x: Element, *point: Any) -> Any:
            values = (*point, *constants)
            return polynomial(x.numer, values) / polynomial(x.denom, values)

        return evaluate

    def text(self, x: Element | Polynomial) -> str:
        """Canonical text, numerator and denominator in factors."""
        if not hasattr(x, "denom"):
            return self._factored(x, expand=True)
        above = self._factored(x.numer)
        return above if x.denom == 1 else f"({above})/({self._factored(x.denom)})"

    def _factored(self, p: Polynomial, expand: bool = False) -> str:
        if expand or len(p) <= 1:
            return algebra.text(p.as_expr())
        content, factors = p.factor_list() if len(p) <= _FACTORED else self._monomial_content(p)
        parts = [] if content == 1 else [f"({algebra.text(sp.Rational(content))})"]
        for base, power in factors:
            body = f"({algebra.text(base.as_expr())})"
            parts.append(body if power == 1 else f"{body}**{power}")
        return "*".join(parts)

    def _monomial_content(self, p: Polynomial) -> tuple[Any, list[tuple[Polynomial, int]]]:
        """A polynomial's content, then its common powers and the rest as factors.

        A long one seldom factors further, and trying costs.
        """
        content, p = p.primitive()
        common = [min(powers) for powers in zip(*p.monoms(), strict=True)]
        p = p.quo(self.ring.term_new(tuple(common), self.ring.domain.one))
        powers = [(g, e) for g, e in zip(self.ring.gens, common, strict=True) if e]
        return content, [*powers, (p, 1)]


def _degree(p: Polynomial) -> int:
    """The highest degree of a monomial in the covariance, D counting 2."""
    return max((q12 + q11 + q22 + 2 * d for q12, q11, q22, d, *_ in p.monoms()), default=0)


_SHORT, _LOW = 100, 9  # summands; degree, a variance counting 1 and D counting 2
_HUGE = 10**6  # integers under a root beyond it are brought near 1
_FACTORED = 12  # summands up to which numerators are factored


def _collect(x: Any, found: set[Any]) -> None:
    """Add the generators that x is a rational function of, besides rational numbers."""
    if x.is_Rational:
        return
    if x.is_Add or x.is_Mul:
        for argument in x.args:
            _collect(argument, found)
    elif x.is_Pow and x.exp.is_Integer:
        _collect(x.base, found)
    elif x.is_Pow and x.exp.is_Rational:
        found.add(x.base ** sp.Rational(1, x.exp.q))
        _collect(x.base, found)
    else:
        found.add(x)


def _square_part(n: int) -> int:
    """The largest k with k**2 dividing n."""
    k = 1
    for prime, power in sp.factorint(abs(n)).items():
        k *= prime ** (power // 2)
    return k
