"""Random features of empirical kernels: their mean, their variance, and streaming ridge on them."""

from __future__ import annotations

import functools
import math
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax

from dualc import empirical
from dualc.empirical.features import GradientFeatures
from dualc.errors import EmpiricalError
from dualc.regression import stream_ridge
from dualc.runtime.blocks import temporary_bytes
from dualc.runtime.sharding import batch_mesh

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

KINDS = ("full", "pseudo", "trace", "logit")
C = 3  # outputs


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed + sum(shape)).standard_normal(shape)


def f(p: Any, x: Array) -> Array:
    return jnp.dot(jnp.tanh(jnp.dot(x, p["w"]) + p["b"][None]), p["v"])


W: dict[str, Any] = {"w": normal(4, 7), "b": normal(7), "v": normal(7, C)}
X = normal(3, 4)


def gradients(params: Any, x: np.ndarray) -> list[np.ndarray]:
    """Of every leaf, (n, c, size)."""
    found = jax.tree.leaves(jax.jacrev(f)(params, jnp.asarray(x)))
    return [np.asarray(leaf).reshape(len(x), C, -1) for leaf in found]


def heads(kind: str, leaf: np.ndarray) -> np.ndarray:
    """(n, heads, size) of a kernel that is the sum over the heads of products, but for `full`."""
    return {
        "full": leaf,
        "pseudo": leaf.sum(1, keepdims=True) / math.sqrt(C),
        "trace": leaf / math.sqrt(C),
        "logit": leaf[:, 1:2],
    }[kind]


def gram(kind: str, features: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.einsum("nkp,mlp->nmkl" if kind == "full" else "np,mp->nm", features, others)


@functools.cache
def errors(kind: str, p: int, keys: int) -> np.ndarray:
    """What features of that many keys are off by, (keys, ...) as `ntk` gives it."""
    kernel = np.asarray(empirical.ntk(f, W, X, kind=kind, logit=1))
    found = []
    for key in range(keys):
        mapped = empirical.features(f, W, jax.random.key(key), p, kind, logit=1)
        features = np.asarray(mapped(X))
        found.append(gram(kind, features, features) - kernel)
    return np.stack(found)


def variance(p: int, chunks: list[np.ndarray]) -> np.ndarray:
    """(n, n) of products of folded vectors that have these chunks, (n, size) each."""
    products = [chunk @ chunk.T for chunk in chunks]
    norms = [np.diagonal(product) for product in products]
    total = np.outer(sum(norms), sum(norms)) + sum(products) ** 2
    own = sum(np.outer(n, n) + q**2 for n, q in zip(norms, products, strict=True))
    return np.asarray((total - own) / p)


# ---- mean and variance ----


@pytest.mark.parametrize("kind", KINDS)
def test_products_of_features_have_the_kernel_for_their_mean(kind: str) -> None:
    off = errors(kind, 8, 200)
    deviation = off.std(axis=0) / math.sqrt(len(off))
    assert np.abs(off.mean(axis=0) / deviation).max() < 4


@pytest.mark.parametrize("kind", ["pseudo", "logit"])
def test_the_variance_is_what_the_docstring_says(kind: str) -> None:
    p = 8
    flat = np.concatenate([heads(kind, leaf)[:, 0] for leaf in gradients(W, X)], axis=1)
    chunks = [flat[:, first : first + p] for first in range(0, flat.shape[1], p)]
    found, wanted = np.mean(errors(kind, p, 200) ** 2, axis=0), variance(p, chunks)
    np.testing.assert_allclose(found / wanted, 1.0, atol=0.4)
    assert abs(np.mean(found / wanted) - 1.0) < 0.2


def test_the_variance_of_a_trace_is_at_most_three_times_that_of_one_fold_of_all_outputs() -> None:
    flat = np.concatenate([heads("trace", leaf) for leaf in gradients(W, X)], axis=2)
    wanted = variance(8, list(flat.reshape(len(X), -1).T[:, :, None]))
    assert (np.mean(errors("trace", 8, 200) ** 2, axis=0) < 3.2 * wanted).all()


def test_the_error_falls_as_the_root_of_p() -> None:
    sizes = (16, 256)
    params = {"w": normal(4, 700) / 2, "b": normal(700), "v": normal(700, C) / 25}
    kernel = np.asarray(empirical.ntk(f, params, X, kind="pseudo"))
    off = []
    for p in sizes:
        found = []
        for key in range(48):
            features = empirical.features(f, params, jax.random.key(key), p, "pseudo")(X)
            found.append(np.asarray(features @ features.T) - kernel)
        off.append(np.sqrt(np.mean(np.square(found))))
    assert 3 < off[0] / off[1] < 5.3  # 4 in the mean


def test_turned_chunks_have_the_error_of_gaussian_rows_where_p_divides_the_layers() -> None:
    """Entries p apart belong to one unit here: folded as they stand they would err more."""

    def relu(p: Any, x: Array) -> Array:
        return jnp.dot(jax.nn.relu(jnp.dot(x, p[0])), p[1])

    params = [normal(32, 64) / 4, normal(64, 1)]
    x = normal(1, 32)
    norm = float(empirical.diagonal(relu, params, x, "pseudo")[0])
    off = [
        float(jnp.sum(empirical.features(relu, params, jax.random.key(k), 64, "pseudo")(x) ** 2))
        - norm
        for k in range(150)
    ]
    assert np.sqrt(np.mean(np.square(off)) * 64) / norm < 1.1 * math.sqrt(2)


# ---- the same map ----


def test_the_same_key_gives_the_same_features_whatever_is_computed_together() -> None:
    x = normal(8, 4)

    def mapped(key: int = 3, **options: Any) -> GradientFeatures:
        return empirical.features(f, W, jax.random.key(key), 10, "trace", **options)

    whole = mapped()
    wanted = whole(x)
    for found in (mapped()(x), mapped(memory=6000)(x), jax.jit(whole)(x)):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13)
    assert float(jnp.abs(mapped(4)(x) - wanted).max()) > 0.1
    assert whole(x[:0]).shape == (0, 10)


