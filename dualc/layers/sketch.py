"""The sketched reading: features between layers, and what linear layers do to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import sparse
from jax.experimental.sparse import BCOO
from jaxtyping import Float

from dualc.errors import NetworkError
from dualc.layers.covariance import Covariance, Recording, of_samples
from dualc.layers.signal import Signal, standard_needs_width
from dualc.runtime.mixing import (
    Columns,
    Mixing,
    added,
    draw_mixing,
    draw_rotation,
    generator,
    mix,
    random_signs,
    rotate,
)
from dualc.runtime.polysketch import unit_rows

_SHARE = 16  # exact patches beyond this part of p take time, and help no more than the mixed

if TYPE_CHECKING:
    from dualc.layers.layer import Layer, Weights

Method = Literal["direct", "polysketch"]


class Features(NamedTuple):
    """Random features: inner products of rows approximate the kernels. None: not asked for."""

    nngp: Float[Array, "n *space p"] | None = None
    ntk: Float[Array, "n *space p"] | None = None


@dataclass(frozen=True)
class Plan:
    """What the sketch of a network is drawn for."""

    p: int  # columns of the result, and of every step inside
    method: Method
    degree: int  # of "polysketch"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Block:
    """Columns of the features, with the share that they have in the NTK's.

    `exact`: no estimates, but constants and the inputs. `spread`: every column carries its share
    of all inner products, as after a mixing.
    """

    values: Float[Array, "n *space c"] | BCOO
    share: Float[Array, ""]
    exact: bool = field(default=False, metadata={"static": True})
    spread: bool = field(default=False, metadata={"static": True})

    @property
    def array(self) -> Array:
        """The values, which are sparse only before the first activation."""
        if isinstance(self.values, BCOO):
            raise NetworkError('sparse inputs are for method="polysketch".  Or give x.todense()')
        return self.values

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.values.shape[-1])

    def times(self, factor: Any) -> Block:
        """The same with all values multiplied."""
        return replace(self, values=self.values * factor)


Blocks = tuple[Block, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sketch:
    """Features of the values between two layers, columns last.

    `h`: inner products approximate the NNGP kernel. The NTK's features are sqrt(share) h and z
    together: a layer's NTK holds its NNGP kernel, so that columns occur in both and are kept once.
    `own`: the kernels of every sample with itself, by the exact reading; estimates after a pool if
    there are more positions than it pays to pair. `steps`: Dense layers since the inputs, 2 where
    there was anything else. `depth`: activations since the inputs.
    """

    h: Blocks
    z: Blocks
    own: Covariance
    steps: int = field(default=0, metadata={"static": True})
    depth: int = field(default=0, metadata={"static": True})

    @classmethod
    def of(cls, x: Array | BCOO, ntk: bool, is_full: bool = False) -> Sketch:
        """The inputs themselves, divided by the root of their number of channels.

        `is_full`: a later layer pools, and the kernels of all positions of a sample are wanted.
        """
        block = Block(
            x * (1 / jnp.sqrt(jnp.array(x.shape[-1], x.dtype))), jnp.zeros((), x.dtype), exact=True
        )
        if is_full:
            assert not isinstance(x, BCOO)
            own = of_samples(x, is_full)
        else:
            same = jnp.ones(x.shape[0], jnp.int8)
            own = Covariance(sizes((block,)), None, same, Signal.of(x.shape[1:]))
        return cls((block,), (), replace(own, ntk=jnp.zeros_like(own.nngp) if ntk else None))

    @property
    def signal(self) -> Signal:
        """What is known of the values."""
        return self.own.signal

    @property
    def ntk(self) -> bool:
        """Whether there is an NTK at all."""
        return self.own.ntk is not None

    @property
    def dtype(self) -> Any:
        """The dtype of everything."""
        return self.own.nngp.dtype

    @property
    def q(self) -> Float[Array, "*batch"]:
        """The variances, which |h|^2 estimates."""
        return self.own.of_equal_positions(self.own.nngp)

    @property
    def t(self) -> Float[Array, "*batch"]:
        """The NTK of every sample with itself."""
        assert self.own.ntk is not None
        return self.own.of_equal_positions(self.own.ntk)

    def tangents(self) -> Blocks:
        """The NTK's features, exact blocks first."""
        if not self.ntk:
            return ()
        return (*(block.times(jnp.sqrt(block.share)) for block in self.h), *self.z)

    def each(self, function: Callable[[Block], Block]) -> Sketch:
        """The same function of every block."""
        return replace(self, h=tuple(map(function, self.h)), z=tuple(map(function, self.z)))

    def after(self, layer: Layer) -> Sketch:
        """The same with the kernels of samples with themselves after the layer."""
        own = layer.covariance(self.own, Recording([]))
        assert isinstance(own, Covariance)
        return replace(self, own=own)

    def pooled(self, layer: Layer, function: Callable[[Array], Array]) -> Sketch:
        """After a layer that is a linear function over the positions of all columns.

        Without all pairs of positions the columns estimate the kernels of samples with themselves.
        """
        after = self.each(lambda block: replace(block, values=function(block.array)))
        if self.own.is_full:
            return after.after(layer)
        signal = layer.signal(self.signal)
        assert isinstance(signal, Signal)
        ntk = sizes(after.tangents()) if self.ntk else None
        return replace(after, own=replace(self.own, nngp=sizes(after.h), ntk=ntk, signal=signal))


