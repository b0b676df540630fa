"""Whether values are there, or a program that will compute them is being written down."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer


def any_traced(*trees: Any) -> bool:
    """Whether some of the arrays are unknown as yet, or whatever is computed from them would be."""
    return is_staged() or any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees))


def is_staged() -> bool:
    """Whether operations are written down and not done, as inside jit: those of constants too."""
    return isinstance(jnp.zeros(()), Tracer)
