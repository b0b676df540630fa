"""The oracle against forms derived by hand, against itself at 50 digits, and against laws."""

from __future__ import annotations

from fractions import Fraction

import pytest
from mpmath import asin, atan2, exp, inf, mp, mpf, pi, sin, sqrt, workdps

from dualc.ir import Activation, Parameter
from dualc.verify import grids, oracle
from dualc.verify.oracle import OracleError, truths

NEAR = 1 - 2.0**-20


def _activation(expression, kinks=(), parameters=(), dual=None):
    return Activation(
        name="phi",
        expression=expression,
        dual=dual,
        typed=expression or dual,
        kinks=kinks,
        parameters=parameters,
    )


RELU = _activation("max(x, 0)", ("0",))
LEAKY = _activation("where(x > 0, x, alpha*x)", ("0",), (Parameter("alpha", "1/100"),))
ABS = _activation("abs(x)", ("0",))
STEP = _activation("heaviside(x)", ("0",))
ERF = _activation("erf(x)")
GELU = _activation("x*normal_cdf(x)")
SIN = _activation("sin(b*x)", (), (Parameter("b", "3/2"),))
CUBE = _activation("x**3")
EXP = _activation("exp(x)")
ELU = _activation("where(x > 0, x, expm1(x))", ("0",))
HARD_TANH = _activation("max(-1, min(1, x))", ("-1", "1"))
TANH = _activation("tanh(x)")
SHIFTED_STEP = _activation("heaviside(x - t)", ("t",), (Parameter("t", "1/2"),))


def _d(q12, q11, q22):
    return q11 * q22 - q12**2


def _psi(q12, q11, q22):
    return atan2(sqrt(_d(q12, q11, q22)), -q12)


def _relu(q12, q11, q22):
    return (sqrt(_d(q12, q11, q22)) + q12 * _psi(q12, q11, q22)) / (2 * pi)


def _leaky(q12, q11, q22):
    a = mpf(1) / 100  # phi = (1 - a) relu(x) + a x, and E[relu(u) v] = q12/2
    return (1 - a) ** 2 * _relu(q12, q11, q22) + a * (1 - a) * q12 + a**2 * q12


def _abs(q12, q11, q22):
    return 2 * (sqrt(_d(q12, q11, q22)) + q12 * asin(q12 / sqrt(q11 * q22))) / pi


def _erf(q12, q11, q22):
    return 2 / pi * asin(2 * q12 / sqrt((1 + 2 * q11) * (1 + 2 * q22)))


def _gelu(q12, q11, q22):
    d = _d(q12, q11, q22)
    d1 = 1 + q11 + q22 + d
    p = (1 + q11) * (1 + q22)
    return ((q12**2 / d1 + d + q12**2) * sqrt(d1) / p + q12 * atan2(sqrt(d1), -q12)) / (2 * pi)


def _sin(q12, q11, q22):
    b = mpf(3) / 2
    half = b * b * (q11 + q22) / 2
    return (exp(b * b * q12 - half) - exp(-b * b * q12 - half)) / 2


FORMS = {
    "relu": (RELU, _relu),
    "leaky": (LEAKY, _leaky),
    "abs": (ABS, _abs),
    "step": (STEP, lambda *q: _psi(*q) / (2 * pi)),
    "erf": (ERF, _erf),
    "gelu": (GELU, _gelu),
    "sin": (SIN, _sin),
    "cube": (CUBE, lambda q12, q11, q22: 9 * q11 * q22 * q12 + 6 * q12**3),
    "exp": (EXP, lambda q12, q11, q22: exp((q11 + q22) / 2 + q12)),
}
POINTS = (
    (0.3, 1.0, 1.0), (-0.7, 1.0, 2.3), (1.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 0.25),
    (NEAR, 1.0, 1.0), (-NEAR, 1.0, 1.0), (0.5 * NEAR, 0.25, 1.0), (4e-7, 1e-6, 1e-6),
    (0.95, 1.0, 1.0), (1e-3, 1e-6, 4.0), (1e-30, 1e-30, 4e-30),
)  # fmt: skip


