"""Pairs of links anywhere against mpmath and quadrature: values, edges, derivatives."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp

from dualc.emit import support_links as s
from dualc.emit.support import gap

KINDS = ((False, False), (True, False), (True, True))
SPREAD = tuple(
    itertools.product((-6.0, -1.0, 0.0, 0.5), (-3.0, 0.0, 0.5009765625), (-0.75, 0.0625))
)
STEEP = tuple(
    itertools.product((-1.0, 0.5), (-1.0009765625, 0.5), (-1.0, -0.9990234375, 0.9375, 1.0))
)
NEAR_ZERO = ((2.0**-10, 2.0**-12, 2.0**-9), (0.0, 0.0, 0.875), (0.0, 0.0, -1.0))
POINTS = (*SPREAD, *STEEP, *NEAR_ZERO)


def orthant(h: float, k: float, r: float) -> Any:
    """P(X < h, Y < k), by the integral over angles from independence; the edges by hand."""
    h, k = mp.mpf(h), mp.mpf(k)
    if r == 1:
        return mp.ncdf(min(h, k))
    if r == -1:
        return max(mp.mpf(0), mp.ncdf(h) - mp.ncdf(-k))
    end = mp.asin(r)

    def slope(t: Any) -> Any:
        return mp.exp(-(h * h - 2 * h * k * mp.sin(t) + k * k) / (2 * mp.cos(t) ** 2))

    area = mp.quad(slope, [0, end / 2, end * 0.9, end * 0.99, end])
    return mp.ncdf(h) * mp.ncdf(k) + area / (2 * mp.pi)


@pytest.fixture(scope="module")
def truths() -> dict[tuple[bool, bool], list[Any]]:
    with mp.workdps(25):
        rows = [(orthant(*p), mp.ncdf(p[0]), mp.ncdf(p[1])) for p in POINTS]

        def less(odd: tuple[bool, bool], both: Any, one: Any, two: Any) -> Any:
            return both - one * odd[1] / 2 - two * odd[0] / 2 + mp.mpf(all(odd)) / 4

        return {odd: [less(odd, *row) for row in rows] for odd in KINDS}


@pytest.fixture(scope="module")
def found() -> dict[Any, dict[tuple[bool, bool], np.ndarray]]:
    def every(h: Any, k: Any, r: Any) -> tuple[Any, ...]:
        sine = jnp.sqrt((1 - r) * (1 + r))
        return tuple(s.joint(odd, h, k, r, sine) for odd in KINDS)

    out = {}
    for dtype in (np.float32, np.float64):
        columns = (jnp.asarray(c, dtype) for c in zip(*POINTS, strict=True))
        values = jax.jit(every)(*columns)
        out[dtype] = {o: np.asarray(v, np.float64) for o, v in zip(KINDS, values, strict=True)}
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("odd", KINDS)
def test_two_events_are_right_to_an_eps(
    odd: tuple[bool, bool], dtype: Any, truths: Any, found: Any
) -> None:
    eps = float(np.finfo(dtype).eps)
    for point, true, value in zip(POINTS, truths[odd], found[dtype][odd], strict=True):
        assert abs(value - true) <= eps, point


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_odd_events_that_are_hardly_correlated_keep_their_digits(
    dtype: Any, truths: Any, found: Any
) -> None:
    place = POINTS.index(NEAR_ZERO[0])
    true, value = truths[True, True][place], found[dtype][True, True][place]
    assert abs(value / true - 1) <= 4 * float(np.finfo(dtype).eps)


def test_derivatives_of_two_events_are_densities_times_conditional_probabilities() -> None:
    h, k, r = 0.25, -0.75, 0.625
    sine = math.sqrt(1 - r * r)
    for odd in KINDS:
        slope = jax.jit(jax.grad(partial(s.joint, odd), argnums=(0, 1, 2)))
        slopes = slope(*map(jnp.float64, (h, k, r, sine)))
        with mp.workdps(25):
            half = [mp.mpf(is_odd) / 2 for is_odd in odd]
            wanted = (
                mp.npdf(h) * (mp.ncdf((k - r * h) / mp.sqrt(1 - mp.mpf(r) ** 2)) - half[1]),
                mp.npdf(k) * (mp.ncdf((h - r * k) / mp.sqrt(1 - mp.mpf(r) ** 2)) - half[0]),
                mp.diff(lambda x: orthant(h, k, x), r),
            )
        for slope, true in zip(slopes, wanted, strict=True):
            assert abs(float(slope) - float(true)) <= 1e-14


def test_the_derivative_in_the_correlation_is_finite_at_its_ends() -> None:
    one, zero = jnp.float64(1), jnp.float64(0)
    for r in (one, -one):
        slope = jax.grad(partial(s.joint, (True, True)), argnums=2)
        assert np.isfinite(slope(zero, zero, r, zero))


# ---- moments

# (coefficient, power, a, b, kind, kappa, tau, zeta)
SMOOTH = ((2.0, 0, 0, 0, "odd", 1.5, -0.5, 1), (0.25, 1, 0, 0, "cdf", -0.75, 1.0, 1))
TILTED = (
    (1.0, 2, -0.5, 0, "cdf", 1.0, 0.25, 1),
    (0.5, 1, 0, 0.5, "", 0, 0, 0),
    (3.0, 1, 0, 0, "pdf", 2.0, -0.5, 1),
)
STEPS = ((1.0, 1, 0, 0, "cdf", 1.0, -0.5, 0), (-0.5, 0, 0, 0, "odd", 1.0, 0, 0))
NODES, WEIGHTS = np.polynomial.legendre.leggauss(120)


def value(terms: Any, x: np.ndarray) -> np.ndarray:
    """A function of x as the support code's terms describe it, by SciPy's normal distribution."""
    from scipy.stats import norm

    total = np.zeros_like(x)
    for coefficient, power, a, b, kind, kappa, tau, zeta in terms:
        y = kappa * x + tau
        cdf = norm.cdf(y) if zeta else np.heaviside(y, 0.5)
        link = {"": 1.0, "cdf": cdf, "odd": cdf - 0.5, "pdf": norm.pdf(y)}[kind]
        base = y if kind == "pdf" else x
        total = total + coefficient * base**power * np.exp(a * x * x + b * x) * link
    return total


def moment(f: Any, g: Any, *point: Any) -> np.ndarray:
    """links_moment, jitted; d is that of the product difference."""

    def of(q12: Any, q11: Any, q22: Any) -> Any:
        return s.links_moment(f, g, q12, q11, q22, gap(q12, q11, q22))

    return np.asarray(jax.jit(of)(*(jnp.asarray(c, jnp.float64) for c in point)))


def line(cuts: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the standard normal law, panels cut at kinks."""
    edges = sorted({-12.0, -5.0, 0.0, 5.0, 12.0, *cuts})
    parts = [((b - a) / 2, (a + b) / 2) for a, b in itertools.pairwise(edges)]
    z = np.concatenate([half * NODES + middle for half, middle in parts])
    w = np.concatenate([half * WEIGHTS for half, _ in parts])
    return z, w * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def brute(f: Any, g: Any, q12: float, q11: float, q22: float) -> float:
    """E[f(u) g(v)] of functions without kinks, by a product rule."""
    z, w = line(())
    rho = q12 / math.sqrt(q11 * q22)
    u, v = z[:, None], rho * z[:, None] + math.sqrt(1 - rho * rho) * z[None, :]
    return float(w @ (value(f, math.sqrt(q11) * u) * value(g, math.sqrt(q22) * v)) @ w)


