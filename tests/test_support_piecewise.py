"""Moments of polynomials, tails and masses together: sums of parts, limits at 0, coefficients."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest

from dualc.emit.support_piecewise import (
    Piecewise,
    piecewise_dipoles,
    piecewise_hermite,
    piecewise_mean,
    piecewise_moment,
)

HARD_TANH = Piecewise((-1.0, 1.0), ((-1.0,), (0.0, 1.0), (1.0,)))
ELU = Piecewise((), ((0.0,),), ((1, 0, ((1, 1, 0),)), (-1, 0, ((1, 0, -1), (-1, 0, 0)))))
SLOPE = Piecewise((), ((0.0,),), ((1, 0, ((1, 0, 0),)), (-1, 0, ((1, 0, -1),))))
STEP = Piecewise((), ((0.0,),), ((1, 0, ((1, 0, 0),)),))
MASS = Piecewise((), ((0.0,),), (), ((0.0, 1.0),))
FUNCTIONS = {
    "hard_tanh": (HARD_TANH, lambda x: np.clip(x, -1, 1)),
    "elu": (ELU, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
}


def _grid(ends: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre on panels that halve towards every end but the first and last."""
    x, w = np.polynomial.legendre.leggauss(30)
    nodes, weights = [], []
    for a, b in pairwise(ends):
        cuts = np.linspace(0, 1, 9)
        for low, high in pairwise(a + (b - a) * cuts):
            nodes.append((low + high) / 2 + (high - low) / 2 * x)
            weights.append((high - low) / 2 * w)
    return np.concatenate(nodes), np.concatenate(weights)


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("q", [0.04, 1.0, 25.0])
def test_hermite_coefficients_are_the_integrals_they_stand_for(name: str, q: float) -> None:
    f, phi = FUNCTIONS[name]
    ends = sorted({-14.0, 14.0, 0.0, *(t / q**0.5 for t in (-1.0, 1.0) if abs(t) < 14 * q**0.5)})
    z, w = _grid(ends)
    found = piecewise_hermite(6, f, jnp.asarray(q))
    here, before = np.ones_like(z), np.zeros_like(z)
    for n in range(7):
        wanted = np.sum(w * _density(z) * phi(q**0.5 * z) * here)
        assert float(found[n]) == pytest.approx(wanted, abs=1e-13 * (1 + q**0.5))
        here, before = (z * here - np.sqrt(n) * before) / np.sqrt(n + 1), here
    assert float(piecewise_mean(f, jnp.asarray(q))) == pytest.approx(float(found[0]), abs=1e-13)


def test_at_zero_variance_the_coefficients_are_those_of_a_constant() -> None:
    shifted = Piecewise((1.0,), ((2.0, 1.0), (3.0,)))
    np.testing.assert_array_equal(piecewise_hermite(3, shifted, jnp.asarray(0.0)), [2, 0, 0, 0])


def test_at_zero_variances_a_moment_is_the_limit_along_equal_inputs() -> None:
    zero = jnp.asarray(0.0)
    assert float(piecewise_moment(SLOPE, SLOPE, zero, zero, zero)) == 1.0
    assert float(piecewise_moment(STEP, STEP, zero, zero, zero)) == 0.5
    assert float(piecewise_moment(ELU, ELU, zero, zero, zero)) == 0.0
    assert float(piecewise_moment(MASS, ELU, zero, zero, zero)) == 0.0
    assert float(piecewise_moment(MASS, STEP, zero, zero, zero)) == np.inf


def test_a_moment_is_what_quadrature_gives() -> None:
    z, w = _grid([-12.0, 0.0, 12.0])
    q12, q11, q22 = 0.4, 1.0, 1.5
    mean, deviation = q12 / q11, np.sqrt(q22 - q12**2 / q11)
    for f, phi in FUNCTIONS.values():
        kinks = [-1.0, 1.0] if phi is FUNCTIONS["hard_tanh"][1] else [0.0]
        u, weight = _grid(sorted({-12.0, 12.0, *kinks}))
        inner = np.array([np.sum(w * _density(z) * phi(mean * x + deviation * z)) for x in u])
        wanted = np.sum(weight * _density(u) * phi(u) * inner)
        found = piecewise_moment(f, f, *map(jnp.asarray, (q12, q11, q22)))
        assert float(found) == pytest.approx(wanted, rel=1e-3)  # inner kinks cost digits


def test_a_dipole_is_minus_the_derivative_of_a_mass_in_its_place() -> None:
    place, step = 0.3, 1e-5
    q = tuple(map(jnp.asarray, (0.4, 1.0, 1.5)))
    dipole = Piecewise((), ((0.0,),), (), (), ((place, 1.0),))
    found = piecewise_dipoles(dipole, ELU, SLOPE, *q)

    def mass(at: float) -> float:
        return float(piecewise_moment(Piecewise((), ((0.0,),), (), ((at, 1.0),)), ELU, *q))

    wanted = -(mass(place + step) - mass(place - step)) / (2 * step)
    assert float(found) == pytest.approx(wanted, rel=1e-8)
