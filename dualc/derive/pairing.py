"""E[f(u) g(v)] of two sums of atoms as an exact form: pairs of atoms, gathered by what they are multiples of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from math import factorial
from typing import Any, NamedTuple

import sympy as sp

from dualc.derive import algebra
from dualc.derive.atoms import Sum
from dualc.derive.field import Element, Field, Polynomial
from dualc.derive.moments import Event, State, condition, determinant, moment, variance
from dualc.errors import NoClosedForm


class Component(NamedTuple):
    """p(x) exp(a x**2 + b x) * link; link is "" (none), "+" (Phi(kappa x)), "-" (Phi(-kappa x)), "o" (Phi - 1/2)."""

    a: algebra.Constant
    b: algebra.Constant
    link: str
    kappa: algebra.Constant
    zeta: int
    polynomial: tuple[tuple[int, algebra.Constant], ...]
    parity: int = 0  # of all tilted components with +-b together: 1 even, -1 odd, 0 neither


class Mass(NamedTuple):
    """height * delta(x), or height * delta'(x)."""

    height: algebra.Constant
    order: int = 0


@dataclass(frozen=True)
class Side:
    """One side of an expectation: smooth components and masses at 0."""

    components: tuple[Component, ...]
    masses: tuple[Mass, ...] = ()


def components(terms: Sum, defaults: Mapping[Any, Any]) -> tuple[Component, ...]:
    """The sum with each link in the form that leaves the fewest plain monomials beside it.

    Of Phi(kappa x), Phi(-kappa x) = 1 - Phi and Phi - 1/2 the one is taken after which the plain part is
    shortest at the default parameters: an odd link stays odd (erf), a one-sided function one-sided
    (gelu, min(x, 0)).
    """

    def length(row: Mapping[int, Any]) -> tuple[int, int]:
        present = sum(algebra.tidy(c.subs(dict(defaults))) != 0 for c in row.values())
        return present, sum(algebra.size(c) for c in row.values())

    plain = {key: dict(row) for key, row in terms.items() if key.link is None}
    out = []
    for key, row in terms.items():
        if key.link is None:
            continue
        bare = key._replace(link=None)
        beside = plain.get(bare, {})

        def shifted(c: Any, beside: Any = beside, row: Any = row) -> dict[int, Any]:
            powers = sorted(set(beside) | set(row))
            moved = {
                i: algebra.tidy(beside.get(i, algebra.ZERO) + c * row.get(i, algebra.ZERO))
                for i in powers
            }
            return {i: v for i, v in moved.items() if v != 0}

        choices = [("+", 0, 1), ("o", algebra.ONE / 2, 1), ("-", 1, -1)]
        link, shift, sign = min(choices, key=lambda choice: length(shifted(choice[1])))
        plain[bare] = shifted(shift)
        polynomial = tuple((i, sign * c) for i, c in row.items())
        out.append(Component(key.a, key.b, link, key.link.kappa, key.link.zeta, polynomial))
    for key, row in plain.items():
        if row:
            mirror = plain.get(key._replace(b=algebra.tidy(-key.b)), {})
            item = Component(key.a, key.b, "", algebra.ZERO, 0, tuple(row.items()))
            out.append(item._replace(parity=_parity(row, mirror)))
    return tuple(sorted(out, key=str))


def _parity(row: dict[int, algebra.Constant], mirror: dict[int, algebra.Constant]) -> int:
    """1 if p(x) exp(bx) + m(x) exp(-bx) is even, -1 if odd, 0 if neither."""
    for sign in (1, -1):
        image = {j: algebra.tidy(sign * (-1) ** j * c) for j, c in row.items()}
        if image == mirror:
            return sign
    return 0


def side(terms: Sum, defaults: Mapping[Any, Any], *masses: Mass) -> Side:
    """A side from a sum of atoms and the masses that differentiation left."""
    return Side(components(terms, defaults), tuple(m for m in masses if m.height != 0))


def constants(*sides: Side) -> list[algebra.Constant]:
    """Every constant that the pairs of these sides can produce factors of."""
    out: list[algebra.Constant] = []
    for s in sides:
        out += [m.height for m in s.masses]
        for c in s.components:
            out += [c.a, c.b, c.kappa, c.kappa**2, *(v for _, v in c.polynomial)]
    kappas = sorted({c.kappa for s in sides for c in s.components if c.kappa != 0}, key=str)
    return out + [algebra.tidy(x * y) for x in kappas for y in kappas]


class Angle(NamedTuple):
    """What a pair of half-line links turns on: psi = atan2(sqrt(w delta), -c), 1/sqrt(w), product = w delta + c**2."""

    w: Element
    delta: Element
    c: Element
    product: Element


