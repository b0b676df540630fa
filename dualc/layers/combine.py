"""serial, parallel, FanOut, FanInSum: networks of layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from math import inf
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from dualc.errors import NetworkError
from dualc.layers.covariance import (
    Covariance,
    Covariances,
    Recording,
    Sides,
    Walk,
    at_equal_positions,
)
from dualc.layers.dense import Dense
from dualc.layers.layer import Layer, Weights, pytree
from dualc.layers.signal import Signal, Signals, branches, one
from dualc.layers.sketch import Plan, Sketch, Sketches, joined, shapes
from dualc.runtime.mixing import added


@pytree("layers")
@dataclass(frozen=True)
class Serial(Layer):
    """Layers one after the other; made by serial(...)."""

    layers: tuple[Layer, ...]

    def signal(self, signal: Signals) -> Signals:
        return reduce(lambda s, layer: layer.signal(s), self.layers, signal)

    def domains(self) -> tuple[float, ...]:
        """The largest variance allowed wherever a layer asks for variances, in that order."""
        found: list[float] = []
        for layer in self.layers:
            if isinstance(layer, Parallel):
                found += [high for branch in layer.layers for high in branch.domains()]
            else:
                found += [getattr(layer, "domain_high", inf)] * layer.variances
        return tuple(found)

    def beyond_domain(self, what: str) -> NetworkError:
        """The error for what has a variance that a kernel does not serve, and turned to NaN."""
        return NetworkError(
            f"{what} a variance before an activation that is beyond the domain of its kernel, "
            f"[0, {min(self.domains()):g}].  Scale the inputs or W_std down"
        )

    def needs_pairs_of_positions(self, wanted: bool) -> bool:
        for layer in reversed(self.layers):
            wanted = layer.needs_pairs_of_positions(wanted)
        return wanted

    def covariance(self, k: Covariances, sides: Walk, wanted: bool = True) -> Covariances:
        """`wanted`: whether what comes after needs all pairs of positions."""
        for start, stop, later in self._steps(wanted):
            layer = self.layers[start]
            if isinstance(layer, Parallel):
                k = layer.covariance(k, sides)
                continue
            k = sides.through(self.layers[start:stop], k)
            if isinstance(k, Covariance) and k.is_full and not later:
                k = sides.narrowed(k)
        return k

    def _steps(self, wanted: bool) -> list[tuple[int, int, bool]]:
        """Ranges of layers that are compiled together, and whether later ones need all positions.

        Layer by layer: XLA fuses what a layer computes into every use in the next ones, and
        computes it again for each, so that one program for all takes several times as long.
        """
        needed = [wanted]
        for layer in reversed(self.layers[1:]):
            needed.append(layer.needs_pairs_of_positions(needed[-1]))
        steps, start = [], 0
        for stop, (layer, later) in enumerate(zip(self.layers, needed[::-1], strict=True), 1):
            follows = stop < len(self.layers) and not isinstance(self.layers[stop], Parallel)
            if isinstance(layer, Dense) and later and follows:
                continue  # a scaling: one pass with what follows
            steps.append((start, stop, later))
            start = stop
        return steps

    def draw(self, key: Array, s: Sketches, plan: Plan) -> Weights:
        drawn = []
        for i, layer in enumerate(self.layers):
            drawn.append(layer.draw(jax.random.fold_in(key, i), s, plan))
            s = shapes(layer, drawn[-1], s)
        return tuple(drawn)

    def sketch(self, weights: Weights, s: Sketches, wanted: bool = True) -> Sketches:
        for start, stop, later in self._steps(wanted):
            layer = self.layers[start]
            if isinstance(layer, Parallel):
                assert isinstance(s, tuple)
                s = layer.sketch(weights[start], s)
            else:
                s = _sketched(self.layers[start:stop], weights[start:stop], s, later)
        return s

    def weights(self, key: Array, signal: Signals, width: int) -> Weights:
        drawn = []
        for i, layer in enumerate(self.layers):
            drawn.append(layer.weights(jax.random.fold_in(key, i), signal, width))
            signal = layer.signal(signal)
        return tuple(drawn)

    def apply(self, params: Weights, x: Any) -> Any:
        for layer, own in zip(self.layers, params, strict=True):
            x = layer.apply(own, x)
        return x


@partial(jax.jit, static_argnums=3)
def _sketched(
    layers: tuple[Layer, ...], weights: tuple[Weights, ...], s: Sketches, later: bool
) -> Sketches:
    for layer, own in zip(layers, weights, strict=True):
        s = layer.sketch(own, s)
    if isinstance(s, Sketch) and s.own.is_full and not later:
        s = replace(s, own=at_equal_positions(s.own))
    return s


def serial(*layers: Layer) -> Serial:
    """The network of these layers, one after the other; networks among them are spliced in."""
    flat: list[Layer] = []
    for layer in layers:
        if not isinstance(layer, Layer):
            raise NetworkError(f"a network is made of layers, not of {layer!r}")
        flat.extend(layer.layers if isinstance(layer, Serial) else (layer,))
    return Serial(tuple(flat))


@pytree("layers")
@dataclass(frozen=True)
class Parallel(Layer):
    """One layer for every branch of a FanOut; made by parallel(...)."""

    layers: tuple[Serial, ...]

    def _each(self, signal: Signals) -> tuple[Signal, ...]:
        signals = branches(signal, "parallel")
        if len(signals) != len(self.layers):
            raise NetworkError(
                f"parallel has {len(self.layers)} layers for {len(signals)} branches.  Give FanOut "
                f"that number"
            )
        return signals

    def signal(self, signal: Signals) -> tuple[Signal, ...]:
        pairs = zip(self.layers, self._each(signal), strict=True)
        return tuple(one(layer.signal(s), "parallel") for layer, s in pairs)

    def needs_pairs_of_positions(self, wanted: bool) -> bool:
        return any(layer.needs_pairs_of_positions(wanted) for layer in self.layers)

    def covariance(self, k: Covariances, sides: Walk) -> tuple[Any, ...]:
        assert isinstance(k, tuple)
        return tuple(one.covariance(own, sides) for one, own in zip(self.layers, k, strict=True))

    def draw(self, key: Array, s: tuple[Sketch, ...], plan: Plan) -> Weights:
        return tuple(
            layer.draw(jax.random.fold_in(key, i), own, plan)
            for i, (layer, own) in enumerate(zip(self.layers, s, strict=True))
        )

    def sketch(self, weights: Weights, s: tuple[Sketch, ...]) -> tuple[Any, ...]:
        parts = zip(self.layers, weights, s, strict=True)
        return tuple(layer.sketch(own, branch) for layer, own, branch in parts)

    def weights(self, key: Array, signal: Signals, width: int) -> Weights:
        return tuple(
            layer.weights(jax.random.fold_in(key, i), own, width)
            for i, (layer, own) in enumerate(zip(self.layers, self._each(signal), strict=True))
        )

    def apply(self, params: Weights, x: tuple[Any, ...]) -> tuple[Any, ...]:
        parts = zip(self.layers, params, x, strict=True)
        return tuple(layer.apply(own, branch) for layer, own, branch in parts)


def parallel(*layers: Layer) -> Parallel:
    """The network that gives each branch of a FanOut its own layer."""
    return Parallel(tuple(serial(layer) for layer in layers))


@pytree(static=("count",))
@dataclass(frozen=True)
class FanOut(Layer):
    """The same values to `count` branches."""

    count: int

    def signal(self, signal: Signals) -> tuple[Signal, ...]:
        if not isinstance(self.count, int) or self.count < 1:
            raise NetworkError(f"FanOut takes a positive number of branches, not {self.count!r}")
        return (replace(one(signal, "FanOut"), is_fresh=False),) * self.count

    def covariance(self, k: Covariance, sides: Sides) -> tuple[Covariance, ...]:
        return tuple(replace(k, signal=s) for s in self.signal(k.signal))

    def sketch(self, weights: Weights, s: Sketch) -> tuple[Sketch, ...]:
        return tuple(replace(s, own=own) for own in self.covariance(s.own, Recording([])))

    def apply(self, params: Weights, x: Array) -> tuple[Array, ...]:
        return (x,) * self.count


@pytree()
@dataclass(frozen=True)
class FanInSum(Layer):
    """The sum of the branches: their kernels add, since their weights are independent."""

    def signal(self, signal: Signals) -> Signal:
        signals = branches(signal, "FanInSum")
        if len({s.shape for s in signals}) > 1:
            found = " and ".join(str(s.shape) for s in signals)
            raise NetworkError(f"FanInSum: branches of shapes {found} do not add up")
        if len({s.channels for s in signals} - {None}) > 1:
            found = " and ".join(str(s.channels) for s in signals)
            raise NetworkError(f"FanInSum: branches of {found} channels do not add up")
        if len(signals) > 1 and not all(s.is_gaussian for s in signals):
            late = next(s for s in signals if not s.is_gaussian)
            raise NetworkError(
                f"FanInSum of a branch that ends in {late.after}: the sum would not be Gaussian.  "
                "End every branch in Dense or Conv"
            )
        if sum(not s.is_fresh for s in signals) > 1:
            raise NetworkError(
                "FanInSum: two branches share all their weights, so that their sum is correlated.  "
                "Give all of them but one a Dense or Conv"
            )
        channels = next((s.channels for s in signals if s.channels is not None), None)
        gaussian, fresh = all(s.is_gaussian for s in signals), all(s.is_fresh for s in signals)
        return Signal(signals[0].shape, channels, gaussian, fresh, "FanInSum")

    def covariance(self, k: tuple[Covariance, ...], sides: Sides) -> Covariance:
        relation = k[0].relation
        for other in k[1:]:
            relation = jnp.where(relation == other.relation, relation, 0).astype(jnp.int8)
        ntks = [one.ntk for one in k if one.ntk is not None]
        after = self.signal(tuple(one.signal for one in k))
        nngp = added([one.nngp for one in k])
        return replace(
            k[0], nngp=nngp, ntk=added(ntks) if ntks else None, relation=relation, signal=after
        )

    def sketch(self, weights: Weights, s: tuple[Sketch, ...]) -> Sketch:
        return joined(s, self.covariance(tuple(one.own for one in s), Recording([])))

    def apply(self, params: Weights, x: tuple[Array, ...]) -> Array:
        return added(list(x))
