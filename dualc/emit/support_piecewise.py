"""Support code of functions with kinks anywhere: moments of polynomials, tails and masses together.

Appended to `support.py` in generated/_support.py; the imports below stay behind.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from dualc.emit.support import Array, _zero_or, normal_pdf, ratio, regression, root
from dualc.emit.support_corner import corner, mass_tail, ray, tail_mean
from dualc.emit.support_pieces import (
    Pieces,
    _legendre_rule,
    mass_mass,
    mass_pieces,
    pieces_mean,
    pieces_moment,
)


class Piecewise(NamedTuple):
    """Polynomials between ascending places, plus tails (side, place, rows), plus masses.

    A row is (coefficient, power, rate). Where there are tails there is one polynomial and no place.
    `masses` are (place, height) of height * delta(x - place), `dipoles` of delta'; `orders` and
    `parity` are those of Pieces.
    """

    places: tuple[Any, ...]
    polynomials: tuple[tuple[Any, ...], ...]
    tails: tuple[Any, ...] = ()
    masses: tuple[tuple[Any, Any], ...] = ()
    dipoles: tuple[tuple[Any, Any], ...] = ()
    orders: tuple[tuple[int, ...], ...] | None = None
    parity: int | None = None

    def pieces(self) -> Pieces:
        """What there is without tails and masses."""
        return Pieces(self.places, self.polynomials, self.orders, self.parity)


def piecewise_moment(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[f(u) g(v)], masses included, dipoles not; at q11 = q22 = 0 the limit along rho = 1."""
    nowhere = (q11 == 0) & (q22 == 0)
    at_zero = _moment_at_zero(f, g, q12.dtype)
    q12, q11, q22 = (jnp.where(nowhere, jnp.ones_like(q), q) for q in (q12, q11, q22))
    total = _smooth_moment(f, g, q12, q11, q22, d)
    for place, height in f.masses:
        total = total + _zero_or(height, _mass_moment(place, g, q12, q11, q22, d))
        for other, depth in g.masses:
            both = mass_mass(place, other, q12, q11, q22, d)
            total = total + _zero_or(height * depth, both)
    for place, height in g.masses:
        total = total + _zero_or(height, _mass_moment(place, f, q12, q22, q11, d))
    return jnp.where(nowhere, at_zero, total)


def _moment_at_zero(f: Piecewise, g: Piecewise, dtype: Any) -> Array:
    """The mean of f g on both sides of 0, infinite where a mass at 0 meets what is not 0 there."""
    sides = [(_value_beside(f, side, dtype), _value_beside(g, side, dtype)) for side in (1, -1)]
    total = sum(left * right for left, right in sides) / 2
    for here, at, other in ((f, 1, g), (g, 0, f)):
        mean = (sides[0][at] + sides[1][at]) / 2
        for place, height in here.masses:
            weight = jnp.where(jnp.asarray(place, dtype) == 0, height * mean, 0.0)
            for where, depth in other.masses:
                same = (jnp.asarray(place, dtype) == 0) & (jnp.asarray(where, dtype) == 0)
                weight = weight + jnp.where(same, height * depth / 2, 0.0)
            infinite = jnp.sign(weight) * jnp.inf
            total = total + jnp.where(weight == 0, 0.0, infinite).astype(dtype)
    return jnp.asarray(total, dtype)


def _value_beside(f: Piecewise, side: int, dtype: Any) -> Array:
    """The function's limit at 0 from the right (side 1) or the left (-1)."""
    bounds = (-jnp.inf, *f.places, jnp.inf)
    total = jnp.zeros((), dtype)
    for row, (low, high) in zip(f.polynomials, pairwise(bounds), strict=True):
        low, high = jnp.asarray(low, dtype), jnp.asarray(high, dtype)
        held = (low <= 0) & (high > 0) if side > 0 else (low < 0) & (high >= 0)
        total = total + jnp.where(held, jnp.asarray(row[0] if row else 0.0, dtype), 0.0)
    for direction, place, rows in f.tails:
        y = jnp.asarray(-direction * place, dtype)
        held = (y > 0) | ((y == 0) & (direction == side))
        value = sum(c * lax.integer_pow(y, k) * jnp.exp(rate * y) for c, k, rate in rows)
        total = total + jnp.where(held, jnp.asarray(value, dtype), 0.0)
    return total


