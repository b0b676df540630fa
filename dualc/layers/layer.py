"""What every layer is: one description with three readings, exact, sketched and finite.

    exact     covariance(k, sides)         Covariance -> Covariance
    sketched  draw(key, s, plan), sketch(weights, s)      Sketch -> Sketch
    finite    weights(key, signal, width), apply(weights, x)   arrays -> arrays

`signal` says beforehand what shapes come out, and refuses what does not fit. A network is a layer,
and a layer is a pytree: its W_std, b_std and activation parameters are leaves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import jax
from jax import Array
from jaxtyping import Float

from dualc.layers.covariance import Covariances
from dualc.layers.signal import Signal, Signals

if TYPE_CHECKING:
    from dualc.layers.exact import Kernels
    from dualc.layers.feature_map import FeatureMap
    from dualc.layers.sketch import Plan, Sketches

Weights = Any  # a pytree of arrays, as deep as the layers are nested


class Layer(ABC):
    """A layer, or a network of layers."""

    # ---- the network's three readings ----

    def kernel(
        self,
        x1: Float[Array, "n *space c"],
        x2: Float[Array, "m *space c"] | None = None,
        get: str | Sequence[str] = ("nngp", "ntk"),
        *,
        memory: int | None = None,
        progress: bool | None = None,
    ) -> Kernels | Array:
        """The exact NNGP kernel and NTK, (n, m) each, or (n, m, *space) where positions remain.

        x2 = None: of x1 with itself, at half the cost. `get` one of "nngp", "ntk" (the array alone)
        or a sequence of them (a named tuple). `memory`: bytes that may be used beyond the result;
        larger problems are done in blocks, with a bar on stderr (`progress`; None: where it is a
        terminal). Under jax.grad, jit or vmap the whole is evaluated at once.

        Inputs of any norm up to a variance of 1e4 before an activation, the kernels' domain (beyond
        it an error, in features too, and NaN under tracing). Zero rows and rows that coincide or
        are opposite are exact to the last bits, in gradients too. The dtype is that of x1 and x2.
        Raises NetworkError if layers or inputs do not fit, or an NTK of a phi that jumps is asked.
        """
        from dualc.layers.exact import kernel

        return kernel(self, x1, x2, get, memory=memory, progress=progress)

    def features(
        self,
        key: Array,
        p: int,
        *,
        method: str = "auto",
        degree: int = 8,
        get: str | Sequence[str] = ("nngp", "ntk"),
    ) -> FeatureMap:
        """A function x -> Features(nngp, ntk) of random features, exactly p real columns each.

        Their inner products approximate the exact kernels with an error that falls as p^(-1/2):
        unbiased after one activation; after more, off by order 1/p in the mean, and of the norms of
        the exact kernels (unless pools act on more than p positions). `method`: "direct"
        (orthogonal features of phi with Hermite degrees 0 and 1 split off), "collapse" (a dense
        network as one layer: unit-norm inputs, or any norm for homogeneous activations without
        bias), "polysketch" (the published sketch, of that degree; x may be a
        jax.experimental.sparse.BCOO matrix), "auto" (collapse where it holds for the network and
        the first batch, else direct). Same key, same features, whatever the batch size and the
        number of devices. `get` as for kernel: without "ntk" phi may jump.
        Raises NetworkError if the method does not apply to this network or these inputs.
        """
        from dualc.layers.feature_map import FeatureMap

        return FeatureMap(self, key, p, method=method, degree=degree, get=get)

    def init(self, key: Array, shape: Sequence[int], width: int) -> Weights:
        """Random weights of the finite network, for inputs of that shape (samples not counted).

        `width` is that of every layer that does not say its own: the last one's included.
        """
        signal = Signal.of(tuple(shape))
        net = _widened(self, width)
        net.signal(signal)
        return net.weights(key, signal, width)

    # ---- what a layer says of itself ----

    @abstractmethod
    def signal(self, signal: Signals) -> Signals:
        """What comes out; raises NetworkError where the layer does not fit what comes in."""

    @property
    def variances(self) -> int:
        """How many times its exact reading asks for the variances of both sides."""
        return 0

    def needs_pairs_of_positions(self, wanted: bool) -> bool:
        """Whether it needs covariances between all positions, if the layer after it does."""
        return wanted

    @abstractmethod
    def covariance(self, k: Any, sides: Any) -> Covariances:
        """The exact reading; `sides` gives a layer its variances, and takes a network through."""

    def draw(self, key: Array, s: Any, plan: Plan) -> Weights:
        """Random weights of the sketched reading, for a sketch of those shapes."""
        return ()

    @abstractmethod
    def sketch(self, weights: Weights, s: Any) -> Sketches:
        """The sketched reading."""

    def weights(self, key: Array, signal: Any, width: int) -> Weights:
        """Random weights of the finite reading."""
        return ()

    @abstractmethod
    def apply(self, params: Weights, x: Any) -> Any:
        """The finite reading: x (n, *space, c) to (n, *space, c)."""


def _widened(layer: Any, width: int) -> Any:
    """The layer with that width for all that do not say theirs: then Flatten can count channels."""
    if hasattr(layer, "layers"):
        return replace(layer, layers=tuple(_widened(one, width) for one in layer.layers))
    return replace(layer, width=width) if getattr(layer, "width", 0) is None else layer


Parameterization = Literal["ntk", "standard"]


def pytree(*leaves: str, static: Sequence[str] = ()) -> Any:
    """Registers a frozen dataclass as a pytree with those leaves."""

    def register(cls: Any) -> Any:
        jax.tree_util.register_dataclass(cls, list(leaves), list(static))
        return cls

    return register
