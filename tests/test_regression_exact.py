"""Exact regression against dense formulas in mpmath, NumPy and SciPy, and parameter space."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal

from dualc import layers as nn
from dualc.errors import DataError, DualcError, FactorisationError
from dualc.regression import Posterior, fit, gradient_flow, kernels

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")


class Kernels(NamedTuple):
    nngp: Any
    ntk: Any


def shallow(weight: Any = 1.3, bias: Any = 0.2) -> nn.Layer:
    """One hidden layer of relu between dense ones."""
    return nn.serial(nn.Dense(weight, bias), nn.Activation("relu"), nn.Dense())


class Rough:
    """A stand-in that compiles in no time: exp(-weight r) + bias^2, and that times 1 + x x' / 2."""

    def __init__(self, weight: Any = 1.3, bias: Any = 0.2) -> None:
        self.weight, self.bias = weight, bias

    def kernel(self, x1: Any, x2: Any = None, get: Any = ("nngp", "ntk")) -> Any:
        found = rough(
            jnp.asarray(x1), jnp.asarray(x1 if x2 is None else x2), self.weight, self.bias
        )
        return getattr(found, get) if isinstance(get, str) else found


@jax.jit
def rough(x1: Any, x2: Any, weight: Any, bias: Any) -> Kernels:
    distance = jnp.sqrt(jnp.sum((x1[:, None] - x2[None, :]) ** 2, axis=-1))
    nngp = jnp.exp(-weight * distance) + bias**2
    return Kernels(nngp, nngp * (1.0 + x1 @ x2.T / 2.0))


def dense(x1: np.ndarray, x2: np.ndarray, weight: float, bias: float) -> Kernels:
    """The kernels of Rough in NumPy."""
    nngp = np.exp(-weight * cdist(x1, x2)) + bias**2
    return Kernels(nngp, nngp * (1.0 + x1 @ x2.T / 2.0))


class Linear:
    """f(x) = x theta with theta ~ N(0, I): NNGP and NTK are the same, of rank d."""

    def kernel(self, x1: Any, x2: Any = None, get: Any = ("nngp", "ntk")) -> Any:
        k = x1 @ (x1 if x2 is None else x2).T
        return k if isinstance(get, str) else Kernels(k, k)


class Given:
    """Any matrix as the kernel of the inputs 0, 1, 2, ...; remembers what it gave away."""

    def __init__(self, matrix: Any) -> None:
        self.matrix, self.last = matrix, jnp.zeros(())

    def kernel(self, x1: Any, x2: Any = None, get: Any = "nngp") -> Any:
        self.last = self.matrix + jnp.zeros((), self.matrix.dtype)
        return self.last


def arc_cosine(x1: np.ndarray, x2: np.ndarray, weight: float, bias: float) -> Kernels:
    """The kernels of `shallow` from the arc-cosine formulas in NumPy."""
    q12 = weight**2 * x1 @ x2.T / x1.shape[1] + bias**2
    n1, n2 = (weight**2 * (x * x).sum(1) / x.shape[1] + bias**2 for x in (x1, x2))
    norm = np.sqrt(np.outer(n1, n2))
    one, two = (
        np.c_[weight * x / np.sqrt(x.shape[1]), np.full(len(x), bias)] / np.sqrt(n)[:, None]
        for x, n in ((x1, n1), (x2, n2))
    )
    apart, along = one[:, None] - two[None], one[:, None] + two[None]
    # Exact on the diagonal too, where arccos loses half of the digits.
    angle = 2 * np.arctan2(np.linalg.norm(apart, axis=-1), np.linalg.norm(along, axis=-1))
    nngp = norm * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    return Kernels(nngp, nngp + q12 * (np.pi - angle) / (2 * np.pi))


def data(n: int = 24, m: int = 7, d: int = 3, outputs: int = 2) -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng(3)
    x, x_new = draw.normal(size=(n, d)), draw.normal(size=(m, d))
    return x, np.sin(x @ draw.normal(size=(d, outputs))), x_new


