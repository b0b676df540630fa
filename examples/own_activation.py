"""Your own activation, from its formula to a trained model.

    python examples/own_activation.py

Compiles phi(x) = x Phi(a x) + b sin(x) in memory, looks at what was found, and regresses with the
NTK of a network of it; then with a finite network of the same description.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import dualc
from dualc import layers as nn
from dualc.regression import fit


def main() -> None:
    kernel = dualc.compile_activation(
        "x*normal_cdf(a*x) + b*sin(x)", name="wave", parameters={"a": "2", "b": "1/4"}, order=8
    )
    print(f"{kernel.record.form.tier} tier, by: {'; '.join(kernel.record.form.steps)}")
    print(f"dual at rho = 1/2: {kernel.dual(0.5, 1.0, 1.0):.7f}")

    draw = np.random.default_rng(0)
    x, x_new = (draw.standard_normal((n, 5)).astype(np.float32) for n in (200, 100))
    y, y_new = (np.sin(a[:, 0]) * a[:, 1] for a in (x, x_new))
    net = nn.serial(nn.Dense(1.4, 0.3), nn.Activation(kernel, b=0.5), nn.Dense(1.0, width=1))

    mean = fit(net, x, y, noise=1e-3, kernel="ntk").mean(x_new)
    print(f"infinitely wide: error {np.sqrt(np.mean((mean - y_new) ** 2)):.3f}")

    params = net.init(jax.random.key(0), x.shape[1:], width=512)

    def loss(params: object) -> jax.Array:
        return jnp.mean((net.apply(params, x)[:, 0] - y) ** 2)

    step = jax.jit(lambda p: jax.tree.map(lambda a, g: a - 0.5 * g, p, jax.grad(loss)(p)))
    for _ in range(1000):
        params = step(params)
    error = np.sqrt(np.mean((net.apply(params, x_new)[:, 0] - y_new) ** 2))
    print(f"width 512, 1000 steps of gradient descent: error {error:.3f}")
    print(f"deviation of y: {np.std(y_new):.3f}")


if __name__ == "__main__":
    main()
