"""Support code of functions with kinks anywhere: moments of polynomials, tails and masses together.

Appended to `support.py` in generated/_support.py; the imports below stay behind.
"""

from __future__ import annotations

import math
from itertools import pairwise, zip_longest
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from dualc.emit.support import Array, _zero_or, both_ways, normal_pdf, ratio, regression, root
from dualc.emit.support_corner import (
    _cancels_when_wide,
    _snapped,
    corners,
    mass_tail,
    near_independence,
    ray,
    steepness,
    tails_mean,
)
from dualc.emit.support_pieces import (
    Pieces,
    _legendre_rule,
    _paired,
    bent_over_places,
    mass_pieces,
    masses_moment,
    pieces_mean,
    pieces_moment,
    pieces_square,
    train_pieces,
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

    def one_place(self) -> Pieces:
        """The same of a polynomial and one tail of polynomials, as two pieces."""
        ((side, place, rows),) = self.tails
        change = [0.0] * (1 + max(power for _, power, _ in rows))
        for c, power, _ in rows:  # c (side (x - place))^power
            for k in range(power + 1):
                change[k] += c * side**power * math.comb(power, k) * (-place) ** (power - k)
        inner = self.polynomials[0]
        outer = tuple(a + b for a, b in zip_longest(inner, change, fillvalue=0.0))
        ends = (inner, outer) if side > 0 else (outer, inner)
        return Pieces((place,), ends, (tuple(sorted({power for _, power, _ in rows})),))


def piecewise_moment(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[f(u) g(v)], masses included, dipoles not; at q11 = q22 = 0 the limit along rho = 1."""
    nowhere = (q11 == 0) & (q22 == 0)
    at_zero = _moment_at_zero(f, g, q12.dtype)
    # Anywhere masses do not meet: an infinite value would make the gradient of the limit NaN.
    q11, q22, d = (jnp.where(nowhere, jnp.ones_like(q), q) for q in (q11, q22, d))
    q12 = jnp.where(nowhere, jnp.zeros_like(q12), q12)
    total = _smooth_moment(f, g, q12, q11, q22, d)
    if f.masses:
        total = total + _masses_moment(f, g, q12, q11, q22, d)
    if g.masses:
        total = total + _masses_moment(g, f, q12, q22, q11, d)
    if f.masses and g.masses:
        total = total + masses_moment(f.masses, g.masses, q12, q11, q22, d)
    return jnp.where(nowhere, at_zero, total)


def piecewise_rate(
    half_second: Piecewise,
    phi: Piecewise,
    slope: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[phi''(u) phi(v)]/2 = d dual/dq11, without the dipoles of phi''.

    Where q22 is small phi is little more than its tangent at 0, which cancels between both tails
    where phi'' is even, or much narrower than u: there the tangent stands beside the tails. Where
    phi' vanishes at both ends and u is wide, what phi'' is made of cancels: there by parts,
    (E[u phi'(u) phi(v)] - q12 E[phi'(u) phi'(v)])/(2 q11).
    """
    pair = q12, q11, q22, d
    value = piecewise_moment(half_second, phi, *pair)
    apart = _tangent_apart(phi)
    if apart is not None:
        near = steepness((apart.polynomials[0], apart.tails), root(q22))[0] <= 0.5
        value = jnp.where(near, piecewise_moment(half_second, apart, *pair), value)
    line = _line_through(phi)
    if line is not None:
        near = root(q22) <= 0.25 * min(abs(t) for t in (*phi.places, math.inf) if t != 0)
        value = jnp.where(near, _rate_beside(line, half_second, phi, *pair), value)
    folded = _folded(half_second, phi)
    if folded is not None:
        wide = _is_wide(folded[0], q11)
        value = jnp.where(wide, _rate_folded(*folded, half_second, phi, slope, *pair), value)
    if half_second.dipoles or not _vanishes_far_out(slope):
        return value
    wide = _is_wide(slope, q11)
    moved = piecewise_moment(_times_x(slope), phi, *pair)
    moved = moved - q12 * piecewise_dot(half_second, slope, phi, *pair)
    return jnp.where(wide, moved / (2 * jnp.where(wide, q11, 1.0)), value)


def _rate_beside(
    line: tuple[float, float],
    half_second: Piecewise,
    phi: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """The same, from means of what meets phi's tangent, and moments of what meets the rest."""
    start, rise = (piecewise_mean(f, q11) for f in (half_second, _times_x(half_second)))
    value = line[0] * start + line[1] * regression(q12, q11, q22) * rise
    if half_second.masses:
        value = value + _masses_moment(half_second, Piecewise((), (line,)), q12, q11, q22, d)
    rows = tuple(
        tuple(c - r for c, r in zip_longest(row, line, fillvalue=0.0)) for row in phi.polynomials
    )
    rest = phi._replace(polynomials=rows, parity=None)
    return value + piecewise_moment(half_second, rest, q12, q11, q22, d)


def _folded(half_second: Piecewise, phi: Piecewise) -> tuple[Piecewise, Piecewise] | None:
    """A tail of phi of which no line sees the second derivative, and phi''/2 less that of the tail.

    A decaying tail that is 0 at 0, as x exp(x): where u is wide it meets the line that phi(v) is
    there on average, and cancels. None unless it is all that phi'' has but masses.
    """
    if phi.places or len(half_second.tails) != 1 or not all(map(_is_null, phi.polynomials)):
        return None
    (second,) = half_second.tails
    for tail in phi.tails:
        side, place, rows = tail
        known = _are_numbers(place, *(x for c, _, rate in rows for x in (c, rate))) and place == 0
        if side != second[0] or not known or not _cancels_when_wide(second[2], 1):
            continue
        if all(power > 0 and rate < 0 for _, power, rate in rows):
            start = sum(c for c, power, _ in rows if power == 1)
            masses = dict(half_second.masses)
            masses[0] = masses.get(0, 0.0) - start / 2
            rest = half_second._replace(tails=(), masses=tuple(masses.items()))
            return Piecewise((), ((0.0,),), (tail,)), rest
    return None


def _rate_folded(
    part: Piecewise,
    rest: Piecewise,
    half_second: Piecewise,
    phi: Piecewise,
    slope: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[phi''(u) phi(v)]/2 where u is wide: part, a tail of phi, by parts twice.

    The second derivative in x of E[phi(v) given u = x] times the density of u is (x^2/q11 - 1)/q11
    times E[phi(v)], -2 x q12/q11^2 times E[phi'(v)] and (q12/q11)^2 times E[phi''(v)].
    """
    pair = q12, q11, q22, d
    safe = jnp.where(q11 > 0, q11, 1.0)
    gain, turned = q12 / safe, _times_x(part)
    level = piecewise_moment(_times_x(turned), phi, *pair) / safe
    level = level - piecewise_moment(part, phi, *pair)
    turn = piecewise_moment(turned, slope, *pair)
    bend = piecewise_moment(part, half_second, *pair)
    value = piecewise_moment(rest, phi, *pair)
    return value + (0.5 * level - gain * turn) / safe + gain * gain * bend


def piecewise_dot(
    half_second: Piecewise,
    slope: Piecewise,
    phi: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[phi'(u) phi'(v)], masses included.

    Where phi vanishes at both ends, phi' cancels between its tails. By parts then: where u and v
    are wide E[phi(u) phi'(v) (q22 u - q12 v)]/d, unless d is small, and where v alone is
    (E[phi'(u) v phi(v)] - q12 E[phi''(u) phi(v)])/q22.
    """
    value = piecewise_moment(slope, slope, q12, q11, q22, d)
    if not _vanishes_far_out(phi):
        return value
    wide_u, wide_v = _is_wide(slope, q11), _is_wide(slope, q22)
    wide = wide_u & wide_v & (d > 0.2 * q11 * q22)
    first = piecewise_moment(_times_x(phi), slope, q12, q11, q22, d)
    second = piecewise_moment(phi, _times_x(slope), q12, q11, q22, d)
    value = jnp.where(wide, (q22 * first - q12 * second) / jnp.where(wide, d, 1.0), value)
    if half_second.dipoles:
        return value
    low, high = (jnp.where(wide_v, *q) for q in ((q11, q22), (q22, q11)))  # u and v may be swapped
    above = piecewise_moment(slope, _times_x(phi), q12, low, high, d)
    above = above - 2 * q12 * piecewise_moment(half_second, phi, q12, low, high, d)
    one = wide_u != wide_v
    return jnp.where(one, above / jnp.where(one, high, 1.0), value)


def _vanishes_far_out(f: Piecewise) -> bool:
    """Whether f is a sum of exponentials, none known not to decay, masses apart."""
    rates = [rate for _, _, rows in f.tails for _, _, rate in rows]
    is_decay = bool(rates) and all(not _are_numbers(rate) or rate < 0 for rate in rates)
    return is_decay and not f.places and all(map(_is_null, f.polynomials))


def _is_wide(f: Piecewise, q: Array) -> Array:
    """Whether all exponentials are over within an eighth of a deviation."""
    rates = {id(rate): rate for _, _, rows in f.tails for _, _, rate in rows}
    wide = jnp.ones_like(q, bool)
    for rate in rates.values():
        wide = wide & (rate * root(q) <= -8)
    return wide


def _tangent_apart(f: Piecewise) -> Piecewise | None:
    """The function with its tangent at 0 as its polynomial; None if that is unknown or flat.

    Where a parameter decides whether there is a kink, the mean of both sides' slopes.
    """
    if f.places or not f.tails or not all(map(_is_null, f.polynomials)):
        return None
    at_zero: list[Any] = []
    others: list[Any] = []
    for tail in f.tails:
        (at_zero if _are_numbers(tail[1]) and tail[1] == 0 else others).append(tail)
    if not _are_numbers(*(rate for _, _, found in at_zero for _, _, rate in found)):
        return None
    rows: dict[int, dict[tuple[int, Any], Any]] = {1: {}, -1: {}}
    for side, _, found in at_zero:
        rows[side] |= {(power, rate): c for c, power, rate in found}
    value, slope = _tangent(rows)
    if _are_numbers(slope) and slope == 0:
        return None
    for side, found in rows.items():
        for power, c in enumerate((value, side * slope)):
            found[power, 0] = found.get((power, 0), 0.0) - c
    centred = [
        (side, 0, tuple((c, power, rate) for (power, rate), c in found.items()))
        for side, found in rows.items()
    ]
    return f._replace(polynomials=((value, slope),), tails=(*centred, *others))


def _tangent(rows: dict[int, dict[tuple[int, Any], Any]]) -> tuple[Any, Any]:
    """Value and slope at 0 of {side: {(power, rate): coefficient}}, (0, 0) at a known kink."""
    ends = []
    for side, found in rows.items():
        start = sum(c for (power, _), c in found.items() if power == 0)
        rise = sum(c * (1 if power else rate) for (power, rate), c in found.items() if power < 2)
        ends.append((start, side * rise))
    (value, slope), (other, other_slope) = ends
    if not _are_numbers(value, slope, other, other_slope):
        return 0.0, (slope + other_slope) / 2
    is_smooth = math.isclose(value, other, abs_tol=1e-15) and math.isclose(slope, other_slope)
    return (value, slope) if is_smooth else (0.0, 0.0)


def _line_through(f: Piecewise) -> tuple[float, float] | None:
    """The tangent of piecewise polynomials at a place 0 where only higher derivatives jump."""
    numbers = [*f.places, *(c for row in f.polynomials for c in row)]
    if f.tails or not _are_numbers(*numbers) or 0 not in f.places:
        return None
    index = f.places.index(0)
    left, right = ((*row, 0.0, 0.0)[:2] for row in f.polynomials[index : index + 2])
    return right if left == right and right[1] != 0 else None


def piecewise_square(f: Piecewise, q: Array) -> Array:
    """E[f(u)^2], u ~ N(0, q): `piecewise_moment` at rho = 1, where it is a single integral."""
    safe = jnp.where(q > 0, q, jnp.ones_like(q))
    if f.places and not f.tails:
        value = pieces_square(f.pieces(), safe)
    else:
        value = _tails_square(f, safe)
    for _, height in f.masses:
        value = jnp.where(jnp.asarray(height) == 0, value, jnp.inf)
    return jnp.where(q > 0, value, _moment_at_zero(f, f, q.dtype))


def _tails_square(f: Piecewise, q: Array) -> Array:
    """E[f(u)^2] without masses and places."""
    pair, p = (q, q, q, jnp.zeros_like(q)), f.polynomials[0]
    total = _polynomial_moment(p, p, q, q, q)
    right, left = (tuple(t for t in f.tails if (t[0] > 0) == way) for way in (True, False))
    places = [[t[1] for t in tails] for tails in (right, left)]
    if _are_numbers(*places[0], *places[1]) and min(places[0], default=math.inf) >= max(
        places[1], default=-math.inf
    ):
        total = total + corners(right, right, *pair) if right else total  # they do not meet
        total = total + corners(left, left, *pair) if left else total
    else:
        total = total + corners(f.tails, f.tails, *pair)
    return total if _is_null(p) else total + 2 * ray(p, f.tails, *pair)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(x, (int, float)) for x in values)


def piecewise_both(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[f(u) g(v)] + E[g(u) f(v)], of a parameter's rate; in one evaluation as `both_ways`."""
    leaves, tree = jax.tree_util.tree_flatten((f, g))
    arrays = {id(x): x for x in leaves if not _are_numbers(x)}  # equal ones are to stay the same

    def moment(q12: Array, q11: Array, q22: Array, d: Array, *given: Array) -> Array:
        now = dict(zip(arrays, given, strict=True))
        one, two = jax.tree_util.tree_unflatten(tree, [now.get(id(x), x) for x in leaves])
        return piecewise_moment(one, two, q12, q11, q22, d)

    first, second = both_ways(moment, q12, q11, q22, d, *arrays.values())
    return first + second


def _train(f: Piecewise, g: Piecewise) -> tuple[tuple[tuple[Any, Any], ...], Piecewise]:
    """The masses of f, and what of g they see: its even or odd part where masses are paired.

    A pair is at t and -t, of the same or of opposite height, and stands as twice that at |t|. Of
    opposite masses everything may cancel but the odd part of g: hard_sigmoid is 1/2 at small
    arguments.
    """
    numbers = [x for mass in f.masses for x in mass]
    numbers += [*g.places, *(c for row in g.polynomials for c in row)]
    if g.tails or not all(isinstance(x, (int, float)) for x in numbers):
        return f.masses, g
    heights = dict(f.masses)
    for parity in (1, -1):
        paired = all(h == parity * heights.get(-t, 0) for t, h in f.masses if t != 0)
        if paired and (parity == 1 or 0 not in heights):
            rows = tuple((t, 2 * h if t else h) for t, h in f.masses if t >= 0)
            return rows, _symmetric(g, parity)
    return f.masses, g


def _symmetric(g: Piecewise, parity: int) -> Piecewise:
    """The even (parity 1) or odd (-1) part of g, without its masses; all numbers are known."""
    if g.parity:
        return g if g.parity == parity else Piecewise((), ((0.0,),), parity=parity)
    places = tuple(sorted({*g.places, *(-t for t in g.places)}))
    rows = []
    for low, high in pairwise((-math.inf, *places, math.inf)):
        here = g.polynomials[sum(t <= low for t in g.places)]
        there = g.polynomials[sum(t <= -high for t in g.places)]  # of the interval's image
        pairs = enumerate(_paired(here, there))
        rows.append(tuple((a + parity * (-1) ** n * b) / 2 for n, (a, b) in pairs))
    return Piecewise(places, tuple(rows), parity=parity)


def _moment_at_zero(f: Piecewise, g: Piecewise, dtype: Any) -> Array:
    """The limit as q -> 0 along rho = 1: the mean of f g on both sides of 0.

    Infinite where a mass at 0 meets what is not 0 there, or any mass one at its own place.
    """
    sides = [
        (_expansion_beside(f, side, dtype)[0], _expansion_beside(g, side, dtype)[0])
        for side in (1, -1)
    ]
    total = sum(left * right for left, right in sides) / 2
    for here, at, other in ((f, 1, g), (g, 0, f)):
        mean = (sides[0][at] + sides[1][at]) / 2
        for place, height in here.masses:
            weight = jnp.where(jnp.asarray(place, dtype) == 0, height * mean, 0.0)
            for where, depth in other.masses:
                same = jnp.asarray(place, dtype) == jnp.asarray(where, dtype)
                weight = weight + jnp.where(same, height * depth / 2, 0.0)
            infinite = lax.stop_gradient(jnp.sign(weight)) * jnp.inf
            total = total + jnp.where(weight == 0, 0.0, infinite).astype(dtype)
    return jnp.asarray(total, dtype)


def _expansion_beside(f: Piecewise, side: int, dtype: Any) -> tuple[Array, Array]:
    """The function's limit at 0 from the right (side 1) or the left (-1), and its derivative's."""
    bounds = (-jnp.inf, *f.places, jnp.inf)
    total, slope = jnp.zeros((), dtype), jnp.zeros((), dtype)
    for row, (low, high) in zip(f.polynomials, pairwise(bounds), strict=True):
        low, high = jnp.asarray(low, dtype), jnp.asarray(high, dtype)
        held = (low <= 0) & (high > 0) if side > 0 else (low < 0) & (high >= 0)
        value, rate = (*row, 0.0, 0.0)[:2]
        total = total + jnp.where(held, jnp.asarray(value, dtype), 0.0)
        slope = slope + jnp.where(held, jnp.asarray(rate, dtype), 0.0)
    for direction, place, rows in f.tails:
        y = jnp.asarray(-direction * place, dtype)
        held = (y > 0) | ((y == 0) & (direction == side))
        for c, k, rate in rows:
            size = c * jnp.exp(jnp.where(held, rate * y, 0.0))
            bend = rate * lax.integer_pow(y, k) + (k * lax.integer_pow(y, k - 1) if k else 0.0)
            total = total + jnp.where(held, size * lax.integer_pow(y, k), 0.0)
            slope = slope + jnp.where(held, direction * size * bend, 0.0)
    return total, slope


def piecewise_jump_rate(
    half_second: Piecewise,
    phi: Piecewise,
    slope: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """The rate d dual/dq11 of a phi that jumps: `piecewise_rate` and the dipoles of phi''.

    Where phi is one line outside its places and these are near, masses and dipoles are differences
    of what is nearly equal; there with all derivatives on the density.
    """
    value = piecewise_rate(half_second, phi, slope, q12, q11, q22, d)
    value = value + piecewise_dipoles(half_second, phi, slope, q12, q11, q22, d)
    line = _outer_line(phi)
    if line is None:
        return value
    rows = tuple(
        tuple(c - r for c, r in zip_longest(row, line, fillvalue=0.0)) for row in phi.polynomials
    )
    inner = Pieces(phi.places, rows, None, phi.parity or None)  # the line is of phi's parity too
    return jnp.where(*bent_over_places(inner, line, q12, q11, q22, d), value)


def _outer_line(f: Piecewise) -> tuple[float, float] | None:
    """The line that piecewise polynomials are known to be on both sides of their places."""
    if f.tails or len(f.places) < 2:
        return None
    outer, other = f.polynomials[0], f.polynomials[-1]
    if not _are_numbers(*outer, *other) or any((*outer[2:], *other[2:])):
        return None
    (one, two), end = (*outer, 0.0, 0.0)[:2], (*other, 0.0, 0.0)[:2]
    return (one, two) if (one, two) == end else None


def piecewise_dipoles(
    f: Piecewise, g: Piecewise, slope: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[dipoles of f (u) g(v)], `slope` being g': E[delta'(u - t) g(v)], by parts.

    That is (t E[delta(u - t) g(v)] - q12 E[delta(u - t) g'(v)])/q11.
    """
    alone = Piecewise((), ((0.0,),), (), f.dipoles)
    slid = -regression(q12, q11, q22) * piecewise_moment(alone, slope, q12, q11, q22, d)
    moved = [(t, t * h) for t, h in f.dipoles if not (isinstance(t, (int, float)) and t == 0)]
    if not moved:
        return slid
    turned = Piecewise((), ((0.0,),), (), tuple(moved))
    return slid + ratio(_masses_moment(turned, g, q12, q11, q22, d), q11)


def piecewise_curvature(
    half_second: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[phi''(u) phi''(v)] = d dual_dot/dq12 from phi''/2; 0 for the infinite one at rho = +-1.

    It is infinite there where phi' jumps, but not along directions that keep rho, and reverse mode
    cannot tell: as in `root`.
    """
    return _finite_part(4 * piecewise_moment(half_second, half_second, q12, q11, q22, d))


def _finite_part(value: Array) -> Array:
    """The value, 0 where it is infinite."""
    return jnp.where(jnp.abs(value) < jnp.inf, value, 0.0)


def piecewise_bend(
    half_second: Piecewise,
    slope: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
    curvature: Array,
) -> Array:
    """E[phi'''(u) phi'(v)]/2 = d dual_dot/dq11 = (E[u phi''(u) phi'(v)] - q12 curvature)/(2 q11).

    curvature: that of `piecewise_curvature`. At q11 = 0 the limit, along rho = 1 if q22 = 0 too.
    """
    turned = _times_x(half_second)
    present = q11 > 0
    safe, gap_safe = jnp.where(present, q11, 1.0), jnp.where(present, d, q22)
    above = piecewise_moment(turned, slope, q12, safe, q22, gap_safe) - q12 * curvature / 2
    return jnp.where(present, above / safe, _bend_at_zero(half_second, slope, q22))


def _bend_at_zero(h: Piecewise, g: Piecewise, q22: Array) -> Array:
    """The limit of `piecewise_bend` as q11 -> 0: u h(u) = h0 u + h1 u^2 on either side of 0.

    Infinite where what goes like 1/sqrt(q11) has not the same value on both sides.
    """
    sides = [(_expansion_beside(h, side, q22.dtype), side) for side in (1, -1)]
    others = [_expansion_beside(g, side, q22.dtype) for side in (1, -1)]
    mean = piecewise_mean(g, jnp.where(q22 > 0, q22, 1.0))
    alone = sum(side * h0 for (h0, _), side in sides), sum(h1 for (_, h1), _ in sides) / 2
    steep, regular = alone[0] * mean, alone[1] * mean
    both = [
        (h0 * g0, h0 * g1 + h1 * g0) for ((h0, h1), _), (g0, g1) in zip(sides, others, strict=True)
    ]
    steep = jnp.where(q22 > 0, steep, both[0][0] - both[1][0])
    curvature = _finite_part(4 * _moment_at_zero(h, h, q22.dtype)) / 2
    regular = jnp.where(q22 > 0, regular, (both[0][1] + both[1][1]) / 2 - curvature)
    return jnp.where(steep == 0, regular, jnp.sign(steep) * jnp.inf)


def _times_x(f: Piecewise) -> Piecewise:
    """The function x f(x)."""

    def raised(polynomial: tuple[Any, ...]) -> tuple[Any, ...]:
        return (0, *polynomial)

    def turned(tail: Any) -> Any:  # x = place + side y
        side, place, rows = tail
        higher = tuple((side * c, power + 1, rate) for c, power, rate in rows)
        is_null = isinstance(place, (int, float)) and place == 0
        lower = () if is_null else tuple((place * c, power, rate) for c, power, rate in rows)
        return side, place, (*lower, *higher)

    orders = f.orders
    if orders is not None:  # a jump of f^(a) at t makes one of the next derivative too, alone at 0
        orders = tuple(tuple(sorted({*row, *(a + 1 for a in row)})) for row in orders)
    return Piecewise(
        f.places,
        tuple(map(raised, f.polynomials)),
        tuple(map(turned, f.tails)),
        tuple((place, place * height) for place, height in f.masses),
        (),
        orders,
        None if f.parity is None else -f.parity,
    )


def _smooth_moment(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """The same without masses."""
    if not f.tails and not g.tails and (f.places or g.places):
        one, two = _met_by(f, g).pieces(), _met_by(g, f).pieces()
        return pieces_moment(two, one, q12, q11, q22, d)
    p, r = f.polynomials[0], g.polynomials[0]
    total = _polynomial_moment(p, r, q12, q11, q22)
    if (_is_null(p) and not f.tails) or (_is_null(r) and not g.tails):
        return total  # nothing but masses
    total = total + corners(f.tails, g.tails, q12, q11, q22, d)
    if not _is_null(r) and f.tails:
        total = total + ray(r, f.tails, q12, q22, q11, d)
    if not _is_null(p) and g.tails:
        total = total + ray(p, g.tails, q12, q11, q22, d)
    return near_independence((p, f.tails), (r, g.tails), total, q12, q11, q22)


def _masses_moment(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[masses of f (u) g(v)] without the masses of g; infinite where q11 = 0 at a place 0."""
    total = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape), q12.dtype)
    for place, height in f.masses if g.tails else ():
        total = total + _zero_or(height, _mass_tails(place, g, q12, q11, q22, d))
    masses, part = _train(f, g)
    if g.tails or all(_is_null(p) for p in part.polynomials):
        return total
    return total + train_pieces(masses, part.pieces(), q12, q11, q22, d)


def _mass_tails(place: Any, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[delta(u - place) g(v)] without the masses of g; infinite at q11 = 0 = place."""
    sharp = (q11 == 0) & (jnp.asarray(place, q12.dtype) == 0)
    q11, d = jnp.where(sharp, jnp.ones_like(q11), q11), jnp.where(sharp, q22, d)
    if isinstance(place, (int, float)) and place == 0:  # then the mean of v given u is 0
        total = piecewise_mean(g, ratio(d, q11)) / (math.sqrt(2 * math.pi) * root(q11))
        infinite = _zero_or(jnp.sign(total), jnp.full_like(total, jnp.inf))
        return jnp.where(sharp, infinite, total)
    total = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape), q12.dtype)
    if not all(_is_null(p) for p in g.polynomials):
        total = mass_pieces(place, g.pieces(), q12, q11, q22, d)
    for tail in g.tails:
        total = total + mass_tail(place, tail, q12, q11, q22, d)
    return jnp.where(sharp, _zero_or(jnp.sign(total), jnp.full_like(total, jnp.inf)), total)


def _met_by(f: Piecewise, g: Piecewise) -> Piecewise:
    """What an even or odd f sees of g: its even or odd part, where all numbers are known.

    The rest has no moment, and may be much larger: hard_swish is x/2 + x^2/6 at small arguments.
    """
    numbers = [*g.places, *(c for row in g.polynomials for c in row)]
    known = all(isinstance(x, (int, float)) for x in numbers)
    return _symmetric(g, f.parity) if f.parity and not g.parity and known else g


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
    return tails_mean(f.polynomials[0], f.tails, q)


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


def tails_coefficients(order: int, phi: Piecewise, q: Array) -> Array:
    """a_n(q), n = 0..order, along a new first axis; tails at 0, accurate to an eps of `tails_size`.

    The kink is at z = 0 whatever q, so nodes are the same for all q and the sum is a product of
    matrices: panels halve towards 0 as far as exponentials at a variance of 1e4 turn.
    """
    z, weights = _fixed_rule(order)
    rows, before = [weights], [0.0] * len(z)
    for n in range(order):
        up, back = 1 / math.sqrt(n + 1), math.sqrt(n / (n + 1))
        row = [up * x * h - back * g for x, h, g in zip(z, rows[n], before, strict=True)]
        rows, before = [*rows, row], rows[n]
    values, start = _values_at(phi, z, q)
    return _weighted_sums(jnp.asarray(rows, q.dtype), values).at[0].add(start)


def tails_size(phi: Piecewise, q: Array) -> Array:
    """E|phi(u) - phi(0)| at variance q, to a few digits."""
    z, weights = _fixed_rule(2)
    values, _ = _values_at(phi, z, q)
    return jnp.tensordot(jnp.asarray(weights, q.dtype), jnp.abs(values), axes=1)


def _weighted_sums(rows: Array, values: Array) -> Array:
    """The product rows @ values by panels and then in pairs: one long sum loses ten eps."""
    pad = -len(values) % _PANEL
    rows = jnp.pad(rows, ((0, 0), (0, pad))).reshape(len(rows), -1, _PANEL)
    values = jnp.pad(values, ((0, pad), *((0, 0),) * (values.ndim - 1)))
    values = values.reshape(-1, _PANEL, *values.shape[1:])
    parts = jnp.einsum("npk,pk...->pn...", rows, values, precision=lax.Precision.HIGHEST)
    while len(parts) > 1:
        half = len(parts) // 2
        parts = jnp.concatenate([parts[:half] + parts[half : 2 * half], parts[2 * half :]])
    return parts[0]


_PANEL = 16


def _values_at(phi: Piecewise, z: list[float], q: Array) -> tuple[Array, Array]:
    """phi(sqrt(q) z) - phi(0), z along a new first axis, and phi(0), for tails that end at 0.

    Without a difference: tails rise from their ends, which differ from phi(0) where phi jumps.
    """
    x = root(q)[None] * jnp.asarray(z, q.dtype).reshape(-1, *(1,) * q.ndim)
    first, *higher = phi.polynomials[0]
    ends = {1: [0.0], -1: [0.0]}
    total = jnp.zeros_like(x)
    for c in reversed(higher):
        total = (total + c) * x
    for side, _, rows in phi.tails:
        ends[side] += [c for c, power, _ in rows if power == 0]
        total = total + _rows_rise(rows, jnp.maximum(side * x, 0.0))
    jump = _snapped([*ends[1], *(-c for c in ends[-1])])
    start = first + (sum(ends[1]) + sum(ends[-1])) / 2
    return total + jump * jnp.sign(x) / 2, jnp.full_like(q, start)


def _rows_rise(rows: Any, y: Array) -> Array:
    """The sum of c y^power exp(rate y) less its value at y = 0."""
    total = jnp.zeros_like(y)
    for c, power, rate in rows:
        if power:
            total = total + c * lax.integer_pow(y, power) * jnp.exp(rate * y)
        else:
            total = total + c * jnp.expm1(rate * y)
    return total


def _fixed_rule(order: int) -> tuple[list[float], list[float]]:
    """Nodes z and weights of the normal density for functions with a kink at 0, times h_n."""
    reach = 12.0 + math.sqrt(order)
    steps = math.ceil((reach - 1) * math.sqrt(max(order, 4)) / 4)
    cuts = [0.0, *(2.0**-k for k in range(9, 0, -1))]
    cuts += [1 + (reach - 1) * k / steps for k in range(steps + 1)]
    nodes, weights = [], []
    for a, b in pairwise(cuts):
        for x, w in _legendre_rule(16):
            z = a + (b - a) * x
            nodes.append(z)
            weights.append((b - a) * w * math.exp(-z * z / 2) / math.sqrt(2 * math.pi))
    return [*(-z for z in nodes), *nodes], [*weights, *weights]


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
        fast = jnp.stack([jnp.abs(rate * inside) for _, _, rate in rows]).max(0)
        start = _snapped([c for c, power, _ in rows if power == 0] or [0.0])
        value = jnp.where(fast < 0.5, start + _rows_rise(rows, inside), value)
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