def log_density(
    x: np.ndarray, y: np.ndarray, weight: float, bias: float, noise: float, kernels: Any = dense
) -> float:
    covariance = kernels(x, x, weight, bias).nngp + noise * np.eye(len(x))
    normal = multivariate_normal(np.zeros(len(x)), covariance)
    return float(sum(normal.logpdf(column) for column in y.reshape(len(y), -1).T))


def test_mean_variance_and_likelihood_are_those_of_fifty_digits() -> None:
    x, y, x_new = data()
    noise = 0.03
    posterior = fit(shallow(), jnp.asarray(x), jnp.asarray(y), noise=noise)
    with mp.workdps(50):
        k = mp.matrix(arc_cosine(x, x, 1.3, 0.2).nngp.tolist()) + noise * mp.eye(len(x))
        cross = mp.matrix(arc_cosine(x_new, x, 1.3, 0.2).nngp.tolist())
        inverse, targets = k**-1, mp.matrix(y.tolist())
        mean = np.array((cross * inverse * targets).tolist(), float)
        prior = np.diag(arc_cosine(x_new, x_new, 1.3, 0.2).nngp)
        explained = cross * inverse * cross.T
        variance = [float(prior[i] - explained[i, i]) for i in range(len(x_new))]
        quadratic = sum((targets.T * inverse * targets)[i, i] for i in range(2))
        constant = 2 * (mp.log(mp.det(k)) + len(x) * mp.log(2 * mp.pi))
        likelihood = float(-(quadratic + constant) / 2)
    found = posterior.predict(jnp.asarray(x_new))
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-10)
    np.testing.assert_allclose(posterior.log_marginal_likelihood, likelihood, rtol=1e-12)


def test_one_output_comes_back_as_a_vector() -> None:
    x, y, x_new = data()
    one = fit(Rough(), jnp.asarray(x), jnp.asarray(y[:, 0]), noise=0.1)
    two = fit(Rough(), jnp.asarray(x), jnp.asarray(y), noise=0.1)
    assert one.mean(jnp.asarray(x_new)).shape == (7,)
    np.testing.assert_allclose(one.mean(x_new), two.mean(x_new)[:, 0], rtol=1e-11)
    np.testing.assert_allclose(
        one.log_marginal_likelihood, log_density(x, y[:, 0], 1.3, 0.2, 0.1), rtol=1e-11
    )


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_covariance_is_that_of_the_function_the_targets_leave_open(kernel: str) -> None:
    """By the linear map it comes from: f* - A f(x) (- A noise, for the GP) of jointly normal f."""
    x, y, x_new = data()
    noise, everything = 0.05, np.concatenate([x_new, x])
    joint = dense(everything, everything, 1.3, 0.2)
    trained, m = getattr(joint, kernel), len(x_new)
    a = np.linalg.solve(trained[m:, m:] + noise * np.eye(len(x)), trained[m:, :m]).T
    left = np.concatenate([np.eye(m), -a], axis=1)
    expected = left @ joint.nngp @ left.T + (noise * a @ a.T if kernel == "nngp" else 0.0)
    posterior = fit(Rough(), jnp.asarray(x), jnp.asarray(y), noise=noise, kernel=kernel)
    np.testing.assert_allclose(posterior.covariance(x_new), expected, atol=1e-13)
    found = posterior.predict(jnp.asarray(x_new))
    np.testing.assert_allclose(found.variance, np.diag(expected), atol=1e-13)
    np.testing.assert_allclose(found.mean, a @ y, atol=1e-12)


@pytest.mark.parametrize("jitted", [False, True])
def test_gradients_of_the_likelihood_are_the_finite_differences(jitted: bool) -> None:
    x, y, _ = data()

    def likelihood(weight: Any, bias: Any, noise: Any) -> Any:
        net = Rough(weight, bias)
        return fit(net, jnp.asarray(x), jnp.asarray(y), noise=noise).log_marginal_likelihood

    gradient = jax.grad(likelihood, (0, 1, 2))
    found = (jax.jit(gradient) if jitted else gradient)(1.3, 0.2, 0.07)
    at, step = np.array([1.3, 0.2, 0.07]), 1e-4
    for k, value in enumerate(found):
        h = step * np.eye(3)[k]
        ahead = [log_density(x, y, *(at + s * h)) for s in (-2, -1, 1, 2)]
        slope = np.dot([1, -8, 8, -1], ahead) / (12 * step)
        np.testing.assert_allclose(value, slope, rtol=1e-7)


