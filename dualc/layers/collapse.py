"""A dense network as one layer: its kernels are power series in the cosine of its inputs.

For inputs of one norm, or of any norm where the network is homogeneous, kernel(x, y) is a function
of rho alone, sum of a_k rho^k with a_k >= 0 (Schoenberg). So is the dual of psi = sum of
+-sqrt(a_k) h_k, and features psi(W x) stand for the whole network, however deep.

High degrees have heavy tails: a sample of h_24(u)^2 says little of its mean. What the kernel does
near rho = 1 is left to waves, which are bounded: cos(s u) and sin(s u) have the duals
exp(-s^2) cosh(s^2 rho) and exp(-s^2) sinh(s^2 rho).

psi is a sum of parts, each with a random sign of its own in every column: even degrees, odd ones,
waves. Parts then do not meet in the mean. Even degrees, odd ones and waves (those of s = 1, 2, 4,
.. and the others) also stand on different rows of W, turned by columns, so that psi^2 swings less
along each: for relu's NTK of depth 3 the variance is 1.02 of that at rho = 0 where rho = 0.2, in
place of 1.13, and 1.23 where rho = 0.73, in place of 1.83.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from scipy.optimize import nnls

from dualc.layers.combine import Serial
from dualc.layers.covariance import Covariance
from dualc.layers.direct import hermite_sum
from dualc.layers.exact import Own, Paired
from dualc.layers.signal import Signal
from dualc.runtime.mixing import (
    GaussianRows,
    draw_gaussian_rows,
    gaussian,
    generator,
    random_signs,
)

_DEGREES = (8, 12, 16)  # tried of polynomials alone
_BESIDE = (6, 9, 12)  # and beside waves
_SQUARES = 2.0 ** np.arange(-1, 11)  # s^2 of the waves, for bends within 1/s^2 of rho = 1
_TAIL = 0.01  # weight of what fewer than one of 10^4 draws meets: rare, but not never
_COSINES = (0.0, 0.3, 0.6, 0.8)  # at which variances are judged
_LEAST = 1e-6  # of the kernel, for a wave to be kept
_NODES = 96  # cosines at which the kernels are fitted, Chebyshev's
_SAME = 1e-4  # kernels that agree so well, relatively, are proportional (float32 included)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Waves:
    """The sum of even cos(s u) + odd sin(s u) over frequencies s, without their random signs."""

    even: Float[Array, " waves"]
    odd: Float[Array, " waves"]
    places: tuple[int, ...] = field(metadata={"static": True})  # of the frequencies in _SQUARES


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Collapsed:
    """One layer that stands for a network, on inputs of variance q, or of any at degree > 0."""

    rows: GaussianRows
    coefficients: tuple[Float[Array, " degrees"], ...]  # signed, of every kernel asked for
    waves: tuple[Waves, ...]  # of every kernel asked for
    signs: Float[Array, "2 parts p"]  # with them the products of different parts cancel
    q: Float[Array, ""]
    degree: float | None = field(metadata={"static": True})
    exact: int = field(metadata={"static": True})  # degrees that have columns of their own, 1 or 2


def homogeneity(net: Serial, d: int, ntk: bool) -> float | None:
    """The t of both kernels(c x, c y) = c^(2 t) kernels(x, y); None where there is none."""
    rho = np.linspace(-1, 1, 9)
    sizes = (1 / 16, 1.0, 16.0)
    small, one, large = (kernels_at(net, d, q, rho, ntk) for q in sizes)
    top = float(one[0][-1])
    if not (top > 0 and float(large[0][-1]) > 0):  # NaN is beyond the domain of a kernel
        return None
    t = float(np.log(large[0][-1] / top) / np.log(16))
    for k, factor in ((small, 16.0**-t), (large, 16.0**t)):
        for found, unit in zip(k, one, strict=True):
            if not np.max(np.abs(found - factor * unit)) <= _SAME * factor * np.max(np.abs(unit)):
                return None
    return t


def kernels_at(net: Serial, d: int, q: float, rho: np.ndarray, ntk: bool) -> tuple[np.ndarray, ...]:
    """The NNGP kernel, and the NTK if wanted, of inputs of variance q with these cosines."""
    dtype, signal = jnp.result_type(float), Signal((), d)
    sizes = jnp.full((1,), q, dtype)
    own = Own()
    net.covariance(Covariance(sizes, None, jnp.ones(1, jnp.int8), signal), own)
    columns = tuple(jnp.broadcast_to(seen, rho.shape) for seen in own.seen)
    relation = np.where(rho == 1, 1, np.where(rho == -1, -1, 0)).astype(np.int8)[None]
    q12 = jnp.asarray(q * rho, dtype)[None]
    start = Covariance(q12, jnp.zeros_like(q12) if ntk else None, jnp.asarray(relation), signal)
    k = net.covariance(start, Paired(own.seen, columns))
    assert isinstance(k, Covariance)
    return tuple(np.asarray(a[0], np.float64) for a in (k.nngp, k.ntk) if a is not None)


def draw(
    net: Serial,
    key: Array,
    like: Float[Array, "1 d"],
    p: int,
    q: float,
    degree: float | None,
    get: tuple[bool, ...],
) -> Collapsed:
    """The layer that stands for the network at variance q (degree None), or at any."""
    d, dtype = like.shape[-1], like.dtype
    rho = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    wanted = kernels_at(net, d, q, rho, ntk=get[1])[0 if get[0] else 1 :]
    if not np.all(np.isfinite(wanted)):
        raise net.beyond_domain(f"inputs with a mean square of {q:g} have")
    exact = _exact(d, p)
    count = p - 1 - d * (exact - 1)
    fitted = [_best(rho, k, exact, count) for k in wanted]
    keys = jax.random.split(key)
    return Collapsed(
        draw_gaussian_rows(keys[0], d, count, dtype),
        tuple(jnp.asarray(a, dtype) for a, _, _ in fitted),
        tuple(_waves(even, odd, dtype) for _, even, odd in fitted),
        random_signs(generator(keys[1]), (2, 1 + len(_SQUARES), count), dtype),
        jnp.asarray(q, dtype),
        degree,
        exact,
    )


def _waves(even: np.ndarray, odd: np.ndarray, dtype: Any) -> Waves:
    places = tuple(int(i) for i in np.flatnonzero(even + odd))
    chosen = np.sqrt(even[list(places)]), np.sqrt(odd[list(places)])
    return Waves(jnp.asarray(chosen[0], dtype), jnp.asarray(chosen[1], dtype), places)


Fit = tuple[np.ndarray, np.ndarray, np.ndarray]


def mixture(rho: np.ndarray, values: np.ndarray, degree: int, waves: bool) -> Fit:
    """Weights >= 0 of rho^k, of the duals of cos(s u) and of sin(s u), nearest to the values."""
    squares = _SQUARES if waves else _SQUARES[:0]
    basis = np.concatenate(_duals(rho, degree, squares), axis=1)
    scale = np.max(np.abs(values))
    weights = np.asarray(nnls(basis, values / scale, maxiter=100 * basis.shape[1])[0])
    parts = np.split(weights, [degree + 1, degree + 1 + len(squares)])
    even, odd = (np.where(part > _LEAST, part, 0) for part in parts[1:])
    missing = np.zeros(len(_SQUARES) - len(squares))
    return parts[0] * scale, *(np.append(part, missing) * scale for part in (even, odd))


def _best(rho: np.ndarray, values: np.ndarray, first: int, count: int) -> Fit:
    """The fit, its polynomial signed, that promises the least error with `count` columns."""
    tried = []
    tries = [(degree, False) for degree in _DEGREES] + [(degree, True) for degree in _BESIDE]
    for degree, waves in tries:
        a, even, odd = mixture(rho, values, degree, waves)
        signed = _signed(a, first)
        bias = np.mean((_dual((a, even, odd), rho) - values) ** 2)
        variance = _variance((signed, even, odd), first) / count
        tried.append((bias + variance, (signed, even, odd)))
    return min(tried, key=lambda pair: pair[0])[1]


def _dual(fit: Fit, rho: np.ndarray) -> np.ndarray:
    parts = zip(_duals(rho, len(fit[0]) - 1, _SQUARES), fit, strict=True)
    return np.asarray(sum(basis @ weights for basis, weights in parts))


def _duals(rho: np.ndarray, degree: int, squares: np.ndarray) -> list[np.ndarray]:
    """At every rho, the duals of h_0, .., h_degree, of the cosines and of the sines."""
    up, down = (np.exp(squares * (sign * rho[:, None] - 1)) / 2 for sign in (1, -1))
    return [rho[:, None] ** np.arange(degree + 1), up + down, up - down]


def _variance(fit: Fit, first: int) -> float:
    """Of psi(u) psi(v), psi from degree `first` on, in the mean over some rho."""
    signed, even, odd = fit
    parts = [_of_polynomials(signed, first), _of_waves(even, odd)]
    one, two, four = np.concatenate(parts, axis=1)  # at every part and rho
    # Products of different parts have the variance K_i K_j + k_i k_j, K = E f^2 and k = E f f':
    # of waves on one row nearly, for cos(s u)^2 and cos(2 s u)^2 are hardly correlated.
    own = np.sum(four - one**2 - two**2, axis=0)
    return float(np.mean(own + np.sum(one, axis=0) ** 2 + np.sum(two, axis=0) ** 2))


def _of_polynomials(signed: np.ndarray, first: int) -> np.ndarray:
    """E f(u)^2, E f(u) f(v) and E f(u)^2 f(v)^2 of even and of odd degrees, at every rho."""
    u, w, weights = _grid()
    found = np.empty((3, 2, len(_COSINES)))
    for i, part in enumerate(_parities(signed, first)):
        here = _hermite(u, len(part)) @ part
        for j, rho in enumerate(_COSINES):
            there = _hermite(rho * u + np.sqrt(1 - rho * rho) * w, len(part)) @ part
            two = part**2 @ rho ** np.arange(len(part))
            found[:, i, j] = part @ part, two, weights @ (here * there) ** 2
    return found


def _of_waves(even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """The same of every frequency's cosine and sine, each with a random sign."""
    rho = np.array(_COSINES)
    _, cosines, sines = _duals(rho, 0, _SQUARES)
    _, double, double_sines = _duals(rho, 0, 4 * _SQUARES)  # of cos(2 s u) and sin(2 s u)
    _, cosine, sine = _duals(np.ones(1), 0, _SQUARES)
    one = np.broadcast_to(even * cosine + odd * sine, double.shape)
    mean = 2 * np.exp(-2 * _SQUARES)  # twice that of cos(2 s u) = 2 cos(s u)^2 - 1
    four = even**2 * (1 + mean + double) + odd**2 * (1 - mean + double)
    four = (four + 2 * even * odd * (1 - double + 2 * double_sines)) / 4
    return np.stack([one, even * cosines + odd * sines, four]).swapaxes(1, 2)


