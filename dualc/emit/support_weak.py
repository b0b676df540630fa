"""Support code of weakly correlated inputs: a short Hermite series where the kernel itself is dear.

Appended to `support.py` in generated/_support.py; the imports below stay behind.
In a Gram matrix most pairs are weakly correlated, and there, in float32, 32 degrees are as good as
the formula. Their coefficients belong to rows and columns; a pair costs a few multiplications for
each degree. Whether a series is as good is decided pair by pair, from its own terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from dualc.emit.support import Array, _format, in_tiles, only_where, root

_REACH = 0.6  # the largest |rho|: with 64 features one pair in a million of random ones is beyond
_ORDER = 32  # 0.6^32 is below eps
_NOISE = 16.0  # how far errors of coefficients may exceed the unit of error
_LEAST = 2.0**-40  # smaller variances are for the formula: coefficients underflow
_TILE = 1 << 12  # pairs; those around a Gram matrix's diagonal are not weak
_CHUNK = 256  # pairs that are not, at a time


def weakly(
    full: Callable[..., Array],
    coefficients: Callable[..., Array],
    lost: int = 0,
    size: Callable[..., Array] | None = None,
) -> Callable[..., Array]:
    """`full` of (q12, q11, q22, d, *parameters), by the series where it is as accurate.

    The series is the sum of a_n(q11) a_n(q22) rho^n, differentiated `lost` times (0 or 1) in q12;
    coefficients(order, q, *parameters) are a_0..a_order along a new first axis, relatively accurate
    or, where size(q, *parameters) is given, with errors of an eps of that. `full` is evaluated for
    pairs that are not weak alone (in small arrays: where there is one). Derivatives are its own.
    """

    def rows(q: Array, *parameters: Array) -> Array:
        """The coefficients, and what their errors are an eps of."""
        kept = coefficients(_ORDER, q, *parameters)[lost:]
        last = jnp.zeros_like(q) if size is None else size(q, *parameters)
        return jnp.concatenate([kept, jnp.broadcast_to(last, kept.shape[1:])[None]])

    def value(q12: Array, q11: Array, q22: Array, d: Array, *parameters: Array) -> Array:
        shape = jnp.broadcast_shapes(*(x.shape for x in (q12, q11, q22, d, *parameters)))
        is_many = q11.size + q22.size > max(4096, math.prod(shape) // 16)  # coefficients
        is_shaped = size is None and any(p.ndim for p in parameters)  # one parameter for each pair
        if is_many or is_shaped or q12.dtype != jnp.float32:
            return full(q12, q11, q22, d, *parameters)
        first, second = _at_both(rows, q11, q22, parameters)
        if lost:  # n a_n a_n rho^(n-1): the factor goes with the rows
            degrees = jnp.append(jnp.arange(1, _ORDER + 1), 1).astype(q12.dtype)
            first = first * degrees.reshape(-1, *(1,) * q11.ndim)

        def tile(*arrays: Array) -> Array:
            *pair, first, second = arrays
            series, is_weak = _series((pair[0], pair[1], pair[2]), first, second, lost)
            if series.size > _CHUNK:
                return only_where(full, ~is_weak, series, tuple(pair), _CHUNK)
            return lax.cond(
                jnp.all(is_weak),
                lambda: series,
                lambda: jnp.where(is_weak, series, full(*pair)),
            )

        return in_tiles(tile, (q12, q11, q22, d, *parameters), _TILE, (first, second))

    wrapped = jax.custom_jvp(value)

    @wrapped.defjvp
    def jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        return wrapped(*primals), jax.jvp(full, primals, tangents)[1]

    return wrapped


def _at_both(
    function: Callable[..., Array], q11: Array, q22: Array, parameters: tuple[Array, ...]
) -> tuple[Array, Array]:
    """function(q, *parameters), of one axis more, at q11 and at q22: side by side if possible."""
    shapes = {p.shape for p in parameters} - {()}
    if not shapes:
        both = function(jnp.concatenate([q11.ravel(), q22.ravel()]), *parameters)
        first, second = jnp.split(both, [q11.size], 1)
        return first.reshape(-1, *q11.shape), second.reshape(-1, *q22.shape)
    if shapes != {q11.shape} or q11.shape != q22.shape:
        return function(q11, *parameters), function(q22, *parameters)
    doubled = [jnp.concatenate([p, p]) if p.ndim else p for p in parameters]
    both = function(jnp.concatenate([q11, q22]), *doubled)
    first, second = jnp.split(both, 2, 1)
    return first, second


def _series(
    pair: tuple[Array, Array, Array], first: Array, second: Array, lost: int
) -> tuple[Array, Array]:
    """The sum of first_n second_n rho^n over the first axes, over scale^lost; whether it is good.

    The last rows are not coefficients: the errors of those are an eps of them.

    Weak correlation is not enough. The last terms must be below rounding, and the terms must not
    cancel by more than the condition number allows, for which the linear one stands.
    """
    q12, q11, q22 = pair
    scale = root(q11) * root(q22)
    present = (q11 >= _LEAST) & (q22 >= _LEAST)
    scale = jnp.where(present, scale, 1.0)
    rho = q12 / scale
    near = present & (jnp.abs(rho) <= _REACH)
    rho = jnp.where(near, rho, 0.0)
    steps = jnp.abs(rho)
    top = first.shape[0] - 2
    value = size = last = jnp.zeros_like(rho)
    for n in range(top, -1, -1):
        term = first[n] * second[n]
        value = value * rho + term
        size = size * steps + jnp.abs(term)
        if n == top - 2:
            last = size  # of the last three, for even and odd functions
    unit = jnp.abs(value) + jnp.abs(first[1] * second[1] * rho)
    eps = 2.0 ** -_format(rho.dtype)[0]
    last = last * lax.integer_pow(steps, top - 2)
    noise = jnp.abs(first[0]) * second[-1] + first[-1] * jnp.abs(second[0])
    good = (size <= 4 * unit) & (4 * last <= eps * unit) & (noise <= _NOISE * unit)
    return value / scale if lost else value, near & good
