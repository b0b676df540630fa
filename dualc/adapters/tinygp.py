"""tinygp: the NNGP kernel or NTK of a fully connected network, with hyperparameters to learn.

    import jax
    import jax.numpy as jnp
    import tinygp

    from dualc.adapters.tinygp import DualKernel

    x = jax.random.normal(jax.random.key(0), (40, 3))
    y = jnp.sin(x[:, 0]) * x[:, 1]

    def loss(theta):
        kernel = DualKernel("erf", W_std=jnp.exp(theta[0]), b_std=jnp.exp(theta[1]))
        return -tinygp.GaussianProcess(kernel, x, diag=1e-2).log_probability(y)

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.zeros(2))

Another network: a subclass with its own `net`.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from dualc import layers as nn
from dualc.adapters import needed
from dualc.regression.kernels import Net
from dualc.runtime.kernel import Kernel

with needed("tinygp"):
    import equinox as eqx
    import tinygp


class DualKernel(tinygp.kernels.Kernel):
    """The kernel ("nngp" or "ntk") of `depth` times (Dense, activation), then Dense.

    W_std and b_std (None: no biases) are leaves, with correct gradients at inputs that coincide.
    Inputs are (d,), or () for d = 1. The kernel matrix is made as a whole where the kernel stands
    alone, and pair by pair inside tinygp's sums, products and transforms: the values are the same.
    """

    activation: str | Kernel = eqx.field(static=True)
    depth: int = eqx.field(static=True, default=1)
    W_std: Any = 1.0
    b_std: Any = 0.1
    kernel: str = eqx.field(static=True, default="nngp")

    @property
    def net(self) -> Net:
        """The network, at the hyperparameters of now."""
        return nn.fully_connected(self.activation, self.depth, W_std=self.W_std, b_std=self.b_std)

    def evaluate(self, X1: Float[Array, "*d"], X2: Float[Array, "*d"]) -> Float[Array, ""]:
        """K(x1, x2) of two inputs."""
        k: Array = self.net.kernel(_row(X1), _row(X2), get=self.kernel)
        return k[0, 0]

    def evaluate_diag(self, X: Float[Array, "*d"]) -> Float[Array, ""]:
        """K(x, x) of one input."""
        k: Array = self.net.kernel(_row(X), get=self.kernel)
        return k[0, 0]

    def __call__(
        self, X1: Float[Array, "n ..."], X2: Float[Array, "m ..."] | None = None
    ) -> Float[Array, "n ..."]:
        """K(x1_i, x2_j), (n, m); without X2 the diagonal K(x1_i, x1_i), (n,)."""
        if X2 is None:
            diagonal: Array = super().__call__(X1)
            return diagonal
        others = None if X2 is X1 else _rows(X2)
        k: Array = self.net.kernel(_rows(X1), others, get=self.kernel)
        return k


def _row(x: Float[Array, "*d"]) -> Float[Array, "1 ..."]:
    return jnp.atleast_1d(x)[None]


def _rows(x: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    return x[:, None] if x.ndim == 1 else x
