"""Activation: a compiled kernel inside a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from dualc.errors import NetworkError
from dualc.layers import direct, poly
from dualc.layers.covariance import Covariance, Sides, settled
from dualc.layers.layer import Layer, Weights
from dualc.layers.signal import Signal, Signals, one
from dualc.layers.sketch import Plan, Sketch
from dualc.runtime.kernel import Kernel, load


@dataclass(frozen=True, init=False)
class Activation(Layer):
    """phi of a compiled kernel, elementwise: a name of the catalog, or a Kernel.

    Parameters by keyword, as phi takes them: Activation("leaky_relu", alpha=0.1).
    """

    activation: Kernel
    parameters: dict[str, Any]

    def __init__(self, activation: str | Kernel, **parameters: Any) -> None:
        """Loads the kernel by its name; NetworkError for a parameter that it does not keep."""
        kernel = load(activation) if isinstance(activation, str) else activation
        if not isinstance(kernel, Kernel):
            raise NetworkError(
                f"Activation takes the name of a compiled activation or a Kernel, not {kernel!r}"
            )
        kept = tuple(name for name, _ in kernel.parameters)
        for name in parameters:
            if name not in kept:
                raise NetworkError(_unknown(kernel.name, name, parameters[name], kept))
        object.__setattr__(self, "activation", kernel)
        object.__setattr__(self, "parameters", parameters)

    def signal(self, signal: Signals) -> Signal:
        signal = one(signal, self._name())
        if not signal.is_gaussian:
            raise NetworkError(_not_gaussian(self._name(), signal.after))
        return replace(signal, is_gaussian=False, is_fresh=False, after=self._name())

    @property
    def domain_high(self) -> float:
        """The largest variance that the kernel is compiled for."""
        return self.activation.domain[1]

    def _name(self) -> str:
        return f"Activation({self.activation.name!r})"

    # exact

    variances = 1

    def covariance(self, k: Covariance, sides: Sides) -> Covariance:
        if k.ntk is not None:
            self._refuse_jumps()
        q11, q22 = sides(k)
        phi = self.activation
        q: tuple[Array, ...] = (q11,)
        dual, dual_dot = phi.dual_diag, phi.dual_dot_diag
        if not k.is_diagonal:
            q, dual, dual_dot = (settled(k, q11, q22), q11, q22), phi.dual, phi.dual_dot
        nngp = dual(*q, **self.parameters)
        ntk = None if k.ntk is None else k.ntk * dual_dot(*q, **self.parameters)
        # The images of opposite samples are opposite only if phi is odd.
        relation = jnp.maximum(k.relation, 0)
        after = self.signal(k.signal)
        return replace(k, nngp=nngp, ntk=ntk, relation=relation, signal=after)

    def _refuse_jumps(self) -> None:
        if self.activation.jumps:
            raise NetworkError(
                f"{self._name()}: phi jumps at {', '.join(self.activation.jumps)}, and a network "
                'with jumps has no NTK, only an NNGP kernel: get="nngp"'
            )

    # sketched

    def draw(self, key: Array, s: Sketch, plan: Plan) -> Weights:
        if s.ntk:
            self._refuse_jumps()
        if plan.method == "polysketch":
            return poly.draw(key, self.activation, s, plan)
        return direct.draw(key, s, plan)

    def sketch(self, weights: Weights, s: Sketch) -> Sketch:
        if isinstance(weights, poly.PolySketchWeights):
            active = poly.activate(self.activation, self.parameters, weights, s)
        else:
            active = direct.activate(self.activation, self.parameters, weights, s)
        return replace(active, steps=2, depth=s.depth + 1).after(self)

    # finite

    def apply(self, params: Weights, x: Array) -> Array:
        if self.activation.phi is None:
            raise NetworkError(
                f"{self._name()} was given by its kernel: there is no phi for a finite network"
            )
        return self.activation.phi(x, **self.parameters)


jax.tree_util.register_pytree_node(
    Activation,
    lambda a: ((a.parameters,), a.activation),
    lambda kernel, children: _rebuilt(kernel, children[0]),
)


def _rebuilt(kernel: Kernel, parameters: dict[str, Any]) -> Activation:
    layer: Activation = object.__new__(Activation)
    object.__setattr__(layer, "activation", kernel)
    object.__setattr__(layer, "parameters", parameters)
    return layer


def _unknown(kernel: str, name: str, value: Any, kept: tuple[str, ...]) -> str:
    has = f"its parameters are {', '.join(kept)}" if kept else "it has none"
    return (
        f"Activation({kernel!r}): {name} is no parameter of the compiled kernel, {has}.  If the "
        "entry has it, fix it when compiling: "
        f"dualc compile {kernel} --param {name}={value} --name {kernel}_{name}"
    )


def _not_gaussian(name: str, after: str) -> str:
    if after == "the input":
        return f"{name} comes first: it needs Gaussian values.  Put Dense or Conv before it"
    return f"{name} directly after {after}: it needs Gaussian values.  Put Dense or Conv between"
