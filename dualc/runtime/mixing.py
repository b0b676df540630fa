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

DENSE = 1024  # columns up to which a dense product is faster than two Hadamard transforms


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
        orthogonal, triangular = np.linalg.qr(random.standard_normal((-(-p // c), c, c)))
        # With the signs of the diagonal Q is uniform, whatever LAPACK's convention.
        signs = np.sign(np.diagonal(triangular, axis1=1, axis2=2))
        rows = np.swapaxes(orthogonal * signs[:, None], 0, 1).reshape(c, -1)[:, :p]
        matrix = rows * np.sqrt(random.chisquare(c, p))
        return GaussianRows(jnp.asarray(matrix, dtype), None, jnp.asarray(np.ones(p), dtype))
    width = next_power_of_two(c)
    signs = random_signs(random, (-(-p // width), rounds, width), dtype)
    return GaussianRows(None, signs, jnp.asarray(np.sqrt(random.chisquare(width, p)), dtype))


def gaussian(rows: GaussianRows, h: Float[Array, "*batch c"]) -> Float[Array, "*batch p"]:
    """The products of h with the rows."""
    if rows.matrix is not None:
        return jnp.matmul(h, rows.matrix, precision="highest")
    assert rows.signs is not None
    wide = _padded(h, rows.signs.shape[-1])
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
    """Random signs for each group of columns; a Hadamard transform for those that need one."""

    signs: tuple[Float[Array, " c"], ...]
    rows: Int[Array, " p"] | None  # taken of the transform; None: all
    p: int = field(metadata={"static": True})


def draw_mixing(key: Array, groups: tuple[Columns, ...], p: int, dtype: Any) -> Mixing:
    """A random map of all these columns to p that keeps inner products in the mean."""
    random, width = generator(key), next_power_of_two(p)
    widths = [group.values.shape[-1] for group in groups]
    signs = tuple(random_signs(random, (p if c == 1 else c,), dtype) for c in widths)
    rows = None
    if width > p:
        rows = jnp.asarray(np.sort(random.permutation(width)[:p]), jnp.int32)
    return Mixing(signs, rows, p)


def mix(mixing: Mixing, groups: tuple[Columns, ...]) -> Float[Array, "*batch p"]:
    """The columns as p others that are spread, with inner products kept in the mean.

    A single column is spread as it is; groups that are spread are added with random signs; what
    is not goes through a Hadamard transform, folded to its width with random signs.
    """
    p, width = mixing.p, next_power_of_two(mixing.p)
    ready: list[Array] = []
    folded: list[Array] = []
    for signs, group in zip(mixing.signs, groups, strict=True):
        x = _signed(group.values, signs)
        if group.values.shape[-1] == 1:
            ready.append(x / p**0.5)
        elif group.spread and group.values.shape[-1] == p:
            ready.append(x)
        else:
            folded += [_padded(x[..., i : i + width], width) for i in range(0, x.shape[-1], width)]
    if folded:
        mixed = hadamard(added(folded), ordered=False)
        rows = mixing.rows
        ready.append(mixed if rows is None else jnp.take(mixed, rows, axis=-1) * (width / p) ** 0.5)
    return added(ready)


def added(parts: list[Array]) -> Array:
    """The sum, without the integer 0 that the builtin begins with."""
    return reduce(lambda a, b: a + b, parts)


def _signed(x: Array, signs: Array) -> Array:
    return x * signs.reshape((1,) * (x.ndim - 1) + signs.shape)


def _padded(x: Array, width: int) -> Array:
    if x.shape[-1] == width:
        return x
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, width - x.shape[-1])])
