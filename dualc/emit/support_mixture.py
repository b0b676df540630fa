"""Support code of the mixture tier: means over a random slope, by a Gauss rule for each dtype.

Appended to `support.py` in generated/_support.py; the imports below stay behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from dualc.emit.support import Array


class Rules(NamedTuple):
    """Rows (slope, weight), for float32 and for float64."""

    single: tuple[tuple[float, float], ...]
    double: tuple[tuple[float, float], ...]


def mixture_pairs(pair: Callable[..., Array], rules: Rules) -> Callable[..., Array]:
    """The mean of pair(q12, q11, q22, d, *parameters, slope1, slope2) over independent slopes.

    A scan over pairs: unrolled, 256 bodies compile for minutes and fill the memory.
    """

    def value(q12: Array, q11: Array, q22: Array, d: Array, *parameters: Array) -> Array:
        slopes, weights = jnp.asarray(_rows(rules, q12.dtype), q12.dtype).T
        first, second = (x.ravel() for x in jnp.meshgrid(slopes, slopes, indexing="ij"))

        def add(total: Array, row: tuple[Array, ...]) -> tuple[Array, None]:
            weight, slope1, slope2 = row
            return total + weight * pair(q12, q11, q22, d, *parameters, slope1, slope2), None

        start = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape, d.shape), q12.dtype)
        rows = (jnp.outer(weights, weights).ravel(), first, second)
        return lax.scan(add, start, rows)[0]

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
