"""Functions as means over a random slope: what is recognised, and that the mean is phi."""

import mpmath
import pytest
from mpmath import mp, mpf

from dualc import ir
from dualc.derive import derive
from dualc.derive.mixture import mixed
from dualc.errors import NoClosedForm
from dualc.expand.mixture import rule
from dualc.parse import parse_expression

_ALGEBRA = {
    "number": mpf,
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "max": max,
    "normal_cdf": mpmath.ncdf,
    "normal_pdf": mpmath.npdf,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "exp": mpmath.exp,
    "erf": mpmath.erf,
    "atan": mpmath.atan,
    "asinh": mpmath.asinh,
    "sqrt": mpmath.sqrt,
}


def _mean(activation: ir.Activation, x: float) -> mpf:
    law, of = mixed(activation)
    count = {"kolmogorov": 20, "half-normal": 72}[law]
    names = {"x": mpf(x), "pi": mp.pi, "beta": mpf(2)}
    rows = [[mpf(y.str(40, radius=False)) for y in row] for row in rule(law, count)]
    return sum(w * ir.fold(of.expression, _ALGEBRA, names | {"slope": s}) for s, w in rows)


@pytest.mark.parametrize(
    "expression",
    ["tanh(x)", "x*sigmoid(beta*x)", "softplus(x)", "x/2 - tanh(x)", "-softplus(-x)", "x*tanh(x)",
     "tanh(2*x) + 3*x*sigmoid(x) + x**2", "tanh(x) + max(x, 0)", "1.7159*tanh(2*x/3)",
     "atan(x)", "x*atan(2*x - 1)", "asinh(x/2) + 3*x", "1/(1 + x**2)", "(x - 2)/(beta + 3*x**2)",
     "x/sqrt(1 + beta*x**2)", "(x**2 - x + 1)**(-3/2)", "x/sqrt(2 + 2*x + x**2)",
     "atan(x) + 1/(4 + x**2)**2"],
)  # fmt: skip
@pytest.mark.parametrize("x", [-7.5, -0.3, 1e-3, 1.25])
def test_the_mean_over_the_slope_is_the_activation(expression: str, x: float) -> None:
    parameters = {"beta": "2"} if "beta" in expression else {}
    activation = parse_expression(expression, "probe", parameters)
    assert derive(activation).tier == "mixture"
    with mp.workdps(30):
        names = {"x": mpf(x), "pi": mp.pi, "beta": mpf(2)}
        true = ir.fold(activation.expression, _ALGEBRA, names)
        assert abs(_mean(activation, x) - true) < 1e-10


@pytest.mark.parametrize(
    "expression",
    ["tanh(x)**2", "exp(tanh(x))", "sigmoid(x)*sigmoid(-x)", "atan(x)**2", "atan(x)*tanh(x)",
     "tanh(x) + atan(x)", "atan(atan(x))", "sqrt(1 + x**2)", "1/(1 + x**4)", "log1p(x**2)",
     "1/((1 + x**2)*(4 + x**2))", "min(x, 0)/sqrt(1 + x**2)", "asinh(x)/(1 + x**2)",
         "sign(x)*abs(tanh(x))", "x*tanh(softplus(x))",
     "where(tanh(x) > x/2, x, 0)", "tanh(x)*max(x, 0)", "sinc(x)*tanh(x)"],
)  # fmt: skip
def test_what_is_not_linear_in_one_kind_of_means_is_a_series(expression: str) -> None:
    assert derive(parse_expression(expression, "probe", {})).tier == "series"


@pytest.mark.parametrize(
    "expression", ["x - tanh(x)", "softplus(x) - log(2)", "x - atan(x)", "1 - 1/(1 + x**2)"]
)
def test_what_vanishes_at_zero_only_on_the_mean_is_a_series(expression: str) -> None:
    assert derive(parse_expression(expression, "probe", {})).tier == "series"


def test_a_logistic_function_of_constants_alone_is_a_constant() -> None:
    assert derive(parse_expression("tanh(1/2)*x", "probe", {})).tier == "closed"


def test_without_a_logistic_function_there_is_nothing_to_mix() -> None:
    with pytest.raises(NoClosedForm, match="no function that is a mean"):
        mixed(parse_expression("abs(x)", "probe", {}))


@pytest.mark.parametrize(
    ("expression", "scale"),
    [("x*sigmoid(1.702*x)", 1.702), ("tanh(2*x/3)", 4 / 3), ("tanh(x)", 1), ("sigmoid(-x)", 1)],
)
def test_the_slope_holds_the_number_it_meets_x_with(expression: str, scale: float) -> None:
    activation = parse_expression(expression, "mine", {})
    text = mixed(activation)[1].expression or ""
    c, scaled = ir.of_unit_slope(text)
    assert float(c) == pytest.approx(scale)
    for x in (0.3, -2.0):
        at = {"x": mpf(x), "slope": mpf("0.6")}
        once = ir.fold(text, _ALGEBRA, at)
        again = ir.fold(scaled, _ALGEBRA, at | {"slope": at["slope"] * c.numerator / c.denominator})
        assert abs(once - again) < mpf(10) ** -14


def test_a_parameter_beside_the_slope_stays_where_it_is() -> None:
    text = "x*normal_cdf(slope*(beta*x))"
    assert ir.of_unit_slope(text) == (1, text)
