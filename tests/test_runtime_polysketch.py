"""Sketches of powers, tensor products and series against the kernels computed densely."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from dualc.errors import DualcError
from dualc.runtime.polysketch import (
    combine,
    combine_weights,
    poly_sketch,
    poly_weights,
    sketched_columns,
    tensor_sketch,
    tensor_weights,
    unit_rows,
)

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")


def unit_data(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Rows of norm 1 with cosines well away from 0, so that no power vanishes."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, d)) + 1.5 * draw.normal(size=(1, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@lru_cache(maxsize=1)
def estimator(d: int, p: int, degree: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(keys, x) -> (keys, degree, n, n): inner products of every sketch of x, a draw for a key."""

    def one(key: jax.Array, x: jax.Array) -> jax.Array:
        powers = poly_sketch(poly_weights(key, d, p, degree), x)
        return jnp.stack([power @ power.T for power in powers])

    return jax.jit(lambda keys, x: jax.lax.map(lambda key: one(key, x), keys))


def grams(d: int, p: int, degree: int, x: np.ndarray, seeds: int) -> np.ndarray:
    """(seeds, degree, n, n): the inner products of every sketch of x, one draw for each seed."""
    keys = jax.random.split(jax.random.key(1), seeds)
    return np.asarray(estimator(d, p, degree)(keys, jnp.asarray(x)))


def adjusted(estimates: np.ndarray, truth: np.ndarray) -> float:
    """Largest deviation of the mean over draws, in standard errors of that mean."""
    error = estimates.std(0, ddof=1) / np.sqrt(len(estimates)) + 1e-12
    return float(np.max(np.abs(estimates.mean(0) - truth) / error))


# Tiled; fewer columns than inputs, and their number no power of two.
@pytest.mark.parametrize(("d", "p"), [(5, 64), (40, 24)])
def test_every_degree_is_unbiased_over_seeds(d: int, p: int):
    x = unit_data(3, d)
    found = grams(d, p, 8, x, 1500)
    truth = np.stack([(x @ x.T) ** j for j in range(1, 9)])
    assert found.shape == (1500, 8, 3, 3)
    assert adjusted(found, truth) < 5.0  # 48 different means: by chance once in 30,000


@pytest.mark.parametrize("degree", [1, 6])
def test_a_smaller_tree_is_unbiased_as_well(degree: int):
    x = unit_data(2, 6)
    found = grams(6, 32, degree, x, 1500)
    assert found.shape[1] == degree
    assert adjusted(found, np.stack([(x @ x.T) ** j for j in range(1, degree + 1)])) < 5.0


def test_the_error_of_every_degree_falls_as_the_root_of_the_columns():
    x, widths, degrees = unit_data(8, 64), (64, 256, 1024), np.arange(2, 9)
    truth = np.stack([(x @ x.T) ** j for j in degrees])
    errors = np.stack(
        [np.sqrt(np.mean((grams(64, p, 8, x, 48)[:, 1:] - truth) ** 2, (0, 2, 3))) for p in widths]
    )
    slopes = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert np.all((slopes > -0.65) & (slopes < -0.35))
    assert np.all(errors[-1] < 2 * np.sqrt(2 * degrees / widths[-1]))  # twice what is promised


def test_structured_sparse_rows_do_not_share_their_errors():
    # Two non-zeros in neighbouring places: in a plain Hadamard basis they meet in one Walsh
    # function, the same in every leaf, and errors of leaves would multiply instead of averaging.
    x = np.zeros((2, 256))
    x[0, :2], x[1, 1:3] = np.sqrt(0.5), np.sqrt(0.5)
    found = grams(256, 256, 4, x, 400)
    for j in (2, 3, 4):
        error = np.sqrt(np.mean((found[:, j - 1] - (x @ x.T) ** j) ** 2))
        assert error < 2 * np.sqrt(2 * j / 256)


def test_degree_one_is_an_isometry_where_it_fits():
    x = unit_data(6, 100)
    for p in (128, 512):
        first = poly_sketch(poly_weights(jax.random.key(0), 100, p, 1), jnp.asarray(x))[0]
        np.testing.assert_allclose(first @ first.T, x @ x.T, atol=1e-13)


