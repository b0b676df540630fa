"""Certificates of kernels written by hand: right ones pass, wrong ones and NaN are caught."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from dualc.ir import Activation, Bound, Parameter
from dualc.verify.judge import Judge, Known
from dualc.verify.measure import _interval, certify
from dualc.verify.points import gap, points, region

SIN = Activation(name="sin_like", expression="sin(x)", dual=None, typed="sin(x)")
LINE = Activation(
    name="line",
    expression="alpha*x",
    dual=None,
    typed="alpha*x",
    parameters=(Parameter("alpha", "3/2"),),
)


def _module(dual, dual_dot, tier="closed", parameters=(), high=1e4):
    return SimpleNamespace(
        dual=dual,
        dual_dot=dual_dot,
        dual_diag=lambda q, **p: dual(q, q, q, **p),
        dual_dot_diag=lambda q, **p: dual_dot(q, q, q, **p),
        DOMAIN=(0.0, high),
        TIER=tier,
        JUMPS=(),
        PARAMETERS=parameters,
    )


def _line_dual(q12, q11, q22, alpha=1.5):
    return alpha * alpha * q12


def _line_dual_dot(q12, q11, q22, alpha=1.5):
    return alpha * alpha + 0 * q12


LINE_MODULE = _module(_line_dual, _line_dual_dot, parameters=(("alpha", 1.5),))


def _by_function(certificate):
    worst = {}
    for m in certificate.worst:
        worst[m.function] = max(worst.get(m.function, 0.0), m.units)
    return worst


def test_a_right_kernel_with_a_parameter_is_certified_in_both_dtypes():
    certificate = certify(LINE_MODULE, LINE)
    assert (certificate.grid, certificate.backend) == ("hard", jax.default_backend())
    assert {m.dtype for m in certificate.worst} == {"float32", "float64"}
    assert {m.region for m in certificate.worst} == {"generic", "edge", "boundary"}
    worst = _by_function(certificate)
    assert {"dual", "dual_dot", "dual/q12", "dual/alpha", "dual_diag", "dual_dot_diag"} <= set(
        worst
    )
    assert max(worst.values()) <= 2.0
    assert not jax.config.read("jax_enable_x64") or jnp.ones(1).dtype == jnp.float64


def test_a_kernel_that_is_off_by_one_part_in_a_million_is_caught():
    wrong = _module(
        lambda *q, alpha=1.5: _line_dual(*q, alpha) * (1 + 1e-6),
        _line_dual_dot,
        parameters=(("alpha", 1.5),),
    )
    worst = {(m.function, m.dtype): m.units for m in certify(wrong, LINE).worst}
    assert worst["dual", "float64"] > 1e8
    assert worst["dual_dot", "float64"] <= 2.0


def test_nan_and_a_false_infinity_are_failures():
    def dual(q12, q11, q22, alpha=1.5):
        value = _line_dual(q12, q11, q22, alpha)
        return jnp.where(q12 == q11, jnp.nan, jnp.where(q12 < 0, jnp.inf, value))

    module = _module(dual, _line_dual_dot, parameters=(("alpha", 1.5),))
    infinite = {
        m.region
        for m in certify(module, LINE).worst
        if m.function == "dual" and math.isinf(m.units)
    }
    assert infinite == {"boundary", "edge", "generic"}


def _sin_dual(q12, q11, q22):
    return jnp.exp(-(q11 + q22) / 2) * jnp.sinh(q12)


def _sin_dual_dot(q12, q11, q22):
    return jnp.exp(-(q11 + q22) / 2) * jnp.cosh(q12)


def test_a_form_that_overflows_inside_the_domain_is_caught_and_its_place_is_named():
    # sinh(q12) overflows at q12 > 89 in float32, where exp(-q) underflows: 0 * inf = NaN
    worst = [
        m for m in certify(_module(_sin_dual, _sin_dual_dot), SIN).worst if math.isinf(m.units)
    ]
    assert max(abs(q) for m in worst for q in m.point) == 1e4


def test_the_domain_of_a_module_bounds_the_variances_that_are_judged():
    # the same form is right where nothing overflows, up to the bits sinh and exp lose there
    certificate = certify(_module(_sin_dual, _sin_dual_dot, high=8.0), SIN)
    assert max(m.units for m in certificate.worst if m.function == "dual") <= 16.0
    assert all(max(m.point[1:]) <= 8.0 for m in certificate.worst)


def test_infinite_dual_dot_must_be_infinite_and_zero_limits_must_be_zero():
    step = Activation(name="step", expression="heaviside(x)", dual=None, typed="", kinks=("0",))

    def gap_of(q12, q11, q22):
        return jnp.maximum(q11 * q22 - q12 * q12, 0.0)

    def dual_dot(q12, q11, q22):
        return 1 / (2 * jnp.pi * jnp.sqrt(gap_of(q12, q11, q22)))

    def clipped(q12, q11, q22):
        return jnp.minimum(dual_dot(q12, q11, q22), 1e30)

    def dual(q12, q11, q22):
        return jnp.arctan2(jnp.sqrt(gap_of(q12, q11, q22)), -q12) / (2 * jnp.pi)

    stored = {}  # the truth is the same for both
    for function, failed in ((dual_dot, set()), (clipped, {"boundary"})):
        worst = certify(_module(dual, function), step, stored=stored).worst
        infinite = {m.region for m in worst if m.function == "dual_dot" and math.isinf(m.units)}
        assert infinite == failed


def test_stored_oracle_values_give_the_same_certificate_without_the_oracle(monkeypatch):
    from dualc.verify import measure

    stored = {}
    first = certify(LINE_MODULE, LINE, stored=stored)
    monkeypatch.setattr(measure, "attempts", None)
    assert certify(LINE_MODULE, LINE, stored=stored) == first
    assert len(stored) == 1


def test_a_series_is_judged_against_its_bound_and_says_how_much_of_it_was_used():
    def dual(q12, q11, q22):  # the first two odd terms of E[sin u sin v]
        return jnp.exp(-(q11 + q22) / 2) * (q12 + q12**3 / 6)

    def dual_dot(q12, q11, q22):
        return jnp.exp(-(q11 + q22) / 2) * (1 + q12**2 / 2)

    module = _module(dual, dual_dot, tier="series", high=1.0)
    truncation = "0.01"  # sqrt(k11 k22): (sinh 1 - 1 - 1/6)/sinh 1 = 0.0073
    bounds = [
        Bound(function, "0", "1", "1", bound)
        for function, bound in (("dual", truncation), ("dual_dot", "0.04"))
    ]
    notes = {}
    for m in certify(module, SIN, bounds=bounds).worst:
        if m.function in ("dual", "dual_dot", "dual_diag"):
            assert m.units == 1.0, m
            notes[m.function, m.region] = m.note
    assert "worst 0.7" in notes["dual_diag", "boundary"]
    tight = [Bound(b.function, "0", "1", "1", "1e-4") for b in bounds]
    assert _by_function(certify(module, SIN, bounds=tight))["dual"] > 32.0


@pytest.mark.parametrize("high", [1e4, 8.0, 0.3])
@pytest.mark.parametrize("grid", ["hard", "full"])
def test_no_point_lies_beyond_rho_one_whatever_the_domain(grid, high):
    for dtype in ("float32", "float64"):
        assert all(gap(point) >= 0 for point in points(grid, dtype, high=high))


def test_the_hard_points_hold_unlike_variances_at_rho_one_zero_on_either_side_and_small_rho():
    chosen = points("hard", "float32")
    exact = {p for p in chosen if gap(p) == 0 and p[1] != p[2] and p[1] * p[2] > 0}
    assert {math.copysign(1, p[0]) for p in exact} == {1.0, -1.0}
    assert max(p[2] / p[1] for p in exact) >= 1e4
    assert {(p[1] == 0, p[2] == 0) for p in chosen} == {
        (True, True), (True, False), (False, True), (False, False)
    }  # fmt: skip
    small = [p for p in chosen if p[0] != 0 and p[0] ** 2 < 1e-5 * p[1] * p[2]]
    assert {math.copysign(1, p[0]) for p in small} == {1.0, -1.0}


def test_an_oracle_in_a_process_of_its_own_gives_the_same_certificate():
    # a thread stands for the process: what counts is that its answer is taken
    with ThreadPoolExecutor(1) as apart:
        assert certify(LINE_MODULE, LINE, apart=apart) == certify(LINE_MODULE, LINE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("grid", ["hard", "full"])
def test_the_points_are_exact_in_their_dtype_and_hold_every_hard_place(grid, dtype):
    chosen = points(grid, dtype, thresholds=("1/2", "4"))
    assert len(set(chosen)) == len(chosen) >= (28 if grid == "hard" else 280)
    for point in chosen:
        assert all(float(jnp.asarray(v, dtype)) == v for v in point)
    rho = {round(p[0] / math.sqrt(p[1] * p[2]), 9) for p in chosen if p[1] * p[2] > 0}
    assert {-1.0, 0.0, 1.0, round(1 - 2.0**-20, 9), round(-1 + 2.0**-20, 9)} <= rho
    variances = {q for p in chosen for q in p[1:]}
    assert {0.0, 1.0, 1e4} <= variances
    assert min(variances - {0.0}) == pytest.approx(1e-6)
    assert {region(p) for p in chosen} == {"boundary", "edge", "generic"}
    sides = {q > 4 for q in variances if abs(q - 4) < 1e-4 and q != 4}
    assert sides == {False, True}
    if dtype == "float64":  # q12^2 must not be exact, else a naive D would pass
        assert any(float(jnp.float32(p[0])) != p[0] and gap(p) > 0 for p in chosen)
    if grid == "full":
        generic = {r for r in rho if 0.01 < abs(r) < 0.99}
        assert len({r for r in generic if r > 0}) >= 8 <= len({r for r in generic if r < 0})


def test_a_true_value_beyond_any_float_is_a_ball_around_zero_that_holds_it():
    assert _interval("1.25", "1e-20") == (Fraction(5, 4), Fraction(1, 10**20))
    assert _interval("1e-300", "1e-320") == (Fraction(1, 10**300), Fraction(1, 10**320))
    for value in ("3.1e-78173610", "-3.1e-78173610"):
        middle, radius = _interval(value, "1e-78173640")
        assert middle == 0 < radius < Fraction(1, 10**900)
    assert _interval("1.25", "1e-1200")[1] > 0


def test_a_rate_at_a_jump_far_out_is_judged_by_its_own_partials() -> None:
    """As it is a density 14 deviations out, q11 counts a hundredfold."""
    activation = Activation("k", "where(x > t, x, 0)", None, "", (Parameter("t", "1"),))
    values = {name: Fraction(0) for name in ("dual", "dual/q11", "dual/q22")}
    values |= {"dual/t": Fraction(-1), "dual/t/q11": Fraction(-10_000)}
    point = (0.0, 2.0**-7, 1.0)
    known = {point: Known(point, "generic", values, dict.fromkeys(values, Fraction(0)))}
    (found,) = Judge(activation, known, "float64").worst({"dual/t": [-1 - 2.0**-46]}, [point])
    assert found.units == 1  # 64 eps of a unit of 1 + 78
