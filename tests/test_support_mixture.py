"""Means over a random slope: the scan against sums written out, dtypes and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc.emit.support_mixture import Rules, mixture_mean, mixture_pairs

RULES = Rules(((0.5, 0.25), (2.0, 0.75)), ((0.5, 0.2), (1.0, 0.3), (2.0, 0.5)))


def pair(q12, q11, q22, d, scale, slope1, slope2):
    return d * scale * q12 * jnp.exp(-slope1 * q11 - slope2 * slope2 * q22)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mean_of_pairs_is_the_double_sum(dtype: str) -> None:
    q12 = jnp.asarray([[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]], dtype)
    q11, q22 = jnp.asarray([[0.7], [0.9]], dtype), jnp.asarray([[0.5, 0.6, 1.5]], dtype)
    found = mixture_pairs(pair, RULES)(q12, q11, q22, q22, jnp.asarray(1.5, dtype))
    rows = RULES.single if dtype == "float32" else RULES.double
    wanted = np.zeros((2, 3))
    for a, v in rows:
        for b, w in rows:
            exponent = -a * np.asarray(q11, float) - b * b * np.asarray(q22, float)
            wanted += v * w * 1.5 * np.asarray(q12, float) * np.exp(exponent)
    wanted *= np.asarray(q22, float)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(dtype).eps)


def test_the_mean_of_nodes_keeps_a_trailing_axis() -> None:
    def node(order, q, slope):
        return jnp.stack([q * slope, order * q + slope], axis=-1)

    found = mixture_mean(node, RULES)(3, jnp.asarray([1.0, 2.0]))
    mean = sum(w * a for a, w in RULES.double)
    np.testing.assert_allclose(found, [[mean, 3 + mean], [2 * mean, 6 + mean]], rtol=1e-15)


def test_derivatives_pass_through_the_scan() -> None:
    value = mixture_pairs(pair, RULES)
    place = tuple(map(jnp.asarray, (0.3, 0.7, 0.8, 0.4, 1.5)))
    slopes = jax.grad(lambda *p: value(*p), argnums=(0, 1, 2, 3, 4))(*place)
    assert float(slopes[0]) == pytest.approx(float(value(*place)) / 0.3)
    assert float(slopes[4]) == pytest.approx(float(value(*place)) / 1.5)
    step = 1e-6
    moved = (place[0], place[1] + step, *place[2:])
    assert float(slopes[1]) == pytest.approx(float(value(*moved) - value(*place)) / step, rel=1e-5)


def test_a_gradient_keeps_nothing_of_the_sums_over_nodes() -> None:
    rules = Rules(RULES.single, tuple((0.1 * k, 1 / 40) for k in range(1, 41)))
    n = 64
    place = jnp.ones((n, n)), jnp.ones((n, 1)), jnp.ones((1, n)), jnp.ones((n, n)), jnp.asarray(1.0)

    def total(*place):
        return mixture_pairs(pair, rules)(*place).sum()

    compiled = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3, 4))).lower(*place).compile()
    blocks = compiled.memory_analysis().temp_size_in_bytes / (8 * n * n)
    assert blocks < 40  # not 1,600
