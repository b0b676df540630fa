"""Moments of links anywhere: polynomials and exponentials times Phi(kappa x + tau), or a step.

Support code, appended to that of `support.py` in every copy. A function of x is a tuple of terms

    (coefficient, power, a, b, kind, kappa, tau, zeta)

for coefficient x^power exp(a x^2 + b x) times, by `kind` and with y = kappa x + tau, "" 1, "cdf"
Phi(y), "odd" Phi(y) - 1/2, and for coefficient y^power exp(a x^2 + b x) Phi'(y), "pdf". With zeta =
0 the step 1[y > 0] stands in the place of Phi(y). Rows of kind "both" end in kappa2 and tau2: times
(Phi(y) - 1/2) (Phi(kappa2 x + tau2) - 1/2). Powers, kinds and zeta are static, and so is whether a,
b or tau is 0.

How. A link is the event kappa x + tau + zeta z > 0 of one more normal variable z, its derivative
that event's density at its edge. Exponentials tilt the law of (u, v), densities condition it, and
integration by parts (Stein) lowers the powers. What is left are probabilities of two events:
Plackett's integral from independence where they are weakly correlated, Owen's function elsewhere.
Determinants are sums of products throughout.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import log_ndtr

from dualc.emit.support import (
    Array,
    _format,
    _known_zero,
    _scaled,
    hermite_atoms,
    normal_cdf,
    normal_pdf,
    root,
)
from dualc.emit.support_pieces import _integral, _legendre_rule


class _Law(NamedTuple):
    """exp(exponent) scale times the normal law of (u, v); a number 0 is known to be 0."""

    exponent: Any
    scale: Any
    means: tuple[Any, Any]
    variances: tuple[Array, Array]
    covariance: Array
    determinant: Array


class _Event(NamedTuple):
    """kappa x + tau + zeta z > 0 of u (side 0) or v (side 1); `is_odd`: its indicator less 1/2."""

    side: int
    kappa: Any
    tau: Any
    zeta: int
    is_odd: bool


class _Edge(NamedTuple):
    """An event under a law: mean and variance of its left-hand side, mean / deviation.

    And the covariances of u and v with it over its deviation.
    """

    mean: Any
    variance: Array
    threshold: Any
    gains: tuple[Array, Array]


def links_moment(f: Any, g: Any, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[f(u) g(v)], (u, v) ~ N(0, [[q11, q12], [q12, q22]]), d = q11 q22 - q12^2.

    Infinite where densities of steps meet at rho = +-1. Exponentials must be integrable: the
    variances of the tilted law are positive.
    """
    total = jnp.zeros_like(q12 + q11 + q22 + d)
    for tilt1, link1, left in _grouped(f):
        for tilt2, link2, right in _grouped(g):
            law, events = _tilted_law(tilt1, tilt2, q12, q11, q22, d), []
            for side, (kind, kappa, tau, zeta) in enumerate((link1, link2)):
                event = _Event(side, kappa, tau, zeta, kind == "odd")
                if kind == "pdf":
                    law = _given_edge(law, event, _edge(law, event), is_density=True)
                elif kind:
                    events.append(event)
            total = total + _pair(law, events, left, right)
    return total


def _grouped(terms: Any) -> list[tuple[Any, Any, dict[int, Any]]]:
    """(a, b), the link and the coefficients by power, of all terms that share the first two."""
    found: dict[Any, tuple[Any, Any, dict[int, Any]]] = {}
    for coefficient, power, a, b, *link in terms:
        parts = (a, b, *link)
        key = tuple(x if isinstance(x, int | float | str) else id(x) for x in parts)
        row = found.setdefault(key, ((a, b), tuple(link), {}))[2]
        row[power] = row[power] + coefficient if power in row else coefficient
    return list(found.values())


def _times(x: Any, y: Any) -> Any:
    """The product, 0 if a factor is known to be 0."""
    return 0 if _known_zero(x) or _known_zero(y) else x * y


def _plus(x: Any, y: Any) -> Any:
    """The sum, without what is known to be 0."""
    if _known_zero(x):
        return y
    return x if _known_zero(y) else x + y