def piecewise_dipoles(
    f: Piecewise, g: Piecewise, slope: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[dipoles of f (u) g(v)], `slope` being g': E[delta'(u - t) g(v)], by parts.

    That is (t E[delta(u - t) g(v)] - q12 E[delta(u - t) g'(v)])/q11.
    """
    total = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape), q12.dtype)
    for place, height in f.dipoles:
        alone = Piecewise((), ((0.0,),), (), ((place, 1.0),))
        total = total - height * regression(q12, q11, q22) * piecewise_moment(
            alone, slope, q12, q11, q22, d
        )
        if not (isinstance(place, (int, float)) and place == 0):
            mean = _mass_moment(place, g, q12, q11, q22, d)
            total = total + height * place * ratio(mean, q11)
    return total


def _smooth_moment(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """The same without masses."""
    if not f.tails and not g.tails and (f.places or g.places):
        return pieces_moment(f.pieces(), g.pieces(), q12, q11, q22, d)
    p, r = f.polynomials[0], g.polynomials[0]
    total = _polynomial_moment(p, r, q12, q11, q22)
    for tail in f.tails:
        total = total + sum(corner(tail, other, q12, q11, q22, d) for other in g.tails)
        if not _is_null(r):
            total = total + ray(r, tail, q12, q22, q11, d)
    if not _is_null(p):
        for other in g.tails:
            total = total + ray(p, other, q12, q11, q22, d)
    return total


def _mass_moment(place: Any, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[delta(u - place) g(v)] without the masses of g; infinite at q11 = 0 = place."""
    sharp = (q11 == 0) & (jnp.asarray(place, q12.dtype) == 0)
    q11, d = jnp.where(sharp, jnp.ones_like(q11), q11), jnp.where(sharp, q22, d)
    total = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape), q12.dtype)
    if not all(_is_null(p) for p in g.polynomials):
        total = mass_pieces(place, g.pieces(), q12, q11, q22, d)
    for tail in g.tails:
        total = total + mass_tail(place, tail, q12, q11, q22, d)
    return jnp.where(sharp, _zero_or(jnp.sign(total), jnp.full_like(total, jnp.inf)), total)


def _is_null(polynomial: tuple[Any, ...]) -> bool:
    return all(isinstance(c, (int, float)) and c == 0 for c in polynomial)


def _polynomial_moment(
    p: tuple[Any, ...], r: tuple[Any, ...], q12: Array, q11: Array, q22: Array
) -> Array:
    """E[p(u) r(v)] = sum over m of q12^m/m! E[p^(m)(u)] E[r^(m)(v)]: nothing cancels by degree."""
    total = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape), q12.dtype)
    factor = jnp.ones_like(q12)
    for m in range(min(len(p), len(r))):
        if not (_is_null(p) or _is_null(r)):
            means = _polynomial_mean(p, q11) * _polynomial_mean(r, q22)
            total = total + factor * means / math.factorial(m)
        p, r = _polynomial_slope(p), _polynomial_slope(r)
        factor = factor * q12
    return total


