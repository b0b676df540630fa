"""Support code of the mixture tier: means over a random slope, by a Gauss rule for each dtype.

Appended to `support.py` in generated/_support.py; the imports below stay behind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from dualc.emit.support import Array


class Rules(NamedTuple):
    """Rows (slope, weight), for float32 and for float64."""

    single: tuple[tuple[float, float], ...]
    double: tuple[tuple[float, float], ...]


def mixture_pairs(pair: Callable[..., Array], rules: Rules) -> Callable[..., Array]:
    """The mean of pair(q12, q11, q22, d, *parameters, slope1, slope2) over independent slopes.

    Scans: unrolled, 256 bodies compile for minutes and fill the memory. One within the other: a
    single sum over 2,500 pairs would lose 16 eps. Bodies are computed again for a gradient, which
    would keep every one's numbers otherwise: gigabytes for a Gram matrix of 200 rows.
    """

    def value(q12: Array, q11: Array, q22: Array, d: Array, *parameters: Array) -> Array:
        rows = jnp.asarray(_rows(rules, q12.dtype), q12.dtype)
        start = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape, d.shape), q12.dtype)

        def over_first(total: Array, first: Array) -> tuple[Array, None]:
            @partial(jax.checkpoint, prevent_cse=False)
            def over_second(inner: Array, second: Array) -> tuple[Array, None]:
                value = pair(q12, q11, q22, d, *parameters, first[0], second[0])
                return inner + second[1] * value, None

            return total + first[1] * lax.scan(over_second, start, rows)[0], None

        return lax.scan(over_first, start, rows)[0]

    return value


def mixture_mean(node: Callable[..., Array], rules: Rules) -> Callable[..., Array]:
    """The mean of node(order, q, *parameters, slope) over the slope, degrees in a last axis."""

    def value(order: int, q: Array, *parameters: Array) -> Array:
        rows = _rows(rules, q.dtype)

        def at(row: Array) -> Array:
            return row[1] * node(order, q, *parameters, row[0])

        table = jnp.asarray(rows, q.dtype)
        return lax.scan(lambda total, row: (total + at(row), None), at(table[0]), table[1:])[0]

    return value


def degrees_first(coefficients: Callable[..., Array]) -> Callable[..., Array]:
    """`coefficients` of (order, q, ...) with the degrees along the first axis, not the last."""

    def value(order: int, q: Array, *parameters: Array) -> Array:
        return jnp.moveaxis(coefficients(order, q, *parameters), -1, 0)

    return value


def _rows(rules: Rules, dtype: Any) -> tuple[tuple[float, float], ...]:
    return rules.single if dtype == jnp.float32 else rules.double