def test_sketches_are_homogeneous_and_keep_the_dtype():
    weights = poly_weights(jax.random.key(0), 10, 32, 5)
    x = jnp.asarray(unit_data(3, 10), jnp.float32)
    for j, (once, twice) in enumerate(
        zip(poly_sketch(weights, x), poly_sketch(weights, 2 * x), strict=True), start=1
    ):
        assert once.dtype == jnp.float32
        np.testing.assert_allclose(twice, 2**j * once, rtol=1e-6, atol=1e-7)
    assert poly_sketch(weights, x.astype(jnp.float64))[4].dtype == jnp.float64
    assert not np.any(poly_sketch(weights, 0 * x)[2])


@pytest.mark.parametrize("lead", [(), (2, 3, 4)])
def test_batch_and_space_axes_are_sketched_point_by_point(lead: tuple[int, ...]):
    weights = poly_weights(jax.random.key(3), 6, 16, 3)
    points = jax.random.normal(jax.random.key(4), (24, 6), jnp.float64)
    count = int(np.prod(lead))
    got = poly_sketch(weights, points[:count].reshape(*lead, 6))
    for power, all_points in zip(got, poly_sketch(weights, points), strict=True):
        assert power.shape == (*lead, 16)
        np.testing.assert_allclose(power.reshape(count, 16), all_points[:count], atol=1e-13)


def test_the_same_key_gives_the_same_bits_and_another_key_others():
    first, again, other = (poly_weights(jax.random.key(k), 9, 16, 4) for k in (5, 5, 6))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (first, other)), strict=True))


def test_jitted_sketches_are_the_eager_ones():
    weights = poly_weights(jax.random.key(0), 20, 16, 2)
    x = jax.random.normal(jax.random.key(1), (4, 20), jnp.float64)
    with jax.disable_jit():
        eager = poly_sketch(weights, x)
    drawn = jax.jit(lambda key: poly_weights(key, 20, 16, 2))(jax.random.key(0))
    for a, b in zip(eager, jax.jit(poly_sketch)(drawn, x), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11 * float(jnp.max(jnp.abs(a))))


# ---- sparse input ----


def sparse_data(n: int, d: int, each: int, seed: int = 0) -> BCOO:
    """`each` non-zeros in every row, at distinct places."""
    draw = np.random.default_rng(seed)
    columns = np.stack([draw.choice(d, each, replace=False) for _ in range(n)])
    indices = np.stack([np.repeat(np.arange(n), each), columns.reshape(-1)], axis=1)
    values = draw.normal(size=n * each) / np.sqrt(each)
    return BCOO((jnp.asarray(values), jnp.asarray(indices, jnp.int32)), shape=(n, d))


