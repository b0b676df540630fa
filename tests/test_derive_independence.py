"""Duals near rho = 0 of functions whose mean vanishes at some variance."""

from __future__ import annotations

import exact
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp

from dualc.compiler import Compiled, compile_activation
from dualc.derive import derive
from dualc.parse import parse_expression

CENTRED = ("relu(x)**2 - 1/2", "relu(x) - 1/sqrt(2*pi)", "abs(x) + relu(x)**3 - 3*x - 2")


@pytest.mark.parametrize("expression", CENTRED)
def test_both_forms_of_a_function_with_a_vanishing_mean_are_one_function(expression: str) -> None:
    form = derive(parse_expression(expression, "centred", {}))
    found = exact.named(form, "dual")
    assert found.near
    with mp.workdps(40):
        for point in ((mp.mpf("0.3"), 1, 2), (mp.mpf("-0.7"), mp.mpf("0.6"), 1)):
            far, near = (exact.formula(found, point, near=side) for side in (False, True))
            assert abs(far - near) < 1e-30


@pytest.mark.parametrize("expression", ["relu(x)**2 + 1", "relu(x)**3", "x**2 - 1", "x*abs(x)"])
def test_a_mean_of_one_sign_needs_no_second_form(expression: str) -> None:
    form = derive(parse_expression(expression, "one_sign", {}))
    assert not exact.named(form, "dual").near


def test_slopes_whose_mean_vanishes_are_anchored_too() -> None:
    form = derive(parse_expression("x*abs(x) - x", "bent", {}))
    assert exact.named(form, "dual_dot").near


@pytest.fixture(scope="module")
def centred() -> Compiled:
    parameters = {"scale": "0.8944", "bias": "-0.4472"}
    return compile_activation("scale*relu(x)**2 + bias", name="centred", parameters=parameters)


def test_uncorrelated_inputs_have_a_dual_of_exactly_0_where_the_mean_is_0(
    centred: Compiled,
) -> None:
    for dtype in (np.float32, np.float64):
        zero, one = np.zeros(3, dtype), np.ones(3, dtype)
        assert not np.any(centred.dual(zero, one, one))  # not by luck: 0*0 + 0, however contracted


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dual_of_a_centred_rectifier_keeps_its_digits_near_independence(
    centred: Compiled, dtype: type
) -> None:
    rho = np.asarray([1e-8, -1e-3, 0.02, -0.2, 0.24], dtype)
    one = np.ones_like(rho)
    eps = float(np.finfo(dtype).eps)

    def of_scale(scale: jax.Array, rho: jax.Array) -> jax.Array:
        return centred.dual(rho, one[0], one[0], scale=scale)

    rates = jax.vmap(jax.grad(of_scale), (None, 0))(jnp.asarray(0.8944, dtype), jnp.asarray(rho))
    with mp.workdps(40):
        for r, value, rate in zip(rho, np.asarray(centred.dual(rho, one, one)), rates, strict=True):
            excess = exact.excess(2, 2, (mp.mpf(float(r)), 1, 1))
            scale = mp.mpf("0.8944") if dtype is np.float64 else mp.mpf(float(np.float32(0.8944)))
            assert abs(value - scale**2 * excess) < 8 * eps * scale**2 * abs(excess)
            assert abs(float(rate) - 2 * scale * excess) < 8 * eps * abs(excess)
