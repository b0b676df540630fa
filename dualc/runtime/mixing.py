"""Random linear maps of features: rows that are Gaussian and orthogonal in blocks; mixings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from dualc.runtime.transform import hadamard, next_power_of_two

_DENSE = 1024  # columns up to which a dense product is faster than two Hadamard transforms


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GaussianRows:
    """Rows of N(0, I), orthogonal in blocks: a dense matrix, or signs and Hadamard transforms."""

    matrix: Float[Array, "c p"] | None
    signs: Float[Array, "blocks rounds width"] | None
    radii: Float[Array, " p"]


def draw_gaussian_rows(key: Array, c: int, p: int, dtype: Any) -> GaussianRows:
    """p rows of length c. Every row is N(0, I) by itself: a direction times a chi radius.

    Beyond c = 1024 directions are those of (H D)(H D) with random signs D: nearly uniform.
    """
    keys = jax.random.split(key)
    if c <= _DENSE:
        blocks = -(-p // c)
        square = jax.random.normal(keys[0], (blocks, c, c), dtype)
        orthogonal, triangular = jnp.linalg.qr(square)
        # With the signs of the diagonal Q is uniform, whatever LAPACK's convention.
        signs = jnp.sign(jnp.diagonal(triangular, axis1=1, axis2=2))
        rows = jnp.swapaxes(orthogonal * signs[:, None], 0, 1).reshape(c, -1)[:, :p]
        return GaussianRows(rows * _chi(keys[1], c, p, dtype), None, jnp.ones(p, dtype))
    width = next_power_of_two(c)
    signs = jax.random.rademacher(keys[0], (-(-p // width), 2, width), dtype)
    return GaussianRows(None, signs, _chi(keys[1], width, p, dtype))


def _chi(key: Array, c: int, p: int, dtype: Any) -> Array:
    return jnp.sqrt(2 * jax.random.gamma(key, c / 2, (p,), dtype))


def gaussian(rows: GaussianRows, h: Float[Array, "*batch c"]) -> Float[Array, "*batch p"]:
    """The products of h with the rows."""
    if rows.matrix is not None:
        return jnp.matmul(h, rows.matrix, precision="highest")
    assert rows.signs is not None
    wide = _padded(h, rows.signs.shape[-1])
    parts = [hadamard(_signed(hadamard(_signed(wide, s[0])), s[1])) for s in rows.signs]
    p = rows.radii.shape[0]
    return _signed(jnp.concatenate(parts, axis=-1)[..., :p], rows.radii)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mixing:
    """Random signs, for a fold and a Hadamard transform, of which `rows` are taken."""

    signs: Float[Array, " c"]
    rows: Int[Array, " p"] | None  # None: all
    width: int = field(metadata={"static": True})


def draw_mixing(key: Array, c: int, p: int, dtype: Any) -> Mixing:
    """A random map of c columns to p that keeps inner products in the mean."""
    keys = jax.random.split(key)
    width = next_power_of_two(p)
    rows = None if width == p else jnp.sort(jax.random.permutation(keys[1], width)[:p])
    return Mixing(jax.random.rademacher(keys[0], (c,), dtype), rows, width)


def mix(mixing: Mixing, x: Float[Array, "*batch c"]) -> Float[Array, "*batch p"]:
    """E <mix(x), mix(y)> = <x, y>, and every single column carries its share of it.

    Columns beyond the width of the transform are added to the first ones with random signs.
    """
    rows, width = mixing.rows, mixing.width
    blocks = -(-x.shape[-1] // width)
    folded = _padded(_signed(x, mixing.signs), blocks * width)
    folded = jnp.sum(folded.reshape(*x.shape[:-1], blocks, width), axis=-2)
    mixed = hadamard(folded)
    return mixed if rows is None else jnp.take(mixed, rows, axis=-1) * (width / rows.size) ** 0.5


def _signed(x: Array, signs: Array) -> Array:
    return x * signs.reshape((1,) * (x.ndim - 1) + signs.shape)


def _padded(x: Array, width: int) -> Array:
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, width - x.shape[-1])])
