"""Quadrature in polar coordinates near rho = +-1, and the series beside it."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dualc
from dualc.emit.support import gap
from dualc.emit.support_polar import Polar, PolarRules, _quadrature
from dualc.expand.polar import radius_rule, unit_rule

SOFTSIGN = dualc.compile_activation("x/(1 + abs(x))", name="softsign")


def rules(radius: Any, radii: int, angles: int, shifts: tuple[str, str]) -> PolarRules:
    """As a generated module holds them."""
    found = radius(radii, shifts[0]), unit_rule(angles, shifts[1])
    return PolarRules(0.0, *(tuple((float(x), float(w)) for x, w in rows) for rows in found))


RULES = Polar(
    math.inf,
    (),
    False,
    rules(radius_rule, 26, 30, ("0.1", "0.003")),
    rules(radius_rule, 52, 56, ("0.05", "0.002")),
)
CUT = Polar(
    math.inf,
    (1.0,),
    False,
    rules(unit_rule, 28, 36, ("0.03", "0.003")),
    rules(unit_rule, 52, 72, ("0.02", "0.001")),
)
VARIANCES = [(1.0, 1.0), (1e-6, 1e-6), (100.0, 0.25), (1e4, 1e4)]
RHOS = [0.91, 0.999, 1 - 1e-6, 1.0, -0.95, -1.0]


def relu_pair(q12: float, q11: float, q22: float) -> float:
    scale = math.sqrt(q11 * q22)
    rho = max(-1.0, min(1.0, q12 / scale))
    angle = math.acos(rho)
    return scale * (math.sqrt(1 - rho * rho) + (math.pi - angle) * rho) / (2 * math.pi)


def erf_pair(q12: float, q11: float, q22: float) -> float:
    return 2 / math.pi * math.asin(2 * q12 / math.sqrt((1 + 2 * q11) * (1 + 2 * q22)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("phi", "truth", "most"),
    [(lambda x: jnp.maximum(x, 0.0), relu_pair, 16), (jax.lax.erf, erf_pair, 64)],
    ids=["relu", "erf"],
)
def test_means_of_pairs_are_right_to_a_few_eps_at_any_variance(
    phi: Callable[[Any], Any], truth: Callable[..., float], most: int, dtype: str
) -> None:
    rows = [(r * math.sqrt(a * b), a, b) for a, b in VARIANCES for r in RHOS]
    q = [jnp.asarray(np.array(column), dtype) for column in zip(*rows, strict=True)]
    found = _quadrature(lambda u, v, *_: phi(u) * phi(v), RULES, *q, gap(*q))
    exact = [[float(x) for x in row] for row in zip(*(np.asarray(x) for x in q), strict=True)]
    sizes = [math.sqrt(truth(a, a, a) * truth(b, b, b)) for _, a, b in exact]
    errors = [abs(float(x) - truth(*row)) for x, row in zip(found, exact, strict=True)]
    worst = max(e / s for e, s in zip(errors, sizes, strict=True))
    assert worst < most * float(np.finfo(dtype).eps)


def clipped_pair(q12: float, q11: float, q22: float) -> float:
    """E[clip(u) clip(v)] at q11 = q22, rho = +-1: clip(x) = min(max(x, -1), 1)."""
    assert q11 == q22
    z = 1 / math.sqrt(q11)
    density, beyond = math.exp(-z * z / 2) / math.sqrt(2 * math.pi), math.erfc(z / math.sqrt(2))
    square = q11 * (1 - beyond - 2 * z * density) + beyond
    return math.copysign(square, q12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kinks_away_from_zero_are_cut_out(dtype: str) -> None:
    rows = [(sign * q, q, q) for q in (0.25, 1.0, 9.0, 100.0, 1e4) for sign in (1.0, -1.0)]
    q = [jnp.asarray(np.array(column), dtype) for column in zip(*rows, strict=True)]
    found = _quadrature(lambda u, v, *_: jnp.clip(u, -1, 1) * jnp.clip(v, -1, 1), CUT, *q, gap(*q))
    for value, row in zip(found, rows, strict=True):
        truth = clipped_pair(*row)
        assert abs(float(value) / truth - 1) < (1e-12 if dtype == "float64" else 4e-6)


@pytest.mark.parametrize("rho", [0.7, 0.99, 1 - 1e-9, -0.8, -0.9999])
@pytest.mark.parametrize(("q11", "q22"), [(1.0, 1.0), (25.0, 0.5), (1e4, 900.0)])
def test_angles_are_cut_where_both_sides_meet_a_kink(q11: float, q22: float, rho: float) -> None:
    """d/dq12 of a mean of hard tanhs is the mass of a square, which a coarser rule misses."""
    q12 = rho * math.sqrt(q11 * q22)
    q = [jnp.asarray([x]) for x in (q12, q11, q22)]

    def inside(u: Any, v: Any, *_: Any) -> Any:
        return jnp.where((jnp.abs(u) < 1.0) & (jnp.abs(v) < 1.0), 1.0, 0.0)

    fine = CUT._replace(double=rules(unit_rule, 100, 120, ("0.02", "0.004")))
    found, truth = (float(_quadrature(inside, rule, *q, gap(*q))[0]) for rule in (CUT, fine))
    size = math.sqrt(math.erf((2 * q11) ** -0.5) * math.erf((2 * q22) ** -0.5))
    assert abs(found - truth) < 2e-13 * size


def test_what_is_zero_around_zero_has_digits_far_out() -> None:
    """E[max(u - 1, 0)^2] at variance 1/100, ten deviations out."""
    flat, q = CUT._replace(is_flat=True), [jnp.asarray([0.01])] * 3
    found = _quadrature(
        lambda u, v, *_: jnp.maximum(u - 1, 0) * jnp.maximum(v - 1, 0), flat, *q, gap(*q)
    )
    z = 10.0
    density, beyond = math.exp(-z * z / 2) / math.sqrt(2 * math.pi), math.erfc(z / 2**0.5) / 2
    assert float(found[0]) == pytest.approx(0.01 * ((1 + z * z) * beyond - z * density), rel=1e-9)


def test_beyond_the_end_of_the_rules_the_series_serves() -> None:
    module = SOFTSIGN.module
    s, polar = module.s, module._POLAR._replace(end=2.0)
    q = [jnp.asarray(x) for x in ([0.99, 2.97], [1.0, 3.0], [1.0, 3.0])]
    series = np.asarray(s.series_moment(module._TABLE)(*q))
    found = np.asarray(s.near_diagonal(module._TABLE, polar, module._phi)(*q, gap(*q)))
    assert list(found == series) == [False, True]


def test_the_quadrature_serves_near_the_diagonal_alone() -> None:
    table, polar = SOFTSIGN.module._TABLE, SOFTSIGN.module._POLAR
    s = SOFTSIGN.module.s
    q = [jnp.asarray(x) for x in (np.linspace(-1.0, 1.0, 41), np.ones(41), np.ones(41))]
    series = s.series_moment(table)(*q)
    found = s.near_diagonal(table, polar, SOFTSIGN.module._phi)(*q, gap(*q))
    weak = np.abs(np.asarray(q[0])) <= math.exp(-27 / table.order)
    np.testing.assert_array_equal(np.asarray(found)[weak], np.asarray(series)[weak])
    assert np.all(np.asarray(found)[~weak] != np.asarray(series)[~weak])
    np.testing.assert_allclose(found, series, rtol=0, atol=1e-5)  # the series' own error at 1


def test_any_shapes_give_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)) / 2
    x[1] = x[0] * 1.001
    x[5] = 0
    cross, q = x @ x.T, np.sum(x * x, 1)
    whole = np.asarray(SOFTSIGN.dual(cross, q[:, None], q[None, :]))
    pairs = SOFTSIGN.dual(cross.ravel(), np.repeat(q, 300), np.tile(q, 300))
    np.testing.assert_allclose(whole.ravel(), pairs, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(np.diag(whole), SOFTSIGN.dual_diag(q), rtol=1e-13)
    assert whole[0, 1] == pytest.approx(float(SOFTSIGN.dual(cross[0, 1], q[0], q[1])), rel=1e-13)
    mapped = jax.vmap(SOFTSIGN.dual)(cross[0], np.full(300, q[0]), q)
    np.testing.assert_allclose(mapped, whole[0], rtol=1e-13, atol=1e-16)
    assert np.linalg.eigvalsh(whole).min() > -1e-12


@pytest.mark.parametrize("place", [(0.95, 1.0, 1.0), (-4.9, 4.0, 6.25), (96.0, 100.0, 100.0)])
def test_gradients_near_the_diagonal_are_differences(place: tuple[float, float, float]) -> None:
    rates = jax.grad(SOFTSIGN.dual, (0, 1, 2))(*place)
    assert rates[0] == SOFTSIGN.dual_dot(*place)
    for i, rate in enumerate(rates):
        step = 1e-5 * place[i]
        ends = [
            float(SOFTSIGN.dual(*(x + s * step * (i == j) for j, x in enumerate(place))))
            for s in (1, -1)
        ]
        assert float(rate) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)


def test_at_zero_variances_values_and_gradients_are_limits() -> None:
    value, rates = jax.value_and_grad(SOFTSIGN.dual, (0, 1, 2))(0.0, 0.0, 0.0)
    assert value == 0.0
    assert float(rates[0]) == pytest.approx(1.0, rel=1e-12)  # phi'(0)^2
    along = jax.grad(lambda q: SOFTSIGN.dual_dot(q, q, q))(1e-8)
    assert float(along) == pytest.approx(
        float(SOFTSIGN.dual_dot_diag(1e-8 * 1.001) - SOFTSIGN.dual_dot_diag(1e-8)) / 1e-11, rel=1e-2
    )


def test_nothing_gives_nothing() -> None:
    empty = np.zeros((0, 3))
    assert SOFTSIGN.dual(empty, np.zeros((0, 1)), np.ones((1, 3))).shape == (0, 3)