Sketches = Sketch | tuple[Sketch, ...]


def shapes(layer: Layer, weights: Weights, s: Sketches) -> Any:
    """The shapes of what a layer makes of a sketch."""
    return jax.eval_shape(layer.sketch, weights, s)


def sizes(blocks: Blocks) -> Float[Array, "*batch"]:
    """|h|^2 of every row of all columns."""
    if isinstance(blocks[0].values, BCOO):
        return unit_rows(blocks[0].values)[1] ** 2
    return added([jnp.sum(block.array**2, axis=-1) for block in blocks])


def positive(q: Array) -> Array:
    """Variances at least so large that a_1(q)/sqrt(q) is phi'(0), or the mean of its two sides."""
    return jnp.maximum(q, jnp.asarray(1e-12, q.dtype))


def ratio(a: Array, b: Array) -> Array:
    """a/b, and 1 where b = 0."""
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 1)


def width(blocks: Blocks) -> int:
    """The number of columns."""
    return sum(block.width for block in blocks)


def exact_first(blocks: Blocks) -> Blocks:
    """The same blocks, exact ones before the others."""
    return tuple(sorted(blocks, key=lambda block: not block.exact))


def side_by_side(blocks: Blocks) -> Array | BCOO:
    """All columns in one array."""
    if len(blocks) == 1:
        return blocks[0].values
    if any(isinstance(block.values, BCOO) for block in blocks):
        parts = [_sparse(block.values) for block in blocks]
        return sparse.bcoo_concatenate(parts, dimension=1)
    return jnp.concatenate([block.array for block in blocks], axis=-1)


def _sparse(values: Array | BCOO) -> BCOO:
    return values if isinstance(values, BCOO) else BCOO.fromdense(values, nse=values.size)


# ---- linear layers ----


def affine(layer: Any, s: Sketch, fan_in: int | None) -> Sketch:
    """Weights and bias: columns scaled, and one more, exact column for the bias.

    The NTK gains the new NNGP kernel (fan_in times it in the standard parametrisation, and 1).
    `s.own` stays what it was.
    """
    is_ntk, one = layer.parameterization == "ntk", jnp.ones((), s.dtype)
    if not is_ntk and fan_in is None and s.ntk:
        raise NetworkError(standard_needs_width(layer, s.signal))
    W_std = jnp.asarray(layer.W_std, s.dtype)
    gain = one if is_ntk else (fan_in or 1) / W_std**2
    h = tuple(replace(block.times(W_std), share=block.share + gain) for block in s.h)
    if layer.b_std is not None:
        b_std = jnp.asarray(layer.b_std, s.dtype)
        column = jnp.broadcast_to(b_std, (*h[0].values.shape[:-1], 1))
        h = (Block(column, one if is_ntk else b_std**-2, exact=True), *h)
    z = tuple(block.times(W_std) for block in s.z)
    is_even = is_ntk or layer.b_std is None  # all columns have one share after the first layer
    return replace(s, h=h, z=z, steps=min(s.steps + 1, 2) if is_even else 2)


