"""AvgPool, SumPool and GlobalAvgPool: means and sums over space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import jax.numpy as jnp
from jax import Array

from dualc.errors import NetworkError
from dualc.layers import window
from dualc.layers.covariance import Covariance, Sides
from dualc.layers.layer import Layer, Weights, pytree
from dualc.layers.signal import Signal, Signals, one
from dualc.layers.sketch import Sketch


class _Pool(Layer):
    """Sums over windows, times `_scale`: the same linear function on values, kernels, features."""

    window_shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    padding: str

    def _scale(self) -> float:
        raise NotImplementedError

    def _strides(self) -> tuple[int, ...]:
        return self.strides or (1,) * len(self.window_shape)

    def signal(self, signal: Signals) -> Signal:
        name = type(self).__name__
        signal = one(signal, name)
        window.check(name, self.window_shape, self.strides, self.padding)
        shape, strides = signal.shape, self._strides()
        shape = window.out_shape(name, shape, self.window_shape, strides, self.padding)
        return replace(signal, shape=shape, after=f"{name} after {signal.after}")

    def needs_pairs_of_positions(self, wanted: bool) -> bool:
        return True

    def covariance(self, k: Covariance, sides: Sides) -> Covariance:
        first = k.relation.ndim

        def both(a: Array) -> Array:
            return self._pool(self._pool(a, first, 2), first + 1, 2)

        return k.over_space(both, self.signal(k.signal))

    def _pool(self, values: Array, first: int, step: int) -> Array:
        for i, (f, stride) in enumerate(zip(self.window_shape, self._strides(), strict=True)):
            values = window.sums(values, (first + step * i,), f, stride, self.padding)
        return values * self._scale()

    def sketch(self, weights: Weights, s: Sketch) -> Sketch:
        return s.pooled(self, lambda a: self._pool(a, 1, 1))

    def apply(self, params: Weights, x: Array) -> Array:
        return self._pool(x, 1, 1)


@pytree(static=("window_shape", "strides", "padding"))
@dataclass(frozen=True)
class AvgPool(_Pool):
    """The mean over windows; positions that padding adds count as zeros."""

    window_shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    padding: str = "VALID"

    def _scale(self) -> float:
        return 1 / prod(self.window_shape)


@pytree(static=("window_shape", "strides", "padding"))
@dataclass(frozen=True)
class SumPool(_Pool):
    """The sum over windows."""

    window_shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    padding: str = "VALID"

    def _scale(self) -> float:
        return 1.0


@pytree()
@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean over all positions."""

    def signal(self, signal: Signals) -> Signal:
        signal = one(signal, "GlobalAvgPool")
        if not signal.shape:
            raise NetworkError(f"GlobalAvgPool: no positions are left after {signal.after}")
        return replace(signal, shape=(), after=f"GlobalAvgPool after {signal.after}")

    def needs_pairs_of_positions(self, wanted: bool) -> bool:
        return True

    def covariance(self, k: Covariance, sides: Sides) -> Covariance:
        axes = tuple(range(k.relation.ndim, k.nngp.ndim))
        pooled = k.over_space(lambda a: jnp.mean(a, axis=axes), self.signal(k.signal))
        return replace(pooled, is_full=False)

    def sketch(self, weights: Weights, s: Sketch) -> Sketch:
        return s.pooled(self, lambda a: self.apply((), a))

    def apply(self, params: Weights, x: Array) -> Array:
        return jnp.mean(x, axis=tuple(range(1, x.ndim - 1)))