def links_integral(f: Any, g: Any, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[f0(u) g0(v)] of f = (f0, f0', ..., fr) and g alike, fr and gr without products of links.

    The sum over m < r of q12^m/m! E[fm(u)] E[gm(v)], and the integral of (q12 - t)^(r-1)/(r-1)!
    E[fr(u) gr(v)] over covariances t = c tanh(y) from 0 to q12, c where the integrand would be
    singular: it changes on the scale of c - t, however small that is.
    """
    r = len(f) - 1
    if not r:
        return links_moment(f[0], g[0], q12, q11, q22, d)
    total = jnp.zeros_like(q12 + q11 + q22)
    for m in range(r):
        means = _mean(f[m], q11) * _mean(g[m], q22)
        total = total + means * lax.integer_pow(q12, m) / math.factorial(m)
    noise = 1 / jnp.asarray(_curvature((*f[-1], *g[-1])), total.dtype)
    rest = d + noise * (q11 + q22) + noise * noise  # c^2 - q12^2
    c, size = jnp.sqrt((q11 + noise) * (q22 + noise)), jnp.abs(q12)
    end = jnp.sign(q12) * jnp.log1p(2 * size * (c + size) / rest) / 2

    def integrand(node: Array) -> tuple[Array]:
        y, before = end * node, end * (1 - node)
        slope = c / jnp.cosh(y)
        left = slope * jnp.sinh(before) / jnp.cosh(end)  # q12 - t
        t = c * jnp.tanh(y)
        moment = links_moment(f[-1], g[-1], t, q11, q22, d + left * (q12 + t))
        weight = lax.integer_pow(left, r - 1) / math.factorial(r - 1)
        return (moment * weight * slope / jnp.cosh(y),)

    (integral,) = _integral(integrand, _COVARIANCES[_bits(q12)], total.dtype)
    return total + integral * end


_COVARIANCES = {23: 20, 52: 44}  # nodes


def _curvature(terms: Any) -> Any:
    """The largest -2a: densities of that precision make the integrand steep."""
    largest: Any = 1.0
    for a in (row[2] for row in terms if not _known_zero(row[2])):
        known = isinstance(a, int | float) and isinstance(largest, int | float)
        largest = max(largest, -2 * a) if known else jnp.maximum(largest, -2 * a)
    return largest


def _mean(f: Any, q: Array) -> Array:
    """E[f(sqrt(q) Z)], of products of links too."""
    total, zero = jnp.zeros_like(q), jnp.zeros_like(q)
    one = ((1.0, 0, 0, 0, "", 0, 0, 0),)
    for row in f:
        link, other = row[:8], one
        if row[4] == "both":
            link = (*row[:4], "odd", *row[5:8])
            other = ((1.0, 0, 0, 0, "odd", *row[8:], 1),)
        total = total + links_moment((link,), other, q, q, q, zero)
    return total


def links_hermite(order: int, q: Array, functions: Any) -> Array:
    """a_n(q) = E[f(sqrt(q) Z) h_n(Z)], n = 0..order, along a new last axis, of f without "pdf".

    functions = (f, f', ...) as for `links_integral`: a_n of f is sqrt(q/n) a_{n-1} of f'.
    """
    *lower, top = functions
    found = _coefficients(max(order - len(lower), 0), q, top)
    for f in reversed(lower):
        roots = jnp.sqrt(jnp.arange(1, found.shape[-1] + 1).astype(q.dtype))
        rest = found * root(q)[..., None] / roots.reshape((1,) * q.ndim + (-1,))
        found = jnp.concatenate([_mean(f, q)[..., None], rest], axis=-1)
    return found[..., : order + 1]


def _coefficients(order: int, q: Array, terms: Any) -> Array:
    """The same of a function without products of links."""
    atoms: list[tuple[Any, ...]] = []
    for coefficient, power, a, b, kind, kappa, tau, zeta in terms:
        if kind == "":
            atoms.append((coefficient, power, a, b, 0, None, 0))
            continue
        atoms.append((coefficient, power, a, b, 0, kappa, zeta, tau))
        if kind == "odd":
            atoms.append((-0.5 * coefficient, power, a, b, 0, None, 0))
    return hermite_atoms(order, q, tuple(atoms))


# ---- laws


def _tilted_law(
    one: tuple[Any, Any], two: tuple[Any, Any], q12: Array, q11: Array, q22: Array, d: Array
) -> _Law:
    """The law of (u, v) times exp(a1 u^2 + b1 u + a2 v^2 + b2 v)."""
    (a1, b1), (a2, b2) = one, two
    scale: Any = 1.0
    s11, s22, s12, determinant = q11, q22, q12, d
    if not (_known_zero(a1) and _known_zero(a2)):
        delta = 1 - 2 * a1 * q11 - 2 * a2 * q22 + 4 * a1 * a2 * d
        s11, s22 = (q11 - 2 * a2 * d) / delta, (q22 - 2 * a1 * d) / delta
        s12, determinant, scale = q12 / delta, d / delta, 1 / jnp.sqrt(delta)
    first = _plus(_times(s11, b1), _times(s12, b2))
    second = _plus(_times(s12, b1), _times(s22, b2))
    exponent = _times(_plus(_times(b1, first), _times(b2, second)), 0.5)
    return _Law(exponent, scale, (first, second), (s11, s22), s12, determinant)


_FARTHEST = 1e4  # deviations: beyond them every density is 0


def _edge(law: _Law, event: _Event) -> _Edge:
    """An event under a law. Without variance it is sure or impossible, unless its mean is 0."""
    own, kappa = law.variances[event.side], event.kappa
    variance = kappa * kappa * own + event.zeta
    mean = _plus(_times(kappa, law.means[event.side]), event.tau)
    across = (own, law.covariance) if event.side == 0 else (law.covariance, own)
    if event.zeta:
        deviation = jnp.sqrt(variance)
        gains = tuple(kappa * c / deviation for c in across)
        threshold = 0 if _known_zero(mean) else mean / deviation
        return _Edge(mean, variance, threshold, gains)
    deviation = root(variance)
    safe = jnp.where(deviation > 0, deviation, 1.0)
    gains = tuple(jnp.where(deviation > 0, kappa * c / safe, 0.0) for c in across)
    if _known_zero(mean):
        return _Edge(mean, variance, 0, gains)
    mean = jnp.broadcast_to(mean, variance.shape).astype(variance.dtype)
    meets = (deviation == 0) & (jnp.abs(mean) <= _near(mean.dtype) * abs(event.tau))
    mean = jnp.where(meets, 0.0, mean)
    held = jnp.maximum(deviation, jnp.abs(mean) / _FARTHEST)
    threshold = jnp.where(held > 0, mean / jnp.where(held > 0, held, 1.0), 0.0)
    return _Edge(mean, variance, threshold, gains)


def _given_edge(law: _Law, event: _Event, edge: _Edge, is_density: bool = False) -> _Law:
    """The law on an event's edge, times the standard normal density at the threshold.

    With `is_density` the law of y = kappa x + tau in the place of x, whose mean would be lost in
    tau, and times the density of the event's left-hand side at 0.
    """
    zeta, v = event.zeta, edge.variance
    present = v > 0
    safe = v if zeta else jnp.where(present, v, 1.0)
    square = event.kappa * event.kappa
    other = law.variances[1 - event.side]
    rest = (square * law.determinant + zeta * other) / safe
    if not zeta:
        rest = jnp.where(present, rest, other)
    own = law.variances[event.side] * zeta / safe
    exponent, means = law.exponent, law.means
    h = edge.threshold
    if not _known_zero(h):
        exponent = _plus(exponent, -0.5 * h * h)
        means = tuple(_plus(m, -gain * h) for m, gain in zip(means, edge.gains, strict=True))
    scale = law.scale / math.sqrt(2 * math.pi)
    covariance, determinant = law.covariance * zeta / safe, law.determinant * zeta / safe
    if is_density:
        scale = scale / root(safe)
        if not zeta:
            scale = jnp.where(present, scale, jnp.where(jnp.asarray(edge.mean) == 0, jnp.inf, 0.0))
        mean = _times(edge.mean, zeta / safe)
        means = (mean, means[1]) if event.side == 0 else (means[0], mean)
        own, determinant = square * own, square * determinant
        covariance = event.kappa * covariance
    variances = (own, rest) if event.side == 0 else (rest, own)
    return _Law(exponent, scale, means, variances, covariance, determinant)


def _near(dtype: Any) -> float:
    """How far apart, relatively, two equal places can come by rounding."""
    return 8 * 2.0 ** -_format(dtype)[0]


# ---- moments


def _pair(law: _Law, events: list[_Event], left: dict[int, Any], right: dict[int, Any]) -> Array:
    """The sum of left[i] right[j] E[u^i v^j of all events] under a law, by Stein's recursion."""
    laws: dict[tuple[int, ...], _Law] = {(): law}
    edges: dict[tuple[int, ...], _Edge] = {}
    values: dict[tuple[Any, ...], Any] = {}

    def edge(path: tuple[int, ...]) -> _Edge:
        """The last event of a path, under the law on the edges of those before it."""
        if path not in edges:
            edges[path] = _edge(given(path[:-1]), events[path[-1]])
        return edges[path]

    def given(path: tuple[int, ...]) -> _Law:
        if path not in laws:
            laws[path] = _given_edge(given(path[:-1]), events[path[-1]], edge(path))
        return laws[path]

    def moment(i: int, j: int, path: tuple[int, ...] = ()) -> Any:
        key = (i, j, path)
        if key not in values:
            values[key] = lowered(i, j, path) if i or j else start(path)
        return values[key]

    def start(path: tuple[int, ...]) -> Array:
        rest = [k for k in range(len(events)) if k not in path]
        seen = [(events[k], edge((*path, k))) for k in rest]
        return _probability(given(path), seen)

    def lowered(i: int, j: int, path: tuple[int, ...]) -> Any:
        now, side = given(path), 0 if i else 1
        lower = (i - 1, j) if i else (0, j - 1)
        total = _times(now.means[side], moment(*lower, path))
        if lower[side]:
            twice = moment(i - 2, j, path) if i else moment(0, j - 2, path)
            total = _plus(total, lower[side] * now.variances[side] * twice)
        if i and j:
            total = _plus(total, j * now.covariance * moment(i - 1, j - 1, path))
        for k in range(len(events)):
            if k not in path:
                beyond = (*path, k)
                total = _plus(total, edge(beyond).gains[side] * moment(*lower, beyond))
        return total

    terms = [c * e * moment(i, j) for i, c in left.items() for j, e in right.items()]
    return sum(terms[1:], terms[0])


def _probability(law: _Law, seen: list[tuple[_Event, _Edge]]) -> Array:
    """The law's size times the expectation of its events' indicators, each less 1/2 if odd."""
    weight = law.scale
    if not _known_zero(law.exponent):
        if len(seen) == 1 and not seen[0][0].is_odd:  # exp grows where Phi falls
            return weight * jnp.exp(
                law.exponent + log_ndtr(seen[0][1].threshold + 0 * law.exponent)
            )
        weight = weight * jnp.exp(law.exponent)
    like = law.determinant
    if not seen:
        return weight * jnp.ones_like(like)
    thresholds = [
        jnp.broadcast_to(jnp.asarray(e.threshold, like.dtype), like.shape) for _, e in seen
    ]
    if len(seen) == 1:
        return weight * _indicator(seen[0][0].is_odd, thresholds[0])
    (one, first), (two, second) = seen
    product = first.variance * second.variance
    both = one.kappa * two.kappa
    radicand = (
        both * both * law.determinant
        + one.kappa * one.kappa * law.variances[0] * two.zeta
        + two.kappa * two.kappa * law.variances[1] * one.zeta
        + one.zeta * two.zeta
    )
    present = product > 0
    safe = jnp.where(present, product, 1.0)
    r = jnp.where(present, both * law.covariance / jnp.sqrt(safe), 0.0)
    s = jnp.where(present, root(radicand / safe), 1.0)
    return weight * joint((one.is_odd, two.is_odd), *thresholds, r, s)


def _indicator(is_odd: bool, h: Array) -> Array:
    """Phi(h), or Phi(h) - 1/2."""
    return lax.erf(h * math.sqrt(0.5)) / 2 if is_odd else normal_cdf(h)


# ---- two events

_NODES = {23: 6, 52: 12}  # of Gauss rules, by the bits of the dtype: 1 eps and 2e-16
_REACH = {23: 5.6, 52: 9.2}  # exp(-x^2/2) is below them beyond


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def joint(odd: tuple[bool, bool], h: Array, k: Array, r: Array, s: Array) -> Array:
    """E[(1[X < h] - o1) (1[Y < k] - o2)], (X, Y) standard normal of correlation r, s^2 = 1 - r^2.

    o is 1/2 where `odd`, else 0. Right to an eps of 1, and where r is small of what it is. s is a
    function of r: its own tangent is ignored. The derivative in r is taken as 0 at r = +-1, where
    it may be infinite, as in `root`.
    Sources: Plackett (1954), Owen (1956).
    """
    h, k, r, s = jnp.broadcast_arrays(h, k, r, s)
    is_weak = (jnp.abs(r) <= 0.5) & (jnp.abs(r * h * k) <= 4)
    near = _indicator(odd[0], h) * _indicator(odd[1], k)
    near = near + _from_independence(*(jnp.where(is_weak, x, 0.0) for x in (h, k, r)))
    first, second = _standing(h, k, r, s)
    is_opposite = ((h < 0) != (k < 0)) & (h != 0) & (k != 0)
    is_opposite = is_opposite | (((h == 0) | (k == 0)) & (h + k < 0))
    far = _less_wedge(odd[1], h, first) + _less_wedge(odd[0], k, second)
    far = far + (0.25 if all(odd) else 0.0) - jnp.where(is_opposite, 0.5, 0.0)
    at_zero = jnp.arctan2(s, -r) / (2 * math.pi) - (0.0 if not any(odd) else 0.25)
    far = jnp.where((h == 0) & (k == 0), at_zero, far)
    return jnp.where(is_weak, near, far)


@joint.defjvp
def _joint_jvp(
    odd: tuple[bool, bool], primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    h, k, r, s = jnp.broadcast_arrays(*primals)
    first, second = _standing(h, k, r, s)
    density = normal_pdf(h) * normal_pdf(first)
    in_r = jnp.where(s > 0, density / jnp.where(s > 0, s, 1.0), 0.0)
    value = joint(odd, h, k, r, s)
    total = _scaled(normal_pdf(h) * _indicator(odd[1], first), tangents[0])
    total = total + _scaled(normal_pdf(k) * _indicator(odd[0], second), tangents[1])
    return value, total + _scaled(in_r, tangents[2])


def _standing(h: Array, k: Array, r: Array, s: Array) -> tuple[Array, Array]:
    """(k - r h)/s and (h - r k)/s, nothing lost near r = +-1."""
    sign = jnp.where(r > 0, 1.0, -1.0).astype(r.dtype)
    apart = k - sign * h
    held = jnp.maximum(s, jnp.abs(apart) / _FARTHEST)
    quotient = jnp.where(held > 0, apart / jnp.where(held > 0, held, 1.0), 0.0)
    shift = sign * s / (1 + jnp.abs(r))
    return quotient + h * shift, -sign * quotient + k * shift


def _from_independence(h: Array, k: Array, r: Array) -> Array:
    """The covariance of 1[X < h] and 1[Y < k], by Plackett's integral over correlations to r."""
    total = jnp.zeros_like(h)
    square, product = h * h + k * k, h * k
    for node, weight in _legendre_rule(_NODES[_bits(h)]):
        t = r * node
        y = 1 / ((1 - t) * (1 + t))
        total = total + weight * jnp.exp((product * t - square / 2) * y) * jnp.sqrt(y)
    return total * r / (2 * math.pi)


def _less_wedge(is_odd: bool, h: Array, n: Array) -> Array:
    """Phi(h)/2 (0 if the other event is odd) less W(h, n) = sgn(h) sgn(n) T(|h|, |n/h|).

    T is Owen's function, sgn(0) is 1 for h, W(h, 0) is 0.
    """
    x, y = jnp.abs(h), jnp.abs(n)
    large, small = jnp.maximum(x, y), jnp.minimum(x, y)
    safe = jnp.where(large > 0, large, 1.0)
    slope = jnp.minimum(small, _REACH[_bits(h)]) / safe  # (beyond the reach nothing is left)
    owen = jnp.zeros_like(h)
    for node, weight in _legendre_rule(_NODES[_bits(h)]):
        rise = slope * node
        square = 1 + rise * rise
        owen = owen + weight * jnp.exp(-0.5 * (large * large) * square) / square
    owen = owen * slope / (2 * math.pi)
    beyond_x, beyond_y = normal_cdf(-x), normal_cdf(-y)
    product = beyond_x * beyond_y
    is_turned = y > x  # T at a slope above 1 by that at its reciprocal
    size = jnp.where(is_turned, (beyond_x + beyond_y) / 2 - product - owen, owen)
    wedge = jnp.where(n == 0, 0.0, jnp.where((h < 0) != (n < 0), -size, size))
    if is_odd:
        return -wedge
    is_tail = is_turned & (h < 0) & (n < 0)  # where Phi(h) would be added and subtracted
    return jnp.where(is_tail, product + owen - beyond_y / 2, normal_cdf(h) / 2 - wedge)


def _bits(x: Array) -> int:
    return _format(x.dtype)[0]
