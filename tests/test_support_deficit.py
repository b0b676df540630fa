"""Near-identical inputs: `delta` and the deficit, in float32 where q12 has nothing to say."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import dualc

NAMES = (
    *("relu", "gelu", "tanh", "sin", "step", "gaussian"),
    # a quarter or half a minute to compile
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("hard_tanh", "mish")),
)


def true_deficit(name: str, q11: float, q22: float, delta: float) -> float:
    """1 - k12/sqrt(k11 k22) by integration of the squared difference itself."""
    phi = {
        "tanh": mp.tanh,
        "gelu": lambda x: x * mp.ncdf(x),
        "sin": mp.sin,
        "gaussian": lambda x: mp.exp(-(x**2)),
    }[name]
    step = mp.mpf(1) / 6  # the trapezoid rule: all four are analytic in a strip
    rule = [(step * i, step * mp.npdf(step * i)) for i in range(-66, 67)]
    coarse = [(y, 2 * w) for y, w in rule[::2]]  # where the two points differ little is enough
    first, second = mp.sqrt(q11), mp.sqrt(q22)
    rho, rest = 1 - mp.mpf(delta), mp.sqrt(mp.mpf(delta) * (2 - mp.mpf(delta)))
    a, b = (mp.fsum(w * phi(s * x) ** 2 for x, w in rule) ** -0.5 for s in (first, second))
    total = mp.fsum(
        w * v * (a * phi(first * x) - b * phi(second * (rho * x + rest * y))) ** 2
        for x, w in rule
        for y, v in coarse
    )
    return float(total / 2)


@pytest.mark.parametrize(
    "name",
    ["tanh", *(pytest.param(n, marks=pytest.mark.slow) for n in ("gelu", "sin", "gaussian"))],
)
@pytest.mark.parametrize(
    "point", [(1.0, 1.0, 5e-9), (1.0, 1.0, 1e-3), (1.0, 1.0001, 5e-9), (0.5, 0.75, 1e-5)]
)
def test_deficits_agree_with_the_integral_of_the_squared_difference(
    name: str, point: tuple[float, float, float]
) -> None:
    single = [np.float32(x) for x in point]
    truth = true_deficit(name, *map(float, single))
    k = dualc.load(name)
    slack = 4 * 2.0**-23 if abs(np.log(point[1] / point[0])) > 0.25 else 0.0
    assert float(k.deficit(*single)) == pytest.approx(truth, rel=1e-4, abs=slack)
    double = float(k.deficit(*map(np.float64, single)))
    assert double == pytest.approx(truth, rel=1e-12 if point[0] == point[1] else 1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "q", [1e-2, *(pytest.param(q, marks=pytest.mark.slow) for q in (1.0, 100.0))]
)
def test_three_layers_keep_what_a_distance_of_1e_4_says_in_float32(name: str, q: float) -> None:
    delta = 5e-9  # |x - y|^2/2 of unit vectors
    k = dualc.load(name)
    single, double = np.float32(delta), np.float64(np.float32(delta))
    variance, wide = np.float32(q), np.float64(np.float32(q))
    for _ in range(3):
        slope = k.dual_dot(variance, variance, variance, delta=single)
        truth = k.dual_dot(wide * (1 - double), wide, wide, delta=double)
        assert slope.dtype == jnp.float32
        np.testing.assert_allclose(slope, truth, rtol=2e-5)
        single, double = k.deficit(variance, variance, single), k.deficit(wide, wide, double)
        np.testing.assert_allclose(single, double, rtol=2e-5)
        variance, wide = k.dual_diag(variance), k.dual_diag(wide)


@pytest.mark.parametrize("name", NAMES)
def test_deficits_and_plain_duals_agree_where_both_have_digits(name: str) -> None:
    k = dualc.load(name)
    q11, q22 = jnp.asarray([0.3, 1.0, 4.0]), jnp.asarray([0.5, 1.0, 2.5])
    for delta in (1e-3, 0.2, 0.49, 0.51, 1.0, 1.7, 2.0):
        q12 = jnp.sqrt(q11 * q22) * (1 - delta)
        plain = 1 - k.dual(q12, q11, q22) / jnp.sqrt(k.dual_diag(q11) * k.dual_diag(q22))
        np.testing.assert_allclose(k.deficit(q11, q22, delta), plain, rtol=1e-7, atol=2e-13)


def test_relu_does_not_ask_for_variances_and_zero_rows_have_a_deficit() -> None:
    k = dualc.load("relu")
    one = float(k.deficit(1.0, 1.0, 1e-6))
    assert float(k.deficit(0.01, 400.0, 1e-6)) == pytest.approx(one, rel=1e-9)
    assert float(k.deficit(0.0, 0.0, 1e-6)) == pytest.approx(one, rel=1e-9)
    assert float(k.deficit(0.0, 1.0, 1e-6)) == pytest.approx(one, rel=1e-9)
    assert float(k.deficit(1.0, 1.0, 0.0)) == 0
    wrong = k.deficit(jnp.asarray([1.0, -1.0, 1.0]), 1.0, jnp.asarray([-0.1, 0.1, 2.1]))
    assert np.isnan(wrong).all()


def test_deficits_have_gradients_at_zero() -> None:
    k = dualc.load("gelu")
    slope = float(k.dual_dot(1.0, 1.0, 1.0)) / float(k.dual_diag(1.0))
    assert jax.grad(k.deficit, 2)(1.0, 1.0, 0.0) == pytest.approx(slope, rel=1e-12)
