"""From a gathered form to terms in text: tilts as cosh and sinh, wedges with a second branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import factorial
from typing import Any

from mpmath import mp

from dualc.derive import algebra
from dualc.derive.field import Element, Field, Polynomial
from dualc.derive.form import Anchored, Angle, Form
from dualc.derive.regroup import Centre, pair
from dualc.ir import Formula, Term


def formula(name: str, form: Form, defaults: Mapping[Any, Any]) -> Formula:
    """A form as a formula.

    What grows is anchored only near q12 = 0, where anchoring loses nothing.
    """
    anchored = terms(form, defaults)
    if not form.anchored or not any(t.shape == "expm1" for t in anchored):
        return Formula(name, anchored)
    plain = Form(form.field, {r: list(v) for r, v in form.plain.items()}, form.odd)
    plain.tilted, plain.wedges, plain.centres = dict(form.tilted), form.wedges, dict(form.centres)
    plain.orthants, plain.powers, plain.pulled = form.orthants, list(form.powers), form.pulled
    for anchor in form.anchored:
        plain.join(anchor.rest)
    switch = max((t.arguments[1] for t in anchored if t.shape == "expm1"), key=len)
    return Formula(name, terms(plain, defaults), anchored, switch)


def terms(form: Form, defaults: Mapping[Any, Any]) -> tuple[Term, ...]:
    """The terms of a form in a fixed order."""
    out = _tilted(form, defaults)
    for anchor in form.anchored:
        out += _anchored(form.field, anchor)
    plain = dict(form.plain)
    for angle, of_psi in form.wedges.items():
        if of_psi == 0:
            continue
        outside, radicand = form.field.inverse_root(angle.w)
        found = plain.get(radicand, [])
        of_root = form.field.zero
        if len(found) == 1 and radicand != 1:  # a multiple of the wedge's root belongs to the wedge
            of_root = plain.pop(radicand)[0] / outside
        out.append(_wedge(form.field, angle, of_psi, of_root, defaults))
    out += [_power(form.field, *row) for row in form.powers]
    for (w, c, radicand), value in form.odd.items():
        k = form.field
        outside, inside = k.inverse_root(w)  # angles know ratios only
        arguments = (k.text(inside), k.text(k.normal(c * outside)))
        out.append(_term(k, value, radicand, "odd_angle", arguments))
    for (i, j, sign), value in form.orthants.items():
        one = form.field.ring.one
        out.append(_term(form.field, value, one, "orthant", (str(i), str(j), str(sign))))
    out += [_term(form.field, v, r, "one", ()) for r, values in plain.items() for v in values]
    for tilt, pulled in form.pulled.items():
        texts = tuple(algebra.text(a) for a in tilt)
        out += [replace(term, tilt=texts) for term in terms(pulled, defaults)]
    kept = [t for t in out if t is not None]
    return tuple(sorted(kept, key=lambda t: (t.tilt, t.shape, t.arguments, t.radicand, t.root)))


def _scaled(k: Field, value: Element, radicand: Polynomial) -> tuple[str, str, str] | None:
    """The texts (coefficient, root, radicand) of value / sqrt(radicand), a root where it divides.

    None if the value is 0.
    """
    value = k.normal(value)
    if value == 0:
        return None
    if radicand == 1:
        return k.text(value), "", ""
    quotient = k.divide_out(value, radicand)
    if quotient is not None:
        return k.text(quotient), k.text(radicand), ""
    return k.text(value), "", k.text(radicand)


def _term(
    k: Field, value: Element, radicand: Polynomial, shape: str, arguments: tuple[str, ...]
) -> Term | None:
    """The term value / sqrt(radicand) * shape(arguments), None if it is 0."""
    scaled = _scaled(k, value, radicand)
    return None if scaled is None else Term(*scaled, shape, arguments)


def _grows(a: str) -> bool:
    """Whether exp(a) grows with the variances: in `_groups` what decays has a leading minus."""
    return not a.startswith("-") and a != "0"


def _tilt_groups(form: Form) -> dict[tuple[str, str], list[Element]]:
    """Coefficients of exp(a + c) and exp(a - c) by the texts of a and c, all radicands being 1."""
    return {key[:2]: row for key, row in _groups(form)[0].items()}


def _groups(
    form: Form,
) -> tuple[dict[tuple[str, str, Polynomial], list[Element]], list[Term | None]]:
    """Coefficients of exp(a + c) and exp(a - c) by (text of a, text of c, radicand).

    What has a complex exponent is finished: its terms come second.
    """
    k = form.field
    groups: dict[tuple[str, str, Polynomial], list[Element]] = {}
    out: list[Term | None] = []
    for (even, odd, imaginary, radicand), value in form.tilted.items():
        if imaginary != 0:
            out += _oscillating(k, (even, odd, imaginary), radicand, value)
            continue
        real, _ = k.complex_parts(value)
        flip, a, c = _exponent_texts(k, even, odd)
        groups.setdefault((a, c, radicand), [k.zero, k.zero])[flip] += real
    return groups, out


def _exponent_texts(k: Field, even: Element, odd: Element) -> tuple[bool, str, str]:
    """Whether the exponent even + odd is a - c, else a + c, and the texts of a and c."""
    flip = odd != 0 and odd.numer.LC < 0
    decays = even != 0 and even.numer.LC < 0
    a = f"-({k.text(-even)})" if decays else k.text(even)
    return flip, a, k.text(-odd if flip else odd)


def _exponents(form: Form) -> dict[tuple[str, str], tuple[Element, list[Centre | None]]]:
    """c, and the centres of exp(a + c) and exp(a - c), by the texts of a and c."""
    found: dict[tuple[str, str], tuple[Element, list[Centre | None]]] = {}
    for even, odd, *_ in form.tilted:
        flip, a, c = _exponent_texts(form.field, even, odd)
        entry = found.setdefault((a, c), (-odd if flip else odd, [None, None]))
        entry[1][flip] = form.centres.get((even, odd))
    return found


def _tilted(form: Form, defaults: Mapping[Any, Any]) -> list[Term | None]:
    """Exponentials: pairs exp(a + c), exp(a - c) together, conjugates as cos and sin."""
    k = form.field
    exponents = _exponents(form)
    groups, out = _groups(form)
    growing = [key for key in groups if _grows(key[0])]
    for (a, c, radicand), (up, down) in groups.items():
        up, down = k.normal(up), k.normal(down)
        grows = _grows(a)
        alone = len(growing) == 1 and up in (down, -down)  # sinh, cosh: nothing to take inf from
        if up == 0 or down == 0 or (grows and c != "0" and not alone):
            shape = "grow" if grows else "exp"
            out.append(_term(k, up, radicand, shape, (a, c)))
            out.append(_term(k, down, radicand, shape, (a, f"-({c})")))
        elif up == down:
            out.append(_term(k, up + down, radicand, "cosh", (a, c)))
        elif up == -down:
            out.append(_term(k, up - down, radicand, "sinh", (a, c)))
        else:
            texts = pair(k, *exponents[a, c], (up, down), defaults)
            under = "" if radicand == 1 else k.text(radicand)
            out.append(Term("1", "", under, "pair", (a, c, *texts)))
    return out


def _anchored(k: Field, anchor: Anchored) -> list[Term | None]:
    """The product of the means, and every pair less its value at q12 = 0."""
    means = [_mean_text(k, mean) for mean in (anchor.left, anchor.right)]
    out: list[Term | None] = [Term("1", "", "", "product", (means[0], means[1]))]
    one = k.ring.one
    plain = (value for values in anchor.rest.plain.values() for value in values)
    out += [_term(k, value - k.uncorrelated(value), one, "one", ()) for value in plain]
    out += [_power(k, *row) for row in anchor.rest.powers if row[0] > 0]
    for (a, c), (up, down) in _tilt_groups(anchor.rest).items():
        both = up + down
        moved = both - k.uncorrelated(both)
        if c == "0":
            out.append(_term(k, moved, one, "exp", (a, c)))
            continue
        if up == 0 or down == 0:
            sign = c if up != 0 else f"-({c})"
            out.append(_term(k, both, one, "expm1", (a, sign)))
        elif not _grows(a):
            out.append(_term(k, both, one, "coshm1", (a, c)))
            out.append(_term(k, up - down, one, "sinh", (a, c)))
        else:
            out.append(_term(k, up, one, "expm1", (a, c)))
            out.append(_term(k, down, one, "expm1", (a, f"-({c})")))
        out.append(_term(k, moved, one, "exp", (a, "0")))
    return out


def _mean_text(k: Field, mean: tuple[tuple[Element, Element], ...]) -> str:
    """Rows "shape;coefficient;exponent", of expm1 where the mean vanishes with the variance."""
    total = k.normal(sum((value for value, _ in mean), k.zero))
    vanishes = k.at_zero(total) == 0
    rows = [
        ("expm1" if vanishes else "exp", k.text(value), k.text(exponent))
        for value, exponent in mean
        if exponent != 0
    ]
    plain = total if vanishes else sum((v for v, exponent in mean if exponent == 0), k.zero)
    if plain != 0:
        rows.append(("", k.text(plain), "0"))
    return ";".join(part for row in sorted(rows) for part in row)


def _oscillating(
    k: Field, exponent: tuple[Element, ...], radicand: Polynomial, value: Element
) -> list[Term | None]:
    """Re(value exp(a + i c)): the conjugate entry carries the other half."""
    even, odd, imaginary = exponent
    real_part, imaginary_part = k.complex_parts(value)
    arguments = (k.text(k.normal(even + odd)), k.text(imaginary))
    return [
        _term(k, real_part, radicand, "cos", arguments),
        _term(k, -imaginary_part, radicand, "sin", arguments),
    ]


def _power(k: Field, m: int, left: Element, right: Element) -> Term:
    """q12**m * left(q11) * right(q22)."""
    return Term("1", "", "", "power", (str(m), k.text(left), k.text(right)))


def _wedge(
    k: Field, angle: Angle, of_psi: Element, of_root: Element, defaults: Mapping[Any, Any]
) -> Term | None:
    """The term of_psi/sqrt(delta) psi + of_root/sqrt(w), with its second branch for c < 0."""
    of_psi, of_root = k.normal(of_psi), k.normal(of_root)
    n, below = _euler(k, angle, of_psi, of_root, defaults)
    outside, radicand = k.inverse_root(angle.w)
    above_text = _scaled(k, of_root * outside, radicand) or ("0", "", "")
    below_text = _scaled(k, below * outside, radicand) or ("0", "", "")
    outside, radicand = k.inverse_root(angle.w * angle.delta)  # angles know ratios only
    w, c = k.text(radicand), k.text(k.normal(angle.c * outside))
    arguments = (w, c, str(n), *above_text, *below_text)
    outside, radicand = k.inverse_root(angle.delta)
    scaled = _scaled(k, of_psi * outside, radicand) or ("0", "", "")
    return Term(*scaled, "wedge", arguments)


_MOST_EULER = 3
_TOLERATED = 6.0  # digits enough left for the promised 8 eps, and shorter code


def _euler(
    k: Field, angle: Angle, of_psi: Element, of_root: Element, defaults: Mapping[Any, Any]
) -> tuple[int, Element]:
    """The number of Euler terms to take out for c < 0, and the root's coefficient then.

    The fewest that leave little cancellation near rho = -1, by evaluation.
    """
    if of_psi == 0 or of_root == 0:
        return 0, of_root
    found: list[tuple[float, int, Element]] = []
    with mp.workdps(50):
        evaluate = k.evaluator(defaults)
        below = of_root
        for n in range(_MOST_EULER + 1):
            loss = _loss(evaluate, angle, of_psi, below, n)
            if loss <= _TOLERATED:
                return n, below
            found.append((loss, n, below))
            if not k.is_short(below):
                break
            weight = k.one * 4**n * factorial(n) ** 2 / factorial(2 * n + 1)
            step = angle.w ** (n + 1) * angle.delta**n / angle.product ** (n + 1)
            below = k.normal(below - of_psi * weight * step * angle.c)
    least = min(loss for loss, _, _ in found)
    return next((n, below) for loss, n, below in found if loss <= 2 * least)


def _loss(
    evaluate: Callable[..., Any], angle: Angle, of_psi: Element, below: Element, n: int
) -> float:
    """The largest (|psi part| + |root part|) / |sum| next to the edge where psi vanishes."""
    worst = 1.0
    for q11, q22, closeness in _EDGE:
        scale = mp.sqrt(mp.mpf(q11) * q22)
        q12, d = -(1 - closeness) * scale, q11 * q22 * closeness * (2 - closeness)
        if evaluate(angle.c, q12, q11, q22, d) > 0:
            q12 = -q12
        psi_part, root_part, w, delta, c = (
            evaluate(x, q12, q11, q22, d) for x in (of_psi, below, angle.w, angle.delta, angle.c)
        )
        t = mp.sqrt(w * delta) / -c
        tail = mp.atan(t)
        for i in range(n):
            euler = mp.mpf(4) ** i * mp.factorial(i) ** 2 / mp.factorial(2 * i + 1)
            tail -= euler * t ** (2 * i + 1) / (1 + t * t) ** (i + 1)
        one, two = psi_part / mp.sqrt(delta) * tail, root_part / mp.sqrt(w)
        total = abs(one + two)
        worst = max(worst, float((abs(one) + abs(two)) / total) if total else 1e99)
    return worst


_EDGE = tuple(
    (q11, q22, closeness)
    for q11, q22 in ((0.01, 0.01), (1, 1), (4, 9), (100, 100), (10000, 10000))
    for closeness in (mp.mpf(1) / 10**6, mp.mpf(1) / 10)
)
