"""Equinox: phi by name, inside its models."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc.errors import NetworkError

pytest.importorskip("equinox", reason="Equinox is not installed")

import equinox as eqx

from dualc.adapters.equinox import Activation

X = jnp.asarray(np.random.default_rng(0).standard_normal((5, 3)), jnp.float32)


def test_values_and_gradients_are_those_of_jax_nn() -> None:
    ours = eqx.filter_jit(Activation("softplus"))
    np.testing.assert_allclose(ours(X), jax.nn.softplus(X), rtol=1e-5)
    slopes = [jax.grad(lambda x, f=f: jnp.sum(f(x)))(X) for f in (ours, jax.nn.softplus)]
    np.testing.assert_allclose(*slopes, rtol=1e-5)
    assert ours(X).dtype == jnp.float32


def test_an_array_is_learnt_and_a_number_is_not() -> None:
    learnt = Activation("leaky_relu", alpha=jnp.asarray(0.1, jnp.float32))
    linear = eqx.nn.Linear(3, 4, key=jax.random.key(0), dtype=jnp.float32)
    model = eqx.nn.Sequential([linear, learnt])

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model: object) -> jax.Array:
        return jnp.sum(jax.vmap(model)(X))  # type: ignore[arg-type]

    found = gradient(model).layers[1].layer.parameters["alpha"]
    np.testing.assert_allclose(found, jnp.sum(jnp.minimum(jax.vmap(linear)(X), 0)), rtol=1e-5)
    fixed = eqx.filter(Activation("leaky_relu", alpha=0.1), eqx.is_array)
    assert jax.tree.leaves(fixed) == []


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(NetworkError, match="beta is no parameter"):
        Activation("leaky_relu", beta=1.0)
    with pytest.raises(NetworkError, match="there is no phi"):
        Activation("normalised_gaussian")(X)
