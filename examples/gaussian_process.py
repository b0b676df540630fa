"""A Gaussian process with a certified kernel, its hyperparameters learned by gradients.

    python examples/gaussian_process.py

The prior is an infinitely wide network with one hidden layer of erf: its NNGP kernel. W_std, b_std
and the noise are those of the largest marginal likelihood.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from dualc import layers as nn
from dualc.regression import Posterior, fit


def posterior(theta: jax.Array, x: jax.Array, y: jax.Array) -> Posterior:
    """The process at logarithms of W_std, b_std and the noise."""
    W_std, b_std, noise = jnp.exp(theta)
    net = nn.serial(nn.Dense(W_std, b_std), nn.Activation("erf"), nn.Dense(1.5, 0.1))
    return fit(net, x, y, noise=noise, kernel="nngp")


def main() -> None:
    draw = np.random.default_rng(0)
    x = draw.uniform(-3, 3, (60, 1)).astype(np.float32)
    y = np.sin(2 * x[:, 0]) + np.float32(0.1) * draw.standard_normal(60).astype(np.float32)

    def loss(theta: jax.Array) -> jax.Array:
        return -posterior(theta, x, y).log_marginal_likelihood

    start = jnp.log(jnp.asarray([2.0, 1.0, 0.1]))
    rate = jax.jit(jax.value_and_grad(loss))
    found = minimize(
        lambda theta: [np.asarray(v, float) for v in rate(jnp.asarray(theta, jnp.float32))],
        start, jac=True, bounds=[(-2, 3), (-3, 3), (-7, 1)], options={"maxiter": 60},
    )  # fmt: skip
    W_std, b_std, noise = np.exp(found.x)
    print(f"log marginal likelihood {-float(loss(start)):.1f} -> {-found.fun:.1f}")
    print(f"W_std {W_std:.2f}, b_std {b_std:.2f}, noise {noise:.4f} (true: 0.01)")

    x_new = np.linspace(-3, 3, 7, dtype=np.float32)[:, None]
    mean, variance = posterior(jnp.asarray(found.x, jnp.float32), x, y).predict(x_new)
    for a, m, v in zip(x_new[:, 0], mean, variance, strict=True):
        print(f"x = {a:4.1f}   sin(2x) = {np.sin(2 * a):6.3f}   f = {m:6.3f} +- {2 * v**0.5:.3f}")


if __name__ == "__main__":
    main()
