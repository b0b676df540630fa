"""What exact regression asks of a network's kernel, and what the field calls its ensemble."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from dualc.errors import DataError

_BLOCK = 2**24  # entries of a kernel between new and old inputs made at once: 64 MiB in float32
_SQUARE = 32  # inputs of a block of which only the diagonal is wanted

# In full precision: an accelerator's default for float32 keeps 10 bits of each factor.
product: Callable[[Array, Array], Array] = functools.partial(jnp.matmul, precision="highest")


class Net(Protocol):
    """Whatever has an exact kernel."""

    def kernel(self, x1: Array, x2: Array | None = None, get: Any = ("nngp", "ntk")) -> Any:
        """The kernel (n1, n2) that `get` names, or a named tuple of them."""


class Prediction(NamedTuple):
    """Mean (m,) or (m, c), and what goes with it: variances (m,) or the covariance (m, m)."""

    mean: Array
    variance: Array


@dataclass(frozen=True, eq=False)
class Ensemble:
    """f_0(x*) + A (y - f_0(x)) over random f_0 of covariance K: the NNGP kernel."""

    net: Net
    x: Array
    between: Float[Array, "n n"]  # K(x, x)

    def covariance(self, x_new: Array, a: Float[Array, "m n"]) -> Float[Array, "m m"]:
        """K** - A K*' - K* A' + A K A'."""
        mixed = product(a, self.net.kernel(x_new, self.x, get="nngp").T)
        known = product(product(a, self.between), a.T)
        prior: Array = self.net.kernel(x_new, get="nngp")
        return prior - mixed - mixed.T + known

    def variance(self, x_new: Array, a: Float[Array, "m n"]) -> Float[Array, " m"]:
        """The diagonal of `covariance`."""
        cross = self.net.kernel(x_new, self.x, get="nngp")
        change = jnp.sum(a * (product(a, self.between) - 2.0 * cross), axis=1)
        return jnp.maximum(diagonal(self.net, x_new) + change, 0.0)


def ensemble(net: Net, x: Array) -> Ensemble:
    """The ensemble of the networks that start out at random."""
    return Ensemble(net, x, net.kernel(x, get="nngp"))


# ---- kernels in parts ----


def parts(x_new: Array, n: int) -> Iterator[Array]:
    """The new inputs, as many at a time as keep a kernel with n old ones small."""
    rows = max(1, _BLOCK // n)
    for first in range(0, max(len(x_new), 1), rows):
        yield x_new[first : first + rows]


def diagonal(net: Net, x: Array) -> Float[Array, " m"]:
    """K(x_i, x_i), from small square blocks: a kernel has no other way to ask for it."""
    blocks = [
        jnp.diagonal(net.kernel(x[first : first + _SQUARE], get="nngp"))
        for first in range(0, max(len(x), 1), _SQUARE)
    ]
    return jnp.concatenate(blocks)


# ---- what is wrong with the data ----


def checked(x: Array, y: Array) -> tuple[Array, Array]:
    """X and y as arrays.

    Raises DataError for shapes that do not fit one another, and, where values are known, for rows
    that are NaN or infinite.
    """
    x, y = _numbers(x, "x"), _numbers(y, "y")
    if x.ndim < 2 or not x.size or y.ndim not in (1, 2) or len(x) != len(y) or not y.size:
        raise DataError(
            f"x of shape {x.shape} and y of shape {y.shape}: they are (n, d) or (n, h, w, c),"
            " and (n,) or (n, outputs), with n >= 1"
        )
    for name, values in (("x", x), ("y", y)):
        rows = jnp.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if not is_traced(jnp.sum(rows)) and not bool(rows.all()):
            bad = np.flatnonzero(~np.asarray(rows))
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            raise DataError(f"row {bad[0]}{more}: {name} is NaN or infinite.  Mend or leave out")
    return x, y


def _numbers(values: Any, name: str) -> Array:
    """The values as an array; DataError for strings, sparse matrices and what else is none."""
    try:
        return jnp.asarray(values)
    except TypeError:
        raise DataError(
            f"{name} is no array of real numbers.  For classes pass one-hot rows, or use "
            "stream_ridge(.., labels=True)"
        ) from None


def is_traced(value: Array) -> bool:
    """Whether the number is unknown as yet, as under jit (under grad alone it is known)."""
    try:
        bool(value > 0)
    except jax.errors.ConcretizationTypeError:
        return True
    return False


def eps_of(values: Array) -> float:
    """The distance from 1 to the next number of that dtype."""
    return float(np.finfo(values.dtype).eps)
