"""E[f(u) g(v)] of two sums of atoms as an exact form: pairs of atoms, and of masses at 0."""

from __future__ import annotations

from math import factorial
from typing import Any

import sympy as sp

from dualc.derive import algebra
from dualc.derive.field import Element, Field
from dualc.derive.form import Anchored, Angle, Form, increase
from dualc.derive.moments import Event, State, condition, determinant, moment, variance
from dualc.derive.sides import Component, Mass, Side
from dualc.errors import NoClosedForm


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

    That is where such a sum vanishes at x = 0 though its summands do not, as 1 - cos(x) or
    exp(x) - 1. Returns whether it did so.
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
    """Whether the constants of exponentials cancel at x = 0, other than by oddness."""
    constants = [value for c in components for i, value in c.polynomial if i == 0]
    if len(constants) < 2 or not any(constants) or all(c.b == 0 for c in components):
        return False
    return bool(algebra.tidy(sum(constants)) == 0) and _has_even_part(components)


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
            increase(total, exponent, k.element(coefficient) * value)
    real = ((exponent, k.complex_parts(k.normal(v))[0]) for exponent, v in total.items())
    return tuple((value, exponent) for exponent, value in real if value != 0)


def _exchange(state: State) -> State:
    """The state of (v, u)."""
    return state._replace(n11=state.n22, n22=state.n11)


def _mass_pair(form: Form, m: Mass, g: Side, state: State) -> None:
    """Add E[height delta(u) g(v)].

    For delta' it is -(q12/q11) E[delta(u) g'(v)], and the caller passes g' for g.
    """
    k = form.field
    scale = k.element(m.height)
    if m.order:
        scale = -scale * state.n12 / state.n11
    root_two_pi = k.element(sp.sqrt(2 * sp.pi))
    for c in g.components:
        tilted = _tilt(k, state, k.zero, k.element(c.a))
        given = condition(tilted, Event(k.one, 0), 0)
        add = _untilted_mass if c.b == 0 else _tilted_mass
        add(form, given, c, scale / root_two_pi)
    for other in g.masses:
        if other.order:
            raise NoClosedForm("a derivative of a jump on both sides")
        value = scale * k.element(other.height) / k.element(2 * sp.pi)
        form.add(state.d, value)


def _untilted_mass(form: Form, given: State, c: Component, scale: Element) -> None:
    """A mass beside p(v), times a link or not: given u = 0 the mean of v is 0."""
    k = form.field
    link = Event(k.element(c.kappa**2), c.zeta) if c.link else None
    for j, coefficient in c.polynomial:
        factor = scale * k.element(coefficient)
        for basis, value in moment(0, j, given, None, link, None).items():
            if basis == "one":
                form.add(given.delta, factor * value)
            elif basis == "half":
                if c.link != "o":  # Phi - 1/2 has mean 0
                    form.add(given.delta, factor * value / 2)
            else:
                assert link is not None
                kappa = k.element(-c.kappa if c.link == "-" else c.kappa)
                density = kappa * value / k.element(sp.sqrt(2 * sp.pi))
                form.add(variance(given, link, 1), factor * density)


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
    """Whether a tilted pair with links is better left in its tilted covariance.

    Over q11, q12, q22 its numerators would swell.
    """
    if one.a == 0 and two.a == 0:
        return False
    degree = one.polynomial[-1][0] + two.polynomial[-1][0]
    smooth = sum(bool(c.link) and c.zeta == 1 for c in (one, two))
    has_tilted_link = any(c.link and c.a != 0 for c in (one, two))
    return degree + smooth + 4 * has_tilted_link > _LIGHT


_LIGHT = 8  # relu(x) exp(-x**2) and what gelu's derivatives bring are below: one short quotient


Monomial = tuple[Component, int]  # x**power exp(a x**2 + b x) * link of a component
_SIGNS = {"+": 1, "-": -1}  # of x in the argument of a half-line link


