"""Certificates of kernels written by hand: right ones pass, wrong ones and NaN are caught."""

from __future__ import annotations

import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from dualc.ir import Activation, Bound, Parameter
from dualc.verify.measure import certify
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
    assert certificate.grid == "hard" and certificate.backend == "cpu"
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
