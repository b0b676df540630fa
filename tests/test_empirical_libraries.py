"""Models of Flax, Equinox and Haiku, called as their users call them, against jax.jacrev."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from jax import Array

from dualc import empirical
from dualc.errors import EmpiricalError

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

CHANNELS, C = 5, 3
X = np.random.RandomState(0).standard_normal((6, 4, 4, 2)).astype(np.float32)


def check(f: Callable[[Any, Array], Array], params: Any) -> None:
    """The full and the pseudo kernel are products of Jacobians in params, to 1e-5."""
    jacobian = [np.asarray(leaf) for leaf in jax.tree.leaves(jax.jacrev(f)(params, X))]
    rows = np.concatenate([leaf.reshape(len(X), C, -1) for leaf in jacobian], axis=-1)
    exact = np.einsum("nkd,mld->nmkl", rows, rows, dtype=np.float64)
    for kind, wanted in {"full": exact, "pseudo": exact.sum(axis=(2, 3)) / C}.items():
        found = np.asarray(empirical.ntk(f, params, X, kind=kind))
        assert found.shape == wanted.shape
        assert np.max(np.abs(found - wanted)) < 1e-5 * np.max(np.abs(wanted)), kind


def test_flax_linen_with_running_averages_beside_params() -> None:
    nn = pytest.importorskip("flax.linen", reason="Flax is not installed")

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        @nn.compact
        def __call__(self, x: Array, train: bool) -> Array:
            x = nn.Conv(CHANNELS, (3, 3))(x)
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
            return nn.Dense(C)(x.mean(axis=(1, 2)))

    net = Net()
    variables = net.init(jax.random.key(0), X, train=False)
    stats = jax.tree.map(lambda a: a + 0.5, variables["batch_stats"])

    def f(params: Any, x: Array) -> Array:
        return net.apply({"params": params, "batch_stats": stats}, x, train=False)

    check(f, variables["params"])


def test_flax_nnx_split_into_params_and_the_rest() -> None:
    nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed")

    class Net(nnx.Module):  # type: ignore[misc, name-defined]
        def __init__(self, rngs: Any) -> None:
            self.conv = nnx.Conv(2, CHANNELS, (3, 3), rngs=rngs)
            self.norm = nnx.BatchNorm(CHANNELS, rngs=rngs)
            self.dense = nnx.Linear(CHANNELS, C, rngs=rngs)

        def __call__(self, x: Array) -> Array:
            return self.dense(nnx.relu(self.norm(self.conv(x))).mean(axis=(1, 2)))

    net = Net(nnx.Rngs(0))
    net.eval()
    graph, params, rest = nnx.split(net, nnx.Param, ...)
    check(lambda params, x: nnx.merge(graph, params, rest)(x), params)
    net.train()
    graph, params, rest = nnx.split(net, nnx.Param, ...)
    with pytest.raises(EmpiricalError, match="running averages in place of batch statistics"):
        empirical.ntk(lambda params, x: nnx.merge(graph, params, rest)(x), params, X)


def test_equinox_modules_are_params_themselves() -> None:
    eqx = pytest.importorskip("equinox", reason="Equinox is not installed")
    net = eqx.nn.MLP(32, C, CHANNELS, 2, jax.nn.gelu, dtype=np.float32, key=jax.random.key(0))

    def f(net: Any, x: Array) -> Array:  # Equinox's modules take one sample
        return jax.vmap(net)(x.reshape(len(x), -1))

    params, static = eqx.partition(net, eqx.is_inexact_array)
    check(lambda params, x: f(eqx.combine(params, static), x), params)
    whole = empirical.ntk(f, net, X, kind="pseudo")  # activations among the leaves are left alone
    apart = empirical.ntk(lambda p, x: f(eqx.combine(p, static), x), params, X, kind="pseudo")
    np.testing.assert_array_equal(whole, apart)


def test_haiku_transformed_without_keys() -> None:
    hk = pytest.importorskip("haiku", reason="Haiku is not installed")

    def forward(x: Array) -> Array:
        x = jax.nn.relu(hk.Conv2D(CHANNELS, 3)(x))
        return hk.Linear(C)(x.mean(axis=(1, 2)))

    net = hk.without_apply_rng(hk.transform(forward))
    check(net.apply, net.init(jax.random.key(0), X))
