"""How a block of the kernel is computed: what is prepared of samples, and what pairs make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from dualc.empirical.graph import Graph, flat
from dualc.empirical.model import Model
from dualc.empirical.params import Arrays
from dualc.empirical.shapes import shape_of, summed_in
from dualc.empirical.sites import Site, sites
from dualc.errors import EmpiricalError

METHODS = ("auto", "layers", "jacobian", "products")
_TOUCH = 32  # products that a core computes while it writes and reads one number


class Shared(NamedTuple):
    """What every sample needs."""

    trained: Arrays
    frozen: Arrays


class Prepared(NamedTuple):
    """What is kept of samples, n of them first: gradients, and factors of gradients."""

    plain: tuple[Array, ...]  # (n, heads, size) for a leaf
    factors: tuple[tuple[Array, tuple[Array, ...], Array], ...]  # read, scales, (n, heads, given)


@dataclass(frozen=True, eq=False)
class Rule:
    """The blocks of one model's kernel, for samples of one shape."""

    model: Model
    graph: Graph
    sites: tuple[Site, ...]
    plain: tuple[int, ...]  # leaves whose gradients are taken whole
    dtype: Any
    sizes: tuple[int, ...]  # of the trained leaves
    is_products: bool
    compiled: dict[Any, Any] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Whether a pair has a block (c, c)."""
        return self.model.kind == "full"

    @property
    def constants(self) -> tuple[Any, ...]:
        """The arrays that f knows of without their being among its parameters."""
        return tuple(value for _, value in self.graph.constants)

    def jitted(self, name: str, function: Callable[..., Any], *options: Any) -> Any:
        """The compiled function(rule, *options, ...), kept."""
        if (name, options) not in self.compiled:
            self.compiled[name, options] = jax.jit(partial(function, self, *options))
        return self.compiled[name, options]

    # ---- what pays ----

    def kept(self, block: int) -> tuple[bool, ...]:
        """For every site, whether pairs are made from factors, in square blocks of that size."""
        return tuple(
            self._factored(site) < self._whole(site) + 2 * self._gathered(site) / block
            for site in self.sites
        )

    def _factored(self, site: Site) -> float:
        """Operations for a pair of samples, from the factors of their gradients."""
        B, P, A, G = site.sizes
        heads = self.model.heads
        if self.is_full:
            return B * P**2 * (2 * A + (2 * G + _TOUCH) * heads**2)
        return B * P**2 * (2 * A + 2 * G * heads + _TOUCH)

    def _whole(self, site: Site) -> float:
        """Operations for a pair of samples, from their gradients."""
        B, _, A, G = site.sizes
        return 2 * B * A * G * self.model.heads ** (2 if self.is_full else 1)

    def _gathered(self, site: Site) -> float:
        """Operations for the gradients of a sample."""
        B, P, A, G = site.sizes
        return B * A * G * (2 * P + _TOUCH) * self.model.heads

    def cost_of_pair(self, block: int) -> float:
        """Operations for a pair of samples, in square blocks of that size."""
        heads = self.model.heads
        if self.is_products:
            return heads * 2 * self._flops
        cost = 2.0 * sum(self.sizes[leaf] for leaf in self.plain)
        cost *= heads ** (2 if self.is_full else 1)
        for site, kept in zip(self.sites, self.kept(block), strict=True):
            cost += self._factored(site) if kept else self._whole(site)
        return cost

    def cost_of_sample(self, block: int) -> float:
        """Operations for what is prepared of a sample."""
        if self.is_products:
            return 0.0
        cost = (1 + 2 * self.model.heads) * self._flops
        for site, kept in zip(self.sites, self.kept(block), strict=True):
            cost += 0 if kept else self._gathered(site)
        return cost

    @cached_property
    def _flops(self) -> float:
        return float(self.graph.flops())

    # ---- what is done ----

    def prepare(self, shared: Shared, x: Array, kept: tuple[bool, ...]) -> Prepared | Array:
        """What pairs need of samples x (n, ...)."""
        if self.is_products:
            return x
        prepared: Prepared = jax.vmap(lambda one: self._prepare(shared, one, kept))(x)
        return prepared

    def _prepare(self, shared: Shared, x: Array, kept: tuple[bool, ...]) -> Prepared:
        wanted = [p for site in self.sites for p in (site.activation, *(s for s, _ in site.scales))]

        def outputs(added: Arrays, plain: Arrays) -> tuple[Array, tuple[Array, ...]]:
            trained = list(shared.trained)
            for leaf, value in zip(self.plain, plain, strict=True):
                trained[leaf] = value
            pushes = {site.step: add for site, add in zip(self.sites, added, strict=True)}
            return self.graph.evaluate((*trained, *shared.frozen, x), pushes, wanted)

        steps = (self.graph.steps[site.step].results[0] for site in self.sites)
        zeros = tuple(jnp.zeros(result.shape, result.dtype) for result in steps)
        whole = tuple(shared.trained[leaf] for leaf in self.plain)
        found, pull, read = jax.vjp(outputs, zeros, whole, has_aux=True)
        given, plain = jax.vmap(pull)(jnp.eye(self.model.heads, dtype=found.dtype))
        gradients = [leaf.reshape(len(leaf), -1).astype(self.dtype) for leaf in plain]
        values, factors = iter(read), []
        for site, keep, g in zip(self.sites, kept, given, strict=True):
            scales = (next(values), tuple(next(values) for _ in site.scales))
            one = (*scales, g.astype(self.dtype))
            if keep:
                factors.append(one)
            else:
                gradients.append(_gradients(*site.factors(*one)))
        return Prepared(tuple(gradients), tuple(factors))

    def combine(self, shared: Shared, left: Any, right: Any, kept: tuple[bool, ...]) -> Array:
        """The block (n, m), or (n, m, c, c) if it is full, of what was prepared of both sides."""
        if self.is_products:
            block = self._products(shared, left, right)
        else:
            block = self._sum(left, right, kept)
        if self.is_full:
            return block.transpose(0, 2, 1, 3)
        if self.is_products:
            block = jnp.trace(block, axis1=1, axis2=3)
        mean: Array = block / self.model.c
        return mean if self.model.kind == "trace" else block

    def _sum(self, left: Prepared, right: Prepared, kept: tuple[bool, ...]) -> Array:
        """Leaf by leaf: (n, heads, m, heads) if it is full, else (n, m), summed over the heads."""
        n, m, heads = _count(left), _count(right), self.model.heads
        block = jnp.zeros((n, heads, m, heads) if self.is_full else (n, m), self.dtype)
        for one, other in zip(left.plain, right.plain, strict=True):
            block += self._from_gradients(one, other)
        chosen = [site for site, keep in zip(self.sites, kept, strict=True) if keep]
        for site, first, second in zip(chosen, left.factors, right.factors, strict=True):
            block += self._from_factors(*jax.vmap(site.factors)(*first), *_both(site, second))
        return block

    def _from_gradients(self, one: Array, other: Array) -> Array:
        if self.is_full:
            return _einsum("nkd,mld->nkml", one, other)
        return _einsum("nd,md->nm", one.reshape(len(one), -1), other.reshape(len(other), -1))

    def _from_factors(self, a1: Array, g1: Array, a2: Array, g2: Array) -> Array:
        """Gram matrices of both factors, multiplied: a (n, B, P, A), g (n, heads, B, P, G)."""
        activations = _einsum("nbpa,mbqa->bnpmq", a1, a2)
        if self.is_full:
            given = _einsum("nkbpg,mlbqg->bnkpmlq", g1, g2)
            return _summed(activations[:, :, None, :, :, None, :] * given, (0, 3, 6))
        given = _einsum("nkbpg,mkbqg->bnpmq", g1, g2)
        return _summed(activations * given, (0, 2, 4))

    def pushed(
        self, outputs: Callable[[Arrays], Array], trained: Arrays
    ) -> Callable[[Arrays], Array]:
        """Changes of the parameters to those of the outputs, to first order."""
        if self.graph.is_pushed:
            push: Callable[[Arrays], Array] = jax.linearize(outputs, trained)[1]
            return push
        found, pull = jax.vjp(outputs, trained)
        transposed = jax.linear_transpose(pull, found)

        def twice_transposed(changes: Arrays) -> Array:
            (change,) = transposed((changes,))
            return change  # type: ignore[no-any-return]

        return twice_transposed

    def _products(self, shared: Shared, x1: Array, x2: Array) -> Array:
        """Column by column, (n, heads, m, heads): gradients pulled back, and pushed forward."""

        def outputs(trained: Arrays) -> Array:
            return jax.vmap(lambda x: self.model.sample(trained, shared.frozen, x))(x1)

        push = self.pushed(outputs, shared.trained)

        def column(x: Array) -> Array:
            found, pull = jax.vjp(lambda t: self.model.sample(t, shared.frozen, x), shared.trained)
            units = jnp.eye(self.model.heads, dtype=found.dtype)
            changes: Array = jax.vmap(lambda unit: push(pull(unit)[0]))(units)
            return changes

        found: Array = jax.lax.map(column, x2)
        return found.transpose(2, 3, 0, 1).astype(self.dtype)


def _count(prepared: Prepared) -> int:
    return len(jax.tree.leaves(prepared)[0])


def _both(site: Site, factors: tuple[Array, tuple[Array, ...], Array]) -> tuple[Array, Array]:
    found: tuple[Array, Array] = jax.vmap(site.factors)(*factors)
    return found


def _gradients(a: Array, g: Array) -> Array:
    """(heads, size): a (B, P, A), g (heads, B, P, G)."""
    return _einsum("bpa,kbpg->kbag", a, g).reshape(len(g), -1)


def _summed(values: Array, axes: tuple[int, ...]) -> Array:
    found: Array = jnp.sum(values, axis=axes)
    return found


def _einsum(axes: str, one: Array, other: Array) -> Array:
    # In full precision: an accelerator's default for float32 keeps 10 bits of each factor.
    found: Array = jnp.einsum(axes, one, other, precision="highest")
    return found


@lru_cache(maxsize=32)
def rule(model: Model, method: str, shapes: tuple[Any, ...]) -> Rule:
    """The rule for (trained, frozen, one sample) of those shapes, kept with what it compiles."""
    trained, frozen, x = jax.tree.unflatten(shapes[0], shapes[1:])
    closed = jax.make_jaxpr(model.sample)(trained, frozen, x)
    graph = flat(closed)
    found, plain = sites(graph, len(trained))
    if method == "jacobian":
        found, plain = [], sorted([*plain, *(site.leaf for site in found)])
    dtype = summed_in(closed.out_avals[0].dtype)
    sizes = tuple(leaf.size for leaf in trained)

    def of(is_products: bool) -> Rule:
        return Rule(model, graph, tuple(found), tuple(plain), dtype, sizes, is_products)

    if method == "auto":
        cheaper = of(True).cost_of_pair(1) < of(False).cost_of_pair(_LARGE)
        return of(cheaper and model.kind == "full")
    return of(method == "products")


_LARGE = 64  # samples in a block, where the cost of a pair is what counts


def rule_of(model: Model, method: str, shared: Shared, x: Array) -> Rule:
    """The rule of these parameters and samples; EmpiricalError for an unknown method."""
    if method not in METHODS:
        raise EmpiricalError(f"method is one of {', '.join(METHODS)}, not {method!r}")
    one = shape_of(x.shape[1:], x.dtype)
    leaves, tree = jax.tree.flatten((*jax.eval_shape(lambda: tuple(shared)), one))
    return rule(model, method, (tree, *leaves))
