"""derive: an Activation to its DualForm, exact formulas or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from dualc.derive import algebra, atoms, given, links, means, pieces, readable
from dualc.derive.atoms import Sum, add, derivative, parameter_derivative, read
from dualc.derive.field import Field
from dualc.derive.independence import near_independence
from dualc.derive.mixture import SLOPES, at_slope, mixed
from dualc.derive.pairing import expectation
from dualc.derive.products import products
from dualc.derive.sides import Mass, Side, constants, side
from dualc.derive.terms import formula
from dualc.errors import NoClosedForm
from dualc.ir import Activation, Atom, DualForm, Formula, Parameter, of_unit_slope


def derive(activation: Activation) -> DualForm:
    """The dual and its derivatives in q12, q11 and every parameter as exact forms.

    An expression linear in logistic functions, or in inverse powers of 1 + x^2 and their integrals,
    is the mean of an in-class one over a random slope: its forms are those of one pair of slopes.
    d/dq11 is E[phi''(u) phi(v)]/2 with the masses of phi''. Outside these classes the form says
    why: that is a result, not an error.
    """
    if activation.dual is not None:
        return _form(given.formulas(activation), (), ())
    try:
        return _closed(activation)
    except NoClosedForm as reason:
        why = str(reason)
    for attempt in (_piecewise, _linked, _product, _mixture):
        try:
            return attempt(activation)
        except NoClosedForm:
            continue
    return DualForm(tier="series", gave_up=why)


def _closed(activation: Activation) -> DualForm:
    phi = read(activation)
    jump, formulas = _formulas(activation.parameters, (activation, phi), (activation, phi))
    form = _form(formulas, _atoms(phi), ("0",) if jump != 0 else ())
    return replace(form, hermite=means.hermite(phi))


def _piecewise(activation: Activation) -> DualForm:
    """Kinks anywhere, with polynomials and exponentials between them."""
    phi = pieces.read(activation)
    found = pieces.pieces(activation, phi)
    return DualForm(
        tier="closed",
        steps=("between kinks: polynomials and exponentials; in pairs, by the support code",),
        jumps=tuple(place for place, _ in found[1].masses),
        readable=pieces.readable(found),
        pieces=found,
        scale=pieces.scale(phi, activation.parameters),
    )


def _linked(activation: Activation, parameters: tuple[Parameter, ...] | None = None) -> DualForm:
    """Links anywhere, with polynomials and exponentials; with the rates in `parameters`."""
    kept = activation.parameters if parameters is None else parameters
    found = links.links(activation, kept)
    step = "read as a sum of atoms p(x) exp(a x^2 + b x) link(kappa x + tau)"
    recursion = "Stein recursion over links, in pairs, by the support code"
    return DualForm("closed", steps=(step, recursion), readable=links.readable(found), links=found)


def _product(activation: Activation) -> DualForm:
    """Two links in a product."""
    found = products(activation)
    integrals = f"products of links: {len(found) - 1} times differentiated in the covariance"
    steps = (integrals, "Stein recursion over single links, one integral, by the support code")
    return DualForm("closed", steps=steps, readable=links.readable(found), links=found)


def _mixture(activation: Activation) -> DualForm:
    """The forms of one pair of slopes, over which the emitted code sums."""
    law, found = mixed(activation)
    mean_of = replace(found, expression=of_unit_slope(found.expression or "")[1])
    if _cancels_at_zero(activation, mean_of):
        raise NoClosedForm("what vanishes at 0 is a difference of means and other terms")
    try:
        form = _of_slopes(activation, mean_of)
    except NoClosedForm:
        form = _linked(mean_of, activation.parameters)
    return replace(form, tier="mixture", law=law, mixed=found.expression)


def _of_slopes(activation: Activation, mean_of: Activation) -> DualForm:
    phi = read(mean_of)
    sides = [at_slope(mean_of, name) for name in SLOPES]
    jump, formulas = _formulas(activation.parameters, *((a, read(a)) for a in sides))
    return _form(formulas, _atoms(phi), ("0",) if jump != 0 else ())


def _cancels_at_zero(activation: Activation, mean_of: Activation) -> bool:
    """Whether phi or phi' vanishes at 0 only on the mean: x - tanh(x), softplus(x) - log(2).

    At small variances such a mean would be a difference of much larger numbers.
    """
    step = algebra.ONE / 10**12

    def value(of: Activation, x: algebra.Constant) -> float:
        found = {algebra.symbol(p.name, p.domain): algebra.exact(p.default) for p in of.parameters}
        names = {s.name: s for s in found} | {"x": x}
        return algebra.real_value(algebra.value(of.expression or "", names), found)

    for order in (0, 1):
        true, other = (
            value(of, algebra.ZERO)
            if order == 0
            else (value(of, step) - value(of, -step)) / (2 * float(step))
            for of in (activation, mean_of)
        )
        if abs(true) < _TINY < abs(other):
            return True
        if abs(true) > _TINY:
            return False
    return False


_TINY = 1e-6  # far above rounding in a difference quotient, far below a value that is there


def _formulas(
    parameters: tuple[Parameter, ...], left: tuple[Activation, Sum], right: tuple[Activation, Sum]
) -> tuple[algebra.Constant, tuple[Formula, ...]]:
    """The height of phi's jump at 0, and E[f(u) g(v)] with its derivatives as formulas.

    f and g, `left` and `right`, are one function but for the slopes of a mixture.
    """
    defaults = atoms.defaults(left[0]) | atoms.defaults(right[0])
    f, g = _sides(left[1], defaults), _sides(right[1], defaults)
    rates = {
        p.name: [side(parameter_derivative(s[1], p.name), defaults) for s in (left, right)]
        for p in parameters
    }
    k = Field(constants(*f.all(), *g.all(), *(s for pair in rates.values() for s in pair)))
    forms = {
        "dual": expectation(f.value, g.value, k),
        "dual_dot": expectation(f.slope, g.slope, k),
        "dual_dq11": expectation(f.half_second, g.value, k),
    }
    if f.jump != 0:  # E[delta'(u) g(v)] = -(q12/q11) E[delta(u) g'(v)]
        mass = Side((), (Mass(f.jump / 2, 1),))
        expectation(mass, g.slope, k, forms["dual_dq11"])
    for name, (of_left, of_right) in rates.items():
        forms[f"dual_d{name}"] = expectation(of_left, g.value, k)
        expectation(f.value, of_right, k, forms[f"dual_d{name}"])
    moments = {"dual": [(f.value, g.value)], "dual_dot": [(f.slope, g.slope)]}
    for name, (of_left, of_right) in rates.items():
        moments[f"dual_d{name}"] = [(of_left, g.value), (f.value, of_right)]
    found = [formula(name, form, defaults) for name, form in forms.items()]
    return f.jump, tuple(
        near_independence(x, moments[x.name], k, defaults) if x.name in moments else x
        for x in found
    )


class _Sides(NamedTuple):
    """phi, phi' and phi''/2 as sides, and the height of phi's jump at 0."""

    value: Side
    slope: Side
    half_second: Side
    jump: algebra.Constant

    def all(self) -> tuple[Side, ...]:
        return self[:3]


def _sides(phi: Sum, defaults: Mapping[algebra.Constant, algebra.Constant]) -> _Sides:
    slope, jump = derivative(phi)
    curve, bend = derivative(slope)
    half = algebra.ONE / 2
    second = side(add({}, curve, half), defaults, Mass(half * bend))
    return _Sides(side(phi, defaults), side(slope, defaults, Mass(jump)), second, jump)


def _form(
    formulas: tuple[Formula, ...], found: tuple[Atom, ...], jumps: tuple[str, ...]
) -> DualForm:
    shown = tuple((f.name, readable.formula(f)) for f in formulas if f.name in ("dual", "dual_dot"))
    return DualForm(
        tier="closed",
        formulas=formulas,
        atoms=found,
        steps=readable.steps(formulas),
        jumps=jumps,
        readable=shown,
    )


def _atoms(phi: Sum) -> tuple[Atom, ...]:
    """The atoms as text, for the recurrences of the Hermite coefficients."""
    out = []
    for key, row in phi.items():
        b_real, b_imag = map(algebra.text, algebra.complex_parts(key.b))
        kappa = None if key.link is None else algebra.text(key.link.kappa)
        zeta = 0 if key.link is None else key.link.zeta
        for power, c in row.items():
            real, imag = map(algebra.text, algebra.complex_parts(c))
            out.append(Atom(real, imag, power, algebra.text(key.a), b_real, b_imag, kappa, zeta))
    return tuple(out)
