"""The orthonormal Walsh-Hadamard transform along the last axis, as a few small matrix products.

A butterfly makes log2(n) passes over memory, a dense product n/2 times the arithmetic. In between,
H_(ab) = H_a (x) H_b: the last axis is read as a grid, and every side of the grid is one product by
a small Hadamard matrix, which matrix units do near their peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import Precision
from jaxtyping import Array, Float

from dualc.errors import DualcError

_WHOLE = 128  # up to here one product is faster than two and the transposition between them
_SIDE = 64  # beyond it the arithmetic of a product outweighs the pass over memory it saves


def next_power_of_two(n: int) -> int:
    """The smallest power of two that is at least n; 1 for n <= 1."""
    return 1 << max(0, n - 1).bit_length()


def hadamard(x: Float[Array, "*batch n"], *, ordered: bool = True) -> Float[Array, "*batch n"]:
    """The product x H; H_jk = (-1)^popcount(j & k) / sqrt(n), symmetric and its own inverse.

    ordered=False gives the same columns in another fixed order and saves a third of the time: for
    mixing, where any order will do. Any batch shape; the dtype stays.
    Accuracy: relative to the norm of x, about eps log2(n)/2; products never drop to TF32 or
    bfloat16.
    Raises DualcError if n is not a power of two or x is not real floating point.
    """
    if x.ndim == 0 or x.shape[-1] != next_power_of_two(x.shape[-1]):
        raise DualcError(
            f"hadamard: the last axis of an array of shape {x.shape} has no power-of-two length."
            "  Pad it with zeros to next_power_of_two(n)."
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise DualcError(f"hadamard: {x.dtype} is not a real floating dtype.  Convert x first.")
    transformed: Array = _hadamard(x, ordered)  # compiled also where x is no tracer
    return transformed


@partial(jax.jit, static_argnums=1)
def _hadamard(x: Float[Array, "*batch n"], ordered: bool) -> Float[Array, "*batch n"]:
    factors = [hadamard_matrix(side, x.dtype) for side in kronecker_sides(x.shape[-1])]
    return kronecker(x, factors, ordered=ordered)


def kronecker(
    x: Float[Array, "*batch n"], factors: Sequence[Float[Array, "side side"]], *, ordered: bool
) -> Float[Array, "*batch n"]:
    """The product of x and factors[0] (x) factors[1] (x) ..; unordered, its columns' digits turn.

    One product for each factor, with a transposition before every one but the first; ordered takes
    another transposition.
    """
    grid = x.reshape(-1, *(len(factor) for factor in factors))
    for turn, factor in enumerate(reversed(factors)):
        if turn:  # the next side comes last
            grid = jnp.moveaxis(grid, -1, 1)
        grid = jnp.matmul(grid, factor, precision=Precision.HIGHEST)
    if ordered and len(factors) > 1:
        grid = jnp.moveaxis(grid, -1, 1)
    return grid.reshape(x.shape)


def hadamard_matrix(n: int, dtype: jnp.dtype) -> Float[Array, "n n"]:
    """H itself, ordered, for a power of two n small enough to be written out."""
    return jnp.asarray(_signs(n) / np.sqrt(n), dtype)


def kronecker_sides(n: int) -> tuple[int, ...]:
    """Powers of two, as equal as they can be, with product n: what a length is read as."""
    bits = n.bit_length() - 1
    if n <= _WHOLE:
        return (n,)
    count = -(-bits // (_SIDE.bit_length() - 1))
    return tuple(1 << (bits + k) // count for k in range(count))


@lru_cache(maxsize=16)
def _signs(side: int) -> np.ndarray:
    """(-1)^popcount(j & k), by doubling; numpy, for a cached JAX array would leak its trace."""
    signs = np.ones((1, 1))
    while len(signs) < side:
        signs = np.block([[signs, signs], [signs, -signs]])
    return signs
