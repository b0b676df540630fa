"""Moments of piecewise polynomials of a Gaussian pair: hard_tanh, relu6, hard_swish and their kin.

Price's theorem, r times: the r-th derivative of E[f(u) g(v)] in the covariance t is
E[f^(r)(u) g^(r)(v)]. Beyond the degree of the pieces only the Dirac masses at the places are left,
whose moments are elementary. So the moment is a Taylor polynomial in q12 about an anchor, where it
is a product of means (rho = 0) or a single integral (rho = +-1), and the integral of a smooth
kernel from there: nothing cancels but what the kernel itself would.
Letters: h, k are places over standard deviations; tau = tan(psi/2), cos(psi) = rho, x = -log(tau).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial, reduce
from itertools import pairwise, zip_longest
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from dualc.emit.support import _product, _waves, _zero_or, in_tiles, normal_pdf, root

Array = Any
_TILE = 1 << 14  # pairs: what a sum over nodes passes over stays in a processor's cache


# ---- piecewise polynomials


class Pieces(NamedTuple):
    """A function with one polynomial between every two of its places, in rising order.

    places: t_1 < ... < t_k; polynomials: k + 1 tuples of coefficients (c_0, c_1, ...). Numbers or
    traced scalars. What numbers do not tell may be said: orders, for every place the orders a for
    which f^(a) jumps there (None: all that is possible); parity, 1 if f is even (places and
    polynomials mirrored at 0), -1 if odd. Both save work, parity digits too.
    """

    places: tuple[Any, ...]
    polynomials: tuple[tuple[Any, ...], ...]
    orders: tuple[tuple[int, ...], ...] | None = None
    parity: int | None = None


def _known(*numbers: Any) -> bool:
    return all(isinstance(x, (int, float)) for x in numbers)


def _plus(terms: list[Any]) -> Any:
    """The sum; exactly 0 if the terms are numbers that cancel to rounding."""
    if _known(*terms):
        total = math.fsum(terms)
        return 0.0 if abs(total) <= 1e-15 * math.fsum(map(abs, terms)) else total
    return sum(terms[1:], terms[0])


def _derivative(polynomial: tuple[Any, ...], r: int) -> tuple[Any, ...]:
    """The coefficients of the r-th derivative."""
    return tuple(math.perm(n, r) * c for n, c in enumerate(polynomial) if n >= r)


def _shifted(polynomial: tuple[Any, ...], at: Any) -> tuple[Any, ...]:
    """The coefficients of y -> P(at + y)."""
    if _known(at) and at == 0:
        return polynomial
    rows = []
    for j, c in enumerate(polynomial):  # the top one is known even where the place is not
        higher = [(n, a) for n, a in enumerate(polynomial) if n > j and not _absent((a,))]
        rows.append(_plus([c, *(math.comb(n, j) * a * at ** (n - j) for n, a in higher)]))
    return tuple(rows)


def _absent(polynomial: tuple[Any, ...]) -> bool:
    return all(_known(c) and c == 0 for c in polynomial)


def _degree(f: Pieces) -> int:
    """The highest power that is not known to be absent, of all pieces; 0 for the zero function."""
    powers = [n for p in f.polynomials for n, c in enumerate(p) if not (_known(c) and c == 0)]
    return max(powers, default=0)


def _jumps(f: Pieces) -> list[tuple[int, int, Any]]:
    """(i, a, jump of f^(a) at the i-th place), those left out that are known to be 0."""
    found = []
    for i, place in enumerate(f.places):
        left, right = (_shifted(p, place) for p in f.polynomials[i : i + 2])
        for a in range(max(len(left), len(right))):
            if f.orders is not None and a not in f.orders[i]:
                continue
            sides = [right[a]] if a < len(right) else []
            sides += [-left[a]] if a < len(left) else []
            jump = _plus(sides)
            if not (_known(jump) and jump == 0):
                found.append((i, a, math.factorial(a) * jump))
    return found


# ---- Gauss-Legendre


@lru_cache(maxsize=16)
def _legendre_rule(n: int) -> tuple[tuple[float, float], ...]:
    """(node, weight) of n points on [0, 1], by Newton's method in integers scaled by 2**160."""
    one = 1 << 160
    rule = []
    for i in range(n):
        x = int(math.cos(math.pi * (i + 0.75) / (n + 0.5)) * 2**53) << 107
        for _ in range(6):
            last, this = one, x
            for k in range(2, n + 1):
                last, this = this, ((2 * k - 1) * (x * this >> 160) - (k - 1) * last) // k
            square = one - (x * x >> 160)
            rate = n * ((last - (x * this >> 160)) << 160) // square
            x -= (this << 160) // rate
        weight = (one << 160) // (square * (rate * rate >> 160) >> 160)
        rule.append(((one - x) / (2 * one), weight / one))
    return tuple(rule)


def _integral(
    integrand: Callable[[Array], tuple[Array, ...]], nodes: int, dtype: Any
) -> tuple[Array, ...]:
    """The integrals over [0, 1] by a Gauss rule, a scan: unrolled it would compile for seconds."""
    rule = jnp.asarray(_legendre_rule(nodes), dtype)
    integrand = jax.jit(integrand)  # traced once, here and for the scan
    shapes = jax.eval_shape(integrand, jnp.zeros((), dtype))
    start = tuple(jnp.zeros(x.shape, dtype) for x in shapes)

    def add(total: tuple[Array, ...], row: Array) -> tuple[tuple[Array, ...], None]:
        values = integrand(row[0])
        return tuple(t + row[1] * v for t, v in zip(total, values, strict=True)), None

    return lax.scan(add, start, rule)[0]


# ---- one variable


def _nats(dtype: Any) -> float:
    """-log of what is too small to matter beside 1."""
    return 17.0 if dtype == jnp.float32 else 38.0


def _standardised(place: Any, q: Array) -> Array:
    """The quotient place / sqrt(q), held where the normal density is 0 anyway."""
    place = jnp.asarray(place, q.dtype)
    reach = jnp.abs(place) / _farthest(q.dtype) + math.sqrt(_tiny(q.dtype))
    return place / jnp.maximum(root(q), reach)


def _density_of(place: Any, q: Array) -> Array:
    """The normal density at place/sqrt(q), the rounding of the exponent put right."""
    place = jnp.asarray(place, q.dtype)
    highest = _farthest(q.dtype)
    reach = jnp.square(place / highest)
    safe = jnp.maximum(q, jnp.maximum(reach, math.sqrt(_tiny(q.dtype))))
    exponent = 0.5 * (place * place / safe)
    square, *rest = _product(place, place)
    back, *back_rest = _product(2 * exponent, safe)
    left = ((square - back) + (rest[0] - back_rest[0])) + (rest[1] - back_rest[1])
    small = lax.stop_gradient(0.5 * left / safe)
    value = jnp.exp(-exponent) * (1 - jnp.clip(small, -1e-2, 1e-2))
    return value / math.sqrt(2 * math.pi)


def _farthest(dtype: Any) -> float:
    return 16.0 if dtype == jnp.float32 else 45.0


def _tiny(dtype: Any) -> float:
    """The smallest normal number."""
    return 2.0**-126 if dtype == jnp.float32 else 2.0**-1022


def _eps(dtype: Any) -> float:
    return 2.0**-23 if dtype == jnp.float32 else 2.0**-52


class _Part(NamedTuple):
    """The integral of value(z - inner) from inner >= 0 on, z ~ N(0, 1)."""

    inner: Array
    length: Array
    size: Array  # length times the density at inner times what else is a factor
    value: Callable[[Array], Array]


def _part(
    inner: Array, outer: Array | None, density: Array, value: Callable[[Array], Array]
) -> _Part:
    """That up to `outer` (None: infinity); density: the normal one at inner.

    Cut where the rest is too small to count even where the value is small at first.
    """
    nats = _nats(inner.dtype) + 8
    length = 2 * nats / (inner + jnp.sqrt(inner * inner + 2 * nats))
    if outer is not None:
        length = jnp.minimum(length, jnp.maximum(outer - inner, 0.0))
    return _Part(inner, length, length * density, value)


def _sums(groups: list[list[_Part]], dtype: Any) -> list[Array | None]:
    """The sum of every group of parts; None for an empty one."""

    def integrand(node: Array) -> tuple[Array, ...]:
        totals = []
        for parts in filter(None, groups):
            total: Any = 0.0
            for part in parts:
                z = part.length * node
                weight = part.size * jnp.exp(-z * (part.inner + 0.5 * z))
                total = total + weight * part.value(z)
            totals.append(total)
        return tuple(totals)

    if not any(groups):
        return [None for _ in groups]
    # Errors at inner = 0: 7e-10 by 16 nodes, 1e-16 by 30.
    results = iter(_integral(integrand, 16 if dtype == jnp.float32 else 30, dtype))
    return [next(results) if parts else None for parts in groups]


