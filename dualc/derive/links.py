"""Functions with links anywhere: phi, its derivatives, and what they change by with parameters.

Links at 0 are in closed form by `moments` and `pairing`, kinks between polynomials and exponentials
by `pieces`. Here is the rest of the class: normal CDFs that sit off 0, alone or beside kinks, and
links beside exponentials. Pairs of such functions are what the support code evaluates, by the same
recursion with bivariate normal probabilities at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import comb
from typing import NamedTuple

from dualc.derive import algebra, atoms
from dualc.derive.algebra import Constant
from dualc.derive.atoms import Key, Link, Sum, add, constant, multiply
from dualc.derive.sides import Component, components
from dualc.errors import NoClosedForm
from dualc.ir import Activation, Linked, LinkTerm, Parameter

_X: Sum = {Key(algebra.ZERO, algebra.ZERO, None): {1: algebra.ONE}}


class Function(NamedTuple):
    """A sum of atoms, and one in which every link stands for its derivative at kappa x + tau."""

    smooth: Sum
    densities: Sum

    def derivative(self) -> Function:
        """The derivative in x. Raises NoClosedForm where the function jumps."""
        densities = atoms.with_links_held(self.densities)
        for key, row in self.smooth.items():
            if key.link is not None:
                densities = add(densities, _density(key, row, constant(key.link.kappa)))
        for key, row in self.densities.items():
            assert key.link is not None
            if key.link.zeta == 0:
                raise NoClosedForm("a jump beside a link off 0")
            argument = add(multiply(constant(key.link.kappa), _X), constant(key.link.tau))
            falling = multiply(constant(-key.link.kappa), argument)
            densities = add(densities, multiply({key: row}, falling))
        return Function(atoms.with_links_held(self.smooth), densities)

    def parameter_derivative(self, name: str) -> Function:
        """The derivative of a function without densities in a parameter."""
        densities: Sum = {}
        for key, row in self.smooth.items():
            if key.link is not None:
                kappa, tau = (algebra.diff(c, name) for c in (key.link.kappa, key.link.tau))
                rate = add(multiply(constant(kappa), _X), constant(tau))
                densities = add(densities, _density(key, row, rate))
        return Function(atoms.rate_with_links_held(self.smooth, name), densities)


def _density(key: Key, row: Mapping[int, Constant], factor: Sum) -> Sum:
    """Factor times an atom as a density; a step's is at one place, where x is a constant."""
    assert key.link is not None
    total = multiply({key: dict(row)}, factor)
    if key.link.zeta:
        return total
    place = -key.link.tau / key.link.kappa
    height = algebra.ZERO
    for atom, found in total.items():
        value = sum((c * place**i for i, c in found.items()), algebra.ZERO)
        height += value * algebra.exp(atom.a * place**2 + atom.b * place)
    return multiply(constant(algebra.tidy(height)), atoms.step(key.link))


def read(activation: Activation) -> Function:
    """The function of an activation. Raises NoClosedForm outside the class."""
    kinks, branches = atoms.intervals(activation)
    total = branches[0]
    for kink, left, right in zip(kinks, branches, branches[1:], strict=False):
        change = add(right, left, -algebra.ONE)
        link = Link(0, algebra.ONE, algebra.tidy(-kink))
        total = add(total, multiply(change, atoms.step(link)))
    atoms.refuse_products(total)
    links = [key for key in total if key.link is not None]
    if not links:
        raise NoClosedForm("no link")
    if any(algebra.complex_parts(key.b)[1] != 0 for key in total):
        raise NoClosedForm("a link beside a sine or cosine: a normal CDF of a complex argument")
    if any(key.b != 0 for key in links):
        raise NoClosedForm("a link times an exponential")
    return Function(total, {})


def links(activation: Activation, parameters: tuple[Parameter, ...]) -> tuple[Linked, ...]:
    """phi, phi', phi'', and what they change by with `parameters`, for the support code.

    With phi''' and the rates of phi' where these are functions, which gives dual_dot's derivatives.
    Raises NoClosedForm where phi is no such function, or jumps.
    """
    phi = read(activation)
    _refuse_large_terms(phi.smooth, atoms.defaults(activation))
    slope = phi.derivative()
    named = {"phi": phi, "slope": slope, "second": slope.derivative()}
    rates = {p.name: phi.parameter_derivative(p.name) for p in parameters}
    named |= {f"d{name}": rate for name, rate in rates.items()}
    try:
        further = {"third": named["second"].derivative()}
        named |= further | {f"slope_d{name}": rate.derivative() for name, rate in rates.items()}
    except NoClosedForm:
        pass  # kinks: JAX differentiates dual_dot
    defaults = atoms.defaults(activation)
    return tuple(Linked(name, _terms(f, defaults)) for name, f in named.items())


