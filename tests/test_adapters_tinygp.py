"""tinygp: values against formulas and scipy, gradients against finite differences."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from dualc import layers as nn
from dualc.errors import NetworkError

pytest.importorskip("tinygp", reason="tinygp is not installed")

import tinygp

from dualc.adapters.tinygp import DualKernel

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

Rows = np.ndarray[Any, Any]
GENERATOR = np.random.default_rng(0)
X = jnp.asarray(GENERATOR.standard_normal((12, 3))).at[5].set(0.0)
X = X.at[7].set(X[2]).at[8].set(-X[2])  # inputs that coincide, and opposite ones
Y = jnp.sin(X[:, 0]) * X[:, 1]
THETA = jnp.asarray([0.2, -1.0])  # logarithms of W_std and b_std


def of_erf(x: Rows, W_std: float, b_std: float) -> Rows:
    """The NNGP kernel of Dense, erf, Dense: Williams' arc-sine formula, of numpy alone."""
    q = W_std**2 * x @ x.T / x.shape[1] + b_std**2
    size = 1 + 2 * np.diag(q)
    rho = 2 * q / np.sqrt(size[:, None] * size[None])
    return W_std**2 * 2 / np.pi * np.arcsin(rho) + b_std**2


def minus_log_probability(theta: jax.Array, kernel: str = "nngp") -> jax.Array:
    k = DualKernel("relu", W_std=jnp.exp(theta[0]), b_std=jnp.exp(theta[1]), kernel=kernel)
    return -tinygp.GaussianProcess(k, X, diag=0.01).log_probability(Y)


def test_the_log_probability_is_that_of_the_formula() -> None:
    k = DualKernel("erf", W_std=1.3, b_std=0.2)
    found = tinygp.GaussianProcess(k, X, diag=0.01).log_probability(Y)
    covariance = of_erf(np.asarray(X), 1.3, 0.2) + 0.01 * np.eye(12)
    expected = scipy.stats.multivariate_normal(np.zeros(12), covariance).logpdf(np.asarray(Y))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_gradients_are_those_of_finite_differences_with_inputs_that_coincide(kernel: str) -> None:
    loss = jax.jit(minus_log_probability, static_argnames="kernel")
    gradient = jax.jit(jax.grad(minus_log_probability), static_argnames="kernel")(THETA, kernel)
    for i in range(2):
        step = 1e-5 * jnp.eye(2)[i]
        slope = (loss(THETA + step, kernel) - loss(THETA - step, kernel)) / 2e-5
        np.testing.assert_allclose(gradient[i], slope, rtol=1e-6)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_pairs_inside_a_sum_have_the_values_and_gradients_of_the_whole_matrix(kernel: str) -> None:
    def whole(W_std: jax.Array) -> jax.Array:
        return DualKernel("relu", W_std=W_std, kernel=kernel)(X, X)

    def in_pairs(W_std: jax.Array) -> jax.Array:
        nothing = tinygp.kernels.Constant(jnp.zeros(()))
        return (DualKernel("relu", W_std=W_std, kernel=kernel) + nothing)(X, X)

    at = (jnp.asarray(1.3),), (jnp.asarray(1.0),)
    pairs, matrix = (jax.jit(lambda k=k: jax.jvp(k, *at))() for k in (in_pairs, whole))
    np.testing.assert_allclose(pairs[0], matrix[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(pairs[1], matrix[1], rtol=1e-9, atol=1e-12)
    assert np.isfinite(pairs[1]).all()


def test_the_diagonal_is_that_of_the_matrix() -> None:
    k = DualKernel("relu", kernel="ntk")
    np.testing.assert_allclose(k(X), jnp.diagonal(k(X, X)), rtol=1e-12)


def test_hyperparameters_are_leaves_and_are_mapped_over() -> None:
    k = DualKernel("erf", 2, W_std=jnp.asarray(1.2), b_std=jnp.asarray(0.1))
    assert len(jax.tree.leaves(k)) == 2
    some = jnp.asarray([[0.1, -1.0], [0.3, -2.0]])
    found = jax.jit(jax.vmap(minus_log_probability))(some)
    each = [minus_log_probability(theta) for theta in some]
    np.testing.assert_allclose(found, jnp.stack(each), rtol=1e-9)


def test_inputs_may_be_numbers() -> None:
    k, x = DualKernel("erf"), X[:, 0]
    np.testing.assert_allclose(k(x, x[:4]), k(x[:, None], x[:4, None]), rtol=1e-14)
    assert k(x).shape == (12,)
    assert k(x.astype(jnp.float32), x.astype(jnp.float32)).dtype == jnp.float32


def test_a_gaussian_process_learns_its_hyperparameters() -> None:
    def loss(theta: jax.Array) -> jax.Array:
        k = DualKernel("erf", W_std=jnp.exp(theta[0]), b_std=jnp.exp(theta[1]))
        return -tinygp.GaussianProcess(k, X, diag=jnp.exp(theta[2])).log_probability(Y)

    slope = jax.jit(jax.value_and_grad(loss))

    def both(theta: Rows) -> tuple[float, Rows]:
        value, gradient = slope(jnp.asarray(theta))
        return float(value), np.asarray(gradient)

    start = np.asarray([0.0, 0.0, -1.0])
    found = scipy.optimize.minimize(both, start, jac=True, bounds=[(-3, 2), (-3, 2), (-8, 2)])
    assert found.success
    assert found.fun < both(start)[0] - 0.5
    k = DualKernel("erf", W_std=np.exp(found.x[0]), b_std=np.exp(found.x[1]))
    process = tinygp.GaussianProcess(k, X, diag=jnp.exp(found.x[2]))
    conditioned = process.condition(Y, X + 0.1).gp
    assert np.isfinite(conditioned.loc).all()
    assert (conditioned.variance > 0).all()


def test_another_network_is_a_subclass() -> None:
    class Leaky(DualKernel):
        @property
        def net(self) -> nn.Layer:
            return nn.serial(
                nn.Dense(self.W_std), nn.Activation("leaky_relu", alpha=1.0), nn.Dense()
            )

    # leaky_relu of slope 1 is the identity.
    expected = 4 * X @ X.T / 3
    np.testing.assert_allclose(Leaky("leaky_relu", W_std=2.0)(X, X), expected, atol=1e-12)


def test_inputs_beyond_the_domain_are_an_error() -> None:
    with pytest.raises(NetworkError, match="Scale the inputs"):
        DualKernel("relu")(1e3 * X, X)
