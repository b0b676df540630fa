"""Direct features of an activation: phi(W h) with Hermite degrees 0 and 1 split off exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, lgamma, log
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from dualc.layers.sketch import (
    Block,
    Blocks,
    Plan,
    Sketch,
    columns,
    positive,
    ratio,
    sizes,
    width,
)
from dualc.runtime.kernel import Kernel
from dualc.runtime.mixing import (
    DENSE,
    GaussianRows,
    Mixing,
    added,
    draw_gaussian_rows,
    draw_mixing,
    gaussian,
    generator,
    like,
    mix,
    padded,
    random_signs,
)
from dualc.runtime.transform import next_power_of_two


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DirectWeights:
    """The rows W of phi(W h), and the mixing R of phi'(W h) * (R z)."""

    rows: GaussianRows
    spreading: Mixing | None  # of columns that are not spread, to go with those that are
    mixing: Mixing | None
    signs: Float[Array, " p"]  # of odd degrees, of a kernel without phi


def draw(key: Array, s: Sketch, plan: Plan) -> DirectWeights:
    """As many rows as fill p columns, where the exact ones leave at least half of them."""
    keys = jax.random.split(key)
    c = width(s.h)
    left = plan.p - c - 1
    p = left if 2 * left >= plan.p and not s.signal.shape else plan.p
    others, spread = _by_spread(s.h)
    spreading = None
    if spread and others:
        c = next_power_of_two(width(spread))
        spreading = draw_mixing(jax.random.fold_in(keys[0], 1), columns(others), c, s.dtype)
    rows = draw_gaussian_rows(keys[0], c, p, s.dtype, rounds=1 if spread else 2)
    mixing = None
    if s.ntk:
        tangents = jax.eval_shape(Sketch.tangents, s)
        mixing = draw_mixing(keys[1], columns(tangents), p, s.dtype)
    signs = random_signs(generator(jax.random.fold_in(keys[0], 2)), (p,), s.dtype)
    return DirectWeights(rows, spreading, mixing, signs)


def _by_spread(blocks: Blocks) -> tuple[Blocks, Blocks]:
    """The columns that are not spread, and those that are.

    One Hadamard round makes normal values of columns that are spread, and two of any: the others,
    if few, are spread first. All count as not spread where a dense product does it.
    """
    spread = tuple(block for block in blocks if block.spread)
    others = tuple(block for block in blocks if not block.spread)
    if width(blocks) <= DENSE or width(others) > width(spread):
        return blocks, ()
    return others, spread


def _products(weights: DirectWeights, h: Blocks) -> Array:
    """W h."""
    others, spread = _by_spread(h)
    values = jnp.concatenate([block.array for block in spread or others], axis=-1)
    if weights.spreading is not None:
        mixed = mix(weights.spreading, columns(others))
        values = mixed + padded(values, mixed.shape[-1])
    return gaussian(weights.rows, values)


def activate(
    kernel: Kernel, parameters: dict[str, Any], weights: DirectWeights, s: Sketch
) -> Sketch:
    """The features after phi(u), u = W h.

    h becomes [a_0, m h, (phi(u) - a_0 - m u)/sqrt p], z becomes [m z, (phi'(u) - m) * R z].

    a_0 = E phi and m = E phi' at the variance q of each sample; <h', h'> and <z', z'> have the
    kernel and the NTK times dual_dot for their means. h is given the size sqrt(q) beforehand:
    that is known, and h has it only in the mean. `s.own` stays what it was.
    """
    size = jnp.sqrt(ratio(s.q, sizes(s.h)))[..., None]
    h = tuple(block.times(size) for block in s.h)
    u = _products(weights, h)
    a_0, m = _means(kernel, parameters, s.q)
    value, slope = _rest(kernel, parameters, weights.signs, u, s.q, (a_0, m))
    root, none = jnp.sqrt(jnp.array(u.shape[-1], u.dtype)), jnp.zeros((), u.dtype)
    rest = Block(value / root, none, spread=True)
    s = _settled(replace(s, h=h))
    z = tuple(block.times(m) for block in s.z)
    if weights.mixing is not None:
        tangents = mix(weights.mixing, columns(s.tangents()))
        z = (*z, Block(slope * tangents, none, spread=True))
    return replace(s, h=(Block(a_0, none, exact=True), *(block.times(m) for block in h), rest), z=z)