def test_gradients_reach_the_numbers_of_a_network() -> None:
    x, y, _ = data()

    @jax.jit
    def likelihood(weight: Any) -> Any:
        return fit(shallow(weight), x, y, noise=0.07).log_marginal_likelihood

    found = jax.grad(likelihood)(1.3)
    ahead = [log_density(x, y, 1.3 + h, 0.2, 0.07, arc_cosine) for h in (-1e-5, 1e-5)]
    np.testing.assert_allclose(found, (ahead[1] - ahead[0]) / 2e-5, rtol=1e-6)


def test_gradients_of_the_noise_alone_leave_the_kernel_in_place() -> None:
    x, y, _ = data()
    net = Given(jnp.asarray(dense(x, x, 1.3, 0.2).nngp))
    found = jax.grad(lambda s: fit(net, x, y, noise=s).log_marginal_likelihood)(0.07)
    ahead = [log_density(x, y, 1.3, 0.2, 0.07 + h) for h in (-1e-5, 1e-5)]
    np.testing.assert_allclose(found, (ahead[1] - ahead[0]) / 2e-5, rtol=1e-6)
    assert not net.last.is_deleted()
    traced = jax.jit(lambda s: fit(net, x, y, noise=s).log_marginal_likelihood)(0.07)
    np.testing.assert_allclose(traced, log_density(x, y, 1.3, 0.2, 0.07), rtol=1e-11)


def test_the_kernel_is_factored_in_its_own_memory() -> None:
    x, y, _ = data()
    net = Given(jnp.asarray(dense(x, x, 1.3, 0.2).nngp))
    fit(net, x, y, noise=0.1)
    assert net.last.is_deleted()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_singular_kernel_gets_the_least_jitter_that_will_do(dtype: Any) -> None:
    x = np.repeat(data()[0], 3, axis=0).astype(dtype)
    y = np.sin(x[:, 0])
    net, eps = Rough(), float(np.finfo(dtype).eps)
    scale = float(jnp.mean(jnp.diagonal(net.kernel(x, get="nngp"))))
    posterior = fit(net, x, y, noise=0.0)
    assert posterior.factor.dtype == dtype
    assert 0.0 < float(posterior.jitter) <= 1.01 * scale * eps**0.5
    assert float(fit(net, x, y, noise=0.1).jitter) == 0.0
    np.testing.assert_allclose(posterior.mean(x), y, atol=200 * eps**0.5)
    jitted = jax.jit(lambda x, y: fit(net, x, y, noise=0.0).jitter)(x, y)
    assert 0.0 < float(jitted) <= 1.01 * scale * eps**0.5


def test_an_indefinite_kernel_is_an_error_that_says_what_was_tried() -> None:
    matrix, x, y = jnp.diag(jnp.array([1.0, 1.0, -0.5])), jnp.eye(3), jnp.ones(3)
    with pytest.raises(FactorisationError, match=r"with 0, 1\.5e-15, .*, 1\.2e-08 added"):
        fit(Given(matrix), x, y, noise=0.0)
    with pytest.raises(FactorisationError, match=r"with 0\.25 added .* noise 0\.1\b"):
        fit(Given(matrix), x, y, noise=0.1, jitter=0.25)
    found = fit(Given(matrix), x, y, noise=0.1, jitter=0.5)
    assert float(found.jitter) == 0.5
    with pytest.raises(FactorisationError, match="NaN or infinite"):
        fit(Given(matrix.at[0, 1].set(jnp.nan).at[1, 0].set(jnp.nan)), x, y, noise=0.1)
    traced = jax.jit(lambda y: fit(Given(matrix), x, y, noise=0.0).weights)(y)
    assert bool(jnp.isnan(traced).any())


