"""The short Hermite series of weakly correlated inputs against the kernels it stands for."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dualc

NAMES = ("tanh", "hard_tanh", "silu", "softshrink", "elu")


def block(rows: int, columns: int, dtype: Any) -> tuple[jax.Array, ...]:
    """(q12, q11, q22) of Gaussian inputs in 40 dimensions, some of them the same on both sides."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=(rows, 40)) * draw.uniform(0.2, 3.0, (rows, 1)) / np.sqrt(40)
    y = draw.normal(size=(columns, 40)) / np.sqrt(40)
    y[: min(rows, columns)] = x[:columns]
    q12, q11, q22 = x @ y.T, (x * x).sum(1), (y * y).sum(1)
    return (
        jnp.asarray(q12, dtype),
        jnp.asarray(q11[:, None], dtype),
        jnp.asarray(q22[None, :], dtype),
    )


def full(name: str) -> tuple[Any, Any]:
    """dual and dual_dot without the series."""
    m = dualc.load(name).module
    return tuple(m.s.kernel(f, domain=m.DOMAIN) for f in (m._dual_full, m._dual_dot_full))


def parameters(name: str) -> tuple[float, ...]:
    return tuple(value for _, value in dualc.load(name).parameters)


@pytest.mark.parametrize(
    "name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])]
)
def test_the_series_stands_for_the_kernel_to_rounding(name: str) -> None:
    q12, q11, q22 = block(24, 40, "float32")
    k, eps = dualc.load(name), 2.0**-23
    dual, dual_dot = (f(q12, q11, q22, *parameters(name)) for f in full(name))
    unit = jnp.abs(dual) + jnp.abs(q12 * dual_dot)
    slack = 32 if name == "elu" else 16  # its mean is a difference of two half lines
    assert float(jnp.max(jnp.abs(k.dual(q12, q11, q22) - dual) / unit)) < slack * eps
    scale = jnp.sqrt(k.dual_dot_diag(q11) * k.dual_dot_diag(q22))
    assert float(jnp.max(jnp.abs(k.dual_dot(q12, q11, q22) - dual_dot) / scale)) < 16 * eps


def test_tiles_put_together_are_the_block() -> None:
    k = dualc.load("tanh")
    q12, q11, q22 = block(384, 576, "float32")  # tiles of 64 by 64, those on the diagonal not weak
    dual, dual_dot = (f(q12, q11, q22) for f in full("tanh"))
    np.testing.assert_allclose(k.dual(q12, q11, q22), dual, rtol=2e-6, atol=2e-8)
    np.testing.assert_allclose(k.dual_dot(q12, q11, q22), dual_dot, rtol=2e-6)
    odd = q12[:377, :563], q11[:377], q22[:, :563]  # no side divides into tiles
    np.testing.assert_allclose(k.dual(*odd), dual[:377, :563], rtol=2e-6, atol=2e-8)


def test_what_the_series_would_cancel_is_left_to_the_kernel() -> None:
    q = jnp.full((1, 1), 0.01, jnp.float32)  # the place is five deviations out
    m = dualc.load("shifted_relu").module
    first = jnp.concatenate([m._coefficients(32, q, 0.5), jnp.zeros((1, 1, 1), jnp.float32)])
    assert not bool(m.s._series((-0.5 * q, q, q), first, first, 0)[1].any())
    near = jnp.concatenate([m._coefficients(32, 100 * q, 0.5), jnp.zeros((1, 1, 1), jnp.float32)])
    assert bool(m.s._series((0.1 * q * 100, 100 * q, 100 * q), near, near, 0)[1].all())


def test_gradients_are_those_of_the_kernel() -> None:
    k = dualc.load("silu")
    point = (0.1, 1.0, 1.3)
    rates = jax.grad(k.dual, (0, 1, 2))(*point)
    assert float(rates[0]) == pytest.approx(float(k.dual_dot(*point)), rel=1e-14)
    step = 1e-5
    for index in range(3):
        ends = [
            k.dual(*(x + s * step * (i == index) for i, x in enumerate(point))) for s in (1, -1)
        ]
        assert float(rates[index]) == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-8)