def _polynomial_slope(p: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(i * c for i, c in enumerate(p))[1:] or (0.0,)


def _polynomial_mean(p: tuple[Any, ...], q: Array) -> Array:
    """E[p(u)] at variance q."""
    total = jnp.zeros_like(q)
    for i, c in enumerate(p):
        if i % 2 == 0:
            total = total + c * math.prod(range(i - 1, 0, -2)) * lax.integer_pow(q, i // 2)
    return total


def piecewise_mean(f: Piecewise, q: Array) -> Array:
    """E[f(u)] at variance q, masses not included."""
    if not f.tails:
        return pieces_mean(f.pieces(), q)
    total = _polynomial_mean(f.polynomials[0], q)
    for tail in f.tails:
        total = total + tail_mean(tail, q)
    return total


# ---- Hermite coefficients of functions with kinks


def piecewise_hermite(order: int, phi: Piecewise, q: Array) -> Array:
    """a_n(q) = E[phi(sqrt(q) Z) h_n(Z)], n = 0..order, on a new last axis.

    By Gauss's rule on panels graded towards every place, so that a place or a rate is resolved at
    any variance of the domain; (phi(0), 0, ...) at q = 0.
    """
    s = root(q)
    safe = jnp.where(s > 0, s, jnp.ones_like(s))
    length = 13.0 + 2 * math.sqrt(order)  # standard deviations: beyond, h_n times the density is 0
    nodes, weights = _panels(order, length, q.dtype)
    ends = [jnp.clip(t / safe, -length, length) for t in (0.0, *_places(phi))]
    total = jnp.zeros((order + 1, *q.shape), q.dtype)
    marks = jnp.sort(jnp.stack([jnp.full_like(s, -length), *ends, jnp.full_like(s, length)]), 0)
    for left, right in pairwise(marks):
        width = right - left
        z = left[..., None] + width[..., None] * nodes
        weight = width[..., None] * weights * normal_pdf(z)
        total = total + _projected(order, weight * _value(phi, safe[..., None] * z), z)
    first = jnp.zeros_like(total).at[0].set(_value(phi, jnp.zeros_like(q)))
    return jnp.moveaxis(jnp.where(s > 0, total, first), 0, -1)


def _places(phi: Piecewise) -> tuple[Any, ...]:
    return (*phi.places, *(tail[1] for tail in phi.tails))


def _value(phi: Piecewise, x: Array) -> Array:
    """The function itself, the mean of both sides where it jumps."""
    total = jnp.zeros_like(x)
    bounds = (-jnp.inf, *phi.places, jnp.inf)
    for row, (low, high) in zip(phi.polynomials, pairwise(bounds), strict=True):
        value = jnp.zeros_like(x)
        for c in reversed(row):
            value = value * x + c
        held = (jnp.where(x > low, 1.0, 0.0) + jnp.where(x >= low, 1.0, 0.0)) / 2
        held = held - (jnp.where(x > high, 1.0, 0.0) + jnp.where(x >= high, 1.0, 0.0)) / 2
        total = total + value * held.astype(x.dtype)
    for side, place, rows in phi.tails:
        y = side * (x - place)
        inside = jnp.maximum(y, 0.0)
        value = sum(c * lax.integer_pow(inside, k) * jnp.exp(rate * inside) for c, k, rate in rows)
        total = total + value * jnp.heaviside(y, jnp.full_like(y, 0.5))
    return total


def _panels(order: int, length: float, dtype: Any) -> tuple[Array, Array]:
    """Nodes and weights on [0, 1]: panels that resolve h_n, and halve towards both ends."""
    count = math.ceil(length * max(2.0, math.sqrt(order)) / 6)
    near = [2.0**-k for k in range(2, 10)]
    cuts = sorted({0.0, 1.0, *(k / count for k in range(count)), *near, *(1 - c for c in near)})
    nodes, weights = [], []
    for a, b in pairwise(cuts):
        nodes += [a + (b - a) * x for x, _ in _legendre_rule(20)]
        weights += [(b - a) * w for _, w in _legendre_rule(20)]
    return jnp.asarray(nodes, dtype), jnp.asarray(weights, dtype)


def _projected(order: int, weighted: Array, z: Array) -> Array:
    """The sums of weighted * h_n(z) over the last axis, n on the first."""

    def step(state: tuple[Array, Array], n: Array) -> tuple[tuple[Array, Array], Array]:
        here, before = state
        after = (z * here - jnp.sqrt(n) * before) / jnp.sqrt(n + 1)
        return (after, here), jnp.sum(here, -1)

    start = (weighted, jnp.zeros_like(weighted))
    return lax.scan(step, start, jnp.arange(order + 1, dtype=z.dtype))[1]
