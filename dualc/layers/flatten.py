"""Flatten and Identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import jax.numpy as jnp
from jax import Array

from dualc.layers.covariance import Covariance, Sides
from dualc.layers.layer import Layer, Weights, pytree
from dualc.layers.signal import Signal, Signals, one
from dualc.layers.sketch import Plan, Sketch, draw_patches, over_patches


@pytree()
@dataclass(frozen=True)
class Flatten(Layer):
    """All positions and channels as one vector, of which kernels are the mean over positions."""

    def signal(self, signal: Signals) -> Signal:
        signal = one(signal, "Flatten")
        if not signal.shape:
            return signal
        channels = None if signal.channels is None else signal.channels * prod(signal.shape)
        # Positions are correlated: the vector is no longer of independent Gaussian entries.
        return Signal((), channels, False, signal.is_fresh, f"Flatten after {signal.after}")

    def needs_pairs_of_positions(self, wanted: bool) -> bool:
        return False

    def covariance(self, k: Covariance, sides: Sides) -> Covariance:
        axes = tuple(range(k.relation.ndim, k.relation.ndim + len(k.signal.shape)))

        def mean(values: Array) -> Array:
            return jnp.mean(k.of_equal_positions(values), axis=axes)

        return replace(k.over_space(mean, self.signal(k.signal)), is_full=False)

    def draw(self, key: Array, s: Sketch, plan: Plan) -> Weights:
        return draw_patches(key, s, s.signal.shape, plan) if s.signal.shape else ()

    def sketch(self, weights: Weights, s: Sketch) -> Sketch:
        if not s.signal.shape:
            return s
        axes, root = tuple(range(1, 1 + len(s.signal.shape))), prod(s.signal.shape) ** 0.5
        flat = over_patches(
            weights,
            s,
            lambda x: self.apply((), x) / root,
            lambda x, signs: jnp.sum(x * signs[None], axes),
        )
        return flat.after(self)

    def apply(self, params: Weights, x: Array) -> Array:
        return x.reshape(x.shape[0], -1)


@pytree()
@dataclass(frozen=True)
class Identity(Layer):
    """x itself: the branch of a residual network that does nothing."""

    def signal(self, signal: Signals) -> Signal:
        return one(signal, "Identity")

    def covariance(self, k: Covariance, sides: Sides) -> Covariance:
        return k

    def sketch(self, weights: Weights, s: Sketch) -> Sketch:
        return s

    def apply(self, params: Weights, x: Array) -> Array:
        return x
