"""Conv: a convolution over one or two spatial axes, channels last."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from dualc.layers import window
from dualc.layers.covariance import Covariance, Sides
from dualc.layers.dense import add_axes, affine, affine_weights, check_affine, scales
from dualc.layers.layer import Layer, Parameterization, Weights, pytree
from dualc.layers.signal import Signal, Signals, one
from dualc.layers.sketch import Plan, Sketch, draw_patches, over_patches
from dualc.layers.sketch import affine as affine_sketch


@pytree(
    "W_std", "b_std", static=("filter_shape", "strides", "padding", "width", "parameterization")
)
@dataclass(frozen=True)
class Conv(Layer):
    """W_std/sqrt(c |filter|) W * x + b_std b, W and b of independent N(0, 1).

    filter_shape: (f,) for sequences (n, h, c), (f, g) for images (n, h, w, c). padding "SAME" (by
    zeros), "VALID" or "CIRCULAR". Otherwise as Dense.
    """

    filter_shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    padding: str = "SAME"
    W_std: Any = 1.0
    b_std: Any = None
    width: int | None = None
    parameterization: Parameterization = "ntk"

    def _strides(self) -> tuple[int, ...]:
        return self.strides or (1,) * len(self.filter_shape)

    def signal(self, signal: Signals) -> Signal:
        check_affine(self)
        window.check("Conv", self.filter_shape, self.strides, self.padding)
        shape = one(signal, "Conv").shape
        shape = window.out_shape("Conv", shape, self.filter_shape, self._strides(), self.padding)
        return Signal(shape, self.width, True, True, "Conv")

    # exact: the mean over the filter, of both positions together

    def covariance(self, k: Covariance, sides: Sides) -> Covariance:
        channels = k.signal.channels
        fan_in = None if channels is None else channels * prod(self.filter_shape)
        return affine(self, k.over_space(lambda a: self._mean(a, k), k.signal), fan_in)

    def _mean(self, values: Array, k: Covariance) -> Array:
        first, step = k.relation.ndim, 2 if k.is_full else 1
        for i, (f, stride) in enumerate(zip(self.filter_shape, self._strides(), strict=True)):
            axes = tuple(range(first + step * i, first + step * (i + 1)))
            values = window.sums(values, axes, f, stride, self.padding)
        return values / prod(self.filter_shape)

    # sketched: a mixing of the columns, random signs over the filter

    def draw(self, key: Array, s: Sketch, plan: Plan) -> Weights:
        return draw_patches(key, s, self.filter_shape, plan)

    def sketch(self, weights: Weights, s: Sketch) -> Sketch:
        patched = over_patches(weights, s, self._patches, self._slide)
        channels = s.signal.channels
        fan_in = None if channels is None else channels * prod(self.filter_shape)
        return affine_sketch(self, patched, fan_in).after(self)

    def _slide(self, x: Array, signs: Array) -> Array:
        """The depthwise convolution with signs (*filter, p)."""
        return window.weighted(x, signs, self._strides(), self.padding)

    def _patches(self, x: Array) -> Array:
        """All values under the filter side by side, over the root of their number."""
        shifted = window.shifted(x, self.filter_shape, self._strides(), self.padding)
        scaled: Array = jnp.concatenate(shifted, axis=-1) / prod(self.filter_shape) ** 0.5
        return scaled

    # finite

    def weights(self, key: Array, signal: Signal, width: int) -> Weights:
        fan_in = (*self.filter_shape, signal.channels or width)
        return affine_weights(self, key, fan_in, self.width or width)

    def apply(self, params: Weights, x: Array) -> Array:
        W_std, b_std = scales(self, x.shape[-1] * prod(self.filter_shape), x)
        out = W_std * self._convolve(x, params[0])
        return out if b_std is None else out + b_std * add_axes(params[1], out)

    def _convolve(self, x: Array, filters: Array) -> Array:
        letters = "HW"[: len(self.filter_shape)]
        padding = self.padding
        if padding == "CIRCULAR":
            x = window.padded_images(x, self.filter_shape, self._strides(), padding)
            padding = "VALID"
        return lax.conv_general_dilated(
            x,
            filters,
            self._strides(),
            padding,
            dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
            precision="highest",
        )
