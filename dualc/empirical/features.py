"""Random features of the empirical kernel: the gradients of a sample, mixed down to p numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int, Int8

from dualc.empirical.blocks import budget_of, fitting
from dualc.empirical.model import KINDS, Model, checked_model
from dualc.empirical.operator import batches
from dualc.empirical.params import Arrays, Split, Trainable, split
from dualc.empirical.rule import Shared
from dualc.empirical.shapes import shape_of
from dualc.errors import EmpiricalError
from dualc.runtime.blocks import temporary_bytes
from dualc.runtime.mixing import generator, random_signs


class Folding(NamedTuple):
    """What is drawn for one leaf, whose chunks of p entries are turned and added up."""

    signs: Int8[Array, " size"]
    shifts: Int[Array, " chunks"]


@dataclass(frozen=True, eq=False)
class GradientFeatures:
    """x (n, ...) -> features (n, p), or (n, c, p) of the full kernel: see `features`."""

    f: Callable[[Any, Array], Array]
    parts: Split
    foldings: tuple[Folding, ...]  # of the trained leaves
    key: Array
    p: int
    kind: str
    logit: int
    budget: int
    batches: dict[Any, int] = field(default_factory=dict)  # samples at once, by the shape of x

    def __call__(self, x: Array) -> Float[Array, "n *outputs p"]:
        """The features of samples, as many at once as fit the budget."""
        x = jnp.asarray(x)
        model = checked_model(self.f, self.parts, x, None, self.kind, self.logit)
        shared = Shared(self.parts.trained, self.parts.frozen)
        foldings = self.foldings
        if self.kind == "trace":  # the sums of every output are folded once more, all together
            random = generator(self.key).spawn(1)[0]
            foldings = (*foldings, _drawn(random, model.c * self.p, self.p))
        place = (x.shape, x.dtype)
        if place not in self.batches:
            shapes = _shapes((shared, foldings, x))

            def taken(batch: int) -> int:
                return temporary_bytes(_program(model, self.p, batch), *shapes)

            n = max(1, len(x))
            most = fitting(taken, n, self.budget)
            self.batches[place] = -(-n // -(-n // most))  # equal batches
        program = _program(model, self.p, self.batches[place])
        found: Array = program(shared, foldings, x)
        return found


def features(
    f: Callable[[Any, Array], Array],
    params: Any,
    key: Array,
    p: int,
    kind: str = "full",
    *,
    logit: int = 0,
    trainable: Trainable | None = None,
    memory: int | None = None,
) -> GradientFeatures:
    """A map x -> F, compiled, with E[F(x1) F(x2)^T] = ntk(f, params, x1, x2, kind) over keys.

    F is (n, p) for "pseudo", "trace" and "logit"; for "full" it is (n, c, p), whose products over p
    estimate (n, m, c, c). `dualc.regression.stream_ridge` takes the map as its features. The same
    key gives the same map, whatever samples are computed together.

    The gradient is cut into chunks of p entries; each has random signs, is turned by a random
    number of places, and all are added up. With g_b for the chunks of g, a product of features has
    the variance

        (|g|^2 |h|^2 + (g.h)^2 - sum_b (|g_b|^2 |h_b|^2 + (g_b.h_b)^2)) / p

    about g.h: never more than p dense Gaussian rows, which lack the sum, and to leading order that
    of p coordinates of a Hadamard transform of all P parameters, at one pass over the gradient in
    place of P p and P log P operations. (Chunks that are not turned add up entries p apart, which
    belong to one unit where p divides a layer's width: about twice the variance, and a Hadamard
    transform afterwards does not mend it.) For "trace" the features of the outputs are folded once
    more, together: to leading order the variance of folding all c gradients as one where they are
    orthogonal, and at most three times that.

    Memory: a sign of one byte for each parameter, and the gradients of as many samples as fit
    `memory` bytes (default 1 GiB), of one output at a time. Everything else as for `ntk`.
    Raises EmpiricalError for p < 1, and for what `ntk` refuses, when the first samples come.
    """
    if not isinstance(p, int | np.integer) or p < 1:
        raise EmpiricalError(f"p={p}: the number of features, an integer of at least 1")
    if kind not in KINDS:
        raise EmpiricalError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
    parts = split(params, trainable)
    random = generator(key)
    foldings = tuple(_drawn(random, leaf.size, int(p)) for leaf in parts.trained)
    return GradientFeatures(f, parts, foldings, key, int(p), kind, logit, budget_of(memory))


def _drawn(random: np.random.Generator, size: int, p: int) -> Folding:
    shifts = random.integers(0, p, -(-size // p))
    return Folding(random_signs(random, (size,), jnp.int8), jnp.asarray(shifts, jnp.int32))


@lru_cache(maxsize=32)
def _program(model: Model, p: int, batch: int) -> Callable[..., Array]:
    return jax.jit(partial(_features, model, p, batch))


def _features(
    model: Model,
    p: int,
    batch: int,
    shared: Shared,
    foldings: tuple[Folding, ...],
    x: Array,
) -> Array:
    leaves, heads = foldings[: len(shared.trained)], foldings[len(shared.trained) :]

    def one(x: Array) -> Array:
        found, pull = jax.vjp(lambda t: model.sample(t, shared.frozen, x), shared.trained)
        dtype = jnp.promote_types(found.dtype, jnp.float32)  # sums of halves
        # One output after the other: gradients of all of them would take c times the memory.
        units = jnp.eye(model.heads, dtype=found.dtype)
        rows: Array = lax.map(lambda unit: _folded(pull(unit)[0], leaves, p, dtype), units)
        if model.kind == "trace":
            return _folded((rows,), heads, p, dtype) / jnp.asarray(model.c**0.5, dtype)
        return rows if model.kind == "full" else rows[0]

    found: Array = lax.map(jax.vmap(one), batches(x, batch))
    return found.reshape(-1, *found.shape[2:])[: len(x)]


def _folded(
    gradient: Arrays, foldings: tuple[Folding, ...], p: int, dtype: Any
) -> Float[Array, " p"]:
    """The chunks of all leaves, signed, turned and added up."""
    total = jnp.zeros(2 * p, dtype)  # a chunk turned by s goes to s..s+p: nothing wraps around
    for leaf, (signs, shifts) in zip(gradient, foldings, strict=True):
        entries = leaf.reshape(-1).astype(dtype)
        whole = entries.size // p

        def added(
            total: Array, at: tuple[Array, Array], e: Array = entries, s: Array = signs
        ) -> Any:
            first, shift = at
            part = lax.dynamic_slice(e, (first,), (p,))
            part = part * lax.dynamic_slice(s, (first,), (p,)).astype(dtype)
            return _put(total, part, shift), None

        firsts = jnp.arange(whole, dtype=jnp.int32) * p
        total, _ = lax.scan(added, total, (firsts, shifts[:whole]))
        if entries.size % p:
            rest = entries[whole * p :] * signs[whole * p :].astype(dtype)
            total = _put(total, rest, shifts[-1])
    return total[:p] + total[p:]


def _put(total: Array, part: Array, first: Array) -> Array:
    there = lax.dynamic_slice(total, (first,), part.shape)
    return lax.dynamic_update_slice(total, there + part, (first,))


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda a: shape_of(a.shape, a.dtype), tree)
