"""The exact kernels of a network, in blocks of samples that fit a budget of memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dualc.errors import NetworkError
from dualc.layers.combine import FanOut, Serial, serial
from dualc.layers.covariance import (
    Covariance,
    Covariances,
    Recording,
    Replaying,
    at_equal_positions,
    of_pairs,
    of_samples,
)
from dualc.layers.layer import Layer
from dualc.layers.signal import Signal
from dualc.runtime.blocks import (
    STRIPS,
    WORTH,
    bytes_of,
    mirrored,
    places,
    shown,
    temporary_bytes,
    write,
)
from dualc.runtime.tracing import any_traced

MEMORY = 2**30  # bytes beyond the result, unless something else is said
_COPIES = 24  # more than this many times its first covariances no network was seen to take


class Kernels(NamedTuple):
    """The exact kernels of a network; None for one that was not asked for."""

    nngp: Array | None = None
    ntk: Array | None = None


def kernel(
    net: Layer,
    x1: Array,
    x2: Array | None,
    get: str | Sequence[str],
    *,
    memory: int | None,
    progress: bool | None,
) -> Kernels | Array:
    """What Layer.kernel promises."""
    wanted = wanted_kernels(get)
    x1, x2 = _inputs(x1, x2)
    task = Task(serial(net), x1, x2, "ntk" in wanted)
    check_network(task.net, x1.shape[1:])
    budget = MEMORY if memory is None else memory
    is_empty = 0 in (len(x1), len(task.others))
    if is_empty or any_traced(net, x1, x2):
        found = task.whole()
    else:
        found = task.in_blocks(budget, progress)
    kernels = Kernels(*(a if n in wanted else None for n, a in zip(_NAMES, found, strict=True)))
    if isinstance(get, str):
        one = kernels.nngp if get == "nngp" else kernels.ntk
        assert one is not None
        return one
    return kernels


_NAMES = ("nngp", "ntk")


def wanted_kernels(get: str | Sequence[str]) -> tuple[str, ...]:
    """The names that were asked for; NetworkError for others."""
    wanted = (get,) if isinstance(get, str) else tuple(get)
    if not wanted or not set(wanted) <= set(_NAMES):
        raise NetworkError(f'get is "nngp", "ntk" or a sequence of them, not {get!r}')
    return wanted


def _inputs(x1: Any, x2: Any) -> tuple[Array, Array | None]:
    """Arrays of one floating dtype and one shape per sample."""
    x1 = floating(x1)
    if x2 is None:
        return x1, None
    x2 = floating(x2)
    if x1.shape[1:] != x2.shape[1:]:
        raise NetworkError(
            f"x1 has samples of shape {x1.shape[1:]}, x2 of shape {x2.shape[1:]}: they must agree"
        )
    with jax.numpy_dtype_promotion("standard"):  # of two inputs: nothing is silent about that
        dtype = jnp.promote_types(x1.dtype, x2.dtype)
    return x1.astype(dtype), x2.astype(dtype)


def floating(inputs: Any) -> Array:
    """Inputs as real floating-point numbers, with samples first and channels last."""
    try:
        array: Array = jnp.asarray(inputs)
    except (TypeError, ValueError) as error:
        raise NetworkError(f"inputs are one array of numbers: {error}") from error
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise NetworkError("inputs are real numbers, not complex ones")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        array = array.astype(jnp.result_type(float))
    if array.ndim < 2:
        raise NetworkError(f"inputs have shape (n, *space, channels), not {array.shape}")
    return array


def check_network(net: Layer, shape: tuple[int, ...]) -> None:
    """NetworkError unless the layers fit each other and samples of that shape."""
    after = net.signal(Signal.of(shape))
    if isinstance(after, tuple):
        raise NetworkError(f"the network ends in {len(after)} branches.  Join them with FanInSum()")


# ---- samples with themselves, and with others ----


@dataclass
class Own:
    """A walk of samples paired with themselves, which collects their variances."""

    seen: tuple[Array, ...] = ()

    def through(self, layers: tuple[Layer, ...], k: Covariances) -> Covariances:
        k, seen = _recorded(layers, k)
        self.seen += seen
        return k

    def narrowed(self, k: Covariance) -> Covariance:
        return at_equal_positions(k)


@dataclass
class Paired:
    """A walk of samples paired with others, by the variances of either."""

    rows: tuple[Array, ...]
    columns: tuple[Array, ...]

    def through(self, layers: tuple[Layer, ...], k: Covariances) -> Covariances:
        after: Covariances = _replayed(layers, k, *self.taken(layers))
        return after

    def narrowed(self, k: Covariance) -> Covariance:
        return at_equal_positions(k)

    def taken(self, layers: tuple[Layer, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The variances that these layers ask for, which are not needed again."""
        count = sum(layer.variances for layer in layers)
        rows, self.rows = self.rows[:count], self.rows[count:]
        columns, self.columns = self.columns[:count], self.columns[count:]
        return rows, columns


