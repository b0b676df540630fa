"""Arrays that are not there yet, and what XLA says a program takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax


def shape_of(shape: Sequence[int], dtype: Any, sharding: Any = None) -> Any:
    """What stands for an array of that shape when a program is traced."""
    struct: Callable[..., Any] = jax.ShapeDtypeStruct  # JAX leaves it without types
    return struct(tuple(shape), dtype, sharding=sharding)


def temporary_bytes(function: Any, *arguments: Any) -> int:
    """Bytes that a jitted function takes beyond arguments and result, as XLA plans it."""
    analysis = function.lower(*arguments).compile().memory_analysis()
    assert analysis is not None
    return int(analysis.temp_size_in_bytes)
