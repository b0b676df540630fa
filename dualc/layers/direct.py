"""Direct features of an activation: phi(W h) with Hermite degrees 0 and 1 split off exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from dualc.layers.signal import Signal
from dualc.layers.sketch import Plan, Sketch, sizes
from dualc.runtime.kernel import Kernel
from dualc.runtime.mixing import (
    GaussianRows,
    Mixing,
    draw_gaussian_rows,
    draw_mixing,
    gaussian,
    mix,
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DirectWeights:
    """The rows W of phi(W h), and the mixing R of phi'(W h) * (R z)."""

    rows: GaussianRows
    mixing: Mixing | None


def draw(key: Array, s: Sketch, plan: Plan) -> DirectWeights:
    """As many rows as fill p columns, where the exact ones leave at least half of them."""
    keys = jax.random.split(key)
    c, e = s.h.shape[-1], s.z.shape[-1]
    left = plan.p - c - 1
    p = left if 2 * left >= plan.p and not s.signal.shape else plan.p
    rows = draw_gaussian_rows(keys[0], c, p, s.h.dtype)
    return DirectWeights(rows, draw_mixing(keys[1], c + e, p, s.h.dtype) if s.ntk else None)


def activate(
    kernel: Kernel, parameters: dict[str, Any], weights: DirectWeights, s: Sketch, signal: Signal
) -> Sketch:
    """h' = [a_0, m h, (phi(u) - a_0 - m u)/sqrt p], z' = [m z, (phi'(u) - m) * R z], u = W h.

    a_0 = E phi and m = E phi' at the variance q of each sample; <h', h'> and <z', z'> have the
    kernel and the NTK times dual_dot for their means. h is given the size sqrt(q) beforehand:
    that is known, and h has it only in the mean.
    """
    h = s.h * jnp.sqrt(_ratio(s.q, sizes(s.h)))[..., None]
    u = gaussian(weights.rows, h)
    a_0, m = _means(kernel, parameters, s.q)
    phi, phi_dot = _both(kernel, parameters, u, s.q)
    root = jnp.sqrt(jnp.array(u.shape[-1], u.dtype))
    rest = (phi - a_0 - m * u) / root
    zeros = jnp.zeros(1, u.dtype)
    shares = jnp.concatenate([zeros, s.shares, jnp.zeros(u.shape[-1], u.dtype)])
    z = s.z * m
    if weights.mixing is not None:
        z = jnp.concatenate([z, (phi_dot - m) * mix(weights.mixing, replace(s, h=h).tangents())], axis=-1)
    return replace(
        s,
        h=jnp.concatenate([a_0, h * m, rest], axis=-1),
        z=z,
        shares=shares,
        q=kernel.dual_diag(s.q, **parameters),
        signal=signal,
        exact=s.exact + 1,
        steps=2,
    )


def _ratio(a: Array, b: Array) -> Array:
    """a/b, and 1 where b = 0."""
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 1)


def _means(kernel: Kernel, parameters: dict[str, Any], q: Array) -> tuple[Array, Array]:
    """E phi and E phi' at variance q, with an axis for columns."""
    positive = jnp.maximum(q, _least(q.dtype))
    coefficients = kernel.hermite(positive, **parameters)
    a_0 = jnp.where(q > 0, coefficients[..., 0], kernel.hermite(q, **parameters)[..., 0])
    return a_0[..., None], (coefficients[..., 1] / jnp.sqrt(positive))[..., None]


def _least(dtype: Any) -> Array:
    """A variance at which a_1(q)/sqrt(q) is phi'(0) or the mean of its two sides."""
    return jnp.asarray(1e-12, dtype)


def _both(
    kernel: Kernel, parameters: dict[str, Any], u: Float[Array, "*batch p"], q: Array
) -> tuple[Array, Array]:
    """phi(u) and phi'(u); of a kernel given by its dual, a function with that dual."""
    if kernel.phi is not None and kernel.phi_dot is not None:
        return kernel.phi(u, **parameters), kernel.phi_dot(u, **parameters)
    scale = jnp.sqrt(jnp.maximum(q, _least(q.dtype)))[..., None]
    coefficients = kernel.hermite(q, **parameters)
    value, slope = hermite_sum(coefficients * _signs(coefficients), u / scale)
    return value, slope / scale


def _signs(coefficients: Array) -> Array:
    """+ + - - along the degrees: any signs have the same dual, these keep the function small."""
    order = coefficients.shape[-1]
    row = jnp.array([(1, 1, -1, -1)[n % 4] for n in range(order)], coefficients.dtype)
    return row.reshape((1,) * (coefficients.ndim - 1) + (order,))


def hermite_sum(
    coefficients: Float[Array, "*batch order"], t: Float[Array, "*batch p"]
) -> tuple[Array, Array]:
    """sum of a_n h_n(t) over normalised Hermite polynomials, and its derivative."""
    below, here = jnp.zeros_like(t), jnp.ones_like(t)
    value, slope = jnp.zeros_like(t), jnp.zeros_like(t)
    for n in range(coefficients.shape[-1]):
        a = coefficients[..., n : n + 1]
        value, slope = value + a * here, slope + a * n**0.5 * below
        below, here = here, (t * here - n**0.5 * below) / (n + 1) ** 0.5
    return value, slope
