"""Finite networks: their weights, and that wide ones have the exact kernels."""

from __future__ import annotations

from typing import Any

import brute
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc import layers as nn
from dualc.errors import NetworkError

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

PHI = nn.Activation("erf")
DENSE = nn.serial(nn.Dense(1.3, 0.3), PHI, nn.Dense(1.2, 0.2), PHI, nn.Dense(1.1, 0.1, width=1))
PICTURES = nn.serial(
    nn.Conv((2, 2), W_std=1.3, b_std=0.3), PHI, nn.AvgPool((2, 2)),
    nn.Conv((2, 2), None, "CIRCULAR", 1.2), PHI, nn.Flatten(), nn.Dense(1.1, 0.1, width=1),
)  # fmt: skip


def gaussians(*shape: int) -> np.ndarray:
    return np.random.RandomState(0).standard_normal(shape)


def empirical(net: nn.Layer, x: np.ndarray, width: int, seeds: int) -> tuple[np.ndarray, Any]:
    """Means over seeds of f(x) f(x)^T and of J J^T, J the Jacobian in all weights."""

    @jax.jit
    def both(key: Any) -> Any:
        params = net.init(key, x.shape[1:], width)
        f = net.apply(params, jnp.asarray(x))[:, 0]
        jacobian = jax.jacobian(lambda w: net.apply(w, jnp.asarray(x))[:, 0])(params)
        flat = [a.reshape(len(x), -1) for a in jax.tree.leaves(jacobian)]
        return jnp.outer(f, f), sum((a @ a.T for a in flat[1:]), flat[0] @ flat[0].T)

    found = [both(jax.random.key(s)) for s in range(seeds)]
    nngp, ntk = (np.mean(np.stack(part), axis=0) for part in zip(*found, strict=True))
    return nngp, ntk


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def test_weights_have_the_shapes_that_layers_and_widths_say() -> None:
    net = nn.serial(
        nn.Conv((3, 2), b_std=0.1), PHI, nn.Conv((2, 2), (2, 2), width=6), PHI, nn.Flatten(),
        nn.Dense(), PHI, nn.Dense(b_std=0.2, width=3),
    )  # fmt: skip
    params = net.init(jax.random.key(0), (4, 6, 2), 5)
    shapes = [tuple(a.shape) for a in jax.tree.leaves(params)]
    assert shapes == [(3, 2, 2, 5), (5,), (2, 2, 5, 6), (2 * 3 * 6, 5), (5, 3), (3,)]
    assert net.apply(params, gaussians(7, 4, 6, 2)).shape == (7, 3)


def test_keys_decide_the_weights_and_layers_have_weights_of_their_own() -> None:
    net = nn.serial(nn.Dense(), PHI, nn.Dense())
    one, again, other = (net.init(jax.random.key(k), (4,), 4) for k in (0, 0, 1))
    first, second = jax.tree.leaves(one)
    np.testing.assert_array_equal(first, jax.tree.leaves(again)[0])
    assert np.abs(first - jax.tree.leaves(other)[0]).max() > 0.1
    assert np.abs(first - second).max() > 0.1


def test_dense_and_conv_are_what_their_docstrings_say() -> None:
    x = gaussians(3, 4, 2)
    net = nn.serial(nn.Conv((2,), None, "VALID", 1.5, 0.2), nn.Dense(1.3, 0.1, width=2))
    (filters, bias), (matrix, shift) = net.init(jax.random.key(0), x.shape[1:], 3)
    patches = np.concatenate([x[:, :-1], x[:, 1:]], axis=-1)
    hidden = 1.5 / np.sqrt(4) * patches @ filters.reshape(4, 3) + 0.2 * np.asarray(bias)[None, None]
    expected = 1.3 / np.sqrt(3) * hidden @ matrix + 0.1 * np.asarray(shift)[None, None]
    np.testing.assert_allclose(net.apply(((filters, bias), (matrix, shift)), x), expected)


def test_layer_norm_of_a_finite_network_has_mean_0_and_variance_1_over_channels() -> None:
    out = nn.LayerNorm().apply((), jnp.asarray(3 + 2 * gaussians(4, 6)))
    np.testing.assert_allclose(np.mean(out, -1), 0, atol=1e-12)
    np.testing.assert_allclose(np.var(out, -1), 1, rtol=1e-9)


def test_a_kernel_without_phi_has_no_finite_network() -> None:
    net = nn.serial(nn.Dense(), nn.Activation("normalised_gaussian"), nn.Dense())
    params = net.init(jax.random.key(0), (3,), 4)
    with pytest.raises(NetworkError, match=r"given by its kernel: there is no phi"):
        net.apply(params, jnp.ones((2, 3)))


@pytest.mark.parametrize("case", ["dense", "pictures"])
def test_networks_of_moderate_width_are_near_their_kernels(case: str) -> None:
    net, x = (DENSE, gaussians(3, 5)) if case == "dense" else (PICTURES, gaussians(3, 3, 4, 2))
    exact = brute.kernels(net, x)
    found = empirical(net, x, 64, 100)
    assert relative(found[0], exact[0]) < 0.25  # 100 draws of f f^T
    assert relative(found[1], exact[1]) < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("case", ["dense", "pictures"])
def test_as_width_grows_networks_meet_their_kernels(case: str) -> None:
    net, x = (DENSE, gaussians(3, 5)) if case == "dense" else (PICTURES, gaussians(3, 3, 4, 2))
    exact = brute.kernels(net, x)[1]
    far = np.mean([relative(empirical(net, x, 16, 1 + s)[1], exact) for s in range(3)])
    near = relative(empirical(net, x, 512, 20)[1], exact)
    assert near < 0.02
    assert near < far / 3
    nngp = empirical(net, x, 64, 4000)[0]
    assert relative(nngp, brute.kernels(net, x)[0]) < 0.06


def test_the_standard_parametrisation_has_the_same_functions_and_its_own_ntk() -> None:
    def network(kind: str) -> nn.Layer:
        return nn.serial(
            nn.Dense(1.3, 0.3, width=128, parameterization=kind), PHI,
            nn.Dense(1.1, 0.2, width=1, parameterization=kind),
        )  # fmt: skip

    x = gaussians(3, 5)
    exact = brute.kernels(network("standard"), x)
    for kind in ("standard", "ntk"):
        nngp, ntk = empirical(network(kind), x, 7, 200)
        assert relative(nngp, exact[0]) < 0.2
    standard = empirical(network("standard"), x, 7, 60)[1]
    assert relative(standard, exact[1]) < 0.06
    assert relative(ntk, exact[1]) > 0.5  # the other one's gradients are far from it
