"""A function of trained parameters near where they are: f_0(x) + K(x, X) weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from dualc.empirical import Operator, ntk, operator
from dualc.empirical.kernel import outputs
from dualc.empirical.params import Trainable
from dualc.errors import DataError
from dualc.regression.kernels import parts, product

Function = Callable[[Any, Array], Array]


@dataclass(frozen=True, eq=False)
class Tangent:
    """F, its empirical kernel of that kind at x, and what it starts from.

    Right-hand sides and weights are columns: (n c, 1) of a full kernel, else (n, c), on which the
    kernel acts as K (x) I_c without that being formed.
    """

    f: Function
    params: Any
    x: Array
    kind: str
    logit: int
    centered: bool  # f_0 = 0, whatever f gives at params
    trainable: Trainable | None
    memory: int | None

    @property
    def is_full(self) -> bool:
        """Whether the kernel has a block (c, c) for every pair of samples."""
        return self.kind == "full"

    def matrix(self) -> Float[Array, "rows rows"]:
        """K(x, x): (n c, n c) of a full kernel, else (n, n)."""
        found: Array = self._kernel(ntk, self.x)
        if not self.is_full:
            return found
        n, c = found.shape[0], found.shape[2]
        return found.transpose(0, 2, 1, 3).reshape(n * c, n * c)

    def operator(self) -> Operator:
        """K(x, x) that is not formed."""
        found: Operator = self._kernel(operator, self.x)
        return found

    def columns(self, y: Array) -> Float[Array, "rows columns"]:
        """The residuals y - f_0(x), of y (n, c), or (n,) if c = 1; DataError if it is not that."""
        start = self._start(self.x)
        if y.reshape(len(y), -1).shape != start.shape or not _is_real(y):
            raise DataError(
                f"y of shape {y.shape} and type {y.dtype} for f with outputs {start.shape}: they"
                " are numbers of that shape; for classes pass one-hot rows"
            )
        apart = y.reshape(start.shape).astype(start.dtype) - start
        return apart.reshape(-1, 1) if self.is_full else apart

    def predict(self, x_new: Array, weights: Float[Array, "rows columns"]) -> Float[Array, "m c"]:
        """f_0(x_new) + K(x_new, x) weights."""
        x_new = jnp.asarray(x_new)
        if self.is_full:  # two derivatives of every sample in place of (m c, n c)
            flat: Array = self._kernel(operator, x_new, self.x) @ weights[:, 0]
            start = self._start(x_new)
            return start + flat.reshape(start.shape)
        rows = [
            product(self._kernel(ntk, part, self.x), weights) for part in parts(x_new, len(self.x))
        ]
        return self._start(x_new) + jnp.concatenate(rows)

    def _start(self, x: Array) -> Float[Array, "n c"]:
        found = outputs(self.f, self.params, x, memory=self.memory)
        return jnp.zeros_like(found) if self.centered else found

    def _kernel(self, of: Callable[..., Any], *x: Array) -> Any:
        return of(
            self.f, self.params, *x, kind=self.kind, logit=self.logit, trainable=self.trainable,
            memory=self.memory,
        )  # fmt: skip


def _is_real(y: Array) -> bool:
    return not jnp.issubdtype(y.dtype, jnp.complexfloating)
