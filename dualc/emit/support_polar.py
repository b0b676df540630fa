"""Support code of the series tier near rho = +-1: quadrature in polar coordinates.

Appended to `support.py` in generated/_support.py; the imports below stay behind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from dualc.emit.support import (
    Array,
    Series,
    _with_rates,
    in_tiles,
    only_where,
    root,
    series_moment,
    slope,
    without_gap,
)

_SHORT = {4: 13.0, 8: 27.0}  # by bytes: -order log|rho| below which a series is short of digits
_CHUNK = 32  # pairs: with the nodes of one radius they stay in a processor's cache
_TILE = 1 << 14


class Polar(NamedTuple):
    """The rules near rho = +-1, at variances above `start`.

    Rows (radius, weight) of r exp(-r^2/2) and (angle, weight) on [0, 1], for either dtype.
    """

    start: float
    single: tuple[tuple[tuple[float, float], ...], ...]
    double: tuple[tuple[tuple[float, float], ...], ...]


def near_diagonal(
    table: Series, polar: Polar, phi: Callable[[Array], Array], lost: int = 0
) -> Callable[..., Array]:
    """The function (q12, q11, q22, d) -> E[phi(u) phi(v)], or with `lost` = 1 of phi'.

    By the series; where |rho|^order is above e^-13 (float64: e^-27) and a variance above
    polar.start by quadrature, of those pairs alone: it takes hundreds of times as long. The
    derivatives of E[phi' phi'] are the series' own, but at q11 = q22 = 0 those along the diagonal,
    where phi' may jump.
    """
    rate, from_zero = slope(phi), polar.start == 0
    f = rate if lost else phi
    series = [series_moment(table, lost + i, lost, lost) for i in (0, 2)]

    def product(u: Array, v: Array, q12: Array, q11: Array) -> Array:
        return f(u) * f(v)

    def in_q11(u: Array, v: Array, q12: Array, q11: Array) -> Array:  # by parts
        return rate(u) * (u * phi(v) - q12 * rate(v)) * (0.5 / q11)

    def along(u: Array, v: Array, q12: Array, q11: Array) -> Array:  # half d/dq, phi' for phi
        return u * slope(rate)(u) * rate(v) * (0.5 / q11)

    value = _beside(series[0], product, polar, table.order, from_zero and lost == 1)

    def d_q12(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        if not lost:
            return near_diagonal(table, polar, phi, 1)(q12, q11, q22, d)
        infinite = from_zero & (q11 == 0) & (q22 == 0)
        return jnp.where(infinite, 0.0, series_moment(table, 2, 2, 2)(q12, q11, q22))

    def d_q11(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        integrand, rules = (along, polar._replace(start=math.inf)) if lost else (in_q11, polar)
        half = _beside(lambda *q: series[1](*q) / 2, integrand, rules, table.order, from_zero)
        return half(q12, q11, q22, d)

    def d_q22(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        return d_q11(q12, q22, q11, d)

    in_d = without_gap(lambda q12, *_: jnp.zeros_like(q12))
    return _with_rates(value, (d_q12, d_q11, d_q22, in_d), is_dear=True)


def _beside(
    series: Callable[..., Array],
    integrand: Callable[..., Array],
    polar: Polar,
    order: int,
    at_zero: bool,
) -> Callable[..., Array]:
    """The function (q12, q11, q22, d) -> series(q12, q11, q22), near the diagonal a quadrature.

    at_zero: at q11 = q22 = 0 too, where it is the limit along rho = 1, from tiny variances.
    """

    def value(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        return in_tiles(tile, (q12, q11, q22, d, series(q12, q11, q22)), _TILE)

    def tile(q12: Array, q11: Array, q22: Array, d: Array, plain: Array) -> Array:
        scale = root(q11) * root(q22)
        reach = math.exp(-_SHORT[q12.dtype.itemsize] / order)
        near = (jnp.abs(q12) > reach * scale) & (jnp.maximum(q11, q22) > polar.start)
        near, q12, q11, q22, d = (  # vectors of pairs
            jnp.broadcast_to(x, plain.shape).ravel() for x in (near & (scale > 0), q12, q11, q22, d)
        )
        tiny = 1e-20 if q12.dtype == jnp.float32 else 1e-150
        nowhere = (q11 == 0) & (q22 == 0) & at_zero
        q12, q11, q22 = (jnp.where(nowhere, tiny, q) for q in (q12, q11, q22))
        pairs = q12, q11, q22, jnp.where(nowhere, 0.0, d)
        quadrature = partial(_quadrature, integrand, polar)
        found = only_where(quadrature, near | nowhere, plain.ravel(), pairs, _CHUNK)
        is_infinite = nowhere & (jnp.abs(found) > tiny**-0.25)  # like q^(-1/2)
        return jnp.where(is_infinite, jnp.sign(found) * jnp.inf, found).reshape(plain.shape)

    return value


def _quadrature(
    integrand: Callable[..., Array],
    polar: Polar,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[integrand(u, v, q12, q11)] of vectors of pairs.

    u = 0 and v = 0 cut the plane into two pairs of sectors, in which u and v have one sign or two,
    of widths pi - psi and psi, cos(psi) = rho. In either half of a sector the angle from its edge
    grows like a node, and the function that is 0 on that edge with its sine.
    """
    rules = polar.single if q12.dtype == jnp.float32 else polar.double
    radii, angles = (jnp.asarray(rows, q12.dtype) for rows in rules)
    # Pairs on the last axis: sums over nodes are of vectors.
    one, two, height, above = root(q11)[None], root(q22)[None], root(d)[None], q12[None]
    psi, rest = jnp.arctan2(height, above), jnp.arctan2(height, -above)
    lefts, rights, weights = [], [], []  # of u, of v: halves of sectors on the first axis
    for width, other, sign in ((rest, psi, 1.0), (psi, rest, -1.0)):
        angle = width / 2 * angles[:, :1]
        near = jnp.sin(angle)
        far = jnp.where(width > math.pi / 2, jnp.sin(other + angle), jnp.sin(width - angle))
        lefts += [one * near, one * far]
        rights += [sign * two * far, sign * two * near]
        weights += [width / 2 * angles[:, 1:]] * 2
    left, right, weight = (jnp.concatenate(rows) for rows in (lefts, rights, weights))

    def add(total: Array, row: Array) -> tuple[Array, None]:
        u, v = row[0] * left, row[0] * right
        value = integrand(u, v, above, q11[None]) + integrand(-u, -v, above, q11[None])
        return total + row[1] * jnp.sum(weight * value, 0), None

    return lax.scan(add, jnp.zeros_like(q12), radii)[0] / (2 * math.pi)