@pytest.mark.parametrize(("f", "g"), [(SMOOTH, SMOOTH), (SMOOTH, TILTED), (TILTED, TILTED)])
def test_moments_of_smooth_links_are_those_of_a_product_rule(f: Any, g: Any) -> None:
    points = ((0.25, 1.0, 0.5), (-0.875, 1.0, 1.0), (0.0, 0.25, 2.0))
    got = moment(f, g, *zip(*points, strict=True))
    for point, found in zip(points, got, strict=True):
        true = brute(f, g, *point)
        assert float(found) == pytest.approx(true, rel=1e-12, abs=1e-14), point


def test_moments_with_steps_are_means_over_one_variable_where_the_other_is_conditioned() -> None:
    """At rho = 1 the pair is one variable: a single integral, cut at the kinks."""
    q = 2.0
    z, w = line((0.5 / math.sqrt(q),))
    for f, g in ((STEPS, STEPS), (STEPS, SMOOTH), (TILTED, STEPS)):
        u = math.sqrt(q) * z
        true = float(w @ (value(f, u) * value(g, u)))
        assert float(moment(f, g, q, q, q)) == pytest.approx(true, rel=1e-12)


def test_densities_of_steps_are_values_at_their_places() -> None:
    q12, q11, q22 = 0.5, 1.0, 2.0
    mass = ((1.0, 0, 0, 0, "pdf", 1.0, -0.5, 0),)
    got = moment(mass, SMOOTH, q12, q11, q22)
    z, w = line(())
    v = 0.5 * q12 / q11 + math.sqrt(q22 - q12**2 / q11) * z
    density = math.exp(-0.125) / math.sqrt(2 * math.pi)
    assert float(got) == pytest.approx(density * float(w @ value(SMOOTH, v)), rel=1e-12)


def test_equal_masses_at_correlation_one_are_infinite_and_others_nothing() -> None:
    one, other = (((1.0, 0, 0, 0, "pdf", 1.0, -t, 0),) for t in (0.5, 0.75))
    assert moment(one, one, 3.0, 3.0, 3.0) == math.inf
    assert moment(one, other, 3.0, 3.0, 3.0) == 0


def test_without_variance_a_moment_is_a_product_of_values() -> None:
    for f in (SMOOTH, TILTED, STEPS):
        at_zero = value(f, np.zeros(1))[0]
        assert moment(f, f, 0.0, 0.0, 0.0) == pytest.approx(at_zero**2)


@pytest.mark.parametrize("f", [SMOOTH, TILTED[:2]])
def test_hermite_coefficients_of_links_are_projections(f: Any) -> None:
    q, z_w = 1.5, line(())
    got = np.asarray(jax.jit(lambda q: s.links_hermite(8, q, (f,)))(jnp.float64(q)))
    z, w = z_w
    for n, coefficient in enumerate(got):
        basis = np.polynomial.hermite_e.hermeval(z, [0] * n + [1]) / math.sqrt(math.factorial(n))
        true = float(w @ (value(f, math.sqrt(q) * z) * basis))
        assert float(coefficient) == pytest.approx(true, rel=1e-12, abs=1e-14)