def test_as_many_features_as_parameters_are_exact() -> None:
    features = empirical.features(f, W, jax.random.key(0), 70)(X)  # of 56
    wanted = empirical.ntk(f, W, X)
    np.testing.assert_allclose(gram("full", features, features), wanted, rtol=0, atol=1e-12)


def test_gradients_are_those_of_the_trainable_leaves_only() -> None:
    def trainable(name: str, leaf: Any) -> bool:
        return "'w'" in name

    features = empirical.features(f, W, jax.random.key(0), 28, "logit", trainable=trainable)(X)
    wanted = empirical.ntk(f, W, X, kind="logit", trainable=trainable)
    np.testing.assert_allclose(gram("logit", features, features), wanted, rtol=1e-12, atol=1e-13)


def test_convolutions_halves_and_integer_leaves_have_features_too() -> None:
    def conv(p: Any, x: Array) -> Array:
        x = lax.conv_general_dilated(
            x, p["k"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.mean(jax.nn.relu(x), axis=(1, 2)) * p["steps"].astype(x.dtype)

    params = {"k": jnp.asarray(normal(3, 3, 2, 40), jnp.bfloat16), "steps": jnp.int32(2)}
    x = jnp.asarray(normal(4, 6, 5, 2), jnp.bfloat16)
    features = empirical.features(conv, params, jax.random.key(1), 720, "pseudo")(x)
    kernel = empirical.ntk(conv, params, x, kind="pseudo")
    assert features.dtype == kernel.dtype == jnp.float32
    product = jnp.matmul(features, features.T, precision="highest")
    np.testing.assert_allclose(product, kernel, rtol=0.02)  # gradients of bfloat16


def test_float32_stays_float32_and_x64_may_be_off() -> None:
    code = """
import jax, jax.numpy as jnp, numpy as np
from dualc import empirical
f = lambda p, x: jnp.tanh(x @ p)
w, x = np.ones((3, 2), np.float32), np.random.default_rng(0).normal(size=(5, 3))
for kind in ("full", "trace"):
    F = empirical.features(f, w, jax.random.key(0), 6, kind)(x)
    assert F.dtype == jnp.float32, F.dtype
K = empirical.ntk(f, w, x, kind="logit")
F = empirical.features(f, w, jax.random.key(0), 6, "logit")(x)
assert np.abs(F @ F.T - K).max() < 1e-5
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    w32 = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), W)
    found = empirical.features(f, w32, jax.random.key(0), 6)(jnp.asarray(X, jnp.float32))
    assert found.dtype == jnp.float32


# ---- the bridge to streams ----


@pytest.mark.parametrize("sharded", [False, True])
def test_streaming_ridge_on_features_approaches_ridge_with_the_pseudo_kernel(
    sharded: bool,
) -> None:
    x, new = normal(64, 4), normal(32, 4, seed=9)
    y, noise = np.sin(x[:, :2]), 0.5
    params = W if sharded else {"w": normal(4, 300) / 2, "b": normal(300), "v": normal(300, C) / 17}
    kernel = np.asarray(empirical.ntk(f, params, x, kind="pseudo"))
    cross = np.asarray(empirical.ntk(f, params, new, x, kind="pseudo"))
    wanted = cross @ np.linalg.solve(kernel + noise * np.eye(64), y)

    def off(p: int) -> float:
        found = []
        for key in range(2):
            path = stream_ridge(
                empirical.features(f, params, jax.random.key(key), p, "pseudo"),
                [(x[:25], y[:25]), (x[25:], y[25:])],
                lambdas=[noise], intercept=False, held_out=0.0, block=32, progress=False,
                mesh=batch_mesh() if sharded else None,
            )  # fmt: skip
            found.append(np.linalg.norm(path.predict(new) - wanted) / np.linalg.norm(wanted))
        return float(np.mean(found))

    if sharded:  # as many features as parameters
        assert off(56) < 1e-10
    else:
        rough, fine = off(32), off(512)
        assert fine < 0.15
        assert fine < rough / 2  # a quarter in the mean


# ---- memory and errors ----


def test_gradients_of_all_samples_never_exist_together() -> None:
    params = {"w": normal(4, 1000), "b": normal(1000), "v": normal(1000, C)}
    budget = 2**20
    mapped = empirical.features(f, params, jax.random.key(0), 64, "full", memory=budget)
    x = normal(200, 4)
    gradients_of_all = 8 * 200 * C * (4 + 1 + C) * 1000
    assert temporary_bytes(jax.jit(mapped), x) <= budget < gradients_of_all / 8


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"p": 0}, "p=0: the number of features"),
        ({"p": 2.5}, "p=2.5"),
        ({"kind": "sum"}, "kind is one of full, pseudo, trace, logit, not 'sum'"),
        ({"memory": 0}, "memory=0"),
        ({"memory": 100}, "one sample takes .* more than the 100 of memory="),
        ({"kind": "logit", "logit": 3}, "f has the 3 outputs 0 to 2"),
        ({"params": {"w": np.arange(3)}}, "no floating leaf"),
        ({"params": {**W, "b": np.full(7, np.nan)}}, r"params\['b'\] has 7 of 7 values"),
    ],
)
def test_what_no_features_can_be_made_of_is_said(options: dict[str, Any], match: str) -> None:
    given = {"params": W, "p": 4, "kind": "full", **options}
    with pytest.raises(EmpiricalError, match=match):
        empirical.features(f, given.pop("params"), jax.random.key(0), **given)(X)
