"""The exact reading: the covariances that pass between layers, and the variances beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int, UInt

from dualc.layers.signal import Signal


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Covariance:
    """The kernels of the values between two layers, for pairs of samples.

    `nngp` and `ntk` have shape (*pairs, *space). `pairs` is (n, m), or (n,) where every sample is
    paired with itself. `space` is () for vectors; the positions (h, w) where only equal positions
    are paired; (h, h', w, w') with `is_full`, when a later layer pools. `relation` (pairs) is 1
    where two samples coincide, -1 where they are opposite, else 0.
    """

    nngp: Float[Array, "*pairs_space"]
    ntk: Float[Array, "*pairs_space"] | None
    relation: Int[Array, "*pairs"]
    signal: Signal = field(metadata={"static": True})
    is_full: bool = field(default=False, metadata={"static": True})

    @property
    def is_diagonal(self) -> bool:
        """Whether all that is there are the variances of samples, at every position."""
        return self.relation.ndim == 1 and not self.is_full

    def over_space(self, function: Callable[[Array], Array], signal: Signal) -> Covariance:
        """The same with a linear function applied to both kernels, and the signal that follows."""
        ntk = None if self.ntk is None else function(self.ntk)
        return replace(self, nngp=function(self.nngp), ntk=ntk, signal=signal)

    def of_equal_positions(self, values: Array) -> Array:
        """The entries (*pairs, h, w) of values (*pairs, h, h', w, w'), or the values themselves."""
        if self.is_full:
            for axis in range(self.relation.ndim, self.relation.ndim + len(self.signal.shape)):
                values = jnp.moveaxis(jnp.diagonal(values, axis1=axis, axis2=axis + 1), -1, axis)
        return values


Covariances = Covariance | tuple[Covariance, ...]


class Sides(Protocol):
    """Where a layer takes the variances q11 and q22 of a pair from."""

    def __call__(self, k: Covariance) -> tuple[Array, Array]:
        """The variances of both samples of every pair, with the axes of k.nngp."""


class Walk(Protocol):
    """How covariances go through layers that lie between two branchings: one compiled step."""

    def through(self, layers: tuple[Any, ...], k: Covariances) -> Covariances:
        """The covariances after these layers."""

    def narrowed(self, k: Covariance) -> Covariance:
        """Those of equal positions alone."""


@dataclass
class Recording:
    """Samples paired with themselves: the variances are those at hand, and are kept, in order."""

    seen: list[Array]

    def __call__(self, k: Covariance) -> tuple[Array, Array]:
        q = k.of_equal_positions(k.nngp)
        self.seen.append(q)
        return _facing(q, q, k)


@dataclass
class Replaying:
    """Samples paired with others: the variances that were recorded of either, in that order."""

    rows: Iterator[Array]
    columns: Iterator[Array]

    def __call__(self, k: Covariance) -> tuple[Array, Array]:
        return _facing(next(self.rows)[:, None], next(self.columns)[None], k)


def _facing(q11: Array, q22: Array, k: Covariance) -> tuple[Array, Array]:
    """Variances (*pairs, *positions) with the axes of k.nngp: rows first among full positions."""
    if not k.is_full:
        return q11, q22
    ahead = k.relation.ndim
    first = tuple(range(ahead + 1, k.nngp.ndim, 2))
    second = tuple(range(ahead, k.nngp.ndim, 2))
    return jnp.expand_dims(q11, first), jnp.expand_dims(q22, second)


def at_equal_positions(k: Covariance) -> Covariance:
    """The covariances of equal positions, where a later layer needs no others."""
    return replace(k.over_space(k.of_equal_positions, k.signal), is_full=False)


def settled(k: Covariance, q11: Array, q22: Array) -> Array:
    """q12, with rho = +-1 to the last bit where two samples are known to coincide or be opposite.

    Rounding would leave q11 q22 - q12^2 at eps q^2 there, and dual_dot of relu wrong by its root.
    Gradients are those of q12.
    """
    where = k.relation.reshape(k.relation.shape + (1,) * (k.nngp.ndim - k.relation.ndim))
    if k.is_full:
        where = jnp.where(_same_position(k), where, 0)
    target = lax.stop_gradient(jnp.maximum(q11, q22))
    moving = k.nngp - lax.stop_gradient(k.nngp)  # 0, with the derivative of q12
    return jnp.where(where == 0, k.nngp, jnp.where(where > 0, target, -target) + moving)


def _same_position(k: Covariance) -> Array:
    """A mask (1, ..., h, h', w, w')."""
    mask = jnp.ones((1,) * k.nngp.ndim, bool)
    for i, size in enumerate(k.signal.shape):
        shape = [1] * k.nngp.ndim
        axis = k.relation.ndim + 2 * i
        shape[axis] = shape[axis + 1] = size
        mask = mask & jnp.eye(size, dtype=bool).reshape(shape)
    return mask


# ---- the covariances of inputs ----


def of_pairs(x1: Array, x2: Array, is_full: bool, ntk: bool) -> Covariance:
    """Products of inputs (n, *space, c) with others (m, *space, c), divided by c."""
    signal = Signal.of(x1.shape[1:])
    rows, columns, pairs = _positions(len(signal.shape), is_full)
    formula = f"n{rows}c,m{columns}c->nm{pairs}"
    nngp = jnp.einsum(formula, x1, x2, precision="highest") / x1.shape[-1]
    return Covariance(
        nngp, jnp.zeros_like(nngp) if ntk else None, relation(x1, x2), signal, is_full
    )


def of_samples(x: Array, is_full: bool) -> Covariance:
    """Products of every input with itself."""
    signal = Signal.of(x.shape[1:])
    if is_full:
        rows, columns, pairs = _positions(len(signal.shape), is_full)
        nngp = (
            jnp.einsum(f"n{rows}c,n{columns}c->n{pairs}", x, x, precision="highest") / x.shape[-1]
        )
    else:
        nngp = jnp.sum(x * x, axis=-1) / x.shape[-1]
    return Covariance(nngp, None, jnp.ones(x.shape[0], jnp.int8), signal, is_full)


def _positions(count: int, is_full: bool) -> tuple[str, str, str]:
    """The letters of einsum for the positions of one side, of the other, and of their pairs."""
    letters = "abdefg"[:count]
    if not is_full:
        return letters, letters, letters
    return letters, letters.upper(), "".join(letter + letter.upper() for letter in letters)


def relation(x1: Array, x2: Array) -> Int[Array, "n m"]:
    """1 where x1[i] = x2[j] in every bit, -1 where x1[i] = -x2[j], else 0; 1 for two zeros.

    By two 32-bit hashes of the bits of all numbers: two samples that differ are taken for equal
    once in 2^64 pairs.
    """
    rows, plus, minus = _hash(x1), _hash(x2), _hash(-x2)
    same = jnp.all(rows[:, None] == plus[None], axis=-1)
    opposite = jnp.all(rows[:, None] == minus[None], axis=-1)
    return jnp.where(same, 1, jnp.where(opposite, -1, 0)).astype(jnp.int8)


def _hash(x: Array) -> UInt[Array, "n 2"]:
    x = lax.stop_gradient(x)
    wide = x if x.dtype.itemsize >= 4 else x.astype(jnp.float32)
    bits = lax.bitcast_convert_type(wide + jnp.zeros((), wide.dtype), jnp.uint32)  # -0 + 0 is 0
    words: Array = bits.reshape(x.shape[0], bits.size // max(x.shape[0], 1))
    place = jnp.arange(words.shape[1], dtype=jnp.uint32)
    seeds = jnp.array([0x9E3779B9, 0x85EBCA6B], jnp.uint32)  # any two numbers
    salt = _stir(place[:, None] + seeds[None])
    # Sums of stirred words: in any order the same, unlike sums of floats.
    hashes: Array = jnp.sum(_stir(words[:, :, None] ^ salt[None]), axis=1, dtype=jnp.uint32)
    return hashes


def _stir(h: Array) -> Array:
    """Murmur's finaliser: every bit of the result depends on every bit of h (a bijection)."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ (h >> jnp.uint32(shift))) * jnp.uint32(factor)
    return jnp.bitwise_xor(h, h >> jnp.uint32(16))