def _polynomial(coefficients: tuple[Any, ...], y: Array) -> Array:
    total = jnp.full_like(y, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * y + c
    return total


def _mirrored(f: Pieces) -> Pieces:
    """The function x -> f(-x)."""
    polynomials = tuple(tuple((-1) ** n * c for n, c in enumerate(p)) for p in f.polynomials)
    orders = None if f.orders is None else f.orders[::-1]
    return Pieces(tuple(-t for t in f.places[::-1]), polynomials[::-1], orders, f.parity)


class _Cell(NamedTuple):
    """A piece within x > 0, its ends over sqrt(q) (None: infinity), P about the lower end.

    density: the normal one at the lower end.
    """

    low: Array
    density: Array
    high: Array | None
    coefficients: tuple[Any, ...]


def _cells(f: Pieces, r: int, q: Array) -> list[_Cell]:
    """The pieces of f^(r) within x > 0, those left out that are known to be empty or 0."""
    cells = []
    ends = (None, *f.places, None)
    for low, high, polynomial in zip(ends[:-1], ends[1:], f.polynomials, strict=True):
        rate = _derivative(polynomial, r)
        if not _absent(rate) and not (high is not None and _known(high) and high <= 0):
            cells.append(_cell(low, high, rate, q))
    return cells


def _cell(low: Any, high: Any, polynomial: tuple[Any, ...], q: Array) -> _Cell:
    """The part with x > 0 of the polynomial between low and high (None: infinity)."""
    outer = None if high is None else jnp.maximum(_standardised(high, q), 0.0)
    if low is None or (_known(low) and low <= 0):
        density = jnp.full_like(q, 1 / math.sqrt(2 * math.pi))
        return _Cell(jnp.zeros_like(q), density, outer, polynomial)
    at = low if _known(low) else jnp.maximum(jnp.asarray(low, q.dtype), 0.0)
    return _Cell(_standardised(at, q), _density_of(at, q), outer, _shifted(polynomial, at))


def _mean_parts(f: Pieces, r: int, q: Array) -> list[_Part]:
    """What adds up to E[f^(r)(u)], f^(r) taken almost everywhere."""
    halves = _halves(f)
    if halves is None and len(f.places) == 1:
        return _one_place_parts(f, r, jnp.zeros_like(q), root(q))
    if halves is None:
        sides: list[tuple[Pieces | None, int]] = [(f, 1), (_mirrored(f), (-1) ** r)]
    else:
        sides = [(halves[r % 2], 2)]
    scale, parts = root(q), []
    for side, factor in sides:
        for cell in [] if side is None else _cells(side, r, q):

            def value(z: Array, coefficients: tuple[Any, ...] = cell.coefficients) -> Array:
                return _polynomial(coefficients, scale * z)

            part = _part(cell.low, cell.high, cell.density, value)
            parts.append(part._replace(size=factor * part.size))
    return parts


def _one_place_parts(f: Pieces, r: int, mean: Array, spread: Array) -> list[_Part]:
    """What adds up to E[f^(r)(mean + spread z)] for one place, of whatever sign.

    What f is at the mean, and what changes beyond the place: pieces from the mean on would leave
    the differences of large moments where the place is far out.
    """
    (place,) = f.places
    rows = _paired(*(_derivative(p, r) for p in f.polynomials))
    if not rows:
        return []
    t = jnp.asarray(place, mean.dtype)
    sign = jnp.where(t > mean, 1.0, -1.0).astype(mean.dtype)
    base = _shifted(tuple(jnp.where(t > mean, a, b) for a, b in rows), mean)
    even = tuple(c if n % 2 == 0 else jnp.zeros_like(c) for n, c in enumerate(base))
    change = _shifted(tuple(_plus([b, -a]) for a, b in rows), place)
    steps = tuple(sign ** (n + 1) * c for n, c in enumerate(change))
    away = jnp.abs(t - mean)
    inner = away / jnp.maximum(spread, away / _farthest(mean.dtype) + math.sqrt(_tiny(mean.dtype)))
    density = _density_of(away, jnp.square(spread))
    start, middle = jnp.zeros_like(inner), jnp.full_like(inner, 1 / math.sqrt(2 * math.pi))
    whole = _part(start, None, middle, lambda z: _polynomial(even, spread * z))
    outer = _part(inner, None, density, lambda z: _polynomial(steps, spread * z))
    return [whole._replace(size=2 * whole.size), outer]


def _halves(f: Pieces) -> tuple[Pieces | None, Pieces | None] | None:
    """The even and the odd part of f on x > 0, None for 0; None if the places do not tell.

    Put together before anything is rounded, what cancels between x and -x leaves no error.
    """
    count, parity = len(f.places), _parity(f)
    if parity:
        first = (count + 1) // 2  # a place in the middle is 0
        half = Pieces((0.0, *f.places[first:]), ((0.0,), *f.polynomials[first:]))
        return (half, None) if parity == 1 else (None, half)
    sides = _sides(f)
    if sides is None:
        return None
    parts = []
    for sign in (0.5, -0.5):
        rows = [
            tuple(_plus([0.5 * a, sign * b]) for a, b in _paired(here, there))
            for here, there in zip(sides[0].polynomials, sides[1].polynomials, strict=True)
        ]
        parts.append(Pieces(sides[0].places, tuple(rows)))
    return parts[0], parts[1]


def _sides(f: Pieces) -> tuple[Pieces, Pieces] | None:
    """The functions f(x) and f(-x) on x > 0, with common places; None if their order is unknown."""
    if not _known(*f.places):
        return None
    ends = (0.0, *sorted({abs(t) for t in f.places if t != 0}))
    here, there = (
        tuple(g.polynomials[sum(t <= end for t in g.places)] for end in ends)
        for g in (f, _mirrored(f))
    )
    return Pieces(ends, ((0.0,), *here)), Pieces(ends, ((0.0,), *there))


def pieces_mean(f: Pieces, q: Array) -> Array:
    """E[f(u)], u ~ N(0, q)."""
    (total,) = _sums([_mean_parts(f, 0, q)], q.dtype)
    return jnp.zeros_like(q) if total is None else total


def pieces_coefficients(order: int, f: Pieces, q: Array) -> Array:
    """a_n(q) = E[f(sqrt(q) Z) h_n(Z)], n = 0..order, along a new first axis.

    By parts: sqrt(q^n/n!) E[f^(n)], taken almost everywhere, and for a jump J of f^(i) at t, i < n,
    J q^(i/2) sqrt((n-1-i)!/n!) h_{n-1-i}(z) phi_N(z), z = t/sqrt(q).
    """
    depth = min(_degree(f), order)
    means = _sums([_mean_parts(f, r, q) for r in range(depth + 1)], q.dtype)
    rows = [jnp.zeros_like(q) if mean is None else mean for mean in means]
    rows = [_half_power(q, n) * row / math.sqrt(math.factorial(n)) for n, row in enumerate(rows)]
    total = jnp.stack(rows + [jnp.zeros_like(q)] * (order - depth))
    for index, i, jump in _jumps(f):
        if i >= order:
            continue
        place = f.places[index]
        z = _standardised(place, q)
        falls = [math.sqrt(math.prod(range(n - i, n + 1))) for n in range(i + 1, order + 1)]
        weights = jnp.asarray([1 / fall for fall in falls], q.dtype)
        waves = _waves(z, order - i) * jnp.exp(-z * z / 4)[None]
        size = jump * _half_power(q, i) / math.sqrt(2 * math.pi)
        total = total.at[i + 1 :].add(size[None] * waves * weights.reshape(-1, *(1,) * q.ndim))
    lost = _compact_rate(f, order)
    if lost is None:
        return total
    reach = jnp.square(_extent(f, q.dtype))
    flat = q >= reach  # there masses nearly cancel
    smooth = _flat_coefficients(order, lost, f, jnp.where(flat, q, reach))
    return total.at[lost:].set(jnp.where(flat[None], smooth, total[lost:]))


def _compact_rate(f: Pieces, order: int) -> int | None:
    """The lowest derivative of f that is 0 outside its places, if f has it without masses."""
    outer = (f.polynomials[0], f.polynomials[-1])
    lost = max((n + 1 for p in outer for n, c in enumerate(p) if not _absent((c,))), default=0)
    smooth = all(a >= lost for _, a, _ in _jumps(f))
    return lost if smooth and len(f.places) > 1 and lost <= order else None


def _flat_coefficients(order: int, lost: int, f: Pieces, q: Array) -> Array:
    """a_n(q) = sqrt(q^r (n-r)!/n!) E[f^(r)(u) h_{n-r}(u/sqrt(q))], n = r..order, r = lost.

    By Gauss's rule between places, all within a standard deviation.
    """
    scale = root(q)
    cells = _inner_cells(f, lost, q.dtype)

    def integrand(node: Array) -> tuple[Array]:
        total = jnp.zeros((order - lost + 1, *q.shape), q.dtype)
        for low, width, polynomial in cells:
            x = low + width * node
            z = x / scale
            weight = width * _polynomial(polynomial, x) * jnp.exp(-z * z / 4)
            total = total + weight[None] * _waves(z, order - lost + 1)
        return (total,)

    (total,) = _integral(integrand, 16 if q.dtype == jnp.float32 else 30, q.dtype)
    falls = [1 / math.sqrt(math.prod(range(n - lost + 1, n + 1))) for n in range(lost, order + 1)]
    absent = {1: 1, -1: 0}.get(_parity(f))  # of an even function odd degrees, and the reverse
    falls = [0.0 if n % 2 == absent else fall for n, fall in enumerate(falls, lost)]
    size = _half_power(q, lost) / (math.sqrt(2 * math.pi) * scale)
    return total * size[None] * jnp.asarray(falls, q.dtype).reshape(-1, *(1,) * q.ndim)


def _inner_cells(f: Pieces, r: int, dtype: Any) -> list[tuple[Array, Array, tuple[Any, ...]]]:
    """(lower end, width, polynomial) of f^(r) between places, where it is not known to be 0."""
    cells = []
    for low, high, polynomial in zip(f.places[:-1], f.places[1:], f.polynomials[1:-1], strict=True):
        low, high = (jnp.asarray(x, dtype) for x in (low, high))
        rate = _derivative(polynomial, r)
        if not _absent(rate):
            cells.append((low, high - low, rate))
    return cells


def _hermite(n: int, z: Array) -> Array:
    """He_n(z)."""
    last, this = jnp.zeros_like(z), jnp.ones_like(z)
    for j in range(n):
        last, this = this, z * this - j * last
    return this


def _mass_mean(f: Pieces, r: int, q: Array) -> Array | None:
    """q^(r/2) times the mean of the Dirac masses in f^(r); None if there are none."""
    total = None
    for i, a, jump in _jumps(f):
        if a < r:
            place = f.places[i]
            h = _standardised(place, q)
            value = _hermite(r - 1 - a, h) * _density_of(place, q) * _half_power(q, a) * jump
            total = value if total is None else total + value
    return total


def _half_power(q: Array, a: int) -> Array:
    """q^(a/2)."""
    return lax.integer_pow(root(q) if a % 2 else q, a if a % 2 else a // 2)


# ---- two variables


class _Mass(NamedTuple):
    """A jump of f^(a): its place over the sd, a, the jump times sd^a."""

    number: int  # of the place
    size: Any  # equal where |place| is
    h: Array
    order: int
    jump: Array


class _Kinks(NamedTuple):
    """The places of both functions, turned so that rho >= 0."""

    left: tuple[_Mass, ...]
    right: tuple[_Mass, ...]
    whole: tuple[tuple[int, bool], ...]  # orders whose jumps cancel; whether pairwise, t and -t
    even: tuple[int, ...]  # orders whose jumps at t and -t are known to be equal, on a side
    mirrored: bool  # whether all places come with their images, on both sides


def pieces_moment(f: Pieces, g: Pieces, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[f(u) g(v)], d = gap(q12, q11, q22)."""
    return in_tiles(lambda *q: _moment_of_tile(f, g, *q), (q12, q11, q22, d), _TILE)


def _moment_of_tile(f: Pieces, g: Pieces, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[f(u) g(v)].

    Functions that vanish outside their places are integrated as they are where the density is
    smooth on them: there the terms of Price's theorem cancel.
    """
    value = _by_price(f, g, q12, q11, q22, d)
    compact = _is_compact(f), _is_compact(g)
    if not compact[1] and (_is_blunt(g, f) or (not compact[0] and _is_blunt(f, g))):
        value = jnp.where(*_beside_outer(f, g, q12, q11, q22, d), value)
    if not any(compact) or (_is_one_step(f) and _is_one_step(g)):
        return value
    depth = max(_degree(f), _degree(g))
    if compact[0] and not (_has_pole(f, depth) and _has_pole(g, depth)):
        value = _over_layers(f, g, q12, q11, q22, d, value)
    wide = root(d)
    nowhere = jnp.zeros_like(wide, bool)
    reach_u, reach_v = (_extent(x, q12.dtype) if _is_compact(x) else None for x in (f, g))
    flat_u = nowhere if reach_u is None else reach_u * root(q22) <= 1.5 * wide
    flat_v = nowhere if reach_v is None else reach_v * root(q11) <= 1.5 * wide
    if reach_u is not None and reach_v is not None:
        flat_v = flat_v & (~flat_u | (q11 * reach_v**2 < q22 * reach_u**2))
    flat_u = flat_u & ~flat_v
    for flat, one, two, swapped in ((flat_u, f, g, False), (flat_v, g, f, True)):
        if not _is_compact(one):
            continue
        q, other = (q22, q11) if swapped else (q11, q22)
        safe = [jnp.where(flat, x, y) for x, y in ((q12, 0.0), (q, 1.0), (other, 1.0), (d, 1.0))]
        value = jnp.where(flat, _over_places(one, two, *safe), value)
    return value


def _is_one_step(f: Pieces) -> bool:
    """Whether f is known to be constant between places, and nowhere of another sign."""
    heights = [c for polynomial in f.polynomials for c in polynomial[:1]]
    if _degree(f) > 0 or not _known(*heights):
        return _degree(f) == 0
    return bool(min(heights) >= 0 or max(heights) <= 0)


def _is_compact(f: Pieces) -> bool:
    """Whether f is known to vanish outside its places."""
    return len(f.places) > 1 and _absent(f.polynomials[0]) and _absent(f.polynomials[-1])


def _outer(f: Pieces) -> Pieces | None:
    """The outer parts of f, one on either side of 0; None if it is not known where 0 is."""
    if not _known(*f.places):
        return None
    return Pieces((0.0,), (f.polynomials[0], f.polynomials[-1]), None, f.parity)


def _is_blunt(f: Pieces, g: Pieces) -> bool:
    """Whether some derivative of f jumps by second differences, beside jumps of other orders.

    At large variances such jumps are nearly all lost in their sum.
    """
    if _outer(f) is None or len({a for _, a, _ in (*_jumps(f), *_jumps(g))}) < 2:
        return False
    jumps: dict[int, list[tuple[Any, Any]]] = {}
    for i, a, jump in _jumps(f):
        jumps.setdefault(a, []).append((f.places[i], jump))
    return any(
        _known(*(j for _, j in row))
        and _plus([j for _, j in row]) == _plus([t * j for t, j in row]) == 0
        for row in jumps.values()
    )


def _beside_outer(
    f: Pieces, g: Pieces, q12: Array, q11: Array, q22: Array, d: Array
) -> tuple[Array, Array]:
    """Where variances are large beside the places, and there E[f(u) g(v)].

    The moment of the outer parts, and integrals over the places of what f and g are beside them;
    a compact f is left as it is.
    """
    wide = jnp.ones_like(q12, bool)
    for x, q, other in ((f, q11, q22), (g, q22, q11)):
        if not _is_compact(x):
            reach = _extent(x, q.dtype)
            wide = wide & (root(q) >= 8 * reach) & (reach * root(other) <= 1.5 * root(d))
    q12, q11, q22, d = (
        jnp.where(wide, x, y) for x, y in ((q12, 0.0), (q11, 1.0), (q22, 1.0), (d, 1.0))
    )
    left, right = (x if _is_compact(x) else _outer(x) or x for x in (f, g))
    value = _by_price(left, right, q12, q11, q22, d)
    if not _is_compact(f):
        value = value + _over_places(_beside(f, left), g, q12, q11, q22, d)
    return wide, value + _over_places(_beside(g, right), left, q12, q22, q11, d)


def _beside(f: Pieces, outer: Pieces) -> Pieces:
    """The function f less its outer parts."""
    places = tuple(sorted({0.0, *f.places}))
    rows = []
    for end in (*places, math.inf):
        row = f.polynomials[sum(t < end for t in f.places)]
        rows.append(_paired(row, outer.polynomials[0 if end <= 0 else 1]))
    return Pieces(
        places, tuple(tuple(_plus([a, -b]) for a, b in row) for row in rows), None, f.parity
    )


def _extent(f: Pieces, dtype: Any) -> Array:
    """The largest |x| at which f is not 0."""
    return jnp.maximum(*(jnp.abs(jnp.asarray(f.places[i], dtype)) for i in (0, -1)))


def _over_places(f: Pieces, g: Pieces, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """The integral over x of f(x), the density of u at x and E[g(v)] given u = x."""
    slope, spread = q12 / q11, root(d / q11)
    cells = _inner_cells(f, 0, q12.dtype)
    rows = [(low + 0 * slope, width + 0 * slope, row) for low, width, row in cells]
    return _over_intervals(rows, g, slope, spread, q11, 12 if q12.dtype == jnp.float32 else 22)


def _over_intervals(
    rows: list[tuple[Array, Array, tuple[Any, ...]]],
    g: Pieces,
    slope: Array,
    spread: Array,
    q11: Array,
    nodes: int,
) -> Array:
    """The same over intervals (lower end, width, polynomial), which stand on a new first axis."""
    if not rows:
        return jnp.zeros_like(slope)
    low, width = (jnp.stack(x) for x in tuple(zip(*rows, strict=True))[:2])
    factor, wide = _columns([row for *_, row in rows], low), jnp.broadcast_to(spread, low.shape)
    slopes, half = slope[None], 0.5 / q11[None]

    def integrand(node: Array) -> tuple[Array]:
        x = low + width * node
        value = width * _polynomial(factor, x) * jnp.exp(-x * x * half)
        return (jnp.sum(value * _shifted_mean(g, slopes * x, wide), 0),)

    (total,) = _integral(integrand, nodes, slope.dtype)
    return total / (math.sqrt(2 * math.pi) * root(q11))


def _columns(polynomials: list[tuple[Any, ...]], like: Array) -> tuple[Array, ...]:
    """The coefficients of one power each, along the first axis."""
    shape = (len(polynomials), *(1,) * (like.ndim - 1))
    rows = zip_longest(*polynomials, fillvalue=0.0)
    return tuple(jnp.stack([jnp.asarray(c, like.dtype) for c in r]).reshape(shape) for r in rows)


def _over_layers(
    f: Pieces, g: Pieces, q12: Array, q11: Array, q22: Array, d: Array, otherwise: Array
) -> Array:
    """E[f(u) g(v)] for a compact f, where the density is smooth on it but E[g(v) given u] is not.

    Elsewhere `otherwise`. Between f's places and those of g as u sees them, by Gauss's rule on
    layers as wide as that mean turns within, and on what is between layers.
    """
    reach, other = (_extent(x, q12.dtype) for x in (f, g))
    far = (root(q11) >= 8 * reach) | (root(q22) >= 8 * other)  # where Price's theorem loses digits
    smooth = root(q11) >= 0.45 * reach
    thin = far & smooth & (reach * root(q22) > 1.5 * root(d)) & (d > 0)

    def layered() -> Array:
        safe = (jnp.where(thin, x, y) for x, y in ((q12, 1.0), (q11, 1.0), (d, 0.0)))
        return jnp.where(thin, _of_layers(f, g, *safe), otherwise)

    return lax.cond(jnp.any(thin), layered, lambda: otherwise)


def _of_layers(f: Pieces, g: Pieces, q12: Array, q11: Array, d: Array) -> Array:
    """The same where it holds."""
    slope, spread = q12 / q11, root(d / q11)
    places = jnp.stack([jnp.asarray(t, q12.dtype) / slope for t in g.places])
    within = (8.0 if q12.dtype == jnp.float32 else 11.0) * spread / jnp.abs(slope)
    rows = []
    for low, width, polynomial in _inner_cells(f, 0, q12.dtype):
        cuts = jnp.sort(jnp.clip(places, low, low + width), 0)
        for start, end in pairwise([low + 0 * slope, *cuts, low + width + 0 * slope]):
            layer = jnp.minimum(within, 0.5 * (end - start))
            ends = start, start + layer, end - layer
            widths = layer, end - start - 2 * layer, layer
            rows += [(a, b, polynomial) for a, b in zip(ends, widths, strict=True)]
    return _over_intervals(rows, g, slope, spread, q11, 16 if q12.dtype == jnp.float32 else 30)


def bent_over_places(
    f: Pieces, line: tuple[float, float], q12: Array, q11: Array, q22: Array, d: Array
) -> tuple[Array, Array]:
    """Where densities are smooth on f's places, and there E[f''(u) (f(v) + line(v))]/2.

    For an f that vanishes outside its places: by parts, the integral of f over the second
    derivative in x of p(x) E[f(v) + line(v) given u = x]. An f of known parity meets only that part
    of the line, and the images x and -x are put together: what cancels at q12 = 0 leaves no error.
    """
    reach, wide = _extent(f, q12.dtype), root(d)
    flat = (wide > 0) & (reach * jnp.maximum(root(q11), root(q22)) <= 1.5 * wide)
    q12, q11, d = (jnp.where(flat, x, y) for x, y in ((q12, 0.0), (q11, 1.0), (d, 1.0)))
    slope, spread = q12 / q11, root(d / q11)
    steep, nodes = slope / spread, 12 if q12.dtype == jnp.float32 else 22
    parity, halves = _parity(f), _halves(f) or (None, None)
    cells = _inner_cells((halves[parity == -1] or f) if parity else f, 0, q12.dtype)
    images = 2 if parity else 1
    start, rise = (0.0 if parity == sign else c for c, sign in zip(line, (-1, 1), strict=True))

    def inner(x: Array) -> tuple[Array, ...]:
        """E[f(v)] given u = x, and its derivatives in slope x, times spread and spread^2."""

        def integrand(node: Array) -> tuple[Array, ...]:
            totals, m = [jnp.zeros_like(x)] * 3, slope * x / spread
            for low, width, polynomial in cells:
                y = (low + width * node) / spread
                both = jnp.cosh(m * y), jnp.sinh(m * y)  # exp(m y) at y and -y, taken together
                even, odd = {1: both, -1: both[::-1], 0: (jnp.exp(m * y),) * 2}[parity]
                weight = width * _polynomial(polynomial, low + width * node)
                weight = weight * (jnp.exp(-0.5 * (y * y + m * m)) / spread)
                rates = even, y * odd - m * even, (y * y + m * m - 1) * even - 2 * m * y * odd
                totals = [t + weight * rate for t, rate in zip(totals, rates, strict=True)]
            return tuple(totals)

        return _integral(integrand, nodes, q12.dtype)

    def outer(node: Array) -> tuple[Array]:
        total = jnp.zeros_like(slope)
        for low, width, polynomial in cells:
            x = low + width * node
            value, rate, bend = (images * y / math.sqrt(2 * math.pi) for y in inner(x))
            value = value + start + rise * (slope * x)
            rate = rise * slope + steep * rate
            bent = (x * x / q11 - 1) / q11 * value - 2 * x / q11 * rate + steep * steep * bend
            density = jnp.exp(-x * x / (2 * q11))
            total = total + images / 2 * width * _polynomial(polynomial, x) * density * bent
        return (total,)

    (total,) = _integral(outer, nodes, q12.dtype)
    return flat, total / (math.sqrt(2 * math.pi) * root(q11))


def _by_price(f: Pieces, g: Pieces, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[f(u) g(v)]; the anchor is rho = 0, and beyond `_switch` the nearer of rho = 1 and -1."""
    depth = max(_degree(f), _degree(g))
    sign = jnp.where(q12 < 0, -1.0, 1.0).astype(q12.dtype)
    scale = root(q11) * root(q22)
    tau = _half_tangent(q12, scale, d)
    rho = jnp.clip(q12, -scale, scale) / jnp.where(scale > 0, scale, 1.0)
    kinks = _kinks(f, g, q11, q22, sign)
    value = _taylor_at_zero(f, g, q12, q11, q22, rho, depth)
    if not kinks.left or not kinks.right:
        return value
    if not _has_pole(f, depth) or not _has_pole(g, depth):
        floor = jnp.maximum(tau, math.exp(-_nats(tau.dtype)) * jnp.minimum(1.0, _reach(kinks)))
        window = _window(kinks, floor, jnp.ones_like(tau), tau)
        value = value + _remainder(kinks, rho, tau, window)
        # There is no expansion about rho = +-1, but there is the value there, a single integral.
        there = _taylor_at_pole(f, g, q12, q11, q22, scale, sign, tau, 0)
        return jnp.where((tau == 0) & (scale > 0), there, value)
    near = tau < _switch(f, g, kinks, q12)
    at_pole = lax.cond(
        jnp.any(near),
        lambda: _taylor_at_pole(f, g, q12, q11, q22, scale, sign, tau, depth),
        lambda: jnp.zeros_like(value),
    )
    low = jnp.where(near, 0.0, tau)
    window = _window(kinks, low, jnp.where(near, tau, 1.0), tau)
    rest = _remainder(kinks, rho, tau, window)
    return jnp.where(near, at_pole - rest, value + rest)


def _half_tangent(q12: Array, scale: Array, d: Array) -> Array:
    """tan(psi/2) with cos(psi) = |rho|; 1 where a variance is 0."""
    # The quotient comes last: XLA repeats what is cheap wherever it is used.
    apart = (scale > 0) & (q12 != 0) & (d > 0)
    above = jnp.where(apart, jnp.abs(q12) + scale, 1.0)
    flat = jnp.where((scale > 0) & (q12 != 0), 0.0, 1.0)
    return jnp.where(apart, jnp.minimum(root(d), above), flat) / above


def _kinks(f: Pieces, g: Pieces, q11: Array, q22: Array, sign: Array) -> _Kinks:
    """The kinks of f(u) and of g(sign v)."""
    left = [
        _Mass(i, _size(f, i), _standardised(f.places[i], q11), a, j * _half_power(q11, a))
        for i, a, j in _jumps(f)
    ]
    right = []
    for i, a, j in _jumps(g):
        turned = sign * j if a % 2 == 0 else jnp.full_like(sign, j)
        h = sign * _standardised(g.places[i], q22)
        right.append(_Mass(i, _size(g, i), h, a, turned * _half_power(q22, a)))
    whole = tuple(
        (a, _cancels_in_pairs(f, a) or _cancels_in_pairs(g, a))
        for a in range(_degree(f) + 1)
        if _cancels(f, a) and _cancels(g, a)
    )
    degrees = range(max(_degree(f), _degree(g)) + 1)
    even = tuple(a for a in degrees if -((-1) ** a) in (_parity(f), _parity(g)))
    return _Kinks(tuple(left), tuple(right), whole, even, bool(_parity(f) and _parity(g)))


def _size(f: Pieces, i: int) -> Any:
    """What stands for the size of the i-th place."""
    if _known(f.places[i]):
        return abs(f.places[i])
    return f"{min(i, len(f.places) - 1 - i) if _parity(f) else i}"


def _cancels(f: Pieces, a: int) -> bool:
    """Whether the jumps of f^(a) are known to add up to 0."""
    jumps = [j for _, order, j in _jumps(f) if order == a]
    return bool(jumps) and (_mirror_images(f, a) or (_known(*jumps) and _plus(jumps) == 0))


def _mirror_images(f: Pieces, a: int) -> bool:
    """Whether parity says that the jumps of f^(a) at t and -t are opposite."""
    middle = (len(f.places) - 1) / 2
    on_zero = any(i == middle and order == a for i, order, _ in _jumps(f))
    return _parity(f) == (-1) ** a and not on_zero


def _fades(f: Pieces) -> bool:
    """Whether the jumps of the lowest derivative that has any add up to 0: a step from afar."""
    orders = [a for _, a, _ in _jumps(f)]
    return bool(orders) and _cancels(f, min(orders))


def _cancels_in_pairs(f: Pieces, a: int) -> bool:
    """Whether they do already at every t and -t."""
    if _mirror_images(f, a):
        return True
    sizes: dict[float, list[float]] = {}
    for i, order, j in _jumps(f):
        if order == a:
            if not _known(f.places[i], j):
                return False
            sizes.setdefault(abs(f.places[i]), []).append(j)
    return all(_plus(js) == 0 for js in sizes.values())


def _has_pole(f: Pieces, depth: int) -> bool:
    """Whether the Taylor polynomial at rho = +-1 exists: no derivative of a mass in it."""
    return all(a >= depth - 1 for _, a, _ in _jumps(f))


def _reach(kinks: _Kinks) -> Array:
    """The largest |h| + |k|."""
    sides = [[jnp.abs(mass.h) for mass in side] for side in (kinks.left, kinks.right)]
    return reduce(jnp.maximum, sides[0]) + reduce(jnp.maximum, sides[1])


def _parity(f: Pieces) -> int:
    """1 if f is known to be even, -1 if odd, else 0."""
    if f.parity is not None:
        return f.parity
    numbers = [*f.places, *(c for p in f.polynomials for c in p)]
    if not _known(*numbers):
        return 0
    mirror = _mirrored(f)
    for sign in (1, -1):
        same = mirror.places == tuple(float(t) for t in f.places) and all(
            _absent(tuple(_plus([a, -sign * b]) for a, b in _paired(p, m)))
            for p, m in zip(f.polynomials, mirror.polynomials, strict=True)
        )
        if same:
            return sign
    return 0


def _paired(p: tuple[Any, ...], m: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    size = max(len(p), len(m))
    fill = (0.0,) * size
    return list(zip((p + fill)[:size], (m + fill)[:size], strict=True))


def _switch(f: Pieces, g: Pieces, kinks: _Kinks, q12: Array) -> Array:
    """The tau below which the anchor is rho = +-1.

    Beyond the widest layer exp(-(h - k)^2/(8 tau^2)) the integral from there is a small one; for
    kinks far out it is not before tau h is below 1. A function that is neither odd nor
    even may nearly vanish at rho = -1, and then there is nothing to lose in going further.
    """
    sides = [[jnp.abs(mass.h) for mass in side] for side in (kinks.left, kinks.right)]
    furthest = [reduce(jnp.maximum, side) for side in sides]
    nearest = [reduce(jnp.minimum, side) for side in sides]
    widest = furthest[0] + furthest[1]
    layer = jnp.where(widest > 0, jnp.minimum(widest, 1.0), 1.0)
    away = jnp.maximum(nearest[0] + nearest[1], 1.0)
    positive = math.exp(-2.0) * layer / away
    if _parity(f) and _parity(g):
        return positive
    layer = jnp.minimum(jnp.minimum(furthest[0], furthest[1]), 1.0) / away
    orders = {mass.order for mass in (*kinks.left, *kinks.right)}
    if len(orders) == 1 and not _fades(f) and not _fades(g):  # the kernel has one sign
        sided = all(_absent(x.polynomials[0]) or _absent(x.polynomials[-1]) for x in (f, g))
        inside = jnp.maximum(*furthest) < 1  # else a line meets a line at rho = -1
        layer = jnp.ones_like(layer) if sided else jnp.where(inside, 1.0, layer)
    return jnp.where(q12 < 0, layer, positive)


def _taylor_at_zero(
    f: Pieces, g: Pieces, q12: Array, q11: Array, q22: Array, rho: Array, depth: int
) -> Array:
    """The sum of q12^r/r! E[f^(r)(u)] E[g^(r)(v)] without the products of two masses."""
    total = jnp.zeros_like(q12)
    parities = _parity(f), _parity(g)
    degrees = [r for r in range(depth + 1) if -((-1) ** r) not in parities]  # else f^(r) is odd
    groups = [_mean_parts(f, r, q11) for r in degrees]
    if f is not g or q11 is not q22:
        groups += [_mean_parts(g, r, q22) for r in degrees]
    means = _sums(groups, q12.dtype)
    one, two = means[: len(degrees)], means[-len(degrees) :]
    for r, left, right in zip(degrees, one, two, strict=True):
        smooth = [
            jnp.zeros_like(q) if mean is None else mean for mean, q in ((left, q11), (right, q22))
        ]
        masses = _mass_mean(f, r, q11), _mass_mean(g, r, q22)
        total = total + lax.integer_pow(q12, r) * (smooth[0] * smooth[1]) / math.factorial(r)
        power = lax.integer_pow(rho, r) / math.factorial(r)
        if masses[0] is not None:
            total = total + power * (masses[0] * (smooth[1] * _half_power(q22, r)))
        if masses[1] is not None:
            total = total + power * (masses[1] * (smooth[0] * _half_power(q11, r)))
    return total


def _taylor_at_pole(
    f: Pieces,
    g: Pieces,
    q12: Array,
    q11: Array,
    q22: Array,
    scale: Array,
    sign: Array,
    tau: Array,
    depth: int,
) -> Array:
    """The same about rho = +-1, where u/sqrt(q11) = sign v/sqrt(q22) = z."""
    square = tau * tau
    step = -2 * scale * square / (1 + square)  # |q12| - sqrt(q11 q22)
    parts = []
    for r in range(depth + 1):
        factor = lax.integer_pow(step, r) / math.factorial(r)
        rows = _joint_parts(f, g, r, q11, q22, sign)
        parts += [part._replace(size=part.size * factor) for part in rows]
    (smooth,) = _sums([parts], q12.dtype)
    total = jnp.zeros_like(q12) if smooth is None else smooth
    for r in range(1, depth + 1):
        relative = lax.integer_pow(-2 * square / (1 + square), r) / math.factorial(r)
        total = total + relative * _joint_masses(f, g, r, q11, q22, sign)
        total = total + relative * _joint_masses(g, f, r, q22, q11, sign)
    return total


def pieces_square(f: Pieces, q: Array) -> Array:
    """E[f(u)^2], u ~ N(0, q)."""
    (total,) = _sums([_joint_parts(f, f, 0, q, q, 1.0)], q.dtype)
    return jnp.zeros_like(q) if total is None else total


def _joint_parts(
    f: Pieces, g: Pieces, r: int, q11: Array, q22: Array, sign: Array | float
) -> list[_Part]:
    """What adds up to E[f^(r)(sqrt(q11) z) h^(r)(sqrt(q22) z)], h(x) = g(sign x)."""
    if _parity(f) and _parity(g):
        left, right = (_halves(h) or (None, None) for h in (f, g))
        odd = _parity(f) == -1
        one, two = left[odd], right[odd]
        if one is None or two is None:
            return []
        factor = 2 * sign if odd else 2.0
        return _joint_half((one, None), (two, None), r, q11, q22, (None, factor))
    lefts, rights = _sides(f), _sides(g)
    if lefts is not None and rights is not None:
        return _joint_half(lefts, rights, r, q11, q22, (sign, 1.0))
    turned, mirror = _mirrored(f), _mirrored(g)
    parts = []
    for one, two, way in ((f, g, 1), (turned, mirror, 1), (f, mirror, -1), (turned, g, -1)):
        if _known(sign) and sign != way:
            continue
        chosen = 1.0 if _known(sign) else jnp.where(sign == way, 1.0, 0.0).astype(q11.dtype)
        parts += _joint_half((one, None), (two, None), r, q11, q22, (None, chosen))
    return parts


def _joint_half(
    f: tuple[Pieces, Pieces | None],
    g: tuple[Pieces, Pieces | None],
    r: int,
    q11: Array,
    q22: Array,
    signs: tuple[Array | float | None, Array | float],
) -> list[_Part]:
    """The integral over z > 0 of f[0] g[0] + f[1] g[1]; of f[0] g[1] + f[1] g[0] where sign < 0.

    Each pair has its places in common. signs = (sign, a factor); sign None: there are no second
    functions.
    """
    parts = []
    for left in _common_cells(f, r, q11):
        for right in _common_cells(g, r, q22):
            products = [(0, 0), (1, 1), (0, 1), (1, 0)]
            present = [(i, j) for i, j in products if left[i] is not None and right[j] is not None]
            if present:
                part = _joint_cell(left, right, present, q11, q22, signs[0])
                parts.append(part._replace(size=part.size * signs[1]))
    return parts


def _common_cells(
    f: tuple[Pieces, Pieces | None], r: int, q: Array
) -> list[tuple[_Cell | None, _Cell | None]]:
    """The cells of both, one under the other; None where the function is 0 (or there is none)."""
    first = f[0]
    if f[1] is None:
        return [(cell, None) for cell in _cells(first, r, q)]
    rows = []
    ends = (*first.places, None)
    for low, high, *pair in zip(
        ends[:-1], ends[1:], first.polynomials[1:], f[1].polynomials[1:], strict=True
    ):
        rates = [_derivative(p, r) for p in pair]
        here, there = (None if _absent(p) else _cell(low, high, p, q) for p in rates)
        rows.append((here, there))
    return rows


def _joint_cell(
    left: tuple[_Cell | None, _Cell | None],
    right: tuple[_Cell | None, _Cell | None],
    present: list[tuple[int, int]],
    q11: Array,
    q22: Array,
    sign: Array | float | None,
) -> _Part:
    """The mean of the products `present` on the overlap: i = j where sign > 0, else i != j."""
    (one, *_), (two, *_) = ([cell for cell in pair if cell is not None] for pair in (left, right))
    highs = [high for high in (one.high, two.high) if high is not None]
    outer = reduce(jnp.minimum, highs) if highs else None
    inner = jnp.maximum(one.low, two.low)
    scales = root(q11), root(q22)
    starts = scales[0] * (inner - one.low), scales[1] * (inner - two.low)

    def product(z: Array) -> Array:
        value = jnp.zeros_like(z * (starts[0] + starts[1]))
        for i, j in present:
            p, t = left[i], right[j]
            if p is not None and t is not None:
                term = _polynomial(p.coefficients, starts[0] + scales[0] * z)
                term = term * _polynomial(t.coefficients, starts[1] + scales[1] * z)
                chosen = True if sign is None else (sign > 0) == (i == j)
                value = value + jnp.where(chosen, term, 0.0)
        return value

    return _part(inner, outer, jnp.minimum(one.density, two.density), product)


def _joint_masses(f: Pieces, g: Pieces, r: int, q11: Array, q22: Array, sign: Array) -> Array:
    """(q11 q22)^(r/2) times the mean of the masses in f^(r)(u) times g^(r)(v) turned by sign."""
    total = jnp.zeros_like(q11 * q22)
    for i, a, jump in _jumps(f):
        if a == r - 1:
            place = f.places[i]
            h = _standardised(place, q11)
            value = _at(g, r, sign * h, q22) * (sign if r % 2 else 1)
            size = jump * _half_power(q11, a) * _half_power(q22, r)
            total = total + size * _density_of(place, q11) * value
    return total


def _at(g: Pieces, r: int, z: Array, q: Array) -> Array:
    """g^(r)(sqrt(q) z), at a place the mean of both sides."""
    rates = [_derivative(p, r) or (0.0,) for p in g.polynomials]
    x = root(q) * z
    total = _polynomial(rates[0], x)
    for place, left, right in zip(g.places, rates[:-1], rates[1:], strict=True):
        beyond = 0.5 * (1 + jnp.sign(z - _standardised(place, q)))
        total = total + beyond * (_polynomial(right, x) - _polynomial(left, x))
    return total


# ---- the kernel and its integral


class _Window(NamedTuple):
    """The part of the range of tau that counts."""

    low: Array
    high: Array
    least: Array  # the smallest exponent in it
    layer: Array  # where the thinnest of its layers is


def _window(kinks: _Kinks, low: Array, high: Array, tau: Array) -> _Window:
    """The part of [low, high] in tau where some pair is within reach of the largest.

    The exponent of a pair is, plus = |h + k| and minus = |h - k|,
    max(h^2, k^2)/2 + (plus tau - minus/tau)^2/8. The moment depends on the end that is tau, and on
    no other.
    """
    low, high, tau_now = lax.stop_gradient((low, high, tau))
    tiny = _tiny(low.dtype)
    rows = []
    least: Array = jnp.inf
    layer: Array = high
    for h, k in _pairs(kinks):
        plus, minus = jnp.abs(h + k), jnp.abs(h - k)
        base = 0.5 * jnp.square(jnp.maximum(jnp.abs(h), jnp.abs(k)))
        best = jnp.clip(jnp.sqrt(minus / jnp.maximum(plus, tiny)), low, high)
        best = jnp.maximum(best, math.sqrt(tiny))
        least = jnp.minimum(least, base + jnp.square(plus * best - minus / best) / 8)
        rows.append((plus, minus, base))
        scale = jnp.where(minus > 0, minus, jnp.where(plus > 0, plus, high))
        layer = jnp.minimum(layer, scale)
    first, last = high, low
    for plus, minus, base in rows:
        room = least + _nats(low.dtype) - base
        inside = room > 0
        room = jnp.where(inside, 8 * room, 1.0)
        reach = 0.5 * (jnp.sqrt(room) + jnp.sqrt(room + 4 * plus * minus))
        bottom, top = minus / reach, reach / jnp.maximum(plus, tiny)
        first = jnp.where(inside, jnp.minimum(first, jnp.maximum(bottom, low)), first)
        last = jnp.where(inside, jnp.maximum(last, jnp.minimum(top, high)), last)
    last = jnp.maximum(first, last)
    first = jnp.where((first == low) & (low == tau_now), tau, first)
    last = jnp.where((last == high) & (high == tau_now), tau, last)
    return _Window(first, last, least, layer)


def _pairs(kinks: _Kinks) -> list[tuple[Array, Array]]:
    """The places of all pairs, without gradient; of mirror images only the nearer pair."""
    pairs = {}
    for a in kinks.left:
        for b in kinks.right:
            key = (a.size, b.size) if kinks.mirrored else (a.number, b.number)
            h, k = lax.stop_gradient((a.h, b.h))
            pairs[key] = (jnp.abs(h), jnp.abs(k)) if kinks.mirrored else (h, k)
    return list(pairs.values())


def _remainder(kinks: _Kinks, rho: Array, tau: Array, window: _Window) -> Array:
    """The integral of (q12 - t)^n/n! times the kernel from |t| = q12 to the anchor.

    By Gauss's rule in the eighth root of tau + a tenth of the thinnest layer: nearly its logarithm
    from there on, tau itself below.
    """
    single = tau.dtype == jnp.float32
    tiny = _tiny(tau.dtype) ** 0.25  # its fourth power is there
    positive = (window.high > window.low) & (window.high > 0)
    high = jnp.where(positive, window.high, 1.0)
    low = jnp.where(positive, window.low, 1.0)
    # 1 - tau has to be right where an odd moment is as small as rho.
    size = jnp.abs(rho)
    whole = (low == tau) & (high == 1.0)
    width = jnp.where(whole, 2 * size / ((1 + size) * (1 + tau)), high - low)
    # What a layer thinner than that adds is too little to be resolved.
    layer = jnp.maximum(0.1 * window.layer, (1e-4 if single else 1e-8) * high)
    start, end = low + layer, high + layer
    for _ in range(3):
        start, end = root(start), root(end)
        width = width / (start + end)
    twice = 2 / (1 + tau * tau)
    # What all share is put back at the end: the parts of a tiny result are not to underflow.
    held = lax.stop_gradient(jnp.minimum(window.least, 0.6 * _farthest(tau.dtype) ** 2 / 2))

    def integrand(node: Array) -> tuple[Array]:
        move, rate, first = width * node, width, start
        here = start + move
        for _ in range(3):  # the move of the square, and that of its square
            move, rate = move * (here + first), rate * (2 * here)
            here, first = here * here, first * first
        at = jnp.maximum(low + move, tiny)
        z = at * at
        both = 1 / (z * (1 + z))
        share = z * both  # 1/(1 + z)
        ahead = twice * share * ((at - tau) * (at + tau))
        return (rate * share * _kernel(kinks, held, z, (1 + z) * both, ahead),)

    mixed = len({mass.order for mass in (*kinks.left, *kinks.right)}) > 1
    nodes = (24 if mixed else 12 if kinks.mirrored else 18) if single else 96
    (total,) = _integral(integrand, nodes, tau.dtype)
    return jnp.where(positive, total / math.pi * jnp.exp(-held), 0.0)


def _kernel(kinks: _Kinks, held: Array, z: Array, inverse: Array, ahead: Array) -> Array:
    """The sum over pairs of jump jump' ahead^n/n! times a derivative of the joint density.

    Times exp(held). n is the larger order of the two; ahead = (q12 - t)/sqrt(q11 q22), z = tau^2
    at t, inverse = 1/z.
    """
    total = jnp.zeros_like(z)
    for n in sorted({m.order for m in kinks.left} | {m.order for m in kinks.right}):
        lefts = [m for m in kinks.left if m.order == n]
        rights = [m for m in kinks.right if m.order == n]
        value = jnp.zeros_like(z)
        if lefts and rights:
            value = value + _equal_orders(kinks, n, lefts, rights, held, z, inverse)
        for a in kinks.left:
            for b in kinks.right:
                if max(a.order, b.order) == n and a.order != b.order:
                    value = value + _mixed_orders(a, b, held, z, inverse)
        total = total + value * lax.integer_pow(ahead, n) / math.factorial(n)
    return total


def _mixed_orders(a: _Mass, b: _Mass, held: Array, z: Array, inverse: Array) -> Array:
    """The density's derivative of order |a - b| in the place of the lower order."""
    plus, minus = a.h + b.h, a.h - b.h
    density = jnp.exp(held - _exponent_of(a.h, b.h, z, inverse))
    turned = minus if a.order < b.order else -minus
    slope_here = (1 + z) / 4 * (plus + turned * inverse)
    curvature = jnp.square(1 + z) / 4 * inverse
    last, this = jnp.zeros_like(z), jnp.ones_like(z)
    for j in range(abs(a.order - b.order)):
        last, this = this, slope_here * this - j * curvature * last
    return a.jump * b.jump * this * density


def _equal_orders(
    kinks: _Kinks,
    n: int,
    lefts: list[_Mass],
    rights: list[_Mass],
    held: Array,
    z: Array,
    inverse: Array,
) -> Array:
    """The sum of jump jump' exp(held - alpha (h^2 + k^2) + gamma h k).

    alpha = (1 + z)^2/(8 z), gamma = (1/z - z)/4. Where the jumps add up to 0 and places are near,
    it is little beside its terms, and taken as (sum jump e^-alpha h^2)(sum jump' e^-alpha k^2) and
    the sum of jump jump' exp(-alpha (h^2 + k^2)) (exp(gamma h k) - 1).
    """
    pairwise = dict(kinks.whole).get(n)  # None: the jumps do not cancel
    steps = _step_from_zero(lefts) and _step_from_zero(rights)
    direct = jnp.zeros_like(z)
    if pairwise is None or not (pairwise or steps):
        for a in lefts:
            for b in rights:
                density = jnp.exp(held - _exponent_of(a.h, b.h, z, inverse))
                direct = direct + a.jump * b.jump * density
    if pairwise is None:
        return direct
    is_even = n in kinks.even
    total = _departure(lefts, rights, held, z, inverse, 0.25 * (inverse - z), is_even)
    if pairwise:
        return total
    alpha = jnp.square(1 + z) / 8 * inverse
    sums = _side_sum(lefts, alpha) * jnp.exp(0.5 * held)
    sums = sums * (_side_sum(rights, alpha) * jnp.exp(0.5 * held))
    if steps:  # from 0, where e^-alpha h^2 is 1: nothing cancels anywhere
        return sums + total
    near = alpha * jnp.minimum(_largest_square(lefts), _largest_square(rights)) < 1
    return jnp.where(near, sums + total, direct)


def _departure(
    lefts: list[_Mass],
    rights: list[_Mass],
    held: Array,
    z: Array,
    inverse: Array,
    gamma: Array,
    is_even: bool,
) -> Array:
    """The sum of jump jump' exp(held - alpha (h^2 + k^2)) (exp(gamma h k) - 1).

    is_even: jumps of a side are the same at t and -t. Then exp(x) - 1 and exp(-x) - 1 come
    together, and are of the second order in x.
    """
    total = jnp.zeros_like(z)
    shared: dict[Any, tuple[Array, Array]] = {}
    for a in lefts:
        for b in rights:
            key = (a.size, b.size)
            if any(_known(x) and x == 0 for x in key):  # exp(0) - 1
                continue
            h, k = jnp.abs(a.h), jnp.abs(b.h)
            if key not in shared:
                density = jnp.exp(held - _exponent_of(h, k, z, inverse))
                shared[key] = density, jnp.expm1(-gamma * (h * k))
            density, loss = shared[key]
            same = (a.h > 0) == (b.h > 0)
            share = jnp.where(same, loss, 0.0) if is_even else jnp.where(same, -1.0, 1 + loss)
            total = total + a.jump * b.jump * density * loss * share
    return total


def _exponent_of(h: Array, k: Array, z: Array, inverse: Array) -> Array:
    """The exponent alpha (h^2 + k^2) - gamma h k as a sum of what is positive; inverse = 1/z."""
    base = (h * h + k * k) / 4
    return base + (jnp.square(h + k) / 8) * z + (jnp.square(h - k) / 8) * inverse


def _largest_square(masses: list[_Mass]) -> Array:
    return reduce(jnp.maximum, [mass.h * mass.h for mass in masses])


def _side_sum(masses: list[_Mass], alpha: Array) -> Array:
    """The sum of jump exp(-alpha h^2), the jumps adding up to 0."""
    if _step_from_zero(masses):
        (other,) = (m for m in masses if not (_known(m.size) and m.size == 0))
        return other.jump * jnp.expm1(-alpha * (other.h * other.h))
    small = alpha * _largest_square(masses) < 1
    total = jnp.zeros_like(alpha)
    for mass in masses:
        exponent = -alpha * (mass.h * mass.h)
        total = total + mass.jump * jnp.where(small, jnp.expm1(exponent), jnp.exp(exponent))
    return total


def _step_from_zero(masses: list[_Mass]) -> bool:
    """Whether there are two, one of them at 0."""
    return len(masses) == 2 and sum(_known(m.size) and m.size == 0 for m in masses) == 1


# ---- masses


def mass_pieces(place: Any, g: Pieces, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[delta(u - place) g(v)], the density of u there times the mean of g(v) given u = place.

    At q11 = 0 the density is 0, or infinite where the place is 0.
    """
    density = _density(place, q11)
    present = q11 > 0
    safe = jnp.where(present, q11, 1.0)
    slope = jnp.where(present, q12 / safe, 0.0)
    spread = root(jnp.where(present, d / safe, q22))
    mean = slope * jnp.asarray(place, q11.dtype)
    value = _shifted_mean(g, mean, spread)
    return jnp.where(value == 0, 0.0, density * value)


def train_pieces(
    masses: tuple[tuple[Any, Any], ...],
    g: Pieces,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[f(u) g(v)] for the masses f: the sum of height delta(x - place).

    Where heights add up to 0 and the variance is large their means nearly cancel: then it is the
    sum of the differences to that at the place next to 0.
    """
    first, *others = _outward_from_zero(masses)
    if not (_vanish_together(masses) and _known(first[0])):
        total = jnp.zeros_like(q12 * q11 * q22)
        for place, height in masses:
            total = total + _zero_or(height, mass_pieces(place, g, q12, q11, q22, d))
        return total
    present = q11 > 0
    safe = jnp.where(present, q11, 1.0)
    slope = jnp.where(present, q12 / safe, 0.0)
    spread = root(jnp.where(present, d / safe, q22))
    start = jnp.asarray(first[0], q11.dtype)
    base = _shifted_mean(g, slope * start, spread)
    total = jnp.zeros_like(q12 * q11 * q22)
    for place, height in others:
        at = jnp.asarray(place, q11.dtype)
        fall = _density(start, safe) * jnp.expm1(-(at - start) * (at + start) / (2 * safe))
        rise = _rise(g, slope * start, slope * at, spread)
        total = total + height * (fall * base + _density(at, safe) * rise)
    sharp = jnp.where((start == 0) & (base != 0), jnp.sign(first[1] * base) * jnp.inf, 0.0)
    return jnp.where(present, total, sharp)


def _vanish_together(masses: tuple[tuple[Any, Any], ...]) -> bool:
    """Whether there are several whose heights are known to add up to 0."""
    heights = [height for _, height in masses]
    return len(heights) > 1 and _known(*heights) and _plus(heights) == 0


def _outward_from_zero(masses: tuple[tuple[Any, Any], ...]) -> list[tuple[Any, Any]]:
    """The same, a known place 0 first; by distance from there if all places are known."""
    known = _known(*(place for place, _ in masses))
    return sorted(masses, key=lambda m: abs(m[0]) if known else not (_known(m[0]) and m[0] == 0))


def _rise(g: Pieces, start: Array, end: Array, spread: Array) -> Array:
    """E[g(end + spread z)] - E[g(start + spread z)], with all digits where they are near.

    Near means that the mean is smooth in between, and so the integral of its derivative.
    """
    move = end - start
    places = [jnp.asarray(t, start.dtype) for t in g.places]
    steps = [(places[i], jump) for i, a, jump in _jumps(g) if a == 0]
    inside = [(t - start) * (t - end) < 0 for t in places]
    inside += [(t == start) | (t == end) for t, _ in steps]
    clear = ~reduce(jnp.logical_or, inside, jnp.zeros_like(move, bool)) & (spread == 0)
    near = (jnp.abs(move) <= 1.5 * spread) | clear
    direct = _shifted_mean(g, end, spread) - _shifted_mean(g, start, spread)
    parity = None if g.parity is None else -g.parity
    rate = Pieces(g.places, tuple(_derivative(p, 1) or (0.0,) for p in g.polynomials), None, parity)
    wide = jnp.where(spread > 0, spread, 1.0)

    def integrand(node: Array) -> tuple[Array]:
        at = start + move * node
        value = _shifted_mean(rate, at, spread)
        for place, jump in steps:
            density = normal_pdf((place - at) / wide) / wide
            value = value + jump * jnp.where(spread > 0, density, 0.0)
        return (value,)

    (mean,) = _integral(integrand, 12 if move.dtype == jnp.float32 else 22, move.dtype)
    return jnp.where(near, move * mean, direct)


def masses_moment(
    left: tuple[tuple[Any, Any], ...],
    right: tuple[tuple[Any, Any], ...],
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[f(u) g(v)] for masses f and g, a sum of joint densities.

    At rho = +-1 infinite where places meet, however rare they are, and 0 elsewhere; at a variance 0
    infinite where its place is 0.
    """
    sign = jnp.where(q12 < 0, -1.0, 1.0).astype(q12.dtype)
    scales = root(q11), root(q22)
    scale = scales[0] * scales[1]
    tau, spread = _half_tangent(q12, scale, d), root(d)
    regular = spread > 0
    tau, spread = jnp.where(regular, tau, 1.0), jnp.where(regular, spread, 1.0)
    present = regular & (scale > 0)
    tangent = jnp.where(present, jnp.abs(q12), 0.0) / spread  # of the angle of correlation
    wide = jnp.where(present, scale, spread) / spread
    lefts = [_as_mass(i, *m, q11, jnp.ones_like(sign)) for i, m in enumerate(left)]
    rights = [_as_mass(i, *m, q22, sign) for i, m in enumerate(right)]
    is_even = _in_pairs(left, 1) or _in_pairs(right, 1)
    gamma, square = tangent * wide, tau * tau
    apart = partial(_departure, lefts, rights, jnp.zeros_like(tau), square, 1 / square, gamma)
    if _in_pairs(left, -1) or _in_pairs(right, -1):
        value = apart(is_even)
    else:
        whole = _vanish_together(left), _vanish_together(right)
        value = _densities(lefts, rights, whole, square, apart(is_even))
    value = value / (2 * math.pi * spread)
    # D underflows at variances below 1e-19 in float32, its factors do not.
    below = scale - jnp.abs(q12)
    singular = below <= 8 * _eps(q12.dtype) * scale
    factors = jnp.where(singular, 0.0, root(below) * root(scale + jnp.abs(q12)))
    limit = lax.stop_gradient(0.5 / (math.pi * factors))
    met = jnp.zeros_like(value)
    for s, height in left:
        for t, depth in right:
            here = _meet(s, t, sign, scales) & (singular | (jnp.asarray(s, q12.dtype) == 0))
            size = jnp.asarray(height * depth, q12.dtype)
            met = met + size * jnp.where(here & (size != 0), limit, 0.0)
    return jnp.where(regular, value, met)


def _as_mass(number: int, place: Any, height: Any, q: Array, sign: Array) -> _Mass:
    size = abs(place) if _known(place) else f"{number}"
    return _Mass(number, size, sign * _standardised(place, q), 0, height)


def _in_pairs(masses: tuple[tuple[Any, Any], ...], parity: int) -> bool:
    """Whether masses at t and -t are known to be equal (parity 1) or opposite (-1)."""
    if not _known(*(x for mass in masses for x in mass)):
        return False
    heights = dict(masses)
    return all(height == parity * heights.get(-place, 0.0) for place, height in masses)


def _densities(
    lefts: list[_Mass], rights: list[_Mass], whole: tuple[bool, bool], z: Array, apart: Array
) -> Array:
    """The sum of jump jump' exp(-alpha (h^2 + k^2) + gamma h k), as in `_equal_orders`.

    apart: the same with exp(gamma h k) - 1, whose gamma has all its digits, of which 1/z - z keeps
    few at weak correlation. whole: whether the masses of each side add up to 0.
    """
    inverse = 1 / z
    direct = jnp.zeros_like(z)
    for a in lefts:
        for b in rights:
            direct = direct + a.jump * b.jump * jnp.exp(-_exponent_of(a.h, b.h, z, inverse))
    if not any(whole):
        return direct
    alpha = jnp.square(1 + z) / 8 * inverse
    sums, reach = jnp.ones_like(z), jnp.full_like(z, jnp.inf)
    for masses, vanish in zip((lefts, rights), whole, strict=True):
        if vanish:
            reach = jnp.minimum(reach, _largest_square(masses))
            sums = sums * _side_sum(masses, alpha)
        else:
            rows = [mass.jump * jnp.exp(-alpha * (mass.h * mass.h)) for mass in masses]
            sums = sums * reduce(jnp.add, rows)
    return jnp.where(alpha * reach < 1, sums + apart, direct)


def _meet(s: Any, t: Any, sign: Array, scales: tuple[Array, Array]) -> Array:
    """Whether u = s and v = t are one event at rho = +-1, but for the rounding of the roots."""
    s, t = jnp.asarray(s, sign.dtype), jnp.asarray(t, sign.dtype)
    one, two = s * scales[1], sign * t * scales[0]
    equal = jnp.abs(one - two) <= 2 * _eps(sign.dtype) * jnp.abs(one)
    return equal & ((scales[0] > 0) | (s == 0)) & ((scales[1] > 0) | (t == 0))


def _density(place: Any, q: Array) -> Array:
    """The density of N(0, q)."""
    present = q > 0
    value = _density_of(place, q) / root(jnp.where(present, q, 1.0))
    at_zero = jnp.where(jnp.asarray(place, q.dtype) == 0, jnp.inf, 0.0)
    return jnp.where(present, value, at_zero)


def _shifted_mean(g: Pieces, mean: Array, spread: Array) -> Array:
    """E[g(mean + spread z)], z ~ N(0, 1).

    For an odd g the images x and -x are put together, so that nothing cancels at a small mean.
    """
    if len(g.places) == 1 and _parity(g) == 0:
        return _together(_one_place_parts(g, 0, mean, spread), mean)
    if _parity(g) != -1:
        return _over_spans([*_spans(g, 1), *_spans(_mirrored(g), -1)], mean, spread)
    turned = jnp.abs(mean)
    halves = _halves(g)
    half = halves[1] if halves is not None and halves[1] is not None else g
    spans = [*_spans(half, 1), *_spans(_mirrored(half), -1)]
    return jnp.sign(mean) * _over_spans(spans, turned, spread, True)


def _together(parts: list[_Part], mean: Array) -> Array:
    (total,) = _sums([parts], mean.dtype)
    return jnp.zeros_like(mean) if total is None else total


def _nearest_to_zero(low: Any, high: Any) -> Any:
    """Where a polynomial between two places is small if anywhere: the point nearest to 0."""
    if low is None:
        return high if high is not None and _known(high) and high < 0 else 0.0
    if not _known(low) or low > 0:
        return low
    return high if high is not None and _known(high) and high < 0 else 0.0


class _Span(NamedTuple):
    """A polynomial about `base` between two places (None: infinity), of `side` x."""

    low: Any
    high: Any
    base: Any
    polynomial: tuple[Any, ...]
    side: int


def _spans(g: Pieces, side: int) -> list[_Span]:
    """The pieces of g, those left out that are known to be 0."""
    ends = (None, *g.places, None)
    spans = []
    for low, high, polynomial in zip(ends[:-1], ends[1:], g.polynomials, strict=True):
        if not _absent(polynomial):
            base = _nearest_to_zero(low, high)
            spans.append(_Span(low, high, base, _shifted(polynomial, base), side))
    return spans


def _over_spans(spans: list[_Span], mean: Array, spread: Array, is_odd: bool = False) -> Array:
    """The sum over spans of E[P(x); z > 0], x = side mean + spread z, on a new axis.

    `is_odd`: of P(x) times the density at side x less that at -side x, over the first.
    """
    if not spans:
        return jnp.zeros_like(mean)
    mean, spread = jnp.broadcast_arrays(mean, spread)
    shape = (len(spans), *(1,) * mean.ndim)

    def column(values: list[Any]) -> Array:
        return jnp.stack([jnp.asarray(x, mean.dtype) for x in values]).reshape(shape)

    def ends(places: list[Any], otherwise: float) -> tuple[Array, Array]:
        """Which places there are, and how many deviations they are from the mean, 0 at least."""
        there = jnp.asarray([t is not None for t in places]).reshape(shape)
        away = column([0.0 if t is None else t for t in places]) - centre
        # its square is there: the quotient is differentiated
        least = jnp.abs(away) / _farthest(mean.dtype) + math.sqrt(_tiny(mean.dtype))
        far = jnp.maximum(away / jnp.maximum(wide, least), 0.0)
        return there, jnp.where(there, far, otherwise)

    sides, wide = column([float(span.side) for span in spans]), spread[None]
    centre = sides * mean[None]
    has_low, inner = ends([span.low for span in spans], 0.0)
    _, outer = ends([span.high for span in spans], 1e3)  # beyond all lengths
    first = centre - column([span.base for span in spans])
    starts = column([0.0 if span.low is None else span.low - span.base for span in spans])
    first = jnp.where(has_low & (inner > 0), starts, first)
    start = centre + wide * inner
    coefficients = _columns([span.polynomial for span in spans], centre)
    rate = mean / jnp.maximum(spread * spread, _tiny(mean.dtype))

    def value(z: Array) -> Array:
        result = _polynomial(coefficients, first + wide * z)
        if not is_odd:
            return result
        x = sides * (start + wide * z)
        return result * -jnp.expm1(-2 * jnp.maximum(x, 0.0) * rate[None])

    return jnp.sum(_together([_part(inner, outer, normal_pdf(inner), value)], centre), 0)
