"""Links anywhere: which expressions are read, and what is derived from them, against mpmath."""

from __future__ import annotations

from typing import Any

import pytest
from mpmath import mp

from dualc import ir
from dualc.derive import derive
from dualc.ir import Activation, LinkTerm
from dualc.parse import parse_expression


def form(expression: str, **parameters: str) -> tuple[Activation, ir.DualForm]:
    activation = parse_expression(expression, "mine", parameters)
    return activation, derive(activation)


@pytest.mark.parametrize(
    ("expression", "tier"),
    [
        ("erf(x + 1)", "closed"),
        ("x*normal_cdf(2*x - 1)", "closed"),
        ("relu(x - 1) + erf(x)", "closed"),
        ("exp(-x) + x*normal_cdf(x)", "closed"),
        ("x*erf(x + 1)*exp(-x**2)", "closed"),
        ("tanh(x + 1)", "mixture"),
        ("x*sigmoid(2*x - 1) + sigmoid(-x)", "mixture"),
        ("max(x, 1)**4", "closed"),
    ],
)
def test_links_off_zero_are_read(expression: str, tier: str) -> None:
    _, found = form(expression)
    assert found.tier == tier
    assert found.links
    assert not found.formulas


@pytest.mark.parametrize("expression", ["erf(x)", "x*normal_cdf(x)", "relu(x - 1)", "tanh(x)"])
def test_what_has_a_better_form_keeps_it(expression: str) -> None:
    assert not form(expression)[1].links


@pytest.mark.parametrize(
    "expression",
    [
        "erf(x + 1)**3",  # three links on one side
        "x**3*erf(x)**2",  # too often to differentiate
        "erf(x + 1) + cos(x)",  # a normal CDF of a complex argument
        "exp(x)*erf(x + 1)",  # may overflow where its mean does not
        "softplus(x) - softplus(x - 1)",  # bounded, a difference of what grows
        "heaviside(x - 1) + erf(x)",  # a jump: its second derivative is a dipole
    ],
)
def test_what_is_outside_the_class_stays_a_series(expression: str) -> None:
    _, found = form(expression)
    assert found.tier == "series"
    assert found.gave_up


NUMBERS: dict[str, Any] = {
    "number": mp.mpf,
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "exp": mp.exp,
    "sqrt": mp.sqrt,
    "erf": mp.erf,
    "normal_cdf": mp.ncdf,
    "max": max,
}


def number(text: str, names: dict[str, Any]) -> Any:
    return ir.fold(text, NUMBERS, {"pi": mp.pi, **names})


def term(t: LinkTerm, x: Any, names: dict[str, Any]) -> Any:
    """A term at x; densities of steps are 0 off their places."""
    c, a, b, kappa, tau = (number(v, names) for v in (t.coefficient, t.a, t.b, t.kappa, t.tau))
    y = kappa * x + tau
    if t.zeta == 0 and t.kind:
        cdf, pdf = mp.mpf(y > 0), mp.mpf(0)
    else:
        cdf, pdf = mp.ncdf(y), mp.npdf(y)
    half = mp.mpf(1) / 2
    second = mp.ncdf(number(t.kappa2, names) * x + number(t.tau2, names)) - half
    links = {"": 1, "cdf": cdf, "odd": cdf - half, "pdf": pdf, "both": (cdf - half) * second}
    link = links[t.kind]
    return c * (y if t.kind == "pdf" else x) ** t.power * mp.exp(a * x * x + b * x) * link


@pytest.mark.parametrize(
    ("expression", "parameters"),
    [
        ("x*normal_cdf(a*x + t)", {"a": "3/2", "t": "1/3"}),
        ("x*erf(x - 1)*exp(-a*x**2)", {"a": "1/4"}),
        ("relu(x - t) + a*erf(x)", {"a": "2", "t": "1/2"}),
    ],
)
def test_derivatives_of_terms_are_those_of_the_expression(
    expression: str, parameters: dict[str, str]
) -> None:
    activation, found = form(expression, **parameters)
    with mp.workdps(30):
        names = {name: number(text, {}) for name, text in parameters.items()}

        def phi(x: Any, **changed: Any) -> Any:
            return number(activation.expression or "", {**names, **changed, "x": x})

        orders = {"phi": 0, "slope": 1, "second": 2, "third": 3}
        for item in found.links:
            for x in map(mp.mpf, ("-0.7", "0.2", "1.9")):
                if item.name in orders:
                    true = mp.diff(phi, x, orders[item.name])
                else:
                    kind, _, name = item.name.rpartition("d")
                    true = mp.diff(
                        lambda z, p, name=name: phi(z, **{name: p}),
                        (x, names[name]),
                        (int(bool(kind)), 1),
                    )
                got = sum((term(t, x, names) for t in item.terms), mp.mpf(0))
                assert abs(got - true) <= mp.mpf(10) ** -8, (item.name, x)


@pytest.mark.parametrize(
    ("expression", "integrals"), [("normal_cdf(x)**2", 1), ("x*erf(x + 1)*normal_cdf(2*x)", 2)]
)
def test_products_of_links_are_differentiated_until_single_ones_are_left(
    expression: str, integrals: int
) -> None:
    activation, found = form(expression)
    assert found.tier == "closed"
    has_products = [any(t.kind == "both" for t in item.terms) for item in found.links]
    assert has_products == [True] * integrals + [False] * 3
    with mp.workdps(30):
        for order, item in enumerate(found.links):
            for x in map(mp.mpf, ("-0.7", "1.9")):
                true = mp.diff(lambda z: number(activation.expression or "", {"x": z}), x, order)
                got = sum((term(t, x, {}) for t in item.terms), mp.mpf(0))
                assert abs(got - true) <= mp.mpf(10) ** -8, (item.name, x)


def test_a_kink_gives_its_slope_a_step_and_its_curvature_a_mass() -> None:
    _, found = form("relu(x - 2) + erf(x)")
    terms = {item.name: item.terms for item in found.links}
    assert any(t.kind == "pdf" and t.zeta == 0 and t.tau == "-2" for t in terms["second"])
    assert "third" not in terms  # a dipole
