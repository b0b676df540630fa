"""The sketched reading: the features that pass between layers, and what linear layers do to them."""

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

from dualc.layers.signal import Signal
from dualc.runtime.mixing import Mixing, draw_mixing, mix
from dualc.runtime.polysketch import unit_rows

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
class Sketch:
    """Features of the values between two layers, columns last.

    `h`: inner products approximate the NNGP kernel. Its first `exact` columns are no estimates:
    constants and the inputs. `q`: the variances, which h h estimates: exact where no pool came
    before. The NTK's features are sqrt(shares) h and z together: a layer's NTK holds its NNGP
    kernel, so that columns occur in both and are kept once. `ntk`: whether there is an NTK at all.
    `steps`: Dense layers since the inputs, 2 where there was anything else.
    """

    h: Float[Array, "n *space c"] | BCOO
    z: Float[Array, "n *space e"]
    shares: Float[Array, " c"]
    q: Float[Array, "n *space"]
    signal: Signal = field(metadata={"static": True})
    exact: int = field(metadata={"static": True})
    ntk: bool = field(metadata={"static": True})
    steps: int = field(metadata={"static": True})

    @classmethod
    def of(cls, x: Array, ntk: bool) -> Sketch:
        """The inputs themselves, divided by the root of their number of channels."""
        c = x.shape[-1]
        h = x * (1 / jnp.sqrt(jnp.array(c, x.dtype)))
        none = jnp.zeros((*x.shape[:-1], 0), x.dtype)
        return cls(h, none, jnp.zeros(c, x.dtype), sizes(h), Signal.of(x.shape[1:]), c, ntk, 0)

    def tangents(self) -> Array:
        """All columns of the NTK's features, those of exact columns of h first."""
        return jnp.concatenate([self.h * along(jnp.sqrt(self.shares), self.h), self.z], axis=-1)

    def over_space(self, function: Callable[[Array], Array], signal: Signal) -> Sketch:
        """A linear function over positions applied to all columns; variances are estimates then."""
        h = function(self.h)
        return replace(self, h=h, z=function(self.z), q=sizes(h), signal=signal)

    def scaled(self, factor: Array, signal: Signal) -> Sketch:
        """Every sample and position times a factor (n, *space)."""
        h, z = self.h * factor[..., None], self.z * factor[..., None]
        return replace(self, h=h, z=z, q=self.q * factor**2, signal=signal)


Sketches = Sketch | tuple[Sketch, ...]


def shapes(layer: Layer, weights: Weights, s: Sketches) -> Any:
    """The shapes of what a layer makes of a sketch."""
    return jax.eval_shape(layer.sketch, weights, s)


def sizes(h: Float[Array, "*batch c"] | BCOO) -> Float[Array, "*batch"]:
    """|h|^2 of every row."""
    if isinstance(h, BCOO):
        return unit_rows(h)[1] ** 2
    return jnp.sum(h * h, axis=-1)


def along(row: Float[Array, " c"], like: Array) -> Array:
    """A row with as many axes as `like`."""
    return row.reshape((1,) * (like.ndim - 1) + row.shape)


# ---- linear layers ----


def affine(layer: Any, s: Sketch, fan_in: int | None) -> Sketch:
    """Weights and bias: columns scaled, and one more, exact column for the bias.

    The NTK gains the new NNGP kernel (fan_in times it in the standard parametrisation, and 1).
    """
    dtype = s.h.dtype
    W_std = jnp.asarray(layer.W_std, dtype)
    count = 1 if layer.parameterization == "ntk" else fan_in
    assert count is not None
    gain = jnp.ones((), dtype) if layer.parameterization == "ntk" else count / W_std**2
    h, q, shares, exact = s.h * W_std, W_std**2 * s.q, s.shares + gain, s.exact
    if layer.b_std is not None:
        b_std = jnp.asarray(layer.b_std, dtype)
        share = jnp.ones(1, dtype) if layer.parameterization == "ntk" else (b_std**-2)[None]
        h = _beside(jnp.broadcast_to(b_std, (*h.shape[:-1], 1)), h)
        q, shares, exact = q + b_std**2, jnp.concatenate([share, shares]), exact + 1
    after = layer.signal(s.signal)
    return replace(
        s,
        h=h,
        z=W_std * s.z,
        shares=shares,
        q=q,
        signal=after,
        exact=exact,
        steps=min(s.steps + 1, 2),
    )


def _beside(column: Array, h: Array | BCOO) -> Array | BCOO:
    if isinstance(h, BCOO):
        return sparse.bcoo_concatenate([BCOO.fromdense(column, nse=len(column)), h], dimension=1)
    return jnp.concatenate([column, h], axis=-1)


def joined(parts: tuple[Sketch, ...], signal: Signal) -> Sketch:
    """The sum of independent branches: all their columns side by side, exact ones first."""
    h = [p.h[..., : p.exact] for p in parts] + [p.h[..., p.exact :] for p in parts]
    shares = [p.shares[: p.exact] for p in parts] + [p.shares[p.exact :] for p in parts]
    q = parts[0].q
    for part in parts[1:]:
        q = q + part.q
    return Sketch(
        jnp.concatenate(h, axis=-1),
        jnp.concatenate([p.z for p in parts], axis=-1),
        jnp.concatenate(shares),
        q,
        signal,
        sum(p.exact for p in parts),
        parts[0].ntk,
        2,
    )


# ---- positions: convolutions and Flatten ----


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Patches:
    """Random choices of a convolution's sketch: a mixing of the columns, signs over the filter."""

    mixing: Mixing
    signs: Float[Array, "*filter 1 p"]


def draw_patches(
    key: Array, s: Sketch, filter_shape: tuple[int, ...], plan: Plan
) -> tuple[Patches | None, Patches | None]:
    """Choices for h and for the NTK's features; None where patches are taken as they are."""
    columns = s.h.shape[-1], s.h.shape[-1] + s.z.shape[-1]
    if s.z.shape[-1] == 0 and 2 * columns[0] * prod(filter_shape) <= plan.p:
        return None, None
    h, z = (
        _draw(jax.random.fold_in(key, i), c, filter_shape, plan.p, s.h.dtype)
        for i, c in enumerate(columns)
    )
    return h, z if s.ntk else None


def _draw(key: Array, c: int, filter_shape: tuple[int, ...], p: int, dtype: Any) -> Patches:
    keys = jax.random.split(key)
    signs = jax.random.rademacher(keys[1], (*filter_shape, 1, p), dtype)
    return Patches(draw_mixing(keys[0], c, p, dtype), signs)


def over_patches(
    weights: tuple[Patches | None, Patches | None],
    s: Sketch,
    slide: Callable[[Array, Array], Array],
    positions: int,
) -> Sketch:
    """Features of the mean over patches of `positions` values, without the patches themselves.

    E |sum over t of e_t * M h_t|^2 = sum of |h_t|^2 for signs e and a mixing M: products of
    different positions cancel. `slide(x, signs)` is the depthwise convolution.
    """
    root = positions**0.5
    mixed = [
        s.z[..., :0] if w is None else slide(mix(w.mixing, a), w.signs) / root
        for w, a in zip(weights, (s.h, s.tangents()), strict=True)
    ]
    h, z = mixed
    return replace(s, h=h, z=z, shares=jnp.zeros(h.shape[-1], h.dtype), exact=0, steps=2)