def _agree(text, wanted, scale, digits=29):
    return abs(mpf(text) - wanted) <= mpf(10) ** -digits * abs(scale)


@pytest.mark.parametrize(
    "name",  # relu's kink stands for those of leaky and abs
    [pytest.param(n, marks=pytest.mark.slow if n in ("leaky", "abs") else ()) for n in FORMS],
)
def test_duals_agree_with_hand_derived_forms_to_thirty_digits(name):
    activation, form = FORMS[name]
    with workdps(50):
        for truth in truths(activation, POINTS):
            q12, q11, q22 = (mpf(v) for v in truth.point)
            q12 = max(-sqrt(q11 * q22), min(sqrt(q11 * q22), q12))
            scale = sqrt(form(q11, q11, q11) * form(q22, q22, q22))
            assert _agree(truth["dual"], form(q12, q11, q22), scale), truth.point
            assert truth.estimate <= 1e-30


@pytest.mark.parametrize("name", ["relu", "gelu", "erf", "sin", "exp"])
def test_first_and_second_derivatives_are_those_of_the_form(name):
    activation, form = FORMS[name]
    point = (-0.7, 1.0, 2.3)
    truth = truths(activation, [point])[0]
    with workdps(60):
        q = [mpf(v) for v in point]
        orders = {
            "dual_dot": (1, 0, 0),
            "dual/q11": (0, 1, 0),
            "dual/q22": (0, 0, 1),
            "dual_dot/q12": (2, 0, 0),
            "dual_dot/q11": (1, 1, 0),
            "dual_dot/q22": (1, 0, 1),
        }
        for key, order in orders.items():
            wanted = mp.diff(form, q, order, h=mpf(10) ** -15)
            assert _agree(truth[key], wanted, wanted, 25), key


def test_parameter_derivatives_are_those_of_the_form():
    q12, q11, q22 = 0.75, 1.0, 2.0
    truth = truths(SIN, [(q12, q11, q22)])[0]
    with workdps(50):
        b, q = mpf(3) / 2, (mpf(q11) + mpf(q22)) / 2
        rates = [mpf(q12) - q, -mpf(q12) - q]
        terms = [exp(b * b * r) for r in rates]
        wanted = b * (rates[0] * terms[0] - rates[1] * terms[1])
        assert _agree(truth["dual/b"], wanted, wanted)
        dot = (terms[0] + terms[1]) * b * b / 2  # and its own derivative in b
        wanted = 2 * dot / b + b**3 * (rates[0] * terms[0] + rates[1] * terms[1])
        assert _agree(truth["dual_dot"], dot, dot)
        assert _agree(truth["dual_dot/b"], wanted, wanted, 15)  # kept for units of error only


def test_a_jump_that_moves_with_its_parameter_has_the_derivative_of_the_orthant_probability():
    truth = truths(SHIFTED_STEP, [(0.0, 1.0, 1.0)])[0]
    with workdps(50):
        tail, density = mp.ncdf(mpf(-1) / 2), mp.npdf(mpf(1) / 2)
        assert _agree(truth["dual"], tail**2, 1)
        assert _agree(truth["dual/t"], -2 * tail * density, 1)
        assert _agree(truth["dual_dot"], density**2, 1)


@pytest.mark.parametrize(
    "activation", [GELU, ELU, HARD_TANH, TANH, STEP, LEAKY], ids=lambda a: a.expression
)
def test_thirty_digits_agree_with_fifty(activation):
    points = [(0.3, 1.0, 1.0), (-NEAR, 1.0, 1.0), (-1.0, 1.0, 1.0)]
    few, many = truths(activation, points), truths(activation, points, digits=50)
    with workdps(60):
        for a, b in zip(few, many, strict=True):
            for (name, value, radius), (_, better, _) in zip(a.values, b.values, strict=True):
                if mpf(better) in (inf, -inf) or ("dual_dot/" in name and activation is STEP):
                    continue
                assert abs(mpf(value) - mpf(better)) <= mpf(radius) + mpf(10) ** -33, (
                    a.point,
                    name,
                )


