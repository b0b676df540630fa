"""A dense network as one layer: its kernels are power series in the cosine of its inputs.

For inputs of one norm, or of any norm where the network is homogeneous, kernel(x, y) is a function
of rho alone, sum of a_k rho^k with a_k >= 0 (Schoenberg). So is the dual of psi = sum of
+-sqrt(a_k) h_k, and features psi(W x) stand for the whole network, however deep.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
from dualc.runtime.mixing import GaussianRows, draw_gaussian_rows, gaussian

_DEGREE = 24  # kept of the series: what is beyond is below the error of any affordable p
_NODES = 96  # cosines at which the kernels are fitted, Chebyshev's
_PAIRS = 4096  # samples by which signs are chosen
_SAME = 1e-4  # kernels that agree so well, relatively, are proportional (float32 included)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Collapsed:
    """One layer that stands for a network, on inputs of variance q, or of any at degree > 0."""

    rows: GaussianRows
    coefficients: tuple[Float[Array, " degrees"], ...]  # signed, of every kernel asked for
    q: Float[Array, ""]
    degree: float | None = field(metadata={"static": True})
    exact: int = field(metadata={"static": True})  # degrees that have columns of their own, 1 or 2


def homogeneity(net: Serial, d: int, ntk: bool) -> float | None:
    """The t of both kernels(c x, c y) = c^(2 t) kernels(x, y); None where there is none."""
    rho = np.linspace(-1, 1, 9)
    sizes = (1 / 16, 1.0, 16.0)
    small, one, large = (kernels_at(net, d, q, rho, ntk) for q in sizes)
    top = float(one[0][-1])
    if top <= 0 or float(large[0][-1]) <= 0:
        return None
    t = float(np.log(large[0][-1] / top) / np.log(16))
    for k, factor in ((small, 16.0**-t), (large, 16.0**t)):
        for found, unit in zip(k, one, strict=True):
            if np.max(np.abs(found - factor * unit)) > _SAME * factor * np.max(np.abs(unit)):
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
    coefficients = tuple(jnp.asarray(_signed(series(rho, k), _exact(d, p)), dtype) for k in wanted)
    rows = draw_gaussian_rows(key, d, p - 1 - d * (_exact(d, p) - 1), dtype)
    return Collapsed(rows, coefficients, jnp.asarray(q, dtype), degree, _exact(d, p))


def series(rho: np.ndarray, values: np.ndarray) -> np.ndarray:
    """a_0.. >= 0 such that the sum of a_k rho^k is nearest to the values."""
    powers = rho[:, None] ** np.arange(_DEGREE + 1)
    scale = np.max(np.abs(values))
    fitted = nnls(powers, values / scale, maxiter=100 * _DEGREE)[0]
    return np.asarray(fitted * scale)


def _exact(d: int, p: int) -> int:
    """Degree 0 has a column of its own, degree 1 its d columns if they fit in half of p."""
    return 2 if 2 * (d + 1) <= p else 1


def _signed(a: np.ndarray, first: int) -> np.ndarray:
    """+-sqrt(a_k), with the signs tried for which psi(u) psi(v) varies least, psi from `first` on.

    From + + + + .. and + + - - .., one sign after the other is turned as long as it helps.
    """
    root = np.sqrt(a)
    random = np.random.RandomState(0)  # a fixed sample: the choice depends on nothing else
    u, w = random.standard_normal((2, _PAIRS))
    sides = [_hermite(u)] + [_hermite(r * u + np.sqrt(1 - r * r) * w) for r in (0.0, 0.4, 0.8)]

    def variance(signed: np.ndarray) -> float:
        psi = [side[:, first:] @ signed[first:] for side in sides]
        return float(sum(np.mean((psi[0] * other) ** 2) for other in (psi[0], *psi[1:])))

    starts = [root, root * np.array([(1, 1, -1, -1)[k % 4] for k in range(len(root))])]
    best: np.ndarray = min(starts, key=variance)
    for k in [k for _ in range(2) for k in range(first, len(root)) if root[k] > 0]:
        other = best.copy()
        other[k] = -other[k]
        best = min(best, other, key=variance)
    return best


def _hermite(u: np.ndarray) -> np.ndarray:
    columns = [np.ones_like(u), u]
    for n in range(1, _DEGREE):
        columns.append((u * columns[n] - np.sqrt(n) * columns[n - 1]) / np.sqrt(n + 1))
    return np.stack(columns, axis=1)


@jax.jit
def features(weights: Collapsed, x: Float[Array, "n d"]) -> tuple[Float[Array, "n p"], ...]:
    """The features of each kernel asked for: degree 0, degree 1 if it fits, and psi(W x)."""
    size = jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True))
    d = jnp.array(x.shape[-1], x.dtype)
    unit = x / jnp.where(size > 0, size, 1) / jnp.sqrt(d)
    q = weights.q.astype(x.dtype)
    scale = jnp.ones_like(size)
    if weights.degree is not None:
        scale = (size / jnp.sqrt(q)) ** jnp.asarray(weights.degree, x.dtype)
    u = gaussian(weights.rows, unit)
    root = jnp.sqrt(jnp.array(u.shape[-1], x.dtype))
    found = []
    for signed in weights.coefficients:
        a = signed.astype(x.dtype)
        exact = [jnp.broadcast_to(a[0], size.shape), unit * a[1]][: weights.exact]
        psi, _ = hermite_sum(a.at[: weights.exact].set(0)[None], u)
        found.append(jnp.concatenate([*exact, psi / root], axis=-1) * scale)
    return tuple(found)