class Anchored(NamedTuple):
    """E[f] E[g] plus what of a form is left when its value at q12 = 0 is taken off.

    Each mean is a sum of coefficient * exp(exponent), their constants adding up to 0 on one side at least.
    """

    left: tuple[tuple[Element, Element], ...]
    right: tuple[tuple[Element, Element], ...]
    rest: Form


@dataclass
class Form:
    """An expectation, gathered: every dictionary maps what a coefficient multiplies to the coefficient."""

    field: Field
    plain: dict[Polynomial, list[Element]] = dataclass_field(default_factory=dict)  # 1/sqrt(radicand)
    odd: dict[tuple[Element, Element, Polynomial], Element] = dataclass_field(default_factory=dict)
    tilted: dict[tuple[Element, Element, Element, Polynomial], Element] = dataclass_field(
        default_factory=dict
    )
    wedges: dict[Angle, Element] = dataclass_field(default_factory=dict)  # psi / sqrt(delta)
    orthants: dict[tuple[int, int, int], Element] = dataclass_field(default_factory=dict)
    powers: list[tuple[int, Element, Element]] = dataclass_field(default_factory=list)
    anchored: list[Anchored] = dataclass_field(default_factory=list)
    pulled: dict[tuple[Any, Any], Form] = dataclass_field(default_factory=dict)  # by tilt (a1, a2)

    def add(self, under: Element, value: Element) -> None:
        """Add value / sqrt(under)."""
        if value != 0:
            outside, radicand = self.field.inverse_root(under)
            self.add_plain(radicand, value * outside)

    def add_plain(self, radicand: Polynomial, value: Element) -> None:
        """Add value / sqrt(radicand): over one denominator while the numerator stays short."""
        parts = self.plain.setdefault(radicand, [])
        if parts and self.field.is_short(parts[-1], value):
            together = self.field.normal(parts[-1] + value)
            if together == 0 or self.field.is_short(together):
                parts[-1] = together
                return
        parts.append(value)

    def add_odd(self, w: Element, c: Element, under: Element, value: Element) -> None:
        """Add value / sqrt(under) * atan2(c, sqrt(w))."""
        if value != 0:
            outside, radicand = self.field.inverse_root(under)
            _increase(self.odd, (w, c, radicand), value * outside)

    def add_tilted(self, exponent: tuple[Element, ...], under: Element, value: Element) -> None:
        """Add value / sqrt(under) * exp(even + odd + i imaginary); plain where the exponent is 0."""
        if value != 0:
            outside, radicand = self.field.inverse_root(under)
            even, odd, imaginary = exponent
            if even == odd == imaginary == 0:
                self.add_plain(radicand, value * outside)
            else:
                _increase(self.tilted, (even, odd, imaginary, radicand), value * outside)

    def add_wedge(self, angle: Angle, of_psi: Element, of_root: Element) -> None:
        """Add of_psi / sqrt(delta) * psi + of_root / sqrt(w)."""
        _increase(self.wedges, angle, of_psi)
        self.add(angle.w, of_root)

    def join(self, other: Form) -> None:
        """Add another form of plain, tilted and power entries to this one."""
        for radicand, values in other.plain.items():
            for value in values:
                self.add_plain(radicand, value)
        for key, value in other.tilted.items():
            _increase(self.tilted, key, value)
        self.powers += other.powers


def _increase(table: dict[Any, Element], key: Any, value: Element) -> None:
    table[key] = table[key] + value if key in table else value


def expectation(f: Side, g: Side, field: Field, onto: Form | None = None) -> Form:
    """E[f(u) g(v)], masses included; added to the form `onto` if one is given."""
    form = Form(field) if onto is None else onto
    together = _anchor(form, f, g)
    for one in f.components:
        for two in g.components:
            if not (together and _untilted(one) and _untilted(two)):
                _pair(form, one, two)
    base = State(field.one, field.q11, field.q22, field.q12, field.d)
    for m in f.masses:
        _mass_pair(form, m, g, base)
    for m in g.masses:
        _mass_pair(form, m, Side(f.components), _exchange(base))
    return form


def _untilted(c: Component) -> bool:
    """Whether a component is p(x) exp(b x), b real or imaginary."""
    return not c.link and c.a == 0 and not all(algebra.complex_parts(c.b))


