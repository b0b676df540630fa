"""Linearised training and kernel ridge with empirical kernels, judged in parameter space."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from scipy.linalg import expm

from dualc import empirical
from dualc.errors import DataError, DualcError, EmpiricalError
from dualc.regression import kernel_ridge, linearized

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

N, M, C = 7, 5, 2


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed + sum(shape)).standard_normal(shape)


def f(p: Any, x: Array) -> Array:
    return jnp.dot(jnp.tanh(jnp.dot(x, p["w"]) + p["b"][None]), p["v"])


def single(p: Any, x: Array) -> Array:
    return f(p, x)[:, :1]


W = {"w": normal(3, 20), "b": normal(20), "v": normal(20, C) / 3}
X, Y, NEW = normal(N, 3), normal(N, C, seed=5), normal(M, 3, seed=2)
START, START_NEW = np.asarray(f(W, X)), np.asarray(f(W, NEW))


def jacobian(x: np.ndarray) -> np.ndarray:
    """(n c, P)."""
    leaves = jax.tree.leaves(jax.jacrev(f)(W, jnp.asarray(x)))
    return np.concatenate([np.asarray(leaf).reshape(len(x) * C, -1) for leaf in leaves], axis=1)


def with_identity(kind: str, x: np.ndarray) -> np.ndarray:
    """K(x, X) (x) I_c, written out."""
    return np.kron(np.asarray(empirical.ntk(f, W, x, X, kind=kind)), np.eye(C))


# ---- gradient flow ----


def test_the_full_kernel_trains_as_the_linearised_model_does_in_its_parameters() -> None:
    """d theta / dt = J^T (y - f_0 - J theta) by the exponential of one matrix, homogeneous."""
    j, apart = jacobian(X), (Y - START).ravel()
    generator = np.zeros((j.shape[1] + 1,) * 2)
    generator[:-1, :-1], generator[:-1, -1] = -j.T @ j, j.T @ apart
    model = linearized(f, W, X, Y)
    for t in (1e-3, 0.3, 20.0):
        moved = expm(t * generator)[:-1, -1]
        wanted = START_NEW + (jacobian(NEW) @ moved).reshape(M, C)
        np.testing.assert_allclose(model.predict(NEW, t), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["pseudo", "trace", "logit"])
@pytest.mark.parametrize("t", [0.3, math.inf])
def test_scalar_kernels_act_as_their_product_with_the_identity(kind: str, t: float) -> None:
    kernel = with_identity(kind, X)
    left = np.zeros_like(kernel) if t == math.inf else expm(-t * kernel)
    change = (np.eye(N * C) - left) @ (Y - START).ravel()
    wanted = START_NEW + (with_identity(kind, NEW) @ np.linalg.solve(kernel, change)).reshape(M, C)
    model = linearized(f, W, X, Y, kind)
    np.testing.assert_allclose(model.predict(NEW, t), wanted, rtol=0, atol=1e-9)
    assert model.basis.shape == (N, N)  # of K, not of K (x) I


@pytest.mark.parametrize("kind", ["full", "pseudo"])
def test_small_times_move_by_kernel_times_residual(kind: str) -> None:
    model = linearized(f, W, X, Y, kind, centered=True)
    cross = jacobian(NEW) @ jacobian(X).T if kind == "full" else with_identity(kind, NEW)
    for t in (1e-9, 1e-300):
        wanted = (cross @ (t * Y.ravel())).reshape(M, C)
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(model.predict(NEW, t), wanted, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("kind", ["full", "pseudo"])
def test_trained_to_the_end_the_model_meets_its_targets(kind: str) -> None:
    for centered in (False, True):
        model = linearized(f, W, X, Y, kind, centered=centered)
        np.testing.assert_allclose(model.predict(X), Y, rtol=0, atol=1e-7)
        start = 0.0 * START if centered else START
        np.testing.assert_allclose(model.predict(X, 0.0), start, rtol=0, atol=1e-12)


def test_repeated_samples_leave_the_end_finite() -> None:
    twice = np.concatenate([X, X[:2]])
    model = linearized(f, W, twice, np.concatenate([Y, Y[:2]]), "pseudo")
    np.testing.assert_allclose(model.predict(X), Y, rtol=0, atol=1e-6)


# ---- kernel ridge ----


@pytest.mark.parametrize(
    ("kind", "solver"),
    [
        ("full", "cholesky"),
        ("pseudo", "cg"),
        ("trace", "cholesky"),
        pytest.param("full", "cg", marks=pytest.mark.slow),
        pytest.param("pseudo", "cholesky", marks=pytest.mark.slow),
        pytest.param("trace", "cg", marks=pytest.mark.slow),
    ],
)
def test_ridge_is_the_regularised_solve_with_and_without_the_matrix(kind: str, solver: str) -> None:
    noise = 0.1
    kernel, cross = with_identity("pseudo", X), with_identity("pseudo", NEW)
    if kind == "full":
        kernel, cross = jacobian(X) @ jacobian(X).T, jacobian(NEW) @ jacobian(X).T
    elif kind == "trace":
        kernel, cross = with_identity(kind, X), with_identity(kind, NEW)
    weights = np.linalg.solve(kernel + noise * np.eye(N * C), (Y - START).ravel())
    wanted = START_NEW + (cross @ weights).reshape(M, C)
    model = kernel_ridge(f, W, X, Y, noise=noise, kind=kind, solver=solver, tolerance=1e-12)
    assert model.solver == solver
    np.testing.assert_allclose(model.predict(NEW), wanted, rtol=0, atol=1e-9)


def test_ridge_without_noise_is_training_to_the_end() -> None:
    ridge = kernel_ridge(f, W, X, Y, noise=0.0, kind="pseudo")
    flow = linearized(f, W, X, Y, "pseudo")
    np.testing.assert_allclose(ridge.predict(NEW), flow.predict(NEW), rtol=0, atol=1e-7)


def test_a_kernel_beyond_the_budget_is_not_formed() -> None:
    """Two matrices of 240 samples take 920 kB; products of them less."""
    x = normal(240, 3)
    y = np.asarray(f(W, x)) + 1.0
    within, beyond = (
        kernel_ridge(f, W, x, y, noise=30.0, kind="pseudo", memory=memory, tolerance=1e-10)
        for memory in (2**20, 2**19)
    )
    assert (within.solver, beyond.solver) == ("cholesky", "cg")
    np.testing.assert_allclose(within.predict(NEW), beyond.predict(NEW), rtol=0, atol=1e-8)


def test_conjugate_gradients_that_do_not_converge_are_an_error() -> None:
    with pytest.raises(EmpiricalError, match=r"after at most 2 products.*Add noise"):
        kernel_ridge(f, W, X, Y, noise=0.0, kind="pseudo", solver="cg", steps=2)


# ---- forms, dtypes and errors ----


def test_targets_of_one_output_may_be_a_vector() -> None:
    column = linearized(single, W, X, Y[:, :1]).predict(NEW, 1.0)
    vector = linearized(single, W, X, Y[:, 0]).predict(NEW, 1.0)
    assert vector.shape == (M,)
    np.testing.assert_allclose(vector, column[:, 0], rtol=0, atol=1e-12)
    assert kernel_ridge(single, W, X, Y[:, 0], noise=1.0).predict(NEW).shape == (M,)
    assert linearized(f, W, X, Y, "pseudo").predict(NEW[:0]).shape == (0, C)


def test_only_trainable_leaves_move() -> None:
    def trainable(name: str, leaf: Any) -> bool:
        return "'v'" in name

    model = kernel_ridge(f, W, X, Y, noise=0.5, trainable=trainable)
    hidden, new = (np.tanh(x @ W["w"] + W["b"]) for x in (X, NEW))
    moved = np.linalg.solve(hidden.T @ hidden + 0.5 * np.eye(20), hidden.T @ (Y - START))
    np.testing.assert_allclose(model.predict(NEW), START_NEW + new @ moved, rtol=0, atol=1e-10)


def test_float32_stays_float32_and_x64_may_be_off() -> None:
    code = """
