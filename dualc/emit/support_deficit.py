"""Support code of near-identical inputs: how far a kernel's correlation is from 1.

Appended to `support.py` in generated/_support.py; the imports below stay behind.
1 - k12/sqrt(k11 k22) is what the next layer of a network wants as delta, and in k12 itself nothing
of it is left once delta is below eps. It has two parts, both integrals of what is positive: k falls
from rho = 1 by the integral of dual_dot over the covariance (Price), and at rho = 1 two variances
differ by the length of the path between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dualc.emit.support import Array, _public, diagonal, root
from dualc.emit.support_pieces import _legendre_rule


def deficit(
    dual: Callable[..., Array],
    dual_dot: Callable[..., Array],
    *,
    domain: tuple[float, float] = (0.0, 1e4),
    positive: tuple[int, ...] = (),
    nonnegative: tuple[int, ...] = (),
) -> Callable[..., Array]:
    """The public (q11, q22, delta, *parameters) -> 1 - k12/sqrt(k11 k22), from private bodies.

    delta = 1 - rho in [0, 2]. Up to 1/2 the part that delta makes is as accurate as dual_dot; the
    part that variances make which differ by less than a quarter (float32; 3 % in float64) to about
    1e-4 (1e-6) of itself. Elsewhere the error is a few eps. Variances of 0 stand for the limit, a
    kernel that vanishes has the deficit delta.
    """
    low, high = domain

    def inside(q11: Array, q22: Array, delta: Array) -> Array:
        within = (q11 >= low) & (q11 <= high) & (q22 >= low) & (q22 <= high)
        return within & (delta >= 0) & (delta <= 2)

    def value(q11: Array, q22: Array, delta: Array, *parameters: Array) -> Array:
        least = 2.0**-40 if delta.dtype == jnp.float32 else 2.0**-60
        q11, q22 = jnp.maximum(q11, least), jnp.maximum(q22, least)
        diag = diagonal(dual)
        norm = root(diag(q11, *parameters)) * root(diag(q22, *parameters))
        present = norm > 0
        norm = jnp.where(present, norm, 1.0)
        scale = root(q11) * root(q22)
        near = jnp.minimum(delta, 0.5)
        fallen = scale * near * _mean_slope(dual_dot, near, scale, q11, q22, parameters)
        close = fallen / norm + _apart_by_variance(dual, dual_dot, q11, q22, parameters)
        q12, d = scale * (1 - delta), (q11 * q22) * (delta * (2 - delta))
        far = 1 - dual(q12, q11, q22, d, *parameters) / norm
        return jnp.where(present, jnp.where(delta <= 0.5, close, far), delta)

    return _public(value, None, inside, 3, positive, nonnegative)


def _mean_slope(
    dual_dot: Callable[..., Array],
    delta: Array,
    scale: Array,
    q11: Array,
    q22: Array,
    parameters: tuple[Array, ...],
) -> Array:
    """The mean of dual_dot over 1 - rho from 0 to delta.

    dual_dot is smooth in sqrt(1 - rho) = x, but changes where sqrt(q) x is about 1: the nodes in x
    are graded towards 0, and reach a four-hundredth of the whole.
    """
    steep = 6.0
    rule = _legendre_rule(16 if delta.dtype == jnp.float32 else 40)
    rows = []
    for y, weight in rule:
        x = math.expm1(steep * y) / math.expm1(steep)
        rate = steep * math.exp(steep * y) / math.expm1(steep)
        rows.append((x * x, weight * 2 * x * rate))

    def add(total: Array, row: Array) -> tuple[Array, None]:
        t = delta * row[0]
        d = (q11 * q22) * (t * (2 - t))
        return total + row[1] * dual_dot(scale * (1 - t), q11, q22, d, *parameters), None

    start = jnp.zeros(jnp.broadcast_shapes(delta.shape, scale.shape), delta.dtype)
    return lax.scan(add, start, jnp.asarray(rows, delta.dtype))[0]


def _apart_by_variance(
    dual: Callable[..., Array],
    dual_dot: Callable[..., Array],
    q11: Array,
    q22: Array,
    parameters: tuple[Array, ...],
) -> Array:
    """V = 1 - k12/sqrt(k11 k22) at rho = 1, a function of log(q22/q11) = s, even about the mean.

    V/s^2 is that of s = 0, where it is half the squared speed of the normalised function, and for
    small s linear in s^2 to that of a larger s, where the difference is safe. With jumps off 0 the
    speed is infinite and the difference is all there is.
    """
    apart = jnp.log(q22 / q11)
    middle = root(q11) * root(q22)
    reach = 0.25 if apart.dtype == jnp.float32 else 0.03
    speed = _squared_speed(dual, dual_dot, middle, parameters)
    near = (jnp.abs(apart) < reach) & (speed < jnp.inf)
    direct = _by_difference(dual, middle, jnp.where(near, reach, apart), parameters)
    fraction = jnp.where(near, jnp.square(apart / reach), 0.0)
    slow = jnp.where(near, speed, 0.0) / 2 * reach**2
    value = jnp.where(near, fraction * ((1 - fraction) * slow + fraction * direct), direct)
    return jnp.where(apart == 0, 0.0, jnp.maximum(value, 0.0))


def _by_difference(
    dual: Callable[..., Array], middle: Array, apart: Array, parameters: tuple[Array, ...]
) -> Array:
    """V of the variances middle exp(-+apart/2), from the kernel."""
    one, two = middle * jnp.exp(-apart / 2), middle * jnp.exp(apart / 2)
    diag = diagonal(dual)
    norm = root(diag(one, *parameters)) * root(diag(two, *parameters))
    joint = dual(middle, one, two, jnp.zeros_like(middle), *parameters)
    return 1 - joint / jnp.where(norm > 0, norm, jnp.where(joint == 0, 1.0, joint))


def _squared_speed(
    dual: Callable[..., Array],
    dual_dot: Callable[..., Array],
    q: Array,
    parameters: tuple[Array, ...],
) -> Array:
    """|d/ds of phi(sqrt(q e^s) z)/its norm|^2 at s = 0, s the logarithm of the variance.

    E[(u phi'(u))^2] = q k' + 2 q^2 dk'/dq for the diagonal k' of dual_dot, less what only lengthens
    the function: (q dk/dq)^2/k.
    """

    def along(value: Callable[..., Array]) -> tuple[Any, Any]:
        return jax.jvp(lambda x: diagonal(value)(x, *parameters), (q,), (jnp.ones_like(q),))

    k, k_rate = along(dual)
    slope, slope_rate = along(dual_dot)
    k = jnp.where(k > 0, k, 1.0)
    whole = (q * slope + 2 * (q * q) * slope_rate) / 4
    longer = jnp.square(q * k_rate / 2) / k
    return jnp.maximum(whole - longer, 0.0) / k
