"""scikit-learn: its own checks of estimators, and values against formulas and other solvers."""

from __future__ import annotations

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc.errors import DualcError, NetworkError

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from dualc.adapters.sklearn import DualKernel, DualKernelRidge, NeuralKernelFeatures

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

Rows = np.ndarray[Any, Any]
GENERATOR = np.random.default_rng(0)
X, NEW = GENERATOR.standard_normal((30, 3)), GENERATOR.standard_normal((12, 3))
X[7] = X[3]  # inputs that coincide
Y = np.stack([np.sin(X[:, 0]) * X[:, 1], np.cos(X[:, 2])], axis=1)


def of_relu(x1: Rows, x2: Rows, W_std: float, b_std: float) -> tuple[Rows, Rows]:
    """NNGP and NTK of Dense, relu, Dense: the arc-cosine formulas, of numpy alone."""
    q12, q11, q22 = (
        W_std**2 * k / x1.shape[1] + b_std**2
        for k in (x1 @ x2.T, np.sum(x1**2, 1)[:, None], np.sum(x2**2, 1)[None])
    )
    same = (x1[:, None] == x2[None]).all(-1)
    angle = np.where(same, 0.0, np.arccos(np.clip(q12 / np.sqrt(q11 * q22), -1, 1)))
    kappa0 = (np.pi - angle) / np.pi
    kappa1 = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
    nngp = W_std**2 * np.sqrt(q11 * q22) * kappa1 / 2 + b_std**2
    return nngp, W_std**2 * q12 * kappa0 / 2 + nngp