def test_predictions_block_by_block_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, x_new = data(m=64)
    posteriors = [fit(Linear(), x, y, noise=0.1, kernel=kernel) for kernel in ("nngp", "ntk")]
    flow = gradient_flow(Linear(), x, y)
    whole = [posterior.predict(x_new) for posterior in posteriors] + [flow.predict(x_new, 2.0)]
    monkeypatch.setattr(kernels, "_BLOCK", 24 * 32)
    parts = [posterior.predict(x_new) for posterior in posteriors] + [flow.predict(x_new, 2.0)]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one.mean, other.mean, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(one.variance, other.variance, rtol=1e-10, atol=1e-14)
    assert posteriors[0].predict(x_new[:0]).mean.shape == (0, 2)


@pytest.mark.parametrize("t", [0.0, 0.3, 40.0])
def test_gradient_flow_is_the_matrix_exponential_of_the_ntk(t: float) -> None:
    x, y, x_new = data()
    m, everything = len(x_new), np.concatenate([x_new, x])
    joint = dense(everything, everything, 1.3, 0.2)
    theta = joint.ntk[m:, m:]
    speed = np.linalg.solve(theta, np.eye(len(x)) - expm(-t * theta))
    a = joint.ntk[:m, m:] @ speed
    left = np.concatenate([np.eye(m), -a], axis=1)
    flow = gradient_flow(Rough(), jnp.asarray(x), jnp.asarray(y))
    found = flow.predict(jnp.asarray(x_new), t)
    np.testing.assert_allclose(found.mean, a @ y, atol=1e-11)
    expected = left @ joint.nngp @ left.T
    np.testing.assert_allclose(flow.covariance(jnp.asarray(x_new), t), expected, atol=1e-11)
    np.testing.assert_allclose(found.variance, np.diag(expected), atol=1e-11)


@pytest.mark.parametrize("t", [0.05, 2.0, 1e30, np.inf])
def test_gradient_flow_of_a_linear_model_is_that_of_its_parameters(t: float) -> None:
    """theta_t = theta* + exp(-t X'X)(theta_0 - theta*): more rows than parameters, so rank d."""
    x, y, x_new = data(n=30)
    values, basis = np.linalg.eigh(x.T @ x)
    decay = (basis * np.exp(-t * values)) @ basis.T
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    found = gradient_flow(Linear(), jnp.asarray(x), jnp.asarray(y)).predict(jnp.asarray(x_new), t)
    np.testing.assert_allclose(found.mean, x_new @ (best - decay @ best), atol=1e-11)
    moved = x_new @ decay
    np.testing.assert_allclose(found.variance, (moved * moved).sum(1), atol=1e-11)


@pytest.mark.parametrize("t", [-1.0, float("nan")])
def test_gradient_flow_does_not_run_backwards(t: float) -> None:
    x = np.eye(3)
    with pytest.raises(DualcError, match=r"a time of training is at least 0"):
        gradient_flow(nn.fully_connected("erf", 1), x, x[0]).predict(x, t=t)


def test_gradient_flow_at_the_end_is_ridge_regression_without_noise() -> None:
    x, y, x_new = data()
    flow = gradient_flow(Rough(), jnp.asarray(x), jnp.asarray(y))
    ridge = fit(Rough(), jnp.asarray(x), jnp.asarray(y), noise=1e-11, kernel="ntk")
    end, limit = flow.predict(jnp.asarray(x_new)), ridge.predict(jnp.asarray(x_new))
    np.testing.assert_allclose(end.mean, limit.mean, atol=1e-7)
    np.testing.assert_allclose(end.variance, limit.variance, atol=1e-7)
    np.testing.assert_allclose(flow.predict(jnp.asarray(x)).mean, y, atol=1e-10)
    np.testing.assert_allclose(flow.predict(jnp.asarray(x)).variance, 0.0, atol=1e-10)