def _refuse_large_terms(terms: Sum, defaults: Mapping[Constant, Constant]) -> None:
    """Raise NoClosedForm where phi is far smaller than its terms at large x.

    As softplus(x) - softplus(x - 1) is: at large variances it would be a difference of large
    numbers.
    """
    largest, size = 0.0, 0.0
    for x in (_FAR, -_FAR):
        values = [
            algebra.real_value(atoms.evaluate({key: row}, x), defaults)
            for key, row in terms.items()
        ]
        largest, size = max(largest, abs(sum(values))), max(size, sum(map(abs, values)))
    if size > _MOST * largest:
        raise NoClosedForm("what is bounded is a difference of growing terms")


_FAR, _MOST = Fraction(100), 32


def _terms(f: Function, defaults: Mapping[Constant, Constant]) -> tuple[LinkTerm, ...]:
    found = smooth_terms(f.smooth, defaults)
    for key, row in f.densities.items():
        assert key.link is not None
        found += _rows(key.a, key.b, "pdf", key.link, _in_argument(key.link, row))
    return tuple(found)


def smooth_terms(terms: Sum, defaults: Mapping[Constant, Constant]) -> list[LinkTerm]:
    """A sum of atoms with at most one link each."""
    return [t for c in components(terms, defaults) for t in _of_component(c)]


def _in_argument(link: Link, row: Mapping[int, Constant]) -> dict[int, Constant]:
    """A polynomial in x as one in y = kappa x + tau."""
    total: dict[int, Constant] = {}
    for power, c in row.items():
        for i in range(power + 1):
            value = c * comb(power, i) * (-link.tau) ** (power - i) / link.kappa**power
            total[i] = total.get(i, algebra.ZERO) + value
    tidied = {i: algebra.tidy(c) for i, c in sorted(total.items())}
    return {i: c for i, c in tidied.items() if c != 0}


_KINDS = {"": "", "+": "cdf", "-": "cdf", "o": "odd"}


def _of_component(c: Component) -> list[LinkTerm]:
    sign = -1 if c.link == "-" else 1
    link = Link(c.zeta, sign * c.kappa, sign * c.tau)
    return _rows(c.a, c.b, _KINDS[c.link], link, dict(c.polynomial))


def _rows(
    a: Constant, b: Constant, kind: str, link: Link, row: Mapping[int, Constant]
) -> list[LinkTerm]:
    a, b, kappa, tau = (algebra.text(x) for x in (a, b, link.kappa, link.tau))
    return [LinkTerm(algebra.text(c), i, a, b, kind, kappa, tau, link.zeta) for i, c in row.items()]


def readable(found: tuple[Linked, ...]) -> tuple[tuple[str, str], ...]:
    """(function, formula as a person would write it) of phi and its slope."""
    return tuple((item.name, _written(item)) for item in found[:2])


_ODD, _SECOND = "(normal_cdf({0}) - 1/2)", "(normal_cdf({1}) - 1/2)"
_LINKS = {"": "", "cdf": "normal_cdf({0})", "odd": _ODD, "pdf": "normal_pdf({0})"}
_LINKS["both"] = f"{_ODD}*{_SECOND}"
_STEPS = {"cdf": "heaviside({})", "odd": "(heaviside({}) - 1/2)", "pdf": "delta({})"}


def _argument(kappa: str, tau: str) -> str:
    slope = f"({kappa})*x" if kappa != "1" else "x"
    return slope + (f" + {tau}".replace("+ -", "- ") if tau != "0" else "")


def _written(f: Linked) -> str:
    parts = []
    for t in f.terms:
        argument, second = _argument(t.kappa, t.tau), _argument(t.kappa2, t.tau2)
        shape = (_LINKS if t.zeta or not t.kind else _STEPS)[t.kind].format(argument, second)
        power = "" if t.power == 0 else "x" if t.power == 1 else f"x**{t.power}"
        exponent = " + ".join(f"({c})*{x}" for c, x in ((t.a, "x**2"), (t.b, "x")) if c != "0")
        factors = [f"({t.coefficient})" if t.coefficient != "1" else "", power, shape]
        factors.append(f"exp({exponent})" if exponent else "")
        parts.append("*".join(x for x in factors if x) or "1")
    return " + ".join(parts) or "0"