def _anchor(form: Form, f: Side, g: Side) -> bool:
    """Gather the pairs of p(x) exp(b x) around q12 = 0 where they cancel at small variances.

    That is where such a sum vanishes at x = 0 though its summands do not, as 1 - cos(x) or exp(x) - 1.
    """
    sides = [tuple(c for c in side.components if _untilted(c)) for side in (f, g)]
    if not any(_vanishes_at_zero(side) for side in sides):
        return False
    rest = Form(form.field)
    for one in sides[0]:
        for two in sides[1]:
            _pair(rest, one, two)
    k = form.field
    means = [_mean(k, side, q) for side, q in zip(sides, (k.q11, k.q22), strict=True)]
    form.anchored.append(Anchored(means[0], means[1], rest))
    return True


def _vanishes_at_zero(components: tuple[Component, ...]) -> bool:
    if not any(c.b != 0 for c in components):
        return False
    constants = [value for c in components for i, value in c.polynomial if i == 0]
    return len(constants) > 1 and any(constants) and algebra.tidy(sum(constants)) == 0 and (
        _has_even_part(components)
    )


def _has_even_part(components: tuple[Component, ...]) -> bool:
    """Whether the constants belong to more than an odd function such as sin(b x)."""
    return not all(c.parity == -1 for c in components if any(i == 0 for i, _ in c.polynomial))


def _mean(k: Field, components: tuple[Component, ...], q: Element) -> tuple[tuple[Any, Any], ...]:
    """E[f(sqrt(q) Z)] as (coefficient, exponent) pairs."""
    total: dict[Element, Element] = {}
    state = State(k.one, q, q, k.zero, q * q)
    for c in components:
        b = k.element(c.b)
        exponent = k.normal(b * b * q / 2)
        for i, coefficient in c.polynomial:
            value = moment(i, 0, state, None, None, (b * q, k.zero)).get("one", k.zero)
            _increase(total, exponent, k.element(coefficient) * value)
    real = ((exponent, k.complex_parts(k.normal(v))[0]) for exponent, v in total.items())
    return tuple((value, exponent) for exponent, value in real if value != 0)


def _exchange(state: State) -> State:
    return state._replace(n11=state.n22, n22=state.n11)


def _mass_pair(form: Form, m: Mass, g: Side, state: State) -> None:
    """E[height delta(u) g(v)]; for delta' it is -(q12/q11) E[delta(u) g'(v)], the caller passes g'."""
    k = form.field
    scale = k.element(m.height)
    if m.order:
        scale = -scale * state.n12 / state.n11
    root_two_pi = k.element(sp.sqrt(2 * sp.pi))
    for c in g.components:
        tilted = _tilt(k, state, k.zero, k.element(c.a))
        given = condition(tilted, Event(k.one, 0), 0)
        if c.b != 0:
            _tilted_mass(form, given, c, scale / root_two_pi)
            continue
        link = Event(k.element(c.kappa**2), c.zeta) if c.link else None
        for j, coefficient in c.polynomial:
            factor = scale * k.element(coefficient)
            vector = dict(moment(0, j, given, None, link, None))
            if c.link == "o" and "half" in vector:
                del vector["half"]  # Phi - 1/2 at mean 0
            for basis, value in vector.items():
                if basis == "one":
                    form.add(given.delta, factor * value / root_two_pi)
                elif basis == "half":
                    form.add(given.delta, factor * value / 2 / root_two_pi)
                else:
                    sign = -1 if c.link == "-" else 1
                    assert link is not None
                    under = variance(given, link, 1)
                    kappa = sign * k.element(c.kappa)
                    form.add(under, factor * kappa * value / k.element(2 * sp.pi))
    for other in g.masses:
        if other.order:
            raise NoClosedForm("a derivative of a jump on both sides")
        value = scale * k.element(other.height) / k.element(2 * sp.pi)
        form.add(state.d, value)


def _tilted_mass(form: Form, given: State, c: Component, scale: Element) -> None:
    """A mass beside exp(b v): given u = 0 the tilt moves the mean of v alone."""
    if c.link:
        raise NoClosedForm("a kink beside a link with an exponential tilt")
    k = form.field
    b = k.element(c.b)
    mean = b * given.n22 / given.delta
    exponent = b**2 * given.n22 / (2 * given.delta)
    total = k.zero
    for j, coefficient in c.polynomial:
        vector = moment(0, j, given, None, None, (k.zero, mean))
        total += k.element(coefficient) * vector.get("one", k.zero)
    _add_exponential(form, exponent, given.delta, scale * total)


def _tilt(k: Field, base: State, a1: Element, a2: Element) -> State:
    """The covariance after tilting by exp(a1 u**2 + a2 v**2)."""
    q11, q22, d = base.n11, base.n22, base.d
    delta = k.one - 2 * a1 * q11 - 2 * a2 * q22 + 4 * a1 * a2 * d
    return State(delta, q11 - 2 * a2 * d, q22 - 2 * a1 * d, base.n12, d)