def joined(parts: tuple[Sketch, ...], own: Covariance) -> Sketch:
    """The sum of independent branches: all their columns side by side."""
    h = exact_first(tuple(block for part in parts for block in part.h))
    z = tuple(block for part in parts for block in part.z)
    return Sketch(h, z, own, 2, max(part.depth for part in parts))


# ---- positions: convolutions and Flatten ----


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MixedPatches:
    """Random choices for patches: a mixing of the columns, signs over the filter."""

    mixing: Mixing
    rotation: Float[Array, "b b"]
    signs: Float[Array, "*filter p"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Patches:
    """How patches are taken: which blocks of h as they are, and of the other columns mixed."""

    h: MixedPatches | None
    z: MixedPatches | None
    kept: tuple[int, ...] = field(metadata={"static": True})

    def split(self, s: Sketch) -> tuple[Blocks, Sketch]:
        """The blocks that are taken as they are, and a sketch of the others."""
        kept = tuple(s.h[i] for i in self.kept)
        return kept, replace(s, h=tuple(b for i, b in enumerate(s.h) if i not in self.kept))


def draw_patches(key: Array, s: Sketch, filter_shape: tuple[int, ...], plan: Plan) -> Patches:
    """Exact blocks are kept while their patches are few: half of p at most, a sixteenth later."""
    left = plan.p // (_SHARE if s.depth else 2)
    kept = []
    for i in sorted(range(len(s.h)), key=lambda i: s.h[i].width):
        columns = s.h[i].width * prod(filter_shape)
        if s.h[i].exact and columns <= left:
            left -= columns
            kept.append(i)
    patches = Patches(None, None, tuple(sorted(kept)))
    _, rest = patches.split(s)
    h, z = (
        _draw(jax.random.fold_in(key, i), blocks, filter_shape, plan.p, s.dtype)
        for i, blocks in enumerate((rest.h, jax.eval_shape(Sketch.tangents, rest)))
    )
    return replace(patches, h=h, z=z)


def _draw(
    key: Array, blocks: Blocks, filter_shape: tuple[int, ...], p: int, dtype: Any
) -> MixedPatches | None:
    if not blocks:
        return None
    keys = jax.random.split(key, 3)
    signs = random_signs(generator(keys[1]), (*filter_shape, p), dtype)
    rotation = draw_rotation(keys[2], p, dtype)
    return MixedPatches(draw_mixing(keys[0], columns(blocks), p, dtype), rotation, signs)


def over_patches(
    weights: Patches,
    s: Sketch,
    patches: Callable[[Array], Array],
    slide: Callable[[Array, Array], Array],
) -> Sketch:
    """Features of the mean over patches: exact ones of few columns, of the others without patches.

    E |sum over t of e_t * M h_t|^2 = sum of |h_t|^2 for signs e and a mixing M: products of
    different positions cancel. M rotates small blocks of columns, so that no column is heavy in all
    the positions under a filter. `patches` gives the values under the filter side by side, over the
    root of their number; `slide(x, signs)` is the depthwise convolution.
    """
    kept, rest = weights.split(s)

    def mixed(own: MixedPatches | None, blocks: Blocks) -> Blocks:
        if own is None:
            return ()
        positions = jnp.array(prod(own.signs.shape[:-1]), s.dtype)
        mixed = rotate(own.rotation, mix(own.mixing, columns(blocks)))
        values = slide(mixed, own.signs) / jnp.sqrt(positions)
        return (Block(values, jnp.zeros((), s.dtype), spread=True),)

    h = (
        *(replace(block, values=patches(block.array)) for block in kept),
        *mixed(weights.h, rest.h),
    )
    return replace(s, h=h, z=mixed(weights.z, rest.tangents()), steps=2)


def unspread(blocks: Blocks) -> tuple[Columns, ...]:
    """What a mixing takes, to be transformed in any case."""
    return tuple(Columns(block.array, False) for block in blocks)


def columns(blocks: Blocks) -> tuple[Columns, ...]:
    """What a mixing takes, to be transformed where it must."""
    return tuple(Columns(block.array, block.spread) for block in blocks)