@dataclass
class Measured(Paired):
    """The walk of Paired on shapes alone, which counts the bytes that it takes."""

    most: int = 0

    def through(self, layers: tuple[Layer, ...], k: Covariances) -> Covariances:
        arguments = (layers, k, *self.taken(layers))
        after: Covariances = jax.eval_shape(_replayed, *arguments)
        taken = temporary_bytes(_replayed, *arguments) + bytes_of(after) + bytes_of(k)
        self.most = max(self.most, taken)
        return after

    def narrowed(self, k: Covariance) -> Covariance:
        after: Covariance = jax.eval_shape(at_equal_positions, k)
        return after


@jax.jit
def _recorded(layers: tuple[Layer, ...], k: Covariances) -> tuple[Covariances, tuple[Array, ...]]:
    sides = Recording([])
    for layer in layers:
        k = layer.covariance(k, sides)
    return k, tuple(sides.seen)


@jax.jit
def _replayed(
    layers: tuple[Layer, ...], k: Covariances, rows: tuple[Array, ...], columns: tuple[Array, ...]
) -> Covariances:
    sides = Replaying(iter(rows), iter(columns))
    for layer in layers:
        k = layer.covariance(k, sides)
    return k


_of_samples = jax.jit(of_samples, static_argnames="is_full")
_of_pairs = jax.jit(of_pairs, static_argnames=("is_full", "ntk"))


# ---- the problem, whole and in blocks ----


