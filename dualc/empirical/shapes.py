"""Arrays that are not there yet, and what sums are kept in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp


def shape_of(shape: Sequence[int], dtype: Any, sharding: Any = None) -> Any:
    """What stands for an array of that shape when a program is traced."""
    struct: Callable[..., Any] = jax.ShapeDtypeStruct  # JAX leaves it without types
    return struct(tuple(shape), dtype, sharding=sharding)


def summed_in(dtype: Any) -> Any:
    """The dtype that products of that one are added up in: itself, float32 for halves."""
    return dtype if dtype.itemsize >= 4 else jnp.dtype(jnp.float32)
