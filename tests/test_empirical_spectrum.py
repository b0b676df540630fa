"""The ends of the spectrum of kernels and operators against all of their eigenvalues."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from dualc import empirical
from dualc.empirical.spectrum import spectrum
from dualc.errors import EmpiricalError

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed + sum(shape)).standard_normal(shape)


def f(p: Any, x: Array) -> Array:
    return jnp.dot(jnp.tanh(jnp.dot(x, p["w"]) + p["b"][None]), p["v"])


W = {"w": normal(4, 50), "b": normal(50), "v": normal(50, 2) / 7}
X = normal(40, 4)


def with_eigenvalues(values: np.ndarray) -> np.ndarray:
    basis = np.linalg.qr(normal(len(values), len(values)))[0]
    found = (basis * values) @ basis.T
    return (found + found.T) / 2


@pytest.mark.parametrize("kind", ["full", "pseudo", "trace"])
def test_ends_of_the_spectrum_are_those_of_all_eigenvalues(kind: str) -> None:
    kernel = np.asarray(empirical.ntk(f, W, X, kind=kind))
    matrix = kernel.transpose(0, 2, 1, 3).reshape(80, 80) if kind == "full" else kernel
    values = np.linalg.eigvalsh(matrix)
    for given in (kernel, empirical.operator(f, W, X, kind=kind)):
        found = spectrum(given)
        assert found.largest == pytest.approx(values[-1], rel=1e-12)
        assert found.smallest == pytest.approx(values[0], abs=1e-13 * values[-1])
        assert found.condition_number == pytest.approx(values[-1] / values[0], rel=1e-6)
        assert not found.is_singular


def test_eigenvalues_of_k_and_of_k_times_the_identity_are_the_same() -> None:
    kernel = np.asarray(empirical.ntk(f, W, X, kind="pseudo"))
    outputs = kernel[:, :, None, None] * np.eye(2)[None, None]
    one, other = spectrum(kernel), spectrum(outputs)
    assert one.largest == pytest.approx(other.largest, rel=1e-12)
    assert one.condition_number == pytest.approx(other.condition_number, rel=1e-8)


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e9])
def test_the_condition_number_of_a_matrix_is_found_while_its_dtype_can_tell(
    condition: float,
) -> None:
    matrix = with_eigenvalues(np.geomspace(1.0 / condition, 1.0, 200))
    assert spectrum(matrix).condition_number == pytest.approx(condition, rel=1e-4)
    single = spectrum(jnp.asarray(matrix, jnp.float32))
    assert single.is_singular == (condition > 1e5)
    if condition < 1e5:
        assert single.condition_number == pytest.approx(condition, rel=1e-2)


@pytest.mark.parametrize("as_operator", [False, True])
def test_a_kernel_of_more_samples_than_parameters_is_singular(as_operator: bool) -> None:
    def linear(p: Any, x: Array) -> Array:
        return jnp.dot(x, p)

    x, w = normal(60, 4), normal(4, 1)
    given: Any = empirical.operator(linear, w, x) if as_operator else empirical.ntk(linear, w, x)
    found = spectrum(given)
    assert found.largest == pytest.approx(np.linalg.eigvalsh(x @ x.T)[-1])
    assert abs(found.smallest) <= found.resolution
    assert found.is_singular
    assert found.condition_number == math.inf


def test_an_operator_that_is_the_identity_has_condition_number_one() -> None:
    """Its distance from its largest eigenvalue is rounding, in which there is nothing to find."""

    def linear(p: Any, x: Array) -> Array:
        return jnp.dot(x, p)

    found = spectrum(empirical.operator(linear, normal(40, 1), np.linalg.qr(normal(40, 40))[0]))
    assert found.condition_number == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 33, 50])
def test_kernels_of_any_size_even_of_zeros_have_a_spectrum(n: int) -> None:
    values = np.linspace(1.0, 2.0, n)
    found = spectrum(with_eigenvalues(values))
    assert found.largest == pytest.approx(values[-1])
    assert found.smallest == pytest.approx(values[0])
    nothing = spectrum(np.zeros((n, n)))
    assert (nothing.largest, nothing.smallest, nothing.condition_number) == (0.0, 0.0, math.inf)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (normal(3, 4), r"shape \(3, 4\)"),
        (normal(3), r"shape \(3,\)"),
        (np.ones((3, 3, 2, 1)), r"shape \(3, 3, 2, 1\)"),
        (np.ones((0, 0)), "no samples"),
        (np.ones((3, 3), int), "int64"),
        (np.full((3, 3), np.nan), "NaN or infinite"),
        (np.triu(np.ones((3, 3))), "not symmetric"),
        (empirical.operator(f, W, X[:3], X[3:6]), "leave out x2"),
    ],
)
def test_what_has_no_eigenvalues_is_said(given: Any, match: str) -> None:
    with pytest.raises(EmpiricalError, match=match):
        spectrum(given)


def test_an_indefinite_matrix_is_no_kernel() -> None:
    found = spectrum(with_eigenvalues(np.linspace(-0.5, 2.0, 60)))
    assert found.largest == pytest.approx(2.0)
    with pytest.raises(EmpiricalError, match="not positive semi-definite"):
        _ = found.condition_number
