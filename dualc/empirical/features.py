"""Random features of the empirical kernel: the gradients of a sample, mixed down to p numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from dualc.empirical.shapes import shape_of, summed_in
from dualc.errors import EmpiricalError
from dualc.runtime.blocks import temporary_bytes
from dualc.runtime.mixing import generator


class Folding(NamedTuple):
    """A random map of vectors in leaves to p entries: chunk upon chunk, signed and turned."""

    signs: tuple[Int8[Array, " size"], ...]  # of every leaf
    shifts: Int[Array, " chunks"]


@dataclass(frozen=True, eq=False)
class GradientFeatures:
    """x (n, ...) -> features (n, p), or (n, c, p) of the full kernel: see `features`."""

    f: Callable[[Any, Array], Array]
    parts: Split
    folding: Folding  # of the trained leaves
    seed: int  # of the second one that a trace needs
    p: int
    kind: str
    logit: int
    budget: int

    def __call__(self, x: Array) -> Float[Array, "n *outputs p"]:
        """The features of samples, as many at once as fit the budget."""
        x = jnp.asarray(x)
        model = checked_model(self.f, self.parts, x, self.kind, self.logit)
        heads = None
        if self.kind == "trace":  # whose number of outputs was unknown before
            heads = _drawn(np.random.default_rng(self.seed), (model.c * self.p,), self.p)
        given = Shared(self.parts.trained, self.parts.frozen), self.folding, heads, x
        leaves, tree = jax.tree.flatten(given)
        shapes = tuple(shape_of(leaf.shape, leaf.dtype) for leaf in leaves)
        batch = _batch(model, self.p, self.budget, tree, shapes)
        found: Array = _program(model, self.p, batch)(*given)
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
    orthogonal, and at most three times that. Where p is at least the number of parameters there is
    one chunk, and products are exact (those of "trace" if c = 1).

    Memory: a sign of one byte for each parameter, and the gradients of as many samples as fit
    `memory` bytes (default 1 GiB), of one output at a time. Everything else as for `ntk`.
    Raises EmpiricalError for p < 1, and for what `ntk` refuses, when the first samples come.
    """
    if not isinstance(p, int | np.integer) or p < 1:
        raise EmpiricalError(f"p={p}: the number of features, an integer of at least 1")
    if kind not in KINDS:
        raise EmpiricalError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
    parts = split(params, trainable)
    random, budget = generator(key), budget_of(memory)
    seed = int(random.integers(2**63))
    folding = _drawn(random, tuple(leaf.size for leaf in parts.trained), int(p))
    return GradientFeatures(f, parts, folding, seed, int(p), kind, logit, budget)


def _drawn(random: np.random.Generator, sizes: tuple[int, ...], p: int) -> Folding:
    # (One byte each from the start: NumPy's integers have eight.)
    signs = tuple(jnp.asarray(2 * random.integers(0, 2, size, np.int8) - 1) for size in sizes)
    return Folding(signs, jnp.asarray(random.integers(0, p, -(-sum(sizes) // p)), jnp.int32))


@lru_cache(maxsize=64)
def _batch(model: Model, p: int, budget: int, tree: Any, shapes: tuple[Any, ...]) -> int:
    """The samples at once, for arguments of `_features` of those shapes."""
    given = jax.tree.unflatten(tree, shapes)
    n: int = max(1, shapes[-1].shape[0])
    most = fitting(lambda batch: temporary_bytes(_program(model, p, batch), *given), n, budget)
    return -(-n // -(-n // most))  # equal batches


@lru_cache(maxsize=64)
def _program(model: Model, p: int, batch: int) -> Callable[..., Array]:
    return jax.jit(partial(_features, model, p, batch))


def _features(
    model: Model,
    p: int,
    batch: int,
    shared: Shared,
    folding: Folding,
    heads: Folding | None,
    x: Array,
) -> Array:
    def one(x: Array) -> Array:
        found, pull = jax.vjp(lambda t: model.sample(t, shared.frozen, x), shared.trained)
        dtype = summed_in(found.dtype)
        # One output after the other: gradients of all of them would take c times the memory.
        units = jnp.eye(model.heads, dtype=found.dtype)
        rows: Array = lax.map(lambda unit: _folded(pull(unit)[0], folding, p, dtype), units)
        if heads is not None:
            return _folded((rows,), heads, p, dtype) / jnp.asarray(model.c**0.5, dtype)
        return rows if model.kind == "full" else rows[0]

    found: Array = lax.map(jax.vmap(one), batches(x, batch))
    return found.reshape(-1, *found.shape[2:])[: len(x)]


def _folded(gradient: Arrays, folding: Folding, p: int, dtype: Any) -> Float[Array, " p"]:
    """The chunks of all leaves, one after the other, signed, turned and added up."""
    total = jnp.zeros(2 * p, dtype)  # a chunk turned by s goes to s..s+p: nothing wraps around
    start = 0  # of the leaf among all entries: its first piece ends where a chunk does
    for leaf, signs in zip(gradient, folding.signs, strict=True):
        entries = leaf.reshape(-1).astype(dtype)
        first = min(-start % p, entries.size)
        whole, last = divmod(entries.size - first, p)
        if first:
            place = folding.shifts[start // p] + start % p
            total = _put(total, entries[:first] * signs[:first].astype(dtype), place)
        if whole:
            begins = first + jnp.arange(whole, dtype=jnp.int32) * p
            chunk = (start + first) // p
            added = partial(_added, entries, signs, p)
            total, _ = lax.scan(added, total, (begins, folding.shifts[chunk : chunk + whole]))
        start += entries.size
        if last:
            rest = entries[-last:] * signs[-last:].astype(dtype)
            total = _put(total, rest, folding.shifts[start // p])
    return total[:p] + total[p:]


def _added(
    entries: Array, signs: Array, p: int, total: Array, at: tuple[Array, Array]
) -> tuple[Array, None]:
    """The sum with the chunk that begins at the first place, turned to the second."""
    begin, shift = at
    part = lax.dynamic_slice(entries, (begin,), (p,))
    part = part * lax.dynamic_slice(signs, (begin,), (p,)).astype(part.dtype)
    return _put(total, part, shift), None


def _put(total: Array, part: Array, first: Array) -> Array:
    there = lax.dynamic_slice(total, (first,), part.shape)
    return lax.dynamic_update_slice(total, there + part, (first,))
