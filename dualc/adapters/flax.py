"""Flax: a compiled activation, by name, as a module of NNX.

    import jax.numpy as jnp
    from flax import nnx

    from dualc.adapters.flax import Activation

    phi = Activation("leaky_relu", alpha=nnx.Param(jnp.asarray(0.1)))
    model = nnx.Sequential(nnx.Linear(3, 8, rngs=nnx.Rngs(0)), phi)
    y = model(jnp.ones((5, 3), "float32"))

Linen's layers take functions: `dualc.load("gelu").phi` is one.
"""

from __future__ import annotations

from typing import Any

from jax import Array
from jaxtyping import Float

from dualc import layers as nn
from dualc.adapters import needed
from dualc.runtime.kernel import Kernel

with needed("flax"):
    from flax import nnx


class Activation(nnx.Module):
    """phi, elementwise, in the dtype of its input.

    Parameters by keyword, as phi takes them: an nnx.Param is learnt, a number is not. Raises
    NetworkError for a parameter that the kernel does not keep, and, when called, for a kernel that
    was given by its dual and has no phi.
    """

    def __init__(self, activation: str | Kernel, **parameters: Any) -> None:
        self.kernel = nn.Activation(activation, **parameters).activation
        self.parameters = nnx.data(parameters)

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """phi(x)."""
        values = {name: _value(given) for name, given in self.parameters.items()}
        return nn.Activation(self.kernel, **values).apply((), x)


def _value(given: Any) -> Any:
    return given[...] if isinstance(given, nnx.Variable) else given
