"""Equinox: a compiled activation, by name, as a module.

    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from dualc.adapters.equinox import Activation

    phi = Activation("leaky_relu", alpha=jnp.asarray(0.1))
    model = eqx.nn.Sequential([eqx.nn.Linear(3, 8, key=jax.random.key(0)), phi])
    y = jax.vmap(model)(jnp.ones((5, 3)))

An array among the parameters is trained with the model's other arrays; a number is fixed.
"""

from __future__ import annotations

from typing import Any

from jax import Array
from jaxtyping import Float

from dualc import layers as nn
from dualc.adapters import needed
from dualc.runtime.kernel import Kernel

with needed("equinox"):
    import equinox as eqx


class Activation(eqx.Module):
    """phi, elementwise, in the dtype of its input.

    Parameters by keyword, as phi takes them. Raises NetworkError for a parameter that the kernel
    does not keep, and, when called, for a kernel that was given by its dual and has no phi.
    """

    layer: nn.Activation

    def __init__(self, activation: str | Kernel, **parameters: Any) -> None:
        self.layer = nn.Activation(activation, **parameters)

    def __call__(
        self, x: Float[Array, "*shape"], *, key: Array | None = None
    ) -> Float[Array, "*shape"]:
        """phi(x); `key` is what Equinox's containers pass to every layer."""
        return self.layer.apply((), x)
