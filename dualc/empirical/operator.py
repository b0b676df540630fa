"""The kernel as a linear operator: gradients pulled back, and pushed forward again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from dualc.empirical.params import Arrays
from dualc.empirical.rule import Rule, Shared
from dualc.empirical.shapes import shape_of, summed_in
from dualc.errors import EmpiricalError
from dualc.runtime.blocks import temporary_bytes


@dataclass(frozen=True, eq=False)
class Operator:
    """V -> K v for the kernel K of x1 with x2, which is never formed.

    As a matrix it is (n, m), or (n c, m c) if it is full, with the outputs of a sample together.
    `op @ v` takes v as a vector of that length, or (m, c) for a full kernel, and gives the same
    form; it may be jitted and differentiated. `scipy.sparse.linalg.aslinearoperator(op)` is what
    SciPy's solvers take.
    """

    rule: Rule
    shared: Shared
    x1: Array
    x2: Array | None
    batch: int  # samples at once

    @property
    def others(self) -> Array:
        """The samples of columns."""
        return self.x1 if self.x2 is None else self.x2

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix that it stands for."""
        return len(self.x1) * self._outputs, len(self.others) * self._outputs

    @property
    def dtype(self) -> Any:
        """That of the products."""
        return self.rule.dtype

    def __matmul__(self, v: Array) -> Array:
        return self.matvec(v)

    def matvec(self, v: Array) -> Array:
        """K v."""
        return self._product(v, self.x1, self.others)

    def rmatvec(self, v: Array) -> Array:
        """K^T v."""
        return self._product(v, self.others, self.x1)

    def with_batch(self, batch: int) -> Operator:
        """The same with that many samples at once."""
        return replace(self, batch=batch)

    def taken(self) -> int:
        """Bytes of a product beyond its result, as XLA plans it."""
        size = len(self.others) * self._outputs
        v = shape_of((size // self._outputs, self._outputs), self.dtype)
        return temporary_bytes(self._jitted, self.shared, self.x1, self.others, v)

    @property
    def _outputs(self) -> int:
        return self.rule.model.c if self.rule.is_full else 1

    @property
    def _jitted(self) -> Any:
        return self.rule.jitted("operator", _applied, self.batch)

    def _product(self, v: Any, rows: Array, columns: Array) -> Array:
        v = jnp.asarray(v)
        wanted = (len(columns), self._outputs)
        if v.shape not in {wanted, (math.prod(wanted),), (math.prod(wanted), 1)}:
            raise EmpiricalError(
                f"a vector of shape {v.shape} for a kernel of {len(columns)} columns with"
                f" {self._outputs} outputs each: it is ({math.prod(wanted)},) or {wanted}"
            )
        found: Array = self._jitted(
            self.shared, rows, columns, v.reshape(wanted).astype(self.dtype)
        )
        if v.shape == wanted:
            return found
        return found.reshape(-1) if v.ndim == 1 else found.reshape(-1, 1)


def _applied(rule: Rule, batch: int, shared: Shared, x1: Array, x2: Array, v: Array) -> Array:
    """K v for v (m, outputs), batch by batch on both sides."""
    model, trained = rule.model, shared.trained
    is_trace = model.kind == "trace"

    def outputs(trained: Arrays, x: Array) -> Array:
        found: Array = jax.vmap(lambda one: model.sample(trained, shared.frozen, one))(x)
        return found

    def product(unit: Array | None) -> Array:
        """J J^T v, of one of the outputs for a trace."""

        def pulled(total: Arrays, part: tuple[Array, Array]) -> tuple[Arrays, None]:
            x, v = part
            found, pull = jax.vjp(lambda t: outputs(t, x), trained)
            given = v if unit is None else v * unit[None]
            (gradient,) = pull(given.astype(found.dtype))
            return tuple(t + g.astype(t.dtype) for t, g in zip(total, gradient, strict=True)), None

        zeros = tuple(jnp.zeros(leaf.shape, summed_in(leaf.dtype)) for leaf in trained)
        total, _ = jax.lax.scan(pulled, zeros, (batches(x2, batch), batches(v, batch, 0)))

        direction = tuple(t.astype(leaf.dtype) for t, leaf in zip(total, trained, strict=True))

        def pushed(x: Array) -> Array:
            change = rule.pushed(lambda t: outputs(t, x), trained)(direction)
            found: Array = (
                change if unit is None else jnp.sum(change * unit[None], 1, keepdims=True)
            )
            return found.astype(rule.dtype)

        found: Array = jax.lax.map(pushed, batches(x1, batch))
        return found.reshape(-1, found.shape[-1])[: len(x1)]

    if not is_trace:
        return product(None)
    units = jnp.eye(model.c, dtype=rule.dtype)
    return jnp.sum(jax.lax.map(product, units), axis=0) / model.c


def batches(x: Array, batch: int, fill: int | None = None) -> Array:
    """(batches, batch, ...): the last one filled up with the first sample, or with zeros."""
    missing = -len(x) % batch
    if missing:
        shape = (missing, *x.shape[1:])
        more = jnp.broadcast_to(x[:1], shape) if fill is None else jnp.zeros(shape, x.dtype)
        x = jnp.concatenate([x, more])
    return x.reshape(-1, batch, *x.shape[1:])
