"""derive: an Activation to its DualForm, exact formulas or the reason why there are none."""

from __future__ import annotations

from dataclasses import replace

from dualc.derive import algebra, atoms, given, means, readable
from dualc.derive.atoms import Sum, add, derivative, parameter_derivative, read
from dualc.derive.field import Field
from dualc.derive.pairing import expectation
from dualc.derive.sides import Mass, Side, constants, side
from dualc.derive.terms import formula
from dualc.errors import NoClosedForm
from dualc.ir import Activation, Atom, DualForm, Formula


def derive(activation: Activation) -> DualForm:
    """The dual and its derivatives in q12, q11 and every parameter as exact forms.

    d/dq11 is E[phi''(u) phi(v)]/2 with the masses of phi''. Outside the closed class the form says
    why: that is a result, not an error.
    """
    if activation.dual is not None:
        return _form(given.formulas(activation), (), ())
    try:
        return _closed(activation, read(activation))
    except NoClosedForm as reason:
        return DualForm(tier="series", gave_up=str(reason))


def _closed(activation: Activation, phi: Sum) -> DualForm:
    slope, jump = derivative(phi)
    curve, bend = derivative(slope)
    half = algebra.ONE / 2
    defaults = atoms.defaults(activation)
    smooth, dot = side(phi, defaults), side(slope, defaults, Mass(jump))
    half_second = side(add({}, curve, half), defaults, Mass(half * bend))
    parameters = [
        (p.name, side(parameter_derivative(phi, p.name), defaults)) for p in activation.parameters
    ]
    k = Field(constants(smooth, dot, half_second, *(s for _, s in parameters)))
    forms = {"dual": expectation(smooth, smooth, k), "dual_dot": expectation(dot, dot, k)}
    forms["dual_dq11"] = expectation(half_second, smooth, k)
    if jump != 0:  # E[delta'(u) phi(v)] = -(q12/q11) E[delta(u) phi'(v)]
        expectation(Side((), (Mass(half * jump, 1),)), dot, k, forms["dual_dq11"])
    for name, with_respect in parameters:
        forms[f"dual_d{name}"] = expectation(with_respect, smooth, k)
        expectation(smooth, with_respect, k, forms[f"dual_d{name}"])
    formulas = tuple(formula(name, form, defaults) for name, form in forms.items())
    form = _form(formulas, _atoms(phi), ("0",) if jump != 0 else ())
    return replace(form, hermite=means.hermite(phi))


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
