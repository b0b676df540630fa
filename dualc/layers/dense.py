"""Dense: W x + b, and what it shares with Conv."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from dualc.errors import NetworkError
from dualc.layers.covariance import Covariance, Sides
from dualc.layers.layer import Layer, Parameterization, Weights, pytree
from dualc.layers.signal import Signal, Signals, one, standard_needs_width
from dualc.layers.sketch import Sketch
from dualc.layers.sketch import affine as affine_sketch


@pytree("W_std", "b_std", static=("width", "parameterization"))
@dataclass(frozen=True)
class Dense(Layer):
    """W_std/sqrt(d) W x + b_std b along the channels, W and b of independent N(0, 1).

    b_std = None: no bias. `width`: the channels that come out of the finite network, if not the
    width given to all. parameterization "standard": the weights themselves have deviation
    W_std/sqrt(d), and the NTK is that of gradients in them, which counts the channels before.
    """

    W_std: Any = 1.0
    b_std: Any = None
    width: int | None = None
    parameterization: Parameterization = "ntk"

    def signal(self, signal: Signals) -> Signal:
        check_affine(self)
        return Signal(one(signal, "Dense").shape, self.width, True, True, "Dense")

    # exact: q -> W_std^2 q + b_std^2

    def covariance(self, k: Covariance, sides: Sides) -> Covariance:
        return affine(self, k, k.signal.channels)

    # sketched: columns scaled, one more for the bias

    def sketch(self, weights: Weights, s: Sketch) -> Sketch:
        return affine_sketch(self, s, s.signal.channels).after(self)

    # finite

    def weights(self, key: Array, signal: Signal, width: int) -> Weights:
        d = signal.channels or width
        return affine_weights(self, key, (d,), self.width or width)

    def apply(self, params: Weights, x: Array) -> Array:
        W_std, b_std = scales(self, x.shape[-1], x)
        out = W_std * jnp.matmul(x, params[0], precision="highest")
        return out if b_std is None else out + b_std * add_axes(params[1], out)


def check_affine(layer: Any) -> None:
    """NetworkError unless width and parameterization are as they should be."""
    name = type(layer).__name__
    if layer.parameterization not in ("ntk", "standard"):
        raise NetworkError(
            f'{name}: parameterization is "ntk" or "standard", not {layer.parameterization!r}'
        )
    if layer.width is not None and (not isinstance(layer.width, int) or layer.width < 1):
        raise NetworkError(f"{name}: width is a positive integer, not {layer.width!r}")


def affine(layer: Any, k: Covariance, fan_in: int | None) -> Covariance:
    """Weights and bias on kernels that are averages over the `fan_in` inputs of a unit."""
    W_std, b_std = _as(layer.W_std, k.nngp), _as(layer.b_std, k.nngp)
    assert W_std is not None
    nngp = W_std**2 * k.nngp
    if b_std is not None:
        nngp = nngp + b_std**2
    ntk = None
    if k.ntk is not None and layer.parameterization == "ntk":
        ntk = W_std**2 * k.ntk + nngp
    elif k.ntk is not None:
        if fan_in is None:
            raise NetworkError(standard_needs_width(layer, k.signal))
        ntk = W_std**2 * k.ntk + fan_in * k.nngp
        if b_std is not None:
            ntk = ntk + jnp.ones_like(nngp)
    after = layer.signal(k.signal)
    # With a bias, opposite samples are opposite no longer.
    relation = k.relation if b_std is None else jnp.maximum(k.relation, 0)
    return replace(k, nngp=nngp, ntk=ntk, relation=relation, signal=after)


def affine_weights(layer: Any, key: Array, fan_in: tuple[int, ...], width: int) -> Weights:
    """(W,) or (W, b): N(0, 1), or of the standard parametrisation's deviations."""
    keys = jax.random.split(key)
    W, b = jax.random.normal(keys[0], (*fan_in, width)), jax.random.normal(keys[1], (width,))
    if layer.parameterization == "standard":
        W = W * jnp.asarray(layer.W_std, W.dtype) / jnp.sqrt(jnp.array(W[..., 0].size, W.dtype))
        b = b if layer.b_std is None else b * jnp.asarray(layer.b_std, b.dtype)
    return (W,) if layer.b_std is None else (W, b)


def scales(layer: Any, fan_in: int, like: Array) -> tuple[Array, Array | None]:
    """What multiplies the stored weights and bias when the network is applied."""
    one = jnp.ones((), like.dtype)
    if layer.parameterization == "standard":
        return one, None if layer.b_std is None else one
    W_std = _as(layer.W_std, like)
    assert W_std is not None
    return W_std / jnp.sqrt(fan_in * one), _as(layer.b_std, like)


def add_axes(bias: Array, like: Array) -> Array:
    """A bias (c,) with the axes of (n, *space, c)."""
    return bias.reshape((1,) * (like.ndim - 1) + bias.shape)


def _as(value: Any, like: Array) -> Array | None:
    return None if value is None else jnp.asarray(value, like.dtype)
