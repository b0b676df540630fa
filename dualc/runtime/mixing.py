"""Random linear maps of features: rows that are Gaussian and orthogonal in blocks; mixings."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from dualc.runtime.transform import hadamard, next_power_of_two

DENSE = 256  # columns up to which a dense product is faster than two Hadamard transforms
_BLOCK = 64  # columns that are rotated together: their sums are nearly normal


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GaussianRows:
    """Rows of N(0, I), orthogonal in blocks: a dense matrix, or signs and Hadamard transforms."""

    matrix: Float[Array, "c p"] | None
    signs: Float[Array, "blocks rounds width"] | None
    radii: Float[Array, " p"]


def generator(key: Array) -> np.random.Generator:
    """NumPy's generator of that key: there drawing compiles nothing, whatever the shapes."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())


def random_signs(random: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """+1 and -1 with equal probabilities."""
    return jnp.asarray(2 * random.integers(0, 2, shape) - 1, dtype)


def draw_gaussian_rows(
    key: Array, c: int, p: int, dtype: Any, *, rounds: int = 2, dense: int = DENSE
) -> GaussianRows:
    """Draws p rows of length c. Every row is N(0, I) by itself: a direction times a chi radius.

    Beyond c = `dense` directions are those of (H D)(H D) with random signs D: nearly uniform. One
    of these rounds is enough for columns that are spread already.
    """
    random = generator(key)
    if c <= dense:
        orthogonal = _orthogonal(random, -(-p // c), c)
        rows = np.swapaxes(orthogonal, 0, 1).reshape(c, -1)[:, :p]
        matrix = rows * np.sqrt(random.chisquare(c, p))
        return GaussianRows(jnp.asarray(matrix, dtype), None, jnp.asarray(np.ones(p), dtype))
    width = next_power_of_two(c)
    signs = random_signs(random, (-(-p // width), rounds, width), dtype)
    return GaussianRows(None, signs, jnp.asarray(np.sqrt(random.chisquare(width, p)), dtype))


def _orthogonal(random: np.random.Generator, count: int, c: int) -> np.ndarray:
    """Uniformly distributed orthogonal matrices (count, c, c)."""
    orthogonal, triangular = np.linalg.qr(random.standard_normal((count, c, c)))
    # With the signs of the diagonal Q is uniform, whatever LAPACK's convention.
    rows: np.ndarray = orthogonal * np.sign(np.diagonal(triangular, axis1=1, axis2=2))[:, None]
    return rows


def gaussian(rows: GaussianRows, h: Float[Array, "*batch c"]) -> Float[Array, "*batch p"]:
    """The products of h with the rows."""
    if rows.matrix is not None:
        return jnp.matmul(h, rows.matrix, precision="highest")
    assert rows.signs is not None
    wide = padded(h, rows.signs.shape[-1])
    parts = []
    for block in rows.signs:
        part = wide
        for signs in block:
            part = hadamard(_signed(part, signs), ordered=False)
        parts.append(part)
    whole = parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=-1)
    return _signed(whole[..., : rows.radii.shape[0]], rows.radii)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Columns:
    """Columns of features. `spread`: every one carries its share of all inner products."""

    values: Float[Array, "*batch c"]
    spread: bool = field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mixing:
    """Random signs of all columns; Hadamard transforms for those that need one."""

    ready: tuple[Float[Array, " p"], ...]  # of groups that are spread already
    signs: Float[Array, "pieces copies side"]  # of all others, `side` columns at a time
    rows: Int[Array, " p"] | None  # taken of the transforms; None: all
    p: int = field(metadata={"static": True})


def draw_mixing(key: Array, groups: tuple[Columns, ...], p: int, dtype: Any) -> Mixing:
    """A random map of all these columns to p that keeps inner products in the mean."""
    random = generator(key)
    ready = [random_signs(random, (p,), dtype) for group in groups if _is_ready(group, p)]
    c = sum(group.values.shape[-1] for group in groups if not _is_ready(group, p))
    side = min(next_power_of_two(c), next_power_of_two(p))
    copies = -(-p // side)
    signs = random_signs(random, (-(-c // side), copies, side), dtype)
    rows = None
    if c and copies * side > p:
        rows = jnp.asarray(np.sort(random.permutation(copies * side)[:p]), jnp.int32)
    return Mixing(tuple(ready), signs, rows, p)


def mix(mixing: Mixing, groups: tuple[Columns, ...]) -> Float[Array, "*batch p"]:
    """The columns as p others that are spread, with inner products kept in the mean.

    Groups that are spread are added with random signs. The others, side by side, go through a
    Hadamard transform that is no longer than they need, as many times as it takes to fill p
    columns, each time with other signs; where they are more than p, folded with random signs.
    """
    spread = [group.values for group in groups if _is_ready(group, mixing.p)]
    others = [group.values for group in groups if not _is_ready(group, mixing.p)]
    parts = [_signed(x, signs) for x, signs in zip(spread, mixing.ready, strict=True)]
    if others:
        pieces, copies, side = mixing.signs.shape
        x = padded(jnp.concatenate(others, axis=-1), pieces * side)
        folded = [
            x[..., None, i * side : (i + 1) * side] * like(mixing.signs[i], x)
            for i in range(pieces)
        ]
        mixed = hadamard(added(folded), ordered=False) * (side / mixing.p) ** 0.5
        mixed = mixed.reshape(*x.shape[:-1], copies * side)
        parts.append(mixed if mixing.rows is None else jnp.take(mixed, mixing.rows, axis=-1))
    return added(parts)


def _is_ready(group: Columns, p: int) -> bool:
    return group.spread and group.values.shape[-1] == p


def draw_rotation(key: Array, p: int, dtype: Any) -> Float[Array, "b b"]:
    """A random orthogonal matrix for blocks of p columns, of about 64."""
    b = p // -(-p // _BLOCK)
    return jnp.asarray(_orthogonal(generator(key), 1, b)[0], dtype)


def rotate(rotation: Float[Array, "b b"], x: Float[Array, "*batch p"]) -> Float[Array, "*batch p"]:
    """Every block of columns times the matrix; the few columns beyond the last block stay."""
    b = len(rotation)
    end = x.shape[-1] // b * b
    blocks = x[..., :end].reshape(*x.shape[:-1], end // b, b)
    turned = jnp.matmul(blocks, rotation, precision="highest").reshape(*x.shape[:-1], end)
    return turned if end == x.shape[-1] else jnp.concatenate([turned, x[..., end:]], axis=-1)


def added(parts: list[Array]) -> Array:
    """The sum, without the integer 0 that the builtin begins with."""
    return reduce(lambda a, b: a + b, parts)


def _signed(x: Array, signs: Array) -> Array:
    return x * like(signs, x)


def like(signs: Array, x: Array) -> Array:
    """The signs behind the axes of a batch of rows like x."""
    return signs.reshape((1,) * (x.ndim - 1) + signs.shape)


def padded(x: Float[Array, "*batch c"], width: int) -> Float[Array, "*batch width"]:
    """Zeros beside the columns, up to that width."""
    if x.shape[-1] == width:
        return x
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, width - x.shape[-1])])