def _linked_pair(form: Form, state: State, one: Monomial, two: Monomial, factor: Element) -> None:
    """Add a pair of monomials, at least one of them under a link."""
    if one[0].link in _SIGNS and two[0].link in _SIGNS:
        _both_half_lines(form, state, one, two, factor)
    elif one[0].link in _SIGNS:
        for part, weight in _halved(form.field, one):
            _monomial_pair(form, state, part, two, factor * weight)
    elif two[0].link in _SIGNS:
        for part, weight in _halved(form.field, two):
            _monomial_pair(form, state, one, part, factor * weight)
    else:
        _odd_links(form, state, one, two, factor)


def _halved(k: Field, monomial: Monomial) -> tuple[tuple[Monomial, Element], ...]:
    """Phi(+-kappa x) as 1/2 +- (Phi(kappa x) - 1/2), the parts with their weights."""
    c, power = monomial
    plain, odd = c._replace(link=""), c._replace(link="o")
    return ((plain, power), k.one / 2), ((odd, power), k.one * _SIGNS[c.link])


def _monomial_pair(form: Form, state: State, one: Monomial, two: Monomial, factor: Element) -> None:
    """Add a pair of monomials."""
    if one[0].link or two[0].link:
        _linked_pair(form, state, one, two, factor)
    else:
        left, right = (c._replace(polynomial=((p, algebra.ONE),)) for c, p in (one, two))
        _plain_pair(form, state, left, right, factor)


def _odd_links(form: Form, state: State, one: Monomial, two: Monomial, factor: Element) -> None:
    """Links Phi - 1/2 on one or both sides: parity kills half of the pairs, no sum cancels."""
    k, (f, i), (g, j) = form.field, one, two
    if f.b != 0 or g.b != 0:
        _refuse_tilt(f, i, g, j)
        return  # zero by parity
    if (i + j) % 2 == bool(f.link and g.link):
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
    # x**power times an odd link has parity (-1)**(power + 1)
    if odd_link and tilted.parity == (-1) ** power:
        return
    raise NoClosedForm("a link meets an exponential, sine or cosine: a normal CDF off 0 is needed")


def _both_half_lines(
    form: Form, state: State, one: Monomial, two: Monomial, factor: Element
) -> None:
    """Phi(+-kappa1 u) Phi(+-kappa2 v): wedges, or orthant moments for steps of higher power."""
    k, (f, i), (g, j) = form.field, one, two
    if f.b != 0 or g.b != 0:
        _refuse_tilt(f, i, g, j)
    signs = _SIGNS[f.link], _SIGNS[g.link]
    sign = signs[0] * signs[1]
    if f.zeta == g.zeta == 0 and f.a == g.a == 0 and max(i, j) >= 2:
        flip = signs[0] ** i * signs[1] ** j
        increase(form.orthants, (i, j, sign), factor * flip)
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
    """No links: delta**(-1/2) exp(b' S b / 2) times a polynomial in the mean S b.

    Whole polynomials without exponentials go by Hermite degree, unless `factor` says that they are
    part of a sum.
    """
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
    centre = None
    if b1 != 0 and b2 != 0:
        centre = state.n11 + b2 / b1 * state.n12, state.n22 + b1 / b2 * state.n12
    _add_exponential(form, exponent, state.delta, total, centre)


def _polynomial_pair(form: Form, one: Component, two: Component) -> None:
    """Polynomials: the sum over m of q12^m/m! E[f^(m)(u)] E[g^(m)(v)], which does not cancel."""
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


def _add_exponential(
    form: Form,
    exponent: Element,
    under: Element,
    value: Element,
    centre: tuple[Element, Element] | None = None,
) -> None:
    """Add value / sqrt(under) * exp(exponent); centre: see Form."""
    k = form.field
    real, imaginary = k.complex_parts(exponent)
    even, odd = k.parity(k.normal(real))
    if centre is not None:
        form.centres[even, odd] = k.normal(centre[0]), k.normal(centre[1])
    form.add_tilted((even, odd, k.normal(imaginary)), under, value)
