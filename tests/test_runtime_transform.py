"""The Hadamard transform against its definition by parities, and what a rotation must keep."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc.errors import DualcError
from dualc.runtime.transform import hadamard, next_power_of_two

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

LENGTHS = [1, 2, 64, 128, 256, 512, 8192]


def parities(n: int, rows: np.ndarray | None = None) -> np.ndarray:
    """(-1)^popcount(j & k) / sqrt(n), entry by entry from the definition, for j in rows."""
    j = np.arange(n) if rows is None else rows
    bits = j[:, None] & np.arange(n)[None, :]
    odd = np.zeros_like(bits)
    while bits.any():
        odd ^= bits & 1
        bits >>= 1
    return (1.0 - 2.0 * odd) / np.sqrt(n)


@pytest.mark.parametrize("n", LENGTHS)
def test_the_transform_is_the_matrix_of_parities(n: int):
    x = np.random.default_rng(n).normal(size=(3, n))
    rows = np.unique(np.random.default_rng(1).integers(0, n, 200))
    want = x @ parities(n, rows).T
    got = np.asarray(hadamard(jnp.asarray(x)))[:, rows]
    np.testing.assert_allclose(got, want, atol=1e-13, rtol=0)


@pytest.mark.parametrize("n", [4, 256, 16384])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_twice_is_the_identity_and_lengths_stay(n: int, dtype: jnp.dtype):
    x = jax.random.normal(jax.random.key(0), (2, n), dtype)
    y = hadamard(x)
    eps = float(jnp.finfo(dtype).eps)
    assert y.dtype == dtype
    np.testing.assert_allclose(hadamard(y), x, atol=40 * eps, rtol=0)
    np.testing.assert_allclose(
        jnp.linalg.norm(y, axis=-1), jnp.linalg.norm(x, axis=-1), rtol=20 * eps
    )


def test_float32_loses_no_more_than_float32_must():
    x = jax.random.normal(jax.random.key(1), (4, 4096), jnp.float64)
    worst = jnp.max(jnp.abs(hadamard(x.astype(jnp.float32)).astype(jnp.float64) - hadamard(x)))
    assert float(worst) < 2e-6  # entries are N(0, 1); TF32 would leave 1e-3


@pytest.mark.parametrize("shape", [(256,), (0, 256), (2, 3, 256), (2, 1, 3, 2, 32)])
def test_any_batch_shape_is_the_same_row_by_row(shape: tuple[int, ...]):
    x = jax.random.normal(jax.random.key(2), shape, jnp.float64)
    want = np.asarray(x).reshape(-1, shape[-1]) @ parities(shape[-1])
    assert hadamard(x).shape == shape
    np.testing.assert_allclose(np.asarray(hadamard(x)).reshape(want.shape), want, atol=1e-13)


def test_a_jitted_transform_and_its_transpose_are_the_transform_itself():
    x, v = jax.random.normal(jax.random.key(3), (2, 5, 512), jnp.float64)
    np.testing.assert_allclose(jax.jit(hadamard)(x), hadamard(x), atol=1e-14)
    _, pull = jax.vjp(hadamard, x)
    np.testing.assert_allclose(pull(v)[0], hadamard(v), atol=1e-14)  # the matrix is symmetric


def test_wrong_lengths_and_dtypes_are_errors_that_say_what_to_do():
    with pytest.raises(DualcError, match=r"shape \(2, 48\).*Pad it"):
        hadamard(jnp.zeros((2, 48)))
    with pytest.raises(DualcError, match=r"shape \(\)"):
        hadamard(jnp.zeros(()))
    with pytest.raises(DualcError, match="int32"):
        hadamard(jnp.zeros((4,), jnp.int32))
    with pytest.raises(DualcError, match="complex"):
        hadamard(jnp.zeros((4,), jnp.complex64))


@pytest.mark.parametrize("n", [64, 512, 8192])
def test_without_order_the_columns_are_the_same_ones(n: int):
    x = jax.random.normal(jax.random.key(4), (2, n), jnp.float64)
    got, want = hadamard(x, ordered=False), hadamard(x)
    order = jnp.argsort(got[0])[jnp.argsort(jnp.argsort(want[0]))]  # pairs equal values of row 0
    np.testing.assert_allclose(got[:, order], want, atol=1e-13)


def test_next_power_of_two_is_the_smallest_that_holds_n():
    assert [next_power_of_two(n) for n in (0, 1, 2, 3, 4, 5, 1023, 1024, 1025)] == [
        1, 1, 2, 4, 4, 8, 1024, 1024, 2048
    ]  # fmt: skip
