"""Arrays that are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax


def shape_of(shape: Sequence[int], dtype: Any, sharding: Any = None) -> Any:
    """What stands for an array of that shape when a program is traced."""
    struct: Callable[..., Any] = jax.ShapeDtypeStruct  # JAX leaves it without types
    return struct(tuple(shape), dtype, sharding=sharding)