def test_a_posterior_is_a_pytree_and_goes_through_jit() -> None:
    x, y, x_new = data()
    net = nn.fully_connected("erf", 1)  # a pytree itself: its numbers are leaves
    posterior = jax.jit(lambda x, y: fit(net, x, y, noise=0.1))(x, y)
    assert isinstance(posterior, Posterior)
    mean = jax.jit(lambda posterior, x: posterior.mean(x))(posterior, x_new)
    np.testing.assert_allclose(mean, fit(net, x, y, noise=0.1).mean(x_new), rtol=1e-10)
    assert jax.tree.structure(jax.tree.map(lambda leaf: leaf, posterior).net) == jax.tree.structure(
        net
    )
    flow = jax.jit(lambda x, y: gradient_flow(net, x, y))(x, y)
    np.testing.assert_allclose(flow.predict(x, 0.0).mean, 0.0, atol=1e-14)


def test_float32_stays_float32() -> None:
    x, y, _ = data()
    single = jnp.asarray(x, jnp.float32)
    for kernel in ("nngp", "ntk"):
        posterior = fit(Linear(), single, y, noise=0.1, kernel=kernel)  # targets in float64
        found = posterior.predict(single)
        assert found.mean.dtype == found.variance.dtype == jnp.float32
        assert posterior.log_marginal_likelihood.dtype == jnp.float32
    assert gradient_flow(Linear(), single, y).predict(single, 1.0).mean.dtype == jnp.float32


def test_images_are_inputs_too() -> None:
    x, y, _ = data(d=12)
    net = nn.serial(nn.Flatten(), shallow())
    posterior = fit(net, jnp.asarray(x.reshape(24, 2, 2, 3)), y, noise=0.1)
    k = arc_cosine(x, x, 1.3, 0.2).nngp
    expected = k @ np.linalg.solve(k + 0.1 * np.eye(24), y)
    np.testing.assert_allclose(posterior.mean(posterior.x), expected, atol=1e-11)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((4, 2)), np.ones(3), r"x of shape \(4, 2\) and y of shape \(3,\)"),
        (np.ones(4), np.ones(4), r"x of shape \(4,\)"),
        (np.ones((0, 2)), np.ones(0), r"n >= 1"),
        (np.array([[1.0], [np.nan], [np.inf]]), np.ones(3), r"row 1 \(and 1 more\): x is NaN"),
        (np.ones((3, 1)), np.array([1.0, 2.0, np.inf]), r"row 2: y is NaN or infinite"),
        (np.ones((3, 1)), np.array(["a", "b", "a"]), r"y is no array of real numbers.*one-hot"),
    ],
)
def test_unusable_data_are_errors_that_name_the_row(x: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(Linear(), x, y, noise=1.0)
    with pytest.raises(DataError, match=message):
        gradient_flow(Linear(), x, y)


def test_unusable_options_are_errors() -> None:
    x, y, _ = data()
    for noise in (-1.0, np.nan, np.inf, np.ones(3)):
        with pytest.raises(DualcError, match="variance of the noise"):
            fit(Rough(), x, y, noise=noise)
    with pytest.raises(DualcError, match="jitter=-1"):
        fit(Rough(), x, y, noise=0.1, jitter=-1.0)
    with pytest.raises(DualcError, match="'nngp' or 'ntk'"):
        fit(Rough(), x, y, noise=0.1, kernel="cntk")


def test_exact_regression_with_x64_off() -> None:
    code = """
import numpy as np
from dualc.regression import fit, gradient_flow
class Linear:
    def kernel(self, x1, x2=None, get=None):
        return x1 @ (x1 if x2 is None else x2).T
x = np.random.default_rng(0).normal(size=(20, 30))
y = np.sin(x[:, 0])
expected = x @ x.T @ np.linalg.solve(x @ x.T + 0.5 * np.eye(20), y)
found = fit(Linear(), x, y, noise=0.5, kernel="ntk").predict(x)
assert found.mean.dtype == np.float32
np.testing.assert_allclose(found.mean, expected, atol=1e-4)
np.testing.assert_allclose(gradient_flow(Linear(), x, y).predict(x).mean, y, atol=1e-4)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
