"""GPJax: the NNGP kernel or NTK of a fully connected network, with hyperparameters to learn.

    import gpjax as gpx
    import jax
    import jax.numpy as jnp

    from dualc.adapters.gpjax import DualKernel

    x = jax.random.normal(jax.random.key(0), (40, 3))
    data = gpx.Dataset(x, (jnp.sin(x[:, 0]) * x[:, 1])[:, None])
    kernel = DualKernel("erf", W_std=1.5, b_std=0.1)
    prior = gpx.gps.Prior(mean_function=gpx.mean_functions.Zero(), kernel=kernel)
    posterior = prior * gpx.likelihoods.Gaussian()
    loss = -gpx.objectives.conjugate_mll(posterior, data)

Another network: a subclass with its own `net`.
"""

from __future__ import annotations

from typing import Any

from jax import Array
from jaxtyping import Float

from dualc import layers as nn
from dualc.adapters import needed
from dualc.regression.kernels import Net
from dualc.runtime.kernel import Kernel

with needed("gpjax"):
    import equinox as eqx
    from gpjax.kernels.base import AbstractKernel
    from gpjax.kernels.computations import DenseKernelComputation
    from gpjax.parameters import PositiveReal, val
    from paramax import AbstractUnwrappable


class WholeMatrix(DenseKernelComputation):
    """The kernel matrix as a whole: what the samples have in common is computed once."""

    def _cross_covariance(
        self, kernel: Any, x: Float[Array, "n d"], y: Float[Array, "m d"]
    ) -> Float[Array, "n m"]:
        rows, others = kernel.slice_input(x), None if y is x else kernel.slice_input(y)
        k: Array = kernel.net.kernel(rows, others, get=kernel.kernel)
        return k


_WHOLE = WholeMatrix()


class DualKernel(AbstractKernel):
    """The kernel ("nngp" or "ntk") of `depth` times (Dense, activation), then Dense.

    W_std and b_std (None: no biases) are positive and learnt; a parameter of GPJax's in place of a
    number is taken as it is. Gradients are correct at inputs that coincide. Alone the kernel makes
    its matrix as a whole, inside GPJax's sums and products pair by pair: the values are the same.
    """

    activation: str | Kernel = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    W_std: Any
    b_std: Any
    kernel: str = eqx.field(static=True)

    def __init__(
        self,
        activation: str | Kernel,
        depth: int = 1,
        W_std: Any = 1.0,
        b_std: Any = 0.1,
        kernel: str = "nngp",
        active_dims: list[int] | slice | None = None,
        n_dims: int | None = None,
        compute_engine: Any = _WHOLE,
    ) -> None:
        self.activation, self.depth, self.kernel = activation, depth, kernel
        self.W_std, self.b_std = _learnt(W_std), None if b_std is None else _learnt(b_std)
        super().__init__(active_dims, n_dims, compute_engine)

    @property
    def net(self) -> Net:
        """The network, at the hyperparameters of now."""
        W_std, b_std = val(self.W_std), val(self.b_std)
        return nn.fully_connected(self.activation, self.depth, W_std=W_std, b_std=b_std)

    def __call__(self, x: Float[Array, " d"], y: Float[Array, " d"]) -> Float[Array, ""]:
        """K(x, y) of two inputs."""
        rows = self.slice_input(x)[None], self.slice_input(y)[None]
        k: Array = self.net.kernel(*rows, get=self.kernel)
        return k[0, 0]


def _learnt(value: Any) -> Any:
    return value if isinstance(value, AbstractUnwrappable) else PositiveReal(value)
