"""Random rows and mixings: their laws, over many keys, against what is known in closed form."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc.runtime.mixing import (
    Columns,
    draw_gaussian_rows,
    draw_mixing,
    draw_rotation,
    gaussian,
    mix,
    rotate,
)

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

KEYS = 4000


def over_keys(draw: Any, function: Any) -> np.ndarray:
    """function(draw(key)) for many keys."""
    drawn = [draw(key) for key in jax.random.split(jax.random.key(0), KEYS)]
    return np.asarray(jax.vmap(function)(jax.tree.map(lambda *a: jnp.asarray(np.stack(a)), *drawn)))


def rows_of(c: int, p: int, dense: int, key: Any) -> Any:
    return draw_gaussian_rows(key, c, p, jnp.float64, dense=dense)


def as_matrix(c: int, rows: Any) -> Any:
    """The rows themselves, (c, p): what the identity is sent to."""
    return gaussian(rows, jnp.eye(c))


def close_in_the_mean(samples: np.ndarray, expected: Any, errors: float = 4.5) -> None:
    """4.5 standard errors: one entry in 150,000 is further off by chance."""
    error = samples.std(0) / np.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(0) - expected) <= errors * error + 1e-10)


# ---- Gaussian rows ----


@pytest.mark.parametrize("c", [1, 3, pytest.param(8, marks=pytest.mark.slow)])
def test_dense_rows_have_the_moments_of_the_normal_law(c: int) -> None:
    rows = over_keys(partial(rows_of, c, 5, 1024), partial(as_matrix, c))  # (keys, c, 5)
    assert rows.shape == (KEYS, c, 5)
    close_in_the_mean(rows, 0)
    close_in_the_mean(rows**2, 1)
    close_in_the_mean(rows**4, 3)
    close_in_the_mean(np.sum(rows**2, 1), c)
    if c > 1:
        close_in_the_mean(rows[:, 0] * rows[:, 1], 0)


def test_fast_rows_have_the_moments_of_the_normal_law() -> None:
    rows = over_keys(partial(rows_of, 13, 20, 4), partial(as_matrix, 13))
    assert rows.shape == (KEYS, 13, 20)
    close_in_the_mean(rows, 0)
    close_in_the_mean(rows**2, 1)
    close_in_the_mean(rows[:, 0] * rows[:, 1], 0)
    # Two rounds over 16 columns: nearly normal, all entries together within a tenth of 3.
    assert abs(np.mean(rows**4) - 3) < 0.3


@pytest.mark.parametrize(("c", "dense", "width"), [(8, 1024, 8), (16, 4, 16)])
def test_rows_are_orthogonal_within_blocks_and_not_between(c: int, dense: int, width: int) -> None:
    p = 2 * width
    rows = np.asarray(as_matrix(c, rows_of(c, p, dense, jax.random.key(3))))
    gram = rows.T @ rows
    for block in (gram[:width, :width], gram[width:, width:]):
        np.testing.assert_allclose(block, np.diag(np.diag(block)), atol=1e-12)
    assert np.abs(gram[:width, width:]).max() > 0.1
    lengths = np.diag(gram)  # chi-squared with `width` degrees of freedom: not all alike
    assert lengths.std() > 0.2 * np.sqrt(2 * width)


def test_products_with_rows_are_those_of_the_rows_as_a_matrix_in_both_dtypes() -> None:
    h = np.random.RandomState(0).standard_normal((2, 3, 13))
    for dense in (4, 1024):
        rows = draw_gaussian_rows(jax.random.key(1), 13, 40, jnp.float64, dense=dense)
        matrix = np.asarray(gaussian(rows, jnp.eye(13)))
        np.testing.assert_allclose(gaussian(rows, jnp.asarray(h)), h @ matrix, atol=1e-12)
        single = draw_gaussian_rows(jax.random.key(1), 13, 40, jnp.float32, dense=dense)
        assert gaussian(single, jnp.asarray(h, jnp.float32)).dtype == jnp.float32


# ---- mixings ----

SETS = {
    "narrower than p, not a power of two": ((5,), (False,), 12),
    "wider than p, folded": ((37,), (False,), 12),
    "a power of two": ((16,), (False,), 16),
    "a single column": ((1, 7), (False, False), 12),
    "one that is spread already": ((12, 1, 9), (True, True, False), 12),
    "spread, of another width": ((20,), (True,), 12),
}


def groups_of(widths: tuple[int, ...], spread: tuple[bool, ...], x: np.ndarray) -> tuple:
    cuts = np.split(x, np.cumsum(widths)[:-1], axis=-1)
    return tuple(Columns(jnp.asarray(a), s) for a, s in zip(cuts, spread, strict=True))


@pytest.mark.parametrize("case", SETS)
def test_mixings_have_p_columns_and_keep_inner_products_in_the_mean(case: str) -> None:
    widths, spread, p = SETS[case]
    x = np.random.RandomState(0).standard_normal((3, sum(widths)))
    groups = groups_of(widths, spread, x)

    def gram(mixing: Any) -> Any:
        mixed = mix(mixing, groups)
        assert mixed.shape == (3, p)
        return mixed @ mixed.T

    found = over_keys(lambda key: draw_mixing(key, groups, p, jnp.float64), gram)
    close_in_the_mean(found, x @ x.T)


def test_a_transform_to_its_own_width_keeps_inner_products_for_every_key() -> None:
    x = np.random.RandomState(0).standard_normal((3, 11))
    groups = groups_of((11,), (False,), x)
    mixed = mix(draw_mixing(jax.random.key(5), groups, 16, jnp.float64), groups)
    np.testing.assert_allclose(mixed @ mixed.T, x @ x.T, rtol=1e-12)


def test_a_transform_spreads_what_was_in_one_column() -> None:
    x = np.zeros((1, 12))
    x[0, 4] = 1
    groups = groups_of((12,), (False,), x)
    mixed = mix(draw_mixing(jax.random.key(2), groups, 12, jnp.float64), groups)
    np.testing.assert_allclose(np.abs(mixed), 12**-0.5, rtol=1e-12)


@pytest.mark.parametrize(("c", "p"), [(5, 16), (5, 24), (1, 7)])
def test_fewer_columns_are_repeated_and_keep_inner_products_for_every_key(c: int, p: int) -> None:
    x = np.random.RandomState(0).standard_normal((3, c))
    mixed = mix(
        draw_mixing(jax.random.key(5), groups_of((c,), (False,), x), p, jnp.float64),
        groups_of((c,), (False,), x),
    )
    np.testing.assert_allclose(mixed @ mixed.T, x @ x.T, rtol=1e-12)
    one = groups_of((c,), (False,), np.eye(c)[:1])
    heavy = mix(draw_mixing(jax.random.key(5), one, p, jnp.float64), one)
    np.testing.assert_allclose(np.abs(heavy), p**-0.5, rtol=1e-12)  # spread over all p


@pytest.mark.parametrize("p", [3, 64, 100, 131])
def test_rotations_keep_inner_products_and_leave_no_column_heavy(p: int) -> None:
    rotation = draw_rotation(jax.random.key(1), p, jnp.float64)
    x = np.random.RandomState(0).standard_normal((2, 3, p))
    turned = rotate(rotation, jnp.asarray(x))
    assert turned.shape == x.shape
    flat, before = np.asarray(turned).reshape(6, p), x.reshape(6, p)
    np.testing.assert_allclose(flat @ flat.T, before @ before.T, atol=1e-10)
    heavy = np.abs(rotate(rotation, jnp.eye(p)[:1]))  # the first column alone
    assert heavy.max() < (1 if p == 3 else 0.6)


def test_keys_decide_and_positions_are_mixed_alike() -> None:
    x = np.random.RandomState(0).standard_normal((2, 3, 4, 10))
    groups = groups_of((10,), (False,), x)
    mixings = [draw_mixing(jax.random.key(k), groups, 12, jnp.float64) for k in (0, 0, 1)]
    first, again, other = (np.asarray(mix(m, groups)) for m in mixings)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    flat = mix(mixings[0], groups_of((10,), (False,), x.reshape(24, 10)))
    np.testing.assert_allclose(first.reshape(24, 12), flat, atol=1e-14)