def _settled(s: Sketch) -> Sketch:
    """The same with z of the size that the NTK of every sample with itself is known to ask."""
    if not s.z:
        return s
    rest = s.t - added([block.share * jnp.sum(block.array**2, axis=-1) for block in s.h])
    factor = jnp.sqrt(jnp.clip(ratio(rest, sizes(s.z)), 1 / 4, 4))[..., None]
    return replace(s, z=tuple(block.times(factor) for block in s.z))


def _means(kernel: Kernel, parameters: dict[str, Any], q: Array) -> tuple[Array, Array]:
    """E phi and E phi' at variance q, with an axis for columns."""
    safe = positive(q)
    coefficients = kernel.hermite(safe, **parameters)
    a_0 = jnp.where(q > 0, coefficients[..., 0], kernel.hermite(q, **parameters)[..., 0])
    return a_0[..., None], (coefficients[..., 1] / jnp.sqrt(safe))[..., None]


def _rest(
    kernel: Kernel,
    parameters: dict[str, Any],
    signs: Float[Array, " p"],
    u: Float[Array, "*batch p"],
    q: Float[Array, "*batch"],
    means: tuple[Array, Array],
) -> tuple[Array, Array]:
    """phi(u) - a_0 - m u and phi'(u) - m; of a kernel given by its dual, functions with that dual.

    Those are an even and an odd sum of Hermite polynomials, any signs of which have the same dual:
    + and - in turns keeps them small. The odd one takes the next row of W in place of its own, and
    a random sign: apart the two swing less than together, as in `collapse`.
    """
    if kernel.phi is not None and kernel.phi_dot is not None:
        a_0, m = means
        return kernel.phi(u, **parameters) - a_0 - m * u, kernel.phi_dot(u, **parameters) - m
    scale = jnp.sqrt(positive(q))[..., None]
    coefficients = kernel.hermite(q, **parameters)
    order = coefficients.shape[-1]
    turns = jnp.array([(1, 1, -1, -1)[n % 4] for n in range(order)], u.dtype)
    coefficients, t = coefficients * like(turns, coefficients), u / scale
    even = hermite_sum(coefficients, t, range(2, order, 2))
    odd = hermite_sum(coefficients, jnp.roll(t, 1, axis=-1), range(3, order, 2))
    value, slope = (a + like(signs, b) * b for a, b in zip(even, odd, strict=True))
    return value, slope / scale


def hermite_sum(
    coefficients: Float[Array, "*batch order"],
    t: Float[Array, "*batch p"],
    degrees: range | None = None,
) -> tuple[Array, Array]:
    """The sum of a_n h_n(t) over normalised Hermite polynomials, and its derivative.

    By g_n = sqrt(n!) h_n/s^n at t/s, s^2 the highest degree: g_(n+1) = (t/s) g_n - (n/s^2) g_(n-1)
    takes the fewest operations, and no g_n overflows. `degrees`: the n of the sum; None: all.
    """
    s = max(1, coefficients.shape[-1] - 1) ** 0.5
    t = t / s
    below, here = jnp.zeros_like(t), jnp.ones_like(t)
    value, slope = jnp.zeros_like(t), jnp.zeros_like(t)
    for n in range(coefficients.shape[-1]):
        if degrees is None or n in degrees:
            a = coefficients[..., n : n + 1] * exp(n * log(s) - lgamma(n + 1) / 2)
            value, slope = value + a * here, slope + (a * (n / s)) * below
        below, here = here, t * here - (n / s**2) * below
    return value, slope