def _pair(form: Form, one: Component, two: Component) -> None:
    """Add E[one(u) two(v)]."""
    k = form.field
    base = State(k.one, k.q11, k.q22, k.q12, k.d)
    state = _tilt(k, base, k.element(one.a), k.element(two.a))
    if not one.link and not two.link:
        _plain_pair(form, state, one, two)
        return
    if _is_heavy(one, two):
        form = form.pulled.setdefault((one.a, two.a), Form(k))
        one, two = one._replace(a=algebra.ZERO), two._replace(a=algebra.ZERO)
        state = base
    for i, c in one.polynomial:
        for j, e in two.polynomial:
            factor = k.element(algebra.tidy(c * e))
            _linked_pair(form, state, (one, i), (two, j), factor)


def _is_heavy(one: Component, two: Component) -> bool:
    """Whether a tilted pair with links is better left in its tilted covariance: over q its numerators swell."""
    if one.a == 0 and two.a == 0:
        return False
    degree = one.polynomial[-1][0] + two.polynomial[-1][0]
    tilted_links = sum(bool(c.link) and c.a != 0 for c in (one, two))
    smooth = sum(bool(c.link) and c.zeta == 1 for c in (one, two))
    return degree + smooth + 2 * tilted_links + 2 * (tilted_links == 1) > _LIGHT


_LIGHT = 8  # relu(x) exp(-x**2) and what gelu's derivatives bring are below: one short quotient


def _linked_pair(
    form: Form,
    state: State,
    one: tuple[Component, int],
    two: tuple[Component, int],
    factor: Element,
) -> None:
    """One monomial on each side, at least one of them under a link."""
    k, (f, i), (g, j) = form.field, one, two
    if f.link in "+-" and g.link in "+-" and f.link and g.link:
        _both_half_lines(form, state, one, two, factor)
        return
    for c, other, power, swap in ((f, g, i, False), (g, f, j, True)):
        if c.link in ("+", "-"):  # Phi(+-kappa x) = 1/2 +- (Phi(kappa x) - 1/2)
            plain = c._replace(link="")
            sign = 1 if c.link == "+" else -1
            odd = c._replace(link="o")
            for part, weight in ((plain, k.one / 2), (odd, k.one * sign)):
                pair = ((other, j if not swap else i), (part, power))
                left, right = pair if swap else pair[::-1]
                _dispatch(form, state, left, right, factor * weight)
            return
    _odd_links(form, state, one, two, factor)


def _dispatch(form: Form, state: State, one: Any, two: Any, factor: Element) -> None:
    (f, i), (g, j) = one, two
    if f.link or g.link:
        _linked_pair(form, state, one, two, factor)
        return
    single = tuple(c._replace(polynomial=((p, algebra.ONE),)) for c, p in (one, two))
    _plain_pair(form, state, *single, factor=factor)


def _odd_links(form: Form, state: State, one: Any, two: Any, factor: Element) -> None:
    """Links Phi - 1/2 on one or both sides: parity kills half of all pairs, the rest does not cancel."""
    k, (f, i), (g, j) = form.field, one, two
    both = bool(f.link and g.link)
    if f.b != 0 or g.b != 0:
        _refuse_tilt(f, i, g, j)
        return  # zero by parity
    if (i + j) % 2 == (0 if not both else 1):
        return
    first = Event(k.element(f.kappa**2), f.zeta) if f.link else None
    second = Event(k.element(g.kappa**2), g.zeta) if g.link else None
    vector = moment(i, j, state, first, second, None)
    if first is not None and second is not None:
        kappas = k.element(algebra.tidy(f.kappa * g.kappa))
        w = determinant(state, first, second)
        angle = vector.get("psi", k.zero) * factor / k.element(2 * sp.pi)
        form.add_odd(w * state.delta, kappas * k.q12, state.delta, angle)
        root = vector.get("r", k.zero) * kappas * factor / k.element(2 * sp.pi)
        form.add(w, root)
        return
    event, c, position = (first, f, 0) if first is not None else (second, g, 1)
    assert event is not None
    scale = k.element(c.kappa) / k.element(sp.sqrt(2 * sp.pi))
    under = variance(state, event, position)
    form.add(under, vector.get("d", k.zero) * scale * factor)