def test_the_product_grid_and_the_edge_rule_agree_where_both_work(monkeypatch):
    point = [(1 - 2.0**-8, 1.0, 1.0)]
    for activation in (GELU, HARD_TANH, STEP):
        grid = truths(activation, point, partials=False)[0]
        with monkeypatch.context() as patch:
            patch.setattr(oracle, "_NEAR", 0.5)
            edge = truths(activation, point, partials=False)[0]
        assert edge["dual"] != grid["dual"]  # two ways, not one
        for name in ("dual", "dual_dot", "dual/q11"):
            with workdps(50):
                assert _agree(edge[name], mpf(grid[name]), mpf(grid[name]), 27), name


def test_large_variances_are_resolved_where_phi_bends_at_scale_one():
    points = [(6000.0, 1e4, 1e4), (1e4 * NEAR, 1e4, 1e4)]
    with workdps(50):
        for activation, form in ((GELU, _gelu), (ERF, _erf)):
            for truth in truths(activation, points, digits=18):
                q = [mpf(v) for v in truth.point]
                scale = sqrt(form(q[1], q[1], q[1]) * form(q[2], q[2], q[2]))
                assert _agree(truth["dual"], form(*q), scale, 17), truth.point


def test_rounding_that_makes_d_negative_means_rho_is_one():
    q11, q22 = 0.1, 0.3
    q12 = float((q11 * q22) ** 0.5) * (1 + 2**-50)
    assert Fraction(q12) ** 2 > Fraction(q11) * Fraction(q22)
    truth = truths(RELU, [(q12, q11, q22)])[0]
    with workdps(50):
        assert _agree(truth["dual"], sqrt(mpf(q11) * mpf(q22)) / 2, 1)


def test_dual_dot_of_a_jump_is_infinite_at_rho_one_and_its_gradient_has_a_sign():
    for rho in (1.0, -1.0):
        truth = truths(STEP, [(rho, 1.0, 1.0)])[0]
        assert truth["dual_dot"] == "inf"
        assert truth["dual/q11"] == ("-inf" if rho > 0 else "inf")


def test_a_rate_that_is_infinite_by_a_small_factor_is_infinite():
    """phi' jumps at 0, and E[phi(v)] is 2e-7 by design: dk/dq11 grows slowly as q11 goes to 0."""
    serlu = _activation("1.07862*(max(x, 0) + 2.90427*min(x, 0)*exp(min(x, 0)))", ("0",))
    assert truths(serlu, [(0.0, 0.0, 1.0)])[0]["dual/q11"] == "-inf"


def test_variances_of_zero_give_the_limits():
    values = {
        a.expression: truths(a, [(0.0, 0.0, 0.0), (0.0, 0.0, 1.0)]) for a in (RELU, GELU, EXP)
    }
    origin, half = values[RELU.expression]
    assert mpf(origin["dual"]) == 0
    assert _agree(origin["dual_dot"], mpf("0.5"), 1, 25)
    assert _agree(half["dual_dot"], mpf("0.25"), 1, 25)
    assert half["dual/q11"] == "inf"
    origin, half = values[GELU.expression]
    assert _agree(origin["dual_dot"], mpf("0.25"), 1, 25)
    assert _agree(half["dual/q11"], 1 / sqrt(8 * pi**2), 1, 10)
    origin, half = values[EXP.expression]
    with workdps(40):
        assert _agree(origin["dual"], 1, 1, 25)
        assert _agree(half["dual_dot"], exp(mpf(1) / 2), 2, 25)