# The NNGP kernel alone: half as long to compile as both.
@parametrize_with_checks([DualKernelRidge(kernel="nngp")])
def test_scikit_learn_has_nothing_to_object(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([DualKernelRidge(), NeuralKernelFeatures()])
def test_scikit_learn_has_nothing_to_object_at_the_defaults(estimator: Any, check: Any) -> None:
    check(estimator)


# ---- ridge regression ----


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_ridge_solves_the_regression_of_the_formula(kernel: str) -> None:
    which = ("nngp", "ntk").index(kernel)
    model = DualKernelRidge("relu", W_std=1.2, b_std=0.3, kernel=kernel, alpha=0.05).fit(X, Y)
    k = of_relu(X, X, 1.2, 0.3)[which]
    expected = of_relu(NEW, X, 1.2, 0.3)[which] @ np.linalg.solve(k + 0.05 * np.eye(len(X)), Y)
    np.testing.assert_allclose(model.predict(NEW), expected, rtol=1e-9, atol=1e-11)


def test_every_output_is_its_own_regression() -> None:
    both = DualKernelRidge(alpha=0.1).fit(X, Y).predict(NEW)
    assert both.shape == (len(NEW), 2)
    for c in range(2):
        one = DualKernelRidge(alpha=0.1).fit(X, Y[:, c]).predict(NEW)
        np.testing.assert_allclose(one, both[:, c], rtol=1e-11)


def test_float32_stays_float32() -> None:
    x, y = X.astype(np.float32), Y[:, 0].astype(np.float32)
    model = DualKernelRidge(alpha=0.1).fit(x, y)
    assert model.dual_coef_.dtype == model.predict(x).dtype == np.float32
    exact = DualKernelRidge(alpha=0.1).fit(X, Y[:, 0]).predict(X)
    np.testing.assert_allclose(model.predict(x), exact, atol=1e-4)


def test_a_grid_search_chooses_the_network() -> None:
    model = make_pipeline(StandardScaler(), DualKernelRidge(kernel="nngp", alpha=1e-3))
    y = np.maximum(X @ [1.0, 2.0, -1.0], 0)
    grid = {
        "dualkernelridge__activation": ["relu", "identity"],
        "dualkernelridge__depth": np.arange(1, 3),  # NumPy's integers
        "dualkernelridge__W_std": [0.5, 1.0],
    }
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_["dualkernelridge__activation"] == "relu"
    assert len(search.cv_results_["params"]) == 8
    assert search.score(X, y) > 0.99


def test_estimators_travel_by_pickle_and_clone() -> None:
    ridge = DualKernelRidge("relu", alpha=0.1).fit(X, Y)
    copy = pickle.loads(pickle.dumps(ridge))
    np.testing.assert_array_equal(copy.predict(NEW), ridge.predict(NEW))
    features = NeuralKernelFeatures(64, random_state=3).fit(X)
    again = pickle.loads(pickle.dumps(features))
    np.testing.assert_array_equal(again.transform(NEW), features.transform(NEW))
    for model in (ridge, features):
        assert clone(model).get_params() == model.get_params()
        assert len(pickle.dumps(clone(model))) < 1000  # names, not kernels


def test_float64_is_computed_in_float64_with_jax_in_32_bits() -> None:
    with jax.enable_x64(False):
        found = DualKernelRidge("relu", W_std=1.2, b_std=0.3, alpha=0.1).fit(X, Y).predict(NEW)
        assert jnp.ones(1).dtype == jnp.float32  # the mode stays as it was
    k = of_relu(X, X, 1.2, 0.3)[1]
    expected = of_relu(NEW, X, 1.2, 0.3)[1] @ np.linalg.solve(k + 0.1 * np.eye(len(X)), Y)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


# ---- features ----


def test_features_approximate_the_kernel_of_the_formula() -> None:
    features = NeuralKernelFeatures(2048, W_std=1.2, b_std=0.3, random_state=0).fit(X)
    found = features.transform(X)
    assert found.shape == (30, 2048)
    expected = of_relu(X, X, 1.2, 0.3)[1]
    error = np.linalg.norm(found @ found.T - expected) / np.linalg.norm(expected)
    assert error < 3 / np.sqrt(2048)


def test_features_are_of_the_seed_and_of_the_row_alone() -> None:
    features = NeuralKernelFeatures(64, random_state=1).fit(X)
    whole = features.transform(NEW)
    np.testing.assert_allclose(features.transform(NEW[4:5]), whole[4:5], rtol=1e-12)
    other_rows = NeuralKernelFeatures(64, random_state=1).fit(NEW)
    np.testing.assert_array_equal(other_rows.transform(NEW), whole)
    other_seed = NeuralKernelFeatures(64, random_state=2).fit(X)
    assert not np.allclose(other_seed.transform(NEW), whole)


def test_features_have_names_and_stand_in_a_pipeline() -> None:
    features = NeuralKernelFeatures(64, random_state=0)
    model = make_pipeline(StandardScaler(), features, Ridge(1e-3)).fit(X, Y[:, 0])
    assert model.score(X, Y[:, 0]) > 0.9
    names = features.get_feature_names_out()
    assert len(names) == 64
    assert names[1] == "neuralkernelfeatures1"


# ---- the kernel of a Gaussian process ----


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_the_gaussian_process_kernel_has_the_values_of_the_formula(kernel: str) -> None:
    which = ("nngp", "ntk").index(kernel)
    k = DualKernel("relu", W_std=1.2, b_std=0.3, kernel=kernel)
    expected = of_relu(X, X, 1.2, 0.3)[which]
    np.testing.assert_allclose(k(X), expected, rtol=1e-10)
    np.testing.assert_allclose(k.diag(X), np.diag(expected), rtol=1e-10)
    np.testing.assert_allclose(k(NEW, X), of_relu(NEW, X, 1.2, 0.3)[which], rtol=1e-10)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_its_gradient_is_that_of_finite_differences(kernel: str) -> None:
    k = DualKernel("relu", W_std=1.2, b_std=0.3, kernel=kernel)
    gradient, h = k(X, eval_gradient=True)[1], 1e-5
    assert gradient.shape == (30, 30, 2)
    for i in range(2):
        step = h * np.eye(2)[i]
        up, down = (k.clone_with_theta(k.theta + sign * step)(X) for sign in (1, -1))
        np.testing.assert_allclose(gradient[..., i], (up - down) / (2 * h), rtol=1e-6, atol=1e-8)


def test_fixed_deviations_are_no_hyperparameters() -> None:
    assert DualKernel(W_std_bounds="fixed").n_dims == 1
    without = DualKernel(W_std=1.2, b_std=None)
    assert [one.name for one in without.hyperparameters if not one.fixed] == ["W_std"]
    # Without biases the kernel of a homogeneous phi is W_std^4 times that at W_std = 1.
    value, gradient = without(X, eval_gradient=True)
    np.testing.assert_allclose(gradient[..., 0], 4 * value, rtol=1e-10)
    none = DualKernel(b_std=None, W_std_bounds="fixed")
    assert none(X, eval_gradient=True)[1].shape == (30, 30, 0)


def test_a_gaussian_process_learns_its_hyperparameters() -> None:
    kernel = DualKernel("relu", W_std=0.5, b_std=1.0) + WhiteKernel(0.01, "fixed")
    process = GaussianProcessRegressor(kernel, random_state=0).fit(X, Y[:, 1])
    start = process.log_marginal_likelihood(kernel.theta)
    end, gradient = process.log_marginal_likelihood(process.kernel_.theta, eval_gradient=True)
    assert end > start + 1
    np.testing.assert_allclose(gradient, 0, atol=1e-2)  # a maximum, inside the bounds
    mean, deviation = process.predict(NEW, return_std=True)
    assert np.isfinite(mean).all()
    assert (deviation > 0).all()
    assert pickle.loads(pickle.dumps(process)).kernel_ == process.kernel_
    assert repr(DualKernel()) == "DualKernel('relu', depth=1, W_std=0.9, b_std=0.1, kernel='nngp')"


# ---- errors ----


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(DualcError, match=r"'rellu'.*Did you mean 'relu'"):
        DualKernelRidge("rellu").fit(X, Y)
    with pytest.raises(DualcError, match="kernel='ntp': it is 'nngp' or 'ntk'"):
        DualKernelRidge(kernel="ntp").fit(X, Y)
    with pytest.raises(NetworkError, match=r"depth is a positive integer, not 1\.5"):
        DualKernelRidge(depth=1.5).fit(X, Y)  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match="p is an integer of at least 2, not 1"):
        NeuralKernelFeatures(1).fit(X)
    with pytest.raises(NetworkError, match=r"x1\[\d+\] has a variance.*Scale the inputs"):
        DualKernelRidge().fit(1e3 * X, Y)
    with pytest.raises(NetworkError, match=r"x\[0\] has a variance.*Scale the inputs"):
        NeuralKernelFeatures(8).fit(X).transform(1e3 * X)
    with pytest.raises(ValueError, match="only be evaluated when Y is None"):
        DualKernel()(X, NEW, eval_gradient=True)