@dataclass(frozen=True)
class Task:
    """The kernels of all pairs of x1 and x2, or of x1 with itself."""

    net: Serial
    x1: Array
    x2: Array | None
    ntk: bool

    @property
    def is_full(self) -> bool:
        return self.net.needs_pairs_of_positions(False)

    @property
    def others(self) -> Array:
        return self.x1 if self.x2 is None else self.x2

    def whole(self) -> Parts:
        """All at once: what JAX transforms."""
        q1 = self.variances(self.x1)
        q2 = q1 if self.x2 is None else self.variances(self.x2)
        return self._all_pairs(q1, q2)

    def _all_pairs(self, q1: tuple[Array, ...], q2: tuple[Array, ...]) -> Parts:
        found = self.pairs(self.x1, self.others, q1, q2)
        return found if self.x2 is not None else jax.tree.map(mirrored, found)

    def variances(self, x: Array) -> tuple[Array, ...]:
        """The variances of every sample where the network needs them, (n, *positions) each."""
        walk = Own()
        self.net.covariance(_of_samples(x, is_full=self.is_full), walk, wanted=False)
        return walk.seen

    def pairs(self, x1: Array, x2: Array, q1: tuple[Array, ...], q2: tuple[Array, ...]) -> Parts:
        """The kernels of all pairs of these samples, from them and their variances."""
        k = _of_pairs(x1, x2, is_full=self.is_full, ntk=self.ntk)
        k = self.net.covariance(k, Paired(q1, q2), wanted=False)
        assert isinstance(k, Covariance)
        return k.nngp, k.ntk

    def in_blocks(self, budget: int, progress: bool | None) -> Parts:
        """Block by block, written into the result where it stands."""
        q1 = q2 = self._in_batches(self.x1, budget)
        self._check_domain(q1, "x1")
        if self.x2 is not None:
            q2 = self._in_batches(self.x2, budget)
            self._check_domain(q2, "x2")
        rows, columns = self._block(budget, q1, q2)
        n, m = len(self.x1), len(self.others)
        if rows == n and columns == m:
            return self._all_pairs(q1, q2)
        out: Parts | None = None
        squares = list(places(n, m, (rows, columns), self.x2 is None))
        for i, j in shown(squares, progress):
            left, right = slice(i, i + rows), slice(j, j + columns)
            some = tuple(q[left] for q in q1), tuple(q[right] for q in q2)
            part = self.pairs(self.x1[left], self.others[right], *some)
            if out is None:
                out = jax.tree.map(lambda p: jnp.zeros((n, m, *p.shape[2:]), p.dtype), part)
            out = write(out, part, i, j, symmetric=self.x2 is None)
            out[0].block_until_ready()
        assert out is not None
        return out

    def _in_batches(self, x: Array, budget: int) -> tuple[Array, ...]:
        """The variances in batches: all positions of one sample may be megabytes."""
        one = bytes_of(jax.eval_shape(partial(of_samples, is_full=self.is_full), x[:1]).nngp)
        batch = max(1, budget // (8 * one))
        if batch >= len(x):
            return self.variances(x)
        parts = [self.variances(x[i : i + batch]) for i in range(0, len(x), batch)]
        return tuple(jnp.concatenate(part) for part in zip(*parts, strict=True))

    def _check_domain(self, q: tuple[Array, ...], name: str) -> None:
        """NetworkError where a variance is beyond the kernels' domain, which gives NaN."""
        for values, high in zip(q, self.net.domains(), strict=True):
            rows = np.max(np.asarray(values).reshape(len(values), -1), axis=1, initial=0)
            if np.any(rows > high):
                raise NetworkError(
                    f"{name}[{rows.argmax()}] has a variance of {rows.max():.3g} before an "
                    f"activation whose kernel is compiled for [0, {high:g}].  Scale the inputs "
                    "or W_std down"
                )

    def _block(self, budget: int, q1: tuple[Array, ...], q2: tuple[Array, ...]) -> tuple[int, int]:
        """The largest block whose steps, as XLA plans them, fit the budget."""
        rows, columns = len(self.x1), len(self.others)
        pair = bytes_of(jax.eval_shape(self._first, self.x1[:1], self.others[:1]))
        if self.x2 is None and rows**2 * pair > WORTH:
            rows = columns = -(-rows // STRIPS)
        scale = math.sqrt(budget / (rows * columns * pair * _COPIES))
        if scale >= 1:  # far below: no need to know more
            return rows, columns
        while True:
            rows, columns = max(1, int(rows * scale)), max(1, int(columns * scale))
            taken = self._measured(rows, columns, q1, q2)
            if taken <= budget:
                return rows, columns
            if rows == columns == 1:
                raise NetworkError(
                    f"one pair of samples takes {taken:,} bytes, more than the {budget:,} of "
                    f"memory=.  Give memory={taken}"
                )
            scale = min(math.sqrt(budget / taken), 0.9)

    def _first(self, x1: Array, x2: Array) -> Covariance:
        return of_pairs(x1, x2, self.is_full, self.ntk)

    def _measured(
        self, rows: int, columns: int, q1: tuple[Array, ...], q2: tuple[Array, ...]
    ) -> int:
        """Bytes that a block takes at most at one time."""
        k = jax.eval_shape(self._first, self.x1[:rows], self.others[:columns])
        walk = Measured(
            tuple(jax.eval_shape(lambda q: q[:rows], q) for q in q1),
            tuple(jax.eval_shape(lambda q: q[:columns], q) for q in q2),
        )
        self.net.covariance(k, walk, wanted=False)
        held = sum(
            layer.count * bytes_of(k) for layer in self.net.layers if isinstance(layer, FanOut)
        )
        return walk.most + held


Parts = tuple[Array, Array | None]
