"""Flax: phi by name, inside models of NNX and Linen."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dualc
from dualc.errors import NetworkError

pytest.importorskip("flax", reason="Flax is not installed")

from flax import linen, nnx

from dualc.adapters.flax import Activation

X = jnp.asarray(np.random.default_rng(0).standard_normal((5, 3)), jnp.float32)


def test_values_and_gradients_are_those_of_jax_nn() -> None:
    ours = Activation("silu")
    np.testing.assert_allclose(nnx.jit(ours)(X), jax.nn.silu(X), rtol=1e-5)
    slopes = [jax.grad(lambda x, f=f: jnp.sum(f(x)))(X) for f in (ours, jax.nn.silu)]
    np.testing.assert_allclose(*slopes, rtol=1e-5)
    assert ours(X).dtype == jnp.float32


def test_a_param_is_learnt_and_a_number_is_not() -> None:
    alpha = nnx.Param(jnp.asarray(0.1, jnp.float32))
    linear = nnx.Linear(3, 4, rngs=nnx.Rngs(0), param_dtype=jnp.float32)
    model = nnx.Sequential(linear, Activation("leaky_relu", alpha=alpha))
    gradient = nnx.jit(nnx.grad(lambda model: jnp.sum(model(X))))(model)
    found = gradient["layers"][1]["parameters"]["alpha"][...]
    np.testing.assert_allclose(found, jnp.sum(jnp.minimum(linear(X), 0)), rtol=1e-5)
    assert jax.tree.leaves(nnx.state(Activation("leaky_relu", alpha=0.1), nnx.Param)) == []


def test_linen_takes_phi_itself() -> None:
    model = linen.Sequential([linen.Dense(4, param_dtype=jnp.float32), dualc.load("relu").phi])
    params = model.init(jax.random.key(0), X)
    y = jax.jit(model.apply)(params, X)
    assert y.shape == (5, 4)
    assert (y >= 0).all()


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(NetworkError, match="beta is no parameter"):
        Activation("leaky_relu", beta=1.0)
    with pytest.raises(NetworkError, match="there is no phi"):
        Activation("normalised_gaussian")(X)