import jax, jax.numpy as jnp, numpy as np
from dualc import empirical
from dualc.regression import kernel_ridge, linearized
f = lambda p, x: jnp.tanh(x @ p)
draw = np.random.default_rng(0)
w, x, y = draw.normal(size=(3, 2)), draw.normal(size=(5, 3)), draw.normal(size=(5, 2))
assert linearized(f, w, x, y).predict(x, 1.0).dtype == jnp.float32
assert kernel_ridge(f, w, x, y, noise=1.0, kind="pseudo", solver="cg").predict(x).shape == (5, 2)
assert np.isfinite(empirical.spectrum(empirical.operator(f, w, x)).largest)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    w32 = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), W)
    x32, y32 = jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32)
    model = linearized(f, w32, x32, y32)
    assert model.spectrum.dtype == model.predict(x32, 1.0).dtype == jnp.float32


@pytest.mark.parametrize(
    ("y", "error", "match"),
    [
        (Y[:, 0], DataError, r"y of shape \(7,\).*outputs \(7, 2\).*one-hot"),
        (Y[:3], DataError, "x of shape"),
        (np.where(np.arange(N)[:, None] == 4, np.nan, Y), DataError, "row 4: y is NaN"),
        (Y * 1j, DataError, "complex128"),
    ],
)
def test_targets_that_do_not_fit_are_errors(y: Any, error: type, match: str) -> None:
    for fitted in (linearized, lambda *a: kernel_ridge(*a, noise=1.0)):
        with pytest.raises(error, match=match):
            fitted(f, W, X, y)


def test_options_that_do_not_fit_are_errors() -> None:
    with pytest.raises(DualcError, match=r"noise=-1\.0"):
        kernel_ridge(f, W, X, Y, noise=-1.0)
    with pytest.raises(DualcError, match="solver is one of auto, cholesky, cg, not 'lu'"):
        kernel_ridge(f, W, X, Y, noise=1.0, solver="lu")
    with pytest.raises(EmpiricalError, match="kind is one of"):
        linearized(f, W, X, Y, "sum")
    model = linearized(f, W, X, Y, "pseudo")
    for t in (-1.0, math.nan, np.ones(2)):
        with pytest.raises(DualcError, match="the time"):
            model.predict(NEW, t)
    with pytest.raises(EmpiricalError, match="must agree"):
        model.predict(normal(2, 4))
