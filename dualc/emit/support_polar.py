"""Support code of the series tier near rho = +-1: quadrature in polar coordinates.

Appended to `support.py` in generated/_support.py; the imports below stay behind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

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
_FARTHEST = {4: 6.6, 8: 9.2}  # by bytes: the radius beyond which a Gaussian's mass is no digit

Rows = tuple[tuple[float, float], ...]


class PolarRules(NamedTuple):
    """Rows (node, weight) for radius and angle, of use at variances above `start`.

    Radii are of r exp(-r^2/2) or, where it is cut, of [0, 1] as angles are.
    """

    start: float
    radii: Rows
    angles: Rows


class Polar(NamedTuple):
    """What serves near rho = +-1, at variances up to `end`, for either dtype.

    The radius is cut where |u| or |v| is one of `kinks`, ascending. If it `is_flat`, phi is 0
    within the first.
    """

    end: float
    kinks: tuple[float, ...]
    is_flat: bool
    single: PolarRules
    double: PolarRules

    def rules(self, dtype: Any) -> PolarRules:
        """Those of a dtype."""
        return self.single if dtype == jnp.float32 else self.double


def near_diagonal(
    table: Series, polar: Polar, phi: Callable[[Array], Array], lost: int = 0
) -> Callable[..., Array]:
    """The function (q12, q11, q22, d) -> E[phi(u) phi(v)], or with `lost` = 1 of phi'.

    By the series; where |rho|^order is above e^-13 (float64: e^-27), a variance above the start of
    the rules and none above their end by quadrature, of those pairs alone: it takes hundreds of
    times as long. The derivatives of E[phi' phi'] are the series' own, but at q11 = q22 = 0 those
    along the diagonal, where phi' may jump.
    """
    rate = slope(phi)
    f = rate if lost else phi
    series = [series_moment(table, lost + i, lost, lost) for i in (0, 2)]

    def product(u: Array, v: Array, q12: Array, q11: Array) -> Array:
        return f(u) * f(v)

    def in_q11(u: Array, v: Array, q12: Array, q11: Array) -> Array:  # by parts
        return rate(u) * (u * phi(v) - q12 * rate(v)) * (0.5 / q11)

    def along(u: Array, v: Array, q12: Array, q11: Array) -> Array:  # half d/dq, phi' for phi
        return u * slope(rate)(u) * rate(v) * (0.5 / q11)

    value = _beside(series[0], product, polar, table.order, lost == 1)

    def d_q12(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        if not lost:
            return near_diagonal(table, polar, phi, 1)(q12, q11, q22, d)
        infinite = (polar.rules(q12.dtype).start == 0) & (q11 == 0) & (q22 == 0)
        return jnp.where(infinite, 0.0, series_moment(table, 2, 2, 2)(q12, q11, q22))

    def d_q11(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        integrand, rules = (along, polar._replace(end=-1.0)) if lost else (in_q11, polar)
        half = _beside(lambda *q: series[1](*q) / 2, integrand, rules, table.order, True)
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

    at_zero: if the rules start there, at q11 = q22 = 0 too, where it is the limit along rho = 1,
    from tiny variances.
    """

    def value(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        return in_tiles(tile, (q12, q11, q22, d, series(q12, q11, q22)), _TILE)

    def tile(q12: Array, q11: Array, q22: Array, d: Array, plain: Array) -> Array:
        scale = root(q11) * root(q22)
        reach = math.exp(-_SHORT[q12.dtype.itemsize] / order)
        start, most = polar.rules(q12.dtype).start, jnp.maximum(q11, q22)
        near = (jnp.abs(q12) > reach * scale) & (most > start) & (most <= polar.end)
        near, q12, q11, q22, d = (  # vectors of pairs
            jnp.broadcast_to(x, plain.shape).ravel() for x in (near & (scale > 0), q12, q11, q22, d)
        )
        tiny = 1e-20 if q12.dtype == jnp.float32 else 1e-150
        nowhere = (q11 == 0) & (q22 == 0) & (at_zero and start == 0)
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
    """E[integrand(u, v, q12, q11)] of vectors of pairs, by rays: u and v are multiples of r."""
    rules = polar.rules(q12.dtype)
    radii, angles = (jnp.asarray(rows, q12.dtype) for rows in (rules.radii, rules.angles))
    # Pairs on the last axis: sums over nodes are of vectors.
    above, variance = q12[None], q11[None]
    left, right, weight = _rays(polar.kinks, angles, above, variance, q22[None], root(d)[None])

    def at(r: Array, w: Array) -> Array:
        u, v = r * left, r * right
        value = integrand(u, v, above, variance) + integrand(-u, -v, above, variance)
        return jnp.sum(w * weight * value, 0)

    def add(total: Array, row: Array) -> tuple[Array, None]:
        return total + at(row[0], row[1]), None

    def add_part(total: Array, ends: Array) -> tuple[Array, None]:
        length = ends[1] - ends[0]

        def add_node(total: Array, row: Array) -> tuple[Array, None]:
            r = ends[0] + length * row[0]
            return total + at(r, row[1] * length * r * jnp.exp(-r * r / 2)), None

        return lax.scan(add_node, total, radii)[0], None

    nothing = jnp.zeros_like(q12)
    if polar.kinks:
        cuts = _cuts(polar, left, right)
        total = lax.scan(add_part, nothing, jnp.stack([cuts[:-1], cuts[1:]], 1))[0]
    else:
        total = lax.scan(add, nothing, radii)[0]
    return total / (2 * math.pi)


def _rays(
    kinks: tuple[float, ...], rule: Array, q12: Array, q11: Array, q22: Array, height: Array
) -> tuple[Array, Array, Array]:
    """(u, v at radius 1, weight): angles along a first axis.

    u = 0 and v = 0 cut the plane into two pairs of sectors, in which u and v have one sign or two,
    of widths pi - psi and psi, cos(psi) = rho. A sector is halved and, since a mean along a ray is
    not smooth where u and v meet kinks at one radius, cut at such ratios |u|/|v|. In each part the
    angle from the nearer edge grows like a node, and the function that is 0 on that edge with its
    sine.
    """
    one, two = root(q11), root(q22)
    psi, rest = jnp.arctan2(height, q12), jnp.arctan2(height, -q12)
    ratios = sorted({a / b for a in kinks for b in kinks})
    lefts, rights, weights = [], [], []
    for width, other, sign in ((rest, psi, 1.0), (psi, rest, -1.0)):
        meets = [jnp.arctan2(k * height, q11 - sign * k * q12) for k in ratios]
        inner = _ascending([width / 2, *(jnp.minimum(m, width) for m in meets)])
        for low, high in pairwise([jnp.zeros_like(width), *inner, width]):
            is_left = low + high <= width
            angle = jnp.where(is_left, low, width - high) + (high - low) * rule[:, :1]
            near = jnp.sin(angle)
            far = jnp.where(width > math.pi / 2, jnp.sin(other + angle), jnp.sin(width - angle))
            lefts.append(one * jnp.where(is_left, near, far))
            rights.append(sign * two * jnp.where(is_left, far, near))
            weights.append((high - low) * rule[:, 1:])
    left, right, weight = (jnp.concatenate(rows) for rows in (lefts, rights, weights))
    return left, right, weight


def _cuts(polar: Polar, left: Array, right: Array) -> Array:
    """Along a first axis 0, the radii at which rays meet kinks, ascending, and where they end."""
    end = jnp.full_like(left, _FARTHEST[left.dtype.itemsize])
    meets = [kink / jnp.abs(side) for kink in polar.kinks for side in (left, right)]
    if polar.is_flat:  # nothing before both have met one
        end = jnp.hypot(end, jnp.minimum(jnp.maximum(meets[0], meets[1]), 1e3))
    return jnp.stack([0 * end, *_ascending([jnp.minimum(m, end) for m in meets]), end])


def _ascending(rows: list[Array]) -> list[Array]:
    """A few arrays, sorted entry by entry: XLA's own sort takes ten times as long."""
    found: list[Array] = []
    for here in rows:
        for i, other in enumerate(found):
            found[i], here = jnp.minimum(here, other), jnp.maximum(here, other)
        found.append(here)
    return found