def test_the_normalised_gaussian_is_evaluated_from_its_dual():
    kernel = _activation(
        None, (), (Parameter("gamma", "2"),), dual="sqrt(q11*q22)*exp(gamma*(rho - 1))"
    )
    truth, origin = truths(kernel, [(0.5, 1.0, 4.0), (0.0, 0.0, 0.0)])
    with workdps(50):
        k = 2 * exp(2 * (mpf(1) / 4 - 1))
        assert _agree(truth["dual"], k, k)
        assert _agree(truth["dual_dot"], k, k)  # gamma/sqrt(q11 q22) = 1
        assert _agree(truth["dual/gamma"], k * (mpf(1) / 4 - 1), k)
        assert _agree(truth["dual/q11"], k / 2 - k / 4, k)
        assert mpf(origin["dual"]) == 0
    assert _agree(origin["dual_dot"], 2, 1)


def test_a_kink_nobody_declared_is_refused_rather_than_integrated_wrongly(monkeypatch):
    monkeypatch.setattr(grids, "_MOST", 500)  # the refusal needs no thousands of nodes
    with pytest.raises(OracleError, match="digits"):
        truths(_activation("abs(x - 1/3)"), [(0.3, 1.0, 1.0)])


def test_values_do_not_depend_on_what_was_asked_before():
    alone = truths(TANH, [(0.25, 1.0, 1.0)])[0]
    after = truths(TANH, [(0.0, 0.0, 1.0), (0.9, 1.0, 1.0), (0.25, 1.0, 1.0)])[-1]
    assert alone == after


def test_sinc_is_smooth_at_zero():
    truth = truths(_activation("sinc(x)"), [(0.0, 1.0, 1.0)])[0]
    with workdps(40):
        mean = sqrt(pi / 2) * mp.erf(1 / sqrt(mpf(2)))  # E[sin(Z)/Z] = int_0^1 exp(-t^2/2) dt
        assert _agree(truth["dual"], mean**2, 1)
    assert sin(0) == 0


def test_a_rate_in_the_place_of_a_jump_far_out_has_its_partials() -> None:
    """x 1[x > t]: -t p(t) E[phi(v) given u = t] and the same of v, by mpmath's derivatives."""
    activation = _activation("where(x > t, x, 0)", ("t",), (Parameter("t", "1"),))
    point = (-0.15625, 0.0078125, 10.0)  # 11 deviations out: a rate of 1e-38
    (truth,) = truths(activation, [point], digits=18)

    def rate(q12, q11, q22):
        total = mp.mpf(0)
        for one, other in ((q11, q22), (q22, q11)):
            mean, spread = q12 / one, mp.sqrt(other - q12**2 / one)
            z = (mean - 1) / spread
            given = mean * mp.ncdf(z) + spread * mp.npdf(z)
            total -= mp.npdf(1, 0, mp.sqrt(one)) * given
        return total

    with mp.workdps(40):
        place = tuple(map(mp.mpf, point))
        assert abs(mp.mpf(truth["dual/t"]) / rate(*place) - 1) < 1e-17
        for i, name in enumerate(("q12", "q11", "q22")):
            wanted = mp.diff(rate, place, tuple(int(i == k) for k in range(3)))
            assert abs(mp.mpf(truth[f"dual/t/{name}"]) / wanted - 1) < 1e-3


def test_a_jump_at_a_place_that_is_no_binary_number_is_seen() -> None:
    """1[|x - 1/3| > 1]: dual_dot is a sum of densities of (u, v) at pairs of -2/3 and 4/3."""
    activation = _activation("where(abs(x - 1/3) > 1, 1, 0)", ("-2/3", "1/3", "4/3"))
    (truth,) = truths(activation, [(1.0, 2.0, 2.0)], digits=18)
    with mp.workdps(40):
        low, high = mpf(-2) / 3, mpf(4) / 3

        def density(u, v):
            return mp.exp(-(u * u - u * v + v * v) / 3) / (2 * pi * mp.sqrt(3))

        wanted = density(low, low) + density(high, high) - 2 * density(low, high)
        assert abs(mpf(truth["dual_dot"]) / wanted - 1) < 1e-17