def _refuse_tilt(f: Component, i: int, g: Component, j: int) -> None:
    """A link beside exp(b x): outside the class unless the pair vanishes by parity."""
    linked, power, tilted = (f, i, g) if f.link else (g, j, f)
    odd_link = linked.link == "o" and linked.b == 0 and not tilted.link
    if odd_link and tilted.parity == (-1) ** power:  # x**power * odd link has parity (-1)**(power+1)
        return
    raise NoClosedForm("a link meets an exponential, sine or cosine: a normal CDF off 0 is needed")


def _both_half_lines(form: Form, state: State, one: Any, two: Any, factor: Element) -> None:
    """Phi(+-kappa1 u) Phi(+-kappa2 v): wedges, or orthant moments for steps of higher power."""
    k, (f, i), (g, j) = form.field, one, two
    if f.b != 0 or g.b != 0:
        _refuse_tilt(f, i, g, j)
    signs = (1 if f.link == "+" else -1, 1 if g.link == "+" else -1)
    sign = signs[0] * signs[1]
    if f.zeta == g.zeta == 0 and f.a == g.a == 0 and max(i, j) >= 2:
        flip = signs[0] ** i * signs[1] ** j
        _increase(form.orthants, (i, j, sign), factor * flip)
        return
    first, second = Event(k.element(f.kappa**2), f.zeta), Event(k.element(g.kappa**2), g.zeta)
    vector = moment(i, j, state, first, second, None)
    kappas = sign * k.element(algebra.tidy(f.kappa * g.kappa))
    w = determinant(state, first, second)
    two_pi = k.element(2 * sp.pi)
    angle = vector.get("psi", k.zero) * factor / two_pi
    root = vector.get("r", k.zero) * kappas * factor / two_pi
    if angle != 0 or root != 0:
        product = variance(state, first, 0) * variance(state, second, 1)
        form.add_wedge(Angle(w, state.delta, kappas * k.q12, product), angle, root)
    for basis, event, s, c, position in (
        ("d1", first, signs[0], f, 0),
        ("d2", second, signs[1], g, 1),
    ):
        scale = s * k.element(c.kappa) / k.element(sp.sqrt(2 * sp.pi)) / 2
        under = variance(state, event, position)
        form.add(under, vector.get(basis, k.zero) * scale * factor)


def _plain_pair(
    form: Form, state: State, one: Component, two: Component, factor: Element | None = None
) -> None:
    """No links: delta**(-1/2) exp(b' S b / 2) times a polynomial in the mean S b."""
    k = form.field
    degrees = [max(i for i, _ in c.polynomial) for c in (one, two)]
    if one.a == two.a == one.b == two.b == 0 and max(degrees) > 1 and factor is None:
        _polynomial_pair(form, one, two)
        return
    b1, b2 = k.element(one.b), k.element(two.b)
    mean = None
    exponent = k.zero
    if one.b != 0 or two.b != 0:
        m1 = (state.n11 * b1 + state.n12 * b2) / state.delta
        m2 = (state.n12 * b1 + state.n22 * b2) / state.delta
        mean = (m1, m2)
        exponent = (b1**2 * state.n11 + 2 * b1 * b2 * state.n12 + b2**2 * state.n22) / (
            2 * state.delta
        )
    total = k.zero
    for i, c in one.polynomial:
        for j, e in two.polynomial:
            value = moment(i, j, state, None, None, mean).get("one", k.zero)
            total += k.element(algebra.tidy(c * e)) * value
    if factor is not None:
        total *= factor
    _add_exponential(form, exponent, state.delta, total)


def _polynomial_pair(form: Form, one: Component, two: Component) -> None:
    """Polynomials: sum over m of q12^m/m! E[f^(m)(u)] E[g^(m)(v)], whose factors do not cancel together."""
    k = form.field

    def smoothed(c: Component, m: int, q: Element) -> Element:
        total = k.zero
        for i, coefficient in c.polynomial:
            if i >= m and (i - m) % 2 == 0:
                pairs = (i - m) // 2  # (i - m - 1)!! ways to pair what is left
                weight = factorial(i) // (2**pairs * factorial(pairs))
                total += k.element(coefficient) * weight * q**pairs
        return total

    for m in range(min(c.polynomial[-1][0] for c in (one, two)) + 1):
        left, right = smoothed(one, m, k.q11), smoothed(two, m, k.q22)
        if left != 0 and right != 0:
            form.powers.append((m, left, right / factorial(m)))


def _add_exponential(form: Form, exponent: Element, under: Element, value: Element) -> None:
    k = form.field
    real, imaginary = k.complex_parts(exponent)
    even, odd = k.parity(k.normal(real))
    form.add_tilted((even, odd, k.normal(imaginary)), under, value)
