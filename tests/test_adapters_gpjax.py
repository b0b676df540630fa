"""GPJax: values against formulas and scipy, gradients against finite differences."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

pytest.importorskip("gpjax", reason="GPJax is not installed")

import equinox as eqx
import gpjax as gpx
from gpjax.parameters import Real, val

from dualc.adapters.gpjax import DualKernel

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

Rows = np.ndarray[Any, Any]
GENERATOR = np.random.default_rng(0)
X = jnp.asarray(GENERATOR.standard_normal((12, 3))).at[5].set(0.0)
X = X.at[7].set(X[2])  # inputs that coincide
DATA = gpx.Dataset(X, (jnp.sin(X[:, 0]) * X[:, 1])[:, None])
NOISE = 0.1


def of_erf(x: Rows, W_std: float, b_std: float) -> Rows:
    """The NNGP kernel of Dense, erf, Dense: Williams' arc-sine formula, of numpy alone."""
    q = W_std**2 * x @ x.T / x.shape[1] + b_std**2
    size = 1 + 2 * np.diag(q)
    rho = 2 * q / np.sqrt(size[:, None] * size[None])
    return W_std**2 * 2 / np.pi * np.arcsin(rho) + b_std**2


def posterior(kernel: Any) -> Any:
    prior = gpx.gps.Prior(mean_function=gpx.mean_functions.Zero(), kernel=kernel, jitter=0.0)
    return prior * gpx.likelihoods.Gaussian(obs_stddev=jnp.asarray(NOISE))


def loss(model: Any, data: Any = DATA) -> jax.Array:
    return -gpx.objectives.conjugate_mll(model, data)


def test_the_likelihood_is_that_of_the_formula() -> None:
    found = loss(posterior(DualKernel("erf", W_std=1.3, b_std=0.2)))
    covariance = of_erf(np.asarray(X), 1.3, 0.2) + NOISE**2 * np.eye(12)
    y = np.asarray(DATA.y)[:, 0]
    expected = -scipy.stats.multivariate_normal(np.zeros(12), covariance).logpdf(y)
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # GPJax has a jitter of its own


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_gradients_are_those_of_finite_differences_with_inputs_that_coincide(kernel: str) -> None:
    model = posterior(DualKernel("relu", 2, W_std=1.3, b_std=0.2, kernel=kernel))
    where = [
        lambda m: m.prior.kernel.W_std._unconstrained,
        lambda m: m.prior.kernel.b_std._unconstrained,
    ]
    gradient, value = eqx.filter_jit(eqx.filter_grad(loss))(model), eqx.filter_jit(loss)
    for leaf in where:
        up, down = (eqx.tree_at(leaf, model, leaf(model) + h) for h in (1e-5, -1e-5))
        slope = (value(up) - value(down)) / 2e-5
        np.testing.assert_allclose(leaf(gradient), slope, rtol=1e-6)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_pairs_inside_a_sum_have_the_values_of_the_whole_matrix(kernel: str) -> None:
    alone = DualKernel("relu", 2, kernel=kernel)
    together = alone + gpx.kernels.Constant(constant=0.0)
    whole = alone.gram(X).as_matrix()
    np.testing.assert_allclose(together.gram(X).as_matrix(), whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(alone.cross_covariance(X[:4], X), whole[:4], rtol=1e-12)
    np.testing.assert_allclose(
        jnp.diagonal(alone.diagonal(X).as_matrix()), jnp.diagonal(whole), rtol=1e-12
    )


def test_active_dimensions_are_those_that_count() -> None:
    some = DualKernel("erf", active_dims=[0, 2])
    expected = DualKernel("erf").gram(X[:, jnp.asarray([0, 2])]).as_matrix()
    np.testing.assert_allclose(some.gram(X).as_matrix(), expected, rtol=1e-12)


def test_parameters_of_gpjax_are_taken_as_they_are() -> None:
    fixed = Real(jnp.asarray(-1.3))
    k = DualKernel("erf", W_std=fixed, b_std=None)
    assert k.W_std is fixed
    assert k.b_std is None
    expected = of_erf(np.asarray(X), 1.3, 0.0)
    np.testing.assert_allclose(k.gram(X).as_matrix(), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # GPJax's, of its own libraries
def test_a_gaussian_process_learns_its_hyperparameters() -> None:
    model = posterior(DualKernel("erf", W_std=1.0, b_std=1.0))
    learnt, history = gpx.fit_scipy(model=model, objective=loss, train_data=DATA, verbose=False)
    assert loss(learnt) < loss(model) - 1.0
    kernel = learnt.prior.kernel
    assert float(val(kernel.W_std)) > 0
    assert float(val(kernel.W_std)) != 1.0
    assert float(val(kernel.b_std)) != 1.0
    prediction = learnt.predict(X + 0.1, train_data=DATA)
    assert np.isfinite(prediction.mean).all()
    assert len(history) > 1
