"""LayerNorm: every sample, at every position, to mean 0 and variance 1 over the channels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax.numpy as jnp
from jax import Array

from dualc.errors import NetworkError
from dualc.layers.covariance import Covariance, Sides, settled
from dualc.layers.layer import Layer, Weights, pytree
from dualc.layers.signal import Signal, Signals, one
from dualc.layers.sketch import Sketch


@pytree(static=("eps",))
@dataclass(frozen=True)
class LayerNorm(Layer):
    """(x - mean)/sqrt(variance + eps) over the channels.

    In the limit of infinite width the covariance divided by the deviations of both sides.
    """

    eps: float = 1e-12

    def signal(self, signal: Signals) -> Signal:
        signal = one(signal, "LayerNorm")
        if not signal.is_gaussian:
            raise NetworkError(
                f"LayerNorm after {signal.after}: only centred Gaussian values have a known "
                "limit.  Put it directly after Dense or Conv"
            )
        return replace(signal, after="LayerNorm")

    variances = 1

    def covariance(self, k: Covariance, sides: Sides) -> Covariance:
        q11, q22 = sides(k)
        scale = self._scale(q11) * self._scale(q22)
        ntk = None if k.ntk is None else k.ntk * scale
        return replace(k, nngp=settled(k, q11, q22) * scale, ntk=ntk, signal=self.signal(k.signal))

    def sketch(self, weights: Weights, s: Sketch) -> Sketch:
        scale = self._scale(s.q)[..., None]
        return s.each(lambda block: block.times(scale)).after(self)

    def apply(self, params: Weights, x: Array) -> Array:
        x = x - jnp.mean(x, axis=-1, keepdims=True)
        return x * self._scale(jnp.mean(x * x, axis=-1, keepdims=True))

    def _scale(self, q: Array) -> Array:
        return 1 / jnp.sqrt(q + self.eps)