def _parities(signed: np.ndarray, first: int) -> list[np.ndarray]:
    """The coefficients from degree `first` on, those of even and those of odd degrees alone."""
    degrees = np.arange(len(signed))
    return [np.where((degrees % 2 == parity) & (degrees >= first), signed, 0) for parity in (0, 1)]


def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A Gauss rule for two normal variables, exact for products of four kept polynomials."""
    z, weights = np.polynomial.hermite_e.hermegauss(2 * max(_DEGREES) + 1)
    weights = weights / weights.sum()
    u, w = (part.ravel() for part in np.meshgrid(z, z, indexing="ij"))
    return u, w, np.outer(weights, weights).ravel() * np.where(np.hypot(u, w) < 4.3, 1, _TAIL)


def _exact(d: int, p: int) -> int:
    """Degree 0 has a column of its own, degree 1 its d columns if they fit in half of p."""
    return 2 if 2 * (d + 1) <= p else 1


def _signed(a: np.ndarray, first: int) -> np.ndarray:
    """+-sqrt(a_k), with the signs tried for which psi(u) psi(v) varies least, psi from `first` on.

    From + + + + .. and + + - - .., one sign after the other is turned as long as it helps.
    """
    root = np.sqrt(a)
    u, w, weights = _grid()
    angles = [r * u + np.sqrt(1 - r * r) * w for r in (1.0, 0.0, 0.4, 0.8)]
    sides = [_hermite(v, len(a)) for v in angles]

    def variance(signed: np.ndarray) -> float:
        parts = [[side @ part for side in sides] for part in _parities(signed, first)]
        return float(sum(weights @ (psi[0] * other) ** 2 for psi in parts for other in psi))

    starts = [root, root * np.array([(1, 1, -1, -1)[k % 4] for k in range(len(root))])]
    best: np.ndarray = min(starts, key=variance)
    for k in [k for _ in range(2) for k in range(first, len(root)) if root[k] > 0]:
        other = best.copy()
        other[k] = -other[k]
        best = min(best, other, key=variance)
    return best


def _hermite(u: np.ndarray, count: int) -> np.ndarray:
    """Normalised Hermite polynomials of degrees below count."""
    columns = [np.ones_like(u), u]
    for n in range(1, count - 1):
        columns.append((u * columns[n] - np.sqrt(n) * columns[n - 1]) / np.sqrt(n + 1))
    return np.stack(columns, axis=1)


@jax.jit
def features(weights: Collapsed, x: Float[Array, "n d"]) -> tuple[Float[Array, "n p"], ...]:
    """The features of each kernel asked for: degree 0, degree 1 if it fits, and psi(W x)."""
    size = jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True))
    d = jnp.array(x.shape[-1], x.dtype)
    unit = x / jnp.where(size > 0, size, 1) / jnp.sqrt(d)
    scale = jnp.ones_like(size)
    if weights.degree is not None:
        scale = (size / jnp.sqrt(weights.q)) ** jnp.asarray(weights.degree, x.dtype)
    u = gaussian(weights.rows, unit)
    root = jnp.sqrt(jnp.array(u.shape[-1], x.dtype))
    found = []
    for a, waves in zip(weights.coefficients, weights.waves, strict=True):
        exact = [jnp.broadcast_to(a[0], size.shape), unit * a[1]][: weights.exact]
        found.append(jnp.concatenate([*exact, _psi(weights, a, waves, u) / root], axis=-1) * scale)
    return tuple(found)


def _psi(
    weights: Collapsed, a: Float[Array, " degrees"], waves: Waves, u: Float[Array, "n p"]
) -> Float[Array, "n p"]:
    """The sum of all parts, each with its own signs, and its own rows of W: u turned by columns."""
    total = jnp.zeros_like(u)
    for parity in range(2):
        turned = [jnp.roll(u, turn, axis=-1) for turn in (parity, 2 + parity)]
        degrees = range(weights.exact + (parity - weights.exact) % 2, len(a), 2)
        polynomial, _ = hermite_sum(a[None], turned[0], degrees)
        total = total + weights.signs[parity, :1] * polynomial
        total = total + _octaves(weights, waves, turned[1], parity)
    return total


def _octaves(
    weights: Collapsed, waves: Waves, u: Float[Array, "n p"], parity: int
) -> Float[Array, "n p"]:
    """The sum of the waves at places of that parity.

    Each has twice the frequency of the one before, and follows from it without a cosine.
    """
    total, places = jnp.zeros_like(u), [k for k in waves.places if k % 2 == parity]
    if not places:
        return total
    angle = u * float(_SQUARES[places[0]]) ** 0.5
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    for place in range(places[0], places[-1] + 1, 2):
        if place in places:
            i, signs = waves.places.index(place), weights.signs[:, 1 + place]
            total = total + signs[:1] * waves.even[i] * cosine + signs[1:] * waves.odd[i] * sine
        cosine, sine = (cosine - sine) * (cosine + sine), 2 * sine * cosine
    return total