@pytest.mark.parametrize(("d", "p"), [(50, 64), (3000, 256)])
def test_sparse_input_gives_what_dense_input_gives(d: int, p: int):
    x = sparse_data(4, d, 9)
    weights = poly_weights(jax.random.key(2), d, p, 3)
    for a, b in zip(poly_sketch(weights, x), poly_sketch(weights, x.todense()), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_padding_and_repeated_entries_of_sparse_input_mean_what_they_mean_in_jax():
    dense = np.zeros((2, 500))
    dense[0, 3], dense[1, 7], dense[1, 499] = 2.0, 0.5, -1.0
    padded = BCOO.fromdense(jnp.asarray(dense), nse=8)  # five entries lie at (2, 500), outside
    twice = BCOO(
        (jnp.array([1.5, 0.5, 0.5, -1.0]), jnp.array([[0, 3], [0, 3], [1, 7], [1, 499]])),
        shape=(2, 500),
    )
    weights = poly_weights(jax.random.key(0), 500, 32, 2)
    want = poly_sketch(weights, jnp.asarray(dense))
    for x in (padded, twice):
        for a, b in zip(poly_sketch(weights, x), want, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
        unit, norms = unit_rows(x)
        np.testing.assert_allclose(norms, np.linalg.norm(dense, axis=1), rtol=1e-14)
        np.testing.assert_allclose(unit.todense(), dense / norms[:, None], atol=1e-14)


def test_work_on_sparse_input_grows_with_the_non_zeros_and_not_with_the_length():
    def work(d: int, each: int) -> tuple[float, float]:
        weights = jax.eval_shape(lambda: poly_weights(jax.random.key(0), d, 32, 2))
        compiled = jax.jit(poly_sketch).lower(weights, sparse_data(16, d, each)).compile()
        analysis, memory = compiled.cost_analysis(), compiled.memory_analysis()
        return analysis["flops"], memory.temp_size_in_bytes

    flops, memory = work(10_000, 8)
    longer, longer_memory = work(1_000_000, 8)
    fuller, _ = work(10_000, 800)
    assert longer < 1.05 * flops
    assert longer_memory < 1.05 * memory + 4096  # a dense row alone would have 8 million bytes
    assert fuller > 5 * flops


# ---- tensor products ----


@pytest.mark.parametrize(("d1", "d2", "p"), [(5, 7, 64), (300, 40, 32), (33, 200, 48)])
def test_a_tensor_sketch_is_unbiased(d1: int, d2: int, p: int):
    x, y = jnp.asarray(unit_data(3, d1)), jnp.asarray(unit_data(3, d2, seed=1))

    @jax.jit
    def one(key: jax.Array) -> jax.Array:
        sketch = tensor_sketch(tensor_weights(key, d1, d2, p), x, y)
        return sketch @ sketch.T

    found = np.asarray(jax.lax.map(one, jax.random.split(jax.random.key(0), 1500)))
    assert adjusted(found, np.asarray((x @ x.T) * (y @ y.T))) < 5.0


def test_the_error_of_a_tensor_sketch_falls_as_the_root_of_the_columns():
    x, y = jnp.asarray(unit_data(8, 64)), jnp.asarray(unit_data(8, 100, seed=1))
    truth = (x @ x.T) * (y @ y.T)

    def error(p: int) -> float:
        def one(key: jax.Array) -> jax.Array:
            sketch = tensor_sketch(tensor_weights(key, 64, 100, p), x, y)
            return jnp.mean((sketch @ sketch.T - truth) ** 2)

        squares = jax.lax.map(jax.jit(one), jax.random.split(jax.random.key(0), 48))
        return float(jnp.sqrt(jnp.mean(squares)))

    errors = [error(p) for p in (64, 256, 1024)]
    slope = np.polyfit(np.log((64, 256, 1024)), np.log(errors), 1)[0]
    assert -0.65 < slope < -0.35


# ---- series ----


@partial(jax.jit, static_argnums=(2, 3))
def series(
    key: jax.Array, unit: jax.Array | BCOO, p: int, degree: int, coefficients: jax.Array
) -> jax.Array:
    d = unit.shape[-1]
    first, second = jax.random.split(key)
    powers = poly_sketch(poly_weights(first, d, sketched_columns(d, p), degree), unit)
    return combine(combine_weights(second, d, p, degree), unit, powers, coefficients)


@pytest.mark.parametrize("p", [16, 100])  # the input fits beside the sketch in the second
def test_a_series_is_unbiased_in_exactly_p_columns_for_rows_of_any_norm(p: int):
    d, degree = 20, 5
    x = np.vstack([unit_data(3, d) * np.array([[0.3], [1.0], [4.0]]), np.zeros((1, d))])
    unit, norm = unit_rows(jnp.asarray(x))
    coefficients = norm[:, None] * jnp.array([0.4, -0.5, 0.3, 0.1, -0.2, 0.3])[None, :]
    cosine = np.asarray(unit) @ np.asarray(unit).T
    a = np.asarray(coefficients)
    truth = sum(np.outer(a[:, j], a[:, j]) * cosine**j for j in range(degree + 1))

    @jax.jit
    def one(key: jax.Array) -> jax.Array:
        features = series(key, unit, p, degree, coefficients)
        assert features.shape == (4, p)
        return features @ features.T

    found = np.asarray(jax.lax.map(one, jax.random.split(jax.random.key(0), 1500)))
    assert adjusted(found, truth) < 5.0
    assert not np.any(found[:, 3])  # its coefficients are 0, whatever was drawn


def test_degrees_zero_and_one_are_exact_where_the_input_fits():
    x = jnp.asarray(unit_data(5, 20))
    a = jnp.array([0.7, 1.3, 0.0, 0.0])
    features = series(jax.random.key(0), x, 64, 3, a)
    np.testing.assert_allclose(features @ features.T, 0.49 + 1.69 * (x @ x.T), atol=1e-13)


def test_series_of_images_and_of_sparse_rows_are_those_of_their_points():
    d, degree = 12, 2
    points = jnp.asarray(unit_data(24, d))
    a = jax.random.normal(jax.random.key(1), (24, degree + 1), jnp.float64)
    first = poly_weights(jax.random.key(0), d, sketched_columns(d, 40), degree)
    second = combine_weights(jax.random.key(1), d, 40, degree)

    def features(x: jax.Array | BCOO, a: jax.Array) -> jax.Array:
        return combine(second, x, poly_sketch(first, x), a)

    want = features(points, a)
    image = features(points.reshape(2, 3, 4, d), a.reshape(2, 3, 4, degree + 1))
    np.testing.assert_allclose(image.reshape(24, 40), want, atol=1e-12)
    np.testing.assert_allclose(features(BCOO.fromdense(points), a), want, atol=1e-12)


def test_the_normalised_gaussian_is_estimated_better_than_by_published_sketches():
    # exp(rho - 1) on clustered data: 0.027 is what direct features of as many columns leave, an
    # SRHT of all powers side by side 0.07.
    draw = np.random.RandomState(0)
    centres = draw.randn(10, 256)
    x = centres[draw.randint(0, 10, 200)] + 0.7 * draw.randn(200, 256) + 0.5 * draw.randn(1, 256)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    exact = np.exp(x @ x.T - 1)
    a = jnp.asarray([math.exp(-0.5) / math.sqrt(math.factorial(j)) for j in range(9)], jnp.float32)
    errors = []
    for seed in range(3):
        key = jax.random.key(seed)
        features = np.asarray(series(key, jnp.asarray(x, jnp.float32), 1024, 8, a), np.float64)
        errors.append(np.linalg.norm(features @ features.T - exact) / np.linalg.norm(exact))
    assert np.mean(errors) < 0.027


# ---- errors ----


def test_sizes_shapes_and_dtypes_that_do_not_fit_are_errors_that_say_what_to_do():
    key = jax.random.key(0)
    weights = poly_weights(key, 4, 8, 2)
    with pytest.raises(DualcError, match=r"degree = 0.*at least 1"):
        poly_weights(key, 4, 8, 0)
    with pytest.raises(DualcError, match="d1 = 0"):
        tensor_weights(key, 0, 4, 8)
    with pytest.raises(DualcError, match=r"\(3, 5\).*last axis of 4"):
        poly_sketch(weights, jnp.zeros((3, 5)))
    with pytest.raises(DualcError, match="int32"):
        poly_sketch(weights, jnp.zeros((3, 4), jnp.int32))
    with pytest.raises(DualcError, match="n_batch"):
        poly_sketch(weights, BCOO.fromdense(jnp.zeros((3, 4)), n_batch=1))
    with pytest.raises(DualcError, match="last axis of 7"):
        tensor_sketch(tensor_weights(key, 4, 7, 8), jnp.zeros((3, 4)), jnp.zeros((3, 4)))
    with pytest.raises(DualcError, match="p = 1"):
        combine_weights(key, 4, 1, 2)


def test_powers_and_coefficients_of_another_series_are_errors():
    key, x = jax.random.key(0), jnp.ones((3, 4))
    weights = combine_weights(key, 4, 32, 3)
    powers = poly_sketch(poly_weights(key, 4, sketched_columns(4, 32), 3), x)
    with pytest.raises(DualcError, match=r"3 powers of 32 columns.*needs 3 of 27"):
        combine(weights, x, poly_sketch(poly_weights(key, 4, 32, 3), x), jnp.ones(4))
    with pytest.raises(DualcError, match="2 powers"):
        combine(weights, x, powers[:2], jnp.ones(4))
    with pytest.raises(DualcError, match=r"\(3,\).*has 4"):
        combine(weights, x, powers, jnp.ones(3))
