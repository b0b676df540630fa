"""Pseudo (x) I_c meets the full kernel as the width grows, and where it does not.

Mohamadi, Bae and Sutherland, "A Fast, Well-Founded Approximation to the Empirical Neural Tangent
Kernel" (ICML 2023): with a wide linear readout the error falls as width^(-1/2), entrywise, in the
largest eigenvalue and in the predictions of kernel regression.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from scipy.linalg import eigvalsh, solve

from dualc import empirical

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

C = 10
Params = list[Array]
Model = Callable[[Params, Array], Array]


# ---- plain networks in NTK parametrisation, relu ----


def dense(x: Array, w: Array) -> Array:
    return jnp.dot(x, w) / math.sqrt(len(w))


def conv(x: Array, w: Array) -> Array:
    fan_in = math.prod(w.shape[:-1])
    found = jax.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return found * math.sqrt(2 / fan_in)


def relu(x: Array) -> Array:
    return math.sqrt(2) * jax.nn.relu(x)


def mlp(params: Params, x: Array) -> Array:
    x = x.reshape(len(x), -1)
    for w in params[:-1]:
        x = relu(dense(x, w))
    return dense(x, params[-1])


def cnn(params: Params, x: Array) -> Array:
    for w in params[:-1]:
        x = jax.nn.relu(conv(x, w))
    return dense(x.mean(axis=(1, 2)), params[-1])


def resnet(params: Params, x: Array) -> Array:
    x = dense(x.reshape(len(x), -1), params[0])
    for w in params[1:-1]:
        x = x + dense(relu(x), w)
    return dense(relu(x), params[-1])


def shapes(name: str, width: int) -> tuple[Model, list[tuple[int, ...]]]:
    """A network for images of 4 x 4, and the shapes of its weights."""
    networks: dict[str, tuple[Model, list[tuple[int, ...]]]] = {
        "mlp": (mlp, [(16, width), (width, width), (width, C)]),
        "cnn": (cnn, [(3, 3, 1, width), (2, 2, width, width), (width, C)]),
        "resnet": (resnet, [(16, width), (width, width), (width, width), (width, C)]),
        "narrow": (mlp, [(16, width), (width, 8), (8, C)]),
    }
    return networks[name]


@functools.cache
def samples(train: int, test: int) -> tuple[np.ndarray, np.ndarray]:
    """Images about ten centres, and which centre it is, one-hot, of the first `train`."""
    draw = np.random.RandomState(0)
    labels = draw.randint(0, C, train + test)
    x = draw.standard_normal((C, 4, 4, 1))[labels]
    x += 0.3 * draw.standard_normal((train + test, 4, 4, 1))
    return x.astype(np.float32), np.eye(C)[labels[:train]]


@functools.partial(jax.jit, static_argnames="f")
def kernels(f: Model, params: Params, x: Array) -> tuple[Array, Array]:
    return empirical.ntk(f, params, x), empirical.ntk(f, params, x, kind="pseudo")


def errors(f: Model, params: Params, train: int, test: int) -> tuple[float, float, float]:
    """Of pseudo (x) I_c: entries, largest eigenvalue, predictions by kernel regression."""
    x, targets = samples(train, test)
    n = len(x)
    full, pseudo = (np.asarray(k, np.float64) for k in kernels(f, params, x))
    both = full.transpose(0, 2, 1, 3).reshape(n * C, n * C), np.kron(pseudo, np.eye(C))
    largest = [eigvalsh(k, subset_by_index=[n * C - 1] * 2)[0] for k in both]
    predicted = [regression(k, targets.reshape(-1)) for k in both]
    return (
        relative(both[1], both[0]),
        abs(largest[1] - largest[0]) / largest[0],
        relative(predicted[1], predicted[0]),
    )


def regression(kernel: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Of the rows after those of the targets, with a ridge of a hundredth of the diagonal."""
    n = len(targets)
    ridge = 0.01 * np.trace(kernel) / len(kernel) * np.eye(n)
    found: np.ndarray = kernel[n:, :n] @ solve(kernel[:n, :n] + ridge, targets, assume_a="pos")
    return found


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def slopes(name: str, widths: list[int], seeds: int, train: int, test: int) -> np.ndarray:
    """Of log(root mean square error over the seeds) against log(width), for the three errors."""
    means = []
    for width in widths:
        f, wanted = shapes(name, width)
        draw = np.random.RandomState(width)
        found = [
            errors(f, [draw.standard_normal(s).astype(np.float32) for s in wanted], train, test)
            for _ in range(seeds)
        ]
        means.append(np.sqrt(np.mean(np.square(found), axis=0)))
    return np.polyfit(np.log(widths), np.log(means), 1)[0]


def test_wide_readouts_help_and_narrow_ones_do_not() -> None:
    entries, _, _ = slopes("mlp", [16, 256], 3, 6, 4)
    assert -0.65 < entries < -0.35
    entries, _, _ = slopes("narrow", [16, 256], 3, 6, 4)
    assert abs(entries) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet"])
def test_errors_fall_as_one_over_the_root_of_the_width(name: str) -> None:
    found = slopes(name, [32, 64, 128, 256, 512], 6, 16, 8)
    assert np.all((found > -0.65) & (found < -0.35)), found


@pytest.mark.slow
def test_errors_stay_where_the_readout_is_narrow() -> None:
    found = slopes("narrow", [32, 64, 128, 256, 512], 6, 16, 8)
    assert np.all(np.abs(found) < 0.15), found
